/* SPDX-License-Identifier: Apache-2.0
 *
 * A small JSON file of settings (config.json) as a flat list of values under dotted paths:
 * "rope_scaling.factor", "layer_types[3]".  Owns reading and range checks; the families know the
 * keys. */
#ifndef PLIM_MODEL_CONFIG_H
#define PLIM_MODEL_CONFIG_H

#include "base/json.h"

#define PLIM_MAX_CONFIG_BYTES (4u << 20)

typedef struct plim_config_value {
    const char *path;
    const char *text; /* of strings and numbers; "" otherwise */
    size_t text_bytes;
    plim_json_event kind; /* a scalar, or OBJECT / ARRAY for the containers themselves */
    int64_t offset;
    size_t count; /* elements of an ARRAY */
} plim_config_value;

typedef struct plim_config {
    plim_arena arena;
    const char *file;
    plim_config_value *values; /* sorted by path */
    size_t count;
} plim_config;

/* Reads and checks the file's syntax.  IO, FORMAT (not an object, duplicate key, syntax), LIMIT,
 * TRUNC. */
plim_status plim_config_open(plim_config *out, const plim_alloc *alloc, const char *path,
                             plim_error *err);
/* The same for a text that is in memory already, `path` being where it is from. */
plim_status plim_config_parse(plim_config *out, const plim_alloc *alloc, const char *path,
                              const char *text, size_t bytes, plim_error *err);
void plim_config_close(plim_config *config);

/* NULL when the key is not there or is null. */
const plim_config_value *plim_config_find(const plim_config *config, const char *path);

/* Each leaves *out as it is (the caller's default) when the key is missing or null.
 * FORMAT with the offset for a wrong type or a number outside [min, max]. */
plim_status plim_config_u32(const plim_config *config, const char *path, uint32_t min, uint32_t max,
                            uint32_t *out, plim_error *err);
plim_status plim_config_f64(const plim_config *config, const char *path, double min, double max,
                            double *out, plim_error *err);
plim_status plim_config_bool(const plim_config *config, const char *path, bool *out,
                             plim_error *err);
/* *out points into the config. */
plim_status plim_config_text(const plim_config *config, const char *path, const char **out,
                             plim_error *err);

plim_status plim_config_fail(const plim_config *config, const plim_config_value *at,
                             plim_error *err, plim_status code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
