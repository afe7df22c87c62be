/* SPDX-License-Identifier: Apache-2.0
 *
 * What a family file gives: how its config.json becomes a spec, and which stored name plays which
 * role. */
#ifndef PLIM_MODEL_FAMILY_H
#define PLIM_MODEL_FAMILY_H

#include "model/spec.h"

/* The part a tensor plays.  Those up to PLIM_ROLE_LAST_GLOBAL exist once, the others once per
 * layer. */
typedef enum plim_role {
    PLIM_ROLE_EMBED,
    PLIM_ROLE_POSITION,
    PLIM_ROLE_FINAL_NORM,
    PLIM_ROLE_FINAL_NORM_BIAS,
    PLIM_ROLE_HEAD,
    PLIM_ROLE_ATTN_NORM,
    PLIM_ROLE_ATTN_NORM_BIAS,
    PLIM_ROLE_QKV,
    PLIM_ROLE_QKV_BIAS,
    PLIM_ROLE_Q,
    PLIM_ROLE_Q_BIAS,
    PLIM_ROLE_K,
    PLIM_ROLE_K_BIAS,
    PLIM_ROLE_V,
    PLIM_ROLE_V_BIAS,
    PLIM_ROLE_Q_NORM,
    PLIM_ROLE_K_NORM,
    PLIM_ROLE_ATTN_OUT,
    PLIM_ROLE_ATTN_OUT_BIAS,
    PLIM_ROLE_MLP_NORM,
    PLIM_ROLE_MLP_NORM_BIAS,
    PLIM_ROLE_GATE,
    PLIM_ROLE_GATE_BIAS,
    PLIM_ROLE_UP,
    PLIM_ROLE_UP_BIAS,
    PLIM_ROLE_DOWN,
    PLIM_ROLE_DOWN_BIAS,
    PLIM_ROLE_COUNT,
    PLIM_ROLE_LAST_GLOBAL = PLIM_ROLE_HEAD
} plim_role;

typedef struct plim_family {
    const char *model_types[5];         /* NULL-terminated */
    const char *base_prefix;            /* "model.": names may come with it or without */
    const char *names[PLIM_ROLE_COUNT]; /* full names, "%u" is the layer; NULL: no such role */
    const char *ignored[4]; /* substrings of unexpected names that are no cause for a word */
    plim_status (*read)(plim_spec *spec, const plim_config *config, plim_error *err);
} plim_family;

extern const plim_family plim_family_gpt2;  /* families/gpt2.c */
extern const plim_family plim_family_llama; /* families/llama.c: llama, mistral, qwen2, qwen3 */

/* NULL when no family knows this model_type. */
const plim_family *plim_family_find(const char *model_type);

/* "gpt2, llama, ...": for messages.  Returns out. */
char *plim_family_list(char *out, size_t cap);

#endif
