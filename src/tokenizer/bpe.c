/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-pair encoding of one piece: the merge of the lowest rank first, the leftmost of equals.
 * Short pieces scan for it, long ones keep a heap of (rank, position) over a linked list: n log n
 * for a piece of any length. A piece met before in the same call is taken from a small cache. */
#include "tokenizer/internal.h"

#include <string.h>

enum { SCAN_SYMBOLS = 32 };

plim_status plim_run_push(plim_run *run, uint32_t id, plim_error *err)
{
    if (run->count == run->cap) {
        plim_status status =
            plim_grow(run->alloc, &run->ids, &run->cap, run->count + 1, sizeof *run->ids, err);
        if (status)
            return status;
    }
    run->ids[run->count++] = (int32_t)id;
    return PLIM_OK;
}

/* ---- short pieces ---- */

static plim_status merge_by_scan(plim_run *run, uint32_t *id, unsigned count, plim_error *err)
{
    const plim_merges *merges = &run->tok->merges;
    uint32_t rank[SCAN_SYMBOLS];
    for (unsigned i = 0; i + 1 < count; i++)
        rank[i] = plim_merges_rank(merges, id[i], id[i + 1]);
    while (count > 1) {
        unsigned best = 0;
        for (unsigned i = 1; i + 1 < count; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == PLIM_TOK_NONE)
            break;
        id[best] = merges->merged[rank[best]];
        count--;
        memmove(id + best + 1, id + best + 2, (count - best - 1) * sizeof *id);
        memmove(rank + best, rank + best + 1, (count - best - 1) * sizeof *rank);
        if (best > 0)
            rank[best - 1] = plim_merges_rank(merges, id[best - 1], id[best]);
        if (best + 1 < count)
            rank[best] = plim_merges_rank(merges, id[best], id[best + 1]);
    }
    plim_status status = PLIM_OK;
    for (unsigned i = 0; !status && i < count; i++)
        status = plim_run_push(run, id[i], err);
    return status;
}

/* ---- long pieces ---- */

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t item = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= item)
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static plim_status heap_push(plim_run *run, uint32_t rank, uint32_t position, plim_error *err)
{
    plim_symbols *s = &run->symbols;
    if (s->heap_count == s->heap_cap) {
        plim_status status =
            plim_grow(run->alloc, &s->heap, &s->heap_cap, s->heap_count + 1, sizeof *s->heap, err);
        if (status)
            return status;
    }
    uint64_t item = (uint64_t)rank << 32 | position;
    size_t at = s->heap_count++;
    for (; at && s->heap[(at - 1) / 2] > item; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = item;
    return PLIM_OK;
}

static plim_status push_pair(plim_run *run, uint32_t left, uint32_t right, plim_error *err)
{
    uint32_t rank =
        plim_merges_rank(&run->tok->merges, run->symbols.id[left], run->symbols.id[right]);
    return rank == PLIM_TOK_NONE ? PLIM_OK : heap_push(run, rank, left, err);
}

/* Apply the merge of a heap entry, if its pair still stands there. */
static plim_status merge_top(plim_run *run, uint64_t top, plim_error *err)
{
    const plim_merges *merges = &run->tok->merges;
    plim_symbols *s = &run->symbols;
    uint32_t at = (uint32_t)top, merged = merges->merged[top >> 32];
    if (s->id[at] == PLIM_TOK_NONE || s->next[at] == PLIM_TOK_NONE)
        return PLIM_OK;
    uint32_t right = s->next[at], rank = plim_merges_rank(merges, s->id[at], s->id[right]);
    if (rank == PLIM_TOK_NONE || merges->merged[rank] != merged)
        return PLIM_OK;
    s->id[at] = merged;
    s->id[right] = PLIM_TOK_NONE;
    s->next[at] = s->next[right];
    if (s->next[at] != PLIM_TOK_NONE)
        s->prev[s->next[at]] = at;
    plim_status status = PLIM_OK;
    if (s->prev[at] != PLIM_TOK_NONE)
        status = push_pair(run, s->prev[at], at, err);
    if (!status && s->next[at] != PLIM_TOK_NONE)
        status = push_pair(run, at, s->next[at], err);
    return status;
}

static plim_status merge_by_heap(plim_run *run, uint32_t count, plim_error *err)
{
    plim_symbols *s = &run->symbols;
    plim_status status = PLIM_OK;
    s->heap_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        s->next[i] = i + 1 < count ? i + 1 : PLIM_TOK_NONE;
        s->prev[i] = i ? i - 1 : PLIM_TOK_NONE;
    }
    for (uint32_t i = 0; !status && i + 1 < count; i++)
        status = push_pair(run, i, i + 1, err);
    while (!status && s->heap_count) {
        uint64_t top = s->heap[0];
        s->heap[0] = s->heap[--s->heap_count];
        if (s->heap_count)
            sift_down(s->heap, s->heap_count, 0);
        status = merge_top(run, top, err);
    }
    for (uint32_t i = 0; !status && i < count; i++)
        if (s->id[i] != PLIM_TOK_NONE)
            status = plim_run_push(run, s->id[i], err);
    return status;
}

static plim_status reserve_symbols(plim_run *run, size_t need, plim_error *err)
{
    plim_symbols *s = &run->symbols;
    if (need >= PLIM_TOK_NONE)
        return plim_fail(err, PLIM_E_LIMIT, "a piece of text of %zu bytes", need);
    if (need <= s->cap)
        return PLIM_OK;
    size_t cap = s->cap, next_cap = s->cap, prev_cap = s->cap;
    plim_status status;
    if ((status = plim_grow(run->alloc, &s->id, &cap, need, sizeof *s->id, err)) ||
        (status = plim_grow(run->alloc, &s->next, &next_cap, need, sizeof *s->next, err)) ||
        (status = plim_grow(run->alloc, &s->prev, &prev_cap, need, sizeof *s->prev, err)))
        return status;
    s->cap = cap < next_cap ? cap : next_cap;
    s->cap = prev_cap < s->cap ? prev_cap : s->cap;
    return PLIM_OK;
}

/* ---- a piece ---- */

/* The ids of single bytes into id[]; a byte without one is unk (fused with its neighbours if so
 * asked), or nothing where there is no unk. */
static uint32_t first_symbols(const plim_tok *tok, const unsigned char *bytes, size_t count,
                              uint32_t *id)
{
    uint32_t n = 0;
    bool after_unk = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t byte = tok->byte_id[bytes[i]];
        if (byte != PLIM_TOK_NONE) {
            id[n++] = byte;
            after_unk = false;
        } else if (tok->unk_id != PLIM_TOK_NONE) {
            if (!after_unk || !tok->fuse_unk)
                id[n++] = tok->unk_id;
            after_unk = true;
        }
    }
    return n;
}

/* ignore_merges: the id of a piece that is a token as it stands. */
static plim_status whole_piece(plim_run *run, const char *bytes, size_t count, uint32_t *id,
                               plim_error *err)
{
    *id = PLIM_TOK_NONE;
    if (count > run->tok->vocab.longest)
        return PLIM_OK;
    plim_status status =
        plim_grow(run->alloc, &run->spelled.data, &run->spelled.cap, 2 * count, 1, err);
    if (status)
        return status;
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += plim_alphabet_encode((unsigned char)bytes[i], run->spelled.data + length);
    *id = plim_vocab_find(&run->tok->vocab, run->spelled.data, length);
    return PLIM_OK;
}

static plim_status encode_piece(plim_run *run, const char *bytes, size_t count, plim_error *err)
{
    plim_status status;
    if (run->tok->ignore_merges) {
        uint32_t id;
        if ((status = whole_piece(run, bytes, count, &id, err)))
            return status;
        if (id != PLIM_TOK_NONE)
            return plim_run_push(run, id, err);
    }
    if (count <= SCAN_SYMBOLS && !run->tok->vocab.duplicate_ids) {
        uint32_t id[SCAN_SYMBOLS];
        return merge_by_scan(run, id,
                             first_symbols(run->tok, (const unsigned char *)bytes, count, id), err);
    }
    if ((status = reserve_symbols(run, count, err)))
        return status;
    return merge_by_heap(
        run, first_symbols(run->tok, (const unsigned char *)bytes, count, run->symbols.id), err);
}

static uint32_t hash_piece(const char *bytes, size_t count)
{
    uint64_t words[3] = {0};
    memcpy(words, bytes, count);
    uint64_t hash = (words[0] ^ count) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32 ^ words[1]) * 0xD6E8FEB86659FD93u;
    hash = (hash ^ hash >> 32 ^ words[2]) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(hash >> 32);
}

plim_status plim_bpe_piece(plim_run *run, const char *bytes, size_t count, plim_error *err)
{
    if (count == 1 && run->tok->byte_id[(unsigned char)*bytes] != PLIM_TOK_NONE)
        return plim_run_push(run, run->tok->byte_id[(unsigned char)*bytes], err);
    if (!run->cache || count > PLIM_CACHE_KEY_BYTES)
        return encode_piece(run, bytes, count, err);
    plim_cache_entry *entry = &run->cache[hash_piece(bytes, count) & run->cache_mask];
    plim_status status = PLIM_OK;
    if (entry->count && entry->bytes == count && memcmp(entry->key, bytes, count) == 0) {
        for (unsigned i = 0; !status && i < entry->count; i++)
            status = plim_run_push(run, (uint32_t)entry->ids[i], err);
        return status;
    }
    size_t before = run->count;
    status = encode_piece(run, bytes, count, err);
    size_t made = run->count - before;
    if (!status && made && made <= PLIM_CACHE_IDS) {
        entry->bytes = (uint8_t)count;
        entry->count = (uint8_t)made;
        memcpy(entry->key, bytes, count);
        memcpy(entry->ids, run->ids + before, made * sizeof *entry->ids);
    }
    return status;
}
