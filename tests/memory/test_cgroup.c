/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups on fabricated trees: v1, v2, both, nested, in namespaces and containers, with
 * files missing. ROOT/proc is /proc, ROOT goes before every mount point. */
#include "memory/cgroup.h"
#include "memory/meter.h"
#include "memory_test.h"

#define V1_UNLIMITED "9223372036854771712\n" /* what Linux writes with 4 KiB pages */

static const char v1_mounts[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:16 master:2 - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
static const char v2_mounts[] = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                                "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

static plim_cgroup_room read_room(const char *root)
{
    char proc[600];
    plim_cgroup_room room = {7, 7};
    snprintf(proc, sizeof proc, "%s/proc", root);
    plim_cgroup_read(proc, root, &room);
    return room;
}

#define ASSERT_ROOM(root, want_limit, want_left)                                                   \
    do {                                                                                           \
        plim_cgroup_room room_ = read_room(root);                                                  \
        assert_int_equal(room_.limit, want_limit);                                                 \
        assert_int_equal(room_.left, want_left);                                                   \
    } while (0)

static void put_v2(const char *root, const char *folder, const char *max, const char *high,
                   const char *current, const char *stat)
{
    const char *const files[] = {"memory.max", "memory.high", "memory.current", "memory.stat"};
    const char *const texts[] = {max, high, current, stat};
    for (int i = 0; i < 4; i++) {
        char path[1200];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (texts[i])
            put(root, path, texts[i]);
    }
}

static void put_v1(const char *root, const char *folder, const char *limit, const char *usage,
                   const char *stat)
{
    const char *const files[] = {"memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"};
    const char *const texts[] = {limit, usage, stat};
    for (int i = 0; i < 3; i++) {
        char path[500];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (texts[i])
            put(root, path, texts[i]);
    }
}

static void test_nothing(void **state)
{
    const char *root = *state;
    ASSERT_ROOM(root, 0, 0); /* no files at all */
    put(root, "proc/self/cgroup", "");
    ASSERT_ROOM(root, 0, 0);
    put(root, "proc/self/cgroup", "0::/a\n4:memory:/b\n");
    ASSERT_ROOM(root, 0, 0); /* no mountinfo */
    put(root, "proc/self/mountinfo", v2_mounts);
    ASSERT_ROOM(root, 0, 0); /* nothing below the mount */
    put(root, "proc/self/cgroup", "rubbish\n\n:\n::\n0:/a\n0:::\nmemory\n");
    put(root, "proc/self/mountinfo",
        "rubbish\n\n1 2 3\n - \n - cgroup2\n1 2 3 4 - cgroup2 x rw\n"
        "1 2 3 / /a rw - cgroup2\n");
    ASSERT_ROOM(root, 0, 0);
}

static void test_v2(void **state)
{
    const char *root = *state;
    put(root, "proc/self/cgroup", "0::/user.slice/job\n");
    put(root, "proc/self/mountinfo", v2_mounts);
    put_v2(root, "sys/fs/cgroup/user.slice/job", "1000000\n", "max\n", "600000\n",
           "anon 300000\nfile 290000\nactive_anon 7\ninactive_file 100000\nactive_file 50000\n"
           "workingset_refault_file 9\n");
    ASSERT_ROOM(root, 1000000, 550000); /* 1000000 - (600000 - 150000) */

    put_v2(root, "sys/fs/cgroup/user.slice", "max\n", "800000\n", "700000\n", "inactive_file 0\n");
    ASSERT_ROOM(root, 800000, 100000); /* an ancestor's "high" is tighter in both */

    put_v2(root, "sys/fs/cgroup/user.slice", "5000000\n", "4000000\n", "3950000\n", NULL);
    ASSERT_ROOM(root, 1000000,
                50000); /* the smallest limit is ours, the least is left by the ancestor */

    put_v2(root, "sys/fs/cgroup/user.slice", "5000000\n", "4000000\n", "4950000\n", NULL);
    ASSERT_ROOM(root, 1000000, 0); /* over "high" already */

    put_v2(root, "sys/fs/cgroup/user.slice", "max\n", "max\n", "1\n", NULL);
    put_v2(root, "sys/fs/cgroup/user.slice/job", "max", "max", "600000\n", NULL);
    ASSERT_ROOM(root, 0, 0);

    put_v2(root, "sys/fs/cgroup", "900000\n", NULL, NULL,
           NULL); /* the mount's own folder, few files */
    ASSERT_ROOM(root, 900000, 900000);

    put_v2(root, "sys/fs/cgroup", "0\n", NULL, NULL, NULL);
    ASSERT_ROOM(root, 1, 0); /* a limit all the same */

    /* more cache than usage: everything is free, no wrap */
    put_v2(root, "sys/fs/cgroup", "900000\n", NULL, "5\n",
           "inactive_file 18446744073709551615\nactive_file 18446744073709551615\n");
    ASSERT_ROOM(root, 900000, 900000);
}

static void test_v1(void **state)
{
    const char *root = *state;
    put(root, "proc/self/cgroup",
        "9:name=systemd:/memory\n8:cpu,cpuacct:/other\n4:memory:/docker/abc\n0::/memory\n");
    put(root, "proc/self/mountinfo", v1_mounts);
    put_v1(root, "sys/fs/cgroup/memory", V1_UNLIMITED, "9999\n", NULL);
    put_v1(root, "sys/fs/cgroup/memory/docker", V1_UNLIMITED, "9999\n", NULL);
    put_v1(root, "sys/fs/cgroup/memory/docker/abc", V1_UNLIMITED, "9999\n",
           "hierarchical_memory_limit 9223372036854771712\n");
    put_v1(root, "sys/fs/cgroup/memory/other", "1\n", "1\n", NULL);
    put_v1(root, "sys/fs/cgroup/systemd/memory", "1\n", "1\n", NULL);
    ASSERT_ROOM(root, 0, 0);
    put_v1(root, "sys/fs/cgroup/memory/docker/abc", "9223372036854710272\n", NULL,
           NULL); /* 64 KiB pages */
    ASSERT_ROOM(root, 0, 0);

    put_v1(root, "sys/fs/cgroup/memory/docker/abc", "2000000\n", "1500000\n",
           "cache 900000\nrss 600000\ninactive_file 1\nactive_file 2\n"
           "hierarchical_memory_limit 2000000\ntotal_cache 900000\ntotal_inactive_file 300000\n"
           "total_active_file 100000\n");
    ASSERT_ROOM(root, 2000000, 900000);

    put_v1(root, "sys/fs/cgroup/memory/docker", "1200000\n", "1150000\n",
           "total_inactive_file 1\n");
    ASSERT_ROOM(root, 1200000, 50001);

    /* an ancestor that no mount shows, known from memory.stat */
    put_v1(root, "sys/fs/cgroup/memory/docker", V1_UNLIMITED, NULL, NULL);
    put_v1(root, "sys/fs/cgroup/memory/docker/abc", V1_UNLIMITED, "1500000\n",
           "hierarchical_memory_limit 1700000\ntotal_inactive_file 300000\n");
    ASSERT_ROOM(root, 1700000, 500000);
}

/* systemd's hybrid: the controllers in v1, an empty v2 besides; and the other way round. */
static void test_hybrid(void **state)
{
    const char *root = *state;
    char mounts[2000];
    put(root, "proc/self/cgroup", "4:memory:/a\n0::/b/c\n");
    snprintf(mounts, sizeof mounts,
             "%s41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", v1_mounts);
    put(root, "proc/self/mountinfo", mounts);
    put(root, "sys/fs/cgroup/unified/b/c/cgroup.procs", "1\n");
    put_v1(root, "sys/fs/cgroup/memory/a", "500\n", "100\n", NULL);
    ASSERT_ROOM(root, 500, 400);
    put_v2(root, "sys/fs/cgroup/unified/b", "450\n", NULL, "10\n", NULL);
    ASSERT_ROOM(root, 450, 400); /* smallest limit from v2, least left from v1 */
    put_v1(root, "sys/fs/cgroup/memory/a", V1_UNLIMITED, "100\n", NULL);
    ASSERT_ROOM(root, 450, 440);
}

/* Co-mounted, at unusual places, with blanks in their names. */
static void test_odd_mounts(void **state)
{
    const char *root = *state;
    put(root, "proc/self/cgroup", "4:cpu,memory,pids:/my job/x\n");
    put(root, "proc/self/mountinfo",
        "1 2 0:1 / /opt/c\\040g\\134x rw - cgroup none rw,cpu,memory,pids\n");
    put_v1(root, "opt/c g\\x/my job", "500\n", "100\n", NULL);
    ASSERT_ROOM(root, 500, 400);
    /* "memory" must be a whole word */
    put(root, "proc/self/mountinfo", "1 2 0:1 / /opt/c\\040g\\134x rw - cgroup none rw,memory2\n");
    ASSERT_ROOM(root, 0, 0);
    put(root, "proc/self/mountinfo",
        "1 2 0:1 / /opt/c\\040g\\134x rw - cgroup memory rw,xmemory\n");
    ASSERT_ROOM(root, 0, 0);
    /* a mount hidden below another: the one that can be read counts */
    put(root, "proc/self/mountinfo",
        "1 2 0:1 / /hidden rw - cgroup none rw,memory\n2 2 0:1 / /opt/c\\040g\\134x rw - cgroup "
        "none rw,memory\n");
    ASSERT_ROOM(root, 500, 400);
}

static void test_containers(void **state)
{
    const char *root = *state;
    /* The container sees its whole path, and a mount that begins there. */
    put(root, "proc/self/cgroup", "4:memory:/kubepods/pod1/c1\n");
    put(root, "proc/self/mountinfo",
        "1 2 0:1 /kubepods/pod1/c1 /cg/memory ro - cgroup cgroup rw,memory\n");
    put_v1(root, "cg/memory", "700\n", "200\n", NULL);
    ASSERT_ROOM(root, 700, 500);
    /* a group made inside of it */
    put(root, "proc/self/cgroup", "4:memory:/kubepods/pod1/c1/inner\n");
    put_v1(root, "cg/memory/inner", "600\n", "300\n", NULL);
    ASSERT_ROOM(root, 600, 300);
    /* "/kubepods/pod1/c10" is not below ".../c1": the mount point is the best there is */
    put(root, "proc/self/cgroup", "4:memory:/kubepods/pod1/c10\n");
    put_v1(root, "cg/memory/0", "5\n", "5\n", NULL);
    ASSERT_ROOM(root, 700, 500);

    /* A namespace whose root is our group; the mount was made outside and begins above it. */
    put(root, "proc/self/cgroup", "0::/\n");
    put(root, "proc/self/mountinfo", "1 2 0:1 /../.. /cg/v2 rw - cgroup2 cgroup rw\n");
    put_v2(root, "cg/v2", "800\n", "max\n", "100\n", NULL);
    ASSERT_ROOM(root, 800, 700);
    /* In a namespace of our own with a mount of our own. */
    put(root, "proc/self/mountinfo", "1 2 0:1 / /cg/v2 rw - cgroup2 cgroup rw\n");
    ASSERT_ROOM(root, 800, 700);
    /* Our group lies outside of the namespace's root. */
    put(root, "proc/self/cgroup", "0::/../sibling\n");
    ASSERT_ROOM(root, 800, 700);
    /* ... and is seen through a mount from above it. */
    put(root, "proc/self/mountinfo", "1 2 0:1 /.. /cg/v2 rw - cgroup2 cgroup rw\n");
    put_v2(root, "cg/v2/sibling", "300\n", "max\n", "100\n", NULL);
    ASSERT_ROOM(root, 300, 200);
}

/* Paths and lines longer than any buffer are passed over, and what follows them is read. */
static void test_long(void **state)
{
    const char *root = *state;
    static char text[40000];
    size_t n = 0;
    n += (size_t)sprintf(text + n, "0::/");
    memset(text + n, 'x', 9000);
    n += 9000;
    sprintf(text + n, "\n4:memory:/a\n");
    put(root, "proc/self/cgroup", text);
    n = (size_t)sprintf(text, "1 2 0:1 / /overlay rw - overlay overlay rw,lowerdir=");
    memset(text + n, 'y', 20000);
    n += 20000;
    sprintf(text + n, "\n%s", v1_mounts);
    put(root, "proc/self/mountinfo", text);
    put_v1(root, "sys/fs/cgroup/memory/a", "500\n", "100\n", NULL);
    ASSERT_ROOM(root, 500, 400);
}

static void test_deep(void **state)
{
    const char *root = *state;
    char group[1000] = "", line[1100], folder[1100];
    for (int i = 0; i < 40; i++)
        strcat(group, "/level");
    snprintf(line, sizeof line, "0::%s\n", group);
    put(root, "proc/self/cgroup", line);
    put(root, "proc/self/mountinfo", v2_mounts);
    for (int depth = 40; depth >= 0; depth--) {
        group[depth * 6] = 0;
        snprintf(folder, sizeof folder, "sys/fs/cgroup%s", group);
        char max[32], used[32];
        snprintf(max, sizeof max, "%d\n", depth == 17 ? 1000 : 100000 + depth);
        snprintf(used, sizeof used, "%d\n", depth == 3 ? 99999 : 10);
        put_v2(root, folder, max, "max\n", used, NULL);
    }
    ASSERT_ROOM(root, 1000, 4); /* 100003 - 99999 */
}

/* The machine's figures take the group's where those are tighter. */
static void test_machine(void **state)
{
    const char *root = *state;
    char proc[600];
    plim_machine_memory m;
    snprintf(proc, sizeof proc, "%s/proc", root);
    put(root, "proc/meminfo", "MemTotal: 16000000 kB\nMemFree: 10 kB\nMemAvailable: 8388608 kB\n");
    put(root, "proc/self/status", "VmHWM:\t 40960 kB\nVmRSS:\t 20480 kB\n");
    put(root, "proc/self/cgroup", "0::/job\n");
    put(root, "proc/self/mountinfo", v2_mounts);
    put_v2(root, "sys/fs/cgroup/job", "4294967296\n", "max\n", "1073741824\n",
           "inactive_file 536870912\n");
    assert_int_equal(plim_meter_machine(proc, root, &m, NULL), PLIM_OK);
    assert_int_equal(m.cgroup_limit, 4 * GIB);
    assert_int_equal(m.cgroup_left, 3 * GIB + 512 * MIB);
    uint64_t all = 3 * GIB + 512 * MIB + 20 * MIB;
    assert_int_equal(m.line, all - all / 20);
    put_v2(root, "sys/fs/cgroup/job", "42949672960\n", "max\n", "1073741824\n", "");
    assert_int_equal(plim_meter_machine(proc, root, &m, NULL), PLIM_OK);
    all = 8 * GIB + 20 * MIB;
    assert_int_equal(m.line, all - all / 20);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_nothing), IN_FOLDER(test_v2),         IN_FOLDER(test_v1),
        IN_FOLDER(test_hybrid),  IN_FOLDER(test_odd_mounts), IN_FOLDER(test_containers),
        IN_FOLDER(test_long),    IN_FOLDER(test_deep),       IN_FOLDER(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
