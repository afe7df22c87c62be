/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json → a flat, sorted list of values.  See config.h. */
#include "model/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/num.h"
#include "base/sort.h"

#define MAX_DEPTH  16
#define MAX_PATH   512
#define MAX_VALUES 200000

typedef struct frame {
    size_t path_bytes; /* of the container's own path */
    bool array;
    size_t elements;
    size_t value; /* its index in the list */
} frame;

typedef struct reader {
    plim_config *config;
    const plim_alloc *alloc;
    plim_json *json;
    plim_config_value *values;
    size_t count, cap;
    char path[MAX_PATH];
    frame frames[MAX_DEPTH];
    size_t depth;
} reader;

static plim_status append(reader *r, plim_json_event kind, plim_error *err)
{
    size_t text_bytes = 0;
    const char *text = "";
    if (kind == PLIM_JSON_STRING || kind == PLIM_JSON_NUMBER)
        text = plim_json_text(r->json, &text_bytes);
    if (r->count >= MAX_VALUES)
        return plim_json_fail(r->json, err, PLIM_E_LIMIT, "more than %d values", MAX_VALUES);
    plim_status status =
        plim_grow(r->alloc, &r->values, &r->cap, r->count + 1, sizeof *r->values, err);
    if (status)
        return status;
    plim_config_value *v = &r->values[r->count];
    v->kind = kind;
    v->offset = plim_json_offset(r->json);
    v->text_bytes = text_bytes;
    v->path = plim_arena_text(&r->config->arena, r->path, strlen(r->path), err);
    v->text = plim_arena_text(&r->config->arena, text, text_bytes, err);
    if (!v->path || !v->text)
        return err ? err->code : PLIM_E_NOMEM;
    r->count++;
    return PLIM_OK;
}

static plim_status too_long(const reader *r, plim_error *err)
{
    return plim_json_fail(r->json, err, PLIM_E_LIMIT,
                          "a key is longer than %d bytes with its parents", MAX_PATH);
}

/* Extend the current path by ".key"; what would read like a path of its own becomes '?'. */
static plim_status extend_key(reader *r, const char *key, size_t bytes, plim_error *err)
{
    size_t used = r->depth ? r->frames[r->depth - 1].path_bytes : 0;
    if (bytes >= MAX_PATH || used + bytes + 2 > MAX_PATH)
        return too_long(r, err);
    if (used)
        r->path[used++] = '.';
    for (size_t i = 0; i < bytes; i++)
        r->path[used++] = key[i] == '.' || key[i] == '[' || !key[i] ? '?' : key[i];
    r->path[used] = 0;
    return PLIM_OK;
}

/* Extend the current path by "[index]". */
static plim_status extend_index(reader *r, size_t index, plim_error *err)
{
    size_t used = r->frames[r->depth - 1].path_bytes;
    int n = snprintf(r->path + used, MAX_PATH - used, "[%zu]", index);
    return n < 0 || (size_t)n >= MAX_PATH - used ? too_long(r, err) : PLIM_OK;
}

static plim_status open_container(reader *r, plim_json_event kind, plim_error *err)
{
    if (r->depth == MAX_DEPTH)
        return plim_json_fail(r->json, err, PLIM_E_LIMIT, "nested deeper than %d", MAX_DEPTH);
    plim_status status = append(r, kind, err);
    if (status)
        return status;
    r->frames[r->depth++] = (frame){
        .path_bytes = strlen(r->path), .array = kind == PLIM_JSON_ARRAY, .value = r->count - 1};
    return PLIM_OK;
}

/* One event; *done after the outermost object's end. */
static plim_status step(reader *r, bool *done, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(r->json, &event, err);
    if (status)
        return status;
    frame *top = r->depth ? &r->frames[r->depth - 1] : NULL;
    if (event == PLIM_JSON_END) {
        *done = true;
        return PLIM_OK;
    }
    if (event == PLIM_JSON_OBJECT_END || event == PLIM_JSON_ARRAY_END) {
        r->values[top->value].count = top->elements;
        r->depth--;
        return PLIM_OK;
    }
    if (event == PLIM_JSON_KEY) {
        size_t bytes;
        const char *text = plim_json_text(r->json, &bytes);
        return extend_key(r, text, bytes, err);
    }
    if (!top && event != PLIM_JSON_OBJECT)
        return plim_json_fail(r->json, err, PLIM_E_FORMAT, "expected a JSON object, found %s",
                              plim_json_event_name(event));
    if (top && top->array) {
        status = extend_index(r, top->elements, err);
        if (status)
            return status;
    }
    if (top)
        top->elements++;
    if (event == PLIM_JSON_OBJECT || event == PLIM_JSON_ARRAY)
        return open_container(r, event, err);
    return append(r, event, err);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const plim_config_value *)a)->path, ((const plim_config_value *)b)->path);
}

static plim_status parse(reader *r, const char *text, size_t bytes, plim_error *err)
{
    plim_json_limits limits = {.depth = MAX_DEPTH + 1, .string_bytes = 1u << 20};
    plim_status status =
        plim_json_open_memory(&r->json, r->alloc, text, bytes, r->config->file, &limits, err);
    for (bool done = false; !status && !done;)
        status = step(r, &done, err);
    if (!status) {
        r->config->values = plim_arena_new(&r->config->arena, r->count, sizeof *r->values, err);
        if (!r->config->values)
            status = err ? err->code : PLIM_E_NOMEM;
    }
    if (!status) {
        memcpy(r->config->values, r->values, r->count * sizeof *r->values);
        r->config->count = r->count;
        plim_sort(r->config->values, r->count, sizeof *r->values, by_path);
    }
    plim_json_close(&r->json);
    plim_delete(r->alloc, r->values);
    return status;
}

plim_status plim_config_parse(plim_config *out, const plim_alloc *alloc, const char *path,
                              const char *text, size_t bytes, plim_error *err)
{
    plim_error local;
    if (!err) /* codes of allocations are taken from it */
        err = &local;
    *out = (plim_config){0};
    plim_arena_init(&out->arena, alloc);
    out->file = plim_arena_text(&out->arena, path, strlen(path), err);
    reader r = {.config = out, .alloc = alloc};
    plim_status status = out->file ? parse(&r, text, bytes, err) : err->code;
    if (status)
        plim_config_close(out);
    return status;
}

plim_status plim_config_open(plim_config *out, const plim_alloc *alloc, const char *path,
                             plim_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    *out = (plim_config){0};
    plim_status status = plim_file_slurp(&text, &bytes, alloc, path, PLIM_MAX_CONFIG_BYTES, err);
    if (!status)
        status = plim_config_parse(out, alloc, path, text, bytes, err);
    plim_delete(alloc, text);
    return status;
}

void plim_config_close(plim_config *config)
{
    if (config->arena.alloc)
        plim_arena_free(&config->arena);
    *config = (plim_config){0};
}

const plim_config_value *plim_config_find(const plim_config *config, const char *path)
{
    plim_config_value key = {.path = path};
    const plim_config_value *v =
        config->count ? bsearch(&key, config->values, config->count, sizeof key, by_path) : NULL;
    return v && v->kind != PLIM_JSON_NULL ? v : NULL;
}

plim_status plim_config_fail(const plim_config *config, const plim_config_value *at,
                             plim_error *err, plim_status code, const char *format, ...)
{
    char message[700];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return plim_fail_at(err, code, (plim_where){config->file, NULL, at ? at->offset : -1}, "%s",
                        message);
}

static plim_status expect(const plim_config *config, const plim_config_value *v,
                          plim_json_event kind, plim_error *err)
{
    if (v->kind == kind)
        return PLIM_OK;
    return plim_config_fail(config, v, err, PLIM_E_FORMAT, "%s must be %s, found %s", v->path,
                            plim_json_event_name(kind), plim_json_event_name(v->kind));
}

plim_status plim_config_f64(const plim_config *config, const char *path, double min, double max,
                            double *out, plim_error *err)
{
    const plim_config_value *v = plim_config_find(config, path);
    double value = 0;
    if (!v)
        return PLIM_OK;
    plim_status status = expect(config, v, PLIM_JSON_NUMBER, err);
    if (status)
        return status;
    if (!plim_parse_f64(v->text, v->text_bytes, &value) || !(value >= min && value <= max))
        return plim_config_fail(config, v, err, PLIM_E_FORMAT,
                                "%s is %.40s, want a number in [%g, %g]", path, v->text, min, max);
    *out = value;
    return PLIM_OK;
}

plim_status plim_config_u32(const plim_config *config, const char *path, uint32_t min, uint32_t max,
                            uint32_t *out, plim_error *err)
{
    const plim_config_value *v = plim_config_find(config, path);
    uint64_t value = 0;
    if (!v)
        return PLIM_OK;
    plim_status status = expect(config, v, PLIM_JSON_NUMBER, err);
    if (status)
        return status;
    if (!plim_parse_u64(v->text, v->text_bytes, &value)) {
        /* Digits only, but too many for 64 bits: past every cap. */
        bool digits = strspn(v->text, "0123456789") == v->text_bytes;
        return plim_config_fail(config, v, err, digits ? PLIM_E_LIMIT : PLIM_E_FORMAT,
                                "%s is %.40s, want an integer in [%u, %u]", path, v->text, min,
                                max);
    }
    if (value < min || value > max)
        return plim_config_fail(config, v, err, value > max ? PLIM_E_LIMIT : PLIM_E_FORMAT,
                                "%s is %.40s, want an integer in [%u, %u]", path, v->text, min,
                                max);
    *out = (uint32_t)value;
    return PLIM_OK;
}

plim_status plim_config_bool(const plim_config *config, const char *path, bool *out,
                             plim_error *err)
{
    const plim_config_value *v = plim_config_find(config, path);
    if (!v)
        return PLIM_OK;
    if (v->kind != PLIM_JSON_TRUE && v->kind != PLIM_JSON_FALSE)
        return plim_config_fail(config, v, err, PLIM_E_FORMAT, "%s must be true or false, found %s",
                                path, plim_json_event_name(v->kind));
    *out = v->kind == PLIM_JSON_TRUE;
    return PLIM_OK;
}

plim_status plim_config_text(const plim_config *config, const char *path, const char **out,
                             plim_error *err)
{
    const plim_config_value *v = plim_config_find(config, path);
    if (!v)
        return PLIM_OK;
    plim_status status = expect(config, v, PLIM_JSON_STRING, err);
    if (!status)
        *out = v->text;
    return status;
}
