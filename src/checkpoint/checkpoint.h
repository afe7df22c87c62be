/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint: one flat list of stored tensors (name, type, shape, file, offset), read from
 * headers alone. Finds what from_pretrained finds in a folder, and enforces every rule of the
 * safetensors format. Invariants:
 *  1. No byte of tensor data is read here.
 *  2. Every tensor lies inside its file: offset + bytes <= file size, checked once, here.
 *  3. Memory is a function of the number of tensors and the length of their names, never of a
 * header's or an index's size (a 60 MB index is streamed). */
#ifndef PLIM_CHECKPOINT_CHECKPOINT_H
#define PLIM_CHECKPOINT_CHECKPOINT_H

#include "base/file.h"
#include "base/log.h"
#include "tensor/dtype.h"

typedef struct plim_stored {
    const char *name;
    plim_dtype dtype;       /* PLIM_AUTO: a type we don't know, `dtype_name` is its name */
    const char *dtype_name; /* only where dtype is PLIM_AUTO, else NULL */
    plim_shape shape;
    uint32_t file;   /* index into files */
    uint64_t offset; /* of its first byte, from the start of the file */
    uint64_t bytes;
} plim_stored;

typedef struct plim_stored_file {
    const char *path;
    plim_file file;       /* open for reading as long as the checkpoint lives */
    uint64_t data_offset; /* of the data section */
    /* Type of the first tensor, by name, that is F64, F32, F16 or BF16; AUTO: none.  What
     * from_pretrained takes for torch_dtype="auto" when the config has none (get_state_dict_dtype;
     * safetensors gives keys sorted by name). */
    plim_dtype first_float;
} plim_stored_file;

typedef struct plim_stored_set {
    const plim_alloc *alloc;
    plim_arena arena;
    plim_stored *tensors; /* sorted by name (bytewise), unique */
    size_t tensor_count, tensor_cap;
    plim_stored_file *files; /* in order of name */
    size_t file_count, file_cap;
    const char *directory;  /* of config.json and tokenizer, without a trailing slash */
    plim_dtype index_dtype; /* metadata.dtype of the index (rare); AUTO */
} plim_stored_set;

typedef struct plim_checkpoint_where {
    const char *path;      /* a folder, a .safetensors file, or a .safetensors.index.json */
    const char *subfolder; /* or NULL */
    const char *variant;   /* or NULL */
} plim_checkpoint_where;

#define PLIM_MAX_TENSORS      (1u << 21)
#define PLIM_MAX_HEADER_BYTES 100000000u
#define PLIM_MAX_INDEX_BYTES  (256u << 20)

/* Open everything and check every header.  In a folder, as from_pretrained: the file that
 * config.json names in transformers_weights; else model.safetensors; else
 * model.safetensors.index.json; with a variant V model.V.safetensors or
 * model.safetensors.index.V.json and nothing else.  subfolder and variant count for folders only.
 * Of a sharded checkpoint every tensor of every shard is in the list, also those that the index
 * does not mention (from_pretrained loads them too); `log` (may be NULL) is told of them. Memory:
 * all from `alloc`, about 130 bytes and the name per tensor, and one open file per shard. Errors,
 * each naming the file, and the tensor and the offset of its entry where there is one: IO nothing
 * there (the message lists what was looked for and other .safetensors files), no permission, too
 * many open files UNSUP     only pytorch_model.bin, .gguf or the like is there TRUNC     a file
 * ends before its header or its data do FORMAT    a rule of the format is broken (holes, overlaps,
 * trailing bytes, duplicate names, sizes, JSON) LIMIT     header > PLIM_MAX_HEADER_BYTES, index >
 * PLIM_MAX_INDEX_BYTES, > PLIM_MAX_TENSORS tensors, > PLIM_MAX_DIMS dimensions, names > 4096 bytes,
 * products past 2^64, JSON deeper than 64 UNSAFE    a shard's name leaves the folder, or a fifo or
 * device stands where a file should MISMATCH  index and shards disagree: a shard or a tensor is
 * missing or elsewhere, or a tensor is in two shards CHANGED   a file changed while it was read;
 * NOMEM, BUDGET from alloc An unknown dtype is no error here: whoever needs that tensor refuses it
 * (UNSUP). Beyond the reference implementation refused: duplicate names and keys, NUL bytes in
 * names, entries written as arrays. As there accepted: whitespace around the header, unaligned
 * data, unknown fields in an entry. */
plim_status plim_stored_open(plim_stored_set **out, const plim_alloc *alloc,
                             const plim_checkpoint_where *where, const plim_log *log,
                             plim_error *err);
void plim_stored_close(plim_stored_set **set);

/* NULL when there is none of that name.  O(log n). */
const plim_stored *plim_stored_find(const plim_stored_set *set, const char *name);

/* CHANGED when any file is not what it was at open. */
plim_status plim_stored_check(const plim_stored_set *set, plim_error *err);

#endif
