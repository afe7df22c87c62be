/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids back to text, whole or one by one.  The byte-level decoder is here: the bytes of all tokens,
 * read as UTF-8, of which at most three wait for the next token.  All other decoders are chains
 * (decode_chain.c) that tokens are pushed through. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"

/* ---- tokens ---- */

/* What decoding reads of a token: its text, as the vocabulary has it or (*added) as an added token
 * is written.  NULL: there is none, or it is to be left out. */
static const char *token_text(const plim_tok *tok, uint32_t id, bool skip_special, size_t *bytes,
                              bool *added)
{
    const plim_added_token *token = plim_added_by_id(&tok->added, id);
    *added = token != NULL;
    if (!token)
        return plim_vocab_text(&tok->vocab, id, bytes);
    *bytes = token->normal_bytes;
    return skip_special && token->skip ? NULL : token->normal;
}

size_t plim_tok_token(const plim_tok *tok, int32_t id, char *out, size_t cap)
{
    const plim_added_token *token = id < 0 ? NULL : plim_added_by_id(&tok->added, (uint32_t)id);
    if (id < 0 || !token)
        return id < 0 ? SIZE_MAX : plim_vocab_spell(&tok->vocab, (uint32_t)id, out, cap);
    size_t fits = token->bytes < cap ? token->bytes : cap;
    if (fits)
        memcpy(out, token->text, fits);
    return token->bytes;
}

uint32_t plim_tok_size(const plim_tok *tok)
{
    uint32_t size = tok->vocab.size, end = plim_added_end(&tok->added);
    return end > size ? end : size;
}

bool plim_tok_is_special(const plim_tok *tok, int32_t id)
{
    const plim_added_token *token = id < 0 ? NULL : plim_added_by_id(&tok->added, (uint32_t)id);
    return token && token->skip;
}

int32_t plim_tok_find(const plim_tok *tok, const char *text, size_t bytes)
{
    char spelled[PLIM_TOK_MAX_ADDED_BYTES];
    for (size_t i = 0; i < tok->added.count; i++)
        if (tok->added.items[i].bytes == bytes &&
            memcmp(tok->added.items[i].text, text, bytes) == 0)
            return (int32_t)tok->added.items[i].id;
    for (uint32_t id = 0; bytes <= sizeof spelled && id < tok->vocab.size; id++)
        if (plim_vocab_spell(&tok->vocab, id, spelled, sizeof spelled) == bytes &&
            memcmp(spelled, text, bytes) == 0)
            return (int32_t)id;
    return -1;
}

/* ---- byte level, one by one ---- */

/* Add bytes behind what is pending; ill-formed ones become U+FFFD, an unfinished character stays
 * pending. */
static plim_status put_bytes(plim_tok_decoder *decoder, plim_sink *out, const char *bytes,
                             size_t count, plim_error *err)
{
    plim_status status = PLIM_OK;
    char window[8];
    size_t at = 0;
    while (!status && at < count) {
        const char *text = bytes + at;
        size_t left = count - at, held = decoder->pending_bytes;
        size_t whole = held ? 0 : plim_utf8_first_bad(text, left);
        if (whole) {
            status = plim_sink_put(out, text, whole, err);
            at += whole;
            continue;
        }
        if (held) { /* the pending bytes and as many as a character may need more */
            left = left > 4 ? 4 : left;
            memcpy(window, decoder->pending, held);
            memcpy(window + held, text, left);
            text = window;
            left += held;
        }
        uint32_t code;
        size_t bad = 1;
        bool incomplete = false;
        size_t length = plim_utf8_decode(text, left, &code, &bad, &incomplete);
        if (!length && incomplete) {
            memcpy(decoder->pending, text, left);
            decoder->pending_bytes = (unsigned)left;
            return PLIM_OK;
        }
        decoder->pending_bytes = 0;
        if (length)
            status = plim_sink_put(out, text, length, err);
        else
            status = plim_sink_put(out, "\xEF\xBF\xBD", 3, err);
        at += (length ? length : bad) - held;
    }
    return status;
}

/* text[0..bytes) out of the alphabet, at most cap bytes of it; the length, SIZE_MAX where a
 * character is none of it. */
static size_t unspell(const char *text, size_t bytes, char *out, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0, length; i < bytes; i += length, used++) {
        unsigned char byte;
        if (!(length = plim_alphabet_decode(text + i, bytes - i, &byte)))
            return SIZE_MAX;
        if (used < cap)
            out[used] = (char)byte;
    }
    return used;
}

/* A token in the alphabet gives its bytes, one with any other character its text as it stands. */
static plim_status put_spelled(plim_tok_decoder *decoder, plim_sink *out, const char *text,
                               size_t bytes, plim_error *err)
{
    size_t used = unspell(text, bytes, NULL, 0);
    if (used == SIZE_MAX)
        return put_bytes(decoder, out, text, bytes, err);
    plim_status status =
        plim_grow(decoder->alloc, &decoder->spelled, &decoder->spelled_cap, used + 1, 1, err);
    if (status)
        return status;
    unspell(text, bytes, decoder->spelled, used);
    return put_bytes(decoder, out, decoder->spelled, used, err);
}

/* ---- byte level, whole ---- */

/* A token that does not lie in its entry, or is spelled in the alphabet. */
static plim_status put_other(const plim_tok *tok, plim_sink *out, char **to, int32_t id,
                             bool skip_special, plim_error *err)
{
    size_t bytes;
    bool added;
    if (id < 0)
        return plim_fail(err, PLIM_E_USAGE, "token id %d is negative", (int)id);
    const char *text = token_text(tok, (uint32_t)id, skip_special, &bytes, &added);
    plim_status status = text ? plim_sink_reserve(out, to, bytes, err) : PLIM_OK;
    if (status || !text)
        return status;
    bool raw = !added && plim_vocab_is_raw(&tok->vocab, (uint32_t)id);
    size_t used = raw ? SIZE_MAX : unspell(text, bytes, *to, bytes);
    if (used == SIZE_MAX)
        memcpy(*to, text, bytes);
    *to += used == SIZE_MAX ? bytes : used;
    return PLIM_OK;
}

static plim_status gather(const plim_tok *tok, plim_sink *out, const int32_t *ids, size_t n,
                          bool skip_special, plim_error *err)
{
    enum { BLOCK = 512, USUAL_BYTES = 5 }; /* of a token */
    char *to = NULL;
    plim_status status = plim_sink_reserve(out, &to, USUAL_BYTES * n, err);
    for (size_t i = 0; !status && i < n;) {
        size_t block = n - i < BLOCK ? n - i : BLOCK;
        if ((status = plim_sink_reserve(out, &to, sizeof(plim_vocab_entry) * block, err)))
            break;
        if (tok->vocab.form == PLIM_VOCAB_BYTES)
            i += block = plim_vocab_gather(&tok->vocab, ids + i, block, &to);
        if (i < n)
            status = put_other(tok, out, &to, ids[i++], skip_special, err);
    }
    out->used = to ? (size_t)(to - out->data) : 0;
    return status;
}

/* Ill-formed bytes from `bad` on become U+FFFD: *text and *bytes are replaced. */
static plim_status repair(const plim_alloc *alloc, char **text, size_t *bytes, size_t bad,
                          plim_error *err)
{
    plim_sink out = {.alloc = alloc};
    plim_tok_decoder stream = {0}; /* for its pending bytes */
    plim_status status = plim_sink_put(&out, *text, bad, err);
    if (!status)
        status = put_bytes(&stream, &out, *text + bad, *bytes - bad, err);
    if (!status && stream.pending_bytes)
        status = plim_sink_put(&out, "\xEF\xBF\xBD", 3, err);
    if (!status)
        status = plim_sink_put(&out, "", 1, err);
    plim_delete(alloc, *text);
    *text = out.data;
    *bytes = status ? 0 : out.used - 1;
    if (status) {
        plim_delete(alloc, out.data);
        *text = NULL;
    }
    return status;
}

static plim_status decode_byte_level(const plim_tok *tok, const plim_alloc *alloc,
                                     const int32_t *ids, size_t n, bool skip_special, char **text,
                                     size_t *bytes, plim_error *err)
{
    plim_sink out = {.alloc = alloc};
    plim_status status = gather(tok, &out, ids, n, skip_special, err);
    if (status) {
        plim_delete(alloc, out.data);
        return status;
    }
    out.data[out.used] = 0;
    *text = out.data;
    *bytes = out.used;
    size_t bad = plim_utf8_first_bad(out.data, out.used);
    return bad < out.used ? repair(alloc, text, bytes, bad, err) : PLIM_OK;
}

/* ---- one by one ---- */

static plim_status put_token(plim_tok_decoder *decoder, plim_sink *out, int32_t id, plim_error *err)
{
    const plim_tok *tok = decoder->tok;
    size_t bytes;
    bool added;
    if (id < 0)
        return plim_fail(err, PLIM_E_USAGE, "token id %d is negative", (int)id);
    const char *text = token_text(tok, (uint32_t)id, decoder->skip_special, &bytes, &added);
    plim_status status;
    if (!text)
        return PLIM_OK;
    if (plim_chain_is_byte_level(tok->decoder))
        return !added && plim_vocab_is_raw(&tok->vocab, (uint32_t)id)
                   ? put_bytes(decoder, out, text, bytes, err)
                   : put_spelled(decoder, out, text, bytes, err);
    if (!decoder->state &&
        (status = plim_chain_state_open(&decoder->state, tok->decoder, decoder->alloc, err)))
        return status;
    if (!added && tok->vocab.form != PLIM_VOCAB_SPELLED) {
        size_t length = plim_vocab_spell(&tok->vocab, (uint32_t)id, NULL, 0);
        if ((status = plim_grow(decoder->alloc, &decoder->spelled, &decoder->spelled_cap,
                                length + 1, 1, err)))
            return status;
        plim_vocab_spell(&tok->vocab, (uint32_t)id, decoder->spelled, length);
        text = decoder->spelled;
        bytes = length;
    }
    return plim_chain_push(decoder->state, text, bytes, out, err);
}

/* A character that was never completed is one U+FFFD. */
static plim_status put_rest(plim_tok_decoder *decoder, plim_sink *out, plim_error *err)
{
    bool pending = decoder->pending_bytes != 0;
    decoder->pending_bytes = 0;
    if (decoder->state)
        return plim_chain_flush(decoder->state, out, err);
    return pending ? plim_sink_put(out, "\xEF\xBF\xBD", 3, err) : PLIM_OK;
}

/* A NUL behind it. */
static plim_status finish(plim_sink *out, plim_error *err)
{
    plim_status status = plim_sink_put(out, "", 1, err);
    out->used -= !status;
    return status;
}

void plim_tok_decoder_init(plim_tok_decoder *decoder, const plim_tok *tok, const plim_alloc *alloc,
                           bool skip_special)
{
    *decoder = (plim_tok_decoder){.tok = tok, .alloc = alloc, .skip_special = skip_special};
}

plim_status plim_tok_decoder_reserve(plim_tok_decoder *decoder, plim_error *err)
{
    const plim_tok *tok = decoder->tok;
    size_t longest = tok->vocab.longest, most;
    for (size_t i = 0; i < tok->added.count; i++)
        if (tok->added.items[i].normal_bytes > longest)
            longest = tok->added.items[i].normal_bytes;
    plim_status status = plim_grow(decoder->alloc, &decoder->spelled, &decoder->spelled_cap,
                                   2 * longest + 1, 1, err);
    most = 3 * (longest + 3); /* each byte, and three that were pending, may become a U+FFFD */
    if (!status && !plim_chain_is_byte_level(tok->decoder)) {
        if (!decoder->state)
            status = plim_chain_state_open(&decoder->state, tok->decoder, decoder->alloc, err);
        if (!status)
            status = plim_chain_state_reserve(decoder->state, 2 * longest, &most, err);
    }
    if (status)
        return status;
    return plim_grow(decoder->alloc, &decoder->buffer, &decoder->buffer_cap, most + 2, 1, err);
}

/* What put_token or put_rest wrote into `out` is the answer. */
static plim_status answer(plim_tok_decoder *decoder, plim_status status, plim_sink *out,
                          const char **text, size_t *bytes, plim_error *err)
{
    if (!status)
        status = finish(out, err);
    decoder->buffer = out->data;
    decoder->buffer_cap = out->cap;
    *text = status ? "" : out->data;
    *bytes = status ? 0 : out->used;
    return status;
}

plim_status plim_tok_decoder_push(plim_tok_decoder *decoder, int32_t id, const char **text,
                                  size_t *bytes, plim_error *err)
{
    plim_sink out = {.alloc = decoder->alloc, .data = decoder->buffer, .cap = decoder->buffer_cap};
    return answer(decoder, put_token(decoder, &out, id, err), &out, text, bytes, err);
}

plim_status plim_tok_decoder_flush(plim_tok_decoder *decoder, const char **text, size_t *bytes,
                                   plim_error *err)
{
    plim_sink out = {.alloc = decoder->alloc, .data = decoder->buffer, .cap = decoder->buffer_cap};
    return answer(decoder, put_rest(decoder, &out, err), &out, text, bytes, err);
}

void plim_tok_decoder_free(plim_tok_decoder *decoder)
{
    plim_chain_state_close(&decoder->state);
    plim_delete(decoder->alloc, decoder->spelled);
    plim_delete(decoder->alloc, decoder->buffer);
    decoder->spelled = decoder->buffer = NULL;
    decoder->spelled_cap = decoder->buffer_cap = 0;
}

/* ---- whole ---- */

plim_status plim_tok_decode(const plim_tok *tok, const plim_alloc *scratch, const int32_t *ids,
                            size_t n, bool skip_special, char **text, size_t *bytes,
                            plim_error *err)
{
    plim_error local = {0};
    err = err ? err : &local;
    *text = NULL;
    *bytes = 0;
    if (plim_chain_is_byte_level(tok->decoder))
        return decode_byte_level(tok, scratch, ids, n, skip_special, text, bytes, err);
    if (tok->vocab.form == PLIM_VOCAB_SPACED)
        return plim_chain_decode_usual(tok, scratch, ids, n, skip_special, text, bytes, err);
    plim_tok_decoder decoder;
    plim_sink out = {.alloc = scratch};
    plim_tok_decoder_init(&decoder, tok, scratch, skip_special);
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < n; i++)
        status = put_token(&decoder, &out, ids[i], err);
    if (!status)
        status = put_rest(&decoder, &out, err);
    if (!status)
        status = finish(&out, err);
    plim_tok_decoder_free(&decoder);
    if (status) {
        plim_delete(scratch, out.data);
        return status;
    }
    *text = out.data;
    *bytes = out.used;
    return PLIM_OK;
}
