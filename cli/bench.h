/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll bench, between what measures (bench.c) and what tells (bench_report.c). */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli.h"

#define BENCH_MAX_ROUNDS 99

/* What a pass is measured by: the limit of the machine that it meets first. */
typedef enum bench_bound { BOUND_MEMORY, BOUND_ARITHMETIC, BOUND_DISK } bench_bound;

const char *bench_bound_name(bench_bound bound);

/* A prefill of so many tokens, or new tokens behind so many. */
typedef struct bench_cell {
    bool decode;
    uint64_t tokens;     /* of the prompt; of the context */
    plim_pass_cost cost; /* of a prefill; of one new token */
    double streamed;     /* bytes that it took from disk */
    bench_bound bound;
    size_t rounds;
    double seconds[BENCH_MAX_ROUNDS]; /* of a prefill; of a new token */
    double least[BENCH_MAX_ROUNDS];   /* that the limits of that round allow */
} bench_cell;

double bench_median(const double *values, size_t count);

/* Medians; the share is that of least / seconds. */
double bench_seconds(const bench_cell *cell);
double bench_share(const bench_cell *cell);

/* Bytes or operations, whatever the bound is about. */
double bench_amount(const bench_cell *cell);

#define BENCH_MAX_SLICES 1024

/* Slices of one limit. */
typedef struct bench_limit {
    size_t count;
    double speed[BENCH_MAX_SLICES];
} bench_limit;

typedef struct bench {
    cli *c;
    plim_plan_info info; /* its strings are gone */
    uint64_t positions;
    cli_counts prompts, contexts;
    uint64_t slice_tokens; /* new tokens of a round, at most */
    uint64_t rounds;
    uint64_t region_bytes;             /* of the bare read */
    uint64_t file_bytes, cached_bytes; /* of the checkpoint; of those in the page cache before */
    double disk;                       /* bytes per second; 0: not measured */
    plim_limits *limits;
    plim_model *model;
    plim_session *session;
    bench_limit limit[PLIM_LIMIT_COUNT];
    bench_cell cells[2 * CLI_MAX_COUNTS];
    size_t cell_count;
} bench;

/* Bytes of the model's files, and how many of them the page cache holds (bench_files.c).  What
 * can't be looked at is not there. */
void bench_page_cache(bench *b);

/* The answer: a table, or one JSON object. */
plim_status bench_tell(bench *b, plim_error *err);

#endif
