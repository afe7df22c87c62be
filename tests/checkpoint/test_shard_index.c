/* SPDX-License-Identifier: Apache-2.0
 *
 * Sharded checkpoints: every broken index gets its class, with the tensor and the place in the
 * index; and what a whole one gives. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "checkpoint_test.h"

#define INDEX        "model.safetensors.index.json"
#define ONE          "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
#define TWO          "{\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}"
#define MAP(entries) "{\"metadata\":{\"total_size\":6},\"weight_map\":{" entries "}}"
#define GOOD         MAP("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"")

/* 1.safetensors holds a, 2.safetensors holds b, sub/3.safetensors holds a again. */
static void put_shards(const char *root)
{
    put_tensors(root, "1.safetensors", ONE, 4);
    put_tensors(root, "2.safetensors", TWO, 2);
    put_tensors(root, "sub/3.safetensors", ONE, 4);
}

typedef struct bad {
    const char *id;
    plim_status code;
    const char *index;
    size_t index_bytes; /* 0: strlen */
    const char *tensor;
    const char *at;
    int64_t offset; /* where `at` is NULL */
    const char *says;
} bad;

/* clang-format off */
static const bad table[] = {
    {.id = "dotdot", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"../1.safetensors\""),
     .tensor = "a", .at = "\"../"},
    {.id = "dotdot-inside", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"sub/../1.safetensors\""),
     .tensor = "a", .at = "\"sub/"},
    {.id = "absolute", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"/etc/passwd\""), .tensor = "a",
     .at = "\"/etc"},
    {.id = "backslash-unc", .code = PLIM_E_UNSAFE,
     .index = MAP("\"a\":\"\\\\\\\\host\\\\share\\\\1.safetensors\""), .tensor = "a",
     .at = "\"\\\\"},
    {.id = "drive", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"C:1.safetensors\""), .tensor = "a",
     .at = "\"C:"},
    {.id = "dot", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"./1.safetensors\""), .tensor = "a",
     .at = "\"./"},
    {.id = "empty-name", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"\""), .tensor = "a",
     .at = "\"\""},
    {.id = "nul-in-shard", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"1.safetensors\\u0000x\""),
     .tensor = "a", .at = "\"1.s"},
    {.id = "nul-after-the-same", .code = PLIM_E_UNSAFE,
     .index = MAP("\"a\":\"1.safetensors\",\"b\":\"1.safetensors\\u0000\""), .tensor = "b",
     .at = "\"1.safetensors\\u"},
    {.id = "newline-in-shard", .code = PLIM_E_UNSAFE, .index = MAP("\"a\":\"1\\n\""), .tensor = "a",
     .at = "\"1\\n"},
    {.id = "shard-missing", .code = PLIM_E_MISMATCH,
     .index = MAP("\"b\":\"2.safetensors\",\"c\":\"4.safetensors\",\"d\":\"4.safetensors\""),
     .tensor = "c", .at = "\"c\"", .says = "4.safetensors is not there"},
    {.id = "shard-folder-missing", .code = PLIM_E_MISMATCH,
     .index = MAP("\"a\":\"1.safetensors/x.safetensors\""), .tensor = "a", .at = "\"a\""},
    {.id = "shard-is-folder", .code = PLIM_E_IO, .index = MAP("\"a\":\"sub\""), .offset = -1,
     .says = "is a folder"},
    {.id = "tensor-not-in-shard", .code = PLIM_E_MISMATCH,
     .index = MAP("\"a\":\"1.safetensors\",\"c\":\"2.safetensors\""), .tensor = "c", .at = "\"c\"",
     .says = "puts it in 2.safetensors"},
    {.id = "tensor-in-the-other-shard", .code = PLIM_E_MISMATCH,
     .index = MAP("\"a\":\"2.safetensors\",\"b\":\"1.safetensors\""), .tensor = "a", .at = "\"a\"",
     .says = "puts it in 2.safetensors, it is in 1.safetensors"},
    {.id = "tensor-in-two-shards", .code = PLIM_E_MISMATCH,
     .index = MAP("\"a\":\"1.safetensors\",\"x\":\"sub/3.safetensors\""), .tensor = "a",
     .offset = -1, .says = "stored in 1.safetensors too"},
    {.id = "no-weight_map", .code = PLIM_E_FORMAT, .index = "{\"metadata\":{}}", .offset = -1,
     .says = "no weight_map"},
    {.id = "empty-weight_map", .code = PLIM_E_FORMAT, .index = MAP(""), .offset = -1},
    {.id = "weight_map-array", .code = PLIM_E_FORMAT, .index = "{\"weight_map\":[]}", .at = "[]"},
    {.id = "weight_map-null", .code = PLIM_E_FORMAT, .index = "{\"weight_map\":null}",
     .at = "null"},
    {.id = "value-not-string", .code = PLIM_E_FORMAT, .index = MAP("\"a\":17"), .tensor = "a",
     .at = "17"},
    {.id = "value-array", .code = PLIM_E_FORMAT, .index = MAP("\"a\":[\"1.safetensors\"]"),
     .tensor = "a", .at = "[\"1"},
    {.id = "dup-key", .code = PLIM_E_FORMAT,
     .index = MAP("\"a\":\"1.safetensors\", \"a\":\"1.safetensors\""), .offset = 64,
     .says = "duplicate key \"a\""},
    {.id = "dup-weight_map", .code = PLIM_E_FORMAT,
     .index = "{\"weight_map\":{\"a\":\"1.safetensors\"}, \"weight_map\":{}}", .offset = 37},
    {.id = "metadata-array", .code = PLIM_E_FORMAT, .index = "{\"metadata\":[1],\"weight_map\":{}}",
     .at = "[1]"},
    {.id = "top-array", .code = PLIM_E_FORMAT, .index = "[]", .offset = 0},
    {.id = "not-json", .code = PLIM_E_FORMAT, .index = "weights", .offset = 0},
    {.id = "trailing-junk", .code = PLIM_E_FORMAT, .index = GOOD "x", .offset = sizeof GOOD - 1},
    {.id = "nul", .code = PLIM_E_FORMAT, .index = GOOD "\0", .index_bytes = sizeof GOOD,
     .offset = sizeof GOOD - 1},
    {.id = "invalid-utf8", .code = PLIM_E_FORMAT, .index = MAP("\"a\xff\":\"1\""), .at = "\xff"},
    {.id = "nul-in-key", .code = PLIM_E_FORMAT, .index = MAP("\"a\\u0000\":\"1.safetensors\""),
     .at = "\"a\\u"},
    {.id = "cut", .code = PLIM_E_TRUNC, .index = "{\"weight_map\":{\"a\":", .offset = 19},
};
/* clang-format on */

static void expect_bad(const char *root, const bad *b)
{
    size_t bytes = b->index_bytes ? b->index_bytes : strlen(b->index);
    put_bytes(root, INDEX, b->index, bytes);
    int64_t offset =
        b->at ? (const char *)memmem(b->index, bytes, b->at, strlen(b->at)) - b->index : b->offset;
    plim_error err;
    path_fails(root, b->code, &err);
    if (err.offset != offset || strcmp(err.tensor, b->tensor ? b->tensor : "") ||
        strncmp(err.message, root, strlen(root)) || (b->says && !strstr(err.message, b->says)))
        fail_msg("%s: want tensor '%s', byte %lld, got '%s', byte %lld: %s", b->id,
                 b->tensor ? b->tensor : "", (long long)offset, err.tensor, (long long)err.offset,
                 err.message);
    if (b->offset != -1)
        assert_string_equal(err.file, in(root, INDEX));
}

static void test_table(void **state)
{
    put_shards(*state);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_bad(*state, &table[i]);
    put_text(*state, INDEX, "");
    plim_error err;
    path_fails(*state, PLIM_E_TRUNC, &err);
    assert_int_equal(err.offset, 0);
}

static void test_depth_bombs(void **state)
{
    static const char *const starts[] = {"",
                                         "{\"x\":",
                                         "{\"metadata\":",
                                         "{\"metadata\":{\"dtype\":",
                                         "{\"weight_map\":",
                                         "{\"weight_map\":{\"a\":"};
    enum { DEEP = 100000 };
    char *text = malloc(100 + DEEP);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t used = strlen(starts[i]);
        memcpy(text, starts[i], used);
        memset(text + used, '[', DEEP);
        put_bytes(*state, INDEX, text, used + DEEP);
        plim_error err;
        path_fails(*state, PLIM_E_LIMIT, &err);
        assert_in_range(err.offset, 60, 100);
    }
    free(text);
}

static void test_special_shards(void **state)
{
    plim_error err;
    put_text(*state, INDEX, MAP("\"a\":\"pipe\""));
    assert_int_equal(mkfifo(in(*state, "pipe"), 0600), 0);
    path_fails(*state, PLIM_E_UNSAFE, &err);
    assert_string_equal(err.file, in(*state, "pipe"));
    put_text(*state, INDEX, MAP("\"a\":\"zero\""));
    assert_int_equal(symlink("/dev/zero", in(*state, "zero")), 0);
    path_fails(*state, PLIM_E_UNSAFE, &err);
    assert_string_equal(err.file, in(*state, "zero"));
    put_text(*state, INDEX, MAP("\"a\":\"socket\""));
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%.90s/socket", (char *)*state);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    path_fails(*state, PLIM_E_UNSAFE, &err);
    put_text(*state, INDEX, MAP("\"a\":\"gone\""));
    assert_int_equal(symlink("nowhere", in(*state, "gone")), 0);
    path_fails(*state, PLIM_E_MISMATCH, &err);
    assert_string_equal(err.tensor, "a");
    put_text(*state, INDEX, MAP("\"a\":\"loop\""));
    assert_int_equal(symlink("loop", in(*state, "loop")), 0);
    path_fails(*state, PLIM_E_IO, &err);
}

static void test_broken_shard(void **state)
{
    plim_error err;
    put_shards(*state);
    put_text(*state, INDEX, GOOD);
    put_tensors(*state, "2.safetensors", TWO, 1);
    path_fails(*state, PLIM_E_TRUNC, &err);
    assert_string_equal(err.file, in(*state, "2.safetensors"));
    assert_string_equal(err.tensor, "b");
}

static void on_log(void *user, plim_log_level level, const char *line)
{
    if (level == PLIM_LOG_INFO)
        snprintf(user, 1024, "%s", line);
}

/* Shards are in order of name whatever the index's order; links are followed; unlisted tensors are
 * there. */
static void test_good(void **state)
{
    put_tensors(*state, "blobs/x", ONE, 4);
    assert_int_equal(symlink("blobs/x", in(*state, "9.safetensors")), 0);
    put_tensors(*state, "sub/2.safetensors",
                "{\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                "\"unlisted\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[2,10]}}",
                10);
    put_text(
        *state, INDEX,
        "{\"x\":[1,{\"y\":2}],\"weight_map\":{\"a\":\"9.safetensors\",\"b\":\"sub/2.safetensors\"},"
        "\"metadata\":{\"dtype\":\"bfloat16\",\"total_size\":1e99}}");
    char line[1024] = "";
    plim_log log = {on_log, line};
    plim_stored_set *set;
    plim_error err;
    plim_checkpoint_where where = {.path = *state};
    counting c;
    counting_init(&c);
    assert_int_equal(plim_stored_open(&set, &c.alloc, &where, &log, &err), PLIM_OK);
    assert_int_equal(set->file_count, 2);
    assert_string_equal(set->files[0].path, in(*state, "9.safetensors"));
    assert_string_equal(set->files[1].path, in(*state, "sub/2.safetensors"));
    assert_int_equal(set->files[0].first_float, PLIM_F32);
    assert_int_equal(set->files[1].first_float, PLIM_F16);
    assert_int_equal(set->index_dtype, PLIM_BF16);
    assert_string_equal(set->directory, *state);
    assert_int_equal(set->tensor_count, 3);
    assert_int_equal(set->tensor_cap, 3);
    const plim_stored *b = plim_stored_find(set, "b");
    assert_int_equal(b->file, 1);
    assert_int_equal(b->offset, set->files[1].data_offset);
    const plim_stored *unlisted = plim_stored_find(set, "unlisted");
    assert_int_equal(unlisted->offset, set->files[1].data_offset + 2);
    assert_non_null(strstr(line, "lists 2 of the 3 tensors"));
    plim_stored_close(&set);
    assert_int_equal(c.live, 0);
}

/* The index without metadata, with a dtype we don't know, given by its own path. */
static void test_direct_path(void **state)
{
    put_shards(*state);
    put_text(*state, "other.index.json", "{\"weight_map\":{\"a\":\"1.safetensors\"}}");
    plim_stored_set *set = open_works(in(*state, "other.index.json"));
    assert_int_equal(set->tensor_count, 1);
    assert_int_equal(set->index_dtype, PLIM_AUTO);
    assert_string_equal(set->directory, *state);
    plim_stored_close(&set);
    put_text(*state, INDEX,
             "{\"metadata\":{\"dtype\":\"float3\"},\"weight_map\":{\"a\":\"1.safetensors\"}}");
    set = open_works(in(*state, INDEX));
    assert_int_equal(set->index_dtype, PLIM_AUTO);
    plim_stored_close(&set);
}

static void put_many_shards(const char *root, unsigned count)
{
    char name[64], header[200];
    char *index = malloc(count * 64 + 100);
    assert_non_null(index);
    size_t used = (size_t)sprintf(index, "{\"weight_map\":{");
    for (unsigned i = 0; i < count; i++) {
        /* the index is in another order than the names */
        unsigned n = (i * 7u) % count;
        snprintf(header, sizeof header,
                 "{\"t%u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", n);
        snprintf(name, sizeof name, "m-%05u.safetensors", n);
        put_tensors(root, name, header, 1);
        used += (size_t)sprintf(index + used, "%s\"t%u\":\"%s\"", i ? "," : "", n, name);
    }
    sprintf(index + used, "}}");
    put_text(root, INDEX, index);
    free(index);
}

/* Hundreds of shards within the usual 1024 descriptors; too few of them is IO, and says so. */
static void test_many_shards(void **state)
{
    plim_error err;
    struct rlimit before, few;
    put_many_shards(*state, 900);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    plim_stored_set *set = open_works(*state);
    assert_int_equal(set->file_count, 900);
    assert_string_equal(set->files[899].path, in(*state, "m-00899.safetensors"));
    assert_int_equal(plim_stored_find(set, "t123")->file, 123);
    plim_stored_close(&set);
    few.rlim_cur = 500;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    path_fails(*state, PLIM_E_IO, &err);
    assert_non_null(strstr(err.message, "open files"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* More shards than any checkpoint has, and the name of a tensor that is too long: refused before a
 * shard is opened. */
static void test_caps(void **state)
{
    enum { MANY = 16385, LONG = 4097 };
    plim_error err;
    char *text = malloc(MANY * 24 + 100);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "{\"weight_map\":{"), last = 0;
    for (unsigned i = 0; i < MANY; i++) {
        used += (size_t)sprintf(text + used, "%s\"%u\":", i ? "," : "", i);
        last = used;
        used += (size_t)sprintf(text + used, "\"s%u\"", i);
    }
    sprintf(text + used, "}}");
    put_text(*state, INDEX, text);
    path_fails(*state, PLIM_E_LIMIT, &err);
    assert_string_equal(err.tensor, "16384");
    assert_int_equal(err.offset, last);
    used = (size_t)sprintf(text, "{\"weight_map\":{\"");
    memset(text + used, 'n', LONG);
    sprintf(text + used + LONG, "\":\"1.safetensors\"}}");
    put_text(*state, INDEX, text);
    path_fails(*state, PLIM_E_LIMIT, &err);
    assert_int_equal(err.offset, used - 1);
    free(text);
}

/* Each allocation refused, once and from then on: the refusal comes back, nothing stays, the next
 * try works.  The names fill blocks of their own, and stand in no order. */
static void test_allocations(void **state)
{
    char big[3000], header[3200];
    memset(big, 'n', sizeof big - 1);
    big[sizeof big - 1] = 0;
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"F3\",\"shape\":[1],\"data_offsets\":[4,5]},"
             "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
             big);
    put_shards(*state);
    put_tensors(*state, "1.safetensors", header, 5);
    put_text(*state, INDEX, GOOD);
    put_text(*state, "config.json", "{\"model_type\":\"x\"}");
    plim_checkpoint_where where = {.path = *state};
    for (int fails_on = 0; fails_on < 2; fails_on++) {
        plim_status status = PLIM_E_BUDGET;
        size_t k = 0;
        while (status) {
            plim_stored_set *set;
            plim_error err;
            counting c;
            counting_init(&c);
            c.fail_at = ++k;
            c.fails_on = fails_on;
            size_t before = open_descriptors();
            status = plim_stored_open(&set, &c.alloc, &where, NULL, &err);
            if (!status) {
                assert_true(c.calls < k);
                assert_int_equal(set->tensor_count, 3);
                plim_stored_close(&set);
            } else {
                assert_int_equal(status, PLIM_E_BUDGET);
                assert_int_equal(err.code, PLIM_E_BUDGET);
                assert_null(set);
            }
            assert_int_equal(c.live, 0);
            assert_int_equal(open_descriptors(), before);
        }
        assert_true(k > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_depth_bombs, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_special_shards, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_broken_shard, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_good, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_direct_path, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_many_shards, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_caps, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_allocations, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("shard index", tests, NULL, NULL);
}
