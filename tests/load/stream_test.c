/* SPDX-License-Identifier: Apache-2.0
 *
 * The rig and the queue of stream_test.h. */
#include "stream_test.h"

#include "load/reader.h"

/* A read that is done and held back; its queue's.  One stream at a time uses `last_first`. */
static struct {
    plim_read_queue *queue;
    plim_read_request *request;
    plim_status status;
    plim_error error;
} late;

/* ---- the checkpoint ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static uint64_t stored_bytes(const rig_tensor *t)
{
    return t->rows * t->cols * (plim_dtypes[t->stored].bits / 8);
}

/* Numbers, no NaN: a payload may depend on the way. */
static char *random_tensor(const rig_tensor *t, uint64_t *state)
{
    uint64_t bytes = stored_bytes(t);
    size_t size = plim_dtypes[t->stored].bits / 8;
    char *out = malloc(bytes);
    assert_non_null(out);
    for (uint64_t i = 0; i < bytes; i++) {
        out[i] = (char)next_random(state);
        if (i % size == size - 1)
            out[i] &= (char)0xbf;
    }
    return out;
}

static void write_file(rig *r, const rig_setup *setup, unsigned file, uint64_t *state)
{
    static char header[8192];
    size_t n = 1, used = 0;
    header[0] = '{';
    for (uint32_t i = 0; i < setup->count; i++) {
        const rig_tensor *t = &setup->tensors[i];
        if (t->file != file)
            continue;
        n += (size_t)snprintf(header + n, sizeof header - n,
                              "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":"
                              "[%zu,%zu]}",
                              used ? "," : "", t->name, plim_dtype_name(t->stored), (int)t->rows,
                              (int)t->cols, used, used + (size_t)stored_bytes(t));
        used += (size_t)stored_bytes(t);
    }
    header[n++] = '}';
    while ((8 + n) % 4096 != setup->lead)
        header[n++] = ' ';
    char name[40];
    snprintf(name, sizeof name, "model-0000%u-of-00002.safetensors", file + 1);
    snprintf(r->path[file], sizeof r->path[file], "%s", temp_path(&r->folder, name));
    FILE *f = fopen(r->path[file], "wb");
    assert_non_null(f);
    uint64_t length = n;
    assert_int_equal(fwrite(&length, 1, 8, f), 8);
    assert_int_equal(fwrite(header, 1, n, f), n);
    for (uint32_t i = 0; i < setup->count; i++) {
        const rig_tensor *t = &setup->tensors[i];
        if (t->file != file)
            continue;
        char *bytes = random_tensor(t, state);
        assert_int_equal(fwrite(bytes, 1, stored_bytes(t), f), stored_bytes(t));
        size_t size = plim_dtypes[t->run].bits / 8, elements = t->rows * t->cols;
        r->image[i] = malloc(elements * size);
        assert_non_null(r->image[i]);
        if (t->stored == t->run)
            memcpy(r->image[i], bytes, elements * size);
        else if (r->kernels.cast[t->run][t->stored])
            r->kernels.cast[t->run][t->stored](r->image[i], bytes, elements);
        free(bytes);
    }
    assert_int_equal(fclose(f), 0);
}

static void write_index(const rig *r, const rig_setup *setup)
{
    static char text[8192];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"weight_map\":{");
    for (uint32_t i = 0; i < setup->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s\"%s\":\"model-0000%u-of-00002.safetensors\"", i ? "," : "",
                              setup->tensors[i].name, setup->tensors[i].file + 1);
    snprintf(text + n, sizeof text - n, "}}");
    temp_text(&r->folder, "model.safetensors.index.json", text);
}

/* ---- the plan ---- */

static uint64_t largest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void plan_tensor(rig *r, const rig_setup *setup, uint32_t i)
{
    plim_load_plan *plan = &r->plan;
    const rig_tensor *spec = &setup->tensors[i];
    const plim_stored *t = plim_stored_find(r->stored, spec->name);
    assert_non_null(t);
    plim_placement *p = &r->placements[plan->placement_count++];
    *p = (plim_placement){.slot = i,
                          .stored = (uint32_t)(t - r->stored->tensors),
                          .form = PLIM_FORM_STREAMED,
                          .use = spec->tile_rows ? PLIM_USE_IN_ORDER : PLIM_USE_BY_ROW,
                          .dtype = spec->run,
                          .change = spec->stored != spec->run ? PLIM_CHANGE_CAST : PLIM_CHANGE_NONE,
                          .lead = i,
                          .scales = PLIM_NO_SLOT,
                          .staged = spec->stored != spec->run ||
                                    t->offset % plim_dtypes[spec->run].align != 0,
                          .rows = spec->rows,
                          .row_bytes = spec->cols * (plim_dtypes[spec->run].bits / 8),
                          .stored_row_bytes = spec->cols * (plim_dtypes[spec->stored].bits / 8),
                          .first_extent = plan->extent_count};
    p->bytes = p->rows * p->row_bytes;
    if (!spec->tile_rows) {
        r->extents[plan->extent_count++] = (plim_extent_place){
            .placement = i, .form = PLIM_FORM_STREAMED, .rows = p->rows, .tile = PLIM_NO_TILE};
        plan->ring_row_bytes =
            largest(plan->ring_row_bytes, ((p->stored_row_bytes + 2 * 4096 + 63) & ~63ull) +
                                              (p->staged ? p->row_bytes : 0));
    }
    if (spec->head)
        plan->head_tile = plan->tile_count;
    for (uint64_t row = 0; spec->tile_rows && row < p->rows; row += spec->tile_rows) {
        uint64_t rows = p->rows - row < spec->tile_rows ? p->rows - row : spec->tile_rows;
        plim_tile *tile = &r->tiles[plan->tile_count];
        *tile = (plim_tile){.extent = plan->extent_count,
                            .file = t->file,
                            .offset = t->offset + row * p->stored_row_bytes,
                            .bytes = rows * p->stored_row_bytes};
        r->extents[plan->extent_count++] = (plim_extent_place){.placement = i,
                                                               .form = PLIM_FORM_STREAMED,
                                                               .row = row,
                                                               .rows = rows,
                                                               .tile = plan->tile_count++};
        assert_in_range(plan->tile_count, 1, RIG_TILES);
        plan->ring_slot_bytes = largest(plan->ring_slot_bytes, plim_blocks_around(tile->bytes));
        if (p->staged)
            plan->ring_cast_bytes = largest(plan->ring_cast_bytes, rows * p->row_bytes);
    }
    p->extent_count = plan->extent_count - p->first_extent;
}

void rig_make(rig *r, const rig_setup *setup)
{
    plim_error err;
    uint64_t state = 88172645463325252u;
    memset(r, 0, sizeof *r);
    assert_in_range(setup->count, 1, RIG_TENSORS);
    r->folder = temp_open();
    plim_kernels_init(&r->kernels, 0);
    bool two = false;
    for (uint32_t i = 0; i < setup->count; i++)
        two |= setup->tensors[i].file == 1;
    write_file(r, setup, 0, &state);
    if (two)
        write_file(r, setup, 1, &state);
    write_index(r, setup);
    ok(plim_ledger_open(&r->ledger, 0, 0, NULL, &err), &err);
    ok(plim_pool_open(&r->pool, plim_alloc_system(), setup->threads ? setup->threads : 1, &err),
       &err);
    plim_checkpoint_where where = {r->folder.path, NULL, NULL};
    ok(plim_stored_open(&r->stored, plim_alloc_system(), &where, NULL, &err), &err);
    r->plan = (plim_load_plan){.placements = r->placements,
                               .extents = r->extents,
                               .tiles = r->tiles,
                               .head_tile = UINT32_MAX,
                               .stream_how = setup->how};
    for (uint32_t i = 0; i < setup->count; i++)
        plan_tensor(r, setup, i);
    if (r->plan.head_tile == UINT32_MAX)
        r->plan.head_tile = r->plan.tile_count;
    r->plan.ring_slots = setup->slots;
    r->plan.ring_parts = 1;
    r->job = (plim_load_job){.ledger = r->ledger,
                             .pool = r->pool,
                             .kernels = &r->kernels,
                             .stored = r->stored,
                             .plan = &r->plan};
    r->held_before = rig_held(r);
    atomic_store(&queue_fault.submits, 0);
    atomic_store(&queue_fault.worst_in_flight, 0);
}

void rig_open(rig *r, const rig_setup *setup)
{
    plim_error err;
    rig_make(r, setup);
    ok(plim_stream_open(&r->stream, &r->job, &err), &err);
}

uint64_t rig_held(const rig *r)
{
    plim_memory memory;
    plim_ledger_read(r->ledger, &memory);
    return memory.total.now;
}

void rig_close(rig *r)
{
    plim_stream_close(&r->stream);
    late.request = NULL;
    assert_null(r->stream);
    plim_stream_close(&r->stream); /* NULL is allowed */
    assert_int_equal(rig_held(r), r->held_before);
    plim_stored_close(&r->stored);
    plim_pool_close(&r->pool);
    plim_ledger_close(&r->ledger);
    for (uint32_t i = 0; i < RIG_TENSORS; i++)
        free(r->image[i]);
    temp_close(&r->folder);
}

/* ---- passes ---- */

void rig_compare(const rig *r, uint32_t i, const void *data)
{
    const plim_extent_place *e = &r->extents[r->tiles[i].extent];
    const plim_placement *p = &r->placements[e->placement];
    assert_int_equal((uintptr_t)data % plim_dtypes[p->dtype].align, 0);
    if (memcmp(data, r->image[e->placement] + e->row * p->row_bytes, e->rows * p->row_bytes) != 0)
        fail_msg("tile %u has other bytes", i);
}

void rig_compare_row(const rig *r, uint32_t placement, uint64_t row, const void *data)
{
    const plim_placement *p = &r->placements[placement];
    assert_int_equal((uintptr_t)data % plim_dtypes[p->dtype].align, 0);
    if (memcmp(data, r->image[placement] + row * p->row_bytes, p->row_bytes) != 0)
        fail_msg("row %d of %u has other bytes", (int)row, placement);
}

uint32_t rig_sequence(const rig *r, unsigned rounds, uint32_t out[4 * RIG_TILES])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->plan.head_tile; i++)
        out[n++] = i;
    for (unsigned round = 0; round < rounds; round++)
        for (uint32_t i = r->plan.head_tile; i < r->plan.tile_count; i++)
            out[n++] = i;
    assert_in_range(n, 0, 4 * RIG_TILES);
    return n;
}

plim_status rig_pass(rig *r, unsigned rounds, const atomic_bool *cancel, uint32_t *stopped_at,
                     plim_error *err)
{
    uint32_t order[4 * RIG_TILES], n = rig_sequence(r, rounds, order), i = 0;
    if (stopped_at)
        *stopped_at = 0;
    plim_status status = plim_stream_begin(r->stream, rounds, cancel, err);
    if (status)
        return status;
    for (; i < n && !status; i++) {
        const void *data = &data, *scales;
        status = plim_stream_tile(r->stream, order[i], &data, &scales, err);
        if (status) {
            assert_null(data);
            break;
        }
        rig_compare(r, order[i], data);
        plim_stream_release(r->stream, order[i]);
    }
    plim_stream_end(r->stream, status == PLIM_OK);
    if (stopped_at)
        *stopped_at = i;
    return status;
}

void rig_good_pass(rig *r, unsigned rounds)
{
    plim_error err;
    uint32_t stopped;
    plim_status status = rig_pass(r, rounds, NULL, &stopped, &err);
    if (status)
        fail_msg("at %u: %s: %s", stopped, plim_status_name(status), err.message);
}

uint64_t rig_pass_bytes(const rig *r, unsigned rounds)
{
    uint32_t order[4 * RIG_TILES], n = rig_sequence(r, rounds, order);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += r->tiles[order[i]].bytes;
    return sum;
}

/* ---- the queue ---- */

queue_faults queue_fault;

void rig_fail_tile(const rig *r, uint32_t tile, atomic_int *which, int times)
{
    atomic_store(&queue_fault.fail_offset, r->tiles[tile].offset);
    atomic_store(which, times);
}

static bool hits(atomic_int *times, uint64_t offset)
{
    return offset == atomic_load(&queue_fault.fail_offset) && atomic_load(times) > 0 &&
           atomic_fetch_sub(times, 1) > 0;
}

plim_status __real_plim_read_queue_submit(plim_read_queue *, plim_read_request *, plim_error *);
plim_status __wrap_plim_read_queue_submit(plim_read_queue *, plim_read_request *, plim_error *);
plim_status __wrap_plim_read_queue_submit(plim_read_queue *queue, plim_read_request *request,
                                          plim_error *err)
{
    if (hits(&queue_fault.refuse_times, request->offset))
        return plim_fail(err, PLIM_E_IO, "refused");
    plim_status status = __real_plim_read_queue_submit(queue, request, err);
    atomic_fetch_add(&queue_fault.submits, status == PLIM_OK);
    uint64_t now = plim_read_queue_in_flight(queue);
    if (now > atomic_load(&queue_fault.worst_in_flight))
        atomic_store(&queue_fault.worst_in_flight, now);
    return status;
}

unsigned __real_plim_read_queue_in_flight(const plim_read_queue *);
unsigned __wrap_plim_read_queue_in_flight(const plim_read_queue *);
unsigned __wrap_plim_read_queue_in_flight(const plim_read_queue *queue)
{
    return __real_plim_read_queue_in_flight(queue) + (late.request && late.queue == queue);
}

plim_status __real_plim_read_queue_wait(plim_read_queue *, plim_read_request **, int, plim_error *);
plim_status __wrap_plim_read_queue_wait(plim_read_queue *, plim_read_request **, int, plim_error *);

static plim_status wait_faulty(plim_read_queue *queue, plim_read_request **out, int ms,
                               plim_error *err)
{
    plim_status status = __real_plim_read_queue_wait(queue, out, ms, err);
    if (!*out)
        return status;
    plim_where where = {"a file", NULL, (int64_t)(*out)->offset};
    if (hits(&queue_fault.fail_times, (*out)->offset))
        return plim_fail_at(err, PLIM_E_IO, where, "Input/output error");
    if (hits(&queue_fault.truncate_times, (*out)->offset))
        return plim_fail_at(err, PLIM_E_TRUNC, where, "the file ends here");
    return status;
}

plim_status __wrap_plim_read_queue_wait(plim_read_queue *queue, plim_read_request **out, int ms,
                                        plim_error *err)
{
    *out = NULL;
    if (atomic_load(&queue_fault.stall)) {
        usleep((useconds_t)ms * 1000);
        return PLIM_OK;
    }
    if (atomic_load(&queue_fault.break_times) > 0) {
        atomic_fetch_sub(&queue_fault.break_times, 1);
        return plim_fail(err, PLIM_E_IO, "the queue broke");
    }
    if (!late.request && atomic_load(&queue_fault.last_first)) {
        late.queue = queue;
        late.status = wait_faulty(queue, &late.request, ms, &late.error);
    }
    plim_status status = wait_faulty(queue, out, late.request ? 1 : ms, err);
    if (!*out && late.request) {
        *out = late.request;
        status = late.status;
        if (status && err)
            *err = late.error;
        late.request = NULL;
    }
    return status;
}
