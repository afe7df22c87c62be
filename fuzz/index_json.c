/* SPDX-License-Identifier: Apache-2.0
 *
 * Indices of shards: in a folder with two shards and, outside of it, one that must never be opened;
 * whatever the index says, the files that are opened are those two or one of them. Input: the
 * index. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "fuzz.h"

static char root[64];

static void put(const char *name, const void *bytes, size_t count)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bytes, count) == (ssize_t)count);
    close(fd);
}

static void put_shard(const char *name, const char *header)
{
    uint8_t file[256] = {(uint8_t)strlen(header)};
    memcpy(file + 8, header, strlen(header));
    put(name, file, 8 + strlen(header) + 4);
}

static void remove_folder(void)
{
    static const char *const names[] = {"in/a", "in/b", "c", "in/i.index.json", "in", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        remove(path);
    }
}

static void make_folder(void)
{
    char in[128];
    snprintf(root, sizeof root, "%s/plim-fuzz-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    must(mkdtemp(root));
    snprintf(in, sizeof in, "%s/in", root);
    must(!mkdir(in, 0700));
    put_shard("in/a", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    put_shard("in/b", "{\"y\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}");
    put_shard("c", "{\"z\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    atexit(remove_folder);
}

static void check_set(const plim_stored_set *set, const char *folder)
{
    char a[160], b[160];
    snprintf(a, sizeof a, "%s/a", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    must(set->file_count >= 1 && set->file_count <= 2 && set->tensor_count == set->file_count);
    for (size_t i = 0; i < set->file_count; i++)
        must(!strcmp(set->files[i].path, a) || !strcmp(set->files[i].path, b));
    must(set->file_count == 1 || strcmp(set->files[0].path, set->files[1].path) < 0);
    must(!plim_stored_find(set, "z"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!root[0])
        make_folder();
    put("in/i.index.json", data, size);
    char path[128], folder[128];
    snprintf(folder, sizeof folder, "%s/in", root);
    snprintf(path, sizeof path, "%s/in/i.index.json", root);
    fuzz_alloc a;
    fuzz_alloc_init(&a);
    plim_checkpoint_where where = {.path = path};
    plim_stored_set *set;
    plim_error err;
    plim_status status = plim_stored_open(&set, &a.alloc, &where, NULL, &err);
    if (status)
        must_be_error(status, &err);
    else
        check_set(set, folder);
    must((status == PLIM_OK) == (set != NULL));
    plim_stored_close(&set);
    must(a.live == 0);
    return 0;
}
