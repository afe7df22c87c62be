/* SPDX-License-Identifier: Apache-2.0
 *
 * Which file of a folder is taken (as from_pretrained takes them), and what is said when there is
 * none. */
#include "checkpoint_test.h"

#define HEADER(name)         "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
#define INDEX(tensor, shard) "{\"metadata\":{},\"weight_map\":{\"" tensor "\":\"" shard "\"}}"

/* A file with one tensor, named as the file is, so that a test sees which one was taken. */
static void put(const char *root, const char *name)
{
    char header[300];
    const char *base = strrchr(name, '/');
    snprintf(header, sizeof header, HEADER("%s"), base ? base + 1 : name);
    put_tensors(root, name, header, 1);
}

static void takes(const plim_checkpoint_where *where, const char *tensor, const char *directory)
{
    plim_stored_set *set;
    plim_error err;
    if (plim_stored_open(&set, plim_alloc_system(), where, NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(set->tensor_count, 1);
    assert_string_equal(set->tensors[0].name, tensor);
    assert_string_equal(set->directory, directory);
    plim_stored_close(&set);
}

static void fails(const plim_checkpoint_where *where, plim_status code, const char *says)
{
    plim_error err;
    open_fails(where, code, &err);
    if (!strstr(err.message, says))
        fail_msg("'%s' is not in: %s", says, err.message);
}

static void test_order(void **state)
{
    const char *root = *state;
    plim_checkpoint_where plain = {.path = root}, fp16 = {.path = root, .variant = "fp16"},
                          empty = {.path = root, .subfolder = "", .variant = ""};
    put(root, "shard.safetensors");
    put(root, "shard16.safetensors");
    put_text(root, "pytorch_model.bin", "x");
    put_text(root, "model.safetensors.index.json", INDEX("shard.safetensors", "shard.safetensors"));
    takes(&plain, "shard.safetensors", root);
    put(root, "model.safetensors");
    takes(&plain, "model.safetensors", root);
    takes(&empty, "model.safetensors", root);
    put_text(root, "model.safetensors.index.fp16.json",
             INDEX("shard16.safetensors", "shard16.safetensors"));
    takes(&fp16, "shard16.safetensors", root);
    put(root, "model.fp16.safetensors");
    takes(&fp16, "model.fp16.safetensors", root);
    takes(&plain, "model.safetensors", root);
    /* config.json wins over all, also over a variant */
    put(root, "weights.safetensors");
    put_text(root, "config.json", "{\"transformers_weights\":\"weights.safetensors\"}");
    takes(&plain, "weights.safetensors", root);
    takes(&fp16, "weights.safetensors", root);
    put_text(root, "config.json",
             "{\"a\":[{}],\"transformers_weights\":\"w.safetensors.index.json\"}");
    put_text(root, "w.safetensors.index.json", INDEX("shard.safetensors", "shard.safetensors"));
    takes(&plain, "shard.safetensors", root);
    put_text(root, "config.json", "{\"transformers_weights\":null}");
    takes(&plain, "model.safetensors", root);
}

static void test_paths(void **state)
{
    const char *root = *state;
    char slashes[4096];
    put(root, "sub/deep/model.safetensors");
    put(root, "sub/other.safetensors");
    snprintf(slashes, sizeof slashes, "%s/sub//", root);
    takes(&(plim_checkpoint_where){.path = slashes, .subfolder = "deep/"}, "model.safetensors",
          in(root, "sub/deep"));
    takes(&(plim_checkpoint_where){.path = root, .subfolder = "sub/deep"}, "model.safetensors",
          in(root, "sub/deep"));
    takes(&(plim_checkpoint_where){.path = in(root, "sub/other.safetensors")}, "other.safetensors",
          in(root, "sub"));
    /* a file's own path leaves nothing to look for */
    takes(&(plim_checkpoint_where){.path = in(root, "sub/other.safetensors"),
                                   .subfolder = "x",
                                   .variant = "y"},
          "other.safetensors", in(root, "sub"));
    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir(in(root, "sub")), 0);
    takes(&(plim_checkpoint_where){.path = "other.safetensors"}, "other.safetensors", ".");
    assert_int_equal(chdir("deep"), 0);
    takes(&(plim_checkpoint_where){.path = "."}, "model.safetensors", ".");
    assert_int_equal(chdir(here), 0);
    free(here);
    /* a blob of the Hub's cache has no suffix */
    put(root, "blobs/0123abcd");
    takes(&(plim_checkpoint_where){.path = in(root, "blobs/0123abcd")}, "0123abcd",
          in(root, "blobs"));
}

static void test_links(void **state)
{
    const char *root = *state;
    put(root, "blobs/blob");
    assert_int_equal(mkdir(in(root, "snapshot"), 0700), 0);
    assert_int_equal(symlink("../blobs/blob", in(root, "snapshot/model.safetensors")), 0);
    takes(&(plim_checkpoint_where){.path = in(root, "snapshot")}, "blob", in(root, "snapshot"));
    assert_int_equal(symlink("snapshot", in(root, "linked")), 0);
    takes(&(plim_checkpoint_where){.path = in(root, "linked")}, "blob", in(root, "linked"));
}

static void test_nothing_there(void **state)
{
    const char *root = *state;
    plim_checkpoint_where plain = {.path = root}, fp16 = {.path = root, .variant = "fp16"};
    fails(&(plim_checkpoint_where){.path = NULL}, PLIM_E_USAGE, "no path");
    fails(&(plim_checkpoint_where){.path = ""}, PLIM_E_USAGE, "no path");
    fails(&(plim_checkpoint_where){.path = in(root, "none")}, PLIM_E_IO, "No such file");
    fails(&(plim_checkpoint_where){.path = root, .subfolder = "none"}, PLIM_E_IO, "no such folder");
    fails(&plain, PLIM_E_IO,
          "there is no model.safetensors and no model.safetensors.index.json here");
    fails(&fp16, PLIM_E_IO,
          "there is no model.fp16.safetensors and no model.safetensors.index.fp16.json here");
    put_text(root, "model.gguf", "GGUF");
    fails(&plain, PLIM_E_UNSUP, "only model.gguf, which is not read yet");
    put_text(root, "a.pt", "x");
    put_text(root, "pytorch_model.bin.index.json", "{}");
    fails(&plain, PLIM_E_UNSUP, "only pytorch_model.bin.index.json");
    put_text(root, "pytorch_model.bin", "x");
    fails(&plain, PLIM_E_UNSUP,
          "only pytorch_model.bin, which is not read yet: load it in Transformers");
    /* from_pretrained would take the .bin, not these */
    put(root, "b.safetensors");
    fails(&plain, PLIM_E_UNSUP, "only pytorch_model.bin");
    unlink(in(root, "pytorch_model.bin"));
    unlink(in(root, "pytorch_model.bin.index.json"));
    fails(&plain, PLIM_E_IO, "but b.safetensors: give the path");
    put(root, "a.safetensors");
    fails(&plain, PLIM_E_IO, "but a.safetensors, b.safetensors: give the path");
    fails(&fp16, PLIM_E_IO, "but a.safetensors, b.safetensors: try without the variant");
    for (char name[] = "c.safetensors"; name[0] <= 'h'; name[0]++)
        put(root, name);
    fails(&plain, PLIM_E_IO,
          "but a.safetensors, b.safetensors, c.safetensors, d.safetensors, "
          "e.safetensors, f.safetensors and 2 more: give");
}

/* A snapshot whose weights were never fetched: the command that fetches them. */
static void test_incomplete_snapshot(void **state)
{
    const char *root = *state;
#define COMMIT "0123456789abcdef0123456789abcdef01234567"
    put_text(root, "models--org--a--b/snapshots/" COMMIT "/sub/x", "");
    put_text(root, "models--gpt2/snapshots/" COMMIT "/config.json", "{}");
    put_text(root, "models--gpt2/snapshots/0123/config.json", "{}");
    put_text(root, "mine/snapshots/" COMMIT "/config.json", "{}");
    fails(&(plim_checkpoint_where){.path = in(root, "models--gpt2/snapshots/" COMMIT)}, PLIM_E_IO,
          "here: fetch it with `hf download gpt2 --revision " COMMIT "`");
    fails(&(plim_checkpoint_where){.path = in(root, "models--org--a--b/snapshots/" COMMIT),
                                   .subfolder = "sub"},
          PLIM_E_IO, "here: fetch it with `hf download org/a--b --revision " COMMIT "`");
    static const char *const others[] = {"models--gpt2/snapshots/0123", "mine/snapshots/" COMMIT};
    for (size_t i = 0; i < 2; i++) {
        plim_error err;
        open_fails(&(plim_checkpoint_where){.path = in(root, others[i])}, PLIM_E_IO, &err);
        assert_null(strstr(err.message, "fetch"));
    }
}

static void test_refused(void **state)
{
    const char *root = *state;
    put(root, "x/model.safetensors");
    fails(&(plim_checkpoint_where){.path = root, .subfolder = "../x"}, PLIM_E_UNSAFE, "subfolder");
    fails(&(plim_checkpoint_where){.path = root, .subfolder = "/etc"}, PLIM_E_UNSAFE, "subfolder");
    fails(&(plim_checkpoint_where){.path = root, .variant = "../x"}, PLIM_E_USAGE, "variant");
    fails(&(plim_checkpoint_where){.path = root, .variant = "a/b"}, PLIM_E_USAGE, "variant");
    fails(&(plim_checkpoint_where){.path = "/dev/zero"}, PLIM_E_IO, "neither a folder nor a file");
    assert_int_equal(mkfifo(in(root, "model"), 0600), 0);
    fails(&(plim_checkpoint_where){.path = in(root, "model")}, PLIM_E_IO,
          "neither a folder nor a file");
    assert_int_equal(mkfifo(in(root, "model.safetensors"), 0600), 0);
    fails(&(plim_checkpoint_where){.path = root}, PLIM_E_UNSAFE, "fifo");
    unlink(in(root, "model.safetensors"));
    assert_int_equal(symlink("gone", in(root, "model.safetensors")), 0);
    fails(&(plim_checkpoint_where){.path = root}, PLIM_E_IO,
          "symbolic link to a file that is not there");
    put_text(root, "m.gguf", "GGUF");
    fails(&(plim_checkpoint_where){.path = in(root, "m.gguf")}, PLIM_E_UNSUP, "GGUF");
    put_text(root, "m.bin", "PK");
    fails(&(plim_checkpoint_where){.path = in(root, "m.bin")}, PLIM_E_UNSUP, ".safetensors");
    char *deep = malloc(5001);
    assert_non_null(deep);
    memset(deep, 'x', 5000);
    deep[5000] = 0;
    fails(&(plim_checkpoint_where){.path = deep}, PLIM_E_LIMIT, "5000 bytes");
    fails(&(plim_checkpoint_where){.path = root, .subfolder = deep}, PLIM_E_LIMIT, "5000 bytes");
    deep[4090] = 0;
    fails(&(plim_checkpoint_where){.path = root, .subfolder = deep}, PLIM_E_LIMIT, "too long");
    free(deep);
}

/* As root by way of another user, for whom the folder or the file is closed. */
static void test_no_permission(void **state)
{
    const char *root = *state;
    bool is_root = geteuid() == 0;
    put(root, "model.safetensors");
    if (is_root && seteuid(65534)) {
        print_message("no other user to be: permissions are not looked at\n");
        skip();
    }
    if (is_root)
        fails(&(plim_checkpoint_where){.path = root}, PLIM_E_IO, "Permission denied");
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(in(root, "model.safetensors"), 0), 0);
    assert_int_equal(chmod(root, 0755), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    fails(&(plim_checkpoint_where){.path = root}, PLIM_E_IO, "Permission denied");
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(root, 0644), 0); /* may be listed, not entered */
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    fails(&(plim_checkpoint_where){.path = root}, PLIM_E_IO, "Permission denied");
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(root, 0700), 0);
}

/* Faults of config.json that are nobody's business here, and those that are. */
static void test_config(void **state)
{
    const char *root = *state;
    plim_checkpoint_where where = {.path = root};
    static const char *const harmless[] = {"", "[]", "{\"a\":NaN}", "{\"a\":1,\"a\":2}", "{", "{}"};
    put(root, "model.safetensors");
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        put_text(root, "config.json", harmless[i]);
        takes(&where, "model.safetensors", root);
    }
    static const struct {
        const char *config;
        plim_status code;
        int64_t offset;
    } bad[] = {
        {"{\"transformers_weights\":\"../x.safetensors\"}", PLIM_E_UNSAFE, 24},
        {"{\"transformers_weights\":\"/x.safetensors\"}", PLIM_E_UNSAFE, 24},
        {"{\"transformers_weights\":\"x\\u0000.safetensors\"}", PLIM_E_UNSAFE, 24},
        {"{\"transformers_weights\":\"x.bin\"}", PLIM_E_FORMAT, 24},
        {"{\"transformers_weights\":17}", PLIM_E_FORMAT, 24},
        {"{\"transformers_weights\":\"none.safetensors\"}", PLIM_E_IO, -1},
        {"{\"transformers_weights\":\"model.safetensors\",\"transformers_weights\":null}",
         PLIM_E_FORMAT, 44},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plim_error err;
        put_text(root, "config.json", bad[i].config);
        open_fails(&where, bad[i].code, &err);
        assert_int_equal(err.offset, bad[i].offset);
        assert_string_equal(err.file, in(root, i == 5 ? "none.safetensors" : "config.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_paths, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_links, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_nothing_there, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_incomplete_snapshot, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_refused, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_no_permission, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_config, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("which file is taken", tests, NULL, NULL);
}
