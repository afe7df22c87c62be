/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers from and to text, whatever the locale. */
#ifndef PLIM_BASE_NUM_H
#define PLIM_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of text[bytes] as a number: decimal digits only / optional minus / JSON's number.  False when
 * it is not one, or does not fit.  Doubles are correctly rounded. */
bool plim_parse_u64(const char *text, size_t bytes, uint64_t *out);
bool plim_parse_i64(const char *text, size_t bytes, int64_t *out);
bool plim_parse_f64(const char *text, size_t bytes, double *out);

/* Shortest text that reads back as the same double, '.' as point; returns its length (cap >= 32). */
size_t plim_format_f64(char *out, size_t cap, double value);

/* "1.4 GB"-like, powers of two: "353.8 MiB".  For people.  Returns out. */
char *plim_format_bytes(char *out, size_t cap, uint64_t bytes);

#endif
