/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizers that look at one character at a time: what they keep has its own position, what they
 * put in has that of the character it came of. */
#include "tokenizer/normal.h"

void plim_normal_chars_prepare(plim_normal_step *step)
{
    switch (step->kind) {
    case PLIM_NORMAL_LOWERCASE:
        step->flags = PLIM_NORMAL_LOWER;
        break;
    case PLIM_NORMAL_STRIP_ACCENTS:
        step->flags = PLIM_NORMAL_MARK;
        break;
    case PLIM_NORMAL_STRIP_NONSPACING:
        step->flags = PLIM_NORMAL_NONSPACING;
        break;
    case PLIM_NORMAL_CLEAN:
        step->flags = PLIM_NORMAL_OTHER | PLIM_NORMAL_SPACE;
        break;
    case PLIM_NORMAL_SPACED_CHINESE:
        step->flags = PLIM_NORMAL_CHINESE;
        break;
    default:
        step->flags = PLIM_NORMAL_NMT_DROP | PLIM_NORMAL_NMT_SPACE;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        step->asked[byte] = byte >= 0x80 || (plim_normal_of(byte)->flags & step->flags);
    if (step->kind == PLIM_NORMAL_CLEAN)
        step->asked[' '] = 0;
    for (unsigned byte = 0; step->kind == PLIM_NORMAL_BYTE_LEVEL && byte < 256; byte++)
        step->asked[byte] = byte <= ' ' || byte >= 0x7F;
}

static uint32_t lower(uint32_t code)
{
    size_t low = 0, high = plim_normal_lower_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const plim_normal_lower *run = &plim_normal_lowers[middle];
        if (code < run->first)
            high = middle;
        else if (code - run->first >= run->count)
            low = middle + 1;
        else
            return (code - run->first) % run->step ? code : (uint32_t)((int32_t)code + run->delta);
    }
    return code;
}

static plim_status put_code(plim_normal_writer *w, uint32_t code, size_t at)
{
    char text[4];
    return plim_normal_put(w, text, plim_utf8_encode(code, text), at);
}

/* The character at in[at], which changes. */
static plim_status put_changed(plim_normal_writer *w, const plim_normal_step *step, uint32_t code,
                               size_t at, size_t length)
{
    unsigned flags = plim_normal_of(code)->flags;
    plim_status status = PLIM_OK;
    switch (step->kind) {
    case PLIM_NORMAL_LOWERCASE:
        return code == 0x130 ? plim_normal_put(w, "i\xCC\x87", 3, at)
                             : put_code(w, lower(code), at);
    case PLIM_NORMAL_CLEAN:
        return flags & PLIM_NORMAL_OTHER ? PLIM_OK : plim_normal_put(w, " ", 1, at);
    case PLIM_NORMAL_NMT:
        return flags & PLIM_NORMAL_NMT_DROP ? PLIM_OK : plim_normal_put(w, " ", 1, at);
    case PLIM_NORMAL_SPACED_CHINESE: {
        char text[6] = " ";
        memcpy(text + 1, w->in->data + at, length);
        text[length + 1] = ' ';
        return plim_normal_put(w, text, length + 2, at);
    }
    case PLIM_NORMAL_BYTE_LEVEL:
        for (size_t i = 0; !status && i < length; i++) {
            char text[2];
            unsigned bytes = plim_alphabet_encode((unsigned char)w->in->data[at + i], text);
            status = plim_normal_put(w, text, bytes, at);
        }
        return status;
    default: /* accents */
        return PLIM_OK;
    }
}

/* The next character at or after `at` that changes: its place (in->bytes: none), code, length. */
static size_t find_changed(const plim_normal_step *step, const plim_text *in, size_t at,
                           uint32_t *code, size_t *length)
{
    const unsigned char *s = (const unsigned char *)in->data;
    bool any = step->kind == PLIM_NORMAL_BYTE_LEVEL;
    while (at < in->bytes) {
        while (at + 4 <= in->bytes && !(step->asked[s[at]] | step->asked[s[at + 1]] |
                                        step->asked[s[at + 2]] | step->asked[s[at + 3]]))
            at += 4;
        while (at < in->bytes && !step->asked[s[at]])
            at++;
        if (at == in->bytes)
            break;
        *code = plim_normal_code(in->data, in->bytes, at, length);
        if (any || (plim_normal_of(*code)->flags & step->flags))
            break;
        at += *length;
    }
    return at;
}

plim_status plim_normal_chars(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, plim_text *out)
{
    uint32_t code = 0;
    size_t length = 0, done = 0, at = find_changed(step, in, 0, &code, &length);
    if (at == in->bytes)
        return PLIM_OK;
    plim_normal_writer w;
    plim_status status = plim_normal_begin(&w, job, in, in->bytes);
    while (!status && at < in->bytes) {
        if (!(status = plim_normal_copy(&w, done, at)))
            status = put_changed(&w, step, code, at, length);
        done = at + length;
        at = find_changed(step, in, done, &code, &length);
    }
    if (!status)
        status = plim_normal_copy(&w, done, in->bytes);
    if (!status)
        plim_normal_end(&w, out);
    return status;
}

/* ---- Strip: a part of the text, nothing is copied ---- */

static bool is_space(const plim_text *in, size_t at, size_t *length)
{
    return plim_normal_of(plim_normal_code(in->data, in->bytes, at, length))->flags &
           PLIM_NORMAL_SPACE;
}

plim_status plim_normal_strip(plim_normal_job *job, const plim_normal_step *step,
                              const plim_text *in, plim_text *out)
{
    size_t begin = 0, end = in->bytes, length;
    while (step->left && begin < end && is_space(in, begin, &length))
        begin += length;
    while (step->right && begin < end) {
        size_t at = end - 1;
        while (at > begin && ((unsigned char)in->data[at] & 0xC0) == 0x80)
            at--;
        if (!is_space(in, at, &length))
            break;
        end = at;
    }
    size_t readable = in->readable > in->bytes ? in->readable : in->bytes;
    *out = (plim_text){.data = in->data + begin,
                       .bytes = end - begin,
                       .source = in->source ? in->source + begin : NULL,
                       .readable = readable - begin};
    job->head = job->head > begin ? job->head - begin : 0;
    return PLIM_OK;
}
