/* SPDX-License-Identifier: Apache-2.0
 *
 * spec → skeleton: the slots a model of this spec has, in the order in which a pass needs them. */
#include "model/skeleton.h"

#include <stdio.h>
#include <string.h>

/* Shape of a role's tensor; false when the spec has no such role.  in_out swaps the projections
 * (Conv1D). */
static bool role_shape(const plim_spec *s, plim_role role, plim_shape *out)
{
    uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    bool rms = s->norm == PLIM_NORM_RMS;
    uint64_t rows = 0, cols = 0; /* [out, in]; a vector has rows only */
    switch (role) {
    case PLIM_ROLE_EMBED:
        rows = s->vocab, cols = s->hidden;
        break;
    case PLIM_ROLE_HEAD:
        rows = s->vocab, cols = s->hidden;
        break;
    case PLIM_ROLE_POSITION:
        if (s->positions == PLIM_POSITIONS_LEARNED)
            rows = s->max_positions, cols = s->hidden;
        break;
    case PLIM_ROLE_FINAL_NORM:
    case PLIM_ROLE_ATTN_NORM:
    case PLIM_ROLE_MLP_NORM:
        rows = s->hidden;
        break;
    case PLIM_ROLE_FINAL_NORM_BIAS:
    case PLIM_ROLE_ATTN_NORM_BIAS:
    case PLIM_ROLE_MLP_NORM_BIAS:
        rows = rms ? 0 : s->hidden;
        break;
    case PLIM_ROLE_QKV:
        rows = s->fused_qkv ? q + 2 * kv : 0, cols = s->hidden;
        break;
    case PLIM_ROLE_QKV_BIAS:
        rows = s->fused_qkv && s->qkv_bias ? q + 2 * kv : 0;
        break;
    case PLIM_ROLE_Q:
        rows = s->fused_qkv ? 0 : q, cols = s->hidden;
        break;
    case PLIM_ROLE_Q_BIAS:
        rows = !s->fused_qkv && s->qkv_bias ? q : 0;
        break;
    case PLIM_ROLE_K:
    case PLIM_ROLE_V:
        rows = s->fused_qkv ? 0 : kv, cols = s->hidden;
        break;
    case PLIM_ROLE_K_BIAS:
    case PLIM_ROLE_V_BIAS:
        rows = !s->fused_qkv && s->qkv_bias ? kv : 0;
        break;
    case PLIM_ROLE_Q_NORM:
    case PLIM_ROLE_K_NORM:
        rows = s->qk_norm ? s->head_dim : 0;
        break;
    case PLIM_ROLE_ATTN_OUT:
        rows = s->hidden, cols = q;
        break;
    case PLIM_ROLE_ATTN_OUT_BIAS:
        rows = s->attn_out_bias ? s->hidden : 0;
        break;
    case PLIM_ROLE_GATE:
        rows = s->gated ? s->inner : 0, cols = s->hidden;
        break;
    case PLIM_ROLE_GATE_BIAS:
        rows = s->gated && s->mlp_bias ? s->inner : 0;
        break;
    case PLIM_ROLE_UP:
        rows = s->inner, cols = s->hidden;
        break;
    case PLIM_ROLE_UP_BIAS:
        rows = s->mlp_bias ? s->inner : 0;
        break;
    case PLIM_ROLE_DOWN:
        rows = s->hidden, cols = s->inner;
        break;
    case PLIM_ROLE_DOWN_BIAS:
        rows = s->mlp_bias ? s->hidden : 0;
        break;
    case PLIM_ROLE_COUNT:
        break;
    }
    if (!rows)
        return false;
    bool table = role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION || role == PLIM_ROLE_HEAD;
    bool swap = cols && !table && s->layout == PLIM_IN_OUT;
    *out = (plim_shape){.rank = cols ? 2 : 1, .dim = {swap ? cols : rows, swap ? rows : cols}};
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
    k->by_role[(size_t)layer * PLIM_ROLE_COUNT + role] = k->slot_count++;
    return PLIM_OK;
}

static plim_status add_slots(plim_skeleton *k, plim_error *err)
{
    static const plim_role before[] = {PLIM_ROLE_EMBED, PLIM_ROLE_POSITION};
    static const plim_role after[] = {PLIM_ROLE_FINAL_NORM, PLIM_ROLE_FINAL_NORM_BIAS,
                                      PLIM_ROLE_HEAD};
    size_t rows = k->spec.layers;
    size_t most = rows * (PLIM_ROLE_COUNT - PLIM_ROLE_LAST_GLOBAL - 1) + PLIM_ROLE_LAST_GLOBAL + 1;
    k->slots = plim_arena_new(&k->arena, most, sizeof *k->slots, err);
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

bool plim_scratch_plan(const plim_spec *spec, const plim_session_size *size,
                       plim_scratch_layout *out)
{
    uint64_t q = (uint64_t)spec->heads * spec->head_dim,
             kv = (uint64_t)spec->kv_heads * spec->head_dim;
    uint64_t rows = size->chunk, cursor = 0;
    uint64_t vec = spec->inner > q + 2 * kv ? spec->inner : q + 2 * kv;
    vec = vec > spec->hidden ? vec : spec->hidden;
    out->logit_rows = rows < PLIM_LOGIT_ROWS ? (uint32_t)rows : PLIM_LOGIT_ROWS;
    bool ok = place(&cursor, rows, spec->hidden, &out->x) &&
              place(&cursor, rows, spec->hidden, &out->h) &&
              place(&cursor, rows, q + 2 * kv, &out->qkv) && place(&cursor, rows, q, &out->attn) &&
              place(&cursor, rows, spec->inner, &out->up) &&
              place(&cursor, rows, spec->gated ? spec->inner : 0, &out->gate) &&
              place(&cursor, rows, spec->rope.half, &out->cos) &&
              place(&cursor, rows, spec->rope.half, &out->sin) &&
              place(&cursor, 1, vec, &out->vec) && place(&cursor, 1, vec, &out->vec2) &&
              place(&cursor, out->logit_rows, spec->hidden, &out->head) &&
              place(&cursor, out->logit_rows, spec->vocab, &out->logits);
    out->total = cursor;
    return ok && cursor <= UINT64_MAX / sizeof(float);
}
