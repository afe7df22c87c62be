/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids and texts against what Hugging Face tokenizers gave for the same files: `own` are the small
 * tokenizers of this folder (tools/tokenizer/record.py), `shared` real ones that lie beside the
 * checkout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tokenizer/cases.h"

static const char *root;

static void show(const char *what, const int32_t *ids, size_t count)
{
    fprintf(stderr, "  %s:", what);
    for (size_t i = 0; i < count && i < 40; i++)
        fprintf(stderr, " %d", (int)ids[i]);
    fprintf(stderr, "\n");
}

static bool check_ids(const plim_tok *tok, const tok_case *c, bool special)
{
    const tok_ids *want = special ? &c->ids : &c->plain;
    int32_t *ids;
    size_t count;
    plim_error err = {0};
    if (plim_tok_encode(tok, plim_alloc_system(), c->text.at, c->text.bytes, special, &ids, &count,
                        &err)) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    bool same = count == want->count && (!count || !memcmp(ids, want->at, count * sizeof *ids));
    if (!same) {
        fprintf(stderr, "text \"%s\"\n", c->text.at);
        show("want", want->at, want->count);
        show("have", ids, count);
    }
    plim_delete(plim_alloc_system(), ids);
    return same;
}

static bool same_text(const char *what, const tok_text *want, const char *have, size_t bytes)
{
    bool same = bytes == want->bytes && !memcmp(have, want->at, bytes);
    if (!same)
        fprintf(stderr, "%s: want \"%s\", have \"%.*s\"\n", what, want->at, (int)bytes, have);
    return same;
}

static bool check_text(const plim_tok *tok, const tok_case *c, bool skip)
{
    const tok_text *want = skip ? &c->decoded_skip : &c->decoded;
    char *text;
    size_t bytes;
    tok_text streamed = {0};
    plim_error err = {0};
    assert_int_equal(plim_tok_decode(tok, plim_alloc_system(), c->ids.at, c->ids.count, skip, &text,
                                     &bytes, &err),
                     PLIM_OK);
    assert_int_equal(text[bytes], 0);
    bool same = same_text(skip ? "decoded_skip" : "decoded", want, text, bytes);
    plim_delete(plim_alloc_system(), text);
    assert_int_equal(tok_stream(tok, c->ids.at, c->ids.count, skip, &streamed, &err), PLIM_OK);
    same = same_text("streamed", want, streamed.at, streamed.bytes) && same;
    plim_delete(plim_alloc_system(), streamed.at);
    return same;
}

static void test_directory(void **state)
{
    const char *name = *state;
    char directory[4096], path[4096];
    char *file;
    size_t bytes, lines = 0, bad = 0;
    plim_tok *tok;
    tok_case c = {0};
    plim_error err = {0};
    counting counted;
    counting_init(&counted);
    assert_true((size_t)snprintf(directory, sizeof directory, "%s/%s", root, name) <
                sizeof directory);
    assert_int_equal(plim_path_join(path, sizeof path, directory, "cases.jsonl", &err), PLIM_OK);
    if (plim_file_slurp(&file, &bytes, plim_alloc_system(), path, 64u << 20, &err))
        fail_msg("%s", err.message);
    double start = plim_now();
    if (plim_tok_open(&tok, &counted.alloc, directory, NULL, &err))
        fail_msg("%s: %s", name, err.message);
    double opened = plim_now();
    for (const char *at = file; tok_case_next(&c, &at, file + bytes); lines++) {
        bool good = check_ids(tok, &c, true);
        good = check_ids(tok, &c, false) && good;
        good = check_text(tok, &c, false) && good;
        good = check_text(tok, &c, true) && good;
        bad += !good;
    }
    printf("%s: %zu lines, %zu wrong; opened in %.1f ms, holds %.2f MiB (peak %.2f)\n", name, lines,
           bad, (opened - start) * 1e3, (double)counted.held / 1048576,
           (double)counted.peak / 1048576);
    plim_tok_close(&tok);
    assert_null(tok);
    assert_int_equal(counted.blocks, 0);
    assert_int_equal(counted.held, 0);
    tok_case_free(&c);
    plim_delete(plim_alloc_system(), file);
    assert_true(lines > 0);
    assert_int_equal(bad, 0);
}

#define DIRECTORY(name)                                                                            \
    {                                                                                              \
        name, test_directory, NULL, NULL, (void *)name                                             \
    }

int main(int argc, char **argv)
{
    const struct CMUnitTest shared[] = {DIRECTORY("gpt2"),    DIRECTORY("qwen2"),
                                        DIRECTORY("phi2"),    DIRECTORY("whisper"),
                                        DIRECTORY("smollm2"), DIRECTORY("falcon")};
    const struct CMUnitTest own[] = {
        DIRECTORY("bloom"),       DIRECTORY("deepseek"),   DIRECTORY("digits"),
        DIRECTORY("falcon"),      DIRECTORY("fuse"),       DIRECTORY("gpt2_bos"),
        DIRECTORY("gpt2_json"),   DIRECTORY("gpt2_pair"),  DIRECTORY("gpt2_prefix"),
        DIRECTORY("holes"),       DIRECTORY("inverted"),   DIRECTORY("llama3"),
        DIRECTORY("merged_next"), DIRECTORY("no_decoder"), DIRECTORY("o200k"),
        DIRECTORY("odd_added"),   DIRECTORY("qwen2_pair"), DIRECTORY("roberta"),
        DIRECTORY("with_config")};
    if (argc > 1 && !strcmp(argv[1], "shared")) {
        root = PLIM_SOURCE_DIR "/../shared/data/tokenizers";
        bool found;
        if (plim_path_find_folder(&found, root, NULL) || !found) {
            fprintf(stderr, "SKIPPED: %s is not there\n", root);
            return 77;
        }
        return cmocka_run_group_tests_name("tokenizer cases (shared)", shared, NULL, NULL);
    }
    root = PLIM_SOURCE_DIR "/tests/tokenizer/fixtures";
    return cmocka_run_group_tests_name("tokenizer cases (own)", own, NULL, NULL);
}
