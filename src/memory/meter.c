/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter: /proc/self/status, /proc/self/clear_refs and /proc/meminfo. */
#include "memory/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/status.h"
#include "memory/cgroup.h"
#include "memory/procfile.h"

/* A line of a file and where its number of KiB goes, in bytes. */
typedef struct field {
    const char *key;
    uint64_t *out;
    bool found;
} field;

/* Reads "KEY   n kB" lines.  The first field must be there: FORMAT. */
static plim_status read_fields(const char *proc_root, const char *name, field *fields, size_t count,
                               plim_error *err)
{
    char path[512];
    plim_proc_lines lines;
    int n = snprintf(path, sizeof path, "%s/%s", proc_root, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return plim_fail(err, PLIM_E_LIMIT, "the path of %s is longer than %zu bytes", name,
                         sizeof path - 1);
    plim_status status = plim_proc_open(&lines, path, err);
    if (status != PLIM_OK)
        return status;
    for (const char *line; (line = plim_proc_next(&lines, err)) != NULL;) {
        for (size_t i = 0; i < count; i++) {
            uint64_t kib;
            if (!fields[i].found && plim_proc_field(line, fields[i].key, &kib) &&
                plim_mul_u64(kib, 1024, fields[i].out))
                fields[i].found = true;
        }
    }
    plim_proc_close(&lines);
    if (lines.status != PLIM_OK)
        return lines.status;
    if (!fields[0].found)
        return plim_fail_at(err, PLIM_E_FORMAT, (plim_where){path, NULL, -1},
                            "no line %s with a number", fields[0].key);
    return PLIM_OK;
}

plim_status plim_meter_process(const char *proc_root, plim_process_memory *out, plim_error *err)
{
    plim_process_memory m = {0};
    field fields[] = {{"VmRSS:", &m.rss, false},
                      {"VmHWM:", &m.peak, false},
                      {"RssAnon:", &m.anonymous, false},
                      {"RssFile:", &m.file, false}};
    plim_status status = read_fields(proc_root, "self/status", fields, 4, err);
    if (status == PLIM_OK)
        *out = m;
    return status;
}

/* What may be held in all, when `room` more may be: less 5 %, at least 64 MiB; never 0, which would
 * mean "no line". */
static uint64_t line_of(uint64_t room, uint64_t rss)
{
    const uint64_t least = (uint64_t)64 << 20;
    uint64_t all = room > UINT64_MAX - rss ? UINT64_MAX : room + rss;
    uint64_t margin = all / 20 > least ? all / 20 : least;
    uint64_t line = all > margin ? all - margin : 0;
    line = line > rss ? line : rss;
    return line ? line : 1;
}

plim_status plim_meter_machine(const char *proc_root, const char *sys_prefix,
                               plim_machine_memory *out, plim_error *err)
{
    plim_machine_memory m = {0};
    plim_process_memory process = {0};
    plim_cgroup_room group;
    uint64_t free_bytes = 0;
    field fields[] = {{"MemTotal:", &m.total, false},
                      {"MemAvailable:", &m.available, false},
                      {"SwapTotal:", &m.swap_total, false},
                      {"MemFree:", &free_bytes, false}};
    plim_status status = read_fields(proc_root, "meminfo", fields, 4, err);
    if (status == PLIM_OK)
        status = plim_meter_process(proc_root, &process, err);
    if (status != PLIM_OK)
        return status;
    if (!fields[1].found) /* before Linux 3.14 */
        m.available = free_bytes;
    plim_cgroup_read(proc_root, sys_prefix, &group);
    m.cgroup_limit = group.limit;
    m.cgroup_left = group.left;
    uint64_t room = m.available;
    if (group.limit && group.left < room)
        room = group.left;
    m.line = line_of(room, process.rss);
    *out = m;
    return PLIM_OK;
}

PLIM_API plim_status plim_process_memory_read(plim_process_memory *out, plim_error *err)
{
    plim_error_clear(err);
    return plim_meter_process("/proc", out, err);
}

PLIM_API plim_status plim_process_peak_reset(plim_error *err)
{
    static const char path[] = "/proc/self/clear_refs";
    plim_error_clear(err);
    int fd;
    do
        fd = open(path, O_WRONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return plim_fail_errno(err, errno, (plim_where){path, NULL, -1}, "cannot be opened");
    ssize_t n;
    do
        n = write(fd, "5", 1);
    while (n < 0 && errno == EINTR);
    int why = n < 0 ? errno : EIO;
    close(fd);
    if (n != 1)
        return plim_fail_errno(err, why, (plim_where){path, NULL, -1}, "cannot be written");
    return PLIM_OK;
}

PLIM_API plim_status plim_machine_memory_read(plim_machine_memory *out, plim_error *err)
{
    plim_error_clear(err);
    return plim_meter_machine("/proc", "", out, err);
}
