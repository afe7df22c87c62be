/* SPDX-License-Identifier: Apache-2.0
 *
 * Safetensors headers: whatever is accepted lies inside its file, is sorted, unique, of the size
 * that its shape says, and covers the data without a hole. Input: one byte; when it is odd the rest
 * is a whole file; else two bytes (data bytes, little endian), then the header, whose length is put
 * before it. */
#include <sys/mman.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "fuzz.h"

static void check_tensor(const plim_stored_set *set, const plim_stored *t)
{
    uint64_t bytes;
    const plim_stored_file *file = &set->files[t->file];
    must(t->file < set->file_count);
    must(t->shape.rank <= PLIM_MAX_DIMS);
    must(t->offset >= file->data_offset && t->bytes <= file->file.identity.bytes);
    must(t->offset <= file->file.identity.bytes - t->bytes);
    must(plim_stored_find(set, t->name) == t);
    if (t->dtype == PLIM_AUTO)
        must(t->dtype_name &&
             plim_dtype_from_name(t->dtype_name, strlen(t->dtype_name)) == PLIM_AUTO);
    else
        must(!t->dtype_name && plim_shape_bytes(&t->shape, t->dtype, &bytes) && bytes == t->bytes);
}

static void check_set(const plim_stored_set *set)
{
    uint64_t sum = 0;
    must(set->file_count == 1);
    for (size_t i = 0; i < set->tensor_count; i++) {
        check_tensor(set, &set->tensors[i]);
        must(i == 0 || strcmp(set->tensors[i - 1].name, set->tensors[i].name) < 0);
        sum += set->tensors[i].bytes;
    }
    must(sum == set->files[0].file.identity.bytes - set->files[0].data_offset);
    must(plim_stored_check(set, NULL) == PLIM_OK);
}

/* The input as a file that has no name on any disk. */
static int make_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("st", MFD_CLOEXEC);
    must(fd >= 0);
    bool raw = data[0] & 1;
    size_t head = raw ? 1 : 3;
    if (!raw) {
        uint8_t length[8] = {0};
        for (int i = 0; i < 8; i++)
            length[i] = (uint8_t)((uint64_t)(size - head) >> (8 * i));
        must(write(fd, length, 8) == 8);
    }
    must(write(fd, data + head, size - head) == (ssize_t)(size - head));
    if (!raw)
        must(!ftruncate(fd, (off_t)(8 + size - head + (data[1] | data[2] << 8))));
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || (!(data[0] & 1) && size < 3))
        return 0;
    int fd = make_file(data, size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_alloc a;
    fuzz_alloc_init(&a);
    plim_checkpoint_where where = {.path = path};
    plim_stored_set *set;
    plim_error err;
    plim_status status = plim_stored_open(&set, &a.alloc, &where, NULL, &err);
    if (status) {
        must_be_error(status, &err);
        must(!set && !strcmp(err.file, path));
    } else {
        check_set(set);
    }
    plim_stored_close(&set);
    must(a.live == 0);
    close(fd);
    return 0;
}
