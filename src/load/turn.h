/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn: what one thread at a time has, in the order of asking, and whose waiters hear a cancel.
 */
#ifndef PLIM_LOAD_TURN_H
#define PLIM_LOAD_TURN_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/status.h"

typedef struct plim_turn_waiter plim_turn_waiter;

typedef struct plim_turn {
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t given;
    plim_turn_waiter *waiting; /* the first is the next */
    int taken;
    pthread_t owner; /* while taken */
} plim_turn;

void plim_turn_open(plim_turn *turn);
void plim_turn_close(plim_turn *turn);

/* Wait for it.  CANCELLED within 20 ms of `cancel` (NULL: never); USAGE for the thread that has it
 * already (a callback of a pass that begins another one): it would wait for itself. */
plim_status plim_turn_take(plim_turn *turn, const atomic_bool *cancel, plim_error *err);
void plim_turn_give(plim_turn *turn);

#endif
