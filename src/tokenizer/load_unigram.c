/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a Unigram model: [[piece, score], ...], the id of a piece is its place. */
#include <math.h>
#include <string.h>

#include "tokenizer/load.h"
#include "tokenizer/unigram.h"

static plim_status add_string(plim_tok *tok, const char *text, size_t bytes, uint32_t id,
                              plim_error *err)
{
    plim_unigram *u = tok->unigram;
    uint32_t had = plim_vocab_find(&tok->vocab, text, bytes);
    plim_status status = plim_vocab_add(&tok->vocab, text, bytes, id, err);
    if (status || had == PLIM_TOK_NONE ||
        (status = plim_grow(tok->alloc, &u->twins, &u->twin_cap, u->twin_count + 1,
                            sizeof *u->twins, err)))
        return status;
    u->twins[u->twin_count][0] = had;
    u->twins[u->twin_count++][1] = id;
    return PLIM_OK;
}

/* [piece, score], the [ was read. */
static plim_status read_piece(plim_loader *loader, plim_error *err)
{
    plim_json *json = loader->json;
    plim_unigram *u = loader->tok->unigram;
    plim_status status = plim_json_expect(json, PLIM_JSON_STRING, "a piece", err);
    if (status)
        return status;
    if (u->count > PLIM_TOK_MAX_ID)
        return plim_json_fail(json, err, PLIM_E_LIMIT, "more than %u pieces", PLIM_TOK_MAX_ID + 1);
    size_t bytes;
    double score;
    const char *text = plim_json_text(json, &bytes);
    if ((status = add_string(loader->tok, text, bytes, (uint32_t)u->count, err)) ||
        (status = plim_json_expect(json, PLIM_JSON_NUMBER, "the score of a piece", err)) ||
        (status = plim_json_f64(json, "the score of a piece", &score, err)) ||
        (status = plim_json_expect(json, PLIM_JSON_ARRAY_END, "the end of a piece", err)) ||
        (status = plim_grow(loader->tok->alloc, &u->scores, &u->cap, u->count + 1,
                            sizeof *u->scores, err)))
        return status;
    u->scores[u->count++] = score;
    if (score < u->lowest)
        u->lowest = score;
    return PLIM_OK;
}

plim_status plim_load_pieces(plim_loader *loader, plim_error *err)
{
    plim_unigram *u = plim_new(loader->tok->alloc, 1, sizeof *u, err);
    if (!u)
        return plim_tok_nomem(err);
    u->lowest = (double)INFINITY;
    loader->tok->unigram = u;
    for (;;) {
        plim_json_event event;
        plim_status status = plim_json_next(loader->json, &event, err);
        if (status)
            return status;
        if (event == PLIM_JSON_ARRAY_END)
            break;
        if (event != PLIM_JSON_ARRAY)
            return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                  "a piece must be an array of a string and a score, found %s",
                                  plim_json_event_name(event));
        if ((status = read_piece(loader, err)))
            return status;
    }
    loader->have_vocab = true;
    return PLIM_OK;
}

plim_status plim_load_unigram_finish(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    if (!loader->have_vocab)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                "model has no vocab");
    if (loader->have_unk_id && loader->unk_id >= tok->unigram->count)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                "model.unk_id is %llu, and there are %zu pieces",
                                (unsigned long long)loader->unk_id, tok->unigram->count);
    tok->unk_id = loader->have_unk_id ? (uint32_t)loader->unk_id : PLIM_TOK_NONE;
    plim_status status = plim_unigram_finish(tok, loader->byte_fallback, err);
    /* added tokens come after all ids, also those of pieces that are there twice */
    tok->vocab.count = (uint32_t)tok->unigram->count;
    return status;
}
