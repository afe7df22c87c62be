/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens through a chain of decoders, one by one.  Each link turns a stream of tokens into another,
 * as Hugging Face's turn one list into another.  A token may come in fragments: behind a Fuse the
 * whole text is one token that ends with the stream.  A link gives on what is decided, and holds
 * back what is not: the bytes of a run of byte tokens, spaces that may be the last, the begin of
 * what it looks for. */
#include "base/utf8.h"
#include "tokenizer/chain.h"

/* Fragments in order: each begins where the one before it ends. */
typedef struct fragment {
    size_t end;
    bool last; /* of its token */
} fragment;

typedef struct stream {
    plim_sink text;
    fragment *at;
    size_t count, cap, begin; /* begin: of the fragment being made */
} stream;

/* What a link remembers. */
typedef struct memory {
    plim_sink whole;   /* a token that is not whole yet, for links that want no fragments */
    plim_sink held;    /* a run of bytes, the begin of a match */
    plim_sink token;   /* the token before: of BPEDecoder, CTC */
    size_t checked;    /* of a run of bytes: well-formed up to here */
    uint64_t stripped; /* of Strip: characters that were cut, and those that may be */
    uint64_t trailing;
    bool begun;  /* a token came already; of Strip: the text has begun */
    bool have;   /* token is one */
    bool broken; /* the run of bytes is no text */
} memory;

struct plim_chain_state {
    const plim_chain *chain;
    const plim_alloc *alloc;
    plim_matcher matcher;
    bool matcher_open;
    stream in, out;
    memory memory[PLIM_TOK_MAX_STEPS];
    const plim_link *links;
    size_t count;
};

static const plim_link join_link = {.kind = PLIM_LINK_JOIN};

plim_status plim_chain_state_open(plim_chain_state **out, const plim_chain *chain,
                                  const plim_alloc *alloc, plim_error *err)
{
    plim_status status = PLIM_OK;
    plim_chain_state *s = plim_new(alloc, 1, sizeof *s, err);
    *out = NULL;
    if (!s)
        return plim_tok_nomem(err);
    s->chain = chain;
    s->alloc = s->in.text.alloc = s->out.text.alloc = alloc;
    s->links = chain ? chain->links : &join_link;
    s->count = chain ? chain->count : 1;
    for (size_t i = 0; i < s->count; i++)
        s->memory[i].whole.alloc = s->memory[i].held.alloc = s->memory[i].token.alloc = alloc;
    if (chain && chain->matches) {
        status = plim_matcher_open(&s->matcher, alloc, err);
        s->matcher_open = !status;
    }
    if (status)
        plim_chain_state_close(&s);
    *out = s;
    return status;
}

void plim_chain_state_close(plim_chain_state **state)
{
    plim_chain_state *s = *state;
    if (!s)
        return;
    const plim_alloc *alloc = s->alloc;
    if (s->matcher_open)
        plim_matcher_close(&s->matcher);
    plim_delete(alloc, s->in.text.data);
    plim_delete(alloc, s->in.at);
    plim_delete(alloc, s->out.text.data);
    plim_delete(alloc, s->out.at);
    for (size_t i = 0; i < s->count; i++) {
        plim_delete(alloc, s->memory[i].whole.data);
        plim_delete(alloc, s->memory[i].held.data);
        plim_delete(alloc, s->memory[i].token.data);
    }
    plim_delete(alloc, s);
    *state = NULL;
}

/* ---- fragments ---- */

static inline plim_status put(stream *out, const char *text, size_t bytes, plim_error *err)
{
    return plim_sink_put(&out->text, text, bytes, err);
}

/* What was put since the last end is a fragment. */
static plim_status end(stream *out, bool last, plim_error *err)
{
    if (!last && out->begin == out->text.used)
        return PLIM_OK;
    plim_status status =
        plim_grow(out->text.alloc, &out->at, &out->cap, out->count + 1, sizeof *out->at, err);
    if (status)
        return status;
    out->at[out->count++] = (fragment){out->text.used, last};
    out->begin = out->text.used;
    return PLIM_OK;
}

static plim_status put_token(stream *out, const char *text, size_t bytes, plim_error *err)
{
    plim_status status = put(out, text, bytes, err);
    return status ? status : end(out, true, err);
}

static void clear(stream *s)
{
    s->text.used = s->count = s->begin = 0;
}

/* ---- replacing text ---- */

static const char *find(const char *text, size_t bytes, plim_link_text what)
{
    return what.bytes <= bytes ? memmem(text, bytes, what.data, what.bytes) : NULL;
}

static size_t character_bytes(const char *text)
{
    unsigned char first = (unsigned char)*text;
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* Rust's str::replace: an empty `what` is found before each character and at the end. */
static plim_status replace(plim_sink *out, const char *text, size_t bytes, plim_link_text what,
                           plim_link_text by, plim_error *err)
{
    plim_status status = PLIM_OK;
    size_t at = 0;
    while (!status && at < bytes) {
        const char *found = what.bytes ? find(text + at, bytes - at, what) : text + at;
        size_t before = found ? (size_t)(found - text) - at : bytes - at;
        status = plim_sink_put(out, text + at, before, err);
        at += before;
        if (found && !status)
            status = plim_sink_put(out, by.data, by.bytes, err);
        if (found && !status && !what.bytes) {
            size_t length = character_bytes(text + at);
            status = plim_sink_put(out, text + at, length, err);
            at += length;
        }
        at += found ? what.bytes : 0;
    }
    if (!status && !what.bytes)
        status = plim_sink_put(out, by.data, by.bytes, err);
    return status;
}

/* WordPiece's cleanup, in place: nothing gets longer.  The new length. */
static size_t clean_up(char *text, size_t bytes)
{
    static const struct {
        plim_link_text from, to;
    } rules[] = {
        {{" .", 2}, {".", 1}},     {{" ?", 2}, {"?", 1}},           {{" !", 2}, {"!", 1}},
        {{" ,", 2}, {",", 1}},     {{" ' ", 3}, {"'", 1}},          {{" n't", 4}, {"n't", 3}},
        {{" 'm", 3}, {"'m", 2}},   {{" do not", 7}, {" don't", 6}}, {{" 's", 3}, {"'s", 2}},
        {{" 've", 4}, {"'ve", 3}}, {{" 're", 4}, {"'re", 3}}};
    if (!memchr(text, ' ', bytes))
        return bytes;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t used = 0, at = 0;
        for (const char *found; (found = find(text + at, bytes - at, rules[i].from));) {
            size_t before = (size_t)(found - text) - at;
            memmove(text + used, text + at, before);
            memcpy(text + used + before, rules[i].to.data, rules[i].to.bytes);
            used += before + rules[i].to.bytes;
            at += before + rules[i].from.bytes;
        }
        memmove(text + used, text + at, bytes - at);
        bytes = used + bytes - at;
    }
    return bytes;
}

/* ---- links that need whole tokens ---- */

static plim_status put_replacements(stream *out, size_t count, plim_error *err)
{
    plim_status status = PLIM_OK;
    while (!status && count--)
        status = put_token(out, "\xEF\xBF\xBD", 3, err);
    return status;
}

/* The run of bytes is over: it is text as a whole, or each byte is U+FFFD. */
static plim_status end_run(memory *m, stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    if (m->held.used && m->checked == m->held.used)
        status = put_token(out, m->held.data, m->held.used, err);
    else if (m->held.used)
        status = put_replacements(out, m->held.used, err);
    m->held.used = m->checked = 0;
    m->broken = false;
    return status;
}

static plim_status byte_fallback(memory *m, const char *text, size_t bytes, stream *out,
                                 plim_error *err)
{
    int byte = plim_byte_token(text, bytes);
    plim_status status;
    if (byte < 0) {
        status = end_run(m, out, err);
        return status ? status : put_token(out, text, bytes, err);
    }
    char one = (char)byte;
    if (m->broken)
        return put_replacements(out, 1, err);
    if ((status = plim_sink_put(&m->held, &one, 1, err)))
        return status;
    while (m->checked < m->held.used) {
        uint32_t code;
        size_t bad;
        bool incomplete = false;
        size_t length = plim_utf8_decode(m->held.data + m->checked, m->held.used - m->checked,
                                         &code, &bad, &incomplete);
        if (!length && incomplete)
            break;
        if (!length) {
            status = put_replacements(out, m->held.used, err);
            m->held.used = m->checked = 0;
            m->broken = true;
            return status;
        }
        m->checked += length;
    }
    return PLIM_OK;
}

/* Bytes behind those that wait: what is UTF-8, and U+FFFD for what can't be any more. */
static plim_status put_bytes(memory *m, stream *out, bool final, plim_error *err)
{
    size_t at = 0;
    plim_status status = PLIM_OK;
    const char *data = m->token.data;
    while (!status && at < m->token.used) {
        uint32_t code;
        size_t bad = 1;
        bool incomplete = false;
        size_t length = plim_utf8_decode(data + at, m->token.used - at, &code, &bad, &incomplete);
        if (!length && incomplete && !final)
            break;
        status = length ? put(out, data + at, length, err) : put(out, "\xEF\xBF\xBD", 3, err);
        at += length ? length : bad;
    }
    if (at)
        memmove(m->token.data, data + at, m->token.used - at);
    m->token.used -= at;
    return status ? status : end(out, final, err);
}

static plim_status byte_level(memory *m, const char *text, size_t bytes, stream *out,
                              plim_error *err)
{
    size_t before = m->token.used;
    plim_status status = PLIM_OK;
    for (size_t i = 0, length; !status && i < bytes; i += length) {
        unsigned char byte;
        if (!(length = plim_alphabet_decode(text + i, bytes - i, &byte))) {
            m->token.used =
                before; /* a character that is none of the alphabet: it stands as it is */
            status = plim_sink_put(&m->token, text, bytes, err);
            break;
        }
        status = plim_sink_put(&m->token, (const char *)&byte, 1, err);
    }
    return status ? status : put_bytes(m, out, false, err);
}

/* As rust-onig's find_iter: an empty match right behind a match does not count. */
static plim_status replace_matches(plim_chain_state *s, const plim_link *link, const char *text,
                                   size_t bytes, stream *out, plim_error *err)
{
    size_t from = 0, taken = 0, last = SIZE_MAX;
    plim_status status = PLIM_OK;
    while (!status && bytes && from <= bytes) {
        size_t begin, stop;
        if ((status = plim_regex_search(link->regex, &s->matcher, text, bytes, from, &begin, &stop,
                                        err)) ||
            begin == SIZE_MAX)
            break;
        bool empty = begin == stop;
        from = empty ? begin + (begin < bytes ? character_bytes(text + begin) : 1) : stop;
        if (empty && begin == last)
            continue;
        last = stop;
        status = put(out, text + taken, begin - taken, err);
        if (!status)
            status = put(out, link->content.data, link->content.bytes, err);
        taken = stop;
    }
    return status ? status : put_token(out, text + taken, bytes - taken, err);
}

static plim_status wordpiece(const plim_link *link, memory *m, const char *text, size_t bytes,
                             stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    if (m->begun) {
        if (bytes >= link->find.bytes && !memcmp(text, link->find.data, link->find.bytes)) {
            text += link->find.bytes;
            bytes -= link->find.bytes;
        } else {
            status = put(out, " ", 1, err);
        }
    }
    m->begun = true;
    if (!status)
        status = put(out, text, bytes, err);
    if (!status && link->cleanup && out->text.used > out->begin)
        out->text.used =
            out->begin + clean_up(out->text.data + out->begin, out->text.used - out->begin);
    return status ? status : end(out, true, err);
}

/* The token before, now that one comes behind it or none. */
static plim_status end_word(const plim_link *link, memory *m, bool final, stream *out,
                            plim_error *err)
{
    if (!m->have)
        return PLIM_OK;
    m->have = false;
    plim_status status = replace(&out->text, m->token.data, m->token.used, link->find,
                                 (plim_link_text){" ", final ? 0 : 1}, err);
    m->token.used = 0;
    return status ? status : end(out, true, err);
}

/* BPEDecoder: the suffix is a space, but not in the last token.  What stands before the first one
 * is decided. */
static plim_status bpe_word(const plim_link *link, memory *m, const char *text, size_t bytes,
                            stream *out, plim_error *err)
{
    plim_status status = end_word(link, m, false, out, err);
    const char *found = link->find.bytes ? find(text, bytes, link->find) : text;
    size_t before = found ? (size_t)(found - text) : bytes;
    if (!status)
        status = put(out, text, before, err);
    if (!status)
        status = end(out, false, err);
    if (!status)
        status = plim_sink_put(&m->token, text + before, bytes - before, err);
    m->have = true;
    return status;
}

static plim_status ctc(const plim_link *link, memory *m, const char *text, size_t bytes,
                       stream *out, plim_error *err)
{
    if (m->have && m->token.used == bytes && (!bytes || !memcmp(m->token.data, text, bytes)))
        return PLIM_OK;
    m->token.used = m->held.used = 0;
    m->have = true;
    plim_status status = plim_sink_put(&m->token, text, bytes, err);
    if (!status)
        status = replace(&m->held, text, bytes, link->find, (plim_link_text){"", 0}, err);
    if (!status && link->cleanup) {
        if (m->held.used)
            m->held.used = clean_up(m->held.data, m->held.used);
        status = replace(&out->text, m->held.data, m->held.used, link->content,
                         (plim_link_text){" ", 1}, err);
    } else if (!status) {
        status = put(out, m->held.data, m->held.used, err);
    }
    m->held.used = 0;
    if (status || out->text.used == out->begin)
        return status;
    return end(out, true, err);
}

/* ---- links that take fragments ---- */

static plim_status metaspace(const plim_link *link, memory *m, const char *text, size_t bytes,
                             bool last, stream *out, plim_error *err)
{
    plim_link_text space = {" ", link->prefix && !m->begun ? 0 : 1};
    plim_status status = replace(&out->text, text, bytes, link->find, space, err);
    m->begun = m->begun || last;
    return status ? status : end(out, last, err);
}

static plim_status put_trailing(const plim_link *link, memory *m, stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (; !status && m->trailing; m->trailing--)
        status = put(out, link->find.data, link->find.bytes, err);
    return status;
}

static plim_status strip(const plim_link *link, memory *m, const char *text, size_t bytes,
                         bool last, stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t at = 0, length; !status && at < bytes; at += length) {
        length = character_bytes(text + at);
        bool same = length == link->find.bytes && !memcmp(text + at, link->find.data, length);
        if (same && !m->begun && m->stripped < link->start) {
            m->stripped++;
            continue;
        }
        m->begun = true;
        if (same && m->trailing < link->stop)
            m->trailing++;
        else if (same)
            status = put(out, text + at, length, err);
        else if (!(status = put_trailing(link, m, out, err)))
            status = put(out, text + at, length, err);
    }
    if (last) {
        m->begun = false;
        m->stripped = m->trailing = 0;
    }
    return status ? status : end(out, last, err);
}

/* How much of the end of text could be the begin of `what`. */
static size_t begun_match(const char *text, size_t bytes, plim_link_text what)
{
    size_t most = what.bytes - 1 < bytes ? what.bytes - 1 : bytes;
    while (most && memcmp(text + bytes - most, what.data, most) != 0)
        most--;
    return most;
}

static plim_status replace_text(const plim_link *link, memory *m, const char *text, size_t bytes,
                                bool last, stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    if (m->held.used) {
        if ((status = plim_sink_put(&m->held, text, bytes, err)))
            return status;
        text = m->held.data;
        bytes = m->held.used;
    }
    size_t at = 0;
    for (const char *found; !status && (found = find(text + at, bytes - at, link->find));) {
        size_t before = (size_t)(found - text) - at;
        if (!(status = put(out, text + at, before, err)))
            status = put(out, link->content.data, link->content.bytes, err);
        at += before + link->find.bytes;
    }
    size_t keep = last ? 0 : begun_match(text + at, bytes - at, link->find);
    if (!status)
        status = put(out, text + at, bytes - at - keep, err);
    const char *kept = text + bytes - keep;
    if (m->held.used)
        memmove(m->held.data, kept, keep);
    else if (!status)
        status = plim_sink_put(&m->held, kept, keep, err);
    m->held.used = keep;
    return status ? status : end(out, last, err);
}

/* ---- the chain ---- */

static plim_status whole_token(plim_chain_state *s, size_t which, const char *text, size_t bytes,
                               stream *out, plim_error *err)
{
    const plim_link *link = &s->links[which];
    memory *m = &s->memory[which];
    plim_status status = PLIM_OK;
    switch (link->kind) {
    case PLIM_LINK_BYTE_LEVEL:
        return byte_level(m, text, bytes, out, err);
    case PLIM_LINK_BYTE_FALLBACK:
        return byte_fallback(m, text, bytes, out, err);
    case PLIM_LINK_WORDPIECE:
        return wordpiece(link, m, text, bytes, out, err);
    case PLIM_LINK_BPE:
        return bpe_word(link, m, text, bytes, out, err);
    case PLIM_LINK_CTC:
        return ctc(link, m, text, bytes, out, err);
    case PLIM_LINK_JOIN:
        if (m->begun)
            status = put(out, " ", 1, err);
        m->begun = true;
        return status ? status : put_token(out, text, bytes, err);
    default:
        return replace_matches(s, link, text, bytes, out, err);
    }
}

static plim_status feed(plim_chain_state *s, size_t which, const char *text, size_t bytes,
                        bool last, stream *out, plim_error *err)
{
    const plim_link *link = &s->links[which];
    memory *m = &s->memory[which];
    plim_status status;
    switch (link->kind) {
    case PLIM_LINK_FUSE:
        status = put(out, text, bytes, err);
        return status ? status : end(out, false, err);
    case PLIM_LINK_METASPACE:
        return metaspace(link, m, text, bytes, last, out, err);
    case PLIM_LINK_STRIP:
        return strip(link, m, text, bytes, last, out, err);
    case PLIM_LINK_REPLACE:
        if (!link->regex)
            return replace_text(link, m, text, bytes, last, out, err);
        break;
    default:
        break;
    }
    if (last && !m->whole.used)
        return whole_token(s, which, text, bytes, out, err);
    if ((status = plim_sink_put(&m->whole, text, bytes, err)) || !last)
        return status;
    status = whole_token(s, which, m->whole.data, m->whole.used, out, err);
    m->whole.used = 0;
    return status;
}

/* The end of the stream: what a link held back. */
static plim_status finish(plim_chain_state *s, size_t which, stream *out, plim_error *err)
{
    const plim_link *link = &s->links[which];
    memory *m = &s->memory[which];
    switch (link->kind) {
    case PLIM_LINK_BYTE_LEVEL:
        return put_bytes(m, out, true, err);
    case PLIM_LINK_BYTE_FALLBACK:
        return end_run(m, out, err);
    case PLIM_LINK_FUSE:
        return end(out, true, err);
    case PLIM_LINK_BPE:
        return end_word(link, m, true, out, err);
    default:
        return PLIM_OK;
    }
}

static void forget(plim_chain_state *s)
{
    for (size_t i = 0; i < s->count; i++) {
        memory *m = &s->memory[i];
        m->whole.used = m->held.used = m->token.used = m->checked = 0;
        m->stripped = m->trailing = 0;
        m->begun = m->have = m->broken = false;
    }
}

/* What is in s->in through all links, into *out. */
static plim_status run(plim_chain_state *s, bool final, plim_sink *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t which = 0; which < s->count; which++) {
        size_t begin = 0;
        clear(&s->out);
        for (size_t i = 0; !status && i < s->in.count; i++) {
            fragment f = s->in.at[i];
            status = feed(s, which, s->in.text.data + begin, f.end - begin, f.last, &s->out, err);
            begin = f.end;
        }
        if (!status && final)
            status = finish(s, which, &s->out, err);
        if (status)
            return status;
        stream swap = s->in;
        s->in = s->out;
        s->out = swap;
    }
    return s->in.text.used ? plim_sink_put(out, s->in.text.data, s->in.text.used, err) : PLIM_OK;
}

/* A usual chain where nothing is held back, and a token that is no byte: only the character that
 * stands for a space changes. */
static bool is_plain(const plim_chain_state *s, const char *text, size_t bytes)
{
    const plim_chain *chain = s->chain;
    if (!chain || !chain->usual.on || (bytes > 2 && text[0] == '<' && text[1] == '0'))
        return false;
    if (!chain->usual.bytes)
        return s->memory[0].begun || !chain->usual.drops_first;
    const memory *m = &s->memory[chain->links[0].kind == PLIM_LINK_REPLACE];
    const plim_link *strip = chain->usual.strip;
    return !m->held.used && !m->broken && (!strip || s->memory[strip - chain->links].begun);
}

static plim_status push_plain(const plim_chain *chain, const char *text, size_t bytes,
                              plim_sink *out, plim_error *err)
{
    plim_link_text space = chain->usual.find;
    if (!space.bytes)
        return plim_sink_put(out, text, bytes, err);
    if (out->cap - out->used < bytes) {
        plim_status status =
            plim_grow(out->alloc, &out->data, &out->cap, out->used + bytes + 1, 1, err);
        if (status)
            return status;
    }
    char *to = out->data + out->used, first = space.data[0];
    size_t width = space.bytes;
    for (size_t i = 0; i < bytes;) {
        if (text[i] == first && bytes - i >= width && !memcmp(text + i, space.data, width)) {
            *to++ = ' ';
            i += width;
        } else {
            *to++ = text[i++];
        }
    }
    out->used = (size_t)(to - out->data);
    return PLIM_OK;
}

plim_status plim_chain_push(plim_chain_state *state, const char *token, size_t bytes,
                            plim_sink *out, plim_error *err)
{
    if (is_plain(state, token, bytes))
        return push_plain(state->chain, token, bytes, out, err);
    clear(&state->in);
    plim_status status = put_token(&state->in, token, bytes, err);
    return status ? status : run(state, false, out, err);
}

plim_status plim_chain_flush(plim_chain_state *state, plim_sink *out, plim_error *err)
{
    clear(&state->in);
    plim_status status = run(state, true, out, err);
    forget(state);
    return status;
}

plim_status plim_chain_state_reserve(plim_chain_state *state, size_t longest, size_t *most,
                                     plim_error *err)
{
    enum { RUN_BYTES = 64, LIMIT = 1 << 16 };
    size_t bytes = longest + RUN_BYTES;
    plim_status status = PLIM_OK;
    for (size_t i = 0; i < state->count; i++) {
        const plim_link *link = &state->links[i];
        if (link->kind == PLIM_LINK_BYTE_FALLBACK || link->kind == PLIM_LINK_BYTE_LEVEL)
            bytes *= 3; /* each byte may become a U+FFFD */
        else if (link->kind == PLIM_LINK_REPLACE && link->content.bytes > 1)
            bytes = link->content.bytes > LIMIT ? LIMIT : bytes * (link->content.bytes + 1);
        else if (link->kind != PLIM_LINK_FUSE)
            bytes = 2 * bytes + 1;
        bytes = bytes < LIMIT ? bytes : LIMIT;
    }
    size_t fragments = 2 + RUN_BYTES;
    stream *both[] = {&state->in, &state->out};
    for (int i = 0; !status && i < 2; i++) {
        status = plim_grow(state->alloc, &both[i]->text.data, &both[i]->text.cap, bytes, 1, err);
        if (!status)
            status = plim_grow(state->alloc, &both[i]->at, &both[i]->cap, fragments,
                               sizeof *both[i]->at, err);
    }
    for (size_t i = 0; !status && i < state->count; i++) {
        memory *m = &state->memory[i];
        if (!(status = plim_grow(state->alloc, &m->held.data, &m->held.cap, RUN_BYTES, 1, err)))
            status = plim_grow(state->alloc, &m->token.data, &m->token.cap, longest + 4, 1, err);
    }
    *most = bytes;
    return status;
}
