/* SPDX-License-Identifier: Apache-2.0
 *
 * String literals: Jinja2 encodes them as ASCII with backslashes and decodes the result as Python's
 * "unicode-escape". */
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"
#include "chat/lex.h"

typedef struct literal {
    const char *at, *end;
    char *out;
    size_t bytes;
} literal;

/* Hexadecimal digits, exactly n; false where there are fewer. */
static bool hex(literal *s, size_t n, uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < n; i++, s->at++) {
        if (s->at == s->end)
            return false;
        char c = *s->at, lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *code = *code * 16 + (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *code = *code * 16 + (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* A backslash before what is not ASCII: the backslashes of both fall together. */
static void escape_of_other(literal *s)
{
    uint32_t code = 0;
    size_t bad;
    bool incomplete;
    size_t n = plim_utf8_decode(s->at, (size_t)(s->end - s->at), &code, &bad, &incomplete);
    s->at += n ? n : bad;
    const char *format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
    char text[16];
    /* `\` + `\xe9` reads as an escaped backslash and "xe9" */
    plim_format(text, sizeof text, format, (unsigned)code);
    memcpy(s->out + s->bytes, text, strlen(text));
    s->bytes += strlen(text);
}

static bool octal(char c)
{
    return c >= '0' && c <= '7';
}

static const char *unescape(literal *s)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    if ((unsigned char)*s->at >= 0x80) {
        escape_of_other(s);
        return NULL;
    }
    char c = *s->at++;
    uint32_t code = 0;
    const char *found = c ? strchr(from, c) : NULL;
    if (c == '\n')
        return NULL;
    if (found) {
        s->out[s->bytes++] = to[found - from];
        return NULL;
    }
    if (octal(c)) {
        code = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && s->at < s->end && octal(*s->at); i++)
            code = code * 8 + (uint32_t)(*s->at++ - '0');
    } else if (c == 'x' || c == 'u' || c == 'U') {
        if (!hex(s, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code))
            return "an escape in a string is cut short";
    } else if (c == 'N') {
        return "\\N: a character by its name";
    } else {
        s->out[s->bytes++] = '\\';
        s->out[s->bytes++] = c;
        return NULL;
    }
    size_t n = plim_utf8_encode(code, s->out + s->bytes);
    s->bytes += n;
    return n ? NULL : "an escape in a string is no character";
}

plim_status plim_lex_string(plim_lexer *lex)
{
    char quote = lex->text[lex->pos];
    size_t end = lex->pos + 1;
    bool escapes = false;
    while (end < lex->end && lex->text[end] != quote) {
        escapes = escapes || lex->text[end] == '\\';
        end += lex->text[end] == '\\' ? 2 : 1;
    }
    if (end >= lex->end)
        return plim_lex_fail(lex, "a string that does not end");
    const char *text = lex->text + lex->pos + 1;
    literal s = {text, lex->text + end, NULL, 0};
    if (escapes) {
        /* the longest: "\" and two bytes of UTF-8 become "\xe9" or "\u0123" */
        s.out = plim_arena_new(lex->arena, (size_t)(s.end - s.at) * 3 + 1, 1, lex->err);
        if (!s.out)
            return plim_failed(lex->err);
        while (s.at < s.end) {
            const char *bad = NULL;
            if (*s.at != '\\')
                s.out[s.bytes++] = *s.at++;
            else if (s.at++, s.at < s.end)
                bad = unescape(&s);
            if (bad && bad[0] == '\\')
                return plim_fail_at(lex->err, PLIM_E_UNSUP,
                                    (plim_where){lex->file, NULL, (int64_t)lex->pos}, "line %u: %s",
                                    lex->line, bad);
            if (bad)
                return plim_lex_fail(lex, bad);
        }
        text = s.out;
    } else {
        s.bytes = (size_t)(s.end - s.at);
    }
    PLIM_TRY(plim_lex_push(lex, PLIM_T_STRING, text, s.bytes));
    lex->pos = end + 1;
    return PLIM_OK;
}
