/* SPDX-License-Identifier: Apache-2.0
 *
 * Every folder of tests/golden, through the public calls only, against what Transformers gave for
 * it: the logits of every position, greedy tokens, what generate() makes of generation_config.json,
 * and the report of missing, unexpected and mismatched tensors.  With every set of kernels, one
 * thread and several, and other ways of loading, which must not change a bit.  A folder's name as
 * an argument runs that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define NEW_TOKENS 32

/* The largest difference met, for the record. */
static struct worst {
    double apart;
    char folder[64];
    const char *says;
} worst;

static const char *const prompts[] = {"1", "2", "17", "300"};
#define PROMPTS (sizeof prompts / sizeof *prompts)

static const way ways[] = {
    {"all kernels, one thread", PLIM_CPU_ALL, 1, 0, PLIM_READER_AUTO, 1},
    {"all kernels, three threads, chunks of 5, buffered", PLIM_CPU_ALL, 3, 5, PLIM_READER_BUFFERED,
     1},
    {"all kernels, two threads, the old way of loading", PLIM_CPU_ALL, 2, 0, PLIM_READER_AUTO, 0},
    {"AVX2, one thread", PLIM_CPU_AVX2, 1, 0, PLIM_READER_AUTO, 1},
    {"AVX2, three threads, chunks of 7", PLIM_CPU_AVX2, 3, 7, PLIM_READER_AUTO, 1},
    {"scalar, one thread", 0, 1, 0, PLIM_READER_AUTO, 1},
    {"scalar, three threads, chunks of 64", 0, 3, 64, PLIM_READER_AUTO, 1},
};
#define WAYS (sizeof ways / sizeof *ways)

/* ---- tokens ---- */

static void check_greedy(plim_session *session, const expected *e, const char *says)
{
    assert_int_equal(expected_count(e, "greedy.17"), NEW_TOKENS);
    compare_greedy(session, "17", e, says);
    compare_greedy(session, "300", e, says);
}

/* generate() with nothing given but what expected.json says: generation_config.json decides. */
static void check_generate(plim_session *session, const expected *e, const char *says)
{
    if (!expected_has(e, "generate"))
        return;
    token_list prompt, want;
    expected_tokens(e, &prompt, "prompts.17");
    expected_tokens(e, &want, "generate.17.tokens");
    plim_generate_options options;
    plim_generate_options_init(&options);
    options.max_new_tokens = (int64_t)expected_number(e, "generate.17.options.max_new_tokens", -1);
    compare_generation(session, &prompt, &want, &options, expected_text(e, "generate.17.finish"), e,
                       says);
}

/* ---- reports ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Where we differ on purpose: both buffers of the masks of an old GPT-2 are known, Transformers
 * knows one of them. */
static bool known_buffer(const char *name)
{
    return strstr(name, ".attn.masked_bias") != NULL;
}

static void check_unexpected(const plim_model *model, const expected *e)
{
    const char *got[64], *want[64];
    size_t count = 0, want_count = 0;
    for (size_t i = 0; i < expected_count(e, "report.collapsed.unexpected"); i++) {
        assert_true(want_count < 64);
        want[want_count] = expected_text(e, "report.collapsed.unexpected[%zu]", i);
        want_count += !known_buffer(want[want_count]);
    }
    for (const char *name; (name = plim_model_unexpected(model, count)) != NULL;) {
        assert_true(count < 64);
        got[count++] = name;
    }
    qsort(got, count, sizeof *got, by_text);
    for (size_t i = 0; i < count && i < want_count; i++)
        if (strcmp(got[i], want[i]) != 0)
            fail_msg("%s: unexpected: '%s', Transformers reports '%s'", e->folder, got[i], want[i]);
    if (count != want_count)
        fail_msg("%s: %zu unexpected tensors, Transformers reports %zu", e->folder, count,
                 want_count);
}

static void mentions(const expected *e, const plim_error *err, const char *text)
{
    if (!strstr(err->message, text))
        fail_msg("%s: '%s' is not in the message: %s", e->folder, text, err->message);
}

/* "[2, 3]" of a shape in expected.json. */
static const char *shape_text(char *out, size_t cap, const expected *e, size_t tensor, int which)
{
    char path[96];
    snprintf(path, sizeof path, "report.mismatched[%zu][%d]", tensor, which);
    size_t rank = expected_count(e, path), used = 0;
    assert_true(rank > 0);
    for (size_t i = 0; i < rank; i++) {
        snprintf(path, sizeof path, "report.mismatched[%zu][%d][%zu]", tensor, which, i);
        used += (size_t)snprintf(out + used, cap - used, "%s%.0f", i ? ", " : "[",
                                 expected_number(e, path, -1));
    }
    snprintf(out + used, cap - used, "]");
    return out;
}

/* The error names one of the tensors of another shape, with both shapes. */
static void check_mismatch(const expected *e, const plim_error *err)
{
    char shape[128];
    for (size_t i = 0; i < expected_count(e, "report.mismatched"); i++) {
        if (strcmp(err->tensor, expected_text(e, "report.mismatched[%zu][0]", i)) != 0)
            continue;
        mentions(e, err, shape_text(shape, sizeof shape, e, i, 1));
        mentions(e, err, shape_text(shape, sizeof shape, e, i, 2));
        return;
    }
    fail_msg("%s: Transformers does not report '%s': %s", e->folder, err->tensor, err->message);
}

static void check_missing(const expected *e, const plim_error *err)
{
    size_t count = expected_count(e, "report.collapsed.missing");
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        mentions(e, err, expected_text(e, "report.collapsed.missing[%zu]", i));
}

/* ---- folders ---- */

static void check_refusal(const expected *e, const char *expect)
{
    plim_error err;
    plim_model *model;
    plim_memory before, after;
    plim_context *context = context_of(e, &ways[0]);
    plim_context_memory(context, &before);
    plim_status status = open_model(&model, context, e->folder, &ways[0], PLIM_F32, &err);
    assert_null(model);
    assert_int_equal(err.code, status);
    if (!strcmp(expect, "refused")) {
        if (strcmp(plim_status_name(status), expected_text(e, "error")) != 0)
            fail_msg("%s: %s, want %s (%s): %s", e->folder, plim_status_name(status),
                     expected_text(e, "error"), expected_text(e, "reason"),
                     status ? err.message : "");
        assert_non_null(strstr(err.file, "config.json"));
        mentions(e, &err, expected_text(e, "mentions"));
    } else {
        assert_int_equal(status, PLIM_E_MISMATCH);
        if (!strcmp(expect, "missing"))
            check_missing(e, &err);
        else
            check_mismatch(e, &err);
    }
    plim_context_memory(context, &after);
    assert_int_equal(after.total.now, before.total.now);
    plim_context_close(&context);
}

static void note_worst(double apart, const expected *e, const way *w)
{
    worst.apart = apart;
    worst.says = w->says;
    snprintf(worst.folder, sizeof worst.folder, "%s", strrchr(e->folder, '/') + 1);
}

/* All that is compared in one way of loading; `bits` holds the logits of the ways before with the
 * same kernels. */
static void check_way(const expected *e, const way *w, float *bits[PROMPTS])
{
    plim_error err;
    plim_model *model;
    plim_session *session;
    plim_context *context = context_of(e, w);
    must(open_model(&model, context, e->folder, w, PLIM_F32, &err), &err, e, w->says);
    check_unexpected(model, e);
    must(plim_session_open(&session, model, &err), &err, e, "session");
    size_t vocab = plim_model_vocab_size(model);
    double tolerance = expected_number(e, "tolerance", 0);
    assert_true(tolerance > 0 && tolerance <= 1e-4);
    for (size_t i = 0; i < PROMPTS; i++) {
        token_list prompt;
        char name[32];
        size_t count;
        snprintf(name, sizeof name, "logits_%s", prompts[i]);
        expected_tokens(e, &prompt, "prompts.%s", prompts[i]);
        float *want = expected_tensor(e, name, &count);
        assert_int_equal(count, prompt.count * vocab);
        float *got = logits_of(session, &prompt, vocab, e);
        double apart = compare_logits(got, want, count, vocab, tolerance, e, w->says);
        if (apart > worst.apart)
            note_worst(apart, e, w);
        if (bits[i] && memcmp(bits[i], got, count * sizeof *got) != 0)
            fail_msg("%s: %s: other bits than with one thread, prompt of %s", e->folder, w->says,
                     prompts[i]);
        free(want);
        free(bits[i]);
        bits[i] = got;
    }
    check_greedy(session, e, w->says);
    check_generate(session, e, w->says);
    plim_session_close(&session);
    plim_model_close(&model);
    plim_context_close(&context);
}

/* Half precision as it is stored: the same tokens as Transformers' in float32 on the same weights.
 */
static void check_as_stored(const expected *e, plim_dtype dtype)
{
    for (size_t i = 0; i < WAYS; i++) {
        plim_error err;
        plim_model *model;
        plim_session *session;
        plim_context *context = context_of(e, &ways[i]);
        must(open_model(&model, context, e->folder, &ways[i], PLIM_AUTO, &err), &err, e,
             ways[i].says);
        assert_int_equal(plim_model_dtype(model), dtype);
        must(plim_session_open(&session, model, &err), &err, e, "session");
        check_greedy(session, e, ways[i].says);
        plim_session_close(&session);
        plim_model_close(&model);
        plim_context_close(&context);
    }
}

static void test_folder(void **state)
{
    expected e;
    plim_error err;
    plim_dtype dtype;
    expected_open(&e, *state);
    const char *expect = expected_text(&e, "expect");
    assert_non_null(expect);
    if (strcmp(expect, "ok") != 0) {
        check_refusal(&e, expect);
        expected_close(&e);
        return;
    }
    float *bits[PROMPTS] = {NULL};
    for (size_t i = 0; i < WAYS; i++) {
        if (i > 0 && ways[i].cpu_mask != ways[i - 1].cpu_mask)
            for (size_t p = 0; p < PROMPTS; p++) {
                free(bits[p]);
                bits[p] = NULL;
            }
        check_way(&e, &ways[i], bits);
    }
    for (size_t p = 0; p < PROMPTS; p++)
        free(bits[p]);
    must(plim_dtype_parse(&dtype, expected_text(&e, "stored_dtype"), &err), &err, &e,
         "stored_dtype");
    if (dtype != PLIM_F32)
        check_as_stored(&e, dtype);
    expected_close(&e);
}

/* ---- main ---- */

#define MAX_FOLDERS 512
#define MIN_FOLDERS 130 /* fewer: they were not found, or were lost */

static size_t list_folders(char *names[MAX_FOLDERS])
{
    size_t count = 0;
    DIR *dir = opendir(PLIM_SOURCE_DIR "/tests/golden");
    for (struct dirent *d; dir && count < MAX_FOLDERS && (d = readdir(dir)) != NULL;) {
        char path[1024];
        snprintf(path, sizeof path, "%s/tests/golden/%s/config.json", PLIM_SOURCE_DIR, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f) {
            fclose(f);
            names[count++] = strdup(d->d_name);
        }
    }
    if (dir)
        closedir(dir);
    qsort(names, count, sizeof *names, by_text);
    return count;
}

static bool is_asked_for(const char *name, int argc, char **argv)
{
    bool asked = argc < 2;
    for (int i = 1; i < argc; i++)
        asked |= !strcmp(argv[i], name);
    return asked;
}

/* test_golden [FOLDER...] */
int main(int argc, char **argv)
{
    static char *names[MAX_FOLDERS];
    static struct CMUnitTest tests[MAX_FOLDERS];
    size_t found = list_folders(names), count = 0;
    for (size_t i = 0; i < found; i++)
        if (is_asked_for(names[i], argc, argv))
            tests[count++] = (struct CMUnitTest){names[i], test_folder, NULL, NULL, names[i]};
    if (found < MIN_FOLDERS || count == 0) {
        fprintf(stderr, "%zu goldens found, %zu asked for\n", found, count);
        return 1;
    }
    int failed = _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
    if (worst.says)
        printf("logits are apart by at most %.2g of the largest |logit| (%s, %s)\n", worst.apart,
               worst.folder, worst.says);
    for (size_t i = 0; i < found; i++)
        free(names[i]);
    return failed != 0;
}
