/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters that lay text out as Python's textwrap and pprint do: wordwrap and pprint. */
#include <string.h>

#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

/* ---- wordwrap: chunks ---- */

/* A line as characters: code[i] begins at byte offset[i]; two zeros stand behind the last. */
typedef struct letters {
    const plim_str *text;
    uint32_t *code;
    size_t *offset;
    size_t count;
} letters;

static plim_status spell(plim_run *run, const plim_str *text, letters *out)
{
    out->text = text;
    out->count = 0;
    PLIM_TRY(plim_work(run, text->bytes / 16));
    out->code = plim_run_new(run, text->bytes + 2, sizeof *out->code);
    out->offset = plim_run_new(run, text->bytes + 2, sizeof *out->offset);
    if (!out->code || !out->offset)
        return plim_run_error(run);
    for (size_t i = 0; i < text->bytes; out->count++) {
        out->offset[out->count] = i;
        i += plim_str_char(text, i, &out->code[out->count]);
    }
    out->offset[out->count] = text->bytes;
    return PLIM_OK;
}

static bool is_blank(uint32_t code)
{
    return code == ' ' || (code >= '\t' && code <= '\r');
}

static bool is_word(uint32_t code)
{
    return code == '_' || (plim_char_flags(code) & (PLIM_CHAR_ALPHA | PLIM_CHAR_DECIMAL |
                                                    PLIM_CHAR_DIGIT | PLIM_CHAR_NUMERIC));
}

static bool is_letter(uint32_t code)
{
    return is_word(code) && !(plim_char_flags(code) & PLIM_CHAR_DECIMAL);
}

/* What an em-dash may stand behind. */
static bool before_dash(uint32_t code)
{
    return is_word(code) || (code && code < 0x80 && strchr("!\"'&.,?", (char)code));
}

/* The end of dashes at i, two or more and a word behind them, or 0. */
static size_t em_dash(const letters *l, size_t i)
{
    size_t end = i;
    while (end < l->count && l->code[end] == '-')
        end++;
    return end - i >= 2 && end < l->count && is_word(l->code[end]) ? end : 0;
}

/* Whether a word may be broken behind the hyphen at i: two letters before it, and behind it. */
static bool hyphen(const letters *l, size_t i)
{
    const uint32_t *c = l->code + i;
    bool before = i >= 2 && is_letter(c[-1]) &&
                  (is_letter(c[-2]) || (i >= 3 && c[-2] == '-' && is_letter(c[-3])));
    if (*c != '-' || !before || i + 2 >= l->count || !is_letter(c[1]))
        return false;
    return is_letter(c[2]) || (i + 3 < l->count && c[2] == '-' && is_letter(c[3]));
}

/* Where the chunk that begins at i ends: blanks, an em-dash, or a word up to a hyphen. */
static size_t chunk_end(const letters *l, size_t i, bool hyphens)
{
    bool blank = is_blank(l->code[i]);
    size_t end = i, dash;
    if (blank || !hyphens) {
        while (end < l->count && is_blank(l->code[end]) == blank)
            end++;
        return end;
    }
    if (i && before_dash(l->code[i - 1]) && (dash = em_dash(l, i)) != 0)
        return dash;
    for (end = i + 1; end < l->count && !is_blank(l->code[end]); end++) {
        if (hyphen(l, end))
            return end + 1;
        if (before_dash(l->code[end - 1]) && em_dash(l, end))
            break;
    }
    return end;
}

/* ---- wordwrap: lines ---- */

typedef struct wrapping {
    size_t width;
    bool break_long, hyphens;
    const plim_str *newline;
} wrapping;

static bool all_space(const letters *l, size_t from, size_t to)
{
    while (from < to && (plim_char_flags(l->code[from]) & PLIM_CHAR_SPACE))
        from++;
    return from == to;
}

/* How much of the long chunk from..to fits into `space`: up to a hyphen, where there is one. */
static size_t broken(const letters *l, size_t from, size_t space, const wrapping *w)
{
    bool other = false; /* than hyphens before it */
    size_t end = from + space;
    for (size_t i = from; w->hyphens && i < from + space; i++) {
        if (l->code[i] == '-' && other)
            end = i + 1;
        other = other || l->code[i] != '-';
    }
    return end;
}

/* One paragraph, whose chunks end at ends[].  A line is made of chunks that follow each other in
 * the text: from begin to at, the last of them from `last` on. */
static plim_status wrap(plim_run *run, const letters *l, const wrapping *w, plim_buf *buf)
{
    bool some = false;
    size_t count = 0, *ends = plim_run_new(run, l->count + 1, sizeof *ends), c = 0, at = 0;
    if (!ends)
        return plim_run_error(run);
    for (size_t end = 0; end < l->count;)
        ends[count++] = end = chunk_end(l, end, w->hyphens);
    while (c < count) {
        if (some && all_space(l, at, ends[c]))
            at = ends[c++];
        size_t begin = at, last = at, pieces = 0;
        for (; c < count && ends[c] - begin <= w->width; pieces++) {
            last = at;
            at = ends[c++];
        }
        if (c < count && ends[c] - at > w->width && (w->break_long || !pieces)) {
            last = at;
            at = w->break_long ? broken(l, at, w->width - (at - begin), w) : ends[c++];
            pieces++;
        }
        bool dropped = pieces && all_space(l, last, at);
        if (pieces == (size_t)dropped)
            continue;
        if (some)
            PLIM_TRY(plim_buf_all(run, buf, w->newline));
        PLIM_TRY(plim_buf_add(run, buf, l->text, l->offset[begin], l->offset[dropped ? last : at]));
        some = true;
    }
    return PLIM_OK;
}

FILTER(filter_wordwrap)
{
    static const plim_str newline = {.data = "\n", .bytes = 1};
    wrapping w = {.break_long = args[1].kind == PLIM_V_MISSING || plim_truth(args[1]),
                  .hyphens = args[3].kind == PLIM_V_MISSING || plim_truth(args[3]),
                  .newline = &newline};
    int64_t width = 79;
    const plim_str *text;
    plim_list *lines;
    plim_buf *buf;
    (void)raw;
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    PLIM_TRY(plim_to_str(run, self, "what is wrapped", &text));
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[0], "the width", &width));
    if (args[2].kind != PLIM_V_MISSING && args[2].kind != PLIM_V_NONE)
        PLIM_TRY(plim_to_str(run, args[2], "the line break", &w.newline));
    PLIM_TRY(plim_str_lines(run, self, false, &lines));
    PLIM_TRY(plim_buf_new(run, &buf));
    if (width <= 0 && lines->count)
        return plim_run_fail(run, PLIM_E_FORMAT, "invalid width %lld (must be > 0)",
                             (long long)width);
    w.width = (size_t)width;
    for (size_t i = 0; i < lines->count; i++) {
        letters l;
        if (i)
            PLIM_TRY(plim_buf_all(run, buf, w.newline));
        PLIM_TRY(spell(run, lines->at[i].u.s, &l));
        PLIM_TRY(wrap(run, &l, &w, buf));
    }
    return plim_buf_take(run, buf, out);
}

/* ---- pprint ---- */

#define PAGE 80

/* A value being laid out: so many columns are taken before it and needed behind it. */
typedef struct place {
    int64_t indent, after;
    bool outermost;
} place;

static plim_status lay_out(plim_run *run, plim_buf *buf, plim_val v, place p);

static bool is_dict(plim_val v)
{
    return v.kind == PLIM_V_DICT && v.u.dict->count;
}

static bool is_list(plim_val v)
{
    return (v.kind == PLIM_V_LIST || (v.kind == PLIM_V_TUPLE && !v.group)) && v.u.list->count;
}

/* The entries of a dict by their keys; keys that have no order, by the names of their types. */
static plim_status sorted_items(plim_run *run, const plim_dict *dict, plim_list **out)
{
    plim_list *keys;
    plim_val view = {.kind = PLIM_V_VIEW, .view = PLIM_VIEW_ITEMS, .u.dict = (plim_dict *)dict};
    PLIM_TRY(plim_to_list(run, view, out));
    PLIM_TRY(plim_list_new(run, dict->count, &keys));
    for (size_t i = 0; i < dict->count; i++) {
        plim_list *two;
        plim_val key = dict->at[i].key;
        PLIM_TRY(plim_list_new(run, 2, &two));
        int64_t rank = plim_is_number(key)        ? 1
                       : key.kind == PLIM_V_STR   ? 2
                       : key.kind == PLIM_V_TUPLE ? 3
                                                  : 0;
        PLIM_TRY(plim_list_add(run, two, plim_int(rank)));
        PLIM_TRY(plim_list_add(run, two, key));
        PLIM_TRY(plim_list_add(run, keys, plim_of_list(two, PLIM_V_LIST)));
    }
    return plim_sort_list(run, *out, keys, false);
}

static const char *bracket(plim_val v, bool opening)
{
    if (v.kind == PLIM_V_DICT)
        return opening ? "{" : "}";
    if (v.kind == PLIM_V_LIST)
        return opening ? "[" : "]";
    return opening ? "(" : v.u.list->count == 1 ? ",)" : ")";
}

/* The members of a dict (as pairs) or of a list. */
static plim_status members(plim_run *run, plim_val v, plim_list **out)
{
    *out = v.u.list;
    return v.kind == PLIM_V_DICT ? sorted_items(run, v.u.dict, out) : PLIM_OK;
}

/* repr, with dicts in order. */
static plim_status flat(plim_run *run, plim_buf *buf, plim_val v)
{
    plim_list *list;
    if (!is_dict(v) && !is_list(v))
        return plim_repr(run, buf, v);
    PLIM_TRY(plim_deeper(run));
    PLIM_TRY(plim_buf_literal(run, buf, bracket(v, true)));
    PLIM_TRY(members(run, v, &list));
    for (size_t i = 0; i < list->count; i++) {
        plim_val one = list->at[i];
        if (i)
            PLIM_TRY(plim_buf_literal(run, buf, ", "));
        if (v.kind == PLIM_V_DICT) {
            PLIM_TRY(flat(run, buf, one.u.list->at[0]));
            PLIM_TRY(plim_buf_literal(run, buf, ": "));
            one = one.u.list->at[1];
        }
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(flat(run, buf, one));
    }
    plim_shallower(run);
    return plim_buf_literal(run, buf, bracket(v, false));
}

static plim_status flat_text(plim_run *run, plim_val v, const plim_str **out, int64_t *width)
{
    plim_buf *buf;
    plim_val text;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(flat(run, buf, v));
    PLIM_TRY(plim_buf_take(run, buf, &text));
    *out = text.u.s;
    *width = (int64_t)plim_str_length(*out);
    return plim_work_bytes(run, text.u.s->bytes);
}

static plim_status next_line(plim_run *run, plim_buf *buf, int64_t indent)
{
    static const plim_str blank = {.data = " ", .bytes = 1};
    plim_val blanks;
    PLIM_TRY(plim_str_repeat(run, &blank, indent, &blanks));
    PLIM_TRY(plim_buf_literal(run, buf, "\n"));
    return plim_buf_all(run, buf, blanks.u.s);
}

/* A member a line. */
static plim_status lay_out_members(plim_run *run, plim_buf *buf, plim_val v, place p)
{
    const char *close = bracket(v, false);
    plim_list *list;
    PLIM_TRY(members(run, v, &list));
    PLIM_TRY(plim_buf_literal(run, buf, bracket(v, true)));
    for (size_t i = 0; i < list->count; i++) {
        bool last = i + 1 == list->count;
        plim_val one = list->at[i];
        place at = {p.indent + 1, last ? p.after + (int64_t)strlen(close) : 1, false};
        if (v.kind == PLIM_V_DICT) {
            const plim_str *key;
            int64_t width;
            PLIM_TRY(flat_text(run, one.u.list->at[0], &key, &width));
            PLIM_TRY(plim_buf_all(run, buf, key));
            PLIM_TRY(plim_buf_literal(run, buf, ": "));
            at.indent += width + 2;
            one = one.u.list->at[1];
        }
        PLIM_TRY(lay_out(run, buf, one, at));
        if (last)
            break;
        PLIM_TRY(plim_buf_literal(run, buf, ","));
        PLIM_TRY(next_line(run, buf, p.indent + 1));
    }
    return plim_buf_literal(run, buf, close);
}

/* The end of a word and of the whitespace behind it. */
static size_t word_end(const plim_str *s, size_t at)
{
    bool space = false;
    while (at < s->bytes) {
        uint32_t code;
        size_t n = plim_str_char(s, at, &code);
        bool is_space = plim_char_flags(code) & PLIM_CHAR_SPACE;
        if (space && !is_space)
            break;
        space = is_space;
        at += n;
    }
    return at;
}

/* Add a line of a string to the chunks that it is written as, cut between words where its repr is
 * wider than `width`; the last chunk has to leave `after` columns free. */
static plim_status add_chunks(plim_run *run, const plim_str *line, int64_t width, int64_t after,
                              plim_list *chunks)
{
    const plim_str *text;
    plim_val part;
    int64_t wide;
    PLIM_TRY(flat_text(run, plim_text(line), &text, &wide));
    if (wide <= width - after)
        return plim_list_add(run, chunks, plim_text(text));
    for (size_t from = 0, to = 0, end; to < line->bytes; to = end) {
        end = word_end(line, to);
        PLIM_TRY(plim_str_part(run, line, from, end, &part));
        PLIM_TRY(flat_text(run, part, &text, &wide));
        if (wide > width - (end == line->bytes ? after : 0) && to > from) {
            PLIM_TRY(plim_str_part(run, line, from, to, &part));
            PLIM_TRY(flat_text(run, part, &text, &wide));
            PLIM_TRY(plim_list_add(run, chunks, plim_text(text)));
            from = to;
        }
        if (end < line->bytes)
            continue;
        PLIM_TRY(plim_str_part(run, line, from, end, &part));
        PLIM_TRY(flat_text(run, part, &text, &wide));
        PLIM_TRY(plim_list_add(run, chunks, plim_text(text)));
    }
    return PLIM_OK;
}

static plim_status lay_out_string(plim_run *run, plim_buf *buf, plim_val v, place p)
{
    plim_list *lines, *chunks;
    PLIM_TRY(plim_list_new(run, 0, &chunks));
    PLIM_TRY(plim_str_lines(run, v, true, &lines));
    p.indent += p.outermost;
    p.after += p.outermost;
    for (size_t i = 0; i < lines->count; i++)
        PLIM_TRY(add_chunks(run, lines->at[i].u.s, PAGE - p.indent,
                            i + 1 == lines->count ? p.after : 0, chunks));
    bool parentheses = p.outermost && chunks->count > 1;
    if (parentheses)
        PLIM_TRY(plim_buf_literal(run, buf, "("));
    for (size_t i = 0; i < chunks->count; i++) {
        if (i)
            PLIM_TRY(next_line(run, buf, p.indent));
        PLIM_TRY(plim_buf_all(run, buf, chunks->at[i].u.s));
    }
    return parentheses ? plim_buf_literal(run, buf, ")") : PLIM_OK;
}

static plim_status lay_out(plim_run *run, plim_buf *buf, plim_val v, place p)
{
    const plim_str *text;
    int64_t width;
    PLIM_TRY(plim_deeper(run));
    PLIM_TRY(flat_text(run, v, &text, &width));
    if (width > PAGE - p.indent - p.after && (is_dict(v) || is_list(v)))
        PLIM_TRY(lay_out_members(run, buf, v, p));
    else if (width > PAGE - p.indent - p.after && v.kind == PLIM_V_STR && !v.markup && v.u.s->bytes)
        PLIM_TRY(lay_out_string(run, buf, v, p));
    else
        PLIM_TRY(plim_buf_all(run, buf, text));
    plim_shallower(run);
    return PLIM_OK;
}

FILTER(filter_pprint)
{
    plim_buf *buf;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(lay_out(run, buf, self, (place){0, 0, true}));
    return plim_buf_take(run, buf, out);
}

const plim_builtin plim_filters_layout[] = {
    {"wordwrap", filter_wordwrap, 0, "width,break_long_words,wrapstring,break_on_hyphens"},
    {"pprint", filter_pprint, 0, ""},
    {NULL, NULL, 0, NULL},
};
