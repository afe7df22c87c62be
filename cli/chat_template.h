/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat template of a command: where --template leads, what --set adds to a context, and the
 * clock that templates see. */
#ifndef CLI_CHAT_TEMPLATE_H
#define CLI_CHAT_TEMPLATE_H

#include "chat_talk.h"
#include "cli.h"

typedef struct chat_template {
    plim_chat *chat;
    plim_chat_options options;
    char zone[32];
    const cli_texts *set;
} chat_template;

/* USAGE for a --set that is not KEY=JSON, twice the same, or what the program sets by itself. */
plim_status chat_template_check(const cli_options *options, plim_error *err);

/* The templates of MODEL, or --template FILE.jinja with MODEL's special tokens.  The clock is that
 * of now, and stays: the date in a conversation does not change while it lasts. */
plim_status chat_template_open(chat_template *out, cli *c, plim_error *err);
void chat_template_close(chat_template *t);

/* The members that --set adds to the object that is open. */
void chat_template_set_json(cli_json *json, const cli_texts *set);

/* The ids of a conversation, without the messages [from, to), up to the place where the model
 * answers.  *ids as in plim_tokenizer_encode. */
plim_status chat_template_encode(const chat_template *t, plim_tokenizer *tokenizer,
                                 const chat_talk *talk, size_t from, size_t to, int32_t **ids,
                                 size_t *count, plim_error *err);

#endif
