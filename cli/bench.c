/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll bench: load, prefill and decode beside the limits of this machine, measured in turns
 * with them, for clocks and neighbours change within seconds.  A round is a slice of the limit, a
 * pass, a slice of the limit; its share is what the limits around the pass allow over what it took.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "interrupt.h"
#include "values.h"

#define SLICE_SECONDS   0.1  /* of a limit */
#define SHORT_SECONDS   0.05 /* a round of new tokens takes no less */
#define LONG_SECONDS    0.3  /* and begins no further token after that */
#define CELL_SECONDS    5.0  /* after which no round is begun, unless --rounds asks for it */
#define MIN_ROUNDS      3
#define DEFAULT_ROUNDS  7
#define DEFAULT_TOKENS  32
#define DEFAULT_CONTEXT 4096
#define REGION_BYTES    ((uint64_t)256 << 20) /* more than any cache holds */
#define SMALL_REGION    ((uint64_t)64 << 20)
#define MIN_REGION      ((uint64_t)1 << 20)

const char *bench_bound_name(bench_bound bound)
{
    static const char *const names[] = {"memory", "arithmetic", "disk"};
    return names[bound];
}

/* ---- what is measured ---- */

/* The plan with the positions that are needed (0: the library's choice), to learn sizes from. */
static plim_status look(bench *b, uint64_t positions, plim_error *err)
{
    plim_plan *plan = NULL;
    plim_model_options options = b->c->model;
    if (!options.context)
        options.context = (uint32_t)positions;
    plim_status status =
        plim_plan_open(&plan, b->c->context, b->c->options.names[0], &options, err);
    if (status == PLIM_OK)
        plim_plan_describe(plan, &b->info);
    plim_plan_close(&plan);
    return status;
}

static uint64_t most_of(const cli_counts *counts)
{
    uint64_t most = 0;
    for (size_t i = 0; i < counts->n; i++)
        most = counts->count[i] > most ? counts->count[i] : most;
    return most;
}

static uint64_t positions_of(const bench *b)
{
    uint64_t decode = b->contexts.n ? most_of(&b->contexts) + b->slice_tokens : 0;
    uint64_t prefill = most_of(&b->prompts);
    return decode > prefill ? decode : prefill;
}

/* Lists that were not given: what the context has room for. */
static void choose_defaults(bench *b, plim_error *err)
{
    const cli_options *o = &b->c->options;
    uint64_t room = b->info.context;
    static const uint64_t prompts[] = {128, 512};
    for (size_t i = 0; !o->prompts.n && i < 2; i++)
        if (prompts[i] <= room)
            b->prompts.count[b->prompts.n++] = prompts[i];
    if (!o->prompts.n && !b->prompts.n)
        b->prompts.count[b->prompts.n++] = room;
    if (o->contexts.n)
        return;
    b->contexts.n = 1;              /* an empty one */
    uint64_t far = DEFAULT_CONTEXT; /* of a model that is made for more than that, all of it */
    if (o->context || room < far || look(b, far + b->slice_tokens, err) != PLIM_OK)
        far = room > b->slice_tokens ? room - b->slice_tokens : 0;
    if (far > DEFAULT_CONTEXT)
        far = DEFAULT_CONTEXT;
    if (far)
        b->contexts.count[b->contexts.n++] = far;
}

static plim_status choose(bench *b, plim_error *err)
{
    const cli_options *o = &b->c->options;
    uint64_t tokens = o->max_new_tokens > 0 ? (uint64_t)o->max_new_tokens : DEFAULT_TOKENS;
    b->rounds = o->rounds ? o->rounds : DEFAULT_ROUNDS;
    b->slice_tokens = (tokens + b->rounds - 1) / b->rounds;
    b->prompts = o->prompts;
    b->contexts = o->contexts;
    plim_status status = look(b, 0, err);
    if (status != PLIM_OK)
        return status;
    if (!b->info.runnable) /* refused by the load, with the list of what is known */
        return PLIM_OK;
    plim_error ignored; /* of a default that the model has no room for */
    choose_defaults(b, &ignored);
    b->positions = positions_of(b);
    for (size_t i = 0; i < b->prompts.n; i++)
        if (b->prompts.count[i] == 0)
            return cli_fail(err, PLIM_E_USAGE, "--prompt: a prompt has at least one token");
    if (o->context && b->positions > o->context)
        return cli_fail(err, PLIM_E_USAGE,
                        "the prompts and contexts need %" PRIu64
                        " positions (new tokens take %" PRIu64 "), --context is %" PRIu64,
                        b->positions, b->contexts.n ? b->slice_tokens : 0, o->context);
    if (b->positions > UINT32_MAX)
        return cli_fail(err, PLIM_E_USAGE, "%" PRIu64 " positions are more than any model has",
                        b->positions);
    return look(b, b->positions, err);
}

/* ---- limits ---- */

static void say(bench *b, const char *what, uint64_t tokens, size_t round)
{
    cli_progress *p = &b->c->progress;
    if (!p->on)
        return;
    progress_clear(p);
    fprintf(stderr, "\r%s %" PRIu64 ", round %zu of %" PRIu64, what, tokens, round + 1, b->rounds);
    fflush(stderr);
    p->shown = true;
}

/* Room for the bare read: as much as a pass reads, where the line leaves it. */
static plim_status open_limits(bench *b, plim_error *err)
{
    const plim_plan_info *info = &b->info;
    uint64_t bytes = info->weight_bytes < REGION_BYTES ? info->weight_bytes : REGION_BYTES;
    uint64_t most = info->streamed_bytes ? SMALL_REGION : REGION_BYTES;
    if (info->limit && !info->streamed_bytes)
        most = info->limit > info->held ? info->limit - info->held : 0;
    else if (info->limit) /* the rest is better used by weights that stay */
        most = info->limit / 16;
    if (most < SMALL_REGION && bytes > most && !b->c->options.quiet)
        fprintf(stderr, "plimsoll: warning: the line leaves little room for measuring memory: its "
                        "speed may be that of a cache\n");
    bytes = bytes < most ? bytes : most;
    b->region_bytes = bytes > MIN_REGION ? bytes : MIN_REGION;
    return plim_limits_open(&b->limits, b->c->context, b->region_bytes, err);
}

/* What is found out before the load: page cache, disk, ways to read memory. */
static plim_status prepare(bench *b, plim_error *err)
{
    plim_speeds speeds = {0};
    plim_error why;
    bench_page_cache(b);
    plim_status status =
        plim_probe(&speeds, b->c->context, b->c->options.names[0], &b->c->model, &why);
    progress_clear(&b->c->progress);
    if (status == PLIM_E_CANCELLED) {
        *err = why;
        return status;
    }
    if (status != PLIM_OK && !b->c->options.quiet)
        fprintf(stderr, "plimsoll: warning: the disk is not measured: %s\n", why.message);
    b->disk = speeds.disk;
    (void)plim_process_peak_reset(&why); /* what measuring took is no part of what is foretold */
    return open_limits(b, err);
}

static double limit_slice(bench *b, plim_limit what)
{
    bench_limit *l = &b->limit[what];
    double speed = plim_limits_measure(b->limits, what, SLICE_SECONDS);
    if (l->count < BENCH_MAX_SLICES)
        l->speed[l->count++] = speed;
    return speed;
}

/* The limits that count for a cell, at one moment. */
typedef struct speeds_now {
    double read, fma, int8;
} speeds_now;

static speeds_now measure_limits(bench *b, const bench_cell *cell)
{
    speeds_now now = {0};
    if (cell->decode)
        now.read = limit_slice(b, PLIM_LIMIT_READ);
    else
        now.fma = limit_slice(b, PLIM_LIMIT_FMA);
    if (!cell->decode && cell->cost.int8_operations > 0)
        now.int8 = limit_slice(b, PLIM_LIMIT_INT8);
    return now;
}

static double mean(double a, double b)
{
    return (a + b) / 2;
}

/* The seconds that the limits before and after a pass allow. */
static double least_seconds(const bench *b, bench_cell *cell, const speeds_now *before,
                            const speeds_now *after)
{
    double least;
    const plim_pass_cost *cost = &cell->cost;
    if (cell->decode) {
        least = (double)(cost->weight_bytes + cost->kv_bytes) / mean(before->read, after->read);
        cell->bound = BOUND_MEMORY;
    } else {
        least = cost->float_operations / mean(before->fma, after->fma);
        if (cost->int8_operations > 0)
            least += cost->int8_operations / mean(before->int8, after->int8);
        cell->bound = BOUND_ARITHMETIC;
    }
    if (b->disk > 0 && cell->streamed / b->disk > least) {
        least = cell->streamed / b->disk;
        cell->bound = BOUND_DISK;
    }
    return least;
}

/* ---- passes ---- */

static plim_status interrupted(plim_error *err)
{
    return interrupt_seen() ? cli_fail(err, PLIM_E_CANCELLED, "interrupted") : PLIM_OK;
}

static int32_t some_token(const bench *b, uint64_t i)
{
    return (int32_t)((i * 2654435761u + 12345) % plim_model_vocab_size(b->model));
}

static plim_status prefill(bench *b, const int32_t *ids, uint64_t count, double *seconds,
                           plim_error *err)
{
    plim_status status = plim_session_truncate(b->session, 0, err);
    double start = cli_now();
    if (status == PLIM_OK)
        status = plim_session_eval(b->session, ids, (size_t)count, NULL, NULL, err);
    *seconds = cli_now() - start;
    return status;
}

/* New tokens one by one, behind `context`, again and again from there.  Seconds per token. */
static plim_status decode(bench *b, uint64_t context, double *seconds, double *tokens,
                          plim_error *err)
{
    uint64_t done = 0, in_slice = 0;
    double start = cli_now(), took = 0;
    plim_status status = PLIM_OK;
    while (status == PLIM_OK &&
           (done == 0 || took < SHORT_SECONDS || (done < b->slice_tokens && took < LONG_SECONDS))) {
        if (in_slice == b->slice_tokens) {
            status = plim_session_truncate(b->session, (size_t)context, err);
            in_slice = 0;
        }
        int32_t token = some_token(b, done);
        if (status == PLIM_OK)
            status = plim_session_eval(b->session, &token, 1, NULL, NULL, err);
        in_slice++;
        done++;
        took = cli_now() - start;
    }
    plim_error ignored; /* a cancelled session may hold less */
    plim_status back = plim_session_truncate(b->session, (size_t)context, &ignored);
    *seconds = took / (double)done;
    *tokens = (double)done;
    return status != PLIM_OK ? status : back;
}

static plim_status round_of(bench *b, bench_cell *cell, const int32_t *ids, double *seconds,
                            plim_error *err)
{
    plim_stream_info before, after;
    double passes = 1;
    plim_model_stream_info(b->model, &before);
    plim_status status = cell->decode ? decode(b, cell->tokens, seconds, &passes, err)
                                      : prefill(b, ids, cell->tokens, seconds, err);
    plim_model_stream_info(b->model, &after);
    cell->streamed = (double)(after.used_bytes - before.used_bytes) / passes;
    return status;
}

static plim_status measure_cell(bench *b, bench_cell *cell, const int32_t *ids, plim_error *err)
{
    plim_status status = PLIM_OK;
    plim_model_pass_cost(b->model, cell->decode ? (size_t)cell->tokens : 0,
                         cell->decode ? 1 : (size_t)cell->tokens, &cell->cost);
    if (cell->decode)
        status = plim_session_fill(b->session, (size_t)cell->tokens, cell->tokens, err);
    double start = cli_now();
    speeds_now before = measure_limits(b, cell);
    while (status == PLIM_OK && cell->rounds < b->rounds) {
        say(b, cell->decode ? "decode at" : "prefill of", cell->tokens, cell->rounds);
        double *seconds = &cell->seconds[cell->rounds];
        status = round_of(b, cell, ids, seconds, err);
        if (status == PLIM_OK)
            status = interrupted(err);
        if (status != PLIM_OK)
            break;
        speeds_now after = measure_limits(b, cell);
        cell->least[cell->rounds++] = least_seconds(b, cell, &before, &after);
        before = after;
        if (!b->c->options.rounds && cell->rounds >= MIN_ROUNDS && cli_now() - start > CELL_SECONDS)
            break;
    }
    return status;
}

static plim_status measure_cells(bench *b, plim_error *err)
{
    uint64_t longest = most_of(&b->prompts);
    int32_t *ids = malloc((size_t)(longest + 1) * sizeof *ids);
    double ignored;
    if (!ids)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for %" PRIu64 " token ids", longest);
    for (uint64_t i = 0; i <= longest; i++)
        ids[i] = some_token(b, i);
    /* nothing that happens once counts */
    plim_status status = prefill(b, ids,
                                 longest && longest < 32 ? longest
                                 : longest               ? 32
                                                         : 1,
                                 &ignored, err);
    for (size_t i = 0; status == PLIM_OK && i < b->prompts.n + b->contexts.n; i++) {
        bench_cell *cell = &b->cells[b->cell_count++];
        cell->decode = i >= b->prompts.n;
        cell->tokens = cell->decode ? b->contexts.count[i - b->prompts.n] : b->prompts.count[i];
        status = measure_cell(b, cell, ids, err);
    }
    free(ids);
    return status;
}

static plim_status measure(bench *b, plim_error *err)
{
    plim_status status = plim_session_open(&b->session, b->model, err);
    if (status != PLIM_OK)
        return status;
    interrupt_watch(b->session);
    status = measure_cells(b, err);
    interrupt_watch(NULL);
    progress_clear(&b->c->progress);
    plim_session_close(&b->session);
    return status;
}

plim_status bench_command(cli *c, plim_error *err)
{
    bench *b = calloc(1, sizeof *b);
    if (!b)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for figures");
    b->c = c;
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "measuring", err);
    if (status == PLIM_OK)
        status = choose(b, err);
    if (status == PLIM_OK && b->info.runnable &&
        !c->refused_line) /* else: for the plan's words alone */
        status = prepare(b, err);
    if (status == PLIM_OK)
        status = cli_load(c, b->positions, &b->model, err);
    if (status == PLIM_OK)
        status = measure(b, err);
    if (status == PLIM_OK)
        status = bench_tell(b, err);
    plim_model_close(&b->model);
    plim_limits_close(&b->limits);
    free(b);
    return status;
}
