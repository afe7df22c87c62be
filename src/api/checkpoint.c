/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints on their own, as safe_open opens them; and where names lead. */
#include <stdio.h>
#include <string.h>

#include "api/handles.h"
#include "hub/hub.h"

plim_status plim_resolve(char *path, size_t cap, const char *name,
                         const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_error_clear(err);
    plim_status status = plim_model_options_take(&o, options, err);
    if (status)
        return status;
    if (!name || !*name)
        return plim_fail(err, PLIM_E_USAGE, "the model's name is empty");
    plim_hub_query query = {name, o.revision, o.cache_dir};
    return plim_hub_resolve(path, cap, &query, err);
}

plim_status plim_checkpoint_open(plim_checkpoint **out, plim_context *context, const char *name,
                                 const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_error local;
    char path[4096];
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = plim_model_options_take(&o, options, err);
    if (!status)
        status = plim_resolve(path, sizeof path, name, &o, err);
    if (status)
        return status;
    plim_checkpoint *c = plim_new(plim_context_alloc(context), 1, sizeof *c, err);
    if (!c)
        return err->code;
    c->refs = 1;
    c->context = plim_context_ref(context);
    plim_checkpoint_where where = {path, o.subfolder, o.variant};
    status = plim_stored_open(&c->stored, plim_context_alloc(context), &where, &context->log, err);
    if (status)
        plim_checkpoint_close(&c);
    *out = c;
    return status;
}

void plim_checkpoint_close(plim_checkpoint **checkpoint)
{
    plim_checkpoint *c = checkpoint ? *checkpoint : NULL;
    if (!c)
        return;
    *checkpoint = NULL;
    if (atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    plim_context *context = c->context;
    plim_stored_close(&c->stored);
    plim_delete(plim_context_alloc(context), c);
    plim_context_close(&context);
}

size_t plim_checkpoint_count(const plim_checkpoint *c)
{
    return c->stored->tensor_count;
}

void plim_describe_stored(const plim_stored_set *set, const plim_stored *t, plim_tensor_info *out)
{
    *out = (plim_tensor_info){.name = t->name,
                              .dtype = t->dtype,
                              .stored_dtype = t->dtype,
                              .rank = t->shape.rank,
                              .bytes = t->bytes,
                              .stored_bytes = t->bytes,
                              .file = set->files[t->file].path,
                              .offset = t->offset,
                              .form = PLIM_FORM_META,
                              .device = "meta"};
    memcpy(out->shape, t->shape.dim, sizeof out->shape);
}

plim_status plim_checkpoint_tensor(const plim_checkpoint *c, size_t i, plim_tensor_info *out)
{
    if (i >= c->stored->tensor_count)
        return PLIM_E_USAGE;
    plim_describe_stored(c->stored, &c->stored->tensors[i], out);
    return PLIM_OK;
}

static plim_status find(const plim_checkpoint *c, const char *name, const plim_stored **out,
                        plim_error *err)
{
    plim_error_clear(err);
    *out = name ? plim_stored_find(c->stored, name) : NULL;
    if (*out)
        return PLIM_OK;
    return plim_fail_at(err, PLIM_E_USAGE, (plim_where){c->stored->directory, name, -1},
                        "there is no such tensor");
}

plim_status plim_checkpoint_find(const plim_checkpoint *c, const char *name, plim_tensor_info *out,
                                 plim_error *err)
{
    const plim_stored *t;
    plim_status status = find(c, name, &t, err);
    if (!status)
        plim_describe_stored(c->stored, t, out);
    return status;
}

size_t plim_checkpoint_file_count(const plim_checkpoint *c)
{
    return c->stored->file_count;
}

const char *plim_checkpoint_file(const plim_checkpoint *c, size_t i, uint64_t *bytes)
{
    if (i >= c->stored->file_count)
        return NULL;
    if (bytes)
        *bytes = c->stored->files[i].file.identity.bytes;
    return c->stored->files[i].path;
}

plim_status plim_checkpoint_read(plim_checkpoint *c, const char *name, const uint64_t *begin,
                                 const uint64_t *end, plim_dtype dtype, void *dst, size_t dst_bytes,
                                 plim_error *err)
{
    const plim_stored *t;
    plim_status status = find(c, name, &t, err);
    if (status)
        return status;
    if ((unsigned)dtype >= PLIM_DTYPE_COUNT || !begin != !end || (!dst && dst_bytes))
        return plim_fail(err, PLIM_E_USAGE,
                         "want a dtype, begin and end both or neither, and a buffer");
    return plim_slice_read(c->stored, t, begin, end, dtype, &c->context->kernels,
                           plim_ledger_alloc(c->context->ledger, PLIM_MEM_STAGING), dst, dst_bytes,
                           err);
}
