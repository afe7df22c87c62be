/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of tokenizer/ share: the tokenizer as it lies in memory, and the state of one
 * encode call. The way of a text: added.c cuts out added tokens, normalize.c normalises the rest,
 * pretokenize.c cuts it into pieces, a model (bpe.c, unigram.c, wordpiece.c) turns a piece into
 * ids, post.c adds what stands around them, encode.c holds it together. */
#ifndef PLIM_TOKENIZER_INTERNAL_H
#define PLIM_TOKENIZER_INTERNAL_H

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tokenizer/tokenizer.h"
#include "tokenizer/tree.h"
#include "tokenizer/vocab.h"

#define PLIM_TOK_MAX_STEPS         16   /* of the pre-tokenizer, sequences flattened */
#define PLIM_TOK_MAX_TEMPLATE      4096 /* ids and sequences of the post-processor */
#define PLIM_TOK_MAX_ADDED_BYTES   512  /* a text of its first byte costs as many steps a byte */
#define PLIM_TOK_MAX_WORD          4096 /* characters of a WordPiece word: its time is their square */
#define PLIM_TOK_MAX_PATTERN_BYTES 65536
#define PLIM_TOK_STRING_BYTES      ((size_t)4 << 20) /* longest string of a tokenizer file */
#define PLIM_TOK_FILE_BYTES        ((uint64_t)1 << 30)

/* What to return after an allocation that filled *err (or had none to fill). */
static inline plim_status plim_tok_nomem(const plim_error *err)
{
    return err && err->code ? err->code : PLIM_E_NOMEM;
}

/* ---- regex.c: PCRE2 ---- */

typedef struct plim_regex plim_regex;

/* `pattern` in Oniguruma's Ruby syntax (what Hugging Face reads); `literal`: text to be found as it
 * is. Errors say where.file, where.offset.  UNSUP: a construct that is not translated; FORMAT: no
 * pattern at all; LIMIT: too large. */
plim_status plim_regex_open(plim_regex **out, const plim_alloc *alloc, const char *pattern,
                            size_t bytes, bool literal, plim_where where, plim_error *err);
void plim_regex_close(plim_regex **regex);

/* PCRE2's memory, from our allocator. */
typedef struct plim_regex_memory {
    const plim_alloc *alloc;
    plim_status refused; /* why the last refusal was one: NOMEM, BUDGET */
} plim_regex_memory;

/* What a caller needs to match.  Not to be moved while open. */
typedef struct plim_matcher {
    plim_regex_memory memory;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
} plim_matcher;

plim_status plim_matcher_open(plim_matcher *matcher, const plim_alloc *alloc, plim_error *err);
void plim_matcher_close(plim_matcher *matcher);

/* The first match of valid UTF-8 text[bytes] at or after `from`: *begin and *end, or *begin =
 * SIZE_MAX. */
plim_status plim_regex_search(const plim_regex *regex, plim_matcher *matcher, const char *text,
                              size_t bytes, size_t from, size_t *begin, size_t *end,
                              plim_error *err);

/* regex_translate.c: Ruby syntax to PCRE2's, with Unicode 16's classes.  *out from alloc. */
plim_status plim_regex_translate(char **out, size_t *out_bytes, const plim_alloc *alloc,
                                 const char *pattern, size_t bytes, plim_where where,
                                 plim_error *err);

/* ---- added.c: added tokens ---- */

typedef struct plim_added_token {
    const char *text; /* content, in the arena of the tokenizer */
    uint32_t bytes;
    uint32_t id;
    const char *normal; /* content as the normalizer leaves it: what is looked for when
                           `normalized`, and what decoding reads */
    uint32_t normal_bytes;
    bool single_word, lstrip, rstrip, normalized, special;
    bool skip;      /* left out by skip_special: special, or its normalized form is */
    uint32_t order; /* in which it was added first: of tokens with one normalized form, the first
                       counts, special ones last */
} plim_added_token;

typedef struct plim_trie_node {
    uint32_t child, sibling; /* 0: none */
    uint32_t token;          /* index into items, NONE */
    unsigned char byte;
} plim_trie_node;

typedef struct plim_trie {
    plim_trie_node *nodes;
    size_t count, cap;
    uint32_t first[256]; /* node of a first byte, 0: none */
    bool empty;
} plim_trie;

typedef struct plim_added_place {
    uint32_t id, item;
} plim_added_place;

typedef struct plim_added {
    plim_added_token *items; /* in the order in which they were added */
    plim_added_place *by_id; /* ascending */
    size_t count, cap, by_id_cap;
    plim_vocab by_text; /* content -> id */
    uint32_t next_id;   /* of the batch that is being added */
    bool started;
    plim_trie raw, normal; /* of tokens looked for before and after normalisation */
} plim_added;

/* ---- the parts of a tokenizer, each known to its own file only; NULL: none ---- */

typedef struct plim_normalizer plim_normalizer;
typedef struct plim_pretokenizer plim_pretokenizer;
typedef struct plim_unigram plim_unigram;
typedef struct plim_post plim_post;
typedef struct plim_chain plim_chain;

typedef enum plim_model_kind {
    PLIM_MODEL_BPE,
    PLIM_MODEL_UNIGRAM,
    PLIM_MODEL_WORDPIECE,
    PLIM_MODEL_WORDLEVEL
} plim_model_kind;

typedef struct plim_bpe {
    plim_merges merges;
    const char *prefix, *suffix; /* continuing_subword_prefix, end_of_word_suffix; "" for none */
    size_t prefix_bytes, suffix_bytes;
    bool fuse_unk, ignore_merges, byte_fallback;
    bool
        unk_missing; /* unk_token is named, but not in the vocabulary: an error when it is needed */
    /* Symbols by their first byte, NONE: of the byte-level alphabet where pieces are bytes, else of
     * ASCII characters.  By what stands around them: 1 not the first, 2 the last of a piece. */
    uint32_t symbol[4][256];
    uint32_t byte_token[256]; /* <0x00> .. <0xFF> */
    /* Neighbours that some merge joins, a set of hashes: two characters that are not in it are
     * never in one token.  NULL: pieces are not cut. */
    uint64_t *joined;
    unsigned joined_bits; /* log2 of its size in bits */
    uint32_t block_id;    /* the symbol of U+2581, NONE */
    bool drops_unknown;   /* text that the vocabulary lacks leaves no trace */
    /* The cuts before an ASCII character, a bit for each one before it; [128]: before U+2581. */
    uint64_t ascii_cuts[129][2];
} plim_bpe;

typedef struct plim_wordpiece {
    const char *prefix; /* of a piece that continues a word; in the arena */
    size_t prefix_bytes;
    uint64_t max_characters; /* a longer word is unknown */
} plim_wordpiece;

struct plim_tok {
    const plim_alloc *alloc;
    plim_arena arena; /* names and added tokens */
    plim_model_kind model;
    plim_vocab vocab;
    uint32_t unk_id; /* NONE: there is none */
    plim_bpe bpe;
    plim_unigram *unigram;
    plim_wordpiece wordpiece;
    plim_added added;
    plim_normalizer *normalizer;
    plim_pretokenizer *pretokenizer;
    bool byte_pieces; /* the pre-tokenizer spells pieces in the byte-level alphabet: the model gets
                         their bytes */
    plim_post *post;
    plim_chain *decoder;
    bool split_special;   /* special tokens in a text are text */
    bool needs_positions; /* a step asks where a part of a text came from: calls are tracked */
};

/* What text of users may not become; not the same as what skip_special leaves out. */
static inline bool plim_added_is_special(const plim_added_token *token)
{
    return token->special || token->skip;
}

/* A batch of tokens begins: new ones get ids from here on, as in one call of add_tokens. */
void plim_added_begin(plim_tok *tok);
/* Add a token as Hugging Face's add_tokens does: the id is the vocabulary's or the next free one.
 * `token` is copied, its text must live in the arena; id, normal and skip are set here. */
plim_status plim_added_add(plim_tok *tok, const plim_added_token *token, plim_error *err);
/* Normalise the contents, build the tries.  UNSUP: a token of which normalisation leaves nothing.
 */
plim_status plim_added_finish(plim_tok *tok, plim_where where, plim_error *err);
void plim_added_free(plim_added *added, const plim_alloc *alloc);
const plim_added_token *plim_added_by_id(const plim_added *added, uint32_t id);
/* Past the largest id; 0 when there is none. */
uint32_t plim_added_end(const plim_added *added);

/* ---- bytes.c: the byte-level alphabet of GPT-2 ---- */

/* The UTF-8 of a byte's character: length 1 or 2. */
unsigned plim_alphabet_encode(unsigned char byte, char out[2]);
static inline unsigned plim_alphabet_bytes(char byte)
{
    return byte >= '!' && byte <= '~' ? 1 : 2;
}
/* The byte of the character at text[0..bytes): its length, 0 where it is none of the alphabet. */
extern const int16_t plim_alphabet_wide[256];
static inline unsigned plim_alphabet_decode(const char *text, size_t bytes, unsigned char *byte)
{
    unsigned char c = (unsigned char)text[0];
    *byte = c;
    if (c < 0x80)
        return c >= '!' && c <= '~';
    if (bytes < 2 || c < 0xC2 || c > 0xC5 || ((unsigned char)text[1] & 0xC0) != 0x80)
        return 0;
    int found = plim_alphabet_wide[(c - 0xC2) << 6 | ((unsigned char)text[1] & 0x3F)];
    *byte = (unsigned char)found;
    return found < 0 ? 0 : 2;
}

/* ---- text on its way ---- */

/* Where a byte of a text on its way comes from: bytes of the caller's text. */
typedef struct plim_source {
    uint32_t begin, end;
} plim_source;

/* A stretch of valid UTF-8 (of any bytes, as a piece of a tokenizer with byte_pieces). */
typedef struct plim_text {
    const char *data;
    size_t bytes;
    const plim_source *source; /* [bytes]; NULL: the call does not track positions */
    bool at_start;             /* data[0] comes from the very first of the caller's text */
    size_t readable;           /* bytes at data that may be looked at, if more than `bytes` */
} plim_text;

/* begin < end. */
static inline plim_text plim_text_part(const plim_text *text, size_t begin, size_t end)
{
    return (plim_text){text->data + begin, end - begin, text->source ? text->source + begin : NULL,
                       text->at_start &&
                           (text->source ? text->source[begin].begin == 0 : begin == 0),
                       (text->readable > text->bytes ? text->readable : text->bytes) - begin};
}

/* Room for a text that is being made. */
typedef struct plim_buffer {
    char *data;
    size_t cap;
    plim_source *source; /* tracked calls only */
    size_t source_cap;
} plim_buffer;

/* ---- one call of encode ---- */

typedef struct plim_symbols {
    uint32_t *id, *next, *prev; /* id NONE: merged away */
    uint32_t *bytes;            /* that a symbol stands for */
    size_t cap;
    uint64_t *heap; /* rank << 32 | position */
    size_t heap_count, heap_cap;
} plim_symbols;

#define PLIM_SHORT_IDS 3

/* A piece of up to 15 bytes that was met before: half a cache line, two share one. */
typedef struct plim_short_entry {
    uint64_t key[2]; /* the bytes, zeroes behind them; the last byte is their number, 0: free */
    uint32_t ids[PLIM_SHORT_IDS];
    uint32_t count;
} plim_short_entry;

#define PLIM_LONG_KEY_BYTES 94
#define PLIM_LONG_IDS       8

/* A longer one (indented code makes many), or one of more ids. */
typedef struct plim_long_entry {
    char key[PLIM_LONG_KEY_BYTES];
    uint8_t bytes, count; /* bytes 0: free */
    uint32_t ids[PLIM_LONG_IDS];
} plim_long_entry;

typedef struct plim_bpe_scratch {
    uint64_t bytes_seen; /* of all texts so far: the cache grows with them */
    plim_symbols symbols;
    plim_buffer spelled; /* a piece or a symbol to be looked up */
    void *cache;         /* the allocation of both tables */
    plim_short_entry *short_cache;
    plim_long_entry *long_cache;
    unsigned cache_bits; /* log2 of the pairs of short entries, and of the long ones; 0: no cache */
} plim_bpe_scratch;

/* Scratch that one file alone knows; made by it when it is first needed. */
typedef struct plim_normal_scratch plim_normal_scratch;
typedef struct plim_lattice plim_lattice;

typedef struct plim_tok_scratch plim_run;
struct plim_tok_scratch {
    const plim_tok *tok;
    const plim_alloc *alloc;
    plim_matcher matcher;

    bool tracked; /* positions are asked for, or a part of the text is literal */
    const plim_tok_span *literal;
    size_t literal_count;
    bool no_special; /* the piece holds literal bytes: no special token may come of it */

    const char *text; /* the caller's, which spans are bytes of */
    size_t text_bytes;

    int32_t *ids;
    size_t count, cap;
    plim_tok_span *spans; /* tracked: of each id; until a piece is settled, {0, bytes it took} */
    size_t span_cap;

    plim_buffer repaired; /* the caller's text as valid UTF-8 */
    plim_normal_scratch *normal;
    plim_buffer step[PLIM_TOK_MAX_STEPS]; /* of the pre-tokenizer */
    plim_buffer bytes;                    /* a piece out of the alphabet */
    plim_bpe_scratch bpe;
    plim_lattice *lattice;
};

/* Room for `bytes` in a buffer, and for their sources where the run is tracked. */
plim_status plim_buffer_reserve(plim_run *run, plim_buffer *buffer, size_t bytes, plim_error *err);
void plim_buffer_free(const plim_alloc *alloc, plim_buffer *buffer);

/* Room for `need` ids in all. */
plim_status plim_run_grow(plim_run *run, size_t need, plim_error *err);

/* An id, and how many bytes of its piece it stands for (of a tokenizer with byte_pieces: of the
 * piece's spelling in the alphabet); PLIM_RUN_SAME: the very bytes of the id before it (in tracked
 * calls encode.c gives both one span). */
#define PLIM_RUN_SAME SIZE_MAX
static inline plim_status plim_run_push(plim_run *run, uint32_t id, size_t bytes, plim_error *err)
{
    if (run->count >= run->cap || (run->tracked && run->count >= run->span_cap)) {
        plim_status status = plim_run_grow(run, run->count + 1, err);
        if (status)
            return status;
    }
    if (run->tracked)
        run->spans[run->count] = (plim_tok_span){0, bytes};
    run->ids[run->count++] = (int32_t)id;
    return PLIM_OK;
}

/* True where a byte of text[begin..end) is literal. */
bool plim_run_is_literal(const plim_run *run, const plim_text *text, size_t begin, size_t end);

/* True for a special token, which may not come of this piece.  (What the vocabulary lacks still
 * becomes its unknown token.) */
bool plim_run_forbids(const plim_run *run, uint32_t id);

/* normalize.c.  *out is `in` or a part of it where no byte changes, else lies in the run until the
 * next call. */
plim_status plim_normalizer_load(plim_normalizer **out, const plim_alloc *alloc,
                                 const plim_part *part, plim_error *err);
void plim_normalizer_close(plim_normalizer **normalizer, const plim_alloc *alloc);
plim_status plim_normalize(plim_run *run, const plim_text *in, plim_text *out, plim_error *err);
void plim_normal_scratch_free(plim_normal_scratch **scratch, const plim_alloc *alloc);

/* pretokenize.c: cut text and hand each piece to plim_model_piece. */
plim_status plim_pretokenizer_load(plim_pretokenizer **out, const plim_alloc *alloc,
                                   const plim_part *part, plim_error *err);
/* ByteLevel behind a Split by `pattern` (NULL: its own), as the older files mean. */
plim_status plim_pretokenizer_byte_level(plim_pretokenizer **out, const plim_alloc *alloc,
                                         const char *pattern, bool add_prefix_space,
                                         plim_error *err);
void plim_pretokenizer_close(plim_pretokenizer **pretokenizer, const plim_alloc *alloc);
/* Pieces are spelled in the byte-level alphabet. */
bool plim_pretokenizer_is_byte_level(const plim_pretokenizer *pretokenizer);
/* Some step treats what comes from the very first of the caller's text otherwise. */
bool plim_pretokenizer_asks_for_start(const plim_pretokenizer *pretokenizer);
/* tokenizer_config.json's add_prefix_space, for a pre-tokenizer that is one ByteLevel and nothing
 * else; does nothing to others. */
plim_status plim_pretokenizer_set_prefix_space(plim_pretokenizer *pretokenizer, bool on,
                                               plim_error *err);
plim_status plim_pretokenize(plim_run *run, const plim_text *text, plim_error *err);

/* ---- models: a piece (not empty) to ids ---- */

/* encode.c: by the tokenizer's model; spans of the ids are settled. */
plim_status plim_model_piece(plim_run *run, const plim_text *piece, plim_error *err);
plim_status plim_bpe_piece(plim_run *run, const plim_text *piece, plim_error *err);
/* Before a text of so many bytes: the cache of pieces grows with all that was seen. */
plim_status plim_bpe_scratch_prepare(plim_run *run, size_t bytes, plim_error *err);
void plim_bpe_scratch_free(plim_bpe_scratch *scratch, const plim_alloc *alloc);
plim_status plim_unigram_piece(plim_run *run, const plim_text *piece, plim_error *err);
plim_status plim_wordpiece_piece(plim_run *run, const plim_text *piece, plim_error *err);
plim_status plim_wordlevel_piece(plim_run *run, const plim_text *piece, plim_error *err);
void plim_unigram_close(plim_unigram **unigram, const plim_alloc *alloc);
void plim_lattice_free(plim_lattice **lattice, const plim_alloc *alloc);

/* ---- post.c: what stands around the ids of a text, and what trims their spans ---- */

plim_status plim_post_load(plim_post **out, const plim_tok *tok, const plim_part *part,
                           plim_error *err);
/* bos and eos around the text, NONE for nothing: for the older files. */
plim_status plim_post_around(plim_post **out, const plim_alloc *alloc, uint32_t bos, uint32_t eos,
                             plim_error *err);
void plim_post_close(plim_post **post, const plim_alloc *alloc);
plim_status plim_post_apply(plim_run *run, bool add_special, plim_error *err);

/* ---- decode.c, decode_chain.c ---- */

/* Bytes being gathered; data comes from alloc and is not NUL-terminated. */
typedef struct plim_sink {
    const plim_alloc *alloc;
    char *data;
    size_t used, cap;
} plim_sink;

static inline plim_status plim_sink_put(plim_sink *out, const char *text, size_t bytes,
                                        plim_error *err)
{
    if (out->cap - out->used < bytes) {
        plim_status status =
            plim_grow(out->alloc, &out->data, &out->cap, out->used + bytes + 1, 1, err);
        if (status)
            return status;
    }
    if (bytes)
        memcpy(out->data + out->used, text, bytes);
    out->used += bytes;
    return PLIM_OK;
}

/* Room for `bytes` behind *to (NULL: nothing was written), and for an entry of a vocabulary more.
 */
static inline plim_status plim_sink_reserve(plim_sink *out, char **to, size_t bytes,
                                            plim_error *err)
{
    out->used = *to ? (size_t)(*to - out->data) : 0;
    if (*to && out->cap - out->used >= bytes + sizeof(plim_vocab_entry))
        return PLIM_OK;
    plim_status status = plim_grow(out->alloc, &out->data, &out->cap,
                                   out->used + bytes + sizeof(plim_vocab_entry), 1, err);
    if (!status)
        *to = out->data + out->used;
    return status;
}

/* The chain is one ByteLevel and nothing else.  false for NULL. */
bool plim_chain_is_byte_level(const plim_chain *chain);

/* One of most SentencePiece models: strings may be SPACED.  false for NULL. */
bool plim_chain_is_usual(const plim_chain *chain);
/* ... with a ByteFallback. */
bool plim_chain_decodes_bytes(const plim_chain *chain);
/* plim_tok_decode by such a one, from a vocabulary that is. */
plim_status plim_chain_decode_usual(const plim_tok *tok, const plim_alloc *alloc,
                                    const int32_t *ids, size_t n, bool skip_special, char **text,
                                    size_t *bytes, plim_error *err);

/* What a stream of tokens keeps between pushes; for a NULL chain too (tokens joined by spaces). The
 * chain must outlive it.  Pushes and flush concatenated are what Hugging Face decodes, each push
 * gives what is decided, in whole characters. */
typedef struct plim_chain_state plim_chain_state;
plim_status plim_chain_state_open(plim_chain_state **out, const plim_chain *chain,
                                  const plim_alloc *alloc, plim_error *err);
void plim_chain_state_close(plim_chain_state **state);
/* Room for tokens of up to `longest` bytes, so that pushes don't allocate but for long runs of byte
 * tokens and what waits for the end; *most: bytes that a push of one then gives at most. */
plim_status plim_chain_state_reserve(plim_chain_state *state, size_t longest, size_t *most,
                                     plim_error *err);
/* The next token's spelling (the caller has left out what is skipped), appended to *out. */
plim_status plim_chain_push(plim_chain_state *state, const char *token, size_t bytes,
                            plim_sink *out, plim_error *err);
/* The end: what was held back; the state can then start anew. */
plim_status plim_chain_flush(plim_chain_state *state, plim_sink *out, plim_error *err);

plim_status plim_chain_load(plim_chain **out, const plim_alloc *alloc, const plim_part *part,
                            plim_error *err);
/* ByteLevel alone. */
plim_status plim_chain_byte_level(plim_chain **out, const plim_alloc *alloc, plim_error *err);
void plim_chain_close(plim_chain **chain, const plim_alloc *alloc);

/* added.c: the next added token of text after `from`, with the spaces it takes. */
typedef struct plim_added_match {
    const plim_added_token *token; /* NULL: none */
    size_t begin, end;             /* with the spaces */
    size_t resume;                 /* where the search goes on */
    size_t spaces_end;             /* of the run of spaces that was looked at last */
} plim_added_match;
void plim_added_search(const plim_run *run, const plim_trie *trie, const plim_text *text,
                       size_t from, size_t taken, plim_added_match *match);

#endif
