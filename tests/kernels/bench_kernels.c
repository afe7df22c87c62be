/* SPDX-License-Identifier: Apache-2.0
 *
 * `test_kernels --bench`: each slot of each table beside what the machine itself can do, measured
 * in the same run: reading memory, and multiplying and adding in registers.  Nothing here passes or
 * fails. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { THREADS = 2, REPEATS = 9, TASK_OUTPUTS = 240 };
static const size_t WEIGHT_BYTES = (size_t)256 << 20;

typedef void (*work_fn)(void *arg, unsigned thread, unsigned threads);

typedef struct member {
    work_fn fn;
    void *arg;
    pthread_barrier_t *start;
    unsigned thread, threads;
    double took[REPEATS];
} member;

/* Processor time of this thread: other programs on the machine take part of the time on the wall.
 */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *work(void *arg)
{
    member *m = arg;
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(m->start);
        double before = seconds();
        m->fn(m->arg, m->thread, m->threads);
        m->took[i] = seconds() - before;
    }
    return NULL;
}

/* Shortest of a few runs by `threads` threads: the seconds of the slowest of them. */
static double best_of(work_fn fn, void *arg, unsigned threads)
{
    member members[THREADS];
    pthread_t ids[THREADS];
    pthread_barrier_t start;
    double best = 1e9;
    pthread_barrier_init(&start, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        members[i] =
            (member){.fn = fn, .arg = arg, .start = &start, .thread = i, .threads = threads};
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, &members[i]) != 0)
            exit(77);
    work(&members[0]);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    for (int r = 0; r < REPEATS; r++) {
        double slowest = 0;
        for (unsigned i = 0; i < threads; i++)
            slowest = members[i].took[r] > slowest ? members[i].took[r] : slowest;
        best = slowest < best ? slowest : best;
    }
    pthread_barrier_destroy(&start);
    return best;
}

/* ---- the machine's own limits ---- */

typedef struct probe {
    char *memory;
    size_t bytes;
    uint64_t sink[THREADS * 8];
} probe;

/* Four streams, a page ahead: whatever reads fastest is the limit of the others. */
static void read_memory(void *arg, unsigned thread, unsigned threads)
{
    probe *p = arg;
    size_t each = p->bytes / threads / 16384 * 4096; /* of four streams */
    const char *from = p->memory + thread * 4 * each;
    uint64_t sum[8] = {0}, word[8];
    for (size_t i = 0; i < each; i += 64)
        for (size_t stream = 0; stream < 4; stream++) {
            __builtin_prefetch(from + stream * each + i + 4096);
            memcpy(word, from + stream * each + i, 64);
            for (int j = 0; j < 8; j++)
                sum[j] ^= word[j];
        }
    for (int j = 1; j < 8; j++)
        sum[0] ^= sum[j];
    p->sink[thread * 8] = sum[0];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void read_memory_avx2(void *arg, unsigned thread,
                                                             unsigned threads)
{
    probe *p = arg;
    size_t each = p->bytes / threads / 16384 * 4096;
    const char *from = p->memory + thread * 4 * each;
    __m256i sum[4];
    for (int j = 0; j < 4; j++)
        sum[j] = _mm256_setzero_si256();
    for (size_t i = 0; i < each; i += 64)
#pragma GCC unroll 4
        for (size_t s = 0; s < 4; s++) {
            const __m256i *at = (const __m256i *)(const void *)(from + s * each + i);
            _mm_prefetch((const char *)at + 4096, _MM_HINT_T0);
            sum[s] = _mm256_xor_si256(sum[s], _mm256_loadu_si256(at));
            sum[s] = _mm256_xor_si256(sum[s], _mm256_loadu_si256(at + 1));
        }
    sum[0] = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
    _mm256_storeu_si256((__m256i *)(void *)(p->sink + thread * 8), sum[0]);
}
#endif

/* GB/s by all threads together. */
static double read_speed(probe *p)
{
    work_fn fn = read_memory;
#if defined(__x86_64__)
    if (plim_cpu_features() & PLIM_CPU_AVX2)
        fn = read_memory_avx2;
#endif
    return 1e-9 * (double)p->bytes / best_of(fn, p, THREADS);
}

enum { FMA_ROUNDS = 2000000 };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void fma_avx512(void *arg, unsigned thread,
                                                          unsigned threads)
{
    (void)arg, (void)thread, (void)threads;
    __m512 sum[16], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (long r = 0; r < FMA_ROUNDS; r++)
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(sum[i]) : "v"(x), "v"(y));
}

__attribute__((target("avx2,fma"))) static void fma_avx2(void *arg, unsigned thread,
                                                         unsigned threads)
{
    (void)arg, (void)thread, (void)threads;
    __m256 sum[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (long r = 0; r < FMA_ROUNDS; r++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            __asm__ volatile("vfmadd213ps %2, %1, %0" : "+x"(sum[i]) : "x"(x), "x"(y));
}
#endif

/* f32 multiply-adds in GFLOP/s by the instructions of a table; 0 where there is no probe. */
static double fma_peak(const char *table, unsigned threads)
{
#if defined(__x86_64__)
    if (strncmp(table, "avx512", 6) == 0)
        return 2e-9 * threads * 16 * 16 * FMA_ROUNDS / best_of(fma_avx512, NULL, threads);
    if (strncmp(table, "avx2", 4) == 0)
        return 2e-9 * threads * 12 * 8 * FMA_ROUNDS / best_of(fma_avx2, NULL, threads);
#endif
    (void)table, (void)threads;
    return 0;
}

/* ---- products ---- */

typedef struct product_bench {
    plim_product_fn fn;
    plim_product whole;
    plim_dtype dtype;
    bool in_out;
} product_bench;

static void product_tasks(void *arg, unsigned thread, unsigned threads)
{
    const product_bench *b = arg;
    size_t bytes = plim_dtypes[b->dtype].bits / 8;
    size_t outputs = b->in_out ? (b->whole.outputs + threads - 1) / threads : TASK_OUTPUTS;
    for (size_t o = thread * outputs; o < b->whole.outputs; o += threads * outputs) {
        plim_product p = b->whole;
        p.outputs = p.outputs - o < outputs ? p.outputs - o : outputs;
        p.y += o;
        p.w = (const char *)p.w + (b->in_out ? o * bytes : o * p.w_row_bytes);
        b->fn(&p);
    }
}

typedef struct shape {
    size_t rows, outputs, inputs;
} shape;

/* One row: the weights don't fit any cache, and the figure is bytes of weights a second. */
static void bench_product(const plim_kernels *k, plim_dtype dtype, bool in_out, shape s,
                          char *weights, float *x, float *y, double bandwidth, double peak)
{
    size_t bytes = plim_dtypes[dtype].bits / 8;
    product_bench b = {.fn = in_out ? k->product_in_out[dtype] : k->product_out_in[dtype],
                       .whole = {.y = y,
                                 .x = x,
                                 .w = weights,
                                 .y_stride = s.outputs,
                                 .x_stride = s.inputs,
                                 .w_row_bytes = bytes * (in_out ? s.outputs : s.inputs),
                                 .rows = s.rows,
                                 .outputs = s.outputs,
                                 .inputs = s.inputs},
                       .dtype = dtype,
                       .in_out = in_out};
    void *packed = NULL;
    if (s.rows >= k->pack_from[dtype]) { /* once for several weights: not timed */
        plim_pack pack = {.x = x, .x_stride = s.inputs, .rows = s.rows, .inputs = s.inputs};
        packed = aligned_alloc(PLIM_PACK_ALIGN, plim_pack_bytes(s.rows, s.inputs));
        if (!packed)
            exit(77);
        pack.dst = packed;
        k->pack[dtype](&pack);
        b.whole.packed = packed;
        b.whole.packed_inputs = s.inputs;
    }
    double took = best_of(product_tasks, &b, THREADS);
    free(packed);
    double size = (double)bytes * (double)s.inputs * (double)s.outputs;
    printf("%-8s %-8s %-5s %5zu x %6zu x %6zu  ", k->name, in_out ? "in_out" : "out_in",
           plim_dtypes[dtype].name, s.rows, s.inputs, s.outputs);
    if (s.rows <= 4)
        printf("%8.2f GB/s    %.2f of reading\n", 1e-9 * size / took,
               1e-9 * size / took / bandwidth);
    else {
        double flops = 2e-9 * (double)s.rows * (double)s.inputs * (double)s.outputs / took;
        printf("%8.1f GFLOP/s %.2f of the peak\n", flops, peak > 0 ? flops / peak : 0);
    }
}

static void bench_products(const plim_kernels *k, char *weights, float *x, float *y,
                           double bandwidth, double peak)
{
    static const plim_dtype dtypes[] = {PLIM_F32, PLIM_BF16, PLIM_F16};
    for (size_t d = 0; d < 3; d++)
        for (int in_out = 0; in_out < 2; in_out++) {
            size_t bytes = plim_dtypes[dtypes[d]].bits / 8;
            shape shapes[] = {{1, WEIGHT_BYTES / 2048 / bytes, 2048},
                              {2, WEIGHT_BYTES / 2048 / bytes, 2048},
                              {128, 4096, 2048},
                              {256, 2048, 8192},
                              {256, 1024, 1024}};
            if (in_out) {
                shapes[0] = (shape){1, 4096, WEIGHT_BYTES / 4096 / bytes};
                shapes[1] = (shape){2, 4096, WEIGHT_BYTES / 4096 / bytes};
            }
            for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
                bench_product(k, dtypes[d], in_out, shapes[i], weights, x, y, bandwidth, peak);
        }
}

/* ---- attention ---- */

typedef struct attention_bench {
    plim_attention_fn fn;
    plim_attention one;
    size_t heads, row_bytes;
} attention_bench;

static void attention_tasks(void *arg, unsigned thread, unsigned threads)
{
    const attention_bench *b = arg;
    size_t bytes = b->row_bytes * b->one.context;
    for (size_t h = thread; h < b->heads; h += threads) {
        plim_attention a = b->one;
        a.k = (const char *)a.k + h * bytes;
        a.v = (const char *)a.v + h * bytes;
        a.q += h * a.group * a.q_stride;
        a.y += h * a.group * a.y_stride;
        b->fn(&a);
    }
}

/* One row at the last of `positions`, or the last `rows`. */
static void bench_attention(const plim_kernels *k, plim_dtype dtype, size_t group, size_t rows,
                            size_t positions, char *weights, float *x, float *y, double bandwidth,
                            double peak)
{
    size_t dim = 64, heads = 8, row = dim * plim_dtypes[dtype].bits / 8;
    attention_bench b = {.fn = k->attention[dtype], .heads = heads, .row_bytes = row};
    b.one = (plim_attention){.y = y,
                             .q = x,
                             .k = weights,
                             .v = weights + heads * positions * row,
                             .context = positions,
                             .position = positions - rows,
                             .window = SIZE_MAX,
                             .rows = rows,
                             .group = group,
                             .head_dim = dim,
                             .q_row_stride = heads * group * dim,
                             .y_row_stride = heads * group * dim,
                             .q_stride = dim,
                             .y_stride = dim,
                             .scale = 0.125f};
    double took = best_of(attention_tasks, &b, THREADS);
    double speed = 2e-9 * (double)(heads * positions * row) / took;
    double seen = (double)rows * ((double)positions - 0.5 * (double)(rows - 1));
    double flops = 4e-9 * seen * (double)(dim * heads * group) / took;
    printf("%-8s attention %-4s group %zu, %4zu rows, %6zu positions %8.2f GB/s    %.2f of "
           "reading, %.1f GFLOP/s %.2f of the peak\n",
           k->name, plim_dtypes[dtype].name, group, rows, positions, speed, speed / bandwidth,
           flops, peak > 0 ? flops / peak : 0);
}

/* ---- the small ones ---- */

typedef struct small_bench {
    const plim_kernels *k;
    float *x, *y, *w;
    plim_activation act;
    int which;
    plim_dtype to, from;
} small_bench;

enum { SMALL = 4096, SMALL_ROUNDS = 200 };

static void small_work(void *arg, unsigned thread, unsigned threads)
{
    const small_bench *b = arg;
    (void)thread, (void)threads;
    for (int i = 0; i < SMALL_ROUNDS; i++)
        switch (b->which) {
        case 0:
            b->k->rms_norm(b->y, b->x, b->w, SMALL, 1e-5f);
            break;
        case 1:
            b->k->layer_norm(b->y, b->x, b->w, b->w, SMALL, 1e-5f);
            break;
        case 2:
            b->k->rope(b->y, b->w, b->w, SMALL / 2);
            break;
        case 3:
            b->k->add(b->y, b->x, SMALL);
            break;
        case 4:
            memcpy(b->y, b->x, SMALL * sizeof *b->y);
            b->k->activate(b->y, SMALL, b->act);
            break;
        case 5:
            b->k->argmax(b->x, SMALL);
            break;
        default:
            b->k->cast[b->to][b->from](b->y, b->x, SMALL);
        }
}

static void bench_small(const plim_kernels *k, float *x, float *y, float *w)
{
    static const char *const names[] = {"rms_norm", "layer_norm", "rope", "add",
                                        "activate", "argmax",     "cast"};
    static const char *const acts[] = {"gelu",     "gelu_tanh",  "quick_gelu", "relu",
                                       "relu2",    "silu",       "tanh",       "sigmoid",
                                       "identity", "leaky_relu", "relu6",      "mish",
                                       "gelu_10",  "hardswish",  "laplace",    "sqrtsoftplus"};
    static_assert(sizeof acts / sizeof acts[0] == PLIM_ACT_COUNT, "a name for each activation");
    static const plim_dtype types[] = {PLIM_F32, PLIM_F16, PLIM_BF16};
    small_bench b = {.k = k, .x = x, .y = y, .w = w};
    for (b.which = 0; b.which < 6; b.which++) {
        int many = b.which == 4 ? PLIM_ACT_COUNT : 1;
        for (int act = 0; act < many; act++) {
            b.act = (plim_activation)act;
            double took = best_of(small_work, &b, 1);
            printf("%-8s %-10s %-10s %8.2f elements/ns\n", k->name, names[b.which],
                   b.which == 4 ? acts[act] : "", 1e-9 * SMALL * SMALL_ROUNDS / took);
        }
    }
    for (size_t i = 0; i < 9; i++) {
        b.to = types[i / 3], b.from = types[i % 3];
        double took = best_of(small_work, &b, 1);
        printf("%-8s cast       %-4s <- %-4s %7.2f elements/ns\n", k->name, plim_dtypes[b.to].name,
               plim_dtypes[b.from].name, 1e-9 * SMALL * SMALL_ROUNDS / took);
    }
}

int check_bench(void)
{
    enum { FLOATS = 64 << 20 };
    size_t total = WEIGHT_BYTES + 2 * (size_t)FLOATS;
    char *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "no memory for the benchmark\n");
        return 77;
    }
    float *x = (float *)(void *)(memory + WEIGHT_BYTES), *y = x + FLOATS / 4;
    uint64_t state = 1;
    for (size_t i = 0; i < WEIGHT_BYTES; i += 8) { /* small numbers in any of the three types */
        uint64_t word =
            (check_random(&state) & UINT64_C(0x81ff81ff81ff81ff)) | UINT64_C(0x3800380038003800);
        memcpy(memory + i, &word, 8);
    }
    for (size_t i = 0; i < FLOATS / 4; i++)
        x[i] = check_uniform(&state);
    memset(y, 0, FLOATS);

    probe p = {.memory = memory, .bytes = WEIGHT_BYTES};
    plim_kernels tables[CHECK_MAX_TABLES];
    size_t count = check_tables(tables);
    for (size_t i = count; i-- > 0;) {
        double peak = fma_peak(tables[i].name, THREADS), bandwidth = read_speed(&p);
        printf("\n%s: multiply-add peak %.1f GFLOP/s, reading memory %.2f GB/s, %d threads\n",
               tables[i].name, peak, bandwidth, THREADS);
        bench_products(&tables[i], memory, x, y, bandwidth, peak);
        for (size_t group = 1; group <= 4; group *= 4)
            for (int s = 0; s < 4; s++)
                for (int d = 0; d < 3; d++) {
                    static const plim_dtype dtypes[] = {PLIM_F32, PLIM_F16, PLIM_BF16};
                    static const size_t rows[] = {1, 1, 512, 64};
                    static const size_t positions[] = {256, 16384, 512, 8192};
                    bench_attention(&tables[i], dtypes[d], group, rows[s], positions[s], memory, x,
                                    y, bandwidth, peak);
                }
        bench_small(&tables[i], x, y, y + SMALL);
    }
    printf("\nreading memory again %.2f GB/s\n", read_speed(&p));
    munmap(memory, total);
    return 0;
}
