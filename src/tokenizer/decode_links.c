/* SPDX-License-Identifier: Apache-2.0
 *
 * The links of a decoder: each turns a stream of tokens into another, as Hugging Face's turn one
 * list into another.  A link gives on what is decided, and holds back what is not: the bytes of a
 * run of byte tokens, spaces that may be the last, the begin of what it looks for. */
#include "base/utf8.h"
#include "tokenizer/chain.h"

/* ---- fragments ---- */

static inline plim_status put(plim_stream *out, const char *text, size_t bytes, plim_error *err)
{
    return plim_sink_put(&out->text, text, bytes, err);
}

/* What was put since the last end is a fragment. */
plim_status plim_link_stream_end(plim_stream *out, bool last, plim_error *err)
{
    if (!last && out->begin == out->text.used)
        return PLIM_OK;
    plim_status status =
        plim_grow(out->text.alloc, &out->at, &out->cap, out->count + 1, sizeof *out->at, err);
    if (status)
        return status;
    out->at[out->count++] = (plim_fragment){out->text.used, last};
    out->begin = out->text.used;
    return PLIM_OK;
}

static plim_status put_token(plim_stream *out, const char *text, size_t bytes, plim_error *err)
{
    plim_status status = put(out, text, bytes, err);
    return status ? status : plim_link_stream_end(out, true, err);
}

/* ---- replacing text ---- */

static const char *find(const char *text, size_t bytes, plim_link_text what)
{
    return what.bytes <= bytes ? memmem(text, bytes, what.data, what.bytes) : NULL;
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
            size_t length = plim_utf8_length(text[at]);
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

static plim_status put_replacements(plim_stream *out, size_t count, plim_error *err)
{
    plim_status status = PLIM_OK;
    while (!status && count--)
        status = put_token(out, "\xEF\xBF\xBD", 3, err);
    return status;
}

/* The run of bytes is over: it is text as a whole, or each byte is U+FFFD. */
static plim_status end_run(plim_link_memory *m, plim_stream *out, plim_error *err)
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

static plim_status byte_fallback(plim_link_memory *m, const char *text, size_t bytes,
                                 plim_stream *out, plim_error *err)
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
static plim_status put_bytes(plim_link_memory *m, plim_stream *out, bool final, plim_error *err)
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
    return status ? status : plim_link_stream_end(out, final, err);
}

static plim_status byte_level(plim_link_memory *m, const char *text, size_t bytes, plim_stream *out,
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
static plim_status replace_matches(const plim_link *link, plim_matcher *matcher, const char *text,
                                   size_t bytes, plim_stream *out, plim_error *err)
{
    size_t from = 0, taken = 0, last = SIZE_MAX;
    plim_status status = PLIM_OK;
    while (!status && bytes && from <= bytes) {
        size_t begin, stop;
        if ((status =
                 plim_regex_search(link->regex, matcher, text, bytes, from, &begin, &stop, err)) ||
            begin == SIZE_MAX)
            break;
        bool empty = begin == stop;
        from = empty ? begin + (begin < bytes ? plim_utf8_length(text[begin]) : 1) : stop;
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

static plim_status wordpiece(const plim_link *link, plim_link_memory *m, const char *text,
                             size_t bytes, plim_stream *out, plim_error *err)
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
    return status ? status : plim_link_stream_end(out, true, err);
}

/* The token before, now that one comes behind it or none. */
static plim_status end_word(const plim_link *link, plim_link_memory *m, bool final,
                            plim_stream *out, plim_error *err)
{
    if (!m->have)
        return PLIM_OK;
    m->have = false;
    plim_status status = replace(&out->text, m->token.data, m->token.used, link->find,
                                 (plim_link_text){" ", final ? 0 : 1}, err);
    m->token.used = 0;
    return status ? status : plim_link_stream_end(out, true, err);
}

/* BPEDecoder: the suffix is a space, but not in the last token.  What stands before the first one
 * is decided. */
static plim_status bpe_word(const plim_link *link, plim_link_memory *m, const char *text,
                            size_t bytes, plim_stream *out, plim_error *err)
{
    plim_status status = end_word(link, m, false, out, err);
    const char *found = link->find.bytes ? find(text, bytes, link->find) : text;
    size_t before = found ? (size_t)(found - text) : bytes;
    if (!status)
        status = put(out, text, before, err);
    if (!status)
        status = plim_link_stream_end(out, false, err);
    if (!status)
        status = plim_sink_put(&m->token, text + before, bytes - before, err);
    m->have = true;
    return status;
}

static plim_status ctc(const plim_link *link, plim_link_memory *m, const char *text, size_t bytes,
                       plim_stream *out, plim_error *err)
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
    return plim_link_stream_end(out, true, err);
}

/* ---- links that take fragments ---- */

static plim_status metaspace(const plim_link *link, plim_link_memory *m, const char *text,
                             size_t bytes, bool last, plim_stream *out, plim_error *err)
{
    plim_link_text space = {" ", link->prefix && !m->begun ? 0 : 1};
    plim_status status = replace(&out->text, text, bytes, link->find, space, err);
    m->begun = m->begun || last;
    return status ? status : plim_link_stream_end(out, last, err);
}

static plim_status put_trailing(const plim_link *link, plim_link_memory *m, plim_stream *out,
                                plim_error *err)
{
    plim_status status = PLIM_OK;
    for (; !status && m->trailing; m->trailing--)
        status = put(out, link->find.data, link->find.bytes, err);
    return status;
}

static plim_status strip(const plim_link *link, plim_link_memory *m, const char *text, size_t bytes,
                         bool last, plim_stream *out, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t at = 0, length; !status && at < bytes; at += length) {
        length = plim_utf8_length(text[at]);
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
    return status ? status : plim_link_stream_end(out, last, err);
}

/* How much of the end of text could be the begin of `what`. */
static size_t begun_match(const char *text, size_t bytes, plim_link_text what)
{
    size_t most = what.bytes - 1 < bytes ? what.bytes - 1 : bytes;
    while (most && memcmp(text + bytes - most, what.data, most) != 0)
        most--;
    return most;
}

static plim_status replace_text(const plim_link *link, plim_link_memory *m, const char *text,
                                size_t bytes, bool last, plim_stream *out, plim_error *err)
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
    return status ? status : plim_link_stream_end(out, last, err);
}

static plim_status whole_token(const plim_link *link, plim_link_memory *m, plim_matcher *matcher,
                               const char *text, size_t bytes, plim_stream *out, plim_error *err)
{
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
        return replace_matches(link, matcher, text, bytes, out, err);
    }
}

plim_status plim_link_feed(const plim_link *link, plim_link_memory *m, plim_matcher *matcher,
                           const char *text, size_t bytes, bool last, plim_stream *out,
                           plim_error *err)
{
    plim_status status;
    switch (link->kind) {
    case PLIM_LINK_FUSE:
        status = put(out, text, bytes, err);
        return status ? status : plim_link_stream_end(out, false, err);
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
        return whole_token(link, m, matcher, text, bytes, out, err);
    if ((status = plim_sink_put(&m->whole, text, bytes, err)) || !last)
        return status;
    status = whole_token(link, m, matcher, m->whole.data, m->whole.used, out, err);
    m->whole.used = 0;
    return status;
}

plim_status plim_link_finish(const plim_link *link, plim_link_memory *m, plim_stream *out,
                             plim_error *err)
{
    switch (link->kind) {
    case PLIM_LINK_BYTE_LEVEL:
        return put_bytes(m, out, true, err);
    case PLIM_LINK_BYTE_FALLBACK:
        return end_run(m, out, err);
    case PLIM_LINK_FUSE:
        return plim_link_stream_end(out, true, err);
    case PLIM_LINK_BPE:
        return end_word(link, m, true, out, err);
    default:
        return PLIM_OK;
    }
}
