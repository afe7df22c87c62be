/* SPDX-License-Identifier: Apache-2.0
 *
 * GPT-2 (Radford et al. 2019), as GPT2LMHeadModel reads it: learned positions, LayerNorm, Conv1D
 * weights stored [in, out], q k v in one. */
#include <math.h>

#include "model/family.h"

/* A size under GPT-2's own name, or under the general one (Transformers' attribute_map). */
static plim_status either(const plim_config *c, const char *own, const char *general, uint32_t max,
                          uint32_t *out, plim_error *err)
{
    plim_status status = plim_config_u32(c, general, 1, max, out, err);
    return status ? status : plim_config_u32(c, own, 1, max, out, err);
}

static plim_status read(plim_spec *s, const plim_config *c, plim_error *err)
{
    s->vocab = 50257, s->hidden = 768, s->layers = 12, s->heads = 12, s->max_positions = 1024;
    double eps = 1e-5;
    bool scale = true, by_layer = false, cross = false;
    plim_status status;
    s->tied = true;
    if ((status = plim_config_u32(c, "vocab_size", 1, PLIM_MAX_VOCAB, &s->vocab, err)) ||
        (status = either(c, "n_embd", "hidden_size", PLIM_MAX_WIDTH, &s->hidden, err)) ||
        (status = either(c, "n_layer", "num_hidden_layers", PLIM_MAX_LAYERS, &s->layers, err)) ||
        (status = either(c, "n_head", "num_attention_heads", PLIM_MAX_WIDTH, &s->heads, err)) ||
        (status = either(c, "n_positions", "max_position_embeddings", PLIM_MAX_POSITIONS,
                         &s->max_positions, err)))
        return status;
    s->inner = s->hidden <= PLIM_MAX_WIDTH / 4 ? 4 * s->hidden : PLIM_MAX_WIDTH;
    if ((status = plim_config_u32(c, "n_inner", 1, PLIM_MAX_WIDTH, &s->inner, err)) ||
        (status = plim_config_f64(c, "layer_norm_epsilon", 0, 1, &eps, err)) ||
        (status = plim_config_bool(c, "scale_attn_weights", &scale, err)) ||
        (status = plim_config_bool(c, "scale_attn_by_inverse_layer_idx", &by_layer, err)) ||
        (status = plim_config_bool(c, "add_cross_attention", &cross, err)) ||
        (status = plim_config_bool(c, "tie_word_embeddings", &s->tied, err)))
        return status;
    s->activation = PLIM_ACT_GELU_TANH;
    if ((status = plim_activation_parse(&s->activation, c, "activation_function", err)))
        return status;
    if (cross)
        return plim_config_fail(
            c, plim_config_find(c, "add_cross_attention"), err, PLIM_E_UNSUP,
            "add_cross_attention is not supported: there is no encoder to attend to");
    if (s->hidden % s->heads)
        return plim_config_fail(c, plim_config_find(c, "n_head"), err, PLIM_E_MISMATCH,
                                "n_embd %u is not a multiple of n_head %u", s->hidden, s->heads);
    s->kv_heads = s->heads;
    s->head_dim = s->hidden / s->heads;
    s->max_positions_hard = true;
    s->positions = PLIM_POSITIONS_LEARNED;
    s->norm = PLIM_NORM_LAYER;
    s->norm_eps = (float)eps;
    s->layout = PLIM_IN_OUT;
    s->fused_qkv = s->qkv_bias = s->attn_out_bias = s->mlp_bias = true;
    s->attn_scale = scale ? (float)(1 / sqrt(s->head_dim)) : 1.0f;
    s->attn_scale_by_layer = by_layer;
    return PLIM_OK;
}

const plim_family plim_family_gpt2 = {
    .model_types = {"gpt2"},
    .base_prefix = "transformer.",
    .names =
        {
            [PLIM_ROLE_EMBED] = "transformer.wte.weight",
            [PLIM_ROLE_POSITION] = "transformer.wpe.weight",
            [PLIM_ROLE_FINAL_NORM] = "transformer.ln_f.weight",
            [PLIM_ROLE_FINAL_NORM_BIAS] = "transformer.ln_f.bias",
            [PLIM_ROLE_HEAD] = "lm_head.weight",
            [PLIM_ROLE_ATTN_NORM] = "transformer.h.%u.ln_1.weight",
            [PLIM_ROLE_ATTN_NORM_BIAS] = "transformer.h.%u.ln_1.bias",
            [PLIM_ROLE_QKV] = "transformer.h.%u.attn.c_attn.weight",
            [PLIM_ROLE_QKV_BIAS] = "transformer.h.%u.attn.c_attn.bias",
            [PLIM_ROLE_ATTN_OUT] = "transformer.h.%u.attn.c_proj.weight",
            [PLIM_ROLE_ATTN_OUT_BIAS] = "transformer.h.%u.attn.c_proj.bias",
            [PLIM_ROLE_MLP_NORM] = "transformer.h.%u.ln_2.weight",
            [PLIM_ROLE_MLP_NORM_BIAS] = "transformer.h.%u.ln_2.bias",
            [PLIM_ROLE_UP] = "transformer.h.%u.mlp.c_fc.weight",
            [PLIM_ROLE_UP_BIAS] = "transformer.h.%u.mlp.c_fc.bias",
            [PLIM_ROLE_DOWN] = "transformer.h.%u.mlp.c_proj.weight",
            [PLIM_ROLE_DOWN_BIAS] = "transformer.h.%u.mlp.c_proj.bias",
        },
    .ignored = {"attn.bias", "attn.masked_bias"}, /* masks that old files stored */
    .read = read,
};
