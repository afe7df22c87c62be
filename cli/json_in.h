/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the two JSON values that a line of --jsonl may hold: a string, or an array of token ids.
 * Strict RFC 8259; whitespace may stand around the value, nothing else.  *position is the byte
 * where an error was found, from the start of the line. */
#ifndef CLI_JSON_IN_H
#define CLI_JSON_IN_H

#include "plimsoll.h"

/* The string at text[bytes], unescaped in place (it never grows, and may hold NUL bytes): starts at
 * *start, *length bytes.  Returns NULL, or the message of what is wrong. */
const char *json_in_string(char *text, size_t bytes, size_t *start, size_t *length,
                           size_t *position);

/* An array of integers 0..INT32_MAX into ids (room for bytes / 2 + 1 of them); NULL or the message.
 */
const char *json_in_ids(const char *text, size_t bytes, int32_t *ids, size_t *count,
                        size_t *position);

#endif
