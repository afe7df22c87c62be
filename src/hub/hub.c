/* SPDX-License-Identifier: Apache-2.0
 *
 * Look-up in the standard cache: CACHE/models--ORG--NAME/{refs/REVISION, snapshots/COMMIT/,
 * blobs/}.  A ref holds the commit; a snapshot holds symbolic links into blobs, which are followed
 * when the files are opened. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hub/hub.h"

#define COMMIT_DIGITS      40
#define MAX_NAME_BYTES     96 /* of the Hub itself */
#define MAX_REVISION_BYTES 200

typedef struct request {
    char name[256]; /* org/name or name, judged */
    char revision[MAX_REVISION_BYTES + 1];
} request;

static bool is_commit(const char *text)
{
    return strlen(text) == COMMIT_DIGITS && strspn(text, "0123456789abcdef") == COMMIT_DIGITS;
}

/* What the Hub allows: [A-Za-z0-9._-] in one or two parts, no part that begins or ends with '-' or
 * '.', no "--", no
 * "..". */
static bool is_hub_name(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
    size_t bytes = strlen(name);
    const char *slash = strchr(name, '/');
    if (!bytes || bytes > MAX_NAME_BYTES || strspn(name, letters) != bytes)
        return false;
    if (strstr(name, "--") || strstr(name, "..") || (slash && strchr(slash + 1, '/')))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        bool edge = i == 0 || i == bytes - 1 || name[i - 1] == '/' || name[i + 1] == '/';
        if (edge && strchr("/.-", name[i]) && name + i != slash)
            return false;
    }
    return !slash || (slash != name && slash[1]);
}

/* Text that can only be meant as a path. */
static bool looks_like_path(const char *name)
{
    return name[0] == '/' || name[0] == '~' || !strncmp(name, "./", 2) ||
           !strncmp(name, "../", 3) || !strcmp(name, ".") || !strcmp(name, "..");
}

/* `hf download NAME --revision R` */
static void download_command(char *out, size_t cap, const request *r)
{
    bool is_main = !strcmp(r->revision, "main");
    snprintf(out, cap, "hf download %s%s%s", r->name, is_main ? "" : " --revision ",
             is_main ? "" : r->revision);
}

static plim_status judge(request *r, const plim_hub_query *query, plim_error *err)
{
    const char *at = strchr(query->name, '@');
    size_t bytes = at ? (size_t)(at - query->name) : strlen(query->name);
    const char *revision = query->revision && query->revision[0] ? query->revision : NULL;
    if (at && revision && strcmp(at + 1, revision))
        return plim_fail(err, PLIM_E_USAGE,
                         "the name asks for one revision, the option for another: '%s'",
                         query->name);
    if (at)
        revision = at + 1;
    if (!revision)
        revision = "main";
    snprintf(r->name, sizeof r->name, "%.*s", bytes < sizeof r->name ? (int)bytes : 0, query->name);
    if (bytes < sizeof r->name && !is_hub_name(r->name) && !plim_path_is_inside(r->name))
        return plim_fail(err, PLIM_E_UNSAFE,
                         "want a path or org/name, found a name that would leave the cache: '%s'",
                         query->name);
    if (!is_hub_name(r->name))
        return plim_fail(
            err, PLIM_E_IO,
            "no file or folder here, nor a name that the Hub could have (org/name): '%s'",
            query->name);
    if (strlen(revision) > MAX_REVISION_BYTES || !plim_path_is_inside(revision) ||
        strspn(revision, "-") > 0)
        return plim_fail(err, PLIM_E_UNSAFE,
                         "want a branch, a tag or a commit as revision, found '%s'", revision);
    snprintf(r->revision, sizeof r->revision, "%s", revision);
    return PLIM_OK;
}

static plim_status not_there(const request *r, const char *cache_dir, plim_error *err)
{
    char command[512];
    download_command(command, sizeof command, r);
    return plim_fail(
        err, PLIM_E_IO,
        "'%s' is no file or folder here, nor is its revision '%s' in the cache: fetch it with `%s` "
        "(looked in %s)",
        r->name, r->revision, command, cache_dir);
}

/* CACHE/models--org--name */
static plim_status repository_folder(char *out, size_t cap, const char *cache_dir, const char *name,
                                     plim_error *err)
{
    char folder[300];
    const char *slash = strchr(name, '/');
    if (slash)
        snprintf(folder, sizeof folder, "models--%.*s--%s", (int)(slash - name), name, slash + 1);
    else
        snprintf(folder, sizeof folder, "models--%s", name);
    return plim_path_join(out, cap, cache_dir, folder, err);
}

/* The commit that refs/REVISION holds; *found = false when there is no such ref. */
static plim_status read_ref(char commit[COMMIT_DIGITS + 1], const char *repository,
                            const char *revision, bool *found, plim_error *err)
{
    char refs[4096], path[4096], text[COMMIT_DIGITS + 9] = {0};
    *found = false;
    plim_status status = plim_path_join(refs, sizeof refs, repository, "refs", err);
    if (!status)
        status = plim_path_join(path, sizeof path, refs, revision, err);
    if (!status)
        status = plim_path_find_file(found, path, err);
    if (status || !*found)
        return status;
    plim_file file;
    if ((status = plim_file_open(&file, path, err)))
        return status;
    size_t got = 0, more = 1;
    while (!status && more && got < sizeof text - 1) {
        status =
            plim_file_read_some(&file, path, text + got, sizeof text - 1 - got, got, &more, err);
        got += more;
    }
    plim_file_close(&file);
    if (status)
        return status;
    while (got && strchr(" \r\n\t", text[got - 1]))
        text[--got] = 0;
    if (got != COMMIT_DIGITS || !is_commit(text))
        return plim_fail_at(err, PLIM_E_FORMAT, (plim_where){path, NULL, 0},
                            "want a commit of 40 hexadecimal digits");
    memcpy(commit, text, COMMIT_DIGITS + 1);
    return PLIM_OK;
}

static plim_status look_up(char *path, size_t cap, const request *r, const char *cache_dir,
                           plim_error *err)
{
    char repository[4096], snapshots[4096], commit[COMMIT_DIGITS + 1] = "";
    bool found = is_commit(r->revision);
    plim_status status = repository_folder(repository, sizeof repository, cache_dir, r->name, err);
    if (status)
        return status;
    if (found)
        memcpy(commit, r->revision, sizeof commit);
    else if ((status = read_ref(commit, repository, r->revision, &found, err)))
        return status;
    if (!found)
        return not_there(r, cache_dir, err);
    if ((status = plim_path_join(snapshots, sizeof snapshots, repository, "snapshots", err)) ||
        (status = plim_path_join(path, cap, snapshots, commit, err)))
        return status;
    status = plim_path_find_folder(&found, path, err);
    return status || found ? status : not_there(r, cache_dir, err);
}

plim_status plim_hub_resolve(char *path, size_t cap, const plim_hub_query *query, plim_error *err)
{
    struct stat info;
    request r;
    path[0] = 0;
    if (!query->name || !query->name[0])
        return plim_fail(err, PLIM_E_USAGE,
                         "no model was named: want a folder, a file or org/name");
    if (!stat(query->name, &info)) {
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
            return plim_fail_at(err, PLIM_E_IO, (plim_where){query->name, NULL, -1},
                                "is neither a folder nor a file");
        if (strlen(query->name) >= cap)
            return plim_fail(err, PLIM_E_LIMIT, "the path has %zu bytes, allowed are %zu",
                             strlen(query->name), cap - 1);
        strcpy(path, query->name);
        return PLIM_OK;
    }
    if ((errno != ENOENT && errno != ENOTDIR) || looks_like_path(query->name))
        return plim_fail_errno(err, errno, (plim_where){query->name, NULL, -1},
                               "opening the model");
    plim_status status = judge(&r, query, err);
    if (status)
        return status;
    if (!query->cache_dir || !query->cache_dir[0])
        return plim_fail(err, PLIM_E_IO,
                         "no file or folder here, and there is no cache to look in: '%s'",
                         query->name);
    status = look_up(path, cap, &r, query->cache_dir, err);
    if (status)
        path[0] = 0;
    return status;
}
