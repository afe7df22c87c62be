/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes, items and slices, with the rules of Jinja2's ImmutableSandboxedEnvironment: what
 * begins with an underscore and what would change a list or a dict is an undefined value that
 * raises a security error when it is used. */
#include <string.h>

#include "base/num.h"
#include "chat/run.h"

/* Which kinds of values Python gives which private attributes, as words; in the sandbox they are
 * there, and unsafe.  (Markup has those of a string and MARKUP's.) */
#define K(kind)  (1u << PLIM_V_##kind)
#define MARKUP   (1u << PLIM_V_KINDS)
#define SIZED    (K(STR) | K(LIST) | K(TUPLE) | K(DICT) | K(VIEW) | K(RANGE))
#define INTEGERS (K(BOOL) | K(INT))
#define NUMBERS  (INTEGERS | K(FLOAT))
#define OBJECTS  (K(LOOP) | K(MACRO) | K(CYCLER) | K(JOINER) | K(SELF))
static const struct {
    uint32_t kinds;
    const char *names;
} privates[] = {
    {~0u, "__class__"},
    {~K(NAMESPACE),
     "__delattr__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ __getstate__ __gt__ "
     "__hash__ __init__ __init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ "
     "__repr__ __setattr__ __sizeof__ __str__ __subclasshook__"},
    {K(NAMESPACE), "_Namespace__attrs"},
    {SIZED | K(UNDEFINED) | K(ITER) | K(LOOP), "__iter__"},
    {SIZED | K(UNDEFINED) | K(LOOP), "__len__"},
    {SIZED, "__contains__"},
    {(SIZED & ~K(VIEW)) | K(UNDEFINED) | K(SELF), "__getitem__"},
    {SIZED & ~(K(STR) | K(TUPLE)), "__reversed__"},
    {OBJECTS | K(UNDEFINED) | K(METHOD) | K(FUNCTION) | MARKUP, "__module__"},
    {OBJECTS, "__weakref__"},
    {OBJECTS | K(FUNCTION), "__dict__"},
    {K(UNDEFINED) | K(LOOP) | K(MACRO) | K(METHOD) | K(FUNCTION) | K(JOINER), "__call__"},
    {NUMBERS | K(UNDEFINED) | K(STR) | K(LIST) | K(TUPLE), "__add__ __mul__ __rmul__"},
    {NUMBERS | K(UNDEFINED) | K(NONE) | K(RANGE), "__bool__"},
    {NUMBERS | K(STR) | K(TUPLE), "__getnewargs__"},
    {NUMBERS | K(UNDEFINED) | K(STR), "__mod__ __rmod__"},
    {NUMBERS | K(UNDEFINED) | K(VIEW), "__sub__ __rsub__"},
    {NUMBERS | K(UNDEFINED) | MARKUP, "__radd__"},
    {NUMBERS | K(UNDEFINED), "__float__ __floordiv__ __int__ __neg__ __pos__ __pow__ "
                             "__rfloordiv__ __rpow__ __rtruediv__ __truediv__"},
    {NUMBERS, "__abs__ __ceil__ __divmod__ __floor__ __rdivmod__ __round__ __trunc__"},
    {INTEGERS, "__index__ __invert__ __lshift__ __rlshift__ __rrshift__ __rshift__"},
    {INTEGERS | K(DICT) | K(VIEW), "__or__ __ror__"},
    {INTEGERS | K(VIEW), "__and__ __rand__ __rxor__ __xor__"},
    {K(FLOAT), "__getformat__"},
    {K(LIST) | K(TUPLE) | K(DICT), "__class_getitem__"},
    {K(LIST) | K(DICT), "__delitem__ __setitem__"},
    {K(LIST), "__iadd__ __imul__"},
    {K(DICT), "__ior__"},
    {K(ITER) | K(METHOD) | K(FUNCTION), "__name__ __qualname__"},
    {K(ITER) | K(LOOP) | K(CYCLER), "__next__"},
    {K(ITER), "__del__ gi_frame gi_code"},
    {K(METHOD), "__self__ __text_signature__"},
    {K(FUNCTION), "__annotations__ __builtins__ __closure__ __code__ __defaults__ __get__ "
                  "__globals__ __kwdefaults__"},
    {K(LOOP), "__annotations__ _after _before _current _iterable _iterator _last_changed_value "
              "_length _peek_next _recurse _to_iterator _undefined"},
    {K(MACRO), "_argument_count _async_invoke _default_autoescape _environment _func _invoke"},
    {K(SELF), "_TemplateReference__context"},
    {K(UNDEFINED) | MARKUP, "__slots__"},
    {K(UNDEFINED), "__aiter__ __complex__ __div__ __getattr__ __rdiv__ _fail_with_undefined_error "
                   "_undefined_exception _undefined_hint _undefined_message _undefined_name "
                   "_undefined_obj"},
    {MARKUP, "__html__ __html_format__"},
};

static bool is_private_attribute(plim_val v, const plim_str *name)
{
    uint32_t kinds = 1u << v.kind | (v.kind == PLIM_V_STR && v.markup ? MARKUP : 0);
    if (!name->bytes || (name->data[0] != '_' && v.kind != PLIM_V_ITER))
        return false;
    for (size_t i = 0; i < sizeof privates / sizeof *privates; i++) {
        if (!(privates[i].kinds & kinds))
            continue;
        for (const char *word = privates[i].names; *word;) {
            size_t n = strcspn(word, " ");
            if (n == name->bytes && !memcmp(word, name->data, n))
                return true;
            word += n + (word[n] == ' ');
        }
    }
    return false;
}

/* Methods that change what they are called on. */
static bool changes(plim_val v, const plim_str *name)
{
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const of_list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                          "sort",   "extend", "remove", NULL};
    const char *const *names = v.kind == PLIM_V_DICT   ? of_dict
                               : v.kind == PLIM_V_LIST ? of_list
                                                       : NULL;
    for (; names && *names; names++) {
        if (plim_str_is(name, *names))
            return true;
    }
    return false;
}

static plim_status unsafe_attribute(plim_run *run, plim_val v, const plim_str *name, plim_val *out)
{
    char what[200];
    plim_format(what, sizeof what, "access to attribute '%.*s' of '%s' object is unsafe",
                plim_str_shown(name), name->data, plim_type_name(v));
    PLIM_TRY(plim_undefined_new(run, what, out));
    ((plim_undefined *)(uintptr_t)out->u.undefined)->unsafe = true;
    return PLIM_OK;
}

static plim_status no_attribute(plim_run *run, plim_val v, plim_val key, plim_val *out)
{
    char what[200];
    const char *type = v.kind == PLIM_V_NONE ? "None" : plim_type_name(v);
    if (key.kind == PLIM_V_STR)
        plim_format(what, sizeof what, "'%s object' has no attribute '%.*s'", type,
                    plim_str_shown(key.u.s), key.u.s->data);
    else if (key.kind == PLIM_V_INT)
        plim_format(what, sizeof what, "%s object has no element %lld", type, (long long)key.u.i);
    else
        plim_format(what, sizeof what, "%s object has no such element (a %s)", type,
                    plim_type_name(key));
    return plim_undefined_new(run, what, out);
}

/* ---- real attributes ---- */

static const plim_builtin *find_in(const plim_builtin *table, const plim_str *name)
{
    for (; table && table->name; table++) {
        if (plim_str_is(name, table->name))
            return table;
    }
    return NULL;
}

static const plim_builtin *find_method(plim_val v, const plim_str *name)
{
    const plim_builtin *found = NULL;
    switch ((plim_kind)v.kind) {
    case PLIM_V_STR:
        found = find_in(plim_methods_str, name);
        return found ? found : find_in(plim_methods_str_find, name);
    case PLIM_V_DICT:
        return find_in(plim_methods_dict, name);
    case PLIM_V_LIST:
        return find_in(plim_methods_list, name);
    case PLIM_V_TUPLE:
    case PLIM_V_RANGE:
        return find_in(plim_methods_tuple, name);
    case PLIM_V_BOOL:
    case PLIM_V_INT:
    case PLIM_V_FLOAT:
        found = find_in(plim_methods_number, name);
        return found;
    case PLIM_V_LOOP:
        return find_in(plim_methods_loop, name);
    case PLIM_V_CYCLER:
        return find_in(plim_methods_cycler, name);
    case PLIM_V_FUNCTION:
        return !strcmp(v.u.function->name, "dict") ? find_in(plim_methods_factory, name) : NULL;
    default:
        return NULL;
    }
}

static plim_status loop_item(plim_run *run, plim_val item, const char *none, plim_val *out)
{
    *out = item;
    return item.kind == PLIM_V_MISSING ? plim_undefined_new(run, none, out) : PLIM_OK;
}

static plim_status loop_attribute(plim_run *run, plim_loop *loop, const plim_str *name,
                                  plim_val *out)
{
    int64_t length;
    plim_val after;
    if (plim_str_is(name, "index"))
        *out = plim_int(loop->index0 + 1);
    else if (plim_str_is(name, "index0"))
        *out = plim_int(loop->index0);
    else if (plim_str_is(name, "first"))
        *out = plim_bool(loop->index0 == 0);
    else if (plim_str_is(name, "depth"))
        *out = plim_int(loop->depth0 + 1);
    else if (plim_str_is(name, "depth0"))
        *out = plim_int(loop->depth0);
    else if (plim_str_is(name, "previtem"))
        return loop_item(run, loop->index0 ? loop->before : plim_missing(),
                         "there is no previous item", out);
    else if (plim_str_is(name, "last") || plim_str_is(name, "nextitem")) {
        PLIM_TRY(plim_loop_peek(run, loop, &after));
        if (name->data[0] == 'n')
            return loop_item(run, after, "there is no next item", out);
        *out = plim_bool(after.kind == PLIM_V_MISSING);
    } else if (plim_str_is(name, "length") || plim_str_is(name, "revindex") ||
               plim_str_is(name, "revindex0")) {
        PLIM_TRY(plim_loop_length(run, loop, &length));
        *out = plim_int(name->data[0] == 'l' ? length
                        : name->bytes == 8   ? length - loop->index0
                                             : length - loop->index0 - 1);
    }
    return PLIM_OK;
}

static plim_status block_attribute(plim_run *run, const plim_str *name, plim_val *out)
{
    for (const plim_node *block = run->source->blocks; block; block = block->other) {
        if (!plim_str_equal(block->name, name))
            continue;
        plim_macro *macro = plim_run_new(run, 1, sizeof *macro);
        if (!macro)
            return plim_run_error(run);
        *macro = (plim_macro){block, run->root, block->name};
        *out = (plim_val){.kind = PLIM_V_MACRO, .u.macro = macro};
        return PLIM_OK;
    }
    return PLIM_OK;
}

static plim_status macro_attribute(plim_run *run, const plim_macro *macro, const plim_str *name,
                                   plim_val *out)
{
    if (plim_str_is(name, "name")) {
        *out = macro->name ? plim_text(macro->name) : plim_none();
    } else if (plim_str_is(name, "arguments")) {
        plim_list *list;
        PLIM_TRY(plim_list_new(run, 0, &list));
        for (const plim_node *p = macro->node->a; p; p = p->next)
            PLIM_TRY(plim_list_add(run, list, plim_text(p->name)));
        *out = plim_of_list(list, PLIM_V_TUPLE);
    } else if (plim_str_is(name, "caller")) {
        *out = plim_bool(macro->node->flags & PLIM_USES_CALLER);
    } else if (plim_str_is(name, "catch_kwargs")) {
        *out = plim_bool(macro->node->flags & PLIM_USES_KWARGS);
    } else if (plim_str_is(name, "catch_varargs")) {
        *out = plim_bool(macro->node->flags & PLIM_USES_VARARGS);
    }
    return PLIM_OK;
}

plim_status plim_attribute(plim_run *run, plim_val v, const plim_str *name, plim_val *out)
{
    *out = plim_missing();
    if (v.kind == PLIM_V_NAMESPACE) {
        bool found;
        return plim_dict_get(run, v.u.dict, plim_text(name), out, &found);
    }
    if (v.kind == PLIM_V_LOOP)
        PLIM_TRY(loop_attribute(run, v.u.loop, name, out));
    else if (v.kind == PLIM_V_SELF)
        return block_attribute(run, name, out);
    else if (v.kind == PLIM_V_MACRO)
        return macro_attribute(run, v.u.macro, name, out);
    else if (v.kind == PLIM_V_CYCLER && plim_str_is(name, "current"))
        *out = v.u.list->at[v.u.list->turn];
    else if (v.group && plim_str_is(name, "grouper"))
        *out = v.u.list->at[0];
    else if (v.group && plim_str_is(name, "list"))
        *out = v.u.list->at[1];
    else if (plim_is_integral(v) && (plim_str_is(name, "real") || plim_str_is(name, "numerator")))
        *out = plim_int(plim_integral(v));
    else if (plim_is_integral(v) && plim_str_is(name, "denominator"))
        *out = plim_int(1);
    else if (plim_is_integral(v) && plim_str_is(name, "imag"))
        *out = plim_int(0);
    if (out->kind != PLIM_V_MISSING)
        return PLIM_OK;
    const plim_builtin *fn = find_method(v, name);
    if (!fn)
        return PLIM_OK;
    plim_method *method = plim_run_new(run, 1, sizeof *method);
    if (!method)
        return plim_run_error(run);
    *method = (plim_method){v, fn};
    *out = (plim_val){.kind = PLIM_V_METHOD, .u.method = method};
    return PLIM_OK;
}

/* The attribute as the sandbox lets it through; MISSING when there is none. */
static plim_status safe_attribute(plim_run *run, plim_val v, const plim_str *name, plim_val *out)
{
    *out = plim_missing();
    if (is_private_attribute(v, name) || changes(v, name))
        return unsafe_attribute(run, v, name, out);
    return plim_attribute(run, v, name, out);
}

/* v[key] where Python has it, else MISSING. */
static plim_status item(plim_run *run, plim_val v, plim_val key, plim_val *out)
{
    bool found;
    int64_t at, length;
    *out = plim_missing();
    if (v.kind == PLIM_V_DICT) {
        if (key.kind == PLIM_V_LIST || key.kind == PLIM_V_DICT)
            return PLIM_OK;
        return plim_dict_get(run, v.u.dict, key, out, &found);
    }
    if (!plim_is_integral(key))
        return PLIM_OK;
    if (v.kind != PLIM_V_LIST && v.kind != PLIM_V_TUPLE && v.kind != PLIM_V_RANGE &&
        v.kind != PLIM_V_STR)
        return PLIM_OK;
    PLIM_TRY(plim_length(run, v, &length));
    at = plim_integral(key);
    at += at < 0 ? length : 0;
    if (at < 0 || at >= length)
        return PLIM_OK;
    if (v.kind == PLIM_V_RANGE) {
        *out = plim_int(v.u.range->start + at * v.u.range->step);
    } else if (v.kind == PLIM_V_STR) {
        uint32_t code;
        size_t from = plim_str_seek(v.u.s, (size_t)at);
        PLIM_TRY(plim_str_part(run, v.u.s, from, from + plim_str_char(v.u.s, from, &code), out));
        out->markup = v.markup;
    } else {
        *out = v.u.list->at[at];
    }
    return PLIM_OK;
}

plim_status plim_getattr(plim_run *run, plim_val v, const plim_str *name, plim_val *out)
{
    if (v.kind == PLIM_V_UNDEFINED) {
        if (is_private_attribute(v, name))
            return unsafe_attribute(run, v, name, out);
        return plim_fail_undefined(run, v);
    }
    PLIM_TRY(safe_attribute(run, v, name, out));
    if (out->kind == PLIM_V_MISSING)
        PLIM_TRY(item(run, v, plim_text(name), out));
    return out->kind == PLIM_V_MISSING ? no_attribute(run, v, plim_text(name), out) : PLIM_OK;
}

plim_status plim_getitem(plim_run *run, plim_val v, plim_val key, plim_val *out)
{
    if (v.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, v);
    PLIM_TRY(item(run, v, key, out));
    if (out->kind == PLIM_V_MISSING && v.kind == PLIM_V_SELF && key.kind == PLIM_V_STR)
        return plim_getattr(run, v, key.u.s, out);
    if (out->kind == PLIM_V_MISSING && key.kind == PLIM_V_STR)
        PLIM_TRY(safe_attribute(run, v, key.u.s, out));
    return out->kind == PLIM_V_MISSING ? no_attribute(run, v, key, out) : PLIM_OK;
}

/* ---- slices ---- */

typedef struct cut {
    int64_t start, stop, step, count;
} cut;

/* As PySlice_Unpack and PySlice_AdjustIndices. */
static plim_status adjust(plim_run *run, const plim_val bounds[3], int64_t length, cut *c)
{
    int64_t given[3] = {0, 0, 1};
    for (int i = 0; i < 3; i++) {
        if (bounds[i].kind != PLIM_V_NONE)
            PLIM_TRY(plim_to_index(run, bounds[i], "a slice index", &given[i]));
    }
    c->step = given[2];
    if (!c->step)
        return plim_run_fail(run, PLIM_E_FORMAT, "slice step cannot be zero");
    if (c->step < -INT64_MAX)
        c->step = -INT64_MAX;
    bool back = c->step < 0;
    int64_t low = back ? -1 : 0, high = back ? length - 1 : length;
    int64_t *ends[2] = {&c->start, &c->stop};
    for (int i = 0; i < 2; i++) {
        int64_t at = given[i];
        if (bounds[i].kind == PLIM_V_NONE) {
            *ends[i] = (i == 0) == back ? high : low;
            continue;
        }
        if (at < 0)
            at = at + length < low ? low : at + length;
        *ends[i] = at > high ? high : at;
    }
    c->count = 0;
    if (back && c->stop < c->start)
        c->count = (c->start - c->stop - 1) / -c->step + 1;
    else if (!back && c->start < c->stop)
        c->count = (c->stop - c->start - 1) / c->step + 1;
    return PLIM_OK;
}

static plim_status slice_str(plim_run *run, const plim_str *s, const cut *c, plim_val *out)
{
    if (c->step == 1) {
        size_t from = c->count ? plim_str_seek(s, (size_t)c->start) : 0;
        plim_str rest = {.data = s->data + from, .bytes = s->bytes - from};
        size_t bytes = c->count ? plim_str_seek(&rest, (size_t)c->count) : 0;
        return plim_str_part(run, s, from, from + bytes, out);
    }
    plim_buf *buf;
    uint32_t code;
    PLIM_TRY(plim_work_chars(run, s->bytes)); /* those that are stepped over, too */
    size_t at = c->count ? plim_str_seek(s, (size_t)c->start) : 0;
    PLIM_TRY(plim_buf_new(run, &buf));
    for (int64_t i = 0; i < c->count; i++) {
        PLIM_TRY(plim_work(run, 1));
        PLIM_TRY(plim_buf_add(run, buf, s, at, at + plim_str_char(s, at, &code)));
        if (i + 1 == c->count)
            break;
        for (int64_t k = 0; k < c->step; k++)
            at += plim_str_char(s, at, &code);
        for (int64_t k = 0; k > c->step; k--)
            at -= plim_str_char_before(s, at, &code);
    }
    return plim_buf_take(run, buf, out);
}

plim_status plim_slice(plim_run *run, plim_val v, const plim_val bounds[3], plim_val *out)
{
    cut c = {0};
    int64_t length;
    if (v.kind == PLIM_V_UNDEFINED)
        return plim_fail_undefined(run, v);
    bool sliced = v.kind == PLIM_V_STR || v.kind == PLIM_V_LIST || v.kind == PLIM_V_TUPLE ||
                  v.kind == PLIM_V_RANGE;
    for (int i = 0; i < 3 && run->folding; i++)
        sliced = sliced && (bounds[i].kind == PLIM_V_NONE || plim_is_integral(bounds[i]));
    if (!sliced && run->folding)
        return plim_undefined_new(run, "a constant that can't be sliced", out);
    if (!sliced)
        return plim_run_fail(run, PLIM_E_FORMAT, "'%s' object can't be sliced", plim_type_name(v));
    PLIM_TRY(plim_length(run, v, &length));
    PLIM_TRY(adjust(run, bounds, length, &c));
    if (v.kind == PLIM_V_STR) {
        PLIM_TRY(slice_str(run, v.u.s, &c, out));
        out->markup = v.markup;
        return PLIM_OK;
    }
    if (v.kind == PLIM_V_RANGE) {
        const plim_range *r = v.u.range;
        plim_range *part = plim_run_new(run, 1, sizeof *part);
        if (!part)
            return plim_run_error(run);
        *part = (plim_range){r->start + c.start * r->step, r->start + c.stop * r->step,
                             r->step * c.step, c.count};
        *out = (plim_val){.kind = PLIM_V_RANGE, .u.range = part};
        return PLIM_OK;
    }
    plim_list *list;
    PLIM_TRY(plim_list_new(run, (size_t)c.count, &list));
    for (int64_t i = 0; i < c.count; i++)
        PLIM_TRY(plim_list_add(run, list, v.u.list->at[c.start + i * c.step]));
    *out = plim_of_list(list, (plim_kind)v.kind);
    return PLIM_OK;
}
