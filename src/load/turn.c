/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking turns. */
#include "load/turn.h"

#include <stdbool.h>
#include <time.h>

#define WAIT_NANOSECONDS 20000000L /* between two looks at a cancel */

struct plim_turn_waiter {
    plim_turn_waiter *next;
};

void plim_turn_open(plim_turn *t)
{
    pthread_condattr_t attr;
    *t = (plim_turn){0};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->given, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&t->lock, NULL);
}

void plim_turn_close(plim_turn *t)
{
    pthread_cond_destroy(&t->given);
    pthread_mutex_destroy(&t->lock);
}

static bool is_set(const atomic_bool *cancel)
{
    return cancel && atomic_load_explicit(cancel, memory_order_relaxed);
}

static void wait_a_little(plim_turn *t)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAIT_NANOSECONDS;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&t->given, &t->lock, &until);
}

plim_status plim_turn_take(plim_turn *t, const atomic_bool *cancel, plim_error *err)
{
    plim_turn_waiter me = {NULL}, **link = &t->waiting;
    pthread_mutex_lock(&t->lock);
    if (t->taken && pthread_equal(t->owner, pthread_self())) {
        pthread_mutex_unlock(&t->lock);
        return plim_fail(err, PLIM_E_USAGE,
                         "a callback of a pass began another pass of a model that streams");
    }
    while (*link)
        link = &(*link)->next;
    *link = &me;
    while (!is_set(cancel) && (t->taken || t->waiting != &me))
        wait_a_little(t);
    for (link = &t->waiting; *link != &me;)
        link = &(*link)->next;
    *link = me.next;
    bool mine = !is_set(cancel) && !t->taken && link == &t->waiting;
    if (mine) {
        t->taken = 1;
        t->owner = pthread_self();
    } else /* who stood behind may be the first now */
        pthread_cond_broadcast(&t->given);
    pthread_mutex_unlock(&t->lock);
    return mine ? PLIM_OK : plim_fail(err, PLIM_E_CANCELLED, "cancelled before its turn");
}

void plim_turn_give(plim_turn *t)
{
    pthread_mutex_lock(&t->lock);
    t->taken = 0;
    pthread_cond_broadcast(&t->given);
    pthread_mutex_unlock(&t->lock);
}
