/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue over io_uring: direct reads, into registered memory where they go there.  What fails in a
 * way that another way of reading can mend goes on through the page cache.
 * Invariants:
 *  1. At most one entry lies in the submission ring without having been taken by the kernel
 *     (`stuck`); others wait in `waiting` meanwhile.
 *  2. A ring that the kernel refuses to serve any more (`broken`) is only looked at, until what it
 *     has taken is done; everything else is read by whoever waits. */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <time.h>

#include "load/reader_internal.h"

/* Entries: a slot each.  The kernel's two rings and the table fit a page each. */
#define ENTRIES     16u
#define RING_BYTES  ((uint64_t)4 * 4096)
#define MAX_TRIES   1000u    /* without a byte, for a reason that passes */
#define MAX_STUCK   100u     /* looks at an entry that is not taken */
#define NAP_NANOSEC 1000000L /* between looks, where waiting fails */

typedef struct uring {
    struct io_uring ring;
    bool registered, broken;
    unsigned in_kernel;
    unsigned stuck_tries;
    read_slot *stuck;
    unsigned waiting_count;
    read_slot *waiting[PLIM_READER_MAX_DEPTH];
} uring;

static_assert(ENTRIES >= PLIM_READER_MAX_DEPTH, "an entry for every slot");

/* What is left to read of a slot's request. */
typedef struct rest {
    char *dst;
    uint64_t offset;
    size_t bytes; /* to ask for */
    size_t need;  /* to be done, from the begin of the first block */
} rest;

static rest rest_of(const read_slot *slot)
{
    const plim_read_request *r = slot->request;
    const size_t lead = read_lead(r), need = read_need(r);
    const size_t end = slot->buffered ? need : read_span(r);
    return (rest){(char *)r->dst - lead + r->done, r->offset - lead + r->done, end - r->done, need};
}

static bool in_ring(const plim_region *ring, const rest *what)
{
    const uintptr_t base = (uintptr_t)ring->base, dst = (uintptr_t)what->dst;
    return dst >= base && dst - base <= ring->bytes && what->bytes <= ring->bytes - (dst - base);
}

static void go_buffered(read_slot *slot)
{
    const size_t lead = read_lead(slot->request);
    slot->buffered = true;
    slot->tries = 0;
    if (slot->request->done < lead && slot->request->bytes > 0)
        slot->request->done = lead;
}

static void prepare(plim_read_queue *queue, struct io_uring_sqe *sqe, read_slot *slot)
{
    const uring *u = queue->state;
    const plim_stored_file *file = read_file_of(queue, slot->request);
    /* others found out meanwhile */
    if (!slot->buffered && atomic_load_explicit(&slot->direct->refused, memory_order_relaxed))
        go_buffered(slot);
    const rest what = rest_of(slot);
    const unsigned bytes = what.bytes < (1u << 30) ? (unsigned)what.bytes : 1u << 30;
    slot->uncached = false;
    if (slot->buffered) {
        io_uring_prep_read(sqe, file->file.fd, what.dst, bytes, what.offset);
        sqe->flags |= IOSQE_ASYNC; /* the page cache may have to wait: not whoever submits */
        slot->uncached = !atomic_load_explicit(&queue->no_dontcache, memory_order_relaxed);
        sqe->rw_flags = slot->uncached ? PLIM_RWF_DONTCACHE : 0;
    } else if (u->registered && in_ring(queue->setup.ring, &what)) {
        io_uring_prep_read_fixed(sqe, slot->direct->fd, what.dst, bytes, what.offset, 0);
    } else {
        io_uring_prep_read(sqe, slot->direct->fd, what.dst, bytes, what.offset);
    }
    sqe->user_data = (uint64_t)(slot - queue->slots);
}

/* Hand the entry that lies there to the kernel.  True when it is taken. */
static bool push(uring *u)
{
    int taken = io_uring_submit(&u->ring);
    if (taken > 0) {
        u->stuck = NULL;
        u->stuck_tries = 0;
        u->in_kernel++;
        return true;
    }
    const bool passes = taken == -EINTR || taken == -EAGAIN || taken == -EBUSY || taken == 0;
    if (!passes || ++u->stuck_tries > MAX_STUCK)
        u->broken = true;
    return false;
}

/* Begin, or go on with, what waits. */
static void issue_waiting(plim_read_queue *queue)
{
    uring *u = queue->state;
    if (u->stuck && !u->broken)
        push(u);
    while (u->waiting_count > 0 && !u->stuck && !u->broken) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        if (!sqe) {
            u->broken = true;
            return;
        }
        u->stuck = u->waiting[0];
        u->waiting_count--;
        for (unsigned i = 0; i < u->waiting_count; i++)
            u->waiting[i] = u->waiting[i + 1];
        prepare(queue, sqe, u->stuck);
        push(u);
    }
}

static void submit(plim_read_queue *queue, read_slot *slot)
{
    uring *u = queue->state;
    u->waiting[u->waiting_count++] = slot;
    issue_waiting(queue);
}

static void end_with(plim_read_queue *queue, read_slot *slot, int failed)
{
    const plim_stored_file *file = read_file_of(queue, slot->request);
    const rest what = rest_of(slot);
    const plim_where where = {file->path, NULL, (int64_t)(what.offset & INT64_MAX)};
    if (failed)
        slot->status = plim_fail_errno(&slot->err, failed, where, "cannot read");
    else
        slot->status = plim_fail_at(&slot->err, PLIM_E_TRUNC, where,
                                    "the file ends here, %zu bytes are missing",
                                    what.need - slot->request->done);
}

/* What came of a read: true when the request is over, false when there is more to ask for. */
static bool advance(plim_read_queue *queue, read_slot *slot, int result)
{
    plim_read_request *r = slot->request;
    const size_t need = read_need(r);
    if (result >= 0 && r->done + (size_t)result >= need)
        return true;
    if (result == -EAGAIN || result == -EINTR || result == -ECANCELED) {
        /* CANCELED: the thread that submitted it has ended */
        if (++slot->tries < MAX_TRIES)
            return false;
        end_with(queue, slot, -result);
        return true;
    }
    if (result == -EINVAL || result == -EOPNOTSUPP) {
        if (slot->uncached)
            atomic_store_explicit(&queue->no_dontcache, true, memory_order_relaxed);
        else if (!slot->buffered)
            atomic_store_explicit(&slot->direct->refused, true, memory_order_relaxed);
        else
            end_with(queue, slot, -result);
        return slot->status != PLIM_OK;
    }
    if (result < 0 || (result == 0 && slot->buffered)) {
        end_with(queue, slot, -result);
        return true;
    }
    slot->tries = 0;
    r->done += (size_t)result;
    /* The end of the file, or a read that ended inside a block: the page cache knows which. */
    if (!slot->buffered && (result == 0 || result % (int)PLIM_DIRECT_ALIGN != 0))
        go_buffered(slot);
    return false;
}

/* A request that is over, of those that the kernel has done; NULL: none yet. */
static read_slot *reap(plim_read_queue *queue)
{
    uring *u = queue->state;
    struct io_uring_cqe *cqe = NULL;
    while (u->in_kernel > 0 && io_uring_peek_cqe(&u->ring, &cqe) == 0 && cqe) {
        read_slot *slot = &queue->slots[cqe->user_data];
        const int result = cqe->res;
        io_uring_cqe_seen(&u->ring, cqe);
        u->in_kernel--;
        if (advance(queue, slot, result))
            return slot;
        submit(queue, slot);
    }
    return NULL;
}

/* Of a broken ring: the next request that the kernel does not have, read here and now. */
static read_slot *read_here(plim_read_queue *queue)
{
    uring *u = queue->state;
    read_slot *slot = u->stuck;
    if (slot)
        u->stuck = NULL;
    else if (u->waiting_count > 0)
        slot = u->waiting[--u->waiting_count];
    if (slot)
        plim_read_now(queue, slot);
    return slot;
}

static void nap(void)
{
    const struct timespec t = {.tv_nsec = NAP_NANOSEC};
    nanosleep(&t, NULL);
}

/* Let time pass until something may be done, at most `seconds` (< 0: any time). */
static void rest_for(uring *u, double seconds)
{
    struct io_uring_cqe *cqe = NULL;
    struct __kernel_timespec t = {0};
    if (u->in_kernel == 0 || u->stuck || u->broken) {
        nap();
        return;
    }
    if (seconds >= 0) {
        t.tv_sec = (long long)seconds;
        t.tv_nsec = (long long)((seconds - (double)t.tv_sec) * 1e9);
    }
    int result = io_uring_wait_cqe_timeout(&u->ring, &cqe, seconds < 0 ? NULL : &t);
    if (result < 0 && result != -ETIME && result != -EINTR)
        nap(); /* the completions are in memory that we see: looking is enough */
}

static read_slot *wait_for(plim_read_queue *queue, int timeout_ms)
{
    uring *u = queue->state;
    const double until = plim_now() + timeout_ms * 1e-3;
    for (;;) {
        issue_waiting(queue);
        read_slot *slot = reap(queue);
        if (!slot && u->broken)
            slot = read_here(queue);
        if (slot)
            return slot;
        double left = timeout_ms < 0 ? -1 : until - plim_now();
        if (timeout_ms >= 0 && left <= 0)
            return NULL;
        rest_for(u, left);
    }
}

static void close_uring(plim_read_queue *queue)
{
    uring *u = queue->state;
    struct io_uring_cqe *cqe = NULL;
    while (u->in_kernel > 0) {
        if (io_uring_peek_cqe(&u->ring, &cqe) != 0 || !cqe) {
            u->stuck = NULL; /* nothing more is asked for */
            rest_for(u, -1);
            continue;
        }
        io_uring_cqe_seen(&u->ring, cqe);
        u->in_kernel--;
    }
    io_uring_queue_exit(&u->ring); /* gives registered memory back too */
    plim_ledger_release(queue->setup.ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, queue->reserved);
    plim_delete(queue->alloc, u);
}

static const read_engine engine = {"io_uring", submit, wait_for, close_uring};

uint64_t plim_read_uring_bytes(void)
{
    return sizeof(uring) + 16 + RING_BYTES;
}

bool plim_read_uring_open(plim_read_queue *queue)
{
    struct io_uring_params params = {0};
    plim_ledger *ledger = queue->setup.ledger;
    if (plim_ledger_reserve(ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, RING_BYTES, NULL) != PLIM_OK)
        return false;
    uring *u = plim_new(queue->alloc, 1, sizeof *u, NULL);
    bool opened = u && io_uring_queue_init_params(ENTRIES, &u->ring, &params) == 0;
    if (opened && !(params.features & IORING_FEAT_EXT_ARG)) {
        io_uring_queue_exit(&u->ring); /* before 5.11 waiting with a timeout takes entries */
        opened = false;
    }
    if (!opened) {
        plim_delete(queue->alloc, u);
        plim_ledger_release(ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, RING_BYTES);
        return false;
    }
    const plim_region *ring = queue->setup.ring;
    if (ring && ring->bytes > 0 && !(queue->setup.without & PLIM_READ_WITHOUT_REGISTER)) {
        const struct iovec memory = {ring->base, ring->bytes};
        u->registered = io_uring_register_buffers(&u->ring, &memory, 1) == 0;
    }
    queue->reserved = RING_BYTES;
    queue->state = u;
    queue->engine = &engine;
    return true;
}
