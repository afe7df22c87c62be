/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: what may be opened, whole reads, paths, and writing under a temporary name. */
#include "base_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

static void refuse(const char *path, plim_status want, const char *message)
{
    plim_file file;
    plim_error err;
    plim_error_clear(&err);
    assert_int_equal(plim_file_open(&file, path, &err), want);
    assert_int_equal(err.code, want);
    assert_int_equal(file.fd, -1);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.message, message));
    assert_int_equal(plim_file_open(&file, path, NULL), want);
}

static void what_may_be_opened(void **state)
{
    (void)state;
    plim_file file;
    plim_error err;
    refuse(in("missing"), PLIM_E_IO, "No such file or directory");
    refuse("", PLIM_E_IO, "No such file or directory");
    refuse(folder, PLIM_E_IO, "is a folder");
    refuse("/dev/zero", PLIM_E_UNSAFE, "is a device");

    assert_int_equal(mkfifo(in("fifo"), 0600), 0);
    alarm(20); /* an open that waits for a writer would never end */
    refuse(in("fifo"), PLIM_E_UNSAFE, "is a fifo");
    alarm(0);
    assert_int_equal(symlink("fifo", in("to-fifo")), 0);
    refuse(in("to-fifo"), PLIM_E_UNSAFE, "is a fifo");

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in("socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    refuse(in("socket"), PLIM_E_UNSAFE, "is a socket");
    close(fd);

    assert_int_equal(symlink("loop", in("loop")), 0);
    refuse(in("loop"), PLIM_E_IO, "symbolic links");
    put(in("plain"), "0123456789");
    refuse(in("plain/below"), PLIM_E_IO, "Not a directory");
    if (geteuid() != 0) {
        put(in("secret"), "x");
        assert_int_equal(chmod(in("secret"), 0), 0);
        refuse(in("secret"), PLIM_E_IO, "Permission denied");
    }

    assert_int_equal(symlink("plain", in("to-plain")), 0);
    assert_int_equal(plim_file_open(&file, in("to-plain"), &err), PLIM_OK);
    assert_int_equal(file.identity.bytes, 10);
    struct stat st;
    assert_int_equal(stat(in("plain"), &st), 0);
    assert_int_equal(file.identity.inode, st.st_ino);
    assert_int_equal(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    plim_file_close(&file);
    assert_int_equal(file.fd, -1);
    plim_file_close(&file);

    static const struct {
        const char *name;
        bool file, folder;
    } found[] = {{"to-plain", true, false}, {"plain", true, false},    {".", false, true},
                 {"fifo", false, false},    {"missing", false, false}, {"missing/x", false, false},
                 {"plain/x", false, false}};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        bool is;
        assert_int_equal(plim_path_find_file(&is, in(found[i].name), &err), PLIM_OK);
        assert_int_equal(is, found[i].file);
        assert_int_equal(plim_path_find_folder(&is, in(found[i].name), &err), PLIM_OK);
        assert_int_equal(is, found[i].folder);
    }
    /* what can't be looked at is not "not there" */
    bool is = true;
    assert_int_equal(symlink("ring", in("ring")), 0);
    assert_int_equal(plim_path_find_file(&is, in("ring"), &err), PLIM_E_IO);
    assert_string_equal(err.file, in("ring"));
    assert_false(is);
    assert_int_equal(plim_path_find_folder(&is, in("ring"), NULL), PLIM_E_IO);
}

static void reading(void **state)
{
    (void)state;
    plim_file file;
    plim_error err;
    char buf[32] = "................";
    size_t got = 99;
    put(in("ten"), "0123456789");
    const char *path = in("ten");
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_file_read(&file, path, buf, 10, 0, &err), PLIM_OK);
    assert_memory_equal(buf, "0123456789......", 16);
    assert_int_equal(plim_file_read(&file, path, buf, 3, 7, &err), PLIM_OK);
    assert_memory_equal(buf, "7893456789", 10);
    assert_int_equal(plim_file_read(&file, path, buf, 0, 1000, &err), PLIM_OK);

    assert_int_equal(plim_file_read(&file, path, buf, 4, 7, &err), PLIM_E_TRUNC);
    assert_int_equal(err.offset, 10);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.message, "1 of 4 bytes are missing (at byte 10)"));
    assert_int_equal(plim_file_read(&file, path, buf, 5, 4000000000u, &err), PLIM_E_TRUNC);
    assert_int_equal(err.offset, 4000000000);
    assert_int_equal(plim_file_read(&file, path, buf, 5, UINT64_MAX - 2, &err), PLIM_E_TRUNC);
    assert_true(err.offset >= 0);

    assert_int_equal(plim_file_read_some(&file, path, buf, 32, 8, &got, &err), PLIM_OK);
    assert_int_equal(got, 2);
    assert_int_equal(plim_file_read_some(&file, path, buf, 32, 10, &got, &err), PLIM_OK);
    assert_int_equal(got, 0);
    assert_int_equal(plim_file_read_some(&file, path, buf, 32, UINT64_MAX, &got, &err), PLIM_OK);
    assert_int_equal(got, 0);
    plim_file_close(&file);
}

static void reading_at_a_descriptor(void **state)
{
    (void)state;
    plim_file file;
    plim_error err;
    int fd;
    _Alignas(4096) char block[4096];
    size_t got = 99;
    uint64_t resident = 1;
    char path[128];
    snprintf(path, sizeof path, "%s", in("direct"));
    put(path, "0123456789");
    assert_int_equal(plim_file_open(&file, path, &err), PLIM_OK);
    assert_int_equal(plim_fd_read(file.fd, block, 4, 8, false, &got), 0);
    assert_int_equal(got, 2);
    assert_memory_equal(block, "89", 2);
    assert_int_equal(plim_fd_read(file.fd, block, 4, UINT64_MAX, false, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(plim_fd_read(-1, block, 4, 0, false, &got), EBADF);
    assert_int_equal(got, 0);
    int failed = plim_fd_read(file.fd, block, 10, 0, true, &got);
    assert_true(failed == 0 || failed == EOPNOTSUPP || failed == EINVAL || failed == ENOSYS);
    assert_int_equal(got, failed ? 0 : 10);

    /* renamed: its descriptor leads there */
    assert_int_equal(rename(path, in("moved")), 0);
    bool direct = plim_file_open_direct(&fd, &file, path);
    assert_int_equal(direct, fd >= 0);
    if (direct) {
        assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        if (plim_fd_read(fd, block, sizeof block, 0, false, &got) == 0) {
            assert_int_equal(got, 10);
            assert_memory_equal(block, "0123456789", 10);
        }
    } else {
        print_message("O_DIRECT is refused here\n");
    }
    plim_fd_close(&fd);
    assert_int_equal(fd, -1);
    plim_fd_close(&fd);
    if (plim_fd_resident(file.fd, 0, 10, &resident))
        assert_true(resident <= 10);
    assert_int_equal(plim_fd_resident(file.fd, 0, 0, &resident), true);
    assert_int_equal(resident, 0);
    assert_int_equal(plim_fd_resident(-1, 0, 10, &resident), false);
    unsigned memory = 7, offset = 7;
    assert_int_equal(plim_fd_direct_align(-1, &memory, &offset), false);
    assert_int_equal(memory, 0);
    assert_int_equal(offset, 0);
    plim_file_close(&file);
    /* by name, and only the file that it was */
    assert_int_equal(plim_file_open(&file, in("moved"), &err), PLIM_OK);
    plim_file_close(&file);
    assert_int_equal(plim_file_open_direct(&fd, &file, in("moved")), direct);
    plim_fd_close(&fd);
    put(in("another"), "x");
    assert_false(plim_file_open_direct(&fd, &file, in("another")));
    assert_int_equal(fd, -1);
    assert_false(plim_file_open_direct(&fd, &file, NULL));
}

static void slurping(void **state)
{
    (void)state;
    counting_alloc counting;
    counting_open(&counting);
    plim_error err;
    char *text = NULL;
    size_t n = 0;
    put(in("text"), "0123456789");
    put(in("empty"), "");
    assert_int_equal(plim_file_slurp(&text, &n, &counting.alloc, in("text"), 10, &err), PLIM_OK);
    assert_int_equal(n, 10);
    assert_string_equal(text, "0123456789");
    plim_delete(&counting.alloc, text);
    assert_int_equal(plim_file_slurp(&text, &n, &counting.alloc, in("empty"), 10, &err), PLIM_OK);
    assert_int_equal(n, 0);
    assert_string_equal(text, "");
    plim_delete(&counting.alloc, text);

    assert_int_equal(plim_file_slurp(&text, &n, &counting.alloc, in("text"), 9, &err),
                     PLIM_E_LIMIT);
    assert_null(text);
    assert_non_null(strstr(err.message, "10 bytes, want at most 9"));
    assert_int_equal(plim_file_slurp(&text, &n, &counting.alloc, in("nope"), 9, &err), PLIM_E_IO);
    counting.fail_at = counting.calls + 1;
    assert_int_equal(plim_file_slurp(&text, &n, &counting.alloc, in("text"), 10, &err),
                     PLIM_E_NOMEM);
    assert_null(text);
    assert_int_equal(counting.live_blocks, 0);

    char buf[8];
    assert_int_equal(plim_file_peek(in("text"), buf, sizeof buf), 7);
    assert_string_equal(buf, "0123456");
    assert_int_equal(plim_file_peek(in("empty"), buf, sizeof buf), 0);
    assert_string_equal(buf, "");
    assert_int_equal(plim_file_peek(in("nope"), buf, sizeof buf), -1);
    char status[4096];
    assert_true(plim_file_peek("/proc/self/status", status, sizeof status) >
                100); /* announces 0 bytes */
    assert_non_null(strstr(status, "VmRSS:"));
}

static void joining(void **state)
{
    (void)state;
    char buf[8];
    plim_error err;
    assert_int_equal(plim_path_join(buf, sizeof buf, "ab", "cd", &err), PLIM_OK);
    assert_string_equal(buf, "ab/cd");
    assert_int_equal(plim_path_join(buf, sizeof buf, "/", "cd", &err), PLIM_OK);
    assert_string_equal(buf, "/cd");
    assert_int_equal(plim_path_join(buf, sizeof buf, "", "cd", &err), PLIM_OK);
    assert_string_equal(buf, "cd");
    assert_int_equal(plim_path_join(buf, sizeof buf, "abc", "def", &err), PLIM_OK);
    assert_string_equal(buf, "abc/def");
    assert_int_equal(plim_path_join(buf, sizeof buf, "abcd", "def", &err), PLIM_E_LIMIT);
    assert_int_equal(err.code, PLIM_E_LIMIT);
    assert_int_equal(plim_path_join(buf, sizeof buf, "a", "0123456789", NULL), PLIM_E_LIMIT);
}

static void inside(void **state)
{
    (void)state;
    const char *const good[] = {"a",          "a.safetensors", "a/b/c",
                                "..a",        "a..",           "...",
                                ".hidden",    "a b",           "model-00001-of-00002.safetensors",
                                "\xc3\xa9/x", "ab:c",          "1:x"};
    const char *const bad[] = {"",       "/",     "/a",       "..",     "../a",  "a/..",
                               "a/../b", ".",     "./a",      "a/.",    "a/./b", "a//b",
                               "a/",     "a\\b",  "\\\\h\\s", "C:x",    "c:\\x", "C:/x",
                               "a\nb",   "a\x01", "\x7f",     "a/\x1b", "..\\a", "a/../../b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(plim_path_is_inside(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(plim_path_is_inside(bad[i]));
}

static size_t entries(void)
{
    char command[128], out[32];
    snprintf(command, sizeof command, "ls -A ./%s | wc -l", folder);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(out, sizeof out, f));
    pclose(f);
    return strtoul(out, NULL, 10);
}

static void expect_text(const char *path, const char *want)
{
    char *text;
    size_t n;
    assert_int_equal(plim_file_slurp(&text, &n, plim_alloc_system(), path, 1000, NULL), PLIM_OK);
    assert_string_equal(text, want);
    plim_delete(plim_alloc_system(), text);
}

static void writing(void **state)
{
    (void)state;
    static plim_file_writer writer;
    plim_error err;
    const char *path = in("out");
    size_t before = entries();

    assert_int_equal(plim_writer_open(&writer, path, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, "hello ", 6, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, NULL, 0, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, "world", 5, &err), PLIM_OK);
    assert_int_equal(writer.bytes, 11);
    assert_int_not_equal(access(path, F_OK), 0); /* not before it is whole */
    assert_int_equal(entries(), before + 1);
    assert_int_equal(plim_writer_commit(&writer, &err), PLIM_OK);
    expect_text(path, "hello world");
    assert_int_equal(entries(), before + 1);
    plim_writer_discard(&writer); /* nothing any more */
    expect_text(path, "hello world");

    assert_int_equal(plim_writer_open(&writer, path, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, "half", 4, &err), PLIM_OK);
    plim_writer_discard(&writer);
    plim_writer_discard(&writer);
    expect_text(path, "hello world");
    assert_int_equal(entries(), before + 1);

    /* two at once: each its own, the last commit stays */
    static plim_file_writer other;
    assert_int_equal(plim_writer_open(&writer, path, &err), PLIM_OK);
    assert_int_equal(plim_writer_open(&other, path, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, "first", 5, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&other, "second", 6, &err), PLIM_OK);
    assert_int_equal(plim_writer_commit(&writer, &err), PLIM_OK);
    expect_text(path, "first");
    assert_int_equal(plim_writer_commit(&other, &err), PLIM_OK);
    expect_text(path, "second");
    assert_int_equal(entries(), before + 1);

    /* a link somebody put there under a name that can be guessed */
    char leftover[160];
    snprintf(leftover, sizeof leftover, "%s.partial-%ld", path, (long)getpid());
    put(in("victim"), "untouched");
    assert_int_equal(symlink("victim", leftover), 0);
    assert_int_equal(plim_writer_open(&writer, path, &err), PLIM_OK);
    assert_int_equal(plim_writer_write(&writer, "new", 3, &err), PLIM_OK);
    assert_int_equal(plim_writer_commit(&writer, &err), PLIM_OK);
    expect_text(path, "new");
    expect_text(in("victim"), "untouched");
}

static void writing_fails(void **state)
{
    (void)state;
    static plim_file_writer writer;
    plim_error err;
    assert_int_equal(plim_writer_open(&writer, in("no/such/file"), &err), PLIM_E_IO);
    assert_int_equal(writer.fd, -1);
    plim_writer_discard(&writer);
    char *longest = malloc(5000);
    memset(longest, 'a', 4999);
    longest[4999] = '\0';
    assert_int_equal(plim_writer_open(&writer, longest, &err), PLIM_E_LIMIT);
    free(longest);

    /* the name is taken by a folder */
    size_t before = entries();
    assert_int_equal(mkdir(in("taken"), 0700), 0);
    assert_int_equal(plim_writer_open(&writer, in("taken"), &err), PLIM_OK);
    assert_int_equal(plim_writer_commit(&writer, &err), PLIM_E_IO);
    assert_non_null(strstr(err.message, "Is a directory"));
    assert_int_equal(entries(), before + 1);

    /* a file may not grow so large: as a full disk */
    struct rlimit old, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char bytes[150] = {0};
    assert_int_equal(plim_writer_open(&writer, in("large"), &err), PLIM_OK);
    plim_status status = plim_writer_write(&writer, bytes, sizeof bytes, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, PLIM_E_IO);
    assert_int_equal(err.offset, 100); /* so much was written before */
    assert_non_null(strstr(err.message, "File too large"));
    plim_writer_discard(&writer);
    assert_int_equal(entries(), before + 1);
}

static void clock_runs(void **state)
{
    (void)state;
    struct timespec nap = {.tv_nsec = 20000000};
    double start = plim_now();
    nanosleep(&nap, NULL);
    double seconds = plim_now() - start;
    assert_true(seconds >= 0.02 && seconds < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_opened),
        cmocka_unit_test(reading),
        cmocka_unit_test(reading_at_a_descriptor),
        cmocka_unit_test(slurping),
        cmocka_unit_test(joining),
        cmocka_unit_test(inside),
        cmocka_unit_test(writing),
        cmocka_unit_test(writing_fails),
        cmocka_unit_test(clock_runs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
