/* SPDX-License-Identifier: Apache-2.0
 *
 * chat_driver PATH: each line of stdin is a JSON context, each line of stdout what the template of
 * PATH (a file or a folder) makes of it: {"text": "...", "spans": [[begin, end], ...]} or {"error":
 * "...", "code": -2}.  chat_driver -: each line is {"template": "...", "context": {...}}.  For
 * tools/chat, which asks Transformers the same. */
#include <stdlib.h>
#include <string.h>

#include "chat/support.h"

static void answer(const plim_templates *templates, plim_status status, plim_error *err,
                   const char *context, size_t bytes)
{
    plim_chat_text text = {0};
    if (!status)
        status = chat_render(templates, plim_alloc_system(), context, bytes, &text, err);
    if (status) {
        printf("{\"error\": ");
        chat_print_text(err->message, strlen(err->message));
        printf(", \"code\": %d}\n", (int)status);
        return;
    }
    printf("{\"text\": ");
    chat_print_text(text.text, text.bytes);
    printf(", \"spans\": [");
    for (size_t i = 0; i < text.span_count; i++)
        printf("%s[%zu, %zu]", i ? ", " : "", text.spans[i].begin, text.spans[i].end);
    printf("]}\n");
    plim_chat_text_free(&text, plim_alloc_system());
}

static void answer_case(const char *line, size_t bytes)
{
    const plim_alloc *alloc = plim_alloc_system();
    plim_templates *templates = NULL;
    plim_error err = {0};
    chat_case c;
    plim_status status = chat_read_case(&c, alloc, line, bytes, &err);
    if (!status)
        status = chat_open_text(&templates, alloc, c.template, c.template_bytes, &err);
    answer(templates, status, &err, c.context, c.context_bytes);
    chat_free_case(&c, alloc);
    plim_templates_close(&templates);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: chat_driver PATH|-\n");
        return 2;
    }
    bool cases = !strcmp(argv[1], "-");
    plim_templates *templates = NULL;
    plim_error opened = {0};
    plim_status status =
        cases ? PLIM_OK
              : plim_templates_open(&templates, plim_alloc_system(), argv[1], NULL, &opened);
    char *line = NULL;
    size_t cap = 0, bytes;
    while (chat_read_line(stdin, &line, &cap, &bytes)) {
        plim_error err = opened;
        if (cases)
            answer_case(line, bytes);
        else
            answer(templates, status, &err, line, bytes);
        fflush(stdout);
    }
    free(line);
    plim_templates_close(&templates);
    return 0;
}
