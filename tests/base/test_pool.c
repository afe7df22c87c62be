/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread pool: each task exactly once and seen by the caller, several callers, every thread
 * count, threads that the system refuses.  Meant for the thread sanitizer as much as for the
 * asserts. */
#include "base_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pool.h"

static struct {
    atomic_int calls;
    int fail_at;
} create;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (atomic_fetch_add(&create.calls, 1) + 1 == create.fail_at)
        return EAGAIN;
    return __real_pthread_create(thread, attr, fn, arg);
}

enum { MOST_TASKS = 3000 };

typedef struct job {
    unsigned threads, tasks;
    unsigned done[MOST_TASKS]; /* plain: the sanitizer watches them */
    unsigned by_worker[8];     /* a worker's own: never used by two at once */
    unsigned long sum[8];
    atomic_uint wrong;
} job;

static void count(void *arg, unsigned task, unsigned worker)
{
    job *j = arg;
    if (task >= j->tasks || worker >= j->threads) {
        atomic_fetch_add(&j->wrong, 1);
        return;
    }
    j->done[task]++;
    j->by_worker[worker]++;
    j->sum[worker] += task;
}

static void run_one(plim_pool *pool, job *j, unsigned tasks)
{
    j->tasks = tasks;
    j->threads = plim_pool_threads(pool);
    memset(j->done, 0, sizeof j->done);
    memset(j->by_worker, 0, sizeof j->by_worker);
    memset(j->sum, 0, sizeof j->sum);
    plim_pool_run(pool, tasks, count, j);
    unsigned ran = 0;
    unsigned long sum = 0;
    for (unsigned i = 0; i < 8; i++) {
        ran += j->by_worker[i];
        sum += j->sum[i];
    }
    if (atomic_load(&j->wrong) || ran != tasks ||
        sum != (unsigned long)tasks * (tasks - 1ul * (tasks > 0)) / 2)
        atomic_fetch_add(&j->wrong, 1000);
    for (unsigned i = 0; i < MOST_TASKS; i++)
        if (j->done[i] != (i < tasks))
            atomic_fetch_add(&j->wrong, 1000000);
}

static void each_task_once(void **state)
{
    (void)state;
    static job j;
    for (unsigned threads = 1; threads <= 8; threads++) {
        plim_pool *pool;
        plim_error err;
        assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), threads, &err), PLIM_OK);
        assert_int_equal(plim_pool_threads(pool), threads);
        const unsigned sizes[] = {0, 1, 2, 3, 7, 8, 9, 100, 1000, MOST_TASKS};
        for (int round = 0; round < 20; round++)
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                run_one(pool, &j, sizes[i]);
        for (unsigned tasks = 0; tasks < 300;
             tasks++) /* one upon the other, as products of a token */
            run_one(pool, &j, tasks % 17);
        assert_int_equal(atomic_load(&j.wrong), 0);
        plim_pool_close(&pool);
        assert_null(pool);
        plim_pool_close(&pool);
    }
}

/* Workers that slept must still come: with a pause before each job, and tasks that last. */
static void linger(void *arg, unsigned task, unsigned worker)
{
    atomic_uint *seen = arg;
    (void)task;
    struct timespec nap = {.tv_nsec = 3000000};
    nanosleep(&nap, NULL);
    atomic_fetch_or(seen, 1u << worker);
}

static void sleepers_wake(void **state)
{
    (void)state;
    plim_pool *pool;
    assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), 4, NULL), PLIM_OK);
    for (int round = 0; round < 10; round++) {
        atomic_uint seen = 0;
        struct timespec nap = {.tv_nsec = 5000000};
        nanosleep(&nap, NULL); /* longer than anybody spins */
        plim_pool_run(pool, 64, linger, &seen);
        assert_int_equal(atomic_load(&seen), 0xf);
    }
    plim_pool_close(&pool);
}

static void two_at_once(void *arg, unsigned task, unsigned worker)
{
    atomic_uint *inside = arg;
    (void)task;
    atomic_fetch_add(inside, 1);
    (void)worker;
    double until = plim_now() + 20;
    while (atomic_load(inside) < 2 && plim_now() < until)
        sched_yield();
}

/* Two tasks that wait for each other end only if they run side by side. */
static void side_by_side(void **state)
{
    (void)state;
    plim_pool *pool;
    assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), 2, NULL), PLIM_OK);
    double start = plim_now();
    for (int i = 0; i < 50; i++) {
        atomic_uint inside = 0;
        plim_pool_run(pool, 2, two_at_once, &inside);
    }
    assert_true(plim_now() - start < 20);
    plim_pool_close(&pool);
}

typedef struct caller {
    plim_pool *pool;
    job j;
} caller;

static void *call_often(void *arg)
{
    caller *c = arg;
    for (unsigned i = 0; i < 400; i++)
        run_one(c->pool, &c->j, i % 23);
    return NULL;
}

static void several_callers(void **state)
{
    (void)state;
    static caller callers[5];
    for (unsigned threads = 1; threads <= 8; threads += threads < 4 ? 1 : 4) {
        plim_pool *pool;
        pthread_t ids[5];
        assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), threads, NULL), PLIM_OK);
        for (int i = 0; i < 5; i++) {
            callers[i].pool = pool;
            assert_int_equal(pthread_create(&ids[i], NULL, call_often, &callers[i]), 0);
        }
        for (int i = 0; i < 5; i++) {
            pthread_join(ids[i], NULL);
            assert_int_equal(atomic_load(&callers[i].j.wrong), 0);
        }
        plim_pool_close(&pool);
    }
}

static atomic_uint in_turn;

static void alone(void *arg, unsigned task, unsigned worker)
{
    (void)task;
    unsigned bit = 1u << worker;
    if (atomic_fetch_or(&in_turn, bit) & bit)
        atomic_fetch_add((atomic_uint *)arg, 1);
    for (volatile int i = 0; i < 200; i++)
        ;
    atomic_fetch_and(&in_turn, ~bit);
}

static plim_pool *shared;

static void *call_alone(void *arg)
{
    for (int i = 0; i < 200; i++)
        plim_pool_run(shared, 10, alone, arg);
    return NULL;
}

/* A worker's number is in use once at a time, whoever calls: scratch memory hangs on it. */
static void numbers_are_exclusive(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++) {
        atomic_uint clashes = 0;
        pthread_t ids[3];
        assert_int_equal(plim_pool_open(&shared, plim_alloc_system(), threads, NULL), PLIM_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&ids[i], NULL, call_alone, &clashes), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(ids[i], NULL);
        assert_int_equal(atomic_load(&clashes), 0);
        plim_pool_close(&shared);
    }
}

static size_t thread_count(void)
{
    char text[4096], *line;
    assert_true(plim_file_peek("/proc/self/status", text, sizeof text) > 0);
    line = strstr(text, "Threads:");
    assert_non_null(line);
    return strtoul(line + 8, NULL, 10);
}

/* A thread that is joined may be seen for a moment longer. */
static void expect_threads(size_t want)
{
    double until = plim_now() + 10;
    while (thread_count() != want && plim_now() < until)
        sched_yield();
    assert_int_equal(thread_count(), want);
}

static void life(void **state)
{
    (void)state;
    counting_alloc counting;
    counting_open(&counting);
    plim_pool *pool = (plim_pool *)&counting;
    plim_error err;
    assert_int_equal(plim_pool_open(&pool, &counting.alloc, 0, &err), PLIM_E_USAGE);
    assert_null(pool);
    assert_int_equal(plim_pool_open(&pool, &counting.alloc, PLIM_POOL_MAX_THREADS + 1, &err),
                     PLIM_E_USAGE);
    assert_int_equal(err.code, PLIM_E_USAGE);

    struct timespec nap = {.tv_nsec = 50000000};
    nanosleep(&nap, NULL); /* threads of the tests before may be seen for a moment longer */
    size_t before = thread_count();
    assert_int_equal(plim_pool_open(&pool, &counting.alloc, 1, &err), PLIM_OK);
    assert_int_equal(thread_count(), before); /* starts nothing */
    plim_pool_close(&pool);
    for (int i = 0; i < 100; i++) { /* closed before anybody has run */
        assert_int_equal(plim_pool_open(&pool, &counting.alloc, 5, &err), PLIM_OK);
        plim_pool_close(&pool);
    }
    expect_threads(before);

    counting.fail_at = counting.calls + 1;
    assert_int_equal(plim_pool_open(&pool, &counting.alloc, 5, &err), PLIM_E_NOMEM);
    assert_null(pool);
    for (int at = 1; at <= 4; at++) { /* each thread refused in its turn */
        atomic_store(&create.calls, 0);
        create.fail_at = at;
        assert_int_equal(plim_pool_open(&pool, &counting.alloc, 5, &err), PLIM_E_NOMEM);
        assert_null(pool);
        assert_int_equal(err.code, PLIM_E_NOMEM);
        expect_threads(before);
    }
    create.fail_at = 0;
    assert_int_equal(counting.live_blocks, 0);

    assert_int_equal(plim_pool_open(&pool, &counting.alloc, 4, &err), PLIM_OK);
    size_t calls = counting.calls;
    static job j;
    for (unsigned i = 0; i < 50; i++)
        run_one(pool, &j, i);
    assert_int_equal(counting.calls, calls); /* no allocation in run */
    plim_pool_close(&pool);

    assert_int_equal(plim_pool_stack_bytes(1), 0);
    assert_true(plim_pool_stack_bytes(3) >= 2 * PLIM_POOL_STACK_BYTES);
    assert_true(plim_pool_stack_bytes(3) <= 2 * (PLIM_POOL_STACK_BYTES + 65536));
}

static void blocked(void *arg, unsigned task, unsigned worker)
{
    sigset_t set;
    (void)task;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (worker != 0 && !sigismember(&set, SIGINT))
        atomic_fetch_add((atomic_uint *)arg, 1);
    struct timespec nap = {.tv_nsec = 1000000};
    nanosleep(&nap, NULL);
}

/* The library is a guest: signals go to the host's threads, and the caller's mask is as it was. */
static void signals(void **state)
{
    (void)state;
    sigset_t before, after;
    plim_pool *pool;
    atomic_uint open_to = 0;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), 3, NULL), PLIM_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < 32; s++)
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    plim_pool_run(pool, 30, blocked, &open_to);
    assert_int_equal(atomic_load(&open_to), 0);
    plim_pool_close(&pool);
}

typedef struct outer {
    plim_pool *pool;
    job inner[8];
} outer;

static void run_inner(void *arg, unsigned task, unsigned worker)
{
    outer *o = arg;
    (void)worker;
    o->inner[task].threads = plim_pool_threads(o->pool);
    run_one(o->pool, &o->inner[task], 50);
}

/* A task that runs a job of its own does not wait for itself. */
static void a_task_may_run_a_job(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++) {
        outer *o = calloc(1, sizeof *o);
        assert_non_null(o);
        assert_int_equal(plim_pool_open(&o->pool, plim_alloc_system(), threads, NULL), PLIM_OK);
        for (unsigned tasks = 1; tasks <= 8; tasks *= 2)
            plim_pool_run(o->pool, tasks, run_inner, o);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(atomic_load(&o->inner[i].wrong), 0);
        plim_pool_close(&o->pool);
        free(o);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void nothing(void *arg, unsigned task, unsigned worker)
{
    (void)arg;
    (void)task;
    (void)worker;
}

/* After a job, and between jobs that are far apart, the threads sleep. */
static void idle_costs_nothing(void **state)
{
    (void)state;
    plim_pool *pool;
    struct timespec gap = {.tv_nsec = 4000000}, long_gap = {.tv_nsec = 300000000};
    assert_int_equal(plim_pool_open(&pool, plim_alloc_system(), 2, NULL), PLIM_OK);
    double start = cpu_seconds(), wall = plim_now();
    for (int i = 0; i < 100; i++) {
        plim_pool_run(pool, 2, nothing, NULL);
        nanosleep(&gap, NULL);
    }
    assert_true(cpu_seconds() - start < 0.2 * (plim_now() - wall));
    nanosleep(&gap, NULL);
    start = cpu_seconds();
    nanosleep(&long_gap, NULL);
    assert_true(cpu_seconds() - start < 0.01);
    plim_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_once),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(several_callers),
        cmocka_unit_test(numbers_are_exclusive),
        cmocka_unit_test(a_task_may_run_a_job),
        cmocka_unit_test(life),
        cmocka_unit_test(signals),
        cmocka_unit_test(idle_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
