/* SPDX-License-Identifier: Apache-2.0
 *
 * The values that templates compute with: Python's, as far as a template sees them.  All of them
 * live in the arena of a render (or, constants, of the templates) and never change once made;
 * namespaces, loops and iterators excepted.  Invariants:
 *  1. A string is UTF-8, and each of its bytes is marked as input (from the caller's context) or
 *     not.  Whatever makes a string out of strings copies bytes through plim_buf, marks with them.
 *  2. What walks nested values counts its depth: PLIM_E_LIMIT beyond PLIM_CHAT_MAX_DEPTH.
 *  3. Work on n elements or bytes is counted as steps before it is done. */
#ifndef PLIM_CHAT_VALUE_H
#define PLIM_CHAT_VALUE_H

#include "base/alloc.h"
#include "chat/chat.h"
#include "chat/unicode.h"

typedef struct plim_run plim_run;
typedef struct plim_list plim_list;
typedef struct plim_dict plim_dict;
typedef struct plim_iter plim_iter;
typedef struct plim_loop plim_loop;
typedef struct plim_macro plim_macro;
typedef struct plim_method plim_method;
typedef struct plim_builtin plim_builtin;
typedef struct plim_node plim_node;
typedef struct plim_scope plim_scope;

/* Early return of a failure; a function can't do it. */
#define PLIM_TRY(call)                                                                             \
    do {                                                                                           \
        plim_status try_status_ = (call);                                                          \
        if (try_status_)                                                                           \
            return try_status_;                                                                    \
    } while (0)

/* The code of an error that was filled, never PLIM_OK. */
static inline plim_status plim_failed(const plim_error *err)
{
    return err->code ? err->code : PLIM_E_NOMEM;
}

/* Bytes being written, with their marks: NULL while all of them are of one kind (`input`). */
typedef struct plim_buf {
    char *data;
    uint8_t *marks;
    size_t used, cap;
    bool input;
} plim_buf;

/* `owner`: the buffer that the bytes lie in, for appending in place. */
typedef struct plim_str {
    const char *data;
    const uint8_t *marks;
    size_t bytes;
    plim_buf *owner;
    bool input;
} plim_str;

typedef struct plim_range {
    int64_t start, stop, step, count;
} plim_range;

/* An undefined value: why, and whether using it is a breach of the sandbox. */
typedef struct plim_undefined {
    const char *message;
    bool unsafe;
} plim_undefined;

typedef enum plim_kind {
    PLIM_V_MISSING, /* no value at all: an argument that was not given, the end of an iterator */
    PLIM_V_UNDEFINED,
    PLIM_V_NONE,
    PLIM_V_BOOL,
    PLIM_V_INT,
    PLIM_V_FLOAT,
    PLIM_V_STR,
    PLIM_V_LIST,
    PLIM_V_TUPLE,
    PLIM_V_DICT,
    PLIM_V_VIEW, /* keys, values or items of a dict */
    PLIM_V_RANGE,
    PLIM_V_ITER,
    PLIM_V_NAMESPACE,
    PLIM_V_LOOP,
    PLIM_V_MACRO,
    PLIM_V_METHOD,
    PLIM_V_FUNCTION,
    PLIM_V_CYCLER,
    PLIM_V_JOINER,
    PLIM_V_SELF,
    PLIM_V_KINDS
} plim_kind;

typedef enum plim_view { PLIM_VIEW_KEYS, PLIM_VIEW_VALUES, PLIM_VIEW_ITEMS } plim_view;

typedef struct plim_val {
    uint8_t kind;
    uint8_t view; /* of a PLIM_V_VIEW */
    bool markup;  /* of a PLIM_V_STR: markupsafe.Markup */
    bool group;   /* of a PLIM_V_TUPLE: what groupby gives, with the names grouper and list */
    union {
        bool b;
        int64_t i;
        double f;
        const plim_str *s;
        const plim_undefined *undefined;
        plim_list *list;
        plim_dict *dict;
        const plim_range *range;
        plim_iter *iter;
        plim_loop *loop;
        const plim_macro *macro;
        const plim_method *method;
        const plim_builtin *function;
        void *any;
    } u;
} plim_val;

struct plim_list {
    plim_val *at;
    size_t count, cap;
    size_t turn; /* of a cycler: the next; of a joiner: it was used */
};

typedef struct plim_entry {
    plim_val key, value;
    uint64_t hash;
} plim_entry;

/* In the order of insertion; `index` (of `slots`, a power of two) holds 1 + place, 0 for free. */
struct plim_dict {
    plim_entry *at;
    size_t count, cap;
    uint32_t *index;
    size_t slots;
};

static inline plim_val plim_missing(void)
{
    return (plim_val){.kind = PLIM_V_MISSING};
}
static inline plim_val plim_none(void)
{
    return (plim_val){.kind = PLIM_V_NONE};
}
static inline plim_val plim_bool(bool b)
{
    return (plim_val){.kind = PLIM_V_BOOL, .u.b = b};
}
static inline plim_val plim_int(int64_t i)
{
    return (plim_val){.kind = PLIM_V_INT, .u.i = i};
}
static inline plim_val plim_float(double f)
{
    return (plim_val){.kind = PLIM_V_FLOAT, .u.f = f};
}
static inline plim_val plim_text(const plim_str *s)
{
    return (plim_val){.kind = PLIM_V_STR, .u.s = s};
}
static inline plim_val plim_of_list(plim_list *list, plim_kind kind)
{
    return (plim_val){.kind = (uint8_t)kind, .u.list = list};
}
static inline plim_val plim_of_dict(plim_dict *dict)
{
    return (plim_val){.kind = PLIM_V_DICT, .u.dict = dict};
}
static inline bool plim_is(plim_val v, plim_kind kind)
{
    return v.kind == kind;
}
/* int or bool, as Python has it. */
static inline bool plim_is_integral(plim_val v)
{
    return v.kind == PLIM_V_INT || v.kind == PLIM_V_BOOL;
}
static inline int64_t plim_integral(plim_val v)
{
    return v.kind == PLIM_V_BOOL ? (int64_t)v.u.b : v.u.i;
}
static inline bool plim_is_number(plim_val v)
{
    return plim_is_integral(v) || v.kind == PLIM_V_FLOAT;
}
static inline double plim_number(plim_val v)
{
    return v.kind == PLIM_V_FLOAT ? v.u.f : (double)plim_integral(v);
}

/* ---- strings (str.c) ---- */

plim_status plim_buf_reserve(plim_run *run, plim_buf *buf, size_t more);
/* Bytes of one kind; bytes from..to of a string. */
plim_status plim_buf_put(plim_run *run, plim_buf *buf, const char *data, size_t bytes, bool input);
plim_status plim_buf_add(plim_run *run, plim_buf *buf, const plim_str *s, size_t from, size_t to);
plim_status plim_buf_all(plim_run *run, plim_buf *buf, const plim_str *s);
plim_status plim_buf_char(plim_run *run, plim_buf *buf, uint32_t code, bool input);
plim_status plim_buf_literal(plim_run *run, plim_buf *buf, const char *text);
/* A buffer in the arena, and what was written to it as a string (which may still be appended to).
 */
plim_status plim_buf_new(plim_run *run, plim_buf **out);
plim_status plim_buf_take(plim_run *run, plim_buf *buf, plim_val *out);

plim_status plim_str_new(plim_run *run, const char *data, size_t bytes, bool input, plim_val *out);
plim_status plim_str_literal(plim_run *run, const char *text, plim_val *out);
/* A view of bytes from..to. */
plim_status plim_str_part(plim_run *run, const plim_str *s, size_t from, size_t to, plim_val *out);
plim_status plim_str_concat(plim_run *run, const plim_str *a, const plim_str *b, plim_val *out);
plim_status plim_str_repeat(plim_run *run, const plim_str *s, int64_t times, plim_val *out);

bool plim_str_is(const plim_str *s, const char *text);
bool plim_str_equal(const plim_str *a, const plim_str *b);
int plim_str_compare(const plim_str *a, const plim_str *b);
/* Whether any of bytes from..to is input. */
bool plim_str_input(const plim_str *s, size_t from, size_t to);
/* Code points; the byte where the n-th begins (n <= length). */
size_t plim_str_length(const plim_str *s);
/* Bytes of a name that a message shows: at most 80, and no half of a character. */
int plim_str_shown(const plim_str *name);
size_t plim_str_seek(const plim_str *s, size_t n);
/* The character at byte `at`, its length. */
size_t plim_str_char(const plim_str *s, size_t at, uint32_t *code);
/* The character that ends at byte `at` > 0. */
size_t plim_str_char_before(const plim_str *s, size_t at, uint32_t *code);
/* The first `needle` at or after byte `from` (before byte `to`), or SIZE_MAX; the last one. */
size_t plim_str_find(const plim_str *s, const plim_str *needle, size_t from, size_t to);
size_t plim_str_find_last(const plim_str *s, const plim_str *needle, size_t from, size_t to);
/* Bytes [*from, *to) without what strip(chars) takes; chars NULL: whitespace. */
enum { PLIM_STRIP_LEFT = 1, PLIM_STRIP_RIGHT = 2 };
void plim_str_strip(const plim_str *s, const plim_str *chars, unsigned sides, size_t *from,
                    size_t *to);
plim_status plim_str_case(plim_run *run, const plim_str *s, plim_case kind, plim_buf *buf,
                          size_t from, size_t to);
plim_status plim_str_escape(plim_run *run, const plim_str *s, plim_val *out); /* &<>'" */

/* ---- lists and dicts (container.c) ---- */

plim_status plim_list_new(plim_run *run, size_t cap, plim_list **out);
plim_status plim_list_add(plim_run *run, plim_list *list, plim_val value);
plim_status plim_dict_new(plim_run *run, plim_dict **out);
/* FORMAT for a key that has no hash. */
plim_status plim_dict_set(plim_run *run, plim_dict *dict, plim_val key, plim_val value);
plim_status plim_dict_get(plim_run *run, const plim_dict *dict, plim_val key, plim_val *out,
                          bool *found);
plim_status plim_dict_set_text(plim_run *run, plim_dict *dict, const char *key, plim_val value);
/* The value of a key that is a string of ASCII; MISSING for none. */
plim_val plim_dict_find(const plim_dict *dict, const char *key);
plim_status plim_dict_update(plim_run *run, plim_dict *dict, plim_val from);

/* ---- comparison (compare.c) ---- */

plim_status plim_equal(plim_run *run, plim_val a, plim_val b, bool *out);
plim_status plim_hash(plim_run *run, plim_val v, uint64_t *out);
uint64_t plim_hash_bytes(const char *data, size_t bytes);
/* a < b; FORMAT for kinds that have no order. */
plim_status plim_less(plim_run *run, plim_val a, plim_val b, bool *out);
typedef enum plim_order { PLIM_LT, PLIM_LE, PLIM_GT, PLIM_GE } plim_order;
plim_status plim_compare(plim_run *run, plim_order order, plim_val a, plim_val b, bool *out);
plim_status plim_contains(plim_run *run, plim_val container, plim_val item, bool *out);
bool plim_identical(plim_val a, plim_val b);
bool plim_truth(plim_val v);

/* ---- questions about any value (value.c) ---- */

const char *plim_type_name(plim_val v);
/* len(); FORMAT for what has none. */
plim_status plim_length(plim_run *run, plim_val v, int64_t *out);
bool plim_has_length(plim_val v);
plim_status plim_undefined_new(plim_run *run, const char *message, plim_val *out);
/* The error of using an undefined value. */
plim_status plim_fail_undefined(plim_run *run, plim_val v);
/* An argument as an index (int or bool). */
plim_status plim_to_index(plim_run *run, plim_val v, const char *what, int64_t *out);
plim_status plim_to_str(plim_run *run, plim_val v, const char *what, const plim_str **out);

/* ---- iteration (iter.c) ---- */

/* Which items of another iterator come through, and as what. */
typedef plim_status (*plim_iter_step)(plim_run *run, plim_iter *iter, plim_val *out);
struct plim_iter {
    plim_val source;     /* what is iterated: a list, a dict, ... */
    size_t at;           /* element, byte or number */
    plim_iter_step step; /* of a lazy filter; else NULL */
    plim_iter *inner;    /* what such a filter reads */
    void *state;
    const char *name; /* of the generator function */
};
/* FORMAT for what can't be iterated.  An iterator gives itself. */
plim_status plim_iterate(plim_run *run, plim_val v, plim_iter **out);
/* MISSING at the end. */
plim_status plim_next(plim_run *run, plim_iter *iter, plim_val *out);
bool plim_iterable(plim_val v);
/* list(v). */
plim_status plim_to_list(plim_run *run, plim_val v, plim_list **out);
plim_status plim_iter_lazy(plim_run *run, plim_val source, plim_iter_step step, void *state,
                           const char *name, plim_val *out);

/* ---- text of values (repr.c, float.c) ---- */

/* str(v), as printed; repr(v). */
plim_status plim_print(plim_run *run, plim_buf *buf, plim_val v);
plim_status plim_repr(plim_run *run, plim_buf *buf, plim_val v);
plim_status plim_to_text(plim_run *run, plim_val v, const plim_str **out);
/* repr of a float; `out` has room for 40. */
size_t plim_float_repr(char *out, double value);

#endif
