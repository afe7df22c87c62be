/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint written anew in another type, as a Hugging Face folder: every tensor read once, in
 * pieces, cast or quantised, and written.  Invariants:
 *  1. Memory is 3 MiB (a piece before and after) and what is kept per tensor (about 60 bytes),
 * whatever the sizes of the tensors and of the checkpoint; and config.json.
 *  2. The folder appears whole or not at all. */
#ifndef PLIM_LOAD_CONVERT_H
#define PLIM_LOAD_CONVERT_H

#include "base/file.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/skeleton.h"

/* The config.json that is converted: read once, and watched from then on. */
typedef struct plim_convert_source {
    const plim_alloc *alloc;
    const char *path; /* the caller's */
    plim_file file;   /* stays open */
    char *text;
    size_t bytes;
    plim_config config; /* its offsets are into `text` */
} plim_convert_source;

/* UNSUP where it says that the weights are quantised; FORMAT, also where a type is no text; IO,
 * LIMIT, CHANGED.  After an error there is nothing to close, and closing does nothing. */
plim_status plim_convert_source_open(plim_convert_source *out, const plim_alloc *alloc,
                                     const char *path, plim_error *err);
/* CHANGED since it was opened. */
plim_status plim_convert_source_check(const plim_convert_source *source, plim_error *err);
void plim_convert_source_close(plim_convert_source *source);

typedef struct plim_convert_job {
    const plim_alloc *alloc;
    plim_pool *pool;
    const plim_kernels *kernels;
    const plim_stored_set *stored;
    const plim_skeleton *skeleton;     /* matched; needed for Q8 and Q4, else NULL is allowed */
    const plim_convert_source *config; /* NULL: there is none */
    const char *directory;             /* the folder to make */
    plim_dtype dtype;                  /* F32, F16, BF16, Q8, Q4 */
    uint64_t max_shard_size;           /* bytes of tensors per file; 0: 5 GB */
    plim_progress_fn progress;         /* or NULL; bytes written */
    void *progress_user;
} plim_convert_job;

/* F32, F16, BF16: tensors of F64, F32, F16 and BF16 are cast, all others are copied.
 * Q8, Q4: the matrices of the layers' products become groups as compressed-tensors packs them
 * (NAME.weight_packed, NAME.weight_scale, NAME.weight_shape), an output head of its own always Q8;
 * embeddings, a head that is tied to them, vectors, and matrices whose inner dimension is no
 * multiple of PLIM_GROUP are copied.
 * config.json is written with the type (and quantization_config); generation_config.json, tokenizer
 * files, chat templates, licence and README beside it are copied as they are, up to 256 MiB each.
 * UNSUP: a model_type that is not known or an [in, out] layout (both for Q8 and Q4 alone), a
 * checkpoint that is quantised already, a type that can't be cast, nothing to quantise, a tensor
 * that has a name which a group needs; USAGE: the folder is there and not empty, or can't be made
 * under that name; IO, CHANGED, CANCELLED, LIMIT, BUDGET, NOMEM.  After an error
 * nothing is left behind. */
plim_status plim_convert_write(const plim_convert_job *job, plim_error *err);

#endif
