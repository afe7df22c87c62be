/* SPDX-License-Identifier: Apache-2.0
 *
 * What spares byte-pair encoding: a cache of pieces that were met before; and cuts.
 *
 * Where a text is not pre-tokenized (SentencePiece's way) it is one piece of any length.  It is cut
 * between two characters that no merge ever joins: whatever is merged on one side then does not
 * depend on the other, so the ids are those of the whole. */
#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"
#include "tokenizer/bpe.h"

enum { SHORT_BYTES = 15 };

/* ---- the cache ---- */

plim_status plim_bpe_scratch_prepare(plim_run *run, size_t bytes, plim_error *err)
{
    enum { FROM_BYTES = 512, FEWEST = 6, MOST = 15, LINE = 64 };
    plim_bpe_scratch *s = &run->bpe;
    unsigned bits = FEWEST;
    s->bytes_seen += bytes;
    while (bits < MOST && (uint64_t)1 << bits < s->bytes_seen / 32)
        bits++;
    if (run->tok->model != PLIM_MODEL_BPE || s->bytes_seen < FROM_BYTES || bits <= s->cache_bits)
        return PLIM_OK;
    /* Two short entries in a line; a long one for every eight of them. */
    size_t lines = (size_t)1 << bits, longs = lines / 4;
    plim_delete(run->alloc, s->cache);
    s->cache_bits = 0;
    s->cache = plim_new(run->alloc, (lines + 2 * longs + 1), LINE, err);
    if (!s->cache)
        return plim_tok_nomem(err);
    uintptr_t start = ((uintptr_t)s->cache + LINE - 1) & ~(uintptr_t)(LINE - 1);
    s->short_cache = (plim_short_entry *)start;
    s->long_cache = (plim_long_entry *)(start + lines * LINE);
    s->cache_bits = bits;
    return PLIM_OK;
}

void plim_bpe_scratch_free(plim_bpe_scratch *s, const plim_alloc *alloc)
{
    plim_delete(alloc, s->cache);
    plim_delete(alloc, s->spelled.data);
    plim_delete(alloc, s->symbols.id);
    plim_delete(alloc, s->symbols.next);
    plim_delete(alloc, s->symbols.prev);
    plim_delete(alloc, s->symbols.bytes);
    plim_delete(alloc, s->symbols.heap);
    *s = (plim_bpe_scratch){0};
}

static_assert(sizeof(plim_short_entry) == 32 && sizeof(plim_long_entry) == 128, "lines");

/* The first 16 bytes at text, zero behind `bytes` (at most 15), which is the last byte. */
static inline void load_key(const char *text, size_t bytes, size_t readable, uint64_t key[2])
{
    if (__builtin_expect(readable >= 16, 1)) {
        memcpy(key, text, 16);
    } else {
        key[0] = key[1] = 0;
        memcpy(key, text, bytes);
    }
    if (bytes >= 8) {
        key[1] &= ((uint64_t)1 << (8 * bytes - 64)) - 1;
    } else {
        key[0] &= ((uint64_t)1 << (8 * bytes)) - 1;
        key[1] = 0;
    }
    key[1] |= (uint64_t)bytes << 56;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t hash = a * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32 ^ b) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 32;
}

static uint64_t hash_long(const char *text, size_t bytes)
{
    uint64_t hash = bytes, word;
    for (; bytes > 8; bytes -= 8, text += 8) {
        memcpy(&word, text, 8);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, text, bytes);
    return mix(hash, word);
}

/* A piece that the long entries hold, or will. */
static plim_status long_piece(plim_run *run, const char *text, size_t bytes, plim_error *err)
{
    if (bytes > PLIM_LONG_KEY_BYTES)
        return plim_bpe_encode(run, text, bytes, err);
    size_t at = hash_long(text, bytes) & (((size_t)1 << run->bpe.cache_bits) / 4 - 1);
    plim_long_entry *entry = &run->bpe.long_cache[at];
    plim_status status = PLIM_OK;
    if (entry->bytes == bytes && memcmp(entry->key, text, bytes) == 0) {
        for (unsigned i = 0; !status && i < entry->count; i++)
            status = plim_run_push(run, entry->ids[i], 0, err);
        return status;
    }
    size_t before = run->count;
    status = plim_bpe_encode(run, text, bytes, err);
    size_t made = run->count - before;
    if (!status && made <= PLIM_LONG_IDS &&
        (bytes > SHORT_BYTES || made > PLIM_SHORT_IDS)) { /* others have a short entry */
        entry->bytes = (uint8_t)bytes;
        entry->count = (uint8_t)made;
        memcpy(entry->key, text, bytes);
        memcpy(entry->ids, run->ids + before, made * sizeof *entry->ids);
    }
    return status;
}

/* A short piece that has no short entry: it gets one, or a long one if it has many ids. */
static plim_status fill_short(plim_run *run, plim_short_entry *pair, const uint64_t key[2],
                              const char *text, size_t bytes, plim_error *err)
{
    size_t before = run->count;
    plim_status status = long_piece(run, text, bytes, err);
    size_t made = run->count - before;
    if (status || made > PLIM_SHORT_IDS)
        return status;
    pair[1] = pair[0];
    memcpy(pair[0].key, key, sizeof pair[0].key);
    memcpy(pair[0].ids, run->ids + before, made * sizeof *pair->ids);
    pair[0].count = (uint32_t)made;
    return PLIM_OK;
}

/* An untracked piece, by the cache. */
static inline plim_status cached_piece(plim_run *run, const char *text, size_t bytes,
                                       size_t readable, plim_error *err)
{
    if (bytes > SHORT_BYTES)
        return long_piece(run, text, bytes, err);
    if (__builtin_expect(run->cap - run->count < 4, 0)) {
        plim_status status = plim_run_grow(run, run->count + 4, err);
        if (status)
            return status;
    }
    uint64_t key[2];
    load_key(text, bytes, readable, key);
    size_t line = mix(key[0], key[1]) >> (64 - run->bpe.cache_bits);
    plim_short_entry *pair = run->bpe.short_cache + 2 * line, *entry = pair;
    if (entry->key[0] != key[0] || entry->key[1] != key[1]) {
        entry++;
        if (entry->key[0] != key[0] || entry->key[1] != key[1])
            return fill_short(run, pair, key, text, bytes, err);
    }
    memcpy(run->ids + run->count, entry->ids, sizeof entry->ids);
    run->count += entry->count;
    return PLIM_OK;
}

static inline plim_status part_piece(plim_run *run, const char *text, size_t bytes, size_t readable,
                                     plim_error *err)
{
    return run->bpe.cache_bits && !run->tracked ? cached_piece(run, text, bytes, readable, err)
                                                : plim_bpe_encode(run, text, bytes, err);
}

/* ---- cutting ---- */

uint64_t plim_bpe_pair_hash(uint32_t first, uint32_t second)
{
    return mix((uint64_t)first << 32 | second, 0x5851F42D4C957F2Du);
}

/* May `first` stand before `second` inside a token? */
static bool are_joined(const plim_bpe *bpe, uint32_t first, uint32_t second)
{
    uint64_t bit = plim_bpe_pair_hash(first, second) >> (64 - bpe->joined_bits);
    return bpe->joined[bit / 64] >> (bit % 64) & 1;
}

static uint32_t code_before(const char *text, size_t at)
{
    size_t start = at - 1;
    while (start && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    uint32_t code = (unsigned char)text[start];
    if (code >= 0x80) {
        size_t bad;
        bool incomplete;
        plim_utf8_decode(text + start, at - start, &code, &bad, &incomplete);
    }
    return code;
}

#define LOWER_BLOCK 0x2581 /* what SentencePiece writes for a space */

static bool is_known(const plim_bpe *bpe, uint32_t code)
{
    return code < 0x80 ? bpe->symbol[0][code] != PLIM_TOK_NONE
                       : code == LOWER_BLOCK && bpe->block_id != PLIM_TOK_NONE;
}

/* Is there a cut between two characters?  Only where one of them is a known symbol: unknown text on
 * both sides may become one token.  Where unknown text is dropped, what stands around it becomes
 * neighbours, so both have to be known. */
static bool may_cut(const plim_bpe *bpe, uint32_t first, uint32_t second)
{
    unsigned known = is_known(bpe, first) + is_known(bpe, second);
    return known >= (bpe->drops_unknown ? 2 : 1) && !are_joined(bpe, first, second);
}

void plim_bpe_settle_cuts(plim_bpe *bpe)
{
    for (uint32_t second = 0; second <= 128; second++)
        for (uint32_t first = 0; first < 128; first++)
            if (may_cut(bpe, first, second == 128 ? LOWER_BLOCK : second))
                bpe->ascii_cuts[second][first / 64] |= (uint64_t)1 << (first % 64);
}

/* ---- where to look for cuts: before U+2581, which begins words, and on both sides of signs ----
 */

/* ASCII, and neither letter nor digit. */
static inline bool is_sign(unsigned char c)
{
    static const uint64_t words[2] = {0x03FF000000000000, 0x07FFFFFE07FFFFFE};
    return c < 0x80 && !(words[c / 64] >> (c % 64) & 1);
}

enum { BLOCK = 64 };

/* Bits of a block of text: signs, and bytes that may begin U+2581. */
typedef struct block_bits {
    uint64_t sign, lead, high;
} block_bits;

static inline block_bits look_at_some(const unsigned char *p, size_t bytes)
{
    block_bits bits = {0, 0, 0};
    for (size_t i = 0; i < bytes; i++) {
        bits.sign |= (uint64_t)is_sign(p[i]) << i;
        bits.lead |= (uint64_t)(p[i] == 0xE2) << i;
        bits.high |= (uint64_t)(p[i] >> 7) << i;
    }
    return bits;
}

#ifdef __SSE2__
static inline block_bits look_at_block(const unsigned char *p)
{
    const __m128i digits = _mm_set1_epi8((char)('0' + 128)),
                  letters = _mm_set1_epi8((char)('a' + 128));
    const __m128i ten = _mm_set1_epi8(10 - 128), twenty_six = _mm_set1_epi8(26 - 128);
    const __m128i small = _mm_set1_epi8(0x20), first = _mm_set1_epi8((char)0xE2);
    block_bits bits = {0, 0, 0};
    for (int i = 0; i < BLOCK; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        /* below 10 or 26, unsigned: compared as signed with the top bit turned */
        __m128i digit = _mm_cmplt_epi8(_mm_sub_epi8(v, digits), ten);
        __m128i letter = _mm_cmplt_epi8(_mm_sub_epi8(_mm_or_si128(v, small), letters), twenty_six);
        uint64_t word = (unsigned)_mm_movemask_epi8(_mm_or_si128(digit, letter));
        uint64_t high = (unsigned)_mm_movemask_epi8(v);
        bits.sign |= (~(word | high) & 0xFFFF) << i;
        bits.high |= high << i;
        bits.lead |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, first)) << i;
    }
    return bits;
}
#else
static inline block_bits look_at_block(const unsigned char *p)
{
    return look_at_some(p, BLOCK);
}
#endif

/* Is there a cut before text[at]? */
static inline bool is_cut(const plim_bpe *bpe, const char *text, size_t bytes, size_t at)
{
    const unsigned char *p = (const unsigned char *)text + at;
    uint32_t second = *p, row = second;
    if (second >= 0x80) {
        if (bytes - at < 3 || p[1] != 0x96 || p[2] != 0x81)
            return false;
        second = LOWER_BLOCK;
        row = 128;
    }
    return p[-1] < 0x80 ? bpe->ascii_cuts[row][p[-1] / 64] >> (p[-1] % 64) & 1
                        : may_cut(bpe, code_before(text, at), second);
}

plim_status plim_bpe_piece(plim_run *run, const plim_text *piece, plim_error *err)
{
    const plim_bpe *bpe = &run->tok->bpe;
    const char *text = piece->data;
    size_t bytes = piece->bytes, readable = piece->readable > bytes ? piece->readable : bytes;
    if (!bpe->joined)
        return part_piece(run, text, bytes, readable, err);
    plim_status status = PLIM_OK;
    size_t start = 0;
    uint64_t sign_before = 0;
    for (size_t block = 0; !status && block < bytes; block += BLOCK) {
        const unsigned char *p = (const unsigned char *)text + block;
        block_bits bits =
            bytes - block >= BLOCK ? look_at_block(p) : look_at_some(p, bytes - block);
        uint64_t places = bits.sign | bits.lead | ((bits.sign << 1 | sign_before) & ~bits.high);
        if (bytes - block < BLOCK)
            places &= ((uint64_t)1 << (bytes - block)) - 1;
        sign_before = bits.sign >> (BLOCK - 1);
        for (; places && !status; places &= places - 1) {
            size_t at = block + (size_t)__builtin_ctzll(places);
            if (at == 0 || !is_cut(bpe, text, bytes, at))
                continue;
            status = part_piece(run, text + start, at - start, readable - start, err);
            start = at;
        }
    }
    return status ? status : part_piece(run, text + start, bytes - start, readable - start, err);
}
