/* SPDX-License-Identifier: Apache-2.0
 *
 * A real control group with a memory limit: seen, measured, and never crossed.  Exit 77 where none
 * can be made (it takes the right to make a folder in the tree of groups). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cgroup.h"
#include "memory_test.h"

enum { SKIPPED = 77 };
static const uint64_t limit = 256 * 1024 * 1024;

typedef struct group {
    char folder[5000];
    bool v2;
} group;

static bool write_text(const char *folder, const char *name, const char *text)
{
    char path[6000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

/* Make a group with the limit below `above`; false where that is not allowed. */
static bool try_group(void *user, const char *above, bool v2)
{
    group *g = user;
    char number[32];
    snprintf(g->folder, sizeof g->folder, "%s/plim-test-%ld", above, (long)getpid());
    g->v2 = v2;
    if (mkdir(g->folder, 0755) != 0) {
        print_message("no group below %s: %s\n", above, strerror(errno));
        g->folder[0] = 0;
        return true;
    }
    snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    if (write_text(g->folder, v2 ? "memory.max" : "memory.limit_in_bytes", number)) {
        if (v2)
            (void)write_text(g->folder, "memory.swap.max", "0");
        return false;
    }
    print_message("no memory limit in %s: %s\n", g->folder, strerror(errno));
    rmdir(g->folder);
    g->folder[0] = 0;
    return true;
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static plim_machine_memory machine(void)
{
    plim_machine_memory m = {0};
    if (plim_machine_memory_read(&m, NULL) != PLIM_OK)
        m.cgroup_limit = 0;
    return m;
}

/* 64 MiB of page cache: used, but counted as free. */
static int check_cache(const char *folder)
{
    char path[600];
    static char block[1 << 20];
    snprintf(path, sizeof path, "%s/cache", folder);
    uint64_t before = machine().cgroup_left;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    memset(block, 1, sizeof block);
    for (int i = 0; i < 64; i++)
        CHECK(write(fd, block, sizeof block) == (ssize_t)sizeof block);
    CHECK(fsync(fd) == 0);
    close(fd);
    uint64_t after = machine().cgroup_left;
    printf("left before 64 MiB of page cache %llu MiB, with it %llu MiB\n",
           (unsigned long long)(before / MIB), (unsigned long long)(after / MIB));
    CHECK(after + 8 * MIB > before);
    return 0;
}

/* Inside the group. */
static int run_inside(const char *folder)
{
    plim_machine_memory m = machine();
    printf("limit %llu MiB, left %llu MiB, line %llu MiB\n",
           (unsigned long long)(m.cgroup_limit / MIB), (unsigned long long)(m.cgroup_left / MIB),
           (unsigned long long)(m.line / MIB));
    CHECK(m.cgroup_limit == limit);
    CHECK(m.cgroup_left <= limit && m.cgroup_left > limit - 16 * MIB);
    CHECK(m.line < limit && m.line > limit - 64 * MIB - 16 * MIB);
    struct stat st;
    if (stat(folder, &st) == 0 && check_cache(folder) != 0)
        return 1;

    /* Held memory is seen. */
    plim_process_memory process;
    plim_ledger *l = NULL;
    plim_region r, rest;
    plim_error err;
    CHECK(plim_process_memory_read(&process, NULL) == PLIM_OK);
    CHECK(plim_ledger_open(&l, m.line, process.rss, NULL, NULL) == PLIM_OK);
    uint64_t before = machine().cgroup_left;
    CHECK(plim_region_open(&r, l, PLIM_MEM_WEIGHTS, 64 * MIB, true, &err) == PLIM_OK);
    uint64_t after = machine().cgroup_left;
    printf("left before 64 MiB of ours %llu MiB, with them %llu MiB\n",
           (unsigned long long)(before / MIB), (unsigned long long)(after / MIB));
    CHECK(after + 60 * MIB < before && after + 72 * MIB > before);

    /* The line refuses what the group would kill us for, and everything below it is really there.
     */
    CHECK(plim_region_open(&rest, l, PLIM_MEM_KV, limit - 64 * MIB, true, &err) == PLIM_E_BUDGET);
    size_t room = (size_t)(m.line - process.rss - 64 * MIB) / 4096 * 4096;
    CHECK(plim_region_open(&rest, l, PLIM_MEM_KV, room, true, &err) == PLIM_OK);
    memset(rest.base, 1, rest.bytes);
    plim_region_close(&rest, l);
    plim_region_close(&r, l);
    plim_ledger_close(&l);
    return 0;
}

int main(void)
{
    group g = {0};
    void *folder = NULL;
    plim_cgroup_walk("/proc", "", "memory", try_group, &g);
    if (!g.folder[0]) {
        printf("SKIPPED: no control group with a memory limit can be made here\n");
        return SKIPPED;
    }
    if (SANITIZED) {
        printf("SKIPPED: a sanitizer's own memory does not fit into the group\n");
        rmdir(g.folder);
        return SKIPPED;
    }
    if (folder_make(&folder) != 0)
        return 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int failed = write_text(g.folder, "cgroup.procs", "0") ? run_inside(folder) : SKIPPED;
        fflush(stdout);
        _exit(failed);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    folder_remove(&folder);
    if (rmdir(g.folder) != 0)
        fprintf(stderr, "%s stays behind: %s\n", g.folder, strerror(errno));
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "killed by signal %d inside the group\n", WTERMSIG(status));
        return 1;
    }
    if (WEXITSTATUS(status) == SKIPPED)
        printf("SKIPPED: no process can be put into %s\n", g.folder);
    return WEXITSTATUS(status);
}
