/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's malloc behind the allocator interface, arrays that grow, and the arena.
 * Leaves counting and limits to memory/ledger. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

/* ---- malloc, remembering sizes ---- */

/* In front of every block; 16 bytes keep the block aligned. */
typedef union header {
    size_t bytes;
    max_align_t align;
    char room[16];
} header;

static_assert(sizeof(header) % 16 == 0, "blocks must stay aligned to 16");

static plim_status no_memory(plim_error *err, size_t bytes)
{
    return plim_fail(err, PLIM_E_NOMEM, "the system gave no memory for %zu bytes", bytes);
}

static void *system_alloc(const plim_alloc *self, size_t bytes, plim_error *err)
{
    (void)self;
    header *h = bytes <= PTRDIFF_MAX - sizeof *h ? calloc(1, sizeof *h + bytes) : NULL;
    if (!h) {
        no_memory(err, bytes);
        return NULL;
    }
    h->bytes = bytes;
    return h + 1;
}

static void system_free(const plim_alloc *self, void *ptr)
{
    (void)self;
    if (ptr)
        free((header *)ptr - 1);
}

static void *system_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    if (!ptr)
        return system_alloc(self, bytes, err);
    header *h = (header *)ptr - 1;
    size_t before = h->bytes;
    h = bytes <= PTRDIFF_MAX - sizeof *h ? realloc(h, sizeof *h + bytes) : NULL;
    if (!h) {
        no_memory(err, bytes);
        return NULL;
    }
    h->bytes = bytes;
    if (bytes > before)
        memset((char *)(h + 1) + before, 0, bytes - before);
    return h + 1;
}

const plim_alloc *plim_alloc_system(void)
{
    static const plim_alloc alloc = {system_alloc, system_free, system_resize, NULL};
    return &alloc;
}

/* ---- arrays ---- */

void *plim_new(const plim_alloc *alloc, size_t count, size_t size, plim_error *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        plim_fail(err, PLIM_E_NOMEM, "%zu elements of %zu bytes are more than memory can hold",
                  count, size);
        return NULL;
    }
    return alloc->alloc(alloc, bytes ? bytes : 1, err);
}

void plim_delete(const plim_alloc *alloc, void *ptr)
{
    if (ptr)
        alloc->free(alloc, ptr);
}

plim_status plim_grow(const plim_alloc *alloc, void *array, size_t *cap, size_t need,
                      size_t elem_size, plim_error *err)
{
    if (need <= *cap)
        return PLIM_OK;
    size_t want = *cap + *cap / 2, bytes;
    if (want < need)
        want = need;
    if (want < 8)
        want = 8;
    if (__builtin_mul_overflow(want, elem_size, &bytes) || bytes > PTRDIFF_MAX)
        return plim_fail(err, PLIM_E_NOMEM,
                         "%zu elements of %zu bytes are more than memory can hold", want,
                         elem_size);
    void *before, *after;
    memcpy(&before, array, sizeof before); /* `array` points to a pointer of any type */
    plim_error why;
    after = before ? alloc->resize(alloc, before, bytes, &why) : alloc->alloc(alloc, bytes, &why);
    if (!after) {
        if (err)
            *err = why;
        return why.code;
    }
    memcpy(array, &after, sizeof after);
    *cap = want;
    return PLIM_OK;
}

/* ---- arena ---- */

#define ARENA_FIRST   4096u
#define ARENA_LARGEST (256u * 1024u)

struct plim_arena_block {
    plim_arena_block *next;
    char pad[16 - sizeof(void *)];
    char data[];
};

static_assert(offsetof(plim_arena_block, data) == 16, "data must be aligned to 16");

void plim_arena_init(plim_arena *arena, const plim_alloc *alloc)
{
    *arena = (plim_arena){.alloc = alloc};
}

/* `bytes` of data in a block of their own kind: the newest one, or (aside) behind it. */
static plim_arena_block *block_new(plim_arena *arena, size_t bytes, bool aside, plim_error *err)
{
    plim_arena_block *block = arena->alloc->alloc(arena->alloc, sizeof *block + bytes, err);
    if (!block)
        return NULL;
    if (aside && arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
        arena->capacity = bytes;
        arena->used = aside ? bytes : 0;
    }
    return block;
}

/* `bytes` of zeroed memory; only every 16th address when `aligned`. */
static void *arena_take(plim_arena *arena, size_t bytes, bool aligned, plim_error *err)
{
    size_t start = aligned ? (arena->used + 15) & ~(size_t)15 : arena->used;
    if (arena->blocks && start <= arena->capacity && bytes <= arena->capacity - start) {
        arena->used = start + bytes;
        return arena->blocks->data + start;
    }
    size_t next = arena->capacity < ARENA_FIRST ? ARENA_FIRST : arena->capacity * 2;
    if (next > ARENA_LARGEST)
        next = ARENA_LARGEST;
    bool aside =
        bytes > next / 4; /* too large to share: what is left of the newest block stays in use */
    plim_arena_block *block = block_new(arena, aside ? bytes : next, aside, err);
    if (!block)
        return NULL;
    if (!aside)
        arena->used = bytes;
    return block->data;
}

void *plim_arena_new(plim_arena *arena, size_t count, size_t size, plim_error *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - 4096) {
        plim_fail(err, PLIM_E_NOMEM, "%zu elements of %zu bytes are more than memory can hold",
                  count, size);
        return NULL;
    }
    return arena_take(arena, bytes ? bytes : 1, true, err);
}

char *plim_arena_text(plim_arena *arena, const char *text, size_t bytes, plim_error *err)
{
    if (bytes > PTRDIFF_MAX - 4096) {
        plim_fail(err, PLIM_E_NOMEM, "a text of %zu bytes is more than memory can hold", bytes);
        return NULL;
    }
    char *out = arena_take(arena, bytes + 1, false, err);
    if (out && bytes)
        memcpy(out, text, bytes);
    return out;
}

char *plim_arena_format(plim_arena *arena, plim_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) {
        plim_fail(err, PLIM_E_NOMEM, "a text could not be formatted");
        return NULL;
    }
    char *out = arena_take(arena, (size_t)n + 1, false, err);
    if (!out)
        return NULL;
    va_start(args, format);
    plim_vformat(out, (size_t)n + 1, format, args); /* a point is never longer in the C locale */
    va_end(args);
    return out;
}

void plim_arena_free(plim_arena *arena)
{
    for (plim_arena_block *block = arena->blocks; block;) {
        plim_arena_block *next = block->next;
        arena->alloc->free(arena->alloc, block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = arena->capacity = 0;
}
