/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary frequencies: default, linear, llama3 (Llama 3.1's), yarn (Peng et al. 2023), computed in
 * the precision in which Transformers computes them (float32 frequencies, double for yarn's
 * bounds). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/spec.h"

typedef struct rope_reader {
    const plim_config *config;
    const char *group; /* "rope_scaling", "rope_parameters" or NULL */
    double theta;
    double original; /* original_max_position_embeddings */
    double max_positions;
} rope_reader;

static plim_status group_f64(const rope_reader *r, const char *key, double min, double max,
                             double *out, plim_error *err)
{
    char path[96];
    snprintf(path, sizeof path, "%s.%s", r->group, key);
    return plim_config_f64(r->config, path, min, max, out, err);
}

static plim_status need_f64(const rope_reader *r, const char *key, double min, double max,
                            double *out, plim_error *err)
{
    char path[96];
    snprintf(path, sizeof path, "%s.%s", r->group, key);
    if (!plim_config_find(r->config, path))
        return plim_config_fail(r->config, plim_config_find(r->config, r->group), err,
                                PLIM_E_FORMAT, "%s has no %s", r->group, key);
    return plim_config_f64(r->config, path, min, max, out, err);
}

static void default_frequencies(plim_rope *rope, double theta)
{
    uint32_t dim = 2 * rope->half;
    for (uint32_t i = 0; i < rope->half; i++) {
        float exponent = (float)(2 * i) / (float)dim;
        rope->inv_freq[i] = 1.0f / (float)pow(theta, exponent);
    }
}

static plim_status linear(plim_rope *rope, const rope_reader *r, plim_error *err)
{
    double factor = 1;
    plim_status status = need_f64(r, "factor", 1e-6, 1e9, &factor, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < rope->half; i++)
        rope->inv_freq[i] /= (float)factor;
    return PLIM_OK;
}

/* Long wavelengths are stretched by `factor`, short ones are kept, those between are blended. */
static plim_status llama3(plim_rope *rope, const rope_reader *r, plim_error *err)
{
    double factor = 1, low = 1, high = 4;
    plim_status status;
    if ((status = need_f64(r, "factor", 1e-6, 1e9, &factor, err)) ||
        (status = need_f64(r, "low_freq_factor", 1e-6, 1e9, &low, err)) ||
        (status = need_f64(r, "high_freq_factor", 1e-6, 1e9, &high, err)))
        return status;
    float low_wavelength = (float)(r->original / low),
          high_wavelength = (float)(r->original / high);
    for (uint32_t i = 0; i < rope->half; i++) {
        float freq = rope->inv_freq[i], wavelength = (float)(2 * M_PI) / freq;
        float scaled = wavelength > low_wavelength ? freq / (float)factor : freq;
        if (wavelength >= high_wavelength && wavelength <= low_wavelength) {
            float smooth = ((float)r->original / wavelength - (float)low) / (float)(high - low);
            scaled = (1 - smooth) * scaled / (float)factor + smooth * scaled;
        }
        rope->inv_freq[i] = scaled;
    }
    return PLIM_OK;
}

static double yarn_mscale(double scale, double mscale)
{
    return scale <= 1 ? 1.0 : 0.1 * mscale * log(scale) + 1.0;
}

/* The pair whose wavelength makes `rotations` turns within the original context. */
static double yarn_dimension(double rotations, double dim, double theta, double original)
{
    return dim * log(original / (rotations * 2 * M_PI)) / (2 * log(theta));
}

static plim_status yarn_attention(plim_rope *rope, const rope_reader *r, double factor,
                                  plim_error *err)
{
    double given = NAN, mscale = 0, mscale_all = 0;
    plim_status status;
    if ((status = group_f64(r, "attention_factor", 0, 1e9, &given, err)) ||
        (status = group_f64(r, "mscale", -1e9, 1e9, &mscale, err)) ||
        (status = group_f64(r, "mscale_all_dim", -1e9, 1e9, &mscale_all, err)))
        return status;
    if (!isnan(given))
        rope->scale = (float)given;
    else if (mscale != 0 && mscale_all != 0)
        rope->scale = (float)(yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all));
    else
        rope->scale = (float)yarn_mscale(factor, 1);
    return PLIM_OK;
}

static plim_status yarn(plim_rope *rope, const rope_reader *r, plim_error *err)
{
    double factor = r->max_positions / r->original, fast = 32, slow = 1;
    bool truncate = true;
    plim_status status;
    char path[96];
    snprintf(path, sizeof path, "%s.truncate", r->group);
    if ((status = group_f64(r, "factor", 1e-6, 1e9, &factor, err)) ||
        (status = group_f64(r, "beta_fast", 0, 1e9, &fast, err)) ||
        (status = group_f64(r, "beta_slow", 0, 1e9, &slow, err)) ||
        (status = plim_config_bool(r->config, path, &truncate, err)) ||
        (status = yarn_attention(rope, r, factor, err)))
        return status;
    fast = fast == 0 ? 32 : fast; /* Python's `or` */
    slow = slow == 0 ? 1 : slow;
    double dim = 2.0 * rope->half;
    double low = yarn_dimension(fast, dim, r->theta, r->original);
    double high = yarn_dimension(slow, dim, r->theta, r->original);
    if (truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, dim - 1);
    if (low == high)
        high += 0.001;
    for (uint32_t i = 0; i < rope->half; i++) {
        float position = (float)pow(r->theta, (float)(2 * i) / (float)dim);
        float ramp = ((float)i - (float)low) / (float)(high - low);
        float keep = 1 - fminf(fmaxf(ramp, 0), 1);
        rope->inv_freq[i] = 1 / ((float)factor * position) * (1 - keep) + 1 / position * keep;
    }
    return PLIM_OK;
}

/* rope_scaling wins where it is there and not empty, as in Transformers. */
static const char *find_group(const plim_config *config)
{
    static const char *const names[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < 2; i++) {
        const plim_config_value *v = plim_config_find(config, names[i]);
        if (v && !(v->kind == PLIM_JSON_OBJECT && v->count == 0))
            return names[i];
    }
    return NULL;
}

static plim_status read_reader(rope_reader *r, const char **type, plim_error *err)
{
    const plim_config *c = r->config;
    plim_status status;
    char path[96];
    *type = "default";
    r->theta = 10000;
    if ((status = plim_config_f64(c, "rope_theta", 1e-6, 1e30, &r->theta, err)))
        return status;
    if (!r->group)
        return PLIM_OK;
    const plim_config_value *group = plim_config_find(c, r->group);
    if (group->kind != PLIM_JSON_OBJECT)
        return plim_config_fail(c, group, err, PLIM_E_FORMAT, "%s must be an object, found %s",
                                r->group, plim_json_event_name(group->kind));
    if ((status = group_f64(r, "rope_theta", 1e-6, 1e30, &r->theta, err)))
        return status;
    snprintf(path, sizeof path, "%s.type", r->group);
    if ((status = plim_config_text(c, path, type, err)))
        return status;
    snprintf(path, sizeof path, "%s.rope_type", r->group);
    if ((status = plim_config_text(c, path, type, err)))
        return status;
    r->original = r->max_positions;
    if ((status = group_f64(r, "original_max_position_embeddings", 1, PLIM_MAX_POSITIONS,
                            &r->original, err)))
        return status;
    return plim_config_f64(c, "original_max_position_embeddings", 1, PLIM_MAX_POSITIONS,
                           &r->original, err);
}

/* The first share of the frequencies turns, the others stand still; `factor` divides them all. */
static plim_status proportional(plim_rope *rope, const rope_reader *r, plim_error *err)
{
    double share = 1, factor = 1;
    plim_status status;
    if ((status = plim_config_f64(r->config, "partial_rotary_factor", 0, 1, &share, err)) ||
        (status = group_f64(r, "partial_rotary_factor", 0, 1, &share, err)) ||
        (status = group_f64(r, "factor", 1e-6, 1e9, &factor, err)))
        return status;
    uint32_t turning = (uint32_t)floor(share * (2.0 * rope->half) / 2);
    for (uint32_t i = 0; i < rope->half; i++)
        rope->inv_freq[i] = i < turning ? rope->inv_freq[i] / (float)factor : 0.0f;
    return PLIM_OK;
}

/* A part of the head only: Transformers' code of these families cannot do it (its shapes disagree).
 */
static plim_status refuse_partial(const rope_reader *r, plim_error *err)
{
    double partial = 1;
    plim_status status = plim_config_f64(r->config, "partial_rotary_factor", 0, 1, &partial, err);
    if (!status && r->group)
        status = group_f64(r, "partial_rotary_factor", 0, 1, &partial, err);
    if (!status && partial != 1)
        return plim_fail_at(
            err, PLIM_E_UNSUP, (plim_where){r->config->file, NULL, -1},
            "partial_rotary_factor %g with a scaled rope is not supported for this model_type",
            partial);
    return status;
}

plim_status plim_rope_read(plim_rope *out, const plim_config *config, uint32_t head_dim,
                           uint32_t max_positions, plim_error *err)
{
    rope_reader r = {.config = config, .group = find_group(config), .max_positions = max_positions};
    const char *type;
    *out = (plim_rope){.half = head_dim / 2, .scale = 1};
    plim_status status = read_reader(&r, &type, err);
    if (status)
        return status;
    const plim_config_value *at = r.group ? plim_config_find(config, r.group) : NULL;
    default_frequencies(out, r.theta);
    if (!strcmp(type, "default"))
        return PLIM_OK;
    if (!strcmp(type, "dynamic"))
        return plim_config_fail(
            config, at, err, PLIM_E_UNSUP,
            "rope type 'dynamic' is refused: what Transformers computes with it depends on how "
            "the text was cut into calls, so there is no one right answer");
    if (!strcmp(type, "longrope"))
        return plim_config_fail(config, at, err, PLIM_E_UNSUP,
                                "rope type 'longrope' is not supported yet");
    if (!strcmp(type, "proportional"))
        return proportional(out, &r, err);
    if ((status = refuse_partial(&r, err)))
        return status;
    if (!strcmp(type, "linear"))
        return linear(out, &r, err);
    if (!strcmp(type, "llama3"))
        return llama3(out, &r, err);
    if (!strcmp(type, "yarn"))
        return yarn(out, &r, err);
    return plim_config_fail(
        config, at, err, PLIM_E_FORMAT,
        "rope type '%.60s' is unknown; known are default, linear, llama3, yarn, proportional",
        type);
}
