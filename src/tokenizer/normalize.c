/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a normalizer: its steps in order, each reading what the one before wrote, and how a step
 * writes.  A text that no step changes is not copied.  Invariants:
 *  1. A character's bytes have one position, in every text.
 *  2. No text is longer than `max` of its job. */
#include "tokenizer/normal.h"

/* ---- writing ---- */

plim_status plim_normal_room(plim_normal_writer *w, size_t bytes)
{
    const plim_normal_job *job = w->job;
    if (bytes > job->max || w->used > job->max - bytes)
        return plim_fail(job->err, PLIM_E_LIMIT,
                         "the normalizer makes more than %zu bytes of this text: over %d times its "
                         "length",
                         job->max, PLIM_NORMAL_GROWTH);
    size_t need = w->used + bytes + PLIM_NORMAL_SLACK;
    if (need <= w->out->cap && (!w->in->source || need <= w->out->source_cap))
        return PLIM_OK;
    return plim_buffer_reserve(job->run, w->out, need, job->err);
}

plim_status plim_normal_begin(plim_normal_writer *w, plim_normal_job *job, const plim_text *in,
                              size_t expected)
{
    *w = (plim_normal_writer){.job = job, .in = in, .out = &job->scratch->text[job->free]};
    return plim_normal_room(w, expected < job->max ? expected : job->max);
}

plim_status plim_normal_copy(plim_normal_writer *w, size_t begin, size_t end)
{
    size_t bytes = end - begin;
    plim_status status = plim_normal_room(w, bytes);
    if (status || !bytes)
        return status;
    memcpy(w->out->data + w->used, w->in->data + begin, bytes);
    if (w->in->source)
        memcpy(w->out->source + w->used, w->in->source + begin, bytes * sizeof *w->in->source);
    if (w->head == w->used && begin < w->job->head)
        w->head += (end < w->job->head ? end : w->job->head) - begin;
    w->used += bytes;
    w->from = end;
    return PLIM_OK;
}

plim_status plim_normal_put(plim_normal_writer *w, const char *text, size_t bytes, size_t at)
{
    plim_status status = plim_normal_room(w, bytes);
    if (status || !bytes)
        return status;
    memcpy(w->out->data + w->used, text, bytes);
    if (w->in->source) {
        plim_source source = at == PLIM_NORMAL_BEFORE ? w->job->origin : w->in->source[at];
        for (size_t i = 0; i < bytes; i++)
            w->out->source[w->used + i] = source;
    }
    if (w->head == w->used && (at == PLIM_NORMAL_BEFORE || at < w->job->head))
        w->head += bytes;
    w->used += bytes;
    return PLIM_OK;
}

/* The character at `from` is dealt with. */
static void pass_one(plim_normal_writer *w)
{
    size_t length = 0;
    if (w->from < w->in->bytes)
        plim_normal_code(w->in->data, w->in->bytes, w->from, &length);
    w->from += length;
}

plim_status plim_normal_change(plim_normal_writer *w, uint32_t code, int64_t change)
{
    char text[4];
    size_t bytes = plim_utf8_encode(code, text), last = w->in->bytes - 1;
    size_t at = change <= 0 ? w->from : w->from ? w->from - 1 : PLIM_NORMAL_BEFORE;
    if (at != PLIM_NORMAL_BEFORE && at > last)
        at = last;
    plim_status status = plim_normal_put(w, text, bytes, at);
    for (; change <= 0 && w->from <= last; change++)
        pass_one(w);
    return status;
}

plim_status plim_normal_keep(plim_normal_writer *w, size_t begin, size_t end)
{
    bool matters = w->in->source || w->head == w->used;
    if (w->from == begin || !matters)
        return plim_normal_copy(w, begin, end);
    plim_status status = PLIM_OK;
    for (size_t length; !status && begin < end; begin += length) {
        uint32_t code = plim_normal_code(w->in->data, w->in->bytes, begin, &length);
        status = plim_normal_change(w, code, 0);
    }
    return status;
}

void plim_normal_end(plim_normal_writer *w, plim_text *out)
{
    *out = (plim_text){.data = w->out->data,
                       .bytes = w->used,
                       .source = w->in->source ? w->out->source : NULL,
                       .readable = w->used + PLIM_NORMAL_SLACK};
    w->job->head = w->head;
    w->job->free ^= 1;
}

/* ---- running ---- */

static plim_status run_step(plim_normal_job *job, const plim_normal_step *step, const plim_text *in,
                            plim_text *out)
{
    switch (step->kind) {
    case PLIM_NORMAL_NFC:
    case PLIM_NORMAL_NFD:
    case PLIM_NORMAL_NFKC:
    case PLIM_NORMAL_NFKD:
        return plim_normal_form(job, step, in, out);
    case PLIM_NORMAL_STRIP:
        return plim_normal_strip(job, step, in, out);
    case PLIM_NORMAL_PREPEND:
        return plim_normal_prepend(job, step, in, out);
    case PLIM_NORMAL_REPLACE:
        return plim_normal_replace(job, step, in, out);
    case PLIM_NORMAL_MARKUP:
        return plim_normal_markup(job, step, in, out);
    case PLIM_NORMAL_CHARSMAP:
        return plim_normal_map_chars(job, step, in, out);
    default:
        return plim_normal_chars(job, step, in, out);
    }
}

static plim_status open_scratch(plim_run *run, const plim_normalizer *normalizer, plim_error *err)
{
    if (!run->normal && !(run->normal = plim_new(run->alloc, 1, sizeof *run->normal, err)))
        return plim_tok_nomem(err);
    if (!normalizer->any_regex || run->normal->matcher_open)
        return PLIM_OK;
    plim_status status = plim_matcher_open(&run->normal->matcher, run->alloc, err);
    run->normal->matcher_open = !status;
    return status;
}

void plim_normal_scratch_free(plim_normal_scratch **scratch, const plim_alloc *alloc)
{
    plim_normal_scratch *s = *scratch;
    if (!s)
        return;
    plim_buffer_free(alloc, &s->text[0]);
    plim_buffer_free(alloc, &s->text[1]);
    plim_delete(alloc, s->marks);
    plim_delete(alloc, s->sorted);
    if (s->matcher_open)
        plim_matcher_close(&s->matcher);
    plim_delete(alloc, s);
    *scratch = NULL;
}

plim_status plim_normalize(plim_run *run, const plim_text *in, plim_text *out, plim_error *err)
{
    const plim_normalizer *normalizer = run->tok->normalizer;
    *out = *in;
    if (!normalizer || !in->bytes)
        return PLIM_OK;
    plim_error local = {0};
    plim_normal_job job = {.run = run, .err = err ? err : &local};
    plim_status status = open_scratch(run, normalizer, job.err);
    if (status)
        return status;
    job.scratch = run->normal;
    job.max = in->bytes < SIZE_MAX / 2 / PLIM_NORMAL_GROWTH
                  ? in->bytes * PLIM_NORMAL_GROWTH + ((size_t)1 << 20)
                  : SIZE_MAX / 2;
    plim_normal_code(in->data, in->bytes, 0, &job.head);
    if (in->source)
        job.origin = (plim_source){in->source[0].begin, in->source[0].begin};
    plim_text now = *in;
    for (size_t i = 0; !status && i < normalizer->count && now.bytes; i++) {
        plim_text next = now;
        status = run_step(&job, &normalizer->steps[i], &now, &next);
        now = next;
    }
    *out = now;
    out->at_start = in->at_start && now.bytes &&
                    (in->source ? now.source[0].begin == in->source[0].begin : job.head > 0);
    return status;
}
