/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder that appears whole or not at all: written beside its place under a temporary name, and
 * renamed when it is complete.  Files in it are written with plim_writer_open. */
#ifndef PLIM_BASE_FOLDER_H
#define PLIM_BASE_FOLDER_H

#include "base/file.h"

typedef struct plim_folder_writer {
    char path[4096], temporary[4096]; /* temporary: "" when nothing is to be removed */
} plim_folder_writer;

/* Make PATH.partial-PID (the leftover of a process that died is replaced).  USAGE where something
 * stands at `path` already, an empty folder excepted; IO where it can't be made; LIMIT for a path
 * that is too long. */
plim_status plim_folder_writer_open(plim_folder_writer *out, const char *path, plim_error *err);

/* Rename to PATH, on disk when this returns.  The files in it are their writers' affair.  On
 * failure nothing is left behind and nothing appears at PATH. */
plim_status plim_folder_writer_commit(plim_folder_writer *writer, plim_error *err);

/* Remove what was written.  Does nothing after a commit. */
void plim_folder_writer_discard(plim_folder_writer *writer);

/* A folder within it, "temporary/name" into path[4096]. */
plim_status plim_folder_writer_add(const plim_folder_writer *writer, const char *name, char *path,
                                   plim_error *err);

/* Call fn for each regular file (links followed) of a folder, in no order, until one fails.  A
 * folder that is not there has none. */
typedef plim_status (*plim_folder_fn)(void *user, const char *name, plim_error *err);
plim_status plim_folder_each(const char *path, plim_folder_fn fn, void *user, plim_error *err);

#endif
