/* SPDX-License-Identifier: Apache-2.0
 *
 * Converting: what becomes of each tensor, in which order and which file.  See convert.h. */
#include "load/convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sort.h"
#include "base/text.h"
#include "load/convert_internal.h"

#define PROGRESS_SECONDS   0.1
#define DEFAULT_SHARD_SIZE UINT64_C(5000000000)

static bool is_group(plim_dtype dtype)
{
    return plim_dtypes[dtype].group != 0;
}

static bool casts(plim_dtype dtype)
{
    return dtype == PLIM_F64 || dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16;
}

static plim_where where_of(const plim_conversion *c, const plim_stored *t)
{
    return (plim_where){c->job->stored->files[t->file].path, t->name, (int64_t)t->offset};
}

/* ---- what is written for a tensor ---- */

unsigned plim_convert_part_count(const plim_convert_entry *entry)
{
    return is_group(entry->dtype) ? PARTS : 1;
}

void plim_convert_part_of(const plim_conversion *c, const plim_convert_entry *entry, unsigned which,
                          plim_convert_part *out)
{
    const plim_stored *t = &c->job->stored->tensors[entry->stored];
    const uint64_t *dim = t->shape.dim;
    *out = (plim_convert_part){entry->dtype, t->shape, t->bytes, ""};
    if (!is_group(entry->dtype)) {
        if (entry->dtype != t->dtype) /* checked by choose */
            plim_shape_bytes(&t->shape, entry->dtype, &out->bytes);
        return;
    }
    uint64_t groups = dim[1] / PLIM_GROUP, bits = entry->dtype == PLIM_Q8 ? 8 : 4;
    if (which == PART_PACKED)
        *out = (plim_convert_part){
            PLIM_I32, {2, {dim[0], groups * bits}}, dim[0] * groups * bits * 4, "_packed"};
    else if (which == PART_SCALE)
        *out = (plim_convert_part){PLIM_F16, {2, {dim[0], groups}}, dim[0] * groups * 2, "_scale"};
    else
        *out = (plim_convert_part){PLIM_I64, {1, {2}}, 16, "_shape"};
}

static uint64_t entry_bytes(const plim_conversion *c, const plim_convert_entry *e)
{
    uint64_t bytes = 0;
    plim_convert_part part;
    for (unsigned i = 0; i < plim_convert_part_count(e); i++) {
        plim_convert_part_of(c, e, i, &part);
        bytes += part.bytes;
    }
    return bytes;
}

/* The type that a slot's matrix is quantised to; AUTO: it is not. */
static plim_dtype group_type(const plim_conversion *c, const plim_slot *slot, const plim_stored *t)
{
    const plim_skeleton *k = c->job->skeleton;
    if (t->shape.rank != 2 || !t->shape.dim[0] || !t->shape.dim[1] || t->shape.dim[1] % PLIM_GROUP)
        return PLIM_AUTO;
    switch (slot->role) {
    case PLIM_ROLE_QKV:
    case PLIM_ROLE_Q:
    case PLIM_ROLE_K:
    case PLIM_ROLE_V:
    case PLIM_ROLE_ATTN_OUT:
    case PLIM_ROLE_GATE:
    case PLIM_ROLE_UP:
    case PLIM_ROLE_DOWN:
        return c->job->dtype;
    case PLIM_ROLE_HEAD:
        return k->spec.tied || slot->tied_to != PLIM_NO_SLOT ? PLIM_AUTO : PLIM_Q8;
    default:
        return PLIM_AUTO;
    }
}

static plim_status choose_group(plim_conversion *c, plim_convert_entry *e, plim_error *err)
{
    const plim_stored *t = &c->job->stored->tensors[e->stored];
    uint32_t slot = c->slot_of[e->stored];
    plim_dtype type =
        slot == PLIM_NO_SLOT ? PLIM_AUTO : group_type(c, &c->job->skeleton->slots[slot], t);
    if (type == PLIM_AUTO)
        return PLIM_OK;
    if (!casts(t->dtype) || !plim_ends_with(t->name, ".weight"))
        return plim_fail_at(err, PLIM_E_UNSUP, where_of(c, t), "type %s cannot be quantised",
                            t->dtype_name ? t->dtype_name : plim_dtype_name(t->dtype));
    e->dtype = type;
    c->head_alone |= c->job->skeleton->slots[slot].role == PLIM_ROLE_HEAD;
    return PLIM_OK;
}

static plim_status choose_float(const plim_conversion *c, plim_convert_entry *e, plim_error *err)
{
    const plim_stored *t = &c->job->stored->tensors[e->stored];
    uint64_t bytes;
    if (!casts(t->dtype))
        return PLIM_OK;
    e->dtype = c->job->dtype;
    return plim_shape_bytes(&t->shape, e->dtype, &bytes)
               ? PLIM_OK
               : plim_fail_at(err, PLIM_E_LIMIT, where_of(c, t), "too large for %s",
                              plim_dtype_name(e->dtype));
}

/* ---- order ---- */

typedef struct sort_key {
    uint64_t offset;
    uint32_t slot, file, stored;
} sort_key;

static int by_use(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static plim_status map_slots(plim_conversion *c, plim_error *err)
{
    const plim_skeleton *k = c->job->skeleton;
    size_t count = c->job->stored->tensor_count;
    c->slot_of = plim_new(c->job->alloc, count, sizeof *c->slot_of, err);
    if (!c->slot_of)
        return err->code;
    memset(c->slot_of, 0xff, count * sizeof *c->slot_of);
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (k->slots[i].tied_to == PLIM_NO_SLOT && k->slots[i].stored != PLIM_NO_STORED)
            c->slot_of[k->slots[i].stored] = i;
    return PLIM_OK;
}

/* Entries in the order in which a pass needs them where that is known, else as they are stored. */
static plim_status list_entries(plim_conversion *c, plim_error *err)
{
    const plim_stored_set *set = c->job->stored;
    size_t count = set->tensor_count;
    sort_key *keys = plim_new(c->job->alloc, count, sizeof *keys, err);
    c->entries = plim_new(c->job->alloc, count, sizeof *c->entries, err);
    plim_status status = keys && c->entries ? PLIM_OK : err->code;
    for (uint32_t i = 0; !status && i < count; i++)
        keys[i] = (sort_key){set->tensors[i].offset, c->slot_of ? c->slot_of[i] : 0,
                             set->tensors[i].file, i};
    if (!status)
        plim_sort(keys, count, sizeof *keys, by_use);
    for (uint32_t i = 0; !status && i < count; i++) {
        const plim_stored *t = &set->tensors[keys[i].stored];
        c->entries[i] = (plim_convert_entry){.stored = keys[i].stored, .dtype = t->dtype};
        c->count++;
        if (t->dtype == PLIM_AUTO)
            status = plim_fail_at(err, PLIM_E_UNSUP, where_of(c, t), "type '%.40s' is not known",
                                  t->dtype_name);
        else
            status = c->slot_of ? choose_group(c, &c->entries[i], err)
                                : choose_float(c, &c->entries[i], err);
    }
    plim_delete(c->job->alloc, keys);
    return status;
}

/* ---- shards ---- */

static void assign_shards(plim_conversion *c)
{
    uint64_t used = 0, most = c->job->max_shard_size ? c->job->max_shard_size : DEFAULT_SHARD_SIZE;
    c->shards = 1;
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t bytes = entry_bytes(c, &c->entries[i]);
        if (used && (bytes > most || used > most - bytes)) {
            c->shards++;
            used = 0;
        }
        used += bytes;
        c->total_bytes += bytes;
        c->entries[i].shard = c->shards - 1;
    }
}

/* Where a part goes: first what fills whole lines of 64 bytes, in order, so that quants and their
 * scales lie together and aligned; then the rest, the wider elements first, so that none is out of
 * its alignment.  Rounds 0..4. */
static unsigned round_of(const plim_convert_part *part)
{
    unsigned align = plim_dtypes[part->dtype].align;
    if (part->bytes % 64 == 0)
        return 0;
    return align >= 8 ? 1 : align == 4 ? 2 : align == 2 ? 3 : 4;
}

static void assign_offsets(plim_conversion *c)
{
    uint32_t end;
    for (uint32_t first = 0; first < c->count; first = end) {
        uint64_t offset = 0;
        for (end = first; end < c->count && c->entries[end].shard == c->entries[first].shard;)
            end++;
        for (unsigned round = 0; round < 5; round++)
            for (uint32_t i = first; i < end; i++)
                for (unsigned p = 0; p < plim_convert_part_count(&c->entries[i]); p++) {
                    plim_convert_part part;
                    plim_convert_part_of(c, &c->entries[i], p, &part);
                    if (round_of(&part) != round)
                        continue;
                    c->entries[i].offset[p] = offset;
                    offset += part.bytes;
                }
    }
}

/* ---- the whole ---- */

plim_status plim_convert_report(plim_conversion *c, bool last, plim_error *err)
{
    double now = plim_now();
    if (!c->job->progress || (!last && now - c->last_report < PROGRESS_SECONDS))
        return PLIM_OK;
    c->last_report = now;
    plim_progress p = {c->done_bytes, c->total_bytes, now - c->start, -1};
    if (c->done_bytes)
        p.eta_seconds =
            p.seconds * (double)(c->total_bytes - c->done_bytes) / (double)c->done_bytes;
    return c->job->progress(c->job->progress_user, &p)
               ? plim_fail(err, PLIM_E_CANCELLED, "cancelled")
               : PLIM_OK;
}

/* Quants don't become floats by a cast, whatever config.json says or doesn't. */
static plim_status check_packed(const plim_conversion *c, plim_error *err)
{
    const plim_stored_set *set = c->job->stored;
    for (size_t i = 0; i < set->tensor_count; i++)
        if (plim_ends_with(set->tensors[i].name, ".weight_packed") ||
            plim_ends_with(set->tensors[i].name, ".qweight"))
            return plim_fail_at(err, PLIM_E_UNSUP, where_of(c, &set->tensors[i]),
                                "the checkpoint is quantised already (this tensor is packed); "
                                "convert the one that it was made from");
    return PLIM_OK;
}

/* A name that a group is to have must be free. */
static plim_status check_names(const plim_conversion *c, plim_error *err)
{
    char name[512];
    plim_convert_part part;
    for (uint32_t i = 0; i < c->count; i++)
        for (unsigned p = 0; is_group(c->entries[i].dtype) && p < PARTS; p++) {
            const plim_stored *t = &c->job->stored->tensors[c->entries[i].stored];
            plim_convert_part_of(c, &c->entries[i], p, &part);
            if (strlen(t->name) + strlen(part.suffix) >= sizeof name)
                return plim_fail_at(err, PLIM_E_LIMIT, where_of(c, t), "the name is too long");
            plim_format(name, sizeof name, "%s%s", t->name, part.suffix);
            const plim_stored *other = plim_stored_find(c->job->stored, name);
            if (other)
                return plim_fail_at(err, PLIM_E_UNSUP, where_of(c, other),
                                    "is in the checkpoint already, beside the matrix whose groups "
                                    "would have this name: remove one of them first");
        }
    return PLIM_OK;
}

static plim_status check_groups(const plim_convert_job *job, plim_error *err)
{
    char known[200];
    const plim_skeleton *k = job->skeleton;
    plim_where where = {job->config ? job->config->path : job->stored->directory, NULL, -1};
    const char *name = plim_dtype_torch_name(job->dtype);
    if (!k || !k->family)
        return plim_fail_at(err, PLIM_E_UNSUP, where,
                            "model_type '%s' is not known, so nobody can tell which matrices to "
                            "quantise to %s (known are %s); float32, bfloat16 and float16 will do",
                            k ? k->spec.model_type : "", name,
                            plim_family_list(known, sizeof known));
    if (k->spec.layout == PLIM_IN_OUT)
        return plim_fail_at(
            err, PLIM_E_UNSUP, where,
            "%s keeps its matrices as [in, out] (Conv1D), which compressed-tensors can't pack, so "
            "Transformers could not read the folder: convert to bfloat16 or float16, or quantise "
            "while loading (--dtype %s)",
            k->spec.model_type, name);
    return PLIM_OK;
}

static plim_status prepare(plim_conversion *c, plim_error *err)
{
    plim_status status = PLIM_OK;
    const plim_convert_job *job = c->job;
    bool groups = is_group(job->dtype), any = false;
    if ((status = check_packed(c, err)) ||
        (groups && ((status = check_groups(job, err)) || (status = map_slots(c, err)))) ||
        (status = list_entries(c, err)) || (status = check_names(c, err)))
        return status;
    for (uint32_t i = 0; i < c->count; i++)
        any |= is_group(c->entries[i].dtype);
    if (groups && !any)
        return plim_fail_at(err, PLIM_E_UNSUP,
                            (plim_where){job->config ? job->config->path : "", NULL, -1},
                            "no matrix has an inner dimension that is a multiple of %u: nothing "
                            "can be quantised",
                            PLIM_GROUP);
    assign_shards(c);
    assign_offsets(c);
    c->source = plim_new(job->alloc, 1, PLIM_CONVERT_PIECE, err);
    c->result = plim_new(job->alloc, PLIM_CONVERT_ELEMENTS, sizeof(float), err);
    return c->source && c->result ? PLIM_OK : err->code;
}

static plim_status write_folder(plim_conversion *c, plim_error *err)
{
    plim_folder_writer folder;
    plim_status status = plim_folder_writer_open(&folder, c->job->directory, err);
    if (status)
        return status;
    if (!(status = plim_convert_weights(c, &folder.place, err)) &&
        !(status = plim_convert_config(c, &folder.place, err)) &&
        !(status = plim_convert_copies(c, &folder, err)) &&
        !(status = plim_stored_check(c->job->stored, err)) &&
        !(status = c->job->config ? plim_convert_source_check(c->job->config, err) : PLIM_OK))
        status = plim_convert_report(c, true, err);
    if (!status)
        return plim_folder_writer_commit(&folder, err);
    plim_folder_writer_discard(&folder);
    return status;
}

plim_status plim_convert_write(const plim_convert_job *job, plim_error *err)
{
    plim_error local;
    plim_conversion c = {.job = job, .start = plim_now()};
    if (!err)
        err = &local;
    plim_status status = prepare(&c, err);
    if (!status)
        status = write_folder(&c, err);
    plim_delete(job->alloc, c.entries);
    plim_delete(job->alloc, c.slot_of);
    plim_delete(job->alloc, c.source);
    plim_delete(job->alloc, c.result);
    return status;
}
