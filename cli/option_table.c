/* SPDX-License-Identifier: Apache-2.0
 *
 * The option table.  The names are those of Transformers where it has one. */
#include "option_table.h"

#include <stddef.h>

#define BIT(command) (1u << (command))
#define ALL          ((1u << CMD_COUNT) - 1)
#define LOADS                                                                                      \
    (BIT(CMD_RUN) | BIT(CMD_CHAT) | BIT(CMD_PLAN) | BIT(CMD_LOAD) | BIT(CMD_LOGITS) |              \
     BIT(CMD_BENCH))
#define RUNS      (BIT(CMD_RUN) | BIT(CMD_LOGITS))
#define NAMED     (ALL & ~BIT(CMD_SYNTH))
#define TEXT_IN   (RUNS | BIT(CMD_TOKENIZE))
#define ANSWERS   (BIT(CMD_RUN) | BIT(CMD_CHAT))
#define TEMPLATES (ANSWERS | BIT(CMD_TEMPLATE))
#define AT(field) offsetof(cli_options, field)
#define ANY       1, 0, false /* no bounds */

const option_row cli_option_table[] = {
    /* the prompt */
    {"prompt", NULL, 'p', KIND_TEXT, TEXT_IN, AT(prompt), ANY, "TEXT", "the text"},
    {"prompt-file", NULL, 0, KIND_TEXT, TEXT_IN, AT(prompt_file), ANY, "FILE",
     "the text of a file, as it is"},
    {"prompt-tokens", "tokens", 0, KIND_IDS, RUNS | BIT(CMD_DETOKENIZE), AT(prompt_tokens), ANY,
     "1,2,3", "token ids in place of text"},
    /* the chat template */
    {"chat", NULL, 0, KIND_FLAG, BIT(CMD_RUN), AT(chat), ANY, NULL,
     "the prompt is a message: one turn through the chat template"},
    {"system", NULL, 0, KIND_FILE_TEXT, ANSWERS, AT(system), ANY, "TEXT",
     "the system message (run: with --chat), or @FILE"},
    {"messages", NULL, 0, KIND_TEXT, BIT(CMD_TEMPLATE), AT(messages), ANY, "FILE",
     "JSON: an array of messages; - is standard input"},
    {"context", NULL, 0, KIND_TEXT, BIT(CMD_TEMPLATE), AT(context_file), ANY, "FILE",
     "JSON: an object with all that the template may name"},
    {"tools", NULL, 0, KIND_TEXT, BIT(CMD_TEMPLATE), AT(tools), ANY, "FILE",
     "JSON: an array of tools, with --messages"},
    {"template", NULL, 0, KIND_TEXT, TEMPLATES, AT(template_name), ANY, "NAME",
     "one of several of the model's, or a file, FILE.jinja"},
    {"no-generation-prompt", NULL, 0, KIND_FLAG, BIT(CMD_TEMPLATE), AT(no_generation_prompt), ANY,
     NULL, "end after the last message, with --messages"},
    {"set", NULL, 0, KIND_TEXTS, TEMPLATES, AT(set), ANY, "KEY=JSON",
     "a variable of the template; may be given again"},
    /* generation */
    {"max-new-tokens", NULL, 'n', KIND_I64, BIT(CMD_RUN), AT(max_new_tokens), 1, 4294967295.0,
     false, "N", "new tokens at most; wins over --max-length (default 20)"},
    {"max-new-tokens", NULL, 'n', KIND_I64, BIT(CMD_CHAT), AT(max_new_tokens), 1, 4294967295.0,
     false, "N", "per answer at most (default: what the context leaves)"},
    {"max-length", NULL, 0, KIND_I64, BIT(CMD_RUN), AT(max_length), 1, 4294967295.0, false, "N",
     "tokens at most, prompt included"},
    {"do-sample", NULL, 0, KIND_SWITCH, ANSWERS, AT(do_sample), ANY, NULL,
     "draw instead of taking the likeliest"},
    {"temperature", NULL, 0, KIND_REAL, ANSWERS, AT(temperature), 0, 1e30, true, "X",
     "above 0; 1 leaves the scores alone"},
    {"top-k", NULL, 0, KIND_I64, ANSWERS, AT(top_k), 0, 4294967295.0, false, "N",
     "draw from the N likeliest; 0: from all"},
    {"top-p", NULL, 0, KIND_REAL, ANSWERS, AT(top_p), 0, 1, false, "X",
     "draw from the likeliest that make up X"},
    {"min-p", NULL, 0, KIND_REAL, ANSWERS, AT(min_p), 0, 1, false, "X",
     "draw from those at least X times the likeliest"},
    {"repetition-penalty", NULL, 0, KIND_REAL, ANSWERS, AT(repetition_penalty), 0, 1e30, true, "X",
     "above 0; 1: none"},
    {"seed", NULL, 0, KIND_U64, ANSWERS | BIT(CMD_SYNTH), AT(seed), ANY, "N",
     "of the random numbers (default 0)"},
    {"stop", NULL, 0, KIND_TEXTS, ANSWERS, AT(stop), ANY, "TEXT",
     "end after this text; may be given again"},
    {"ignore-eos", NULL, 0, KIND_FLAG, ANSWERS, AT(ignore_eos), ANY, NULL,
     "go on after the end token"},
    {"no-prompt", NULL, 0, KIND_FLAG, BIT(CMD_RUN), AT(no_prompt), ANY, NULL,
     "write the continuation only"},
    /* measuring */
    {"prompt", NULL, 'p', KIND_COUNTS, BIT(CMD_BENCH), AT(prompts), ANY, "N,N",
     "lengths of the prefills (default 128,512)"},
    {"contexts", NULL, 0, KIND_COUNTS, BIT(CMD_BENCH), AT(contexts), ANY, "N,N",
     "positions before the new tokens (default 0,4096)"},
    {"max-new-tokens", NULL, 'n', KIND_I64, BIT(CMD_BENCH), AT(max_new_tokens), 1, 1e6, false, "N",
     "new tokens per context, over all rounds (default 32)"},
    {"rounds", NULL, 0, KIND_U64, BIT(CMD_BENCH), AT(rounds), 1, 99, false, "N",
     "of pass and limit in turns (default: 3 to 7, by time)"},
    /* tokens */
    {"no-special", NULL, 0, KIND_FLAG, BIT(CMD_TOKENIZE), AT(no_special), ANY, NULL,
     "add no special tokens"},
    {"offsets", NULL, 0, KIND_FLAG, BIT(CMD_TOKENIZE), AT(offsets), ANY, NULL,
     "with --json or --jsonl: the bytes behind each id"},
    {"skip-special", NULL, 0, KIND_FLAG, BIT(CMD_DETOKENIZE), AT(skip_special), ANY, NULL,
     "leave special tokens out"},
    {"jsonl", NULL, 0, KIND_FLAG, BIT(CMD_TOKENIZE) | BIT(CMD_DETOKENIZE), AT(jsonl), ANY, NULL,
     "a JSON value per line in, an object per line out"},
    /* loading */
    {"dtype", "torch-dtype", 0, KIND_DTYPE, LOADS | BIT(CMD_SYNTH) | BIT(CMD_CONVERT), AT(dtype),
     ANY, "TYPE", "auto, float32, bfloat16, float16, int8, int4"},
    {"memory", NULL, 0, KIND_LINE, ALL & ~BIT(CMD_SYNTH), AT(memory), ANY, "SIZE",
     "the line never crossed: auto (default), none, 8GiB"},
    {"low-cpu-mem-usage", NULL, 0, KIND_BOOL, LOADS, AT(low_cpu_mem_usage), ANY, "BOOL",
     "false: the old way, for comparison (default true)"},
    {"reader", NULL, 0, KIND_READER, LOADS, AT(reader), ANY, "HOW", "auto, map, buffered, direct"},
    {"device-map", NULL, 0, KIND_FILE_TEXT, LOADS, AT(device_map), ANY, "MAP",
     "auto, cpu, disk, {\"MODULE\": \"cpu\" or \"disk\"}, @FILE"},
    {"max-memory", NULL, 0, KIND_FILE_TEXT, LOADS, AT(max_memory), ANY, "JSON",
     "weights per device, {\"cpu\": \"4GiB\"}, or @FILE"},
    {"context", NULL, 0, KIND_U64, LOADS, AT(context), 1, 4294967295.0, false, "N",
     "KV positions (run, logits: what is needed; else up to 4096)"},
    {"kv-dtype", NULL, 0, KIND_KV_DTYPE, LOADS, AT(kv_dtype), ANY, "TYPE",
     "auto, float32, float16, bfloat16"},
    {"prefill-chunk", NULL, 0, KIND_U64, LOADS, AT(prefill_chunk), 1, 65536, false, "N",
     "prompt rows per pass (default 256)"},
    {"mlock", NULL, 0, KIND_FLAG, LOADS, AT(mlock), ANY, NULL,
     "keep weights and KV from being swapped"},
    {"probe", NULL, 0, KIND_FLAG, BIT(CMD_PLAN), AT(probe), ANY, NULL,
     "measure this disk and memory first, and keep the figures"},
    {"threads", NULL, 0, KIND_U64, ALL, AT(threads), 1, 256, false, "N",
     "default: the physical cores this process may use"},
    {"offload-folder", NULL, 0, KIND_TEXT, LOADS, AT(offload_folder), ANY, "DIR",
     "accepted; nothing is ever written there"},
    /* where a name leads */
    {"revision", NULL, 0, KIND_TEXT, NAMED, AT(revision), ANY, "REV", "branch, tag or commit"},
    {"subfolder", NULL, 0, KIND_TEXT, NAMED, AT(subfolder), ANY, "DIR", "of the model"},
    {"variant", NULL, 0, KIND_TEXT, LOADS | BIT(CMD_INFO) | BIT(CMD_CONVERT), AT(variant), ANY,
     "NAME", "model.NAME.safetensors"},
    {"cache-dir", NULL, 0, KIND_TEXT, NAMED, AT(cache_dir), ANY, "DIR",
     "the Hugging Face cache (help environment)"},
    /* output */
    {"output", NULL, 'o', KIND_TEXT, BIT(CMD_LOGITS), AT(output), ANY, "FILE",
     "the safetensors file to write"},
    {"max-shard-size", NULL, 0, KIND_SIZE, BIT(CMD_SYNTH) | BIT(CMD_CONVERT), AT(max_shard_size), 1,
     1e18, false, "SIZE", "files of at most SIZE (synth: one file; convert: 5GB)"},
    {"cpu", NULL, 0, KIND_FLAG, BIT(CMD_INFO), AT(cpu), ANY, NULL,
     "in place of a MODEL: the processor, its kernels and threads"},
    {"json", NULL, 0, KIND_FLAG, ALL, AT(json), ANY, NULL, "one JSON object on standard output"},
    {"quiet", NULL, 'q', KIND_FLAG, ALL, AT(quiet), ANY, NULL,
     "no progress, warnings or memory report"},
    {"verbose", NULL, 'v', KIND_FLAG, ALL, AT(verbose), ANY, NULL, "say more on standard error"},
    {"help", NULL, 'h', KIND_FLAG, ALL, AT(help), ANY, NULL, "this text"},
};

const size_t cli_option_count = sizeof cli_option_table / sizeof cli_option_table[0];
