/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: one table of options with their types and ranges, used for parsing, for help
 * and for usage errors.  Values are checked here, before any file is opened. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "out.h"

typedef enum cli_command {
    CMD_RUN,
    CMD_CHAT,
    CMD_PLAN,
    CMD_LOAD,
    CMD_INFO,
    CMD_LOGITS,
    CMD_TOKENIZE,
    CMD_DETOKENIZE,
    CMD_TEMPLATE,
    CMD_SYNTH,
    CMD_CONVERT,
    CMD_BENCH,
    CMD_COUNT
} cli_command;

#define CLI_MAX_STOP  64
#define CLI_MAX_NAMES 2

/* Memory lines: `bytes` counts for LINE_BYTES only. */
typedef struct cli_line {
    enum { LINE_AUTO, LINE_NONE, LINE_BYTES } kind;
    uint64_t bytes;
} cli_line;

typedef struct cli_ids {
    int32_t *ids; /* NULL: not given */
    size_t count;
} cli_ids;

#define CLI_MAX_COUNTS 16

typedef struct cli_counts {
    uint64_t count[CLI_MAX_COUNTS];
    size_t n; /* 0: not given */
} cli_counts;

typedef struct cli_texts {
    const char *text[CLI_MAX_STOP];
    size_t count;
} cli_texts;

/* Text points into argv.  Fields with "unset" values are plim_generate_options' own. */
typedef struct cli_options {
    const char *names[CLI_MAX_NAMES]; /* MODEL; or CONFIG and OUT */
    size_t name_count;
    plim_dtype dtype, kv_dtype;
    const char *device_map, *max_memory, *offload_folder;
    const char *revision, *subfolder, *variant, *cache_dir;
    cli_line memory;
    bool low_cpu_mem_usage, mlock, probe;
    plim_reader reader;
    uint64_t threads, context, prefill_chunk; /* 0: not given */
    const char *prompt, *prompt_file;
    cli_ids prompt_tokens;
    bool ignore_eos, no_prompt;
    int64_t max_length, max_new_tokens, do_sample, top_k;
    double temperature, top_p, min_p, repetition_penalty;
    uint64_t seed, max_shard_size;
    cli_texts stop;
    const char *output;
    bool no_special, skip_special, jsonl, offsets;
    bool chat;                                   /* run: one turn through the chat template */
    const char *system, *template_name;          /* a name, or a .jinja file */
    const char *messages, *context_file, *tools; /* files of JSON; "-" is standard input */
    bool no_generation_prompt;
    cli_texts set;                /* KEY=JSON */
    cli_counts prompts, contexts; /* of bench */
    uint64_t rounds;              /* 0: not given */
    bool cpu;                     /* info: of the processor */
    bool json, quiet, verbose, help;
} cli_options;

/* argv[0] is what follows the command's name.  PLIM_E_USAGE names the option and what it wants.
 * cli_options_free is due whatever comes back. */
plim_status cli_options_parse(cli_options *out, cli_command command, int argc, char **argv,
                              plim_error *err);
void cli_options_free(cli_options *options);

/* The options of a command, by group. */
void cli_options_help(cli_out *out, cli_command command);

#endif
