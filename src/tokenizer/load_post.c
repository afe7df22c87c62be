/* SPDX-License-Identifier: Apache-2.0
 *
 * post_processor of tokenizer.json: what stands before and after the ids of a text.  ByteLevel only
 * moves offsets; at most one of the others may add ids, in a Sequence or alone. */
#include <string.h>

#include "tokenizer/load.h"

enum { MAX_NESTING = 8 };

/* A piece of a template: the sequence, or a special token by its name. */
typedef struct piece {
    const char *name; /* NULL: the sequence */
    int64_t offset;
} piece;

/* A special token of a template: ids[begin .. begin + count). */
typedef struct special {
    const char *name;
    size_t begin, count;
} special;

typedef struct processor {
    char type[32];
    bool in_list, had_list, have_single, have_cls, have_sep;
    int64_t offset;
    piece *pieces;
    size_t piece_count, piece_cap;
    special *specials;
    size_t special_count, special_cap;
    plim_template_id *ids;
    size_t id_count, id_cap;
    plim_template_id cls, sep;
} processor;

static void free_processor(const plim_loader *loader, processor *p)
{
    plim_delete(loader->tok->alloc, p->pieces);
    plim_delete(loader->tok->alloc, p->specials);
    plim_delete(loader->tok->alloc, p->ids);
    p->pieces = NULL;
    p->specials = NULL;
    p->ids = NULL;
}

static plim_status too_long(plim_loader *loader, plim_error *err)
{
    return plim_json_fail(loader->json, err, PLIM_E_LIMIT, "a template of more than %d parts",
                          PLIM_TOK_MAX_TEMPLATE);
}

/* {"Sequence": {"id": "A", ...}} or {"SpecialToken": {"id": NAME, ...}}, the { was read. */
static plim_status read_piece(plim_loader *loader, processor *p, plim_error *err)
{
    plim_json *json = loader->json;
    plim_json_event event;
    char kind[16], key[16];
    bool end;
    size_t bytes;
    const char *id = NULL;
    int64_t offset = plim_json_offset(json);
    plim_status status = plim_json_member(json, kind, sizeof kind, &event, &end, err);
    if (status)
        return status;
    bool sequence = !end && !strcmp(kind, "Sequence");
    if (end || event != PLIM_JSON_OBJECT || (!sequence && strcmp(kind, "SpecialToken") != 0))
        return plim_json_fail(json, err, PLIM_E_FORMAT,
                              "a part of a template must be a Sequence or a SpecialToken");
    for (;;) {
        if ((status = plim_json_member(json, key, sizeof key, &event, &end, err)))
            return status;
        if (end)
            break;
        if (!strcmp(key, "id"))
            status = plim_json_string(json, event, "id", &loader->scratch, &id, &bytes, err);
        else
            status = plim_json_skip(json, err);
        if (status)
            return status;
    }
    if (!id || (sequence && strcmp(id, "A") != 0))
        return plim_json_fail(json, err, PLIM_E_FORMAT,
                              "a template for one text must use sequence A");
    if ((status = plim_json_member(json, key, sizeof key, &event, &end, err)))
        return status;
    if (!end)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "a part of a template has one key");
    if (p->piece_count == PLIM_TOK_MAX_TEMPLATE)
        return too_long(loader, err);
    if ((status = plim_grow(loader->tok->alloc, &p->pieces, &p->piece_cap, p->piece_count + 1,
                            sizeof *p->pieces, err)))
        return status;
    p->pieces[p->piece_count++] = (piece){sequence ? NULL : id, offset};
    return PLIM_OK;
}

static plim_status read_single(plim_loader *loader, processor *p, plim_json_event event,
                               plim_error *err)
{
    if (event != PLIM_JSON_ARRAY || p->have_single)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "single must be one array");
    p->have_single = true;
    for (;;) {
        plim_status status = plim_json_next(loader->json, &event, err);
        if (status || event == PLIM_JSON_ARRAY_END)
            return status;
        if (event != PLIM_JSON_OBJECT)
            return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                  "a part of a template must be an object");
        if ((status = read_piece(loader, p, err)))
            return status;
    }
}

/* An id as Hugging Face reads it, within the ids that there can be. */
static plim_status read_id(plim_loader *loader, plim_template_id *out, plim_error *err)
{
    uint64_t id;
    plim_status status =
        plim_json_u64(loader->json, "the id of a special token", UINT64_MAX, &id, err);
    if (!status && id > INT32_MAX)
        status = plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                "the id of a special token must be below 2^31");
    if (!status)
        *out = (plim_template_id){(int32_t)id, plim_json_offset(loader->json)};
    return status;
}

static plim_status read_ids(plim_loader *loader, processor *p, plim_json_event event,
                            plim_error *err)
{
    if (event != PLIM_JSON_ARRAY)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "ids must be an array");
    for (;;) {
        plim_status status = plim_json_next(loader->json, &event, err);
        if (status || event == PLIM_JSON_ARRAY_END)
            return status;
        if (event != PLIM_JSON_NUMBER)
            return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                  "the id of a special token must be a number");
        if (p->id_count == PLIM_TOK_MAX_TEMPLATE)
            return too_long(loader, err);
        if ((status = plim_grow(loader->tok->alloc, &p->ids, &p->id_cap, p->id_count + 1,
                                sizeof *p->ids, err)) ||
            (status = read_id(loader, &p->ids[p->id_count], err)))
            return status;
        p->id_count++;
    }
}

/* {"NAME": {"id": ..., "ids": [...], "tokens": [...]}, ...} */
static plim_status read_specials(plim_loader *loader, processor *p, plim_json_event event,
                                 plim_error *err)
{
    plim_json *json = loader->json;
    plim_status status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "special_tokens must be an object");
    for (;;) {
        if ((status = plim_json_next(json, &event, err)) || event == PLIM_JSON_OBJECT_END)
            return status;
        size_t bytes;
        const char *text = plim_json_text(json, &bytes);
        special s = {.name = plim_arena_text(&loader->scratch, text, bytes, err),
                     .begin = p->id_count};
        if (!s.name)
            return plim_tok_nomem(err);
        if ((status =
                 plim_json_expect(json, PLIM_JSON_OBJECT, "a special token of a template", err)))
            return status;
        for (bool end = false; !end;) {
            char key[16];
            if ((status = plim_json_member(json, key, sizeof key, &event, &end, err)))
                return status;
            if (end)
                break;
            status =
                !strcmp(key, "ids") ? read_ids(loader, p, event, err) : plim_json_skip(json, err);
            if (status)
                return status;
        }
        s.count = p->id_count - s.begin;
        if (p->special_count == PLIM_TOK_MAX_TEMPLATE)
            return too_long(loader, err);
        if ((status = plim_grow(loader->tok->alloc, &p->specials, &p->special_cap,
                                p->special_count + 1, sizeof *p->specials, err)))
            return status;
        p->specials[p->special_count++] = s;
    }
}

/* ["</s>", 2] */
static plim_status read_token(plim_loader *loader, plim_json_event event, const char *what,
                              plim_template_id *out, plim_error *err)
{
    plim_status status;
    if (event != PLIM_JSON_ARRAY)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "%s must be a token and its id",
                              what);
    if ((status = plim_json_expect(loader->json, PLIM_JSON_STRING, what, err)) ||
        (status = plim_json_expect(loader->json, PLIM_JSON_NUMBER, what, err)) ||
        (status = read_id(loader, out, err)))
        return status;
    return plim_json_expect(loader->json, PLIM_JSON_ARRAY_END, what, err);
}

static plim_status read_type(plim_loader *loader, processor *p, plim_json_event event,
                             plim_error *err)
{
    static const char *const known[] = {"ByteLevel", "TemplateProcessing", "RobertaProcessing",
                                        "BertProcessing", "Sequence"};
    size_t bytes;
    if (event != PLIM_JSON_STRING)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                              "the type of a post_processor must be a string");
    const char *text = plim_json_text(loader->json, &bytes);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (plim_json_text_is(loader->json, known[i])) {
            memcpy(p->type, text, bytes + 1);
            return PLIM_OK;
        }
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP,
                          "post_processor type \"%.64s\" is not supported (yet)", text);
}

static plim_status read_field(plim_loader *loader, processor *p, const char *key,
                              plim_json_event event, plim_error *err)
{
    if (!strcmp(key, "type"))
        return read_type(loader, p, event, err);
    if (!strcmp(key, "single"))
        return read_single(loader, p, event, err);
    if (!strcmp(key, "special_tokens"))
        return read_specials(loader, p, event, err);
    if (!strcmp(key, "cls")) {
        p->have_cls = true;
        return read_token(loader, event, "cls", &p->cls, err);
    }
    if (!strcmp(key, "sep")) {
        p->have_sep = true;
        return read_token(loader, event, "sep", &p->sep, err);
    }
    return plim_json_skip(loader->json, err);
}

static plim_status push(plim_loader *loader, plim_template_id id, plim_error *err)
{
    if (loader->template_count == PLIM_TOK_MAX_TEMPLATE)
        return plim_loader_fail(loader, err, PLIM_E_LIMIT, id.offset,
                                "a template of more than %d ids", PLIM_TOK_MAX_TEMPLATE);
    plim_status status = plim_grow(loader->tok->alloc, &loader->template_ids, &loader->template_cap,
                                   loader->template_count + 1, sizeof id, err);
    if (!status)
        loader->template_ids[loader->template_count++] = id;
    return status;
}

static plim_status push_piece(plim_loader *loader, const processor *p, const piece *part,
                              plim_error *err)
{
    if (!part->name)
        return push(loader, (plim_template_id){PLIM_TEMPLATE_SEQUENCE, part->offset}, err);
    for (size_t i = p->special_count; i-- > 0;) { /* the last of one name */
        const special *s = &p->specials[i];
        if (strcmp(s->name, part->name) != 0)
            continue;
        plim_status status = PLIM_OK;
        for (size_t k = 0; !status && k < s->count; k++)
            status = push(loader, p->ids[s->begin + k], err);
        return status;
    }
    return plim_loader_fail(loader, err, PLIM_E_FORMAT, part->offset,
                            "the template's token \"%.64s\" is not among its special_tokens",
                            part->name);
}

static plim_status end_processor(plim_loader *loader, const processor *p, plim_error *err)
{
    bool template_type = !strcmp(p->type, "TemplateProcessing");
    bool around = !strcmp(p->type, "RobertaProcessing") || !strcmp(p->type, "BertProcessing");
    plim_status status = PLIM_OK;
    if (!p->type[0])
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, p->offset,
                                "post_processor without a type");
    if (p->had_list != !strcmp(p->type, "Sequence") || (template_type && !p->have_single) ||
        (around && (!p->have_cls || !p->have_sep)))
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, p->offset,
                                "post_processor %s lacks a field", p->type);
    if (!template_type && !around)
        return PLIM_OK;
    if (loader->have_template)
        return plim_loader_fail(loader, err, PLIM_E_UNSUP, p->offset,
                                "two post_processors that add tokens");
    loader->have_template = true;
    if (around) {
        if (!(status = push(loader, p->cls, err)) &&
            !(status = push(loader, (plim_template_id){PLIM_TEMPLATE_SEQUENCE, p->offset}, err)))
            status = push(loader, p->sep, err);
        return status;
    }
    for (size_t i = 0; !status && i < p->piece_count; i++)
        status = push_piece(loader, p, &p->pieces[i], err);
    return status;
}

/* One event inside the list of list[*depth - 1]. */
static plim_status next_of_list(plim_loader *loader, processor *list, unsigned *depth,
                                plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(loader->json, &event, err);
    if (status)
        return status;
    if (event == PLIM_JSON_ARRAY_END) {
        list[*depth - 1].in_list = false;
        return PLIM_OK;
    }
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "processors must be objects");
    if (*depth == MAX_NESTING)
        return plim_json_fail(loader->json, err, PLIM_E_LIMIT, "processors nested deeper than %d",
                              MAX_NESTING);
    list[(*depth)++] = (processor){.offset = plim_json_offset(loader->json)};
    return PLIM_OK;
}

static plim_status read_processors(plim_loader *loader, processor *list, unsigned *depth,
                                   plim_error *err)
{
    while (*depth) {
        processor *p = &list[*depth - 1];
        plim_json_event event;
        char key[32];
        bool end;
        plim_status status;
        if (p->in_list) {
            if ((status = next_of_list(loader, list, depth, err)))
                return status;
            continue;
        }
        if ((status = plim_json_member(loader->json, key, sizeof key, &event, &end, err)))
            return status;
        if (end) {
            status = end_processor(loader, p, err);
            free_processor(loader, p);
            --*depth;
        } else if (!strcmp(key, "processors")) {
            if (event != PLIM_JSON_ARRAY || p->had_list)
                return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                      "processors must be one array");
            p->in_list = p->had_list = true;
        } else {
            status = read_field(loader, p, key, event, err);
        }
        if (status)
            return status;
    }
    return PLIM_OK;
}

plim_status plim_load_post_processor(plim_loader *loader, plim_json_event event, plim_error *err)
{
    processor list[MAX_NESTING];
    unsigned depth = 1;
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "post_processor must be an object");
    list[0] = (processor){.offset = plim_json_offset(loader->json)};
    plim_status status = read_processors(loader, list, &depth, err);
    while (depth)
        free_processor(loader, &list[--depth]);
    return status;
}

plim_status plim_load_template_finish(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    if (!loader->have_template)
        return PLIM_OK;
    for (size_t i = 0; i < loader->template_count; i++) {
        plim_template_id id = loader->template_ids[i];
        if (id.id != PLIM_TEMPLATE_SEQUENCE && !plim_tok_token(tok, id.id, NULL))
            return plim_loader_fail(
                loader, err, PLIM_E_FORMAT, id.offset,
                "post_processor adds token id %d, which the vocabulary does not have", (int)id.id);
    }
    tok->template_ids =
        plim_new(tok->alloc, loader->template_count, sizeof *tok->template_ids, err);
    if (!tok->template_ids)
        return plim_tok_nomem(err);
    tok->template_count = loader->template_count;
    for (size_t i = 0; i < loader->template_count; i++)
        tok->template_ids[i] = loader->template_ids[i].id;
    return PLIM_OK;
}
