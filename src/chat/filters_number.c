/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on numbers. */
#include <math.h>

#include "base/num.h"
#include "chat/run.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

FILTER(filter_abs)
{
    bool negative = false;
    (void)args;
    (void)raw;
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (!plim_is_number(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "bad operand type for abs(): '%s'",
                             plim_type_name(self));
    negative = self.kind == PLIM_V_FLOAT ? signbit(self.u.f) : plim_integral(self) < 0;
    return plim_unary(run, negative ? PLIM_OP_SUB : PLIM_OP_ADD, self, out);
}

FILTER(filter_int)
{
    int64_t base = 10, value = 0;
    bool valid = false;
    double real;
    (void)raw;
    *out = args[0].kind == PLIM_V_MISSING ? plim_int(0) : args[0];
    if (args[1].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[1], "the base", &base));
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (plim_is_integral(self)) {
        *out = plim_int(plim_integral(self));
        return PLIM_OK;
    }
    if (self.kind == PLIM_V_STR) {
        PLIM_TRY(plim_work_chars(run, self.u.s->bytes)); /* for the float */
        PLIM_TRY(plim_parse_int(run, self.u.s, base, &value, &valid));
        if (valid)
            *out = plim_int(value);
        if (valid || !plim_parse_float(self.u.s, &real))
            return PLIM_OK;
    } else if (self.kind == PLIM_V_FLOAT) {
        real = self.u.f;
        if (isinf(real)) /* int() raises what the filter does not catch */
            return plim_run_fail(run, PLIM_E_FORMAT, "cannot convert float infinity to integer");
    } else {
        return PLIM_OK;
    }
    if (!isfinite(real))
        return PLIM_OK;
    PLIM_TRY(plim_float_to_int(run, real, &value));
    *out = plim_int(value);
    return PLIM_OK;
}

FILTER(filter_float)
{
    double real;
    (void)raw;
    *out = args[0].kind == PLIM_V_MISSING ? plim_float(0) : args[0];
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (self.kind == PLIM_V_STR)
        PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    if (plim_is_number(self))
        *out = plim_float(plim_number(self));
    else if (self.kind == PLIM_V_STR && plim_parse_float(self.u.s, &real))
        *out = plim_float(real);
    return PLIM_OK;
}

/* round(value, precision) of an integer: half to even. */
static plim_status round_integer(plim_run *run, int64_t value, int64_t precision, plim_val *out)
{
    int64_t unit = 1;
    *out = plim_int(value);
    if (precision >= 0)
        return PLIM_OK;
    for (int64_t i = 0; i > precision; i--) {
        if (__builtin_mul_overflow(unit, (int64_t)10, &unit)) {
            *out = plim_int(0);
            return PLIM_OK;
        }
    }
    int64_t rest = value % unit, half = unit / 2;
    int64_t down = value - rest, size = rest < 0 ? -rest : rest;
    bool away = size > half || (size == half && (down / unit) % 2 != 0);
    int64_t more = away ? (rest < 0 ? -unit : unit) : 0;
    if (__builtin_add_overflow(down, more, &down))
        return plim_run_fail(run, PLIM_E_LIMIT, "an integer of more than 64 bits");
    *out = plim_int(down);
    return PLIM_OK;
}

FILTER(filter_round)
{
    int64_t precision = 0;
    const plim_val method = args[1];
    bool ceiling = method.kind == PLIM_V_STR && plim_str_is(method.u.s, "ceil");
    bool floored = method.kind == PLIM_V_STR && plim_str_is(method.u.s, "floor");
    bool common = method.kind == PLIM_V_MISSING ||
                  (method.kind == PLIM_V_STR && plim_str_is(method.u.s, "common"));
    (void)raw;
    if (!ceiling && !floored && !common)
        return plim_run_fail(run, PLIM_E_FORMAT, "method must be common, ceil or floor");
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[0], "the precision", &precision));
    if (self.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, self);
    if (!plim_is_number(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "type %s can't be rounded", plim_type_name(self));
    if (common) {
        if (plim_is_integral(self))
            return round_integer(run, plim_integral(self), precision, out);
        int digits = precision > 400 ? 400 : precision < -400 ? -400 : (int)precision;
        *out = plim_float(plim_round(self.u.f, digits));
        return PLIM_OK;
    }
    plim_val unit, scaled;
    int64_t whole;
    PLIM_TRY(plim_binary(run, PLIM_OP_POW, plim_int(10), plim_int(precision), &unit));
    PLIM_TRY(plim_binary(run, PLIM_OP_MUL, self, unit, &scaled));
    if (scaled.kind == PLIM_V_FLOAT) {
        PLIM_TRY(plim_float_to_int(run, ceiling ? ceil(scaled.u.f) : floor(scaled.u.f), &whole));
        scaled = plim_int(whole);
    }
    return plim_binary(run, PLIM_OP_DIV, scaled, unit, out);
}

FILTER(filter_filesizeformat)
{
    static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    const char *const *prefixes = plim_truth(args[0]) ? binary : decimal;
    double base = plim_truth(args[0]) ? 1024 : 1000, bytes, unit = base;
    char text[400];
    size_t n;
    (void)raw;
    if (self.kind == PLIM_V_STR)
        PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    if (self.kind == PLIM_V_STR ? !plim_parse_float(self.u.s, &bytes) : !plim_is_number(self))
        return plim_run_fail(run, PLIM_E_FORMAT, "filesizeformat takes a number");
    if (self.kind != PLIM_V_STR)
        bytes = plim_number(self);
    if (isinf(bytes) && bytes < 0)
        return plim_run_fail(run, PLIM_E_FORMAT, "cannot convert float infinity to integer");
    if (bytes == 1) {
        n = plim_format(text, sizeof text, "1 Byte");
    } else if (bytes < base) {
        n = plim_format(text, sizeof text, "%.0f Bytes", trunc(bytes) == 0 ? 0.0 : trunc(bytes));
    } else {
        int i = 0;
        for (unit = base * base; i < 7 && !(bytes < unit); i++)
            unit *= base;
        n = plim_format(text, sizeof text, "%.1f %s", base * bytes / unit, prefixes[i]);
    }
    return plim_str_new(run, text, n, false, out);
}

const plim_builtin plim_filters_number[] = {
    {"abs", filter_abs, 0, ""},
    {"int", filter_int, 0, "default,base"},
    {"float", filter_float, 0, "default"},
    {"round", filter_round, 0, "precision,method"},
    {"filesizeformat", filter_filesizeformat, 0, "binary"},
    {NULL, NULL, 0, NULL},
};
