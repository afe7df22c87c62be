/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary: 16 bytes a token, which hold most strings, so that decoding an id and comparing a
 * string touch one cache line; and an index from string to id, 5 bytes a token, that is only kept
 * where encoding needs it. */
#include <assert.h>
#include <string.h>

#include "tokenizer/internal.h"

static_assert(sizeof(plim_vocab_entry) == 16, "a string is compared as two words");

enum {
    REFERENCE_BITS = 22,
    ALIAS = 1 << (REFERENCE_BITS - 1),
    ENTRY_STEP = 1 << 14, /* 256 KiB */
    TEXT_STEP = 1 << 18
};

/* ---- keys ---- */

static uint64_t hash_long(const plim_vocab *vocab, const char *text, size_t bytes)
{
    uint64_t hash = vocab->seed ^ bytes, word;
    for (; bytes >= 8; bytes -= 8, text += 8) {
        memcpy(&word, text, 8);
        hash = plim_fold(word ^ PLIM_HASH_K1, hash ^ PLIM_HASH_K2);
    }
    word = 0;
    memcpy(&word, text, bytes);
    return plim_fold(word ^ PLIM_HASH_K1, hash ^ PLIM_HASH_K2);
}

static inline uint64_t hash_of(const plim_vocab *vocab, const plim_vocab_query *q)
{
    return q->bytes > PLIM_VOCAB_INLINE
               ? hash_long(vocab, q->text, q->bytes)
               : plim_fold(q->key.word[0] ^ vocab->seed, q->key.word[1] ^ PLIM_HASH_K1);
}

/* A string with its key (that of a long one is not looked at) and hash. */
static inline plim_vocab_query query_of(const plim_vocab *vocab, const char *text, size_t bytes,
                                        uint32_t guess)
{
    plim_vocab_query q = {.text = text, .bytes = bytes, .id = guess};
    if (bytes <= PLIM_VOCAB_INLINE)
        q.key = plim_vocab_short_key(text, bytes);
    q.hash = hash_of(vocab, &q);
    return q;
}

/* ---- entries ---- */

void plim_vocab_init(plim_vocab *vocab, const plim_alloc *alloc)
{
    *vocab = (plim_vocab){.alloc = alloc, .seed = plim_hash_seed(vocab)};
}

void plim_vocab_free(plim_vocab *vocab)
{
    if (!vocab->alloc)
        return;
    plim_delete(vocab->alloc, vocab->entries);
    plim_delete(vocab->alloc, vocab->text);
    plim_delete(vocab->alloc, vocab->aliases);
    plim_delete(vocab->alloc, vocab->alias_ids);
    plim_delete(vocab->alloc, vocab->slots);
    *vocab = (plim_vocab){.alloc = vocab->alloc};
}

plim_status plim_grow_steps(const plim_alloc *alloc, void *array, size_t *cap, size_t need,
                            size_t size, size_t step, plim_error *err)
{
    void **pointer = array;
    if (need <= *cap)
        return PLIM_OK;
    if (need < step)
        return plim_grow(alloc, array, cap, need, size, err);
    size_t count = (need + step - 1) / step * step, bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return plim_fail(err, PLIM_E_NOMEM, "%zu elements of %zu bytes", count, size);
    void *more =
        *pointer ? alloc->resize(alloc, *pointer, bytes, err) : plim_new(alloc, count, size, err);
    if (!more)
        return plim_tok_nomem(err);
    *pointer = more;
    *cap = count;
    return PLIM_OK;
}

static plim_status store(plim_vocab *vocab, plim_vocab_entry *entry, const plim_vocab_query *q,
                         plim_error *err)
{
    size_t bytes = q->bytes;
    if (bytes <= PLIM_VOCAB_INLINE) {
        memcpy(entry, &q->key, sizeof *entry);
        return PLIM_OK;
    }
    if (vocab->text_used + bytes >= UINT32_MAX)
        return plim_fail(err, PLIM_E_LIMIT, "the vocabulary is larger than 4 GiB of text");
    plim_status status = plim_grow_steps(vocab->alloc, &vocab->text, &vocab->text_cap,
                                         vocab->text_used + bytes, 1, TEXT_STEP, err);
    if (status)
        return status;
    memcpy(vocab->text + vocab->text_used, q->text, bytes);
    *entry = (plim_vocab_entry){.tag = PLIM_VOCAB_LONG};
    entry->longer.offset = (uint32_t)vocab->text_used;
    entry->longer.bytes = (uint32_t)bytes;
    vocab->text_used += bytes;
    return PLIM_OK;
}

static plim_vocab_entry *entry_of(const plim_vocab *vocab, uint32_t slot)
{
    uint32_t reference = slot & ((1u << REFERENCE_BITS) - 1);
    return reference & ALIAS ? &vocab->aliases[reference & (ALIAS - 1)]
                             : &vocab->entries[reference];
}

static uint32_t id_of(const plim_vocab *vocab, uint32_t slot)
{
    uint32_t reference = slot & ((1u << REFERENCE_BITS) - 1);
    return reference & ALIAS ? vocab->alias_ids[reference & (ALIAS - 1)] : reference;
}

/* ---- the index ---- */

static uint32_t home_of(const plim_vocab *vocab, uint64_t hash)
{
    return (uint32_t)(((hash >> 32) * vocab->slot_count) >> 32);
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)hash << REFERENCE_BITS;
}

static inline bool same(const plim_vocab *vocab, const plim_vocab_entry *entry,
                        const plim_vocab_query *q)
{
    if (q->bytes <= PLIM_VOCAB_INLINE) {
        plim_vocab_key have;
        memcpy(&have, entry, sizeof have);
        have.word[1] &= ~((uint64_t)PLIM_VOCAB_FLAGS << 56);
        return q->key.word[0] == have.word[0] && q->key.word[1] == have.word[1];
    }
    return entry->tag & PLIM_VOCAB_LONG && entry->longer.bytes == q->bytes &&
           memcmp(vocab->text + entry->longer.offset, q->text, q->bytes) == 0;
}

/* The slot that holds the string, or the free one where it belongs. */
static inline uint32_t *probe(const plim_vocab *vocab, const plim_vocab_query *q)
{
    for (uint32_t i = home_of(vocab, q->hash);; i = i + 1 == vocab->slot_count ? 0 : i + 1) {
        uint32_t slot = vocab->slots[i];
        if (slot == PLIM_TOK_NONE)
            return &vocab->slots[i];
        if ((slot ^ tag_of(q->hash)) >> REFERENCE_BITS == 0 &&
            same(vocab, entry_of(vocab, slot), q))
            return &vocab->slots[i];
    }
}

static void index_entry(plim_vocab *vocab, const plim_vocab_entry *entry, uint32_t reference)
{
    size_t bytes;
    const char *text = plim_vocab_entry_text(vocab, entry, &bytes);
    uint64_t hash = query_of(vocab, text, bytes, PLIM_TOK_NONE).hash;
    uint32_t i = home_of(vocab, hash);
    while (vocab->slots[i] != PLIM_TOK_NONE)
        i = i + 1 == vocab->slot_count ? 0 : i + 1;
    vocab->slots[i] = tag_of(hash) | reference;
}

enum { MAX_CHARACTER = 4 };

/* Strings longer than that, or (longest == MAX_CHARACTER) of more than one character, are left out.
 */
static bool is_indexed(const plim_vocab *vocab, const plim_vocab_entry *entry, size_t longest)
{
    size_t bytes;
    if (!entry->tag || entry->tag & PLIM_VOCAB_VERBATIM)
        return false;
    const char *text = plim_vocab_entry_text(vocab, entry, &bytes);
    if (longest != MAX_CHARACTER)
        return true;
    size_t starts = 0;
    for (size_t i = 0; i < bytes && bytes <= longest; i++)
        starts += ((unsigned char)text[i] & 0xC0) != 0x80;
    return starts == 1;
}

static plim_status rebuild_index(plim_vocab *vocab, uint32_t slot_count, size_t longest,
                                 plim_error *err)
{
    plim_delete(vocab->alloc, vocab->slots);
    vocab->slots = plim_new(vocab->alloc, slot_count, sizeof *vocab->slots, err);
    vocab->slot_count = vocab->slots ? slot_count : 0;
    if (!vocab->slots)
        return plim_tok_nomem(err);
    memset(vocab->slots, 0xFF, slot_count * sizeof *vocab->slots);
    for (uint32_t id = 0; id < vocab->size; id++)
        if (is_indexed(vocab, &vocab->entries[id], longest))
            index_entry(vocab, &vocab->entries[id], id);
    for (uint32_t i = 0; i < vocab->alias_count; i++)
        if (is_indexed(vocab, &vocab->aliases[i], longest))
            index_entry(vocab, &vocab->aliases[i], ALIAS | i);
    return PLIM_OK;
}

/* ---- adding ---- */

/* Another string of an id that has one. */
static plim_status add_alias(plim_vocab *vocab, const plim_vocab_entry *entry, uint32_t id,
                             uint32_t *reference, plim_error *err)
{
    plim_status status;
    if (vocab->alias_count >= ALIAS - 1)
        return plim_fail(err, PLIM_E_LIMIT, "more than %d tokens share ids", ALIAS - 1);
    if ((status = plim_grow(vocab->alloc, &vocab->aliases, &vocab->alias_cap,
                            vocab->alias_count + 1, sizeof *vocab->aliases, err)) ||
        (status = plim_grow(vocab->alloc, &vocab->alias_ids, &vocab->alias_id_cap,
                            vocab->alias_count + 1, sizeof *vocab->alias_ids, err)))
        return status;
    vocab->aliases[vocab->alias_count] = *entry;
    vocab->alias_ids[vocab->alias_count] = id;
    vocab->duplicate_ids = true;
    *reference = ALIAS | (uint32_t)vocab->alias_count++;
    return PLIM_OK;
}

/* Where the string of a slot moves when it gets another id. */
static plim_status move_string(plim_vocab *vocab, uint32_t *slot, uint32_t id, plim_error *err)
{
    plim_vocab_entry *from = entry_of(vocab, *slot), moved = *from;
    uint32_t reference = id;
    if (id_of(vocab, *slot) == id)
        return PLIM_OK;
    if (!(*slot & ALIAS)) {
        memset(from, 0, sizeof *from);
    } else if (vocab->entries[id].tag) {
        vocab->alias_ids[*slot & (ALIAS - 1)] = id;
        return PLIM_OK;
    } else {
        from->tag = 0;
    }
    if (vocab->entries[id].tag) {
        plim_status status = add_alias(vocab, &moved, id, &reference, err);
        if (status)
            return status;
    } else {
        vocab->entries[id] = moved;
    }
    *slot = (*slot & ~((1u << REFERENCE_BITS) - 1)) | reference;
    return PLIM_OK;
}

plim_status plim_vocab_expect(plim_vocab *vocab, uint64_t count, plim_error *err)
{
    enum { FEWEST = 256, MOST = 1 << 19 };
    uint64_t slots = count + count / 2;
    slots = slots < FEWEST ? FEWEST : slots > MOST ? MOST : slots;
    return rebuild_index(vocab, (uint32_t)slots, SIZE_MAX, err);
}

static plim_status grow(plim_vocab *vocab, uint32_t id, plim_error *err)
{
    plim_status status;
    if ((uint64_t)(vocab->count + vocab->late_count) * 4 >= (uint64_t)vocab->slot_count * 3) {
        uint32_t slots = vocab->slot_count ? vocab->slot_count * 2 : 256;
        plim_vocab_settle(vocab);
        if ((status = rebuild_index(vocab, slots, SIZE_MAX, err)))
            return status;
    }
    if (id < vocab->size)
        return PLIM_OK;
    if ((status = plim_grow_steps(vocab->alloc, &vocab->entries, &vocab->entry_cap, (size_t)id + 1,
                                  sizeof *vocab->entries, ENTRY_STEP, err)))
        return status;
    vocab->size = id + 1;
    return PLIM_OK;
}

/* Room in the index for one more string, and in the table for its id. */
static inline plim_status make_room(plim_vocab *vocab, uint32_t id, plim_error *err)
{
    bool full = (uint64_t)(vocab->count + vocab->late_count) * 4 >= (uint64_t)vocab->slot_count * 3;
    if (!full && id < vocab->entry_cap) {
        vocab->size = id < vocab->size ? vocab->size : id + 1;
        return PLIM_OK;
    }
    return grow(vocab, id, err);
}

plim_status plim_vocab_add(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                           plim_error *err)
{
    plim_vocab_settle(vocab);
    plim_status status = make_room(vocab, id, err);
    if (status)
        return status;
    plim_vocab_query q = query_of(vocab, text, bytes, PLIM_TOK_NONE);
    uint32_t *slot = probe(vocab, &q), reference = id;
    if (*slot != PLIM_TOK_NONE)
        return move_string(vocab, slot, id, err);
    plim_vocab_entry entry;
    bool again = vocab->entries[id].tag != 0;
    if ((status = store(vocab, &entry, &q, err)) ||
        (again && (status = add_alias(vocab, &entry, id, &reference, err))))
        return status;
    if (!again)
        vocab->entries[id] = entry;
    *slot = tag_of(q.hash) | reference;
    vocab->count++;
    vocab->longest = bytes > vocab->longest ? bytes : vocab->longest;
    return PLIM_OK;
}

/* Index the oldest of the late ones, whose entry is there.  A string that was there already has the
 * new id from now on. */
static void settle_one(plim_vocab *vocab)
{
    uint32_t id = vocab->late[vocab->late_first].id;
    plim_vocab_query q = {.hash = vocab->late[vocab->late_first].hash};
    q.text = plim_vocab_entry_text(vocab, &vocab->entries[id], &q.bytes);
    memcpy(&q.key, &vocab->entries[id], sizeof q.key);
    uint32_t *slot = probe(vocab, &q);
    vocab->late_first = (vocab->late_first + 1) % PLIM_VOCAB_LATE;
    vocab->late_count--;
    if (*slot == PLIM_TOK_NONE)
        vocab->count++;
    else
        entry_of(vocab, *slot)->tag = 0;
    *slot = tag_of(q.hash) | id;
}

void plim_vocab_settle(plim_vocab *vocab)
{
    while (vocab->late_count)
        settle_one(vocab);
}

plim_status plim_vocab_add_later(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                                 plim_error *err)
{
    if (id < vocab->size && vocab->entries[id].tag)
        return plim_vocab_add(vocab, text, bytes, id, err);
    plim_vocab_query q = query_of(vocab, text, bytes, PLIM_TOK_NONE);
    plim_status status = make_room(vocab, id, err);
    if (!status)
        status = store(vocab, &vocab->entries[id], &q, err);
    if (status)
        return status;
    if (vocab->late_count == PLIM_VOCAB_LATE)
        settle_one(vocab);
    unsigned at = (vocab->late_first + vocab->late_count++) % PLIM_VOCAB_LATE;
    vocab->late[at].hash = q.hash;
    vocab->late[at].id = id;
    __builtin_prefetch(&vocab->slots[home_of(vocab, q.hash)], 1);
    vocab->longest = bytes > vocab->longest ? bytes : vocab->longest;
    return PLIM_OK;
}

/* ---- asking ---- */

uint32_t plim_vocab_find(const plim_vocab *vocab, const char *text, size_t bytes)
{
    if (!vocab->slot_count)
        return PLIM_TOK_NONE;
    plim_vocab_query q = query_of(vocab, text, bytes, PLIM_TOK_NONE);
    uint32_t slot = *probe(vocab, &q);
    return slot == PLIM_TOK_NONE ? PLIM_TOK_NONE : id_of(vocab, slot);
}

/* A right guess saves the look-up.  (Of an id that several strings share, one may be hidden.) */
static inline bool guessed(const plim_vocab *vocab, const plim_vocab_query *q)
{
    return q->id < vocab->size && vocab->entries[q->id].tag && !vocab->duplicate_ids &&
           same(vocab, &vocab->entries[q->id], q);
}

void plim_vocab_find_many(const plim_vocab *vocab, plim_vocab_query *queries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        plim_vocab_query *q = &queries[i];
        if (q->bytes <= PLIM_VOCAB_INLINE)
            q->key = plim_vocab_short_key(q->text, q->bytes);
        if (q->id != PLIM_TOK_NONE && guessed(vocab, q))
            continue;
        q->id = PLIM_TOK_NONE;
        q->hash = hash_of(vocab, q);
        if (vocab->slot_count)
            __builtin_prefetch(&vocab->slots[home_of(vocab, q->hash)]);
    }
    for (size_t i = 0; vocab->slot_count && i < count; i++)
        if (queries[i].id == PLIM_TOK_NONE) {
            uint32_t slot = vocab->slots[home_of(vocab, queries[i].hash)];
            if (slot != PLIM_TOK_NONE)
                __builtin_prefetch(entry_of(vocab, slot));
        }
    for (size_t i = 0; vocab->slot_count && i < count; i++) {
        if (queries[i].id != PLIM_TOK_NONE)
            continue;
        uint32_t slot = *probe(vocab, &queries[i]);
        if (slot != PLIM_TOK_NONE)
            queries[i].id = id_of(vocab, slot);
    }
}

const char *plim_vocab_text(const plim_vocab *vocab, uint32_t id, size_t *bytes)
{
    if (id >= vocab->size || !vocab->entries[id].tag)
        return NULL;
    return plim_vocab_entry_text(vocab, &vocab->entries[id], bytes);
}

/* ---- the end of loading ---- */

static void *shrink(const plim_alloc *alloc, void *ptr, size_t bytes)
{
    void *smaller = ptr && bytes ? alloc->resize(alloc, ptr, bytes, NULL) : NULL;
    return smaller ? smaller : ptr;
}

static plim_status keep_index(plim_vocab *vocab, plim_vocab_index index, plim_error *err)
{
    size_t longest = index == PLIM_INDEX_ALL ? SIZE_MAX : MAX_CHARACTER, count = 0;
    plim_delete(vocab->alloc, vocab->slots);
    vocab->slots = NULL;
    vocab->slot_count = 0;
    if (index == PLIM_INDEX_NONE)
        return PLIM_OK;
    for (uint32_t id = 0; id < vocab->size; id++)
        count += is_indexed(vocab, &vocab->entries[id], longest);
    return rebuild_index(vocab, (uint32_t)(count + vocab->alias_count) * 3 / 2 + 4, longest, err);
}

plim_status plim_vocab_finish(plim_vocab *vocab, plim_vocab_form form, plim_vocab_index index,
                              plim_error *err)
{
    plim_vocab_settle(vocab);
    vocab->text = shrink(vocab->alloc, vocab->text, vocab->text_used);
    vocab->text_cap = vocab->text_used;
    vocab->entries = shrink(vocab->alloc, vocab->entries, vocab->size * sizeof *vocab->entries);
    vocab->entry_cap = vocab->size;
    plim_status status = PLIM_OK;
    if (form == PLIM_VOCAB_BYTES)
        plim_vocab_make_bytes(vocab);
    if (index != PLIM_INDEX_ALL || form == PLIM_VOCAB_BYTES)
        status = keep_index(vocab, index, err);
    if (!status &&
        form == PLIM_VOCAB_SPACED) /* behind the index: its characters stay as they are */
        plim_vocab_make_spaced(vocab);
    return status;
}
