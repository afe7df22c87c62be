/* SPDX-License-Identifier: Apache-2.0
 *
 * The context: ledger, threads, kernels and log of all that is opened in it. */
#include "api/handles.h"
#include "base/cpu.h"

/* Lines from several threads reach the caller one at a time. */
static void log_in_turn(void *user, plim_log_level level, const char *line)
{
    plim_context *c = user;
    pthread_mutex_lock(&c->log_lock);
    c->user_log(c->user_log_data, level, line);
    pthread_mutex_unlock(&c->log_lock);
}

static plim_status start(plim_context *c, const plim_context_options *o, plim_error *err)
{
    unsigned threads = o->threads;
    if (threads == 0) {
        plim_cores cores;
        plim_cores_here(&cores);
        threads = cores.threads;
    }
    if (threads > PLIM_POOL_MAX_THREADS)
        return plim_fail(err, PLIM_E_USAGE, "threads is %u, want 1..%d", threads,
                         PLIM_POOL_MAX_THREADS);
    plim_status status = plim_ledger_open(&c->ledger, c->memory_limit, c->baseline,
                                          o->allocator ? &c->allocator : NULL, err);
    if (status)
        return status;
    uint64_t stacks = plim_pool_stack_bytes(threads);
    status = plim_ledger_reserve(c->ledger, PLIM_MEM_OTHER, PLIM_ANONYMOUS, stacks, err);
    if (status)
        return status;
    c->pool_bytes = stacks;
    return plim_pool_open(&c->pool, plim_ledger_alloc(c->ledger, PLIM_MEM_OTHER), threads, err);
}

plim_status plim_context_open(plim_context **out, const plim_context_options *options,
                              plim_error *err)
{
    plim_context_options o;
    plim_process_memory process;
    plim_error_clear(err);
    *out = NULL;
    plim_status status = plim_context_options_take(&o, options, err);
    if (status)
        return status;
    if (!o.baseline) {
        plim_status read = plim_process_memory_read(&process, err);
        if (read == PLIM_OK)
            o.baseline = process.rss;
        else if (o.memory_limit) /* a line that nobody can hold is not promised */
            return read;
        plim_error_clear(err);
    }
    plim_context *c = plim_new(plim_alloc_system(), 1, sizeof *c, err);
    if (!c)
        return PLIM_E_NOMEM;
    c->refs = 1;
    c->memory_limit = o.memory_limit;
    c->baseline = o.baseline;
    if (o.allocator)
        c->allocator = *o.allocator;
    pthread_mutex_init(&c->log_lock, NULL);
    c->user_log = o.log;
    c->user_log_data = o.log_user;
    if (o.log)
        c->log = (plim_log){log_in_turn, c};
    plim_kernels_init(&c->kernels, o.cpu_mask & plim_cpu_features());
    status = start(c, &o, err);
    if (status)
        plim_context_close(&c);
    *out = c;
    return status;
}

plim_context *plim_context_ref(plim_context *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void plim_context_close(plim_context **context)
{
    plim_context *c = context ? *context : NULL;
    if (!c)
        return;
    *context = NULL;
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    plim_pool_close(&c->pool);
    if (c->ledger)
        plim_ledger_release(c->ledger, PLIM_MEM_OTHER, PLIM_ANONYMOUS, c->pool_bytes);
    plim_ledger_close(&c->ledger);
    pthread_mutex_destroy(&c->log_lock);
    plim_delete(plim_alloc_system(), c);
}

void plim_context_memory(const plim_context *c, plim_memory *out)
{
    plim_ledger_read(c->ledger, out);
}

unsigned plim_context_threads(const plim_context *c)
{
    return plim_pool_threads(c->pool);
}

const char *plim_context_kernels(const plim_context *c)
{
    return c->kernels.name;
}

void plim_free(void *ptr)
{
    plim_delete(plim_alloc_system(), ptr);
}
