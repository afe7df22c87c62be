/* SPDX-License-Identifier: Apache-2.0
 *
 * normalizer, pre_tokenizer and decoder of tokenizer.json, each a part with a type, or a Sequence
 * of parts that may nest (to a depth of 8; a loop, not a recursion).  A type that is not known here
 * is UNSUP at once. */
#include <string.h>

#include "tokenizer/load.h"

enum { MAX_NESTING = 8, UNSAID = -1 };

/* The fields that any of the parts has. */
typedef struct part {
    char type[32];
    bool in_list, had_list;
    int64_t offset;
    int behavior, invert, add_prefix_space, use_regex, individual_digits;
    const char *pattern;
    size_t pattern_bytes;
    bool literal;
    int64_t pattern_offset;
} part;

typedef struct part_kind {
    const char *name, *list; /* "pre_tokenizer", "pretokenizers" */
    const char *types[8];
    plim_status (*finish)(plim_loader *loader, const part *p, bool alone, plim_error *err);
} part_kind;

static plim_status missing(plim_loader *loader, const part_kind *kind, const part *p,
                           const char *field, plim_error *err)
{
    return plim_loader_fail(loader, err, PLIM_E_FORMAT, p->offset, "%s %s has no %s", kind->name,
                            p->type, field);
}

/* ---- normalizers ---- */

static plim_status finish_normalizer(plim_loader *loader, const part *p, bool alone,
                                     plim_error *err)
{
    (void)alone, (void)err;
    if (!strcmp(p->type, "NFC"))
        loader->tok->nfc = true;
    return PLIM_OK;
}

static const part_kind normalizer_kind = {
    "normalizer", "normalizers", {"NFC", "Sequence"}, finish_normalizer};

/* ---- pre-tokenizers ---- */

/* What ByteLevel splits with. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static plim_status add_step(plim_tok *tok, plim_step step, plim_where where, plim_error *err)
{
    if (tok->step_count == PLIM_TOK_MAX_STEPS) {
        plim_regex_close(&step.regex);
        return plim_fail_at(err, PLIM_E_LIMIT, where, "pre_tokenizer of more than %d steps",
                            PLIM_TOK_MAX_STEPS);
    }
    tok->steps[tok->step_count++] = step;
    return PLIM_OK;
}

plim_status plim_add_split(plim_tok *tok, plim_regex *regex, plim_behavior behavior, bool invert,
                           plim_where where, plim_error *err)
{
    plim_step step = {
        .kind = PLIM_STEP_SPLIT, .behavior = behavior, .invert = invert, .regex = regex};
    return add_step(tok, step, where, err);
}

plim_status plim_add_byte_level(plim_tok *tok, bool add_prefix_space, bool use_regex,
                                plim_where where, plim_error *err)
{
    plim_status status;
    if (add_prefix_space &&
        (status = add_step(tok, (plim_step){.kind = PLIM_STEP_PREFIX_SPACE}, where, err)))
        return status;
    if (use_regex) {
        plim_regex *regex;
        if ((status = plim_regex_open(&regex, tok->alloc, gpt2_pattern, sizeof gpt2_pattern - 1,
                                      false, where, err)) ||
            (status = plim_add_split(tok, regex, PLIM_SPLIT_ISOLATED, false, where, err)))
            return status;
    }
    return add_step(tok, (plim_step){.kind = PLIM_STEP_ALPHABET}, where, err);
}

void plim_steps_finish(plim_tok *tok)
{
    if (tok->step_count && tok->steps[tok->step_count - 1].kind == PLIM_STEP_ALPHABET) {
        tok->step_count--;
        tok->alphabet_last = true;
    }
}

static const part_kind pre_tokenizer_kind;

static plim_status finish_split(plim_loader *loader, const part *p, plim_error *err)
{
    plim_where where = {loader->path, NULL, p->pattern_offset};
    plim_regex *regex;
    const char *lacks = !p->pattern             ? "pattern"
                        : p->behavior == UNSAID ? "behavior"
                        : p->invert == UNSAID   ? "invert"
                                                : NULL;
    if (lacks)
        return missing(loader, &pre_tokenizer_kind, p, lacks, err);
    plim_status status = plim_regex_open(&regex, loader->tok->alloc, p->pattern, p->pattern_bytes,
                                         p->literal, where, err);
    if (status)
        return status;
    return plim_add_split(loader->tok, regex, (plim_behavior)p->behavior, p->invert == 1, where,
                          err);
}

static plim_status finish_pre_tokenizer(plim_loader *loader, const part *p, bool alone,
                                        plim_error *err)
{
    plim_tok *tok = loader->tok;
    plim_where where = {loader->path, NULL, p->offset};
    plim_regex *regex;
    plim_status status;
    if (!strcmp(p->type, "Split"))
        return finish_split(loader, p, err);
    if (!strcmp(p->type, "Digits")) {
        if (p->individual_digits == UNSAID)
            return missing(loader, &pre_tokenizer_kind, p, "individual_digits", err);
        if ((status = plim_regex_class(&regex, tok->alloc, PLIM_CLASS_NUMERIC, err)))
            return status;
        plim_behavior behavior = p->individual_digits ? PLIM_SPLIT_ISOLATED : PLIM_SPLIT_CONTIGUOUS;
        return plim_add_split(tok, regex, behavior, false, where, err);
    }
    if (!strcmp(p->type, "Punctuation")) {
        if ((status = plim_regex_class(&regex, tok->alloc, PLIM_CLASS_PUNCTUATION, err)))
            return status;
        plim_behavior behavior =
            p->behavior == UNSAID ? PLIM_SPLIT_ISOLATED : (plim_behavior)p->behavior;
        return plim_add_split(tok, regex, behavior, false, where, err);
    }
    if (strcmp(p->type, "ByteLevel") != 0)
        return PLIM_OK;
    if (p->add_prefix_space == UNSAID)
        return missing(loader, &pre_tokenizer_kind, p, "add_prefix_space", err);
    if (loader->byte_level)
        return plim_loader_fail(loader, err, PLIM_E_UNSUP, p->offset,
                                "two ByteLevel pre_tokenizers");
    loader->byte_level = true;
    loader->lone_byte_level = alone;
    return plim_add_byte_level(tok, p->add_prefix_space == 1, p->use_regex != 0, where, err);
}

static const part_kind pre_tokenizer_kind = {
    "pre_tokenizer",
    "pretokenizers",
    {"ByteLevel", "Split", "Digits", "Punctuation", "Sequence"},
    finish_pre_tokenizer};

/* ---- decoders ---- */

/* Joining before ByteLevel would make one token of all: not the same, and met nowhere. */
static plim_status finish_decoder(plim_loader *loader, const part *p, bool alone, plim_error *err)
{
    plim_tok *tok = loader->tok;
    if (!strcmp(p->type, "ByteLevel")) {
        if (tok->decoder != PLIM_DECODE_SPACES)
            return plim_loader_fail(loader, err, PLIM_E_UNSUP, p->offset,
                                    "decoder: %s before ByteLevel",
                                    tok->decoder == PLIM_DECODE_FUSE ? "Fuse" : "ByteLevel");
        tok->decoder = PLIM_DECODE_BYTE_LEVEL;
    } else if (tok->decoder == PLIM_DECODE_SPACES && (!strcmp(p->type, "Fuse") || alone)) {
        tok->decoder = PLIM_DECODE_FUSE; /* an empty Sequence joins too */
    }
    return PLIM_OK;
}

static const part_kind decoder_kind = {
    "decoder", "decoders", {"ByteLevel", "Fuse", "Sequence"}, finish_decoder};

/* ---- reading ---- */

static void begin_part(plim_loader *loader, part *p)
{
    *p = (part){.offset = plim_json_offset(loader->json),
                .behavior = UNSAID,
                .invert = UNSAID,
                .add_prefix_space = UNSAID,
                .use_regex = UNSAID,
                .individual_digits = UNSAID};
}

static plim_status read_type(plim_loader *loader, const part_kind *kind, part *p,
                             plim_json_event event, plim_error *err)
{
    size_t bytes;
    if (event != PLIM_JSON_STRING)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "the type of a %s must be a string",
                              kind->name);
    const char *text = plim_json_text(loader->json, &bytes);
    for (size_t i = 0; i < sizeof kind->types / sizeof *kind->types && kind->types[i]; i++)
        if (plim_json_text_is(loader->json, kind->types[i])) {
            memcpy(p->type, text, bytes + 1);
            return PLIM_OK;
        }
    return plim_json_fail(loader->json, err, PLIM_E_UNSUP,
                          "%s type \"%.64s\" is not supported (yet)", kind->name, text);
}

/* {"Regex": "..."} or {"String": "..."} */
static plim_status read_pattern(plim_loader *loader, part *p, plim_json_event event,
                                plim_error *err)
{
    char key[16];
    bool end;
    plim_status status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "pattern must be an object");
    for (;;) {
        if ((status = plim_json_member(loader->json, key, sizeof key, &event, &end, err)) || end)
            return status;
        p->literal = !strcmp(key, "String");
        if (p->pattern || (!p->literal && strcmp(key, "Regex") != 0))
            return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                                  "pattern must be one Regex or String");
        p->pattern_offset = plim_json_offset(loader->json);
        if ((status = plim_json_string(loader->json, event, "pattern", &loader->scratch,
                                       &p->pattern, &p->pattern_bytes, err)))
            return status;
    }
}

static plim_status read_behavior(plim_loader *loader, part *p, plim_json_event event,
                                 plim_error *err)
{
    static const char *const names[] = {"Removed", "Isolated", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    for (int i = 0; event == PLIM_JSON_STRING && i < 5; i++)
        if (plim_json_text_is(loader->json, names[i])) {
            p->behavior = i;
            return PLIM_OK;
        }
    return plim_json_fail(loader->json, err, PLIM_E_FORMAT,
                          "behavior must be Removed, Isolated, Contiguous, "
                          "MergedWithPrevious or MergedWithNext");
}

static plim_status read_field(plim_loader *loader, const part_kind *kind, part *p, const char *key,
                              plim_json_event event, plim_error *err)
{
    if (!strcmp(key, "type"))
        return read_type(loader, kind, p, event, err);
    if (kind == &pre_tokenizer_kind) {
        if (!strcmp(key, "pattern"))
            return read_pattern(loader, p, event, err);
        if (!strcmp(key, "behavior"))
            return read_behavior(loader, p, event, err);
        int *flag = !strcmp(key, "invert")              ? &p->invert
                    : !strcmp(key, "add_prefix_space")  ? &p->add_prefix_space
                    : !strcmp(key, "use_regex")         ? &p->use_regex
                    : !strcmp(key, "individual_digits") ? &p->individual_digits
                                                        : NULL;
        if (flag) {
            bool value = false;
            plim_status status = plim_json_bool(loader->json, event, key, &value, err);
            *flag = value;
            return status;
        }
    }
    return plim_json_skip(loader->json, err);
}

static plim_status end_part(plim_loader *loader, const part_kind *kind, const part *p, bool alone,
                            plim_error *err)
{
    if (!p->type[0])
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, p->offset, "%s without a type",
                                kind->name);
    if (p->had_list != !strcmp(p->type, "Sequence"))
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, p->offset, "%s %s %s %s", kind->name,
                                p->type, p->had_list ? "with" : "without", kind->list);
    return kind->finish(loader, p, alone, err);
}

/* One event inside parts[*depth - 1]'s list: the list's end, or a part that begins. */
static plim_status next_of_list(plim_loader *loader, const part_kind *kind, part *parts,
                                unsigned *depth, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(loader->json, &event, err);
    if (status)
        return status;
    if (event == PLIM_JSON_ARRAY_END) {
        parts[*depth - 1].in_list = false;
        return PLIM_OK;
    }
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "%s must be objects", kind->list);
    if (*depth == MAX_NESTING)
        return plim_json_fail(loader->json, err, PLIM_E_LIMIT, "%s nested deeper than %d",
                              kind->list, MAX_NESTING);
    begin_part(loader, &parts[(*depth)++]);
    return PLIM_OK;
}

static plim_status read_part(plim_loader *loader, const part_kind *kind, plim_json_event event,
                             plim_error *err)
{
    part parts[MAX_NESTING];
    unsigned depth = 1;
    if (event == PLIM_JSON_NULL)
        return PLIM_OK;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "%s must be an object", kind->name);
    begin_part(loader, &parts[0]);
    while (depth) {
        part *p = &parts[depth - 1];
        char key[32];
        bool end;
        plim_status status;
        if (p->in_list) {
            if ((status = next_of_list(loader, kind, parts, &depth, err)))
                return status;
            continue;
        }
        if ((status = plim_json_member(loader->json, key, sizeof key, &event, &end, err)))
            return status;
        if (end) {
            status = end_part(loader, kind, p, depth == 1, err);
            depth--;
        } else if (!strcmp(key, kind->list)) {
            if (event != PLIM_JSON_ARRAY || p->had_list)
                return plim_json_fail(loader->json, err, PLIM_E_FORMAT, "%s must be one array",
                                      kind->list);
            p->in_list = p->had_list = true;
        } else {
            status = read_field(loader, kind, p, key, event, err);
        }
        if (status)
            return status;
    }
    return PLIM_OK;
}

plim_status plim_load_normalizer(plim_loader *loader, plim_json_event event, plim_error *err)
{
    return read_part(loader, &normalizer_kind, event, err);
}

plim_status plim_load_pre_tokenizer(plim_loader *loader, plim_json_event event, plim_error *err)
{
    return read_part(loader, &pre_tokenizer_kind, event, err);
}

plim_status plim_load_decoder(plim_loader *loader, plim_json_event event, plim_error *err)
{
    return read_part(loader, &decoder_kind, event, err);
}
