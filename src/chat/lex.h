/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two files of the lexer share. */
#ifndef PLIM_CHAT_LEX_H
#define PLIM_CHAT_LEX_H

#include "chat/ast.h"

typedef struct plim_lexer {
    plim_arena *arena;
    const char *file, *text;
    size_t end, pos, counted;
    uint32_t line; /* of `counted` */
    plim_token *tokens;
    size_t count, cap;
    unsigned open; /* brackets */
    uint8_t brackets[PLIM_CHAT_MAX_DEPTH];
    plim_error *err;
} plim_lexer;

plim_status plim_lex_fail(plim_lexer *lex, const char *what);
plim_status plim_lex_push(plim_lexer *lex, plim_token_kind kind, const char *text, size_t bytes);
/* The string literal that begins here. */
plim_status plim_lex_string(plim_lexer *lex);

#endif
