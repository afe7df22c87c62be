/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a part of one stored tensor, as safe_open's get_slice does: rows that lie together in the
 * file are read together, cast through a small buffer. */
#include <string.h>

#include "load/load.h"
#include "load/reader.h"

#define STAGING_BYTES ((size_t)256 << 10)

typedef struct slice {
    const plim_stored_set *set;
    const plim_stored *tensor;
    const plim_stored_file *file;
    plim_cast_fn cast; /* NULL: as stored */
    unsigned from_bits, to_bits;
    char *staging;
    char *dst;
} slice;

/* `count` elements that lie together, beginning with element `first` of the tensor. */
static plim_status read_together(slice *s, uint64_t first, uint64_t count, plim_error *err)
{
    uint64_t per_step = s->cast ? STAGING_BYTES * 8 / s->from_bits : count;
    for (uint64_t done = 0, n; done < count; done += n) {
        n = count - done < per_step ? count - done : per_step;
        plim_read_request request = {.file = s->tensor->file,
                                     .offset =
                                         s->tensor->offset + (first + done) * s->from_bits / 8,
                                     .bytes = n * s->from_bits / 8,
                                     .dst = s->cast ? s->staging : s->dst};
        plim_status status = plim_reader_buffered.fetch(s->file, s->file->file.fd, &request, err);
        status = plim_reader_explain(s->file, status, err);
        if (status)
            return status;
        if (s->cast)
            s->cast(s->dst, s->staging, n);
        s->dst += n * s->to_bits / 8;
    }
    return PLIM_OK;
}

/* Dimensions from `inner` on are taken whole, so their elements lie together; an odometer walks the
 * others. */
static plim_status walk(slice *s, const uint64_t *begin, const uint64_t *end, plim_error *err)
{
    const plim_shape *shape = &s->tensor->shape;
    uint64_t stride[PLIM_MAX_DIMS + 1], at[PLIM_MAX_DIMS];
    unsigned inner = shape->rank;
    stride[shape->rank] = 1;
    for (unsigned d = shape->rank; d > 0; d--)
        stride[d - 1] = stride[d] * shape->dim[d - 1];
    while (inner > 0 && begin[inner - 1] == 0 && end[inner - 1] == shape->dim[inner - 1])
        inner--;
    unsigned last = inner ? inner - 1 : 0; /* the dimension whose range is one read */
    uint64_t together = inner ? (end[last] - begin[last]) * stride[inner] : stride[0];
    memcpy(at, begin, shape->rank * sizeof *at);
    for (;;) {
        uint64_t first = 0;
        for (unsigned d = 0; d < inner; d++)
            first += at[d] * stride[d + 1];
        plim_status status = read_together(s, first, together, err);
        if (status)
            return status;
        unsigned d = last;
        while (d > 0 && ++at[d - 1] == end[d - 1])
            at[d - 1] = begin[d - 1], d--;
        if (d == 0)
            return PLIM_OK;
    }
}

/* Elements of the slice; USAGE for a range outside the tensor. */
static plim_status count_elements(const plim_stored *t, const uint64_t *begin, const uint64_t *end,
                                  uint64_t *out, plim_error *err)
{
    *out = 1;
    for (unsigned d = 0; d < t->shape.rank; d++) {
        if (begin[d] > end[d] || end[d] > t->shape.dim[d])
            return plim_fail_at(err, PLIM_E_USAGE, (plim_where){NULL, t->name, -1},
                                "slice %llu..%llu of dimension %u, which has %llu",
                                (unsigned long long)begin[d], (unsigned long long)end[d], d,
                                (unsigned long long)t->shape.dim[d]);
        *out *= end[d] - begin[d]; /* <= the tensor's own count, which fits */
    }
    return PLIM_OK;
}

plim_status plim_slice_read(const plim_stored_set *stored, const plim_stored *t,
                            const uint64_t *begin, const uint64_t *end, plim_dtype dtype,
                            const plim_kernels *kernels, const plim_alloc *alloc, void *dst,
                            size_t dst_bytes, plim_error *err)
{
    static const uint64_t zeros[PLIM_MAX_DIMS];
    plim_error local;
    if (!err)
        err = &local;
    plim_where where = {stored->files[t->file].path, t->name, (int64_t)t->offset};
    if (!begin || !end)
        begin = zeros, end = t->shape.dim;
    if (t->dtype == PLIM_AUTO)
        return plim_fail_at(err, PLIM_E_UNSUP, where, "type '%.40s' is not known", t->dtype_name);
    if (dtype == PLIM_AUTO)
        dtype = t->dtype;
    if (plim_dtypes[dtype].group)
        return plim_fail_at(
            err, PLIM_E_UNSUP, where,
            "a tensor can't be read as groups of %s: models are quantised when they "
            "are loaded, checkpoints when they are converted",
            plim_dtype_torch_name(dtype));
    slice s = {.set = stored, .tensor = t, .file = &stored->files[t->file], .dst = dst};
    s.from_bits = plim_dtypes[t->dtype].bits;
    s.to_bits = plim_dtypes[dtype].bits;
    s.cast = dtype == t->dtype ? NULL : kernels->cast[dtype][t->dtype];
    if (dtype != t->dtype && !s.cast)
        return plim_fail_at(err, PLIM_E_UNSUP, where, "type %s cannot be turned into %s",
                            plim_dtype_name(t->dtype), plim_dtype_name(dtype));
    uint64_t count, bits;
    plim_status status = count_elements(t, begin, end, &count, err);
    if (status)
        return status;
    bool whole = begin == zeros;
    if (!whole && s.from_bits < 8)
        return plim_fail_at(err, PLIM_E_UNSUP, where, "type %s can only be read whole",
                            plim_dtype_name(t->dtype));
    if (!plim_mul_u64(count, s.to_bits, &bits))
        return plim_fail_at(err, PLIM_E_LIMIT, where, "%llu elements of %s are too large",
                            (unsigned long long)count, plim_dtype_name(dtype));
    if (bits % 8 || dst_bytes != bits / 8)
        return plim_fail_at(err, PLIM_E_USAGE, where, "the buffer is %zu bytes, want %llu",
                            dst_bytes, (unsigned long long)(bits / 8));
    if (!count)
        return PLIM_OK;
    if (s.cast && !(s.staging = plim_new(alloc, 1, STAGING_BYTES, err)))
        return err->code;
    status = walk(&s, begin, end, err);
    plim_delete(alloc, s.staging);
    return status;
}
