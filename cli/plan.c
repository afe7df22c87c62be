/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll plan: what will live where, the peak it predicts, and whether it fits, before a weight
 * byte is read.  Exit 3 when it does not fit. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "report.h"
#include "tensors.h"
#include "values.h"

static const char *reader_name(plim_reader reader)
{
    return reader == PLIM_READER_MAP ? "map" : reader == PLIM_READER_BUFFERED ? "buffered" : "auto";
}

static void tensors_json(cli_json *json, const plim_plan *plan, uint64_t *on_cpu)
{
    plim_tensor_info t;
    *on_cpu = 0;
    json_key(json, "tensors");
    json_array(json);
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++) {
        json_object(json);
        tensor_json(json, &t);
        json_put_text(json, "form", plim_form_name(t.form));
        json_put_text(json, "device", t.device);
        json_put_u64(json, "bytes", t.bytes);
        if (t.tied_to)
            json_put_text(json, "tied_to", t.tied_to);
        else
            *on_cpu += t.bytes;
        json_object_end(json);
    }
    json_array_end(json);
}

static void reads_json(cli_json *json, const plim_plan *plan, size_t count)
{
    plim_read_info r;
    json_put_u64(json, "steps", count);
    json_key(json, "reads");
    json_array(json);
    for (size_t i = 0; plim_plan_read(plan, i, &r) == PLIM_OK; i++) {
        json_object(json);
        json_put_text(json, "file", r.file);
        json_put_u64(json, "offset", r.offset);
        json_put_u64(json, "bytes", r.bytes);
        json_put_text(json, "reader", reader_name(r.reader));
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_json(cli *c, const plim_plan *plan, const plim_plan_info *info,
                       const plim_error *err)
{
    cli_json json;
    plim_memory now;
    uint64_t on_cpu;
    plim_context_memory(c->context, &now);
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", info->model_type);
    json_put_u64(&json, "parameters", info->parameters);
    json_put_text(&json, "dtype", plim_dtype_torch_name(info->dtype));
    json_put_text(&json, "kv_dtype", plim_dtype_torch_name(info->kv_dtype));
    json_put_u64(&json, "context", info->context);
    json_put_u64(&json, "prefill_chunk", info->prefill_chunk);
    json_put_bool(&json, "runnable", info->runnable != 0);
    json_put_bool(&json, "fits", info->fits != 0);
    json_key(&json, "limit");
    if (info->limit)
        json_u64(&json, info->limit);
    else
        json_null(&json);
    json_put_u64(&json, "stored", info->stored_bytes);
    report_plan_json(&json, info, &now);
    tensors_json(&json, plan, &on_cpu);
    json_key(&json, "devices");
    json_object(&json);
    json_put_u64(&json, "cpu", on_cpu);
    json_object_end(&json);
    reads_json(&json, plan, info->read_count);
    json_key(&json, "advice");
    json_array(&json);
    for (size_t i = 0; i < info->advice_count; i++)
        json_text(&json, plim_plan_advice(plan, i));
    json_array_end(&json);
    if (!info->fits)
        cli_error_json(&json, err);
    json_object_end(&json);
    json_end(&json);
    c->answered = true;
}

static void tensors_text(cli_out *out, const plim_plan *plan)
{
    plim_tensor_info t;
    int width = tensor_column(0, "tensor");
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++)
        width = tensor_column(width, t.name);
    out_format(out, "%-*s %-9s %-6s %10s  %s\n", width, "tensor", "dtype", "form", "bytes",
               "shape");
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++) {
        char bytes[24], shape[TENSOR_SHAPE_TEXT];
        text_of_bytes(bytes, sizeof bytes, t.bytes);
        out_format(out, "%-*s %-9s %-6s %10s  %s%s%s\n", width, t.name,
                   plim_dtype_torch_name(t.dtype), plim_form_name(t.form), t.tied_to ? "-" : bytes,
                   tensor_shape(shape, &t), t.tied_to ? " tied to " : "",
                   t.tied_to ? t.tied_to : "");
    }
}

static void write_text(cli *c, const plim_plan *plan, const plim_plan_info *info)
{
    cli_out *out = &c->out;
    char text[24], line[24], bar[WATERLINE_CELLS + 3];
    tensors_text(out, plan);
    out_format(out, "\n%s  %.1f M parameters in %s, %s stored, %zu read %s\n",
               info->model_type[0] ? info->model_type : "(no model_type)",
               (double)info->parameters / 1e6, plim_dtype_torch_name(info->dtype),
               text_of_bytes(text, sizeof text, info->stored_bytes), info->read_count,
               info->read_count == 1 ? "step" : "steps");
    if (info->runnable)
        out_format(out, "context %" PRIu32 ", KV in %s, prefill in chunks of %" PRIu32 "\n",
                   info->context, plim_dtype_torch_name(info->kv_dtype), info->prefill_chunk);
    else
        out_text(out, "this model_type is not known: its weights can be loaded, but not run\n");
    out_format(out, "  %-12s %10s\n", "baseline", text_of_bytes(text, sizeof text, info->baseline));
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        if (info->category[i])
            out_format(out, "  %-12s %10s\n", plim_memory_category_name((plim_memory_category)i),
                       text_of_bytes(text, sizeof text, info->category[i]));
    out_format(out, "  %-12s %10s\n", "peak",
               text_of_bytes(text, sizeof text, info->predicted_peak));
    waterline w = {info->baseline + info->anonymous, info->mapped, 0, info->predicted_peak,
                   info->limit};
    if (info->limit)
        text_of_bytes(line, sizeof line, info->limit);
    else
        snprintf(line, sizeof line, "no line");
    out_format(out, "  %s %s\n", waterline_draw(bar, &w), line);
    out_text(out, "   # held  = pages of files  | predicted peak\n");
    out_format(out, "%s\n", info->fits ? "fits" : "does not fit");
    for (size_t i = 0; i < info->advice_count; i++)
        out_format(out, "  %s\n", plim_plan_advice(plan, i));
    out_flush(out);
}

plim_status plan_command(cli *c, plim_error *err)
{
    plim_plan *plan = NULL;
    plim_plan_info info;
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "planning", err);
    if (status == PLIM_OK || status == PLIM_E_BUDGET)
        status = cli_plan(c, &plan, &info, err);
    if (status != PLIM_OK)
        return status;
    if (!info.fits)
        status = cli_does_not_fit(plan, &info, err);
    if (c->options.json)
        write_json(c, plan, &info, err);
    else
        write_text(c, plan, &info);
    plim_plan_close(&plan);
    return status;
}
