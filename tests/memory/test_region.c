/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions: aligned, zeroed, committed when asked, counted, and gone after close. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "memory/facts.h"
#include "memory_test.h"

/* What the system is made to refuse (-Wl,--wrap). */
static struct {
    int madvise_errno;    /* of MADV_POPULATE_WRITE */
    int munmap_countdown; /* fails when it reaches 0 */
} faults = {0, -1};

int __real_madvise(void *map, size_t bytes, int advice);
int __wrap_madvise(void *map, size_t bytes, int advice);
int __real_munmap(void *map, size_t bytes);
int __wrap_munmap(void *map, size_t bytes);

int __wrap_madvise(void *map, size_t bytes, int advice)
{
    if (advice == 23 /* MADV_POPULATE_WRITE */ && faults.madvise_errno) {
        errno = faults.madvise_errno;
        if (errno == EINTR)
            faults.madvise_errno = 0; /* once */
        return -1;
    }
    return __real_madvise(map, bytes, advice);
}

int __wrap_munmap(void *map, size_t bytes)
{
    if (faults.munmap_countdown >= 0 && faults.munmap_countdown-- == 0) {
        errno = ENOMEM;
        return -1;
    }
    return __real_munmap(map, bytes);
}

static const uint64_t sizes[] = {1,           4096,     4097,        MIB,
                                 2 * MIB - 1, 2 * MIB,  2 * MIB + 1, 3 * MIB + 5,
                                 4 * MIB - 1, 64 * MIB, 64 * MIB + 1};
#define SIZES (sizeof sizes / sizeof *sizes)

static plim_ledger *open_ledger(uint64_t limit)
{
    plim_ledger *ledger = NULL;
    assert_int_equal(plim_ledger_open(&ledger, limit, 0, NULL, NULL), PLIM_OK);
    return ledger;
}

static plim_memory read_ledger(const plim_ledger *ledger)
{
    plim_memory m;
    plim_ledger_read(ledger, &m);
    return m;
}

static size_t resident_pages(const void *map, size_t bytes)
{
    static unsigned char vec[1 << 16];
    size_t pages = (bytes + 4095) / 4096, n = 0;
    assert_in_range(pages, 1, sizeof vec);
    assert_int_equal(mincore((void *)(uintptr_t)map, bytes, vec), 0);
    for (size_t i = 0; i < pages; i++)
        n += vec[i] & 1;
    return n;
}

static void test_open(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0);
    for (size_t i = 0; i < 2 * SIZES; i++) {
        const bool populate = i % 2;
        const size_t bytes = sizes[i / 2], held = (bytes + 4095) / 4096 * 4096;
        plim_region r;
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, bytes, populate, NULL), PLIM_OK);
        assert_int_equal(r.bytes, bytes);
        assert_int_equal(r.map_bytes, held);
        assert_ptr_equal(r.base, r.map);
        assert_int_equal(r.kind, PLIM_ANONYMOUS);
        assert_int_equal((uintptr_t)r.base % (bytes >= 2 * MIB ? 2 * MIB : 4096), 0);
        plim_memory m = read_ledger(l);
        assert_int_equal(m.anonymous.now, held);
        assert_int_equal(m.category[PLIM_MEM_KV].now, held);
        assert_int_equal(m.mapped.now, 0);
        if (populate)
            assert_int_equal(resident_pages(r.map, held), held / 4096);
        else
            assert_int_equal(resident_pages(r.map, held), 0);
        const unsigned char *p = r.base;
        for (size_t j = 0; j < held; j += 509)
            assert_int_equal(p[j], 0);
        memset(r.base, 1, bytes);
        plim_region_close(&r, l);
        assert_null(r.base);
        assert_int_equal(read_ledger(l).total.now, 0);
        plim_region_close(&r, l);
    }
    plim_region none = {.base = &none};
    assert_int_equal(plim_region_open(&none, l, PLIM_MEM_KV, 0, true, NULL), PLIM_OK);
    assert_null(none.base);
    plim_region_close(&none, l);
    plim_ledger_close(&l);
}

/* The flags that the kernel shows for the map that begins at `base`. */
static bool map_has_flag(const void *base, const char *flag)
{
    char line[1024], begin[32];
    bool here = false, found = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    snprintf(begin, sizeof begin, "%lx-", (unsigned long)(uintptr_t)base);
    while (fgets(line, sizeof line, maps)) {
        if (strncmp(line, "VmFlags:", 8) == 0)
            found |= here && strstr(line, flag);
        else if (strspn(line, "0123456789abcdef") > 8)
            here = strncmp(line, begin, strlen(begin)) == 0;
    }
    fclose(maps);
    return found;
}

/* Huge pages are asked for from 2 MiB on, and only there. */
static void test_huge(void **state)
{
    (void)state;
    plim_facts facts;
    plim_facts_gather(&facts, 0, 0, 0, 1);
    if (!facts.huge_pages) {
        print_message("no huge pages here\n");
        skip();
    }
    plim_ledger *l = open_ledger(0);
    for (int large = 0; large < 2; large++) {
        plim_region r;
        size_t bytes = (size_t)(2 * MIB) - (large ? 0 : 1);
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, bytes, false, NULL), PLIM_OK);
        assert_int_equal(map_has_flag(r.base, " hg"), large);
        plim_region_close(&r, l);
    }
    plim_ledger_close(&l);
}

/* A kernel without MADV_POPULATE_WRITE, a signal in its middle, and no memory for the pages. */
static void test_populate_faults(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0);
    plim_region r;
    plim_error err;
    static const int fallbacks[] = {EINVAL, EINTR};
    for (size_t i = 0; i < 2; i++) {
        faults.madvise_errno = fallbacks[i];
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, 3 * MIB + 1, true, &err), PLIM_OK);
        faults.madvise_errno = 0;
        assert_int_equal(resident_pages(r.map, r.map_bytes), r.map_bytes / 4096);
        plim_region_close(&r, l);
    }
    faults.madvise_errno = ENOMEM;
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, 3 * MIB, true, &err), PLIM_E_NOMEM);
    faults.madvise_errno = 0;
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_null(r.map);
    assert_int_equal(read_ledger(l).total.now, 0);
    plim_ledger_close(&l);
}

/* Trimming and closing fail when there are too many maps: nothing stays resident, nothing stays
 * counted. */
static void test_munmap_faults(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0);
    plim_region r;
    plim_error err;
    int refused = 0;
    for (int i = 0; i < 2; i++) {
        faults.munmap_countdown = i;
        plim_status status = plim_region_open(&r, l, PLIM_MEM_KV, 3 * MIB, true, &err);
        refused += status == PLIM_E_NOMEM;
        faults.munmap_countdown = -1;
        if (status == PLIM_OK) /* it lay well by itself: one trim only */
            plim_region_close(&r, l);
        assert_int_equal(read_ledger(l).total.now, 0);
    }
    assert_true(refused > 0);
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, 3 * MIB, true, &err), PLIM_OK);
    void *map = r.map;
    faults.munmap_countdown = 0;
    plim_region_close(&r, l);
    assert_int_equal(faults.munmap_countdown, -1);
    assert_int_equal(resident_pages(map, 3 * MIB), 0);
    assert_int_equal(read_ledger(l).total.now, 0);
    assert_int_equal(munmap(map, 3 * MIB), 0);
    plim_ledger_close(&l);
}

/* Bytes of address space. */
static uint64_t address_space(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoull(text, NULL, 10) * 4096;
}

/* Nothing besides the region stays mapped: the room for alignment is given back. */
static void test_trimmed(void **state)
{
    (void)state;
    plim_ledger *l = open_ledger(0);
    for (size_t i = 0; i < 20; i++) {
        plim_region r;
        unsigned char vec[1];
        const size_t bytes = (size_t)(3 * MIB) + 4096 * i;
        uint64_t before = address_space();
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, bytes, false, NULL), PLIM_OK);
        assert_int_equal(address_space() - before, bytes);
        char *base = r.base;
        plim_region_close(&r, l);
        assert_int_equal(address_space(), before);
        assert_int_equal(mincore(base, 4096, vec), -1);
        assert_int_equal(errno, ENOMEM);
    }
    plim_ledger_close(&l);
}

static void test_rss(void **state)
{
    (void)state;
    skip_where_sanitized();
    plim_ledger *l = open_ledger(0);
    plim_region r;
    uint64_t before = resident();
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, 64 * MIB, false, NULL), PLIM_OK);
    assert_true(resident() <= before + MIB);
    plim_region_close(&r, l);
    for (int i = 0; i < 100; i++) {
        size_t bytes = (size_t)(i % 2 ? 32 * MIB + 12345 : MIB);
        uint64_t now = resident();
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, bytes, true, NULL), PLIM_OK);
        assert_in_range(resident() - now, bytes, bytes + 64 * KIB);
        plim_region_close(&r, l);
    }
    assert_true(resident() <= before + MIB);
    plim_ledger_close(&l);
}

/* The kernel keeps VmHWM from counters that each processor may hold back a batch of: what it may be
 * off. */
static uint64_t peak_slack(void)
{
    uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_CONF), batch = cpus > 16 ? 2 * cpus : 32;
    return MIB + 2 * cpus * batch * 4096;
}

/* VmHWM follows a region up, and comes down by a reset only. */
static void test_peak_reset(void **state)
{
    (void)state;
    skip_where_sanitized();
    plim_error err;
    plim_process_memory m;
    plim_region r;
    plim_ledger *l = open_ledger(0);
    plim_status status = plim_process_peak_reset(&err);
    if (status == PLIM_E_IO) {
        print_message("the peak cannot be reset here: %s\n", err.message);
        skip();
    }
    assert_int_equal(status, PLIM_OK);
    assert_int_equal(plim_process_memory_read(&m, NULL), PLIM_OK);
    uint64_t before = m.rss;
    assert_in_range(m.peak, m.rss - peak_slack(), m.rss + peak_slack());
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, 48 * MIB, true, NULL), PLIM_OK);
    plim_region_close(&r, l);
    assert_int_equal(plim_process_memory_read(&m, NULL), PLIM_OK);
    assert_in_range(m.peak, before + 48 * MIB - peak_slack(), before + 48 * MIB + peak_slack());
    assert_true(m.rss <= before + MIB);
    assert_true(m.anonymous > 0 && m.file > 0 && m.anonymous + m.file <= m.rss + MIB);
    assert_int_equal(plim_process_peak_reset(&err), PLIM_OK);
    assert_int_equal(plim_process_memory_read(&m, NULL), PLIM_OK);
    assert_true(m.peak <= before + peak_slack());
    plim_ledger_close(&l);
}

static void test_refused(void **state)
{
    (void)state;
    plim_error err;
    plim_region r = {.bytes = 5};
    plim_ledger *l = open_ledger(8 * MIB);
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_WEIGHTS, 8 * MIB + 1, true, &err),
                     PLIM_E_BUDGET);
    assert_non_null(strstr(err.message, "weights"));
    assert_null(r.map);
    assert_int_equal(r.bytes, 0);
    assert_int_equal(plim_region_open(&r, l, PLIM_MEM_WEIGHTS, 8 * MIB, true, &err), PLIM_OK);
    plim_region_close(&r, l);
    plim_ledger_close(&l);

    l = open_ledger(0);
    static const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX,
                                    (size_t)1 << 62};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(plim_region_open(&r, l, PLIM_MEM_KV, absurd[i], false, &err),
                         PLIM_E_NOMEM);
        assert_int_equal(err.code, PLIM_E_NOMEM);
        assert_null(r.map);
        assert_int_equal(read_ledger(l).total.now, 0);
    }
    plim_ledger_close(&l);
}

/* The system refuses address space: NOMEM, and the ledger is back where it was. */
static void test_enomem(void **state)
{
    (void)state;
    skip_where_sanitized(); /* they need terabytes of address space */
    plim_error err;
    plim_region r;
    struct rlimit old, tight;
    plim_ledger *l = open_ledger(0);
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    tight = old;
    tight.rlim_cur = 256 * MIB;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    plim_status status = plim_region_open(&r, l, PLIM_MEM_KV, 512 * MIB, true, &err);
    const plim_alloc *a = plim_ledger_alloc(l, PLIM_MEM_OTHER);
    plim_error alloc_err;
    void *block = a->alloc(a, 512 * MIB, &alloc_err);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(status, PLIM_E_NOMEM);
    assert_int_equal(err.code, PLIM_E_NOMEM);
    assert_null(r.map);
    assert_null(block);
    assert_int_equal(alloc_err.code, PLIM_E_NOMEM);
    assert_int_equal(read_ledger(l).total.now, 0);
    plim_ledger_close(&l);
}

static void test_map(void **state)
{
    const char *folder = *state;
    char path[512];
    static unsigned char content[300000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (unsigned char)(i * 7 + i / 251);
    snprintf(path, sizeof path, "%s/weights.bin", folder);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(content, 1, sizeof content, f), sizeof content);
    fclose(f);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);

    plim_ledger *l = open_ledger(0);
    static const struct {
        uint64_t offset;
        size_t bytes, held;
    } cases[] = {{0, 300000, 303104},      {1, 1, 4096},       {4095, 1, 4096},
                 {4095, 2, 8192},          {4096, 4096, 4096}, {8192, 4097, 8192},
                 {123457, 100000, 102400}, {299999, 1, 4096}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_region r;
        assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, cases[i].offset,
                                         cases[i].bytes, NULL),
                         PLIM_OK);
        assert_int_equal(r.bytes, cases[i].bytes);
        assert_int_equal(r.map_bytes, cases[i].held);
        assert_int_equal(r.kind, PLIM_MAPPED);
        assert_memory_equal(r.base, content + cases[i].offset, cases[i].bytes);
        plim_memory m = read_ledger(l);
        assert_int_equal(m.mapped.now, cases[i].held);
        assert_int_equal(m.anonymous.now, 0);
        assert_int_equal(m.category[PLIM_MEM_WEIGHTS].now, cases[i].held);
        plim_region_close(&r, l);
        assert_int_equal(read_ledger(l).total.now, 0);
    }
    plim_region r;
    plim_error err;
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, 5, 0, NULL), PLIM_OK);
    assert_null(r.base);
    /* what the system refuses, and what no file can hold */
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, -1, path, 4096, 10, &err), PLIM_E_IO);
    assert_string_equal(err.file, path);
    assert_int_equal(err.offset, 4096);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, UINT64_MAX, 10, &err),
                     PLIM_E_LIMIT);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, INT64_MAX, 10, &err),
                     PLIM_E_LIMIT);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, 0, SIZE_MAX, &err),
                     PLIM_E_LIMIT);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, 0, (size_t)1 << 60, &err),
                     PLIM_E_NOMEM);
    assert_null(r.map);
    assert_int_equal(read_ledger(l).total.now, 0);
    plim_ledger_close(&l);
    l = open_ledger(4096);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, 4095, 2, &err),
                     PLIM_E_BUDGET);
    assert_int_equal(plim_region_map(&r, l, PLIM_MEM_WEIGHTS, fd, path, 4095, 1, &err), PLIM_OK);
    plim_region_close(&r, l);
    plim_ledger_close(&l);
    close(fd);
}

/* Committed later, in steps between which a cancel is heard. */
static void test_commit(void **state)
{
    (void)state;
    plim_error err;
    plim_region region;
    atomic_bool cancel = true;
    plim_ledger *ledger = open_ledger(0);
    assert_int_equal(
        plim_region_open(&region, ledger, PLIM_MEM_KV, (size_t)(64 * MIB + 1), false, &err),
        PLIM_OK);
    assert_int_equal(plim_region_commit(&region, &cancel, &err), PLIM_E_CANCELLED);
    cancel = false;
    assert_int_equal(plim_region_commit(&region, &cancel, &err), PLIM_OK);
    unsigned char there[1 + 64 * 256 + 1];
    assert_int_equal(mincore(region.map, region.map_bytes, there), 0);
    for (size_t i = 0; i < region.map_bytes / 4096; i++)
        assert_true(there[i] & 1);
    faults.madvise_errno = ENOMEM;
    assert_int_equal(plim_region_commit(&region, NULL, &err), PLIM_E_NOMEM);
    faults.madvise_errno = 0;
    plim_region_close(&region, ledger);
    plim_ledger_close(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_populate_faults),
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_munmap_faults),
        cmocka_unit_test(test_trimmed),
        cmocka_unit_test(test_rss),
        cmocka_unit_test(test_peak_reset),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_enomem),
        cmocka_unit_test_setup_teardown(test_map, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
