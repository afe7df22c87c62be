/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters on HTML, and those that are refused. */
#include "chat/strings.h"

#define FILTER(name)                                                                               \
    static plim_status name(plim_run *run, plim_val self, const plim_val *args,                    \
                            const plim_args *raw, plim_val *out)

FILTER(filter_safe)
{
    const plim_str *s;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    *out = plim_text(s);
    out->markup = true;
    return PLIM_OK;
}

FILTER(filter_escape)
{
    const plim_str *s;
    (void)args;
    (void)raw;
    *out = self;
    if (self.kind == PLIM_V_STR && self.markup)
        return PLIM_OK;
    PLIM_TRY(plim_to_text(run, self, &s));
    return plim_str_escape(run, s, out);
}

FILTER(filter_forceescape)
{
    const plim_str *s;
    (void)args;
    (void)raw;
    PLIM_TRY(plim_to_text(run, self, &s));
    return plim_str_escape(run, s, out);
}

FILTER(filter_xmlattr)
{
    plim_buf *buf;
    bool space = args[0].kind == PLIM_V_MISSING || plim_truth(args[0]), first = true;
    (void)raw;
    PLIM_TRY(plim_buf_new(run, &buf));
    if (self.kind != PLIM_V_DICT)
        return plim_run_fail(run, PLIM_E_FORMAT, "xmlattr takes a dict");
    for (size_t i = 0; i < self.u.dict->count; i++) {
        const plim_entry *entry = &self.u.dict->at[i];
        plim_val key, value;
        const plim_str *name;
        if (entry->value.kind == PLIM_V_NONE || entry->value.kind == PLIM_V_UNDEFINED)
            continue;
        PLIM_TRY(plim_to_str(run, entry->key, "the name of an attribute", &name));
        for (size_t k = 0; k < name->bytes; k++) {
            char c = name->data[k];
            if (c == ' ' || (c >= '\t' && c <= '\r') || c == '/' || c == '>' || c == '=')
                return plim_run_fail(run, PLIM_E_FORMAT, "invalid character in attribute name");
        }
        PLIM_TRY(filter_escape(run, entry->key, args, raw, &key));
        PLIM_TRY(filter_escape(run, entry->value, args, raw, &value));
        if (!first || space)
            PLIM_TRY(plim_buf_literal(run, buf, " "));
        PLIM_TRY(plim_buf_all(run, buf, key.u.s));
        PLIM_TRY(plim_buf_literal(run, buf, "=\""));
        PLIM_TRY(plim_buf_all(run, buf, value.u.s));
        PLIM_TRY(plim_buf_literal(run, buf, "\""));
        first = false;
    }
    return plim_buf_take(run, buf, out);
}

FILTER(filter_unsupported)
{
    (void)self;
    (void)args;
    (void)raw;
    (void)out;
    return plim_run_fail(run, PLIM_E_UNSUP, "the filters striptags, urlize, pprint and wordwrap");
}

const plim_builtin plim_filters_markup[] = {
    {"safe", filter_safe, 0, ""},
    {"escape", filter_escape, 0, ""},
    {"e", filter_escape, 0, ""},
    {"forceescape", filter_forceescape, 0, ""},
    {"xmlattr", filter_xmlattr, 0, "autospace"},
    {"striptags", filter_unsupported, 0, NULL},
    {"urlize", filter_unsupported, 0, NULL},
    {"pprint", filter_unsupported, 0, NULL},
    {"wordwrap", filter_unsupported, 0, NULL},
    {NULL, NULL, 0, NULL},
};
