/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations against what PyTorch gave (data/activations.txt) and, all over the floats, against
 * libm in double precision; norms, rope, add and argmax against their definitions. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ---- activations ---- */

/* Within 4 eps of x and of the result: the bounds that tools/kernels/record.py holds PyTorch's own
 * float32 results to.  Denormal results may be lost. */
static bool near_enough(double y, double want, double x, int act)
{
    double cancelled = act == PLIM_ACT_LAPLACE ? 1 : 0; /* 1 + erf, as PyTorch has it */
    if (isnan(want))
        return isnan(y);
    if (fabs(want) > FLT_MAX)
        return isinf(y) && signbit(y) == signbit(want);
    if (isinf(x))
        return y == want;
    return fabs(y - want) <= FLT_EPSILON * (4 * fabs(x) + 4 * fabs(want) + cancelled) + FLT_MIN;
}

static float activated(const plim_kernels *k, float x, plim_activation act)
{
    k->activate(&x, 1, act);
    return x;
}

static void activations_as_in_pytorch(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables), lines = 0;
    char line[512];
    FILE *file = fopen(PLIM_SOURCE_DIR "/tests/kernels/data/activations.txt", "r");
    (void)unused;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *at = line;
        if (line[0] == '#')
            continue;
        uint32_t word = (uint32_t)strtoul(at, &at, 16);
        float x;
        memcpy(&x, &word, 4);
        lines++;
        for (int act = 0; act < PLIM_ACT_COUNT; act++) {
            uint64_t bits = strtoull(at, &at, 16);
            double want;
            memcpy(&want, &bits, 8);
            for (size_t t = 0; t < count; t++) {
                float y = activated(&tables[t], x, (plim_activation)act);
                if (!near_enough((double)y, want, (double)x, act))
                    fail_msg("%s: activation %d of %.9g is %.9g, want %.9g", tables[t].name, act,
                             (double)x, (double)y, want);
            }
        }
    }
    fclose(file);
    assert_true(lines > 150);
}

/* The same formulas as PyTorch's, in double precision and without cancellation. */
static double exact(double x, plim_activation act)
{
    switch (act) {
    case PLIM_ACT_GELU:
        return 0.5 * x * erfc(-x * sqrt(0.5));
    case PLIM_ACT_GELU_TANH:
        return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case PLIM_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case PLIM_ACT_RELU:
        return x < 0 ? 0 : x;
    case PLIM_ACT_RELU2:
        return x < 0 ? 0 : x * x;
    case PLIM_ACT_SILU:
        return x / (1 + exp(-x));
    case PLIM_ACT_TANH:
        return tanh(x);
    case PLIM_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case PLIM_ACT_LEAKY_RELU:
        return x < 0 ? 0.01 * x : x;
    case PLIM_ACT_RELU6:
        return fmin(fmax(x, 0), 6);
    case PLIM_ACT_MISH:
        return x * tanh(log1p(exp(x)));
    case PLIM_ACT_GELU_10:
        return fmin(fmax(exact(x, PLIM_ACT_GELU), -10), 10);
    case PLIM_ACT_HARDSWISH:
        return x * fmin(fmax(x + 3, 0), 6) / 6;
    case PLIM_ACT_LAPLACE:
        return 0.5 * (1 + erf((x - 0.707107) / (0.282095 * sqrt(2))));
    case PLIM_ACT_SQRT_SOFTPLUS:
        return sqrt(x > 20 ? x : log1p(exp(x)));
    default:
        return x;
    }
}

static void activations_everywhere(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (int act = 0; act < PLIM_ACT_COUNT; act++)
        for (uint64_t word = 0; word < UINT64_C(1) << 32; word += 20011) {
            uint32_t bits = (uint32_t)word;
            float x;
            memcpy(&x, &bits, 4);
            if (!isfinite(x))
                continue;
            double want = exact((double)x, (plim_activation)act);
            for (size_t t = 0; t < count; t++) {
                float y = activated(&tables[t], x, (plim_activation)act);
                if (!near_enough((double)y, want, (double)x, act))
                    fail_msg("%s: activation %d of %.9g is %.9g, want %.9g", tables[t].name, act,
                             (double)x, (double)y, want);
            }
        }
}

/* tanh and sigmoid keep their relative precision, which the bounds above do not ask for. */
static void tanh_and_sigmoid_are_precise(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (double at = -80; at < 80; at += 0.000977) {
            float x = (float)at;
            double want = tanh((double)x), y = (double)activated(&tables[t], x, PLIM_ACT_TANH);
            assert_true(fabs(y - want) <= 2 * FLT_EPSILON * fabs(want));
            want = 1 / (1 + exp(-(double)x)),
            y = (double)activated(&tables[t], x, PLIM_ACT_SIGMOID);
            assert_true(fabs(y - want) <= 2 * FLT_EPSILON * fabs(want));
        }
}

/* Wherever an element stands, alone or gated, its result has the same bits. */
static void activations_by_place_and_gate(void **unused)
{
    enum { N = 203 };
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 21;
    float x[N], up[N];
    (void)unused;
    for (size_t i = 0; i < N; i++)
        x[i] = 5 * check_uniform(&state), up[i] = check_uniform(&state);
    x[7] = NAN, x[100] = INFINITY, x[150] = -INFINITY, x[202] = -0.0f, up[33] = NAN;
    for (size_t t = 0; t < count; t++)
        for (int act = 0; act < PLIM_ACT_COUNT; act++)
            for (size_t n = 0; n <= N; n += n < 40 ? 1 : 7) {
                float *y = check_guarded(n * sizeof *y), *gated = check_guarded(n * sizeof *y);
                float *gate = check_guarded(n * sizeof *y);
                memcpy(y, x, n * sizeof *y);
                memcpy(gated, x, n * sizeof *y);
                memcpy(gate, up, n * sizeof *y);
                tables[t].activate(y, n, (plim_activation)act);
                tables[t].activate_gated(gated, gate, n, (plim_activation)act);
                for (size_t i = 0; i < n; i++) {
                    float alone = activated(&tables[t], x[i], (plim_activation)act);
                    check_same(tables[t].name, y[i], alone);
                    check_same(tables[t].name, gated[i], alone * up[i]);
                }
                check_guarded_free(y, n * sizeof *y);
                check_guarded_free(gated, n * sizeof *y);
                check_guarded_free(gate, n * sizeof *y);
            }
}

/* ---- norms ---- */

typedef struct norm {
    double mean, scale, largest;
} norm;

static norm exact_norm(const float *x, size_t n, double eps, bool centre)
{
    norm out = {0, 0, 0};
    double squares = 0;
    for (size_t i = 0; centre && i < n; i++)
        out.mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)x[i] - out.mean) * ((double)x[i] - out.mean);
        out.largest = fmax(out.largest, fabs((double)x[i]));
    }
    out.scale = 1 / sqrt(squares / (double)n + eps);
    return out;
}

static void check_norms(const plim_kernels *k, size_t n, float offset, float eps, uint64_t *state)
{
    size_t bytes = n * sizeof(float);
    float *x = check_guarded(bytes), *w = check_guarded(bytes), *b = check_guarded(bytes);
    float *y = check_guarded(bytes);
    for (size_t i = 0; i < n; i++) {
        x[i] = offset + check_uniform(state);
        w[i] = 2 * check_uniform(state), b[i] = check_uniform(state);
    }
    norm centred = exact_norm(x, n, (double)eps, true),
         plain = exact_norm(x, n, (double)eps, false);
    for (int with_b = 0; with_b < 2; with_b++) {
        k->layer_norm(y, x, w, with_b ? b : NULL, n, eps);
        for (size_t i = 0; i < n; i++) {
            double bias = with_b ? (double)b[i] : 0, wi = (double)w[i];
            double want = ((double)x[i] - centred.mean) * centred.scale * wi + bias;
            /* The mean is off by a few eps of what it was summed from. */
            double room =
                8 * FLT_EPSILON * (centred.largest * centred.scale * fabs(wi) + fabs(bias));
            assert_true(fabs((double)y[i] - want) <= room);
        }
    }
    k->rms_norm(y, x, w, n, eps);
    for (size_t i = 0; i < n; i++) {
        double want = (double)x[i] * plain.scale * (double)w[i];
        assert_true(fabs((double)y[i] - want) <= 6 * FLT_EPSILON * fabs(want));
    }
    k->rms_norm(x, x, w, n, eps); /* in place */
    assert_memory_equal(x, y, bytes);
    check_guarded_free(x, bytes);
    check_guarded_free(w, bytes);
    check_guarded_free(b, bytes);
    check_guarded_free(y, bytes);
}

static void norms(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 22;
    (void)unused;
    for (size_t t = 0; t < count; t++) {
        for (size_t n = 1; n <= 200; n++)
            check_norms(&tables[t], n, (float)(n % 4), 1e-5f, &state);
        check_norms(&tables[t], 4095, 0, 1e-6f, &state);
        check_norms(&tables[t], 8192, 3, 1e-12f, &state);
        float zeros[9] = {0}, ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, y[9];
        tables[t].rms_norm(y, zeros, ones, 9, 1e-6f);
        assert_memory_equal(y, zeros, sizeof y);
        tables[t].layer_norm(y, ones, ones, zeros, 9, 1e-5f);
        assert_memory_equal(y, zeros, sizeof y);
    }
}

/* ---- rope, add, argmax ---- */

static void rope_and_add(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 23;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t half = 0; half <= 100; half++) {
            size_t bytes = half * sizeof(float);
            float *x = check_guarded(2 * bytes), *c = check_guarded(bytes),
                  *s = check_guarded(bytes);
            float before[200];
            for (size_t i = 0; i < half; i++)
                c[i] = check_uniform(&state), s[i] = check_uniform(&state);
            for (size_t i = 0; i < 2 * half; i++)
                x[i] = before[i] = check_uniform(&state);
            tables[t].rope(x, c, s, half);
            for (size_t i = 0; i < half; i++) { /* each product and sum is rounded, as in PyTorch */
                volatile float ac = before[i] * c[i], bs = before[half + i] * s[i];
                volatile float bc = before[half + i] * c[i], as = before[i] * s[i];
                check_same(tables[t].name, x[i], ac - bs);
                check_same(tables[t].name, x[half + i], bc + as);
            }
            memcpy(before, x, bytes);
            tables[t].add(x, c, half);
            for (size_t i = 0; i < half; i++)
                check_same(tables[t].name, x[i], before[i] + c[i]);
            check_guarded_free(x, 2 * bytes);
            check_guarded_free(c, bytes);
            check_guarded_free(s, bytes);
        }
}

static size_t slow_argmax(const float *x, size_t n)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]) && (best == n || x[i] > x[best]))
            best = i;
    return best == n ? 0 : best;
}

static void argmax(void **unused)
{
    static const float odd[] = {NAN, -INFINITY, INFINITY, 3.0f, -0.0f, 0.0f};
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 24;
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t n = 1; n <= 1500; n += n < 200 ? 1 : 31)
            for (int kind = 0; kind < 8; kind++) {
                float *x = check_guarded(n * sizeof *x);
                for (size_t i = 0; i < n; i++)
                    x[i] = kind == 0   ? NAN
                           : kind == 1 ? odd[check_below(&state, 2)]
                           : kind < 5  ? odd[check_below(&state, 6)]
                                       : check_uniform(&state);
                assert_int_equal(tables[t].argmax(x, n), slow_argmax(x, n));
                check_guarded_free(x, n * sizeof *x);
            }
}

/* ---- the tables themselves ---- */

static void every_slot_is_filled(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables), level = 0;
    (void)unused;
    for (size_t t = 0; t < count; t++, level++) {
        const plim_kernels *k = &tables[t];
        while (level < plim_kernel_level_count && strcmp(k->name, plim_kernel_levels[level].name))
            level++; /* one that this processor lacks */
        assert_true(level < plim_kernel_level_count);
        for (int d = PLIM_AUTO; d < PLIM_DTYPE_COUNT; d++) {
            bool weight = d == PLIM_F32 || d == PLIM_F16 || d == PLIM_BF16;
            bool group = d == PLIM_Q8 || d == PLIM_Q4;
            assert_int_equal(k->product_out_in[d] != NULL, weight || group);
            assert_int_equal(k->quantise[d] != NULL, group);
            assert_int_equal(k->dequantise[d] != NULL, group);
            assert_int_equal(k->pack[d] != NULL, k->pack_from[d] != SIZE_MAX);
            assert_int_equal(k->product_in_out[d] != NULL, weight);
            assert_int_equal(k->attention[d] != NULL, weight);
        }
        assert_non_null(k->rms_norm);
        assert_non_null(k->layer_norm);
        assert_non_null(k->rope);
        assert_non_null(k->add);
        assert_non_null(k->activate);
        assert_non_null(k->activate_gated);
        assert_non_null(k->argmax);
    }
}

/* AVX-512 without AVX2 is not a thing that exists; a mask that says so gives plain C. */
static void masks(void **unused)
{
    plim_kernels k;
    (void)unused;
    plim_kernels_init(&k, PLIM_CPU_AVX512);
    assert_string_equal(k.name, "scalar");
}

const struct CMUnitTest check_elementwise_tests[] = {
    cmocka_unit_test(activations_as_in_pytorch),
    cmocka_unit_test(activations_everywhere),
    cmocka_unit_test(tanh_and_sigmoid_are_precise),
    cmocka_unit_test(activations_by_place_and_gate),
    cmocka_unit_test(norms),
    cmocka_unit_test(rope_and_add),
    cmocka_unit_test(argmax),
    cmocka_unit_test(every_slot_is_filled),
    cmocka_unit_test(masks),
};
const size_t check_elementwise_count =
    sizeof check_elementwise_tests / sizeof check_elementwise_tests[0];
