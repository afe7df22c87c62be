/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenizer: a list of steps, each of which hands the pieces it makes to the next as it
 * makes them, so that no list of pieces is ever held.  The calls nest as deep as the file has steps
 * (16 at most), whatever the text.  Each step sees a piece as a text of its own: no pattern looks
 * beyond it. */
#include <string.h>

#include "tokenizer/internal.h"

static plim_status run_step(plim_run *run, unsigned index, const char *text, size_t bytes,
                            plim_error *err);

/* A split in progress: matches and what lies between them come in order, pieces go out. */
typedef struct splitter {
    plim_run *run;
    unsigned index;
    plim_behavior behavior;
    const char *text;
    bool previous; /* the part before was a match */
    bool held;     /* [begin, end) waits for what comes */
    size_t begin, end;
} splitter;

static plim_status emit(splitter *s, size_t begin, size_t end, plim_error *err)
{
    return begin == end ? PLIM_OK
                        : run_step(s->run, s->index + 1, s->text + begin, end - begin, err);
}

static plim_status release(splitter *s, plim_error *err)
{
    bool held = s->held;
    s->held = false;
    return held ? emit(s, s->begin, s->end, err) : PLIM_OK;
}

static plim_status hold(splitter *s, size_t begin, size_t end, plim_error *err)
{
    plim_status status = release(s, err);
    s->held = true;
    s->begin = begin;
    s->end = end;
    return status;
}

static plim_status take_part(splitter *s, size_t begin, size_t end, bool match, plim_error *err)
{
    bool previous = s->previous;
    s->previous = match;
    switch (s->behavior) {
    case PLIM_SPLIT_REMOVED:
        return match ? PLIM_OK : emit(s, begin, end, err);
    case PLIM_SPLIT_CONTIGUOUS:
        if (s->held && match == previous) {
            s->end = end;
            return PLIM_OK;
        }
        return hold(s, begin, end, err);
    case PLIM_SPLIT_MERGED_WITH_PREVIOUS:
        if (s->held && match && !previous) {
            s->end = end;
            return PLIM_OK;
        }
        return hold(s, begin, end, err);
    case PLIM_SPLIT_MERGED_WITH_NEXT: /* only a match waits */
        if (match)
            return hold(s, begin, end, err);
        if (s->held) {
            s->held = false;
            begin = s->begin;
        }
        return emit(s, begin, end, err);
    default:
        return emit(s, begin, end, err);
    }
}

static size_t next_character(const char *text, size_t bytes, size_t at)
{
    do
        at++;
    while (at < bytes && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* All matches as the onig crate's find_iter gives them: no empty match right behind another. */
static plim_status split(plim_run *run, unsigned index, const char *text, size_t bytes,
                         plim_error *err)
{
    const plim_step *step = &run->tok->steps[index];
    splitter s = {.run = run, .index = index, .behavior = step->behavior, .text = text};
    size_t from = 0, last_match = SIZE_MAX, covered = 0;
    plim_status status = PLIM_OK;
    while (from <= bytes) {
        size_t begin, end;
        if ((status = plim_regex_search(step->regex, &run->matcher, text, bytes, from, &begin, &end,
                                        err)))
            return status;
        if (begin == SIZE_MAX)
            break;
        if (begin == end && end == last_match) {
            from = next_character(text, bytes, from);
            continue;
        }
        from = last_match = end;
        if (covered != begin && (status = take_part(&s, covered, begin, step->invert, err)))
            return status;
        if ((status = take_part(&s, begin, end, !step->invert, err)))
            return status;
        covered = end;
    }
    if (covered != bytes)
        status = take_part(&s, covered, bytes, step->invert, err);
    return status ? status : release(&s, err);
}

static plim_status prefix_space(plim_run *run, unsigned index, const char *text, size_t bytes,
                                plim_error *err)
{
    if (text[0] == ' ')
        return run_step(run, index + 1, text, bytes, err);
    plim_buffer *buffer = &run->step[index];
    plim_status status = plim_grow(run->alloc, &buffer->data, &buffer->cap, bytes + 1, 1, err);
    if (status)
        return status;
    buffer->data[0] = ' ';
    memcpy(buffer->data + 1, text, bytes);
    return run_step(run, index + 1, buffer->data, bytes + 1, err);
}

static plim_status to_alphabet(plim_run *run, plim_buffer *buffer, const char *text, size_t bytes,
                               size_t *out_bytes, plim_error *err)
{
    plim_status status = plim_grow(run->alloc, &buffer->data, &buffer->cap, 2 * bytes + 1, 1, err);
    if (status)
        return status;
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++)
        used += plim_alphabet_encode((unsigned char)text[i], buffer->data + used);
    *out_bytes = used;
    return PLIM_OK;
}

/* A piece in the alphabet back to bytes: the model works on bytes. */
static plim_status from_alphabet(plim_run *run, const char *text, size_t bytes, plim_error *err)
{
    plim_status status =
        plim_grow(run->alloc, &run->bytes.data, &run->bytes.cap, bytes + 1, 1, err);
    if (status)
        return status;
    size_t used = 0;
    for (size_t i = 0; i < bytes;) {
        unsigned char byte = 0;
        unsigned length = plim_alphabet_decode(text + i, bytes - i, &byte);
        run->bytes.data[used++] = (char)byte;
        i += length ? length : 1;
    }
    return plim_bpe_piece(run, run->bytes.data, used, err);
}

static plim_status run_step(plim_run *run, unsigned index, const char *text, size_t bytes,
                            plim_error *err)
{
    const plim_tok *tok = run->tok;
    if (bytes == 0)
        return PLIM_OK;
    if (index == tok->step_count)
        return tok->alphabet_last ? plim_bpe_piece(run, text, bytes, err)
                                  : from_alphabet(run, text, bytes, err);
    switch (tok->steps[index].kind) {
    case PLIM_STEP_PREFIX_SPACE:
        return prefix_space(run, index, text, bytes, err);
    case PLIM_STEP_ALPHABET: {
        plim_buffer *buffer = &run->step[index];
        size_t length;
        plim_status status = to_alphabet(run, buffer, text, bytes, &length, err);
        return status ? status : run_step(run, index + 1, buffer->data, length, err);
    }
    default:
        return split(run, index, text, bytes, err);
    }
}

plim_status plim_pretokenize(plim_run *run, const char *text, size_t bytes, plim_error *err)
{
    return run_step(run, 0, text, bytes, err);
}
