/* SPDX-License-Identifier: Apache-2.0
 *
 * Types and places: which type the model runs in, and which form each tensor takes. */
#include <string.h>

#include "base/sort.h"
#include "plan/plan.h"

#define OWNED_ALIGN 64u
/* Bytes that nobody needs, inside one map: a map costs less than that.  Old files keep a mask of
 * some hundred KiB in every layer, which must not become resident. */
#define MAX_GAP (16u << 10)

static bool is_run_type(plim_dtype dtype)
{
    return dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16;
}

static bool casts(plim_dtype from)
{
    return is_run_type(from) || from == PLIM_F64;
}

/* Transformers' order: what was asked for, config.json, the index, the first float type stored. */
static plim_status choose_type(plim_load_plan *plan, const plim_skeleton *k,
                               const plim_stored_set *stored, const plim_plan_options *options,
                               plim_error *err)
{
    plim_dtype type = options->torch_dtype;
    if (type == PLIM_AUTO)
        type = k->spec.config_dtype;
    if (type == PLIM_AUTO)
        type = stored->index_dtype;
    for (size_t i = 0; type == PLIM_AUTO && i < stored->file_count; i++)
        type = stored->files[i].first_float;
    if (type == PLIM_AUTO)
        type = PLIM_F32;
    plan->dtype = type;
    if (is_run_type(type) || !k->family)
        return PLIM_OK;
    return plim_fail(err, PLIM_E_UNSUP,
                     "dtype %s is not supported for running; choose float32, bfloat16 or float16",
                     plim_dtype_torch_name(type));
}

/* Weights alone keep their type unless one was asked for; then floats are cast, as Transformers
 * does. */
static plim_status type_of(const plim_load_plan *plan, const plim_skeleton *k,
                           const plim_stored_set *set, const plim_stored *t,
                           const plim_plan_options *options, plim_dtype *out, plim_error *err)
{
    *out = k->family || options->torch_dtype != PLIM_AUTO ? plan->dtype : t->dtype;
    if (t->dtype == *out && t->dtype != PLIM_AUTO)
        return PLIM_OK;
    if (!k->family && !casts(t->dtype))
        *out = t->dtype; /* integers and packed types stay what they are */
    if (*out != PLIM_AUTO && (*out == t->dtype || (casts(t->dtype) && is_run_type(*out))))
        return PLIM_OK;
    if (t->dtype == PLIM_AUTO)
        return plim_fail_at(err, PLIM_E_UNSUP,
                            (plim_where){set->files[t->file].path, t->name, (int64_t)t->offset},
                            "type '%.40s' is not known", t->dtype_name ? t->dtype_name : "?");
    return plim_fail_at(
        err, PLIM_E_UNSUP, (plim_where){set->files[t->file].path, t->name, (int64_t)t->offset},
        "type %s cannot be turned into %s", plim_dtype_name(t->dtype), plim_dtype_name(*out));
}

static plim_form form_of(const plim_stored *t, plim_dtype dtype, const plim_plan_options *options)
{
    bool wanted = options->reader == PLIM_READER_AUTO || options->reader == PLIM_READER_MAP;
    if (!wanted || !options->low_cpu_mem_usage || t->dtype != dtype)
        return PLIM_FORM_OWNED;
    return t->offset % plim_dtypes[dtype].align == 0 ? PLIM_FORM_MAPPED : PLIM_FORM_OWNED;
}

typedef struct sort_key {
    uint64_t offset;
    uint32_t file, slot, stored;
} sort_key;

static int in_file_order(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* Count a tensor.  A header may speak of any size (a sparse file costs nothing), but the table of
 * reads grows with it. */
static plim_status add_bytes(plim_load_plan *plan, const plim_stored_set *set, const plim_stored *t,
                             uint64_t bytes, plim_error *err)
{
    if (!plim_add_u64(plan->stored_bytes, t->bytes, &plan->stored_bytes) ||
        !plim_add_u64(plan->weight_bytes, bytes, &plan->weight_bytes) ||
        plan->stored_bytes > PLIM_MAX_MODEL_BYTES || plan->weight_bytes > PLIM_MAX_MODEL_BYTES)
        return plim_fail_at(err, PLIM_E_LIMIT, (plim_where){set->files[t->file].path, t->name, -1},
                            "with this tensor the model is larger than %llu bytes",
                            (unsigned long long)PLIM_MAX_MODEL_BYTES);
    return PLIM_OK;
}

/* Fill the placements in file order; a slot that is tied has none of its own. */
static plim_status list_placements(plim_load_plan *plan, const plim_skeleton *k,
                                   const plim_stored_set *set, const plim_plan_options *options,
                                   plim_error *err)
{
    sort_key *keys = plim_new(plan->alloc, k->slot_count, sizeof *keys, err);
    plan->placements = plim_arena_new(&plan->arena, k->slot_count, sizeof *plan->placements, err);
    plim_status status = keys && plan->placements ? PLIM_OK : err->code;
    uint32_t n = 0;
    for (uint32_t i = 0; !status && i < k->slot_count; i++)
        if (k->slots[i].tied_to == PLIM_NO_SLOT) {
            const plim_stored *t = &set->tensors[k->slots[i].stored];
            keys[n++] = (sort_key){t->offset, t->file, i, k->slots[i].stored};
        }
    if (!status)
        plim_sort(keys, n, sizeof *keys, in_file_order);
    for (uint32_t i = 0; !status && i < n; i++) {
        const plim_stored *t = &set->tensors[keys[i].stored];
        plim_placement *p = &plan->placements[i];
        *p = (plim_placement){.slot = keys[i].slot, .stored = keys[i].stored};
        status = type_of(plan, k, set, t, options, &p->dtype, err);
        if (status)
            break;
        p->form = form_of(t, p->dtype, options);
        if (!plim_shape_bytes(&t->shape, p->dtype, &p->bytes))
            status =
                plim_fail_at(err, PLIM_E_LIMIT, (plim_where){set->files[t->file].path, t->name, -1},
                             "too large for %s", plim_dtype_name(p->dtype));
        else
            status = add_bytes(plan, set, t, p->bytes, err);
    }
    plan->placement_count = n;
    plim_delete(plan->alloc, keys);
    return status;
}

/* Put one placement into the run it continues, or begin one. */
static plim_run *run_for(plim_load_plan *plan, plim_run *open_map, plim_run *open_owned,
                         const plim_stored *t, const plim_placement *p)
{
    plim_run *run = p->form == PLIM_FORM_MAPPED ? open_map : open_owned;
    bool continues = run && run->file == t->file;
    if (continues && p->form == PLIM_FORM_MAPPED)
        continues = t->offset - (run->file_offset + run->bytes) <= MAX_GAP ||
                    t->offset < run->file_offset + run->bytes;
    if (continues)
        return run;
    run = &plan->runs[plan->run_count++];
    *run = (plim_run){.form = p->form, .file = t->file, .file_offset = t->offset};
    return run;
}

static plim_status list_runs(plim_load_plan *plan, const plim_stored_set *set, plim_error *err)
{
    plim_run *map = NULL, *owned = NULL;
    plan->runs = plim_arena_new(&plan->arena, plan->placement_count, sizeof *plan->runs, err);
    if (!plan->runs)
        return err->code;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        plim_placement *p = &plan->placements[i];
        const plim_stored *t = &set->tensors[p->stored];
        plim_run *run = run_for(plan, map, owned, t, p);
        if (p->form == PLIM_FORM_MAPPED) {
            map = run;
            p->offset = t->offset - run->file_offset;
            uint64_t end = p->offset + p->bytes;
            run->bytes = end > run->bytes ? end : run->bytes;
        } else {
            owned = run;
            p->offset = (run->bytes + OWNED_ALIGN - 1) & ~(uint64_t)(OWNED_ALIGN - 1);
            if (!plim_add_u64(p->offset, p->bytes, &run->bytes) || run->bytes > INT64_MAX)
                return plim_fail(err, PLIM_E_LIMIT, "the weights are larger than any memory");
        }
        p->run = (uint32_t)(run - plan->runs);
        run->first = run->count ? run->first : i;
        run->count++;
    }
    return PLIM_OK;
}

static plim_status index_slots(plim_load_plan *plan, const plim_skeleton *k, plim_error *err)
{
    plan->placement_of_slot = plim_arena_new(&plan->arena, k->slot_count, sizeof(uint32_t), err);
    if (!plan->placement_of_slot)
        return err->code;
    memset(plan->placement_of_slot, 0xff, k->slot_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < plan->placement_count; i++)
        plan->placement_of_slot[plan->placements[i].slot] = i;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (k->slots[i].tied_to != PLIM_NO_SLOT)
            plan->placement_of_slot[i] = plan->placement_of_slot[k->slots[i].tied_to];
    return PLIM_OK;
}

plim_status plim_plan_place(plim_load_plan *plan, const plim_skeleton *k,
                            const plim_stored_set *set, const plim_plan_options *options,
                            plim_error *err)
{
    plim_status status;
    if ((status = choose_type(plan, k, set, options, err)) ||
        (status = list_placements(plan, k, set, options, err)) ||
        (status = list_runs(plan, set, err)))
        return status;
    plan->reader = PLIM_READER_MAP;
    for (uint32_t i = 0; i < plan->run_count; i++)
        if (plan->runs[i].form != PLIM_FORM_MAPPED)
            plan->reader = PLIM_READER_BUFFERED;
    return index_slots(plan, k, err);
}
