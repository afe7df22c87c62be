/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary: one block of text with all strings, a table from id to string, and an index from
 * string to id that is only kept where encoding needs it.  About 14 bytes a token without the
 * index, 30 with it. */
#include "tokenizer/internal.h"

#include <string.h>

static uint32_t hash_text(const char *text, size_t bytes)
{
    uint64_t hash = 0xCBF29CE484222325u ^ bytes;
    while (bytes >= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
        text += 8, bytes -= 8;
    }
    uint64_t tail = 0;
    memcpy(&tail, text, bytes);
    hash = (hash ^ tail) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    return (uint32_t)(hash * 0xD6E8FEB86659FD93u >> 32);
}

static uint32_t record_id(const plim_vocab *vocab, uint32_t record)
{
    uint32_t id;
    memcpy(&id, vocab->text + record, sizeof id);
    return id;
}

static const char *record_text(const plim_vocab *vocab, uint32_t record, size_t *bytes)
{
    const unsigned char *at = (const unsigned char *)vocab->text + record + 4;
    size_t length = 0;
    unsigned shift = 0;
    do {
        length |= (size_t)(*at & 0x7F) << shift;
        shift += 7;
    } while (*at++ & 0x80);
    *bytes = length;
    return (const char *)at;
}

void plim_vocab_init(plim_vocab *vocab, const plim_alloc *alloc)
{
    *vocab = (plim_vocab){.alloc = alloc};
}

void plim_vocab_free(plim_vocab *vocab)
{
    if (!vocab->alloc)
        return;
    plim_delete(vocab->alloc, vocab->text);
    plim_delete(vocab->alloc, vocab->record);
    plim_delete(vocab->alloc, vocab->slots);
    *vocab = (plim_vocab){.alloc = vocab->alloc};
}

/* The slot that holds the string, or the free one where it belongs. */
static plim_vocab_slot *probe(const plim_vocab *vocab, const char *text, size_t bytes, uint32_t tag)
{
    uint32_t mask = vocab->slot_count - 1;
    for (uint32_t i = tag & mask;; i = (i + 1) & mask) {
        plim_vocab_slot *slot = &vocab->slots[i];
        if (slot->record == PLIM_TOK_NONE)
            return slot;
        if (slot->tag != tag)
            continue;
        size_t length;
        const char *have = record_text(vocab, slot->record, &length);
        if (length == bytes && memcmp(have, text, bytes) == 0)
            return slot;
    }
}

static plim_status grow_index(plim_vocab *vocab, plim_error *err)
{
    uint32_t count = vocab->slot_count ? vocab->slot_count * 2 : 256;
    plim_vocab_slot *slots = plim_new(vocab->alloc, count, sizeof *slots, err);
    if (!slots)
        return plim_tok_nomem(err);
    memset(slots, 0xFF, count * sizeof *slots);
    for (uint32_t i = 0; i < vocab->slot_count; i++) {
        plim_vocab_slot slot = vocab->slots[i];
        if (slot.record == PLIM_TOK_NONE)
            continue;
        uint32_t at = slot.tag & (count - 1);
        while (slots[at].record != PLIM_TOK_NONE)
            at = (at + 1) & (count - 1);
        slots[at] = slot;
    }
    plim_delete(vocab->alloc, vocab->slots);
    vocab->slots = slots;
    vocab->slot_count = count;
    return PLIM_OK;
}

static plim_status append_record(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                                 uint32_t *record, plim_error *err)
{
    size_t need = vocab->text_used + 4 + 5 + bytes + 1;
    if (bytes > PLIM_TOK_STRING_BYTES || need >= PLIM_TOK_NONE)
        return plim_fail(err, PLIM_E_LIMIT, "the vocabulary is larger than 4 GiB of text");
    plim_status status = plim_grow(vocab->alloc, &vocab->text, &vocab->text_cap, need, 1, err);
    if (status)
        return status;
    *record = (uint32_t)vocab->text_used;
    char *at = vocab->text + vocab->text_used;
    memcpy(at, &id, 4);
    at += 4;
    size_t length = bytes;
    for (; length >= 0x80; length >>= 7)
        *at++ = (char)(0x80 | (length & 0x7F));
    *at++ = (char)length;
    memcpy(at, text, bytes);
    at[bytes] = 0;
    vocab->text_used = (size_t)(at + bytes + 1 - vocab->text);
    return PLIM_OK;
}

static plim_status reserve_id(plim_vocab *vocab, uint32_t id, plim_error *err)
{
    if (id < vocab->size)
        return PLIM_OK;
    size_t had = vocab->record_cap;
    plim_status status = plim_grow(vocab->alloc, &vocab->record, &vocab->record_cap, (size_t)id + 1,
                                   sizeof *vocab->record, err);
    if (status)
        return status;
    if (vocab->record_cap > had)
        memset(vocab->record + had, 0xFF, (vocab->record_cap - had) * sizeof *vocab->record);
    vocab->size = id + 1;
    return PLIM_OK;
}

plim_status plim_vocab_add(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                           plim_error *err)
{
    plim_status status;
    if ((uint64_t)vocab->count * 4 >= (uint64_t)vocab->slot_count * 3 &&
        (status = grow_index(vocab, err)))
        return status;
    if ((status = reserve_id(vocab, id, err)))
        return status;
    uint32_t tag = hash_text(text, bytes);
    plim_vocab_slot *slot = probe(vocab, text, bytes, tag);
    if (slot->record != PLIM_TOK_NONE) { /* again: the last id wins */
        uint32_t old = record_id(vocab, slot->record);
        if (vocab->record[old] == slot->record)
            vocab->record[old] = PLIM_TOK_NONE;
        memcpy(vocab->text + slot->record, &id, 4);
    } else {
        uint32_t record = 0;
        if ((status = append_record(vocab, text, bytes, id, &record, err)))
            return status;
        *slot = (plim_vocab_slot){tag, record};
        vocab->count++;
        if (bytes > vocab->longest)
            vocab->longest = bytes;
    }
    if (vocab->record[id] != PLIM_TOK_NONE)
        vocab->duplicate_ids = true;
    vocab->record[id] = slot->record;
    return PLIM_OK;
}

uint32_t plim_vocab_find(const plim_vocab *vocab, const char *text, size_t bytes)
{
    if (!vocab->slot_count)
        return PLIM_TOK_NONE;
    const plim_vocab_slot *slot = probe(vocab, text, bytes, hash_text(text, bytes));
    return slot->record == PLIM_TOK_NONE ? PLIM_TOK_NONE : record_id(vocab, slot->record);
}

const char *plim_vocab_text(const plim_vocab *vocab, uint32_t id, size_t *bytes)
{
    if (id >= vocab->size || vocab->record[id] == PLIM_TOK_NONE)
        return NULL;
    return record_text(vocab, vocab->record[id], bytes);
}

static void *shrink(const plim_alloc *alloc, void *ptr, size_t bytes)
{
    void *smaller = ptr && bytes ? alloc->resize(alloc, ptr, bytes, NULL) : NULL;
    return smaller ? smaller : ptr;
}

plim_status plim_vocab_finish(plim_vocab *vocab, bool keep_index, plim_error *err)
{
    (void)err;
    vocab->text = shrink(vocab->alloc, vocab->text, vocab->text_used);
    vocab->record = shrink(vocab->alloc, vocab->record, vocab->size * sizeof *vocab->record);
    vocab->text_cap = vocab->text_used;
    vocab->record_cap = vocab->size;
    if (!keep_index) {
        plim_delete(vocab->alloc, vocab->slots);
        vocab->slots = NULL;
        vocab->slot_count = 0;
    }
    return PLIM_OK;
}
