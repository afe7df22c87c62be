/* SPDX-License-Identifier: Apache-2.0
 *
 * Models for tests of the plan, made by hand: a config.json gives the skeleton, the stored tensors
 * are written down without a file.  And what holds of every plan. */
#ifndef PLIM_TESTS_PLAN_FIXTURE_H
#define PLIM_TESTS_PLAN_FIXTURE_H

#include "plan/plan.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

typedef struct made {
    plim_skeleton *skeleton;
    plim_stored_set set;
    plim_file_facts *file_facts; /* of every file; direct reads work */
    plim_facts facts;
    plim_held held;
    plim_plan_options options;
} made;

/* How the tensors lie. */
typedef struct lying {
    plim_dtype dtype;         /* of all */
    const plim_dtype *dtypes; /* or of tensor i: dtypes[i % dtype_count] */
    size_t dtype_count;
    uint64_t shift, gap;  /* before the first; between two */
    uint64_t shard_bytes; /* a new file when one has so many; 0: one file */
    bool backwards;       /* in the order of the file */
    plim_dtype packed;    /* Q8 or Q4: matrices of layers, as compressed-tensors packs them */
    plim_dtype scales;    /* their type */
} lying;

extern const char *const config_gpt2_medium,
    *const config_llama_1b, *const config_llama_8b, *const config_llama_8b_tied,
                                                        *const config_llama_70b;

/* Aborts on failure. */
made *make_model(const char *config, const lying *how);
/* Weights alone: vectors of these sizes. */
made *make_weights(const uint64_t *bytes, const uint64_t *offsets, size_t count, plim_dtype dtype);
void free_model(made *m);

plim_load_plan *plan_of(made *m);                          /* must be made */
plim_load_plan *plan_under(made *m, uint64_t limit);       /* the same with this line */
uint64_t least_line(made *m, uint64_t low, uint64_t high); /* to the byte: the smallest that fits */

/* What holds of every plan; asserts. */
void check_plan(const made *m, const plim_load_plan *plan);

/* The same in every field that anybody reads. */
void check_same(const plim_load_plan *a, const plim_load_plan *b);

/* A seeded generator (xorshift64*). */
uint64_t next_random(uint64_t *state);

#endif
