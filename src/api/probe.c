/* SPDX-License-Identifier: Apache-2.0
 *
 * Measuring: what this disk, this memory and these kernels do in a second, by doing what loading
 * and decoding do.  Memory: one region of PROBE_BYTES for all of it, and what a read queue takes.
 * Nothing is written; up to CACHED_BYTES of the file come into the page cache. */
#include <assert.h>
#include <string.h>

#include "api/handles.h"
#include "base/sort.h"
#include "generate/product.h"
#include "load/reader.h"

#define PROBE_BYTES   ((size_t)64 << 20)
#define DISK_BYTES    ((uint64_t)256 << 20)
#define DISK_SECONDS  0.7 /* a slow disk is known by then */
#define CACHED_BYTES  ((uint64_t)16 << 20)
#define CACHED_TOTAL  ((uint64_t)256 << 20)
#define CACHED_ROUNDS 3 /* the best counts: a round takes no longer than a neighbour's burst */
#define DEPTH         4u
#define COMMIT_ROUNDS 3
#define MIN_PASSES    4
#define MAX_PASSES    40
#define PASS_SECONDS  0.15 /* of all passes of one kernel, after which no more are begun */
#define MAX_ROWS      ((uint64_t)1 << 18)

static_assert(PROBE_BYTES % (DEPTH * PLIM_PIECE_BYTES) == 0, "each request has its own slots");

typedef struct probe {
    plim_context *context;
    plim_stored_set *stored;
    const plim_model_options *options;
    uint32_t file; /* the largest */
    uint64_t file_bytes;
    plim_region memory;
    double start;
    uint64_t done_bytes; /* read */
} probe;

/* The caller may cancel here; a probe tells no more than what it has read. */
static plim_status tell(const probe *p, plim_error *err)
{
    plim_progress progress = {.done_bytes = p->done_bytes,
                              .total_bytes = DISK_BYTES + CACHED_ROUNDS * CACHED_TOTAL,
                              .seconds = plim_now() - p->start,
                              .eta_seconds = -1};
    if (p->options->progress && p->options->progress(p->options->progress_user, &progress))
        return plim_fail(err, PLIM_E_CANCELLED, "cancelled");
    return PLIM_OK;
}

/* ---- memory ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Fresh memory, brought in: the median of three, the last of which stays. */
static plim_status measure_commit(probe *p, double *out, plim_error *err)
{
    double seconds[COMMIT_ROUNDS];
    for (int i = 0; i < COMMIT_ROUNDS; i++) {
        plim_region_close(&p->memory, p->context->ledger);
        double start = plim_now();
        plim_status status = plim_region_open(&p->memory, p->context->ledger, PLIM_MEM_STAGING,
                                              PROBE_BYTES, true, err);
        if (status)
            return status;
        seconds[i] = plim_now() - start;
    }
    plim_sort(seconds, COMMIT_ROUNDS, sizeof *seconds, by_value);
    *out = (double)PROBE_BYTES / seconds[COMMIT_ROUNDS / 2];
    return PLIM_OK;
}

/* ---- reading ---- */

/* A range of the file, read over and over until `total` bytes are there or the time is up. */
typedef struct reading {
    plim_reader how;
    uint64_t offset, bytes; /* the range */
    uint64_t total;
    double seconds; /* at most, where it can be helped */
} reading;

/* Begin the next piece of the range, at the request's next slot.  Does nothing once enough is on
 * its way. */
static plim_status begin_piece(const probe *p, const reading *r, plim_read_queue *queue,
                               plim_read_request *request, uint64_t *begun, plim_error *err)
{
    const uint64_t slots = PROBE_BYTES / PLIM_PIECE_BYTES / DEPTH; /* of each request */
    uint64_t at = *begun % r->bytes, left = r->bytes - at;
    if (*begun >= r->total)
        return PLIM_OK;
    request->offset = r->offset + at;
    request->bytes = left < PLIM_PIECE_BYTES ? (size_t)left : PLIM_PIECE_BYTES;
    request->dst = (char *)p->memory.base + request->tag * PLIM_PIECE_BYTES;
    request->tag = (request->tag + 1) % slots ? request->tag + 1 : request->tag + 1 - slots;
    *begun += request->bytes;
    return plim_read_queue_submit(queue, request, err);
}

static plim_status read_pieces(probe *p, const reading *r, plim_read_queue *queue, double *speed,
                               plim_error *err)
{
    plim_read_request requests[DEPTH] = {0}, *done;
    uint64_t begun = 0, there = 0;
    double start = plim_now(), now = start, told = start;
    plim_status status = PLIM_OK;
    for (unsigned i = 0; i < DEPTH && !status; i++) {
        requests[i].file = p->file;
        requests[i].tag = i * (PROBE_BYTES / PLIM_PIECE_BYTES / DEPTH);
        status = begin_piece(p, r, queue, &requests[i], &begun, err);
    }
    while (!status && plim_read_queue_in_flight(queue)) {
        status = plim_read_queue_wait(queue, &done, -1, err);
        now = plim_now();
        if (status || !done)
            break;
        there += done->bytes;
        p->done_bytes += done->bytes;
        if (now - told >= 0.025) {
            told = now;
            status = tell(p, err);
        }
        if (!status && now - start < r->seconds)
            status = begin_piece(p, r, queue, done, &begun, err);
    }
    while (plim_read_queue_in_flight(queue)) /* the requests are ours again when they are done */
        (void)plim_read_queue_wait(queue, &done, -1, NULL);
    *speed = !status && now > start ? (double)there / (now - start) : 0;
    return status;
}

static plim_status measure_reading(probe *p, const reading *r, double *speed, plim_error *err)
{
    plim_read_queue *queue = NULL;
    plim_read_setup setup = {.how = r->how,
                             .stored = p->stored,
                             .ledger = p->context->ledger,
                             .ring = &p->memory,
                             .depth = DEPTH};
    if (!r->bytes)
        return PLIM_OK;
    plim_status status = plim_read_queue_open(&queue, &setup, err);
    if (!status)
        status = read_pieces(p, r, queue, speed, err);
    plim_read_queue_close(&queue);
    return status;
}

/* Somewhere in the file where little of it is in the page cache; elsewhere every time, so that what
 * lies below the system (a host's cache, a controller's) does not know the range already. */
static uint64_t choose_offset(const probe *p, uint64_t bytes)
{
    const plim_file *file = &p->stored->files[p->file].file;
    uint64_t room = (p->file_bytes - bytes) / PLIM_PIECE_BYTES + 1, best = 0, least = UINT64_MAX;
    uint64_t random = (uint64_t)(plim_now() * 1e9) | 1;
    for (int i = 0; i < 16; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        uint64_t resident = 0, offset = (random >> 20) % room * PLIM_PIECE_BYTES;
        if (!plim_fd_resident(file->fd, offset, bytes, &resident))
            return offset;
        if (resident < least) {
            least = resident;
            best = offset;
        }
        if (!resident)
            break;
    }
    return best;
}

static plim_status measure_disk(probe *p, plim_reader how, double *speed, plim_error *err)
{
    uint64_t bytes = p->file_bytes < DISK_BYTES ? p->file_bytes : DISK_BYTES;
    reading r = {how, choose_offset(p, bytes), bytes, DISK_BYTES, DISK_SECONDS};
    return measure_reading(p, &r, speed, err);
}

/* The beginning of the file is brought into the page cache by a plain read, then read again. */
static plim_status measure_cached(probe *p, double *speed, plim_error *err)
{
    const plim_stored_file *file = &p->stored->files[p->file];
    reading r = {PLIM_READER_BUFFERED, 0, p->file_bytes, CACHED_TOTAL,
                 DISK_SECONDS / CACHED_ROUNDS};
    r.bytes = r.bytes < CACHED_BYTES ? r.bytes : CACHED_BYTES;
    plim_status status =
        plim_file_read(&file->file, file->path, p->memory.base, (size_t)r.bytes, 0, err);
    *speed = 0;
    for (int i = 0; i < CACHED_ROUNDS && !status; i++) {
        double round = 0;
        status = measure_reading(p, &r, &round, err);
        *speed = round > *speed ? round : *speed;
    }
    return status;
}

/* ---- products ---- */

/* The matrix that makes up most of the model: rows and columns as stored. */
static void choose_shape(const plim_stored_set *stored, uint64_t *rows, uint64_t *cols)
{
    struct {
        uint64_t rows, cols, bytes;
    } seen[16];
    size_t count = 0, best = 0;
    *rows = *cols = 2048;
    for (size_t i = 0; i < stored->tensor_count; i++) {
        const plim_stored *t = &stored->tensors[i];
        size_t at = 0;
        if (t->shape.rank != 2 || t->shape.dim[0] > MAX_ROWS || t->shape.dim[1] > MAX_ROWS ||
            t->shape.dim[0] * t->shape.dim[1] < 16384)
            continue;
        while (at < count && (seen[at].rows != t->shape.dim[0] || seen[at].cols != t->shape.dim[1]))
            at++;
        if (at == sizeof seen / sizeof *seen)
            continue;
        if (at == count) {
            seen[count].rows = t->shape.dim[0];
            seen[count].cols = t->shape.dim[1];
            seen[count++].bytes = 0;
        }
        seen[at].bytes += t->bytes;
        if (at == best || seen[at].bytes > seen[best].bytes) {
            best = at;
            *rows = seen[at].rows;
            *cols = seen[at].cols;
        }
    }
    if (*rows > PROBE_BYTES / 4 / *cols)
        *rows = PROBE_BYTES / 4 / *cols;
}

/* Out of the processor's caches: the weights of a model that is larger than those come from memory
 * in every pass. */
static void evict(const plim_region *memory)
{
#if defined(__x86_64__)
    for (size_t i = 0; i < memory->bytes; i += 64)
        __builtin_ia32_clflush((char *)memory->base + i);
    __builtin_ia32_mfence();
#else
    (void)memory;
#endif
}

typedef struct product_run {
    plim_multiplier multiplier;
    plim_product whole;
    plim_dtype type;
    plim_layout layout;
} product_run;

/* One token's worth: every matrix in the region once.  Returns its seconds. */
static double product_pass(const probe *p, product_run *run, uint64_t matrix_bytes, size_t matrices)
{
    double start = plim_now();
    for (size_t i = 0; i < matrices; i++) {
        run->whole.w = (const char *)p->memory.base + i * matrix_bytes;
        if (plim_dtypes[run->type].group)
            run->whole.scales =
                (const char *)run->whole.w +
                plim_dtype_quant_bytes(run->type, run->whole.inputs * run->whole.outputs);
        memset(run->whole.y, 0, run->whole.outputs * sizeof *run->whole.y);
        plim_multiply_tile(&run->multiplier, run->type, run->layout, &run->whole);
    }
    return plim_now() - start;
}

/* Weights in bytes per second through one kernel: the median of many passes, for a token is not
 * the luckiest of many either. */
static double measure_product(const probe *p, plim_dtype type, bool in_out, uint64_t rows,
                              uint64_t cols, float *x, float *y, const void *packed)
{
    bool groups = plim_dtypes[type].group != 0;
    uint64_t row_bytes = groups ? plim_dtype_quant_bytes(type, cols) : plim_dtype_bytes(type, cols);
    uint64_t matrix_bytes = rows * plim_dtype_bytes(type, cols);
    size_t matrices = (size_t)(PROBE_BYTES / matrix_bytes);
    product_run run = {.multiplier = {.pool = p->context->pool, .kernels = &p->context->kernels},
                       .type = type,
                       .layout = in_out ? PLIM_IN_OUT : PLIM_OUT_IN,
                       .whole = {.y = y,
                                 .x = x,
                                 .packed = packed,
                                 .packed_inputs = in_out ? rows : cols,
                                 .y_stride = in_out ? cols : rows,
                                 .x_stride = in_out ? rows : cols,
                                 .w_row_bytes = (size_t)row_bytes,
                                 .scale_row_bytes = groups ? (size_t)cols / PLIM_GROUP * 2 : 0,
                                 .rows = 1,
                                 .outputs = in_out ? cols : rows,
                                 .inputs = in_out ? rows : cols}};
    uint64_t stored = 0;
    for (size_t i = 0; i < p->stored->file_count; i++)
        stored += p->stored->files[i].file.identity.bytes;
    double seconds[MAX_PASSES], all = 0;
    int passes = 0;
    while (passes < MIN_PASSES || (passes < MAX_PASSES && all < PASS_SECONDS)) {
        if (stored > PROBE_BYTES)
            evict(&p->memory);
        seconds[passes] = product_pass(p, &run, matrix_bytes, matrices);
        all += seconds[passes++];
    }
    plim_sort(seconds, (size_t)passes, sizeof *seconds, by_value);
    double typical = seconds[passes / 2];
    return typical > 0 ? (double)(matrices * matrix_bytes) / typical : 0;
}

/* The one row of activations as a kernel wants it. */
static void pack_row(const plim_kernels *kernels, plim_dtype type, const float *x, size_t inputs,
                     void *dst)
{
    plim_pack pack = {.dst = dst, .x = x, .x_stride = inputs, .rows = 1, .inputs = inputs};
    kernels->pack[type](&pack);
}

/* int8 and int4: rows of whole groups. */
static plim_status measure_groups(probe *p, uint64_t rows, uint64_t cols, float *x, float *y,
                                  plim_speeds *out, plim_error *err)
{
    static const plim_dtype types[2] = {PLIM_Q8, PLIM_Q4};
    const plim_alloc *alloc = plim_ledger_alloc(p->context->ledger, PLIM_MEM_STAGING);
    plim_status status = PLIM_OK;
    cols -= cols % PLIM_GROUP;
    if (!cols)
        return PLIM_OK;
    char *memory = plim_new(alloc, plim_pack_bytes(1, (size_t)cols) + PLIM_PACK_ALIGN, 1, err);
    if (!memory)
        return err->code;
    void *packed = memory + (PLIM_PACK_ALIGN - (uintptr_t)memory % PLIM_PACK_ALIGN);
    for (int i = 0; i < 2 && !(status = tell(p, err)); i++) {
        pack_row(&p->context->kernels, types[i], x, (size_t)cols, packed);
        out->product_groups[i] = measure_product(p, types[i], false, rows, cols, x, y, packed);
    }
    plim_delete(alloc, memory);
    return status;
}

static plim_status measure_products(probe *p, plim_speeds *out, plim_error *err)
{
    static const plim_dtype types[3] = {PLIM_F32, PLIM_F16, PLIM_BF16};
    const plim_alloc *alloc = plim_ledger_alloc(p->context->ledger, PLIM_MEM_STAGING);
    uint64_t rows, cols;
    choose_shape(p->stored, &rows, &cols);
    size_t longest = (size_t)(rows > cols ? rows : cols);
    float *x = plim_new(alloc, 2 * longest, sizeof *x, err);
    if (!x)
        return err->code;
    for (size_t i = 0; i < longest; i++)
        x[i] = 0.01f;
    memset(p->memory.base, 0x3c,
           PROBE_BYTES); /* 0.01 or about 1, whatever the type: no denormals */
    plim_status status = PLIM_OK;
    for (int i = 0; i < 3 && !(status = tell(p, err)); i++) {
        out->product_out_in[i] =
            measure_product(p, types[i], false, rows, cols, x, x + longest, NULL);
        out->product_in_out[i] =
            measure_product(p, types[i], true, rows, cols, x, x + longest, NULL);
    }
    if (!status)
        status = measure_groups(p, rows, cols, x, x + longest, out, err);
    plim_delete(alloc, x);
    return status;
}

/* ---- all of it ---- */

static plim_status measure(probe *p, plim_speeds *out, plim_error *err)
{
    for (uint32_t i = 0; i < p->stored->file_count; i++)
        if (p->stored->files[i].file.identity.bytes >= p->file_bytes) {
            p->file = i;
            p->file_bytes = p->stored->files[i].file.identity.bytes;
        }
    plim_status status = measure_commit(p, &out->commit, err);
    if (!status)
        status = measure_disk(p, PLIM_READER_DIRECT, &out->disk, err);
    if (!status)
        status = measure_disk(p, PLIM_READER_BUFFERED, &out->buffered, err);
    if (!status)
        status = measure_cached(p, &out->cached, err);
    if (!status)
        status = measure_products(p, out, err);
    return status;
}

plim_status plim_probe(plim_speeds *out, plim_context *context, const char *name,
                       const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_error local;
    plim_speeds speeds = {0};
    char path[4096];
    if (!err)
        err = &local;
    plim_error_clear(err);
    probe p = {.context = context, .options = &o, .start = plim_now()};
    plim_status status = plim_model_options_take(&o, options, err);
    if (!status)
        status = plim_resolve(path, sizeof path, name, &o, err);
    if (status)
        return status;
    plim_checkpoint_where where = {path, o.subfolder, o.variant};
    status = plim_stored_open(&p.stored, plim_context_alloc(context), &where, NULL, err);
    if (!status)
        status = measure(&p, &speeds, err);
    plim_region_close(&p.memory, context->ledger);
    plim_stored_close(&p.stored);
    if (!status)
        *out = speeds;
    return status;
}
