/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef PLIM_BASE_UTF8_H
#define PLIM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLIM_UTF8_REPLACEMENT 0xFFFDu

/* Decode the code point at s[0..n).  Returns its length 1..4 and *cp; or 0 where the bytes are not
 * a code point: then *bad is the length of the maximal ill-formed prefix (>= 1, what Python and the
 * Unicode standard replace by one U+FFFD), and *incomplete says that more bytes could have
 * completed it. */
size_t plim_utf8_decode(const char *s, size_t n, uint32_t *cp, size_t *bad, bool *incomplete);

/* How many bytes the character that begins with `lead` has, in valid UTF-8. */
static inline size_t plim_utf8_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Encode cp into out (room for 4); returns the length, 0 for what is no code point. */
size_t plim_utf8_encode(uint32_t cp, char *out);

bool plim_utf8_valid(const char *s, size_t n);

/* Offset of the first byte that is not valid UTF-8, or n. */
size_t plim_utf8_first_bad(const char *s, size_t n);

#endif
