/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizers against what the package gives (fixtures/normalize.jsonl, written by
 * tools/tokenizer/record_normal.py): texts, positions, every code point; and what must not happen:
 * hostile texts, broken charsmaps, allocations that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/cases.h"
#include "tokenizer/internal.h"

#define FIXTURE PLIM_SOURCE_DIR "/tests/tokenizer/fixtures/normalize.jsonl"

/* ---- a normalizer by itself ---- */

typedef struct lone {
    plim_tok tok;
    plim_run plain, tracked;
} lone;

static plim_status read_tree(const plim_node **out, plim_arena *arena, const char *json,
                             size_t bytes, plim_error *err)
{
    plim_json *reader;
    plim_json_event event;
    plim_status status =
        plim_json_open_memory(&reader, arena->alloc, json, bytes, "here", NULL, err);
    if (status)
        return status;
    if (!(status = plim_json_next(reader, &event, err)))
        status = plim_tree_read(out, arena, reader, event, err);
    plim_json_close(&reader);
    return status;
}

static plim_status open_node(lone *l, const plim_alloc *alloc, const plim_node *node,
                             plim_error *err)
{
    plim_part part = {"here", "normalizer", node};
    *l = (lone){.tok.alloc = alloc};
    l->plain = (plim_run){.tok = &l->tok, .alloc = alloc};
    l->tracked = (plim_run){.tok = &l->tok, .alloc = alloc, .tracked = true};
    return plim_normalizer_load(&l->tok.normalizer, alloc, &part, err);
}

static plim_status open_text(lone *l, const plim_alloc *alloc, const char *json, plim_error *err)
{
    plim_arena arena;
    const plim_node *node;
    *l = (lone){.tok.alloc = alloc};
    plim_arena_init(&arena, alloc);
    plim_status status = read_tree(&node, &arena, json, strlen(json), err);
    if (!status)
        status = open_node(l, alloc, node, err);
    plim_arena_free(&arena);
    return status;
}

static void close_lone(lone *l)
{
    plim_normal_scratch_free(&l->plain.normal, l->tok.alloc);
    plim_normal_scratch_free(&l->tracked.normal, l->tok.alloc);
    plim_normalizer_close(&l->tok.normalizer, l->tok.alloc);
}

static void must_open(lone *l, const char *json)
{
    plim_error err = {0};
    if (open_text(l, plim_alloc_system(), json, &err))
        fail_msg("%s: %s", json, err.message);
}

static size_t length_at(const char *text, size_t bytes, size_t at)
{
    size_t end = at + 1;
    while (end < bytes && ((unsigned char)text[end] & 0xC0) == 0x80)
        end++;
    return end - at;
}

/* Each character of text comes from itself, `shift` bytes into a larger text. */
static plim_source *own_positions(const char *text, size_t bytes, uint32_t shift)
{
    plim_source *source = calloc(bytes + 1, sizeof *source);
    for (size_t at = 0, length; at < bytes; at += length) {
        length = length_at(text, bytes, at);
        for (size_t i = 0; i < length; i++)
            source[at + i] = (plim_source){(uint32_t)at + shift, (uint32_t)(at + length) + shift};
    }
    return source;
}

/* "b,e;" for each character; all bytes of one have the same. */
static char *print_positions(const plim_text *text, uint32_t shift, size_t *bytes)
{
    char *out = malloc(24 * text->bytes + 1);
    *bytes = 0;
    for (size_t at = 0, length; at < text->bytes; at += length) {
        length = length_at(text->data, text->bytes, at);
        plim_source s = text->source[at];
        for (size_t i = 1; i < length; i++)
            assert_memory_equal(&text->source[at + i], &s, sizeof s);
        *bytes += (size_t)sprintf(out + *bytes, "%u,%u;", s.begin - shift, s.end - shift);
    }
    return out;
}

/* ---- recorded results ---- */

typedef struct lines {
    char *text;
    size_t bytes, at;
} lines;

static lines open_lines(void)
{
    lines l = {0};
    plim_error err = {0};
    if (plim_file_slurp(&l.text, &l.bytes, plim_alloc_system(), FIXTURE, 1 << 20, &err))
        fail_msg("%s", err.message);
    return l;
}

static const plim_node *next_line(lines *l, plim_arena *arena)
{
    const plim_node *node;
    plim_error err = {0};
    if (l->at >= l->bytes)
        return NULL;
    const char *begin = l->text + l->at, *end = memchr(begin, '\n', l->bytes - l->at);
    assert_non_null(end);
    l->at += (size_t)(end - begin) + 1;
    plim_arena_init(arena, plim_alloc_system());
    if (read_tree(&node, arena, begin, (size_t)(end - begin), &err))
        fail_msg("%s", err.message);
    return node;
}

static const plim_node *member(const plim_node *node, const char *key)
{
    for (const plim_node *n = node->first; n; n = n->next)
        if (!strcmp(n->key, key))
            return n;
    return NULL;
}

/* `node` is a string, or null: then `otherwise` is wanted. */
static void check_text(const plim_node *node, const plim_text *otherwise, const char *have,
                       size_t bytes, const char *what)
{
    const char *want = node->kind == PLIM_JSON_NULL ? otherwise->data : node->text;
    size_t want_bytes = node->kind == PLIM_JSON_NULL ? otherwise->bytes : node->bytes;
    if (bytes != want_bytes || memcmp(want, have, bytes) != 0)
        fail_msg("%s: want \"%.*s\", have \"%.*s\"", what, (int)want_bytes, want, (int)bytes, have);
}

static void check_result(lone *l, const plim_node *text, const plim_node *result)
{
    enum { SHIFT = 5 };
    char *exact = malloc(text->bytes + 1); /* its end is where it ends, for sanitizers */
    memcpy(exact, text->text, text->bytes);
    plim_source *source = own_positions(exact, text->bytes, SHIFT);
    plim_text plain = {.data = exact, .bytes = text->bytes, .at_start = true}, out;
    plim_text tracked = {.data = exact, .bytes = text->bytes, .source = source}, tracked_out;
    assert_int_equal(plim_normalize(&l->plain, &plain, &out, NULL), PLIM_OK);
    assert_int_equal(plim_normalize(&l->tracked, &tracked, &tracked_out, NULL), PLIM_OK);
    if (result->kind == PLIM_JSON_ARRAY) {
        const plim_node *normal = result->first, *positions = normal->next;
        check_text(normal, &plain, out.data, out.bytes, text->text);
        check_text(normal, &plain, tracked_out.data, tracked_out.bytes, text->text);
        size_t have_bytes, own_bytes;
        char *have = print_positions(&tracked_out, SHIFT, &have_bytes);
        char *own = print_positions(&tracked, SHIFT, &own_bytes);
        plim_text own_text = {.data = own, .bytes = own_bytes};
        check_text(positions, &own_text, have, have_bytes, text->text);
        if (out.bytes) /* what positions say of the start is known without them */
            assert_int_equal(out.at_start, tracked_out.source[0].begin == SHIFT);
        free(have);
        free(own);
    }
    free(source);
    free(exact);
}

static void test_recorded(void **state)
{
    (void)state;
    lines l = open_lines();
    plim_arena texts_arena, arena;
    const plim_node *texts = member(next_line(&l, &texts_arena), "texts"), *line;
    size_t checked = 0, panics = 0;
    while ((line = next_line(&l, &arena))) {
        const plim_node *results = member(line, "results");
        if (results) {
            lone n;
            assert_int_equal(open_node(&n, plim_alloc_system(), member(line, "normalizer"), NULL),
                             PLIM_OK);
            const plim_node *result = results->first;
            for (const plim_node *t = texts->first; t; t = t->next, result = result->next) {
                check_result(&n, t, result);
                checked++;
                panics += result->kind != PLIM_JSON_ARRAY;
            }
            close_lone(&n);
        }
        plim_arena_free(&arena);
    }
    assert_true(checked > 4000 && panics < checked / 20);
    plim_arena_free(&texts_arena);
    plim_delete(plim_alloc_system(), l.text);
}

/* ---- all code points ---- */

static uint32_t crc32_of(uint32_t crc, const char *data, size_t bytes)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0xEDB88320u : table[i] >> 1;
    }
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)data[i]) & 0xFF];
    return ~crc;
}

enum { CHUNK = 4096, LINE_BYTES = 64 };

/* template with "%" as each of the next CHUNK code points, a line each. */
static size_t make_chunk(char *out, const char *template, uint32_t *code)
{
    size_t used = 0;
    for (int i = 0; i < CHUNK && *code < 0x110000; ++*code) {
        if (*code == 0 || *code == '\n' || (*code >= 0xD800 && *code < 0xE000))
            continue;
        for (const char *t = template; *t; t++) {
            if (*t == '%')
                used += plim_utf8_encode(*code, out + used);
            else
                out[used++] = *t;
        }
        out[used++] = '\n';
        i++;
    }
    return used;
}

static void check_crcs(lone *n, const char *template, uint32_t text_crc, const char *positions)
{
    char *chunk = malloc((size_t)CHUNK * LINE_BYTES);
    uint32_t crc = 0, position_crc = 0;
    bool tracked = strcmp(positions, "") != 0;
    for (uint32_t code = 0; code < 0x110000;) {
        plim_text in = {.data = chunk, .bytes = make_chunk(chunk, template, &code)}, out;
        plim_source *source = tracked ? own_positions(chunk, in.bytes, 0) : NULL;
        in.source = source;
        assert_int_equal(plim_normalize(tracked ? &n->tracked : &n->plain, &in, &out, NULL),
                         PLIM_OK);
        crc = crc32_of(crc, out.data, out.bytes);
        if (tracked) {
            size_t bytes;
            char *text = print_positions(&out, 0, &bytes);
            position_crc = crc32_of(position_crc, text, bytes);
            free(text);
        }
        free(source);
    }
    free(chunk);
    if (crc != text_crc)
        fail_msg("template %s: another text", template);
    if (tracked)
        assert_int_equal(position_crc, strtoul(positions, NULL, 10));
}

static void test_all_code_points(void **state)
{
    (void)state;
    lines l = open_lines();
    plim_arena arena;
    const plim_node *line;
    size_t checked = 0;
    while ((line = next_line(&l, &arena))) {
        const plim_node *template = member(line, "template");
        if (template) {
            lone n;
            assert_int_equal(open_node(&n, plim_alloc_system(), member(line, "normalizer"), NULL),
                             PLIM_OK);
            check_crcs(&n, template->text, (uint32_t)strtoul(member(line, "text")->text, NULL, 10),
                       member(line, "positions")->text);
            close_lone(&n);
            checked++;
        }
        plim_arena_free(&arena);
    }
    assert_int_equal(checked, 25);
    plim_delete(plim_alloc_system(), l.text);
}

/* ---- what is refused ---- */

#define NESTED8                                                                                    \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":["             \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":["             \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":["             \
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\",\"normalizers\":["
#define NESTED8_END "]}]}]}]}]}]}]}]}"

/* `at` is where the error must stand; says: what it must say. */
static const struct refused {
    const char *json, *at, *says;
    plim_status code;
} refusals[] = {
    {"{\"type\": \"Romanize\"}", "\"Romanize\"", "\"Romanize\"", PLIM_E_UNSUP},
    {"{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": \"Nfc\"}]}",
     "\"Nfc\"", "\"Nfc\"", PLIM_E_UNSUP},
    {"{\"lowercase\": true}", "{", "type", PLIM_E_FORMAT},
    {"[1]", "[", "object", PLIM_E_FORMAT},
    {"{\"type\": \"Sequence\"}", "{", "normalizers", PLIM_E_FORMAT},
    {"{\"type\": \"Strip\", \"strip_left\": true}", "{", "strip_right", PLIM_E_FORMAT},
    {"{\"type\": \"Strip\", \"strip_left\": 1, \"strip_right\": true}", "1", "strip_left",
     PLIM_E_FORMAT},
    {"{\"type\": \"Prepend\"}", "{", "prepend", PLIM_E_FORMAT},
    {"{\"type\": \"Replace\", \"content\": \"x\"}", "{", "pattern", PLIM_E_FORMAT},
    {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"x\"}}", "{", "content", PLIM_E_FORMAT},
    {"{\"type\": \"Replace\", \"content\": \"x\", \"pattern\": {\"Glob\": \"x\"}}", "{\"Glob\"",
     "pattern", PLIM_E_FORMAT},
    {"{\"type\": \"Replace\", \"content\": \"x\", \"pattern\": {\"Regex\": \"(\"}}", "\"(\"", "",
     PLIM_E_FORMAT},
    {"{\"type\": \"BertNormalizer\", \"clean_text\": true, \"lowercase\": true}", "{",
     "handle_chinese_chars", PLIM_E_FORMAT},
    {"{\"type\": \"Precompiled\"}", "{", "precompiled_charsmap", PLIM_E_FORMAT},
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": null}", "{", "precompiled_charsmap",
     PLIM_E_FORMAT},
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"\"}", "{", "cut short",
     PLIM_E_FORMAT},
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"A*==\"}", "{", "base64",
     PLIM_E_FORMAT},
    /* 4 bytes of trie, 3 are there */
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAAAA==\"}", "{", "cut short",
     PLIM_E_FORMAT},
    /* a unit that leads to unit 4 of 1 */
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAQAAA=\"}", "{", "leads to",
     PLIM_E_FORMAT},
    /* a leaf whose value is its own 0x100, of 1 byte of strings */
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAABAABh\"}", "{",
     "names the string", PLIM_E_FORMAT},
    /* 0xFF among the strings */
    {"{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"BAAAAAAAAAD/\"}", "{", "UTF-8",
     PLIM_E_FORMAT},
    {NESTED8 "{\"type\":\"Sequence\",\"normalizers\":[]}" NESTED8_END,
     "{\"type\":\"Sequence\",\"normalizers\":[]}", "deeper", PLIM_E_LIMIT},
};

static void test_refusals(void **state)
{
    (void)state;
    lone n;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refused *r = &refusals[i];
        plim_error err = {0};
        assert_int_equal(open_text(&n, plim_alloc_system(), r->json, &err), r->code);
        assert_null(n.tok.normalizer);
        assert_non_null(strstr(err.message, r->says));
        if (err.offset != strstr(r->json, r->at) - r->json)
            fail_msg("%s: at %lld", err.message, (long long)err.offset);
    }
    must_open(&n, NESTED8 "{\"type\":\"NFC\"}" NESTED8_END);
    close_lone(&n);
}

static void test_too_many_steps(void **state)
{
    (void)state;
    char json[8192] = "{\"type\":\"Sequence\",\"normalizers\":[";
    plim_error err = {0};
    lone n;
    for (int i = 0; i < 65; i++)
        strcat(json, i ? ",{\"type\":\"NFC\"}" : "{\"type\":\"NFC\"}");
    strcat(json, "]}");
    assert_int_equal(open_text(&n, plim_alloc_system(), json, &err), PLIM_E_LIMIT);
    /* a BertNormalizer is five */
    strcpy(json, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 14; i++)
        sprintf(json + strlen(json),
                "%s{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                "\"lowercase\":true}",
                i ? "," : "");
    strcat(json, "]}");
    assert_int_equal(open_text(&n, plim_alloc_system(), json, &err), PLIM_E_LIMIT);
    assert_non_null(strstr(err.message, "64"));
}

/* ---- hostile texts ---- */

/* 8 times the text, 8 times over. */
static void test_growth(void **state)
{
    (void)state;
    char json[4096] = "{\"type\":\"Sequence\",\"normalizers\":[";
    for (int i = 0; i < 8; i++)
        sprintf(json + strlen(json),
                "%s{\"type\":\"Replace\",\"pattern\":{\"%s\":\"a\"},\"content\":\"aaaaaaaa\"}",
                i ? "," : "", i % 2 ? "Regex" : "String");
    strcat(json, "]}");
    lone n;
    must_open(&n, json);
    plim_error err = {0};
    plim_source source = {0, 1};
    plim_text text = {.data = "a", .bytes = 1}, out;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(plim_normalize(&n.plain, &text, &out, &err), PLIM_E_LIMIT);
        text.source = &source;
        assert_int_equal(plim_normalize(&n.tracked, &text, &out, &err), PLIM_E_LIMIT);
        text.source = NULL;
    }
    assert_non_null(strstr(err.message, "64"));
    text.data = "b";
    assert_int_equal(plim_normalize(&n.plain, &text, &out, &err), PLIM_OK);
    assert_int_equal(out.bytes, 1);
    close_lone(&n);
}

/* Quadratic time would be hours. */
static void test_long_runs(void **state)
{
    (void)state;
    enum { BYTES = 3 << 20 };
    static const char *const units[] = {
        "\xCC\x81\xCC\xA7\xCC\xB8", "\xE1\x85\xA1", "\xE0\xBD\xB3", "a", " ", "\xE4\xB8\x80",
        "\xC2\xA9\xE2\x80\x8D",     "\xCC\x80"};
    static const char *const normalizers[] = {
        "{\"type\":\"NFC\"}",
        "{\"type\":\"NFKD\"}",
        "{\"type\":\"ByteLevel\"}",
        "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}",
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+$\"},\"content\":\"\"}",
        "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAAAA==\"}",
        ("{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
         "\"lowercase\":true}")};
    char *text = malloc(BYTES);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit = strlen(units[u]), bytes = BYTES / unit * unit;
        for (size_t at = 0; at < bytes; at += unit)
            memcpy(text + at, units[u], unit);
        for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++) {
            lone n;
            must_open(&n, normalizers[i]);
            plim_text in = {.data = text, .bytes = bytes}, out;
            plim_status status = plim_normalize(&n.plain, &in, &out, NULL);
            assert_true(status == PLIM_OK || (status == PLIM_E_LIMIT && i == 4));
            close_lone(&n);
        }
    }
    free(text);
}

/* A charsmap with any byte changed is refused or works, and never reads what is not there. */
static void test_broken_charsmaps(void **state)
{
    (void)state;
    static const char sextets[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    lines l = open_lines();
    plim_arena arena;
    const plim_node *line;
    char json[8192] = "";
    while (!json[0] && (line = next_line(&l, &arena))) {
        const plim_node *map = member(
            member(line, "normalizer") ? member(line, "normalizer") : line, "precompiled_charsmap");
        if (map && map->bytes < 6000 && member(line, "template"))
            sprintf(json, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}", map->text);
        plim_arena_free(&arena);
    }
    assert_true(json[0]);
    char *map = strstr(json, "map\":\"") + 6;
    size_t bytes = strlen(map) - 2, opened = 0, refused = 0;
    for (size_t i = 0; i < bytes; i++) {
        char kept = map[i];
        map[i] = sextets[(i * 37 + 11) % 64];
        lone n;
        plim_error err = {0};
        plim_status status = open_text(&n, plim_alloc_system(), json, &err);
        plim_text in = {.data = "a\xCC\x81\xC2\xA9\xE0\xA4\xA4z", .bytes = 9}, out;
        if (!status)
            assert_int_equal(plim_normalize(&n.plain, &in, &out, NULL), PLIM_OK);
        else
            assert_int_equal(status, PLIM_E_FORMAT);
        opened += !status;
        refused += status != PLIM_OK;
        close_lone(&n);
        map[i] = kept;
    }
    assert_true(opened > 0 && refused > 0);
    plim_delete(plim_alloc_system(), l.text);
}

/* ---- the rest ---- */

static void test_nothing_is_copied(void **state)
{
    (void)state;
    static const char *const normalizers[] = {
        "{\"type\":\"NFC\"}",
        "{\"type\":\"NFKC\"}",
        "{\"type\":\"NFD\"}",
        "{\"type\":\"Lowercase\"}",
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\"-\"}",
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\d\"},\"content\":\"-\"}",
        "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}"};
    plim_text in = {.data = "just a text, \xE4\xB8\xAD\xE6\x96\x87", .bytes = 19}, out;
    for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++) {
        lone n;
        must_open(&n, normalizers[i]);
        assert_int_equal(plim_normalize(&n.plain, &in, &out, NULL), PLIM_OK);
        assert_ptr_equal(out.data, in.data);
        assert_int_equal(out.bytes, in.bytes);
        close_lone(&n);
    }
}

/* Every allocation fails in its turn: the error comes back, nothing is left. */
static void test_faults(void **state)
{
    (void)state;
    static const char json[] =
        "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"<\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"b+\"},\"content\":\"c\"},"
        "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAAAGE=\"},{\"type\":\"NFD\"}]}";
    char text[96] = "";
    for (int i = 0; i < 14; i++)
        strcat(text, i % 2 ? "b\xCC\x81\xCC\xA7" : "\xCC\x81\xCC\xA7");
    plim_status status = PLIM_E_NOMEM;
    size_t failed = 0;
    for (size_t fail_at = 1; status; fail_at++) {
        counting counted;
        counting_init(&counted);
        counted.fail_at = fail_at;
        plim_error err = {0};
        lone n;
        status = open_text(&n, &counted.alloc, json, &err);
        plim_source *source = own_positions(text, strlen(text), 0);
        plim_text in = {.data = text, .bytes = strlen(text), .source = source}, out;
        if (!status)
            status = plim_normalize(&n.tracked, &in, &out, &err);
        if (status) {
            assert_true(status == PLIM_E_BUDGET || status == PLIM_E_NOMEM);
            assert_int_equal(err.code, status);
            failed++;
        }
        close_lone(&n);
        free(source);
        assert_int_equal(counted.blocks, 0);
        assert_true(fail_at < 1000);
    }
    assert_true(failed > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),         cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_too_many_steps),
        cmocka_unit_test(test_growth),           cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_broken_charsmaps), cmocka_unit_test(test_nothing_is_copied),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
