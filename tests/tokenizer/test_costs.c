/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file or a text may cost: processor time on texts that ask for the same place again and
 * again, the limits that keep it bounded; and vocabularies with holes, in which added tokens lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tokenizer/made.h"

/* Times are promised of a build that is optimised and not instrumented. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWER 20
#endif
#endif
#if !defined(SLOWER) &&                                                                            \
    (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__))
#define SLOWER 20
#elif !defined(SLOWER)
#define SLOWER 1
#endif

enum { MOST_SECONDS = 2 * SLOWER, TEXT_BYTES = 4 << 20 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define BPE(fields, vocab)                                                                         \
    "{\"type\":\"BPE\"," fields "\"vocab\":{" vocab "},\"merges\":[[\"a\",\"a\"]]}"
#define PLAIN BPE("\"unk_token\":\"a\",", "\"a\":0,\"aa\":1,\" \":2,\"x\":4")
#define BYTES BPE("", "\"a\":0,\"aa\":1,\"\u0120\":2")
#define WORD(max)                                                                                  \
    "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","            \
    "\"max_input_chars_per_word\":" #max ",\"vocab\":{\"u\":0,\"a\":1,\"##a\":2}}"
#define TOKEN(content, single, left, right, normalized)                                            \
    "{\"id\":3,\"content\":\"" content "\",\"single_word\":" single ",\"lstrip\":" left            \
    ",\"rstrip\":" right ",\"normalized\":" normalized ",\"special\":false}"
#define ADDED(tokens) ",\"added_tokens\":[" tokens "]"
#define BYTE_LEVEL                                                                                 \
    ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define LOWER ",\"normalizer\":{\"type\":\"Lowercase\"}"

/* ---- time ---- */

/* `unit` again and again: `count` ids, as Hugging Face has them of the same in short. */
static const struct {
    const char *model, *parts, *unit;
    size_t count;
} slow[] = {
    {PLAIN, ADDED(TOKEN("  ", "false", "true", "false", "false")), " ", TEXT_BYTES / 2},
    {PLAIN, ADDED(TOKEN("  ", "false", "false", "true", "false")), " ", TEXT_BYTES / 2},
    {PLAIN, ADDED(TOKEN("  ", "false", "true", "true", "false")), " ", 1},
    {PLAIN, LOWER ADDED(TOKEN("  ", "false", "true", "true", "true")), " ", 1},
    {PLAIN, ADDED(TOKEN("x", "false", "true", "true", "false")), "       x", TEXT_BYTES / 8},
    {PLAIN, ADDED(TOKEN("x", "true", "true", "true", "false")), "       x", TEXT_BYTES / 8},
    {PLAIN, ADDED(TOKEN("   x", "false", "true", "true", "false")), " ", TEXT_BYTES},
    {BYTES, BYTE_LEVEL, "ab", TEXT_BYTES / 4},
    {BYTES, BYTE_LEVEL, "b", 0},
    {BYTES, BYTE_LEVEL, "a b", TEXT_BYTES / 3 * 2},
    {WORD(4096), "", "a", 1},
};

static void time_one(size_t i, char *text, bool offsets, bool literal)
{
    size_t unit = strlen(slow[i].unit), bytes = TEXT_BYTES / unit * unit;
    plim_tok *tok = made_open(slow[i].model, slow[i].parts);
    plim_tok_span half = {bytes / 2, bytes};
    plim_tok_request request = {.offsets = offsets, .literal = &half, .literal_count = literal};
    plim_tok_scratch *scratch;
    plim_tok_encoding found;
    plim_error err = {0};
    for (size_t at = 0; at < bytes; at += unit)
        memcpy(text + at, slow[i].unit, unit);
    assert_int_equal(plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), &err), PLIM_OK);
    double begin = seconds();
    if (plim_tok_encode(scratch, text, bytes, &request, &found, &err))
        fail_msg("%s", err.message);
    double took = seconds() - begin;
    if (found.count != slow[i].count)
        fail_msg("%zu (\"%s\"): %zu ids, want %zu", i, slow[i].unit, found.count, slow[i].count);
    if (took > MOST_SECONDS)
        fail_msg("%zu (\"%s\"%s%s): %.2f s", i, slow[i].unit, offsets ? ", offsets" : "",
                 literal ? ", literal" : "", took);
    plim_tok_scratch_close(&scratch);
    plim_tok_close(&tok);
}

static void test_texts(void **state)
{
    (void)state;
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        time_one(i, text, false, false);
        time_one(i, text, true, false);
        time_one(i, text, false, true);
    }
    free(text);
}

/* So many added tokens of a vocabulary, by id or against it, or each at random. */
static void time_load(size_t count, size_t step)
{
    char *text = malloc(count * 160 + 256);
    plim_tok *tok;
    plim_error err = {0};
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "{\"version\":\"1.0\",\"added_tokens\":[");
    for (size_t i = 0, id = count - 1; i < count; i++, id = (id + step) % count)
        used += (size_t)sprintf(text + used,
                                "%s{\"id\":%zu,\"content\":\"t%zu\",\"single_word\":false,"
                                "\"lstrip\":false,\"rstrip\":false,\"normalized\":%s,"
                                "\"special\":%s}",
                                i ? "," : "", id, id, i % 2 ? "true" : "false",
                                i % 3 ? "true" : "false");
    used += (size_t)sprintf(text + used,
                            "],\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"t0\",\"vocab\":{");
    for (size_t i = 0; i < count; i++)
        used += (size_t)sprintf(text + used, "%s\"t%zu\":%zu", i ? "," : "", i, i);
    used += (size_t)sprintf(text + used, "}}}");
    made_clear();
    made_write("tokenizer.json", text, used);
    free(text);
    double begin = seconds();
    if (made_open_folder(&tok, plim_alloc_system(), &err))
        fail_msg("%s", err.message);
    double took = seconds() - begin;
    if (took > MOST_SECONDS / 2.0)
        fail_msg("%zu added tokens, step %zu: %.2f s", count, step, took);
    assert_int_equal(plim_tok_size(tok), count);
    assert_string_equal(made_ids(tok, "t99999t7", 8, NULL), "99999 7");
    plim_tok_close(&tok);
}

static void test_loads(void **state)
{
    (void)state;
    time_load(100000, 99999);
    time_load(100000, 1);
    time_load(100000, 38197);
}

/* ---- limits ---- */

static void expect_limit(const char *before, size_t times, const char *after, bool opens,
                         const char *says)
{
    char *text = malloc(strlen(before) + times + strlen(after) + 1);
    plim_tok *tok;
    plim_error err = {0};
    counting counted;
    assert_non_null(text);
    size_t at = strlen(before);
    memcpy(text, before, at);
    memset(text + at, 'a', times);
    strcpy(text + at + times, after);
    made_clear();
    made_write("tokenizer.json", text, strlen(text));
    free(text);
    counting_init(&counted);
    plim_status status = made_open_folder(&tok, &counted.alloc, &err);
    if (status != (opens ? PLIM_OK : PLIM_E_LIMIT))
        fail_msg("%zu: %s %s", times, plim_status_name(status), err.message);
    if (!opens) {
        assert_non_null(strstr(err.message, says));
        assert_non_null(strstr(err.file, "tokenizer.json"));
        assert_true(err.offset > 0);
    }
    plim_tok_close(&tok);
    assert_int_equal(counted.blocks, 0);
}

static void test_limits(void **state)
{
    (void)state;
    static const char before[] = "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":3,\"content\":\"";
    static const char after[] = "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                                "\"normalized\":true,\"special\":false}],\"model\":" PLAIN "}";
    expect_limit(before, 512, after, true, "");
    expect_limit(before, 513, after, false, "513");
    expect_limit(before, 5000, after, false, "5000");
    expect_limit("{\"x\":\"", 1, "\",\"version\":\"1.0\",\"model\":" WORD(4096) "}", true, "");
    expect_limit("{\"x\":\"", 1, "\",\"version\":\"1.0\",\"model\":" WORD(4097) "}", false, "4097");
    expect_limit("{\"x\":\"", 1, "\",\"version\":\"1.0\",\"model\":" WORD(18446744073709551615) "}",
                 false, "max_input_chars_per_word");
}

/* ---- holes ---- */

static plim_tok *open_fixture(const char *name)
{
    char path[4096];
    plim_tok *tok;
    plim_error err = {0};
    snprintf(path, sizeof path, PLIM_SOURCE_DIR "/tests/tokenizer/fixtures/%s", name);
    if (plim_tok_open(&tok, plim_alloc_system(), path, NULL, &err))
        fail_msg("%s", err.message);
    return tok;
}

/* Every id, with a token or without: no push allocates after a reserve, together they are what
 * decode gives. */
static void stream_all(const plim_tok *tok, bool skip)
{
    enum { MOST_IDS = 4096 };
    static int32_t ids[MOST_IDS];
    plim_tok_decoder decoder;
    counting counted;
    tok_text streamed = {0};
    const char *piece;
    char *text;
    size_t bytes, count = plim_tok_size(tok) + 3;
    plim_error err = {0};
    assert_true(count <= MOST_IDS);
    counting_init(&counted);
    plim_tok_decoder_init(&decoder, tok, &counted.alloc, skip);
    assert_int_equal(plim_tok_decoder_reserve(&decoder, &err), PLIM_OK);
    size_t calls = counted.calls;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int32_t)i;
        assert_int_equal(plim_tok_decoder_push(&decoder, ids[i], &piece, &bytes, &err), PLIM_OK);
    }
    assert_int_equal(counted.calls, calls);
    plim_tok_decoder_free(&decoder);
    assert_int_equal(
        plim_tok_decode(tok, plim_alloc_system(), ids, count, skip, &text, &bytes, &err), PLIM_OK);
    assert_int_equal(tok_stream(tok, ids, count, skip, &streamed, &err), PLIM_OK);
    assert_int_equal(streamed.bytes, bytes);
    assert_memory_equal(streamed.at, text, bytes);
    plim_delete(plim_alloc_system(), streamed.at);
    plim_delete(plim_alloc_system(), text);
}

/* Every token is found by its spelling, and no other is. */
static size_t find_all(const plim_tok *tok)
{
    size_t tokens = 0;
    for (uint32_t id = 0; id < plim_tok_size(tok); id++) {
        char text[128];
        size_t bytes = plim_tok_token(tok, (int32_t)id, text, sizeof text);
        if (bytes == SIZE_MAX)
            continue;
        assert_true(bytes <= sizeof text);
        assert_int_equal(plim_tok_find(tok, text, bytes), id);
        tokens++;
    }
    assert_int_equal(plim_tok_find(tok, "", 0), -1);
    assert_int_equal(plim_tok_find(tok, "no such token", 13), -1);
    return tokens;
}

static void test_holes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t tokens;
        uint32_t size;
        int32_t added; /* <x> */
    } rows[] = {
        {"synthetic/rare_hole_ignore", 3, 6, 2},
        {"synthetic/rare_hole_bytes", 3, 6, 2},
        {"synthetic/rare_hole_long", 3, 8, 2},
        {"synthetic/rare_hole_words", 3, 6, 2},
        {"synthetic/bpe_holes", 0, 0, -1},
        {"synthetic/wordlevel_holes", 0, 0, -1},
        {"holes", 0, 0, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plim_tok *tok = open_fixture(rows[i].name);
        size_t tokens = find_all(tok);
        if (rows[i].tokens) {
            assert_int_equal(tokens, rows[i].tokens);
            assert_int_equal(plim_tok_size(tok), rows[i].size);
            assert_int_equal(plim_tok_token(tok, 1, NULL, 0), SIZE_MAX);
            assert_int_equal(plim_tok_token(tok, 3, NULL, 0), SIZE_MAX);
            assert_true(plim_tok_is_special(tok, 2));
        }
        assert_int_equal(plim_tok_find(tok, "<x>", 3), rows[i].added);
        if (plim_tok_size(tok) < 4000) {
            stream_all(tok, false);
            stream_all(tok, true);
        }
        plim_tok_close(&tok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_loads),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_holes)};
    return cmocka_run_group_tests(tests, made_set_up, made_tear_down);
}
