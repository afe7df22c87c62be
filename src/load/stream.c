/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream.  Owns the ring, the order of its tiles and whose turn it is; leaves the reading to a
 * read queue and the schedule to the plan.  No thread of its own: whoever has the turn submits and
 * books, the kernel (or the queue's threads) reads meanwhile.
 * Invariants:
 *  1. The n-th tile of the sequence has slot n % ring_slots; slots are filled, handed out and freed
 *     in that order.
 *  2. freed <= used <= begun <= freed + ring_slots.
 *  3. What is handed out was read whole from a file that was the same afterwards.
 *  4. All but the turn and the counters belongs to who has the turn. */
#include <assert.h>
#include <string.h>

#include "load/pour.h"
#include "load/reader.h"
#include "load/stream.h"
#include "load/turn.h"

#define WAIT_MS    20               /* between two looks at `cancel` */
#define ROW_TAG    (UINT64_MAX - 1) /* and the one after it */
#define MOST_READS 2u               /* of a tile or a row: its elements or quants; its scales */

typedef enum slot_state { FREE, READING, READY, FAILED } slot_state;

/* A read and what became of it. */
typedef struct slot {
    plim_read_request request;
    uint32_t stored; /* the tensor, for messages */
    slot_state state;
    plim_error error; /* of FAILED */
} slot;

/* A place in the sequence.  `round`: how often the head was passed over already. */
typedef struct cursor {
    uint64_t pass;
    uint32_t tile;
    unsigned round;
} cursor;

struct plim_stream {
    const plim_alloc *alloc;
    plim_load_job job;
    plim_read_queue *queue;
    unsigned depth;
    plim_region ring, cast, row_buffer;
    slot *slots; /* [ring_slots][ring_parts] */
    slot row[MOST_READS];
    uint32_t *files; /* that tiles or rows are read from */
    uint32_t file_count;

    plim_turn turn; /* of the passes */
    bool busy;      /* a pass has it */

    uint64_t pass; /* the last that began */
    unsigned head_rounds;
    const atomic_bool *cancel;
    cursor read, use;            /* the next to read, the next to hand out */
    uint64_t begun, used, freed; /* tiles since the ring was empty */
    uint32_t held_tile;
    bool held, held_slot; /* a tile is handed out; in its slot, not in the cast buffer */
    bool broken;          /* the next pass begins with an empty ring */

    atomic_uint_least64_t passes, used_bytes, read_bytes, wait_ns;
};

/* ---- errors ---- */

static bool is_cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load_explicit(cancel, memory_order_relaxed);
}

static plim_status fail_cancelled(plim_error *err)
{
    return plim_fail(err, PLIM_E_CANCELLED, "cancelled while weights were streamed");
}

/* `error` with the tensor's name: its words without the file before and the offset behind them,
 * which the new message has again. */
static plim_status fail_read(const plim_stream *s, const slot *x, const plim_error *error,
                             plim_error *err)
{
    const plim_stored_set *set = s->job.stored;
    plim_where where = {set->files[x->request.file].path, set->tensors[x->stored].name,
                        error->offset >= 0 ? error->offset : (int64_t)x->request.offset};
    const char *text = error->message;
    size_t skip = strlen(error->file);
    if (skip && strlen(text) > skip + 2 && !memcmp(text + skip, ": ", 2))
        text += skip + 2;
    const char *tail = error->offset >= 0 ? strstr(text, " (at byte ") : NULL;
    int length = (int)(tail ? (size_t)(tail - text) : strlen(text));
    return plim_fail_at(err, error->code, where, "%.*s", length, text);
}

/* After a read: whether the file is still the one that the plan was made for.  A read that failed
 * on a file that changed failed for that reason. */
static plim_status check_read(const plim_stream *s, slot *x, plim_error *err)
{
    const plim_stored_file *file = &s->job.stored->files[x->request.file];
    plim_error error;
    if (plim_file_check(&file->file, file->path, &error))
        return fail_read(s, x, &error, err);
    if (x->state != FAILED)
        return PLIM_OK;
    if (x->error.code == PLIM_E_TRUNC)
        x->error.code = PLIM_E_CHANGED; /* it was long enough, and is again */
    return fail_read(s, x, &x->error, err);
}

/* ---- the sequence ---- */

/* Make c the place of a tile.  False where it is not known yet which comes next: before the head of
 * a pass that has not begun. */
static bool settle(const plim_stream *s, cursor *c)
{
    const plim_load_plan *plan = s->job.plan;
    while (c->tile == plan->head_tile) {
        if (c->pass != s->pass)
            return false;
        if (plan->head_tile < plan->tile_count && c->round < s->head_rounds)
            return true;
        *c = (cursor){.pass = c->pass + 1};
    }
    return true;
}

static void advance(const plim_stream *s, cursor *c)
{
    const plim_load_plan *plan = s->job.plan;
    c->tile++;
    if (c->tile == plan->tile_count && plan->head_tile < plan->tile_count) {
        c->tile = plan->head_tile;
        c->round++;
    }
}

/* The reads of the n-th tile: ring_parts of them. */
static slot *slot_of(const plim_stream *s, uint64_t n)
{
    return &s->slots[n % s->job.plan->ring_slots * s->job.plan->ring_parts];
}

/* ---- reading ---- */

static void submit(plim_stream *s, slot *x)
{
    x->state = READING;
    if (plim_read_queue_submit(s->queue, &x->request, &x->error))
        x->state = FAILED;
    else
        atomic_fetch_add_explicit(&s->read_bytes, x->request.bytes, memory_order_relaxed);
}

/* A range of a file to `at`, which is the beginning of a block, and the blocks around it. */
static void read_range(plim_stream *s, slot *x, uint32_t file, uint64_t offset, uint64_t bytes,
                       char *at, uint64_t tag)
{
    x->request = (plim_read_request){.file = file,
                                     .offset = offset,
                                     .bytes = (size_t)bytes,
                                     .dst = at + offset % PLIM_DIRECT_ALIGN,
                                     .tag = tag};
    submit(s, x);
}

static void read_tile(plim_stream *s, const plim_tile *tile)
{
    const plim_load_plan *plan = s->job.plan;
    const plim_placement *p = &plan->placements[plan->extents[tile->extent].placement];
    slot *x = slot_of(s, s->begun);
    char *at = (char *)s->ring.base + s->begun % plan->ring_slots * plan->ring_slot_bytes;
    x->stored = p->stored;
    read_range(s, x, tile->file, tile->offset, tile->bytes, at, (uint64_t)(x - s->slots));
    if (tile->scales_bytes && x->state != FAILED) {
        x[1].stored = plan->placements[p->scales].stored;
        read_range(s, x + 1, tile->scales_file, tile->scales_offset, tile->scales_bytes,
                   at + plim_blocks_around(tile->bytes), (uint64_t)(x + 1 - s->slots));
        s->broken |= x[1].state == FAILED;
    }
    s->broken |= x->state == FAILED; /* what lies behind it is not needed */
}

/* Begin as many reads as there are free slots. */
static void read_ahead(plim_stream *s)
{
    const plim_load_plan *plan = s->job.plan;
    while (!s->broken && s->begun - s->freed < plan->ring_slots &&
           plim_read_queue_in_flight(s->queue) + plan->ring_parts <= s->depth &&
           settle(s, &s->read)) {
        read_tile(s, &plan->tiles[s->read.tile]);
        s->begun++;
        advance(s, &s->read);
    }
}

/* Book the next read that ends within `ms`. */
static plim_status collect(plim_stream *s, int ms, plim_error *err)
{
    plim_read_request *request;
    plim_error error;
    plim_error_clear(&error);
    plim_status status = plim_read_queue_wait(s->queue, &request, ms, &error);
    if (!request) {
        if (status && err)
            *err = error;
        return status;
    }
    bool row = request->tag >= ROW_TAG;
    slot *x = row ? &s->row[request->tag - ROW_TAG] : &s->slots[request->tag];
    x->state = status ? FAILED : READY;
    if (status) {
        x->error = error;
        x->error.code = status;
        s->broken |= !row;
    }
    return PLIM_OK;
}

static void count_wait(plim_stream *s, double since)
{
    double seconds = plim_now() - since;
    if (seconds > 0)
        atomic_fetch_add_explicit(&s->wait_ns, (uint64_t)(seconds * 1e9), memory_order_relaxed);
}

/* Wait until the read has ended, well or not. */
static plim_status await(plim_stream *s, slot *x, plim_error *err)
{
    if (is_cancelled(s->cancel))
        return fail_cancelled(err);
    if (x->state != READING)
        return PLIM_OK;
    plim_status status = PLIM_OK;
    double since = plim_now();
    while (!status && x->state == READING) {
        status = collect(s, WAIT_MS, err);
        if (!status)
            read_ahead(s);
        if (!status && is_cancelled(s->cancel))
            status = fail_cancelled(err);
    }
    count_wait(s, since);
    return status;
}

/* Wait until fewer than `limit` reads are in flight. */
static plim_status drain(plim_stream *s, unsigned limit, const atomic_bool *cancel, plim_error *err)
{
    plim_status status = PLIM_OK;
    while (!status && plim_read_queue_in_flight(s->queue) >= limit)
        status = is_cancelled(cancel) ? fail_cancelled(err) : collect(s, WAIT_MS, err);
    return status;
}

/* ---- the run type ---- */

/* `rows` stored rows of a placement, in its type, to dst. */
static plim_status convert(const plim_stream *s, const plim_placement *p, void *dst,
                           const void *src, uint64_t rows, plim_error *err)
{
    const plim_stored *t = &s->job.stored->tensors[p->stored];
    plim_pour pour = plim_pour_of(s->job.kernels, p, t, rows, dst);
    plim_pour_piece piece = {src, 0, rows * pour.cols};
    if (plim_pour_by_pool(&pour, &piece, s->job.pool))
        return PLIM_OK;
    return plim_pour_explain(&pour, &piece, s->job.stored, t, err);
}

/* What was read of `rows` rows, in place or in the run type at `cast`: elements and scales are
 * never both cast. */
static plim_status hand_out(const plim_stream *s, const plim_placement *p, const slot *x,
                            uint64_t rows, void *cast, const void **data, const void **scales,
                            plim_error *err)
{
    const plim_placement *q =
        p->scales == PLIM_NO_SLOT ? NULL : &s->job.plan->placements[p->scales];
    *data = p->staged ? cast : x[0].request.dst;
    *scales = !q ? NULL : q->staged ? cast : x[1].request.dst;
    plim_status status = PLIM_OK;
    if (p->staged)
        status = convert(s, p, cast, x[0].request.dst, rows, err);
    if (!status && q && q->staged)
        status = convert(s, q, cast, x[1].request.dst, rows, err);
    return status;
}

/* Wait until what belongs together is there, whole and as it was. */
static plim_status await_all(plim_stream *s, slot *x, unsigned count, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (unsigned i = 0; i < count && !status; i++) {
        status = await(s, &x[i], err);
        if (!status)
            status = check_read(s, &x[i], err);
    }
    return status;
}

/* ---- tiles and rows ---- */

static plim_status check_next(plim_stream *s, uint32_t i, plim_error *err)
{
    bool next =
        s->busy && !s->held && settle(s, &s->use) && s->use.pass == s->pass && s->use.tile == i;
    assert(next);
    if (!next)
        return plim_fail(err, PLIM_E_USAGE, "tile %u of the stream is not the next one", i);
    if (s->begun == s->used)
        read_ahead(s);
    if (s->begun == s->used) /* an earlier one failed, and was asked for */
        return plim_fail(err, PLIM_E_IO, "tile %u of the stream was not read", i);
    return PLIM_OK;
}

plim_status plim_stream_tile(plim_stream *s, uint32_t i, const void **data, const void **scales,
                             plim_error *err)
{
    const plim_tile *tile = &s->job.plan->tiles[i];
    const plim_extent_place *e = &s->job.plan->extents[tile->extent];
    const plim_placement *p = &s->job.plan->placements[e->placement];
    *data = *scales = NULL;
    plim_status status = check_next(s, i, err);
    slot *x = status ? NULL : slot_of(s, s->used);
    if (!status)
        status = await_all(s, x, tile->scales_bytes ? 2 : 1, err);
    if (!status)
        status = hand_out(s, p, x, e->rows, s->cast.base, data, scales, err);
    if (status)
        return status;
    s->held = true;
    s->held_tile = i;
    s->held_slot = !p->staged;
    s->used++;
    advance(s, &s->use);
    atomic_fetch_add_explicit(&s->used_bytes, tile->bytes + tile->scales_bytes,
                              memory_order_relaxed);
    s->freed += p->staged; /* its slot is not needed any more */
    read_ahead(s);
    return PLIM_OK;
}

void plim_stream_release(plim_stream *s, uint32_t i)
{
    assert(s->held && s->held_tile == i);
    if (s->held && s->held_slot && s->held_tile == i)
        s->freed++;
    s->held = false;
    read_ahead(s);
}

/* Begin the reads of a row: of its elements and, where they are apart, of its scales. */
static void read_row(plim_stream *s, const plim_placement *p, uint64_t row)
{
    char *at = s->row_buffer.base;
    for (unsigned i = 0; i < 2 && p; i++) {
        const plim_stored *t = &s->job.stored->tensors[p->stored];
        s->row[i].stored = p->stored;
        read_range(s, &s->row[i], t->file, t->offset + row * p->stored_row_bytes,
                   p->stored_row_bytes, at, ROW_TAG + i);
        at += plim_row_scales_offset(p);
        p = p->scales == PLIM_NO_SLOT ? NULL : &s->job.plan->placements[p->scales];
    }
}

plim_status plim_stream_row(plim_stream *s, uint32_t placement, uint64_t row, const void **data,
                            const void **scales, plim_error *err)
{
    *data = *scales = NULL;
    const plim_placement *p = &s->job.plan->placements[placement];
    const plim_stored *t = &s->job.stored->tensors[p->stored];
    unsigned parts = p->scale_row_bytes ? 2 : 1;
    assert(s->busy && row < p->rows);
    if (row >= p->rows || plim_row_cast_offset(p) > s->row_buffer.bytes)
        return plim_fail(err, PLIM_E_USAGE, "the stream has no row %llu of '%s'",
                         (unsigned long long)row, t->name);
    plim_status status = PLIM_OK; /* of reads that were given up */
    for (unsigned i = 0; i < MOST_READS && !status; i++)
        status = await(s, &s->row[i], err);
    if (!status)
        status = drain(s, s->depth + 1 - parts, s->cancel, err);
    if (status)
        return status;
    read_row(s, p, row);
    status = await_all(s, s->row, parts, err);
    if (status)
        return status;
    atomic_fetch_add_explicit(&s->used_bytes, p->stored_row_bytes + p->scale_row_bytes,
                              memory_order_relaxed);
    return hand_out(s, p, s->row, 1, (char *)s->row_buffer.base + plim_row_cast_offset(p), data,
                    scales, err);
}

/* ---- passes ---- */

static void give_turn(plim_stream *s)
{
    s->busy = false;
    plim_turn_give(&s->turn);
}

static plim_status check_files(const plim_stream *s, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; i < s->file_count && !status; i++) {
        const plim_stored_file *file = &s->job.stored->files[s->files[i]];
        status = plim_file_check(&file->file, file->path, err);
    }
    return status;
}

/* Empty the ring. */
static plim_status restart(plim_stream *s, const atomic_bool *cancel, plim_error *err)
{
    plim_status status = drain(s, 1, cancel, err);
    if (status)
        return status;
    s->read = s->use = (cursor){.pass = s->pass + 1};
    s->begun = s->used = s->freed = 0;
    s->held = s->broken = false;
    return PLIM_OK;
}

plim_status plim_stream_begin(plim_stream *s, unsigned head_rounds, const atomic_bool *cancel,
                              plim_error *err)
{
    plim_status status = plim_turn_take(&s->turn, cancel, err);
    if (status)
        return status;
    s->busy = true;
    status = check_files(s, err);
    if (status)
        s->broken = true; /* nothing of what was read ahead is used */
    else if (s->broken)
        status = restart(s, cancel, err);
    if (status) {
        give_turn(s);
        return status;
    }
    s->pass++;
    s->head_rounds = head_rounds;
    s->cancel = cancel;
    atomic_fetch_add_explicit(&s->passes, 1, memory_order_relaxed);
    read_ahead(s);
    return PLIM_OK;
}

void plim_stream_end(plim_stream *s, bool ok)
{
    assert(s->busy && !s->held);
    settle(s, &s->use);
    if (!ok || s->held || s->use.pass == s->pass)
        s->broken = true;
    s->cancel = NULL;
    give_turn(s);
}

plim_stream_stats plim_stream_read_stats(plim_stream *s)
{
    return (plim_stream_stats){
        .passes = atomic_load_explicit(&s->passes, memory_order_relaxed),
        .bytes = atomic_load_explicit(&s->used_bytes, memory_order_relaxed),
        .read_bytes = atomic_load_explicit(&s->read_bytes, memory_order_relaxed),
        .wait_seconds = (double)atomic_load_explicit(&s->wait_ns, memory_order_relaxed) / 1e9};
}

/* ---- opening and closing ---- */

/* A tensor of which something streams: its file is watched, its cast must exist. */
static plim_status add_tensor(plim_stream *s, const plim_placement *p, plim_error *err)
{
    const plim_stored *t = &s->job.stored->tensors[p->stored];
    plim_error why;
    if (plim_pour_check(s->job.kernels, p, t, &why))
        return plim_fail_at(err, why.code,
                            (plim_where){s->job.stored->files[t->file].path, t->name, -1}, "%s",
                            why.message);
    assert(p->staged || p->change == PLIM_CHANGE_NONE);
    for (uint32_t i = s->file_count; i-- > 0;)
        if (s->files[i] == t->file)
            return PLIM_OK;
    s->files[s->file_count++] = t->file;
    return PLIM_OK;
}

static plim_status add_tensors(plim_stream *s, plim_error *err)
{
    const plim_load_plan *plan = s->job.plan;
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; i < plan->extent_count && !status; i++) {
        const plim_extent_place *e = &plan->extents[i];
        const plim_placement *p = &plan->placements[e->placement];
        if (e->form != PLIM_FORM_STREAMED)
            continue;
        assert(e->tile != PLIM_NO_TILE || plim_row_cast_offset(p) <= plan->ring_row_bytes);
        assert(e->tile == PLIM_NO_TILE || !p->staged ||
               e->rows * p->row_bytes <= plan->ring_cast_bytes);
        assert(e->tile == PLIM_NO_TILE ||
               plim_blocks_around(plan->tiles[e->tile].bytes) <= plan->ring_slot_bytes);
        status = add_tensor(s, p, err);
    }
    return status;
}

static plim_status open_buffers(plim_stream *s, plim_error *err)
{
    const plim_load_plan *plan = s->job.plan;
    plim_ledger *ledger = s->job.ledger;
    assert(!plan->tile_count || plan->ring_slots);
    assert(plan->ring_slots * plan->ring_parts <= PLIM_READER_MAX_DEPTH);
    plim_status status = plim_region_open(&s->ring, ledger, PLIM_MEM_STAGING,
                                          plan->ring_slots * plan->ring_slot_bytes, true, err);
    if (!status)
        status =
            plim_region_open(&s->cast, ledger, PLIM_MEM_STAGING, plan->ring_cast_bytes, true, err);
    if (!status)
        status = plim_region_open(&s->row_buffer, ledger, PLIM_MEM_STAGING, plan->ring_row_bytes,
                                  true, err);
    if (!status && !(s->slots = plim_new(s->alloc, (size_t)plan->ring_slots * plan->ring_parts,
                                         sizeof *s->slots, err)))
        status = err->code;
    if (!status &&
        !(s->files = plim_new(s->alloc, s->job.stored->file_count, sizeof *s->files, err)))
        status = err->code;
    return status;
}

static plim_status open_queue(plim_stream *s, plim_error *err)
{
    const plim_load_plan *plan = s->job.plan;
    s->depth = plan->ring_slots ? plan->ring_slots * plan->ring_parts : 1;
    plim_read_setup setup = {.how = plan->stream_how,
                             .stored = s->job.stored,
                             .ledger = s->job.ledger,
                             .ring = s->ring.base ? &s->ring : NULL,
                             .depth = s->depth};
    return plim_read_queue_open(&s->queue, &setup, err);
}

plim_status plim_stream_open(plim_stream **out, const plim_load_job *job, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = NULL;
    const plim_alloc *alloc = plim_ledger_alloc(job->ledger, PLIM_MEM_STAGING);
    plim_stream *s = plim_new(alloc, 1, sizeof *s, err);
    if (!s)
        return err->code;
    s->alloc = alloc;
    s->job = *job;
    s->read = s->use = (cursor){.pass = 1};
    plim_turn_open(&s->turn);
    plim_status status = open_buffers(s, err);
    if (!status)
        status = add_tensors(s, err);
    if (!status)
        status = open_queue(s, err);
    if (status)
        plim_stream_close(&s);
    *out = s;
    return status;
}

void plim_stream_close(plim_stream **stream)
{
    plim_stream *s = *stream;
    if (!s)
        return;
    plim_read_queue_close(&s->queue);
    plim_region_close(&s->ring, s->job.ledger);
    plim_region_close(&s->cast, s->job.ledger);
    plim_region_close(&s->row_buffer, s->job.ledger);
    plim_delete(s->alloc, s->slots);
    plim_delete(s->alloc, s->files);
    plim_turn_close(&s->turn);
    plim_delete(s->alloc, s);
    *stream = NULL;
}
