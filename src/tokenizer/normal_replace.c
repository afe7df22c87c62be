/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepend and Replace.  What Prepend lays in front has the position of the first character; what
 * Replace puts in has that of the last character it takes out, or of the one before when it takes
 * none.  One byte for a few others, behind a prefix or not (Llama's " " for U+2581), is
 * a pass of its own that goes at the speed of memory. */
#include "tokenizer/normal.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

plim_status plim_normal_prepend(plim_normal_job *job, const plim_normal_step *step,
                                const plim_text *in, plim_text *out)
{
    plim_normal_writer w;
    size_t first;
    plim_normal_code(in->data, in->bytes, 0, &first);
    if (!step->bytes && !in->source) {
        job->head = job->head > first ? job->head : first;
        return PLIM_OK;
    }
    plim_status status = plim_normal_begin(&w, job, in, step->bytes + in->bytes);
    if (!status)
        status = plim_normal_put(&w, step->text, step->bytes, 0);
    if (!status && !step->bytes) { /* an empty one moves the first character before itself */
        status = plim_normal_put(&w, in->data, first, PLIM_NORMAL_BEFORE);
        w.from = first;
    }
    if (!status)
        status = plim_normal_copy(&w, w.from, in->bytes);
    if (!status)
        plim_normal_end(&w, out);
    return status;
}

/* ---- Replace ---- */

/* The next match at or after `from`: *begin = SIZE_MAX for none. */
static plim_status find_match(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, size_t from, size_t *begin, size_t *end)
{
    if (step->regex)
        return plim_regex_search(step->regex, &job->scratch->matcher, in->data, in->bytes, from,
                                 begin, end, job->err);
    const char *found = step->pattern_bytes ? memmem(in->data + from, in->bytes - from,
                                                     step->pattern, step->pattern_bytes)
                                            : in->data + from;
    *begin = found ? (size_t)(found - in->data) : SIZE_MAX;
    *end = found ? *begin + step->pattern_bytes : SIZE_MAX;
    return PLIM_OK;
}

/* The next match that counts: an empty one does not right behind the last. */
static plim_status next_match(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, size_t *from, size_t last_end, size_t *begin,
                              size_t *end)
{
    *begin = SIZE_MAX;
    while (*from <= in->bytes) {
        plim_status status = find_match(job, step, in, *from, begin, end);
        if (status || *begin == SIZE_MAX)
            return status;
        if (*begin != *end || *end != last_end) {
            *from = *end;
            return PLIM_OK;
        }
        size_t length = 1;
        if (*from < in->bytes)
            plim_normal_code(in->data, in->bytes, *from, &length);
        *from += length;
        *begin = SIZE_MAX;
    }
    return PLIM_OK;
}

plim_status plim_normal_replace(plim_normal_job *job, const plim_normal_step *step,
                                const plim_text *in, plim_text *out)
{
    size_t from = 0, done = 0, begin, end;
    plim_status status = next_match(job, step, in, &from, SIZE_MAX, &begin, &end);
    if (status || begin == SIZE_MAX)
        return status;
    plim_normal_writer w;
    status = plim_normal_begin(&w, job, in, in->bytes);
    while (!status && begin != SIZE_MAX) {
        if (!(status = plim_normal_copy(&w, done, begin)))
            status =
                plim_normal_put(&w, step->text, step->bytes, end ? end - 1 : PLIM_NORMAL_BEFORE);
        done = end;
        if (!status)
            status = next_match(job, step, in, &from, end, &begin, &end);
    }
    if (!status)
        status = plim_normal_copy(&w, done, in->bytes);
    if (!status)
        plim_normal_end(&w, out);
    return status;
}

/* ---- one byte ---- */

enum { BLOCK = 64, CHUNK = 4096 };

/* A bit for each of 64 bytes that is `byte`. */
static inline uint64_t places(const char *text, unsigned char byte)
{
    uint64_t mask = 0;
#if defined(__SSE2__)
    __m128i want = _mm_set1_epi8((char)byte);
    for (int i = 3; i >= 0; i--) {
        __m128i have = _mm_loadu_si128((const __m128i *)(const void *)(text + 16 * i));
        mask = mask << 16 | (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(have, want));
    }
#else
    const uint64_t low = 0x7F7F7F7F7F7F7F7Fu, ones = 0x0101010101010101u;
    for (int i = 7; i >= 0; i--) {
        uint64_t word;
        memcpy(&word, text + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        word ^= ones * byte;
        word = ~(((word & low) + low) | word | low); /* 0x80 where it was 0 */
        mask = mask << 8 | (word >> 7) * 0x0102040810204080u >> 56;
    }
#endif
    return mask;
}

/* Copy bytes, and up to 15 that stand behind them, to where there is room for those too. */
static inline char *copy_wide(char *to, const char *from, size_t bytes)
{
    memcpy(to, from, 16);
    for (size_t i = 16; i < bytes; i += 16)
        memcpy(to + i, from + i, 16);
    return to + bytes;
}

/* src[0, bytes), a multiple of BLOCK with 16 readable bytes behind, to dst; the end of it. */
static char *mark_up(char *dst, const char *src, size_t bytes, unsigned char byte, uint64_t text,
                     size_t text_bytes)
{
    for (size_t at = 0; at < bytes; at += BLOCK) {
        const char *from = src + at;
        for (uint64_t mask = places(from, byte); mask; mask &= mask - 1) {
            const char *found = src + at + __builtin_ctzll(mask);
            dst = copy_wide(dst, from, (size_t)(found - from));
            memcpy(dst, &text, 8);
            dst += text_bytes;
            from = found + 1;
        }
        dst = copy_wide(dst, from, (size_t)(src + at + BLOCK - from));
    }
    return dst;
}

/* All of `in` from `at`, untracked. */
static plim_status mark_up_rest(plim_normal_writer *w, const plim_normal_step *step, size_t at)
{
    const plim_text *in = w->in;
    uint64_t text = 0;
    memcpy(&text, step->text, step->bytes);
    while (at + BLOCK + 16 <= in->bytes) {
        size_t bytes = (in->bytes - 16 - at) / BLOCK * BLOCK;
        bytes = bytes < CHUNK ? bytes : CHUNK;
        size_t most = bytes * (step->bytes ? step->bytes : 1);
        plim_status status = plim_normal_room(w, most);
        if (status)
            return status;
        char *dst = w->out->data + w->used;
        w->used +=
            (size_t)(mark_up(dst, in->data + at, bytes, step->byte, text, step->bytes) - dst);
        at += bytes;
    }
    plim_status status = plim_normal_room(w, (in->bytes - at) * (step->bytes ? step->bytes : 1));
    if (status)
        return status;
    char *dst = w->out->data + w->used;
    for (; at < in->bytes; at++) {
        if ((unsigned char)in->data[at] == step->byte) {
            memcpy(dst, step->text, step->bytes);
            dst += step->bytes;
        } else {
            *dst++ = in->data[at];
        }
    }
    w->used = (size_t)(dst - w->out->data);
    return PLIM_OK;
}

static plim_status mark_up_tracked(plim_normal_writer *w, const plim_normal_step *step)
{
    const plim_text *in = w->in;
    plim_status status = PLIM_OK;
    for (size_t at = 0; !status && at < in->bytes;) {
        const char *found = memchr(in->data + at, step->byte, in->bytes - at);
        size_t end = found ? (size_t)(found - in->data) : in->bytes;
        status = plim_normal_copy(w, at, end);
        if (!status && found)
            status = plim_normal_put(w, step->text, step->bytes, end);
        at = end + 1;
    }
    return status;
}

plim_status plim_normal_markup(plim_normal_job *job, const plim_normal_step *step,
                               const plim_text *in, plim_text *out)
{
    plim_normal_writer w;
    if (!step->prefix_bytes && !memchr(in->data, step->byte, in->bytes))
        return PLIM_OK;
    plim_status status =
        plim_normal_begin(&w, job, in, step->prefix_bytes + in->bytes + in->bytes / 2);
    if (!status)
        status = plim_normal_put(&w, step->prefix, step->prefix_bytes, 0);
    if (!status && in->source) {
        status = mark_up_tracked(&w, step);
    } else if (!status) {
        size_t head = job->head;
        for (size_t i = 0; i < job->head; i++)
            head += (unsigned char)in->data[i] == step->byte ? step->bytes - 1 : 0;
        status = mark_up_rest(&w, step, 0);
        w.head += head;
    }
    if (!status)
        plim_normal_end(&w, out);
    return status;
}
