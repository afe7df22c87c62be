/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the conversion share: what becomes of each tensor, and where it goes. */
#ifndef PLIM_LOAD_CONVERT_INTERNAL_H
#define PLIM_LOAD_CONVERT_INTERNAL_H

#include "base/folder.h"
#include "load/convert.h"

enum { PART_WEIGHT, PART_PACKED = PART_WEIGHT, PART_SCALE, PART_SHAPE, PARTS };

/* A stored tensor and what is written for it: itself, or its quants, scales and shape. */
typedef struct plim_convert_entry {
    uint32_t stored, shard;
    plim_dtype dtype;       /* written; Q8 and Q4: three parts */
    uint64_t offset[PARTS]; /* in the shard's data */
} plim_convert_entry;

typedef struct plim_conversion {
    const plim_convert_job *job;
    plim_convert_entry *entries; /* in the order of writing, shard after shard */
    uint32_t count, shards;
    uint32_t *slot_of; /* per stored tensor: its slot, PLIM_NO_SLOT; for Q8 and Q4, else NULL */
    bool head_alone;   /* an output head that is quantised */
    uint64_t total_bytes, done_bytes;
    double start, last_report;
    char *source, *result; /* one piece: as stored, as written */
} plim_conversion;

#define PLIM_CONVERT_PIECE    ((size_t)1 << 20)        /* bytes, as stored */
#define PLIM_CONVERT_ELEMENTS (PLIM_CONVERT_PIECE / 2) /* elements of a piece at most */

/* A tensor of a safetensors header. */
typedef struct plim_convert_part {
    plim_dtype dtype;
    plim_shape shape;
    uint64_t bytes;
    const char *suffix; /* for the name of a group: "_packed", ... */
} plim_convert_part;

unsigned plim_convert_part_count(const plim_convert_entry *entry);
void plim_convert_part_of(const plim_conversion *c, const plim_convert_entry *entry, unsigned which,
                          plim_convert_part *out);

/* Progress, and CANCELLED. */
plim_status plim_convert_report(plim_conversion *c, bool last, plim_error *err);

/* Write all parts of an entry; `data` is where the shard's data begins in its file. */
plim_status plim_convert_tensor(plim_conversion *c, const plim_convert_entry *entry,
                                plim_file_writer *w, uint64_t data, plim_error *err);

/* Begin a file of the new folder. */
plim_status plim_convert_begin(plim_file_writer *w, const plim_folder_place *folder,
                               const char *name, plim_error *err);

/* The weights: shards with their headers, and an index where there are several.  `name` is what a
 * config.json would call them. */
plim_status plim_convert_weights(plim_conversion *c, const plim_folder_place *folder,
                                 plim_error *err);
const char *plim_convert_weights_name(const plim_conversion *c);

/* config.json, and what is copied beside it. */
plim_status plim_convert_config(const plim_conversion *c, const plim_folder_place *folder,
                                plim_error *err);
plim_status plim_convert_copies(plim_conversion *c, const plim_folder_writer *folder,
                                plim_error *err);

#endif
