/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffered: reads through the page cache into memory of ours. */
#include "load/reader.h"

static plim_status fetch(const plim_reader_request *r, plim_error *err)
{
    return plim_file_read(&r->file->file, r->file->path, r->dst, r->bytes, r->offset, err);
}

const plim_reader_ops plim_reader_buffered = {.name = "buffered", .fetch = fetch};

plim_status plim_reader_explain(const plim_stored_file *file, plim_status status, plim_error *err)
{
    plim_error changed;
    if (status == PLIM_E_TRUNC && plim_file_check(&file->file, file->path, &changed)) {
        *err = changed;
        return changed.code;
    }
    return status;
}
