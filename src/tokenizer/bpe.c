/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-pair encoding of one piece: the merge of the lowest rank first, the leftmost of equals.
 * Short pieces scan for it, long ones keep a heap of (order, position) over a linked list: n log n
 * for a piece of any length.  What spares this work is in bpe_cache.c. */
#include "tokenizer/bpe.h"

#include <string.h>

#include "base/utf8.h"

enum { SCAN_SYMBOLS = 40 };

/* ---- merging ---- */

static inline uint32_t pair_order(const plim_run *run, uint32_t left, uint32_t right)
{
    uint32_t order = plim_merges_order(&run->tok->bpe.merges, left, right);
    if (run->no_special && order != PLIM_TOK_NONE &&
        plim_run_forbids(run, plim_merges_made(&run->tok->bpe.merges, order)))
        return PLIM_TOK_NONE;
    return order;
}

/* id[count] and, where a symbol's bytes count, bytes[count]; the number of symbols that are left.
 */
static unsigned merge_by_scan(const plim_run *run, uint32_t *id, uint32_t *bytes, unsigned count)
{
    const plim_merges *merges = &run->tok->bpe.merges;
    uint32_t order[SCAN_SYMBOLS];
    for (unsigned i = 0; i + 1 < count; i++)
        plim_merges_prefetch(merges, id[i], id[i + 1]);
    for (unsigned i = 0; i + 1 < count; i++)
        order[i] = pair_order(run, id[i], id[i + 1]);
    while (count > 1) {
        unsigned best = 0;
        for (unsigned i = 1; i + 1 < count; i++)
            if (order[i] < order[best])
                best = i;
        if (order[best] == PLIM_TOK_NONE)
            break;
        id[best] = plim_merges_made(merges, order[best]);
        if (bytes) {
            bytes[best] += bytes[best + 1];
            memmove(bytes + best + 1, bytes + best + 2, (count - best - 2) * sizeof *bytes);
        }
        count--;
        for (unsigned i = best + 1; i < count; i++) {
            id[i] = id[i + 1];
            order[i - 1] = order[i];
        }
        if (best > 0)
            order[best - 1] = pair_order(run, id[best - 1], id[best]);
        if (best + 1 < count)
            order[best] = pair_order(run, id[best], id[best + 1]);
    }
    return count;
}

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

static plim_status heap_push(plim_run *run, uint32_t order, uint32_t position, plim_error *err)
{
    plim_symbols *s = &run->bpe.symbols;
    if (s->heap_count == s->heap_cap) {
        plim_status status =
            plim_grow(run->alloc, &s->heap, &s->heap_cap, s->heap_count + 1, sizeof *s->heap, err);
        if (status)
            return status;
    }
    uint64_t item = (uint64_t)order << 32 | position;
    size_t at = s->heap_count++;
    for (; at && s->heap[(at - 1) / 2] > item; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = item;
    return PLIM_OK;
}

static plim_status push_pair(plim_run *run, uint32_t left, uint32_t right, plim_error *err)
{
    uint32_t order = pair_order(run, run->bpe.symbols.id[left], run->bpe.symbols.id[right]);
    return order == PLIM_TOK_NONE ? PLIM_OK : heap_push(run, order, left, err);
}

/* Apply the merge of a heap entry, if its pair still stands there. */
static plim_status merge_top(plim_run *run, uint64_t top, plim_error *err)
{
    const plim_merges *merges = &run->tok->bpe.merges;
    plim_symbols *s = &run->bpe.symbols;
    uint32_t at = (uint32_t)top, made = plim_merges_made(merges, (uint32_t)(top >> 32));
    if (s->id[at] == PLIM_TOK_NONE || s->next[at] == PLIM_TOK_NONE)
        return PLIM_OK;
    uint32_t right = s->next[at], order = pair_order(run, s->id[at], s->id[right]);
    if (order == PLIM_TOK_NONE || plim_merges_made(merges, order) != made)
        return PLIM_OK;
    s->id[at] = made;
    s->id[right] = PLIM_TOK_NONE;
    s->bytes[at] += s->bytes[right];
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
    plim_symbols *s = &run->bpe.symbols;
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
            status = plim_run_push(run, s->id[i], s->bytes[i], err);
    return status;
}

/* ---- a piece to symbols ---- */

static plim_status reserve_symbols(plim_run *run, size_t need, plim_error *err)
{
    plim_symbols *s = &run->bpe.symbols;
    if (need >= PLIM_TOK_NONE)
        return plim_fail(err, PLIM_E_LIMIT, "a piece of text of %zu bytes", need);
    if (need <= s->cap)
        return PLIM_OK;
    uint32_t **arrays[] = {&s->id, &s->next, &s->prev, &s->bytes};
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t cap = s->cap;
        plim_status status = plim_grow(run->alloc, arrays[i], &cap, need, sizeof **arrays[i], err);
        if (status)
            return status;
        least = cap < least ? cap : least;
    }
    s->cap = least;
    return PLIM_OK;
}

/* What becomes of a piece as it is read: symbols, and unknown text that waits for what follows. */
typedef struct reader {
    plim_run *run;
    uint32_t *id, *bytes;
    uint32_t count;
    bool unknown;
    uint32_t unknown_bytes;
} reader;

static inline void add_symbol(reader *r, uint32_t id, uint32_t bytes)
{
    r->id[r->count] = id;
    r->bytes[r->count++] = bytes;
}

static void flush_unknown(reader *r)
{
    if (r->unknown)
        add_symbol(r, r->run->tok->unk_id, r->unknown_bytes);
    r->unknown = false;
}

/* Text that the vocabulary lacks: unk, fused with what is unknown before it if so asked; nothing
 * where there is no unk. */
static plim_status add_unknown(reader *r, uint32_t bytes, plim_error *err)
{
    const plim_tok *tok = r->run->tok;
    if (tok->bpe.unk_missing)
        return plim_fail(
            err, PLIM_E_FORMAT,
            "the text needs the tokenizer's unk_token, which is not in its vocabulary");
    if (tok->unk_id == PLIM_TOK_NONE)
        return PLIM_OK;
    if (r->unknown && tok->bpe.fuse_unk) {
        r->unknown_bytes += bytes;
        return PLIM_OK;
    }
    flush_unknown(r);
    r->unknown = true;
    r->unknown_bytes = bytes;
    return PLIM_OK;
}

/* Bytes as <0xXX> tokens, if there is one for each.  (Unknown text before them stays waiting: that
 * is Hugging Face's order.) */
static bool add_byte_tokens(reader *r, const char *text, size_t bytes)
{
    const plim_bpe *bpe = &r->run->tok->bpe;
    if (!bpe->byte_fallback)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (bpe->byte_token[(unsigned char)text[i]] == PLIM_TOK_NONE)
            return false;
    for (size_t i = 0; i < bytes; i++)
        add_symbol(r, bpe->byte_token[(unsigned char)text[i]], 1);
    return true;
}

/* A character with what stands around it, by the vocabulary's index. */
static plim_status spell_symbol(plim_run *run, const char *text, size_t bytes, unsigned around,
                                const char **out, size_t *out_bytes, plim_error *err)
{
    const plim_bpe *bpe = &run->tok->bpe;
    size_t before = around & 1 ? bpe->prefix_bytes : 0, after = around & 2 ? bpe->suffix_bytes : 0;
    *out = text;
    *out_bytes = before + bytes + after;
    if (!before && !after)
        return PLIM_OK;
    plim_buffer *spelled = &run->bpe.spelled;
    plim_status status = plim_grow(run->alloc, &spelled->data, &spelled->cap, *out_bytes, 1, err);
    if (status)
        return status;
    memcpy(spelled->data, bpe->prefix, before);
    memcpy(spelled->data + before, text, bytes);
    memcpy(spelled->data + before + bytes, bpe->suffix, after);
    *out = spelled->data;
    return PLIM_OK;
}

static plim_status add_character(reader *r, const char *text, size_t bytes, unsigned around,
                                 plim_error *err)
{
    plim_run *run = r->run;
    const plim_tok *tok = run->tok;
    uint32_t id = PLIM_TOK_NONE, counted = (uint32_t)bytes;
    if (tok->byte_pieces)
        counted = plim_alphabet_bytes(*text);
    const char *spelled = text;
    size_t spelled_bytes = bytes;
    if (bytes == 1) {
        id = tok->bpe.symbol[around][(unsigned char)*text];
    } else if (tok->vocab.form == PLIM_VOCAB_SPACED && bytes == 3 &&
               memcmp(text, "\xE2\x96\x81", 3) == 0) {
        id = tok->bpe.block_id;
    } else {
        plim_status status = spell_symbol(run, text, bytes, around, &spelled, &spelled_bytes, err);
        if (status)
            return status;
        id = plim_vocab_find(&tok->vocab, spelled, spelled_bytes);
    }
    if (id != PLIM_TOK_NONE && !plim_run_forbids(run, id)) {
        flush_unknown(r);
        add_symbol(r, id, counted);
        return PLIM_OK;
    }
    if (tok->bpe.byte_fallback) {
        char two[2]; /* in the alphabet, where the file's pieces are spelled in it */
        const char *whole = tok->byte_pieces ? two : text;
        size_t whole_bytes =
            tok->byte_pieces ? plim_alphabet_encode((unsigned char)*text, two) : bytes;
        plim_status status =
            spell_symbol(run, whole, whole_bytes, around, &spelled, &spelled_bytes, err);
        if (status)
            return status;
        if (add_byte_tokens(r, spelled, spelled_bytes))
            return PLIM_OK;
    }
    return add_unknown(r, counted, err);
}

/* A piece as symbols; id and bytes have room for as many as plim_bpe_most_symbols says. */
static plim_status read_symbols(reader *r, const char *text, size_t bytes, plim_error *err)
{
    const plim_tok *tok = r->run->tok;
    plim_status status = PLIM_OK;
    for (size_t at = 0, length; !status && at < bytes; at += length) {
        unsigned char first = (unsigned char)text[at];
        length = tok->byte_pieces ? 1 : plim_utf8_length(text[at]);
        unsigned around = (at ? 1u : 0) | (at + length == bytes ? 2u : 0);
        uint32_t id = length == 1 ? tok->bpe.symbol[around][first] : PLIM_TOK_NONE;
        if (id != PLIM_TOK_NONE && !r->unknown && !r->run->tracked)
            add_symbol(r, id, 1);
        else
            status = add_character(r, text + at, length, around, err);
    }
    flush_unknown(r);
    return status;
}

/* A symbol per byte, and those of spelling, prefix and suffix where they fall back to bytes. */
static size_t most_symbols(const plim_bpe *bpe, size_t bytes)
{
    return bpe->byte_fallback ? bytes * (2 + bpe->prefix_bytes) + bpe->suffix_bytes : bytes;
}

/* ignore_merges: the id of a piece that is a token as it stands. */
static uint32_t whole_piece(const plim_run *run, const char *text, size_t bytes)
{
    if (!run->tok->bpe.ignore_merges || bytes > run->tok->vocab.longest)
        return PLIM_TOK_NONE;
    uint32_t id = plim_vocab_find(&run->tok->vocab, text, bytes);
    return id != PLIM_TOK_NONE && plim_run_forbids(run, id) ? PLIM_TOK_NONE : id;
}

/* A piece without the help of the cache. */
plim_status plim_bpe_encode(plim_run *run, const char *text, size_t bytes, plim_error *err)
{
    const plim_bpe *bpe = &run->tok->bpe;
    plim_symbols *s = &run->bpe.symbols;
    uint32_t whole = whole_piece(run, text, bytes);
    if (whole != PLIM_TOK_NONE)
        return plim_run_push(run, whole, 2 * bytes, err); /* all of it, however it is spelled */
    size_t most = most_symbols(bpe, bytes);
    plim_status status = reserve_symbols(run, most, err);
    if (status)
        return status;
    reader r = {.run = run, .id = s->id, .bytes = s->bytes};
    if ((status = read_symbols(&r, text, bytes, err)))
        return status;
    if (r.count > SCAN_SYMBOLS || run->tok->vocab.duplicate_ids)
        return merge_by_heap(run, r.count, err);
    r.count = merge_by_scan(run, s->id, run->tracked ? s->bytes : NULL, r.count);
    for (uint32_t i = 0; !status && i < r.count; i++)
        status = plim_run_push(run, s->id[i], s->bytes[i], err);
    return status;
}
