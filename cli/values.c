/* SPDX-License-Identifier: Apache-2.0
 *
 * Values from text and back. */
#include "values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

static bool digits_u64(const char *text, size_t bytes, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return bytes > 0;
}

bool value_u64(const char *text, uint64_t *out)
{
    return digits_u64(text, strlen(text), out);
}

bool value_real(const char *text, double *out)
{
    /* strtod alone would take "nan", "inf", hexadecimal and leading blanks.  The program never
     * calls setlocale, so the point is a point. */
    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text) || strlen(text) > 400)
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

bool value_bool(const char *text, int64_t *out)
{
    bool yes = !strcmp(text, "true") || !strcmp(text, "True") || !strcmp(text, "1");
    bool no = !strcmp(text, "false") || !strcmp(text, "False") || !strcmp(text, "0");
    *out = yes;
    return yes || no;
}

static bool unit_bytes(const char *unit, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", 1ull << 10},
        {"MiB", 1ull << 20},
        {"GiB", 1ull << 30},
        {"TiB", 1ull << 40},
        {"KB", 1000},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0) {
            *out = units[i].bytes;
            return true;
        }
    }
    return false;
}

bool value_size(const char *text, uint64_t *out)
{
    uint64_t whole, unit, fraction = 0, scale = 1;
    size_t digits = strspn(text, "0123456789");
    if (!digits_u64(text, digits, &whole))
        return false;
    text += digits;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        if (digits > 6 || !digits_u64(text, digits, &fraction))
            return false;
        for (size_t i = 0; i < digits; i++)
            scale *= 10;
        text += digits;
    }
    if (!unit_bytes(text, &unit) || (scale > 1 && unit == 1) ||
        __builtin_mul_overflow(whole, unit, &whole))
        return false;
    /* fraction < 10^6 and unit <= 2^40: the product fits */
    return !__builtin_add_overflow(whole, fraction * unit / scale, out);
}

static const char *const readers[] = {"auto", "map", "buffered", "direct"};
#define READERS (sizeof readers / sizeof readers[0])

bool value_reader(const char *text, plim_reader *out)
{
    for (size_t i = 0; i < READERS; i++)
        if (!strcmp(text, readers[i])) {
            *out = (plim_reader)i;
            return true;
        }
    return false;
}

const char *text_of_reader(plim_reader reader)
{
    return (size_t)reader < READERS ? readers[reader] : "?";
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(const char *text, size_t at, size_t end)
{
    while (at < end && is_blank(text[at]))
        at++;
    return at;
}

/* The ids of text[at..end), brackets taken off; false with *at where something else stands. */
static bool read_ids(const char *text, size_t *at, size_t end, cli_ids *out)
{
    bool comma = false;
    *at = skip_blanks(text, *at, end);
    while (*at < end || comma) {
        size_t first = *at;
        uint64_t value;
        while (*at < end && text[*at] >= '0' && text[*at] <= '9')
            ++*at;
        size_t digits = *at - first;
        if (!digits_u64(text + first, digits, &value) || value > INT32_MAX ||
            (*at < end && text[*at] != ',' && !is_blank(text[*at]))) {
            *at = first;
            return false;
        }
        out->ids[out->count++] = (int32_t)value;
        *at = skip_blanks(text, *at, end);
        comma = *at < end && text[*at] == ',';
        *at = skip_blanks(text, *at + (comma ? 1 : 0), end);
    }
    return true;
}

plim_status value_ids(const char *text, size_t bytes, const char *what, cli_ids *out,
                      plim_error *err)
{
    size_t at = skip_blanks(text, 0, bytes), end = bytes;
    while (end > at && is_blank(text[end - 1]))
        end--;
    if (end - at >= 2 && text[at] == '[' && text[end - 1] == ']') {
        at++;
        end--;
    }
    out->count = 0;
    out->ids = malloc((bytes / 2 + 1) * sizeof *out->ids);
    if (!out->ids)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for %zu token ids", bytes / 2 + 1);
    if (!read_ids(text, &at, end, out))
        return cli_fail(err, PLIM_E_USAGE,
                        "%s: want token ids as in 1,2,3 (each 0..2147483647), found '%.*s'", what,
                        (int)(end - at < 20 ? end - at : 20), text + at);
    return PLIM_OK;
}

char *text_of_bytes(char *out, size_t cap, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024.0;
        unit++;
    }
    if (unit == 0)
        snprintf(out, cap, "%" PRIu64 " B", bytes);
    else
        snprintf(out, cap, "%.1f %s", value, units[unit]);
    return out;
}

char *text_of_seconds(char *out, size_t cap, double seconds)
{
    double minutes = seconds / 60;
    if (seconds < 10)
        snprintf(out, cap, seconds < 1 ? "%.3f s" : "%.2f s", seconds);
    else if (seconds < 600)
        snprintf(out, cap, "%.0f s", seconds);
    else if (minutes < 600)
        snprintf(out, cap, "%.0f min", minutes);
    else
        snprintf(out, cap, "%.0f h", minutes / 60);
    return out;
}
