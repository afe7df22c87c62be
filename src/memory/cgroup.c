/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups: what the memory limits along our ancestry leave.  base/cgroup.h finds the groups.
 * Source: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst. */
#include "memory/cgroup.h"

#include <stdio.h>

#include "base/cgroup.h"
#include "memory/procfile.h"

enum { PATH_BYTES = PLIM_CGROUP_PATH_BYTES };

/* v1 says "unlimited" by a number just below 2^63, rounded down to its page size. */
#define UNLIMITED ((uint64_t)1 << 62)

static bool join(char out[PATH_BYTES], const char *folder, const char *name)
{
    int n = snprintf(out, PATH_BYTES, "%s%s", folder, name);
    return n >= 0 && n < PATH_BYTES;
}

/* One group's limit and what it leaves; folded into *room. */
static bool read_group(void *user, const char *folder, bool v2)
{
    plim_cgroup_room *room = user;
    char path[PATH_BYTES];
    uint64_t limit = UINT64_MAX, used = 0, cache = 0, n;
    if (join(path, folder, v2 ? "/memory.max" : "/memory.limit_in_bytes") &&
        plim_proc_number(path, &n))
        limit = n;
    if (v2 && join(path, folder, "/memory.high") && plim_proc_number(path, &n) && n < limit)
        limit = n;
    if (!join(path, folder, v2 ? "/memory.current" : "/memory.usage_in_bytes") ||
        !plim_proc_number(path, &used))
        used = 0;

    plim_proc_lines lines;
    if (join(path, folder, "/memory.stat") && plim_proc_open(&lines, path, NULL) == PLIM_OK) {
        for (const char *line; (line = plim_proc_next(&lines, NULL)) != NULL;) {
            if (plim_proc_field(line, v2 ? "inactive_file " : "total_inactive_file ", &n) ||
                plim_proc_field(line, v2 ? "active_file " : "total_active_file ", &n))
                cache = cache > UINT64_MAX - n ? UINT64_MAX : cache + n;
            /* v1 knows its tightest ancestor even where no mount shows it. */
            else if (!v2 && plim_proc_field(line, "hierarchical_memory_limit ", &n) && n < limit)
                limit = n;
        }
        plim_proc_close(&lines);
    }
    if (limit >= UNLIMITED)
        return true;
    used -= cache < used ? cache : used;
    uint64_t left = used < limit ? limit - used : 0;
    if (room->limit == 0 || left < room->left)
        room->left = left;
    if (room->limit == 0 || limit < room->limit)
        room->limit = limit ? limit : 1; /* 0 would read as "none" */
    return true;
}

void plim_cgroup_read(const char *proc_root, const char *sys_prefix, plim_cgroup_room *out)
{
    *out = (plim_cgroup_room){0};
    plim_cgroup_walk(proc_root, sys_prefix, "memory", read_group, out);
}
