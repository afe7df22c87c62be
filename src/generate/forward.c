/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass of every family, driven by the spec.  Reads from top to bottom: embed, layers
 * (attention, MLP), final norm, head.  n rows; H hidden, Q heads * head_dim, K kv_heads * head_dim,
 * I inner, V vocabulary. */
#include "generate/forward.h"
#include "generate/product.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A pass in progress: the spec and buffers at hand, and what tasks on threads share. */
typedef struct work {
    const plim_pass *pass;
    const plim_spec *spec;
    const plim_kernels *kernels;
    plim_extent_source *source;
    plim_multiplier multiplier;
    const plim_row *rows;
    size_t n;
    size_t q_width, kv_width, qkv_width; /* Q, K, Q + 2K */
    float *x;                            /* [n][H] the residual stream */
    float *h;                            /* [n][H] normed, or what a block adds */
    float *qkv;                          /* [n][Q + 2K] */
    float *attn;                         /* [n][Q] */
    float *up, *gate;                    /* [n][I] */
    void *pack, *pack_inner; /* rows made ready for products: of h or attn; of the MLP */
    float *cos, *sin;        /* [n][half] */
    float *vec, *vec2;       /* one vector each: norm weights, biases */
    float *head_rows;        /* [logit_rows][H] */
    float *logits;           /* [logit_rows][V] */
    float *parts;            /* of attention, as the scratch layout tells */
    bool has_bias, has_bias2;
    uint32_t layer;
    void (*row_fn)(struct work *w, size_t r); /* what each row gets, and how many are a task */
    size_t row_cut;
} work;

static bool cancelled(const work *w)
{
    return w->pass->cancel && atomic_load_explicit(w->pass->cancel, memory_order_relaxed);
}

static const plim_weight *weight_of(const work *w, plim_role role)
{
    return plim_weights_get(w->pass->engine->weights, w->layer, role);
}

static void rows_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    work *w = arg;
    size_t r = task * w->row_cut, end = r + w->row_cut < w->n ? r + w->row_cut : w->n;
    for (; r < end; r++)
        w->row_fn(w, r);
}

/* Run fn for every row: by the pool when there are several, in tasks that are few and balance. */
static void each_row(work *w, void (*fn)(work *w, size_t r))
{
    size_t tasks = 4 * (size_t)plim_pool_threads(w->pass->engine->pool);
    w->row_fn = fn;
    w->row_cut = (w->n + tasks - 1) / tasks;
    if (w->n == 1)
        fn(w, 0);
    else
        plim_pool_run(w->pass->engine->pool, (unsigned)((w->n + w->row_cut - 1) / w->row_cut),
                      rows_task, w);
}

/* ---- weights in use ---- */

/* Row `row` of a weight as f32 into out[cols]. */
static plim_status fetch_row(work *w, const plim_weight *weight, uint64_t row, float *out,
                             plim_error *err)
{
    plim_extent e;
    plim_status status = w->source->acquire(w->source, weight, row, 1, &e, err);
    if (status)
        return status;
    if (weight->format == PLIM_F32)
        memcpy(out, e.data, weight->cols * sizeof *out);
    else if (e.scales)
        w->kernels->dequantise[weight->format](out, e.data, e.scales, weight->cols);
    else
        w->kernels->cast[PLIM_F32][weight->format](out, e.data, weight->cols);
    w->source->release(w->source, &e);
    return PLIM_OK;
}

/* The vector that plays a role, as f32; *there is false, and out untouched, when the model has
 * none. */
static plim_status fetch_vector(work *w, plim_role role, float *out, bool *there, plim_error *err)
{
    const plim_weight *weight = weight_of(w, role);
    *there = weight != NULL;
    return weight ? fetch_row(w, weight, 0, out, err) : PLIM_OK;
}

/* y[rows][outputs] = x . the weight that plays a role */
static plim_status product(work *w, plim_role role, plim_operand *x, float *y, size_t y_stride,
                           plim_error *err)
{
    return plim_multiply(&w->multiplier, weight_of(w, role), x, y, y_stride, err);
}

/* ---- steps on rows ---- */

static void norm_row(work *w, size_t r)
{
    const plim_spec *s = w->spec;
    const float *x = w->x + r * s->hidden;
    float *h = w->h + r * s->hidden;
    if (s->norm == PLIM_NORM_RMS)
        w->kernels->rms_norm(h, x, w->vec, s->hidden, s->norm_eps);
    else
        w->kernels->layer_norm(h, x, w->vec, w->has_bias2 ? w->vec2 : NULL, s->hidden, s->norm_eps);
}

/* h = norm(x) */
static plim_status norm(work *w, plim_role role, plim_role bias, plim_error *err)
{
    plim_status status;
    if ((status = fetch_vector(w, role, w->vec, &w->has_bias, err)) ||
        (status = fetch_vector(w, bias, w->vec2, &w->has_bias2, err)))
        return status;
    each_row(w, norm_row);
    return PLIM_OK;
}

static void residual_row(work *w, size_t r)
{
    size_t hidden = w->spec->hidden;
    float *x = w->x + r * hidden, *h = w->h + r * hidden;
    if (w->has_bias)
        w->kernels->add(h, w->vec, hidden);
    w->kernels->add(x, h, hidden);
}

/* x += h + bias */
static plim_status residual(work *w, plim_role bias, plim_error *err)
{
    plim_status status = fetch_vector(w, bias, w->vec, &w->has_bias, err);
    if (!status)
        each_row(w, residual_row);
    return status;
}

/* ---- embedding ---- */

/* Cosines and sines of a row's position. */
static void angles_row(work *w, size_t r)
{
    const plim_rope *rope = &w->spec->rope;
    float *cos = w->cos + r * rope->half, *sin = w->sin + r * rope->half;
    for (uint32_t i = 0; i < rope->half; i++) {
        float angle = (float)w->rows[r].position * rope->inv_freq[i];
        cos[i] = cosf(angle) * rope->scale;
        sin[i] = sinf(angle) * rope->scale;
    }
}

static plim_status embed(work *w, plim_error *err)
{
    const plim_spec *s = w->spec;
    const plim_weight *tokens = weight_of(w, PLIM_ROLE_EMBED),
                      *positions = weight_of(w, PLIM_ROLE_POSITION);
    for (size_t r = 0; r < w->n; r++) {
        float *x = w->x + r * s->hidden;
        plim_status status = fetch_row(w, tokens, (uint64_t)w->rows[r].token, x, err);
        if (!status && positions) {
            status = fetch_row(w, positions, w->rows[r].position, w->vec, err);
            w->kernels->add(x, w->vec, s->hidden);
        }
        if (status)
            return status;
    }
    if (s->positions == PLIM_POSITIONS_ROPE)
        each_row(w, angles_row);
    return PLIM_OK;
}

/* ---- attention ---- */

/* K (part 0) or V (part 1) of a KV head of the current layer, at position 0. */
static char *kv_head(const work *w, const plim_state *state, unsigned part, size_t head)
{
    size_t row_bytes = (size_t)w->spec->head_dim * (plim_dtypes[state->size.kv_dtype].bits / 8);
    size_t index = ((size_t)w->layer * 2 + part) * w->spec->kv_heads + head;
    return (char *)state->kv.base + index * state->size.context * row_bytes;
}

static void store_key(const work *w, const plim_row *row, size_t head, const float *k)
{
    const plim_state *state = row->state;
    size_t dim = w->spec->head_dim, step;
    size_t at = plim_key_at(row->position, state->size.context, dim, &step);
    void *base = kv_head(w, state, 0, head);
    if (state->size.kv_dtype == PLIM_F32) {
        float *to = (float *)base + at;
        for (size_t d = 0; d < dim; d++)
            to[d * step] = k[d];
        return;
    }
    uint16_t narrow[PLIM_MAX_HEAD_DIM], *to = (uint16_t *)base + at;
    w->kernels->cast[state->size.kv_dtype][PLIM_F32](narrow, k, dim);
    for (size_t d = 0; d < dim; d++)
        to[d * step] = narrow[d];
}

static void store_value(const work *w, const plim_row *row, size_t head, const float *v)
{
    plim_dtype type = row->state->size.kv_dtype;
    size_t row_bytes = (size_t)w->spec->head_dim * (plim_dtypes[type].bits / 8);
    char *to = kv_head(w, row->state, 1, head) + row->position * row_bytes;
    if (type == PLIM_F32)
        memcpy(to, v, row_bytes);
    else
        w->kernels->cast[type][PLIM_F32](to, v, w->spec->head_dim);
}

/* Heads [first, first + count) of a row: norm (Qwen 3), then rope. */
static void turn_heads(const work *w, float *heads, size_t count, const float *norm_weight,
                       size_t r)
{
    const plim_spec *s = w->spec;
    const float *cos = w->cos + r * s->rope.half, *sin = w->sin + r * s->rope.half;
    for (size_t i = 0; i < count; i++) {
        float *head = heads + i * s->head_dim;
        if (s->qk_norm)
            w->kernels->rms_norm(head, head, norm_weight, s->head_dim, s->norm_eps);
        if (s->positions == PLIM_POSITIONS_ROPE)
            w->kernels->rope(head, cos, sin, s->rope.half);
    }
}

/* Finish q, k, v of a row and append k, v to its state. */
static void append_row(work *w, size_t r)
{
    const plim_spec *s = w->spec;
    const plim_row *row = &w->rows[r];
    float *q = w->qkv + r * w->qkv_width, *k = q + w->q_width, *v = k + w->kv_width;
    if (w->has_bias)
        w->kernels->add(q, w->vec, w->qkv_width);
    turn_heads(w, q, s->heads, w->vec2, r);
    turn_heads(w, k, s->kv_heads, w->vec2 + s->head_dim, r);
    for (size_t head = 0; head < s->kv_heads; head++) {
        store_key(w, row, head, k + head * s->head_dim);
        store_value(w, row, head, v + head * s->head_dim);
    }
}

/* How the rows of a pass are cut for attention: tiles of rows, each with all it sees; or, when rows
 * are few and see much, all of them span by span. */
typedef struct attend_job {
    work *w;
    size_t tile, tiles;
    size_t first_span, spans; /* spans: 0 when they are not cut */
} attend_job;

/* How many rows from r on, below `end`, follow each other in one sequence. */
static size_t count_run(const work *w, size_t r, size_t end)
{
    size_t n = 1;
    while (r + n < end && w->rows[r + n].state == w->rows[r].state &&
           w->rows[r + n].position == w->rows[r].position + n)
        n++;
    return n;
}

/* Such rows and a KV head. */
static plim_attention attention_of(const work *w, size_t r, size_t rows, size_t head)
{
    const plim_spec *s = w->spec;
    const plim_row *row = &w->rows[r];
    size_t group = s->heads / s->kv_heads;
    plim_attention a = {.y = w->attn + r * w->q_width + head * group * s->head_dim,
                        .q = w->qkv + r * w->qkv_width + head * group * s->head_dim,
                        .k = kv_head(w, row->state, 0, head),
                        .v = kv_head(w, row->state, 1, head),
                        .context = row->state->size.context,
                        .position = row->position,
                        .window = s->slides[w->layer] ? s->window : SIZE_MAX,
                        .rows = rows,
                        .group = group,
                        .head_dim = s->head_dim,
                        .q_row_stride = w->qkv_width,
                        .y_row_stride = w->q_width,
                        .q_stride = s->head_dim,
                        .y_stride = s->head_dim,
                        .scale = s->attn_scale};
    if (s->attn_scale_by_layer)
        a.scale /= (float)(w->layer + 1);
    return a;
}

/* Elements of the parts of one span, and where those of span 0 are, of rows from r on. */
static size_t span_stride(const work *w)
{
    const plim_spec *s = w->spec;
    return w->pass->scratch->layout.part_rows * (s->heads / s->kv_heads) * (s->head_dim + 2);
}

static float *parts_of(const work *w, size_t r, size_t head)
{
    const plim_scratch_layout *l = &w->pass->scratch->layout;
    return w->parts + (head * l->spans * l->part_rows + r) * (span_stride(w) / l->part_rows);
}

static void attend_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    const attend_job *job = arg;
    work *w = job->w;
    size_t head = task % w->spec->kv_heads, number = task / w->spec->kv_heads;
    size_t tile = job->spans ? 0 : job->tiles - 1 - number; /* the longest first */
    size_t end = (tile + 1) * job->tile < w->n ? (tile + 1) * job->tile : w->n;
    if (cancelled(w))
        return;
    for (size_t r = tile * job->tile, rows; r < end; r += rows) {
        rows = count_run(w, r, end);
        plim_attention a = attention_of(w, r, rows, head);
        if (job->spans) {
            a.span = job->first_span + number;
            a.parts = parts_of(w, r, head) + a.span * span_stride(w);
        }
        w->kernels->attention[w->rows[r].state->size.kv_dtype](&a);
    }
}

static void join_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    const attend_job *job = arg;
    work *w = job->w;
    if (cancelled(w))
        return;
    for (size_t r = 0, rows; r < w->n; r += rows) {
        rows = count_run(w, r, w->n);
        plim_attention a = attention_of(w, r, rows, task);
        plim_attention_join(&a, parts_of(w, r, task), span_stride(w));
    }
}

/* Spans that any of the rows sees. */
static void find_spans(const work *w, attend_job *job)
{
    size_t first = SIZE_MAX, last = 0;
    for (size_t r = 0; r < w->n; r++) {
        plim_attention a = attention_of(w, r, 1, 0);
        size_t begin = plim_attention_first(&a, 0) / PLIM_SPAN, end = a.position / PLIM_SPAN;
        first = begin < first ? begin : first;
        last = end > last ? end : last;
    }
    job->first_span = first;
    job->spans = last > first ? last - first + 1 : 0;
}

/* attn = attention of all rows; their keys and values are in their states. */
static void attend(work *w)
{
    plim_pool *pool = w->pass->engine->pool;
    size_t kv_heads = w->spec->kv_heads, group = w->spec->heads / kv_heads;
    size_t wanted = 4 * (size_t)plim_pool_threads(pool);
    attend_job job = {.w = w, .tile = group < 64 ? 64 / group : 1};
    while (job.tile * group > 8 && job.tile > 1 && w->n * kv_heads < wanted * job.tile)
        job.tile = (job.tile + 1) / 2;
    job.tiles = (w->n + job.tile - 1) / job.tile;
    if (w->n <= w->pass->scratch->layout.part_rows)
        find_spans(w, &job);
    if (job.spans) {
        job.tile = w->n;
        plim_pool_run(pool, (unsigned)(job.spans * kv_heads), attend_task, &job);
        plim_pool_run(pool, (unsigned)kv_heads, join_task, &job);
    } else {
        plim_pool_run(pool, (unsigned)(job.tiles * kv_heads), attend_task, &job);
    }
}

/* h as an operand */
static plim_operand hidden_rows(const work *w)
{
    return (plim_operand){.x = w->h,
                          .stride = w->spec->hidden,
                          .rows = w->n,
                          .inputs = w->spec->hidden,
                          .pack = w->pack};
}

static plim_status project_qkv(work *w, plim_error *err)
{
    const plim_spec *s = w->spec;
    bool there;
    plim_operand h = hidden_rows(w);
    float *q = w->qkv, *k = q + w->q_width, *v = k + w->kv_width;
    plim_status status;
    if (s->fused_qkv) {
        if ((status = product(w, PLIM_ROLE_QKV, &h, q, w->qkv_width, err)))
            return status;
        return fetch_vector(w, PLIM_ROLE_QKV_BIAS, w->vec, &w->has_bias, err);
    }
    if ((status = product(w, PLIM_ROLE_Q, &h, q, w->qkv_width, err)) ||
        (status = product(w, PLIM_ROLE_K, &h, k, w->qkv_width, err)) ||
        (status = product(w, PLIM_ROLE_V, &h, v, w->qkv_width, err)))
        return status;
    if ((status = fetch_vector(w, PLIM_ROLE_Q_BIAS, w->vec, &w->has_bias, err)) ||
        (status = fetch_vector(w, PLIM_ROLE_K_BIAS, w->vec + w->q_width, &there, err)) ||
        (status =
             fetch_vector(w, PLIM_ROLE_V_BIAS, w->vec + w->q_width + w->kv_width, &there, err)) ||
        (status = fetch_vector(w, PLIM_ROLE_Q_NORM, w->vec2, &there, err)))
        return status;
    return fetch_vector(w, PLIM_ROLE_K_NORM, w->vec2 + s->head_dim, &there, err);
}

/* h = attention(h) */
static plim_status attention(work *w, plim_error *err)
{
    plim_status status = project_qkv(w, err);
    if (status)
        return status;
    each_row(w, append_row);
    attend(w);
    plim_operand attn = {
        .x = w->attn, .stride = w->q_width, .rows = w->n, .inputs = w->q_width, .pack = w->pack};
    return product(w, PLIM_ROLE_ATTN_OUT, &attn, w->h, w->spec->hidden, err);
}

/* ---- MLP ---- */

static void activate_row(work *w, size_t r)
{
    size_t inner = w->spec->inner;
    float *up = w->up + r * inner, *gate = w->gate + r * inner;
    if (w->has_bias)
        w->kernels->add(up, w->vec, inner);
    if (!w->spec->gated) {
        w->kernels->activate(up, inner, w->spec->activation);
        return;
    }
    if (w->has_bias2)
        w->kernels->add(gate, w->vec2, inner);
    w->kernels->activate_gated(gate, up, inner, w->spec->activation);
}

/* h = down(act(gate(h)) * up(h)), or down(act(up(h))) */
static plim_status mlp(work *w, plim_error *err)
{
    const plim_spec *s = w->spec;
    plim_status status;
    plim_operand h = hidden_rows(w), inner = {.x = s->gated ? w->gate : w->up,
                                              .stride = s->inner,
                                              .rows = w->n,
                                              .inputs = s->inner,
                                              .pack = w->pack_inner};
    if (s->gated && (status = product(w, PLIM_ROLE_GATE, &h, w->gate, s->inner, err)))
        return status;
    if ((status = product(w, PLIM_ROLE_UP, &h, w->up, s->inner, err)))
        return status;
    if ((status = fetch_vector(w, PLIM_ROLE_UP_BIAS, w->vec, &w->has_bias, err)) ||
        (status = fetch_vector(w, PLIM_ROLE_GATE_BIAS, w->vec2, &w->has_bias2, err)))
        return status;
    each_row(w, activate_row);
    return product(w, PLIM_ROLE_DOWN, &inner, w->h, s->hidden, err);
}

/* ---- head ---- */

/* Logits of the rows that want them, a few at a time, and the caller's look at each. */
static plim_status head(work *w, plim_error *err)
{
    const plim_spec *s = w->spec;
    size_t most = w->pass->scratch->layout.logit_rows;
    for (size_t r = 0; r < w->n;) {
        size_t which[PLIM_LOGIT_ROWS], count = 0;
        for (; r < w->n && count < most; r++)
            if (w->rows[r].wants_logits) {
                which[count] = r;
                memcpy(w->head_rows + count * s->hidden, w->h + r * s->hidden,
                       s->hidden * sizeof *w->h);
                count++;
            }
        if (!count)
            break;
        plim_operand rows = {.x = w->head_rows,
                             .stride = s->hidden,
                             .rows = count,
                             .inputs = s->hidden,
                             .pack = w->pack};
        plim_status status = product(w, PLIM_ROLE_HEAD, &rows, w->logits, s->vocab, err);
        if (status)
            return status;
        for (size_t i = 0; i < count && w->pass->on_logits; i++)
            if (w->pass->on_logits(w->pass->user, which[i], w->logits + i * s->vocab))
                return plim_fail(err, PLIM_E_CANCELLED, "cancelled");
    }
    return PLIM_OK;
}

static work begin(const plim_pass *pass)
{
    const plim_spec *s = pass->engine->spec;
    const plim_scratch_layout *l = &pass->scratch->layout;
    float *base = pass->scratch->region.base;
    assert(!l->widen || l->widen >= plim_pool_threads(pass->engine->pool)); /* each has its rows */
    work w = {.pass = pass,
              .spec = s,
              .kernels = pass->engine->kernels,
              .source = pass->engine->source,
              .multiplier = {pass->engine->pool, pass->engine->kernels, pass->engine->source,
                             pass->cancel, l->widen ? base + l->wide : NULL, l->wide_inputs},
              .rows = pass->rows,
              .n = pass->count,
              .q_width = (size_t)s->heads * s->head_dim,
              .kv_width = (size_t)s->kv_heads * s->head_dim,
              .x = base + l->x,
              .h = base + l->h,
              .qkv = base + l->qkv,
              .attn = base + l->attn,
              .up = base + l->up,
              .gate = base + l->gate,
              .pack = base + l->pack,
              .pack_inner = base + l->pack_inner,
              .cos = base + l->cos,
              .sin = base + l->sin,
              .vec = base + l->vec,
              .vec2 = base + l->vec2,
              .head_rows = base + l->head,
              .logits = base + l->logits,
              .parts = base + l->parts};
    w.qkv_width = w.q_width + 2 * w.kv_width;
    return w;
}

/* How often the output head is gone through: once per PLIM_LOGIT_ROWS rows that want logits. */
static unsigned count_head_rounds(const work *w)
{
    size_t wanted = 0, most = w->pass->scratch->layout.logit_rows;
    for (size_t r = 0; r < w->n; r++)
        wanted += w->rows[r].wants_logits;
    return (unsigned)((wanted + most - 1) / most);
}

/* Matrices are used in the order of the skeleton's slots: a stream reads them ahead. */
static plim_status layers_and_head(work *w, plim_error *err)
{
    plim_status status = embed(w, err);
    for (w->layer = 0; !status && w->layer < w->spec->layers; w->layer++) {
        if ((status = norm(w, PLIM_ROLE_ATTN_NORM, PLIM_ROLE_ATTN_NORM_BIAS, err)) ||
            (status = attention(w, err)) || (status = residual(w, PLIM_ROLE_ATTN_OUT_BIAS, err)))
            break;
        if ((status = norm(w, PLIM_ROLE_MLP_NORM, PLIM_ROLE_MLP_NORM_BIAS, err)) ||
            (status = mlp(w, err)) || (status = residual(w, PLIM_ROLE_DOWN_BIAS, err)))
            break;
    }
    w->layer = 0;
    if (!status)
        status = norm(w, PLIM_ROLE_FINAL_NORM, PLIM_ROLE_FINAL_NORM_BIAS, err);
    return status ? status : head(w, err);
}

plim_status plim_forward(const plim_pass *pass, plim_error *err)
{
    work state = begin(pass), *w = &state;
    plim_status status = w->source->begin(w->source, count_head_rounds(w), pass->cancel, err);
    if (status)
        return status;
    status = layers_and_head(w, err);
    w->source->end(w->source, !status);
    return status;
}
