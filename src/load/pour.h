/* SPDX-License-Identifier: Apache-2.0
 *
 * What stored elements become on their way into memory: other types, groups of quants, groups of
 * turned matrices.  Used by the load and by the stream, so that both give the same bits. */
#ifndef PLIM_LOAD_POUR_H
#define PLIM_LOAD_POUR_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "plan/plan.h"

/* Rows of one placement that lie together in memory: an extent, a tile, a row. */
typedef struct plim_pour {
    const plim_kernels *kernels;
    plim_change change;
    plim_dtype from, to;
    uint64_t rows, cols; /* as stored, of the extent */
    char *dst;           /* its memory */
    bool scales;         /* of groups: what is cast must stay finite, and what is not 0 so */
} plim_pour;

/* `rows` rows of a placement, to dst. */
plim_pour plim_pour_of(const plim_kernels *kernels, const plim_placement *placement,
                       const plim_stored *stored, uint64_t rows, void *dst);

/* UNSUP where the kernels can't do it: checked before anything moves. */
plim_status plim_pour_check(const plim_kernels *kernels, const plim_placement *placement,
                            const plim_stored *stored, plim_error *err);

/* Elements that come together: [first, first + count) of the extent, row by row.  What is quantised
 * comes in whole groups, what is turned in whole stripes of PLIM_GROUP rows.  They are cut into
 * tasks, each some 20 us, which may run at once. */
typedef struct plim_pour_piece {
    const void *src;
    uint64_t first, count;
} plim_pour_piece;
unsigned plim_pour_tasks(const plim_pour *pour, const plim_pour_piece *piece);
/* False where f16 can't hold a scale that is cast: then plim_pour_explain says why.  Scales that
 * are stored as f16 are used as they are, and not looked at. */
bool plim_pour_task(const plim_pour *pour, const plim_pour_piece *piece, unsigned task);

/* All of them on the pool's threads; the same. */
bool plim_pour_by_pool(const plim_pour *pour, const plim_pour_piece *piece, plim_pool *pool);

/* All of them, one after the other; the same. */
bool plim_pour_all(const plim_pour *pour, const plim_pour_piece *piece);

/* The first scale of a piece that f16 can't hold: FORMAT where it is no finite number, UNSUP where
 * it is too large or too small; `set` and `stored` name the tensor. */
plim_status plim_pour_explain(const plim_pour *pour, const plim_pour_piece *piece,
                              const plim_stored_set *set, const plim_stored *stored,
                              plim_error *err);

/* How the memory of an extent of groups is laid out: the quants of all its rows (of a turned one:
 * of all outputs), then their scales, so that both are read from end to end.  Bytes from one row to
 * the next, and where the scales begin. */
typedef struct plim_group_rows {
    size_t row_bytes, scale_row_bytes, scales_at;
} plim_group_rows;
plim_group_rows plim_group_rows_of(plim_dtype dtype, plim_change change, uint64_t rows,
                                   uint64_t cols);

#endif
