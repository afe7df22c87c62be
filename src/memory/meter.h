/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter: what the kernel says this process and this machine hold.  The public calls
 * plim_process_memory_read, plim_process_peak_reset and plim_machine_memory_read are its face; here
 * is what tests replace: the roots of /proc and /sys/fs/cgroup. */
#ifndef PLIM_MEMORY_METER_H
#define PLIM_MEMORY_METER_H

#include "plimsoll.h"

/* Reads proc_root/self/status, e.g. "/proc".  No allocation. */
plim_status plim_meter_process(const char *proc_root, plim_process_memory *out, plim_error *err);

/* Reads proc_root/meminfo, proc_root/self/cgroup and self/mountinfo, and every memory controller
 * from our group to the root (v1: memory.limit_in_bytes, usage_in_bytes, memory.stat; v2:
 * memory.max, memory.current, memory.stat; v2's memory.high counts as a limit too).  What cannot be
 * read counts as no limit. `sys_prefix` goes before each mount point that mountinfo names; "" for
 * the real ones. `line`: min(available + rss of this process, cgroup_left + rss) less a margin of 5
 * %, at least 64 MiB; never under the rss, never 0. */
plim_status plim_meter_machine(const char *proc_root, const char *sys_prefix,
                               plim_machine_memory *out, plim_error *err);

#endif
