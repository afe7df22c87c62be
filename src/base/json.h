/* SPDX-License-Identifier: Apache-2.0
 *
 * A streaming JSON reader (RFC 8259): events out of a byte source, no tree, no recursion.
 * Owns syntax, UTF-8, numbers, positions and duplicate keys; leaves meaning to the caller.
 * Invariants:
 *  1. Memory is one read buffer (64 KiB), the longest string so far (capped), and a table of 8-byte
 * hashes (11 to 21 bytes a key) of the objects that are open; never a function of the document's
 * size otherwise.
 *  2. Every error names the file and the byte offset where it was found.
 *  3. Nothing is accepted that RFC 8259 forbids (no NaN, no comments, no trailing commas, no lone
 * surrogates). */
#ifndef PLIM_BASE_JSON_H
#define PLIM_BASE_JSON_H

#include "base/alloc.h"

struct plim_file;

typedef enum plim_json_event {
    PLIM_JSON_OBJECT,     /* { */
    PLIM_JSON_OBJECT_END, /* } */
    PLIM_JSON_ARRAY,
    PLIM_JSON_ARRAY_END,
    PLIM_JSON_KEY, /* text is the key; its value is the next event */
    PLIM_JSON_STRING,
    PLIM_JSON_NUMBER, /* text is the number as written */
    PLIM_JSON_TRUE,
    PLIM_JSON_FALSE,
    PLIM_JSON_NULL,
    PLIM_JSON_END /* the document is complete and only whitespace followed it */
} plim_json_event;

/* Where bytes come from.  *got = 0 means the end.  `base` is the file offset of the first byte. */
typedef struct plim_json_source {
    plim_status (*read)(void *user, void *dst, size_t cap, size_t *got, plim_error *err);
    void *user;
    const char *file; /* for errors; must outlive the reader */
    int64_t base;
} plim_json_source;

/* 0 in a number: the default. */
typedef struct plim_json_limits {
    size_t depth;         /* default 64 */
    size_t string_bytes;  /* default 16 MiB */
    bool keep_duplicates; /* true: duplicate keys are the caller's affair */
} plim_json_limits;

typedef struct plim_json plim_json;

/* Open a reader.  limits may be NULL.  A file that is empty fails at the first plim_json_next. */
plim_status plim_json_open(plim_json **out, const plim_alloc *alloc, const plim_json_source *source,
                           const plim_json_limits *limits, plim_error *err);
/* The same over `bytes` in memory, which must outlive the reader. */
plim_status plim_json_open_memory(plim_json **out, const plim_alloc *alloc, const void *text,
                                  size_t bytes, const char *file, const plim_json_limits *limits,
                                  plim_error *err);
/* The same over `bytes` at `offset` of an open file; positions are those in the file.  `file` and
 * `path` must outlive the reader. */
plim_status plim_json_open_range(plim_json **out, const plim_alloc *alloc,
                                 const struct plim_file *file, const char *path, uint64_t offset,
                                 uint64_t bytes, const plim_json_limits *limits, plim_error *err);
/* The same over a whole file, which the reader opens and closes.  LIMIT over `max_bytes`; else as
 * plim_file_open.  `path` must outlive the reader. */
plim_status plim_json_open_path(plim_json **out, const plim_alloc *alloc, const char *path,
                                uint64_t max_bytes, const plim_json_limits *limits,
                                plim_error *err);
void plim_json_close(plim_json **json);

/* The next event.  FORMAT (syntax, duplicate key, bad UTF-8), TRUNC (ends too early), LIMIT (depth,
 * string, a number of more than PLIM_NUMBER_BYTES), NOMEM, BUDGET, or what the source returned.
 * After an error every further call fails the same way; after END every further call gives END. */
plim_status plim_json_next(plim_json *json, plim_json_event *event, plim_error *err);

#define PLIM_JSON_SLACK 16

/* Text of the last KEY, STRING (unescaped UTF-8, may hold NUL bytes) or NUMBER; NUL-terminated;
 * valid until the next call of plim_json_next.  PLIM_JSON_SLACK bytes behind that of a KEY or a
 * STRING may be looked at. */
const char *plim_json_text(const plim_json *json, size_t *bytes);
bool plim_json_text_is(const plim_json *json, const char *text);

/* File offset of the first byte of the last event. */
int64_t plim_json_offset(const plim_json *json);
size_t plim_json_depth(const plim_json *json); /* open objects and arrays */
const char *plim_json_file(const plim_json *json);
/* Bytes of the source that are not read yet, where it knows; else 0.  For estimates. */
uint64_t plim_json_unread(const plim_json *json);

/* Fail at the last event: "FILE: MESSAGE (at byte N)". */
plim_status plim_json_fail(const plim_json *json, plim_error *err, plim_status code,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Pass over the value that begins with the last event (a scalar: nothing to do), or with the next
 * one after a KEY. */
plim_status plim_json_skip(plim_json *json, plim_error *err);

/* The last event's NUMBER as an integer in [min, max]: FORMAT for what is no number, for a
 * fraction, an exponent or a sign, and below min; LIMIT above max.  `what` names it in the message.
 */
plim_status plim_json_u64(const plim_json *json, const char *what, uint64_t max, uint64_t *out,
                          plim_error *err);
plim_status plim_json_i64(const plim_json *json, const char *what, int64_t min, int64_t max,
                          int64_t *out, plim_error *err);
/* The last event's NUMBER, correctly rounded whatever the locale; FORMAT when it is not finite. */
plim_status plim_json_f64(const plim_json *json, const char *what, double *out, plim_error *err);

/* Read one event and demand a kind: FORMAT "WHAT must be a string, found a number". */
plim_status plim_json_expect(plim_json *json, plim_json_event want, const char *what,
                             plim_error *err);

/* "an object", "a string", ...: for messages.  Static storage. */
const char *plim_json_event_name(plim_json_event event);

#endif
