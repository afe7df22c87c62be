/* SPDX-License-Identifier: Apache-2.0
 *
 * Advice: what would make a model fit, or fit better.  Each line was planned before it is given. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "plan/plan.h"

#define MOST_ADVICE 9u

typedef struct adviser {
    plim_load_plan *plan; /* that gets the advice */
    const plim_skeleton *skeleton;
    const plim_stored_set *stored;
    const plim_facts *facts;
    const plim_held *held;
    plim_error *err;
} adviser;

static plim_status say(adviser *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static plim_status say(adviser *a, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (a->plan->advice_count == MOST_ADVICE)
        return PLIM_OK;
    a->plan->advice[a->plan->advice_count] =
        plim_arena_text(&a->plan->arena, line, strlen(line), a->err);
    return a->plan->advice[a->plan->advice_count++] ? PLIM_OK : a->err->code;
}

/* Plan `options` under `limit`: whether it fits, and what it holds. */
typedef struct outcome {
    bool fits;
    uint64_t line, streamed;
} outcome;

static plim_status plan_it(adviser *a, const plim_plan_options *options, uint64_t limit,
                           outcome *out)
{
    plim_load_plan *other;
    plim_facts facts = *a->facts;
    plim_error why; /* an option that can't be meant is no advice */
    facts.memory_limit = limit;
    *out = (outcome){0};
    plim_status status = plim_plan_make(&other, a->plan->alloc, a->skeleton, a->stored, options,
                                        &facts, a->held, true, &why);
    if (status == PLIM_E_NOMEM || status == PLIM_E_BUDGET) {
        *a->err = why;
        return status;
    }
    if (status)
        return PLIM_OK;
    *out = (outcome){other->fits, other->line, other->streamed_bytes};
    plim_load_plan_close(&other);
    return PLIM_OK;
}

/* ", streaming X per token" where it does. */
static const char *streaming(char *out, size_t cap, const outcome *o)
{
    char text[32];
    *out = 0;
    if (o->streamed)
        snprintf(out, cap, ", streaming %s per token",
                 plim_format_bytes(text, sizeof text, o->streamed));
    return out;
}

/* Say `option` when the plan with it fits. */
static plim_status try_option(adviser *a, const plim_plan_options *options, const char *option)
{
    outcome o;
    char text[32], more[80];
    plim_status status = plan_it(a, options, a->facts->memory_limit, &o);
    if (status || !o.fits)
        return status;
    return say(a, "%s needs %s%s", option, plim_format_bytes(text, sizeof text, o.line),
               streaming(more, sizeof more, &o));
}

/* The longest context that fits, found by halving the distance. */
static plim_status try_context(adviser *a, const plim_plan_options *options)
{
    plim_plan_options o = *options;
    uint32_t low = 0, high = a->plan->session.context;
    plim_status status = PLIM_OK;
    if (!a->plan->kv_bytes || !a->facts->memory_limit)
        return PLIM_OK;
    while (!status && high - low > 1 && high - low > low / 16) {
        outcome out;
        o.context = low + (high - low) / 2;
        status = plan_it(a, &o, a->facts->memory_limit, &out);
        if (out.fits)
            low = o.context;
        else
            high = o.context;
    }
    char text[32];
    if (status || !low)
        return status;
    return say(a, "--context %u fits: the KV of %u positions takes %s", low,
               a->plan->session.context,
               plim_format_bytes(text, sizeof text, a->plan->kv_bytes * a->plan->sessions));
}

/* Lines that would do: the smallest, and the one that holds all of it. */
static plim_status try_lines(adviser *a, const plim_plan_options *options)
{
    plim_plan_options all = *options;
    outcome whole, least;
    char text[32], more[80];
    uint64_t limit = a->facts->memory_limit;
    plim_status status = plan_it(a, &all, 0, &whole);
    if (status || !limit)
        return status;
    uint64_t enough = (whole.line + 0xfffff) & ~0xfffffull, low = limit,
             high = limit > 1u << 20 ? limit : 1u << 20;
    for (least.fits = false; !status && !least.fits && high < enough;) { /* doubled until it fits */
        low = high;
        high = low < enough / 2 ? 2 * low : enough;
        if (high < enough)
            status = plan_it(a, options, high, &least);
    }
    while (!status && high - low > (1u << 20)) { /* the smallest line, to a MiB */
        uint64_t middle = low + (high - low) / 2;
        status = plan_it(a, options, middle, &least);
        if (least.fits)
            high = middle;
        else
            low = middle;
    }
    high = (high + 0xfffff) & ~0xfffffull;
    if (!status && high < enough && !(status = plan_it(a, options, high, &least)) && least.fits)
        status =
            say(a, "--memory %llu (%s) is the least that works%s", (unsigned long long)high,
                plim_format_bytes(text, sizeof text, high), streaming(more, sizeof more, &least));
    if (!status && plan_it(a, options, enough, &whole) == PLIM_OK && whole.fits)
        status = say(a, "--memory %llu (%s) would hold it as asked for", (unsigned long long)enough,
                     plim_format_bytes(text, sizeof text, enough));
    return status;
}

/* The wider of the types of groups that fits. */
static plim_status try_groups(adviser *a, const plim_plan_options *options)
{
    plim_plan_options o = *options;
    size_t before = a->plan->advice_count;
    outcome least;
    o.torch_dtype = PLIM_Q4;
    plim_status status = plan_it(a, &o, a->facts->memory_limit, &least);
    if (status || !least.fits)
        return status; /* nor would int8 */
    o.torch_dtype = PLIM_Q8;
    status = try_option(a, &o, "--dtype int8");
    o.torch_dtype = PLIM_Q4;
    if (!status && a->plan->advice_count == before)
        status = try_option(a, &o, "--dtype int4");
    return status;
}

static plim_status advise_refused(adviser *a, const plim_plan_options *options)
{
    plim_plan_options o = *options;
    plim_status status = PLIM_OK;
    if (a->plan->old_way) {
        o.low_cpu_mem_usage = true;
        status = try_option(a, &o, "--low-cpu-mem-usage true");
    }
    o = *options;
    o.device_map = (plim_device_map){.all = PLIM_DEVICE_AUTO};
    bool automatic =
        options->device_map.rule_count == 0 && options->device_map.all == PLIM_DEVICE_AUTO;
    if (!status && !automatic && a->skeleton->family)
        status = try_option(a, &o, "--device-map auto");
    o = *options;
    o.max_weights = 0;
    if (!status && options->max_weights)
        status = try_option(a, &o, "without a --max-memory for \"cpu\" it");
    o = *options;
    o.torch_dtype = PLIM_BF16;
    if (!status && a->skeleton->family && a->plan->dtype == PLIM_F32)
        status = try_option(a, &o, "--dtype bfloat16");
    bool floats = a->skeleton->family && !plim_dtypes[a->plan->dtype].group;
    o = *options;
    o.torch_dtype = PLIM_AUTO;
    if (!status && floats && plim_skeleton_packed(a->skeleton) != PLIM_AUTO)
        status = try_option(a, &o, "--dtype auto");
    else if (!status && floats)
        status = try_groups(a, options);
    o = *options;
    o.kv_dtype = PLIM_F16;
    if (!status && a->plan->session.kv_dtype == PLIM_F32 && a->plan->kv_bytes)
        status = try_option(a, &o, "--kv-dtype float16");
    if (!status)
        status = try_context(a, options);
    return status ? status : try_lines(a, options);
}

/* It fits, but streams: what that costs, and what would spare it. */
static plim_status advise_streaming(adviser *a, const plim_plan_options *options)
{
    char text[32], read[32];
    outcome whole;
    uint64_t cast = 0;
    plim_status status = plan_it(a, options, 0, &whole);
    /* Of our own it takes a little more than as pages of the files. */
    uint64_t enough = (whole.line + whole.line / 256 + 0x1fffff) & ~0xfffffull;
    if (!status)
        status = plan_it(a, options, enough, &whole);
    if (!status && whole.fits && !whole.streamed)
        status = say(a, "each token reads %s from disk; --memory %llu (%s) would hold all of it",
                     plim_format_bytes(read, sizeof read, a->plan->streamed_bytes),
                     (unsigned long long)enough, plim_format_bytes(text, sizeof text, enough));
    for (uint32_t i = 0; i < a->plan->tile_count; i++) {
        const plim_extent_place *e = &a->plan->extents[a->plan->tiles[i].extent];
        const plim_placement *p = &a->plan->placements[e->placement];
        if (p->row_bytes < p->stored_row_bytes)
            cast += a->plan->tiles[i].bytes;
    }
    if (!status && cast)
        status = say(a,
                     "the narrower type saves memory, not reading: a checkpoint stored in %s "
                     "would be read %s",
                     plim_dtype_torch_name(a->plan->dtype), "faster by as much as it is smaller");
    return status;
}

plim_status plim_plan_advise(plim_load_plan *plan, const plim_skeleton *skeleton,
                             const plim_stored_set *stored, const plim_plan_options *options,
                             const plim_facts *facts, const plim_held *held, plim_error *err)
{
    adviser a = {plan, skeleton, stored, facts, held, err};
    if (plan->fits && !plan->streamed_bytes)
        return PLIM_OK;
    plan->advice = plim_arena_new(&plan->arena, MOST_ADVICE, sizeof *plan->advice, err);
    if (!plan->advice)
        return err->code;
    if (!plan->fits)
        return advise_refused(&a, options);
    bool automatic =
        options->device_map.rule_count == 0 && options->device_map.all == PLIM_DEVICE_AUTO;
    return automatic && facts->memory_limit ? advise_streaming(&a, options) : PLIM_OK;
}
