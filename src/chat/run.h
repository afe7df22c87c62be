/* SPDX-License-Identifier: Apache-2.0
 *
 * A render in progress: its memory, its caps, its variables; and what the parts of the evaluator
 * call of each other. */
#ifndef PLIM_CHAT_RUN_H
#define PLIM_CHAT_RUN_H

#include "chat/ast.h"
#include "chat/value.h"

/* Variables of a frame, by interned name.  `hidden` (of a node): names that are not looked for
 * further out until they are set. */
typedef struct plim_variable {
    const plim_str *name;
    plim_val value;
} plim_variable;
struct plim_scope {
    plim_scope *parent;
    plim_variable *at;
    size_t count, cap;
    bool kept; /* a macro or an iterator looks into it later */
};

struct plim_run {
    plim_alloc counted; /* the caller's, with a cap */
    const plim_alloc *alloc;
    size_t held;
    plim_arena arena;
    plim_error *err;
    const char *file;
    uint32_t line;
    uint64_t steps;
    unsigned level;  /* calls of the evaluator within each other */
    unsigned calls;  /* macros within each other */
    unsigned values; /* depth of a walk through nested values */
    bool folding;    /* a constant is being evaluated as Jinja2's compiler does it */
    plim_buf *out;
    plim_scope *scope, *root;
    const plim_str *special[4]; /* caller, kwargs, varargs, NULL */
    plim_val captured;          /* the text of a block that a filter is applied to */
    plim_dict *context;
    const plim_template *source;
    const plim_chat_time *now;
};

/* Calls of the evaluator within each other; each takes at most about 250 bytes of stack. */
#define PLIM_CHAT_MAX_LEVELS 500

/* "FILE: line N: MESSAGE". */
plim_status plim_run_fail(plim_run *run, plim_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* After an allocation failed. */
static inline plim_status plim_run_error(const plim_run *run)
{
    return plim_failed(run->err);
}
/* Count work: LIMIT past PLIM_CHAT_MAX_STEPS. */
plim_status plim_work(plim_run *run, uint64_t steps);
/* Of bytes that are copied or compared; of those that are looked at one character at a time; of a
 * search for `needle` in so many bytes, as long as the worst text makes it. */
plim_status plim_work_bytes(plim_run *run, uint64_t bytes);
plim_status plim_work_chars(plim_run *run, uint64_t bytes);
plim_status plim_work_find(plim_run *run, uint64_t bytes, const plim_str *needle);
plim_status plim_work_find_last(plim_run *run, uint64_t bytes, const plim_str *needle);
void *plim_run_new(plim_run *run, size_t count, size_t size); /* NULL: plim_run_error */
/* Walks through nested values: LIMIT beyond PLIM_CHAT_MAX_DEPTH. */
plim_status plim_deeper(plim_run *run);
static inline void plim_shallower(plim_run *run)
{
    run->values--;
}

/* ---- calls ---- */

typedef struct plim_args {
    plim_val *at;
    size_t count;
    const plim_str **names; /* of the keyword arguments */
    plim_val *values;
    size_t named;
} plim_args;

#define PLIM_MAX_PARAMS 8

/* A filter, test, method or global function.  `params`: names separated by commas; one that begins
 * with '/' can't be given by name; the first `required` must be given.  NULL: it takes the
 * arguments as they are (raw).  Of filters and tests `self` is the value, and the first parameter.
 */
typedef plim_status (*plim_builtin_fn)(plim_run *run, plim_val self, const plim_val *args,
                                       const plim_args *raw, plim_val *out);
struct plim_builtin {
    const char *name;
    plim_builtin_fn fn;
    unsigned required;
    const char *params;
};
struct plim_method {
    plim_val self;
    const plim_builtin *fn;
};

struct plim_macro {
    const plim_node *node; /* a macro or a call block */
    plim_scope *scope;     /* where it was defined */
    const plim_str *name;  /* NULL: of a call block */
};

struct plim_loop {
    plim_iter *iter;
    plim_val source, current, before, after, changed;
    bool has_after;         /* `after` was fetched; MISSING: there is none */
    int64_t index0, length; /* length -1: not known yet */
    unsigned depth0;
    const plim_node *recursive; /* the for statement, or NULL */
    plim_scope *scope;          /* around it */
    plim_scope *turn;           /* of the turn */
};

plim_status plim_call(plim_run *run, plim_val callee, const plim_args *args, plim_val *out);
plim_status plim_call_builtin(plim_run *run, const plim_builtin *fn, plim_val self,
                              const plim_args *args, plim_val *out);
plim_status plim_call_macro(plim_run *run, const plim_macro *macro, const plim_args *args,
                            plim_val *out);
plim_status plim_loop_length(plim_run *run, plim_loop *loop, int64_t *out);
plim_status plim_loop_peek(plim_run *run, plim_loop *loop, plim_val *out);
/* The next turn's item, MISSING at the end. */
plim_status plim_loop_advance(plim_run *run, plim_loop *loop, plim_val *out);
plim_status plim_loop_again(plim_run *run, plim_loop *loop, plim_val source, plim_val *out);
plim_val plim_arg_named(const plim_args *args, const char *name);

const plim_builtin *plim_filter_find(const char *name, size_t bytes);
const plim_builtin *plim_test_find(const char *name, size_t bytes);
plim_status plim_apply_filter(plim_run *run, const plim_str *name, plim_val value,
                              const plim_args *args, plim_val *out);
plim_status plim_apply_test(plim_run *run, const plim_str *name, plim_val value,
                            const plim_args *args, bool *out);
const plim_builtin *plim_global_find(const plim_str *name);

/* Tables of filters, by theme; each ends with a name NULL. */
extern const plim_builtin plim_filters_text[], plim_filters_list[], plim_filters_pick[],
    plim_filters_number[], plim_filters_markup[], plim_filters_layout[];
extern const plim_builtin plim_methods_str[], plim_methods_str_find[], plim_methods_dict[],
    plim_methods_list[], plim_methods_tuple[], plim_methods_number[], plim_methods_loop[],
    plim_methods_cycler[], plim_methods_factory[];

/* ---- attributes, operators (attr.c, operators.c) ---- */

/* a.name and a[key] as the sandbox gives them. */
plim_status plim_getattr(plim_run *run, plim_val v, const plim_str *name, plim_val *out);
plim_status plim_getitem(plim_run *run, plim_val v, plim_val key, plim_val *out);
plim_status plim_slice(plim_run *run, plim_val v, const plim_val bounds[3], plim_val *out);
/* The real attribute (method, property), MISSING when there is none. */
plim_status plim_attribute(plim_run *run, plim_val v, const plim_str *name, plim_val *out);

plim_status plim_binary(plim_run *run, plim_operator op, plim_val a, plim_val b, plim_val *out);
plim_status plim_unary(plim_run *run, plim_operator op, plim_val a, plim_val *out);

/* Sort a list by keys[i] of each element, stably; in reverse, equals keep their order (sort.c). */
plim_status plim_sort_list(plim_run *run, plim_list *list, const plim_list *keys, bool reverse);

/* ---- formats ---- */

plim_status plim_percent(plim_run *run, const plim_str *format, plim_val args, bool markup,
                         plim_val *out);
plim_status plim_format_method(plim_run *run, plim_val self, const plim_args *args, plim_val *out);
plim_status plim_format_spec(plim_run *run, plim_val v, const plim_str *spec, plim_buf *buf);
plim_status plim_strftime(plim_run *run, const plim_str *format, plim_val *out);
/* round half to even in decimal, as Python's round(). */
double plim_round(double value, int digits);
/* int(text, base); false where Python raises ValueError. */
plim_status plim_parse_int(plim_run *run, const plim_str *s, int64_t base, int64_t *out,
                           bool *valid);
bool plim_parse_float(const plim_str *s, double *out);
/* float -> int: FORMAT for nan and inf, LIMIT past 64 bits. */
plim_status plim_float_to_int(plim_run *run, double value, int64_t *out);

/* ---- JSON ---- */

typedef struct plim_json_style {
    bool ascii, sort_keys, pretty;
    const plim_str *indent;     /* of one level, when pretty */
    const plim_str *item, *key; /* separators; NULL: the defaults */
    unsigned base;              /* run->values before the outermost value */
} plim_json_style;
plim_status plim_json_write(plim_run *run, plim_buf *buf, plim_val v, const plim_json_style *style);
/* The caller's context: a dict, all strings of it marked as input. */
plim_status plim_json_context(plim_run *run, const char *text, size_t bytes, plim_val *out);

/* ---- variables ---- */

plim_status plim_scope_new(plim_run *run, plim_scope *parent, plim_scope **out);
/* From now on this scope and those around it stay as they are when their statement ends. */
void plim_scope_keep(plim_scope *scope);
plim_status plim_scope_set(plim_run *run, plim_scope *scope, const plim_str *name, plim_val value);
plim_status plim_lookup(plim_run *run, const plim_str *name, plim_val *out);

/* ---- evaluation ---- */

typedef enum plim_flow { PLIM_FLOW_ON, PLIM_FLOW_BREAK, PLIM_FLOW_CONTINUE } plim_flow;
plim_status plim_eval(plim_run *run, const plim_node *node, plim_val *out);
/* The same of an expression that is printed. */
plim_status plim_eval_printed(plim_run *run, const plim_node *node, plim_val *out);
plim_status plim_eval_args(plim_run *run, const plim_node *list, plim_args *out);
/* The statements of a list, one after the other. */
plim_status plim_exec(plim_run *run, const plim_node *list, plim_flow *flow);
/* The same into a string. */
plim_status plim_capture(plim_run *run, const plim_node *list, plim_val *out, plim_flow *flow);
plim_status plim_assign(plim_run *run, const plim_node *target, plim_val value);
plim_status plim_exec_for(plim_run *run, const plim_node *node, plim_flow *flow);
plim_status plim_level_enter(plim_run *run);
static inline void plim_level_leave(plim_run *run)
{
    run->level--;
}

#endif
