/* SPDX-License-Identifier: Apache-2.0
 *
 * Direct: whole blocks from the disk into memory of ours, past the page cache.  What can't be read
 * so (a file system that refuses, a read that ends inside a block) is read through it. */
#include <assert.h>
#include <errno.h>

#include "load/reader_internal.h"

#define MAX_AGAIN 1000 /* a disk that is busy for so many tries is a broken one */

plim_status plim_read_direct(const plim_stored_file *file, int fd, const plim_read_request *request,
                             atomic_bool *refused, atomic_bool *no_dontcache, plim_error *err)
{
    const size_t lead = read_lead(request), span = read_span(request), need = read_need(request);
    const uint64_t first = request->offset - lead;
    char *base = (char *)request->dst - lead;
    size_t done = 0, got = 0;
    unsigned again = 0;
    if (request->bytes == 0)
        return PLIM_OK;
    assert((uintptr_t)base % PLIM_DIRECT_ALIGN == 0);
    while (done < need && fd >= 0 && !atomic_load_explicit(refused, memory_order_relaxed)) {
        int failed = plim_fd_read(fd, base + done, span - done, first + done, false, &got);
        if (failed == EAGAIN && ++again < MAX_AGAIN)
            continue;
        if (failed == EINVAL || failed == EOPNOTSUPP)
            atomic_store_explicit(refused, true, memory_order_relaxed);
        else if (failed)
            return plim_fail_errno(
                err, failed, (plim_where){file->path, NULL, (int64_t)((first + done) & INT64_MAX)},
                "cannot read");
        done += got;
        if (got % PLIM_DIRECT_ALIGN != 0 || got == 0)
            break; /* the end of the file; or not, which the page cache knows */
    }
    if (done >= need)
        return PLIM_OK;
    if (done < lead)
        done = lead;
    return plim_read_buffered(file, file->file.fd, base + done, need - done, first + done,
                              no_dontcache, err);
}

static plim_status fetch(const plim_stored_file *file, int fd, const plim_read_request *request,
                         plim_error *err)
{
    atomic_bool refused = false, no_dontcache = false;
    return plim_read_direct(file, fd, request, &refused, &no_dontcache, err);
}

const plim_reader_ops plim_reader_direct = {.name = "direct", .fetch = fetch};
