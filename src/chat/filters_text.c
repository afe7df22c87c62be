/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on text.  What is no string is made one first, where Jinja2 does so. */
#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

/* soft_str: text, Markup as it is. */
static plim_status soft(plim_run *run, plim_val v, plim_val *out)
{
    const plim_str *s;
    if (v.kind == PLIM_V_STR) {
        *out = v;
        return PLIM_OK;
    }
    PLIM_TRY(plim_to_text(run, v, &s));
    *out = plim_text(s);
    return PLIM_OK;
}

FILTER(filter_string)
{
    (void)args;
    (void)raw;
    return soft(run, self, out);
}

FILTER(filter_upper)
{
    (void)args;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    return plim_str_mapped(run, self, PLIM_CASE_UPPER, out);
}

FILTER(filter_lower)
{
    (void)args;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    return plim_str_mapped(run, self, PLIM_CASE_LOWER, out);
}

FILTER(filter_capitalize)
{
    (void)args;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    return plim_str_capitalize(run, self, out);
}

/* Words begin after whitespace and after - ( { [ <. */
static bool separates(uint32_t code)
{
    return code == '-' || code == '(' || code == '{' || code == '[' || code == '<' ||
           (plim_char_flags(code) & PLIM_CHAR_SPACE);
}

FILTER(filter_title)
{
    plim_buf *buf;
    bool first = true;
    (void)args;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work(run, self.u.s->bytes / 2));
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        size_t n = plim_str_char(self.u.s, i, &code);
        size_t end = i + n;
        bool separator = separates(code);
        if (first || separator) {
            PLIM_TRY(plim_str_case(run, self.u.s, PLIM_CASE_UPPER, buf, i, end));
            first = separator;
        } else {
            /* the rest of a word at once: a sigma looks at what is around it */
            for (; end < self.u.s->bytes; end += n) {
                n = plim_str_char(self.u.s, end, &code);
                if (separates(code))
                    break;
            }
            plim_val rest;
            PLIM_TRY(plim_str_part(run, self.u.s, i, end, &rest));
            PLIM_TRY(plim_str_mapped(run, rest, PLIM_CASE_LOWER, &rest));
            PLIM_TRY(plim_buf_all(run, buf, rest.u.s));
        }
        i = end;
    }
    return plim_buf_take(run, buf, out);
}

FILTER(filter_trim)
{
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    return plim_str_strip_val(run, self, args[0], PLIM_STRIP_LEFT | PLIM_STRIP_RIGHT, out);
}

FILTER(filter_replace)
{
    const plim_str *s, *before, *after;
    int64_t count = -1;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    PLIM_TRY(plim_to_text(run, args[0], &before));
    PLIM_TRY(plim_to_text(run, args[1], &after));
    if (args[2].kind != PLIM_V_MISSING && args[2].kind != PLIM_V_NONE)
        PLIM_TRY(plim_to_index(run, args[2], "the count", &count));
    return plim_str_replace(run, s, before, after, count, out);
}

FILTER(filter_center)
{
    static const plim_str blank = {.data = " ", .bytes = 1};
    int64_t width = 80;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[0], "the width", &width));
    PLIM_TRY(plim_str_center(run, self.u.s, width, &blank, out));
    out->markup = self.markup;
    return PLIM_OK;
}

/* ---- indent ---- */

/* " " * width, or the string that is given. */
static plim_status indention_of(plim_run *run, plim_val width, plim_val *out)
{
    static const plim_str blank = {.data = " ", .bytes = 1};
    int64_t n = 4;
    if (width.kind == PLIM_V_STR) {
        *out = width;
        return PLIM_OK;
    }
    if (width.kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, width, "the width", &n));
    return plim_str_repeat(run, &blank, n, out);
}

FILTER(filter_indent)
{
    static const plim_str newline = {.data = "\n", .bytes = 1};
    bool blank = plim_truth(args[2]);
    plim_val indention, whole;
    plim_list *lines;
    plim_buf *buf;
    (void)raw;
    PLIM_TRY(indention_of(run, args[0], &indention));
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (self.kind != PLIM_V_STR)
        return plim_run_fail(run, PLIM_E_FORMAT, "indent takes a string, not '%s'",
                             plim_type_name(self));
    PLIM_TRY(plim_str_concat(run, self.u.s, &newline, &whole));
    PLIM_TRY(plim_str_lines(run, whole, false, &lines));
    PLIM_TRY(plim_buf_new(run, &buf));
    if (plim_truth(args[1]))
        PLIM_TRY(plim_buf_all(run, buf, indention.u.s));
    for (size_t i = 0; i < lines->count; i++) {
        const plim_str *line = lines->at[i].u.s;
        if (i)
            PLIM_TRY(plim_buf_all(run, buf, &newline));
        if (i && (blank || line->bytes))
            PLIM_TRY(plim_buf_all(run, buf, indention.u.s));
        PLIM_TRY(plim_buf_all(run, buf, line));
    }
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = self.markup;
    return PLIM_OK;
}

/* ---- truncate ---- */

FILTER(filter_truncate)
{
    int64_t length = 255, leeway = 5;
    static const plim_str dots = {.data = "...", .bytes = 3};
    const plim_str *s;
    plim_val cut, tail = plim_text(&dots);
    (void)raw;
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[0], "the length", &length));
    if (args[3].kind != PLIM_V_MISSING && args[3].kind != PLIM_V_NONE)
        PLIM_TRY(plim_to_index(run, args[3], "the leeway", &leeway));
    if (args[2].kind != PLIM_V_MISSING)
        tail = args[2];
    int64_t ends; /* an undefined end has the length 0 and fails only where it is appended */
    PLIM_TRY(plim_length(run, tail, &ends));
    if (length < ends || leeway < 0)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "truncate wants a length of at least its end's, "
                             "and no negative leeway");
    int64_t have;
    *out = self;
    PLIM_TRY(plim_length(run, self, &have)); /* what is short enough stays, whatever it is */
    if (have - leeway <= length)
        return PLIM_OK;
    PLIM_TRY(plim_to_str(run, self, "what is truncated", &s));
    PLIM_TRY(plim_str_part(run, s, 0, plim_str_seek(s, (size_t)(length - ends)), &cut));
    if (!plim_truth(args[1])) {
        static const plim_str blank = {.data = " ", .bytes = 1};
        size_t at = plim_str_find_last(cut.u.s, &blank, 0, cut.u.s->bytes);
        if (at != SIZE_MAX)
            PLIM_TRY(plim_str_part(run, cut.u.s, 0, at, &cut));
    }
    cut.markup = self.markup;
    return plim_binary(run, PLIM_OP_ADD, cut, tail, out);
}

/* ---- words ---- */

FILTER(filter_wordcount)
{
    int64_t words = 0;
    bool inside = false;
    (void)args;
    (void)raw;
    PLIM_TRY(soft(run, self, &self));
    PLIM_TRY(plim_work(run, self.u.s->bytes / 4)); /* ends of words are slow to guess */
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        i += plim_str_char(self.u.s, i, &code);
        bool letter = code == '_' ||
                      (plim_char_flags(code) &
                       (PLIM_CHAR_ALPHA | PLIM_CHAR_DECIMAL | PLIM_CHAR_DIGIT | PLIM_CHAR_NUMERIC));
        words += letter && !inside;
        inside = letter;
    }
    *out = plim_int(words);
    return PLIM_OK;
}

FILTER(filter_format)
{
    plim_val value;
    plim_list list = {.at = raw->at, .count = raw->count, .cap = raw->count};
    (void)args;
    if (raw->count && raw->named)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "format can't handle positional and keyword "
                             "arguments at the same time");
    PLIM_TRY(soft(run, self, &self));
    if (!raw->named) {
        value = plim_of_list(&list, PLIM_V_TUPLE);
        return plim_percent(run, self.u.s, value, self.markup, out);
    }
    plim_dict *dict;
    PLIM_TRY(plim_dict_new(run, &dict));
    for (size_t i = 0; i < raw->named; i++)
        PLIM_TRY(plim_dict_set(run, dict, plim_text(raw->names[i]), raw->values[i]));
    return plim_percent(run, self.u.s, plim_of_dict(dict), self.markup, out);
}

/* ---- URLs ---- */

static bool stays(unsigned char c, bool query)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '~' || (c == '/' && !query);
}

static plim_status quote_url(plim_run *run, plim_buf *buf, plim_val v, bool query)
{
    static const char hex[] = "0123456789ABCDEF";
    const plim_str *s;
    PLIM_TRY(plim_to_text(run, v, &s));
    PLIM_TRY(plim_work(run, s->bytes / 4)); /* each byte for itself */
    for (size_t i = 0; i < s->bytes; i++) {
        unsigned char c = (unsigned char)s->data[i];
        char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
        bool input = plim_str_input(s, i, i + 1);
        if (stays(c, query))
            PLIM_TRY(plim_buf_add(run, buf, s, i, i + 1));
        else if (c == ' ' && query)
            PLIM_TRY(plim_buf_put(run, buf, "+", 1, input));
        else
            PLIM_TRY(plim_buf_put(run, buf, escape, 3, input));
    }
    return PLIM_OK;
}

FILTER(filter_urlencode)
{
    plim_buf *buf;
    plim_iter *iter;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_buf_new(run, &buf));
    if (self.kind == PLIM_V_STR || !plim_iterable(self)) {
        PLIM_TRY(quote_url(run, buf, self, false));
        return plim_buf_take(run, buf, out);
    }
    if (self.kind == PLIM_V_DICT)
        self = (plim_val){.kind = PLIM_V_VIEW, .view = PLIM_VIEW_ITEMS, .u.dict = self.u.dict};
    PLIM_TRY(plim_iterate(run, self, &iter));
    for (bool first = true;; first = false) {
        plim_val pair;
        plim_list *two;
        PLIM_TRY(plim_next(run, iter, &pair));
        if (pair.kind == PLIM_V_MISSING)
            return plim_buf_take(run, buf, out);
        PLIM_TRY(plim_to_list(run, pair, &two));
        if (two->count != 2)
            return plim_run_fail(run, PLIM_E_FORMAT, "urlencode takes pairs");
        if (!first)
            PLIM_TRY(plim_buf_literal(run, buf, "&"));
        PLIM_TRY(quote_url(run, buf, two->at[0], true));
        PLIM_TRY(plim_buf_literal(run, buf, "="));
        PLIM_TRY(quote_url(run, buf, two->at[1], true));
    }
}

const plim_builtin plim_filters_text[] = {
    {"string", filter_string, 0, ""},
    {"upper", filter_upper, 0, ""},
    {"lower", filter_lower, 0, ""},
    {"capitalize", filter_capitalize, 0, ""},
    {"title", filter_title, 0, ""},
    {"trim", filter_trim, 0, "chars"},
    {"replace", filter_replace, 2, "old,new,count"},
    {"center", filter_center, 0, "width"},
    {"indent", filter_indent, 0, "width,first,blank"},
    {"truncate", filter_truncate, 0, "length,killwords,end,leeway"},
    {"wordcount", filter_wordcount, 0, ""},
    {"format", filter_format, 0, NULL},
    {"urlencode", filter_urlencode, 0, ""},
    {NULL, NULL, 0, NULL},
};
