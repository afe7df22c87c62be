/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll info: model type, parameters, tensors and stored types, from headers alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "tensors.h"
#include "values.h"

typedef struct summary {
    plim_checkpoint *checkpoint;
    plim_plan *plan; /* NULL where config.json and the tensors do not make a model */
    plim_plan_info info;
    uint64_t stored, elements; /* of all tensors */
    uint64_t stored_by_dtype[PLIM_DTYPE_COUNT];
    size_t count_by_dtype[PLIM_DTYPE_COUNT];
} summary;

static void add_up(summary *s)
{
    plim_tensor_info t;
    for (size_t i = 0; plim_checkpoint_tensor(s->checkpoint, i, &t) == PLIM_OK; i++) {
        uint64_t elements = 1;
        for (unsigned d = 0; d < t.rank; d++)
            elements *= t.shape[d];
        s->elements += elements;
        s->stored += t.bytes;
        s->stored_by_dtype[t.dtype] += t.bytes;
        s->count_by_dtype[t.dtype]++;
    }
}

/* The plan tells the type, the parameters and what is tied.  Where the tensors do not fit
 * config.json, that is a warning here: the headers can be shown all the same. */
static plim_status open_all(cli *c, summary *s, plim_error *err)
{
    const char *name = c->options.names[0];
    plim_status status = plim_checkpoint_open(&s->checkpoint, c->context, name, &c->model, err);
    if (status != PLIM_OK)
        return status;
    add_up(s);
    status = plim_plan_open(&s->plan, c->context, name, &c->model, err);
    if (status == PLIM_OK) {
        plim_plan_describe(s->plan, &s->info);
    } else if (status == PLIM_E_MISMATCH || status == PLIM_E_UNSUP) {
        if (!c->options.quiet)
            fprintf(stderr, "plimsoll: warning: %s\n", err->message);
        s->info.model_type = "";
        s->info.parameters = s->elements;
        status = PLIM_OK;
    }
    return status;
}

static void tied_json(cli_json *json, const summary *s)
{
    plim_tensor_info t;
    json_key(json, "tied");
    json_array(json);
    for (size_t i = 0; s->plan && plim_plan_tensor(s->plan, i, &t) == PLIM_OK; i++) {
        if (!t.tied_to)
            continue;
        json_object(json);
        json_put_text(json, "name", t.name);
        json_put_text(json, "tied_to", t.tied_to);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_json(cli *c, const summary *s)
{
    cli_json json;
    plim_tensor_info t;
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", s->info.model_type);
    json_put_u64(&json, "parameters", s->info.parameters);
    json_put_bool(&json, "runnable", s->info.runnable != 0);
    json_put_u64(&json, "stored", s->stored);
    json_key(&json, "files");
    json_array(&json);
    for (size_t i = 0; i < plim_checkpoint_file_count(s->checkpoint); i++)
        json_text(&json, plim_checkpoint_file(s->checkpoint, i, NULL));
    json_array_end(&json);
    tied_json(&json, s);
    json_key(&json, "tensors");
    json_array(&json);
    for (size_t i = 0; plim_checkpoint_tensor(s->checkpoint, i, &t) == PLIM_OK; i++) {
        json_object(&json);
        tensor_json(&json, &t);
        json_put_text(&json, "file", t.file);
        json_put_u64(&json, "offset", t.offset);
        json_put_u64(&json, "bytes", t.bytes);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void write_text(cli *c, const summary *s)
{
    cli_out *out = &c->out;
    plim_tensor_info t;
    char text[24], shape[TENSOR_SHAPE_TEXT];
    uint64_t bytes;
    int width = tensor_column(0, "tensor");
    for (size_t i = 0; plim_checkpoint_tensor(s->checkpoint, i, &t) == PLIM_OK; i++)
        width = tensor_column(width, t.name);
    out_format(out, "%-*s %-6s %10s  %s\n", width, "tensor", "dtype", "bytes", "shape");
    for (size_t i = 0; plim_checkpoint_tensor(s->checkpoint, i, &t) == PLIM_OK; i++)
        out_format(out, "%-*s %-6s %10s  %s\n", width, t.name, plim_dtype_name(t.dtype),
                   text_of_bytes(text, sizeof text, t.bytes), tensor_shape(shape, &t));
    for (size_t i = 0; s->plan && plim_plan_tensor(s->plan, i, &t) == PLIM_OK; i++)
        if (t.tied_to)
            out_format(out, "%-*s tied to %s\n", width, t.name, t.tied_to);
    out_format(out, "\nmodel_type   %s%s\n", s->info.model_type[0] ? s->info.model_type : "none",
               s->info.runnable ? "" : " (not known: its weights can be loaded, but not run)");
    out_format(out, "parameters   %.1f M\n", (double)s->info.parameters / 1e6);
    out_format(out, "tensors      %zu, %s\n", plim_checkpoint_count(s->checkpoint),
               text_of_bytes(text, sizeof text, s->stored));
    for (int d = 0; d < PLIM_DTYPE_COUNT; d++)
        if (s->count_by_dtype[d])
            out_format(out, "  %-10s %zu, %s\n", plim_dtype_name((plim_dtype)d),
                       s->count_by_dtype[d],
                       text_of_bytes(text, sizeof text, s->stored_by_dtype[d]));
    for (size_t i = 0; i < plim_checkpoint_file_count(s->checkpoint); i++) {
        const char *path = plim_checkpoint_file(s->checkpoint, i, &bytes);
        out_format(out, "file         %s, %s\n", path, text_of_bytes(text, sizeof text, bytes));
    }
}

plim_status info_command(cli *c, plim_error *err)
{
    summary s;
    if (c->options.cpu)
        return info_cpu(c, err);
    memset(&s, 0, sizeof s);
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "reading", err);
    if (status == PLIM_OK)
        status = open_all(c, &s, err);
    if (status == PLIM_OK && c->options.json)
        write_json(c, &s);
    else if (status == PLIM_OK)
        write_text(c, &s);
    plim_plan_close(&s.plan);
    plim_checkpoint_close(&s.checkpoint);
    return status;
}
