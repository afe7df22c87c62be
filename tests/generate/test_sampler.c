/* SPDX-License-Identifier: Apache-2.0
 *
 * The sampler against what Transformers' processors gave (tools/sampling/record.py): processed
 * scores bit for bit, the greedy choice, draws by the chi-square test; then options, memory and
 * seeds.
 * --bench times a token at a vocabulary of 262,144. */
#include "generate/sampler_test.h"

#include <math.h>
#include <time.h>

#include "generate/random.h"
#include "generate/scores.h"

#define DATA PLIM_SOURCE_DIR "/tests/generate/data/"

enum { PENALTY, TEMPERATURE, TOP_K, TOP_P, MIN_P, OPTIONS };

/* A row of processors.bin. */
typedef struct recorded_row {
    uint32_t vocab, previous_count, grid_count[OPTIONS];
    int32_t *previous, *argmax;
    float *logits, *bases;
    double grid[OPTIONS][8];
    size_t pairs, combinations;
} recorded_row;

static recorded_row take_row(recording *r)
{
    recorded_row row = {.vocab = take_u32(r), .combinations = 1};
    row.previous_count = take_u32(r);
    row.previous = take_array(r, row.previous_count, sizeof(int32_t));
    row.logits = take_array(r, row.vocab, sizeof(float));
    for (int i = 0; i < OPTIONS; i++) {
        row.grid_count[i] = take_u32(r);
        assert_in_range(row.grid_count[i], 1, 8);
        take(r, row.grid[i], row.grid_count[i] * sizeof(double));
        row.combinations *= row.grid_count[i];
    }
    row.pairs = row.grid_count[PENALTY] * row.grid_count[TEMPERATURE];
    row.bases = take_array(r, row.pairs * row.vocab, sizeof(float));
    row.argmax = take_array(r, row.pairs, sizeof(int32_t));
    return row;
}

static void free_row(recorded_row *row)
{
    free(row->previous);
    free(row->logits);
    free(row->bases);
    free(row->argmax);
}

/* Options of combination c: the last of the grid varies fastest. */
static plim_sampling options_of(const recorded_row *row, size_t c)
{
    double value[OPTIONS];
    for (int i = OPTIONS - 1; i >= 0; i--) {
        value[i] = row->grid[i][c % row->grid_count[i]];
        c /= row->grid_count[i];
    }
    return (plim_sampling){.do_sample = true,
                           .repetition_penalty = value[PENALTY],
                           .temperature = value[TEMPERATURE],
                           .top_k = (uint64_t)value[TOP_K],
                           .top_p = value[TOP_P],
                           .min_p = value[MIN_P]};
}

static void check_processed(const recorded_row *row, size_t c, const float *got,
                            const unsigned char *kept)
{
    const float *base = row->bases + c / (row->combinations / row->pairs) * row->vocab;
    for (uint32_t i = 0; i < row->vocab; i++) {
        float want = kept[i / 8] >> i % 8 & 1 ? base[i] : -INFINITY;
        if (same_score(got[i], want))
            continue;
        plim_sampling s = options_of(row, c);
        fail_msg("vocabulary %u, penalty %g temperature %g top_k %llu top_p %g min_p %g: token %u "
                 "is %g, "
                 "Transformers gives %g",
                 row->vocab, s.repetition_penalty, s.temperature, (unsigned long long)s.top_k,
                 s.top_p, s.min_p, i, (double)got[i], (double)want);
    }
}

/* A token whose processed score is -inf may only come when there is no other. */
static void check_choice(const recorded_row *row, const float *processed, int32_t token)
{
    assert_in_range(token, 0, row->vocab - 1);
    if (processed[token] != -INFINITY)
        return;
    for (uint32_t i = 0; i < row->vocab; i++)
        assert_true(processed[i] == -INFINITY);
}

static size_t check_row(recording *r)
{
    recorded_row row = take_row(r);
    plim_sampler *sampler = sampler_make(plim_alloc_system(), row.vocab);
    unsigned char *kept = malloc((row.vocab + 7) / 8);
    float *processed = malloc(row.vocab * sizeof *processed);
    size_t known = 0;
    for (size_t c = 0; c < row.combinations; c++) {
        plim_sampling options = options_of(&row, c);
        bool is_known = false;
        take(r, &is_known, 1);
        take(r, kept, (row.vocab + 7) / 8);
        sampler_begin(sampler, &options, row.previous, row.previous_count);
        memcpy(processed, plim_sampler_process(sampler, row.logits), row.vocab * sizeof *processed);
        if (is_known)
            check_processed(&row, c, processed, kept);
        known += is_known;
        check_choice(&row, processed, plim_sampler_next(sampler, row.logits));
    }
    /* Greedy: the penalty alone, whatever the other options say. */
    for (size_t pair = 0; pair < row.pairs; pair++) {
        plim_sampling options = options_of(&row, (pair + 1) * (row.combinations / row.pairs) - 1);
        if (options.temperature != 1)
            continue;
        options.do_sample = false;
        sampler_begin(sampler, &options, row.previous, row.previous_count);
        memset(kept, 0xff, (row.vocab + 7) / 8);
        check_processed(&row, pair * (row.combinations / row.pairs),
                        plim_sampler_process(sampler, row.logits), kept);
        assert_int_equal(plim_sampler_next(sampler, row.logits), row.argmax[pair]);
    }
    free(kept);
    free(processed);
    plim_sampler_close(&sampler);
    free_row(&row);
    return known;
}

static void processed_scores_equal_transformers(void **state)
{
    recording r;
    size_t known = 0;
    (void)state;
    recording_open(&r, DATA "processors.bin");
    uint32_t rows = take_u32(&r);
    assert_in_range(rows, 20, 100);
    for (uint32_t i = 0; i < rows; i++)
        known += check_row(&r);
    recording_close(&r);
    assert_in_range(known, 8500, 9000);
}

/* ---- draws ---- */

#define DRAWS 100000

typedef struct recorded_draw {
    uint32_t vocab, bins;
    plim_sampling options;
    double critical;
    float *logits;
    uint32_t *bin;
    double *probability;
} recorded_draw;

static recorded_draw take_draw(recording *r)
{
    recorded_draw d = {.vocab = take_u32(r), .bins = take_u32(r)};
    d.options = (plim_sampling){.do_sample = true, .repetition_penalty = 1, .seed = 1};
    d.options.temperature = take_f64(r);
    d.options.top_p = take_f64(r);
    d.options.min_p = take_f64(r);
    take(r, &d.options.top_k, sizeof d.options.top_k);
    d.critical = take_f64(r);
    d.logits = take_array(r, d.vocab, sizeof *d.logits);
    d.bin = take_array(r, d.vocab, sizeof *d.bin);
    d.probability = take_array(r, d.bins, sizeof *d.probability);
    return d;
}

static void free_draw(recorded_draw *d)
{
    free(d->logits);
    free(d->bin);
    free(d->probability);
}

/* The statistic of DRAWS draws; bin 0 is what can never be drawn. */
static double chi_square(const recorded_draw *d, const plim_sampling *options)
{
    plim_sampler *sampler = sampler_make(plim_alloc_system(), d->vocab);
    size_t *counts = calloc(d->bins, sizeof *counts);
    double statistic = 0;
    sampler_begin(sampler, options, NULL, 0);
    for (int i = 0; i < DRAWS; i++)
        counts[d->bin[plim_sampler_next(sampler, d->logits)]]++;
    if (counts[0] > 0)
        statistic = INFINITY;
    for (uint32_t i = 1; i < d->bins; i++) {
        double expected = d->probability[i] * DRAWS, off = (double)counts[i] - expected;
        statistic += off * off / expected;
    }
    free(counts);
    plim_sampler_close(&sampler);
    return statistic;
}

static void draws_follow_the_distribution(void **state)
{
    recording r;
    (void)state;
    recording_open(&r, DATA "draws.bin");
    uint32_t rows = take_u32(&r);
    assert_in_range(rows, 5, 100);
    for (uint32_t i = 0; i < rows; i++) {
        recorded_draw d = take_draw(&r);
        double statistic = chi_square(&d, &d.options);
        print_message("    %u tokens, %u bins: chi-square %.1f, critical %.1f\n", d.vocab,
                      d.bins - 1, statistic, d.critical);
        assert_true(statistic < d.critical);
        free_draw(&d);
    }
    recording_close(&r);
}

/* The same test sees a temperature that is 5 % off. */
static void the_chi_square_test_can_fail(void **state)
{
    recording r;
    (void)state;
    recording_open(&r, DATA "draws.bin");
    uint32_t rows = take_u32(&r), tried = 0, seen = 0;
    for (uint32_t i = 0; i < rows; i++) {
        recorded_draw d = take_draw(&r);
        plim_sampling wrong = d.options;
        wrong.temperature *= 1.05;
        if (d.vocab != 7 && d.bins < 100) { /* seven equal logits have no temperature */
            tried++;
            seen += chi_square(&d, &wrong) > d.critical;
        }
        free_draw(&d);
    }
    recording_close(&r);
    assert_true(tried >= 3);
    assert_int_equal(seen, tried);
}

/* ---- seeds ---- */

static void the_generator_is_xoshiro256(void **state)
{
    /* From the authors' code (the vector that the Rust crate rand_xoshiro tests with), and
     * SplitMix64's for the seed 1234567. */
    static const uint64_t from_1234[] = {11520, 0, 1509978240, 1215971899390074240u};
    static const uint64_t seeded[] = {6457827717110365317u, 3203168211198807973u,
                                      9817491932198370423u, 4593380528125082431u};
    plim_random random = {{1, 2, 3, 4}};
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(plim_random_next(&random) == from_1234[i]);
    plim_random_seed(&random, 1234567);
    assert_memory_equal(random.state, seeded, sizeof seeded);
}

static void sample(plim_sampler *sampler, uint64_t seed, const float *logits, int32_t out[64])
{
    plim_sampling options = {.do_sample = true,
                             .repetition_penalty = 1.2,
                             .temperature = 0.9,
                             .top_k = 100,
                             .top_p = 0.95,
                             .seed = seed};
    sampler_begin(sampler, &options, NULL, 0);
    for (int i = 0; i < 64; i++) {
        out[i] = plim_sampler_next(sampler, logits);
        plim_sampler_saw(sampler, out[i]);
    }
}

static void a_seed_reproduces(void **state)
{
    float logits[777];
    int32_t a[64], b[64], c[64], d[64];
    plim_random random;
    (void)state;
    plim_random_seed(&random, 3);
    for (int i = 0; i < 777; i++)
        logits[i] = (float)(6 * plim_random_unit(&random));
    plim_sampler *one = sampler_make(plim_alloc_system(), 777),
                 *two = sampler_make(plim_alloc_system(), 777);
    sample(one, 42, logits, a);
    sample(one, 43, logits, b);
    sample(one, 42, logits, c); /* reset forgets seed and history */
    sample(two, 42, logits, d);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_equal(a, c, sizeof a);
    assert_memory_equal(a, d, sizeof a);
    plim_sampler_close(&one);
    plim_sampler_close(&two);
}

/* ---- scores without probabilities ---- */

static void without_probabilities_the_largest_is_taken(void **state)
{
    static const float rows[][3] = {
        {1, INFINITY, 2}, {1, 2, NAN}, {-INFINITY, -INFINITY, -INFINITY}};
    static const int32_t want[] = {1, 2, 0};
    plim_sampling options = {.do_sample = true,
                             .repetition_penalty = 1,
                             .temperature = 1,
                             .top_k = 2,
                             .top_p = 0.5,
                             .min_p = 0.5};
    (void)state;
    plim_sampler *sampler = sampler_make(plim_alloc_system(), 3);
    for (int i = 0; i < 3; i++) {
        sampler_begin(sampler, &options, NULL, 0);
        assert_int_equal(plim_sampler_next(sampler, rows[i]), want[i]);
    }
    plim_sampler_close(&sampler);
}

static void tokens_out_of_range_are_no_tokens(void **state)
{
    static const float logits[2] = {3, 2};
    static const int32_t strange[] = {-1, 2, INT32_MAX, INT32_MIN, 63, 64};
    plim_sampling options = {.repetition_penalty = 2, .temperature = 1, .top_p = 1};
    (void)state;
    plim_sampler *sampler = sampler_make(plim_alloc_system(), 2);
    sampler_begin(sampler, &options, strange, 6);
    assert_memory_equal(plim_sampler_process(sampler, logits), logits, sizeof logits);
    assert_int_equal(plim_sampler_next(sampler, logits), 0);
    plim_sampler_saw(sampler, 0);
    assert_int_equal(plim_sampler_next(sampler, logits), 1);
    plim_sampler_close(&sampler);
}

/* ---- pieces ---- */

/* exp of every step of 2^-13 from 0 to -90, against libm's in double: within 2 units in the last
 * place. */
static void exponentials_are_close(void **state)
{
    float x[PLIM_SCORES_BLOCK], got[PLIM_SCORES_BLOCK];
    double worst = 0;
    (void)state;
    for (int i = 0; i < 90 * 8192; i += PLIM_SCORES_BLOCK) {
        for (unsigned j = 0; j < PLIM_SCORES_BLOCK; j++)
            x[j] = (float)(i + (int)j) * -0x1p-13f;
        plim_scores_exp(got, x);
        for (unsigned j = 0; j < PLIM_SCORES_BLOCK; j++) {
            double want = exp((double)x[j]);
            double off = fabs((double)got[j] - want) / want;
            if (want < 0x1p-126)
                assert_true(got[j] == 0 || off < 0x1p-22);
            else if (off > worst)
                worst = off;
        }
    }
    assert_true(worst < 0x1p-22);
    x[0] = 0;
    x[1] = -INFINITY;
    x[2] = -3e38f;
    plim_scores_exp(got, x);
    assert_true(got[0] == 1 && got[1] == 0 && got[2] == 0);
}

/* ---- options and memory ---- */

static void refuse(plim_sampling options, const char *word)
{
    plim_error err;
    assert_int_equal(plim_sampling_check(&options, &err), PLIM_E_USAGE);
    assert_int_equal(err.code, PLIM_E_USAGE);
    if (!strstr(err.message, word))
        fail_msg("'%s' does not name %s", err.message, word);
}

static void options_out_of_bounds_are_usage(void **state)
{
    const plim_sampling good = {
        .do_sample = true, .repetition_penalty = 1, .temperature = 1, .top_p = 1};
    static const double not_positive[] = {0, -1, NAN, -INFINITY, 1e-60};
    static const double not_unit[] = {-0.001, 1.001, NAN, INFINITY};
    plim_error err;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        plim_sampling s = good;
        s.temperature = not_positive[i];
        refuse(s, "temperature");
        s = good;
        s.repetition_penalty = not_positive[i];
        refuse(s, "repetition_penalty");
        s.do_sample = false;
        refuse(s, "repetition_penalty");
    }
    for (size_t i = 0; i < 4; i++) {
        plim_sampling s = good;
        s.top_p = not_unit[i];
        refuse(s, "top_p");
        s = good;
        s.min_p = not_unit[i];
        refuse(s, "min_p");
    }
    plim_sampling s = good;
    s.do_sample = false; /* as Transformers, which builds no such processor then */
    s.temperature = 0;
    s.top_p = 7;
    s.min_p = -1;
    assert_int_equal(plim_sampling_check(&s, &err), PLIM_OK);
    s.temperature = NAN;
    refuse(s, "temperature");
    s = good;
    s.lacks = "typical_p";
    assert_int_equal(plim_sampling_check(&s, &err), PLIM_E_UNSUP);
    assert_non_null(strstr(err.message, "typical_p"));
    s.do_sample = false;
    assert_int_equal(plim_sampling_check(&s, NULL), PLIM_OK);
}

static void memory_is_what_was_promised(void **state)
{
    static const size_t vocabs[] = {1, 2, 63, 64, 65, 1000, 50257};
    counting_alloc counting;
    plim_sampler *sampler;
    plim_error err;
    (void)state;
    counting_open(&counting);
    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) {
        sampler = sampler_make(&counting.alloc, vocabs[i]);
        assert_int_equal(counting.live_bytes, plim_sampler_bytes(vocabs[i]));
        float *logits = calloc(vocabs[i], sizeof *logits);
        size_t calls = counting.calls;
        plim_sampling options = {.do_sample = true,
                                 .repetition_penalty = 1.1,
                                 .temperature = 0.5,
                                 .top_k = 40,
                                 .top_p = 0.9,
                                 .min_p = 0.01};
        sampler_begin(sampler, &options, NULL, 0);
        for (int j = 0; j < 10; j++)
            plim_sampler_saw(sampler, plim_sampler_next(sampler, logits));
        assert_int_equal(counting.calls, calls); /* nothing per token */
        free(logits);
        plim_sampler_close(&sampler);
        plim_sampler_close(&sampler);
        assert_int_equal(counting.live_bytes, 0);
    }
    counting.fail_at = counting.calls + 1;
    assert_int_equal(plim_sampler_open(&sampler, &counting.alloc, 10, &err), PLIM_E_NOMEM);
    assert_null(sampler);
    assert_int_equal(plim_sampler_open(&sampler, &counting.alloc, 0, &err), PLIM_E_USAGE);
    assert_int_equal(plim_sampler_open(&sampler, &counting.alloc, (size_t)INT32_MAX + 1, &err),
                     PLIM_E_USAGE);
    assert_null(sampler);
    assert_int_equal(counting.live_blocks, 0);
}

/* ---- bench ---- */

static void bench_one(const char *name, plim_sampling options, const float *logits, size_t vocab)
{
    plim_sampler *sampler = sampler_make(plim_alloc_system(), vocab);
    double best = INFINITY;
    sampler_begin(sampler, &options, NULL, 0);
    plim_sampler_saw(sampler, plim_sampler_next(sampler, logits)); /* touch the memory */
    for (int round = 0; round < 20; round++) {
        clock_t start = clock(); /* processor time: others may be at work */
        for (int i = 0; i < 10; i++)
            plim_sampler_saw(sampler, plim_sampler_next(sampler, logits));
        double each = (double)(clock() - start) / CLOCKS_PER_SEC / 10;
        best = each < best ? each : best;
    }
    printf("%-36s %8.0f ns per token\n", name, best * 1e9);
    plim_sampler_close(&sampler);
}

static int bench(void)
{
    size_t vocab = 262144;
    float *logits = malloc(vocab * sizeof *logits);
    plim_random random;
    assert_non_null(logits);
    plim_random_seed(&random, 1);
    /* Nearly normal, of standard deviation 2.5. */
    for (size_t i = 0; i < vocab; i++) {
        double sum = -6;
        for (int j = 0; j < 12; j++)
            sum += plim_random_unit(&random);
        logits[i] = (float)(2.5 * sum);
    }
    const plim_sampling greedy = {.repetition_penalty = 1, .temperature = 1, .top_p = 1};
    plim_sampling s = greedy;
    bench_one("greedy", s, logits, vocab);
    s.repetition_penalty = 1.1;
    bench_one("greedy, repetition_penalty 1.1", s, logits, vocab);
    s = greedy;
    s.do_sample = true;
    bench_one("sample", s, logits, vocab);
    s.temperature = 0.8;
    bench_one("sample, temperature 0.8", s, logits, vocab);
    s.top_k = 50;
    bench_one("temperature 0.8, top_k 50", s, logits, vocab);
    s.temperature = 1;
    s.top_p = 0.9;
    bench_one("top_k 50, top_p 0.9", s, logits, vocab);
    s.temperature = 0.8;
    bench_one("temperature 0.8, top_k 50, top_p 0.9", s, logits, vocab);
    s.temperature = 1;
    s.top_k = 0;
    bench_one("top_p 0.9", s, logits, vocab);
    s.top_k = 100000;
    bench_one("top_k 100000, top_p 0.9", s, logits, vocab);
    s.top_k = 0;
    s.top_p = 1;
    s.min_p = 0.05;
    bench_one("min_p 0.05", s, logits, vocab);
    s.min_p = 0;
    s.top_p = 0.9;
    for (size_t i = 0; i < 20; i++)
        logits[i * 13000] += 12;
    bench_one("top_p 0.9, twenty tokens lead", s, logits, vocab);
    for (size_t i = 0; i < vocab; i++)
        logits[i] = 1;
    bench_one("top_p 0.9, all logits equal", s, logits, vocab);
    free(logits);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processed_scores_equal_transformers),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(the_chi_square_test_can_fail),
        cmocka_unit_test(the_generator_is_xoshiro256),
        cmocka_unit_test(a_seed_reproduces),
        cmocka_unit_test(without_probabilities_the_largest_is_taken),
        cmocka_unit_test(tokens_out_of_range_are_no_tokens),
        cmocka_unit_test(exponentials_are_close),
        cmocka_unit_test(options_out_of_bounds_are_usage),
        cmocka_unit_test(memory_is_what_was_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
