/* SPDX-License-Identifier: Apache-2.0
 *
 * quantization_config of a config.json: whether what is stored is something that we can run, or
 * why not.  What a matrix really is, its stored names and shapes say (match.c). */
#include "model/quantization.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ROOT   "quantization_config"
#define GROUPS ROOT ".config_groups."

static void refuse(plim_quantization *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first reason counts. */
static void refuse(plim_quantization *q, const char *format, ...)
{
    va_list args;
    if (q->refusal[0])
        return;
    va_start(args, format);
    vsnprintf(q->refusal, sizeof q->refusal, format, args);
    va_end(args);
}

static bool is_text(const plim_config_value *v, const char *text)
{
    return v->kind == PLIM_JSON_STRING && !strcmp(v->text, text);
}

/* A value in words, for a message. */
static const char *words_of(const plim_config_value *v)
{
    return v->kind == PLIM_JSON_STRING || v->kind == PLIM_JSON_NUMBER
               ? v->text
               : plim_json_event_name(v->kind);
}

/* A setting of a group of modules. */
static void check_group(plim_quantization *q, const plim_config_value *v)
{
    static const struct {
        const char *end, *want, *or_want; /* NULL: no such choice */
    } known[] = {{".weights.num_bits", "4", "8"},
                 {".weights.group_size", "32", NULL},
                 {".weights.type", "int", NULL},
                 {".weights.strategy", "group", NULL},
                 {".weights.actorder", "static", "weight"},
                 {".format", "pack-quantized", "dense"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (plim_ends_with(v->path, known[i].end) && v->kind != PLIM_JSON_NULL &&
            v->kind != PLIM_JSON_FALSE && strcmp(words_of(v), known[i].want) != 0 &&
            (!known[i].or_want || strcmp(words_of(v), known[i].or_want) != 0))
            refuse(q, "compressed-tensors with %s %.40s", known[i].end + 1, words_of(v));
    if (plim_ends_with(v->path, ".weights.num_bits")) {
        q->four |= !strcmp(words_of(v), "4");
        q->eight |= !strcmp(words_of(v), "8");
    }
    if (plim_ends_with(v->path, ".weights.symmetric") && v->kind == PLIM_JSON_FALSE)
        refuse(q, "compressed-tensors that are not symmetric");
    if ((plim_ends_with(v->path, ".input_activations") ||
         plim_ends_with(v->path, ".output_activations")) &&
        v->kind != PLIM_JSON_NULL)
        refuse(q, "compressed-tensors with quantised activations");
}

static void check_compressed(plim_quantization *q, const plim_config *config)
{
    const plim_config_value *format = plim_config_find(config, ROOT ".format");
    if (format && !is_text(format, "pack-quantized") && !is_text(format, "dense"))
        refuse(q, "compressed-tensors of format '%.40s'", words_of(format));
    for (size_t i = 0; i < config->count; i++) {
        const plim_config_value *v = &config->values[i];
        if (plim_begins_with(v->path, GROUPS))
            check_group(q, v);
        if (plim_begins_with(v->path, ROOT ".transform_config."))
            refuse(q, "compressed-tensors with a transform_config");
    }
    if (plim_config_find(config, ROOT ".kv_cache_scheme"))
        refuse(q, "compressed-tensors with a kv_cache_scheme");
    const plim_config_value *sparse = plim_config_find(config, ROOT ".sparsity_config.format");
    if (sparse && !is_text(sparse, "dense"))
        refuse(q, "compressed-tensors that are sparse (%.40s)", words_of(sparse));
}

void plim_quantization_read(plim_quantization *out, const plim_config *config)
{
    *out = (plim_quantization){.there = plim_config_find(config, ROOT) != NULL};
    const plim_config_value *method = plim_config_find(config, ROOT ".quant_method");
    if (!out->there)
        return;
    if (!method)
        refuse(out, "a quantization_config without quant_method");
    else if (is_text(method, "compressed-tensors"))
        check_compressed(out, config);
    else
        refuse(out, "quant_method '%.40s'", words_of(method));
}
