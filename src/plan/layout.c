/* SPDX-License-Identifier: Apache-2.0
 *
 * Layout: extents (which rows are where), the regions of memory that hold what stays, and the
 * schedule of what streams. */
#include <string.h>

#include "plan/plan.h"

#define STAGED_ALIGN 64u
#define TABLE_SLACK  (52u << 10) /* each table in whole pages; the plan itself, advice */
/* Bytes that nobody needs, inside one map or stretch: a map or a read costs more than that.  Old
 * files keep a mask of some hundred KiB in every layer, which must not become resident. */
#define MAX_GAP (16u << 10)

typedef struct layout {
    plim_load_plan *plan;
    const plim_skeleton *skeleton;
    const plim_stored_set *set;
    const plim_layout_wish *wish;
    plim_pins pins;
    uint32_t map, place, staged; /* open runs; PLIM_NO_SLOT */
    uint64_t file_end;           /* of the newest stretch of `place` */
    plim_error *err;
} layout;

static plim_form pinned_form(const layout *l, const plim_placement *p)
{
    return l->wish->map && !p->staged ? PLIM_FORM_MAPPED : PLIM_FORM_OWNED;
}

/* ---- extents ---- */

/* Rows [row, row + rows) that are pinned or not: append to the placement's extents. */
static void add_extent(layout *l, uint32_t at, uint64_t row, uint64_t rows, bool pinned)
{
    plim_load_plan *plan = l->plan;
    plim_placement *p = &plan->placements[at];
    plim_extent_place *last = p->extent_count ? &plan->extents[plan->extent_count - 1] : NULL;
    if (pinned && last && last->form != PLIM_FORM_STREAMED) { /* goes on */
        last->rows += rows;
        return;
    }
    plan->extents[plan->extent_count++] =
        (plim_extent_place){.placement = at,
                            .form = pinned ? pinned_form(l, p) : PLIM_FORM_STREAMED,
                            .row = row,
                            .rows = rows,
                            .run = PLIM_NO_SLOT,
                            .tile = PLIM_NO_TILE};
    p->extent_count++;
}

static void list_extents_of(layout *l, uint32_t at)
{
    plim_placement *p = &l->plan->placements[at];
    const plim_placement *lead = &l->plan->placements[p->lead];
    const uint8_t *pinned = l->pins.pinned + l->pins.first_tile[at];
    p->first_extent = l->plan->extent_count;
    p->extent_count = 0;
    p->pinned_bytes = 0;
    p->form = PLIM_FORM_META;
    uint64_t each = p->rows;
    if (l->wish->stream && lead->use == PLIM_USE_IN_ORDER)
        each = plim_tile_rows(lead, l->wish->tile_bytes);
    for (uint64_t row = 0, t = 0; row < p->rows; row += each, t++) {
        uint64_t rows = p->rows - row < each ? p->rows - row : each;
        add_extent(l, at, row, rows, pinned[t]);
        if (pinned[t])
            p->pinned_bytes += rows == p->rows ? p->bytes : rows * p->row_bytes;
        else
            p->form = PLIM_FORM_STREAMED;
    }
    if (p->form != PLIM_FORM_STREAMED)
        p->form = pinned_form(l, p);
    l->plan->pinned_bytes += p->pinned_bytes;
}

/* ---- runs ---- */

static plim_run *open_run(layout *l, uint32_t *open, plim_form form, bool staged, uint32_t file,
                          uint64_t file_offset)
{
    *open = l->plan->run_count++;
    plim_run *run = &l->plan->runs[*open];
    *run = (plim_run){.form = form, .staged = staged, .file = file, .file_offset = file_offset};
    return run;
}

static plim_run *still_open(const layout *l, uint32_t open, uint32_t file)
{
    plim_run *run = open == PLIM_NO_SLOT ? NULL : &l->plan->runs[open];
    return run && run->file == file ? run : NULL;
}

/* Pages of the file: goes on with the map that ends just before. */
static void put_mapped(layout *l, plim_extent_place *e, uint32_t file, uint64_t at, uint64_t bytes)
{
    plim_run *run = still_open(l, l->map, file);
    if (run && at > run->file_offset + run->bytes + MAX_GAP)
        run = NULL;
    if (!run)
        run = open_run(l, &l->map, PLIM_FORM_MAPPED, false, file, at);
    e->offset = at - run->file_offset;
    uint64_t end = e->offset + bytes;
    run->bytes = end > run->bytes ? end : run->bytes;
    e->run = l->map;
}

/* As stored, at an address that agrees with the offset in the file; a stretch that does not go on
 * where the last one ended begins on a page of its own, for the blocks that are read around it. */
static void put_in_place(layout *l, plim_extent_place *e, uint32_t file, uint64_t at,
                         uint64_t bytes)
{
    plim_run *run = still_open(l, l->place, file);
    bool goes_on = run && at >= l->file_end && at - l->file_end <= MAX_GAP;
    if (!run)
        run = open_run(l, &l->place, PLIM_FORM_OWNED, false, file, 0);
    if (goes_on)
        e->offset = run->bytes + (at - l->file_end);
    else
        e->offset = (run->bytes + PLIM_DIRECT_ALIGN - 1) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN +
                    at % PLIM_DIRECT_ALIGN;
    run->bytes = e->offset + bytes;
    l->file_end = at + bytes;
    e->run = l->place;
}

static void put_staged(layout *l, plim_extent_place *e, uint32_t file, uint64_t bytes)
{
    plim_run *run = still_open(l, l->staged, file);
    if (!run)
        run = open_run(l, &l->staged, PLIM_FORM_OWNED, true, file, 0);
    e->offset = (run->bytes + STAGED_ALIGN - 1) & ~(uint64_t)(STAGED_ALIGN - 1);
    run->bytes = e->offset + bytes;
    e->run = l->staged;
}

static void put(layout *l, plim_extent_place *e)
{
    const plim_placement *p = &l->plan->placements[e->placement];
    const plim_stored *t = &l->set->tensors[p->stored];
    uint64_t at = t->offset + e->row * p->stored_row_bytes;
    bool whole = e->rows == p->rows;
    uint64_t stored = whole ? t->bytes : e->rows * p->stored_row_bytes;
    if (e->form == PLIM_FORM_MAPPED)
        put_mapped(l, e, t->file, at, stored);
    else if (p->staged)
        put_staged(l, e, t->file, whole ? p->bytes : e->rows * p->row_bytes);
    else
        put_in_place(l, e, t->file, at, stored);
}

/* Whole blocks are read at both ends: the last one must be inside the region. */
static plim_status close_runs(plim_load_plan *plan, plim_error *err)
{
    for (uint32_t i = 0; i < plan->run_count; i++) {
        plim_run *run = &plan->runs[i];
        if (run->bytes > INT64_MAX - PLIM_DIRECT_ALIGN)
            return plim_fail(err, PLIM_E_LIMIT, "the weights are larger than any memory");
        if (run->form == PLIM_FORM_OWNED && !run->staged)
            run->bytes =
                (run->bytes + PLIM_DIRECT_ALIGN - 1) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
    }
    return PLIM_OK;
}

/* ---- the schedule ---- */

static const plim_placement *scales_of(const plim_load_plan *plan, const plim_placement *p)
{
    return p->scales == PLIM_NO_SLOT ? NULL : &plan->placements[p->scales];
}

/* A row as it is used, where it is not used as it was read: itself or its scales, never both. */
static uint64_t cast_row_bytes(const plim_load_plan *plan, const plim_placement *p)
{
    const plim_placement *scales = scales_of(plan, p);
    return p->staged ? p->row_bytes : scales && scales->staged ? scales->row_bytes : 0;
}

static void grow_ring(plim_load_plan *plan, const plim_placement *p, const plim_tile *tile,
                      uint64_t rows)
{
    uint64_t slot = plim_blocks_around(tile->bytes), cast = rows * cast_row_bytes(plan, p);
    if (tile->scales_bytes) {
        slot += plim_blocks_around(tile->scales_bytes);
        plan->ring_parts = 2;
    }
    if (slot > plan->ring_slot_bytes)
        plan->ring_slot_bytes = slot;
    if (cast > plan->ring_cast_bytes)
        plan->ring_cast_bytes = cast;
}

/* The buffer for one row: blocks around it, then the row in the run type. */
static void grow_row(plim_load_plan *plan, const plim_placement *p)
{
    uint64_t bytes = plim_row_cast_offset(p) + cast_row_bytes(plan, p);
    if (bytes > plan->ring_row_bytes)
        plan->ring_row_bytes = bytes;
    if (p->scale_row_bytes)
        plan->ring_parts = 2;
}

/* The scales of a tile's rows are read with it. */
static void add_scales(layout *l, plim_tile *tile, uint32_t at, uint32_t extent)
{
    plim_load_plan *plan = l->plan;
    const plim_placement *p = &plan->placements[at], *scales = scales_of(plan, p);
    if (!scales)
        return;
    const plim_stored *t = &l->set->tensors[scales->stored];
    plim_extent_place *e = &plan->extents[scales->first_extent + extent - p->first_extent];
    e->tile = plan->extents[extent].tile;
    tile->scales_file = t->file;
    tile->scales_offset = t->offset + e->row * scales->stored_row_bytes;
    tile->scales_bytes = e->rows * scales->stored_row_bytes;
}

static void schedule(layout *l, uint32_t at)
{
    plim_load_plan *plan = l->plan;
    const plim_placement *p = &plan->placements[at];
    const plim_stored *t = &l->set->tensors[p->stored];
    for (uint32_t i = 0; i < p->extent_count; i++) {
        plim_extent_place *e = &plan->extents[p->first_extent + i];
        if (e->form != PLIM_FORM_STREAMED)
            continue;
        e->tile = plan->tile_count;
        plim_tile *tile = &plan->tiles[plan->tile_count++];
        *tile = (plim_tile){.extent = p->first_extent + i,
                            .file = t->file,
                            .offset = t->offset + e->row * p->stored_row_bytes,
                            .bytes = e->rows * p->stored_row_bytes};
        add_scales(l, tile, at, p->first_extent + i);
        plan->streamed_bytes += tile->bytes + tile->scales_bytes;
        grow_ring(plan, p, tile, e->rows);
    }
}

/* Tiles in the order of a pass: slot by slot, the head last. */
static void list_tiles(layout *l)
{
    plim_load_plan *plan = l->plan;
    const plim_skeleton *k = l->skeleton;
    plan->head_tile = PLIM_NO_TILE;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        uint32_t at = plan->placement_of_slot[i];
        const plim_placement *p = &plan->placements[at];
        plim_role role = k->slots[i].role;
        bool table = role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION;
        if (role == PLIM_ROLE_HEAD)
            plan->head_tile = plan->tile_count;
        if (table && p->form == PLIM_FORM_STREAMED) {
            grow_row(plan, p);
            plan->streamed_bytes += p->stored_row_bytes + p->scale_row_bytes;
        }
        if (!table && p->use == PLIM_USE_IN_ORDER)
            schedule(l, at);
    }
    if (plan->head_tile == PLIM_NO_TILE)
        plan->head_tile = plan->tile_count;
    bool streams = plan->tile_count || plan->ring_row_bytes;
    uint32_t most = plan->tile_count + 1; /* what is used, and all that may be read ahead */
    plan->ring_slots = !streams ? 0 : l->wish->ring_slots < most ? l->wish->ring_slots : most;
}

/* Tables as large as this layout needs them. */
static plim_status open_tables(layout *l)
{
    plim_load_plan *plan = l->plan;
    uint32_t extents = 0, pinned = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        uint32_t t = l->pins.first_tile[i], end = t + l->pins.tiles[i];
        for (bool before = false; t < end; before = l->pins.pinned[t++]) {
            pinned += l->pins.pinned[t] && !before;
            extents += !l->pins.pinned[t] || !before;
        }
    }
    uint32_t tiles = extents - pinned, runs = pinned;
    if (!l->wish->map && runs / 2 > l->set->file_count) /* in place and cast: one of each */
        runs = 2 * (uint32_t)l->set->file_count;
    plan->extents = plim_arena_new(&plan->layout, extents, sizeof *plan->extents, l->err);
    plan->runs = plim_arena_new(&plan->layout, runs, sizeof *plan->runs, l->err);
    plan->tiles = plim_arena_new(&plan->layout, tiles, sizeof *plan->tiles, l->err);
    if (!plan->extents || !plan->runs || !plan->tiles)
        return l->err->code;
    plan->table_bytes =
        TABLE_SLACK +
        (uint64_t)plan->placement_count * (sizeof *plan->placements + 2 * sizeof(uint32_t)) +
        (uint64_t)l->skeleton->slot_count * sizeof(uint32_t) +
        (uint64_t)extents * sizeof *plan->extents + (uint64_t)runs * sizeof *plan->runs +
        (uint64_t)tiles * sizeof *plan->tiles + l->pins.tile_count;
    return PLIM_OK;
}

static void clear(plim_load_plan *plan)
{
    plim_arena_free(&plan->layout);
    plim_arena_init(&plan->layout, plan->alloc);
    plan->extents = NULL;
    plan->runs = NULL;
    plan->reads = NULL;
    plan->moves = NULL;
    plan->tiles = NULL;
    plan->extent_count = plan->run_count = plan->tile_count = plan->head_tile = 0;
    plan->read_count = plan->move_count = 0;
    plan->ring_slots = 0;
    plan->ring_parts = 1;
    plan->ring_slot_bytes = plan->ring_cast_bytes = plan->ring_row_bytes = 0;
    plan->pinned_bytes = plan->streamed_bytes = 0;
}

plim_status plim_plan_lay_out(plim_load_plan *plan, const plim_skeleton *k,
                              const plim_stored_set *set, const plim_layout_wish *wish,
                              plim_error *err)
{
    clear(plan);
    /* The first block is a small one: large tables then lie in blocks of just their size. */
    if (!plim_arena_new(&plan->layout, 1, 16, err))
        return err->code;
    layout l = {.plan = plan,
                .skeleton = k,
                .set = set,
                .wish = wish,
                .map = PLIM_NO_SLOT,
                .place = PLIM_NO_SLOT,
                .staged = PLIM_NO_SLOT,
                .err = err};
    plim_status status = plim_plan_pin(&l.pins, plan, k, wish, err);
    if (status)
        return status;
    if ((status = open_tables(&l)))
        return status;
    for (uint32_t i = 0; i < plan->placement_count; i++)
        list_extents_of(&l, i);
    for (uint32_t i = 0; i < plan->extent_count; i++)
        if (plan->extents[i].form != PLIM_FORM_STREAMED)
            put(&l, &plan->extents[i]);
    list_tiles(&l);
    return close_runs(plan, err);
}
