/* SPDX-License-Identifier: Apache-2.0
 *
 * Added tokens: which ids they get, and where they stand in a text (leftmost, then longest), with
 * the spaces that lstrip and rstrip take.  Ids in the file do not count: a token has the id that
 * the vocabulary gives it, else the next free one, as in Hugging Face's add_tokens. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/classes.h"
#include "tokenizer/internal.h"

/* ---- the list ---- */

/* Index in by_id of the first whose id is not below `id`. */
static size_t lower_bound(const plim_added *added, uint32_t id)
{
    size_t low = 0, high = added->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (added->by_id[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const plim_added_token *plim_added_by_id(const plim_added *added, uint32_t id)
{
    size_t at = lower_bound(added, id);
    return at < added->count && added->by_id[at].id == id ? &added->items[added->by_id[at].item]
                                                          : NULL;
}

uint32_t plim_added_end(const plim_added *added)
{
    return added->count ? added->by_id[added->count - 1].id + 1 : 0;
}

static bool same_token(const plim_added_token *a, const plim_added_token *b)
{
    return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0 &&
           a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip &&
           a->normalized == b->normalized && a->special == b->special;
}

/* max(ids of added tokens that are beyond the vocabulary) + 1, or the vocabulary's size in strings.
 */
static uint32_t next_free(const plim_tok *tok)
{
    uint32_t size = tok->vocab.count, end = plim_added_end(&tok->added);
    return end > size || (size == 0 && end) ? end : size;
}

void plim_added_begin(plim_tok *tok)
{
    if (!tok->added.started)
        plim_vocab_init(&tok->added.by_text, tok->alloc);
    tok->added.started = true;
    tok->added.next_id = next_free(tok);
}

plim_status plim_added_add(plim_tok *tok, const plim_added_token *token, plim_error *err)
{
    plim_added *added = &tok->added;
    if (!added->started)
        plim_added_begin(tok);
    if (!token->bytes)
        return PLIM_OK;
    plim_added_token copy = *token;
    copy.id = plim_vocab_find(&added->by_text, token->text, token->bytes);
    if (copy.id == PLIM_TOK_NONE)
        copy.id = plim_vocab_find(&tok->vocab, token->text, token->bytes);
    if (copy.id == PLIM_TOK_NONE)
        copy.id = added->next_id++;
    if (copy.id > PLIM_TOK_MAX_ID)
        return plim_fail(err, PLIM_E_LIMIT, "more than %u token ids", PLIM_TOK_MAX_ID);
    size_t at = lower_bound(added, copy.id);
    bool replace = at < added->count && added->by_id[at].id == copy.id;
    plim_added_token *old = replace ? &added->items[added->by_id[at].item] : NULL;
    if (replace && same_token(old, &copy))
        return PLIM_OK;
    plim_status status = plim_vocab_add(&added->by_text, copy.text, copy.bytes, copy.id, err);
    if (status)
        return status;
    copy.skip = copy.special;
    if (replace) { /* once special, always skipped */
        bool same_text = old->bytes == copy.bytes && !memcmp(old->text, copy.text, copy.bytes);
        copy.skip = copy.skip || (old->skip && same_text);
        *old = copy;
        return PLIM_OK;
    }
    if ((status = plim_grow(tok->alloc, &added->items, &added->cap, added->count + 1,
                            sizeof *added->items, err)) ||
        (status = plim_grow(tok->alloc, &added->by_id, &added->by_id_cap, added->count + 1,
                            sizeof *added->by_id, err)))
        return status;
    memmove(added->by_id + at + 1, added->by_id + at, (added->count - at) * sizeof *added->by_id);
    added->by_id[at] = (plim_added_place){copy.id, (uint32_t)added->count};
    added->items[added->count++] = copy;
    return PLIM_OK;
}

/* ---- tries ---- */

static plim_status new_node(plim_trie *trie, const plim_alloc *alloc, unsigned char byte,
                            uint32_t *out, plim_error *err)
{
    size_t first = trie->count ? trie->count : 1; /* node 0 means none */
    plim_status status =
        plim_grow(alloc, &trie->nodes, &trie->cap, first + 1, sizeof *trie->nodes, err);
    if (status)
        return status;
    trie->nodes[first] = (plim_trie_node){.token = PLIM_TOK_NONE, .byte = byte};
    trie->count = first + 1;
    *out = (uint32_t)first;
    return PLIM_OK;
}

/* Of two tokens with one normalized form the one that was added first counts, special ones last.
 * (Hugging Face takes either, as its hash map has it.) */
static bool comes_first(const plim_added_token *a, const plim_added_token *b)
{
    return a->special != b->special ? b->special : a < b;
}

static plim_status trie_add(plim_trie *trie, const plim_alloc *alloc, const plim_added_token *items,
                            uint32_t token, plim_error *err)
{
    uint32_t node = 0;
    const char *text = items[token].normal;
    for (size_t i = 0; i < items[token].normal_bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        uint32_t next = i == 0 ? trie->first[byte] : trie->nodes[node].child;
        while (i > 0 && next && trie->nodes[next].byte != byte)
            next = trie->nodes[next].sibling;
        if (!next) {
            plim_status status = new_node(trie, alloc, byte, &next, err);
            if (status)
                return status;
            if (i == 0) {
                trie->first[byte] = next;
            } else {
                trie->nodes[next].sibling = trie->nodes[node].child;
                trie->nodes[node].child = next;
            }
        }
        node = next;
    }
    uint32_t have = trie->nodes[node].token;
    if (have == PLIM_TOK_NONE || comes_first(&items[token], &items[have]))
        trie->nodes[node].token = token;
    return PLIM_OK;
}

/* The longest token that begins at text[at]: its end and index, or false.  A special token of which
 * a byte is literal is none. */
static bool trie_match(const plim_run *run, const plim_trie *trie, const plim_text *text, size_t at,
                       size_t *end, uint32_t *token)
{
    size_t start = at;
    uint32_t node = trie->first[(unsigned char)text->data[at]];
    bool found = false;
    while (node) {
        at++;
        uint32_t here = trie->nodes[node].token;
        if (here != PLIM_TOK_NONE &&
            !(run->literal_count && plim_added_is_special(&run->tok->added.items[here]) &&
              plim_run_is_literal(run, text, start, at))) {
            found = true;
            *end = at;
            *token = here;
        }
        if (at == text->bytes)
            break;
        unsigned char byte = (unsigned char)text->data[at];
        node = trie->nodes[node].child;
        while (node && trie->nodes[node].byte != byte)
            node = trie->nodes[node].sibling;
    }
    return found;
}

/* The content as the normalizer leaves it, in the arena. */
static plim_status normalize_token(plim_tok *tok, plim_run *run, plim_added_token *token,
                                   plim_error *err)
{
    token->normal = token->text;
    token->normal_bytes = token->bytes;
    if (!token->normalized || !tok->normalizer)
        return PLIM_OK;
    plim_text text = {.data = token->text, .bytes = token->bytes, .at_start = true}, normal;
    plim_status status = plim_normalize(run, &text, &normal, err);
    if (status || (normal.data == token->text && normal.bytes == token->bytes))
        return status;
    token->normal = plim_arena_text(&tok->arena, normal.data, normal.bytes, err);
    token->normal_bytes = (uint32_t)normal.bytes;
    return token->normal ? PLIM_OK : plim_tok_nomem(err);
}

/* skip_special looks for the normalized form among the special tokens. */
static void settle_skip(plim_added *added)
{
    for (size_t i = 0; i < added->count; i++) {
        plim_added_token *token = &added->items[i];
        if (token->normal == token->text)
            continue;
        uint32_t id = plim_vocab_find(&added->by_text, token->normal, token->normal_bytes);
        const plim_added_token *other = id == PLIM_TOK_NONE ? NULL : plim_added_by_id(added, id);
        token->skip = other && other->special;
    }
}

/* Decoding by the vocabulary's entries must not miss them. */
static void mark_entries(plim_tok *tok)
{
    for (size_t i = 0; i < tok->added.count; i++)
        if (tok->added.items[i].id < tok->vocab.size &&
            tok->vocab.entries[tok->added.items[i].id].tag) /* else a hole: nothing to miss */
            tok->vocab.entries[tok->added.items[i].id].tag |= PLIM_VOCAB_ADDED;
}

plim_status plim_added_finish(plim_tok *tok, plim_where where, plim_error *err)
{
    plim_added *added = &tok->added;
    plim_run run = {.tok = tok, .alloc = tok->alloc};
    plim_status status = plim_matcher_open(&run.matcher, tok->alloc, err);
    added->raw.empty = added->normal.empty = true;
    for (size_t i = 0; !status && i < added->count; i++) {
        plim_added_token *token = &added->items[i];
        if ((status = normalize_token(tok, &run, token, err)))
            break;
        plim_trie *trie = token->normalized ? &added->normal : &added->raw;
        trie->empty = false;
        if (!token->normal_bytes) /* Hugging Face would cut text between all bytes there */
            status =
                plim_fail_at(err, PLIM_E_UNSUP, where,
                             "normalisation leaves nothing of added token \"%.64s\"", token->text);
        else
            status = trie_add(trie, tok->alloc, added->items, (uint32_t)i, err);
    }
    plim_normal_scratch_free(&run.normal, tok->alloc);
    plim_matcher_close(&run.matcher);
    if (!status) {
        settle_skip(added);
        mark_entries(tok);
    }
    return status;
}

void plim_added_free(plim_added *added, const plim_alloc *alloc)
{
    plim_vocab_free(&added->by_text);
    plim_delete(alloc, added->items);
    plim_delete(alloc, added->by_id);
    plim_delete(alloc, added->raw.nodes);
    plim_delete(alloc, added->normal.nodes);
}

/* ---- searching ---- */

/* The character that ends at text[end]; valid UTF-8. */
static size_t previous_start(const char *text, size_t end)
{
    do
        end--;
    while (end && ((unsigned char)text[end] & 0xC0) == 0x80);
    return end;
}

static uint32_t code_at(const char *text, size_t bytes, size_t at, size_t *length)
{
    uint32_t code = 0;
    size_t bad;
    bool incomplete;
    *length = plim_utf8_decode(text + at, bytes - at, &code, &bad, &incomplete);
    return code;
}

/* The begin of the spaces before text[at], not below `taken`. */
static size_t spaces_before(const char *text, size_t bytes, size_t at, size_t taken)
{
    while (at > taken) {
        size_t start = previous_start(text, at), length;
        if (!plim_is_space(code_at(text, bytes, start, &length)))
            break;
        at = start;
    }
    return at;
}

static size_t spaces_after(const char *text, size_t bytes, size_t at)
{
    size_t length;
    while (at < bytes && plim_is_space(code_at(text, bytes, at, &length)))
        at += length;
    return at;
}

/* Is the character that begins at text[at] a \w of Rust's regex crate? */
static bool is_word(const char *text, size_t bytes, size_t at)
{
    size_t length;
    return plim_class_mask(code_at(text, bytes, at, &length)) & PLIM_IS_WORD;
}

static bool in_a_word(const plim_text *text, size_t begin, size_t end)
{
    return (begin > 0 && is_word(text->data, text->bytes, previous_start(text->data, begin))) ||
           (end < text->bytes && is_word(text->data, text->bytes, end));
}

/* Does what stands at text[at..end) count as this token? */
static bool is_wanted(const plim_run *run, const plim_added_token *token, const plim_text *text,
                      size_t at, size_t end)
{
    return !(run->tok->split_special && token->skip) &&
           !(token->single_word && in_a_word(text, at, end));
}

void plim_added_search(const plim_run *run, const plim_trie *trie, const plim_text *text,
                       size_t from, size_t taken, plim_added_match *match)
{
    const plim_added *added = &run->tok->added;
    size_t spaces_end = match->spaces_end;
    match->token = NULL;
    if (trie->empty)
        return;
    for (size_t at = from; at < text->bytes;) {
        size_t end = 0;
        uint32_t index = 0;
        if (!trie->first[(unsigned char)text->data[at]] ||
            !trie_match(run, trie, text, at, &end, &index)) {
            at++;
            continue;
        }
        const plim_added_token *token = &added->items[index];
        if (!is_wanted(run, token, text, at,
                       end)) { /* what it covered is passed over all the same */
            at = end;
            continue;
        }
        *match = (plim_added_match){token, at, end, end, 0};
        if (token->lstrip)
            match->begin = at > taken ? spaces_before(text->data, text->bytes, at, taken) : taken;
        if (token->rstrip) {
            /* within a run that was looked at before, it ends where it did */
            if (end >= spaces_end)
                spaces_end = spaces_after(text->data, text->bytes, end);
            match->end = spaces_end;
        }
        match->spaces_end = spaces_end;
        return;
    }
}
