/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: every byte we hold, by category, below a hard limit.
 * Invariants:
 *  1. reserve happens before the memory exists, release after it is gone; so `now` is never too
 * small.
 *  2. anonymous + mapped + baseline <= limit at all times, when there is a limit.
 *  3. A refusal changes nothing. */
#ifndef PLIM_MEMORY_LEDGER_H
#define PLIM_MEMORY_LEDGER_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/log.h"

typedef enum plim_memory_kind { PLIM_ANONYMOUS, PLIM_MAPPED } plim_memory_kind;

typedef struct plim_ledger plim_ledger;

/* `system` NULL: malloc.  The ledger's own few hundred bytes are not counted. */
plim_status plim_ledger_open(plim_ledger **out, uint64_t limit, uint64_t baseline,
                             const plim_allocator *system, plim_error *err);
/* Everything must have been given back. */
void plim_ledger_close(plim_ledger **ledger);

/* PLIM_E_BUDGET when it would cross the line: the message says what was asked for, what is held and
 * what the line is.  Thread-safe. */
plim_status plim_ledger_reserve(plim_ledger *ledger, plim_memory_category category,
                                plim_memory_kind kind, uint64_t bytes, plim_error *err);
void plim_ledger_release(plim_ledger *ledger, plim_memory_category category, plim_memory_kind kind,
                         uint64_t bytes);

/* An allocator that reserves in `category`; lives as long as the ledger.  Counted is what was asked
 * for and 16 bytes per block; blocks from 64 KiB on are maps of their own and counted in whole
 * pages (not with a host's allocator, which gets every block). */
const plim_alloc *plim_ledger_alloc(plim_ledger *ledger, plim_memory_category category);

void plim_ledger_read(const plim_ledger *ledger, plim_memory *out);

/* ---- regions: large memory, whole pages ---- */

/* Anonymous memory on 2 MiB-aligned huge pages where the system gives them, or a read-only shared
 * map of a file.  `base`..`base+bytes` is what was asked for; `map`..`map+map_bytes` what is held
 * and counted. */
typedef struct plim_region {
    void *base;
    size_t bytes;
    void *map;
    size_t map_bytes;
    plim_memory_category category;
    plim_memory_kind kind;
} plim_region;

/* Zeroed anonymous memory; `populate`: every page is touched now (what is promised is committed).
 * BUDGET, NOMEM.  Sizes under 2 MiB take 4 KiB pages.  0 bytes: PLIM_OK and a zeroed region. */
plim_status plim_region_open(plim_region *out, plim_ledger *ledger, plim_memory_category category,
                             size_t bytes, bool populate, plim_error *err);

/* Map `bytes` at `offset` (any alignment; whole pages are mapped and counted) of an open file,
 * shared, read-only, nothing populated.  0 bytes: PLIM_OK and a zeroed region.  BUDGET, NOMEM, IO,
 * LIMIT (past 2^63). */
plim_status plim_region_map(plim_region *out, plim_ledger *ledger, plim_memory_category category,
                            int fd, const char *path, uint64_t offset, size_t bytes,
                            plim_error *err);

/* Bring in all pages of a region that was opened without: what is promised is committed.  `cancel`
 * (or NULL) is looked at every few milliseconds.  NOMEM, CANCELLED; the region stays open. */
plim_status plim_region_commit(const plim_region *region, const atomic_bool *cancel,
                               plim_error *err);

/* Bring in the pages of [at, at + bytes) of a region, `at` at the begin of a page.  False where
 * there is no memory for them; true also where the system can't (an older kernel): they come when
 * they are written to.  Thread-safe. */
bool plim_memory_populate(void *at, size_t bytes);

/* Unmap and release.  A zeroed region is allowed. */
void plim_region_close(plim_region *region, plim_ledger *ledger);

/* Keep every page of the region in memory (mlock) until it is closed.  False where the system
 * refuses, with errno as it was left; nothing has changed then.  A zeroed region: true. */
bool plim_region_lock(const plim_region *region);

/* The warning that belongs to a refusal (`errnum`: its errno), with what to do.  Said once per
 * ledger, however many regions are refused.  `log` may be NULL.  Thread-safe. */
void plim_ledger_lock_refused(plim_ledger *ledger, const plim_log *log, int errnum);

#endif
