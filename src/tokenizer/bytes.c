/* SPDX-License-Identifier: Apache-2.0
 *
 * GPT-2's byte-level alphabet: each byte has a visible character, so that a vocabulary of bytes can
 * be written as text.  Printable bytes stand for themselves, the other 68 for U+0100 and on, in
 * order. */
#include "tokenizer/internal.h"

static bool is_printable(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/* 0..0x20 -> U+0100.., 0x7F..0xA0 -> U+0121.., 0xAD -> U+0143 */
static unsigned code_of(unsigned byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100 + byte;
    return byte == 0xAD ? 0x143 : 0x121 + (byte - 0x7F);
}

unsigned plim_alphabet_encode(unsigned char byte, char out[2])
{
    unsigned code = code_of(byte);
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
}

unsigned plim_alphabet_decode(const char *text, size_t bytes, unsigned char *byte)
{
    unsigned char c = (unsigned char)text[0];
    if (c < 0x80) {
        *byte = c;
        return is_printable(c) ? 1 : 0;
    }
    if (bytes < 2 || c < 0xC2 || c > 0xC5 || ((unsigned char)text[1] & 0xC0) != 0x80)
        return 0;
    unsigned code = (unsigned)(c & 0x1F) << 6 | ((unsigned char)text[1] & 0x3F);
    if (code < 0x100) {
        *byte = (unsigned char)code;
        return is_printable(code) ? 2 : 0;
    }
    if (code > 0x143)
        return 0;
    *byte = (unsigned char)(code <= 0x120   ? code - 0x100
                            : code == 0x143 ? 0xAD
                                            : code - 0x121 + 0x7F);
    return 2;
}
