/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte range of an open file as a source of JSON, and what complaints about it need. */
#include <string.h>

#include "checkpoint/internal.h"

static plim_status range_read(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    plim_json_range *range = user;
    uint64_t left = range->end - range->position;
    *got = 0;
    if (!left)
        return PLIM_OK;
    if (cap > left)
        cap = (size_t)left;
    plim_status status =
        plim_file_read_some(range->file, range->path, dst, cap, range->position, got, err);
    if (!status && !*got) {
        plim_where where = {range->path, NULL, (int64_t)range->position};
        status =
            plim_fail_at(err, PLIM_E_CHANGED, where, "the file became shorter while it was read");
    }
    range->failed = status != PLIM_OK;
    range->position += *got;
    return status;
}

plim_json_source plim_json_range_source(plim_json_range *range)
{
    return (plim_json_source){range_read, range, range->path, (int64_t)range->position};
}

plim_status plim_json_wrong(plim_json *json, plim_json_event found, const char *tensor,
                            const char *what, const char *want, plim_error *err)
{
    plim_where where = {plim_json_file(json), tensor, plim_json_offset(json)};
    if (found == PLIM_JSON_OBJECT || found == PLIM_JSON_ARRAY) {
        plim_status status = plim_json_skip(json, err);
        if (status && status != PLIM_E_FORMAT && status != PLIM_E_TRUNC)
            return status;
    }
    return plim_fail_at(err, PLIM_E_FORMAT, where, "%s must be %s, found %s", what, want,
                        plim_json_event_name(found));
}

plim_short_name plim_shorten(const char *name)
{
    plim_short_name out;
    size_t bytes = strlen(name);
    bool cut = bytes > 100;
    if (cut)
        for (bytes = 97; bytes > 0 && ((unsigned char)name[bytes] & 0xc0) == 0x80;)
            bytes--;
    memcpy(out.text, name, bytes);
    memcpy(out.text + bytes, cut ? "..." : "", cut ? 4 : 1);
    return out;
}
