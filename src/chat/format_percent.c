/* SPDX-License-Identifier: Apache-2.0
 *
 * "..." % values. */
#include <string.h>

#include "base/utf8.h"
#include "chat/format.h"
#include "chat/strings.h"

typedef struct percent {
    const plim_str *format;
    size_t at;
    plim_val args;
    size_t next; /* of a tuple, or of the one value */
    bool markup;
} percent;

static plim_status next_value(plim_run *run, percent *p, plim_val *out)
{
    if (p->args.kind == PLIM_V_TUPLE && p->next < p->args.u.list->count) {
        *out = p->args.u.list->at[p->next++];
        return PLIM_OK;
    }
    if (p->args.kind != PLIM_V_TUPLE && p->next == 0) {
        p->next++;
        *out = p->args;
        return PLIM_OK;
    }
    return plim_run_fail(run, PLIM_E_FORMAT, "not enough arguments for format string");
}

static char peek(const percent *p)
{
    return p->at < p->format->bytes ? p->format->data[p->at] : 0;
}

/* "(key)" */
static plim_status keyed(plim_run *run, percent *p, plim_val *out)
{
    size_t from = ++p->at, depth = 1;
    for (; p->at < p->format->bytes && depth; p->at++)
        depth += (size_t)(peek(p) == '(') - (size_t)(peek(p) == ')');
    if (depth)
        return plim_run_fail(run, PLIM_E_FORMAT, "incomplete format key");
    if (p->args.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "format requires a mapping");
    plim_val key;
    bool found;
    PLIM_TRY(plim_str_part(run, p->format, from, p->at - 1, &key));
    PLIM_TRY(plim_dict_get(run, p->args.u.dict, key, out, &found));
    return found ? PLIM_OK : plim_run_fail(run, PLIM_E_FORMAT, "a format key that is not there");
}

/* Digits, or a star for the next value. */
static plim_status number(plim_run *run, percent *p, int64_t *out)
{
    plim_val v;
    *out = 0;
    if (peek(p) == '*') {
        p->at++;
        PLIM_TRY(next_value(run, p, &v));
        return plim_to_index(run, v, "* in a format", out);
    }
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        *out = *out * 10 + (peek(p) - '0');
        if (*out > (int64_t)PLIM_CHAT_MEMORY_BYTES)
            return plim_run_fail(run, PLIM_E_LIMIT, "a width of more than %zu",
                                 (size_t)PLIM_CHAT_MEMORY_BYTES);
    }
    return PLIM_OK;
}

static plim_status parse_field(plim_run *run, percent *p, plim_field *field, plim_val *value,
                               bool *has_value)
{
    static const char flags[] = "-+ #0";
    *has_value = peek(p) == '(';
    if (*has_value)
        PLIM_TRY(keyed(run, p, value));
    *field = (plim_field){.precision = -1, .align = '>'};
    for (; peek(p) && strchr(flags, peek(p)); p->at++) {
        char c = peek(p);
        if (c == '-')
            field->align = '<';
        else if (c == '+' || (c == ' ' && !field->sign))
            field->sign = c;
        field->alternate = field->alternate || c == '#';
        field->zero = field->zero || c == '0';
    }
    PLIM_TRY(number(run, p, &field->width));
    if (field->width < 0) {
        field->align = '<';
        field->width = -field->width;
    }
    if (peek(p) == '.') {
        p->at++;
        PLIM_TRY(number(run, p, &field->precision));
        field->precision = field->precision < 0 ? 0 : field->precision;
    }
    if (peek(p) == 'h' || peek(p) == 'l' || peek(p) == 'L')
        p->at++;
    if (!peek(p))
        return plim_run_fail(run, PLIM_E_FORMAT, "incomplete format");
    field->type = p->format->data[p->at++];
    return PLIM_OK;
}

/* ---- conversions ---- */

static plim_status put_int(plim_run *run, plim_buf *buf, plim_field *field, plim_val v)
{
    plim_digits digits;
    int64_t value;
    bool whole = field->type == 'd' || field->type == 'i' || field->type == 'u';
    if (v.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, v);
    if (v.kind == PLIM_V_FLOAT && whole)
        PLIM_TRY(plim_float_to_int(run, v.u.f, &value));
    else if (plim_is_integral(v))
        value = plim_integral(v);
    else
        return plim_run_fail(run, PLIM_E_FORMAT, "%%%c format: a number is required, not %s",
                             field->type, plim_type_name(v));
    if (whole)
        field->type = 'd';
    PLIM_TRY(plim_digits_int(run, field, value, &digits));
    if (field->precision > PLIM_CHAT_MAX_PRECISION)
        return plim_run_fail(run, PLIM_E_LIMIT, "a precision of more than %d",
                             PLIM_CHAT_MAX_PRECISION);
    size_t want = field->precision < 0 ? 0 : (size_t)field->precision;
    if (want > digits.bytes) {
        memmove(digits.text + want - digits.bytes, digits.text, digits.bytes);
        memset(digits.text, '0', want - digits.bytes);
        digits.bytes = want;
    }
    field->align = field->align == '>' && field->zero ? '=' : field->align;
    field->zero = field->align == '=';
    return plim_put_digits(run, buf, field, &digits);
}

static plim_status put_float(plim_run *run, plim_buf *buf, plim_field *field, plim_val v)
{
    plim_digits digits;
    if (v.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, v);
    if (!plim_is_number(v))
        return plim_run_fail(run, PLIM_E_FORMAT, "must be real number, not %s", plim_type_name(v));
    if (!field->precision && (field->type == 'g' || field->type == 'G'))
        field->precision = 1;
    PLIM_TRY(plim_digits_float(run, field, plim_number(v), &digits));
    field->align = field->align == '>' && field->zero ? '=' : field->align;
    field->zero = field->align == '=';
    return plim_put_digits(run, buf, field, &digits);
}

static plim_status put_char(plim_run *run, plim_buf *buf, plim_field *field, plim_val v)
{
    char utf8[4];
    /* A number bears no mark, and may be one of the context: what it spells counts as input. */
    plim_str one = {.data = utf8, .input = true};
    field->precision = -1;
    field->zero = false;
    if (v.kind == PLIM_V_STR && v.u.s->bytes <= 4 && plim_str_length(v.u.s) == 1)
        return plim_put_text(run, buf, field, v.u.s);
    if (!plim_is_integral(v))
        return plim_run_fail(run, PLIM_E_FORMAT, "%%c requires int or char");
    int64_t code = plim_integral(v);
    one.bytes = code >= 0 && code < 0x110000 ? plim_utf8_encode((uint32_t)code, utf8) : 0;
    if (!one.bytes)
        return plim_run_fail(run, PLIM_E_FORMAT, "%%c arg is no character");
    return plim_put_text(run, buf, field, &one);
}

static plim_status put_str(plim_run *run, percent *p, plim_buf *buf, plim_field *field, plim_val v)
{
    plim_buf *text;
    plim_val s;
    bool markup = v.kind == PLIM_V_STR && v.markup;
    PLIM_TRY(plim_buf_new(run, &text));
    PLIM_TRY(field->type == 's' ? plim_print(run, text, v) : plim_repr(run, text, v));
    PLIM_TRY(plim_buf_take(run, text, &s));
    if (p->markup && !(markup && field->type == 's'))
        PLIM_TRY(plim_str_escape(run, s.u.s, &s));
    field->zero = false;
    return plim_put_text(run, buf, field, s.u.s);
}

static plim_status convert(plim_run *run, percent *p, plim_buf *buf)
{
    plim_field field;
    plim_val v;
    bool has_value;
    PLIM_TRY(parse_field(run, p, &field, &v, &has_value));
    if (field.type == '%')
        return plim_buf_add(run, buf, p->format, p->at - 1, p->at);
    if (!strchr("diuoxXeEfFgGcrsa", field.type)) {
        uint32_t code;
        const char *at = p->format->data + p->at - 1;
        return plim_run_fail(run, PLIM_E_FORMAT, "unsupported format character '%.*s'",
                             (int)plim_str_char(p->format, p->at - 1, &code), at);
    }
    if (!has_value)
        PLIM_TRY(next_value(run, p, &v));
    if (strchr("diuoxX", field.type))
        return put_int(run, buf, &field, v);
    if (strchr("eEfFgG", field.type))
        return put_float(run, buf, &field, v);
    if (field.type == 'c')
        return put_char(run, buf, &field, v);
    if (field.type == 'a')
        return plim_run_fail(run, PLIM_E_UNSUP, "%%a in a format");
    return put_str(run, p, buf, &field, v);
}

plim_status plim_percent(plim_run *run, const plim_str *format, plim_val args, bool markup,
                         plim_val *out)
{
    percent p = {.format = format, .args = args, .markup = markup};
    plim_buf *buf;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work_chars(run, format->bytes));
    while (p.at < format->bytes) {
        const char *found = memchr(format->data + p.at, '%', format->bytes - p.at);
        size_t to = found ? (size_t)(found - format->data) : format->bytes;
        PLIM_TRY(plim_buf_add(run, buf, format, p.at, to));
        p.at = to + 1;
        if (found)
            PLIM_TRY(convert(run, &p, buf));
    }
    bool mapping = args.kind == PLIM_V_DICT || args.kind == PLIM_V_LIST ||
                   args.kind == PLIM_V_RANGE || args.kind == PLIM_V_UNDEFINED;
    size_t given = args.kind == PLIM_V_TUPLE ? args.u.list->count : mapping ? 0 : 1;
    if (p.next < given)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "not all arguments converted during string formatting");
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = markup;
    return PLIM_OK;
}
