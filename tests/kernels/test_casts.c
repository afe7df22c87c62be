/* SPDX-License-Identifier: Apache-2.0
 *
 * Casts of every table: against what PyTorch gave (data/casts.txt, by tools/casts/record.py), over
 * all 2^16 inputs of the 16-bit types, and with `--all TYPE` over all 2^32 of a 32-bit one. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { DRAWN = 4096, LINE_BYTES = 16384, CHUNK = 1 << 16 };

static const plim_dtype TYPES[] = {PLIM_F64, PLIM_F32, PLIM_F16, PLIM_BF16, PLIM_I8,
                                   PLIM_U8,  PLIM_I16, PLIM_U16, PLIM_I32,  PLIM_U32,
                                   PLIM_I64, PLIM_U64, PLIM_BOOL};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

static bool is_float(plim_dtype d)
{
    return d == PLIM_F64 || d == PLIM_F32 || d == PLIM_F16 || d == PLIM_BF16;
}

static bool is_signed(plim_dtype d)
{
    return d == PLIM_I8 || d == PLIM_I16 || d == PLIM_I32 || d == PLIM_I64;
}

static size_t bytes_of(plim_dtype d)
{
    return plim_dtypes[d].bits / 8;
}

/* Elements as bits (little endian, as everything here). */
static void put_bits(void *array, size_t i, plim_dtype d, uint64_t bits)
{
    memcpy((char *)array + i * bytes_of(d), &bits, bytes_of(d));
}

static uint64_t get_bits(const void *array, size_t i, plim_dtype d)
{
    uint64_t bits = 0;
    memcpy(&bits, (const char *)array + i * bytes_of(d), bytes_of(d));
    return bits;
}

/* The value of an element; exact but for 64-bit integers. */
static double value_of(uint64_t bits, plim_dtype d)
{
    unsigned shift = 64 - plim_dtypes[d].bits;
    double f64;
    switch (d) {
    case PLIM_F64:
        memcpy(&f64, &bits, 8);
        return f64;
    case PLIM_F32:
    case PLIM_F16:
    case PLIM_BF16:
        return check_get(&bits, 0, d);
    default:
        if (is_signed(d))
            return (double)((int64_t)(bits << shift) >> shift);
        return (double)bits;
    }
}

/* Whether PyTorch leaves the cast of this float to an integer type open. */
static bool is_open(double x, plim_dtype to)
{
    unsigned bits = plim_dtypes[to].bits;
    if (is_float(to) || to == PLIM_BOOL)
        return false;
    double end = ldexp(1, (int)bits - is_signed(to)), low = is_signed(to) ? -end : 0;
    return !(trunc(x) >= low && trunc(x) < end);
}

static bool is_nan_bits(uint64_t bits, plim_dtype d)
{
    return is_float(d) && isnan(value_of(bits, d));
}

/* ---- what was recorded ---- */

static plim_dtype type_named(const char *name)
{
    plim_dtype d = plim_dtype_from_name(name, strlen(name));
    assert_int_not_equal(d, PLIM_AUTO);
    return d;
}

/* As drawn() of record.py. */
static void draw(void *array, plim_dtype d)
{
    uint64_t state = 0;
    for (size_t t = 0; TYPES[t] != d; t++)
        state++;
    for (size_t i = 0; i < DRAWN; i++) {
        uint64_t r = check_random(&state), bits = r;
        unsigned shift = i / 2 % 64;
        double f64 = (double)(int64_t)r * ldexp(1, -(int)shift);
        float f32 = (float)f64;
        uint32_t u32;
        memcpy(&u32, &f32, 4);
        if (d == PLIM_BOOL)
            bits = r & 1;
        else if (i % 2 && d == PLIM_F64)
            memcpy(&bits, &f64, 8);
        else if (i % 2 && d == PLIM_F32)
            bits = u32;
        else if (i % 2 && !is_float(d))
            bits = (uint64_t)((int64_t)r >> shift);
        put_bits(array, i, d, bits);
    }
}

static uint64_t digest(const void *result, const void *source, plim_dtype to, plim_dtype from)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < DRAWN; i++) {
        uint64_t bits = get_bits(result, i, to);
        if (is_nan_bits(bits, to))
            bits = UINT64_MAX;
        if (is_float(from) && is_open(value_of(get_bits(source, i, from), from), to))
            bits = 0;
        for (size_t b = 0; b < bytes_of(to); b++)
            h = (h ^ (bits >> 8 * b & 0xff)) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* One "cast TO FROM DIGEST results..." line; the sources are the words of the "source" line before
 * it. */
static void check_line(const plim_kernels *k, char *line, const uint64_t *source, size_t count)
{
    static char from_bits[DRAWN * 8], to_bits[DRAWN * 8];
    char *at, *word = strtok_r(line, " \n", &at);
    plim_dtype to = type_named(strtok_r(NULL, " \n", &at)),
               from = type_named(strtok_r(NULL, " \n", &at));
    uint64_t want_digest = strtoull(strtok_r(NULL, " \n", &at), NULL, 16);
    plim_cast_fn cast = k->cast[to][from];
    assert_non_null(cast);
    for (size_t i = 0; i < count; i++)
        put_bits(from_bits, i, from, source[i]);
    cast(to_bits, from_bits, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = get_bits(to_bits, i, to);
        word = strtok_r(NULL, " \n", &at);
        assert_non_null(word);
        bool same = word[0] == '-' ||
                    (word[0] == 'n' ? is_nan_bits(bits, to) : bits == strtoull(word, NULL, 16));
        if (!same)
            fail_msg("%s: %s %" PRIx64 " to %s is %" PRIx64 ", want %s", k->name,
                     plim_dtypes[from].name, source[i], plim_dtypes[to].name, bits, word);
    }
    draw(from_bits, from);
    cast(to_bits, from_bits, DRAWN);
    if (digest(to_bits, from_bits, to, from) != want_digest)
        fail_msg("%s: drawn %s to %s differ from PyTorch's", k->name, plim_dtypes[from].name,
                 plim_dtypes[to].name);
}

static void as_in_pytorch(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (size_t t = 0; t < count; t++) {
        static char line[LINE_BYTES];
        static uint64_t source[DRAWN];
        size_t sources = 0, pairs = 0;
        FILE *file = fopen(PLIM_SOURCE_DIR "/tests/kernels/data/casts.txt", "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file)) {
            assert_non_null(strchr(line, '\n'));
            if (strncmp(line, "source ", 7) == 0) {
                char *at, *word = strtok_r(line + 7, " \n", &at);
                for (sources = 0; (word = strtok_r(NULL, " \n", &at)) != NULL; sources++)
                    source[sources] = strtoull(word, NULL, 16);
            } else if (strncmp(line, "cast ", 5) == 0) {
                check_line(&tables[t], line, source, sources);
                pairs++;
            }
        }
        fclose(file);
        assert_int_equal(pairs, TYPE_COUNT * (TYPE_COUNT - 1));
    }
}

/* ---- whole domains, against conversions by value ---- */

/* Whether `bits` is what a source of value x becomes.  Sources of at most 32 bits, so that x is
 * exact. */
static inline bool is_cast_of(uint64_t bits, double x, plim_dtype to, bool from_float)
{
    unsigned width = to == PLIM_F64 || to == PLIM_I64 || to == PLIM_U64   ? 64
                     : to == PLIM_F32 || to == PLIM_I32 || to == PLIM_U32 ? 32
                     : to == PLIM_I8 || to == PLIM_U8 || to == PLIM_BOOL  ? 8
                                                                          : 16;
    bool has_sign = to == PLIM_I8 || to == PLIM_I16 || to == PLIM_I32 || to == PLIM_I64;
    double f64, end = (has_sign ? 1.0 : 2.0) * (double)(UINT64_C(1) << (width - 1));
    float f32 = (float)x, seen;
    uint32_t low = (uint32_t)bits;
    if (to == PLIM_F64) {
        memcpy(&f64, &bits, 8);
        return x == f64 ? signbit(x) == signbit(f64) : isnan(x) && isnan(f64);
    }
    if (to == PLIM_F32) {
        memcpy(&seen, &low, 4);
        return f32 == seen ? signbit(f32) == signbit(seen) : isnan(f32) && isnan(seen);
    }
    if (to == PLIM_F16 || to == PLIM_BF16) {
        uint16_t infinity = to == PLIM_F16 ? 0x7c00 : 0x7f80;
        return isnan(f32) ? (bits & 0x7fff) > infinity : bits == check_narrow((double)f32, to);
    }
    if (to == PLIM_BOOL)
        return bits == (x != 0);
    if (from_float && !(x < end && x > (has_sign ? -end - (width < 64) : -1.0) && !isnan(x)))
        return !(has_sign && width == 64 && x == -end) || bits == UINT64_C(1) << 63;
    uint64_t whole = x >= 0 ? (uint64_t)x : (uint64_t)(int64_t)x;
    return bits == (whole & UINT64_MAX >> (64 - width));
}

/* The first of n results that is wrong, or n. */
static inline size_t first_wrong_of(const void *result, const double *x, size_t n, plim_dtype to,
                                    bool from_float)
{
    size_t bytes = to == PLIM_F64 || to == PLIM_I64 || to == PLIM_U64   ? 8
                   : to == PLIM_F32 || to == PLIM_I32 || to == PLIM_U32 ? 4
                   : to == PLIM_I8 || to == PLIM_U8 || to == PLIM_BOOL  ? 1
                                                                        : 2;
    size_t i = 0;
    for (uint64_t bits = 0; i < n; i++) {
        memcpy(&bits, (const char *)result + i * bytes, bytes);
        if (!is_cast_of(bits, x[i], to, from_float))
            break;
    }
    return i;
}

/* The same; `to` is a constant in each call, which is what makes 2^32 of them bearable. */
static size_t first_wrong(const void *result, const double *x, size_t n, plim_dtype to,
                          bool from_float)
{
    switch (to) {
    case PLIM_F64:
        return first_wrong_of(result, x, n, PLIM_F64, from_float);
    case PLIM_F32:
        return first_wrong_of(result, x, n, PLIM_F32, from_float);
    case PLIM_F16:
        return first_wrong_of(result, x, n, PLIM_F16, from_float);
    case PLIM_BF16:
        return first_wrong_of(result, x, n, PLIM_BF16, from_float);
    case PLIM_I8:
        return first_wrong_of(result, x, n, PLIM_I8, from_float);
    case PLIM_U8:
        return first_wrong_of(result, x, n, PLIM_U8, from_float);
    case PLIM_I16:
        return first_wrong_of(result, x, n, PLIM_I16, from_float);
    case PLIM_U16:
        return first_wrong_of(result, x, n, PLIM_U16, from_float);
    case PLIM_I32:
        return first_wrong_of(result, x, n, PLIM_I32, from_float);
    case PLIM_U32:
        return first_wrong_of(result, x, n, PLIM_U32, from_float);
    case PLIM_I64:
        return first_wrong_of(result, x, n, PLIM_I64, from_float);
    case PLIM_U64:
        return first_wrong_of(result, x, n, PLIM_U64, from_float);
    default:
        return first_wrong_of(result, x, n, PLIM_BOOL, from_float);
    }
}

/* Elements first..first + n of the domain of `from`, to every other type, by every table. */
static void check_domain(const plim_kernels *tables, size_t count, plim_dtype from, uint64_t first,
                         size_t n)
{
    static uint64_t source[CHUNK], result[CHUNK];
    static double x[CHUNK];
    for (size_t i = 0; i < n; i++) {
        put_bits(source, i, from, first + i);
        x[i] = value_of(first + i, from);
    }
    for (size_t t = 0; t < count; t++)
        for (size_t d = 0; d < TYPE_COUNT; d++) {
            plim_dtype to = TYPES[d];
            plim_cast_fn cast = tables[t].cast[to][from];
            if (to == from || (t > 0 && cast == tables[t - 1].cast[to][from]))
                continue;
            cast(result, source, n);
            size_t i = first_wrong(result, x, n, to, is_float(from));
            if (i < n)
                fail_msg("%s: %s %" PRIx64 " (%.17g) must not become %s %" PRIx64, tables[t].name,
                         plim_dtypes[from].name, first + i, x[i], plim_dtypes[to].name,
                         get_bits(result, i, to));
        }
}

static void all_small_domains(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (size_t d = 0; d < TYPE_COUNT; d++)
        if (plim_dtypes[TYPES[d]].bits <= 16)
            check_domain(tables, count, TYPES[d], 0,
                         TYPES[d] == PLIM_BOOL ? 2 : 1u << plim_dtypes[TYPES[d]].bits);
}

static plim_dtype large_domain;

static void all_of_a_large_domain(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (uint64_t first = 0; first < UINT64_C(1) << 32; first += CHUNK)
        check_domain(tables, count, large_domain, first, CHUNK);
}

/* ---- the rest of the contract ---- */

/* Any length, any address, nothing written beyond the end; out of range, the nearest integer. */
static void lengths_and_addresses(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    uint64_t state = 31;
    static char want[CHUNK];
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t d = 0; d < TYPE_COUNT; d++)
            for (size_t s = 0; s < TYPE_COUNT; s++)
                for (size_t n = 0; n < 70; n++) {
                    size_t from = n * bytes_of(TYPES[s]), to = n * bytes_of(TYPES[d]);
                    char *source = check_guarded(from), *result = check_guarded(to + 1);
                    for (size_t i = 0; i < from; i++)
                        source[i] =
                            (char)(check_random(&state) & (TYPES[s] == PLIM_BOOL ? 1 : 0xff));
                    result[to] = 0x55;
                    tables[t].cast[TYPES[d]][TYPES[s]](result, source,
                                                       n); /* result at an odd address */
                    for (size_t i = 0; i < n; i++)
                        tables[t].cast[TYPES[d]][TYPES[s]](want + i * bytes_of(TYPES[d]),
                                                           source + i * bytes_of(TYPES[s]), 1);
                    assert_memory_equal(want, result, to);
                    assert_int_equal(result[to], 0x55);
                    check_guarded_free(source, from);
                    check_guarded_free(result, to + 1);
                }
}

static void out_of_range_is_the_nearest(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    const float x[5] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f};
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (size_t d = 0; d < TYPE_COUNT; d++) {
            uint64_t y[5], top = UINT64_MAX >> (64 - plim_dtypes[TYPES[d]].bits), low = 0;
            if (is_float(TYPES[d]) || TYPES[d] == PLIM_BOOL)
                continue;
            if (is_signed(TYPES[d]))
                low = (top >> 1) + 1, top >>= 1;
            tables[t].cast[TYPES[d]][PLIM_F32](y, x, 5);
            assert_int_equal(get_bits(y, 0, TYPES[d]), 0);
            for (size_t i = 1; i < 5; i++)
                assert_true(get_bits(y, i, TYPES[d]) == (i % 2 ? top : low));
        }
}

/* A slot for each pair that has one, and for no other. */
static void pairs(void **unused)
{
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    (void)unused;
    for (size_t t = 0; t < count; t++)
        for (int to = 0; to < PLIM_DTYPE_COUNT; to++)
            for (int from = 0; from < PLIM_DTYPE_COUNT; from++) {
                bool castable[2] = {false, false};
                for (size_t d = 0; d < TYPE_COUNT; d++) {
                    castable[0] |= TYPES[d] == (plim_dtype)to;
                    castable[1] |= TYPES[d] == (plim_dtype)from;
                }
                bool copied = to == from && plim_dtypes[to].bits >= 8;
                assert_int_equal(tables[t].cast[to][from] != NULL,
                                 (castable[0] && castable[1]) || copied);
            }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_pytorch),
        cmocka_unit_test(all_small_domains),
        cmocka_unit_test(lengths_and_addresses),
        cmocka_unit_test(out_of_range_is_the_nearest),
        cmocka_unit_test(pairs),
    };
    const struct CMUnitTest large[] = {cmocka_unit_test(all_of_a_large_domain)};
    if (argc > 2 && strcmp(argv[1], "--all") == 0) {
        large_domain = plim_dtype_from_name(argv[2], strlen(argv[2]));
        return plim_dtype_bits(large_domain) == 32 ? cmocka_run_group_tests(large, NULL, NULL) : 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
