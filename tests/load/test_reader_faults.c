/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading when the system fails: io_uring, registration, O_DIRECT, RWF_DONTCACHE, threads and
 * populating refused; short, interrupted and failing reads, once and for ever.  The right bytes or
 * an error that names file and offset, and nothing left. */
#include "reader_test.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

typedef enum fault {
    NONE,
    SETUP,        /* io_uring_queue_init_params */
    REGISTER,     /* io_uring_register_buffers */
    SUBMIT,       /* io_uring_submit */
    WAIT,         /* io_uring_wait_cqe_timeout */
    ENTRY_FD,     /* the kernel is given a descriptor that is not open */
    ENTRY_ODD,    /* ... an offset that O_DIRECT does not take */
    ENTRY_ZERO,   /* ... a read of nothing: the end of the file, it seems */
    ENTRY_SHORT,  /* ... one block */
    ENTRY_RAGGED, /* ... one byte more than a block, from the page cache */
    OPEN_DIRECT,
    READ, /* pread, preadv2 */
    READ_SHORT,
    READ_DIRECT, /* pread at descriptors with O_DIRECT */
    DONTCACHE,   /* preadv2 with the flag */
    THREAD,
    POPULATE,
    FAULTS
} fault;

static struct {
    fault what;
    int with;
    int at; /* the call that fails, from 1; */
    bool forever;
    atomic_int calls;
} armed;

static bool strike(fault what)
{
    if (armed.what != what)
        return false;
    int call = atomic_fetch_add(&armed.calls, 1) + 1;
    if (call != armed.at && !(armed.forever && call > armed.at))
        return false;
    errno = armed.with;
    return true;
}

static void arm(fault what, int with, int at, bool forever)
{
    armed.what = what;
    armed.with = with;
    armed.at = at;
    armed.forever = forever;
    atomic_store(&armed.calls, 0);
}

int __real_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *r, struct io_uring_params *p)
{
    return strike(SETUP) ? -armed.with : __real_io_uring_queue_init_params(n, r, p);
}

int __real_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n);
int __wrap_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n);
int __wrap_io_uring_register_buffers(struct io_uring *r, const struct iovec *v, unsigned n)
{
    return strike(REGISTER) ? -armed.with : __real_io_uring_register_buffers(r, v, n);
}

int __real_io_uring_submit(struct io_uring *r);
int __wrap_io_uring_submit(struct io_uring *r);
int __wrap_io_uring_submit(struct io_uring *r)
{
    if (strike(SUBMIT))
        return -armed.with;
    if (r->sq.sqe_tail != r->sq.sqe_head) {
        struct io_uring_sqe *sqe = &r->sq.sqes[(r->sq.sqe_tail - 1) & *r->sq.kring_mask];
        if (strike(ENTRY_FD))
            sqe->fd = 9999;
        if (strike(ENTRY_ODD) && !(sqe->flags & IOSQE_ASYNC))
            sqe->off++;
        if (strike(ENTRY_ZERO))
            sqe->len = 0;
        if (strike(ENTRY_SHORT) && sqe->len > 4096)
            sqe->len = 4096;
        if (strike(ENTRY_RAGGED) && sqe->len > 4097) {
            sqe->len = 4097;
            sqe->fd = armed.with;
            sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
        }
    }
    return __real_io_uring_submit(r);
}

int __real_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *r, struct io_uring_cqe **c,
                                     struct __kernel_timespec *t)
{
    return strike(WAIT) ? -armed.with : __real_io_uring_wait_cqe_timeout(r, c, t);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    return flags & O_DIRECT && strike(OPEN_DIRECT) ? -1 : __real_open(path, flags, 0600);
}

static size_t cut(size_t n)
{
    return n > 1 && strike(READ_SHORT) ? 1 + n / 3 : n;
}

ssize_t __real_pread(int fd, void *dst, size_t n, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t n, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t n, off_t offset)
{
    if (strike(READ))
        return -1;
    bool direct = fcntl(fd, F_GETFL) & O_DIRECT;
    if (direct && strike(READ_DIRECT))
        return -1;
    size_t m = cut(n);
    return __real_pread(fd, dst, direct && m > BLOCK ? m / BLOCK * BLOCK : m, offset);
}

ssize_t __real_preadv2(int fd, const struct iovec *v, int n, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t offset, int flags)
{
    if (strike(READ) || strike(DONTCACHE))
        return -1;
    struct iovec to = {v->iov_base, cut(v->iov_len)};
    return __real_preadv2(fd, &to, n, offset, flags);
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    return strike(THREAD) ? armed.with : __real_pthread_create(out, attr, fn, arg);
}

int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice)
{
    return advice == 22 && strike(POPULATE) ? -1 : __real_madvise(at, bytes, advice);
}

/* 16 ranges of one file through a queue of depth 8 while `armed` strikes.  Right bytes, or the
 * status of the first error; everything else is asserted. */
static plim_status run(bench *b, const way *w, plim_error *first)
{
    plim_error err;
    plim_read_queue *queue;
    plim_read_request r[8], *done;
    plim_status worst = PLIM_OK;
    const plim_read_setup setup = {w->how, &b->set,   b->ledger, w->ring ? &b->ring : NULL,
                                   8,      w->without};
    assert_int_equal(plim_read_queue_open(&queue, &setup, &err), PLIM_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned k = 0; k < 8; k++) {
            request_make(b, w->how, k, (round * 8 + k) * 190001u, 150000, &r[k]);
            assert_int_equal(plim_read_queue_submit(queue, &r[k], &err), PLIM_OK);
        }
        for (unsigned k = 0; k < 8; k++) {
            memset(&err, 0, sizeof err);
            plim_status status = plim_read_queue_wait(queue, &done, 60000, &err);
            assert_non_null(done);
            if (status == PLIM_OK) {
                request_check(b, w->how, done);
                continue;
            }
            assert_int_equal(err.code, status);
            assert_string_equal(err.file, b->path);
            assert_true(err.offset >= (int64_t)(done->offset / BLOCK * BLOCK) &&
                        err.offset <= (int64_t)(done->offset + done->bytes));
            if (worst == PLIM_OK)
                *first = err;
            worst = worst ? worst : status;
        }
        assert_int_equal(plim_read_queue_in_flight(queue), 0);
    }
    plim_read_queue_close(&queue);
    return worst;
}

/* A fault in its turn, once and for ever, each way; what may come of it. */
static const struct {
    const char *name;
    fault what;
    int with;
    plim_status once, forever; /* PLIM_OK: the right bytes; else that or the right bytes */
} table[] = {
    {"io_uring: EPERM", SETUP, EPERM, PLIM_OK, PLIM_OK},
    {"io_uring: ENOSYS", SETUP, ENOSYS, PLIM_OK, PLIM_OK},
    {"io_uring: ENOMEM", SETUP, ENOMEM, PLIM_OK, PLIM_OK},
    {"register: ENOMEM", REGISTER, ENOMEM, PLIM_OK, PLIM_OK},
    {"register: EOPNOTSUPP", REGISTER, EOPNOTSUPP, PLIM_OK, PLIM_OK},
    {"submit: EAGAIN", SUBMIT, EAGAIN, PLIM_OK, PLIM_OK},
    {"submit: EBUSY", SUBMIT, EBUSY, PLIM_OK, PLIM_OK},
    {"submit: EINTR", SUBMIT, EINTR, PLIM_OK, PLIM_OK},
    {"submit: EIO", SUBMIT, EIO, PLIM_OK, PLIM_OK},
    {"wait: EINTR", WAIT, EINTR, PLIM_OK, PLIM_OK},
    {"wait: ETIME", WAIT, ETIME, PLIM_OK, PLIM_OK},
    {"wait: EIO", WAIT, EIO, PLIM_OK, PLIM_OK},
    {"entry: bad descriptor", ENTRY_FD, 0, PLIM_E_IO, PLIM_E_IO},
    {"entry: EINVAL", ENTRY_ODD, 0, PLIM_OK, PLIM_OK},
    {"entry: end of file", ENTRY_ZERO, 0, PLIM_OK, PLIM_E_TRUNC},
    {"entry: one block", ENTRY_SHORT, 0, PLIM_OK, PLIM_OK},
    {"entry: ragged", ENTRY_RAGGED, -1, PLIM_OK, PLIM_OK},
    {"open O_DIRECT: EINVAL", OPEN_DIRECT, EINVAL, PLIM_OK, PLIM_OK},
    {"open O_DIRECT: EMFILE", OPEN_DIRECT, EMFILE, PLIM_OK, PLIM_OK},
    {"read: EIO", READ, EIO, PLIM_E_IO, PLIM_E_IO},
    {"read: ENOMEM", READ, ENOMEM, PLIM_E_NOMEM, PLIM_E_NOMEM},
    {"read: short", READ_SHORT, 0, PLIM_OK, PLIM_OK},
    {"direct read: EINVAL", READ_DIRECT, EINVAL, PLIM_OK, PLIM_OK},
    {"direct read: EOPNOTSUPP", READ_DIRECT, EOPNOTSUPP, PLIM_OK, PLIM_OK},
    {"direct read: EAGAIN", READ_DIRECT, EAGAIN, PLIM_OK, PLIM_E_IO},
    {"direct read: EIO", READ_DIRECT, EIO, PLIM_E_IO, PLIM_E_IO},
    {"dontcache: EOPNOTSUPP", DONTCACHE, EOPNOTSUPP, PLIM_OK, PLIM_OK},
    {"dontcache: ENOSYS", DONTCACHE, ENOSYS, PLIM_OK, PLIM_OK},
    {"dontcache: EINVAL", DONTCACHE, EINVAL, PLIM_OK, PLIM_OK},
    {"threads: EAGAIN", THREAD, EAGAIN, PLIM_OK, PLIM_OK},
    {"populate: EINVAL", POPULATE, EINVAL, PLIM_OK, PLIM_OK},
    {"populate: EFAULT", POPULATE, EFAULT, PLIM_E_TRUNC, PLIM_E_TRUNC},
    {"populate: EHWPOISON", POPULATE, EHWPOISON, PLIM_E_TRUNC, PLIM_E_TRUNC},
    {"populate: ENOMEM", POPULATE, ENOMEM, PLIM_E_NOMEM, PLIM_E_NOMEM},
    {"populate: EIO", POPULATE, EIO, PLIM_E_IO, PLIM_E_IO},
};

static void each_call_fails(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_memory before, after;
    size_t struck[FAULTS] = {0};
    bench_open(&b);
    plim_ledger_read(b.ledger, &before);
    const size_t files = open_files();
    for (size_t f = 0; f < sizeof table / sizeof *table; f++) {
        for (size_t i = 0; i < WAYS; i++) {
            for (int forever = 0; forever < 2; forever++) {
                for (int at = 1; at < 40; at += forever ? 7 : 1) {
                    posix_fadvise(b.file.file.fd, 0, 0, POSIX_FADV_DONTNEED);
                    arm(table[f].what,
                        table[f].what == ENTRY_RAGGED ? b.file.file.fd : table[f].with, at,
                        forever);
                    plim_status want = forever ? table[f].forever : table[f].once;
                    plim_status status = run(&b, &ways[i], &err);
                    int calls = atomic_load(&armed.calls);
                    arm(NONE, 0, 0, false);
                    if (status != PLIM_OK && status != want)
                        fail_msg("%s, %s, call %d: %s", table[f].name, ways[i].name, at,
                                 err.message);
                    struck[table[f].what] += calls >= at;
                    assert_int_equal(open_files(), files);
                    plim_ledger_read(b.ledger, &after);
                    assert_int_equal(after.anonymous.now, before.anonymous.now);
                    if (calls < at)
                        break;
                    /* an error that is to be there is there */
                    if (want != PLIM_OK && status == PLIM_OK &&
                        (table[f].what == POPULATE || table[f].what == READ))
                        fail_msg("%s, %s, call %d: no error", table[f].name, ways[i].name, at);
                }
            }
        }
    }
    for (int f = NONE + 1; f < FAULTS; f++)
        if (struck[f] == 0 && f != WAIT) /* which comes when the disk is slower than we are */
            fail_msg("fault %d never struck", f);
    bench_close(&b);
}

/* Waiting itself fails: what the kernel has is looked for. */
static void waiting_fails(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_request r, *done;
    plim_read_queue *queue;
    bench_open(&b);
    const plim_read_setup setup = {PLIM_READER_DIRECT, &b.set, b.ledger, &b.ring, 8, 0};
    if (plim_read_queue_open(&queue, &setup, &err) == PLIM_OK &&
        strcmp(plim_read_queue_engine(queue), "io_uring") != 0) {
        print_message("SKIPPED: no io_uring here\n");
        plim_read_queue_close(&queue);
        bench_close(&b);
        skip();
    }
    int calls = 0;
    for (int i = 0; i < 100000 && calls < 20; i++) {
        request_make(&b, PLIM_READER_DIRECT, 0, (unsigned)i % 9 * 100000u, 250000, &r);
        arm(WAIT, EIO, 1, true);
        assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
        assert_int_equal(plim_read_queue_wait(queue, &done, 60000, &err), PLIM_OK);
        assert_ptr_equal(done, &r);
        calls += atomic_load(&armed.calls);
        arm(NONE, 0, 0, false);
        request_check(&b, PLIM_READER_DIRECT, &r);
    }
    assert_true(calls >= 20);
    plim_read_queue_close(&queue);
    bench_close(&b);
}

/* Some threads, not all. */
static void fewer_threads(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    bench_open(&b);
    for (int at = 1; at <= 5; at++) {
        arm(THREAD, EAGAIN, at, true);
        const way w = {"buffered", "threads", PLIM_READER_BUFFERED, 0, true};
        plim_memory before, after;
        plim_read_queue *queue;
        const plim_read_setup setup = {w.how, &b.set, b.ledger, NULL, 8, 0};
        plim_ledger_read(b.ledger, &before);
        assert_int_equal(plim_read_queue_open(&queue, &setup, &err), PLIM_OK);
        plim_ledger_read(b.ledger, &after);
        uint64_t held = after.anonymous.now - before.anonymous.now;
        /* only those that run are counted */
        assert_in_range(held / (64 * 1024), at - 1, at);
        plim_read_queue_close(&queue);
        arm(THREAD, EAGAIN, at, true);
        assert_int_equal(run(&b, &w, &err), PLIM_OK);
        arm(NONE, 0, 0, false);
    }
    bench_close(&b);
}

/* Which engine is in use after a refusal. */
static void engines(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_queue *queue;
    bench_open(&b);
    const plim_read_setup setup = {PLIM_READER_DIRECT, &b.set, b.ledger, &b.ring, 8, 0};
    arm(SETUP, EPERM, 1, true);
    assert_int_equal(plim_read_queue_open(&queue, &setup, &err), PLIM_OK);
    assert_string_equal(plim_read_queue_engine(queue), "threads");
    plim_read_queue_close(&queue);
    arm(REGISTER, ENOMEM, 1, true);
    assert_int_equal(plim_read_queue_open(&queue, &setup, &err), PLIM_OK);
    assert_string_equal(plim_read_queue_engine(queue), "io_uring");
    assert_int_equal(atomic_load(&armed.calls), 1);
    plim_read_queue_close(&queue);
    arm(NONE, 0, 0, false);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(waiting_fails),
        cmocka_unit_test(fewer_threads),
        cmocka_unit_test(engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
