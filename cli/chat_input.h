/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said to `plimsoll chat`: lines of a terminal or of a pipe, put together to messages. */
#ifndef CLI_CHAT_INPUT_H
#define CLI_CHAT_INPUT_H

#include "cli.h"

typedef struct chat_input chat_input;

typedef enum chat_heard {
    HEARD_MESSAGE,
    HEARD_COMMAND, /* begins with a slash, and was not written as a block */
    HEARD_END,
    HEARD_BREAK /* a signal at the prompt of a terminal; *bytes were typed, and are forgotten */
} chat_heard;

/* A terminal gets prompts and line editing, with a history where a file for it can be had. */
plim_status chat_input_open(chat_input **out, const cli *c, plim_error *err);

/* Closes; a history that can't be kept is a warning unless the command is quiet. */
void chat_input_close(chat_input **input, const cli *c);

/* Standard input is a terminal. */
bool chat_input_talks(const chat_input *input);

/* The next message or command, never empty: one line; lines that end in a backslash with the one
 * after them; or everything between """ and """.  *text is NUL-terminated and lives until the next
 * call.  CANCELLED by a signal where standard input is no terminal; LIMIT for one over
 * CLI_MAX_CHAT, which was read to its end and not held: the next call goes on behind it. */
plim_status chat_input_next(chat_input *input, chat_heard *heard, const char **text, size_t *bytes,
                            plim_error *err);

#endif
