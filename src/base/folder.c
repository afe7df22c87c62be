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

static plim_where at(const char *path)
{
    return (plim_where){path, NULL, -1};
}

static bool is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Remove a folder and what is in it, one folder deep: nobody writes deeper. */
static void remove_folder(const char *path)
{
    char below[4096];
    DIR *top = opendir(path);
    for (const struct dirent *e; top && (e = readdir(top));) {
        if (is_dots(e->d_name) || unlinkat(dirfd(top), e->d_name, 0) == 0 ||
            plim_path_join(below, sizeof below, path, e->d_name, NULL))
            continue;
        DIR *inner = opendir(below);
        for (const struct dirent *f; inner && (f = readdir(inner));)
            if (!is_dots(f->d_name))
                (void)unlinkat(dirfd(inner), f->d_name, 0);
        if (inner)
            closedir(inner);
        (void)rmdir(below);
    }
    if (top)
        closedir(top);
    (void)rmdir(path);
}

/* Nothing, or an empty folder, may stand where the new one goes. */
static plim_status check_place(const char *path, plim_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? PLIM_OK
                               : plim_fail_errno(err, errno, at(path), "cannot be examined");
    if (!S_ISDIR(st.st_mode))
        return plim_fail_at(err, PLIM_E_USAGE, at(path),
                            "is there already and is no folder; name one that is not there");
    DIR *folder = opendir(path);
    if (!folder)
        return plim_fail_errno(err, errno, at(path), "cannot be examined");
    bool empty = true;
    for (const struct dirent *e; empty && (e = readdir(folder));)
        empty = is_dots(e->d_name);
    closedir(folder);
    return empty ? PLIM_OK
                 : plim_fail_at(err, PLIM_E_USAGE, at(path),
                                "the folder is not empty, and nothing is overwritten; name "
                                "another, or remove it first");
}

plim_status plim_folder_writer_open(plim_folder_writer *out, const char *path, plim_error *err)
{
    size_t bytes = strlen(path);
    out->temporary[0] = 0;
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    if (bytes + 32 >= sizeof out->path)
        return plim_fail_at(err, PLIM_E_LIMIT, at(path), "the path is too long");
    memcpy(out->path, path, bytes);
    out->path[bytes] = 0;
    plim_status status = check_place(out->path, err);
    if (status)
        return status;
    char temporary[4096];
    plim_format(temporary, sizeof temporary, "%s.partial-%ld", out->path, (long)getpid());
    if (mkdir(temporary, 0777) && errno == EEXIST) {
        remove_folder(temporary);
        errno = 0;
        (void)mkdir(temporary, 0777);
    }
    struct stat st;
    if (lstat(temporary, &st) != 0 || !S_ISDIR(st.st_mode))
        return plim_fail_errno(err, errno ? errno : EEXIST, at(temporary), "cannot be made");
    memcpy(out->temporary, temporary, sizeof out->temporary);
    return PLIM_OK;
}

plim_status plim_folder_writer_add(const plim_folder_writer *writer, const char *name, char *path,
                                   plim_error *err)
{
    plim_status status = plim_path_join(path, 4096, writer->temporary, name, err);
    if (!status && mkdir(path, 0777) && errno != EEXIST)
        status = plim_fail_errno(err, errno, at(path), "cannot be made");
    return status;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* a folder one may write to but not read */
    int failed = fsync(fd) != 0 && errno != EINVAL && errno != EROFS ? errno : 0;
    close(fd);
    return failed;
}

plim_status plim_folder_writer_commit(plim_folder_writer *writer, plim_error *err)
{
    char parent[4096];
    int failed = sync_path(writer->temporary);
    if (!failed && rename(writer->temporary, writer->path) != 0)
        failed = errno;
    if (failed) {
        plim_folder_writer_discard(writer);
        return plim_fail_errno(err, failed, at(writer->path), "cannot take its name");
    }
    writer->temporary[0] = 0;
    const char *slash = strrchr(writer->path, '/');
    plim_format(parent, sizeof parent, "%.*s",
                slash == writer->path ? 1
                : slash               ? (int)(slash - writer->path)
                                      : 1,
                slash ? writer->path : ".");
    failed = sync_path(parent);
    return failed ? plim_fail_errno(err, failed, at(writer->path),
                                    "is written, but its folder can't be synchronised")
                  : PLIM_OK;
}

void plim_folder_writer_discard(plim_folder_writer *writer)
{
    if (writer->temporary[0])
        remove_folder(writer->temporary);
    writer->temporary[0] = 0;
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
