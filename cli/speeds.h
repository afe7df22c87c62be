/* SPDX-License-Identifier: Apache-2.0
 *
 * Speeds that were measured here, kept between runs: one file for all machines and disks of a home
 * folder, one entry per host, processor, file system and number of threads. */
#ifndef CLI_SPEEDS_H
#define CLI_SPEEDS_H

#include <stdbool.h>

#include "plimsoll.h"

/* What an entry is kept under, into key[cap]: the host, its processor, the file system that `path`
 * (a model's folder or file) lies on, and the threads. */
void speeds_key(char *key, size_t cap, const char *path, unsigned threads);

/* The entry of `key` in the file at `path` into *out; *found is false without one.  A file that is
 * not there is no error; one that can't be read or is broken is: *err says why (FORMAT, IO, NOMEM),
 * and nothing is found. */
plim_status speeds_read(const char *path, const char *key, plim_speeds *out, bool *found,
                        plim_error *err);

/* Add or replace the entry; the other ones stay, up to SPEEDS_MAX_ENTRIES, unless the file is
 * broken.  Folders are made where they are missing; the file is replaced in one step.  IO. */
plim_status speeds_write(const char *path, const char *key, const plim_speeds *speeds,
                         plim_error *err);

#define SPEEDS_MAX_ENTRIES 64

#endif
