/* SPDX-License-Identifier: Apache-2.0
 *
 * What the workers of a load have in common: progress told to the caller, a cancel heard, the first
 * error kept.  All calls may come from several threads. */
#ifndef PLIM_LOAD_MONITOR_H
#define PLIM_LOAD_MONITOR_H

#include <pthread.h>

#include "load/load.h"

typedef struct plim_load_monitor {
    const plim_load_job *job;
    atomic_bool stop; /* error or cancel: no more reads are begun */
    atomic_uint_least64_t done_bytes;
    uint64_t total_bytes;
    double start, last_report;
    pthread_mutex_t lock; /* of error and last_report */
    plim_error error;     /* code 0: none */
} plim_load_monitor;

void plim_monitor_open(plim_load_monitor *monitor, const plim_load_job *job, uint64_t total_bytes);
void plim_monitor_close(plim_load_monitor *monitor);

/* `bytes` more are done (0: nothing is, but time passes): tells the caller at most every 25 ms,
 * listens for a cancel. */
void plim_monitor_step(plim_load_monitor *monitor, uint64_t bytes);

/* The end of a load that went well so far: the last word to the caller. */
void plim_monitor_finish(plim_load_monitor *monitor);

/* Keeps the first error, and stops. */
void plim_monitor_fail(plim_load_monitor *monitor, const plim_error *error);
bool plim_monitor_stopped(const plim_load_monitor *monitor);

#endif
