/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals of threads that the library starts. */
#ifndef PLIM_BASE_SIGNALS_H
#define PLIM_BASE_SIGNALS_H

#include <signal.h>

/* The host's handlers run on the host's threads: threads started between this and
 * plim_signals_restore have every signal blocked, but for those that an instruction of their own
 * raises (SIGBUS of a mapped file that was cut short): blocked, these would kill the process past
 * its handler. */
static inline void plim_signals_block(sigset_t *before)
{
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    sigset_t set;
    sigfillset(&set);
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&set, own[i]);
    pthread_sigmask(SIG_SETMASK, &set, before);
}

static inline void plim_signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

#endif
