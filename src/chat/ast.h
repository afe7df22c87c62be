/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree that a template is parsed into, and its tokens.  Both live in the arena of the
 * templates and never change afterwards. */
#ifndef PLIM_CHAT_AST_H
#define PLIM_CHAT_AST_H

#include "chat/unicode.h"
#include "chat/value.h"

typedef enum plim_token_kind {
    PLIM_T_END,
    PLIM_T_DATA,
    PLIM_T_BLOCK_BEGIN,
    PLIM_T_BLOCK_END,
    PLIM_T_PRINT_BEGIN,
    PLIM_T_PRINT_END,
    PLIM_T_NAME,
    PLIM_T_STRING,
    PLIM_T_INTEGER,
    PLIM_T_FLOAT,
    PLIM_T_OPERATOR
} plim_token_kind;

typedef enum plim_operator {
    PLIM_OP_NONE,
    PLIM_OP_ADD,
    PLIM_OP_SUB,
    PLIM_OP_MUL,
    PLIM_OP_DIV,
    PLIM_OP_FLOORDIV,
    PLIM_OP_MOD,
    PLIM_OP_POW,
    PLIM_OP_TILDE,
    PLIM_OP_EQ,
    PLIM_OP_NE,
    PLIM_OP_LT,
    PLIM_OP_LE,
    PLIM_OP_GT,
    PLIM_OP_GE,
    PLIM_OP_IN,
    PLIM_OP_NOT_IN,
    PLIM_OP_ASSIGN,
    PLIM_OP_DOT,
    PLIM_OP_COLON,
    PLIM_OP_PIPE,
    PLIM_OP_COMMA,
    PLIM_OP_SEMICOLON,
    PLIM_OP_LPAREN,
    PLIM_OP_RPAREN,
    PLIM_OP_LBRACKET,
    PLIM_OP_RBRACKET,
    PLIM_OP_LBRACE,
    PLIM_OP_RBRACE,
    PLIM_OP_COUNT
} plim_operator;
extern const char *const plim_operator_text[PLIM_OP_COUNT];

typedef struct plim_token {
    plim_token_kind kind;
    plim_operator op;
    uint32_t line;
    const char *text; /* of data, names and strings (unescaped) */
    size_t bytes;
    union {
        int64_t integer;
        double real;
    } number;
} plim_token;

/* A template's text into tokens, the last of them END.  `source` lives as long as they do. */
typedef struct plim_source {
    plim_arena *arena;
    const char *file;
    const char *text;
    size_t bytes;
} plim_source;
plim_status plim_lex(const plim_source *source, plim_token **out, size_t *count, plim_error *err);

typedef enum plim_op {
    /* expressions */
    PLIM_X_CONST,   /* value */
    PLIM_X_NAME,    /* name */
    PLIM_X_TUPLE,   /* a: items */
    PLIM_X_LIST,    /* a: items */
    PLIM_X_DICT,    /* a: PAIRs */
    PLIM_X_COND,    /* a ? b : c (may be NULL) */
    PLIM_X_OR,      /* a: operands */
    PLIM_X_AND,     /* a: operands */
    PLIM_X_NOT,     /* a */
    PLIM_X_COMPARE, /* a, b: OPERANDs */
    PLIM_X_BINARY,  /* a, b; operator */
    PLIM_X_UNARY,   /* a; operator */
    PLIM_X_CONCAT,  /* a: operands */
    PLIM_X_GETATTR, /* a, name */
    PLIM_X_GETITEM, /* a, b */
    PLIM_X_SLICE,   /* a, b, c, each may be NULL */
    PLIM_X_CALL,    /* a, b: arguments */
    PLIM_X_FILTER,  /* a (NULL: the captured text), name, b: arguments */
    PLIM_X_TEST,    /* a, name, b: arguments */
    PLIM_X_NSREF,   /* name.name2, as a target */
    /* parts of others */
    PLIM_X_PAIR,     /* a, b */
    PLIM_X_OPERAND,  /* a; operator */
    PLIM_X_KEYWORD,  /* name, a */
    PLIM_X_STAR,     /* a */
    PLIM_X_STARSTAR, /* a */
    PLIM_X_PARAM,    /* name, a: default or NULL */
    PLIM_X_BRANCH,   /* a: condition or NULL, body */
    /* statements */
    PLIM_S_DATA,      /* value */
    PLIM_S_PRINT,     /* a: expressions */
    PLIM_S_FOR,       /* a: target, b: what, c: condition or NULL, body, other */
    PLIM_S_IF,        /* a: BRANCHes */
    PLIM_S_SET,       /* a: target, b */
    PLIM_S_SET_BLOCK, /* a: target, b: filters or NULL, body */
    PLIM_S_MACRO,     /* name, a: PARAMs, body */
    PLIM_S_CALL,      /* a: PARAMs, b: the call, body */
    PLIM_S_FILTER,    /* b: filters, body */
    PLIM_S_WITH,      /* a: PAIRs, body */
    PLIM_S_SCOPE,     /* body */
    PLIM_S_BLOCK,     /* name, body */
    PLIM_S_BREAK,
    PLIM_S_CONTINUE,
    PLIM_S_LOAD, /* include, import, from, extends: there is nothing to load from */
    PLIM_OPS
} plim_op;

/* What a macro's body refers to without having set it. */
enum { PLIM_USES_CALLER = 1, PLIM_USES_KWARGS = 2, PLIM_USES_VARARGS = 4, PLIM_IS_RECURSIVE = 8 };

struct plim_node {
    uint8_t op, operator_, flags;
    uint16_t height; /* of the expression */
    bool varies;     /* a variable or a call is in the expression */
    bool folds;      /* a slice that does not vary is in it (plim_eval) */
    uint32_t line;
    plim_node *next; /* in a list */
    plim_node *a, *b, *c, *body, *other;
    const plim_str *name, *name2; /* interned */
    plim_val value;
    const plim_str **hidden; /* of what has a frame: set there before they are read; NULL-ended */
};

typedef struct plim_template {
    const char *name, *file;
    const plim_str *source;
    plim_node *body;
    const plim_str **hidden; /* of the outermost frame */
    plim_node *blocks;       /* linked by `other` */
} plim_template;

/* Names that must be one pointer each; LIMIT for more of them. */
#define PLIM_CHAT_MAX_NAMES 10000
typedef struct plim_names {
    plim_arena *arena;
    const plim_str **at;
    size_t count, slots;
    const plim_str *loop, *caller, *kwargs, *varargs, *self;
} plim_names;
plim_status plim_names_init(plim_names *names, plim_arena *arena, plim_error *err);
plim_status plim_intern(plim_names *names, const char *text, size_t bytes, const plim_str **out,
                        plim_error *err);

/* Parse a template (its file, source and name are set).  FORMAT: syntax, with file and line;
 * LIMIT: nested deeper than PLIM_CHAT_MAX_DEPTH; UNSUP. */
plim_status plim_parse(plim_template *template, plim_names *names, plim_error *err);

#endif
