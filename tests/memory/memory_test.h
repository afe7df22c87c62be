/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of memory/ share: cmocka, a folder for fabricated files, and the process's
 * resident memory. */
#ifndef PLIM_TESTS_MEMORY_H
#define PLIM_TESTS_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/ledger.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Allocators that keep what is freed make resident memory say nothing. */
static inline void skip_where_sanitized(void)
{
    if (SANITIZED) {
        print_message("a sanitizer keeps freed memory: resident memory is not looked at\n");
        skip();
    }
}

static inline uint64_t resident(void)
{
    plim_process_memory m;
    assert_int_equal(plim_process_memory_read(&m, NULL), PLIM_OK);
    return m.rss;
}

/* ---- a folder that goes when the test goes ---- */

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int folder_make(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/plim-memory-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static inline int folder_remove(void **state)
{
    int failed = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

/* Writes ROOT/path, making its folders. */
static inline void put(const char *root, const char *path, const char *text)
{
    char full[4096];
    int n = snprintf(full, sizeof full, "%s/%s", root, path);
    assert_in_range(n, 1, sizeof full - 1);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

#endif
