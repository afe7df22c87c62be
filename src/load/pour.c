/* SPDX-License-Identifier: Apache-2.0
 *
 * Casting, quantising and turning pieces of weights.  See pour.h.  Everything passes through a few
 * KiB of stack: the first-level cache of whoever pours. */
#include "load/pour.h"

#include <string.h>

#define TASK_ELEMENTS ((uint64_t)1 << 16)   /* a multiple of PLIM_GROUP */
#define BUFFER        1024u                 /* f32 */
#define BLOCK         (BUFFER / PLIM_GROUP) /* outputs that are turned together */

plim_group_rows plim_group_rows_of(plim_dtype dtype, plim_change change, uint64_t rows,
                                   uint64_t cols)
{
    uint64_t inputs = change == PLIM_CHANGE_TURN ? rows : cols;
    return (plim_group_rows){.row_bytes = (size_t)plim_dtype_bytes(dtype, inputs),
                             .scales_at = (size_t)plim_dtype_quant_bytes(dtype, inputs)};
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
        n = n < count ? n : count;
        n = n < BUFFER ? n : BUFFER;
        p->kernels->quantise[p->to](row + plim_dtype_quant_bytes(p->to, col),
                                    row + at.scales_at + col / PLIM_GROUP * 2,
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
        for (size_t k = 0; k < PLIM_GROUP; k++)
            out[k] = in[k][o];
        p->kernels->quantise[p->to](row + plim_dtype_quant_bytes(p->to, group * PLIM_GROUP),
                                    row + at.scales_at + group * 2, out, PLIM_GROUP);
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

unsigned plim_pour_tasks(const plim_pour *p, const plim_pour_piece *piece)
{
    uint64_t whole = piece->count, each = TASK_ELEMENTS;
    if (p->change == PLIM_CHANGE_TURN) {
        whole = p->cols;
        each = outputs_of_task(piece->count / p->cols);
    }
    return (unsigned)((whole + each - 1) / each);
}

void plim_pour_task(const plim_pour *p, const plim_pour_piece *piece, unsigned task)
{
    uint64_t skip = task * TASK_ELEMENTS, first = piece->first + skip, n = piece->count - skip;
    const char *src = (const char *)piece->src + stored_bytes(p, skip);
    if (p->change == PLIM_CHANGE_TURN) {
        turn(p, piece, task);
        return;
    }
    n = n < TASK_ELEMENTS ? n : TASK_ELEMENTS;
    if (p->change == PLIM_CHANGE_QUANTISE)
        quantise(p, src, first, n);
    else if (p->change == PLIM_CHANGE_CAST)
        p->kernels->cast[p->to][p->from](p->dst + plim_dtype_bytes(p->to, first), src, (size_t)n);
    else
        memcpy(p->dst + plim_dtype_bytes(p->to, first), src, (size_t)plim_dtype_bytes(p->to, n));
}

void plim_pour_all(const plim_pour *p, const plim_pour_piece *piece)
{
    unsigned tasks = plim_pour_tasks(p, piece);
    for (unsigned i = 0; i < tasks; i++)
        plim_pour_task(p, piece, i);
}
