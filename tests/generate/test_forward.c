/* SPDX-License-Identifier: Apache-2.0
 *
 * Same bits whatever stands beside (design invariant 8): chunks, threads, sequences in one pass,
 * and extents that are freed on release give the logits of one plain pass, bit for bit, on
 * checkpoints of tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "generate/sequence.h"

#define GOLDEN  PLIM_SOURCE_DIR "/tests/golden/"
#define TOKENS  300
#define CONTEXT 320

/* A model and what it stands on, opened below the public API so that extents can be replaced. */
typedef struct rig {
    plim_ledger *ledger;
    plim_pool *pool;
    plim_kernels kernels;
    plim_stored_set *stored;
    plim_skeleton *skeleton;
    plim_load_plan *plan;
    plim_weights *weights;
    plim_engine engine;
} rig;

static void ok(plim_status status, const plim_error *err)
{
    if (status)
        fail_msg("%s: %s", plim_status_name(status), err->message);
}

static void rig_open(rig *r, const char *name, unsigned threads, plim_dtype dtype, unsigned cpu)
{
    plim_error err;
    char path[512], config[600];
    *r = (rig){0};
    snprintf(path, sizeof path, GOLDEN "%s", name);
    snprintf(config, sizeof config, "%s/config.json", path);
    ok(plim_ledger_open(&r->ledger, 0, 0, NULL, &err), &err);
    const plim_alloc *alloc = plim_ledger_alloc(r->ledger, PLIM_MEM_METADATA);
    ok(plim_pool_open(&r->pool, alloc, threads, &err), &err);
    plim_kernels_init(&r->kernels, cpu & plim_cpu_features());
    plim_checkpoint_where where = {path, NULL, NULL};
    ok(plim_stored_open(&r->stored, alloc, &where, NULL, &err), &err);
    ok(plim_skeleton_open(&r->skeleton, alloc, config, &err), &err);
    ok(plim_skeleton_match(r->skeleton, r->stored, NULL, &err), &err);
    plim_plan_options options = {
        .torch_dtype = dtype, .low_cpu_mem_usage = true, .context = CONTEXT, .sessions = 1};
    plim_facts facts = {.page_bytes = 4096, .threads = threads};
    plim_held held = {0};
    ok(plim_load_plan_open(&r->plan, alloc, r->skeleton, r->stored, &options, &facts, &held, &err),
       &err);
    plim_load_job job = {.ledger = r->ledger,
                         .pool = r->pool,
                         .kernels = &r->kernels,
                         .skeleton = r->skeleton,
                         .stored = r->stored,
                         .plan = r->plan};
    ok(plim_weights_load(&r->weights, &job, &err), &err);
    r->engine = (plim_engine){&r->skeleton->spec, &r->kernels, r->pool, r->weights,
                              plim_weights_source(r->weights)};
}

static void rig_close(rig *r)
{
    plim_memory memory;
    plim_weights_close(&r->weights);
    plim_load_plan_close(&r->plan);
    plim_skeleton_close(&r->skeleton);
    plim_stored_close(&r->stored);
    plim_pool_close(&r->pool);
    plim_ledger_read(r->ledger, &memory);
    assert_int_equal(memory.total.now, 0);
    plim_ledger_close(&r->ledger);
}

static int32_t token_at(const rig *r, size_t i)
{
    return (int32_t)((i * 2654435761u + 12345u) % r->skeleton->spec.vocab);
}

/* ---- logits of a text through one sequence ---- */

static int keep_row(void *user, size_t position, const float *logits, size_t vocab)
{
    memcpy((float *)user + position * vocab, logits, vocab * sizeof *logits);
    return 0;
}

/* f32 [count][vocab]; freed by the caller. */
static float *logits_of(rig *r, size_t count, uint32_t chunk)
{
    plim_error err;
    plim_sequence *s;
    plim_session_size size = r->plan->session;
    int32_t tokens[TOKENS];
    size_t bytes = count * r->skeleton->spec.vocab * sizeof(float);
    float *out = malloc(bytes);
    memset(out, 0xff, bytes);
    size.chunk = chunk;
    for (size_t i = 0; i < count; i++)
        tokens[i] = token_at(r, i);
    ok(plim_sequence_open(&s, &r->engine, r->ledger, &size, NULL, &err), &err);
    ok(plim_sequence_eval(s, tokens, count, keep_row, out, &err), &err);
    plim_sequence_close(&s);
    return out;
}

static void same_bits(const rig *r, const float *a, const float *b, size_t rows)
{
    size_t vocab = r->skeleton->spec.vocab;
    for (size_t i = 0; i < rows; i++)
        if (memcmp(a + i * vocab, b + i * vocab, vocab * sizeof *a) != 0)
            fail_msg("position %zu differs", i);
}

/* ---- extents that live only between acquire and release ---- */

typedef struct stingy {
    plim_extent_source source; /* first */
    plim_extent_source *base;
    uint64_t rows;
    size_t acquired, open, passes;
} stingy;

static plim_status stingy_begin(plim_extent_source *self, unsigned head_rounds,
                                const atomic_bool *cancel, plim_error *err)
{
    (void)head_rounds;
    (void)cancel;
    (void)err;
    ((stingy *)self)->passes++;
    return PLIM_OK;
}

static void stingy_end(plim_extent_source *self, bool ok)
{
    (void)ok;
    ((stingy *)self)->passes--;
}

static plim_status stingy_acquire(plim_extent_source *self, const plim_weight *weight, uint64_t row,
                                  uint64_t want, plim_extent *out, plim_error *err)
{
    stingy *s = (stingy *)self;
    plim_extent whole;
    plim_status status =
        s->base->acquire(s->base, weight, row, want < s->rows ? want : s->rows, &whole, err);
    if (status)
        return status;
    size_t bytes = whole.rows * whole.row_bytes;
    char *copy = malloc(bytes);
    memcpy(copy, whole.data, bytes);
    *out = whole;
    out->data = copy;
    out->cookie = copy;
    s->base->release(s->base, &whole);
    s->acquired++;
    s->open++;
    return PLIM_OK;
}

static void stingy_release(plim_extent_source *self, plim_extent *extent)
{
    stingy *s = (stingy *)self;
    memset(extent->cookie, 0x7f, extent->rows * extent->row_bytes); /* a late use would show */
    free(extent->cookie);
    s->open--;
}

static const char *const models[] = {"gpt2-base", "llama-base", "llama-bf16",    "llama-f16",
                                     "gpt2-bf16", "qwen3-base", "mistral-window"};
#define MODELS (sizeof models / sizeof *models)

static void test_chunks(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (unsigned level = 0; level < 3; level++) {
            static const unsigned masks[] = {0, PLIM_CPU_AVX2, PLIM_CPU_AVX2 | PLIM_CPU_AVX512};
            static const uint32_t chunks[] = {1, 5, 64, 256};
            rig r;
            rig_open(&r, models[m], 2, PLIM_AUTO, masks[level]);
            float *whole = logits_of(&r, TOKENS, TOKENS);
            for (size_t c = 0; c < 4; c++) {
                float *cut = logits_of(&r, TOKENS, chunks[c]);
                same_bits(&r, whole, cut, TOKENS);
                free(cut);
            }
            free(whole);
            rig_close(&r);
        }
}

static void test_threads(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        rig one, many;
        rig_open(&one, models[m], 1, PLIM_AUTO, PLIM_CPU_ALL);
        float *a = logits_of(&one, TOKENS, 256);
        for (unsigned threads = 2; threads < 8; threads += 3) {
            rig_open(&many, models[m], threads, PLIM_AUTO, PLIM_CPU_ALL);
            float *b = logits_of(&many, TOKENS, 256);
            same_bits(&one, a, b, TOKENS);
            free(b);
            rig_close(&many);
        }
        free(a);
        rig_close(&one);
    }
}

static void test_extents(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        static const uint64_t rows[] = {1, 7, 1000};
        rig r;
        rig_open(&r, models[m], 2, PLIM_AUTO, PLIM_CPU_ALL);
        float *whole = logits_of(&r, 40, 16);
        for (size_t i = 0; i < 3; i++) {
            stingy s = {{stingy_begin, stingy_end, stingy_acquire, stingy_release},
                        r.engine.source,
                        rows[i],
                        0,
                        0,
                        0};
            plim_engine kept = r.engine;
            r.engine.source = &s.source;
            float *parts = logits_of(&r, 40, 16);
            r.engine = kept;
            same_bits(&r, whole, parts, 40);
            assert_true(s.acquired > 0);
            assert_int_equal(s.open, 0);
            assert_int_equal(s.passes, 0); /* each that began has ended */
            free(parts);
        }
        free(whole);
        rig_close(&r);
    }
}

/* ---- contexts of several spans ---- */

enum { LONG = 2060, TAIL = 10 };

/* Logits of the last TAIL of LONG tokens, f32 [TAIL][vocab]: all before them in one chunk size,
 * they themselves in another. */
static float *tail_of(rig *r, uint32_t chunk, uint32_t tail_chunk)
{
    plim_error err;
    plim_sequence *s;
    plim_session_size size = r->plan->session;
    size_t vocab = r->skeleton->spec.vocab;
    static int32_t tokens[LONG];
    float *out = malloc(LONG * vocab * sizeof *out);
    assert_non_null(out);
    size.chunk = chunk;
    size.context = LONG + 20;
    for (size_t i = 0; i < LONG; i++)
        tokens[i] = token_at(r, i);
    ok(plim_sequence_open(&s, &r->engine, r->ledger, &size, NULL, &err), &err);
    ok(plim_sequence_eval(s, tokens, LONG - TAIL, NULL, NULL, &err), &err);
    for (size_t i = LONG - TAIL, n; i < LONG; i += n) {
        n = LONG - i < tail_chunk ? LONG - i : tail_chunk;
        ok(plim_sequence_eval(s, tokens + i, n, keep_row, out, &err), &err);
    }
    plim_sequence_close(&s);
    memmove(out, out + (LONG - TAIL) * vocab, TAIL * vocab * sizeof *out);
    return out;
}

/* One row is cut into spans for the threads, many rows are not: the same bits. */
static void test_spans(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-gqa", "llama-f16", "mistral-window-wide"};
    static const unsigned masks[] = {0, PLIM_CPU_AVX2, PLIM_CPU_ALL};
    static const uint32_t tails[] = {1, 3, 5};
    for (size_t m = 0; m < 3; m++) { /* a level for each: the kernels have a test of their own */
        rig one, many;
        rig_open(&one, names[m], 1, PLIM_AUTO, masks[m]);
        rig_open(&many, names[m], 3, PLIM_AUTO, masks[m]);
        float *whole = tail_of(&one, 256, TAIL);
        for (size_t t = 0; t < 3; t++) {
            float *cut = tail_of(t % 2 ? &one : &many, 100, tails[t]);
            same_bits(&one, whole, cut, TAIL);
            free(cut);
        }
        free(whole);
        rig_close(&many);
        rig_close(&one);
    }
}

/* ---- three sequences of different lengths in one pass ---- */

typedef struct batch {
    float *out; /* [rows][vocab] */
    size_t vocab;
} batch;

static int keep_batch_row(void *user, size_t row, const float *logits)
{
    batch *b = user;
    memcpy(b->out + row * b->vocab, logits, b->vocab * sizeof *logits);
    return 0;
}

static void test_sequences_in_one_pass(void **state)
{
    (void)state;
    static const size_t lengths[] = {3, 31, 1};
    for (size_t m = 0; m < MODELS; m++) {
        rig r;
        plim_error err;
        plim_state states[3];
        plim_row rows[35];
        plim_scratch scratch;
        size_t n = 0;
        rig_open(&r, models[m], 2, PLIM_AUTO, PLIM_CPU_ALL);
        for (size_t i = 0; i < 3; i++) {
            ok(plim_state_open(&states[i], r.ledger, &r.skeleton->spec, &r.plan->session, NULL,
                               &err),
               &err);
            for (size_t p = 0; p < lengths[i]; p++)
                rows[n++] = (plim_row){&states[i], (uint32_t)p, token_at(&r, p), true};
        }
        batch b = {malloc(n * r.skeleton->spec.vocab * sizeof(float)), r.skeleton->spec.vocab};
        ok(plim_scratch_open(&scratch, r.ledger, &r.skeleton->spec, &r.plan->session, &err), &err);
        plim_pass pass = {&r.engine, &scratch, rows, n, NULL, keep_batch_row, &b};
        ok(plim_forward(&pass, &err), &err);
        const float *part = b.out;
        for (size_t i = 0; i < 3; part += lengths[i] * b.vocab, i++) {
            float *alone = logits_of(&r, lengths[i], 256);
            same_bits(&r, alone, part, lengths[i]);
            free(alone);
            plim_state_close(&states[i], r.ledger);
        }
        plim_scratch_close(&scratch, r.ledger);
        free(b.out);
        rig_close(&r);
    }
}

/* ---- limits and cancelling ---- */

static int cancel_at_once(void *user, size_t position, const float *logits, size_t vocab)
{
    (void)logits;
    (void)vocab;
    *(size_t *)user = position;
    return 1;
}

static void test_limits_and_cancel(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    plim_sequence *s;
    int32_t tokens[CONTEXT + 1] = {0};
    size_t seen = 99;
    rig_open(&r, "llama-base", 2, PLIM_AUTO, PLIM_CPU_ALL);
    ok(plim_sequence_open(&s, &r.engine, r.ledger, &r.plan->session, NULL, &err), &err);
    assert_int_equal(plim_sequence_eval(s, tokens, CONTEXT + 1, NULL, NULL, &err), PLIM_E_LIMIT);
    tokens[2] = (int32_t)r.skeleton->spec.vocab;
    assert_int_equal(plim_sequence_eval(s, tokens, 3, NULL, NULL, &err), PLIM_E_USAGE);
    tokens[2] = -1;
    assert_int_equal(plim_sequence_eval(s, tokens, 3, NULL, NULL, &err), PLIM_E_USAGE);
    tokens[2] = 1;
    assert_int_equal(plim_sequence_length(s), 0);
    assert_int_equal(plim_sequence_eval(s, tokens, 3, cancel_at_once, &seen, &err),
                     PLIM_E_CANCELLED);
    assert_int_equal(seen, 0);
    atomic_store(&s->cancel, true);
    assert_int_equal(plim_sequence_eval(s, tokens, 3, NULL, NULL, &err), PLIM_E_CANCELLED);
    assert_int_equal(plim_sequence_length(s), 0);
    ok(plim_sequence_eval(s, tokens, CONTEXT, NULL, NULL, &err), &err);
    assert_int_equal(plim_sequence_truncate(s, CONTEXT + 1, &err), PLIM_E_USAGE);
    ok(plim_sequence_truncate(s, 5, &err), &err);
    assert_int_equal(plim_sequence_length(s), 5);
    assert_null(s->logits);
    plim_sequence_close(&s);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_sequences_in_one_pass),
        cmocka_unit_test(test_limits_and_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
