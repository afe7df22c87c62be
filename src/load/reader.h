/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading: ranges of files into memory, several at a time, one file per way of doing it.  The plan
 * says which way serves a range; what a way can't do it hands on (direct to buffered), slower,
 * never wrong. */
#ifndef PLIM_LOAD_READER_H
#define PLIM_LOAD_READER_H

#include "checkpoint/checkpoint.h"
#include "memory/ledger.h"
#include "plan/plan.h"

#define PLIM_READER_MAX_DEPTH 16u

/* A range and where it goes.  The caller keeps it until it is done. */
typedef struct plim_read_request {
    uint32_t file;   /* of the stored set */
    uint64_t offset; /* in the file */
    size_t bytes;
    /* Where byte `offset` goes.  MAP: its mapped address.  DIRECT: dst and offset agree modulo
     * PLIM_DIRECT_ALIGN, and the memory from dst rounded down to dst + bytes rounded up (as far as
     * PLIM_DIRECT_ALIGN goes) may be written: whole blocks are read. */
    void *dst;
    uint64_t tag; /* the caller's */

    size_t done; /* the queue's own: bytes there so far, from the block that holds `offset` */
} plim_read_request;

/* How a queue is opened. */
typedef struct plim_read_setup {
    plim_reader how; /* MAP, BUFFERED, DIRECT */
    const plim_stored_set *stored;
    plim_ledger *ledger;     /* stacks of threads, tables: PLIM_MEM_STAGING */
    const plim_region *ring; /* memory that most requests go to (registered with the kernel where
                                that is possible), or NULL */
    unsigned depth;          /* requests in flight, 1..PLIM_READER_MAX_DEPTH */
    unsigned without;        /* PLIM_READ_WITHOUT_...: for tests and measurements; else 0 */
} plim_read_setup;

#define PLIM_READ_WITHOUT_URING    1u /* as where io_uring is refused */
#define PLIM_READ_WITHOUT_REGISTER 2u /* as where no memory may be registered */
#define PLIM_READ_WITHOUT_THREADS  4u /* as where no thread can be started */

/* Requests in flight.  One thread at a time calls it (whoever shares it brings a lock). */
typedef struct plim_read_queue plim_read_queue;

/* What a queue may hold in all, for the plan's sums and for `how`: thread stacks, rings of the
 * kernel. */
uint64_t plim_read_queue_bytes(plim_reader how, unsigned depth);

/* BUDGET, NOMEM; CHANGED or IO when a file can't be opened once more for direct reads and by no
 * other way either.  What the system refuses (io_uring, O_DIRECT, registration) is done without. */
plim_status plim_read_queue_open(plim_read_queue **out, const plim_read_setup *setup,
                                 plim_error *err);

/* Begin a read.  Never waits for the disk.  At most `depth` are in flight. */
plim_status plim_read_queue_submit(plim_read_queue *queue, plim_read_request *request,
                                   plim_error *err);

/* The next request that is done, in any order, and how it ended: PLIM_OK, IO, TRUNC or CHANGED (the
 * file ends before the range and is not what it was), NOMEM.  *out = NULL and PLIM_OK after
 * `timeout_ms` without one (-1: wait for ever, 0: look), or when none is in flight. */
plim_status plim_read_queue_wait(plim_read_queue *queue, plim_read_request **out, int timeout_ms,
                                 plim_error *err);
unsigned plim_read_queue_in_flight(const plim_read_queue *queue);

/* Waits for what is in flight: the memory it writes to is the caller's again.  NULL is allowed. */
void plim_read_queue_close(plim_read_queue **queue);

/* What is in use: "io_uring", "threads"; static storage, for the log. */
const char *plim_read_queue_engine(const plim_read_queue *queue);

/* ---- the ways, each a file: a range at once, called by several threads ---- */

/* Required: name, fetch.  fetch returns when every byte is at dst.  `fd` is the file's, opened with
 * O_DIRECT for reader_direct. A file that ends before the range is TRUNC. */
typedef struct plim_reader_ops {
    const char *name;
    plim_status (*fetch)(const plim_stored_file *file, int fd, const plim_read_request *request,
                         plim_error *err);
} plim_reader_ops;

extern const plim_reader_ops plim_reader_map;      /* reader_map.c: populated pages of the file */
extern const plim_reader_ops plim_reader_buffered; /* reader_buffered.c: through the page cache */
extern const plim_reader_ops plim_reader_direct;   /* reader_direct.c: O_DIRECT, whole blocks */

/* What to say of a fetch that ended in `status`: a file that was whole when its header was checked
 * and ends early now has CHANGED.  err must not be NULL. */
plim_status plim_reader_explain(const plim_stored_file *file, plim_status status, plim_error *err);

#endif
