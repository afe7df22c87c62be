/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of stored tensors: opening, growing, sorting, finding.  The formats are in files of
 * their own. */
#include <string.h>

#include "checkpoint/internal.h"

plim_status plim_stored_add_file(plim_stored_set *set, const char *path, plim_error *err)
{
    plim_status status = plim_grow(set->alloc, &set->files, &set->file_cap, set->file_count + 1,
                                   sizeof *set->files, err);
    if (status)
        return status;
    plim_stored_file *file = &set->files[set->file_count];
    *file = (plim_stored_file){.file.fd = -1};
    file->path = plim_arena_text(&set->arena, path, strlen(path), err);
    if (!file->path)
        return err->code;
    status = plim_file_open(&file->file, file->path, err);
    if (!status)
        set->file_count++;
    return status;
}

plim_status plim_stored_add_tensor(plim_stored_set *set, plim_stored **out, plim_error *err)
{
    if (set->tensor_count == PLIM_MAX_TENSORS) {
        plim_where where = {set->files[set->file_count - 1].path, NULL, -1};
        return plim_fail_at(err, PLIM_E_LIMIT, where, "the checkpoint has more than %u tensors",
                            PLIM_MAX_TENSORS);
    }
    if (set->tensor_count == set->tensor_cap) {
        /* By an eighth, not by half: this is the list that grows long, and its slack would be the
         * larger part of what opening takes over what stays. */
        size_t cap = set->tensor_cap + set->tensor_cap / 8 + 64;
        size_t bytes = cap * sizeof *set->tensors;
        void *grown = set->tensors ? set->alloc->resize(set->alloc, set->tensors, bytes, err)
                                   : set->alloc->alloc(set->alloc, bytes, err);
        if (!grown)
            return err->code;
        set->tensors = grown;
        set->tensor_cap = cap;
    }
    *out = &set->tensors[set->tensor_count++];
    memset(*out, 0, sizeof **out);
    return PLIM_OK;
}

static int by_name(const void *context, uint32_t a, uint32_t b)
{
    const plim_stored *tensors = context;
    return strcmp(tensors[a].name, tensors[b].name);
}

/* Move every tensor to its place; order[i] is where the i-th comes from, and is used up. */
static void permute(plim_stored *tensors, uint32_t *order, size_t count)
{
    for (size_t start = 0; start < count; start++) {
        if (order[start] == start)
            continue;
        plim_stored held = tensors[start];
        size_t hole = start;
        while (order[hole] != start) {
            size_t from = order[hole];
            tensors[hole] = tensors[from];
            order[hole] = (uint32_t)hole;
            hole = from;
        }
        tensors[hole] = held;
        order[hole] = (uint32_t)hole;
    }
}

static plim_status sort_by_name(plim_stored_set *set, plim_error *err)
{
    uint32_t *order;
    plim_status status = plim_sort_order(&order, set->alloc, (uint32_t)set->tensor_count, by_name,
                                         set->tensors, err);
    if (status)
        return status;
    permute(set->tensors, order, set->tensor_count);
    plim_delete(set->alloc, order);
    for (size_t i = 1; i < set->tensor_count; i++) {
        const plim_stored *a = &set->tensors[i - 1], *b = &set->tensors[i];
        if (strcmp(a->name, b->name))
            continue;
        plim_where where = {set->files[b->file].path, b->name, -1};
        const char *first = set->files[a->file].path + strlen(set->directory);
        return plim_fail_at(err, PLIM_E_MISMATCH, where, "the tensor is stored in %s too",
                            plim_shorten(first + (*first == '/')).text);
    }
    return PLIM_OK;
}

/* torch.is_floating_point without the types that cannot be a model's default
 * (get_state_dict_dtype). */
static bool can_be_default(plim_dtype dtype)
{
    return dtype == PLIM_F64 || dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16;
}

static void find_first_floats(plim_stored_set *set)
{
    for (size_t i = 0; i < set->tensor_count; i++) {
        plim_stored_file *file = &set->files[set->tensors[i].file];
        if (file->first_float == PLIM_AUTO && can_be_default(set->tensors[i].dtype))
            file->first_float = set->tensors[i].dtype;
    }
}

/* Give back what plim_grow took ahead. */
static plim_status trim(plim_stored_set *set, plim_error *err)
{
    if (set->tensor_cap > set->tensor_count && set->tensor_count) {
        size_t bytes = set->tensor_count * sizeof *set->tensors;
        void *smaller = set->alloc->resize(set->alloc, set->tensors, bytes, err);
        if (!smaller)
            return err->code;
        set->tensors = smaller;
        set->tensor_cap = set->tensor_count;
    }
    return PLIM_OK;
}

static plim_status read_headers(plim_stored_set *set, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t i = 0; i < set->file_count && !status; i++)
        status = plim_safetensors_read(set, (uint32_t)i, err);
    if (!status)
        status = sort_by_name(set, err);
    if (!status)
        find_first_floats(set);
    return status ? status : trim(set, err);
}

static plim_status read_sharded(plim_stored_set *set, const char *path, const plim_log *log,
                                plim_error *err)
{
    plim_shard_index index = {.file.fd = -1};
    size_t listed = 0;
    plim_status status = plim_shard_index_open(&index, set, path, err);
    if (!status)
        status = read_headers(set, err);
    if (!status)
        status = plim_shard_index_check(&index, set, &listed, err);
    if (!status && listed < set->tensor_count)
        plim_log_line(log, PLIM_LOG_INFO, "%s lists %zu of the %zu tensors that its shards hold",
                      path, listed, set->tensor_count);
    plim_shard_index_close(&index);
    return status;
}

static plim_status open_found(plim_stored_set *set, const plim_found *found, const plim_log *log,
                              plim_error *err)
{
    set->directory = plim_arena_text(&set->arena, found->directory, strlen(found->directory), err);
    if (!set->directory)
        return err->code;
    if (found->is_index)
        return read_sharded(set, found->path, log, err);
    plim_status status = plim_stored_add_file(set, found->path, err);
    return status ? status : read_headers(set, err);
}

plim_status plim_stored_open(plim_stored_set **out, const plim_alloc *alloc,
                             const plim_checkpoint_where *where, const plim_log *log,
                             plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    plim_error_clear(err);
    plim_found *found = plim_new(alloc, 1, sizeof *found, err);
    if (!found)
        return err->code;
    plim_stored_set *set = NULL;
    plim_status status = plim_discover(found, alloc, where, log, err);
    if (!status && !(set = plim_new(alloc, 1, sizeof *set, err)))
        status = err->code;
    if (!status) {
        set->alloc = alloc;
        plim_arena_init(&set->arena, alloc);
        status = open_found(set, found, log, err);
    }
    plim_delete(alloc, found);
    if (status)
        plim_stored_close(&set);
    *out = set;
    return status;
}

void plim_stored_close(plim_stored_set **set)
{
    if (!set || !*set)
        return;
    const plim_alloc *alloc = (*set)->alloc;
    for (size_t i = 0; i < (*set)->file_count; i++)
        plim_file_close(&(*set)->files[i].file);
    plim_delete(alloc, (*set)->tensors);
    plim_delete(alloc, (*set)->files);
    plim_arena_free(&(*set)->arena);
    plim_delete(alloc, *set);
    *set = NULL;
}

const plim_stored *plim_stored_find(const plim_stored_set *set, const char *name)
{
    size_t low = 0, high = set->tensor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(set->tensors[middle].name, name);
        if (!order)
            return &set->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

plim_status plim_stored_check(const plim_stored_set *set, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t i = 0; i < set->file_count && !status; i++)
        status = plim_file_check(&set->files[i].file, set->files[i].path, err);
    return status;
}
