/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding and calling filters; the filters that pick: map, select, attr, default; and tojson. */
#include <string.h>

#include "base/num.h"
#include "chat/filters.h"
#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

const plim_builtin *plim_filter_find(const char *name, size_t bytes)
{
    static const plim_builtin *const tables[] = {plim_filters_text,   plim_filters_list,
                                                 plim_filters_pick,   plim_filters_number,
                                                 plim_filters_markup, plim_filters_layout};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const plim_builtin *f = tables[i]; f->name; f++) {
            if (strlen(f->name) == bytes && !memcmp(f->name, name, bytes))
                return f;
        }
    }
    return NULL;
}

plim_status plim_apply_filter(plim_run *run, const plim_str *name, plim_val value,
                              const plim_args *args, plim_val *out)
{
    const plim_builtin *fn = plim_filter_find(name->data, name->bytes);
    if (!fn)
        return plim_run_fail(run, PLIM_E_FORMAT, "no filter named '%.*s'", plim_str_shown(name),
                             name->data);
    return plim_call_builtin(run, fn, value, args, out);
}

/* ---- attributes ---- */

/* A part of a path: a number where it consists of digits. */
static plim_status path_part(plim_run *run, const plim_str *path, size_t from, size_t to,
                             plim_val *out)
{
    plim_str part = {.data = path->data + from, .bytes = to - from};
    int64_t number = 0;
    bool digits = part.bytes > 0, valid = false;
    for (size_t i = 0; i < part.bytes;) {
        uint32_t code;
        i += plim_str_char(&part, i, &code);
        digits = digits && (plim_char_flags(code) & PLIM_CHAR_DIGIT);
    }
    if (digits)
        PLIM_TRY(plim_parse_int(run, &part, 10, &number, &valid));
    if (digits && !valid)
        return plim_run_fail(run, PLIM_E_FORMAT, "an attribute that is no number");
    *out = plim_int(number);
    return digits ? PLIM_OK : plim_str_part(run, path, from, to, out);
}

static plim_status step(plim_run *run, plim_val v, plim_val key, plim_val missing, plim_val *out)
{
    PLIM_TRY(plim_getitem(run, v, key, out));
    if (out->kind == PLIM_V_UNDEFINED && missing.kind != PLIM_V_MISSING)
        *out = missing;
    return PLIM_OK;
}

plim_status plim_attribute_path(plim_run *run, plim_val v, plim_val attribute, plim_val missing,
                                plim_val *out)
{
    *out = v;
    if (attribute.kind == PLIM_V_MISSING || attribute.kind == PLIM_V_NONE)
        return PLIM_OK;
    if (attribute.kind != PLIM_V_STR)
        return step(run, v, attribute, missing, out);
    const plim_str *path = attribute.u.s;
    for (size_t from = 0;;) {
        plim_val key;
        const char *dot = memchr(path->data + from, '.', path->bytes - from);
        size_t to = dot ? (size_t)(dot - path->data) : path->bytes;
        PLIM_TRY(path_part(run, path, from, to, &key));
        PLIM_TRY(step(run, *out, key, missing, out));
        if (!dot)
            return PLIM_OK;
        from = to + 1;
    }
}

plim_status plim_fold_case(plim_run *run, plim_val v, bool case_counts, plim_val *out)
{
    *out = v;
    if (case_counts || v.kind != PLIM_V_STR)
        return PLIM_OK;
    return plim_str_mapped(run, v, PLIM_CASE_LOWER, out);
}

/* ---- map, select and their kin: lazy ---- */

typedef struct pick {
    const plim_str *name; /* of a filter or test; NULL: none */
    plim_args args;
    plim_val attribute, missing;
    bool by_attribute, reject;
} pick;

/* The arguments of map: a filter's name and its own, or an attribute. */
static plim_status prepare_map(plim_run *run, pick *p)
{
    plim_val attribute = plim_arg_named(&p->args, "attribute");
    if (!p->args.count && attribute.kind != PLIM_V_MISSING) {
        p->by_attribute = true;
        p->attribute = attribute;
        p->missing = plim_arg_named(&p->args, "default");
        size_t known = 1 + (p->missing.kind != PLIM_V_MISSING);
        if (p->args.named > known)
            return plim_run_fail(run, PLIM_E_FORMAT, "map got an unexpected keyword argument");
        if (p->missing.kind == PLIM_V_NONE)
            p->missing = plim_missing();
        return PLIM_OK;
    }
    if (!p->args.count)
        return plim_run_fail(run, PLIM_E_FORMAT, "map requires a filter argument");
    PLIM_TRY(plim_to_str(run, p->args.at[0], "the name of a filter", &p->name));
    p->args.at++;
    p->args.count--;
    return PLIM_OK;
}

/* Those of select: a test's name and its own, behind an attribute for selectattr. */
static plim_status prepare_pick(plim_run *run, pick *p)
{
    if (p->by_attribute) {
        if (!p->args.count)
            return plim_run_fail(run, PLIM_E_FORMAT, "missing parameter for attribute name");
        p->attribute = p->args.at[0];
        p->args.at++;
        p->args.count--;
    }
    if (!p->args.count)
        return PLIM_OK;
    PLIM_TRY(plim_to_str(run, p->args.at[0], "the name of a test", &p->name));
    p->args.at++;
    p->args.count--;
    return PLIM_OK;
}

/* What begins to be read: nothing where it is false, whatever it is. */
static plim_status begin(plim_run *run, plim_iter *iter,
                         plim_status (*prepare)(plim_run *run, pick *p))
{
    plim_list *none;
    if (plim_truth(iter->source)) {
        PLIM_TRY(prepare(run, iter->state));
        return plim_iterate(run, iter->source, &iter->inner);
    }
    PLIM_TRY(plim_list_new(run, 0, &none));
    return plim_iterate(run, plim_of_list(none, PLIM_V_LIST), &iter->inner);
}

static plim_status next_mapped(plim_run *run, plim_iter *iter, plim_val *out)
{
    const pick *p = iter->state;
    if (!iter->inner)
        PLIM_TRY(begin(run, iter, prepare_map));
    PLIM_TRY(plim_next(run, iter->inner, out));
    if (out->kind == PLIM_V_MISSING)
        return PLIM_OK;
    if (p->by_attribute)
        return plim_attribute_path(run, *out, p->attribute, p->missing, out);
    return plim_apply_filter(run, p->name, *out, &p->args, out);
}

static plim_status next_picked(plim_run *run, plim_iter *iter, plim_val *out)
{
    const pick *p = iter->state;
    if (!iter->inner)
        PLIM_TRY(begin(run, iter, prepare_pick));
    for (;;) {
        plim_val tested;
        bool truth;
        PLIM_TRY(plim_next(run, iter->inner, out));
        if (out->kind == PLIM_V_MISSING)
            return PLIM_OK;
        tested = *out;
        if (p->by_attribute)
            PLIM_TRY(plim_attribute_path(run, *out, p->attribute, plim_missing(), &tested));
        truth = plim_truth(tested);
        if (p->name)
            PLIM_TRY(plim_apply_test(run, p->name, tested, &p->args, &truth));
        if (truth != p->reject)
            return PLIM_OK;
    }
}

static plim_status lazy(plim_run *run, plim_val self, plim_iter_step next, const pick *what,
                        const char *name, plim_val *out)
{
    pick *p = plim_run_new(run, 1, sizeof *p);
    if (!p)
        return plim_run_error(run);
    *p = *what;
    return plim_iter_lazy(run, self, next, p, name, out);
}

FILTER(filter_map)
{
    pick p = {.args = *raw, .missing = plim_missing()};
    (void)args;
    return lazy(run, self, next_mapped, &p, "sync_do_map", out);
}

static plim_status picking(plim_run *run, plim_val self, const plim_args *raw, bool reject,
                           bool by_attribute, plim_val *out)
{
    pick p = {.args = *raw, .reject = reject, .by_attribute = by_attribute};
    return lazy(run, self, next_picked, &p, "select_or_reject", out);
}

FILTER(filter_select)
{
    (void)args;
    return picking(run, self, raw, false, false, out);
}

FILTER(filter_reject)
{
    (void)args;
    return picking(run, self, raw, true, false, out);
}

FILTER(filter_selectattr)
{
    (void)args;
    return picking(run, self, raw, false, true, out);
}

FILTER(filter_rejectattr)
{
    (void)args;
    return picking(run, self, raw, true, true, out);
}

plim_status plim_map_attribute(plim_run *run, plim_val items, plim_val attribute, plim_val *out)
{
    pick p = {.by_attribute = true, .attribute = attribute, .missing = plim_missing()};
    plim_iter *iter;
    PLIM_TRY(plim_iterate(run, items, &iter)); /* fails at once for what can't be iterated */
    PLIM_TRY(lazy(run, items, next_mapped, &p, "map", out));
    out->u.iter->inner = iter;
    return PLIM_OK;
}

/* ---- attr, default, tojson ---- */

FILTER(filter_attr)
{
    const plim_str *name;
    (void)raw;
    PLIM_TRY(plim_to_text(run, args[0], &name));
    PLIM_TRY(plim_getattr(run, self, name, out));
    if (self.kind != PLIM_V_DICT)
        return PLIM_OK;
    plim_val item;
    bool found; /* not what the dict holds: attributes only */
    PLIM_TRY(plim_dict_get(run, self.u.dict, plim_text(name), &item, &found));
    if (!found || out->kind == PLIM_V_METHOD)
        return PLIM_OK;
    return out->kind == PLIM_V_UNDEFINED
               ? PLIM_OK
               : plim_undefined_new(run, "a dict has no such attribute", out);
}

FILTER(filter_default)
{
    (void)raw;
    *out = self;
    if (self.kind != PLIM_V_UNDEFINED && !(plim_truth(args[1]) && !plim_truth(self)))
        return PLIM_OK;
    if (args[0].kind == PLIM_V_MISSING)
        return plim_str_literal(run, "", out);
    *out = args[0];
    return PLIM_OK;
}

static plim_status separator(plim_run *run, plim_val v, const plim_str **out)
{
    return plim_to_str(run, v, "a separator of tojson", out);
}

FILTER(filter_tojson)
{
    static const plim_str blank = {.data = " ", .bytes = 1};
    plim_json_style style = {
        .ascii = plim_truth(args[0]), .sort_keys = plim_truth(args[3]), .base = run->values};
    plim_buf *buf;
    plim_val indent;
    int64_t width;
    (void)raw;
    if (args[1].kind == PLIM_V_STR) {
        style.indent = args[1].u.s;
    } else if (args[1].kind != PLIM_V_MISSING && args[1].kind != PLIM_V_NONE) {
        PLIM_TRY(plim_to_index(run, args[1], "indent", &width));
        PLIM_TRY(plim_str_repeat(run, &blank, width, &indent));
        style.indent = indent.u.s;
    }
    style.pretty = style.indent != NULL;
    if (args[2].kind != PLIM_V_MISSING && args[2].kind != PLIM_V_NONE) {
        plim_list *two;
        PLIM_TRY(plim_to_list(run, args[2], &two));
        if (two->count != 2)
            return plim_run_fail(run, PLIM_E_FORMAT, "separators of tojson are two");
        PLIM_TRY(separator(run, two->at[0], &style.item));
        PLIM_TRY(separator(run, two->at[1], &style.key));
    }
    PLIM_TRY(plim_buf_new(run, &buf));
    PLIM_TRY(plim_json_write(run, buf, self, &style));
    return plim_buf_take(run, buf, out);
}

const plim_builtin plim_filters_pick[] = {
    {"map", filter_map, 0, NULL},
    {"select", filter_select, 0, NULL},
    {"reject", filter_reject, 0, NULL},
    {"selectattr", filter_selectattr, 0, NULL},
    {"rejectattr", filter_rejectattr, 0, NULL},
    {"attr", filter_attr, 1, "name"},
    {"default", filter_default, 0, "default_value,boolean"},
    {"d", filter_default, 0, "default_value,boolean"},
    {"tojson", filter_tojson, 0, "ensure_ascii,indent,separators,sort_keys"},
    {NULL, NULL, 0, NULL},
};
