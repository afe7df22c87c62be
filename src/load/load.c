/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights: memory as the plan wants it, filled (fill.c), and the extents through which the forward
 * pass sees it, whether they stay or stream (stream.c). */
#include "load/load.h"

#include <errno.h>

#include "load/fill.h"
#include "load/pour.h"
#include "load/stream.h"

struct plim_weights {
    plim_extent_source source; /* first: acquire gets it as self */
    const plim_alloc *alloc;
    plim_load_job job;
    plim_region *regions; /* one per run of the plan */
    plim_weight *weights; /* one per slot of the skeleton */
    plim_stream *stream;  /* NULL: nothing streams */
    plim_load_stats stats;
};

/* ---- opening and closing ---- */

/* What is locked stays in memory where the machine swaps. */
static void lock_regions(const plim_weights *w)
{
    for (uint32_t i = 0; w->job.lock && i < w->job.plan->run_count; i++)
        if (!plim_region_lock(&w->regions[i]))
            plim_ledger_lock_refused(w->job.ledger, w->job.log, errno);
}

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
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; i < plan->placement_count && !status; i++) {
        const plim_placement *p = &plan->placements[i];
        status = plim_pour_check(w->job.kernels, p, &w->job.stored->tensors[p->stored], err);
    }
    return status;
}

/* Bytes of this load, by where they go. */
static uint64_t count_bytes(plim_weights *w)
{
    const plim_load_plan *plan = w->job.plan;
    for (size_t i = 0; i < plan->read_count; i++)
        *(plan->reads[i].how == PLIM_READER_MAP ? &w->stats.mapped_bytes : &w->stats.read_bytes) +=
            plan->reads[i].bytes;
    return w->stats.mapped_bytes + w->stats.read_bytes;
}

static plim_status fill(plim_weights *w, plim_error *err)
{
    /* Holds an error: too large for a small stack. */
    plim_load_monitor *monitor = plim_new(w->alloc, 1, sizeof *monitor, err);
    if (!monitor)
        return err->code;
    plim_monitor_open(monitor, &w->job, count_bytes(w));
    plim_status status = check_casts(w, err);
    if (!status)
        status = open_regions(w, err);
    if (!status)
        status = w->job.plan->old_way ? plim_fill_old_way(&w->job, w->regions, monitor, err)
                                      : plim_fill(&w->job, w->regions, monitor, err);
    if (!status) {
        plim_monitor_finish(monitor);
        status = monitor->error.code;
        if (status)
            *err = monitor->error;
    }
    if (!status)
        status = plim_stored_check(w->job.stored, err);
    w->stats.seconds = plim_now() - monitor->start;
    if (!status)
        lock_regions(w);
    plim_monitor_close(monitor);
    plim_delete(w->alloc, monitor);
    return status;
}

/* ---- weights as the forward pass sees them ---- */

/* The extent that holds a row: those of a placement are in ascending order. */
static const plim_extent_place *find_extent(const plim_load_plan *plan, const plim_placement *p,
                                            uint64_t row)
{
    uint32_t low = p->first_extent, high = low + p->extent_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (plan->extents[middle].row <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return &plan->extents[low];
}

/* Bytes that stay where the plan put them. */
static const void *memory_of(const plim_weights *w, const plim_extent_place *e)
{
    return (const char *)w->regions[e->run].base + e->offset;
}

/* The extent's scales and strides, of the `rows` rows that are in memory; `data` begins with its
 * row `skip`, and so do `scales`, which are NULL where they lie behind the quants. */
static void set_strides(const plim_load_plan *plan, const plim_placement *p, uint64_t rows,
                        const plim_weight *weight, uint64_t skip, plim_extent *out)
{
    bool turn = p->change == PLIM_CHANGE_TURN;
    const plim_placement *scales = p->scales == PLIM_NO_SLOT ? NULL : &plan->placements[p->scales];
    if (!plim_dtypes[p->dtype].group) {
        out->row_bytes = (size_t)plim_dtype_bytes(p->dtype, weight->cols);
        out->data = (const char *)out->data + skip * out->row_bytes;
        return;
    }
    plim_group_rows at = plim_group_rows_of(p->dtype, p->change, rows, weight->cols);
    if (scales) {
        out->row_bytes = (size_t)p->row_bytes;
        out->scale_row_bytes = (size_t)scales->row_bytes;
    } else {
        out->row_bytes = at.row_bytes;
        out->scale_row_bytes = at.scale_row_bytes;
        out->scales = (const char *)out->data + at.scales_at;
    }
    /* of a turned one rows are inputs: groups in every output */
    size_t step = turn ? (size_t)plim_dtype_quant_bytes(p->dtype, skip) : skip * out->row_bytes;
    size_t scale_step = turn ? (size_t)(skip / PLIM_GROUP * 2) : skip * out->scale_row_bytes;
    out->data = (const char *)out->data + step;
    out->scales = (const char *)out->scales + scale_step;
}

static plim_status acquire(plim_extent_source *self, const plim_weight *weight, uint64_t row,
                           uint64_t want, plim_extent *out, plim_error *err)
{
    plim_weights *w = (plim_weights *)self;
    const plim_load_plan *plan = w->job.plan;
    uint32_t at = plan->placement_of_slot[weight->part[0]];
    const plim_placement *p = &plan->placements[at];
    const plim_extent_place *e = find_extent(plan, p, weight->first_row + row);
    uint64_t skip = weight->first_row + row - e->row, left = weight->rows - row;
    uint64_t rows = e->rows - skip < left ? e->rows - skip : left, there = e->rows;
    *out = (plim_extent){.row = row, .rows = want < rows ? want : rows};
    plim_status status = PLIM_OK;
    if (e->form != PLIM_FORM_STREAMED) {
        out->data = memory_of(w, e);
        if (p->scales != PLIM_NO_SLOT)
            out->scales =
                memory_of(w, &plan->extents[plan->placements[p->scales].first_extent +
                                            (uint32_t)(e - plan->extents) - p->first_extent]);
    } else if (weight->by_row) {
        status =
            plim_stream_row(w->stream, at, weight->first_row + row, &out->data, &out->scales, err);
        skip = 0;
        there = out->rows = 1;
    } else {
        status = plim_stream_tile(w->stream, e->tile, &out->data, &out->scales, err);
        out->cookie = (void *)(uintptr_t)(e->tile + 1ull);
    }
    if (!status)
        set_strides(plan, p, there, weight, skip, out);
    return status;
}

static void release(plim_extent_source *self, plim_extent *extent)
{
    if (extent->cookie)
        plim_stream_release(((plim_weights *)self)->stream,
                            (uint32_t)((uintptr_t)extent->cookie - 1));
}

static plim_status begin(plim_extent_source *self, unsigned head_rounds, const atomic_bool *cancel,
                         plim_error *err)
{
    plim_weights *w = (plim_weights *)self;
    return w->stream ? plim_stream_begin(w->stream, head_rounds, cancel, err) : PLIM_OK;
}

static void end(plim_extent_source *self, bool ok)
{
    plim_weights *w = (plim_weights *)self;
    if (w->stream)
        plim_stream_end(w->stream, ok);
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
                          .part = {i, PLIM_NO_PART, PLIM_NO_PART, PLIM_NO_PART},
                          .by_row = table && s->role != PLIM_ROLE_HEAD};
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
    w->source = (plim_extent_source){begin, end, acquire, release};
    plim_status status = fill(w, err);
    if (!status)
        status = describe_weights(w, err);
    if (!status && job->plan->ring_slots)
        status = plim_stream_open(&w->stream, &w->job, err);
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
    plim_stream_close(&w->stream);
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

void plim_weights_stream_stats(plim_weights *w, plim_stream_stats *out)
{
    *out = w->stream ? plim_stream_read_stats(w->stream) : (plim_stream_stats){0};
}
