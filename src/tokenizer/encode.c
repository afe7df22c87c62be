/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding from end to end: added tokens are cut out of the raw text, what is left is normalised,
 * added tokens that are looked for in normalised text are cut out of that, the rest is
 * pre-tokenized and encoded; then the template of the post-processor is laid around. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/internal.h"

enum { CACHE_MAX_ENTRIES = 8192, CACHE_MIN_TEXT = 1024 };

/* Text with every ill-formed sequence replaced by U+FFFD, from alloc; or *out = text where there is
 * none. */
static plim_status repair_utf8(const plim_alloc *alloc, const char *text, size_t bytes, char **copy,
                               const char **out, size_t *out_bytes, plim_error *err)
{
    size_t at = plim_utf8_first_bad(text, bytes), used = at, cap = 0;
    *copy = NULL;
    *out = text;
    *out_bytes = bytes;
    if (at == bytes)
        return PLIM_OK;
    plim_status status = plim_grow(alloc, copy, &cap, bytes + 3, 1, err);
    if (status)
        return status;
    memcpy(*copy, text, at);
    while (at < bytes) {
        uint32_t code;
        size_t bad = 1;
        bool incomplete;
        size_t length = plim_utf8_decode(text + at, bytes - at, &code, &bad, &incomplete);
        if ((status = plim_grow(alloc, copy, &cap, used + 4, 1, err))) {
            plim_delete(alloc, *copy);
            *copy = NULL;
            return status;
        }
        if (length)
            memcpy(*copy + used, text + at, length);
        used += length ? length : plim_utf8_encode(PLIM_UTF8_REPLACEMENT, *copy + used);
        at += length ? length : bad;
    }
    *out = *copy;
    *out_bytes = used;
    return PLIM_OK;
}

static plim_status encode_rest(plim_run *run, const char *text, size_t bytes, bool normalized,
                               plim_error *err);

/* Cut the tokens of one trie out of text; what lies between goes on.  (It nests once: raw, then
 * normalised.) */
static plim_status cut_added(plim_run *run, const char *text, size_t bytes, bool normalized,
                             plim_error *err)
{
    const plim_added *added = &run->tok->added;
    const plim_trie *trie = normalized ? &added->normal : &added->raw;
    size_t taken = 0, from = 0;
    for (;;) {
        plim_added_match match;
        plim_status status = plim_added_search(run, trie, text, bytes, from, taken, &match, err);
        if (status)
            return status;
        if (!match.token)
            break;
        if (taken < match.begin &&
            (status = encode_rest(run, text + taken, match.begin - taken, normalized, err)))
            return status;
        if ((status = plim_run_push(run, match.token->id, err)))
            return status;
        taken = match.end;
        from = match.resume;
    }
    return taken < bytes ? encode_rest(run, text + taken, bytes - taken, normalized, err) : PLIM_OK;
}

static plim_status encode_rest(plim_run *run, const char *text, size_t bytes, bool normalized,
                               plim_error *err)
{
    if (normalized)
        return plim_pretokenize(run, text, bytes, err);
    const char *normal;
    size_t normal_bytes;
    plim_status status = plim_normalize(run, text, bytes, &normal, &normal_bytes, err);
    return status ? status : cut_added(run, normal, normal_bytes, true, err);
}

/* run->ids becomes the template filled in. */
static plim_status apply_template(plim_run *run, bool add_special, plim_error *err)
{
    const plim_tok *tok = run->tok;
    size_t sequences = 0, specials = 0, total;
    for (size_t i = 0; i < tok->template_count; i++)
        *(tok->template_ids[i] == PLIM_TEMPLATE_SEQUENCE ? &sequences : &specials) += 1;
    if (!tok->template_ids || (sequences == 1 && (!specials || !add_special)))
        return PLIM_OK;
    if (__builtin_mul_overflow(sequences, run->count, &total) ||
        __builtin_add_overflow(total, specials, &total))
        return plim_fail(err, PLIM_E_LIMIT, "the post-processor repeats the text too often");
    int32_t *ids = plim_new(run->alloc, total, sizeof *ids, err);
    if (!ids)
        return plim_tok_nomem(err);
    size_t used = 0;
    for (size_t i = 0; i < tok->template_count; i++) {
        if (tok->template_ids[i] != PLIM_TEMPLATE_SEQUENCE) {
            if (add_special)
                ids[used++] = tok->template_ids[i];
        } else if (run->count) {
            memcpy(ids + used, run->ids, run->count * sizeof *ids);
            used += run->count;
        }
    }
    plim_delete(run->alloc, run->ids);
    run->ids = ids;
    run->count = used;
    return PLIM_OK;
}

static plim_status open_run(plim_run *run, const plim_tok *tok, const plim_alloc *alloc,
                            size_t bytes, plim_error *err)
{
    *run = (plim_run){.tok = tok, .alloc = alloc};
    plim_status status = plim_matcher_open(&run->matcher, alloc, err);
    if (status || bytes < CACHE_MIN_TEXT)
        return status;
    uint32_t entries = 64;
    while (entries < CACHE_MAX_ENTRIES && entries < bytes / 16)
        entries *= 2;
    run->cache = plim_new(alloc, entries, sizeof *run->cache, err);
    run->cache_mask = entries - 1;
    return run->cache ? PLIM_OK : plim_tok_nomem(err);
}

/* Everything but the ids. */
static void close_run(plim_run *run)
{
    const plim_alloc *alloc = run->alloc;
    plim_matcher_close(&run->matcher);
    plim_delete(alloc, run->normal.data);
    plim_delete(alloc, run->marks);
    for (unsigned i = 0; i < PLIM_TOK_MAX_STEPS; i++)
        plim_delete(alloc, run->step[i].data);
    plim_delete(alloc, run->bytes.data);
    plim_delete(alloc, run->spelled.data);
    plim_delete(alloc, run->symbols.id);
    plim_delete(alloc, run->symbols.next);
    plim_delete(alloc, run->symbols.prev);
    plim_delete(alloc, run->symbols.heap);
    plim_delete(alloc, run->cache);
}

plim_status plim_tok_encode(const plim_tok *tok, const plim_alloc *scratch, const char *text,
                            size_t bytes, bool add_special, int32_t **ids, size_t *count,
                            plim_error *err)
{
    plim_run run;
    char *copy = NULL;
    const char *valid;
    size_t valid_bytes;
    *ids = NULL;
    *count = 0;
    plim_status status = open_run(&run, tok, scratch, bytes, err);
    if (!status)
        status = repair_utf8(scratch, text, bytes, &copy, &valid, &valid_bytes, err);
    if (!status)
        status = cut_added(&run, valid, valid_bytes, false, err);
    if (!status)
        status = apply_template(&run, add_special, err);
    close_run(&run);
    plim_delete(scratch, copy);
    if (status || !run.count) {
        plim_delete(scratch, run.ids);
        return status;
    }
    *ids = run.ids;
    *count = run.count;
    return PLIM_OK;
}
