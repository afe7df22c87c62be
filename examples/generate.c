/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Python user does with AutoTokenizer.from_pretrained,
 * AutoModelForCausalLM.from_pretrained(name, low_cpu_mem_usage=True, torch_dtype=...,
 * device_map="cpu") and generate(max_length=20, do_sample=False). cc generate.c $(pkg-config
 * --cflags --libs plimsoll) && ./a.out MODEL [PROMPT [DTYPE]] */
#include <plimsoll.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "gpt2-medium";
    const char *prompt = argc > 2 ? argv[2] : "The future of AI is";
    plim_error err;
    plim_context *context = NULL;
    plim_tokenizer *tokenizer = NULL;
    plim_model *model = NULL;
    plim_generation *generation = NULL;
    plim_process_memory before, after;

    plim_model_options load;
    plim_model_options_init(&load);
    load.low_cpu_mem_usage = 1;
    load.device_map = "cpu";
    load.context = 20;
    plim_generate_options how;
    plim_generate_options_init(&how);
    how.max_length = 20;
    how.do_sample = 0;

    if (plim_dtype_parse(&load.torch_dtype, argc > 3 ? argv[3] : "auto", &err) ||
        plim_context_open(&context, NULL, &err) ||
        plim_tokenizer_open(&tokenizer, context, name, &load, &err) ||
        plim_process_memory_read(&before, &err) ||
        plim_model_open(&model, context, name, &load, &err) ||
        plim_process_memory_read(&after, &err) ||
        plim_generate_text(&generation, model, tokenizer, prompt, &how, &err)) {
        fprintf(stderr, "%s: %s\n", plim_status_name(err.code), err.message);
    } else {
        printf("RSS before %.1f MB, after %.1f MB, increase %.1f MB\n", (double)before.rss / 1e6,
               (double)after.rss / 1e6, ((double)after.rss - (double)before.rss) / 1e6);
        printf("%llu parameters\n", (unsigned long long)plim_model_num_parameters(model));
        printf("%s%s\n", prompt, generation->text);
    }
    int failed = !generation;
    plim_generation_free(&generation);
    plim_model_close(&model);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&context);
    return failed;
}
