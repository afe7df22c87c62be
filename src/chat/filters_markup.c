/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on HTML, and those that are refused. */
#include <string.h>

#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

FILTER(filter_safe)
{
    const plim_str *s;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    *out = plim_text(s);
    out->markup = true;
    return PLIM_OK;
}

plim_status plim_escape(plim_run *run, plim_val v, plim_val *out)
{
    const plim_str *s;
    *out = v;
    if (v.kind == PLIM_V_STR && v.markup)
        return PLIM_OK;
    PLIM_TRY(plim_to_text(run, v, &s));
    return plim_str_escape(run, s, out);
}

FILTER(filter_escape)
{
    (void)args;
    (void)raw;
    return plim_escape(run, self, out);
}

FILTER(filter_forceescape)
{
    const plim_str *s;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    return plim_str_escape(run, s, out);
}

FILTER(filter_xmlattr)
{
    plim_buf *buf;
    bool space = args[0].kind == PLIM_V_MISSING || plim_truth(args[0]), first = true;
    (void)raw;
    PLIM_TRY(plim_buf_new(run, &buf));
    if (self.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "xmlattr takes a dict");
    for (size_t i = 0; i < self.u.dict->count; i++) {
        const plim_entry *entry = &self.u.dict->at[i];
        plim_val key, value;
        const plim_str *name;
        if (entry->value.kind == PLIM_V_NONE || entry->value.kind == PLIM_V_UNDEFINED)
            continue;
        PLIM_TRY(plim_to_str(run, entry->key, "the name of an attribute", &name));
        for (size_t k = 0; k < name->bytes; k++) {
            char c = name->data[k];
            if (c == ' ' || (c >= '\t' && c <= '\r') || c == '/' || c == '>' || c == '=')
                return plim_run_fail(run, PLIM_E_FORMAT, "invalid character in attribute name");
        }
        PLIM_TRY(plim_escape(run, entry->key, &key));
        PLIM_TRY(plim_escape(run, entry->value, &value));
        if (!first || space)
            PLIM_TRY(plim_buf_literal(run, buf, " "));
        PLIM_TRY(plim_buf_all(run, buf, key.u.s));
        PLIM_TRY(plim_buf_literal(run, buf, "=\""));
        PLIM_TRY(plim_buf_all(run, buf, value.u.s));
        PLIM_TRY(plim_buf_literal(run, buf, "\""));
        first = false;
    }
    return plim_buf_take(run, buf, out);
}

/* ---- striptags ---- */

/* Append s without its comments and tags, as far as they are closed. */
static plim_status drop_tags(plim_run *run, plim_buf *buf, const plim_str *s)
{
    size_t at = 0;
    for (;;) {
        const char *open = memchr(s->data + at, '<', s->bytes - at), *end;
        if (!open)
            break;
        size_t start = (size_t)(open - s->data), rest = s->bytes - start;
        bool comment = rest >= 4 && !memcmp(open, "<!--", 4);
        end = comment ? memmem(open + 4, rest - 4, "-->", 3) : memchr(open, '>', rest);
        if (!end)
            break;
        PLIM_TRY(plim_buf_add(run, buf, s, at, start));
        at = (size_t)(end - s->data) + (comment ? 3 : 1);
    }
    return plim_buf_add(run, buf, s, at, s->bytes);
}

/* Append s with one blank for all whitespace between words. */
static plim_status collapse(plim_run *run, plim_buf *buf, const plim_str *s)
{
    plim_list *words;
    PLIM_TRY(plim_str_split(run, plim_text(s), NULL, -1, false, &words));
    for (size_t i = 0; i < words->count; i++) {
        const plim_str *word = words->at[i].u.s;
        if (i) /* as input, where what it stands before is */
            PLIM_TRY(plim_buf_put(run, buf, " ", 1, plim_str_input(word, 0, 1)));
        PLIM_TRY(plim_buf_all(run, buf, word));
    }
    return PLIM_OK;
}

/* The character that a number refers to, as in HTML 5; 0: none. */
static uint32_t referred(uint64_t number)
{
    static const uint16_t windows[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
        0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
    if (number >= 0x80 && number < 0xA0)
        return windows[number - 0x80];
    if (!number || (number >= 0xD800 && number < 0xE000) || number > 0x10FFFF)
        return 0xFFFD;
    bool control =
        number < ' ' && !(number == '\t' || number == '\n' || number == '\f' || number == '\r');
    if (control || number == 0x7F || (number >= 0xFDD0 && number < 0xFDF0) ||
        (number & 0xFFFE) == 0xFFFE)
        return 0;
    return (uint32_t)number;
}

/* The end of "#123;" or "#x1f;" at byte `at`, or `at`. */
static size_t read_number(const plim_str *s, size_t at, uint64_t *number)
{
    bool hex = at + 1 < s->bytes && (s->data[at + 1] == 'x' || s->data[at + 1] == 'X');
    size_t first = at + 1 + hex, i = first;
    for (*number = 0; i < s->bytes; i++) {
        char c = s->data[i], low = c >= 'A' && c <= 'F' ? (char)(c + 'a' - 'A') : c;
        int digit = c >= '0' && c <= '9'              ? c - '0'
                    : hex && low >= 'a' && low <= 'f' ? low - 'a' + 10
                                                      : -1;
        if (digit < 0)
            break;
        if (*number <= 0x10FFFF)
            *number = *number * (hex ? 16 : 10) + (unsigned)digit;
    }
    return i == first ? at : i + (i < s->bytes && s->data[i] == ';');
}

/* The end of a name at byte `at`, and its character; `at` where there can be no such name. */
static plim_status read_name(plim_run *run, const plim_str *s, size_t at, size_t *end,
                             uint64_t *code)
{
    static const struct {
        const char *name;
        uint16_t code;
    } names[] = {{"amp", '&'},  {"lt", '<'},    {"gt", '>'},
                 {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}};
    size_t n = 0;
    *end = at;
    while (at + n < s->bytes && n < 32) {
        char c = s->data[at + n];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (n && c >= '0' && c <= '9')))
            break;
        n++;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names && at + n < s->bytes; i++) {
        if (s->data[at + n] == ';' && strlen(names[i].name) == n &&
            !memcmp(s->data + at, names[i].name, n)) {
            *end = at + n + 1;
            *code = names[i].code;
            return PLIM_OK;
        }
    }
    if (n < 2)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_UNSUP,
                         "striptags of a text with a reference '&%.*s': only &amp; &lt; &gt; "
                         "&quot; &apos; &nbsp; and numbers are known",
                         (int)n, s->data + at);
}

/* Append s with its character references replaced. */
static plim_status unescape(plim_run *run, plim_buf *buf, const plim_str *s)
{
    for (size_t at = 0;;) {
        const char *found = memchr(s->data + at, '&', s->bytes - at);
        size_t i = found ? (size_t)(found - s->data) : s->bytes, end = i + 1;
        uint64_t code = 0;
        PLIM_TRY(plim_buf_add(run, buf, s, at, i));
        if (!found)
            return PLIM_OK;
        if (end < s->bytes && s->data[end] == '#') {
            end = read_number(s, end, &code);
            code = referred(code);
        } else {
            PLIM_TRY(read_name(run, s, end, &end, &code));
        }
        if (end == i + 1)
            PLIM_TRY(plim_buf_add(run, buf, s, i, end));
        else if (code)
            PLIM_TRY(plim_buf_char(run, buf, (uint32_t)code, plim_str_input(s, i, end)));
        at = end;
    }
}

FILTER(filter_striptags)
{
    static plim_status (*const steps[])(plim_run *, plim_buf *,
                                        const plim_str *) = {drop_tags, collapse, unescape};
    const plim_str *s;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        plim_buf *buf;
        PLIM_TRY(plim_work_chars(run, s->bytes));
        PLIM_TRY(plim_buf_new(run, &buf));
        PLIM_TRY(steps[i](run, buf, s));
        PLIM_TRY(plim_buf_take(run, buf, out));
        s = out->u.s;
    }
    return PLIM_OK;
}

FILTER(filter_unsupported)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "the filter urlize");
}

const plim_builtin plim_filters_markup[] = {
    {"safe", filter_safe, 0, ""},
    {"escape", filter_escape, 0, ""},
    {"e", filter_escape, 0, ""},
    {"forceescape", filter_forceescape, 0, ""},
    {"xmlattr", filter_xmlattr, 0, "autospace"},
    {"striptags", filter_striptags, 0, ""},
    {"urlize", filter_unsupported, 0, NULL},
    {NULL, NULL, 0, NULL},
};
