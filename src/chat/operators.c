/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic and concatenation, as Python does them; integers have 64 bits and are an error beyond
 * (PLIM_E_LIMIT). */
#include <math.h>

#include "chat/run.h"

static plim_status too_big(plim_run *run)
{
    return plim_run_fail(run, PLIM_E_LIMIT, "an integer of more than 64 bits");
}

static plim_status mismatch(plim_run *run, plim_operator op, plim_val a, plim_val b)
{
    if (a.kind == PLIM_V_UNDEFINED || b.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, a.kind == PLIM_V_UNDEFINED ? a : b);
    return plim_run_fail(run, PLIM_E_FORMAT, "unsupported operand types for %s: '%s' and '%s'",
                         plim_operator_text[op], plim_type_name(a), plim_type_name(b));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    if (b == -1)
        return 0;
    int64_t r = a % b;
    return r && (r < 0) != (b < 0) ? r + b : r;
}

static plim_status integer_power(plim_run *run, int64_t base, int64_t exponent, plim_val *out)
{
    int64_t result = 1;
    for (uint64_t e = (uint64_t)exponent; e;) {
        if ((e & 1) && __builtin_mul_overflow(result, base, &result))
            return too_big(run);
        e >>= 1;
        if (e && __builtin_mul_overflow(base, base, &base))
            return too_big(run);
    }
    *out = plim_int(result);
    return PLIM_OK;
}

/* Both are integral. */
static plim_status integers(plim_run *run, plim_operator op, int64_t a, int64_t b, plim_val *out)
{
    int64_t result = 0;
    bool over = false;
    switch (op) {
    case PLIM_OP_ADD:
        over = __builtin_add_overflow(a, b, &result);
        break;
    case PLIM_OP_SUB:
        over = __builtin_sub_overflow(a, b, &result);
        break;
    case PLIM_OP_MUL:
        over = __builtin_mul_overflow(a, b, &result);
        break;
    case PLIM_OP_FLOORDIV:
    case PLIM_OP_MOD:
        if (!b)
            return plim_run_fail(run, PLIM_E_FORMAT, "integer division or modulo by zero");
        over = op == PLIM_OP_FLOORDIV && a == INT64_MIN && b == -1;
        if (!over)
            result = op == PLIM_OP_MOD ? floor_mod(a, b) : floor_div(a, b);
        break;
    default: /* ** with an exponent >= 0 */
        return integer_power(run, a, b, out);
    }
    *out = plim_int(result);
    return over ? too_big(run) : PLIM_OK;
}

static double float_mod(double a, double b)
{
    double mod = fmod(a, b);
    if (mod == 0)
        return copysign(0, b);
    return (b < 0) != (mod < 0) ? mod + b : mod;
}

static double float_floor_div(double a, double b)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0 && (b < 0) != (mod < 0))
        div -= 1;
    if (div == 0)
        return copysign(0, a / b);
    double whole = floor(div);
    return div - whole > 0.5 ? whole + 1 : whole;
}

static plim_status float_power(plim_run *run, double a, double b, plim_val *out)
{
    if (a == 0 && b < 0)
        return plim_run_fail(run, PLIM_E_FORMAT, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return plim_run_fail(run, PLIM_E_UNSUP, "a complex number");
    double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return plim_run_fail(run, PLIM_E_FORMAT, "a power is out of range");
    *out = plim_float(result);
    return PLIM_OK;
}

static plim_status floats(plim_run *run, plim_operator op, plim_val left, plim_val right,
                          plim_val *out)
{
    double a = plim_number(left), b = plim_number(right);
    if (b == 0 && (op == PLIM_OP_DIV || op == PLIM_OP_FLOORDIV || op == PLIM_OP_MOD))
        return plim_run_fail(run, PLIM_E_FORMAT, "division by zero");
    switch (op) {
    case PLIM_OP_ADD:
        *out = plim_float(a + b);
        break;
    case PLIM_OP_SUB:
        *out = plim_float(a - b);
        break;
    case PLIM_OP_MUL:
        *out = plim_float(a * b);
        break;
    case PLIM_OP_DIV:
        if (plim_is_integral(left) && plim_is_integral(right))
            *out = plim_float(
                (double)((long double)plim_integral(left) / (long double)plim_integral(right)));
        else
            *out = plim_float(a / b);
        break;
    case PLIM_OP_FLOORDIV:
        *out = plim_float(float_floor_div(a, b));
        break;
    case PLIM_OP_MOD:
        *out = plim_float(float_mod(a, b));
        break;
    default:
        return float_power(run, a, b, out);
    }
    return PLIM_OK;
}

static plim_status numbers(plim_run *run, plim_operator op, plim_val a, plim_val b, plim_val *out)
{
    bool integral = plim_is_integral(a) && plim_is_integral(b) && op != PLIM_OP_DIV;
    if (integral && !(op == PLIM_OP_POW && plim_integral(b) < 0))
        return integers(run, op, plim_integral(a), plim_integral(b), out);
    return floats(run, op, a, b, out);
}

static plim_status add_strings(plim_run *run, plim_val a, plim_val b, plim_val *out)
{
    bool markup = a.markup || b.markup;
    if (markup && !a.markup)
        PLIM_TRY(plim_str_escape(run, a.u.s, &a));
    if (markup && !b.markup)
        PLIM_TRY(plim_str_escape(run, b.u.s, &b));
    PLIM_TRY(plim_str_concat(run, a.u.s, b.u.s, out));
    out->markup = markup;
    return PLIM_OK;
}

static plim_status add_lists(plim_run *run, plim_val a, plim_val b, plim_val *out)
{
    plim_list *list;
    PLIM_TRY(plim_list_new(run, a.u.list->count + b.u.list->count, &list));
    for (size_t i = 0; i < a.u.list->count; i++)
        PLIM_TRY(plim_list_add(run, list, a.u.list->at[i]));
    for (size_t i = 0; i < b.u.list->count; i++)
        PLIM_TRY(plim_list_add(run, list, b.u.list->at[i]));
    *out = plim_of_list(list, (plim_kind)a.kind);
    return PLIM_OK;
}

static plim_status repeat_list(plim_run *run, plim_val a, int64_t times, plim_val *out)
{
    plim_list *list;
    PLIM_TRY(plim_list_new(run, 0, &list));
    for (int64_t k = 0; k < times && a.u.list->count; k++) {
        for (size_t i = 0; i < a.u.list->count; i++)
            PLIM_TRY(plim_list_add(run, list, a.u.list->at[i]));
    }
    *out = plim_of_list(list, (plim_kind)a.kind);
    return PLIM_OK;
}

static bool is_sequence(plim_val v)
{
    return v.kind == PLIM_V_STR || v.kind == PLIM_V_LIST || v.kind == PLIM_V_TUPLE;
}

plim_status plim_binary(plim_run *run, plim_operator op, plim_val a, plim_val b, plim_val *out)
{
    if (plim_is_number(a) && plim_is_number(b))
        return numbers(run, op, a, b, out);
    if (op == PLIM_OP_MOD && a.kind == PLIM_V_STR)
        return plim_percent(run, a.u.s, b, a.markup, out);
    if (op == PLIM_OP_ADD && a.kind == b.kind && a.kind == PLIM_V_STR)
        return add_strings(run, a, b, out);
    if (op == PLIM_OP_ADD && a.kind == b.kind && (a.kind == PLIM_V_LIST || a.kind == PLIM_V_TUPLE))
        return add_lists(run, a, b, out);
    if (op == PLIM_OP_MUL && plim_is_integral(a) && is_sequence(b)) {
        plim_val swapped = a;
        a = b;
        b = swapped;
    }
    if (op != PLIM_OP_MUL || !is_sequence(a) || !plim_is_integral(b))
        return mismatch(run, op, a, b);
    if (a.kind != PLIM_V_STR)
        return repeat_list(run, a, plim_integral(b), out);
    PLIM_TRY(plim_str_repeat(run, a.u.s, plim_integral(b), out));
    out->markup = a.markup;
    return PLIM_OK;
}

plim_status plim_unary(plim_run *run, plim_operator op, plim_val a, plim_val *out)
{
    if (a.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, a);
    if (!plim_is_number(a))
        return plim_run_fail(run, PLIM_E_FORMAT, "bad operand type for unary %s: '%s'",
                             plim_operator_text[op], plim_type_name(a));
    if (a.kind == PLIM_V_FLOAT) {
        *out = plim_float(op == PLIM_OP_SUB ? -a.u.f : a.u.f);
        return PLIM_OK;
    }
    int64_t i = plim_integral(a);
    if (op == PLIM_OP_SUB && i == INT64_MIN)
        return too_big(run);
    *out = plim_int(op == PLIM_OP_SUB ? -i : i);
    return PLIM_OK;
}
