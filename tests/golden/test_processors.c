/* SPDX-License-Identifier: Apache-2.0
 *
 * The processors of sampling against Transformers' own: for every combination of settings, the
 * processed scores of recorded logits, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "expected.h"
#include "generate/sampler.h"

static plim_sampling settings_of(const expected *e, size_t i)
{
    char path[64];
    plim_sampling s = {.do_sample = true, .seed = 1};
    snprintf(path, sizeof path, "grid[%zu].repetition_penalty", i);
    s.repetition_penalty = expected_number(e, path, -1);
    snprintf(path, sizeof path, "grid[%zu].temperature", i);
    s.temperature = expected_number(e, path, -1);
    snprintf(path, sizeof path, "grid[%zu].top_k", i);
    s.top_k = (uint64_t)expected_number(e, path, -1);
    snprintf(path, sizeof path, "grid[%zu].top_p", i);
    s.top_p = expected_number(e, path, -1);
    snprintf(path, sizeof path, "grid[%zu].min_p", i);
    s.min_p = expected_number(e, path, 0);
    return s;
}

static void compare(const float *got, const float *want, size_t vocab, const plim_sampling *s,
                    size_t row)
{
    for (size_t i = 0; i < vocab; i++)
        if (got[i] != want[i])
            fail_msg("penalty %g, temperature %g, top_k %d, top_p %g, min_p %g, row %zu: token %zu "
                     "is %.9g, "
                     "Transformers gives %.9g",
                     s->repetition_penalty, s->temperature, (int)s->top_k, s->top_p, s->min_p, row,
                     i, got[i], want[i]);
}

static void test_grid(void **state)
{
    (void)state;
    expected e;
    plim_error err;
    size_t logits_count, scores_count;
    expected_open(&e, "processors");
    float *logits = expected_tensor(&e, "logits", &logits_count);
    float *scores = expected_tensor(&e, "scores", &scores_count);
    size_t grid = expected_count(&e, "grid"), rows = expected_count(&e, "previous"),
           vocab = logits_count / rows;
    assert_int_equal(grid, 216);
    assert_int_equal(scores_count, grid * rows * vocab);

    plim_sampler *sampler;
    assert_int_equal(plim_sampler_open(&sampler, plim_alloc_system(), vocab, &err), PLIM_OK);
    for (size_t i = 0; i < grid; i++) {
        plim_sampling s = settings_of(&e, i);
        assert_int_equal(plim_sampling_check(&s, &err), PLIM_OK);
        for (size_t row = 0; row < rows; row++) {
            token_list previous;
            expected_tokens(&e, &previous, "previous[%zu]", row);
            plim_sampler_reset(sampler, &s);
            for (size_t t = 0; t < previous.count; t++)
                plim_sampler_saw(sampler, previous.ids[t]);
            const float *got = plim_sampler_process(sampler, logits + row * vocab);
            compare(got, scores + (i * rows + row) * vocab, vocab, &s, row);
        }
    }
    plim_sampler_close(&sampler);
    free(logits);
    free(scores);
    expected_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
