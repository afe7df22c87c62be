/* SPDX-License-Identifier: Apache-2.0
 *
 * The allocator interface: small and middle-sized memory (names, tables, scratch).  Every module
 * takes a `const plim_alloc *`; the ledger hands out one per category, so whoever allocates is
 * counted without knowing of it.  Large numeric memory comes from memory/region.h instead. */
#ifndef PLIM_BASE_ALLOC_H
#define PLIM_BASE_ALLOC_H

#include <stdbool.h>

#include "base/status.h"

/* Thread-safe.  alloc gives zeroed memory aligned to 16, or NULL with *err set (PLIM_E_NOMEM,
 * PLIM_E_BUDGET).  free takes NULL.  The size is remembered by the implementation. */
typedef struct plim_alloc plim_alloc;
struct plim_alloc {
    void *(*alloc)(const plim_alloc *self, size_t bytes, plim_error *err);
    void (*free)(const plim_alloc *self, void *ptr);
    /* Grow or shrink; new bytes are zero; on failure NULL, and the old block lives on. */
    void *(*resize)(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err);
    void *user;
};

/* count * size zeroed bytes; PLIM_E_NOMEM on overflow.  A size of 0 gives a block of 1. */
void *plim_new(const plim_alloc *alloc, size_t count, size_t size, plim_error *err);
void plim_delete(const plim_alloc *alloc, void *ptr);

/* Make room for at least `need` elements in *array (capacity *cap), growing by half.  Elements
 * stay. */
plim_status plim_grow(const plim_alloc *alloc, void *array, size_t *cap, size_t need,
                      size_t elem_size, plim_error *err);

/* malloc with nobody counting: for the context itself, tests and memory handed to the caller. */
const plim_alloc *plim_alloc_system(void);

/* ---- arena: many small things with one lifetime ---- */

typedef struct plim_arena_block plim_arena_block;
typedef struct plim_arena {
    const plim_alloc *alloc;
    plim_arena_block *blocks;
    size_t used, capacity; /* of the newest block */
} plim_arena;

void plim_arena_init(plim_arena *arena, const plim_alloc *alloc);
void *plim_arena_new(plim_arena *arena, size_t count, size_t size,
                     plim_error *err); /* zeroed, 16 */
char *plim_arena_text(plim_arena *arena, const char *text, size_t bytes,
                      plim_error *err); /* + NUL */
char *plim_arena_format(plim_arena *arena, plim_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void plim_arena_free(plim_arena *arena);

/* ---- arithmetic on numbers from files: false on overflow, *out untouched ---- */

static inline bool plim_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

static inline bool plim_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

#endif
