/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids back to text, whole or one by one: the whole is the stream of its tokens.  A token of the
 * byte-level alphabet gives its bytes, one with any other character gives its text as it stands;
 * the bytes are read as UTF-8, at most three of them wait for the next token. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"

const char *plim_tok_token(const plim_tok *tok, int32_t id, size_t *bytes)
{
    size_t length = 0;
    const char *text = NULL;
    const plim_added_token *token = id < 0 ? NULL : plim_added_by_id(&tok->added, (uint32_t)id);
    if (token) {
        text = token->text;
        length = token->bytes;
    } else if (id >= 0) {
        text = plim_vocab_text(&tok->vocab, (uint32_t)id, &length);
    }
    if (bytes)
        *bytes = length;
    return text;
}

uint32_t plim_tok_size(const plim_tok *tok)
{
    uint32_t size = tok->vocab.size;
    if (tok->added.count && tok->added.items[tok->added.count - 1].id >= size)
        size = tok->added.items[tok->added.count - 1].id + 1;
    return size;
}

bool plim_tok_is_special(const plim_tok *tok, int32_t id)
{
    const plim_added_token *token = id < 0 ? NULL : plim_added_by_id(&tok->added, (uint32_t)id);
    return token && token->skip;
}

int32_t plim_tok_find(const plim_tok *tok, const char *text, size_t bytes)
{
    for (size_t i = 0; i < tok->added.count; i++)
        if (tok->added.items[i].bytes == bytes &&
            memcmp(tok->added.items[i].text, text, bytes) == 0)
            return (int32_t)tok->added.items[i].id;
    for (uint32_t id = 0; id < tok->vocab.size; id++) {
        size_t length;
        const char *have = plim_vocab_text(&tok->vocab, id, &length);
        if (have && length == bytes && memcmp(have, text, bytes) == 0)
            return (int32_t)id;
    }
    return -1;
}

/* ---- bytes into whole characters ---- */

typedef struct sink {
    const plim_alloc *alloc;
    char **data;
    size_t *cap;
    size_t used;
} sink;

static plim_status sink_put(sink *out, const char *text, size_t bytes, plim_error *err)
{
    plim_status status = plim_grow(out->alloc, out->data, out->cap, out->used + bytes + 1, 1, err);
    if (status)
        return status;
    memcpy(*out->data + out->used, text, bytes);
    out->used += bytes;
    return PLIM_OK;
}

/* Add bytes behind what is pending; ill-formed ones become U+FFFD, an unfinished character stays
 * pending. */
static plim_status put_bytes(plim_tok_decoder *decoder, sink *out, const unsigned char *bytes,
                             size_t count, plim_error *err)
{
    plim_status status = PLIM_OK;
    char window[8];
    size_t at = 0;
    while (!status && (at < count)) {
        const char *text = (const char *)bytes + at;
        size_t left = count - at, held = decoder->pending_bytes;
        size_t whole = held ? 0 : plim_utf8_first_bad(text, left);
        if (whole) {
            status = sink_put(out, text, whole, err);
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
            status = sink_put(out, text, length, err);
        else
            status = sink_put(out, "\xEF\xBF\xBD", 3, err);
        at += (length ? length : bad) - held;
    }
    return status;
}

/* The bytes that a token stands for; its own text where a character is none of the alphabet. */
static plim_status put_byte_level(plim_tok_decoder *decoder, sink *out, const char *text,
                                  size_t bytes, plim_error *err)
{
    unsigned char byte;
    for (size_t i = 0, length; i < bytes; i += length)
        if (!(length = plim_alphabet_decode(text + i, bytes - i, &byte)))
            return put_bytes(decoder, out, (const unsigned char *)text, bytes, err);
    unsigned char block[256];
    size_t used = 0;
    for (size_t i = 0; i < bytes;) {
        i += plim_alphabet_decode(text + i, bytes - i, &block[used++]);
        if (used == sizeof block || i == bytes) {
            plim_status status = put_bytes(decoder, out, block, used, err);
            if (status)
                return status;
            used = 0;
        }
    }
    return PLIM_OK;
}

static plim_status put_token(plim_tok_decoder *decoder, sink *out, int32_t id, plim_error *err)
{
    const plim_tok *tok = decoder->tok;
    if (id < 0)
        return plim_fail(err, PLIM_E_USAGE, "token id %d is negative", (int)id);
    size_t bytes;
    const char *text;
    const plim_added_token *token = plim_added_by_id(&tok->added, (uint32_t)id);
    if (token) {
        if (decoder->skip_special && token->skip)
            return PLIM_OK;
        text = token->normal;
        bytes = token->normal_bytes;
    } else if (!(text = plim_vocab_text(&tok->vocab, (uint32_t)id, &bytes))) {
        return PLIM_OK;
    }
    plim_status status = PLIM_OK;
    if (tok->decoder == PLIM_DECODE_BYTE_LEVEL)
        return put_byte_level(decoder, out, text, bytes, err);
    if (tok->decoder == PLIM_DECODE_SPACES && decoder->started)
        status = sink_put(out, " ", 1, err);
    decoder->started = true;
    return status ? status : sink_put(out, text, bytes, err);
}

/* A character that was never completed is one U+FFFD. */
static plim_status put_rest(plim_tok_decoder *decoder, sink *out, plim_error *err)
{
    bool pending = decoder->pending_bytes != 0;
    decoder->pending_bytes = 0;
    decoder->started = false;
    return pending ? sink_put(out, "\xEF\xBF\xBD", 3, err) : PLIM_OK;
}

static plim_status finish(sink *out, plim_error *err)
{
    plim_status status = sink_put(out, "", 0, err);
    if (!status)
        (*out->data)[out->used] = 0;
    return status;
}

/* ---- whole ---- */

plim_status plim_tok_decode(const plim_tok *tok, const plim_alloc *scratch, const int32_t *ids,
                            size_t n, bool skip_special, char **text, size_t *bytes,
                            plim_error *err)
{
    plim_tok_decoder decoder;
    size_t cap = 0;
    char *data = NULL;
    sink out = {.alloc = scratch, .data = &data, .cap = &cap};
    *text = NULL;
    *bytes = 0;
    plim_tok_decoder_init(&decoder, tok, scratch, skip_special);
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < n; i++)
        status = put_token(&decoder, &out, ids[i], err);
    if (!status)
        status = put_rest(&decoder, &out, err);
    if (!status)
        status = finish(&out, err);
    if (status) {
        plim_delete(scratch, data);
        return status;
    }
    *text = data;
    *bytes = out.used;
    return PLIM_OK;
}

/* ---- one by one ---- */

void plim_tok_decoder_init(plim_tok_decoder *decoder, const plim_tok *tok, const plim_alloc *alloc,
                           bool skip_special)
{
    *decoder = (plim_tok_decoder){.tok = tok, .alloc = alloc, .skip_special = skip_special};
}

plim_status plim_tok_decoder_reserve(plim_tok_decoder *decoder, plim_error *err)
{
    const plim_added *added = &decoder->tok->added;
    size_t longest = decoder->tok->vocab.longest;
    for (size_t i = 0; i < added->count; i++)
        if (added->items[i].normal_bytes > longest)
            longest = added->items[i].normal_bytes;
    /* each byte, and three that were pending, may become a U+FFFD; a space, the NUL */
    return plim_grow(decoder->alloc, &decoder->buffer, &decoder->buffer_cap, 3 * (longest + 3) + 2,
                     1, err);
}

plim_status plim_tok_decoder_push(plim_tok_decoder *decoder, int32_t id, const char **text,
                                  size_t *bytes, plim_error *err)
{
    sink out = {.alloc = decoder->alloc, .data = &decoder->buffer, .cap = &decoder->buffer_cap};
    *text = "";
    *bytes = 0;
    plim_status status = put_token(decoder, &out, id, err);
    if (status || (status = finish(&out, err)))
        return status;
    *text = decoder->buffer;
    *bytes = out.used;
    return PLIM_OK;
}

plim_status plim_tok_decoder_flush(plim_tok_decoder *decoder, const char **text, size_t *bytes,
                                   plim_error *err)
{
    sink out = {.alloc = decoder->alloc, .data = &decoder->buffer, .cap = &decoder->buffer_cap};
    *text = "";
    *bytes = 0;
    plim_status status = put_rest(decoder, &out, err);
    if (status || (status = finish(&out, err)))
        return status;
    *text = decoder->buffer;
    *bytes = out.used;
    return PLIM_OK;
}

void plim_tok_decoder_free(plim_tok_decoder *decoder)
{
    plim_delete(decoder->alloc, decoder->buffer);
    decoder->buffer = NULL;
    decoder->buffer_cap = 0;
}
