/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 as RFC 3629 and table 3-7 of the Unicode standard have it. */
#include <string.h>

#include "base/utf8.h"

size_t plim_utf8_decode(const char *s, size_t n, uint32_t *cp, size_t *bad, bool *incomplete)
{
    const unsigned char *p = (const unsigned char *)s;
    *bad = 1;
    *incomplete = n == 0;
    if (n == 0)
        return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    /* the second byte's range keeps out overlong forms, surrogates and what is past U+10FFFF */
    unsigned low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    uint32_t value = p[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (i == n) {
            *bad = i;
            *incomplete = true;
            return 0;
        }
        if (p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
        value = value << 6 | (p[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *cp = value;
    return length;
}

size_t plim_utf8_encode(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        if (cp >= 0xd800 && cp < 0xe000)
            return 0;
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    if (cp > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

/* Are the next eight bytes four characters of two? */
static inline bool are_pairs(const char *s)
{
    const uint64_t ones = 0x0001000100010001u;
    uint64_t word;
    memcpy(&word, s, sizeof word);
    if ((word & 0xc0e0 * ones) != 0x80c0 * ones)
        return false;
    uint64_t leads = word & 0x1e * ones; /* 0 in one of them: an overlong form */
    return !((leads - ones) & ~leads & 0x8000 * ones);
}

size_t plim_utf8_first_bad(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        while (n - i >= sizeof word) { /* plain ASCII, eight at a time */
            memcpy(&word, s + i, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            i += sizeof word;
        }
        if (i == n)
            break;
        unsigned char lead = (unsigned char)s[i];
        if (lead < 0x80) {
            i++;
            continue;
        }
        while (n - i >= sizeof word && are_pairs(s + i))
            i += sizeof word;
        if (i == n)
            break;
        lead = (unsigned char)s[i];
        if (lead >= 0xc2 && lead < 0xe0 && n - i >= 2 && ((unsigned char)s[i + 1] & 0xc0) == 0x80) {
            i += 2; /* most of what is not ASCII in a vocabulary */
            continue;
        }
        uint32_t cp;
        size_t bad, length;
        bool incomplete;
        length = plim_utf8_decode(s + i, n - i, &cp, &bad, &incomplete);
        if (length == 0)
            return i;
        i += length;
    }
    return n;
}

bool plim_utf8_valid(const char *s, size_t n)
{
    return plim_utf8_first_bad(s, n) == n;
}
