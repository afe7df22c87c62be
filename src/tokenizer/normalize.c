/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisation form C (UAX 15) with the tables of the normalizer that Hugging Face uses.  A text
 * is taken in stretches that can't influence each other: each begins with a character below U+0300
 * or an ideograph. Most text has nothing to normalise and is not copied. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"
#include "tokenizer/unicode.h"

typedef struct plim_mark {
    uint32_t code;
    uint32_t order; /* combining class << 24, then position among its equals */
} mark;

enum {
    S_BASE = 0xAC00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28
};
enum { S_COUNT = L_COUNT * V_COUNT * T_COUNT };

static unsigned combining_class(uint32_t code)
{
    size_t low = 0, high = plim_unicode_class_count;
    if (code < 0x300)
        return 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const plim_unicode_class *row = &plim_unicode_classes[middle];
        if (code < row->first)
            high = middle;
        else if (code - row->first >= row->count)
            low = middle + 1;
        else
            return row->combining;
    }
    return 0;
}

static const plim_unicode_pair *decomposition(uint32_t code)
{
    size_t low = 0, high = plim_unicode_pair_count;
    if (code < 0xC0)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plim_unicode_pairs[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < plim_unicode_pair_count && plim_unicode_pairs[low].code == code
               ? &plim_unicode_pairs[low]
               : NULL;
}

/* What two characters compose to, 0 for nothing. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    if (first - L_BASE < L_COUNT && second - V_BASE < V_COUNT)
        return S_BASE + ((first - L_BASE) * V_COUNT + (second - V_BASE)) * T_COUNT;
    if (first - S_BASE < S_COUNT && (first - S_BASE) % T_COUNT == 0 &&
        second - (T_BASE + 1) < T_COUNT - 1)
        return first + (second - T_BASE);
    size_t low = 0, high = plim_unicode_composing_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const plim_unicode_pair *pair = &plim_unicode_pairs[plim_unicode_composing[middle]];
        if (pair->first < first || (pair->first == first && pair->second < second))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == plim_unicode_composing_count)
        return 0;
    const plim_unicode_pair *pair = &plim_unicode_pairs[plim_unicode_composing[low]];
    return pair->first == first && pair->second == second ? pair->code : 0;
}

static plim_status push_mark(plim_run *run, size_t *count, uint32_t code, plim_error *err)
{
    if (*count == run->mark_cap) {
        plim_status status =
            plim_grow(run->alloc, &run->marks, &run->mark_cap, *count + 1, sizeof *run->marks, err);
        if (status)
            return status;
    }
    run->marks[(*count)++] = (mark){code, combining_class(code)};
    return PLIM_OK;
}

/* Full canonical decomposition of one code point, appended. */
static plim_status decompose(plim_run *run, size_t *count, uint32_t code, plim_error *err)
{
    plim_status status;
    if (code - S_BASE < S_COUNT) {
        uint32_t s = code - S_BASE, t = s % T_COUNT;
        if ((status = push_mark(run, count, L_BASE + s / (V_COUNT * T_COUNT), err)) ||
            (status = push_mark(run, count, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT, err)))
            return status;
        return t ? push_mark(run, count, T_BASE + t, err) : PLIM_OK;
    }
    uint32_t seconds[8]; /* the deepest chain of the tables is 4 */
    size_t depth = 0;
    for (const plim_unicode_pair *pair; (pair = decomposition(code)) && depth < 8;) {
        code = pair->first;
        if (pair->second)
            seconds[depth++] = pair->second;
    }
    status = push_mark(run, count, code, err);
    while (!status && depth)
        status = push_mark(run, count, seconds[--depth], err);
    return status;
}

/* Stable sort of marks[0..count) by class: merge sort, so that a hostile run of marks costs n log
 * n. */
static plim_status sort_marks(plim_run *run, mark *marks, size_t count, plim_error *err)
{
    bool sorted = true;
    for (size_t i = 1; i < count; i++)
        sorted = sorted && marks[i - 1].order <= marks[i].order;
    if (sorted)
        return PLIM_OK;
    mark *spare = plim_new(run->alloc, count, sizeof *spare, err);
    if (!spare)
        return plim_tok_nomem(err);
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = middle + width < count ? middle + width : count;
            for (size_t a = low, b = middle, to = low; to < high; to++)
                spare[to] = b == high || (a < middle && marks[a].order <= marks[b].order)
                                ? marks[a++]
                                : marks[b++];
        }
        memcpy(marks, spare, count * sizeof *marks);
    }
    plim_delete(run->alloc, spare);
    return PLIM_OK;
}

static plim_status order_marks(plim_run *run, size_t count, plim_error *err)
{
    for (size_t i = 0; i < count;) {
        if (run->marks[i].order == 0) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < count && run->marks[end].order != 0)
            end++;
        plim_status status = sort_marks(run, run->marks + i, end - i, err);
        if (status)
            return status;
        i = end;
    }
    return PLIM_OK;
}

/* Canonical composition in place; the new count. */
static size_t compose_marks(mark *marks, size_t count)
{
    size_t starter = SIZE_MAX, out = 0;
    unsigned last_class = 0;
    for (size_t i = 0; i < count; i++) {
        mark m = marks[i];
        bool adjacent = starter != SIZE_MAX && out == starter + 1;
        bool blocked = !adjacent && last_class >= m.order;
        uint32_t together =
            starter != SIZE_MAX && !blocked ? compose(marks[starter].code, m.code) : 0;
        if (together) {
            marks[starter].code = together;
            continue;
        }
        if (m.order == 0)
            starter = out;
        last_class = m.order;
        marks[out++] = m;
    }
    return out;
}

/* A stretch may begin here: nothing before can act on it. */
static bool begins_stretch(uint32_t code)
{
    return code < 0x300 || (code >= 0x3400 && code < 0xA000);
}

static plim_status reserve(plim_run *run, size_t bytes, plim_error *err)
{
    return plim_grow(run->alloc, &run->normal.data, &run->normal.cap, bytes, 1, err);
}

static plim_status flush_stretch(plim_run *run, size_t count, size_t *used, plim_error *err)
{
    plim_status status = order_marks(run, count, err);
    if (status)
        return status;
    count = compose_marks(run->marks, count);
    if ((status = reserve(run, *used + 4 * count + 1, err)))
        return status;
    for (size_t i = 0; i < count; i++)
        *used += plim_utf8_encode(run->marks[i].code, run->normal.data + *used);
    return PLIM_OK;
}

/* Nothing below U+0300 changes by itself; the first byte of U+0300 is 0xCC.  Ideographs are left
 * alone too, so that Han text is not copied. */
static size_t first_in_question(const char *text, size_t bytes)
{
    size_t at = 0, stretch = 0;
    while (at < bytes) {
        unsigned char c = (unsigned char)text[at];
        if (c < 0xCC) {
            stretch = at;
            at += c < 0x80 ? 1 : 2;
        } else if (c >= 0xE4 && c <= 0xE9) {
            stretch = at;
            at += 3;
        } else {
            return stretch;
        }
    }
    return bytes;
}

plim_status plim_normalize(plim_run *run, const char *text, size_t bytes, const char **out,
                           size_t *out_bytes, plim_error *err)
{
    *out = text;
    *out_bytes = bytes;
    size_t at = run->tok->nfc ? first_in_question(text, bytes) : bytes, used = at, count = 0;
    if (at == bytes)
        return PLIM_OK;
    plim_status status = reserve(run, bytes + 1, err);
    if (status)
        return status;
    memcpy(run->normal.data, text, at);
    while (!status && at < bytes) {
        uint32_t code = PLIM_UTF8_REPLACEMENT;
        size_t bad;
        bool incomplete;
        size_t length = plim_utf8_decode(text + at, bytes - at, &code, &bad, &incomplete);
        if (count && begins_stretch(code)) {
            status = flush_stretch(run, count, &used, err);
            count = 0;
        }
        if (!status)
            status = decompose(run, &count, code, err);
        at += length ? length : bad;
    }
    if (!status)
        status = flush_stretch(run, count, &used, err);
    if (!status && (used != bytes || memcmp(run->normal.data, text, bytes) != 0)) {
        *out = run->normal.data;
        *out_bytes = used;
    }
    return status;
}
