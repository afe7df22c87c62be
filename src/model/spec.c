/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json → spec, by the family that knows its model_type. */
#include "model/spec.h"

#include <stdio.h>
#include <string.h>

#include "model/family.h"

static const plim_family *const families[] = {&plim_family_gpt2, &plim_family_llama};

const plim_family *plim_family_find(const char *model_type)
{
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (size_t i = 0; families[f]->model_types[i]; i++)
            if (!strcmp(families[f]->model_types[i], model_type))
                return families[f];
    return NULL;
}

char *plim_family_list(char *out, size_t cap)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (size_t i = 0; families[f]->model_types[i] && used < cap; i++)
            used += (size_t)snprintf(out + used, cap - used, "%s%s", used ? ", " : "",
                                     families[f]->model_types[i]);
    return out;
}

plim_status plim_activation_parse(plim_activation *out, const plim_config *config, const char *key,
                                  plim_error *err)
{
    static const struct {
        const char *name;
        plim_activation act;
    } known[] = {{"gelu", PLIM_ACT_GELU},
                 {"gelu_python", PLIM_ACT_GELU},
                 {"gelu_new", PLIM_ACT_GELU_TANH},
                 {"gelu_fast", PLIM_ACT_GELU_TANH},
                 {"gelu_accurate", PLIM_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", PLIM_ACT_GELU_TANH},
                 {"gelu_python_tanh", PLIM_ACT_GELU_TANH},
                 {"quick_gelu", PLIM_ACT_QUICK_GELU},
                 {"relu", PLIM_ACT_RELU},
                 {"relu2", PLIM_ACT_RELU2},
                 {"relu6", PLIM_ACT_RELU6},
                 {"silu", PLIM_ACT_SILU},
                 {"swish", PLIM_ACT_SILU},
                 {"tanh", PLIM_ACT_TANH},
                 {"sigmoid", PLIM_ACT_SIGMOID},
                 {"linear", PLIM_ACT_IDENTITY},
                 {"leaky_relu", PLIM_ACT_LEAKY_RELU},
                 {"mish", PLIM_ACT_MISH},
                 {"gelu_10", PLIM_ACT_GELU_10},
                 {"hardswish", PLIM_ACT_HARDSWISH},
                 {"laplace", PLIM_ACT_LAPLACE},
                 {"sqrtsoftplus", PLIM_ACT_SQRT_SOFTPLUS}};
    const char *name = NULL;
    plim_status status = plim_config_text(config, key, &name, err);
    if (status || !name)
        return status;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) {
            *out = known[i].act;
            return PLIM_OK;
        }
    char list[400];
    size_t used = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i].name);
    return plim_config_fail(config, plim_config_find(config, key), err, PLIM_E_UNSUP,
                            "%s '%.60s' is not supported; known are %s", key, name, list);
}

/* torch_dtype, or the newer `dtype`. */
static plim_status read_dtype(plim_spec *spec, const plim_config *config, plim_error *err)
{
    static const char *const keys[] = {"torch_dtype", "dtype"};
    for (size_t i = 0; i < 2; i++) {
        const plim_config_value *v = plim_config_find(config, keys[i]);
        if (!v || (v->kind == PLIM_JSON_STRING && !strcmp(v->text, "auto")))
            continue;
        if (v->kind != PLIM_JSON_STRING || plim_dtype_parse(&spec->config_dtype, v->text, NULL))
            return plim_config_fail(config, v, err, PLIM_E_FORMAT,
                                    "%s must be the name of a type such as \"bfloat16\"", keys[i]);
    }
    return PLIM_OK;
}

plim_status plim_spec_read(plim_spec *out, const plim_family **family, const plim_config *config,
                           plim_error *err)
{
    *out = (plim_spec){0};
    *family = NULL;
    const char *type = NULL;
    plim_status status;
    if ((status = plim_config_text(config, "model_type", &type, err)) ||
        (status = read_dtype(out, config, err)))
        return status;
    if (!type)
        return PLIM_OK;
    snprintf(out->model_type, sizeof out->model_type, "%s", type);
    *family = plim_family_find(type);
    if (!*family)
        return PLIM_OK;
    return (*family)->read(out, config, err);
}
