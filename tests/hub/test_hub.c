/* SPDX-License-Identifier: Apache-2.0
 *
 * From a name to a folder of the standard cache, laid out as huggingface_hub lays it out. */
#include "../checkpoint/checkpoint_test.h"
#include "hub/hub.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER  "89abcdef0123456789abcdef0123456789abcdef"

static void resolves(const plim_hub_query *query, const char *want)
{
    char path[4096];
    plim_error err;
    if (plim_hub_resolve(path, sizeof path, query, &err))
        fail_msg("%s: %s", query->name, err.message);
    assert_string_equal(path, want);
}

static void fails(const plim_hub_query *query, plim_status code, const char *says)
{
    char path[4096] = "untouched";
    plim_error err;
    plim_status status = plim_hub_resolve(path, sizeof path, query, &err);
    if (status != code || !strstr(err.message, says))
        fail_msg("%s: want %s with '%s', got %s: %s", query->name, plim_status_name(code), says,
                 plim_status_name(status), status ? err.message : path);
    assert_int_equal(err.code, code);
    assert_string_equal(path, "");
    assert_int_equal(plim_hub_resolve(path, sizeof path, query, NULL), code);
}

/* models--org--name with main, a tag, and a pull request; models--gpt2 with main only. */
static void put_cache(const char *root)
{
    put_text(root, "models--org--name/refs/main", COMMIT);
    put_text(root, "models--org--name/refs/v1.0", OTHER "\n");
    put_text(root, "models--org--name/refs/refs/pr/1", OTHER);
    put_text(root, "models--org--name/refs/gone", "ffffffffffffffffffffffffffffffffffffffff");
    put_text(root, "models--org--name/snapshots/" COMMIT "/config.json", "{}");
    put_text(root, "models--org--name/snapshots/" OTHER "/config.json", "{}");
    put_text(root, "models--gpt2/refs/main", COMMIT);
    put_text(root, "models--gpt2/snapshots/" COMMIT "/config.json", "{}");
    put_text(root, "models--empty--repo/blobs/x", "");
}

static void test_found(void **state)
{
    const char *root = *state;
    put_cache(root);
    const char *first = in(root, "models--org--name/snapshots/" COMMIT);
    const char *second = in(root, "models--org--name/snapshots/" OTHER);
    resolves(&(plim_hub_query){.name = "org/name", .cache_dir = root}, first);
    resolves(&(plim_hub_query){.name = "org/name", .revision = "", .cache_dir = root}, first);
    resolves(&(plim_hub_query){.name = "org/name", .revision = "main", .cache_dir = root}, first);
    resolves(&(plim_hub_query){.name = "org/name", .revision = "v1.0", .cache_dir = root}, second);
    resolves(&(plim_hub_query){.name = "org/name@v1.0", .cache_dir = root}, second);
    resolves(&(plim_hub_query){.name = "org/name@v1.0", .revision = "v1.0", .cache_dir = root},
             second);
    resolves(&(plim_hub_query){.name = "org/name@refs/pr/1", .cache_dir = root}, second);
    resolves(&(plim_hub_query){.name = "org/name@" OTHER, .cache_dir = root}, second);
    resolves(&(plim_hub_query){.name = "org/name", .revision = COMMIT, .cache_dir = root}, first);
    resolves(&(plim_hub_query){.name = "gpt2", .cache_dir = root},
             in(root, "models--gpt2/snapshots/" COMMIT));
}

/* A path that exists wins over a name, with no look into the cache. */
static void test_paths(void **state)
{
    const char *root = *state;
    put_cache(root);
    put_text(root, "here/org/name/config.json", "{}");
    put_text(root, "here/file@1.safetensors", "");
    char *cwd = getcwd(NULL, 0);
    assert_int_equal(chdir(in(root, "here")), 0);
    resolves(&(plim_hub_query){.name = "org/name", .cache_dir = root}, "org/name");
    resolves(&(plim_hub_query){.name = "file@1.safetensors"}, "file@1.safetensors");
    resolves(&(plim_hub_query){.name = "."}, ".");
    assert_int_equal(chdir(cwd), 0);
    free(cwd);
    resolves(&(plim_hub_query){.name = root}, root);
    char path[8];
    plim_error err;
    assert_int_equal(plim_hub_resolve(path, sizeof path, &(plim_hub_query){.name = root}, &err),
                     PLIM_E_LIMIT);
    assert_string_equal(path, "");
    fails(&(plim_hub_query){.name = in(root, "none"), .cache_dir = root}, PLIM_E_IO,
          "No such file");
    fails(&(plim_hub_query){.name = "./none", .cache_dir = root}, PLIM_E_IO, "No such file");
    fails(&(plim_hub_query){.name = "../none/x", .cache_dir = root}, PLIM_E_IO, "No such file");
    fails(&(plim_hub_query){.name = "/dev/null", .cache_dir = root}, PLIM_E_IO, "neither");
    assert_int_equal(mkfifo(in(root, "fifo"), 0600), 0);
    fails(&(plim_hub_query){.name = in(root, "fifo"), .cache_dir = root}, PLIM_E_IO, "neither");
    fails(&(plim_hub_query){.name = "", .cache_dir = root}, PLIM_E_USAGE, "org/name");
    fails(&(plim_hub_query){.name = NULL, .cache_dir = root}, PLIM_E_USAGE, "org/name");
}

static void test_not_there(void **state)
{
    const char *root = *state;
    put_cache(root);
    fails(&(plim_hub_query){.name = "org/other", .cache_dir = root}, PLIM_E_IO,
          "`hf download org/other`");
    fails(&(plim_hub_query){.name = "org/name@v2", .cache_dir = root}, PLIM_E_IO,
          "`hf download org/name --revision v2`");
    fails(&(plim_hub_query){.name = "org/name", .revision = "v2", .cache_dir = root}, PLIM_E_IO,
          "`hf download org/name --revision v2`");
    fails(&(plim_hub_query){.name = "empty/repo", .cache_dir = root}, PLIM_E_IO,
          "`hf download empty/repo`");
    fails(&(plim_hub_query){.name = "org/name@gone", .cache_dir = root}, PLIM_E_IO,
          "`hf download org/name --revision gone`");
    fails(&(plim_hub_query){.name = "gpt2@" OTHER, .cache_dir = root}, PLIM_E_IO,
          "`hf download gpt2 --revision " OTHER "`");
    fails(&(plim_hub_query){.name = "org/name", .cache_dir = in(root, "no-cache")}, PLIM_E_IO,
          "`hf download org/name`");
    fails(&(plim_hub_query){.name = "org/name"}, PLIM_E_IO, "no cache");
    fails(&(plim_hub_query){.name = "org/name", .cache_dir = ""}, PLIM_E_IO, "no cache");
}

static void test_unsafe(void **state)
{
    const char *root = *state;
    put_cache(root);
    put_text(root, "outside/secret", COMMIT);
    static const char *const names[] = {"org/..",
                                        "org/../x",
                                        "a//b",
                                        "org/",
                                        "a\\b",
                                        "a/./b",
                                        "C:x",
                                        "org/name\n",
                                        "@main",
                                        "a\033[2J",
                                        "org/../../models--org--name"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fails(&(plim_hub_query){.name = names[i], .cache_dir = root}, PLIM_E_UNSAFE,
              "leave the cache");
    static const char *const revisions[] = {"..",          "../../../outside/secret",
                                            "/etc/passwd", "a\\b",
                                            "a//b",        "./main",
                                            "--help",      "main/",
                                            "a\nb"};
    for (size_t i = 0; i < sizeof revisions / sizeof *revisions; i++) {
        fails(&(plim_hub_query){.name = "org/name", .revision = revisions[i], .cache_dir = root},
              PLIM_E_UNSAFE, "revision");
        char name[200];
        snprintf(name, sizeof name, "org/name@%s", revisions[i]);
        fails(&(plim_hub_query){.name = name, .cache_dir = root}, PLIM_E_UNSAFE, "revision");
    }
    fails(&(plim_hub_query){.name = "org/name@", .cache_dir = root}, PLIM_E_UNSAFE, "revision");
    char longest[300];
    memset(longest, 'r', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    fails(&(plim_hub_query){.name = "org/name", .revision = longest, .cache_dir = root},
          PLIM_E_UNSAFE, "revision");
    /* harmless, but no names of the Hub */
    static const char *const odd[] = {"a/b/c",  "org/na me",     "-x",
                                      "org/-x", "org/x.",        ".x/y",
                                      "a--b/c", "caf\xc3\xa9/x", "org/x;y"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        fails(&(plim_hub_query){.name = odd[i], .cache_dir = root}, PLIM_E_IO, "name that the Hub");
    fails(&(plim_hub_query){.name = longest, .cache_dir = root}, PLIM_E_IO, "");
    fails(&(plim_hub_query){.name = "org/name@v1.0", .revision = "main", .cache_dir = root},
          PLIM_E_USAGE, "revision");
}

static void test_bad_refs(void **state)
{
    const char *root = *state;
    static const char *const refs[] = {"",
                                       "main",
                                       "../../../../outside",
                                       "0123456789abcdef0123456789abcdef0123456",
                                       COMMIT "0",
                                       "0123456789ABCDEF0123456789abcdef01234567",
                                       COMMIT " " COMMIT,
                                       "0123456789abcdef0123456789abcdef0123456/"};
    put_cache(root);
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        put_text(root, "models--org--name/refs/main", refs[i]);
        fails(&(plim_hub_query){.name = "org/name", .cache_dir = root}, PLIM_E_FORMAT,
              "40 hexadecimal");
    }
    plim_error err;
    char path[4096];
    put_bytes(root, "models--org--name/refs/main", "0123456789\0abcdef0123456789abcdef01234567ff",
              43);
    assert_int_equal(plim_hub_resolve(path, sizeof path,
                                      &(plim_hub_query){.name = "org/name", .cache_dir = root},
                                      &err),
                     PLIM_E_FORMAT);
    assert_string_equal(err.file, in(root, "models--org--name/refs/main"));
}

/* As on a real disk: the snapshot holds links into blobs, and the checkpoint opens through them. */
static void test_opens_through_links(void **state)
{
    const char *root = *state;
    put_text(root, "models--org--name/refs/main", COMMIT);
    put_tensors(root, "models--org--name/blobs/feed",
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    put_text(root, "models--org--name/snapshots/" COMMIT "/config.json", "{}");
    assert_int_equal(symlink("../../blobs/feed",
                             in(root, "models--org--name/snapshots/" COMMIT "/model.safetensors")),
                     0);
    char path[4096];
    plim_hub_query query = {.name = "org/name", .cache_dir = root};
    assert_int_equal(plim_hub_resolve(path, sizeof path, &query, NULL), PLIM_OK);
    plim_stored_set *set = open_works(path);
    assert_int_equal(set->tensor_count, 1);
    plim_stored_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_paths, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_not_there, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_unsafe, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_bad_refs, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_opens_through_links, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("look-up in the cache", tests, NULL, NULL);
}
