/* SPDX-License-Identifier: Apache-2.0
 *
 * Tuples without parentheses, and what can be assigned to. */
#include "chat/parse.h"

static bool at_tuple_end(const plim_parser *p, const char *end)
{
    return p->at->kind == PLIM_T_PRINT_END || p->at->kind == PLIM_T_BLOCK_END ||
           plim_at_op(p, PLIM_OP_RPAREN) || (end && plim_at_name(p, end));
}

typedef enum item_kind { ITEM_PLAIN, ITEM_CONDITION, ITEM_TARGET, ITEM_TARGET_NAMESPACE } item_kind;

static plim_status parse_items(plim_parser *p, item_kind kind, const char *end, bool parentheses,
                               plim_node **out)
{
    uint32_t line = p->at->line;
    plim_node_list list = {0};
    bool tuple = false;
    for (;;) {
        plim_node *item;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        if (at_tuple_end(p, end))
            break;
        if (kind >= ITEM_TARGET)
            PLIM_TRY(plim_parse_primary(p, kind == ITEM_TARGET_NAMESPACE, &item));
        else
            PLIM_TRY(plim_parse_expression(p, kind == ITEM_CONDITION, &item));
        plim_node_append(&list, item);
        if (!plim_at_op(p, PLIM_OP_COMMA))
            break;
        tuple = true;
    }
    if (!tuple && list.first) {
        *out = list.first;
        return PLIM_OK;
    }
    if (!tuple && !parentheses)
        return plim_parse_expected(p, "an expression");
    return plim_node_make(p, PLIM_X_TUPLE, line, list.first, NULL, out);
}

plim_status plim_parse_tuple(plim_parser *p, bool with_condition, const char *end, bool parentheses,
                             plim_node **out)
{
    return parse_items(p, with_condition ? ITEM_CONDITION : ITEM_PLAIN, end, parentheses, out);
}

/* Names and tuples of them can be assigned to.  Depth is that of the parser. */
static plim_status check_target(plim_parser *p, const plim_node *node)
{
    if (node->op == PLIM_X_NAME) {
        if (p->in_loops && node->name == p->names->loop)
            return plim_parse_fail(p, node->line, "can't assign to the special loop variable");
        return PLIM_OK;
    }
    if (node->op == PLIM_X_NSREF)
        return PLIM_OK;
    if (node->op != PLIM_X_TUPLE)
        return plim_parse_fail(p, node->line, "can't assign to this expression");
    for (const plim_node *item = node->a; item; item = item->next)
        PLIM_TRY(check_target(p, item));
    return PLIM_OK;
}

plim_status plim_parse_target(plim_parser *p, const char *end, bool namespaces, plim_node **out)
{
    PLIM_TRY(parse_items(p, namespaces ? ITEM_TARGET_NAMESPACE : ITEM_TARGET, end, false, out));
    return check_target(p, *out);
}

plim_status plim_parse_target_name(plim_parser *p, const plim_str **out)
{
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (plim_at_name(p, constants[i]))
            return plim_parse_fail(p, p->at->line, "can't assign to '%s'", constants[i]);
    }
    return plim_expect_name(p, out);
}
