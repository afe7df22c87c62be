/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenizer: a list of steps, each of which hands the pieces it makes to the next as it
 * makes them, so that no list of pieces is ever held.  The calls nest as deep as the file has steps
 * (16 at most), whatever the text.  Each step sees a piece as a text of its own: no pattern looks
 * beyond it. */
#include <string.h>

#include "tokenizer/pretokenize.h"
#include "tokenizer/split_ascii.h"

static plim_status run_step(plim_run *run, unsigned index, const plim_text *text, plim_error *err);

/* A piece goes to the model without a change of spelling. */
static bool as_it_is(const plim_run *run)
{
    const plim_pretokenizer *p = run->tok->pretokenizer;
    return !p->byte_level || p->spelled != run->tok->byte_pieces;
}

/* ---- parts that are joined ---- */

/* Parts come in order, pieces go out. */
typedef struct joiner {
    plim_run *run;
    unsigned index;
    const plim_step *step;
    const plim_text *text;
    bool previous; /* the part before was a match */
    bool held;     /* [begin, end) waits for what comes */
    size_t begin, end;
} joiner;

static plim_status emit(joiner *j, size_t begin, size_t end, plim_error *err)
{
    if (begin == end)
        return PLIM_OK;
    plim_text piece = plim_text_part(j->text, begin, end);
    return run_step(j->run, j->index + 1, &piece, err);
}

static plim_status release(joiner *j, plim_error *err)
{
    bool held = j->held;
    j->held = false;
    return held ? emit(j, j->begin, j->end, err) : PLIM_OK;
}

static plim_status hold(joiner *j, size_t begin, size_t end, plim_error *err)
{
    plim_status status = release(j, err);
    j->held = true;
    j->begin = begin;
    j->end = end;
    return status;
}

static plim_status take_part(joiner *j, size_t begin, size_t end, bool match, plim_error *err)
{
    bool previous = j->previous;
    j->previous = match;
    switch (j->step->merge) {
    case PLIM_MERGE_CONTIGUOUS:
        if (j->held && match == previous) {
            j->end = end;
            return PLIM_OK;
        }
        return hold(j, begin, end, err);
    case PLIM_MERGE_WITH_PREVIOUS:
        if (j->held && match && !previous) {
            j->end = end;
            return PLIM_OK;
        }
        return hold(j, begin, end, err);
    default: /* only a match waits */
        if (match)
            return hold(j, begin, end, err);
        if (j->held) {
            j->held = false;
            begin = j->begin;
        }
        return emit(j, begin, end, err);
    }
}

static plim_status merge(plim_run *run, unsigned index, const plim_step *step,
                         const plim_text *text, plim_error *err)
{
    joiner j = {.run = run, .index = index, .step = step, .text = text};
    plim_cutter cutter = plim_cutter_of(text->data, text->bytes, &run->matcher);
    plim_cut cuts[PLIM_CUTS];
    size_t begin = 0, count;
    for (;;) {
        plim_status status = step->scan.fill(&step->scan, &cutter, cuts, &count, err);
        if (status || !count)
            return status ? status : release(&j, err);
        for (size_t i = 0; i < count; i++) {
            size_t end = (size_t)(cuts[i] >> 1);
            if ((status = take_part(&j, begin, end, (cuts[i] & 1) != step->invert, err)))
                return status;
            begin = end;
        }
    }
}

/* ---- parts as they are ---- */

/* The steps of the tail have nothing to do. */
static inline bool tail_idle(const plim_pretokenizer *p, const plim_text *piece)
{
    const unsigned char *text = (const unsigned char *)piece->data;
#ifdef __SSE2__
    if (p->tail_digits && piece->bytes <= 16 && piece->readable >= 16) {
        __m128i bytes = plim_load_16(text);
        unsigned wanted = plim_bytes_in(bytes, '0', 9) | (unsigned)_mm_movemask_epi8(bytes);
        if (!(wanted << (16 - piece->bytes) & 0xFFFF))
            return true;
    }
#endif
    for (size_t i = 0; i < piece->bytes; i++)
        if (p->tail_bytes[text[i]])
            return false;
    return true;
}

static plim_status cut(plim_run *run, unsigned index, const plim_step *step, const plim_text *text,
                       plim_error *err)
{
    const plim_pretokenizer *p = run->tok->pretokenizer;
    bool last = index + 1 == p->count && as_it_is(run);
    bool before_tail = index + 1 == p->tail && !last && as_it_is(run);
    plim_cutter cutter = plim_cutter_of(text->data, text->bytes, &run->matcher);
    plim_cut cuts[PLIM_CUTS];
    size_t begin = 0, count;
    for (;;) {
        plim_status status = step->scan.fill(&step->scan, &cutter, cuts, &count, err);
        if (status || !count)
            return status;
        for (size_t i = 0; i < count; i++) {
            size_t end = (size_t)(cuts[i] >> 1);
            if (step->keep >> (cuts[i] & 1) & 1 && end > begin) {
                plim_text piece = plim_text_part(text, begin, end);
                status = last || (before_tail && tail_idle(p, &piece))
                             ? plim_model_piece(run, &piece, err)
                             : run_step(run, index + 1, &piece, err);
                if (status)
                    return status;
            }
            begin = end;
        }
        if (begin == text->bytes && count < PLIM_CUTS - 1)
            return PLIM_OK; /* a batch that is not full is the last */
    }
}

/* ---- new text ---- */

/* The bytes of a character that is put before text: it stands for the first character there, whose
 * bytes all have the range of its last one. */
static size_t put_before(const plim_text *text, plim_buffer *buffer, const char *put, size_t bytes)
{
    memcpy(buffer->data, put, bytes);
    for (size_t i = 0; text->source && i < bytes; i++)
        buffer->source[i] = text->source[0];
    return bytes;
}

static plim_text made_text(const plim_text *from, const plim_buffer *buffer, size_t bytes)
{
    return (plim_text){.data = buffer->data,
                       .bytes = bytes,
                       .source = from->source ? buffer->source : NULL,
                       .at_start = from->at_start,
                       .readable = buffer->cap};
}

static plim_status prefix_space(plim_run *run, unsigned index, const plim_text *text,
                                plim_error *err)
{
    if (text->data[0] == ' ')
        return run_step(run, index + 1, text, err);
    plim_buffer *buffer = &run->step[index];
    plim_status status = plim_buffer_reserve(run, buffer, text->bytes + 1, err);
    if (status)
        return status;
    size_t used = put_before(text, buffer, " ", 1);
    memcpy(buffer->data + used, text->data, text->bytes);
    if (text->source)
        memcpy(buffer->source + used, text->source, text->bytes * sizeof *text->source);
    plim_text made = made_text(text, buffer, used + text->bytes);
    return run_step(run, index + 1, &made, err);
}

/* `text` in the alphabet. */
static plim_status spell(plim_run *run, plim_buffer *buffer, const plim_text *text, plim_text *out,
                         plim_error *err)
{
    plim_status status = plim_buffer_reserve(run, buffer, 2 * text->bytes, err);
    if (status)
        return status;
    size_t used = 0;
    for (size_t i = 0; i < text->bytes; i++) {
        unsigned length = plim_alphabet_encode((unsigned char)text->data[i], buffer->data + used);
        for (unsigned k = 0; text->source && k < length; k++)
            buffer->source[used + k] = text->source[i];
        used += length;
    }
    *out = made_text(text, buffer, used);
    return PLIM_OK;
}

/* `text`, which is in the alphabet, as the bytes that it spells. */
static plim_status unspell(plim_run *run, plim_buffer *buffer, const plim_text *text,
                           plim_text *out, plim_error *err)
{
    plim_status status = plim_buffer_reserve(run, buffer, text->bytes, err);
    if (status)
        return status;
    size_t used = 0;
    for (size_t i = 0; i < text->bytes;) {
        unsigned char byte = 0;
        unsigned length = plim_alphabet_decode(text->data + i, text->bytes - i, &byte);
        if (text->source)
            buffer->source[used] = text->source[i];
        buffer->data[used++] = (char)byte;
        i += length ? length : 1;
    }
    *out = made_text(text, buffer, used);
    return PLIM_OK;
}

/* A piece to the model: in bytes where that is what the model knows, else spelled. */
static plim_status deliver(plim_run *run, const plim_text *text, plim_error *err)
{
    if (as_it_is(run))
        return plim_model_piece(run, text, err);
    plim_text made;
    plim_status status = run->tok->pretokenizer->spelled
                             ? unspell(run, &run->bytes, text, &made, err)
                             : spell(run, &run->bytes, text, &made, err);
    return status ? status : plim_model_piece(run, &made, err);
}

static bool needs_mark(const plim_step *step, const plim_text *text)
{
    if (step->prepend == PLIM_PREPEND_NEVER ||
        (step->prepend == PLIM_PREPEND_FIRST && !text->at_start))
        return false;
    return text->data[0] != ' ' && (text->bytes < step->mark_bytes ||
                                    memcmp(text->data, step->mark, step->mark_bytes) != 0);
}

enum { SHORT_TEXT = 64 };

/* The text with a mark for each space; room for 16 bytes behind it. */
static size_t put_marks(const plim_step *step, const plim_text *text, char *out)
{
    const unsigned char *p = (const unsigned char *)text->data, *end = p + text->bytes;
    char *q = out;
    for (;;) {
#ifdef __SSE2__
        while (end - p >= 16) {
            __m128i bytes = plim_load_16(p);
            unsigned spaces = plim_bytes_in(bytes, ' ', 0);
            _mm_storeu_si128((__m128i *)(void *)q, bytes);
            unsigned count = spaces ? (unsigned)__builtin_ctz(spaces) : 16;
            p += count;
            q += count;
            if (spaces)
                break;
        }
#endif
        while (p < end && *p != ' ')
            *q++ = (char)*p++;
        if (p == end)
            return (size_t)(q - out);
        memcpy(q, step->mark, sizeof step->mark);
        q += step->mark_bytes;
        p++;
    }
}

/* The same for the sources. */
static void put_mark_sources(const plim_step *step, const plim_text *text, plim_source *out)
{
    for (size_t i = 0; i < text->bytes; i++)
        for (unsigned k = text->data[i] == ' ' ? step->mark_bytes : 1; k; k--)
            *out++ = text->source[i];
}

static plim_status metaspace(plim_run *run, unsigned index, const plim_step *step,
                             const plim_text *text, plim_error *err)
{
    plim_buffer *buffer = &run->step[index];
    size_t width = step->mark_bytes, used = 0, spaces = 0;
    for (size_t i = 0; i < text->bytes; i++)
        spaces += text->data[i] == ' ';
    plim_status status =
        plim_buffer_reserve(run, buffer, text->bytes + spaces * (width - 1) + width + 16, err);
    if (status)
        return status;
    if (needs_mark(step, text))
        used = put_before(text, buffer, step->mark, width);
    if (text->source)
        put_mark_sources(step, text, buffer->source + used);
    size_t begin = used;
    used += put_marks(step, text, buffer->data + used);
    plim_text made = made_text(text, buffer, used);
    bool one = step->splits && !spaces && text->bytes <= SHORT_TEXT && /* a word */
               !memchr(buffer->data + begin, step->mark[0], used - begin);
    return run_step(run, index + 1 + one, &made, err);
}

/* ---- the way through ---- */

/* text is not empty. */
static plim_status run_step(plim_run *run, unsigned index, const plim_text *text, plim_error *err)
{
    const plim_pretokenizer *p = run->tok->pretokenizer;
    if (index == p->count)
        return deliver(run, text, err);
    const plim_step *step = &p->steps[index];
    switch (step->kind) {
    case PLIM_STEP_CUT:
        return cut(run, index, step, text, err);
    case PLIM_STEP_MERGE:
        return merge(run, index, step, text, err);
    case PLIM_STEP_PREFIX_SPACE:
        return prefix_space(run, index, text, err);
    case PLIM_STEP_ALPHABET: {
        plim_text made;
        plim_status status = spell(run, &run->step[index], text, &made, err);
        return status ? status : run_step(run, index + 1, &made, err);
    }
    default:
        return metaspace(run, index, step, text, err);
    }
}

plim_status plim_pretokenize(plim_run *run, const plim_text *text, plim_error *err)
{
    if (!text->bytes)
        return PLIM_OK;
    if (!run->tok->pretokenizer)
        return plim_model_piece(run, text, err);
    return run_step(run, 0, text, err);
}
