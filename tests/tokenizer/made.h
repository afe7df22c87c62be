/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers made of a text in a test, in a folder of their own. */
#ifndef PLIM_TESTS_TOKENIZER_MADE_H
#define PLIM_TESTS_TOKENIZER_MADE_H

#include "tokenizer/cases.h"

/* cmocka's group fixtures: the folder is there, then it is gone. */
int made_set_up(void **state);
int made_tear_down(void **state);

/* A file of the folder.  All of them go with made_clear. */
void made_write(const char *name, const char *text, size_t bytes);
void made_clear(void);
plim_status made_open_folder(plim_tok **tok, const plim_alloc *alloc, plim_error *err);

/* tokenizer.json that says: the model and what else is given ("" or ',"decoder":...'); it must
 * open. */
plim_tok *made_open(const char *model, const char *parts);

/* ids of a text as "1 2 3", with spans as "1[0,2] ..."; static memory. */
const char *made_ids(const plim_tok *tok, const char *text, size_t bytes,
                     const plim_tok_request *request);

#endif
