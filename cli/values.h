/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of options from text, strict, whatever the locale: false for what is no such value. */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include <stdbool.h>

#include "options.h"

bool value_u64(const char *text, uint64_t *out); /* decimal digits; false on overflow */
bool value_real(const char *text, double *out);  /* a finite decimal number */
bool value_bool(const char *text, int64_t *out); /* true, false, 1, 0 */

/* "512MiB", "1.5GiB" (powers of two), "8GB" (powers of ten), or plain bytes. */
bool value_size(const char *text, uint64_t *out);

/* "auto", "map", "buffered", "direct". */
bool value_reader(const char *text, plim_reader *out);

/* Ids between commas or white space, brackets around them or not: "1,2,3", "[1, 2, 3]".  ids is
 * allocated (free), never NULL on success. */
plim_status value_ids(const char *text, size_t bytes, const char *what, cli_ids *out,
                      plim_error *err);

/* The name that value_reader takes; "?" for what is none.  Static storage. */
const char *text_of_reader(plim_reader reader);

/* Seconds for people: "0.042 s", "1.25 s", "80 s", "12 min".  Returns out. */
char *text_of_seconds(char *out, size_t cap, double seconds);

/* Bytes for people, powers of two: "353.8 MiB".  Returns out. */
char *text_of_bytes(char *out, size_t cap, uint64_t bytes);

#endif
