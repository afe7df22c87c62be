/* SPDX-License-Identifier: Apache-2.0
 *
 * Stop strings in a text that comes in pieces: one matcher per string (Knuth, Morris, Pratt 1977),
 * whose state is how many of its bytes the text ends in.  So a piece may end anywhere, in the
 * middle of a character too, and no text is kept.  Cost: a few steps per byte and string; memory: 5
 * bytes per byte of the strings. */
#include <stdint.h>
#include <string.h>

#include "generate/sampler.h"

/* One stop string. */
typedef struct matcher {
    unsigned char *text; /* u8 [length] */
    uint32_t *border;    /* u32 [length]: border[i] is the length of the longest proper prefix of
                            text[0..i] that    is a suffix of it too */
    uint32_t length, matched;
} matcher;

struct plim_stopper {
    const plim_alloc *alloc;
    size_t count;
    matcher matchers[];
};

static void find_borders(matcher *m)
{
    uint32_t border = 0;
    m->border[0] = 0;
    for (uint32_t i = 1; i < m->length; i++) {
        while (border > 0 && m->text[i] != m->text[border])
            border = m->border[border - 1];
        border += m->text[i] == m->text[border];
        m->border[i] = border;
    }
}

/* The next byte of the text; true when it completes the string. */
static bool feed(matcher *m, unsigned char byte)
{
    while (m->matched > 0 && m->text[m->matched] != byte)
        m->matched = m->border[m->matched - 1];
    m->matched += m->text[m->matched] == byte;
    if (m->matched < m->length)
        return false;
    m->matched = m->border[m->length - 1];
    return true;
}

/* Bytes of all strings, each of a length that fits. */
static plim_status measure(const char *const *stop, size_t count, uint64_t *total, plim_error *err)
{
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = stop[i] ? strlen(stop[i]) : 0;
        if (length == 0)
            return plim_fail(err, PLIM_E_USAGE, "stop string %zu is %s; it would stop everywhere",
                             i, stop[i] ? "empty" : "NULL");
        if (length > PLIM_MAX_STOP_BYTES)
            return plim_fail(err, PLIM_E_USAGE, "stop string %zu has %zu bytes, want at most %u", i,
                             length, PLIM_MAX_STOP_BYTES);
        *total += length;
    }
    return PLIM_OK;
}

plim_status plim_stopper_open(plim_stopper **out, const plim_alloc *alloc, const char *const *stop,
                              size_t count, plim_error *err)
{
    uint64_t total;
    *out = NULL;
    if (count > PLIM_MAX_STOPS)
        return plim_fail(err, PLIM_E_USAGE, "%zu stop strings, want at most %u", count,
                         PLIM_MAX_STOPS);
    plim_status status = measure(stop, count, &total, err);
    if (status != PLIM_OK)
        return status;
    size_t head = sizeof(plim_stopper) + count * sizeof(matcher);
    char *block = plim_new(alloc, 1, head + (size_t)total * (sizeof(uint32_t) + 1), err);
    if (!block)
        return err ? err->code : PLIM_E_NOMEM;
    plim_stopper *stopper = (plim_stopper *)(void *)block;
    uint32_t *border = (uint32_t *)(void *)(block + head);
    unsigned char *text = (unsigned char *)(border + total);
    stopper->alloc = alloc;
    stopper->count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t length = (uint32_t)strlen(stop[i]);
        stopper->matchers[i] = (matcher){.text = text, .border = border, .length = length};
        memcpy(text, stop[i], length);
        find_borders(&stopper->matchers[i]);
        text += length;
        border += length;
    }
    *out = stopper;
    return PLIM_OK;
}

void plim_stopper_close(plim_stopper **stopper)
{
    if (*stopper)
        plim_delete((*stopper)->alloc, *stopper);
    *stopper = NULL;
}

bool plim_stopper_push(plim_stopper *stopper, const char *text, size_t bytes)
{
    bool found = false;
    for (size_t i = 0; i < stopper->count; i++) {
        for (size_t j = 0; j < bytes; j++)
            found |= feed(&stopper->matchers[i], (unsigned char)text[j]);
    }
    return found;
}
