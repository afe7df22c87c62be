/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the stream share: a small checkpoint with a plan made by hand (a rig), passes
 * that compare every byte, and a read queue that does as the test wants (put in front of the real
 * one by the linker's --wrap). */
#ifndef PLIM_TESTS_STREAM_H
#define PLIM_TESTS_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "load/stream.h"
#include "temp.h"

#define RIG_TENSORS 6
#define RIG_TILES   64

typedef struct rig_tensor {
    const char *name;
    plim_dtype stored, run;
    uint64_t rows, cols;
    uint64_t tile_rows; /* 0: looked up row by row */
    bool head;          /* the last that has tiles */
    unsigned file;      /* 0 or 1 */
} rig_tensor;

typedef struct rig_setup {
    const rig_tensor *tensors; /* in the order of a pass */
    uint32_t count;
    unsigned lead; /* where the data of each file begins, modulo 4096 */
    uint32_t slots;
    plim_reader how;
    unsigned threads; /* 0: 1 */
} rig_setup;

typedef struct rig {
    temp_folder folder;
    char path[2][128]; /* of the files */
    plim_ledger *ledger;
    plim_pool *pool;
    plim_kernels kernels;
    plim_stored_set *stored;
    plim_placement placements[RIG_TENSORS];
    plim_extent_place extents[RIG_TILES + RIG_TENSORS];
    plim_tile tiles[RIG_TILES];
    plim_load_plan plan;
    plim_load_job job;
    char *image[RIG_TENSORS]; /* each tensor in its run type */
    plim_stream *stream;
    uint64_t held_before; /* of the ledger, with the stream closed */
} rig;

/* Everything but the stream. */
void rig_make(rig *r, const rig_setup *setup);
/* rig_make, and a stream. */
void rig_open(rig *r, const rig_setup *setup);
/* Closes what is open, and fails where the ledger is not what it was before the stream. */
void rig_close(rig *r);
uint64_t rig_held(const rig *r);

/* Compare tile `i` with the tensor; also that it is aligned to its element. */
void rig_compare(const rig *r, uint32_t i, const void *data);
void rig_compare_row(const rig *r, uint32_t placement, uint64_t row, const void *data);

/* Tiles in the order of a pass; how many. */
uint32_t rig_sequence(const rig *r, unsigned rounds, uint32_t out[4 * RIG_TILES]);
/* A whole pass, every tile compared; how it ended.  *stopped_at (may be NULL): tiles that were good
 * before. */
plim_status rig_pass(rig *r, unsigned rounds, const atomic_bool *cancel, uint32_t *stopped_at,
                     plim_error *err);
/* The same; must end well. */
void rig_good_pass(rig *r, unsigned rounds);
/* Stored bytes of such a pass. */
uint64_t rig_pass_bytes(const rig *r, unsigned rounds);

static inline void ok(plim_status status, const plim_error *err)
{
    if (status)
        fail_msg("%s: %s", plim_status_name(status), err->message);
}

/* ---- the queue ---- */

/* All off when zero; set from any thread. */
typedef struct queue_faults {
    atomic_bool last_first;            /* of two reads that are done, the later comes first */
    atomic_bool stall;                 /* nothing is ever done */
    atomic_int fail_times;             /* reads of fail_offset end with EIO, so often */
    atomic_int refuse_times;           /* the same: can't begin */
    atomic_int truncate_times;         /* the same: end with TRUNC */
    atomic_int break_times;            /* waits that fail altogether */
    atomic_uint_least64_t fail_offset; /* in the file */
    atomic_uint_least64_t submits;     /* reads begun */
    atomic_uint_least64_t worst_in_flight;
} queue_faults;
extern queue_faults queue_fault;

/* Of a tile of the rig: so many reads of it will fail. */
void rig_fail_tile(const rig *r, uint32_t tile, atomic_int *which, int times);

#endif
