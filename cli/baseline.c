/* SPDX-License-Identifier: Apache-2.0
 *
 * The baseline: code, libraries and stack of this process, resident from the beginning (2 to 4
 * MiB). */
#include "baseline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define STACK_BYTES (192 * 1024) /* more than any command uses on the main thread */

/* Pages of a file that are mapped for reading; not the kernel's own (vvar faults when it is read).
 */
static void bring_in(uintptr_t from, uintptr_t to)
{
    if (madvise((void *)from, to - from, MADV_POPULATE_READ) == 0)
        return;
    long page = sysconf(_SC_PAGESIZE); /* before Linux 5.14 */
    for (uintptr_t at = from; page > 0 && at < to; at += (uintptr_t)page)
        (void)*(volatile const char *)at;
}

static void bring_in_files(void)
{
    char line[4352], flags[8];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t from, to;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, flags) == 3 &&
            flags[0] == 'r' && strchr(line, '/'))
            bring_in(from, to);
    }
    if (maps)
        fclose(maps);
}

static void bring_in_stack(void)
{
    volatile char below[STACK_BYTES];
    for (size_t i = 0; i < sizeof below; i += 1024)
        below[i] = 0;
}

plim_status baseline_measure(uint64_t *bytes, plim_error *err)
{
    plim_process_memory process;
    bring_in_stack();
    bring_in_files();
    plim_status status = plim_process_memory_read(&process, err);
    *bytes = process.peak;
    return status;
}
