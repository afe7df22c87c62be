/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements: one function per kind behind one table; loops are in loop.c, macros in call.c. */
#include <assert.h>

#include "chat/run.h"

typedef plim_status (*exec_fn)(plim_run *run, const plim_node *node, plim_flow *flow);

static plim_status check_output(plim_run *run)
{
    if (run->out->used <= PLIM_CHAT_OUTPUT_BYTES)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_LIMIT, "the template writes more than %zu bytes",
                         (size_t)PLIM_CHAT_OUTPUT_BYTES);
}

/* Jinja2 joins what these blocks give with the text around them as it is. */
static plim_status write_text(plim_run *run, plim_val value)
{
    const plim_str *text;
    PLIM_TRY(plim_to_str(run, value, "what a filter or call block gives", &text));
    PLIM_TRY(plim_buf_all(run, run->out, text));
    return check_output(run);
}

static plim_status exec_data(plim_run *run, const plim_node *node, plim_flow *flow)
{
    (void)flow;
    PLIM_TRY(plim_buf_all(run, run->out, node->value.u.s));
    return check_output(run);
}

static plim_status exec_print(plim_run *run, const plim_node *node, plim_flow *flow)
{
    (void)flow;
    for (const plim_node *item = node->a; item; item = item->next) {
        plim_val value;
        PLIM_TRY(plim_eval_printed(run, item, &value));
        run->line = item->line;
        PLIM_TRY(plim_print(run, run->out, value));
        PLIM_TRY(check_output(run));
    }
    return PLIM_OK;
}

static plim_status exec_if(plim_run *run, const plim_node *node, plim_flow *flow)
{
    for (const plim_node *branch = node->a; branch; branch = branch->next) {
        plim_val truth = plim_bool(true);
        if (branch->a)
            PLIM_TRY(plim_eval(run, branch->a, &truth));
        if (plim_truth(truth))
            return plim_exec(run, branch->body, flow);
    }
    return PLIM_OK;
}

/* ---- assignment ---- */

static plim_status assign_tuple(plim_run *run, const plim_node *target, plim_val value)
{
    plim_iter *iter;
    size_t want = 0;
    for (const plim_node *item = target->a; item; item = item->next)
        want++;
    PLIM_TRY(plim_iterate(run, value, &iter));
    /* all of them are taken before the first is assigned */
    plim_val *values = plim_run_new(run, want + 1, sizeof *values);
    if (!values)
        return plim_run_error(run);
    for (size_t i = 0; i <= want; i++) {
        PLIM_TRY(plim_next(run, iter, &values[i]));
        if ((values[i].kind == PLIM_V_MISSING) != (i == want))
            return plim_run_fail(run, PLIM_E_FORMAT, "%s values to unpack (expected %zu)",
                                 i == want ? "too many" : "not enough", want);
    }
    size_t i = 0;
    for (const plim_node *item = target->a; item; item = item->next)
        PLIM_TRY(plim_assign(run, item, values[i++]));
    return PLIM_OK;
}

static plim_status assign_namespace(plim_run *run, const plim_node *target, plim_val value)
{
    plim_val space;
    PLIM_TRY(plim_lookup(run, target->name, &space));
    if (space.kind != PLIM_V_NAMESPACE)
        return plim_run_fail(run, PLIM_E_FORMAT, "cannot assign attribute on non-namespace object");
    if (target->name2->data[0] == '_')
        return plim_run_fail(run, PLIM_E_UNSAFE,
                             "a namespace can't have attributes that begin with an underscore");
    return plim_dict_set(run, space.u.dict, plim_text(target->name2), value);
}

plim_status plim_assign(plim_run *run, const plim_node *target, plim_val value)
{
    if (target->op == PLIM_X_NAME)
        return plim_scope_set(run, run->scope, target->name, value);
    if (target->op == PLIM_X_NSREF)
        return assign_namespace(run, target, value);
    return assign_tuple(run, target, value);
}

/* Jinja2 looks at every namespace of a target before it evaluates what is assigned. */
static plim_status check_namespaces(plim_run *run, const plim_node *target)
{
    plim_val space;
    for (const plim_node *item = target->op == PLIM_X_TUPLE ? target->a : NULL; item;
         item = item->next)
        PLIM_TRY(check_namespaces(run, item));
    if (target->op != PLIM_X_NSREF)
        return PLIM_OK;
    PLIM_TRY(plim_lookup(run, target->name, &space));
    if (space.kind == PLIM_V_NAMESPACE)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_FORMAT, "cannot assign attribute on non-namespace object");
}

static plim_status exec_set(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_val value;
    (void)flow;
    PLIM_TRY(check_namespaces(run, node->a));
    PLIM_TRY(plim_eval(run, node->b, &value));
    return plim_assign(run, node->a, value);
}

/* ---- blocks with frames of their own ---- */

/* A frame for a statement's body, with the names that it hides. */
static plim_status enter(plim_run *run, const plim_node *node)
{
    PLIM_TRY(plim_scope_new(run, run->scope, &run->scope));
    for (const plim_str **name = node->hidden; name && *name; name++)
        PLIM_TRY(plim_scope_set(run, run->scope, *name, plim_missing()));
    return PLIM_OK;
}

plim_status plim_capture(plim_run *run, const plim_node *list, plim_val *out, plim_flow *flow)
{
    plim_buf *before = run->out;
    PLIM_TRY(plim_buf_new(run, &run->out));
    PLIM_TRY(plim_exec(run, list, flow));
    PLIM_TRY(plim_buf_take(run, run->out, out));
    run->out = before;
    return PLIM_OK;
}

/* The text of a body, with filters over it where there are. */
static plim_status captured(plim_run *run, const plim_node *node, plim_val *out, plim_flow *flow)
{
    PLIM_TRY(plim_capture(run, node->body, out, flow));
    if (!node->b || *flow != PLIM_FLOW_ON)
        return PLIM_OK;
    plim_val before = run->captured;
    run->captured = *out;
    PLIM_TRY(plim_eval(run, node->b, out));
    run->captured = before;
    return PLIM_OK;
}

static plim_status exec_set_block(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_scope *before = run->scope;
    plim_val value;
    PLIM_TRY(enter(run, node));
    PLIM_TRY(captured(run, node, &value, flow));
    run->scope = before;
    return *flow == PLIM_FLOW_ON ? plim_assign(run, node->a, value) : PLIM_OK;
}

static plim_status exec_filter(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_scope *before = run->scope;
    plim_val value;
    PLIM_TRY(enter(run, node));
    PLIM_TRY(captured(run, node, &value, flow));
    run->scope = before;
    return *flow == PLIM_FLOW_ON ? write_text(run, value) : check_output(run);
}

static plim_status exec_with(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_scope *before = run->scope, *inner;
    PLIM_TRY(enter(run, node));
    inner = run->scope;
    for (const plim_node *pair = node->a; pair; pair = pair->next) {
        plim_val value;
        run->scope = before; /* values don't see each other */
        PLIM_TRY(plim_eval(run, pair->b, &value));
        run->scope = inner;
        PLIM_TRY(plim_assign(run, pair->a, value));
    }
    run->scope = inner;
    PLIM_TRY(plim_exec(run, node->body, flow));
    run->scope = before;
    return PLIM_OK;
}

static plim_status exec_scope(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_scope *before = run->scope;
    if (node->op == PLIM_S_BLOCK)
        run->scope = run->root;
    PLIM_TRY(enter(run, node));
    PLIM_TRY(plim_exec(run, node->body, flow));
    run->scope = before;
    return PLIM_OK;
}

static plim_status make_macro(plim_run *run, const plim_node *node, plim_val *out)
{
    plim_macro *macro = plim_run_new(run, 1, sizeof *macro);
    if (!macro)
        return plim_run_error(run);
    plim_scope_keep(run->scope);
    *macro = (plim_macro){node, run->scope, node->name};
    *out = (plim_val){.kind = PLIM_V_MACRO, .u.macro = macro};
    return PLIM_OK;
}

static plim_status exec_macro(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_val macro;
    (void)flow;
    PLIM_TRY(make_macro(run, node, &macro));
    return plim_scope_set(run, run->scope, node->name, macro);
}

/* {% call f(x) %}: the call, with its body as `caller`. */
static plim_status exec_call(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_val callee, caller, value;
    plim_args args;
    (void)flow;
    PLIM_TRY(make_macro(run, node, &caller));
    PLIM_TRY(plim_eval(run, node->b->a, &callee));
    PLIM_TRY(plim_eval_args(run, node->b->b, &args));
    run->line = node->line;
    const plim_str **names = plim_run_new(run, args.named + 1, sizeof *names);
    plim_val *values = names ? plim_run_new(run, args.named + 1, sizeof *values) : NULL;
    if (!values)
        return plim_run_error(run);
    static const plim_str caller_name = {.data = "caller", .bytes = 6};
    for (size_t i = 0; i < args.named; i++) {
        if (plim_str_equal(args.names[i], &caller_name))
            return plim_run_fail(run, PLIM_E_FORMAT, "keyword argument 'caller' is given twice");
        names[i] = args.names[i];
        values[i] = args.values[i];
    }
    names[args.named] = &caller_name;
    values[args.named++] = caller;
    args.names = names;
    args.values = values;
    PLIM_TRY(plim_call(run, callee, &args, &value));
    return write_text(run, value);
}

static plim_status exec_jump(plim_run *run, const plim_node *node, plim_flow *flow)
{
    (void)run;
    *flow = node->op == PLIM_S_BREAK ? PLIM_FLOW_BREAK : PLIM_FLOW_CONTINUE;
    return PLIM_OK;
}

static plim_status exec_load(plim_run *run, const plim_node *node, plim_flow *flow)
{
    (void)node;
    (void)flow;
    return plim_run_fail(run, PLIM_E_UNSUP,
                         "include, import and extends: a chat template stands alone");
}

static const exec_fn execs[PLIM_OPS] = {
    [PLIM_S_DATA] = exec_data,   [PLIM_S_PRINT] = exec_print,   [PLIM_S_FOR] = plim_exec_for,
    [PLIM_S_IF] = exec_if,       [PLIM_S_SET] = exec_set,       [PLIM_S_SET_BLOCK] = exec_set_block,
    [PLIM_S_MACRO] = exec_macro, [PLIM_S_CALL] = exec_call,     [PLIM_S_FILTER] = exec_filter,
    [PLIM_S_WITH] = exec_with,   [PLIM_S_SCOPE] = exec_scope,   [PLIM_S_BLOCK] = exec_scope,
    [PLIM_S_BREAK] = exec_jump,  [PLIM_S_CONTINUE] = exec_jump, [PLIM_S_LOAD] = exec_load,
};

plim_status plim_exec(plim_run *run, const plim_node *list, plim_flow *flow)
{
    PLIM_TRY(plim_level_enter(run));
    for (; list && *flow == PLIM_FLOW_ON; list = list->next) {
        PLIM_TRY(plim_work(run, 1));
        run->line = list->line;
        PLIM_TRY(execs[list->op](run, list, flow));
    }
    plim_level_leave(run);
    return PLIM_OK;
}
