/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a folder's tokenizer, and giving it back. */
#include <string.h>

#include "base/text.h"
#include "tokenizer/load.h"

/* add_prefix_space of tokenizer_config.json changes a ByteLevel that is the whole pre-tokenizer,
 * for the classes of Transformers that build theirs from it. */
static plim_status override_prefix_space(plim_tok *tok, const plim_tok_config *config,
                                         plim_error *err)
{
    if (config->add_prefix_space == -1 || !tok->pretokenizer ||
        !plim_begins_with(config->tokenizer_class, "GPT2"))
        return PLIM_OK;
    return plim_pretokenizer_set_prefix_space(tok->pretokenizer, config->add_prefix_space == 1,
                                              err);
}

/* The strings that encoding looks up. */
static plim_vocab_index looked_up(const plim_tok *tok)
{
    const plim_bpe *bpe = &tok->bpe;
    if (tok->model == PLIM_MODEL_UNIGRAM)
        return PLIM_INDEX_NONE;
    if (tok->model != PLIM_MODEL_BPE || bpe->ignore_merges || bpe->prefix_bytes ||
        bpe->suffix_bytes)
        return PLIM_INDEX_ALL;
    return tok->byte_pieces ? PLIM_INDEX_NONE : PLIM_INDEX_CHARACTERS;
}

/* The form in which decoding can copy strings. */
static plim_vocab_form copied_form(plim_tok *tok)
{
    if (tok->byte_pieces)
        return PLIM_VOCAB_BYTES;
    if (!plim_chain_decodes_bytes(tok->decoder)) /* tokens of bytes are text like others */
        memset(tok->vocab.byte_id, 0xFF, sizeof tok->vocab.byte_id);
    bool spaced = tok->model == PLIM_MODEL_BPE && looked_up(tok) == PLIM_INDEX_CHARACTERS &&
                  !tok->vocab.duplicate_ids && plim_chain_is_usual(tok->decoder) &&
                  plim_vocab_can_be_spaced(&tok->vocab, plim_chain_decodes_bytes(tok->decoder));
    return spaced ? PLIM_VOCAB_SPACED : PLIM_VOCAB_SPELLED;
}

static plim_status load_directory(plim_tok *tok, const char *directory, const plim_log *log,
                                  plim_error *err)
{
    char path[4096];
    plim_tok_config config;
    plim_status status = plim_tok_config_read(&config, tok, directory, err);
    if (!status)
        status = plim_path_join(path, sizeof path, directory, "tokenizer.json", err);
    plim_where where = {path, NULL, -1};
    bool found = false;
    if (!status)
        status = plim_path_find_file(&found, path, err);
    if (!status && found) {
        if (!(status = plim_load_json(tok, path, log, err)))
            status = plim_tok_config_apply_json(&config, tok, err);
        if (!status)
            status = override_prefix_space(tok, &config, err);
    } else if (!status) {
        status = plim_load_older(tok, directory, log, &config, err);
    }
    plim_tok_config_free(&config, tok->alloc);
    if (!status)
        status = plim_added_finish(tok, where, err);
    /* A text that normalisation makes longer may be cut behind its first byte, and both parts come
     * from its first character. */
    tok->needs_positions = tok->normalizer && !tok->added.normal.empty &&
                           plim_pretokenizer_asks_for_start(tok->pretokenizer);
    if (!status)
        status = plim_vocab_finish(&tok->vocab, copied_form(tok), looked_up(tok), err);
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
    plim_merges_free(&t->bpe.merges, t->alloc);
    plim_delete(t->alloc, t->bpe.joined);
    plim_unigram_close(&t->unigram, t->alloc);
    plim_added_free(&t->added, t->alloc);
    plim_normalizer_close(&t->normalizer, t->alloc);
    plim_pretokenizer_close(&t->pretokenizer, t->alloc);
    plim_post_close(&t->post, t->alloc);
    plim_chain_close(&t->decoder, t->alloc);
    plim_arena_free(&t->arena);
    plim_delete(t->alloc, t);
    *tok = NULL;
}
