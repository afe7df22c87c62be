/* SPDX-License-Identifier: Apache-2.0
 *
 * Casting, quantising and turning pieces of weights.  See pour.h.  Everything passes through a few
 * KiB of stack: the first-level cache of whoever pours. */
#include "load/pour.h"

#include <stdatomic.h>
#include <string.h>

#define TASK_ELEMENTS ((uint64_t)1 << 16)   /* a multiple of PLIM_GROUP */
#define GROUP_TASK    (TASK_ELEMENTS / 4)   /* of what is quantised, which takes longer */
#define BUFFER        1024u                 /* f32 */
#define BLOCK         (BUFFER / PLIM_GROUP) /* outputs that are turned together */

/* Bits of |f32|: up to the first, f16 rounds to 0; from the second on, to infinity. */
#define F16_ZERO     0x33000000u /* 2^-25 */
#define F16_INFINITE 0x477ff000u /* 65520 */
#define F32_INFINITE 0x7f800000u

plim_group_rows plim_group_rows_of(plim_dtype dtype, plim_change change, uint64_t rows,
                                   uint64_t cols)
{
    bool turn = change == PLIM_CHANGE_TURN;
    uint64_t inputs = turn ? rows : cols, outputs = turn ? cols : rows;
    return (plim_group_rows){.row_bytes = (size_t)plim_dtype_quant_bytes(dtype, inputs),
                             .scale_row_bytes = (size_t)(inputs / PLIM_GROUP * 2),
                             .scales_at = (size_t)plim_dtype_quant_bytes(dtype, inputs * outputs)};
}

plim_pour plim_pour_of(const plim_kernels *kernels, const plim_placement *p, const plim_stored *t,
                       uint64_t rows, void *dst)
{
    return (plim_pour){.kernels = kernels,
                       .change = p->change,
                       .from = t->dtype,
                       .to = p->dtype,
                       .rows = rows,
                       .cols = plim_row_elements(p, t),
                       .dst = dst,
                       .scales = p->use == PLIM_USE_SCALES};
}

plim_status plim_pour_check(const plim_kernels *kernels, const plim_placement *p,
                            const plim_stored *t, plim_error *err)
{
    bool can = p->change == PLIM_CHANGE_NONE ||
               (p->change == PLIM_CHANGE_CAST && kernels->cast[p->dtype][t->dtype]) ||
               (p->change >= PLIM_CHANGE_QUANTISE && kernels->quantise[p->dtype] &&
                (t->dtype == PLIM_F32 || kernels->cast[PLIM_F32][t->dtype]));
    if (can)
        return PLIM_OK;
    return plim_fail(err, PLIM_E_UNSUP, "there is no cast from %s to %s", plim_dtype_name(t->dtype),
                     plim_dtype_torch_name(p->dtype));
}

static size_t stored_bytes(const plim_pour *p, uint64_t elements)
{
    return (size_t)plim_dtype_bytes(p->from, elements);
}

/* n stored elements as f32, in `buffer` where they are not. */
static const float *as_floats(const plim_pour *p, const char *src, size_t n, float *buffer)
{
    if (p->from == PLIM_F32)
        return (const float *)(const void *)src;
    p->kernels->cast[PLIM_F32][p->from](buffer, src, n);
    return buffer;
}

static void quantise(const plim_pour *p, const char *src, uint64_t first, uint64_t count)
{
    plim_group_rows at = plim_group_rows_of(p->to, PLIM_CHANGE_QUANTISE, p->rows, p->cols);
    float buffer[BUFFER];
    while (count) {
        uint64_t col = first % p->cols, n = p->cols - col;
        char *row = p->dst + first / p->cols * at.row_bytes;
        char *scales = p->dst + at.scales_at + first / p->cols * at.scale_row_bytes;
        n = n < count ? n : count;
        n = n < BUFFER ? n : BUFFER;
        p->kernels->quantise[p->to](row + plim_dtype_quant_bytes(p->to, col),
                                    scales + col / PLIM_GROUP * 2,
                                    as_floats(p, src, (size_t)n, buffer), (size_t)n);
        src += stored_bytes(p, n);
        first += n;
        count -= n;
    }
}

/* Outputs [col, col + n) of one stripe, `group` of the extent. */
static void turn_block(const plim_pour *p, const char *stripe, uint64_t group, uint64_t col,
                       size_t n)
{
    plim_group_rows at = plim_group_rows_of(p->to, PLIM_CHANGE_TURN, p->rows, p->cols);
    float in[PLIM_GROUP][BLOCK], out[PLIM_GROUP];
    for (uint64_t k = 0; k < PLIM_GROUP; k++) {
        const char *src = stripe + stored_bytes(p, k * p->cols + col);
        const float *x = as_floats(p, src, n, in[k]);
        if (x != in[k])
            memcpy(in[k], src, n * sizeof(float));
    }
    for (size_t o = 0; o < n; o++) {
        char *row = p->dst + (col + o) * at.row_bytes;
        char *scales = p->dst + at.scales_at + (col + o) * at.scale_row_bytes;
        for (size_t k = 0; k < PLIM_GROUP; k++)
            out[k] = in[k][o];
        p->kernels->quantise[p->to](row + plim_dtype_quant_bytes(p->to, group * PLIM_GROUP),
                                    scales + group * 2, out, PLIM_GROUP);
    }
}

/* Outputs of a task, when `rows` rows are turned. */
static uint64_t outputs_of_task(uint64_t rows)
{
    uint64_t blocks = TASK_ELEMENTS / BLOCK / (rows ? rows : 1);
    return (blocks ? blocks : 1) * BLOCK;
}

static void turn(const plim_pour *p, const plim_pour_piece *piece, unsigned task)
{
    uint64_t rows = piece->count / p->cols, each = outputs_of_task(rows);
    uint64_t end = (task + 1) * each < p->cols ? (task + 1) * each : p->cols;
    for (uint64_t row = 0; row < rows; row += PLIM_GROUP) {
        const char *stripe = (const char *)piece->src + stored_bytes(p, row * p->cols);
        for (uint64_t col = task * each; col < end; col += BLOCK)
            turn_block(p, stripe, (piece->first / p->cols + row) / PLIM_GROUP, col,
                       (size_t)(end - col < BLOCK ? end - col : BLOCK));
    }
}

/* Elements of a task of what is not turned. */
static uint64_t elements_of_task(const plim_pour *p)
{
    return p->change == PLIM_CHANGE_QUANTISE ? GROUP_TASK : TASK_ELEMENTS;
}

unsigned plim_pour_tasks(const plim_pour *p, const plim_pour_piece *piece)
{
    uint64_t whole = piece->count, each = elements_of_task(p);
    if (p->change == PLIM_CHANGE_TURN) {
        whole = p->cols;
        each = outputs_of_task(piece->count / p->cols);
    }
    return (unsigned)((whole + each - 1) / each);
}

/* ---- scales ---- */

/* Whether a scale, given by its bits as f32, is not finite, or becomes so or 0 as f16. */
static bool is_lost(uint32_t bits)
{
    bits &= 0x7fffffffu;
    return bits - 1 < F16_ZERO || bits >= F16_INFINITE;
}

static uint32_t scale_bits(plim_dtype dtype, const char *src, uint64_t i)
{
    uint32_t wide;
    uint16_t narrow;
    if (dtype == PLIM_F32) {
        memcpy(&wide, src + i * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, src + i * sizeof narrow, sizeof narrow); /* BF16 */
    return (uint32_t)narrow << 16;
}

/* The first of n scales that is lost; n where none is. */
static uint64_t first_lost(const plim_pour *p, const char *src, uint64_t n)
{
    bool looked_at = p->scales && p->change == PLIM_CHANGE_CAST && p->to == PLIM_F16 &&
                     (p->from == PLIM_F32 || p->from == PLIM_BF16);
    for (uint64_t i = 0; looked_at && i < n; i++)
        if (is_lost(scale_bits(p->from, src, i)))
            return i;
    return n;
}

plim_status plim_pour_explain(const plim_pour *p, const plim_pour_piece *piece,
                              const plim_stored_set *set, const plim_stored *t, plim_error *err)
{
    const char *src = piece->src;
    uint64_t at = first_lost(p, src, piece->count);
    plim_where where = {set->files[t->file].path, t->name, (int64_t)t->offset};
    if (at == piece->count)
        return PLIM_OK;
    uint32_t bits = scale_bits(p->from, src, at);
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    if ((bits & 0x7fffffffu) >= F32_INFINITE)
        return plim_fail_at(err, PLIM_E_FORMAT, where, "a scale is not a finite number");
    return plim_fail_at(err, PLIM_E_UNSUP, where,
                        "a scale is %g: scales are kept as float16, which ends at 65504 and at "
                        "6e-8",
                        (double)scale);
}

bool plim_pour_task(const plim_pour *p, const plim_pour_piece *piece, unsigned task)
{
    uint64_t each = elements_of_task(p), skip = task * each;
    uint64_t first = piece->first + skip, n = piece->count - skip;
    const char *src = (const char *)piece->src + stored_bytes(p, skip);
    if (p->change == PLIM_CHANGE_TURN) {
        turn(p, piece, task);
        return true;
    }
    n = n < each ? n : each;
    if (p->change == PLIM_CHANGE_QUANTISE)
        quantise(p, src, first, n);
    else if (p->change == PLIM_CHANGE_CAST)
        p->kernels->cast[p->to][p->from](p->dst + plim_dtype_bytes(p->to, first), src, (size_t)n);
    else
        memcpy(p->dst + plim_dtype_bytes(p->to, first), src, (size_t)plim_dtype_bytes(p->to, n));
    return first_lost(p, src, n) == n;
}

typedef struct pool_job {
    const plim_pour *pour;
    const plim_pour_piece *piece;
    atomic_bool lost; /* a scale */
} pool_job;

static void pool_task(void *arg, unsigned task, unsigned worker)
{
    pool_job *job = arg;
    (void)worker;
    if (!plim_pour_task(job->pour, job->piece, task))
        job->lost = true;
}

bool plim_pour_by_pool(const plim_pour *p, const plim_pour_piece *piece, plim_pool *pool)
{
    unsigned tasks = plim_pour_tasks(p, piece);
    pool_job job = {.pour = p, .piece = piece};
    if (tasks == 1)
        return plim_pour_task(p, piece, 0);
    plim_pool_run(pool, tasks, pool_task, &job);
    return !job.lost;
}

bool plim_pour_all(const plim_pour *p, const plim_pour_piece *piece)
{
    unsigned tasks = plim_pour_tasks(p, piece);
    bool ok = true;
    for (unsigned i = 0; i < tasks; i++)
        ok &= plim_pour_task(p, piece, i);
    return ok;
}
