/* SPDX-License-Identifier: Apache-2.0
 *
 * Building the tree of a part, and asking it for fields. */
#include "tokenizer/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

enum { MAX_NODES = 65536, MAX_DEPTH = 64 };

static plim_status failed(const plim_error *err, plim_status otherwise)
{
    return err && err->code ? err->code : otherwise;
}

static plim_node *new_node(plim_arena *arena, const plim_json *json, plim_json_event kind,
                           const char *key, plim_error *err)
{
    plim_node *node = plim_arena_new(arena, 1, sizeof *node, err);
    if (!node)
        return NULL;
    *node = (plim_node){.kind = kind, .offset = plim_json_offset(json), .key = key, .text = ""};
    if (kind == PLIM_JSON_STRING || kind == PLIM_JSON_NUMBER) {
        const char *text = plim_json_text(json, &node->bytes);
        node->text = plim_arena_text(arena, text, node->bytes, err);
    }
    return node->text ? node : NULL;
}

plim_status plim_tree_read(const plim_node **out, plim_arena *arena, plim_json *json,
                           plim_json_event event, plim_error *err)
{
    plim_error local = {0};
    err = err ? err : &local;
    const plim_node *root = NULL;
    const plim_node **ends[MAX_DEPTH + 1] = {&root}; /* where the next sibling goes */
    size_t depth = 0, count = 0;
    const char *key = "";
    *out = NULL;
    for (;;) {
        if (event == PLIM_JSON_KEY) {
            size_t bytes;
            const char *text = plim_json_text(json, &bytes);
            if (!(key = plim_arena_text(arena, text, bytes, err)))
                return failed(err, PLIM_E_NOMEM);
        } else if (event == PLIM_JSON_OBJECT_END || event == PLIM_JSON_ARRAY_END) {
            depth--;
        } else {
            if (++count > MAX_NODES)
                return plim_json_fail(json, err, PLIM_E_LIMIT, "a part of more than %d values",
                                      MAX_NODES);
            plim_node *node = new_node(arena, json, event, key, err);
            if (!node)
                return failed(err, PLIM_E_NOMEM);
            *ends[depth] = node;
            ends[depth] = &node->next;
            key = "";
            if (event == PLIM_JSON_OBJECT || event == PLIM_JSON_ARRAY) {
                if (depth == MAX_DEPTH)
                    return plim_json_fail(json, err, PLIM_E_LIMIT, "nested too deep");
                ends[++depth] = &node->first;
            }
        }
        if (!depth)
            break;
        plim_status status = plim_json_next(json, &event, err);
        if (status)
            return status;
    }
    *out = root;
    return PLIM_OK;
}

plim_status plim_part_fail(const plim_part *part, const plim_node *node, plim_error *err,
                           plim_status code, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return plim_fail_at(err, code, (plim_where){part->path, NULL, node ? node->offset : -1}, "%s",
                        message);
}

plim_status plim_part_get(const plim_part *part, const char *key, const plim_node **out,
                          plim_error *err)
{
    *out = NULL;
    if (part->node->kind != PLIM_JSON_OBJECT)
        return plim_part_fail(part, part->node, err, PLIM_E_FORMAT,
                              "%s must be an object, found %s", part->what,
                              plim_json_event_name(part->node->kind));
    for (const plim_node *n = part->node->first; n; n = n->next) {
        if (strcmp(n->key, key) != 0)
            continue;
        if (*out)
            return plim_part_fail(part, n, err, PLIM_E_FORMAT, "%s: %s is there twice", part->what,
                                  key);
        *out = n;
    }
    if (*out && (*out)->kind == PLIM_JSON_NULL)
        *out = NULL;
    return PLIM_OK;
}

/* *out NULL and PLIM_OK: absent, and that is allowed. */
static plim_status get_kind(const plim_part *part, const char *key, bool required,
                            plim_json_event kind, const plim_node **out, plim_error *err)
{
    plim_status status = plim_part_get(part, key, out, err);
    if (status)
        return status;
    if (!*out)
        return required ? plim_part_fail(part, part->node, err, PLIM_E_FORMAT, "%s has no %s",
                                         part->what, key)
                        : PLIM_OK;
    bool same = (*out)->kind == kind || (kind == PLIM_JSON_TRUE && (*out)->kind == PLIM_JSON_FALSE);
    if (same)
        return PLIM_OK;
    return plim_part_fail(part, *out, err, PLIM_E_FORMAT, "%s: %s must be %s, found %s", part->what,
                          key,
                          kind == PLIM_JSON_TRUE ? "true or false" : plim_json_event_name(kind),
                          plim_json_event_name((*out)->kind));
}

plim_status plim_part_bool(const plim_part *part, const char *key, bool required, bool *out,
                           plim_error *err)
{
    const plim_node *n;
    plim_status status = get_kind(part, key, required, PLIM_JSON_TRUE, &n, err);
    if (!status && n)
        *out = n->kind == PLIM_JSON_TRUE;
    return status;
}

plim_status plim_part_text(const plim_part *part, const char *key, bool required, const char **out,
                           size_t *bytes, plim_error *err)
{
    const plim_node *n;
    plim_status status = get_kind(part, key, required, PLIM_JSON_STRING, &n, err);
    if (!status && n) {
        *out = n->text;
        *bytes = n->bytes;
    }
    return status;
}

plim_status plim_part_u64(const plim_part *part, const char *key, bool required, uint64_t max,
                          uint64_t *out, plim_error *err)
{
    const plim_node *n;
    uint64_t value;
    plim_status status = get_kind(part, key, required, PLIM_JSON_NUMBER, &n, err);
    if (status || !n)
        return status;
    if (!plim_parse_u64(n->text, n->bytes, &value))
        return plim_part_fail(part, n, err, PLIM_E_FORMAT,
                              "%s: %s must be a whole number, found %.32s", part->what, key,
                              n->text);
    if (value > max)
        return plim_part_fail(part, n, err, PLIM_E_LIMIT, "%s: %s is %.32s, at most %llu",
                              part->what, key, n->text, (unsigned long long)max);
    *out = value;
    return PLIM_OK;
}

plim_status plim_part_list(const plim_part *part, const char *key, bool required,
                           plim_json_event kind, const plim_node **out, plim_error *err)
{
    return get_kind(part, key, required, kind, out, err);
}

plim_status plim_part_choice(const plim_part *part, const char *key, bool required,
                             const char *const *names, size_t count, size_t *out, plim_error *err)
{
    const plim_node *n;
    plim_status status = get_kind(part, key, required, PLIM_JSON_STRING, &n, err);
    if (status || !n)
        return status;
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == n->bytes && !memcmp(names[i], n->text, n->bytes)) {
            *out = i;
            return PLIM_OK;
        }
    return plim_part_fail(part, n, err, PLIM_E_UNSUP, "%s %s \"%.64s\" is not known", part->what,
                          key, n->text);
}

plim_status plim_part_pattern(const plim_part *part, const char *key, const char **text,
                              size_t *bytes, bool *literal, const plim_node **where,
                              plim_error *err)
{
    const plim_node *n;
    plim_status status = get_kind(part, key, true, PLIM_JSON_OBJECT, &n, err);
    if (status)
        return status;
    const plim_node *value = n->first;
    *literal = value && !strcmp(value->key, "String");
    if (!value || value->next || value->kind != PLIM_JSON_STRING ||
        (!*literal && strcmp(value->key, "Regex") != 0))
        return plim_part_fail(part, n, err, PLIM_E_FORMAT,
                              "%s: %s must be one {\"Regex\": ...} or {\"String\": ...}",
                              part->what, key);
    *text = value->text;
    *bytes = value->bytes;
    *where = value;
    return PLIM_OK;
}

plim_status plim_part_flatten(const plim_part *part, const char *list, const plim_node **out,
                              size_t cap, size_t *count, plim_error *err)
{
    const plim_node *next[PLIM_TREE_NESTING + 1] = {part->node}; /* of each open Sequence */
    size_t depth = 1;
    *count = 0;
    while (depth) {
        const plim_node *node = next[depth - 1], *children;
        if (!node) {
            depth--;
            continue;
        }
        next[depth - 1] = depth == 1 ? NULL : node->next;
        plim_part here = {part->path, part->what, node};
        const char *type = NULL;
        size_t bytes;
        plim_status status = plim_part_text(&here, "type", true, &type, &bytes, err);
        if (status)
            return status;
        if (strcmp(type, "Sequence") != 0) {
            if (*count == cap)
                return plim_part_fail(part, node, err, PLIM_E_LIMIT, "%s of more than %zu steps",
                                      part->what, cap);
            out[(*count)++] = node;
            continue;
        }
        if ((status = plim_part_list(&here, list, true, PLIM_JSON_ARRAY, &children, err)))
            return status;
        if (depth > PLIM_TREE_NESTING)
            return plim_part_fail(part, node, err, PLIM_E_LIMIT, "%s nested deeper than %d",
                                  part->what, PLIM_TREE_NESTING);
        next[depth++] = children->first;
    }
    return PLIM_OK;
}
