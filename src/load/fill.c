/* SPDX-License-Identifier: Apache-2.0
 *
 * The load pipeline.  Workers share one queue of reads: whoever is free submits what there are
 * slots for and waits for the next read that is done; while it casts that to its place, the next
 * worker waits.  So reads, casts and placing overlap, in file order, and the slots are the back
 * pressure. */
#include "load/fill.h"

#include <string.h>

#include "base/file.h"
#include "load/pour.h"
#include "load/reader.h"

#define MAP_STEP_BYTES (8ull << 20) /* of one populate, at most */
/* What is in flight must have come before a cancel is done: no more than comes in this time, from
 * a disk as fast as it was so far (at first: a slow one). */
#define FLIGHT_SECONDS 0.03
#define FIRST_SPEED    32e6
#define LEAST_STEP     (256ull << 10)
#define WAIT_MS        20
#define SLOT_BYTES     ((size_t)PLIM_STAGED_BYTES + 2 * PLIM_DIRECT_ALIGN)

/* A read in flight, and the memory it goes through where it is staged. */
typedef struct slot {
    plim_read_request request;
    const plim_read *read;
    char *staging;
    bool busy;
} slot;

typedef struct filling {
    const plim_load_job *job;
    const plim_region *regions;
    plim_load_monitor *monitor;
    pthread_mutex_t io; /* of all below */
    plim_read_queue *queue;
    slot slots[PLIM_MAX_SLOTS];
    unsigned slot_count;
    size_t next, end; /* reads of the way at hand */
    uint64_t done;    /* bytes of reads[next] that were submitted */
    uint64_t flying;  /* bytes in flight */
} filling;

/* ---- what is read next ---- */

static char *staging_address(const slot *s, const plim_read *r)
{
    return s->staging + r->offset % PLIM_DIRECT_ALIGN;
}

/* Bytes that may be in flight. */
static uint64_t flight_bytes(const filling *f)
{
    uint64_t done = atomic_load(&f->monitor->done_bytes);
    double seconds = plim_now() - f->monitor->start, speed = FIRST_SPEED;
    if (done && seconds > 0 && (double)done / seconds > speed)
        speed = (double)done / seconds;
    return (uint64_t)(speed * FLIGHT_SECONDS);
}

/* Bytes of the next request: all that is left of a read, or less where the disk is slow, up to
 * where a block begins.  What is staged is read whole. */
static uint64_t step_bytes(const filling *f, const plim_read *r)
{
    uint64_t left = r->bytes - f->done, step = flight_bytes(f) / 4;
    if (r->move_count)
        return left;
    step = step < LEAST_STEP ? LEAST_STEP : step < MAP_STEP_BYTES ? step : MAP_STEP_BYTES;
    step -= (r->offset + f->done + step) % PLIM_DIRECT_ALIGN;
    return step < left ? step : left;
}

/* Fill in the next request; false when there is none. */
static bool next_request(filling *f, slot *s)
{
    if (f->next == f->end)
        return false;
    const plim_read *r = &f->job->plan->reads[f->next];
    uint64_t bytes = step_bytes(f, r);
    char *dst = r->move_count ? staging_address(s, r)
                              : (char *)f->regions[r->run].base + r->offset_in_run + f->done;
    s->read = r;
    s->request = (plim_read_request){.file = r->file,
                                     .offset = r->offset + f->done,
                                     .bytes = (size_t)bytes,
                                     .dst = dst,
                                     .tag = (uint64_t)(s - f->slots)};
    f->done += bytes;
    if (f->done == r->bytes) {
        f->done = 0;
        f->next++;
    }
    return true;
}

/* Fresh memory is brought in before it is read into, by all workers at once: the kernel would do it
 * one read after the other.  What can't be brought in is an error of the read. */
static void bring_in(const slot *s)
{
    if (s->read->move_count || s->read->how == PLIM_READER_MAP)
        return;
    uintptr_t begin = (uintptr_t)s->request.dst / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
    size_t bytes = (uintptr_t)s->request.dst + s->request.bytes - begin;
    (void)plim_memory_populate((void *)begin, bytes);
}

static slot *free_slot(filling *f)
{
    for (unsigned i = 0; i < f->slot_count; i++)
        if (!f->slots[i].busy)
            return &f->slots[i];
    return NULL;
}

/* Begin reads while there are slots; the queue is locked, but not while memory is brought in. */
static plim_status submit(filling *f, plim_error *err)
{
    plim_status status = PLIM_OK;
    slot *s;
    while (!status && !plim_monitor_stopped(f->monitor) && (s = free_slot(f)) &&
           (!f->flying || f->flying < flight_bytes(f)) && next_request(f, s)) {
        s->busy = true;
        f->flying += s->request.bytes;
        pthread_mutex_unlock(&f->io);
        bring_in(s);
        pthread_mutex_lock(&f->io);
        status = plim_read_queue_submit(f->queue, &s->request, err);
        s->busy = !status;
    }
    return status;
}

/* ---- what is done with it ---- */

/* What a move brings, to where the plan wants it. */
static void move(filling *f, const slot *s, const plim_move *m)
{
    const plim_load_job *job = f->job;
    const plim_extent_place *e = &job->plan->extents[m->extent];
    const plim_placement *p = &job->plan->placements[e->placement];
    const plim_stored *t = &job->stored->tensors[p->stored];
    const char *src = staging_address(s, s->read) + m->skip;
    unsigned bits = plim_dtypes[t->dtype].bits;
    plim_pour pour = plim_pour_of(job->kernels, p, t, e->rows,
                                  (char *)f->regions[s->read->run].base + m->run_offset);
    plim_pour_piece piece = {src, 0, m->elements};
    if (bits < 8) { /* counted in bytes */
        memcpy(pour.dst, src, (size_t)m->elements);
        return;
    }
    if (p->change >= PLIM_CHANGE_QUANTISE)
        piece.first = (s->read->offset + m->skip - t->offset) / (bits / 8) - e->row * pour.cols;
    unsigned tasks = plim_pour_tasks(&pour, &piece);
    for (unsigned i = 0; i < tasks && !plim_monitor_stopped(f->monitor); i++) {
        plim_error error;
        if (!plim_pour_task(&pour, &piece, i)) {
            plim_pour_explain(&pour, &piece, job->stored, t, &error);
            plim_monitor_fail(f->monitor, &error);
            return;
        }
        plim_monitor_step(f->monitor, 0); /* quantising a read takes long enough to be cancelled */
    }
}

static void place(filling *f, const slot *s)
{
    for (uint32_t i = 0; i < s->read->move_count; i++)
        move(f, s, &f->job->plan->moves[s->read->first_move + i]);
}

/* One turn at the queue, which is locked; false when there is nothing left to wait for. */
static bool turn(filling *f)
{
    plim_error error = {.code = PLIM_OK};
    plim_read_request *request = NULL;
    plim_status status = submit(f, &error);
    if (!status) {
        if (!plim_read_queue_in_flight(f->queue))
            return false;
        status = plim_read_queue_wait(f->queue, &request, WAIT_MS, &error);
    }
    slot *s = request ? &f->slots[request->tag] : NULL;
    f->flying -= s ? s->request.bytes : 0;
    pthread_mutex_unlock(&f->io);
    if (status)
        plim_monitor_fail(f->monitor, &error);
    else if (s)
        place(f, s);
    plim_monitor_step(f->monitor, s && !status ? s->request.bytes : 0);
    pthread_mutex_lock(&f->io);
    if (s)
        s->busy = false;
    return !plim_monitor_stopped(f->monitor);
}

static void work(void *arg, unsigned task, unsigned worker)
{
    (void)task;
    (void)worker;
    filling *f = arg;
    pthread_mutex_lock(&f->io);
    while (turn(f))
        ;
    pthread_mutex_unlock(&f->io);
}

/* ---- the whole ---- */

plim_status plim_fill_run(const plim_load_job *job, plim_task_fn fn, void *arg, plim_error *err)
{
    unsigned threads = job->plan->load_threads;
    plim_pool *pool = NULL;
    uint64_t stacks = plim_pool_stack_bytes(threads);
    plim_status status =
        plim_ledger_reserve(job->ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, stacks, err);
    if (status)
        return status;
    const plim_alloc *alloc = plim_ledger_alloc(job->ledger, PLIM_MEM_STAGING);
    if (threads > 1 && plim_pool_open(&pool, alloc, threads, NULL) == PLIM_OK)
        plim_pool_run(pool, threads, fn, arg);
    else
        fn(arg, 0, 0);
    plim_pool_close(&pool);
    plim_ledger_release(job->ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, stacks);
    return PLIM_OK;
}

/* All reads of one way, from f->next to f->end. */
static plim_status fill_way(filling *f, const plim_region *ring, plim_error *err)
{
    const plim_load_plan *plan = f->job->plan;
    plim_read_setup setup = {.how = plan->reads[f->next].how,
                             .stored = f->job->stored,
                             .ledger = f->job->ledger,
                             .ring = ring->base ? ring : NULL,
                             .depth = f->slot_count};
    plim_status status = plim_read_queue_open(&f->queue, &setup, err);
    if (status)
        return status;
    status = plim_fill_run(f->job, work, f, err);
    plim_read_queue_close(&f->queue);
    for (unsigned i = 0; i < f->slot_count; i++)
        f->slots[i].busy = false;
    return status;
}

plim_status plim_fill(const plim_load_job *job, const plim_region *regions,
                      plim_load_monitor *monitor, plim_error *err)
{
    const plim_load_plan *plan = job->plan;
    const plim_alloc *alloc = plim_ledger_alloc(job->ledger, PLIM_MEM_STAGING);
    plim_region ring = {0};
    filling *f = plim_new(alloc, 1, sizeof *f, err);
    if (!f)
        return err->code;
    f->job = job;
    f->regions = regions;
    f->monitor = monitor;
    f->slot_count = plan->load_depth < PLIM_MAX_SLOTS ? plan->load_depth : PLIM_MAX_SLOTS;
    pthread_mutex_init(&f->io, NULL);
    plim_status status = plim_region_open(&ring, job->ledger, PLIM_MEM_STAGING,
                                          plan->staging_slots * SLOT_BYTES, true, err);
    for (unsigned i = 0; !status && i < f->slot_count; i++)
        f->slots[i].staging = ring.base ? (char *)ring.base + i * SLOT_BYTES : NULL;
    while (!status && f->end < plan->read_count && !plim_monitor_stopped(monitor)) {
        f->next = f->end;
        while (f->end < plan->read_count && plan->reads[f->end].how == plan->reads[f->next].how)
            f->end++;
        status = fill_way(f, &ring, err);
    }
    if (!status && monitor->error.code) {
        status = monitor->error.code;
        *err = monitor->error;
    }
    plim_region_close(&ring, job->ledger);
    pthread_mutex_destroy(&f->io);
    plim_delete(alloc, f);
    return status;
}
