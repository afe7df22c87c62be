/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements, as Jinja2's parser reads them, and the parser's tools. */
#include <stdarg.h>
#include <string.h>

#include "base/num.h"
#include "chat/parse.h"

/* ---- tools ---- */

plim_status plim_parse_fail(plim_parser *p, uint32_t line, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    plim_vformat(what, sizeof what, format, args);
    va_end(args);
    return plim_fail_at(p->err, PLIM_E_FORMAT, (plim_where){p->file, NULL, -1}, "line %u: %s", line,
                        what);
}

plim_status plim_parse_expected(plim_parser *p, const char *what)
{
    static const char *const kinds[] = {[PLIM_T_END] = "the end of the template",
                                        [PLIM_T_DATA] = "text",
                                        [PLIM_T_BLOCK_BEGIN] = "'{%'",
                                        [PLIM_T_BLOCK_END] = "'%}'",
                                        [PLIM_T_PRINT_BEGIN] = "'{{'",
                                        [PLIM_T_PRINT_END] = "'}}'"};
    const plim_token *t = p->at;
    if (t->kind <= PLIM_T_PRINT_END)
        return plim_parse_fail(p, t->line, "expected %s, found %s", what, kinds[t->kind]);
    return plim_parse_fail(p, t->line, "expected %s, found '%.*s'", what,
                           (int)(t->bytes < 60 ? t->bytes : 60), t->text);
}

plim_status plim_parse_deeper(plim_parser *p)
{
    if (++p->depth <= PLIM_CHAT_MAX_DEPTH)
        return PLIM_OK;
    return plim_fail_at(p->err, PLIM_E_LIMIT, (plim_where){p->file, NULL, -1},
                        "line %u: nested deeper than %d", p->at->line, PLIM_CHAT_MAX_DEPTH);
}

plim_status plim_node_new(plim_parser *p, plim_op op, uint32_t line, plim_node **out)
{
    plim_node *node = plim_arena_new(p->arena, 1, sizeof *node, p->err);
    if (!node)
        return plim_failed(p->err);
    node->op = (uint8_t)op;
    node->line = line;
    node->height = 1;
    *out = node;
    return PLIM_OK;
}

void plim_node_append(plim_node_list *list, plim_node *node)
{
    if (list->first)
        *list->last = node;
    else
        list->first = node;
    list->last = &node->next;
    list->count++;
}

bool plim_at_op(const plim_parser *p, plim_operator op)
{
    return p->at->kind == PLIM_T_OPERATOR && p->at->op == op;
}

bool plim_at_name(const plim_parser *p, const char *name)
{
    size_t n = strlen(name);
    return p->at->kind == PLIM_T_NAME && p->at->bytes == n && !memcmp(p->at->text, name, n);
}

bool plim_skip_op(plim_parser *p, plim_operator op)
{
    bool found = plim_at_op(p, op);
    p->at += found;
    return found;
}

bool plim_skip_name(plim_parser *p, const char *name)
{
    bool found = plim_at_name(p, name);
    p->at += found;
    return found;
}

plim_status plim_expect_op(plim_parser *p, plim_operator op)
{
    char what[16];
    plim_format(what, sizeof what, "'%s'", plim_operator_text[op]);
    return plim_skip_op(p, op) ? PLIM_OK : plim_parse_expected(p, what);
}

plim_status plim_expect_kind(plim_parser *p, plim_token_kind kind, const char *what)
{
    if (p->at->kind != kind)
        return plim_parse_expected(p, what);
    p->at++;
    return PLIM_OK;
}

plim_status plim_expect_name(plim_parser *p, const plim_str **out)
{
    if (p->at->kind != PLIM_T_NAME)
        return plim_parse_expected(p, "a name");
    PLIM_TRY(plim_intern(p->names, p->at->text, p->at->bytes, out, p->err));
    p->at++;
    return PLIM_OK;
}

/* ---- bodies ---- */

static plim_status parse_statement(plim_parser *p, plim_node_list *list);

static bool at_any(const plim_parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++) {
        if (plim_at_name(p, *ends))
            return true;
    }
    return false;
}

static plim_status unexpected_end(plim_parser *p, const char *const *ends)
{
    return plim_parse_fail(p, p->at->line, "unexpected end of the template, expected '%s'%s%s%s",
                           ends[0], ends[1] ? " or '" : "", ends[1] ? ends[1] : "",
                           ends[1] ? "'" : "");
}

/* Text, prints and statements until a tag that begins with one of `ends` (NULL: until the end of
 * the template), which stays the current token. */
static plim_status parse_until(plim_parser *p, const char *const *ends, plim_node **out)
{
    plim_node_list list = {0};
    PLIM_TRY(plim_parse_deeper(p));
    while (p->at->kind != PLIM_T_END) {
        const plim_token *token = p->at++;
        plim_node *node;
        if (token->kind == PLIM_T_DATA) {
            PLIM_TRY(plim_node_new(p, PLIM_S_DATA, token->line, &node));
            plim_str *s = plim_arena_new(p->arena, 1, sizeof *s, p->err);
            if (!s)
                return plim_failed(p->err);
            *s = (plim_str){.data = token->text, .bytes = token->bytes};
            node->value = plim_text(s);
            plim_node_append(&list, node);
        } else if (token->kind == PLIM_T_PRINT_BEGIN) {
            PLIM_TRY(plim_node_new(p, PLIM_S_PRINT, token->line, &node));
            PLIM_TRY(plim_parse_tuple(p, true, NULL, false, &node->a));
            PLIM_TRY(plim_expect_kind(p, PLIM_T_PRINT_END, "'}}'"));
            plim_node_append(&list, node);
        } else {
            if (at_any(p, ends))
                break;
            PLIM_TRY(parse_statement(p, &list));
            PLIM_TRY(plim_expect_kind(p, PLIM_T_BLOCK_END, "'%}'"));
        }
    }
    if (ends && p->at->kind == PLIM_T_END)
        return unexpected_end(p, ends);
    p->depth--;
    *out = list.first;
    return PLIM_OK;
}

/* The body of a statement, from the end of its tag. */
static plim_status parse_body(plim_parser *p, const char *const *ends, plim_node **out)
{
    plim_skip_op(p, PLIM_OP_COLON);
    PLIM_TRY(plim_expect_kind(p, PLIM_T_BLOCK_END, "'%}'"));
    return parse_until(p, ends, out);
}

/* The same, and the closing tag's name. */
static plim_status parse_closed(plim_parser *p, const char *end, plim_node **out)
{
    const char *const ends[] = {end, NULL};
    PLIM_TRY(parse_body(p, ends, out));
    p->at++;
    return PLIM_OK;
}

/* ---- statements; each begins behind its name ---- */

static plim_status parse_for(plim_parser *p, plim_node *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    p->in_loops++;
    node->name = p->names->loop;
    PLIM_TRY(plim_parse_target(p, "in", false, &node->a));
    if (!plim_skip_name(p, "in"))
        return plim_parse_expected(p, "'in'");
    PLIM_TRY(plim_parse_tuple(p, false, "recursive", false, &node->b));
    if (plim_skip_name(p, "if"))
        PLIM_TRY(plim_parse_expression(p, true, &node->c));
    if (plim_skip_name(p, "recursive"))
        node->flags |= PLIM_IS_RECURSIVE;
    p->loops++;
    PLIM_TRY(parse_body(p, ends, &node->body));
    p->loops--;
    if (plim_skip_name(p, "else"))
        PLIM_TRY(parse_closed(p, "endfor", &node->other));
    else
        p->at++;
    p->in_loops--;
    return PLIM_OK;
}

static plim_status parse_if(plim_parser *p, plim_node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    plim_node_list branches = {0};
    bool conditional = true;
    do {
        plim_node *branch;
        PLIM_TRY(plim_node_new(p, PLIM_X_BRANCH, p->at->line, &branch));
        plim_node_append(&branches, branch);
        PLIM_TRY(plim_parse_tuple(p, false, NULL, false, &branch->a));
        PLIM_TRY(parse_body(p, ends, &branch->body));
        conditional = plim_skip_name(p, "elif");
    } while (conditional);
    if (plim_skip_name(p, "else")) {
        plim_node *branch;
        PLIM_TRY(plim_node_new(p, PLIM_X_BRANCH, p->at->line, &branch));
        plim_node_append(&branches, branch);
        PLIM_TRY(parse_closed(p, "endif", &branch->body));
    } else {
        p->at++;
    }
    node->a = branches.first;
    return PLIM_OK;
}

static plim_status parse_set(plim_parser *p, plim_node *node)
{
    PLIM_TRY(plim_parse_target(p, NULL, true, &node->a));
    if (plim_skip_op(p, PLIM_OP_ASSIGN))
        return plim_parse_tuple(p, true, NULL, false, &node->b);
    node->op = PLIM_S_SET_BLOCK;
    PLIM_TRY(plim_parse_filters(p, NULL, false, &node->b));
    return parse_closed(p, "endset", &node->body);
}

/* What is inside of a function of its own: no break to a loop outside of it. */
static plim_status parse_function_body(plim_parser *p, const char *end, plim_node **out)
{
    unsigned loops = p->loops;
    p->loops = 0;
    PLIM_TRY(parse_closed(p, end, out));
    p->loops = loops;
    return PLIM_OK;
}

static plim_status parse_parameters(plim_parser *p, plim_node **out)
{
    plim_node_list list = {0};
    bool defaults = false;
    PLIM_TRY(plim_expect_op(p, PLIM_OP_LPAREN));
    while (!plim_at_op(p, PLIM_OP_RPAREN)) {
        plim_node *parameter;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        PLIM_TRY(plim_node_new(p, PLIM_X_PARAM, p->at->line, &parameter));
        PLIM_TRY(plim_parse_target_name(p, &parameter->name));
        for (const plim_node *other = list.first; other; other = other->next) {
            if (other->name == parameter->name)
                return plim_parse_fail(p, parameter->line, "two parameters are named '%s'",
                                       parameter->name->data);
        }
        if (plim_skip_op(p, PLIM_OP_ASSIGN)) {
            PLIM_TRY(plim_parse_expression(p, true, &parameter->a));
            defaults = true;
        } else if (defaults) {
            return plim_parse_fail(p, parameter->line,
                                   "non-default argument follows default argument");
        }
        plim_node_append(&list, parameter);
    }
    *out = list.first;
    return plim_expect_op(p, PLIM_OP_RPAREN);
}

static plim_status parse_macro(plim_parser *p, plim_node *node)
{
    PLIM_TRY(plim_parse_target_name(p, &node->name));
    PLIM_TRY(parse_parameters(p, &node->a));
    return parse_function_body(p, "endmacro", &node->body);
}

static plim_status parse_call_block(plim_parser *p, plim_node *node)
{
    if (plim_at_op(p, PLIM_OP_LPAREN))
        PLIM_TRY(parse_parameters(p, &node->a));
    PLIM_TRY(plim_parse_expression(p, true, &node->b));
    if (node->b->op != PLIM_X_CALL)
        return plim_parse_fail(p, node->line, "expected a call");
    return parse_function_body(p, "endcall", &node->body);
}

static plim_status parse_filter_block(plim_parser *p, plim_node *node)
{
    PLIM_TRY(plim_parse_filters(p, NULL, true, &node->b));
    return parse_closed(p, "endfilter", &node->body);
}

static plim_status parse_with(plim_parser *p, plim_node *node)
{
    plim_node_list list = {0};
    while (p->at->kind != PLIM_T_BLOCK_END) {
        plim_node *pair;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        PLIM_TRY(plim_node_new(p, PLIM_X_PAIR, p->at->line, &pair));
        PLIM_TRY(plim_parse_target(p, NULL, false, &pair->a));
        PLIM_TRY(plim_expect_op(p, PLIM_OP_ASSIGN));
        PLIM_TRY(plim_parse_expression(p, true, &pair->b));
        plim_node_append(&list, pair);
    }
    node->a = list.first;
    return parse_closed(p, "endwith", &node->body);
}

static plim_status parse_block(plim_parser *p, plim_node *node)
{
    PLIM_TRY(plim_expect_name(p, &node->name));
    plim_skip_name(p, "scoped");
    if (plim_at_name(p, "required"))
        return plim_fail_at(p->err, PLIM_E_UNSUP, (plim_where){p->file, NULL, -1},
                            "line %u: a required block: there are no templates that extend others",
                            p->at->line);
    for (const plim_node *block = p->blocks; block; block = block->other) {
        if (block->name == node->name)
            return plim_parse_fail(p, node->line, "block '%s' is defined twice", node->name->data);
    }
    node->other = p->blocks;
    p->blocks = node;
    PLIM_TRY(parse_function_body(p, "endblock", &node->body));
    if (p->at->kind == PLIM_T_NAME)
        plim_skip_name(p, node->name->data);
    return PLIM_OK;
}

static plim_status parse_print(plim_parser *p, plim_node *node)
{
    plim_node_list list = {0};
    while (p->at->kind != PLIM_T_BLOCK_END) {
        plim_node *item;
        if (list.count)
            PLIM_TRY(plim_expect_op(p, PLIM_OP_COMMA));
        PLIM_TRY(plim_parse_expression(p, true, &item));
        plim_node_append(&list, item);
    }
    node->a = list.first;
    return PLIM_OK;
}

static plim_status parse_generation(plim_parser *p, plim_node *node)
{
    return parse_function_body(p, "endgeneration", &node->body);
}

static plim_status parse_break(plim_parser *p, plim_node *node)
{
    if (p->loops)
        return PLIM_OK;
    return plim_parse_fail(p, node->line, "'%s' outside of a loop",
                           node->op == PLIM_S_BREAK ? "break" : "continue");
}

/* include, import, from, extends: read to the end of the tag. */
static plim_status parse_load(plim_parser *p, plim_node *node)
{
    (void)node;
    while (p->at->kind != PLIM_T_BLOCK_END && p->at->kind != PLIM_T_END)
        p->at++;
    return PLIM_OK;
}

static plim_status parse_autoescape(plim_parser *p, plim_node *node)
{
    return plim_fail_at(p->err, PLIM_E_UNSUP, (plim_where){p->file, NULL, -1},
                        "line %u: an autoescape block", node->line);
}

static const struct statement {
    const char *name;
    plim_op op;
    plim_status (*parse)(plim_parser *p, plim_node *node);
} statements[] = {
    {"for", PLIM_S_FOR, parse_for},
    {"if", PLIM_S_IF, parse_if},
    {"set", PLIM_S_SET, parse_set},
    {"macro", PLIM_S_MACRO, parse_macro},
    {"call", PLIM_S_CALL, parse_call_block},
    {"filter", PLIM_S_FILTER, parse_filter_block},
    {"with", PLIM_S_WITH, parse_with},
    {"block", PLIM_S_BLOCK, parse_block},
    {"print", PLIM_S_PRINT, parse_print},
    {"generation", PLIM_S_SCOPE, parse_generation},
    {"break", PLIM_S_BREAK, parse_break},
    {"continue", PLIM_S_CONTINUE, parse_break},
    {"include", PLIM_S_LOAD, parse_load},
    {"import", PLIM_S_LOAD, parse_load},
    {"from", PLIM_S_LOAD, parse_load},
    {"extends", PLIM_S_LOAD, parse_load},
    {"autoescape", PLIM_S_SCOPE, parse_autoescape},
};

static plim_status parse_statement(plim_parser *p, plim_node_list *list)
{
    uint32_t line = p->at->line;
    if (p->at->kind != PLIM_T_NAME)
        return plim_parse_expected(p, "the name of a tag");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!plim_at_name(p, statements[i].name))
            continue;
        plim_node *node;
        PLIM_TRY(plim_node_new(p, statements[i].op, line, &node));
        node->name = NULL;
        p->at++;
        plim_node_append(list, node);
        return statements[i].parse(p, node);
    }
    return plim_parse_fail(p, line, "unknown tag '%.*s'",
                           (int)(p->at->bytes < 60 ? p->at->bytes : 60), p->at->text);
}

/* ---- names ---- */

plim_status plim_names_init(plim_names *names, plim_arena *arena, plim_error *err)
{
    *names = (plim_names){.arena = arena};
    PLIM_TRY(plim_intern(names, "loop", 4, &names->loop, err));
    PLIM_TRY(plim_intern(names, "caller", 6, &names->caller, err));
    PLIM_TRY(plim_intern(names, "kwargs", 6, &names->kwargs, err));
    PLIM_TRY(plim_intern(names, "self", 4, &names->self, err));
    return plim_intern(names, "varargs", 7, &names->varargs, err);
}

static plim_status names_grow(plim_names *names, plim_error *err)
{
    size_t slots = names->slots ? names->slots * 2 : 256;
    const plim_str **at = plim_arena_new(names->arena, slots, sizeof *at, err);
    if (!at)
        return plim_failed(err);
    for (size_t i = 0; i < names->slots; i++) {
        if (!names->at[i])
            continue;
        size_t slot = plim_hash_bytes(names->at[i]->data, names->at[i]->bytes) & (slots - 1);
        while (at[slot])
            slot = (slot + 1) & (slots - 1);
        at[slot] = names->at[i];
    }
    names->at = at;
    names->slots = slots;
    return PLIM_OK;
}

plim_status plim_intern(plim_names *names, const char *text, size_t bytes, const plim_str **out,
                        plim_error *err)
{
    if (names->count * 2 >= names->slots)
        PLIM_TRY(names_grow(names, err));
    size_t slot = plim_hash_bytes(text, bytes) & (names->slots - 1);
    for (; names->at[slot]; slot = (slot + 1) & (names->slots - 1)) {
        if (names->at[slot]->bytes == bytes && !memcmp(names->at[slot]->data, text, bytes)) {
            *out = names->at[slot];
            return PLIM_OK;
        }
    }
    if (names->count == PLIM_CHAT_MAX_NAMES)
        return plim_fail(err, PLIM_E_LIMIT, "a template with more than %d different names",
                         PLIM_CHAT_MAX_NAMES);
    plim_str *s = plim_arena_new(names->arena, 1, sizeof *s, err);
    char *copy = s ? plim_arena_text(names->arena, text, bytes, err) : NULL;
    if (!copy)
        return plim_failed(err);
    *s = (plim_str){.data = copy, .bytes = bytes};
    names->at[slot] = *out = s;
    names->count++;
    return PLIM_OK;
}

/* ---- the whole ---- */

plim_status plim_parse(plim_template *template, plim_names *names, plim_error *err)
{
    plim_source source = {names->arena, template->file, template->source->data,
                          template->source->bytes};
    plim_token *tokens;
    size_t count;
    PLIM_TRY(plim_lex(&source, &tokens, &count, err));
    plim_parser p = {
        .arena = names->arena, .names = names, .file = template->file, .at = tokens, .err = err};
    plim_status status = parse_until(&p, NULL, &template->body);
    plim_delete(names->arena->alloc, tokens);
    template->blocks = p.blocks;
    return status ? status : plim_symbols(&p, template);
}
