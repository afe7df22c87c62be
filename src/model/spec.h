/* SPDX-License-Identifier: Apache-2.0
 *
 * The spec: what the forward pass needs to know of a model, whatever its family. */
#ifndef PLIM_MODEL_SPEC_H
#define PLIM_MODEL_SPEC_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "tensor/weight.h"

#define PLIM_MAX_LAYERS    4096u
#define PLIM_MAX_HEAD_DIM  1024u
#define PLIM_MAX_WIDTH     (1u << 20) /* hidden, intermediate */
#define PLIM_MAX_VOCAB     (1u << 24)
#define PLIM_MAX_POSITIONS (1u << 28)

typedef enum plim_norm { PLIM_NORM_RMS, PLIM_NORM_LAYER } plim_norm;
typedef enum plim_positions { PLIM_POSITIONS_ROPE, PLIM_POSITIONS_LEARNED } plim_positions;

/* Rotary embedding: angle of pair i at position p is p * inv_freq[i]; cos and sin are multiplied by
 * `scale`. */
typedef struct plim_rope {
    uint32_t half; /* pairs; the rotation covers the first 2 * half of a head */
    float scale;
    float inv_freq[PLIM_MAX_HEAD_DIM / 2];
} plim_rope;

typedef struct plim_spec {
    char model_type[64];
    plim_dtype config_dtype; /* AUTO when config.json names none */
    uint32_t vocab, hidden, layers, heads, kv_heads, head_dim, inner; /* inner: of the MLP */
    uint32_t max_positions;  /* what the model was made for */
    bool max_positions_hard; /* learned positions: there are no more */
    plim_norm norm;
    float norm_eps;
    plim_positions positions;
    plim_rope rope;
    plim_activation activation;
    bool gated;     /* act(gate) * up, else act(up) */
    bool fused_qkv; /* one weight with q, k, v side by side */
    bool qkv_bias, attn_out_bias, mlp_bias;
    bool qk_norm;       /* RMS norm of each head of q and k, before rope */
    bool tied;          /* the head is the embedding, unless it is stored */
    plim_layout layout; /* of the projections */
    float attn_scale;
    bool attn_scale_by_layer; /* divided by layer + 1 */
    uint32_t window; /* of the layers that slide; a row sees itself and window - 1 before it */
    uint8_t slides[PLIM_MAX_LAYERS]; /* per layer: 1 when it slides */
} plim_spec;

/* Names of ACT2FN in Transformers -> *out.  UNSUP names what is known. */
plim_status plim_activation_parse(plim_activation *out, const plim_config *config, const char *key,
                                  plim_error *err);

/* The rotary settings of either generation of config files (rope_theta + rope_scaling,
 * rope_parameters). FORMAT for an unknown type, UNSUP for `dynamic` and `longrope`. */
plim_status plim_rope_read(plim_rope *out, const plim_config *config, uint32_t head_dim,
                           uint32_t max_positions, plim_error *err);

/* Reads config.json's values into a spec.  *family is NULL when model_type is not known: then only
 * model_type and config_dtype are filled, and that is no error.  FORMAT, LIMIT, UNSUP, MISMATCH. */
struct plim_family;
plim_status plim_spec_read(plim_spec *out, const struct plim_family **family,
                           const plim_config *config, plim_error *err);

#endif
