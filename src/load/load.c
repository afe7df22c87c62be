/* SPDX-License-Identifier: Apache-2.0
 *
 * The load pipeline: the plan's reads are tasks in file order; each worker reads a piece and casts
 * it to its place, so that reading and casting overlap, with one staging slot per worker. */
#include "load/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "load/reader.h"

#define PROGRESS_SECONDS 0.1
#define MAX_WORKERS      4u /* staging slots a plan asks for at most */

struct plim_weights {
    plim_extent_source source; /* first: acquire gets it as self */
    const plim_alloc *alloc;
    plim_load_job job;
    plim_region *regions; /* one per run of the plan */
    plim_weight *weights; /* one per slot of the skeleton */
    plim_load_stats stats;
};

/* ---- a load in progress ---- */

typedef struct loading {
    plim_weights *w;
    char *staging[MAX_WORKERS];
    char *const *state_dict;      /* the old way: where the run's bytes lie as stored; else NULL */
    const uint64_t *state_offset; /* per placement */
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* error, progress */
    plim_error error;
    atomic_uint_least64_t done_bytes;
    uint64_t total_bytes;
    double start, last_report;
} loading;

static void fail_once(loading *l, const plim_error *error)
{
    pthread_mutex_lock(&l->lock);
    if (!l->error.code)
        l->error = *error;
    pthread_mutex_unlock(&l->lock);
    atomic_store(&l->stop, true);
}

/* Tell the caller, at most ten times a second; a worker that finds the lock taken goes on. */
static void report(loading *l, bool last)
{
    const plim_load_job *job = &l->w->job;
    if (!job->progress || pthread_mutex_trylock(&l->lock) != 0)
        return;
    double now = plim_now(), seconds = now - l->start;
    uint64_t done = atomic_load(&l->done_bytes);
    int cancel = 0;
    if (last || now - l->last_report >= PROGRESS_SECONDS) {
        l->last_report = now;
        plim_progress p = {.done_bytes = done,
                           .total_bytes = l->total_bytes,
                           .seconds = seconds,
                           .eta_seconds = -1};
        if (done)
            p.eta_seconds = seconds * (double)(l->total_bytes - done) / (double)done;
        cancel = job->progress(job->progress_user, &p);
        if (cancel && !l->error.code)
            plim_fail(&l->error, PLIM_E_CANCELLED, "the load was cancelled");
    }
    pthread_mutex_unlock(&l->lock);
    if (cancel)
        atomic_store(&l->stop, true);
}

/* One read of an owned tensor: straight into place, or through the worker's staging slot and a
 * cast. */
static plim_status read_owned(loading *l, const plim_read *r, unsigned worker, plim_error *err)
{
    const plim_load_job *job = &l->w->job;
    const plim_placement *p = &job->plan->placements[r->placement];
    const plim_stored *t = &job->stored->tensors[p->stored];
    const plim_stored_file *file = &job->stored->files[r->file];
    uint64_t first_bit = (r->offset - t->offset) * 8;
    char *dst = (char *)l->w->regions[r->run].base + p->offset;
    plim_reader_request request = {file, r->offset, r->bytes, NULL};
    bool cast = p->dtype != t->dtype;
    if (l->state_dict)
        request.dst =
            l->state_dict[r->file] + l->state_offset[r->placement] + (r->offset - t->offset);
    else
        request.dst = cast ? l->staging[worker] : dst + (r->offset - t->offset);
    plim_status status = plim_reader_buffered.fetch(&request, err);
    if (status || l->state_dict || !cast)
        return plim_reader_explain(file, status, err);
    uint64_t element = first_bit / plim_dtypes[t->dtype].bits;
    job->kernels->cast[p->dtype][t->dtype](dst + element * (plim_dtypes[p->dtype].bits / 8),
                                           request.dst, r->bytes * 8 / plim_dtypes[t->dtype].bits);
    return PLIM_OK;
}

static plim_status read_mapped(loading *l, const plim_read *r, plim_error *err)
{
    const plim_load_job *job = &l->w->job;
    const plim_stored_file *file = &job->stored->files[r->file];
    char *dst =
        (char *)l->w->regions[r->run].base + (r->offset - job->plan->runs[r->run].file_offset);
    /* In steps, so that a cancel is heard within 50 ms even from a slow disk. */
    for (uint64_t done = 0, step; done < r->bytes && !atomic_load(&l->stop); done += step) {
        step = r->bytes - done < (4u << 20) ? r->bytes - done : 4u << 20;
        plim_reader_request request = {file, r->offset + done, step, dst + done};
        plim_status status = plim_reader_explain(file, plim_reader_map.fetch(&request, err), err);
        if (status)
            return status;
        atomic_fetch_add(&l->done_bytes, step);
        report(l, false);
    }
    return PLIM_OK;
}

/* A worker takes reads in file order until there are none. */
static void work(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    loading *l = arg;
    const plim_load_plan *plan = l->w->job.plan;
    size_t i;
    while (!atomic_load(&l->stop) && (i = atomic_fetch_add(&l->next, 1)) < plan->read_count) {
        const plim_read *r = &plan->reads[i];
        plim_error error = {.code = PLIM_OK};
        bool owned = plan->runs[r->run].form == PLIM_FORM_OWNED;
        plim_status status = owned ? read_owned(l, r, task, &error) : read_mapped(l, r, &error);
        if (status) {
            fail_once(l, &error);
            return;
        }
        if (owned)
            atomic_fetch_add(&l->done_bytes, r->bytes);
        report(l, false);
    }
}

/* ---- the old way: the whole state dict, then a copy into the model ---- */

typedef struct old_way {
    plim_region *regions; /* per file */
    char **bases;
    uint64_t *offsets; /* per placement, in its file's region */
    uint32_t file_count;
} old_way;

static plim_status old_way_open(old_way *o, const plim_weights *w, plim_error *err)
{
    const plim_stored_set *set = w->job.stored;
    const plim_load_plan *plan = w->job.plan;
    o->file_count = (uint32_t)set->file_count;
    o->regions = plim_new(w->alloc, set->file_count, sizeof *o->regions, err);
    o->bases = plim_new(w->alloc, set->file_count, sizeof *o->bases, err);
    o->offsets = plim_new(w->alloc, plan->placement_count, sizeof *o->offsets, err);
    uint64_t *sizes = plim_new(w->alloc, set->file_count, sizeof *sizes, err);
    plim_status status = o->regions && o->bases && o->offsets && sizes ? PLIM_OK : err->code;
    for (uint32_t i = 0; !status && i < plan->placement_count; i++) {
        const plim_stored *t = &set->tensors[plan->placements[i].stored];
        o->offsets[i] = sizes[t->file];
        sizes[t->file] += (t->bytes + 63) & ~63ull;
    }
    for (uint32_t i = 0; !status && i < set->file_count; i++) {
        status =
            plim_region_open(&o->regions[i], w->job.ledger, PLIM_MEM_STAGING, sizes[i], false, err);
        o->bases[i] = o->regions[i].base;
    }
    plim_delete(w->alloc, sizes);
    return status;
}

static void old_way_copy(const old_way *o, const plim_weights *w)
{
    const plim_load_plan *plan = w->job.plan;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        const plim_stored *t = &w->job.stored->tensors[p->stored];
        char *dst = (char *)w->regions[p->run].base + p->offset,
             *src = o->bases[t->file] + o->offsets[i];
        if (p->dtype == t->dtype)
            memcpy(dst, src, t->bytes);
        else
            w->job.kernels->cast[p->dtype][t->dtype](dst, src,
                                                     t->bytes * 8 / plim_dtypes[t->dtype].bits);
    }
}

static void old_way_close(old_way *o, const plim_weights *w)
{
    for (uint32_t i = 0; o->regions && i < o->file_count; i++)
        plim_region_close(&o->regions[i], w->job.ledger);
    plim_delete(w->alloc, o->regions);
    plim_delete(w->alloc, o->bases);
    plim_delete(w->alloc, o->offsets);
}

/* ---- opening and closing ---- */

static plim_status open_regions(plim_weights *w, plim_error *err)
{
    const plim_load_plan *plan = w->job.plan;
    w->regions = plim_new(w->alloc, plan->run_count, sizeof *w->regions, err);
    if (!w->regions)
        return err->code;
    for (uint32_t i = 0; i < plan->run_count; i++) {
        const plim_run *r = &plan->runs[i];
        const plim_stored_file *f = &w->job.stored->files[r->file];
        plim_status status =
            r->form == PLIM_FORM_MAPPED
                ? plim_region_map(&w->regions[i], w->job.ledger, PLIM_MEM_WEIGHTS, f->file.fd,
                                  f->path, r->file_offset, r->bytes, err)
                : plim_region_open(&w->regions[i], w->job.ledger, PLIM_MEM_WEIGHTS, r->bytes,
                                   plan->old_way, err);
        if (status)
            return status;
    }
    return PLIM_OK;
}

static plim_status check_casts(const plim_weights *w, plim_error *err)
{
    const plim_load_plan *plan = w->job.plan;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        plim_dtype from = w->job.stored->tensors[p->stored].dtype;
        if (from != p->dtype && !w->job.kernels->cast[p->dtype][from])
            return plim_fail(err, PLIM_E_UNSUP, "there is no cast from %s to %s",
                             plim_dtype_name(from), plim_dtype_name(p->dtype));
    }
    return PLIM_OK;
}

static plim_status run_reads(loading *l, plim_region *ring, plim_error *err)
{
    plim_weights *w = l->w;
    const plim_load_plan *plan = w->job.plan;
    plim_status status;
    unsigned workers = plan->staging_slots > MAX_WORKERS ? MAX_WORKERS : plan->staging_slots;
    if (plan->reader != PLIM_READER_MAP &&
        (status = plim_region_open(ring, w->job.ledger, PLIM_MEM_STAGING,
                                   (size_t)workers * PLIM_PIECE_BYTES, true, err)))
        return status;
    for (unsigned i = 0; i < workers; i++)
        l->staging[i] = ring->base ? (char *)ring->base + (size_t)i * PLIM_PIECE_BYTES : NULL;
    for (size_t i = 0; i < plan->read_count; i++) {
        l->total_bytes += plan->reads[i].bytes;
        if (plan->runs[plan->reads[i].run].form == PLIM_FORM_MAPPED)
            w->stats.mapped_bytes += plan->reads[i].bytes;
        else
            w->stats.read_bytes += plan->reads[i].bytes;
    }
    plim_pool_run(w->job.pool, workers, work, l);
    if (!l->error.code)
        report(l, true);
    if (l->error.code && err)
        *err = l->error;
    return l->error.code;
}

static plim_status fill(plim_weights *w, plim_error *err)
{
    loading *l =
        plim_new(w->alloc, 1, sizeof *l, err); /* holds an error: too large for a small stack */
    old_way old = {0};
    plim_region ring = {0};
    if (!l)
        return err->code;
    l->w = w;
    l->start = plim_now();
    pthread_mutex_init(&l->lock, NULL);
    plim_status status = check_casts(w, err);
    if (!status && w->job.plan->old_way)
        status = old_way_open(&old, w, err);
    if (!status)
        status = open_regions(w, err);
    l->state_dict = old.bases;
    l->state_offset = old.offsets;
    if (!status)
        status = run_reads(l, &ring, err);
    if (!status && old.bases)
        old_way_copy(&old, w);
    if (!status)
        status = plim_stored_check(w->job.stored, err);
    w->stats.seconds = plim_now() - l->start;
    plim_region_close(&ring, w->job.ledger);
    old_way_close(&old, w);
    pthread_mutex_destroy(&l->lock);
    plim_delete(w->alloc, l);
    return status;
}

/* ---- weights as the forward pass sees them ---- */

static plim_status acquire(plim_extent_source *self, const plim_weight *weight, uint64_t row,
                           uint64_t want, plim_extent *out, plim_error *err)
{
    (void)err;
    plim_weights *w = (plim_weights *)self;
    const plim_placement *p =
        &w->job.plan->placements[w->job.plan->placement_of_slot[weight->part[0]]];
    size_t row_bytes = (size_t)weight->cols * (plim_dtypes[weight->format].bits / 8);
    char *base = (char *)w->regions[p->run].base + p->offset;
    *out = (plim_extent){.data = base + (weight->first_row + row) * row_bytes,
                         .row = row,
                         .rows = want < weight->rows - row ? want : weight->rows - row,
                         .row_bytes = row_bytes};
    return PLIM_OK;
}

static void release(plim_extent_source *self, plim_extent *extent)
{
    (void)self;
    (void)extent;
}

static plim_status describe_weights(plim_weights *w, plim_error *err)
{
    const plim_skeleton *k = w->job.skeleton;
    w->weights = plim_new(w->alloc, k->slot_count, sizeof *w->weights, err);
    if (!w->weights)
        return err->code;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        const plim_slot *s = &k->slots[i];
        const plim_placement *p = &w->job.plan->placements[w->job.plan->placement_of_slot[i]];
        bool table = s->role == PLIM_ROLE_EMBED || s->role == PLIM_ROLE_POSITION ||
                     s->role == PLIM_ROLE_HEAD;
        w->weights[i] =
            (plim_weight){.format = p->dtype,
                          .layout = table ? PLIM_OUT_IN : k->spec.layout,
                          .rows = s->shape.rank == 2 ? s->shape.dim[0] : 1,
                          .cols = s->shape.rank == 2 ? s->shape.dim[1] : s->shape.dim[0],
                          .part = {i, PLIM_NO_PART, PLIM_NO_PART, PLIM_NO_PART}};
    }
    return PLIM_OK;
}

plim_status plim_weights_load(plim_weights **out, const plim_load_job *job, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    const plim_alloc *alloc = plim_ledger_alloc(job->ledger, PLIM_MEM_METADATA);
    plim_weights *w = plim_new(alloc, 1, sizeof *w, err);
    if (!w)
        return err->code;
    w->alloc = alloc;
    w->job = *job;
    w->source = (plim_extent_source){acquire, release};
    plim_status status = fill(w, err);
    if (!status)
        status = describe_weights(w, err);
    if (status)
        plim_weights_close(&w);
    *out = w;
    return status;
}

void plim_weights_close(plim_weights **weights)
{
    plim_weights *w = *weights;
    if (!w)
        return;
    for (uint32_t i = 0; w->regions && i < w->job.plan->run_count; i++)
        plim_region_close(&w->regions[i], w->job.ledger);
    plim_delete(w->alloc, w->regions);
    plim_delete(w->alloc, w->weights);
    plim_delete(w->alloc, w);
    *weights = NULL;
}

const plim_weight *plim_weights_get(const plim_weights *w, uint32_t layer, plim_role role)
{
    uint32_t slot =
        plim_skeleton_slot(w->job.skeleton, role <= PLIM_ROLE_LAST_GLOBAL ? 0 : layer, role);
    return slot == PLIM_NO_SLOT ? NULL : &w->weights[slot];
}

plim_extent_source *plim_weights_source(plim_weights *w)
{
    return &w->source;
}

plim_load_stats plim_weights_stats(const plim_weights *w)
{
    return w->stats;
}
