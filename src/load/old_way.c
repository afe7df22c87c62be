/* SPDX-License-Identifier: Apache-2.0
 *
 * The old way, for comparison: the whole state dict in memory, then a copy into the model. */
#include <string.h>

#include "load/fill.h"
#include "load/pour.h"
#include "load/reader.h"

#define STEP_BYTES (4ull << 20)

typedef struct old_way {
    const plim_load_job *job;
    plim_load_monitor *monitor;
    plim_region *tensors; /* per placement, as stored */
    pthread_mutex_t lock; /* of next and done */
    uint32_t next;
    uint64_t done;
} old_way;

/* The next step of a tensor; false when all are taken. */
static bool take(old_way *o, uint32_t *placement, uint64_t *from, uint64_t *bytes)
{
    const plim_load_plan *plan = o->job->plan;
    bool there = false;
    pthread_mutex_lock(&o->lock);
    while (!there && o->next < plan->placement_count) {
        uint64_t all = o->job->stored->tensors[plan->placements[o->next].stored].bytes;
        *placement = o->next;
        *from = o->done;
        *bytes = all - o->done < STEP_BYTES ? all - o->done : STEP_BYTES;
        there = *bytes > 0;
        o->done += *bytes;
        if (o->done == all) {
            o->done = 0;
            o->next++;
        }
    }
    pthread_mutex_unlock(&o->lock);
    return there;
}

static void work(void *arg, unsigned task, unsigned worker)
{
    (void)task;
    (void)worker;
    old_way *o = arg;
    uint32_t at;
    uint64_t from, bytes;
    while (!plim_monitor_stopped(o->monitor) && take(o, &at, &from, &bytes)) {
        plim_error error;
        const plim_stored *t = &o->job->stored->tensors[o->job->plan->placements[at].stored];
        const plim_stored_file *file = &o->job->stored->files[t->file];
        plim_read_request request = {.file = t->file,
                                     .offset = t->offset + from,
                                     .bytes = (size_t)bytes,
                                     .dst = (char *)o->tensors[at].base + from};
        plim_status status = plim_reader_explain(
            file, plim_reader_buffered.fetch(file, file->file.fd, &request, &error), &error);
        if (status)
            plim_monitor_fail(o->monitor, &error);
        plim_monitor_step(o->monitor, status ? 0 : bytes);
    }
}

static plim_status copy(const old_way *o, const plim_region *regions, plim_error *err)
{
    const plim_load_plan *plan = o->job->plan;
    for (uint32_t i = 0; i < plan->extent_count; i++) {
        const plim_extent_place *e = &plan->extents[i];
        const plim_placement *p = &plan->placements[e->placement];
        const plim_stored *t = &o->job->stored->tensors[p->stored];
        plim_pour pour =
            plim_pour_of(o->job->kernels, p, t, e->rows, (char *)regions[e->run].base + e->offset);
        plim_pour_piece piece = {o->tensors[e->placement].base, 0,
                                 t->bytes * 8 / plim_dtypes[t->dtype].bits};
        if (p->change == PLIM_CHANGE_NONE)
            memcpy(pour.dst, piece.src, (size_t)t->bytes);
        else if (!plim_pour_all(&pour, &piece))
            return plim_pour_explain(&pour, &piece, o->job->stored, t, err);
    }
    return PLIM_OK;
}

plim_status plim_fill_old_way(const plim_load_job *job, const plim_region *regions,
                              plim_load_monitor *monitor, plim_error *err)
{
    const plim_alloc *alloc = plim_ledger_alloc(job->ledger, PLIM_MEM_STAGING);
    uint32_t count = job->plan->placement_count;
    old_way o = {.job = job, .monitor = monitor};
    o.tensors = plim_new(alloc, count, sizeof *o.tensors, err);
    if (!o.tensors)
        return err->code;
    pthread_mutex_init(&o.lock, NULL);
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; !status && i < count; i++)
        status = plim_region_open(&o.tensors[i], job->ledger, PLIM_MEM_STAGING,
                                  job->stored->tensors[job->plan->placements[i].stored].bytes,
                                  false, err);
    if (!status)
        status = plim_fill_run(job, work, &o, err);
    if (!status && monitor->error.code) {
        status = monitor->error.code;
        *err = monitor->error;
    }
    if (!status)
        status = copy(&o, regions, err);
    for (uint32_t i = 0; i < count; i++)
        plim_region_close(&o.tensors[i], job->ledger);
    pthread_mutex_destroy(&o.lock);
    plim_delete(alloc, o.tensors);
    return status;
}
