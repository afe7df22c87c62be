/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress, cancel and the first error of a load. */
#include "load/monitor.h"

#include "base/file.h"

#define REPORT_SECONDS 0.025 /* a callback that cancels is heard within 50 ms */

void plim_monitor_open(plim_load_monitor *m, const plim_load_job *job, uint64_t total_bytes)
{
    m->job = job;
    atomic_init(&m->stop, false);
    atomic_init(&m->done_bytes, 0);
    m->total_bytes = total_bytes;
    m->start = plim_now();
    m->last_report = m->start;
    m->error = (plim_error){.code = PLIM_OK};
    pthread_mutex_init(&m->lock, NULL);
}

void plim_monitor_close(plim_load_monitor *m)
{
    pthread_mutex_destroy(&m->lock);
}

static void tell(plim_load_monitor *m, bool last)
{
    const plim_load_job *job = m->job;
    double now = plim_now();
    if (!last && now - m->last_report < REPORT_SECONDS)
        return;
    m->last_report = now;
    plim_progress p = {.done_bytes = atomic_load(&m->done_bytes),
                       .total_bytes = m->total_bytes,
                       .seconds = now - m->start,
                       .eta_seconds = -1};
    if (p.done_bytes)
        p.eta_seconds = p.seconds * (double)(m->total_bytes - p.done_bytes) / (double)p.done_bytes;
    if (job->progress(job->progress_user, &p) && !m->error.code) {
        plim_fail(&m->error, PLIM_E_CANCELLED, "the load was cancelled");
        atomic_store(&m->stop, true);
    }
}

void plim_monitor_step(plim_load_monitor *m, uint64_t bytes)
{
    if (bytes)
        atomic_fetch_add(&m->done_bytes, bytes);
    if (m->job->cancel && atomic_load(m->job->cancel)) {
        plim_error error;
        plim_fail(&error, PLIM_E_CANCELLED, "the load was cancelled");
        plim_monitor_fail(m, &error);
        return;
    }
    /* A worker that finds another one at it goes on. */
    if (!m->job->progress || pthread_mutex_trylock(&m->lock) != 0)
        return;
    tell(m, false);
    pthread_mutex_unlock(&m->lock);
}

void plim_monitor_finish(plim_load_monitor *m)
{
    if (!m->job->progress)
        return;
    pthread_mutex_lock(&m->lock);
    if (!m->error.code)
        tell(m, true);
    pthread_mutex_unlock(&m->lock);
}

void plim_monitor_fail(plim_load_monitor *m, const plim_error *error)
{
    pthread_mutex_lock(&m->lock);
    if (!m->error.code)
        m->error = *error;
    pthread_mutex_unlock(&m->lock);
    atomic_store(&m->stop, true);
}

bool plim_monitor_stopped(const plim_load_monitor *m)
{
    return atomic_load(&m->stop);
}
