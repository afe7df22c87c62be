/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers and streaming decoders. */
#include <string.h>

#include "api/handles.h"

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
        size_t bytes = slash ? (size_t)(slash - path) : 1;
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
    plim_tok_close(&t->tok);
    plim_delete(plim_context_alloc(context), t);
    plim_context_close(&context);
}

plim_status plim_tokenizer_encode(plim_tokenizer *t, const char *text, size_t bytes,
                                  int add_special_tokens, int32_t **ids, size_t *count,
                                  plim_error *err)
{
    const plim_alloc *scratch = plim_ledger_alloc(t->context->ledger, PLIM_MEM_TOKENIZER);
    plim_error local;
    int32_t *own = NULL;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *ids = NULL;
    *count = 0;
    plim_status status =
        plim_tok_encode(t->tok, scratch, text, bytes, add_special_tokens != 0, &own, count, err);
    if (!status && *count) {
        *ids = plim_new(plim_alloc_system(), *count, sizeof **ids, err);
        if (*ids)
            memcpy(*ids, own, *count * sizeof **ids);
        else
            status = err->code;
    }
    if (status)
        *count = 0;
    plim_delete(scratch, own);
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

const char *plim_tokenizer_token(const plim_tokenizer *t, int32_t id, size_t *bytes)
{
    return plim_tok_token(t->tok, id, bytes);
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
