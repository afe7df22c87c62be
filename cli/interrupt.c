/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals.  The only mutable globals of the program are here: a handler can reach nothing else.
 * plim_session_cancel and plim_plan_cancel may be called from any thread and do no more than an
 * atomic store. */
#include "interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define LOST_PAGE                                                                                  \
    "a mapped file of the model was cut short while it was in use, or its disk failed; "           \
    "--reader direct keeps weights in memory of its own"

static volatile sig_atomic_t seen; /* the number of the signal; 0: none */
static volatile sig_atomic_t spared, lost_page_json;
static _Atomic(plim_session *) watched;
static _Atomic(plim_plan *) watched_load;

static void on_signal(int number)
{
    bool again = seen != 0;
    if (again && !(spared && (number == SIGINT || seen == SIGINT)))
        _exit(130);
    if (!again || number != SIGINT)
        seen = number;
    plim_session *session = atomic_load(&watched);
    if (session)
        plim_session_cancel(session);
    plim_plan *plan = atomic_load(&watched_load);
    if (plan)
        plim_plan_cancel(plan);
}

static void say(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

/* A page of a mapped file that can't be brought in: the file was cut short, or its disk failed. */
static void on_lost_page(int number)
{
    (void)number;
    if (lost_page_json)
        say(STDOUT_FILENO, "{\"error\":{\"code\":\"CHANGED\",\"message\":\"" LOST_PAGE
                           "\",\"file\":null,\"tensor\":null,\"offset\":null}}\n");
    say(STDERR_FILENO, "plimsoll: CHANGED: " LOST_PAGE "\n");
    _exit(1);
}

void interrupt_install(bool json)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal; /* no SA_RESTART: a read that waits must return */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction was; /* nohup: stays ignored */
    if (sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* the write fails with EFBIG, and is an error like others */
    lost_page_json = json;
    action.sa_handler = on_lost_page;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGBUS, &action, NULL);
}

bool interrupt_seen(void)
{
    return seen != 0;
}

int interrupt_wait(int fd, const sigset_t *mask)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    struct pollfd input = {.fd = fd, .events = POLLIN};
    sigset_t held, was;
    int ready = -1;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        sigaddset(&held, stops[i]);
    sigprocmask(SIG_BLOCK, &held, &was);
    errno = EINTR;
    if (!interrupt_seen())
        ready = ppoll(&input, 1, NULL, mask ? mask : &was);
    int errnum = errno;
    sigprocmask(SIG_SETMASK, &was, NULL);
    errno = errnum;
    return ready;
}

void interrupt_spare(bool on)
{
    spared = on;
}

bool interrupt_forget(void)
{
    sigset_t signals, was;
    sigfillset(&signals); /* none may come between the look and the deed */
    sigprocmask(SIG_SETMASK, &signals, &was);
    bool only = seen == 0 || seen == SIGINT;
    if (only)
        seen = 0;
    sigprocmask(SIG_SETMASK, &was, NULL);
    return only;
}

void interrupt_watch(plim_session *session)
{
    atomic_store(&watched, session);
    if (session && seen)
        plim_session_cancel(session);
}

void interrupt_watch_load(plim_plan *plan)
{
    atomic_store(&watched_load, plan);
    if (plan && seen)
        plim_plan_cancel(plan);
}
