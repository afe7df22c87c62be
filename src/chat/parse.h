/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the parser share. */
#ifndef PLIM_CHAT_PARSE_H
#define PLIM_CHAT_PARSE_H

#include "chat/ast.h"

typedef struct plim_parser {
    plim_arena *arena;
    plim_names *names;
    const char *file;
    const plim_token *at; /* the current token */
    unsigned depth;
    unsigned loops;    /* around here, for break */
    unsigned in_loops; /* the same, macros between or not: `loop` can't be assigned */
    plim_node *blocks; /* so far */
    plim_error *err;
} plim_parser;

plim_status plim_parse_fail(plim_parser *p, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected 'what', found ...". */
plim_status plim_parse_expected(plim_parser *p, const char *what);
plim_status plim_parse_deeper(plim_parser *p);

plim_status plim_node_new(plim_parser *p, plim_op op, uint32_t line, plim_node **out);
/* An expression's node over its operands a and b, each a list or NULL.  LIMIT: too high. */
plim_status plim_node_make(plim_parser *p, plim_op op, uint32_t line, plim_node *a, plim_node *b,
                           plim_node **out);
/* A list of nodes being built. */
typedef struct plim_node_list {
    plim_node *first, **last;
    unsigned count;
} plim_node_list;
void plim_node_append(plim_node_list *list, plim_node *node);

bool plim_at_op(const plim_parser *p, plim_operator op);
bool plim_at_name(const plim_parser *p, const char *name);
bool plim_skip_op(plim_parser *p, plim_operator op);
bool plim_skip_name(plim_parser *p, const char *name);
plim_status plim_expect_op(plim_parser *p, plim_operator op);
plim_status plim_expect_kind(plim_parser *p, plim_token_kind kind, const char *what);
plim_status plim_expect_name(plim_parser *p, const plim_str **out);

plim_status plim_parse_expression(plim_parser *p, bool with_condition, plim_node **out);
/* A name or literal; `namespaces`: "a.b" is a target. */
plim_status plim_parse_primary(plim_parser *p, bool namespaces, plim_node **out);
/* Expressions with commas between them are a tuple.  `end`: a name that ends it, or NULL. */
plim_status plim_parse_tuple(plim_parser *p, bool with_condition, const char *end, bool parentheses,
                             plim_node **out);
plim_status plim_parse_target(plim_parser *p, const char *end, bool namespaces, plim_node **out);
plim_status plim_parse_target_name(plim_parser *p, const plim_str **out);
/* "|a|b(c)" behind node (may be NULL); start: the first bar is not there. */
plim_status plim_parse_filters(plim_parser *p, plim_node *node, bool start, plim_node **out);

/* Fill in `hidden` and the flags of macros, and check the names of filters and tests
 * (symbols.c). */
plim_status plim_symbols(plim_parser *p, plim_template *template);

#endif
