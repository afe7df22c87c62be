/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json from top to bottom, streamed: no tree, whatever the order of its keys.  Truncation
 * and padding are the caller's affair, as in Transformers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/load.h"

/* ---- reading JSON ---- */

plim_status plim_tok_json_open(plim_json **out, const plim_alloc *alloc, const char *path,
                               plim_error *err)
{
    /* Keys of a vocabulary are too many to be remembered for comparison; the last of equals wins
     * there, as in Hugging Face, and the readers here refuse what may come only once. */
    plim_json_limits limits = {
        .depth = 64, .string_bytes = PLIM_TOK_STRING_BYTES, .keep_duplicates = true};
    return plim_json_open_path(out, alloc, path, PLIM_TOK_FILE_BYTES, &limits, err);
}

plim_status plim_json_member(plim_json *json, char *key, size_t cap, plim_json_event *event,
                             bool *end, plim_error *err)
{
    plim_status status = plim_json_next(json, event, err);
    *end = !status && *event == PLIM_JSON_OBJECT_END;
    if (status || *end)
        return status;
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    bytes = bytes < cap ? bytes : cap - 1;
    memcpy(key, text, bytes);
    key[bytes] = 0;
    return plim_json_next(json, event, err);
}

plim_status plim_json_bool(const plim_json *json, plim_json_event event, const char *what,
                           bool *out, plim_error *err)
{
    if (event != PLIM_JSON_TRUE && event != PLIM_JSON_FALSE)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be true or false, found %s", what,
                              plim_json_event_name(event));
    *out = event == PLIM_JSON_TRUE;
    return PLIM_OK;
}

plim_status plim_json_string(const plim_json *json, plim_json_event event, const char *what,
                             plim_arena *arena, const char **out, size_t *bytes, plim_error *err)
{
    if (event != PLIM_JSON_STRING)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be a string, found %s", what,
                              plim_json_event_name(event));
    const char *text = plim_json_text(json, bytes);
    *out = plim_arena_text(arena, text, *bytes, err);
    return *out ? PLIM_OK : plim_tok_nomem(err);
}

plim_status plim_loader_fail(const plim_loader *loader, plim_error *err, plim_status code,
                             int64_t offset, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return plim_fail_at(err, code, (plim_where){loader->path, NULL, offset}, "%s", message);
}

void plim_loader_free(plim_loader *loader)
{
    const plim_alloc *alloc = loader->tok->alloc;
    plim_delete(alloc, loader->key);
    plim_delete(alloc, loader->rules);
    plim_load_merges_free(loader);
    plim_delete(alloc, loader->added);
    plim_arena_free(&loader->scratch);
}

/* ---- added_tokens ---- */

enum {
    HAS_ID = 1,
    HAS_CONTENT = 2,
    HAS_SINGLE = 4,
    HAS_LEFT = 8,
    HAS_RIGHT = 16,
    HAS_NORMAL = 32,
    HAS_SPECIAL = 64
};

static plim_status read_added_field(plim_loader *loader, plim_added_token *token, unsigned *has,
                                    const char *key, plim_json_event event, plim_error *err)
{
    static const struct {
        const char *name;
        unsigned bit;
    } flags[] = {{"single_word", HAS_SINGLE},
                 {"lstrip", HAS_LEFT},
                 {"rstrip", HAS_RIGHT},
                 {"normalized", HAS_NORMAL},
                 {"special", HAS_SPECIAL}};
    bool *const fields[] = {&token->single_word, &token->lstrip, &token->rstrip, &token->normalized,
                            &token->special};
    plim_json *json = loader->json;
    plim_status status;
    if (!strcmp(key, "content")) {
        size_t bytes;
        *has |= HAS_CONTENT;
        if (event == PLIM_JSON_STRING &&
            (plim_json_text(json, &bytes), bytes > PLIM_TOK_MAX_ADDED_BYTES))
            return plim_json_fail(json, err, PLIM_E_LIMIT,
                                  "added token of %zu bytes, the limit is %d", bytes,
                                  PLIM_TOK_MAX_ADDED_BYTES);
        status = plim_json_string(json, event, "the content of an added token", &loader->tok->arena,
                                  &token->text, &bytes, err);
        token->bytes = status ? 0 : (uint32_t)bytes;
        return status;
    }
    if (!strcmp(key, "id")) {
        uint64_t id;
        *has |= HAS_ID;
        if (event != PLIM_JSON_NUMBER)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "the id of an added token must be a number");
        if ((status = plim_json_u64(json, "the id of an added token", UINT64_MAX, &id, err)))
            return status;
        if (id > UINT32_MAX)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "the id of an added token must be below 2^32");
        token->id = (uint32_t)id;
        return PLIM_OK;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(key, flags[i].name)) {
            *has |= flags[i].bit;
            return plim_json_bool(json, event, key, fields[i], err);
        }
    return plim_json_skip(json, err);
}

static plim_status read_added(plim_loader *loader, plim_json_event event, plim_error *err)
{
    plim_json *json = loader->json;
    plim_status status;
    if (event != PLIM_JSON_ARRAY)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "added_tokens must be an array");
    loader->added_offset = plim_json_offset(json);
    for (;;) {
        if ((status = plim_json_next(json, &event, err)) || event == PLIM_JSON_ARRAY_END)
            return status;
        if (event != PLIM_JSON_OBJECT)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "an added token must be an object");
        plim_added_token token = {0};
        unsigned has = 0;
        for (bool end = false; !end;) {
            char key[32];
            if ((status = plim_json_member(json, key, sizeof key, &event, &end, err)) ||
                (!end && (status = read_added_field(loader, &token, &has, key, event, err))))
                return status;
        }
        if (has != (2 * HAS_SPECIAL - 1))
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "an added token lacks content, id or a flag");
        if ((status = plim_grow(loader->tok->alloc, &loader->added, &loader->added_cap,
                                loader->added_count + 1, sizeof token, err)))
            return status;
        loader->added[loader->added_count++] = token;
    }
}

static plim_status add_tokens(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    plim_added_begin(tok);
    for (size_t i = 0; i < loader->added_count; i++) {
        const plim_added_token *token = &loader->added[i];
        plim_status status = plim_added_add(tok, token, err);
        if (status)
            return status;
        uint32_t id = token->bytes ? plim_vocab_find(&tok->added.by_text, token->text, token->bytes)
                                   : token->id;
        if (id != token->id)
            plim_log_line(loader->log, PLIM_LOG_WARN,
                          "%s: added token \"%.64s\" has id %u, not %u as written", loader->path,
                          token->text, id, token->id);
    }
    return PLIM_OK;
}

/* ---- the whole ---- */

static plim_status read_version(plim_loader *loader, plim_json_event event, plim_error *err)
{
    if (event == PLIM_JSON_STRING && plim_json_text_is(loader->json, "1.0"))
        return PLIM_OK;
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP, "version is not \"1.0\"");
}

static const char *const part_names[PLIM_PART_COUNT] = {"normalizer", "pre_tokenizer",
                                                        "post_processor", "decoder"};

static plim_status read_member(plim_loader *loader, const char *key, plim_json_event event,
                               plim_error *err)
{
    if (!strcmp(key, "version"))
        return read_version(loader, event, err);
    if (!strcmp(key, "added_tokens"))
        return read_added(loader, event, err);
    if (!strcmp(key, "model"))
        return plim_load_model(loader, event, err);
    for (int i = 0; i < PLIM_PART_COUNT; i++)
        if (!strcmp(key, part_names[i]) && event != PLIM_JSON_NULL)
            return plim_tree_read(&loader->parts[i], &loader->scratch, loader->json, event, err);
    return plim_json_skip(loader->json, err);
}

static const char *const members[] = {
    "version", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"};
enum { MODEL = 6 };

static plim_status read_members(plim_loader *loader, unsigned *seen, bool only_model,
                                plim_error *err)
{
    plim_status status = plim_json_expect(loader->json, PLIM_JSON_OBJECT, "tokenizer.json", err);
    if (status)
        return status;
    for (;;) {
        char key[32];
        plim_json_event event;
        bool end;
        if ((status = plim_json_member(loader->json, key, sizeof key, &event, &end, err)))
            return status;
        if (end)
            return plim_json_expect(loader->json, PLIM_JSON_END, "the end of tokenizer.json", err);
        for (unsigned i = 0; i < sizeof members / sizeof *members; i++) {
            if (strcmp(key, members[i]) != 0)
                continue;
            if (*seen >> i & 1)
                return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "%s is there twice", key);
            *seen |= 1u << i;
        }
        status = only_model && strcmp(key, "model") != 0 ? plim_json_skip(loader->json, err)
                                                         : read_member(loader, key, event, err);
        if (status)
            return status;
    }
}

static plim_status read_file(plim_loader *loader, bool only_model, plim_error *err)
{
    unsigned seen = 0;
    plim_status status = plim_tok_json_open(&loader->json, loader->tok->alloc, loader->path, err);
    if (status)
        return status;
    status = read_members(loader, &seen, only_model, err);
    if (!status && !(seen >> MODEL & 1))
        status = plim_json_fail(loader->json, err, PLIM_E_FORMAT, "there is no model");
    plim_json_close(&loader->json);
    return status;
}

/* The four parts around the model. */
static plim_status load_parts(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    plim_part part[PLIM_PART_COUNT];
    plim_status status = PLIM_OK;
    for (int i = 0; i < PLIM_PART_COUNT; i++)
        part[i] = (plim_part){loader->path, part_names[i], loader->parts[i]};
    if (part[PLIM_PART_NORMALIZER].node)
        status =
            plim_normalizer_load(&tok->normalizer, tok->alloc, &part[PLIM_PART_NORMALIZER], err);
    if (!status && part[PLIM_PART_PRE_TOKENIZER].node)
        status = plim_pretokenizer_load(&tok->pretokenizer, tok->alloc,
                                        &part[PLIM_PART_PRE_TOKENIZER], err);
    if (!status && part[PLIM_PART_DECODER].node)
        status = plim_chain_load(&tok->decoder, tok->alloc, &part[PLIM_PART_DECODER], err);
    if (!status)
        status = add_tokens(loader, err);
    if (!status && part[PLIM_PART_POST_PROCESSOR].node)
        status = plim_post_load(&tok->post, tok, &part[PLIM_PART_POST_PROCESSOR], err);
    tok->byte_pieces = tok->model == PLIM_MODEL_BPE && tok->pretokenizer &&
                       plim_pretokenizer_is_byte_level(tok->pretokenizer);
    if (!status && tok->model == PLIM_MODEL_BPE)
        status = plim_load_bpe_settle(loader, err);
    return status;
}

plim_status plim_load_json(plim_tok *tok, const char *path, const plim_log *log, plim_error *err)
{
    plim_loader loader = {
        .tok = tok, .log = log, .path = path, .added_offset = -1, .model_offset = -1};
    plim_arena_init(&loader.scratch, tok->alloc);
    plim_status status = read_file(&loader, false, err);
    if (!status && loader.merges_wait)
        status = read_file(&loader, true, err);
    if (!status)
        status = plim_load_model_finish(&loader, err);
    if (!status)
        status = load_parts(&loader, err);
    plim_loader_free(&loader);
    return status;
}
