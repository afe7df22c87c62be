/* SPDX-License-Identifier: Apache-2.0
 *
 * Unigram: the way through a piece of text whose pieces' scores add up to the most (Viterbi), in
 * the order of additions and comparisons of Hugging Face's encode_optimized, for equal sums must
 * fall the same way.  Only a window of the way is kept: where no piece crosses a place, everything
 * before it is settled. */
#include <assert.h>
#include <float.h>

#include "base/utf8.h"
#include "tokenizer/unigram.h"

/* How the best way to a place ends: the id of its last piece and, where they fit, its bytes. */
enum { BYTES_SHIFT = 21, MAX_BYTES = 0x7FE };
#define STEP_UNKNOWN UINT32_MAX       /* a character that is no piece */
#define STEP_FREE    (UINT32_MAX - 1) /* no way leads here yet */
static_assert(PLIM_TOK_MAX_ID < 1u << BYTES_SHIFT, "a step holds an id");

static const double unknown_penalty = 10;

struct plim_lattice {
    uint32_t *step; /* by place, from the start of the window */
    size_t step_cap;
    double *score; /* by place, modulo ring + 1 */
    size_t score_cap, ring;
};

void plim_lattice_free(plim_lattice **lattice, const plim_alloc *alloc)
{
    if (!*lattice)
        return;
    plim_delete(alloc, (*lattice)->step);
    plim_delete(alloc, (*lattice)->score);
    plim_delete(alloc, *lattice);
    *lattice = NULL;
}

void plim_unigram_close(plim_unigram **unigram, const plim_alloc *alloc)
{
    plim_unigram *u = *unigram;
    if (!u)
        return;
    plim_pieces_free(&u->pieces, alloc);
    plim_delete(alloc, u->scores);
    plim_delete(alloc, u->float_scores);
    plim_delete(alloc, u->twins);
    plim_delete(alloc, u);
    *unigram = NULL;
}

/* Floats are half as large; only when nothing is lost. */
static plim_status narrow_scores(plim_unigram *u, const plim_alloc *alloc, plim_error *err)
{
    for (size_t i = 0; i < u->count; i++)
        if (!(u->scores[i] >= -FLT_MAX && u->scores[i] <= FLT_MAX) ||
            (double)(float)u->scores[i] != u->scores[i])
            return PLIM_OK;
    u->float_scores = plim_new(alloc, u->count, sizeof *u->float_scores, err);
    if (!u->float_scores)
        return plim_tok_nomem(err);
    for (size_t i = 0; i < u->count; i++)
        u->float_scores[i] = (float)u->scores[i];
    plim_delete(alloc, u->scores);
    u->scores = NULL;
    return PLIM_OK;
}

plim_status plim_unigram_finish(plim_tok *tok, bool byte_fallback, plim_error *err)
{
    plim_unigram *u = tok->unigram;
    for (unsigned byte = 0; byte < 256; byte++) {
        static const char digits[] = "0123456789ABCDEF";
        char text[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
        u->byte_id[byte] =
            byte_fallback ? plim_vocab_find(&tok->vocab, text, sizeof text) : PLIM_TOK_NONE;
    }
    plim_status status = narrow_scores(u, tok->alloc, err);
    if (!status)
        status = plim_pieces_build(&u->pieces, tok->alloc, &tok->vocab, err);
    /* A piece that is there twice is found by its last id; the others still decode. */
    for (size_t i = u->twin_count; !status && i-- > 0;)
        tok->vocab.entries[u->twins[i][0]] = tok->vocab.entries[u->twins[i][1]];
    plim_delete(tok->alloc, u->twins);
    u->twins = NULL;
    u->twin_count = u->twin_cap = 0;
    return status;
}

/* ---- one piece of text ---- */

typedef struct viterbi {
    plim_run *run;
    const plim_unigram *model;
    plim_lattice *lattice;
    const char *text;
    size_t bytes, window, reach;       /* the window's first place, the last one that has a way */
    size_t unknown_begin, unknown_end; /* unknown text that was not pushed yet */
} viterbi;

static size_t step_bytes(const viterbi *v, uint32_t step)
{
    size_t bytes = step >> BYTES_SHIFT;
    if (!bytes)
        plim_vocab_text(&v->run->tok->vocab, step, &bytes);
    return bytes;
}

/* Unknown text is one token: what the vocabulary has for the whole of it, else its bytes, else the
 * unknown token. */
static plim_status push_unknown(viterbi *v, plim_error *err)
{
    const char *text = v->text + v->unknown_begin;
    size_t bytes = v->unknown_end - v->unknown_begin;
    plim_run *run = v->run;
    v->unknown_begin = SIZE_MAX;
    uint32_t id = plim_pieces_find(&v->model->pieces, text, bytes);
    if (id != PLIM_TOK_NONE && !plim_run_forbids(run, id))
        return plim_run_push(run, id, bytes, err);
    bool all = true;
    for (size_t i = 0; all && i < bytes; i++) {
        id = v->model->byte_id[(unsigned char)text[i]];
        all = id != PLIM_TOK_NONE && !plim_run_forbids(run, id);
    }
    if (!all)
        return plim_run_push(run, run->tok->unk_id, bytes, err);
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < bytes; i++)
        status = plim_run_push(run, v->model->byte_id[(unsigned char)text[i]],
                               i ? PLIM_RUN_SAME : bytes, err);
    return status;
}

/* The ids of the window, which ends at `end`. */
static plim_status push_window(viterbi *v, size_t end, plim_error *err)
{
    uint32_t *step = v->lattice->step - v->window, unk_id = v->run->tok->unk_id;
    uint32_t carried = step[end];
    for (size_t at = end; at > v->window;) { /* turn the links around */
        size_t start = at;
        if (carried == STEP_UNKNOWN)
            do
                start--;
            while (((unsigned char)v->text[start] & 0xC0) == 0x80);
        else
            start -= step_bytes(v, carried);
        uint32_t before = step[start];
        step[start] = carried;
        carried = before;
        at = start;
    }
    for (size_t at = v->window, bytes; at < end; at += bytes) {
        uint32_t id = step[at] & PLIM_TOK_MAX_ID;
        bool unknown = step[at] == STEP_UNKNOWN || id == unk_id;
        bytes = step[at] == STEP_UNKNOWN ? plim_utf8_length(v->text[at]) : step_bytes(v, step[at]);
        plim_status status = PLIM_OK;
        if (unknown) {
            v->unknown_begin = v->unknown_begin == SIZE_MAX ? at : v->unknown_begin;
            v->unknown_end = at + bytes;
            continue;
        }
        if (v->unknown_begin != SIZE_MAX)
            status = push_unknown(v, err);
        if (!status)
            status = plim_run_push(v->run, id, bytes, err);
        if (status)
            return status;
    }
    v->window = v->reach = end;
    return PLIM_OK;
}

/* Does a way to `end` beat what is known? */
static inline bool is_better(const viterbi *v, size_t end, double score)
{
    const plim_lattice *l = v->lattice;
    return end > v->reach || l->step[end - v->window] == STEP_FREE ||
           score > l->score[end & l->ring];
}

/* A way to `end` that ends with `step`. */
static inline plim_status relax(viterbi *v, size_t end, uint32_t step, double score,
                                plim_error *err)
{
    plim_lattice *l = v->lattice;
    if (end > v->reach) {
        size_t need = end - v->window + 1;
        if (need > l->step_cap) {
            plim_status status =
                plim_grow(v->run->alloc, &l->step, &l->step_cap, need, sizeof *l->step, err);
            if (status)
                return status;
        }
        for (size_t at = v->reach + 1; at < end; at++)
            l->step[at - v->window] = STEP_FREE;
        v->reach = end;
    } else if (!is_better(v, end, score)) {
        return PLIM_OK;
    }
    l->step[end - v->window] = step;
    l->score[end & l->ring] = score;
    return PLIM_OK;
}

static double score_of(const plim_unigram *model, uint32_t id)
{
    return model->float_scores ? (double)model->float_scores[id] : model->scores[id];
}

/* All pieces that begin at `at`. */
static plim_status step_on(viterbi *v, size_t at, size_t character, plim_error *err)
{
    const plim_unigram *model = v->model;
    double here = v->lattice->score[at & v->lattice->ring];
    bool single = false;
    plim_piece_walk walk = {0};
    uint32_t id;
    size_t end = at, taken;
    plim_status status = PLIM_OK;
    while (!status &&
           plim_pieces_next(&model->pieces, &walk, v->text + end, v->bytes - end, &taken, &id)) {
        end += taken;
        if (plim_run_forbids(v->run, id))
            continue;
        size_t bytes = end - at;
        uint32_t step = bytes > MAX_BYTES ? id : (uint32_t)bytes << BYTES_SHIFT | id;
        single = single || bytes == character;
        status = relax(v, end, step, score_of(model, id) + here, err);
    }
    if (status || single)
        return status;
    double score = model->lowest - unknown_penalty + here;
    if (v->run->tok->unk_id == PLIM_TOK_NONE && is_better(v, at + character, score))
        return plim_fail(err, PLIM_E_FORMAT,
                         "the tokenizer has no piece for \"%.*s\", and no unknown token",
                         (int)character, v->text + at);
    return relax(v, at + character, STEP_UNKNOWN, score, err);
}

/* The ring holds every place that a piece from the current one can reach. */
static plim_status prepare(plim_run *run, size_t bytes, plim_error *err)
{
    if (!run->lattice && !(run->lattice = plim_new(run->alloc, 1, sizeof *run->lattice, err)))
        return plim_tok_nomem(err);
    plim_lattice *l = run->lattice;
    size_t reach = run->tok->vocab.longest < 4 ? 4 : run->tok->vocab.longest, ring = 63;
    reach = reach < bytes ? reach : bytes;
    while (ring < reach)
        ring = 2 * ring + 1;
    if (ring < l->ring)
        ring = l->ring;
    plim_status status =
        plim_grow(run->alloc, &l->score, &l->score_cap, ring + 1, sizeof *l->score, err);
    if (!status)
        status = plim_grow(run->alloc, &l->step, &l->step_cap, 64, sizeof *l->step, err);
    if (!status)
        l->ring = ring;
    return status;
}

plim_status plim_unigram_piece(plim_run *run, const plim_text *piece, plim_error *err)
{
    plim_status status = prepare(run, piece->bytes, err);
    viterbi v = {.run = run,
                 .model = run->tok->unigram,
                 .lattice = run->lattice,
                 .text = piece->data,
                 .bytes = piece->bytes,
                 .unknown_begin = SIZE_MAX};
    if (!status)
        v.lattice->score[0] = 0;
    for (size_t at = 0; !status && at < piece->bytes;) {
        size_t character = plim_utf8_length(piece->data[at]);
        status = step_on(&v, at, character, err);
        at += character;
        if (!status && v.reach == at)
            status = push_window(&v, at, err);
    }
    if (!status && v.unknown_begin != SIZE_MAX)
        status = push_unknown(&v, err);
    return status;
}
