/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a folder's tokenizer, and giving it back. */
#include "tokenizer/load.h"

/* add_prefix_space of tokenizer_config.json changes a ByteLevel that is the whole pre-tokenizer,
 * for the classes of Transformers that build theirs from it. */
static void override_prefix_space(plim_tok *tok, const plim_tok_config *config)
{
    bool has = tok->step_count && tok->steps[0].kind == PLIM_STEP_PREFIX_SPACE;
    const char *class = config->tokenizer_class;
    if (config->add_prefix_space == -1 ||
        !(class[0] == 'G' && class[1] == 'P' && class[2] == 'T' && class[3] == '2'))
        return;
    if (has && config->add_prefix_space == 0) {
        for (unsigned i = 1; i < tok->step_count; i++)
            tok->steps[i - 1] = tok->steps[i];
        tok->step_count--;
    } else if (!has && config->add_prefix_space == 1 && tok->step_count < PLIM_TOK_MAX_STEPS) {
        for (unsigned i = tok->step_count; i > 0; i--)
            tok->steps[i] = tok->steps[i - 1];
        tok->steps[0] = (plim_step){.kind = PLIM_STEP_PREFIX_SPACE};
        tok->step_count++;
    }
}

static plim_status load_directory(plim_tok *tok, const char *directory, const plim_log *log,
                                  plim_error *err)
{
    char path[4096];
    plim_tok_config config;
    bool lone_byte_level = false;
    plim_status status = plim_tok_config_read(&config, tok, directory, err);
    if (!status)
        status = plim_path_join(path, sizeof path, directory, "tokenizer.json", err);
    plim_where where = {path, NULL, -1};
    bool found = false;
    if (!status)
        status = plim_path_find_file(&found, path, err);
    if (!status && found) {
        if (!(status = plim_load_json(tok, path, log, &lone_byte_level, err)))
            status = plim_tok_config_apply(&config, tok, err);
        if (!status && lone_byte_level)
            override_prefix_space(tok, &config);
    } else if (!status) {
        status = plim_path_join(path, sizeof path, directory, "vocab.json", err);
        if (!status)
            status = plim_path_find_file(&found, path, err);
        if (!status && !found)
            status = plim_fail_at(err, PLIM_E_IO, (plim_where){directory, NULL, -1},
                                  "there is no tokenizer.json and no vocab.json with merges.txt");
        if (!status)
            status = plim_load_pair(tok, directory, log, &config, err);
    }
    plim_tok_config_free(&config, tok->alloc);
    if (!status)
        status = plim_added_finish(tok, where, err);
    if (!status)
        status = plim_vocab_finish(&tok->vocab, tok->ignore_merges, err);
    if (!status)
        plim_steps_finish(tok);
    return status;
}

plim_status plim_tok_open(plim_tok **out, const plim_alloc *alloc, const char *directory,
                          const plim_log *log, plim_error *err)
{
    plim_error local = {0};
    *out = NULL;
    err = err ? err : &local;
    plim_error_clear(err);
    plim_tok *tok = plim_new(alloc, 1, sizeof *tok, err);
    if (!tok)
        return plim_tok_nomem(err);
    tok->alloc = alloc;
    plim_arena_init(&tok->arena, alloc);
    plim_vocab_init(&tok->vocab, alloc);
    plim_status status = load_directory(tok, directory, log, err);
    if (status) {
        plim_tok_close(&tok);
        return status;
    }
    *out = tok;
    return PLIM_OK;
}

void plim_tok_close(plim_tok **tok)
{
    plim_tok *t = *tok;
    if (!t)
        return;
    plim_vocab_free(&t->vocab);
    plim_merges_free(&t->merges, t->alloc);
    plim_added_free(&t->added, t->alloc);
    for (unsigned i = 0; i < t->step_count; i++)
        plim_regex_close(&t->steps[i].regex);
    plim_delete(t->alloc, t->template_ids);
    plim_arena_free(&t->arena);
    plim_delete(t->alloc, t);
    *tok = NULL;
}
