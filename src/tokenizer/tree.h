/* SPDX-License-Identifier: Apache-2.0
 *
 * A small part of a tokenizer file (normalizer, pre_tokenizer, post_processor, decoder) as a tree
 * of values, for those who ask for its fields by name.  Vocabularies and merges never come here. */
#ifndef PLIM_TOKENIZER_TREE_H
#define PLIM_TOKENIZER_TREE_H

#include "base/json.h"

typedef struct plim_node {
    plim_json_event kind; /* OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL */
    int64_t offset;       /* in the file */
    const char *key;      /* of a member of an object; "" elsewhere */
    const char *text;     /* STRING and NUMBER; NUL-terminated, may hold NULs */
    size_t bytes;
    const struct plim_node *first, *next; /* child, sibling */
} plim_node;

/* The value whose first event was read, from `arena`.  LIMIT: more than 65,536 values. */
plim_status plim_tree_read(const plim_node **out, plim_arena *arena, plim_json *json,
                           plim_json_event event, plim_error *err);

/* A node with what error messages say about it. */
typedef struct plim_part {
    const char *path; /* of the file */
    const char *what; /* "normalizer", "decoder", ... */
    const plim_node *node;
} plim_part;

/* Fail at a node: "FILE: MESSAGE (at byte N)". */
plim_status plim_part_fail(const plim_part *part, const plim_node *node, plim_error *err,
                           plim_status code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The member `key`, NULL where it is absent or null.  FORMAT: it is there twice, or the part is no
 * object. */
plim_status plim_part_get(const plim_part *part, const char *key, const plim_node **out,
                          plim_error *err);
/* Members of one kind.  FORMAT: another kind; absent or null where `required`, else *out stays as
 * it is. */
plim_status plim_part_bool(const plim_part *part, const char *key, bool required, bool *out,
                           plim_error *err);
plim_status plim_part_text(const plim_part *part, const char *key, bool required, const char **out,
                           size_t *bytes, plim_error *err);
/* LIMIT above max. */
plim_status plim_part_u64(const plim_part *part, const char *key, bool required, uint64_t max,
                          uint64_t *out, plim_error *err);
/* An object or an array. */
plim_status plim_part_list(const plim_part *part, const char *key, bool required,
                           plim_json_event kind, const plim_node **out, plim_error *err);

/* The index of member `key` (a string) in names[count]: UNSUP, with the name found, when it is none
 * of them. */
plim_status plim_part_choice(const plim_part *part, const char *key, bool required,
                             const char *const *names, size_t count, size_t *out, plim_error *err);

/* {"String": "..."} or {"Regex": "..."} in the member `key`. */
plim_status plim_part_pattern(const plim_part *part, const char *key, const char **text,
                              size_t *bytes, bool *literal, const plim_node **where,
                              plim_error *err);

#define PLIM_TREE_NESTING 8

/* The parts of nested Sequences (their members in `list`), in order, into out[cap]; a part that is
 * none is one of itself.  FORMAT: no type, no list.  LIMIT: nested deeper than PLIM_TREE_NESTING,
 * or more than cap. */
plim_status plim_part_flatten(const plim_part *part, const char *list, const plim_node **out,
                              size_t cap, size_t *count, plim_error *err);

#endif
