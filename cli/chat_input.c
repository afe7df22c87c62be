/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said to `plimsoll chat`. */
#include "chat_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "environment.h"
#include "fail.h"
#include "files.h"
#include "line_edit.h"

#define FENCE "\"\"\""

struct chat_input {
    line_edit *edit;     /* NULL: no terminal */
    line_reader *reader; /* NULL: a terminal */
    cli_bytes said;      /* what is put together */
    size_t line;         /* where the last line of it begins */
    bool over;           /* it was more than CLI_MAX_CHAT: its beginning is forgotten */
};

plim_status chat_input_open(chat_input **out, const cli *c, plim_error *err)
{
    char path[4096];
    plim_error ignored;
    chat_input *in = calloc(1, sizeof *in);
    *out = NULL;
    if (!in)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for a line");
    plim_status status = PLIM_OK;
    if (isatty(STDIN_FILENO)) {
        bool kept = environment_history(path, sizeof path, &ignored) == PLIM_OK;
        bool answers = !c->options.json && isatty(STDOUT_FILENO);
        status = line_edit_open(&in->edit, answers ? stdout : stderr, kept ? path : NULL, err);
    } else {
        in->reader = calloc(1, sizeof *in->reader);
        if (!in->reader)
            status = cli_fail(err, PLIM_E_NOMEM, "no memory for a line");
        else
            in->reader->most = CLI_MAX_CHAT;
    }
    if (status != PLIM_OK)
        chat_input_close(&in, c);
    *out = in;
    return status;
}

void chat_input_close(chat_input **input, const cli *c)
{
    chat_input *in = *input;
    plim_error why;
    if (!in)
        return;
    *input = NULL;
    if (line_edit_close(&in->edit, &why) != PLIM_OK && !c->options.quiet)
        fprintf(stderr, "plimsoll: warning: the lines typed are not kept: %s\n", why.message);
    if (in->reader)
        free(in->reader->text);
    free(in->reader);
    free(in->said.text);
    free(in);
}

bool chat_input_talks(const chat_input *in)
{
    return in->edit != NULL;
}

static plim_status say(chat_input *in, const char *text, size_t bytes, plim_error *err)
{
    cli_bytes *said = &in->said;
    if (said->bytes + bytes > CLI_MAX_CHAT) {
        in->over = true;
        said->bytes = in->line = 0;
    }
    if (said->cap - said->bytes <= bytes) {
        size_t cap = said->cap + said->cap / 2 + bytes + 256;
        char *grown = realloc(said->text, cap);
        if (!grown)
            return cli_fail(err, PLIM_E_NOMEM, "no memory for a message of %zu bytes", cap);
        said->text = grown;
        said->cap = cap;
    }
    if (bytes > 0)
        memcpy(said->text + said->bytes, text, bytes);
    said->bytes += bytes;
    said->text[said->bytes] = '\0';
    return PLIM_OK;
}

/* One line, appended to what was said; *heard is HEARD_MESSAGE where there was one. */
static plim_status read_line(chat_input *in, const char *prompt, chat_heard *heard, plim_error *err)
{
    const char *text = NULL;
    size_t bytes = 0;
    bool more = true;
    plim_status status = PLIM_OK;
    in->line = in->said.bytes;
    *heard = HEARD_MESSAGE;
    if (in->edit) {
        line_end end = line_edit_read(in->edit, prompt, &text, &bytes);
        *heard = end == LINE_WHOLE ? HEARD_MESSAGE : end == LINE_BROKEN ? HEARD_BREAK : HEARD_END;
        if (end == LINE_BROKEN)
            in->said.bytes += bytes;
    } else {
        status = line_next(in->reader, &more, err);
        text = in->reader->text;
        bytes = in->reader->bytes;
        in->over = in->over || in->reader->over;
        if (status == PLIM_OK && !more)
            *heard = HEARD_END;
        if (bytes > 0 && more && text[bytes - 1] == '\r')
            bytes--;
    }
    if (status != PLIM_OK || *heard != HEARD_MESSAGE)
        return status;
    status = say(in, text, bytes, err);
    if (status == PLIM_OK && in->edit && bytes > 0)
        line_edit_remember(in->edit, in->said.text + in->line);
    return status;
}

static bool ends_in_fence(const cli_bytes *said, size_t from)
{
    return said->bytes >= from + 3 && !memcmp(said->text + said->bytes - 3, FENCE, 3);
}

/* The rest of a block whose first line was read; its marks, and the ends of lines beside them, are
 * no part of it. */
static plim_status read_block(chat_input *in, chat_heard *heard, plim_error *err)
{
    cli_bytes *said = &in->said;
    plim_status status = PLIM_OK;
    memmove(said->text, said->text + 3, said->bytes - 2);
    said->bytes -= 3;
    in->line = 0;
    while (!ends_in_fence(said, in->line)) {
        if (said->bytes > 0 && (status = say(in, "\n", 1, err)) != PLIM_OK)
            return status;
        status = read_line(in, ". ", heard, err);
        if (status != PLIM_OK || *heard == HEARD_BREAK)
            return status;
        if (*heard == HEARD_END) /* the end of the input closes it */
            break;
    }
    if (*heard == HEARD_MESSAGE)
        said->bytes -= 3;
    *heard = HEARD_MESSAGE;
    if (said->bytes == in->line && in->line > 0) /* the closing mark stood alone */
        said->bytes--;
    said->text[said->bytes] = '\0';
    return PLIM_OK;
}

/* Lines after one that ends in a backslash. */
static plim_status read_continued(chat_input *in, chat_heard *heard, plim_error *err)
{
    cli_bytes *said = &in->said;
    while (said->bytes > 0 && said->text[said->bytes - 1] == '\\') {
        said->text[said->bytes - 1] = '\n';
        plim_status status = read_line(in, ". ", heard, err);
        if (status != PLIM_OK || *heard == HEARD_BREAK)
            return status;
        if (*heard == HEARD_END || said->bytes == in->line)
            break;
    }
    *heard = HEARD_MESSAGE;
    return PLIM_OK;
}

static bool is_blank(const cli_bytes *said)
{
    size_t i = 0;
    while (i < said->bytes && said->text[i] && strchr(" \t\r\n", said->text[i]))
        i++;
    return i == said->bytes;
}

plim_status chat_input_next(chat_input *in, chat_heard *heard, const char **text, size_t *bytes,
                            plim_error *err)
{
    cli_bytes *said = &in->said;
    plim_status status;
    bool block;
    do {
        said->bytes = 0;
        in->over = false;
        status = read_line(in, "> ", heard, err);
        *bytes = said->bytes;
        if (status != PLIM_OK || *heard != HEARD_MESSAGE)
            return status;
        block = said->bytes >= 3 && !memcmp(said->text, FENCE, 3);
        status = block ? read_block(in, heard, err) : read_continued(in, heard, err);
        *bytes = *heard == HEARD_BREAK ? said->bytes + 1 : said->bytes; /* lines before count too */
        if (status != PLIM_OK || *heard != HEARD_MESSAGE)
            return status;
    } while (!in->over && is_blank(said));
    if (in->over)
        return cli_fail(err, PLIM_E_LIMIT, "a message of over %zu MiB", CLI_MAX_CHAT >> 20);
    if (!block && said->text[0] == '/')
        *heard = HEARD_COMMAND;
    *text = said->text;
    return PLIM_OK;
}
