/* SPDX-License-Identifier: Apache-2.0
 *
 * The waterline: what the plan will hold, what the kernel will call its peak, and what would make
 * it fit. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "plan/plan.h"

/* Handles, rows and tables beside the large buffers: of a session, and of each tensor. */
#define SESSION_BYTES (64u << 10)
#define SLOT_BYTES    256u

/* What a configuration holds at its peak, beyond what is held already. */
typedef struct demand {
    uint64_t owned, mapped, staging, kv, scratch, other;
} demand;

static uint64_t whole_pages(uint64_t bytes, uint64_t page)
{
    return (bytes + page - 1) / page * page;
}

static plim_status too_large(plim_error *err)
{
    return plim_fail(err, PLIM_E_LIMIT,
                     "the session is larger than any memory; choose a smaller context");
}

static plim_status session_demand(demand *d, plim_load_plan *plan, const plim_skeleton *k,
                                  uint64_t page, plim_error *err)
{
    plim_scratch_layout layout;
    uint64_t kv;
    if (!k->family || !plan->sessions)
        return PLIM_OK;
    if (!plim_kv_bytes(&k->spec, &plan->session, &kv) ||
        !plim_scratch_plan(&k->spec, &plan->session, &layout))
        return too_large(err);
    if (kv > INT64_MAX / 64 || layout.total > INT64_MAX / 256)
        return too_large(err);
    plan->kv_bytes = whole_pages(kv, page);
    plan->scratch_bytes = whole_pages(layout.total * sizeof(float), page);
    if (!plim_mul_u64(plan->kv_bytes, plan->sessions, &d->kv) ||
        !plim_mul_u64(plan->scratch_bytes, plan->sessions, &d->scratch))
        return too_large(err);
    d->other += ((uint64_t)k->spec.vocab * PLIM_SAMPLER_ENTRY_BYTES +
                 (uint64_t)plan->session.chunk * PLIM_ROW_BYTES + SESSION_BYTES) *
                plan->sessions;
    return PLIM_OK;
}

static void weight_demand(demand *d, const plim_load_plan *plan, const plim_stored_set *set,
                          uint64_t page)
{
    for (uint32_t i = 0; i < plan->run_count; i++) {
        const plim_run *r = &plan->runs[i];
        if (r->form == PLIM_FORM_MAPPED)
            d->mapped += whole_pages(r->file_offset % page + r->bytes, page);
        else
            d->owned += whole_pages(r->bytes, page);
    }
    if (plan->reader != PLIM_READER_MAP)
        d->staging = whole_pages((uint64_t)plan->staging_slots * PLIM_PIECE_BYTES, page);
    for (uint32_t i = 0; plan->old_way && i < plan->placement_count; i++)
        d->staging += whole_pages(set->tensors[plan->placements[i].stored].bytes, page);
}

static plim_status advise(plim_load_plan *plan, plim_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static plim_status advise(plim_load_plan *plan, plim_error *err, const char *format, ...)
{
    char line[300];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    plan->advice[plan->advice_count] = plim_arena_text(&plan->arena, line, strlen(line), err);
    return plan->advice[plan->advice_count++] ? PLIM_OK : err->code;
}

/* Advice is checked by the same sums: a narrower type, a shorter context, no second copy. */
static plim_status give_advice(plim_load_plan *plan, const plim_skeleton *k, const demand *d,
                               uint64_t fixed, uint64_t limit, uint64_t max_weights,
                               plim_error *err)
{
    char text[32];
    plan->advice = plim_arena_new(&plan->arena, 8, sizeof *plan->advice, err);
    if (!plan->advice)
        return err->code;
    plim_status status = PLIM_OK;
    uint64_t total = fixed + d->owned + d->mapped + d->staging + d->kv + d->scratch + d->other;
    uint64_t without_copy = total - (plan->old_way ? d->staging : 0);
    if (plan->old_way && (!limit || without_copy <= limit))
        status = advise(plan, err, "--low-cpu-mem-usage true needs %s",
                        plim_format_bytes(text, sizeof text, without_copy));
    uint64_t weights = d->owned + d->mapped;
    uint64_t half =
        total - weights + weights / 2 + (uint64_t)plan->staging_slots * PLIM_PIECE_BYTES;
    bool weights_fit = !max_weights || weights / 2 <= max_weights;
    if (!status && k->family && plan->dtype == PLIM_F32 && (!limit || half <= limit) && weights_fit)
        status = advise(plan, err, "--dtype bfloat16 needs %s",
                        plim_format_bytes(text, sizeof text, half));
    uint64_t rest = total - d->kv;
    if (!status && d->kv && limit && total > limit && rest < limit) {
        uint64_t per_position = d->kv / plan->session.context;
        uint64_t positions = per_position ? (limit - rest) / per_position : 0;
        if (positions > 0)
            status = advise(plan, err, "--context %llu fits: the KV of %u positions takes %s",
                            (unsigned long long)positions, plan->session.context,
                            plim_format_bytes(text, sizeof text, d->kv));
    }
    if (!status && limit && total > limit)
        status = advise(plan, err, "--memory %llu (%s) would hold it as asked for",
                        (unsigned long long)((total + 0xfffff) & ~0xfffffull),
                        plim_format_bytes(text, sizeof text, total));
    return status;
}

plim_status plim_plan_predict(plim_load_plan *plan, const plim_skeleton *k,
                              const plim_stored_set *set, const plim_plan_options *options,
                              const plim_facts *facts, const plim_held *held, plim_error *err)
{
    demand d = {.other = (uint64_t)k->slot_count * SLOT_BYTES};
    plim_status status = session_demand(&d, plan, k, facts->page_bytes, err);
    if (status)
        return status;
    weight_demand(&d, plan, set, facts->page_bytes);
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        plan->category[i] = held->category[i];
    plan->category[PLIM_MEM_WEIGHTS] += d.owned + d.mapped;
    plan->category[PLIM_MEM_STAGING] += d.staging;
    plan->category[PLIM_MEM_KV] += d.kv;
    plan->category[PLIM_MEM_ACTIVATIONS] += d.scratch;
    plan->category[PLIM_MEM_OTHER] += d.other;
    uint64_t anonymous = d.owned + d.staging + d.kv + d.scratch + d.other;
    plan->anonymous = held->anonymous + anonymous;
    plan->mapped = held->mapped + d.mapped;
    plan->line = facts->baseline + plan->anonymous + plan->mapped;
    plan->predicted_peak = facts->rss + anonymous + d.mapped;
    if (plan->predicted_peak < facts->peak)
        plan->predicted_peak = facts->peak;
    bool weights_fit = !options->max_weights || d.owned + d.mapped <= options->max_weights;
    plan->fits = weights_fit && (!facts->memory_limit || plan->line <= facts->memory_limit);
    if (plan->fits)
        return PLIM_OK;
    uint64_t fixed = facts->baseline + held->anonymous + held->mapped;
    return give_advice(plan, k, &d, fixed, facts->memory_limit, options->max_weights, err);
}
