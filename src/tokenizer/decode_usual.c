/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole lists of ids through the chains that most SentencePiece models have (plim_usual in
 * chain.h): token by token into the answer, 16 bytes at a time, for a string of up to 15 bytes lies
 * in its entry of the vocabulary. */
#include "base/utf8.h"
#include "tokenizer/chain.h"

typedef struct gathering {
    const plim_tok *tok;
    plim_usual usual;
    uint64_t find, find_mask,
        first;         /* what stands for a space: its bytes; its first byte, 8 times */
    unsigned narrower; /* bits that a space saves */
    bool begun;        /* a token came already */
    char *run;         /* where a run of bytes began, NULL: there is none */
    char *to;
} gathering;

bool plim_chain_is_usual(const plim_tok *tok)
{
    return tok->decoder && tok->decoder->usual.on && !tok->vocab.raw;
}

/* A token's text, NULL where there is none or it is to be left out. */
static const char *token_text(const plim_tok *tok, uint32_t id, bool skip_special, size_t *bytes)
{
    const plim_added_token *token = plim_added_by_id(&tok->added, id);
    if (!token)
        return plim_vocab_text(&tok->vocab, id, bytes);
    *bytes = token->normal_bytes;
    return skip_special && token->skip ? NULL : token->normal;
}

/* The run of bytes is text as a whole, or each byte is U+FFFD. */
static void end_run(gathering *g)
{
    size_t bytes = (size_t)(g->to - g->run);
    if (!plim_utf8_valid(g->run, bytes)) {
        g->to = g->run;
        for (; bytes; bytes--) {
            memcpy(g->to, "\xEF\xBF\xBD", 3);
            g->to += 3;
        }
    }
    g->run = NULL;
}

/* Text with spaces for what stands for them (with `drop` nothing): the end. */
static char *put_text(const plim_usual *usual, const char *text, size_t bytes, bool drop, char *to)
{
    size_t width = usual->find.bytes;
    for (size_t i = 0; i < bytes;) {
        if (width && bytes - i >= width && !memcmp(text + i, usual->find.data, width)) {
            if (!drop)
                *to++ = ' ';
            i += width;
        } else {
            *to++ = text[i++];
        }
    }
    return to;
}

/* Any token. */
static void put(gathering *g, const char *text, size_t bytes)
{
    int byte = g->usual.bytes ? plim_byte_token(text, bytes) : -1;
    if (byte >= 0) {
        g->run = g->run ? g->run : g->to;
        *g->to++ = (char)byte;
        return;
    }
    if (g->run)
        end_run(g);
    g->to = put_text(&g->usual, text, bytes, g->usual.drops_first && !g->begun, g->to);
    g->begun = true;
}

static inline bool has_byte(uint64_t word, uint64_t eight_times)
{
    uint64_t zero = word ^ eight_times;
    return (zero - 0x0101010101010101u) & ~zero & 0x8080808080808080u;
}

enum { BYTE_TOKEN = 0x78303C }; /* <0x */

static inline bool is_short(const plim_vocab_entry *entry)
{
    return (uint8_t)(entry->tag - 1) <= PLIM_VOCAB_INLINE;
}

static inline bool begins_like_byte(const plim_vocab_entry *entry)
{
    uint32_t word;
    memcpy(&word, entry, sizeof word);
    return (word & 0xFFFFFF) == BYTE_TOKEN;
}

/* ids[0] begins like a byte's token: text, or the first of a run of ASCII bytes that ends within
 * the block, goes to *to.  How many ids that were, 0 for what is neither. */
static size_t put_bytes(const gathering *g, const int32_t *ids, size_t n, char **to)
{
    const plim_vocab *vocab = &g->tok->vocab;
    char *at = *to;
    for (size_t i = 0; i < n && (uint32_t)ids[i] < vocab->size; i++) {
        const plim_vocab_entry *entry = &vocab->entries[ids[i]];
        int byte = -1;
        if (!is_short(entry))
            return 0;
        if (begins_like_byte(entry) && g->usual.bytes)
            byte = plim_byte_token(entry->text, entry->tag - 1u);
        if (byte >= 0x80)
            return 0;
        if (byte >= 0) {
            *at++ = (char)byte;
            continue;
        }
        *to = i ? at : put_text(&g->usual, entry->text, entry->tag - 1u, false, at);
        return i ? i : 1;
    }
    return 0;
}

/* Short strings of a block of ids, 16 bytes each; how many, for another token ends it.  There is
 * room for all of them.  (Little-endian, as all processors this is for.) */
static size_t put_short(gathering *g, const int32_t *ids, size_t n)
{
    const plim_vocab_entry *entries = g->tok->vocab.entries;
    const uint64_t find = g->find, find_mask = g->find_mask, first = g->first;
    const uint32_t size = g->tok->vocab.size;
    char *to = g->to;
    size_t i = 0;
    for (; i < n; i++) {
        uint32_t id = (uint32_t)ids[i];
        uint64_t word[2];
        if (id >= size)
            break;
        memcpy(word, &entries[id], sizeof word);
        uint64_t bytes = (word[1] >> 56) - 1;
        uint64_t space = find_mask && (word[0] & find_mask) == find ? ~(uint64_t)0 : 0;
        if (bytes > PLIM_VOCAB_INLINE)
            break;
        if ((word[0] & 0xFFFFFF) == BYTE_TOKEN) {
            size_t put = put_bytes(g, ids + i, n - i, &to);
            if (!put)
                break;
            i += put - 1;
            continue;
        }
        if (has_byte(word[0] & ~(space & 0xFF), first) || has_byte(word[1], first)) {
            to = put_text(&g->usual, entries[id].text, bytes, false, to);
            continue;
        }
        unsigned narrower = g->narrower & (unsigned)space;
        uint64_t low = word[0] >> narrower | word[1] << 1 << (63 - narrower);
        word[0] = (low & ~(space & 0xFF)) | (space & ' ');
        word[1] >>= narrower;
        memcpy(to, word, sizeof word);
        to += bytes - narrower / 8;
    }
    g->to = to;
    return i;
}

static gathering begin(const plim_tok *tok)
{
    gathering g = {.tok = tok, .usual = tok->decoder->usual};
    size_t width = g.usual.find.bytes;
    memcpy(&g.find, g.usual.find.data ? g.usual.find.data : "", width);
    g.find_mask = ((uint64_t)1 << (8 * width)) - 1;
    g.first = (width ? (unsigned char)g.usual.find.data[0] : 0xFFu) * 0x0101010101010101u;
    g.narrower = width ? 8 * (unsigned)(width - 1) : 0;
    g.begun = !g.usual.drops_first;
    return g;
}

/* How much of the text's start Strip takes. */
static size_t stripped(const plim_link *strip, const char *text, size_t bytes)
{
    size_t at = 0, width = strip->find.bytes;
    for (uint64_t i = 0;
         i < strip->start && bytes - at >= width && !memcmp(text + at, strip->find.data, width);
         i++)
        at += width;
    return at;
}

/* Room for `bytes` more, and an entry behind them. */
static plim_status reserve(gathering *g, plim_sink *out, size_t bytes, plim_error *err)
{
    size_t used = g->to ? (size_t)(g->to - out->data) : 0,
           run = g->run ? (size_t)(g->run - out->data) : 0;
    if (g->to && out->cap - used >= bytes + sizeof(plim_vocab_entry))
        return PLIM_OK;
    plim_status status = plim_grow(out->alloc, &out->data, &out->cap,
                                   used + bytes + sizeof(plim_vocab_entry), 1, err);
    if (status)
        return status;
    g->to = out->data + used;
    g->run = g->run ? out->data + run : NULL;
    return PLIM_OK;
}

static plim_status put_all(gathering *g, plim_sink *out, const int32_t *ids, size_t n,
                           bool skip_special, plim_error *err)
{
    enum { BLOCK = 256 };
    /* 3 bytes for each of a run, should it turn out to be none */
    plim_status status = reserve(g, out, 4 * n, err);
    for (size_t i = 0; !status && i < n;) {
        size_t bytes = 0, block = n - i < BLOCK ? n - i : BLOCK;
        if ((status = reserve(g, out, 16 * block, err)))
            break;
        if (g->begun && !g->run)
            i += block = put_short(g, ids + i, block);
        if (i == n)
            break;
        if (ids[i] < 0)
            return plim_fail(err, PLIM_E_USAGE, "token id %d is negative", (int)ids[i]);
        const char *token = token_text(g->tok, (uint32_t)ids[i++], skip_special, &bytes);
        if (!token)
            continue;
        size_t run = g->run ? (size_t)(g->to - g->run) : 0;
        if (!(status = reserve(g, out, bytes + 3 * run + 3, err)))
            put(g, token, bytes);
    }
    if (!status && g->run && !(status = reserve(g, out, 3 * (size_t)(g->to - g->run), err)))
        end_run(g);
    return status;
}

plim_status plim_chain_decode_usual(const plim_tok *tok, const plim_alloc *alloc,
                                    const int32_t *ids, size_t n, bool skip_special, char **text,
                                    size_t *bytes, plim_error *err)
{
    gathering g = begin(tok);
    plim_sink out = {.alloc = alloc};
    plim_status status = put_all(&g, &out, ids, n, skip_special, err);
    if (status) {
        plim_delete(alloc, out.data);
        return status;
    }
    size_t used = (size_t)(g.to - out.data);
    if (g.usual.strip) {
        size_t cut = stripped(g.usual.strip, out.data, used);
        memmove(out.data, out.data + cut, cut ? used - cut : 0);
        used -= cut;
    }
    out.data[used] = 0;
    *text = out.data;
    *bytes = used;
    return PLIM_OK;
}
