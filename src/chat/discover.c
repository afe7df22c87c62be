/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the templates of a folder in Transformers' order, and the special tokens that they
 * name. */
#include <string.h>

#include "base/folder.h"
#include "base/json.h"
#include "base/num.h"
#include "base/text.h"
#include "base/utf8.h"
#include "chat/templates.h"

#define CONFIG_BYTES ((uint64_t)64 << 20)

/* ---- adding ---- */

/* A copy with one kind of newline, and without the last one. */
static char *one_newline(plim_arena *arena, const char *text, size_t *bytes, plim_error *err)
{
    char *copy = plim_arena_new(arena, *bytes + 1, 1, err);
    size_t n = 0;
    for (size_t i = 0; copy && i < *bytes; i++) {
        bool pair = text[i] == '\r' && i + 1 < *bytes && text[i + 1] == '\n';
        copy[n++] = text[i] == '\r' ? '\n' : text[i];
        i += pair;
    }
    n -= n && copy[n - 1] == '\n';
    *bytes = n;
    return copy;
}

plim_status plim_templates_add(plim_templates *t, const char *name, const char *file,
                               const char *text, size_t bytes, plim_error *err)
{
    plim_where where = {file, NULL, -1};
    size_t bad = plim_utf8_first_bad(text, bytes);
    if (bytes > PLIM_CHAT_SOURCE_BYTES)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "a chat template of %zu bytes, at most %zu",
                            bytes, (size_t)PLIM_CHAT_SOURCE_BYTES);
    if (bad < bytes)
        return plim_fail_at(err, PLIM_E_FORMAT, (plim_where){file, NULL, (int64_t)bad},
                            "a chat template that is not UTF-8");
    if (t->count == PLIM_CHAT_MAX_TEMPLATES)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "more than %d chat templates",
                            PLIM_CHAT_MAX_TEMPLATES);
    plim_template *template = &t->at[t->count];
    plim_str *source = plim_arena_new(&t->arena, 1, sizeof *source, err);
    template->name = source ? plim_arena_text(&t->arena, name, strlen(name), err) : NULL;
    template->file = template->name ? plim_arena_text(&t->arena, file, strlen(file), err) : NULL;
    char *copy = template->file ? one_newline(&t->arena, text, &bytes, err) : NULL;
    if (!copy)
        return plim_failed(err);
    *source = (plim_str){.data = copy, .bytes = bytes};
    template->source = source;
    PLIM_TRY(plim_parse(template, &t->names, err));
    t->count++;
    return PLIM_OK;
}

plim_status plim_templates_add_special(plim_templates *t, const char *name, const char *text,
                                       size_t bytes, plim_error *err)
{
    for (size_t i = 0; i < t->special_count; i++) {
        if (!strcmp(t->specials[i].name, name))
            return PLIM_OK; /* the first file that says it counts */
    }
    plim_str *token = plim_arena_new(&t->arena, 1, sizeof *token, err);
    char *copy = token ? plim_arena_text(&t->arena, text, bytes, err) : NULL;
    if (!copy)
        return plim_failed(err);
    *token = (plim_str){.data = copy, .bytes = bytes};
    t->specials[t->special_count].name = name;
    t->specials[t->special_count++].token = token;
    return PLIM_OK;
}

/* ---- files ---- */

static plim_status add_file(plim_templates *t, const char *name, const char *path, plim_error *err)
{
    char *text;
    size_t bytes;
    PLIM_TRY(plim_file_slurp(&text, &bytes, t->alloc, path, PLIM_CHAT_SOURCE_BYTES, err));
    plim_status status = plim_templates_add(t, name, path, text, bytes, err);
    plim_delete(t->alloc, text);
    return status;
}

typedef struct further {
    plim_templates *t;
    const char *folder;
    char names[PLIM_CHAT_MAX_TEMPLATES][256];
    size_t count;
} further;

static plim_status remember_name(void *user, const char *name, plim_error *err)
{
    further *f = user;
    if (!plim_ends_with(name, ".jinja"))
        return PLIM_OK;
    if (f->count == PLIM_CHAT_MAX_TEMPLATES)
        return plim_fail_at(err, PLIM_E_LIMIT, (plim_where){f->folder, NULL, -1},
                            "more than %d chat templates", PLIM_CHAT_MAX_TEMPLATES);
    plim_format(f->names[f->count++], sizeof f->names[0], "%s", name);
    return PLIM_OK;
}

/* additional_chat_templates/NAME.jinja, in the order of their names. */
static plim_status add_further(plim_templates *t, const char *folder, plim_error *err)
{
    char path[4096];
    further *f = plim_new(t->alloc, 1, sizeof *f, err);
    if (!f)
        return plim_failed(err);
    f->t = t;
    f->folder = folder;
    plim_status status = plim_folder_each(folder, remember_name, f, err);
    for (size_t done = 0; !status && done < f->count; done++) {
        size_t least = done;
        for (size_t i = done + 1; i < f->count; i++)
            least = strcmp(f->names[i], f->names[least]) < 0 ? i : least;
        char name[256];
        memcpy(name, f->names[least], sizeof name);
        memcpy(f->names[least], f->names[done], sizeof name);
        status = plim_path_join(path, sizeof path, folder, name, err);
        name[strlen(name) - strlen(".jinja")] = 0;
        if (!status)
            status = add_file(t, name, path, err);
        t->named = true;
    }
    plim_delete(t->alloc, f);
    return status;
}

/* ---- tokenizer_config.json and its kin ---- */

static const char *const special_names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

/* A special token: a string, or an object with `content`; the value comes next. */
static plim_status read_special(plim_templates *t, plim_json *json, const char *name,
                                plim_error *err)
{
    plim_json_event event;
    size_t bytes;
    PLIM_TRY(plim_json_next(json, &event, err));
    if (event == PLIM_JSON_STRING) {
        const char *text = plim_json_text(json, &bytes);
        return plim_templates_add_special(t, name, text, bytes, err);
    }
    if (event != PLIM_JSON_OBJECT)
        return plim_json_skip(json, err);
    for (;;) {
        PLIM_TRY(plim_json_next(json, &event, err));
        if (event == PLIM_JSON_OBJECT_END)
            return PLIM_OK;
        bool content = plim_json_text_is(json, "content");
        PLIM_TRY(plim_json_next(json, &event, err));
        if (content && event == PLIM_JSON_STRING) {
            const char *text = plim_json_text(json, &bytes);
            PLIM_TRY(plim_templates_add_special(t, name, text, bytes, err));
        } else {
            PLIM_TRY(plim_json_skip(json, err));
        }
    }
}

/* A copy of the last string, NUL-ended. */
static plim_status copy_text(plim_templates *t, plim_json *json, char **out, size_t *bytes,
                             plim_error *err)
{
    const char *text = plim_json_text(json, bytes);
    *out = plim_arena_text(&t->arena, text, *bytes, err);
    return *out ? PLIM_OK : plim_failed(err);
}

/* {"name": ..., "template": ...}, behind its brace. */
static plim_status read_named(plim_templates *t, plim_json *json, plim_error *err)
{
    char *name = NULL, *text = NULL;
    size_t bytes = 0, name_bytes;
    plim_json_event event;
    for (;;) {
        PLIM_TRY(plim_json_next(json, &event, err));
        if (event == PLIM_JSON_OBJECT_END)
            break;
        bool is_name = plim_json_text_is(json, "name"),
             is_text = plim_json_text_is(json, "template");
        if (!is_name && !is_text) {
            PLIM_TRY(plim_json_skip(json, err));
            continue;
        }
        PLIM_TRY(
            plim_json_expect(json, PLIM_JSON_STRING, "name and template of a chat template", err));
        PLIM_TRY(is_name ? copy_text(t, json, &name, &name_bytes, err)
                         : copy_text(t, json, &text, &bytes, err));
    }
    if (!name || !text)
        return plim_json_fail(json, err, PLIM_E_FORMAT,
                              "a chat template wants a name and a template");
    for (size_t i = 0; i < t->count; i++) {
        if (!strcmp(t->at[i].name, name))
            return plim_json_fail(json, err, PLIM_E_FORMAT, "two chat templates are named '%s'",
                                  name);
    }
    t->named = true;
    return plim_templates_add(t, name, plim_json_file(json), text, bytes, err);
}

/* The value of `chat_template`: a string, a list of {name, template}, or null. */
static plim_status read_templates(plim_templates *t, plim_json *json, plim_error *err)
{
    plim_json_event event;
    size_t bytes;
    PLIM_TRY(plim_json_next(json, &event, err));
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    if (event == PLIM_JSON_STRING) {
        const char *text = plim_json_text(json, &bytes);
        return plim_templates_add(t, "default", plim_json_file(json), text, bytes, err);
    }
    if (event == PLIM_JSON_OBJECT) { /* {NAME: template} */
        for (;;) {
            char *name, *text;
            size_t name_bytes;
            PLIM_TRY(plim_json_next(json, &event, err));
            if (event == PLIM_JSON_OBJECT_END)
                return PLIM_OK;
            PLIM_TRY(copy_text(t, json, &name, &name_bytes, err));
            PLIM_TRY(plim_json_expect(json, PLIM_JSON_STRING, "a chat template", err));
            PLIM_TRY(copy_text(t, json, &text, &bytes, err));
            PLIM_TRY(plim_templates_add(t, name, plim_json_file(json), text, bytes, err));
            t->named = true;
        }
    }
    if (event != PLIM_JSON_ARRAY)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "chat_template must be a string or a list");
    for (;;) {
        PLIM_TRY(plim_json_next(json, &event, err));
        if (event == PLIM_JSON_ARRAY_END)
            return PLIM_OK;
        if (event != PLIM_JSON_OBJECT)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "chat_template must be a list of objects");
        PLIM_TRY(read_named(t, json, err));
    }
}

static plim_status read_members(plim_templates *t, plim_json *json, bool templates, plim_error *err)
{
    plim_json_event event;
    PLIM_TRY(plim_json_expect(json, PLIM_JSON_OBJECT, "the document", err));
    for (;;) {
        const char *special = NULL;
        PLIM_TRY(plim_json_next(json, &event, err));
        if (event == PLIM_JSON_OBJECT_END)
            return plim_json_next(json, &event, err);
        for (size_t i = 0; i < sizeof special_names / sizeof *special_names; i++) {
            if (plim_json_text_is(json, special_names[i]))
                special = special_names[i];
        }
        if (templates && plim_json_text_is(json, "chat_template"))
            PLIM_TRY(read_templates(t, json, err));
        else if (special)
            PLIM_TRY(read_special(t, json, special, err));
        else
            PLIM_TRY(plim_json_skip(json, err));
    }
}

/* A JSON file of the folder, where it is there. */
static plim_status read_json(plim_templates *t, const char *folder, const char *name,
                             bool templates, plim_error *err)
{
    char path[4096];
    bool found;
    plim_json *json;
    PLIM_TRY(plim_path_join(path, sizeof path, folder, name, err));
    PLIM_TRY(plim_path_find_file(&found, path, err));
    if (!found)
        return PLIM_OK;
    PLIM_TRY(plim_json_open_path(&json, t->alloc, path, CONFIG_BYTES, NULL, err));
    plim_status status = read_members(t, json, templates, err);
    plim_json_close(&json);
    return status;
}

/* ---- a folder, or a file ---- */

/* The special tokens of a folder, and where wanted the templates of tokenizer_config.json. */
static plim_status read_specials(plim_templates *t, const char *folder, bool templates,
                                 plim_error *err)
{
    PLIM_TRY(read_json(t, folder, "tokenizer_config.json", templates, err));
    return read_json(t, folder, "special_tokens_map.json", false, err);
}

static plim_status open_folder(plim_templates *t, const char *folder, plim_error *err)
{
    char path[4096];
    bool found;
    PLIM_TRY(plim_path_join(path, sizeof path, folder, "chat_template.jinja", err));
    PLIM_TRY(plim_path_find_file(&found, path, err));
    if (found)
        PLIM_TRY(add_file(t, "default", path, err));
    PLIM_TRY(plim_path_join(path, sizeof path, folder, "additional_chat_templates", err));
    PLIM_TRY(add_further(t, path, err));
    if (!t->count)
        PLIM_TRY(read_json(t, folder, "chat_template.json", true, err));
    PLIM_TRY(read_specials(t, folder, !t->count, err));
    if (t->count)
        return PLIM_OK;
    return plim_fail_at(
        err, PLIM_E_IO, (plim_where){folder, NULL, -1},
        "no chat template: neither chat_template.jinja, nor chat_template.json, nor "
        "chat_template in tokenizer_config.json");
}

/* The folder of a file, as plim_path_join takes it: with its slash, or empty. */
static plim_status folder_of(char *out, size_t cap, const char *path, plim_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t bytes = slash ? (size_t)(slash - path) + 1 : 0;
    if (bytes >= cap)
        return plim_fail(err, PLIM_E_LIMIT, "the path is too long");
    memcpy(out, path, bytes);
    out[bytes] = 0;
    return PLIM_OK;
}

static plim_status open_file(plim_templates *t, const char *path, const char *specials,
                             plim_error *err)
{
    char beside[4096];
    PLIM_TRY(add_file(t, "default", path, err));
    if (!specials)
        PLIM_TRY(folder_of(beside, sizeof beside, path, err));
    return read_specials(t, specials ? specials : beside, false, err);
}

static plim_status open_any(plim_templates *t, const char *path, const char *specials,
                            plim_error *err)
{
    bool file;
    PLIM_TRY(plim_names_init(&t->names, &t->arena, err));
    PLIM_TRY(plim_path_find_file(&file, path, err));
    return file ? open_file(t, path, specials, err) : open_folder(t, path, err);
}

plim_status plim_templates_open(plim_templates **out, const plim_alloc *alloc, const char *path,
                                const char *specials, plim_error *err)
{
    plim_error why = {0};
    *out = NULL;
    plim_templates *t = plim_new(alloc, 1, sizeof *t, &why);
    plim_status status = t ? PLIM_OK : plim_failed(&why);
    if (t) {
        t->alloc = alloc;
        plim_arena_init(&t->arena, alloc);
        status = open_any(t, path, specials, &why);
    }
    if (status) {
        plim_templates_close(&t);
        if (err)
            *err = why;
        return status;
    }
    *out = t;
    return PLIM_OK;
}

void plim_templates_close(plim_templates **templates)
{
    plim_templates *t = *templates;
    *templates = NULL;
    if (!t)
        return;
    plim_arena_free(&t->arena);
    plim_delete(t->alloc, t);
}

const char *plim_templates_name(const plim_templates *templates, size_t i)
{
    return i < templates->count ? templates->at[i].name : NULL;
}
