/* SPDX-License-Identifier: Apache-2.0
 *
 * Small tokenizers of every kind (tokenize_json.h, written by tools/tokenizer/fuzz_seeds.py), any
 * text.  Ids are the same in the same scratch again, in a fresh one, and with offsets; spans ascend
 * inside the text; decoding works and equals the stream; literal text gives no special token.
 * Input: one byte (which tokenizer), one byte (flags), then the text. */
#include <unistd.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "tokenize_json.h"
#include "tokenizer/tokenizer.h"

enum { KINDS = sizeof tokenizer_json / sizeof *tokenizer_json };

static plim_tok *open_kind(size_t kind)
{
    char folder[] = "/tmp/plim-fuzz-XXXXXX", path[64];
    plim_tok *tok;
    plim_error err = {0};
    must(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    FILE *f = fopen(path, "wb");
    must(f && fputs(tokenizer_json[kind], f) >= 0 && !fclose(f));
    if (plim_tok_open(&tok, plim_alloc_system(), folder, NULL, &err)) {
        fprintf(stderr, "tokenizer %zu: %s\n", kind, err.message);
        abort();
    }
    unlink(path);
    rmdir(folder);
    return tok;
}

static int32_t *copy_ids(const plim_tok_encoding *encoding)
{
    int32_t *ids = malloc((encoding->count + 1) * sizeof *ids);
    must(ids);
    if (encoding->count)
        memcpy(ids, encoding->ids, encoding->count * sizeof *ids);
    return ids;
}

static bool same_ids(const plim_tok_encoding *encoding, const int32_t *ids, size_t count)
{
    return encoding->count == count && (!count || !memcmp(encoding->ids, ids, count * sizeof *ids));
}

/* Spans of a text without a template. */
static void check_spans(const plim_tok_encoding *encoding, size_t bytes)
{
    size_t begin = 0;
    for (size_t i = 0; i < encoding->count; i++) {
        const plim_tok_span *span = &encoding->spans[i];
        must(span->begin >= begin && span->begin <= span->end && span->end <= bytes);
        begin = span->begin;
    }
}

static void check_stream(const plim_tok *tok, const plim_alloc *alloc, const int32_t *ids, size_t n,
                         bool skip)
{
    plim_tok_decoder decoder;
    char *whole;
    const char *piece;
    size_t got, bytes, at = 0;
    must(!plim_tok_decode(tok, alloc, ids, n, skip, &whole, &bytes, NULL));
    must(whole[bytes] == 0 && plim_utf8_valid(whole, bytes));
    plim_tok_decoder_init(&decoder, tok, alloc, skip);
    for (size_t i = 0; i <= n; i++) {
        plim_status status = i < n ? plim_tok_decoder_push(&decoder, ids[i], &piece, &got, NULL)
                                   : plim_tok_decoder_flush(&decoder, &piece, &got, NULL);
        must(!status && plim_utf8_valid(piece, got));
        must(got <= bytes - at && !memcmp(whole + at, piece, got));
        at += got;
    }
    must(at == bytes);
    plim_tok_decoder_free(&decoder);
    plim_delete(alloc, whole);
}

/* All of it is literal: no special token but the unknown one. */
static void check_literal(plim_tok_scratch *scratch, const plim_tok *tok, const char *text,
                          size_t bytes)
{
    plim_tok_span all = {0, bytes};
    plim_tok_request request = {.literal = &all, .literal_count = bytes > 0};
    plim_tok_encoding out;
    int32_t unknown = plim_tok_find(tok, "<unk>", 5), other = plim_tok_find(tok, "[UNK]", 5);
    plim_error err = {0};
    plim_status status = plim_tok_encode(scratch, text, bytes, &request, &out, &err);
    if (status)
        must(status == PLIM_E_LIMIT);
    for (size_t i = 0; !status && i < out.count; i++)
        must(out.ids[i] == unknown || out.ids[i] == other || !plim_tok_is_special(tok, out.ids[i]));
}

static void check_again(plim_tok_scratch *scratch, const char *text, size_t bytes,
                        const plim_tok_request *request, const int32_t *ids, size_t count)
{
    plim_tok_encoding again;
    must(!plim_tok_encode(scratch, text, bytes, request, &again, NULL));
    must(same_ids(&again, ids, count));
    if (request->offsets && !request->add_special)
        check_spans(&again, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static plim_tok *toks[KINDS];
    if (size < 2)
        return 0;
    size_t kind = data[0] % KINDS, bytes = size - 2;
    const char *text = (const char *)data + 2;
    plim_tok *tok = toks[kind] = toks[kind] ? toks[kind] : open_kind(kind);
    fuzz_alloc a;
    fuzz_alloc_init(&a);
    plim_tok_scratch *scratch, *fresh;
    plim_tok_request request = {.add_special = data[1] & 1};
    plim_tok_encoding out;
    plim_error err = {0};
    must(!plim_tok_scratch_open(&scratch, tok, &a.alloc, NULL));
    plim_status status = plim_tok_encode(scratch, text, bytes, &request, &out, &err);
    if (status) {
        must_be_error(status, &err);
        must(status == PLIM_E_LIMIT);
    } else {
        size_t count = out.count;
        int32_t *ids = copy_ids(&out);
        check_again(scratch, text, bytes, &request, ids, count);
        request.offsets = true;
        check_again(scratch, text, bytes, &request, ids, count);
        must(!plim_tok_scratch_open(&fresh, tok, &a.alloc, NULL));
        check_again(fresh, text, bytes, &request, ids, count);
        plim_tok_scratch_close(&fresh);
        check_stream(tok, &a.alloc, ids, count, data[1] & 2);
        free(ids);
    }
    check_literal(scratch, tok, text, bytes);
    plim_tok_scratch_close(&scratch);
    must(a.live == 0);
    return 0;
}
