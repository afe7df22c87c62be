/* SPDX-License-Identifier: Apache-2.0
 *
 * The merge table: 8 bytes a merge and a quarter free. */
#include <string.h>

#include "tokenizer/internal.h"

enum { MAX_ORDER_BITS = 31 };

static unsigned bits_of(uint32_t value)
{
    return value ? 32 - (unsigned)__builtin_clz(value) : 0;
}

static uint32_t made_by(plim_merge rule)
{
    return (uint32_t)(rule & PLIM_TOK_MAX_ID);
}

/* The most merges that make one id, where ids never fall and one id's merges stand together; 0
 * where it is otherwise. */
static uint32_t longest_tie(const plim_merge *rules, uint32_t count)
{
    uint32_t longest = 1, tie = 1;
    for (uint32_t i = 1; i < count; i++) {
        if (made_by(rules[i]) < made_by(rules[i - 1]))
            return 0;
        tie = made_by(rules[i]) == made_by(rules[i - 1]) ? tie + 1 : 1;
        longest = tie > longest ? tie : longest;
    }
    return longest;
}

/* Rules in the order of their rank become slots, where they stand. */
static void make_slots(plim_merges *merges, uint64_t *rules)
{
    uint32_t before = PLIM_TOK_NONE;
    for (uint32_t rank = 0, among = 0; rank < merges->count; rank++) {
        uint64_t left = rules[rank] >> 42, right = rules[rank] >> 21 & PLIM_TOK_MAX_ID;
        uint32_t made = made_by(rules[rank]);
        among = made == before ? among + 1 : 0;
        before = made;
        uint32_t order = merges->merged ? rank : made << merges->tie_bits | among;
        rules[rank] = (left << merges->id_bits | right) << merges->order_bits | order;
        if (merges->merged)
            merges->merged[rank] = made;
    }
}

static inline bool test_and_set(uint64_t *bits, uint32_t i)
{
    uint64_t bit = (uint64_t)1 << (i % 64);
    bool was = bits[i / 64] & bit;
    bits[i / 64] |= bit;
    return was;
}

/* Put a slot where it belongs: the first place from its home on that holds none that is settled.
 * What stood there comes out; all ones for nothing.  Of two merges of one pair the later stays. */
static uint64_t settle(plim_merges *merges, uint64_t *settled, uint64_t slot)
{
    uint64_t key = slot >> merges->order_bits;
    uint32_t i = plim_merges_home(merges, key);
    while (test_and_set(settled, i)) {
        uint64_t have = merges->slots[i];
        if (have >> merges->order_bits == key) {
            merges->slots[i] = have > slot ? have : slot;
            return UINT64_MAX;
        }
        i = i + 1 == merges->slot_count ? 0 : i + 1;
    }
    uint64_t out = merges->slots[i];
    merges->slots[i] = slot;
    return out;
}

/* slots[0..count) into their places, without a second table.  What comes out waits in a ring while
 * the place where it belongs is brought into cache. */
static void settle_all(plim_merges *merges, uint64_t *settled)
{
    enum { WAITING = 16 };
    uint64_t ring[WAITING];
    unsigned first = 0, waiting = 0;
    memset(merges->slots + merges->count, 0xFF,
           (merges->slot_count - merges->count) * sizeof *merges->slots);
    for (uint32_t i = 0; i < merges->count || waiting;) {
        uint64_t slot = UINT64_MAX;
        if (waiting == WAITING || i == merges->count) {
            slot = settle(merges, settled, ring[first]);
            first = (first + 1) % WAITING;
            waiting--;
        } else if (!(settled[i / 64] >> (i % 64) & 1)) {
            slot = merges->slots[i];
            merges->slots[i++] = UINT64_MAX;
        } else {
            i++;
        }
        if (slot == UINT64_MAX)
            continue;
        __builtin_prefetch(&merges->slots[plim_merges_home(merges, slot >> merges->order_bits)], 1);
        ring[(first + waiting++) % WAITING] = slot;
    }
}

plim_status plim_merges_build(plim_merges *merges, const plim_alloc *alloc, plim_merge **rules,
                              size_t *cap, uint32_t count, uint32_t size, plim_error *err)
{
    *merges = (plim_merges){
        .count = count, .slot_count = count + count / 3 + 2, .seed = plim_hash_seed(merges)};
    merges->id_bits = bits_of(size); /* no id is all ones, so no slot in use is */
    unsigned left = 64 - 2 * merges->id_bits;
    merges->order_bits = left < MAX_ORDER_BITS ? left : MAX_ORDER_BITS;
    uint32_t tie = longest_tie(*rules, count);
    merges->tie_bits = tie > 1 ? bits_of(tie - 1) : 0;
    bool by_id = tie && merges->id_bits + merges->tie_bits <= merges->order_bits;
    if (!by_id && count > 1u << merges->order_bits)
        return plim_fail(err, PLIM_E_LIMIT, "%u merges of %u tokens, at most %u", count, size,
                         1u << merges->order_bits);
    plim_status status =
        plim_grow_steps(alloc, rules, cap, merges->slot_count, sizeof *merges->slots, 1, err);
    if (status)
        return status;
    uint64_t *settled = plim_new(alloc, merges->slot_count / 64 + 1, sizeof *settled, err);
    if (!by_id)
        merges->merged = plim_new(alloc, count, sizeof *merges->merged, err);
    if (!settled || (!by_id && !merges->merged)) {
        plim_delete(alloc, settled);
        plim_merges_free(merges, alloc);
        return plim_tok_nomem(err);
    }
    merges->slots = *rules;
    *rules = NULL;
    *cap = 0;
    make_slots(merges, merges->slots);
    settle_all(merges, settled);
    plim_delete(alloc, settled);
    uint64_t *smaller =
        alloc->resize(alloc, merges->slots, merges->slot_count * sizeof *merges->slots, NULL);
    merges->slots = smaller ? smaller : merges->slots;
    return PLIM_OK;
}

void plim_merges_free(plim_merges *merges, const plim_alloc *alloc)
{
    plim_delete(alloc, merges->slots);
    plim_delete(alloc, merges->merged);
    *merges = (plim_merges){0};
}
