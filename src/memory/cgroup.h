/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups: how much memory those that hold this process leave it. */
#ifndef PLIM_MEMORY_CGROUP_H
#define PLIM_MEMORY_CGROUP_H

#include "plimsoll.h"

typedef struct plim_cgroup_room {
    uint64_t limit; /* the smallest; 0: none */
    uint64_t left;  /* the least that a limited group leaves, its page cache counted as free; 0
                       without a limit */
} plim_cgroup_room;

/* Every memory controller, v1 and v2, from our group to the root of its mount.  The mount points
 * that proc_root/self/mountinfo names are looked for below `sys_prefix` ("" for the real ones).
 * What can't be read is no limit.  No allocation; about 40 KiB of stack. */
void plim_cgroup_read(const char *proc_root, const char *sys_prefix, plim_cgroup_room *out);

#endif
