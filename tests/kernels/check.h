/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tests share: the tables of this machine, random numbers, memory that ends where
 * an unreadable page begins. */
#ifndef PLIM_TESTS_KERNELS_CHECK_H
#define PLIM_TESTS_KERNELS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

enum { CHECK_MAX_TABLES = 8 };

/* Every table that this machine can run, each forced by its mask; returns how many. */
size_t check_tables(plim_kernels tables[CHECK_MAX_TABLES]);

/* splitmix64; tools/casts/record.py draws the same numbers. */
uint64_t check_random(uint64_t *state);
size_t check_below(uint64_t *state, size_t end); /* 0..end - 1 */
float check_uniform(uint64_t *state);            /* [-1, 1) */

/* `bytes` of memory whose last byte is followed by a page that can't be read. */
void *check_guarded(size_t bytes);
void check_guarded_free(void *memory, size_t bytes);

/* One element of type F32, F16 or BF16: narrowed from a float (exactly, for what the tests draw),
 * widened. */
void check_put(void *array, size_t i, plim_dtype dtype, float value);
double check_get(const void *array, size_t i, plim_dtype dtype);

/* The F16 or BF16 nearest to a double, found by value and not by bits. */
uint16_t check_narrow(double value, plim_dtype dtype);

/* Bits are equal, or both are NaN. */
void check_same(const char *table, float a, float b);

int check_bench(void);
int check_bench_quant(void);

extern const struct CMUnitTest check_product_tests[], check_attention_tests[],
    check_elementwise_tests[];
extern const size_t check_product_count, check_attention_count, check_elementwise_count;

#endif
