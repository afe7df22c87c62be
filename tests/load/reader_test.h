/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of reading share: a file whose every byte says where it stands, a stored set
 * around it, queues of every way and engine, and requests with guarded memory. */
#ifndef PLIM_TESTS_READER_TEST_H
#define PLIM_TESTS_READER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "load/reader.h"
#include "temp.h"

#define FILE_BYTES (3u * 1048576u + 1234u)
#define BLOCK      PLIM_DIRECT_ALIGN
#define SLOT_BYTES (256u * 1024u)
#define CANARY     0xA5

static inline uint8_t byte_at(uint64_t i)
{
    uint64_t x = (i / 8 + 1) * 0x9E3779B97F4A7C15u;
    return (uint8_t)((x ^ x >> 29) >> (i % 8 * 8));
}

/* Every way and engine. */
typedef struct way {
    const char *name, *engine;
    plim_reader how;
    unsigned without;
    bool ring;
} way;

static const way ways[] = {
    {"direct, registered", "io_uring", PLIM_READER_DIRECT, 0, true},
    {"direct, register refused", "io_uring", PLIM_READER_DIRECT, PLIM_READ_WITHOUT_REGISTER, true},
    {"direct, no ring", "io_uring", PLIM_READER_DIRECT, 0, false},
    {"direct, threads", "threads", PLIM_READER_DIRECT, PLIM_READ_WITHOUT_URING, true},
    {"direct, alone", "threads", PLIM_READER_DIRECT,
     PLIM_READ_WITHOUT_URING | PLIM_READ_WITHOUT_THREADS, true},
    {"buffered", "threads", PLIM_READER_BUFFERED, 0, true},
    {"buffered, alone", "threads", PLIM_READER_BUFFERED, PLIM_READ_WITHOUT_THREADS, true},
    {"map", "threads", PLIM_READER_MAP, 0, false},
    {"map, alone", "threads", PLIM_READER_MAP, PLIM_READ_WITHOUT_THREADS, false},
};
#define WAYS (sizeof ways / sizeof *ways)

/* A file, open, and what reads it. */
typedef struct bench {
    temp_folder folder;
    char path[256];
    plim_stored_file file;
    plim_stored_set set;
    plim_ledger *ledger;
    plim_region ring, map;
    uint8_t *right, *canaries; /* of the whole file; of a slot */
} bench;

static inline size_t open_files(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static inline uint8_t *bench_bytes(size_t bytes)
{
    uint8_t *all = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        all[i] = byte_at(i);
    return all;
}

static inline void bench_write(const char *path, size_t bytes)
{
    uint8_t *all = bench_bytes(bytes);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(all, 1, bytes, f), bytes);
    assert_int_equal(fflush(f), 0);
    assert_int_equal(fsync(fileno(f)), 0); /* on the disk, so that it can leave the page cache */
    assert_int_equal(fclose(f), 0);
    free(all);
}

/* `bytes` of path, which is there. */
static inline void bench_use(bench *b, size_t bytes)
{
    plim_error err;
    b->right = bench_bytes(FILE_BYTES);
    b->canaries = memset(malloc(SLOT_BYTES), CANARY, SLOT_BYTES);
    b->file = (plim_stored_file){.path = b->path};
    assert_int_equal(plim_file_open(&b->file.file, b->path, &err), PLIM_OK);
    b->set = (plim_stored_set){.files = &b->file, .file_count = 1};
    assert_int_equal(plim_ledger_open(&b->ledger, 0, 0, NULL, &err), PLIM_OK);
    assert_int_equal(plim_region_open(&b->ring, b->ledger, PLIM_MEM_OTHER,
                                      PLIM_READER_MAX_DEPTH * SLOT_BYTES, true, &err),
                     PLIM_OK);
    assert_int_equal(plim_region_map(&b->map, b->ledger, PLIM_MEM_OTHER, b->file.file.fd, b->path,
                                     0, bytes, &err),
                     PLIM_OK);
}

static inline void bench_open(bench *b)
{
    b->folder = temp_open();
    snprintf(b->path, sizeof b->path, "%s/file", b->folder.path);
    bench_write(b->path, FILE_BYTES);
    bench_use(b, FILE_BYTES);
}

static inline void bench_close(bench *b)
{
    plim_region_close(&b->map, b->ledger);
    plim_region_close(&b->ring, b->ledger);
    plim_memory left;
    plim_ledger_read(b->ledger, &left);
    assert_int_equal(left.anonymous.now, 0);
    assert_int_equal(left.mapped.now, 0);
    plim_ledger_close(&b->ledger);
    plim_file_close(&b->file.file);
    temp_close(&b->folder);
    free(b->right);
    free(b->canaries);
}

static inline plim_read_queue *queue_open(bench *b, const way *w, unsigned depth)
{
    plim_error err;
    plim_read_queue *queue;
    plim_memory before, after;
    plim_ledger_read(b->ledger, &before);
    const plim_read_setup setup = {.how = w->how,
                                   .stored = &b->set,
                                   .ledger = b->ledger,
                                   .ring = w->ring ? &b->ring : NULL,
                                   .depth = depth,
                                   .without = w->without};
    assert_int_equal(plim_read_queue_open(&queue, &setup, &err), PLIM_OK);
    plim_ledger_read(b->ledger, &after);
    assert_true(after.anonymous.now - before.anonymous.now <= plim_read_queue_bytes(w->how, depth));
    return queue;
}

/* A request for [offset, offset + bytes) into slot i of the ring, or where it is mapped, and the
 * ring's slot full of canaries. */
static inline void request_make(bench *b, plim_reader how, unsigned i, uint64_t offset,
                                size_t bytes, plim_read_request *out)
{
    uint8_t *slot = (uint8_t *)b->ring.base + (size_t)i * SLOT_BYTES;
    memset(slot, CANARY, SLOT_BYTES);
    *out = (plim_read_request){.offset = offset, .bytes = bytes, .tag = i};
    out->dst =
        how == PLIM_READER_MAP ? (uint8_t *)b->map.base + offset : slot + BLOCK + offset % BLOCK;
}

/* The right bytes, and none outside of what may be written. */
static inline void request_check(bench *b, plim_reader how, const plim_read_request *r)
{
    const uint8_t *dst = r->dst, *slot = (uint8_t *)b->ring.base + r->tag * SLOT_BYTES;
    if (r->bytes > 0 && memcmp(dst, b->right + r->offset, r->bytes) != 0)
        fail_msg("wrong bytes in %zu from %llu", r->bytes, (unsigned long long)r->offset);
    if (how == PLIM_READER_MAP)
        return;
    size_t first = (size_t)(dst - slot), end = first + r->bytes;
    if (how == PLIM_READER_DIRECT && r->bytes > 0) {
        first = first / BLOCK * BLOCK;
        end = (end + BLOCK - 1) / BLOCK * BLOCK;
    }
    if (memcmp(slot, b->canaries, first) != 0 || memcmp(slot + end, b->canaries, SLOT_BYTES - end))
        fail_msg("something was written outside of [%zu, %zu) of the slot", first, end);
}

#endif
