/* SPDX-License-Identifier: Apache-2.0
 *
 * What Python's str knows of a character: classes and case.  The tables are written by
 * tools/chat/unicode_tables.py. */
#ifndef PLIM_CHAT_UNICODE_H
#define PLIM_CHAT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLIM_CHAR_ALPHA = 1,
    PLIM_CHAR_DECIMAL = 2,
    PLIM_CHAR_DIGIT = 4,
    PLIM_CHAR_NUMERIC = 8,
    PLIM_CHAR_SPACE = 16,
    PLIM_CHAR_PRINTABLE = 32,
    PLIM_CHAR_LOWER = 64,
    PLIM_CHAR_UPPER = 128,
    PLIM_CHAR_TITLE = 256,
    PLIM_CHAR_CASED = 512,      /* a final sigma may stand after it */
    PLIM_CHAR_IGNORABLE = 1024, /* a final sigma looks through it */
    PLIM_CHAR_NAME = 2048,      /* begins a name */
    PLIM_CHAR_NAME_MORE = 4096  /* goes on in a name */
};

typedef enum plim_case {
    PLIM_CASE_LOWER,
    PLIM_CASE_UPPER,
    PLIM_CASE_TITLE,
    PLIM_CASE_FOLD
} plim_case;

/* Classes of code points first..last, ascending. */
typedef struct plim_char_range {
    uint32_t first, last;
    uint16_t flags;
} plim_char_range;
extern const plim_char_range plim_char_ranges[];
extern const size_t plim_char_range_count;

/* Every step-th of first..last maps to itself + delta. */
typedef struct plim_char_run {
    uint32_t first, last;
    int32_t step, delta;
} plim_char_run;
typedef struct plim_char_map {
    const plim_char_run *runs;
    size_t count;
} plim_char_map;
extern const plim_char_map plim_char_maps[4];

typedef struct plim_char_several {
    uint32_t kind, code, to[3];
} plim_char_several;
extern const plim_char_several plim_char_severals[];
extern const size_t plim_char_several_count;

extern const uint32_t plim_char_zeros[];
extern const size_t plim_char_zero_count;

unsigned plim_char_flags(uint32_t code);

/* The mapping of one character, 1 to 3 of them. */
size_t plim_char_case(plim_case kind, uint32_t code, uint32_t to[3]);

/* 0..9 for a decimal digit of any script, else -1. */
int plim_char_digit(uint32_t code);

/* What str.splitlines splits at (\r\n is the caller's affair). */
bool plim_char_ends_line(uint32_t code);

#endif
