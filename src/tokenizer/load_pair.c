/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab.json + merges.txt, which say nothing of how text is cut: GPT-2's way, or Qwen2's, as the
 * tokenizer class of tokenizer_config.json (or the model type of config.json) tells.  Any other
 * class is UNSUP. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/load.h"

/* A pair is needed when nobody says otherwise: GPT-2's, whose files had nothing beside them. */
static const struct {
    const char *name;
    bool qwen2;
} known[] = {
    {"", false},     {"gpt2", false}, {"GPT2Tokenizer", false}, {"GPT2TokenizerFast", false},
    {"qwen2", true}, {"qwen3", true}, {"Qwen2Tokenizer", true}, {"Qwen2TokenizerFast", true}};

static const char qwen2_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
                                    "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                                    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static plim_status read_vocab(plim_loader *loader, plim_error *err)
{
    plim_status status = plim_tok_json_open(&loader->json, loader->tok->alloc, loader->path, err);
    if (status)
        return status;
    status = plim_json_expect(loader->json, PLIM_JSON_OBJECT, "a vocabulary", err);
    if (!status)
        status = plim_load_vocab(loader, true, err);
    if (!status)
        status = plim_json_expect(loader->json, PLIM_JSON_END, "the end of the vocabulary", err);
    plim_json_close(&loader->json);
    return status;
}

static plim_status read_line(plim_loader *loader, const char *line, size_t bytes, int64_t offset,
                             plim_error *err)
{
    if (bytes && line[bytes - 1] == '\r')
        bytes--;
    if (bytes >= 8 && memcmp(line, "#version", 8) == 0)
        return PLIM_OK;
    size_t bad = plim_utf8_first_bad(line, bytes);
    if (bad < bytes)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, offset + (int64_t)bad, "is not UTF-8");
    return plim_load_merge_line(loader, line, bytes, offset, err);
}

enum { BLOCK_BYTES = 65536 }; /* and the longest line */

static plim_status read_lines(plim_loader *loader, const plim_file *file, char *block,
                              plim_error *err)
{
    size_t held = 0;
    uint64_t offset = 0; /* of block[0] */
    for (;;) {
        size_t got, start = 0;
        plim_status status = plim_file_read_some(file, loader->path, block + held,
                                                 BLOCK_BYTES - held, offset + held, &got, err);
        if (status)
            return status;
        bool last = got == 0;
        held += got;
        while (start < held) {
            const char *newline = memchr(block + start, '\n', held - start);
            if (!newline && !last)
                break;
            size_t bytes = newline ? (size_t)(newline - block) - start : held - start;
            if ((status = read_line(loader, block + start, bytes, (int64_t)(offset + start), err)))
                return status;
            start += bytes + (newline ? 1 : 0);
        }
        if (last)
            return PLIM_OK;
        if (start == 0 && held == BLOCK_BYTES)
            return plim_loader_fail(loader, err, PLIM_E_LIMIT, (int64_t)offset,
                                    "a line of over %d bytes", BLOCK_BYTES);
        memmove(block, block + start, held - start);
        held -= start;
        offset += start;
    }
}

static plim_status read_merges(plim_loader *loader, plim_error *err)
{
    plim_file file;
    plim_status status = plim_file_open(&file, loader->path, err);
    if (status)
        return status;
    char *block = plim_new(loader->tok->alloc, 1, BLOCK_BYTES, err);
    status = block ? read_lines(loader, &file, block, err) : plim_tok_nomem(err);
    plim_delete(loader->tok->alloc, block);
    plim_file_close(&file);
    loader->have_merges = true;
    return status;
}

static plim_status add_steps(plim_tok *tok, const plim_tok_config *config, bool qwen2,
                             plim_error *err)
{
    plim_status status;
    if (qwen2) {
        plim_regex *regex;
        if ((status = plim_regex_open(&regex, tok->alloc, qwen2_pattern, sizeof qwen2_pattern - 1,
                                      false, PLIM_NOWHERE, err)) ||
            (status = plim_add_split(tok, regex, PLIM_SPLIT_ISOLATED, false, PLIM_NOWHERE, err)))
            return status;
        tok->nfc = true;
    }
    tok->decoder = PLIM_DECODE_BYTE_LEVEL;
    return plim_add_byte_level(tok, config->add_prefix_space == 1, !qwen2, PLIM_NOWHERE, err);
}

/* The special tokens that the classes have by themselves. */
static void default_tokens(plim_tok_config *config, bool qwen2)
{
    static const plim_named gpt2_named[] = {PLIM_NAMED_BOS, PLIM_NAMED_EOS, PLIM_NAMED_UNK};
    static const plim_named qwen2_named[] = {PLIM_NAMED_PAD, PLIM_NAMED_EOS, PLIM_NAMED_UNK};
    for (int i = 0; i < 3; i++) {
        plim_named which = qwen2 ? qwen2_named[i] : gpt2_named[i];
        if (!config->named_said[which])
            config->named[which] =
                (plim_added_token){.text = "<|endoftext|>", .bytes = 13, .special = true};
    }
}

/* add_bos_token and add_eos_token. */
static plim_status add_template(plim_tok *tok, const plim_tok_config *config, plim_error *err)
{
    const plim_added_token *bos = &config->named[PLIM_NAMED_BOS],
                           *eos = &config->named[PLIM_NAMED_EOS];
    bool with_bos = config->add_bos_token == 1 && bos->text,
         with_eos = config->add_eos_token == 1 && eos->text;
    if (!with_bos && !with_eos)
        return PLIM_OK;
    tok->template_ids = plim_new(tok->alloc, 3, sizeof *tok->template_ids, err);
    if (!tok->template_ids)
        return plim_tok_nomem(err);
    if (with_bos)
        tok->template_ids[tok->template_count++] = plim_tok_find(tok, bos->text, bos->bytes);
    tok->template_ids[tok->template_count++] = PLIM_TEMPLATE_SEQUENCE;
    if (with_eos)
        tok->template_ids[tok->template_count++] = plim_tok_find(tok, eos->text, eos->bytes);
    return PLIM_OK;
}

static plim_status load_files(plim_loader *loader, const char *directory, char *path, size_t cap,
                              plim_error *err)
{
    plim_status status = plim_path_join(path, cap, directory, "vocab.json", err);
    if (!status)
        status = read_vocab(loader, err);
    if (!status)
        status = plim_path_join(path, cap, directory, "merges.txt", err);
    if (!status)
        status = read_merges(loader, err);
    return status ? status : plim_load_model_finish(loader, err);
}

plim_status plim_load_pair(plim_tok *tok, const char *directory, const plim_log *log,
                           plim_tok_config *config, plim_error *err)
{
    char path[4096];
    const char *who = config->tokenizer_class[0] ? config->tokenizer_class : config->model_type;
    bool found = false, qwen2 = false;
    for (size_t i = 0; !found && i < sizeof known / sizeof *known; i++)
        if ((found = !strcmp(who, known[i].name)))
            qwen2 = known[i].qwen2;
    plim_status status = plim_path_join(path, sizeof path, directory, "vocab.json", err);
    if (status)
        return status;
    if (!found)
        return plim_fail_at(
            err, PLIM_E_UNSUP, (plim_where){path, NULL, -1},
            "vocab.json + merges.txt of \"%s\" is not supported (yet), only GPT-2's and Qwen2's; "
            "a tokenizer.json would say how it cuts text",
            who);
    plim_loader loader = {.tok = tok, .log = log, .path = path, .model_offset = -1};
    plim_arena_init(&loader.scratch, tok->alloc);
    status = load_files(&loader, directory, path, sizeof path, err);
    plim_loader_free(&loader);
    if (!status)
        status = add_steps(tok, config, qwen2, err);
    if (status)
        return status;
    default_tokens(config, qwen2);
    status = plim_tok_config_apply(config, tok, err);
    return status ? status : add_template(tok, config, err);
}
