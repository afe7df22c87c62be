/* SPDX-License-Identifier: Apache-2.0
 *
 * model.safetensors.index.json: {"metadata": {...}, "weight_map": {tensor: shard, ...}}.
 * Invariants:
 *  1. Streamed twice, kept never: the first pass gathers the names of the shards, the second
 * compares every entry with the stored tensors.  Memory: the shards' names (and, in the first pass,
 * 8 bytes per key).
 *  2. A shard's name is judged as text before anything is opened: it must stay inside the folder.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint/internal.h"

typedef struct shard {
    const char *name;
    const char *tensor; /* the first that the index puts there, and where it says so */
    int64_t entry_at;
} shard;

typedef struct shard_list {
    plim_arena arena;
    shard *shards; /* sorted by name */
    size_t count, cap;
    size_t last; /* the one found last: entries of a shard usually follow each other */
} shard_list;

/* Called for each entry of weight_map: the key as `tensor`, its value as the last event of json. */
typedef plim_status (*entry_fn)(void *user, plim_json *json, const char *tensor, int64_t entry_at,
                                plim_error *err);

typedef struct pass {
    plim_json *json;
    char *key; /* a copy of the key, grown as needed */
    size_t key_cap;
    const plim_alloc *alloc;
    plim_dtype dtype; /* metadata.dtype */
    size_t entries;
    bool has_map;
    entry_fn on_entry;
    void *user;
} pass;

/* ---- streaming ---- */

static plim_status copy_key(pass *p, plim_error *err)
{
    size_t bytes;
    const char *text = plim_json_text(p->json, &bytes);
    if (bytes > PLIM_MAX_TENSOR_NAME_BYTES)
        return plim_json_fail(p->json, err, PLIM_E_LIMIT,
                              "the name of a tensor is longer than 4096 bytes");
    if (memchr(text, 0, bytes))
        return plim_json_fail(p->json, err, PLIM_E_FORMAT, "the name of a tensor holds a NUL byte");
    memcpy(p->key, text, bytes + 1);
    return PLIM_OK;
}

static plim_status read_weight_map(pass *p, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(p->json, &event, err);
    if (status)
        return status;
    p->has_map = true;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(p->json, event, NULL, "weight_map", "an object", err);
    while (!(status = plim_json_next(p->json, &event, err)) && event == PLIM_JSON_KEY) {
        int64_t entry_at = plim_json_offset(p->json);
        if ((status = copy_key(p, err)) || (status = plim_json_next(p->json, &event, err)))
            return status;
        if (event != PLIM_JSON_STRING)
            return plim_json_wrong(p->json, event, p->key, "its shard", "a string", err);
        if (p->entries++ == PLIM_MAX_TENSORS)
            return plim_json_fail(p->json, err, PLIM_E_LIMIT, "weight_map has more than %u entries",
                                  PLIM_MAX_TENSORS);
        if ((status = p->on_entry(p->user, p->json, p->key, entry_at, err)))
            return status;
    }
    return status;
}

/* "metadata": only its dtype, where it has one we know, is of use. */
static plim_status read_metadata(pass *p, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(p->json, &event, err);
    if (status || event == PLIM_JSON_NULL)
        return status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(p->json, event, NULL, "metadata", "an object", err);
    while (!(status = plim_json_next(p->json, &event, err)) && event == PLIM_JSON_KEY) {
        bool is_dtype = plim_json_text_is(p->json, "dtype");
        if ((status = plim_json_next(p->json, &event, err)))
            return status;
        if (is_dtype && event == PLIM_JSON_STRING) {
            if (plim_dtype_parse(&p->dtype, plim_json_text(p->json, NULL), NULL))
                p->dtype = PLIM_AUTO;
        } else if ((status = plim_json_skip(p->json, err))) {
            return status;
        }
    }
    return status;
}

static plim_status read_top(pass *p, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(p->json, &event, err);
    if (status)
        return status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(p->json, event, NULL, "the index", "an object", err);
    while (!(status = plim_json_next(p->json, &event, err)) && event == PLIM_JSON_KEY) {
        if (plim_json_text_is(p->json, "weight_map"))
            status = read_weight_map(p, err);
        else if (plim_json_text_is(p->json, "metadata"))
            status = read_metadata(p, err);
        else
            status = plim_json_skip(p->json, err);
        if (status)
            return status;
    }
    return status ? status : plim_json_next(p->json, &event, err);
}

/* One pass over the index; `again`: duplicate keys were looked for before. */
static plim_status stream(pass *p, const plim_shard_index *index, const plim_alloc *alloc,
                          bool again, plim_error *err)
{
    p->alloc = alloc;
    p->key = plim_new(alloc, PLIM_MAX_TENSOR_NAME_BYTES + 1, 1, err);
    if (!p->key)
        return err->code;
    plim_json_limits limits = {.keep_duplicates = again};
    plim_status status = plim_json_open_range(&p->json, alloc, &index->file, index->path, 0,
                                              index->file.identity.bytes, &limits, err);
    if (!status)
        status = read_top(p, err);
    plim_json_close(&p->json);
    plim_delete(alloc, p->key);
    plim_where where = {index->path, NULL, -1};
    if (!status && !p->has_map)
        return plim_fail_at(err, PLIM_E_FORMAT, where, "the index has no weight_map");
    if (!status && !p->entries)
        return plim_fail_at(err, PLIM_E_FORMAT, where, "the weight_map of the index is empty");
    return status;
}

/* ---- first pass: which shards there are ---- */

/* Position of `name`, or where it belongs. */
static size_t find_shard(const shard_list *list, const char *name, bool *found)
{
    size_t low = 0, high = list->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->shards[middle].name, name);
        if (!order) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static plim_status gather_shard(void *user, plim_json *json, const char *tensor, int64_t entry_at,
                                plim_error *err)
{
    shard_list *list = user;
    size_t bytes;
    const char *name = plim_json_text(json, &bytes);
    if (list->count && !strcmp(list->shards[list->last].name, name) && !memchr(name, 0, bytes))
        return PLIM_OK;
    plim_where where = {plim_json_file(json), tensor, plim_json_offset(json)};
    if (memchr(name, 0, bytes) || !plim_path_is_inside(name))
        return plim_fail_at(err, PLIM_E_UNSAFE, where,
                            "its shard '%s' is not the name of a file inside the folder",
                            plim_shorten(name).text);
    bool found;
    size_t at = find_shard(list, name, &found);
    list->last = at;
    if (found)
        return PLIM_OK;
    if (list->count == PLIM_MAX_SHARDS)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "the index names more than %u shards",
                            PLIM_MAX_SHARDS);
    plim_status status = plim_grow(list->arena.alloc, &list->shards, &list->cap, list->count + 1,
                                   sizeof *list->shards, err);
    if (status)
        return status;
    shard added = {.entry_at = entry_at};
    added.name = plim_arena_text(&list->arena, name, bytes, err);
    added.tensor = added.name ? plim_arena_text(&list->arena, tensor, strlen(tensor), err) : NULL;
    if (!added.tensor)
        return err->code;
    memmove(list->shards + at + 1, list->shards + at, (list->count - at) * sizeof *list->shards);
    list->shards[at] = added;
    list->count++;
    return PLIM_OK;
}

static plim_status open_shard(plim_stored_set *set, const plim_shard_index *index, const shard *s,
                              plim_error *err)
{
    char path[PLIM_PATH_BYTES];
    struct stat info;
    plim_status status = plim_path_join(path, sizeof path, set->directory, s->name, err);
    if (status)
        return status;
    if (stat(path, &info) && (errno == ENOENT || errno == ENOTDIR)) {
        plim_where where = {index->path, s->tensor, s->entry_at};
        return plim_fail_at(err, PLIM_E_MISMATCH, where,
                            "its shard %s is not there (is the download complete?)",
                            plim_shorten(s->name).text);
    }
    return plim_stored_add_file(set, path, err);
}

plim_status plim_shard_index_open(plim_shard_index *index, plim_stored_set *set, const char *path,
                                  plim_error *err)
{
    *index = (plim_shard_index){.file.fd = -1};
    index->path = plim_arena_text(&set->arena, path, strlen(path), err);
    if (!index->path)
        return err->code;
    plim_status status = plim_file_open(&index->file, index->path, err);
    if (status)
        return status;
    plim_where where = {index->path, NULL, -1};
    if (index->file.identity.bytes > PLIM_MAX_INDEX_BYTES)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "the index has %llu bytes, allowed are %u",
                            (unsigned long long)index->file.identity.bytes, PLIM_MAX_INDEX_BYTES);
    shard_list list = {0};
    plim_arena_init(&list.arena, set->alloc);
    pass p = {.on_entry = gather_shard, .user = &list};
    status = stream(&p, index, set->alloc, false, err);
    for (size_t i = 0; i < list.count && !status; i++)
        status = open_shard(set, index, &list.shards[i], err);
    set->index_dtype = p.dtype;
    plim_delete(set->alloc, list.shards);
    plim_arena_free(&list.arena);
    return status;
}

/* ---- second pass: every entry against the stored tensors ---- */

static plim_status compare_entry(void *user, plim_json *json, const char *tensor, int64_t entry_at,
                                 plim_error *err)
{
    const plim_stored_set *set = user;
    const plim_stored *stored = plim_stored_find(set, tensor);
    const char *name = plim_json_text(json, NULL);
    plim_where where = {plim_json_file(json), tensor, entry_at};
    if (!stored)
        return plim_fail_at(err, PLIM_E_MISMATCH, where,
                            "the index puts it in %s, which does not hold it",
                            plim_shorten(name).text);
    const char *path = set->files[stored->file].path;
    size_t prefix = strlen(set->directory);
    const char *found = path + prefix + (path[prefix] == '/');
    if (strcmp(found, name))
        return plim_fail_at(err, PLIM_E_MISMATCH, where, "the index puts it in %s, it is in %s",
                            plim_shorten(name).text, plim_shorten(found).text);
    return PLIM_OK;
}

plim_status plim_shard_index_check(const plim_shard_index *index, const plim_stored_set *set,
                                   size_t *listed, plim_error *err)
{
    pass p = {.on_entry = compare_entry, .user = (void *)set};
    plim_status status = stream(&p, index, set->alloc, true, err);
    *listed = p.entries;
    return status ? status : plim_file_check(&index->file, index->path, err);
}

void plim_shard_index_close(plim_shard_index *index)
{
    plim_file_close(&index->file);
}
