/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of checkpoint/ share with each other and with nobody else.  `err` is never NULL in
 * here: plim_stored_open sees to it, so that the code of a refused allocation is always at hand. */
#ifndef PLIM_CHECKPOINT_INTERNAL_H
#define PLIM_CHECKPOINT_INTERNAL_H

#include "base/json.h"
#include "checkpoint/checkpoint.h"

#define PLIM_PATH_BYTES            4096
#define PLIM_MAX_TENSOR_NAME_BYTES 4096
#define PLIM_MAX_DTYPE_NAME_BYTES  64
#define PLIM_MAX_SHARDS            16384

/* ---- messages.c ---- */

/* The value that has just begun should have been `want`.  Containers are passed over first, so that
 * one nested too deeply is LIMIT; otherwise FORMAT "WHAT must be WANT, found X" at its first byte.
 */
plim_status plim_json_wrong(plim_json *json, plim_json_event found, const char *tensor,
                            const char *what, const char *want, plim_error *err);

/* A name cut to at most 100 bytes of whole characters, for a message that names two things. */
typedef struct plim_short_name {
    char text[104];
} plim_short_name;

plim_short_name plim_shorten(const char *name);

/* ---- sort.c ---- */

/* < 0, 0, > 0 as element a stands before, with, after b. */
typedef int (*plim_compare_fn)(const void *context, uint32_t a, uint32_t b);

/* The numbers 0..count-1 in ascending order of what they stand for; stable, O(n log n) whatever the
 * input, no recursion. 8 bytes per element while it runs, 4 after; release *order with plim_delete.
 */
plim_status plim_sort_order(uint32_t **order, const plim_alloc *alloc, uint32_t count,
                            plim_compare_fn compare, const void *context, plim_error *err);

/* ---- checkpoint.c ---- */

/* Open a file and append it to set->files (path is copied); its header is not read yet. */
plim_status plim_stored_add_file(plim_stored_set *set, const char *path, plim_error *err);

/* Append an empty tensor and return it in *out; it moves when the next is added.  LIMIT past
 * PLIM_MAX_TENSORS. */
plim_status plim_stored_add_tensor(plim_stored_set *set, plim_stored **out, plim_error *err);

/* ---- safetensors.c ---- */

/* Read and check the header of set->files[file], append its tensors.  TRUNC, FORMAT, LIMIT as
 * checkpoint.h says. */
plim_status plim_safetensors_read(plim_stored_set *set, uint32_t file, plim_error *err);

/* ---- shard_index.c ---- */

/* An index that is open: streamed twice, once for the names of the shards, once to compare every
 * entry. */
typedef struct plim_shard_index {
    plim_file file;
    const char *path;
} plim_shard_index;

/* Stream the index at `path`, open its shards (relative to set->directory) into set->files in order
 * of name. */
plim_status plim_shard_index_open(plim_shard_index *index, plim_stored_set *set, const char *path,
                                  plim_error *err);
/* Stream it again: each entry must be a tensor of set (sorted by now) that lies in the shard it
 * names; MISMATCH. *listed = number of entries. */
plim_status plim_shard_index_check(const plim_shard_index *index, const plim_stored_set *set,
                                   size_t *listed, plim_error *err);
void plim_shard_index_close(plim_shard_index *index);

/* ---- discover.c ---- */

typedef struct plim_found {
    bool is_index; /* path is an index of shards, else a safetensors file */
    char path[PLIM_PATH_BYTES];
    char directory[PLIM_PATH_BYTES]; /* no trailing slash, but "/" itself */
} plim_found;

/* Which file from_pretrained would take. */
plim_status plim_discover(plim_found *out, const plim_alloc *alloc,
                          const plim_checkpoint_where *where, const plim_log *log, plim_error *err);

#endif
