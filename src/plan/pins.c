/* SPDX-License-Identifier: Apache-2.0
 *
 * What is pinned when not everything fits.  A pass goes through every matrix once, so each pinned
 * byte saves the reading of what it was stored as, wherever it is: what is worth the same is spread
 * evenly over the pass, so that reading and computing overlap all along with a small ring.  Vectors
 * stay.  Tables of which a pass looks up a row come last: reading a row costs next to nothing. */
#include "plan/plan.h"

#include <string.h>

#define TILE_OUTPUTS 16u /* a vector of outputs */

/* All tiles of a placement are about as large: a small one at the end would cost a read and a turn
 * of the threads like any other. */
uint64_t plim_tile_rows(const plim_placement *p, uint64_t tile_bytes)
{
    uint64_t row_bytes = p->stored_row_bytes + p->scale_row_bytes;
    uint64_t most = row_bytes ? tile_bytes / row_bytes : p->rows;
    uint64_t step = p->change == PLIM_CHANGE_TURN ? PLIM_GROUP : TILE_OUTPUTS;
    if (most < step && step == PLIM_GROUP)
        most = PLIM_GROUP;
    if (most >= step)
        most -= most % step;
    if (most == 0)
        return 1;
    uint64_t tiles = (p->rows + most - 1) / most, rows = (p->rows + tiles - 1) / tiles;
    rows = most >= step ? (rows + step - 1) / step * step : rows;
    return rows ? rows : 1;
}

/* Tiles of a placement when part of it may stream. */
static uint64_t count_tiles(const plim_placement *p, uint64_t tile_bytes)
{
    if (p->use != PLIM_USE_IN_ORDER)
        return 1;
    uint64_t rows = plim_tile_rows(p, tile_bytes);
    return (p->rows + rows - 1) / rows;
}

static uint64_t pinned_bytes(const plim_placement *p, uint64_t rows)
{
    return rows * p->row_bytes + (p->staged ? 64 : 2 * PLIM_DIRECT_ALIGN);
}

/* What pinning tile `t` of a placement takes, its scales and the blocks around it included. */
static uint64_t tile_cost(const plim_load_plan *plan, const plim_placement *p, uint64_t t,
                          uint64_t tile_bytes)
{
    uint64_t rows = p->rows;
    if (p->use == PLIM_USE_IN_ORDER) {
        uint64_t each = plim_tile_rows(p, tile_bytes);
        rows = p->rows - t * each < each ? p->rows - t * each : each;
    }
    uint64_t cost = pinned_bytes(p, rows);
    return p->scales == PLIM_NO_SLOT ? cost
                                     : cost + pinned_bytes(&plan->placements[p->scales], rows);
}

static bool must_stay(const plim_placement *p)
{
    return p->use == PLIM_USE_ALWAYS || p->device == PLIM_DEVICE_CPU;
}

/* Stored bytes per byte in memory decide what a pinned byte saves.  In sixteenths, from where a
 * class begins: f64 or f32 as int4; f64 as a half, f32 as int8, a half as int4; a float as its
 * half, a half as int8; as stored; the rest. */
static const unsigned classes[] = {96, 52, 24, 12};
#define CLASSES 5u

static unsigned stored_class(const plim_placement *p)
{
    uint64_t ratio = p->row_bytes ? p->stored_row_bytes * 16 / p->row_bytes : 0;
    for (unsigned i = 0; i + 1 < CLASSES; i++)
        if (ratio >= classes[i])
            return i;
    return CLASSES - 1;
}

typedef struct pinning {
    plim_pins *pins;
    const plim_load_plan *plan;
    const plim_skeleton *skeleton;
    const plim_layout_wish *wish;
    uint64_t left; /* of wish->pin_bytes */
} pinning;

/* Call fn for every tile that may stream, of one class, in the order of a pass. */
static void each_tile(pinning *g, unsigned class,
                      void (*fn)(pinning *g, uint32_t tile, uint64_t cost, void *user), void *user)
{
    const plim_skeleton *k = g->skeleton;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        uint32_t at = g->plan->placement_of_slot[i];
        const plim_placement *p = &g->plan->placements[at];
        bool table = k->slots[i].role == PLIM_ROLE_EMBED; /* if the head too: in its place */
        if (table || p->use != PLIM_USE_IN_ORDER || p->device != PLIM_DEVICE_AUTO ||
            stored_class(p) != class)
            continue;
        uint64_t tiles = count_tiles(p, g->wish->tile_bytes);
        for (uint64_t t = 0; t < tiles; t++)
            fn(g, g->pins->first_tile[at] + (uint32_t)t,
               tile_cost(g->plan, p, t, g->wish->tile_bytes), user);
    }
}

static void add_cost(pinning *g, uint32_t tile, uint64_t cost, void *user)
{
    (void)g;
    (void)tile;
    *(uint64_t *)user += cost;
}

typedef struct spread {
    double share; /* of the class that is to be pinned */
    double seen;
    uint64_t pinned;
} spread;

static void pin_evenly(pinning *g, uint32_t tile, uint64_t cost, void *user)
{
    spread *s = user;
    s->seen += (double)cost;
    if (cost <= g->left && (double)(s->pinned + cost) <= s->seen * s->share + 0.5) {
        g->pins->pinned[tile] = 1;
        s->pinned += cost;
        g->left -= cost;
    }
}

static void pin_the_rest(pinning *g, uint32_t tile, uint64_t cost, void *user)
{
    (void)user;
    if (!g->pins->pinned[tile] && cost <= g->left) {
        g->pins->pinned[tile] = 1;
        g->left -= cost;
    }
}

static void pin_streams(pinning *g)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        uint64_t total = 0;
        each_tile(g, class, add_cost, &total);
        if (!total)
            continue;
        spread s = {.share = total > g->left ? (double)g->left / (double)total : 1};
        each_tile(g, class, pin_evenly, &s);
        each_tile(g, class, pin_the_rest, NULL); /* the room of less than a tile that was left */
    }
    for (uint32_t i = 0; i < g->plan->placement_count; i++) {
        const plim_placement *p = &g->plan->placements[i];
        uint64_t cost = tile_cost(g->plan, p, 0, g->wish->tile_bytes);
        if (p->use == PLIM_USE_BY_ROW && p->device == PLIM_DEVICE_AUTO && cost <= g->left) {
            g->pins->pinned[g->pins->first_tile[i]] = 1;
            g->left -= cost;
        }
    }
}

/* Each placement's tiles; scales have those of their quants. */
static plim_status number_tiles(plim_pins *out, plim_load_plan *plan, const plim_layout_wish *wish,
                                plim_error *err)
{
    uint64_t count = 0;
    *out = (plim_pins){
        .first_tile = plim_arena_new(&plan->layout, plan->placement_count, sizeof(uint32_t), err),
        .tiles = plim_arena_new(&plan->layout, plan->placement_count, sizeof(uint32_t), err)};
    if (!out->first_tile || !out->tiles)
        return err->code;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        if (plan->placements[i].lead != i)
            continue;
        uint64_t tiles = wish->stream ? count_tiles(&plan->placements[i], wish->tile_bytes) : 1;
        out->first_tile[i] = (uint32_t)count;
        out->tiles[i] = (uint32_t)tiles;
        count += tiles;
        if (tiles >= PLIM_NO_TILE || count >= PLIM_NO_TILE)
            return plim_fail(err, PLIM_E_LIMIT, "the model has more tiles than can be numbered");
    }
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        out->first_tile[i] = out->first_tile[plan->placements[i].lead];
        out->tiles[i] = out->tiles[plan->placements[i].lead];
    }
    out->tile_count = (uint32_t)count;
    return PLIM_OK;
}

plim_status plim_plan_pin(plim_pins *out, plim_load_plan *plan, const plim_skeleton *k,
                          const plim_layout_wish *wish, plim_error *err)
{
    plim_status status = number_tiles(out, plan, wish, err);
    if (status)
        return status;
    uint64_t count = out->tile_count;
    out->pinned = plim_arena_new(&plan->layout, count, 1, err);
    if (!out->pinned)
        return err->code;
    if (!wish->stream) {
        memset(out->pinned, 1, count);
        return PLIM_OK;
    }
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (must_stay(&plan->placements[i]))
            memset(out->pinned + out->first_tile[i], 1, out->tiles[i]);
    pinning g = {out, plan, k, wish, wish->pin_bytes};
    pin_streams(&g);
    return PLIM_OK;
}
