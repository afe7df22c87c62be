/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults on demand: the system calls and allocations of the library pass through here (-Wl,--wrap),
 * where the k-th of a kind can be made to fail, reads can be made short, and what is held is
 * counted. */
#ifndef PLIM_TESTS_INJECT_H
#define PLIM_TESTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fault_kind {
    FAULT_MEMORY,      /* malloc, calloc, realloc, mmap, mremap, madvise, mlock, rings: ENOMEM */
    FAULT_FILE,        /* open, fstat, stat, read, pread, ..., completions of io_uring: EIO */
    FAULT_WRITE,       /* write, fsync, rename, mkdir: ENOSPC */
    FAULT_THREAD,      /* pthread_create: EAGAIN */
    FAULT_FILE_NOMEM,  /* the calls of FAULT_FILE: ENOMEM */
    FAULT_ENTRY_SHORT, /* a read of io_uring gives one block */
    FAULT_ENTRY_EINTR, /* ... ends with that error */
    FAULT_ENTRY_EAGAIN,
    FAULT_ENTRY_EINVAL,
    FAULT_RING, /* submitting to io_uring and waiting for it: EIO */
    FAULT_KINDS
} fault_kind;

/* Fail call number k (from 0) of that kind, and with `forever` all after it, until fault_disarm. */
void fault_arm(fault_kind kind, size_t k, bool forever);

/* How many calls failed since fault_arm. */
size_t fault_disarm(void);

/* How many calls of the kind there were since. */
size_t fault_calls(void);

/* The name of the function that failed first ("pread"); static storage; "" for none. */
const char *fault_first(void);

typedef enum read_mode { READ_WHOLE, READ_ONE_BYTE, READ_RANDOM, READ_INTERRUPTED } read_mode;

/* How read and pread behave: at most one byte; at most a random number; EINTR before every success.
 */
void fault_reads(read_mode mode);

/* Called before each call of the kind that is armed, with its number since fault_arm; NULL: none.
 */
void fault_hook(void (*fn)(void *user, size_t k), void *user);

/* What the wrapped calls hold now. */
typedef struct fault_held {
    int64_t blocks; /* malloc and its family */
    int64_t mapped; /* bytes of mmap */
    int64_t files;  /* open descriptors */
    int64_t threads;
    int64_t rings; /* of io_uring */
} fault_held;

fault_held fault_now(void);

/* What a system may lack; all of `what` is refused from now on.  0: nothing. */
#define FAULT_NO_URING          1u
#define FAULT_NO_REGISTER       2u
#define FAULT_NO_DIRECT_OPEN    4u  /* EINVAL */
#define FAULT_NO_DIRECT_READ    8u  /* EINVAL */
#define FAULT_NO_DIRECT_SUPPORT 16u /* EOPNOTSUPP */
#define FAULT_NO_DONTCACHE      32u
#define FAULT_NO_HUGE           64u
#define FAULT_NO_POPULATE       128u
#define FAULT_NO_CACHESTAT      256u
#define FAULT_NO_ALIGN          512u /* statx without STATX_DIOALIGN */
#define FAULT_NO_THREADS        1024u
#define FAULT_NO_LOCK           2048u
#define FAULT_NO_COUNT          12
void fault_refuse(unsigned what);
size_t fault_refusals(void); /* calls refused since */

/* Count fstat calls on a file's own descriptor from now on: the library has looked at it. */
void fault_watch(uint64_t inode);
size_t fault_looks(void);

/* Whether this kernel can be told how an entry of io_uring ends (Linux 6.11); where it can't,
 * completions do not fail. */
bool fault_can_end_entries(void);

#endif
