/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes JSON. */
#include "json_out.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void json_begin(cli_json *json, cli_out *out)
{
    memset(json, 0, sizeof *json);
    json->out = out;
}

void json_end(cli_json *json)
{
    assert(json->depth == 0 && !json->after_key);
    out_text(json->out, "\n");
}

/* The comma before a value or key that is not the first. */
static void separate(cli_json *json)
{
    if (!json->after_key && json->filled[json->depth])
        out_text(json->out, ",");
    json->filled[json->depth] = true;
    json->after_key = false;
}

static void open_level(cli_json *json, const char *bracket)
{
    separate(json);
    out_text(json->out, bracket);
    assert(json->depth + 1 < CLI_JSON_DEPTH);
    json->filled[++json->depth] = false;
}

static void close_level(cli_json *json, const char *bracket)
{
    assert(json->depth > 0);
    json->depth--;
    out_text(json->out, bracket);
}

void json_object(cli_json *json)
{
    open_level(json, "{");
}

void json_object_end(cli_json *json)
{
    close_level(json, "}");
}

void json_array(cli_json *json)
{
    open_level(json, "[");
}

void json_array_end(cli_json *json)
{
    close_level(json, "]");
}

static void write_string(cli_out *out, const char *text, size_t bytes)
{
    out_text(out, "\"");
    size_t start = 0;
    for (size_t i = 0; i < bytes;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = utf8_sequence(text + i, bytes - i);
        if (length > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += length;
            continue;
        }
        out_write(out, text + start, i - start);
        if (length == 0)
            out_text(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            out_format(out, "\\%c", c);
        else if (c == '\n')
            out_text(out, "\\n");
        else if (c == '\r')
            out_text(out, "\\r");
        else if (c == '\t')
            out_text(out, "\\t");
        else
            out_format(out, "\\u%04x", c);
        i += length > 0 ? length : utf8_broken(text + i, bytes - i);
        start = i;
    }
    out_write(out, text + start, bytes - start);
    out_text(out, "\"");
}

void json_key(cli_json *json, const char *key)
{
    separate(json);
    write_string(json->out, key, strlen(key));
    out_text(json->out, ":");
    json->after_key = true;
}

void json_null(cli_json *json)
{
    separate(json);
    out_text(json->out, "null");
}

void json_bool(cli_json *json, bool value)
{
    separate(json);
    out_text(json->out, value ? "true" : "false");
}

void json_u64(cli_json *json, uint64_t value)
{
    separate(json);
    out_format(json->out, "%" PRIu64, value);
}

void json_i64(cli_json *json, int64_t value)
{
    separate(json);
    out_format(json->out, "%" PRId64, value);
}

void json_real(cli_json *json, double value)
{
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    char text[40];
    for (int digits = 6; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (char *c = text; *c; c++) /* some locales write a comma, or two bytes; ours is a point */
        if (!strchr("0123456789+-e", *c))
            *c = '.';
    separate(json);
    out_text(json->out, text);
}

void json_bytes(cli_json *json, const char *text, size_t bytes)
{
    separate(json);
    write_string(json->out, text, bytes);
}

void json_text(cli_json *json, const char *text)
{
    if (text)
        json_bytes(json, text, strlen(text));
    else
        json_null(json);
}

void json_raw(cli_json *json, const char *text, size_t bytes)
{
    separate(json);
    out_write(json->out, text, bytes);
}

void json_put_u64(cli_json *json, const char *key, uint64_t value)
{
    json_key(json, key);
    json_u64(json, value);
}

void json_put_real(cli_json *json, const char *key, double value)
{
    json_key(json, key);
    json_real(json, value);
}

void json_put_text(cli_json *json, const char *key, const char *text)
{
    json_key(json, key);
    json_text(json, text);
}

void json_put_bool(cli_json *json, const char *key, bool value)
{
    json_key(json, key);
    json_bool(json, value);
}

void json_put_ids(cli_json *json, const char *key, const int32_t *ids, size_t count)
{
    json_key(json, key);
    json_array(json);
    for (size_t i = 0; i < count; i++)
        json_i64(json, ids[i]);
    json_array_end(json);
}
