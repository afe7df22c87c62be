/* SPDX-License-Identifier: Apache-2.0
 *
 * str() and repr() of values, as Python 3 writes them.  The characters of an escape carry the mark
 * of the character that they stand for. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "chat/run.h"

size_t plim_float_repr(char *out, double value)
{
    if (isnan(value) || isinf(value))
        return plim_format(out, 40, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    char digits[40];
    double back = 0;
    for (int precision = 0; precision < 17; precision++) {
        size_t n = plim_format(digits, sizeof digits, "%.*e", precision, value);
        if (plim_parse_f64(digits, n, &back) && back == value)
            break;
    }
    char *e = strchr(digits, 'e');
    bool negative = digits[0] == '-';
    int exponent = 0;
    for (const char *p = e + 2; *p; p++)
        exponent = exponent * 10 + (*p - '0');
    if (e[1] == '-')
        exponent = -exponent;
    char plain[24];
    int count = 0;
    for (const char *p = digits + negative; p < e; p++) {
        if (*p != '.')
            plain[count++] = *p;
    }
    plain[count] = 0;
    const char *sign = negative ? "-" : "";
    if (exponent < -4 || exponent >= 16)
        return plim_format(out, 40, "%s%c%s%se%c%02d", sign, plain[0], count > 1 ? "." : "",
                           plain + 1, exponent < 0 ? '-' : '+',
                           exponent < 0 ? -exponent : exponent);
    if (exponent < 0)
        return plim_format(out, 40, "%s0.%.*s%s", sign, -exponent - 1, "0000", plain);
    if (count <= exponent + 1)
        return plim_format(out, 40, "%s%s%.*s.0", sign, plain, exponent + 1 - count,
                           "0000000000000000");
    return plim_format(out, 40, "%s%.*s.%s", sign, exponent + 1, plain, plain + exponent + 1);
}

/* ---- strings ---- */

/* The escape of a character in quotes, "" where it stands for itself. */
static void escape_of(uint32_t code, char quote, char out[16])
{
    static const char named[] = "\t\n\r\\", letters[] = "tnr\\";
    const char *found = code && code < 0x80 ? strchr(named, (char)code) : NULL;
    out[0] = 0;
    if (found)
        plim_format(out, 16, "\\%c", letters[found - named]);
    else if (code == (unsigned char)quote)
        plim_format(out, 16, "\\%c", quote);
    else if (code >= 0x20 && code < 0x7F)
        return;
    else if (code < 0x80 || (!(plim_char_flags(code) & PLIM_CHAR_PRINTABLE) && code < 0x100))
        plim_format(out, 16, "\\x%02x", (unsigned)code);
    else if (!(plim_char_flags(code) & PLIM_CHAR_PRINTABLE))
        plim_format(out, 16, code < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)code);
}

static plim_status repr_str(plim_run *run, plim_buf *buf, const plim_str *s)
{
    bool single = s->bytes && memchr(s->data, '\'', s->bytes);
    bool both = single && memchr(s->data, '"', s->bytes);
    char quote = single && !both ? '"' : '\'';
    bool input = plim_str_input(s, 0, s->bytes); /* the choice of quotes came from there */
    size_t from = 0;
    PLIM_TRY(plim_work_chars(run, s->bytes));
    PLIM_TRY(plim_buf_put(run, buf, &quote, 1, input));
    for (size_t i = 0; i < s->bytes;) {
        uint32_t code;
        char escape[16];
        size_t n = plim_str_char(s, i, &code);
        escape_of(code, quote, escape);
        if (escape[0]) {
            PLIM_TRY(plim_buf_add(run, buf, s, from, i));
            PLIM_TRY(plim_buf_put(run, buf, escape, strlen(escape), plim_str_input(s, i, i + n)));
            from = i + n;
        }
        i += n;
    }
    PLIM_TRY(plim_buf_add(run, buf, s, from, s->bytes));
    return plim_buf_put(run, buf, &quote, 1, input);
}

/* ---- containers ---- */

static plim_status repr_list(plim_run *run, plim_buf *buf, const plim_list *list, const char *open,
                             const char *close)
{
    PLIM_TRY(plim_deeper(run));
    PLIM_TRY(plim_buf_literal(run, buf, open));
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            PLIM_TRY(plim_buf_literal(run, buf, ", "));
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_repr(run, buf, list->at[i]));
    }
    plim_shallower(run);
    return plim_buf_literal(run, buf, close);
}

static plim_status repr_dict(plim_run *run, plim_buf *buf, const plim_dict *dict)
{
    PLIM_TRY(plim_deeper(run));
    PLIM_TRY(plim_buf_literal(run, buf, "{"));
    for (size_t i = 0; i < dict->count; i++) {
        if (i)
            PLIM_TRY(plim_buf_literal(run, buf, ", "));
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_repr(run, buf, dict->at[i].key));
        PLIM_TRY(plim_buf_literal(run, buf, ": "));
        PLIM_TRY(plim_repr(run, buf, dict->at[i].value));
    }
    plim_shallower(run);
    return plim_buf_literal(run, buf, "}");
}

static plim_status repr_view(plim_run *run, plim_buf *buf, plim_val v)
{
    static const char *const names[] = {"dict_keys([", "dict_values([", "dict_items(["};
    plim_list *list;
    PLIM_TRY(plim_to_list(run, v, &list));
    return repr_list(run, buf, list, names[v.view], "])");
}

static plim_status repr_range(plim_run *run, plim_buf *buf, const plim_range *range)
{
    char text[96];
    if (range->step == 1)
        plim_format(text, sizeof text, "range(%lld, %lld)", (long long)range->start,
                    (long long)range->stop);
    else
        plim_format(text, sizeof text, "range(%lld, %lld, %lld)", (long long)range->start,
                    (long long)range->stop, (long long)range->step);
    return plim_buf_literal(run, buf, text);
}

static plim_status repr_loop(plim_run *run, plim_buf *buf, plim_val v)
{
    int64_t length;
    char text[64];
    PLIM_TRY(plim_length(run, v, &length));
    plim_format(text, sizeof text, "<LoopContext %lld/%lld>", (long long)v.u.loop->index0 + 1,
                (long long)length);
    return plim_buf_literal(run, buf, text);
}

static plim_status repr_macro(plim_run *run, plim_buf *buf, const plim_macro *macro)
{
    PLIM_TRY(plim_buf_literal(run, buf, "<Macro "));
    if (macro->name)
        PLIM_TRY(repr_str(run, buf, macro->name));
    else
        PLIM_TRY(plim_buf_literal(run, buf, "anonymous"));
    return plim_buf_literal(run, buf, ">");
}

plim_status plim_repr(plim_run *run, plim_buf *buf, plim_val v)
{
    char text[48];
    switch ((plim_kind)v.kind) {
    case PLIM_V_UNDEFINED:
        return plim_buf_literal(run, buf, "Undefined");
    case PLIM_V_NONE:
        return plim_buf_literal(run, buf, "None");
    case PLIM_V_BOOL:
        return plim_buf_literal(run, buf, v.u.b ? "True" : "False");
    case PLIM_V_INT:
        plim_format(text, sizeof text, "%lld", (long long)v.u.i);
        return plim_buf_literal(run, buf, text);
    case PLIM_V_FLOAT:
        plim_float_repr(text, v.u.f);
        return plim_buf_literal(run, buf, text);
    case PLIM_V_STR:
        if (!v.markup)
            return repr_str(run, buf, v.u.s);
        PLIM_TRY(plim_buf_literal(run, buf, "Markup("));
        PLIM_TRY(repr_str(run, buf, v.u.s));
        return plim_buf_literal(run, buf, ")");
    case PLIM_V_LIST:
        return repr_list(run, buf, v.u.list, "[", "]");
    case PLIM_V_TUPLE:
        return repr_list(run, buf, v.u.list, "(", v.u.list->count == 1 ? ",)" : ")");
    case PLIM_V_DICT:
        return repr_dict(run, buf, v.u.dict);
    case PLIM_V_VIEW:
        return repr_view(run, buf, v);
    case PLIM_V_RANGE:
        return repr_range(run, buf, v.u.range);
    case PLIM_V_NAMESPACE:
        PLIM_TRY(plim_buf_literal(run, buf, "<Namespace "));
        PLIM_TRY(repr_dict(run, buf, v.u.dict));
        return plim_buf_literal(run, buf, ">");
    case PLIM_V_LOOP:
        return repr_loop(run, buf, v);
    case PLIM_V_SELF:
        return plim_buf_literal(run, buf, "<TemplateReference None>");
    case PLIM_V_MACRO:
        return repr_macro(run, buf, v.u.macro);
    default: /* Python would print an address */
        return plim_run_fail(run, PLIM_E_UNSUP, "a '%s' object has no text of its own",
                             plim_type_name(v));
    }
}

plim_status plim_print(plim_run *run, plim_buf *buf, plim_val v)
{
    if (v.kind == PLIM_V_STR)
        return plim_buf_all(run, buf, v.u.s);
    return v.kind == PLIM_V_UNDEFINED ? PLIM_OK : plim_repr(run, buf, v);
}

plim_status plim_to_text(plim_run *run, plim_val v, const plim_str **out)
{
    plim_buf *buf;
    plim_val text;
    if (v.kind == PLIM_V_STR) {
        *out = v.u.s;
        return PLIM_OK;
    }
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_print(run, buf, v));
    PLIM_TRY(plim_buf_take(run, buf, &text));
    *out = text.u.s;
    return PLIM_OK;
}
