/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue over a few threads that each take a request and do it to its end.  Where not a single
 * thread can be started, whoever waits does it. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/signals.h"
#include "load/reader_internal.h"

/* First in, first out; never more than all slots. */
typedef struct slot_line {
    read_slot *slots[PLIM_READER_MAX_DEPTH];
    unsigned first, count;
} slot_line;

typedef struct threads {
    plim_read_queue *queue;
    unsigned started;
    pthread_t thread[READ_MAX_THREADS];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work, news;
    slot_line asked, done;
    bool closing;
} threads;

static void put(slot_line *line, read_slot *slot)
{
    line->slots[(line->first + line->count++) % PLIM_READER_MAX_DEPTH] = slot;
}

static read_slot *take(slot_line *line)
{
    if (line->count == 0)
        return NULL;
    read_slot *slot = line->slots[line->first];
    line->first = (line->first + 1) % PLIM_READER_MAX_DEPTH;
    line->count--;
    return slot;
}

static void *thread_main(void *arg)
{
    threads *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!t->closing) {
        read_slot *slot = take(&t->asked);
        if (!slot) {
            pthread_cond_wait(&t->work, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        plim_read_now(t->queue, slot);
        pthread_mutex_lock(&t->lock);
        put(&t->done, slot);
        pthread_cond_signal(&t->news);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void submit(plim_read_queue *queue, read_slot *slot)
{
    threads *t = queue->state;
    pthread_mutex_lock(&t->lock);
    put(&t->asked, slot);
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

static struct timespec after(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static read_slot *wait_for(plim_read_queue *queue, int timeout_ms)
{
    threads *t = queue->state;
    const struct timespec until = timeout_ms > 0 ? after(timeout_ms) : (struct timespec){0};
    int expired = timeout_ms == 0;
    pthread_mutex_lock(&t->lock);
    read_slot *slot = take(&t->done);
    if (t->started == 0 && !slot) {
        slot = take(&t->asked);
        plim_read_now(queue, slot);
    }
    while (!slot && !expired) {
        expired = timeout_ms < 0 ? pthread_cond_wait(&t->news, &t->lock)
                                 : pthread_cond_timedwait(&t->news, &t->lock, &until);
        slot = take(&t->done);
    }
    pthread_mutex_unlock(&t->lock);
    return slot;
}

static void close_threads(plim_read_queue *queue)
{
    threads *t = queue->state;
    pthread_mutex_lock(&t->lock);
    t->closing = true; /* what nobody has begun is not begun any more */
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < t->started; i++)
        pthread_join(t->thread[i], NULL);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->news);
    pthread_mutex_destroy(&t->lock);
    plim_ledger_release(queue->setup.ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, queue->reserved);
    plim_delete(queue->alloc, t);
}

static const read_engine engine = {"threads", submit, wait_for, close_threads};

static uint64_t stack_bytes(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return READ_STACK_BYTES + (uint64_t)(page > 0 ? page : 4096);
}

uint64_t plim_read_threads_bytes(unsigned count)
{
    return count * stack_bytes() + sizeof(threads) + 16;
}

static void start(threads *t, unsigned count)
{
    pthread_attr_t attr;
    sigset_t before;
    if (pthread_attr_init(&attr) != 0)
        return;
    /* A stack of another size would not be what was counted. */
    bool fits = pthread_attr_setstacksize(&attr, READ_STACK_BYTES) == 0;
    plim_signals_block(&before);
    while (fits && t->started < count &&
           pthread_create(&t->thread[t->started], &attr, thread_main, t) == 0)
        t->started++;
    plim_signals_restore(&before);
    pthread_attr_destroy(&attr);
}

plim_status plim_read_threads_open(plim_read_queue *queue, unsigned count, plim_error *err)
{
    plim_error why;
    plim_ledger *ledger = queue->setup.ledger;
    uint64_t stacks = count * stack_bytes();
    plim_status status =
        plim_ledger_reserve(ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, stacks, &why);
    threads *t = status == PLIM_OK ? plim_new(queue->alloc, 1, sizeof *t, &why) : NULL;
    if (!t) {
        if (status == PLIM_OK)
            plim_ledger_release(ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, stacks);
        *err = why;
        return why.code;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    t->queue = queue;
    if (!(queue->setup.without & PLIM_READ_WITHOUT_THREADS))
        start(t, count);
    queue->reserved = t->started * stack_bytes();
    plim_ledger_release(ledger, PLIM_MEM_STAGING, PLIM_ANONYMOUS, stacks - queue->reserved);
    queue->state = t;
    queue->engine = &engine;
    return PLIM_OK;
}
