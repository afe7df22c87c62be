/* SPDX-License-Identifier: Apache-2.0
 *
 * device_map and max_memory as Transformers and accelerate take them. */
#ifndef PLIM_API_DEVICE_MAP_H
#define PLIM_API_DEVICE_MAP_H

#include "base/alloc.h"

/* NULL, "auto", "cpu" and {"": "cpu"} are what there is: everything on the CPU.  UNSUP names the
 * rest; USAGE for what is no device map. */
plim_status plim_device_map_check(const char *map, const plim_alloc *alloc, plim_error *err);

/* {"cpu": BYTES or "10GiB"} → the cap on weights; 0 when NULL or without "cpu".  USAGE, UNSUP
 * (other devices). */
plim_status plim_max_memory_read(uint64_t *out, const char *json, const plim_alloc *alloc,
                                 plim_error *err);

/* "512MiB", "8GiB", "8GB", "8G" (as accelerate: powers of ten), or plain bytes. */
bool plim_parse_size(const char *text, size_t bytes, uint64_t *out);

#endif
