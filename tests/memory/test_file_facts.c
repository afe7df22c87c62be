/* SPDX-License-Identifier: Apache-2.0
 *
 * What is found out about a file: O_DIRECT, and what the page cache holds; and nothing found out
 * where the system says nothing. */
#include "memory_test.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "memory/facts.h"

static struct {
    bool no_statx, no_cachestat, no_direct, bad_direct;
    unsigned align; /* that statx says; 0: as it is */
} fault;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long a[4];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == 451 && fault.no_cachestat) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3]);
}

int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out)
{
    if (fault.no_statx) {
        errno = ENOSYS;
        return -1;
    }
    int failed = __real_statx(fd, path, flags, mask, out);
#ifdef STATX_DIOALIGN
    if (!failed && fault.align) {
        out->stx_mask |= STATX_DIOALIGN;
        out->stx_dio_mem_align = 4;
        out->stx_dio_offset_align = fault.align;
    }
#endif
    return failed;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    if (flags & O_DIRECT && fault.no_direct) {
        errno = EINVAL;
        return -1;
    }
    return __real_open(path, flags, 0600);
}

ssize_t __real_pread(int fd, void *dst, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset)
{
    if (fault.bad_direct && fcntl(fd, F_GETFL) & O_DIRECT) {
        errno = EINVAL;
        return -1;
    }
    return __real_pread(fd, dst, bytes, offset);
}

/* What is found out about ROOT/name. */
static plim_file_facts facts_of(const char *root, const char *name, plim_arena *arena)
{
    char path[4096];
    plim_file file;
    plim_file_facts facts;
    plim_error err;
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_facts_gather(&facts, arena, &file, &err), PLIM_OK);
    plim_file_close(&file);
    return facts;
}

/* `bytes` of zeros, on the disk, out of the cache but for [from, to). */
static void make(const char *root, const char *name, uint64_t bytes, uint64_t from, uint64_t to)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, name);
    static char zeros[1 << 20];
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    assert_true(fd >= 0);
    for (uint64_t done = 0; done < bytes;) {
        uint64_t n = bytes - done < sizeof zeros ? bytes - done : sizeof zeros;
        assert_int_equal(write(fd, zeros, n), n);
        done += n;
    }
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* nothing is read ahead */
    for (uint64_t at = from; at < to;) {
        uint64_t n = to - at < sizeof zeros ? to - at : sizeof zeros;
        assert_int_equal(pread(fd, zeros, n, (off_t)at), n);
        at += n;
    }
    close(fd);
}

/* Made and looked at until `resident` of it is there, as it should be: whoever else drops the
 * machine's page cache in between is not what is tested.  What was seen last. */
static plim_file_facts made(const char *root, uint64_t bytes, uint64_t from, uint64_t to,
                            uint64_t resident, plim_arena *arena)
{
    plim_file_facts facts = {0};
    for (int i = 0; i < 20; i++) {
        make(root, "made", bytes, from, to);
        facts = facts_of(root, "made", arena);
        if (facts.resident == resident || !facts.windows)
            break;
        usleep(100000);
    }
    return facts;
}

static void what_is_resident(void **state)
{
    plim_arena arena;
    plim_arena_init(&arena, plim_alloc_system());
    const uint64_t bytes = 2 * PLIM_WINDOW_BYTES + 10000;
    plim_file_facts facts = made(*state, bytes, 0, 0, 0, &arena);
    if (!facts.windows) {
        print_message("SKIPPED: no cachestat here\n");
        plim_arena_free(&arena);
        skip();
    }
    assert_int_equal(facts.window_count, 3);
    assert_int_equal(facts.resident, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(facts.windows[i], 0);

    const uint64_t half = PLIM_WINDOW_BYTES / 2 + 10000;
    facts = made(*state, bytes, PLIM_WINDOW_BYTES + PLIM_WINDOW_BYTES / 2, bytes, half, &arena);
    assert_int_equal(facts.resident, half);
    assert_int_equal(facts.windows[0], 0);
    assert_int_equal(facts.windows[1], 50);
    assert_int_equal(facts.windows[2], 100);

    facts = made(*state, bytes, 0, bytes, bytes, &arena);
    assert_int_equal(facts.resident, bytes);
    for (int i = 0; i < 3; i++)
        assert_int_equal(facts.windows[i], 100);

    /* full less a page is not full */
    facts =
        made(*state, PLIM_WINDOW_BYTES, 4096, PLIM_WINDOW_BYTES, PLIM_WINDOW_BYTES - 4096, &arena);
    assert_int_equal(facts.window_count, 1);
    assert_int_equal(facts.resident, PLIM_WINDOW_BYTES - 4096);
    assert_int_equal(facts.windows[0], 99);

    /* a large file is sampled */
    const uint64_t large = 5 * (uint64_t)PLIM_WINDOW_BYTES;
    facts = made(*state, large, PLIM_WINDOW_BYTES, 3 * (uint64_t)PLIM_WINDOW_BYTES,
                 2 * (uint64_t)PLIM_WINDOW_BYTES, &arena);
    assert_int_equal(facts.resident, 2 * (uint64_t)PLIM_WINDOW_BYTES);
    for (int i = 0; i < 5; i++)
        assert_int_equal(facts.windows[i], i == 1 || i == 2 ? 100 : 0);

    make(*state, "empty", 0, 0, 0);
    facts = facts_of(*state, "empty", &arena);
    assert_int_equal(facts.resident, 0);
    assert_int_equal(facts.window_count, 0);
    assert_null(facts.windows);
    plim_arena_free(&arena);
}

static void what_is_direct(void **state)
{
    plim_arena arena;
    plim_arena_init(&arena, plim_alloc_system());
    make(*state, "file", 10000, 0, 0);
    make(*state, "small", 10, 0, 0);
    const plim_file_facts plain = facts_of(*state, "file", &arena);
    print_message("O_DIRECT in the folder of temporary files: %s\n", plain.direct ? "yes" : "no");
    assert_int_equal(facts_of(*state, "small", &arena).direct, plain.direct);

    fault.no_statx = true; /* the trial is enough */
    assert_int_equal(facts_of(*state, "file", &arena).direct, plain.direct);
    fault.no_statx = false;
    fault.no_direct = true;
    assert_false(facts_of(*state, "file", &arena).direct);
    fault.no_direct = false;
    fault.bad_direct = true; /* opens, and then does not read */
    assert_false(facts_of(*state, "file", &arena).direct);
    fault.bad_direct = false;
#ifdef STATX_DIOALIGN
    fault.align = 65536; /* blocks that ours don't fill */
    assert_false(facts_of(*state, "file", &arena).direct);
    fault.align = 512;
    assert_int_equal(facts_of(*state, "file", &arena).direct, plain.direct);
    fault.align = 0;
#endif
    plim_arena_free(&arena);
}

static void nobody_says(void **state)
{
    plim_arena arena;
    plim_arena_init(&arena, plim_alloc_system());
    make(*state, "file", 10000, 0, 10000);
    fault.no_cachestat = true;
    plim_file_facts facts = facts_of(*state, "file", &arena);
    fault.no_cachestat = false;
    assert_int_equal(facts.resident, 0);
    assert_null(facts.windows);
    assert_int_equal(facts.window_count, 0);

    /* a file that is closed says nothing, and is no error */
    plim_file closed = {.fd = -1, .identity = {.bytes = 10000}};
    plim_error err;
    assert_int_equal(plim_file_facts_gather(&facts, &arena, &closed, &err), PLIM_OK);
    assert_false(facts.direct);
    assert_null(facts.windows);
    plim_arena_free(&arena);
}

static void no_room(void **state)
{
    plim_ledger *ledger;
    plim_error err;
    plim_arena arena;
    plim_file file;
    plim_file_facts facts;
    char path[4096];
    make(*state, "file", 10000, 0, 10000);
    snprintf(path, sizeof path, "%s/file", (const char *)*state);
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_ledger_open(&ledger, 1, 0, NULL, &err), PLIM_OK);
    plim_arena_init(&arena, plim_ledger_alloc(ledger, PLIM_MEM_METADATA));
    uint64_t resident;
    if (plim_fd_resident(file.fd, 0, 1, &resident)) {
        assert_int_equal(plim_file_facts_gather(&facts, &arena, &file, &err), PLIM_E_BUDGET);
        assert_int_equal(err.code, PLIM_E_BUDGET);
        assert_int_equal(plim_file_facts_gather(&facts, &arena, &file, NULL), PLIM_E_BUDGET);
    }
    plim_arena_free(&arena);
    plim_ledger_close(&ledger);
    plim_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_resident, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(what_is_direct, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(nobody_says, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(no_room, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
