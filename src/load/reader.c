/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of reads: who is in flight, which engine moves it, and the descriptors with O_DIRECT.
 * Leaves the moving to reader_uring and reader_threads, the ways to reader_map, _buffered, _direct.
 * Invariants:
 *  1. A slot is free, or in flight from submit until wait gives it back; at most `depth` are.
 *  2. A descriptor with O_DIRECT is open as long as a slot uses it. */
#include <assert.h>

#include "load/reader_internal.h"

static unsigned threads_for(plim_reader how, unsigned depth)
{
    (void)how;
    return depth < READ_MAX_THREADS ? depth : READ_MAX_THREADS;
}

uint64_t plim_read_queue_bytes(plim_reader how, unsigned depth)
{
    uint64_t engine = plim_read_threads_bytes(threads_for(how, depth));
    if (how == PLIM_READER_DIRECT && engine < plim_read_uring_bytes())
        engine = plim_read_uring_bytes();
    return sizeof(plim_read_queue) + 16 + engine;
}

plim_status plim_read_queue_open(plim_read_queue **out, const plim_read_setup *setup,
                                 plim_error *err)
{
    assert(setup->depth >= 1 && setup->depth <= PLIM_READER_MAX_DEPTH);
    assert(setup->how != PLIM_READER_AUTO);
    *out = NULL;
    plim_error why;
    const plim_alloc *alloc = plim_ledger_alloc(setup->ledger, PLIM_MEM_STAGING);
    plim_read_queue *queue = plim_new(alloc, 1, sizeof *queue, &why);
    plim_status status = queue ? PLIM_OK : why.code;
    if (queue) {
        queue->setup = *setup;
        queue->alloc = alloc;
        bool uring = setup->how == PLIM_READER_DIRECT &&
                     !(setup->without & PLIM_READ_WITHOUT_URING) && plim_read_uring_open(queue);
        if (!uring)
            status = plim_read_threads_open(queue, threads_for(setup->how, setup->depth), &why);
    }
    if (status != PLIM_OK) {
        plim_delete(alloc, queue);
        if (err)
            *err = why;
        return status;
    }
    *out = queue;
    return PLIM_OK;
}

/* The file's descriptor with O_DIRECT, opened where it is not yet; the one that was opened longest
 * ago and is not in use makes room. */
static read_direct_file *direct_of(plim_read_queue *queue, uint32_t file)
{
    read_direct_file *at = NULL;
    for (unsigned i = 0; i < READ_DIRECT_FILES; i++) {
        read_direct_file *f = &queue->files[i];
        if (f->taken && f->file == file)
            return f;
        if (!f->taken && !at)
            at = f;
    }
    while (!at) {
        read_direct_file *f = &queue->files[queue->next_victim++ % READ_DIRECT_FILES];
        if (f->users == 0)
            at = f;
    }
    if (at->taken)
        plim_fd_close(&at->fd);
    const plim_stored_file *stored = &queue->setup.stored->files[file];
    bool opened = plim_file_open_direct(&at->fd, &stored->file, stored->path);
    at->file = file;
    at->taken = true;
    atomic_store_explicit(&at->refused, !opened, memory_order_relaxed);
    return at;
}

plim_status plim_read_queue_submit(plim_read_queue *queue, plim_read_request *request,
                                   plim_error *err)
{
    (void)err;
    assert(queue->in_flight < queue->setup.depth);
    assert(request->file < queue->setup.stored->file_count);
    read_slot *slot = queue->slots;
    while (slot->request)
        slot++;
    slot->request = request;
    slot->direct = NULL;
    slot->buffered = slot->uncached = false;
    slot->tries = 0;
    slot->status = PLIM_OK;
    request->done = 0;
    if (queue->setup.how == PLIM_READER_DIRECT) {
        slot->direct = direct_of(queue, request->file);
        slot->direct->users++;
    }
    queue->in_flight++;
    queue->engine->submit(queue, slot);
    return PLIM_OK;
}

plim_status plim_read_queue_wait(plim_read_queue *queue, plim_read_request **out, int timeout_ms,
                                 plim_error *err)
{
    *out = NULL;
    if (queue->in_flight == 0)
        return PLIM_OK;
    read_slot *slot = queue->engine->wait(queue, timeout_ms);
    if (!slot)
        return PLIM_OK;
    plim_status status = slot->status;
    if (status != PLIM_OK) {
        status = plim_reader_explain(read_file_of(queue, slot->request), status, &slot->err);
        if (err)
            *err = slot->err;
    }
    *out = slot->request;
    slot->request = NULL;
    if (slot->direct)
        slot->direct->users--;
    queue->in_flight--;
    return status;
}

unsigned plim_read_queue_in_flight(const plim_read_queue *queue)
{
    return queue->in_flight;
}

const char *plim_read_queue_engine(const plim_read_queue *queue)
{
    return queue->engine->name;
}

void plim_read_queue_close(plim_read_queue **out)
{
    plim_read_queue *queue = *out;
    if (!queue)
        return;
    queue->engine->close(queue);
    for (unsigned i = 0; i < READ_DIRECT_FILES; i++)
        if (queue->files[i].taken)
            plim_fd_close(&queue->files[i].fd);
    plim_delete(queue->alloc, queue);
    *out = NULL;
}

void plim_read_now(plim_read_queue *queue, read_slot *slot)
{
    const plim_read_request *r = slot->request;
    const plim_stored_file *file = read_file_of(queue, r);
    switch (queue->setup.how) {
    case PLIM_READER_MAP:
        slot->status = plim_reader_map.fetch(file, file->file.fd, r, &slot->err);
        break;
    case PLIM_READER_DIRECT:
        slot->status = plim_read_direct(file, slot->direct->fd, r, &slot->direct->refused,
                                        &queue->no_dontcache, &slot->err);
        break;
    default:
        slot->status = plim_read_buffered(file, file->file.fd, r->dst, r->bytes, r->offset,
                                          &queue->no_dontcache, &slot->err);
    }
}

plim_status plim_reader_explain(const plim_stored_file *file, plim_status status, plim_error *err)
{
    plim_error changed;
    if (status == PLIM_E_TRUNC && plim_file_check(&file->file, file->path, &changed) != PLIM_OK) {
        *err = changed;
        return changed.code;
    }
    return status;
}
