/* SPDX-License-Identifier: Apache-2.0
 *
 * str.format, with the sandbox's rules for attributes, and format specifications. */
#include <string.h>

#include "base/utf8.h"
#include "chat/format.h"
#include "chat/strings.h"

/* ---- specifications ---- */

static char at(const plim_str *s, size_t i)
{
    return i < s->bytes ? s->data[i] : 0;
}

static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static plim_status spec_number(plim_run *run, const plim_str *s, size_t *i, int64_t *out)
{
    for (*out = 0; at(s, *i) >= '0' && at(s, *i) <= '9'; ++*i) {
        *out = *out * 10 + (at(s, *i) - '0');
        if (*out > (int64_t)PLIM_CHAT_MEMORY_BYTES)
            return plim_run_fail(run, PLIM_E_LIMIT, "a width of more than %zu",
                                 (size_t)PLIM_CHAT_MEMORY_BYTES);
    }
    return PLIM_OK;
}

/* [[fill]align][sign][#][0][width][,_][.precision][type] */
static plim_status parse_spec(plim_run *run, const plim_str *s, plim_field *f)
{
    uint32_t code;
    size_t i = 0, first = s->bytes ? plim_str_char(s, 0, &code) : 0;
    plim_val fill;
    *f = (plim_field){.precision = -1};
    if (first && is_align(at(s, first))) {
        PLIM_TRY(plim_str_part(run, s, 0, first, &fill));
        f->fill = fill.u.s;
        f->align = at(s, first);
        i = first + 1;
    } else if (is_align(at(s, 0))) {
        f->align = at(s, i++);
    }
    if (at(s, i) == '+' || at(s, i) == '-' || at(s, i) == ' ') {
        f->sign = at(s, i) == '-' ? 0 : at(s, i);
        i++;
    }
    f->alternate = at(s, i) == '#';
    i += f->alternate;
    f->zero = at(s, i) == '0';
    i += f->zero;
    PLIM_TRY(spec_number(run, s, &i, &f->width));
    if (at(s, i) == ',' || at(s, i) == '_')
        f->group = at(s, i++);
    if (at(s, i) == '.') {
        size_t from = ++i;
        PLIM_TRY(spec_number(run, s, &i, &f->precision));
        if (i == from)
            return plim_run_fail(run, PLIM_E_FORMAT, "format specifier missing precision");
    }
    if (i < s->bytes)
        f->type = at(s, i++);
    return i == s->bytes ? PLIM_OK : plim_run_fail(run, PLIM_E_FORMAT, "invalid format specifier");
}

static plim_status unknown_code(plim_run *run, char type, plim_val v)
{
    return plim_run_fail(run, PLIM_E_FORMAT, "unknown format code '%c' for object of type '%s'",
                         type, plim_type_name(v));
}

static plim_status format_int(plim_run *run, plim_buf *buf, plim_field *f, plim_val v)
{
    plim_digits digits;
    int64_t value = plim_integral(v);
    if (f->type && strchr("eEfFgG%", f->type)) {
        PLIM_TRY(plim_digits_float(run, f, (double)value, &digits));
        return plim_put_digits(run, buf, f, &digits);
    }
    if (f->type == 'c') {
        char utf8[4];
        plim_str one = {.data = utf8, .input = true}; /* as of %c */
        one.bytes = value >= 0 && value < 0x110000 ? plim_utf8_encode((uint32_t)value, utf8) : 0;
        if (!one.bytes)
            return plim_run_fail(run, PLIM_E_FORMAT, "%%c arg is no character");
        return plim_put_text(run, buf, f, &one);
    }
    if (f->type && !strchr("dnxXob", f->type))
        return unknown_code(run, f->type, v);
    if (f->precision >= 0)
        return plim_run_fail(run, PLIM_E_FORMAT,
                             "precision not allowed in integer format specifier");
    PLIM_TRY(plim_digits_int(run, f, value, &digits));
    return plim_put_digits(run, buf, f, &digits);
}

plim_status plim_format_spec(plim_run *run, plim_val v, const plim_str *spec, plim_buf *buf)
{
    plim_field f;
    plim_digits digits;
    if (!spec->bytes)
        return plim_print(run, buf, v);
    PLIM_TRY(parse_spec(run, spec, &f));
    if (f.group && f.zero && f.width)
        return plim_run_fail(run, PLIM_E_UNSUP, "a format with groups and zeros in front");
    if (v.kind == PLIM_V_STR) {
        if ((f.type && f.type != 's') || f.sign || f.alternate || f.group || f.align == '=')
            return plim_run_fail(run, PLIM_E_FORMAT, "invalid format specifier for a string");
        return plim_put_text(run, buf, &f, v.u.s);
    }
    if (v.kind == PLIM_V_INT || (v.kind == PLIM_V_BOOL && f.type != 's'))
        return format_int(run, buf, &f, v);
    if (v.kind == PLIM_V_FLOAT) {
        if (f.type && !strchr("eEfFgGn%", f.type))
            return unknown_code(run, f.type, v);
        PLIM_TRY(plim_digits_float(run, &f, v.u.f, &digits));
        return plim_put_digits(run, buf, &f, &digits);
    }
    return plim_run_fail(run, PLIM_E_FORMAT, "unsupported format string passed to %s.__format__",
                         plim_type_name(v));
}

/* ---- fields ---- */

typedef struct formatting {
    const plim_args *args;
    int64_t next; /* automatic numbering; -1: numbers are written */
    bool markup;
} formatting;

static plim_status numbered(plim_run *run, const formatting *f, int64_t n, plim_val *out)
{
    if (n >= 0 && (uint64_t)n < f->args->count) {
        *out = f->args->at[n];
        return PLIM_OK;
    }
    return plim_run_fail(run, PLIM_E_FORMAT, "Replacement index %lld out of range", (long long)n);
}

/* The value that a field begins with: a number, a name, or nothing. */
static plim_status first_value(plim_run *run, formatting *f, const plim_str *name, plim_val *out)
{
    bool digits = name->bytes > 0;
    int64_t n = 0;
    for (size_t i = 0; i < name->bytes && digits; i++) {
        digits = name->data[i] >= '0' && name->data[i] <= '9' && n < 1000000;
        n = n * 10 + (name->data[i] - '0');
    }
    if (!name->bytes || digits) {
        if (digits ? f->next > 0 : f->next < 0)
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "cannot mix automatic and manual field numbers");
        if (!digits)
            return numbered(run, f, f->next++, out);
        f->next = -1;
        return numbered(run, f, n, out);
    }
    for (size_t i = 0; i < f->args->named; i++) {
        if (plim_str_equal(f->args->names[i], name)) {
            *out = f->args->values[i];
            return PLIM_OK;
        }
    }
    return plim_run_fail(run, PLIM_E_FORMAT, "format: no argument '%.*s'", plim_str_shown(name),
                         name->data);
}

/* "[key]": a number where it is one. */
static plim_status subscript(plim_run *run, plim_val v, const plim_str *field, size_t from,
                             size_t to, plim_val *out)
{
    int64_t n = 0;
    bool digits = to > from;
    plim_val key;
    for (size_t i = from; i < to && digits; i++) {
        digits = field->data[i] >= '0' && field->data[i] <= '9' && n < (int64_t)1 << 50;
        n = n * 10 + (field->data[i] - '0');
    }
    PLIM_TRY(plim_str_part(run, field, from, to, &key));
    return plim_getitem(run, v, digits ? plim_int(n) : key, out);
}

/* The next '.' or '[' at or after `from`. */
static size_t next_step(const plim_str *s, size_t from)
{
    while (from < s->bytes && s->data[from] != '.' && s->data[from] != '[')
        from++;
    return from;
}

static plim_status field_value(plim_run *run, formatting *f, const plim_str *field, plim_val *out)
{
    size_t i = next_step(field, 0);
    plim_str name = {.data = field->data, .bytes = i};
    PLIM_TRY(first_value(run, f, &name, out));
    while (i < field->bytes) {
        if (field->data[i] == '.') {
            size_t to = next_step(field, i + 1);
            plim_val attribute;
            if (to == i + 1)
                return plim_run_fail(run, PLIM_E_FORMAT, "empty attribute in format string");
            PLIM_TRY(plim_str_part(run, field, i + 1, to, &attribute));
            PLIM_TRY(plim_getattr(run, *out, attribute.u.s, out));
            i = to;
            continue;
        }
        const char *close =
            field->data[i] == '[' ? memchr(field->data + i, ']', field->bytes - i) : NULL;
        if (!close || close == field->data + i + 1)
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "a field of a format string that is malformed");
        size_t to = (size_t)(close - field->data);
        PLIM_TRY(subscript(run, *out, field, i + 1, to, out));
        i = to + 1;
    }
    return PLIM_OK;
}

static plim_status vformat(plim_run *run, formatting *f, const plim_str *s, unsigned depth,
                           plim_buf *buf);

/* "name!r:spec", without the braces. */
static plim_status replace_field(plim_run *run, formatting *f, const plim_str *s, size_t from,
                                 size_t to, unsigned depth, plim_buf *buf)
{
    size_t end = from, brackets = 0;
    char conversion = 0;
    for (; end < to && (brackets || (s->data[end] != '!' && s->data[end] != ':')); end++)
        brackets = s->data[end] == '[' ? 1 : s->data[end] == ']' ? 0 : brackets;
    plim_val name, value, spec;
    size_t spec_from = end;
    PLIM_TRY(plim_str_part(run, s, from, end, &name));
    if (end < to && s->data[end] == '!') {
        conversion = end + 1 < to ? s->data[end + 1] : 0;
        spec_from = end + 2;
        if (!conversion || (spec_from < to && s->data[spec_from] != ':'))
            return plim_run_fail(run, PLIM_E_FORMAT,
                                 "a conversion of a format string is malformed");
    }
    PLIM_TRY(field_value(run, f, name.u.s, &value));
    if (conversion && conversion != 's' && conversion != 'r')
        return plim_run_fail(run, conversion == 'a' ? PLIM_E_UNSUP : PLIM_E_FORMAT,
                             "conversion specifier '%c'", conversion);
    plim_buf *text;
    if (conversion) {
        PLIM_TRY(plim_buf_new(run, &text));
        PLIM_TRY(conversion == 'r' ? plim_repr(run, text, value) : plim_print(run, text, value));
        PLIM_TRY(plim_buf_take(run, text, &value));
    }
    PLIM_TRY(plim_str_part(run, s, spec_from < to ? spec_from + 1 : to, to, &spec));
    PLIM_TRY(plim_buf_new(run, &text));
    PLIM_TRY(vformat(run, f, spec.u.s, depth - 1, text));
    PLIM_TRY(plim_buf_take(run, text, &spec));
    if (!f->markup)
        return plim_format_spec(run, value, spec.u.s, buf);
    bool safe = value.kind == PLIM_V_STR && value.markup;
    PLIM_TRY(plim_buf_new(run, &text));
    PLIM_TRY(plim_format_spec(run, value, spec.u.s, text));
    PLIM_TRY(plim_buf_take(run, text, &value));
    if (!safe)
        PLIM_TRY(plim_str_escape(run, value.u.s, &value));
    return plim_buf_all(run, buf, value.u.s);
}

/* Where the field that begins at `from` (behind its brace) ends: at its closing brace. */
static plim_status field_end(plim_run *run, const plim_str *s, size_t from, size_t *to)
{
    size_t depth = 1, i = from;
    for (; i < s->bytes; i++) {
        depth += s->data[i] == '{';
        if (s->data[i] == '}' && --depth == 0)
            break;
    }
    *to = i;
    return depth ? plim_run_fail(run, PLIM_E_FORMAT, "expected '}' before end of string") : PLIM_OK;
}

static plim_status vformat(plim_run *run, formatting *f, const plim_str *s, unsigned depth,
                           plim_buf *buf)
{
    if (!depth)
        return plim_run_fail(run, PLIM_E_FORMAT, "Max string recursion exceeded");
    for (size_t i = 0, to; i < s->bytes; i++) {
        char c = s->data[i];
        if (c != '{' && c != '}') {
            size_t from = i;
            while (i + 1 < s->bytes && s->data[i + 1] != '{' && s->data[i + 1] != '}')
                i++;
            PLIM_TRY(plim_buf_add(run, buf, s, from, i + 1));
        } else if (at(s, i + 1) == c) {
            PLIM_TRY(plim_buf_add(run, buf, s, i, i + 1));
            i++;
        } else if (c == '}') {
            return plim_run_fail(run, PLIM_E_FORMAT, "Single '}' encountered in format string");
        } else {
            PLIM_TRY(field_end(run, s, i + 1, &to));
            PLIM_TRY(replace_field(run, f, s, i + 1, to, depth, buf));
            i = to;
        }
    }
    return PLIM_OK;
}

plim_status plim_format_method(plim_run *run, plim_val self, const plim_args *args, plim_val *out)
{
    formatting f = {.args = args, .markup = self.markup};
    plim_buf *buf;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    PLIM_TRY(vformat(run, &f, self.u.s, 3, buf));
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = self.markup;
    return PLIM_OK;
}
