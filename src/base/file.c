/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: every system call on one is here, called plainly, so that a test can put itself in front
 * of it. Leaves maps of files to memory/region. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/num.h"

/* One pread or write: Linux moves no more than 0x7ffff000 bytes at once. */
#define ONE_CALL_BYTES 0x40000000u

static plim_where at(const char *path, int64_t offset)
{
    return (plim_where){.file = path, .offset = offset};
}

static plim_file_identity identity_of(const struct stat *st)
{
    return (plim_file_identity){.device = (uint64_t)st->st_dev,
                                .inode = (uint64_t)st->st_ino,
                                .bytes = (uint64_t)st->st_size,
                                .mtime_seconds = (int64_t)st->st_mtim.tv_sec,
                                .ctime_seconds = (int64_t)st->st_ctim.tv_sec,
                                .mtime_nanoseconds = st->st_mtim.tv_nsec,
                                .ctime_nanoseconds = st->st_ctim.tv_nsec};
}

/* ---- reading ---- */

static plim_status check_regular(const struct stat *st, const char *path, plim_error *err)
{
    if (S_ISREG(st->st_mode))
        return PLIM_OK;
    if (S_ISDIR(st->st_mode))
        return plim_fail_at(err, PLIM_E_IO, at(path, -1), "is a folder, want a file");
    const char *kind = S_ISFIFO(st->st_mode)   ? "a fifo"
                       : S_ISSOCK(st->st_mode) ? "a socket"
                                               : "a device";
    return plim_fail_at(err, PLIM_E_UNSAFE, at(path, -1), "is %s, want a regular file", kind);
}

plim_status plim_file_open(plim_file *out, const char *path, plim_error *err)
{
    struct stat st;
    *out = (plim_file){.fd = -1};
    /* Asked by name first: opening a device can already do something. */
    if (stat(path, &st) != 0)
        return plim_fail_errno(err, errno, at(path, -1), "cannot open");
    plim_status status = check_regular(&st, path, err);
    if (status != PLIM_OK)
        return status;
    /* O_NONBLOCK: if a fifo took the name meanwhile, nobody waits for its writer. */
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return plim_fail_errno(err, errno, at(path, -1), "cannot open");
    if (fstat(fd, &st) != 0)
        status = plim_fail_errno(err, errno, at(path, -1), "cannot be examined");
    else
        status = check_regular(&st, path, err);
    if (status != PLIM_OK) {
        close(fd);
        return status;
    }
    out->fd = fd;
    out->identity = identity_of(&st);
    return PLIM_OK;
}

void plim_file_close(plim_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

plim_status plim_file_read_some(const plim_file *file, const char *path, void *dst, size_t cap,
                                uint64_t offset, size_t *got, plim_error *err)
{
    *got = 0;
    if (offset > INT64_MAX - ONE_CALL_BYTES)
        return PLIM_OK; /* no file reaches so far */
    ssize_t n;
    do
        n = pread(file->fd, dst, cap < ONE_CALL_BYTES ? cap : ONE_CALL_BYTES, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return plim_fail_errno(err, errno, at(path, (int64_t)offset), "cannot read");
    *got = (size_t)n;
    return PLIM_OK;
}

plim_status plim_file_read(const plim_file *file, const char *path, void *dst, size_t bytes,
                           uint64_t offset, plim_error *err)
{
    char *to = dst;
    for (size_t done = 0, got; done < bytes; done += got) {
        plim_status status =
            plim_file_read_some(file, path, to + done, bytes - done, offset + done, &got, err);
        if (status != PLIM_OK)
            return status;
        if (got == 0)
            return plim_fail_at(err, PLIM_E_TRUNC, at(path, (int64_t)((offset + done) & INT64_MAX)),
                                "the file ends here, %zu of %zu bytes are missing", bytes - done,
                                bytes);
    }
    return PLIM_OK;
}

/* Where `path` leads now; *found = false: nowhere. */
static plim_status look_up(bool *found, struct stat *st, const char *path, plim_error *err)
{
    *found = stat(path, st) == 0;
    if (!*found && errno != ENOENT && errno != ENOTDIR)
        return plim_fail_errno(err, errno, at(path, -1), "cannot be examined");
    return PLIM_OK;
}

/* What is open against what it was. */
static plim_status compare(const plim_file_identity *a, const plim_file_identity *b,
                           const char *path, plim_error *err)
{
    if (a->bytes != b->bytes)
        return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1),
                            "the file changed while in use: %llu bytes before, %llu now",
                            (unsigned long long)a->bytes, (unsigned long long)b->bytes);
    if (a->mtime_seconds != b->mtime_seconds || a->mtime_nanoseconds != b->mtime_nanoseconds)
        return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1),
                            "the file was written while in use: modified at %lld.%09ld before, "
                            "%lld.%09ld now",
                            (long long)a->mtime_seconds, a->mtime_nanoseconds,
                            (long long)b->mtime_seconds, b->mtime_nanoseconds);
    return PLIM_OK;
}

static plim_status fail_replaced(const plim_file_identity *a, const plim_file_identity *b,
                                 const char *path, plim_error *err)
{
    return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1),
                        "another file has taken this name while it was in use: inode %llu of "
                        "device %llu before, %llu of %llu now",
                        (unsigned long long)a->inode, (unsigned long long)a->device,
                        (unsigned long long)b->inode, (unsigned long long)b->device);
}

/* The name is gone or leads elsewhere than what is open; PLIM_OK when neither. */
static plim_status check_name(const plim_file *file, bool found, const struct stat *named,
                              const struct stat *open_now, const char *path, plim_error *err)
{
    const plim_file_identity by_name = identity_of(named), *was = &file->identity;
    if (found && by_name.device == was->device && by_name.inode == was->inode)
        return PLIM_OK;
    if (found)
        return fail_replaced(was, &by_name, path, err);
    if (file->fd < 0)
        return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1), "the file is gone");
    return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1), "the file was %s while in use",
                        open_now->st_nlink == 0 ? "deleted" : "renamed away");
}

static plim_status check_touched(const plim_file_identity *was, const plim_file_identity *is,
                                 const char *path, plim_error *err)
{
    if (was->ctime_seconds == is->ctime_seconds && was->ctime_nanoseconds == is->ctime_nanoseconds)
        return PLIM_OK;
    return plim_fail_at(err, PLIM_E_CHANGED, at(path, -1),
                        "the file was touched while in use: its status changed at %lld.%09ld "
                        "before, %lld.%09ld now",
                        (long long)was->ctime_seconds, was->ctime_nanoseconds,
                        (long long)is->ctime_seconds, is->ctime_nanoseconds);
}

static bool same_file(const plim_file_identity *a, const plim_file_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->mtime_seconds == b->mtime_seconds && a->mtime_nanoseconds == b->mtime_nanoseconds &&
           a->ctime_seconds == b->ctime_seconds && a->ctime_nanoseconds == b->ctime_nanoseconds;
}

plim_status plim_file_check(const plim_file *file, const char *path, plim_error *err)
{
    struct stat st = {0}, named = {0};
    bool found = false;
    const plim_file_identity *was = &file->identity;
    const bool is_open = file->fd >= 0, absolute = path[0] == '/';
    if (is_open && fstat(file->fd, &st) != 0)
        return plim_fail_errno(err, errno, at(path, -1), "cannot be examined");
    plim_file_identity is = identity_of(&st);
    /* A relative name leads elsewhere after a chdir.  Nothing is lost without it: who renames,
     * replaces or deletes a file moves its ctime. */
    if (is_open && !absolute && st.st_nlink > 0 && same_file(was, &is))
        return PLIM_OK;
    plim_status status = look_up(&found, &named, path, err);
    if (status != PLIM_OK && (absolute || !is_open))
        return status;
    if (!is_open) {
        is = identity_of(&named);
        status = check_name(file, found, &named, &st, path, err);
        if (status != PLIM_OK)
            return status;
    }
    /* Names after contents: who is overwritten and renamed was overwritten.  Names before ctime,
     * which any of these moves. */
    status = compare(was, &is, path, err);
    if (status == PLIM_OK && is_open)
        status = check_name(file, found, &named, &st, path, err);
    return status ? status : check_touched(was, &is, path, err);
}

/* ---- reading past the page cache, and what is in it ---- */

#ifndef __NR_cachestat
#define __NR_cachestat 451 /* the same for every architecture; Linux 6.5 */
#endif

/* As the kernel has them. */
struct cachestat_range {
    uint64_t offset, bytes;
};
struct cachestat_counts {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static int open_direct(const char *path, const plim_file_identity *want)
{
    struct stat st;
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECT);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && (fstat(fd, &st) != 0 || (uint64_t)st.st_dev != want->device ||
                    (uint64_t)st.st_ino != want->inode)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool plim_file_open_direct(int *fd, const plim_file *file, const char *path)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    *fd = open_direct(self, &file->identity);
    if (*fd < 0 && path) /* no /proc here */
        *fd = open_direct(path, &file->identity);
    return *fd >= 0;
}

void plim_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int plim_fd_read(int fd, void *dst, size_t bytes, uint64_t offset, bool uncached, size_t *got)
{
    ssize_t n;
    *got = 0;
    if (offset > INT64_MAX - ONE_CALL_BYTES)
        return 0; /* no file reaches so far */
    struct iovec to = {dst, bytes < ONE_CALL_BYTES ? bytes : ONE_CALL_BYTES};
    do
        n = uncached ? preadv2(fd, &to, 1, (off_t)offset, PLIM_RWF_DONTCACHE)
                     : pread(fd, to.iov_base, to.iov_len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    *got = (size_t)n;
    return 0;
}

bool plim_fd_resident(int fd, uint64_t offset, uint64_t bytes, uint64_t *resident)
{
    struct cachestat_range range = {offset, bytes};
    struct cachestat_counts counts = {0};
    struct stat st;
    *resident = 0;
    long page = sysconf(_SC_PAGESIZE);
    if (bytes == 0)
        return true; /* to the kernel that would be all of the file */
    if (fstat(fd, &st) != 0 || syscall(__NR_cachestat, fd, &range, &counts, 0) != 0)
        return false;
    uint64_t size = (uint64_t)st.st_size, most = offset < size ? size - offset : 0;
    most = most < bytes ? most : bytes; /* the last page ends where the file does */
    uint64_t cached = counts.cached * (uint64_t)(page > 0 ? page : 4096);
    *resident = cached < most ? cached : most;
    return true;
}

bool plim_fd_direct_align(int fd, unsigned *memory, unsigned *offset)
{
    *memory = *offset = 0;
#ifdef STATX_DIOALIGN
    struct statx st;
    memset(&st, 0, sizeof st);
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) != 0 || !(st.stx_mask & STATX_DIOALIGN))
        return false;
    *memory = st.stx_dio_mem_align;
    *offset = st.stx_dio_offset_align;
    return true;
#else
    (void)fd;
    return false;
#endif
}

plim_status plim_file_slurp(char **out, size_t *bytes, const plim_alloc *alloc, const char *path,
                            size_t max, plim_error *err)
{
    plim_file file;
    *out = NULL;
    *bytes = 0;
    plim_status status = plim_file_open(&file, path, err);
    if (status != PLIM_OK)
        return status;
    uint64_t size = file.identity.bytes;
    if (size > max) {
        plim_file_close(&file);
        return plim_fail_at(err, PLIM_E_LIMIT, at(path, -1), "%llu bytes, want at most %zu",
                            (unsigned long long)size, max);
    }
    plim_error why;
    char *text = plim_new(alloc, (size_t)size + 1, 1, &why);
    status = text ? plim_file_read(&file, path, text, (size_t)size, 0, &why) : why.code;
    if (status == PLIM_OK)
        status = plim_file_check(&file, path, &why);
    plim_file_close(&file);
    if (status != PLIM_OK) {
        plim_delete(alloc, text);
        if (err)
            *err = why;
        return status;
    }
    *out = text;
    *bytes = (size_t)size;
    return PLIM_OK;
}

long plim_file_peek(const char *path, char *buf, size_t cap)
{
    plim_file file;
    assert(cap >= 1);
    buf[0] = '\0';
    if (plim_file_open(&file, path, NULL) != PLIM_OK)
        return -1;
    size_t done = 0, got = 1;
    plim_status status = PLIM_OK;
    while (status == PLIM_OK && got > 0 && done < cap - 1) {
        status = plim_file_read_some(&file, path, buf + done, cap - 1 - done, done, &got, NULL);
        done += got;
    }
    plim_file_close(&file);
    buf[done] = '\0';
    return status == PLIM_OK ? (long)done : -1;
}

/* ---- paths ---- */

static plim_status find(bool *found, const char *path, mode_t type, plim_error *err)
{
    struct stat st;
    *found = false;
    if (stat(path, &st) == 0)
        *found = (st.st_mode & S_IFMT) == type;
    else if (errno != ENOENT && errno != ENOTDIR)
        return plim_fail_errno(err, errno, at(path, -1), "cannot be examined");
    return PLIM_OK;
}

plim_status plim_path_find_file(bool *found, const char *path, plim_error *err)
{
    return find(found, path, S_IFREG, err);
}

plim_status plim_path_find_folder(bool *found, const char *path, plim_error *err)
{
    return find(found, path, S_IFDIR, err);
}

plim_status plim_path_join(char *buf, size_t cap, const char *dir, const char *name,
                           plim_error *err)
{
    size_t a = strlen(dir), b = strlen(name);
    bool slash = a > 0 && dir[a - 1] != '/';
    if (a >= cap || b >= cap || a + slash + b >= cap)
        return plim_fail(err, PLIM_E_LIMIT, "a path of %zu bytes is too long, want less than %zu",
                         a + slash + b, cap);
    memmove(buf, dir, a);
    if (slash)
        buf[a] = '/';
    memcpy(buf + a + slash, name, b + 1);
    return PLIM_OK;
}

bool plim_path_is_inside(const char *path)
{
    bool letter = (path[0] | 0x20) >= 'a' && (path[0] | 0x20) <= 'z';
    if (letter && path[1] == ':')
        return false; /* a drive */
    const char *part = path;
    for (const char *p = path;; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\0' || c == '/') {
            size_t n = (size_t)(p - part);
            if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && !memcmp(part, "..", 2)))
                return false;
            if (c == '\0')
                return true;
            part = p + 1;
        } else if (c < 0x20 || c == 0x7f || c == '\\') {
            return false;
        }
    }
}

/* ---- writing ---- */

void plim_partial_name(char out[PLIM_PARTIAL_BYTES])
{
    uint64_t value;
    /* Only has to be new: O_EXCL sees to it that nobody's file is taken. */
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)(plim_now() * 1e9) ^ (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)out;
    plim_format(out, PLIM_PARTIAL_BYTES, ".partial-%012llx",
                (unsigned long long)(value & UINT64_C(0xffffffffffff)));
}

/* A writer with a folder tells the system names in it, else whole paths. */
static int open_temporary(const plim_file_writer *w)
{
    /* Never through a link somebody put there, and never over anything. */
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    return w->folder < 0 ? open(w->temporary, flags, 0666)
                         : openat(w->folder, w->temporary + w->name, flags, 0666);
}

static void remove_temporary(const plim_file_writer *w)
{
    if (w->folder < 0)
        unlink(w->temporary);
    else
        unlinkat(w->folder, w->temporary + w->name, 0);
}

static int take_name(const plim_file_writer *w)
{
    return w->folder < 0
               ? rename(w->temporary, w->path)
               : renameat(w->folder, w->temporary + w->name, w->folder, w->path + w->name);
}

/* `path` of the writer is set. */
static plim_status begin_writing(plim_file_writer *out, plim_error *err)
{
    char tail[PLIM_PARTIAL_BYTES];
    int fd, tries = 0;
    do {
        plim_partial_name(tail);
        plim_format(out->temporary, sizeof out->temporary, "%s%s", out->path, tail);
        fd = open_temporary(out);
    } while (fd < 0 && (errno == EINTR || (errno == EEXIST && ++tries < 100)));
    if (fd < 0)
        return plim_fail_errno(err, errno, at(out->temporary, -1), "cannot be made");
    out->fd = fd;
    return PLIM_OK;
}

plim_status plim_writer_open(plim_file_writer *out, const char *path, plim_error *err)
{
    *out = (plim_file_writer){.fd = -1, .folder = -1};
    if (strlen(path) + PLIM_PARTIAL_BYTES > sizeof out->temporary)
        return plim_fail_at(err, PLIM_E_LIMIT, at(path, -1),
                            "the path is too long, want less than %zu bytes",
                            sizeof out->temporary - PLIM_PARTIAL_BYTES + 1);
    plim_format(out->path, sizeof out->path, "%s", path);
    return begin_writing(out, err);
}

plim_status plim_writer_open_in(plim_file_writer *out, int folder, const char *folder_path,
                                const char *name, plim_error *err)
{
    *out = (plim_file_writer){.fd = -1, .folder = folder};
    plim_status status =
        plim_path_join(out->path, sizeof out->path - PLIM_PARTIAL_BYTES, folder_path, name, err);
    if (status)
        return status;
    out->name = strlen(out->path) - strlen(name);
    return begin_writing(out, err);
}

plim_status plim_writer_write(plim_file_writer *writer, const void *src, size_t bytes,
                              plim_error *err)
{
    const char *from = src;
    while (bytes > 0) {
        ssize_t n = write(writer->fd, from, bytes < ONE_CALL_BYTES ? bytes : ONE_CALL_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return plim_fail_errno(err, n < 0 ? errno : EIO,
                                   at(writer->path, (int64_t)writer->bytes), "cannot write");
        from += n;
        bytes -= (size_t)n;
        writer->bytes += (uint64_t)n;
    }
    return PLIM_OK;
}

plim_status plim_writer_write_at(plim_file_writer *writer, uint64_t offset, const void *src,
                                 size_t bytes, plim_error *err)
{
    const char *from = src;
    while (bytes > 0) {
        ssize_t n = pwrite(writer->fd, from, bytes < ONE_CALL_BYTES ? bytes : ONE_CALL_BYTES,
                           (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return plim_fail_errno(err, n < 0 ? errno : EIO, at(writer->path, (int64_t)offset),
                                   "cannot write");
        from += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PLIM_OK;
}

int plim_fd_sync(int fd)
{
    return fsync(fd) != 0 && errno != EINVAL && errno != EROFS ? errno : 0;
}

/* The new name survives a loss of power only when its folder is on disk too. */
static int sync_folder(const plim_file_writer *w)
{
    if (w->folder >= 0)
        return plim_fd_sync(w->folder);
    char folder[sizeof w->path];
    const char *path = w->path, *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    memcpy(folder, slash == path ? "/" : slash ? path : ".", slash && n ? n : 1);
    folder[slash && n ? n : 1] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* a folder one may write to but not read */
    int failed = plim_fd_sync(fd);
    close(fd);
    return failed;
}

plim_status plim_writer_commit(plim_file_writer *writer, plim_error *err)
{
    plim_where where = at(writer->path, -1);
    plim_status status = PLIM_OK;
    if (fsync(writer->fd) != 0)
        status = plim_fail_errno(err, errno, where, "cannot write");
    int closed = close(writer->fd);
    writer->fd = -1;
    if (status == PLIM_OK && closed != 0 && errno != EINTR)
        status = plim_fail_errno(err, errno, where, "cannot write");
    if (status == PLIM_OK && take_name(writer) != 0)
        status = plim_fail_errno(err, errno, where, "cannot take its name");
    if (status != PLIM_OK) {
        remove_temporary(writer);
        return status;
    }
    int failed = sync_folder(writer);
    return failed ? plim_fail_errno(err, failed, where,
                                    "is written, but its folder can't be synchronised")
                  : PLIM_OK;
}

void plim_writer_discard(plim_file_writer *writer)
{
    if (writer->fd < 0)
        return;
    close(writer->fd);
    remove_temporary(writer);
    writer->fd = -1;
}

double plim_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
