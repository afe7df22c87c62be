/* SPDX-License-Identifier: Apache-2.0
 *
 * A sequence: chunks of rows through the forward pass. */
#include "generate/sequence.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(plim_row) <= PLIM_ROW_BYTES, "the plan counts on it");

plim_status plim_sequence_open(plim_sequence **out, const plim_engine *engine, plim_ledger *ledger,
                               const plim_session_size *size, const atomic_bool *cancel,
                               plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    const plim_alloc *alloc = plim_ledger_alloc(ledger, PLIM_MEM_OTHER);
    plim_sequence *s = plim_new(alloc, 1, sizeof *s, err);
    if (!s)
        return err->code;
    s->engine = *engine;
    s->ledger = ledger;
    s->pending = -1;
    plim_status status;
    if ((status = plim_state_open(&s->state, ledger, engine->spec, size, cancel, err)) ||
        (status = plim_scratch_open(&s->scratch, ledger, engine->spec, size, err)) ||
        (status = plim_sampler_open(&s->sampler, alloc, engine->spec->vocab, err)))
        plim_sequence_close(&s);
    else if (!(s->rows = plim_new(alloc, size->chunk, sizeof *s->rows, err))) {
        status = err->code;
        plim_sequence_close(&s);
    }
    *out = s;
    return status;
}

void plim_sequence_close(plim_sequence **sequence)
{
    plim_sequence *s = *sequence;
    if (!s)
        return;
    const plim_alloc *alloc = plim_ledger_alloc(s->ledger, PLIM_MEM_OTHER);
    plim_state_close(&s->state, s->ledger);
    plim_scratch_close(&s->scratch, s->ledger);
    plim_sampler_close(&s->sampler);
    plim_delete(alloc, s->rows);
    plim_delete(alloc, s);
    *sequence = NULL;
}

/* ---- eval ---- */

typedef struct watcher {
    plim_sequence *s;
    plim_logits_fn fn; /* or NULL */
    void *user;
} watcher;

static int on_row(void *user, size_t row, const float *logits)
{
    watcher *w = user;
    w->s->logits = logits;
    return w->fn ? w->fn(w->user, w->s->rows[row].position, logits, w->s->engine.spec->vocab) : 0;
}

static plim_status check_tokens(const plim_sequence *s, const int32_t *tokens, size_t count,
                                plim_error *err)
{
    uint32_t vocab = s->engine.spec->vocab, context = s->state.size.context;
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return plim_fail(err, PLIM_E_USAGE, "token %zu is %d, want 0..%u", i, tokens[i],
                             vocab - 1);
    if (count > context - plim_sequence_length(s))
        return plim_fail(
            err, PLIM_E_LIMIT,
            "%zu tokens after %zu are more than the context of %u; choose a larger one", count,
            plim_sequence_length(s), context);
    return PLIM_OK;
}

/* One pass over up to a chunk of tokens. */
static plim_status eval_chunk(plim_sequence *s, const int32_t *tokens, size_t count, bool last,
                              watcher *w, plim_error *err)
{
    for (size_t i = 0; i < count; i++)
        s->rows[i] = (plim_row){.state = &s->state,
                                .position = s->state.length + (uint32_t)i,
                                .token = tokens[i],
                                .wants_logits = w->fn || (last && i + 1 == count)};
    plim_pass pass = {.engine = &s->engine,
                      .scratch = &s->scratch,
                      .rows = s->rows,
                      .count = count,
                      .cancel = &s->cancel,
                      .on_logits = on_row,
                      .user = w};
    plim_status status = plim_forward(&pass, err);
    if (!status)
        s->state.length += (uint32_t)count;
    return status;
}

static plim_status eval_all(plim_sequence *s, const int32_t *tokens, size_t count, watcher *w,
                            plim_error *err)
{
    plim_status status = PLIM_OK;
    for (size_t done = 0, n; !status && done < count; done += n) {
        n = count - done < s->state.size.chunk ? count - done : s->state.size.chunk;
        status = eval_chunk(s, tokens + done, n, done + n == count, w, err);
    }
    return status;
}

plim_status plim_sequence_eval(plim_sequence *s, const int32_t *tokens, size_t count,
                               plim_logits_fn on_logits, void *user, plim_error *err)
{
    plim_status status = check_tokens(s, tokens, count, err);
    if (status || !count)
        return status;
    watcher silent = {.s = s}, w = {.s = s, .fn = on_logits, .user = user};
    if (s->pending >= 0) {
        int32_t token = s->pending;
        status = eval_all(s, &token, 1, &silent, err);
        s->pending = status ? token : -1;
    }
    if (!status)
        status = eval_all(s, tokens, count, &w, err);
    if (status) {
        s->logits = NULL;
        atomic_store(&s->cancel, false); /* heard */
    }
    return status;
}

size_t plim_sequence_length(const plim_sequence *s)
{
    return s->state.length + (s->pending >= 0);
}

plim_status plim_sequence_truncate(plim_sequence *s, size_t length, plim_error *err)
{
    if (length > plim_sequence_length(s))
        return plim_fail(err, PLIM_E_USAGE, "cannot keep %zu tokens of %zu", length,
                         plim_sequence_length(s));
    if (length <= s->state.length) {
        s->pending = -1;
        if (length < s->state.length)
            s->logits = NULL;
        s->state.length = (uint32_t)length;
    }
    return PLIM_OK;
}
