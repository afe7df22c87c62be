/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruction sets against /proc/cpuinfo; cores against the affinity mask and made-up control
 * groups. */
#include "base_test.h"

#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/pool.h"

static bool has_flag(const char *flags, const char *flag)
{
    size_t n = strlen(flag);
    for (const char *p = flags; (p = strstr(p, flag)) != NULL; p += n)
        if (p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n'))
            return true;
    return false;
}

static void features(void **state)
{
    (void)state;
    static char text[65536];
    assert_true(plim_file_peek("/proc/cpuinfo", text, sizeof text) > 0);
    char *flags = strstr(text, "\nflags");
    unsigned want = 0;
    if (flags) { /* x86; Linux shows a flag only where it saves the registers */
        char *end = strchr(flags + 1, '\n');
        assert_non_null(end);
        end[1] = '\0';
        bool avx2 = has_flag(flags, "avx2") && has_flag(flags, "fma") && has_flag(flags, "f16c");
        bool avx512 = avx2 && has_flag(flags, "avx512f") && has_flag(flags, "avx512bw") &&
                      has_flag(flags, "avx512dq") && has_flag(flags, "avx512vl");
        want = (avx2 ? PLIM_CPU_AVX2 : 0) | (avx512 ? PLIM_CPU_AVX512 : 0) |
               (avx512 && has_flag(flags, "avx512_vnni") ? PLIM_CPU_AVX512_VNNI : 0) |
               (avx2 && has_flag(flags, "avx_vnni") ? PLIM_CPU_AVX_VNNI : 0);
    }
#if defined(__aarch64__)
    want = PLIM_CPU_NEON;
#endif
    assert_int_equal(plim_cpu_features(), want);
}

static char folder[64];

static int setup(void **state)
{
    (void)state;
    folder_make(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* Write FOLDER/path, making the folders on the way. */
static void put(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", folder, path);
    for (char *p = full + strlen(folder) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(full, 0755);
        *p = '/';
    }
    FILE *f = fopen(full, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static unsigned cpus(const char *machine)
{
    char proc[256], prefix[256];
    snprintf(proc, sizeof proc, "%s/%s/proc", folder, machine);
    snprintf(prefix, sizeof prefix, "%s/%s", folder, machine);
    return plim_cgroup_cpus(proc, prefix);
}

static void quotas(void **state)
{
    (void)state;
    assert_int_equal(cpus("nothing"), 0);

    put("v2/proc/self/cgroup", "0::/user.slice/app\n");
    put("v2/proc/self/mountinfo", "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n31 25 0:26 / /cg rw,nosuid "
                                  "shared:9 - cgroup2 cgroup2 rw\n");
    put("v2/cg/cgroup.controllers", "cpu\n");
    assert_int_equal(cpus("v2"), 0);
    put("v2/cg/user.slice/app/cpu.max", "max 100000\n");
    assert_int_equal(cpus("v2"), 0);
    put("v2/cg/user.slice/cpu.max", "350000 100000\n"); /* the one above counts too; 3.5 is 4 */
    assert_int_equal(cpus("v2"), 4);
    put("v2/cg/user.slice/app/cpu.max", "50000 100000\n"); /* a half is 1 */
    assert_int_equal(cpus("v2"), 1);
    put("v2/cg/user.slice/app/cpu.max", "200000 100000\n");
    assert_int_equal(cpus("v2"), 2);
    put("v2/cg/other/cpu.max", "100000 100000\n"); /* not ours */
    put("v2/cg/user.slice/app/below/cpu.max", "100000 100000\n");
    assert_int_equal(cpus("v2"), 2);
    put("v2/cg/user.slice/app/cpu.max", "junk");
    assert_int_equal(cpus("v2"), 4);
    put("v2/cg/user.slice/cpu.max", "100000 0\n");
    assert_int_equal(cpus("v2"), 0);

    /* v1; the mount shows only what lies below a root, its path holds a blank */
    put("v1/proc/self/cgroup",
        "9:name=systemd:/x\n4:cpu,cpuacct:/docker/abc/job\n3:memory:/m\n0::/\n");
    put("v1/proc/self/mountinfo",
        "33 32 0:29 /docker/abc /cg\\040v1/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 32 0:30 / /cg\\040v1/memory rw - cgroup cgroup rw,memory\n");
    put("v1/cg v1/cpu/cpu.cfs_quota_us", "-1\n");
    put("v1/cg v1/cpu/cpu.cfs_period_us", "100000\n");
    put("v1/cg v1/cpu/job/cpu.cfs_quota_us", "250001\n");
    put("v1/cg v1/cpu/job/cpu.cfs_period_us", "50000\n");
    put("v1/cg v1/memory/cpu.cfs_quota_us", "1\n");
    put("v1/cg v1/memory/cpu.cfs_period_us", "1\n");
    assert_int_equal(cpus("v1"), 6);
    put("v1/cg v1/cpu/cpu.cfs_quota_us", "300000\n");
    assert_int_equal(cpus("v1"), 3);

    /* a container whose mount lies beside the path it is told: the mount point is what there is */
    put("beside/proc/self/cgroup", "0::/../elsewhere\n");
    put("beside/proc/self/mountinfo", "31 25 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    put("beside/cg/cpu.max", "500000 100000\n");
    assert_int_equal(cpus("beside"), 5);
}

static bool visit(void *user, const char *path, bool v2)
{
    char *list = user;
    strcat(list, v2 ? "2" : "1");
    strcat(list, path + strlen(folder) + 1);
    strcat(list, ";");
    return strlen(list) < 60;
}

static void walking(void **state)
{
    (void)state;
    char proc[128], prefix[128], list[512] = "";
    put("w/proc/self/cgroup", "2:memory:/a\n0::/b/c\n");
    put("w/proc/self/mountinfo",
        "1 2 0:1 / /m rw - cgroup cgroup rw,memory\n2 2 0:1 / /u rw - cgroup2 x rw\n");
    snprintf(proc, sizeof proc, "%s/w/proc", folder);
    snprintf(prefix, sizeof prefix, "%s/w", folder);
    plim_cgroup_walk(proc, prefix, "memory", visit, list);
    assert_string_equal(list, "1w/m/a;1w/m;2w/u/b/c;2w/u/b;2w/u;");
    strcpy(list, "");
    plim_cgroup_walk(proc, prefix, "mem", visit,
                     list); /* a whole word; v2 counts for every controller */
    assert_string_equal(list, "2w/u/b/c;2w/u/b;2w/u;");
    memset(list, 'x', 49);
    list[49] = '\0';
    plim_cgroup_walk(proc, prefix, "memory", visit, list); /* ended by the first that passes 60 */
    assert_string_equal(list + 49, "1w/m/a;1w/m;");
}

static void cores(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    unsigned all = (unsigned)CPU_COUNT(&before), quota = plim_cgroup_cpus("/proc", "");
    assert_int_equal(plim_cpu_count(), quota && quota < all ? quota : all);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    unsigned found = plim_cpu_count();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_int_equal(found, 1);
}

/* A machine whose processors i and i + cores share a core, as Linux numbers them on most. */
static void put_machine(const char *machine, unsigned cores, unsigned threads)
{
    char path[128], text[128];
    for (unsigned i = 0; i < cores * threads; i++) {
        snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
                 machine, i);
        if (threads == 2)
            snprintf(text, sizeof text, "%u,%u\n", i % cores, i % cores + cores);
        else
            snprintf(text, sizeof text, "%u\n", i);
        put(path, text);
    }
    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/online", machine);
    snprintf(text, sizeof text, "0-%u\n", cores * threads - 1);
    put(path, text);
}

static void expect_cores(const char *machine, const unsigned long mask[4], unsigned logical,
                         unsigned physical, unsigned allowed_logical, unsigned allowed_physical,
                         unsigned quota, unsigned threads)
{
    char prefix[256];
    plim_cores c;
    snprintf(prefix, sizeof prefix, "%s/%s", folder, machine);
    plim_cores_read(&c, prefix, mask, 4);
    assert_int_equal(c.logical, logical);
    assert_int_equal(c.physical, physical);
    assert_int_equal(c.allowed_logical, allowed_logical);
    assert_int_equal(c.allowed_physical, allowed_physical);
    assert_int_equal(c.quota, quota);
    assert_int_equal(c.threads, threads);
}

static void topology(void **state)
{
    (void)state;
    const unsigned long all = ~0ul, none[4] = {0}, eight[4] = {0xff}, sixteen[4] = {0xffff};
    /* eight cores with two threads each */
    put_machine("smt", 8, 2);
    expect_cores("smt", sixteen, 16, 8, 16, 8, 0, 8);
    expect_cores("smt", eight, 16, 8, 8, 8, 0, 8);                      /* one thread of each */
    expect_cores("smt", (unsigned long[4]){0x0303}, 16, 8, 4, 2, 0, 2); /* two whole cores */
    expect_cores("smt", (unsigned long[4]){0x0100}, 16, 8, 1, 1, 0, 1);
    expect_cores("smt", none, 16, 8, 1, 1, 0, 1);
    put("smt/proc/self/cgroup", "0::/a/b\n");
    put("smt/proc/self/mountinfo", "31 25 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    put("smt/cg/a/cpu.max", "250000 100000\n"); /* the group above: 2.5 is 3 */
    put("smt/cg/a/b/cpu.max", "600000 100000\n");
    expect_cores("smt", sixteen, 16, 8, 16, 8, 3, 3);
    expect_cores("smt", (unsigned long[4]){0x0303}, 16, 8, 4, 2, 3, 2);
    /* without hyperthreads, and with processors that are offline */
    put_machine("plain", 12, 1);
    put("plain/sys/devices/system/cpu/online", "0-3,5,8-11\n");
    expect_cores("plain", (unsigned long[4]){0xf2f}, 9, 9, 9, 9, 0, 9);
    /* no /sys, or one that makes no sense: every processor is a core */
    expect_cores("nowhere", eight, 8, 8, 8, 8, 0, 8);
    put_machine("odd", 4, 2);
    put("odd/sys/devices/system/cpu/online", "0-9999\n");
    put("odd/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "junk\n");
    put("odd/sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "3-2\n");
    put("odd/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "3,7\n"); /* not itself */
    expect_cores("odd", eight, 8, 7, 8, 7, 0, 7); /* 3 and 7 alone are known to share one */
    /* more than a pool takes */
    put_machine("large", 600, 1);
    put("large/sys/devices/system/cpu/online", "0-599\n");
    const unsigned long many[4] = {all, all, all, all};
    expect_cores("large", many, 600, 600, 256, 256, 0, 256);
}

static void expect_name(const char *cpuinfo, const char *want)
{
    char proc[256], name[32];
    put("named/proc/cpuinfo", cpuinfo);
    snprintf(proc, sizeof proc, "%s/named/proc", folder);
    plim_cpu_name(name, sizeof name, proc);
    assert_string_equal(name, want);
}

static void names(void **state)
{
    char name[8] = "x";
    (void)state;
    expect_name("processor\t: 0\nmodel\t\t: 2\nmodel name\t: A Chip 9 @ 3 GHz\nflags : a\n",
                "A Chip 9 @ 3 GHz");
    expect_name("model name\t: a name that is longer than its place\n",
                "a name that is longer than its ");
    expect_name("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
                "implementer 0x41, part 0xd0c");
    expect_name("CPU implementer\t: 0x41\n", "");
    expect_name("\n", "");
    plim_cpu_name(name, sizeof name, "/nowhere");
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features), cmocka_unit_test(quotas),   cmocka_unit_test(walking),
        cmocka_unit_test(cores),    cmocka_unit_test(topology), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
