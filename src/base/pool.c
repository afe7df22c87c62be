/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread pool.  Owns its threads and the protocol below; leaves the cutting into tasks to the
 * callers. Invariants:
 *  1. `ticket` holds the number of the job (high half) and the next task of it (low half).  Who
 * moves it from (job, i) to (job, i + 1) owns task i.
 *  2. The job's fields change only while the ticket says (job, CLOSED); so whoever wins a task has
 * read the fields of that same job, however late it woke up.  Nobody waits for sleepers.
 *  3. `pending` counts the tasks not yet done; the caller leaves when it is 0. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/signals.h"

#define CLOSED UINT32_MAX
#define SPIN_SECONDS                                                                               \
    40e-6 /* longer than the gap between two products of a token, shorter than a time slice */

typedef struct worker {
    struct plim_pool *pool;
    pthread_t thread;
    unsigned index;
} worker;

struct plim_pool {
    const plim_alloc *alloc;
    unsigned threads;
    bool spin;
    pthread_mutex_t turn; /* held by the caller whose job runs */
    _Atomic pthread_t caller;
    _Atomic bool called; /* `caller` says who */

    char apart_1[64]; /* everybody spins on the ticket: keep it off the other lines */
    _Atomic uint64_t ticket;
    char apart_2[64];
    _Atomic uint32_t pending;
    char apart_3[64];
    _Atomic uint32_t tasks;
    _Atomic plim_task_fn fn;
    _Atomic(void *) arg;

    pthread_mutex_t lock; /* of the two conditions and the two counts */
    pthread_cond_t wake, done;
    _Atomic unsigned sleepers;
    _Atomic bool caller_sleeps, closing;
    worker workers[]; /* [threads - 1] */
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t job_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Take tasks of the job that the ticket names until none is left.  Returns the job's number. */
static uint32_t work(plim_pool *pool, unsigned index)
{
    uint32_t finished = 0;
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    const uint32_t job = job_of(ticket);
    if ((uint32_t)ticket == CLOSED)
        return job - 1; /* about to begin: not seen yet */
    /* acquire: a value of a later job makes the exchange below see that job's ticket, and fail */
    uint32_t tasks = atomic_load_explicit(&pool->tasks, memory_order_acquire);
    plim_task_fn fn = atomic_load_explicit(&pool->fn, memory_order_acquire);
    void *arg = atomic_load_explicit(&pool->arg, memory_order_acquire);
    while (job_of(ticket) == job && (uint32_t)ticket < tasks) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket + 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        fn(arg, (uint32_t)ticket, index);
        finished++;
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
    /* seq_cst, here and where the caller goes to sleep: one of the two sees the other */
    if (finished && atomic_fetch_sub(&pool->pending, finished) == finished &&
        atomic_load(&pool->caller_sleeps)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
    return job;
}

static bool is_news(plim_pool *pool, uint32_t seen)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    return (job_of(ticket) != seen && (uint32_t)ticket != CLOSED) || atomic_load(&pool->closing);
}

/* Wait until there is another job than `seen`, or the end. */
static void await_job(plim_pool *pool, uint32_t seen)
{
    if (pool->spin) {
        double until = plim_now() + SPIN_SECONDS;
        do {
            for (int i = 0; i < 16; i++) {
                if (is_news(pool, seen))
                    return;
                relax();
            }
        } while (plim_now() < until);
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!is_news(pool, seen))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *thread_main(void *arg)
{
    worker *self = arg;
    plim_pool *pool = self->pool;
    uint32_t seen = 0;
    for (;;) {
        await_job(pool, seen);
        if (atomic_load(&pool->closing))
            return NULL;
        seen = work(pool, self->index);
    }
}

/* Wait until the last task, somebody else's, is done. */
static void await_done(plim_pool *pool)
{
    if (pool->spin) {
        double until = plim_now() + SPIN_SECONDS;
        do {
            for (int i = 0; i < 16; i++) {
                if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0)
                    return;
                relax();
            }
        } while (plim_now() < until);
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->pending) != 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void run_alone(unsigned tasks, plim_task_fn fn, void *arg, unsigned index)
{
    for (unsigned i = 0; i < tasks; i++)
        fn(arg, i, index);
}

/* Whether this thread is in the middle of a task of the pool, and its number. */
static bool is_inside(plim_pool *pool, unsigned *index)
{
    pthread_t self = pthread_self();
    *index = 0;
    if (!atomic_load(&pool->called))
        return false; /* no job runs: no task either */
    if (pthread_equal(atomic_load(&pool->caller), self))
        return true;
    for (unsigned i = 1; i < pool->threads; i++)
        if (pthread_equal(pool->workers[i - 1].thread, self)) {
            *index = i;
            return true;
        }
    return false;
}

static void run_together(plim_pool *pool, unsigned tasks, plim_task_fn fn, void *arg)
{
    uint64_t job = (uint64_t)(job_of(atomic_load(&pool->ticket)) + 1) << 32;
    atomic_store(&pool->ticket, job | CLOSED);
    atomic_store_explicit(&pool->tasks, tasks, memory_order_release);
    atomic_store_explicit(&pool->fn, fn, memory_order_release);
    atomic_store_explicit(&pool->arg, arg, memory_order_release);
    atomic_store_explicit(&pool->pending, tasks, memory_order_release);
    atomic_store(&pool->ticket,
                 job); /* seq_cst, as the count of sleepers: no worker sleeps through it */
    unsigned sleepers = atomic_load(&pool->sleepers);
    if (sleepers > 0) {
        pthread_mutex_lock(&pool->lock);
        if (tasks - 1 >= sleepers)
            pthread_cond_broadcast(&pool->wake);
        else
            for (unsigned i = 0; i < tasks - 1; i++)
                pthread_cond_signal(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
    work(pool, 0);
    await_done(pool);
}

void plim_pool_run(plim_pool *pool, unsigned tasks, plim_task_fn fn, void *arg)
{
    unsigned index;
    assert(tasks < CLOSED);
    if (tasks == 0)
        return;
    if (is_inside(pool, &index)) {
        run_alone(tasks, fn, arg, index);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    atomic_store(&pool->caller, pthread_self());
    atomic_store(&pool->called, true);
    if (pool->threads == 1 || tasks == 1)
        run_alone(tasks, fn, arg, 0);
    else
        run_together(pool, tasks, fn, arg);
    atomic_store(&pool->called, false);
    pthread_mutex_unlock(&pool->turn);
}

/* ---- life ---- */

/* Stop and join the first `started` workers, and give everything back. */
static void destroy(plim_pool *pool, unsigned started)
{
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->closing, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->turn);
    pool->alloc->free(pool->alloc, pool);
}

static int start(worker *w)
{
    pthread_attr_t attr;
    int failed = pthread_attr_init(&attr);
    if (failed)
        return failed;
    /* Refused where the host's thread-local data leave no room: then the system's own size. */
    pthread_attr_setstacksize(&attr, PLIM_POOL_STACK_BYTES);
    failed = pthread_create(&w->thread, &attr, thread_main, w);
    pthread_attr_destroy(&attr);
    return failed;
}

plim_status plim_pool_open(plim_pool **out, const plim_alloc *alloc, unsigned threads,
                           plim_error *err)
{
    *out = NULL;
    if (threads < 1 || threads > PLIM_POOL_MAX_THREADS)
        return plim_fail(err, PLIM_E_USAGE, "%u threads, want 1..%d", threads,
                         PLIM_POOL_MAX_THREADS);
    plim_error why;
    plim_pool *pool = plim_new(alloc, 1, sizeof *pool + (threads - 1) * sizeof(worker), &why);
    if (!pool) {
        if (err)
            *err = why;
        return why.code;
    }
    pool->alloc = alloc;
    pool->threads = threads;
    pool->spin = threads <= plim_cpu_count();
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);

    sigset_t before;
    plim_signals_block(&before);
    unsigned started = 0;
    int failed = 0;
    while (started < threads - 1 && !failed) {
        pool->workers[started].pool = pool;
        pool->workers[started].index = started + 1;
        failed = start(&pool->workers[started]);
        started += !failed;
    }
    plim_signals_restore(&before);
    if (failed) {
        destroy(pool, started);
        return plim_fail(err, PLIM_E_NOMEM, "the system gave %u of %u threads (error %d)",
                         started + 1, threads, failed);
    }
    *out = pool;
    return PLIM_OK;
}

void plim_pool_close(plim_pool **pool)
{
    if (!*pool)
        return;
    destroy(*pool, (*pool)->threads - 1);
    *pool = NULL;
}

unsigned plim_pool_threads(const plim_pool *pool)
{
    return pool->threads;
}

size_t plim_pool_stack_bytes(unsigned threads)
{
    long page = sysconf(_SC_PAGESIZE);
    return threads > 1 ? (threads - 1) * (PLIM_POOL_STACK_BYTES + (size_t)(page > 0 ? page : 4096))
                       : 0;
}
