/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps that commands have in common: context, prompt, plan and load. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "baseline.h"
#include "chat_template.h"
#include "cli.h"
#include "environment.h"
#include "fail.h"
#include "files.h"
#include "interrupt.h"
#include "speeds.h"
#include "values.h"

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void on_log(void *user, plim_log_level level, const char *line)
{
    cli *c = user;
    if (c->options.quiet || (level != PLIM_LOG_WARN && !c->options.verbose))
        return;
    progress_clear(&c->progress);
    fprintf(stderr, "plimsoll: %s%s\n", level == PLIM_LOG_WARN ? "warning: " : "", line);
}

static plim_status find_line(const cli_options *o, uint64_t *limit, plim_error *err)
{
    plim_machine_memory machine;
    *limit = o->memory.kind == LINE_BYTES ? o->memory.bytes : 0;
    if (o->memory.kind != LINE_AUTO)
        return PLIM_OK;
    plim_status status = plim_machine_memory_read(&machine, err);
    if (status == PLIM_OK)
        *limit = machine.line;
    return status;
}

/* The text of an option that may be @FILE; c->texts keeps what was read. */
static plim_status text_or_file(char **kept, const char **option, plim_error *err)
{
    size_t bytes;
    if (!*option || (*option)[0] != '@' || *kept)
        return PLIM_OK;
    plim_status status = file_read(*option + 1, kept, &bytes, err);
    if (status != PLIM_OK)
        return status;
    if (strlen(*kept) != bytes)
        return cli_fail_file(err, PLIM_E_FORMAT, *option + 1, (int64_t)strlen(*kept),
                             "holds a NUL byte, text is wanted");
    *option = *kept;
    return PLIM_OK;
}

static plim_status fill_model_options(cli *c, plim_error *err)
{
    cli_options *o = &c->options;
    plim_status status = text_or_file(&c->texts[0], &o->device_map, err);
    if (status == PLIM_OK)
        status = text_or_file(&c->texts[1], &o->max_memory, err);
    if (status == PLIM_OK)
        status = text_or_file(&c->texts[2], &o->system, err);
    if (status == PLIM_OK && !o->cache_dir)
        status = environment_cache(c->cache, sizeof c->cache, err);
    if (status != PLIM_OK)
        return status;
    plim_model_options_init(&c->model);
    c->model.torch_dtype = o->dtype;
    c->model.device_map = o->device_map;
    c->model.max_memory = o->max_memory;
    c->model.offload_folder = o->offload_folder;
    c->model.low_cpu_mem_usage = o->low_cpu_mem_usage;
    c->model.reader = o->reader;
    c->model.mlock = o->mlock;
    c->model.context = (uint32_t)o->context;
    c->model.kv_dtype = o->kv_dtype;
    c->model.prefill_chunk = (uint32_t)o->prefill_chunk;
    c->model.revision = o->revision;
    c->model.subfolder = o->subfolder;
    c->model.variant = o->variant;
    c->model.cache_dir = o->cache_dir ? o->cache_dir : c->cache;
    c->model.progress = progress_show;
    c->model.progress_user = &c->progress;
    if (c->command == CMD_LOAD && o->context == 0)
        c->model.sessions = 0; /* the weights alone, unless a context is asked for */
    return PLIM_OK;
}

/* The context below `limit` (0: none); what the process holds already is its baseline. */
static plim_status open_context(cli *c, uint64_t limit, plim_error *err)
{
    plim_context_options context;
    plim_context_options_init(&context);
    plim_status status = baseline_measure(&context.baseline, err);
    if (status != PLIM_OK)
        return status;
    status = environment_cpu(&context.cpu_mask, err);
    if (status != PLIM_OK)
        return status;
    context.memory_limit = limit;
    context.threads = (unsigned)c->options.threads;
    context.log = on_log;
    context.log_user = c;
    return plim_context_open(&c->context, &context, err);
}

/* ---- measured speeds ---- */

static void warn(cli *c, const char *what, const plim_error *err)
{
    if (c->options.quiet)
        return;
    progress_clear(&c->progress);
    fprintf(stderr, "plimsoll: warning: %s: %s\n", what, err->message);
}

/* Where speeds are kept, and this machine's and this model's key.  False where nothing can be kept:
 * a name that leads nowhere is told by those who open it. */
static bool find_speeds(cli *c, char path[4096], char key[512], plim_error *err)
{
    char model[4096];
    *err = (plim_error){0};
    if (environment_speeds(path, 4096, err) != PLIM_OK)
        return false;
    plim_error ignored;
    if (plim_resolve(model, sizeof model, c->options.names[0], &c->model, &ignored) != PLIM_OK)
        return false;
    speeds_key(key, 512, model, plim_context_threads(c->context));
    return true;
}

/* Speeds that were measured before, for the seconds that a plan tells. */
static void recall_speeds(cli *c)
{
    char path[4096], key[512];
    plim_error err;
    bool found = false;
    bool loads = c->command == CMD_RUN || c->command == CMD_CHAT || c->command == CMD_PLAN ||
                 c->command == CMD_LOAD || c->command == CMD_LOGITS;
    if (!loads || !find_speeds(c, path, key, &err))
        return;
    if (speeds_read(path, key, &c->speeds, &found, &err) != PLIM_OK)
        warn(c, "measured speeds are not used", &err);
    c->model.speeds = found ? &c->speeds : NULL;
}

plim_status cli_probe(cli *c, plim_error *err)
{
    char path[4096], key[512];
    plim_error why;
    plim_status status = plim_probe(&c->speeds, c->context, c->options.names[0], &c->model, err);
    progress_clear(&c->progress);
    (void)plim_process_peak_reset(&why); /* what measuring took is no part of what is planned */
    if (status == PLIM_E_BUDGET) {
        warn(c, "speeds are not measured", err);
        return PLIM_OK;
    }
    if (status != PLIM_OK)
        return status;
    c->model.speeds = &c->speeds;
    if (!find_speeds(c, path, key, &why) || speeds_write(path, key, &c->speeds, &why) != PLIM_OK)
        warn(c, "measured speeds are not kept", &why);
    return PLIM_OK;
}

plim_status cli_start(cli *c, const char *what, plim_error *err)
{
    progress_open(&c->progress, what, c->options.quiet);
    plim_status status = fill_model_options(c, err);
    if (status == PLIM_OK)
        status = find_line(&c->options, &c->limit, err);
    if (status == PLIM_OK)
        status = open_context(c, c->limit, err);
    if (status == PLIM_OK && !c->options.probe)
        recall_speeds(c);
    return status;
}

void cli_stop(cli *c)
{
    progress_clear(&c->progress);
    plim_context_close(&c->context);
    free(c->texts[0]);
    free(c->texts[1]);
    free(c->texts[2]);
}

plim_status cli_check_name(const char *name, plim_error *err)
{
    struct stat st;
    if (stat(name, &st) != 0)
        return errno == EACCES ? cli_fail_errno(err, errno, name, "cannot be opened") : PLIM_OK;
    if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
        return PLIM_OK;
    return cli_fail_file(err, PLIM_E_IO, name, -1, "is %s, want a folder or a .safetensors file",
                         S_ISFIFO(st.st_mode)   ? "a fifo"
                         : S_ISSOCK(st.st_mode) ? "a socket"
                                                : "a device");
}

plim_status prompt_read(cli *c, cli_prompt *prompt, const char **text, size_t *bytes,
                        plim_error *err)
{
    const cli_options *o = &c->options;
    memset(prompt, 0, sizeof *prompt);
    *text = NULL;
    *bytes = 0;
    int given = (o->prompt != NULL) + (o->prompt_file != NULL) + (o->prompt_tokens.ids != NULL);
    if (given != 1)
        return cli_fail(err, PLIM_E_USAGE,
                        "want one of --prompt, --prompt-file and --prompt-tokens%s",
                        given ? ", found more" : "");
    if (o->prompt_file) {
        plim_status status = file_read(o->prompt_file, &prompt->text, bytes, err);
        *text = prompt->text;
        return status;
    }
    *text = o->prompt;
    *bytes = o->prompt ? strlen(o->prompt) : 0;
    return PLIM_OK;
}

/* No tokenizer was found.  Where there is no model either, that is the better answer. */
static plim_status no_model(cli *c, plim_status status, plim_error *err)
{
    plim_checkpoint *checkpoint = NULL;
    plim_error other;
    plim_status found =
        plim_checkpoint_open(&checkpoint, c->context, c->options.names[0], &c->model, &other);
    plim_checkpoint_close(&checkpoint);
    if (found != PLIM_OK)
        *err = other;
    return found != PLIM_OK ? found : status;
}

/* A conversation of one turn. */
static plim_status encode_turn(cli *c, cli_prompt *prompt, const char *text, size_t bytes,
                               int32_t **ids, plim_error *err)
{
    chat_template t;
    chat_talk talk = {0};
    plim_status status = chat_template_open(&t, c, err);
    if (status == PLIM_OK && c->options.system)
        status = chat_talk_set_system(&talk, c->options.system, err);
    if (status == PLIM_OK)
        status = chat_talk_add(&talk, "user", text, bytes, err);
    if (status == PLIM_OK)
        status = chat_template_encode(&t, prompt->tokenizer, &talk, 0, 0, ids, &prompt->count, err);
    chat_talk_free(&talk);
    chat_template_close(&t);
    return status;
}

plim_status prompt_encode(cli *c, cli_prompt *prompt, const char *text, size_t bytes,
                          plim_error *err)
{
    const cli_ids *given = &c->options.prompt_tokens;
    plim_status status =
        plim_tokenizer_open(&prompt->tokenizer, c->context, c->options.names[0], &c->model, err);
    if (status == PLIM_E_IO && given->ids)
        status = PLIM_OK; /* ids alone do without */
    else if (status == PLIM_E_IO)
        status = no_model(c, status, err);
    if (status != PLIM_OK)
        return status;
    int32_t *ids = NULL;
    if (c->options.chat)
        status = encode_turn(c, prompt, text, bytes, &ids, err);
    else if (!given->ids)
        status =
            plim_tokenizer_encode(prompt->tokenizer, text, bytes, 1, &ids, &prompt->count, err);
    else
        prompt->count = given->count;
    if (status != PLIM_OK)
        return status;
    prompt->ids = malloc((prompt->count + 1) * sizeof *prompt->ids);
    if (prompt->ids && prompt->count > 0)
        memcpy(prompt->ids, ids ? ids : given->ids, prompt->count * sizeof *ids);
    plim_free(ids);
    if (!prompt->ids)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for %zu token ids", prompt->count);
    if (prompt->count == 0)
        return cli_fail(err, PLIM_E_USAGE, "the prompt is empty: it gives no token");
    return PLIM_OK;
}

void prompt_free(cli_prompt *prompt)
{
    plim_tokenizer_close(&prompt->tokenizer);
    free(prompt->ids);
    free(prompt->text);
}

plim_status cli_plan(cli *c, plim_plan **plan, plim_plan_info *info, plim_error *err)
{
    const char *name = c->options.names[0];
    plim_status status = PLIM_E_BUDGET;
    if (c->context)
        status = plim_plan_open(plan, c->context, name, &c->model, err);
    if (status == PLIM_OK) {
        plim_plan_describe(*plan, info);
        return status;
    }
    if (status != PLIM_E_BUDGET)
        return status;
    plim_context_close(&c->context);
    status = open_context(c, 0, err);
    if (status == PLIM_OK)
        status = plim_plan_open(plan, c->context, name, &c->model, err);
    if (status != PLIM_OK)
        return status;
    plim_plan_describe(*plan, info);
    info->limit = c->limit;
    info->fits = 0;
    return PLIM_OK;
}

/* One line of advice; where the context is what the prompt and the new tokens need, a shorter one
 * means fewer of them. */
static int add_advice(const cli *c, char *out, size_t cap, const char *before, const char *line)
{
    unsigned positions;
    bool runs = c->command == CMD_RUN || c->command == CMD_LOGITS;
    if (runs && !c->options.context && sscanf(line, "--context %u fits", &positions) == 1)
        return snprintf(out, cap, "%s%u tokens, prompt and new ones (-n) together, fit", before,
                        positions);
    return snprintf(out, cap, "%s%s", before, line);
}

plim_status cli_does_not_fit(const cli *c, const plim_plan *plan, const plim_plan_info *info,
                             plim_error *err)
{
    char need[24], line[24], advice[900] = "";
    size_t used = 0;
    uint64_t peak = info->held > info->predicted_peak ? info->held : info->predicted_peak;
    for (size_t i = 0; i < info->advice_count && used + 1 < sizeof advice; i++) {
        int n = add_advice(c, advice + used, sizeof advice - used,
                           i ? "; or: " : "; what would fit: ", plim_plan_advice(plan, i));
        used += n > 0 ? (size_t)n : 0;
    }
    if (info->advice_count == 0)
        snprintf(advice, sizeof advice, "; what would fit: --memory %" PRIu64 "MiB",
                 ((peak + (1 << 19)) >> 20) + 1);
    if (!info->limit || peak <= info->limit) /* it is not the line that refuses */
        return cli_fail(err, PLIM_E_BUDGET, "does not fit%s%s",
                        c->options.max_memory ? " below the --max-memory for \"cpu\"" : "", advice);
    return cli_fail(err, PLIM_E_BUDGET, "does not fit: the peak would be %s, the line is %s%s",
                    text_of_bytes(need, sizeof need, peak),
                    text_of_bytes(line, sizeof line, info->limit), advice);
}

/* A prompt that can be read again: a pipe's text is gone. */
static bool prompt_stays(const char *file)
{
    struct stat st;
    return !file || (stat(file, &st) == 0 && S_ISREG(st.st_mode));
}

void cli_explain_refusal(cli *c, plim_status (*command)(cli *c, plim_error *err), plim_error *err)
{
    plim_error planned;
    plim_plan *plan = NULL;
    plim_plan_info info;
    if (c->limit == 0)
        return;
    plim_context_close(&c->context);
    if (!prompt_stays(c->options.prompt_file)) { /* for the context that plan would take */
        if (cli_plan(c, &plan, &info, &planned) == PLIM_OK && info.held > c->limit)
            cli_does_not_fit(c, plan, &info, err);
        plim_plan_close(&plan);
        return;
    }
    c->refused_line = c->limit;
    c->options.memory.kind = LINE_NONE;
    if (command(c, &planned) == PLIM_E_BUDGET && c->explained)
        *err = planned;
}

/* The refusal of a plan that was made for nothing else; without one when it would have fitted. */
static plim_status refuse(cli *c, const plim_plan *plan, plim_plan_info *info, plim_error *err)
{
    info->limit = c->refused_line;
    if (info->held <= info->limit)
        return cli_fail(err, PLIM_E_BUDGET, "does not fit");
    c->explained = true;
    return cli_does_not_fit(c, plan, info, err);
}

/* A signal reaches the load also while nobody calls back (memory is being brought in). */
static plim_status load_plan(plim_model **model, plim_plan *plan, plim_error *err)
{
    interrupt_watch_load(plan);
    plim_status status = plim_model_load(model, plan, err);
    interrupt_watch_load(NULL);
    return status;
}

plim_status cli_load(cli *c, uint64_t positions, plim_model **model, plim_error *err)
{
    bool runs = c->command == CMD_RUN || c->command == CMD_CHAT || c->command == CMD_LOGITS ||
                c->command == CMD_BENCH;
    plim_plan *plan = NULL;
    plim_plan_info info;
    if (!c->options.context && positions > 0)
        c->model.context = (uint32_t)(positions < UINT32_MAX ? positions : UINT32_MAX);
    plim_status status = plim_plan_open(&plan, c->context, c->options.names[0], &c->model, err);
    if (status != PLIM_OK)
        return status;
    plim_plan_describe(plan, &info);
    c->explained = !info.fits;
    if (runs && !info.runnable) /* refused there, with the list of what is known */
        status = plim_model_open(model, c->context, c->options.names[0], &c->model, err);
    else if (c->refused_line)
        status = refuse(c, plan, &info, err);
    else
        status = info.fits ? load_plan(model, plan, err) : cli_does_not_fit(c, plan, &info, err);
    plim_plan_close(&plan);
    progress_clear(&c->progress);
    return status;
}

void cli_error_json(cli_json *json, const plim_error *err)
{
    json_key(json, "error");
    json_object(json);
    json_put_text(json, "code", plim_status_name(err->code));
    json_put_text(json, "message", err->message);
    json_put_text(json, "file", err->file[0] ? err->file : NULL);
    json_put_text(json, "tensor", err->tensor[0] ? err->tensor : NULL);
    json_key(json, "offset");
    if (err->offset >= 0)
        json_i64(json, err->offset);
    else
        json_null(json);
    json_object_end(json);
}
