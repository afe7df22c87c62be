/* SPDX-License-Identifier: Apache-2.0
 *
 * for: with a condition, recursive, with else; and the loop variable. */
#include "chat/run.h"

plim_status plim_loop_peek(plim_run *run, plim_loop *loop, plim_val *out)
{
    if (!loop->has_after) {
        PLIM_TRY(plim_next(run, loop->iter, &loop->after));
        loop->has_after = true;
    }
    *out = loop->after;
    return PLIM_OK;
}

plim_status plim_loop_length(plim_run *run, plim_loop *loop, int64_t *out)
{
    if (loop->length < 0 && plim_has_length(loop->source)) {
        PLIM_TRY(plim_length(run, loop->source, &loop->length));
    } else if (loop->length < 0) {
        /* what is left of an iterator is read, and kept for the loop */
        plim_list *rest;
        PLIM_TRY(plim_to_list(run, (plim_val){.kind = PLIM_V_ITER, .u.iter = loop->iter}, &rest));
        PLIM_TRY(plim_iterate(run, plim_of_list(rest, PLIM_V_LIST), &loop->iter));
        bool peeked = loop->has_after && loop->after.kind != PLIM_V_MISSING;
        loop->length = (int64_t)rest->count + loop->index0 + 1 + peeked;
    }
    *out = loop->length;
    return PLIM_OK;
}

/* ---- the condition of a loop ---- */

typedef struct condition {
    const plim_node *node;
    plim_scope *scope, *turn;
} condition;

static plim_status next_that_passes(plim_run *run, plim_iter *iter, plim_val *out)
{
    condition *c = iter->state;
    plim_scope *before = run->scope;
    for (;;) {
        plim_val truth;
        PLIM_TRY(plim_next(run, iter->inner, out));
        if (out->kind == PLIM_V_MISSING)
            break;
        if (!c->turn || c->turn->kept)
            PLIM_TRY(plim_scope_new(run, c->scope, &c->turn));
        run->scope = c->turn;
        run->scope->count = 0;
        PLIM_TRY(plim_assign(run, c->node->a, *out));
        PLIM_TRY(plim_eval(run, c->node->c, &truth));
        run->scope = before;
        if (plim_truth(truth))
            break;
    }
    run->scope = before;
    return PLIM_OK;
}

static plim_status with_condition(plim_run *run, const plim_node *node, plim_val *source)
{
    condition *c = plim_run_new(run, 1, sizeof *c);
    plim_iter *inner;
    if (!c)
        return plim_run_error(run);
    plim_scope_keep(run->scope);
    *c = (condition){node, run->scope, NULL};
    PLIM_TRY(plim_iterate(run, *source, &inner));
    PLIM_TRY(plim_iter_lazy(run, *source, next_that_passes, c, "loop", source));
    source->u.iter->inner = inner;
    return PLIM_OK;
}

/* ---- the loop ---- */

plim_status plim_loop_advance(plim_run *run, plim_loop *loop, plim_val *item)
{
    PLIM_TRY(plim_loop_peek(run, loop, item));
    if (item->kind == PLIM_V_MISSING)
        return PLIM_OK;
    loop->has_after = false;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *item;
    return PLIM_OK;
}

/* A frame of its own for each turn: the last one's memory, where nothing looks into it any more. */
static plim_status begin_turn(plim_run *run, const plim_node *node, plim_loop *loop)
{
    if (!loop->turn || loop->turn->kept)
        PLIM_TRY(plim_scope_new(run, loop->scope, &loop->turn));
    run->scope = loop->turn;
    run->scope->count = 0;
    for (const plim_str **name = node->hidden; name && *name; name++)
        PLIM_TRY(plim_scope_set(run, run->scope, *name, plim_missing()));
    PLIM_TRY(plim_assign(run, node->a, loop->current));
    return plim_scope_set(run, run->scope, node->name,
                          (plim_val){.kind = PLIM_V_LOOP, .u.loop = loop});
}

static plim_status run_loop(plim_run *run, const plim_node *node, plim_loop *loop, plim_flow *flow)
{
    bool completed = false; /* a turn came to its end: no else */
    for (;;) {
        plim_val item;
        plim_flow inside = PLIM_FLOW_ON;
        PLIM_TRY(plim_loop_advance(run, loop, &item));
        if (item.kind == PLIM_V_MISSING)
            break;
        PLIM_TRY(begin_turn(run, node, loop));
        PLIM_TRY(plim_exec(run, node->body, &inside));
        completed = completed || inside == PLIM_FLOW_ON;
        run->scope = loop->scope;
        if (inside == PLIM_FLOW_BREAK)
            break;
    }
    if (completed || !node->other)
        return PLIM_OK;
    PLIM_TRY(plim_scope_new(run, loop->scope, &run->scope));
    PLIM_TRY(plim_exec(run, node->other, flow));
    run->scope = loop->scope;
    return PLIM_OK;
}

static plim_status start(plim_run *run, const plim_node *node, plim_val source, plim_scope *scope,
                         unsigned depth0, plim_flow *flow)
{
    plim_scope *before = run->scope;
    plim_loop *loop = plim_run_new(run, 1, sizeof *loop);
    if (!loop)
        return plim_run_error(run);
    run->scope = scope;
    if (node->c)
        PLIM_TRY(with_condition(run, node, &source));
    *loop = (plim_loop){.source = source,
                        .index0 = -1,
                        .length = -1,
                        .depth0 = depth0,
                        .recursive = node->flags & PLIM_IS_RECURSIVE ? node : NULL,
                        .scope = scope};
    PLIM_TRY(plim_iterate(run, source, &loop->iter));
    PLIM_TRY(run_loop(run, node, loop, flow));
    run->scope = before;
    return PLIM_OK;
}

plim_status plim_exec_for(plim_run *run, const plim_node *node, plim_flow *flow)
{
    plim_val source;
    PLIM_TRY(plim_eval(run, node->b, &source));
    run->line = node->line;
    return start(run, node, source, run->scope, 0, flow);
}

/* loop(items) in a recursive loop: its text. */
plim_status plim_loop_again(plim_run *run, plim_loop *loop, plim_val source, plim_val *out)
{
    plim_flow flow = PLIM_FLOW_ON;
    plim_buf *before = run->out;
    if (!loop->recursive)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "the loop must have the 'recursive' marker to be called recursively");
    if (++run->calls > PLIM_CHAT_MAX_DEPTH)
        return plim_run_fail(run, PLIM_E_LIMIT, "loops called deeper than %d", PLIM_CHAT_MAX_DEPTH);
    PLIM_TRY(plim_buf_new(run, &run->out));
    PLIM_TRY(start(run, loop->recursive, source, loop->scope, loop->depth0 + 1, &flow));
    PLIM_TRY(plim_buf_take(run, run->out, out));
    run->out = before;
    run->calls--;
    return PLIM_OK;
}
