/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of tokenizer/ share: the tokenizer as it lies in memory, and the state of one
 * encode call. The way of a text: added.c cuts out added tokens, normalize.c normalises the rest,
 * pretokenize.c cuts it into pieces, bpe.c turns a piece into ids, encode.c holds them together and
 * applies the template. */
#ifndef PLIM_TOKENIZER_INTERNAL_H
#define PLIM_TOKENIZER_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tokenizer/tokenizer.h"

#define PLIM_TOK_NONE              UINT32_MAX
#define PLIM_TOK_ID_BITS           21 /* two ids and a rank share 64 bits */
#define PLIM_TOK_RANK_BITS         22
#define PLIM_TOK_MAX_ID            ((1u << PLIM_TOK_ID_BITS) - 1)
#define PLIM_TOK_MAX_MERGES        ((1u << PLIM_TOK_RANK_BITS) - 1)
#define PLIM_TOK_MAX_STEPS         16   /* of the pre-tokenizer, sequences flattened */
#define PLIM_TOK_MAX_TEMPLATE      4096 /* ids and sequences of the post-processor */
#define PLIM_TOK_MAX_ADDED_BYTES   4096
#define PLIM_TOK_MAX_PATTERN_BYTES 65536
#define PLIM_TOK_STRING_BYTES      ((size_t)4 << 20) /* longest string of a tokenizer file */
#define PLIM_TOK_FILE_BYTES        ((uint64_t)1 << 30)

/* What to return after an allocation that filled *err (or had none to fill). */
static inline plim_status plim_tok_nomem(const plim_error *err)
{
    return err && err->code ? err->code : PLIM_E_NOMEM;
}

/* ---- vocab.c: strings and their ids ---- */

typedef struct plim_vocab_slot {
    uint32_t tag;    /* of the hash */
    uint32_t record; /* offset in text, NONE: free */
} plim_vocab_slot;

/* A record of text: id (4 bytes), length (varint), the bytes, NUL. */
typedef struct plim_vocab {
    const plim_alloc *alloc;
    char *text;
    size_t text_used, text_cap;
    uint32_t *record; /* by id: offset in text, NONE: no such token */
    size_t record_cap;
    uint32_t size;  /* one past the largest id */
    uint32_t count; /* distinct strings */
    size_t longest; /* bytes of the longest string */
    plim_vocab_slot *slots;
    uint32_t slot_count; /* a power of two, or 0 */
    bool duplicate_ids;
} plim_vocab;

void plim_vocab_init(plim_vocab *vocab, const plim_alloc *alloc);
void plim_vocab_free(plim_vocab *vocab);
/* The last id of a string wins, as in a JSON object read by Hugging Face.  id <= PLIM_TOK_MAX_ID.
 */
plim_status plim_vocab_add(plim_vocab *vocab, const char *text, size_t bytes, uint32_t id,
                           plim_error *err);
/* NONE when it is not there, or when the index was dropped by plim_vocab_finish. */
uint32_t plim_vocab_find(const plim_vocab *vocab, const char *text, size_t bytes);
const char *plim_vocab_text(const plim_vocab *vocab, uint32_t id, size_t *bytes);
/* Shrink to what is used; without keep_index the string index goes too. */
plim_status plim_vocab_finish(plim_vocab *vocab, bool keep_index, plim_error *err);

/* ---- merges.c: pairs of ids and what they become ---- */

typedef struct plim_merge {
    uint32_t left, right, merged;
} plim_merge;

typedef struct plim_merges {
    uint64_t *slots; /* left << 43 | right << 22 | rank; all ones: free */
    uint32_t slot_count;
    uint32_t *merged; /* by rank */
    uint32_t count;
} plim_merges;

/* rules[count] in the order of their rank; the last of several for one pair wins. */
plim_status plim_merges_build(plim_merges *merges, const plim_alloc *alloc, const plim_merge *rules,
                              uint32_t count, plim_error *err);
void plim_merges_free(plim_merges *merges, const plim_alloc *alloc);

static inline uint32_t plim_merges_home(uint64_t key, uint32_t slot_count)
{
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    return (uint32_t)(((hash >> 32) * slot_count) >> 32);
}

/* The rank of the merge of two ids, NONE when there is none. */
static inline uint32_t plim_merges_rank(const plim_merges *merges, uint32_t left, uint32_t right)
{
    uint64_t key = (uint64_t)left << PLIM_TOK_ID_BITS | right;
    for (uint32_t i = plim_merges_home(key, merges->slot_count);;
         i = i + 1 == merges->slot_count ? 0 : i + 1) {
        uint64_t slot = merges->slots[i];
        if (slot >> PLIM_TOK_RANK_BITS == key)
            return (uint32_t)(slot & PLIM_TOK_MAX_MERGES);
        if (slot == UINT64_MAX)
            return PLIM_TOK_NONE;
    }
}

/* ---- regex.c: PCRE2 ---- */

typedef struct plim_regex plim_regex;

/* `pattern` in Oniguruma's Ruby syntax (what Hugging Face reads); `literal`: text to be found as it
 * is. Errors say where.file, where.offset.  UNSUP: a construct that is not translated; FORMAT: no
 * pattern at all; LIMIT: too large. */
plim_status plim_regex_open(plim_regex **out, const plim_alloc *alloc, const char *pattern,
                            size_t bytes, bool literal, plim_where where, plim_error *err);
/* A pattern in PCRE2's own syntax: for the classes of regex_translate.c. */
plim_status plim_regex_open_raw(plim_regex **out, const plim_alloc *alloc, const char *pattern,
                                size_t bytes, uint32_t options, plim_where where, plim_error *err);
void plim_regex_close(plim_regex **regex);

/* What a thread needs to match. */
/* PCRE2's memory, from our allocator. */
typedef struct plim_regex_memory {
    const plim_alloc *alloc;
    plim_status refused; /* why the last refusal was one: NOMEM, BUDGET */
} plim_regex_memory;

/* Not to be moved while open. */
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

/* Patterns of character classes that Rust's tables define: `char::is_numeric`, `is_punc` of
 * Punctuation, and \w of the regex crate (for single_word).  In PCRE2's syntax. */
typedef enum plim_class { PLIM_CLASS_NUMERIC, PLIM_CLASS_PUNCTUATION, PLIM_CLASS_WORD } plim_class;
plim_status plim_regex_class(plim_regex **out, const plim_alloc *alloc, plim_class which,
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
    bool skip; /* left out by skip_special: special, or its normalized form is */
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

typedef struct plim_added {
    plim_added_token *items; /* by id, ascending */
    size_t count, cap;
    plim_vocab by_text; /* content -> id */
    uint32_t next_id;
    bool started;
    plim_trie raw, normal; /* of tokens looked for before and after normalisation */
    plim_regex *word;      /* \w, when a token has single_word */
} plim_added;

/* ---- the tokenizer ---- */

typedef enum plim_behavior {
    PLIM_SPLIT_REMOVED,
    PLIM_SPLIT_ISOLATED,
    PLIM_SPLIT_CONTIGUOUS,
    PLIM_SPLIT_MERGED_WITH_PREVIOUS,
    PLIM_SPLIT_MERGED_WITH_NEXT
} plim_behavior;

typedef enum plim_step_kind {
    PLIM_STEP_SPLIT,
    PLIM_STEP_PREFIX_SPACE, /* a space before a piece that has none */
    PLIM_STEP_ALPHABET      /* bytes become characters of the byte-level alphabet */
} plim_step_kind;

typedef struct plim_step {
    plim_step_kind kind;
    plim_behavior behavior;
    bool invert;
    plim_regex *regex;
} plim_step;

typedef enum plim_decoder_kind {
    PLIM_DECODE_SPACES, /* no decoder: tokens joined by spaces */
    PLIM_DECODE_FUSE,   /* tokens joined */
    PLIM_DECODE_BYTE_LEVEL
} plim_decoder_kind;

#define PLIM_TEMPLATE_SEQUENCE (-1)

struct plim_tok {
    const plim_alloc *alloc;
    plim_arena arena; /* names and added tokens */
    plim_vocab vocab;
    plim_merges merges;
    plim_added added;
    uint32_t byte_id[256]; /* id of the character of a byte, NONE */
    uint32_t unk_id;       /* NONE: bytes without a token are dropped */
    bool fuse_unk, ignore_merges;
    bool nfc;
    bool split_special; /* special tokens in a text are text */
    plim_step steps[PLIM_TOK_MAX_STEPS];
    unsigned step_count;
    bool alphabet_last;    /* the last step is ALPHABET and was left out: pieces are bytes */
    int32_t *template_ids; /* PLIM_TEMPLATE_SEQUENCE: the text; NULL: the text alone */
    size_t template_count;
    plim_decoder_kind decoder;
};

/* Add a token as Hugging Face's add_tokens does: the id is the vocabulary's or the next free one.
 * `token` is copied, its text must live in the arena; id, normal and skip are set here. */
plim_status plim_added_add(plim_tok *tok, const plim_added_token *token, plim_error *err);
/* Normalise the contents, build the tries.  FORMAT: two tokens with one normalized form. */
plim_status plim_added_finish(plim_tok *tok, plim_where where, plim_error *err);
void plim_added_free(plim_added *added, const plim_alloc *alloc);
const plim_added_token *plim_added_by_id(const plim_added *added, uint32_t id);

/* ---- bytes.c: the byte-level alphabet of GPT-2 ---- */

/* The UTF-8 of a byte's character: length 1 or 2. */
unsigned plim_alphabet_encode(unsigned char byte, char out[2]);
/* The byte of the character at text[0..bytes): its length, 0 where it is none of the alphabet. */
unsigned plim_alphabet_decode(const char *text, size_t bytes, unsigned char *byte);

/* ---- one call of encode ---- */

#define PLIM_CACHE_KEY_BYTES 22
#define PLIM_CACHE_IDS       10

/* A piece that was met before in this call. */
typedef struct plim_cache_entry {
    uint8_t bytes, count; /* count 0: free */
    char key[PLIM_CACHE_KEY_BYTES];
    int32_t ids[PLIM_CACHE_IDS];
} plim_cache_entry;

typedef struct plim_buffer {
    char *data;
    size_t cap;
} plim_buffer;

typedef struct plim_symbols {
    uint32_t *id, *next, *prev; /* id NONE: merged away */
    size_t cap;
    uint64_t *heap; /* rank << 32 | position */
    size_t heap_count, heap_cap;
} plim_symbols;

typedef struct plim_run {
    const plim_tok *tok;
    const plim_alloc *alloc;
    plim_matcher matcher;
    int32_t *ids;
    size_t count, cap;
    plim_buffer normal;      /* the segment, normalised */
    struct plim_mark *marks; /* code points being ordered */
    size_t mark_cap;
    plim_buffer step[PLIM_TOK_MAX_STEPS];
    plim_buffer bytes;   /* a piece out of the alphabet */
    plim_buffer spelled; /* a piece in the alphabet, to be looked up */
    plim_symbols symbols;
    plim_cache_entry *cache;
    uint32_t cache_mask;
} plim_run;

plim_status plim_run_push(plim_run *run, uint32_t id, plim_error *err);

/* normalize.c: NFC of text[bytes]; *out is text itself where nothing changes, else run->normal. */
plim_status plim_normalize(plim_run *run, const char *text, size_t bytes, const char **out,
                           size_t *out_bytes, plim_error *err);

/* pretokenize.c: cut text[bytes] and encode the pieces. */
plim_status plim_pretokenize(plim_run *run, const char *text, size_t bytes, plim_error *err);

/* bpe.c: a piece, as bytes, to ids. */
plim_status plim_bpe_piece(plim_run *run, const char *bytes, size_t count, plim_error *err);

/* added.c: the next added token of text[bytes] after `from`, with the spaces it takes. */
typedef struct plim_added_match {
    const plim_added_token *token; /* NULL: none */
    size_t begin, end;             /* with the spaces */
    size_t resume;                 /* where the search goes on */
} plim_added_match;
plim_status plim_added_search(plim_run *run, const plim_trie *trie, const char *text, size_t bytes,
                              size_t from, size_t taken, plim_added_match *match, plim_error *err);

#endif
