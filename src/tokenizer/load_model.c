/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of tokenizer.json: its type and its settings.  What is large is read elsewhere:
 * vocabularies of ids and merges by load_bpe.c, vocabularies of scores by load_unigram.c. */
#include <string.h>

#include "tokenizer/load.h"

static const char *const kinds[] = {
    [PLIM_MODEL_BPE] = "BPE",
    [PLIM_MODEL_UNIGRAM] = "Unigram",
    [PLIM_MODEL_WORDPIECE] = "WordPiece",
    [PLIM_MODEL_WORDLEVEL] = "WordLevel",
};

static plim_status read_type(plim_loader *loader, plim_json_event event, plim_error *err)
{
    size_t bytes;
    if (event != PLIM_JSON_STRING)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                              "model.type must be a string, found %s", plim_json_event_name(event));
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (plim_json_text_is(loader->json, kinds[i])) {
            loader->tok->model = (plim_model_kind)i;
            loader->have_type = true;
            return PLIM_OK;
        }
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP,
                          "model type \"%.64s\" is not known, only BPE, Unigram, "
                          "WordPiece and WordLevel",
                          plim_json_text(loader->json, &bytes));
}

/* A string into the tokenizer's arena; null leaves *out. */
static plim_status read_affix(plim_loader *loader, const char *what, plim_json_event event,
                              const char **out, size_t *bytes, plim_error *err)
{
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    return plim_json_string(loader->json, event, what, &loader->tok->arena, out, bytes, err);
}

static plim_status read_dropout(plim_loader *loader, plim_json_event event, plim_error *err)
{
    double dropout = 0;
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    if (event != PLIM_JSON_NUMBER)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "model.dropout must be a number");
    plim_status status = plim_json_f64(loader->json, "model.dropout", &dropout, err);
    if (status || dropout == 0)
        return status;
    if (!(dropout >= 0 && dropout <= 1))
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "model.dropout is not in 0..1");
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP, "model: dropout is not supported");
}

static plim_status read_number(plim_loader *loader, const char *what, plim_json_event event,
                               uint64_t max, uint64_t *out, bool *have, plim_error *err)
{
    if (event != PLIM_JSON_NUMBER)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                              "model.%s must be a number, found "
                              "%s",
                              what, plim_json_event_name(event));
    *have = true;
    return plim_json_u64(loader->json, what, max, out, err);
}

static plim_status read_table(plim_loader *loader, const char *key, plim_json_event event,
                              plim_error *err)
{
    plim_json *json = loader->json;
    bool typed = loader->have_type, unigram = loader->tok->model == PLIM_MODEL_UNIGRAM;
    if (!strcmp(key, "merges")) {
        if (typed && loader->tok->model != PLIM_MODEL_BPE)
            return plim_json_skip(json, err);
        if (event != PLIM_JSON_ARRAY || loader->have_merges)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "model.merges must be one array");
        loader->have_merges_key = true;
        loader->merges_wait = !loader->have_vocab;
        return loader->merges_wait ? plim_json_skip(json, err) : plim_load_merges(loader, err);
    }
    if (loader->have_vocab)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "model.vocab is there twice");
    if (event == PLIM_JSON_ARRAY && (!typed || unigram))
        return plim_load_pieces(loader, err);
    if (event != PLIM_JSON_OBJECT || (typed && unigram))
        return plim_json_fail(json, err, PLIM_E_FORMAT, "model.vocab must be one %s",
                              typed && unigram ? "array of pieces with scores" : "object");
    return plim_load_vocab(loader, false, err);
}

static plim_status read_member(plim_loader *loader, const char *key, plim_json_event event,
                               plim_error *err)
{
    plim_json *json = loader->json;
    plim_tok *tok = loader->tok;
    if (!strcmp(key, "vocab") || !strcmp(key, "merges"))
        return read_table(loader, key, event, err);
    if (!strcmp(key, "type"))
        return read_type(loader, event, err);
    if (!strcmp(key, "unk_token") && event != PLIM_JSON_NULL)
        return plim_json_string(json, event, "model.unk_token", &loader->scratch,
                                &loader->unk_token, &loader->unk_bytes, err);
    if (!strcmp(key, "continuing_subword_prefix")) {
        loader->have_prefix = event != PLIM_JSON_NULL;
        return read_affix(loader, "model.continuing_subword_prefix", event, &tok->bpe.prefix,
                          &tok->bpe.prefix_bytes, err);
    }
    if (!strcmp(key, "end_of_word_suffix"))
        return read_affix(loader, "model.end_of_word_suffix", event, &tok->bpe.suffix,
                          &tok->bpe.suffix_bytes, err);
    if (!strcmp(key, "max_input_chars_per_word"))
        return read_number(loader, key, event, PLIM_TOK_MAX_WORD, &tok->wordpiece.max_characters,
                           &loader->have_max_characters, err);
    if (!strcmp(key, "unk_id") && event != PLIM_JSON_NULL)
        return read_number(loader, key, event, UINT64_MAX, &loader->unk_id, &loader->have_unk_id,
                           err);
    if (!strcmp(key, "dropout"))
        return read_dropout(loader, event, err);
    bool *field = !strcmp(key, "fuse_unk")        ? &tok->bpe.fuse_unk
                  : !strcmp(key, "byte_fallback") ? &loader->byte_fallback
                  : !strcmp(key, "ignore_merges") ? &tok->bpe.ignore_merges
                                                  : NULL;
    if (!field)
        return plim_json_skip(json, err);
    if (event != PLIM_JSON_TRUE && event != PLIM_JSON_FALSE && event != PLIM_JSON_NULL)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "model.%s must be true or false", key);
    *field = event == PLIM_JSON_TRUE;
    return PLIM_OK;
}

plim_status plim_load_model(plim_loader *loader, plim_json_event event, plim_error *err)
{
    bool waited = loader->merges_wait; /* the second reading of a file whose merges come first */
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "model must be an object, found %s",
                              plim_json_event_name(event));
    loader->model_offset = plim_json_offset(loader->json);
    for (;;) {
        char key[64];
        bool end;
        plim_status status = plim_json_member(loader->json, key, sizeof key, &event, &end, err);
        if (status || end)
            return status;
        if (!waited)
            status = read_member(loader, key, event, err);
        else if (!strcmp(key, "merges") && !loader->have_merges)
            status = plim_load_merges(loader, err);
        else
            status = plim_json_skip(loader->json, err);
        if (status)
            return status;
    }
}

/* Files from before there was a type: the first kind whose fields are all there, in Hugging Face's
 * order. */
static plim_status guess_type(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    if (!loader->have_vocab)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                "model has no vocab");
    if (tok->unigram)
        tok->model = PLIM_MODEL_UNIGRAM;
    else if (loader->have_merges_key || loader->have_merges)
        tok->model = PLIM_MODEL_BPE;
    else if (loader->unk_token && loader->have_prefix && loader->have_max_characters)
        tok->model = PLIM_MODEL_WORDPIECE;
    else if (loader->unk_token)
        tok->model = PLIM_MODEL_WORDLEVEL;
    else
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                "model has no type, and neither merges nor an unk_token");
    return PLIM_OK;
}

static plim_status finish_words(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    bool pieces = tok->model == PLIM_MODEL_WORDPIECE;
    const char *lacks = !loader->have_vocab                      ? "vocab"
                        : !loader->unk_token                     ? "unk_token"
                        : pieces && !loader->have_prefix         ? "continuing_subword_prefix"
                        : pieces && !loader->have_max_characters ? "max_input_chars_per_word"
                                                                 : NULL;
    if (lacks)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset, "model has no %s",
                                lacks);
    tok->wordpiece.prefix = tok->bpe.prefix;
    tok->wordpiece.prefix_bytes = tok->bpe.prefix_bytes;
    tok->unk_id = plim_vocab_find(&tok->vocab, loader->unk_token, loader->unk_bytes);
    return PLIM_OK;
}

plim_status plim_load_model_finish(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    plim_status status = loader->have_type ? PLIM_OK : guess_type(loader, err);
    if (status)
        return status;
    tok->unk_id = PLIM_TOK_NONE;
    tok->bpe.prefix = tok->bpe.prefix ? tok->bpe.prefix : "";
    tok->bpe.suffix = tok->bpe.suffix ? tok->bpe.suffix : "";
    tok->bpe.byte_fallback = loader->byte_fallback;
    if (loader->have_vocab && (tok->model == PLIM_MODEL_UNIGRAM) != (tok->unigram != NULL))
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                "model.vocab is not one of type %s", kinds[tok->model]);
    switch (tok->model) {
    case PLIM_MODEL_UNIGRAM:
        return plim_load_unigram_finish(loader, err);
    case PLIM_MODEL_WORDPIECE:
    case PLIM_MODEL_WORDLEVEL:
        return finish_words(loader, err);
    default:
        return plim_load_bpe_finish(loader, err);
    }
}
