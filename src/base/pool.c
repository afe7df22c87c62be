/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread pool.  Owns its threads and the protocol below; leaves the cutting into tasks to the
 * callers. Invariants:
 *  1. `ticket` holds the number of a job, how many tasks it has, and the next of them.  Who adds 1
 *     to it and found a task below that count owns the task; others have changed nothing that
 *     counts.
 *  2. What a job consists of is written before its ticket, and read by owners of its tasks only. No
 *     job begins before all tasks of the one before are done, so an owner reads what belongs to its
 *     task, however late it woke up.  Nobody waits for sleepers.
 *  3. `done` counts the tasks that workers did, over all jobs; the caller leaves when it has come
 * to what it expects.
 *  4. Who goes to sleep says so by an exchange or an addition, then looks once more; who has news
 *     tells them by an exchange or an addition, then looks for sleepers: one of the two sees the
 *     other. */
#include <assert.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pool.h"
#include "base/signals.h"

enum { NUMBER_BITS = 24, SPINS_PER_LOOK = 32 };
#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)

/* Longer than the gap between two products of a token, shorter than a time slice. */
#define SPIN_SECONDS 50e-6

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
    uint32_t expected;   /* of `done`, when the job is; the caller's */

    char apart_1[64]; /* everybody spins on this line: keep it off the others */
    _Atomic uint64_t ticket;
    plim_task_fn fn; /* beside the ticket: one line brings all */
    void *arg;
    char apart_2[64];
    _Atomic uint32_t done;
    _Atomic uint64_t awaited; /* 1 << 32 | the value of `done` that the sleeping caller waits for */
    char apart_3[64];
    _Atomic uint32_t bell; /* changes when sleepers are to wake */
    _Atomic uint32_t sleepers;
    _Atomic bool closing;
    worker workers[]; /* [threads - 1] */
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most cores */
#endif
}

/* Returns at once when *word is not `value` any more; may return without a reason. */
static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, unsigned count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* ---- the ticket: 16 bits of the job's number, 24 of its tasks, 24 of the next task ---- */

static uint64_t ticket_of(uint32_t job, uint32_t tasks, uint32_t next)
{
    return (uint64_t)job << 2 * NUMBER_BITS | (uint64_t)tasks << NUMBER_BITS | next;
}

static uint32_t job_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 2 * NUMBER_BITS);
}

static uint32_t tasks_of(uint64_t ticket)
{
    return ticket >> NUMBER_BITS & NUMBER_MASK;
}

static uint32_t next_of(uint64_t ticket)
{
    return ticket & NUMBER_MASK;
}

/* Take tasks until none is left; `ticket` is what was seen last.  Returns how many were done. */
static uint32_t work(plim_pool *pool, unsigned index, uint64_t ticket)
{
    uint32_t count = 0;
    while (next_of(ticket) < tasks_of(ticket)) { /* looked at first: so it never grows far */
        ticket = atomic_fetch_add_explicit(&pool->ticket, 1, memory_order_acq_rel);
        if (next_of(ticket) >= tasks_of(ticket))
            break;
        pool->fn(pool->arg, next_of(ticket), index);
        count++;
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
    return count;
}

static void tell_done(plim_pool *pool, uint32_t count)
{
    uint32_t now = atomic_fetch_add(&pool->done, count) + count;
    if (atomic_load(&pool->awaited) == (UINT64_C(1) << 32 | now))
        wake(&pool->done, 1);
}

static bool is_news(plim_pool *pool, uint32_t seen, uint64_t *ticket)
{
    *ticket = atomic_load(&pool->ticket);
    return job_of(*ticket) != seen || atomic_load_explicit(&pool->closing, memory_order_relaxed);
}

/* Wait until there is another job than `seen`, or the end.  Returns the ticket. */
static uint64_t await_job(plim_pool *pool, uint32_t seen)
{
    uint64_t ticket;
    double until = 0;
    while (pool->spin) {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (is_news(pool, seen, &ticket))
                return ticket;
            relax();
        }
        double now = plim_now();
        until = until > 0 ? until : now + SPIN_SECONDS;
        if (now >= until)
            break;
    }
    for (;;) {
        uint32_t bell = atomic_load(&pool->bell);
        atomic_fetch_add(&pool->sleepers, 1);
        bool news = is_news(pool, seen, &ticket);
        if (!news)
            sleep_while(&pool->bell, bell);
        atomic_fetch_sub(&pool->sleepers, 1);
        if (news)
            return ticket;
    }
}

static void *thread_main(void *arg)
{
    worker *self = arg;
    plim_pool *pool = self->pool;
    uint32_t seen = 0;
    for (;;) {
        uint64_t ticket = await_job(pool, seen);
        if (atomic_load(&pool->closing))
            return NULL;
        seen =
            job_of(ticket); /* tasks of a later job may be done here; then it is looked at again */
        uint32_t count = work(pool, self->index, ticket);
        if (count > 0)
            tell_done(pool, count);
    }
}

/* Wait until the last task, somebody else's, is done. */
static void await_done(plim_pool *pool)
{
    const uint32_t expected = pool->expected;
    double until = 0;
    while (pool->spin) {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load_explicit(&pool->done, memory_order_acquire) == expected)
                return;
            relax();
        }
        double now = plim_now();
        until = until > 0 ? until : now + SPIN_SECONDS;
        if (now >= until)
            break;
    }
    atomic_exchange(&pool->awaited, UINT64_C(1) << 32 | expected);
    for (;;) {
        uint32_t done = atomic_load(&pool->done);
        if (done == expected)
            break;
        sleep_while(&pool->done, done);
    }
    atomic_store_explicit(&pool->awaited, 0, memory_order_relaxed);
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
    if (!atomic_load_explicit(&pool->called, memory_order_acquire))
        return false; /* no job runs: no task either */
    if (pthread_equal(atomic_load_explicit(&pool->caller, memory_order_relaxed), self))
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
    uint32_t job = job_of(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) + 1;
    pool->fn = fn;
    pool->arg = arg;
    atomic_exchange(&pool->ticket, ticket_of(job & 0xffffu, tasks, 1)); /* the first is ours */
    uint32_t sleepers = atomic_load(&pool->sleepers);
    if (sleepers > 0) {
        atomic_fetch_add(&pool->bell, 1);
        wake(&pool->bell, tasks - 1 < sleepers ? tasks - 1 : sleepers);
    }
    fn(arg, 0, 0);
    uint32_t own = 1 + work(pool, 0, atomic_load_explicit(&pool->ticket, memory_order_acquire));
    pool->expected += tasks - own;
    await_done(pool);
}

void plim_pool_run(plim_pool *pool, unsigned tasks, plim_task_fn fn, void *arg)
{
    unsigned index;
    assert(tasks <= PLIM_POOL_MAX_TASKS);
    if (tasks == 0)
        return;
    if (is_inside(pool, &index)) {
        run_alone(tasks, fn, arg, index);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    atomic_store_explicit(&pool->caller, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&pool->called, true, memory_order_release);
    if (pool->threads == 1 || tasks == 1)
        run_alone(tasks, fn, arg, 0);
    else
        run_together(pool, tasks, fn, arg);
    atomic_store_explicit(&pool->called, false, memory_order_release);
    pthread_mutex_unlock(&pool->turn);
}

/* ---- life ---- */

/* Stop and join the first `started` workers, and give everything back. */
static void destroy(plim_pool *pool, unsigned started)
{
    atomic_exchange(&pool->closing, true);
    atomic_fetch_add(&pool->bell, 1);
    wake(&pool->bell, PLIM_POOL_MAX_THREADS);
    for (unsigned i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
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
