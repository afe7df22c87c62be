/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on sequences: ends, order, sums, groups. */
#include "chat/filters.h"
#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

FILTER(filter_length)
{
    int64_t length;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_length(run, self, &length));
    *out = plim_int(length);
    return PLIM_OK;
}

FILTER(filter_first)
{
    plim_iter *iter;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_iterate(run, self, &iter));
    PLIM_TRY(plim_next(run, iter, out));
    if (out->kind != PLIM_V_MISSING)
        return PLIM_OK;
    return plim_undefined_new(run, "No first item, sequence was empty.", out);
}

static bool reversible(plim_val v)
{
    return plim_iterable(v) && v.kind != PLIM_V_ITER && v.kind != PLIM_V_LOOP;
}

FILTER(filter_last)
{
    plim_list *list;
    (void)args;
    (void)raw;
    if (!reversible(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object is not reversible",
                             plim_type_name(self));
    if (self.kind == PLIM_V_STR && self.u.s->bytes) {
        uint32_t code;
        size_t n = plim_str_char_before(self.u.s, self.u.s->bytes, &code);
        PLIM_TRY(plim_str_part(run, self.u.s, self.u.s->bytes - n, self.u.s->bytes, out));
        out->markup = self.markup; /* an item of it; what is iterated over is plain */
        return PLIM_OK;
    }
    if (self.kind == PLIM_V_LIST || self.kind == PLIM_V_TUPLE)
        list = self.u.list;
    else
        PLIM_TRY(plim_to_list(run, self, &list));
    if (!list->count)
        return plim_undefined_new(run, "No last item, sequence was empty.", out);
    *out = list->at[list->count - 1];
    return PLIM_OK;
}

FILTER(filter_list)
{
    plim_list *list;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_list(run, self, &list));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

FILTER(filter_reverse)
{
    plim_list *list;
    const plim_val back[3] = {plim_none(), plim_none(), plim_int(-1)};
    (void)args;
    (void)raw;
    if (self.kind == PLIM_V_STR)
        return plim_slice(run, self, back, out);
    PLIM_TRY(plim_to_list(run, self, &list));
    for (size_t i = 0, k = list->count; i + 1 < k; i++) {
        k--;
        plim_val swap = list->at[i];
        list->at[i] = list->at[k];
        list->at[k] = swap;
    }
    *out = plim_of_list(list, PLIM_V_LIST);
    if (!reversible(self)) /* an iterator becomes a list, the others an iterator */
        return PLIM_OK;
    return plim_iter_lazy(run, *out, NULL, NULL, "list_reverseiterator", out);
}

FILTER(filter_join)
{
    static const plim_str nothing = {.data = ""};
    const plim_str *sep = &nothing;
    (void)raw;
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_text(run, args[0], &sep));
    if (args[1].kind != PLIM_V_MISSING && args[1].kind != PLIM_V_NONE)
        PLIM_TRY(plim_map_attribute(run, self, args[1], &self));
    return plim_str_join(run, sep, self, true, out);
}

/* What Jinja2 writes as a generator: made, and what is wrong with it said, when it is read. */
typedef plim_status (*make_fn)(plim_run *run, plim_val self, const plim_val *args, plim_val *out);
typedef struct deferred {
    make_fn make;
    plim_val args[2];
} deferred;

static plim_status next_deferred(plim_run *run, plim_iter *iter, plim_val *out)
{
    const deferred *d = iter->state;
    if (!iter->inner) {
        plim_val made;
        PLIM_TRY(d->make(run, iter->source, d->args, &made));
        PLIM_TRY(plim_iterate(run, made, &iter->inner));
    }
    return plim_next(run, iter->inner, out);
}

static plim_status defer(plim_run *run, make_fn make, plim_val self, const plim_val *args,
                         const char *name, plim_val *out)
{
    deferred *d = plim_run_new(run, 1, sizeof *d);
    if (!d)
        return plim_run_error(run);
    *d = (deferred){make, {args[0], args[1]}};
    return plim_iter_lazy(run, self, next_deferred, d, name, out);
}

static plim_status make_items(plim_run *run, plim_val self, const plim_val *args, plim_val *out)
{
    (void)args;
    *out = self;
    if (self.kind == PLIM_V_UNDEFINED)
        return PLIM_OK;
    if (self.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "can only get item pairs from a mapping");
    *out = (plim_val){.kind = PLIM_V_VIEW, .view = PLIM_VIEW_ITEMS, .u.dict = self.u.dict};
    return PLIM_OK;
}

FILTER(filter_items)
{
    (void)args;
    (void)raw;
    return defer(run, make_items, self, args, "do_items", out);
}

/* ---- order ---- */

/* The keys that a list is sorted by. */
static plim_status keys_of(plim_run *run, const plim_list *list, plim_val attribute, bool case_too,
                           plim_val missing, plim_list **out)
{
    PLIM_TRY(plim_list_new(run, list->count, out));
    for (size_t i = 0; i < list->count; i++) {
        plim_val key = list->at[i];
        PLIM_TRY(plim_attribute_path(run, key, attribute, missing, &key));
        PLIM_TRY(plim_fold_case(run, key, case_too, &key));
        PLIM_TRY(plim_list_add(run, *out, key));
    }
    return PLIM_OK;
}

/* Of "a,b": a list of the values of each; of one, or none, a list too: lists are asked whether they
 * are equal before they are asked for their order. */
static plim_status many_keys(plim_run *run, const plim_list *list, plim_val attribute,
                             bool case_too, plim_list **out)
{
    static const plim_str comma = {.data = ",", .bytes = 1};
    plim_list one = {.at = &attribute, .count = 1}, *names = &one;
    if (attribute.kind == PLIM_V_STR)
        PLIM_TRY(plim_str_split(run, attribute, &comma, -1, false, &names));
    PLIM_TRY(plim_list_new(run, list->count, out));
    for (size_t i = 0; i < list->count; i++) {
        plim_list *keys;
        PLIM_TRY(plim_list_new(run, names->count, &keys));
        for (size_t k = 0; k < names->count; k++) {
            plim_val key = list->at[i];
            PLIM_TRY(plim_attribute_path(run, key, names->at[k], plim_missing(), &key));
            PLIM_TRY(plim_fold_case(run, key, case_too, &key));
            PLIM_TRY(plim_list_add(run, keys, key));
        }
        PLIM_TRY(plim_list_add(run, *out, plim_of_list(keys, PLIM_V_LIST)));
    }
    return PLIM_OK;
}

FILTER(filter_sort)
{
    plim_list *list, *keys;
    (void)raw;
    PLIM_TRY(plim_to_list(run, self, &list));
    PLIM_TRY(many_keys(run, list, args[2], plim_truth(args[1]), &keys));
    PLIM_TRY(plim_sort_list(run, list, keys, plim_truth(args[0])));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

FILTER(filter_dictsort)
{
    bool by_value = args[1].kind == PLIM_V_STR && plim_str_is(args[1].u.s, "value");
    bool by_key = args[1].kind == PLIM_V_MISSING ||
                  (args[1].kind == PLIM_V_STR && plim_str_is(args[1].u.s, "key"));
    plim_list *list, *keys;
    (void)raw;
    if (!by_value && !by_key)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "you can only sort by either \"key\" or \"value\"");
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (self.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object has no attribute 'items'",
                             plim_type_name(self));
    plim_val view = {.kind = PLIM_V_VIEW, .view = PLIM_VIEW_ITEMS, .u.dict = self.u.dict};
    PLIM_TRY(plim_to_list(run, view, &list));
    PLIM_TRY(plim_list_new(run, list->count, &keys));
    for (size_t i = 0; i < list->count; i++) {
        plim_val key = list->at[i].u.list->at[by_value];
        PLIM_TRY(plim_fold_case(run, key, plim_truth(args[0]), &key));
        PLIM_TRY(plim_list_add(run, keys, key));
    }
    PLIM_TRY(plim_sort_list(run, list, keys, plim_truth(args[2])));
    *out = plim_of_list(list, PLIM_V_LIST);
    return PLIM_OK;
}

static plim_status extreme(plim_run *run, plim_val self, const plim_val *args, bool most,
                           plim_val *out)
{
    plim_list *list, *keys;
    size_t best = 0;
    PLIM_TRY(plim_to_list(run, self, &list));
    if (!list->count)
        return plim_undefined_new(run, "No aggregated item, sequence was empty.", out);
    PLIM_TRY(keys_of(run, list, args[1], plim_truth(args[0]), plim_missing(), &keys));
    for (size_t i = 1; i < list->count; i++) {
        bool better;
        PLIM_TRY(plim_compare(run, most ? PLIM_GT : PLIM_LT, keys->at[i], keys->at[best], &better));
        best = better ? i : best;
    }
    *out = list->at[best];
    return PLIM_OK;
}

FILTER(filter_min)
{
    (void)raw;
    return extreme(run, self, args, false, out);
}

FILTER(filter_max)
{
    (void)raw;
    return extreme(run, self, args, true, out);
}

FILTER(filter_sum)
{
    plim_iter *iter;
    plim_val sum = args[1].kind == PLIM_V_MISSING ? plim_int(0) : args[1];
    (void)raw;
    if (sum.kind == PLIM_V_STR)
        return plim_run_fail(run, PLIM_E_FORMAT, "sum() can't sum strings");
    if (args[0].kind != PLIM_V_MISSING && args[0].kind != PLIM_V_NONE)
        PLIM_TRY(plim_map_attribute(run, self, args[0], &self));
    PLIM_TRY(plim_iterate(run, self, &iter));
    for (;;) {
        plim_val item;
        PLIM_TRY(plim_next(run, iter, &item));
        if (item.kind == PLIM_V_MISSING)
            break;
        PLIM_TRY(plim_binary(run, PLIM_OP_ADD, sum, item, &sum));
    }
    *out = sum;
    return PLIM_OK;
}

/* ---- groups ---- */

typedef struct unique_state {
    plim_dict *seen;
    plim_val attribute;
    bool case_too;
} unique_state;

static plim_status next_unique(plim_run *run, plim_iter *iter, plim_val *out)
{
    unique_state *state = iter->state;
    for (;;) {
        plim_val key, ignored;
        bool found;
        if (!iter->inner)
            PLIM_TRY(plim_iterate(run, iter->source, &iter->inner));
        PLIM_TRY(plim_next(run, iter->inner, out));
        if (out->kind == PLIM_V_MISSING)
            return PLIM_OK;
        PLIM_TRY(plim_attribute_path(run, *out, state->attribute, plim_missing(), &key));
        PLIM_TRY(plim_fold_case(run, key, state->case_too, &key));
        PLIM_TRY(plim_dict_get(run, state->seen, key, &ignored, &found));
        if (!found)
            return plim_dict_set(run, state->seen, key, plim_none());
    }
}

FILTER(filter_unique)
{
    unique_state *state = plim_run_new(run, 1, sizeof *state);
    (void)raw;
    if (!state)
        return plim_run_error(run);
    PLIM_TRY(plim_dict_new(run, &state->seen));
    state->case_too = plim_truth(args[0]);
    state->attribute = args[1];
    return plim_iter_lazy(run, self, next_unique, state, "sync_do_unique", out);
}

static plim_status add_group(plim_run *run, plim_list *groups, plim_val key, plim_list *members)
{
    plim_list *pair;
    PLIM_TRY(plim_list_new(run, 2, &pair));
    PLIM_TRY(plim_list_add(run, pair, key));
    PLIM_TRY(plim_list_add(run, pair, plim_of_list(members, PLIM_V_LIST)));
    plim_val group = plim_of_list(pair, PLIM_V_TUPLE);
    group.group = true;
    return plim_list_add(run, groups, group);
}

FILTER(filter_groupby)
{
    plim_list *list, *keys, *groups, *members = NULL;
    plim_val attribute = args[0], missing = args[1];
    bool case_too = plim_truth(args[2]);
    (void)raw;
    if (missing.kind == PLIM_V_NONE)
        missing = plim_missing();
    PLIM_TRY(plim_to_list(run, self, &list));
    PLIM_TRY(keys_of(run, list, attribute, case_too, missing, &keys));
    PLIM_TRY(plim_sort_list(run, list, keys, false));
    PLIM_TRY(keys_of(run, list, attribute, case_too, missing, &keys));
    PLIM_TRY(plim_list_new(run, 0, &groups));
    for (size_t i = 0; i < list->count; i++) {
        bool same = false;
        if (i)
            PLIM_TRY(plim_equal(run, keys->at[i], keys->at[i - 1], &same));
        if (!same) {
            plim_val key = list->at[i]; /* the first one's, in its own case */
            PLIM_TRY(plim_attribute_path(run, key, attribute, missing, &key));
            PLIM_TRY(plim_list_new(run, 0, &members));
            PLIM_TRY(add_group(run, groups, key, members));
        }
        PLIM_TRY(plim_list_add(run, members, list->at[i]));
    }
    *out = plim_of_list(groups, PLIM_V_LIST);
    return PLIM_OK;
}

static bool given(plim_val v)
{
    return v.kind != PLIM_V_MISSING && v.kind != PLIM_V_NONE;
}

static plim_status make_batches(plim_run *run, plim_val self, const plim_val *args, plim_val *out)
{
    plim_list *list, *batches, *batch;
    bool full, lacks = false;
    PLIM_TRY(plim_to_list(run, self, &list));
    PLIM_TRY(plim_list_new(run, 0, &batches));
    PLIM_TRY(plim_list_new(run, 0, &batch));
    *out = plim_of_list(batches, PLIM_V_LIST);
    for (size_t i = 0; i < list->count; i++) {
        PLIM_TRY(plim_equal(run, plim_int((int64_t)batch->count), args[0], &full));
        if (full) {
            PLIM_TRY(plim_list_add(run, batches, plim_of_list(batch, PLIM_V_LIST)));
            PLIM_TRY(plim_list_new(run, 0, &batch));
        }
        PLIM_TRY(plim_list_add(run, batch, list->at[i]));
    }
    if (!batch->count)
        return PLIM_OK;
    if (given(args[1]))
        PLIM_TRY(plim_less(run, plim_int((int64_t)batch->count), args[0], &lacks));
    if (lacks) {
        int64_t size;
        PLIM_TRY(plim_to_index(run, args[0], "the size of a batch", &size));
        while ((int64_t)batch->count < size)
            PLIM_TRY(plim_list_add(run, batch, args[1]));
    }
    return plim_list_add(run, batches, plim_of_list(batch, PLIM_V_LIST));
}

FILTER(filter_batch)
{
    (void)raw;
    return defer(run, make_batches, self, args, "do_batch", out);
}

static plim_status make_slices(plim_run *run, plim_val self, const plim_val *args, plim_val *out)
{
    plim_list *list, *slices;
    int64_t n;
    PLIM_TRY(plim_to_list(run, self, &list));
    PLIM_TRY(plim_to_index(run, args[0], "the number of slices", &n));
    if (!n)
        return plim_run_fail(run, PLIM_E_FORMAT, "integer division or modulo by zero");
    PLIM_TRY(plim_list_new(run, 0, &slices));
    int64_t each = n > 0 ? (int64_t)list->count / n : 0,
            extra = n > 0 ? (int64_t)list->count % n : 0;
    for (int64_t i = 0, at = 0; i < n; i++) {
        plim_list *slice;
        PLIM_TRY(plim_list_new(run, 0, &slice));
        for (int64_t end = at + each + (i < extra); at < end; at++)
            PLIM_TRY(plim_list_add(run, slice, list->at[at]));
        if (given(args[1]) && i >= extra)
            PLIM_TRY(plim_list_add(run, slice, args[1]));
        PLIM_TRY(plim_list_add(run, slices, plim_of_list(slice, PLIM_V_LIST)));
    }
    *out = plim_of_list(slices, PLIM_V_LIST);
    return PLIM_OK;
}

FILTER(filter_slice)
{
    (void)raw;
    return defer(run, make_slices, self, args, "sync_do_slice", out);
}

FILTER(filter_random)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "random: an item chosen by chance");
}

const plim_builtin plim_filters_list[] = {
    {"length", filter_length, 0, ""},
    {"count", filter_length, 0, ""},
    {"first", filter_first, 0, ""},
    {"last", filter_last, 0, ""},
    {"list", filter_list, 0, ""},
    {"reverse", filter_reverse, 0, ""},
    {"join", filter_join, 0, "d,attribute"},
    {"items", filter_items, 0, ""},
    {"sort", filter_sort, 0, "reverse,case_sensitive,attribute"},
    {"dictsort", filter_dictsort, 0, "case_sensitive,by,reverse"},
    {"min", filter_min, 0, "case_sensitive,attribute"},
    {"max", filter_max, 0, "case_sensitive,attribute"},
    {"sum", filter_sum, 0, "attribute,start"},
    {"unique", filter_unique, 0, "case_sensitive,attribute"},
    {"groupby", filter_groupby, 1, "attribute,default,case_sensitive"},
    {"batch", filter_batch, 1, "linecount,fill_with"},
    {"slice", filter_slice, 1, "slices,fill_with"},
    {"random", filter_random, 0, ""},
    {NULL, NULL, 0, NULL},
};
