/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: counters below a line, and the allocators that count for those who allocate.
 *
 * A block of an allocator is 16 bytes of its own followed by what was asked for.  Blocks from 64
 * KiB on are maps of their own: freed, they are back with the system at once, where malloc would
 * keep them (its threshold for doing the same grows up to 32 MiB with what is freed), and they grow
 * without a second copy. */
#include "memory/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/num.h"

/* AddressSanitizer sees into malloc's blocks only: there they all come from it. */
#if defined(__SANITIZE_ADDRESS__)
#define PAGED_BYTES SIZE_MAX
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAGED_BYTES SIZE_MAX
#endif
#endif
#ifndef PAGED_BYTES
#define PAGED_BYTES ((size_t)64 << 10)
#endif

#define BLOCK_MARK 0x504c4d42u /* of a live block */

typedef struct block {
    uint64_t bytes; /* as asked for */
    uint32_t mark;
    uint16_t category;
    uint16_t paged; /* a map of its own */
} block;

static_assert(sizeof(block) == 16, "what follows a block must be aligned to 16");

typedef struct counted_alloc {
    plim_alloc alloc; /* alloc.user is this struct */
    plim_ledger *ledger;
    plim_memory_category category;
} counted_alloc;

struct plim_ledger {
    pthread_mutex_t lock; /* over `memory` and `lock_refused` */
    plim_memory memory;
    bool lock_refused;   /* said already */
    plim_allocator host; /* host.alloc NULL: malloc */
    size_t page_bytes;
    counted_alloc allocs[PLIM_MEM_COUNT];
};

PLIM_API const char *plim_memory_category_name(plim_memory_category category)
{
    static const char *const names[PLIM_MEM_COUNT] = {
        "weights", "staging", "kv", "activations", "tokenizer", "metadata", "other"};
    return (unsigned)category < PLIM_MEM_COUNT ? names[category] : "?";
}

/* ---- counting ---------------------------------------------------------------------------------
 */

static void add(plim_memory_use *use, uint64_t bytes)
{
    use->now += bytes;
    if (use->now > use->peak)
        use->peak = use->now;
}

static void subtract(plim_memory_use *use, uint64_t bytes)
{
    assert(use->now >= bytes);
    use->now -= bytes;
}

static plim_status refuse(const plim_memory *memory, plim_memory_category category, uint64_t bytes,
                          plim_error *err)
{
    static const char *const advice[PLIM_MEM_COUNT] = {
        [PLIM_MEM_WEIGHTS] = "raise --memory or choose a narrower --dtype",
        [PLIM_MEM_KV] = "raise --memory or choose a shorter --context or a narrower --kv-dtype",
    };
    char asked[32], held[32], baseline[32], line[32];
    plim_format_bytes(asked, sizeof asked, bytes);
    plim_format_bytes(held, sizeof held, memory->total.now);
    plim_format_bytes(baseline, sizeof baseline, memory->baseline);
    plim_format_bytes(line, sizeof line, memory->limit);
    const char *name = plim_memory_category_name(category);
    if (memory->limit == 0)
        return plim_fail(err, PLIM_E_NOMEM, "%s for %s: more than can be counted", asked, name);
    return plim_fail(
        err, PLIM_E_BUDGET,
        "%s for %s would cross the memory line of %s: %s are held already, and %s by the "
        "process itself; %s",
        asked, name, line, held, baseline, advice[category] ? advice[category] : "raise --memory");
}

plim_status plim_ledger_reserve(plim_ledger *ledger, plim_memory_category category,
                                plim_memory_kind kind, uint64_t bytes, plim_error *err)
{
    assert(ledger && (unsigned)category < PLIM_MEM_COUNT);
    pthread_mutex_lock(&ledger->lock);
    plim_memory *m = &ledger->memory;
    uint64_t all;
    bool fits = plim_add_u64(m->total.now, bytes, &all) && plim_add_u64(all, m->baseline, &all) &&
                (m->limit == 0 || all <= m->limit);
    if (fits) {
        add(&m->total, bytes);
        add(kind == PLIM_MAPPED ? &m->mapped : &m->anonymous, bytes);
        add(&m->category[category], bytes);
    }
    plim_memory seen = *m;
    pthread_mutex_unlock(&ledger->lock);
    return fits ? PLIM_OK : refuse(&seen, category, bytes, err);
}

void plim_ledger_release(plim_ledger *ledger, plim_memory_category category, plim_memory_kind kind,
                         uint64_t bytes)
{
    assert(ledger && (unsigned)category < PLIM_MEM_COUNT);
    pthread_mutex_lock(&ledger->lock);
    plim_memory *m = &ledger->memory;
    subtract(&m->total, bytes);
    subtract(kind == PLIM_MAPPED ? &m->mapped : &m->anonymous, bytes);
    subtract(&m->category[category], bytes);
    pthread_mutex_unlock(&ledger->lock);
}

void plim_ledger_read(const plim_ledger *ledger, plim_memory *out)
{
    pthread_mutex_t *lock =
        (pthread_mutex_t *)&ledger->lock; /* reading changes nothing that shows */
    pthread_mutex_lock(lock);
    *out = ledger->memory;
    pthread_mutex_unlock(lock);
}

/* ---- blocks -----------------------------------------------------------------------------------
 */

/* What a block of `bytes` takes in all; false beyond what an address can say. */
static bool block_total(const plim_ledger *ledger, size_t bytes, bool paged, size_t *total)
{
    if (bytes > (size_t)PTRDIFF_MAX - sizeof(block) - ledger->page_bytes)
        return false;
    *total = bytes + sizeof(block);
    if (paged)
        *total = (*total + ledger->page_bytes - 1) / ledger->page_bytes * ledger->page_bytes;
    return true;
}

static plim_status fail_nomem(plim_error *err, size_t bytes, plim_memory_category category)
{
    char asked[32];
    return plim_fail(err, PLIM_E_NOMEM, "the system gave no memory: %s for %s",
                     plim_format_bytes(asked, sizeof asked, bytes),
                     plim_memory_category_name(category));
}

/* Zeroed memory from where the block belongs. */
static block *take(plim_ledger *ledger, size_t total, bool paged)
{
    if (paged) {
        void *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return map == MAP_FAILED ? NULL : map;
    }
    if (!ledger->host.alloc)
        return calloc(1, total);
    void *ptr = ledger->host.alloc(ledger->host.user, total);
    return ptr ? memset(ptr, 0, total) : NULL;
}

static void give(plim_ledger *ledger, block *b, size_t total)
{
    bool paged = b->paged;
    b->mark = 0;
    if (paged)
        munmap(b, total);
    else if (ledger->host.alloc)
        ledger->host.free(ledger->host.user, b, total);
    else
        free(b);
}

static block *block_of(const counted_alloc *counted, void *ptr)
{
    block *b = (block *)ptr - 1;
    assert(b->mark == BLOCK_MARK && b->category == counted->category);
    (void)counted;
    return b;
}

static void *counted_new(const plim_alloc *self, size_t bytes, plim_error *err)
{
    const counted_alloc *counted = self->user;
    plim_ledger *ledger = counted->ledger;
    bool paged = bytes >= PAGED_BYTES && !ledger->host.alloc;
    size_t total;
    if (!block_total(ledger, bytes, paged, &total)) {
        fail_nomem(err, bytes, counted->category);
        return NULL;
    }
    if (plim_ledger_reserve(ledger, counted->category, PLIM_ANONYMOUS, total, err) != PLIM_OK)
        return NULL;
    block *b = take(ledger, total, paged);
    if (!b) {
        plim_ledger_release(ledger, counted->category, PLIM_ANONYMOUS, total);
        fail_nomem(err, bytes, counted->category);
        return NULL;
    }
    *b = (block){bytes, BLOCK_MARK, (uint16_t)counted->category, paged};
    return b + 1;
}

static void counted_free(const plim_alloc *self, void *ptr)
{
    const counted_alloc *counted = self->user;
    if (!ptr)
        return;
    block *b = block_of(counted, ptr);
    size_t total = 0;
    bool known = block_total(counted->ledger, b->bytes, b->paged, &total);
    assert(known);
    (void)known;
    give(counted->ledger, b, total);
    plim_ledger_release(counted->ledger, counted->category, PLIM_ANONYMOUS, total);
}

/* A new block, a copy, and the old one freed: where nothing better can be done. */
static void *resize_by_copy(const plim_alloc *self, block *old, size_t bytes, plim_error *err)
{
    void *ptr = counted_new(self, bytes, err);
    if (!ptr)
        return NULL;
    memcpy(ptr, old + 1, old->bytes < bytes ? old->bytes : bytes);
    counted_free(self, old + 1);
    return ptr;
}

/* By the system, which moves pages (paged) or, at worst, holds old and new at once (malloc): what
 * is reserved meanwhile is what may exist meanwhile. */
static void *resize_in_place(const counted_alloc *counted, block *b, size_t bytes, plim_error *err)
{
    plim_ledger *ledger = counted->ledger;
    const bool paged = b->paged;
    const size_t old_bytes = b->bytes;
    size_t old_total = 0, total = 0;
    if (!block_total(ledger, old_bytes, paged, &old_total) ||
        !block_total(ledger, bytes, paged, &total)) {
        fail_nomem(err, bytes, counted->category);
        return NULL;
    }
    size_t more = total <= old_total ? 0 : paged ? total - old_total : total;
    if (more &&
        plim_ledger_reserve(ledger, counted->category, PLIM_ANONYMOUS, more, err) != PLIM_OK)
        return NULL;
    void *moved = paged ? mremap(b, old_total, total, MREMAP_MAYMOVE) : realloc(b, total);
    if (!moved || moved == MAP_FAILED) {
        plim_ledger_release(ledger, counted->category, PLIM_ANONYMOUS, more);
        fail_nomem(err, bytes, counted->category);
        return NULL;
    }
    plim_ledger_release(ledger, counted->category, PLIM_ANONYMOUS, old_total + more - total);
    b = moved;
    b->bytes = bytes;
    char *data = (char *)(b + 1);
    /* Pages that are new are zero; what an earlier, longer life left in the old ones is not. */
    size_t dirty = paged && bytes > old_total - sizeof *b ? old_total - sizeof *b : bytes;
    if (dirty > old_bytes)
        memset(data + old_bytes, 0, dirty - old_bytes);
    return data;
}

static void *counted_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    const counted_alloc *counted = self->user;
    if (!ptr)
        return counted_new(self, bytes, err);
    block *b = block_of(counted, ptr);
    if (b->paged || (bytes < PAGED_BYTES && !counted->ledger->host.alloc))
        return resize_in_place(counted, b, bytes, err);
    return resize_by_copy(self, b, bytes, err);
}

const plim_alloc *plim_ledger_alloc(plim_ledger *ledger, plim_memory_category category)
{
    assert(ledger && (unsigned)category < PLIM_MEM_COUNT);
    return &ledger->allocs[category].alloc;
}

/* ---- the ledger itself ------------------------------------------------------------------------
 */

plim_status plim_ledger_open(plim_ledger **out, uint64_t limit, uint64_t baseline,
                             const plim_allocator *system, plim_error *err)
{
    *out = NULL;
    if (system && (!system->alloc || !system->free))
        return plim_fail(err, PLIM_E_USAGE, "an allocator needs both its alloc and its free");
    plim_ledger *ledger =
        system ? system->alloc(system->user, sizeof *ledger) : malloc(sizeof *ledger);
    if (!ledger)
        return plim_fail(err, PLIM_E_NOMEM, "the system gave no memory for the ledger");
    memset(ledger, 0, sizeof *ledger);
    if (system)
        ledger->host = *system;
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->memory.limit = limit;
    ledger->memory.baseline = baseline;
    long page = sysconf(_SC_PAGESIZE);
    ledger->page_bytes = page > 0 ? (size_t)page : 4096;
    for (int i = 0; i < PLIM_MEM_COUNT; i++) {
        counted_alloc *counted = &ledger->allocs[i];
        counted->alloc = (plim_alloc){counted_new, counted_free, counted_resize, counted};
        counted->ledger = ledger;
        counted->category = (plim_memory_category)i;
    }
    *out = ledger;
    return PLIM_OK;
}

void plim_ledger_close(plim_ledger **ledger)
{
    if (!ledger || !*ledger)
        return;
    plim_ledger *l = *ledger;
    *ledger = NULL;
    assert(l->memory.total.now == 0); /* whoever holds memory of a ledger keeps it open */
    pthread_mutex_destroy(&l->lock);
    plim_allocator host = l->host;
    if (host.alloc)
        host.free(host.user, l, sizeof *l);
    else
        free(l);
}

/* ---- locking ----------------------------------------------------------------------------------
 */

void plim_ledger_lock_refused(plim_ledger *ledger, const plim_log *log, int errnum)
{
    pthread_mutex_lock(&ledger->lock);
    bool said = ledger->lock_refused;
    ledger->lock_refused = true;
    pthread_mutex_unlock(&ledger->lock);
    if (said)
        return;
    const char *why = strerrordesc_np(errnum); /* never translated, unlike strerror */
    plim_log_line(log, PLIM_LOG_WARN,
                  "memory can't be locked (%s), so what stays may be swapped out; raise the limit "
                  "for locked memory (ulimit -l, LimitMEMLOCK= of a systemd unit, or "
                  "CAP_IPC_LOCK), or leave mlock off",
                  why ? why : "unknown error");
}
