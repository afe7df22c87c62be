/* SPDX-License-Identifier: Apache-2.0
 *
 * Models larger than the line: the same logits, bit for bit, as with everything in memory, for
 * every line from the smallest that works, with the bytes read to prove that it streamed. */
#include "api_test.h"

#include <pthread.h>
#include <stdbool.h>

#define PROMPT 24
#define STEPS  6
#define VOCAB  2500

typedef struct shape {
    const char *name, *config;
    plim_dtype stored, run;
} shape;

#define LLAMA(tied)                                                                                \
    "{\"model_type\": \"llama\", \"vocab_size\": 2500, \"hidden_size\": 256, "                     \
    "\"num_hidden_layers\": 4, \"num_attention_heads\": 8, \"num_key_value_heads\": 4, "           \
    "\"intermediate_size\": 700, \"max_position_embeddings\": 128, \"tie_word_embeddings\": " tied \
    "}"
#define GPT2                                                                                       \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 2500, \"n_embd\": 256, \"n_layer\": 3, "           \
    "\"n_head\": 4, \"n_positions\": 128}"

static const shape shapes[] = {
    {"llama f32", LLAMA("false"), PLIM_F32, PLIM_AUTO},
    {"llama f32 as bf16", LLAMA("false"), PLIM_F32, PLIM_BF16},
    {"llama bf16, tied", LLAMA("true"), PLIM_BF16, PLIM_AUTO},
    {"llama bf16 as f32, tied", LLAMA("true"), PLIM_BF16, PLIM_F32},
    {"gpt2 f32", GPT2, PLIM_F32, PLIM_AUTO},
    {"gpt2 f16 as bf16", GPT2, PLIM_F16, PLIM_BF16},
    {"llama bf16 as int4", LLAMA("false"), PLIM_BF16, PLIM_Q4},
    {"llama f32 as int8, tied", LLAMA("true"), PLIM_F32, PLIM_I8},
    {"gpt2 f32 as int4", GPT2, PLIM_F32, PLIM_Q4},
    {"gpt2 bf16 as int8", GPT2, PLIM_BF16, PLIM_Q8},
};

static temp_folder folder;

static const char *make(const shape *s)
{
    plim_context *c = context_with(1);
    plim_synth_options o;
    plim_error err;
    plim_synth_options_init(&o);
    o.torch_dtype = s->stored;
    o.seed = 7;
    o.max_shard_size = 3 << 20;
    folder = temp_open();
    temp_text(&folder, "shape.json", s->config);
    ok(plim_synth(c, temp_path(&folder, "shape.json"), temp_path(&folder, "model"), &o, &err),
       &err);
    plim_context_close(&c);
    return temp_path(&folder, "model");
}

/* A line of `limit` bytes (0: none) above nothing, whatever this process holds. */
static plim_context *below(uint64_t limit)
{
    plim_context *c;
    plim_context_options o;
    plim_error err;
    plim_context_options_init(&o);
    o.threads = 2;
    o.memory_limit = limit;
    o.baseline = 1;
    ok(plim_context_open(&c, &o, &err), &err);
    return c;
}

static plim_model_options options_of(const shape *s, plim_reader reader, const char *map)
{
    plim_model_options o;
    plim_model_options_init(&o);
    o.torch_dtype = s->run;
    o.reader = reader;
    o.device_map = map;
    o.context = 64;
    return o;
}

static plim_plan_info plan_below(const char *path, const plim_model_options *o, uint64_t limit)
{
    plim_plan *plan;
    plim_plan_info info;
    plim_error err;
    plim_context *c = below(limit);
    ok(plim_plan_open(&plan, c, path, o, &err), &err);
    plim_plan_describe(plan, &info);
    plim_plan_close(&plan);
    plim_context_close(&c);
    return info;
}

/* The smallest line that the plan says works, to 4 KiB. */
static uint64_t least_line(const char *path, const plim_model_options *o, uint64_t enough)
{
    uint64_t low = 1 << 20, high = enough;
    while (high - low > 4096) {
        uint64_t middle = low + (high - low) / 2;
        if (plan_below(path, o, middle).fits)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* ---- logits of a prompt and of single tokens after it ---- */

typedef struct answer {
    float logits[(PROMPT + STEPS) * VOCAB];
    size_t rows;
    plim_stream_info stream;
} answer;

static int on_logits(void *user, size_t position, const float *logits, size_t vocab)
{
    answer *a = user;
    assert_int_equal(vocab, VOCAB);
    assert_int_equal(position, a->rows);
    memcpy(a->logits + a->rows++ * VOCAB, logits, VOCAB * sizeof *logits);
    return 0;
}

static void ask_session(plim_model *m, answer *a)
{
    plim_session *s;
    plim_error err;
    int32_t prompt[PROMPT];
    for (int i = 0; i < PROMPT; i++)
        prompt[i] = (i * 611 + 5) % VOCAB;
    a->rows = 0;
    ok(plim_session_open(&s, m, &err), &err);
    ok(plim_session_eval(s, prompt, PROMPT, on_logits, a, &err), &err);
    for (int32_t i = 0; i < STEPS; i++) {
        int32_t token = (i * 97 + 11) % VOCAB;
        ok(plim_session_eval(s, &token, 1, NULL, NULL, &err), &err);
        on_logits(a, a->rows, plim_session_logits(s), VOCAB);
    }
    plim_session_close(&s);
}

static void ask(const char *path, const plim_model_options *o, uint64_t limit, answer *a)
{
    plim_model *m;
    plim_memory memory;
    plim_error err;
    plim_context *c = below(limit);
    ok(plim_model_open(&m, c, path, o, &err), &err);
    ask_session(m, a);
    plim_model_stream_info(m, &a->stream);
    plim_context_memory(c, &memory);
    if (limit)
        assert_true(memory.total.peak + memory.baseline <= limit);
    plim_model_close(&m);
    plim_context_memory(c, &memory);
    assert_int_equal(memory.category[PLIM_MEM_STAGING].now, 0);
    assert_int_equal(memory.category[PLIM_MEM_WEIGHTS].now, 0);
    plim_context_close(&c);
}

/* ---- every line ---- */

static void check_lines(const shape *s, plim_reader reader)
{
    static answer whole, streamed;
    const char *path = make(s);
    plim_model_options o = options_of(s, reader, NULL);
    plim_plan_info info = plan_below(path, &o, 0);
    uint64_t enough = info.baseline + info.anonymous + info.mapped;
    ask(path, &o, 0, &whole);
    assert_int_equal(whole.stream.passes, 0);
    uint64_t least = least_line(path, &o, enough);
    /* Not more than what must stay and a ring: not a layer, far from the model. */
    assert_true(least < enough - info.weight_bytes / 2);
    for (int i = 0; i <= 5; i++) {
        uint64_t limit = least + (enough - least) * (uint64_t)i / 6;
        plim_plan_info planned = plan_below(path, &o, limit);
        assert_true(planned.fits && planned.streamed_bytes > 0);
        ask(path, &o, limit, &streamed);
        assert_int_equal(streamed.rows, whole.rows);
        assert_memory_equal(streamed.logits, whole.logits, sizeof whole.logits);
        /* A pass of one token reads what the plan said; those of the prompt read the head too,
         * several times. */
        assert_true(streamed.stream.passes >= STEPS + 1);
        assert_true(streamed.stream.used_bytes >= planned.streamed_bytes * (STEPS + 1));
        if (i == 0)
            assert_true(planned.streamed_bytes >= info.stored_bytes * 2 / 5);
    }
    temp_close(&folder);
}

static void test_every_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_lines(&shapes[i], PLIM_READER_AUTO);
}

static void test_every_reader(void **state)
{
    (void)state;
    static const plim_reader readers[] = {PLIM_READER_MAP, PLIM_READER_BUFFERED,
                                          PLIM_READER_DIRECT};
    for (size_t r = 0; r < 3; r++) {
        check_lines(&shapes[0], readers[r]);
        check_lines(&shapes[3], readers[r]);
    }
}

/* ---- device maps ---- */

static void test_device_maps(void **state)
{
    (void)state;
    static answer whole, streamed;
    static const char *const maps[] = {
        "disk", "{\"\": \"disk\"}", "{\"\": \"cpu\", \"model.layers.1\": \"disk\"}",
        "{\"\": \"disk\", \"model.layers.3.mlp\": \"cpu\", \"model.norm\": \"cpu\"}"};
    const char *path = make(&shapes[0]);
    plim_model_options o = options_of(&shapes[0], PLIM_READER_AUTO, NULL);
    plim_plan_info all = plan_below(path, &o, 0);
    ask(path, &o, 0, &whole);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        o.device_map = maps[i];
        plim_plan_info info = plan_below(path, &o, 0);
        assert_true(info.fits && info.streamed_bytes > 0);
        assert_true(info.pinned_bytes < all.pinned_bytes);
        ask(path, &o, 0, &streamed);
        assert_memory_equal(streamed.logits, whole.logits, sizeof whole.logits);
    }
    temp_close(&folder);
}

/* ---- two sessions take turns ---- */

typedef struct speaker {
    plim_model *model;
    answer *answer;
} speaker;

static void *speak(void *arg)
{
    speaker *s = arg;
    ask_session(s->model, s->answer);
    return NULL;
}

static void test_two_sessions(void **state)
{
    (void)state;
    static answer whole, both[2];
    plim_model *m;
    plim_error err;
    const char *path = make(&shapes[2]);
    plim_model_options o = options_of(&shapes[2], PLIM_READER_AUTO, NULL);
    ask(path, &o, 0, &whole);
    o.device_map = "disk";
    o.sessions = 2;
    plim_context *c = below(0);
    ok(plim_model_open(&m, c, path, &o, &err), &err);
    pthread_t threads[2];
    speaker speakers[2] = {{m, &both[0]}, {m, &both[1]}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, speak, &speakers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(both[i].logits, whole.logits, sizeof whole.logits);
    }
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&folder);
}

/* A pass inside a pass would wait for itself; the session that asked lives on. */
static int begin_another(void *user, size_t position, const float *logits, size_t vocab)
{
    plim_error err;
    int32_t token = 7;
    (void)position;
    (void)logits;
    (void)vocab;
    assert_int_equal(plim_session_eval(user, &token, 1, NULL, NULL, &err), PLIM_E_USAGE);
    assert_non_null(strstr(err.message, "callback"));
    return 0;
}

static void test_pass_inside_a_pass(void **state)
{
    (void)state;
    plim_model *m;
    plim_session *outer, *inner;
    plim_error err;
    int32_t tokens[2] = {1, 2};
    const char *path = make(&shapes[2]);
    plim_model_options o = options_of(&shapes[2], PLIM_READER_AUTO, "disk");
    o.sessions = 2;
    plim_context *c = below(0);
    ok(plim_model_open(&m, c, path, &o, &err), &err);
    ok(plim_session_open(&outer, m, &err), &err);
    ok(plim_session_open(&inner, m, &err), &err);
    ok(plim_session_eval(outer, tokens, 2, begin_another, inner, &err), &err);
    ok(plim_session_eval(inner, tokens, 2, NULL, NULL, &err), &err);
    plim_session_close(&outer);
    plim_session_close(&inner);
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&folder);
}

/* ---- failures in the middle of generating ---- */

typedef struct saboteur {
    const char *file;
    size_t at;
} saboteur;

static int sabotage(void *user, const plim_token_event *event)
{
    saboteur *s = user;
    if (event->index == s->at) {
        FILE *f = fopen(s->file, "r+b");
        assert_non_null(f);
        assert_int_equal(fseek(f, -1, SEEK_END), 0);
        assert_int_equal(fputc(1, f), 1);
        assert_int_equal(fclose(f), 0);
    }
    return 0;
}

/* What was generated until then is kept, and says why it ends. */
static void test_changed_while_generating(void **state)
{
    (void)state;
    plim_model *m;
    plim_session *session;
    plim_generation *g = NULL;
    plim_generate_options go;
    plim_error err;
    const char *path = make(&shapes[4]);
    char file[300];
    saboteur s = {file, 4};
    plim_plan *plan;
    plim_tensor_info tensor;
    plim_model_options o = options_of(&shapes[4], PLIM_READER_AUTO, "disk");
    plim_context *c = below(0);
    ok(plim_plan_open(&plan, c, path, &o, &err), &err);
    ok(plim_plan_tensor(plan, 4, &tensor), &err);
    snprintf(file, sizeof file, "%s", tensor.file);
    ok(plim_model_load(&m, plan, &err), &err);
    plim_plan_close(&plan);
    ok(plim_session_open(&session, m, &err), &err);
    plim_generate_options_init(&go);
    go.max_new_tokens = 20;
    go.ignore_eos = 1;
    go.on_token = sabotage;
    go.user = &s;
    int32_t prompt[3] = {1, 2, 3};
    assert_int_equal(plim_session_generate(&g, session, NULL, prompt, 3, &go, &err),
                     PLIM_E_CHANGED);
    assert_string_equal(err.file, file);
    assert_non_null(g);
    assert_int_equal(g->token_count, 5);
    assert_int_equal(g->finish, PLIM_FINISH_ERROR);
    plim_generation_free(&g);
    plim_session_close(&session);
    plim_model_close(&m);
    plim_context_close(&c);
    temp_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line),         cmocka_unit_test(test_every_reader),
        cmocka_unit_test(test_device_maps),        cmocka_unit_test(test_two_sessions),
        cmocka_unit_test(test_pass_inside_a_pass), cmocka_unit_test(test_changed_while_generating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
