/* SPDX-License-Identifier: Apache-2.0
 *
 * The forms of a finished vocabulary's strings: bytes in place of the byte-level alphabet, spaces
 * in place of U+2581, so that decoding copies entries; and the way back to the file's spelling. */
#include <stdio.h>

#include "tokenizer/chain.h"

/* ---- bytes ---- */

/* text[bytes] out of the alphabet into out (bytes of room; may be text): the length, or SIZE_MAX,
 * with out in part overwritten. */
static inline size_t out_of_alphabet(const char *text, size_t bytes, char *out)
{
    size_t used = 0;
    for (size_t i = 0, length; i < bytes; i += length) {
        unsigned char byte;
        if (!(length = plim_alphabet_decode(text + i, bytes - i, &byte)))
            return SIZE_MAX;
        out[used++] = (char)byte;
    }
    return used;
}

static bool of_the_alphabet(const char *text, size_t bytes)
{
    unsigned char byte;
    for (size_t i = 0, length; i < bytes; i += length)
        if (!(length = plim_alphabet_decode(text + i, bytes - i, &byte)))
            return false;
    return true;
}

/* Are all bytes of a short string printable ASCII, which the alphabet leaves alone? */
static inline bool all_printable(const plim_vocab_key *k, unsigned bytes)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t word[2] = {k->word[0], k->word[1]};
    /* '!' for what lies behind the string */
    if (bytes < 8) {
        word[0] |= ('!' * ones) << (8 * bytes);
        word[1] = '!' * ones;
    } else {
        uint64_t behind = bytes == 8 ? ~(uint64_t)0 : ~(uint64_t)0 << (8 * bytes - 64);
        word[1] = (word[1] & ~behind) | ('!' * ones & behind);
    }
    uint64_t bad = (word[0] | word[1]) & high;
    for (int i = 0; i < 2; i++) /* of 7-bit bytes: below '!', or 0x7F */
        bad |= (~((word[i] | high) - '!' * ones) | (word[i] + ones)) & high;
    return !bad;
}

/* Most strings: ASCII, or a space (spelled in two bytes) before ASCII. */
static inline bool make_raw_ascii(plim_vocab_entry *entry)
{
    unsigned bytes = (entry->tag & ~PLIM_VOCAB_FLAGS) - 1u, flags = entry->tag & PLIM_VOCAB_FLAGS;
    plim_vocab_key k, rest;
    memcpy(&k, entry, sizeof k);
    if (all_printable(&k, bytes))
        return true;
    if (bytes < 2 || (k.word[0] & 0xFFFF) != 0xA0C4)
        return false;
    rest = (plim_vocab_key){
        {k.word[0] >> 16 | k.word[1] << 48, (k.word[1] & ~((uint64_t)0xFF << 56)) >> 16}};
    if (!all_printable(&rest, bytes - 2))
        return false;
    k = (plim_vocab_key){{rest.word[0] << 8 | ' ', rest.word[1] << 8 | rest.word[0] >> 56}};
    k.word[1] |= (uint64_t)(bytes | flags) << 56; /* one byte less, and the tag one more */
    memcpy(entry, &k, sizeof k);
    return true;
}

/* Bytes are never more than their spelling, so they fit where the string was. */
static void make_raw(plim_vocab *vocab, plim_vocab_entry *entry)
{
    char small[PLIM_VOCAB_INLINE + 1];
    const char *raw = small;
    size_t bytes, used;
    if (!entry->tag || (!(entry->tag & PLIM_VOCAB_LONG) && make_raw_ascii(entry)))
        return;
    char *text = (char *)(uintptr_t)plim_vocab_entry_text(vocab, entry, &bytes);
    if (!(entry->tag & PLIM_VOCAB_LONG)) {
        used = out_of_alphabet(text, bytes, small);
    } else {
        used = of_the_alphabet(text, bytes) ? out_of_alphabet(text, bytes, text) : SIZE_MAX;
        raw = text;
    }
    if (used == SIZE_MAX) {
        entry->tag |= PLIM_VOCAB_VERBATIM;
        vocab->longest = bytes > vocab->longest ? bytes : vocab->longest;
        return;
    }
    vocab->longest = used > vocab->longest ? used : vocab->longest;
    if (used > PLIM_VOCAB_INLINE) {
        entry->longer.bytes = (uint32_t)used;
        return;
    }
    uint8_t flags = entry->tag & PLIM_VOCAB_FLAGS;
    plim_vocab_key k = plim_vocab_short_key(raw, used);
    memcpy(entry, &k, sizeof *entry);
    entry->tag |= flags;
}

void plim_vocab_make_bytes(plim_vocab *vocab)
{
    vocab->form = PLIM_VOCAB_BYTES;
    vocab->longest = vocab->longest < PLIM_VOCAB_INLINE ? vocab->longest : PLIM_VOCAB_INLINE;
    for (uint32_t id = 0; id < vocab->size; id++)
        make_raw(vocab, &vocab->entries[id]);
    for (size_t i = 0; i < vocab->alias_count; i++)
        make_raw(vocab, &vocab->aliases[i]);
}

/* ---- spaces ---- */

static const char block[3] = "\xE2\x96\x81"; /* U+2581 */

bool plim_vocab_can_be_spaced(const plim_vocab *vocab, bool bytes_decoded)
{
    for (uint32_t id = 0; id < vocab->size; id++) {
        size_t bytes;
        const char *text = plim_vocab_text(vocab, id, &bytes);
        if (!text || vocab->entries[id].tag & PLIM_VOCAB_ADDED)
            continue;
        int byte = bytes_decoded ? plim_byte_token(text, bytes) : -1;
        if (memchr(text, ' ', bytes) || (byte >= 0 && vocab->byte_id[byte] != id))
            return false;
    }
    return true;
}

static size_t put_spaces(const char *text, size_t bytes, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes;) {
        bool space = bytes - i >= sizeof block && !memcmp(text + i, block, sizeof block);
        out[used++] = space ? ' ' : text[i];
        i += space ? sizeof block : 1;
    }
    return used;
}

static void make_spaced(plim_vocab *vocab, plim_vocab_entry *entry)
{
    char small[PLIM_VOCAB_INLINE];
    size_t bytes, used;
    if (!entry->tag || entry->tag & PLIM_VOCAB_ADDED)
        return;
    char *text = (char *)(uintptr_t)plim_vocab_entry_text(vocab, entry, &bytes);
    used = put_spaces(text, bytes, text);
    if (used > PLIM_VOCAB_INLINE) {
        entry->longer.bytes = (uint32_t)used;
        return;
    }
    memcpy(small, text, used);
    plim_vocab_key k = plim_vocab_short_key(small, used);
    memcpy(entry, &k, sizeof *entry);
}

void plim_vocab_make_spaced(plim_vocab *vocab)
{
    vocab->form = PLIM_VOCAB_SPACED;
    for (uint32_t id = 0; id < vocab->size; id++)
        make_spaced(vocab, &vocab->entries[id]);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[1] = {(char)byte};
        if (vocab->byte_id[byte] == PLIM_TOK_NONE ||
            vocab->entries[vocab->byte_id[byte]].tag & PLIM_VOCAB_ADDED)
            continue;
        plim_vocab_key k = plim_vocab_short_key(text, 1);
        memcpy(&vocab->entries[vocab->byte_id[byte]], &k, sizeof k);
        if (byte >= 0x80)
            vocab->entries[vocab->byte_id[byte]].tag = PLIM_VOCAB_BYTE;
    }
}

/* ---- back ---- */

static void put(const char *text, size_t bytes, char *out, size_t cap, size_t *used)
{
    for (size_t i = 0; i < bytes; i++, ++*used)
        if (*used < cap)
            out[*used] = text[i];
}

size_t plim_vocab_spell(const plim_vocab *vocab, uint32_t id, char *out, size_t cap)
{
    size_t bytes, used = 0;
    const char *text = plim_vocab_text(vocab, id, &bytes);
    if (!text)
        return SIZE_MAX;
    uint8_t tag = vocab->entries[id].tag;
    if (vocab->form == PLIM_VOCAB_SPACED && !(tag & PLIM_VOCAB_ADDED) && bytes == 1 &&
        vocab->byte_id[(unsigned char)*text] == id) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned char)*text);
        put(name, 6, out, cap, &used);
        return used;
    }
    for (size_t i = 0; i < bytes; i++) {
        char two[2];
        if (plim_vocab_is_raw(vocab, id)) {
            unsigned length = plim_alphabet_encode((unsigned char)text[i], two);
            put(two, length, out, cap, &used);
        } else if (vocab->form == PLIM_VOCAB_SPACED && !(tag & PLIM_VOCAB_ADDED) &&
                   text[i] == ' ') {
            put(block, sizeof block, out, cap, &used);
        } else {
            put(text + i, 1, out, cap, &used);
        }
    }
    return used;
}

/* ---- copying ---- */

size_t plim_vocab_gather(const plim_vocab *vocab, const int32_t *ids, size_t n, char **to)
{
    const plim_vocab_entry *entries = vocab->entries;
    const uint32_t size = vocab->size;
    char *out = *to;
    size_t i = 0;
    for (; i < n; i++) {
        uint32_t id = (uint32_t)ids[i];
        if (id >= size)
            break;
        uint8_t length = entries[id].tag - 1; /* what is no short string wraps or is more */
        if (length > PLIM_VOCAB_INLINE)
            break;
        memcpy(out, &entries[id], sizeof *entries);
        out += length;
    }
    *to = out;
    return i;
}
