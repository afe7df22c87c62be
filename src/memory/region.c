/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions: anonymous memory on huge pages where it is large enough, and read-only maps of files. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/num.h"
#include "memory/ledger.h"

#define HUGE_BYTES  ((size_t)2 << 20)
#define COMMIT_STEP ((size_t)16 << 20) /* between two looks at a cancel */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static size_t page_size(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (size_t)page : 4096;
}

static plim_status fail_nomem(plim_error *err, plim_memory_category category, size_t bytes)
{
    char asked[32];
    return plim_fail(err, PLIM_E_NOMEM, "the system gave no memory: %s for %s",
                     plim_format_bytes(asked, sizeof asked, bytes),
                     plim_memory_category_name(category));
}

/* `bytes` (whole pages) of anonymous memory at a multiple of `align`: mapped with room to spare,
 * then trimmed. NULL when there is none. */
static void *map_aligned(size_t bytes, size_t align, size_t page)
{
    size_t spare = align - page;
    char *map =
        mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    size_t head = (align - (size_t)((uintptr_t)map % align)) % align, tail = spare - head;
    char *base = map + head;
    if (head && munmap(map, head) != 0) { /* too many maps */
        munmap(map, bytes + spare);
        return NULL;
    }
    if (tail && munmap(base + bytes, tail) != 0) {
        munmap(base, bytes + tail);
        return NULL;
    }
    return base;
}

/* Ask the system to bring pages in: 0, or why it does not (EINVAL: an older kernel). */
static int populate_now(void *at, size_t bytes)
{
    while (madvise(at, bytes, MADV_POPULATE_WRITE) != 0)
        if (errno != EINTR && errno != EAGAIN)
            return errno;
    return 0;
}

bool plim_memory_populate(void *at, size_t bytes)
{
    int failed = populate_now(at, bytes);
    return !failed || failed == EINVAL;
}

/* Make every page ours now.  False: there is no memory for them. */
static bool commit(char *base, size_t bytes, size_t page)
{
    int failed = populate_now(base, bytes);
    if (failed != EINVAL)
        return !failed;
    for (size_t i = 0; i < bytes; i += page)
        ((volatile char *)base)[i] = 0;
    return true;
}

plim_status plim_region_commit(const plim_region *region, const atomic_bool *cancel,
                               plim_error *err)
{
    const size_t page = page_size(), step = COMMIT_STEP;
    for (size_t done = 0, n; done < region->map_bytes; done += n) {
        n = region->map_bytes - done < step ? region->map_bytes - done : step;
        if (cancel && atomic_load(cancel))
            return plim_fail(err, PLIM_E_CANCELLED, "cancelled while memory was brought in");
        if (!commit((char *)region->map + done, n, page))
            return fail_nomem(err, region->category, region->bytes);
    }
    return PLIM_OK;
}

plim_status plim_region_open(plim_region *out, plim_ledger *ledger, plim_memory_category category,
                             size_t bytes, bool populate, plim_error *err)
{
    *out = (plim_region){0};
    if (bytes == 0)
        return PLIM_OK;
    const size_t page = page_size(), align = bytes >= HUGE_BYTES ? HUGE_BYTES : page;
    if (bytes > (size_t)PTRDIFF_MAX - page - align)
        return fail_nomem(err, category, bytes);
    const size_t held = (bytes + page - 1) / page * page;
    plim_status status = plim_ledger_reserve(ledger, category, PLIM_ANONYMOUS, held, err);
    if (status != PLIM_OK)
        return status;
    char *base = map_aligned(held, align, page);
    if (base && align == HUGE_BYTES) /* faster where it works, right where it does not */
        (void)madvise(base, held, MADV_HUGEPAGE);
    if (base && populate && !commit(base, held, page)) {
        munmap(base, held);
        base = NULL;
    }
    if (!base) {
        plim_ledger_release(ledger, category, PLIM_ANONYMOUS, held);
        return fail_nomem(err, category, bytes);
    }
    *out = (plim_region){base, bytes, base, held, category, PLIM_ANONYMOUS};
    return PLIM_OK;
}

plim_status plim_region_map(plim_region *out, plim_ledger *ledger, plim_memory_category category,
                            int fd, const char *path, uint64_t offset, size_t bytes,
                            plim_error *err)
{
    *out = (plim_region){0};
    if (bytes == 0)
        return PLIM_OK;
    const plim_where where = {path, NULL, offset <= INT64_MAX ? (int64_t)offset : -1};
    const size_t page = page_size(), lead = (size_t)(offset % page);
    if (bytes > (size_t)PTRDIFF_MAX - 2 * page || offset > (uint64_t)INT64_MAX - bytes - page)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "%zu bytes reach beyond what a file can hold",
                            bytes);
    const size_t held = (lead + bytes + page - 1) / page * page;
    plim_status status = plim_ledger_reserve(ledger, category, PLIM_MAPPED, held, err);
    if (status != PLIM_OK)
        return status;
    char *map = mmap(NULL, held, PROT_READ, MAP_SHARED, fd, (off_t)(offset - lead));
    if (map == MAP_FAILED) {
        int why = errno;
        plim_ledger_release(ledger, category, PLIM_MAPPED, held);
        return plim_fail_errno(err, why, where, "cannot be mapped");
    }
    *out = (plim_region){map + lead, bytes, map, held, category, PLIM_MAPPED};
    return PLIM_OK;
}

void plim_region_close(plim_region *region, plim_ledger *ledger)
{
    if (!region || !region->map)
        return;
    /* Cutting a hole into what the system has merged with its neighbours can fail for want of maps;
     * the pages go back all the same. */
    if (munmap(region->map, region->map_bytes) != 0)
        (void)madvise(region->map, region->map_bytes, MADV_DONTNEED);
    plim_ledger_release(ledger, region->category, region->kind, region->map_bytes);
    *region = (plim_region){0};
}

bool plim_region_lock(const plim_region *region)
{
    return !region->map || mlock(region->map, region->map_bytes) == 0;
}
