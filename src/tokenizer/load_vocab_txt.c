/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab.txt, a token a line: BERT's WordPiece, which Transformers' BertTokenizer knows how to cut
 * text for.  Other classes with such a file are UNSUP.  And which of the older forms a folder
 * has. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/classes.h"
#include "tokenizer/load.h"

/* Classes that are BertTokenizer, and model types that have it. */
static const char *const known[] = {"BertTokenizer",
                                    "DistilBertTokenizer",
                                    "ElectraTokenizer",
                                    "LxmertTokenizer",
                                    "MobileBertTokenizer",
                                    "SqueezeBertTokenizer",
                                    "ConvBertTokenizer",
                                    "RetriBertTokenizer",
                                    "LayoutLMTokenizer",
                                    "align",
                                    "bark",
                                    "bert",
                                    "blip",
                                    "bros",
                                    "chinese_clip",
                                    "convbert",
                                    "distilbert",
                                    "electra",
                                    "ernie",
                                    "flava",
                                    "git",
                                    "grounding-dino",
                                    "layoutlm",
                                    "lxmert",
                                    "megatron-bert",
                                    "mm-grounding-dino",
                                    "mobilebert",
                                    "nezha",
                                    "nomic_bert",
                                    "qdqbert",
                                    "realm",
                                    "retribert",
                                    "squeezebert",
                                    "tvp",
                                    "vilt",
                                    "visual_bert"};

/* A token without the spaces behind it; its id is the line's number. */
static plim_status read_token(plim_loader *loader, const char *line, size_t bytes, int64_t offset,
                              plim_error *err)
{
    if (loader->lines > PLIM_TOK_MAX_ID)
        return plim_loader_fail(loader, err, PLIM_E_LIMIT, offset, "more than %u tokens",
                                PLIM_TOK_MAX_ID + 1);
    while (bytes) {
        size_t start = bytes - 1, bad;
        uint32_t code = 0;
        bool incomplete;
        while (start && ((unsigned char)line[start] & 0xC0) == 0x80)
            start--;
        plim_utf8_decode(line + start, bytes - start, &code, &bad, &incomplete);
        if (!plim_is_space(code))
            break;
        bytes = start;
    }
    return plim_vocab_add(&loader->tok->vocab, line, bytes, (uint32_t)loader->lines++, err);
}

static plim_status add_parts(plim_tok *tok, const plim_tok_config *config, plim_error *err)
{
    char normalizer[256];
    const char *accents = config->strip_accents == -1  ? "null"
                          : config->strip_accents == 1 ? "true"
                                                       : "false";
    snprintf(normalizer, sizeof normalizer,
             "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":%s,"
             "\"strip_accents\":%s,\"lowercase\":%s}",
             config->tokenize_chinese_chars ? "true" : "false", accents,
             config->do_lower_case ? "true" : "false");
    plim_status status = plim_load_part(tok, PLIM_PART_NORMALIZER, normalizer, err);
    if (!status)
        status =
            plim_load_part(tok, PLIM_PART_PRE_TOKENIZER, "{\"type\":\"BertPreTokenizer\"}", err);
    if (!status)
        status = plim_load_part(tok, PLIM_PART_DECODER,
                                "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}", err);
    return status;
}

static plim_status add_tokens(plim_tok *tok, plim_tok_config *config, plim_error *err)
{
    static const char *const names[PLIM_NAMED_COUNT] = {
        [PLIM_NAMED_UNK] = "[UNK]", [PLIM_NAMED_SEP] = "[SEP]",   [PLIM_NAMED_PAD] = "[PAD]",
        [PLIM_NAMED_CLS] = "[CLS]", [PLIM_NAMED_MASK] = "[MASK]",
    };
    plim_tok_config_defaults(config, names);
    plim_status status = plim_tok_config_apply(config, tok, err);
    if (status)
        return status;
    const plim_added_token *cls = &config->named[PLIM_NAMED_CLS],
                           *sep = &config->named[PLIM_NAMED_SEP];
    return plim_post_around(
        &tok->post, tok->alloc, cls->text ? (uint32_t)plim_tok_find(tok, cls->text, cls->bytes) : 2,
        sep->text ? (uint32_t)plim_tok_find(tok, sep->text, sep->bytes) : 3, err);
}

static plim_status load_file(plim_loader *loader, const plim_tok_config *config, plim_error *err)
{
    plim_tok *tok = loader->tok;
    const plim_added_token *unk = &config->named[PLIM_NAMED_UNK];
    plim_status status = plim_load_lines(loader, read_token, err);
    if (status)
        return status;
    loader->have_vocab = loader->have_type = true;
    loader->have_prefix = loader->have_max_characters = true;
    loader->unk_token = unk->text ? unk->text : "[UNK]";
    loader->unk_bytes = unk->text ? unk->bytes : 5;
    tok->model = PLIM_MODEL_WORDPIECE;
    tok->bpe.prefix = "##";
    tok->bpe.prefix_bytes = 2;
    tok->wordpiece.max_characters = 100;
    return plim_load_model_finish(loader, err);
}

static bool is_known(const char *who)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(who, known[i]))
            return true;
    return false;
}

static plim_status load_vocab_txt(plim_tok *tok, const char *path, const plim_log *log,
                                  const char *who, plim_tok_config *config, plim_error *err)
{
    if (!is_known(who))
        return plim_fail_at(err, PLIM_E_UNSUP, (plim_where){path, NULL, -1},
                            "vocab.txt of \"%s\" is not supported (yet), only BertTokenizer's; a "
                            "tokenizer.json would say how it cuts text",
                            who);
    plim_loader loader = {.tok = tok, .log = log, .path = path, .model_offset = -1};
    plim_arena_init(&loader.scratch, tok->alloc);
    plim_status status = load_file(&loader, config, err);
    plim_loader_free(&loader);
    if (!status)
        status = add_parts(tok, config, err);
    return status ? status : add_tokens(tok, config, err);
}

static plim_status find_file(bool *found, char *path, size_t cap, const char *directory,
                             const char *name, plim_error *err)
{
    plim_status status = plim_path_join(path, cap, directory, name, err);
    return status ? status : plim_path_find_file(found, path, err);
}

/* Files of tokenizers that are none of the older two forms. */
static plim_status refuse(const char *directory, plim_error *err)
{
    static const char *const others[] = {"tokenizer.model", "spiece.model", "tekken.json",
                                         "tiktoken.model"};
    char path[4096];
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        bool found = false;
        plim_status status = find_file(&found, path, sizeof path, directory, others[i], err);
        if (status)
            return status;
        if (found)
            return plim_fail_at(err, PLIM_E_UNSUP, (plim_where){path, NULL, -1},
                                "a tokenizer of this form is not supported (yet); Transformers "
                                "writes a tokenizer.json for it "
                                "(AutoTokenizer.from_pretrained(...).save_pretrained(...))");
    }
    return plim_fail_at(err, PLIM_E_IO, (plim_where){directory, NULL, -1},
                        "there is no tokenizer.json, no vocab.json with merges.txt and no "
                        "vocab.txt");
}

plim_status plim_load_older(plim_tok *tok, const char *directory, const plim_log *log,
                            plim_tok_config *config, plim_error *err)
{
    char path[4096], who[64];
    bool text = false, pair = false;
    plim_tok_config_class(config, who, sizeof who);
    plim_status status = find_file(&pair, path, sizeof path, directory, "vocab.json", err);
    if (!status)
        status = find_file(&text, path, sizeof path, directory, "vocab.txt", err);
    if (status)
        return status;
    if (text && (!pair || is_known(who)))
        return load_vocab_txt(tok, path, log, who, config, err);
    return pair ? plim_load_pair(tok, directory, log, config, err) : refuse(directory, err);
}
