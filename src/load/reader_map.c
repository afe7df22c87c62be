/* SPDX-License-Identifier: Apache-2.0
 *
 * Mapped: the file's own pages, populated now, so that a load is done when it says so and no page
 * fault waits for the first token. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load/reader.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

/* Older kernels: bring the pages into the page cache by reading them; the map finds them there.
 * Touching the map instead would be a signal where the file was cut meanwhile. */
static plim_status read_through(const plim_reader_request *r, plim_error *err)
{
    char scratch[16384];
    for (size_t done = 0, got; done < r->bytes; done += got) {
        size_t want = r->bytes - done < sizeof scratch ? r->bytes - done : sizeof scratch;
        plim_status status = plim_file_read_some(&r->file->file, r->file->path, scratch, want,
                                                 r->offset + done, &got, err);
        if (status)
            return status;
        if (!got)
            return plim_fail_at(err, PLIM_E_TRUNC,
                                (plim_where){r->file->path, NULL, (int64_t)(r->offset + done)},
                                "the file ends here");
    }
    return PLIM_OK;
}

static plim_status fetch(const plim_reader_request *r, plim_error *err)
{
    long size = sysconf(_SC_PAGESIZE);
    uintptr_t page = size > 0 ? (uintptr_t)size : 4096, from = (uintptr_t)r->dst & ~(page - 1);
    uintptr_t to = ((uintptr_t)r->dst + r->bytes + page - 1) & ~(page - 1);
    if (r->bytes == 0)
        return PLIM_OK;
    while (madvise((void *)from, to - from, MADV_POPULATE_READ) != 0) {
        if (errno == EINTR || errno == EAGAIN)
            continue;
        if (errno == EINVAL)
            return read_through(r, err);
        if (errno == EFAULT ||
            errno == EHWPOISON) /* past the end of a file that was cut, or a bad disk */
            return plim_fail_at(err, PLIM_E_TRUNC,
                                (plim_where){r->file->path, NULL, (int64_t)r->offset},
                                "the mapped file cannot be read to its end");
        return plim_fail_errno(err, errno, (plim_where){r->file->path, NULL, (int64_t)r->offset},
                               "cannot bring in the mapped file");
    }
    return PLIM_OK;
}

const plim_reader_ops plim_reader_map = {.name = "map", .fetch = fetch};
