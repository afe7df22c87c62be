/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loading files share: a JSON file being read, the parts of tokenizer.json as they come,
 * the settings of tokenizer_config.json. */
#ifndef PLIM_TOKENIZER_LOAD_H
#define PLIM_TOKENIZER_LOAD_H

#include "base/file.h"
#include "base/json.h"
#include "tokenizer/internal.h"

/* A reader for a tokenizer file; `path` must outlive it. */
plim_status plim_tok_json_open(plim_json **out, const plim_alloc *alloc, const char *path,
                               plim_error *err);

/* The next key of an object into key[cap] (cut when longer) and its value as *event; *end at the
 * end of the object. */
plim_status plim_json_member(plim_json *json, char *key, size_t cap, plim_json_event *event,
                             bool *end, plim_error *err);
/* Scalars of the last event; `what` names the value in errors. */
plim_status plim_json_bool(const plim_json *json, plim_json_event event, const char *what,
                           bool *out, plim_error *err);
plim_status plim_json_string(const plim_json *json, plim_json_event event, const char *what,
                             plim_arena *arena, const char **out, size_t *bytes, plim_error *err);

/* The parts of tokenizer.json that wait for the model. */
typedef enum plim_part_kind {
    PLIM_PART_NORMALIZER,
    PLIM_PART_PRE_TOKENIZER,
    PLIM_PART_POST_PROCESSOR,
    PLIM_PART_DECODER,
    PLIM_PART_COUNT
} plim_part_kind;

typedef struct plim_loader {
    plim_tok *tok;
    const plim_log *log;
    const char *path;
    plim_json *json;
    plim_arena scratch; /* names and trees that loading needs and the tokenizer doesn't */
    char *key;          /* a token while its id is read; a merge being joined */
    size_t key_cap;

    /* model */
    bool have_vocab, have_merges, merges_wait, byte_fallback;
    int64_t model_offset;
    const char *unk_token;
    size_t unk_bytes;
    bool have_type, have_prefix, have_max_characters, have_unk_id, have_merges_key;
    uint64_t unk_id; /* of a Unigram */
    uint64_t lines;  /* of vocab.txt */
    plim_merge *rules;
    struct plim_merge_batch *batch; /* load_bpe.c's */
    uint32_t guess;                 /* what the last merge made */
    bool pairs_spoiled;             /* plim_bpe.joined does not tell all */
    size_t rule_count, rule_cap;
    bool any_merge;
    plim_json_event merge_form; /* of the first merge */

    /* added_tokens, until the vocabulary is there */
    plim_added_token *added;
    size_t added_count, added_cap;
    int64_t added_offset;

    const plim_node *parts[PLIM_PART_COUNT]; /* NULL: not there, or null */
} plim_loader;

plim_status plim_loader_fail(const plim_loader *loader, plim_error *err, plim_status code,
                             int64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* load_model.c: the value of "model", whose first event was read. */
plim_status plim_load_model(plim_loader *loader, plim_json_event event, plim_error *err);
/* What has to wait until all of it is read. */
plim_status plim_load_model_finish(plim_loader *loader, plim_error *err);
/* load_bpe.c.  The [ of the merges was read. */
plim_status plim_load_merges(plim_loader *loader, plim_error *err);
/* {"token": id, ...}, the { was read. */
plim_status plim_load_vocab(plim_loader *loader, bool skip_other_values, plim_error *err);
/* A rule "left right" of merges.txt or the older merges; offset: where it stood.  PLIM_JSON_SLACK
 * bytes behind each part may be looked at; so for the line below. */
plim_status plim_load_merge(plim_loader *loader, const char *left, size_t left_bytes,
                            const char *right, size_t right_bytes, int64_t offset, plim_error *err);
/* After the last merge. */
plim_status plim_load_merges_end(plim_loader *loader, plim_error *err);
void plim_load_merges_free(plim_loader *loader); /* what a failed load leaves */
/* Split "left right" at its one space: FORMAT when there is none or more. */
plim_status plim_load_merge_line(plim_loader *loader, const char *line, size_t bytes,
                                 int64_t offset, plim_error *err);
/* load_unigram.c: [[piece, score], ...], the [ was read; the table of pieces. */
plim_status plim_load_pieces(plim_loader *loader, plim_error *err);
plim_status plim_load_unigram_finish(plim_loader *loader, plim_error *err);
/* The merge table, the unknown token. */
plim_status plim_load_bpe_finish(plim_loader *loader, plim_error *err);
/* Once tok->byte_pieces is known: symbols of single bytes; where pieces can be cut. */
plim_status plim_load_bpe_settle(plim_loader *loader, plim_error *err);
void plim_loader_free(plim_loader *loader);

/* ---- config.c: tokenizer_config.json, special_tokens_map.json, added_tokens.json ---- */

typedef enum plim_named {
    PLIM_NAMED_BOS,
    PLIM_NAMED_EOS,
    PLIM_NAMED_UNK,
    PLIM_NAMED_SEP,
    PLIM_NAMED_PAD,
    PLIM_NAMED_CLS,
    PLIM_NAMED_MASK,
    PLIM_NAMED_COUNT
} plim_named;

typedef struct plim_listed_token {
    plim_added_token token;
    uint64_t order; /* the id of added_tokens_decoder */
} plim_listed_token;

typedef struct plim_tok_config {
    plim_arena *arena; /* the tokenizer's */
    char tokenizer_class[64];
    char model_type[64];                                /* of config.json */
    int add_prefix_space, add_bos_token, add_eos_token; /* -1: not said */
    int do_lower_case, strip_accents, tokenize_chinese_chars;
    bool split_special_tokens;
    plim_added_token named[PLIM_NAMED_COUNT]; /* text NULL: none */
    bool named_said[PLIM_NAMED_COUNT];        /* also when it is null */
    plim_listed_token *listed;                /* added_tokens_decoder */
    size_t listed_count, listed_cap;
    bool listed_said;
    plim_added_token *extra; /* additional special tokens */
    size_t extra_count, extra_cap;
} plim_tok_config;

/* Read what the folder has of these files; none is needed. */
plim_status plim_tok_config_read(plim_tok_config *config, plim_tok *tok, const char *directory,
                                 plim_error *err);
/* Add listed, named and extra tokens as Transformers does after it has the tokenizer. */
plim_status plim_tok_config_apply(plim_tok_config *config, plim_tok *tok, plim_error *err);
/* The same behind a tokenizer.json, whose template one class of Transformers leaves out. */
plim_status plim_tok_config_apply_json(plim_tok_config *config, plim_tok *tok, plim_error *err);
/* Transformers' template of bos and eos around a text, as add_bos_token and add_eos_token say. */
plim_status plim_tok_config_template(const plim_tok_config *config, plim_tok *tok, plim_error *err);
void plim_tok_config_free(plim_tok_config *config, const plim_alloc *alloc);

/* Names for the special tokens that nothing is said of; NULL: none. */
void plim_tok_config_defaults(plim_tok_config *config, const char *const names[PLIM_NAMED_COUNT]);
/* The tokenizer's class, without "Fast" behind it; else the model's type; else "". */
void plim_tok_config_class(const plim_tok_config *config, char *out, size_t cap);
/* config.c: a part of a tokenizer from JSON of our own, for older files, which say less. */
plim_status plim_load_part(plim_tok *tok, plim_part_kind kind, const char *text, plim_error *err);

/* ---- the two forms of a tokenizer; the vocabulary's index is kept for what follows ---- */

plim_status plim_load_json(plim_tok *tok, const char *path, const plim_log *log, plim_error *err);
/* load_pair.c: each line of loader->path, without its newline.  FORMAT: it is not UTF-8. */
typedef plim_status (*plim_line_reader)(plim_loader *loader, const char *line, size_t bytes,
                                        int64_t offset, plim_error *err);
plim_status plim_load_lines(plim_loader *loader, plim_line_reader read, plim_error *err);
/* load_vocab_txt.c: a folder without tokenizer.json: vocab.txt or vocab.json + merges.txt, with all
 * tokens of config.  IO: none of them is there.  UNSUP: a form that is not known, a class whose way
 * of cutting text is not. */
plim_status plim_load_older(plim_tok *tok, const char *directory, const plim_log *log,
                            plim_tok_config *config, plim_error *err);
/* load_pair.c: a class or model type of GPT-NeoX's family. */
bool plim_is_neox(const char *who);
/* vocab.json + merges.txt, with all tokens of config. */
plim_status plim_load_pair(plim_tok *tok, const char *directory, const plim_log *log,
                           plim_tok_config *config, plim_error *err);

#endif
