/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders token by token: each push gives what is decided, and no more; what all pushes give is
 * what the whole list gives.  (That the whole is Hugging Face's, the recorded cases show.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"
#include "tokenizer/made.h"

#define BAD            "\xEF\xBF\xBD"
#define BLOCK          "\xE2\x96\x81"
#define SEQUENCE(list) "{\"type\":\"Sequence\",\"decoders\":[" list "]}"
#define FUSE           "{\"type\":\"Fuse\"}"
#define FALLBACK       "{\"type\":\"ByteFallback\"}"
#define BYTES                                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}"
#define STRIP(start, stop)                                                                         \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":" #start ",\"stop\":" #stop "}"
#define REPLACE(kind, pattern, content)                                                            \
    "{\"type\":\"Replace\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"content\":\"" content "\"" \
    "}"
#define META(scheme)                                                                               \
    "{\"type\":\"Metaspace\",\"replacement\":\"" BLOCK "\",\"prepend_scheme\":\"" scheme "\"}"
#define PIECE(clean) "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":" clean "}"
#define SUFFIX(text) "{\"type\":\"BPEDecoder\",\"suffix\":\"" text "\"}"
#define CTC(clean)                                                                                 \
    "{\"type\":\"CTC\",\"pad_token\":\"<pad>\",\"word_delimiter_token\":\"|\",\"cleanup\":" clean  \
    "}"
#define LLAMA SEQUENCE(REPLACE("String", BLOCK, " ") "," FALLBACK "," FUSE "," STRIP(1, 0))

enum { MOST = 10 };

/* Tokens, what each push gives, and at last what the flush gives. */
typedef struct stream_case {
    const char *chain; /* NULL: none */
    const char *tokens[MOST], *pushes[MOST];
} stream_case;

static const stream_case streams[] = {
    {LLAMA,
     {BLOCK "Hi", "<0xE4>", "<0xB8>", "<0xAD>", BLOCK "x", "<0xFF>", "<0x41>", "a"},
     {"Hi", "", "", "", "\xE4\xB8\xAD x", BAD, BAD, "a", ""}},
    {LLAMA, {BLOCK, BLOCK, "<0xE4>", "<0xB8>"}, {"", " ", "", "", BAD BAD}},
    {LLAMA, {"<0x41>", "<0x42>", "<0x+A>", "<0x4G>"}, {"", "", "", "AB\n<0x4G>", ""}},
    {SEQUENCE(FALLBACK "," FUSE),
     {"<0x20>", "<0xC3>", "(", "<0xA9>"},
     {"", "", BAD BAD "(", BAD, ""}},
    {SEQUENCE(FUSE "," STRIP(0, 2)), {"a ", " ", "  ", "b", "  "}, {"a", "", "  ", "  b", "", ""}},
    {SEQUENCE(FUSE "," STRIP(2, 1)), {" ", "  ", "a", " "}, {"", "", " a", "", ""}},
    {STRIP(1, 1), {" a ", "  ", "b"}, {"a", "", "b", ""}},
    {PIECE("true"), {"do", "##n", "'", ".", " n't", "##"}, {"do", "n", " '", ".", " n't", "", ""}},
    {PIECE("false"), {"##a", "##b", "."}, {"##a", "b", " .", ""}},
    {SUFFIX("</w>"), {"ab</w>", "c", "d</w>e</w>"}, {"ab", " c", "d", "e"}},
    {SUFFIX("</w>"), {"ab</w>", "c</w>"}, {"ab", " c", ""}},
    {SUFFIX(""), {"ab", "c"}, {"", " a b ", "c"}},
    {CTC("true"), {"a", "a", "<pad>", "a", "|", "b", " ."}, {"a", "", "", "a", " ", "b", ".", ""}},
    {CTC("false"), {"a|", "a|", "<pad>x"}, {"a|", "", "x", ""}},
    {META("always"), {BLOCK "a" BLOCK "b", BLOCK "c"}, {"ab", " c", ""}},
    {META("never"), {BLOCK "a" BLOCK "b", BLOCK "c"}, {" a b", " c", ""}},
    {SEQUENCE(BYTES "," REPLACE("String", "ab", "x")),
     {"a", "b", "\xC4\xA0", "\xC3\x83", "\xC2\xA9", "a"},
     {"", "x", " ", "", "\xC3\xA9", "", "a"}},
    {SEQUENCE(BYTES "," FUSE), {"\xC3\x83", BLOCK, "\xC3\x83"}, {"", BAD BLOCK, "", BAD}},
    {BYTES, {"\xC3\x83", "\xC2\xA9", "\xC3\xA9\xC3\x83"}, {"", "\xC3\xA9", BAD, BAD}},
    {SEQUENCE(FUSE "," REPLACE("String", "bcd", "X")),
     {"ab", "c", "d", "b"},
     {"a", "", "X", "", "b"}},
    {SEQUENCE(FUSE "," REPLACE("Regex", "b+", "X")), {"ab", "bc"}, {"", "", "aXc"}},
    {REPLACE("Regex", "x*", "-"), {"xxab", "a", "\xC3\xA9"}, {"-a-b-", "-a-", "-\xC3\xA9-", ""}},
    {SEQUENCE(FUSE "," META("first")), {BLOCK "a", BLOCK "b"}, {"a", "b", ""}},
    {SEQUENCE(FUSE "," FALLBACK), {"<0x4", "1>"}, {"", "", "A"}},
    {SEQUENCE(FUSE "," PIECE("true")), {"a", " ", "."}, {"", "", "", "a."}},
    {SEQUENCE(SUFFIX("</w>") "," FUSE "," STRIP(0, 1)), {"a</w>", "b</w>"}, {"a", " b", ""}},
    {SEQUENCE(""), {"a", "##b"}, {"a", "##b", ""}},
    {NULL, {"a", "", "b"}, {"a", " ", " b", ""}},
};

static plim_status load_chain(plim_chain **chain, const char *text, plim_error *err)
{
    plim_part part = {"FILE", "decoder", NULL};
    plim_arena arena;
    plim_json *json;
    plim_json_event event;
    *chain = NULL;
    plim_arena_init(&arena, plim_alloc_system());
    assert_int_equal(
        plim_json_open_memory(&json, plim_alloc_system(), text, strlen(text), "FILE", NULL, err),
        PLIM_OK);
    assert_int_equal(plim_json_next(json, &event, err), PLIM_OK);
    assert_int_equal(plim_tree_read(&part.node, &arena, json, event, err), PLIM_OK);
    plim_status status = plim_chain_load(chain, plim_alloc_system(), &part, err);
    plim_json_close(&json);
    plim_arena_free(&arena);
    return status;
}

/* One push, or the flush where there is no token, must give `want`. */
static void expect_push(plim_chain_state *state, const stream_case *c, size_t i)
{
    plim_sink out = {.alloc = plim_alloc_system()};
    plim_error err = {0};
    const char *token = c->tokens[i], *want = c->pushes[i];
    plim_status status = token ? plim_chain_push(state, token, strlen(token), &out, &err)
                               : plim_chain_flush(state, &out, &err);
    assert_int_equal(status, PLIM_OK);
    assert_true(plim_utf8_valid(out.data, out.used));
    if (out.used != strlen(want) || (out.used && memcmp(out.data, want, out.used) != 0))
        fail_msg("%s: token %zu \"%s\" gives \"%.*s\", want \"%s\"", c->chain ? c->chain : "none",
                 i, token ? token : "(end)", (int)out.used, out.used ? out.data : "", want);
    plim_delete(plim_alloc_system(), out.data);
}

static void test_streams(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof streams / sizeof *streams; k++) {
        plim_chain *chain = NULL;
        plim_chain_state *s;
        plim_error err = {0};
        if (streams[k].chain && load_chain(&chain, streams[k].chain, &err))
            fail_msg("%s: %s", streams[k].chain, err.message);
        assert_int_equal(plim_chain_state_open(&s, chain, plim_alloc_system(), &err), PLIM_OK);
        for (int again = 0; again < 2; again++) { /* a flush leaves nothing behind */
            for (size_t i = 0; streams[k].tokens[i]; i++)
                expect_push(s, &streams[k], i);
            size_t end = 0;
            while (streams[k].tokens[end])
                end++;
            expect_push(s, &streams[k], end);
        }
        plim_chain_state_close(&s);
        plim_chain_close(&chain, plim_alloc_system());
    }
}

static void test_bad_chains(void **state)
{
    (void)state;
    static const struct {
        const char *chain;
        plim_status code;
        const char *says;
    } bad[] = {
        {"@{}", PLIM_E_FORMAT, "no type"},
        {"{\"type\":@\"Foo\"}", PLIM_E_UNSUP, "\"Foo\""},
        {"@{\"type\":\"Sequence\"}", PLIM_E_FORMAT, "decoders"},
        {"@{\"type\":\"WordPiece\",\"cleanup\":true}", PLIM_E_FORMAT, "prefix"},
        {"@{\"type\":\"WordPiece\",\"prefix\":\"##\"}", PLIM_E_FORMAT, "cleanup"},
        {"@{\"type\":\"BPEDecoder\"}", PLIM_E_FORMAT, "suffix"},
        {"@{\"type\":\"CTC\",\"pad_token\":\"p\"}", PLIM_E_FORMAT, "word_delimiter_token"},
        {"@{\"type\":\"Metaspace\"}", PLIM_E_FORMAT, "replacement"},
        {"@{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", PLIM_E_FORMAT, "one character"},
        {"{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":@\"x\"}", PLIM_E_UNSUP,
         "\"x\""},
        {"@{\"type\":\"Metaspace\",\"replacement\":\"a\",\"add_prefix_space\":false}",
         PLIM_E_FORMAT, "add_prefix_space"},
        {"@{\"type\":\"Strip\",\"content\":\"\",\"start\":1,\"stop\":0}", PLIM_E_FORMAT,
         "one character"},
        {"@{\"type\":\"Strip\",\"content\":\"a\",\"start\":1}", PLIM_E_FORMAT, "stop"},
        {"{\"type\":\"Strip\",\"content\":\"a\",\"start\":@-1,\"stop\":0}", PLIM_E_FORMAT, "start"},
        {"{\"type\":\"Replace\",\"pattern\":{\"String\":@\"\"},\"content\":\"x\"}", PLIM_E_FORMAT,
         "empty pattern"},
        {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":@\"\"},\"content\":\"x\"}", PLIM_E_FORMAT,
         "empty pattern"},
        {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":@\"(\"},\"content\":\"x\"}", PLIM_E_FORMAT,
         NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[512];
        const char *mark = strchr(bad[i].chain, '@');
        size_t before = (size_t)(mark - bad[i].chain);
        plim_chain *chain;
        plim_error err = {0};
        snprintf(text, sizeof text, "%.*s%s", (int)before, bad[i].chain, mark + 1);
        plim_status status = load_chain(&chain, text, &err);
        if (status != bad[i].code || err.offset != (int64_t)before || chain ||
            (bad[i].says && !strstr(err.message, bad[i].says)))
            fail_msg("%s: %s at %lld: %s", text, plim_status_name(status), (long long)err.offset,
                     err.message);
    }
}

/* Sixteen steps are the limit, and sequences nested in sequences. */
static void test_limits(void **state)
{
    (void)state;
    char text[2048];
    for (int steps = 16; steps <= 17; steps++) {
        plim_chain *chain;
        plim_error err = {0};
        size_t used = (size_t)sprintf(text, "{\"type\":\"Sequence\",\"decoders\":[");
        for (int i = 0; i < steps; i++)
            used += (size_t)sprintf(text + used, "%s{\"type\":\"Fuse\"}", i ? "," : "");
        sprintf(text + used, "]}");
        assert_int_equal(load_chain(&chain, text, &err), steps == 16 ? PLIM_OK : PLIM_E_LIMIT);
        plim_chain_close(&chain, plim_alloc_system());
    }
}

/* ---- whole lists against streams: the one pass for the usual chains is code of its own ---- */

#define WORDS                                                                                      \
    "{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0,\"" BLOCK "\":1,\"" BLOCK      \
    "ab\":2,\"" BLOCK BLOCK "\":3,\"c" BLOCK "d\":4,\"<0x41>\":5,\"<0x0A>\":6,\"<0xE4>\":7,"       \
    "\"<0xB8>\":8,\"<0xAD>\":9,\"<0xFF>\":10,\"<0x\":11,\"<0xG1>\":12,\"fifteen_bytes__\":13,"     \
    "\"" BLOCK "twelve_bytes\":14,\"sixteen_bytes___\":15,\"" BLOCK "a_long_word_with_" BLOCK      \
    "\":16,\"\":17,\"\xC3\xA9\":18,\"\xE2\x82\xAC\":19,\" \":20,"                                  \
    "\"  x\":21,\"holes\":40}}"
#define ADDED                                                                                      \
    ",\"added_tokens\":[{\"id\":41,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,"    \
    "\"rstrip\":false,\"normalized\":false,\"special\":true},{\"id\":42,\"content\":\"" BLOCK      \
    "add\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"          \
    "\"special\":false}]"

static void expect_same(const plim_tok *tok, const int32_t *ids, size_t n, bool skip,
                        const char *chain)
{
    char *whole;
    size_t bytes;
    tok_text streamed = {0};
    plim_error err = {0};
    assert_int_equal(plim_tok_decode(tok, plim_alloc_system(), ids, n, skip, &whole, &bytes, &err),
                     PLIM_OK);
    assert_int_equal(tok_stream(tok, ids, n, skip, &streamed, &err), PLIM_OK);
    if (bytes != streamed.bytes || (bytes && memcmp(whole, streamed.at, bytes) != 0)) {
        for (size_t i = 0; i < n; i++)
            print_message("%d ", (int)ids[i]);
        fail_msg("%s: whole \"%s\", pushes \"%.*s\"", chain, whole, (int)streamed.bytes,
                 streamed.bytes ? streamed.at : "");
    }
    assert_int_equal(whole[bytes], 0);
    plim_delete(plim_alloc_system(), whole);
    plim_delete(plim_alloc_system(), streamed.at);
}

static void test_whole_lists(void **state)
{
    (void)state;
    static const char *const chains[] = {
        LLAMA,
        SEQUENCE(FALLBACK "," FUSE),
        SEQUENCE(REPLACE("String", BLOCK, " ") "," FALLBACK "," FUSE),
        SEQUENCE(REPLACE("String", BLOCK, " ") "," FALLBACK "," FUSE "," STRIP(3, 0)),
        SEQUENCE(REPLACE("String", "\xC3\xA9", " ") "," FALLBACK "," FUSE),
        SEQUENCE(REPLACE("String", BLOCK, "_") "," FALLBACK "," FUSE),
        META("always"),
        META("never"),
        PIECE("true"),
        CTC("true"),
        SUFFIX("a"),
    };
    uint32_t seed = 1;
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        char parts[2048];
        snprintf(parts, sizeof parts, ADDED ",\"decoder\":%s", chains[k]);
        plim_tok *tok = made_open(WORDS, parts);
        for (int round = 0; round < 600; round++) {
            int32_t ids[700];
            size_t n = round < 8 ? 600 + (size_t)round : (size_t)round % 13;
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1664525u + 1013904223u;
                uint32_t kind = seed >> 24;
                ids[i] = kind < 100 ? (int32_t)(5 + (seed >> 8) % 6) : (int32_t)((seed >> 8) % 45);
            }
            expect_same(tok, ids, n, round & 1, chains[k]);
        }
        int32_t negative = -1;
        char *text;
        size_t bytes;
        plim_error err = {0};
        assert_int_equal(
            plim_tok_decode(tok, plim_alloc_system(), &negative, 1, false, &text, &bytes, &err),
            PLIM_E_USAGE);
        assert_null(text);
        plim_tok_close(&tok);
    }
}

/* Nothing is left behind when memory ends, wherever it does. */
static void test_allocations_fail(void **state)
{
    (void)state;
    static const int32_t ids[] = {3, 7, 8, 9, 16, 15, 42, 10, 41, 2};
    static const char *const chains[] = {LLAMA, META("always"),
                                         SEQUENCE(FUSE "," REPLACE("Regex", "b+", "X")),
                                         CTC("true"), SUFFIX("b")};
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        char parts[2048];
        snprintf(parts, sizeof parts, ADDED ",\"decoder\":%s", chains[k]);
        plim_tok *tok = made_open(WORDS, parts);
        plim_status status = PLIM_E_BUDGET;
        for (size_t at = 1; status; at++) {
            counting counted;
            char *text;
            size_t bytes;
            plim_error err = {0};
            counting_init(&counted);
            counted.fail_at = at;
            status = plim_tok_decode(tok, &counted.alloc, ids, sizeof ids / sizeof *ids, false,
                                     &text, &bytes, &err);
            if (status) {
                assert_int_equal(status, PLIM_E_BUDGET);
                assert_null(text);
            }
            plim_delete(&counted.alloc, text);
            assert_int_equal(counted.blocks, 0);
            assert_true(at < 1000);
        }
        plim_tok_close(&tok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),          cmocka_unit_test(test_bad_chains),
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_whole_lists),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, made_set_up, made_tear_down);
}
