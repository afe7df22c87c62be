/* SPDX-License-Identifier: Apache-2.0
 *
 * Twelve independent chains of one operation: more than its latency (4 or 5 cycles, two a cycle)
 * needs to be hidden.  Included by the peak_*.c files. */
#ifndef PLIM_KERNELS_PEAK_CHAINS_H
#define PLIM_KERNELS_PEAK_CHAINS_H

enum { PEAK_CHAINS = 12 };

/* The sums of four chains stay apart, and in registers: compilers leave an array of them in memory,
 * so they have names.  `reg` is the constraint for a register of vectors. */
#define PEAK_APART(reg, a, b, c, d)                                                                \
    __asm__ volatile("" : "+" reg(a), "+" reg(b), "+" reg(c), "+" reg(d))

/* `rounds` times STEP(sum) for each of twelve sums, which begin as zero; then USE(sum). */
#define PEAK_RUN(rounds, vector, zero, reg, STEP, USE)                                             \
    do {                                                                                           \
        vector a = zero, b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a,     \
               l = a;                                                                              \
        for (size_t round = 0; round < (rounds); round++) {                                        \
            PEAK_APART(reg, a, b, c, d);                                                           \
            PEAK_APART(reg, e, f, g, h);                                                           \
            PEAK_APART(reg, i, j, k, l);                                                           \
            STEP(a), STEP(b), STEP(c), STEP(d), STEP(e), STEP(f);                                  \
            STEP(g), STEP(h), STEP(i), STEP(j), STEP(k), STEP(l);                                  \
        }                                                                                          \
        const vector all[PEAK_CHAINS] = {a, b, c, d, e, f, g, h, i, j, k, l};                      \
        for (unsigned n = 0; n < PEAK_CHAINS; n++)                                                 \
            USE(all[n]);                                                                           \
    } while (0)

#endif
