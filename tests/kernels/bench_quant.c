/* SPDX-License-Identifier: Apache-2.0
 *
 * `test_quant --bench`: groups of every table, in processor time of one thread, each beside the
 * machine's own limit measured in turn with it: reading memory for one row, dot products of bytes
 * for many.  Nothing here passes or fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "check.h"

enum { ROUNDS = 31, MOST_ROWS = 512, INPUTS = 2048, MANY_OUTPUTS = 256 };
static const size_t WEIGHT_BYTES = (size_t)256 << 20;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, by_size);
    return values[ROUNDS / 2];
}

typedef struct bench {
    const plim_kernels *k;
    char *memory;
    float *x, *y;
    void *packed;
} bench;

/* Shares of the limit, product and limit in turn on memory that no cache holds. */
static void bench_product(const bench *b, plim_dtype format, size_t rows)
{
    size_t row_bytes = plim_dtype_bytes(format, INPUTS);
    size_t quant_bytes = plim_dtype_quant_bytes(format, INPUTS);
    size_t outputs = rows < 8 ? ((size_t)6 << 20) / row_bytes : MANY_OUTPUTS, at = 0;
    size_t bytes = outputs * row_bytes, whole = bytes / PLIM_PEAK_BLOCK * PLIM_PEAK_BLOCK;
    double speed[ROUNDS], share[ROUNDS], packing[ROUNDS];
    for (int i = 0; i < ROUNDS; i++, at = at + 3 * bytes < WEIGHT_BYTES ? at + bytes : 0) {
        plim_pack pack = {
            .dst = b->packed, .x = b->x, .x_stride = INPUTS, .rows = rows, .inputs = INPUTS};
        plim_product p = {.y = b->y,
                          .packed = b->packed,
                          .packed_inputs = INPUTS,
                          .w = b->memory + at,
                          .scales = b->memory + at + outputs * quant_bytes,
                          .y_stride = outputs,
                          .w_row_bytes = quant_bytes,
                          .scale_row_bytes = row_bytes - quant_bytes,
                          .rows = rows,
                          .outputs = outputs,
                          .inputs = INPUTS};
        int32_t sink = 1;
        double start = seconds();
        b->k->pack[format](&pack);
        double packed = seconds();
        b->k->product_out_in[format](&p);
        double done = seconds(), amount, most;
        if (rows < 8) {
            b->k->peak_read(b->memory + at + bytes, whole, 4, 1024);
            most = (double)whole;
            amount = (double)bytes;
        } else {
            most = (double)b->k->peak_dot(100000, &sink);
            amount = 2.0 * (double)(rows * outputs * INPUTS);
        }
        most /= seconds() - done;
        speed[i] = amount / (done - packed);
        share[i] = speed[i] / most;
        packing[i] = (double)(rows * INPUTS) / (packed - start);
    }
    printf("%-12s %s %3zu rows %8.1f %s %.3f of %s, packing %.2f activations/ns\n", b->k->name,
           plim_dtypes[format].name, rows, 1e-9 * median(speed), rows < 8 ? "GB/s " : "Gop/s",
           median(share), rows < 8 ? "reading" : "dot products", 1e-9 * median(packing));
}

static void bench_weights(const bench *b, plim_dtype format)
{
    enum { COUNT = 1 << 16 };
    double there[ROUNDS], back[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double start = seconds();
        b->k->quantise[format](b->memory, b->memory + COUNT, b->x, COUNT);
        double done = seconds();
        b->k->dequantise[format](b->y, b->memory, b->memory + COUNT, COUNT);
        there[i] = COUNT / (done - start);
        back[i] = COUNT / (seconds() - done);
    }
    printf("%-12s %s quantise %.3f, dequantise %.3f weights/ns\n", b->k->name,
           plim_dtypes[format].name, 1e-9 * median(there), 1e-9 * median(back));
}

int check_bench_quant(void)
{
    static const size_t rows[] = {1, 2, 4, 16, 128, MOST_ROWS};
    size_t floats = (size_t)MOST_ROWS * INPUTS, pack_bytes = plim_pack_bytes(MOST_ROWS, INPUTS);
    size_t total = WEIGHT_BYTES + 2 * floats * sizeof(float) + pack_bytes;
    char *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "no memory for the benchmark\n");
        return 77;
    }
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    bench b = {.memory = memory, .packed = memory + WEIGHT_BYTES};
    b.x = (float *)(void *)(memory + WEIGHT_BYTES + pack_bytes);
    b.y = b.x + floats;
    uint64_t state = 1;
    for (size_t i = 0; i < WEIGHT_BYTES; i += 8) { /* any two bytes are a small f16 too */
        uint64_t word =
            (check_random(&state) & UINT64_C(0x83ff83ff83ff83ff)) | UINT64_C(0x1400140014001400);
        memcpy(memory + i, &word, sizeof word);
    }
    for (size_t i = 0; i < floats; i++)
        b.x[i] = check_uniform(&state);
    for (size_t t = count; t-- > 1;) { /* the scalar table would take minutes */
        b.k = &tables[t];
        for (plim_dtype format = PLIM_Q8; format <= PLIM_Q4; format++) {
            for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
                bench_product(&b, format, rows[i]);
            bench_weights(&b, format);
        }
    }
    munmap(memory, total);
    return 0;
}
