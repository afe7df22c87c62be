/* SPDX-License-Identifier: Apache-2.0
 *
 * The waterline: what the plan will hold and when, what the kernel will call its peak, and how long
 * it will take. */
#include "plan/plan.h"

/* Handles, rows and tables beside the large buffers: of a session, and of each tensor. */
#define SESSION_BYTES (64u << 10)
#define SLOT_BYTES    256u
#define WIDENED_COST  2u /* of groups that become floats first, beside what they take as groups */
#define STACK_BYTES   (320u << 10) /* of a thread that loads, its guard included */

static uint64_t whole_pages(uint64_t bytes, uint64_t page)
{
    return (bytes + page - 1) / page * page;
}

plim_status plim_plan_sessions(plim_demand *d, plim_load_plan *plan, const plim_skeleton *k,
                               const plim_facts *facts, plim_error *err)
{
    plim_scratch_layout layout;
    uint64_t kv = 0, page = facts->page_bytes;
    d->other = (uint64_t)k->slot_count * SLOT_BYTES;
    d->kv = d->scratch = 0;
    if (!k->family || !plan->sessions)
        return PLIM_OK;
    bool ok = plim_kv_bytes(&k->spec, &plan->session, &kv) &&
              plim_scratch_plan(&k->spec, &plan->session, &layout) && kv <= INT64_MAX / 64 &&
              layout.total <= INT64_MAX / 256;
    if (ok) {
        plan->kv_bytes = whole_pages(kv, page);
        plan->scratch_bytes = whole_pages(layout.total * sizeof(float), page);
        ok = plim_mul_u64(plan->kv_bytes, plan->sessions, &d->kv) &&
             plim_mul_u64(plan->scratch_bytes, plan->sessions, &d->scratch) &&
             d->kv <= INT64_MAX / 4 && d->scratch <= INT64_MAX / 4;
    }
    if (!ok)
        return plim_fail(err, PLIM_E_LIMIT,
                         "the session is larger than any memory; choose a smaller context");
    d->other += ((uint64_t)k->spec.vocab * PLIM_SAMPLER_ENTRY_BYTES +
                 (uint64_t)plan->session.chunk * PLIM_ROW_BYTES + SESSION_BYTES) *
                plan->sessions;
    return PLIM_OK;
}

/* The old way holds the stored tensors of a file beside the model. */
static uint64_t state_dict_bytes(const plim_load_plan *plan, const plim_stored_set *set,
                                 uint64_t page)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->placement_count; i++)
        sum += whole_pages(set->tensors[plan->placements[i].stored].bytes, page);
    return sum;
}

plim_status plim_plan_demand(plim_demand *d, plim_load_plan *plan, const plim_skeleton *k,
                             const plim_stored_set *set, const plim_facts *facts, plim_error *err)
{
    uint64_t page = facts->page_bytes;
    *d = (plim_demand){0};
    plim_status status = plim_plan_sessions(d, plan, k, facts, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < plan->run_count; i++) {
        const plim_run *r = &plan->runs[i];
        if (r->form == PLIM_FORM_MAPPED)
            d->mapped += whole_pages(r->file_offset % page + r->bytes, page);
        else
            d->owned += whole_pages(r->bytes, page);
    }
    d->other += (uint64_t)plan->run_count * PLIM_RUN_BYTES + plan->table_bytes;
    if (plan->read_count) /* no more than these; the old way less */
        d->load = PLIM_QUEUE_BYTES + (plan->load_threads - 1ull) * STACK_BYTES;
    d->load += whole_pages(
        (uint64_t)plan->staging_slots * (PLIM_STAGED_BYTES + 2 * PLIM_DIRECT_ALIGN), page);
    if (plan->old_way)
        d->load += state_dict_bytes(plan, set, page);
    if (plan->ring_slots)
        d->ring = PLIM_QUEUE_BYTES + whole_pages(plan->ring_slots * plan->ring_slot_bytes, page) +
                  whole_pages(plan->ring_cast_bytes, page) +
                  whole_pages(plan->ring_row_bytes, page);
    return PLIM_OK;
}

uint64_t plim_demand_peak(const plim_demand *d)
{
    uint64_t running = d->ring + d->kv + d->scratch;
    return d->owned + d->mapped + d->other + (d->load > running ? d->load : running);
}

/* ---- seconds ---- */

static int product_index(plim_dtype dtype)
{
    return dtype == PLIM_F32 ? 0 : dtype == PLIM_F16 ? 1 : 2;
}

/* Bytes of weights that a product goes through in a second; groups that were not measured as fast
 * as bfloat16, whose bytes come from memory too. */
static double product_speed(const plim_speeds *s, plim_dtype dtype, bool in_out)
{
    double groups = dtype == PLIM_Q8   ? s->product_groups[0]
                    : dtype == PLIM_Q4 ? s->product_groups[1]
                                       : 0;
    if (groups > 0)
        return groups;
    in_out = in_out && !plim_dtypes[dtype].group;
    return (in_out ? s->product_in_out : s->product_out_in)[product_index(dtype)];
}

/* Seconds of reading: from the disk, and out of the page cache, which keeps a processor busy. */
typedef struct read_time {
    double disk, cache;
} read_time;

/* Add a range of a file: what of it is in the page cache comes from there, where a way of reading
 * looks there at all. */
static void add_range(read_time *sum, const plim_facts *facts, plim_reader how, uint32_t file,
                      uint64_t offset, uint64_t bytes)
{
    const plim_speeds *s = &facts->speeds;
    const plim_file_facts *f = facts->files ? &facts->files[file] : NULL;
    double cold = how == PLIM_READER_BUFFERED && s->buffered > 0 ? s->buffered : s->disk;
    for (uint64_t n; bytes; offset += n, bytes -= n) {
        size_t window = (size_t)(offset / PLIM_WINDOW_BYTES);
        double warm = 0;
        n = PLIM_WINDOW_BYTES - offset % PLIM_WINDOW_BYTES;
        n = n < bytes ? n : bytes;
        if (how != PLIM_READER_DIRECT && f && f->windows && window < f->window_count)
            warm = f->windows[window] / 100.0;
        sum->disk += (double)n * (1 - warm) / cold;
        if (how != PLIM_READER_MAP) /* a map copies nothing */
            sum->cache += (double)n * warm / s->cached;
    }
}

static double load_seconds(const plim_load_plan *plan, const plim_facts *facts)
{
    const plim_speeds *s = &facts->speeds;
    read_time time = {0, 0};
    double fresh = 0;
    if (s->disk <= 0 || s->cached <= 0 || s->commit <= 0)
        return 0;
    for (size_t i = 0; plan->reads && i < plan->read_count; i++) {
        const plim_read *r = &plan->reads[i];
        add_range(&time, facts, r->how, r->file, r->offset, r->bytes);
    }
    double seconds = time.disk + time.cache;
    for (uint32_t i = 0; i < plan->run_count; i++)
        fresh += plan->runs[i].form == PLIM_FORM_OWNED ? (double)plan->runs[i].bytes : 0;
    fresh /= s->commit;
    return seconds > fresh ? seconds : fresh; /* they overlap */
}

/* Of a pass over what streams; rows that are looked up are read past the cache or are small. */
static read_time stream_time(const plim_load_plan *plan, const plim_facts *facts)
{
    read_time time = {0, 0};
    uint64_t rows = plan->streamed_bytes;
    for (uint32_t i = 0; i < plan->tile_count; i++) {
        const plim_tile *t = &plan->tiles[i];
        add_range(&time, facts, plan->stream_how, t->file, t->offset, t->bytes);
        add_range(&time, facts, plan->stream_how, t->scales_file, t->scales_offset,
                  t->scales_bytes);
        rows -= t->bytes + t->scales_bytes;
    }
    time.disk += (double)rows / facts->speeds.disk;
    return time;
}

/* Of a new token with half of the context behind it: max(products, disk); copies out of the page
 * cache take the processors that compute. */
static double token_seconds(const plim_load_plan *plan, const plim_skeleton *k,
                            const plim_facts *facts)
{
    const plim_speeds *s = &facts->speeds;
    double compute = 0;
    if (!k->family)
        return 0;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        const plim_placement *p = &plan->placements[plan->placement_of_slot[i]];
        plim_role role = k->slots[i].role;
        if (p->rows < 2 || role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION)
            continue;
        bool in_out = role != PLIM_ROLE_HEAD && k->spec.layout == PLIM_IN_OUT;
        bool widened = plan->session.widen && plim_dtypes[p->dtype].group;
        double speed = product_speed(s, p->dtype, in_out);
        if (speed <= 0)
            return 0;
        uint64_t bytes = p->bytes;
        if (p->scales != PLIM_NO_SLOT)
            bytes += plan->placements[p->scales].bytes;
        if (widened)
            bytes *= WIDENED_COST;
        compute += (double)bytes / speed;
    }
    double kv_speed = s->product_out_in[product_index(plan->session.kv_dtype)];
    if (kv_speed > 0 && plan->sessions)
        compute += (double)plan->kv_bytes / 2 / kv_speed;
    if (!plan->streamed_bytes)
        return compute;
    if (s->disk <= 0 || s->cached <= 0)
        return 0;
    read_time reading = stream_time(plan, facts);
    compute += reading.cache;
    return reading.disk > compute ? reading.disk : compute;
}

void plim_plan_predict(plim_load_plan *plan, const plim_skeleton *k, const plim_demand *d,
                       const plim_plan_options *options, const plim_facts *facts,
                       const plim_held *held)
{
    uint64_t staging = d->load > d->ring ? d->load : d->ring, all = plim_demand_peak(d);
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        plan->category[i] = held->category[i];
    plan->category[PLIM_MEM_WEIGHTS] += d->owned + d->mapped;
    plan->category[PLIM_MEM_STAGING] += staging;
    plan->category[PLIM_MEM_KV] += d->kv;
    plan->category[PLIM_MEM_ACTIVATIONS] += d->scratch;
    plan->category[PLIM_MEM_OTHER] += d->other;
    plan->anonymous = held->anonymous + all - d->mapped;
    plan->mapped = held->mapped + d->mapped;
    plan->line = facts->baseline + plan->anonymous + plan->mapped;
    plan->predicted_peak = facts->rss + all;
    if (plan->predicted_peak < facts->peak)
        plan->predicted_peak = facts->peak;
    bool weights_fit = !options->max_weights || d->owned + d->mapped <= options->max_weights;
    plan->fits = weights_fit && (!facts->memory_limit || plan->line <= facts->memory_limit);
    plan->load_seconds = load_seconds(plan, facts);
    plan->token_seconds = token_seconds(plan, k, facts);
}
