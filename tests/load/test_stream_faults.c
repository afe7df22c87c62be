/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream when things go wrong: reads that fail, files that change, passes that are cancelled,
 * and several threads.  Never wrong bytes, and the next pass is good again where it can be. */
#include "stream_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"

/* `e` is looked up by row; the head is `h`; of file 1 nothing streams but `b`. */
static const rig_tensor tensors[] = {
    {.name = "e", .stored = PLIM_F32, .run = PLIM_BF16, .rows = 50, .cols = 96},
    {.name = "d", .stored = PLIM_F32, .run = PLIM_F32, .rows = 90, .cols = 1000, .tile_rows = 10},
    {.name = "b",
     .stored = PLIM_BF16,
     .run = PLIM_F32,
     .rows = 33,
     .cols = 129,
     .tile_rows = 8,
     .file = 1},
    {.name = "h",
     .stored = PLIM_F32,
     .run = PLIM_F32,
     .rows = 70,
     .cols = 96,
     .tile_rows = 16,
     .head = true},
};

static plim_reader how; /* every test runs with each */

static rig_setup small(uint32_t slots)
{
    return (rig_setup){
        .tensors = tensors, .count = 4, .slots = slots, .how = how, .lead = 65, .threads = 2};
}

/* ---- reads that fail ---- */

static void expect_read_error(const rig *r, uint32_t tile, plim_status status, plim_status want,
                              const plim_error *err)
{
    const plim_placement *p = &r->placements[r->extents[r->tiles[tile].extent].placement];
    const plim_stored *t = &r->stored->tensors[p->stored];
    assert_int_equal(status, want);
    assert_int_equal(err->code, want);
    assert_string_equal(err->tensor, t->name);
    assert_string_equal(err->file, r->path[t->file]);
    assert_int_equal(err->offset, r->tiles[tile].offset);
    /* once each: file, tensor, offset */
    assert_ptr_equal(strstr(err->message, r->path[t->file]), err->message);
    assert_null(strstr(err->message + 1, "a file: "));
    const char *offset = strstr(err->message, " (at byte ");
    assert_non_null(offset);
    assert_null(strstr(offset + 1, " (at byte "));
}

/* An error belongs to its tile, and a pass later it is forgotten. */
static void test_transient_error(void **state)
{
    (void)state;
    static const uint32_t slots[] = {2, 3, 16};
    for (size_t s = 0; s < 3; s++) {
        rig r;
        plim_error err;
        rig_setup setup = small(slots[s]);
        rig_open(&r, &setup);
        for (uint32_t tile = 0; tile < r.plan.tile_count; tile++) {
            uint32_t stopped;
            plim_stream_close(&r.stream);
            ok(plim_stream_open(&r.stream, &r.job, &err), &err);
            rig_fail_tile(&r, tile, &queue_fault.fail_times, 1);
            plim_status status = rig_pass(&r, 1, NULL, &stopped, &err);
            expect_read_error(&r, tile, status, PLIM_E_IO, &err);
            assert_non_null(strstr(err.message, "Input/output error"));
            assert_int_equal(stopped, tile);
            rig_good_pass(&r, 3);

            rig_fail_tile(&r, tile, &queue_fault.refuse_times, 1);
            status = rig_pass(&r, 1, NULL, &stopped, &err);
            /* the first ones were read before: the fault waits for the next pass, is met by what is
             * read ahead for it, and the pass after begins anew */
            if (status) {
                expect_read_error(&r, tile, status, PLIM_E_IO, &err);
                assert_int_equal(stopped, tile);
            } else {
                assert_in_range(tile, 0, slots[s] - 1);
            }
            rig_good_pass(&r, 0);
            rig_good_pass(&r, 1);
            assert_int_equal(atomic_load(&queue_fault.refuse_times), 0);
        }
        rig_close(&r);
    }
}

static void test_lasting_error(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    rig_setup setup = small(4);
    rig_open(&r, &setup);
    for (uint32_t tile = 0; tile < r.plan.tile_count; tile += 3) {
        uint32_t stopped;
        rig_fail_tile(&r, tile, &queue_fault.fail_times, 1000);
        /* the first tiles are there already */
        plim_status status = rig_pass(&r, 1, NULL, &stopped, &err);
        for (int pass = 0; pass < 3; pass++) {
            status = rig_pass(&r, 1, NULL, &stopped, &err);
            expect_read_error(&r, tile, status, PLIM_E_IO, &err);
            assert_int_equal(stopped, tile);
        }
        /* asked for again: the same answer */
        ok(plim_stream_begin(r.stream, 1, NULL, &err), &err);
        const void *data, *scales;
        for (uint32_t i = 0; i < tile; i++) {
            ok(plim_stream_tile(r.stream, i, &data, &scales, &err), &err);
            plim_stream_release(r.stream, i);
        }
        for (int again = 0; again < 2; again++) {
            status = plim_stream_tile(r.stream, tile, &data, &scales, &err);
            expect_read_error(&r, tile, status, PLIM_E_IO, &err);
            assert_null(data);
        }
        plim_stream_end(r.stream, false);
        rig_fail_tile(&r, tile, &queue_fault.fail_times, 0);
        rig_good_pass(&r, 1);
    }
    rig_close(&r);
}

/* A file that was too short for a moment: as if it had changed. */
static void test_short_for_a_moment(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    rig_setup setup = small(2);
    rig_open(&r, &setup);
    rig_fail_tile(&r, 5, &queue_fault.truncate_times, 1);
    plim_status status = rig_pass(&r, 1, NULL, NULL, &err);
    expect_read_error(&r, 5, status, PLIM_E_CHANGED, &err);
    rig_good_pass(&r, 1);
    rig_close(&r);
}

static void test_queue_fails(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    const void *data, *scales;
    rig_setup setup = small(2);
    rig_open(&r, &setup);
    atomic_store(&queue_fault.stall, true); /* so that nothing is there yet */
    ok(plim_stream_begin(r.stream, 1, NULL, &err), &err);
    atomic_store(&queue_fault.break_times, 1);
    atomic_store(&queue_fault.stall, false);
    assert_int_equal(plim_stream_tile(r.stream, 0, &data, &scales, &err), PLIM_E_IO);
    assert_non_null(strstr(err.message, "the queue broke"));
    plim_stream_end(r.stream, false);
    atomic_store(&queue_fault.break_times, 1); /* and while it is emptied for the next pass */
    assert_int_equal(plim_stream_begin(r.stream, 1, NULL, &err), PLIM_E_IO);
    rig_good_pass(&r, 1);
    rig_close(&r);
}

static void test_row_error(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    const void *data, *scales;
    rig_setup setup = small(2);
    rig_open(&r, &setup);
    const plim_stored *t = &r.stored->tensors[r.placements[0].stored];
    atomic_int *ways[] = {&queue_fault.fail_times, &queue_fault.refuse_times};
    for (int way = 0; way < 2; way++) {
        ok(plim_stream_begin(r.stream, 1, NULL, &err), &err);
        atomic_store(&queue_fault.fail_offset, t->offset + 7 * 96 * 4);
        atomic_store(ways[way], 1);
        assert_int_equal(plim_stream_row(r.stream, 0, 7, &data, &scales, &err), PLIM_E_IO);
        assert_null(data);
        assert_string_equal(err.tensor, "e");
        assert_int_equal(err.offset, t->offset + 7 * 96 * 4);
        assert_string_equal(err.file, r.path[0]);
        ok(plim_stream_row(r.stream, 0, 7, &data, &scales, &err), &err);
        rig_compare_row(&r, 0, 7, data);
        for (uint32_t i = 0; i < r.plan.tile_count; i++) { /* the tiles do not suffer */
            ok(plim_stream_tile(r.stream, i, &data, &scales, &err), &err);
            rig_compare(&r, i, data);
            plim_stream_release(r.stream, i);
        }
        plim_stream_end(r.stream, true);
    }
    rig_good_pass(&r, 1);
    rig_close(&r);
}

/* ---- files that change ---- */

static void cut_file(const rig *r, unsigned file)
{
    struct stat st;
    assert_int_equal(stat(r->path[file], &st), 0);
    assert_int_equal(truncate(r->path[file], st.st_size / 2), 0);
}

static void rewrite_file(const rig *r, unsigned file)
{
    static const char zeros[1 << 16];
    struct stat st;
    int fd = open(r->path[file], O_WRONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 0; at < st.st_size;) {
        size_t n = st.st_size - at < (off_t)sizeof zeros ? (size_t)(st.st_size - at) : sizeof zeros;
        assert_int_equal(pwrite(fd, zeros, n, at), (ssize_t)n);
        at += (off_t)n;
    }
    /* as somebody who restores times would */
    assert_int_equal(futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim}), 0);
    assert_int_equal(close(fd), 0);
}

static void replace_file(const rig *r, unsigned file)
{
    char other[160];
    snprintf(other, sizeof other, "%s.new", r->path[file]);
    FILE *f = fopen(other, "wb");
    assert_true(f && fwrite("not the same", 1, 12, f) == 12 && fclose(f) == 0);
    assert_int_equal(rename(other, r->path[file]), 0);
}

static void delete_file(const rig *r, unsigned file)
{
    assert_int_equal(unlink(r->path[file]), 0);
}

static void (*const changes[])(const rig *, unsigned) = {cut_file, rewrite_file, replace_file,
                                                         delete_file};

static void test_changed_between_passes(void **state)
{
    (void)state;
    for (size_t c = 0; c < 4; c++)
        for (unsigned file = 0; file < 2; file++) {
            rig r;
            plim_error err;
            rig_setup setup = small(3);
            rig_open(&r, &setup);
            rig_good_pass(&r, 1);
            usleep(20000); /* the clock of files is coarse */
            changes[c](&r, file);
            for (int again = 0; again < 2; again++) {
                assert_int_equal(plim_stream_begin(r.stream, 1, NULL, &err), PLIM_E_CHANGED);
                assert_string_equal(err.file, r.path[file]);
            }
            assert_int_equal(plim_stream_read_stats(r.stream).passes, 1);
            rig_close(&r);
        }
}

/* In the middle: what is handed out after that is right, or CHANGED. */
static void test_changed_in_a_pass(void **state)
{
    (void)state;
    for (size_t c = 0; c < 4; c++)
        for (uint32_t when = 0; when < 19; when += 3)
            for (uint32_t slots = 2; slots <= 16; slots += 14) {
                rig r;
                plim_error err;
                rig_setup setup = small(slots);
                rig_open(&r, &setup);
                rig_good_pass(&r, 1);
                usleep(20000);
                ok(plim_stream_begin(r.stream, 1, NULL, &err), &err);
                plim_status status = PLIM_OK;
                const void *data, *scales;
                for (uint32_t i = 0; i < r.plan.tile_count && !status; i++) {
                    if (i == when)
                        changes[c](&r, 0);
                    status = plim_stream_tile(r.stream, i, &data, &scales, &err);
                    if (!status) {
                        rig_compare(&r, i, data);
                        plim_stream_release(r.stream, i);
                    }
                }
                assert_int_equal(status, PLIM_E_CHANGED); /* the head is in that file too */
                assert_string_equal(err.file, r.path[0]);
                assert_true(err.tensor[0] == 'd' || err.tensor[0] == 'h');
                assert_int_equal(plim_stream_row(r.stream, 0, 1, &data, &scales, &err),
                                 PLIM_E_CHANGED);
                assert_string_equal(err.tensor, "e");
                plim_stream_end(r.stream, false);
                rig_close(&r);
            }
}

/* A file from which nothing streams may change. */
static void test_other_files(void **state)
{
    (void)state;
    rig_tensor two[] = {tensors[1], tensors[2]};
    rig r;
    rig_setup setup = {.tensors = two, .count = 2, .slots = 2, .how = how};
    rig_make(&r, &setup);
    for (uint32_t i = r.placements[1].first_extent; i < r.plan.extent_count; i++)
        r.extents[i].form = PLIM_FORM_OWNED;
    r.plan.tile_count = r.plan.head_tile = r.extents[r.placements[1].first_extent].tile;
    plim_error err;
    ok(plim_stream_open(&r.stream, &r.job, &err), &err);
    rig_good_pass(&r, 1);
    delete_file(&r, 1);
    rig_good_pass(&r, 1);
    delete_file(&r, 0);
    assert_int_equal(rig_pass(&r, 1, NULL, NULL, &err), PLIM_E_CHANGED);
    rig_close(&r);
}

/* ---- cancelling ---- */

typedef struct canceller {
    pthread_t thread;
    atomic_bool cancel;
    double at;
} canceller;

static void *cancel_soon(void *arg)
{
    canceller *c = arg;
    usleep(60000);
    c->at = plim_now();
    atomic_store(&c->cancel, true);
    return NULL;
}

static void cancel_begin(canceller *c)
{
    atomic_store(&c->cancel, false);
    assert_int_equal(pthread_create(&c->thread, NULL, cancel_soon, c), 0);
}

/* 50 ms are promised; a busy machine may add to them. */
static void cancel_end(canceller *c)
{
    double now = plim_now();
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    assert_true(now >= c->at);
    if (now - c->at > 0.05)
        print_message("heard after %.0f ms\n", (now - c->at) * 1e3);
    assert_true(now - c->at < 0.5);
}

static void test_cancel(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    const void *data, *scales;
    canceller c;
    rig_setup setup = small(3);
    rig_open(&r, &setup);

    atomic_store(&c.cancel, true); /* before it begins */
    assert_int_equal(plim_stream_begin(r.stream, 1, &c.cancel, &err), PLIM_E_CANCELLED);
    assert_int_equal(plim_stream_read_stats(r.stream).passes, 0);

    atomic_store(&queue_fault.stall, true); /* while a tile is waited for */
    cancel_begin(&c);
    ok(plim_stream_begin(r.stream, 1, &c.cancel, &err), &err);
    assert_int_equal(plim_stream_tile(r.stream, 0, &data, &scales, &err), PLIM_E_CANCELLED);
    cancel_end(&c);
    assert_true(plim_stream_read_stats(r.stream).wait_seconds > 0.03);
    plim_stream_end(r.stream, false);

    cancel_begin(&c); /* while the ring is emptied of the reads of that pass */
    assert_int_equal(plim_stream_begin(r.stream, 1, &c.cancel, &err), PLIM_E_CANCELLED);
    cancel_end(&c);
    assert_int_equal(plim_stream_read_stats(r.stream).passes, 1);
    atomic_store(&queue_fault.stall, false);
    rig_good_pass(&r, 1);

    cancel_begin(&c); /* while a row is waited for; the row comes later */
    ok(plim_stream_begin(r.stream, 1, &c.cancel, &err), &err);
    ok(plim_stream_tile(r.stream, 0, &data, &scales, &err), &err);
    plim_stream_release(r.stream, 0);
    atomic_store(&queue_fault.stall, true);
    assert_int_equal(plim_stream_row(r.stream, 0, 3, &data, &scales, &err), PLIM_E_CANCELLED);
    cancel_end(&c);
    atomic_store(&queue_fault.stall, false);
    atomic_store(&c.cancel, false);
    ok(plim_stream_row(r.stream, 0, 4, &data, &scales, &err), &err);
    rig_compare_row(&r, 0, 4, data);
    atomic_store(&c.cancel, true); /* with tiles that are ready */
    assert_int_equal(plim_stream_tile(r.stream, 1, &data, &scales, &err), PLIM_E_CANCELLED);
    plim_stream_end(r.stream, false);
    rig_good_pass(&r, 1);
    rig_close(&r);
}

static void *wait_for_turn(void *arg)
{
    rig *r = ((void **)arg)[0];
    canceller *c = ((void **)arg)[1];
    plim_error err;
    cancel_begin(c);
    plim_status status = plim_stream_begin(r->stream, 1, &c->cancel, &err);
    cancel_end(c);
    return status == PLIM_E_CANCELLED ? NULL : arg;
}

static void test_cancel_waiting_for_turn(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    canceller c[2];
    pthread_t threads[2];
    rig_setup setup = small(3);
    rig_open(&r, &setup);
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    void *args[2][2] = {{&r, &c[0]}, {&r, &c[1]}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_turn, args[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed = &r;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    plim_stream_end(r.stream, false);
    rig_good_pass(&r, 1);
    assert_int_equal(plim_stream_read_stats(r.stream).passes, 2);
    rig_close(&r);
}

/* The end of a pass does not wait for the disk. */
static void test_end_is_quick(void **state)
{
    (void)state;
    rig r;
    plim_error err;
    rig_setup setup = small(16);
    rig_open(&r, &setup);
    ok(plim_stream_begin(r.stream, 0, NULL, &err), &err);
    atomic_store(&queue_fault.stall, true);
    double since = plim_now();
    plim_stream_end(r.stream, false);
    assert_true(plim_now() - since < 0.5);
    rig_close(&r); /* with reads in flight; the queue waits for them by itself */
    atomic_store(&queue_fault.stall, false);
}

/* ---- several threads ---- */

typedef struct passer {
    pthread_t thread;
    rig *r;
    unsigned seed;
    uint64_t bytes;
    int bad;
} passer;

static void *make_passes(void *arg)
{
    passer *p = arg;
    for (unsigned i = 0; i < 25; i++) {
        plim_error err;
        unsigned rounds = (p->seed + i) % 4;
        if ((p->seed + i) % 7 == 6) { /* given up after three tiles */
            const void *data, *scales;
            p->bad += plim_stream_begin(p->r->stream, rounds, NULL, &err) != PLIM_OK;
            for (uint32_t t = 0; t < 3; t++) {
                p->bad += plim_stream_tile(p->r->stream, t, &data, &scales, &err) != PLIM_OK;
                plim_stream_release(p->r->stream, t);
                p->bytes += p->r->tiles[t].bytes;
            }
            plim_stream_end(p->r->stream, false);
            continue;
        }
        p->bad += rig_pass(p->r, rounds, NULL, NULL, &err) != PLIM_OK;
        p->bytes += rig_pass_bytes(p->r, rounds);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    rig r;
    passer p[3];
    rig_setup setup = small(3);
    rig_open(&r, &setup);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 3; i++) {
        p[i] = (passer){.r = &r, .seed = 3 * i};
        assert_int_equal(pthread_create(&p[i].thread, NULL, make_passes, &p[i]), 0);
    }
    uint64_t seen = 0;
    while (seen < 60) { /* counters only grow, whoever looks */
        plim_stream_stats stats = plim_stream_read_stats(r.stream);
        assert_true(stats.passes >= seen);
        seen = stats.passes;
        usleep(200);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(p[i].thread, NULL), 0);
        assert_int_equal(p[i].bad, 0);
        bytes += p[i].bytes;
    }
    assert_int_equal(plim_stream_read_stats(r.stream).passes, 75);
    assert_int_equal(plim_stream_read_stats(r.stream).bytes, bytes);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transient_error),
        cmocka_unit_test(test_lasting_error),
        cmocka_unit_test(test_short_for_a_moment),
        cmocka_unit_test(test_queue_fails),
        cmocka_unit_test(test_row_error),
        cmocka_unit_test(test_changed_between_passes),
        cmocka_unit_test(test_changed_in_a_pass),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_waiting_for_turn),
        cmocka_unit_test(test_end_is_quick),
        cmocka_unit_test(test_threads),
    };
    how = PLIM_READER_DIRECT;
    int failed = cmocka_run_group_tests_name("direct", tests, NULL, NULL);
    how = PLIM_READER_BUFFERED;
    return failed + cmocka_run_group_tests_name("buffered", tests, NULL, NULL);
}
