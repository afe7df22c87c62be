/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks over JSON. */
#include "json_walk.h"

#include <string.h>

#include "utf8.h"

static bool fail(json_walk *w, const char *message)
{
    w->message = message;
    return false;
}

char json_walk_peek(json_walk *w)
{
    while (w->at < w->bytes && memchr(" \t\r\n", w->text[w->at], 4))
        w->at++;
    return w->at < w->bytes ? w->text[w->at] : '\0';
}

bool json_walk_take(json_walk *w, char c)
{
    if (json_walk_peek(w) != c || w->at == w->bytes)
        return false;
    w->at++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What follows a backslash. */
static bool pass_escape(json_walk *w)
{
    char c = w->at < w->bytes ? w->text[w->at] : '\0';
    if (!c || !strchr("\"\\/bfnrtu", c))
        return fail(w, "unknown escape");
    w->at++;
    for (int i = 0; c == 'u' && i < 4; i++, w->at++)
        if (w->at >= w->bytes || !is_hex(w->text[w->at]))
            return fail(w, "\\u wants four hexadecimal digits");
    return true;
}

static bool pass_string(json_walk *w)
{
    if (!json_walk_take(w, '"'))
        return fail(w, "want a JSON string");
    while (w->at < w->bytes && w->text[w->at] != '"') {
        unsigned char c = (unsigned char)w->text[w->at];
        size_t n = utf8_sequence(w->text + w->at, w->bytes - w->at);
        if (n == 0)
            return fail(w, "the string is not UTF-8");
        if (c < 0x20)
            return fail(w, "a control character must be escaped");
        w->at += n;
        if (c == '\\' && !pass_escape(w))
            return false;
    }
    if (w->at == w->bytes)
        return fail(w, "the string is not closed");
    w->at++;
    return true;
}

static size_t pass_digits(json_walk *w)
{
    size_t from = w->at;
    while (w->at < w->bytes && w->text[w->at] >= '0' && w->text[w->at] <= '9')
        w->at++;
    return w->at - from;
}

static bool pass_one(json_walk *w, const char *of)
{
    if (w->at == w->bytes || !w->text[w->at] || !strchr(of, w->text[w->at]))
        return false;
    w->at++;
    return true;
}

static bool pass_number(json_walk *w)
{
    pass_one(w, "-");
    if (!pass_one(w, "0") && pass_digits(w) == 0)
        return fail(w, "want a JSON value");
    if (pass_one(w, ".") && pass_digits(w) == 0)
        return fail(w, "a number wants digits after its point");
    if (pass_one(w, "eE")) {
        pass_one(w, "+-");
        if (pass_digits(w) == 0)
            return fail(w, "a number wants digits in its exponent");
    }
    return true;
}

static bool pass_word(json_walk *w)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (w->bytes - w->at >= n && !memcmp(w->text + w->at, words[i], n)) {
            w->at += n;
            return true;
        }
    }
    return fail(w, "want a JSON value");
}

static bool pass_scalar(json_walk *w, char first)
{
    if (first == '"')
        return pass_string(w);
    return first == '-' || (first >= '0' && first <= '9') ? pass_number(w) : pass_word(w);
}

static bool pass_key(json_walk *w)
{
    return pass_string(w) && (json_walk_take(w, ':') || fail(w, "want ':'"));
}

bool json_walk_value(json_walk *w, json_range *value)
{
    char open[JSON_WALK_DEPTH];
    size_t depth = 0;
    char first = json_walk_peek(w);
    value->begin = w->at;
    for (;;) {
        char c = json_walk_peek(w);
        bool empty = false;
        if (c == '{' || c == '[') {
            if (depth == JSON_WALK_DEPTH)
                return fail(w, "nested too deeply");
            open[depth++] = c == '{' ? '}' : ']';
            w->at++;
            empty = json_walk_take(w, open[depth - 1]);
            depth -= empty;
            if (!empty) {
                if (c == '{' && !pass_key(w))
                    return false;
                continue;
            }
        } else if (!pass_scalar(w, c)) {
            return false;
        }
        while (depth > 0 && json_walk_take(w, open[depth - 1]))
            depth--;
        if (depth == 0)
            break;
        if (!json_walk_take(w, ','))
            return fail(w, open[depth - 1] == '}' ? "want ',' or '}'" : "want ',' or ']'");
        if (open[depth - 1] == '}' && !pass_key(w))
            return false;
    }
    value->end = w->at;
    return first != '\0';
}

bool json_walk_element(json_walk *w, bool first, json_range *value)
{
    if (json_walk_take(w, ']'))
        return false;
    if (!first && !json_walk_take(w, ','))
        return fail(w, "want ',' or ']'");
    return json_walk_value(w, value);
}

bool json_walk_member(json_walk *w, bool first, json_range *key, json_range *value)
{
    if (json_walk_take(w, '}'))
        return false;
    if (!first && !json_walk_take(w, ','))
        return fail(w, "want ',' or '}'");
    json_walk_peek(w);
    key->begin = w->at;
    if (!pass_string(w))
        return false;
    key->end = w->at;
    if (!json_walk_take(w, ':'))
        return fail(w, "want ':'");
    return json_walk_value(w, value);
}

const char *json_walk_check(const char *text, size_t bytes, char *kind, size_t *position)
{
    json_walk w = {text, bytes, 0, NULL};
    json_range value;
    *kind = json_walk_peek(&w);
    if (json_walk_value(&w, &value) && (json_walk_peek(&w), w.at < w.bytes))
        w.message = "something follows the value";
    *position = w.at;
    return w.message;
}

bool json_walk_find(const char *text, size_t bytes, const char *name, json_range *value)
{
    json_walk w = {text, bytes, 0, NULL};
    json_range key, each;
    size_t n = strlen(name);
    bool found = false;
    if (!json_walk_take(&w, '{'))
        return false;
    for (bool first = true; json_walk_member(&w, first, &key, &each); first = false)
        if (key.end - key.begin == n + 2 && !memcmp(text + key.begin + 1, name, n)) {
            *value = each; /* the last one counts */
            found = true;
        }
    return found;
}
