/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder that appears whole or not at all: written beside its place under a temporary name, and
 * renamed when it is complete.  Files in it are written with plim_writer_open_in.  All is made and
 * removed relative to open folders, never through a link: who may write beside it can't lead the
 * writer elsewhere. */
#ifndef PLIM_BASE_FOLDER_H
#define PLIM_BASE_FOLDER_H

#include "base/file.h"

/* An open folder to write into; the path is for messages. */
typedef struct plim_folder_place {
    int fd;
    char path[4096];
} plim_folder_place;

typedef struct plim_folder_writer {
    int parent;              /* the folder that `path` is in */
    size_t name;             /* where the last part of both paths begins */
    bool empty_there;        /* an empty folder stands at `path`, and goes */
    plim_folder_place place; /* being written; fd -1: nothing is to be removed */
    char path[4096];
} plim_folder_writer;

/* Make PATH.partial-RANDOM, with the permissions that the umask leaves.  Nothing that exists is
 * touched; the leftover of a process that was killed stays.  USAGE where something stands at `path`
 * already, an empty folder excepted, and where nothing can be renamed to it ("/", a last part "."
 * or "..", a mount point); IO where it can't be made; LIMIT for a path that is too long. */
plim_status plim_folder_writer_open(plim_folder_writer *out, const char *path, plim_error *err);

/* Rename to PATH, on disk when this returns.  The files in it are their writers' affair.  IO where
 * something has appeared at PATH since (an empty folder that was there before may go), CHANGED
 * where the folder was taken away.  On failure nothing is left behind and nothing appears at PATH.
 */
plim_status plim_folder_writer_commit(plim_folder_writer *writer, plim_error *err);

/* Remove what was written.  Does nothing after a commit. */
void plim_folder_writer_discard(plim_folder_writer *writer);

/* A folder within it, made where it is not there yet.  Close with plim_folder_place_close (does
 * nothing for fd -1). */
plim_status plim_folder_writer_add(const plim_folder_writer *writer, const char *name,
                                   plim_folder_place *out, plim_error *err);
void plim_folder_place_close(plim_folder_place *place);

/* Call fn for each regular file (links followed) of a folder, in no order, until one fails.  A
 * folder that is not there has none. */
typedef plim_status (*plim_folder_fn)(void *user, const char *name, plim_error *err);
plim_status plim_folder_each(const char *path, plim_folder_fn fn, void *user, plim_error *err);

#endif
