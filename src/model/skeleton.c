/* SPDX-License-Identifier: Apache-2.0
 *
 * spec → skeleton: the slots a model of this spec has, in the order in which a pass needs them. */
#include "model/skeleton.h"

#include <stdio.h>
#include <string.h>

#include "base/pool.h"

/* ---- which tensors a spec has, and their shapes ---- */

typedef enum extent_of {
    NONE,
    VOCAB,
    POSITIONS,
    HIDDEN,
    INNER,
    HEAD_DIM,
    Q,
    KV,
    QKV,
    EXTENTS
} extent_of;

typedef enum condition {
    ALWAYS,
    IF_LEARNED,    /* positions */
    IF_LAYER_NORM, /* norms have biases */
    IF_FUSED,
    IF_FUSED_BIAS,
    IF_SPLIT, /* q, k, v apart */
    IF_SPLIT_BIAS,
    IF_QK_NORM,
    IF_OUT_BIAS,
    IF_GATED,
    IF_GATED_BIAS,
    IF_MLP_BIAS,
    CONDITIONS
} condition;

/* [outputs, inputs]; a vector has outputs only.  Projections turn round in an [in, out] layout. */
static const struct {
    extent_of outputs, inputs;
    condition when;
} roles[PLIM_ROLE_COUNT] = {
    [PLIM_ROLE_EMBED] = {VOCAB, HIDDEN, ALWAYS},
    [PLIM_ROLE_POSITION] = {POSITIONS, HIDDEN, IF_LEARNED},
    [PLIM_ROLE_FINAL_NORM] = {HIDDEN, NONE, ALWAYS},
    [PLIM_ROLE_FINAL_NORM_BIAS] = {HIDDEN, NONE, IF_LAYER_NORM},
    [PLIM_ROLE_HEAD] = {VOCAB, HIDDEN, ALWAYS},
    [PLIM_ROLE_ATTN_NORM] = {HIDDEN, NONE, ALWAYS},
    [PLIM_ROLE_ATTN_NORM_BIAS] = {HIDDEN, NONE, IF_LAYER_NORM},
    [PLIM_ROLE_QKV] = {QKV, HIDDEN, IF_FUSED},
    [PLIM_ROLE_QKV_BIAS] = {QKV, NONE, IF_FUSED_BIAS},
    [PLIM_ROLE_Q] = {Q, HIDDEN, IF_SPLIT},
    [PLIM_ROLE_Q_BIAS] = {Q, NONE, IF_SPLIT_BIAS},
    [PLIM_ROLE_K] = {KV, HIDDEN, IF_SPLIT},
    [PLIM_ROLE_K_BIAS] = {KV, NONE, IF_SPLIT_BIAS},
    [PLIM_ROLE_V] = {KV, HIDDEN, IF_SPLIT},
    [PLIM_ROLE_V_BIAS] = {KV, NONE, IF_SPLIT_BIAS},
    [PLIM_ROLE_Q_NORM] = {HEAD_DIM, NONE, IF_QK_NORM},
    [PLIM_ROLE_K_NORM] = {HEAD_DIM, NONE, IF_QK_NORM},
    [PLIM_ROLE_ATTN_OUT] = {HIDDEN, Q, ALWAYS},
    [PLIM_ROLE_ATTN_OUT_BIAS] = {HIDDEN, NONE, IF_OUT_BIAS},
    [PLIM_ROLE_MLP_NORM] = {HIDDEN, NONE, ALWAYS},
    [PLIM_ROLE_MLP_NORM_BIAS] = {HIDDEN, NONE, IF_LAYER_NORM},
    [PLIM_ROLE_GATE] = {INNER, HIDDEN, IF_GATED},
    [PLIM_ROLE_GATE_BIAS] = {INNER, NONE, IF_GATED_BIAS},
    [PLIM_ROLE_UP] = {INNER, HIDDEN, ALWAYS},
    [PLIM_ROLE_UP_BIAS] = {INNER, NONE, IF_MLP_BIAS},
    [PLIM_ROLE_DOWN] = {HIDDEN, INNER, ALWAYS},
    [PLIM_ROLE_DOWN_BIAS] = {HIDDEN, NONE, IF_MLP_BIAS},
};

/* Shape of a role's tensor; false when the spec has no such role. */
static bool role_shape(const plim_spec *s, plim_role role, plim_shape *out)
{
    const uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    const uint64_t extents[EXTENTS] = {
        0, s->vocab, s->max_positions, s->hidden, s->inner, s->head_dim, q, kv, q + 2 * kv};
    const bool holds[CONDITIONS] = {
        [ALWAYS] = true,
        [IF_LEARNED] = s->positions == PLIM_POSITIONS_LEARNED,
        [IF_LAYER_NORM] = s->norm == PLIM_NORM_LAYER,
        [IF_FUSED] = s->fused_qkv,
        [IF_FUSED_BIAS] = s->fused_qkv && s->qkv_bias,
        [IF_SPLIT] = !s->fused_qkv,
        [IF_SPLIT_BIAS] = !s->fused_qkv && s->qkv_bias,
        [IF_QK_NORM] = s->qk_norm,
        [IF_OUT_BIAS] = s->attn_out_bias,
        [IF_GATED] = s->gated,
        [IF_GATED_BIAS] = s->gated && s->mlp_bias,
        [IF_MLP_BIAS] = s->mlp_bias,
    };
    if (!holds[roles[role].when])
        return false;
    uint64_t rows = extents[roles[role].outputs], cols = extents[roles[role].inputs];
    bool table = role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION || role == PLIM_ROLE_HEAD;
    bool turn = cols && !table && s->layout == PLIM_IN_OUT;
    *out = (plim_shape){.rank = cols ? 2 : 1, .dim = {turn ? cols : rows, turn ? rows : cols}};
    return true;
}

static plim_status add_slot(plim_skeleton *k, plim_role role, uint32_t layer, plim_error *err)
{
    plim_slot *slot = &k->slots[k->slot_count];
    if (!k->family->names[role] || !role_shape(&k->spec, role, &slot->shape))
        return PLIM_OK;
    char name[160];
    /* The pattern is the family's own, with one %u at most. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, sizeof name, k->family->names[role], layer);
#pragma GCC diagnostic pop
    slot->name = plim_arena_text(&k->arena, name, strlen(name), err);
    if (!slot->name)
        return PLIM_E_NOMEM;
    slot->role = role;
    slot->layer = layer;
    slot->tied_to = PLIM_NO_SLOT;
    slot->stored = PLIM_NO_STORED;
    slot->scales = PLIM_NO_STORED;
    k->by_role[(size_t)layer * PLIM_ROLE_COUNT + role] = k->slot_count++;
    return PLIM_OK;
}

/* How many roles in [first, last] the model has. */
static size_t count_roles(const plim_skeleton *k, int first, int last)
{
    size_t count = 0;
    plim_shape shape;
    for (int role = first; role <= last; role++)
        count += k->family->names[role] && role_shape(&k->spec, (plim_role)role, &shape);
    return count;
}

static plim_status add_slots(plim_skeleton *k, plim_error *err)
{
    static const plim_role before[] = {PLIM_ROLE_EMBED, PLIM_ROLE_POSITION};
    static const plim_role after[] = {PLIM_ROLE_FINAL_NORM, PLIM_ROLE_FINAL_NORM_BIAS,
                                      PLIM_ROLE_HEAD};
    size_t rows = k->spec.layers;
    size_t count = rows * count_roles(k, PLIM_ROLE_LAST_GLOBAL + 1, PLIM_ROLE_COUNT - 1) +
                   count_roles(k, 0, PLIM_ROLE_LAST_GLOBAL);
    k->slots = plim_arena_new(&k->arena, count, sizeof *k->slots, err);
    k->by_role = plim_arena_new(&k->arena, rows * PLIM_ROLE_COUNT, sizeof *k->by_role, err);
    if (!k->slots || !k->by_role)
        return PLIM_E_NOMEM;
    memset(k->by_role, 0xff, rows * PLIM_ROLE_COUNT * sizeof *k->by_role);
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < 2; i++)
        status = add_slot(k, before[i], 0, err);
    for (uint32_t layer = 0; !status && layer < k->spec.layers; layer++)
        for (int role = PLIM_ROLE_LAST_GLOBAL + 1; !status && role < PLIM_ROLE_COUNT; role++)
            status = add_slot(k, (plim_role)role, layer, err);
    for (size_t i = 0; !status && i < 3; i++)
        status = add_slot(k, after[i], 0, err);
    if (!status && k->spec.tied)
        k->slots[plim_skeleton_slot(k, 0, PLIM_ROLE_HEAD)].tied_to =
            plim_skeleton_slot(k, 0, PLIM_ROLE_EMBED);
    return status;
}

plim_status plim_skeleton_open(plim_skeleton **out, const plim_alloc *alloc,
                               const char *config_path, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    plim_skeleton *k = plim_new(alloc, 1, sizeof *k, err);
    if (!k)
        return err->code;
    k->alloc = alloc;
    plim_arena_init(&k->arena, alloc);
    plim_status status = PLIM_OK;
    if (config_path) {
        plim_config config;
        status = plim_config_open(&config, alloc, config_path, err);
        if (!status) {
            status = plim_spec_read(&k->spec, &k->family, &config, err);
            plim_quantization_read(&k->quantization, &config);
            plim_config_close(&config);
        }
    }
    if (!status && k->family && add_slots(k, err))
        status = err->code;
    if (status)
        plim_skeleton_close(&k);
    *out = k;
    return status;
}

void plim_skeleton_close(plim_skeleton **skeleton)
{
    plim_skeleton *k = *skeleton;
    if (!k)
        return;
    plim_arena_free(&k->arena);
    plim_delete(k->alloc, k);
    *skeleton = NULL;
}

plim_dtype plim_skeleton_packed(const plim_skeleton *k)
{
    plim_dtype type = PLIM_AUTO;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (type != PLIM_Q4 && k->slots[i].packed != PLIM_AUTO)
            type = k->slots[i].packed;
    return type;
}

uint64_t plim_skeleton_parameters(const plim_skeleton *k)
{
    uint64_t sum = 0, count;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (k->slots[i].tied_to == PLIM_NO_SLOT && plim_shape_count(&k->slots[i].shape, &count))
            sum += count;
    return sum;
}

bool plim_kv_bytes(const plim_spec *spec, const plim_session_size *size, uint64_t *out)
{
    uint64_t per_position = 2ull * spec->kv_heads * spec->head_dim; /* < 2^41 */
    uint64_t bytes = plim_dtype_bits(size->kv_dtype) / 8;
    return plim_mul_u64(per_position, bytes, &bytes) && plim_mul_u64(bytes, spec->layers, &bytes) &&
           plim_mul_u64(bytes, size->context, out);
}

/* Each buffer begins at a multiple of 16 floats, so that rows do not share cache lines needlessly.
 */
static bool place(uint64_t *cursor, uint64_t rows, uint64_t cols, uint64_t *offset)
{
    uint64_t count;
    *offset = *cursor;
    if (!plim_mul_u64(rows, cols, &count) || !plim_add_u64(count, 15, &count))
        return false;
    return plim_add_u64(*cursor, count & ~15ull, cursor);
}

/* The same for a buffer that may hold packed rows; widths and rows are below 2^32. */
static bool place_packed(uint64_t *cursor, uint64_t rows, uint64_t cols, uint64_t *offset)
{
    return place(cursor, 1, plim_pack_bytes(rows, cols) / sizeof(float), offset);
}

bool plim_scratch_plan(const plim_spec *spec, const plim_session_size *size,
                       plim_scratch_layout *out)
{
    uint64_t q = (uint64_t)spec->heads * spec->head_dim,
             kv = (uint64_t)spec->kv_heads * spec->head_dim;
    uint64_t rows = size->chunk, cursor = 0;
    uint64_t vec = spec->inner > q + 2 * kv ? spec->inner : q + 2 * kv;
    vec = vec > spec->hidden ? vec : spec->hidden;
    uint64_t wide = spec->hidden > q ? spec->hidden : q;
    out->logit_rows = rows < PLIM_LOGIT_ROWS ? (uint32_t)rows : PLIM_LOGIT_ROWS;
    out->spans = (size->context + PLIM_SPAN - 1) / PLIM_SPAN;
    out->part_rows = out->spans < 2 ? 0 : rows < PLIM_PART_ROWS ? (uint32_t)rows : PLIM_PART_ROWS;
    out->widen = size->widen;
    out->wide_inputs = wide > spec->inner ? wide : spec->inner;
    uint64_t part = (uint64_t)spec->heads * (spec->head_dim + 2); /* < 2^43 */
    bool ok = place(&cursor, rows, spec->hidden, &out->x) &&
              place(&cursor, rows, spec->hidden, &out->h) &&
              place(&cursor, rows, q + 2 * kv, &out->qkv) && place(&cursor, rows, q, &out->attn) &&
              place_packed(&cursor, rows, spec->inner, &out->up) &&
              place_packed(&cursor, rows, spec->inner, &out->gate) &&
              place_packed(&cursor, rows, wide, &out->pack) &&
              place(&cursor, rows, spec->rope.half, &out->cos) &&
              place(&cursor, rows, spec->rope.half, &out->sin) &&
              place(&cursor, 1, vec, &out->vec) && place(&cursor, 1, vec, &out->vec2) &&
              place(&cursor, out->logit_rows, spec->hidden, &out->head) &&
              place(&cursor, out->logit_rows, spec->vocab, &out->logits) &&
              place(&cursor, (uint64_t)out->widen * PLIM_WIDE_ROWS, out->wide_inputs, &out->wide) &&
              place(&cursor, (uint64_t)out->spans * out->part_rows, part, &out->parts);
    out->total = cursor;
    /* down's input is the gate's buffer, or up's where there is no gate: the other is free */
    out->pack_inner = spec->gated ? out->up : out->gate;
    /* The tasks of a pass: one per row and KV head, or per span and KV head, at most. */
    return ok && cursor <= UINT64_MAX / sizeof(float) &&
           rows * spec->kv_heads <= PLIM_POOL_MAX_TASKS &&
           (uint64_t)out->spans * spec->kv_heads <= PLIM_POOL_MAX_TASKS;
}
