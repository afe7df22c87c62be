/* SPDX-License-Identifier: Apache-2.0
 *
 * Over 600 lines because most of it is the list of what is wrapped.
 *
 * Faults on demand.  __wrap_X is what the library's X becomes, __real_X the system's (ld's --wrap).
 */
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
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
    bool entries;        /* of io_uring can be ended as we like */
    atomic_uint refused; /* FAULT_NO_... */
    atomic_size_t refusals;
    atomic_uint_least64_t watched; /* inode; 0: none */
    atomic_size_t looks;
    atomic_int_least64_t blocks, mapped, files, threads, rings;
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

size_t fault_calls(void)
{
    return atomic_load(&state.calls);
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
                        atomic_load(&state.files), atomic_load(&state.threads),
                        atomic_load(&state.rings)};
}

void fault_refuse(unsigned what)
{
    atomic_store(&state.refusals, 0);
    atomic_store(&state.refused, what);
}

size_t fault_refusals(void)
{
    return atomic_load(&state.refusals);
}

void fault_watch(uint64_t inode)
{
    atomic_store(&state.looks, 0);
    atomic_store(&state.watched, inode);
}

size_t fault_looks(void)
{
    return atomic_load(&state.looks);
}

static bool refused(unsigned what, int error)
{
    if (!(atomic_load(&state.refused) & what))
        return false;
    atomic_fetch_add(&state.refusals, 1);
    errno = error;
    return true;
}

/* The calls of FAULT_FILE fail with one or the other error. */
static bool same_calls(fault_kind armed, fault_kind kind)
{
    return armed == kind || (armed == FAULT_FILE_NOMEM && kind == FAULT_FILE);
}

/* True when this call of `name` is to fail; errno is set. */
static bool strike(fault_kind kind, const char *name)
{
    static const int errors[FAULT_KINDS] = {
        [FAULT_MEMORY] = ENOMEM,       [FAULT_FILE] = EIO,
        [FAULT_WRITE] = ENOSPC,        [FAULT_THREAD] = EAGAIN,
        [FAULT_FILE_NOMEM] = ENOMEM,   [FAULT_ENTRY_SHORT] = 0,
        [FAULT_ENTRY_EINTR] = EINTR,   [FAULT_ENTRY_EAGAIN] = EAGAIN,
        [FAULT_ENTRY_EINVAL] = EINVAL, [FAULT_RING] = EIO,
    };
    if (!atomic_load(&state.armed) || !same_calls(state.kind, kind))
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
    errno = errors[state.kind];
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
    if ((populate && refused(FAULT_NO_POPULATE, EINVAL)) ||
        (advice == MADV_HUGEPAGE && refused(FAULT_NO_HUGE, EINVAL)))
        return -1;
    if (strike(FAULT_MEMORY, populate ? "madvise populate" : "madvise"))
        return -1;
    return __real_madvise(at, bytes, advice);
}

int __real_mlock(const void *at, size_t bytes);
int __wrap_mlock(const void *at, size_t bytes);
int __wrap_mlock(const void *at, size_t bytes)
{
    return refused(FAULT_NO_LOCK, EPERM) || strike(FAULT_MEMORY, "mlock") ? -1
                                                                          : __real_mlock(at, bytes);
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
ssize_t __real_preadv2(int fd, const struct iovec *vectors, int count, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *vectors, int count, off_t offset, int flags);
int __real_statx(int folder, const char *path, int flags, unsigned mask, struct statx *out);
int __wrap_statx(int folder, const char *path, int flags, unsigned mask, struct statx *out);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static bool is_direct(int fd)
{
    return fcntl(fd, F_GETFL) & O_DIRECT;
}

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
    if (flags & O_DIRECT && refused(FAULT_NO_DIRECT_OPEN, EINVAL))
        return -1;
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
    if (strike(FAULT_FILE, "fstat"))
        return -1;
    int failed = __real_fstat(fd, out);
    if (!failed && atomic_load(&state.watched) == out->st_ino && !is_direct(fd))
        atomic_fetch_add(&state.looks, 1);
    return failed;
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

static ssize_t interrupted(void)
{
    errno = EINTR;
    return -1;
}

ssize_t __wrap_read(int fd, void *dst, size_t bytes)
{
    if (strike(FAULT_FILE, "read"))
        return -1;
    size_t now = portion(bytes);
    if (now == 0 && bytes > 0)
        return interrupted();
    return __real_read(fd, dst, now);
}

/* Of weights: a byte at a time would take minutes. */
static size_t large_portion(size_t bytes)
{
    size_t now = portion(bytes);
    return now == 1 && bytes > 64 ? 1 + bytes / 16 : now;
}

/* Of direct reads: whole blocks. */
static size_t direct_portion(size_t bytes)
{
    size_t now = large_portion(bytes);
    return now == 0 || now >= bytes ? now : now < 4096 ? 4096 : now / 4096 * 4096;
}

ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset)
{
    bool direct = is_direct(fd);
    if (direct &&
        (refused(FAULT_NO_DIRECT_READ, EINVAL) || refused(FAULT_NO_DIRECT_SUPPORT, EOPNOTSUPP)))
        return -1;
    if (strike(FAULT_FILE, "pread"))
        return -1;
    size_t now = direct ? direct_portion(bytes) : portion(bytes);
    if (now == 0 && bytes > 0)
        return interrupted();
    return __real_pread(fd, dst, now, offset);
}

ssize_t __wrap_preadv2(int fd, const struct iovec *vectors, int count, off_t offset, int flags)
{
    if (count != 1)
        abort(); /* one is all that the library asks for */
    if (flags && refused(FAULT_NO_DONTCACHE, EOPNOTSUPP))
        return -1;
    if (strike(FAULT_FILE, "preadv2"))
        return -1;
    struct iovec to = {vectors->iov_base, large_portion(vectors->iov_len)};
    if (to.iov_len == 0 && vectors->iov_len > 0)
        return interrupted();
    return __real_preadv2(fd, &to, 1, offset, flags);
}

int __wrap_statx(int folder, const char *path, int flags, unsigned mask, struct statx *out)
{
    if (strike(FAULT_FILE, "statx"))
        return -1;
    int failed = __real_statx(folder, path, flags, mask, out);
    if (!failed && refused(FAULT_NO_ALIGN, 0))
        out->stx_mask = 0;
    return failed;
}

long __wrap_syscall(long number, ...)
{
    enum { CACHESTAT = 451 }; /* everywhere; futexes come this way too, and are nobody's file */
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == CACHESTAT &&
        (refused(FAULT_NO_CACHESTAT, ENOSYS) || strike(FAULT_FILE, "cachestat")))
        return -1;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- io_uring ---- */

#define NOP_INJECT_RESULT 1u /* IORING_NOP_INJECT_RESULT, Linux 6.11 */

int __real_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p);
void __real_io_uring_queue_exit(struct io_uring *r);
void __wrap_io_uring_queue_exit(struct io_uring *r);
int __real_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n);
int __wrap_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n);
int __real_io_uring_submit(struct io_uring *r);
int __wrap_io_uring_submit(struct io_uring *r);
int __real_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t);

int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p)
{
    if (refused(FAULT_NO_URING, EPERM) || strike(FAULT_MEMORY, "io_uring_queue_init_params"))
        return -errno;
    int failed = __real_io_uring_queue_init_params(n, r, p);
    if (!failed)
        atomic_fetch_add(&state.rings, 1);
    return failed;
}

void __wrap_io_uring_queue_exit(struct io_uring *r)
{
    atomic_fetch_sub(&state.rings, 1);
    __real_io_uring_queue_exit(r);
}

int __wrap_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n)
{
    if (refused(FAULT_NO_REGISTER, EOPNOTSUPP) || strike(FAULT_MEMORY, "io_uring_register_buffers"))
        return -errno;
    return __real_io_uring_register_buffers(r, v, n);
}

/* The entry does nothing, and ends with this result. */
static void end_with(struct io_uring_sqe *sqe, int result)
{
    const uint64_t user_data = sqe->user_data;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_NOP;
    sqe->len = (uint32_t)result;
    sqe->rw_flags = NOP_INJECT_RESULT;
    sqe->user_data = user_data;
}

bool fault_can_end_entries(void)
{
    struct io_uring ring;
    struct io_uring_params params = {0};
    struct io_uring_cqe *cqe = NULL;
    if (__real_io_uring_queue_init_params(2, &ring, &params) != 0)
        return false;
    end_with(io_uring_get_sqe(&ring), -EIO);
    bool can = __real_io_uring_submit(&ring) == 1 && io_uring_wait_cqe(&ring, &cqe) == 0 && cqe &&
               cqe->res == -EIO;
    __real_io_uring_queue_exit(&ring);
    state.entries = can;
    return can;
}

static void spoil(struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_NOP || !state.entries) /* has been here already; can't be */
        return;
    bool direct = is_direct(sqe->fd);
    if ((direct &&
         (refused(FAULT_NO_DIRECT_READ, EINVAL) || refused(FAULT_NO_DIRECT_SUPPORT, EOPNOTSUPP))) ||
        (sqe->rw_flags && refused(FAULT_NO_DONTCACHE, EOPNOTSUPP)) ||
        strike(FAULT_FILE, "completion") || strike(FAULT_ENTRY_EINTR, "completion") ||
        strike(FAULT_ENTRY_EAGAIN, "completion") || strike(FAULT_ENTRY_EINVAL, "completion")) {
        end_with(sqe, -errno);
        return;
    }
    if (sqe->len > 4096 && strike(FAULT_ENTRY_SHORT, "completion"))
        sqe->len = 4096;
    size_t now = direct ? direct_portion(sqe->len) : large_portion(sqe->len);
    if (now == 0 && sqe->len > 0)
        end_with(sqe, -EINTR);
    else
        sqe->len = (uint32_t)now;
}

int __wrap_io_uring_submit(struct io_uring *r)
{
    if (strike(FAULT_RING, "io_uring_submit"))
        return -errno;
    if (r->sq.sqe_tail != r->sq.sqe_head)
        spoil(&r->sq.sqes[(r->sq.sqe_tail - 1) & *r->sq.kring_mask]);
    return __real_io_uring_submit(r);
}

int __wrap_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t)
{
    return strike(FAULT_RING, "io_uring_wait_cqe_timeout")
               ? -errno
               : __real_io_uring_wait_cqe_timeout(r, c, t);
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
    if (now == 0 && bytes > 0)
        return interrupted();
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
    if (refused(FAULT_NO_THREADS, EAGAIN) || strike(FAULT_THREAD, "pthread_create"))
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
