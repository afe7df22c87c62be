/* SPDX-License-Identifier: Apache-2.0
 *
 * Duplicate keys: a set of 64-bit hashes for each open object.
 * All sets lie in one array, the innermost object's last: only that one grows, so the array is a
 * stack.  Up to LIST_KEYS keys are a list; more are an open-addressing table that doubles in place,
 * so that a table is all the memory there is: 11 to 21 bytes a key. Keys are equal when their
 * hashes are: of half a million keys a false alarm has a chance of 1 in 10^7.  The seed differs
 * from reader to reader, so that a file can't be made to fill one corner of a table. */
#include <string.h>

#include "base/hash.h"
#include "base/json_internal.h"

enum { LIST_KEYS = 16, FIRST_TABLE = 64 };

/* ---- hash: over unaligned words ---- */

static inline uint64_t word(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static inline uint64_t half(const char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static uint64_t hash(const char *p, size_t n, uint64_t seed)
{
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = PLIM_HASH_K1, k2 = PLIM_HASH_K2;
    uint64_t h = seed ^ k0, a, b;
    size_t left = n;
    for (; left > 16; left -= 16, p += 16)
        h = plim_fold(word(p) ^ k1, word(p + 8) ^ h);
    if (left >= 8) { /* the two words may overlap: together they cover all bytes */
        a = word(p);
        b = word(p + left - 8);
    } else if (left >= 4) {
        a = half(p);
        b = half(p + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[left >> 1] << 8 |
            (unsigned char)p[left - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return plim_fold(k2 ^ n, plim_fold(a ^ k1, b ^ h) ^ seed);
}

/* ---- tables ---- */

static plim_status reserve(plim_json *json, size_t slots)
{
    plim_error why;
    plim_status status =
        plim_grow(json->alloc, &json->slots, &json->slots_cap, slots, sizeof *json->slots, &why);
    if (status != PLIM_OK) {
        json->error = why;
        json->status = status;
        json->state = JSON_BROKEN;
    }
    return status;
}

/* Bit 0 of an entry is the epoch, not part of the hash; 0 is an empty slot.  The top bits say where
 * an entry belongs: so a table lies in the order of its hashes, and doubling walks through memory
 * in order. */
static inline size_t home(uint64_t entry, size_t cap)
{
    return (size_t)(entry >> (__builtin_clzll(cap) + 1));
}

/* Put `entry` into the first slot from its home that holds no entry of this epoch, and return what
 * was there. */
static uint64_t place(uint64_t *table, size_t cap, uint64_t entry, uint64_t epoch)
{
    size_t i = home(entry, cap);
    while (table[i] != 0 && (table[i] & 1) == epoch)
        i = (i + 1) & (cap - 1);
    uint64_t before = table[i];
    table[i] = (entry & ~(uint64_t)1) | epoch;
    return before;
}

/* Double in place: entries of the old epoch are moved, pushing each other out, into the new one.
 * From the end: slot i goes to about 2i, which is free by then. */
static plim_status double_table(plim_json *json, json_frame *frame)
{
    size_t before = frame->keys_cap, after = before * 2;
    plim_status status = reserve(json, frame->keys_start + after);
    if (status != PLIM_OK)
        return status;
    uint64_t *table = json->slots + frame->keys_start, epoch = frame->epoch ^ 1;
    memset(table + before, 0, (after - before) * sizeof *table);
    for (size_t i = before; i-- > 0;) {
        uint64_t entry = table[i];
        if (entry == 0 || (entry & 1) == epoch)
            continue;
        table[i] = 0;
        while (entry != 0)
            entry = place(table, after, entry, epoch);
    }
    frame->keys_cap = after;
    frame->epoch = epoch;
    return PLIM_OK;
}

static plim_status list_to_table(plim_json *json, json_frame *frame)
{
    uint64_t list[LIST_KEYS];
    plim_status status = reserve(json, frame->keys_start + FIRST_TABLE);
    if (status != PLIM_OK)
        return status;
    uint64_t *table = json->slots + frame->keys_start;
    memcpy(list, table, sizeof list);
    memset(table, 0, FIRST_TABLE * sizeof *table);
    for (size_t i = 0; i < LIST_KEYS; i++)
        place(table, FIRST_TABLE, list[i], 0);
    frame->keys_cap = FIRST_TABLE;
    frame->epoch = 0;
    return PLIM_OK;
}

static plim_status duplicate(plim_json *json)
{
    int shown = json->text_bytes < 200 ? (int)json->text_bytes : 200;
    return plim_json_break(json, PLIM_E_FORMAT, json->offset, "duplicate key \"%.*s\"", shown,
                           json->text);
}

plim_status plim_json_keys_add(plim_json *json)
{
    json_frame *frame = &json->frames[json->depth - 1];
    uint64_t entry = hash(json->text, json->text_bytes, json->seed) & ~(uint64_t)1;
    if (entry == 0)
        entry = 2;
    plim_status status = PLIM_OK;
    if (frame->keys_cap == 0) {
        for (size_t i = 0; i < frame->keys_count; i++)
            if (json->slots[frame->keys_start + i] == entry)
                return duplicate(json);
        if (frame->keys_count < LIST_KEYS) {
            if (frame->keys_start + frame->keys_count >= json->slots_cap)
                status = reserve(json, frame->keys_start + LIST_KEYS);
            if (status == PLIM_OK)
                json->slots[frame->keys_start + frame->keys_count++] = entry;
            return status;
        }
        status = list_to_table(json, frame);
    } else if (frame->keys_count >= frame->keys_cap / 4 * 3) {
        status = double_table(json, frame);
    }
    if (status != PLIM_OK)
        return status;
    uint64_t *table = json->slots + frame->keys_start;
    size_t i = home(entry, frame->keys_cap);
    for (; table[i] != 0; i = (i + 1) & (frame->keys_cap - 1))
        if ((table[i] & ~(uint64_t)1) == entry)
            return duplicate(json);
    table[i] = entry | frame->epoch;
    frame->keys_count++;
    return PLIM_OK;
}
