/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of ASCII: sixteen bytes at a time where the instruction set is there (SSE2), else by table.
 * All read inside [p, end) only. */
#ifndef PLIM_TOKENIZER_SPLIT_ASCII_H
#define PLIM_TOKENIZER_SPLIT_ASCII_H

#include "tokenizer/split_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* Bit i: byte i lies in first .. first + span. */
static inline unsigned plim_bytes_in(__m128i bytes, char first, char span)
{
    __m128i low = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(low, _mm_set1_epi8(span)), low));
}

static inline __m128i plim_load_16(const unsigned char *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}
#endif

/* Where the letters A-Z a-z end. */
static inline const unsigned char *plim_skip_letters(const unsigned char *p,
                                                     const unsigned char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i lower = _mm_or_si128(plim_load_16(p), _mm_set1_epi8(0x20));
        unsigned others = ~plim_bytes_in(lower, 'a', 25) & 0xFFFF;
        if (others)
            return p + __builtin_ctz(others);
        p += 16;
    }
#endif
    while (p < end && *p < 0x80 && plim_split_ascii[*p] & SPLIT_LETTER)
        p++;
    return p;
}

static inline const unsigned char *plim_skip_lower(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        unsigned others = ~plim_bytes_in(plim_load_16(p), 'a', 25) & 0xFFFF;
        if (others)
            return p + __builtin_ctz(others);
        p += 16;
    }
#endif
    while (p < end && *p >= 'a' && *p <= 'z')
        p++;
    return p;
}

/* Where ASCII's white space ends; *newline: behind its last \r or \n, where it has one. */
static inline const unsigned char *
plim_skip_spaces(const unsigned char *p, const unsigned char *end, const unsigned char **newline)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i bytes = plim_load_16(p);
        unsigned spaces = plim_bytes_in(bytes, ' ', 0) | plim_bytes_in(bytes, '\t', 4);
        unsigned count = (unsigned)__builtin_ctz(~spaces);
        unsigned lines =
            (plim_bytes_in(bytes, '\n', 0) | plim_bytes_in(bytes, '\r', 0)) & ((1u << count) - 1);
        if (lines)
            *newline = p + 32 - __builtin_clz(lines);
        p += count;
        if (count < 16)
            return p;
    }
#endif
    for (; p < end && *p < 0x80 && plim_split_ascii[*p] & SPLIT_SPACE; p++)
        if (plim_split_ascii[*p] & SPLIT_NEWLINE)
            *newline = p + 1;
    return p;
}

/* The first byte that is a digit 0-9 or no ASCII, or end. */
static inline const unsigned char *plim_find_digit_or_high(const unsigned char *p,
                                                           const unsigned char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i bytes = plim_load_16(p);
        unsigned found = plim_bytes_in(bytes, '0', 9) | (unsigned)_mm_movemask_epi8(bytes);
        if (found)
            return p + __builtin_ctz(found);
        p += 16;
    }
#endif
    while (p < end && *p < 0x80 && (*p < '0' || *p > '9'))
        p++;
    return p;
}

/* The first `byte`, or end: for what is near more often than not. */
static inline const unsigned char *plim_find_byte(const unsigned char *p, const unsigned char *end,
                                                  unsigned char byte)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        unsigned found = plim_bytes_in(plim_load_16(p), (char)byte, 0);
        if (found)
            return p + __builtin_ctz(found);
        p += 16;
    }
#endif
    while (p < end && *p != byte)
        p++;
    return p;
}

/* The first byte that is no ASCII, or end. */
static inline const unsigned char *plim_find_high(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        unsigned found = (unsigned)_mm_movemask_epi8(plim_load_16(p));
        if (found)
            return p + __builtin_ctz(found);
        p += 16;
    }
#endif
    while (p < end && *p < 0x80)
        p++;
    return p;
}

#endif
