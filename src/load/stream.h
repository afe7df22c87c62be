/* SPDX-License-Identifier: Apache-2.0
 *
 * Streaming: the tiles of a plan's cyclic schedule pass through a ring of slots, read ahead of
 * their use, across layers and across the end of a pass into the next.
 * Invariants:
 *  1. A tile is read once per use, in the order of the schedule; nothing is allocated in a pass.
 *  2. One pass at a time; others wait for their turn (and hear a cancel meanwhile).
 *  3. A pass that ends early (error, cancel) leaves a stream that the next pass can use. */
#ifndef PLIM_LOAD_STREAM_H
#define PLIM_LOAD_STREAM_H

#include <stdatomic.h>

#include "load/load.h"

typedef struct plim_stream plim_stream;

/* The ring of plan->ring (slots, bytes of a slot), the buffers for casts and for single rows, all
 * populated, category PLIM_MEM_STAGING.  Nothing is read yet.  BUDGET, NOMEM, IO. */
plim_status plim_stream_open(plim_stream **out, const plim_load_job *job, plim_error *err);
void plim_stream_close(plim_stream **stream); /* waits for reads in flight; NULL is allowed */

/* A pass begins: waits for its turn, checks that the files are what they were (CHANGED), and says
 * how often the tiles from plan->head_tile on (the output head) will be passed over: 0, 1 or more.
 * CANCELLED; USAGE from a callback of a pass.  `cancel` (may be NULL) is watched until the end of
 * the pass, within 50 ms. */
plim_status plim_stream_begin(plim_stream *stream, unsigned head_rounds, const atomic_bool *cancel,
                              plim_error *err);

/* The pass is over, well or not; every tile was released.  The next one's first tiles are on their
 * way after a pass that went well. */
void plim_stream_end(plim_stream *stream, bool ok);

/* Wait for tile `i` of the schedule, which is the next one in order, in the run type: *data holds
 * its rows until it is released, *scales their scales where those are stored apart (else NULL).
 * IO, CHANGED, CANCELLED. */
plim_status plim_stream_tile(plim_stream *stream, uint32_t i, const void **data,
                             const void **scales, plim_error *err);
void plim_stream_release(plim_stream *stream, uint32_t i);

/* One row of a placement that streams, read by itself (embeddings): in the run type, valid until
 * the next call. */
plim_status plim_stream_row(plim_stream *stream, uint32_t placement, uint64_t row,
                            const void **data, const void **scales, plim_error *err);

/* Since it was opened. */
typedef struct plim_stream_stats {
    uint64_t passes;     /* begun */
    uint64_t bytes;      /* of tiles and rows that were used, as stored */
    uint64_t read_bytes; /* of reads begun, ahead included */
    double wait_seconds; /* that passes waited for tiles and rows */
} plim_stream_stats;
plim_stream_stats plim_stream_read_stats(plim_stream *stream);

#endif
