/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation: messages of text, in memory and as a JSON file. */
#ifndef CLI_CHAT_TALK_H
#define CLI_CHAT_TALK_H

#include "json_out.h"

typedef struct chat_message {
    char role[32]; /* "system", "user", "assistant", ... */
    char *content;
    size_t bytes;
} chat_message;

/* Zeroes are an empty one. */
typedef struct chat_talk {
    chat_message *messages;
    size_t count, cap;
} chat_talk;

void chat_talk_free(chat_talk *talk);

/* Append a message; its text is copied.  NOMEM. */
plim_status chat_talk_add(chat_talk *talk, const char *role, const char *text, size_t bytes,
                          plim_error *err);

/* Messages that stand before the first turn: 1 with a system message, else 0. */
size_t chat_talk_head(const chat_talk *talk);

/* Give the conversation this system message in place of the one it has; an empty text takes it
 * away.  NOMEM: nothing changed. */
plim_status chat_talk_set_system(chat_talk *talk, const char *text, plim_error *err);

/* Take away the messages [from, to). */
void chat_talk_cut(chat_talk *talk, size_t from, size_t to);

/* Where the turn after message `at` begins: the next message of the user, or the end. */
size_t chat_talk_next_turn(const chat_talk *talk, size_t at);

/* [{"role": ..., "content": ...}, ...] as a value, without the messages [from, to). */
void chat_talk_json(cli_json *json, const chat_talk *talk, size_t from, size_t to);

/* Into a file that only the user may read. */
plim_status chat_talk_save(const chat_talk *talk, const char *path, plim_error *err);

/* What chat_talk_save wrote, in place of the messages there are; those stay on failure.  FORMAT
 * with the byte of what is no such message. */
plim_status chat_talk_load(chat_talk *talk, const char *path, plim_error *err);

#endif
