/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll tokenize and detokenize: text to ids and back; with --jsonl one value per line of
 * standard input, one object per line out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fail.h"
#include "files.h"
#include "interrupt.h"
#include "json_in.h"
#include "values.h"

/* A token as its file spells it, or null. */
static void put_token(cli_json *json, const plim_tokenizer *tokenizer, int32_t id)
{
    char small[256], *text = small;
    size_t bytes = plim_tokenizer_token(tokenizer, id, small, sizeof small);
    if (bytes != SIZE_MAX && bytes > sizeof small) {
        text = malloc(bytes);
        bytes = text ? plim_tokenizer_token(tokenizer, id, text, bytes) : SIZE_MAX;
    }
    if (bytes == SIZE_MAX)
        json_null(json);
    else
        json_bytes(json, text, bytes);
    if (text != small)
        free(text);
}

static void ids_json(cli *c, const plim_tokenizer *tokenizer, const plim_encoding *found)
{
    cli_json json;
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_ids(&json, "ids", found->ids, found->count);
    json_key(&json, "tokens");
    json_array(&json);
    for (size_t i = 0; i < found->count; i++)
        put_token(&json, tokenizer, found->ids[i]);
    json_array_end(&json);
    if (c->options.offsets) {
        json_key(&json, "offsets");
        json_array(&json);
        for (size_t i = 0; i < found->count; i++) {
            json_array(&json);
            json_u64(&json, found->spans[i].begin);
            json_u64(&json, found->spans[i].end);
            json_array_end(&json);
        }
        json_array_end(&json);
    }
    json_object_end(&json);
    json_end(&json);
}

static plim_status tokenize_text(cli *c, plim_tokenizer *tokenizer, const char *text, size_t bytes,
                                 bool json, plim_error *err)
{
    plim_encode_options options;
    plim_encoding found;
    plim_encode_options_init(&options);
    options.add_special_tokens = !c->options.no_special;
    options.offsets = c->options.offsets;
    plim_status status = plim_tokenizer_encode_with(tokenizer, text, bytes, &options, &found, err);
    if (status != PLIM_OK)
        return status;
    if (json) {
        ids_json(c, tokenizer, &found);
    } else {
        for (size_t i = 0; i < found.count; i++)
            out_format(&c->out, "%s%" PRId32, i ? "," : "", found.ids[i]);
        out_text(&c->out, "\n");
    }
    plim_encoding_free(&found);
    return PLIM_OK;
}

static plim_status detokenize_ids(cli *c, plim_tokenizer *tokenizer, const int32_t *ids,
                                  size_t count, bool json, plim_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    plim_status status =
        plim_tokenizer_decode(tokenizer, ids, count, c->options.skip_special, &text, &bytes, err);
    if (status != PLIM_OK)
        return status;
    if (json) {
        cli_json out;
        json_begin(&out, &c->out);
        json_object(&out);
        json_key(&out, "text");
        json_bytes(&out, text, bytes);
        json_object_end(&out);
        json_end(&out);
    } else {
        out_write(&c->out, text, bytes);
    }
    plim_free(text);
    return PLIM_OK;
}

/* One line of --jsonl. */
static plim_status do_line(cli *c, plim_tokenizer *tokenizer, line_reader *line, plim_error *err)
{
    size_t start, length, position;
    const char *message;
    if (c->command == CMD_TOKENIZE) {
        message = json_in_string(line->text, line->bytes, &start, &length, &position);
        if (!message)
            return tokenize_text(c, tokenizer, line->text + start, length, true, err);
    } else {
        size_t count;
        int32_t *ids = malloc((line->bytes / 2 + 1) * sizeof *ids);
        if (!ids)
            return cli_fail(err, PLIM_E_NOMEM, "no memory for a line of %zu bytes", line->bytes);
        message = json_in_ids(line->text, line->bytes, ids, &count, &position);
        plim_status status =
            message ? PLIM_OK : detokenize_ids(c, tokenizer, ids, count, true, err);
        free(ids);
        if (!message)
            return status;
    }
    return cli_fail_file(err, PLIM_E_FORMAT, "standard input", (int64_t)(line->offset + position),
                         "line %" PRIu64 ", byte %zu: %s", line->number, position, message);
}

static plim_status do_lines(cli *c, plim_tokenizer *tokenizer, plim_error *err)
{
    line_reader *line = calloc(1, sizeof *line);
    if (!line)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for a line");
    bool more = true;
    plim_status status = PLIM_OK;
    while (status == PLIM_OK && !out_broken(&c->out)) {
        status = line_next(line, &more, err);
        if (status != PLIM_OK || !more)
            break;
        status = do_line(c, tokenizer, line, err);
    }
    free(line->text);
    free(line);
    c->answered = c->options.jsonl && status == PLIM_OK;
    return status;
}

static plim_status open_tokenizer(cli *c, plim_tokenizer **tokenizer, plim_error *err)
{
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "reading", err);
    if (status == PLIM_OK)
        status = plim_tokenizer_open(tokenizer, c->context, c->options.names[0], &c->model, err);
    return status;
}

plim_status tokenize_command(cli *c, plim_error *err)
{
    const cli_options *o = &c->options;
    plim_tokenizer *tokenizer = NULL;
    char *read = NULL;
    size_t bytes = o->prompt ? strlen(o->prompt) : 0;
    plim_status status = PLIM_OK;
    if ((o->prompt != NULL) + (o->prompt_file != NULL) + o->jsonl > 1)
        return cli_fail(err, PLIM_E_USAGE,
                        "want one of --prompt, --prompt-file, --jsonl, or text on "
                        "standard input");
    if (o->offsets && !o->json && !o->jsonl)
        return cli_fail(err, PLIM_E_USAGE, "--offsets goes with --json or --jsonl");
    if (!o->prompt && !o->jsonl)
        status = file_read(o->prompt_file, &read, &bytes, err);
    if (status == PLIM_OK)
        status = open_tokenizer(c, &tokenizer, err);
    if (status == PLIM_OK && o->jsonl)
        status = do_lines(c, tokenizer, err);
    else if (status == PLIM_OK)
        status = tokenize_text(c, tokenizer, read ? read : o->prompt, bytes, o->json, err);
    plim_tokenizer_close(&tokenizer);
    free(read);
    return status;
}

plim_status detokenize_command(cli *c, plim_error *err)
{
    const cli_options *o = &c->options;
    plim_tokenizer *tokenizer = NULL;
    cli_ids from_stdin = {NULL, 0};
    const cli_ids *ids = &o->prompt_tokens;
    plim_status status = PLIM_OK;
    if (ids->ids && o->jsonl)
        return cli_fail(err, PLIM_E_USAGE,
                        "want one of --prompt-tokens, --jsonl, or ids on standard input");
    if (!ids->ids && !o->jsonl) {
        char *text = NULL;
        size_t bytes = 0;
        status = file_read(NULL, &text, &bytes, err);
        if (status == PLIM_OK)
            status = value_ids(text, bytes, "standard input", &from_stdin, err);
        free(text);
        ids = &from_stdin;
    }
    if (status == PLIM_OK)
        status = open_tokenizer(c, &tokenizer, err);
    if (status == PLIM_OK && o->jsonl)
        status = do_lines(c, tokenizer, err);
    else if (status == PLIM_OK)
        status = detokenize_ids(c, tokenizer, ids->ids, ids->count, o->json, err);
    plim_tokenizer_close(&tokenizer);
    free(from_stdin.ids);
    return status;
}
