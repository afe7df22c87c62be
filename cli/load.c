/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll load: load only, and check the prediction. */
#include <stdio.h>

#include "cli.h"
#include "report.h"
#include "values.h"

static void write_json(cli *c, const plim_model *model, const memory_report *report)
{
    cli_json json;
    plim_load_report load;
    plim_model_load_report(model, &load);
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", plim_model_type(model));
    json_put_u64(&json, "parameters", plim_model_num_parameters(model));
    json_put_text(&json, "dtype", plim_dtype_torch_name(plim_model_dtype(model)));
    json_put_u64(&json, "memory_footprint", plim_model_memory_footprint(model));
    json_put_real(&json, "open_seconds", load.open_seconds);
    report_json(&json, model, report);
    json_object_end(&json);
    json_end(&json);
}

static void write_text(cli *c, const plim_model *model)
{
    char footprint[24], read[24], mapped[24], speed[24];
    plim_load_report load;
    plim_model_load_report(model, &load);
    uint64_t brought = load.read_bytes + load.mapped_bytes;
    double rate = load.load_seconds > 0 ? (double)brought / load.load_seconds : 0;
    out_format(&c->out, "%s  %.1f M parameters in %s  %s\n", plim_model_type(model),
               (double)plim_model_num_parameters(model) / 1e6,
               plim_dtype_torch_name(plim_model_dtype(model)),
               text_of_bytes(footprint, sizeof footprint, plim_model_memory_footprint(model)));
    out_format(&c->out, "loaded in %.3f s (%s/s): %s read, %s mapped\n", load.load_seconds,
               text_of_bytes(speed, sizeof speed, (uint64_t)rate),
               text_of_bytes(read, sizeof read, load.read_bytes),
               text_of_bytes(mapped, sizeof mapped, load.mapped_bytes));
    if (brought < load.stored_bytes)
        out_format(&c->out, "%s stay on disk and stream when they are needed\n",
                   text_of_bytes(read, sizeof read, load.stored_bytes - brought));
    out_flush(&c->out);
}

plim_status load_command(cli *c, plim_error *err)
{
    plim_model *model = NULL;
    memory_report report;
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "loading", err);
    if (status == PLIM_OK)
        status = cli_load(c, 0, &model, err);
    if (status == PLIM_OK)
        status = report_gather(&report, c->context, model, err);
    if (status == PLIM_OK && c->options.json)
        write_json(c, model, &report);
    else if (status == PLIM_OK)
        write_text(c, model);
    if (status == PLIM_OK)
        report_print(c, &report);
    plim_model_close(&model);
    return status;
}
