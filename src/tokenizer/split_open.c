/* SPDX-License-Identifier: Apache-2.0
 *
 * Which scanner a pattern gets.  Known patterns are told by their exact text: those that descend
 * from GPT-2's by the text of each of their alternatives, a few others as a whole.  Everything else
 * goes through PCRE2. */
#include <string.h>

#include "tokenizer/split_scan.h"

/* ---- known patterns ---- */

/* Take `text` off the front of *pattern. */
static bool take(const char **pattern, const char *end, const char *text)
{
    size_t bytes = strlen(text);
    if ((size_t)(end - *pattern) < bytes || memcmp(*pattern, text, bytes) != 0)
        return false;
    *pattern += bytes;
    return true;
}

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define PREFIX       "[^\\r\\n\\p{L}\\p{N}]?"

static void take_contraction(const char **p, const char *end, plim_split_rules *r)
{
    if (take(p, end, "'s|'t|'re|'ve|'m|'ll|'d|") || take(p, end, "'(?:[sdmt]|ll|ve|re)|"))
        r->contraction = PLIM_CONTRACTION_EXACT;
    else if (take(p, end, CONTRACTIONS "|") || take(p, end, "'(?i:[sdmt]|ll|ve|re)|"))
        r->contraction = PLIM_CONTRACTION_ANY_CASE;
}

static bool take_word(const char **p, const char *end, plim_split_rules *r)
{
    if (r->contraction == PLIM_CONTRACTION_NONE) {
        r->word = PLIM_WORD_CASED;
        if (take(p, end,
                 PREFIX UPPER "*" LOWER "+" CONTRACTIONS "?|" PREFIX UPPER "+" LOWER
                              "*" CONTRACTIONS "?|")) {
            r->contraction = PLIM_CONTRACTION_BEHIND;
            return true;
        }
        if (take(p, end, PREFIX UPPER "*" LOWER "+|" PREFIX UPPER "+" LOWER "*|"))
            return true;
    }
    r->word = PLIM_WORD_BLANK;
    if (take(p, end, " ?\\p{L}+|") || take(p, end, " ?\\p{L}++|"))
        return true;
    r->word = PLIM_WORD_PREFIX;
    if (take(p, end, PREFIX "\\p{L}+|") || take(p, end, PREFIX "+\\p{L}+|") ||
        take(p, end, PREFIX "+\\p{L}++|"))
        return true;
    r->word = PLIM_WORD_PREFIX_MARKS;
    return take(p, end, PREFIX "[\\p{L}\\p{M}]+|");
}

static bool take_number(const char **p, const char *end, plim_split_rules *r)
{
    if (take(p, end, " ?\\p{N}+|") || take(p, end, " ?\\p{N}++|")) {
        r->blank_number = true;
        return true;
    }
    r->digits = 1;
    if (take(p, end, "\\p{N}|"))
        return true;
    r->digits = UINT32_MAX;
    if (take(p, end, "\\p{N}+|") || take(p, end, "\\p{N}++|"))
        return true;
    const char *q = *p;
    if (!take(&q, end, "\\p{N}{1,") || q == end || *q < '1' || *q > '9')
        return false;
    r->digits = (uint32_t)(*q++ - '0');
    if (take(&q, end, "}+|")) /* not possessive in Ruby's syntax: a repeat of the repeat */
        r->digits = UINT32_MAX;
    else if (!take(&q, end, "}|"))
        return false;
    *p = q;
    return true;
}

static bool take_other(const char **p, const char *end, plim_split_rules *r)
{
    r->other_marks = true;
    if (!take(p, end, " ?[^\\s\\p{L}\\p{N}]+")) {
        r->other_marks = false;
        if (!take(p, end, " ?[^\\s\\p{L}\\p{M}\\p{N}]+"))
            return false;
    }
    take(p, end, "+"); /* possessive: nothing behind it could want any back */
    if (take(p, end, "[\\r\\n]*|")) {
        r->other_newline = true;
        return true;
    }
    if (take(p, end, "[\\r\\n/]*|")) {
        r->other_newline = r->other_slash = true;
        return true;
    }
    return take(p, end, "|");
}

static bool known_rules(plim_split_rules *r, const char *p, const char *end)
{
    *r = (plim_split_rules){0};
    take_contraction(&p, end, r);
    if (!take_word(&p, end, r) || !take_number(&p, end, r) || !take_other(&p, end, r))
        return false;
    r->newline = take(&p, end, "\\s*[\\r\\n]+|") || take(&p, end, "\\s*[\\r\\n]|");
    return take(&p, end, "\\s+(?!\\S)|\\s+") && p == end;
}

static const struct {
    const char *pattern;
    plim_scan_fill fill;
    size_t length;
} known_wholes[] = {
    {"\\p{N}", plim_scan_numbers, 1},
    {"\\p{N}{1,3}", plim_scan_numbers, 3},
    {"[0-9][0-9][0-9]", plim_scan_three_digits, 0},
    {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+",
     plim_scan_han_kana, 0},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
     "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     plim_scan_deepseek, 0},
    {" ?[^(\\s|[.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C])"
     "]+",
     plim_scan_bloom, 0},
};

bool plim_scan_known(plim_scan *scan, const char *pattern, size_t bytes)
{
    *scan = (plim_scan){0};
    if (known_rules(&scan->rules, pattern, pattern + bytes)) {
        scan->fill = plim_scan_rules(&scan->rules);
        return true;
    }
    for (size_t i = 0; i < sizeof known_wholes / sizeof *known_wholes; i++)
        if (strlen(known_wholes[i].pattern) == bytes &&
            memcmp(known_wholes[i].pattern, pattern, bytes) == 0) {
            scan->fill = known_wholes[i].fill;
            scan->length = known_wholes[i].length;
            return true;
        }
    return false;
}

/* ---- PCRE2 ---- */

static size_t next_character(const char *text, size_t bytes, size_t at)
{
    do
        at++;
    while (at < bytes && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* Matches as the onig crate's find_iter gives them: no empty match right behind another. */
static plim_status fill_regex(const plim_scan *scan, plim_cutter *c, plim_cut *cuts, size_t *count,
                              plim_error *err)
{
    size_t n = 0;
    while (c->search <= c->bytes && n + 2 <= PLIM_CUTS) {
        size_t begin, end;
        plim_status status = plim_regex_search(scan->regex, c->matcher, c->text, c->bytes,
                                               c->search, &begin, &end, err);
        if (status)
            return status;
        if (begin == SIZE_MAX) {
            c->search = SIZE_MAX;
            break;
        }
        if (begin == end && end == c->last) {
            c->search = next_character(c->text, c->bytes, c->search);
            continue;
        }
        c->search = c->last = end;
        if (begin > c->at)
            cuts[n++] = plim_cut_make(begin, false);
        cuts[n++] = plim_cut_make(end, true);
        c->at = end;
    }
    if (c->search > c->bytes && c->at < c->bytes && n < PLIM_CUTS) {
        cuts[n++] = plim_cut_make(c->bytes, false);
        c->at = c->bytes;
    }
    *count = n;
    return PLIM_OK;
}

plim_status plim_scan_regex(plim_scan *scan, const plim_alloc *alloc, const char *pattern,
                            size_t bytes, bool literal, plim_where where, plim_error *err)
{
    *scan = (plim_scan){.fill = fill_regex};
    return plim_regex_open(&scan->regex, alloc, pattern, bytes, literal, where, err);
}

plim_status plim_scan_open(plim_scan *scan, const plim_alloc *alloc, const char *pattern,
                           size_t bytes, bool literal, plim_where where, plim_error *err)
{
    if (!literal && plim_scan_known(scan, pattern, bytes))
        return PLIM_OK;
    if (!literal || !bytes || bytes > PLIM_TOK_MAX_PATTERN_BYTES)
        return plim_scan_regex(scan, alloc, pattern, bytes, literal, where, err);
    *scan = (plim_scan){.fill = plim_scan_literal, .alloc = alloc, .literal_bytes = bytes};
    scan->literal = plim_new(alloc, bytes, 1, err);
    if (!scan->literal)
        return plim_tok_nomem(err);
    memcpy(scan->literal, pattern, bytes);
    return PLIM_OK;
}

void plim_scan_close(plim_scan *scan)
{
    plim_regex_close(&scan->regex);
    if (scan->alloc)
        plim_delete(scan->alloc, scan->literal);
    *scan = (plim_scan){0};
}
