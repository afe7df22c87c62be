/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes of characters as Hugging Face's tokenizers has them: general categories and \s, \w of
 * Unicode 16 (Oniguruma's), and what Rust's crates call numeric, punctuation and \w.  The tables
 * (classes_table.c) are written by tools/tokenizer/class_tables.py. */
#ifndef PLIM_TOKENIZER_CLASSES_H
#define PLIM_TOKENIZER_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One bit for a general category, in the order of the tool. */
typedef enum plim_category {
    PLIM_LU,
    PLIM_LL,
    PLIM_LT,
    PLIM_LM,
    PLIM_LO,
    PLIM_MN,
    PLIM_MC,
    PLIM_ME,
    PLIM_ND,
    PLIM_NL,
    PLIM_NO,
    PLIM_PC,
    PLIM_PD,
    PLIM_PS,
    PLIM_PE,
    PLIM_PI,
    PLIM_PF,
    PLIM_PO,
    PLIM_SM,
    PLIM_SC,
    PLIM_SK,
    PLIM_SO,
    PLIM_ZS,
    PLIM_ZL,
    PLIM_ZP,
    PLIM_CC,
    PLIM_CF,
    PLIM_CO,
    PLIM_CN,
    PLIM_CS
} plim_category;

#define PLIM_IS(category) ((uint64_t)1 << (category))

/* What is not a question of the category alone. */
#define PLIM_IS_SPACE   ((uint64_t)1 << 32) /* \s everywhere, char::is_whitespace */
#define PLIM_IS_NUMERIC ((uint64_t)1 << 33) /* char::is_numeric: Digits */
#define PLIM_IS_PUNCTUATION                                                                        \
    ((uint64_t)1 << 34) /* Punctuation and Bert: an old Unicode, and ASCII's */
#define PLIM_IS_WORD       ((uint64_t)1 << 35) /* \w of the regex crate: Whitespace, single_word */
#define PLIM_IS_ONIG_WORD  ((uint64_t)1 << 36) /* \w of a Split */
#define PLIM_IS_ALPHABETIC ((uint64_t)1 << 37) /* \p{Alpha}, \p{Upper}, \p{Lower} of a Split */
#define PLIM_IS_UPPER      ((uint64_t)1 << 38)
#define PLIM_IS_LOWER      ((uint64_t)1 << 39)

extern const uint64_t plim_class_bits[];
extern const unsigned plim_class_count; /* at most 64 */
extern const uint8_t plim_class_index[];
extern const uint8_t plim_class_blocks[][256];

/* code <= 0x10FFFF. */
static inline unsigned plim_class_of(uint32_t code)
{
    return plim_class_blocks[plim_class_index[code >> 8]][code & 255];
}

/* PLIM_IS(...) of the character | its flags. */
static inline uint64_t plim_class_mask(uint32_t code)
{
    return plim_class_bits[plim_class_of(code)];
}

static inline bool plim_is_space(uint32_t code)
{
    return plim_class_mask(code) & PLIM_IS_SPACE;
}

/* The character at text[0..), which is valid UTF-8; its length, 1 to 4. */
static inline unsigned plim_char_at(const char *text, uint32_t *code)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    if (p[0] < 0xE0) {
        *code = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        return 2;
    }
    if (p[0] < 0xF0) {
        *code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        return 3;
    }
    *code = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    return 4;
}

/* Code points that Unicode 15.0, 15.1 and 16.0 assigned, with their category: PCRE2 may not know
 * them. */
typedef struct plim_class_run {
    uint32_t first, last;
    char category[3];
} plim_class_run;

extern const plim_class_run plim_class_added[];
extern const unsigned plim_class_added_count;

/* Scripts that a Split may name, in small letters. */
typedef struct plim_script_range {
    uint32_t first, last, script;
} plim_script_range;

extern const char *const plim_script_names[];
extern const unsigned plim_script_name_count;
extern const plim_script_range plim_script_ranges[];
extern const unsigned plim_script_range_count;

/* The script of a character as UnicodeScripts has it (kana are Han), 0: none. */
unsigned plim_script_of(uint32_t code);
extern const uint32_t plim_script_runs[]; /* first code point << 8 | script; ascending */
extern const unsigned plim_script_run_count;

#endif
