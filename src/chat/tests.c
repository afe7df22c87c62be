/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests: what may stand behind `is`. */
#include <string.h>

#include "chat/strings.h"

#define TEST(name)                                                                                 \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)
#define UNUSED_ARGS                                                                                \
    (void)run;                                                                                     \
    (void)args;                                                                                    \
    (void)raw

#define IS(name, truth)                                                                            \
    TEST(name)                                                                                     \
    {                                                                                              \
        UNUSED_ARGS;                                                                               \
        *out = plim_bool(truth);                                                                   \
        return PLIM_OK;                                                                            \
    }

IS(is_defined, self.kind != PLIM_V_UNDEFINED)
IS(is_undefined, self.kind == PLIM_V_UNDEFINED)
IS(is_none, self.kind == PLIM_V_NONE)
IS(is_boolean, self.kind == PLIM_V_BOOL)
IS(is_true, self.kind == PLIM_V_BOOL && self.u.b)
IS(is_false, self.kind == PLIM_V_BOOL && !self.u.b)
IS(is_integer, self.kind == PLIM_V_INT)
IS(is_float, self.kind == PLIM_V_FLOAT)
IS(is_number, plim_is_number(self))
IS(is_string, self.kind == PLIM_V_STR)
IS(is_mapping, self.kind == PLIM_V_DICT)
IS(is_iterable, plim_iterable(self) || self.kind == PLIM_V_SELF)
IS(is_sequence, self.kind == PLIM_V_STR || self.kind == PLIM_V_LIST || self.kind == PLIM_V_TUPLE ||
                    self.kind == PLIM_V_DICT || self.kind == PLIM_V_RANGE ||
                    self.kind == PLIM_V_UNDEFINED)
IS(is_callable, self.kind == PLIM_V_MACRO || self.kind == PLIM_V_METHOD ||
                    self.kind == PLIM_V_FUNCTION || self.kind == PLIM_V_LOOP ||
                    self.kind == PLIM_V_JOINER || self.kind == PLIM_V_UNDEFINED)
IS(is_escaped, self.kind == PLIM_V_STR && self.markup)
IS(is_sameas, plim_identical(self, args[0]))

/* Names are looked for in a dict: what has no hash is an error. */
static plim_status names(plim_run *run, plim_val v,
                         const plim_builtin *(*find)(const char *, size_t), plim_val *out)
{
    uint64_t hash;
    PLIM_TRY(plim_hash(run, v, &hash));
    *out = plim_bool(v.kind == PLIM_V_STR && find(v.u.s->data, v.u.s->bytes));
    return PLIM_OK;
}

TEST(is_filter)
{
    (void)args;
    (void)raw;
    return names(run, self, plim_filter_find, out);
}

TEST(is_test)
{
    (void)args;
    (void)raw;
    return names(run, self, plim_test_find, out);
}

TEST(is_lower)
{
    const plim_str *s;
    UNUSED_ARGS;
    PLIM_TRY(plim_to_text(run, self, &s));
    return plim_str_all_lower(run, s, out);
}

TEST(is_upper)
{
    const plim_str *s;
    UNUSED_ARGS;
    PLIM_TRY(plim_to_text(run, self, &s));
    return plim_str_all_upper(run, s, out);
}

static plim_status remainder_is(plim_run *run, plim_val v, plim_val divisor, int64_t want,
                                plim_val *out)
{
    plim_val rest;
    bool same;
    PLIM_TRY(plim_binary(run, PLIM_OP_MOD, v, divisor, &rest));
    PLIM_TRY(plim_equal(run, rest, plim_int(want), &same));
    *out = plim_bool(same);
    return PLIM_OK;
}

TEST(is_odd)
{
    (void)args;
    (void)raw;
    return remainder_is(run, self, plim_int(2), 1, out);
}

TEST(is_even)
{
    (void)args;
    (void)raw;
    return remainder_is(run, self, plim_int(2), 0, out);
}

TEST(is_divisibleby)
{
    (void)raw;
    return remainder_is(run, self, args[0], 0, out);
}

TEST(is_in)
{
    bool truth;
    (void)raw;
    PLIM_TRY(plim_contains(run, args[0], self, &truth));
    *out = plim_bool(truth);
    return PLIM_OK;
}

TEST(is_equal)
{
    bool truth;
    (void)raw;
    PLIM_TRY(plim_equal(run, self, args[0], &truth));
    *out = plim_bool(truth);
    return PLIM_OK;
}

TEST(is_not_equal)
{
    bool truth;
    (void)raw;
    PLIM_TRY(plim_equal(run, self, args[0], &truth));
    *out = plim_bool(!truth);
    return PLIM_OK;
}

static plim_status ordered(plim_run *run, plim_order order, plim_val a, plim_val b, plim_val *out)
{
    bool truth;
    PLIM_TRY(plim_compare(run, order, a, b, &truth));
    *out = plim_bool(truth);
    return PLIM_OK;
}

TEST(is_greater)
{
    (void)raw;
    return ordered(run, PLIM_GT, self, args[0], out);
}

TEST(is_greater_or_equal)
{
    (void)raw;
    return ordered(run, PLIM_GE, self, args[0], out);
}

TEST(is_less)
{
    (void)raw;
    return ordered(run, PLIM_LT, self, args[0], out);
}

TEST(is_less_or_equal)
{
    (void)raw;
    return ordered(run, PLIM_LE, self, args[0], out);
}

static const plim_builtin tests[] = {
    {"odd", is_odd, 0, ""},
    {"even", is_even, 0, ""},
    {"divisibleby", is_divisibleby, 1, "num"},
    {"defined", is_defined, 0, ""},
    {"undefined", is_undefined, 0, ""},
    {"filter", is_filter, 0, ""},
    {"test", is_test, 0, ""},
    {"none", is_none, 0, ""},
    {"boolean", is_boolean, 0, ""},
    {"false", is_false, 0, ""},
    {"true", is_true, 0, ""},
    {"integer", is_integer, 0, ""},
    {"float", is_float, 0, ""},
    {"lower", is_lower, 0, ""},
    {"upper", is_upper, 0, ""},
    {"string", is_string, 0, ""},
    {"mapping", is_mapping, 0, ""},
    {"number", is_number, 0, ""},
    {"sequence", is_sequence, 0, ""},
    {"iterable", is_iterable, 0, ""},
    {"callable", is_callable, 0, ""},
    {"sameas", is_sameas, 1, "other"},
    {"escaped", is_escaped, 0, ""},
    {"in", is_in, 1, "seq"},
    {"==", is_equal, 1, "/b"},
    {"eq", is_equal, 1, "/b"},
    {"equalto", is_equal, 1, "/b"},
    {"!=", is_not_equal, 1, "/b"},
    {"ne", is_not_equal, 1, "/b"},
    {">", is_greater, 1, "/b"},
    {"gt", is_greater, 1, "/b"},
    {"greaterthan", is_greater, 1, "/b"},
    {">=", is_greater_or_equal, 1, "/b"},
    {"ge", is_greater_or_equal, 1, "/b"},
    {"<", is_less, 1, "/b"},
    {"lt", is_less, 1, "/b"},
    {"lessthan", is_less, 1, "/b"},
    {"<=", is_less_or_equal, 1, "/b"},
    {"le", is_less_or_equal, 1, "/b"},
};

const plim_builtin *plim_test_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strlen(tests[i].name) == bytes && !memcmp(tests[i].name, name, bytes))
            return &tests[i];
    }
    return NULL;
}

plim_status plim_apply_test(plim_run *run, const plim_str *name, plim_val value,
                            const plim_args *args, bool *out)
{
    const plim_builtin *fn = plim_test_find(name->data, name->bytes);
    plim_val truth;
    if (!fn)
        return plim_run_fail(run, PLIM_E_FORMAT, "no test named '%.*s'", plim_str_shown(name),
                             name->data);
    PLIM_TRY(plim_call_builtin(run, fn, value, args, &truth));
    *out = plim_truth(truth);
    return PLIM_OK;
}
