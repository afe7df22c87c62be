/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers from and to text, whatever the locale. */
#ifndef PLIM_BASE_NUM_H
#define PLIM_BASE_NUM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of text[bytes] as a number: decimal digits only / optional minus / JSON's number. False
 * when it is not one, or does not fit.  Doubles are correctly rounded; false when the value is not
 * finite or the text is longer than PLIM_NUMBER_BYTES. */
#define PLIM_NUMBER_BYTES 1023
bool plim_parse_u64(const char *text, size_t bytes, uint64_t *out);
bool plim_parse_i64(const char *text, size_t bytes, int64_t *out);
bool plim_parse_f64(const char *text, size_t bytes, double *out);

/* Shortest text that reads back as the same double, '.' as point ("nan", "inf", "-inf" for what
 * JSON can't say); returns its length (cap >= 32). */
size_t plim_format_f64(char *out, size_t cap, double value);

/* "1.4 GB"-like, powers of two: "353.8 MiB".  For people.  Returns out. */
char *plim_format_bytes(char *out, size_t cap, uint64_t bytes);

/* snprintf as in the C locale, whatever the host program has set.  Returns what was written (<
 * cap), not what would have been; cap >= 1. */
size_t plim_vformat(char *out, size_t cap, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
size_t plim_format(char *out, size_t cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
