/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling a plim_error.  Owns the wording's frame (file, tensor, offset); the codes are in
 * plimsoll.h. */
#ifndef PLIM_BASE_STATUS_H
#define PLIM_BASE_STATUS_H

#include "plimsoll.h"

/* Where something was found.  Zero-initialise with PLIM_NOWHERE. */
typedef struct plim_where {
    const char *file;   /* or NULL */
    const char *tensor; /* or NULL */
    int64_t offset;     /* in file; -1 where it does not apply */
} plim_where;

#define PLIM_NOWHERE ((plim_where){NULL, NULL, -1})

/* Fill *err (may be NULL) and return `code`, so that a failing function ends in
 * `return plim_fail(err, PLIM_E_…, "what was found, what was expected, what to do")`.
 * The message is cut, never overflows.  Control characters of arguments are the caller's text: they
 * are replaced by '?' in the finished message, so that a hostile name can't drive a terminal.
 * Arguments may point into *err (to wrap one error into another); numbers are printed as in the C
 * locale. */
plim_status plim_fail(plim_error *err, plim_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with file, tensor and offset, which go into their fields (as they are, cut to fit) and
 * before the message: "FILE: tensor 'T': MESSAGE (at byte N)". */
plim_status plim_fail_at(plim_error *err, plim_status code, plim_where where, const char *format,
                         ...) __attribute__((format(printf, 4, 5)));

/* plim_fail_at with PLIM_E_IO (PLIM_E_NOMEM for ENOMEM) and the system's text for `errnum`. */
plim_status plim_fail_errno(plim_error *err, int errnum, plim_where where, const char *what);

/* Clear *err (may be NULL). */
void plim_error_clear(plim_error *err);

/* Replace the control characters of text (C0, DEL, C1) by '?', in place. */
void plim_text_tame(char *text);

#endif
