/* SPDX-License-Identifier: Apache-2.0
 *
 * What all commands share: the options, standard output, the context with its line, and the steps
 * that commands have in common. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "json_out.h"
#include "options.h"
#include "progress.h"

typedef struct cli {
    cli_command command;
    cli_options options;
    cli_out out;   /* standard output */
    bool answered; /* the JSON object is written already, its error included */
    double start;  /* of the program, seconds */
    plim_context *context;
    uint64_t limit;           /* the line; 0: none */
    uint64_t refused_line;    /* not 0: plan without a line, and refuse by this one */
    bool explained;           /* a refusal says what would fit */
    plim_model_options model; /* as the options say; see cli_start */
    plim_speeds speeds;       /* measured here before; c->model points to it where there are any */
    cli_progress progress;
    char cache[4096];
    char *texts[3]; /* of @FILE options */
} cli;

/* The commands.  Their status decides the exit code; the error is printed by the caller. */
plim_status run_command(cli *c, plim_error *err);
plim_status chat_command(cli *c, plim_error *err);
plim_status plan_command(cli *c, plim_error *err);
plim_status load_command(cli *c, plim_error *err);
plim_status info_command(cli *c, plim_error *err);
plim_status info_cpu(cli *c, plim_error *err); /* info --cpu */
plim_status logits_command(cli *c, plim_error *err);
plim_status tokenize_command(cli *c, plim_error *err);
plim_status detokenize_command(cli *c, plim_error *err);
plim_status template_command(cli *c, plim_error *err);
plim_status synth_command(cli *c, plim_error *err);
plim_status bench_command(cli *c, plim_error *err);
plim_status convert_command(cli *c, plim_error *err);

/* What plimsoll help chat says beyond the options. */
void chat_help(cli_out *out);

double cli_now(void); /* monotonic seconds */

/* Open the context below the line that --memory asks for (what the process holds already is its
 * baseline), and fill c->model.  `what` heads the progress line. */
plim_status cli_start(cli *c, const char *what, plim_error *err);
void cli_stop(cli *c);

/* Measure the speeds of this disk and memory, keep them for later runs, and plan with them.  What
 * can't be measured below the line, or can't be kept, is a warning. */
plim_status cli_probe(cli *c, plim_error *err);

/* IO for a MODEL that is neither folder nor file, before anything waits for it. */
plim_status cli_check_name(const char *name, plim_error *err);

/* The tokenizer and the ids of the prompt that the options give.  *tokenizer is NULL where ids were
 * given and no tokenizer lies there.  ids is allocated (free). */
typedef struct cli_prompt {
    plim_tokenizer *tokenizer;
    int32_t *ids;
    size_t count;
    char *text; /* of --prompt-file; freed with the rest */
} cli_prompt;

/* With --chat the text is a message, and the ids are those of a turn through the chat template.
 * Two steps, so that a prompt's text counts as held already when the context opens: read, then
 * encode. */
plim_status prompt_read(cli *c, cli_prompt *prompt, const char **text, size_t *bytes,
                        plim_error *err);
plim_status prompt_encode(cli *c, cli_prompt *prompt, const char *text, size_t bytes,
                          plim_error *err);
void prompt_free(cli_prompt *prompt);

/* Plan and load MODEL with a context of `positions` unless --context says otherwise (0: the
 * library's choice). BUDGET with what would fit, before anything is loaded. */
plim_status cli_load(cli *c, uint64_t positions, plim_model **model, plim_error *err);

/* The plan and its summary.  A line too low even for planning is no error: the plan is then made
 * without one, and does not fit. */
plim_status cli_plan(cli *c, plim_plan **plan, plim_plan_info *info, plim_error *err);

/* "does not fit" in words: what is predicted, the line, what would make it fit.  PLIM_E_BUDGET. */
plim_status cli_does_not_fit(const cli *c, const plim_plan *plan, const plim_plan_info *info,
                             plim_error *err);

/* Where a refusal (PLIM_E_BUDGET in *err) came before the plan could tell what is needed: run the
 * command again as far as its plan, without a line, and say that instead. */
void cli_explain_refusal(cli *c, plim_status (*command)(cli *c, plim_error *err), plim_error *err);

/* "error": {code message file tensor offset}, as a member of the object that is open. */
void cli_error_json(cli_json *json, const plim_error *err);

#endif
