/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids and texts against what Hugging Face tokenizers gave for the same files: `own` are the small
 * tokenizers of this folder (tools/tokenizer/record.py), `synthetic` one of every kind of part
 * (tools/tokenizer/synthetic.py), `shared` real ones that lie beside the checkout. */
#include <dirent.h>
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
    if (tok_encode(tok, plim_alloc_system(), c->text.at, c->text.bytes, special, &ids, &count,
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

static bool check_offsets(const plim_tok *tok, const tok_case *c)
{
    plim_tok_scratch *scratch;
    plim_tok_request request = {.offsets = true};
    plim_tok_encoding found;
    plim_error err = {0};
    if (!c->has_offsets)
        return true;
    assert_int_equal(plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), &err), PLIM_OK);
    assert_int_equal(plim_tok_encode(scratch, c->text.at, c->text.bytes, &request, &found, &err),
                     PLIM_OK);
    bool same = found.count == c->plain.count &&
                (!found.count || !memcmp(found.ids, c->plain.at, found.count * sizeof *found.ids));
    for (size_t i = 0; same && i < found.count; i++)
        same = (int64_t)found.spans[i].begin == c->offsets.at[2 * i] &&
               (int64_t)found.spans[i].end == c->offsets.at[2 * i + 1];
    if (!same) {
        fprintf(stderr, "offsets of \"%s\"\n", c->text.at);
        show("ids", c->plain.at, c->plain.count);
        show("want", c->offsets.at, c->offsets.count);
        fprintf(stderr, "  have:");
        for (size_t i = 0; i < found.count && i < 20; i++)
            fprintf(stderr, " %zu %zu", found.spans[i].begin, found.spans[i].end);
        fprintf(stderr, "\n");
    }
    plim_tok_scratch_close(&scratch);
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
        good = check_offsets(tok, &c) && good;
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

enum { MAX_FOLDERS = 1024 };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

/* A test for every folder below root that has cases. */
static size_t find_folders(struct CMUnitTest *tests)
{
    size_t count = 0;
    DIR *folder = opendir(root);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[4096];
        bool found = false;
        snprintf(path, sizeof path, "%s/%s/cases.jsonl", root, entry->d_name);
        if (entry->d_name[0] == '.' || plim_path_find_file(&found, path, NULL) || !found)
            continue;
        assert_true(count < MAX_FOLDERS);
        char *name = strdup(entry->d_name);
        tests[count++] = (struct CMUnitTest){name, test_directory, NULL, NULL, name};
    }
    if (folder)
        closedir(folder);
    qsort(tests, count, sizeof *tests, by_name);
    return count;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *root;
        size_t fewest;
    } sets[] = {{"own", PLIM_SOURCE_DIR "/tests/tokenizer/fixtures", 19},
                {"synthetic", PLIM_SOURCE_DIR "/tests/tokenizer/fixtures/synthetic", 325},
                {"shared", PLIM_SOURCE_DIR "/../shared/data/tokenizers", 7}};
    struct CMUnitTest *tests = calloc(MAX_FOLDERS, sizeof *tests);
    bool found = false;
    size_t set = 0;
    while (argc > 1 && set < 2 && strcmp(argv[1], sets[set].name) != 0)
        set++;
    root = sets[set].root;
    if (!tests || plim_path_find_folder(&found, root, NULL) || !found) {
        fprintf(stderr, "SKIPPED: %s is not there\n", root);
        free(tests);
        return 77;
    }
    size_t count = find_folders(tests);
    fprintf(stderr, "%zu folders\n", count);
    int failed = count < sets[set].fewest
                     ? 1
                     : _cmocka_run_group_tests(sets[set].name, tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)tests[i].name);
    free(tests);
    return failed;
}
