/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups.  /proc/self/cgroup gives our path in each hierarchy, /proc/self/mountinfo where a
 * hierarchy, or the part of it below the mount's root, is mounted.  So our folder is MOUNT POINT +
 * (path without the mount's root), and every folder from there up to the mount point is an
 * ancestor.  Source: cgroups(7), cgroup_namespaces(7), proc(5). */
#include <sched.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/pool.h"

enum { PATH_BYTES = PLIM_CGROUP_PATH_BYTES };

/* ---- lines of a file of the kernel's ---- */

typedef struct line_reader {
    plim_file file;
    const char *path;
    uint64_t offset;
    size_t begin, end;
    char text[PATH_BYTES];
} line_reader;

static bool lines_open(line_reader *lines, const char *path)
{
    lines->path = path;
    lines->offset = 0;
    lines->begin = lines->end = 0;
    return plim_file_open(&lines->file, path, NULL) == PLIM_OK;
}

/* The next line, writable until the next call; NULL at the end.  A line longer than the buffer
 * comes in pieces (none of which looks like a line of ours). */
static char *lines_next(line_reader *lines)
{
    for (;;) {
        char *line = lines->text + lines->begin;
        size_t left = lines->end - lines->begin, got = 0;
        char *newline = memchr(line, '\n', left);
        if (newline) {
            *newline = '\0';
            lines->begin = (size_t)(newline - lines->text) + 1;
            return line;
        }
        memmove(lines->text, line, left);
        lines->begin = 0;
        lines->end = left;
        size_t room = sizeof lines->text - 1 - left;
        if (room > 0 && plim_file_read_some(&lines->file, lines->path, lines->text + left, room,
                                            lines->offset, &got, NULL) != PLIM_OK)
            return NULL;
        lines->offset += got;
        lines->end += got;
        if (got == 0) {
            lines->text[left] = '\0';
            lines->end = 0;
            return left ? lines->text : NULL;
        }
    }
}

/* ---- finding our groups ---- */

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        if (n == length && memcmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

/* a + b into out; false where it does not fit. */
static bool concat(char out[PATH_BYTES], const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b);
    if (m + n >= PATH_BYTES)
        return false;
    memmove(out, a, m);
    memcpy(out + m, b, n + 1);
    return true;
}

/* Our path in the hierarchy: "4:memory:/a/b", or "0::/a/b" for v2.  False: in none. */
static bool own_group(char out[PATH_BYTES], const char *proc_root, const char *controller, bool v2)
{
    line_reader lines;
    char path[PATH_BYTES];
    bool found = false;
    if (!concat(path, proc_root, "/self/cgroup") || !lines_open(&lines, path))
        return false;
    for (char *line; !found && (line = lines_next(&lines)) != NULL;) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group)
            continue;
        *list++ = '\0';
        *group++ = '\0';
        if (v2 ? !strcmp(line, "0") && !*list : has_word(list, controller))
            found = concat(out, group, "");
    }
    plim_file_close(&lines.file);
    return found;
}

/* Octal escapes of mountinfo (\040 is a blank), in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

typedef struct mount {
    char *root, *point, *type, *options;
} mount;

/* "36 35 98:0 ROOT POINT options optional... - TYPE source super-options"; false for anything else.
 */
static bool parse_mount(char *line, mount *out)
{
    char *tail = strstr(line, " - "), *save = NULL;
    if (!tail)
        return false;
    *tail = '\0';
    char *word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 3; i++)
        word = strtok_r(NULL, " ", &save);
    out->root = word;
    out->point = word ? strtok_r(NULL, " ", &save) : NULL;
    save = NULL;
    out->type = strtok_r(tail + 3, " ", &save);
    out->options = out->type && strtok_r(NULL, " ", &save) ? strtok_r(NULL, " ", &save) : NULL;
    if (!out->point || !out->options)
        return false;
    unescape(out->root);
    unescape(out->point);
    return true;
}

/* The part of `group` below `root`: "/a/b" below "/a" is "/b".  NULL where the mount does not show
 * it. */
static const char *below(const char *group, const char *root)
{
    size_t n = strlen(root);
    while (n > 0 && root[n - 1] == '/')
        n--;
    if (strncmp(group, root, n) != 0 || (group[n] != '/' && group[n] != '\0'))
        return NULL;
    const char *rest = group + n; /* "/..": outside of our namespace */
    return !strcmp(rest, "/..") || !strncmp(rest, "/../", 4) ? NULL : rest;
}

/* fn for `folder` and its parents, down to the first `stop` bytes of it. */
static bool walk_up(char folder[PATH_BYTES], size_t stop, bool v2, plim_cgroup_fn fn, void *user)
{
    for (size_t n = strlen(folder);;) {
        while (n > stop && folder[n - 1] == '/')
            n--;
        folder[n] = '\0';
        if (!fn(user, folder, v2))
            return false;
        if (n <= stop)
            return true;
        while (n > stop && folder[n - 1] != '/')
            n--;
    }
}

/* One kind of hierarchy; false when fn wants no more. */
static bool walk_kind(const char *proc_root, const char *sys_prefix, const char *controller,
                      bool v2, plim_cgroup_fn fn, void *user)
{
    line_reader lines;
    char group[PATH_BYTES], folder[PATH_BYTES], fallback[PATH_BYTES] = "";
    bool shown = false, more = true;
    if (!own_group(group, proc_root, controller, v2) ||
        !concat(folder, proc_root, "/self/mountinfo") || !lines_open(&lines, folder))
        return true;
    for (char *line; more && (line = lines_next(&lines)) != NULL;) {
        mount m;
        if (!parse_mount(line, &m) || strcmp(m.type, v2 ? "cgroup2" : "cgroup") != 0 ||
            (!v2 && !has_word(m.options, controller)) || !concat(folder, sys_prefix, m.point))
            continue;
        size_t stop = strlen(folder);
        const char *rest = below(group, m.root);
        if (rest && concat(folder, folder, rest)) {
            shown = true;
            more = walk_up(folder, stop, v2, fn, user);
        } else if (!fallback[0]) {
            concat(fallback, folder, "");
        }
    }
    plim_file_close(&lines.file);
    /* A container whose mount's root lies beside the path we are told: the mount point is the best
     * there is. */
    if (more && !shown && fallback[0])
        more = fn(user, fallback, v2);
    return more;
}

void plim_cgroup_walk(const char *proc_root, const char *sys_prefix, const char *controller,
                      plim_cgroup_fn fn, void *user)
{
    if (walk_kind(proc_root, sys_prefix, controller, false, fn, user))
        walk_kind(proc_root, sys_prefix, controller, true, fn, user);
}

/* ---- cores ---- */

static bool word_u64(const char **text, uint64_t *out)
{
    *text += strspn(*text, " \t\n");
    size_t n = strspn(*text, "0123456789");
    bool ok = plim_parse_u64(*text, n, out);
    *text += n;
    return ok;
}

/* v2: "QUOTA PERIOD" or "max PERIOD"; v1: two files, quota -1 for none. */
static bool read_quota(void *user, const char *folder, bool v2)
{
    unsigned *cpus = user;
    char path[PATH_BYTES], text[128];
    const char *p = text;
    uint64_t quota, period;
    if (!concat(path, folder, v2 ? "/cpu.max" : "/cpu.cfs_quota_us") ||
        plim_file_peek(path, text, sizeof text) < 0 || !word_u64(&p, &quota))
        return true;
    if (!v2) {
        p = text;
        if (!concat(path, folder, "/cpu.cfs_period_us") ||
            plim_file_peek(path, text, sizeof text) < 0)
            return true;
    }
    if (!word_u64(&p, &period) || period == 0)
        return true;
    uint64_t n = quota / period + (quota % period != 0);
    if (n == 0)
        n = 1;
    if (n <= PLIM_POOL_MAX_THREADS * 64u && (*cpus == 0 || n < *cpus))
        *cpus = (unsigned)n;
    return true;
}

unsigned plim_cgroup_cpus(const char *proc_root, const char *sys_prefix)
{
    unsigned cpus = 0;
    plim_cgroup_walk(proc_root, sys_prefix, "cpu", read_quota, &cpus);
    return cpus;
}

unsigned plim_cpu_count(void)
{
    unsigned long
        mask[8192 / (8 * sizeof(unsigned long))]; /* 8192 cores: more than Linux is built for */
    unsigned cores = 0, quota = plim_cgroup_cpus("/proc", "");
    memset(mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) == 0)
        cores = (unsigned)CPU_COUNT_S(sizeof mask, (cpu_set_t *)mask);
    if (cores == 0)
        cores = 1;
    return quota && quota < cores ? quota : cores;
}
