/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the JSON reader share: a source that gives a few bytes at a time, and events as
 * one text, documents that are built up. */
#ifndef PLIM_TESTS_BASE_JSON_TEST_H
#define PLIM_TESTS_BASE_JSON_TEST_H

#include "base_test.h"

#include <stdio.h>

#include "base/json.h"

/* Gives text[n), at most `step` bytes at once; after `fail_after` bytes (SIZE_MAX: never) it fails
 * with IO. */
typedef struct drip {
    const char *text;
    size_t n, step, at, fail_after;
} drip;

static inline plim_status drip_read(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    drip *d = user;
    size_t n = d->n - d->at;
    if (n > cap)
        n = cap;
    if (n > d->step)
        n = d->step;
    if (d->at >= d->fail_after)
        return plim_fail(err, PLIM_E_IO, "the source failed");
    memcpy(dst, d->text + d->at, n);
    d->at += n;
    *got = n;
    return PLIM_OK;
}

#define DRIP_BASE 1000 /* offset of the first byte in its file */

static inline plim_json *drip_open(drip *d, const plim_alloc *alloc, const plim_json_limits *limits)
{
    plim_json *json;
    plim_json_source source = {drip_read, d, "doc.json", DRIP_BASE};
    assert_int_equal(plim_json_open(&json, alloc, &source, limits, NULL), PLIM_OK);
    return json;
}

/* All events, one letter each, text and a NUL behind it.  *out is malloced. */
static inline plim_status all_events(plim_json *json, char **out, size_t *n, plim_error *err)
{
    static const char letters[] = "{}[]KSNtfnE";
    size_t cap = 256;
    char *text = malloc(cap);
    *n = 0;
    for (;;) {
        plim_json_event event;
        plim_status status = plim_json_next(json, &event, err);
        *out = text;
        if (status != PLIM_OK || event == PLIM_JSON_END)
            return status;
        size_t bytes = 0;
        const char *found = plim_json_text(json, &bytes);
        bool has_text =
            event == PLIM_JSON_KEY || event == PLIM_JSON_STRING || event == PLIM_JSON_NUMBER;
        while (*n + bytes + 2 > cap)
            text = realloc(text, cap *= 2);
        text[(*n)++] = letters[event];
        if (has_text) {
            assert_int_equal(found[bytes], '\0');
            memcpy(text + *n, found, bytes + 1);
            *n += bytes + 1;
        }
    }
}

static inline plim_json *open_text(const char *text, const plim_json_limits *limits)
{
    plim_json *json;
    assert_int_equal(
        plim_json_open_memory(&json, plim_alloc_system(), text, strlen(text), "f", limits, NULL),
        PLIM_OK);
    return json;
}

static inline plim_status read_through(plim_json *json, plim_error *err)
{
    char *events;
    size_t n;
    plim_error_clear(err);
    plim_status status = all_events(json, &events, &n, err);
    free(events);
    plim_json_close(&json);
    return status;
}

typedef struct text_builder {
    char *text;
    size_t n, cap;
} text_builder;

static inline void add(text_builder *b, const char *format, unsigned long value)
{
    while (b->n + 200 > b->cap)
        b->text = realloc(b->text, b->cap = b->cap * 2 + 4096);
    b->n += (size_t)snprintf(b->text + b->n, 200, format, value);
}

/* An object of `keys` keys, all different. */
static inline void add_object(text_builder *b, unsigned long keys, const char *format)
{
    add(b, "{", 0);
    for (unsigned long i = 0; i < keys; i++) {
        if (i)
            add(b, ",", 0);
        add(b, format, i);
        add(b, ":%lu", i);
    }
}

#endif
