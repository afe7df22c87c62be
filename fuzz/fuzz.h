/* SPDX-License-Identifier: Apache-2.0
 *
 * What the targets share.  A target checks with must(): in every build, and with the line that
 * broke. */
#ifndef PLIM_FUZZ_H
#define PLIM_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(truth)                                                                                \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth);                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* An error that the library reports: its code, a message of one printable line, an offset or -1. */
static inline void must_be_error(plim_status status, const plim_error *err)
{
    must(status < 0 && err->code == status);
    must(err->message[0] && memchr(err->message, 0, sizeof err->message));
    must(memchr(err->file, 0, sizeof err->file) && memchr(err->tensor, 0, sizeof err->tensor));
    must(err->offset >= -1);
    for (const unsigned char *p = (const unsigned char *)err->message; *p; p++)
        must(*p >= 0x20 && *p != 0x7f);
}

/* Counts what is held; refuses past a cap, so that a small input cannot make much memory. */
typedef struct fuzz_alloc {
    plim_alloc alloc;
    size_t live;
} fuzz_alloc;

#define FUZZ_ALLOC_BYTES ((size_t)64 << 20)

static inline bool fuzz_refuses(size_t bytes, plim_error *err)
{
    if (bytes <= FUZZ_ALLOC_BYTES)
        return false;
    plim_fail(err, PLIM_E_BUDGET, "%zu bytes at once", bytes);
    return true;
}

static inline void *fuzz_new(const plim_alloc *self, size_t bytes, plim_error *err)
{
    if (fuzz_refuses(bytes, err))
        return NULL;
    ((fuzz_alloc *)self->user)->live++;
    return plim_alloc_system()->alloc(plim_alloc_system(), bytes, err);
}

static inline void fuzz_free(const plim_alloc *self, void *ptr)
{
    if (ptr)
        ((fuzz_alloc *)self->user)->live--;
    plim_alloc_system()->free(plim_alloc_system(), ptr);
}

static inline void *fuzz_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    if (fuzz_refuses(bytes, err))
        return NULL;
    if (!ptr)
        ((fuzz_alloc *)self->user)->live++;
    return plim_alloc_system()->resize(plim_alloc_system(), ptr, bytes, err);
}

static inline void fuzz_alloc_init(fuzz_alloc *a)
{
    *a = (fuzz_alloc){.alloc = {fuzz_new, fuzz_free, fuzz_resize, a}};
}

#endif
