/* SPDX-License-Identifier: Apache-2.0
 *
 * plim_convert: a checkpoint → a folder of the same in another type. */
#include "load/convert.h"

#include <string.h>

#include "api/handles.h"
#include "hub/hub.h"

/* Path of the checkpoint's config.json, "" without one. */
static plim_status find_config(char config[4096], const plim_stored_set *stored, plim_error *err)
{
    bool found = false;
    plim_status status = plim_path_join(config, 4096, stored->directory, "config.json", err);
    if (!status)
        status = plim_path_find_file(&found, config, err);
    if (!found)
        config[0] = 0;
    return status;
}

/* The skeleton reads config.json for itself: it must be the one that was opened. */
static plim_status read_skeleton(plim_skeleton **out, plim_context *context,
                                 const plim_stored_set *stored, const plim_convert_source *config,
                                 plim_error *err)
{
    char path[4096];
    plim_status status = plim_skeleton_read(out, context, path, sizeof path, stored, err);
    if (status)
        return status;
    if (config)
        return plim_convert_source_check(config, err);
    return path[0] ? plim_fail_at(err, PLIM_E_CHANGED, (plim_where){stored->directory, NULL, -1},
                                  "config.json has appeared while the folder was in use")
                   : PLIM_OK;
}

static plim_status convert_with(plim_context *context, const plim_stored_set *stored,
                                const plim_convert_source *config, const char *directory,
                                const plim_convert_options *o, plim_error *err)
{
    plim_skeleton *skeleton = NULL;
    plim_status status = PLIM_OK;
    plim_dtype dtype = o->torch_dtype == PLIM_I8 ? PLIM_Q8 : o->torch_dtype;
    if (plim_dtypes[dtype].group)
        status = read_skeleton(&skeleton, context, stored, config, err);
    plim_convert_job job = {.alloc = plim_ledger_alloc(context->ledger, PLIM_MEM_STAGING),
                            .pool = context->pool,
                            .kernels = &context->kernels,
                            .stored = stored,
                            .skeleton = skeleton,
                            .config = config,
                            .directory = directory,
                            .dtype = dtype,
                            .max_shard_size = o->max_shard_size,
                            .progress = o->progress,
                            .progress_user = o->progress_user};
    if (!status)
        status = plim_convert_write(&job, err);
    plim_skeleton_close(&skeleton);
    return status;
}

static plim_status convert(plim_context *context, const plim_stored_set *stored,
                           const char *directory, const plim_convert_options *o, plim_error *err)
{
    char path[4096];
    plim_convert_source config = {.file.fd = -1};
    plim_status status = find_config(path, stored, err);
    if (!status && path[0])
        status = plim_convert_source_open(&config, plim_context_alloc(context), path, err);
    if (!status)
        status = convert_with(context, stored, path[0] ? &config : NULL, directory, o, err);
    plim_convert_source_close(&config);
    return status;
}

static bool is_target(plim_dtype dtype)
{
    return dtype == PLIM_F32 || dtype == PLIM_F16 || dtype == PLIM_BF16 || dtype == PLIM_I8 ||
           dtype == PLIM_Q8 || dtype == PLIM_Q4;
}

plim_status plim_convert(plim_context *context, const char *name, const char *directory,
                         const plim_convert_options *options, plim_error *err)
{
    char path[4096];
    plim_error local;
    plim_convert_options o;
    plim_stored_set *stored = NULL;
    if (!err)
        err = &local;
    plim_error_clear(err);
    plim_status status = plim_convert_options_take(&o, options, err);
    if (status)
        return status;
    if (!name || !*name || !directory || !*directory || !is_target(o.torch_dtype))
        return plim_fail(
            err, PLIM_E_USAGE,
            "want a model, a folder and one of float32, bfloat16, float16, int8, int4");
    plim_hub_query query = {name, o.revision, o.cache_dir};
    status = plim_hub_resolve(path, sizeof path, &query, err);
    plim_checkpoint_where where = {path, o.subfolder, o.variant};
    if (!status)
        status = plim_stored_open(&stored, plim_context_alloc(context), &where, &context->log, err);
    if (!status)
        status = convert(context, stored, directory, &o, err);
    plim_stored_close(&stored);
    return status;
}
