/* SPDX-License-Identifier: Apache-2.0
 *
 * What "%d" % n and "{:d}".format(n) share: numbers as text. */
#ifndef PLIM_CHAT_FORMAT_H
#define PLIM_CHAT_FORMAT_H

#include "chat/run.h"

#define PLIM_CHAT_MAX_PRECISION 300

/* A field of a format, of either kind. */
typedef struct plim_field {
    char type;  /* 'd', 'x', 'f', ...; 0: none */
    char sign;  /* '+', ' ' or 0 */
    char align; /* '<', '>', '^', '=' or 0 */
    char group; /* ',', '_' or 0 */
    bool alternate, zero;
    const plim_str *fill;     /* one character, or NULL: a blank */
    int64_t width, precision; /* precision -1: none */
} plim_field;

/* A number's parts: sign and prefix, then the digits. */
typedef struct plim_digits {
    char prefix[8];
    char text[700];
    size_t bytes;
} plim_digits;

plim_status plim_digits_int(plim_run *run, const plim_field *field, int64_t value,
                            plim_digits *out);
plim_status plim_digits_float(plim_run *run, const plim_field *field, double value,
                              plim_digits *out);
/* Parts, padded to the width; numbers to the right, text to the left where no side is asked for. */
plim_status plim_put_digits(plim_run *run, plim_buf *buf, const plim_field *field,
                            const plim_digits *digits);
plim_status plim_put_text(plim_run *run, plim_buf *buf, const plim_field *field, const plim_str *s);

#endif
