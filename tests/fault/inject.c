/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults on demand.  __wrap_X is what the library's X becomes, __real_X the system's (ld's --wrap).
 */
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- what is armed, what is held ---- */

static struct {
    atomic_bool armed;
    fault_kind kind;
    size_t at;
    bool forever;
    atomic_size_t calls, failed;
    _Atomic(const char *) first;
    void (*hook)(void *user, size_t k);
    void *hook_user;
    atomic_int reads; /* read_mode */
    atomic_uint turn;
    atomic_int_least64_t blocks, mapped, files, threads;
} state = {.first = ""};

void fault_arm(fault_kind kind, size_t k, bool forever)
{
    state.kind = kind;
    state.at = k;
    state.forever = forever;
    atomic_store(&state.calls, 0);
    atomic_store(&state.failed, 0);
    atomic_store(&state.first, "");
    atomic_store(&state.armed, true);
}

size_t fault_disarm(void)
{
    atomic_store(&state.armed, false);
    return atomic_load(&state.failed);
}

const char *fault_first(void)
{
    return atomic_load(&state.first);
}

void fault_reads(read_mode mode)
{
    atomic_store(&state.reads, (int)mode);
}

void fault_hook(void (*fn)(void *user, size_t k), void *user)
{
    state.hook = fn;
    state.hook_user = user;
}

fault_held fault_now(void)
{
    return (fault_held){atomic_load(&state.blocks), atomic_load(&state.mapped),
                        atomic_load(&state.files), atomic_load(&state.threads)};
}

/* True when this call of `name` is to fail; errno is set. */
static bool strike(fault_kind kind, const char *name)
{
    static const int errors[FAULT_KINDS] = {ENOMEM, EIO, ENOSPC, EAGAIN};
    if (!atomic_load(&state.armed) || state.kind != kind)
        return false;
    static _Thread_local bool inside; /* what the hook itself calls is nobody's fault */
    if (inside)
        return false;
    size_t k = atomic_fetch_add(&state.calls, 1);
    if (state.hook) {
        inside = true;
        state.hook(state.hook_user, k);
        inside = false;
    }
    if (k != state.at && !(state.forever && k > state.at))
        return false;
    if (atomic_fetch_add(&state.failed, 1) == 0)
        atomic_store(&state.first, name);
    errno = errors[kind];
    return true;
}

/* ---- memory ---- */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_realloc(void *ptr, size_t bytes);
void *__wrap_realloc(void *ptr, size_t bytes);
void __real_free(void *ptr);
void __wrap_free(void *ptr);
void *__real_mmap(void *at, size_t bytes, int protect, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int protect, int flags, int fd, off_t offset);
void *__real_mremap(void *at, size_t bytes, size_t wanted, int flags);
void *__wrap_mremap(void *at, size_t bytes, size_t wanted, int flags);
int __real_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes);
int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice);

static void *counted(void *ptr)
{
    if (ptr)
        atomic_fetch_add(&state.blocks, 1);
    return ptr;
}

void *__wrap_malloc(size_t bytes)
{
    return strike(FAULT_MEMORY, "malloc") ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return strike(FAULT_MEMORY, "calloc") ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *ptr, size_t bytes)
{
    if (strike(FAULT_MEMORY, "realloc"))
        return NULL;
    return ptr ? __real_realloc(ptr, bytes) : counted(__real_realloc(NULL, bytes));
}

void __wrap_free(void *ptr)
{
    if (ptr)
        atomic_fetch_sub(&state.blocks, 1);
    __real_free(ptr);
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + 4095) / 4096 * 4096;
}

void *__wrap_mmap(void *at, size_t bytes, int protect, int flags, int fd, off_t offset)
{
    if (strike(FAULT_MEMORY, "mmap"))
        return MAP_FAILED;
    void *map = __real_mmap(at, bytes, protect, flags, fd, offset);
    if (map != MAP_FAILED)
        atomic_fetch_add(&state.mapped, (int64_t)whole_pages(bytes));
    return map;
}

void *__wrap_mremap(void *at, size_t bytes, size_t wanted, int flags)
{
    if (strike(FAULT_MEMORY, "mremap"))
        return MAP_FAILED;
    void *map = __real_mremap(at, bytes, wanted, flags);
    if (map != MAP_FAILED)
        atomic_fetch_add(&state.mapped, (int64_t)whole_pages(wanted) - (int64_t)whole_pages(bytes));
    return map;
}

int __wrap_munmap(void *at, size_t bytes)
{
    int failed = __real_munmap(at, bytes);
    if (!failed)
        atomic_fetch_sub(&state.mapped, (int64_t)whole_pages(bytes));
    return failed;
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
    const bool populate = advice == 22 || advice == 23; /* MADV_POPULATE_READ, _WRITE */
    if (strike(FAULT_MEMORY, populate ? "madvise populate" : "madvise"))
        return -1;
    return __real_madvise(at, bytes, advice);
}

/* ---- files ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_fstat(int fd, struct stat *out);
int __wrap_fstat(int fd, struct stat *out);
int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __real_lstat(const char *path, struct stat *out);
int __wrap_lstat(const char *path, struct stat *out);
ssize_t __real_readlink(const char *path, char *dst, size_t cap);
ssize_t __wrap_readlink(const char *path, char *dst, size_t cap);
ssize_t __real_read(int fd, void *dst, size_t bytes);
ssize_t __wrap_read(int fd, void *dst, size_t bytes);
ssize_t __real_pread(int fd, void *dst, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset);
ssize_t __real_preadv(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *vectors, int count, off_t offset);

static int opened(int fd)
{
    if (fd >= 0)
        atomic_fetch_add(&state.files, 1);
    return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    fault_kind kind = flags & (O_WRONLY | O_RDWR) ? FAULT_WRITE : FAULT_FILE;
    return strike(kind, "open") ? -1 : opened(__real_open(path, flags, mode));
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return strike(FAULT_FILE, "openat") ? -1 : opened(__real_openat(folder, path, flags, mode));
}

int __wrap_close(int fd)
{
    atomic_fetch_sub(&state.files, 1);
    return __real_close(fd);
}

int __wrap_fstat(int fd, struct stat *out)
{
    return strike(FAULT_FILE, "fstat") ? -1 : __real_fstat(fd, out);
}

int __wrap_stat(const char *path, struct stat *out)
{
    return strike(FAULT_FILE, "stat") ? -1 : __real_stat(path, out);
}

int __wrap_lstat(const char *path, struct stat *out)
{
    return strike(FAULT_FILE, "lstat") ? -1 : __real_lstat(path, out);
}

ssize_t __wrap_readlink(const char *path, char *dst, size_t cap)
{
    return strike(FAULT_FILE, "readlink") ? -1 : __real_readlink(path, dst, cap);
}

/* How much of a read of `bytes` is done now; 0: EINTR. */
static size_t portion(size_t bytes)
{
    unsigned turn = atomic_fetch_add(&state.turn, 1);
    if (bytes == 0)
        return bytes;
    switch ((read_mode)atomic_load(&state.reads)) {
    case READ_ONE_BYTE:
        return 1;
    case READ_RANDOM:
        return 1 + (turn * 2654435761u >> 7) % bytes;
    case READ_INTERRUPTED:
        return turn % 2 ? bytes : 0;
    default:
        return bytes;
    }
}

ssize_t __wrap_read(int fd, void *dst, size_t bytes)
{
    if (strike(FAULT_FILE, "read"))
        return -1;
    size_t now = portion(bytes);
    if (now == 0 && bytes > 0) {
        errno = EINTR;
        return -1;
    }
    return __real_read(fd, dst, now);
}

ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset)
{
    if (strike(FAULT_FILE, "pread"))
        return -1;
    size_t now = portion(bytes);
    if (now == 0 && bytes > 0) {
        errno = EINTR;
        return -1;
    }
    return __real_pread(fd, dst, now, offset);
}

ssize_t __wrap_preadv(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return strike(FAULT_FILE, "preadv") ? -1 : __real_preadv(fd, vectors, count, offset);
}

/* ---- writing ---- */

ssize_t __real_write(int fd, const void *src, size_t bytes);
ssize_t __wrap_write(int fd, const void *src, size_t bytes);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);

ssize_t __wrap_write(int fd, const void *src, size_t bytes)
{
    if (strike(FAULT_WRITE, "write"))
        return -1;
    size_t now = portion(bytes);
    if (now == 0 && bytes > 0) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, src, now);
}

int __wrap_fsync(int fd)
{
    return strike(FAULT_WRITE, "fsync") ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return strike(FAULT_WRITE, "rename") ? -1 : __real_rename(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return strike(FAULT_WRITE, "mkdir") ? -1 : __real_mkdir(path, mode);
}

/* ---- threads ---- */

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (strike(FAULT_THREAD, "pthread_create"))
        return EAGAIN;
    int failed = __real_pthread_create(out, attr, fn, arg);
    if (!failed)
        atomic_fetch_add(&state.threads, 1);
    return failed;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    int failed = __real_pthread_join(thread, result);
    if (!failed)
        atomic_fetch_sub(&state.threads, 1);
    return failed;
}
