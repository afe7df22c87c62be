/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers from and to text.  Owns the way round the locale: the C locale is taken for the one call
 * and the thread's own put back. */
#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* glibc and musl hand out a static object for "C": no allocation, and freeing it does nothing. */
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool plim_parse_u64(const char *text, size_t bytes, uint64_t *out)
{
    enum { SAFE_DIGITS = 19 }; /* can't overflow */
    uint64_t value = 0;
    size_t i = 0;
    if (bytes == 0)
        return false;
    for (; i < bytes && i < SAFE_DIGITS; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    for (; i < bytes; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool plim_parse_i64(const char *text, size_t bytes, int64_t *out)
{
    bool negative = bytes > 0 && text[0] == '-';
    uint64_t value;
    if (!plim_parse_u64(text + negative, bytes - negative, &value))
        return false;
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static size_t digits(const char *text, size_t bytes, size_t at)
{
    size_t i = at;
    while (i < bytes && text[i] >= '0' && text[i] <= '9')
        i++;
    return i - at;
}

/* JSON's number: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static bool is_number(const char *text, size_t bytes)
{
    size_t i = bytes > 0 && text[0] == '-', n = digits(text, bytes, i);
    if (n == 0 || (n > 1 && text[i] == '0'))
        return false;
    i += n;
    if (i < bytes && text[i] == '.') {
        n = digits(text, bytes, i + 1);
        if (n == 0)
            return false;
        i += 1 + n;
    }
    if (i < bytes && (text[i] | 0x20) == 'e') {
        i++;
        if (i < bytes && (text[i] == '+' || text[i] == '-'))
            i++;
        n = digits(text, bytes, i);
        if (n == 0)
            return false;
        i += n;
    }
    return i == bytes;
}

bool plim_parse_f64(const char *text, size_t bytes, double *out)
{
    char copy[PLIM_NUMBER_BYTES + 1];
    if (bytes > PLIM_NUMBER_BYTES || !is_number(text, bytes))
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    locale_t c = c_locale();
    double value = strtod_l(copy, NULL, c);
    freelocale(c);
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

size_t plim_vformat(char *out, size_t cap, const char *format, va_list args)
{
    assert(cap >= 1);
    locale_t c = c_locale(), before = uselocale(c);
    int n = vsnprintf(out, cap, format, args);
    uselocale(before);
    freelocale(c);
    if (n < 0) {
        out[0] = '\0';
        return 0;
    }
    return (size_t)n < cap ? (size_t)n : cap - 1;
}

size_t plim_format(char *out, size_t cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t n = plim_vformat(out, cap, format, args);
    va_end(args);
    return n;
}

/* Add one to the last digit of "d.ddde-xx".  False where all are nines (a shorter text says that).
 */
static bool next_up(char *text)
{
    for (char *p = strchr(text, 'e'); p-- > text;) {
        if (*p < '0' || *p > '9')
            continue;
        if (*p != '9') {
            ++*p;
            return true;
        }
        *p = '0';
    }
    return false;
}

static bool reads_back(const char *text, size_t n, double value)
{
    double back;
    return plim_parse_f64(text, n, &back) && back == value;
}

size_t plim_format_f64(char *out, size_t cap, double value)
{
    assert(cap >= 32);
    if (!isfinite(value))
        return plim_format(out, cap, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    /* 17 digits always read back; the first count that does is the shortest.  At a power of two,
     * whose neighbour above is twice as far as the one below, the text next above can read back
     * where the nearest does not. */
    for (int precision = 1;; precision++) {
        size_t n = plim_format(out, cap, "%.*g", precision, value);
        if (precision == 17 || reads_back(out, n, value))
            return n;
        n = plim_format(out, cap, "%.*e", precision - 1, value);
        if (next_up(out) && reads_back(out, n, value))
            return n;
    }
}

char *plim_format_bytes(char *out, size_t cap, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        plim_format(out, cap, "%u B", (unsigned)bytes);
        return out;
    }
    unsigned unit = 0, shift = 10;
    while (unit < 5 && bytes >> (shift + 10)) {
        unit++;
        shift += 10;
    }
    for (;;) {
        uint64_t rest = bytes & (((uint64_t)1 << shift) - 1); /* below 2^60: ten times it fits */
        uint64_t tenths =
            (bytes >> shift) * 10 + ((rest * 10 + ((uint64_t)1 << (shift - 1))) >> shift);
        if (tenths < 10240 || unit == 5) {
            plim_format(out, cap, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                        (unsigned long long)(tenths % 10), units[unit]);
            return out;
        }
        unit++; /* 1023.96 KiB is 1.0 MiB */
        shift += 10;
    }
}
