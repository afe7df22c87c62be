/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes over a row of scores.  What is long is written in vectors of four (an extension that gcc
 * and clang share; four is what every x86-64 and arm64 has), so the order of each sum is in the
 * source. */
#include <assert.h>
#include <math.h>

#include "generate/scores.h"

#define BLOCK PLIM_SCORES_BLOCK

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4
    __attribute__((vector_size(16))); /* what comparing two f32x4 gives: 0 or -1 */

static inline f32x4 load(const float *x)
{
    f32x4 v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(float *x, f32x4 v)
{
    memcpy(x, &v, sizeof v);
}

static inline f32x4 splat(float x)
{
    return (f32x4){x, x, x, x};
}

/* a where mask is set, else b. */
static inline f32x4 choose(i32x4 mask, f32x4 a, f32x4 b)
{
    return (f32x4)((mask & (i32x4)a) | (~mask & (i32x4)b));
}

void plim_scores_divide(float *x, float divisor)
{
    for (unsigned i = 0; i < BLOCK; i += 4)
        store(x + i, load(x + i) / splat(divisor));
}

float plim_scores_block_largest(const float *x, bool *nan)
{
    f32x4 most[4], first = splat(-INFINITY);
    i32x4 odd = {0};
    for (unsigned j = 0; j < 4; j++)
        most[j] = first;
    for (unsigned i = 0; i < BLOCK; i += 16) {
        for (unsigned j = 0; j < 4; j++) {
            f32x4 v = load(x + i + 4 * j);
            odd |= v != v;
            most[j] = choose(v > most[j], v, most[j]);
        }
    }
    for (unsigned j = 0; j < 4; j++)
        first = choose(most[j] > first, most[j], first);
    *nan |= (odd[0] | odd[1] | odd[2] | odd[3]) != 0;
    float a = first[0] > first[1] ? first[0] : first[1];
    float b = first[2] > first[3] ? first[2] : first[3];
    return a > b ? a : b;
}

size_t plim_scores_largest(const float *x, size_t n)
{
    assert(n > 0);
    float best = -INFINITY;
    size_t at = 0; /* start of the first block that holds `best` */
    bool nan = false;
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        float most = plim_scores_block_largest(x + i, &nan);
        if (most > best) {
            best = most;
            at = i;
        }
    }
    for (; i < n; i++) {
        nan |= x[i] != x[i];
        if (x[i] > best) {
            best = x[i];
            at = i;
        }
    }
    if (nan) {
        for (i = 0; x[i] == x[i];)
            i++;
        return i;
    }
    while (x[at] != best)
        at++;
    return at;
}

void plim_scores_exp(float *dst, const float *src)
{
    /* exp(x) = 2^n * exp(r), |r| <= ln(2)/2, the polynomial of Cephes' expf (Moshier).  n comes
     * from adding 1.5 * 2^23, which rounds to the nearest integer and leaves it in the low bits.
     * Floor: ln of the smallest normal number, so that 2^n always is one. */
    const f32x4 floor_x = splat(-87.33654f), round_up = splat(12582912.0f);
    for (unsigned i = 0; i < BLOCK; i += 4) {
        f32x4 x = load(src + i);
        i32x4 normal = x > floor_x;
        x = choose(normal, x, floor_x);
        f32x4 shifted = x * 1.44269504f + round_up;
        f32x4 n = shifted - round_up;
        f32x4 r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
        f32x4 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = p * (r * r) + r + 1.0f;
        i32x4 power = ((i32x4)shifted - (0x4b400000 - 127)) << 23;
        store(dst + i, p * (f32x4)(power & normal));
    }
}

double plim_scores_sum(const float *x, size_t n, float scale)
{
    double lanes[4] = {0}, rest = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        f32x4 v = load(x + i) * splat(scale);
        for (unsigned j = 0; j < 4; j++)
            lanes[j] += (double)v[j];
    }
    for (; i < n; i++) {
        float v = x[i] * scale;
        rest += (double)v;
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]) + rest;
}

float plim_scores_kth(const float *x, size_t n, size_t k, uint32_t *counts)
{
    static const unsigned shifts[] = {21, 10, 0};
    uint32_t prefix = 0, mask = 0;
    assert(k >= 1 && k <= n);
    for (unsigned pass = 0; pass < 3; pass++) {
        unsigned shift = shifts[pass];
        uint32_t bits = pass < 2 ? PLIM_SCORES_BUCKETS - 1 : 1023;
        memset(counts, 0, PLIM_SCORES_BUCKETS * sizeof *counts);
        for (size_t i = 0; i < n; i++) {
            uint32_t key = plim_scores_key(x[i]);
            if (((key ^ prefix) & mask) == 0)
                counts[(key >> shift) & bits]++;
        }
        uint32_t bucket = bits;
        while (counts[bucket] < k)
            k -= counts[bucket--];
        prefix |= bucket << shift;
        mask |= bits << shift;
    }
    if (prefix > 0xff800000u) /* above +inf */
        return NAN;
    uint32_t value_bits = prefix & 0x80000000u ? prefix ^ 0x80000000u : ~prefix;
    float value;
    memcpy(&value, &value_bits, sizeof value);
    return value;
}
