/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream: every byte of every tile over many passes, whatever the schedule, the types, the
 * number of slots and the order in which reads end; rows; what is counted; memory. */
#include "stream_test.h"

static const plim_reader hows[] = {PLIM_READER_BUFFERED, PLIM_READER_DIRECT};
static const uint32_t slot_counts[] = {2, 3, 16};

/* 4 KiB blocks hold parts of several tiles; the last tile of a tensor is shorter. */
static const rig_tensor mixed[] = {
    {.name = "e", .stored = PLIM_F32, .run = PLIM_F32, .rows = 50, .cols = 96},
    {.name = "d", .stored = PLIM_F32, .run = PLIM_F32, .rows = 90, .cols = 100, .tile_rows = 20},
    {.name = "c", .stored = PLIM_F32, .run = PLIM_BF16, .rows = 64, .cols = 64, .tile_rows = 30},
    {.name = "b",
     .stored = PLIM_BF16,
     .run = PLIM_F32,
     .rows = 33,
     .cols = 129,
     .tile_rows = 8,
     .file = 1},
    {.name = "a", .stored = PLIM_F16, .run = PLIM_F32, .rows = 40, .cols = 200, .tile_rows = 13},
    {.name = "h",
     .stored = PLIM_F32,
     .run = PLIM_F32,
     .rows = 70,
     .cols = 96,
     .tile_rows = 16,
     .head = true,
     .file = 1},
};
#define MIXED .tensors = mixed, .count = 6

static void mixed_rounds(rig *r)
{
    static const unsigned rounds[] = {0, 1, 3, 1, 0, 0, 3, 1, 1};
    uint64_t used = 0;
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        rig_good_pass(r, rounds[i]);
        used += rig_pass_bytes(r, rounds[i]);
    }
    plim_stream_stats stats = plim_stream_read_stats(r->stream);
    assert_int_equal(stats.passes, 9);
    assert_int_equal(stats.bytes, used);
    /* and what is ready for the next pass: as many tiles as there are slots, before the head */
    uint64_t ahead = 0;
    for (uint32_t i = 0; i < r->plan.ring_slots && i < r->plan.head_tile; i++)
        ahead += r->tiles[i].bytes;
    assert_int_equal(stats.read_bytes, used + ahead);
    assert_true(stats.wait_seconds >= 0 && stats.wait_seconds < 60);
    assert_in_range(atomic_load(&queue_fault.worst_in_flight), 1, r->plan.ring_slots);
}

static void test_every_tile(void **state)
{
    (void)state;
    for (size_t h = 0; h < 2; h++)
        for (size_t s = 0; s < 3; s++)
            for (unsigned lead = 0; lead < 3; lead++)
                for (int order = 0; order < 2; order++) {
                    static const unsigned leads[] = {64, 1, 4094};
                    rig r;
                    rig_open(&r, &(rig_setup){MIXED, .slots = slot_counts[s], .how = hows[h],
                                              .lead = leads[lead]});
                    atomic_store(&queue_fault.last_first, order == 1);
                    mixed_rounds(&r);
                    atomic_store(&queue_fault.last_first, false);
                    rig_close(&r);
                }
}

/* Tiles are handed out and cast in pieces by several threads: the same bytes. */
static void test_large_tiles(void **state)
{
    (void)state;
    static const rig_tensor tensors[] = {
        {.name = "c",
         .stored = PLIM_F32,
         .run = PLIM_BF16,
         .rows = 1500,
         .cols = 257,
         .tile_rows = 1000},
        {.name = "b",
         .stored = PLIM_BF16,
         .run = PLIM_F32,
         .rows = 1500,
         .cols = 257,
         .tile_rows = 1000},
        {.name = "a",
         .stored = PLIM_F16,
         .run = PLIM_F16,
         .rows = 1500,
         .cols = 257,
         .tile_rows = 1000},
    };
    for (unsigned lead = 0; lead < 2; lead++) { /* a misaligned one is copied */
        rig r;
        rig_open(&r, &(rig_setup){.tensors = tensors,
                                  .count = 3,
                                  .slots = 2,
                                  .threads = 3,
                                  .lead = lead,
                                  .how = PLIM_READER_DIRECT});
        assert_int_equal(r.placements[2].staged, lead == 1);
        for (int pass = 0; pass < 3; pass++)
            rig_good_pass(&r, 1);
        rig_close(&r);
    }
}

static void test_degenerate_schedules(void **state)
{
    (void)state;
    static const struct {
        uint64_t body_rows, head_rows; /* tiles: of one row each */
    } cases[] = {{0, 5}, {5, 0}, {1, 0}, {0, 1}, {1, 1}, {2, 1}, {0, 2}, {3, 20}, {20, 3}};
    static const unsigned rounds[] = {3, 0, 0, 1, 7, 0, 1, 1};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t s = 0; s < 3; s++) {
            rig_tensor tensors[3] = {
                {.name = "rows", .stored = PLIM_F32, .run = PLIM_F32, .rows = 4, .cols = 11}};
            rig_setup setup = {.tensors = tensors,
                               .count = 1,
                               .slots = slot_counts[s],
                               .how = PLIM_READER_DIRECT,
                               .lead = 64};
            if (cases[c].body_rows)
                tensors[setup.count++] = (rig_tensor){.name = "body",
                                                      .stored = PLIM_F32,
                                                      .run = PLIM_F32,
                                                      .rows = cases[c].body_rows,
                                                      .cols = 77,
                                                      .tile_rows = 1};
            if (cases[c].head_rows)
                tensors[setup.count++] = (rig_tensor){.name = "head",
                                                      .stored = PLIM_BF16,
                                                      .run = PLIM_F32,
                                                      .rows = cases[c].head_rows,
                                                      .cols = 77,
                                                      .tile_rows = 1,
                                                      .head = true};
            rig r;
            rig_open(&r, &setup);
            uint64_t used = 0;
            for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
                rig_good_pass(&r, rounds[i]);
                used += rig_pass_bytes(&r, rounds[i]);
            }
            plim_stream_stats stats = plim_stream_read_stats(r.stream);
            assert_int_equal(stats.bytes, used);
            uint64_t ahead = 0;
            for (uint32_t i = 0; i < r.plan.ring_slots && i < r.plan.head_tile; i++)
                ahead += r.tiles[i].bytes;
            assert_int_equal(stats.read_bytes, used + ahead);
            rig_close(&r);
        }
}

/* No ring at all: rows by themselves. */
static void test_rows_alone(void **state)
{
    (void)state;
    static const rig_tensor tensors[] = {
        {.name = "z", .stored = PLIM_F32, .run = PLIM_F32, .rows = 100, .cols = 1025},
        {.name = "y", .stored = PLIM_F32, .run = PLIM_BF16, .rows = 100, .cols = 33},
        {.name = "x", .stored = PLIM_BF16, .run = PLIM_F32, .rows = 3, .cols = 5, .file = 1},
        {.name = "w", .stored = PLIM_F16, .run = PLIM_F32, .rows = 9, .cols = 1},
    };
    for (size_t h = 0; h < 2; h++)
        for (unsigned lead = 0; lead < 2; lead++) {
            rig r;
            plim_error err;
            rig_open(&r, &(rig_setup){.tensors = tensors,
                                      .count = 4,
                                      .slots = 0,
                                      .how = hows[h],
                                      .lead = lead ? 4093 : 8});
            uint64_t used = 0;
            for (unsigned pass = 0; pass < 2; pass++) {
                ok(plim_stream_begin(r.stream, pass, NULL, &err), &err);
                for (uint32_t p = 0; p < 4; p++)
                    for (uint64_t row = r.placements[p].rows; row-- > 0;) {
                        const void *data, *scales;
                        ok(plim_stream_row(r.stream, p, row, &data, &scales, &err), &err);
                        rig_compare_row(&r, p, row, data);
                        used += r.placements[p].stored_row_bytes;
                    }
                plim_stream_end(r.stream, true);
            }
            plim_stream_stats stats = plim_stream_read_stats(r.stream);
            assert_int_equal(stats.bytes, used);
            assert_int_equal(stats.read_bytes, used);
            assert_int_equal(stats.passes, 2);
            rig_close(&r);
        }
}

/* A tile that is held and a row do not touch each other; reads of tiles end while a row waits. */
static void test_rows_between_tiles(void **state)
{
    (void)state;
    for (size_t s = 0; s < 3; s++)
        for (int order = 0; order < 2; order++) {
            rig r;
            plim_error err;
            rig_open(&r, &(rig_setup){MIXED, .slots = slot_counts[s], .how = PLIM_READER_DIRECT,
                                      .lead = 4095});
            atomic_store(&queue_fault.last_first, order == 1);
            uint64_t rows = 0;
            for (unsigned pass = 0; pass < 3; pass++) {
                uint32_t sequence[4 * RIG_TILES], n = rig_sequence(&r, pass, sequence);
                ok(plim_stream_begin(r.stream, pass, NULL, &err), &err);
                for (uint32_t i = 0; i < n; i++) {
                    const void *row, *tile, *scales;
                    ok(plim_stream_row(r.stream, 0, i % 50, &row, &scales, &err), &err);
                    ok(plim_stream_tile(r.stream, sequence[i], &tile, &scales, &err), &err);
                    rig_compare_row(&r, 0, i % 50, row);
                    ok(plim_stream_row(r.stream, 0, (i + 7) % 50, &row, &scales, &err), &err);
                    rig_compare(&r, sequence[i], tile);
                    rig_compare_row(&r, 0, (i + 7) % 50, row);
                    plim_stream_release(r.stream, sequence[i]);
                    rows += 2;
                }
                plim_stream_end(r.stream, true);
            }
            assert_int_equal(plim_stream_read_stats(r.stream).bytes,
                             rows * r.placements[0].stored_row_bytes + rig_pass_bytes(&r, 0) +
                                 rig_pass_bytes(&r, 1) + rig_pass_bytes(&r, 2));
            assert_in_range(atomic_load(&queue_fault.worst_in_flight), 1, slot_counts[s]);
            atomic_store(&queue_fault.last_first, false);
            rig_close(&r);
        }
}

static void test_early_end(void **state)
{
    (void)state;
    for (size_t s = 0; s < 3; s++)
        for (uint32_t stop = 0; stop < 20; stop++) {
            rig r;
            plim_error err;
            rig_open(&r, &(rig_setup){MIXED, .slots = slot_counts[s], .how = PLIM_READER_DIRECT});
            for (int said_ok = 0; said_ok < 2; said_ok++) {
                ok(plim_stream_begin(r.stream, 1, NULL, &err), &err);
                for (uint32_t i = 0; i < stop; i++) {
                    const void *data, *scales;
                    ok(plim_stream_tile(r.stream, i, &data, &scales, &err), &err);
                    rig_compare(&r, i, data);
                    plim_stream_release(r.stream, i);
                }
                plim_stream_end(r.stream, said_ok == 1);
                rig_good_pass(&r, 3);
                rig_good_pass(&r, 0);
            }
            rig_close(&r);
        }
}

/* Ahead of the first use, and of the next pass. */
static void test_reads_ahead(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    const void *data, *scales;
    rig_open(&r, &(rig_setup){MIXED, .slots = 3, .how = PLIM_READER_DIRECT});
    assert_int_equal(atomic_load(&queue_fault.submits), 0);
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    assert_int_equal(atomic_load(&queue_fault.submits), 3);
    for (uint32_t i = 0; i < r.plan.head_tile; i++) {
        ok(plim_stream_tile(r.stream, i, &data, &scales, &err), &err);
        bool staged = r.placements[r.extents[r.tiles[i].extent].placement].staged;
        assert_int_equal(atomic_load(&queue_fault.submits), 3 + i + staged);
        plim_stream_release(r.stream, i);
        assert_int_equal(atomic_load(&queue_fault.submits), 4 + i);
    }
    plim_stream_end(r.stream, true); /* three tiles of the next pass are on their way */
    assert_int_equal(atomic_load(&queue_fault.submits), r.plan.head_tile + 3);
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    assert_int_equal(atomic_load(&queue_fault.submits), r.plan.head_tile + 3);
    plim_stream_end(r.stream, false);
    rig_close(&r);
}

/* Every line below what it takes is a refusal that leaves nothing. */
static void test_memory(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    plim_memory memory;
    rig_open(&r, &(rig_setup){MIXED, .slots = 3, .how = PLIM_READER_DIRECT});
    uint64_t opened = rig_held(&r);
    rig_good_pass(&r, 1);
    const void *data, *scales;
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    ok(plim_stream_row(r.stream, 0, 3, &data, &scales, &err), &err);
    plim_stream_end(r.stream, false);
    plim_ledger_read(r.ledger, &memory);
    assert_int_equal(memory.total.now, opened); /* passes allocate nothing */
    assert_int_equal(memory.total.peak, opened);
    assert_int_equal(memory.category[PLIM_MEM_STAGING].now, opened);
    plim_stream_close(&r.stream);

    plim_ledger *whole = r.ledger;
    bool fitted = false;
    for (uint64_t limit = 0; !fitted; limit += 509) {
        ok(plim_ledger_open(&r.ledger, limit + 1, 0, NULL, &err), &err);
        r.job.ledger = r.ledger;
        plim_status status = plim_stream_open(&r.stream, &r.job, &err);
        fitted = !status;
        if (status) {
            assert_int_equal(status, PLIM_E_BUDGET);
            assert_int_equal(err.code, PLIM_E_BUDGET);
            assert_null(r.stream);
        } else {
            assert_in_range(limit, opened - 1 - 509, opened + 509);
        }
        if (!limit)
            assert_int_equal(plim_stream_open(&r.stream, &r.job, NULL), PLIM_E_BUDGET);
        plim_stream_close(&r.stream);
        assert_int_equal(rig_held(&r), 0);
        plim_ledger_close(&r.ledger);
    }
    r.ledger = whole;
    rig_close(&r);
}

static void test_no_such_cast(void **state)
{
    (void)state;
    static const rig_tensor tensors[] = {{.name = "odd",
                                          .stored = PLIM_F8_E4M3,
                                          .run = PLIM_F32,
                                          .rows = 4,
                                          .cols = 4,
                                          .tile_rows = 4}};
    rig r;
    plim_error err;
    rig_make(&r,
             &(rig_setup){.tensors = tensors, .count = 1, .slots = 2, .how = PLIM_READER_DIRECT});
    assert_int_equal(plim_stream_open(&r.stream, &r.job, &err), PLIM_E_UNSUP);
    assert_string_equal(err.tensor, "odd");
    assert_string_equal(err.file, r.path[0]);
    assert_null(r.stream);
    rig_close(&r);
}

/* Calls that are bugs of ours: stopped by an assertion, and without assertions an error. */
static void test_out_of_order(void **state)
{
    (void)state;
#ifdef NDEBUG
    rig r;
    plim_error err;
    const void *data, *scales;
    rig_open(&r, &(rig_setup){MIXED, .slots = 3, .how = PLIM_READER_DIRECT});
    assert_int_equal(plim_stream_tile(r.stream, 0, &data, &scales, &err),
                     PLIM_E_USAGE); /* no pass */
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    assert_int_equal(plim_stream_tile(r.stream, 1, &data, &scales, &err), PLIM_E_USAGE);
    assert_null(data);
    ok(plim_stream_tile(r.stream, 0, &data, &scales, &err), &err);
    assert_int_equal(plim_stream_tile(r.stream, 1, &data, &scales, &err),
                     PLIM_E_USAGE); /* 0 is held */
    plim_stream_release(r.stream, 0);
    assert_int_equal(plim_stream_tile(r.stream, 0, &data, &scales, &err), PLIM_E_USAGE);
    assert_int_equal(plim_stream_row(r.stream, 0, 50, &data, &scales, &err), PLIM_E_USAGE);
    for (uint32_t i = 1; i < r.plan.head_tile; i++) {
        ok(plim_stream_tile(r.stream, i, &data, &scales, &err), &err);
        rig_compare(&r, i, data);
        plim_stream_release(r.stream, i);
    }
    /* neither the head that was not announced nor the next pass */
    assert_int_equal(plim_stream_tile(r.stream, r.plan.head_tile, &data, &scales, &err),
                     PLIM_E_USAGE);
    assert_int_equal(plim_stream_tile(r.stream, 0, &data, &scales, &err), PLIM_E_USAGE);
    plim_stream_end(r.stream, true);
    rig_good_pass(&r, 1);
    rig_close(&r);
#else
    print_message("built with assertions: calls out of order are not tried\n");
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tile),           cmocka_unit_test(test_large_tiles),
        cmocka_unit_test(test_degenerate_schedules), cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_rows_between_tiles),   cmocka_unit_test(test_early_end),
        cmocka_unit_test(test_reads_ahead),          cmocka_unit_test(test_memory),
        cmocka_unit_test(test_no_such_cast),         cmocka_unit_test(test_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
