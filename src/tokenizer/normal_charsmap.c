/* SPDX-License-Identifier: Apache-2.0
 *
 * Precompiled: SentencePiece's precompiled_charsmap as Hugging Face applies it.  A grapheme cluster
 * of less than 6 bytes is replaced whole by what the first (shortest) key that begins it stands
 * for; else each of its characters by itself.  The clusters are those of Unicode's extended
 * grapheme clusters, with the tables of Hugging Face's. */
#include "tokenizer/normal.h"

enum { WHOLE_BYTES = 5 };

/* ---- the double array ---- */

static uint32_t unit_offset(uint32_t unit)
{
    return unit >> 10 << ((unit & 0x200) >> 6);
}

static uint32_t unit_value(uint32_t unit)
{
    return unit & 0x7FFFFFFF;
}

/* What the first key that begins text[bytes] stands for, false for none. */
static bool look_up(const plim_charsmap *map, const char *text, size_t bytes, const char **found,
                    size_t *found_bytes)
{
    if (!map->unit_count)
        return false;
    size_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        at ^= c;
        if (!c || at >= map->unit_count)
            return false;
        uint32_t unit = map->units[at];
        if ((unit & 0x800000FF) != c)
            return false;
        at ^= unit_offset(unit);
        if (at >= map->unit_count)
            return false;
        if (unit & 0x100) {
            uint32_t value = unit_value(map->units[at]);
            if (value > map->string_bytes)
                return false;
            *found = map->strings + value;
            *found_bytes = strnlen(*found, map->string_bytes - value);
            return true;
        }
    }
    return false;
}

plim_status plim_charsmap_open(plim_charsmap *map, const char *blob, size_t bytes,
                               const plim_part *part, const plim_node *where, plim_error *err)
{
    uint32_t trie_bytes = 0;
    for (unsigned i = 0; bytes >= 4 && i < 4; i++)
        trie_bytes |= (uint32_t)(unsigned char)blob[i] << 8 * i;
    size_t count = trie_bytes / 4;
    if (bytes < 4 || bytes - 4 < count * 4)
        return plim_part_fail(part, where, err, PLIM_E_FORMAT,
                              "precompiled_charsmap is cut short: %zu bytes, its trie has %u",
                              bytes, (unsigned)trie_bytes);
    *map = (plim_charsmap){(const uint32_t *)(const void *)(blob + 4), count, blob + 4 + count * 4,
                           bytes - 4 - count * 4};
    if (!plim_utf8_valid(map->strings, map->string_bytes))
        return plim_part_fail(part, where, err, PLIM_E_FORMAT,
                              "precompiled_charsmap: its strings are not UTF-8");
    for (size_t i = 0; i < count; i++) {
        uint32_t unit = map->units[i];
        size_t children = i ^ unit_offset(unit);
        if (unit & 0x80000000)
            continue; /* a value */
        if (children >= count)
            return plim_part_fail(part, where, err, PLIM_E_FORMAT,
                                  "precompiled_charsmap: unit %zu leads to %zu of %zu", i, children,
                                  count);
        uint32_t value = unit_value(map->units[children]);
        if ((unit & 0x100) &&
            (value > map->string_bytes ||
             (value < map->string_bytes && ((unsigned char)map->strings[value] & 0xC0) == 0x80)))
            return plim_part_fail(part, where, err, PLIM_E_FORMAT,
                                  "precompiled_charsmap: unit %zu names the string at %u of %zu", i,
                                  (unsigned)value, map->string_bytes);
    }
    return PLIM_OK;
}

void plim_charsmap_prepare(plim_normal_step *step)
{
    const char *found;
    size_t bytes;
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        step->asked[byte] =
            byte >= 0x80 || byte == '\r' || look_up(&step->charsmap, &c, 1, &found, &bytes);
    }
}

/* ---- grapheme clusters ---- */

/* What of the characters before decides whether the next one joins them. */
typedef struct cluster {
    plim_grapheme last;
    bool carriage_return; /* the last is CR */
    bool picture;         /* a picture, then extenders, perhaps a ZWJ: the next picture joins */
    bool consonant;       /* a consonant, then extenders and linkers */
    bool linked;          /* ... a linker among them */
} cluster;

static bool joins(const cluster *c, plim_grapheme next, uint32_t code)
{
    switch (next) {
    case PLIM_GRAPHEME_CONTROL:
        return c->carriage_return && code == '\n';
    case PLIM_GRAPHEME_EXTEND:
    case PLIM_GRAPHEME_EXTEND_INCB:
    case PLIM_GRAPHEME_LINKER:
    case PLIM_GRAPHEME_ZWJ:
    case PLIM_GRAPHEME_SPACING:
        return c->last != PLIM_GRAPHEME_CONTROL;
    default:
        break;
    }
    if (c->last == PLIM_GRAPHEME_PREPEND)
        return true;
    switch (next) {
    case PLIM_GRAPHEME_PICTURE:
        return c->last == PLIM_GRAPHEME_ZWJ && c->picture;
    case PLIM_GRAPHEME_CONSONANT:
        return c->consonant && c->linked;
    case PLIM_GRAPHEME_L:
    case PLIM_GRAPHEME_LV:
    case PLIM_GRAPHEME_LVT:
        return c->last == PLIM_GRAPHEME_L;
    case PLIM_GRAPHEME_V:
        return c->last == PLIM_GRAPHEME_L || c->last == PLIM_GRAPHEME_V ||
               c->last == PLIM_GRAPHEME_LV;
    case PLIM_GRAPHEME_T:
        return c->last == PLIM_GRAPHEME_V || c->last == PLIM_GRAPHEME_LV ||
               c->last == PLIM_GRAPHEME_T || c->last == PLIM_GRAPHEME_LVT;
    default:
        return false;
    }
}

static void take(cluster *c, plim_grapheme next, uint32_t code)
{
    bool extends = next == PLIM_GRAPHEME_EXTEND || next == PLIM_GRAPHEME_EXTEND_INCB ||
                   next == PLIM_GRAPHEME_LINKER;
    bool passes = next == PLIM_GRAPHEME_EXTEND_INCB || next == PLIM_GRAPHEME_LINKER ||
                  next == PLIM_GRAPHEME_ZWJ;
    c->picture = next == PLIM_GRAPHEME_PICTURE || (c->picture && c->last != PLIM_GRAPHEME_ZWJ &&
                                                   (extends || next == PLIM_GRAPHEME_ZWJ));
    c->linked = c->consonant && passes && (c->linked || next == PLIM_GRAPHEME_LINKER);
    c->consonant = next == PLIM_GRAPHEME_CONSONANT || (c->consonant && passes);
    c->carriage_return = code == '\r';
    c->last = next;
}

/* The end of the cluster that begins at `at`. */
static size_t cluster_end(const plim_text *in, size_t at)
{
    size_t length;
    uint32_t code = plim_normal_code(in->data, in->bytes, at, &length);
    cluster c = {0};
    take(&c, (plim_grapheme)plim_normal_of(code)->grapheme, code);
    for (at += length; at < in->bytes; at += length) {
        code = plim_normal_code(in->data, in->bytes, at, &length);
        plim_grapheme next = (plim_grapheme)plim_normal_of(code)->grapheme;
        if (!joins(&c, next, code))
            break;
        take(&c, next, code);
    }
    return at;
}

/* ---- applying it ---- */

/* The last character written waits: what is removed behind it is its change. */
typedef struct changes {
    plim_normal_writer w;
    bool waiting;
    uint32_t code;
    int64_t change;
} changes;

static plim_status flush(changes *c)
{
    bool waiting = c->waiting;
    c->waiting = false;
    return waiting ? plim_normal_change(&c->w, c->code, c->change) : PLIM_OK;
}

static plim_status push(changes *c, uint32_t code, int64_t change)
{
    plim_status status = flush(c);
    c->waiting = true;
    c->code = code;
    c->change = change;
    return status;
}

static size_t count_characters(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* in[at, at + bytes) becomes `text`.  What is removed before anything was written is not accounted
 * for: Hugging Face's positions are off by it from there on. */
static plim_status replace(changes *c, size_t at, size_t bytes, const char *text, size_t text_bytes)
{
    int64_t old = (int64_t)count_characters(c->w.in->data + at, bytes);
    int64_t new = (int64_t)count_characters(text, text_bytes), i = 0;
    plim_status status = PLIM_OK;
    size_t length;
    for (size_t from = 0; !status && from < text_bytes; from += length, i++) {
        uint32_t code = plim_normal_code(text, text_bytes, from, &length);
        status = push(c, code, i >= old);
    }
    if (new < old && c->waiting)
        c->change += new - old;
    return status;
}

/* Text that stays. */
static plim_status keep(changes *c, size_t begin, size_t end)
{
    if (begin == end)
        return PLIM_OK;
    size_t last = end - 1, length;
    while (last > begin && ((unsigned char)c->w.in->data[last] & 0xC0) == 0x80)
        last--;
    plim_status status = flush(c);
    if (!status)
        status = plim_normal_keep(&c->w, begin, last);
    if (status)
        return status;
    return push(c, plim_normal_code(c->w.in->data, c->w.in->bytes, last, &length), 0);
}

/* The next stretch from `at` that a key stands for: [*begin, *end), which becomes *found.  `whole`
 * is the end of the cluster whose characters go one by one. */
typedef struct hit {
    size_t begin, end; /* begin = in->bytes: none */
    const char *text;
    size_t bytes;
} hit;

static hit next_hit(const plim_charsmap *map, const uint8_t *asked, const plim_text *in, size_t at,
                    size_t *whole)
{
    const unsigned char *s = (const unsigned char *)in->data;
    hit h = {.begin = in->bytes};
    while (at < in->bytes) {
        if (at >= *whole) {
            /* ASCII before ASCII is a cluster */
            if (!asked[s[at]] && at + 1 < in->bytes && s[at + 1] < 0x80) {
                at++;
                continue;
            }
            *whole = cluster_end(in, at);
            if (*whole - at <= WHOLE_BYTES &&
                look_up(map, in->data + at, *whole - at, &h.text, &h.bytes)) {
                h.begin = at;
                h.end = *whole;
                return h;
            }
        }
        size_t length;
        plim_normal_code(in->data, in->bytes, at, &length);
        if (look_up(map, in->data + at, length, &h.text, &h.bytes)) {
            h.begin = at;
            h.end = at + length;
            return h;
        }
        at += length;
    }
    return h;
}

plim_status plim_normal_map_chars(plim_normal_job *job, const plim_normal_step *step,
                                  const plim_text *in, plim_text *out)
{
    size_t whole = 0, done = 0;
    hit h = next_hit(&step->charsmap, step->asked, in, 0, &whole);
    if (h.begin == in->bytes)
        return PLIM_OK;
    changes c = {.waiting = false};
    plim_status status = plim_normal_begin(&c.w, job, in, in->bytes);
    while (!status && h.begin < in->bytes) {
        if (!(status = keep(&c, done, h.begin)))
            status = replace(&c, h.begin, h.end - h.begin, h.text, h.bytes);
        done = h.end;
        h = next_hit(&step->charsmap, step->asked, in, done, &whole);
    }
    if (!status)
        status = keep(&c, done, in->bytes);
    if (!status)
        status = flush(&c);
    if (!status)
        plim_normal_end(&c.w, out);
    return status;
}
