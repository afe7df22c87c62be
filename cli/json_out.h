/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes JSON: commas, escapes, numbers.  One line, streamed, no tree.  Text that is not UTF-8 gets
 * U+FFFD for what is broken; doubles read back as the same value whatever the locale; what is not
 * finite is null. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "out.h"

#define CLI_JSON_DEPTH 32

typedef struct cli_json {
    cli_out *out;
    unsigned depth;
    bool filled[CLI_JSON_DEPTH]; /* something stands in the object or array of that depth */
    bool after_key;
} cli_json;

void json_begin(cli_json *json, cli_out *out);
void json_end(cli_json *json); /* the newline */

void json_object(cli_json *json);
void json_object_end(cli_json *json);
void json_array(cli_json *json);
void json_array_end(cli_json *json);
void json_key(cli_json *json, const char *key);

void json_null(cli_json *json);
void json_bool(cli_json *json, bool value);
void json_u64(cli_json *json, uint64_t value);
void json_i64(cli_json *json, int64_t value);
void json_real(cli_json *json, double value);
void json_bytes(cli_json *json, const char *text, size_t bytes);
void json_text(cli_json *json, const char *text);              /* NULL: null */
void json_raw(cli_json *json, const char *text, size_t bytes); /* a value that is JSON already */

/* key and value in one */
void json_put_u64(cli_json *json, const char *key, uint64_t value);
void json_put_real(cli_json *json, const char *key, double value);
void json_put_text(cli_json *json, const char *key, const char *text);
void json_put_bool(cli_json *json, const char *key, bool value);
void json_put_ids(cli_json *json, const char *key, const int32_t *ids, size_t count);

#endif
