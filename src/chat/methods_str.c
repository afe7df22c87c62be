/* SPDX-License-Identifier: Apache-2.0
 *
 * Methods of strings: case, classes of characters, padding, joining.  Those that search are in
 * methods_find.c. */
#include <string.h>

#include "base/utf8.h"
#include "chat/strings.h"

#define METHOD(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)
#define UNUSED_ARGS                                                                                \
    (void)run;                                                                                     \
    (void)args;                                                                                    \
    (void)raw

METHOD(str_upper)
{
    UNUSED_ARGS;
    return plim_str_mapped(run, self, PLIM_CASE_UPPER, out);
}

METHOD(str_lower)
{
    UNUSED_ARGS;
    return plim_str_mapped(run, self, PLIM_CASE_LOWER, out);
}

METHOD(str_casefold)
{
    UNUSED_ARGS;
    return plim_str_mapped(run, self, PLIM_CASE_FOLD, out);
}

METHOD(str_capitalize)
{
    UNUSED_ARGS;
    return plim_str_capitalize(run, self, out);
}

METHOD(str_swapcase)
{
    UNUSED_ARGS;
    plim_buf *buf;
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work(run, self.u.s->bytes / 2));
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        size_t n = plim_str_char(self.u.s, i, &code);
        unsigned flags = plim_char_flags(code);
        if (flags & PLIM_CHAR_UPPER)
            PLIM_TRY(plim_str_case(run, self.u.s, PLIM_CASE_LOWER, buf, i, i + n));
        else if (flags & PLIM_CHAR_LOWER)
            PLIM_TRY(plim_str_case(run, self.u.s, PLIM_CASE_UPPER, buf, i, i + n));
        else
            PLIM_TRY(plim_buf_add(run, buf, self.u.s, i, i + n));
        i += n;
    }
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_title)
{
    UNUSED_ARGS;
    plim_buf *buf;
    bool inside = false; /* of a word */
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work(run, self.u.s->bytes / 2));
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        size_t n = plim_str_char(self.u.s, i, &code);
        PLIM_TRY(plim_str_case(run, self.u.s, inside ? PLIM_CASE_LOWER : PLIM_CASE_TITLE, buf, i,
                               i + n));
        unsigned flags = plim_char_flags(code);
        inside = flags & (PLIM_CHAR_LOWER | PLIM_CHAR_UPPER | PLIM_CHAR_TITLE);
        i += n;
    }
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = self.markup;
    return PLIM_OK;
}

/* ---- classes ---- */

static plim_status all_are(plim_run *run, plim_val self, unsigned flags, bool empty, plim_val *out)
{
    PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    *out = plim_bool(false);
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        i += plim_str_char(self.u.s, i, &code);
        if (!(plim_char_flags(code) & flags))
            return PLIM_OK;
    }
    *out = plim_bool(self.u.s->bytes ? true : empty);
    return PLIM_OK;
}

METHOD(str_isalnum)
{
    UNUSED_ARGS;
    return all_are(run, self,
                   PLIM_CHAR_ALPHA | PLIM_CHAR_DECIMAL | PLIM_CHAR_DIGIT | PLIM_CHAR_NUMERIC, false,
                   out);
}

METHOD(str_isalpha)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_ALPHA, false, out);
}

METHOD(str_isdecimal)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_DECIMAL, false, out);
}

METHOD(str_isdigit)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_DIGIT, false, out);
}

METHOD(str_isnumeric)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_NUMERIC, false, out);
}

METHOD(str_isspace)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_SPACE, false, out);
}

METHOD(str_isprintable)
{
    UNUSED_ARGS;
    return all_are(run, self, PLIM_CHAR_PRINTABLE, true, out);
}

METHOD(str_isascii)
{
    UNUSED_ARGS;
    PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    *out = plim_bool(true);
    for (size_t i = 0; i < self.u.s->bytes; i++) {
        if ((unsigned char)self.u.s->data[i] >= 0x80)
            *out = plim_bool(false);
    }
    return PLIM_OK;
}

METHOD(str_isidentifier)
{
    UNUSED_ARGS;
    uint32_t code;
    size_t first = self.u.s->bytes ? plim_str_char(self.u.s, 0, &code) : 0;
    plim_str rest = {.data = self.u.s->data + first, .bytes = self.u.s->bytes - first};
    *out = plim_bool(false);
    if (!first || !(plim_char_flags(code) & PLIM_CHAR_NAME))
        return PLIM_OK;
    return all_are(run, plim_text(&rest), PLIM_CHAR_NAME_MORE, true, out);
}

METHOD(str_islower)
{
    UNUSED_ARGS;
    return plim_str_all_lower(run, self.u.s, out);
}

METHOD(str_isupper)
{
    UNUSED_ARGS;
    return plim_str_all_upper(run, self.u.s, out);
}

METHOD(str_istitle)
{
    UNUSED_ARGS;
    bool some = false, inside = false;
    PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    *out = plim_bool(false);
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        i += plim_str_char(self.u.s, i, &code);
        unsigned flags = plim_char_flags(code);
        bool upper = flags & (PLIM_CHAR_UPPER | PLIM_CHAR_TITLE), lower = flags & PLIM_CHAR_LOWER;
        if ((upper && inside) || (lower && !upper && !inside))
            return PLIM_OK;
        inside = upper || lower;
        some = some || inside;
    }
    *out = plim_bool(some);
    return PLIM_OK;
}

/* ---- padding ---- */

static plim_status fill_of(plim_run *run, plim_val self, plim_val given, const plim_str **fill)
{
    static const plim_str blank = {.data = " ", .bytes = 1};
    *fill = &blank;
    if (given.kind == PLIM_V_MISSING)
        return PLIM_OK;
    PLIM_TRY(plim_to_str(run, given, "the fill character", fill));
    if (self.markup && !given.markup) {
        PLIM_TRY(plim_str_escape(run, *fill, &given));
        *fill = given.u.s;
    }
    PLIM_TRY(plim_work_bytes(run, (*fill)->bytes));
    if (plim_str_length(*fill) == 1)
        return PLIM_OK;
    return plim_run_fail(run, PLIM_E_FORMAT,
                         "the fill character must be exactly one character long");
}

/* How many characters are lacking to the width that args[0] says. */
static plim_status lacking(plim_run *run, plim_val self, const plim_val *args, int64_t *lack,
                           const plim_str **fill)
{
    int64_t width;
    PLIM_TRY(plim_to_index(run, args[0], "the width", &width));
    PLIM_TRY(fill_of(run, self, args[1], fill));
    int64_t length;
    PLIM_TRY(plim_length(run, self, &length));
    *lack = width > length ? width - length : 0;
    return PLIM_OK;
}

METHOD(str_ljust)
{
    const plim_str *fill;
    int64_t lack;
    (void)raw;
    PLIM_TRY(lacking(run, self, args, &lack, &fill));
    PLIM_TRY(plim_str_pad(run, self.u.s, 0, lack, fill, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_rjust)
{
    const plim_str *fill;
    int64_t lack;
    (void)raw;
    PLIM_TRY(lacking(run, self, args, &lack, &fill));
    PLIM_TRY(plim_str_pad(run, self.u.s, lack, 0, fill, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_center)
{
    const plim_str *fill;
    int64_t width;
    (void)raw;
    PLIM_TRY(plim_to_index(run, args[0], "the width", &width));
    PLIM_TRY(fill_of(run, self, args[1], &fill));
    PLIM_TRY(plim_str_center(run, self.u.s, width, fill, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_zfill)
{
    static const plim_str zero = {.data = "0", .bytes = 1};
    int64_t width, length;
    (void)raw;
    PLIM_TRY(plim_length(run, self, &length));
    PLIM_TRY(plim_to_index(run, args[0], "the width", &width));
    *out = self;
    if (width <= length)
        return PLIM_OK;
    bool sign = self.u.s->bytes && (self.u.s->data[0] == '-' || self.u.s->data[0] == '+');
    plim_val first, rest;
    PLIM_TRY(plim_str_part(run, self.u.s, 0, sign, &first));
    PLIM_TRY(plim_str_part(run, self.u.s, sign, self.u.s->bytes, &rest));
    PLIM_TRY(plim_str_pad(run, rest.u.s, width - length, 0, &zero, &rest));
    PLIM_TRY(plim_str_concat(run, first.u.s, rest.u.s, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_expandtabs)
{
    int64_t size = 8, column = 0;
    plim_buf *buf;
    (void)raw;
    if (args[0].kind != PLIM_V_MISSING)
        PLIM_TRY(plim_to_index(run, args[0], "the tab size", &size));
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_work_chars(run, self.u.s->bytes));
    for (size_t i = 0; i < self.u.s->bytes;) {
        uint32_t code;
        size_t n = plim_str_char(self.u.s, i, &code);
        if (code == '\t' && size > 0) {
            static const plim_str blank = {.data = " ", .bytes = 1};
            plim_val blanks;
            int64_t more = size - column % size;
            PLIM_TRY(plim_str_repeat(run, &blank, more, &blanks));
            PLIM_TRY(plim_buf_put(run, buf, blanks.u.s->data, blanks.u.s->bytes,
                                  plim_str_input(self.u.s, i, i + n)));
            column += more;
        } else if (code != '\t') {
            PLIM_TRY(plim_buf_add(run, buf, self.u.s, i, i + n));
            column = code == '\n' || code == '\r' ? 0 : column + 1;
        }
        i += n;
    }
    PLIM_TRY(plim_buf_take(run, buf, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_join)
{
    plim_val items = args[0];
    (void)raw;
    if (self.markup) { /* takes anything, escaped */
        plim_list *list;
        PLIM_TRY(plim_to_list(run, items, &list));
        for (size_t i = 0; i < list->count; i++)
            PLIM_TRY(plim_escape(run, list->at[i], &list->at[i]));
        items = plim_of_list(list, PLIM_V_LIST);
    }
    PLIM_TRY(plim_str_join(run, self.u.s, items, false, out));
    out->markup = self.markup;
    return PLIM_OK;
}

METHOD(str_format)
{
    (void)args;
    return plim_format_method(run, self, raw, out);
}

METHOD(str_format_map)
{
    plim_args named = {0};
    (void)raw;
    if (args[0].kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "format_map() takes a mapping");
    const plim_dict *dict = args[0].u.dict;
    named.names = plim_run_new(run, dict->count, sizeof *named.names);
    named.values = plim_run_new(run, dict->count, sizeof *named.values);
    if (!named.names || !named.values)
        return plim_run_error(run);
    for (size_t i = 0; i < dict->count; i++) {
        if (dict->at[i].key.kind != PLIM_V_STR)
            continue;
        named.names[named.named] = dict->at[i].key.u.s;
        named.values[named.named++] = dict->at[i].value;
    }
    return plim_format_method(run, self, &named, out);
}

METHOD(str_encode)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "encode(): bytes are no value of templates");
}

const plim_builtin plim_methods_str[] = {
    {"upper", str_upper, 0, ""},
    {"lower", str_lower, 0, ""},
    {"casefold", str_casefold, 0, ""},
    {"capitalize", str_capitalize, 0, ""},
    {"swapcase", str_swapcase, 0, ""},
    {"title", str_title, 0, ""},
    {"isalnum", str_isalnum, 0, ""},
    {"isalpha", str_isalpha, 0, ""},
    {"isascii", str_isascii, 0, ""},
    {"isdecimal", str_isdecimal, 0, ""},
    {"isdigit", str_isdigit, 0, ""},
    {"isidentifier", str_isidentifier, 0, ""},
    {"islower", str_islower, 0, ""},
    {"isnumeric", str_isnumeric, 0, ""},
    {"isprintable", str_isprintable, 0, ""},
    {"isspace", str_isspace, 0, ""},
    {"istitle", str_istitle, 0, ""},
    {"isupper", str_isupper, 0, ""},
    {"ljust", str_ljust, 1, "/width,/fill"},
    {"rjust", str_rjust, 1, "/width,/fill"},
    {"center", str_center, 1, "/width,/fill"},
    {"zfill", str_zfill, 1, "/width"},
    {"expandtabs", str_expandtabs, 0, "tabsize"},
    {"join", str_join, 1, "/items"},
    {"format", str_format, 0, NULL},
    {"format_map", str_format_map, 1, "/mapping"},
    {"encode", str_encode, 0, NULL},
    {NULL, NULL, 0, NULL},
};
