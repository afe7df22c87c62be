/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns that leave gaps between their matches, by hand: a literal string, numbers cut to a
 * length, DeepSeek's three patterns, BLOOM's. */
#include <string.h>

#include "tokenizer/split_ascii.h"

typedef const unsigned char *at;

/* Give [c->at, begin) and [begin, end): two cuts at most. */
static inline size_t give(plim_cutter *c, plim_cut *cuts, size_t n, size_t begin, size_t end)
{
    if (begin > c->at)
        cuts[n++] = plim_cut_make(begin, false);
    if (end > begin)
        cuts[n++] = plim_cut_make(end, true);
    c->at = end;
    return n;
}

/* All parts of a batch from find(scan, p, end, &match_end): the begin of the next match, or end. */
typedef at (*find_match)(const plim_scan *scan, at p, at end, at *match_end);

static inline __attribute__((always_inline)) plim_status
fill(const plim_scan *scan, find_match find, plim_cutter *c, plim_cut *cuts, size_t *count)
{
    at text = (at)c->text, end = text + c->bytes;
    size_t n = 0;
    while (c->at < c->bytes && n + 2 <= PLIM_CUTS) {
        at match_end = end, begin = find(scan, text + c->at, end, &match_end);
        n = give(c, cuts, n, (size_t)(begin - text), (size_t)(match_end - text));
    }
    *count = n;
    return PLIM_OK;
}

/* ---- literals ---- */

static inline at find_literal(const plim_scan *scan, at p, at end, at *match_end)
{
    size_t bytes = scan->literal_bytes;
    if (bytes > 4) {
        at found = memmem(p, (size_t)(end - p), scan->literal, bytes);
        if (found)
            *match_end = found + bytes;
        return found ? found : end;
    }
    while ((size_t)(end - p) >= bytes) {
        p = plim_find_byte(p, end, (unsigned char)scan->literal[0]);
        if ((size_t)(end - p) < bytes)
            break;
        if (bytes == 1 || !memcmp(p, scan->literal, bytes)) {
            *match_end = p + bytes;
            return p;
        }
        p++;
    }
    return end;
}

plim_status plim_scan_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_literal, cutter, cuts, count);
}

static inline at find_before_literal(const plim_scan *scan, at p, at end, at *match_end)
{
    at from = p, behind;
    size_t left = (size_t)(end - p);
    if (left >= scan->literal_bytes && !memcmp(p, scan->literal, scan->literal_bytes))
        from += scan->literal_bytes;
    *match_end = from == end ? end : find_literal(scan, from, end, &behind);
    return p;
}

plim_status plim_scan_before_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                     size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_before_literal, cutter, cuts, count);
}

static inline at find_behind_literal(const plim_scan *scan, at p, at end, at *match_end)
{
    *match_end = end;
    find_literal(scan, p, end, match_end);
    return p;
}

plim_status plim_scan_behind_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                     size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_behind_literal, cutter, cuts, count);
}

/* ---- numbers ---- */

static inline at find_numbers(const plim_scan *scan, at p, at end, at *match_end)
{
    unsigned length = 0;
    for (;;) {
        p = plim_find_digit_or_high(p, end);
        if (p == end)
            return end;
        if (plim_split_at(p, &length) & SPLIT_NUMBER)
            break;
        p += length;
    }
    at q = p + length;
    for (size_t left = scan->length - 1; left && q < end; left--, q += length)
        if (!(plim_split_at(q, &length) & SPLIT_NUMBER))
            break;
    *match_end = q;
    return p;
}

plim_status plim_scan_numbers(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_numbers, cutter, cuts, count);
}

static inline bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline at find_three_digits(const plim_scan *scan, at p, at end, at *match_end)
{
    (void)scan;
    for (; end - p >= 3; p++)
        if (!is_digit(p[2]))
            p += 2;
        else if (is_digit(p[0]) && is_digit(p[1])) {
            *match_end = p + 3;
            return p;
        }
    return end;
}

plim_status plim_scan_three_digits(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                   size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_three_digits, cutter, cuts, count);
}

/* ---- DeepSeek ---- */

/* [一-龥぀-ゟ゠-ヿ]: three bytes of UTF-8 each. */
static inline bool is_han_kana(at p)
{
    if (*p < 0xE3 || *p > 0xE9)
        return false;
    uint32_t code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF);
}

static inline unsigned char_bytes(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static inline at find_han_kana(const plim_scan *scan, at p, at end, at *match_end)
{
    (void)scan;
    for (;;) {
        p = plim_find_high(p, end);
        if (p == end)
            return end;
        if (is_han_kana(p))
            break;
        p += char_bytes(*p);
    }
    at q = p + 3;
    while (q < end && is_han_kana(q))
        q += 3;
    *match_end = q;
    return p;
}

plim_status plim_scan_han_kana(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                               size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_han_kana, cutter, cuts, count);
}

static inline bool is_ascii_letter(unsigned char byte)
{
    return (unsigned char)((byte | 0x20) - 'a') < 26;
}

static inline at skip_words(at p, at end)
{
    for (;;) {
        unsigned length;
        p = plim_skip_letters(p, end);
        if (p == end || !(plim_split_at(p, &length) & (SPLIT_LETTER | SPLIT_MARK)))
            return p;
        p += length;
    }
}

/* ?[\p{P}\p{S}]+[\r\n]* whose first symbol ends at p. */
static inline at skip_symbols(at p, at end)
{
    unsigned length;
    while (p < end && plim_split_at(p, &length) & SPLIT_SYMBOL)
        p += length;
    while (p < end && (*p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ at p, a white space. */
static inline at skip_white(at p, at end)
{
    at q = p, newline = NULL;
    for (;;) {
        unsigned length;
        q = plim_skip_spaces(q, end, &newline);
        if (q == end || *q < 0x80 || !(plim_split_at(q, &length) & SPLIT_SPACE))
            break;
        q += length;
    }
    if (newline || q == end)
        return newline ? newline : q;
    at last = q - 1;
    while ((*last & 0xC0) == 0x80)
        last--;
    return last > p ? last : q;
}

/* The match at p, NULL: none begins here. */
static inline at deepseek_match(at p, at end, unsigned *length)
{
    unsigned bits = plim_split_at(p, length), next = 0, next_length = 0;
    at q = p + *length;
    if (bits & (SPLIT_LETTER | SPLIT_MARK))
        return skip_words(q, end);
    if (q < end)
        next = plim_split_at(q, &next_length);
    if (bits & SPLIT_SYMBOL) {
        if (*p < 0x80 && q < end && is_ascii_letter(*q)) {
            while (q < end && is_ascii_letter(*q))
                q++;
            return q;
        }
        return skip_symbols(q, end);
    }
    if (next & (SPLIT_LETTER | SPLIT_MARK) && !(bits & SPLIT_NEWLINE))
        return skip_words(q + next_length, end);
    if (*p == ' ' && next & SPLIT_SYMBOL)
        return skip_symbols(q + next_length, end);
    return bits & SPLIT_SPACE ? skip_white(p, end) : NULL;
}

static inline at find_deepseek(const plim_scan *scan, at p, at end, at *match_end)
{
    (void)scan;
    for (unsigned length = 0; p < end; p += length) {
        at found = deepseek_match(p, end, &length);
        if (found) {
            *match_end = found;
            return p;
        }
    }
    return end;
}

plim_status plim_scan_deepseek(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                               size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_deepseek, cutter, cuts, count);
}

/* ---- BLOOM: ` ?[^(\s|[.,!?…。，、।۔،])]+` ---- */

static inline bool bloom_stops(at p, unsigned *length)
{
    uint32_t code;
    *length = plim_char_at((const char *)p, &code);
    if (code < 0x80)
        return plim_split_ascii[code] & SPLIT_SPACE || code == '(' || code == ')' || code == '|' ||
               code == '.' || code == ',' || code == '!' || code == '?';
    if (code == 0x2026 || code == 0x3002 || code == 0xFF0C || code == 0x3001 || code == 0x0964 ||
        code == 0x06D4 || code == 0x060C)
        return true;
    return plim_split_bits[plim_class_of(code)] & SPLIT_SPACE;
}

static inline at find_bloom(const plim_scan *scan, at p, at end, at *match_end)
{
    (void)scan;
    unsigned length;
    at begin = p;
    while (p < end && bloom_stops(p, &length))
        p += length;
    if (p == end)
        return end;
    at q = p;
    while (q < end && !bloom_stops(q, &length))
        q += length;
    *match_end = q;
    return p > begin && p[-1] == ' ' ? p - 1 : p;
}

plim_status plim_scan_bloom(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                            size_t *count, plim_error *err)
{
    (void)err;
    return fill(scan, find_bloom, cutter, cuts, count);
}
