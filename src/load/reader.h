/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers: ways of bringing a range of a file into memory.  One file per way; the plan says which
 * serves a range. */
#ifndef PLIM_LOAD_READER_H
#define PLIM_LOAD_READER_H

#include "checkpoint/checkpoint.h"

/* Where a range goes. */
typedef struct plim_reader_request {
    const plim_stored_file *file;
    uint64_t offset; /* in the file */
    size_t bytes;
    void *dst; /* buffered: memory of ours; map: the mapped address of `offset` */
} plim_reader_request;

/* Required: name, fetch.  fetch returns when every byte is at dst and may be called by several
 * threads at once. A file that ends before the range is TRUNC; the caller finds out whether it
 * changed. */
typedef struct plim_reader_ops {
    const char *name;
    plim_status (*fetch)(const plim_reader_request *request, plim_error *err);
} plim_reader_ops;

extern const plim_reader_ops plim_reader_map;      /* reader_map.c */
extern const plim_reader_ops plim_reader_buffered; /* reader_buffered.c */

/* What to say of a fetch that ended in `status`: a file that was whole when its header was checked
 * and ends early now has CHANGED.  err must not be NULL. */
plim_status plim_reader_explain(const plim_stored_file *file, plim_status status, plim_error *err);

#endif
