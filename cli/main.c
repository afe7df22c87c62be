/* SPDX-License-Identifier: Apache-2.0
 *
 * The program: from argv to a command, and from its status to messages and an exit code. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli.h"
#include "environment.h"
#include "fail.h"
#include "interrupt.h"

typedef struct command_row {
    const char *name, *arguments, *summary;
    plim_status (*run)(cli *c, plim_error *err);
} command_row;

static const command_row commands[CMD_COUNT] = {
    [CMD_RUN] = {"run", "MODEL -p TEXT", "load, generate from a prompt, show the memory it took",
                 run_command},
    [CMD_CHAT] = {"chat", "MODEL", "talk to the model with its chat template", chat_command},
    [CMD_PLAN] = {"plan", "MODEL",
                  "before a weight byte is read: what will live where, the peak, whether it fits",
                  plan_command},
    [CMD_LOAD] = {"load", "MODEL", "load only: seconds, bytes, peak; checks the prediction",
                  load_command},
    [CMD_INFO] = {"info", "MODEL | --cpu", "model type, parameters, tensors, from headers alone",
                  info_command},
    [CMD_LOGITS] = {"logits", "MODEL -p TEXT -o FILE",
                    "the scores of every position, as a safetensors file", logits_command},
    [CMD_TOKENIZE] = {"tokenize", "MODEL", "text to token ids; without -p from standard input",
                      tokenize_command},
    [CMD_DETOKENIZE] = {"detokenize", "MODEL",
                        "token ids to text; without --prompt-tokens from standard input",
                        detokenize_command},
    [CMD_TEMPLATE] =
        {"template", "MODEL --messages FILE",
         "messages to the text that the chat template gives; MODEL may be a .jinja file",
         template_command},
    [CMD_SYNTH] = {"synth", "CONFIG OUT",
                   "a checkpoint of a config.json's shape, with random weights", synth_command},
    [CMD_CONVERT] = {"convert", "MODEL OUT --dtype TYPE",
                     "a checkpoint in another type, as a Hugging Face folder", convert_command},
    [CMD_BENCH] = {"bench", "MODEL",
                   "load, prefill and decode speed beside this machine's own limits",
                   bench_command},
};

static const char *const later[] = {"pull", "serve"};

static const command_row *find_command(const char *name)
{
    for (int i = 0; i < CMD_COUNT; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static plim_status unknown_command(const char *name, plim_error *err)
{
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (!strcmp(name, later[i]))
            return cli_fail(err, PLIM_E_UNSUP, "'%s' is not there yet", name);
    return cli_fail(err, PLIM_E_USAGE, "unknown command '%.80s'", name);
}

static void overview(cli_out *out)
{
    out_text(out, "usage: plimsoll COMMAND MODEL [options]\n\n"
                  "Loads Hugging Face checkpoints without peak memory, and runs them.\n\n");
    for (int i = 0; i < CMD_COUNT; i++)
        out_format(out, "  %-11s %s\n", commands[i].name, commands[i].summary);
    out_text(out, "\nMODEL is a folder, a .safetensors file with its config.json beside it, or a "
                  "Hugging Face\n"
                  "name (org/name, @revision) that the local cache holds.\n\n"
                  "plimsoll help COMMAND       its options\n"
                  "plimsoll help environment   the variables it reads\n"
                  "plimsoll version\n");
}

static void command_help(cli_out *out, const command_row *row)
{
    out_format(out, "usage: plimsoll %s %s [options]\n\n%s\n\n", row->name, row->arguments,
               row->summary);
    cli_options_help(out, (cli_command)(row - commands));
    if (row == &commands[CMD_CHAT])
        chat_help(out);
}

static plim_status help(cli_out *out, const char *topic, plim_error *err)
{
    const command_row *row = topic ? find_command(topic) : NULL;
    if (!topic)
        overview(out);
    else if (row)
        command_help(out, row);
    else if (!strcmp(topic, "environment"))
        environment_help(out);
    else
        return unknown_command(topic, err);
    return PLIM_OK;
}

static plim_status run_row(cli *c, const command_row *row, int argc, char **argv, plim_error *err)
{
    c->command = (cli_command)(row - commands);
    plim_status status = cli_options_parse(&c->options, c->command, argc, argv, err);
    if (status == PLIM_OK && c->options.help)
        command_help(&c->out, row);
    else if (status == PLIM_OK)
        status = row->run(c, err);
    if (status == PLIM_E_BUDGET && !c->answered && !c->explained &&
        (c->command == CMD_RUN || c->command == CMD_CHAT || c->command == CMD_LOAD ||
         c->command == CMD_LOGITS || c->command == CMD_BENCH))
        cli_explain_refusal(c, row->run, err);
    cli_stop(c);
    cli_options_free(&c->options);
    return status;
}

static plim_status dispatch(cli *c, int argc, char **argv, plim_error *err)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name)
        return cli_fail(err, PLIM_E_USAGE, "a command is wanted; plimsoll help lists them");
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        return help(&c->out, argc > 2 ? argv[2] : NULL, err);
    if (!strcmp(name, "version") || !strcmp(name, "--version")) {
        out_format(&c->out, "plimsoll %s\n", plim_version());
        return PLIM_OK;
    }
    const command_row *row = find_command(name);
    return row ? run_row(c, row, argc - 2, argv + 2, err) : unknown_command(name, err);
}

/* --json on the command line, also where parsing never came so far. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--json"))
            return true;
    return false;
}

static void tell_error(const char *command, const plim_error *err)
{
    const command_row *row = command ? find_command(command) : NULL;
    fprintf(stderr, "plimsoll%s%s: %s: %s\n", row ? " " : "", row ? row->name : "",
            plim_status_name(err->code), err->message);
    if (err->code == PLIM_E_USAGE)
        fprintf(stderr, "see: plimsoll help%s%s\n", row ? " " : "", row ? row->name : "");
}

/* A descriptor 0, 1 or 2 that is closed would be given to the next file opened, and written into.
 */
static void guard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* A sharded checkpoint keeps every shard open: as many as the system allows. */
static void raise_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    cli c;
    plim_error err;
    memset(&c, 0, sizeof c);
    memset(&err, 0, sizeof err);
    guard_descriptors();
    raise_descriptors();
    interrupt_install(wants_json(argc, argv));
    c.start = cli_now();
    out_open(&c.out, STDOUT_FILENO);
    plim_status status = dispatch(&c, argc, argv, &err);
    err.code = status;
    if (status != PLIM_OK && !c.answered && wants_json(argc, argv)) {
        cli_json json;
        json_begin(&json, &c.out);
        json_object(&json);
        cli_error_json(&json, &err);
        json_object_end(&json);
        json_end(&json);
    }
    if (status != PLIM_OK)
        tell_error(argc > 1 ? argv[1] : NULL, &err);
    plim_error closing;
    plim_status closed = out_close(&c.out, "standard output", &closing);
    if (c.out.closed_pipe && (status == PLIM_OK || status == PLIM_E_CANCELLED) && !interrupt_seen())
        return 0;
    if (closed != PLIM_OK && status == PLIM_OK) {
        status = closed;
        tell_error(argc > 1 ? argv[1] : NULL, &closing);
    }
    return cli_exit_code(status);
}
