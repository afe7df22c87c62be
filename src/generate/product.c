/* SPDX-License-Identifier: Apache-2.0
 *
 * How products are cut, and how their rows are packed. */
#include "generate/product.h"

#include <string.h>

#define FEW_ROWS                                                                                   \
    8u /* up to so many rows the weights' way from memory counts, not the arithmetic               \
        */

#define PANEL 48u /* outputs that the kernels take at once, given many rows */
#define MANY_OUTPUTS                                                                               \
    (10 * PANEL) /* each task reads all rows; it stays short all the same, so that a cancel is     \
                    heard */

static bool cancelled(const plim_multiplier *m)
{
    return m->cancel && atomic_load_explicit(m->cancel, memory_order_relaxed);
}

/* Whether groups become floats before they are multiplied. */
static bool is_widened(const plim_multiplier *m, plim_dtype format)
{
    return m->wide && plim_dtypes[format].group;
}

/* ---- one tile ---- */

typedef struct tile_job {
    const plim_multiplier *m;
    plim_product_fn fn;
    plim_dequantise_fn widen; /* or NULL: before fn, which is that of floats */
    const plim_product *whole;
    size_t block;  /* outputs of a task */
    size_t w_step; /* bytes from one output to the next */
    size_t scale_step;
} tile_job;

/* Of an [out, in] weight, a few outputs at a time. */
static void multiply_widened(const tile_job *job, const plim_product *p, unsigned worker)
{
    float *wide = job->m->wide + worker * PLIM_WIDE_ROWS * job->m->wide_inputs;
    plim_product part = *p;
    part.w = wide;
    part.w_row_bytes = p->inputs * sizeof(float);
    for (size_t o = 0; o < p->outputs; o += part.outputs) {
        part.y = p->y + o;
        part.outputs = p->outputs - o < PLIM_WIDE_ROWS ? p->outputs - o : PLIM_WIDE_ROWS;
        for (size_t i = 0; i < part.outputs; i++)
            job->widen(wide + i * p->inputs, (const char *)p->w + (o + i) * p->w_row_bytes,
                       (const char *)p->scales + (o + i) * p->scale_row_bytes, p->inputs);
        job->fn(&part);
    }
}

static void tile_task(void *arg, unsigned task, unsigned worker)
{
    const tile_job *job = arg;
    plim_product p = *job->whole;
    size_t first = task * job->block;
    if (cancelled(job->m))
        return;
    p.outputs = p.outputs - first < job->block ? p.outputs - first : job->block;
    p.y += first;
    p.w = (const char *)p.w + first * job->w_step;
    if (p.scales)
        p.scales = (const char *)p.scales + first * job->scale_step;
    if (job->widen)
        multiply_widened(job, &p, worker);
    else
        job->fn(&p);
}

/* Outputs per task: enough of them to balance the threads, each long enough to be worth a task. */
static size_t choose_block(const plim_product *tile, plim_layout layout, unsigned threads)
{
    bool few = tile->rows <= FEW_ROWS;
    if (threads == 1 && few)
        return tile->outputs;
    /* [in, out]: rows of the weight are read in pieces of `block`, the longer the faster (0.8 to
     * 0.9 of reading with a piece per thread, 0.6 to 0.8 with two, 0.5 to 0.6 with four) */
    size_t parts = layout == PLIM_IN_OUT && few ? threads : (size_t)threads * 8;
    size_t block = (tile->outputs + parts - 1) / parts, unit = few ? 16 : PANEL;
    if (!few && block > MANY_OUTPUTS)
        block = MANY_OUTPUTS;
    block = (block + unit - 1) / unit * unit;
    return block < 4 * unit ? 4 * unit : block;
}

void plim_multiply_tile(const plim_multiplier *m, plim_dtype format, plim_layout layout,
                        const plim_product *tile)
{
    bool in_out = layout == PLIM_IN_OUT, widened = is_widened(m, format);
    plim_dtype as = widened ? PLIM_F32 : format;
    tile_job job = {.m = m,
                    .fn = in_out ? m->kernels->product_in_out[as] : m->kernels->product_out_in[as],
                    .widen = widened ? m->kernels->dequantise[format] : NULL,
                    .whole = tile,
                    .block = choose_block(tile, layout, plim_pool_threads(m->pool)),
                    .w_step = in_out ? plim_dtypes[format].bits / 8 : tile->w_row_bytes,
                    .scale_step = tile->scale_row_bytes};
    if (tile->outputs)
        plim_pool_run(m->pool, (unsigned)((tile->outputs + job.block - 1) / job.block), tile_task,
                      &job);
}

/* ---- packing ---- */

typedef struct pack_job {
    plim_pack_fn fn;
    plim_pack whole;
} pack_job;

static void pack_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    const pack_job *job = arg;
    plim_pack p = job->whole;
    p.first = (size_t)task * PLIM_PACK_ROWS;
    p.rows = p.rows - p.first < PLIM_PACK_ROWS ? p.rows - p.first : PLIM_PACK_ROWS;
    job->fn(&p);
}

/* The rows as this format wants them, or NULL where it takes them as they are. */
static const void *pack(const plim_multiplier *m, plim_dtype format, plim_operand *x)
{
    pack_job job = {.fn = m->kernels->pack[format],
                    .whole = {.dst = x->pack,
                              .x = x->x,
                              .x_stride = x->stride,
                              .rows = x->rows,
                              .inputs = x->inputs}};
    if (!job.fn || x->rows < m->kernels->pack_from[format])
        return NULL;
    if (x->packed_by != job.fn)
        plim_pool_run(m->pool, (unsigned)((x->rows + PLIM_PACK_ROWS - 1) / PLIM_PACK_ROWS),
                      pack_task, &job);
    x->packed_by = job.fn;
    return x->pack;
}

/* ---- a weight ---- */

plim_status plim_multiply(const plim_multiplier *m, const plim_weight *weight, plim_operand *x,
                          float *y, size_t y_stride, plim_error *err)
{
    bool group = plim_dtypes[weight->format].group != 0;
    bool by_input = weight->layout == PLIM_IN_OUT; /* rows of the weight are inputs */
    plim_layout layout = group ? PLIM_OUT_IN : weight->layout;
    size_t outputs = (size_t)plim_weight_outputs(weight);
    bool widened = is_widened(m, weight->format);
    const void *packed = pack(m, widened ? PLIM_F32 : weight->format, x);
    for (size_t r = 0; (by_input || (group && !widened)) && r < x->rows; r++)
        memset(y + r * y_stride, 0, outputs * sizeof *y);
    for (uint64_t row = 0; row < weight->rows;) {
        plim_extent e;
        plim_status status =
            m->source->acquire(m->source, weight, row, weight->rows - row, &e, err);
        if (status)
            return status;
        plim_product tile = {.y = by_input ? y : y + row,
                             .x = by_input ? x->x + row : x->x,
                             .packed = packed,
                             .packed_inputs = x->inputs,
                             .first_input = by_input ? (size_t)row : 0,
                             .w = e.data,
                             .scales = e.scales,
                             .y_stride = y_stride,
                             .x_stride = x->stride,
                             .w_row_bytes = e.row_bytes,
                             .scale_row_bytes = e.scale_row_bytes,
                             .rows = x->rows,
                             .outputs = by_input ? outputs : (size_t)e.rows,
                             .inputs = by_input ? (size_t)e.rows : x->inputs};
        plim_multiply_tile(m, weight->format, layout, &tile);
        row += e.rows;
        m->source->release(m->source, &e);
        if (cancelled(m))
            return plim_fail(err, PLIM_E_CANCELLED, "cancelled");
    }
    return PLIM_OK;
}
