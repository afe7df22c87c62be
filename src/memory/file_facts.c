/* SPDX-License-Identifier: Apache-2.0
 *
 * What is found out about a file that is to be read: whether O_DIRECT works (tried, not believed),
 * and what of it the page cache holds. */
#include <errno.h>

#include "memory/facts.h"

#define BLOCK_BYTES 4096u

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

/* The share of each window in the cache.  Windows of which all or nothing is there are not asked
 * for one by one. */
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
    for (size_t i = 0; i < count && out->resident > 0; i++) {
        const uint64_t at = (uint64_t)i * PLIM_WINDOW_BYTES;
        const uint64_t bytes = size - at < PLIM_WINDOW_BYTES ? size - at : PLIM_WINDOW_BYTES;
        uint64_t there = bytes;
        if (out->resident < size && !plim_fd_resident(file->fd, at, bytes, &there))
            there = 0;
        windows[i] = (uint8_t)(there * 100 / bytes);
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
    if (file->identity.bytes == 0 ||
        !plim_fd_resident(file->fd, 0, file->identity.bytes, &out->resident))
        return PLIM_OK;
    return fill_windows(out, arena, file, err);
}
