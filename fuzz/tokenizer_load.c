/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json: any bytes give an error or a tokenizer that encodes, decodes and streams a fixed
 * text; nothing is left behind.  The file lies in a folder of its own, in memory where the system
 * has such a place. */
#include <unistd.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "tokenizer/tokenizer.h"

static const char text[] = "A b  e\xCC\x81 \xC3\x9F\n12 <s>x</s> \xE2\x96\x81"
                           "a\xEF\xAC\x81 \xE4\xB8\xAD\xF0\x9F\xA6\x99, it's 'x' \x1F Zz<unk>";

/* The bytes as FOLDER/tokenizer.json, for one run: libFuzzer ends without atexit's functions. */
static void make_folder(char folder[64], char path[96], const uint8_t *data, size_t size)
{
    strcpy(folder, "/dev/shm/plim-fuzz-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/plim-fuzz-XXXXXX");
        must(mkdtemp(folder));
    }
    snprintf(path, 96, "%s/tokenizer.json", folder);
    FILE *f = fopen(path, "wb");
    must(f && fwrite(data, 1, size, f) == size && !fclose(f));
}

static void check_stream(const plim_tok *tok, const plim_alloc *alloc, const int32_t *ids, size_t n,
                         bool skip, const char *whole, size_t bytes)
{
    plim_tok_decoder decoder;
    const char *piece;
    size_t got, at = 0;
    plim_tok_decoder_init(&decoder, tok, alloc, skip);
    for (size_t i = 0; i <= n; i++) {
        plim_status status = i < n ? plim_tok_decoder_push(&decoder, ids[i], &piece, &got, NULL)
                                   : plim_tok_decoder_flush(&decoder, &piece, &got, NULL);
        must(!status && piece && piece[got] == 0 && plim_utf8_valid(piece, got));
        must(got <= bytes - at && !memcmp(whole + at, piece, got));
        at += got;
    }
    must(at == bytes);
    plim_tok_decoder_free(&decoder);
}

static void check_decode(const plim_tok *tok, const plim_alloc *alloc, const int32_t *ids, size_t n)
{
    for (int skip = 0; skip < 2; skip++) {
        char *whole;
        size_t bytes;
        plim_error err = {0};
        must(!plim_tok_decode(tok, alloc, ids, n, skip, &whole, &bytes, &err));
        must(whole[bytes] == 0 && plim_utf8_valid(whole, bytes));
        check_stream(tok, alloc, ids, n, skip, whole, bytes);
        plim_delete(alloc, whole);
    }
}

static void check_encode(const plim_tok *tok, const plim_alloc *alloc)
{
    plim_tok_scratch *scratch;
    plim_tok_encoding out;
    plim_error err = {0};
    must(!plim_tok_scratch_open(&scratch, tok, alloc, &err));
    for (int offsets = 0; offsets < 2; offsets++) {
        plim_tok_request request = {.add_special = true, .offsets = offsets};
        plim_status status = plim_tok_encode(scratch, text, sizeof text - 1, &request, &out, &err);
        if (status) { /* a pattern that backtracks, a normalizer that multiplies, a vocabulary
                         without the unknown token */
            must_be_error(status, &err);
            must(status == PLIM_E_LIMIT || status == PLIM_E_FORMAT);
            continue;
        }
        for (size_t i = 0; i < out.count; i++) {
            must(out.ids[i] >= 0);
            must(!offsets ||
                 (out.spans[i].begin <= out.spans[i].end && out.spans[i].end <= sizeof text - 1));
        }
        check_decode(tok, alloc, out.ids, out.count);
    }
    plim_tok_scratch_close(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    plim_tok *tok;
    plim_error err = {0};
    fuzz_alloc a;
    fuzz_alloc_init(&a);
    char folder[64], path[96];
    make_folder(folder, path, data, size);
    plim_status status = plim_tok_open(&tok, &a.alloc, folder, NULL, &err);
    must(!unlink(path) && !rmdir(folder));
    if (status) {
        must(!tok);
        must_be_error(status, &err);
        must(err.offset <= (int64_t)size);
    } else {
        int32_t ids[64];
        for (int32_t i = 0; i < 64; i++) /* the last ones are none */
            ids[i] = i < 48 ? i : (int32_t)plim_tok_size(tok) - 60 + i;
        for (int32_t i = 48; i < 64; i++)
            ids[i] = ids[i] < 0 ? 0 : ids[i];
        check_decode(tok, &a.alloc, ids, 64);
        check_encode(tok, &a.alloc);
        plim_tok_close(&tok);
    }
    must(a.live == 0);
    return 0;
}
