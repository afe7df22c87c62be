/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to token ids and back, as Hugging Face tokenizers does it: all of tokenizer.json, and the
 * older files as Transformers reads them.  What a file asks for beyond that is PLIM_E_UNSUP, never
 * a wrong id. Invariants:
 *  1. A plim_tok never changes after open: any number of threads may encode and decode at once.
 *  2. Every byte comes from the plim_alloc of open (what stays) or of the call (scratch and
 * results).
 *  3. The ids do not depend on the Unicode version of a system library: classes of
 *     characters and normalisation have tables of their own (classes.h, normal_table.h), and what
 *     PCRE2's tables lack is added to the patterns. */
#ifndef PLIM_TOKENIZER_TOKENIZER_H
#define PLIM_TOKENIZER_TOKENIZER_H

#include "base/alloc.h"
#include "base/log.h"

typedef struct plim_tok plim_tok;

/* Open the tokenizer of a folder: tokenizer.json, else vocab.json + merges.txt (as
 * tokenizer_config.json or config.json tells), else vocab.txt; with the added and special tokens of
 * tokenizer_config.json as Transformers adds them. `alloc` must outlive the tokenizer; `log` (may
 * be NULL) hears of added tokens whose id is not the file's. IO: none of them is there.  UNSUP: a
 * component that is not supported, named with file and offset. FORMAT, LIMIT, TRUNC: with file and
 * offset. */
plim_status plim_tok_open(plim_tok **out, const plim_alloc *alloc, const char *directory,
                          const plim_log *log, plim_error *err);
void plim_tok_close(plim_tok **tok);

/* A range of bytes. */
typedef struct plim_tok_span {
    size_t begin, end;
} plim_tok_span;

/* What encoding is asked for.  Zeroes are the defaults. */
typedef struct plim_tok_request {
    bool add_special; /* the template of the post-processor is laid around */
    bool offsets;     /* wanted: plim_tok_encoding.spans */
    /* Ranges of the text, ascending and disjoint, that came from somebody who may not write special
     * tokens: no byte in them becomes a part of one (an unknown token for what the vocabulary lacks
     * excepted, and the spaces that a token with lstrip or rstrip takes).  Everything else about
     * them is encoded as if they were not marked. */
    const plim_tok_span *literal;
    size_t literal_count;
} plim_tok_request;

/* ids[count], and where asked for the bytes of the text that each stands for ({0, 0} for those of
 * the post-processor).  Both NULL when count is 0. */
typedef struct plim_tok_encoding {
    int32_t *ids;
    plim_tok_span *spans;
    size_t count;
} plim_tok_encoding;

/* What a caller needs to encode: buffers and a cache of pieces, empty at first, which grow with the
 * texts and stay until close.  One call at a time; a tokenizer may have many. */
typedef struct plim_tok_scratch plim_tok_scratch;
plim_status plim_tok_scratch_open(plim_tok_scratch **out, const plim_tok *tok,
                                  const plim_alloc *alloc, plim_error *err);
void plim_tok_scratch_close(plim_tok_scratch **scratch);

/* Encode text[bytes] (invalid UTF-8 counts as U+FFFD, as Python's errors="replace" has it; NUL is
 * text).  `request` may be NULL.  *out lives in the scratch, until its next call.  LIMIT: a pattern
 * of the file backtracks without bound on this text. */
plim_status plim_tok_encode(plim_tok_scratch *scratch, const char *text, size_t bytes,
                            const plim_tok_request *request, plim_tok_encoding *out,
                            plim_error *err);

/* Decode ids[n]; ids that the tokenizer does not know are skipped, bytes that are not UTF-8 become
 * U+FFFD. *text comes from `scratch` (plim_delete), is never NULL and ends in a NUL beyond *bytes.
 * USAGE: a negative id. */
plim_status plim_tok_decode(const plim_tok *tok, const plim_alloc *scratch, const int32_t *ids,
                            size_t n, bool skip_special, char **text, size_t *bytes,
                            plim_error *err);

/* The token as its file spells it (in the byte-level alphabet, where it has one): its bytes, of
 * which at most cap are written to out (may be NULL where cap is 0); SIZE_MAX for an id that has
 * none. */
size_t plim_tok_token(const plim_tok *tok, int32_t id, char *out, size_t cap);

/* One past the largest id. */
uint32_t plim_tok_size(const plim_tok *tok);

/* True for an added token that decoding with skip_special leaves out. */
bool plim_tok_is_special(const plim_tok *tok, int32_t id);

/* The id of a token by the spelling of its file, or -1.  Linear in the vocabulary: for set-up. */
int32_t plim_tok_find(const plim_tok *tok, const char *text, size_t bytes);

/* ---- streaming decode ---- */

/* Pushes and flush concatenated equal plim_tok_decode.  What a push gives is whole UTF-8. */
typedef struct plim_tok_decoder {
    const plim_tok *tok;
    const plim_alloc *alloc;
    bool skip_special;
    unsigned char pending[4]; /* byte level: of a character that is not complete */
    unsigned pending_bytes;
    struct plim_chain_state *state; /* any other decoder */
    char *spelled;                  /* a token in the alphabet, for it */
    size_t spelled_cap;
    char *buffer; /* the text of the last push; grows to the longest token, then stays */
    size_t buffer_cap;
} plim_tok_decoder;

/* No allocation yet.  `tok` and `alloc` must outlive the decoder. */
void plim_tok_decoder_init(plim_tok_decoder *decoder, const plim_tok *tok, const plim_alloc *alloc,
                           bool skip_special);

/* Memory for the longest token there is, so that no push allocates. */
plim_status plim_tok_decoder_reserve(plim_tok_decoder *decoder, plim_error *err);

/* The text that id completes: *text (never NULL, NUL-terminated) is valid until the next call.
 * USAGE: a negative id. */
plim_status plim_tok_decoder_push(plim_tok_decoder *decoder, int32_t id, const char **text,
                                  size_t *bytes, plim_error *err);

/* What is left (one U+FFFD for a character that was never completed); the decoder can then start
 * anew. */
plim_status plim_tok_decoder_flush(plim_tok_decoder *decoder, const char **text, size_t *bytes,
                                   plim_error *err);
void plim_tok_decoder_free(plim_tok_decoder *decoder);

#endif
