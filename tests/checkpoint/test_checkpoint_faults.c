/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's faults, injected in front of the calls of base/file: short reads and interruptions
 * change nothing; every other failure of any one call comes back as an error, and leaves nothing
 * behind. */
#include "checkpoint_test.h"

typedef enum fault { NONE, SHORT, INTERRUPTED, FAILS, ENDS } fault;

static fault read_fault;
static size_t reads, fail_read, opens, fail_open;

ssize_t __real_pread(int fd, void *dst, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

ssize_t __wrap_pread(int fd, void *dst, size_t bytes, off_t offset)
{
    bool now = ++reads == fail_read;
    if (read_fault == INTERRUPTED && reads % 2) {
        errno = EINTR;
        return -1;
    }
    if (read_fault == FAILS && now) {
        errno = EIO;
        return -1;
    }
    if (read_fault == ENDS && now)
        return 0;
    return __real_pread(fd, dst, read_fault == SHORT && bytes ? 1 : bytes, offset);
}

int __wrap_open(const char *path, int flags, ...)
{
    if (++opens == fail_open) {
        errno = EMFILE;
        return -1;
    }
    return __real_open(path, flags);
}

static void reset(void)
{
    read_fault = NONE;
    reads = fail_read = opens = fail_open = 0;
}

static int make(void **state)
{
    reset();
    if (folder_make(state))
        return -1;
    put_tensors(*state, "1.safetensors",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    put_tensors(*state, "2.safetensors",
                "{\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2);
    put_text(*state, "model.safetensors.index.json",
             "{\"weight_map\":{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}}");
    put_text(*state, "config.json", "{\"model_type\":\"x\"}");
    return 0;
}

static int remove_all(void **state)
{
    reset();
    return folder_remove(state);
}

static void check_whole(plim_stored_set *set)
{
    assert_int_equal(set->tensor_count, 2);
    assert_string_equal(set->tensors[0].name, "a");
    assert_int_equal(set->tensors[0].offset, set->files[0].data_offset);
    assert_int_equal(set->tensors[1].dtype, PLIM_F16);
    plim_stored_close(&set);
}

static void test_short_reads(void **state)
{
    read_fault = SHORT;
    check_whole(open_works(*state));
    assert_true(reads > 200);
}

static void test_interruptions(void **state)
{
    read_fault = INTERRUPTED;
    check_whole(open_works(*state));
    assert_true(reads > 10);
}

/* Let call number 1, 2, ... fail until none is left; then the same folder opens. */
static void fail_each(const char *root, fault kind, size_t *fail_at, const size_t *calls)
{
    plim_checkpoint_where where = {.path = root};
    for (size_t k = 1;; k++) {
        plim_stored_set *set;
        plim_error err;
        counting c;
        counting_init(&c);
        reset();
        read_fault = kind;
        *fail_at = k;
        size_t before = open_descriptors();
        plim_status status = plim_stored_open(&set, &c.alloc, &where, NULL, &err);
        bool reached = *calls >= k;
        reset();
        if (!reached) {
            assert_int_equal(status, PLIM_OK);
            check_whole(set);
            assert_true(k > 4);
            return;
        }
        /* a config that ends too early is no fault of the weights */
        bool config = kind == ENDS && status == PLIM_OK;
        if (config) {
            plim_stored_close(&set);
        } else {
            assert_true(kind == ENDS ? status < 0 : status == PLIM_E_IO);
            assert_int_equal(err.code, status);
            assert_int_equal(strncmp(err.file, root, strlen(root)), 0);
            assert_null(set);
        }
        assert_int_equal(c.live, 0);
        assert_int_equal(open_descriptors(), before);
    }
}

static void test_read_errors(void **state)
{
    fail_each(*state, FAILS, &fail_read, &reads);
}

static void test_early_ends(void **state)
{
    fail_each(*state, ENDS, &fail_read, &reads);
}

static void test_open_errors(void **state)
{
    fail_each(*state, NONE, &fail_open, &opens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_short_reads, make, remove_all),
        cmocka_unit_test_setup_teardown(test_interruptions, make, remove_all),
        cmocka_unit_test_setup_teardown(test_read_errors, make, remove_all),
        cmocka_unit_test_setup_teardown(test_early_ends, make, remove_all),
        cmocka_unit_test_setup_teardown(test_open_errors, make, remove_all),
    };
    return cmocka_run_group_tests_name("faults while opening", tests, NULL, NULL);
}
