/* SPDX-License-Identifier: Apache-2.0
 *
 * What Transformers gave for one golden: expected.json and expected.safetensors of its folder, as
 * tools/golden/README.md describes them.  Every function ends the test when something is not there.
 */
#ifndef PLIM_TESTS_GOLDEN_EXPECTED_H
#define PLIM_TESTS_GOLDEN_EXPECTED_H

#include "model/config.h"

#define EXPECTED_MAX_TOKENS 512

typedef struct expected {
    char folder[512];
    plim_config json;
    plim_context *context;    /* for reading expected.safetensors */
    plim_checkpoint *tensors; /* NULL where there are none */
} expected;

typedef struct token_list {
    size_t count;
    int32_t ids[EXPECTED_MAX_TOKENS];
} token_list;

/* `folder` below tests/golden, or a path from the root. */
void expected_open(expected *e, const char *folder);
void expected_close(expected *e);

/* NULL where the path is missing or null.  The path is printf's; text lives with `e`. */
const char *expected_text(const expected *e, const char *path, ...)
    __attribute__((format(printf, 2, 3)));
bool expected_has(const expected *e, const char *path);
size_t expected_count(const expected *e,
                      const char *path); /* elements of an array, 0 where missing */
double expected_number(const expected *e, const char *path, double missing);
void expected_tokens(const expected *e, token_list *out, const char *path, ...)
    __attribute__((format(printf, 3, 4)));

/* A float32 tensor of expected.safetensors, to be freed with free(). */
float *expected_tensor(const expected *e, const char *name, size_t *count);

#endif
