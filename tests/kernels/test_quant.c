/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of 8- and 4-bit weights: every table gives the bits of the scalar one however a call is
 * cut; the scalar one is right by simple formulas in double precision and by what the Python
 * package of the format recorded.  With --bench, their speeds instead. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernels/quant.h"

enum { GROUP = PLIM_GROUP };
static const plim_dtype FORMATS[] = {PLIM_Q8, PLIM_Q4};

static size_t quant_bytes(plim_dtype format, size_t inputs)
{
    return format == PLIM_Q8 ? inputs : inputs / 2;
}

static double quant_at(const uint8_t *q, size_t k, plim_dtype format)
{
    return format == PLIM_Q8 ? q[k] - 128.0 : (q[k / 2] >> 4 * (k % 2) & 15) - 8.0;
}

/* Roughly normal, 1 wide. */
static float gauss(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += 0.5f * check_uniform(state);
    return sum;
}

/* ---- products ---- */

/* One problem in arrays that end at an unreadable page.  `split`: scales in an array of their own.
 */
typedef struct problem {
    plim_product p;
    plim_dtype format;
    size_t x_bytes, w_bytes, s_bytes, y_bytes, pack_bytes;
    float *x, *y;
    uint8_t *w, *scales;
    void *packed;
} problem;

static void fill_weights(problem *b, bool split, uint64_t *state)
{
    for (size_t i = 0; i < b->w_bytes; i++)
        b->w[i] = (uint8_t)check_random(state);
    if (split)
        for (size_t i = 0; i < b->s_bytes; i++)
            b->scales[i] = (uint8_t)check_random(state);
    size_t rare = check_below(state, 4);
    for (size_t o = 0; o < b->p.outputs; o++) {
        uint8_t *row = b->w + o * b->p.w_row_bytes;
        if (rare == 0) /* the ends of the range */
            for (size_t i = 0; i < quant_bytes(b->format, b->p.inputs); i++)
                row[i] = check_random(state) % 2 ? 255 : 0;
        for (size_t g = 0; g < b->p.inputs / GROUP; g++)
            check_put((char *)(uintptr_t)b->p.scales + o * b->p.scale_row_bytes, g, PLIM_F16,
                      check_uniform(state));
    }
}

static void problem_open(problem *b, plim_dtype format, size_t rows, size_t outputs, size_t inputs,
                         uint64_t *state)
{
    bool split = check_below(state, 2);
    size_t q = quant_bytes(format, inputs), s = inputs / GROUP * 2;
    *b = (problem){.format = format};
    b->p = (plim_product){.rows = rows, .outputs = outputs, .inputs = inputs};
    b->p.x_stride = inputs + check_below(state, 3);
    b->p.y_stride = outputs + check_below(state, 3);
    b->p.packed_inputs = inputs;
    b->p.w_row_bytes = q + (split ? check_below(state, 3) : s + 2 * check_below(state, 3));
    b->p.scale_row_bytes = split ? s + 2 * check_below(state, 3) : b->p.w_row_bytes;
    size_t before = outputs ? outputs - 1 : 0, some = outputs != 0;
    b->w_bytes = before * b->p.w_row_bytes + some * (split ? q : q + s);
    b->s_bytes = split ? before * b->p.scale_row_bytes + some * s : 0;
    b->x_bytes = rows ? ((rows - 1) * b->p.x_stride + inputs) * sizeof(float) : 0;
    b->y_bytes = rows ? ((rows - 1) * b->p.y_stride + outputs) * sizeof(float) : 0;
    b->pack_bytes = plim_pack_bytes(rows, inputs);
    b->x = check_guarded(b->x_bytes);
    b->y = check_guarded(b->y_bytes);
    b->p.w = b->w = check_guarded(b->w_bytes);
    b->scales = check_guarded(b->s_bytes);
    b->p.scales = split ? b->scales : b->w + q;
    b->p.packed = b->packed = check_guarded(b->pack_bytes);
    for (size_t i = 0; i < b->x_bytes / 4; i++)
        b->x[i] = gauss(state);
    fill_weights(b, split, state);
}

static void problem_close(problem *b)
{
    check_guarded_free(b->x, b->x_bytes);
    check_guarded_free(b->y, b->y_bytes);
    check_guarded_free(b->w, b->w_bytes);
    check_guarded_free(b->scales, b->s_bytes);
    check_guarded_free(b->packed, b->pack_bytes);
}

/* Some of what breaks arithmetic, in x and in the scales. */
static void spoil(problem *b, uint64_t *state)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN,      1e-40f, -1e-45f,
                                -0.0f,    3e38f,     -3.4e38f, 1e-36f, 1e-37f};
    for (size_t i = 0; i < 4 && b->x_bytes; i++)
        b->x[check_below(state, b->x_bytes / 4)] = odd[check_below(state, 10)];
    size_t groups = b->p.inputs / GROUP;
    for (size_t i = 0; i < 2 && b->p.outputs && groups; i++) {
        static const float scales[] = {INFINITY, NAN, -0.0f, 0.0f, 6e-8f, -65504.0f};
        check_put((char *)(uintptr_t)b->p.scales +
                      check_below(state, b->p.outputs) * b->p.scale_row_bytes,
                  check_below(state, groups), PLIM_F16, scales[check_below(state, 6)]);
    }
    /* a group all +-127 once quantised */
    if (b->p.rows && groups)
        for (size_t i = 0; i < GROUP; i++)
            b->x[i] = check_random(state) % 2 ? 2.0f : -2.0f;
}

/* Packed in pieces of PLIM_PACK_ROWS, whatever their order. */
static void pack(const plim_kernels *k, const problem *b)
{
    memset(b->packed, 0xff, b->pack_bytes);
    for (size_t r = (b->p.rows + PLIM_PACK_ROWS - 1) / PLIM_PACK_ROWS; r-- > 0;) {
        plim_pack p = {.dst = b->packed,
                       .x = b->x,
                       .x_stride = b->p.x_stride,
                       .first = r * PLIM_PACK_ROWS,
                       .inputs = b->p.inputs};
        p.rows = b->p.rows - p.first < PLIM_PACK_ROWS ? b->p.rows - p.first : PLIM_PACK_ROWS;
        k->pack[b->format](&p);
    }
}

static void clear(const problem *b, float value)
{
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        b->y[i] = value;
}

/* y of the scalar table: malloc'ed. */
static float *expected(const plim_kernels *ref, const problem *b)
{
    float *y = malloc(b->y_bytes + 1);
    assert_non_null(y);
    pack(ref, b);
    clear(b, 0.25f); /* it is added to */
    ref->product_out_in[b->format](&b->p);
    if (b->y_bytes)
        memcpy(y, b->y, b->y_bytes);
    return y;
}

static void check_y(const plim_kernels *k, const problem *b, const float *want)
{
    for (size_t i = 0; i < b->y_bytes / 4; i++)
        check_same(k->name, b->y[i], want[i]);
}

/* Rows, outputs and whole groups cut at random. */
static void cut(const plim_kernels *k, const problem *b, uint64_t *state)
{
    for (size_t o = 0, outputs; o < b->p.outputs; o += outputs) {
        outputs = 1 + check_below(state, b->p.outputs - o);
        for (size_t i = 0, inputs; i < b->p.inputs; i += inputs) {
            inputs = GROUP * (1 + check_below(state, (b->p.inputs - i) / GROUP));
            plim_product part = b->p;
            part.outputs = outputs, part.inputs = inputs, part.first_input = i;
            part.y += o;
            part.w = b->w + o * b->p.w_row_bytes + quant_bytes(b->format, i);
            part.scales = (const char *)b->p.scales + o * b->p.scale_row_bytes + i / GROUP * 2;
            k->product_out_in[b->format](&part);
        }
    }
}

/* Fewer rows give the same: each row packed and multiplied alone. */
static void one_by_one(const plim_kernels *k, const problem *b)
{
    for (size_t r = 0; r < b->p.rows; r++) {
        plim_pack p = {.dst = b->packed,
                       .x = b->x + r * b->p.x_stride,
                       .x_stride = b->p.x_stride,
                       .rows = 1,
                       .inputs = b->p.inputs};
        k->pack[b->format](&p);
        plim_product part = b->p;
        part.rows = 1;
        part.y += r * b->p.y_stride;
        k->product_out_in[b->format](&part);
    }
}

static void compare(plim_dtype format, size_t rows, size_t outputs, size_t inputs, bool special,
                    uint64_t *state)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    problem b;
    problem_open(&b, format, rows, outputs, inputs, state);
    b.p.y = b.y;
    if (special)
        spoil(&b, state);
    float *want = expected(&tables[0], &b);
    for (size_t t = 0; t < count; t++) {
        pack(&tables[t], &b);
        clear(&b, 0.25f);
        tables[t].product_out_in[format](&b.p);
        check_y(&tables[t], &b, want);
        clear(&b, 0.25f);
        cut(&tables[t], &b, state);
        check_y(&tables[t], &b, want);
        clear(&b, 0.25f);
        one_by_one(&tables[t], &b);
        check_y(&tables[t], &b, want);
    }
    free(want);
    problem_close(&b);
}

static void tables_agree(void **unused)
{
    uint64_t state = 1;
    (void)unused;
    for (size_t f = 0; f < 2; f++) {
        for (size_t n = 0; n <= 40; n++) {
            compare(FORMATS[f], 1 + n % 3, 1 + check_below(&state, 70), n * GROUP, n % 2, &state);
            compare(FORMATS[f], 4 + n % 9, 1 + check_below(&state, 70), n * GROUP, n % 2, &state);
        }
        for (size_t n = 0; n <= 200; n++) {
            compare(FORMATS[f], 1 + n % 3, n, GROUP * (1 + n % 5), n % 2, &state);
            compare(FORMATS[f], 4 + n % 7, n, GROUP * (1 + n % 5), n % 2, &state);
        }
        for (size_t n = 0; n <= 40; n++)
            compare(FORMATS[f], n, 1 + check_below(&state, 50), GROUP * (1 + n % 35), n % 2,
                    &state);
        compare(FORMATS[f], 140, 130, GROUP * 70, true, &state);
        compare(FORMATS[f], 20, 40, 4096, true, &state); /* packed rows with gaps */
    }
}

/* The scalar table within 16 eps sum |x w| of a sum in double precision over the quants of both
 * sides, which are made here by the formulas alone. */
static void near_double_precision(void **unused)
{
    plim_kernels ref;
    uint64_t state = 2;
    (void)unused;
    plim_kernels_init(&ref, 0);
    for (size_t n = 0; n < 60; n++) {
        problem b;
        problem_open(&b, FORMATS[n % 2], 1 + n % 4, 1 + n % 19, GROUP * (n % 23), &state);
        b.p.y = b.y;
        float *y = expected(&ref, &b);
        for (size_t r = 0; r < b.p.rows; r++)
            for (size_t o = 0; o < b.p.outputs; o++) {
                double exact = 0.25, size = 0.25;
                for (size_t i = 0; i < b.p.inputs; i++) {
                    const float *x = b.x + r * b.p.x_stride + i / GROUP * GROUP;
                    double top = 0;
                    for (size_t k = 0; k < GROUP; k++)
                        top = fabs((double)x[k]) > top ? fabs((double)x[k]) : top;
                    double xq = rint((double)x[i % GROUP] * 127 / top) * top / 127;
                    double w = quant_at(b.w + o * b.p.w_row_bytes, i, b.format) *
                               check_get((const char *)b.p.scales + o * b.p.scale_row_bytes,
                                         i / GROUP, PLIM_F16);
                    exact += xq * w;
                    size += fabs(xq * w);
                }
                if (!(fabs((double)y[r * b.p.y_stride + o] - exact) <= 16 * FLT_EPSILON * size))
                    fail_msg("y[%zu][%zu] is %.9g, want %.9g", r, o,
                             (double)y[r * b.p.y_stride + o], exact);
            }
        free(y);
        problem_close(&b);
    }
}

/* ---- weights ---- */

/* All tables quantise the same way and back; the scalar table's result is in `q`, `s`, `y`. */
static void quantise_all(plim_dtype format, const float *w, size_t n, uint8_t *q, uint8_t *s,
                         float *y)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables), q_bytes = quant_bytes(format, n), s_bytes = n / GROUP * 2;
    for (size_t t = 0; t < count; t++) {
        uint8_t *q_t = check_guarded(q_bytes), *s_t = check_guarded(s_bytes);
        float *y_t = check_guarded(n * sizeof *y_t), *w_t = check_guarded(n * sizeof *w_t);
        memcpy(w_t, w, n * sizeof *w_t);
        tables[t].quantise[format](q_t, s_t, w_t, n);
        tables[t].dequantise[format](y_t, q_t, s_t, n);
        if (t == 0) {
            memcpy(q, q_t, q_bytes);
            memcpy(s, s_t, s_bytes);
            memcpy(y, y_t, n * sizeof *y);
        }
        assert_memory_equal(q, q_t, q_bytes);
        assert_memory_equal(s, s_t, s_bytes);
        for (size_t i = 0; i < n; i++)
            check_same(tables[t].name, y_t[i], y[i]);
        check_guarded_free(q_t, q_bytes);
        check_guarded_free(s_t, s_bytes);
        check_guarded_free(y_t, n * sizeof *y_t);
        check_guarded_free(w_t, n * sizeof *w_t);
    }
}

enum { MOST = GROUP * 512 };
static float weights[MOST], back[MOST];
static uint8_t quants[MOST], halves[MOST / GROUP * 2];

static void quantise_sizes(void **unused)
{
    static const float odd[] = {INFINITY, NAN,  1e-40f, -1e-45f, 3.4e38f, -3.4e38f, 1e30f,
                                -0.0f,    1e7f, 6e-8f,  2e-6f,   -3e-8f,  9e5f,     0.0f};
    uint64_t state = 3;
    (void)unused;
    for (size_t n = 0; n <= 70; n++)
        for (size_t f = 0; f < 2; f++) {
            for (size_t i = 0; i < n * GROUP; i++)
                weights[i] = gauss(&state) * 0.02f;
            for (size_t i = 0; n && i < n % 7; i++)
                weights[check_below(&state, n * GROUP)] = odd[check_below(&state, 14)];
            for (size_t g = 0; g < n % 4; g++) /* a group of nothing but one odd number */
                for (size_t i = 0; i < GROUP && (g + 1) * GROUP <= n * GROUP; i++)
                    weights[g * GROUP + i] = odd[n % 14];
            quantise_all(FORMATS[f], weights, n * GROUP, quants, halves, back);
        }
}

/* Groups with NaN or an infinity: NaN scale, quants 0; zeros: scale 0. */
static void special_weights(void **unused)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN};
    uint64_t state = 4;
    (void)unused;
    for (size_t n = 0; n < 96; n++)
        for (size_t f = 0; f < 2; f++) {
            for (size_t i = 0; i < 3 * GROUP; i++)
                weights[i] = i < 2 * GROUP ? check_uniform(&state) : n % 2 ? 0.0f : -0.0f;
            weights[GROUP + n % GROUP] = odd[n % 3];
            quantise_all(FORMATS[f], weights, 3 * GROUP, quants, halves, back);
            for (size_t i = 0; i < GROUP; i++) {
                assert_false(isnan(back[i]));
                assert_true(isnan(back[GROUP + i]));
                assert_true(quant_at(quants, GROUP + i, FORMATS[f]) == 0);
                assert_true(back[2 * GROUP + i] == 0.0f);
            }
            assert_true(halves[4] == 0 && halves[5] == 0);
        }
}

/* Every weight within half a step (8 bits) of itself, denormal scales or not; beyond f16's range
 * the largest scale there is. */
static void error_of_8_bits(void **unused)
{
    uint64_t state = 5;
    (void)unused;
    for (int exponent = -30; exponent < 22; exponent++) {
        for (size_t i = 0; i < MOST; i++)
            weights[i] = ldexpf(check_uniform(&state), exponent);
        quantise_all(PLIM_Q8, weights, MOST, quants, halves, back);
        for (size_t i = 0; i < MOST; i++) {
            double scale = check_get(halves, i / GROUP, PLIM_F16);
            assert_true(fabs((double)back[i] - (double)weights[i]) <= 0.5001 * scale);
            assert_true(scale <= ldexp(1.001, exponent) / 64 + 0x1p-24);
        }
    }
    for (size_t i = 0; i < GROUP; i++)
        weights[i] = i % 2 ? 1e30f : -1e30f;
    quantise_all(PLIM_Q8, weights, GROUP, quants, halves, back);
    assert_true(back[0] == -128 * 65504.0f && back[1] == 127 * 65504.0f);
    quantise_all(PLIM_Q4, weights, GROUP, quants, halves, back);
    for (size_t i = 0; i < GROUP; i++)
        assert_true(isfinite(back[i]) && (back[i] > 0) == (weights[i] > 0));
}

/* What llama.cpp's Q4_0 does: the extreme on -8. */
static double error_of_q4_0(const float *w)
{
    double extreme = 0, error = 0;
    for (size_t i = 0; i < GROUP; i++)
        extreme = fabs((double)w[i]) > fabs(extreme) ? (double)w[i] : extreme;
    uint16_t half = check_narrow(extreme / -8, PLIM_F16);
    double scale = check_get(&half, 0, PLIM_F16);
    for (size_t i = 0; i < GROUP; i++) {
        double q = floor((double)w[i] / (extreme / -8) + 0.5);
        q = q > 7 ? 7 : q < -8 ? -8 : q;
        error += ((double)w[i] - scale * q) * ((double)w[i] - scale * q);
    }
    return error;
}

/* What llama.cpp's Q8_0 does: the extreme on 127. */
static double error_of_q8_0(const float *w)
{
    double top = 0, error = 0;
    for (size_t i = 0; i < GROUP; i++)
        top = fmax(top, fabs((double)w[i]));
    uint16_t half = check_narrow(top / 127, PLIM_F16);
    double scale = check_get(&half, 0, PLIM_F16);
    for (size_t i = 0; i < GROUP; i++)
        error += pow((double)w[i] - scale * rint((double)w[i] / (top / 127)), 2);
    return error;
}

/* Weights of groups of 16 levels, each group with a step and an offset of its own. */
static void fill_levels(uint64_t *state)
{
    for (size_t g = 0; g < MOST / GROUP; g++) {
        float step = 0.01f + 0.005f * check_uniform(state), offset = step * check_uniform(state);
        for (size_t i = 0; i < GROUP; i++) {
            int level = (int)rintf(2.5f * gauss(state));
            level = level < -8 ? -8 : level > 7 ? 7 : level;
            weights[g * GROUP + i] = step * (float)level + offset;
        }
    }
}

/* No group is worse off than with the extreme on 127, and all together are this much better. */
static void search_of_8_bits(void **unused)
{
    uint64_t state = 8;
    (void)unused;
    for (int levels = 0; levels < 2; levels++) {
        double ours = 0, theirs = 0;
        for (size_t i = 0; i < MOST; i++)
            weights[i] = 0.02f * gauss(&state);
        if (levels)
            fill_levels(&state);
        quantise_all(PLIM_Q8, weights, MOST, quants, halves, back);
        for (size_t g = 0; g < MOST / GROUP; g++) {
            double error = 0, other = error_of_q8_0(weights + g * GROUP);
            for (size_t i = g * GROUP; i < (g + 1) * GROUP; i++)
                error += pow((double)back[i] - (double)weights[i], 2);
            assert_true(error <= other * 1.00001);
            ours += error;
            theirs += other;
        }
        printf("error beside Q8_0's: %.4f\n", sqrt(ours / theirs));
        assert_true(sqrt(ours / theirs) < (levels ? 0.5 : 0.9));
    }
}

static void search_beats_the_extreme(void **unused)
{
    uint64_t state = 6;
    double ours = 0, theirs = 0;
    (void)unused;
    for (size_t i = 0; i < MOST; i++)
        weights[i] = 0.02f * gauss(&state);
    quantise_all(PLIM_Q4, weights, MOST, quants, halves, back);
    for (size_t g = 0; g < MOST / GROUP; g++) {
        double error = 0, other = error_of_q4_0(weights + g * GROUP);
        for (size_t i = g * GROUP; i < (g + 1) * GROUP; i++)
            error +=
                ((double)back[i] - (double)weights[i]) * ((double)back[i] - (double)weights[i]);
        assert_true(error <= other * 1.00001);
        ours += error;
        theirs += other;
    }
    assert_true(sqrt(ours / theirs) < 0.95); /* 0.941 over many */
}

/* Weights that lie on a grid of groups come back as they are. */
static void grids_come_back(void **unused)
{
    uint64_t state = 7;
    (void)unused;
    for (int round = 0; round < 60; round++) {
        plim_dtype format = FORMATS[round % 3 == 0 ? 0 : 1];
        /* any scale that leaves room for 8 levels, or is normal still as a 64th */
        size_t least = format == PLIM_Q8 ? 0x1c00 : 0x400;
        for (size_t g = 0; g < MOST / GROUP; g++) {
            uint16_t half = (uint16_t)((check_random(&state) & 1) << 15 |
                                       (least + check_below(&state, 0x7000 - least)));
            float scale = (float)check_get(&half, 0, PLIM_F16);
            size_t most = 1 + check_below(&state, format == PLIM_Q8 ? 127 : 8);
            for (size_t i = 0; i < GROUP; i++)
                weights[g * GROUP + i] =
                    scale * ((float)check_below(&state, 2 * most) - (float)most);
        }
        quantise_all(format, weights, MOST, quants, halves, back);
        for (size_t i = 0; i < MOST; i++)
            assert_true(back[i] == weights[i]);
    }
}

/* tools/kernels/record_quant.py */
static void recorded(void **unused)
{
    FILE *f = fopen(PLIM_SOURCE_DIR "/tests/kernels/data/quant.txt", "r");
    char line[1024];
    int seen = 0;
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f)); /* the comment */
    for (unsigned bits, half; fscanf(f, "%u %x", &bits, &half) == 2; seen++) {
        uint32_t words[8], want[GROUP];
        uint16_t scale = (uint16_t)half;
        float y[GROUP];
        for (size_t i = 0; i < bits; i++)
            assert_int_equal(fscanf(f, "%x", &words[i]), 1);
        for (size_t i = 0; i < GROUP; i++)
            assert_int_equal(fscanf(f, "%x", &want[i]), 1);
        for (size_t t = 0; t < count; t++) {
            tables[t].dequantise[bits == 8 ? PLIM_Q8 : PLIM_Q4](y, words, &scale, GROUP);
            for (size_t i = 0; i < GROUP; i++) {
                float w;
                memcpy(&w, &want[i], sizeof w);
                assert_true(w == y[i]); /* -0 is 0 */
            }
        }
    }
    fclose(f);
    assert_int_equal(seen, 24);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return check_bench_quant();
    unsigned have = plim_cpu_features();
    for (size_t i = 0; i < plim_kernel_level_count; i++)
        printf("%s: %s\n",
               (have & plim_kernel_levels[i].needs) == plim_kernel_levels[i].needs
                   ? "tested here"
                   : "NOT tested here, for this processor lacks it",
               plim_kernel_levels[i].name);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_agree),     cmocka_unit_test(near_double_precision),
        cmocka_unit_test(quantise_sizes),   cmocka_unit_test(special_weights),
        cmocka_unit_test(error_of_8_bits),  cmocka_unit_test(search_beats_the_extreme),
        cmocka_unit_test(grids_come_back),  cmocka_unit_test(recorded),
        cmocka_unit_test(search_of_8_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
