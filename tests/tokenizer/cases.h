/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a cases.jsonl: a text and what Hugging Face tokenizers gives for it. */
#ifndef PLIM_TESTS_TOKENIZER_CASES_H
#define PLIM_TESTS_TOKENIZER_CASES_H

#include "base/json.h"
#include "tokenizer/tokenizer.h"

typedef struct tok_ids {
    int32_t *at;
    size_t count, cap;
} tok_ids;

typedef struct tok_text {
    char *at;
    size_t bytes, cap;
} tok_text;

typedef struct tok_case {
    tok_text text, decoded, decoded_skip;
    tok_ids ids, plain;
    tok_ids offsets; /* of plain: begin, end, begin, end, ...; where the line has them */
    bool has_offsets;
} tok_case;

/* Next line of a whole file in memory into *c (its arrays are reused): false at the end.  Asserts
 * that the line has all fields. */
bool tok_case_next(tok_case *c, const char **at, const char *end);
void tok_case_free(tok_case *c);

/* A JSON string or an array of ids, whichever the line is. */
plim_status tok_value(const char *line, size_t bytes, tok_text *text, tok_ids *ids, bool *is_text,
                      plim_error *err);

/* Encode with a scratch of its own; *ids is a copy from alloc, NULL when *count is 0. */
plim_status tok_encode(const plim_tok *tok, const plim_alloc *alloc, const char *text, size_t bytes,
                       bool add_special, int32_t **ids, size_t *count, plim_error *err);

/* Decode with pushes and a flush. */
plim_status tok_stream(const plim_tok *tok, const int32_t *ids, size_t n, bool skip, tok_text *out,
                       plim_error *err);

/* A plim_alloc over malloc that counts what is held and can be told to fail. */
typedef struct counting {
    plim_alloc alloc;
    size_t held, peak, blocks, calls;
    size_t fail_at;  /* this call fails (1 is the first); 0: none */
    bool fail_after; /* ... and all later ones */
} counting;

void counting_init(counting *c);

#endif
