/* SPDX-License-Identifier: Apache-2.0
 *
 * The sampler against tests/golden/processors (tools/golden): every combination of the processors
 * on recorded logits.  Where equal scores lie at the edge of top-p, torch's sort has no order that
 * could be named, so there only the kept values and how often each are compared. */
#include "generate/sampler_test.h"

#include <math.h>

#include "base/json.h"

#define FOLDER       PLIM_SOURCE_DIR "/tests/golden/processors/"
#define MAX_ROWS     8
#define MAX_PREVIOUS 512
#define MAX_GRID     1024

typedef struct golden {
    size_t grid_count, rows, previous_count[MAX_ROWS];
    plim_sampling grid[MAX_GRID];
    int32_t previous[MAX_ROWS][MAX_PREVIOUS];
} golden;

static plim_json_event next(plim_json *json)
{
    plim_json_event event;
    plim_error err;
    if (plim_json_next(json, &event, &err) != PLIM_OK)
        fail_msg("%s", err.message);
    return event;
}

static void read_previous(plim_json *json, golden *out)
{
    int64_t token;
    assert_int_equal(next(json), PLIM_JSON_ARRAY);
    while (next(json) == PLIM_JSON_ARRAY) {
        assert_in_range(out->rows, 0, MAX_ROWS - 1);
        size_t *count = &out->previous_count[out->rows];
        while (next(json) != PLIM_JSON_ARRAY_END) {
            assert_in_range(*count, 0, MAX_PREVIOUS - 1);
            assert_int_equal(plim_json_i64(json, "a token", 0, INT32_MAX, &token, NULL), PLIM_OK);
            out->previous[out->rows][(*count)++] = (int32_t)token;
        }
        out->rows++;
    }
}

static void read_settings(plim_json *json, plim_sampling *out)
{
    *out =
        (plim_sampling){.do_sample = true, .repetition_penalty = 1, .temperature = 1, .top_p = 1};
    while (next(json) == PLIM_JSON_KEY) {
        char key[32];
        double value;
        assert_in_range(strlen(plim_json_text(json, NULL)), 1, sizeof key - 1);
        strcpy(key, plim_json_text(json, NULL));
        if (next(json) == PLIM_JSON_NULL)
            continue;
        assert_int_equal(plim_json_f64(json, key, &value, NULL), PLIM_OK);
        if (strcmp(key, "repetition_penalty") == 0)
            out->repetition_penalty = value;
        else if (strcmp(key, "temperature") == 0)
            out->temperature = value;
        else if (strcmp(key, "top_k") == 0)
            out->top_k = (uint64_t)value;
        else if (strcmp(key, "top_p") == 0)
            out->top_p = value;
        else if (strcmp(key, "min_p") == 0)
            out->min_p = value;
        else
            fail_msg("a setting '%s' that this test does not know", key);
    }
}

static void read_golden(golden *out)
{
    recording file;
    plim_json *json;
    memset(out, 0, sizeof *out);
    recording_open(&file, FOLDER "expected.json");
    assert_int_equal(plim_json_open_memory(&json, plim_alloc_system(), file.bytes, file.size,
                                           "expected.json", NULL, NULL),
                     PLIM_OK);
    assert_int_equal(next(json), PLIM_JSON_OBJECT);
    while (next(json) == PLIM_JSON_KEY) {
        if (plim_json_text_is(json, "previous")) {
            read_previous(json, out);
        } else if (plim_json_text_is(json, "grid")) {
            assert_int_equal(next(json), PLIM_JSON_ARRAY);
            while (next(json) == PLIM_JSON_OBJECT) {
                assert_in_range(out->grid_count, 0, MAX_GRID - 1);
                read_settings(json, &out->grid[out->grid_count++]);
            }
        } else {
            assert_int_equal(plim_json_skip(json, NULL), PLIM_OK);
        }
    }
    plim_json_close(&json);
    free(file.bytes);
}

/* Where tensor `name` begins in the file, and how many floats it has. */
static const float *find_tensor(const recording *file, const char *name, size_t *count)
{
    uint64_t header_bytes, offsets[2] = {0, 0};
    plim_json *json;
    bool ours = false;
    memcpy(&header_bytes, file->bytes, 8);
    assert_true(header_bytes <= file->size - 8);
    assert_int_equal(plim_json_open_memory(&json, plim_alloc_system(), file->bytes + 8,
                                           header_bytes, "expected.safetensors", NULL, NULL),
                     PLIM_OK);
    for (plim_json_event event = next(json); event != PLIM_JSON_END; event = next(json)) {
        if (event != PLIM_JSON_KEY)
            continue;
        if (plim_json_depth(json) == 1)
            ours = plim_json_text_is(json, name);
        if (!ours || !plim_json_text_is(json, "data_offsets"))
            continue;
        assert_int_equal(next(json), PLIM_JSON_ARRAY);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(next(json), PLIM_JSON_NUMBER);
            assert_int_equal(plim_json_u64(json, "offset", file->size, &offsets[i], NULL), PLIM_OK);
        }
    }
    plim_json_close(&json);
    assert_true(offsets[0] < offsets[1] && offsets[1] <= file->size - 8 - header_bytes);
    *count = (offsets[1] - offsets[0]) / sizeof(float);
    float *values = malloc(offsets[1] - offsets[0]);
    assert_non_null(values);
    memcpy(values, file->bytes + 8 + header_bytes + offsets[0], offsets[1] - offsets[0]);
    return values;
}

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The same values, each as often, in whatever places. */
static bool same_values(const float *a, const float *b, size_t n)
{
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    assert_true(x && y);
    memcpy(x, a, n * sizeof *x);
    memcpy(y, b, n * sizeof *y);
    qsort(x, n, sizeof *x, by_value);
    qsort(y, n, sizeof *y, by_value);
    bool same = true;
    for (size_t i = 0; i < n; i++)
        same &= x[i] == y[i]; /* -0 is 0 */
    free(x);
    free(y);
    return same;
}

/* Every token that differs has the lowest value that is kept: it is one of the equal ones at the
 * edge. */
static bool same_but_for_ties(const float *got, const float *want, size_t n)
{
    float edge = INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (want[i] > -INFINITY && want[i] < edge)
            edge = want[i];
    }
    for (size_t i = 0; i < n; i++) {
        float kept = got[i] > want[i] ? got[i] : want[i];
        if (!same_score(got[i], want[i]) && kept != edge)
            return false;
    }
    return same_values(got, want, n);
}

static void every_combination_equals_transformers(void **state)
{
    static golden g;
    recording file;
    size_t logits_count, scores_count, exact = 0, tied = 0;
    (void)state;
    read_golden(&g);
    recording_open(&file, FOLDER "expected.safetensors");
    const float *logits = find_tensor(&file, "logits", &logits_count);
    const float *scores = find_tensor(&file, "scores", &scores_count);
    assert_in_range(g.grid_count, 100, MAX_GRID);
    assert_true(g.rows > 0 && logits_count % g.rows == 0);
    assert_int_equal(scores_count, logits_count * g.grid_count);
    size_t vocab = logits_count / g.rows;
    plim_sampler *sampler = sampler_make(plim_alloc_system(), vocab);
    for (size_t c = 0; c < g.grid_count; c++) {
        for (size_t row = 0; row < g.rows; row++) {
            sampler_begin(sampler, &g.grid[c], g.previous[row], g.previous_count[row]);
            const float *got = plim_sampler_process(sampler, logits + row * vocab);
            const float *want = scores + (c * g.rows + row) * vocab;
            if (memcmp(got, want, vocab * sizeof *got) == 0)
                exact++;
            else if (g.grid[c].top_p < 1 && same_but_for_ties(got, want, vocab))
                tied++;
            else
                fail_msg("combination %zu, row %zu", c, row);
        }
    }
    print_message("    %zu combinations equal, %zu more but for the choice among equal scores\n",
                  exact, tied);
    assert_true(tied * 10 < exact);
    plim_sampler_close(&sampler);
    free((void *)(uintptr_t)logits);
    free((void *)(uintptr_t)scores);
    free(file.bytes);
}

int main(void)
{
    FILE *file = fopen(FOLDER "expected.json", "rb");
    if (!file) {
        puts("skipped: no " FOLDER "; `./run golden` writes it");
        return 77;
    }
    fclose(file);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_combination_equals_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
