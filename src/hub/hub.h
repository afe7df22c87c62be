/* SPDX-License-Identifier: Apache-2.0
 *
 * The standard Hugging Face cache: from a name to a folder on this disk.  Nothing is downloaded
 * here. */
#ifndef PLIM_HUB_HUB_H
#define PLIM_HUB_HUB_H

#include "base/file.h"

typedef struct plim_hub_query {
    const char *name; /* a path that exists wins; else "org/name", "name" or either "@revision" */
    const char *revision;  /* branch, tag or commit; NULL: main, or what follows '@' */
    const char *cache_dir; /* .../hub; NULL: paths only */
} plim_hub_query;

/* The path as it is when it exists (folder or file); else the snapshot folder
 * CACHE/models--org--name/snapshots/COMMIT, with COMMIT read from refs/REVISION (or the revision
 * when it is 40 hex digits).  IO when it is not there, with the command that downloads it (`hf
 * download NAME`, `--revision`); UNSAFE for a name or revision that would leave the cache; FORMAT
 * for a ref that is no commit. */
plim_status plim_hub_resolve(char *path, size_t cap, const plim_hub_query *query, plim_error *err);

#endif
