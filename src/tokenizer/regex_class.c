/* SPDX-License-Identifier: Apache-2.0
 *
 * Character classes for PCRE2, written out with the code points that its Unicode 14 lacks: what
 * Oniguruma calls \s \w \d and \p{L}. */
#include <string.h>

#include "tokenizer/regex_class.h"
#include "tokenizer/classes.h"

enum { NO_CODE = 0x110000 };

plim_status plim_pattern_put(plim_pattern *p, const char *text, size_t bytes)
{
    plim_status status = plim_grow(p->alloc, &p->text, &p->cap, p->used + bytes + 1, 1, p->err);
    if (status)
        return status;
    memcpy(p->text + p->used, text, bytes);
    p->used += bytes;
    p->text[p->used] = 0;
    return PLIM_OK;
}

plim_status plim_pattern_put_text(plim_pattern *p, const char *text)
{
    return plim_pattern_put(p, text, strlen(text));
}

plim_status plim_pattern_insert(plim_pattern *p, size_t at, const char *text)
{
    size_t bytes = strlen(text);
    plim_status status = plim_pattern_put(p, text, bytes); /* for the room */
    if (status)
        return status;
    memmove(p->text + at + bytes, p->text + at, p->used - bytes - at);
    memcpy(p->text + at, text, bytes);
    return PLIM_OK;
}

plim_status plim_pattern_put_code(plim_pattern *p, uint32_t code)
{
    char text[16];
    if ((code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
        (code >= 'a' && code <= 'z')) {
        text[0] = (char)code;
        return plim_pattern_put(p, text, 1);
    }
    size_t n = 0;
    text[n++] = '\\', text[n++] = 'x', text[n++] = '{';
    bool any = false;
    for (int shift = 20; shift >= 0; shift -= 4) {
        unsigned digit = code >> shift & 15;
        any = any || digit || shift == 0;
        if (any)
            text[n++] = "0123456789abcdef"[digit];
    }
    text[n++] = '}';
    return plim_pattern_put(p, text, n);
}

plim_status plim_pattern_put_range(plim_pattern *p, uint32_t first, uint32_t last)
{
    plim_status status = plim_pattern_put_code(p, first);
    if (!status && last > first && !(status = plim_pattern_put_text(p, "-")))
        status = plim_pattern_put_code(p, last);
    return status;
}

/* ---- classes, as items inside [...] ---- */

#define SPACE_ITEMS                                                                                \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"    \
    "\\x{205f}\\x{3000}"
#define NOT_SPACE_ITEMS                                                                            \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{"     \
    "1fff}"                                                                                        \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{"   \
    "10ffff}"
/* Oniguruma's \w beyond letters, marks, digits and connectors. */
#define WORD_EXTRA                                                                                 \
    "\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{"                                      \
    "1f169}"                                                                                       \
    "\\x{1f170}-\\x{1f189}"

/* \p{category} (one letter or two) with what PCRE2 does not know of it. */
plim_status plim_pattern_put_category(plim_pattern *p, const char *category)
{
    plim_status status;
    if ((status = plim_pattern_put_text(p, "\\p{")) ||
        (status = plim_pattern_put_text(p, category)) || (status = plim_pattern_put_text(p, "}")))
        return status;
    uint32_t first = NO_CODE, last = 0;
    for (unsigned i = 0; i < plim_class_added_count; i++) {
        const plim_class_run *row = &plim_class_added[i];
        if (row->category[0] != category[0] || (category[1] && row->category[1] != category[1]))
            continue;
        if (first != NO_CODE && row->first == last + 1) {
            last = row->last;
            continue;
        }
        if (first != NO_CODE && (status = plim_pattern_put_range(p, first, last)))
            return status;
        first = row->first;
        last = row->last;
    }
    return first == NO_CODE ? PLIM_OK : plim_pattern_put_range(p, first, last);
}

static plim_status put_word(plim_pattern *p)
{
    static const char *const categories[] = {"L", "M", "Nd", "Nl", "Pc"};
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < sizeof categories / sizeof *categories; i++)
        status = plim_pattern_put_category(p, categories[i]);
    return status;
}

/* The items of \s \d \w \h, as they are in a set. */
plim_status plim_pattern_put_shorthand(plim_pattern *p, char letter)
{
    plim_status status;
    switch (letter) {
    case 's':
        return plim_pattern_put_text(p, SPACE_ITEMS);
    case 'd':
        return plim_pattern_put_category(p, "Nd");
    case 'h':
        return plim_pattern_put_text(p, "0-9A-Fa-f");
    case 'S':
        return plim_pattern_put_text(p, NOT_SPACE_ITEMS);
    default:
        return (status = put_word(p)) ? status : plim_pattern_put_text(p, WORD_EXTRA);
    }
}
