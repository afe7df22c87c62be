/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: what is counted, what is refused, what is said, and that memory goes back. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "memory_test.h"

static plim_ledger *open_ledger(uint64_t limit, uint64_t baseline)
{
    plim_ledger *ledger = NULL;
    assert_int_equal(plim_ledger_open(&ledger, limit, baseline, NULL, NULL), PLIM_OK);
    return ledger;
}

static plim_memory read_ledger(const plim_ledger *ledger)
{
    plim_memory m;
    plim_ledger_read(ledger, &m);
    return m;
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"weights",   "staging",  "kv",   "activations",
                                        "tokenizer", "metadata", "other"};
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        assert_string_equal(plim_memory_category_name((plim_memory_category)i), names[i]);
    assert_string_equal(plim_memory_category_name(PLIM_MEM_COUNT), "?");
    assert_string_equal(plim_memory_category_name((plim_memory_category)-1), "?");
}

static void test_counts(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(1000, 100);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 300, NULL), PLIM_OK);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_WEIGHTS, PLIM_MAPPED, 400, NULL), PLIM_OK);
    plim_ledger_release(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 200);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 50, NULL), PLIM_OK);
    plim_memory m = read_ledger(l);
    assert_int_equal(m.limit, 1000);
    assert_int_equal(m.baseline, 100);
    assert_int_equal(m.total.now, 550);
    assert_int_equal(m.total.peak, 700);
    assert_int_equal(m.anonymous.now, 150);
    assert_int_equal(m.anonymous.peak, 300);
    assert_int_equal(m.mapped.now, 400);
    assert_int_equal(m.mapped.peak, 400);
    assert_int_equal(m.category[PLIM_MEM_KV].now, 150);
    assert_int_equal(m.category[PLIM_MEM_KV].peak, 300);
    assert_int_equal(m.category[PLIM_MEM_WEIGHTS].now, 400);
    assert_int_equal(m.category[PLIM_MEM_OTHER].peak, 0);
    plim_ledger_release(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 150);
    plim_ledger_release(l, PLIM_MEM_WEIGHTS, PLIM_MAPPED, 400);
    plim_ledger_close(&l);
    assert_null(l);
    plim_ledger_close(&l);
    plim_ledger_close(NULL);
}

/* The line is exact to the byte, the baseline counts, and a refusal changes nothing. */
static void test_line(void **state)
{
    (void)state;
    plim_error err;
    plim_ledger *l = open_ledger(1000, 100);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, 901, &err),
                     PLIM_E_BUDGET);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_MAPPED, 901, &err), PLIM_E_BUDGET);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, UINT64_MAX, &err),
                     PLIM_E_BUDGET);
    assert_int_equal(read_ledger(l).total.peak, 0);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, 900, &err), PLIM_OK);
    plim_memory before = read_ledger(l), after;
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_MAPPED, 1, &err), PLIM_E_BUDGET);
    assert_int_equal(err.code, PLIM_E_BUDGET);
    after = read_ledger(l);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_MAPPED, 0, &err), PLIM_OK);
    plim_ledger_release(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, 900);
    plim_ledger_close(&l);

    l = open_ledger(0, 7); /* without a line only arithmetic refuses */
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, UINT64_MAX / 2, &err),
                     PLIM_OK);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_MAPPED, UINT64_MAX / 2 + 1, &err),
                     PLIM_E_NOMEM);
    plim_ledger_release(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, UINT64_MAX / 2);
    plim_ledger_close(&l);
}

static void test_refusal_says(void **state)
{
    (void)state;
    plim_error err;
    plim_ledger *l = open_ledger(GIB, 12 * MIB);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 200 * MIB, NULL), PLIM_OK);
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_WEIGHTS, PLIM_ANONYMOUS, 1536 * MIB, &err),
                     PLIM_E_BUDGET);
    assert_string_equal(plim_status_name(err.code), "BUDGET");
    static const char *const words[] = {"1.5 GiB",  "weights",  "1.0 GiB", "200.0 MiB",
                                        "12.0 MiB", "--memory", "--dtype"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(err.message, words[i]));
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_KV, PLIM_ANONYMOUS, GIB, &err), PLIM_E_BUDGET);
    assert_non_null(strstr(err.message, "--context"));
    assert_int_equal(plim_ledger_reserve(l, PLIM_MEM_OTHER, PLIM_ANONYMOUS, GIB, NULL),
                     PLIM_E_BUDGET);
    plim_ledger_release(l, PLIM_MEM_KV, PLIM_ANONYMOUS, 200 * MIB);
    plim_ledger_close(&l);
}

static bool all_are(const void *ptr, unsigned char value, size_t bytes)
{
    const unsigned char *p = ptr;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != value)
            return false;
    return true;
}

/* Through every size that matters: contents live, new bytes are zero, nothing else is counted in
 * the end. */
static void check_alloc(plim_ledger *l)
{
    static const size_t sizes[] = {0,      1,     15,     16,    17,    4096,    65519,
                                   65520,  65521, 65535,  65536, 65537, 69616,   200000,
                                   70000,  65536, 65535,  100,   1,     3 << 20, 5 << 20,
                                   100000, 0,     100000, 65535};
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_TOKENIZER);
    plim_error err;
    unsigned char *ptr = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ptr = a->resize(a, ptr, sizes[i], &err);
        assert_non_null(ptr);
        assert_int_equal((uintptr_t)ptr % 16, 0);
        size_t kept = bytes < sizes[i] ? bytes : sizes[i];
        assert_true(all_are(ptr, 0xA5, kept));
        assert_true(all_are(ptr + kept, 0, sizes[i] - kept));
        memset(ptr, 0xA5, sizes[i]);
        bytes = sizes[i];
        uint64_t now = read_ledger(l).category[PLIM_MEM_TOKENIZER].now;
        assert_in_range(now, bytes + 16, bytes + 16 + 3 * 4096);
        void *fresh = a->alloc(a, sizes[i], &err);
        assert_non_null(fresh);
        assert_true(all_are(fresh, 0, sizes[i]));
        memset(fresh, 0xFF, sizes[i]);
        a->free(a, fresh);
        assert_int_equal(read_ledger(l).category[PLIM_MEM_TOKENIZER].now, now);
    }
    a->free(a, ptr);
    a->free(a, NULL);
    assert_null(a->alloc(a, SIZE_MAX, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_null(a->alloc(a, SIZE_MAX - 16, NULL));
    assert_null(a->alloc(a, (size_t)PTRDIFF_MAX, NULL));
    plim_memory m = read_ledger(l);
    assert_int_equal(m.total.now, 0);
    assert_int_equal(m.category[PLIM_MEM_TOKENIZER].now, 0);
    assert_int_equal(m.category[PLIM_MEM_OTHER].peak, 0);
    assert_int_equal(m.mapped.peak, 0);
}

static void test_alloc(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0, 0);
    check_alloc(l);
    plim_ledger_close(&l);
}

/* Peaks of small memory: exactly 16 bytes on top of each block. */
static void test_exact_peak(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0, 0);
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_METADATA);
    void *p[10];
    for (size_t i = 0; i < 10; i++)
        p[i] = a->alloc(a, 100 * (i + 1), NULL);
    for (size_t i = 0; i < 10; i++)
        a->free(a, p[i]);
    assert_int_equal(read_ledger(l).total.peak, 5500 + 160);
    assert_int_equal(read_ledger(l).total.now, 0);

    /* both at once, for a moment */
    void *grown = a->resize(a, a->alloc(a, 10000, NULL), 20000, NULL);
    assert_int_equal(read_ledger(l).total.peak, 30000 + 32);
    assert_int_equal(read_ledger(l).total.now, 20016);
    grown = a->resize(a, grown, 500, NULL);
    assert_int_equal(read_ledger(l).total.peak, 30000 + 32);
    assert_int_equal(read_ledger(l).total.now, 516);
    a->free(a, grown);
    plim_ledger_close(&l);
}

/* A block that is refused more lives on, and what would fit in one way must fit in all. */
static void test_alloc_refused(void **state)
{
    (void)state;
    plim_error err;
    plim_ledger *l = open_ledger(MIB, 0);
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_OTHER);
    assert_null(a->alloc(a, MIB, &err));
    assert_int_equal(err.code, PLIM_E_BUDGET);
    static const size_t sizes[] = {1000, 400000};
    for (size_t i = 0; i < 2; i++) {
        unsigned char *p = a->alloc(a, sizes[i], &err);
        assert_non_null(p);
        memset(p, 0x5A, sizes[i]);
        plim_memory before = read_ledger(l), after;
        assert_null(a->resize(a, p, MIB, &err));
        assert_int_equal(err.code, PLIM_E_BUDGET);
        assert_null(a->resize(a, p, SIZE_MAX - 8, &err));
        assert_int_equal(err.code, PLIM_E_NOMEM);
        after = read_ledger(l);
        assert_memory_equal(&before, &after, sizeof before);
        assert_true(all_are(p, 0x5A, sizes[i]));
        a->free(a, p);
    }
    assert_true(read_ledger(l).total.peak <= MIB);
    plim_ledger_close(&l);
}

/* Large blocks grow by moving pages: old and new never need room side by side. */
static void test_grow_large(void **state)
{
    (void)state;
    skip_where_sanitized();
    plim_error err;
    plim_ledger *l = open_ledger(MIB, 0);
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_OTHER);
    unsigned char *p = a->alloc(a, 700000, &err);
    assert_non_null(p);
    memset(p, 0x5A, 700000);
    p = a->resize(a, p, 1000000, &err);
    assert_non_null(p);
    assert_true(all_are(p, 0x5A, 700000));
    assert_true(all_are(p + 700000, 0, 300000));
    assert_int_equal(read_ledger(l).total.peak, 1003520); /* 245 pages */
    a->free(a, p);
    plim_ledger_close(&l);
}

/* ---- a host's allocator ---- */

typedef struct host {
    size_t now, calls, fail_at; /* the call that fails; 0: none */
} host;

static void *host_alloc(void *user, size_t bytes)
{
    host *h = user;
    if (++h->calls == h->fail_at)
        return NULL;
    void *p = aligned_alloc(16, (bytes + 15) / 16 * 16);
    memset(p, 0xEE, bytes); /* it need not be zero */
    h->now += bytes;
    return p;
}

static void host_free(void *user, void *ptr, size_t bytes)
{
    host *h = user;
    assert_true(h->now >= bytes);
    h->now -= bytes;
    free(ptr);
}

static void test_host(void **state)
{
    (void)state;
    host h = {0};
    plim_allocator allocator = {host_alloc, host_free, &h};
    plim_ledger *l = NULL;
    plim_error err;
    assert_int_equal(plim_ledger_open(&l, 0, 0, &allocator, &err), PLIM_OK);
    size_t own = h.now;
    assert_in_range(own, 1, 2000);
    check_alloc(l);
    assert_int_equal(h.now, own);
    assert_true(h.calls > 20);

    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_KV);
    void *p = a->alloc(a, 70000, &err);
    assert_int_equal(h.now, own + 70016);
    assert_int_equal(read_ledger(l).total.now, 70016);
    h.fail_at = h.calls + 1;
    assert_null(a->resize(a, p, 80000, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    h.fail_at = h.calls + 1;
    assert_null(a->alloc(a, 5, &err));
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_int_equal(read_ledger(l).total.now, 70016);
    a->free(a, p);
    plim_ledger_close(&l);
    assert_int_equal(h.now, 0);

    h.fail_at = h.calls + 1;
    assert_int_equal(plim_ledger_open(&l, 0, 0, &allocator, &err), PLIM_E_NOMEM);
    assert_null(l);
    allocator.free = NULL;
    assert_int_equal(plim_ledger_open(&l, 0, 0, &allocator, &err), PLIM_E_USAGE);
}

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 20000 };

typedef struct race {
    plim_ledger *ledger;
    uint64_t unit;
    pthread_barrier_t start;
    atomic_uint refused, granted, held, most;
} race;

static plim_memory_kind kind_of(unsigned unit)
{
    return unit % 2 ? PLIM_MAPPED : PLIM_ANONYMOUS;
}

/* Each thread holds up to 3 units, two takes for each release; 8 threads want 24, the line
 * allows 10. */
static void *race_run(void *arg)
{
    race *r = arg;
    unsigned mine = 0, seed = (unsigned)(uintptr_t)&mine;
    void *failure = NULL;
    pthread_barrier_wait(&r->start);
    for (unsigned i = 0; i < ROUNDS && !failure; i++) {
        if (i % 8 == 0)
            sched_yield(); /* so that they meet, even on one processor */
        if (mine > 0 && (mine == 3 || rand_r(&seed) % 3 == 0)) {
            atomic_fetch_sub(&r->held, 1);
            plim_ledger_release(r->ledger, PLIM_MEM_OTHER, kind_of(--mine), r->unit);
            continue;
        }
        plim_error err;
        plim_status s =
            plim_ledger_reserve(r->ledger, PLIM_MEM_OTHER, kind_of(mine), r->unit, &err);
        if (s == PLIM_OK) {
            mine++;
            unsigned held = atomic_fetch_add(&r->held, 1) + 1, most = atomic_load(&r->most);
            while (held > most && !atomic_compare_exchange_weak(&r->most, &most, held))
                ;
            atomic_fetch_add(&r->granted, 1);
        } else {
            atomic_fetch_add(&r->refused, 1);
            failure = s == PLIM_E_BUDGET && err.code == s ? NULL : "a refusal of another class";
        }
    }
    while (mine > 0) {
        atomic_fetch_sub(&r->held, 1);
        plim_ledger_release(r->ledger, PLIM_MEM_OTHER, kind_of(--mine), r->unit);
    }
    return failure;
}

static void test_race(void **state)
{
    (void)state;
    race r = {.ledger = open_ledger(10 * MIB + 5 * MIB + 17, 5 * MIB), .unit = MIB};
    assert_int_equal(pthread_barrier_init(&r.start, NULL, THREADS), 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_run, &r), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    plim_memory m = read_ledger(r.ledger);
    print_message("granted %u, refused %u, most at once %u\n", r.granted, r.refused, r.most);
    assert_int_equal(m.total.now, 0);
    assert_true(m.total.peak <= 10 * MIB);
    assert_true(r.most <= 10);
    assert_true(r.refused > 0 && r.granted > 0);
    pthread_barrier_destroy(&r.start);
    plim_ledger_close(&r.ledger);
}

static void *churn_run(void *arg)
{
    plim_ledger *l = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    void *held[16] = {0};
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_STAGING);
    for (int i = 0; i < 3000; i++) {
        unsigned slot = (unsigned)rand_r(&seed) % 16, size = 1u << (rand_r(&seed) % 18);
        if (rand_r(&seed) % 3) {
            void *p = a->resize(a, held[slot], size, NULL);
            if (p)
                memset(held[slot] = p, 1, size);
        } else {
            a->free(a, held[slot]);
            held[slot] = NULL;
        }
        plim_memory m;
        plim_ledger_read(l, &m);
        if (m.total.now > m.limit || m.total.now != m.anonymous.now)
            return "over the line";
    }
    for (int i = 0; i < 16; i++)
        a->free(a, held[i]);
    return NULL;
}

static void test_churn(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(2 * MIB, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn_run, l), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    plim_memory m = read_ledger(l);
    assert_int_equal(m.total.now, 0);
    assert_true(m.total.peak <= 2 * MIB);
    assert_true(m.total.peak > MIB); /* it was tight */
    plim_ledger_close(&l);
}

/* ---- what the system gets back ---- */

/* What a load does: small names that grow, tables that double, buffers in between; a hundred times.
 */
static void one_life(plim_ledger *l)
{
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_METADATA);
    void *names[500], *table = NULL, *buffers[8];
    for (size_t i = 0; i < 500; i++)
        names[i] = memset(a->alloc(a, 40 + i % 90, NULL), 1, 40);
    for (size_t bytes = 1000; bytes < 8 * MIB; bytes += bytes / 2) {
        table = a->resize(a, table, bytes, NULL);
        memset(table, 2, bytes);
    }
    for (size_t i = 0; i < 8; i++)
        buffers[i] = memset(a->alloc(a, (size_t)(64 * KIB) << i, NULL), 3, (size_t)(64 * KIB) << i);
    a->free(a, table);
    for (size_t i = 0; i < 8; i++)
        a->free(a, buffers[i]);
    for (size_t i = 0; i < 500; i++)
        a->free(a, names[i]);
}

static void test_back_to_the_system(void **state)
{
    (void)state;
    skip_where_sanitized();
    plim_ledger *l = open_ledger(0, 0);
    plim_ledger_close(&l);
    uint64_t before = resident(), first = 0, last = 0;
    for (int i = 0; i < 100; i++) {
        l = open_ledger(0, 0);
        one_life(l);
        plim_ledger_close(&l);
        last = resident();
        first = i == 0 ? last : first;
    }
    print_message("resident: %llu KiB before, %llu after one life, %llu after a hundred\n",
                  (unsigned long long)(before / KIB), (unsigned long long)(first / KIB),
                  (unsigned long long)(last / KIB));
    assert_true(first <= before + MIB);
    assert_true(last <= before + MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_to_the_system), /* first: the heap is still untouched */
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_refusal_says),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_exact_peak),
        cmocka_unit_test(test_alloc_refused),
        cmocka_unit_test(test_grow_large),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
