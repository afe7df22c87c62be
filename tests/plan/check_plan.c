/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds of every plan.  See fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"

static uint64_t up(uint64_t bytes)
{
    return (bytes + PLIM_DIRECT_ALIGN - 1) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
}

/* Where an extent lies in its file, and how much of it. */
typedef struct span {
    const plim_placement *p;
    const plim_stored *t;
    uint64_t at, bytes, memory;
} span;

static span span_of(const made *m, const plim_load_plan *plan, const plim_extent_place *e)
{
    const plim_placement *p = &plan->placements[e->placement];
    const plim_stored *t = &m->set.tensors[p->stored];
    bool whole = e->rows == p->rows;
    return (span){p, t, t->offset + e->row * p->stored_row_bytes,
                  whole ? t->bytes : e->rows * p->stored_row_bytes,
                  whole ? p->bytes : e->rows * p->row_bytes};
}

/* ---- extents ---- */

static void check_extents(const made *m, const plim_load_plan *plan)
{
    uint64_t pinned = 0, stored = 0, weights = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        uint64_t row = 0, kept = 0, covered = 0;
        bool streams = false;
        assert_int_equal(p->first_extent, next);
        assert_true(p->extent_count > 0);
        for (uint32_t j = 0; j < p->extent_count; j++) {
            const plim_extent_place *e = &plan->extents[p->first_extent + j];
            span s = span_of(m, plan, e);
            assert_int_equal(e->placement, i);
            assert_int_equal(e->row, row);
            assert_true(e->rows > 0);
            row += e->rows;
            covered += s.bytes;
            if (e->form == PLIM_FORM_STREAMED)
                streams = true;
            else
                kept += s.memory;
        }
        next += p->extent_count;
        assert_int_equal(row, p->rows);
        assert_int_equal(covered, m->set.tensors[p->stored].bytes);
        assert_int_equal(kept, p->pinned_bytes);
        assert_int_equal(streams, p->form == PLIM_FORM_STREAMED);
        pinned += kept;
        stored += covered;
        weights += p->bytes;
    }
    assert_int_equal(next, plan->extent_count);
    assert_int_equal(pinned, plan->pinned_bytes);
    assert_int_equal(stored, plan->stored_bytes);
    assert_int_equal(weights, plan->weight_bytes);
}

/* Where extents lie in their runs; `ends` is scratch, one per run. */
static void check_places(const made *m, const plim_load_plan *plan, uint64_t *ends)
{
    memset(ends, 0, plan->run_count * sizeof *ends);
    for (uint32_t i = 0; i < plan->extent_count; i++) {
        const plim_extent_place *e = &plan->extents[i];
        span s = span_of(m, plan, e);
        if (e->form == PLIM_FORM_STREAMED)
            continue;
        assert_true(e->run < plan->run_count);
        const plim_run *r = &plan->runs[e->run];
        assert_int_equal(r->file, s.t->file);
        assert_int_equal(r->form, e->form);
        assert_true(e->offset >= ends[e->run]); /* never overlap */
        ends[e->run] = e->offset + s.memory;
        assert_true(ends[e->run] <= r->bytes);
        if (e->form == PLIM_FORM_MAPPED)
            assert_int_equal(r->file_offset + e->offset, s.at);
        else if (!r->staged)
            assert_int_equal(e->offset % PLIM_DIRECT_ALIGN, s.at % PLIM_DIRECT_ALIGN);
        assert_int_equal(r->staged, s.p->staged);
        bool packed = plim_dtypes[s.p->dtype].group && s.p->change == PLIM_CHANGE_NONE;
        if (packed) /* bytes */
            continue;
        if (s.bytes && e->form == PLIM_FORM_MAPPED)
            assert_int_equal(s.at % plim_dtypes[s.t->dtype].align, 0);
        else if (s.bytes)
            assert_int_equal(e->offset % plim_dtypes[s.p->dtype].align, 0);
    }
    for (uint32_t i = 0; i < plan->run_count; i++)
        if (plan->runs[i].form == PLIM_FORM_OWNED && !plan->runs[i].staged)
            assert_int_equal(plan->runs[i].bytes % PLIM_DIRECT_ALIGN, 0);
}

/* ---- reads ---- */

static uint64_t overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    uint64_t from = a > b ? a : b, to = a + a_bytes < b + b_bytes ? a + a_bytes : b + b_bytes;
    return to > from ? to - from : 0;
}

/* A read to its place and an extent of its run: what of it is filled.  Whole blocks that are read
 * around it bring the right bytes wherever they touch the extent. */
static uint64_t fills(const plim_read *r, const plim_extent_place *e, const span *s)
{
    uint64_t from = r->offset_in_run, bytes = r->bytes;
    if (r->how == PLIM_READER_DIRECT) {
        from -= from % PLIM_DIRECT_ALIGN;
        bytes = up(r->offset_in_run + r->bytes) - from;
    }
    if (overlap(from, bytes, e->offset, s->bytes)) {
        assert_int_equal(r->offset - s->at, r->offset_in_run - e->offset);
        assert_int_equal(r->file, s->t->file);
    }
    return overlap(r->offset_in_run, r->bytes, e->offset, s->bytes);
}

static int by_memory(const void *a, const void *b)
{
    const plim_read *x = a, *y = b;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return x->offset_in_run < y->offset_in_run ? -1 : x->offset_in_run > y->offset_in_run;
}

static void check_read(const plim_load_plan *plan, const plim_read *r)
{
    const plim_run *run = &plan->runs[r->run];
    bool map = r->how == PLIM_READER_MAP;
    assert_true(r->bytes > 0);
    assert_int_equal(run->file, r->file);
    assert_int_equal(map, run->form == PLIM_FORM_MAPPED);
    if (run->staged) {
        assert_true(r->bytes <= PLIM_STAGED_BYTES && r->move_count > 0);
        assert_true(up(r->offset % PLIM_DIRECT_ALIGN + r->bytes) <=
                    PLIM_STAGED_BYTES + 2 * PLIM_DIRECT_ALIGN);
        return;
    }
    assert_int_equal(r->move_count, 0);
    assert_true(r->bytes <= (map ? PLIM_MAP_PIECE_BYTES : PLIM_PIECE_BYTES));
    assert_true(r->offset_in_run + r->bytes <= run->bytes);
    if (!map)
        assert_int_equal(r->offset_in_run % PLIM_DIRECT_ALIGN, r->offset % PLIM_DIRECT_ALIGN);
    if (!map)
        assert_true(up(r->offset_in_run + r->bytes) <= run->bytes);
}

/* Every extent that stays as it is stored is filled once, no memory is written twice. */
static void check_reads(const made *m, const plim_load_plan *plan)
{
    plim_read *reads = malloc((plan->read_count + 1) * sizeof *reads);
    size_t count = 0, first = 0;
    for (size_t i = 0; i < plan->read_count; i++) {
        const plim_read *r = &plan->reads[i], *before = i ? r - 1 : NULL;
        check_read(plan, r);
        if (before && before->how == r->how && before->file == r->file)
            assert_true(before->offset <= r->offset);
        if (before)
            assert_true(before->how <= r->how);
        if (!r->move_count)
            reads[count++] = *r;
    }
    qsort(reads, count, sizeof *reads, by_memory);
    for (size_t i = 1; i < count; i++) {
        uint64_t end = reads[i - 1].offset_in_run + reads[i - 1].bytes;
        uint64_t begin = reads[i].offset_in_run;
        if (reads[i].run != reads[i - 1].run)
            continue;
        assert_true(end <= begin);
        if (reads[i].how != PLIM_READER_MAP) /* no block is read twice */
            assert_true(up(end) <= begin - begin % PLIM_DIRECT_ALIGN);
    }
    for (uint32_t run = 0; run < plan->run_count; run++) {
        size_t end = first;
        while (end < count && reads[end].run == run)
            end++;
        for (uint32_t i = 0; i < plan->extent_count; i++) {
            const plim_extent_place *e = &plan->extents[i];
            if (e->form == PLIM_FORM_STREAMED || e->run != run || plan->runs[run].staged)
                continue;
            span s = span_of(m, plan, e);
            uint64_t filled = 0;
            for (size_t j = first; j < end; j++)
                filled += fills(&reads[j], e, &s);
            assert_int_equal(filled, s.bytes);
        }
        first = end;
    }
    free(reads);
}

static void check_moves(const made *m, const plim_load_plan *plan)
{
    uint64_t *done = calloc(plan->extent_count, sizeof *done);
    uint32_t *seen = calloc(plan->move_count + 1, sizeof *seen);
    for (size_t i = 0; i < plan->read_count; i++)
        for (uint32_t j = 0; j < plan->reads[i].move_count; j++)
            seen[plan->reads[i].first_move + j] = (uint32_t)i + 1;
    for (size_t j = 0; j < plan->move_count; j++) {
        const plim_move *v = &plan->moves[j];
        const plim_extent_place *e = &plan->extents[v->extent];
        span s = span_of(m, plan, e);
        assert_true(seen[j] > 0);
        const plim_read *r = &plan->reads[seen[j] - 1];
        unsigned from = plim_dtypes[s.t->dtype].bits, to = plim_dtypes[s.p->dtype].bits;
        bool groups = s.p->change >= PLIM_CHANGE_QUANTISE;
        uint64_t bytes = v->elements * (from < 8 ? 1 : from / 8); /* below a byte: bytes */
        assert_true(v->elements > 0);
        assert_int_equal(r->run, e->run);
        assert_int_equal(r->offset + v->skip, s.at + done[v->extent]); /* in order, whole */
        assert_true(v->skip + bytes <= r->bytes);
        if (groups) {
            uint64_t row = s.p->change == PLIM_CHANGE_TURN ? plim_row_elements(s.p, s.t) : 1;
            assert_int_equal(v->elements % (PLIM_GROUP * row), 0);
        }
        assert_int_equal(v->run_offset,
                         e->offset + (groups       ? 0
                                      : from == to ? done[v->extent]
                                                   : done[v->extent] / (from / 8) * (to / 8)));
        done[v->extent] += bytes;
    }
    for (uint32_t i = 0; i < plan->extent_count; i++) {
        const plim_extent_place *e = &plan->extents[i];
        bool staged = e->form != PLIM_FORM_STREAMED && plan->runs[e->run].staged;
        assert_int_equal(done[i], staged ? span_of(m, plan, e).bytes : 0);
    }
    free(done);
    free(seen);
}

/* ---- the schedule ---- */

static void check_tile(const made *m, const plim_load_plan *plan, uint32_t i)
{
    const plim_tile *tile = &plan->tiles[i];
    const plim_extent_place *e = &plan->extents[tile->extent];
    span s = span_of(m, plan, e);
    assert_int_equal(e->form, PLIM_FORM_STREAMED);
    assert_int_equal(e->tile, i);
    assert_int_equal(tile->file, s.t->file);
    assert_int_equal(tile->offset, s.at);
    assert_int_equal(tile->bytes, s.bytes);
    assert_true(up(tile->offset % PLIM_DIRECT_ALIGN + tile->bytes) <= plan->ring_slot_bytes);
    if (s.p->staged)
        assert_true(s.memory <= plan->ring_cast_bytes);
    if (s.p->change == PLIM_CHANGE_TURN)
        assert_true(e->row % PLIM_GROUP == 0 && e->rows % PLIM_GROUP == 0);
    assert_int_equal(tile->scales_bytes > 0, s.p->scales != PLIM_NO_SLOT);
    if (s.p->scales == PLIM_NO_SLOT)
        return;
    /* the scales of the same rows */
    const plim_placement *q = &plan->placements[s.p->scales];
    const plim_extent_place *o = &plan->extents[q->first_extent + tile->extent - s.p->first_extent];
    span t = span_of(m, plan, o);
    assert_int_equal(o->row, e->row);
    assert_int_equal(o->rows, e->rows);
    assert_int_equal(o->tile, i);
    assert_int_equal(o->form, PLIM_FORM_STREAMED);
    assert_int_equal(tile->scales_file, t.t->file);
    assert_int_equal(tile->scales_offset, t.at);
    assert_int_equal(tile->scales_bytes, t.bytes);
    assert_int_equal(plan->ring_parts, 2);
    assert_true(plim_blocks_around(tile->bytes) + plim_blocks_around(tile->scales_bytes) <=
                plan->ring_slot_bytes);
    if (q->staged)
        assert_true(t.memory <= plan->ring_cast_bytes);
}

/* Every tile once, slot by slot and row by row, the output head last. */
static void check_schedule(const made *m, const plim_load_plan *plan)
{
    const plim_skeleton *k = m->skeleton;
    uint32_t next = 0, head = plan->tile_count;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < k->slot_count && k->family; i++) {
        const plim_placement *p = &plan->placements[plan->placement_of_slot[i]];
        plim_role role = k->slots[i].role;
        bool table = role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION;
        if (role == PLIM_ROLE_HEAD)
            head = next;
        if (table && p->form == PLIM_FORM_STREAMED) {
            bytes += p->stored_row_bytes + p->scale_row_bytes;
            assert_true(plan->ring_row_bytes >= up(p->stored_row_bytes) + PLIM_DIRECT_ALIGN);
        }
        for (uint32_t j = 0; j < p->extent_count && !table; j++) {
            const plim_extent_place *e = &plan->extents[p->first_extent + j];
            if (e->form != PLIM_FORM_STREAMED)
                continue;
            assert_int_equal(e->tile, next);
            check_tile(m, plan, next);
            bytes += plan->tiles[next].bytes + plan->tiles[next].scales_bytes;
            next++;
        }
    }
    assert_int_equal(next, plan->tile_count);
    assert_int_equal(head, k->family ? plan->head_tile : head);
    assert_int_equal(bytes, plan->streamed_bytes);
    assert_true(plan->ring_slots <= PLIM_MAX_SLOTS);
    assert_int_equal(plan->ring_slots > 0, bytes > 0);
    assert_int_equal(plan->ring_slot_bytes % PLIM_DIRECT_ALIGN, 0);
    assert_true(plan->stream_how == PLIM_READER_DIRECT || plan->stream_how == PLIM_READER_BUFFERED);
}

static void check_sums(const made *m, const plim_load_plan *plan)
{
    uint64_t weights = 0, sum = 0;
    for (uint32_t i = 0; i < plan->run_count; i++)
        weights += (plan->runs[i].file_offset % 4096 * (plan->runs[i].form == PLIM_FORM_MAPPED) +
                    plan->runs[i].bytes + 4095) /
                   4096 * 4096;
    assert_int_equal(weights + m->held.category[PLIM_MEM_WEIGHTS],
                     plan->category[PLIM_MEM_WEIGHTS]);
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        sum += plan->category[i];
    assert_true(plan->anonymous + plan->mapped <= sum);
    assert_int_equal(plan->line, m->facts.baseline + plan->anonymous + plan->mapped);
    bool weights_fit = !m->options.max_weights || weights <= m->options.max_weights;
    bool line_fits = !m->facts.memory_limit || plan->line <= m->facts.memory_limit;
    assert_int_equal(plan->fits, weights_fit && line_fits);
    assert_true(plan->predicted_peak >= m->facts.peak);
    uint64_t ring =
        plan->ring_slots * plan->ring_slot_bytes + plan->ring_cast_bytes + plan->ring_row_bytes;
    assert_true(plan->category[PLIM_MEM_STAGING] >= ring);
    assert_true(plan->anonymous >=
                plan->pinned_bytes -
                    (plan->mapped < plan->pinned_bytes ? plan->mapped : plan->pinned_bytes) + ring +
                    plan->kv_bytes * plan->sessions);
}

void check_plan(const made *m, const plim_load_plan *plan)
{
    uint64_t *ends = calloc(plan->run_count + 1, sizeof *ends);
    check_extents(m, plan);
    check_places(m, plan, ends);
    check_reads(m, plan);
    check_moves(m, plan);
    check_schedule(m, plan);
    check_sums(m, plan);
    free(ends);
}

#define SAME(field) assert_int_equal(a->field, b->field)

static void check_same_tables(const plim_load_plan *a, const plim_load_plan *b)
{
    for (uint32_t i = 0; i < a->extent_count; i++) {
        SAME(extents[i].placement), SAME(extents[i].form), SAME(extents[i].row);
        SAME(extents[i].rows), SAME(extents[i].run), SAME(extents[i].tile), SAME(extents[i].offset);
    }
    for (uint32_t i = 0; i < a->run_count; i++) {
        SAME(runs[i].form), SAME(runs[i].staged), SAME(runs[i].file);
        SAME(runs[i].file_offset), SAME(runs[i].bytes);
    }
    for (size_t i = 0; i < a->read_count; i++) {
        SAME(reads[i].file), SAME(reads[i].run), SAME(reads[i].how), SAME(reads[i].offset);
        SAME(reads[i].bytes), SAME(reads[i].offset_in_run), SAME(reads[i].first_move);
        SAME(reads[i].move_count);
    }
    for (size_t i = 0; i < a->move_count; i++) {
        SAME(moves[i].extent), SAME(moves[i].skip);
        SAME(moves[i].elements), SAME(moves[i].run_offset);
    }
    for (uint32_t i = 0; i < a->tile_count; i++) {
        SAME(tiles[i].extent), SAME(tiles[i].file), SAME(tiles[i].offset), SAME(tiles[i].bytes);
        SAME(tiles[i].scales_file), SAME(tiles[i].scales_offset), SAME(tiles[i].scales_bytes);
    }
}

void check_same(const plim_load_plan *a, const plim_load_plan *b)
{
    SAME(placement_count), SAME(extent_count), SAME(run_count), SAME(read_count);
    SAME(move_count), SAME(tile_count), SAME(head_tile), SAME(stream_how), SAME(ring_slots),
        SAME(ring_parts);
    SAME(ring_slot_bytes), SAME(ring_cast_bytes), SAME(ring_row_bytes), SAME(dtype);
    SAME(session.context), SAME(session.chunk), SAME(session.kv_dtype), SAME(reader);
    SAME(staging_slots), SAME(load_threads), SAME(load_depth), SAME(table_bytes), SAME(fits);
    SAME(pinned_bytes), SAME(streamed_bytes), SAME(kv_bytes), SAME(scratch_bytes);
    SAME(anonymous), SAME(mapped), SAME(line), SAME(predicted_peak), SAME(advice_count);
    assert_true(a->load_seconds == b->load_seconds && a->token_seconds == b->token_seconds);
    assert_memory_equal(a->category, b->category, sizeof a->category);
    for (uint32_t i = 0; i < a->placement_count; i++) {
        SAME(placements[i].slot), SAME(placements[i].stored), SAME(placements[i].form);
        SAME(placements[i].pinned_bytes), SAME(placements[i].first_extent);
    }
    check_same_tables(a, b);
    for (size_t i = 0; i < a->advice_count; i++)
        assert_string_equal(a->advice[i], b->advice[i]);
}
