/* SPDX-License-Identifier: Apache-2.0
 *
 * int() and float() of text, round(), as Python has them. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "chat/run.h"

/* Digits and letters as ASCII, other scripts' digits too; 0 for what is neither. */
static char ascii_of(uint32_t code)
{
    int digit = plim_char_digit(code);
    if (digit >= 0)
        return (char)('0' + digit);
    return code > 0x20 && code < 0x7F ? (char)code : 0;
}

/* A text without the blanks around it, in ASCII; false when it is no number for sure. */
static bool plain(const plim_str *s, char *out, size_t cap, size_t *bytes)
{
    size_t from, to, n = 0;
    plim_str_strip(s, NULL, PLIM_STRIP_LEFT | PLIM_STRIP_RIGHT, &from, &to);
    for (size_t i = from; i < to;) {
        uint32_t code;
        i += plim_str_char(s, i, &code);
        char c = ascii_of(code);
        if (!c || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    *bytes = n;
    return n > 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

plim_status plim_parse_int(plim_run *run, const plim_str *s, int64_t base, int64_t *out,
                           bool *valid)
{
    char text[5000];
    size_t n, i = 0;
    *valid = false;
    PLIM_TRY(plim_work_chars(run, s->bytes));
    if (base != 0 && (base < 2 || base > 36))
        return PLIM_OK;
    if (!plain(s, text, sizeof text, &n))
        return PLIM_OK;
    bool negative = text[0] == '-', over = false, prefix = false;
    i += text[0] == '-' || text[0] == '+';
    char letter = text[i] == '0' && text[i] ? (char)(text[i + 1] | 0x20) : 0;
    int of_prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (of_prefix && (base == 0 || base == of_prefix)) {
        base = of_prefix;
        i += 2;
        prefix = true;
    }
    bool zero_led = base == 0 && text[i] == '0';
    if (base == 0)
        base = 10;
    int64_t value = 0;
    if (!text[i] || text[n - 1] == '_' || (text[i] == '_' && !prefix))
        return PLIM_OK;
    for (; i < n; i++) {
        if (text[i] == '_' && text[i + 1] != '_')
            continue;
        int d = digit_of(text[i]);
        if (d >= base)
            return PLIM_OK;
        over = over || __builtin_mul_overflow(value, base, &value) ||
               __builtin_sub_overflow(value, (int64_t)d, &value); /* the negative range is larger */
    }
    if (zero_led && value)
        return PLIM_OK;
    if (over || (!negative && value == INT64_MIN))
        return plim_run_fail(run, PLIM_E_LIMIT, "an integer of more than 64 bits");
    *valid = true;
    *out = negative ? value : -value;
    return PLIM_OK;
}

bool plim_parse_float(const plim_str *s, double *out)
{
    char text[PLIM_NUMBER_BYTES + 1], number[PLIM_NUMBER_BYTES + 8];
    size_t n, k = 0, i = 0;
    if (!plain(s, text, sizeof text, &n))
        return false;
    bool negative = text[0] == '-', digits = false;
    i += text[0] == '-' || text[0] == '+';
    static const char *const words[] = {"inf", "infinity", "nan"};
    for (size_t w = 0; w < 3; w++) {
        size_t same = 0;
        while (words[w][same] && (text[i + same] | 0x20) == words[w][same])
            same++;
        if (!words[w][same] && i + same == n) {
            *out = w == 2 ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
            return true;
        }
    }
    for (size_t at = i; at < n; at++) { /* "1_000" */
        if (text[at] == '_' &&
            (at == i || digit_of(text[at - 1]) > 9 || digit_of(text[at + 1]) > 9))
            return false;
    }
    while (text[i] == '0' && (text[i + 1] == '_' || digit_of(text[i + 1]) < 10))
        i++; /* leading zeros */
    if (text[i] == '.')
        number[k++] = '0';
    for (; i < n && k < sizeof number - 4; i++) {
        if (text[i] == '_')
            continue;
        digits = digits || digit_of(text[i]) < 10;
        bool bare_point = text[i] == '.' && digit_of(text[i + 1]) > 9;
        if (bare_point && !digits)
            return false;
        if (!bare_point)
            number[k++] = text[i];
    }
    if (!digits)
        return false;
    if (plim_parse_f64(number, k, out)) {
        *out = negative ? -*out : *out;
        return true;
    }
    /* too large is infinite; all else is no number */
    char *e = memchr(number, 'e', k);
    e = e ? e : memchr(number, 'E', k);
    double without;
    if (!e || !plim_parse_f64(number, (size_t)(e - number), &without) || e[1] == '-')
        return false;
    for (const char *p = e + 1 + (e[1] == '+'); p < number + k; p++) {
        if (*p < '0' || *p > '9')
            return false;
    }
    *out = negative ? -(double)INFINITY : (double)INFINITY;
    return true;
}

plim_status plim_float_to_int(plim_run *run, double value, int64_t *out)
{
    if (!isfinite(value))
        return plim_run_fail(run, PLIM_E_FORMAT, "cannot convert float %s to integer",
                             isnan(value) ? "NaN" : "infinity");
    if (value >= 9223372036854775808.0 || value < -9223372036854775808.0)
        return plim_run_fail(run, PLIM_E_LIMIT, "an integer of more than 64 bits");
    *out = (int64_t)value;
    return PLIM_OK;
}

/* As float.__round__: the decimal representation, correctly rounded, read back. */
double plim_round(double value, int digits)
{
    char text[800];
    double back;
    if (!isfinite(value) || digits > 323)
        return value;
    if (digits < -308)
        return copysign(0, value);
    if (digits >= 0) {
        size_t n = plim_format(text, sizeof text, "%.*f", digits, value);
        return plim_parse_f64(text, n, &back) ? back : value;
    }
    double unit = pow(10, -digits), scaled = value / unit, whole = round(scaled);
    if (fabs(scaled - whole) == 0.5)
        whole = 2.0 * round(scaled / 2.0);
    return whole * unit;
}
