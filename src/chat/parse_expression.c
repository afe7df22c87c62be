/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions, by recursive descent as Jinja2's parser does it; the binary operators by precedence
 * climbing.  Depth is bounded (parse.h). */
#include <string.h>

#include "chat/parse.h"

static plim_status parse_unary(plim_parser *p, bool filters, plim_node **out);

/* Whether an expression may end before all of its operands were evaluated. */
static bool ends_early(uint8_t op)
{
    return op == PLIM_X_OR || op == PLIM_X_AND || op == PLIM_X_COND || op == PLIM_X_COMPARE;
}

/* The height of a node over its children, and what else it has from them (of a list that may end
 * early, from the first); LIMIT where evaluation would nest too deep. */
static plim_status raise(plim_parser *p, plim_node *node, const plim_node *child)
{
    bool first = child == node->a || node->op != PLIM_X_COND;
    for (; child; child = child->next) {
        if (child->height >= node->height)
            node->height = (uint16_t)(child->height + 1);
        node->varies = node->varies || (child->varies && (first || !ends_early(node->op)));
        first = false;
        node->folds = node->folds || child->folds;
    }
    if (node->height > PLIM_CHAT_MAX_DEPTH)
        return plim_fail_at(p->err, PLIM_E_LIMIT, (plim_where){p->file, NULL, -1},
                            "line %u: an expression nested deeper than %d", node->line,
                            PLIM_CHAT_MAX_DEPTH);
    return PLIM_OK;
}

plim_status plim_node_make(plim_parser *p, plim_op op, uint32_t line, plim_node *a, plim_node *b,
                           plim_node **out)
{
    plim_node *node;
    PLIM_TRY(plim_node_new(p, op, line, &node));
    node->a = a;
    node->b = b;
    node->varies = op == PLIM_X_NAME || op == PLIM_X_CALL;
    PLIM_TRY(raise(p, node, a));
    PLIM_TRY(raise(p, node, b));
    *out = node;
    return PLIM_OK;
}

/* ---- arguments, subscripts, filters, tests ---- */

static plim_status parse_argument(plim_parser *p, unsigned *seen, plim_node **out)
{
    enum { STAR = 1, STARSTAR = 2, KEYWORD = 4 };
    uint32_t line = p->at->line;
    plim_node *value;
    unsigned forbidden = 0;
    if (plim_skip_op(p, PLIM_OP_MUL)) {
        forbidden = *seen & (STAR | STARSTAR);
        *seen |= STAR;
        PLIM_TRY(plim_parse_expression(p, true, &value));
        PLIM_TRY(plim_node_make(p, PLIM_X_STAR, line, value, NULL, out));
    } else if (plim_skip_op(p, PLIM_OP_POW)) {
        forbidden = *seen & STARSTAR;
        *seen |= STARSTAR;
        PLIM_TRY(plim_parse_expression(p, true, &value));
        PLIM_TRY(plim_node_make(p, PLIM_X_STARSTAR, line, value, NULL, out));
    } else if (p->at->kind == PLIM_T_NAME && p->at[1].kind == PLIM_T_OPERATOR &&
               p->at[1].op == PLIM_OP_ASSIGN) {
        const plim_str *name;
        forbidden = *seen & STARSTAR;
        *seen |= KEYWORD;
        PLIM_TRY(plim_expect_name(p, &name));
        p->at++;
        PLIM_TRY(plim_parse_expression(p, true, &value));
        PLIM_TRY(plim_node_make(p, PLIM_X_KEYWORD, line, value, NULL, out));
        (*out)->name = name;
    } else {
        forbidden = *seen;
        PLIM_TRY(plim_parse_expression(p, true, out));
    }
    return forbidden ? plim_parse_fail(p, line, "invalid syntax for function call expression")
                     : PLIM_OK;
}

static plim_status parse_arguments(plim_parser *p, plim_node **out)
{
    plim_node_list list = {0};
    unsigned seen = 0;
    PLIM_TRY(plim_expect_op(p, PLIM_OP_LPAREN));
    while (!plim_at_op(p, PLIM_OP_RPAREN)) {
        if (list.count) {
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
            if (plim_at_op(p, PLIM_OP_RPAREN))
                break;
        }
        plim_node *argument;
        PLIM_TRY(parse_argument(p, &seen, &argument));
        plim_node_append(&list, argument);
    }
    *out = list.first;
    return plim_expect_op(p, PLIM_OP_RPAREN);
}

static plim_status parse_call(plim_parser *p, plim_node **node)
{
    uint32_t line = p->at->line;
    plim_node *args;
    PLIM_TRY(parse_arguments(p, &args));
    return plim_node_make(p, PLIM_X_CALL, line, *node, args, node);
}

static bool at_bound_end(const plim_parser *p)
{
    return plim_at_op(p, PLIM_OP_RBRACKET) || plim_at_op(p, PLIM_OP_COMMA);
}

/* What stands between brackets: an expression or a slice. */
static plim_status parse_subscribed(plim_parser *p, plim_node **out)
{
    uint32_t line = p->at->line;
    plim_node *bounds[3] = {NULL, NULL, NULL}, *slice;
    if (!plim_at_op(p, PLIM_OP_COLON)) {
        PLIM_TRY(plim_parse_expression(p, true, &bounds[0]));
        if (!plim_at_op(p, PLIM_OP_COLON)) {
            *out = bounds[0];
            return PLIM_OK;
        }
    }
    p->at++;
    if (!plim_at_op(p, PLIM_OP_COLON) && !at_bound_end(p))
        PLIM_TRY(plim_parse_expression(p, true, &bounds[1]));
    if (plim_skip_op(p, PLIM_OP_COLON) && !at_bound_end(p))
        PLIM_TRY(plim_parse_expression(p, true, &bounds[2]));
    PLIM_TRY(plim_node_make(p, PLIM_X_SLICE, line, bounds[0], bounds[1], &slice));
    slice->c = bounds[2];
    *out = slice;
    return raise(p, slice, bounds[2]);
}

static plim_status parse_subscript(plim_parser *p, plim_node **node)
{
    uint32_t line = p->at->line;
    plim_node_list list = {0};
    plim_node *key;
    if (plim_skip_op(p, PLIM_OP_DOT)) {
        const plim_token *token = p->at;
        if (token->kind == PLIM_T_INTEGER) {
            p->at++;
            PLIM_TRY(plim_node_make(p, PLIM_X_CONST, token->line, NULL, NULL, &key));
            key->value = plim_int(token->number.integer);
            return plim_node_make(p, PLIM_X_GETITEM, line, *node, key, node);
        }
        const plim_str *name;
        PLIM_TRY(plim_expect_name(p, &name));
        PLIM_TRY(plim_node_make(p, PLIM_X_GETATTR, line, *node, NULL, node));
        (*node)->name = name;
        return PLIM_OK;
    }
    p->at++; /* [ */
    while (!plim_at_op(p, PLIM_OP_RBRACKET)) {
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        PLIM_TRY(parse_subscribed(p, &key));
        plim_node_append(&list, key);
    }
    PLIM_TRY(plim_expect_op(p, PLIM_OP_RBRACKET));
    for (key = list.first; key && list.count > 1; key = key->next) {
        if (key->op == PLIM_X_SLICE)
            return plim_parse_fail(p, line, "a slice within a tuple");
    }
    if (list.count != 1)
        PLIM_TRY(plim_node_make(p, PLIM_X_TUPLE, line, list.first, NULL, &key));
    else
        key = list.first;
    PLIM_TRY(plim_node_make(p, PLIM_X_GETITEM, line, *node, key, node));
    (*node)->folds = (*node)->folds || (key->op == PLIM_X_SLICE && !(*node)->varies);
    return PLIM_OK;
}

static plim_status parse_postfix(plim_parser *p, plim_node **node)
{
    for (;;) {
        if (plim_at_op(p, PLIM_OP_DOT) || plim_at_op(p, PLIM_OP_LBRACKET))
            PLIM_TRY(parse_subscript(p, node));
        else if (plim_at_op(p, PLIM_OP_LPAREN))
            PLIM_TRY(parse_call(p, node));
        else
            return PLIM_OK;
    }
}

/* "a" or "a.b": the name of a filter or test. */
static plim_status parse_dotted(plim_parser *p, const plim_str **out)
{
    PLIM_TRY(plim_expect_name(p, out));
    while (plim_skip_op(p, PLIM_OP_DOT)) {
        const plim_str *more;
        PLIM_TRY(plim_expect_name(p, &more));
        char *whole = plim_arena_format(p->arena, p->err, "%s.%s", (*out)->data, more->data);
        if (!whole)
            return plim_failed(p->err);
        PLIM_TRY(plim_intern(p->names, whole, strlen(whole), out, p->err));
    }
    return PLIM_OK;
}

plim_status plim_parse_filters(plim_parser *p, plim_node *node, bool start, plim_node **out)
{
    while (start || plim_at_op(p, PLIM_OP_PIPE)) {
        if (!start)
            p->at++;
        start = false;
        uint32_t line = p->at->line;
        const plim_str *name;
        plim_node *args = NULL;
        PLIM_TRY(parse_dotted(p, &name));
        if (plim_at_op(p, PLIM_OP_LPAREN))
            PLIM_TRY(parse_arguments(p, &args));
        PLIM_TRY(plim_node_make(p, PLIM_X_FILTER, line, node, args, &node));
        node->name = name;
    }
    *out = node;
    return PLIM_OK;
}

static bool at_test_argument(const plim_parser *p)
{
    switch (p->at->kind) {
    case PLIM_T_STRING:
    case PLIM_T_INTEGER:
    case PLIM_T_FLOAT:
        return true;
    case PLIM_T_NAME:
        return !plim_at_name(p, "else") && !plim_at_name(p, "or") && !plim_at_name(p, "and");
    case PLIM_T_OPERATOR:
        return p->at->op == PLIM_OP_LBRACKET || p->at->op == PLIM_OP_LBRACE;
    default:
        return false;
    }
}

static plim_status parse_test(plim_parser *p, plim_node **node)
{
    uint32_t line = p->at->line;
    p->at++; /* is */
    bool negated = plim_skip_name(p, "not");
    const plim_str *name;
    plim_node *args = NULL;
    PLIM_TRY(parse_dotted(p, &name));
    if (plim_at_op(p, PLIM_OP_LPAREN)) {
        PLIM_TRY(parse_arguments(p, &args));
    } else if (at_test_argument(p)) {
        if (plim_at_name(p, "is"))
            return plim_parse_fail(p, line, "you cannot chain multiple tests with is");
        PLIM_TRY(plim_parse_primary(p, false, &args));
        PLIM_TRY(parse_postfix(p, &args));
    }
    PLIM_TRY(plim_node_make(p, PLIM_X_TEST, line, *node, args, node));
    (*node)->name = name;
    return negated ? plim_node_make(p, PLIM_X_NOT, line, *node, NULL, node) : PLIM_OK;
}

static plim_status parse_filter_expression(plim_parser *p, plim_node **node)
{
    for (;;) {
        if (plim_at_op(p, PLIM_OP_PIPE))
            PLIM_TRY(plim_parse_filters(p, *node, false, node));
        else if (plim_at_name(p, "is"))
            PLIM_TRY(parse_test(p, node));
        else if (plim_at_op(p, PLIM_OP_LPAREN))
            PLIM_TRY(parse_call(p, node));
        else
            return PLIM_OK;
    }
}

/* ---- primary ---- */

static plim_status parse_name(plim_parser *p, bool namespaces, plim_node **out)
{
    static const struct {
        const char *name;
        uint8_t kind;
        bool truth;
    } constants[] = {{"true", PLIM_V_BOOL, true},   {"True", PLIM_V_BOOL, true},
                     {"false", PLIM_V_BOOL, false}, {"False", PLIM_V_BOOL, false},
                     {"none", PLIM_V_NONE, false},  {"None", PLIM_V_NONE, false}};
    uint32_t line = p->at->line;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (!plim_at_name(p, constants[i].name))
            continue;
        p->at++;
        PLIM_TRY(plim_node_make(p, PLIM_X_CONST, line, NULL, NULL, out));
        (*out)->value =
            constants[i].kind == PLIM_V_NONE ? plim_none() : plim_bool(constants[i].truth);
        return PLIM_OK;
    }
    const plim_str *name;
    PLIM_TRY(plim_expect_name(p, &name));
    bool reference = namespaces && plim_skip_op(p, PLIM_OP_DOT);
    PLIM_TRY(plim_node_make(p, reference ? PLIM_X_NSREF : PLIM_X_NAME, line, NULL, NULL, out));
    (*out)->name = name;
    return reference ? plim_expect_name(p, &(*out)->name2) : PLIM_OK;
}

/* One string, or several in a row, which are one. */
static plim_status parse_strings(plim_parser *p, plim_node **out)
{
    const plim_token *first = p->at;
    size_t bytes = 0, used = 0;
    for (; p->at->kind == PLIM_T_STRING; p->at++)
        bytes += p->at->bytes;
    const char *text = first->text;
    if (p->at - first > 1) {
        char *whole = plim_arena_new(p->arena, bytes + 1, 1, p->err);
        if (!whole)
            return plim_failed(p->err);
        for (const plim_token *t = first; t < p->at; t++) {
            if (t->bytes)
                memcpy(whole + used, t->text, t->bytes);
            used += t->bytes;
        }
        text = whole;
    }
    PLIM_TRY(plim_node_make(p, PLIM_X_CONST, first->line, NULL, NULL, out));
    plim_str *s = plim_arena_new(p->arena, 1, sizeof *s, p->err);
    if (!s)
        return plim_failed(p->err);
    *s = (plim_str){.data = text, .bytes = bytes};
    (*out)->value = plim_text(s);
    return PLIM_OK;
}

static plim_status parse_list(plim_parser *p, plim_node **out)
{
    uint32_t line = p->at->line;
    p->at++;
    plim_node_list list = {0};
    while (!plim_at_op(p, PLIM_OP_RBRACKET)) {
        plim_node *item;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        if (plim_at_op(p, PLIM_OP_RBRACKET))
            break;
        PLIM_TRY(plim_parse_expression(p, true, &item));
        plim_node_append(&list, item);
    }
    PLIM_TRY(plim_expect_op(p, PLIM_OP_RBRACKET));
    return plim_node_make(p, PLIM_X_LIST, line, list.first, NULL, out);
}

static plim_status parse_dict(plim_parser *p, plim_node **out)
{
    uint32_t line = p->at->line;
    p->at++;
    plim_node_list list = {0};
    while (!plim_at_op(p, PLIM_OP_RBRACE)) {
        plim_node *key, *value, *pair;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        if (plim_at_op(p, PLIM_OP_RBRACE))
            break;
        PLIM_TRY(plim_parse_expression(p, true, &key));
        PLIM_TRY(plim_expect_op(p, PLIM_OP_COLON));
        PLIM_TRY(plim_parse_expression(p, true, &value));
        PLIM_TRY(plim_node_make(p, PLIM_X_PAIR, key->line, key, value, &pair));
        plim_node_append(&list, pair);
    }
    PLIM_TRY(plim_expect_op(p, PLIM_OP_RBRACE));
    return plim_node_make(p, PLIM_X_DICT, line, list.first, NULL, out);
}

plim_status plim_parse_primary(plim_parser *p, bool namespaces, plim_node **out)
{
    const plim_token *token = p->at;
    switch (token->kind) {
    case PLIM_T_NAME:
        return parse_name(p, namespaces, out);
    case PLIM_T_STRING:
        return parse_strings(p, out);
    case PLIM_T_INTEGER:
    case PLIM_T_FLOAT:
        p->at++;
        PLIM_TRY(plim_node_make(p, PLIM_X_CONST, token->line, NULL, NULL, out));
        (*out)->value = token->kind == PLIM_T_INTEGER ? plim_int(token->number.integer)
                                                      : plim_float(token->number.real);
        return PLIM_OK;
    default:
        break;
    }
    if (plim_at_op(p, PLIM_OP_LBRACKET))
        return parse_list(p, out);
    if (plim_at_op(p, PLIM_OP_LBRACE))
        return parse_dict(p, out);
    if (!plim_skip_op(p, PLIM_OP_LPAREN))
        return plim_parse_expected(p, "an expression");
    PLIM_TRY(plim_parse_tuple(p, true, NULL, true, out));
    return plim_expect_op(p, PLIM_OP_RPAREN);
}

/* ---- operators ---- */

static plim_status parse_unary(plim_parser *p, bool filters, plim_node **out)
{
    PLIM_TRY(plim_parse_deeper(p));
    uint32_t line = p->at->line;
    plim_operator sign = PLIM_OP_NONE;
    if (plim_skip_op(p, PLIM_OP_SUB))
        sign = PLIM_OP_SUB;
    else if (plim_skip_op(p, PLIM_OP_ADD))
        sign = PLIM_OP_ADD;
    if (sign) {
        PLIM_TRY(parse_unary(p, false, out));
        PLIM_TRY(plim_node_make(p, PLIM_X_UNARY, line, *out, NULL, out));
        (*out)->operator_ = (uint8_t)sign;
    } else {
        PLIM_TRY(plim_parse_primary(p, false, out));
    }
    PLIM_TRY(parse_postfix(p, out));
    if (filters)
        PLIM_TRY(parse_filter_expression(p, out));
    p->depth--;
    return PLIM_OK;
}

/* How tightly binary operators bind, all of them to the left; 0: it is none. */
static int precedence(const plim_parser *p)
{
    if (p->at->kind == PLIM_T_NAME) {
        if (plim_at_name(p, "or"))
            return 1;
        if (plim_at_name(p, "and"))
            return 2;
        bool not_in = plim_at_name(p, "not") && p->at[1].kind == PLIM_T_NAME &&
                      p->at[1].bytes == 2 && !memcmp(p->at[1].text, "in", 2);
        return plim_at_name(p, "in") || not_in ? 4 : 0;
    }
    if (p->at->kind != PLIM_T_OPERATOR)
        return 0;
    switch (p->at->op) {
    case PLIM_OP_EQ:
    case PLIM_OP_NE:
    case PLIM_OP_LT:
    case PLIM_OP_LE:
    case PLIM_OP_GT:
    case PLIM_OP_GE:
        return 4;
    case PLIM_OP_ADD:
    case PLIM_OP_SUB:
        return 5;
    case PLIM_OP_TILDE:
        return 6;
    case PLIM_OP_MUL:
    case PLIM_OP_DIV:
    case PLIM_OP_FLOORDIV:
    case PLIM_OP_MOD:
        return 7;
    case PLIM_OP_POW:
        return 8;
    default:
        return 0;
    }
}

static plim_operator take_operator(plim_parser *p)
{
    if (p->at->kind == PLIM_T_OPERATOR)
        return p->at++->op;
    bool negated = plim_skip_name(p, "not");
    p->at++; /* in, or, and */
    return negated ? PLIM_OP_NOT_IN : PLIM_OP_IN;
}

static plim_status parse_binary(plim_parser *p, int least, plim_node **out);

/* Chains that are one node: a < b < c, a ~ b ~ c, a or b or c. */
static plim_status parse_chain(plim_parser *p, int level, uint32_t line, plim_node **out)
{
    static const uint8_t ops[] = {
        [1] = PLIM_X_OR, [2] = PLIM_X_AND, [4] = PLIM_X_COMPARE, [6] = PLIM_X_CONCAT};
    plim_node_list list = {0};
    plim_node *first = *out, *operand;
    if (level != 4)
        plim_node_append(&list, first);
    while (precedence(p) == level) {
        uint32_t here = p->at->line;
        plim_operator op = take_operator(p);
        PLIM_TRY(parse_binary(p, level + 1, &operand));
        if (level == 4) {
            PLIM_TRY(plim_node_make(p, PLIM_X_OPERAND, here, operand, NULL, &operand));
            operand->operator_ = (uint8_t)op;
        }
        plim_node_append(&list, operand);
    }
    return level == 4 ? plim_node_make(p, PLIM_X_COMPARE, line, first, list.first, out)
                      : plim_node_make(p, (plim_op)ops[level], line, list.first, NULL, out);
}

/* Operators that bind at least as tightly as `least`; level 3 is `not`. */
static plim_status parse_binary(plim_parser *p, int least, plim_node **out)
{
    uint32_t line = p->at->line;
    if (least <= 3 && plim_at_name(p, "not")) {
        PLIM_TRY(plim_parse_deeper(p));
        p->at++;
        PLIM_TRY(parse_binary(p, 3, out));
        p->depth--;
        PLIM_TRY(plim_node_make(p, PLIM_X_NOT, line, *out, NULL, out));
    } else {
        PLIM_TRY(parse_unary(p, true, out));
    }
    for (int level; (level = precedence(p)) >= least && level > 0;) {
        if (level <= 4 || level == 6) {
            PLIM_TRY(parse_chain(p, level, line, out));
            continue;
        }
        plim_node *right;
        plim_operator op = take_operator(p);
        PLIM_TRY(parse_binary(p, level + 1, &right));
        PLIM_TRY(plim_node_make(p, PLIM_X_BINARY, line, *out, right, out));
        (*out)->operator_ = (uint8_t)op;
    }
    return PLIM_OK;
}

static plim_status parse_condition(plim_parser *p, plim_node **out)
{
    PLIM_TRY(plim_parse_deeper(p));
    uint32_t line = p->at->line;
    PLIM_TRY(parse_binary(p, 1, out));
    while (plim_skip_name(p, "if")) {
        plim_node *test, *other = NULL, *node;
        PLIM_TRY(parse_binary(p, 1, &test));
        if (plim_skip_name(p, "else"))
            PLIM_TRY(parse_condition(p, &other));
        PLIM_TRY(plim_node_make(p, PLIM_X_COND, line, test, *out, &node));
        node->c = other;
        PLIM_TRY(raise(p, node, other));
        *out = node;
        line = p->at->line;
    }
    p->depth--;
    return PLIM_OK;
}

plim_status plim_parse_expression(plim_parser *p, bool with_condition, plim_node **out)
{
    if (with_condition)
        return parse_condition(p, out);
    PLIM_TRY(plim_parse_deeper(p));
    PLIM_TRY(parse_binary(p, 1, out));
    p->depth--;
    return PLIM_OK;
}
