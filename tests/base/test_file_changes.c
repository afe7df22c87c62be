/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that change while they are open: what is seen by name, and by the descriptor alone. */
#include "base_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char folder[64];

static int setup(void **state)
{
    (void)state;
    folder_make(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* FOLDER/name, in one of a few buffers. */
static const char *in(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ & 3];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void changing(void **state)
{
    (void)state;
    plim_file file;
    plim_error err;
    char path[128]; /* of its own: in() has few */
    snprintf(path, sizeof path, "%s", in("changing"));
    put(path, "0123456789");
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_OK);
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.message, "10 bytes before, 9 now"));
    plim_file_close(&file);

    /* same size, other time */
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000, .tv_nsec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "written while in use"));
    plim_file_close(&file);
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    times[1].tv_nsec = 2; /* one nanosecond */
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    plim_file_close(&file);

    /* status alone: a time set back, an owner, a mode */
    plim_file_close(&file);
    struct stat st;
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(file.identity.ctime_seconds, st.st_ctim.tv_sec);
    assert_int_equal(file.identity.ctime_nanoseconds, st.st_ctim.tv_nsec);
    usleep(20000); /* the clock of a file system moves in steps */
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "touched while in use"));
    plim_file_close(&file);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);

    /* another file under the name, of the same size and age or not */
    for (int open_now = 0; open_now < 2; open_now++) {
        assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
        if (!open_now)
            plim_file_close(&file);
        put(in("other"), "123456789");
        assert_int_equal(rename(in("other"), path), 0);
        assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
        assert_string_equal(err.file, path);
        assert_non_null(strstr(err.message, "another file has taken this name"));
        plim_file_close(&file);
    }
    /* renamed away, deleted, and a link that leads elsewhere */
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(rename(path, in("other")), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "was renamed away while in use"));
    assert_int_equal(unlink(in("other")), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "was deleted while in use"));
    plim_file_close(&file);
    /* of a link, an absolute name tells; what is open is as it was */
    char whole[4300], stand[4096];
    assert_non_null(getcwd(stand, sizeof stand));
    snprintf(whole, sizeof whole, "%s/%s", stand, path);
    put(in("blob-a"), "same");
    put(in("blob-b"), "same");
    assert_int_equal(symlink("blob-a", path), 0);
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, whole, &err), PLIM_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("blob-b", path), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, whole, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "another file has taken this name"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("changing", path), 0); /* to itself */
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_check(&file, whole, &err), PLIM_E_IO);
    assert_non_null(strstr(err.message, "cannot be examined"));
    plim_file_close(&file);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(plim_file_check(&file, path, &err), PLIM_E_CHANGED);
    assert_non_null(strstr(err.message, "gone"));
    assert_int_equal(plim_file_check(&file, path, NULL), PLIM_E_CHANGED);
}

/* In a folder on this file system: what happens to a file is seen by its descriptor alone, where
 * the name says nothing because the process stands elsewhere. */
static void descriptor_tells(const char *where)
{
    enum {
        LEFT_ALONE,
        CUT,
        APPENDED,
        WRITTEN,
        RENAMED,
        RENAMED_AND_BACK,
        DELETED,
        REPLACED,
        DEEDS
    };
    static const char *const words[DEEDS] = {
        "",        "bytes before", "bytes before", "written while",
        "renamed", "touched",      "deleted",      "deleted"};
    char name[300], other[300], stand[4096];
    plim_file file;
    plim_error err;
    int from = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(from >= 0);
    assert_int_equal(chdir(where), 0);
    assert_non_null(getcwd(stand, sizeof stand));
    for (int deed = 0; deed < DEEDS; deed++) {
        put("there", "0123456789");
        put("another", "9876543210");
        usleep(20000); /* the clock of a file system moves in steps */
        assert_int_equal(plim_file_open(&file, "there", &err), PLIM_OK);
        assert_int_equal(plim_file_check(&file, "there", &err), PLIM_OK);
        assert_int_equal(chdir("/"), 0);
        assert_int_equal(plim_file_check(&file, "there", &err), PLIM_OK);
        snprintf(name, sizeof name, "%.200s/there", stand);
        snprintf(other, sizeof other, "%.200s/another", stand);
        int fd = open(name, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        if (deed == CUT)
            assert_int_equal(ftruncate(fd, 3), 0);
        else if (deed == APPENDED)
            assert_int_equal(pwrite(fd, "x", 1, 10), 1);
        else if (deed == WRITTEN)
            assert_int_equal(pwrite(fd, "x", 1, 3), 1);
        else if (deed == RENAMED || deed == RENAMED_AND_BACK)
            assert_int_equal(rename(name, other), 0);
        else if (deed == DELETED)
            assert_int_equal(unlink(name), 0);
        else if (deed == REPLACED)
            assert_int_equal(rename(other, name), 0);
        close(fd);
        if (deed == RENAMED_AND_BACK) {
            assert_int_equal(rename(other, name), 0);
            assert_int_equal(chdir(stand), 0);
        }
        plim_error_clear(&err);
        assert_int_equal(plim_file_check(&file, "there", &err),
                         deed == LEFT_ALONE ? PLIM_OK : PLIM_E_CHANGED);
        assert_non_null(strstr(err.message, words[deed]));
        plim_file_close(&file);
        assert_int_equal(chdir(stand), 0);
        unlink("there");
        unlink("another");
    }
    assert_int_equal(fchdir(from), 0);
    close(from);
}

static void changing_elsewhere(void **state)
{
    (void)state;
    descriptor_tells(folder);
    char shared[] = "/dev/shm/plim-file-XXXXXX"; /* a tmpfs, mostly */
    if (!mkdtemp(shared)) {
        print_message("no /dev/shm here: not tried on it\n");
        return;
    }
    descriptor_tells(shared);
    assert_int_equal(rmdir(shared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changing),
        cmocka_unit_test(changing_elsewhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
