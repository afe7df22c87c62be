/* SPDX-License-Identifier: Apache-2.0
 *
 * Which variables a frame (a template, the body of a loop, a macro, ...) hides from its beginning
 * on.  Jinja2 compiles to Python: a name that a frame sets before it reads it, and that no frame
 * around it mentions, is that frame's own and undefined until it is set, whatever the context says;
 * inside of an `if` the context counts.  Also here, as it needs the same walk: the special
 * variables that macros use, and whether filters and tests exist (where Jinja2 looks when it
 * compiles, outside of conditions). */
#include <string.h>

#include "chat/parse.h"
#include "chat/run.h"

typedef struct frame frame;
struct frame {
    const frame *parent;
    const plim_str **seen; /* names that are read, set or parameters */
    size_t seen_count, seen_cap;
    const plim_str **hidden;
    size_t hidden_count, hidden_cap;
};

typedef struct walk {
    plim_parser *p;
    frame *frame;
    bool conditional; /* inside of an if: nothing is hidden */
} walk;

static bool mentions(const frame *f, const plim_str *name)
{
    for (size_t i = f->seen_count; i-- > 0;) {
        if (f->seen[i] == name)
            return true;
    }
    return false;
}

static plim_status see(walk *w, const plim_str *name, bool hide)
{
    frame *f = w->frame;
    const plim_alloc *alloc = w->p->arena->alloc;
    if (mentions(f, name))
        return PLIM_OK;
    PLIM_TRY(
        plim_grow(alloc, &f->seen, &f->seen_cap, f->seen_count + 1, sizeof *f->seen, w->p->err));
    f->seen[f->seen_count++] = name;
    for (const frame *outer = f->parent; hide && outer; outer = outer->parent)
        hide = !mentions(outer, name);
    if (!hide || w->conditional)
        return PLIM_OK;
    PLIM_TRY(plim_grow(alloc, &f->hidden, &f->hidden_cap, f->hidden_count + 1, sizeof *f->hidden,
                       w->p->err));
    f->hidden[f->hidden_count++] = name;
    return PLIM_OK;
}

static plim_status visit_list(walk *w, const plim_node *list);

static plim_status set_target(walk *w, const plim_node *target)
{
    if (target->op == PLIM_X_NAME)
        return see(w, target->name, true);
    if (target->op == PLIM_X_NSREF)
        return see(w, target->name, false);
    for (const plim_node *item = target->a; item; item = item->next)
        PLIM_TRY(set_target(w, item));
    return PLIM_OK;
}

/* The branches of an if: what they set is not hidden. */
static plim_status visit_if(walk *w, const plim_node *node)
{
    bool before = w->conditional;
    for (const plim_node *branch = node->a; branch; branch = branch->next) {
        if (branch->a)
            PLIM_TRY(visit_list(w, branch->a));
        w->conditional = true;
        PLIM_TRY(visit_list(w, branch->body));
    }
    w->conditional = before;
    return PLIM_OK;
}

/* What a node reads and sets in the frame that it stands in, in Jinja2's order. */
static plim_status visit(walk *w, const plim_node *node)
{
    switch ((plim_op)node->op) {
    case PLIM_X_NAME:
        return see(w, node->name, false);
    case PLIM_S_IF:
        return visit_if(w, node);
    case PLIM_S_MACRO:
        return see(w, node->name, true);
    case PLIM_S_SET:
        PLIM_TRY(visit_list(w, node->b));
        return set_target(w, node->a);
    case PLIM_S_SET_BLOCK:
        return set_target(w, node->a);
    case PLIM_S_FOR:
    case PLIM_S_CALL:
    case PLIM_S_FILTER:
        return visit_list(w, node->b);
    case PLIM_S_WITH:
        for (const plim_node *pair = node->a; pair; pair = pair->next)
            PLIM_TRY(visit_list(w, pair->b));
        return PLIM_OK;
    case PLIM_S_SCOPE:
    case PLIM_S_BLOCK:
        return PLIM_OK;
    default:
        PLIM_TRY(visit_list(w, node->a));
        PLIM_TRY(visit_list(w, node->b));
        return visit_list(w, node->c);
    }
}

static plim_status visit_list(walk *w, const plim_node *list)
{
    for (; list; list = list->next)
        PLIM_TRY(visit(w, list));
    return PLIM_OK;
}

/* ---- frames ---- */

static plim_status inner_frames(plim_parser *p, plim_node *list, frame *around, bool soft);

/* A frame with parameters `targets` (names or tuples) and PARAMs, over `body`. */
static plim_status analyze(plim_parser *p, const frame *around, const plim_node *targets,
                           plim_node *body, const plim_str ***hidden)
{
    frame f = {.parent = around};
    walk w = {p, &f, true};
    plim_status status = PLIM_OK;
    for (const plim_node *t = targets; t && !status; t = t->next) {
        status = t->op == PLIM_X_PARAM  ? see(&w, t->name, false)
                 : t->op == PLIM_X_PAIR ? set_target(&w, t->a)
                                        : set_target(&w, t);
    }
    for (const plim_node *t = targets; t && t->op == PLIM_X_PARAM && !status; t = t->next)
        status = t->a ? visit(&w, t->a) : PLIM_OK;
    w.conditional = false;
    if (!status)
        status = visit_list(&w, body);
    if (!status && f.hidden_count) {
        const plim_str **copy = plim_arena_new(p->arena, f.hidden_count + 1, sizeof *copy, p->err);
        if (copy)
            memcpy(copy, f.hidden, f.hidden_count * sizeof *copy);
        status = copy ? PLIM_OK : plim_failed(p->err);
        *hidden = copy;
    }
    if (!status)
        status = inner_frames(p, body, &f, false);
    plim_delete(p->arena->alloc, f.seen);
    plim_delete(p->arena->alloc, f.hidden);
    return status;
}

static plim_status check_name(plim_parser *p, const plim_node *node, bool soft)
{
    const plim_str *name = node->name;
    if (soft || (node->op == PLIM_X_FILTER ? plim_filter_find(name->data, name->bytes)
                                           : plim_test_find(name->data, name->bytes)))
        return PLIM_OK;
    return plim_parse_fail(p, node->line, "no %s named '%s'",
                           node->op == PLIM_X_FILTER ? "filter" : "test", name->data);
}

/* The parts of a node that belong to its own frame. */
static plim_status frame_of(plim_parser *p, plim_node *node, frame *around)
{
    const plim_str **other = NULL;
    switch ((plim_op)node->op) {
    case PLIM_S_FOR:
        if (node->c)
            PLIM_TRY(analyze(p, around, node->a, node->c, &other));
        PLIM_TRY(analyze(p, around, node->a, node->body, &node->hidden));
        return analyze(p, around, NULL, node->other, &other);
    case PLIM_S_BLOCK:
        return analyze(p, NULL, NULL, node->body, &node->hidden);
    case PLIM_S_SET_BLOCK:
    case PLIM_S_FILTER:
    case PLIM_S_SCOPE:
        return analyze(p, around, NULL, node->body, &node->hidden);
    default: /* macros, call blocks, with */
        return analyze(p, around, node->a, node->body, &node->hidden);
    }
}

static plim_status inner_frames(plim_parser *p, plim_node *list, frame *around, bool soft)
{
    for (plim_node *node = list; node; node = node->next) {
        switch ((plim_op)node->op) {
        case PLIM_S_FOR:
            PLIM_TRY(inner_frames(p, node->b, around, soft));
            PLIM_TRY(frame_of(p, node, around));
            continue;
        case PLIM_S_MACRO:
            PLIM_TRY(inner_frames(p, node->a, around, false));
            PLIM_TRY(frame_of(p, node, around));
            continue;
        case PLIM_S_SET_BLOCK:
        case PLIM_S_FILTER:
            PLIM_TRY(inner_frames(p, node->b, around, false));
            PLIM_TRY(frame_of(p, node, around));
            continue;
        case PLIM_S_CALL:
        case PLIM_S_WITH:
        case PLIM_S_SCOPE:
        case PLIM_S_BLOCK:
            PLIM_TRY(inner_frames(p, node->a, around, soft));
            PLIM_TRY(inner_frames(p, node->b, around, soft));
            PLIM_TRY(frame_of(p, node, around));
            continue;
        case PLIM_X_FILTER:
        case PLIM_X_TEST:
            PLIM_TRY(check_name(p, node, soft));
            break;
        default:
            break;
        }
        bool inside = soft || node->op == PLIM_S_IF || node->op == PLIM_X_COND;
        PLIM_TRY(inner_frames(p, node->a, around, inside));
        PLIM_TRY(inner_frames(p, node->b, around, inside));
        PLIM_TRY(inner_frames(p, node->c, around, inside));
        PLIM_TRY(inner_frames(p, node->body, around, inside));
    }
    return PLIM_OK;
}

/* ---- special variables of macros ---- */

/* The flags of the special names that a list mentions. */
static unsigned uses(const plim_names *names, const plim_node *list)
{
    unsigned found = 0;
    for (; list; list = list->next) {
        if (list->op == PLIM_X_NAME)
            found |= list->name == names->caller    ? PLIM_USES_CALLER
                     : list->name == names->kwargs  ? PLIM_USES_KWARGS
                     : list->name == names->varargs ? PLIM_USES_VARARGS
                                                    : 0;
        if (list->op == PLIM_S_BLOCK)
            continue;
        found |= uses(names, list->a) | uses(names, list->b) | uses(names, list->c);
        found |= uses(names, list->body);
        if (list->op == PLIM_S_FOR)
            found |= uses(names, list->other);
    }
    return found;
}

/* A parameter `caller` must have a default where the body calls it. */
static plim_status check_caller(plim_parser *p, const plim_node *macro)
{
    for (const plim_node *param = macro->a; param; param = param->next) {
        if ((macro->flags & PLIM_USES_CALLER) && param->name == p->names->caller && !param->a)
            return plim_parse_fail(p, param->line, "the parameter 'caller' must have a default");
    }
    return PLIM_OK;
}

static plim_status mark_macros(plim_parser *p, plim_node *list)
{
    for (; list; list = list->next) {
        if (list->op == PLIM_S_MACRO || list->op == PLIM_S_CALL) {
            list->flags |= (uint8_t)uses(p->names, list->body);
            PLIM_TRY(check_caller(p, list));
        }
        PLIM_TRY(mark_macros(p, list->a)); /* branches */
        PLIM_TRY(mark_macros(p, list->body));
        if (list->op == PLIM_S_FOR)
            PLIM_TRY(mark_macros(p, list->other));
    }
    return PLIM_OK;
}

plim_status plim_symbols(plim_parser *p, plim_template *template)
{
    PLIM_TRY(mark_macros(p, template->body));
    return analyze(p, NULL, NULL, template->body, &template->hidden);
}
