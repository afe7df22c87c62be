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

/* An id of a template, and where it stood. */
typedef struct plim_template_id {
    int32_t id;
    int64_t offset;
} plim_template_id;

typedef struct plim_loader {
    plim_tok *tok;
    const plim_log *log;
    const char *path;
    plim_json *json;
    plim_arena scratch; /* names that loading needs and the tokenizer doesn't */
    char *key;          /* a token while its id is read; a merge being joined */
    size_t key_cap;

    /* model */
    bool have_vocab, have_merges, merges_wait, fuse_unk, byte_fallback;
    int64_t model_offset;
    const char *unk_token;
    size_t unk_bytes;
    plim_merge *rules;
    size_t rule_count, rule_cap;
    plim_json_event merge_form; /* of the first merge */

    /* added_tokens, until the vocabulary is there */
    plim_added_token *added;
    size_t added_count, added_cap;
    int64_t added_offset;

    bool byte_level;      /* the pre-tokenizer has a ByteLevel */
    bool lone_byte_level; /* ... and is one */
    plim_template_id *template_ids;
    size_t template_count, template_cap;
    bool have_template;
} plim_loader;

plim_status plim_loader_fail(const plim_loader *loader, plim_error *err, plim_status code,
                             int64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* load_model.c: the value of "model", whose first event was read. */
plim_status plim_load_model(plim_loader *loader, plim_json_event event, plim_error *err);
/* {"token": id, ...}, the { was read. */
plim_status plim_load_vocab(plim_loader *loader, bool skip_other_values, plim_error *err);
/* A rule "left right" of merges.txt or the older merges; offset: where it stood. */
plim_status plim_load_merge(plim_loader *loader, const char *left, size_t left_bytes,
                            const char *right, size_t right_bytes, int64_t offset, plim_error *err);
/* Split "left right" at its one space: FORMAT when there is none or more. */
plim_status plim_load_merge_line(plim_loader *loader, const char *line, size_t bytes,
                                 int64_t offset, plim_error *err);
/* The merge table, the ids of bytes. */
plim_status plim_load_model_finish(plim_loader *loader, plim_error *err);
void plim_loader_free(plim_loader *loader);

/* load_parts.c: normalizer, pre_tokenizer and decoder; post.c: post_processor. */
plim_status plim_load_normalizer(plim_loader *loader, plim_json_event event, plim_error *err);
plim_status plim_load_pre_tokenizer(plim_loader *loader, plim_json_event event, plim_error *err);
plim_status plim_load_decoder(plim_loader *loader, plim_json_event event, plim_error *err);
plim_status plim_load_post_processor(plim_loader *loader, plim_json_event event, plim_error *err);
plim_status plim_load_template_finish(plim_loader *loader, plim_error *err);
/* ByteLevel as a pre-tokenizer. */
plim_status plim_add_byte_level(plim_tok *tok, bool add_prefix_space, bool use_regex,
                                plim_where where, plim_error *err);
plim_status plim_add_split(plim_tok *tok, plim_regex *regex, plim_behavior behavior, bool invert,
                           plim_where where, plim_error *err);
/* After the last step: a trailing ALPHABET is left out. */
void plim_steps_finish(plim_tok *tok);

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
void plim_tok_config_free(plim_tok_config *config, const plim_alloc *alloc);

/* ---- the two forms of a tokenizer; the vocabulary's index is kept for what follows ---- */

/* *lone_byte_level: ByteLevel is the whole pre-tokenizer. */
plim_status plim_load_json(plim_tok *tok, const char *path, const plim_log *log,
                           bool *lone_byte_level, plim_error *err);
/* vocab.json + merges.txt, with all tokens of config. */
plim_status plim_load_pair(plim_tok *tok, const char *directory, const plim_log *log,
                           plim_tok_config *config, plim_error *err);

#endif
