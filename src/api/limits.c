/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine can do at most, and what a pass must cost at least: the two sides of every
 * share that a benchmark tells. */
#include <assert.h>
#include <string.h>

#include "api/handles.h"
#include "generate/product.h"

#define MIN_REGION    ((uint64_t)1 << 20)
#define MAX_REGION    ((uint64_t)1 << 32)
#define MAX_PIECE     ((size_t)4 << 20) /* of a read, taken by one thread */
#define PIECES        4u                /* per thread, at least: they balance */
#define PEAK_ROUNDS   ((size_t)1 << 17) /* of a task: a fraction of a millisecond */
#define SWEEP_ROUNDS  3
#define SWEEP_SECONDS 0.012

static const struct {
    unsigned rows;
    size_t ahead;
} ways[] = {{1, 0}, {1, 1024}, {1, 4096}, {4, 0}, {4, 4096}, {4, PLIM_PEAK_BLOCK}};

enum { WAYS = sizeof ways / sizeof ways[0] };

struct plim_limits {
    plim_context *context;
    plim_region memory;
    size_t piece;
    double speed[WAYS];
    unsigned best;
};

/* ---- measuring ---- */

typedef struct limit_job {
    const plim_limits *limits;
    plim_limit what;
    unsigned way;
    _Atomic uint64_t done;   /* bytes or operations */
    _Atomic uint64_t result; /* nobody wants it, but it must be computed */
} limit_job;

static void limit_task(void *arg, unsigned task, unsigned worker)
{
    (void)worker;
    limit_job *job = arg;
    const plim_limits *l = job->limits;
    const plim_kernels *k = &l->context->kernels;
    uint64_t done, result;
    float sum = 0;
    int32_t dots = 0;
    if (job->what == PLIM_LIMIT_READ) {
        size_t at = task * l->piece;
        done = l->memory.bytes - at < l->piece ? l->memory.bytes - at : l->piece;
        result = k->peak_read((const char *)l->memory.base + at, (size_t)done, ways[job->way].rows,
                              ways[job->way].ahead);
    } else if (job->what == PLIM_LIMIT_FMA) {
        done = k->peak_fma(PEAK_ROUNDS, &sum);
        result = sum > 0;
    } else {
        done = k->peak_dot(PEAK_ROUNDS, &dots);
        result = (uint32_t)dots;
    }
    atomic_fetch_add_explicit(&job->done, done, memory_order_relaxed);
    atomic_fetch_add_explicit(&job->result, result, memory_order_relaxed);
}

static double measure(const plim_limits *l, plim_limit what, unsigned way, double seconds)
{
    plim_pool *pool = l->context->pool;
    limit_job job = {.limits = l, .what = what, .way = way};
    unsigned tasks = what == PLIM_LIMIT_READ
                         ? (unsigned)((l->memory.bytes + l->piece - 1) / l->piece)
                         : plim_pool_threads(pool) * PIECES;
    double start = plim_now(), now;
    do {
        plim_pool_run(pool, tasks, limit_task, &job);
        now = plim_now();
    } while (now - start < seconds);
    return (double)atomic_load(&job.done) / (now - start);
}

double plim_limits_measure(plim_limits *l, plim_limit what, double seconds)
{
    assert(what < PLIM_LIMIT_COUNT);
    return measure(l, what, l->best, seconds);
}

/* ---- life ---- */

static void sweep(plim_limits *l)
{
    for (int round = 0; round < SWEEP_ROUNDS; round++)
        for (unsigned i = 0; i < WAYS; i++) {
            double speed = measure(l, PLIM_LIMIT_READ, i, SWEEP_SECONDS);
            if (speed > l->speed[i])
                l->speed[i] = speed;
        }
    for (unsigned i = 1; i < WAYS; i++)
        if (l->speed[i] > l->speed[l->best])
            l->best = i;
}

plim_status plim_limits_open(plim_limits **out, plim_context *context, uint64_t bytes,
                             plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    plim_error_clear(err);
    *out = NULL;
    plim_limits *l = plim_new(plim_context_alloc(context), 1, sizeof *l, err);
    if (!l)
        return err->code;
    l->context = plim_context_ref(context);
    bytes = bytes < MIN_REGION ? MIN_REGION : bytes > MAX_REGION ? MAX_REGION : bytes;
    size_t piece = (size_t)bytes / plim_pool_threads(context->pool) / PIECES;
    piece = piece < MAX_PIECE ? piece : MAX_PIECE;
    l->piece = (piece + PLIM_PEAK_BLOCK - 1) / PLIM_PEAK_BLOCK * PLIM_PEAK_BLOCK;
    plim_status status =
        plim_region_open(&l->memory, context->ledger, PLIM_MEM_STAGING,
                         (size_t)bytes / PLIM_PEAK_BLOCK * PLIM_PEAK_BLOCK, true, err);
    if (status) {
        plim_limits_close(&l);
        return status;
    }
    memset(l->memory.base, 1, l->memory.bytes);
    sweep(l);
    *out = l;
    return PLIM_OK;
}

void plim_limits_close(plim_limits **limits)
{
    plim_limits *l = limits ? *limits : NULL;
    if (!l)
        return;
    *limits = NULL;
    plim_context *c = l->context;
    plim_region_close(&l->memory, c->ledger);
    plim_delete(plim_context_alloc(c), l);
    plim_context_close(&c);
}

plim_status plim_limits_read_way(const plim_limits *l, size_t i, plim_read_way *out)
{
    if (i >= WAYS)
        return PLIM_E_USAGE;
    *out = (plim_read_way){
        .rows = ways[i].rows, .ahead = ways[i].ahead, .speed = l->speed[i], .chosen = i == l->best};
    return PLIM_OK;
}

/* ---- what a pass must cost ---- */

static bool is_matrix(plim_role role)
{
    switch (role) {
    case PLIM_ROLE_HEAD:
    case PLIM_ROLE_QKV:
    case PLIM_ROLE_Q:
    case PLIM_ROLE_K:
    case PLIM_ROLE_V:
    case PLIM_ROLE_ATTN_OUT:
    case PLIM_ROLE_GATE:
    case PLIM_ROLE_UP:
    case PLIM_ROLE_DOWN:
        return true;
    default:
        return false;
    }
}

static void add_weight(plim_pass_cost *cost, const plim_weight *w, plim_role role, size_t count,
                       bool widened)
{
    bool by_row = role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION;
    uint64_t rows = by_row && count < w->rows ? count : w->rows;
    cost->weight_bytes += plim_dtype_bytes(w->format, rows * w->cols);
    if (!is_matrix(role))
        return;
    double operations = 2.0 * (double)w->rows * (double)w->cols;
    if (role != PLIM_ROLE_HEAD) /* the head: of the last row alone */
        operations *= (double)count;
    if (plim_dtypes[w->format].group && !widened)
        cost->int8_operations += operations;
    else
        cost->float_operations += operations;
}

/* Of one layer: q . k and the weighted sum of v, a multiplication and an addition each. */
static void add_attention(plim_pass_cost *cost, const plim_spec *s, uint32_t layer,
                          plim_dtype kv_dtype, size_t length, size_t count)
{
    uint64_t window = s->slides[layer] && s->window ? s->window : UINT64_MAX;
    uint64_t growing = length < window ? window - length : 0; /* rows that see all before them */
    growing = growing < count ? growing : count;
    double n = (double)growing;
    double seen = n * (double)length + n * (n + 1) / 2 + (double)(count - growing) * (double)window;
    cost->float_operations += 4.0 * s->heads * s->head_dim * seen;
    uint64_t behind = length < window - 1 ? length : window - 1; /* of the first row */
    uint64_t row = 2 * plim_dtype_bytes(kv_dtype, (uint64_t)s->kv_heads * s->head_dim), bytes;
    bool fits = plim_add_u64(behind, count, &bytes) && plim_mul_u64(bytes, row, &bytes) &&
                plim_add_u64(cost->kv_bytes, bytes, &bytes);
    cost->kv_bytes = fits ? bytes : UINT64_MAX;
}

void plim_model_pass_cost(const plim_model *model, size_t length, size_t count, plim_pass_cost *out)
{
    const plim_spec *s = model->engine.spec;
    *out = (plim_pass_cost){0};
    if (!model->plan->skeleton->family)
        return;
    for (uint32_t layer = 0; layer < s->layers; layer++) {
        plim_role first = layer ? PLIM_ROLE_LAST_GLOBAL + 1 : PLIM_ROLE_EMBED;
        for (plim_role role = first; role < PLIM_ROLE_COUNT; role++) {
            const plim_weight *w = plim_weights_get(model->weights, layer, role);
            if (w)
                add_weight(out, w, role, count, model->plan->plan->session.widen > 0);
        }
        add_attention(out, s, layer, model->plan->plan->session.kv_dtype, length, count);
    }
}
