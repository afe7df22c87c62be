/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over JSON that the program hands on as it is (messages, tools, variables of templates):
 * strict RFC 8259, no tree, no recursion. */
#ifndef CLI_JSON_WALK_H
#define CLI_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_WALK_DEPTH 512

typedef struct json_walk {
    const char *text;
    size_t bytes, at;
    const char *message; /* NULL, or what is wrong at `at` */
} json_walk;

/* Text text[begin .. end - 1]. */
typedef struct json_range {
    size_t begin, end;
} json_range;

/* The next character that is not white space, '\0' at the end; it stays. */
char json_walk_peek(json_walk *walk);

/* Over `c`, white space before it included; false, and nothing passed, where another one stands. */
bool json_walk_take(json_walk *walk, char c);

/* Over one value of any kind; false with walk->message. */
bool json_walk_value(json_walk *walk, json_range *value);

/* The next member of an object whose '{' is passed: its key with quotes, its value.  False at the
 * '}', which is passed, and on errors (walk->message). */
bool json_walk_member(json_walk *walk, bool first, json_range *key, json_range *value);

/* The same of an array whose '[' is passed. */
bool json_walk_element(json_walk *walk, bool first, json_range *value);

/* The one value that text[bytes] holds: *kind is its first character; NULL, or the message and the
 * byte of what is wrong. */
const char *json_walk_check(const char *text, size_t bytes, char *kind, size_t *position);

/* The value of a member of the object text[bytes], which was checked; false where there is none. */
bool json_walk_find(const char *text, size_t bytes, const char *key, json_range *value);

#endif
