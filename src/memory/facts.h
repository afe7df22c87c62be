/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts: what is found out about the machine before planning; a plain value, gathered in one place,
 * printable, replaceable by a test.  A plan is a pure function of it. */
#ifndef PLIM_MEMORY_FACTS_H
#define PLIM_MEMORY_FACTS_H

#include <stdbool.h>

#include "base/file.h"

#define PLIM_WINDOW_BYTES (64u << 20)

/* What is found out about a file that is to be read. */
typedef struct plim_file_facts {
    bool direct;            /* O_DIRECT reads of 4096-byte blocks work: one was made */
    uint64_t resident;      /* bytes in the page cache (of large files by samples); 0 where nobody
                               says */
    const uint8_t *windows; /* per PLIM_WINDOW_BYTES of the file: its share in the page cache, in
                               percent; NULL where nobody says */
    size_t window_count;
} plim_file_facts;

/* Looks at an open file (statx, one direct read of its first block, cachestat).  `windows` comes
 * from the arena.  Nothing that can't be found out is an error; NOMEM and BUDGET are. */
plim_status plim_file_facts_gather(plim_file_facts *out, plim_arena *arena, const plim_file *file,
                                   plim_error *err);

typedef struct plim_facts {
    uint64_t page_bytes;
    uint64_t memory_limit; /* the line, or what the control groups leave if that is less; 0: none */
    uint64_t baseline;     /* what the process held when the context opened (0 in a plan for a
                              limit-less host) */
    uint64_t held;         /* by the ledger, now */
    uint64_t rss;          /* VmRSS now */
    uint64_t peak;         /* VmHWM so far */
    unsigned threads;
    bool huge_pages; /* madvise or always */
    plim_machine_memory machine;
    plim_speeds speeds;           /* zero: not measured */
    const plim_file_facts *files; /* of the checkpoint, in its order; NULL: nothing is known */
    size_t file_count;
} plim_facts;

/* Gathers them; what cannot be found out is zero. */
void plim_facts_gather(plim_facts *out, uint64_t memory_limit, uint64_t baseline, uint64_t held,
                       unsigned threads);

#endif
