/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists that grow, and dicts in the order of insertion with an index of hashes. */
#include <string.h>

#include "chat/run.h"

/* Room for one more of *array, in the arena: what it leaves behind is freed with the render. */
static plim_status grow(plim_run *run, void *array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return PLIM_OK;
    size_t want = *cap < 4 ? 4 : *cap * 2;
    void *before, *after = plim_run_new(run, want, size);
    if (!after)
        return plim_run_error(run);
    memcpy(&before, array, sizeof before);
    if (count)
        memcpy(after, before, count * size);
    memcpy(array, &after, sizeof after);
    *cap = want;
    return PLIM_OK;
}

plim_status plim_list_new(plim_run *run, size_t cap, plim_list **out)
{
    plim_list *list = plim_run_new(run, 1, sizeof *list);
    if (!list)
        return plim_run_error(run);
    if (cap) {
        list->at = plim_run_new(run, cap, sizeof *list->at);
        if (!list->at)
            return plim_run_error(run);
        list->cap = cap;
    }
    *out = list;
    return PLIM_OK;
}

plim_status plim_list_add(plim_run *run, plim_list *list, plim_val value)
{
    PLIM_TRY(plim_work(run, 1));
    PLIM_TRY(grow(run, &list->at, &list->cap, list->count, sizeof *list->at));
    list->at[list->count++] = value;
    return PLIM_OK;
}

plim_status plim_dict_new(plim_run *run, plim_dict **out)
{
    *out = plim_run_new(run, 1, sizeof **out);
    return *out ? PLIM_OK : plim_run_error(run);
}

/* Up to so many entries are searched one by one. */
#define SMALL 8

static plim_status reindex(plim_run *run, plim_dict *dict)
{
    size_t slots = dict->slots ? dict->slots * 2 : 4 * SMALL;
    uint32_t *index = plim_run_new(run, slots, sizeof *index);
    if (!index)
        return plim_run_error(run);
    for (size_t i = 0; i < dict->count; i++) {
        size_t slot = dict->at[i].hash & (slots - 1);
        while (index[slot])
            slot = (slot + 1) & (slots - 1);
        index[slot] = (uint32_t)i + 1;
    }
    dict->index = index;
    dict->slots = slots;
    return PLIM_OK;
}

static plim_status same_key(plim_run *run, const plim_entry *entry, plim_val key, uint64_t hash,
                            bool *same)
{
    *same = false;
    if (entry->hash != hash)
        return PLIM_OK;
    return plim_equal(run, entry->key, key, same);
}

/* *place: of the entry, SIZE_MAX for none. */
static plim_status find(plim_run *run, const plim_dict *dict, plim_val key, uint64_t hash,
                        size_t *place)
{
    bool same = false;
    *place = SIZE_MAX;
    if (!dict->slots) {
        for (size_t i = 0; i < dict->count && !same; i++) {
            PLIM_TRY(same_key(run, &dict->at[i], key, hash, &same));
            if (same)
                *place = i;
        }
        return PLIM_OK;
    }
    for (size_t slot = hash & (dict->slots - 1); dict->index[slot];
         slot = (slot + 1) & (dict->slots - 1)) {
        size_t i = dict->index[slot] - 1;
        PLIM_TRY(plim_work(run, 1)); /* keys may have been chosen to collide */
        PLIM_TRY(same_key(run, &dict->at[i], key, hash, &same));
        if (same) {
            *place = i;
            break;
        }
    }
    return PLIM_OK;
}

plim_status plim_dict_set(plim_run *run, plim_dict *dict, plim_val key, plim_val value)
{
    uint64_t hash;
    size_t place;
    PLIM_TRY(plim_work(run, 1));
    PLIM_TRY(plim_hash(run, key, &hash));
    PLIM_TRY(find(run, dict, key, hash, &place));
    if (place != SIZE_MAX) {
        dict->at[place].value = value;
        return PLIM_OK;
    }
    PLIM_TRY(grow(run, &dict->at, &dict->cap, dict->count, sizeof *dict->at));
    dict->at[dict->count++] = (plim_entry){key, value, hash};
    if (dict->count <= SMALL)
        return PLIM_OK;
    if (dict->count * 2 > dict->slots)
        return reindex(run, dict);
    size_t slot = hash & (dict->slots - 1);
    while (dict->index[slot])
        slot = (slot + 1) & (dict->slots - 1);
    dict->index[slot] = (uint32_t)dict->count;
    return PLIM_OK;
}

plim_status plim_dict_get(plim_run *run, const plim_dict *dict, plim_val key, plim_val *out,
                          bool *found)
{
    uint64_t hash;
    size_t place;
    PLIM_TRY(plim_hash(run, key, &hash));
    PLIM_TRY(find(run, dict, key, hash, &place));
    *found = place != SIZE_MAX;
    *out = *found ? dict->at[place].value : plim_missing();
    return PLIM_OK;
}

plim_status plim_dict_set_text(plim_run *run, plim_dict *dict, const char *key, plim_val value)
{
    plim_val name;
    PLIM_TRY(plim_str_literal(run, key, &name));
    return plim_dict_set(run, dict, name, value);
}

plim_val plim_dict_find(const plim_dict *dict, const char *key)
{
    for (size_t i = 0; i < dict->count; i++) {
        if (dict->at[i].key.kind == PLIM_V_STR && plim_str_is(dict->at[i].key.u.s, key))
            return dict->at[i].value;
    }
    return plim_missing();
}

/* dict(x): from a mapping, or from an iterable of pairs. */
plim_status plim_dict_update(plim_run *run, plim_dict *dict, plim_val from)
{
    if (from.kind == PLIM_V_DICT) {
        for (size_t i = 0; i < from.u.dict->count; i++)
            PLIM_TRY(plim_dict_set(run, dict, from.u.dict->at[i].key, from.u.dict->at[i].value));
        return PLIM_OK;
    }
    plim_iter *iter;
    PLIM_TRY(plim_iterate(run, from, &iter));
    for (;;) {
        plim_val pair;
        plim_list *two;
        PLIM_TRY(plim_next(run, iter, &pair));
        if (pair.kind == PLIM_V_MISSING)
            return PLIM_OK;
        PLIM_TRY(plim_to_list(run, pair, &two));
        if (two->count != 2)
            return plim_run_fail(run, PLIM_E_FORMAT, "a dict is made of pairs, not of %zu values",
                                 two->count);
        PLIM_TRY(plim_dict_set(run, dict, two->at[0], two->at[1]));
    }
}
