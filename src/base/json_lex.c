/* SPDX-License-Identifier: Apache-2.0
 *
 * The lexer of the JSON reader: the read buffer, whitespace, strings, numbers and words.
 * A string that lies whole in the buffer and holds no escape is handed out where it lies, its
 * closing quote overwritten by the NUL; others are gathered in `spill`. */
#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/json_internal.h"
#include "base/utf8.h"

/* ---- bytes ---- */

/* Everything in the buffer is consumed: read more.  False at the end and on failure (state BROKEN).
 */
static bool refill(plim_json *json)
{
    size_t got = 0;
    if (json->at_end)
        return false;
    plim_status status =
        json->source.read(json->source.user, json->buffer, json->buffer_bytes, &got, &json->error);
    if (status != PLIM_OK) {
        json->status = status;
        json->state = JSON_BROKEN;
        return false;
    }
    assert(got <= json->buffer_bytes);
    json->buffer_offset += (int64_t)json->end;
    json->pos = 0;
    json->end = got;
    json->at_end = got == 0;
    return got > 0;
}

static int no_byte(const plim_json *json)
{
    return json->state == JSON_BROKEN ? JSON_FAILED : JSON_NO_BYTE;
}

/* The byte at pos, not consumed. */
static inline int look(plim_json *json)
{
    if (json->pos == json->end && !refill(json))
        return no_byte(json);
    return (unsigned char)json->buffer[json->pos];
}

/* The first byte from p on that is not whitespace, or `end`.  May look at JSON_PADDING bytes behind
 * `end`. */
static inline const char *skip_blank(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; p < end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i line = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')),
                                    _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
        __m128i blank = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')),
                                     _mm_cmpeq_epi8(v, _mm_set1_epi8('\t')));
        unsigned mask = 0xFFFF & ~(unsigned)_mm_movemask_epi8(_mm_or_si128(line, blank));
        if (mask) {
            p += __builtin_ctz(mask);
            return p < end ? p : end;
        }
    }
    return end;
#else
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
#endif
}

int plim_json_peek_slow(plim_json *json)
{
    for (;;) {
        const char *end = json->buffer + json->end;
        const char *p = skip_blank(json->buffer + json->pos, end);
        json->pos = (size_t)(p - json->buffer);
        if (p < end)
            return (unsigned char)*p;
        if (!refill(json))
            return no_byte(json);
    }
}

static plim_status ends_in(plim_json *json, const char *what)
{
    if (json->state == JSON_BROKEN)
        return json->status;
    return plim_json_break(json, PLIM_E_TRUNC, json_here(json),
                           "the document ends in the middle of %s", what);
}

/* ---- strings ---- */

/* Where the bytes of a stretch that are not ASCII begin and end; begin == end: there are none. */
typedef struct high_range {
    const char *begin, *end;
} high_range;

/* The first byte from p on that is not plain (a quote, a backslash, a control character), or `end`.
 * May look at JSON_PADDING bytes behind `end`. */
static inline const char *scan_plain(const char *p, const char *end, high_range *high)
{
    *high = (high_range){p, p};
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1f);
    for (; p < end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                         _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop), top = (unsigned)_mm_movemask_epi8(v);
        if (end - p < 16)
            mask |= 1u << (end - p);
        if (mask)
            top &= (mask & -mask) - 1;
        if (top) {
            if (high->begin == high->end)
                high->begin = p + __builtin_ctz(top);
            high->end = p + 32 - __builtin_clz(top);
        }
        if (mask)
            return p + __builtin_ctz(mask);
    }
    return end;
#else
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20)
            break;
        if (c >= 0x80) {
            if (high->begin == high->end)
                high->begin = p;
            high->end = p + 1;
        }
    }
    return p;
#endif
}

static plim_status too_long(plim_json *json)
{
    return plim_json_break(json, PLIM_E_LIMIT, json->offset, "a string of more than %zu bytes",
                           json->limits.string_bytes);
}

static plim_status bad_utf8(plim_json *json, int64_t offset)
{
    return plim_json_break(json, PLIM_E_FORMAT, offset, "a string that is not valid UTF-8");
}

static plim_status spill(plim_json *json, const char *bytes, size_t n)
{
    if (n > json->limits.string_bytes - json->spill_bytes)
        return too_long(json);
    plim_error why;
    plim_status status = plim_grow(json->alloc, &json->spill, &json->spill_cap,
                                   json->spill_bytes + n + 1 + JSON_PADDING, 1, &why);
    if (status != PLIM_OK) {
        json->error = why;
        json->status = status;
        json->state = JSON_BROKEN;
        return status;
    }
    memcpy(json->spill + json->spill_bytes, bytes, n);
    json->spill_bytes += n;
    return PLIM_OK;
}

/* Check spill from *checked on, whose end lies in the file at `offset`.  Where `whole`, a code
 * point may not be cut off at the end; else *checked stays before it. */
static plim_status check_utf8(plim_json *json, size_t *checked, int64_t offset, bool whole)
{
    size_t length = json->spill_bytes, bad_length;
    size_t bad = *checked + plim_utf8_first_bad(json->spill + *checked, length - *checked);
    *checked = bad;
    if (bad == length)
        return PLIM_OK;
    uint32_t cp;
    bool incomplete;
    plim_utf8_decode(json->spill + bad, length - bad, &cp, &bad_length, &incomplete);
    if (incomplete && !whole)
        return PLIM_OK;
    return bad_utf8(json, offset - (int64_t)(length - bad));
}

/* Four hexadecimal digits. */
static plim_status hex4(plim_json *json, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int c = look(json);
        if (c < 0)
            return ends_in(json, "a string");
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0')
                         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f'
                             ? (uint32_t)((c | 0x20) - 'a' + 10)
                             : 16;
        if (digit == 16)
            return plim_json_break(json, PLIM_E_FORMAT, json_here(json),
                                   "\\u wants four hexadecimal digits");
        value = value << 4 | digit;
        json->pos++;
    }
    *out = value;
    return PLIM_OK;
}

/* What follows \u: one code point, from two escapes where the first is a high surrogate. */
static plim_status unicode_escape(plim_json *json, int64_t start)
{
    uint32_t cp, low;
    char utf8[4];
    plim_status status = hex4(json, &cp);
    if (status != PLIM_OK)
        return status;
    if (cp >= 0xd800 && cp < 0xdc00) {
        const char *want = "\\u";
        for (int i = 0; i < 2; i++, json->pos++) {
            int c = look(json);
            if (c < 0)
                return ends_in(json, "a string");
            if (c != want[i])
                return plim_json_break(json, PLIM_E_FORMAT, start, "a lone surrogate, \\u%04x", cp);
        }
        status = hex4(json, &low);
        if (status != PLIM_OK)
            return status;
        if (low < 0xdc00 || low > 0xdfff)
            return plim_json_break(json, PLIM_E_FORMAT, start, "a lone surrogate, \\u%04x", cp);
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
    } else if (cp >= 0xdc00 && cp < 0xe000) {
        return plim_json_break(json, PLIM_E_FORMAT, start, "a lone surrogate, \\u%04x", cp);
    }
    return spill(json, utf8, plim_utf8_encode(cp, utf8));
}

/* pos is at the backslash. */
static plim_status escape(plim_json *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int64_t start = json_here(json);
    json->pos++;
    int c = look(json);
    if (c < 0)
        return ends_in(json, "a string");
    const char *found = c ? strchr(from, c) : NULL;
    if (!found && c != 'u') {
        char name[16];
        return plim_json_break(json, PLIM_E_FORMAT, start, "no such escape, a backslash and %s",
                               plim_json_byte_name(c, name));
    }
    json->pos++;
    return found ? spill(json, &to[found - from], 1) : unicode_escape(json, start);
}

static plim_status control_character(plim_json *json)
{
    return plim_json_break(json, PLIM_E_FORMAT, json_here(json),
                           "control character 0x%02x in a string, want an escape",
                           (unsigned)(unsigned char)json->buffer[json->pos]);
}

/* A string with escapes, or one that goes past the buffer's end. */
static plim_status gather_string(plim_json *json)
{
    size_t checked = 0;
    json->spill_bytes = 0;
    for (;;) {
        high_range high;
        char *p = json->buffer + json->pos, *end = json->buffer + json->end;
        size_t n = (size_t)(scan_plain(p, end, &high) - p);
        bool cut = checked < json->spill_bytes; /* a code point that began before the refill */
        /* what is within the limit is looked at first: so an error does not hang on the reads */
        size_t room = json->limits.string_bytes - json->spill_bytes, take = n < room ? n : room;
        plim_status status = spill(json, p, take);
        json->pos += take;
        bool more = json->pos == json->end;
        if (status == PLIM_OK && high.begin == high.end && !cut)
            checked = json->spill_bytes;
        else if (status == PLIM_OK)
            status = check_utf8(json, &checked, json_here(json), !more && take == n);
        if (status != PLIM_OK)
            return status;
        if (take < n)
            return too_long(json);
        if (more) {
            if (!refill(json))
                return ends_in(json, "a string");
            continue;
        }
        char c = json->buffer[json->pos];
        if (c == '"')
            break;
        status = c == '\\' ? escape(json) : control_character(json);
        if (status != PLIM_OK)
            return status;
        checked = json->spill_bytes;
    }
    json->pos++;
    json->spill[json->spill_bytes] = '\0';
    json->text = json->spill;
    json->text_bytes = json->spill_bytes;
    return PLIM_OK;
}

/* A character of two bytes. */
static inline bool is_pair(const char *p)
{
    unsigned char lead = (unsigned char)p[0], tail = (unsigned char)p[1];
    return lead >= 0xC2 && lead < 0xE0 && (tail & 0xC0) == 0x80;
}

plim_status plim_json_lex_string(plim_json *json)
{
    high_range high;
    char *p = json->buffer + json->pos, *end = json->buffer + json->end;
    const char *stop = scan_plain(p, end, &high);
    size_t n = (size_t)(stop - p);
    if (stop == end || *stop != '"' || n > json->limits.string_bytes)
        return gather_string(json);
    if (high.begin < high.end) { /* what is not ASCII can't begin before or end behind it */
        size_t length = (size_t)(high.end - high.begin), bad = length;
        if (length != 2 || !is_pair(high.begin)) /* most of what is not ASCII in a vocabulary */
            bad = plim_utf8_first_bad(high.begin, length);
        if (bad < length)
            return bad_utf8(json, json_here(json) + (high.begin - p) + (int64_t)bad);
    }
    p[n] = '\0';
    json->text = p;
    json->text_bytes = n;
    json->pos += n + 1;
    return PLIM_OK;
}

/* ---- numbers and words ---- */

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_number_byte(char c)
{
    return is_digit(c) || c == '-' || c == '+' || c == '.' || (c | 0x20) == 'e';
}

/* How much of the NUL-terminated text is JSON's number; *want says what is missing there, NULL:
 * nothing. */
static size_t match_number(const char *text, const char **want)
{
    const char *p = text;
    *want = "a digit";
    p += *p == '-';
    if (!is_digit(*p))
        return (size_t)(p - text);
    if (*p == '0' && is_digit(p[1])) {
        *want = "no digit after a leading 0";
        return (size_t)(p + 1 - text);
    }
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        p++;
        if (!is_digit(*p))
            return (size_t)(p - text);
        while (is_digit(*p))
            p++;
    }
    if ((*p | 0x20) == 'e') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return (size_t)(p - text);
        while (is_digit(*p))
            p++;
    }
    *want = *p ? "the end of the number" : NULL;
    return (size_t)(p - text);
}

/* A plain integer that ends within the buffer, as nearly all are: true when it was one. */
static inline bool short_integer(plim_json *json)
{
    const char *p = json->buffer + json->pos;
    size_t n = 0, room = json->end - json->pos;
    if (room <= JSON_PADDING)
        return false;
    while (n < JSON_PADDING && is_digit(p[n]))
        n++;
    if (n == JSON_PADDING || is_number_byte(p[n]) || n == 0 || (n > 1 && p[0] == '0'))
        return false;
    memcpy(json->number, p, JSON_PADDING);
    json->number[n] = '\0';
    json->text = json->number;
    json->text_bytes = n;
    json->pos += n;
    return true;
}

plim_status plim_json_lex_number(plim_json *json)
{
    size_t n = 0;
    if (short_integer(json))
        return PLIM_OK;
    for (;;) {
        const char *p = json->buffer + json->pos, *end = json->buffer + json->end;
        while (p < end && n < PLIM_NUMBER_BYTES && is_number_byte(*p))
            json->number[n++] = *p++;
        json->pos = (size_t)(p - json->buffer);
        if (p < end && n == PLIM_NUMBER_BYTES && is_number_byte(*p))
            return plim_json_break(json, PLIM_E_LIMIT, json->offset,
                                   "a number of more than %d bytes", PLIM_NUMBER_BYTES);
        if (p < end || !refill(json))
            break;
    }
    if (json->state == JSON_BROKEN)
        return json->status;
    json->number[n] = '\0';
    json->text = json->number;
    json->text_bytes = n;
    const char *want;
    size_t good = match_number(json->number, &want);
    if (!want)
        return PLIM_OK;
    if (good == n && json->pos == json->end)
        return ends_in(json, "a number");
    char name[16];
    int found = good < n ? (unsigned char)json->number[good] : look(json);
    return plim_json_break(json, PLIM_E_FORMAT, json->offset + (int64_t)good,
                           "a number wants %s, found %s", want, plim_json_byte_name(found, name));
}

plim_status plim_json_lex_word(plim_json *json, const char *word)
{
    for (const char *w = word; *w; w++, json->pos++) {
        int c = look(json);
        if (c < 0)
            return ends_in(json, word);
        if (c != *w) {
            char name[16];
            return plim_json_break(json, PLIM_E_FORMAT, json_here(json), "want %s, found %s", word,
                                   plim_json_byte_name(c, name));
        }
    }
    return PLIM_OK;
}
