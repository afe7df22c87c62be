/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter and the facts, on fabricated /proc folders and on the real one. */
#include <pthread.h>
#include <sys/mman.h>

#include "memory/facts.h"
#include "memory/meter.h"
#include "memory_test.h"

/* As Linux 6.1 writes it. */
static const char status_text[] =
    "Name:\tplimsoll\nUmask:\t0022\nState:\tR (running)\nPid:\t4711\n"
    "VmPeak:\t  130000 kB\nVmSize:\t  120000 kB\nVmHWM:\t   90001 kB\n"
    "VmRSS:\t   80002 kB\nRssAnon:\t   50003 kB\nRssFile:\t   30004 kB\n"
    "RssShmem:\t       0 kB\nVmSwap:\t       0 kB\nThreads:\t3\n";
static const char meminfo_text[] = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\n"
                                   "MemAvailable:    8000000 kB\nBuffers:          100000 kB\n"
                                   "SwapCached:            0 kB\nSwapTotal:       2000000 kB\n"
                                   "SwapFree:        2000000 kB\n";

static void test_status(void **state)
{
    const char *root = *state;
    plim_process_memory m;
    put(root, "self/status", status_text);
    assert_int_equal(plim_meter_process(root, &m, NULL), PLIM_OK);
    assert_int_equal(m.rss, 80002 * KIB);
    assert_int_equal(m.peak, 90001 * KIB);
    assert_int_equal(m.anonymous, 50003 * KIB);
    assert_int_equal(m.file, 30004 * KIB);
}

/* A status longer than any buffer (a process in many groups), without a newline at its end. */
static void test_long_status(void **state)
{
    const char *root = *state;
    static char text[400000];
    size_t n = (size_t)sprintf(text, "Name:\tx\nVmHWM:\t 17 kB\nGroups:\t");
    for (int i = 0; n < 390000; i++)
        n += (size_t)sprintf(text + n, "VmRSS:\t %d ", i);
    n += (size_t)sprintf(text + n, "\nRssAnon:\t\t 5 kB\nVmRSS:\t 16 kB\nRssFile:\t 11 kB");
    put(root, "self/status", text);
    plim_process_memory m;
    assert_int_equal(plim_meter_process(root, &m, NULL), PLIM_OK);
    assert_int_equal(m.rss, 16 * KIB);
    assert_int_equal(m.peak, 17 * KIB);
    assert_int_equal(m.anonymous, 5 * KIB);
    assert_int_equal(m.file, 11 * KIB);
}

static void test_bad_status(void **state)
{
    const char *root = *state;
    plim_process_memory m = {.rss = 42}, untouched = m;
    plim_error err;
    assert_int_equal(plim_meter_process(root, &m, &err), PLIM_E_IO);
    assert_non_null(strstr(err.file, "self/status"));
    static const char *const bad[] = {"",
                                      "Name:\tx\n",
                                      "VmRSS:\n",
                                      "VmRSS:\tmany kB\n",
                                      "VmRSS:\t99999999999999999999 kB\n",
                                      "VmRSS:\t18446744073709551615 kB\n",
                                      "XVmRSS:\t5 kB\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(root, "self/status", bad[i]);
        assert_int_equal(plim_meter_process(root, &m, &err), PLIM_E_FORMAT);
        assert_non_null(strstr(err.file, "self/status"));
        assert_memory_equal(&m, &untouched, sizeof m);
    }
    char deep[1000];
    memset(deep, 'x', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(plim_meter_process(deep, &m, &err), PLIM_E_LIMIT);
}

static void test_machine(void **state)
{
    const char *root = *state;
    plim_machine_memory m;
    plim_error err;
    assert_int_equal(plim_meter_machine(root, root, &m, &err), PLIM_E_IO);
    assert_non_null(strstr(err.file, "meminfo"));
    put(root, "meminfo", meminfo_text);
    assert_int_equal(plim_meter_machine(root, root, &m, &err), PLIM_E_IO);
    assert_non_null(strstr(err.file, "status"));
    put(root, "self/status", status_text);
    assert_int_equal(plim_meter_machine(root, root, &m, &err), PLIM_OK);
    assert_int_equal(m.total, 16000000 * KIB);
    assert_int_equal(m.available, 8000000 * KIB);
    assert_int_equal(m.swap_total, 2000000 * KIB);
    assert_int_equal(m.cgroup_limit, 0);
    assert_int_equal(m.cgroup_left, 0);
    const uint64_t all = 8080002 * KIB;
    assert_int_equal(m.line, all - all / 20);

    put(root, "meminfo", "MemFree: 7 kB\nMemAvailable: 9 kB\n");
    assert_int_equal(plim_meter_machine(root, root, &m, &err), PLIM_E_FORMAT);
    put(root, "meminfo", "MemTotal: 100 kB\nMemFree: 7 kB\n"); /* before MemAvailable */
    assert_int_equal(plim_meter_machine(root, root, &m, &err), PLIM_OK);
    assert_int_equal(m.available, 7 * KIB);
}

/* The margin: 5 %, at least 64 MiB, never below what is held, never "no line". */
static void test_line(void **state)
{
    const char *root = *state;
    static const struct {
        uint64_t available_kib, rss_kib, line;
    } cases[] = {
        {4 * GIB / KIB, 0, 4080218932},          /* 2^32 - floor(2^32 / 20) */
        {1310720 + 1, 0, 1342178304 - 67108915}, /* just where 5 % pass 64 MiB */
        {1310720 - 1, 0, 1342176256 - 67108864}, /* just below */
        {100 * 1024, 28 * 1024, 64 * MIB},       /* 128 - 64 */
        {10 * 1024, 100 * 1024, 100 * MIB},      /* 110 - 64 < 100 */
        {0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        plim_machine_memory m;
        snprintf(text, sizeof text, "MemTotal: 99999999 kB\nMemAvailable: %llu kB\n",
                 (unsigned long long)cases[i].available_kib);
        put(root, "meminfo", text);
        snprintf(text, sizeof text, "VmRSS:\t%llu kB\n", (unsigned long long)cases[i].rss_kib);
        put(root, "self/status", text);
        assert_int_equal(plim_meter_machine(root, root, &m, NULL), PLIM_OK);
        assert_int_equal(m.line, cases[i].line);
    }
}

static void test_real(void **state)
{
    (void)state;
    plim_process_memory p;
    plim_machine_memory m;
    plim_error err;
    assert_int_equal(plim_process_memory_read(&p, &err), PLIM_OK);
    assert_int_equal(err.code, PLIM_OK);
    assert_in_range(p.rss, 500 * KIB, 4 * GIB);
    assert_true(p.peak + MIB >= p.rss);
    assert_true(p.anonymous + p.file <= p.rss + MIB);
    assert_int_equal(plim_machine_memory_read(&m, &err), PLIM_OK);
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(m.total, total);
    assert_true(m.available > 0 && m.available <= m.total);
    assert_true(m.line > 0 && m.line < m.available + p.rss + 64 * MIB);
    if (m.cgroup_limit)
        assert_true(m.cgroup_left <= m.cgroup_limit);
}

static void test_facts(void **state)
{
    (void)state;
    plim_facts f;
    memset(&f, 0xFF, sizeof f);
    plim_facts_gather(&f, 7 * GIB, 12 * MIB, 345, 3);
    assert_int_equal(f.memory_limit, 7 * GIB);
    assert_int_equal(f.baseline, 12 * MIB);
    assert_int_equal(f.held, 345);
    assert_int_equal(f.threads, 3);
    assert_int_equal(f.page_bytes, sysconf(_SC_PAGESIZE));
    assert_in_range(f.rss, 500 * KIB, 4 * GIB);
    assert_true(f.peak + MIB >= f.rss);
    assert_int_equal(f.machine.total, (uint64_t)sysconf(_SC_PHYS_PAGES) * f.page_bytes);
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    char text[100] = "";
    if (file && !fgets(text, sizeof text, file))
        text[0] = 0;
    if (file)
        fclose(file);
    assert_int_equal(f.huge_pages, *text && !strstr(text, "[never]"));
}

/* The meter is called where there is little stack, and does not allocate: 128 KiB are enough. */
static void *read_all(void *arg)
{
    plim_machine_memory m;
    plim_process_memory p;
    *(bool *)arg = plim_machine_memory_read(&m, NULL) == PLIM_OK &&
                   plim_process_memory_read(&p, NULL) == PLIM_OK;
    return NULL;
}

static void test_stack(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    static unsigned char stack[160 * 1024] __attribute__((aligned(4096)));
    const size_t bytes = 128 * 1024, guard = 4096;
    assert_int_equal(mprotect(stack, guard, PROT_NONE), 0);
    pthread_attr_t attr;
    pthread_t thread;
    bool ok = false;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstack(&attr, stack + guard, bytes), 0);
    assert_int_equal(pthread_create(&thread, &attr, read_all, &ok), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    assert_int_equal(mprotect(stack, guard, PROT_READ | PROT_WRITE), 0);
    assert_true(ok);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_status),       IN_FOLDER(test_long_status),  IN_FOLDER(test_bad_status),
        IN_FOLDER(test_machine),      IN_FOLDER(test_line),         cmocka_unit_test(test_real),
        cmocka_unit_test(test_facts), cmocka_unit_test(test_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
