/* SPDX-License-Identifier: Apache-2.0
 *
 * The caller's context in, and tojson out: json.loads and json.dumps of Python. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "chat/run.h"

/* ---- in ---- */

static plim_status read_number(plim_run *run, plim_json *json, plim_val *out)
{
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    int64_t i;
    double f;
    bool real = memchr(text, '.', bytes) || memchr(text, 'e', bytes) || memchr(text, 'E', bytes);
    if (!real) {
        if (!plim_parse_i64(text, bytes, &i))
            return plim_json_fail(json, run->err, PLIM_E_LIMIT, "an integer of more than 64 bits");
        *out = plim_int(i);
        return PLIM_OK;
    }
    if (!plim_parse_f64(text, bytes, &f))
        f = text[0] == '-' ? -INFINITY : INFINITY; /* as Python reads 1e999 */
    *out = plim_float(f);
    return PLIM_OK;
}

/* A scalar of the last event; MISSING for the others. */
static plim_status read_scalar(plim_run *run, plim_json *json, plim_json_event event, plim_val *out)
{
    size_t bytes;
    const char *text;
    *out = plim_missing();
    switch (event) {
    case PLIM_JSON_NUMBER:
        return read_number(run, json, out);
    case PLIM_JSON_TRUE:
    case PLIM_JSON_FALSE:
        *out = plim_bool(event == PLIM_JSON_TRUE);
        return PLIM_OK;
    case PLIM_JSON_NULL:
        *out = plim_none();
        return PLIM_OK;
    case PLIM_JSON_STRING:
        text = plim_json_text(json, &bytes);
        return plim_str_new(run, text, bytes, true, out);
    default:
        return PLIM_OK;
    }
}

/* Containers that are open, and the key that awaits its value in each. */
typedef struct open_value {
    plim_val value, key;
} open_value;

static plim_status put(plim_run *run, open_value *into, plim_val value)
{
    if (into->value.kind == PLIM_V_LIST)
        return plim_list_add(run, into->value.u.list, value);
    return plim_dict_set(run, into->value.u.dict, into->key, value);
}

static plim_status open_container(plim_run *run, plim_json_event event, plim_val *out)
{
    plim_list *list;
    plim_dict *dict;
    if (event == PLIM_JSON_ARRAY) {
        PLIM_TRY(plim_list_new(run, 0, &list));
        *out = plim_of_list(list, PLIM_V_LIST);
    } else {
        PLIM_TRY(plim_dict_new(run, &dict));
        *out = plim_of_dict(dict);
    }
    return PLIM_OK;
}

static plim_status read_value(plim_run *run, plim_json *json, open_value *stack, plim_val *out)
{
    size_t depth = 0;
    for (;;) {
        plim_json_event event;
        plim_val value;
        size_t bytes;
        PLIM_TRY(plim_json_next(json, &event, run->err));
        PLIM_TRY(plim_work(run, 1));
        if (event == PLIM_JSON_KEY) {
            const char *text = plim_json_text(json, &bytes);
            PLIM_TRY(plim_str_new(run, text, bytes, true, &stack[depth - 1].key));
            continue;
        }
        if (event == PLIM_JSON_OBJECT || event == PLIM_JSON_ARRAY) {
            PLIM_TRY(open_container(run, event, &stack[depth++].value));
            continue;
        }
        if (event == PLIM_JSON_OBJECT_END || event == PLIM_JSON_ARRAY_END)
            value = stack[--depth].value;
        else
            PLIM_TRY(read_scalar(run, json, event, &value));
        if (!depth) {
            *out = value;
            return PLIM_OK;
        }
        PLIM_TRY(put(run, &stack[depth - 1], value));
    }
}

plim_status plim_json_context(plim_run *run, const char *text, size_t bytes, plim_val *out)
{
    plim_json_limits limits = {.depth = PLIM_CHAT_MAX_DEPTH,
                               .string_bytes = PLIM_CHAT_CONTEXT_BYTES,
                               .keep_duplicates = true};
    plim_json *json;
    plim_json_event event;
    open_value *stack = plim_run_new(run, PLIM_CHAT_MAX_DEPTH + 1, sizeof *stack);
    if (!stack)
        return plim_run_error(run);
    if (bytes > PLIM_CHAT_CONTEXT_BYTES)
        return plim_run_fail(run, PLIM_E_LIMIT, "a context of more than %zu bytes",
                             (size_t)PLIM_CHAT_CONTEXT_BYTES);
    PLIM_TRY(plim_json_open_memory(&json, &run->counted, text, bytes, "chat context", &limits,
                                   run->err));
    plim_status status = read_value(run, json, stack, out);
    if (!status)
        status = plim_json_next(json, &event, run->err);
    if (!status && out->kind != PLIM_V_DICT)
        status = plim_json_fail(json, run->err, PLIM_E_FORMAT, "the context must be an object");
    plim_json_close(&json);
    return status;
}

/* ---- out ---- */

/* The escape of a character, "" where it stands for itself. */
static void escape_of(uint32_t code, bool ascii, char out[16])
{
    static const char named[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    const char *found = code && code < 0x80 ? strchr(named, (char)code) : NULL;
    out[0] = 0;
    if (found)
        plim_format(out, 16, "\\%c", letters[found - named]);
    else if (code < 0x20 || (ascii && code >= 0x7F && code < 0x10000))
        plim_format(out, 16, "\\u%04x", (unsigned)code);
    else if (ascii && code >= 0x10000)
        plim_format(out, 16, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((code - 0x10000) >> 10)),
                    (unsigned)(0xDC00 + ((code - 0x10000) & 0x3FF)));
}

static plim_status write_str(plim_run *run, plim_buf *buf, const plim_str *s, bool ascii)
{
    size_t from = 0;
    bool input = plim_str_input(s, 0, s->bytes);
    PLIM_TRY(plim_work_chars(run, s->bytes));
    PLIM_TRY(plim_buf_put(run, buf, "\"", 1, input));
    for (size_t i = 0; i < s->bytes;) {
        unsigned char c = (unsigned char)s->data[i];
        uint32_t code = c;
        char escape[16];
        size_t n = 1;
        if (c >= 0x80 && !ascii) {
            i++;
            continue;
        }
        if (c >= 0x80)
            n = plim_str_char(s, i, &code);
        escape_of(code, ascii, escape);
        if (escape[0]) {
            PLIM_TRY(plim_buf_add(run, buf, s, from, i));
            PLIM_TRY(plim_buf_put(run, buf, escape, strlen(escape), plim_str_input(s, i, i + n)));
            from = i + n;
        }
        i += n;
    }
    PLIM_TRY(plim_buf_add(run, buf, s, from, s->bytes));
    return plim_buf_put(run, buf, "\"", 1, input);
}

static plim_status new_line(plim_run *run, plim_buf *buf, const plim_json_style *style)
{
    if (!style->pretty)
        return PLIM_OK;
    PLIM_TRY(plim_buf_literal(run, buf, "\n"));
    for (unsigned i = style->base; i < run->values; i++)
        PLIM_TRY(plim_buf_all(run, buf, style->indent));
    return PLIM_OK;
}

static plim_status separate(plim_run *run, plim_buf *buf, const plim_json_style *style, bool first)
{
    PLIM_TRY(plim_work(run, 1));
    if (!first && style->item)
        PLIM_TRY(plim_buf_all(run, buf, style->item));
    else if (!first)
        PLIM_TRY(plim_buf_literal(run, buf, style->pretty ? "," : ", "));
    return new_line(run, buf, style);
}

static plim_status write_list(plim_run *run, plim_buf *buf, const plim_list *list,
                              const plim_json_style *style)
{
    if (!list->count)
        return plim_buf_literal(run, buf, "[]");
    PLIM_TRY(plim_buf_literal(run, buf, "["));
    PLIM_TRY(plim_deeper(run));
    for (size_t i = 0; i < list->count; i++) {
        PLIM_TRY(separate(run, buf, style, i == 0));
        PLIM_TRY(plim_json_write(run, buf, list->at[i], style));
    }
    plim_shallower(run);
    PLIM_TRY(new_line(run, buf, style));
    return plim_buf_literal(run, buf, "]");
}

static plim_status write_scalar(plim_run *run, plim_buf *buf, plim_val v)
{
    char text[48];
    if (v.kind == PLIM_V_NONE)
        return plim_buf_literal(run, buf, "null");
    if (v.kind == PLIM_V_BOOL)
        return plim_buf_literal(run, buf, v.u.b ? "true" : "false");
    if (v.kind == PLIM_V_INT) {
        plim_format(text, sizeof text, "%lld", (long long)v.u.i);
        return plim_buf_literal(run, buf, text);
    }
    if (isnan(v.u.f) || isinf(v.u.f))
        return plim_buf_literal(run, buf,
                                isnan(v.u.f) ? "NaN"
                                : v.u.f < 0  ? "-Infinity"
                                             : "Infinity");
    plim_float_repr(text, v.u.f);
    return plim_buf_literal(run, buf, text);
}

static bool is_scalar(plim_val v)
{
    return v.kind == PLIM_V_NONE || plim_is_number(v);
}

/* Keys are strings, or scalars that become strings. */
static plim_status write_key(plim_run *run, plim_buf *buf, plim_val key,
                             const plim_json_style *style)
{
    if (key.kind == PLIM_V_STR) {
        PLIM_TRY(write_str(run, buf, key.u.s, style->ascii));
    } else if (is_scalar(key)) {
        PLIM_TRY(plim_buf_literal(run, buf, "\""));
        PLIM_TRY(write_scalar(run, buf, key));
        PLIM_TRY(plim_buf_literal(run, buf, "\""));
    } else {
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "keys must be str, int, float, bool or None, not %s",
                             plim_type_name(key));
    }
    return style->key ? plim_buf_all(run, buf, style->key) : plim_buf_literal(run, buf, ": ");
}

/* The places of a dict's entries in the order of their keys. */
static plim_status sorted_keys(plim_run *run, const plim_dict *dict, plim_list **out)
{
    PLIM_TRY(plim_list_new(run, dict->count, out));
    for (size_t i = 0; i < dict->count; i++) {
        plim_list *pair;
        PLIM_TRY(plim_list_new(run, 2, &pair));
        PLIM_TRY(plim_list_add(run, pair, dict->at[i].key));
        PLIM_TRY(plim_list_add(run, pair, plim_int((int64_t)i)));
        PLIM_TRY(plim_list_add(run, *out, plim_of_list(pair, PLIM_V_TUPLE)));
    }
    return plim_sort_list(run, *out, *out, false);
}

static plim_status write_dict(plim_run *run, plim_buf *buf, const plim_dict *dict,
                              const plim_json_style *style)
{
    plim_list *order = NULL;
    if (!dict->count)
        return plim_buf_literal(run, buf, "{}");
    if (style->sort_keys)
        PLIM_TRY(sorted_keys(run, dict, &order));
    PLIM_TRY(plim_buf_literal(run, buf, "{"));
    PLIM_TRY(plim_deeper(run));
    for (size_t i = 0; i < dict->count; i++) {
        const plim_entry *entry = &dict->at[order ? (size_t)order->at[i].u.list->at[1].u.i : i];
        PLIM_TRY(separate(run, buf, style, i == 0));
        PLIM_TRY(write_key(run, buf, entry->key, style));
        PLIM_TRY(plim_json_write(run, buf, entry->value, style));
    }
    plim_shallower(run);
    PLIM_TRY(new_line(run, buf, style));
    return plim_buf_literal(run, buf, "}");
}

plim_status plim_json_write(plim_run *run, plim_buf *buf, plim_val v, const plim_json_style *style)
{
    if (is_scalar(v))
        return write_scalar(run, buf, v);
    switch ((plim_kind)v.kind) {
    case PLIM_V_STR:
        return write_str(run, buf, v.u.s, style->ascii);
    case PLIM_V_LIST:
    case PLIM_V_TUPLE:
        return write_list(run, buf, v.u.list, style);
    case PLIM_V_DICT:
        return write_dict(run, buf, v.u.dict, style);
    case PLIM_V_UNDEFINED:
        if (v.u.undefined->unsafe)
            return plim_fail_undefined(run, v);
        __attribute__((fallthrough));
    default:
        return plim_run_fail(run, PLIM_E_FORMAT, "Object of type %s is not JSON serializable",
                             plim_type_name(v));
    }
}
