/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding from end to end: added tokens are cut out of the raw text, what is left is normalised,
 * added tokens that are looked for in normalised text are cut out of that, the rest is
 * pre-tokenized and handed to the model piece by piece; then what the post-processor adds is laid
 * around. Also the scratch of a caller. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"

/* ---- scratch ---- */

plim_status plim_tok_scratch_open(plim_tok_scratch **out, const plim_tok *tok,
                                  const plim_alloc *alloc, plim_error *err)
{
    plim_error local = {0};
    err = err ? err : &local;
    *out = NULL;
    plim_run *run = plim_new(alloc, 1, sizeof *run, err);
    if (!run)
        return plim_tok_nomem(err);
    run->tok = tok;
    run->alloc = alloc;
    plim_status status = plim_matcher_open(&run->matcher, alloc, err);
    if (status)
        plim_tok_scratch_close(&run);
    *out = run;
    return status;
}

void plim_tok_scratch_close(plim_tok_scratch **scratch)
{
    plim_run *run = *scratch;
    if (!run)
        return;
    const plim_alloc *alloc = run->alloc;
    plim_matcher_close(&run->matcher);
    plim_delete(alloc, run->ids);
    plim_delete(alloc, run->spans);
    plim_buffer_free(alloc, &run->repaired);
    plim_normal_scratch_free(&run->normal, alloc);
    for (unsigned i = 0; i < PLIM_TOK_MAX_STEPS; i++)
        plim_buffer_free(alloc, &run->step[i]);
    plim_buffer_free(alloc, &run->bytes);
    plim_bpe_scratch_free(&run->bpe, alloc);
    plim_lattice_free(&run->lattice, alloc);
    plim_delete(alloc, run);
    *scratch = NULL;
}

plim_status plim_buffer_reserve(plim_run *run, plim_buffer *buffer, size_t bytes, plim_error *err)
{
    plim_status status = plim_grow(run->alloc, &buffer->data, &buffer->cap, bytes, 1, err);
    if (!status && run->tracked)
        status = plim_grow(run->alloc, &buffer->source, &buffer->source_cap, bytes,
                           sizeof *buffer->source, err);
    return status;
}

void plim_buffer_free(const plim_alloc *alloc, plim_buffer *buffer)
{
    plim_delete(alloc, buffer->data);
    plim_delete(alloc, buffer->source);
    *buffer = (plim_buffer){0};
}

plim_status plim_run_grow(plim_run *run, size_t need, plim_error *err)
{
    plim_status status = plim_grow(run->alloc, &run->ids, &run->cap, need, sizeof *run->ids, err);
    if (!status && run->tracked)
        status = plim_grow(run->alloc, &run->spans, &run->span_cap, need, sizeof *run->spans, err);
    return status;
}

/* ---- the caller's text ---- */

/* The text as valid UTF-8: every ill-formed sequence is U+FFFD.  In a tracked call each byte learns
 * which character of the caller's text it belongs to. */
static plim_status take_text(plim_run *run, const char *text, size_t bytes, plim_text *out,
                             plim_error *err)
{
    size_t bad_at = plim_utf8_first_bad(text, bytes), used = 0;
    *out = (plim_text){.data = text, .bytes = bytes, .at_start = true};
    if (bytes >= UINT32_MAX / 4)
        return plim_fail(err, PLIM_E_LIMIT, "a text of %zu bytes, the limit is 1 GiB", bytes);
    if (bad_at == bytes && !run->tracked)
        return PLIM_OK;
    plim_buffer *buffer = &run->repaired;
    plim_status status = plim_buffer_reserve(run, buffer, 3 * bytes, err);
    if (status)
        return status;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        size_t bad = 1;
        bool incomplete;
        size_t length = plim_utf8_decode(text + at, bytes - at, &code, &bad, &incomplete);
        size_t made = length;
        if (length)
            memcpy(buffer->data + used, text + at, length);
        else
            made = plim_utf8_encode(PLIM_UTF8_REPLACEMENT, buffer->data + used);
        length = length ? length : bad;
        for (size_t i = 0; run->tracked && i < made; i++)
            buffer->source[used + i] = (plim_source){(uint32_t)at, (uint32_t)(at + length)};
        used += made;
        at += length;
    }
    out->data = buffer->data;
    out->bytes = used;
    out->source = run->tracked ? buffer->source : NULL;
    return PLIM_OK;
}

bool plim_run_is_literal(const plim_run *run, const plim_text *text, size_t begin, size_t end)
{
    if (!run->literal_count || !text->source || begin == end)
        return false;
    size_t first = text->source[begin].begin, last = text->source[end - 1].end;
    size_t low = 0, high = run->literal_count;
    while (low < high) { /* the first range that ends after `first` */
        size_t middle = low + (high - low) / 2;
        if (run->literal[middle].end <= first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->literal_count && run->literal[low].begin < last;
}

bool plim_run_forbids(const plim_run *run, uint32_t id)
{
    if (!run->no_special)
        return false;
    const plim_added_token *token = plim_added_by_id(&run->tok->added, id);
    return token && plim_added_is_special(token);
}

/* ---- pieces ---- */

static plim_tok_span source_of(const plim_text *piece, size_t begin, size_t end)
{
    size_t last = piece->bytes - 1;
    begin = begin < last ? begin : last;
    end = end > begin + 1 ? end - 1 : begin;
    return (plim_tok_span){piece->source[begin].begin, piece->source[end < last ? end : last].end};
}

/* A place in a piece, and where it is spelled in the alphabet. */
typedef struct place {
    size_t byte, spelled;
} place;

/* The byte of which text[at] of the spelling is a part; places are asked for in ascending order. */
static size_t spelled_index(place *p, const plim_text *piece, size_t at)
{
    while (p->byte < piece->bytes && at >= p->spelled + plim_alphabet_bytes(piece->data[p->byte]))
        p->spelled += plim_alphabet_bytes(piece->data[p->byte++]);
    return p->byte;
}

/* Counts of bytes of the spelling in the alphabet.  HF adds them up, so what follows a dropped byte
 * gets the range of what stands before. */
static void settle_spelled(plim_run *run, const plim_text *piece, size_t from)
{
    size_t at = 0;
    place p = {0, 0};
    for (size_t i = from; i < run->count; i++) {
        size_t end = at + run->spans[i].end, first = spelled_index(&p, piece, at);
        size_t last = spelled_index(&p, piece, end > at ? end - 1 : at);
        run->spans[i] = source_of(piece, first, last + 1);
        at = end;
    }
}

/* Counts of bytes into ranges of the caller's text. */
static void settle_spans(plim_run *run, const plim_text *piece, size_t from)
{
    size_t at = 0;
    if (run->tok->byte_pieces) {
        settle_spelled(run, piece, from);
        return;
    }
    for (size_t i = from; i < run->count; i++) {
        if (run->spans[i].end == PLIM_RUN_SAME && i > from) {
            run->spans[i] = run->spans[i - 1];
            continue;
        }
        size_t end = at + run->spans[i].end;
        run->spans[i] = source_of(piece, at, end);
        at = end;
    }
}

plim_status plim_model_piece(plim_run *run, const plim_text *piece, plim_error *err)
{
    size_t before = run->count;
    plim_status status;
    run->no_special = plim_run_is_literal(run, piece, 0, piece->bytes);
    switch (run->tok->model) {
    case PLIM_MODEL_UNIGRAM:
        status = plim_unigram_piece(run, piece, err);
        break;
    case PLIM_MODEL_WORDPIECE:
        status = plim_wordpiece_piece(run, piece, err);
        break;
    case PLIM_MODEL_WORDLEVEL:
        status = plim_wordlevel_piece(run, piece, err);
        break;
    default:
        status = plim_bpe_piece(run, piece, err);
    }
    if (!status && run->tracked)
        settle_spans(run, piece, before);
    return status;
}

static plim_status pieces(plim_run *run, const plim_text *text, plim_error *err)
{
    return run->tok->pretokenizer ? plim_pretokenize(run, text, err)
                                  : plim_model_piece(run, text, err);
}

/* ---- added tokens ---- */

static plim_status encode_rest(plim_run *run, const plim_text *text, bool normalized,
                               plim_error *err);

static plim_status push_added(plim_run *run, const plim_text *text, const plim_added_match *match,
                              plim_error *err)
{
    plim_status status = plim_run_push(run, match->token->id, 0, err);
    if (!status && run->tracked)
        run->spans[run->count - 1] =
            (plim_tok_span){text->source[match->begin].begin, text->source[match->end - 1].end};
    return status;
}

/* Cut the tokens of one trie out of text; what lies between goes on.  (It nests once: raw, then
 * normalised.) */
static plim_status cut_added(plim_run *run, const plim_text *text, bool normalized, plim_error *err)
{
    const plim_added *added = &run->tok->added;
    const plim_trie *trie = normalized ? &added->normal : &added->raw;
    size_t taken = 0, from = 0;
    plim_added_match match = {.spaces_end = 0};
    for (;;) {
        plim_status status;
        plim_added_search(run, trie, text, from, taken, &match);
        size_t end = match.token ? match.begin : text->bytes;
        if (taken < end) {
            plim_text rest = plim_text_part(text, taken, end);
            if ((status = encode_rest(run, &rest, normalized, err)))
                return status;
        }
        if (!match.token)
            return PLIM_OK;
        /* spaces that were all the token before's leave nothing of it */
        if (match.begin < match.end && (status = push_added(run, text, &match, err)))
            return status;
        /* (HF goes back where a match lies in the spaces of the one before, and gives up where
         * nothing of it is left.) */
        taken = match.begin <= match.end ? match.end : taken;
        from = match.resume;
    }
}

static plim_status encode_rest(plim_run *run, const plim_text *text, bool normalized,
                               plim_error *err)
{
    if (normalized)
        return pieces(run, text, err);
    plim_text normal = *text;
    if (run->tok->normalizer) {
        plim_status status = plim_normalize(run, text, &normal, err);
        if (status || !normal.bytes)
            return status;
    }
    return cut_added(run, &normal, true, err);
}

plim_status plim_tok_encode(plim_tok_scratch *run, const char *text, size_t bytes,
                            const plim_tok_request *request, plim_tok_encoding *out,
                            plim_error *err)
{
    static const plim_tok_request nothing;
    plim_error local = {0};
    err = err ? err : &local;
    request = request ? request : &nothing;
    run->tracked = request->offsets || request->literal_count || run->tok->needs_positions;
    run->literal = request->literal;
    run->literal_count = request->literal_count;
    run->text = text;
    run->text_bytes = bytes;
    run->count = 0;
    *out = (plim_tok_encoding){0};
    plim_text valid;
    plim_status status = plim_bpe_scratch_prepare(run, bytes, err);
    if (!status)
        status = take_text(run, text, bytes, &valid, err);
    if (!status && valid.bytes)
        status = cut_added(run, &valid, false, err);
    if (!status && run->tok->post)
        status = plim_post_apply(run, request->add_special, err);
    if (status || !run->count)
        return status;
    *out = (plim_tok_encoding){run->ids, request->offsets ? run->spans : NULL, run->count};
    return PLIM_OK;
}
