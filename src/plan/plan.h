/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan: where every tensor will live, the reads that fill it, and the waterline that results.
 * Invariants:
 *  1. Pure: the same skeleton, stored tensors, options and facts give the same plan.  No I/O, no
 * weights.
 *  2. Reads cover every stored byte of every extent that stays once, and none is longer than
 *     PLIM_PIECE_BYTES (in place), PLIM_STAGED_BYTES or PLIM_MAP_PIECE_BYTES (mapped); tiles do the
 * same for what streams.
 *  3. What the plan predicts is what load/ and generate/ take: both use the sizes given here. */
#ifndef PLIM_PLAN_PLAN_H
#define PLIM_PLAN_PLAN_H

#include "memory/facts.h"
#include "model/skeleton.h"

#define PLIM_DIRECT_ALIGN    4096u      /* direct reads: blocks of this size, at multiples of it */
#define PLIM_PIECE_BYTES     (2u << 20) /* of one read straight to its place */
#define PLIM_STAGED_BYTES    (1u << 20) /* of one read into the ring of a load */
#define PLIM_STAGING_SLOTS   6u         /* of that ring */
#define PLIM_LOAD_DEPTH      8u         /* reads straight to their place in flight */
#define PLIM_QUEUE_BYTES     (512u << 10) /* that a queue of reads may take: stacks, tables */
#define PLIM_MAP_PIECE_BYTES (64u << 20)  /* of one populate */
#define PLIM_TILE_BYTES      (4u << 20)   /* stored bytes of a streamed tile, where memory allows */
#define PLIM_MAX_SLOTS       16u          /* of either ring */
#define PLIM_DEFAULT_CONTEXT 4096u
#define PLIM_DEFAULT_CHUNK   256u
#define PLIM_MAX_SESSIONS    4096u
#define PLIM_MAX_MODEL_BYTES (1ull << 43) /* stored or in memory */

/* Where a module is to live. */
typedef enum plim_device { PLIM_DEVICE_AUTO, PLIM_DEVICE_CPU, PLIM_DEVICE_DISK } plim_device;

/* {"model.layers.1": "cpu"}: all of the tensors below that name; "" is everything. */
typedef struct plim_device_rule {
    const char *module;
    plim_device device; /* CPU or DISK */
} plim_device_rule;

/* Without rules `all` holds; with rules every tensor must be covered, the longest match wins, and
 * only whole components match. */
typedef struct plim_device_map {
    plim_device all;
    const plim_device_rule *rules;
    size_t rule_count;
} plim_device_map;

/* Whether a rule speaks of the tensor (or module) `name`: whole components only, so that
 * "model.layers.1" covers "model.layers.1.mlp.up_proj.weight" and never "model.layers.10"; ""
 * covers all. */
bool plim_device_rule_covers(const plim_device_rule *rule, const char *name);

/* Where `name` is to live: the longest rule that covers it.  Without rules `all`; *covered (may be
 * NULL) is false, and the answer AUTO, when there are rules and none covers it. */
plim_device plim_device_of(const plim_device_map *map, const char *name, bool *covered);

typedef struct plim_plan_options {
    plim_dtype torch_dtype; /* AUTO, F32, F16, BF16; I8 or Q8, and Q4: matrices are quantised */
    plim_dtype kv_dtype;    /* AUTO, F32, F16, BF16 */
    plim_reader reader;
    bool low_cpu_mem_usage;
    uint32_t context; /* 0: min(the model's, PLIM_DEFAULT_CONTEXT) */
    uint32_t chunk;   /* 0: the plan's choice */
    uint32_t sessions;
    uint64_t max_weights; /* max_memory of "cpu": in memory at once; 0: none */
    plim_device_map device_map;
} plim_plan_options;

/* How a tensor is used, which decides what it is worth in memory. */
typedef enum plim_use {
    PLIM_USE_ALWAYS,   /* a vector, or weights that are not run: stays */
    PLIM_USE_BY_ROW,   /* a table of which a pass looks up a row per token */
    PLIM_USE_IN_ORDER, /* a matrix that each pass goes through from first row to last */
    PLIM_USE_SCALES    /* of quants that are stored apart: wherever those are, row for row */
} plim_use;

/* What stored elements become on their way into memory. */
typedef enum plim_change {
    PLIM_CHANGE_NONE,
    PLIM_CHANGE_CAST,
    PLIM_CHANGE_QUANTISE, /* rows of floats into rows of groups, all scales behind the quants */
    PLIM_CHANGE_TURN      /* the same of an [in, out] matrix: PLIM_GROUP stored rows become a group
                             of each output, an extent's memory is [out][its inputs] */
} plim_change;

/* A stored tensor in memory: rows (a vector is one row), of which extents say where they are. */
typedef struct plim_placement {
    uint32_t slot;   /* of the skeleton */
    uint32_t stored; /* of the checkpoint */
    plim_form form;  /* STREAMED where any of its extents is */
    plim_use use;
    plim_device device; /* as asked for */
    plim_dtype dtype;   /* in memory */
    plim_change change;
    bool staged;     /* read into a ring, then changed (or copied to where it is aligned) */
    uint32_t lead;   /* of scales the placement of their quants, else this one: it decides
                        what is pinned */
    uint32_t scales; /* of quants the placement of their scales, where those are stored
                        apart; else PLIM_NO_SLOT */
    uint64_t scale_row_bytes; /* stored, of those; else 0 */
    uint64_t rows, row_bytes, stored_row_bytes;
    uint64_t bytes;        /* in memory, if all of it were */
    uint64_t pinned_bytes; /* of those, what is */
    uint32_t first_extent, extent_count;
} plim_placement;

/* Rows [row, row + rows) of a placement: the unit of placement.  A placement's extents are in
 * ascending order of rows and cover it.  A table that is looked up by row and does not stay has one
 * STREAMED extent whose tile is PLIM_NO_TILE. */
#define PLIM_NO_TILE UINT32_MAX
typedef struct plim_extent_place {
    uint32_t placement;
    plim_form form; /* MAPPED, OWNED, STREAMED */
    uint64_t row, rows;
    uint32_t run;    /* MAPPED, OWNED */
    uint32_t tile;   /* STREAMED: its place in the schedule */
    uint64_t offset; /* MAPPED, OWNED: in the run's memory */
} plim_extent_place;

/* One region of memory.  MAPPED: adjacent ranges of a file.  OWNED, in place: what stays of a file
 * as it is stored, each stretch of the file at an address that agrees with its offset modulo
 * PLIM_DIRECT_ALIGN, on pages of its own.  OWNED, staged: what is cast of a file. */
typedef struct plim_run {
    plim_form form;
    bool staged;
    uint32_t file;
    uint64_t file_offset; /* MAPPED: where the map begins in the file */
    uint64_t bytes;       /* of the region */
} plim_run;

/* A step of the load: a range of a file.  MAPPED and in place: to `offset_in_run` of the run.
 * Staged: into a slot of the ring, from where its moves take it to its place. */
typedef struct plim_read {
    uint32_t file, run;
    plim_reader how;        /* MAP, BUFFERED, DIRECT */
    uint64_t offset, bytes; /* in the file */
    uint64_t offset_in_run;
    uint32_t first_move, move_count;
} plim_read;

/* Elements of a staged read that belong together: changed on their way from the slot into the run.
 * What is quantised moves in whole groups, what is turned in whole stripes of PLIM_GROUP rows. */
typedef struct plim_move {
    uint32_t extent;
    uint32_t skip; /* bytes from the read's offset to the first element */
    uint64_t elements;
    uint64_t run_offset; /* in the run's memory: of the first element; of the whole extent where
                            that is quantised or turned */
} plim_move;

/* A step of the schedule: rows that are read into a slot, used and dropped, in every pass. */
typedef struct plim_tile {
    uint32_t extent, file;
    uint64_t offset, bytes; /* in the file */
    uint32_t scales_file;   /* where the scales of these rows lie, if they are stored apart */
    uint64_t scales_offset, scales_bytes; /* else 0 bytes */
} plim_tile;

typedef struct plim_load_plan {
    const plim_alloc *alloc;
    plim_arena arena;           /* placements, advice */
    plim_arena layout;          /* the rest: made anew for each layout that is tried */
    plim_placement *placements; /* in file order */
    uint32_t placement_count;
    uint32_t *placement_of_slot; /* PLIM_NO_SLOT; of a tied slot: the one it is tied to */
    plim_extent_place *extents;
    uint32_t extent_count;
    plim_run *runs;
    uint32_t run_count;
    plim_read *reads; /* by way of reading (map, buffered, direct), then in file order */
    size_t read_count;
    plim_move *moves;
    size_t move_count;

    /* The cyclic schedule: tiles in the order of a pass; those of the output head come last, from
     * head_tile on (a pass without logits leaves them out). */
    plim_tile *tiles;
    uint32_t tile_count, head_tile;
    plim_reader stream_how;   /* DIRECT or BUFFERED */
    uint32_t ring_slots;      /* of tiles in flight or in use; 0: nothing streams */
    uint64_t ring_slot_bytes; /* a tile and the blocks around it; a multiple of 4096 */
    unsigned ring_parts;      /* reads of a tile at most: 2 where scales are stored apart */
    uint64_t ring_cast_bytes; /* the largest tile in the run type; 0: none is cast */
    uint64_t ring_row_bytes;  /* for a single row, with the blocks around it; 0: none is needed */

    plim_dtype dtype;
    plim_session_size session;
    uint32_t sessions;
    plim_reader reader;     /* what serves most bytes of the load, or of the stream */
    bool old_way;           /* low_cpu_mem_usage = false */
    uint32_t staging_slots; /* of PLIM_STAGED_BYTES + 2 * PLIM_DIRECT_ALIGN; 0: no read is staged */
    uint32_t load_threads;  /* that read and cast */
    uint32_t load_depth;    /* reads in flight */

    uint64_t table_bytes; /* of this plan itself: at most this */

    bool fits;
    uint64_t stored_bytes, weight_bytes; /* of the model, wherever it is */
    uint64_t pinned_bytes;               /* of weights in memory */
    uint64_t streamed_bytes;             /* stored bytes that a pass of one token reads */
    uint64_t kv_bytes, scratch_bytes;    /* per session, whole pages */
    uint64_t category[PLIM_MEM_COUNT];   /* ledger at the peak */
    uint64_t anonymous, mapped;          /* the same by kind */
    uint64_t line;                       /* baseline + ledger: what is held against the limit */
    uint64_t predicted_peak;             /* VmHWM */
    double load_seconds, token_seconds;  /* 0: speeds are not known */
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

/* A range of a file in memory, with the blocks around it; a multiple of PLIM_DIRECT_ALIGN. */
static inline uint64_t plim_blocks_around(uint64_t bytes)
{
    return (bytes + 3 * (uint64_t)PLIM_DIRECT_ALIGN - 1) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
}

/* Where in the row buffer its scales begin, if they are stored apart, and the row in the run type:
 * behind the stored row and the blocks around it. */
static inline uint64_t plim_row_scales_offset(const plim_placement *placement)
{
    return plim_blocks_around(placement->stored_row_bytes);
}

static inline uint64_t plim_row_cast_offset(const plim_placement *placement)
{
    return placement->scale_row_bytes
               ? plim_row_scales_offset(placement) + plim_blocks_around(placement->scale_row_bytes)
               : (placement->stored_row_bytes + 2 * (uint64_t)PLIM_DIRECT_ALIGN + 63) & ~63ull;
}

/* Elements of a stored row. */
static inline uint64_t plim_row_elements(const plim_placement *placement, const plim_stored *stored)
{
    unsigned bits = plim_dtypes[stored->dtype].bits;
    return bits ? placement->stored_row_bytes * 8 / bits : 0;
}

/* ---- between the files of this folder ---- */

/* Run type, and what each stored tensor becomes (place.c). */
plim_status plim_plan_place(plim_load_plan *plan, const plim_skeleton *skeleton,
                            const plim_stored_set *stored, const plim_plan_options *options,
                            plim_error *err);

/* What a layout is to be. */
typedef struct plim_layout_wish {
    bool map;            /* use pages of the files where that is possible */
    bool stream;         /* what is not pinned streams; else all stays */
    uint64_t pin_bytes;  /* of memory for what is pinned beside what must stay, if it streams */
    uint64_t tile_bytes; /* stored bytes of a tile */
    uint32_t ring_slots;
} plim_layout_wish;

/* What a tile takes in the tables of a plan. */
#define PLIM_TILE_TABLE_BYTES (sizeof(plim_extent_place) + sizeof(plim_tile) + 1)
#define PLIM_RUN_BYTES        64u /* of a run, once it is a region */

/* Extents, runs and tiles (layout.c, after pins.c has chosen what is pinned). */
plim_status plim_plan_lay_out(plim_load_plan *plan, const plim_skeleton *skeleton,
                              const plim_stored_set *stored, const plim_layout_wish *wish,
                              plim_error *err);

/* How many reads and moves a layout needs, what they take, and the staging of the load; then those
 * reads (reads.c). */
void plim_plan_count_reads(plim_load_plan *plan, const plim_stored_set *stored,
                           const plim_plan_options *options, const plim_facts *facts);
plim_status plim_plan_reads(plim_load_plan *plan, const plim_stored_set *stored,
                            const plim_plan_options *options, const plim_facts *facts,
                            plim_error *err);

/* Rows of a tile of this placement, at least 1; of one that is turned whole stripes. */
uint64_t plim_tile_rows(const plim_placement *placement, uint64_t tile_bytes);

/* Which tiles of all placements are pinned: pinned[first_tile[p] + t] for tile t of placement p;
 * a table that is looked up by row, and what must stay, is one tile. */
typedef struct plim_pins {
    uint32_t *first_tile; /* per placement; scales share the tiles of their quants */
    uint32_t *tiles;      /* of each */
    uint8_t *pinned;      /* per tile */
    uint32_t tile_count;
} plim_pins;
plim_status plim_plan_pin(plim_pins *out, plim_load_plan *plan, const plim_skeleton *skeleton,
                          const plim_layout_wish *wish, plim_error *err);

/* What a configuration holds at its peak, beyond what is held already; bytes. */
typedef struct plim_demand {
    uint64_t owned, mapped; /* weights that stay */
    uint64_t load, ring;    /* staging while loading; while running */
    uint64_t kv, scratch, other;
} plim_demand;

/* The demand of a plan that is laid out, and its sum at the worst moment (predict.c). */
plim_status plim_plan_demand(plim_demand *out, plim_load_plan *plan, const plim_skeleton *skeleton,
                             const plim_stored_set *stored, const plim_facts *facts,
                             plim_error *err);
uint64_t plim_demand_peak(const plim_demand *demand);
void plim_plan_predict(plim_load_plan *plan, const plim_skeleton *skeleton,
                       const plim_demand *demand, const plim_plan_options *options,
                       const plim_facts *facts, const plim_held *held);

/* Scratch and KV of all sessions for plan->session; LIMIT. */
plim_status plim_plan_sessions(plim_demand *out, plim_load_plan *plan,
                               const plim_skeleton *skeleton, const plim_facts *facts,
                               plim_error *err);

/* What would make it fit, or faster: each line was planned (advice.c). */
plim_status plim_plan_advise(plim_load_plan *plan, const plim_skeleton *skeleton,
                             const plim_stored_set *stored, const plim_plan_options *options,
                             const plim_facts *facts, const plim_held *held, plim_error *err);

/* plim_load_plan_open without advice; an outline has sizes, but no reads. */
plim_status plim_plan_make(plim_load_plan **out, const plim_alloc *alloc,
                           const plim_skeleton *skeleton, const plim_stored_set *stored,
                           const plim_plan_options *options, const plim_facts *facts,
                           const plim_held *held, bool outline, plim_error *err);

#endif
