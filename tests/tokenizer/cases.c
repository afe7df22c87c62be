/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading cases, and an allocator that counts and fails: shared by the tokenizer's tests. */
#include "tokenizer/cases.h"

#include <stdlib.h>
#include <string.h>

static plim_status take_text(plim_json *json, tok_text *out, plim_error *err)
{
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    plim_status status = plim_grow(plim_alloc_system(), &out->at, &out->cap, bytes + 1, 1, err);
    if (status)
        return status;
    memcpy(out->at, text, bytes);
    out->at[bytes] = 0;
    out->bytes = bytes;
    return PLIM_OK;
}

static plim_status take_ids(plim_json *json, tok_ids *out, plim_error *err)
{
    out->count = 0;
    for (;;) {
        plim_json_event event;
        int64_t id;
        plim_status status = plim_json_next(json, &event, err);
        if (status || event == PLIM_JSON_ARRAY_END)
            return status;
        if ((status = plim_json_i64(json, "an id", INT32_MIN, INT32_MAX, &id, err)) ||
            (status = plim_grow(plim_alloc_system(), &out->at, &out->cap, out->count + 1,
                                sizeof *out->at, err)))
            return status;
        out->at[out->count++] = (int32_t)id;
    }
}

plim_status tok_value(const char *line, size_t bytes, tok_text *text, tok_ids *ids, bool *is_text,
                      plim_error *err)
{
    plim_json *json;
    plim_json_event event;
    plim_status status =
        plim_json_open_memory(&json, plim_alloc_system(), line, bytes, "line", NULL, err);
    if (status)
        return status;
    status = plim_json_next(json, &event, err);
    *is_text = event == PLIM_JSON_STRING;
    if (!status && *is_text)
        status = take_text(json, text, err);
    else if (!status && event == PLIM_JSON_ARRAY)
        status = take_ids(json, ids, err);
    else if (!status)
        status = plim_fail(err, PLIM_E_USAGE, "a line must be a string or an array");
    plim_json_close(&json);
    return status;
}

static plim_status take_field(plim_json *json, tok_case *c, unsigned *seen, plim_error *err)
{
    static const char *const names[] = {"text", "decoded", "decoded_skip",
                                        "ids",  "plain",   "offsets"};
    tok_text *texts[] = {&c->text, &c->decoded, &c->decoded_skip};
    tok_ids *ids[] = {&c->ids, &c->plain, &c->offsets};
    for (unsigned i = 0; i < 6; i++) {
        plim_json_event event;
        if (!plim_json_text_is(json, names[i]))
            continue;
        *seen |= 1u << i;
        plim_status status = plim_json_next(json, &event, err);
        if (status)
            return status;
        return i < 3 ? take_text(json, texts[i], err) : take_ids(json, ids[i - 3], err);
    }
    return plim_json_skip(json, err);
}

bool tok_case_next(tok_case *c, const char **at, const char *end)
{
    plim_error err = {0};
    if (*at == end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *stop = newline ? newline : end;
    plim_json *json;
    plim_json_event event;
    unsigned seen = 0;
    plim_status status = plim_json_open_memory(&json, plim_alloc_system(), *at,
                                               (size_t)(stop - *at), "cases", NULL, &err);
    if (!status)
        status = plim_json_next(json, &event, &err);
    while (!status && !(status = plim_json_next(json, &event, &err)) && event == PLIM_JSON_KEY)
        status = take_field(json, c, &seen, &err);
    c->has_offsets = seen & 32;
    if (status || (seen & 31) != 31)
        abort(); /* the cases themselves are broken */
    plim_json_close(&json);
    *at = newline ? newline + 1 : end;
    return true;
}

void tok_case_free(tok_case *c)
{
    const plim_alloc *alloc = plim_alloc_system();
    plim_delete(alloc, c->text.at);
    plim_delete(alloc, c->decoded.at);
    plim_delete(alloc, c->decoded_skip.at);
    plim_delete(alloc, c->ids.at);
    plim_delete(alloc, c->plain.at);
    plim_delete(alloc, c->offsets.at);
    memset(c, 0, sizeof *c);
}

plim_status tok_encode(const plim_tok *tok, const plim_alloc *alloc, const char *text, size_t bytes,
                       bool add_special, int32_t **ids, size_t *count, plim_error *err)
{
    plim_tok_request request = {.add_special = add_special};
    plim_tok_encoding found = {0};
    plim_tok_scratch *scratch;
    *ids = NULL;
    *count = 0;
    plim_status status = plim_tok_scratch_open(&scratch, tok, alloc, err);
    if (!status)
        status = plim_tok_encode(scratch, text, bytes, &request, &found, err);
    if (!status && found.count) {
        *ids = plim_new(alloc, found.count, sizeof **ids, err);
        if (*ids) {
            memcpy(*ids, found.ids, found.count * sizeof **ids);
            *count = found.count;
        } else {
            status = err ? err->code : PLIM_E_NOMEM;
        }
    }
    plim_tok_scratch_close(&scratch);
    return status;
}

plim_status tok_stream(const plim_tok *tok, const int32_t *ids, size_t n, bool skip, tok_text *out,
                       plim_error *err)
{
    plim_tok_decoder decoder;
    plim_status status = PLIM_OK;
    out->bytes = 0;
    plim_tok_decoder_init(&decoder, tok, plim_alloc_system(), skip);
    for (size_t i = 0; !status && i <= n; i++) {
        const char *text;
        size_t bytes;
        status = i < n ? plim_tok_decoder_push(&decoder, ids[i], &text, &bytes, err)
                       : plim_tok_decoder_flush(&decoder, &text, &bytes, err);
        if (!status)
            status =
                plim_grow(plim_alloc_system(), &out->at, &out->cap, out->bytes + bytes + 1, 1, err);
        if (!status) {
            memcpy(out->at + out->bytes, text, bytes);
            out->bytes += bytes;
        }
    }
    plim_tok_decoder_free(&decoder);
    return status;
}

/* ---- an allocator that counts ---- */

typedef struct header {
    size_t bytes, pad;
} header;

static void *count_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    counting *c = self->user;
    c->calls++;
    if (c->fail_at && (c->calls == c->fail_at || (c->fail_after && c->calls > c->fail_at))) {
        plim_fail(err, PLIM_E_BUDGET, "told to fail");
        return NULL;
    }
    header *h = calloc(1, sizeof *h + bytes);
    if (!h)
        abort();
    h->bytes = bytes;
    c->held += bytes;
    c->blocks++;
    c->peak = c->held > c->peak ? c->held : c->peak;
    return h + 1;
}

static void count_free(const plim_alloc *self, void *ptr)
{
    counting *c = self->user;
    if (!ptr)
        return;
    header *h = (header *)ptr - 1;
    c->held -= h->bytes;
    c->blocks--;
    free(h);
}

static void *count_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    void *to = count_alloc(self, bytes, err);
    if (to && ptr) {
        size_t had = ((header *)ptr - 1)->bytes;
        memcpy(to, ptr, had < bytes ? had : bytes);
        count_free(self, ptr);
    }
    return to;
}

void counting_init(counting *c)
{
    memset(c, 0, sizeof *c);
    c->alloc = (plim_alloc){count_alloc, count_free, count_resize, c};
}
