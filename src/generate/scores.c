/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes over a row of scores.  Written as plain loops over blocks of fixed length and arrays of
 * lanes, which compilers turn into vector code without being allowed to reorder a sum. */
#include <assert.h>
#include <math.h>

#include "generate/scores.h"

#define BLOCK PLIM_SCORES_BLOCK
#define LANES 16u

void plim_scores_divide(float *x, float divisor)
{
    for (unsigned i = 0; i < BLOCK; i++)
        x[i] /= divisor;
}

float plim_scores_block_largest(const float *x, bool *nan)
{
    float most[LANES];
    uint32_t odd[LANES] = {0};
    for (unsigned j = 0; j < LANES; j++)
        most[j] = -INFINITY;
    for (unsigned i = 0; i < BLOCK; i += LANES) {
        for (unsigned j = 0; j < LANES; j++) {
            float value = x[i + j];
            most[j] = value > most[j] ? value : most[j];
            odd[j] |= value != value;
        }
    }
    float largest = -INFINITY;
    uint32_t any = 0;
    for (unsigned j = 0; j < LANES; j++) {
        largest = most[j] > largest ? most[j] : largest;
        any |= odd[j];
    }
    *nan |= any != 0;
    return largest;
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
    static const float floor_x = -87.33654f, round_up = 12582912.0f;
    for (unsigned i = 0; i < BLOCK; i++) {
        float x = src[i];
        float in = x > floor_x ? x : floor_x;
        float shifted = in * 1.44269504f + round_up;
        float n = shifted - round_up;
        float r = (in - n * 0.693359375f) - n * -2.12194440e-4f;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = p * (r * r) + r + 1.0f;
        uint32_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        bits = (bits - 0x4b400000u + 127u) << 23;
        float power;
        memcpy(&power, &bits, sizeof power);
        dst[i] = x > floor_x ? p * power : 0.0f;
    }
}

double plim_scores_sum(const float *x, size_t n, float scale)
{
    double lanes[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (unsigned j = 0; j < 8; j++) {
            float scaled = x[i + j] * scale;
            lanes[j] += (double)scaled;
        }
    }
    for (unsigned j = 0; i < n; i++, j++) {
        float scaled = x[i] * scale;
        lanes[j] += (double)scaled;
    }
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
           ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
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
