/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands around the ids of a text.  Post-processors work one after another on a list of
 * encodings, which a template makes longer, as in Hugging Face.  What they do does not depend on
 * the text: it is worked out once, with special tokens and without, as a list of ids and places for
 * the text, and how often its spans are trimmed there. */
#include "base/num.h"
#include "base/utf8.h"
#include "tokenizer/classes.h"
#include "tokenizer/internal.h"

enum { MAX_PROCESSORS = 16, MAX_TRIMS = 8, TEXT = -1 };

/* Once round a text's spans: spaces at the ends of tokens are left out. */
enum {
    TRIM_PREFIX = 1,
    TRIM_FIRST = 2
}; /* add_prefix_space; the text's first token is the first
      of its encoding */

typedef struct item {
    int32_t id; /* or TEXT */
    bool ends;  /* the last of its encoding, while it is worked out */
    uint8_t trims;
    uint8_t trim[MAX_TRIMS];
} item;

typedef struct program {
    item *items;
    size_t count, cap, encodings, texts;
} program;

struct plim_post {
    program plain, special;
};

typedef struct loader {
    const plim_tok *tok;
    const plim_alloc *alloc;
    plim_part part; /* the processor at work */
    bool add_special;
    program from, to;
    plim_error *err;
} loader;

/* ---- working it out ---- */

static plim_status put(loader *l, item it)
{
    if (l->to.count == PLIM_TOK_MAX_TEMPLATE)
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_LIMIT,
                              "a template of more than %d parts", PLIM_TOK_MAX_TEMPLATE);
    plim_status status =
        plim_grow(l->alloc, &l->to.items, &l->to.cap, l->to.count + 1, sizeof it, l->err);
    if (!status)
        l->to.items[l->to.count++] = it;
    return status;
}

static plim_status put_id(loader *l, int32_t id)
{
    return put(l, (item){.id = id});
}

/* What was put since the last end is an encoding.  (One of nothing does not count: it would only be
 * the place where nothing is.) */
static void end_encoding(loader *l)
{
    l->to.items[l->to.count - 1].ends = true;
    l->to.encodings++;
}

/* The index behind encoding `which` of l->from, whose first item is *begin. */
static size_t find_encoding(const loader *l, size_t which, size_t *begin)
{
    size_t at = 0;
    for (*begin = 0; at < l->from.count; at++)
        if (l->from.items[at].ends) {
            if (which-- == 0)
                return at + 1;
            *begin = at + 1;
        }
    return at;
}

/* Encoding `which`, its end not marked. */
static plim_status put_encoding(loader *l, size_t which)
{
    size_t begin, end = find_encoding(l, which, &begin);
    plim_status status = PLIM_OK;
    for (size_t i = begin; !status && i < end; i++) {
        item it = l->from.items[i];
        it.ends = false;
        status = put(l, it);
    }
    return status;
}

/* An id as Hugging Face reads it, within those that there are. */
static plim_status read_id(loader *l, const plim_node *node, int32_t *out)
{
    uint64_t id = 0;
    if (node->kind != PLIM_JSON_NUMBER || !plim_parse_u64(node->text, node->bytes, &id))
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "the id of a special token must be a number");
    if (id > INT32_MAX)
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "the id of a special token must be below 2^31");
    if (plim_tok_token(l->tok, (int32_t)id, NULL, 0) == SIZE_MAX)
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "post_processor adds token id %d, which the vocabulary does not have",
                              (int)id);
    *out = (int32_t)id;
    return PLIM_OK;
}

/* ---- TemplateProcessing ---- */

static plim_status put_special(loader *l, const plim_node *node, const char *name)
{
    const plim_node *specials, *found = NULL, *ids;
    plim_status status =
        plim_part_list(&l->part, "special_tokens", true, PLIM_JSON_OBJECT, &specials, l->err);
    if (status)
        return status;
    for (const plim_node *n = specials->first; n; n = n->next)
        if (!strcmp(n->key, name))
            found = n; /* the last of one name */
    if (!found)
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "the template's token \"%.64s\" is not among its special_tokens",
                              name);
    plim_part token = {l->part.path, "a special token of the template", found};
    status = plim_part_list(&token, "ids", true, PLIM_JSON_ARRAY, &ids, l->err);
    if (status)
        return status;
    size_t before = l->to.count;
    for (const plim_node *n = ids->first; !status && n; n = n->next) {
        int32_t id = 0;
        if (!(status = read_id(l, n, &id)))
            status = put_id(l, id);
    }
    if (!status && l->to.count > before)
        end_encoding(l);
    return status;
}

/* {"Sequence": {"id": "A"}} or {"SpecialToken": {"id": NAME}} */
static plim_status put_piece(loader *l, const plim_node *node)
{
    const plim_node *value = node->kind == PLIM_JSON_OBJECT ? node->first : NULL;
    bool sequence = value && !strcmp(value->key, "Sequence");
    if (!value || value->next || value->kind != PLIM_JSON_OBJECT ||
        (!sequence && strcmp(value->key, "SpecialToken") != 0))
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "a part of a template must be a Sequence or a SpecialToken");
    plim_part piece = {l->part.path, "a part of a template", value};
    const char *id;
    size_t bytes;
    plim_status status = plim_part_text(&piece, "id", true, &id, &bytes, l->err);
    if (status)
        return status;
    if (!sequence)
        return l->add_special ? put_special(l, node, id) : PLIM_OK;
    bool second = !strcmp(id, "B");
    if ((!second && strcmp(id, "A") != 0) || (second && l->from.encodings < 2))
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                              "a template for one text must use sequence A");
    if (!(status = put_encoding(l, second)))
        end_encoding(l);
    return status;
}

static plim_status apply_template(loader *l)
{
    const plim_node *list;
    if (l->from.encodings < 1 || l->from.encodings > 2)
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_UNSUP,
                              "post_processor: a template behind one that makes %zu parts",
                              l->from.encodings);
    plim_status status = plim_part_list(&l->part, l->from.encodings == 1 ? "single" : "pair", true,
                                        PLIM_JSON_ARRAY, &list, l->err);
    for (const plim_node *n = status ? NULL : list->first; !status && n; n = n->next)
        status = put_piece(l, n);
    return status;
}

/* ---- the others ---- */

/* ["</s>", 2] */
static plim_status read_token(loader *l, const char *key, int32_t *out)
{
    const plim_node *pair;
    plim_status status = plim_part_list(&l->part, key, true, PLIM_JSON_ARRAY, &pair, l->err);
    if (status)
        return status;
    const plim_node *text = pair->first, *id = text ? text->next : NULL;
    if (!id || id->next || text->kind != PLIM_JSON_STRING)
        return plim_part_fail(&l->part, pair, l->err, PLIM_E_FORMAT,
                              "%s must be a token and its id", key);
    return read_id(l, id, out);
}

/* cls and sep around the first encoding, sep behind the others (Roberta's: before them, too). */
static plim_status apply_around(loader *l, bool roberta)
{
    int32_t cls, sep;
    plim_status status = read_token(l, "cls", &cls);
    if (!status)
        status = read_token(l, "sep", &sep);
    for (size_t i = 0; !status && i < l->from.encodings; i++) {
        if (l->add_special && (i == 0 || roberta))
            status = put_id(l, i == 0 ? cls : sep);
        if (!status)
            status = put_encoding(l, i);
        if (!status && l->add_special)
            status = put_id(l, sep);
        if (!status)
            end_encoding(l);
    }
    return status;
}

/* trim_offsets of ByteLevel and RobertaProcessing: on l->from. */
static plim_status apply_trim(loader *l)
{
    bool trim = true, prefix = true, first = true;
    plim_status status = plim_part_bool(&l->part, "trim_offsets", false, &trim, l->err);
    if (!status)
        status = plim_part_bool(&l->part, "add_prefix_space", false, &prefix, l->err);
    for (size_t i = 0; !status && trim && i < l->from.count; i++) {
        item *it = &l->from.items[i];
        if (it->id == TEXT && it->trims == MAX_TRIMS)
            return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_LIMIT,
                                  "post_processor: offsets trimmed more than %d times", MAX_TRIMS);
        if (it->id == TEXT)
            it->trim[it->trims++] =
                (uint8_t)((prefix ? TRIM_PREFIX : 0) | (first ? TRIM_FIRST : 0));
        first = it->ends;
    }
    return status;
}

static plim_status apply(loader *l, const plim_node *node)
{
    static const char *const names[] = {"ByteLevel", "TemplateProcessing", "RobertaProcessing",
                                        "BertProcessing"};
    size_t kind = 0;
    plim_status status;
    l->part.node = node;
    l->to.count = l->to.encodings = 0;
    if ((status = plim_part_choice(&l->part, "type", true, names, 4, &kind, l->err)))
        return status;
    if ((kind == 0 || kind == 2) && (status = apply_trim(l)))
        return status;
    if (kind == 0)
        return PLIM_OK;
    if ((status = kind == 1 ? apply_template(l) : apply_around(l, kind == 2)))
        return status;
    program swap = l->from;
    l->from = l->to;
    l->to = swap;
    return PLIM_OK;
}

static plim_status work_out(loader *l, const plim_node *const *steps, size_t count, program *out)
{
    l->to.count = l->to.encodings = 0;
    plim_status status = put_id(l, TEXT);
    if (!status) {
        end_encoding(l);
        program swap = l->from;
        l->from = l->to;
        l->to = swap;
    }
    for (size_t i = 0; !status && i < count; i++)
        status = apply(l, steps[i]);
    if (!status) {
        *out = l->from;
        l->from = (program){0};
        for (size_t i = 0; i < out->count; i++)
            out->texts += out->items[i].id == TEXT;
    }
    return status;
}

static plim_status new_post(plim_post **out, const plim_alloc *alloc, plim_error *err)
{
    *out = plim_new(alloc, 1, sizeof **out, err);
    return *out ? PLIM_OK : plim_tok_nomem(err);
}

plim_status plim_post_load(plim_post **out, const plim_tok *tok, const plim_part *part,
                           plim_error *err)
{
    plim_error local = {0};
    err = err ? err : &local;
    const plim_node *steps[MAX_PROCESSORS];
    size_t count;
    *out = NULL;
    plim_status status = plim_part_flatten(part, "processors", steps, MAX_PROCESSORS, &count, err);
    plim_post *post;
    if (status || (status = new_post(&post, tok->alloc, err)))
        return status;
    loader l = {.tok = tok, .alloc = tok->alloc, .part = *part, .err = err};
    status = work_out(&l, steps, count, &post->plain);
    l.add_special = true;
    if (!status)
        status = work_out(&l, steps, count, &post->special);
    plim_delete(tok->alloc, l.from.items);
    plim_delete(tok->alloc, l.to.items);
    if (status)
        plim_post_close(&post, tok->alloc);
    *out = post;
    return status;
}

plim_status plim_post_around(plim_post **out, const plim_alloc *alloc, uint32_t bos, uint32_t eos,
                             plim_error *err)
{
    plim_status status = new_post(out, alloc, err);
    if (status)
        return status;
    program *p = &(*out)->special, *plain = &(*out)->plain;
    p->items = plim_new(alloc, 3, sizeof *p->items, err);
    plain->items = p->items ? plim_new(alloc, 1, sizeof *p->items, err) : NULL;
    if (!plain->items) {
        plim_post_close(out, alloc);
        return plim_tok_nomem(err);
    }
    if (bos != PLIM_TOK_NONE)
        p->items[p->count++] = (item){.id = (int32_t)bos};
    p->items[p->count++] = (item){.id = TEXT};
    if (eos != PLIM_TOK_NONE)
        p->items[p->count++] = (item){.id = (int32_t)eos};
    plain->items[plain->count++] = (item){.id = TEXT};
    p->texts = plain->texts = 1;
    return PLIM_OK;
}

void plim_post_close(plim_post **post, const plim_alloc *alloc)
{
    if (!*post)
        return;
    plim_delete(alloc, (*post)->plain.items);
    plim_delete(alloc, (*post)->special.items);
    plim_delete(alloc, *post);
    *post = NULL;
}

/* ---- spans ---- */

static bool is_space(const char *text, size_t bytes, bool raw, size_t *length)
{
    uint32_t code = 0;
    size_t bad;
    bool incomplete;
    if (raw) {
        *length = 1;
        return *text == ' ';
    }
    *length = plim_utf8_decode(text, bytes, &code, &bad, &incomplete);
    return code == 0x120 || plim_is_space(code); /* the alphabet's space, or one */
}

/* Characters of a token that are spaces, at its begin and at its end.  An added token is what
 * stands in the text, with the spaces it took. */
static void count_spaces(const plim_run *run, uint32_t id, const plim_tok_span *span,
                         size_t *leading, size_t *trailing)
{
    const plim_vocab *vocab = &run->tok->vocab;
    bool added = plim_added_by_id(&run->tok->added, id) != NULL, only = true;
    size_t bytes = span->end - span->begin, length;
    const char *text = run->text + span->begin;
    if (!added)
        text = plim_vocab_text(vocab, id, &bytes);
    bool raw = !added && text && plim_vocab_is_raw(vocab, id),
         spaced = !added && vocab->form == PLIM_VOCAB_SPACED; /* U+2581 is no space here */
    *leading = *trailing = 0;
    for (size_t i = 0; text && i < bytes; i += length ? length : 1) {
        bool space = is_space(text + i, bytes - i, raw, &length) && !(spaced && text[i] == ' ');
        only = only && space;
        *leading += only;
        *trailing = space ? *trailing + 1 : 0;
    }
}

/* The byte behind the next character of the caller's text, whose ill-formed bytes are characters,
 * too. */
static size_t step_over(const plim_run *run, size_t at)
{
    uint32_t code;
    size_t bad = 1;
    bool incomplete;
    size_t length =
        plim_utf8_decode(run->text + at, run->text_bytes - at, &code, &bad, &incomplete);
    return at + (length ? length : bad);
}

/* Hugging Face counts in characters. */
static void trim_span(const plim_run *run, uint32_t id, uint8_t how, bool first,
                      plim_tok_span *span)
{
    size_t leading, trailing, characters = 0, skip = 0, begin = span->begin, end = span->end;
    count_spaces(run, id, span, &leading, &trailing);
    if (!leading && !trailing)
        return;
    if (leading && (first || begin == 0) && how & TRIM_PREFIX)
        leading--;
    for (size_t at = begin; at < end && at < run->text_bytes; at = step_over(run, at))
        characters++;
    skip = leading < characters ? leading : characters;
    for (size_t i = 0; i < skip; i++)
        begin = step_over(run, begin);
    if (trailing && end < 4 * trailing) { /* at the very begin of a text there may be too few */
        size_t before = 0;
        for (size_t at = 0; at < end && at < run->text_bytes; at = step_over(run, at))
            before++;
        trailing = before < trailing ? 0 : trailing;
    }
    size_t keep = characters - skip;
    keep = trailing < keep ? keep - trailing : 0;
    if (trailing)
        for (end = begin; keep; keep--)
            end = step_over(run, end);
    *span = (plim_tok_span){begin, end};
}

static void trim(const plim_run *run, const item *it, size_t begin, size_t count)
{
    for (unsigned k = 0; k < it->trims; k++)
        for (size_t i = 0; i < count; i++)
            trim_span(run, (uint32_t)run->ids[begin + i], it->trim[k],
                      i == 0 && it->trim[k] & TRIM_FIRST, &run->spans[begin + i]);
}

/* ---- using it ---- */

/* The ids (and spans) of the text to run->ids + at. */
static void place_text(plim_run *run, const int32_t *ids, const plim_tok_span *spans, size_t count,
                       size_t at)
{
    if (!count)
        return;
    memmove(run->ids + at, ids, count * sizeof *ids);
    if (run->tracked)
        memmove(run->spans + at, spans, count * sizeof *spans);
}

/* The text is there more than once: a copy of it. */
static plim_status copy_text(plim_run *run, size_t count, int32_t **ids, plim_tok_span **spans,
                             plim_error *err)
{
    *ids = plim_new(run->alloc, count, sizeof **ids, err);
    if (!*ids)
        return plim_tok_nomem(err);
    memcpy(*ids, run->ids, count * sizeof **ids);
    if (!run->tracked)
        return PLIM_OK;
    *spans = plim_new(run->alloc, count, sizeof **spans, err);
    if (!*spans) {
        plim_delete(run->alloc, *ids);
        return plim_tok_nomem(err);
    }
    memcpy(*spans, run->spans, count * sizeof **spans);
    return PLIM_OK;
}

plim_status plim_post_apply(plim_run *run, bool add_special, plim_error *err)
{
    const program *p = add_special ? &run->tok->post->special : &run->tok->post->plain;
    size_t count = run->count, total, at = 0;
    int32_t *ids = NULL;
    plim_tok_span *spans = NULL;
    if (p->count == 1 && p->texts == 1 && (!p->items[0].trims || !run->tracked))
        return PLIM_OK;
    if (__builtin_mul_overflow(p->texts, count, &total) ||
        __builtin_add_overflow(total, p->count - p->texts, &total))
        return plim_fail(err, PLIM_E_LIMIT, "the post-processor repeats the text too often");
    plim_status status = total ? plim_run_grow(run, total, err) : PLIM_OK;
    if (!status && p->texts > 1 && count)
        status = copy_text(run, count, &ids, &spans, err);
    if (status)
        return status;
    size_t before = 0; /* ids before the text: it moves first, for it lies where they go */
    while (before < p->count && p->items[before].id != TEXT)
        before++;
    if (p->texts == 1)
        place_text(run, run->ids, run->spans, count, before);
    for (size_t i = 0; i < p->count; i++) {
        const item *it = &p->items[i];
        if (it->id != TEXT) {
            if (run->tracked)
                run->spans[at] = (plim_tok_span){0, 0};
            run->ids[at++] = it->id;
            continue;
        }
        if (p->texts > 1)
            place_text(run, ids, spans, count, at);
        if (run->tracked)
            trim(run, it, at, count);
        at += count;
    }
    run->count = total;
    plim_delete(run->alloc, ids);
    plim_delete(run->alloc, spans);
    return PLIM_OK;
}
