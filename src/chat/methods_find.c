/* SPDX-License-Identifier: Apache-2.0
 *
 * Methods of strings that search, cut and replace. */
#include "chat/strings.h"

#define METHOD(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

METHOD(str_strip)
{
    (void)raw;
    return plim_str_strip_val(run, self, args[0], PLIM_STRIP_LEFT | PLIM_STRIP_RIGHT, out);
}

METHOD(str_lstrip)
{
    (void)raw;
    return plim_str_strip_val(run, self, args[0], PLIM_STRIP_LEFT, out);
}

METHOD(str_rstrip)
{
    (void)raw;
    return plim_str_strip_val(run, self, args[0], PLIM_STRIP_RIGHT, out);
}

static plim_status split(plim_run *run, plim_val self, const plim_val *args, bool right,
                         plim_val *out)
{
    const plim_str *sep = NULL;
    int64_t limit = -1;
    plim_list *list;
    if (args[0].kind != PLIM_V_MISSING && args[0].kind != PLIM_V_NONE)
        PLIM_TRY(plim_to_str(run, args[0], "the separator", &sep));
    if (args[1].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[1], "maxsplit", &limit));
    PLIM_TRY(plim_str_split(run, self, sep, limit, right, &list));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

METHOD(str_split)
{
    (void)raw;
    return split(run, self, args, false, out);
}

METHOD(str_rsplit)
{
    (void)raw;
    return split(run, self, args, true, out);
}

METHOD(str_splitlines)
{
    plim_list *list;
    (void)raw;
    PLIM_TRY(plim_str_lines(run, self, plim_truth(args[0]), &list));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

METHOD(str_replace)
{
    const plim_str *before, *after;
    int64_t count = -1;
    (void)raw;
    PLIM_TRY(plim_to_str(run, args[0], "what is replaced", &before));
    plim_val replacement = args[1];
    if (self.markup)
        PLIM_TRY(plim_escape(run, replacement, &replacement));
    PLIM_TRY(plim_to_str(run, replacement, "the replacement", &after));
    if (args[2].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[2], "the count", &count));
    PLIM_TRY(plim_str_replace(run, self.u.s, before, after, count, out));
    out->markup = self.markup;
    return PLIM_OK;
}

static plim_status partition(plim_run *run, plim_val self, const plim_val *args, bool right,
                             plim_val *out)
{
    const plim_str *sep, *s = self.u.s;
    plim_list *list;
    PLIM_TRY(plim_to_str(run, args[0], "the separator", &sep));
    if (!sep->bytes)
        return plim_run_fail(run, PLIM_E_FORMAT, "empty separator");
    PLIM_TRY(right ? plim_work_find_last(run, s->bytes, sep) : plim_work_find(run, s->bytes, sep));
    size_t at =
        right ? plim_str_find_last(s, sep, 0, s->bytes) : plim_str_find(s, sep, 0, s->bytes);
    size_t cuts[4] = {0, at, at + sep->bytes, s->bytes};
    if (at == SIZE_MAX) {
        cuts[1] = right ? 0 : s->bytes;
        cuts[2] = cuts[1];
    }
    PLIM_TRY(plim_list_new(run, 3, &list));
    for (int i = 0; i < 3; i++) {
        plim_val part;
        PLIM_TRY(plim_str_part(run, s, cuts[i], cuts[i + 1], &part));
        part.markup = self.markup;
        PLIM_TRY(plim_list_add(run, list, part));
    }
    *out = plim_of_list(list, PLIM_V_TUPLE);
    return PLIM_OK;
}

METHOD(str_partition)
{
    (void)raw;
    return partition(run, self, args, false, out);
}

METHOD(str_rpartition)
{
    (void)raw;
    return partition(run, self, args, true, out);
}

/* ---- ranges [start, end) of characters, as find and startswith take them ---- */

static plim_status bounds(plim_run *run, const plim_str *s, plim_val start, plim_val end,
                          size_t *from, size_t *to, bool *empty)
{
    int64_t n[2] = {0, INT64_MAX}, length;
    const plim_val given[2] = {start, end};
    *from = 0;
    *to = s->bytes;
    *empty = false;
    if (start.kind == PLIM_V_MISSING && end.kind == PLIM_V_MISSING)
        return PLIM_OK;
    PLIM_TRY(plim_work_chars(run, s->bytes)); /* its length, and two places looked for */
    length = (int64_t)plim_str_length(s);
    for (int i = 0; i < 2; i++) {
        if (given[i].kind == PLIM_V_MISSING || given[i].kind == PLIM_V_NONE)
            continue;
        PLIM_TRY(plim_to_index(run, given[i], "a slice index", &n[i]));
        if (n[i] < 0)
            n[i] = n[i] + length < 0 ? 0 : n[i] + length;
    }
    *empty = n[0] > length || n[0] > n[1];
    *from = plim_str_seek(s, (size_t)(n[0] > length ? length : n[0]));
    *to = plim_str_seek(s, (size_t)(n[1] > length ? length : n[1]));
    return PLIM_OK;
}

static plim_status find(plim_run *run, plim_val self, const plim_val *args, bool last,
                        int64_t *place)
{
    const plim_str *needle, *s = self.u.s;
    size_t from, to;
    bool empty;
    PLIM_TRY(plim_to_str(run, args[0], "what is looked for", &needle));
    PLIM_TRY(bounds(run, s, args[1], args[2], &from, &to, &empty));
    PLIM_TRY(last ? plim_work_find_last(run, s->bytes, needle)
                  : plim_work_find(run, s->bytes, needle));
    size_t at = empty  ? SIZE_MAX
                : last ? plim_str_find_last(s, needle, from, to)
                       : plim_str_find(s, needle, from, to);
    plim_str before = {.data = s->data, .bytes = at};
    *place = at == SIZE_MAX ? -1 : (int64_t)plim_str_length(&before);
    return PLIM_OK;
}

METHOD(str_find)
{
    int64_t at;
    (void)raw;
    PLIM_TRY(find(run, self, args, false, &at));
    *out = plim_int(at);
    return PLIM_OK;
}

METHOD(str_rfind)
{
    int64_t at;
    (void)raw;
    PLIM_TRY(find(run, self, args, true, &at));
    *out = plim_int(at);
    return PLIM_OK;
}

static plim_status must_find(plim_run *run, int64_t at, plim_val *out)
{
    *out = plim_int(at);
    return at >= 0 ? PLIM_OK : plim_run_fail(run, PLIM_E_FORMAT, "substring not found");
}

METHOD(str_index)
{
    int64_t at;
    (void)raw;
    PLIM_TRY(find(run, self, args, false, &at));
    return must_find(run, at, out);
}

METHOD(str_rindex)
{
    int64_t at;
    (void)raw;
    PLIM_TRY(find(run, self, args, true, &at));
    return must_find(run, at, out);
}

METHOD(str_count)
{
    const plim_str *needle, *s = self.u.s;
    size_t from, to;
    bool empty;
    int64_t count = 0;
    (void)raw;
    PLIM_TRY(plim_to_str(run, args[0], "what is counted", &needle));
    PLIM_TRY(bounds(run, s, args[1], args[2], &from, &to, &empty));
    PLIM_TRY(plim_work(run, s->bytes / 8)); /* there may be as many as there are bytes */
    PLIM_TRY(plim_work_find(run, s->bytes, needle));
    if (!empty && !needle->bytes) {
        plim_str part = {.data = s->data + from, .bytes = to - from};
        count = (int64_t)plim_str_length(&part) + 1;
    }
    while (!empty && needle->bytes && (from = plim_str_find(s, needle, from, to)) != SIZE_MAX) {
        from += needle->bytes;
        count++;
    }
    *out = plim_int(count);
    return PLIM_OK;
}

/* ---- beginnings and ends ---- */

static bool fits(const plim_str *s, size_t from, size_t to, const plim_str *affix, bool end)
{
    plim_str part = {.bytes = affix->bytes};
    if (affix->bytes > to - from)
        return false;
    part.data = end ? s->data + to - affix->bytes : s->data + from;
    return plim_str_equal(&part, affix);
}

static plim_status affix(plim_run *run, plim_val self, const plim_val *args, bool end,
                         plim_val *out)
{
    size_t from, to;
    bool empty, found = false;
    const plim_str *one;
    PLIM_TRY(bounds(run, self.u.s, args[1], args[2], &from, &to, &empty));
    size_t several = args[0].kind == PLIM_V_TUPLE ? args[0].u.list->count : 1;
    for (size_t i = 0; i < several && !found; i++) {
        plim_val v = args[0].kind == PLIM_V_TUPLE ? args[0].u.list->at[i] : args[0];
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_to_str(run, v, "a beginning or end", &one));
        PLIM_TRY(plim_work_bytes(run, one->bytes));
        found = !empty && from <= to && fits(self.u.s, from, to, one, end);
    }
    *out = plim_bool(found);
    return PLIM_OK;
}

METHOD(str_startswith)
{
    (void)raw;
    return affix(run, self, args, false, out);
}

METHOD(str_endswith)
{
    (void)raw;
    return affix(run, self, args, true, out);
}

static plim_status remove_affix(plim_run *run, plim_val self, plim_val what, bool end,
                                plim_val *out)
{
    const plim_str *one, *s = self.u.s;
    PLIM_TRY(plim_to_str(run, what, "what is removed", &one));
    PLIM_TRY(plim_work_bytes(run, one->bytes));
    bool found = fits(s, 0, s->bytes, one, end);
    size_t cut = found ? one->bytes : 0;
    PLIM_TRY(plim_str_part(run, s, end ? 0 : cut, end ? s->bytes - cut : s->bytes, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_removeprefix)
{
    (void)raw;
    return remove_affix(run, self, args[0], false, out);
}

METHOD(str_removesuffix)
{
    (void)raw;
    return remove_affix(run, self, args[0], true, out);
}

/* ---- translate ---- */

METHOD(str_maketrans)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "maketrans()");
}

METHOD(str_translate)
{
    plim_buf *buf;
    (void)raw;
    PLIM_TRY(plim_buf_new(run, &buf));
    if (args[0].kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "translate() takes a dict");
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        plim_val to;
        bool found;
        size_t n = plim_str_char(self.u.s, i, &code);
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_dict_get(run, args[0].u.dict, plim_int(code), &to, &found));
        if (!found)
            PLIM_TRY(plim_buf_add(run, buf, self.u.s, i, i + n));
        else if (to.kind == PLIM_V_STR)
            PLIM_TRY(plim_buf_all(run, buf, to.u.s));
        else if (to.kind == PLIM_V_INT && to.u.i >= 0 && to.u.i < 0x110000)
            PLIM_TRY(plim_buf_char(run, buf, (uint32_t)to.u.i, true)); /* as of %c */
        else if (to.kind != PLIM_V_NONE)
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "character mapping must return an integer, "
                                 "None or a string");
        i += n;
    }
    return plim_buf_take(run, buf, out);
}

const plim_builtin plim_methods_str_find[] = {
    {"strip", str_strip, 0, "/chars"},
    {"lstrip", str_lstrip, 0, "/chars"},
    {"rstrip", str_rstrip, 0, "/chars"},
    {"split", str_split, 0, "sep,maxsplit"},
    {"rsplit", str_rsplit, 0, "sep,maxsplit"},
    {"splitlines", str_splitlines, 0, "keepends"},
    {"replace", str_replace, 2, "/old,/new,/count"},
    {"partition", str_partition, 1, "/sep"},
    {"rpartition", str_rpartition, 1, "/sep"},
    {"find", str_find, 1, "/sub,/start,/end"},
    {"rfind", str_rfind, 1, "/sub,/start,/end"},
    {"index", str_index, 1, "/sub,/start,/end"},
    {"rindex", str_rindex, 1, "/sub,/start,/end"},
    {"count", str_count, 1, "/sub,/start,/end"},
    {"startswith", str_startswith, 1, "/prefix,/start,/end"},
    {"endswith", str_endswith, 1, "/suffix,/start,/end"},
    {"removeprefix", str_removeprefix, 1, "/prefix"},
    {"removesuffix", str_removesuffix, 1, "/suffix"},
    {"translate", str_translate, 1, "/table"},
    {"maketrans", str_maketrans, 0, NULL},
    {NULL, NULL, 0, NULL},
};
