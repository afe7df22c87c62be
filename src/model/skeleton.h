/* SPDX-License-Identifier: Apache-2.0
 *
 * The skeleton: every tensor the model needs, with its shape and no storage (PyTorch's meta
 * device), and how it meets a checkpoint. */
#ifndef PLIM_MODEL_SKELETON_H
#define PLIM_MODEL_SKELETON_H

#include "checkpoint/checkpoint.h"
#include "model/family.h"
#include "model/quantization.h"
#include "tensor/weight.h"

#define PLIM_NO_SLOT   UINT32_MAX
#define PLIM_NO_STORED UINT32_MAX

typedef struct plim_slot {
    const char *name; /* as Transformers names the parameter */
    plim_role role;
    uint32_t layer; /* 0 for what exists once */
    plim_shape shape;
    uint32_t tied_to; /* the slot whose bytes it shares, or PLIM_NO_SLOT */
    uint32_t stored;  /* index into the checkpoint's tensors after matching, or PLIM_NO_STORED */
    uint32_t scales;  /* of a matrix that is stored as groups, `stored` being its packed quants: the
                         tensor of their scales; else PLIM_NO_STORED */
    plim_dtype packed; /* of such a matrix Q8 or Q4, else AUTO */
} plim_slot;

typedef struct plim_skeleton {
    const plim_alloc *alloc;
    plim_arena arena;
    plim_spec spec;
    const plim_family *family;      /* NULL: weights alone, one slot per stored tensor */
    plim_quantization quantization; /* what config.json says of it */
    plim_slot *slots;               /* in the order of the forward pass */
    uint32_t slot_count;
    uint32_t *by_role;       /* [layers][PLIM_ROLE_COUNT], globals in layer 0; PLIM_NO_SLOT */
    const char **unexpected; /* after matching: stored names nobody needs, indices collapsed */
    size_t unexpected_count;
} plim_skeleton;

/* Build it from a config.json (NULL: no config, weights alone).  With an unknown model_type the
 * skeleton has no slots until it is matched. */
plim_status plim_skeleton_open(plim_skeleton **out, const plim_alloc *alloc,
                               const char *config_path, plim_error *err);
void plim_skeleton_close(plim_skeleton **skeleton);

/* Give each slot its stored tensor, with and without the base-model prefix.  MISMATCH: missing
 * tensors (all named, indices collapsed) or a shape that differs (both shapes).  A tied head that
 * is stored stays on its own.  A matrix may be stored as compressed-tensors packs it (NAME_packed,
 * NAME_scale); UNSUP where that, or another quantisation, is one that we can't run. */
plim_status plim_skeleton_match(plim_skeleton *skeleton, const plim_stored_set *stored,
                                const plim_log *log, plim_error *err);

/* PLIM_NO_SLOT when the model has no such tensor. */
static inline uint32_t plim_skeleton_slot(const plim_skeleton *s, uint32_t layer, plim_role role)
{
    return s->by_role[(size_t)layer * PLIM_ROLE_COUNT + role];
}

/* The narrowest type of the matrices that are stored as groups; AUTO: there is none. */
plim_dtype plim_skeleton_packed(const plim_skeleton *skeleton);

/* Tied ones once. */
uint64_t plim_skeleton_parameters(const plim_skeleton *skeleton);

/* ---- sizes of what a session keeps and needs ---- */

typedef struct plim_session_size {
    uint32_t context; /* positions */
    uint32_t chunk;   /* rows per pass */
    plim_dtype kv_dtype;
    uint32_t widen; /* threads that turn groups into floats before they multiply; 0: groups are
                       multiplied as groups */
} plim_session_size;

/* Bytes of KV for `context` positions; false on overflow. */
bool plim_kv_bytes(const plim_spec *spec, const plim_session_size *size, uint64_t *out);

/* Where the buffers of one pass lie in one region, in f32 elements from its start. */
typedef struct plim_scratch_layout {
    uint64_t x, h, qkv, attn, up, gate, cos, sin, vec, vec2, head, logits; /* offsets */
    uint64_t pack;        /* plim_pack_bytes of inputs as wide as the hidden size or the heads */
    uint64_t pack_inner;  /* of inputs as wide as the MLP: lies on what is not in use then */
    uint64_t wide;        /* rows of groups as floats: [widen][PLIM_WIDE_ROWS][wide_inputs] */
    uint64_t wide_inputs; /* the most that a matrix has */
    uint32_t widen;       /* as in plim_session_size */
    uint64_t parts;       /* of attention: [kv_heads][spans][part_rows][group][head_dim + 2] */
    uint64_t total;       /* elements */
    uint32_t logit_rows, part_rows, spans; /* part_rows: 0 where a context is one span */
} plim_scratch_layout;

#define PLIM_LOGIT_ROWS 4u
/* Passes of so many rows and fewer are cut into spans of positions. */
#define PLIM_PART_ROWS 4u

/* What a sampler may hold per entry of the vocabulary, in bytes: the plan counts on it, the sampler
 * keeps it. */
#define PLIM_SAMPLER_ENTRY_BYTES 16u
/* The same for a row of a pass, beside its scratch. */
#define PLIM_ROW_BYTES 24u

/* False on overflow, and where a pass may have more than PLIM_POOL_MAX_TASKS tasks. */
bool plim_scratch_plan(const plim_spec *spec, const plim_session_size *size,
                       plim_scratch_layout *out);

#endif
