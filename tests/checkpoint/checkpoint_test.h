/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of checkpoint/ and hub/ share: a temporary folder, files made on the spot, an
 * allocator that counts and can fail, and what must hold after every call that failed. */
#ifndef PLIM_TESTS_CHECKPOINT_H
#define PLIM_TESTS_CHECKPOINT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"

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
    if (asprintf(&path, "%s/plim-checkpoint-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path))
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

/* ROOT/name in one of a few buffers that take turns. */
static inline const char *in(const char *root, const char *name)
{
    static char buffers[4][4096];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    int n = snprintf(out, sizeof buffers[0], "%s/%s", root, name);
    assert_in_range(n, 1, sizeof buffers[0] - 1);
    return out;
}

/* Writes ROOT/name (its folders are made); the file is gone first, so its inode is new. */
static inline void put_bytes(const char *root, const char *name, const void *bytes, size_t count)
{
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", root, name);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    unlink(full);
    FILE *f = fopen(full, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *root, const char *name, const char *text)
{
    put_bytes(root, name, text, strlen(text));
}

/* A safetensors file: `length` as the header's length (or its true one for UINT64_MAX - 1), the
 * header, and data_bytes of data (0, 1, 2, ...). */
#define TRUE_LENGTH (UINT64_MAX - 1)

static inline void put_safetensors(const char *root, const char *name, const void *header,
                                   size_t header_bytes, uint64_t length, size_t data_bytes)
{
    unsigned char *file = malloc(8 + header_bytes + data_bytes);
    assert_non_null(file);
    if (length == TRUE_LENGTH)
        length = header_bytes;
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(length >> (8 * i));
    memcpy(file + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        file[8 + header_bytes + i] = (unsigned char)i;
    put_bytes(root, name, file, 8 + header_bytes + data_bytes);
    free(file);
}

static inline void put_tensors(const char *root, const char *name, const char *header,
                               size_t data_bytes)
{
    put_safetensors(root, name, header, strlen(header), TRUE_LENGTH, data_bytes);
}

/* ---- an allocator that counts, and fails once or from then on ---- */

typedef struct counting {
    plim_alloc alloc;            /* first: the callbacks find the rest by it */
    size_t live, calls, fail_at; /* fail_at: number of the call, from 1; 0 never */
    bool fails_on;               /* every later call too */
} counting;

static inline bool counting_refuses(const plim_alloc *self, plim_error *err)
{
    counting *c = self->user;
    c->calls++;
    if (!c->fail_at || c->calls < c->fail_at || (c->calls > c->fail_at && !c->fails_on))
        return false;
    plim_fail(err, PLIM_E_BUDGET, "refused by the test");
    return true;
}

static inline void *counting_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    if (counting_refuses(self, err))
        return NULL;
    ((counting *)self->user)->live++;
    return plim_alloc_system()->alloc(plim_alloc_system(), bytes, err);
}

static inline void counting_free(const plim_alloc *self, void *ptr)
{
    if (ptr)
        ((counting *)self->user)->live--;
    plim_alloc_system()->free(plim_alloc_system(), ptr);
}

static inline void *counting_resize(const plim_alloc *self, void *ptr, size_t bytes,
                                    plim_error *err)
{
    if (counting_refuses(self, err))
        return NULL;
    if (!ptr)
        ((counting *)self->user)->live++;
    return plim_alloc_system()->resize(plim_alloc_system(), ptr, bytes, err);
}

static inline void counting_init(counting *c)
{
    *c = (counting){.alloc = {counting_alloc, counting_free, counting_resize, c}};
}

static inline size_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* ---- opening ---- */

/* Must fail with `code`; nothing stays behind, and the message is one printable line that names the
 * file. */
static inline void open_fails(const plim_checkpoint_where *where, plim_status code, plim_error *err)
{
    counting c;
    counting_init(&c);
    size_t before = open_descriptors();
    plim_stored_set *set = (void *)1;
    plim_status status = plim_stored_open(&set, &c.alloc, where, NULL, err);
    if (status != code)
        print_error("want %s, got %s: %s\n", plim_status_name(code), plim_status_name(status),
                    status ? err->message : "");
    assert_int_equal(status, code);
    assert_int_equal(err->code, code);
    assert_null(set);
    assert_int_equal(c.live, 0);
    assert_int_equal(open_descriptors(), before);
    assert_true(err->message[0] != 0);
    for (const unsigned char *p = (const unsigned char *)err->message; *p; p++)
        assert_true(*p >= 0x20 && *p != 0x7f);
    assert_int_equal(plim_stored_open(&set, &c.alloc, where, NULL, NULL),
                     code); /* err may be NULL */
}

static inline void path_fails(const char *path, plim_status code, plim_error *err)
{
    open_fails(&(plim_checkpoint_where){.path = path}, code, err);
}

static inline plim_stored_set *open_works(const char *path)
{
    plim_stored_set *set;
    plim_error err;
    plim_checkpoint_where where = {.path = path};
    if (plim_stored_open(&set, plim_alloc_system(), &where, NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(plim_stored_check(set, &err), PLIM_OK);
    return set;
}

#endif
