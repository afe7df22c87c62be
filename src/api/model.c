/* SPDX-License-Identifier: Apache-2.0
 *
 * Models: a plan carried out, and the sessions that were paid for with it. */
#include <errno.h>

#include "api/handles.h"
#include "load/stream.h"

plim_model *plim_model_ref(plim_model *model)
{
    atomic_fetch_add(&model->refs, 1);
    return model;
}

void plim_model_close(plim_model **model)
{
    plim_model *m = model ? *model : NULL;
    if (!m)
        return;
    *model = NULL;
    if (atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    plim_plan *plan = m->plan;
    const plim_alloc *alloc = plim_context_alloc(plan->context);
    for (uint32_t i = 0; i < m->idle_count; i++)
        plim_sequence_close(&m->idle[i]);
    plim_delete(alloc, m->idle);
    plim_delete(alloc, m->device_map);
    plim_weights_close(&m->weights);
    pthread_mutex_destroy(&m->lock);
    plim_delete(alloc, m);
    plim_plan_close(&plan);
}

void plim_model_lock_kv(const plim_model *m, const plim_sequence *sequence)
{
    if (m->plan->lock && !plim_region_lock(&sequence->state.kv))
        plim_ledger_lock_refused(m->plan->context->ledger, &m->plan->context->log, errno);
}

static plim_status check_cancelled(const plim_plan *p, plim_error *err)
{
    return atomic_load(&p->cancel) ? plim_fail(err, PLIM_E_CANCELLED, "cancelled") : PLIM_OK;
}

/* The sequences that the plan counted: taken now, so that nothing that was promised fails later. */
static plim_status open_sequences(plim_model *m, plim_error *err)
{
    plim_context *c = m->plan->context;
    uint32_t count = m->plan->plan->sessions;
    m->idle = plim_new(plim_context_alloc(c), count, sizeof *m->idle, err);
    if (!m->idle)
        return err->code;
    for (; m->paid < count; m->paid++) {
        plim_status status = check_cancelled(m->plan, err);
        if (!status)
            status = plim_sequence_open(&m->idle[m->paid], &m->engine, c->ledger,
                                        &m->plan->plan->session, &m->plan->cancel, err);
        if (status)
            return status;
        m->idle_count++;
        plim_model_lock_kv(m, m->idle[m->paid]);
    }
    return PLIM_OK;
}

static plim_status load_weights(plim_model *m, plim_error *err)
{
    plim_context *c = m->plan->context;
    plim_load_job job = {.ledger = c->ledger,
                         .pool = c->pool,
                         .kernels = &c->kernels,
                         .log = &c->log,
                         .skeleton = m->plan->skeleton,
                         .stored = m->plan->stored,
                         .plan = m->plan->plan,
                         .progress = m->plan->progress,
                         .progress_user = m->plan->progress_user,
                         .cancel = &m->plan->cancel,
                         .lock = m->plan->lock};
    return plim_weights_load(&m->weights, &job, err);
}

static plim_status fill(plim_model *m, plim_error *err)
{
    plim_context *c = m->plan->context;
    bool runnable = m->plan->skeleton->family != NULL;
    plim_status status = check_cancelled(m->plan, err);
    if (!status)
        status = plim_device_map_write(&m->device_map, m->plan, err);
    if (!status && runnable)
        status = plim_generation_defaults_read(&m->defaults, plim_context_alloc(c),
                                               m->plan->stored->directory, &c->log, err);
    if (!status)
        status = load_weights(m, err);
    if (status)
        return status;
    m->engine = (plim_engine){.spec = &m->plan->skeleton->spec,
                              .kernels = &c->kernels,
                              .pool = c->pool,
                              .weights = m->weights,
                              .source = plim_weights_source(m->weights)};
    status = runnable ? open_sequences(m, err) : PLIM_OK;
    return status ? status : check_cancelled(m->plan, err);
}

static plim_status check_fits(const plim_plan *p, plim_error *err)
{
    const plim_load_plan *plan = p->plan;
    if (plan->fits)
        return PLIM_OK;
    const char *advice = plan->advice_count ? plan->advice[0] : "a smaller model";
    return plim_fail(err, PLIM_E_BUDGET,
                     "does not fit: %llu bytes would be held, the line is %llu; what would fit: %s",
                     (unsigned long long)plan->line, (unsigned long long)p->context->memory_limit,
                     advice);
}

plim_status plim_model_load(plim_model **out, plim_plan *plan, plim_error *err)
{
    plim_error local;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = check_fits(plan, err);
    if (status)
        return status;
    plim_load_report report = {.stored_bytes = plan->plan->stored_bytes,
                               .open_seconds = plan->open_seconds,
                               .reader = plan->plan->reader,
                               .predicted_peak = plan->plan->predicted_peak};
    (void)plim_process_memory_read(&report.before, NULL);
    plim_model *m = plim_new(plim_context_alloc(plan->context), 1, sizeof *m, err);
    if (!m)
        return err->code;
    m->refs = 1;
    m->plan = plim_plan_ref(plan);
    pthread_mutex_init(&m->lock, NULL);
    status = fill(m, err);
    if (!status) {
        plim_load_stats stats = plim_weights_stats(m->weights);
        report.read_bytes = stats.read_bytes;
        report.mapped_bytes = stats.mapped_bytes;
        report.load_seconds = stats.seconds;
        (void)plim_process_memory_read(&report.after, NULL);
        m->report = report;
    } else {
        if (status == PLIM_E_CANCELLED) /* heard: the next load is another matter */
            atomic_store(&plan->cancel, false);
        plim_model_close(&m);
    }
    *out = m;
    return status;
}

plim_status plim_model_open(plim_model **out, plim_context *context, const char *name,
                            const plim_model_options *options, plim_error *err)
{
    plim_plan *plan;
    *out = NULL;
    plim_status status = plim_plan_open(&plan, context, name, options, err);
    if (!status && !plan->skeleton->family) {
        char known[200];
        const char *type = plan->skeleton->spec.model_type;
        status = plim_fail_at(err, PLIM_E_UNSUP,
                              (plim_where){plan->config[0] ? plan->config : NULL, NULL, -1},
                              "model_type '%s' is not known; known are %s", *type ? type : "(none)",
                              plim_family_list(known, sizeof known));
    }
    if (!status)
        status = plim_model_load(out, plan, err);
    plim_plan_close(&plan);
    return status;
}

uint64_t plim_model_num_parameters(const plim_model *m)
{
    return plim_skeleton_parameters(m->plan->skeleton);
}

uint64_t plim_model_memory_footprint(const plim_model *m)
{
    return m->plan->plan->weight_bytes;
}

const char *plim_model_type(const plim_model *m)
{
    return m->plan->skeleton->spec.model_type;
}

const char *plim_model_device_map(const plim_model *m)
{
    return m->device_map;
}

void plim_model_stream_info(const plim_model *m, plim_stream_info *out)
{
    plim_stream_stats stats = {0};
    plim_weights_stream_stats(m->weights, &stats);
    *out = (plim_stream_info){stats.passes, stats.bytes, stats.read_bytes, stats.wait_seconds};
}

uint32_t plim_model_vocab_size(const plim_model *m)
{
    return m->plan->skeleton->spec.vocab;
}

uint32_t plim_model_context(const plim_model *m)
{
    return m->plan->plan->session.context;
}

plim_dtype plim_model_dtype(const plim_model *m)
{
    return m->plan->plan->dtype;
}

void plim_model_load_report(const plim_model *m, plim_load_report *out)
{
    *out = m->report;
}

const char *plim_model_unexpected(const plim_model *m, size_t i)
{
    return plim_plan_unexpected(m->plan, i);
}
