/* SPDX-License-Identifier: Apache-2.0
 *
 * Scanners: what finds the parts of a text for a pre-tokenizer.  A part is a match of the pattern,
 * or what lies between two matches; parts cover the text in order, as find_matches of Hugging Face
 * has them.  They come in batches, so that a scanner's loop stays by itself. */
#ifndef PLIM_TOKENIZER_SPLIT_SCAN_H
#define PLIM_TOKENIZER_SPLIT_SCAN_H

#include "tokenizer/classes.h"
#include "tokenizer/internal.h"

/* ---- classes of characters that the patterns ask for, eight bits ---- */

enum {
    SPLIT_LETTER = 1,  /* \p{L} */
    SPLIT_NUMBER = 2,  /* \p{N} */
    SPLIT_SPACE = 4,   /* \s */
    SPLIT_NEWLINE = 8, /* \r \n; also SPACE */
    SPLIT_UPPER = 16,  /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    SPLIT_LOWER = 32,  /* [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    SPLIT_MARK = 64,   /* \p{M} */
    SPLIT_SYMBOL = 128 /* [\p{P}\p{S}] */
};

extern const uint8_t plim_split_ascii[128];
extern const uint8_t plim_split_bits[]; /* by plim_class_of; without NEWLINE */

/* The bits of the character at p, which is valid UTF-8, and its length. */
static inline unsigned plim_split_at(const unsigned char *p, unsigned *length)
{
    if (*p < 0x80) {
        *length = 1;
        return plim_split_ascii[*p];
    }
    uint32_t code;
    *length = plim_char_at((const char *)p, &code);
    return plim_split_bits[plim_class_of(code)];
}

/* ---- the pattern of GPT-2 and its descendants, taken apart ---- */

typedef enum plim_word_rule {
    PLIM_WORD_BLANK,        /* " ?\p{L}+" */
    PLIM_WORD_PREFIX,       /* "[^\r\n\p{L}\p{N}]?\p{L}+" */
    PLIM_WORD_PREFIX_MARKS, /* "[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+" */
    PLIM_WORD_CASED         /* upper, then lower, of o200k and Tekken */
} plim_word_rule;

typedef enum plim_contraction_rule {
    PLIM_CONTRACTION_NONE,
    PLIM_CONTRACTION_EXACT,    /* 's|'t|'re|'ve|'m|'ll|'d, first of all */
    PLIM_CONTRACTION_ANY_CASE, /* the same in (?i:...) */
    PLIM_CONTRACTION_BEHIND    /* any case, a part of the word before it */
} plim_contraction_rule;

typedef struct plim_split_rules {
    plim_word_rule word;
    plim_contraction_rule contraction;
    bool blank_number; /* " ?\p{N}+"; else up to `digits` of them */
    uint32_t digits;
    bool other_marks;   /* [^\s\p{L}\p{N}] holds marks; false: [^\s\p{L}\p{M}\p{N}] */
    bool other_newline; /* [\r\n]* behind others */
    bool other_slash;   /* [\r\n/]* */
    bool newline;       /* "\s*[\r\n]+" */
} plim_split_rules;

/* ---- scanners ---- */

/* Ends of parts: offset << 1 | it is a match. */
typedef uint64_t plim_cut;
enum { PLIM_CUTS = 128 }; /* of a batch */

static inline plim_cut plim_cut_make(size_t end, bool match)
{
    return (plim_cut)end << 1 | match;
}

/* A text that is being cut. */
typedef struct plim_cutter {
    const char *text;
    size_t bytes;
    size_t at; /* parts up to here were given */
    size_t search, last,
        waiting; /* PCRE2: next search, end of the last match, a match that waits */
    bool waits;
    size_t limit;    /* of a fused scanner: end of the part of the first */
    unsigned script; /* UnicodeScripts: of the last character that has one */
    plim_matcher *matcher;
} plim_cutter;

static inline plim_cutter plim_cutter_of(const char *text, size_t bytes, plim_matcher *matcher)
{
    return (plim_cutter){.text = text, .bytes = bytes, .last = SIZE_MAX, .matcher = matcher};
}

typedef struct plim_scan plim_scan;
/* The next parts into cuts[PLIM_CUTS]; *count 0 at the end of the text.  LIMIT and NOMEM only from
 * PCRE2. */
typedef plim_status (*plim_scan_fill)(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                      size_t *count, plim_error *err);

/* Kinds of characters for plim_scan_classes. */
enum {
    PLIM_KIND_GAP,    /* between matches */
    PLIM_KIND_SINGLE, /* a match of its own */
    PLIM_KIND_RUN,    /* together with its neighbours a match */
    PLIM_KIND_RUN_2,  /* another one */
    PLIM_KIND_DECODE  /* of bytes: the first of a character, see by_class */
};

struct plim_scan {
    plim_scan_fill fill;
    bool bytes_only; /* works on any bytes, not on UTF-8 alone */
    plim_regex *regex;
    char *literal; /* from `alloc` */
    size_t literal_bytes;
    const plim_alloc *alloc;
    plim_split_rules rules;
    size_t length;        /* of FixedLength; of a run of numbers */
    uint8_t by_byte[256]; /* kinds; or scripts of the alphabet */
    uint8_t by_class[64]; /* kinds */
};

/* The kind of the character at p, see plim_scan_classes. */
static inline unsigned plim_kind_at(const plim_scan *scan, const unsigned char *p, unsigned *length)
{
    unsigned kind = scan->by_byte[*p];
    *length = 1;
    if (kind != PLIM_KIND_DECODE)
        return kind;
    uint32_t code;
    *length = plim_char_at((const char *)p, &code);
    return scan->by_class[plim_class_of(code)];
}

/* The end of the part by kinds that begins at p < end, and its kind. */
static inline const unsigned char *plim_kind_end(const plim_scan *scan, const unsigned char *p,
                                                 const unsigned char *end, unsigned *kind)
{
    unsigned length;
    *kind = plim_kind_at(scan, p, &length);
    p += length;
    if (*kind != PLIM_KIND_SINGLE)
        while (p < end && plim_kind_at(scan, p, &length) == *kind)
            p += length;
    return p;
}

/* For a pattern of a file: hand-written where the pattern is a known one, else PCRE2.  Errors as of
 * plim_regex_open. */
plim_status plim_scan_open(plim_scan *scan, const plim_alloc *alloc, const char *pattern,
                           size_t bytes, bool literal, plim_where where, plim_error *err);
/* Always PCRE2. */
plim_status plim_scan_regex(plim_scan *scan, const plim_alloc *alloc, const char *pattern,
                            size_t bytes, bool literal, plim_where where, plim_error *err);
/* Hand-written for a known pattern; false: it is none. */
bool plim_scan_known(plim_scan *scan, const char *pattern, size_t bytes);
void plim_scan_close(plim_scan *scan);

/* split_rules.c */
plim_scan_fill plim_scan_rules(const plim_split_rules *rules);
/* Make `first`, whose parts are cut again by `second`, do both; false where that is not known: it
 * must be by kinds, the second one of rules. */
bool plim_scan_fuse(plim_scan *first, const plim_scan *second);

/* split_gaps.c: patterns with something between their matches. */
plim_status plim_scan_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err);
/* A part begins before each literal; it ends behind each: MergedWithNext, MergedWithPrevious. */
plim_status plim_scan_before_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                     size_t *count, plim_error *err);
plim_status plim_scan_behind_literal(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                     size_t *count, plim_error *err);
/* \p{N}{1,length} */
plim_status plim_scan_numbers(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                              size_t *count, plim_error *err);
/* [0-9][0-9][0-9] */
plim_status plim_scan_three_digits(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                                   size_t *count, plim_error *err);
/* DeepSeek's second and third pattern, BLOOM's. */
plim_status plim_scan_han_kana(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                               size_t *count, plim_error *err);
plim_status plim_scan_deepseek(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                               size_t *count, plim_error *err);
plim_status plim_scan_bloom(const plim_scan *scan, plim_cutter *cutter, plim_cut *cuts,
                            size_t *count, plim_error *err);

/* split_class.c */
typedef struct plim_kind_rule {
    uint64_t mask; /* of plim_class_mask */
    uint8_t kind;
} plim_kind_rule;
/* A character has the kind of the first rule that knows it, else `otherwise`. */
bool plim_scan_is_classes(const plim_scan *scan);
void plim_scan_classes(plim_scan *scan, const plim_kind_rule *rules, size_t count,
                       uint8_t otherwise);
/* length > 0, of characters. */
void plim_scan_fixed(plim_scan *scan, size_t length);
void plim_scan_scripts(plim_scan *scan);
/* Turn a scanner of text in the byte-level alphabet into one of the bytes themselves; has_bytes
 * tells where that is possible. */
bool plim_scan_has_bytes(const plim_scan *scan);
void plim_scan_to_bytes(plim_scan *scan);
/* Where a text without certain bytes is one part: those bytes added to bytes[256]. */
bool plim_scan_wants(const plim_scan *scan, uint8_t bytes[256]);

#endif
