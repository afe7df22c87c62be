/* SPDX-License-Identifier: Apache-2.0
 *
 * A pool of threads that runs one job at a time, cut into tasks.  The caller takes part.  Workers
 * spin for a moment (tokens follow each other closely), then sleep. */
#ifndef PLIM_BASE_POOL_H
#define PLIM_BASE_POOL_H

#include "base/alloc.h"

typedef struct plim_pool plim_pool;

/* task 0..tasks-1, each exactly once, in any order; worker 0..threads-1 is who runs it. */
typedef void (*plim_task_fn)(void *arg, unsigned task, unsigned worker);

#define PLIM_POOL_MAX_THREADS 256
#define PLIM_POOL_MAX_TASKS   ((1u << 24) - 1024u)
#define PLIM_POOL_STACK_BYTES (256u * 1024u)

/* `threads` includes the caller: 1 starts nothing.  USAGE outside 1..PLIM_POOL_MAX_THREADS; NOMEM
 * when the system refuses a thread (none is left then).  The threads block all signals. */
plim_status plim_pool_open(plim_pool **out, const plim_alloc *alloc, unsigned threads,
                           plim_error *err);
void plim_pool_close(plim_pool **pool);
unsigned plim_pool_threads(const plim_pool *pool);

/* What the stacks of such a pool take at most, guard pages included: for whoever keeps the ledger.
 */
size_t plim_pool_stack_bytes(unsigned threads);

/* Run all tasks; returns when the last is done, and what they wrote is seen by the caller.  Callers
 * from several threads take turns, so that a worker's number is in use once at a time.  A task that
 * calls it (a callback may) runs its tasks itself, in order.  At most PLIM_POOL_MAX_TASKS.  No
 * allocation. */
void plim_pool_run(plim_pool *pool, unsigned tasks, plim_task_fn fn, void *arg);

/* Processors, hyperthreads among them, that may run threads of this process at once: affinity mask
 * and control-group quota, at least 1. */
unsigned plim_cpu_count(void);

#endif
