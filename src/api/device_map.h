/* SPDX-License-Identifier: Apache-2.0
 *
 * device_map and max_memory as Transformers and accelerate take them: from text to what the planner
 * understands. */
#ifndef PLIM_API_DEVICE_MAP_H
#define PLIM_API_DEVICE_MAP_H

#include "plan/plan.h"

/* NULL, "auto", "cpu", "disk", or a JSON object of modules: {"model.layers.0": "disk", "": "cpu"}.
 * Rules and names come from `arena`.  UNSUP for what is a device elsewhere (a GPU's number, "cuda",
 * "mps", "meta"); USAGE for what is none, and for a module that stands there twice. */
plim_status plim_device_map_read(plim_device_map *out, plim_arena *arena, const char *map,
                                 plim_error *err);

/* {"cpu": BYTES or "10GiB"} → the cap on the weights in memory; 0 when NULL or without "cpu".
 * "disk" is allowed and caps nothing; a GPU may have 0 bytes (UNSUP for more).  USAGE. */
plim_status plim_max_memory_read(uint64_t *out, const char *json, const plim_alloc *alloc,
                                 plim_error *err);

/* As accelerate: "10GiB" (powers of two), "10GB" (powers of ten), "10Gb" (bits, an eighth), any
 * case in front of the last letter, fractions allowed; and beyond it "10G" and plain bytes. */
bool plim_parse_size(const char *text, size_t bytes, uint64_t *out);

#endif
