/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole lists of ids through the chains that most SentencePiece models have (plim_usual in
 * chain.h), from a vocabulary whose strings are SPACED: they are copied as they lie there.  A run
 * of byte tokens is text as a whole, or each of its bytes is U+FFFD; tokens of ASCII bytes are
 * copied like others, for alone they are always text, and looked at again when another byte
 * follows. */
#include "base/utf8.h"
#include "tokenizer/chain.h"

typedef struct gathering {
    const plim_tok *tok;
    const int32_t *ids;
    size_t n, at; /* the next id */
    bool skip_special, bytes;
    plim_sink out;
    char *to;
} gathering;

bool plim_chain_is_usual(const plim_chain *chain)
{
    return chain && chain->usual.on;
}

bool plim_chain_decodes_bytes(const plim_chain *chain)
{
    return plim_chain_is_usual(chain) && chain->usual.bytes;
}

/* The byte of a byte token, -1 for any other. */
static int byte_of(const gathering *g, int32_t id)
{
    const plim_vocab *vocab = &g->tok->vocab;
    if (!g->bytes)
        return -1;
    const plim_added_token *token = plim_added_by_id(&g->tok->added, (uint32_t)id);
    if (token)
        return g->skip_special && token->skip ? -1
                                              : plim_byte_token(token->normal, token->normal_bytes);
    if ((uint32_t)id >= vocab->size)
        return -1;
    const plim_vocab_entry *entry = &vocab->entries[id];
    if (entry->tag == PLIM_VOCAB_BYTE)
        return (unsigned char)entry->text[0];
    bool ascii = entry->tag == 2 && vocab->byte_id[(unsigned char)entry->text[0]] == (uint32_t)id;
    return ascii ? entry->text[0] : -1;
}

/* The token leaves no trace: there is none, or it is special and those are skipped. */
static bool is_nothing(const gathering *g, int32_t id)
{
    size_t bytes;
    const plim_added_token *token = plim_added_by_id(&g->tok->added, (uint32_t)id);
    if (token)
        return g->skip_special && token->skip;
    return !plim_vocab_text(&g->tok->vocab, (uint32_t)id, &bytes);
}

/* ids[at] is the first of a run of byte tokens that is beyond ASCII: the whole run, of which bytes
 * before it were copied already. */
static plim_status put_run(gathering *g, plim_error *err)
{
    size_t before = 0, end = g->at;
    for (size_t i = g->at; i-- > 0;) {
        if (byte_of(g, g->ids[i]) >= 0)
            before++;
        else if (!is_nothing(g, g->ids[i]))
            break;
    }
    while (end < g->n && g->ids[end] >= 0 &&
           (byte_of(g, g->ids[end]) >= 0 || is_nothing(g, g->ids[end])))
        end++;
    plim_status status = plim_sink_reserve(&g->out, &g->to, 3 * (before + (end - g->at)), err);
    if (status)
        return status;
    char *run = g->to - before;
    for (; g->at < end; g->at++)
        if (byte_of(g, g->ids[g->at]) >= 0)
            *g->to++ = (char)byte_of(g, g->ids[g->at]);
    size_t bytes = (size_t)(g->to - run);
    if (plim_utf8_valid(run, bytes))
        return PLIM_OK;
    for (size_t i = 0; i < bytes; i++)
        memcpy(run + 3 * i, "\xEF\xBF\xBD", 3);
    g->to = run + 3 * bytes;
    return PLIM_OK;
}

/* Text of an added token: spaces for U+2581, or nothing. */
static char *put_text(const char *text, size_t bytes, bool drop, char *to)
{
    for (size_t i = 0; i < bytes;) {
        bool space = bytes - i >= 3 && !memcmp(text + i, "\xE2\x96\x81", 3);
        if (!space || !drop)
            *to++ = space ? ' ' : text[i];
        i += space ? 3 : 1;
    }
    return to;
}

/* ids[at], a token that is not copied with its entry; `first`: Metaspace leaves out its spaces. */
static plim_status put_other(gathering *g, bool first, plim_error *err)
{
    int32_t id = g->ids[g->at];
    size_t bytes = 0;
    plim_status status;
    if (id < 0)
        return plim_fail(err, PLIM_E_USAGE, "token id %d is negative", (int)id);
    if (byte_of(g, id) >= 0)
        return put_run(g, err);
    g->at++;
    const plim_added_token *token = plim_added_by_id(&g->tok->added, (uint32_t)id);
    const char *text =
        token ? token->normal : plim_vocab_text(&g->tok->vocab, (uint32_t)id, &bytes);
    if (!text || (token && g->skip_special && token->skip))
        return PLIM_OK;
    bytes = token ? token->normal_bytes : bytes;
    if ((status = plim_sink_reserve(&g->out, &g->to, bytes, err)))
        return status;
    if (token) {
        g->to = put_text(text, bytes, first, g->to);
    } else {
        memcpy(g->to, text, bytes);
        g->to += bytes;
    }
    return PLIM_OK;
}

/* The first token that there is, of which Metaspace leaves out the spaces. */
static plim_status put_first(gathering *g, plim_error *err)
{
    while (g->at < g->n && g->ids[g->at] >= 0 && is_nothing(g, g->ids[g->at]))
        g->at++;
    plim_status status = plim_sink_reserve(&g->out, &g->to, sizeof(plim_vocab_entry), err);
    if (status || g->at == g->n)
        return status;
    if (g->ids[g->at] < 0 || plim_added_by_id(&g->tok->added, (uint32_t)g->ids[g->at]))
        return put_other(g, true, err);
    size_t copied = plim_vocab_gather(&g->tok->vocab, g->ids + g->at, 1, &g->to);
    g->at += copied;
    if (!copied && (status = put_other(g, true, err)))
        return status;
    char *end = g->to, *from = g->out.data;
    g->to = g->out.data;
    for (; from < end; from++) /* all of them stand for U+2581 */
        if (*from != ' ')
            *g->to++ = *from;
    return PLIM_OK;
}

static plim_status put_all(gathering *g, plim_error *err)
{
    enum { BLOCK = 512, USUAL_BYTES = 4 }; /* of a token */
    plim_status status = plim_sink_reserve(&g->out, &g->to, USUAL_BYTES * g->n, err);
    if (!status && g->tok->decoder->usual.drops_first)
        status = put_first(g, err);
    while (!status && g->at < g->n) {
        size_t block = g->n - g->at < BLOCK ? g->n - g->at : BLOCK;
        if ((status = plim_sink_reserve(&g->out, &g->to, sizeof(plim_vocab_entry) * block, err)))
            break;
        g->at += plim_vocab_gather(&g->tok->vocab, g->ids + g->at, block, &g->to);
        if (g->at < g->n)
            status = put_other(g, false, err);
    }
    return status;
}

/* How much of the text's start Strip takes. */
static size_t stripped(const plim_link *strip, const char *text, size_t bytes)
{
    size_t at = 0, width = strip->find.bytes;
    for (uint64_t i = 0;
         i < strip->start && bytes - at >= width && !memcmp(text + at, strip->find.data, width);
         i++)
        at += width;
    return at;
}

plim_status plim_chain_decode_usual(const plim_tok *tok, const plim_alloc *alloc,
                                    const int32_t *ids, size_t n, bool skip_special, char **text,
                                    size_t *bytes, plim_error *err)
{
    const plim_usual *usual = &tok->decoder->usual;
    gathering g = {.tok = tok,
                   .ids = ids,
                   .n = n,
                   .skip_special = skip_special,
                   .bytes = usual->bytes,
                   .out = {.alloc = alloc}};
    plim_status status = put_all(&g, err);
    if (status) {
        plim_delete(alloc, g.out.data);
        return status;
    }
    size_t used = (size_t)(g.to - g.out.data);
    if (usual->strip) {
        size_t cut = stripped(usual->strip, g.out.data, used);
        memmove(g.out.data, g.out.data + cut, cut ? used - cut : 0);
        used -= cut;
    }
    g.out.data[used] = 0;
    *text = g.out.data;
    *bytes = used;
    return PLIM_OK;
}
