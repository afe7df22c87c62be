/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds beyond the recorded cases: invalid input, streams that give whole characters, long
 * runs, several threads on one tokenizer, every allocation failing in its turn. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/cases.h"

#define FIXTURES PLIM_SOURCE_DIR "/tests/tokenizer/fixtures/"

static plim_tok *open_fixture(const char *name)
{
    char path[4096];
    plim_tok *tok;
    plim_error err = {0};
    snprintf(path, sizeof path, FIXTURES "%s", name);
    if (plim_tok_open(&tok, plim_alloc_system(), path, NULL, &err))
        fail_msg("%s", err.message);
    return tok;
}

static int32_t *encode(const plim_tok *tok, const char *text, size_t bytes, size_t *count)
{
    int32_t *ids;
    plim_error err = {0};
    if (tok_encode(tok, plim_alloc_system(), text, bytes, false, &ids, count, &err))
        fail_msg("%s", err.message);
    return ids;
}

static void assert_token(const plim_tok *tok, int32_t id, const char *want)
{
    char text[64];
    size_t bytes = plim_tok_token(tok, id, text, sizeof text);
    assert_int_equal(bytes, strlen(want));
    assert_memory_equal(text, want, bytes);
}

/* roberta's ids 0..4 are <s> <pad> </s> <unk> <mask>, then come the bytes: record.py trained it so.
 */
static void test_questions(void **state)
{
    (void)state;
    plim_tok *tok = open_fixture("roberta");
    assert_token(tok, 0, "<s>");
    assert_token(tok, 5, "!");
    assert_int_equal(plim_tok_size(tok), 420);
    assert_int_not_equal(plim_tok_token(tok, 419, NULL, 0), SIZE_MAX);
    assert_int_equal(plim_tok_token(tok, 420, NULL, 0), SIZE_MAX);
    assert_int_equal(plim_tok_token(tok, -1, NULL, 0), SIZE_MAX);
    assert_true(plim_tok_is_special(tok, 4));
    assert_false(plim_tok_is_special(tok, 5));
    assert_false(plim_tok_is_special(tok, -1));
    assert_false(plim_tok_is_special(tok, 1 << 30));
    assert_int_equal(plim_tok_find(tok, "</s>", 4), 2);
    assert_int_equal(plim_tok_find(tok, "!", 1), 5);
    assert_int_equal(plim_tok_find(tok, "not a token", 11), -1);
    plim_tok_close(&tok);
    assert_null(tok);
    plim_tok_close(&tok);
    tok = open_fixture("holes"); /* every id is doubled there: odd ones have no token, but <unk> */
    assert_int_equal(plim_tok_token(tok, 3, NULL, 0), SIZE_MAX);
    assert_token(tok, 1, "<unk>");
    plim_tok_close(&tok);
}

/* The right column is Python's bytes.decode("utf-8", "replace"). */
static void test_invalid_text(void **state)
{
    (void)state;
    static const struct {
        const char *bad, *replaced;
    } texts[] = {
        {"a\xE4\xB8", "a\xEF\xBF\xBD"},
        {"a\xE4\xB8z", "a\xEF\xBF\xBDz"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xC0\x80 x", "\xEF\xBF\xBD\xEF\xBF\xBD x"},
        {"\xF0\x9F\x98\xF0\x9F\x98\x80", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
        {"\xFFthe\xFE", "\xEF\xBF\xBDthe\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    static const char *const names[] = {"gpt2_json", "odd_added", "falcon"};
    for (size_t n = 0; n < 3; n++) {
        plim_tok *tok = open_fixture(names[n]);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            size_t have_count, want_count;
            int32_t *have = encode(tok, texts[i].bad, strlen(texts[i].bad), &have_count);
            int32_t *want = encode(tok, texts[i].replaced, strlen(texts[i].replaced), &want_count);
            assert_int_equal(have_count, want_count);
            assert_memory_equal(have, want, want_count * sizeof *want);
            plim_delete(plim_alloc_system(), have);
            plim_delete(plim_alloc_system(), want);
        }
        plim_tok_close(&tok);
    }
}

static void test_empty_and_wrong(void **state)
{
    (void)state;
    plim_tok *tok = open_fixture("roberta");
    plim_error err = {0};
    int32_t *ids = (int32_t *)1;
    size_t count = 7, bytes = 7;
    char *text;
    assert_int_equal(tok_encode(tok, plim_alloc_system(), NULL, 0, false, &ids, &count, &err),
                     PLIM_OK);
    assert_null(ids);
    assert_int_equal(count, 0);
    assert_int_equal(tok_encode(tok, plim_alloc_system(), "", 0, true, &ids, &count, NULL),
                     PLIM_OK);
    assert_int_equal(count, 2);
    assert_int_equal(plim_tok_decode(tok, plim_alloc_system(), ids, 2, true, &text, &bytes, &err),
                     PLIM_OK);
    assert_string_equal(text, "");
    assert_int_equal(bytes, 0);
    plim_delete(plim_alloc_system(), text);
    plim_delete(plim_alloc_system(), ids);
    int32_t negative[] = {5, -3};
    assert_int_equal(
        plim_tok_decode(tok, plim_alloc_system(), negative, 2, true, &text, &bytes, &err),
        PLIM_E_USAGE);
    assert_null(text);
    assert_non_null(strstr(err.message, "-3"));
    int32_t unknown[] = {5, 100000, 6, INT32_MAX};
    assert_int_equal(
        plim_tok_decode(tok, plim_alloc_system(), unknown, 4, true, &text, &bytes, &err), PLIM_OK);
    assert_string_equal(text, "!\"");
    plim_delete(plim_alloc_system(), text);
    plim_tok_close(&tok);
    assert_int_equal(
        plim_tok_open(&tok, plim_alloc_system(), FIXTURES "no-such-folder", NULL, &err), PLIM_E_IO);
    assert_null(tok);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Any ids at all: each push is whole UTF-8, together they are what decode gives. */
static void test_stream(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2_json", "odd_added", "no_decoder", "fuse", "holes"};
    uint32_t seed = 1;
    for (size_t n = 0; n < 5; n++) {
        plim_tok *tok = open_fixture(names[n]);
        tok_text streamed = {0};
        for (int round = 0; round < 300; round++) {
            int32_t ids[64];
            size_t count = next_random(&seed) % 64, bytes;
            bool skip = next_random(&seed) & 1;
            char *text;
            plim_error err = {0};
            for (size_t i = 0; i < count; i++)
                ids[i] = (int32_t)(next_random(&seed) % (plim_tok_size(tok) + 10));
            assert_int_equal(
                plim_tok_decode(tok, plim_alloc_system(), ids, count, skip, &text, &bytes, &err),
                PLIM_OK);
            assert_true(plim_utf8_valid(text, bytes));
            assert_int_equal(tok_stream(tok, ids, count, skip, &streamed, &err), PLIM_OK);
            assert_int_equal(streamed.bytes, bytes);
            assert_true(!bytes || !memcmp(streamed.at, text, bytes));
            plim_delete(plim_alloc_system(), text);
        }
        plim_delete(plim_alloc_system(), streamed.at);
        plim_tok_close(&tok);
    }
}

/* The bytes of U+1F600 one by one: nothing until the last, and one U+FFFD for a beginning without
 * its end. */
static void test_stream_waits(void **state)
{
    (void)state;
    plim_tok *tok = open_fixture("gpt2_json");
    static const char *const spelled[] = {"\xC3\xB0", "\xC5\x81", "\xC4\xBA",
                                          "\xC4\xA2"}; /* F0 9F 98 80 */
    int32_t ids[4];
    plim_tok_decoder decoder;
    counting counted;
    const char *text;
    size_t bytes;
    plim_error err = {0};
    for (int i = 0; i < 4; i++)
        assert_true((ids[i] = plim_tok_find(tok, spelled[i], 2)) >= 0);
    counting_init(&counted);
    plim_tok_decoder_init(&decoder, tok, &counted.alloc, true);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            assert_int_equal(plim_tok_decoder_push(&decoder, ids[i], &text, &bytes, &err), PLIM_OK);
            assert_string_equal(text, i == 3 ? "\xF0\x9F\x98\x80" : "");
        }
        for (int i = 0; i < 3; i++) {
            assert_int_equal(plim_tok_decoder_push(&decoder, ids[i], &text, &bytes, &err), PLIM_OK);
            assert_int_equal(bytes, 0);
        }
        assert_int_equal(plim_tok_decoder_flush(&decoder, &text, &bytes, &err), PLIM_OK);
        assert_string_equal(text, "\xEF\xBF\xBD");
        assert_int_equal(plim_tok_decoder_flush(&decoder, &text, &bytes, &err), PLIM_OK);
        assert_int_equal(bytes, 0);
        assert_int_equal(plim_tok_decoder_push(&decoder, -1, &text, &bytes, &err), PLIM_E_USAGE);
        assert_string_equal(text, "");
    }
    size_t calls = counted.calls;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(plim_tok_decoder_push(&decoder, ids[i % 4], &text, &bytes, &err), PLIM_OK);
    assert_int_equal(counted.calls, calls); /* no allocation per token */
    plim_tok_decoder_free(&decoder);
    assert_int_equal(counted.blocks, 0);
    plim_tok_close(&tok);
}

/* After a reserve no id allocates, whatever came before it. */
static void test_stream_reserved(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2_json", "odd_added", "no_decoder"};
    for (size_t n = 0; n < 3; n++) {
        plim_tok *tok = open_fixture(names[n]);
        plim_tok_decoder decoder;
        counting counted;
        const char *text;
        size_t bytes;
        plim_error err = {0};
        counting_init(&counted);
        plim_tok_decoder_init(&decoder, tok, &counted.alloc, false);
        assert_int_equal(plim_tok_decoder_reserve(&decoder, &err), PLIM_OK);
        size_t calls = counted.calls;
        for (uint32_t a = 0; a < plim_tok_size(tok); a++)
            for (uint32_t b = 0; b < plim_tok_size(tok); b += 7) {
                assert_int_equal(plim_tok_decoder_push(&decoder, (int32_t)b, &text, &bytes, &err),
                                 PLIM_OK);
                assert_int_equal(plim_tok_decoder_push(&decoder, (int32_t)a, &text, &bytes, &err),
                                 PLIM_OK);
            }
        assert_int_equal(plim_tok_decoder_flush(&decoder, &text, &bytes, &err), PLIM_OK);
        assert_int_equal(counted.calls, calls);
        plim_tok_decoder_free(&decoder);
        assert_int_equal(counted.blocks, 0);
        plim_tok_close(&tok);
    }
}

/* long_runs.json: [folder, unit, repeat, ids, their FNV-1a hash], recorded from Hugging Face. */
static void check_long_run(plim_json *json)
{
    plim_error err = {0};
    size_t bytes;
    int64_t repeat;
    const char *text;
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "folder", &err), PLIM_OK);
    plim_tok *tok = open_fixture(plim_json_text(json, &bytes));
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "unit", &err), PLIM_OK);
    char unit[64];
    text = plim_json_text(json, &bytes);
    assert_true(bytes < sizeof unit);
    memcpy(unit, text, bytes);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_NUMBER, "repeat", &err), PLIM_OK);
    assert_int_equal(plim_json_i64(json, "repeat", 1, 1 << 22, &repeat, &err), PLIM_OK);
    char *run = malloc(bytes * (size_t)repeat);
    assert_non_null(run);
    for (size_t i = 0; i < (size_t)repeat; i++)
        memcpy(run + i * bytes, unit, bytes);
    size_t count;
    double start = plim_now();
    int32_t *ids = encode(tok, run, bytes * (size_t)repeat, &count);
    assert_true(plim_now() - start < 60);
    int64_t want_count;
    char have[17];
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uint32_t)ids[i]) * 1099511628211u;
    snprintf(have, sizeof have, "%016llx", (unsigned long long)hash);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_NUMBER, "ids", &err), PLIM_OK);
    assert_int_equal(plim_json_i64(json, "ids", 0, INT32_MAX, &want_count, &err), PLIM_OK);
    assert_int_equal(count, want_count);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_STRING, "hash", &err), PLIM_OK);
    assert_string_equal(have, plim_json_text(json, &bytes));
    free(run);
    plim_delete(plim_alloc_system(), ids);
    plim_tok_close(&tok);
}

static void test_long_runs(void **state)
{
    (void)state;
    plim_json *json;
    plim_json_event event;
    plim_error err = {0};
    unsigned seen = 0;
    assert_int_equal(plim_json_open_path(&json, plim_alloc_system(), FIXTURES "long_runs.json",
                                         1 << 20, NULL, &err),
                     PLIM_OK);
    assert_int_equal(plim_json_expect(json, PLIM_JSON_ARRAY, "all", &err), PLIM_OK);
    for (;; seen++) {
        assert_int_equal(plim_json_next(json, &event, &err), PLIM_OK);
        if (event == PLIM_JSON_ARRAY_END)
            break;
        check_long_run(json);
        assert_int_equal(plim_json_expect(json, PLIM_JSON_ARRAY_END, "the end of a run", &err),
                         PLIM_OK);
    }
    assert_true(seen >= 6);
    plim_json_close(&json);
}

/* ---- threads ---- */

typedef struct job {
    const plim_tok *tok;
    const char *text;
    size_t bytes, count;
    const int32_t *want;
    bool good;
} job;

static void *work(void *arg)
{
    job *j = arg;
    j->good = true;
    for (int i = 0; i < 20 && j->good; i++) {
        int32_t *ids;
        char *text;
        size_t count, bytes;
        if (tok_encode(j->tok, plim_alloc_system(), j->text, j->bytes, false, &ids, &count, NULL))
            j->good = false;
        else if (plim_tok_decode(j->tok, plim_alloc_system(), ids, count, false, &text, &bytes,
                                 NULL))
            j->good = false;
        else {
            j->good = count == j->count && !memcmp(ids, j->want, count * sizeof *ids) &&
                      bytes == j->bytes && !memcmp(text, j->text, bytes);
            plim_delete(plim_alloc_system(), text);
        }
        plim_delete(plim_alloc_system(), ids);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    plim_tok *tok = open_fixture("o200k");
    char *text;
    job jobs[4];
    pthread_t threads[4];
    plim_error err = {0};
    size_t bytes, count;
    assert_int_equal(plim_file_slurp(&text, &bytes, plim_alloc_system(),
                                     PLIM_SOURCE_DIR "/tests/tokenizer/test_bad.c", 1 << 20, &err),
                     PLIM_OK);
    int32_t *want = encode(tok, text, bytes, &count);
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){tok, text, bytes, count, want, false};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].good);
    }
    plim_delete(plim_alloc_system(), want);
    plim_delete(plim_alloc_system(), text);
    plim_tok_close(&tok);
}

/* ---- faults ---- */

/* Open, encode, decode: the status of the first that fails; a fingerprint of what came out. */
static plim_status whole_way(const char *name, counting *counted, uint64_t *print)
{
    /* long enough for the cache, for a piece beyond the scan, for marks that must be ordered */
    static char text[3000];
    char path[4096];
    plim_tok *tok;
    plim_error err = {0};
    int32_t *ids = NULL;
    char *back = NULL;
    size_t count = 0, bytes = 0;
    if (!text[0]) {
        memset(text, 'a', 100);
        for (size_t i = 100; i + 32 < sizeof text; i += 30)
            memcpy(text + i, " the ship q\xCC\x87\xCC\xA3 hull \xFF 333 <s> ab", 30);
    }
    snprintf(path, sizeof path, FIXTURES "%s", name);
    plim_status status = plim_tok_open(&tok, &counted->alloc, path, NULL, &err);
    if (!status)
        status = tok_encode(tok, &counted->alloc, text, strlen(text), true, &ids, &count, &err);
    if (!status)
        status = plim_tok_decode(tok, &counted->alloc, ids, count, false, &back, &bytes, &err);
    if (status) {
        assert_int_equal(err.code, status);
        assert_true(err.message[0] != 0);
    }
    *print = 14695981039346656037u;
    for (size_t i = 0; i < count; i++)
        *print = (*print ^ (uint32_t)ids[i]) * 1099511628211u;
    for (size_t i = 0; i < bytes; i++)
        *print = (*print ^ (unsigned char)back[i]) * 1099511628211u;
    plim_delete(&counted->alloc, ids);
    plim_delete(&counted->alloc, back);
    plim_tok_close(&tok);
    assert_int_equal(counted->blocks, 0);
    assert_int_equal(counted->held, 0);
    return status;
}

static void test_allocations_fail(void **state)
{
    (void)state;
    static const char *const names[] = {"odd_added", "falcon", "llama3", "with_config", "gpt2_bos"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        counting counted;
        uint64_t want, print;
        counting_init(&counted);
        assert_int_equal(whole_way(names[n], &counted, &want), PLIM_OK);
        size_t calls = counted.calls, failed = 0;
        assert_true(calls > 30);
        for (int after = 0; after < 2; after++)
            for (size_t k = 1; k <= calls; k++) {
                counting_init(&counted);
                counted.fail_at = k;
                counted.fail_after = after;
                plim_status status = whole_way(names[n], &counted, &print);
                if (status == PLIM_OK)
                    assert_true(print == want); /* a shrink that fails is no failure */
                else
                    assert_int_equal(status, PLIM_E_BUDGET);
                failed += status != PLIM_OK;
            }
        assert_true(failed > calls); /* of two rounds */
        counting_init(&counted);
        assert_int_equal(whole_way(names[n], &counted, &print), PLIM_OK);
        assert_true(print == want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),       cmocka_unit_test(test_invalid_text),
        cmocka_unit_test(test_empty_and_wrong), cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_waits),    cmocka_unit_test(test_stream_reserved),
        cmocka_unit_test(test_long_runs),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_allocations_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
