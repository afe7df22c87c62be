/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a JSON string or an array of ids. */
#include "json_in.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

typedef struct scan {
    char *text;
    size_t bytes, at;
} scan;

static void skip_space(scan *s)
{
    while (s->at < s->bytes && memchr(" \t\r\n", s->text[s->at], 4))
        s->at++;
}

static bool take(scan *s, char c)
{
    if (s->at >= s->bytes || s->text[s->at] != c)
        return false;
    s->at++;
    return true;
}

static bool hex4(scan *s, uint32_t *out)
{
    if (s->bytes - s->at < 4)
        return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = s->text[s->at + (size_t)i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *out = *out << 4 | digit;
    }
    s->at += 4;
    return true;
}

/* What follows a backslash, written to dst; returns NULL or the message. */
static const char *unescape(scan *s, char *dst, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->at >= s->bytes)
        return "the string is not closed";
    const char *plain = s->text[s->at] ? strchr(from, s->text[s->at]) : NULL;
    if (plain) {
        s->at++;
        dst[0] = to[plain - from];
        *written = 1;
        return NULL;
    }
    uint32_t code, low;
    if (!take(s, 'u'))
        return "unknown escape";
    if (!hex4(s, &code))
        return "\\u wants four hexadecimal digits";
    if (code >= 0xdc00 && code <= 0xdfff)
        return "a lone surrogate";
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(s, '\\') || !take(s, 'u') || !hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
            return "a lone surrogate";
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *written = utf8_write(dst, code);
    return NULL;
}

const char *json_in_string(char *text, size_t bytes, size_t *start, size_t *length,
                           size_t *position)
{
    scan s = {text, bytes, 0};
    const char *message = NULL;
    skip_space(&s);
    *position = s.at;
    if (!take(&s, '"'))
        return "want a JSON string";
    *start = s.at;
    char *dst = text + s.at;
    while (s.at < bytes && text[s.at] != '"') {
        *position = s.at;
        size_t n = utf8_sequence(text + s.at, bytes - s.at);
        if (n == 0)
            return "the string is not UTF-8";
        if ((unsigned char)text[s.at] < 0x20)
            return "a control character must be escaped";
        if (take(&s, '\\')) {
            message = unescape(&s, dst, &n);
            if (message)
                return message;
        } else {
            memmove(dst, text + s.at, n);
            s.at += n;
        }
        dst += n;
    }
    *position = s.at;
    if (!take(&s, '"'))
        return "the string is not closed";
    *length = (size_t)(dst - text) - *start;
    skip_space(&s);
    *position = s.at;
    return s.at == bytes ? NULL : "something follows the value";
}

static const char *read_id(scan *s, int32_t *out)
{
    uint64_t value = 0;
    size_t first = s->at;
    while (s->at < s->bytes && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        value = value * 10 + (uint64_t)(s->text[s->at++] - '0');
        if (value > INT32_MAX)
            return "a token id is at most 2147483647";
    }
    if (s->at == first)
        return "want a token id, an integer from 0";
    if (s->text[first] == '0' && s->at - first > 1)
        return "a number must not begin with 0";
    if (s->at < s->bytes && memchr(".eE", s->text[s->at], 3))
        return "a token id is a whole number";
    *out = (int32_t)value;
    return NULL;
}

const char *json_in_ids(const char *text, size_t bytes, int32_t *ids, size_t *count,
                        size_t *position)
{
    scan s = {(char *)(uintptr_t)text, bytes, 0}; /* only read here */
    const char *message = NULL;
    *count = 0;
    skip_space(&s);
    *position = s.at;
    if (!take(&s, '['))
        return "want a JSON array of token ids";
    skip_space(&s);
    if (!take(&s, ']')) {
        do {
            skip_space(&s);
            *position = s.at;
            message = read_id(&s, &ids[*count]);
            if (message)
                return message;
            ++*count;
            skip_space(&s);
        } while (take(&s, ','));
        *position = s.at;
        if (!take(&s, ']'))
            return "want ',' or ']'";
    }
    skip_space(&s);
    *position = s.at;
    return s.at == bytes ? NULL : "something follows the value";
}
