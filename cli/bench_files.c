/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a checkpoint lies in the page cache: a load is as fast as that. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define WINDOW_BYTES ((uint64_t)64 << 20)

static uint64_t window_resident(int fd, uint64_t offset, size_t bytes, unsigned char *pages)
{
    uint64_t resident = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    if (map == MAP_FAILED)
        return 0;
    if (mincore(map, bytes, pages) == 0)
        for (size_t i = 0; i < (bytes + page - 1) / page; i++)
            resident += (pages[i] & 1) ? page : 0;
    munmap(map, bytes);
    return resident < bytes ? resident : bytes;
}

static uint64_t file_resident(const char *path, uint64_t bytes)
{
    uint64_t resident = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned char *pages = malloc(WINDOW_BYTES / page);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (uint64_t at = 0; pages && fd >= 0 && at < bytes; at += WINDOW_BYTES) {
        uint64_t left = bytes - at;
        resident += window_resident(fd, at, left < WINDOW_BYTES ? left : WINDOW_BYTES, pages);
    }
    if (fd >= 0)
        close(fd);
    free(pages);
    return resident;
}

void bench_page_cache(bench *b)
{
    plim_checkpoint *checkpoint = NULL;
    plim_error ignored;
    uint64_t bytes;
    if (plim_checkpoint_open(&checkpoint, b->c->context, b->c->options.names[0], &b->c->model,
                             &ignored) != PLIM_OK)
        return;
    for (size_t i = 0; i < plim_checkpoint_file_count(checkpoint); i++) {
        const char *path = plim_checkpoint_file(checkpoint, i, &bytes);
        b->file_bytes += bytes;
        b->cached_bytes += file_resident(path, bytes);
    }
    plim_checkpoint_close(&checkpoint);
}
