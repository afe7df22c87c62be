/* SPDX-License-Identifier: Apache-2.0
 *
 * Iteration over every kind of value.  Filters that Jinja2 writes as generators are lazy here too:
 * they are read once, and fail when they are read. */
#include "chat/run.h"

bool plim_iterable(plim_val v)
{
    switch ((plim_kind)v.kind) {
    case PLIM_V_UNDEFINED:
    case PLIM_V_STR:
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
    case PLIM_V_DICT:
    case PLIM_V_VIEW:
    case PLIM_V_RANGE:
    case PLIM_V_ITER:
    case PLIM_V_LOOP:
        return true;
    default:
        return false;
    }
}

plim_status plim_iterate(plim_run *run, plim_val v, plim_iter **out)
{
    if (v.kind == PLIM_V_ITER) {
        *out = v.u.iter;
        return PLIM_OK;
    }
    if (!plim_iterable(v))
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object is not iterable", plim_type_name(v));
    *out = plim_run_new(run, 1, sizeof **out);
    if (!*out)
        return plim_run_error(run);
    (*out)->source = v;
    return PLIM_OK;
}

plim_status plim_iter_lazy(plim_run *run, plim_val source, plim_iter_step step, void *state,
                           const char *name, plim_val *out)
{
    plim_iter *iter = plim_run_new(run, 1, sizeof *iter);
    if (!iter)
        return plim_run_error(run);
    iter->source = source;
    iter->step = step;
    iter->state = state;
    iter->name = name;
    *out = (plim_val){.kind = PLIM_V_ITER, .u.iter = iter};
    return PLIM_OK;
}

static plim_status pair(plim_run *run, plim_val a, plim_val b, plim_val *out)
{
    plim_list *two;
    PLIM_TRY(plim_list_new(run, 2, &two));
    two->at[0] = a;
    two->at[1] = b;
    two->count = 2;
    *out = plim_of_list(two, PLIM_V_TUPLE);
    return PLIM_OK;
}

static plim_status next_entry(plim_run *run, plim_iter *iter, plim_val *out)
{
    const plim_dict *dict = iter->source.u.dict;
    if (iter->at >= dict->count)
        return PLIM_OK;
    const plim_entry *entry = &dict->at[iter->at++];
    unsigned view = iter->source.kind == PLIM_V_DICT ? PLIM_VIEW_KEYS : iter->source.view;
    if (view == PLIM_VIEW_ITEMS)
        return pair(run, entry->key, entry->value, out);
    *out = view == PLIM_VIEW_KEYS ? entry->key : entry->value;
    return PLIM_OK;
}

/* Who iterates over `loop` takes the turns that it would still have had. */
static plim_status next_turn(plim_run *run, plim_iter *iter, plim_val *out)
{
    plim_val item;
    PLIM_TRY(plim_deeper(run)); /* a loop over a loop */
    PLIM_TRY(plim_loop_advance(run, iter->source.u.loop, &item));
    plim_shallower(run);
    return item.kind == PLIM_V_MISSING ? PLIM_OK : pair(run, item, iter->source, out);
}

plim_status plim_next(plim_run *run, plim_iter *iter, plim_val *out)
{
    *out = plim_missing();
    PLIM_TRY(plim_work(run, 1));
    if (iter->step) {
        PLIM_TRY(plim_deeper(run)); /* lazy filters over lazy filters */
        PLIM_TRY(iter->step(run, iter, out));
        plim_shallower(run);
        return PLIM_OK;
    }
    switch ((plim_kind)iter->source.kind) {
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
        if (iter->at < iter->source.u.list->count)
            *out = iter->source.u.list->at[iter->at++];
        return PLIM_OK;
    case PLIM_V_DICT:
    case PLIM_V_VIEW:
        return next_entry(run, iter, out);
    case PLIM_V_STR: {
        const plim_str *s = iter->source.u.s;
        uint32_t code;
        size_t from = iter->at;
        if (from >= s->bytes)
            return PLIM_OK;
        iter->at += plim_str_char(s, from, &code);
        return plim_str_part(run, s, from, iter->at, out);
    }
    case PLIM_V_RANGE: {
        const plim_range *range = iter->source.u.range;
        if ((int64_t)iter->at < range->count)
            *out = plim_int(range->start + (int64_t)iter->at++ * range->step);
        return PLIM_OK;
    }
    case PLIM_V_LOOP:
        return next_turn(run, iter, out);
    default:
        return PLIM_OK; /* undefined */
    }
}

plim_status plim_to_list(plim_run *run, plim_val v, plim_list **out)
{
    plim_iter *iter = NULL;
    PLIM_TRY(plim_iterate(run, v, &iter));
    size_t known = v.kind == PLIM_V_LIST || v.kind == PLIM_V_TUPLE ? v.u.list->count : 0;
    PLIM_TRY(plim_list_new(run, known, out));
    for (;;) {
        plim_val one;
        PLIM_TRY(plim_next(run, iter, &one));
        if (one.kind == PLIM_V_MISSING)
            return PLIM_OK;
        PLIM_TRY(plim_list_add(run, *out, one));
    }
}
