/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: everything before the first weight byte. */
#include <stdio.h>
#include <string.h>

#include "api/handles.h"
#include "api/device_map.h"

plim_plan *plim_plan_ref(plim_plan *plan)
{
    atomic_fetch_add(&plan->refs, 1);
    return plan;
}

void plim_plan_close(plim_plan **plan)
{
    plim_plan *p = plan ? *plan : NULL;
    if (!p)
        return;
    *plan = NULL;
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    plim_context *context = p->context;
    plim_load_plan_close(&p->plan);
    plim_skeleton_close(&p->skeleton);
    plim_stored_close(&p->stored);
    plim_arena_free(&p->arena);
    plim_delete(plim_context_alloc(context), p);
    plim_context_close(&context);
}

void plim_plan_cancel(plim_plan *plan)
{
    atomic_store(&plan->cancel, true);
}

static plim_status plan_options(plim_plan_options *out, plim_plan *p, const plim_model_options *o,
                                plim_error *err)
{
    if ((unsigned)o->torch_dtype >= PLIM_DTYPE_COUNT || (unsigned)o->kv_dtype >= PLIM_DTYPE_COUNT)
        return plim_fail(err, PLIM_E_USAGE, "torch_dtype or kv_dtype is no type");
    if ((unsigned)o->reader > PLIM_READER_DIRECT)
        return plim_fail(err, PLIM_E_USAGE, "reader is none of auto, map, buffered and direct");
    *out = (plim_plan_options){.torch_dtype = o->torch_dtype,
                               .kv_dtype = o->kv_dtype,
                               .reader = o->reader,
                               .low_cpu_mem_usage = o->low_cpu_mem_usage,
                               .context = o->context,
                               .chunk = o->prefill_chunk,
                               .sessions = o->sessions};
    plim_status status = plim_device_map_read(&out->device_map, &p->arena, o->device_map, err);
    return status ? status
                  : plim_max_memory_read(&out->max_weights, o->max_memory,
                                         plim_context_alloc(p->context), err);
}

/* What the ledger holds now, the machine, and the files of the checkpoint. */
static plim_status gather(plim_plan *p, const plim_model_options *o, plim_facts *facts,
                          plim_held *held, plim_error *err)
{
    plim_context *c = p->context;
    plim_memory memory;
    plim_file_facts *files = plim_arena_new(&p->arena, p->stored->file_count, sizeof *files, err);
    if (!files)
        return err->code;
    for (size_t i = 0; i < p->stored->file_count; i++) {
        plim_status status =
            plim_file_facts_gather(&files[i], &p->arena, &p->stored->files[i].file, err);
        if (status)
            return status;
    }
    plim_ledger_read(c->ledger, &memory);
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        held->category[i] = memory.category[i].now;
    held->anonymous = memory.anonymous.now;
    held->mapped = memory.mapped.now;
    plim_facts_gather(facts, c->memory_limit, c->baseline, memory.total.now,
                      plim_pool_threads(c->pool));
    facts->files = files;
    facts->file_count = p->stored->file_count;
    if (o->speeds)
        facts->speeds = *o->speeds;
    return PLIM_OK;
}

plim_status plim_skeleton_read(plim_skeleton **out, plim_context *context, char *config, size_t cap,
                               const plim_stored_set *stored, plim_error *err)
{
    bool found;
    plim_status status = plim_path_join(config, cap, stored->directory, "config.json", err);
    if (!status)
        status = plim_path_find_file(&found, config, err);
    if (status)
        return status;
    if (!found)
        config[0] = 0;
    status = plim_skeleton_open(out, plim_context_alloc(context), config[0] ? config : NULL, err);
    return status ? status : plim_skeleton_match(*out, stored, &context->log, err);
}

static plim_status read_model(plim_plan *p, const char *path, const plim_model_options *o,
                              plim_error *err)
{
    plim_checkpoint_where where = {path, o->subfolder, o->variant};
    plim_status status =
        plim_stored_open(&p->stored, plim_context_alloc(p->context), &where, &p->context->log, err);
    return status ? status
                  : plim_skeleton_read(&p->skeleton, p->context, p->config, sizeof p->config,
                                       p->stored, err);
}

/* As accelerate: a rule that places nothing is most likely a slip. */
static void warn_of_idle_rules(const plim_plan *p, const plim_device_map *map)
{
    for (size_t i = 0; i < map->rule_count; i++) {
        uint32_t slot = 0;
        while (slot < p->skeleton->slot_count &&
               !plim_device_rule_covers(&map->rules[i], p->skeleton->slots[slot].name))
            slot++;
        if (slot == p->skeleton->slot_count)
            plim_log_line(&p->context->log, PLIM_LOG_WARN,
                          "device_map: '%s' matches no module of this model", map->rules[i].module);
    }
}

static plim_status make(plim_plan *p, const char *path, const plim_model_options *o,
                        plim_error *err)
{
    plim_plan_options options;
    plim_facts facts;
    plim_held held;
    plim_status status = plan_options(&options, p, o, err);
    if (!status)
        status = read_model(p, path, o, err);
    if (!status)
        status = gather(p, o, &facts, &held, err);
    if (status)
        return status;
    warn_of_idle_rules(p, &options.device_map);
    return plim_load_plan_open(&p->plan, plim_context_alloc(p->context), p->skeleton, p->stored,
                               &options, &facts, &held, err);
}

plim_status plim_plan_open(plim_plan **out, plim_context *context, const char *name,
                           const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_error local;
    char path[4096];
    double start = plim_now();
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = plim_model_options_take(&o, options, err);
    if (!status)
        status = plim_resolve(path, sizeof path, name, &o, err);
    if (status)
        return status;
    plim_plan *p = plim_new(plim_context_alloc(context), 1, sizeof *p, err);
    if (!p)
        return err->code;
    p->refs = 1;
    p->context = plim_context_ref(context);
    p->progress = o.progress;
    p->progress_user = o.progress_user;
    p->lock = o.mlock != 0;
    plim_arena_init(&p->arena, plim_context_alloc(context));
    status = make(p, path, &o, err);
    p->open_seconds = plim_now() - start;
    if (status)
        plim_plan_close(&p);
    *out = p;
    return status;
}

void plim_plan_describe(const plim_plan *p, plim_plan_info *out)
{
    const plim_load_plan *plan = p->plan;
    *out = (plim_plan_info){.fits = plan->fits,
                            .limit = p->context->memory_limit,
                            .baseline = p->context->baseline,
                            .held = plan->line,
                            .predicted_peak = plan->predicted_peak,
                            .anonymous = plan->anonymous,
                            .mapped = plan->mapped,
                            .weight_bytes = plan->weight_bytes,
                            .stored_bytes = plan->stored_bytes,
                            .parameters = plim_skeleton_parameters(p->skeleton),
                            .tensor_count = p->skeleton->slot_count,
                            .read_count = plan->read_count,
                            .advice_count = plan->advice_count,
                            .unexpected_count = p->skeleton->unexpected_count,
                            .runnable = p->skeleton->family != NULL,
                            .dtype = plan->dtype,
                            .kv_dtype = plan->session.kv_dtype,
                            .context = plan->session.context,
                            .prefill_chunk = plan->session.chunk,
                            .reader = plan->reader,
                            .kv_bytes = plan->kv_bytes,
                            .model_type = p->skeleton->spec.model_type,
                            .directory = p->stored->directory,
                            .pinned_bytes = plan->pinned_bytes,
                            .streamed_bytes = plan->streamed_bytes,
                            .ring_bytes = plan->ring_slots * plan->ring_slot_bytes +
                                          plan->ring_cast_bytes + plan->ring_row_bytes,
                            .load_seconds = plan->load_seconds,
                            .token_seconds = plan->token_seconds};
    memcpy(out->category, plan->category, sizeof out->category);
}

/* A matrix that is stored in two tensors, quants and scales, is one to whoever looks at the plan.
 */
static void join_scales(const plim_plan *p, const plim_placement *place, plim_tensor_info *out)
{
    const plim_slot *slot = &p->skeleton->slots[place->slot];
    const plim_placement *scales = &p->plan->placements[place->scales];
    out->name = slot->name;
    out->stored_dtype = place->dtype;
    out->rank = slot->shape.rank;
    memcpy(out->shape, slot->shape.dim, sizeof out->shape);
    out->stored_bytes += p->stored->tensors[scales->stored].bytes;
    out->bytes += scales->bytes;
    out->pinned_bytes += scales->pinned_bytes;
}

plim_status plim_plan_tensor(const plim_plan *p, size_t i, plim_tensor_info *out)
{
    const plim_skeleton *k = p->skeleton;
    if (i >= k->slot_count)
        return PLIM_E_USAGE;
    const plim_slot *slot = &k->slots[i];
    const plim_placement *place = &p->plan->placements[p->plan->placement_of_slot[i]];
    plim_describe_stored(p->stored, &p->stored->tensors[place->stored], out);
    out->dtype = place->dtype;
    out->bytes = place->bytes;
    out->form = place->form;
    out->pinned_bytes = place->pinned_bytes;
    if (place->scales != PLIM_NO_SLOT)
        join_scales(p, place, out);
    out->device = place->form == PLIM_FORM_STREAMED ? "disk" : "cpu";
    if (slot->tied_to != PLIM_NO_SLOT) {
        out->tied_to = out->name;
        out->name = slot->name;
    }
    return PLIM_OK;
}

plim_status plim_plan_read(const plim_plan *p, size_t i, plim_read_info *out)
{
    if (i >= p->plan->read_count)
        return PLIM_E_USAGE;
    const plim_read *r = &p->plan->reads[i];
    *out = (plim_read_info){p->stored->files[r->file].path, r->offset, r->bytes, r->how};
    return PLIM_OK;
}

const char *plim_plan_advice(const plim_plan *p, size_t i)
{
    return i < p->plan->advice_count ? p->plan->advice[i] : NULL;
}

const char *plim_plan_unexpected(const plim_plan *p, size_t i)
{
    return i < p->skeleton->unexpected_count ? p->skeleton->unexpected[i] : NULL;
}

const char *plim_form_name(plim_form form)
{
    static const char *const names[] = {"meta", "mapped", "owned", "streamed"};
    return (unsigned)form < sizeof names / sizeof *names ? names[form] : "?";
}
