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

/* Ids between commas or white space, brackets around them or not: "1,2,3", "[1, 2, 3]".  ids is
 * allocated (free), never NULL on success. */
plim_status value_ids(const char *text, size_t bytes, const char *what, cli_ids *out,
                      plim_error *err);

/* Bytes for people, powers of two: "353.8 MiB".  Returns out. */
char *text_of_bytes(char *out, size_t cap, uint64_t bytes);

#endif
