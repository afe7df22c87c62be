/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of a vocabulary: strings and their ids (vocab.c), pairs of ids and what they become
 * (merges.c). */
#ifndef PLIM_TOKENIZER_VOCAB_H
#define PLIM_TOKENIZER_VOCAB_H

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define PLIM_TOK_NONE       UINT32_MAX
#define PLIM_TOK_MAX_ID     ((1u << 21) - 1)
#define PLIM_TOK_MAX_MERGES ((1u << 22) - 1)

/* ---- vocab.c: strings and their ids ---- */

#define PLIM_VOCAB_INLINE 15

/* A string of up to 15 bytes lies in its entry, zeroes behind it; a longer one in plim_vocab.text.
 */
typedef struct plim_vocab_entry {
    union {
        struct {
            char text[PLIM_VOCAB_INLINE];
            uint8_t tag; /* 0: no such token; 1 + length, or LONG; and flags */
        };
        struct {
            uint32_t offset, bytes;
        } longer;
    };
} plim_vocab_entry;

#define PLIM_VOCAB_LONG     0x20
#define PLIM_VOCAB_VERBATIM 0x40 /* not of the alphabet, in a vocabulary of bytes */
#define PLIM_VOCAB_ADDED    0x80 /* an added token, see added.c */
#define PLIM_VOCAB_FLAGS    (PLIM_VOCAB_VERBATIM | PLIM_VOCAB_ADDED)

#define PLIM_VOCAB_BYTE 0x12 /* SPACED: the token of a byte beyond ASCII */

/* How strings lie in a finished vocabulary: so that decoding copies them as they are. */
typedef enum plim_vocab_form {
    PLIM_VOCAB_SPELLED, /* as the file spells them */
    PLIM_VOCAB_BYTES,   /* bytes, out of the byte-level alphabet, unless they are VERBATIM */
    PLIM_VOCAB_SPACED   /* spaces for U+2581; tokens of bytes are their byte */
} plim_vocab_form;

#define PLIM_VOCAB_LATE 16

typedef struct plim_vocab {
    const plim_alloc *alloc;
    plim_vocab_entry *entries; /* by id */
    size_t entry_cap;
    uint32_t size; /* one past the largest id */
    char *text;
    size_t text_used, text_cap;
    plim_vocab_entry *aliases; /* further strings of an id that has one */
    uint32_t *alias_ids;
    size_t alias_count, alias_cap, alias_id_cap;
    uint64_t seed;   /* of the index */
    uint32_t *slots; /* 22 bits: id, or alias; 10 bits of the hash; NONE: free */
    uint32_t slot_count;
    uint32_t count; /* distinct strings */
    size_t longest; /* bytes of the longest string */
    struct {        /* of plim_vocab_add_later: ids that are not in the index yet */
        uint64_t hash;
        uint32_t id;
    } late[PLIM_VOCAB_LATE];
    unsigned late_first, late_count;
    bool duplicate_ids;
    plim_vocab_form form;
    uint32_t byte_id[256]; /* SPACED: the tokens <0x00>.., whose string is their byte; NONE */
} plim_vocab;

static inline const char *plim_vocab_entry_text(const plim_vocab *vocab,
                                                const plim_vocab_entry *entry, size_t *bytes)
{
    if (entry->tag & PLIM_VOCAB_LONG) {
        *bytes = entry->longer.bytes;
        return vocab->text + entry->longer.offset;
    }
    *bytes = entry->tag == PLIM_VOCAB_BYTE ? 1 : (size_t)(entry->tag & ~PLIM_VOCAB_FLAGS) - 1;
    return entry->text;
}

/* A string of up to 15 bytes as it lies in its entry; reads nothing beyond it. */
typedef struct plim_vocab_key {
    uint64_t word[2];
} plim_vocab_key;

static inline plim_vocab_key plim_vocab_short_key(const char *text, size_t bytes)
{
    plim_vocab_key k = {{0, 0}};
    if (bytes >= 8) {
        memcpy(&k.word[0], text, 8);
        if (bytes > 8) {
            memcpy(&k.word[1], text + bytes - 8, 8);
            k.word[1] >>= 8 * (16 - bytes);
        }
    } else if (bytes >= 4) {
        uint32_t head, tail;
        memcpy(&head, text, 4);
        memcpy(&tail, text + bytes - 4, 4);
        k.word[0] = head | (uint64_t)tail << (8 * (bytes - 4));
    } else if (bytes) {
        const unsigned char *p = (const unsigned char *)text;
        k.word[0] = p[0] | (uint64_t)p[bytes / 2] << (8 * (bytes / 2)) |
                    (uint64_t)p[bytes - 1] << (8 * (bytes - 1));
    }
    k.word[1] |= (uint64_t)(bytes + 1) << 56;
    return k;
}

void plim_vocab_init(plim_vocab *vocab, const plim_alloc *alloc);
void plim_vocab_free(plim_vocab *vocab);
/* Before the first string: room in the index for about so many. */
plim_status plim_vocab_expect(plim_vocab *vocab, uint64_t count, plim_error *err);
/* The last id of a string wins, as in a JSON object read by Hugging Face.  id <= PLIM_TOK_MAX_ID.
 */
plim_status plim_vocab_add(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                           plim_error *err);
/* The same for many in a row, which can't be found before plim_vocab_settle: the index is written
 * when its cache line has come. */
plim_status plim_vocab_add_later(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                                 plim_error *err);
void plim_vocab_settle(plim_vocab *vocab);
/* A string that is looked up with others. */
typedef struct plim_vocab_query {
    const char *text;
    size_t bytes;
    uint32_t id;        /* in: a guess, NONE for none; out: the answer, NONE */
    plim_vocab_key key; /* plim_vocab_find_many's own */
    uint64_t hash;
} plim_vocab_query;
/* As plim_vocab_find, for several at once: their cache misses overlap. */
void plim_vocab_find_many(const plim_vocab *vocab, plim_vocab_query *queries, size_t count);
/* NONE when it is not there, or when the index was dropped by plim_vocab_finish. */
uint32_t plim_vocab_find(const plim_vocab *vocab, const char *text, size_t bytes);
/* The string of an id, not NUL-terminated, in the vocabulary's form; NULL when it has none. */
const char *plim_vocab_text(const plim_vocab *vocab, uint32_t id, size_t *bytes);
/* The string is bytes and not spelled in the alphabet. */
static inline bool plim_vocab_is_raw(const plim_vocab *vocab, uint32_t id)
{
    return vocab->form == PLIM_VOCAB_BYTES && !(vocab->entries[id].tag & PLIM_VOCAB_VERBATIM);
}

/* Which strings can still be found after loading. */
typedef enum plim_vocab_index {
    PLIM_INDEX_NONE,
    PLIM_INDEX_CHARACTERS, /* those of one character */
    PLIM_INDEX_ALL
} plim_vocab_index;
/* Shrink to what is used, and bring strings into their form.  (Strings that are not SPELLED can't
 * be added to or indexed again.) */
plim_status plim_vocab_finish(plim_vocab *vocab, plim_vocab_form form, plim_vocab_index index,
                              plim_error *err);

/* vocab_form.c */
void plim_vocab_make_bytes(plim_vocab *vocab);
/* vocab->byte_id must be set. */
void plim_vocab_make_spaced(plim_vocab *vocab);
/* Can strings be SPACED and spelled again?  Not where one has a space or, where tokens of bytes are
 * decoded (`bytes`), such a one a spelling of its own. */
bool plim_vocab_can_be_spaced(const plim_vocab *vocab, bool bytes);
/* The string as the file spells it, whatever its form: its bytes, of which at most cap are written;
 * SIZE_MAX for none. */
size_t plim_vocab_spell(const plim_vocab *vocab, uint32_t id, char *out, size_t cap);
/* The strings of ids, one behind the other to *to (16 bytes of room for each), up to the first that
 * is longer than its entry, added, or none of the form's: how many. */
size_t plim_vocab_gather(const plim_vocab *vocab, const int32_t *ids, size_t n, char **to);

/* plim_grow for arrays of megabytes: in steps of `step` elements, so that no more is touched than
 * is needed (new memory is zeroed). */
plim_status plim_grow_steps(const plim_alloc *alloc, void *array, size_t *cap, size_t need,
                            size_t size, size_t step, plim_error *err);

/* ---- merges.c: pairs of ids and what they become ---- */

/* left, right and what they become, 21 bits each, the left one on top. */
typedef uint64_t plim_merge;

static inline plim_merge plim_merge_of(uint32_t left, uint32_t right, uint32_t merged)
{
    return (uint64_t)left << 42 | (uint64_t)right << 21 | merged;
}

/* A slot is left, right and the order of the merge in one word, so that a look-up touches one cache
 * line.  Where ids rise with ranks, as in nearly all files, the order is the id of what is made
 * (and, below it, which of the merges that make it); else it is the rank. */
typedef struct plim_merges {
    uint64_t *slots; /* left, right: id_bits each; order: the rest.  All ones: free */
    uint32_t slot_count;
    uint32_t *merged; /* by rank; NULL: the id is in the order */
    uint32_t count;
    unsigned id_bits, order_bits, tie_bits;
    uint64_t seed;
} plim_merges;

/* rules[count] in the order of their rank, ids below `size`; the last of several for one pair wins.
 * The array (room for *cap) becomes the table, so both are never held: *rules is NULL after.
 * LIMIT: too many for what a slot holds. */
plim_status plim_merges_build(plim_merges *merges, const plim_alloc *alloc, plim_merge **rules,
                              size_t *cap, uint32_t count, uint32_t size, plim_error *err);
void plim_merges_free(plim_merges *merges, const plim_alloc *alloc);

static inline uint32_t plim_merges_home(const plim_merges *merges, uint64_t key)
{
    uint64_t hash = plim_fold(key ^ merges->seed, PLIM_HASH_K1);
    return (uint32_t)(((hash >> 32) * merges->slot_count) >> 32);
}

/* The order of the merge of two ids (lower comes first), NONE when there is none. */
static inline uint32_t plim_merges_order(const plim_merges *merges, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << merges->id_bits | right;
    for (uint32_t i = plim_merges_home(merges, key);; i = i + 1 == merges->slot_count ? 0 : i + 1) {
        uint64_t slot = merges->slots[i];
        if (slot >> merges->order_bits == key)
            return (uint32_t)(slot & ((1u << merges->order_bits) - 1));
        if (slot == UINT64_MAX)
            return PLIM_TOK_NONE;
    }
}

static inline void plim_merges_prefetch(const plim_merges *merges, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << merges->id_bits | right;
    __builtin_prefetch(&merges->slots[plim_merges_home(merges, key)]);
}

/* What the merge of an order makes. */
static inline uint32_t plim_merges_made(const plim_merges *merges, uint32_t order)
{
    return merges->merged ? merges->merged[order] : order >> merges->tie_bits;
}

#endif
