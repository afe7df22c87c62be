/* SPDX-License-Identifier: Apache-2.0
 *
 * What is found out about a file that is to be read: whether O_DIRECT works (tried, not believed),
 * and what of it the page cache holds. */
#include <errno.h>

#include "memory/facts.h"

#define BLOCK_BYTES 4096u
/* Counting the pages of a file that was in the cache before takes some 6 ms per GiB: of large files
 * this much in every SAMPLE_STRIDE is looked at. */
#define LARGE_FILE    (256ull << 20)
#define SAMPLE_BYTES  (256ull << 10)
#define SAMPLE_STRIDE (8ull << 20)

/* One direct read of the first block. */
static bool reads_direct(const plim_file *file)
{
    unsigned memory, offset;
    _Alignas(BLOCK_BYTES) unsigned char block[BLOCK_BYTES];
    if (plim_fd_direct_align(file->fd, &memory, &offset) &&
        (memory == 0 || offset == 0 || BLOCK_BYTES % memory != 0 || BLOCK_BYTES % offset != 0))
        return false;
    int fd, failed;
    unsigned tries = 0;
    size_t got = 0;
    if (!plim_file_open_direct(&fd, file, NULL))
        return false;
    do
        failed = plim_fd_read(fd, block, sizeof block, 0, false, &got);
    while (failed == EAGAIN && ++tries < 100);
    plim_fd_close(&fd);
    const uint64_t size = file->identity.bytes;
    return failed == 0 && got == (size < sizeof block ? (size_t)size : sizeof block);
}

/* How much of [at, at + bytes) is in the cache. */
static uint64_t count_resident(const plim_file *file, uint64_t at, uint64_t bytes)
{
    const bool whole = file->identity.bytes <= LARGE_FILE;
    const uint64_t step = whole ? bytes : SAMPLE_STRIDE, look = whole ? bytes : SAMPLE_BYTES;
    uint64_t there = 0, seen = 0, found;
    for (uint64_t done = 0; done < bytes; done += step) {
        uint64_t n = bytes - done < look ? bytes - done : look;
        seen += n;
        if (plim_fd_resident(file->fd, at + done, n, &found))
            there += found;
    }
    return whole ? there : (uint64_t)((double)there / (double)seen * (double)bytes);
}

/* The share of each window in the cache. */
static plim_status fill_windows(plim_file_facts *out, plim_arena *arena, const plim_file *file,
                                plim_error *err)
{
    const uint64_t size = file->identity.bytes;
    const size_t count = (size_t)((size + PLIM_WINDOW_BYTES - 1) / PLIM_WINDOW_BYTES);
    plim_error why;
    uint8_t *windows = plim_arena_new(arena, count, 1, &why);
    if (!windows) {
        if (err)
            *err = why;
        return why.code;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)i * PLIM_WINDOW_BYTES;
        const uint64_t bytes = size - at < PLIM_WINDOW_BYTES ? size - at : PLIM_WINDOW_BYTES;
        const uint64_t there = count_resident(file, at, bytes);
        windows[i] = (uint8_t)(there * 100 / bytes);
        out->resident += there;
    }
    out->windows = windows;
    out->window_count = count;
    return PLIM_OK;
}

plim_status plim_file_facts_gather(plim_file_facts *out, plim_arena *arena, const plim_file *file,
                                   plim_error *err)
{
    *out = (plim_file_facts){0};
    out->direct = reads_direct(file);
    uint64_t first;
    if (file->identity.bytes == 0 || !plim_fd_resident(file->fd, 0, 1, &first))
        return PLIM_OK;
    return fill_windows(out, arena, file, err);
}
