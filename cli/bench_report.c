/* SPDX-License-Identifier: Apache-2.0
 *
 * What plimsoll bench found, as a table of 80 columns or as JSON. */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "values.h"

/* ---- figures ---- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double bench_median(const double *values, size_t count)
{
    double sorted[BENCH_MAX_SLICES];
    if (count == 0)
        return 0;
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, by_value);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

double bench_seconds(const bench_cell *cell)
{
    return bench_median(cell->seconds, cell->rounds);
}

double bench_share(const bench_cell *cell)
{
    double shares[BENCH_MAX_ROUNDS];
    for (size_t i = 0; i < cell->rounds; i++)
        shares[i] = cell->least[i] / cell->seconds[i];
    return bench_median(shares, cell->rounds);
}

double bench_amount(const bench_cell *cell)
{
    if (cell->bound == BOUND_DISK)
        return cell->streamed;
    if (cell->bound == BOUND_ARITHMETIC)
        return cell->cost.float_operations + cell->cost.int8_operations;
    return (double)(cell->cost.weight_bytes + cell->cost.kv_bytes);
}

static double limit_of(const bench *b, plim_limit what)
{
    return bench_median(b->limit[what].speed, b->limit[what].count);
}

static double tokens_per_s(const bench_cell *cell)
{
    return (cell->decode ? 1.0 : (double)cell->tokens) / bench_seconds(cell);
}

/* What of the load was brought into memory, per second; 0 where nothing was. */
static double load_speed(const plim_load_report *load)
{
    return load->load_seconds > 0
               ? (double)(load->read_bytes + load->mapped_bytes) / load->load_seconds
               : 0;
}

/* ---- JSON ---- */

static void put_known(cli_json *json, const char *key, double value)
{
    json_key(json, key);
    if (value > 0)
        json_real(json, value);
    else
        json_null(json);
}

static void limits_json(cli_json *json, const bench *b)
{
    plim_read_way way;
    json_key(json, "limits");
    json_object(json);
    put_known(json, "memory", limit_of(b, PLIM_LIMIT_READ));
    put_known(json, "float32", limit_of(b, PLIM_LIMIT_FMA));
    put_known(json, "int8", limit_of(b, PLIM_LIMIT_INT8));
    put_known(json, "disk", b->disk);
    json_put_u64(json, "region", b->region_bytes);
    json_key(json, "ways");
    json_array(json);
    for (size_t i = 0; plim_limits_read_way(b->limits, i, &way) == PLIM_OK; i++) {
        json_object(json);
        json_put_u64(json, "rows", way.rows);
        json_put_u64(json, "ahead", way.ahead);
        json_put_real(json, "bytes_per_s", way.speed);
        json_put_bool(json, "chosen", way.chosen != 0);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void cell_json(cli_json *json, const bench_cell *cell)
{
    double amount = bench_amount(cell), least = bench_median(cell->least, cell->rounds);
    json_object(json);
    json_put_u64(json, cell->decode ? "context" : "tokens", cell->tokens);
    json_put_real(json, "seconds", bench_seconds(cell));
    json_put_real(json, "tokens_per_s", tokens_per_s(cell));
    json_put_u64(json, "weight_bytes", cell->cost.weight_bytes);
    json_put_u64(json, "kv_bytes", cell->cost.kv_bytes);
    json_put_real(json, "float_operations", cell->cost.float_operations);
    json_put_real(json, "int8_operations", cell->cost.int8_operations);
    json_put_real(json, "streamed_bytes", cell->streamed);
    json_put_text(json, "bound", bench_bound_name(cell->bound));
    json_put_real(json, "rate", amount / bench_seconds(cell));
    json_put_real(json, "limit", least > 0 ? amount / least : 0);
    json_put_real(json, "share", bench_share(cell));
    json_key(json, "rounds");
    json_array(json);
    for (size_t i = 0; i < cell->rounds; i++) {
        json_object(json);
        json_put_real(json, "seconds", cell->seconds[i]);
        json_put_real(json, "least_seconds", cell->least[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void cells_json(cli_json *json, const bench *b, const char *key, bool decode)
{
    json_key(json, key);
    json_array(json);
    for (size_t i = 0; i < b->cell_count; i++)
        if (b->cells[i].decode == decode)
            cell_json(json, &b->cells[i]);
    json_array_end(json);
}

static void write_json(const bench *b, const memory_report *report)
{
    cli *c = b->c;
    cli_json json;
    plim_load_report load;
    plim_model_load_report(b->model, &load);
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", plim_model_type(b->model));
    json_put_u64(&json, "parameters", plim_model_num_parameters(b->model));
    json_put_text(&json, "dtype", plim_dtype_torch_name(plim_model_dtype(b->model)));
    json_put_text(&json, "kv_dtype", plim_dtype_torch_name(b->info.kv_dtype));
    json_put_u64(&json, "context", plim_model_context(b->model));
    json_put_u64(&json, "prefill_chunk", b->info.prefill_chunk);
    json_put_u64(&json, "threads", plim_context_threads(c->context));
    json_put_text(&json, "kernels", plim_context_kernels(c->context));
    json_put_u64(&json, "memory_footprint", plim_model_memory_footprint(b->model));
    limits_json(&json, b);
    json_key(&json, "page_cache");
    json_object(&json);
    json_put_u64(&json, "files", b->file_bytes);
    json_put_u64(&json, "cached", b->cached_bytes);
    json_object_end(&json);
    put_known(&json, "load_share_of_disk", b->disk > 0 ? load_speed(&load) / b->disk : 0);
    cells_json(&json, b, "prefill", false);
    cells_json(&json, b, "decode", true);
    report_json(&json, b->model, report);
    json_object_end(&json);
    json_end(&json);
}

/* ---- the table ---- */

/* "45.1 GB/s"; thousands, as everybody who sells memory and processors counts. */
static char *text_of_speed(char *out, size_t cap, double speed, const char *unit)
{
    snprintf(out, cap, speed >= 99.95e9 ? "%.0f G%s" : "%.1f G%s", speed / 1e9, unit);
    return out;
}

static void limits_text(cli_out *out, const bench *b)
{
    char text[32];
    const struct {
        const char *name, *unit;
        double speed;
    } rows[] = {{"memory", "B/s", limit_of(b, PLIM_LIMIT_READ)},
                {"float32", "FLOP/s", limit_of(b, PLIM_LIMIT_FMA)},
                {"int8", "OP/s", limit_of(b, PLIM_LIMIT_INT8)},
                {"disk", "B/s", b->disk}};
    out_text(out, "limits ");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].speed > 0)
            out_format(out, "  %s %s", rows[i].name,
                       text_of_speed(text, sizeof text, rows[i].speed, rows[i].unit));
    out_text(out, "\n");
}

static void load_text(cli_out *out, const bench *b)
{
    char bytes[24], seconds[24], speed[32], left[24];
    plim_load_report load;
    plim_model_load_report(b->model, &load);
    uint64_t brought = load.read_bytes + load.mapped_bytes;
    out_format(out, "load     %s in %s", text_of_bytes(bytes, sizeof bytes, brought),
               text_of_seconds(seconds, sizeof seconds, load.load_seconds));
    if (load_speed(&load) > 0)
        out_format(out, ", %s", text_of_speed(speed, sizeof speed, load_speed(&load), "B/s"));
    if (b->disk > 0 && load_speed(&load) > 0)
        out_format(out, ": %.2f of the disk", load_speed(&load) / b->disk);
    if (b->file_bytes)
        out_format(out, "; %.0f %% was cached",
                   100.0 * (double)b->cached_bytes / (double)b->file_bytes);
    out_text(out, "\n");
    if (brought < load.stored_bytes)
        out_format(out, "         %s stay on disk and stream in every pass\n",
                   text_of_bytes(left, sizeof left, load.stored_bytes - brought));
}

static void cells_text(cli_out *out, const bench *b, bool decode)
{
    char seconds[24], rate[32], limit[32];
    bool headed = false;
    for (size_t i = 0; i < b->cell_count; i++) {
        const bench_cell *cell = &b->cells[i];
        if (cell->decode != decode)
            continue;
        if (!headed)
            out_format(out, "\n%-7s %8s %8s %9s %12s %12s %5s %s\n", decode ? "decode" : "prefill",
                       decode ? "context" : "tokens", decode ? "s/token" : "seconds", "tokens/s",
                       "rate", "limit", "share", "of");
        headed = true;
        const char *unit = cell->bound != BOUND_ARITHMETIC  ? "B/s"
                           : cell->cost.int8_operations > 0 ? "OP/s"
                                                            : "FLOP/s";
        double amount = bench_amount(cell), least = bench_median(cell->least, cell->rounds);
        snprintf(seconds, sizeof seconds, "%.*f", bench_seconds(cell) < 1 ? 5 : 2,
                 bench_seconds(cell));
        out_format(out, "%-7s %8" PRIu64 " %8s %9.2f %12s %12s %5.2f %s\n", "", cell->tokens,
                   seconds, tokens_per_s(cell),
                   text_of_speed(rate, sizeof rate, amount / bench_seconds(cell), unit),
                   text_of_speed(limit, sizeof limit, least > 0 ? amount / least : 0, unit),
                   bench_share(cell), bench_bound_name(cell->bound));
    }
}

static void write_text(const bench *b)
{
    cli_out *out = &b->c->out;
    char footprint[24];
    out_format(out, "%s  %.1f M parameters in %s, %s, KV in %s\n%u threads, %s kernels\n\n",
               plim_model_type(b->model), (double)plim_model_num_parameters(b->model) / 1e6,
               plim_dtype_torch_name(plim_model_dtype(b->model)),
               text_of_bytes(footprint, sizeof footprint, plim_model_memory_footprint(b->model)),
               plim_dtype_torch_name(b->info.kv_dtype), plim_context_threads(b->c->context),
               plim_context_kernels(b->c->context));
    limits_text(out, b);
    load_text(out, b);
    cells_text(out, b, false);
    cells_text(out, b, true);
    out_flush(out);
}

plim_status bench_tell(bench *b, plim_error *err)
{
    memory_report report;
    plim_status status = report_gather(&report, b->c->context, b->model, err);
    if (status != PLIM_OK)
        return status;
    if (b->c->options.json)
        write_json(b, &report);
    else
        write_text(b);
    report_print(b->c, &report);
    return PLIM_OK;
}
