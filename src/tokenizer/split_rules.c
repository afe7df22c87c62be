/* SPDX-License-Identifier: Apache-2.0
 *
 * The pattern of GPT-2 and its descendants (cl100k, o200k, Tekken, Qwen) by hand: what PCRE2 would
 * find, with no backtracking.  Every character begins a match, so a text is cut without gaps.
 * Time is linear: a run of white space is looked at twice at most (before and behind its last
 * newline), a run of letters too. */
#include "tokenizer/split_ascii.h"

typedef const unsigned char *at;

/* The length of 's 't 're 've 'm 'll 'd at the apostrophe p, 0: none.  U+017F is an s where case
 * does not count. */
static inline size_t contraction(at p, at end, bool any_case)
{
    if (end - p < 2)
        return 0;
    unsigned char fold = any_case ? 0x20 : 0, a = p[1] | (p[1] < 0x80 ? fold : 0);
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (end - p < 3)
        return 0;
    unsigned char b = p[2] | (p[2] < 0x80 ? fold : 0);
    if ((b == 'e' && (a == 'r' || a == 'v')) || (b == 'l' && a == 'l'))
        return 3;
    return any_case && a == 0xC5 && b == 0xBF ? 3 : 0;
}

/* Where the characters with one of `bits` end.  Letters of ASCII have one of them. */
static inline at skip_letters(at p, at end, unsigned bits)
{
    for (;;) {
        p = plim_skip_letters(p, end);
        if (p == end || *p < 0x80)
            return p;
        do {
            unsigned length;
            if (!(plim_split_at(p, &length) & bits))
                return p;
            p += length;
        } while (p < end && *p >= 0x80);
    }
}

/* The same for [\p{Ll}\p{Lm}\p{Lo}\p{M}]. */
static inline at skip_lower(at p, at end)
{
    for (;;) {
        p = plim_skip_lower(p, end);
        if (p == end || *p < 0x80)
            return p;
        do {
            unsigned length;
            if (!(plim_split_at(p, &length) & SPLIT_LOWER))
                return p;
            p += length;
        } while (p < end && *p >= 0x80);
    }
}

/* [UPPER]*[LOWER]+ at p, else [UPPER]+[LOWER]*; NULL: neither.  Some characters are both: where
 * nothing lower follows the run of uppers, its last one that is both is given back. */
static inline at cased_word(at p, at end)
{
    at behind = NULL, q = p;
    while (q < end) {
        unsigned length, bits = plim_split_at(q, &length);
        if (!(bits & SPLIT_UPPER)) {
            if (bits & SPLIT_LOWER)
                return skip_lower(q + length, end);
            break;
        }
        q += length;
        if (bits & SPLIT_LOWER)
            behind = q;
    }
    return behind ? behind : q > p ? q : NULL;
}

static inline at skip_others(at p, at end, unsigned excluded)
{
    unsigned length;
    while (p < end && !(plim_split_at(p, &length) & excluded))
        p += length;
    return p;
}

/* White space begins at p. */
static inline at space_run(at p, at end, bool newline_rule)
{
    at q = p, newline = NULL;
    for (;;) {
        unsigned length;
        q = plim_skip_spaces(q, end, &newline);
        if (q == end || *q < 0x80 || !(plim_split_at(q, &length) & SPLIT_SPACE))
            break;
        q += length;
    }
    if (newline_rule && newline)
        return newline;
    if (q == end)
        return q;
    at last = q - 1; /* the last one belongs to what follows, unless it stands alone */
    while ((*last & 0xC0) == 0x80)
        last--;
    return last > p ? last : q;
}

static inline at skip_numbers(at p, at end, uint32_t left)
{
    unsigned length;
    for (; left && p < end && plim_split_at(p, &length) & SPLIT_NUMBER; left--)
        p += length;
    return p;
}

static inline at other_run(at p, at end, const plim_split_rules *r, unsigned excluded)
{
    p = skip_others(p, end, excluded);
    if (r->other_newline)
        while (p < end && (*p == '\n' || *p == '\r' || (r->other_slash && *p == '/')))
            p++;
    return p;
}

static inline at behind_word(at p, at end, const plim_split_rules *r)
{
    if (r->contraction == PLIM_CONTRACTION_BEHIND && p < end && *p == '\'')
        p += contraction(p, end, true);
    return p;
}

/* The word that begins at p, a character with `bits`, or NULL. */
static inline at word_at(at p, at behind, at end, unsigned bits, const plim_split_rules *r)
{
    unsigned letters = r->word == PLIM_WORD_PREFIX_MARKS ? SPLIT_LETTER | SPLIT_MARK : SPLIT_LETTER;
    if (r->word != PLIM_WORD_CASED)
        return (bits & letters) ? skip_letters(behind, end, letters) : NULL;
    if ((bits & (SPLIT_UPPER | SPLIT_LOWER)) == SPLIT_LOWER) /* the most frequent by far */
        return behind_word(skip_lower(behind, end), end, r);
    if (!(bits & SPLIT_UPPER))
        return NULL;
    at word = cased_word(p, end);
    return word ? behind_word(word, end, r) : NULL;
}

/* The end of the match at p < end. */
static inline __attribute__((always_inline)) at next_match(at p, at end, const plim_split_rules *r)
{
    const unsigned excluded =
        SPLIT_SPACE | SPLIT_LETTER | SPLIT_NUMBER | (r->other_marks ? 0 : SPLIT_MARK);
    unsigned length, bits = plim_split_at(p, &length);
    at q = p + length, word = word_at(p, q, end, bits, r);
    if (word)
        return word;
    if (bits & SPLIT_NUMBER)
        return r->blank_number ? skip_numbers(q, end, UINT32_MAX)
                               : skip_numbers(q, end, r->digits - 1);
    if (*p == '\'' &&
        (r->contraction == PLIM_CONTRACTION_EXACT || r->contraction == PLIM_CONTRACTION_ANY_CASE)) {
        size_t taken = contraction(p, end, r->contraction == PLIM_CONTRACTION_ANY_CASE);
        if (taken)
            return p + taken;
    }
    if (q < end && !(bits & SPLIT_NEWLINE) && (r->word != PLIM_WORD_BLANK || *p == ' ')) {
        unsigned next_length, next = plim_split_at(q, &next_length);
        if ((word = word_at(q, q + next_length, end, next, r)))
            return word;
        if (*p == ' ') {
            if (r->blank_number && next & SPLIT_NUMBER)
                return skip_numbers(q + next_length, end, UINT32_MAX);
            if (!(next & excluded))
                return other_run(q + next_length, end, r, excluded);
        }
    }
    return (bits & SPLIT_SPACE) ? space_run(p, end, r->newline) : other_run(q, end, r, excluded);
}

static inline __attribute__((always_inline)) plim_status
fill(const plim_split_rules *r, plim_cutter *c, plim_cut *cuts, size_t *count)
{
    at text = (at)c->text, p = text + c->at, end = text + c->bytes;
    size_t n = 0;
    while (p < end && n < PLIM_CUTS) {
        p = next_match(p, end, r);
        cuts[n++] = plim_cut_make((size_t)(p - text), true);
    }
    c->at = (size_t)(p - text);
    *count = n;
    return PLIM_OK;
}

/* The combinations that are met, each with a loop of its own; `digits` is looked up. */

static const plim_split_rules gpt2_rules = {.word = PLIM_WORD_BLANK,
                                            .contraction = PLIM_CONTRACTION_EXACT,
                                            .blank_number = true,
                                            .other_marks = true};

static plim_status fill_gpt2(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                             size_t *count, plim_error *err)
{
    (void)scan, (void)err;
    return fill(&gpt2_rules, cutter, cuts, count);
}

static plim_status fill_prefix(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                               size_t *count, plim_error *err)
{
    (void)err;
    plim_split_rules rules = {.word = PLIM_WORD_PREFIX,
                              .contraction = PLIM_CONTRACTION_ANY_CASE,
                              .digits = scan->rules.digits,
                              .other_marks = true,
                              .other_newline = true,
                              .newline = true};
    return fill(&rules, cutter, cuts, count);
}

static plim_status fill_marks(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err)
{
    (void)err;
    plim_split_rules rules = {.word = PLIM_WORD_PREFIX_MARKS,
                              .contraction = PLIM_CONTRACTION_ANY_CASE,
                              .digits = scan->rules.digits,
                              .other_marks = scan->rules.other_marks,
                              .other_newline = true,
                              .newline = true};
    return fill(&rules, cutter, cuts, count);
}

static plim_status fill_cased(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err)
{
    (void)err;
    plim_split_rules rules = {.word = PLIM_WORD_CASED,
                              .contraction = scan->rules.contraction,
                              .digits = scan->rules.digits,
                              .other_marks = true,
                              .other_newline = true,
                              .other_slash = true,
                              .newline = true};
    return fill(&rules, cutter, cuts, count);
}

static plim_status fill_any(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                            size_t *count, plim_error *err)
{
    (void)err;
    return fill(&scan->rules, cutter, cuts, count);
}

plim_scan_fill plim_scan_rules(const plim_split_rules *r)
{
    bool modern = !r->blank_number && r->other_newline && r->newline;
    bool any_case = r->contraction == PLIM_CONTRACTION_ANY_CASE;
    switch (r->word) {
    case PLIM_WORD_BLANK:
        return r->contraction == PLIM_CONTRACTION_EXACT && r->blank_number && r->other_marks &&
                       !r->other_newline && !r->newline
                   ? fill_gpt2
                   : fill_any;
    case PLIM_WORD_PREFIX:
        return modern && any_case && r->other_marks && !r->other_slash ? fill_prefix : fill_any;
    case PLIM_WORD_PREFIX_MARKS:
        return modern && any_case && !r->other_slash ? fill_marks : fill_any;
    default:
        return modern && r->other_marks && r->other_slash &&
                       (r->contraction == PLIM_CONTRACTION_NONE ||
                        r->contraction == PLIM_CONTRACTION_BEHIND)
                   ? fill_cased
                   : fill_any;
    }
}

/* ---- parts of parts ---- */

static inline __attribute__((always_inline)) plim_status fill_within(const plim_scan *scan,
                                                                     const plim_split_rules *r,
                                                                     plim_cutter *c, plim_cut *cuts,
                                                                     size_t *count)
{
    at text = (at)c->text, p = text + c->at, end = text + c->bytes, limit = text + c->limit;
    size_t n = 0;
    while (p < end && n < PLIM_CUTS) {
        unsigned kind;
        if (p == limit)
            limit = plim_kind_end(scan, p, end, &kind);
        p = next_match(p, limit, r);
        cuts[n++] = plim_cut_make((size_t)(p - text), true);
    }
    c->at = (size_t)(p - text);
    c->limit = (size_t)(limit - text);
    *count = n;
    return PLIM_OK;
}

static plim_status fill_gpt2_within(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                    size_t *count, plim_error *err)
{
    (void)err;
    return fill_within(scan, &gpt2_rules, cutter, cuts, count);
}

static plim_status fill_any_within(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                   size_t *count, plim_error *err)
{
    (void)err;
    return fill_within(scan, &scan->rules, cutter, cuts, count);
}

bool plim_scan_fuse(plim_scan *first, const plim_scan *second)
{
    plim_scan_fill fill_second = second->fill;
    bool rules = fill_second == fill_gpt2 || fill_second == fill_prefix ||
                 fill_second == fill_marks || fill_second == fill_cased || fill_second == fill_any;
    if (!rules || !plim_scan_is_classes(first) || first->bytes_only)
        return false;
    first->rules = second->rules;
    first->fill = fill_second == fill_gpt2 ? fill_gpt2_within : fill_any_within;
    return true;
}
