/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls: built-in functions with their parameters bound, macros, and what else can be called; and
 * the global functions. */
#include <string.h>

#include "chat/run.h"

plim_val plim_arg_named(const plim_args *args, const char *name)
{
    for (size_t i = 0; i < args->named; i++) {
        if (plim_str_is(args->names[i], name))
            return args->values[i];
    }
    return plim_missing();
}

/* ---- built-in functions ---- */

/* The place of a parameter, or -1. */
static int parameter(const char *params, const plim_str *name)
{
    int place = 0;
    for (const char *p = params; *p; place++) {
        size_t n = strcspn(p, ",");
        if (n == name->bytes && !memcmp(p, name->data, n))
            return place;
        p += n + (p[n] == ',');
    }
    return -1;
}

static unsigned count_parameters(const char *params)
{
    unsigned n = *params ? 1 : 0;
    for (; *params; params++)
        n += *params == ',';
    return n;
}

plim_status plim_call_builtin(plim_run *run, const plim_builtin *fn, plim_val self,
                              const plim_args *args, plim_val *out)
{
    plim_val bound[PLIM_MAX_PARAMS] = {{0}};
    if (!fn->params)
        return fn->fn(run, self, bound, args, out);
    unsigned most = count_parameters(fn->params);
    if (args->count > most)
        return plim_run_fail(run, PLIM_E_FORMAT, "%s() takes at most %u arguments, %zu are given",
                             fn->name, most, args->count);
    for (size_t i = 0; i < args->count; i++)
        bound[i] = args->at[i];
    for (size_t i = 0; i < args->named; i++) {
        int place = parameter(fn->params, args->names[i]);
        if (place < 0 || bound[place].kind != PLIM_V_MISSING)
            return plim_run_fail(run, PLIM_E_FORMAT, "%s() got %s argument '%.*s'", fn->name,
                                 place < 0 ? "an unexpected keyword" : "two values for",
                                 plim_str_shown(args->names[i]), args->names[i]->data);
        bound[place] = args->values[i];
    }
    for (unsigned i = 0; i < fn->required; i++) {
        if (bound[i].kind == PLIM_V_MISSING)
            return plim_run_fail(run, PLIM_E_FORMAT, "%s() lacks argument %u of '%s'", fn->name,
                                 i + 1, fn->params);
    }
    return fn->fn(run, self, bound, args, out);
}

/* ---- macros ---- */

/* What is left of the keyword arguments: `used` marks those that parameters took. */
static plim_status rest_named(plim_run *run, const plim_macro *macro, const plim_args *args,
                              const bool *used, plim_dict **rest)
{
    PLIM_TRY(plim_dict_new(run, rest));
    for (size_t i = 0; i < args->named; i++) {
        if (used[i])
            continue;
        if (!(macro->node->flags & PLIM_USES_KWARGS))
            return plim_run_fail(run, PLIM_E_FORMAT, "macro '%s' takes no keyword argument '%.*s'",
                                 macro->name ? macro->name->data : "caller",
                                 plim_str_shown(args->names[i]), args->names[i]->data);
        PLIM_TRY(plim_dict_set(run, *rest, plim_text(args->names[i]), args->values[i]));
    }
    return PLIM_OK;
}

static plim_val take_named(const plim_args *args, bool *used, const char *name)
{
    for (size_t i = 0; i < args->named; i++) {
        if (!used[i] && plim_str_is(args->names[i], name)) {
            used[i] = true;
            return args->values[i];
        }
    }
    return plim_missing();
}

static plim_status set_special(plim_run *run, const char *name, plim_val value)
{
    for (const plim_str *const *special = run->special; *special; special++) {
        if (plim_str_is(*special, name))
            return plim_scope_set(run, run->scope, *special, value);
    }
    return PLIM_OK;
}

/* caller, kwargs and varargs, where the macro mentions them. */
static plim_status bind_special(plim_run *run, const plim_macro *macro, const plim_args *args,
                                bool *used, size_t taken, bool explicit_caller)
{
    unsigned flags = macro->node->flags;
    plim_dict *rest;
    if ((flags & PLIM_USES_CALLER) && !explicit_caller) {
        plim_val caller = take_named(args, used, "caller");
        if (caller.kind == PLIM_V_MISSING || caller.kind == PLIM_V_NONE)
            PLIM_TRY(plim_undefined_new(run, "No caller defined", &caller));
        PLIM_TRY(set_special(run, "caller", caller));
    }
    PLIM_TRY(rest_named(run, macro, args, used, &rest));
    if (flags & PLIM_USES_KWARGS)
        PLIM_TRY(set_special(run, "kwargs", plim_of_dict(rest)));
    if (flags & PLIM_USES_VARARGS) {
        plim_list *list;
        PLIM_TRY(plim_list_new(run, 0, &list));
        for (size_t i = taken; i < args->count; i++)
            PLIM_TRY(plim_list_add(run, list, args->at[i]));
        PLIM_TRY(set_special(run, "varargs", plim_of_list(list, PLIM_V_TUPLE)));
    } else if (args->count > taken) {
        return plim_run_fail(run, PLIM_E_FORMAT, "macro '%s' takes not more than %zu arguments",
                             macro->name ? macro->name->data : "caller", taken);
    }
    return PLIM_OK;
}

/* Arguments to the parameters; those not given stay missing until their defaults are evaluated, in
 * order, in the macro's own frame. */
static plim_status bind_macro(plim_run *run, const plim_macro *macro, const plim_args *args)
{
    bool *used = plim_run_new(run, args->named + 1, sizeof *used), explicit_caller = false;
    size_t taken = 0;
    if (!used)
        return plim_run_error(run);
    for (const plim_str **name = macro->node->hidden; name && *name; name++)
        PLIM_TRY(plim_scope_set(run, run->scope, *name, plim_missing()));
    const plim_node *params = macro->node->op == PLIM_S_BLOCK ? NULL : macro->node->a;
    for (const plim_node *p = params; p; p = p->next) {
        plim_val value =
            taken < args->count ? args->at[taken] : take_named(args, used, p->name->data);
        taken += taken < args->count;
        explicit_caller = explicit_caller || plim_str_is(p->name, "caller");
        PLIM_TRY(plim_scope_set(run, run->scope, p->name, value));
    }
    PLIM_TRY(bind_special(run, macro, args, used, taken, explicit_caller));
    for (const plim_node *p = params; p; p = p->next) {
        plim_val value;
        for (size_t i = 0; i < run->scope->count; i++) {
            if (run->scope->at[i].name == p->name)
                value = run->scope->at[i].value;
        }
        if (value.kind != PLIM_V_MISSING)
            continue;
        if (p->a)
            PLIM_TRY(plim_eval(run, p->a, &value));
        else
            PLIM_TRY(plim_undefined_new(run, "a parameter was not provided", &value));
        PLIM_TRY(plim_scope_set(run, run->scope, p->name, value));
    }
    return PLIM_OK;
}

plim_status plim_call_macro(plim_run *run, const plim_macro *macro, const plim_args *args,
                            plim_val *out)
{
    plim_scope *before = run->scope;
    plim_flow flow = PLIM_FLOW_ON;
    if (++run->calls > PLIM_CHAT_MAX_DEPTH)
        return plim_run_fail(run, PLIM_E_LIMIT, "macros called deeper than %d",
                             PLIM_CHAT_MAX_DEPTH);
    PLIM_TRY(plim_scope_new(run, macro->scope, &run->scope));
    PLIM_TRY(bind_macro(run, macro, args));
    PLIM_TRY(plim_capture(run, macro->node->body, out, &flow));
    run->scope = before;
    run->calls--;
    return PLIM_OK;
}

/* ---- whatever is called ---- */

static plim_status one_argument(plim_run *run, const plim_args *args, const char *what)
{
    if (args->count == 1 && !args->named)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_FORMAT, "%s takes one argument", what);
}

static plim_status call_joiner(plim_run *run, plim_list *joiner, plim_val *out)
{
    if (joiner->turn) {
        *out = joiner->at[0];
        return PLIM_OK;
    }
    joiner->turn = 1;
    return plim_str_literal(run, "", out);
}

plim_status plim_call(plim_run *run, plim_val callee, const plim_args *args, plim_val *out)
{
    switch ((plim_kind)callee.kind) {
    case PLIM_V_UNDEFINED:
        return plim_fail_undefined(run, callee);
    case PLIM_V_METHOD:
        return plim_call_builtin(run, callee.u.method->fn, callee.u.method->self, args, out);
    case PLIM_V_FUNCTION:
        return plim_call_builtin(run, callee.u.function, plim_missing(), args, out);
    case PLIM_V_MACRO:
        return plim_call_macro(run, callee.u.macro, args, out);
    case PLIM_V_LOOP:
        PLIM_TRY(one_argument(run, args, "loop()"));
        return plim_loop_again(run, callee.u.loop, args->at[0], out);
    case PLIM_V_JOINER:
        return call_joiner(run, callee.u.list, out);
    default:
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object is not callable",
                             plim_type_name(callee));
    }
}

/* ---- global functions ---- */

#define MAX_RANGE 100000

static plim_status global_range(plim_run *run, plim_val self, const plim_val *args,
                                const plim_args *raw, plim_val *out)
{
    int64_t n[3] = {0, 0, 1};
    (void)self;
    (void)args;
    if (raw->named || !raw->count || raw->count > 3)
        return plim_run_fail(run, PLIM_E_FORMAT, "range() takes one to three arguments");
    for (size_t i = 0; i < raw->count; i++)
        PLIM_TRY(plim_to_index(run, raw->at[i], "an argument of range()", &n[i]));
    if (raw->count == 1) {
        n[1] = n[0];
        n[0] = 0;
    }
    if (!n[2])
        return plim_run_fail(run, PLIM_E_FORMAT, "range() arg 3 must not be zero");
    __int128 distance = n[2] > 0 ? (__int128)n[1] - n[0] : (__int128)n[0] - n[1];
    __int128 step = n[2] > 0 ? n[2] : -(__int128)n[2];
    __int128 count = distance > 0 ? (distance - 1) / step + 1 : 0;
    if (count > MAX_RANGE)
        return plim_run_fail(run, PLIM_E_LIMIT, "a range of more than %d numbers", MAX_RANGE);
    plim_range *range = plim_run_new(run, 1, sizeof *range);
    if (!range)
        return plim_run_error(run);
    *range = (plim_range){n[0], n[1], n[2], (int64_t)count};
    *out = (plim_val){.kind = PLIM_V_RANGE, .u.range = range};
    return PLIM_OK;
}

static plim_status make_dict(plim_run *run, const plim_args *raw, plim_dict **out)
{
    PLIM_TRY(plim_dict_new(run, out));
    if (raw->count > 1)
        return plim_run_fail(run, PLIM_E_FORMAT, "dict expected at most 1 argument, got %zu",
                             raw->count);
    if (raw->count)
        PLIM_TRY(plim_dict_update(run, *out, raw->at[0]));
    for (size_t i = 0; i < raw->named; i++)
        PLIM_TRY(plim_dict_set(run, *out, plim_text(raw->names[i]), raw->values[i]));
    return PLIM_OK;
}

static plim_status global_dict(plim_run *run, plim_val self, const plim_val *args,
                               const plim_args *raw, plim_val *out)
{
    plim_dict *dict;
    (void)self;
    (void)args;
    PLIM_TRY(make_dict(run, raw, &dict));
    *out = plim_of_dict(dict);
    return PLIM_OK;
}

static plim_status global_namespace(plim_run *run, plim_val self, const plim_val *args,
                                    const plim_args *raw, plim_val *out)
{
    plim_dict *dict;
    (void)self;
    (void)args;
    PLIM_TRY(make_dict(run, raw, &dict));
    for (size_t i = 0; i < dict->count; i++) {
        plim_val key = dict->at[i].key;
        if (key.kind == PLIM_V_STR && key.u.s->bytes && key.u.s->data[0] == '_')
            return plim_run_fail(run, PLIM_E_UNSAFE,
                                 "a namespace can't have attributes that begin with an underscore");
    }
    *out = (plim_val){.kind = PLIM_V_NAMESPACE, .u.dict = dict};
    return PLIM_OK;
}

static plim_status global_cycler(plim_run *run, plim_val self, const plim_val *args,
                                 const plim_args *raw, plim_val *out)
{
    plim_list *list;
    (void)self;
    (void)args;
    if (!raw->count || raw->named)
        return plim_run_fail(run, PLIM_E_FORMAT, "at least one item has to be provided");
    PLIM_TRY(plim_list_new(run, raw->count, &list));
    for (size_t i = 0; i < raw->count; i++)
        PLIM_TRY(plim_list_add(run, list, raw->at[i]));
    *out = plim_of_list(list, PLIM_V_CYCLER);
    return PLIM_OK;
}

static plim_status global_joiner(plim_run *run, plim_val self, const plim_val *args,
                                 const plim_args *raw, plim_val *out)
{
    plim_list *list;
    plim_val separator = args[0];
    (void)self;
    (void)raw;
    if (separator.kind == PLIM_V_MISSING)
        PLIM_TRY(plim_str_literal(run, ", ", &separator));
    PLIM_TRY(plim_list_new(run, 1, &list));
    PLIM_TRY(plim_list_add(run, list, separator));
    *out = plim_of_list(list, PLIM_V_JOINER);
    return PLIM_OK;
}

static plim_status global_raise(plim_run *run, plim_val self, const plim_val *args,
                                const plim_args *raw, plim_val *out)
{
    const plim_str *text;
    (void)self;
    (void)raw;
    (void)out;
    PLIM_TRY(plim_to_text(run, args[0], &text));
    char message[1000];
    size_t n = text->bytes < sizeof message ? text->bytes : sizeof message;
    for (size_t i = 0; i < n; i++)
        message[i] = text->data[i] ? text->data[i] : '?'; /* a NUL would end it */
    return plim_run_fail(run, PLIM_E_FORMAT, "%.*s", (int)n, message);
}

static plim_status global_strftime(plim_run *run, plim_val self, const plim_val *args,
                                   const plim_args *raw, plim_val *out)
{
    const plim_str *format;
    (void)self;
    (void)raw;
    PLIM_TRY(plim_to_str(run, args[0], "the format of strftime_now", &format));
    return plim_strftime(run, format, out);
}

static plim_status global_lipsum(plim_run *run, plim_val self, const plim_val *args,
                                 const plim_args *raw, plim_val *out)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "lipsum(): a text made by chance");
}

static const plim_builtin globals[] = {
    {"range", global_range, 0, NULL},
    {"dict", global_dict, 0, NULL},
    {"namespace", global_namespace, 0, NULL},
    {"cycler", global_cycler, 0, NULL},
    {"joiner", global_joiner, 0, "sep"},
    {"raise_exception", global_raise, 1, "message"},
    {"strftime_now", global_strftime, 1, "format"},
    {"lipsum", global_lipsum, 0, NULL},
};

const plim_builtin *plim_global_find(const plim_str *name)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (plim_str_is(name, globals[i].name))
            return &globals[i];
    }
    return NULL;
}
