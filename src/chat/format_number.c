/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as text: digits, signs, groups, padding. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "chat/format.h"

static void put_sign(plim_digits *out, bool negative, char sign, const char *prefix)
{
    const char text[2] = {(char)(negative ? '-' : sign), 0};
    plim_format(out->prefix, sizeof out->prefix, "%s%s", text, prefix);
}

/* Separators between groups of `size` digits, counted from the end of the whole part. */
static void group_digits(plim_digits *out, char separator, size_t size)
{
    size_t whole = 0;
    while (whole < out->bytes && ((out->text[whole] >= '0' && out->text[whole] <= '9') ||
                                  (size == 4 && out->text[whole] != '.')))
        whole++;
    size_t more = whole ? (whole - 1) / size : 0;
    if (!separator || !more || out->bytes + more + 1 > sizeof out->text)
        return;
    memmove(out->text + whole + more, out->text + whole, out->bytes - whole);
    size_t to = whole + more;
    for (size_t from = whole, n = 0; from > 0;) {
        if (n && n % size == 0)
            out->text[--to] = separator;
        out->text[--to] = out->text[--from];
        n++;
    }
    out->bytes += more;
}

plim_status plim_digits_int(plim_run *run, const plim_field *field, int64_t value, plim_digits *out)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    const char *prefix = "";
    (void)run;
    switch (field->type) {
    case 'x':
        out->bytes = plim_format(out->text, sizeof out->text, "%llx", (unsigned long long)size);
        prefix = field->alternate ? "0x" : "";
        break;
    case 'X':
        out->bytes = plim_format(out->text, sizeof out->text, "%llX", (unsigned long long)size);
        prefix = field->alternate ? "0X" : "";
        break;
    case 'o':
        out->bytes = plim_format(out->text, sizeof out->text, "%llo", (unsigned long long)size);
        prefix = field->alternate ? "0o" : "";
        break;
    case 'b':
        out->bytes = 0;
        for (int bit = size ? 63 - __builtin_clzll(size) : 0; bit >= 0; bit--)
            out->text[out->bytes++] = (char)('0' + (size >> bit & 1));
        prefix = field->alternate ? "0b" : "";
        break;
    default:
        out->bytes = plim_format(out->text, sizeof out->text, "%llu", (unsigned long long)size);
        break;
    }
    put_sign(out, value < 0, field->sign, prefix);
    bool decimal = field->type == 'd' || field->type == 'n' || !field->type;
    group_digits(out, field->group, decimal ? 3 : 4);
    return PLIM_OK;
}

static size_t put_real(plim_digits *out, char type, bool alternate, int precision, double value)
{
    const size_t cap = sizeof out->text - 1;
    switch (type) {
    case 'e':
        return plim_format(out->text, cap, alternate ? "%#.*e" : "%.*e", precision, value);
    case 'E':
        return plim_format(out->text, cap, alternate ? "%#.*E" : "%.*E", precision, value);
    case 'g':
        return plim_format(out->text, cap, alternate ? "%#.*g" : "%.*g", precision, value);
    case 'G':
        return plim_format(out->text, cap, alternate ? "%#.*G" : "%.*G", precision, value);
    default:
        return plim_format(out->text, cap, alternate ? "%#.*f" : "%.*f", precision, value);
    }
}

plim_status plim_digits_float(plim_run *run, const plim_field *field, double value,
                              plim_digits *out)
{
    char type = field->type;
    bool percent = type == '%';
    int64_t precision = field->precision < 0 ? 6 : field->precision;
    if (precision > PLIM_CHAT_MAX_PRECISION)
        return plim_run_fail(run, PLIM_E_LIMIT, "a precision of more than %d",
                             PLIM_CHAT_MAX_PRECISION);
    if (percent) {
        value *= 100;
        type = 'f';
    }
    put_sign(out, signbit(value) && !isnan(value), field->sign, "");
    double size = fabs(value);
    if (!isfinite(value)) {
        bool upper = type == 'E' || type == 'F' || type == 'G';
        out->bytes = plim_format(out->text, sizeof out->text, "%s%s",
                                 isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"),
                                 percent ? "%" : "");
        return PLIM_OK;
    }
    if (!type && field->precision < 0) {
        out->bytes = plim_float_repr(out->text, size);
    } else {
        if (!type && !precision)
            precision = 1;
        out->bytes = put_real(out, type == 'n' || !type ? 'g' : type, field->alternate,
                              (int)precision, size);
        if (!type && !memchr(out->text, '.', out->bytes) && !memchr(out->text, 'e', out->bytes)) {
            memcpy(out->text + out->bytes, ".0", 3);
            out->bytes += 2;
        }
    }
    if (percent)
        out->text[out->bytes++] = '%';
    group_digits(out, field->group, 3);
    return PLIM_OK;
}

/* ---- padding ---- */

static plim_status put_fill(plim_run *run, plim_buf *buf, const plim_field *field, int64_t n)
{
    static const plim_str blank = {.data = " ", .bytes = 1}, zero = {.data = "0", .bytes = 1};
    plim_val padding;
    const plim_str *fill = field->fill ? field->fill : field->zero ? &zero : &blank;
    PLIM_TRY(plim_str_repeat(run, fill, n, &padding));
    return plim_buf_all(run, buf, padding.u.s);
}

plim_status plim_put_digits(plim_run *run, plim_buf *buf, const plim_field *field,
                            const plim_digits *digits)
{
    size_t bytes = strlen(digits->prefix) + digits->bytes;
    int64_t lack = field->width > (int64_t)bytes ? field->width - (int64_t)bytes : 0;
    char align = field->align ? field->align : field->zero ? '=' : '>';
    int64_t before = align == '>' ? lack : align == '^' ? lack / 2 : 0;
    PLIM_TRY(put_fill(run, buf, field, before));
    PLIM_TRY(plim_buf_literal(run, buf, digits->prefix));
    if (align == '=')
        PLIM_TRY(put_fill(run, buf, field, lack));
    PLIM_TRY(plim_buf_put(run, buf, digits->text, digits->bytes, false));
    return align == '<' || align == '^' ? put_fill(run, buf, field, lack - before) : PLIM_OK;
}

plim_status plim_put_text(plim_run *run, plim_buf *buf, const plim_field *field, const plim_str *s)
{
    plim_str part = *s;
    if (field->precision >= 0)
        part.bytes = plim_str_seek(s, (size_t)field->precision);
    PLIM_TRY(plim_work_bytes(run, part.bytes));
    int64_t length = (int64_t)plim_str_length(&part);
    int64_t lack = field->width > length ? field->width - length : 0;
    int64_t before = field->align == '>' ? lack : field->align == '^' ? lack / 2 : 0;
    PLIM_TRY(put_fill(run, buf, field, before));
    PLIM_TRY(plim_buf_all(run, buf, &part));
    return put_fill(run, buf, field, lack - before);
}
