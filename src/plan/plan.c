/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a plan: options and facts → placement, reads, prediction. */
#include "plan/plan.h"

static plim_status settle_session(plim_load_plan *plan, const plim_skeleton *k,
                                  const plim_plan_options *o, plim_error *err)
{
    const plim_spec *s = &k->spec;
    plim_session_size *size = &plan->session;
    plan->sessions = o->sessions;
    if (o->sessions > PLIM_MAX_SESSIONS)
        return plim_fail(err, PLIM_E_USAGE, "sessions is %u, want at most %u", o->sessions,
                         PLIM_MAX_SESSIONS);
    size->kv_dtype = o->kv_dtype;
    if (size->kv_dtype == PLIM_AUTO)
        size->kv_dtype = plan->dtype == PLIM_F32 ? PLIM_F32 : PLIM_F16;
    if (size->kv_dtype != PLIM_F32 && size->kv_dtype != PLIM_F16 && size->kv_dtype != PLIM_BF16)
        return plim_fail(err, PLIM_E_USAGE, "kv_dtype must be auto, float32, float16 or bfloat16");
    if (!k->family)
        return PLIM_OK;
    size->context = o->context;
    if (!size->context)
        size->context =
            s->max_positions < PLIM_DEFAULT_CONTEXT ? s->max_positions : PLIM_DEFAULT_CONTEXT;
    if (s->max_positions_hard && size->context > s->max_positions)
        return plim_fail(err, PLIM_E_LIMIT,
                         "context %u is longer than the %u positions that the model has",
                         size->context, s->max_positions);
    if (size->context > PLIM_MAX_POSITIONS)
        return plim_fail(err, PLIM_E_LIMIT, "context %u is longer than %u", size->context,
                         PLIM_MAX_POSITIONS);
    size->chunk = o->chunk ? o->chunk : PLIM_DEFAULT_CHUNK;
    if (size->chunk > size->context)
        size->chunk = size->context;
    return PLIM_OK;
}

plim_status plim_load_plan_open(plim_load_plan **out, const plim_alloc *alloc,
                                const plim_skeleton *skeleton, const plim_stored_set *stored,
                                const plim_plan_options *options, const plim_facts *facts,
                                const plim_held *held, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    plim_load_plan *plan = plim_new(alloc, 1, sizeof *plan, err);
    if (!plan)
        return err->code;
    plan->alloc = alloc;
    plim_arena_init(&plan->arena, alloc);
    plan->old_way = !options->low_cpu_mem_usage;
    plan->staging_slots = facts->threads < 1 ? 1 : facts->threads > 4 ? 4 : facts->threads;
    plim_status status;
    if ((status = plim_plan_place(plan, skeleton, stored, options, err)) ||
        (status = settle_session(plan, skeleton, options, err)) ||
        (status = plim_plan_reads(plan, stored, err)) ||
        (status = plim_plan_predict(plan, skeleton, stored, options, facts, held, err))) {
        plim_load_plan_close(&plan);
        return status;
    }
    *out = plan;
    return PLIM_OK;
}

void plim_load_plan_close(plim_load_plan **plan)
{
    if (!*plan)
        return;
    plim_arena_free(&(*plan)->arena);
    plim_delete((*plan)->alloc, *plan);
    *plan = NULL;
}
