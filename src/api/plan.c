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
    plim_delete(plim_context_alloc(context), p);
    plim_context_close(&context);
}

static plim_status plan_options(plim_plan_options *out, const plim_model_options *o,
                                const plim_alloc *alloc, plim_error *err)
{
    if ((unsigned)o->torch_dtype >= PLIM_DTYPE_COUNT || (unsigned)o->kv_dtype >= PLIM_DTYPE_COUNT)
        return plim_fail(err, PLIM_E_USAGE, "torch_dtype or kv_dtype is no type");
    if (o->reader != PLIM_READER_AUTO && o->reader != PLIM_READER_MAP &&
        o->reader != PLIM_READER_BUFFERED)
        return plim_fail(err, PLIM_E_UNSUP,
                         "this reader is not there yet; choose auto, map or buffered");
    *out = (plim_plan_options){.torch_dtype = o->torch_dtype,
                               .kv_dtype = o->kv_dtype,
                               .reader = o->reader,
                               .low_cpu_mem_usage = o->low_cpu_mem_usage,
                               .context = o->context,
                               .chunk = o->prefill_chunk,
                               .sessions = o->sessions};
    plim_status status = plim_device_map_check(o->device_map, alloc, err);
    return status ? status : plim_max_memory_read(&out->max_weights, o->max_memory, alloc, err);
}

/* What the ledger holds now, and the machine. */
static void gather(plim_context *c, plim_facts *facts, plim_held *held)
{
    plim_memory memory;
    plim_ledger_read(c->ledger, &memory);
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        held->category[i] = memory.category[i].now;
    held->anonymous = memory.anonymous.now;
    held->mapped = memory.mapped.now;
    plim_facts_gather(facts, c->memory_limit, c->baseline, memory.total.now,
                      plim_pool_threads(c->pool));
}

static plim_status read_model(plim_plan *p, const char *path, const plim_model_options *o,
                              plim_error *err)
{
    const plim_alloc *alloc = plim_context_alloc(p->context);
    plim_checkpoint_where where = {path, o->subfolder, o->variant};
    plim_status status = plim_stored_open(&p->stored, alloc, &where, &p->context->log, err);
    if (status)
        return status;
    status = plim_path_join(p->config, sizeof p->config, p->stored->directory, "config.json", err);
    if (status)
        return status;
    bool found;
    status = plim_path_find_file(&found, p->config, err);
    if (status)
        return status;
    if (!found)
        p->config[0] = 0;
    status = plim_skeleton_open(&p->skeleton, alloc, p->config[0] ? p->config : NULL, err);
    return status ? status : plim_skeleton_match(p->skeleton, p->stored, &p->context->log, err);
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
    plim_plan_options plan;
    plim_facts facts;
    plim_held held;
    status = plan_options(&plan, &o, plim_context_alloc(context), err);
    if (!status)
        status = read_model(p, path, &o, err);
    if (!status) {
        gather(context, &facts, &held);
        status = plim_load_plan_open(&p->plan, plim_context_alloc(context), p->skeleton, p->stored,
                                     &plan, &facts, &held, err);
    }
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
                            .directory = p->stored->directory};
    memcpy(out->category, plan->category, sizeof out->category);
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
    out->device = "cpu";
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
    bool mapped = p->plan->runs[r->run].form == PLIM_FORM_MAPPED;
    *out = (plim_read_info){p->stored->files[r->file].path, r->offset, r->bytes,
                            mapped ? PLIM_READER_MAP : PLIM_READER_BUFFERED};
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
    static const char *const names[] = {"meta", "mapped", "owned"};
    return (unsigned)form < 3 ? names[form] : "?";
}
