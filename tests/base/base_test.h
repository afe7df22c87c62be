/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of base/ share: cmocka in its order, an allocator that counts and fails on demand,
 * a folder for temporary files. */
#ifndef PLIM_TESTS_BASE_TEST_H
#define PLIM_TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

/* One caller at a time.  Fails the call number `fail_at` (1, 2, ...; 0: none), and all later ones
 * if `forever`. */
typedef struct counting_alloc {
    plim_alloc alloc;
    size_t live_blocks, live_bytes, peak_bytes, calls, fail_at;
    bool forever;
} counting_alloc;

static inline counting_alloc *counting_self(const plim_alloc *self)
{
    return self->user;
}

static inline bool counting_refuses(counting_alloc *c, plim_error *err)
{
    c->calls++;
    if (c->fail_at == 0 || (c->forever ? c->calls < c->fail_at : c->calls != c->fail_at))
        return false;
    plim_fail(err, PLIM_E_NOMEM, "refused by the test");
    return true;
}

static inline void counting_note(counting_alloc *c, size_t added, size_t removed)
{
    c->live_bytes = c->live_bytes + added - removed;
    if (c->live_bytes > c->peak_bytes)
        c->peak_bytes = c->live_bytes;
}

static inline void *counting_new(const plim_alloc *self, size_t bytes, plim_error *err)
{
    counting_alloc *c = counting_self(self);
    if (counting_refuses(c, err))
        return NULL;
    size_t *block = calloc(1, bytes + 16);
    assert_non_null(block);
    block[0] = bytes;
    c->live_blocks++;
    counting_note(c, bytes, 0);
    return block + 2;
}

static inline void counting_free(const plim_alloc *self, void *ptr)
{
    if (!ptr)
        return;
    size_t *block = (size_t *)ptr - 2;
    counting_self(self)->live_blocks--;
    counting_note(counting_self(self), 0, block[0]);
    free(block);
}

static inline void *counting_resize(const plim_alloc *self, void *ptr, size_t bytes,
                                    plim_error *err)
{
    counting_alloc *c = counting_self(self);
    if (!ptr)
        return counting_new(self, bytes, err);
    if (counting_refuses(c, err))
        return NULL;
    size_t before = ((size_t *)ptr - 2)[0];
    size_t *block = realloc((size_t *)ptr - 2, bytes + 16);
    assert_non_null(block);
    block[0] = bytes;
    if (bytes > before)
        memset((char *)(block + 2) + before, 0, bytes - before);
    counting_note(c, bytes, before);
    return block + 2;
}

static inline void counting_open(counting_alloc *c)
{
    *c = (counting_alloc){.alloc = {counting_new, counting_free, counting_resize, c}};
}

/* FNV-1a, as in make_expected.py. */
static inline uint64_t fnv(const void *data, size_t n, uint64_t h)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
#define FNV_START 0xcbf29ce484222325u

/* A fresh folder below the current one; removed with folder_remove, which empties it. */
static inline void folder_make(char out[64])
{
    strcpy(out, "base-test-XXXXXX");
    assert_non_null(mkdtemp(out));
}

static inline void folder_remove(const char *folder)
{
    char command[128];
    assert_memory_equal(folder, "base-test-", 10);
    assert_in_range(strlen(folder), 16, 16);
    strcpy(command, "rm -r ./");
    strcat(command, folder);
    assert_int_equal(system(command), 0);
}

#endif
