/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions to values: one function per kind of node behind one table.  Frames are small, and
 * the depth is counted (plim_level_enter). */
#include <assert.h>

#include "chat/run.h"

typedef plim_status (*eval_fn)(plim_run *run, const plim_node *node, plim_val *out);

static plim_status not_constant(plim_run *run)
{
    return plim_run_fail(run, PLIM_E_FORMAT, "this is no constant");
}

static plim_status eval_const(plim_run *run, const plim_node *node, plim_val *out)
{
    (void)run;
    *out = node->value;
    return PLIM_OK;
}

static plim_status eval_name(plim_run *run, const plim_node *node, plim_val *out)
{
    return plim_lookup(run, node->name, out);
}

static plim_status eval_list(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_list *list;
    PLIM_TRY(plim_list_new(run, 0, &list));
    for (const plim_node *item = node->a; item; item = item->next) {
        PLIM_TRY(plim_eval(run, item, out));
        PLIM_TRY(plim_list_add(run, list, *out));
    }
    *out = plim_of_list(list, node->op == PLIM_X_LIST ? PLIM_V_LIST : PLIM_V_TUPLE);
    return PLIM_OK;
}

static plim_status eval_dict(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_dict *dict;
    PLIM_TRY(plim_dict_new(run, &dict));
    for (const plim_node *pair = node->a; pair; pair = pair->next) {
        plim_val key;
        PLIM_TRY(plim_eval(run, pair->a, &key));
        PLIM_TRY(plim_eval(run, pair->b, out));
        PLIM_TRY(plim_dict_set(run, dict, key, *out));
    }
    *out = plim_of_dict(dict);
    return PLIM_OK;
}

static plim_status eval_cond(plim_run *run, const plim_node *node, plim_val *out)
{
    PLIM_TRY(plim_eval(run, node->a, out));
    if (plim_truth(*out))
        return plim_eval(run, node->b, out);
    if (node->c)
        return plim_eval(run, node->c, out);
    if (run->folding)
        return not_constant(run);
    return plim_undefined_new(
        run, "the inline if-expression evaluated to false and no else section was defined", out);
}

/* `or` ends at the first that is true, `and` at the first that is not. */
static plim_status eval_logic(plim_run *run, const plim_node *node, plim_val *out)
{
    for (const plim_node *operand = node->a; operand; operand = operand->next) {
        PLIM_TRY(plim_eval(run, operand, out));
        if (plim_truth(*out) == (node->op == PLIM_X_OR))
            break;
    }
    return PLIM_OK;
}

static plim_status eval_not(plim_run *run, const plim_node *node, plim_val *out)
{
    PLIM_TRY(plim_eval(run, node->a, out));
    *out = plim_bool(!plim_truth(*out));
    return PLIM_OK;
}

static plim_status compare(plim_run *run, plim_operator op, plim_val a, plim_val b, bool *truth)
{
    switch (op) {
    case PLIM_OP_EQ:
        return plim_equal(run, a, b, truth);
    case PLIM_OP_NE:
        PLIM_TRY(plim_equal(run, a, b, truth));
        *truth = !*truth;
        return PLIM_OK;
    case PLIM_OP_IN:
        return plim_contains(run, b, a, truth);
    case PLIM_OP_NOT_IN:
        PLIM_TRY(plim_contains(run, b, a, truth));
        *truth = !*truth;
        return PLIM_OK;
    default:
        return plim_compare(run, (plim_order)(op - PLIM_OP_LT), a, b, truth);
    }
}

static_assert(PLIM_OP_GE - PLIM_OP_LT == PLIM_GE - PLIM_LT, "orders are in the same order");

static plim_status eval_compare(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val left, right;
    bool truth = true;
    PLIM_TRY(plim_eval(run, node->a, &left));
    for (const plim_node *operand = node->b; operand && truth; operand = operand->next) {
        PLIM_TRY(plim_eval(run, operand->a, &right));
        PLIM_TRY(compare(run, (plim_operator)operand->operator_, left, right, &truth));
        left = right;
    }
    *out = plim_bool(truth);
    return PLIM_OK;
}

static plim_status eval_binary(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val left, right;
    PLIM_TRY(plim_eval(run, node->a, &left));
    PLIM_TRY(plim_eval(run, node->b, &right));
    return plim_binary(run, (plim_operator)node->operator_, left, right, out);
}

static plim_status eval_unary(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val operand;
    PLIM_TRY(plim_eval(run, node->a, &operand));
    return plim_unary(run, (plim_operator)node->operator_, operand, out);
}

static plim_status eval_concat(plim_run *run, const plim_node *node, plim_val *out)
{
    const plim_str *text;
    plim_val joined;
    PLIM_TRY(plim_eval(run, node->a, out));
    PLIM_TRY(plim_to_text(run, *out, &text));
    joined = plim_text(text);
    for (const plim_node *operand = node->a->next; operand; operand = operand->next) {
        PLIM_TRY(plim_eval(run, operand, out));
        PLIM_TRY(plim_to_text(run, *out, &text));
        PLIM_TRY(plim_str_concat(run, joined.u.s, text, &joined));
    }
    *out = joined;
    return PLIM_OK;
}

static plim_status eval_getattr(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val object;
    PLIM_TRY(plim_eval(run, node->a, &object));
    return plim_getattr(run, object, node->name, out);
}

static plim_status eval_bounds(plim_run *run, const plim_node *slice, plim_val bounds[3])
{
    const plim_node *nodes[3] = {slice->a, slice->b, slice->c};
    for (int i = 0; i < 3; i++) {
        bounds[i] = plim_none();
        if (nodes[i])
            PLIM_TRY(plim_eval(run, nodes[i], &bounds[i]));
    }
    return PLIM_OK;
}

static plim_status eval_getitem(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val object, bounds[3];
    PLIM_TRY(plim_eval(run, node->a, &object));
    if (node->b->op != PLIM_X_SLICE) {
        PLIM_TRY(plim_eval(run, node->b, &bounds[0]));
        return plim_getitem(run, object, bounds[0], out);
    }
    PLIM_TRY(eval_bounds(run, node->b, bounds));
    return plim_slice(run, object, bounds, out);
}

/* ---- calls ---- */

static plim_status add_named(plim_run *run, plim_args *args, size_t *cap, const plim_str *name,
                             plim_val value)
{
    for (size_t i = 0; i < args->named; i++) {
        if (plim_str_equal(args->names[i], name))
            return plim_run_fail(run, PLIM_E_FORMAT, "keyword argument '%.*s' is given twice",
                                 plim_str_shown(name), name->data);
    }
    PLIM_TRY(plim_work(run, args->named));
    if (args->named == *cap) {
        size_t more = *cap ? *cap * 2 : 4;
        const plim_str **names = plim_run_new(run, more, sizeof *names);
        plim_val *values = names ? plim_run_new(run, more, sizeof *values) : NULL;
        if (!values)
            return plim_run_error(run);
        for (size_t i = 0; i < args->named; i++) {
            names[i] = args->names[i];
            values[i] = args->values[i];
        }
        args->names = names;
        args->values = values;
        *cap = more;
    }
    args->names[args->named] = name;
    args->values[args->named++] = value;
    return PLIM_OK;
}

static plim_status add_mapping(plim_run *run, plim_args *args, size_t *cap, plim_val mapping)
{
    if (mapping.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, mapping);
    if (mapping.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "argument after ** must be a mapping, not '%s'",
                             plim_type_name(mapping));
    for (size_t i = 0; i < mapping.u.dict->count; i++) {
        const plim_entry *entry = &mapping.u.dict->at[i];
        if (entry->key.kind != PLIM_V_STR)
            return plim_run_fail(run, PLIM_E_FORMAT, "keywords must be strings");
        PLIM_TRY(add_named(run, args, cap, entry->key.u.s, entry->value));
    }
    return PLIM_OK;
}

plim_status plim_eval_args(plim_run *run, const plim_node *list, plim_args *out)
{
    plim_list *at;
    size_t cap = 0;
    *out = (plim_args){0};
    if (!list)
        return PLIM_OK;
    PLIM_TRY(plim_list_new(run, 0, &at));
    for (; list; list = list->next) {
        plim_val value;
        bool special =
            list->op == PLIM_X_STAR || list->op == PLIM_X_STARSTAR || list->op == PLIM_X_KEYWORD;
        PLIM_TRY(plim_eval(run, special ? list->a : list, &value));
        if (list->op == PLIM_X_KEYWORD) {
            PLIM_TRY(add_named(run, out, &cap, list->name, value));
        } else if (list->op == PLIM_X_STARSTAR) {
            PLIM_TRY(add_mapping(run, out, &cap, value));
        } else if (list->op == PLIM_X_STAR) {
            plim_list *several;
            PLIM_TRY(plim_to_list(run, value, &several));
            for (size_t i = 0; i < several->count; i++)
                PLIM_TRY(plim_list_add(run, at, several->at[i]));
        } else {
            PLIM_TRY(plim_list_add(run, at, value));
        }
    }
    out->at = at->at;
    out->count = at->count;
    return PLIM_OK;
}

static plim_status eval_call(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val callee;
    plim_args args;
    PLIM_TRY(plim_eval(run, node->a, &callee));
    PLIM_TRY(plim_eval_args(run, node->b, &args));
    run->line = node->line;
    return plim_call(run, callee, &args, out);
}

/* Filters that want the context: the compiler leaves them alone. */
static bool is_lazy(const plim_str *name)
{
    return plim_str_is(name, "map") || plim_str_is(name, "select") || plim_str_is(name, "reject") ||
           plim_str_is(name, "selectattr") || plim_str_is(name, "rejectattr");
}

static plim_status eval_filter(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val value = run->captured;
    plim_args args;
    if (run->folding && (!node->a || is_lazy(node->name)))
        return not_constant(run);
    if (node->a)
        PLIM_TRY(plim_eval(run, node->a, &value));
    PLIM_TRY(plim_eval_args(run, node->b, &args));
    run->line = node->line;
    return plim_apply_filter(run, node->name, value, &args, out);
}

static plim_status eval_test(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_val value;
    plim_args args;
    bool truth = false;
    PLIM_TRY(plim_eval(run, node->a, &value));
    PLIM_TRY(plim_eval_args(run, node->b, &args));
    run->line = node->line;
    PLIM_TRY(plim_apply_test(run, node->name, value, &args, &truth));
    *out = plim_bool(truth);
    return PLIM_OK;
}

static const eval_fn evals[PLIM_OPS] = {
    [PLIM_X_CONST] = eval_const,     [PLIM_X_NAME] = eval_name,
    [PLIM_X_TUPLE] = eval_list,      [PLIM_X_LIST] = eval_list,
    [PLIM_X_DICT] = eval_dict,       [PLIM_X_COND] = eval_cond,
    [PLIM_X_OR] = eval_logic,        [PLIM_X_AND] = eval_logic,
    [PLIM_X_NOT] = eval_not,         [PLIM_X_COMPARE] = eval_compare,
    [PLIM_X_BINARY] = eval_binary,   [PLIM_X_UNARY] = eval_unary,
    [PLIM_X_CONCAT] = eval_concat,   [PLIM_X_GETATTR] = eval_getattr,
    [PLIM_X_GETITEM] = eval_getitem, [PLIM_X_CALL] = eval_call,
    [PLIM_X_FILTER] = eval_filter,   [PLIM_X_TEST] = eval_test,
};

/* ---- constants ---- */

/* Whether a value can stand in the code that Jinja2's compiler writes. */
static plim_status is_plain(plim_run *run, plim_val v, bool *out)
{
    plim_list *list = v.kind == PLIM_V_LIST || v.kind == PLIM_V_TUPLE ? v.u.list : NULL;
    const plim_dict *dict = v.kind == PLIM_V_DICT ? v.u.dict : NULL;
    *out = list || dict || plim_is_number(v) || v.kind == PLIM_V_NONE || v.kind == PLIM_V_STR ||
           v.kind == PLIM_V_RANGE;
    PLIM_TRY(plim_deeper(run));
    for (size_t i = 0; list && i < list->count && *out; i++)
        PLIM_TRY(is_plain(run, list->at[i], out));
    for (size_t i = 0; dict && i < dict->count && *out; i++) /* keys can be written: no lists */
        PLIM_TRY(is_plain(run, dict->at[i].value, out));
    plim_shallower(run);
    return plim_work(run, 1);
}

/* Jinja2 evaluates constants when it compiles, with one difference that shows: what can't be sliced
 * is undefined then, and an error when the template runs.  *done is false where the compiler gives
 * up: the expression has variables, fails, or its value can't be written as code.  (Not inline: an
 * error is large, and frames are to be small.) */
static __attribute__((noinline)) plim_status fold(plim_run *run, const plim_node *node,
                                                  bool printed, plim_val *out, bool *done)
{
    plim_error *err = run->err, why = {0};
    unsigned level = run->level, values = run->values;
    run->err = &why;
    run->folding = true;
    plim_status status = evals[node->op](run, node, out);
    *done = printed;
    if (!status && !printed)
        status = is_plain(run, *out, done);
    run->folding = false;
    run->err = err;
    if (!status)
        return PLIM_OK;
    *done = false;
    run->level = level;
    run->values = values;
    if (status == PLIM_E_FORMAT || status == PLIM_E_UNSAFE || status == PLIM_E_UNSUP)
        return PLIM_OK;
    *err = why;
    return status;
}

static plim_status eval(plim_run *run, const plim_node *node, bool printed, plim_val *out)
{
    bool done = false;
    PLIM_TRY(plim_level_enter(run));
    PLIM_TRY(plim_work(run, 1));
    run->line = node->line;
    if (run->folding && (node->op == PLIM_X_NAME || node->op == PLIM_X_CALL))
        return not_constant(run);
    if (node->folds && !run->folding)
        PLIM_TRY(fold(run, node, printed, out, &done));
    if (!done)
        PLIM_TRY(evals[node->op](run, node, out));
    plim_level_leave(run);
    return PLIM_OK;
}

plim_status plim_eval(plim_run *run, const plim_node *node, plim_val *out)
{
    return eval(run, node, false, out);
}

plim_status plim_eval_printed(plim_run *run, const plim_node *node, plim_val *out)
{
    return eval(run, node, true, out);
}
