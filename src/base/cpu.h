/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor and the operating system offer together. */
#ifndef PLIM_BASE_CPU_H
#define PLIM_BASE_CPU_H

#include <stddef.h>

/* PLIM_CPU_* of plimsoll.h; a bit is set when the instructions exist and the system saves their
 * registers. */
unsigned plim_cpu_features(void);

/* The processor's name as PROC_ROOT/cpuinfo tells it into out[cap]; "" where it does not. */
void plim_cpu_name(char *out, size_t cap, const char *proc_root);

typedef struct plim_cores {
    unsigned logical, physical; /* processors that are online, and the cores that they belong to */
    unsigned allowed_logical, allowed_physical; /* the same of those in the affinity mask */
    unsigned quota;   /* cores' worth of time that the control groups allow, rounded up; 0: all */
    unsigned threads; /* min(allowed_physical, quota), 1 to PLIM_POOL_MAX_THREADS */
} plim_cores;

/* Cores of this machine, of this process and of its control groups: PREFIX/proc and PREFIX/sys (""
 * for the real ones).  `mask`: the processors that this process may run on, one bit each.  Where
 * the topology can't be read, every processor is a core. */
void plim_cores_read(plim_cores *out, const char *prefix, const unsigned long *mask, size_t words);
/* The same for this process. */
void plim_cores_here(plim_cores *out);

#endif
