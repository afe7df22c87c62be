/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts: gathered in one place. */
#include "memory/facts.h"

#include <string.h>
#include <unistd.h>

#include "memory/procfile.h"

#define GROUP_RESERVE ((uint64_t)6 << 20)

static bool huge_pages(void)
{
    plim_proc_lines lines;
    if (plim_proc_open(&lines, "/sys/kernel/mm/transparent_hugepage/enabled", NULL) != PLIM_OK)
        return false;
    const char *line = plim_proc_next(&lines, NULL);
    bool on = line && (strstr(line, "[always]") || strstr(line, "[madvise]"));
    plim_proc_close(&lines);
    return on;
}

void plim_facts_gather(plim_facts *out, uint64_t memory_limit, uint64_t baseline, uint64_t held,
                       unsigned threads)
{
    plim_process_memory process;
    long page = sysconf(_SC_PAGESIZE);
    *out = (plim_facts){.page_bytes = page > 0 ? (uint64_t)page : 4096,
                        .memory_limit = memory_limit,
                        .baseline = baseline,
                        .held = held,
                        .threads = threads,
                        .huge_pages = huge_pages()};
    if (plim_process_memory_read(&process, NULL) == PLIM_OK) {
        out->rss = process.rss;
        out->peak = process.peak;
    }
    /* On failure *machine stays zero. */
    (void)plim_machine_memory_read(&out->machine, NULL);
    /* A line above what a control group leaves would be a death sentence: the kernel counts its own
     * memory for us (page tables, rings, stacks) there too. */
    uint64_t room = out->rss + out->machine.cgroup_left;
    uint64_t kernel = GROUP_RESERVE + room / 50;
    if (out->memory_limit && out->machine.cgroup_limit && room > kernel &&
        room - kernel < out->memory_limit)
        out->memory_limit = room - kernel;
}
