/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings beside a tokenizer that change ids: the added and special tokens of
 * tokenizer_config.json, or of the older special_tokens_map.json and added_tokens.json.  What is
 * read here follows Transformers 5: added_tokens_decoder may change the flags of a token, a named
 * special token is always special, and one that is nowhere else gets a new id.  (add_bos_token
 * counts for older files only: tokenizer.json has a template of its own.) */
#include <string.h>

#include "base/num.h"
#include "tokenizer/load.h"

static const char *const named_keys[PLIM_NAMED_COUNT] = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

/* The text of an added token: a string, into the arena. */
static plim_status read_text(plim_tok_config *config, plim_json *json, plim_json_event event,
                             plim_added_token *token, plim_error *err)
{
    size_t bytes;
    plim_status status = plim_json_string(json, event, "the content of a token", config->arena,
                                          &token->text, &bytes, err);
    if (!status && bytes > PLIM_TOK_MAX_ADDED_BYTES)
        status = plim_json_fail(json, err, PLIM_E_LIMIT, "a token of %zu bytes, the limit is %d",
                                bytes, PLIM_TOK_MAX_ADDED_BYTES);
    token->bytes = status ? 0 : (uint32_t)bytes;
    return status;
}

/* {"content": ..., flags}: flags that are not said are false, normalized is !special. */
static plim_status read_token_object(plim_tok_config *config, plim_json *json,
                                     plim_added_token *token, plim_error *err)
{
    int normalized = -1;
    for (;;) {
        char key[32];
        plim_json_event event;
        bool end, flag;
        plim_status status = plim_json_member(json, key, sizeof key, &event, &end, err);
        if (status)
            return status;
        if (end)
            break;
        bool *field = !strcmp(key, "single_word") ? &token->single_word
                      : !strcmp(key, "lstrip")    ? &token->lstrip
                      : !strcmp(key, "rstrip")    ? &token->rstrip
                      : !strcmp(key, "special")   ? &token->special
                                                  : NULL;
        if (!strcmp(key, "content")) {
            status = read_text(config, json, event, token, err);
        } else if (!strcmp(key, "normalized")) {
            status = plim_json_bool(json, event, key, &flag, err);
            normalized = flag;
        } else {
            status =
                field ? plim_json_bool(json, event, key, field, err) : plim_json_skip(json, err);
        }
        if (status)
            return status;
    }
    if (!token->text)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "a token without content");
    token->normalized = normalized == -1 ? !token->special : normalized == 1;
    return PLIM_OK;
}

/* A special token: a string or an object; anything else is none. */
static plim_status read_special(plim_tok_config *config, plim_json *json, plim_json_event event,
                                plim_added_token *token, plim_error *err)
{
    plim_status status;
    *token = (plim_added_token){0};
    if (event == PLIM_JSON_STRING)
        status = read_text(config, json, event, token, err);
    else if (event == PLIM_JSON_OBJECT)
        status = read_token_object(config, json, token, err);
    else
        status = plim_json_skip(json, err);
    token->special = true;
    return status;
}

static plim_status add_extra(plim_tok_config *config, plim_json *json, plim_json_event event,
                             const plim_alloc *alloc, plim_error *err)
{
    plim_added_token token;
    plim_status status = read_special(config, json, event, &token, err);
    if (status || !token.text)
        return status;
    if ((status = plim_grow(alloc, &config->extra, &config->extra_cap, config->extra_count + 1,
                            sizeof token, err)))
        return status;
    config->extra[config->extra_count++] = token;
    return PLIM_OK;
}

/* additional_special_tokens and extra_special_tokens: a list, or names with their tokens. */
static plim_status read_extra(plim_tok_config *config, plim_json *json, plim_json_event event,
                              const plim_alloc *alloc, plim_error *err)
{
    plim_json_event end = event == PLIM_JSON_OBJECT ? PLIM_JSON_OBJECT_END : PLIM_JSON_ARRAY_END;
    if (event != PLIM_JSON_OBJECT && event != PLIM_JSON_ARRAY)
        return plim_json_skip(json, err);
    for (;;) {
        plim_status status = plim_json_next(json, &event, err);
        if (status || event == end)
            return status;
        if (event == PLIM_JSON_KEY && (status = plim_json_next(json, &event, err)))
            return status;
        if ((status = add_extra(config, json, event, alloc, err)))
            return status;
    }
}

/* In the order of the ids. */
static plim_status add_listed(plim_tok_config *config, const plim_alloc *alloc,
                              const plim_added_token *token, uint64_t order, plim_error *err)
{
    plim_status status = plim_grow(alloc, &config->listed, &config->listed_cap,
                                   config->listed_count + 1, sizeof *config->listed, err);
    if (status)
        return status;
    size_t at = config->listed_count++;
    while (at && config->listed[at - 1].order > order)
        at--;
    memmove(config->listed + at + 1, config->listed + at,
            (config->listed_count - 1 - at) * sizeof *config->listed);
    config->listed[at] = (plim_listed_token){*token, order};
    return PLIM_OK;
}

/* {"50256": {"content": ...}, ...} */
static plim_status read_listed(plim_tok_config *config, plim_json *json, plim_json_event event,
                               const plim_alloc *alloc, plim_error *err)
{
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "added_tokens_decoder must be an object");
    config->listed_said = true;
    for (;;) {
        char key[32];
        bool end;
        uint64_t order;
        plim_added_token token = {0};
        plim_status status = plim_json_member(json, key, sizeof key, &event, &end, err);
        if (status || end)
            return status;
        if (event != PLIM_JSON_OBJECT || !plim_parse_u64(key, strlen(key), &order))
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "added_tokens_decoder must map ids to tokens");
        if ((status = read_token_object(config, json, &token, err)) ||
            (status = add_listed(config, alloc, &token, order, err)))
            return status;
    }
}

static plim_status read_member(plim_tok_config *config, plim_json *json, const char *key,
                               plim_json_event event, const plim_alloc *alloc, plim_error *err)
{
    size_t bytes, length = strlen(key);
    for (int i = 0; i < PLIM_NAMED_COUNT; i++)
        if (!strcmp(key, named_keys[i])) {
            config->named_said[i] = true;
            return read_special(config, json, event, &config->named[i], err);
        }
    if (!strcmp(key, "additional_special_tokens") || !strcmp(key, "extra_special_tokens"))
        return read_extra(config, json, event, alloc, err);
    if (!strcmp(key, "added_tokens_decoder"))
        return read_listed(config, json, event, alloc, err);
    bool flag = event == PLIM_JSON_TRUE, is_flag = flag || event == PLIM_JSON_FALSE;
    int *setting = !strcmp(key, "add_prefix_space")         ? &config->add_prefix_space
                   : !strcmp(key, "add_bos_token")          ? &config->add_bos_token
                   : !strcmp(key, "add_eos_token")          ? &config->add_eos_token
                   : !strcmp(key, "do_lower_case")          ? &config->do_lower_case
                   : !strcmp(key, "strip_accents")          ? &config->strip_accents
                   : !strcmp(key, "tokenize_chinese_chars") ? &config->tokenize_chinese_chars
                                                            : NULL;
    if (is_flag && setting)
        *setting = flag;
    else if (is_flag && !strcmp(key, "split_special_tokens"))
        config->split_special_tokens = flag;
    else if (event == PLIM_JSON_STRING &&
             (!strcmp(key, "tokenizer_class") || !strcmp(key, "model_type"))) {
        const char *text = plim_json_text(json, &bytes);
        char *to = key[0] == 't' ? config->tokenizer_class : config->model_type;
        bytes = bytes < 63 ? bytes : 63;
        memcpy(to, text, bytes);
        to[bytes] = 0;
    } else if (event == PLIM_JSON_STRING && length > 6 && !strcmp(key + length - 6, "_token"))
        return add_extra(config, json, event, alloc,
                         err); /* "image_token": a special token of one model */
    return plim_json_skip(json, err);
}

/* added_tokens.json: {"token": id}; special when it is a named one. */
static plim_status read_added_file(plim_tok_config *config, plim_json *json, plim_json_event event,
                                   const plim_alloc *alloc, plim_error *err)
{
    plim_status status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "must be an object");
    for (;;) {
        plim_added_token token = {0};
        uint64_t order;
        if ((status = plim_json_next(json, &event, err)) || event == PLIM_JSON_OBJECT_END)
            return status;
        if ((status = read_text(config, json, PLIM_JSON_STRING, &token, err)) ||
            (status = plim_json_expect(json, PLIM_JSON_NUMBER, "the id of a token", err)) ||
            (status = plim_json_u64(json, "the id of a token", UINT32_MAX, &order, err)))
            return status;
        for (int i = 0; i < PLIM_NAMED_COUNT; i++)
            token.special =
                token.special || (config->named[i].text && config->named[i].bytes == token.bytes &&
                                  !memcmp(config->named[i].text, token.text, token.bytes));
        token.normalized = !token.special;
        if ((status = add_listed(config, alloc, &token, order, err)))
            return status;
    }
}

typedef enum which_file { SETTINGS, ADDED_TOKENS, MODEL_CONFIG } which_file;

static plim_status read_members(plim_tok_config *config, plim_json *json, which_file which,
                                const plim_alloc *alloc, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(json, &event, err);
    if (status)
        return status;
    if (which == ADDED_TOKENS)
        return read_added_file(config, json, event, alloc, err);
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "must be an object, found %s",
                              plim_json_event_name(event));
    for (;;) {
        char key[64];
        bool end;
        if ((status = plim_json_member(json, key, sizeof key, &event, &end, err)) || end)
            return status;
        bool wanted = (which == MODEL_CONFIG) == !strcmp(key, "model_type");
        status =
            wanted ? read_member(config, json, key, event, alloc, err) : plim_json_skip(json, err);
        if (status)
            return status;
    }
}

static plim_status read_file(plim_tok_config *config, const plim_alloc *alloc,
                             const char *directory, const char *name, which_file which,
                             plim_error *err)
{
    char path[4096];
    plim_json *json;
    plim_json_event event;
    plim_status status = plim_path_join(path, sizeof path, directory, name, err);
    bool found = false;
    if (!status)
        status = plim_path_find_file(&found, path, err);
    if (status || !found)
        return status;
    if ((status = plim_tok_json_open(&json, alloc, path, err)))
        return status;
    status = read_members(config, json, which, alloc, err);
    if (!status) /* nothing but the end may follow */
        status = plim_json_next(json, &event, err);
    plim_json_close(&json);
    return status;
}

plim_status plim_tok_config_read(plim_tok_config *config, plim_tok *tok, const char *directory,
                                 plim_error *err)
{
    *config = (plim_tok_config){.arena = &tok->arena,
                                .add_prefix_space = -1,
                                .add_bos_token = -1,
                                .add_eos_token = -1,
                                .do_lower_case = -1,
                                .strip_accents = -1,
                                .tokenize_chinese_chars = -1};
    plim_status status =
        read_file(config, tok->alloc, directory, "tokenizer_config.json", SETTINGS, err);
    if (!status && !config->listed_said) {
        status = read_file(config, tok->alloc, directory, "special_tokens_map.json", SETTINGS, err);
        if (!status)
            status =
                read_file(config, tok->alloc, directory, "added_tokens.json", ADDED_TOKENS, err);
    }
    if (!status)
        status = read_file(config, tok->alloc, directory, "config.json", MODEL_CONFIG, err);
    return status;
}

/* A token that is added already keeps its flags, but is special. */
static plim_status add_special(plim_tok *tok, const plim_added_token *special, plim_error *err)
{
    plim_added_token token = *special;
    uint32_t id = tok->added.started ? plim_vocab_find(&tok->added.by_text, token.text, token.bytes)
                                     : PLIM_TOK_NONE;
    const plim_added_token *have = id == PLIM_TOK_NONE ? NULL : plim_added_by_id(&tok->added, id);
    if (have && have->bytes == token.bytes && !memcmp(have->text, token.text, token.bytes))
        token = *have;
    token.special = true;
    return plim_added_add(tok, &token, err);
}

plim_status plim_tok_config_apply(plim_tok_config *config, plim_tok *tok, plim_error *err)
{
    plim_status status = PLIM_OK;
    plim_added_begin(tok);
    for (size_t i = 0; !status && i < config->listed_count; i++)
        status = plim_added_add(tok, &config->listed[i].token, err);
    for (int i = 0; !status && i < PLIM_NAMED_COUNT; i++)
        if (config->named[i].text)
            status = add_special(tok, &config->named[i], err);
    for (size_t i = 0; !status && i < config->extra_count; i++)
        status = add_special(tok, &config->extra[i], err);
    tok->split_special = config->split_special_tokens;
    return status;
}

void plim_tok_config_defaults(plim_tok_config *config, const char *const names[PLIM_NAMED_COUNT])
{
    for (int i = 0; i < PLIM_NAMED_COUNT; i++)
        if (names[i] && !config->named_said[i])
            config->named[i] = (plim_added_token){
                .text = names[i], .bytes = (uint32_t)strlen(names[i]), .special = true};
}

void plim_tok_config_class(const plim_tok_config *config, char *out, size_t cap)
{
    const char *who = config->tokenizer_class[0] ? config->tokenizer_class : config->model_type;
    size_t bytes = strlen(who);
    if (bytes > 4 && !strcmp(who + bytes - 4, "Fast"))
        bytes -= 4;
    bytes = bytes < cap ? bytes : cap - 1;
    memcpy(out, who, bytes);
    out[bytes] = 0;
}

/* Transformers 5 leaves the template of a tokenizer.json as it is, whatever add_bos_token says; but
 * GPTNeoXTokenizer makes its own, of flags that were dropped before: nothing is added. */
plim_status plim_tok_config_apply_json(plim_tok_config *config, plim_tok *tok, plim_error *err)
{
    char who[64];
    plim_tok_config_class(config, who, sizeof who);
    if (!strcmp(who, "GPTNeoXTokenizer") || (!config->tokenizer_class[0] && plim_is_neox(who)))
        plim_post_close(&tok->post, tok->alloc);
    return plim_tok_config_apply(config, tok, err);
}

plim_status plim_tok_config_template(const plim_tok_config *config, plim_tok *tok, plim_error *err)
{
    const plim_added_token *bos = &config->named[PLIM_NAMED_BOS],
                           *eos = &config->named[PLIM_NAMED_EOS];
    uint32_t before = PLIM_TOK_NONE, after = PLIM_TOK_NONE;
    if (config->add_bos_token == 1 && bos->text)
        before = (uint32_t)plim_tok_find(tok, bos->text, bos->bytes);
    if (config->add_eos_token == 1 && eos->text)
        after = (uint32_t)plim_tok_find(tok, eos->text, eos->bytes);
    plim_post_close(&tok->post, tok->alloc);
    if (before == PLIM_TOK_NONE && after == PLIM_TOK_NONE)
        return PLIM_OK;
    return plim_post_around(&tok->post, tok->alloc, before, after, err);
}

plim_status plim_load_part(plim_tok *tok, plim_part_kind kind, const char *text, plim_error *err)
{
    static const char file[] = "(made from an older tokenizer file)";
    plim_part part = {file, "a part", NULL};
    plim_arena arena;
    plim_json *json;
    plim_json_event event;
    plim_status status =
        plim_json_open_memory(&json, tok->alloc, text, strlen(text), file, NULL, err);
    if (status)
        return status;
    plim_arena_init(&arena, tok->alloc);
    if (!(status = plim_json_next(json, &event, err)))
        status = plim_tree_read(&part.node, &arena, json, event, err);
    if (!status && kind == PLIM_PART_NORMALIZER)
        status = plim_normalizer_load(&tok->normalizer, tok->alloc, &part, err);
    else if (!status && kind == PLIM_PART_PRE_TOKENIZER)
        status = plim_pretokenizer_load(&tok->pretokenizer, tok->alloc, &part, err);
    else if (!status && kind == PLIM_PART_POST_PROCESSOR)
        status = plim_post_load(&tok->post, tok, &part, err);
    else if (!status)
        status = plim_chain_load(&tok->decoder, tok->alloc, &part, err);
    plim_arena_free(&arena);
    plim_json_close(&json);
    return status;
}

void plim_tok_config_free(plim_tok_config *config, const plim_alloc *alloc)
{
    plim_delete(alloc, config->listed);
    plim_delete(alloc, config->extra);
}
