/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens through a chain of decoders, one by one.  Each link turns a stream of tokens into another,
 * as Hugging Face's turn one list into another.  A token may come in fragments: behind a Fuse the
 * whole text is one token that ends with the stream. */
#include "tokenizer/chain.h"

struct plim_chain_state {
    const plim_chain *chain;
    const plim_alloc *alloc;
    plim_matcher matcher;
    bool matcher_open;
    plim_stream in, out;
    plim_link_memory memory[PLIM_TOK_MAX_STEPS];
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

static void clear(plim_stream *s)
{
    s->text.used = s->count = s->begin = 0;
}

static void forget(plim_chain_state *s)
{
    for (size_t i = 0; i < s->count; i++) {
        plim_link_memory *m = &s->memory[i];
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
        const char *text = s->in.text.data ? s->in.text.data : ""; /* nothing may be gathered */
        clear(&s->out);
        for (size_t i = 0; !status && i < s->in.count; i++) {
            plim_fragment f = s->in.at[i];
            status = plim_link_feed(&s->links[which], &s->memory[which], &s->matcher, text + begin,
                                    f.end - begin, f.last, &s->out, err);
            begin = f.end;
        }
        if (!status && final)
            status = plim_link_finish(&s->links[which], &s->memory[which], &s->out, err);
        if (status)
            return status;
        plim_stream swap = s->in;
        s->in = s->out;
        s->out = swap;
    }
    return s->in.text.used ? plim_sink_put(out, s->in.text.data, s->in.text.used, err) : PLIM_OK;
}

plim_status plim_chain_push(plim_chain_state *state, const char *token, size_t bytes,
                            plim_sink *out, plim_error *err)
{
    clear(&state->in);
    plim_status status = plim_sink_put(&state->in.text, token, bytes, err);
    if (!status)
        status = plim_link_stream_end(&state->in, true, err);
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
    plim_stream *both[] = {&state->in, &state->out};
    for (int i = 0; !status && i < 2; i++) {
        status = plim_grow(state->alloc, &both[i]->text.data, &both[i]->text.cap, bytes, 1, err);
        if (!status)
            status = plim_grow(state->alloc, &both[i]->at, &both[i]->cap, fragments,
                               sizeof *both[i]->at, err);
    }
    for (size_t i = 0; !status && i < state->count; i++) {
        plim_link_memory *m = &state->memory[i];
        if (!(status = plim_grow(state->alloc, &m->held.data, &m->held.cap, RUN_BYTES, 1, err)))
            status = plim_grow(state->alloc, &m->token.data, &m->token.cap, longest + 4, 1, err);
    }
    *most = bytes;
    return status;
}
