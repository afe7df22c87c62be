/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns of tokenizer files are in Oniguruma's Ruby syntax and mean Unicode 16; PCRE2 10.42 knows
 * Unicode 14 and spells some things differently.  This file rewrites one into the other:
 *  - classes (\p{L}, \s, \w, \d, \h) are written out with the code points that PCRE2 lacks;
 *  - ^ and $ are those of a line, (?m) is "dot matches all", sets may nest and intersect;
 *  - what is not known here is UNSUP: nothing is passed on in the hope that it means the same. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/regex_class.h"

typedef plim_translator translator;

plim_status plim_translator_unsupported(translator *t, const char *what)
{
    return plim_fail_at(t->err, PLIM_E_UNSUP, t->where,
                        "pattern: %s is not supported (at character %td of \"%.100s\")", what,
                        t->at - t->start, t->start);
}

plim_status plim_translator_malformed(translator *t, const char *what)
{
    return plim_fail_at(t->err, PLIM_E_FORMAT, t->where,
                        "pattern: %s (at character %td of \"%.100s\")", what, t->at - t->start,
                        t->start);
}

/* After "\p" or "\P": {Name} or {^Name} into category, and whether it is negated. */
static plim_status read_property(translator *t, bool negated, char category[3], bool *out_negated)
{
    const char *close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return plim_translator_malformed(t, "\\p without {NAME}");
    const char *name = t->at + 1;
    if (name < close && *name == '^') {
        negated = !negated;
        name++;
    }
    size_t length = (size_t)(close - name);
    memset(category, 0, 3);
    if (length == 1 || length == 2) {
        category[0] = (char)(name[0] & ~0x20);
        category[1] = length == 2 ? (char)(name[1] | 0x20) : 0;
    }
    static const char known[] =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So"
        " Z Zs Zl Zp Cc Cf Co ";
    char look[6] = " ";
    memcpy(look + 1, category, length <= 2 ? length : 0);
    look[length <= 2 ? length + 1 : 1] = ' ';
    if (length == 0 || length > 2 || !strstr(known, look))
        return plim_translator_unsupported(t, "this \\p{NAME}");
    if (t->ignore_case[t->depth] && category[0] == 'L' && category[1] && strchr("ult", category[1]))
        return plim_translator_unsupported(t, "a case of letters inside (?i)");
    t->at = close + 1;
    *out_negated = negated;
    return PLIM_OK;
}

/* ---- escapes that are one code point ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to max digits at t->at. */
static uint32_t read_hex(translator *t, unsigned max, unsigned *digits)
{
    uint32_t code = 0;
    *digits = 0;
    while (*digits < max && t->at < t->end && hex_digit(*t->at) >= 0) {
        code = code * 16 + (uint32_t)hex_digit(*t->at++);
        ++*digits;
    }
    return code;
}

/* After the backslash; t->at is at the letter.  *code = PLIM_NO_CODE where it is no single code
 * point.
 */
plim_status plim_translator_escape(translator *t, uint32_t *code)
{
    static const char from[] = "tnrfvae", to[] = "\t\n\r\f\v\a\033";
    char letter = *t->at;
    *code = PLIM_NO_CODE;
    const char *found = letter ? strchr(from, letter) : NULL;
    if (found) {
        *code = (unsigned char)to[found - from];
    } else if (letter == 'x' || letter == 'u') {
        unsigned digits;
        t->at++;
        bool braces = letter == 'x' && t->at < t->end && *t->at == '{';
        t->at += braces;
        *code = read_hex(t, braces ? 8 : letter == 'u' ? 4 : 2, &digits);
        if (!digits || (letter == 'u' && digits != 4) || *code > 0x10FFFF ||
            (*code >= 0xD800 && *code < 0xE000))
            return plim_translator_malformed(t, "a hexadecimal escape that is no character");
        if (braces && (t->at == t->end || *t->at != '}'))
            return plim_translator_unsupported(t, "a list of characters in \\x{}");
        if (letter == 'x' && !braces && *code > 0x7F)
            return plim_translator_unsupported(t, "a raw byte");
        t->at -= braces ? 0 : 1;
    } else if ((unsigned char)letter < 0x80 && (letter < '0' || letter > '9') &&
               (letter < 'A' || letter > 'Z') && (letter < 'a' || letter > 'z')) {
        *code = (unsigned char)letter;
    } else {
        return PLIM_OK;
    }
    t->at++;
    return PLIM_OK;
}

/* The code point at t->at, literally. */
uint32_t plim_translator_literal(translator *t)
{
    uint32_t code = PLIM_NO_CODE;
    size_t bad;
    bool incomplete;
    size_t length = plim_utf8_decode(t->at, (size_t)(t->end - t->at), &code, &bad, &incomplete);
    t->at += length ? length : bad;
    return length ? code : PLIM_UTF8_REPLACEMENT;
}

/* Characters that fold together with their neighbours (ss and the sharp s, fi and its ligature,
 * ...) are one to Oniguruma and several to PCRE2. */
static bool folds_with(uint32_t before, uint32_t code)
{
    if ((code >= 0x80 && code < 0x2000) || (code >= 0xFB00 && code < 0xFB18))
        return true;
    uint32_t a = before < 0x80 ? before | 0x20 : 0, b = code | 0x20;
    return (a == 's' && (b == 's' || b == 't')) || (a == 'f' && (b == 'f' || b == 'i' || b == 'l'));
}

/* Does a range hold a character that folds into several? */
static bool folds_into_several(uint32_t first, uint32_t last)
{
    static const uint32_t ranges[][2] = {
        {0xDF, 0xDF},   {0x130, 0x130}, {0x149, 0x149},   {0x1F0, 0x1F0},   {0x390, 0x390},
        {0x3B0, 0x3B0}, {0x587, 0x587}, {0x1E96, 0x1E9E}, {0x1F50, 0x1FFC}, {0xFB00, 0xFB17}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (first <= ranges[i][1] && last >= ranges[i][0])
            return true;
    return false;
}

static plim_status put_literal(translator *t, uint32_t code)
{
    if (t->ignore_case[t->depth] && folds_with(t->literal, code))
        return plim_translator_unsupported(t,
                                           "a character that may fold into several, inside (?i),");
    t->literal = code;
    return plim_pattern_put_code(&t->out, code);
}

/* ---- sets ---- */

/* An escape inside [...]: a class is written, a code point is returned. */
static plim_status set_escape(translator *t, uint32_t *code)
{
    *code = PLIM_NO_CODE;
    t->at++;
    if (t->at == t->end)
        return plim_translator_malformed(t, "a backslash at the end");
    char letter = *t->at;
    if (letter == 'p' || letter == 'P') {
        char category[3];
        bool negated;
        t->at++;
        plim_status status = read_property(t, letter == 'P', category, &negated);
        if (status)
            return status;
        return negated ? plim_translator_unsupported(t, "a negated property in a set")
                       : plim_pattern_put_category(&t->out, category);
    }
    if (letter && strchr("sdwh", letter)) {
        t->at++;
        return plim_pattern_put_shorthand(&t->out, letter);
    }
    if (letter == 'S') {
        t->at++;
        return plim_pattern_put_shorthand(&t->out, letter);
    }
    if (letter == 'b') { /* backspace, inside a set */
        t->at++;
        *code = 8;
        return PLIM_OK;
    }
    plim_status status = plim_translator_escape(t, code);
    if (!status && *code == PLIM_NO_CODE)
        return plim_translator_unsupported(t, "this escape in a set");
    return status;
}

static plim_status put_range(translator *t, uint32_t first, uint32_t last)
{
    if (t->ignore_case[t->depth] && folds_into_several(first, last))
        return plim_translator_unsupported(
            t, "a character that folds into several, in a set inside (?i),");
    return plim_pattern_put_range(&t->out, first, last);
}

/* One item of a set: a class, a code point or a range. */
static plim_status set_item(translator *t)
{
    uint32_t first, last;
    plim_status status = PLIM_OK;
    if (*t->at == '\\')
        status = set_escape(t, &first);
    else
        first = plim_translator_literal(t);
    if (status || first == PLIM_NO_CODE)
        return status;
    if (t->end - t->at < 2 || t->at[0] != '-' || t->at[1] == ']')
        return put_range(t, first, first);
    t->at++;
    if (*t->at == '[')
        return plim_translator_unsupported(t, "a set as the end of a range");
    if (*t->at != '\\') {
        last = plim_translator_literal(t);
    } else {
        size_t used = t->out.used;
        if ((status = set_escape(t, &last)))
            return status;
        if (last == PLIM_NO_CODE || t->out.used != used)
            return plim_translator_unsupported(t, "a class as the end of a range");
    }
    return last < first ? plim_translator_malformed(t, "an empty range")
                        : put_range(t, first, last);
}

static plim_status read_set(translator *t)
{
    if (plim_set_is_hard(t))
        return plim_set_translate(t);
    bool negated = t->at + 1 < t->end && t->at[1] == '^';
    plim_status status = plim_pattern_put_text(&t->out, negated ? "[^" : "[");
    t->at += negated ? 2 : 1;
    if (t->at < t->end && *t->at == ']')
        return plim_translator_unsupported(t, "a set that begins with ]");
    for (unsigned depth = 1; !status && depth;) {
        if (t->at == t->end)
            return plim_translator_malformed(t, "a set without end");
        if (*t->at == ']') {
            depth--;
            t->at++;
        } else if (*t->at == '[') { /* a set in a set: their union */
            if (t->end - t->at < 2 || t->at[1] == ']' || ++depth > PLIM_PATTERN_GROUPS)
                return plim_translator_unsupported(t, "this set inside a set");
            t->at++;
        } else {
            status = set_item(t);
        }
    }
    return status ? status : plim_pattern_put_text(&t->out, "]");
}

/* ---- outside of sets ---- */

static plim_status put_set_of(translator *t, bool negated, char letter, const char *category)
{
    plim_status status = plim_pattern_put_text(&t->out, negated ? "[^" : "[");
    if (!status)
        status = category ? plim_pattern_put_category(&t->out, category)
                          : plim_pattern_put_shorthand(&t->out, letter);
    if (!status && letter == 'w') /* outside of a set, these are word characters */
        status = plim_pattern_put_text(&t->out, "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}");
    return status ? status : plim_pattern_put_text(&t->out, "]");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* \b and \B, by the \w that is meant here and not PCRE2's. */
static plim_status put_boundary(translator *t, bool negated)
{
    static const char *const between[] = {"(?:(?<=", ")(?!", ")|(?<!", ")(?="};
    static const char *const inside[] = {"(?:(?<=", ")(?=", ")|(?<!", ")(?!"};
    t->at++;
    t->literal = PLIM_NO_CODE;
    for (size_t i = 0; i < 4; i++) {
        plim_status status = plim_pattern_put_text(&t->out, negated ? inside[i] : between[i]);
        if (!status)
            status = put_set_of(t, false, 'w', NULL);
        if (status)
            return status;
    }
    return plim_pattern_put_text(&t->out, "))");
}

static plim_status read_outer_escape(translator *t)
{
    t->at++;
    if (t->at == t->end)
        return plim_translator_malformed(t, "a backslash at the end");
    char letter = *t->at;
    if (letter == 'p' || letter == 'P') {
        char category[3];
        bool negated;
        t->at++;
        t->literal = PLIM_NO_CODE;
        if (plim_property_is_hard(t))
            return plim_set_property(t, letter == 'P');
        plim_status status = read_property(t, letter == 'P', category, &negated);
        return status ? status : put_set_of(t, negated, 0, category);
    }
    if (letter && strchr("sdwhSDWH", letter)) {
        t->at++;
        t->literal = PLIM_NO_CODE;
        return put_set_of(t, letter < 'a', (char)(letter | 0x20), NULL);
    }
    if (letter == 'A' || letter == 'z' || letter == 'Z') {
        char text[2] = {'\\', letter};
        t->at++;
        t->literal = PLIM_NO_CODE;
        return plim_pattern_put(&t->out, text, 2);
    }
    if (letter >= '1' && letter <= '9' && (t->end - t->at < 2 || !is_digit(t->at[1]))) {
        const char text[] = {'\\', 'g', '{', letter, '}'};
        t->at++;
        t->literal = PLIM_NO_CODE;
        return plim_pattern_put(&t->out, text, sizeof text);
    }
    if (letter == 'b' || letter == 'B')
        return put_boundary(t, letter == 'B');
    const char *words = letter == 'R'   ? "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])"
                        : letter == 'N' ? "[^\\n]"
                        : letter == 'O' ? "(?s:.)"
                                        : NULL;
    if (words) {
        t->at++;
        t->literal = PLIM_NO_CODE;
        return plim_pattern_put_text(&t->out, words);
    }
    uint32_t code;
    plim_status status = plim_translator_escape(t, &code);
    if (status)
        return status;
    return code == PLIM_NO_CODE ? plim_translator_unsupported(t, "this escape")
                                : put_literal(t, code);
}

/* (?imx-imx) and (?imx-imx: ; t->at is behind "(?". */
static plim_status read_flags(translator *t)
{
    bool on = true, first = t->group_start, ignore_case = t->ignore_case[t->depth];
    char text[16] = "(?";
    size_t n = 2;
    for (; t->at < t->end && *t->at != ':' && *t->at != ')'; t->at++) {
        char flag = *t->at;
        if (n > 8 || !strchr("im-", flag))
            return plim_translator_unsupported(t, "this kind of group");
        if (flag == '-')
            on = false;
        else if (flag == 'i')
            ignore_case = on;
        text[n++] = flag == 'm' ? 's' : flag;
    }
    if (t->at == t->end)
        return plim_translator_malformed(t, "a group without end");
    if (*t->at == ')' && !first)
        return plim_translator_unsupported(t, "(?flags) in the middle of a group");
    text[n++] = *t->at;
    if (*t->at == ':' && t->depth == PLIM_PATTERN_GROUPS)
        return plim_translator_unsupported(t, "groups nested this deep");
    t->depth += *t->at == ':';
    if (*t->at++ == ':')
        t->group[t->depth] = t->out.used;
    t->ignore_case[t->depth] = ignore_case;
    t->group_start = true;
    return plim_pattern_put(&t->out, text, n);
}

static plim_status read_group(translator *t)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    size_t left = (size_t)(t->end - t->at);
    const char *text = NULL;
    size_t skip = 1;
    if (left < 2 || t->at[1] != '?') {
        text = t->refers ? "(" : "(?:";
    } else if (left > 4 && t->at[2] == '<' && t->at[3] != '=' && t->at[3] != '!') {
        const char *close = memchr(t->at, '>', left);
        if (!close)
            return plim_translator_malformed(t, "a group without the end of its name");
        if (t->refers)
            return plim_translator_unsupported(t, "a number beside a named group");
        text = "(?:";
        skip = (size_t)(close - t->at) + 1;
    } else {
        for (size_t i = 0; !text && i < sizeof kinds / sizeof *kinds; i++)
            if (left >= strlen(kinds[i]) && memcmp(t->at, kinds[i], strlen(kinds[i])) == 0) {
                text = kinds[i];
                skip = strlen(text);
            }
    }
    if (!text) {
        t->at += 2;
        return read_flags(t);
    }
    if (t->depth == PLIM_PATTERN_GROUPS)
        return plim_translator_unsupported(t, "groups nested this deep");
    t->depth++;
    t->group[t->depth] = t->out.used;
    t->ignore_case[t->depth] = t->ignore_case[t->depth - 1];
    t->at += skip;
    t->group_start = true;
    return plim_pattern_put_text(&t->out, text);
}

/* {n} {n,} {n,m} {,m}; anything else is a literal brace. */
static plim_status read_interval(translator *t)
{
    const char *p = t->at + 1, *low = p, *high;
    while (p < t->end && *p >= '0' && *p <= '9')
        p++;
    size_t low_digits = (size_t)(p - low), high_digits = 0;
    bool comma = p < t->end && *p == ',';
    high = p += comma;
    while (comma && p < t->end && *p >= '0' && *p <= '9')
        p++;
    high_digits = (size_t)(p - high);
    if (p == t->end || *p != '}' || (!low_digits && !high_digits)) {
        t->at++;
        return put_literal(t, '{');
    }
    if (low_digits > 5 || high_digits > 5)
        return plim_fail_at(t->err, PLIM_E_LIMIT, t->where,
                            "pattern: a repeat count of over 5 digits");
    /* Behind these a + repeats the repeat, and {n}? may be there or not. */
    const char *again = p + 1 < t->end && p[1] == '+'             ? ")+"
                        : p + 1 < t->end && p[1] == '?' && !comma ? ")?"
                                                                  : NULL;
    if (again && (t->atom == SIZE_MAX || (p + 2 < t->end && strchr("?*+{", p[2]))))
        return plim_translator_unsupported(t, "this repeat of a repeat");
    plim_status status;
    if ((status = plim_pattern_put_text(&t->out, "{")) ||
        (status = plim_pattern_put(&t->out, low_digits ? low : "0", low_digits ? low_digits : 1)) ||
        (comma && (status = plim_pattern_put_text(&t->out, ","))) ||
        (status = plim_pattern_put(&t->out, high, high_digits)) ||
        (status = plim_pattern_put_text(&t->out, "}")))
        return status;
    t->at = p + 1;
    t->literal = PLIM_NO_CODE;
    if (again) {
        t->at++;
        status = plim_pattern_insert(&t->out, t->atom, "(?:");
        return status ? status : plim_pattern_put_text(&t->out, again);
    }
    if (t->at < t->end && *t->at == '?') {
        t->at++;
        status = plim_pattern_put_text(&t->out, "?");
    }
    return status;
}

static plim_status read_one(translator *t)
{
    char c = *t->at;
    bool group_start = t->group_start;
    if (c != '(')
        t->group_start = false;
    if (c == '(' || c == '|')
        t->atom = SIZE_MAX;
    else if (c == ')')
        t->atom = t->group[t->depth];
    else if (!strchr("*+?{", c) || !c)
        t->atom = t->out.used;
    switch (c) {
    case '\\':
        return read_outer_escape(t);
    case '[':
        t->literal = PLIM_NO_CODE;
        return read_set(t);
    case '(':
        t->literal = PLIM_NO_CODE;
        return read_group(t);
    case '{':
        return group_start ? plim_translator_malformed(t, "nothing to repeat") : read_interval(t);
    case ')':
        if (t->depth == 0)
            return plim_translator_malformed(t, "a ) without its (");
        t->depth--;
        break;
    case '^':
    case '$':
        t->at++;
        t->literal = PLIM_NO_CODE;
        return plim_pattern_put_text(&t->out, c == '^' ? "(?m:^)" : "(?m:$)");
    case '*':
    case '+':
    case '?':
    case '.':
    case '|':
        break;
    default:
        return put_literal(t, plim_translator_literal(t));
    }
    t->at++;
    t->literal = PLIM_NO_CODE;
    return plim_pattern_put(&t->out, &c, 1);
}

/* Something in the pattern may refer to a group.  (Where it does not, groups need no numbers.) */
static bool has_reference(const char *pattern, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes; i++) {
        if (pattern[i] != '\\')
            continue;
        if (is_digit(pattern[i + 1]) && pattern[i + 1] != '0')
            return true;
        i++;
    }
    return false;
}

plim_status plim_regex_translate(char **out, size_t *out_bytes, const plim_alloc *alloc,
                                 const char *pattern, size_t bytes, plim_where where,
                                 plim_error *err)
{
    translator t = {.at = pattern,
                    .end = pattern + bytes,
                    .start = pattern,
                    .out = {.alloc = alloc, .err = err},
                    .where = where,
                    .err = err,
                    .refers = has_reference(pattern, bytes),
                    .group_start = true,
                    .literal = PLIM_NO_CODE,
                    .atom = SIZE_MAX};
    *out = NULL;
    plim_status status = plim_pattern_put(&t.out, "", 0);
    while (!status && t.at < t.end)
        status = read_one(&t);
    if (!status && t.depth)
        status = plim_translator_malformed(&t, "a group without end");
    if (status) {
        plim_delete(alloc, t.out.text);
        return status;
    }
    *out = t.out.text;
    *out_bytes = t.out.used;
    return PLIM_OK;
}
