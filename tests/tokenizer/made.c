/* SPDX-License-Identifier: Apache-2.0
 *
 * See made.h. */
#include "tokenizer/made.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[256];

int made_set_up(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/plim-made-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

int made_tear_down(void **state)
{
    (void)state;
    made_clear();
    return rmdir(folder);
}

void made_write(const char *name, const char *text, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

void made_clear(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%.200s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
}

plim_status made_open_folder(plim_tok **tok, const plim_alloc *alloc, plim_error *err)
{
    return plim_tok_open(tok, alloc, folder, NULL, err);
}

plim_tok *made_open(const char *model, const char *parts)
{
    plim_tok *tok;
    plim_error err = {0};
    size_t bytes = strlen(model) + strlen(parts) + 64;
    char *text = malloc(bytes);
    assert_non_null(text);
    snprintf(text, bytes, "{\"version\":\"1.0\",\"model\":%s%s}", model, parts);
    made_clear();
    made_write("tokenizer.json", text, strlen(text));
    free(text);
    if (made_open_folder(&tok, plim_alloc_system(), &err))
        fail_msg("%s", err.message);
    return tok;
}

const char *made_ids(const plim_tok *tok, const char *text, size_t bytes,
                     const plim_tok_request *request)
{
    static char out[4096];
    plim_error err = {0};
    plim_tok_scratch *scratch;
    plim_tok_encoding encoding;
    size_t used = 0;
    assert_int_equal(plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), &err), PLIM_OK);
    out[0] = 0;
    if (plim_tok_encode(scratch, text, bytes, request, &encoding, &err))
        snprintf(out, sizeof out, "%s", plim_status_name(err.code));
    for (size_t i = 0; !err.code && i < encoding.count && used < sizeof out - 64; i++) {
        used += (size_t)sprintf(out + used, "%s%d", i ? " " : "", (int)encoding.ids[i]);
        if (encoding.spans)
            used += (size_t)sprintf(out + used, "[%zu,%zu]", encoding.spans[i].begin,
                                    encoding.spans[i].end);
    }
    plim_tok_scratch_close(&scratch);
    return out;
}
