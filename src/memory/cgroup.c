/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups: finds our memory groups, v1 and v2, and reads the limits along their ancestry.
 *
 * /proc/self/cgroup gives our path in each hierarchy, /proc/self/mountinfo where a hierarchy (or
 * the part of it below the mount's root) is mounted.  Both speak relative to our cgroup namespace.
 * So our folder is MOUNT POINT + (path without the mount's root); and every folder from there up to
 * the mount point is an ancestor.  Source: cgroups(7), cgroup_namespaces(7), proc(5),
 * Documentation/admin-guide/cgroup-v{1,2}. */
#include "memory/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "memory/procfile.h"

enum { PATH_BYTES = 4096 };

/* v1 says "unlimited" by a number just below 2^63, rounded down to its page size. */
#define UNLIMITED ((uint64_t)1 << 62)

/* A hierarchy with the memory controller. */
typedef struct hierarchy {
    bool v2;
    bool present; /* we are in a group of it */
    bool walked;  /* some mount shows our own group */
    char group[PATH_BYTES];
    char fallback[PATH_BYTES]; /* a mount point that does not lead to our group, or "" */
} hierarchy;

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = list; *p; p += strspn(p, ",")) {
        size_t n = strcspn(p, ",");
        if (n == length && memcmp(p, word, n) == 0)
            return true;
        p += n;
    }
    return false;
}

/* Copy, or give up: false when it does not fit. */
static bool copy_path(char out[PATH_BYTES], const char *path)
{
    size_t length = strlen(path);
    if (length >= PATH_BYTES)
        return false;
    memcpy(out, path, length + 1);
    return true;
}

static bool join(char out[PATH_BYTES], const char *a, const char *b, const char *c)
{
    int n = snprintf(out, PATH_BYTES, "%s%s%s", a, b, c);
    return n >= 0 && n < PATH_BYTES;
}

/* "4:memory:/a/b" or "0::/a/b". */
static void read_own_groups(const char *proc_root, hierarchy *v1, hierarchy *v2)
{
    char path[PATH_BYTES];
    plim_proc_lines lines;
    if (!join(path, proc_root, "/self/cgroup", "") || plim_proc_open(&lines, path, NULL) != PLIM_OK)
        return;
    for (char *line; (line = plim_proc_next(&lines, NULL)) != NULL;) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        hierarchy *h = strcmp(line, "0") == 0 && !*controllers ? v2
                       : has_word(controllers, "memory")       ? v1
                                                               : NULL;
        if (h)
            h->present = copy_path(h->group, group);
    }
    plim_proc_close(&lines);
}

/* One folder's limit and what it leaves; folded into *room. */
static void read_group(const char *folder, bool v2, plim_cgroup_room *room)
{
    char path[PATH_BYTES];
    uint64_t limit = UINT64_MAX, used = 0, cache = 0, n;
    if (join(path, folder, v2 ? "/memory.max" : "/memory.limit_in_bytes", "") &&
        plim_proc_number(path, &n))
        limit = n;
    if (v2 && join(path, folder, "/memory.high", "") && plim_proc_number(path, &n) && n < limit)
        limit = n;
    if (!join(path, folder, v2 ? "/memory.current" : "/memory.usage_in_bytes", "") ||
        !plim_proc_number(path, &used))
        used = 0;

    plim_proc_lines lines;
    if (join(path, folder, "/memory.stat", "") && plim_proc_open(&lines, path, NULL) == PLIM_OK) {
        for (const char *line; (line = plim_proc_next(&lines, NULL)) != NULL;) {
            if (plim_proc_field(line, v2 ? "inactive_file " : "total_inactive_file ", &n) ||
                plim_proc_field(line, v2 ? "active_file " : "total_active_file ", &n))
                cache = cache > UINT64_MAX - n ? UINT64_MAX : cache + n;
            /* v1 knows its tightest ancestor even where no mount shows it. */
            else if (!v2 && plim_proc_field(line, "hierarchical_memory_limit ", &n) && n < limit)
                limit = n;
        }
        plim_proc_close(&lines);
    }
    if (limit >= UNLIMITED)
        return;
    used -= cache < used ? cache : used;
    uint64_t left = used < limit ? limit - used : 0;
    if (room->limit == 0 || left < room->left)
        room->left = left;
    if (room->limit == 0 || limit < room->limit)
        room->limit = limit ? limit : 1; /* 0 would read as "none" */
}

/* `folder` and its parents, as long as they are longer than `stop` bytes, and the one of `stop`
 * bytes. */
static void walk_up(char folder[PATH_BYTES], size_t stop, bool v2, plim_cgroup_room *room)
{
    for (;;) {
        size_t length = strlen(folder);
        while (length > stop && folder[length - 1] == '/')
            folder[--length] = 0;
        read_group(folder, v2, room);
        if (length <= stop)
            return;
        while (length > stop && folder[length - 1] != '/')
            folder[--length] = 0;
    }
}

/* The part of `group` below `root`: "/a/b" below "/a" is "/b".  NULL when it is not below. */
static const char *below(const char *group, const char *root)
{
    size_t length = strlen(root);
    while (length > 0 && root[length - 1] == '/')
        length--;
    if (strncmp(group, root, length) != 0 || (group[length] != '/' && group[length] != 0))
        return NULL;
    const char *rest = group + length;
    /* "/..": a group outside of our namespace's root, of which the mount shows nothing. */
    return strncmp(rest, "/..", 3) == 0 && (rest[3] == '/' || rest[3] == 0) ? NULL : rest;
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
    *to = 0;
}

/* A line of mountinfo: "36 35 98:0 ROOT POINT options optional... - TYPE source super-options".
 * False when it is cut or malformed. */
static bool parse_mount(char *line, char **root, char **point, char **type, char **options)
{
    char *tail = strstr(line, " - "), *save = NULL, *word = NULL;
    if (!tail)
        return false;
    *tail = 0;
    word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 3; i++)
        word = strtok_r(NULL, " ", &save);
    *root = word;
    *point = word ? strtok_r(NULL, " ", &save) : NULL;
    *type = strtok_r(tail + 3, " ", &save);
    *options = *type && strtok_r(NULL, " ", &save) ? strtok_r(NULL, " ", &save) : NULL;
    if (!*point || !*options)
        return false;
    unescape(*root);
    unescape(*point);
    return true;
}

static void visit_mount(hierarchy *h, const char *prefix, const char *root, const char *point,
                        plim_cgroup_room *room)
{
    char folder[PATH_BYTES];
    const char *rest = below(h->group, root);
    if (!rest) {
        if (!h->fallback[0] && !join(h->fallback, prefix, point, ""))
            h->fallback[0] = 0;
    } else if (join(folder, prefix, point, rest)) {
        h->walked = true;
        walk_up(folder, strlen(prefix) + strlen(point), h->v2, room);
    }
}

void plim_cgroup_read(const char *proc_root, const char *sys_prefix, plim_cgroup_room *out)
{
    hierarchy v1 = {.v2 = false}, v2 = {.v2 = true};
    char path[PATH_BYTES];
    plim_proc_lines lines;
    *out = (plim_cgroup_room){0};
    read_own_groups(proc_root, &v1, &v2);
    if ((!v1.present && !v2.present) || !join(path, proc_root, "/self/mountinfo", "") ||
        plim_proc_open(&lines, path, NULL) != PLIM_OK)
        return;
    for (char *line; (line = plim_proc_next(&lines, NULL)) != NULL;) {
        char *root, *point, *type, *options;
        if (!parse_mount(line, &root, &point, &type, &options))
            continue;
        if (v2.present && strcmp(type, "cgroup2") == 0)
            visit_mount(&v2, sys_prefix, root, point, out);
        else if (v1.present && strcmp(type, "cgroup") == 0 && has_word(options, "memory"))
            visit_mount(&v1, sys_prefix, root, point, out);
    }
    plim_proc_close(&lines);
    /* A container's mount whose root lies above or beside what we see as our path: the mount point
     * itself is the best that there is. */
    if (!v1.walked && v1.fallback[0])
        read_group(v1.fallback, false, out);
    if (!v2.walked && v2.fallback[0])
        read_group(v2.fallback, true, out);
}
