/* SPDX-License-Identifier: Apache-2.0
 *
 * As much UTF-8 as reading and writing JSON needs. */
#ifndef CLI_UTF8_H
#define CLI_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the sequence at text, 1..4; 0 when it is broken or cut (surrogates and overlong forms
 * are broken). */
size_t utf8_sequence(const char *text, size_t bytes);

/* Bytes that one U+FFFD stands for where utf8_sequence says 0: the longest beginning of a sequence
 * that could have become valid, at least 1 (as Unicode recommends and Python does). */
size_t utf8_broken(const char *text, size_t bytes);

/* Write code point as UTF-8 (at most 4 bytes); returns how many. */
size_t utf8_write(char *dst, uint32_t code);

#endif
