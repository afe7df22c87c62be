/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings whose bytes are marked: building, cutting, searching.  Concatenation appends in place
 * where the left string is the end of its buffer, so that a template which adds to a string in a
 * loop takes linear time. */
#include <string.h>

#include "base/utf8.h"
#include "chat/run.h"

/* ---- buffers ---- */

static plim_status marks_for(plim_run *run, plim_buf *buf)
{
    buf->marks = plim_run_new(run, buf->cap, 1);
    if (!buf->marks)
        return plim_run_error(run);
    memset(buf->marks, buf->input, buf->used);
    return PLIM_OK;
}

plim_status plim_buf_reserve(plim_run *run, plim_buf *buf, size_t more)
{
    if (more <= buf->cap - buf->used)
        return PLIM_OK;
    if (more > PLIM_CHAT_MEMORY_BYTES)
        return plim_run_fail(run, PLIM_E_LIMIT, "a string of more than %zu bytes",
                             (size_t)PLIM_CHAT_MEMORY_BYTES);
    size_t cap = buf->used + more > buf->cap * 2 ? buf->used + more : buf->cap * 2;
    if (cap < 32)
        cap = 32;
    char *data = plim_run_new(run, cap, 1);
    if (!data)
        return plim_run_error(run);
    if (buf->used)
        memcpy(data, buf->data, buf->used);
    if (buf->marks) {
        uint8_t *marks = plim_run_new(run, cap, 1);
        if (!marks)
            return plim_run_error(run);
        memcpy(marks, buf->marks, buf->used);
        buf->marks = marks;
    }
    buf->data = data;
    buf->cap = cap;
    return PLIM_OK;
}

/* Room for bytes of a kind; `mixed`: of both. */
static plim_status prepare(plim_run *run, plim_buf *buf, size_t bytes, bool input, bool mixed)
{
    PLIM_TRY(plim_work_bytes(run, bytes));
    PLIM_TRY(plim_buf_reserve(run, buf, bytes));
    if (!buf->used && !buf->marks)
        buf->input = input;
    if (!buf->marks && (mixed || buf->input != input))
        PLIM_TRY(marks_for(run, buf));
    return PLIM_OK;
}

plim_status plim_buf_put(plim_run *run, plim_buf *buf, const char *data, size_t bytes, bool input)
{
    if (!bytes)
        return PLIM_OK;
    PLIM_TRY(prepare(run, buf, bytes, input, false));
    memcpy(buf->data + buf->used, data, bytes);
    if (buf->marks)
        memset(buf->marks + buf->used, input, bytes);
    buf->used += bytes;
    return PLIM_OK;
}

plim_status plim_buf_add(plim_run *run, plim_buf *buf, const plim_str *s, size_t from, size_t to)
{
    if (to <= from)
        return PLIM_OK;
    if (!s->marks)
        return plim_buf_put(run, buf, s->data + from, to - from, s->input);
    PLIM_TRY(prepare(run, buf, to - from, false, true));
    memcpy(buf->data + buf->used, s->data + from, to - from);
    memcpy(buf->marks + buf->used, s->marks + from, to - from);
    buf->used += to - from;
    return PLIM_OK;
}

plim_status plim_buf_all(plim_run *run, plim_buf *buf, const plim_str *s)
{
    return plim_buf_add(run, buf, s, 0, s->bytes);
}

plim_status plim_buf_char(plim_run *run, plim_buf *buf, uint32_t code, bool input)
{
    char utf8[4];
    return plim_buf_put(run, buf, utf8, plim_utf8_encode(code, utf8), input);
}

plim_status plim_buf_literal(plim_run *run, plim_buf *buf, const char *text)
{
    return plim_buf_put(run, buf, text, strlen(text), false);
}

plim_status plim_buf_new(plim_run *run, plim_buf **out)
{
    *out = plim_run_new(run, 1, sizeof **out);
    return *out ? PLIM_OK : plim_run_error(run);
}

static plim_status view(plim_run *run, const plim_str *what, plim_val *out)
{
    plim_str *s = plim_run_new(run, 1, sizeof *s);
    if (!s)
        return plim_run_error(run);
    *s = *what;
    *out = plim_text(s);
    return PLIM_OK;
}

plim_status plim_buf_take(plim_run *run, plim_buf *buf, plim_val *out)
{
    plim_str s = {.data = buf->data ? buf->data : "",
                  .marks = buf->marks,
                  .bytes = buf->used,
                  .owner = buf,
                  .input = buf->used && buf->input};
    return view(run, &s, out);
}

/* ---- strings ---- */

plim_status plim_str_new(plim_run *run, const char *data, size_t bytes, bool input, plim_val *out)
{
    char *copy = plim_run_new(run, bytes + 1, 1);
    if (!copy)
        return plim_run_error(run);
    if (bytes)
        memcpy(copy, data, bytes);
    plim_str s = {.data = copy, .bytes = bytes, .input = input};
    return view(run, &s, out);
}

plim_status plim_str_literal(plim_run *run, const char *text, plim_val *out)
{
    plim_str s = {.data = text, .bytes = strlen(text)};
    return view(run, &s, out);
}

plim_status plim_str_part(plim_run *run, const plim_str *s, size_t from, size_t to, plim_val *out)
{
    if (to < from)
        to = from;
    plim_str part = {.data = s->data + from,
                     .marks = s->marks ? s->marks + from : NULL,
                     .bytes = to - from,
                     .owner = s->owner,
                     .input = s->input};
    return view(run, &part, out);
}

plim_status plim_str_concat(plim_run *run, const plim_str *a, const plim_str *b, plim_val *out)
{
    plim_buf *buf = a->owner;
    PLIM_TRY(plim_work(run, 1));
    bool in_place = buf && a->bytes && a->data + a->bytes == buf->data + buf->used;
    size_t start = in_place ? buf->used - a->bytes : 0;
    if (!in_place) {
        PLIM_TRY(plim_buf_new(run, &buf));
        PLIM_TRY(plim_buf_reserve(run, buf, a->bytes + b->bytes));
        PLIM_TRY(plim_buf_all(run, buf, a));
    }
    PLIM_TRY(plim_buf_all(run, buf, b));
    plim_str whole = {.data = buf->data ? buf->data + start : "",
                      .marks = buf->marks ? buf->marks + start : NULL,
                      .bytes = buf->used - start,
                      .owner = buf,
                      .input = buf->used && buf->input};
    return view(run, &whole, out);
}

plim_status plim_str_repeat(plim_run *run, const plim_str *s, int64_t times, plim_val *out)
{
    plim_buf *buf;
    uint64_t bytes;
    PLIM_TRY(plim_buf_new(run, &buf));
    if (times < 0 || !s->bytes)
        times = 0;
    if (!plim_mul_u64(s->bytes, (uint64_t)times, &bytes) || bytes > PLIM_CHAT_MEMORY_BYTES / 4)
        return plim_run_fail(run, PLIM_E_LIMIT,
                             "a string repeated %lld times has more than %zu bytes",
                             (long long)times, (size_t)(PLIM_CHAT_MEMORY_BYTES / 4));
    PLIM_TRY(plim_work(run, (uint64_t)times));
    PLIM_TRY(plim_buf_reserve(run, buf, (size_t)bytes));
    if (times)
        PLIM_TRY(plim_buf_all(run, buf, s));
    while (buf->used < bytes) { /* what is there, once more: millions of blanks are soon made */
        plim_str have = {
            .data = buf->data, .marks = buf->marks, .bytes = buf->used, .input = buf->input};
        uint64_t rest = bytes - buf->used;
        PLIM_TRY(plim_buf_add(run, buf, &have, 0, rest < have.bytes ? (size_t)rest : have.bytes));
    }
    return plim_buf_take(run, buf, out);
}

bool plim_str_is(const plim_str *s, const char *text)
{
    size_t n = strlen(text);
    return s->bytes == n && (!n || !memcmp(s->data, text, n));
}

bool plim_str_equal(const plim_str *a, const plim_str *b)
{
    return a == b || (a->bytes == b->bytes && (!a->bytes || !memcmp(a->data, b->data, a->bytes)));
}

int plim_str_compare(const plim_str *a, const plim_str *b)
{
    size_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = n ? memcmp(a->data, b->data, n) : 0; /* the order of UTF-8 is that of code points */
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

bool plim_str_input(const plim_str *s, size_t from, size_t to)
{
    if (!s->marks)
        return s->input && to > from;
    return to > from && memchr(s->marks + from, 1, to - from) != NULL;
}

/* ---- characters ---- */

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t plim_str_length(const plim_str *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->bytes; i++)
        n += !continues(s->data[i]);
    return n;
}

int plim_str_shown(const plim_str *name)
{
    size_t n = name->bytes;
    if (n > 80) {
        for (n = 80; n && continues(name->data[n]);)
            n--;
    }
    return (int)n;
}

size_t plim_str_seek(const plim_str *s, size_t n)
{
    size_t i = 0;
    for (; i < s->bytes; i++) {
        if (!continues(s->data[i]) && n-- == 0)
            break;
    }
    return i;
}

size_t plim_str_char(const plim_str *s, size_t at, uint32_t *code)
{
    size_t bad;
    bool incomplete;
    size_t n = plim_utf8_decode(s->data + at, s->bytes - at, code, &bad, &incomplete);
    if (n)
        return n;
    *code = PLIM_UTF8_REPLACEMENT;
    return bad;
}

size_t plim_str_char_before(const plim_str *s, size_t at, uint32_t *code)
{
    size_t start = at - 1;
    while (start > 0 && continues(s->data[start]))
        start--;
    plim_str_char(s, start, code);
    return at - start;
}

/* ---- search ---- */

size_t plim_str_find(const plim_str *s, const plim_str *needle, size_t from, size_t to)
{
    if (from > to || needle->bytes > to - from)
        return SIZE_MAX;
    if (!needle->bytes)
        return from;
    const char *found = memmem(s->data + from, to - from, needle->data, needle->bytes);
    return found ? (size_t)(found - s->data) : SIZE_MAX;
}

size_t plim_str_find_last(const plim_str *s, const plim_str *needle, size_t from, size_t to)
{
    if (from > to || needle->bytes > to - from)
        return SIZE_MAX;
    if (!needle->bytes)
        return to;
    for (size_t end = to - needle->bytes + 1; end > from;) {
        const char *found = memrchr(s->data + from, needle->data[0], end - from);
        if (!found)
            break;
        end = (size_t)(found - s->data);
        if (!memcmp(found, needle->data, needle->bytes))
            return end;
    }
    return SIZE_MAX;
}

static bool strips(const plim_str *chars, uint32_t code)
{
    if (!chars)
        return plim_char_flags(code) & PLIM_CHAR_SPACE;
    for (size_t i = 0; i < chars->bytes;) {
        uint32_t one;
        i += plim_str_char(chars, i, &one);
        if (one == code)
            return true;
    }
    return false;
}

void plim_str_strip(const plim_str *s, const plim_str *chars, unsigned sides, size_t *from,
                    size_t *to)
{
    uint32_t code;
    *from = 0;
    *to = s->bytes;
    while ((sides & PLIM_STRIP_LEFT) && *from < *to) {
        size_t n = plim_str_char(s, *from, &code);
        if (!strips(chars, code))
            break;
        *from += n;
    }
    while ((sides & PLIM_STRIP_RIGHT) && *to > *from) {
        size_t n = plim_str_char_before(s, *to, &code);
        if (!strips(chars, code))
            break;
        *to -= n;
    }
}

/* ---- case ---- */

/* Whether the sigma at byte `at` ends a word: a cased letter before it and none behind, characters
 * without case looked through. */
static bool final_sigma(const plim_str *s, size_t at, size_t bytes)
{
    uint32_t code;
    bool before = false;
    for (size_t i = at; i > 0;) {
        i -= plim_str_char_before(s, i, &code);
        unsigned flags = plim_char_flags(code);
        if (flags & PLIM_CHAR_IGNORABLE)
            continue;
        before = flags & PLIM_CHAR_CASED;
        break;
    }
    if (!before)
        return false;
    for (size_t i = at + bytes; i < s->bytes;) {
        i += plim_str_char(s, i, &code);
        unsigned flags = plim_char_flags(code);
        if (!(flags & PLIM_CHAR_IGNORABLE))
            return !(flags & PLIM_CHAR_CASED);
    }
    return true;
}

/* Bytes of ASCII from `at`, before `to`: copied with their marks, then mapped in place. */
static plim_status ascii_case(plim_run *run, const plim_str *s, plim_case kind, plim_buf *buf,
                              size_t at, size_t to, size_t *end)
{
    bool raise = kind == PLIM_CASE_UPPER || kind == PLIM_CASE_TITLE;
    char first = raise ? 'a' : 'A';
    for (*end = at; *end < to && (unsigned char)s->data[*end] < 0x80;)
        ++*end;
    PLIM_TRY(plim_buf_add(run, buf, s, at, *end));
    for (size_t i = buf->used - (*end - at); i < buf->used; i++) {
        if (buf->data[i] >= first && buf->data[i] < first + 26)
            buf->data[i] ^= 0x20;
    }
    return PLIM_OK;
}

plim_status plim_str_case(plim_run *run, const plim_str *s, plim_case kind, plim_buf *buf,
                          size_t from, size_t to)
{
    for (size_t i = from; i < to;) {
        uint32_t code, mapped[3];
        PLIM_TRY(ascii_case(run, s, kind, buf, i, to, &i));
        if (i >= to)
            break;
        size_t n = plim_str_char(s, i, &code);
        size_t count = plim_char_case(kind, code, mapped);
        bool input = plim_str_input(s, i, i + n);
        PLIM_TRY(plim_work(run, 1));
        if (kind == PLIM_CASE_LOWER && code == 0x3A3 && final_sigma(s, i, n))
            mapped[0] = 0x3C2;
        for (size_t k = 0; k < count; k++)
            PLIM_TRY(plim_buf_char(run, buf, mapped[k], input));
        i += n;
    }
    return PLIM_OK;
}

plim_status plim_str_escape(plim_run *run, const plim_str *s, plim_val *out)
{
    static const char special[] = "&<>'\"";
    static const char *const escaped[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    plim_buf *buf;
    size_t from = 0;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work_chars(run, s->bytes));
    for (size_t i = 0; i < s->bytes; i++) {
        const char *found = s->data[i] ? strchr(special, s->data[i]) : NULL;
        if (!found)
            continue;
        PLIM_TRY(plim_buf_add(run, buf, s, from, i));
        const char *text = escaped[found - special];
        PLIM_TRY(plim_buf_put(run, buf, text, strlen(text), plim_str_input(s, i, i + 1)));
        from = i + 1;
    }
    PLIM_TRY(plim_buf_add(run, buf, s, from, s->bytes));
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = true;
    return PLIM_OK;
}
