/* SPDX-License-Identifier: Apache-2.0
 *
 * The merge table: 8 bytes a slot, pair and rank in one word, so that a look-up touches one cache
 * line. */
#include "tokenizer/internal.h"

#include <string.h>

plim_status plim_merges_build(plim_merges *merges, const plim_alloc *alloc, const plim_merge *rules,
                              uint32_t count, plim_error *err)
{
    *merges = (plim_merges){0};
    /* Two thirds full, never quite full: a search ends at a free slot. */
    uint32_t slot_count = count + count / 2 + 2;
    merges->slots = plim_new(alloc, slot_count, sizeof *merges->slots, err);
    merges->merged = plim_new(alloc, count, sizeof *merges->merged, err);
    if (!merges->slots || !merges->merged) {
        plim_merges_free(merges, alloc);
        return plim_tok_nomem(err);
    }
    memset(merges->slots, 0xFF, slot_count * sizeof *merges->slots);
    merges->slot_count = slot_count;
    merges->count = count;
    for (uint32_t rank = 0; rank < count; rank++) {
        uint64_t key = (uint64_t)rules[rank].left << PLIM_TOK_ID_BITS | rules[rank].right;
        uint32_t i = plim_merges_home(key, slot_count);
        while (merges->slots[i] != UINT64_MAX && merges->slots[i] >> PLIM_TOK_RANK_BITS != key)
            i = i + 1 == slot_count ? 0 : i + 1;
        merges->slots[i] = key << PLIM_TOK_RANK_BITS | rank;
        merges->merged[rank] = rules[rank].merged;
    }
    return PLIM_OK;
}

void plim_merges_free(plim_merges *merges, const plim_alloc *alloc)
{
    plim_delete(alloc, merges->slots);
    plim_delete(alloc, merges->merged);
    *merges = (plim_merges){0};
}
