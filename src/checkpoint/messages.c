/* SPDX-License-Identifier: Apache-2.0
 *
 * What the complaints of checkpoint/ have in common. */
#include <string.h>

#include "checkpoint/internal.h"

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
