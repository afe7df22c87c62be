/* SPDX-License-Identifier: Apache-2.0
 *
 * Skeleton meets checkpoint: which stored tensor fills which slot, and the report of what is missing, unexpected or
 * of another shape, with indices collapsed as Transformers' own report does ("layers.{0...11}.mlp"). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/skeleton.h"

/* Stored under its full name, or without / with the base-model prefix. */
static const plim_stored *find_stored(const plim_stored_set *set, const plim_family *family, const char *name)
{
    const plim_stored *found = plim_stored_find(set, name);
    size_t prefix = strlen(family->base_prefix);
    if (found)
        return found;
    if (!strncmp(name, family->base_prefix, prefix))
        return plim_stored_find(set, name + prefix);
    char longer[256];
    if ((size_t)snprintf(longer, sizeof longer, "%s%s", family->base_prefix, name) >= sizeof longer)
        return NULL;
    return plim_stored_find(set, longer);
}

/* ---- collapsing: names that differ in one number only become one line ---- */

typedef struct name_key {
    const char *name;
    size_t digits_at, digits; /* the first run of digits between dots, or 0 */
    uint64_t index;
} name_key;

static name_key split_name(const char *name)
{
    name_key key = {.name = name};
    for (const char *p = name; *p; p++) {
        size_t n = strspn(p, "0123456789");
        bool whole = n && n < 10 && (p == name || p[-1] == '.') && (p[n] == '.' || !p[n]);
        if (whole) {
            key.digits_at = (size_t)(p - name);
            key.digits = n;
            key.index = strtoull(p, NULL, 10);
            break;
        }
        p += n ? n - 1 : 0;
    }
    return key;
}

static int by_pattern(const void *a, const void *b)
{
    const name_key *x = a, *y = b;
    if (x->digits && y->digits) {
        size_t n = x->digits_at < y->digits_at ? x->digits_at : y->digits_at;
        int order = strncmp(x->name, y->name, n);
        if (!order && x->digits_at == y->digits_at) {
            order = strcmp(x->name + x->digits_at + x->digits, y->name + y->digits_at + y->digits);
            if (!order)
                return x->index < y->index ? -1 : x->index > y->index;
            return order;
        }
    }
    return strcmp(x->name, y->name);
}

static bool same_pattern(const name_key *x, const name_key *y)
{
    return x->digits && y->digits && x->digits_at == y->digits_at && !strncmp(x->name, y->name, x->digits_at) &&
           !strcmp(x->name + x->digits_at + x->digits, y->name + y->digits_at + y->digits);
}

/* "{0, 3}" for a few indices, "{0...11}" for a run, "{0, 1, 2, ...}" cut where it grows long. */
static void index_set(char *out, size_t cap, const name_key *keys, size_t n)
{
    if (n == 1) {
        snprintf(out, cap, "%.*s", (int)keys[0].digits, keys[0].name + keys[0].digits_at);
        return;
    }
    if (keys[n - 1].index - keys[0].index == n - 1 && n > 2) {
        snprintf(out, cap, "{%llu...%llu}", (unsigned long long)keys[0].index,
                 (unsigned long long)keys[n - 1].index);
        return;
    }
    size_t used = (size_t)snprintf(out, cap, "{");
    for (size_t i = 0; i < n && used + 32 < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s%llu", i ? ", " : "",
                                 (unsigned long long)keys[i].index);
    snprintf(out + used, cap - used, "%s}", used + 32 < cap ? "" : ", ...");
}

/* names[count] → lines[*line_count], in the arena. */
static plim_status collapse(plim_arena *arena, const char *const *names, size_t count, const char ***lines,
                            size_t *line_count, plim_error *err)
{
    name_key *keys = plim_new(arena->alloc, count, sizeof *keys, err);
    *lines = plim_arena_new(arena, count, sizeof **lines, err);
    *line_count = 0;
    bool ok = keys && *lines;
    for (size_t i = 0; ok && i < count; i++)
        keys[i] = split_name(names[i]);
    if (ok)
        qsort(keys, count, sizeof *keys, by_pattern);
    for (size_t i = 0, n; ok && i < count; i += n) {
        for (n = 1; i + n < count && same_pattern(&keys[i], &keys[i + n]); n++)
            ;
        const name_key *k = &keys[i];
        char set[200] = "";
        if (k->digits)
            index_set(set, sizeof set, k, n);
        char *line = plim_arena_format(arena, err, "%.*s%s%s", (int)k->digits_at, k->name, set,
                                       k->name + k->digits_at + k->digits);
        (*lines)[(*line_count)++] = line;
        ok = line != NULL;
    }
    plim_delete(arena->alloc, keys);
    return ok ? PLIM_OK : PLIM_E_NOMEM;
}

/* ---- matching ---- */

/* A slot for each stored tensor: what info, plan and load of an unknown model_type work on. */
static plim_status take_all(plim_skeleton *k, const plim_stored_set *set, plim_error *err)
{
    k->slots = plim_arena_new(&k->arena, set->tensor_count, sizeof *k->slots, err);
    if (!k->slots)
        return err->code;
    k->slot_count = (uint32_t)set->tensor_count;
    for (uint32_t i = 0; i < k->slot_count; i++)
        k->slots[i] = (plim_slot){.name = set->tensors[i].name,
                                  .role = PLIM_ROLE_COUNT,
                                  .shape = set->tensors[i].shape,
                                  .tied_to = PLIM_NO_SLOT,
                                  .stored = i};
    return PLIM_OK;
}

static plim_status check_shape(const plim_slot *slot, const plim_stored *found, const plim_stored_set *set,
                               plim_error *err)
{
    char want[120], have[120];
    if (plim_shape_equal(&slot->shape, &found->shape))
        return PLIM_OK;
    return plim_fail_at(err, PLIM_E_MISMATCH,
                        (plim_where){set->files[found->file].path, found->name, (int64_t)found->offset},
                        "shape is %s, but config.json asks for %s",
                        plim_shape_text(&found->shape, have, sizeof have),
                        plim_shape_text(&slot->shape, want, sizeof want));
}

/* A tied pair: whichever is stored is the source; both stored stay two. */
static void settle_ties(plim_skeleton *k)
{
    if (!k->family)
        return;
    uint32_t head = plim_skeleton_slot(k, 0, PLIM_ROLE_HEAD), embed = plim_skeleton_slot(k, 0, PLIM_ROLE_EMBED);
    plim_slot *h = &k->slots[head], *e = &k->slots[embed];
    if (h->tied_to == PLIM_NO_SLOT)
        return;
    if (h->stored != PLIM_NO_STORED)
        h->tied_to = PLIM_NO_SLOT;
    if (e->stored == PLIM_NO_STORED && h->stored != PLIM_NO_STORED)
        e->tied_to = head;
}

static plim_status report_missing(plim_skeleton *k, const plim_stored_set *set, plim_error *err)
{
    const char **names = plim_arena_new(&k->arena, k->slot_count, sizeof *names, err), **lines;
    size_t count = 0, line_count;
    if (!names)
        return err->code;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (k->slots[i].stored == PLIM_NO_STORED && k->slots[i].tied_to == PLIM_NO_SLOT)
            names[count++] = k->slots[i].name;
    if (!count)
        return PLIM_OK;
    if (collapse(&k->arena, names, count, &lines, &line_count, err))
        return err->code;
    char list[700];
    size_t used = 0;
    for (size_t i = 0; i < line_count && used + 1 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", lines[i]);
    return plim_fail_at(err, PLIM_E_MISMATCH, (plim_where){set->directory, lines[0], -1},
                        "%zu tensors are missing that config.json asks for: %s%s", count, list,
                        used >= sizeof list ? "..." : "");
}

static bool is_ignored(const plim_family *family, const char *name)
{
    for (size_t i = 0; i < 4 && family->ignored[i]; i++)
        if (strstr(name, family->ignored[i]))
            return true;
    return false;
}

static plim_status report_unexpected(plim_skeleton *k, const plim_stored_set *set, const uint8_t *used,
                                     const plim_log *log, plim_error *err)
{
    const char **names = plim_new(k->alloc, set->tensor_count, sizeof *names, err);
    size_t count = 0;
    if (!names)
        return err->code;
    for (size_t i = 0; i < set->tensor_count; i++)
        if (!used[i] && !is_ignored(k->family, set->tensors[i].name))
            names[count++] = set->tensors[i].name;
    plim_status status = PLIM_OK;
    if (count && collapse(&k->arena, names, count, &k->unexpected, &k->unexpected_count, err))
        status = err->code;
    for (size_t i = 0; !status && i < k->unexpected_count; i++)
        plim_log_line(log, PLIM_LOG_WARN, "%s: unexpected tensor, not used: %s", set->directory, k->unexpected[i]);
    plim_delete(k->alloc, names);
    return status;
}

plim_status plim_skeleton_match(plim_skeleton *k, const plim_stored_set *set, const plim_log *log, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    if (!k->family)
        return take_all(k, set, err);
    uint8_t *used = plim_new(k->alloc, set->tensor_count, 1, err);
    if (!used)
        return err->code;
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; !status && i < k->slot_count; i++) {
        plim_slot *slot = &k->slots[i];
        const plim_stored *found = find_stored(set, k->family, slot->name);
        if (!found)
            continue;
        status = check_shape(slot, found, set, err);
        slot->stored = (uint32_t)(found - set->tensors);
        used[slot->stored] = 1;
    }
    if (!status) {
        settle_ties(k);
        status = report_missing(k, set, err);
    }
    if (!status)
        status = report_unexpected(k, set, used, log, err);
    plim_delete(k->alloc, used);
    return status;
}
