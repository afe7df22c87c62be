/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on marked strings that both methods and filters give. */
#include "chat/strings.h"

plim_status plim_str_replace(plim_run *run, const plim_str *s, const plim_str *before,
                             const plim_str *after, int64_t count, plim_val *out)
{
    plim_buf *buf;
    size_t from = 0, search = 0;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work_find(run, s->bytes, before));
    for (; count != 0; count -= count > 0) {
        size_t at = plim_str_find(s, before, search, s->bytes);
        if (at == SIZE_MAX)
            break;
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_buf_add(run, buf, s, from, at));
        PLIM_TRY(plim_buf_all(run, buf, after));
        from = at + before->bytes;
        if (before->bytes) {
            search = from;
            continue;
        }
        if (at >= s->bytes) /* "" stands before each character and at the end */
            break;
        uint32_t code;
        search = at + plim_str_char(s, at, &code);
    }
    PLIM_TRY(plim_buf_add(run, buf, s, from, s->bytes));
    return plim_buf_take(run, buf, out);
}

/* ---- split ---- */

static plim_status add_part(plim_run *run, plim_list *list, plim_val s, size_t from, size_t to)
{
    plim_val part;
    PLIM_TRY(plim_str_part(run, s.u.s, from, to, &part));
    part.markup = s.markup;
    return plim_list_add(run, list, part);
}

static plim_status split_at(plim_run *run, plim_val s, const plim_str *sep, int64_t limit,
                            plim_list *list)
{
    size_t from = 0;
    for (; limit != 0; limit -= limit > 0) {
        size_t at = plim_str_find(s.u.s, sep, from, s.u.s->bytes);
        if (at == SIZE_MAX)
            break;
        PLIM_TRY(add_part(run, list, s, from, at));
        from = at + sep->bytes;
    }
    return add_part(run, list, s, from, s.u.s->bytes);
}

static plim_status split_at_right(plim_run *run, plim_val s, const plim_str *sep, int64_t limit,
                                  plim_list *list)
{
    size_t to = s.u.s->bytes;
    for (; limit != 0; limit -= limit > 0) {
        PLIM_TRY(plim_work(run, (to / 64) * (sep->bytes / 32)));
        size_t at = plim_str_find_last(s.u.s, sep, 0, to);
        if (at == SIZE_MAX)
            break;
        PLIM_TRY(add_part(run, list, s, at + sep->bytes, to));
        to = at;
    }
    return add_part(run, list, s, 0, to);
}

static bool space_at(const plim_str *s, size_t at, size_t *bytes)
{
    uint32_t code;
    *bytes = plim_str_char(s, at, &code);
    return plim_char_flags(code) & PLIM_CHAR_SPACE;
}

static plim_status split_space(plim_run *run, plim_val v, int64_t limit, plim_list *list)
{
    const plim_str *s = v.u.s;
    size_t at = 0, n;
    for (;; limit -= limit > 0) {
        while (at < s->bytes && space_at(s, at, &n))
            at += n;
        if (at >= s->bytes)
            return PLIM_OK;
        size_t from = at;
        if (limit == 0) {
            size_t begin, end;
            plim_str_strip(s, NULL, PLIM_STRIP_RIGHT, &begin, &end);
            return add_part(run, list, v, from, end < from ? from : s->bytes);
        }
        while (at < s->bytes && !space_at(s, at, &n))
            at += n;
        PLIM_TRY(add_part(run, list, v, from, at));
    }
}

static bool space_before(const plim_str *s, size_t at, size_t *bytes)
{
    uint32_t code;
    *bytes = plim_str_char_before(s, at, &code);
    return plim_char_flags(code) & PLIM_CHAR_SPACE;
}

static plim_status split_space_right(plim_run *run, plim_val v, int64_t limit, plim_list *list)
{
    const plim_str *s = v.u.s;
    size_t at = s->bytes, n;
    for (;; limit -= limit > 0) {
        while (at > 0 && space_before(s, at, &n))
            at -= n;
        if (!at)
            return PLIM_OK;
        size_t to = at;
        if (limit == 0)
            return add_part(run, list, v, 0, to);
        while (at > 0 && !space_before(s, at, &n))
            at -= n;
        PLIM_TRY(add_part(run, list, v, at, to));
    }
}

plim_status plim_str_split(plim_run *run, plim_val s, const plim_str *sep, int64_t limit,
                           bool right, plim_list **out)
{
    PLIM_TRY(plim_list_new(run, 0, out));
    PLIM_TRY(!sep    ? plim_work_chars(run, s.u.s->bytes)
             : right ? plim_work_find_last(run, s.u.s->bytes, sep)
                     : plim_work_find(run, s.u.s->bytes, sep));
    if (sep && !sep->bytes)
        return plim_run_fail(run, PLIM_E_FORMAT, "empty separator");
    if (!right)
        return sep ? split_at(run, s, sep, limit, *out) : split_space(run, s, limit, *out);
    PLIM_TRY(sep ? split_at_right(run, s, sep, limit, *out)
                 : split_space_right(run, s, limit, *out));
    for (size_t i = 0, k = (*out)->count; i + 1 < k; i++) {
        k--;
        plim_val swap = (*out)->at[i];
        (*out)->at[i] = (*out)->at[k];
        (*out)->at[k] = swap;
    }
    return PLIM_OK;
}

plim_status plim_str_lines(plim_run *run, plim_val s, bool keep_ends, plim_list **out)
{
    size_t from = 0;
    PLIM_TRY(plim_list_new(run, 0, out));
    PLIM_TRY(plim_work_chars(run, s.u.s->bytes));
    for (size_t at = 0; at < s.u.s->bytes;) {
        uint32_t code, after;
        size_t n = plim_str_char(s.u.s, at, &code);
        if (!plim_char_ends_line(code)) {
            at += n;
            continue;
        }
        size_t end = at + n;
        if (code == '\r' && end < s.u.s->bytes && plim_str_char(s.u.s, end, &after) &&
            after == '\n')
            end++;
        PLIM_TRY(add_part(run, *out, s, from, keep_ends ? end : at));
        at = from = end;
    }
    return from < s.u.s->bytes ? add_part(run, *out, s, from, s.u.s->bytes) : PLIM_OK;
}

plim_status plim_str_strip_val(plim_run *run, plim_val s, plim_val chars, unsigned sides,
                               plim_val *out)
{
    const plim_str *set = NULL;
    size_t from, to;
    if (chars.kind != PLIM_V_MISSING && chars.kind != PLIM_V_NONE)
        PLIM_TRY(plim_to_str(run, chars, "what is stripped", &set));
    PLIM_TRY(plim_work(run, s.u.s->bytes / 8 * (set ? set->bytes / 4 + 1 : 1)));
    plim_str_strip(s.u.s, set, sides, &from, &to);
    PLIM_TRY(plim_str_part(run, s.u.s, from, to, out));
    out->markup = s.markup;
    return PLIM_OK;
}

/* ---- padding ---- */

plim_status plim_str_pad(plim_run *run, const plim_str *s, int64_t left, int64_t right,
                         const plim_str *fill, plim_val *out)
{
    plim_buf *buf;
    plim_val before, after;
    PLIM_TRY(plim_str_repeat(run, fill, left, &before));
    PLIM_TRY(plim_str_repeat(run, fill, right, &after));
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_buf_all(run, buf, before.u.s));
    PLIM_TRY(plim_buf_all(run, buf, s));
    PLIM_TRY(plim_buf_all(run, buf, after.u.s));
    return plim_buf_take(run, buf, out);
}

plim_status plim_str_center(plim_run *run, const plim_str *s, int64_t width, const plim_str *fill,
                            plim_val *out)
{
    PLIM_TRY(plim_work_bytes(run, s->bytes));
    int64_t length = (int64_t)plim_str_length(s);
    if (width <= length)
        return plim_str_part(run, s, 0, s->bytes, out);
    int64_t margin = width - length, left = margin / 2 + (margin & width & 1);
    return plim_str_pad(run, s, left, margin - left, fill, out);
}

/* ---- case ---- */

plim_status plim_str_mapped(plim_run *run, plim_val s, plim_case kind, plim_val *out)
{
    plim_buf *buf;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_str_case(run, s.u.s, kind, buf, 0, s.u.s->bytes));
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = s.markup;
    return PLIM_OK;
}

plim_status plim_str_capitalize(plim_run *run, plim_val s, plim_val *out)
{
    plim_buf *buf;
    uint32_t code;
    size_t first = s.u.s->bytes ? plim_str_char(s.u.s, 0, &code) : 0;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_str_case(run, s.u.s, PLIM_CASE_TITLE, buf, 0, first));
    PLIM_TRY(plim_str_case(run, s.u.s, PLIM_CASE_LOWER, buf, first, s.u.s->bytes));
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = s.markup;
    return PLIM_OK;
}

/* Whether there is a letter with case, and none of the other case or of title case. */
static plim_status all_of(plim_run *run, const plim_str *s, unsigned want, unsigned forbidden,
                          plim_val *out)
{
    bool some = false;
    PLIM_TRY(plim_work_chars(run, s->bytes));
    *out = plim_bool(false);
    for (size_t i = 0; i < s->bytes;) {
        uint32_t code;
        i += plim_str_char(s, i, &code);
        unsigned flags = plim_char_flags(code);
        if (flags & (forbidden | PLIM_CHAR_TITLE))
            return PLIM_OK;
        some = some || (flags & want);
    }
    *out = plim_bool(some);
    return PLIM_OK;
}

plim_status plim_str_all_lower(plim_run *run, const plim_str *s, plim_val *out)
{
    return all_of(run, s, PLIM_CHAR_LOWER, PLIM_CHAR_UPPER, out);
}

plim_status plim_str_all_upper(plim_run *run, const plim_str *s, plim_val *out)
{
    return all_of(run, s, PLIM_CHAR_UPPER, PLIM_CHAR_LOWER, out);
}

plim_status plim_str_join(plim_run *run, const plim_str *sep, plim_val items, bool convert,
                          plim_val *out)
{
    plim_buf *buf;
    plim_iter *iter;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_iterate(run, items, &iter));
    for (bool first = true;; first = false) {
        plim_val item;
        PLIM_TRY(plim_next(run, iter, &item));
        if (item.kind == PLIM_V_MISSING)
            return plim_buf_take(run, buf, out);
        if (!first)
            PLIM_TRY(plim_buf_all(run, buf, sep));
        if (!convert && item.kind != PLIM_V_STR)
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "sequence item: expected str instance, %s found",
                                 plim_type_name(item));
        PLIM_TRY(plim_print(run, buf, item));
    }
}
