/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalization forms C, D, KC and KD (UAX 15), with the tables of the normalizer that Hugging
 * Face uses.  A text is looked through for characters that may change; what lies between the last
 * character before one that nothing before can act on, and the next such, is put into the form, the
 * rest is copied.  A run of marks costs linear time, however long. */
#include "tokenizer/normal.h"

enum {
    S_BASE = 0xAC00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28
};
enum { S_COUNT = L_COUNT * V_COUNT * T_COUNT, FEW_MARKS = 24 };

typedef plim_normal_mark mark;

typedef struct form {
    uint16_t stop, edge;
    bool compat, compose;
} form;

static form form_of(plim_normal_kind kind)
{
    switch (kind) {
    case PLIM_NORMAL_NFC:
        return (form){PLIM_NORMAL_STOP_C, PLIM_NORMAL_EDGE_C, false, true};
    case PLIM_NORMAL_NFD:
        return (form){PLIM_NORMAL_STOP_D, PLIM_NORMAL_EDGE_C, false, false};
    case PLIM_NORMAL_NFKC:
        return (form){PLIM_NORMAL_STOP_KC, PLIM_NORMAL_EDGE_K, true, true};
    default:
        return (form){PLIM_NORMAL_STOP_KD, PLIM_NORMAL_EDGE_K, true, false};
    }
}

static unsigned class_of(mark m)
{
    return m.code_class & 0xFF;
}

static uint32_t code_of(mark m)
{
    return m.code_class >> 8;
}

/* ---- decomposition ---- */

static const plim_normal_map *find_map(uint32_t code, bool compat)
{
    size_t low = 0, high = plim_normal_map_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plim_normal_maps[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    const plim_normal_map *found = NULL;
    for (; low < plim_normal_map_count && plim_normal_maps[low].code == code; low++)
        if (compat || !plim_normal_maps[low].compat)
            found = &plim_normal_maps[low];
    return found;
}

static plim_status push_mark(plim_normal_job *job, size_t *count, uint32_t code, int32_t change)
{
    plim_normal_scratch *s = job->scratch;
    if (*count == s->mark_cap) {
        plim_status status = plim_grow(job->run->alloc, &s->marks, &s->mark_cap, *count + 1,
                                       sizeof *s->marks, job->err);
        if (status)
            return status;
    }
    s->marks[(*count)++] = (mark){code << 8 | plim_normal_of(code)->combining, change};
    return PLIM_OK;
}

static plim_status decompose_syllable(plim_normal_job *job, size_t *count, uint32_t s)
{
    uint32_t t = s % T_COUNT;
    plim_status status = push_mark(job, count, L_BASE + s / (V_COUNT * T_COUNT), 0);
    if (!status)
        status = push_mark(job, count, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT, 1);
    return status || !t ? status : push_mark(job, count, T_BASE + t, 1);
}

/* Full decomposition of one code point, appended. */
static plim_status decompose(plim_normal_job *job, size_t *count, uint32_t code, const form *f)
{
    if (code - S_BASE < S_COUNT)
        return decompose_syllable(job, count, code - S_BASE);
    unsigned changes = f->compat ? PLIM_NORMAL_STOP_KD : PLIM_NORMAL_STOP_D;
    const plim_normal_map *map =
        plim_normal_of(code)->flags & changes ? find_map(code, f->compat) : NULL;
    if (!map)
        return push_mark(job, count, code, 0);
    plim_status status = PLIM_OK;
    const uint16_t *units = plim_normal_pool + map->at;
    for (unsigned i = 0; !status && i < map->units; i++) {
        uint32_t part = units[i];
        int32_t change = i > 0;
        if (part >= 0xD800 && part < 0xDC00)
            part = 0x10000 + ((part - 0xD800) << 10) + (units[++i] - 0xDC00u);
        status = push_mark(job, count, part, change);
    }
    return status;
}

/* ---- canonical order ---- */

/* Stable, by class: few by insertion, many by counting. */
static plim_status sort_marks(plim_normal_job *job, mark *marks, size_t count)
{
    plim_normal_scratch *s = job->scratch;
    size_t sorted = 1;
    while (sorted < count && class_of(marks[sorted - 1]) <= class_of(marks[sorted]))
        sorted++;
    if (sorted >= count)
        return PLIM_OK;
    if (count <= FEW_MARKS) {
        for (size_t i = sorted; i < count; i++) {
            mark m = marks[i];
            size_t to = i;
            for (; to && class_of(marks[to - 1]) > class_of(m); to--)
                marks[to] = marks[to - 1];
            marks[to] = m;
        }
        return PLIM_OK;
    }
    plim_status status =
        plim_grow(job->run->alloc, &s->sorted, &s->sorted_cap, count, sizeof *s->sorted, job->err);
    if (status)
        return status;
    size_t next[257] = {0};
    for (size_t i = 0; i < count; i++)
        next[class_of(marks[i]) + 1]++;
    for (size_t i = 1; i < 257; i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < count; i++)
        s->sorted[next[class_of(marks[i])]++] = marks[i];
    memcpy(marks, s->sorted, count * sizeof *marks);
    return PLIM_OK;
}

static plim_status order_marks(plim_normal_job *job, size_t count)
{
    mark *marks = job->scratch->marks;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && class_of(marks[end]) != 0)
            end++;
        plim_status status = end > i + 1 ? sort_marks(job, marks + i, end - i) : PLIM_OK;
        if (status)
            return status;
        i = end > i ? end : i + 1;
    }
    return PLIM_OK;
}

/* ---- composition ---- */

/* What two characters compose to, 0 for nothing. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    if (first - L_BASE < L_COUNT && second - V_BASE < V_COUNT)
        return S_BASE + ((first - L_BASE) * V_COUNT + (second - V_BASE)) * T_COUNT;
    if (first - S_BASE < S_COUNT && (first - S_BASE) % T_COUNT == 0 &&
        second - (T_BASE + 1) < T_COUNT - 1)
        return first + (second - T_BASE);
    size_t low = 0, high = plim_normal_pair_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const plim_normal_pair *pair = &plim_normal_pairs[middle];
        if (pair->first < first || (pair->first == first && pair->second < second))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == plim_normal_pair_count)
        return 0;
    const plim_normal_pair *pair = &plim_normal_pairs[low];
    return pair->first == first && pair->second == second ? pair->code : 0;
}

/* Canonical composition in place; the new count. */
static size_t compose_marks(mark *marks, size_t count)
{
    size_t starter = SIZE_MAX, out = 0;
    unsigned last_class = 0;
    for (size_t i = 0; i < count; i++) {
        mark m = marks[i];
        bool adjacent = starter != SIZE_MAX && out == starter + 1;
        bool blocked = starter == SIZE_MAX || (!adjacent && last_class >= class_of(m));
        uint32_t together = blocked ? 0 : compose(code_of(marks[starter]), code_of(m));
        if (together) { /* what it replaces is what both replaced */
            marks[starter].code_class = together << 8;
            marks[starter].change += m.change - 1;
            continue;
        }
        if (class_of(m) == 0)
            starter = out;
        last_class = class_of(m);
        marks[out++] = m;
    }
    return out;
}

/* ---- stretches ---- */

/* in[begin, end), of which nothing outside depends, in the form. */
static plim_status put_stretch(plim_normal_writer *w, const form *f, size_t begin, size_t end)
{
    plim_normal_job *job = w->job;
    size_t count = 0, length;
    plim_status status = PLIM_OK;
    for (size_t at = begin; !status && at < end; at += length) {
        uint32_t code = plim_normal_code(w->in->data, w->in->bytes, at, &length);
        status = decompose(job, &count, code, f);
    }
    if (!status)
        status = order_marks(job, count);
    if (status)
        return status;
    if (f->compose)
        count = compose_marks(job->scratch->marks, count);
    w->from = begin;
    for (size_t i = 0; !status && i < count; i++) {
        mark m = job->scratch->marks[i];
        status = plim_normal_change(w, code_of(m), m.change);
    }
    return status;
}

/* The next stretch at or after `from` that may change: false when there is none. */
static bool find_stretch(const form *f, const plim_text *in, size_t from, size_t *begin,
                         size_t *end)
{
    size_t edge = from, at = from, length;
    unsigned last_class = 0;
    bool found = false;
    while (at < in->bytes) {
        if ((unsigned char)in->data[at] < 0x80) { /* each an edge */
            if (found)
                break;
            at = plim_normal_skip_ascii(in->data, in->bytes, at);
            edge = at - 1;
            last_class = 0;
            continue;
        }
        uint32_t code = plim_normal_code(in->data, in->bytes, at, &length);
        const plim_normal_record *record = plim_normal_of(code);
        if (record->flags & f->edge) {
            if (found)
                break;
            edge = at;
        }
        found = found || (record->flags & f->stop) ||
                (record->combining && record->combining < last_class);
        last_class = record->combining;
        at += length;
    }
    *begin = edge;
    *end = at;
    return found;
}

plim_status plim_normal_form(plim_normal_job *job, const plim_normal_step *step,
                             const plim_text *in, plim_text *out)
{
    form f = form_of(step->kind);
    size_t begin, end, done = 0;
    if (!find_stretch(&f, in, 0, &begin, &end))
        return PLIM_OK;
    plim_normal_writer w;
    plim_status status = plim_normal_begin(&w, job, in, in->bytes);
    do {
        if (!status)
            status = plim_normal_copy(&w, done, begin);
        if (!status)
            status = put_stretch(&w, &f, begin, end);
        done = end;
    } while (!status && find_stretch(&f, in, done, &begin, &end));
    if (!status)
        status = plim_normal_copy(&w, done, in->bytes);
    if (!status)
        plim_normal_end(&w, out);
    return status;
}
