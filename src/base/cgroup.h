/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups, v1 and v2: where the groups that hold this process lie, and what their files say.
 * Owns finding them; leaves to the callers which file means what. */
#ifndef PLIM_BASE_CGROUP_H
#define PLIM_BASE_CGROUP_H

#include <stdbool.h>

#define PLIM_CGROUP_PATH_BYTES 4096

/* `folder` is one of the groups above us, in the file system; false ends the walk. */
typedef bool (*plim_cgroup_fn)(void *user, const char *folder, bool v2);

/* Call fn for our group and every one above it up to the root of its mount, in each hierarchy that
 * has `controller` ("cpu", "memory"; every v2 hierarchy counts).  `proc_root` is "/proc"; mount
 * points are looked for below `sys_prefix` ("" for the real ones): a test gives folders of its own.
 * What can't be read is passed over in silence.  No allocation; about 24 KiB of stack. */
void plim_cgroup_walk(const char *proc_root, const char *sys_prefix, const char *controller,
                      plim_cgroup_fn fn, void *user);

/* The cores that cpu.max or cpu.cfs_quota_us along the ancestry allow, rounded up; 0: no quota. */
unsigned plim_cgroup_cpus(const char *proc_root, const char *sys_prefix);

#endif
