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
    FAULT_MEMORY, /* malloc, calloc, realloc, mmap, mremap, MADV_POPULATE_*: ENOMEM */
    FAULT_FILE,   /* open, fstat, stat, read, pread, ...: EIO */
    FAULT_WRITE,  /* write, fsync, rename, mkdir: ENOSPC */
    FAULT_THREAD, /* pthread_create: EAGAIN */
    FAULT_KINDS
} fault_kind;

/* Fail call number k (from 0) of that kind, and with `forever` all after it, until fault_disarm. */
void fault_arm(fault_kind kind, size_t k, bool forever);

/* How many calls failed since fault_arm. */
size_t fault_disarm(void);

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
} fault_held;

fault_held fault_now(void);

#endif
