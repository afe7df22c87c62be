/* SPDX-License-Identifier: Apache-2.0
 *
 * Types and uses: which type the model runs in, what each stored tensor becomes, and on which
 * device it is wanted. */
#include <string.h>

#include "base/sort.h"
#include "plan/plan.h"

static bool is_run_type(plim_dtype dtype)
{
    return dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16;
}

static bool casts(plim_dtype from)
{
    return is_run_type(from) || from == PLIM_F64;
}

static bool is_group_type(plim_dtype dtype)
{
    return plim_dtypes[dtype].group != 0;
}

/* What is stored as groups stays that.  Asked for floats, products are those of floats, as
 * Transformers computes them in float32; other groups want the weights that these were made of. */
static plim_status choose_packed(plim_load_plan *plan, plim_dtype packed, plim_dtype asked,
                                 plim_error *err)
{
    plan->dtype = packed;
    if (asked == PLIM_AUTO || asked == packed)
        return PLIM_OK;
    plan->dtype = asked;
    if (is_run_type(asked))
        return PLIM_OK;
    return plim_fail(err, PLIM_E_UNSUP,
                     "the checkpoint is quantised to %s already and can't be run as %s: choose "
                     "auto or float32, or take the checkpoint that it was made from",
                     plim_dtype_torch_name(packed), plim_dtype_torch_name(asked));
}

/* Transformers' order: what was asked for, config.json, the index, the first float type stored. */
static plim_status choose_type(plim_load_plan *plan, const plim_skeleton *k,
                               const plim_stored_set *stored, const plim_plan_options *options,
                               plim_error *err)
{
    plim_dtype packed = plim_skeleton_packed(k), type = options->torch_dtype;
    if (type == PLIM_I8 && k->family)
        type = PLIM_Q8;
    if (packed != PLIM_AUTO)
        return choose_packed(plan, packed, type, err);
    if (k->family && is_group_type(type)) {
        plan->dtype = type;
        return PLIM_OK;
    }
    if (type == PLIM_AUTO)
        type = k->spec.config_dtype;
    if (type == PLIM_AUTO)
        type = stored->index_dtype;
    for (size_t i = 0; type == PLIM_AUTO && i < stored->file_count; i++)
        type = stored->files[i].first_float;
    if (type == PLIM_AUTO)
        type = PLIM_F32;
    plan->dtype = type;
    if (is_run_type(type) || (!k->family && !is_group_type(type)))
        return PLIM_OK;
    if (!k->family)
        return plim_fail(
            err, PLIM_E_UNSUP,
            "dtype %s is for models whose model_type is known; of weights alone nobody "
            "can tell which are matrices of a product",
            plim_dtype_torch_name(type));
    return plim_fail(err, PLIM_E_UNSUP,
                     "dtype %s is not supported for running; choose float32, bfloat16, float16, "
                     "int8 or int4",
                     plim_dtype_torch_name(type));
}

/* ---- quantising ---- */

static bool is_table(plim_role role)
{
    return role == PLIM_ROLE_EMBED || role == PLIM_ROLE_POSITION || role == PLIM_ROLE_HEAD;
}

/* Whether a slot's matrix is of the [in, out] kind. */
static bool is_turned(const plim_skeleton *k, const plim_slot *slot)
{
    return !is_table(slot->role) && k->spec.layout == PLIM_IN_OUT;
}

/* What becomes groups when that is asked for: matrices of products and the table of embeddings,
 * where groups fill their inner dimension; of those that are turned, where a stripe of rows fits
 * into a slot of the load. */
static bool is_quantised(const plim_load_plan *plan, const plim_skeleton *k, const plim_slot *slot,
                         const plim_stored *t, const plim_plan_options *options)
{
    const uint64_t *dim = t->shape.dim;
    if (!k->family || !is_group_type(plan->dtype) || options->torch_dtype == PLIM_AUTO ||
        t->shape.rank != 2 || slot->role == PLIM_ROLE_POSITION || !casts(t->dtype))
        return false;
    if (!dim[0] || !dim[1] || dim[1] % PLIM_GROUP)
        return false;
    if (!is_turned(k, slot))
        return true;
    return dim[0] % PLIM_GROUP == 0 && t->bytes / dim[0] * PLIM_GROUP <= PLIM_STAGED_BYTES;
}

/* The type of a tensor beside matrices of groups: its own where we run it, else float. */
static plim_dtype beside_groups(const plim_stored *t)
{
    return is_run_type(t->dtype) ? t->dtype : PLIM_F32;
}

/* In a plan whose run type is of groups: type and change of a tensor that is not stored so.
 * Embeddings and the output head take 8 bits also where the rest takes 4: it is there that rounding
 * costs most. */
static plim_dtype group_type(plim_placement *p, const plim_load_plan *plan, const plim_skeleton *k,
                             const plim_stored *t, const plim_plan_options *options)
{
    const plim_slot *slot = &k->slots[p->slot];
    if (!is_quantised(plan, k, slot, t, options))
        return beside_groups(t);
    p->change = is_turned(k, slot) ? PLIM_CHANGE_TURN : PLIM_CHANGE_QUANTISE;
    return is_table(slot->role) ? PLIM_Q8 : plan->dtype;
}

/* Weights alone keep their type unless one was asked for; then floats are cast, as Transformers
 * does. */
static plim_status type_of(plim_placement *p, const plim_load_plan *plan, const plim_skeleton *k,
                           const plim_stored_set *set, const plim_plan_options *options,
                           plim_error *err)
{
    const plim_stored *t = &set->tensors[p->stored];
    plim_dtype *out = &p->dtype;
    *out = k->family || options->torch_dtype != PLIM_AUTO ? plan->dtype : t->dtype;
    if (k->slots[p->slot].packed != PLIM_AUTO)
        *out = p->use == PLIM_USE_SCALES ? PLIM_F16 : k->slots[p->slot].packed;
    else if (is_group_type(plan->dtype))
        *out = group_type(p, plan, k, t, options);
    if (is_group_type(*out)) /* stored like that, or quantised */
        return PLIM_OK;
    if (t->dtype != *out)
        p->change = PLIM_CHANGE_CAST;
    if (t->dtype == *out && t->dtype != PLIM_AUTO)
        return PLIM_OK;
    if (!k->family && !casts(t->dtype)) {
        *out = t->dtype; /* integers and packed types stay what they are */
        p->change = PLIM_CHANGE_NONE;
    }
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

/* How the model uses a tensor, by the first slot it fills; the output head wins over the table it
 * is tied to. */
static plim_use use_of(const plim_skeleton *k, const plim_slot *slot)
{
    if (!k->family || slot->shape.rank != 2)
        return PLIM_USE_ALWAYS;
    if (slot->role != PLIM_ROLE_EMBED && slot->role != PLIM_ROLE_POSITION)
        return PLIM_USE_IN_ORDER;
    const plim_slot *head = &k->slots[plim_skeleton_slot(k, 0, PLIM_ROLE_HEAD)];
    bool tied = head->tied_to != PLIM_NO_SLOT && &k->slots[head->tied_to] == slot;
    return tied ? PLIM_USE_IN_ORDER : PLIM_USE_BY_ROW;
}

/* Where the tensor may live: the device map's word. */
static plim_status choose_device(plim_placement *p, const plim_slot *slot,
                                 const plim_plan_options *options, plim_error *err)
{
    bool covered;
    p->device = plim_device_of(&options->device_map, slot->name, &covered);
    if (covered)
        return PLIM_OK;
    return plim_fail_at(err, PLIM_E_USAGE, (plim_where){NULL, slot->name, -1},
                        "the device map says nothing of '%.120s'; name its module, or give \"\" a "
                        "device",
                        slot->name);
}

static plim_status shape_rows(plim_placement *p, const plim_slot *slot, const plim_stored_set *set,
                              const plim_stored *t, bool quantising, plim_error *err)
{
    bool matrix = t->shape.rank == 2 && t->shape.dim[0] > 0;
    bool packed = slot->packed != PLIM_AUTO && p->use != PLIM_USE_SCALES;
    if (packed)
        p->bytes = t->bytes; /* quants, in words of 32 bits */
    else if (!plim_shape_bytes(&t->shape, p->dtype, &p->bytes))
        return plim_fail_at(err, PLIM_E_LIMIT, (plim_where){set->files[t->file].path, t->name, -1},
                            "too large for %s", plim_dtype_name(p->dtype));
    p->rows = matrix ? t->shape.dim[0] : 1;
    p->row_bytes = p->bytes / p->rows;
    p->stored_row_bytes = t->bytes / p->rows;
    /* Vectors go along with what is quantised around them: no reads and maps of a few KiB each. */
    p->staged = p->change != PLIM_CHANGE_NONE || (quantising && p->use == PLIM_USE_ALWAYS) ||
                (!packed && t->offset % plim_dtypes[t->dtype].align != 0);
    if (packed)
        p->scale_row_bytes = set->tensors[slot->scales].bytes / p->rows;
    return PLIM_OK;
}

typedef struct sort_key {
    uint64_t offset;
    uint32_t file, slot, stored;
    bool scales;
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

/* Fill one placement. */
static plim_status place(plim_load_plan *plan, plim_placement *p, const plim_skeleton *k,
                         const plim_stored_set *set, const plim_plan_options *options,
                         plim_error *err)
{
    const plim_stored *t = &set->tensors[p->stored];
    const plim_slot *slot = &k->slots[p->slot];
    bool quantising = is_group_type(plan->dtype) && options->torch_dtype != PLIM_AUTO;
    plim_status status;
    if (p->use != PLIM_USE_SCALES)
        p->use = use_of(k, slot);
    if ((status = type_of(p, plan, k, set, options, err)) ||
        (status = shape_rows(p, slot, set, t, quantising, err)) ||
        (status = choose_device(p, slot, options, err)))
        return status;
    return add_bytes(plan, set, t, p->bytes, err);
}

/* The tensors that slots need, each once: a slot that is tied has none of its own.  Returns how
 * many; with NULL they are counted. */
static uint32_t list_keys(const plim_skeleton *k, const plim_stored_set *set, sort_key *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        const plim_slot *slot = &k->slots[i];
        if (slot->tied_to != PLIM_NO_SLOT)
            continue;
        const plim_stored *t = &set->tensors[slot->stored];
        if (keys)
            keys[n] = (sort_key){t->offset, t->file, i, slot->stored, false};
        n++;
        if (slot->packed == PLIM_AUTO)
            continue;
        t = &set->tensors[slot->scales];
        if (keys)
            keys[n] = (sort_key){t->offset, t->file, i, slot->scales, true};
        n++;
    }
    return n;
}

/* Fill the placements in file order. */
static plim_status list_placements(plim_load_plan *plan, const plim_skeleton *k,
                                   const plim_stored_set *set, const plim_plan_options *options,
                                   plim_error *err)
{
    uint32_t n = list_keys(k, set, NULL);
    sort_key *keys = plim_new(plan->alloc, n, sizeof *keys, err);
    plan->placements = plim_arena_new(&plan->arena, n, sizeof *plan->placements, err);
    plim_status status = keys && plan->placements ? PLIM_OK : err->code;
    if (!status) {
        list_keys(k, set, keys);
        plim_sort(keys, n, sizeof *keys, in_file_order);
    }
    for (uint32_t i = 0; !status && i < n; i++) {
        plan->placements[i] =
            (plim_placement){.slot = keys[i].slot,
                             .stored = keys[i].stored,
                             .use = keys[i].scales ? PLIM_USE_SCALES : PLIM_USE_ALWAYS,
                             .lead = i,
                             .scales = PLIM_NO_SLOT};
        status = place(plan, &plan->placements[i], k, set, options, err);
    }
    plan->placement_count = n;
    plim_delete(plan->alloc, keys);
    return status;
}

static plim_status index_slots(plim_load_plan *plan, const plim_skeleton *k, plim_error *err)
{
    plan->placement_of_slot = plim_arena_new(&plan->arena, k->slot_count, sizeof(uint32_t), err);
    if (!plan->placement_of_slot)
        return err->code;
    memset(plan->placement_of_slot, 0xff, k->slot_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (plan->placements[i].use != PLIM_USE_SCALES)
            plan->placement_of_slot[plan->placements[i].slot] = i;
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        plim_placement *p = &plan->placements[i];
        if (p->use != PLIM_USE_SCALES)
            continue;
        p->lead = plan->placement_of_slot[p->slot];
        plan->placements[p->lead].scales = i;
    }
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
    /* The first block is a small one: large tables then lie in blocks of just their size. */
    if (!plim_arena_new(&plan->arena, 1, 16, err))
        return err->code;
    if ((status = choose_type(plan, k, set, options, err)) ||
        (status = list_placements(plan, k, set, options, err)))
        return status;
    return index_slots(plan, k, err);
}
