/* SPDX-License-Identifier: Apache-2.0
 *
 * plim_synth: a config.json → a checkpoint with random weights. */
#include "load/synth.h"

#include "api/handles.h"

plim_status plim_synth(plim_context *context, const char *config_path, const char *directory,
                       const plim_synth_options *options, plim_error *err)
{
    plim_synth_options o;
    plim_skeleton *skeleton;
    plim_error_clear(err);
    plim_status status = plim_synth_options_take(&o, options, err);
    if (status)
        return status;
    if (!config_path || !directory || (unsigned)o.torch_dtype >= PLIM_DTYPE_COUNT)
        return plim_fail(err, PLIM_E_USAGE, "want a config.json, a folder and a type");
    status = plim_skeleton_open(&skeleton, plim_context_alloc(context), config_path, err);
    if (status)
        return status;
    plim_synth_job job = {.alloc = plim_ledger_alloc(context->ledger, PLIM_MEM_STAGING),
                          .kernels = &context->kernels,
                          .skeleton = skeleton,
                          .config_path = config_path,
                          .directory = directory,
                          .dtype = o.torch_dtype,
                          .seed = o.seed,
                          .max_shard_size = o.max_shard_size,
                          .progress = o.progress,
                          .progress_user = o.progress_user};
    if (skeleton->family)
        status = plim_synth_write(&job, err);
    else {
        char known[200];
        status = plim_fail_at(err, PLIM_E_UNSUP, (plim_where){config_path, NULL, -1},
                              "model_type '%s' is not known; known are %s",
                              skeleton->spec.model_type, plim_family_list(known, sizeof known));
    }
    plim_skeleton_close(&skeleton);
    return status;
}
