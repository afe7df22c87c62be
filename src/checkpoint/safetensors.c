/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of one safetensors file: 8 bytes of length N (little endian), N bytes of JSON, then
 * the data. Enforces what the reference implementation enforces (safetensors/src/tensor.rs), and
 * refuses besides: duplicate names and keys (the reference takes the last), NUL bytes in names,
 * ranks past PLIM_MAX_DIMS.  As there, whitespace may stand before and after the JSON, unknown
 * fields are passed over, data need not be aligned.  An unknown dtype is kept with its name:
 * whoever needs that tensor refuses it. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "checkpoint/internal.h"

typedef struct header {
    plim_stored_set *set;
    uint32_t file;
    const char *path;
    plim_json *json;
    uint64_t data_bytes; /* of the file after its header */
    size_t first;        /* the file's first tensor in the set */
    const char *name;    /* of the entry being read; NULL outside of entries */
    uint32_t *entry_at;  /* per tensor of this file: offset of its name in the file */
    size_t entry_cap;
} header;

typedef struct entry {
    bool has_dtype, has_shape, has_offsets;
    uint64_t begin, end;
} entry;

static plim_status fail_here(const header *h, plim_status code, const char *message,
                             plim_error *err)
{
    plim_where where = {h->path, h->name, plim_json_offset(h->json)};
    return plim_fail_at(err, code, where, "%s", message);
}

/* Where the entry of tensor `index` of the set stands. */
static plim_where where_entry(const header *h, size_t index)
{
    return (plim_where){h->path, h->set->tensors[index].name,
                        (int64_t)h->entry_at[index - h->first]};
}

static plim_status read_dtype(header *h, plim_stored *tensor, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(h->json, &event, err);
    if (status)
        return status;
    if (event != PLIM_JSON_STRING)
        return plim_json_wrong(h->json, event, h->name, "dtype", "a string", err);
    size_t bytes;
    const char *text = plim_json_text(h->json, &bytes);
    tensor->dtype = plim_dtype_from_name(text, bytes);
    if (tensor->dtype != PLIM_AUTO)
        return PLIM_OK;
    if (bytes > PLIM_MAX_DTYPE_NAME_BYTES)
        return fail_here(h, PLIM_E_LIMIT, "the name of its dtype is longer than 64 bytes", err);
    tensor->dtype_name = plim_arena_text(&h->set->arena, text, bytes, err);
    return tensor->dtype_name ? PLIM_OK : err->code;
}

/* The last event as a whole number of 0 or more. */
static plim_status read_whole(header *h, plim_json_event event, const char *what, uint64_t *out,
                              plim_error *err)
{
    if (event != PLIM_JSON_NUMBER)
        return plim_json_wrong(h->json, event, h->name, what, "a whole number", err);
    size_t bytes;
    const char *text = plim_json_text(h->json, &bytes);
    if (plim_parse_u64(text, bytes, out))
        return PLIM_OK;
    plim_where where = {h->path, h->name, plim_json_offset(h->json)};
    if (strspn(text, "0123456789") == bytes)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "%s is %.40s, which is 2^64 or more", what,
                            text);
    return plim_fail_at(err, PLIM_E_FORMAT, where,
                        "%s must be a whole number of 0 or more, found %.40s", what, text);
}

static plim_status read_shape(header *h, plim_shape *shape, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(h->json, &event, err);
    if (status)
        return status;
    if (event != PLIM_JSON_ARRAY)
        return plim_json_wrong(h->json, event, h->name, "shape", "an array", err);
    shape->rank = 0;
    while (!(status = plim_json_next(h->json, &event, err)) && event != PLIM_JSON_ARRAY_END) {
        uint64_t dim = 0;
        if ((status = read_whole(h, event, "a dimension of its shape", &dim, err)))
            return status;
        if (shape->rank == PLIM_MAX_DIMS)
            return fail_here(h, PLIM_E_LIMIT, "its shape has more than 8 dimensions", err);
        shape->dim[shape->rank++] = dim;
    }
    return status;
}

static plim_status read_offsets(header *h, entry *e, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(h->json, &event, err);
    if (status)
        return status;
    if (event != PLIM_JSON_ARRAY)
        return plim_json_wrong(h->json, event, h->name, "data_offsets", "an array", err);
    uint64_t offset[2];
    unsigned count = 0;
    while (!(status = plim_json_next(h->json, &event, err)) && event != PLIM_JSON_ARRAY_END) {
        uint64_t value = 0;
        if ((status = read_whole(h, event, "an element of data_offsets", &value, err)))
            return status;
        if (count == 2)
            return fail_here(h, PLIM_E_FORMAT, "data_offsets has more than 2 elements", err);
        offset[count++] = value;
    }
    if (status)
        return status;
    if (count != 2)
        return fail_here(h, PLIM_E_FORMAT, "data_offsets must have 2 elements, begin and end", err);
    e->begin = offset[0];
    e->end = offset[1];
    return PLIM_OK;
}

/* Shape, type and offsets of one entry against each other. */
static plim_status check_entry(const header *h, const plim_stored *tensor, const entry *e,
                               plim_error *err)
{
    plim_where where = where_entry(h, h->set->tensor_count - 1);
    const char *missing = !e->has_dtype     ? "dtype"
                          : !e->has_shape   ? "shape"
                          : !e->has_offsets ? "data_offsets"
                                            : NULL;
    if (missing)
        return plim_fail_at(err, PLIM_E_FORMAT, where, "its entry has no %s", missing);
    if (e->end < e->begin)
        return plim_fail_at(err, PLIM_E_FORMAT, where,
                            "its data ends at %llu, before it begins at %llu",
                            (unsigned long long)e->end, (unsigned long long)e->begin);
    char shape[200];
    plim_shape_text(&tensor->shape, shape, sizeof shape);
    uint64_t count, bits, bytes = e->end - e->begin;
    if (!plim_shape_count(&tensor->shape, &count))
        return plim_fail_at(err, PLIM_E_LIMIT, where, "shape %s has 2^64 elements or more", shape);
    if (tensor->dtype == PLIM_AUTO)
        return PLIM_OK; /* nobody knows how large it should be; it must lie inside the file all the
                           same */
    if (!plim_mul_u64(count, plim_dtypes[tensor->dtype].bits, &bits))
        return plim_fail_at(err, PLIM_E_LIMIT, where, "shape %s of %s takes 2^64 bits or more",
                            shape, plim_dtypes[tensor->dtype].name);
    if (bits % 8)
        return plim_fail_at(err, PLIM_E_FORMAT, where, "shape %s of %s does not fill whole bytes",
                            shape, plim_dtypes[tensor->dtype].name);
    if (bits / 8 != bytes)
        return plim_fail_at(
            err, PLIM_E_FORMAT, where,
            "shape %s of %s takes %llu bytes, data_offsets [%llu, %llu] give it %llu", shape,
            plim_dtypes[tensor->dtype].name, (unsigned long long)(bits / 8),
            (unsigned long long)e->begin, (unsigned long long)e->end, (unsigned long long)bytes);
    return PLIM_OK;
}

/* The last event is the key that names a tensor: add it to the set. */
static plim_status begin_entry(header *h, plim_stored **tensor, plim_error *err)
{
    size_t bytes;
    const char *text = plim_json_text(h->json, &bytes);
    if (bytes > PLIM_MAX_TENSOR_NAME_BYTES)
        return fail_here(h, PLIM_E_LIMIT, "the name of a tensor is longer than 4096 bytes", err);
    if (memchr(text, 0, bytes))
        return fail_here(h, PLIM_E_FORMAT, "the name of a tensor holds a NUL byte", err);
    const char *name = plim_arena_text(&h->set->arena, text, bytes, err);
    if (!name)
        return err->code;
    plim_status status = plim_stored_add_tensor(h->set, tensor, err);
    if (status)
        return status;
    size_t count = h->set->tensor_count - h->first;
    status = plim_grow(h->set->alloc, &h->entry_at, &h->entry_cap, count, sizeof *h->entry_at, err);
    if (status)
        return status;
    h->entry_at[count - 1] = (uint32_t)plim_json_offset(h->json); /* a header ends below 2^27 */
    h->name = name;
    (*tensor)->name = name;
    (*tensor)->file = h->file;
    return PLIM_OK;
}

/* NAME: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}; NAME was the last event. */
static plim_status read_entry(header *h, plim_error *err)
{
    plim_stored *tensor;
    plim_json_event event;
    plim_status status = begin_entry(h, &tensor, err);
    if (status || (status = plim_json_next(h->json, &event, err)))
        return status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(h->json, event, h->name, "its entry", "an object", err);
    entry e = {0};
    while (!(status = plim_json_next(h->json, &event, err)) && event == PLIM_JSON_KEY) {
        if (plim_json_text_is(h->json, "dtype")) {
            e.has_dtype = true;
            status = read_dtype(h, tensor, err);
        } else if (plim_json_text_is(h->json, "shape")) {
            e.has_shape = true;
            status = read_shape(h, &tensor->shape, err);
        } else if (plim_json_text_is(h->json, "data_offsets")) {
            e.has_offsets = true;
            status = read_offsets(h, &e, err);
        } else {
            status = plim_json_skip(h->json, err);
        }
        if (status)
            return status;
    }
    if (status || (status = check_entry(h, tensor, &e, err)))
        return status;
    tensor->offset = e.begin; /* from the start of the data, until check_layout */
    tensor->bytes = e.end - e.begin;
    h->name = NULL;
    return PLIM_OK;
}

/* "__metadata__": a map of strings, or null (the reference takes that too).  Nothing in it is kept.
 */
static plim_status read_metadata(header *h, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(h->json, &event, err);
    if (status || event == PLIM_JSON_NULL)
        return status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(h->json, event, NULL, "__metadata__", "an object of strings", err);
    while (!(status = plim_json_next(h->json, &event, err)) && event == PLIM_JSON_KEY) {
        if ((status = plim_json_next(h->json, &event, err)))
            return status;
        if (event != PLIM_JSON_STRING)
            return plim_json_wrong(h->json, event, NULL, "a value of __metadata__", "a string",
                                   err);
    }
    return status;
}

static plim_status read_json(header *h, plim_error *err)
{
    plim_json_event event;
    plim_status status = plim_json_next(h->json, &event, err);
    if (status)
        return status;
    if (event != PLIM_JSON_OBJECT)
        return plim_json_wrong(h->json, event, NULL, "the header", "an object", err);
    while (!(status = plim_json_next(h->json, &event, err)) && event == PLIM_JSON_KEY) {
        status =
            plim_json_text_is(h->json, "__metadata__") ? read_metadata(h, err) : read_entry(h, err);
        if (status)
            return status;
    }
    return status ? status : plim_json_next(h->json, &event, err); /* only whitespace may follow */
}

static int by_offset(const void *context, uint32_t a, uint32_t b)
{
    const plim_stored *x = (const plim_stored *)context + a, *y = (const plim_stored *)context + b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* the empty ones first */
}

/* The data of all tensors, in order, must cover the data section: no hole, no overlap, nothing
 * after. Offsets are made absolute on the way. */
static plim_status check_order(header *h, const uint32_t *order, size_t count, plim_error *err)
{
    plim_stored_file *file = &h->set->files[h->file];
    uint64_t reached = 0;
    for (size_t i = 0; i < count; i++) {
        size_t index = h->first + order[i];
        plim_stored *tensor = &h->set->tensors[index];
        unsigned long long begin = tensor->offset, before = reached;
        if (begin > before)
            return plim_fail_at(
                err, PLIM_E_FORMAT, where_entry(h, index),
                "its data begins at %llu, and %llu bytes before it belong to no tensor", begin,
                begin - before);
        if (begin < before)
            return plim_fail_at(
                err, PLIM_E_FORMAT, where_entry(h, index),
                "its data begins at %llu, inside that of '%s', which ends at %llu", begin,
                plim_shorten(h->set->tensors[h->first + order[i - 1]].name).text, before);
        reached = tensor->offset + tensor->bytes; /* what data_offsets said: no overflow */
        if (reached > h->data_bytes)
            return plim_fail_at(
                err, PLIM_E_TRUNC, where_entry(h, index),
                "its data ends at %llu, but the file has only %llu bytes of data (is the "
                "download complete?)",
                (unsigned long long)reached, (unsigned long long)h->data_bytes);
        tensor->offset += file->data_offset;
    }
    if (reached < h->data_bytes) {
        plim_where where = {h->path, NULL, (int64_t)(file->data_offset + reached)};
        return plim_fail_at(err, PLIM_E_FORMAT, where,
                            "%llu bytes follow the data of the last tensor",
                            (unsigned long long)(h->data_bytes - reached));
    }
    return PLIM_OK;
}

static plim_status check_layout(header *h, plim_error *err)
{
    size_t count = h->set->tensor_count - h->first;
    uint32_t *order;
    plim_status status = plim_sort_order(&order, h->set->alloc, (uint32_t)count, by_offset,
                                         h->set->tensors + h->first, err);
    if (status)
        return status;
    status = check_order(h, order, count, err);
    plim_delete(h->set->alloc, order);
    return status;
}

/* What a length that cannot be right may really be: files of other kinds under this name. */
static plim_status refuse_length(const header *h, const unsigned char start[8], uint64_t length,
                                 plim_error *err)
{
    plim_where where = {h->path, NULL, 0};
    if (!memcmp(start, "GGUF", 4))
        return plim_fail_at(err, PLIM_E_UNSUP, where, "this is a GGUF file, which is not read yet");
    if (!memcmp(start, "PK\3\4", 4) || !memcmp(start, "\x80\2", 2))
        return plim_fail_at(err, PLIM_E_UNSUP, where,
                            "this is a PyTorch pickle, which is not read yet: save the model with "
                            "save_pretrained, which writes safetensors");
    if (!memcmp(start, "version ", 8))
        return plim_fail_at(
            err, PLIM_E_FORMAT, where,
            "this is a Git LFS pointer, not the weights: fetch them with `git lfs pull`");
    return plim_fail_at(err, PLIM_E_LIMIT, where,
                        "the header would have %llu bytes, allowed are %u",
                        (unsigned long long)length, PLIM_MAX_HEADER_BYTES);
}

/* The first 8 bytes: sets h->data_bytes and the file's data_offset. */
static plim_status read_length(header *h, plim_error *err)
{
    plim_stored_file *file = &h->set->files[h->file];
    uint64_t size = file->file.identity.bytes;
    plim_where where = {h->path, NULL, 0};
    if (size < 8)
        return plim_fail_at(err, PLIM_E_TRUNC, where,
                            "the file has %llu bytes, a safetensors file begins with 8 of length",
                            (unsigned long long)size);
    unsigned char start[8];
    plim_status status = plim_file_read(&file->file, h->path, start, sizeof start, 0, err);
    if (status)
        return status;
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | start[i];
    if (length > PLIM_MAX_HEADER_BYTES)
        return refuse_length(h, start, length, err);
    if (!length)
        return plim_fail_at(err, PLIM_E_FORMAT, where,
                            "the header has 0 bytes, want a JSON object");
    if (length > size - 8)
        return plim_fail_at(
            err, PLIM_E_TRUNC, where,
            "the header has %llu bytes, but only %llu follow in the file (is the download "
            "complete?)",
            (unsigned long long)length, (unsigned long long)(size - 8));
    file->data_offset = 8 + length;
    h->data_bytes = size - file->data_offset;
    return PLIM_OK;
}

plim_status plim_safetensors_read(plim_stored_set *set, uint32_t file, plim_error *err)
{
    plim_stored_file *f = &set->files[file];
    header h = {.set = set, .file = file, .path = f->path, .first = set->tensor_count};
    plim_status status = read_length(&h, err);
    if (status)
        return status;
    status = plim_json_open_range(&h.json, set->alloc, &f->file, f->path, 8, f->data_offset - 8,
                                  NULL, err);
    if (!status)
        status = read_json(&h, err);
    /* The JSON ended too early.  The file is long enough, unless it was cut just now. */
    if (status == PLIM_E_TRUNC && !(status = plim_file_check(&f->file, f->path, err)))
        status = err->code = PLIM_E_FORMAT;
    if (status && h.name && !err->tensor[0])
        snprintf(err->tensor, sizeof err->tensor, "%s", plim_shorten(h.name).text);
    plim_json_close(&h.json);
    if (!status)
        status = check_layout(&h, err);
    plim_delete(set->alloc, h.entry_at);
    return status;
}
