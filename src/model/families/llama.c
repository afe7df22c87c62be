/* SPDX-License-Identifier: Apache-2.0
 *
 * The Llama family (Touvron et al. 2023) and those that differ from it by switches only: Mistral
 * (sliding window), Qwen 2 (biases, some layers slide) and Qwen 3 (norms of q and k). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/family.h"

/* What a member assumes where its config.json is silent (Transformers' configuration classes). */
typedef struct member {
    const char *model_type;
    uint32_t vocab, inner, kv_heads, max_positions, head_dim; /* 0: derived */
    bool qkv_bias;                                            /* always */
    bool attention_bias;                                      /* honours the key, for q k v and o */
    bool mlp_bias;                                            /* honours the key */
    bool qk_norm;
    uint32_t window;     /* default; 0: none */
    bool chooses_layers; /* honours use_sliding_window and max_window_layers */
    bool divides;        /* hidden_size must be a multiple of the heads */
} member;

static const member members[] = {
    {.model_type = "llama",
     .vocab = 32000,
     .inner = 11008,
     .max_positions = 2048,
     .attention_bias = true,
     .mlp_bias = true,
     .divides = true},
    {.model_type = "mistral",
     .vocab = 32000,
     .inner = 14336,
     .kv_heads = 8,
     .max_positions = 131072,
     .window = 4096},
    {.model_type = "qwen2",
     .vocab = 151936,
     .inner = 22016,
     .kv_heads = 32,
     .max_positions = 32768,
     .qkv_bias = true,
     .chooses_layers = true,
     .window = 4096},
    {.model_type = "qwen3",
     .vocab = 151936,
     .inner = 22016,
     .kv_heads = 32,
     .max_positions = 32768,
     .head_dim = 128,
     .attention_bias = true,
     .qk_norm = true,
     .chooses_layers = true,
     .window = 4096},
};

static bool is_null(const plim_config *c, const char *key, bool *present)
{
    /* plim_config_find hides nulls; a null and a missing key differ where the default is not
     * "none". */
    *present = false;
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->values[i].path, key)) {
            *present = true;
            return c->values[i].kind == PLIM_JSON_NULL;
        }
    return false;
}

static plim_status read_sizes(plim_spec *s, const member *m, const plim_config *c, plim_error *err)
{
    s->vocab = m->vocab, s->hidden = 4096, s->layers = 32, s->heads = 32, s->inner = m->inner;
    s->max_positions = m->max_positions;
    plim_status status;
    if ((status = plim_config_u32(c, "vocab_size", 1, PLIM_MAX_VOCAB, &s->vocab, err)) ||
        (status = plim_config_u32(c, "hidden_size", 1, PLIM_MAX_WIDTH, &s->hidden, err)) ||
        (status = plim_config_u32(c, "num_hidden_layers", 1, PLIM_MAX_LAYERS, &s->layers, err)) ||
        (status = plim_config_u32(c, "num_attention_heads", 1, PLIM_MAX_WIDTH, &s->heads, err)) ||
        (status = plim_config_u32(c, "intermediate_size", 1, PLIM_MAX_WIDTH, &s->inner, err)) ||
        (status = plim_config_u32(c, "max_position_embeddings", 1, PLIM_MAX_POSITIONS,
                                  &s->max_positions, err)))
        return status;
    bool present, null = is_null(c, "num_key_value_heads", &present);
    s->kv_heads = m->kv_heads && !null ? m->kv_heads : s->heads;
    if ((status = plim_config_u32(c, "num_key_value_heads", 1, PLIM_MAX_WIDTH, &s->kv_heads, err)))
        return status;
    if (s->heads % s->kv_heads)
        return plim_config_fail(
            c, plim_config_find(c, "num_key_value_heads"), err, PLIM_E_MISMATCH,
            "num_attention_heads %u is not a multiple of num_key_value_heads %u", s->heads,
            s->kv_heads);
    null = is_null(c, "head_dim", &present);
    s->head_dim = m->head_dim && !null ? m->head_dim : s->hidden / s->heads;
    bool derived = !m->head_dim && (!present || null);
    if ((status = plim_config_u32(c, "head_dim", 1, PLIM_MAX_HEAD_DIM, &s->head_dim, err)))
        return status;
    if (s->hidden % s->heads && (m->divides || derived))
        return plim_config_fail(c, plim_config_find(c, "num_attention_heads"), err, PLIM_E_MISMATCH,
                                "hidden_size %u is not a multiple of num_attention_heads %u",
                                s->hidden, s->heads);
    if (s->head_dim < 2 || s->head_dim % 2 || s->head_dim > PLIM_MAX_HEAD_DIM)
        return plim_config_fail(c, plim_config_find(c, "head_dim"), err, PLIM_E_FORMAT,
                                "head_dim is %u, want an even number up to %u: rope turns pairs",
                                s->head_dim, PLIM_MAX_HEAD_DIM);
    return PLIM_OK;
}

/* One entry of layer_types for each layer. */
static plim_status read_layer_types(plim_spec *s, const plim_config *c,
                                    const plim_config_value *types, plim_error *err)
{
    if (types->kind != PLIM_JSON_ARRAY || types->count != s->layers)
        return plim_config_fail(
            c, types, err, PLIM_E_MISMATCH,
            "layer_types must be a list with one entry for each of the %u layers, found %s of %zu",
            s->layers, plim_json_event_name(types->kind), types->count);
    for (uint32_t i = 0; i < s->layers; i++) {
        char key[64];
        const char *type = NULL;
        snprintf(key, sizeof key, "layer_types[%u]", i);
        plim_status status = plim_config_text(c, key, &type, err);
        if (status)
            return status;
        bool slides = type && !strcmp(type, "sliding_attention");
        bool full = type && (!strcmp(type, "full_attention") ||
                             !strcmp(type, "attention")); /* the older name */
        if (!slides && !full)
            return plim_config_fail(c, plim_config_find(c, key), err, PLIM_E_UNSUP,
                                    "%s is '%s'; known are full_attention and sliding_attention",
                                    key, type ? type : "null");
        if (slides && !s->window)
            return plim_config_fail(
                c, types, err, PLIM_E_MISMATCH,
                "%s slides, but there is no window: use_sliding_window is false or "
                "sliding_window null",
                key);
        s->slides[i] = slides;
    }
    return PLIM_OK;
}

/* Which layers slide: what layer_types says (a Mistral with it is a Ministral to AutoModel); else
 * Qwen's from max_window_layers on, where use_sliding_window is true; else all. */
static plim_status read_window(plim_spec *s, const member *m, const plim_config *c, plim_error *err)
{
    if (!m->window)
        return PLIM_OK;
    bool present, null = is_null(c, "sliding_window", &present);
    s->window = null ? 0 : m->window;
    plim_status status = plim_config_u32(c, "sliding_window", 1, UINT32_MAX, &s->window, err);
    if (status)
        return status;
    bool use = !m->chooses_layers;
    uint32_t from = m->chooses_layers ? 28 : 0;
    if (m->chooses_layers &&
        ((status = plim_config_bool(c, "use_sliding_window", &use, err)) ||
         (status = plim_config_u32(c, "max_window_layers", 0, UINT32_MAX, &from, err))))
        return status;
    if (!use)
        s->window = 0;
    const plim_config_value *types = plim_config_find(c, "layer_types");
    if (types)
        return read_layer_types(s, c, types, err);
    for (uint32_t i = 0; i < s->layers; i++)
        s->slides[i] = s->window && i >= from;
    return PLIM_OK;
}

static plim_status read(plim_spec *s, const plim_config *c, plim_error *err)
{
    const member *m = &members[0];
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!strcmp(members[i].model_type, s->model_type))
            m = &members[i];
    double eps = 1e-6;
    bool attention_bias = false, mlp_bias = false, causal = true;
    plim_status status;
    if ((status = read_sizes(s, m, c, err)) ||
        (status = plim_config_f64(c, "rms_norm_eps", 0, 1, &eps, err)) ||
        (status = plim_config_bool(c, "tie_word_embeddings", &s->tied, err)) ||
        (status = plim_config_bool(c, "attention_bias", &attention_bias, err)) ||
        (status = plim_config_bool(c, "mlp_bias", &mlp_bias, err)) ||
        (status = plim_config_bool(c, "is_causal", &causal, err)))
        return status;
    if (!causal)
        return plim_config_fail(c, plim_config_find(c, "is_causal"), err, PLIM_E_UNSUP,
                                "is_causal is false: not a model that generates text");
    s->activation = PLIM_ACT_SILU;
    if ((status = plim_activation_parse(&s->activation, c, "hidden_act", err)) ||
        (status = plim_rope_read(&s->rope, c, s->head_dim, s->max_positions, err)) ||
        (status = read_window(s, m, c, err)))
        return status;
    s->norm = PLIM_NORM_RMS;
    s->norm_eps = (float)eps;
    s->positions = PLIM_POSITIONS_ROPE;
    s->gated = true;
    s->qkv_bias = m->qkv_bias || (m->attention_bias && attention_bias);
    s->attn_out_bias = m->attention_bias && attention_bias;
    s->mlp_bias = m->mlp_bias && mlp_bias;
    s->qk_norm = m->qk_norm;
    s->layout = PLIM_OUT_IN;
    s->attn_scale = (float)(1 / sqrt(s->head_dim));
    return PLIM_OK;
}

const plim_family plim_family_llama = {
    .model_types = {"llama", "mistral", "qwen2", "qwen3"},
    .base_prefix = "model.",
    .names =
        {
            [PLIM_ROLE_EMBED] = "model.embed_tokens.weight",
            [PLIM_ROLE_FINAL_NORM] = "model.norm.weight",
            [PLIM_ROLE_HEAD] = "lm_head.weight",
            [PLIM_ROLE_ATTN_NORM] = "model.layers.%u.input_layernorm.weight",
            [PLIM_ROLE_Q] = "model.layers.%u.self_attn.q_proj.weight",
            [PLIM_ROLE_Q_BIAS] = "model.layers.%u.self_attn.q_proj.bias",
            [PLIM_ROLE_K] = "model.layers.%u.self_attn.k_proj.weight",
            [PLIM_ROLE_K_BIAS] = "model.layers.%u.self_attn.k_proj.bias",
            [PLIM_ROLE_V] = "model.layers.%u.self_attn.v_proj.weight",
            [PLIM_ROLE_V_BIAS] = "model.layers.%u.self_attn.v_proj.bias",
            [PLIM_ROLE_Q_NORM] = "model.layers.%u.self_attn.q_norm.weight",
            [PLIM_ROLE_K_NORM] = "model.layers.%u.self_attn.k_norm.weight",
            [PLIM_ROLE_ATTN_OUT] = "model.layers.%u.self_attn.o_proj.weight",
            [PLIM_ROLE_ATTN_OUT_BIAS] = "model.layers.%u.self_attn.o_proj.bias",
            [PLIM_ROLE_MLP_NORM] = "model.layers.%u.post_attention_layernorm.weight",
            [PLIM_ROLE_GATE] = "model.layers.%u.mlp.gate_proj.weight",
            [PLIM_ROLE_GATE_BIAS] = "model.layers.%u.mlp.gate_proj.bias",
            [PLIM_ROLE_UP] = "model.layers.%u.mlp.up_proj.weight",
            [PLIM_ROLE_UP_BIAS] = "model.layers.%u.mlp.up_proj.bias",
            [PLIM_ROLE_DOWN] = "model.layers.%u.mlp.down_proj.weight",
            [PLIM_ROLE_DOWN_BIAS] = "model.layers.%u.mlp.down_proj.bias",
        },
    .ignored = {"rotary_emb.inv_freq"},
    .read = read,
};
