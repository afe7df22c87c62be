/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: where every tensor will live, the reads that fill it, and the waterline that results.
 * Invariants:
 *  1. Pure: the same skeleton, stored tensors, options and facts give the same plan.  No I/O, no
 * weights.
 *  2. Reads are in file order, cover every stored byte of every placement once, and none is longer
 * than PLIM_PIECE_BYTES (owned) or PLIM_MAP_PIECE_BYTES (mapped).
 *  3. What the plan predicts is what load/ and generate/ take: both use the sizes given here. */
#ifndef PLIM_PLAN_PLAN_H
#define PLIM_PLAN_PLAN_H

#include "memory/facts.h"
#include "model/skeleton.h"

#define PLIM_PIECE_BYTES     (1u << 20)  /* stored bytes of one read into the ring */
#define PLIM_MAP_PIECE_BYTES (64u << 20) /* of one populate */
#define PLIM_DEFAULT_CONTEXT 4096u
#define PLIM_DEFAULT_CHUNK   256u
#define PLIM_MAX_SESSIONS    4096u
#define PLIM_MAX_MODEL_BYTES (1ull << 43) /* stored or in memory */

typedef struct plim_plan_options {
    plim_dtype torch_dtype; /* AUTO, F32, F16, BF16 */
    plim_dtype kv_dtype;    /* AUTO, F32, F16, BF16 */
    plim_reader reader;
    bool low_cpu_mem_usage;
    uint32_t context; /* 0: min(the model's, PLIM_DEFAULT_CONTEXT) */
    uint32_t chunk;   /* 0: PLIM_DEFAULT_CHUNK */
    uint32_t sessions;
    uint64_t max_weights; /* max_memory of "cpu"; 0: none */
} plim_plan_options;

/* A stored tensor in memory. */
typedef struct plim_placement {
    uint32_t slot;   /* of the skeleton */
    uint32_t stored; /* of the checkpoint */
    uint32_t run;
    plim_form form;
    plim_dtype dtype; /* in memory */
    uint64_t offset;  /* in the run's memory */
    uint64_t bytes;   /* in memory */
} plim_placement;

/* One region: adjacent mapped tensors of a file, or all owned tensors of a file. */
typedef struct plim_run {
    plim_form form;
    uint32_t file;
    uint64_t file_offset;  /* mapped: where the map begins in the file */
    uint64_t bytes;        /* of the region */
    uint32_t first, count; /* placements */
} plim_run;

typedef struct plim_read {
    uint32_t file, run;
    uint32_t placement;     /* owned: the tensor it belongs to; PLIM_NO_SLOT for mapped runs */
    uint64_t offset, bytes; /* in the file */
} plim_read;

typedef struct plim_load_plan {
    const plim_alloc *alloc;
    plim_arena arena;
    plim_placement *placements; /* in file order */
    uint32_t placement_count;
    uint32_t *placement_of_slot; /* PLIM_NO_SLOT; of a tied slot: the one it is tied to */
    plim_run *runs;
    uint32_t run_count;
    plim_read *reads;
    size_t read_count;

    plim_dtype dtype;
    plim_session_size session;
    uint32_t sessions;
    plim_reader reader; /* MAP when all is mapped, else BUFFERED */
    bool old_way;       /* low_cpu_mem_usage = false */
    uint32_t staging_slots;

    bool fits;
    uint64_t stored_bytes, weight_bytes;
    uint64_t kv_bytes, scratch_bytes;  /* per session, whole pages */
    uint64_t category[PLIM_MEM_COUNT]; /* ledger at the peak */
    uint64_t anonymous, mapped;        /* the same by kind */
    uint64_t line;                     /* baseline + ledger: what is held against the limit */
    uint64_t predicted_peak;           /* VmHWM */
    const char **advice;
    size_t advice_count;
} plim_load_plan;

/* What is held already, by category (from the ledger). */
typedef struct plim_held {
    uint64_t category[PLIM_MEM_COUNT];
    uint64_t anonymous, mapped;
} plim_held;

/* Make the plan.  A plan that does not fit is made all the same (fits = false, with advice).
 * UNSUP (a type we can't run), USAGE (an option out of range), LIMIT (a model larger than
 * PLIM_MAX_MODEL_BYTES, a session larger than can be counted). */
plim_status plim_load_plan_open(plim_load_plan **out, const plim_alloc *alloc,
                                const plim_skeleton *skeleton, const plim_stored_set *stored,
                                const plim_plan_options *options, const plim_facts *facts,
                                const plim_held *held, plim_error *err);
void plim_load_plan_close(plim_load_plan **plan);

/* ---- between the files of this folder ---- */

/* Types, runs and placements (place.c); reads (reads.c); sizes, prediction and advice (predict.c).
 */
plim_status plim_plan_place(plim_load_plan *plan, const plim_skeleton *skeleton,
                            const plim_stored_set *stored, const plim_plan_options *options,
                            plim_error *err);
plim_status plim_plan_reads(plim_load_plan *plan, const plim_stored_set *stored, plim_error *err);
plim_status plim_plan_predict(plim_load_plan *plan, const plim_skeleton *skeleton,
                              const plim_stored_set *stored, const plim_plan_options *options,
                              const plim_facts *facts, const plim_held *held, plim_error *err);

#endif
