/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's own files. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "interrupt.h"

static const char *shown(const char *path)
{
    return path ? path : "standard input";
}

/* read() that goes on after signals which do not ask to stop. */
static plim_status read_some(int fd, const char *path, void *dst, size_t cap, size_t *got,
                             plim_error *err)
{
    for (;;) {
        ssize_t n = read(fd, dst, cap);
        if (n >= 0 && !interrupt_seen()) {
            *got = (size_t)n;
            return PLIM_OK;
        }
        if (interrupt_seen())
            return cli_fail(err, PLIM_E_CANCELLED, "interrupted");
        if (errno != EINTR)
            return cli_fail_errno(err, errno, shown(path), "read failed");
    }
}

static plim_status too_long(const char *path, size_t most, plim_error *err)
{
    return cli_fail_file(err, PLIM_E_LIMIT, shown(path), -1, "over %zu MiB of text", most >> 20);
}

/* Room for `need` bytes and a NUL. */
static plim_status make_room(char **text, size_t *cap, size_t need, const char *path,
                             plim_error *err)
{
    if (need < *cap)
        return PLIM_OK;
    size_t grown = need + need / 2 + 4096;
    char *bigger = realloc(*text, grown);
    if (!bigger)
        return cli_fail_file(err, PLIM_E_NOMEM, shown(path), -1, "no memory for %zu bytes", grown);
    *text = bigger;
    *cap = grown;
    return PLIM_OK;
}

plim_status file_read(const char *path, char **text, size_t *bytes, plim_error *err)
{
    return file_read_most(path, CLI_MAX_TEXT, text, bytes, err);
}

plim_status file_read_most(const char *path, size_t most, char **text, size_t *bytes,
                           plim_error *err)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    size_t cap = 0, used = 0, got = 1;
    char *all = NULL;
    if (fd < 0)
        return cli_fail_errno(err, errno, path, "cannot be opened");
    plim_status status = PLIM_OK;
    while (status == PLIM_OK && got > 0) {
        status = make_room(&all, &cap, used + 4096, path, err);
        size_t room = cap - used - 1 < most + 1 - used ? cap - used - 1 : most + 1 - used;
        if (status == PLIM_OK)
            status = read_some(fd, path, all + used, room, &got, err);
        used += status == PLIM_OK ? got : 0;
        if (status == PLIM_OK && used > most)
            status = too_long(path, most, err);
    }
    if (path)
        close(fd);
    if (status != PLIM_OK) {
        free(all);
        return status;
    }
    all[used] = '\0';
    *text = all;
    *bytes = used;
    return PLIM_OK;
}

/* Room in the line for `take` bytes more. */
static plim_status extend_line(line_reader *r, size_t take, plim_error *err)
{
    if (r->most == 0 && r->bytes + take > CLI_MAX_TEXT)
        return too_long(NULL, CLI_MAX_TEXT, err);
    if (r->most > 0 && r->bytes + take > r->most) {
        if (r->bytes > 6) {
            memmove(r->text + 3, r->text + r->bytes - 3, 3);
            r->bytes = 6;
        }
        r->over = true;
    }
    return make_room(&r->text, &r->cap, r->bytes + take, NULL, err);
}

plim_status line_next(line_reader *r, bool *more, plim_error *err)
{
    r->bytes = 0;
    r->over = false;
    r->offset = r->next;
    *more = false;
    for (;;) {
        char *from = r->buffer + r->start;
        char *newline = memchr(from, '\n', r->end - r->start);
        size_t take = newline ? (size_t)(newline - from) : r->end - r->start;
        plim_status status = extend_line(r, take, err);
        if (status != PLIM_OK)
            return status;
        memcpy(r->text + r->bytes, from, take);
        r->bytes += take;
        r->next += take;
        r->start += take + (newline ? 1 : 0);
        if (newline)
            break;
        r->start = r->end = 0;
        status = read_some(STDIN_FILENO, NULL, r->buffer, sizeof r->buffer, &r->end, err);
        if (status != PLIM_OK)
            return status;
        if (r->end == 0 && r->bytes == 0)
            return PLIM_OK;
        if (r->end == 0)
            break;
    }
    r->next++;
    r->text[r->bytes] = '\0';
    r->number++;
    *more = true;
    return PLIM_OK;
}

plim_status folders_make(const char *path, plim_error *err)
{
    char folder[4096];
    int n = snprintf(folder, sizeof folder, "%s", path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return cli_fail_file(err, PLIM_E_LIMIT, path, -1, "the name is too long");
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST) /* 0700: as the XDG specification wants */
            return cli_fail_errno(err, errno, folder, "cannot be made");
        *slash = '/';
    }
    return PLIM_OK;
}

plim_status result_open(result_file *file, const char *path, mode_t mode, plim_error *err)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    file->path = path;
    file->temporary[0] = '\0';
    out_open(&file->out, -1);
    if (exists && S_ISDIR(st.st_mode))
        return cli_fail_errno(err, EISDIR, path, "cannot be written");
    if (!exists || S_ISREG(st.st_mode)) {
        int n = snprintf(file->temporary, sizeof file->temporary, "%s.partial-%ld", path,
                         (long)getpid());
        if (n < 0 || (size_t)n >= sizeof file->temporary) {
            file->temporary[0] = '\0';
            return cli_fail_file(err, PLIM_E_LIMIT, path, -1, "the name is too long");
        }
    }
    bool direct = !file->temporary[0];
    int fd = open(direct ? path : file->temporary,
                  O_WRONLY | O_CLOEXEC | (direct ? 0 : O_CREAT | O_EXCL | O_TRUNC), mode);
    if (fd < 0) {
        int errnum = errno;
        file->temporary[0] = '\0';
        return cli_fail_errno(err, errnum, path, "cannot be written");
    }
    out_open(&file->out, fd);
    return PLIM_OK;
}

plim_status result_commit(result_file *file, plim_error *err)
{
    plim_status status = PLIM_OK;
    if (out_flush(&file->out) && file->temporary[0] && fsync(file->out.fd) != 0)
        status = cli_fail_errno(err, errno, file->path, "write failed");
    plim_error closing;
    plim_status closed = out_close(&file->out, file->path, status == PLIM_OK ? err : &closing);
    if (status == PLIM_OK)
        status = closed;
    if (status == PLIM_OK && file->temporary[0] && rename(file->temporary, file->path) != 0)
        status = cli_fail_errno(err, errno, file->path, "cannot be renamed into place");
    if (status != PLIM_OK)
        result_discard(file);
    file->temporary[0] = '\0';
    return status;
}

void result_discard(result_file *file)
{
    if (file->out.fd >= 0)
        close(file->out.fd);
    file->out.fd = -1;
    if (file->temporary[0])
        unlink(file->temporary);
    file->temporary[0] = '\0';
}
