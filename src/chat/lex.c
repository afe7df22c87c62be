/* SPDX-License-Identifier: Apache-2.0
 *
 * A template's text into tokens, as Jinja2's lexer does it with trim_blocks and lstrip_blocks on
 * and keep_trailing_newline off.  The text has one kind of newline already (render.h's caller saw
 * to that); strings are unescaped in lex_string.c. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"
#include "chat/lex.h"

const char *const plim_operator_text[PLIM_OP_COUNT] = {
    [PLIM_OP_ADD] = "+",         [PLIM_OP_SUB] = "-",       [PLIM_OP_MUL] = "*",
    [PLIM_OP_DIV] = "/",         [PLIM_OP_FLOORDIV] = "//", [PLIM_OP_MOD] = "%",
    [PLIM_OP_POW] = "**",        [PLIM_OP_TILDE] = "~",     [PLIM_OP_EQ] = "==",
    [PLIM_OP_NE] = "!=",         [PLIM_OP_LT] = "<",        [PLIM_OP_LE] = "<=",
    [PLIM_OP_GT] = ">",          [PLIM_OP_GE] = ">=",       [PLIM_OP_IN] = "in",
    [PLIM_OP_NOT_IN] = "not in", [PLIM_OP_ASSIGN] = "=",    [PLIM_OP_DOT] = ".",
    [PLIM_OP_COLON] = ":",       [PLIM_OP_PIPE] = "|",      [PLIM_OP_COMMA] = ",",
    [PLIM_OP_SEMICOLON] = ";",   [PLIM_OP_LPAREN] = "(",    [PLIM_OP_RPAREN] = ")",
    [PLIM_OP_LBRACKET] = "[",    [PLIM_OP_RBRACKET] = "]",  [PLIM_OP_LBRACE] = "{",
    [PLIM_OP_RBRACE] = "}",
};

static bool at(const plim_lexer *lex, size_t pos, const char *text)
{
    size_t n = strlen(text);
    return pos <= lex->end && n <= lex->end - pos && !memcmp(lex->text + pos, text, n);
}

static bool is_space(const plim_lexer *lex, size_t pos, size_t *bytes)
{
    uint32_t code;
    size_t bad;
    bool incomplete;
    if (pos >= lex->end)
        return false;
    *bytes = plim_utf8_decode(lex->text + pos, lex->end - pos, &code, &bad, &incomplete);
    return *bytes && (plim_char_flags(code) & PLIM_CHAR_SPACE);
}

static size_t skip_space(const plim_lexer *lex, size_t pos)
{
    size_t bytes;
    while (is_space(lex, pos, &bytes))
        pos += bytes;
    return pos;
}

/* Where the whitespace before `pos` begins, not before `from`. */
static size_t space_before(const plim_lexer *lex, size_t from, size_t pos)
{
    while (pos > from) {
        size_t start = pos - 1, bytes;
        while (start > from && ((unsigned char)lex->text[start] & 0xC0) == 0x80)
            start--;
        if (!is_space(lex, start, &bytes))
            break;
        pos = start;
    }
    return pos;
}

static void count_lines(plim_lexer *lex, size_t to)
{
    for (; lex->counted < to; lex->counted++)
        lex->line += lex->text[lex->counted] == '\n';
}

plim_status plim_lex_fail(plim_lexer *lex, const char *what)
{
    return plim_fail_at(lex->err, PLIM_E_FORMAT, (plim_where){lex->file, NULL, (int64_t)lex->pos},
                        "line %u: %s", lex->line, what);
}

plim_status plim_lex_push(plim_lexer *lex, plim_token_kind kind, const char *text, size_t bytes)
{
    PLIM_TRY(plim_grow(lex->arena->alloc, &lex->tokens, &lex->cap, lex->count + 1,
                       sizeof *lex->tokens, lex->err));
    lex->tokens[lex->count++] =
        (plim_token){.kind = kind, .line = lex->line, .text = text, .bytes = bytes};
    return PLIM_OK;
}

/* Where text from..to (a tag begins at `to`) ends once whitespace before the tag is taken away.
 * line_starting: `from` is at the beginning of a line. */
static size_t strip_before(const plim_lexer *lex, size_t from, size_t to, char sign, bool print)
{
    if (sign == '-')
        return space_before(lex, from, to);
    if (sign == '+' || print)
        return to;
    size_t line = to;
    while (line > from && lex->text[line - 1] != '\n')
        line--;
    if (line == from && from > 0 && lex->text[from - 1] != '\n')
        return to;
    return space_before(lex, line, to) == line ? line : to;
}

static char sign_at(const plim_lexer *lex, size_t pos)
{
    return pos < lex->end && (lex->text[pos] == '-' || lex->text[pos] == '+') ? lex->text[pos] : 0;
}

/* "{%- raw %}" at pos: where it ends, else 0. */
static size_t raw_begin(const plim_lexer *lex, size_t pos)
{
    pos += sign_at(lex, pos + 2) ? 3 : 2;
    pos = skip_space(lex, pos);
    if (!at(lex, pos, "raw"))
        return 0;
    pos = skip_space(lex, pos + 3);
    if (at(lex, pos, "-%}"))
        return skip_space(lex, pos + 3);
    return at(lex, pos, "%}") ? pos + 2 : 0;
}

/* The end of a tag whose closing is `close` ("%}", "#}"), at pos: past it and past what is trimmed;
 * 0 for none. */
static size_t tag_end(const plim_lexer *lex, size_t pos, const char *close)
{
    char sign = sign_at(lex, pos);
    if (!at(lex, pos + (sign != 0), close))
        return 0;
    if (sign == '-')
        return skip_space(lex, pos + 3);
    if (sign == '+')
        return pos + 3;
    return pos + 2 + at(lex, pos + 2, "\n");
}

static plim_status push_data(plim_lexer *lex, size_t from, size_t to)
{
    return to > from ? plim_lex_push(lex, PLIM_T_DATA, lex->text + from, to - from) : PLIM_OK;
}

/* After "{% raw %}": text until "{% endraw %}". */
static plim_status lex_raw(plim_lexer *lex)
{
    for (size_t pos = lex->pos; pos < lex->end; pos++) {
        if (!at(lex, pos, "{%"))
            continue;
        char sign = sign_at(lex, pos + 2);
        size_t word = skip_space(lex, pos + (sign ? 3 : 2));
        if (!at(lex, word, "endraw"))
            continue;
        size_t end = tag_end(lex, skip_space(lex, word + 6), "%}");
        if (!end)
            continue;
        PLIM_TRY(push_data(lex, lex->pos, strip_before(lex, lex->pos, pos, sign, false)));
        lex->pos = end;
        return PLIM_OK;
    }
    return plim_lex_fail(lex, "missing end of raw directive");
}

static plim_status lex_comment(plim_lexer *lex)
{
    for (size_t pos = lex->pos; pos < lex->end; pos++) {
        size_t end = tag_end(lex, pos, "#}");
        if (end) {
            lex->pos = end;
            return PLIM_OK;
        }
    }
    return plim_lex_fail(lex, "missing end of comment tag");
}

static plim_status lex_number(plim_lexer *lex, bool *is_number);

static plim_operator operator_at(const plim_lexer *lex, size_t *bytes)
{
    for (*bytes = 2; *bytes > 0; --*bytes) {
        for (int op = PLIM_OP_ADD; op < PLIM_OP_COUNT; op++) {
            const char *text = plim_operator_text[op];
            if (op != PLIM_OP_IN && op != PLIM_OP_NOT_IN && strlen(text) == *bytes &&
                at(lex, lex->pos, text))
                return (plim_operator)op;
        }
    }
    return PLIM_OP_NONE;
}

static plim_status lex_operator(plim_lexer *lex)
{
    size_t bytes;
    plim_operator op = operator_at(lex, &bytes);
    char what[64];
    if (op == PLIM_OP_NONE) {
        plim_format(what, sizeof what, "unexpected character 0x%02x",
                    (unsigned)(unsigned char)lex->text[lex->pos]);
        return plim_lex_fail(lex, what);
    }
    static const uint8_t closing[PLIM_OP_COUNT] = {[PLIM_OP_LPAREN] = PLIM_OP_RPAREN,
                                                   [PLIM_OP_LBRACKET] = PLIM_OP_RBRACKET,
                                                   [PLIM_OP_LBRACE] = PLIM_OP_RBRACE};
    if (closing[op]) {
        if (lex->open == PLIM_CHAT_MAX_DEPTH)
            return plim_fail_at(
                lex->err, PLIM_E_LIMIT, (plim_where){lex->file, NULL, (int64_t)lex->pos},
                "line %u: brackets nested deeper than %d", lex->line, PLIM_CHAT_MAX_DEPTH);
        lex->brackets[lex->open++] = closing[op];
    } else if (op == PLIM_OP_RPAREN || op == PLIM_OP_RBRACKET || op == PLIM_OP_RBRACE) {
        if (!lex->open || lex->brackets[lex->open - 1] != op) {
            plim_format(what, sizeof what, "unexpected '%s'", plim_operator_text[op]);
            return plim_lex_fail(lex, what);
        }
        lex->open--;
    }
    PLIM_TRY(plim_lex_push(lex, PLIM_T_OPERATOR, lex->text + lex->pos, bytes));
    lex->tokens[lex->count - 1].op = op;
    lex->pos += bytes;
    return PLIM_OK;
}

/* A name; false when there is none. */
static bool name_at(const plim_lexer *lex, size_t *bytes)
{
    size_t pos = lex->pos;
    while (pos < lex->end) {
        uint32_t code;
        size_t bad;
        bool incomplete;
        size_t n = plim_utf8_decode(lex->text + pos, lex->end - pos, &code, &bad, &incomplete);
        unsigned want = pos == lex->pos ? PLIM_CHAR_NAME : PLIM_CHAR_NAME_MORE;
        if (!n || !(plim_char_flags(code) & want))
            break;
        pos += n;
    }
    *bytes = pos - lex->pos;
    return *bytes > 0;
}

/* One token inside of a tag. */
static plim_status lex_inside(plim_lexer *lex)
{
    char c = lex->text[lex->pos];
    size_t bytes;
    if (c >= '0' && c <= '9') {
        bool is_number;
        return lex_number(lex, &is_number);
    }
    if (name_at(lex, &bytes)) {
        PLIM_TRY(plim_lex_push(lex, PLIM_T_NAME, lex->text + lex->pos, bytes));
        lex->pos += bytes;
        return PLIM_OK;
    }
    if (c == '\'' || c == '"')
        return plim_lex_string(lex);
    return lex_operator(lex);
}

/* After "{{" or "{%": tokens until the tag ends. */
static plim_status lex_tag(plim_lexer *lex, bool print)
{
    lex->open = 0;
    for (;;) {
        lex->pos = skip_space(lex, lex->pos);
        count_lines(lex, lex->pos);
        if (lex->pos >= lex->end)
            return PLIM_OK; /* the parser says what it expected */
        size_t end = 0;
        if (!lex->open && print && at(lex, lex->pos, "-}}"))
            end = skip_space(lex, lex->pos + 3);
        else if (!lex->open && print && at(lex, lex->pos, "}}"))
            end = lex->pos + 2;
        else if (!lex->open && !print)
            end = tag_end(lex, lex->pos, "%}");
        if (end) {
            PLIM_TRY(plim_lex_push(lex, print ? PLIM_T_PRINT_END : PLIM_T_BLOCK_END, "", 0));
            lex->pos = end;
            return PLIM_OK;
        }
        PLIM_TRY(lex_inside(lex));
    }
}

/* Digits with single underscores between them, from `pos`; where they end. */
static size_t digits(const plim_lexer *lex, size_t pos)
{
    while (pos < lex->end && ((lex->text[pos] >= '0' && lex->text[pos] <= '9') ||
                              (lex->text[pos] == '_' && pos + 1 < lex->end &&
                               lex->text[pos + 1] >= '0' && lex->text[pos + 1] <= '9')))
        pos++;
    return pos;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static plim_status push_integer(plim_lexer *lex, size_t from, size_t to, int base)
{
    int64_t value = 0;
    for (size_t i = from; i < to; i++) {
        if (lex->text[i] == '_')
            continue;
        if (__builtin_mul_overflow(value, (int64_t)base, &value) ||
            __builtin_add_overflow(value, (int64_t)digit_value(lex->text[i]), &value))
            return plim_fail_at(lex->err, PLIM_E_LIMIT,
                                (plim_where){lex->file, NULL, (int64_t)lex->pos},
                                "line %u: an integer of more than 64 bits", lex->line);
    }
    PLIM_TRY(plim_lex_push(lex, PLIM_T_INTEGER, lex->text + lex->pos, to - lex->pos));
    lex->tokens[lex->count - 1].number.integer = value;
    lex->pos = to;
    return PLIM_OK;
}

/* Where the float that begins here ends, 0 for none. */
static size_t float_end(const plim_lexer *lex)
{
    if (lex->pos && lex->text[lex->pos - 1] == '.')
        return 0;
    size_t end = digits(lex, lex->pos), fraction = end;
    if (end < lex->end && lex->text[end] == '.' && digits(lex, end + 1) > end + 1 &&
        lex->text[end + 1] != '_')
        fraction = digits(lex, end + 1);
    size_t e = fraction;
    if (e < lex->end && (lex->text[e] | 0x20) == 'e') {
        size_t d =
            e + 1 + (e + 1 < lex->end && (lex->text[e + 1] == '-' || lex->text[e + 1] == '+'));
        if (d < lex->end && lex->text[d] != '_' && digits(lex, d) > d)
            return digits(lex, d);
    }
    return fraction > end ? fraction : 0;
}

static plim_status push_float(plim_lexer *lex, size_t end)
{
    char plain[PLIM_NUMBER_BYTES + 1];
    size_t n = 0;
    double value = 0;
    for (size_t i = lex->pos; i < end && n < sizeof plain - 1; i++) {
        if (lex->text[i] != '_')
            plain[n++] = lex->text[i];
    }
    size_t zeros = 0; /* JSON has no leading ones */
    while (zeros + 1 < n && plain[zeros] == '0' && plain[zeros + 1] >= '0' &&
           plain[zeros + 1] <= '9')
        zeros++;
    if (!plim_parse_f64(plain + zeros, n - zeros, &value))
        value = (double)INFINITY;
    PLIM_TRY(plim_lex_push(lex, PLIM_T_FLOAT, lex->text + lex->pos, end - lex->pos));
    lex->tokens[lex->count - 1].number.real = value;
    lex->pos = end;
    return PLIM_OK;
}

static plim_status lex_number(plim_lexer *lex, bool *is_number)
{
    *is_number = true;
    size_t end = float_end(lex), from = lex->pos;
    if (end)
        return push_float(lex, end);
    char kind = from + 1 < lex->end ? (char)(lex->text[from + 1] | 0x20) : 0;
    int base = lex->text[from] != '0' ? 0
               : kind == 'x'          ? 16
               : kind == 'o'          ? 8
               : kind == 'b'          ? 2
                                      : 0;
    if (base) {
        size_t pos = from + 2;
        while (pos < lex->end && (digit_value(lex->text[pos]) < base ||
                                  (lex->text[pos] == '_' && pos + 1 < lex->end &&
                                   digit_value(lex->text[pos + 1]) < base)))
            pos++;
        if (pos > from + 2)
            return push_integer(lex, from + 2, pos, base);
    }
    if (lex->text[from] != '0')
        return push_integer(lex, from, digits(lex, from), 10);
    for (end = from + 1; end < lex->end && lex->text[end] == '0';)
        end++;
    return push_integer(lex, from, end, 10);
}

/* Text until the next tag, and the tag's tokens. */
static plim_status lex_piece(plim_lexer *lex)
{
    size_t pos = lex->pos;
    while (pos < lex->end && !(lex->text[pos] == '{' &&
                               (at(lex, pos, "{{") || at(lex, pos, "{%") || at(lex, pos, "{#"))))
        pos++;
    if (pos >= lex->end) {
        PLIM_TRY(push_data(lex, lex->pos, lex->end));
        lex->pos = lex->end;
        return PLIM_OK;
    }
    char kind = lex->text[pos + 1], sign = sign_at(lex, pos + 2);
    PLIM_TRY(push_data(lex, lex->pos, strip_before(lex, lex->pos, pos, sign, kind == '{')));
    count_lines(lex, pos);
    lex->pos = pos + (sign ? 3 : 2);
    if (kind == '#')
        return lex_comment(lex);
    size_t raw = kind == '%' ? raw_begin(lex, pos) : 0;
    if (raw) {
        lex->pos = raw;
        return lex_raw(lex);
    }
    PLIM_TRY(plim_lex_push(lex, kind == '{' ? PLIM_T_PRINT_BEGIN : PLIM_T_BLOCK_BEGIN, "", 0));
    return lex_tag(lex, kind == '{');
}

plim_status plim_lex(const plim_source *source, plim_token **out, size_t *count, plim_error *err)
{
    plim_lexer lex = {.arena = source->arena,
                      .file = source->file,
                      .text = source->text,
                      .end = source->bytes,
                      .line = 1,
                      .err = err};
    plim_status status = PLIM_OK;
    while (!status && lex.pos < lex.end) {
        count_lines(&lex, lex.pos);
        status = lex_piece(&lex);
    }
    count_lines(&lex, lex.end);
    if (!status)
        status = plim_lex_push(&lex, PLIM_T_END, "", 0);
    if (status) {
        plim_delete(source->arena->alloc, lex.tokens);
        return status;
    }
    *out = lex.tokens;
    *count = lex.count;
    return PLIM_OK;
}
