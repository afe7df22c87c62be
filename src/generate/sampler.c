/* SPDX-License-Identifier: Apache-2.0
 *
 * The sampler: Transformers' processors, the filters, the choice.  Passes over rows are in
 * scores.c. Invariants:
 *  1. Each step gives what its Transformers processor gives in float32 on a CPU: scores bit for
 * bit; the filters on float32 probabilities, summed in double as torch.cumsum does, with the
 * exponential within 2 units in the last place.
 *  2. What is left after a filter is a list of candidates, ascending; filters before the first that
 * is on leave `all` set and the list unwritten.  So a vocabulary of 262,144 costs passes over
 * blocks, never a sort.
 *  3. Order among equal scores, for top-p: ascending by index (a stable sort), so the lower index
 * goes first.
 *  4. Where a score is NaN or +infinity, or all are -infinity, probabilities do not exist: top-p
 * and min-p remove nothing (as in Transformers), and the draw, which Transformers refuses, takes
 * the largest. */
#include <assert.h>
#include <math.h>

#include "generate/random.h"
#include "generate/sampler.h"
#include "generate/scores.h"

#define BLOCK PLIM_SCORES_BLOCK

struct plim_sampler {
    const plim_alloc *alloc;
    size_t vocab, blocks;
    plim_sampling sampling;
    float penalty, temperature; /* as float32, as torch sees them */
    float cut;                  /* 1 - top_p */
    float min_p;
    plim_random random;

    float *scores;    /* f32 [blocks * BLOCK]: after penalty and temperature; -inf from vocab on */
    float *block_max; /* f32 [blocks], NaN aside */
    bool nan;         /* one of the scores is */
    float largest;

    bool all;       /* every token is a candidate; `kept` is not written */
    size_t count;   /* of candidates */
    uint32_t *kept; /* u32 [vocab] */
    float *weights; /* f32 [blocks * BLOCK]: exp(score - largest) of the candidates */
    double *sums;   /* f64 [blocks]: of the weights, per block of candidates */

    uint64_t *seen; /* one bit per token */
    union {
        uint32_t counts[PLIM_SCORES_BUCKETS];
        double mass[PLIM_SCORES_BUCKETS];
    } scratch;
};

/* ---- options ---- */

static plim_status check_range(double value, double max, const char *name, plim_error *err)
{
    if (value >= 0 && value <= max)
        return PLIM_OK;
    return plim_fail(err, PLIM_E_USAGE, "%s is %g, want a number from 0 to %g", name, value, max);
}

static plim_status check_positive(double value, const char *name, plim_error *err)
{
    if (!(value > 0))
        return plim_fail(err, PLIM_E_USAGE, "%s is %g, want a number above 0", name, value);
    if ((float)value == 0)
        return plim_fail(err, PLIM_E_USAGE, "%s is %g, which is 0 in float32", name, value);
    return PLIM_OK;
}

plim_status plim_sampling_check(const plim_sampling *sampling, plim_error *err)
{
    const plim_sampling *s = sampling;
    if (isnan(s->temperature))
        return plim_fail(err, PLIM_E_USAGE, "temperature is not a number");
    if (isnan(s->top_p) || isnan(s->min_p))
        return plim_fail(err, PLIM_E_USAGE, "%s is not a number",
                         isnan(s->top_p) ? "top_p" : "min_p");
    plim_status status = check_positive(s->repetition_penalty, "repetition_penalty", err);
    if (status != PLIM_OK || !s->do_sample)
        return status;
    if (s->lacks)
        return plim_fail(
            err, PLIM_E_UNSUP,
            "the model's generation config sets %s, which changes sampled text and is not "
            "supported yet; turn do_sample off or take it out",
            s->lacks);
    status = check_positive(s->temperature, "temperature", err);
    if (status == PLIM_OK)
        status = check_range(s->top_p, 1, "top_p", err);
    if (status == PLIM_OK)
        status = check_range(s->min_p, 1, "min_p", err);
    return status;
}

/* ---- memory ---- */

/* The arrays follow the struct in one block, each at a multiple of 16. */
typedef struct layout {
    size_t scores, block_max, kept, weights, sums, seen, total;
} layout;

static size_t place(size_t *end, size_t bytes)
{
    size_t at = (*end + 15) / 16 * 16;
    *end = at + bytes;
    return at;
}

static layout lay_out(size_t vocab)
{
    size_t blocks = (vocab + BLOCK - 1) / BLOCK, end = sizeof(plim_sampler);
    layout l;
    l.scores = place(&end, blocks * BLOCK * sizeof(float));
    l.block_max = place(&end, blocks * sizeof(float));
    l.kept = place(&end, vocab * sizeof(uint32_t));
    l.weights = place(&end, blocks * BLOCK * sizeof(float));
    l.sums = place(&end, blocks * sizeof(double));
    l.seen = place(&end, blocks * sizeof(uint64_t));
    l.total = end;
    return l;
}

uint64_t plim_sampler_bytes(size_t vocab)
{
    return vocab > INT32_MAX ? UINT64_MAX : lay_out(vocab).total;
}

plim_status plim_sampler_open(plim_sampler **out, const plim_alloc *alloc, size_t vocab,
                              plim_error *err)
{
    static_assert(BLOCK == 64, "a word of `seen` is a block");
    *out = NULL;
    if (vocab == 0 || vocab > INT32_MAX)
        return plim_fail(err, PLIM_E_USAGE, "a vocabulary of %zu tokens, want 1..%d", vocab,
                         INT32_MAX);
    layout l = lay_out(vocab);
    char *block = plim_new(alloc, 1, l.total, err);
    if (!block)
        return err ? err->code : PLIM_E_NOMEM;
    plim_sampler *s = (plim_sampler *)(void *)block;
    s->alloc = alloc;
    s->vocab = vocab;
    s->blocks = (vocab + BLOCK - 1) / BLOCK;
    s->scores = (float *)(void *)(block + l.scores);
    s->block_max = (float *)(void *)(block + l.block_max);
    s->kept = (uint32_t *)(void *)(block + l.kept);
    s->weights = (float *)(void *)(block + l.weights);
    s->sums = (double *)(void *)(block + l.sums);
    s->seen = (uint64_t *)(void *)(block + l.seen);
    plim_sampling greedy = {.repetition_penalty = 1, .temperature = 1, .top_p = 1};
    plim_sampler_reset(s, &greedy);
    *out = s;
    return PLIM_OK;
}

void plim_sampler_close(plim_sampler **sampler)
{
    if (*sampler)
        plim_delete((*sampler)->alloc, *sampler);
    *sampler = NULL;
}

void plim_sampler_reset(plim_sampler *sampler, const plim_sampling *sampling)
{
    sampler->sampling = *sampling;
    sampler->penalty = (float)sampling->repetition_penalty;
    sampler->temperature = sampling->do_sample ? (float)sampling->temperature : 1.0f;
    sampler->cut = (float)(1 - sampling->top_p);
    sampler->min_p = (float)sampling->min_p;
    plim_random_seed(&sampler->random, sampling->seed);
    memset(sampler->seen, 0, sampler->blocks * sizeof *sampler->seen);
}

void plim_sampler_saw(plim_sampler *sampler, int32_t token)
{
    if (token >= 0 && (size_t)token < sampler->vocab)
        sampler->seen[(size_t)token / 64] |= (uint64_t)1 << ((size_t)token % 64);
}

/* ---- penalty and temperature ---- */

static void penalize(plim_sampler *s)
{
    for (size_t word = 0; word < s->blocks; word++) {
        for (uint64_t bits = s->seen[word]; bits; bits &= bits - 1) {
            float *score = s->scores + word * 64 + (size_t)__builtin_ctzll(bits);
            *score = *score < 0 ? *score * s->penalty : *score / s->penalty;
        }
    }
}

/* logits -> scores, and what the filters want to know of them. */
static void score(plim_sampler *s, const float *logits)
{
    memcpy(s->scores, logits, s->vocab * sizeof *logits);
    for (size_t i = s->vocab; i < s->blocks * BLOCK; i++)
        s->scores[i] = -INFINITY;
    if (s->penalty != 1)
        penalize(s);
    s->nan = false;
    s->largest = -INFINITY;
    for (size_t b = 0; b < s->blocks; b++) {
        float *block = s->scores + b * BLOCK;
        if (s->temperature != 1)
            plim_scores_divide(block, s->temperature);
        float most = plim_scores_block_largest(block, &s->nan);
        s->block_max[b] = most;
        s->largest = most > s->largest ? most : s->largest;
    }
    s->all = true;
    s->count = s->vocab;
}

/* ---- candidates ---- */

static uint32_t candidate(const plim_sampler *s, size_t i)
{
    return s->all ? (uint32_t)i : s->kept[i];
}

/* Candidate i of before is number `to` (<= i) of those to come, and stays if the next takes another
 * number. Without a branch: which one stays is hard to foretell. */
static void put(plim_sampler *s, size_t to, size_t i)
{
    s->kept[to] = candidate(s, i);
    s->weights[to] = s->weights[i];
}

static void set_count(plim_sampler *s, size_t count)
{
    s->all = false;
    s->count = count;
}

/* weights of all candidates. */
static void weigh(plim_sampler *s)
{
    for (size_t at = 0; at < s->count; at += BLOCK) {
        float x[BLOCK];
        size_t n = s->count - at < BLOCK ? s->count - at : BLOCK;
        if (s->all) {
            for (size_t i = 0; i < BLOCK; i++)
                x[i] = s->scores[at + i] - s->largest;
        } else {
            for (size_t i = 0; i < BLOCK; i++)
                x[i] = i < n ? s->scores[s->kept[at + i]] - s->largest : -INFINITY;
        }
        plim_scores_exp(s->weights + at, x);
    }
}

/* Their sum; the sums of blocks stay in s->sums. */
static double sum_weights(plim_sampler *s)
{
    double total = 0;
    for (size_t at = 0; at < s->count; at += BLOCK) {
        size_t n = s->count - at < BLOCK ? s->count - at : BLOCK;
        total += s->sums[at / BLOCK] = plim_scores_sum(s->weights + at, n, 1.0f);
    }
    return total;
}

static float largest_weight(const plim_sampler *s, size_t at, size_t n)
{
    bool nan = false;
    if (n == BLOCK)
        return plim_scores_block_largest(s->weights + at, &nan);
    float most = 0;
    for (size_t i = at; i < at + n; i++)
        most = s->weights[i] > most ? s->weights[i] : most;
    return most;
}

/* Drop the candidates whose weight * scale is below `bound`; returns their sum of weight * scale.
 */
static double drop_below(plim_sampler *s, float scale, float bound)
{
    size_t count = s->count, to = 0;
    double dropped = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t n = count - at < BLOCK ? count - at : BLOCK;
        if (largest_weight(s, at, n) * scale < bound) {
            dropped += plim_scores_sum(s->weights + at, n, scale);
            continue;
        }
        float lost[BLOCK];
        for (size_t i = 0; i < n; i++) {
            float weight = s->weights[at + i];
            bool stays = weight * scale >= bound;
            lost[i] = stays ? 0 : weight;
            put(s, to, at + i);
            to += stays;
        }
        dropped += plim_scores_sum(lost, n, scale);
    }
    set_count(s, to);
    return dropped;
}

/* ---- top-k ---- */

/* The k-th largest score.  The k-th largest of the blocks' largest is no larger, so all that
 * matters is at or above it, and few blocks reach it. */
static float find_kth(plim_sampler *s, size_t k)
{
    if (s->nan || k > s->blocks)
        return plim_scores_kth(s->scores, s->vocab, k, s->scratch.counts);
    float floor = plim_scores_kth(s->block_max, s->blocks, k, s->scratch.counts);
    float *reached = s->weights; /* not in use yet */
    size_t count = 0;
    for (size_t b = 0; b < s->blocks; b++) {
        if (s->block_max[b] < floor)
            continue;
        size_t end = (b + 1) * BLOCK < s->vocab ? (b + 1) * BLOCK : s->vocab;
        for (size_t i = b * BLOCK; i < end; i++) {
            if (s->scores[i] >= floor)
                reached[count++] = s->scores[i];
        }
    }
    return plim_scores_kth(reached, count, k, s->scratch.counts);
}

/* Keeps every score that is not below the k-th largest, ties included. */
static void filter_top_k(plim_sampler *s, size_t k)
{
    float kth = find_kth(s, k);
    size_t count = 0;
    for (size_t b = 0; b < s->blocks; b++) {
        if (s->block_max[b] < kth && !s->nan)
            continue;
        size_t end = (b + 1) * BLOCK < s->vocab ? (b + 1) * BLOCK : s->vocab;
        for (size_t i = b * BLOCK; i < end; i++) {
            if (!(s->scores[i] < kth))
                s->kept[count++] = (uint32_t)i;
        }
    }
    set_count(s, count);
}

/* ---- top-p ---- */

/* The bucket in which the running sum of `mass`, rounded to float32, passes the cut; the last that
 * holds anything if it does not.  *below: the sum before the first bucket, then before that one. */
static uint32_t bucket_of_cut(const plim_sampler *s, double *below)
{
    const double *mass = s->scratch.mass;
    uint32_t last = PLIM_SCORES_BUCKETS - 1, bucket = 0;
    while (last > 0 && mass[last] == 0)
        last--;
    while (bucket < last && (float)(*below + mass[bucket]) <= s->cut)
        *below += mass[bucket++];
    return bucket;
}

/* Which of the equal steps from largest - span to largest candidate i is in. */
static uint32_t bucket_of(const plim_sampler *s, size_t i, float span, float step)
{
    float steps = (s->scores[s->kept[i]] - s->largest + span) * step;
    return steps < 0 ? 0 : steps >= PLIM_SCORES_BUCKETS ? PLIM_SCORES_BUCKETS - 1 : (uint32_t)steps;
}

/* Drop the candidates that are removed for certain, first by a bound, then by a histogram of scores
 * in equal steps.  Returns their sum. */
static double narrow(plim_sampler *s, float scale)
{
    /* A token is removed when the sum up to it is within the cut.  At most `count` tokens are at or
     * below it, so one with less than cut / count is; a thousandth is left for rounding. */
    float certain = s->cut / (float)s->count * 0.999f;
    double below = drop_below(s, scale, certain), *mass = s->scratch.mass;
    float span = (float)-ilogbf(certain / scale) * 0.6931472f; /* of the scores that are left */
    span = span > 1 ? span : 1;
    float step = (float)(PLIM_SCORES_BUCKETS - 1) / span;
    memset(mass, 0, PLIM_SCORES_BUCKETS * sizeof *mass);
    for (size_t i = 0; i < s->count; i++)
        mass[bucket_of(s, i, span, step)] += (double)(s->weights[i] * scale);
    uint32_t cut = bucket_of_cut(s, &below);
    size_t to = 0;
    for (size_t i = 0; i < s->count; i++) {
        bool stays = bucket_of(s, i, span, step) >= cut;
        put(s, to, i);
        to += stays;
    }
    set_count(s, to);
    return below;
}

/* The first candidate in ascending order of (score, index) whose running sum, rounded to float32,
 * passes the cut; the last in that order if none does.  `below`: the sum of what was dropped
 * before.  A radix selection: each pass fixes some bits of the key. */
static void find_cut(plim_sampler *s, float scale, double below, uint32_t *key, size_t *first)
{
    static const unsigned shifts[] = {21, 10, 0};
    uint32_t prefix = 0, mask = 0;
    double *mass = s->scratch.mass;
    for (unsigned pass = 0; pass < 3; pass++) {
        unsigned shift = shifts[pass];
        uint32_t bits = pass < 2 ? PLIM_SCORES_BUCKETS - 1 : 1023;
        memset(mass, 0, PLIM_SCORES_BUCKETS * sizeof *mass);
        for (size_t i = 0; i < s->count; i++) {
            uint32_t k = plim_scores_key(s->scores[s->kept[i]]);
            if (((k ^ prefix) & mask) == 0)
                mass[(k >> shift) & bits] += (double)(s->weights[i] * scale);
        }
        prefix |= bucket_of_cut(s, &below) << shift;
        mask |= bits << shift;
    }
    *key = prefix;
    for (size_t i = 0; i < s->count; i++) {
        if (plim_scores_key(s->scores[s->kept[i]]) != prefix)
            continue;
        *first = i;
        below += (double)(s->weights[i] * scale);
        if ((float)below > s->cut)
            return;
    }
}

static void filter_top_p(plim_sampler *s)
{
    float scale = 1.0f / (float)sum_weights(s);
    double below = narrow(s, scale);
    uint32_t key;
    size_t first = 0, to = 0;
    find_cut(s, scale, below, &key, &first);
    for (size_t i = 0; i < s->count; i++) {
        uint32_t k = plim_scores_key(s->scores[s->kept[i]]);
        put(s, to, i);
        to += k > key || (k == key && i >= first);
    }
    set_count(s, to);
}

/* ---- all of it ---- */

static bool has_probabilities(const plim_sampler *s)
{
    return !s->nan && isfinite(s->largest);
}

/* logits -> scores and candidates (with their weights, where there are probabilities). */
static void filter(plim_sampler *s, const float *logits)
{
    const plim_sampling *options = &s->sampling;
    score(s, logits);
    if (!options->do_sample)
        return;
    if (options->top_k > 0 && options->top_k < s->vocab)
        filter_top_k(s, (size_t)options->top_k);
    if (!has_probabilities(s))
        return;
    weigh(s);
    if (options->top_p < 1)
        filter_top_p(s);
    if (options->min_p > 0) {
        float scale = 1.0f / (float)sum_weights(s);
        drop_below(s, scale, s->min_p * scale);
    }
}

const float *plim_sampler_process(plim_sampler *sampler, const float *logits)
{
    filter(sampler, logits);
    if (sampler->all)
        return sampler->scores;
    size_t next = 0;
    for (size_t i = 0; i < sampler->count; i++) {
        while (next < sampler->kept[i])
            sampler->scores[next++] = -INFINITY;
        next++;
    }
    while (next < sampler->vocab)
        sampler->scores[next++] = -INFINITY;
    return sampler->scores;
}

/* The first candidate whose running sum of weights passes a uniform draw from [0, total). */
static uint32_t draw(plim_sampler *s)
{
    double target = sum_weights(s) * plim_random_unit(&s->random), sum = 0;
    size_t at = 0, end = s->count;
    while (at < s->count && sum + s->sums[at / BLOCK] <= target) {
        sum += s->sums[at / BLOCK];
        at += BLOCK;
    }
    if (at < s->count)
        end = at + BLOCK < s->count ? at + BLOCK : s->count;
    for (size_t i = at; i < end; i++) {
        sum += (double)s->weights[i];
        if (sum > target)
            return candidate(s, i);
    }
    /* Only when rounding carried the target to the end of its block, or of all: the last that can
     * be drawn. */
    while (s->weights[end - 1] == 0)
        end--;
    return candidate(s, end - 1);
}

/* plim_scores_largest of the scores, with what `score` found. */
static size_t largest_score(const plim_sampler *s)
{
    if (s->nan)
        return plim_scores_largest(s->scores, s->vocab);
    size_t i = 0;
    while (s->block_max[i / BLOCK] < s->largest)
        i += BLOCK;
    while (s->scores[i] < s->largest)
        i++;
    return i;
}

int32_t plim_sampler_next(plim_sampler *sampler, const float *logits)
{
    if (!sampler->sampling.do_sample && sampler->penalty == 1)
        return (int32_t)plim_scores_largest(logits, sampler->vocab);
    filter(sampler, logits);
    if (!sampler->sampling.do_sample || !has_probabilities(sampler))
        return (int32_t)largest_score(sampler);
    return (int32_t)draw(sampler);
}
