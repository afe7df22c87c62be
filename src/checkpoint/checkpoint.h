/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint: one flat list of stored tensors (name, type, shape, file, offset), read from headers alone.
 * Finds what from_pretrained finds in a folder, and enforces every rule of the safetensors format.
 * Invariants:
 *  1. No byte of tensor data is read here.
 *  2. Every tensor lies inside its file: offset + bytes <= file size, checked once, here.
 *  3. Memory is a function of the number of tensors and the length of their names, never of a header's or an
 *     index's size (a 60 MB index is streamed). */
#ifndef PLIM_CHECKPOINT_CHECKPOINT_H
#define PLIM_CHECKPOINT_CHECKPOINT_H

#include "base/file.h"
#include "base/log.h"
#include "tensor/dtype.h"

typedef struct plim_stored {
    const char *name;
    plim_dtype dtype;         /* PLIM_AUTO: a type we don't know, `dtype_name` is its name */
    const char *dtype_name;   /* only where dtype is PLIM_AUTO, else NULL */
    plim_shape shape;
    uint32_t file;            /* index into files */
    uint64_t offset;          /* of its first byte, from the start of the file */
    uint64_t bytes;
} plim_stored;

typedef struct plim_stored_file {
    const char *path;
    plim_file file;       /* open for reading as long as the checkpoint lives */
    uint64_t data_offset; /* of the data section */
    plim_dtype first_float; /* type of the first float tensor in the header's order; AUTO: none */
} plim_stored_file;

typedef struct plim_stored_set {
    const plim_alloc *alloc;
    plim_arena arena;
    plim_stored *tensors; /* sorted by name (bytewise), unique */
    size_t tensor_count, tensor_cap;
    plim_stored_file *files; /* in order of name */
    size_t file_count, file_cap;
    const char *directory; /* of config.json and tokenizer, without a trailing slash */
    plim_dtype index_dtype; /* metadata.dtype of the index (rare); AUTO */
} plim_stored_set;

typedef struct plim_checkpoint_where {
    const char *path;      /* a folder, or a .safetensors file */
    const char *subfolder; /* or NULL */
    const char *variant;   /* or NULL */
} plim_checkpoint_where;

#define PLIM_MAX_TENSORS (1u << 21)
#define PLIM_MAX_HEADER_BYTES 100000000u
#define PLIM_MAX_INDEX_BYTES (256u << 20)

/* Open everything and check every header.  Errors: IO (nothing there: the message lists what was looked for, and
 * names pytorch_model.bin or .gguf when those lie there), TRUNC, FORMAT, LIMIT, UNSAFE, MISMATCH. */
plim_status plim_stored_open(plim_stored_set **out, const plim_alloc *alloc,
                             const plim_checkpoint_where *where, const plim_log *log, plim_error *err);
void plim_stored_close(plim_stored_set **set);

/* NULL when there is none of that name.  O(log n). */
const plim_stored *plim_stored_find(const plim_stored_set *set, const char *name);

/* CHANGED when any file is not what it was at open. */
plim_status plim_stored_check(const plim_stored_set *set, plim_error *err);

#endif
