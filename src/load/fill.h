/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling the memory of a plan: what load.c asks for. */
#ifndef PLIM_LOAD_FILL_H
#define PLIM_LOAD_FILL_H

#include "load/monitor.h"

/* Carry out the reads of job->plan into `regions` (one per run, open): read, cast, place, all three
 * at once.  Afterwards nothing but the regions is held.  The first error, CANCELLED included, is in
 * the monitor. */
plim_status plim_fill(const plim_load_job *job, const plim_region *regions,
                      plim_load_monitor *monitor, plim_error *err);

/* The same as it used to be done (low_cpu_mem_usage = false): the whole state dict is read, then
 * copied into the model. */
plim_status plim_fill_old_way(const plim_load_job *job, const plim_region *regions,
                              plim_load_monitor *monitor, plim_error *err);

/* Run fn(arg, task, worker) as `threads` tasks at once, on threads that live as long as the call
 * and are counted; with fewer where the system refuses them.  BUDGET. */
plim_status plim_fill_run(const plim_load_job *job, plim_task_fn fn, void *arg, plim_error *err);

#endif
