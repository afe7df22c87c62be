/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines typed at a terminal, with libedit.  Signals stay with interrupt.c: libedit's own handlers
 * would send them to the whole process group once more. */
#include "line_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"
#include "interrupt.h"
#include "utf8.h"

#define HISTORY_LINES 1000

struct line_edit {
    EditLine *el;
    History *history;
    const char *prompt;
    sigset_t open_mask; /* of signals, while a key is waited for */
    bool broken;
    char path[4096]; /* of the history; "": none is kept */
};

static char *show_prompt(EditLine *el)
{
    line_edit *e;
    el_get(el, EL_CLIENTDATA, &e);
    return (char *)(uintptr_t)e->prompt; /* libedit only reads it */
}

static void on_terminal_signal(int number)
{
    (void)number; /* it ends a wait, see wait_for_key */
}

/* The program was stopped and goes on, or the window has another size. */
static void show_again(EditLine *el)
{
    el_set(el, EL_PREP_TERM, 0);
    el_set(el, EL_PREP_TERM, 1);
    el_resize(el);
    el_set(el, EL_REFRESH);
}

/* Until a key can be read; false where a signal asked to stop, or the wait failed. */
static bool wait_for_key(EditLine *el, const line_edit *e)
{
    for (;;) {
        int ready = interrupt_wait(STDIN_FILENO, &e->open_mask);
        if (ready > 0)
            return true;
        if (interrupt_seen() || errno != EINTR)
            return false;
        show_again(el);
    }
}

/* One byte: 1, 0 at the end, -1. */
static int read_byte(EditLine *el, line_edit *e, char *out)
{
    for (;;) {
        if (!wait_for_key(el, e)) {
            e->broken = interrupt_seen();
            return -1;
        }
        ssize_t n = read(STDIN_FILENO, out, 1);
        if (n >= 0)
            return (int)n;
        if (errno != EINTR && errno != EAGAIN)
            return -1;
    }
}

static wchar_t code_of(const char *bytes, size_t n)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    wchar_t code = (wchar_t)((unsigned char)bytes[0] & first[n]);
    for (size_t i = 1; i < n; i++)
        code = (wchar_t)(code << 6 | ((unsigned char)bytes[i] & 0x3f));
    return code;
}

/* The next character; bytes that are no UTF-8 become U+FFFD. */
static int read_character(EditLine *el, wchar_t *out)
{
    line_edit *e;
    char bytes[4];
    size_t used = 0;
    el_get(el, EL_CLIENTDATA, &e);
    for (;;) {
        int got = read_byte(el, e, bytes + used);
        if (got <= 0)
            return got;
        used++;
        size_t n = utf8_sequence(bytes, used);
        if (n == 0 && used < sizeof bytes && utf8_broken(bytes, used) == used &&
            (unsigned char)bytes[0] >= 0xc2)
            continue;
        *out = n > 0 ? code_of(bytes, n) : 0xfffd;
        return 1;
    }
}

/* Whether `path` is a history of libedit, or may become one: it is not there, or empty. */
static bool is_history(const char *path)
{
    static const char mark[] = "_HiStOrY_V2_\n";
    char begin[sizeof mark - 1];
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* not for ever where it is a FIFO */
    if (fd < 0)
        return errno == ENOENT;
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = regular ? read(fd, begin, sizeof begin) : -1;
    close(fd);
    return n == 0 || (n == (ssize_t)sizeof begin && !memcmp(begin, mark, sizeof begin));
}

/* A file that is not there, or is none, is an empty history.  One that is a device, as a link to
 * /dev/null, says that none is wanted. */
static void load_history(line_edit *e, const char *path)
{
    HistEvent event;
    struct stat st;
    if (strlen(path) >= sizeof e->path || (stat(path, &st) == 0 && S_ISCHR(st.st_mode)))
        return;
    if (!realpath(path, e->path)) /* what a link leads to is replaced, not the link */
        strcpy(e->path, path);
    if (is_history(e->path))
        history(e->history, &event, H_LOAD, e->path);
}

static plim_status save_history(line_edit *e, plim_error *err)
{
    HistEvent event;
    char temporary[sizeof e->path + 8];
    plim_status status = folders_make(e->path, err);
    if (status != PLIM_OK)
        return status;
    if (!is_history(e->path))
        return cli_fail_file(err, PLIM_E_FORMAT, e->path, -1,
                             "is no history of libedit that can be read");
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", e->path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* with mode 0600 */
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        status = cli_fail_errno(err, errno, e->path, "cannot be written");
    } else {
        bool ok = history(e->history, &event, H_SAVE_FP, file) >= 0;
        if (fclose(file) != 0 || !ok || rename(temporary, e->path) != 0)
            status = cli_fail_errno(err, errno, e->path, "write failed");
    }
    if (!file && fd >= 0)
        close(fd);
    if (fd >= 0 && status != PLIM_OK)
        unlink(temporary);
    return status;
}

/* They wait until a key is waited for: none is lost, and no other call is disturbed. */
static void hold_terminal_signals(line_edit *e)
{
    struct sigaction action;
    sigset_t held;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_terminal_signal;
    sigaction(SIGCONT, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    sigemptyset(&held);
    sigaddset(&held, SIGCONT);
    sigaddset(&held, SIGWINCH);
    sigprocmask(SIG_BLOCK, &held, &e->open_mask);
}

plim_status line_edit_open(line_edit **out, FILE *shown, const char *path, plim_error *err)
{
    HistEvent event;
    line_edit *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for line editing");
    /* libedit takes the width of characters from the locale; texts are UTF-8 in any. */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "");
    e->prompt = "";
    e->history = history_init();
    e->el = e->history ? el_init("plimsoll", stdin, shown, stderr) : NULL;
    if (!e->el) {
        if (e->history)
            history_end(e->history);
        free(e);
        return cli_fail(err, PLIM_E_NOMEM, "no memory for line editing");
    }
    hold_terminal_signals(e);
    history(e->history, &event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (path)
        load_history(e, path);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_SIGNAL, 0);
    el_set(e->el, EL_PROMPT, show_prompt);
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_GETCFN, read_character);
    *out = e;
    return PLIM_OK;
}

plim_status line_edit_close(line_edit **edit, plim_error *err)
{
    line_edit *e = *edit;
    plim_status status = PLIM_OK;
    if (!e)
        return status;
    *edit = NULL;
    sigprocmask(SIG_SETMASK, &e->open_mask, NULL);
    if (e->path[0])
        status = save_history(e, err);
    el_end(e->el);
    history_end(e->history);
    free(e);
    return status;
}

line_end line_edit_read(line_edit *e, const char *prompt, const char **text, size_t *bytes)
{
    int count = 0;
    e->prompt = prompt;
    e->broken = false;
    el_set(e->el, EL_PREP_TERM, 1); /* before the prompt: nothing is echoed by the terminal */
    el_resize(e->el);
    const char *line = el_gets(e->el, &count);
    if (e->broken) {
        const LineInfo *typed = el_line(e->el);
        *bytes = (size_t)(typed->lastchar - typed->buffer);
        el_reset(e->el);
        return LINE_BROKEN;
    }
    if (!line || count <= 0)
        return LINE_NO_MORE;
    size_t n = (size_t)count;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    *text = line;
    *bytes = n;
    return LINE_WHOLE;
}

void line_edit_remember(line_edit *e, const char *text)
{
    HistEvent event;
    history(e->history, &event, H_ENTER, text);
}
