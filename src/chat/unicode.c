/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-ups in the tables of characters. */
#include "chat/unicode.h"

unsigned plim_char_flags(uint32_t code)
{
    size_t low = 0, high = plim_char_range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > plim_char_ranges[middle].last)
            low = middle + 1;
        else if (code < plim_char_ranges[middle].first)
            high = middle;
        else
            return plim_char_ranges[middle].flags;
    }
    return 0;
}

/* Ascending by kind, then by code. */
static const plim_char_several *find_several(plim_case kind, uint32_t code)
{
    size_t low = 0, high = plim_char_several_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const plim_char_several *s = &plim_char_severals[middle];
        if (s->kind == (uint32_t)kind && s->code == code)
            return s;
        if (s->kind < (uint32_t)kind || (s->kind == (uint32_t)kind && s->code < code))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Runs are ascending by their first code; those of step 2 may interleave by one. */
static uint32_t map_one(const plim_char_map *map, uint32_t code)
{
    size_t low = 0, high = map->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->runs[middle].first <= code)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i-- > 0 && i + 4 > low;) {
        const plim_char_run *run = &map->runs[i];
        if (code <= run->last && (code - run->first) % (uint32_t)run->step == 0)
            return (uint32_t)((int32_t)code + run->delta);
    }
    return code;
}

size_t plim_char_case(plim_case kind, uint32_t code, uint32_t to[3])
{
    if (code < 0x80) {
        bool upper = code >= 'A' && code <= 'Z', lower = code >= 'a' && code <= 'z';
        bool raise = kind == PLIM_CASE_UPPER || kind == PLIM_CASE_TITLE;
        to[0] = upper && !raise ? code + 32 : lower && raise ? code - 32 : code;
        return 1;
    }
    const plim_char_several *several = find_several(kind, code);
    if (!several) {
        to[0] = map_one(&plim_char_maps[kind], code);
        return 1;
    }
    size_t n = 0;
    for (; n < 3 && several->to[n]; n++)
        to[n] = several->to[n];
    return n;
}

int plim_char_digit(uint32_t code)
{
    for (size_t i = 0; i < plim_char_zero_count && plim_char_zeros[i] <= code; i++) {
        if (code - plim_char_zeros[i] < 10)
            return (int)(code - plim_char_zeros[i]);
    }
    return -1;
}

bool plim_char_ends_line(uint32_t code)
{
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
           code == 0x2028 || code == 0x2029;
}
