/* SPDX-License-Identifier: Apache-2.0
 *
 * vocab.json + merges.txt, which say nothing of how text is cut: that is known of some tokenizer
 * classes, which tokenizer_config.json (or the model type of config.json) tells.  Any other class
 * is UNSUP. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/load.h"

typedef enum family { GPT2, QWEN2, NEOX, ROBERTA } family;

/* By class or by model type.  With neither it is GPT-2's, whose files had nothing beside them. */
static const struct {
    const char *name;
    family which;
} known[] = {{"", GPT2},
             {"GPT2Tokenizer", GPT2},
             {"gpt2", GPT2},
             {"gptj", GPT2},
             {"gpt_neo", GPT2},
             {"opt", GPT2},
             {"phi", GPT2},
             {"codegen", GPT2},
             {"starcoder2", GPT2},
             {"dbrx", GPT2},
             {"jais2", GPT2},
             {"Qwen2Tokenizer", QWEN2},
             {"qwen2", QWEN2},
             {"qwen2_moe", QWEN2},
             {"qwen2_vl", QWEN2},
             {"qwen2_5_vl", QWEN2},
             {"qwen3", QWEN2},
             {"qwen3_moe", QWEN2},
             {"qwen3_next", QWEN2},
             {"qwen3_vl", QWEN2},
             {"qwen3_vl_moe", QWEN2},
             {"GPTNeoXTokenizer", NEOX},
             {"gpt_neox", NEOX},
             {"olmo", NEOX},
             {"olmoe", NEOX},
             {"mpt", NEOX},
             {"mamba", NEOX},
             {"mamba2", NEOX},
             {"falcon_mamba", NEOX},
             {"rwkv", NEOX},
             {"RobertaTokenizer", ROBERTA},
             {"roberta", ROBERTA},
             {"roberta-prelayernorm", ROBERTA}};

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

static plim_status read_merge(plim_loader *loader, const char *line, size_t bytes, int64_t offset,
                              plim_error *err)
{
    if (bytes && line[bytes - 1] == '\r')
        bytes--;
    if (bytes >= 8 && memcmp(line, "#version", 8) == 0)
        return PLIM_OK;
    return plim_load_merge_line(loader, line, bytes, offset, err);
}

enum { BLOCK_BYTES = 65536 }; /* and the longest line */

static plim_status read_lines(plim_loader *loader, const plim_file *file, char *block,
                              plim_line_reader read, plim_error *err)
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
            int64_t at = (int64_t)(offset + start);
            size_t bad = plim_utf8_first_bad(block + start, bytes);
            if (bad < bytes)
                return plim_loader_fail(loader, err, PLIM_E_FORMAT, at + (int64_t)bad,
                                        "is not UTF-8");
            if ((status = read(loader, block + start, bytes, at, err)))
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

plim_status plim_load_lines(plim_loader *loader, plim_line_reader read, plim_error *err)
{
    plim_file file;
    plim_status status = plim_file_open(&file, loader->path, err);
    if (status)
        return status;
    char *block = plim_new(loader->tok->alloc, 1, BLOCK_BYTES + PLIM_JSON_SLACK, err);
    status = block ? read_lines(loader, &file, block, read, err) : plim_tok_nomem(err);
    plim_delete(loader->tok->alloc, block);
    plim_file_close(&file);
    return status;
}

static plim_status add_steps(plim_tok *tok, const plim_tok_config *config, family which,
                             plim_error *err)
{
    plim_status status = PLIM_OK;
    if (which == QWEN2 || which == NEOX)
        status = plim_load_part(tok, PLIM_PART_NORMALIZER, "{\"type\":\"NFC\"}", err);
    if (!status)
        status = plim_chain_byte_level(&tok->decoder, tok->alloc, err);
    if (!status)
        status = plim_pretokenizer_byte_level(&tok->pretokenizer, tok->alloc,
                                              which == QWEN2 ? qwen2_pattern : NULL,
                                              config->add_prefix_space == 1, err);
    tok->byte_pieces = true;
    return status;
}

/* The special tokens that the classes have by themselves. */
static void default_tokens(plim_tok_config *config, family which)
{
    static const char *const names[][PLIM_NAMED_COUNT] = {
        [GPT2] = {[PLIM_NAMED_BOS] = "<|endoftext|>",
                  [PLIM_NAMED_EOS] = "<|endoftext|>",
                  [PLIM_NAMED_UNK] = "<|endoftext|>"},
        [QWEN2] = {[PLIM_NAMED_PAD] = "<|endoftext|>",
                   [PLIM_NAMED_EOS] = "<|endoftext|>",
                   [PLIM_NAMED_UNK] = "<|endoftext|>"},
        [NEOX] = {[PLIM_NAMED_BOS] = "<|endoftext|>",
                  [PLIM_NAMED_EOS] = "<|endoftext|>",
                  [PLIM_NAMED_UNK] = "<|endoftext|>",
                  [PLIM_NAMED_PAD] = "<|padding|>"},
        [ROBERTA] = {[PLIM_NAMED_BOS] = "<s>",
                     [PLIM_NAMED_EOS] = "</s>",
                     [PLIM_NAMED_UNK] = "<unk>",
                     [PLIM_NAMED_SEP] = "</s>",
                     [PLIM_NAMED_PAD] = "<pad>",
                     [PLIM_NAMED_CLS] = "<s>",
                     [PLIM_NAMED_MASK] = "<mask>"},
    };
    plim_tok_config_defaults(config, names[which]);
    plim_added_token *mask = &config->named[PLIM_NAMED_MASK];
    if (which == ROBERTA && !config->named_said[PLIM_NAMED_MASK])
        mask->lstrip = mask->normalized = true;
}

/* RobertaProcessing of cls and sep. */
static plim_status add_roberta(plim_tok *tok, const plim_tok_config *config, plim_error *err)
{
    const plim_added_token *cls = &config->named[PLIM_NAMED_CLS],
                           *sep = &config->named[PLIM_NAMED_SEP];
    char text[256];
    snprintf(text, sizeof text,
             "{\"type\":\"RobertaProcessing\",\"cls\":[\"\",%d],\"sep\":[\"\",%d],"
             "\"trim_offsets\":true,\"add_prefix_space\":%s}",
             cls->text ? (int)plim_tok_find(tok, cls->text, cls->bytes) : 0,
             sep->text ? (int)plim_tok_find(tok, sep->text, sep->bytes) : 2,
             config->add_prefix_space == 1 ? "true" : "false");
    return plim_load_part(tok, PLIM_PART_POST_PROCESSOR, text, err);
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
        status = plim_load_lines(loader, read_merge, err);
    if (!status)
        status = plim_load_merges_end(loader, err);
    loader->have_type = true; /* BPE */
    return status ? status : plim_load_model_finish(loader, err);
}

static bool find_family(const char *who, family *out)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(who, known[i].name)) {
            *out = known[i].which;
            return true;
        }
    return false;
}

bool plim_is_neox(const char *who)
{
    family which;
    return find_family(who, &which) && which == NEOX;
}

plim_status plim_load_pair(plim_tok *tok, const char *directory, const plim_log *log,
                           plim_tok_config *config, plim_error *err)
{
    char path[4096];
    char who[64];
    family which = GPT2;
    plim_tok_config_class(config, who, sizeof who);
    plim_status status = plim_path_join(path, sizeof path, directory, "vocab.json", err);
    if (status)
        return status;
    if (!find_family(who, &which))
        return plim_fail_at(
            err, PLIM_E_UNSUP, (plim_where){path, NULL, -1},
            "vocab.json + merges.txt of \"%s\" is not supported (yet), only those of GPT-2, Qwen2, "
            "GPT-NeoX and RoBERTa; a tokenizer.json would say how it cuts text",
            who);
    plim_loader loader = {.tok = tok, .log = log, .path = path, .model_offset = -1};
    plim_arena_init(&loader.scratch, tok->alloc);
    status = load_files(&loader, directory, path, sizeof path, err);
    if (!status)
        status = add_steps(tok, config, which, err);
    if (!status)
        status = plim_load_bpe_settle(&loader, err);
    plim_loader_free(&loader);
    if (status)
        return status;
    default_tokens(config, which);
    status = plim_tok_config_apply(config, tok, err);
    if (status)
        return status;
    return which == ROBERTA ? add_roberta(tok, config, err)
                            : plim_tok_config_template(config, tok, err);
}
