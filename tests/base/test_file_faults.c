/* SPDX-License-Identifier: Apache-2.0
 *
 * Files when the system fails: short and interrupted calls give the same bytes; each call of a read
 * and of a write failing in its turn gives IO, leaves no descriptor open and nothing half-written.
 */
#include "base_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "temp.h"

static struct {
    bool on, shorten, interrupt;
    int calls, fail_at, with;
} fault;

/* True when this call is to fail; errno is set. */
static bool hit(void)
{
    if (!fault.on)
        return false;
    fault.calls++;
    if (fault.interrupt && fault.calls % 2) {
        errno = EINTR;
        return true;
    }
    errno = fault.with;
    return fault.calls == fault.fail_at;
}

static size_t cut(size_t n)
{
    return fault.on && fault.shorten && n > 1 ? 1 : n;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    return hit() ? -1 : __real_open(path, flags, 0666);
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
    /* EINTR is not an answer of fstat */
    bool interrupt = fault.interrupt;
    fault.interrupt = false;
    int result = hit() ? -1 : __real_fstat(fd, st);
    fault.interrupt = interrupt;
    return result;
}

ssize_t __real_pread(int fd, void *dst, size_t n, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t n, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t n, off_t offset)
{
    return hit() ? -1 : __real_pread(fd, dst, cut(n), offset);
}

ssize_t __real_write(int fd, const void *src, size_t n);
ssize_t __wrap_write(int fd, const void *src, size_t n);
ssize_t __wrap_write(int fd, const void *src, size_t n)
{
    return hit() ? -1 : __real_write(fd, src, cut(n));
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    bool interrupt = fault.interrupt;
    fault.interrupt = false;
    int result = hit() ? -1 : __real_fsync(fd);
    fault.interrupt = interrupt;
    return result;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    bool interrupt = fault.interrupt;
    fault.interrupt = false;
    int result = hit() ? -1 : __real_rename(from, to);
    fault.interrupt = interrupt;
    return result;
}

static const char text[] = "The Plimsoll line on a ship's hull shows how deep she may be loaded.";

static plim_status write_file(const char *path, plim_error *err)
{
    static plim_file_writer writer;
    plim_status status = plim_writer_open(&writer, path, err);
    if (status == PLIM_OK)
        status = plim_writer_write(&writer, text, 30, err);
    if (status == PLIM_OK)
        status = plim_writer_write(&writer, text + 30, sizeof text - 31, err);
    if (status == PLIM_OK)
        status = plim_writer_commit(&writer, err);
    plim_writer_discard(&writer);
    return status;
}

static plim_status read_file(const char *path, char **out, plim_error *err)
{
    size_t n;
    return plim_file_slurp(out, &n, plim_alloc_system(), path, 1000, err);
}

static void run(bool shorten, bool interrupt)
{
    char folder[64], path[128], *back = NULL;
    plim_error err;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    memset(&fault, 0, sizeof fault);
    fault.shorten = shorten;
    fault.interrupt = interrupt;
    fault.on = true;
    plim_status wrote = write_file(path, &err), read = read_file(path, &back, &err);
    fault.on = false;
    assert_int_equal(wrote, PLIM_OK);
    assert_int_equal(read, PLIM_OK);
    assert_true(fault.calls > (shorten ? 2 * (int)sizeof text - 2 : 4));
    assert_string_equal(back, text);
    plim_delete(plim_alloc_system(), back);
    folder_remove(folder);
}

static void short_calls(void **state)
{
    (void)state;
    run(true, false);
}

static void interrupted_reads(void **state)
{
    (void)state;
    /* only the calls of reading: open of the writer is asked once */
    char folder[64], path[128], *back = NULL;
    plim_error err;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    memset(&fault, 0, sizeof fault);
    assert_int_equal(write_file(path, &err), PLIM_OK);
    for (int shorten = 0; shorten < 2; shorten++) {
        fault.calls = 0;
        fault.interrupt = true;
        fault.shorten = shorten;
        fault.on = true;
        plim_status status = read_file(path, &back, &err);
        fault.on = false;
        assert_int_equal(status, PLIM_OK);
        assert_true(fault.calls > (shorten ? 2 * (int)sizeof text - 2 : 3));
        assert_string_equal(back, text);
        plim_delete(plim_alloc_system(), back);
    }
    folder_remove(folder);
}

static void interrupted_writes(void **state)
{
    (void)state;
    run(false, true);
}

static void each_call_fails(void **state)
{
    (void)state;
    const int with[] = {EIO, ENOSPC, EMFILE, EACCES};
    char folder[64], path[128];
    plim_error err;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    for (size_t w = 0; w < sizeof with / sizeof with[0]; w++) {
        int failures = 0;
        memset(&fault, 0, sizeof fault);
        fault.with = with[w];
        for (int at = 1;; at++) {
            char *back = NULL;
            size_t fds = temp_entries("/proc/self/fd"), files = temp_entries(folder);
            fault.fail_at = at;
            fault.calls = 0;
            fault.on = true;
            plim_status status = write_file(path, &err);
            fault.on = false;
            assert_int_equal(temp_entries("/proc/self/fd"), fds);
            if (fault.calls < at) {
                assert_int_equal(status, PLIM_OK);
                break;
            }
            /* the folder's own open may fail: a folder can be writable and not readable */
            if (status != PLIM_OK) {
                failures++;
                assert_int_equal(status, PLIM_E_IO);
                assert_int_equal(err.code, PLIM_E_IO);
                assert_non_null(strstr(err.message, strerrordesc_np(with[w])));
                assert_true(strncmp(err.file, path, strlen(path)) == 0);
            }
            /* whole or not there */
            if (access(path, F_OK) == 0) {
                assert_int_equal(read_file(path, &back, &err), PLIM_OK);
                assert_string_equal(back, text);
                plim_delete(plim_alloc_system(), back);
                unlink(path);
            } else {
                assert_int_equal(temp_entries(folder), files);
            }
        }
        assert_int_equal(failures, 6); /* open, 2 writes, fsync, rename, fsync of the folder */
        for (int at = 1;; at++) {
            char *back = NULL;
            size_t fds = temp_entries("/proc/self/fd");
            fault.fail_at = at;
            fault.calls = 0;
            fault.on = true;
            plim_status status = read_file(path, &back, &err);
            fault.on = false;
            assert_int_equal(temp_entries("/proc/self/fd"), fds);
            if (fault.calls < at) {
                assert_int_equal(status, PLIM_OK);
                assert_string_equal(back, text);
                plim_delete(plim_alloc_system(), back);
                break;
            }
            assert_int_equal(status, PLIM_E_IO);
            assert_null(back);
            assert_string_equal(err.file, path);
            assert_true(at <= 4); /* open, fstat, pread, fstat */
        }
        unlink(path);
    }
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_calls),
        cmocka_unit_test(interrupted_reads),
        cmocka_unit_test(interrupted_writes),
        cmocka_unit_test(each_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
