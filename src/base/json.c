/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader: which event may follow which, nesting, and what callers ask of an event.
 * Bytes are json_lex.c's, duplicate keys json_keys.c's. */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/hash.h"
#include "base/json_internal.h"

#define DEFAULT_DEPTH        64
#define DEFAULT_STRING_BYTES ((size_t)16 << 20)

/* ---- errors ---- */

static plim_where where(const plim_json *json, int64_t offset)
{
    return (plim_where){.file = json->source.file, .offset = offset};
}

plim_status plim_json_break(plim_json *json, plim_status code, int64_t offset, const char *format,
                            ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    plim_vformat(text, sizeof text, format, args);
    va_end(args);
    json->state = JSON_BROKEN;
    json->status = code;
    return plim_fail_at(&json->error, code, where(json, offset), "%s", text);
}

plim_status plim_json_fail(const plim_json *json, plim_error *err, plim_status code,
                           const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    plim_vformat(text, sizeof text, format, args);
    va_end(args);
    return plim_fail_at(err, code, where(json, json->offset), "%s", text);
}

const char *plim_json_byte_name(int c, char *buf)
{
    if (c < 0)
        return "the end";
    plim_format(buf, 16, c > 0x20 && c < 0x7f ? "'%c'" : "byte 0x%02x", (unsigned)c);
    return buf;
}

const char *plim_json_event_name(plim_json_event event)
{
    switch (event) {
    case PLIM_JSON_OBJECT:
        return "an object";
    case PLIM_JSON_OBJECT_END:
        return "the end of an object";
    case PLIM_JSON_ARRAY:
        return "an array";
    case PLIM_JSON_ARRAY_END:
        return "the end of an array";
    case PLIM_JSON_KEY:
        return "a key";
    case PLIM_JSON_STRING:
        return "a string";
    case PLIM_JSON_NUMBER:
        return "a number";
    case PLIM_JSON_TRUE:
        return "true";
    case PLIM_JSON_FALSE:
        return "false";
    case PLIM_JSON_NULL:
        return "null";
    case PLIM_JSON_END:
        return "the end";
    }
    return "nothing known";
}

/* ---- events ---- */

/* `want` is missing; c was found. */
static plim_status unexpected(plim_json *json, int c, const char *want)
{
    char name[16];
    if (c == JSON_FAILED)
        return json->status;
    if (c != JSON_NO_BYTE)
        return plim_json_break(json, PLIM_E_FORMAT, json_here(json), "want %s, found %s", want,
                               plim_json_byte_name(c, name));
    if (json->depth == 0)
        return plim_json_break(json, PLIM_E_TRUNC, json_here(json), "the document is empty");
    return plim_json_break(json, PLIM_E_TRUNC, json_here(json),
                           "the document ends in the middle of %s",
                           json->frames[json->depth - 1].object ? "an object" : "an array");
}

static plim_status push(plim_json *json, bool object)
{
    if (json->depth >= json->limits.depth)
        return plim_json_break(json, PLIM_E_LIMIT, json->offset, "nested more than %zu deep",
                               json->limits.depth);
    plim_error why;
    plim_status status = plim_grow(json->alloc, &json->frames, &json->frames_cap, json->depth + 1,
                                   sizeof *json->frames, &why);
    if (status != PLIM_OK) {
        json->error = why;
        json->status = status;
        json->state = JSON_BROKEN;
        return status;
    }
    size_t start = 0;
    if (json->depth > 0) {
        const json_frame *outer = &json->frames[json->depth - 1];
        start = outer->keys_start + (outer->keys_cap ? outer->keys_cap : outer->keys_count);
    }
    json->frames[json->depth++] = (json_frame){.keys_start = start, .object = object};
    json->pos++;
    json->event = object ? PLIM_JSON_OBJECT : PLIM_JSON_ARRAY;
    json->state = object ? JSON_WANT_FIRST_KEY : JSON_WANT_FIRST_ITEM;
    return PLIM_OK;
}

static plim_status pop(plim_json *json)
{
    json->event = json->frames[--json->depth].object ? PLIM_JSON_OBJECT_END : PLIM_JSON_ARRAY_END;
    json->pos++;
    json->state = JSON_AFTER_VALUE;
    return PLIM_OK;
}

/* The value that begins with c. */
static plim_status value(plim_json *json, int c)
{
    plim_status status;
    if (c == JSON_FAILED)
        return json->status;
    json->offset = json_here(json);
    json->state = JSON_AFTER_VALUE;
    switch (c) {
    case '"':
        json->event = PLIM_JSON_STRING;
        json->pos++;
        return plim_json_lex_string(json);
    case '{':
    case '[':
        return push(json, c == '{');
    case 't':
        status = plim_json_lex_word(json, "true");
        json->event = PLIM_JSON_TRUE;
        return status;
    case 'f':
        status = plim_json_lex_word(json, "false");
        json->event = PLIM_JSON_FALSE;
        return status;
    case 'n':
        status = plim_json_lex_word(json, "null");
        json->event = PLIM_JSON_NULL;
        return status;
    default:
        if (c == '-' || (c >= '0' && c <= '9')) {
            json->event = PLIM_JSON_NUMBER;
            return plim_json_lex_number(json);
        }
        return unexpected(json, c, "a value");
    }
}

static plim_status key(plim_json *json, int c)
{
    if (c != '"')
        return unexpected(json, c, "a key");
    json->offset = json_here(json);
    json->event = PLIM_JSON_KEY;
    json->state = JSON_WANT_COLON;
    json->pos++;
    plim_status status = plim_json_lex_string(json);
    if (status == PLIM_OK && !json->limits.keep_duplicates)
        status = plim_json_keys_add(json);
    return status;
}

/* c follows a value: a comma and what comes after it, a bracket, or the end. */
static plim_status after_value(plim_json *json, int c)
{
    json->offset = json_here(json);
    if (json->depth == 0) {
        if (c != JSON_NO_BYTE)
            return unexpected(json, c, "nothing after the document");
        json->event = PLIM_JSON_END;
        json->state = JSON_DONE;
        return PLIM_OK;
    }
    bool object = json->frames[json->depth - 1].object;
    if (c == (object ? '}' : ']'))
        return pop(json);
    if (c != ',')
        return unexpected(json, c, object ? "',' or '}'" : "',' or ']'");
    json->pos++;
    c = json_peek(json);
    return object ? key(json, c) : value(json, c);
}

static plim_status step(plim_json *json)
{
    int c = json_peek(json);
    switch (json->state) {
    case JSON_WANT_VALUE:
        return value(json, c);
    case JSON_WANT_FIRST_ITEM:
    case JSON_WANT_FIRST_KEY:
        json->offset = json_here(json);
        if (c == (json->state == JSON_WANT_FIRST_KEY ? '}' : ']'))
            return pop(json);
        return json->state == JSON_WANT_FIRST_KEY ? key(json, c) : value(json, c);
    case JSON_WANT_COLON:
        if (c != ':')
            return unexpected(json, c, "':'");
        json->pos++;
        return value(json, json_peek(json));
    case JSON_AFTER_VALUE:
        return after_value(json, c);
    case JSON_DONE:
    case JSON_BROKEN:
        break;
    }
    return json->status;
}

plim_status plim_json_next(plim_json *json, plim_json_event *event, plim_error *err)
{
    plim_status status = json->state == JSON_DONE     ? PLIM_OK
                         : json->state == JSON_BROKEN ? json->status
                                                      : step(json);
    if (status != PLIM_OK) {
        if (err)
            *err = json->error;
        return status;
    }
    *event = json->event;
    return PLIM_OK;
}

/* ---- open and close ---- */

static plim_status open_reader(plim_json **out, const plim_alloc *alloc,
                               const plim_json_source *source, size_t buffer_bytes,
                               const plim_json_limits *limits, plim_error *err)
{
    plim_error why;
    *out = NULL;
    plim_json *json = plim_new(alloc, 1, sizeof *json, &why);
    if (json)
        json->buffer = plim_new(alloc, buffer_bytes + JSON_PADDING, 1, &why);
    if (!json || !json->buffer) {
        plim_delete(alloc, json);
        if (err)
            *err = why;
        return why.code;
    }
    json->alloc = alloc;
    json->source = *source;
    json->limits = limits ? *limits : (plim_json_limits){0};
    if (json->limits.depth == 0)
        json->limits.depth = DEFAULT_DEPTH;
    if (json->limits.string_bytes == 0)
        json->limits.string_bytes = DEFAULT_STRING_BYTES;
    json->buffer_bytes = buffer_bytes;
    json->buffer_offset = source->base;
    json->text = "";
    json->event = PLIM_JSON_END; /* of nothing yet: skip has nothing to do */
    json->file.fd = -1;
    json->seed = plim_hash_seed(json);
    plim_error_clear(&json->error);
    *out = json;
    return PLIM_OK;
}

plim_status plim_json_open(plim_json **out, const plim_alloc *alloc, const plim_json_source *source,
                           const plim_json_limits *limits, plim_error *err)
{
    return open_reader(out, alloc, source, JSON_BUFFER_BYTES, limits, err);
}

static plim_status read_memory(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    plim_json *json = user;
    (void)err;
    *got = json->memory_left < cap ? json->memory_left : cap;
    if (*got)
        memcpy(dst, json->memory, *got);
    json->memory += *got;
    json->memory_left -= *got;
    return PLIM_OK;
}

plim_status plim_json_open_memory(plim_json **out, const plim_alloc *alloc, const void *text,
                                  size_t bytes, const char *file, const plim_json_limits *limits,
                                  plim_error *err)
{
    plim_json_source source = {.read = read_memory, .file = file};
    size_t buffer_bytes = bytes < 1 ? 1 : bytes < JSON_BUFFER_BYTES ? bytes : JSON_BUFFER_BYTES;
    plim_status status = open_reader(out, alloc, &source, buffer_bytes, limits, err);
    if (status == PLIM_OK) {
        (*out)->source.user = *out;
        (*out)->memory = bytes ? text : "";
        (*out)->memory_left = bytes;
    }
    return status;
}

static plim_status read_file(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    plim_json *json = user;
    if (cap > json->file_left)
        cap = (size_t)json->file_left;
    plim_status status = plim_file_read_some(json->borrowed, json->source.file, dst, cap,
                                             json->file_offset, got, err);
    json->file_offset += *got;
    json->file_left -= *got;
    return status;
}

plim_status plim_json_open_range(plim_json **out, const plim_alloc *alloc, const plim_file *file,
                                 const char *path, uint64_t offset, uint64_t bytes,
                                 const plim_json_limits *limits, plim_error *err)
{
    *out = NULL;
    if (offset > INT64_MAX)
        return plim_fail_at(err, PLIM_E_TRUNC, (plim_where){.file = path, .offset = -1},
                            "no file reaches offset %llu", (unsigned long long)offset);
    plim_json_source source = {.read = read_file, .file = path, .base = (int64_t)offset};
    plim_status status = open_reader(out, alloc, &source, JSON_BUFFER_BYTES, limits, err);
    if (status == PLIM_OK) {
        (*out)->source.user = *out;
        (*out)->borrowed = file;
        (*out)->file_offset = offset;
        (*out)->file_left = bytes;
    }
    return status;
}

plim_status plim_json_open_path(plim_json **out, const plim_alloc *alloc, const char *path,
                                uint64_t max_bytes, const plim_json_limits *limits, plim_error *err)
{
    plim_file file;
    *out = NULL;
    plim_status status = plim_file_open(&file, path, err);
    if (status != PLIM_OK)
        return status;
    uint64_t bytes = file.identity.bytes;
    if (bytes > max_bytes)
        status = plim_fail_at(err, PLIM_E_LIMIT, (plim_where){.file = path, .offset = -1},
                              "%llu bytes, want at most %llu", (unsigned long long)bytes,
                              (unsigned long long)max_bytes);
    else
        status = plim_json_open_range(out, alloc, NULL, path, 0, bytes, limits, err);
    if (status != PLIM_OK) {
        plim_file_close(&file);
        return status;
    }
    (*out)->file = file;
    (*out)->borrowed = &(*out)->file;
    return PLIM_OK;
}

void plim_json_close(plim_json **reader)
{
    plim_json *json = *reader;
    if (!json)
        return;
    const plim_alloc *alloc = json->alloc;
    plim_file_close(&json->file);
    plim_delete(alloc, json->buffer);
    plim_delete(alloc, json->spill);
    plim_delete(alloc, json->frames);
    plim_delete(alloc, json->slots);
    plim_delete(alloc, json);
    *reader = NULL;
}

/* ---- asking ---- */

const char *plim_json_text(const plim_json *json, size_t *bytes)
{
    if (bytes)
        *bytes = json->text_bytes;
    return json->text;
}

bool plim_json_text_is(const plim_json *json, const char *text)
{
    size_t n = strlen(text);
    return n == json->text_bytes && memcmp(json->text, text, n) == 0;
}

int64_t plim_json_offset(const plim_json *json)
{
    return json->offset;
}

size_t plim_json_depth(const plim_json *json)
{
    return json->depth;
}

uint64_t plim_json_unread(const plim_json *json)
{
    return json->file_left + json->memory_left;
}

const char *plim_json_file(const plim_json *json)
{
    return json->source.file;
}

plim_status plim_json_skip(plim_json *json, plim_error *err)
{
    plim_json_event event = json->event;
    plim_status status = PLIM_OK;
    if (event == PLIM_JSON_KEY)
        status = plim_json_next(json, &event, err);
    if (status != PLIM_OK || (event != PLIM_JSON_OBJECT && event != PLIM_JSON_ARRAY))
        return status;
    for (size_t depth = json->depth; status == PLIM_OK && json->depth >= depth;)
        status = plim_json_next(json, &event, err);
    return status;
}

plim_status plim_json_expect(plim_json *json, plim_json_event want, const char *what,
                             plim_error *err)
{
    plim_json_event found;
    plim_status status = plim_json_next(json, &found, err);
    if (status == PLIM_OK && found != want)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be %s, found %s", what,
                              plim_json_event_name(want), plim_json_event_name(found));
    return status;
}

/* FORMAT when the last event is no number, or one with a fraction or an exponent. */
static plim_status check_integer(const plim_json *json, const char *what, plim_error *err)
{
    if (json->event != PLIM_JSON_NUMBER)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be an integer, found %s", what,
                              plim_json_event_name(json->event));
    if (strpbrk(json->text, ".eE"))
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be an integer, found %.40s", what,
                              json->text);
    return PLIM_OK;
}

/* A number of up to eight digits, as nearly all are, eight at a time; else false.  (The reader's
 * numbers lie in a buffer of their own; little-endian.) */
static inline bool short_number(const plim_json *json, uint64_t *out)
{
    const uint64_t zeroes = 0x3030303030303030u, high = 0xf0f0f0f0f0f0f0f0u;
    size_t n = json->text_bytes;
    uint64_t word;
    if (n - 1 > 7 || json->text != json->number)
        return false;
    memcpy(&word, json->number, 8);
    if (n < 8) /* zeroes in front */
        word = word << (64 - 8 * n) | zeroes >> (8 * n);
    if ((word & high) != zeroes || ((word + 0x0606060606060606u) & high) != zeroes)
        return false;
    word -= zeroes;
    word = word * 10 + (word >> 8); /* pairs, in every other byte */
    word = ((word & 0x000000ff000000ffu) * 0x000f424000000064u +
            (word >> 16 & 0x000000ff000000ffu) * 0x0000271000000001u) >>
           32;
    *out = word;
    return true;
}

plim_status plim_json_u64(const plim_json *json, const char *what, uint64_t max, uint64_t *out,
                          plim_error *err)
{
    uint64_t found;
    if (json->event == PLIM_JSON_NUMBER &&
        (short_number(json, &found) || plim_parse_u64(json->text, json->text_bytes, &found)) &&
        found <= max) {
        *out = found;
        return PLIM_OK;
    }
    plim_status status = check_integer(json, what, err);
    if (status != PLIM_OK)
        return status;
    if (json->text[0] == '-')
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must not be negative, found %.40s",
                              what, json->text);
    return plim_json_fail(json, err, PLIM_E_LIMIT, "%s must be at most %llu, found %.40s", what,
                          (unsigned long long)max, json->text);
}

plim_status plim_json_i64(const plim_json *json, const char *what, int64_t min, int64_t max,
                          int64_t *out, plim_error *err)
{
    int64_t found;
    plim_status status = check_integer(json, what, err);
    if (status != PLIM_OK)
        return status;
    bool negative = json->text[0] == '-',
         fits = plim_parse_i64(json->text, json->text_bytes, &found);
    if (fits ? found < min : negative)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be at least %lld, found %.40s",
                              what, (long long)min, json->text);
    if (!fits || found > max)
        return plim_json_fail(json, err, PLIM_E_LIMIT, "%s must be at most %lld, found %.40s", what,
                              (long long)max, json->text);
    *out = found;
    return PLIM_OK;
}

plim_status plim_json_f64(const plim_json *json, const char *what, double *out, plim_error *err)
{
    if (json->event != PLIM_JSON_NUMBER)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be a number, found %s", what,
                              plim_json_event_name(json->event));
    if (!plim_parse_f64(json->text, json->text_bytes, out))
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be a finite number, found %.40s",
                              what, json->text);
    return PLIM_OK;
}
