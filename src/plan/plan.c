/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a plan: options and facts → where everything lives.  In memory, as pages of the files
 * where there is room to spare and as memory of our own where the line is tight; what does not fit
 * streams. */
#include "plan/plan.h"

#define STREAM_CHUNK  512u /* rows per pass: one reading of the weights serves them all */
#define MEMORY_CHUNK  32u  /* where that is enough to spare all reading */
#define CHUNK_STEP    8u
#define COMFORT_BYTES (20u << 20) /* for the buffers of a chunk, without further thought */
#define PIN_TRIES     10

/* What is left below the line for a plan; UINT64_MAX without a line. */
static uint64_t room_below(const plim_facts *facts, const plim_held *held)
{
    uint64_t used = facts->baseline + held->anonymous + held->mapped;
    if (!facts->memory_limit)
        return UINT64_MAX;
    return facts->memory_limit > used ? facts->memory_limit - used : 0;
}

static plim_status settle_session(plim_load_plan *plan, const plim_skeleton *k,
                                  const plim_plan_options *o, const plim_facts *facts,
                                  plim_error *err)
{
    const plim_spec *s = &k->spec;
    plim_session_size *size = &plan->session;
    bool floats = !plim_dtypes[plan->dtype].group;
    size->widen = floats && plim_skeleton_packed(k) != PLIM_AUTO ? facts->threads : 0;
    plan->sessions = o->sessions;
    if (o->sessions > PLIM_MAX_SESSIONS)
        return plim_fail(err, PLIM_E_USAGE, "sessions is %u, want at most %u", o->sessions,
                         PLIM_MAX_SESSIONS);
    size->kv_dtype = o->kv_dtype;
    if (size->kv_dtype == PLIM_AUTO)
        size->kv_dtype = plan->dtype == PLIM_F32 ? PLIM_F32 : PLIM_F16;
    if (size->kv_dtype != PLIM_F32 && size->kv_dtype != PLIM_F16 && size->kv_dtype != PLIM_BF16)
        return plim_fail(err, PLIM_E_USAGE, "kv_dtype must be auto, float32, float16 or bfloat16");
    if (!k->family)
        return PLIM_OK;
    size->context = o->context;
    if (!size->context)
        size->context =
            s->max_positions < PLIM_DEFAULT_CONTEXT ? s->max_positions : PLIM_DEFAULT_CONTEXT;
    if (s->max_positions_hard && size->context > s->max_positions)
        return plim_fail(err, PLIM_E_LIMIT,
                         "context %u is longer than the %u positions that the model has",
                         size->context, s->max_positions);
    if (size->context > PLIM_MAX_POSITIONS)
        return plim_fail(err, PLIM_E_LIMIT, "context %u is longer than %u", size->context,
                         PLIM_MAX_POSITIONS);
    size->chunk = o->chunk ? o->chunk : PLIM_DEFAULT_CHUNK;
    if (size->chunk > size->context)
        size->chunk = size->context;
    return PLIM_OK;
}

/* ---- one layout ---- */

typedef struct planner {
    plim_load_plan *plan;
    const plim_skeleton *skeleton;
    const plim_stored_set *stored;
    const plim_plan_options *options;
    const plim_facts *facts;
    const plim_held *held;
    plim_demand demand; /* of the newest layout */
    plim_error *err;
} planner;

static plim_status measure(planner *g)
{
    return plim_plan_demand(&g->demand, g->plan, g->skeleton, g->stored, g->facts, g->err);
}

/* Where everything would be and what that takes; reads are counted only. */
static plim_status try_layout(planner *g, const plim_layout_wish *wish)
{
    plim_status status = plim_plan_lay_out(g->plan, g->skeleton, g->stored, wish, g->err);
    if (status)
        return status;
    plim_plan_count_reads(g->plan, g->stored, g->options, g->facts);
    return measure(g);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes by which the newest layout is too large; 0: it fits. */
static uint64_t excess(const planner *g)
{
    uint64_t room = room_below(g->facts, g->held), peak = plim_demand_peak(&g->demand);
    uint64_t weights = g->demand.owned + g->demand.mapped, most = g->options->max_weights;
    uint64_t over = peak > room ? peak - room : 0;
    return most && weights > most && weights - most > over ? weights - most : over;
}

/* What more weights it could hold, when it fits. */
static uint64_t room_left(const planner *g)
{
    uint64_t room = room_below(g->facts, g->held), most = g->options->max_weights;
    uint64_t left = room == UINT64_MAX ? room : room - plim_demand_peak(&g->demand);
    return most ? less(left, most - g->demand.owned - g->demand.mapped) : left;
}

/* ---- streaming ---- */

/* Sizes of the ring.  Each is at most a tile larger than the one before: more memory must never
 * mean less weights in it. */
static const struct {
    uint32_t tile_bytes, slots;
} rings[] = {{64u << 10, 2},       {64u << 10, 3},       {128u << 10, 2},     {128u << 10, 3},
             {256u << 10, 2},      {256u << 10, 3},      {512u << 10, 2},     {512u << 10, 3},
             {1u << 20, 2},        {1u << 20, 3},        {1u << 20, 4},       {2u << 20, 3},
             {2u << 20, 4},        {2u << 20, 5},        {2u << 20, 6},       {2u << 20, 7},
             {PLIM_TILE_BYTES, 4}, {PLIM_TILE_BYTES, 5}, {PLIM_TILE_BYTES, 6}};
#define RINGS (sizeof rings / sizeof *rings)

/* What a ring takes, with the tables of its tiles: small tiles of a large model need large ones. */
static uint64_t ring_cost(const planner *g, size_t ring)
{
    const plim_load_plan *plan = g->plan;
    uint64_t slot = 0, cast = 0, tiles = 0, rows;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        if (p->use != PLIM_USE_IN_ORDER || p->device == PLIM_DEVICE_CPU)
            continue;
        rows = less(plim_tile_rows(p, rings[ring].tile_bytes), p->rows);
        uint64_t tile = rows * (p->stored_row_bytes + p->scale_row_bytes);
        slot = slot > tile ? slot : tile;
        if (p->staged && rows * p->row_bytes > cast)
            cast = rows * p->row_bytes;
        tiles += (p->rows + rows - 1) / rows;
    }
    return rings[ring].slots * slot + cast + tiles * PLIM_TILE_TABLE_BYTES;
}

static plim_layout_wish ring_wish(const planner *g, size_t ring)
{
    return (plim_layout_wish){.map = g->options->reader == PLIM_READER_MAP,
                              .stream = true,
                              .tile_bytes = rings[ring].tile_bytes,
                              .ring_slots = rings[ring].slots};
}

/* The longest chunk, up to `most`, whose buffers take no more than `budget` beyond those of a
 * single row; the plan has that of a single row. */
static plim_status choose_chunk(planner *g, uint32_t most, uint64_t budget)
{
    plim_load_plan *plan = g->plan;
    plim_demand d = {0};
    uint32_t low = 1, high = less(plan->session.context, most);
    uint64_t least = g->demand.scratch + g->demand.other;
    while (low < high) {
        plan->session.chunk = low + (high - low + 1) / 2;
        plim_status status = plim_plan_sessions(&d, plan, g->skeleton, g->facts, g->err);
        uint64_t fixed = (uint64_t)plan->run_count * PLIM_RUN_BYTES + plan->table_bytes;
        if (status)
            return status;
        if (d.scratch + d.other + fixed - least <= budget)
            low = plan->session.chunk;
        else
            high = plan->session.chunk - 1;
    }
    plan->session.chunk = low < CHUNK_STEP ? low : low - low % CHUNK_STEP;
    return PLIM_OK;
}

/* Lay out with nothing in memory that need not be, and then with as large a ring and chunk as leave
 * most of the room to weights.  What they take is lost to pinned weights: no more of it than makes
 * reading longer by little.  False: not even the smallest fits. */
static plim_status shrink(planner *g, plim_layout_wish *wish, bool *works)
{
    size_t least = 0, ring = 0;
    for (size_t i = 1; i < RINGS; i++)
        least = ring_cost(g, i) < ring_cost(g, least) ? i : least;
    bool free_chunk = !g->options->chunk && g->plan->sessions;
    if (free_chunk)
        g->plan->session.chunk = 1;
    *wish = ring_wish(g, least);
    plim_status status = try_layout(g, wish);
    *works = !status && !excess(g);
    if (!*works)
        return status;
    const plim_demand *d = &g->demand;
    uint64_t room = room_below(g->facts, g->held), streamed = g->plan->streamed_bytes;
    uint64_t running = d->owned + d->mapped + d->other + d->ring + d->kv + d->scratch;
    uint64_t share = room == UINT64_MAX ? room : (room - running) / 4;
    streamed -= less(streamed, room_left(g));
    uint64_t buffers = streamed / 128 > COMFORT_BYTES ? streamed / 128 : COMFORT_BYTES;
    if (free_chunk)
        status = choose_chunk(g, STREAM_CHUNK, less(share, buffers));
    uint64_t base = ring_cost(g, least);
    for (ring = RINGS - 1; ring > least; ring--) {
        uint64_t cost = ring_cost(g, ring);
        if (cost <= base || cost - base <= share)
            break;
    }
    *wish = ring_wish(g, ring);
    if (!status)
        status = try_layout(g, wish);
    if (status || !excess(g))
        return status;
    if (free_chunk) /* not met, but for sizes of which nobody thought */
        g->plan->session.chunk = 1;
    *wish = ring_wish(g, least);
    return try_layout(g, wish);
}

/* Pin as much as there is room for.  While loading, other buffers are held than while running, what
 * is pinned has tables, and neighbours share pages: what counts is what comes out. */
static plim_status fill_up(planner *g, plim_layout_wish *wish)
{
    uint64_t fitting = 0, failing = PLIM_MAX_MODEL_BYTES; /* nothing pinned: it fits */
    uint64_t next = less(room_left(g), failing) / 8 * 7, step = wish->tile_bytes / 4;
    plim_status status = PLIM_OK;
    for (int i = 0; !status && i < PIN_TRIES && next > fitting; i++) {
        wish->pin_bytes = next;
        status = try_layout(g, wish);
        uint64_t over = excess(g), left = over ? 0 : room_left(g);
        if (over) {
            failing = next;
            over += step; /* tiles are whole */
            next = over < next - fitting ? next - over : fitting + (next - fitting) / 2;
        } else {
            fitting = next;
            if (left > step && failing - fitting > step)
                next =
                    left < failing - fitting ? fitting + left : fitting + (failing - fitting) / 2;
        }
    }
    if (status || wish->pin_bytes == fitting)
        return status;
    wish->pin_bytes = fitting;
    return try_layout(g, wish);
}

static plim_status stream(planner *g, bool *works)
{
    plim_layout_wish wish;
    plim_status status = shrink(g, &wish, works);
    if (status || !*works || g->options->device_map.all == PLIM_DEVICE_DISK)
        return status;
    return fill_up(g, &wish);
}

/* ---- the choice ---- */

/* A shorter chunk, down to `floor`, where the newest layout does not fit otherwise. */
static plim_status shorten_chunk(planner *g, uint32_t floor, bool *works)
{
    uint32_t *chunk = &g->plan->session.chunk, asked = *chunk;
    plim_status status = PLIM_OK;
    while (!status && !*works && !g->options->chunk && g->plan->sessions && *chunk > floor) {
        *chunk = *chunk / 2 > floor ? *chunk / 2 : floor;
        status = measure(g);
        *works = !status && !excess(g);
    }
    if (status || *works || *chunk == asked)
        return status;
    *chunk = asked; /* say what it takes with what is usual */
    return measure(g);
}

/* Everything in memory: mapped where there is room to spare (the next start is warm), else our own,
 * which no pressure of others takes away. */
static plim_status in_memory(planner *g, uint32_t least_chunk, bool *works)
{
    const plim_plan_options *o = g->options;
    plim_layout_wish wish = {.map = o->low_cpu_mem_usage && (o->reader == PLIM_READER_AUTO ||
                                                             o->reader == PLIM_READER_MAP)};
    plim_status status = try_layout(g, &wish);
    bool tight = !status && wish.map && g->demand.mapped && o->reader == PLIM_READER_AUTO &&
                 (excess(g) || (g->facts->memory_limit &&
                                room_below(g->facts, g->held) - plim_demand_peak(&g->demand) <
                                    g->facts->memory_limit / 10));
    if (tight) {
        wish.map = false;
        status = try_layout(g, &wish);
    }
    *works = !status && !excess(g);
    return status || *works ? status : shorten_chunk(g, least_chunk, works);
}

static bool wants_disk(const plim_device_map *map)
{
    for (size_t i = 0; i < map->rule_count; i++)
        if (map->rules[i].device == PLIM_DEVICE_DISK)
            return true;
    return map->rule_count == 0 && map->all == PLIM_DEVICE_DISK;
}

static plim_status choose(planner *g)
{
    const plim_device_map *map = &g->options->device_map;
    bool disk = wants_disk(map), works = false;
    bool may = g->skeleton->family && g->options->low_cpu_mem_usage;
    bool automatic = map->rule_count == 0 && map->all == PLIM_DEVICE_AUTO;
    plim_status status = PLIM_OK;
    if (disk && !may)
        return plim_fail(
            g->err, g->skeleton->family ? PLIM_E_USAGE : PLIM_E_UNSUP,
            g->skeleton->family
                ? "low_cpu_mem_usage false loads everything: nothing can be on \"disk\""
                : "weights of an unknown model_type can't be streamed: choose "
                  "device_map \"cpu\"");
    bool streams = may && (disk || automatic);
    if (!disk)
        status = in_memory(g, streams ? MEMORY_CHUNK : 1, &works);
    if (!status && !works && streams) {
        status = stream(g, &works);
        if (!status && !works && !disk) { /* say what all of it would take */
            status = settle_session(g->plan, g->skeleton, g->options, g->facts, g->err);
            if (!status)
                status = in_memory(g, MEMORY_CHUNK, &works);
        }
    }
    return status;
}

plim_status plim_plan_make(plim_load_plan **out, const plim_alloc *alloc,
                           const plim_skeleton *skeleton, const plim_stored_set *stored,
                           const plim_plan_options *options, const plim_facts *facts,
                           const plim_held *held, bool outline, plim_error *err)
{
    *out = NULL;
    plim_load_plan *plan = plim_new(alloc, 1, sizeof *plan, err);
    if (!plan)
        return err->code;
    plan->alloc = alloc;
    plim_arena_init(&plan->arena, alloc);
    plim_arena_init(&plan->layout, alloc);
    plan->old_way = !options->low_cpu_mem_usage;
    planner g = {.plan = plan,
                 .skeleton = skeleton,
                 .stored = stored,
                 .options = options,
                 .facts = facts,
                 .held = held,
                 .err = err};
    plim_status status;
    if ((status = plim_plan_place(plan, skeleton, stored, options, err)) ||
        (status = settle_session(plan, skeleton, options, facts, err)) || (status = choose(&g)) ||
        (!outline && (status = plim_plan_reads(plan, stored, options, facts, err)))) {
        plim_load_plan_close(&plan);
        return status;
    }
    plim_plan_predict(plan, skeleton, &g.demand, options, facts, held);
    *out = plan;
    return PLIM_OK;
}

plim_status plim_load_plan_open(plim_load_plan **out, const plim_alloc *alloc,
                                const plim_skeleton *skeleton, const plim_stored_set *stored,
                                const plim_plan_options *options, const plim_facts *facts,
                                const plim_held *held, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    plim_status status =
        plim_plan_make(out, alloc, skeleton, stored, options, facts, held, false, err);
    if (!status)
        status = plim_plan_advise(*out, skeleton, stored, options, facts, held, err);
    if (status)
        plim_load_plan_close(out);
    return status;
}

void plim_load_plan_close(plim_load_plan **plan)
{
    if (!*plan)
        return;
    plim_arena_free(&(*plan)->arena);
    plim_arena_free(&(*plan)->layout);
    plim_delete((*plan)->alloc, *plan);
    *plan = NULL;
}
