/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that appear whole: nothing that exists is touched, two writers of one path don't disturb
 * each other, and a place that can't be taken is refused before anything is written. */
#include "base_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "temp.h"

static bool no_renameat2;

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    errno = EINVAL;
    return no_renameat2 ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}

static char top[64];

static const char *in(const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static int make_top(void **state)
{
    (void)state;
    no_renameat2 = false;
    folder_make(top);
    return 0;
}

static int remove_top(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

static void put(const plim_folder_place *place, const char *name, const char *text)
{
    static plim_file_writer w;
    plim_error err;
    assert_int_equal(plim_writer_open_in(&w, place->fd, place->path, name, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&w, text, strlen(text), &err), PLIM_OK);
    assert_int_equal(plim_writer_commit(&w, &err), PLIM_OK);
}

static void expect(const char *path, const char *text)
{
    char found[64];
    assert_int_equal(plim_file_peek(path, found, sizeof found), (long)strlen(text));
    assert_string_equal(found, text);
}

static void appears_whole(void **state)
{
    static plim_folder_writer w;
    plim_folder_place below;
    plim_error err;
    (void)state;
    size_t fds = temp_entries("/proc/self/fd");
    assert_int_equal(plim_folder_writer_open(&w, in("out//"), &err), PLIM_OK);
    assert_int_equal(strncmp(w.place.path, in("out.partial-"), strlen(in("out.partial-"))), 0);
    put(&w.place, "a", "text");
    for (int i = 0; i < 2; i++) { /* the second time it is there */
        assert_int_equal(plim_folder_writer_add(&w, "below", &below, &err), PLIM_OK);
        put(&below, i ? "c" : "b", "deeper");
        plim_folder_place_close(&below);
    }
    assert_int_not_equal(access(in("out"), F_OK), 0);
    assert_int_equal(plim_folder_writer_commit(&w, &err), PLIM_OK);
    plim_folder_writer_discard(&w); /* nothing any more */
    expect(in("out/a"), "text");
    expect(in("out/below/b"), "deeper");
    expect(in("out/below/c"), "deeper");
    assert_int_equal(temp_entries(top), 1);

    assert_int_equal(plim_folder_writer_open(&w, in("again"), &err), PLIM_OK);
    put(&w.place, "a", "text");
    assert_int_equal(plim_folder_writer_add(&w, "below", &below, &err), PLIM_OK);
    put(&below, "b", "deeper");
    plim_folder_place_close(&below);
    plim_folder_writer_discard(&w);
    assert_int_equal(temp_entries(top), 1);
    assert_int_equal(temp_entries("/proc/self/fd"), fds);
}

/* What stands under names that can be guessed, and links within the folder, are left alone. */
static void touches_nothing(void **state)
{
    static plim_folder_writer w;
    plim_error err;
    char guess[160];
    (void)state;
    assert_int_equal(mkdir(in("victim"), 0777), 0);
    plim_folder_place victim = {open(in("victim"), O_RDONLY | O_DIRECTORY), "victim"};
    put(&victim, "file", "mine");
    snprintf(guess, sizeof guess, "%s.partial-%ld", in("out"), (long)getpid());
    assert_int_equal(symlink("victim", guess), 0);
    assert_int_equal(plim_folder_writer_open(&w, in("out"), &err), PLIM_OK);
    assert_int_equal(symlinkat(in("victim"), w.place.fd, "link"), 0);
    plim_folder_place below;
    assert_int_equal(plim_folder_writer_add(&w, "link", &below, &err), PLIM_E_IO);
    plim_folder_writer_discard(&w);
    expect(in("victim/file"), "mine");
    assert_int_equal(temp_entries(top), 2);

    /* renamed away, and a link in its place */
    assert_int_equal(plim_folder_writer_open(&w, in("out"), &err), PLIM_OK);
    put(&w.place, "a", "text");
    assert_int_equal(rename(w.place.path, in("away")), 0);
    assert_int_equal(symlink("victim", w.place.path), 0);
    put(&w.place, "b", "text");
    expect(in("away/b"), "text");
    assert_int_equal(plim_folder_writer_commit(&w, &err), PLIM_E_CHANGED);
    assert_int_not_equal(access(in("out"), F_OK), 0);
    assert_int_equal(temp_entries(in("victim")), 1);
    assert_int_equal(temp_entries(in("away")), 0);
    close(victim.fd);
}

static void two_writers(void **state)
{
    static plim_folder_writer one, two;
    plim_error err;
    (void)state;
    for (int i = 0; i < 4; i++) {
        char out[8] = "out0";
        out[3] = (char)('0' + i);
        no_renameat2 = i & 1;
        if (i & 2)
            assert_int_equal(mkdir(in(out), 0777), 0);
        assert_int_equal(plim_folder_writer_open(&one, in(out), &err), PLIM_OK);
        assert_int_equal(plim_folder_writer_open(&two, in(out), &err), PLIM_OK);
        put(&one.place, "a", "one");
        put(&two.place, "a", "two");
        assert_int_equal(plim_folder_writer_commit(&two, &err), PLIM_OK);
        assert_int_equal(plim_folder_writer_commit(&one, &err), PLIM_E_IO);
        assert_string_equal(err.file, in(out));
        strcat(out, "/a");
        expect(in(out), "two");
        assert_int_equal(temp_entries(top), (size_t)i + 1);
    }
    /* nor does an empty folder of somebody else go */
    for (int i = 0; i < 2; i++) {
        no_renameat2 = i;
        assert_int_equal(plim_folder_writer_open(&one, in("new"), &err), PLIM_OK);
        assert_int_equal(mkdir(in("new"), 0777), 0);
        assert_int_equal(plim_folder_writer_commit(&one, &err), PLIM_E_IO);
        assert_int_equal(rmdir(in("new")), 0);
    }
    assert_int_equal(temp_entries(top), 4);
}

static void places(void **state)
{
    static plim_folder_writer w;
    plim_error err;
    (void)state;
    static const char *const bad[] = {".", "..", "e/.", "e/..", "e/./", "file", "link", "full"};
    assert_int_equal(mkdir(in("e"), 0777), 0);
    assert_int_equal(mkdir(in("full"), 0777), 0);
    assert_int_equal(mkdir(in("full/below"), 0777), 0);
    assert_int_equal(symlink("e", in("link")), 0);
    close(open(in("file"), O_CREAT | O_WRONLY, 0666));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(plim_folder_writer_open(&w, in(bad[i]), &err), PLIM_E_USAGE);
    assert_int_equal(plim_folder_writer_open(&w, "/", &err), PLIM_E_USAGE);
    assert_int_equal(plim_folder_writer_open(&w, ".", &err), PLIM_E_USAGE);
    assert_int_equal(plim_folder_writer_open(&w, "", &err), PLIM_E_USAGE);
    assert_int_equal(plim_folder_writer_open(&w, in("none/out"), &err), PLIM_E_IO);
    assert_int_equal(plim_folder_writer_open(&w, in("file/out"), &err), PLIM_E_IO);
    static char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    assert_int_equal(plim_folder_writer_open(&w, longest, &err), PLIM_E_LIMIT);
    plim_folder_writer_discard(&w);
    assert_int_equal(temp_entries(top), 4);
    assert_int_equal(plim_folder_writer_open(&w, in("e"), &err), PLIM_OK);
    assert_int_equal(plim_folder_writer_commit(&w, &err), PLIM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appears_whole, make_top, remove_top),
        cmocka_unit_test_setup_teardown(touches_nothing, make_top, remove_top),
        cmocka_unit_test_setup_teardown(two_writers, make_top, remove_top),
        cmocka_unit_test_setup_teardown(places, make_top, remove_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
