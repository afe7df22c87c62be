/* SPDX-License-Identifier: Apache-2.0
 *
 * The random numbers of sampling: xoshiro256** (Blackman and Vigna, 2018), seeded by SplitMix64 as
 * its authors advise.  The same seed gives the same numbers on every machine. */
#ifndef PLIM_GENERATE_RANDOM_H
#define PLIM_GENERATE_RANDOM_H

#include <stdint.h>

typedef struct plim_random {
    uint64_t state[4];
} plim_random;

static inline void plim_random_seed(plim_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        random->state[i] = z ^ (z >> 31);
    }
}

static inline uint64_t plim_random_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t plim_random_next(plim_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = plim_random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = plim_random_rotate(s[3], 45);
    return result;
}

/* Uniform in [0, 1): 53 bits. */
static inline double plim_random_unit(plim_random *random)
{
    return (double)(plim_random_next(random) >> 11) * 0x1p-53;
}

#endif
