/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: opening for reading, whole reads at an offset, identity, and writing under a temporary
 * name. All system calls on files go through here, so that faults can be injected in one place. */
#ifndef PLIM_BASE_FILE_H
#define PLIM_BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/alloc.h"

/* What must stay the same while a file is in use. */
typedef struct plim_file_identity {
    uint64_t device, inode, bytes;
    int64_t mtime_seconds, ctime_seconds;
    long mtime_nanoseconds, ctime_nanoseconds;
} plim_file_identity;

typedef struct plim_file {
    int fd; /* -1 when closed */
    plim_file_identity identity;
} plim_file;

/* Open a regular file for reading (symbolic links are followed).  Never blocks: UNSAFE for a fifo,
 * device or socket; IO for a folder, for no such file and for no permission. */
plim_status plim_file_open(plim_file *out, const char *path, plim_error *err);
void plim_file_close(plim_file *file);

/* Read exactly `bytes` at `offset`; loops over short reads and EINTR.  TRUNC when the file ends
 * before. */
plim_status plim_file_read(const plim_file *file, const char *path, void *dst, size_t bytes,
                           uint64_t offset, plim_error *err);
/* Read up to `cap` bytes at `offset`, *got of them; 0 at the end. */
plim_status plim_file_read_some(const plim_file *file, const char *path, void *dst, size_t cap,
                                uint64_t offset, size_t *got, plim_error *err);

/* CHANGED, saying what was found, when device, inode, size, mtime or ctime of the open file are not
 * what they were, or when an absolute `path` leads elsewhere now (renamed, replaced, deleted).  A
 * relative one gives no more than words for what happened: the process may stand elsewhere by now.
 * With fd -1 (closed, identity kept) the file that `path` leads to is compared.  IO when it can't
 * be examined. */
plim_status plim_file_check(const plim_file *file, const char *path, plim_error *err);

/* The same file opened once more, for O_DIRECT: through its descriptor, so that a rename does not
 * matter, else by `path` (may be NULL) where that still leads to it.  False and *fd = -1 where the
 * file system or the system refuses.  Release with plim_fd_close. */
bool plim_file_open_direct(int *fd, const plim_file *file, const char *path);
void plim_fd_close(int *fd);

/* fsync of a folder: 0, or the system's error number; what can't be synchronised passes. */
int plim_fd_sync(int fd);

/* One read at `offset`, up to `bytes` of it: 0 and *got (0 at the end), or the system's error
 * number.  `uncached`: pages that are not in the page cache yet don't stay there (RWF_DONTCACHE,
 * Linux 6.14; EOPNOTSUPP, EINVAL or ENOSYS where that is not known).  Interrupted reads begin
 * again. */
int plim_fd_read(int fd, void *dst, size_t bytes, uint64_t offset, bool uncached, size_t *got);
#define PLIM_RWF_DONTCACHE 0x80

/* Bytes of [offset, offset + bytes) in the page cache, in whole pages, at most what the file has
 * (cachestat, Linux 6.5).  False where nobody says. */
bool plim_fd_resident(int fd, uint64_t offset, uint64_t bytes, uint64_t *resident);

/* What O_DIRECT wants addresses and offsets to be multiples of (statx, Linux 6.1); 0 and 0: the
 * file can't be read so.  False where nobody says. */
bool plim_fd_direct_align(int fd, unsigned *memory, unsigned *offset);

/* A whole small file, NUL-terminated, from `alloc`.  LIMIT over `max` bytes. */
plim_status plim_file_slurp(char **out, size_t *bytes, const plim_alloc *alloc, const char *path,
                            size_t max, plim_error *err);

/* Up to cap - 1 bytes of a small file of the system (/proc, /sys: no size is announced) into buf,
 * NUL-terminated. Returns how many, -1 where it can't be opened or read. */
long plim_file_peek(const char *path, char *buf, size_t cap);

/* Whether a regular file (a folder) is there, links followed.  IO where the system fails to say:
 * what could not be looked at must not pass for what is not there. */
plim_status plim_path_find_file(bool *found, const char *path, plim_error *err);
plim_status plim_path_find_folder(bool *found, const char *path, plim_error *err);

/* dir/name into buf; LIMIT when it does not fit. */
plim_status plim_path_join(char *buf, size_t cap, const char *dir, const char *name,
                           plim_error *err);

/* True for a relative path that stays inside its folder: no empty, "." or ".." part, no backslash,
 * no drive, no leading slash, no NUL or control character. */
bool plim_path_is_inside(const char *path);

/* What is appended to the name of something that is being written: ".partial-" and 12 random
 * digits.  Anybody may know a process's number; and two namespaces, or two threads, have the same.
 */
#define PLIM_PARTIAL_BYTES 22
void plim_partial_name(char out[PLIM_PARTIAL_BYTES]);

/* A file being written as PATH.partial-RANDOM, renamed to PATH by commit (after fsync), removed by
 * discard.  What a killed process left stays. */
typedef struct plim_file_writer {
    int fd;
    int folder;  /* a descriptor that the names are relative to, not owned; -1: they are paths */
    size_t name; /* where the name in the folder begins in path and temporary */
    uint64_t bytes;
    char path[4096], temporary[4096];
} plim_file_writer;

/* IO where it can't be made; LIMIT for a path that is too long.  Writers of the same path don't
 * disturb each other: the last commit stays. */
plim_status plim_writer_open(plim_file_writer *out, const char *path, plim_error *err);
/* A file in an open folder, which must stay open until commit or discard; `folder_path` is for
 * messages. */
plim_status plim_writer_open_in(plim_file_writer *out, int folder, const char *folder_path,
                                const char *name, plim_error *err);
plim_status plim_writer_write(plim_file_writer *writer, const void *src, size_t bytes,
                              plim_error *err);
/* The same at `offset`, wherever the file ends now; plim_writer_write is not moved by it. */
plim_status plim_writer_write_at(plim_file_writer *writer, uint64_t offset, const void *src,
                                 size_t bytes, plim_error *err);
/* On failure nothing is left behind and nothing appears at PATH; discard is then allowed and does
 * nothing. */
plim_status plim_writer_commit(plim_file_writer *writer, plim_error *err);
/* Does nothing after a commit, and on a zeroed writer whose fd is -1. */
void plim_writer_discard(plim_file_writer *writer);

/* CLOCK_MONOTONIC in seconds. */
double plim_now(void);

#endif
