/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts: what is found out about the machine before planning; a plain value, gathered in one place,
 * printable, replaceable by a test.  A plan is a pure function of it. */
#ifndef PLIM_MEMORY_FACTS_H
#define PLIM_MEMORY_FACTS_H

#include <stdbool.h>

#include "plimsoll.h"

typedef struct plim_facts {
    uint64_t page_bytes;
    uint64_t memory_limit; /* the line; 0: none */
    uint64_t baseline;     /* what the process held when the context opened (0 in a plan for a
                              limit-less host) */
    uint64_t held;         /* by the ledger, now */
    uint64_t rss;          /* VmRSS now */
    uint64_t peak;         /* VmHWM so far */
    unsigned threads;
    bool huge_pages; /* madvise or always */
    plim_machine_memory machine;
} plim_facts;

/* Gathers them; what cannot be found out is zero. */
void plim_facts_gather(plim_facts *out, uint64_t memory_limit, uint64_t baseline, uint64_t held,
                       unsigned threads);

#endif
