/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory report. */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "values.h"

plim_status report_gather(memory_report *r, const plim_context *context, const plim_model *model,
                          plim_error *err)
{
    plim_load_report load;
    plim_model_load_report(model, &load);
    plim_context_memory(context, &r->ledger);
    r->limit = r->ledger.limit;
    r->predicted_peak = load.predicted_peak;
    r->rss_before = load.before.rss;
    r->rss_after_load = load.after.rss;
    if (plim_process_memory_read(&r->process, err) != PLIM_OK) { /* what was done is done */
        fprintf(stderr, "plimsoll: warning: the memory is not known: %s\n", err->message);
        memset(&r->process, 0, sizeof r->process);
    }
    return PLIM_OK;
}

bool report_missed(const memory_report *r)
{
    uint64_t peak = r->process.peak, predicted = r->predicted_peak;
    uint64_t off = peak > predicted ? peak - predicted : predicted - peak;
    uint64_t allowed = predicted / 50;
    if (peak == 0) /* not known */
        return false;
    return off > (allowed > (8u << 20) ? allowed : 8u << 20);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

char *waterline_draw(char *out, const waterline *w)
{
    uint64_t held = w->anonymous + w->mapped;
    uint64_t scale = most(most(w->limit, w->peak), most(w->predicted, most(held, 1)));
    double cell = (double)scale / WATERLINE_CELLS;
    for (int i = 0; i < WATERLINE_CELLS; i++) {
        double from = cell * i; /* a cell is filled when its first byte is held */
        char mark = from < (double)w->anonymous ? '#' : from < (double)held ? '=' : ' ';
        out[1 + i] = mark == ' ' && from < (double)w->peak ? '.' : mark;
    }
    out[0] = '[';
    out[WATERLINE_CELLS + 1] = ']';
    out[WATERLINE_CELLS + 2] = '\0';
    if (w->predicted > 0) { /* the cell after the last one that it fills */
        int at = (int)((double)(w->predicted - 1) / cell) + 1;
        out[1 + (at < WATERLINE_CELLS ? at : WATERLINE_CELLS - 1)] = '|';
    }
    if (w->limit > 0 && w->limit < scale) /* the line was crossed: it stands inside */
        out[1 + (int)((double)w->limit / cell)] = ']';
    return out;
}

void report_print(const cli *c, const memory_report *r)
{
    if (c->options.quiet)
        return;
    char before[24], after[24], peak[24], line[24], predicted[24], bar[WATERLINE_CELLS + 3];
    uint64_t anonymous = r->process.anonymous;
    waterline w = {anonymous, r->process.rss > anonymous ? r->process.rss - anonymous : 0,
                   r->process.peak, r->predicted_peak, r->limit};
    text_of_bytes(before, sizeof before, r->rss_before);
    text_of_bytes(after, sizeof after, r->rss_after_load);
    text_of_bytes(peak, sizeof peak, r->process.peak);
    text_of_bytes(predicted, sizeof predicted, r->predicted_peak);
    if (r->limit)
        text_of_bytes(line, sizeof line, r->limit);
    else
        snprintf(line, sizeof line, "none");
    fprintf(stderr, "memory  before %s, after %s, peak %s, line %s\n", before, after, peak, line);
    fprintf(stderr, "  %s %s\n", waterline_draw(bar, &w), r->limit ? line : "");
    fprintf(stderr, "   # held  = pages of files  . peak  | predicted peak, %s\n", predicted);
    if (report_missed(r))
        fprintf(
            stderr,
            "plimsoll: warning: the prediction was wrong: predicted a peak of %s, measured %s\n",
            predicted, peak);
}

static void limit_json(cli_json *json, uint64_t limit)
{
    json_key(json, "limit");
    if (limit)
        json_u64(json, limit);
    else
        json_null(json);
}

static void categories_json(cli_json *json, const plim_memory_use use[PLIM_MEM_COUNT])
{
    json_key(json, "categories");
    json_object(json);
    for (int i = 0; i < PLIM_MEM_COUNT; i++) {
        json_key(json, plim_memory_category_name((plim_memory_category)i));
        json_object(json);
        json_put_u64(json, "now", use[i].now);
        json_put_u64(json, "peak", use[i].peak);
        json_object_end(json);
    }
    json_object_end(json);
}

static void stream_json(cli_json *json, const plim_model *model)
{
    plim_stream_info stream;
    plim_model_stream_info(model, &stream);
    json_key(json, "stream");
    json_object(json);
    json_put_u64(json, "passes", stream.passes);
    json_put_u64(json, "used", stream.used_bytes);
    json_put_u64(json, "read", stream.read_bytes);
    json_put_real(json, "wait_seconds", stream.wait_seconds);
    json_object_end(json);
}

void report_json(cli_json *json, const plim_model *model, const memory_report *r)
{
    plim_load_report load;
    plim_model_load_report(model, &load);
    json_key(json, "load");
    json_object(json);
    json_put_u64(json, "stored", load.stored_bytes);
    json_put_u64(json, "read", load.read_bytes);
    json_put_u64(json, "mapped", load.mapped_bytes);
    json_put_real(json, "seconds", load.load_seconds);
    json_put_text(json, "reader", text_of_reader(load.reader));
    json_object_end(json);
    stream_json(json, model);
    json_key(json, "memory");
    json_object(json);
    limit_json(json, r->limit);
    json_put_u64(json, "predicted_peak", r->predicted_peak);
    json_put_u64(json, "peak", r->process.peak);
    json_put_u64(json, "rss_before", r->rss_before);
    json_put_u64(json, "rss_after_load", r->rss_after_load);
    json_put_u64(json, "anonymous", r->ledger.anonymous.peak);
    json_put_u64(json, "mapped", r->ledger.mapped.peak);
    categories_json(json, r->ledger.category);
    json_put_bool(json, "prediction_missed", report_missed(r));
    json_object_end(json);
}

void report_plan_json(cli_json *json, const plim_plan_info *info, const plim_memory *now)
{
    plim_memory_use use[PLIM_MEM_COUNT];
    for (int i = 0; i < PLIM_MEM_COUNT; i++)
        use[i] = (plim_memory_use){now->category[i].now, info->category[i]};
    json_key(json, "memory");
    json_object(json);
    json_put_u64(json, "predicted_peak", info->predicted_peak);
    json_put_u64(json, "anonymous", info->anonymous);
    json_put_u64(json, "mapped", info->mapped);
    json_put_u64(json, "baseline", info->baseline);
    categories_json(json, use);
    json_object_end(json);
}
