/* SPDX-License-Identifier: Apache-2.0
 *
 * Options structs: their defaults, and reading one of whatever size the caller was compiled with.
 */
#include <math.h>
#include <string.h>

#include "api/handles.h"

/* Fill options[size] with `defaults`; every options struct begins with its size. */
static void init(void *options, size_t size, const void *defaults, size_t known)
{
    memset(options, 0, size);
    memcpy(options, defaults, size < known ? size : known);
    if (size >= sizeof size)
        memcpy(options, &size, sizeof size);
}

void plim_context_options_init_sized(plim_context_options *options, size_t size)
{
    plim_context_options defaults = {.cpu_mask = PLIM_CPU_ALL};
    init(options, size, &defaults, sizeof defaults);
}

void plim_model_options_init_sized(plim_model_options *options, size_t size)
{
    plim_model_options defaults = {.low_cpu_mem_usage = 1, .sessions = 1};
    init(options, size, &defaults, sizeof defaults);
}

void plim_generate_options_init_sized(plim_generate_options *options, size_t size)
{
    plim_generate_options defaults = {.max_length = -1,
                                      .max_new_tokens = -1,
                                      .do_sample = -1,
                                      .temperature = NAN,
                                      .top_k = -1,
                                      .top_p = NAN,
                                      .min_p = NAN,
                                      .repetition_penalty = NAN};
    init(options, size, &defaults, sizeof defaults);
}

void plim_synth_options_init_sized(plim_synth_options *options, size_t size)
{
    plim_synth_options defaults = {0};
    init(options, size, &defaults, sizeof defaults);
}

void plim_convert_options_init_sized(plim_convert_options *options, size_t size)
{
    plim_convert_options defaults = {0};
    init(options, size, &defaults, sizeof defaults);
}

/* Copy what the caller's struct has over the defaults in out[known]. */
static plim_status take(void *out, size_t known, const void *options, plim_error *err)
{
    size_t size;
    if (!options)
        return PLIM_OK;
    memcpy(&size, options, sizeof size);
    if (size <= sizeof size)
        return plim_fail(err, PLIM_E_USAGE,
                         "options of size %zu were not filled by their _init macro", size);
    memcpy(out, options, size < known ? size : known);
    memcpy(out, &known, sizeof known);
    return PLIM_OK;
}

plim_status plim_context_options_take(plim_context_options *out,
                                      const plim_context_options *options, plim_error *err)
{
    plim_context_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_model_options_take(plim_model_options *out, const plim_model_options *options,
                                    plim_error *err)
{
    plim_model_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_generate_options_take(plim_generate_options *out,
                                       const plim_generate_options *options, plim_error *err)
{
    plim_generate_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_synth_options_take(plim_synth_options *out, const plim_synth_options *options,
                                    plim_error *err)
{
    plim_synth_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_convert_options_take(plim_convert_options *out,
                                      const plim_convert_options *options, plim_error *err)
{
    plim_convert_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_encode_options_take(plim_encode_options *out, const plim_encode_options *options,
                                     plim_error *err)
{
    plim_encode_options_init(out);
    return take(out, sizeof *out, options, err);
}

plim_status plim_chat_options_take(plim_chat_options *out, const plim_chat_options *options,
                                   plim_error *err)
{
    plim_chat_options_init(out);
    return take(out, sizeof *out, options, err);
}
