/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers and streaming decoders.  Owns the scratch that encoding takes: one is kept per
 * tokenizer between calls, calls that meet open their own. */
#include <assert.h>
#include <string.h>

#include "api/handles.h"

#define KEPT_TEXT_BYTES ((size_t)1 << 20) /* buffers that a longer text took are given back */

static_assert(sizeof(plim_span) == sizeof(plim_tok_span) &&
                  offsetof(plim_span, end) == offsetof(plim_tok_span, end),
              "spans are copied as they are");

plim_tokenizer *plim_tokenizer_ref(plim_tokenizer *tokenizer)
{
    atomic_fetch_add(&tokenizer->refs, 1);
    return tokenizer;
}

plim_status plim_find_folder(char *folder, size_t cap, const char *path, const char *subfolder,
                             plim_error *err)
{
    bool is_file;
    plim_status status = plim_path_find_file(&is_file, path, err);
    if (status)
        return status;
    if (is_file) {
        const char *slash = strrchr(path, '/');
        size_t bytes = slash ? (size_t)(slash - path) + (slash == path) : 1; /* ".", or "/" */
        if (bytes + 1 > cap)
            return plim_fail(err, PLIM_E_LIMIT, "the path is too long");
        memcpy(folder, slash ? path : ".", bytes);
        folder[bytes] = 0;
        return PLIM_OK;
    }
    if (subfolder && *subfolder) {
        if (!plim_path_is_inside(subfolder))
            return plim_fail(err, PLIM_E_UNSAFE, "subfolder '%s' would leave the model's folder",
                             subfolder);
        return plim_path_join(folder, cap, path, subfolder, err);
    }
    size_t bytes = strlen(path);
    if (bytes + 1 > cap)
        return plim_fail(err, PLIM_E_LIMIT, "the path is too long");
    memcpy(folder, path, bytes + 1);
    return PLIM_OK;
}

plim_status plim_tokenizer_open(plim_tokenizer **out, plim_context *context, const char *name,
                                const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_error local;
    char path[4096], folder[4096];
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status;
    if ((status = plim_model_options_take(&o, options, err)) ||
        (status = plim_resolve(path, sizeof path, name, &o, err)) ||
        (status = plim_find_folder(folder, sizeof folder, path, o.subfolder, err)))
        return status;
    plim_tokenizer *t = plim_new(plim_context_alloc(context), 1, sizeof *t, err);
    if (!t)
        return err->code;
    t->refs = 1;
    t->context = plim_context_ref(context);
    pthread_mutex_init(&t->lock, NULL);
    status = plim_tok_open(&t->tok, plim_ledger_alloc(context->ledger, PLIM_MEM_TOKENIZER), folder,
                           &context->log, err);
    if (status)
        plim_tokenizer_close(&t);
    *out = t;
    return status;
}

void plim_tokenizer_close(plim_tokenizer **tokenizer)
{
    plim_tokenizer *t = tokenizer ? *tokenizer : NULL;
    if (!t)
        return;
    *tokenizer = NULL;
    if (atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    plim_context *context = t->context;
    plim_tok_scratch_close(&t->idle);
    plim_tok_close(&t->tok);
    pthread_mutex_destroy(&t->lock);
    plim_delete(plim_context_alloc(context), t);
    plim_context_close(&context);
}

/* The idle scratch, or a new one. */
static plim_status take_scratch(plim_tokenizer *t, plim_tok_scratch **out, plim_error *err)
{
    pthread_mutex_lock(&t->lock);
    *out = t->idle;
    t->idle = NULL;
    pthread_mutex_unlock(&t->lock);
    if (*out)
        return PLIM_OK;
    return plim_tok_scratch_open(out, t->tok,
                                 plim_ledger_alloc(t->context->ledger, PLIM_MEM_TOKENIZER), err);
}

static void give_scratch(plim_tokenizer *t, plim_tok_scratch *scratch, size_t bytes)
{
    if (bytes <= KEPT_TEXT_BYTES) {
        pthread_mutex_lock(&t->lock);
        plim_tok_scratch *other = t->idle;
        t->idle = scratch;
        scratch = other;
        pthread_mutex_unlock(&t->lock);
    }
    plim_tok_scratch_close(&scratch);
}

/* Ascending, disjoint, inside the text; *empty of them hold no byte. */
static plim_status check_literal(const plim_encode_options *o, size_t bytes, size_t *empty,
                                 plim_error *err)
{
    size_t at = 0;
    *empty = 0;
    for (size_t i = 0; i < o->literal_count; i++) {
        const plim_span *s = &o->literal[i];
        if (s->begin < at || s->end < s->begin || s->end > bytes)
            return plim_fail(err, PLIM_E_USAGE,
                             "literal range %zu is %zu..%zu, want ascending ones within %zu bytes",
                             i, s->begin, s->end, bytes);
        at = s->end;
        *empty += s->begin == s->end;
    }
    return PLIM_OK;
}

/* The ranges that hold a byte, in memory of `alloc`. */
static plim_status drop_empty(const plim_alloc *alloc, plim_tok_request *request, size_t empty,
                              plim_tok_span **own, plim_error *err)
{
    *own = plim_new(alloc, request->literal_count - empty, sizeof **own, err);
    if (!*own)
        return err->code;
    size_t n = 0;
    for (size_t i = 0; i < request->literal_count; i++)
        if (request->literal[i].begin < request->literal[i].end)
            (*own)[n++] = request->literal[i];
    request->literal = *own;
    request->literal_count = n;
    return PLIM_OK;
}

/* What the scratch holds, as the caller's. */
static plim_status copy_encoding(plim_encoding *out, const plim_tok_encoding *found, bool offsets,
                                 plim_error *err)
{
    const plim_alloc *system = plim_alloc_system();
    if (!found->count)
        return PLIM_OK;
    out->ids = plim_new(system, found->count, sizeof *out->ids, err);
    if (out->ids && offsets)
        out->spans = plim_new(system, found->count, sizeof *out->spans, err);
    if (!out->ids || (offsets && !out->spans)) {
        plim_encoding_free(out);
        return err->code;
    }
    memcpy(out->ids, found->ids, found->count * sizeof *out->ids);
    if (offsets)
        memcpy(out->spans, found->spans, found->count * sizeof *out->spans);
    out->count = found->count;
    return PLIM_OK;
}

plim_status plim_tokenizer_encode_with(plim_tokenizer *t, const char *text, size_t bytes,
                                       const plim_encode_options *options, plim_encoding *out,
                                       plim_error *err)
{
    plim_encode_options o;
    plim_error local;
    plim_tok_scratch *scratch;
    plim_tok_encoding found = {0};
    plim_tok_span *own = NULL;
    size_t empty;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = (plim_encoding){0};
    plim_status status = plim_encode_options_take(&o, options, err);
    if (!status)
        status = check_literal(&o, bytes, &empty, err);
    if (!status)
        status = take_scratch(t, &scratch, err);
    if (status)
        return status;
    plim_tok_request request = {.add_special = o.add_special_tokens != 0,
                                .offsets = o.offsets != 0,
                                .literal = (const plim_tok_span *)o.literal,
                                .literal_count = o.literal_count};
    const plim_alloc *alloc = plim_ledger_alloc(t->context->ledger, PLIM_MEM_TOKENIZER);
    if (empty)
        status = drop_empty(alloc, &request, empty, &own, err);
    if (!status)
        status = plim_tok_encode(scratch, text, bytes, &request, &found, err);
    if (!status)
        status = copy_encoding(out, &found, request.offsets, err);
    give_scratch(t, scratch, bytes);
    plim_delete(alloc, own);
    return status;
}

void plim_encoding_free(plim_encoding *encoding)
{
    if (!encoding)
        return;
    plim_delete(plim_alloc_system(), encoding->ids);
    plim_delete(plim_alloc_system(), encoding->spans);
    *encoding = (plim_encoding){0};
}

plim_status plim_tokenizer_encode(plim_tokenizer *t, const char *text, size_t bytes,
                                  int add_special_tokens, int32_t **ids, size_t *count,
                                  plim_error *err)
{
    plim_encode_options o;
    plim_encoding encoding;
    plim_encode_options_init(&o);
    o.add_special_tokens = add_special_tokens;
    plim_status status = plim_tokenizer_encode_with(t, text, bytes, &o, &encoding, err);
    *ids = encoding.ids;
    *count = encoding.count;
    return status;
}

plim_status plim_tokenizer_decode(plim_tokenizer *t, const int32_t *ids, size_t count,
                                  int skip_special_tokens, char **text, size_t *bytes,
                                  plim_error *err)
{
    size_t ignored;
    plim_error_clear(err);
    *text = NULL;
    return plim_tok_decode(t->tok, plim_alloc_system(), ids, count, skip_special_tokens != 0, text,
                           bytes ? bytes : &ignored, err);
}

uint32_t plim_tokenizer_size(const plim_tokenizer *t)
{
    return plim_tok_size(t->tok);
}

size_t plim_tokenizer_token(const plim_tokenizer *t, int32_t id, char *out, size_t cap)
{
    return plim_tok_token(t->tok, id, out, cap);
}

plim_status plim_decoder_open(plim_decoder **out, plim_tokenizer *tokenizer,
                              int skip_special_tokens, plim_error *err)
{
    const plim_alloc *alloc = plim_ledger_alloc(tokenizer->context->ledger, PLIM_MEM_TOKENIZER);
    plim_error local;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = plim_new(alloc, 1, sizeof **out, err);
    if (!*out)
        return err->code;
    (*out)->tokenizer = plim_tokenizer_ref(tokenizer);
    plim_tok_decoder_init(&(*out)->decoder, tokenizer->tok, alloc, skip_special_tokens != 0);
    return PLIM_OK;
}

void plim_decoder_close(plim_decoder **decoder)
{
    plim_decoder *d = decoder ? *decoder : NULL;
    if (!d)
        return;
    *decoder = NULL;
    plim_tokenizer *tokenizer = d->tokenizer;
    plim_tok_decoder_free(&d->decoder);
    plim_delete(plim_ledger_alloc(tokenizer->context->ledger, PLIM_MEM_TOKENIZER), d);
    plim_tokenizer_close(&tokenizer);
}

plim_status plim_decoder_push(plim_decoder *d, int32_t id, const char **text, size_t *bytes,
                              plim_error *err)
{
    plim_error_clear(err);
    return plim_tok_decoder_push(&d->decoder, id, text, bytes, err);
}

plim_status plim_decoder_flush(plim_decoder *d, const char **text, size_t *bytes, plim_error *err)
{
    plim_error_clear(err);
    return plim_tok_decoder_flush(&d->decoder, text, bytes, err);
}
