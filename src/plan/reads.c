/* SPDX-License-Identifier: Apache-2.0
 *
 * The reads that fill a plan's memory, in file order, and the way of each. */
#include "base/sort.h"
#include "plan/plan.h"

#define MAX_GAP      (16u << 10) /* read along rather than read apart */
#define WARM_PERCENT 90u         /* of a window in the page cache: reading through it is faster */

/* Reads and moves being listed; with NULL tables they are counted. */
typedef struct listing {
    plim_load_plan *plan;
    const plim_stored_set *set;
    plim_reader wanted;
    const plim_facts *facts;
    plim_read *reads;
    plim_move *moves;
    size_t read_count, move_count;
    plim_read open; /* staged, growing; bytes 0: none */
} listing;

/* ---- ways ---- */

static bool is_warm(const plim_file_facts *f, uint64_t offset)
{
    size_t window = (size_t)(offset / PLIM_WINDOW_BYTES);
    return f->windows && window < f->window_count && f->windows[window] >= WARM_PERCENT;
}

/* How a range that is not mapped is read. */
static plim_reader choose_way(const listing *l, uint32_t file, uint64_t offset)
{
    const plim_file_facts *f = l->facts->files ? &l->facts->files[file] : NULL;
    if (l->plan->old_way || l->wanted == PLIM_READER_BUFFERED || l->wanted == PLIM_READER_MAP)
        return PLIM_READER_BUFFERED;
    if (!f || !f->direct)
        return PLIM_READER_BUFFERED;
    if (l->wanted == PLIM_READER_AUTO && is_warm(f, offset))
        return PLIM_READER_BUFFERED;
    return PLIM_READER_DIRECT;
}

/* ---- listing ---- */

static void add_read(listing *l, const plim_read *read)
{
    if (l->reads)
        l->reads[l->read_count] = *read;
    l->read_count++;
}

/* A stretch of a file that goes to one stretch of memory, cut at whole pieces of that memory. */
static void add_stretch(listing *l, uint32_t run, uint64_t file_offset, uint64_t run_offset,
                        uint64_t bytes)
{
    const plim_run *r = &l->plan->runs[run];
    uint64_t piece = r->form == PLIM_FORM_MAPPED ? PLIM_MAP_PIECE_BYTES : PLIM_PIECE_BYTES;
    for (uint64_t done = 0, n; done < bytes; done += n) {
        n = piece - (run_offset + done) % piece;
        n = n < bytes - done ? n : bytes - done;
        plim_read read = {.file = r->file,
                          .run = run,
                          .how = r->form == PLIM_FORM_MAPPED
                                     ? PLIM_READER_MAP
                                     : choose_way(l, r->file, file_offset + done),
                          .offset = file_offset + done,
                          .bytes = n,
                          .offset_in_run = run_offset + done};
        add_read(l, &read);
    }
}

static void close_staged(listing *l)
{
    if (l->open.bytes)
        add_read(l, &l->open);
    l->open.bytes = 0;
}

/* What of [at, end) fits into the open read (or a new one), in whole elements; cut where a block of
 * the disk begins if elements allow that, so that no block is read twice. */
static uint64_t fit(const listing *l, uint64_t at, uint64_t end, uint64_t element)
{
    uint64_t used = l->open.bytes ? at - l->open.offset : 0;
    uint64_t room = PLIM_STAGED_BYTES - used, left = end - at;
    if (left <= room)
        return left;
    uint64_t cut = (at + room) / PLIM_DIRECT_ALIGN * PLIM_DIRECT_ALIGN;
    if (PLIM_DIRECT_ALIGN % element == 0 && at % element == 0 && cut > at)
        return cut - at;
    return room - room % element;
}

/* Stored bytes that are moved together or not at all. */
static uint64_t unit_bytes(const plim_placement *p, const plim_stored *t)
{
    uint64_t element = plim_dtypes[t->dtype].bits / 8;
    if (p->change == PLIM_CHANGE_TURN)
        return PLIM_GROUP * p->stored_row_bytes;
    if (p->change == PLIM_CHANGE_QUANTISE)
        return PLIM_GROUP * element;
    return element ? element : 1; /* types of less than a byte are copied */
}

/* What `bytes` of them take in memory, where that is as far along as they are in the file. */
static uint64_t moved_bytes(const plim_placement *p, uint64_t bytes, uint64_t elements)
{
    if (p->change == PLIM_CHANGE_NONE)
        return bytes;
    return p->change == PLIM_CHANGE_CAST ? plim_dtype_bytes(p->dtype, elements) : 0;
}

static void add_staged(listing *l, uint32_t extent)
{
    const plim_extent_place *e = &l->plan->extents[extent];
    const plim_placement *p = &l->plan->placements[e->placement];
    const plim_stored *t = &l->set->tensors[p->stored];
    uint64_t bits = plim_dtypes[t->dtype].bits, element = unit_bytes(p, t),
             at = t->offset + e->row * p->stored_row_bytes;
    uint64_t end = e->rows == p->rows ? t->offset + t->bytes : at + e->rows * p->stored_row_bytes;
    uint64_t to = e->offset;
    while (at < end) {
        const plim_read *o = &l->open;
        bool goes_on = o->bytes && o->file == t->file && at >= o->offset + o->bytes &&
                       at - (o->offset + o->bytes) <= MAX_GAP &&
                       at - o->offset + element <= PLIM_STAGED_BYTES;
        if (!goes_on)
            close_staged(l);
        uint64_t bytes = fit(l, at, end, element);
        if (!bytes) {
            close_staged(l);
            continue;
        }
        if (!l->open.bytes)
            l->open = (plim_read){.file = t->file,
                                  .run = e->run,
                                  .how = choose_way(l, t->file, at),
                                  .offset = at,
                                  .first_move = (uint32_t)l->move_count};
        uint64_t elements = bits < 8 ? bytes : bytes * 8 / bits;
        if (l->moves)
            l->moves[l->move_count] =
                (plim_move){extent, (uint32_t)(at - l->open.offset), elements, to};
        l->move_count++;
        l->open.move_count++;
        l->open.bytes = at + bytes - l->open.offset;
        at += bytes;
        to += moved_bytes(p, bytes, elements);
    }
}

/* Extents that lie in memory as they do in the file are one stretch, the gaps between included. */
typedef struct stretch {
    uint32_t run; /* PLIM_NO_SLOT: none is open */
    uint64_t file_offset, run_offset, bytes;
} stretch;

static void close_stretch(listing *l, stretch *s)
{
    if (s->run != PLIM_NO_SLOT)
        add_stretch(l, s->run, s->file_offset, s->run_offset, s->bytes);
    s->run = PLIM_NO_SLOT;
}

static void extend(listing *l, stretch *s, const plim_extent_place *e)
{
    const plim_placement *p = &l->plan->placements[e->placement];
    const plim_stored *t = &l->set->tensors[p->stored];
    uint64_t at = t->offset + e->row * p->stored_row_bytes;
    uint64_t bytes = e->rows == p->rows ? t->bytes : e->rows * p->stored_row_bytes;
    if (!bytes)
        return;
    bool same = s->run == e->run && at >= s->file_offset &&
                at - s->file_offset == e->offset - s->run_offset;
    if (!same) {
        close_stretch(l, s);
        *s = (stretch){e->run, at, e->offset, bytes};
    } else if (at + bytes > s->file_offset + s->bytes)
        s->bytes = at + bytes - s->file_offset;
}

static void list(listing *l)
{
    stretch s[2] = {{.run = PLIM_NO_SLOT}, {.run = PLIM_NO_SLOT}}; /* in place, mapped */
    for (uint32_t i = 0; i < l->plan->extent_count; i++) {
        const plim_extent_place *e = &l->plan->extents[i];
        if (e->form == PLIM_FORM_STREAMED)
            continue;
        if (l->plan->runs[e->run].staged)
            add_staged(l, i);
        else
            extend(l, &s[e->form == PLIM_FORM_MAPPED], e);
    }
    close_staged(l);
    close_stretch(l, &s[0]);
    close_stretch(l, &s[1]);
}

static int by_way_and_place(const void *a, const void *b)
{
    const plim_read *x = a, *y = b;
    if (x->how != y->how)
        return x->how < y->how ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->first_move < y->first_move ? -1 : x->first_move > y->first_move;
}

/* ---- the whole ---- */

static plim_reader stream_way(const listing *l)
{
    uint64_t warm = 0, all = 0;
    bool direct = true;
    for (uint32_t i = 0; i < l->plan->tile_count; i++) {
        const plim_tile *t = &l->plan->tiles[i];
        plim_reader way = choose_way(l, t->file, t->offset);
        const plim_file_facts *f = l->facts->files ? &l->facts->files[t->file] : NULL;
        all += t->bytes;
        warm += way == PLIM_READER_BUFFERED ? t->bytes : 0; /* scales lie beside it, and are few */
        direct = direct && f && f->direct;
    }
    if (!all)
        return choose_way(l, 0, 0);
    return direct && warm < all / 10 * 9 ? PLIM_READER_DIRECT : PLIM_READER_BUFFERED;
}

/* The way of most bytes: what a report calls the reader. */
static plim_reader main_way(const plim_load_plan *plan)
{
    uint64_t bytes[4] = {0};
    for (size_t i = 0; i < plan->read_count; i++)
        bytes[plan->reads[i].how] += plan->reads[i].bytes;
    if (plan->tile_count)
        bytes[plan->stream_how] += plan->streamed_bytes;
    plim_reader way = PLIM_READER_MAP;
    for (int i = PLIM_READER_MAP; i <= PLIM_READER_DIRECT; i++)
        way = bytes[i] > bytes[way] ? (plim_reader)i : way;
    return way;
}

void plim_plan_count_reads(plim_load_plan *plan, const plim_stored_set *set,
                           const plim_plan_options *options, const plim_facts *facts)
{
    listing l = {.plan = plan, .set = set, .wanted = options->reader, .facts = facts};
    list(&l);
    plan->read_count = l.read_count;
    plan->move_count = l.move_count;
    plan->table_bytes += l.read_count * sizeof *plan->reads + l.move_count * sizeof *plan->moves;
    bool staged = l.move_count && !plan->old_way; /* which holds the whole state dict instead */
    plan->staging_slots = staged ? PLIM_STAGING_SLOTS : 0;
    plan->load_depth = staged ? PLIM_STAGING_SLOTS : PLIM_LOAD_DEPTH;
    plan->load_threads = facts->threads < 1 ? 1 : facts->threads > 4 ? 4 : facts->threads;
}

plim_status plim_plan_reads(plim_load_plan *plan, const plim_stored_set *set,
                            const plim_plan_options *options, const plim_facts *facts,
                            plim_error *err)
{
    plan->reads = plim_arena_new(&plan->layout, plan->read_count, sizeof *plan->reads, err);
    plan->moves = plim_arena_new(&plan->layout, plan->move_count, sizeof *plan->moves, err);
    if (!plan->reads || !plan->moves)
        return err->code;
    listing l = {.plan = plan,
                 .set = set,
                 .wanted = options->reader,
                 .facts = facts,
                 .reads = plan->reads,
                 .moves = plan->moves};
    list(&l);
    plim_sort(plan->reads, plan->read_count, sizeof *plan->reads, by_way_and_place);
    plan->stream_how = stream_way(&l);
    plan->reader = main_way(plan);
    return PLIM_OK;
}
