/* SPDX-License-Identifier: Apache-2.0
 *
 * Converting: the safetensors files, piece by piece, their headers and the index. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "load/convert_internal.h"
#include "load/pour.h"
#include "load/reader.h"

#define HEADER_ALIGN 64 /* of the data in its file */

/* ---- the bytes of a tensor ---- */

static plim_status read_piece(const plim_conversion *c, const plim_stored *t, uint64_t skip,
                              size_t bytes, plim_error *err)
{
    const plim_stored_file *file = &c->job->stored->files[t->file];
    plim_read_request request = {
        .file = t->file, .offset = t->offset + skip, .bytes = bytes, .dst = c->source};
    plim_status status = plim_reader_buffered.fetch(file, file->file.fd, &request, err);
    return plim_reader_explain(file, status, err);
}

static plim_status write_at(plim_conversion *c, plim_file_writer *w, uint64_t offset,
                            const void *src, size_t bytes, plim_error *err)
{
    c->done_bytes += bytes;
    return plim_writer_write_at(w, offset, src, bytes, err);
}

/* Of n elements, or of their quants. */
static uint64_t bytes_of(plim_dtype dtype, uint64_t n)
{
    return plim_dtypes[dtype].group ? plim_dtype_quant_bytes(dtype, n) : plim_dtype_bytes(dtype, n);
}

/* `count` elements from element `first` on are in `source`: change and write them. */
static plim_status put_piece(plim_conversion *c, const plim_convert_entry *e, plim_pour pour,
                             uint64_t first, uint64_t count, plim_file_writer *w, uint64_t data,
                             plim_error *err)
{
    bool groups = pour.change == PLIM_CHANGE_QUANTISE, same = pour.change == PLIM_CHANGE_NONE;
    uint64_t at = data + e->offset[PART_WEIGHT] + bytes_of(pour.to, first);
    size_t bytes = (size_t)bytes_of(pour.to, count);
    plim_pour_piece piece = {c->source, 0, count};
    pour.cols = count; /* as one row: its scales lie behind its quants */
    if (!same)         /* of weights nothing is lost */
        (void)plim_pour_by_pool(&pour, &piece, c->job->pool);
    plim_status status = write_at(c, w, at, same ? c->source : c->result, bytes, err);
    if (status || !groups)
        return status;
    return write_at(c, w, data + e->offset[PART_SCALE] + first / PLIM_GROUP * 2, c->result + bytes,
                    count / PLIM_GROUP * 2, err);
}

static plim_status put_shape(plim_conversion *c, const plim_convert_entry *e, const plim_stored *t,
                             plim_file_writer *w, uint64_t data, plim_error *err)
{
    unsigned char bytes[16];
    for (int i = 0; i < 16; i++)
        bytes[i] = (unsigned char)(t->shape.dim[i / 8] >> (8 * (i % 8)));
    return write_at(c, w, data + e->offset[PART_SHAPE], bytes, sizeof bytes, err);
}

plim_status plim_convert_tensor(plim_conversion *c, const plim_convert_entry *e,
                                plim_file_writer *w, uint64_t data, plim_error *err)
{
    const plim_stored *t = &c->job->stored->tensors[e->stored];
    const plim_kernels *k = c->job->kernels;
    bool groups = plim_dtypes[e->dtype].group != 0;
    plim_dtype target = groups ? PLIM_F32 : e->dtype;
    plim_pour pour = {.kernels = k,
                      .change = groups               ? PLIM_CHANGE_QUANTISE
                                : target == t->dtype ? PLIM_CHANGE_NONE
                                                     : PLIM_CHANGE_CAST,
                      .from = t->dtype,
                      .to = e->dtype,
                      .rows = 1,
                      .dst = c->result};
    if (target != t->dtype && !k->cast[target][t->dtype])
        return plim_fail_at(
            err, PLIM_E_UNSUP, (plim_where){c->job->stored->files[t->file].path, t->name, -1},
            "type %s cannot be turned into %s", plim_dtype_name(t->dtype), plim_dtype_name(target));
    /* Whole groups and whole bytes, whatever the type; all elements fill whole bytes. */
    size_t bits = plim_dtypes[t->dtype].bits, step = PLIM_CONVERT_PIECE * 8 / bits / 64 * 64;
    if (step > PLIM_CONVERT_ELEMENTS)
        step = PLIM_CONVERT_ELEMENTS;
    uint64_t elements = t->bytes * 8 / bits;
    plim_status status = PLIM_OK;
    for (uint64_t done = 0, n; !status && done < elements; done += n) {
        n = elements - done < step ? elements - done : step;
        if (!(status = read_piece(c, t, done * bits / 8, (size_t)n * bits / 8, err)) &&
            !(status = put_piece(c, e, pour, done, n, w, data, err)))
            status = plim_convert_report(c, false, err);
    }
    return status || !groups ? status : put_shape(c, e, t, w, data, err);
}

/* ---- text, written or only counted ---- */

typedef struct text_sink {
    plim_file_writer *w; /* NULL: counted */
    uint64_t bytes;
    size_t used;
    plim_status status;
    plim_error *err;
    char buffer[8192];
} text_sink;

static void flush(text_sink *s)
{
    if (!s->status && s->w && s->used)
        s->status = plim_writer_write(s->w, s->buffer, s->used, s->err);
    s->used = 0;
}

static void put(text_sink *s, const char *text, size_t bytes)
{
    s->bytes += bytes;
    for (size_t n; bytes; text += n, bytes -= n) {
        if (s->used == sizeof s->buffer)
            flush(s);
        n = sizeof s->buffer - s->used < bytes ? sizeof s->buffer - s->used : bytes;
        memcpy(s->buffer + s->used, text, n);
        s->used += n;
    }
}

static void put_text(text_sink *s, const char *text)
{
    put(s, text, strlen(text));
}

static void put_number(text_sink *s, uint64_t value)
{
    char text[24];
    put(s, text, plim_format(text, sizeof text, "%" PRIu64, value));
}

/* A name and its suffix as a JSON string. */
static void put_name(text_sink *s, const char *name, const char *suffix)
{
    put_text(s, "\"");
    for (const char *p = name; *p; p++) {
        char escape[8];
        if (*p == '"' || *p == '\\')
            put(s, escape, plim_format(escape, sizeof escape, "\\%c", *p));
        else if ((unsigned char)*p < 0x20)
            put(s, escape, plim_format(escape, sizeof escape, "\\u%04x", (unsigned)*p));
        else
            put(s, p, 1);
    }
    put_text(s, suffix);
    put_text(s, "\"");
}

/* ---- headers ---- */

static void put_header(const plim_conversion *c, text_sink *s, const plim_convert_entry *first,
                       const plim_convert_entry *end)
{
    plim_convert_part part;
    put_text(s, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (const plim_convert_entry *e = first; e < end; e++)
        for (unsigned i = 0; i < plim_convert_part_count(e); i++) {
            plim_convert_part_of(c, e, i, &part);
            put_text(s, ",");
            put_name(s, c->job->stored->tensors[e->stored].name, part.suffix);
            put_text(s, ":{\"dtype\":\"");
            put_text(s, plim_dtype_name(part.dtype));
            put_text(s, "\",\"shape\":[");
            for (unsigned d = 0; d < part.shape.rank; d++) {
                put_text(s, d ? "," : "");
                put_number(s, part.shape.dim[d]);
            }
            put_text(s, "],\"data_offsets\":[");
            put_number(s, e->offset[i]);
            put_text(s, ",");
            put_number(s, e->offset[i] + part.bytes);
            put_text(s, "]}");
        }
    put_text(s, "}");
}

/* Length and header; *data is where they end. */
static plim_status write_header(const plim_conversion *c, plim_file_writer *w,
                                const plim_convert_entry *first, const plim_convert_entry *end,
                                uint64_t *data, plim_error *err)
{
    text_sink s = {.err = err};
    put_header(c, &s, first, end);
    uint64_t length = (8 + s.bytes + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN - 8;
    if (length > PLIM_MAX_HEADER_BYTES)
        return plim_fail_at(err, PLIM_E_LIMIT, (plim_where){w->path, NULL, -1},
                            "the header would be %" PRIu64 " bytes, allowed are %u; choose a "
                            "smaller max_shard_size",
                            length, PLIM_MAX_HEADER_BYTES);
    char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (char)(length >> (8 * i));
    s = (text_sink){.w = w, .err = err};
    put(&s, prefix, sizeof prefix);
    put_header(c, &s, first, end);
    while (s.bytes < 8 + length)
        put_text(&s, " ");
    flush(&s);
    *data = 8 + length;
    return s.status;
}

/* ---- files ---- */

static void shard_name(const plim_conversion *c, uint32_t shard, char *out, size_t cap)
{
    if (c->shards == 1)
        plim_format(out, cap, "model.safetensors");
    else
        plim_format(out, cap, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", shard + 1,
                    c->shards);
}

const char *plim_convert_weights_name(const plim_conversion *c)
{
    return c->shards == 1 ? "model.safetensors" : "model.safetensors.index.json";
}

plim_status plim_convert_begin(plim_file_writer *w, const plim_folder_place *folder,
                               const char *name, plim_error *err)
{
    return plim_writer_open_in(w, folder->fd, folder->path, name, err);
}

static plim_status write_shard(plim_conversion *c, const plim_folder_place *folder,
                               const plim_convert_entry *first, const plim_convert_entry *end,
                               uint32_t shard, plim_error *err)
{
    plim_file_writer w;
    char name[64];
    uint64_t data = 0;
    shard_name(c, shard, name, sizeof name);
    plim_status status = plim_convert_begin(&w, folder, name, err);
    if (status)
        return status;
    status = write_header(c, &w, first, end, &data, err);
    for (const plim_convert_entry *e = first; !status && e < end; e++)
        status = plim_convert_tensor(c, e, &w, data, err);
    if (!status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return status;
}

static plim_status write_index(const plim_conversion *c, const plim_folder_place *folder,
                               plim_error *err)
{
    plim_file_writer w;
    plim_status status = plim_convert_begin(&w, folder, "model.safetensors.index.json", err);
    if (status)
        return status;
    text_sink s = {.w = &w, .err = err};
    bool any = false;
    put_text(&s, "{\n  \"metadata\": {\n    \"total_size\": ");
    put_number(&s, c->total_bytes);
    put_text(&s, "\n  },\n  \"weight_map\": {");
    for (uint32_t i = 0; i < c->count; i++)
        for (unsigned p = 0; p < plim_convert_part_count(&c->entries[i]); p++) {
            plim_convert_part part;
            char name[64];
            plim_convert_part_of(c, &c->entries[i], p, &part);
            shard_name(c, c->entries[i].shard, name, sizeof name);
            put_text(&s, any ? ",\n    " : "\n    ");
            put_name(&s, c->job->stored->tensors[c->entries[i].stored].name, part.suffix);
            put_text(&s, ": ");
            put_name(&s, name, "");
            any = true;
        }
    put_text(&s, "\n  }\n}\n");
    flush(&s);
    if (!s.status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return s.status;
}

plim_status plim_convert_weights(plim_conversion *c, const plim_folder_place *folder,
                                 plim_error *err)
{
    plim_status status = PLIM_OK;
    const plim_convert_entry *e = c->entries, *end = c->entries + c->count, *next;
    for (uint32_t shard = 0; !status && shard < c->shards; shard++, e = next) {
        for (next = e; next < end && next->shard == shard;)
            next++;
        status = write_shard(c, folder, e, next, shard, err);
    }
    return status || c->shards == 1 ? status : write_index(c, folder, err);
}
