/* SPDX-License-Identifier: Apache-2.0
 *
 * As much UTF-8 as reading and writing JSON needs (Unicode 15, table 3-7). */
#include "utf8.h"

#include <stdbool.h>

/* How many of the bytes at text belong together; *whole tells whether they are a complete sequence.
 */
static size_t measure(const unsigned char *text, size_t bytes, bool *whole)
{
    unsigned char lead = text[0];
    *whole = lead < 0x80;
    if (lead < 0xc2 || lead > 0xf4)
        return 1;
    size_t want = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t got = 1;
    while (got < want && got < bytes && text[got] >= low && text[got] <= high) {
        got++;
        low = 0x80;
        high = 0xbf;
    }
    *whole = got == want;
    return got;
}

size_t utf8_sequence(const char *text, size_t bytes)
{
    bool whole = false;
    size_t length = bytes > 0 ? measure((const unsigned char *)text, bytes, &whole) : 0;
    return whole ? length : 0;
}

size_t utf8_broken(const char *text, size_t bytes)
{
    bool whole;
    return bytes > 0 ? measure((const unsigned char *)text, bytes, &whole) : 0;
}

size_t utf8_write(char *dst, uint32_t code)
{
    if (code < 0x80) {
        dst[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        dst[0] = (char)(0xc0 | code >> 6);
        dst[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        dst[0] = (char)(0xe0 | code >> 12);
        dst[1] = (char)(0x80 | (code >> 6 & 0x3f));
        dst[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    dst[0] = (char)(0xf0 | code >> 18);
    dst[1] = (char)(0x80 | (code >> 12 & 0x3f));
    dst[2] = (char)(0x80 | (code >> 6 & 0x3f));
    dst[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}
