/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that appear whole.  See folder.h. */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"

#define FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static plim_where at(const char *path)
{
    return (plim_where){path, NULL, -1};
}

static bool is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Its entries; the descriptor stays the caller's. */
static DIR *entries_of(int fd)
{
    int own = openat(fd, ".", FOLDER);
    DIR *entries = own < 0 ? NULL : fdopendir(own);
    if (!entries && own >= 0)
        close(own);
    return entries;
}

static void remove_files(int fd)
{
    DIR *entries = entries_of(fd);
    for (const struct dirent *e; entries && (e = readdir(entries));)
        if (!is_dots(e->d_name))
            (void)unlinkat(fd, e->d_name, 0);
    if (entries)
        closedir(entries);
}

/* What is in a folder of ours, one folder deep: nobody writes deeper. */
static void remove_entries(int fd)
{
    DIR *entries = entries_of(fd);
    for (const struct dirent *e; entries && (e = readdir(entries));) {
        if (is_dots(e->d_name) || unlinkat(fd, e->d_name, 0) == 0)
            continue;
        int below = openat(fd, e->d_name, FOLDER);
        if (below < 0)
            continue;
        remove_files(below);
        close(below);
        (void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
    if (entries)
        closedir(entries);
}

/* ---- the place ---- */

static plim_status fail_used(const char *path, plim_error *err)
{
    return plim_fail_at(err, PLIM_E_USAGE, at(path),
                        "the folder is not empty, and nothing is overwritten; name another, or "
                        "remove it first");
}

/* Nothing can be renamed to a mount point, not even over an empty one. */
static bool is_mount_point(int parent, const char *name, const struct stat *st)
{
    struct stat above;
#ifdef STATX_ATTR_MOUNT_ROOT
    struct statx facts;
    memset(&facts, 0, sizeof facts);
    if (statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &facts) == 0 &&
        facts.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return facts.stx_attributes & STATX_ATTR_MOUNT_ROOT;
#else
    (void)name;
#endif
    return fstat(parent, &above) == 0 && above.st_dev != st->st_dev;
}

/* Nothing, or an empty folder, may stand where the new one goes. */
static plim_status check_place(plim_folder_writer *w, plim_error *err)
{
    struct stat st;
    const char *name = w->path + w->name;
    w->empty_there = false;
    if (fstatat(w->parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? PLIM_OK
                               : plim_fail_errno(err, errno, at(w->path), "cannot be examined");
    if (!S_ISDIR(st.st_mode))
        return plim_fail_at(err, PLIM_E_USAGE, at(w->path),
                            "is there already and is no folder; name one that is not there");
    int fd = openat(w->parent, name, FOLDER);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        plim_status status = plim_fail_errno(err, errno, at(w->path), "cannot be examined");
        if (fd >= 0)
            close(fd);
        return status;
    }
    bool empty = true;
    for (const struct dirent *e; empty && (e = readdir(entries));)
        empty = is_dots(e->d_name);
    closedir(entries);
    if (!empty)
        return fail_used(w->path, err);
    if (is_mount_point(w->parent, name, &st))
        return plim_fail_at(err, PLIM_E_USAGE, at(w->path),
                            "is a mount point, and a folder that appears whole can't take its "
                            "place; name a folder in it");
    w->empty_there = true;
    return PLIM_OK;
}

/* The path without slashes at its end, its last part, and its parent, open. */
static plim_status open_parent(plim_folder_writer *w, const char *path, plim_error *err)
{
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    if (bytes + PLIM_PARTIAL_BYTES > sizeof w->path)
        return plim_fail_at(err, PLIM_E_LIMIT, at(path), "the path is too long");
    memcpy(w->path, path, bytes);
    w->path[bytes] = 0;
    const char *slash = strrchr(w->path, '/');
    w->name = slash ? (size_t)(slash + 1 - w->path) : 0;
    if (!w->path[w->name] || is_dots(w->path + w->name))
        return plim_fail_at(err, PLIM_E_USAGE, at(path),
                            "a folder that appears whole can't take this name; want one whose last "
                            "part is a name of its own");
    char parent[4096];
    plim_format(parent, sizeof parent, "%.*s", w->name ? (int)w->name : 1, w->name ? w->path : ".");
    /* O_PATH: it need not be readable. */
    w->parent = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return w->parent < 0 ? plim_fail_errno(err, errno, at(w->path), "cannot be made") : PLIM_OK;
}

static void close_parent(plim_folder_writer *w)
{
    if (w->parent >= 0)
        close(w->parent);
    w->parent = -1;
}

/* ---- writing ---- */

static plim_status make_place(plim_folder_writer *w, plim_error *err)
{
    char tail[PLIM_PARTIAL_BYTES];
    const char *name = w->place.path + w->name;
    int failed, tries = 0;
    do {
        plim_partial_name(tail);
        plim_format(w->place.path, sizeof w->place.path, "%s%s", w->path, tail);
        failed = mkdirat(w->parent, name, 0777) ? errno : 0;
    } while (failed == EEXIST && ++tries < 100);
    if (failed)
        return plim_fail_errno(err, failed, at(w->place.path), "cannot be made");
    w->place.fd = openat(w->parent, name, FOLDER);
    if (w->place.fd >= 0)
        return PLIM_OK;
    failed = errno;
    (void)unlinkat(w->parent, name, AT_REMOVEDIR);
    return plim_fail_errno(err, failed, at(w->place.path), "cannot be opened");
}

plim_status plim_folder_writer_open(plim_folder_writer *out, const char *path, plim_error *err)
{
    *out = (plim_folder_writer){.parent = -1, .place.fd = -1};
    plim_status status = open_parent(out, path, err);
    if (!status)
        status = check_place(out, err);
    if (!status)
        status = make_place(out, err);
    if (status)
        close_parent(out);
    return status;
}

plim_status plim_folder_writer_add(const plim_folder_writer *writer, const char *name,
                                   plim_folder_place *out, plim_error *err)
{
    out->fd = -1;
    plim_status status = plim_path_join(out->path, sizeof out->path, writer->place.path, name, err);
    if (status)
        return status;
    if (mkdirat(writer->place.fd, name, 0777) && errno != EEXIST)
        return plim_fail_errno(err, errno, at(out->path), "cannot be made");
    out->fd = openat(writer->place.fd, name, FOLDER);
    return out->fd < 0 ? plim_fail_errno(err, errno, at(out->path), "cannot be opened") : PLIM_OK;
}

void plim_folder_place_close(plim_folder_place *place)
{
    if (place->fd >= 0)
        close(place->fd);
    place->fd = -1;
}

/* The temporary name still leads to the folder that is open. */
static bool is_ours(const plim_folder_writer *w)
{
    struct stat open_now, named;
    return fstat(w->place.fd, &open_now) == 0 &&
           fstatat(w->parent, w->place.path + w->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           open_now.st_dev == named.st_dev && open_now.st_ino == named.st_ino;
}

/* Errors are those of the system; an empty folder goes where one was there from the start. */
static int take_name(const plim_folder_writer *w)
{
    struct stat st;
    const char *from = w->place.path + w->name, *to = w->path + w->name;
    if (!w->empty_there) {
        if (renameat2(w->parent, from, w->parent, to, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != ENOSYS && errno != EINVAL)
            return errno;
        /* Not known to the file system.  rename replaces no more than an empty folder. */
        if (fstatat(w->parent, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return EEXIST;
    }
    return renameat(w->parent, from, w->parent, to) ? errno : 0;
}

static int sync_parent(const plim_folder_writer *w)
{
    int fd = openat(w->parent, ".", FOLDER);
    int failed = fd < 0 ? 0 : plim_fd_sync(fd); /* a folder one may write to but not read */
    if (fd >= 0)
        close(fd);
    return failed;
}

plim_status plim_folder_writer_commit(plim_folder_writer *writer, plim_error *err)
{
    if (!is_ours(writer)) {
        plim_folder_writer_discard(writer);
        return plim_fail_at(err, PLIM_E_CHANGED, at(writer->place.path),
                            "the folder was renamed or removed while it was written");
    }
    int failed = plim_fd_sync(writer->place.fd);
    if (!failed)
        failed = take_name(writer);
    if (failed) {
        plim_folder_writer_discard(writer);
        return plim_fail_errno(err, failed, at(writer->path), "cannot take its name");
    }
    plim_folder_place_close(&writer->place);
    failed = sync_parent(writer);
    close_parent(writer);
    return failed ? plim_fail_errno(err, failed, at(writer->path),
                                    "is written, but its folder can't be synchronised")
                  : PLIM_OK;
}

void plim_folder_writer_discard(plim_folder_writer *writer)
{
    if (writer->place.fd >= 0) {
        remove_entries(writer->place.fd);
        if (is_ours(writer))
            (void)unlinkat(writer->parent, writer->place.path + writer->name, AT_REMOVEDIR);
        plim_folder_place_close(&writer->place);
    }
    close_parent(writer);
}

plim_status plim_folder_each(const char *path, plim_folder_fn fn, void *user, plim_error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT || errno == ENOTDIR
                   ? PLIM_OK
                   : plim_fail_errno(err, errno, at(path), "cannot be listed");
    plim_status status = PLIM_OK;
    for (;;) {
        struct stat st;
        errno = 0;
        const struct dirent *e = readdir(folder);
        if (!e) {
            if (errno)
                status = plim_fail_errno(err, errno, at(path), "cannot be listed");
            break;
        }
        if (fstatat(dirfd(folder), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
            (status = fn(user, e->d_name, err)))
            break;
    }
    closedir(folder);
    return status;
}
