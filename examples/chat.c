/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Python user does with tokenizer.apply_chat_template(messages, add_generation_prompt=True)
 * and generate: one turn of a conversation, the answer written as it comes. cc chat.c $(pkg-config
 * --cflags --libs plimsoll) && ./a.out MODEL [TEMPLATE.jinja] < messages.json */
#include <plimsoll.h>
#include <stdio.h>
#include <string.h>

static int write_text(void *user, const plim_token_event *event)
{
    (void)user;
    fwrite(event->text, 1, event->text_bytes, stdout);
    fflush(stdout);
    return 0; /* anything else stops the generation */
}

/* {"messages": what standard input holds, "add_generation_prompt": true}; its bytes. */
static size_t read_context(char *text, size_t cap)
{
    static const char begin[] = "{\"messages\":", end[] = ",\"add_generation_prompt\":true}";
    size_t bytes = strlen(begin);
    memcpy(text, begin, bytes);
    bytes += fread(text + bytes, 1, cap - bytes - strlen(end), stdin);
    memcpy(text + bytes, end, strlen(end));
    return bytes + strlen(end);
}

int main(int argc, char **argv)
{
    static char messages[1 << 20];
    const char *name = argc > 1 ? argv[1] : "HuggingFaceTB/SmolLM2-135M-Instruct";
    const char *file = argc > 2 ? argv[2] : NULL;
    plim_error err;
    plim_context *context = NULL;
    plim_tokenizer *tokenizer = NULL;
    plim_chat *chat = NULL;
    plim_model *model = NULL;
    plim_session *session = NULL;
    plim_generation *generation = NULL;
    int32_t *ids = NULL;
    size_t count = 0, bytes = read_context(messages, sizeof messages);

    plim_generate_options how;
    plim_generate_options_init(&how);
    how.max_new_tokens = 64;
    how.on_token = write_text;

    if (plim_context_open(&context, NULL, &err) ||
        plim_tokenizer_open(&tokenizer, context, name, NULL, &err) ||
        (file ? plim_chat_open_template(&chat, context, file, name, NULL, &err)
              : plim_chat_open(&chat, context, name, NULL, &err)) ||
        /* nothing in the messages can become a special token; what the template writes does */
        plim_chat_encode(chat, tokenizer, messages, bytes, NULL, &ids, &count, &err) ||
        plim_model_open(&model, context, name, NULL, &err) ||
        plim_session_open(&session, model, &err) ||
        plim_session_generate(&generation, session, tokenizer, ids, count, &how, &err)) {
        fprintf(stderr, "%s: %s\n", plim_status_name(err.code), err.message);
    } else {
        printf("\n%zu tokens of prompt, %zu of answer\n", count, generation->token_count);
    }
    int failed = !generation;
    plim_generation_free(&generation);
    plim_session_close(&session);
    plim_model_close(&model);
    plim_free(ids);
    plim_chat_close(&chat);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&context);
    return failed;
}
