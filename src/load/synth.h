/* SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic checkpoints: the shape of a config.json with random weights, written at disk speed and
 * without holding more than a few MiB.  For tests and measurements. */
#ifndef PLIM_LOAD_SYNTH_H
#define PLIM_LOAD_SYNTH_H

#include "kernels/kernels.h"
#include "model/skeleton.h"

typedef struct plim_synth_job {
    const plim_alloc *alloc; /* staging: 1 MiB, and the header of a shard */
    const plim_kernels *kernels;
    const plim_skeleton *skeleton;
    const char *config_path, *directory;
    plim_dtype dtype; /* AUTO: the config's, else F32 */
    uint64_t seed;
    uint64_t max_shard_size; /* 0: one file */
    plim_progress_fn progress;
    void *progress_user;
} plim_synth_job;

/* Weights are uniform with a deviation of 0.02 (norms: 1, biases of norms: 0); a tensor's values
 * depend on the seed and its name alone.  Writes model.safetensors (or shards and an index) and
 * config.json with torch_dtype set to the type written.  IO, USAGE, UNSUP, CANCELLED; then nothing
 * is left under a final name but whole shards. */
plim_status plim_synth_write(const plim_synth_job *job, plim_error *err);

#endif
