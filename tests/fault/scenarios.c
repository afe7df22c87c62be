/* SPDX-License-Identifier: Apache-2.0
 *
 * Over 600 lines because each scenario is a few lines, and they share their digests.
 *
 * Scenarios of the fault loop. */
#include "fault/scenarios.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prompt[] =
    "First Citizen:\nBefore we proceed any further, hear m\xC3\xA9 speak.\n";

/* ---- digests ---- */

static void see(stage *s, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        s->digest = (s->digest ^ p[i]) * 0x100000001b3u;
}

static void see_text(stage *s, const char *text)
{
    see(s, text ? text : "(none)", text ? strlen(text) + 1 : 7);
}

static void see_u64(stage *s, uint64_t n)
{
    see(s, &n, sizeof n);
}

static void see_tensor(stage *s, const plim_tensor_info *t)
{
    see_text(s, t->name);
    see_u64(s, t->dtype);
    see_u64(s, t->stored_dtype);
    see(s, t->shape, t->rank * sizeof *t->shape);
    see_u64(s, t->bytes);
    see_u64(s, t->offset);
    see_u64(s, t->form);
    see_text(s, t->file);
    see_text(s, t->tied_to);
}

/* ---- context ---- */

static void *host_alloc(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void host_free(void *user, void *ptr, size_t bytes)
{
    (void)user, (void)bytes;
    free(ptr);
}

/* With a line that nothing crosses (so that the baseline must be known) and a host's allocator. */
static plim_status run_context(stage *s, plim_error *err)
{
    static const plim_allocator host = {host_alloc, host_free, NULL};
    plim_context *context = NULL;
    plim_context_options options;
    plim_context_options_init(&options);
    options.threads = 4;
    options.memory_limit = (uint64_t)1 << 40;
    options.allocator = &host;
    plim_status status = plim_context_open(&context, &options, err);
    if (status == PLIM_OK) {
        plim_memory m;
        plim_context_memory(context, &m);
        see_u64(s, m.baseline > 0);
        see_u64(s, plim_context_threads(context));
        see_text(s, plim_context_kernels(context));
    }
    plim_context_close(&context);
    return status;
}

/* ---- checkpoint ---- */

static plim_status read_tensors(stage *s, plim_checkpoint *checkpoint, plim_error *err)
{
    static float values[64];
    plim_status status = PLIM_OK;
    size_t count = plim_checkpoint_count(checkpoint);
    for (size_t i = 0; i < count && status == PLIM_OK; i++) {
        plim_tensor_info t;
        uint64_t begin[PLIM_MAX_DIMS] = {0}, end[PLIM_MAX_DIMS] = {0}, n = 1;
        if (plim_checkpoint_tensor(checkpoint, i, &t) != PLIM_OK)
            return PLIM_E_USAGE;
        see_tensor(s, &t);
        if (i % 4) /* every fourth is read */
            continue;
        for (unsigned d = 0; d < t.rank; d++) {
            begin[d] = t.shape[d] / 3;
            end[d] = begin[d] + (t.shape[d] > begin[d] + 7 ? 7 : t.shape[d] - begin[d]);
            n *= end[d] - begin[d];
        }
        if (n > 64)
            continue;
        status = plim_checkpoint_read(checkpoint, t.name, begin, end, PLIM_F32, values, n * 4, err);
        if (status == PLIM_OK)
            see(s, values, n * 4);
    }
    return status;
}

static plim_status run_checkpoint(stage *s, plim_error *err)
{
    plim_checkpoint *checkpoint = NULL;
    plim_status status = plim_checkpoint_open(&checkpoint, s->context, s->model, NULL, err);
    if (status == PLIM_OK)
        status = read_tensors(s, checkpoint, err);
    plim_checkpoint_close(&checkpoint);
    return status;
}

/* ---- a name in the cache ---- */

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static plim_status prepare_cache(stage *s, plim_error *err)
{
    char path[600], target[4096];
    static const char *const folders[] = {"hub", "hub/models--some--model",
                                          "hub/models--some--model/refs",
                                          "hub/models--some--model/snapshots"};
    (void)err;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", s->folder, folders[i]);
        mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s/hub/models--some--model/refs/main", s->folder);
    FILE *f = fopen(path, "w");
    if (!f || fputs(COMMIT, f) < 0 || fclose(f) != 0)
        return PLIM_E_IO;
    snprintf(path, sizeof path, "%s/hub/models--some--model/snapshots/" COMMIT, s->folder);
    if (!realpath(s->model, target) || symlink(target, path) != 0)
        return PLIM_E_IO;
    return PLIM_OK;
}

static plim_status run_cache(stage *s, plim_error *err)
{
    plim_checkpoint *checkpoint = NULL;
    plim_model_options options;
    char path[4096], hub[300];
    plim_model_options_init(&options);
    snprintf(hub, sizeof hub, "%s/hub", s->folder);
    options.cache_dir = hub;
    plim_status status = plim_resolve(path, sizeof path, "some/model", &options, err);
    if (status != PLIM_OK)
        return status;
    see_text(s, path);
    status = plim_checkpoint_open(&checkpoint, s->context, "some/model", &options, err);
    if (status == PLIM_OK)
        see_u64(s, plim_checkpoint_count(checkpoint));
    plim_checkpoint_close(&checkpoint);
    return status;
}

/* ---- plan ---- */

static void see_plan(stage *s, const plim_plan *plan)
{
    plim_plan_info p;
    plim_tensor_info t;
    plim_read_info r;
    plim_plan_describe(plan, &p);
    see_u64(s, (uint64_t)p.fits);
    see_u64(s, p.anonymous);
    see_u64(s, p.mapped);
    see(s, p.category, sizeof p.category);
    see_u64(s, p.stored_bytes);
    see_u64(s, p.parameters);
    see_u64(s, (uint64_t)p.runnable);
    see_text(s, p.model_type);
    for (size_t i = 0; plim_plan_tensor(plan, i, &t) == PLIM_OK; i++)
        see_tensor(s, &t);
    for (size_t i = 0; plim_plan_read(plan, i, &r) == PLIM_OK; i++) {
        see_text(s, r.file);
        see_u64(s, r.offset);
        see_u64(s, r.bytes);
    }
    for (size_t i = 0; plim_plan_advice(plan, i); i++)
        see_text(s, plim_plan_advice(plan, i));
    for (size_t i = 0; plim_plan_unexpected(plan, i); i++)
        see_text(s, plim_plan_unexpected(plan, i));
}

static plim_status run_plan(stage *s, plim_error *err)
{
    plim_plan *plan = NULL;
    plim_model_options options;
    plim_model_options_init(&options);
    options.torch_dtype = PLIM_F32;
    plim_status status = plim_plan_open(&plan, s->context, s->model, &options, err);
    if (status == PLIM_OK)
        see_plan(s, plan);
    plim_plan_close(&plan);
    return status;
}

/* ---- models ---- */

static int see_logits(void *user, size_t position, const float *logits, size_t vocab)
{
    stage *s = user;
    see_u64(s, position);
    see(s, logits, vocab * sizeof *logits);
    if (s->rows < MAX_ROWS)
        s->row[s->rows++] = s->digest;
    return 0;
}

void stage_begin(stage *s)
{
    s->digest = DIGEST_START;
    s->rows = 0;
}

plim_status stage_evaluate(stage *s, plim_model *model, plim_error *err)
{
    static const int32_t tokens[] = {1, 5, 9, 2, 7};
    plim_session *session = NULL;
    plim_status status = plim_session_open(&session, model, err);
    if (status == PLIM_OK)
        status = plim_session_eval(session, tokens, 5, see_logits, s, err);
    plim_session_close(&session);
    return status;
}

plim_status stage_open_model(stage *s, const loading *how, plim_model **out, plim_error *err)
{
    plim_model_options options;
    plim_model_options_init(&options);
    options.reader = how->reader;
    options.torch_dtype = how->dtype;
    options.device_map = how->device_map;
    options.low_cpu_mem_usage = !how->old_way;
    options.mlock = how->lock;
    options.context = 64;
    options.sessions = how->device_map ? 2 : 1;
    return plim_model_open(out, s->context, s->model, &options, err);
}

plim_status stage_load(stage *s, const loading *how, plim_error *err)
{
    plim_model *model = NULL;
    plim_status status = stage_open_model(s, how, &model, err);
    if (status == PLIM_OK)
        status = stage_evaluate(s, model, err);
    plim_model_close(&model);
    return status;
}

static plim_status run_load_map(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_MAP}, err);
}

static plim_status run_load_buffered(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_BUFFERED, .lock = 1}, err);
}

static plim_status run_load_direct(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_DIRECT}, err);
}

static plim_status run_load_cast(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_BUFFERED, .dtype = PLIM_F16}, err);
}

static plim_status run_load_narrow(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_DIRECT, .dtype = PLIM_BF16}, err);
}

static plim_status run_load_wide(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_DIRECT, .dtype = PLIM_F32}, err);
}

static plim_status run_load_int4(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_DIRECT, .dtype = PLIM_Q4}, err);
}

/* Four files and an index, transposed weights, a narrower type. */
static plim_status run_shards(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.dtype = PLIM_BF16}, err);
}

static plim_status run_load_old_way(stage *s, plim_error *err)
{
    return stage_load(s, &(loading){.reader = PLIM_READER_BUFFERED, .old_way = 1}, err);
}

/* ---- weights that stream ---- */

static plim_status generate_some(stage *s, plim_session *session, plim_error *err)
{
    static const int32_t tokens[] = {3, 8};
    plim_generation *generation = NULL;
    plim_generate_options options;
    plim_generate_options_init(&options);
    options.max_new_tokens = 3;
    options.ignore_eos = 1;
    plim_status status =
        plim_session_generate(&generation, session, NULL, tokens, 2, &options, err);
    if (generation) {
        see(s, generation->tokens, generation->token_count * sizeof *generation->tokens);
        see_u64(s, generation->finish);
    }
    /* An error of the weights keeps what there is, and says so; no other keeps anything. */
    if (status != PLIM_OK &&
        (generation != NULL) != (status == PLIM_E_IO || status == PLIM_E_CHANGED))
        status = PLIM_E_MISMATCH;
    if (status != PLIM_OK && generation && generation->finish != PLIM_FINISH_ERROR)
        status = PLIM_E_MISMATCH;
    plim_generation_free(&generation);
    return status;
}

plim_status stage_talk(stage *s, plim_model *model, plim_error *err)
{
    static const int32_t tokens[] = {1, 5, 9, 2, 7};
    plim_session *session[2] = {NULL, NULL};
    plim_status status = PLIM_OK;
    for (int i = 0; i < 2 && status == PLIM_OK; i++)
        status = plim_session_open(&session[i], model, err);
    for (int i = 0; i < 2 && status == PLIM_OK; i++)
        status = plim_session_eval(session[i], tokens + i, 3, see_logits, s, err);
    for (int i = 0; i < 2 && status == PLIM_OK; i++)
        status = plim_session_eval(session[i], tokens + 4, 1, see_logits, s, err);
    for (int i = 0; i < 2 && status == PLIM_OK; i++)
        status = generate_some(s, session[i], err);
    plim_session_close(&session[0]);
    plim_session_close(&session[1]);
    return status;
}

static plim_status run_stream(stage *s, plim_error *err)
{
    plim_model *model = NULL;
    plim_status status = stage_open_model(
        s, &(loading){.dtype = PLIM_BF16, .reader = PLIM_READER_DIRECT, .device_map = "disk"},
        &model, err);
    if (status == PLIM_OK)
        status = stage_talk(s, model, err);
    plim_model_close(&model);
    return status;
}

static plim_status prepare_stream(stage *s, plim_error *err)
{
    return stage_open_model(s, &(loading){.reader = PLIM_READER_DIRECT, .device_map = "disk"},
                            &s->open_model, err);
}

static plim_status prepare_stream_buffered(stage *s, plim_error *err)
{
    return stage_open_model(
        s, &(loading){.dtype = PLIM_F32, .reader = PLIM_READER_BUFFERED, .device_map = "disk"},
        &s->open_model, err);
}

/* The lowest line below which some of the weights stream and some stay. */
static plim_status prepare_tight(stage *s, plim_error *err)
{
    plim_status status = PLIM_E_BUDGET;
    for (s->limit = s->tight ? s->tight : 1 << 20; s->limit < 256 << 20 && status != PLIM_OK;
         s->limit += 1 << 18) {
        plim_stream_info streamed;
        stage_clear(s);
        status = stage_open_context(s, err);
        if (status == PLIM_OK)
            status = stage_open_model(
                s,
                &(loading){.dtype = PLIM_F32, .reader = PLIM_READER_DIRECT, .device_map = "auto"},
                &s->open_model, err);
        if (status == PLIM_OK) {
            stage_begin(s);
            status = stage_talk(s, s->open_model, err);
            plim_model_stream_info(s->open_model, &streamed);
            if (status == PLIM_OK && streamed.used_bytes == 0)
                return PLIM_E_MISMATCH; /* nothing streams: another model is wanted */
            s->tight = s->limit;
        }
    }
    s->limit = 0;
    return status;
}

static plim_status run_talk(stage *s, plim_error *err)
{
    return stage_talk(s, s->open_model, err);
}

/* ---- measuring ---- */

static plim_status run_probe(stage *s, plim_error *err)
{
    plim_speeds speeds = {0};
    plim_status status = plim_probe(&speeds, s->context, s->model, NULL, err);
    if (status == PLIM_OK)
        see_u64(s, speeds.disk > 0 && speeds.cached > 0 && speeds.commit > 0);
    return status;
}

/* Everything in one: a context of its own with four threads, a plan, its model, closed in an odd
 * order. */
static plim_status run_threads(stage *s, plim_error *err)
{
    plim_context *context = NULL;
    plim_plan *plan = NULL;
    plim_model *model = NULL;
    plim_context_options options;
    plim_model_options model_options;
    plim_context_options_init(&options);
    plim_model_options_init(&model_options);
    options.threads = 4;
    model_options.torch_dtype = PLIM_F32;
    model_options.reader = PLIM_READER_BUFFERED;
    model_options.context = 64;
    plim_status status = plim_context_open(&context, &options, err);
    if (status == PLIM_OK)
        status = plim_plan_open(&plan, context, s->model, &model_options, err);
    plim_context_close(&context);
    if (status == PLIM_OK)
        status = plim_model_load(&model, plan, err);
    plim_plan_close(&plan);
    if (status == PLIM_OK)
        status = stage_evaluate(s, model, err);
    plim_model_close(&model);
    return status;
}

/* ---- text ---- */

static plim_status stream(stage *s, plim_tokenizer *tokenizer, const int32_t *ids, size_t count,
                          plim_error *err)
{
    plim_decoder *decoder = NULL;
    const char *text;
    size_t bytes;
    plim_status status = plim_decoder_open(&decoder, tokenizer, 1, err);
    for (size_t i = 0; i < count && status == PLIM_OK; i++) {
        status = plim_decoder_push(decoder, ids[i], &text, &bytes, err);
        if (status == PLIM_OK)
            see(s, text, bytes);
    }
    if (status == PLIM_OK)
        status = plim_decoder_flush(decoder, &text, &bytes, err);
    if (status == PLIM_OK)
        see(s, text, bytes);
    plim_decoder_close(&decoder);
    return status;
}

static plim_status run_tokenizer(stage *s, plim_error *err)
{
    plim_tokenizer *tokenizer = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t count = 0, bytes = 0;
    plim_status status = plim_tokenizer_open(&tokenizer, s->context, s->model, NULL, err);
    if (status == PLIM_OK)
        status = plim_tokenizer_encode(tokenizer, prompt, sizeof prompt - 1, 1, &ids, &count, err);
    if (status == PLIM_OK) {
        see(s, ids, count * sizeof *ids);
        status = plim_tokenizer_decode(tokenizer, ids, count, 0, &text, &bytes, err);
    }
    if (status == PLIM_OK) {
        see(s, text, bytes);
        status = stream(s, tokenizer, ids, count, err);
    }
    plim_free(ids);
    plim_free(text);
    plim_tokenizer_close(&tokenizer);
    return status;
}

static plim_status prepare_generate(stage *s, plim_error *err)
{
    plim_model_options options;
    plim_model_options_init(&options);
    options.context = 128;
    plim_status status = plim_model_open(&s->open_model, s->context, s->model, &options, err);
    if (status == PLIM_OK)
        status = plim_tokenizer_open(&s->open_tokenizer, s->context, s->model, NULL, err);
    return status;
}

static plim_status run_generate(stage *s, plim_error *err)
{
    static const char *const stop[] = {"a stop string that never comes"};
    plim_generation *generation = NULL;
    plim_generate_options options;
    plim_generate_options_init(&options);
    options.max_new_tokens = 12;
    options.do_sample = 1;
    options.temperature = 0.8;
    options.top_k = 40;
    options.top_p = 0.9;
    options.repetition_penalty = 1.1;
    options.seed = 7;
    options.stop = stop;
    options.stop_count = 1;
    plim_status status =
        plim_generate_text(&generation, s->open_model, s->open_tokenizer, prompt, &options, err);
    if (status == PLIM_OK) {
        see(s, generation->tokens, generation->token_count * sizeof *generation->tokens);
        see(s, generation->text, generation->text_bytes);
        see_u64(s, generation->finish);
    }
    plim_generation_free(&generation);
    return status;
}

/* ---- synth ---- */

static void synth_paths(const stage *s, char folder[400], char config[700])
{
    snprintf(folder, 400, "%s/synth", s->folder);
    snprintf(config, 700, "%s/config.json", s->model);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* False: there is no such file. */
static int see_file(stage *s, const char *path)
{
    static char block[65536];
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        see(s, block, n);
    fclose(f);
    return 1;
}

static plim_status run_synth(stage *s, plim_error *err)
{
    char folder[400], config[700], path[500];
    synth_paths(s, folder, config);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    plim_status status = plim_synth(s->context, config, folder, NULL, err);
    if (status != PLIM_OK)
        return status;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (!see_file(s, path))
        return PLIM_E_MISMATCH;
    s->whole_file = s->digest;
    snprintf(path, sizeof path, "%s/config.json", folder);
    return see_file(s, path) ? PLIM_OK : PLIM_E_MISMATCH;
}

static int found_partial;

static int look_for_partial(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    found_partial |= type == FTW_F && strstr(path, ".partial");
    return 0;
}

/* After a failure: no temporary file, and what has its final name is whole. */
static int after_synth(stage *s, plim_status status)
{
    char folder[400], config[700], path[500];
    stage file = {.digest = DIGEST_START};
    (void)status;
    synth_paths(s, folder, config);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    found_partial = 0;
    nftw(folder, look_for_partial, 8, FTW_PHYS);
    return found_partial || (see_file(&file, path) && file.digest != s->whole_file);
}

#define TREE PLIM_SOURCE_DIR "/tests/"

const scenario scenarios[] = {
    {.name = "context", .run = run_context, .own_context = 1},
    {.name = "checkpoint", .run = run_checkpoint, .lines = 1},
    {.name = "shard-headers",
     .run = run_checkpoint,
     .lines = 1,
     .model = TREE "golden/gpt2-sharded"},
    {.name = "cache", .run = run_cache, .prepare = prepare_cache},
    {.name = "plan", .run = run_plan},
    {.name = "plan-shards", .run = run_plan, .model = TREE "golden/gpt2-sharded"},
    {.name = "load-map", .run = run_load_map, .lines = 1},
    {.name = "load-buffered",
     .apart = 1,
     .run = run_load_buffered,
     .model = TREE "golden/gpt2-base"},
    {.name = "load-direct",
     .run = run_load_direct,
     .lines = 1,
     .model = TREE "golden/gpt2-sharded"},
    {.name = "load-narrow",
     .apart = 1,
     .run = run_load_narrow,
     .lines = 1,
     .model = TREE "golden/gpt2-sharded"},
    {.name = "load-wide", .apart = 1, .run = run_load_wide, .model = TREE "golden/gpt2-bf16"},
    {.name = "load-cast", .run = run_load_cast, .lines = 1},
    {.name = "load-int4", .apart = 1, .run = run_load_int4, .lines = 1},
    {.name = "load-old-way", .run = run_load_old_way, .lines = 1},
    {.name = "load-shards", .run = run_shards, .lines = 1, .model = TREE "golden/gpt2-sharded"},
    {.name = "stream",
     .apart = 1,
     .run = run_stream,
     .sparse = 9,
     .lines = 1,
     .model = TREE "golden/llama-sharded"},
    {.name = "stream-passes",
     .apart = 1,
     .run = run_talk,
     .prepare = prepare_stream,
     .model = TREE "golden/gpt2-sharded",
     .sparse = 3,
     .ahead = 1},
    {.name = "stream-cast",
     .apart = 1,
     .run = run_talk,
     .prepare = prepare_stream_buffered,
     .model = TREE "golden/llama-bf16",
     .sparse = 3,
     .ahead = 1},
    {.name = "stream-packed", /* quants and scales in different files */
     .apart = 1,
     .run = run_talk,
     .prepare = prepare_stream,
     .model = TREE "golden/packed/qwen3-mixed-sharded",
     .sparse = 3,
     .ahead = 1},
    {.name = "stream-tight",
     .apart = 1,
     .run = run_talk,
     .prepare = prepare_tight,
     .sparse = 19,
     .ahead = 1},
    {.name = "probe", .run = run_probe, .slow = 1},
    {.name = "threads", .run = run_threads, .own_context = 1},
    {.name = "tokenizer", .run = run_tokenizer, .lines = 1},
    {.name = "tokenizer-pair",
     .run = run_tokenizer,
     .lines = 1,
     .model = TREE "tokenizer/fixtures/gpt2_pair"},
    {.name = "tokenizer-config",
     .run = run_tokenizer,
     .model = TREE "tokenizer/fixtures/with_config"},
    {.name = "generate", .run = run_generate, .prepare = prepare_generate},
    {.name = "synth", .run = run_synth, .after = after_synth, .lines = 1},
    {.name = NULL},
};

/* ---- the stage ---- */

int stage_open(stage *s)
{
    const char *base = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%s/plim-fault-XXXXXX", base ? base : "/tmp");
    return mkdtemp(s->folder) ? 0 : -1;
}

plim_status stage_open_context(stage *s, plim_error *err)
{
    plim_context_options options;
    plim_context_options_init(&options);
    options.threads = s->threads;
    options.memory_limit = s->limit;
    options.baseline = s->limit ? 1 : 0;
    return plim_context_open(&s->context, &options, err);
}

void stage_clear(stage *s)
{
    plim_tokenizer_close(&s->open_tokenizer);
    plim_model_close(&s->open_model);
    plim_context_close(&s->context);
}

void stage_close(stage *s)
{
    nftw(s->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
