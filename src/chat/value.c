/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about any value, and the tools of a run: errors, work, memory, variables. */
#include <stdarg.h>
#include <string.h>

#include "base/num.h"
#include "chat/run.h"

/* ---- the run ---- */

plim_status plim_run_fail(plim_run *run, plim_status code, const char *format, ...)
{
    char what[sizeof run->err->message];
    va_list args;
    va_start(args, format);
    plim_vformat(what, sizeof what, format, args);
    va_end(args);
    return plim_fail_at(run->err, code, (plim_where){run->file, NULL, -1}, "line %u: %s", run->line,
                        what);
}

plim_status plim_work(plim_run *run, uint64_t steps)
{
    run->steps += steps;
    if (run->steps <= PLIM_CHAT_MAX_STEPS && steps <= PLIM_CHAT_MAX_STEPS)
        return PLIM_OK;
    run->steps = PLIM_CHAT_MAX_STEPS + 1;
    return plim_run_fail(run, PLIM_E_LIMIT, "the template takes more than %llu steps",
                         (unsigned long long)PLIM_CHAT_MAX_STEPS);
}

plim_status plim_work_bytes(plim_run *run, uint64_t bytes)
{
    return plim_work(run, bytes / 64);
}

plim_status plim_work_chars(plim_run *run, uint64_t bytes)
{
    return plim_work(run, bytes / 8);
}

plim_status plim_work_find(plim_run *run, uint64_t bytes, const plim_str *needle)
{
    uint64_t unit = needle->bytes < 2 ? 64 : needle->bytes < 32 ? 16 : 8;
    return plim_work(run, bytes / unit + (needle->bytes <= bytes ? needle->bytes / unit : 0));
}

plim_status plim_work_find_last(plim_run *run, uint64_t bytes, const plim_str *needle)
{
    /* compares the needle wherever its first byte stands */
    return plim_work(run, needle->bytes < 2 ? bytes / 64
                                            : bytes / 8 + bytes / 64 * (needle->bytes / 32));
}

void *plim_run_new(plim_run *run, size_t count, size_t size)
{
    return plim_arena_new(&run->arena, count, size, run->err);
}

plim_status plim_deeper(plim_run *run)
{
    if (++run->values <= PLIM_CHAT_MAX_DEPTH)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_LIMIT, "values nested deeper than %d", PLIM_CHAT_MAX_DEPTH);
}

plim_status plim_level_enter(plim_run *run)
{
    if (++run->level <= PLIM_CHAT_MAX_LEVELS)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_LIMIT, "evaluation nested deeper than %d levels",
                         PLIM_CHAT_MAX_LEVELS);
}

/* ---- variables ---- */

plim_status plim_scope_new(plim_run *run, plim_scope *parent, plim_scope **out)
{
    plim_scope *scope = plim_run_new(run, 1, sizeof *scope);
    if (!scope)
        return plim_run_error(run);
    scope->parent = parent;
    *out = scope;
    return PLIM_OK;
}

void plim_scope_keep(plim_scope *scope)
{
    for (; scope && !scope->kept; scope = scope->parent)
        scope->kept = true;
}

plim_status plim_scope_set(plim_run *run, plim_scope *scope, const plim_str *name, plim_val value)
{
    for (size_t i = 0; i < scope->count; i++) {
        if (scope->at[i].name == name) {
            scope->at[i].value = value;
            return PLIM_OK;
        }
    }
    if (scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 4;
        plim_variable *at = plim_run_new(run, cap, sizeof *at);
        if (!at)
            return plim_run_error(run);
        if (scope->count)
            memcpy(at, scope->at, scope->count * sizeof *at);
        scope->at = at;
        scope->cap = cap;
    }
    PLIM_TRY(plim_work(run, scope->count / 16));
    scope->at[scope->count++] = (plim_variable){name, value};
    return PLIM_OK;
}

plim_status plim_lookup(plim_run *run, const plim_str *name, plim_val *out)
{
    for (const plim_scope *scope = run->scope; scope; scope = scope->parent) {
        PLIM_TRY(plim_work(run, scope->count / 16));
        for (size_t i = 0; i < scope->count; i++) {
            if (scope->at[i].name != name)
                continue;
            *out = scope->at[i].value;
            if (out->kind != PLIM_V_MISSING)
                return PLIM_OK;
            goto undefined;
        }
    }
    bool found;
    PLIM_TRY(plim_dict_get(run, run->context, plim_text(name), out, &found));
    if (found)
        return PLIM_OK;
    const plim_builtin *global = plim_global_find(name);
    if (global) {
        *out = (plim_val){.kind = PLIM_V_FUNCTION, .u.function = global};
        return PLIM_OK;
    }
undefined:;
    char what[200];
    plim_format(what, sizeof what, "'%.150s' is undefined", name->data);
    return plim_undefined_new(run, what, out);
}

/* ---- questions ---- */

const char *plim_type_name(plim_val v)
{
    static const char *const names[PLIM_V_KINDS] = {[PLIM_V_MISSING] = "missing",
                                                    [PLIM_V_UNDEFINED] = "Undefined",
                                                    [PLIM_V_NONE] = "NoneType",
                                                    [PLIM_V_BOOL] = "bool",
                                                    [PLIM_V_INT] = "int",
                                                    [PLIM_V_FLOAT] = "float",
                                                    [PLIM_V_STR] = "str",
                                                    [PLIM_V_LIST] = "list",
                                                    [PLIM_V_TUPLE] = "tuple",
                                                    [PLIM_V_DICT] = "dict",
                                                    [PLIM_V_VIEW] = "dict view",
                                                    [PLIM_V_RANGE] = "range",
                                                    [PLIM_V_ITER] = "generator",
                                                    [PLIM_V_NAMESPACE] = "Namespace",
                                                    [PLIM_V_LOOP] = "LoopContext",
                                                    [PLIM_V_MACRO] = "Macro",
                                                    [PLIM_V_METHOD] = "builtin_function_or_method",
                                                    [PLIM_V_FUNCTION] = "function",
                                                    [PLIM_V_CYCLER] = "Cycler",
                                                    [PLIM_V_JOINER] = "Joiner",
                                                    [PLIM_V_SELF] = "TemplateReference"};
    return names[v.kind];
}

bool plim_has_length(plim_val v)
{
    switch ((plim_kind)v.kind) {
    case PLIM_V_UNDEFINED:
    case PLIM_V_STR:
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
    case PLIM_V_DICT:
    case PLIM_V_VIEW:
    case PLIM_V_RANGE:
    case PLIM_V_LOOP:
        return true;
    default:
        return false;
    }
}

plim_status plim_length(plim_run *run, plim_val v, int64_t *out)
{
    plim_val length;
    static const plim_str name = {.data = "length", .bytes = 6};
    switch ((plim_kind)v.kind) {
    case PLIM_V_UNDEFINED:
        *out = 0;
        return PLIM_OK;
    case PLIM_V_STR:
        PLIM_TRY(plim_work_bytes(run, v.u.s->bytes));
        *out = (int64_t)plim_str_length(v.u.s);
        return PLIM_OK;
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
        *out = (int64_t)v.u.list->count;
        return PLIM_OK;
    case PLIM_V_DICT:
    case PLIM_V_VIEW:
        *out = (int64_t)v.u.dict->count;
        return PLIM_OK;
    case PLIM_V_RANGE:
        *out = v.u.range->count;
        return PLIM_OK;
    case PLIM_V_LOOP:
        PLIM_TRY(plim_attribute(run, v, &name, &length));
        *out = length.u.i;
        return PLIM_OK;
    default:
        return plim_run_fail(run, PLIM_E_FORMAT, "object of type '%s' has no len()",
                             plim_type_name(v));
    }
}

plim_status plim_undefined_new(plim_run *run, const char *message, plim_val *out)
{
    plim_undefined *undefined = plim_run_new(run, 1, sizeof *undefined);
    char *copy =
        undefined ? plim_arena_text(&run->arena, message, strlen(message), run->err) : NULL;
    if (!copy)
        return plim_run_error(run);
    undefined->message = copy;
    *out = (plim_val){.kind = PLIM_V_UNDEFINED, .u.undefined = undefined};
    return PLIM_OK;
}

plim_status plim_fail_undefined(plim_run *run, plim_val v)
{
    return plim_run_fail(run, v.u.undefined->unsafe ? PLIM_E_UNSAFE : PLIM_E_FORMAT, "%s",
                         v.u.undefined->message);
}

plim_status plim_to_index(plim_run *run, plim_val v, const char *what, int64_t *out)
{
    if (plim_is_integral(v)) {
        *out = plim_integral(v);
        return PLIM_OK;
    }
    if (v.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, v);
    return plim_run_fail(run, PLIM_E_FORMAT, "%s must be an integer, not '%s'", what,
                         plim_type_name(v));
}

plim_status plim_to_str(plim_run *run, plim_val v, const char *what, const plim_str **out)
{
    if (v.kind == PLIM_V_STR) {
        *out = v.u.s;
        return PLIM_OK;
    }
    if (v.kind == PLIM_V_UNDEFINED && v.u.undefined->unsafe)
        return plim_fail_undefined(run, v);
    return plim_run_fail(run, PLIM_E_FORMAT, "%s must be a string, not '%s'", what,
                         plim_type_name(v));
}
