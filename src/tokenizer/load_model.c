/* SPDX-License-Identifier: Apache-2.0
 *
 * The BPE model of tokenizer.json: vocabulary and merges go straight into their tables as they are
 * read. */
#include <string.h>

#include "tokenizer/load.h"

plim_status plim_load_vocab(plim_loader *loader, bool skip_other_values, plim_error *err)
{
    plim_json *json = loader->json;
    plim_status status;
    for (;;) {
        plim_json_event event;
        if ((status = plim_json_next(json, &event, err)))
            return status;
        if (event == PLIM_JSON_OBJECT_END)
            break;
        size_t bytes;
        const char *text = plim_json_text(json, &bytes);
        if ((status =
                 plim_grow(loader->tok->alloc, &loader->key, &loader->key_cap, bytes + 1, 1, err)))
            return status;
        memcpy(loader->key, text, bytes);
        if ((status = plim_json_next(json, &event, err)))
            return status;
        if (event != PLIM_JSON_NUMBER && skip_other_values) {
            if ((status = plim_json_skip(json, err)))
                return status;
            continue;
        }
        if (event != PLIM_JSON_NUMBER)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "the id of a token must be a number, found %s",
                                  plim_json_event_name(event));
        uint64_t id;
        if ((status = plim_json_u64(json, "the id of a token", PLIM_TOK_MAX_ID, &id, err)) ||
            (status = plim_vocab_add(&loader->tok->vocab, loader->key, bytes, (uint32_t)id, err)))
            return status;
    }
    loader->have_vocab = true;
    return PLIM_OK;
}

static plim_status find_part(plim_loader *loader, const char *text, size_t bytes, int64_t offset,
                             uint32_t *id, plim_error *err)
{
    *id = plim_vocab_find(&loader->tok->vocab, text, bytes);
    if (*id != PLIM_TOK_NONE)
        return PLIM_OK;
    return plim_loader_fail(loader, err, PLIM_E_FORMAT, offset,
                            "merge token \"%.*s\" is not in the vocabulary",
                            bytes > 64 ? 64 : (int)bytes, text);
}

/* What a merge makes: in most files the token behind that of the merge before, which saves a random
 * look-up. */
static plim_status find_merged(plim_loader *loader, const char *text, size_t bytes, int64_t offset,
                               uint32_t *id, plim_error *err)
{
    const plim_vocab *vocab = &loader->tok->vocab;
    uint32_t guess =
        loader->rule_count ? loader->rules[loader->rule_count - 1].merged + 1 : vocab->size;
    size_t length;
    const char *have = plim_vocab_text(vocab, guess, &length);
    if (have && length == bytes && !vocab->duplicate_ids && memcmp(have, text, bytes) == 0) {
        *id = guess;
        return PLIM_OK;
    }
    return find_part(loader, text, bytes, offset, id, err);
}

plim_status plim_load_merge(plim_loader *loader, const char *left, size_t left_bytes,
                            const char *right, size_t right_bytes, int64_t offset, plim_error *err)
{
    const plim_alloc *alloc = loader->tok->alloc;
    plim_merge rule;
    plim_status status;
    if (loader->rule_count >= PLIM_TOK_MAX_MERGES)
        return plim_loader_fail(loader, err, PLIM_E_LIMIT, offset, "more than %u merges",
                                PLIM_TOK_MAX_MERGES);
    if ((status = find_part(loader, left, left_bytes, offset, &rule.left, err)) ||
        (status = find_part(loader, right, right_bytes, offset, &rule.right, err)) ||
        (status = plim_grow(alloc, &loader->key, &loader->key_cap, left_bytes + right_bytes + 1, 1,
                            err)))
        return status;
    memcpy(loader->key, left, left_bytes);
    memcpy(loader->key + left_bytes, right, right_bytes);
    if ((status = find_merged(loader, loader->key, left_bytes + right_bytes, offset, &rule.merged,
                              err)) ||
        (status = plim_grow(alloc, &loader->rules, &loader->rule_cap, loader->rule_count + 1,
                            sizeof rule, err)))
        return status;
    loader->rules[loader->rule_count++] = rule;
    return PLIM_OK;
}

plim_status plim_load_merge_line(plim_loader *loader, const char *line, size_t bytes,
                                 int64_t offset, plim_error *err)
{
    const char *space = memchr(line, ' ', bytes);
    size_t left = space ? (size_t)(space - line) : bytes;
    if (!space || memchr(space + 1, ' ', bytes - left - 1))
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, offset,
                                "merge \"%.*s\" has not exactly two parts",
                                bytes > 64 ? 64 : (int)bytes, line);
    return plim_load_merge(loader, line, left, space + 1, bytes - left - 1, offset, err);
}

/* ["left", "right"], the [ was read. */
static plim_status read_pair(plim_loader *loader, plim_error *err)
{
    plim_json *json = loader->json;
    int64_t offset = plim_json_offset(json);
    plim_json_event event;
    plim_status status;
    if ((status = plim_json_expect(json, PLIM_JSON_STRING, "a part of a merge", err)))
        return status;
    size_t left_bytes, right_bytes;
    const char *left = plim_json_text(json, &left_bytes);
    /* The first part lives in the arena for a moment: the reader's text goes with the next event.
     */
    plim_arena keep;
    plim_arena_init(&keep, loader->tok->alloc);
    char small[256];
    char *copy = left_bytes < sizeof small ? small : plim_arena_text(&keep, left, left_bytes, err);
    if (!copy)
        return plim_tok_nomem(err);
    memcpy(copy, left, left_bytes);
    if (!(status = plim_json_expect(json, PLIM_JSON_STRING, "a part of a merge", err))) {
        const char *right = plim_json_text(json, &right_bytes);
        status = plim_load_merge(loader, copy, left_bytes, right, right_bytes, offset, err);
    }
    plim_arena_free(&keep);
    if (status || (status = plim_json_next(json, &event, err)))
        return status;
    if (event != PLIM_JSON_ARRAY_END)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "a merge has not exactly two parts");
    return PLIM_OK;
}

/* The [ was read. */
static plim_status read_merges(plim_loader *loader, plim_error *err)
{
    plim_json *json = loader->json;
    for (;;) {
        plim_json_event event;
        plim_status status = plim_json_next(json, &event, err);
        if (status)
            return status;
        if (event == PLIM_JSON_ARRAY_END)
            break;
        if (event != PLIM_JSON_STRING && event != PLIM_JSON_ARRAY)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "a merge must be a string or a pair, found %s",
                                  plim_json_event_name(event));
        if (!loader->rule_count)
            loader->merge_form = event;
        else if (event != loader->merge_form)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "merges are strings or pairs, not both");
        if (event == PLIM_JSON_ARRAY) {
            status = read_pair(loader, err);
        } else {
            size_t bytes;
            const char *line = plim_json_text(json, &bytes);
            if (bytes < 8 || memcmp(line, "#version", 8) != 0)
                status = plim_load_merge_line(loader, line, bytes, plim_json_offset(json), err);
        }
        if (status)
            return status;
    }
    loader->have_merges = true;
    return PLIM_OK;
}

static plim_status unsupported_model(plim_loader *loader, const char *what, plim_error *err)
{
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP, "model: %s is not supported", what);
}

static plim_status read_type(plim_loader *loader, plim_json_event event, plim_error *err)
{
    size_t bytes;
    if (event != PLIM_JSON_STRING)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                              "model.type must be a string, found %s", plim_json_event_name(event));
    if (plim_json_text_is(loader->json, "BPE"))
        return PLIM_OK;
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP,
                          "model type \"%.64s\" is not supported (yet), only BPE",
                          plim_json_text(loader->json, &bytes));
}

/* continuing_subword_prefix and end_of_word_suffix: null and "" are harmless. */
static plim_status read_affix(plim_loader *loader, const char *key, plim_json_event event,
                              plim_error *err)
{
    size_t bytes = 0;
    if (event == PLIM_JSON_STRING)
        plim_json_text(loader->json, &bytes);
    else if (event != PLIM_JSON_NULL)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "model.%s must be a string", key);
    return bytes ? unsupported_model(loader, key, err) : PLIM_OK;
}

static plim_status read_dropout(plim_loader *loader, plim_json_event event, plim_error *err)
{
    double dropout = 0;
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    if (event != PLIM_JSON_NUMBER)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "model.dropout must be a number");
    plim_status status = plim_json_f64(loader->json, "model.dropout", &dropout, err);
    if (!status && dropout != 0)
        return unsupported_model(loader, "dropout", err);
    return status;
}

static plim_status read_member(plim_loader *loader, const char *key, plim_json_event event,
                               plim_error *err)
{
    plim_json *json = loader->json;
    bool flag = event == PLIM_JSON_TRUE;
    if (!strcmp(key, "vocab")) {
        if (event == PLIM_JSON_ARRAY)
            return unsupported_model(loader, "a vocabulary with scores (Unigram)", err);
        if (event != PLIM_JSON_OBJECT || loader->have_vocab)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "model.vocab must be one object");
        return plim_load_vocab(loader, false, err);
    }
    if (!strcmp(key, "merges")) {
        if (event != PLIM_JSON_ARRAY || loader->have_merges)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "model.merges must be one array");
        loader->merges_wait = !loader->have_vocab;
        return loader->merges_wait ? plim_json_skip(json, err) : read_merges(loader, err);
    }
    if (!strcmp(key, "type"))
        return read_type(loader, event, err);
    if (!strcmp(key, "unk_token") && event != PLIM_JSON_NULL)
        return plim_json_string(json, event, "model.unk_token", &loader->scratch,
                                &loader->unk_token, &loader->unk_bytes, err);
    if (!strcmp(key, "continuing_subword_prefix") || !strcmp(key, "end_of_word_suffix"))
        return read_affix(loader, key, event, err);
    if (!strcmp(key, "dropout"))
        return read_dropout(loader, event, err);
    bool *field = !strcmp(key, "fuse_unk")        ? &loader->tok->fuse_unk
                  : !strcmp(key, "byte_fallback") ? &loader->byte_fallback
                  : !strcmp(key, "ignore_merges") ? &loader->tok->ignore_merges
                                                  : NULL;
    if (!field)
        return plim_json_skip(json, err);
    if (event != PLIM_JSON_TRUE && event != PLIM_JSON_FALSE && event != PLIM_JSON_NULL)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "model.%s must be true or false", key);
    *field = flag;
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
            status = read_merges(loader, err);
        else
            status = plim_json_skip(loader->json, err);
        if (status)
            return status;
    }
}

plim_status plim_load_model_finish(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    bool complete = true;
    if (!loader->have_vocab || !loader->have_merges)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset, "model has no %s",
                                loader->have_vocab ? "merges" : "vocab");
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[2];
        unsigned bytes = plim_alphabet_encode((unsigned char)byte, text);
        tok->byte_id[byte] = plim_vocab_find(&tok->vocab, text, bytes);
        complete = complete && tok->byte_id[byte] != PLIM_TOK_NONE;
    }
    if (loader->byte_fallback && !complete)
        return plim_loader_fail(loader, err, PLIM_E_UNSUP, loader->model_offset,
                                "model: byte_fallback is not supported (yet)");
    tok->unk_id = PLIM_TOK_NONE;
    if (loader->unk_token) {
        tok->unk_id = plim_vocab_find(&tok->vocab, loader->unk_token, loader->unk_bytes);
        if (tok->unk_id == PLIM_TOK_NONE && !complete)
            return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset,
                                    "model.unk_token \"%.64s\" is not in the vocabulary",
                                    loader->unk_token);
    }
    return plim_merges_build(&tok->merges, tok->alloc, loader->rules, (uint32_t)loader->rule_count,
                             err);
}
