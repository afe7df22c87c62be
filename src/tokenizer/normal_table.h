/* SPDX-License-Identifier: Apache-2.0
 *
 * What the normalizers know of Unicode: tables written by tools/tokenizer/normal_tables.py, which
 * asks Hugging Face's normalizers about every code point. */
#ifndef PLIM_TOKENIZER_NORMAL_TABLE_H
#define PLIM_TOKENIZER_NORMAL_TABLE_H

#include <stdint.h>

/* Flags of a code point.  STOP: it changes in that form, or may compose with what stands before;
 * EDGE: nothing before it acts on it or on what follows. */
#define PLIM_NORMAL_STOP_C     0x1u
#define PLIM_NORMAL_STOP_D     0x2u
#define PLIM_NORMAL_STOP_KC    0x4u
#define PLIM_NORMAL_STOP_KD    0x8u
#define PLIM_NORMAL_EDGE_C     0x10u
#define PLIM_NORMAL_EDGE_K     0x20u
#define PLIM_NORMAL_MARK       0x40u  /* StripAccents drops it */
#define PLIM_NORMAL_NONSPACING 0x80u  /* BertNormalizer's strip_accents drops it */
#define PLIM_NORMAL_OTHER      0x100u /* BertNormalizer's clean_text drops it */
#define PLIM_NORMAL_SPACE      0x200u /* Rust's char::is_whitespace */
#define PLIM_NORMAL_CHINESE    0x400u /* BertNormalizer lays spaces around it */
#define PLIM_NORMAL_LOWER      0x800u /* it has a lowercase form */
#define PLIM_NORMAL_NMT_DROP   0x1000u
#define PLIM_NORMAL_NMT_SPACE  0x2000u

/* Grapheme_Cluster_Break and what else the rules of clusters ask for.  Regional indicators are
 * OTHER: a cluster of two of them is too long for anybody to ask. */
typedef enum plim_grapheme {
    PLIM_GRAPHEME_OTHER,
    PLIM_GRAPHEME_CONTROL, /* CR and LF too */
    PLIM_GRAPHEME_EXTEND,
    PLIM_GRAPHEME_EXTEND_INCB, /* may stand between linker and consonant */
    PLIM_GRAPHEME_LINKER,
    PLIM_GRAPHEME_ZWJ,
    PLIM_GRAPHEME_SPACING,
    PLIM_GRAPHEME_PREPEND,
    PLIM_GRAPHEME_PICTURE,
    PLIM_GRAPHEME_CONSONANT,
    PLIM_GRAPHEME_L,
    PLIM_GRAPHEME_V,
    PLIM_GRAPHEME_T,
    PLIM_GRAPHEME_LV,
    PLIM_GRAPHEME_LVT
} plim_grapheme;

typedef struct plim_normal_record {
    uint8_t combining; /* canonical combining class */
    uint8_t grapheme;
    uint16_t flags;
} plim_normal_record;

extern const plim_normal_record plim_normal_records[];
extern const uint8_t plim_normal_stage1[]; /* of code >> 7: block of stage2 */
extern const uint8_t plim_normal_stage2[]; /* of block << 7 | low bits: record */

/* code < 0x110000 */
static inline const plim_normal_record *plim_normal_of(uint32_t code)
{
    return &plim_normal_records[plim_normal_stage2[(unsigned)plim_normal_stage1[code >> 7] << 7 |
                                                   (code & 127)]];
}

/* What a code point decomposes to in full, in UTF-16: pool[at .. at + units).  Ascending by code,
 * then by compat; the entry of compat is there only where it differs.  Hangul syllables are not. */
typedef struct plim_normal_map {
    uint32_t code;
    uint8_t compat, units;
    uint16_t at;
} plim_normal_map;

extern const plim_normal_map plim_normal_maps[];
extern const unsigned plim_normal_map_count;
extern const uint16_t plim_normal_pool[];

/* What composes: first and second to code.  Ascending by first, then second. */
typedef struct plim_normal_pair {
    uint32_t first, second, code;
} plim_normal_pair;

extern const plim_normal_pair plim_normal_pairs[];
extern const unsigned plim_normal_pair_count;

/* Lowercase: every step-th of `count` code points from first, plus delta.  Ascending.  U+0130 is
 * not here: it becomes two. */
typedef struct plim_normal_lower {
    uint32_t first;
    uint16_t count;
    uint8_t step;
    int32_t delta;
} plim_normal_lower;

extern const plim_normal_lower plim_normal_lowers[];
extern const unsigned plim_normal_lower_count;

#endif
