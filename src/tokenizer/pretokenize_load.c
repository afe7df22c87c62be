/* SPDX-License-Identifier: Apache-2.0
 *
 * pre_tokenizer of tokenizer.json to steps.  What ByteLevel makes is spelled in an alphabet of 256
 * characters; where every step behind it can work on the bytes themselves (as in Falcon's), nothing
 * is spelled at all. */
#include <string.h>

#include "tokenizer/pretokenize.h"

typedef struct loading {
    plim_pretokenizer *p;
    const plim_alloc *alloc;
    plim_part part; /* of one type */
    plim_error *err;
} loading;

/* What ByteLevel splits with. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- steps ---- */

/* Takes the scanner over, also when it fails. */
static plim_status add_step(loading *l, plim_step *step)
{
    if (l->p->count == PLIM_TOK_MAX_STEPS) {
        plim_scan_close(&step->scan);
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_LIMIT,
                              "%s of more than %d steps", l->part.what, PLIM_TOK_MAX_STEPS);
    }
    l->p->steps[l->p->count++] = *step;
    return PLIM_OK;
}

typedef enum behavior { REMOVED, ISOLATED, CONTIGUOUS, WITH_PREVIOUS, WITH_NEXT } behavior;

static plim_status get_behavior(const loading *l, bool required, behavior *out)
{
    static const char *const names[] = {"Removed", "Isolated", "Contiguous", "MergedWithPrevious",
                                        "MergedWithNext"};
    const char *text = NULL;
    size_t bytes;
    const plim_node *node;
    plim_status status = plim_part_text(&l->part, "behavior", required, &text, &bytes, l->err);
    if (!status)
        status = plim_part_get(&l->part, "behavior", &node, l->err);
    if (status || !text)
        return status;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == bytes && memcmp(names[i], text, bytes) == 0) {
            *out = (behavior)i;
            return PLIM_OK;
        }
    return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT,
                          "behavior must be Removed, Isolated, Contiguous, MergedWithPrevious or "
                          "MergedWithNext");
}

/* A step that splits with `scan`, which it takes over. */
static plim_status add_split(loading *l, const plim_scan *scan, behavior how, bool invert)
{
    plim_step step = {.kind = PLIM_STEP_CUT, .scan = *scan, .invert = invert};
    if (how == REMOVED) {
        step.keep = invert ? PLIM_KEEP_MATCHES : PLIM_KEEP_BETWEEN;
    } else if (how == ISOLATED) {
        step.keep = PLIM_KEEP_ALL;
    } else if (scan->fill == plim_scan_literal && how != CONTIGUOUS && !invert) {
        step.keep = PLIM_KEEP_ALL;
        step.scan.fill = how == WITH_NEXT ? plim_scan_before_literal : plim_scan_behind_literal;
    } else {
        step.kind = PLIM_STEP_MERGE;
        step.merge = how == CONTIGUOUS      ? PLIM_MERGE_CONTIGUOUS
                     : how == WITH_PREVIOUS ? PLIM_MERGE_WITH_PREVIOUS
                                            : PLIM_MERGE_WITH_NEXT;
    }
    return add_step(l, &step);
}

static plim_status add_pattern(loading *l, const char *pattern, size_t bytes, bool literal,
                               const plim_node *where, behavior how, bool invert)
{
    plim_scan scan;
    plim_where at = {l->part.path, NULL, where ? where->offset : -1};
    plim_status status = plim_scan_open(&scan, l->alloc, pattern, bytes, literal, at, l->err);
    return status ? status : add_split(l, &scan, how, invert);
}

static plim_status add_classes(loading *l, const plim_kind_rule *rules, size_t count,
                               uint8_t otherwise, unsigned keep)
{
    plim_step step = {.kind = PLIM_STEP_CUT, .keep = keep};
    plim_scan_classes(&step.scan, rules, count, otherwise);
    return add_step(l, &step);
}

/* Characters of one class are matches, as a behavior has it. */
static plim_status add_class_split(loading *l, uint64_t mask, behavior how)
{
    plim_scan scan;
    bool runs = how == CONTIGUOUS || how == REMOVED;
    plim_kind_rule rule = {mask, runs ? PLIM_KIND_RUN : PLIM_KIND_SINGLE};
    plim_scan_classes(&scan, &rule, 1, PLIM_KIND_GAP);
    return add_split(l, &scan, how == CONTIGUOUS ? ISOLATED : how, false);
}

/* ---- types ---- */

static plim_status load_split(loading *l)
{
    const char *pattern;
    size_t bytes;
    bool literal, invert = false;
    const plim_node *where;
    behavior how = ISOLATED;
    plim_status status = get_behavior(l, true, &how);
    if (!status)
        status = plim_part_bool(&l->part, "invert", true, &invert, l->err);
    if (!status)
        status = plim_part_pattern(&l->part, "pattern", &pattern, &bytes, &literal, &where, l->err);
    return status ? status : add_pattern(l, pattern, bytes, literal, where, how, invert);
}

static plim_status add_byte_level(loading *l, const char *pattern, bool add_prefix_space)
{
    plim_status status = PLIM_OK;
    plim_step prefix = {.kind = PLIM_STEP_PREFIX_SPACE}, alphabet = {.kind = PLIM_STEP_ALPHABET};
    if (add_prefix_space)
        status = add_step(l, &prefix);
    if (!status && pattern)
        status = add_pattern(l, pattern, strlen(pattern), false, l->part.node, ISOLATED, false);
    return status ? status : add_step(l, &alphabet);
}

static plim_status load_byte_level(loading *l)
{
    bool prefix = false, use_regex = true;
    plim_status status = plim_part_bool(&l->part, "add_prefix_space", true, &prefix, l->err);
    if (!status)
        status = plim_part_bool(&l->part, "use_regex", false, &use_regex, l->err);
    return status ? status : add_byte_level(l, use_regex ? gpt2_pattern : NULL, prefix);
}

static plim_status load_digits(loading *l)
{
    bool individual = false;
    plim_status status = plim_part_bool(&l->part, "individual_digits", true, &individual, l->err);
    return status ? status
                  : add_class_split(l, PLIM_IS_NUMERIC, individual ? ISOLATED : CONTIGUOUS);
}

static plim_status load_punctuation(loading *l)
{
    behavior how = ISOLATED;
    plim_status status = get_behavior(l, false, &how);
    return status ? status : add_class_split(l, PLIM_IS_PUNCTUATION, how);
}

static plim_status load_whitespace(loading *l)
{
    static const plim_kind_rule rules[] = {{PLIM_IS_SPACE, PLIM_KIND_GAP},
                                           {PLIM_IS_WORD, PLIM_KIND_RUN}};
    return add_classes(l, rules, 2, PLIM_KIND_RUN_2, PLIM_KEEP_MATCHES);
}

static plim_status load_whitespace_split(loading *l)
{
    return add_class_split(l, PLIM_IS_SPACE, REMOVED);
}

static plim_status load_bert(loading *l)
{
    static const plim_kind_rule rules[] = {{PLIM_IS_SPACE, PLIM_KIND_GAP},
                                           {PLIM_IS_PUNCTUATION, PLIM_KIND_SINGLE}};
    return add_classes(l, rules, 2, PLIM_KIND_RUN, PLIM_KEEP_MATCHES);
}

/* A member that is one character. */
static plim_status get_character(loading *l, const char *key, const char **text, size_t *bytes)
{
    const plim_node *node;
    uint32_t code;
    plim_status status = plim_part_text(&l->part, key, true, text, bytes, l->err);
    if (!status)
        status = plim_part_get(&l->part, key, &node, l->err);
    if (!status && (!*bytes || plim_char_at(*text, &code) != *bytes))
        return plim_part_fail(&l->part, node, l->err, PLIM_E_FORMAT, "%s: %s must be one character",
                              l->part.what, key);
    return status;
}

static plim_status load_delimiter(loading *l)
{
    const char *text;
    size_t bytes;
    plim_status status = get_character(l, "delimiter", &text, &bytes);
    return status ? status : add_pattern(l, text, bytes, true, l->part.node, REMOVED, false);
}

static plim_status load_metaspace(loading *l)
{
    static const char *const schemes[] = {"never", "first", "always"};
    plim_step step = {.kind = PLIM_STEP_METASPACE};
    const char *text;
    size_t bytes, scheme = PLIM_PREPEND_ALWAYS;
    bool split = true, prefix = true;
    plim_status status = get_character(l, "replacement", &text, &bytes);
    if (!status)
        status = plim_part_choice(&l->part, "prepend_scheme", false, schemes, 3, &scheme, l->err);
    if (!status)
        status = plim_part_bool(&l->part, "split", false, &split, l->err);
    if (!status)
        status = plim_part_bool(&l->part, "add_prefix_space", false, &prefix, l->err);
    if (status)
        return status;
    if (!prefix && scheme != PLIM_PREPEND_NEVER)
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_FORMAT,
                              "%s Metaspace: add_prefix_space false wants prepend_scheme never",
                              l->part.what);
    memcpy(step.mark, text, bytes);
    step.mark_bytes = (unsigned)bytes;
    step.prepend = (plim_prepend)scheme;
    step.splits = split;
    if ((status = add_step(l, &step)) || !split)
        return status;
    return add_pattern(l, text, bytes, true, l->part.node, WITH_NEXT, false);
}

static plim_status load_fixed(loading *l)
{
    uint64_t length = 5;
    plim_step step = {.kind = PLIM_STEP_CUT, .keep = PLIM_KEEP_ALL};
    plim_status status = plim_part_u64(&l->part, "length", false, UINT32_MAX, &length, l->err);
    if (status)
        return status;
    if (!length)
        return plim_part_fail(&l->part, l->part.node, l->err, PLIM_E_FORMAT,
                              "%s FixedLength: length is 0", l->part.what);
    plim_scan_fixed(&step.scan, (size_t)length);
    return add_step(l, &step);
}

static plim_status load_scripts(loading *l)
{
    plim_step step = {.kind = PLIM_STEP_CUT, .keep = PLIM_KEEP_MATCHES};
    plim_scan_scripts(&step.scan);
    return add_step(l, &step);
}

static const struct {
    const char *type;
    plim_status (*load)(loading *l);
} types[] = {
    {"BertPreTokenizer", load_bert},
    {"ByteLevel", load_byte_level},
    {"CharDelimiterSplit", load_delimiter},
    {"Digits", load_digits},
    {"FixedLength", load_fixed},
    {"Metaspace", load_metaspace},
    {"Punctuation", load_punctuation},
    {"Split", load_split},
    {"UnicodeScripts", load_scripts},
    {"Whitespace", load_whitespace},
    {"WhitespaceSplit", load_whitespace_split},
};

static plim_status load_type(loading *l)
{
    const char *type = "";
    size_t bytes;
    const plim_node *node;
    plim_status status = plim_part_text(&l->part, "type", true, &type, &bytes, l->err);
    if (!status)
        status = plim_part_get(&l->part, "type", &node, l->err);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].type, type))
            return types[i].load(l);
    return plim_part_fail(&l->part, node, l->err, PLIM_E_UNSUP,
                          "%s type \"%.64s\" is not supported", l->part.what, type);
}

/* ---- the whole ---- */

/* Work on bytes behind the last ByteLevel, where every step there can.  Otherwise pieces that are
 * of the alphabet are read back at the end. */
static void settle_alphabet(plim_pretokenizer *p)
{
    unsigned last = p->count;
    for (unsigned i = 0; i < p->count; i++)
        if (p->steps[i].kind == PLIM_STEP_ALPHABET)
            last = i;
    if (last == p->count)
        return;
    bool bytes = true, pure = true;
    for (unsigned i = last + 1; i < p->count; i++) {
        const plim_step *step = &p->steps[i];
        bool cuts = step->kind == PLIM_STEP_CUT || step->kind == PLIM_STEP_MERGE;
        bytes = bytes && cuts && plim_scan_has_bytes(&step->scan);
        pure = pure && cuts;
    }
    p->byte_level = pure;
    p->spelled = pure && !bytes;
    if (!bytes)
        return;
    for (unsigned i = last + 1; i < p->count; i++) {
        plim_scan_to_bytes(&p->steps[i].scan);
        p->steps[i - 1] = p->steps[i];
    }
    p->count--;
}

/* The last steps that only look for some bytes: Falcon's for digits. */
static void settle_tail(plim_pretokenizer *p)
{
    p->tail = p->count;
    p->tail_digits = true;
    while (p->tail) {
        const plim_step *step = &p->steps[p->tail - 1];
        if (step->kind != PLIM_STEP_CUT || step->keep != PLIM_KEEP_ALL ||
            !plim_scan_wants(&step->scan, p->tail_bytes))
            break;
        p->tail--;
    }
    for (unsigned byte = 0; byte < 0x80; byte++)
        if ((byte < '0' || byte > '9') && p->tail_bytes[byte])
            p->tail_digits = false;
}

/* Two steps that one scanner does at once: Digits and GPT-2's pattern, Punctuation and it. */
static void fuse_steps(plim_pretokenizer *p)
{
    for (unsigned i = 0; i + 1 < p->count; i++) {
        plim_step *step = &p->steps[i], *next = step + 1;
        if (step->kind != PLIM_STEP_CUT || next->kind != PLIM_STEP_CUT ||
            step->keep != PLIM_KEEP_ALL || next->keep != PLIM_KEEP_ALL ||
            !plim_scan_fuse(&step->scan, &next->scan))
            continue;
        memmove(next, next + 1, (p->count - i - 2) * sizeof *next);
        p->count--;
    }
}

static plim_status begin(loading *l, plim_pretokenizer **out)
{
    *out = NULL;
    l->p = plim_new(l->alloc, 1, sizeof *l->p, l->err);
    return l->p ? PLIM_OK : plim_tok_nomem(l->err);
}

static plim_status finish(loading *l, plim_status status, plim_pretokenizer **out)
{
    if (status)
        plim_pretokenizer_close(&l->p, l->alloc);
    else
        settle_alphabet(l->p);
    if (!status) {
        fuse_steps(l->p);
        settle_tail(l->p);
    }
    *out = l->p;
    return status;
}

plim_status plim_pretokenizer_load(plim_pretokenizer **out, const plim_alloc *alloc,
                                   const plim_part *part, plim_error *err)
{
    plim_error local = {0};
    loading l = {.alloc = alloc, .part = *part, .err = err ? err : &local};
    const plim_node *nodes[PLIM_TOK_MAX_STEPS];
    size_t count = 0;
    *out = NULL;
    plim_status status =
        plim_part_flatten(part, "pretokenizers", nodes, PLIM_TOK_MAX_STEPS, &count, l.err);
    if (status || (status = begin(&l, out)))
        return status;
    for (size_t i = 0; !status && i < count; i++) {
        l.part.node = nodes[i];
        status = load_type(&l);
    }
    l.p->lone = count == 1 && nodes[0] == part->node && l.p->count &&
                l.p->steps[l.p->count - 1].kind == PLIM_STEP_ALPHABET;
    return finish(&l, status, out);
}

plim_status plim_pretokenizer_byte_level(plim_pretokenizer **out, const plim_alloc *alloc,
                                         const char *pattern, bool add_prefix_space,
                                         plim_error *err)
{
    plim_error local = {0};
    plim_node node = {.offset = -1};
    loading l = {.alloc = alloc, .part = {NULL, "pre_tokenizer", &node}, .err = err ? err : &local};
    plim_status status = begin(&l, out);
    if (status)
        return status;
    l.p->lone = !pattern;
    return finish(&l, add_byte_level(&l, pattern ? pattern : gpt2_pattern, add_prefix_space), out);
}

void plim_pretokenizer_close(plim_pretokenizer **pretokenizer, const plim_alloc *alloc)
{
    if (!*pretokenizer)
        return;
    for (unsigned i = 0; i < (*pretokenizer)->count; i++)
        plim_scan_close(&(*pretokenizer)->steps[i].scan);
    plim_delete(alloc, *pretokenizer);
    *pretokenizer = NULL;
}

bool plim_pretokenizer_is_byte_level(const plim_pretokenizer *pretokenizer)
{
    return pretokenizer && pretokenizer->byte_level;
}

bool plim_pretokenizer_asks_for_start(const plim_pretokenizer *pretokenizer)
{
    for (unsigned i = 0; pretokenizer && i < pretokenizer->count; i++)
        if (pretokenizer->steps[i].prepend == PLIM_PREPEND_FIRST)
            return true;
    return false;
}

plim_status plim_pretokenizer_set_prefix_space(plim_pretokenizer *p, bool on, plim_error *err)
{
    (void)err;
    if (!p || !p->lone || on == (p->count && p->steps[0].kind == PLIM_STEP_PREFIX_SPACE))
        return PLIM_OK;
    memmove(p->steps + (on ? 1 : 0), p->steps + (on ? 0 : 1), /* a lone one has two steps at most */
            (on ? p->count : p->count - 1) * sizeof *p->steps);
    p->count += on ? 1 : -1;
    p->tail += on ? 1 : -1;
    if (on)
        p->steps[0] = (plim_step){.kind = PLIM_STEP_PREFIX_SPACE};
    return PLIM_OK;
}
