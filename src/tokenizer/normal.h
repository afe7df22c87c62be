/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the normalizer share: a normalizer as a list of steps, and how a step writes
 * its text.  normalize_load.c reads it, normalize.c runs it; normal_forms.c (NFC and its like),
 * normal_chars.c (character by character), normal_replace.c and normal_charsmap.c are the steps.
 *
 * Positions are those of Hugging Face's NormalizedString, which sees a step as a list of characters
 * with a change each: 0 replaces the next character of the text before, 1 is new (it has the
 * position of the byte before), -n replaces one and removes n more.  One thing is not followed:
 * where an empty Prepend, or an empty match at the very beginning, gives the first characters an
 * empty position, the steps behind it panic there or double characters; here they do not. */
#ifndef PLIM_TOKENIZER_NORMAL_H
#define PLIM_TOKENIZER_NORMAL_H

#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"
#include "tokenizer/normal_table.h"

#define PLIM_NORMAL_MAX_STEPS 64
#define PLIM_NORMAL_SLACK     32 /* bytes beyond what is used that may be overwritten */

/* No step may make more of a text than this many times its bytes, and a MiB. */
#define PLIM_NORMAL_GROWTH 64

typedef enum plim_normal_kind {
    PLIM_NORMAL_NFC,
    PLIM_NORMAL_NFD,
    PLIM_NORMAL_NFKC,
    PLIM_NORMAL_NFKD,
    PLIM_NORMAL_STRIP,
    PLIM_NORMAL_PREPEND,
    PLIM_NORMAL_REPLACE, /* pattern or regex by text */
    PLIM_NORMAL_MARKUP,  /* one byte by up to 8 others, perhaps behind a prefix: Llama's */
    PLIM_NORMAL_CHARSMAP,
    /* character by character: */
    PLIM_NORMAL_LOWERCASE,
    PLIM_NORMAL_STRIP_ACCENTS,
    PLIM_NORMAL_STRIP_NONSPACING,
    PLIM_NORMAL_CLEAN,
    PLIM_NORMAL_SPACED_CHINESE,
    PLIM_NORMAL_NMT,
    PLIM_NORMAL_BYTE_LEVEL
} plim_normal_kind;

/* SentencePiece's precompiled_charsmap. */
typedef struct plim_charsmap {
    const uint32_t *units; /* the double array */
    size_t unit_count;
    const char *strings; /* each ended by a NUL, or by the end */
    size_t string_bytes;
} plim_charsmap;

typedef struct plim_normal_step {
    plim_normal_kind kind;
    bool left, right; /* STRIP */
    const char *text; /* PREPEND, REPLACE, MARKUP: what is written */
    size_t bytes;
    const char *pattern; /* REPLACE, unless regex is there */
    size_t pattern_bytes;
    plim_regex *regex;
    unsigned char byte; /* MARKUP */
    const char *prefix;
    size_t prefix_bytes;
    plim_charsmap charsmap;
    uint16_t flags;     /* of characters that change, for those character by character */
    uint8_t asked[256]; /* by first byte, not 0: the character may change (CHARSMAP: not alone) */
} plim_normal_step;

struct plim_normalizer {
    plim_arena arena; /* what the steps point to */
    size_t count;
    plim_normal_step *steps;
    bool any_regex;
};

/* A character being put into a form. */
typedef struct plim_normal_mark {
    uint32_t code_class; /* code << 8 | combining class */
    int32_t change;
} plim_normal_mark;

struct plim_normal_scratch {
    plim_buffer text[2]; /* a step reads one and writes the other */
    plim_normal_mark *marks, *sorted;
    size_t mark_cap, sorted_cap;
    plim_matcher matcher;
    bool matcher_open;
};

/* One call of plim_normalize. */
typedef struct plim_normal_job {
    plim_run *run;
    plim_normal_scratch *scratch;
    unsigned free;      /* which text the next step may write */
    size_t max;         /* bytes a step may make */
    size_t head;        /* leading bytes that come from the first character */
    plim_source origin; /* of what comes from before the first character */
    plim_error *err;
} plim_normal_job;

/* A step that has begun to write. */
typedef struct plim_normal_writer {
    plim_normal_job *job;
    const plim_text *in;
    plim_buffer *out;
    size_t used;
    size_t head; /* of what is written */
    size_t from; /* bytes of `in` that are dealt with: for changes */
} plim_normal_writer;

/* Nothing before it. */
#define PLIM_NORMAL_BEFORE SIZE_MAX

plim_status plim_normal_begin(plim_normal_writer *w, plim_normal_job *job, const plim_text *in,
                              size_t expected);
/* Room for `bytes` more, and the slack.  LIMIT: the text grows beyond measure. */
plim_status plim_normal_room(plim_normal_writer *w, size_t bytes);
/* in[begin, end) as it is. */
plim_status plim_normal_copy(plim_normal_writer *w, size_t begin, size_t end);
/* Bytes that have the position of in[at], or PLIM_NORMAL_BEFORE. */
plim_status plim_normal_put(plim_normal_writer *w, const char *text, size_t bytes, size_t at);
/* A character with a change, see above; `from` goes on. */
plim_status plim_normal_change(plim_normal_writer *w, uint32_t code, int64_t change);
/* in[begin, end), each character with change 0. */
plim_status plim_normal_keep(plim_normal_writer *w, size_t begin, size_t end);
/* The text that was written; the job goes on with it. */
void plim_normal_end(plim_normal_writer *w, plim_text *out);

/* ---- the steps: *out is `in` where nothing changes.  in->bytes > 0. ---- */

plim_status plim_normal_form(plim_normal_job *job, const plim_normal_step *step,
                             const plim_text *in, plim_text *out);
plim_status plim_normal_chars(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, plim_text *out);
plim_status plim_normal_strip(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, plim_text *out);
plim_status plim_normal_prepend(plim_normal_job *job, const plim_normal_step *step,
                                const plim_text *in, plim_text *out);
plim_status plim_normal_replace(plim_normal_job *job, const plim_normal_step *step,
                                const plim_text *in, plim_text *out);
plim_status plim_normal_markup(plim_normal_job *job, const plim_normal_step *step,
                               const plim_text *in, plim_text *out);
plim_status plim_normal_map_chars(plim_normal_job *job, const plim_normal_step *step,
                                  const plim_text *in, plim_text *out);

/* ---- loading ---- */

/* flags and asked of a step character by character. */
void plim_normal_chars_prepare(plim_normal_step *step);
/* The charsmap of blob[bytes], which must be aligned to 4 behind its first 4 bytes and outlive it.
 * FORMAT: too short, an index past its end, strings that are not UTF-8. */
plim_status plim_charsmap_open(plim_charsmap *map, const char *blob, size_t bytes,
                               const plim_part *part, const plim_node *where, plim_error *err);
void plim_charsmap_prepare(plim_normal_step *step);

/* ---- characters ---- */

/* The code point at text[at], and its length; text is valid UTF-8, but what is not does no harm. */
static inline uint32_t plim_normal_code(const char *text, size_t bytes, size_t at, size_t *length)
{
    const unsigned char *s = (const unsigned char *)text + at;
    size_t left = bytes - at;
    if (s[0] < 0x80) {
        *length = 1;
        return s[0];
    }
    if (s[0] < 0xE0 && left >= 2) {
        *length = 2;
        return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    }
    if (s[0] < 0xF0 && left >= 3) {
        *length = 3;
        return (s[0] & 0xFu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    }
    if (left >= 4) {
        uint32_t code =
            (s[0] & 0x7u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
        *length = 4;
        return code < 0x110000 ? code : PLIM_UTF8_REPLACEMENT;
    }
    *length = 1;
    return PLIM_UTF8_REPLACEMENT;
}

/* The first byte that is not ASCII at or after `at`. */
static inline size_t plim_normal_skip_ascii(const char *text, size_t bytes, size_t at)
{
    while (at + 32 <= bytes) {
        uint64_t word[4];
        memcpy(word, text + at, sizeof word);
        if ((word[0] | word[1] | word[2] | word[3]) & 0x8080808080808080u)
            break;
        at += 32;
    }
    while (at < bytes && (unsigned char)text[at] < 0x80)
        at++;
    return at;
}

#endif
