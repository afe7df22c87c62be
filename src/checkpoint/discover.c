/* SPDX-License-Identifier: Apache-2.0
 *
 * Which file of a folder from_pretrained would take, and what to say when there is none.
 * Order (transformers/modeling_utils.py, _get_resolved_checkpoint_files): config.json's
 * `transformers_weights`; then model.safetensors; then model.safetensors.index.json; a variant V
 * stands before the last part of these names (model.V.safetensors, model.safetensors.index.V.json),
 * and without such files there is no falling back. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "checkpoint/internal.h"

#define MAX_CONFIG_BYTES (16u << 20)
#define LISTED           6 /* file names that an error shows */

static plim_status copy_path(char *out, const char *path, plim_error *err)
{
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    if (bytes >= PLIM_PATH_BYTES)
        return plim_fail(err, PLIM_E_LIMIT, "the path has %zu bytes, allowed are %d", bytes,
                         PLIM_PATH_BYTES - 1);
    memcpy(out, path, bytes);
    out[bytes] = 0;
    return PLIM_OK;
}

/* The folder that a file is in. */
static void parent_of(char *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        strcpy(out, ".");
    else if (slash == path)
        strcpy(out, "/");
    else
        snprintf(out, PLIM_PATH_BYTES, "%.*s", (int)(slash - path), path);
}

/* ---- a file given by its own name ---- */

static plim_status take_file(plim_found *found, plim_error *err)
{
    parent_of(found->directory, found->path);
    found->is_index = plim_ends_with(found->path, ".json");
    if (plim_ends_with(found->path, ".safetensors") || plim_ends_with(found->path, ".index.json"))
        return PLIM_OK;
    plim_where where = {found->path, NULL, -1};
    const char *name = strrchr(found->path, '/');
    name = name ? name + 1 : found->path;
    if (plim_ends_with(name, ".gguf"))
        return plim_fail_at(err, PLIM_E_UNSUP, where, "GGUF files are not read yet");
    if (strchr(name, '.'))
        return plim_fail_at(err, PLIM_E_UNSUP, where,
                            "want a folder, a .safetensors file or a .safetensors.index.json");
    return PLIM_OK; /* the Hub's blobs have no suffix */
}

/* ---- config.json: transformers_weights ---- */

static plim_status take_name(char name[256], plim_json *json, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(json, &event, err);
    if (status || event == PLIM_JSON_NULL)
        return status;
    if (event != PLIM_JSON_STRING)
        return plim_json_wrong(json, event, NULL, "transformers_weights", "a string", err);
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    if (memchr(text, 0, bytes) || bytes >= 256 || !plim_path_is_inside(text))
        return plim_json_fail(json, err, PLIM_E_UNSAFE,
                              "transformers_weights is not the name of a file inside the folder");
    if (!plim_ends_with(text, ".safetensors") && !plim_ends_with(text, ".safetensors.index.json"))
        return plim_json_fail(json, err, PLIM_E_FORMAT,
                              "transformers_weights must name a .safetensors file or its index");
    memcpy(name, text, bytes + 1);
    return PLIM_OK;
}

/* *seen: the key was there. */
static plim_status stream_config(char name[256], bool *seen, plim_json *json, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_expect(json, PLIM_JSON_OBJECT, "the config", err);
    while (!status && !(status = plim_json_next(json, &event, err)) && event == PLIM_JSON_KEY) {
        bool named = plim_json_text_is(json, "transformers_weights");
        *seen = *seen || named;
        status = named ? take_name(name, json, err) : plim_json_skip(json, err);
    }
    return status;
}

/* What config.json says, or "".  Its other faults are for whoever reads it for its meaning: a
 * folder with a broken config still has weights that can be listed. */
static plim_status read_config(char name[256], const plim_alloc *alloc, const char *directory,
                               const plim_log *log, plim_error *err)
{
    char path[PLIM_PATH_BYTES];
    name[0] = 0;
    bool found = false, seen = false;
    plim_status status = plim_path_join(path, sizeof path, directory, "config.json", err);
    if (!status)
        status = plim_path_find_file(&found, path, err);
    if (status || !found)
        return status;
    plim_json *json;
    status = plim_json_open_path(&json, alloc, path, MAX_CONFIG_BYTES, NULL, err);
    if (!status)
        status = stream_config(name, &seen, json, err);
    plim_json_close(&json);
    if (seen || (status != PLIM_E_FORMAT && status != PLIM_E_TRUNC && status != PLIM_E_LIMIT))
        return status;
    plim_log_line(log, PLIM_LOG_DEBUG, "%s", err->message);
    plim_error_clear(err);
    return PLIM_OK;
}

/* ---- when nothing was found ---- */

typedef struct listing {
    char safetensors[LISTED][256]; /* the first by name */
    size_t safetensors_count;
    char other[256]; /* the first by name of what is not read */
    bool has_bin;    /* pytorch_model.bin or its index, which from_pretrained would take now */
} listing;

static void list_name(listing *l, const char *name)
{
    static const char *const others[] = {".bin",  ".gguf", ".pt",     ".pth",
                                         ".ckpt", ".h5",   ".msgpack"};
    if (plim_ends_with(name, ".safetensors")) {
        size_t at = l->safetensors_count < LISTED ? l->safetensors_count : LISTED;
        l->safetensors_count++;
        while (at > 0 && strcmp(l->safetensors[at - 1], name) > 0) {
            if (at < LISTED)
                memcpy(l->safetensors[at], l->safetensors[at - 1], sizeof l->safetensors[0]);
            at--;
        }
        if (at < LISTED)
            snprintf(l->safetensors[at], sizeof l->safetensors[at], "%s", name);
        return;
    }
    bool is_bin =
        !strcmp(name, "pytorch_model.bin") || !strcmp(name, "pytorch_model.bin.index.json");
    bool is_other = is_bin;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        is_other = is_other || plim_ends_with(name, others[i]);
    if (is_other && (is_bin >= l->has_bin) &&
        (is_bin > l->has_bin || !l->other[0] || strcmp(name, l->other) < 0))
        snprintf(l->other, sizeof l->other, "%s", name);
    l->has_bin = l->has_bin || is_bin;
}

static plim_status list_folder(listing *l, const char *directory, plim_error *err)
{
    memset(l, 0, sizeof *l);
    DIR *dir = opendir(directory);
    if (!dir)
        return plim_fail_errno(err, errno, (plim_where){directory, NULL, -1}, "listing the folder");
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)); errno = 0)
        list_name(l, entry->d_name);
    int failed = errno;
    closedir(dir);
    return failed ? plim_fail_errno(err, failed, (plim_where){directory, NULL, -1},
                                    "listing the folder")
                  : PLIM_OK;
}

/* "a, b and 3 more" */
static void show_list(char *out, size_t cap, const listing *l)
{
    size_t shown = l->safetensors_count < LISTED ? l->safetensors_count : LISTED, used = 0;
    for (size_t i = 0; i < shown && used < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s%s", i ? ", " : "",
                                 plim_shorten(l->safetensors[i]).text);
    if (l->safetensors_count > shown && used < cap)
        snprintf(out + used, cap - used, " and %zu more", l->safetensors_count - shown);
}

/* No file of that name was found, but something may be there: say what. */
static plim_status refuse_special(const char *path, plim_error *err)
{
    struct stat info;
    plim_where where = {path, NULL, -1};
    if (!stat(path, &info)) {
        plim_file file; /* a folder, a fifo, a device */
        plim_status status = plim_file_open(&file, path, err);
        plim_file_close(&file);
        return status;
    }
    if (errno != ENOENT)
        return plim_fail_errno(err, errno, where, "cannot open");
    if (!lstat(path, &info))
        return plim_fail_at(
            err, PLIM_E_IO, where,
            "a symbolic link to a file that is not there (is the download complete?)");
    return PLIM_OK;
}

/* In a snapshot of the Hub's cache (.../models--ORG--NAME/snapshots/COMMIT...): ": fetch it with
 * `hf download ...`"; elsewhere "". */
static void download_hint(char *out, size_t cap, const char *directory)
{
    static const char folder[] = "/snapshots/";
    out[0] = 0;
    const char *end = strstr(directory, folder);
    const char *name = end;
    while (name && name > directory && name[-1] != '/')
        name--;
    if (!end || strncmp(name, "models--", 8) || end - name > 200)
        return;
    name += 8;
    const char *commit = end + sizeof folder - 1, *dashes = strstr(name, "--");
    size_t digits = strspn(commit, "0123456789abcdef");
    if (digits != 40 || (commit[digits] && commit[digits] != '/'))
        return;
    bool has_org = dashes && dashes < end;
    size_t org = has_org ? (size_t)(dashes - name) : 0;
    const char *rest = has_org ? dashes + 2 : name;
    snprintf(out, cap, ": fetch it with `hf download %.*s%s%.*s --revision %.40s`", (int)org, name,
             has_org ? "/" : "", (int)(end - rest), rest, commit);
}

static plim_status nothing_found(const char *directory, const char *single, const char *index,
                                 const char *variant, plim_error *err)
{
    listing l;
    char path[PLIM_PATH_BYTES], names[700], hint[400];
    plim_status status;
    download_hint(hint, sizeof hint, directory);
    const char *looked_for[] = {single, index};
    for (int i = 0; i < 2; i++) {
        if ((status = plim_path_join(path, sizeof path, directory, looked_for[i], err)) ||
            (status = refuse_special(path, err)))
            return status;
    }
    if ((status = list_folder(&l, directory, err)))
        return status;
    plim_where where = {directory, NULL, -1};
    if (l.has_bin || (l.other[0] && !l.safetensors_count))
        return plim_fail_at(
            err, PLIM_E_UNSUP, where,
            "there is no %s and no %s, only %s, which is not read yet: load it in "
            "Transformers and save it with save_pretrained, which writes safetensors",
            single, index, plim_shorten(l.other).text);
    if (!l.safetensors_count)
        return plim_fail_at(err, PLIM_E_IO, where, "there is no %s and no %s here%s", single, index,
                            hint);
    show_list(names, sizeof names, &l);
    if (variant)
        return plim_fail_at(err, PLIM_E_IO, where,
                            "there is no %s and no %s here, but %s: try without the variant",
                            single, index, names);
    return plim_fail_at(
        err, PLIM_E_IO, where,
        "there is no %s and no %s here, but %s: give the path of the file, or the variant", single,
        index, names);
}

/* ---- a folder ---- */

/* True and found filled when directory/name is a file. */
static plim_status try_name(plim_found *found, const char *name, bool *taken, plim_error *err)
{
    plim_status status =
        plim_path_join(found->path, sizeof found->path, found->directory, name, err);
    found->is_index = strstr(name, ".safetensors.index.") != NULL;
    *taken = false;
    return status ? status : plim_path_find_file(taken, found->path, err);
}

static plim_status take_folder(plim_found *found, const plim_alloc *alloc, const char *variant,
                               const plim_log *log, plim_error *err)
{
    char single[256] = "model.safetensors", index[256] = "model.safetensors.index.json", named[256];
    bool taken = false;
    plim_status status = read_config(named, alloc, found->directory, log, err);
    if (status)
        return status;
    if (named[0]) {
        if ((status = try_name(found, named, &taken, err)) || taken)
            return status;
        return plim_fail_at(
            err, PLIM_E_IO, (plim_where){found->path, NULL, -1},
            "config.json names this file in transformers_weights, but it is not there");
    }
    if (variant) {
        if (!plim_path_is_inside(variant) || strchr(variant, '/') || strlen(variant) > 100)
            return plim_fail(err, PLIM_E_USAGE,
                             "'%s' cannot be a variant: want a part of a file name",
                             plim_shorten(variant).text);
        snprintf(single, sizeof single, "model.%s.safetensors", variant);
        snprintf(index, sizeof index, "model.safetensors.index.%s.json", variant);
    }
    if ((status = try_name(found, single, &taken, err)) || taken)
        return status;
    if ((status = try_name(found, index, &taken, err)) || taken)
        return status;
    return nothing_found(found->directory, single, index, variant, err);
}

plim_status plim_discover(plim_found *out, const plim_alloc *alloc,
                          const plim_checkpoint_where *where, const plim_log *log, plim_error *err)
{
    struct stat info;
    memset(out, 0, sizeof *out);
    if (!where->path || !where->path[0])
        return plim_fail(err, PLIM_E_USAGE, "no path to a checkpoint was given");
    plim_status status = copy_path(out->path, where->path, err);
    if (status)
        return status;
    plim_where place = {out->path, NULL, -1};
    if (stat(out->path, &info))
        return plim_fail_errno(err, errno, place, "opening the checkpoint");
    const char *variant = where->variant && where->variant[0] ? where->variant : NULL;
    if (S_ISREG(info.st_mode))
        return take_file(out, err);
    if (!S_ISDIR(info.st_mode))
        return plim_fail_at(err, PLIM_E_IO, place, "is neither a folder nor a file");
    if (!where->subfolder || !where->subfolder[0]) {
        memcpy(out->directory, out->path, sizeof out->directory);
        return take_folder(out, alloc, variant, log, err);
    }
    char subfolder[PLIM_PATH_BYTES];
    if ((status = copy_path(subfolder, where->subfolder, err)))
        return status;
    if (!plim_path_is_inside(subfolder))
        return plim_fail(err, PLIM_E_UNSAFE, "the subfolder '%s' does not lie inside the folder",
                         plim_shorten(subfolder).text);
    if ((status = plim_path_join(out->directory, sizeof out->directory, out->path, subfolder, err)))
        return status;
    bool found;
    if ((status = plim_path_find_folder(&found, out->directory, err)))
        return status;
    if (!found)
        return plim_fail_at(err, PLIM_E_IO, (plim_where){out->directory, NULL, -1},
                            "there is no such folder in the checkpoint");
    return take_folder(out, alloc, variant, log, err);
}
