/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenizers: pieces and their places in the text as Hugging Face's package recorded them
 * (tools/tokenizer/record_splits.py), hand-written scanners against PCRE2 on random text, runs of
 * megabytes in linear time.  An argument is a recording to be compared instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/cases.h"
#include "tokenizer/pretokenize.h"

#define FIXTURE PLIM_SOURCE_DIR "/tests/tokenizer/fixtures/splits.jsonl"

static const char *recording = FIXTURE;
static const plim_alloc *alloc;

/* ---- pieces, as the model would get them ---- */

typedef struct piece {
    char *text;
    size_t bytes, begin, end;
} piece;

static struct {
    piece *at;
    size_t count, cap;
} pieces;

plim_status __wrap_plim_model_piece(plim_run *run, const plim_text *text, plim_error *err);
plim_status __wrap_plim_model_piece(plim_run *run, const plim_text *text, plim_error *err)
{
    (void)run, (void)err;
    piece p = {malloc(text->bytes), text->bytes, 0, 0};
    assert_true(text->bytes > 0);
    memcpy(p.text, text->data, text->bytes);
    if (text->source) {
        p.begin = text->source[0].begin;
        p.end = text->source[text->bytes - 1].end;
    }
    assert_int_equal(plim_grow(alloc, &pieces.at, &pieces.cap, pieces.count + 1, sizeof p, NULL),
                     0);
    pieces.at[pieces.count++] = p;
    return PLIM_OK;
}

static void forget_pieces(void)
{
    while (pieces.count)
        free(pieces.at[--pieces.count].text);
}

static void cut(plim_run *run, const char *text, size_t bytes, bool tracked)
{
    plim_source *source = calloc(bytes + 1, sizeof *source);
    plim_text all = {.data = text, .bytes = bytes, .at_start = true};
    plim_error err = {0};
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = plim_char_at(text + i, &code);
        for (size_t k = 0; k < length; k++)
            source[i + k] = (plim_source){(uint32_t)i, (uint32_t)(i + length)};
        i += length;
    }
    all.source = tracked ? source : NULL;
    run->tracked = tracked;
    forget_pieces();
    if (plim_pretokenize(run, &all, &err))
        fail_msg("%s", err.message);
    free(source);
}

/* ---- recordings ---- */

static const plim_node *read_line(plim_arena *arena, const char *line, size_t bytes)
{
    plim_json *json;
    plim_json_event event;
    const plim_node *root = NULL;
    plim_error err = {0};
    if (plim_json_open_memory(&json, alloc, line, bytes, recording, NULL, &err) ||
        plim_json_next(json, &event, &err) || plim_tree_read(&root, arena, json, event, &err))
        fail_msg("%s", err.message);
    plim_json_close(&json);
    return root;
}

static bool same_pieces(const plim_node *want, bool tracked)
{
    size_t i = 0;
    for (const plim_node *p = want; p; p = p->next, i++) {
        const plim_node *text = p->first;
        if (i == pieces.count || pieces.at[i].bytes != text->bytes ||
            memcmp(pieces.at[i].text, text->text, text->bytes) != 0)
            return false;
        if (tracked && (pieces.at[i].begin != strtoul(text->next->text, NULL, 10) ||
                        pieces.at[i].end != strtoul(text->next->next->text, NULL, 10)))
            return false;
    }
    return i == pieces.count;
}

static void show(const char *pre, const plim_node *text, const plim_node *want, bool tracked)
{
    fprintf(stderr, "%.300s%s\ntext \"%s\"\nwant", pre, tracked ? " (tracked)" : "", text->text);
    for (const plim_node *p = want; p; p = p->next)
        fprintf(stderr, " [%s]%s-%s", p->first->text, p->first->next->text,
                p->first->next->next->text);
    fprintf(stderr, "\nhave");
    for (size_t i = 0; i < pieces.count; i++)
        fprintf(stderr, " [%.*s]%zu-%zu", (int)pieces.at[i].bytes, pieces.at[i].text,
                pieces.at[i].begin, pieces.at[i].end);
    fprintf(stderr, "\n");
}

/* Cases that differ; a pre-tokenizer that is refused counts in *refused. */
static size_t compare_line(const char *line, size_t bytes, size_t *refused)
{
    plim_arena arena;
    plim_arena_init(&arena, alloc);
    const plim_node *root = read_line(&arena, line, bytes), *pre = root->first;
    plim_part part = {recording, "pre_tokenizer", pre};
    plim_tok tok = {.alloc = alloc};
    plim_error err = {0};
    size_t wrong = 0;
    plim_status status = plim_pretokenizer_load(&tok.pretokenizer, alloc, &part, &err);
    if (status) {
        assert_int_equal(status, PLIM_E_UNSUP);
        fprintf(stderr, "refused: %s\n", err.message);
        ++*refused;
    } else {
        plim_run *run;
        assert_int_equal(plim_tok_scratch_open(&run, &tok, alloc, NULL), PLIM_OK);
        for (const plim_node *c = pre->next->first; c; c = c->next)
            for (int tracked = 0; tracked < 2; tracked++) {
                cut(run, c->first->text, c->first->bytes, tracked);
                if (same_pieces(c->first->next->first, tracked))
                    continue;
                if (wrong++ < 3)
                    show(line, c->first, c->first->next->first, tracked);
            }
        plim_tok_scratch_close(&run);
        plim_pretokenizer_close(&tok.pretokenizer, alloc);
    }
    plim_arena_free(&arena);
    return wrong;
}

static char *read_recording(size_t *bytes)
{
    FILE *f = fopen(recording, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*bytes + 1);
    assert_int_equal(fread(text, 1, *bytes, f), *bytes);
    text[*bytes] = 0;
    fclose(f);
    return text;
}

static void test_recorded(void **state)
{
    (void)state;
    size_t bytes, lines = 0, wrong = 0, refused = 0;
    char *text = read_recording(&bytes);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++)
        wrong += compare_line(line, (size_t)(end - line), &refused);
    fprintf(stderr, "%zu pre-tokenizers, %zu refused\n", lines, refused);
    assert_true(lines > 150 && refused < lines / 10);
    assert_int_equal(wrong, 0);
    free(text);
}

/* ---- hand-written against PCRE2 ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static const uint32_t codes[] = {
    'a',    'b',     's',     't',     'l',     'v',     'e',     'r',    'd',    'm',    'z',
    'A',    'S',     'L',     'Z',     'V',     'E',     '0',     '1',    '9',    ' ',    ' ',
    ' ',    ' ',     '\n',    '\n',    '\r',    '\t',    0x0B,    0x0C,   '\'',   '\'',   '\'',
    '"',    '.',     '/',     '/',     '-',     '(',     ')',     '|',    ',',    '!',    '_',
    '$',    '^',     '~',     '@',     '[',     '`',     '{',     0,      1,      0x1F,   0x7F,
    0xE9,   0xC9,    0xDF,    0x131,   0x130,   0x17F,   0x17F,   0x1C5,  0x2B0,  0xAA,   0xB5,
    0x3A3,  0x416,   0x436,   0x4E2D,  0x4E00,  0x9FA5,  0x9FA6,  0x303F, 0x3040, 0x30FF, 0x3100,
    0x304B, 0x30AB,  0xD55C,  0x301,   0x308,   0x903,   0x20DD,  0xB2,   0xBD,   0x2160, 0x663,
    0xFF11, 0x1D7D9, 0x85,    0xA0,    0x1680,  0x2003,  0x2028,  0x2029, 0x202F, 0x205F, 0x3000,
    0x200B, 0x180E,  0xFEFF,  0xAD,    0x2026,  0x3002,  0xFF0C,  0x3001, 0x964,  0x6D4,  0x60C,
    0xAB,   0x20AC,  0xB0,    0x2190,  0x2581,  0x1F600, 0x1F3FD, 0xFE0F, 0x1C89, 0x378,  0xE000,
    0x1C8A, 0x31350, 0x11DE0, 0x16D70, 0x16D40, 0x10400, 0x10428, 0x1E94B};

static size_t random_text(uint32_t *seed, char *out, size_t cap)
{
    size_t used = 0, runs = next_random(seed) % 20;
    while (runs--) {
        uint32_t code = next_random(seed) % 16 == 0
                            ? next_random(seed) % 0x110000
                            : codes[next_random(seed) % (sizeof codes / sizeof *codes)];
        size_t times = next_random(seed) % 4 ? 1 : 1 + next_random(seed) % 24;
        if (code >= 0xD800 && code < 0xE000)
            code = 'q';
        while (times-- && used + 4 <= cap)
            used += plim_utf8_encode(code, out + used);
    }
    return used;
}

static size_t all_parts(const plim_scan *scan, plim_matcher *matcher, const char *text,
                        size_t bytes, plim_cut *out, size_t cap)
{
    plim_cutter cutter = plim_cutter_of(text, bytes, matcher);
    plim_cut cuts[PLIM_CUTS];
    size_t total = 0, count;
    plim_error err = {0};
    for (;;) {
        if (scan->fill(scan, &cutter, cuts, &count, &err))
            fail_msg("%s", err.message);
        if (!count)
            return total;
        for (size_t i = 0; i < count && out; i++) {
            assert_true(total + i < cap);
            out[total + i] = cuts[i];
        }
        total += count;
    }
}

static void compare_on_random(const char *pattern, size_t bytes, plim_matcher *matcher)
{
    enum { CAP = 2048 };
    static plim_cut want[CAP], have[CAP];
    plim_scan hand, regex;
    plim_error err = {0};
    uint32_t seed = 12345;
    assert_true(plim_scan_known(&hand, pattern, bytes));
    if (plim_scan_regex(&regex, alloc, pattern, bytes, false, PLIM_NOWHERE, &err))
        fail_msg("%s", err.message);
    for (int round = 0; round < 3000; round++) {
        char space[CAP / 2];
        size_t length = random_text(&seed, space, sizeof space);
        char *text = malloc(length + !length); /* its end is where it ends, for sanitizers */
        memcpy(text, space, length);
        size_t n = all_parts(&regex, matcher, text, length, want, CAP);
        size_t k = all_parts(&hand, matcher, text, length, have, CAP);
        for (size_t i = 0; i < n; i++)
            if (i == k || want[i] != have[i])
                fail_msg("%s\n\"%.*s\": part %zu ends at %zu, not %zu", pattern, (int)length, text,
                         i, (size_t)(want[i] >> 1), i < k ? (size_t)(have[i] >> 1) : 0);
        assert_int_equal(n, k);
        free(text);
    }
    plim_scan_close(&regex);
    plim_scan_close(&hand);
}

/* Calls work(pattern) for the recorded patterns that are written by hand. */
static size_t each_known(void (*work)(const char *pattern, size_t bytes, plim_matcher *matcher))
{
    size_t bytes, found = 0;
    char *text = read_recording(&bytes);
    plim_matcher matcher;
    plim_arena arena;
    plim_arena_init(&arena, alloc);
    assert_int_equal(plim_matcher_open(&matcher, alloc, NULL), PLIM_OK);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const plim_node *pre = read_line(&arena, line, (size_t)(end - line))->first, *where;
        plim_part part = {recording, "pre_tokenizer", pre};
        const char *pattern;
        size_t length;
        bool literal;
        plim_scan scan;
        if (strcmp(pre->first->text, "Split") != 0 ||
            plim_part_pattern(&part, "pattern", &pattern, &length, &literal, &where, NULL) ||
            literal || strstr(line, "\"Isolated\",\"invert\":false") > end ||
            !strstr(line, "\"Isolated\",\"invert\":false") ||
            !plim_scan_known(&scan, pattern, length))
            continue;
        work(pattern, length, &matcher);
        found++;
    }
    plim_arena_free(&arena);
    plim_matcher_close(&matcher);
    free(text);
    return found;
}

static void test_against_pcre2(void **state)
{
    (void)state;
    assert_true(each_known(compare_on_random) >= 14);
}

/* ---- long runs ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Generous: what is not linear takes hours. */
#define SECONDS 2.0

static void time_runs(const char *pattern, size_t bytes, plim_matcher *matcher)
{
    static const char *const units[] = {"a",
                                        "A",
                                        " ",
                                        "\n",
                                        "0",
                                        "'",
                                        ".",
                                        "\xE4\xB8\xAD",
                                        "\xCC\x81",
                                        " \n",
                                        "\xE3\x80\x80",
                                        "A\xC2\xAA",
                                        "a\xCC\x81"};
    enum { LENGTH = 4 << 20 };
    char *text = malloc(LENGTH + 1);
    plim_scan scan;
    assert_true(plim_scan_known(&scan, pattern, bytes));
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        for (int last = 0; last < 2; last++) {
            size_t unit = strlen(units[i]), length = LENGTH / unit * unit;
            for (size_t at = 0; at < length; at += unit)
                memcpy(text + at, units[i], unit);
            text[length] = 'x';
            double begin = seconds();
            all_parts(&scan, matcher, text, length + (size_t)last, NULL, 0);
            double took = seconds() - begin;
            if (getenv("PLIM_TEST_TIMES"))
                printf("%.3f s \"%s\" %.40s\n", took, units[i], pattern);
            assert_true(took < SECONDS);
        }
    plim_scan_close(&scan);
    free(text);
}

static void test_long_runs(void **state)
{
    (void)state;
    assert_true(each_known(time_runs) >= 14);
}

/* ---- what is refused ---- */

static void expect_refused(const char *text, plim_status want, const char *message, int64_t offset)
{
    plim_arena arena;
    plim_error err = {0};
    plim_pretokenizer *p = NULL;
    plim_arena_init(&arena, alloc);
    plim_part part = {"file", "pre_tokenizer", read_line(&arena, text, strlen(text))};
    assert_int_equal(plim_pretokenizer_load(&p, alloc, &part, &err), want);
    assert_null(p);
    if (!strstr(err.message, message))
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(err.offset, offset);
    plim_arena_free(&arena);
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused("{\"type\":\"Words\"}", PLIM_E_UNSUP, "\"Words\"", 8);
    expect_refused("{\"type\":\"Delimiter\",\"delimiter\":\"-\"}", PLIM_E_UNSUP, "Delimiter", 8);
    expect_refused("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"--\"}", PLIM_E_FORMAT,
                   "one character", 41);
    expect_refused("{\"type\":\"CharDelimiterSplit\"}", PLIM_E_FORMAT, "delimiter", 0);
    expect_refused("{\"type\":\"Metaspace\",\"replacement\":\"\"}", PLIM_E_FORMAT, "one character",
                   34);
    expect_refused(
        "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"sometimes\"}",
        PLIM_E_UNSUP, "sometimes", 55);
    expect_refused("{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":false}",
                   PLIM_E_FORMAT, "never", 0);
    expect_refused("{\"type\":\"FixedLength\",\"length\":0}", PLIM_E_FORMAT, "length", 0);
    expect_refused("{\"type\":\"FixedLength\",\"length\":99999999999}", PLIM_E_LIMIT, "length", 31);
    expect_refused("{\"type\":\"Punctuation\",\"behavior\":\"isolated\"}", PLIM_E_FORMAT,
                   "behavior", 33);
    expect_refused("{\"type\":\"Digits\"}", PLIM_E_FORMAT, "individual_digits", 0);
    expect_refused("{\"type\":\"ByteLevel\"}", PLIM_E_FORMAT, "add_prefix_space", 0);
    expect_refused("{\"type\":\"Sequence\"}", PLIM_E_FORMAT, "pretokenizers", 0);
}

/* Every allocation fails in its turn: an error, and nothing is left. */
static void test_allocations_fail(void **state)
{
    (void)state;
    static const char text[] = "{\"type\":\"Sequence\",\"pretokenizers\":["
                               "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\\\p{L}&&[^a-z\\\\p{"
                               "Han}]]|(a)\\\\1{2}?\\\\b\"},"
                               "\"behavior\":\"Isolated\",\"invert\":false},"
                               "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\P{Graph}+\"},"
                               "\"behavior\":\"Removed\",\"invert\":true},"
                               "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"-\"},"
                               "{\"type\":\"Metaspace\",\"replacement\":\"_\"},"
                               "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}]}";
    plim_arena arena;
    plim_arena_init(&arena, alloc);
    plim_part part = {"file", "pre_tokenizer", read_line(&arena, text, sizeof text - 1)};
    plim_status status = PLIM_E_BUDGET;
    for (size_t n = 1; status; n++) {
        counting counted;
        plim_pretokenizer *p;
        plim_error err = {0};
        counting_init(&counted);
        counted.fail_at = n;
        status = plim_pretokenizer_load(&p, &counted.alloc, &part, &err);
        if (status) {
            assert_null(p);
            assert_int_equal(status, PLIM_E_BUDGET);
            assert_int_equal(err.code, PLIM_E_BUDGET);
        } else {
            assert_true(n > 20);
            plim_pretokenizer_close(&p, &counted.alloc);
        }
        assert_int_equal(counted.blocks, 0);
    }
    plim_arena_free(&arena);
}

static const char *spelled(plim_run *run, const char *text)
{
    static char out[256];
    size_t used = 0;
    cut(run, text, strlen(text), false);
    for (size_t i = 0; i < pieces.count; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "[%.*s]", (int)pieces.at[i].bytes,
                                 pieces.at[i].text);
    return out;
}

/* The older files: ByteLevel as it is, its prefix space as tokenizer_config.json wants it. */
static void test_byte_level(void **state)
{
    (void)state;
    plim_tok tok = {.alloc = alloc, .byte_pieces = true};
    plim_run *run;
    assert_int_equal(plim_pretokenizer_byte_level(&tok.pretokenizer, alloc, NULL, false, NULL), 0);
    assert_int_equal(plim_tok_scratch_open(&run, &tok, alloc, NULL), PLIM_OK);
    assert_true(plim_pretokenizer_is_byte_level(tok.pretokenizer));
    assert_string_equal(spelled(run, "a b\n"), "[a][ b][\n]");
    assert_int_equal(plim_pretokenizer_set_prefix_space(tok.pretokenizer, true, NULL), PLIM_OK);
    assert_string_equal(spelled(run, "a b\n"), "[ a][ b][\n]");
    assert_int_equal(plim_pretokenizer_set_prefix_space(tok.pretokenizer, true, NULL), PLIM_OK);
    assert_string_equal(spelled(run, " a"), "[ a]");
    assert_int_equal(plim_pretokenizer_set_prefix_space(tok.pretokenizer, false, NULL), PLIM_OK);
    assert_string_equal(spelled(run, "a b\n"), "[a][ b][\n]");
    plim_pretokenizer_close(&tok.pretokenizer, alloc);
    assert_false(plim_pretokenizer_is_byte_level(NULL));
    assert_string_equal(spelled(run, "a b\n"), "[a b\n]");
    assert_int_equal(plim_pretokenizer_byte_level(&tok.pretokenizer, alloc, "b+", false, NULL), 0);
    assert_int_equal(plim_pretokenizer_set_prefix_space(tok.pretokenizer, true, NULL), PLIM_OK);
    assert_string_equal(spelled(run, "abb \xC3\xA9"), "[a][bb][ \xC3\xA9]");
    tok.byte_pieces = false; /* a model that knows no bytes gets them spelled */
    assert_string_equal(spelled(run, "abb \xC3\xA9"), "[a][bb][\xC4\xA0\xC3\x83\xC2\xA9]");
    plim_pretokenizer_close(&tok.pretokenizer, alloc);
    plim_tok_scratch_close(&run);
}

static int end_pieces(void **state)
{
    (void)state;
    forget_pieces();
    plim_delete(alloc, pieces.at);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),   cmocka_unit_test(test_against_pcre2),
        cmocka_unit_test(test_long_runs),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_byte_level), cmocka_unit_test(test_allocations_fail),
    };
    const struct CMUnitTest live[] = {cmocka_unit_test(test_recorded)};
    alloc = plim_alloc_system();
    if (argc > 1)
        recording = argv[1];
    return argc > 1 ? cmocka_run_group_tests(live, NULL, end_pieces)
                    : cmocka_run_group_tests(tests, NULL, end_pieces);
}
