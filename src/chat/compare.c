/* SPDX-License-Identifier: Apache-2.0
 *
 * Equality, order, hashes, membership and truth, as Python has them. */
#include <math.h>
#include <string.h>

#include "chat/run.h"

uint64_t plim_hash_bytes(const char *data, size_t bytes)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ bytes;
    while (bytes >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        h = (h ^ word) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
        data += 8;
        bytes -= 8;
    }
    uint64_t tail = 0;
    if (bytes)
        memcpy(&tail, data, bytes);
    h = (h ^ tail) * 0xC4CEB9FE1A85EC53u;
    return h ^ h >> 29;
}

static uint64_t hash_int(int64_t i)
{
    uint64_t h = ((uint64_t)i ^ 0x51ED270B) * 0xFF51AFD7ED558CCDu;
    return h ^ h >> 31;
}

plim_status plim_hash(plim_run *run, plim_val v, uint64_t *out)
{
    switch ((plim_kind)v.kind) {
    case PLIM_V_STR:
        PLIM_TRY(plim_work_bytes(run, v.u.s->bytes));
        *out = plim_hash_bytes(v.u.s->data, v.u.s->bytes);
        return PLIM_OK;
    case PLIM_V_BOOL:
    case PLIM_V_INT:
        *out = hash_int(plim_integral(v));
        return PLIM_OK;
    case PLIM_V_FLOAT:
        /* equal to an integer, equal hash */
        if (v.u.f == floor(v.u.f) && fabs(v.u.f) < 9.0e18)
            *out = hash_int((int64_t)v.u.f);
        else
            *out = plim_hash_bytes((const char *)&v.u.f, sizeof v.u.f);
        return PLIM_OK;
    case PLIM_V_TUPLE: {
        uint64_t h = 77;
        PLIM_TRY(plim_deeper(run));
        for (size_t i = 0; i < v.u.list->count; i++) {
            uint64_t one;
            PLIM_TRY(plim_work(run, 1));
            PLIM_TRY(plim_hash(run, v.u.list->at[i], &one));
            h = (h ^ one) * 0xFF51AFD7ED558CCDu;
        }
        plim_shallower(run);
        *out = h;
        return PLIM_OK;
    }
    case PLIM_V_LIST:
    case PLIM_V_DICT:
        return plim_run_fail(run, PLIM_E_FORMAT, "unhashable type: '%s'", plim_type_name(v));
    case PLIM_V_RANGE:
        *out = hash_int(v.u.range->count ? v.u.range->start : -1);
        return PLIM_OK;
    case PLIM_V_NONE:
    case PLIM_V_UNDEFINED:
        *out = v.kind;
        return PLIM_OK;
    default:
        *out = hash_int((int64_t)(uintptr_t)v.u.any);
        return PLIM_OK;
    }
}

/* ---- equality ---- */

static plim_status equal_lists(plim_run *run, const plim_list *a, const plim_list *b, bool *out)
{
    *out = a->count == b->count;
    if (a == b)
        return PLIM_OK;
    PLIM_TRY(plim_deeper(run));
    for (size_t i = 0; i < a->count && *out; i++) {
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_equal(run, a->at[i], b->at[i], out));
    }
    plim_shallower(run);
    return PLIM_OK;
}

static plim_status equal_dicts(plim_run *run, const plim_dict *a, const plim_dict *b, bool *out)
{
    *out = a->count == b->count;
    if (a == b)
        return PLIM_OK;
    PLIM_TRY(plim_deeper(run));
    for (size_t i = 0; i < a->count && *out; i++) {
        plim_val other;
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_dict_get(run, b, a->at[i].key, &other, out));
        if (*out)
            PLIM_TRY(plim_equal(run, a->at[i].value, other, out));
    }
    plim_shallower(run);
    return PLIM_OK;
}

static bool equal_ranges(const plim_range *a, const plim_range *b)
{
    if (a->count != b->count)
        return false;
    return !a->count || (a->start == b->start && (a->count == 1 || a->step == b->step));
}

static bool is_latin(const plim_str *s)
{
    uint32_t code = 0;
    return !s->bytes || (plim_str_char(s, 0, &code) == s->bytes && code < 0x100);
}

bool plim_identical(plim_val a, plim_val b)
{
    if (a.kind != b.kind)
        return false;
    switch ((plim_kind)a.kind) {
    case PLIM_V_NONE:
        return true;
    case PLIM_V_BOOL:
        return a.u.b == b.u.b;
    case PLIM_V_INT: /* small ones are one object in Python */
        return a.u.i == b.u.i && a.u.i >= -5 && a.u.i <= 256;
    case PLIM_V_STR: /* so are those of at most one character of Latin-1 */
        return a.u.s == b.u.s ||
               (!a.markup && !b.markup && is_latin(a.u.s) && plim_str_equal(a.u.s, b.u.s));
    default:
        return a.u.any == b.u.any;
    }
}

/* An int against a float, exactly. */
static int compare_mixed(int64_t i, double f)
{
    if (f >= 9223372036854775808.0)
        return -1;
    if (f < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)f;
    if (i != whole)
        return i < whole ? -1 : 1;
    double rest = f - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

static int compare_numbers(plim_val a, plim_val b)
{
    if (plim_is_integral(a) && plim_is_integral(b))
        return (plim_integral(a) > plim_integral(b)) - (plim_integral(a) < plim_integral(b));
    if (plim_is_integral(a))
        return compare_mixed(plim_integral(a), b.u.f);
    if (plim_is_integral(b))
        return -compare_mixed(plim_integral(b), a.u.f);
    return (a.u.f > b.u.f) - (a.u.f < b.u.f);
}

static bool is_nan(plim_val v)
{
    return v.kind == PLIM_V_FLOAT && isnan(v.u.f);
}

plim_status plim_equal(plim_run *run, plim_val a, plim_val b, bool *out)
{
    *out = false;
    if (plim_is_number(a) && plim_is_number(b)) {
        *out = !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
        return PLIM_OK;
    }
    if (a.kind != b.kind)
        return PLIM_OK;
    switch ((plim_kind)a.kind) {
    case PLIM_V_STR:
        PLIM_TRY(plim_work_bytes(run, a.u.s->bytes));
        *out = plim_str_equal(a.u.s, b.u.s);
        return PLIM_OK;
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
        return equal_lists(run, a.u.list, b.u.list, out);
    case PLIM_V_DICT:
        return equal_dicts(run, a.u.dict, b.u.dict, out);
    case PLIM_V_RANGE:
        *out = equal_ranges(a.u.range, b.u.range);
        return PLIM_OK;
    case PLIM_V_NONE:
    case PLIM_V_UNDEFINED:
        *out = true;
        return PLIM_OK;
    default:
        *out = a.u.any == b.u.any && a.view == b.view;
        return PLIM_OK;
    }
}

/* ---- order ---- */

static plim_status compare_lists(plim_run *run, plim_order order, const plim_list *a,
                                 const plim_list *b, bool *out)
{
    PLIM_TRY(plim_deeper(run));
    size_t i = 0, n = a->count < b->count ? a->count : b->count;
    bool same = true;
    for (; i < n; i++) {
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_equal(run, a->at[i], b->at[i], &same));
        if (!same)
            break;
    }
    if (i < n)
        PLIM_TRY(plim_compare(run, order, a->at[i], b->at[i], out));
    else
        PLIM_TRY(plim_compare(run, order, plim_int((int64_t)a->count), plim_int((int64_t)b->count),
                              out));
    plim_shallower(run);
    return PLIM_OK;
}

plim_status plim_compare(plim_run *run, plim_order order, plim_val a, plim_val b, bool *out)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    int sign;
    if (plim_is_number(a) && plim_is_number(b)) {
        *out = false;
        if (is_nan(a) || is_nan(b))
            return PLIM_OK;
        sign = compare_numbers(a, b);
    } else if (a.kind == PLIM_V_STR && b.kind == PLIM_V_STR) {
        PLIM_TRY(plim_work_bytes(run, a.u.s->bytes));
        sign = plim_str_compare(a.u.s, b.u.s);
    } else if (a.kind == b.kind && (a.kind == PLIM_V_LIST || a.kind == PLIM_V_TUPLE)) {
        return compare_lists(run, order, a.u.list, b.u.list, out);
    } else if (a.kind == PLIM_V_UNDEFINED || b.kind == PLIM_V_UNDEFINED) {
        return plim_fail_undefined(run, a.kind == PLIM_V_UNDEFINED ? a : b);
    } else {
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "'%s' not supported between instances of '%s' and '%s'", signs[order],
                             plim_type_name(a), plim_type_name(b));
    }
    *out = order == PLIM_LT   ? sign < 0
           : order == PLIM_LE ? sign <= 0
           : order == PLIM_GT ? sign > 0
                              : sign >= 0;
    return PLIM_OK;
}

plim_status plim_less(plim_run *run, plim_val a, plim_val b, bool *out)
{
    return plim_compare(run, PLIM_LT, a, b, out);
}

/* ---- membership and truth ---- */

static plim_status among(plim_run *run, plim_val container, plim_val item, bool *out)
{
    plim_iter *iter;
    *out = false;
    PLIM_TRY(plim_iterate(run, container, &iter));
    for (;;) {
        plim_val one;
        PLIM_TRY(plim_next(run, iter, &one));
        if (one.kind == PLIM_V_MISSING)
            return PLIM_OK;
        *out = plim_identical(one, item);
        if (!*out)
            PLIM_TRY(plim_equal(run, one, item, out));
        if (*out)
            return PLIM_OK;
    }
}

plim_status plim_contains(plim_run *run, plim_val container, plim_val item, bool *out)
{
    plim_val ignored;
    switch ((plim_kind)container.kind) {
    case PLIM_V_STR:
        if (item.kind != PLIM_V_STR)
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "'in <string>' requires string as left operand, not %s",
                                 plim_type_name(item));
        PLIM_TRY(plim_work_find(run, container.u.s->bytes, item.u.s));
        *out = plim_str_find(container.u.s, item.u.s, 0, container.u.s->bytes) != SIZE_MAX;
        return PLIM_OK;
    case PLIM_V_DICT:
        return plim_dict_get(run, container.u.dict, item, &ignored, out);
    case PLIM_V_VIEW:
        if (container.view == PLIM_VIEW_KEYS)
            return plim_dict_get(run, container.u.dict, item, &ignored, out);
        return among(run, container, item, out);
    default:
        if (!plim_iterable(container))
            return plim_run_fail(run, PLIM_E_FORMAT, "argument of type '%s' is not iterable",
                                 plim_type_name(container));
        return among(run, container, item, out);
    }
}

bool plim_truth(plim_val v)
{
    switch ((plim_kind)v.kind) {
    case PLIM_V_MISSING:
    case PLIM_V_UNDEFINED:
    case PLIM_V_NONE:
        return false;
    case PLIM_V_BOOL:
        return v.u.b;
    case PLIM_V_INT:
        return v.u.i != 0;
    case PLIM_V_FLOAT:
        return v.u.f != 0;
    case PLIM_V_STR:
        return v.u.s->bytes > 0;
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
        return v.u.list->count > 0;
    case PLIM_V_DICT:
    case PLIM_V_VIEW:
        return v.u.dict->count > 0;
    case PLIM_V_RANGE:
        return v.u.range->count > 0;
    default:
        return true;
    }
}
