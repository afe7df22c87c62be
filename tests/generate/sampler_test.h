/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sampler's tests share: a recorded file as a cursor, and processed scores compared. */
#ifndef PLIM_TESTS_SAMPLER_TEST_H
#define PLIM_TESTS_SAMPLER_TEST_H

#include <stdio.h>

#include "base/base_test.h"
#include "generate/sampler.h"

/* A recorded file (little-endian, as this machine is) that is read from front to end. */
typedef struct recording {
    unsigned char *bytes;
    size_t size, at;
} recording;

static inline void recording_open(recording *out, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    assert_true(size > 0);
    *out = (recording){.bytes = malloc((size_t)size), .size = (size_t)size};
    assert_non_null(out->bytes);
    assert_int_equal(fread(out->bytes, 1, out->size, file), out->size);
    fclose(file);
}

static inline void recording_close(recording *r)
{
    assert_int_equal(r->at, r->size); /* nothing was overlooked */
    free(r->bytes);
}

static inline void take(recording *r, void *dst, size_t bytes)
{
    assert_true(bytes <= r->size - r->at);
    if (bytes > 0)
        memcpy(dst, r->bytes + r->at, bytes);
    r->at += bytes;
}

static inline uint32_t take_u32(recording *r)
{
    uint32_t value;
    take(r, &value, sizeof value);
    return value;
}

static inline double take_f64(recording *r)
{
    double value;
    take(r, &value, sizeof value);
    return value;
}

/* count elements of a size, in memory of their own. */
static inline void *take_array(recording *r, size_t count, size_t size)
{
    void *array = malloc(count * size + 1);
    assert_non_null(array);
    take(r, array, count * size);
    return array;
}

/* The same bits, or both NaN. */
static inline bool same_score(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

static inline plim_sampler *sampler_make(const plim_alloc *alloc, size_t vocab)
{
    plim_sampler *sampler = NULL;
    plim_error err;
    assert_int_equal(plim_sampler_open(&sampler, alloc, vocab, &err), PLIM_OK);
    return sampler;
}

static inline void sampler_begin(plim_sampler *sampler, const plim_sampling *sampling,
                                 const int32_t *previous, size_t count)
{
    plim_error err;
    assert_int_equal(plim_sampling_check(sampling, &err), PLIM_OK);
    plim_sampler_reset(sampler, sampling);
    for (size_t i = 0; i < count; i++)
        plim_sampler_saw(sampler, previous[i]);
}

#endif
