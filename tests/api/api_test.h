/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the public API share: contexts and models that must open. */
#ifndef PLIM_TESTS_API_TEST_H
#define PLIM_TESTS_API_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plimsoll.h"
#include "temp.h"

#define TINY        PLIM_SOURCE_DIR "/tests/golden/llama-base"
#define SHAKESPEARE PLIM_SOURCE_DIR "/models/shakespeare-1.7m"

static inline void ok(plim_status status, const plim_error *err)
{
    if (status)
        fail_msg("%s: %s", plim_status_name(status), err->message);
}

static inline plim_context *context_with(unsigned threads)
{
    plim_context *c;
    plim_context_options o;
    plim_error err;
    plim_context_options_init(&o);
    o.threads = threads;
    ok(plim_context_open(&c, &o, &err), &err);
    return c;
}

static inline plim_model *model_with(plim_context *c, const char *name, uint32_t context,
                                     uint32_t sessions)
{
    plim_model *m;
    plim_model_options o;
    plim_error err;
    plim_model_options_init(&o);
    o.context = context;
    o.sessions = sessions;
    ok(plim_model_open(&m, c, name, &o, &err), &err);
    return m;
}

#endif
