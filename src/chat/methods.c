/* SPDX-License-Identifier: Apache-2.0
 *
 * Methods of dicts, lists, tuples, numbers, loops and cyclers; those that change a list or a dict
 * the sandbox forbids (attr.c). */
#include <math.h>

#include "base/num.h"
#include "chat/run.h"

#define METHOD(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

/* ---- dict ---- */

static plim_val view_of(plim_val self, plim_view view)
{
    return (plim_val){.kind = PLIM_V_VIEW, .view = (uint8_t)view, .u.dict = self.u.dict};
}

METHOD(dict_items)
{
    (void)run;
    (void)args;
    (void)raw;
    *out = view_of(self, PLIM_VIEW_ITEMS);
    return PLIM_OK;
}

METHOD(dict_keys)
{
    (void)run;
    (void)args;
    (void)raw;
    *out = view_of(self, PLIM_VIEW_KEYS);
    return PLIM_OK;
}

METHOD(dict_values)
{
    (void)run;
    (void)args;
    (void)raw;
    *out = view_of(self, PLIM_VIEW_VALUES);
    return PLIM_OK;
}

METHOD(dict_get)
{
    bool found;
    (void)raw;
    PLIM_TRY(plim_dict_get(run, self.u.dict, args[0], out, &found));
    if (!found)
        *out = args[1].kind == PLIM_V_MISSING ? plim_none() : args[1];
    return PLIM_OK;
}

METHOD(dict_copy)
{
    plim_dict *dict;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_dict_new(run, &dict));
    PLIM_TRY(plim_dict_update(run, dict, self));
    *out = plim_of_dict(dict);
    return PLIM_OK;
}

METHOD(dict_fromkeys)
{
    plim_dict *dict;
    plim_iter *iter;
    (void)self;
    (void)raw;
    PLIM_TRY(plim_dict_new(run, &dict));
    PLIM_TRY(plim_iterate(run, args[0], &iter));
    for (;;) {
        plim_val key;
        PLIM_TRY(plim_next(run, iter, &key));
        if (key.kind == PLIM_V_MISSING)
            break;
        PLIM_TRY(
            plim_dict_set(run, dict, key, args[1].kind == PLIM_V_MISSING ? plim_none() : args[1]));
    }
    *out = plim_of_dict(dict);
    return PLIM_OK;
}

/* ---- lists, tuples, ranges ---- */

METHOD(list_copy)
{
    plim_list *list;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_list(run, self, &list));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

METHOD(list_count)
{
    int64_t count = 0;
    plim_iter *iter;
    (void)raw;
    PLIM_TRY(plim_iterate(run, self, &iter));
    for (;;) {
        plim_val item;
        bool same;
        PLIM_TRY(plim_next(run, iter, &item));
        if (item.kind == PLIM_V_MISSING)
            break;
        PLIM_TRY(plim_equal(run, item, args[0], &same));
        count += same;
    }
    *out = plim_int(count);
    return PLIM_OK;
}

METHOD(list_index)
{
    int64_t length, n[2] = {0, INT64_MAX};
    (void)raw;
    PLIM_TRY(plim_length(run, self, &length));
    for (int i = 0; i < 2; i++) {
        if (args[1 + i].kind != PLIM_V_MISSING)
            PLIM_TRY(plim_to_index(run, args[1 + i], "a list index", &n[i]));
        if (n[i] < 0)
            n[i] = n[i] + length < 0 ? 0 : n[i] + length;
    }
    for (int64_t i = n[0]; i < length && i < n[1]; i++) {
        plim_val item;
        bool same;
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_getitem(run, self, plim_int(i), &item));
        PLIM_TRY(plim_equal(run, item, args[0], &same));
        if (same) {
            *out = plim_int(i);
            return PLIM_OK;
        }
    }
    return plim_run_fail(run, PLIM_E_FORMAT, "the value is not in the list");
}

/* ---- numbers ---- */

METHOD(number_is_integer)
{
    (void)args;
    (void)raw;
    if (self.kind != PLIM_V_FLOAT)
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object has no attribute 'is_integer'",
                             plim_type_name(self));
    *out = plim_bool(isfinite(self.u.f) && self.u.f == floor(self.u.f));
    return PLIM_OK;
}

METHOD(number_bit_length)
{
    (void)args;
    (void)raw;
    if (!plim_is_integral(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "'float' object has no attribute 'bit_length'");
    int64_t i = plim_integral(self);
    uint64_t size = i < 0 ? -(uint64_t)i : (uint64_t)i;
    *out = plim_int(size ? 64 - __builtin_clzll(size) : 0);
    return PLIM_OK;
}

METHOD(number_bit_count)
{
    (void)args;
    (void)raw;
    if (!plim_is_integral(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "'float' object has no attribute 'bit_count'");
    int64_t i = plim_integral(self);
    *out = plim_int(__builtin_popcountll(i < 0 ? -(uint64_t)i : (uint64_t)i));
    return PLIM_OK;
}

METHOD(number_conjugate)
{
    (void)run;
    (void)args;
    (void)raw;
    *out = self.kind == PLIM_V_BOOL ? plim_int(self.u.b) : self;
    return PLIM_OK;
}

/* ---- loops and cyclers ---- */

METHOD(loop_cycle)
{
    (void)args;
    if (!raw->count || raw->named)
        return plim_run_fail(run, PLIM_E_FORMAT, "no items for cycling given");
    *out = raw->at[(size_t)self.u.loop->index0 % raw->count];
    return PLIM_OK;
}

METHOD(loop_changed)
{
    plim_list *values;
    bool same = false;
    plim_loop *loop = self.u.loop;
    (void)args;
    PLIM_TRY(plim_list_new(run, raw->count, &values));
    for (size_t i = 0; i < raw->count; i++)
        PLIM_TRY(plim_list_add(run, values, raw->at[i]));
    plim_val now = plim_of_list(values, PLIM_V_TUPLE);
    if (loop->changed.kind != PLIM_V_MISSING)
        PLIM_TRY(plim_equal(run, loop->changed, now, &same));
    loop->changed = now;
    *out = plim_bool(!same);
    return PLIM_OK;
}

METHOD(cycler_next)
{
    plim_list *list = self.u.list;
    (void)run;
    (void)args;
    (void)raw;
    *out = list->at[list->turn];
    list->turn = (list->turn + 1) % list->count;
    return PLIM_OK;
}

METHOD(cycler_reset)
{
    (void)run;
    (void)args;
    (void)raw;
    self.u.list->turn = 0;
    *out = plim_none();
    return PLIM_OK;
}

const plim_builtin plim_methods_dict[] = {
    {"items", dict_items, 0, ""},   {"keys", dict_keys, 0, ""},
    {"values", dict_values, 0, ""}, {"get", dict_get, 1, "/key,/default"},
    {"copy", dict_copy, 0, ""},     {"fromkeys", dict_fromkeys, 1, "/iterable,/value"},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_list[] = {
    {"copy", list_copy, 0, ""},
    {"count", list_count, 1, "/value"},
    {"index", list_index, 1, "/value,/start,/stop"},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_tuple[] = {
    {"count", list_count, 1, "/value"},
    {"index", list_index, 1, "/value,/start,/stop"},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_number[] = {
    {"is_integer", number_is_integer, 0, ""},
    {"bit_length", number_bit_length, 0, ""},
    {"bit_count", number_bit_count, 0, ""},
    {"conjugate", number_conjugate, 0, ""},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_loop[] = {
    {"cycle", loop_cycle, 0, NULL},
    {"changed", loop_changed, 0, NULL},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_cycler[] = {
    {"next", cycler_next, 0, ""},
    {"reset", cycler_reset, 0, ""},
    {NULL, NULL, 0, NULL},
};

const plim_builtin plim_methods_factory[] = {
    {"fromkeys", dict_fromkeys, 1, "/iterable,/value"},
    {NULL, NULL, 0, NULL},
};
