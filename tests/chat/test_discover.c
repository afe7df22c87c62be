/* SPDX-License-Identifier: Apache-2.0
 *
 * Which templates of a folder count, which one is chosen, and the special tokens that they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "chat/support.h"

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/plim-chat-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    static const char *const names[] = {"model/tokenizer_config.json",
                                        "model/special_tokens_map.json",
                                        "additional_chat_templates/tool_use.jinja",
                                        "additional_chat_templates/b.jinja",
                                        "additional_chat_templates/notes.txt",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json"};
    char path[256];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
    rmdir(path);
    snprintf(path, sizeof path, "%s/model", folder);
    rmdir(path);
    return rmdir(folder);
}

static plim_status render_with(const char *path, const char *specials, const char *name,
                               const char *context, char **out, plim_error *err)
{
    plim_templates *templates;
    plim_chat_text text = {0};
    plim_chat_request request = {
        .context = context, .context_bytes = strlen(context), .template_name = name};
    *out = NULL;
    plim_status status = plim_templates_open(&templates, plim_alloc_system(), path, specials, err);
    if (!status)
        status = plim_templates_render(templates, plim_alloc_system(), &request, &text, err);
    if (!status)
        *out = strdup(text.text);
    plim_chat_text_free(&text, plim_alloc_system());
    plim_templates_close(&templates);
    return status;
}

static plim_status render(const char *path, const char *name, const char *context, char **out,
                          plim_error *err)
{
    return render_with(path, NULL, name, context, out, err);
}

static void expect(const char *name, const char *context, const char *want)
{
    plim_error err = {0};
    char *text;
    if (render(folder, name, context, &text, &err))
        fail_msg("%s", err.message);
    assert_string_equal(text, want);
    free(text);
}

static void refuse(const char *name, const char *context, plim_status want, const char *says)
{
    plim_error err = {0};
    char *text;
    assert_int_equal(render(folder, name, context, &text, &err), want);
    if (!strstr(err.message, says))
        fail_msg("'%s' is not in '%s'", says, err.message);
}

static void test_none(void **state)
{
    (void)state;
    refuse(NULL, "{}", PLIM_E_IO, "no chat template");
    refuse(NULL, "{}", PLIM_E_IO, folder);
    put("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
    refuse(NULL, "{}", PLIM_E_IO, "no chat template");
    put("tokenizer_config.json", "{\"chat_template\": null}");
    refuse(NULL, "{}", PLIM_E_IO, "no chat template");
}

static void test_order(void **state)
{
    (void)state;
    put("tokenizer_config.json",
        "{\"chat_template\": \"config{{ bos_token }}{{ eos_token }}{{ unk_token }}\", "
        "\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\", \"lstrip\": false}, "
        "\"unk_token\": null}");
    expect(NULL, "{}", "config<s></s>");
    put("special_tokens_map.json", "{\"bos_token\": \"<other>\", \"unk_token\": \"<unk>\"}");
    expect(NULL, "{}", "config<s></s><unk>");
    expect(NULL, "{\"bos_token\": \"mine\"}", "configmine</s><unk>");
    put("chat_template.json", "{\"chat_template\": \"json{{ bos_token }}\"}");
    expect(NULL, "{}", "json<s>");
    put("chat_template.jinja", "file{{ bos_token }}\r\n");
    expect(NULL, "{}", "file<s>");
    expect("default", "{}", "file<s>");
    refuse("nope", "{}", PLIM_E_USAGE, "nope");
}

static void test_named(void **state)
{
    (void)state;
    put("tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"R\"}, {\"template\": \"T\", "
        "\"name\": \"tool_use\"}]}");
    expect("rag", "{}", "R");
    expect(NULL, "{\"tools\": [{}]}", "T");
    expect(NULL, "{\"tools\": []}", "T");
    refuse(NULL, "{}", PLIM_E_USAGE, "none is the default");
    refuse(NULL, "{\"tools\": null}", PLIM_E_USAGE, "none is the default");
    put("tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"default\", \"template\": \"D\"}, {\"template\": \"T\", "
        "\"name\": \"tool_use\"}]}");
    expect(NULL, "{}", "D");
    expect(NULL, "{\"tools\": [{}]}", "T");
    expect("default", "{\"tools\": [{}]}", "D");
}

static void test_further(void **state)
{
    char path[256];
    plim_templates *templates;
    plim_error err = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put("chat_template.jinja", "D");
    put("additional_chat_templates/tool_use.jinja", "T{{ tools|length }}");
    put("additional_chat_templates/b.jinja", "B");
    put("additional_chat_templates/notes.txt", "{% broken");
    expect(NULL, "{}", "D");
    expect(NULL, "{\"tools\": [{}, {}]}", "T2");
    expect("b", "{}", "B");
    assert_int_equal(plim_templates_open(&templates, plim_alloc_system(), folder, NULL, &err),
                     PLIM_OK);
    assert_string_equal(plim_templates_name(templates, 0), "default");
    assert_string_equal(plim_templates_name(templates, 1), "b");
    assert_string_equal(plim_templates_name(templates, 2), "tool_use");
    assert_null(plim_templates_name(templates, 3));
    plim_templates_close(&templates);
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    char *text;
    assert_int_equal(render(path, NULL, "{}", &text, &err), PLIM_OK);
    assert_string_equal(text, "D");
    free(text);
}

/* Special tokens for a template from elsewhere: those beside the file, or those of a folder. */
static void test_special_tokens_of_a_file(void **state)
{
    char path[256], model[256], *text;
    plim_error err = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    snprintf(model, sizeof model, "%s/model", folder);
    assert_int_equal(mkdir(model, 0700), 0);
    put("chat_template.jinja", "[{{ bos_token }}{{ eos_token }}{{ pad_token }}]");
    assert_int_equal(render_with(path, NULL, NULL, "{}", &text, &err), PLIM_OK);
    assert_string_equal(text, "[]");
    free(text);
    put("tokenizer_config.json",
        "{\"chat_template\": \"never\", \"bos_token\": \"<s>\", \"pad_token\": \"<pad>\"}");
    put("special_tokens_map.json", "{\"eos_token\": {\"content\": \"</s>\"}}");
    assert_int_equal(render_with(path, NULL, NULL, "{}", &text, &err), PLIM_OK);
    assert_string_equal(text, "[<s></s><pad>]");
    free(text);
    put("model/tokenizer_config.json",
        "{\"chat_template\": \"{% broken\", \"bos_token\": \"<model>\"}");
    put("model/special_tokens_map.json", "{\"eos_token\": \"</model>\"}");
    assert_int_equal(render_with(path, model, NULL, "{}", &text, &err), PLIM_OK);
    assert_string_equal(text, "[<model></model>]");
    free(text);
    put("model/tokenizer_config.json", "{\"bos_token\"");
    assert_int_equal(render_with(path, model, NULL, "{}", &text, &err), PLIM_E_TRUNC);
    assert_non_null(strstr(err.file, "model/tokenizer_config.json"));
}

static void test_bad_files(void **state)
{
    (void)state;
    put("tokenizer_config.json", "{\"chat_template\": 5}");
    refuse(NULL, "{}", PLIM_E_FORMAT, "chat_template must be");
    put("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"x\"}]}");
    refuse(NULL, "{}", PLIM_E_FORMAT, "a name and a template");
    put("tokenizer_config.json",
        "{\"chat_template\": [{\"name\": \"x\", \"template\": \"\"}, {\"name\": \"x\", "
        "\"template\": \"\"}]}");
    refuse(NULL, "{}", PLIM_E_FORMAT, "two chat templates");
    put("tokenizer_config.json", "{\"chat_template\": \"a\\n{% if\"}");
    refuse(NULL, "{}", PLIM_E_FORMAT, "tokenizer_config.json: line 2");
    put("chat_template.jinja", "a\n\n{{ 1 + }}");
    refuse(NULL, "{}", PLIM_E_FORMAT, "chat_template.jinja: line 3");
    put("chat_template.jinja", "a\xff");
    refuse(NULL, "{}", PLIM_E_FORMAT, "UTF-8");
    char *large = malloc(PLIM_CHAT_SOURCE_BYTES + 2);
    assert_non_null(large);
    memset(large, 'a', PLIM_CHAT_SOURCE_BYTES + 1);
    large[PLIM_CHAT_SOURCE_BYTES + 1] = 0;
    put("chat_template.jinja", large);
    free(large);
    refuse(NULL, "{}", PLIM_E_LIMIT, "chat_template.jinja");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, begin, end),
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_named, begin, end),
        cmocka_unit_test_setup_teardown(test_further, begin, end),
        cmocka_unit_test_setup_teardown(test_special_tokens_of_a_file, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_files, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
