/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of a text that are a user's: no byte of them becomes a part of a special token, in every
 * tokenizer of the fixtures, for every special token it has, however it is spelled and cut.  All
 * else comes out as if nothing were marked. */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"
#include "tokenizer/made.h"

#define FIXTURES PLIM_SOURCE_DIR "/tests/tokenizer/fixtures"

/* ---- a tokenizer and what it makes of marked texts ---- */

typedef struct subject {
    const char *name;
    plim_tok *tok;
    plim_tok_scratch *scratch;
    tok_text text;
    tok_ids plain, ids;
    size_t bad, tokens; /* tokens: special ones that their own text gives */
} subject;

static void add(tok_text *text, const char *more, size_t bytes)
{
    plim_error err = {0};
    assert_int_equal(
        plim_grow(plim_alloc_system(), &text->at, &text->cap, text->bytes + bytes + 1, 1, &err),
        PLIM_OK);
    memcpy(text->at + text->bytes, more, bytes);
    text->bytes += bytes;
    text->at[text->bytes] = 0;
}

static bool is_special(const plim_tok *tok, int32_t id)
{
    const plim_added_token *token = plim_added_by_id(&tok->added, (uint32_t)id);
    return plim_tok_is_special(tok, id) || (token && plim_added_is_special(token));
}

/* The ids of the subject's text; false where it has none (no unknown token). */
static bool encode(subject *s, const plim_tok_span *literal, size_t count, bool offsets,
                   tok_ids *out, plim_tok_encoding *found)
{
    plim_tok_request request = {.offsets = offsets, .literal = literal, .literal_count = count};
    plim_error err = {0};
    out->count = 0;
    if (plim_tok_encode(s->scratch, s->text.at, s->text.bytes, &request, found, &err)) {
        assert_int_equal(err.code, PLIM_E_FORMAT);
        return false;
    }
    assert_int_equal(plim_grow(plim_alloc_system(), &out->at, &out->cap, found->count + 1,
                               sizeof *out->at, &err),
                     PLIM_OK);
    if (found->count)
        memcpy(out->at, found->ids, found->count * sizeof *out->at);
    out->count = found->count;
    return true;
}

static bool holds(const tok_ids *ids, int32_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->at[i] == id)
            return true;
    return false;
}

static bool is_space(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r') || code == 0x85 || code == 0xA0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* Is there more than spaces?  (They may be what a token with lstrip or rstrip took.) */
static bool has_more_than_spaces(const char *text, size_t begin, size_t end)
{
    while (begin < end) {
        uint32_t code;
        size_t bad = 1;
        bool incomplete;
        while (begin && (text[begin] & 0xC0) == 0x80)
            begin--; /* the range may begin inside of a character */
        size_t length =
            plim_utf8_decode(text + begin, strlen(text + begin), &code, &bad, &incomplete);
        if (!length || !is_space(code))
            return true;
        begin += length;
    }
    return false;
}

/* Does a special token's span share bytes with a literal range? */
static bool is_taken(const subject *s, plim_tok_span span, plim_tok_span literal, int32_t id)
{
    const plim_added_token *token = plim_added_by_id(&s->tok->added, (uint32_t)id);
    size_t begin = span.begin > literal.begin ? span.begin : literal.begin;
    size_t end = span.end < literal.end ? span.end : literal.end;
    if (begin >= end)
        return false;
    if (!strcmp(s->name, "added_flags_removes")) /* where zeros are nothing */
        begin += s->text.at[begin] == '0';
    return !token || !(token->lstrip || token->rstrip) ||
           has_more_than_spaces(s->text.at, begin, end);
}

static void complain(subject *s, const char *what, const plim_tok_span *literal, size_t count)
{
    if (s->bad++ > 12)
        return;
    fprintf(stderr, "%s: %s: \"%s\", literal", s->name, what, s->text.at);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %zu..%zu", literal[i].begin, literal[i].end);
    fprintf(stderr, ":");
    for (size_t i = 0; i < s->ids.count && i < 40; i++)
        fprintf(stderr, " %d", (int)s->ids.at[i]);
    fprintf(stderr, "\n");
}

/* No special id stands for a literal byte.  (The unknown token does, for what the vocabulary
 * lacks.) */
static void check(subject *s, const plim_tok_span *literal, size_t count)
{
    plim_tok_encoding found;
    bool all = count == 1 && !literal[0].begin && literal[0].end == s->text.bytes, good = true;
    if (!encode(s, literal, count, true, &s->ids, &found))
        return;
    for (size_t i = 0; i < found.count; i++) {
        int32_t id = found.ids[i];
        if (!is_special(s->tok, id) || (uint32_t)id == s->tok->unk_id)
            continue;
        good = good && !all;
        for (size_t k = 0; k < count; k++)
            good = good && !is_taken(s, found.spans[i], literal[k], id);
    }
    if (!good)
        complain(s, "special", literal, count);
    tok_ids again = {0};
    if (!encode(s, literal, count, false, &again, &found) || again.count != s->ids.count ||
        (again.count && memcmp(again.at, s->ids.at, again.count * sizeof *again.at) != 0))
        complain(s, "other ids without offsets", literal, count);
    plim_delete(plim_alloc_system(), again.at);
}

static void check_all(subject *s)
{
    check(s, &(plim_tok_span){0, s->text.bytes}, 1);
}

/* ---- every special token of every tokenizer ---- */

static void check_shapes(subject *s, const char *word, size_t bytes)
{
    static const char *const shapes[] = {
        "*",     "**",    "a*b",    " *",      "* ",        " * ", "\n*\t",
        "* a *", "a * b", "***",    "\u2581*", "*\u2581*a", "<*>", "\u00E9*\u0301",
        "x**y",  "1*2*3", "\u3000*"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        s->text.bytes = 0;
        for (const char *p = shapes[i]; *p; p++)
            add(&s->text, *p == '*' ? word : p, *p == '*' ? bytes : 1);
        check_all(s);
    }
}

/* The token cut in two by the seam of a template and a user's text, and one byte of it the user's.
 */
static void check_seams(subject *s, const char *word, size_t bytes)
{
    for (int around = 0; around < 2; around++) {
        size_t at = around ? 2 : 0;
        s->text.bytes = 0;
        add(&s->text, "a ", at);
        add(&s->text, word, bytes);
        add(&s->text, " b", at);
        for (size_t cut = 1; cut <= bytes; cut++) {
            check(s, &(plim_tok_span){0, at + cut}, 1);
            check(s, &(plim_tok_span){at + cut - 1, s->text.bytes}, 1);
            check(s, &(plim_tok_span){at + cut - 1, at + cut}, 1);
            check(s, (plim_tok_span[]){{at, at + cut - 1}, {at + cut, s->text.bytes}}, 2);
        }
    }
}

/* A template's token stays one beside a user's text that spells it too. */
static void check_beside(subject *s, const char *word, size_t bytes, int32_t id)
{
    plim_tok_encoding found;
    s->text.bytes = 0;
    add(&s->text, word, bytes);
    add(&s->text, "\n", 1);
    if (!encode(s, NULL, 0, false, &s->plain, &found) || !holds(&s->plain, id))
        return;
    s->tokens++;
    add(&s->text, word, bytes);
    plim_tok_span user = {bytes + 1, s->text.bytes};
    check(s, &user, 1);
    if (encode(s, &user, 1, false, &s->ids, &found) && !holds(&s->ids, id))
        complain(s, "the template's is lost", &user, 1);
}

static void check_token(subject *s, const plim_added_token *token)
{
    char *word = malloc(token->bytes + 1);
    assert_non_null(word);
    check_beside(s, token->text, token->bytes, (int32_t)token->id);
    check_seams(s, token->text, token->bytes);
    for (int way = 0; way < 3; way++) { /* as it is, small, large */
        for (size_t i = 0; i < token->bytes; i++) {
            unsigned char c = (unsigned char)token->text[i];
            word[i] = (char)(way == 0 || c > 127 ? c : way == 1 ? tolower(c) : toupper(c));
        }
        check_shapes(s, word, token->bytes);
    }
    free(word);
}

/* What has no special token is the same when it is marked, whole or in part; what has some has
 * none where it is marked. */
static void check_case(subject *s, const tok_case *c)
{
    plim_tok_encoding found;
    bool special = false;
    s->text.bytes = 0;
    add(&s->text, c->text.at, c->text.bytes);
    check_all(s);
    for (size_t i = 0; i < c->plain.count; i++)
        special = special || is_special(s->tok, c->plain.at[i]);
    size_t n = s->text.bytes;
    plim_tok_span marks[][2] = {{{0, n}, {n, n}},
                                {{0, n / 2}, {n, n}},
                                {{n / 2, n}, {n, n}},
                                {{n / 4, n / 3}, {n / 2, n - n / 8}},
                                {{0, n / 5}, {n - n / 5, n}}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        check(s, marks[i], 2);
        if (special || !encode(s, marks[i], 2, false, &s->ids, &found))
            continue;
        if (s->ids.count != c->plain.count ||
            (s->ids.count && memcmp(s->ids.at, c->plain.at, s->ids.count * sizeof *s->ids.at) != 0))
            complain(s, "other ids than unmarked", marks[i], 2);
    }
}

static void check_folder(subject *s, const char *folder)
{
    char path[4200];
    char *file;
    size_t bytes;
    tok_case c = {0};
    plim_error err = {0};
    if (plim_tok_open(&s->tok, plim_alloc_system(), folder, NULL, &err))
        fail_msg("%s: %s", folder, err.message);
    assert_int_equal(plim_tok_scratch_open(&s->scratch, s->tok, plim_alloc_system(), &err),
                     PLIM_OK);
    for (size_t i = 0; i < s->tok->added.count; i++)
        if (plim_added_is_special(&s->tok->added.items[i]))
            check_token(s, &s->tok->added.items[i]);
    snprintf(path, sizeof path, "%s/cases.jsonl", folder);
    assert_int_equal(plim_file_slurp(&file, &bytes, plim_alloc_system(), path, 64u << 20, &err),
                     PLIM_OK);
    for (const char *at = file; tok_case_next(&c, &at, file + bytes);)
        check_case(s, &c);
    plim_delete(plim_alloc_system(), file);
    tok_case_free(&c);
    plim_tok_scratch_close(&s->scratch);
    plim_tok_close(&s->tok);
}

static void check_root(subject *s, const char *root, size_t fewest, size_t fewest_tokens)
{
    size_t folders = 0;
    DIR *dir = opendir(root);
    assert_non_null(dir);
    s->tokens = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        bool found = false;
        snprintf(path, sizeof path, "%s/%s/cases.jsonl", root, entry->d_name);
        if (entry->d_name[0] == '.' || plim_path_find_file(&found, path, NULL) || !found)
            continue;
        snprintf(path, sizeof path, "%s/%s", root, entry->d_name);
        s->name = entry->d_name;
        check_folder(s, path);
        folders++;
    }
    closedir(dir);
    printf("%s: %zu tokenizers, %zu special tokens\n", root, folders, s->tokens);
    assert_true(folders >= fewest);
    assert_true(s->tokens >= fewest_tokens);
}

static void test_every_special_token(void **state)
{
    (void)state;
    subject s = {0};
    check_root(&s, FIXTURES, 19, 20);
    check_root(&s, FIXTURES "/synthetic", 320, 300);
    plim_delete(plim_alloc_system(), s.text.at);
    plim_delete(plim_alloc_system(), s.plain.at);
    plim_delete(plim_alloc_system(), s.ids.at);
    assert_int_equal(s.bad, 0);
}

/* ---- one by one ---- */

/* {folder, text, first and last + 1 of what is literal, ids} */
static const struct {
    const char *folder, *text;
    size_t begin, end;
    const char *want;
} rows[] = {
    /* looked for as "\u2581</s>" */
    {"synthetic/rare_special_prepend", "</s>", 0, 0, "258"},
    {"synthetic/rare_special_prepend", "</s>", 0, 4, "267 263 264 265 266"},
    {"synthetic/rare_special_prepend", "a </s>", 0, 0, "267 259 258"},
    {"synthetic/rare_special_prepend", "a </s>", 0, 6, "267 259 267 263 264 265 266"},
    {"synthetic/rare_special_prepend", "a </s>", 2, 6, "267 259 267 263 264 265 266"},
    {"synthetic/rare_special_prepend", "a </s>", 5, 6, "267 259 267 263 264 265 266"},
    {"synthetic/rare_special_prepend", "<s></s>", 3, 7, "257 263 264 265 266"},
    /* looked for as "[sep]", which is no word of the vocabulary */
    {"synthetic/rare_special_lower", "[SEP] [Sep]", 0, 0, "2 2"},
    {"synthetic/rare_special_lower", "[SEP] [Sep]", 5, 11, "2 1"},
    {"synthetic/rare_special_lower", "a [sep] a", 0, 9, "3 1 3"},
    /* the unknown token by its name is spelled out, where the vocabulary has the letters */
    {"synthetic/rare_unk_unigram", "a</s>", 0, 0, "0 1"},
    {"synthetic/rare_unk_unigram", "a</s>", 1, 5, "0 2 3 4 5"},
    {"synthetic/rare_unk_unigram", "</s>z", 0, 5, "2 3 4 5 1"},
    {"synthetic/rare_unk_bpe", "</s>", 0, 0, "0"},
    {"synthetic/rare_unk_bpe", "</s>", 0, 4, "2 3 4 5"},
    {"synthetic/rare_unk_bpe", "z</s>a", 0, 6, "0 2 3 4 5 1"},
    {"synthetic/rare_unk_wordlevel", "a </s>", 0, 6, "1 0"},
    {"synthetic/rare_unk_wordlevel", "z </s>", 2, 6, "0 0"},
    /* spaces may go to a template's token; an empty range is nothing */
    {"odd_added", " \n<mask>\t", 0, 2, "435"},
    {"odd_added", " \n<mask>\t", 8, 9, "435"},
    {"odd_added", "<mask>", 6, 6, "435"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[4096];
        plim_tok *tok;
        plim_error err = {0};
        plim_tok_span span = {rows[i].begin, rows[i].end};
        plim_tok_request request = {.literal = &span, .literal_count = span.end > 0};
        snprintf(path, sizeof path, FIXTURES "/%s", rows[i].folder);
        assert_int_equal(plim_tok_open(&tok, plim_alloc_system(), path, NULL, &err), PLIM_OK);
        const char *have = made_ids(tok, rows[i].text, strlen(rows[i].text), &request);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: \"%s\" %zu..%zu: want %s, have %s", rows[i].folder, rows[i].text,
                     span.begin, span.end, rows[i].want, have);
        plim_tok_close(&tok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_special_token),
                                       cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
