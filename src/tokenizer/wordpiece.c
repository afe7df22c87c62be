/* SPDX-License-Identifier: Apache-2.0
 *
 * WordPiece (the longest piece of the vocabulary that a word begins with, again and again; a word
 * that cannot be covered is unknown as a whole) and WordLevel (the word as it is). */
#include "tokenizer/internal.h"

static plim_status push_unknown(plim_run *run, size_t bytes, plim_error *err)
{
    if (run->tok->unk_id == PLIM_TOK_NONE)
        return plim_fail(err, PLIM_E_FORMAT,
                         "the text has a word that the vocabulary lacks, and the vocabulary lacks "
                         "the tokenizer's unk_token");
    return plim_run_push(run, run->tok->unk_id, bytes, err);
}

static size_t count_characters(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* The longest piece at `at`: its id and end, NONE for none. */
static uint32_t longest_piece(plim_run *run, const plim_text *piece, size_t at, size_t *end)
{
    const plim_tok *tok = run->tok;
    size_t prefix = at ? tok->wordpiece.prefix_bytes : 0, longest = tok->vocab.longest;
    char *spelled = run->bpe.spelled.data; /* the prefix, then the rest of the word */
    size_t stop = piece->bytes;
    if (prefix >= longest)
        return PLIM_TOK_NONE;
    if (stop - at > longest - prefix) {
        stop = at + longest - prefix;
        while (((unsigned char)piece->data[stop] & 0xC0) == 0x80)
            stop--;
    }
    if (prefix)
        memcpy(spelled, tok->wordpiece.prefix, prefix);
    memcpy(spelled + prefix, piece->data + at, stop - at);
    while (stop > at) {
        uint32_t id = plim_vocab_find(&tok->vocab, spelled, prefix + stop - at);
        if (id != PLIM_TOK_NONE && !plim_run_forbids(run, id)) {
            *end = stop;
            return id;
        }
        do
            stop--;
        while (((unsigned char)piece->data[stop] & 0xC0) == 0x80);
    }
    return PLIM_TOK_NONE;
}

plim_status plim_wordpiece_piece(plim_run *run, const plim_text *piece, plim_error *err)
{
    const plim_wordpiece *model = &run->tok->wordpiece;
    plim_buffer *spelled = &run->bpe.spelled;
    size_t before = run->count;
    if (piece->bytes > model->max_characters &&
        count_characters(piece->data, piece->bytes) > model->max_characters)
        return push_unknown(run, piece->bytes, err);
    plim_status status =
        plim_grow(run->alloc, &spelled->data, &spelled->cap, run->tok->vocab.longest + 1, 1, err);
    for (size_t at = 0, end; !status && at < piece->bytes; at = end) {
        uint32_t id = longest_piece(run, piece, at, &end);
        if (id == PLIM_TOK_NONE) {
            run->count = before;
            return push_unknown(run, piece->bytes, err);
        }
        status = plim_run_push(run, id, end - at, err);
    }
    return status;
}

plim_status plim_wordlevel_piece(plim_run *run, const plim_text *piece, plim_error *err)
{
    uint32_t id = plim_vocab_find(&run->tok->vocab, piece->data, piece->bytes);
    if (id != PLIM_TOK_NONE && !plim_run_forbids(run, id))
        return plim_run_push(run, id, piece->bytes, err);
    return push_unknown(run, piece->bytes, err);
}
