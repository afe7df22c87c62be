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

/* Bytes in memory and bytes on disk, of tensors that have bytes of their own. */
typedef struct places {
    uint64_t cpu, disk;
} places;

static void tensors_json(cli_json *json, const plim_plan *plan, places *sum)
{
    plim_tensor_info t;
    *sum = (places){0};
    json_key(json, "tensors");
    json_array(json);
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++) {
        json_object(json);
        tensor_json(json, &t);
        json_put_text(json, "form", plim_form_name(t.form));
        json_put_text(json, "device", t.device);
        json_put_u64(json, "bytes", t.bytes);
        json_put_u64(json, "pinned_bytes", t.pinned_bytes);
        if (t.tied_to)
            json_put_text(json, "tied_to", t.tied_to);
        else {
            sum->cpu += t.pinned_bytes;
            sum->disk += t.bytes - t.pinned_bytes;
        }
        json_object_end(json);
    }
    json_array_end(json);
}

static void devices_json(cli_json *json, const places *sum)
{
    json_key(json, "devices");
    json_object(json);
    json_put_u64(json, "cpu", sum->cpu);
    if (sum->disk)
        json_put_u64(json, "disk", sum->disk);
    json_object_end(json);
}

/* A plan's 0 seconds of a load mean "not known", but also "it is all there": which one, the speeds
 * tell. */
static bool load_known(const cli *c, const plim_plan_info *info)
{
    const plim_speeds *s = c->model.speeds;
    return info->load_seconds > 0 || (s && s->disk > 0 && s->cached > 0 && s->commit > 0);
}

static void put_seconds(cli_json *json, const char *key, double seconds, bool known)
{
    json_key(json, key);
    if (known)
        json_real(json, seconds);
    else
        json_null(json);
}

static void speed_json(cli_json *json, const cli *c, const plim_plan_info *info)
{
    json_key(json, "seconds");
    json_object(json);
    put_seconds(json, "load", info->load_seconds, load_known(c, info));
    put_seconds(json, "token", info->token_seconds, info->token_seconds > 0);
    json_object_end(json);
    json_key(json, "stream");
    json_object(json);
    json_put_u64(json, "pinned", info->pinned_bytes);
    json_put_u64(json, "bytes_per_token", info->streamed_bytes);
    json_put_u64(json, "ring", info->ring_bytes);
    json_object_end(json);
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
        json_put_text(json, "reader", text_of_reader(r.reader));
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_json(cli *c, const plim_plan *plan, const plim_plan_info *info,
                       const plim_error *err)
{
    cli_json json;
    plim_memory now;
    places sum;
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
    speed_json(&json, c, info);
    tensors_json(&json, plan, &sum);
    devices_json(&json, &sum);
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

/* What stands after a tensor's shape: what it is tied to, or how much of it stays. */
static void note_text(cli_out *out, const plim_tensor_info *t)
{
    if (t->tied_to)
        out_format(out, " tied to %s", t->tied_to);
    else if (t->form == PLIM_FORM_STREAMED && t->pinned_bytes)
        out_format(out, " %.0f %% stays", 100.0 * (double)t->pinned_bytes / (double)t->bytes);
}

static void tensors_text(cli_out *out, const plim_plan *plan)
{
    plim_tensor_info t;
    int width = tensor_column(0, "tensor");
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++)
        width = tensor_column(width, t.name);
    out_format(out, "%-*s %-9s %-8s %10s  %s\n", width, "tensor", "dtype", "form", "bytes",
               "shape");
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++) {
        char bytes[24], shape[TENSOR_SHAPE_TEXT];
        text_of_bytes(bytes, sizeof bytes, t.bytes);
        out_format(out, "%-*s %-9s %-8s %10s  %s", width, t.name, plim_dtype_torch_name(t.dtype),
                   plim_form_name(t.form), t.tied_to ? "-" : bytes, tensor_shape(shape, &t));
        note_text(out, &t);
        out_text(out, "\n");
    }
}

/* How long it takes, and what comes from disk. */
static void speed_text(cli *c, const plim_plan_info *info)
{
    cli_out *out = &c->out;
    char bytes[24], ring[24], load[24], token[24];
    text_of_seconds(load, sizeof load, info->load_seconds);
    text_of_seconds(token, sizeof token, info->token_seconds);
    if (load_known(c, info) && info->token_seconds > 0)
        out_format(out, "seconds: load %s, then %s per token\n", load, token);
    else if (load_known(c, info))
        out_format(out, "seconds: load %s\n", load);
    else
        out_text(out, "seconds: not known on this machine and disk; --probe measures them\n");
    if (info->streamed_bytes)
        out_format(out, "streams %s per token from disk%s%s, through a ring of %s\n",
                   text_of_bytes(bytes, sizeof bytes, info->streamed_bytes),
                   info->token_seconds > 0 ? ", " : "", info->token_seconds > 0 ? token : "",
                   text_of_bytes(ring, sizeof ring, info->ring_bytes));
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
    speed_text(c, info);
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
    if (status == PLIM_OK && c->options.probe)
        status = cli_probe(c, err);
    if (status == PLIM_OK || status == PLIM_E_BUDGET)
        status = cli_plan(c, &plan, &info, err);
    if (status != PLIM_OK)
        return status;
    if (!info.fits)
        status = cli_does_not_fit(c, plan, &info, err);
    if (c->options.json)
        write_json(c, plan, &info, err);
    else
        write_text(c, plan, &info);
    plim_plan_close(&plan);
    return status;
}
