/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll logits: the scores of every position of a prompt, as a safetensors file with one tensor,
 * written row by row while they are computed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fail.h"
#include "files.h"
#include "interrupt.h"
#include "report.h"

static int on_row(void *user, size_t position, const float *logits, size_t vocab)
{
    result_file *file = user;
    (void)position;
    return !out_write(&file->out, logits, vocab * sizeof *logits) || interrupt_seen();
}

/* safetensors: length of the header (u64, little endian), header padded to 8, data.  The data
 * follows. */
static void write_header(result_file *file, size_t tokens, uint32_t vocab)
{
    char header[256];
    unsigned char length[8];
    int n = snprintf(header, sizeof header - 8,
                     "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%zu,%" PRIu32
                     "],\"data_offsets\":[0,%" PRIu64 "]}}",
                     tokens, vocab, (uint64_t)tokens * vocab * 4);
    size_t bytes = (size_t)n;
    while (bytes % 8)
        header[bytes++] = ' ';
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bytes >> 8 * i);
    out_write(&file->out, length, sizeof length);
    out_write(&file->out, header, bytes);
}

static plim_status compute(const cli_prompt *prompt, plim_model *model, result_file *file,
                           double *seconds, plim_error *err)
{
    plim_session *session = NULL;
    plim_status status = plim_session_open(&session, model, err);
    if (status != PLIM_OK)
        return status;
    double start = cli_now();
    write_header(file, prompt->count, plim_model_vocab_size(model));
    interrupt_watch(session);
    status = plim_session_eval(session, prompt->ids, prompt->count, on_row, file, err);
    interrupt_watch(NULL);
    *seconds = cli_now() - start;
    plim_session_close(&session);
    if (status == PLIM_E_CANCELLED && out_broken(&file->out))
        status = PLIM_OK; /* why is told by result_commit */
    return status;
}

static void write_json(cli *c, const cli_prompt *prompt, const plim_model *model,
                       const memory_report *report, double seconds)
{
    cli_json json;
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "model_type", plim_model_type(model));
    json_put_text(&json, "dtype", plim_dtype_torch_name(plim_model_dtype(model)));
    json_put_text(&json, "output", c->options.output);
    json_put_ids(&json, "tokens", prompt->ids, prompt->count);
    json_put_u64(&json, "vocabulary", plim_model_vocab_size(model));
    json_put_real(&json, "seconds", seconds);
    report_json(&json, model, report);
    json_object_end(&json);
    json_end(&json);
}

/* The file is opened before the model is loaded, so that a wrong path is told at once. */
static plim_status work(cli *c, const cli_prompt *prompt, plim_error *err)
{
    plim_model *model = NULL;
    result_file file;
    memory_report report;
    double seconds = 0;
    plim_status status = result_open(&file, c->options.output, 0666, err);
    if (status != PLIM_OK)
        return status;
    status = cli_load(c, prompt->count, &model, err);
    if (status == PLIM_OK)
        status = compute(prompt, model, &file, &seconds, err);
    if (status == PLIM_OK)
        status = result_commit(&file, err);
    else
        result_discard(&file);
    if (status == PLIM_OK)
        status = report_gather(&report, c->context, model, err);
    if (status == PLIM_OK && c->options.json)
        write_json(c, prompt, model, &report, seconds);
    else if (status == PLIM_OK)
        out_format(&c->out, "%s: logits F32 [%zu, %" PRIu32 "]\n", c->options.output, prompt->count,
                   plim_model_vocab_size(model));
    if (status == PLIM_OK)
        report_print(c, &report);
    plim_model_close(&model);
    return status;
}

plim_status logits_command(cli *c, plim_error *err)
{
    cli_prompt prompt;
    const char *text;
    size_t bytes;
    plim_status status = prompt_read(c, &prompt, &text, &bytes, err);
    if (status == PLIM_OK && !c->options.output)
        status = cli_fail(err, PLIM_E_USAGE, "-o FILE is missing");
    if (status == PLIM_OK)
        status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "loading", err);
    if (status == PLIM_OK)
        status = prompt_encode(c, &prompt, text, bytes, err);
    if (status == PLIM_OK && c->options.context && prompt.count > c->options.context)
        status = cli_fail(err, PLIM_E_USAGE, "the prompt has %zu tokens, --context is %" PRIu64,
                          prompt.count, c->options.context);
    if (status == PLIM_OK)
        status = work(c, &prompt, err);
    prompt_free(&prompt);
    return status;
}
