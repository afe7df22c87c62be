/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary and the merges of a BPE model: they go straight into their tables as they are
 * read, from tokenizer.json, vocab.json or merges.txt. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/chain.h"
#include "tokenizer/load.h"

/* text[bytes] to `to`: both have PLIM_JSON_SLACK bytes more, so most copies are of one size. */
static inline void copy_slack(char *to, const char *text, size_t bytes)
{
    if (bytes <= PLIM_JSON_SLACK)
        memcpy(to, text, PLIM_JSON_SLACK);
    else
        memcpy(to, text, bytes);
}

plim_status plim_load_vocab(plim_loader *loader, bool skip_other_values, plim_error *err)
{
    enum { FILE_BYTES_PER_TOKEN = 24 }; /* with its share of the merges */
    plim_json *json = loader->json;
    plim_status status =
        plim_vocab_expect(&loader->tok->vocab, plim_json_unread(json) / FILE_BYTES_PER_TOKEN, err);
    if (status)
        return status;
    for (;;) {
        plim_json_event event;
        if ((status = plim_json_next(json, &event, err)))
            return status;
        if (event == PLIM_JSON_OBJECT_END)
            break;
        size_t bytes;
        const char *text = plim_json_text(json, &bytes);
        if ((status = plim_grow(loader->tok->alloc, &loader->key, &loader->key_cap,
                                bytes + PLIM_JSON_SLACK, 1, err)))
            return status;
        copy_slack(loader->key, text, bytes);
        if ((status = plim_json_next(json, &event, err)))
            return status;
        if (event != PLIM_JSON_NUMBER && skip_other_values) {
            if ((status = plim_json_skip(json, err)))
                return status;
            continue;
        }
        if (event != PLIM_JSON_NUMBER)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "the id of a token must be a number, found %s",
                                  plim_json_event_name(event));
        uint64_t id;
        if ((status = plim_json_u64(json, "the id of a token", PLIM_TOK_MAX_ID, &id, err)) ||
            (status =
                 plim_vocab_add_later(&loader->tok->vocab, loader->key, bytes, (uint32_t)id, err)))
            return status;
    }
    plim_vocab_settle(&loader->tok->vocab);
    loader->have_vocab = true;
    return PLIM_OK;
}

/* ---- merges ---- */

enum { BATCH = 64, RULE_STEP = 1 << 15 };

/* Merges whose strings are looked up together. */
struct plim_merge_batch {
    char *text; /* of each: left, right, what they make */
    size_t used, cap;
    size_t at[BATCH], left[BATCH], right[BATCH], merged[BATCH]; /* offset and lengths */
    int64_t offset[BATCH];                                      /* in the file */
    size_t count;
    plim_vocab_query queries[3 * BATCH];
};

static plim_status missing(plim_loader *loader, const plim_vocab_query *query, int64_t offset,
                           plim_error *err)
{
    return plim_loader_fail(loader, err, PLIM_E_FORMAT, offset,
                            "merge token \"%.*s\" is not in the vocabulary",
                            query->bytes > 64 ? 64 : (int)query->bytes, query->text);
}

/* Do merges i - 1 and i make the same? */
static bool makes_same(const struct plim_merge_batch *b, size_t i)
{
    const plim_vocab_query *before = &b->queries[3 * i - 1], *q = &b->queries[3 * i + 2];
    return q->bytes == before->bytes && memcmp(q->text, before->text, q->bytes) == 0;
}

/* The strings of a batch.  What a merge makes is in most files the token behind that of the merge
 * before, or the same. */
static void ask_batch(plim_loader *loader)
{
    struct plim_merge_batch *b = loader->batch;
    plim_vocab_query *q = b->queries;
    for (size_t i = 0; i < b->count; i++, q += 3) {
        const char *text = b->text + b->at[i];
        size_t left = b->left[i], right = b->right[i];
        q[0].text = text;
        q[0].bytes = left;
        q[1].text = text + left;
        q[1].bytes = right;
        q[0].id = q[1].id = PLIM_TOK_NONE;
        q[2].text = b->merged[i] == left + right ? text : text + left + right;
        q[2].bytes = b->merged[i]; /* spelled once more, see plim_load_merge */
        loader->guess += i == 0 || !makes_same(b, i);
        q[2].id = loader->guess;
    }
    plim_vocab_find_many(&loader->tok->vocab, b->queries, 3 * b->count);
}

/* ---- which characters merges join ---- */

static uint32_t first_code(const char *text, size_t bytes)
{
    uint32_t code = (unsigned char)*text;
    size_t bad;
    bool incomplete;
    if (code >= 0x80)
        plim_utf8_decode(text, bytes, &code, &bad, &incomplete);
    return code;
}

static uint32_t last_code(const char *text, size_t bytes)
{
    size_t start = bytes - 1;
    while (start && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    return first_code(text + start, bytes - start);
}

/* A pre-tokenizer with a ByteLevel was read: pieces will be bytes, which are never cut. */
static bool is_byte_level(const plim_node *part)
{
    const plim_node *type = NULL;
    for (const plim_node *n = part ? part->first : NULL; n; n = n->next) {
        if (!strcmp(n->key, "type"))
            type = n;
        for (const plim_node *step = n->kind == PLIM_JSON_ARRAY ? n->first : NULL; step;
             step = step->next)
            if (is_byte_level(step))
                return true;
    }
    return type && !strcmp(type->text, "ByteLevel");
}

/* The set of pairs, before the first merge. */
static plim_status open_pairs(plim_loader *loader, plim_error *err)
{
    enum { FEWEST_BITS = 12, MOST_BITS = 22, BITS_PER_TOKEN = 16 };
    plim_bpe *bpe = &loader->tok->bpe;
    if (is_byte_level(loader->parts[PLIM_PART_PRE_TOKENIZER]))
        return PLIM_OK;
    bpe->joined_bits = FEWEST_BITS;
    while (bpe->joined_bits < MOST_BITS &&
           (size_t)1 << bpe->joined_bits < (size_t)loader->tok->vocab.count * BITS_PER_TOKEN)
        bpe->joined_bits++;
    bpe->joined = plim_new(loader->tok->alloc, ((size_t)1 << bpe->joined_bits) / 64, 8, err);
    return bpe->joined ? PLIM_OK : plim_tok_nomem(err);
}

/* Every neighbourhood inside a token is where some merge joined its two sides, so the pairs (last
 * character of the left, first of the right) of all merges are all of them. */
static void note_pair(plim_loader *loader, const plim_vocab_query *left,
                      const plim_vocab_query *right)
{
    plim_bpe *bpe = &loader->tok->bpe;
    if (!left->bytes || !right->bytes || plim_byte_token(left->text, left->bytes) >= 0 ||
        plim_byte_token(right->text, right->bytes) >= 0) {
        loader->pairs_spoiled = true;
        return;
    }
    uint64_t bit = plim_bpe_pair_hash(last_code(left->text, left->bytes),
                                      first_code(right->text, right->bytes)) >>
                   (64 - bpe->joined_bits);
    bpe->joined[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static plim_status resolve_batch(plim_loader *loader, plim_error *err)
{
    struct plim_merge_batch *b = loader->batch;
    const plim_vocab_query *q = b->queries;
    ask_batch(loader);
    plim_status status =
        plim_grow_steps(loader->tok->alloc, &loader->rules, &loader->rule_cap,
                        loader->rule_count + b->count, sizeof *loader->rules, RULE_STEP, err);
    for (size_t i = 0; !status && i < b->count; i++, q += 3) {
        for (int k = 0; k < 3; k++)
            if (q[k].id == PLIM_TOK_NONE)
                return missing(loader, &q[k], b->offset[i], err);
        loader->rules[loader->rule_count++] = plim_merge_of(q[0].id, q[1].id, q[2].id);
        loader->guess = q[2].id;
        if (loader->tok->bpe.joined)
            note_pair(loader, &q[0], &q[1]);
    }
    b->count = b->used = 0;
    return status;
}

plim_status plim_load_merge(plim_loader *loader, const char *left, size_t left_bytes,
                            const char *right, size_t right_bytes, int64_t offset, plim_error *err)
{
    const plim_alloc *alloc = loader->tok->alloc;
    size_t prefix = loader->tok->bpe.prefix_bytes; /* what a right side is spelled with */
    plim_status status;
    if (!loader->batch) {
        if (!(loader->batch = plim_new(alloc, 1, sizeof *loader->batch, err)))
            return plim_tok_nomem(err);
        if ((status = open_pairs(loader, err)))
            return status;
    }
    struct plim_merge_batch *b = loader->batch;
    if (loader->rule_count + b->count >= PLIM_TOK_MAX_MERGES)
        return plim_loader_fail(loader, err, PLIM_E_LIMIT, offset, "more than %u merges",
                                PLIM_TOK_MAX_MERGES);
    prefix = prefix < right_bytes ? prefix : right_bytes;
    if (b->count == BATCH && (status = resolve_batch(loader, err)))
        return status;
    size_t need = left_bytes + right_bytes, i = b->count;
    if ((status =
             plim_grow(alloc, &b->text, &b->cap, b->used + 2 * need + PLIM_JSON_SLACK, 1, err)))
        return status;
    char *to = b->text + b->used;
    copy_slack(to, left, left_bytes);
    copy_slack(to + left_bytes, right, right_bytes);
    if (prefix) {
        memcpy(to + need, left, left_bytes);
        memcpy(to + need + left_bytes, right + prefix, right_bytes - prefix);
    }
    b->at[i] = b->used;
    b->left[i] = left_bytes;
    b->right[i] = right_bytes;
    b->merged[i] = need - prefix;
    b->offset[i] = offset;
    b->used += prefix ? 2 * need - prefix : need;
    b->count++;
    return PLIM_OK;
}

plim_status plim_load_merges_end(plim_loader *loader, plim_error *err)
{
    loader->have_merges = true;
    plim_status status = loader->batch ? resolve_batch(loader, err) : PLIM_OK;
    plim_load_merges_free(loader);
    return status;
}

void plim_load_merges_free(plim_loader *loader)
{
    if (loader->batch)
        plim_delete(loader->tok->alloc, loader->batch->text);
    plim_delete(loader->tok->alloc, loader->batch);
    loader->batch = NULL;
}

/* Where the one space of a line is, `bytes` where there is none or more. */
static inline size_t find_space(const char *line, size_t bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word = 0;
    if (bytes > 8) {
        const char *space = memchr(line, ' ', bytes);
        size_t at = space ? (size_t)(space - line) : bytes;
        return space && memchr(space + 1, ' ', bytes - at - 1) ? bytes : at;
    }
    memcpy(&word, line, 8); /* the reader's slack */
    if (bytes < 8)
        word &= ((uint64_t)1 << (8 * bytes)) - 1;
    word ^= ' ' * ones;
    uint64_t zero = ~(((word & 0x7F * ones) + 0x7F * ones) | word | 0x7F * ones);
    return zero && !(zero & (zero - 1)) ? (size_t)__builtin_ctzll(zero) / 8 : bytes;
}

plim_status plim_load_merge_line(plim_loader *loader, const char *line, size_t bytes,
                                 int64_t offset, plim_error *err)
{
    size_t left = find_space(line, bytes);
    if (left == bytes)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, offset,
                                "merge \"%.*s\" has not exactly two parts",
                                bytes > 64 ? 64 : (int)bytes, line);
    return plim_load_merge(loader, line, left, line + left + 1, bytes - left - 1, offset, err);
}

/* ["left", "right"], the [ was read. */
static plim_status read_pair(plim_loader *loader, plim_error *err)
{
    plim_json *json = loader->json;
    int64_t offset = plim_json_offset(json);
    plim_json_event event;
    plim_status status;
    if ((status = plim_json_expect(json, PLIM_JSON_STRING, "a part of a merge", err)))
        return status;
    size_t left_bytes, right_bytes;
    const char *left = plim_json_text(json, &left_bytes);
    /* the reader's text goes with the next event */
    if ((status = plim_grow(loader->tok->alloc, &loader->key, &loader->key_cap,
                            left_bytes + PLIM_JSON_SLACK, 1, err)))
        return status;
    copy_slack(loader->key, left, left_bytes);
    if (!(status = plim_json_expect(json, PLIM_JSON_STRING, "a part of a merge", err))) {
        const char *right = plim_json_text(json, &right_bytes);
        status = plim_load_merge(loader, loader->key, left_bytes, right, right_bytes, offset, err);
    }
    if (status || (status = plim_json_next(json, &event, err)))
        return status;
    if (event != PLIM_JSON_ARRAY_END)
        return plim_json_fail(json, err, PLIM_E_FORMAT, "a merge has not exactly two parts");
    return PLIM_OK;
}

plim_status plim_load_merges(plim_loader *loader, plim_error *err)
{
    plim_json *json = loader->json;
    for (;;) {
        plim_json_event event;
        plim_status status = plim_json_next(json, &event, err);
        if (status)
            return status;
        if (event == PLIM_JSON_ARRAY_END)
            break;
        if (event != PLIM_JSON_STRING && event != PLIM_JSON_ARRAY)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "a merge must be a string or a pair, found %s",
                                  plim_json_event_name(event));
        if (!loader->any_merge)
            loader->merge_form = event;
        loader->any_merge = true;
        if (event != loader->merge_form)
            return plim_json_fail(json, err, PLIM_E_FORMAT,
                                  "merges are strings or pairs, not both");
        if (event == PLIM_JSON_ARRAY) {
            status = read_pair(loader, err);
        } else {
            size_t bytes;
            const char *line = plim_json_text(json, &bytes);
            if (bytes < 8 || memcmp(line, "#version", 8) != 0)
                status = plim_load_merge_line(loader, line, bytes, plim_json_offset(json), err);
        }
        if (status)
            return status;
    }
    return plim_load_merges_end(loader, err);
}

plim_status plim_load_bpe_finish(plim_loader *loader, plim_error *err)
{
    plim_tok *tok = loader->tok;
    if (!loader->have_vocab || !loader->have_merges)
        return plim_loader_fail(loader, err, PLIM_E_FORMAT, loader->model_offset, "model has no %s",
                                loader->have_vocab ? "merges" : "vocab");
    tok->unk_id = PLIM_TOK_NONE;
    if (loader->unk_token) {
        tok->unk_id = plim_vocab_find(&tok->vocab, loader->unk_token, loader->unk_bytes);
        tok->bpe.unk_missing = tok->unk_id == PLIM_TOK_NONE;
    }
    return plim_merges_build(&tok->bpe.merges, tok->alloc, &loader->rules, &loader->rule_cap,
                             (uint32_t)loader->rule_count, tok->vocab.size, err);
}

/* ---- what the encoder looks up by bytes ---- */

/* The symbols of single bytes, with what may stand around them. */
static plim_status settle_symbols(plim_tok *tok, plim_error *err)
{
    plim_bpe *bpe = &tok->bpe;
    bool all_bytes = bpe->byte_fallback;
    char *text = plim_new(tok->alloc, bpe->prefix_bytes + bpe->suffix_bytes + 2, 1, err);
    if (!text)
        return plim_tok_nomem(err);
    for (unsigned around = 0; around < 4; around++)
        for (unsigned byte = 0; byte < 256; byte++) {
            size_t bytes = around & 1 ? bpe->prefix_bytes : 0;
            memcpy(text, bpe->prefix ? bpe->prefix : "", bytes);
            if (tok->byte_pieces)
                bytes += plim_alphabet_encode((unsigned char)byte, text + bytes);
            else
                text[bytes++] = (char)byte;
            if (around & 2 && bpe->suffix_bytes) {
                memcpy(text + bytes, bpe->suffix, bpe->suffix_bytes);
                bytes += bpe->suffix_bytes;
            }
            bpe->symbol[around][byte] = byte >= 0x80 && !tok->byte_pieces
                                            ? PLIM_TOK_NONE
                                            : plim_vocab_find(&tok->vocab, text, bytes);
        }
    plim_delete(tok->alloc, text);
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", byte);
        bpe->byte_token[byte] = plim_vocab_find(&tok->vocab, name, 6);
        tok->vocab.byte_id[byte] = bpe->byte_token[byte];
        all_bytes = all_bytes && bpe->byte_token[byte] != PLIM_TOK_NONE;
    }
    bpe->drops_unknown = tok->unk_id == PLIM_TOK_NONE && !all_bytes;
    bpe->block_id = plim_vocab_find(&tok->vocab, "\xE2\x96\x81", 3);
    return PLIM_OK;
}

/* Symbols that are not spelled as the text they stand for would not be seen in `joined`: no cuts
 * then.  (Those of bytes were looked for with the pairs.) */
static bool may_be_cut(const plim_loader *loader)
{
    const plim_tok *tok = loader->tok;
    const plim_bpe *bpe = &tok->bpe;
    const plim_merges *merges = &bpe->merges;
    uint64_t id_mask = ((uint64_t)1 << merges->id_bits) - 1;
    if (loader->pairs_spoiled || tok->byte_pieces || bpe->ignore_merges || bpe->prefix_bytes ||
        bpe->suffix_bytes || tok->vocab.duplicate_ids)
        return false;
    for (uint32_t i = 0; tok->unk_id != PLIM_TOK_NONE && i < merges->slot_count; i++) {
        uint64_t pair = merges->slots[i] >> merges->order_bits;
        if (pair >> merges->id_bits == tok->unk_id || (pair & id_mask) == tok->unk_id)
            return false;
    }
    return true;
}

static void settle_cuts(plim_loader *loader)
{
    plim_bpe *bpe = &loader->tok->bpe;
    if (bpe->joined && may_be_cut(loader)) {
        plim_bpe_settle_cuts(bpe);
        return;
    }
    plim_delete(loader->tok->alloc, bpe->joined);
    bpe->joined = NULL;
}

plim_status plim_load_bpe_settle(plim_loader *loader, plim_error *err)
{
    plim_status status = settle_symbols(loader->tok, err);
    if (!status)
        settle_cuts(loader);
    return status;
}
