/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffered: reads through the page cache into memory of ours.  What is there already stays; what
 * this brings in is dropped again where the kernel has RWF_DONTCACHE. */
#include <errno.h>

#include "load/reader_internal.h"

plim_status plim_read_buffered(const plim_stored_file *file, int fd, void *dst, size_t bytes,
                               uint64_t offset, atomic_bool *no_dontcache, plim_error *err)
{
    char *to = dst;
    for (size_t done = 0, got; done < bytes; done += got) {
        const plim_where where = {file->path, NULL, (int64_t)((offset + done) & INT64_MAX)};
        bool uncached = !atomic_load_explicit(no_dontcache, memory_order_relaxed);
        int failed = plim_fd_read(fd, to + done, bytes - done, offset + done, uncached, &got);
        if (uncached &&
            (failed == EOPNOTSUPP || failed == EINVAL || failed == ENOSYS || failed == EPERM)) {
            atomic_store_explicit(no_dontcache, true, memory_order_relaxed);
            failed = plim_fd_read(fd, to + done, bytes - done, offset + done, false, &got);
        }
        if (failed)
            return plim_fail_errno(err, failed, where, "cannot read");
        if (got == 0)
            return plim_fail_at(err, PLIM_E_TRUNC, where,
                                "the file ends here, %zu bytes are missing", bytes - done);
    }
    return PLIM_OK;
}

static plim_status fetch(const plim_stored_file *file, int fd, const plim_read_request *request,
                         plim_error *err)
{
    atomic_bool no_dontcache = false;
    return plim_read_buffered(file, fd, request->dst, request->bytes, request->offset,
                              &no_dontcache, err);
}

const plim_reader_ops plim_reader_buffered = {.name = "buffered", .fetch = fetch};
