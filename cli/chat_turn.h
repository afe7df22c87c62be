/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn of `plimsoll chat`: a message in, an answer out.  The whole conversation is rendered and
 * encoded each time; what the session holds of it already is not computed again. */
#ifndef CLI_CHAT_TURN_H
#define CLI_CHAT_TURN_H

#include "chat_template.h"

typedef struct chat_state {
    cli *c;
    plim_model *model;
    plim_tokenizer *tokenizer;
    plim_session *session;
    chat_template chat_template;
    chat_talk talk;
    plim_generate_options generate;
    size_t most;    /* new tokens per answer */
    size_t reserve; /* of the context, kept for an answer */
    int32_t *held;  /* the ids that the session holds: session length of them */
    bool talks;     /* with somebody at a terminal: Ctrl-C stops an answer only */
    cli_json json;  /* with --json: inside "turns" */
} chat_state;

/* Session, limits and memory for what it holds.  USAGE where -n leaves no room for a prompt. */
plim_status chat_turn_open(chat_state *s, plim_error *err);
void chat_turn_close(chat_state *s);

/* Say text[bytes] and stream the answer.  The oldest turns go where the context is full.  On
 * failure the message is taken back; *ends tells that the program can't go on (a disk that failed,
 * no memory, or the wish to stop: CANCELLED). */
plim_status chat_turn_say(chat_state *s, const char *text, size_t bytes, bool *ends,
                          plim_error *err);

/* A line on standard error that is no answer: dim where the terminal can; nothing with --quiet. */
void chat_note(const chat_state *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
