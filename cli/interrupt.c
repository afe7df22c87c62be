/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals.  The only mutable globals of the program are here: a handler can reach nothing else.
 * plim_session_cancel may be called from any thread and does no more than an atomic store. */
#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static _Atomic(plim_session *) watched;

static void on_signal(int number)
{
    (void)number;
    if (seen)
        _exit(130);
    seen = 1;
    plim_session *session = atomic_load(&watched);
    if (session)
        plim_session_cancel(session);
}

void interrupt_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal; /* no SA_RESTART: a read that waits must return */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool interrupt_seen(void)
{
    return seen != 0;
}

void interrupt_watch(plim_session *session)
{
    atomic_store(&watched, session);
    if (session && seen)
        plim_session_cancel(session);
}
