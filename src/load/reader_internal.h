/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of reading: what a queue holds, and the two engines that move its requests. */
#ifndef PLIM_LOAD_READER_INTERNAL_H
#define PLIM_LOAD_READER_INTERNAL_H

#include <stdatomic.h>

#include "load/reader.h"

#define READ_STACK_BYTES ((size_t)64 << 10)
#define READ_MAX_THREADS 4u
/* Descriptors with O_DIRECT that are kept: more than can be in use at once, so that there always is
 * one to give up. */
#define READ_DIRECT_FILES 32u

/* A file that was opened once more, with O_DIRECT. */
typedef struct read_direct_file {
    uint32_t file; /* of the stored set */
    unsigned users;
    bool taken;          /* the entry says something */
    int fd;              /* -1: can't be opened so */
    atomic_bool refused; /* such reads are: read it through the page cache */
} read_direct_file;

/* A request in flight. */
typedef struct read_slot {
    plim_read_request *request; /* NULL: the slot is free */
    read_direct_file *direct;   /* of its file; NULL where how is not DIRECT */
    bool buffered;              /* io_uring: the rest goes through the page cache */
    bool uncached;              /* io_uring: this try asked for RWF_DONTCACHE */
    unsigned tries;             /* io_uring: in a row without a byte */
    plim_status status;         /* how it ended */
    plim_error err;
} read_slot;

/* How requests move.  submit takes a filled slot and can't fail: what goes wrong ends the request.
 * wait gives a slot that is done, NULL after timeout_ms.  close waits for what is in flight. */
typedef struct read_engine {
    const char *name;
    void (*submit)(plim_read_queue *queue, read_slot *slot);
    read_slot *(*wait)(plim_read_queue *queue, int timeout_ms);
    void (*close)(plim_read_queue *queue);
} read_engine;

struct plim_read_queue {
    plim_read_setup setup;
    const plim_alloc *alloc;
    const read_engine *engine;
    void *state;       /* the engine's */
    uint64_t reserved; /* in the ledger, for what is not from alloc */
    unsigned in_flight;
    atomic_bool no_dontcache; /* RWF_DONTCACHE is not known here */
    unsigned next_victim;
    read_direct_file files[READ_DIRECT_FILES];
    read_slot slots[PLIM_READER_MAX_DEPTH];
};

/* Put an engine into the queue.  threads: BUDGET, NOMEM (of its tables; no thread at all is no
 * error). uring: false where it can't be had, and nothing is left. */
plim_status plim_read_threads_open(plim_read_queue *queue, unsigned threads, plim_error *err);
bool plim_read_uring_open(plim_read_queue *queue);
uint64_t plim_read_threads_bytes(unsigned threads); /* at most, in the ledger */
uint64_t plim_read_uring_bytes(void);

/* A slot's request from beginning to end, in this thread: fills slot->status and slot->err. */
void plim_read_now(plim_read_queue *queue, read_slot *slot);

/* Bytes [offset, offset + bytes) through the page cache to dst, leaving no pages there where the
 * system knows how; *no_dontcache remembers where it does not.  TRUNC, IO, NOMEM. */
plim_status plim_read_buffered(const plim_stored_file *file, int fd, void *dst, size_t bytes,
                               uint64_t offset, atomic_bool *no_dontcache, plim_error *err);

/* A request by O_DIRECT on `fd`.  *refused is set where the file system does not read so; the rest
 * then went through the page cache.  TRUNC, IO, NOMEM. */
plim_status plim_read_direct(const plim_stored_file *file, int fd, const plim_read_request *request,
                             atomic_bool *refused, atomic_bool *no_dontcache, plim_error *err);

static inline const plim_stored_file *read_file_of(const plim_read_queue *queue,
                                                   const plim_read_request *request)
{
    return &queue->setup.stored->files[request->file];
}

/* Whole blocks around a request: bytes from its first block's begin to its own begin, to its end,
 * and to the end of its last block. */
static inline size_t read_lead(const plim_read_request *request)
{
    return (size_t)(request->offset % PLIM_DIRECT_ALIGN);
}

static inline size_t read_need(const plim_read_request *request)
{
    return request->bytes ? read_lead(request) + request->bytes : 0;
}

static inline size_t read_span(const plim_read_request *request)
{
    size_t end = read_need(request);
    return (end + PLIM_DIRECT_ALIGN - 1) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
}

#endif
