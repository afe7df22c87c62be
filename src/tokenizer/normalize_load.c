/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalizer part of tokenizer.json as a list of steps: Sequences are flattened, BertNormalizer
 * becomes the steps it is made of, Prepend and Replace of one byte become one step where they
 * stand together. */
#include "tokenizer/normal.h"

typedef struct loader {
    plim_normalizer *normalizer;
    size_t cap;
    const plim_alloc *alloc;
    plim_part part; /* the step being read */
    plim_error *err;
} loader;

static plim_status add(loader *l, plim_normal_step step)
{
    plim_normalizer *n = l->normalizer;
    if (n->count == PLIM_NORMAL_MAX_STEPS) {
        plim_regex_close(&step.regex);
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_LIMIT,
                              "normalizer of more than %d steps", PLIM_NORMAL_MAX_STEPS);
    }
    plim_status status =
        plim_grow(l->alloc, &n->steps, &l->cap, n->count + 1, sizeof *n->steps, l->err);
    if (status) {
        plim_regex_close(&step.regex);
        return status;
    }
    n->any_regex = n->any_regex || step.regex;
    n->steps[n->count++] = step;
    return PLIM_OK;
}

static plim_status add_chars(loader *l, plim_normal_kind kind)
{
    plim_normal_step step = {.kind = kind};
    plim_normal_chars_prepare(&step);
    return add(l, step);
}

/* A text of the part, copied. */
static plim_status take_text(loader *l, const char *key, const char **text, size_t *bytes)
{
    plim_status status = plim_part_text(&l->part, key, true, text, bytes, l->err);
    if (status)
        return status;
    *text = plim_arena_text(&l->normalizer->arena, *text, *bytes, l->err);
    return *text ? PLIM_OK : plim_tok_nomem(l->err);
}

static plim_status load_strip(loader *l)
{
    plim_normal_step step = {.kind = PLIM_NORMAL_STRIP};
    plim_status status = plim_part_bool(&l->part, "strip_left", true, &step.left, l->err);
    if (!status)
        status = plim_part_bool(&l->part, "strip_right", true, &step.right, l->err);
    return status ? status : add(l, step);
}

static plim_status load_prepend(loader *l)
{
    plim_normal_step step = {.kind = PLIM_NORMAL_PREPEND};
    plim_status status = take_text(l, "prepend", &step.text, &step.bytes);
    return status ? status : add(l, step);
}

static plim_status load_replace(loader *l)
{
    plim_normal_step step = {.kind = PLIM_NORMAL_REPLACE};
    const char *pattern;
    bool literal;
    const plim_node *where;
    plim_status status = take_text(l, "content", &step.text, &step.bytes);
    if (!status)
        status = plim_part_pattern(&l->part, "pattern", &pattern, &step.pattern_bytes, &literal,
                                   &where, l->err);
    if (status)
        return status;
    if (!literal) {
        plim_where at = {l->part.path, NULL, where->offset};
        status =
            plim_regex_open(&step.regex, l->alloc, pattern, step.pattern_bytes, false, at, l->err);
        return status ? status : add(l, step);
    }
    step.pattern = plim_arena_text(&l->normalizer->arena, pattern, step.pattern_bytes, l->err);
    if (!step.pattern)
        return plim_tok_nomem(l->err);
    if (step.pattern_bytes == 1 && step.bytes <= 8) {
        step.kind = PLIM_NORMAL_MARKUP;
        step.byte = (unsigned char)step.pattern[0];
        step.prefix = "";
    }
    return add(l, step);
}

/* ---- Precompiled ---- */

static int sextet(unsigned char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Base64 (RFC 4648), with or without the padding, into out: false for what is none. */
static bool base64(const char *text, size_t bytes, char *out, size_t *out_bytes)
{
    size_t padding = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    *out_bytes = 0;
    while (bytes % 4 == 0 && padding < 2 && padding < bytes && text[bytes - padding - 1] == '=')
        padding++;
    for (size_t i = 0; i < bytes - padding; i++) {
        int value = sextet((unsigned char)text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*out_bytes)++] = (char)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    return have < 6 && bits == 0;
}

static plim_status load_charsmap(loader *l)
{
    plim_normal_step step = {.kind = PLIM_NORMAL_CHARSMAP};
    const char *text;
    size_t bytes, blob_bytes;
    plim_status status =
        plim_part_text(&l->part, "precompiled_charsmap", true, &text, &bytes, l->err);
    if (status)
        return status;
    /* aligned to 16, so that the units are aligned to 4 */
    char *blob = plim_arena_new(&l->normalizer->arena, bytes / 4 * 3 + 4, 1, l->err);
    if (!blob)
        return plim_tok_nomem(l->err);
    if (!base64(text, bytes, blob, &blob_bytes))
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_FORMAT,
                              "precompiled_charsmap is not base64");
    status = plim_charsmap_open(&step.charsmap, blob, blob_bytes, &l->part, l->part.node, l->err);
    if (status)
        return status;
    plim_charsmap_prepare(&step);
    return add(l, step);
}

/* ---- BertNormalizer ---- */

static plim_status load_bert(loader *l)
{
    bool clean = false, chinese = false, lowercase = false, bare = false;
    const plim_node *said;
    plim_status status;
    if ((status = plim_part_bool(&l->part, "clean_text", true, &clean, l->err)) ||
        (status = plim_part_bool(&l->part, "handle_chinese_chars", true, &chinese, l->err)) ||
        (status = plim_part_bool(&l->part, "lowercase", true, &lowercase, l->err)) ||
        (status = plim_part_bool(&l->part, "strip_accents", false, &bare, l->err)) ||
        (status = plim_part_get(&l->part, "strip_accents", &said, l->err)))
        return status;
    if (!said)
        bare = lowercase;
    if (clean && (status = add_chars(l, PLIM_NORMAL_CLEAN)))
        return status;
    if (chinese && (status = add_chars(l, PLIM_NORMAL_SPACED_CHINESE)))
        return status;
    if (bare && ((status = add(l, (plim_normal_step){.kind = PLIM_NORMAL_NFD})) ||
                 (status = add_chars(l, PLIM_NORMAL_STRIP_NONSPACING))))
        return status;
    return lowercase ? add_chars(l, PLIM_NORMAL_LOWERCASE) : PLIM_OK;
}

/* ---- the whole ---- */

static plim_status load_step(loader *l)
{
    static const char *const types[] = {"NFC",       "NFD",           "NFKC",    "NFKD",
                                        "Lowercase", "StripAccents",  "Nmt",     "ByteLevel",
                                        "Strip",     "Prepend",       "Replace", "Precompiled",
                                        "Bert",      "BertNormalizer"};
    static const plim_normal_kind simple[] = {
        PLIM_NORMAL_NFC,       PLIM_NORMAL_NFD,           PLIM_NORMAL_NFKC, PLIM_NORMAL_NFKD,
        PLIM_NORMAL_LOWERCASE, PLIM_NORMAL_STRIP_ACCENTS, PLIM_NORMAL_NMT,  PLIM_NORMAL_BYTE_LEVEL};
    static plim_status (*const others[])(loader *) = {load_strip,    load_prepend, load_replace,
                                                      load_charsmap, load_bert,    load_bert};
    size_t type = 0;
    plim_status status = plim_part_choice(&l->part, "type", true, types,
                                          sizeof types / sizeof *types, &type, l->err);
    if (status)
        return status;
    if (type < 4)
        return add(l, (plim_normal_step){.kind = simple[type]});
    return type < 8 ? add_chars(l, simple[type]) : others[type - 8](l);
}

/* Prepend beside the replacing of one byte goes into its pass.  (In front of it, what is prepended
 * would be searched too.) */
static void join_steps(plim_normalizer *n)
{
    size_t out = 0;
    for (size_t i = 0; i < n->count; i++) {
        plim_normal_step step = n->steps[i];
        plim_normal_step *last = out ? &n->steps[out - 1] : NULL;
        if (last && last->kind == PLIM_NORMAL_PREPEND && last->bytes &&
            step.kind == PLIM_NORMAL_MARKUP && !memchr(last->text, step.byte, last->bytes)) {
            step.prefix = last->text;
            step.prefix_bytes = last->bytes;
            *last = step;
        } else if (last && last->kind == PLIM_NORMAL_MARKUP && last->bytes && !last->prefix_bytes &&
                   step.kind == PLIM_NORMAL_PREPEND && step.bytes) {
            last->prefix = step.text;
            last->prefix_bytes = step.bytes;
        } else {
            n->steps[out++] = step;
        }
    }
    n->count = out;
}

plim_status plim_normalizer_load(plim_normalizer **out, const plim_alloc *alloc,
                                 const plim_part *part, plim_error *err)
{
    const plim_node *nodes[PLIM_NORMAL_MAX_STEPS];
    size_t count = 0;
    plim_error local = {0};
    err = err ? err : &local;
    *out = NULL;
    plim_status status =
        plim_part_flatten(part, "normalizers", nodes, PLIM_NORMAL_MAX_STEPS, &count, err);
    if (status || !count)
        return status;
    plim_normalizer *normalizer = plim_new(alloc, 1, sizeof *normalizer, err);
    if (!normalizer)
        return plim_tok_nomem(err);
    plim_arena_init(&normalizer->arena, alloc);
    loader l = {.normalizer = normalizer, .alloc = alloc, .err = err};
    for (size_t i = 0; !status && i < count; i++) {
        l.part = (plim_part){part->path, part->what, nodes[i]};
        status = load_step(&l);
    }
    if (status) {
        plim_normalizer_close(&normalizer, alloc);
        return status;
    }
    join_steps(normalizer);
    *out = normalizer;
    return PLIM_OK;
}

void plim_normalizer_close(plim_normalizer **normalizer, const plim_alloc *alloc)
{
    plim_normalizer *n = *normalizer;
    if (!n)
        return;
    for (size_t i = 0; i < n->count; i++)
        plim_regex_close(&n->steps[i].regex);
    plim_delete(alloc, n->steps);
    plim_arena_free(&n->arena);
    plim_delete(alloc, n);
    *normalizer = NULL;
}
