/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates and literal encoding through the public API: the clock, what texts of users can't
 * become, spans, refusals, handles closed in any order, and memory that is back afterwards. */
#include "api_test.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define BYTES(text) (text), sizeof(text) - 1

static plim_chat *chat_with(plim_context *c, const temp_folder *t, const char *template)
{
    plim_chat *chat;
    plim_error err;
    const char *path = temp_write(t, "a.jinja", template, strlen(template));
    ok(plim_chat_open(&chat, c, path, NULL, &err), &err);
    return chat;
}

static plim_tokenizer *tokenizer_with(plim_context *c)
{
    plim_tokenizer *tokenizer;
    plim_error err;
    ok(plim_tokenizer_open(&tokenizer, c, SHAKESPEARE, NULL, &err), &err);
    return tokenizer;
}

static uint64_t held(const plim_context *c)
{
    plim_memory memory;
    plim_context_memory(c, &memory);
    return memory.total.now;
}

/* ---- the clock ---- */

#define FORMAT "%Y-%m-%d %H:%M:%S %j %w"

static void check_moment(const plim_chat *chat, int64_t now, int offset)
{
    plim_chat_options o;
    plim_error err;
    char *text, want[64], line[96];
    size_t bytes;
    time_t local = (time_t)(now + offset * 60);
    struct tm tm;
    assert_non_null(gmtime_r(&local, &tm));
    strftime(line, sizeof line, "-%m-%d %H:%M:%S %j %w", &tm);
    snprintf(want, sizeof want, "%d%.50s", tm.tm_year + 1900, line);
    plim_chat_options_init(&o);
    o.now = now;
    o.utc_offset_minutes = offset;
    ok(plim_chat_render(chat, BYTES("{}"), &o, &text, &bytes, NULL, NULL, &err), &err);
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(text, want);
    plim_free(text);
}

static void test_clock(void **state)
{
    (void)state;
    static const int64_t moments[] = {
        0,          -1,          86399,      86400,       951782399,    951782400,    951868800,
        1709164800, 1709251199,  4107542400, -2203891200, -62135596800, 253402300799, 1767225599,
        1798761600, -11644473600};
    static const int offsets[] = {0, 330, -570, 1439, -1439};
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_chat *chat = chat_with(c, &t, "{{ strftime_now('" FORMAT "') }}");
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        check_moment(chat, moments[i], 0);
    uint64_t seed = 1;
    for (int i = 0; i < 3000; i++) { /* any second of the years 2 to 9998, every offset */
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t now = -62104060800 + (int64_t)(seed >> 11) % (253370764800 + 62104060800);
        check_moment(chat, now, offsets[i % 5]);
    }
    plim_chat_close(&chat);
    plim_context_close(&c);
    temp_close(&t);
}

static void test_bad_clock(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_chat *chat = chat_with(c, &t, "{{ strftime_now('%Y') }}");
    static const struct {
        int64_t now;
        int offset;
        plim_status status;
    } bad[] = {{INT64_MIN, 0, PLIM_E_FORMAT}, /* the template asks for it, and there is none */
               {INT64_MAX, 0, PLIM_E_USAGE},     {253402300800, 0, PLIM_E_USAGE},
               {-62135596801, 0, PLIM_E_USAGE},  {253402300799, 1, PLIM_E_USAGE},
               {-62135596800, -1, PLIM_E_USAGE}, {0, 1440, PLIM_E_USAGE},
               {0, -1440, PLIM_E_USAGE},         {INT64_MIN + 1, -1439, PLIM_E_USAGE}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        plim_chat_options o;
        plim_error err;
        char *text = (char *)1;
        plim_chat_options_init(&o);
        o.now = bad[i].now;
        o.utc_offset_minutes = bad[i].offset;
        assert_int_equal(plim_chat_render(chat, BYTES("{}"), &o, &text, NULL, NULL, NULL, &err),
                         bad[i].status);
        assert_int_equal(err.code, bad[i].status);
        assert_null(text);
    }
    plim_chat_close(&chat);
    plim_context_close(&c);
    temp_close(&t);
}

/* ---- no text of a user becomes a special token ---- */

static bool is_special(plim_tokenizer *tokenizer, int32_t id)
{
    size_t bytes, kept;
    char *text;
    plim_error err;
    ok(plim_tokenizer_decode(tokenizer, &id, 1, 0, &text, &kept, &err), &err);
    plim_free(text);
    ok(plim_tokenizer_decode(tokenizer, &id, 1, 1, &text, &bytes, &err), &err);
    plim_free(text);
    return kept > 0 && bytes == 0;
}

static size_t count_special(plim_tokenizer *tokenizer, const int32_t *ids, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += is_special(tokenizer, ids[i]);
    return n;
}

/* Every special token, one after the other, as JSON text without quotes. */
static size_t all_special(plim_tokenizer *tokenizer, char *out, size_t cap)
{
    size_t used = 0, n = 0;
    for (uint32_t id = 0; id < plim_tokenizer_size(tokenizer); id++) {
        if (!is_special(tokenizer, (int32_t)id))
            continue;
        size_t bytes = plim_tokenizer_token(tokenizer, (int32_t)id, out + used, cap - used - 1);
        assert_true(bytes < cap - used - 1);
        used += bytes;
        n++;
    }
    out[used] = 0;
    return n;
}

/* Seams: what stands beside the text is the template's, and belongs to a token with it. */
static const char seams[] =
    "{{ '<|endoftext|>' }}{% for m in messages %}<|endof{{ m.content }}text|>{{ m.role }}"
    "{{ m.content | trim }}{{ m.content[:13] + m.content[13:] }}{{ m.content.replace('x', 'y') }}"
    "{{ m.content | tojson }}{{ m.content | upper | lower }}<|{{ m.content }}|>{% endfor %}"
    "{{ extra }}<|endoftext|>";

static void test_special_tokens(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    plim_chat *chat = chat_with(c, &t, seams);
    char special[512], context[4096];
    plim_chat_options o;
    plim_error err;
    assert_true(all_special(tokenizer, special, sizeof special) > 0);
    snprintf(context, sizeof context,
             "{\"messages\":[{\"role\":\"%s\",\"content\":\"%s\"},{\"role\":\"user\",\"content\":"
             "\"%s %s\"},{\"role\":\"\",\"content\":\"endoftext\"}],\"extra\":\"%s\"}",
             special, special, special, special, special);
    for (int trust = 0; trust < 2; trust++) {
        int32_t *ids;
        size_t count;
        plim_chat_options_init(&o);
        o.trust_context = trust;
        ok(plim_chat_encode(chat, tokenizer, context, strlen(context), &o, &ids, &count, &err),
           &err);
        size_t n = count_special(tokenizer, ids, count);
        if (trust)
            assert_true(n > 20);
        else
            assert_int_equal(n, 2); /* the template's own */
        plim_free(ids);
    }
    plim_chat_close(&chat);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&c);
    temp_close(&t);
}

/* The ids are those of the rendered text as a whole. */
static void test_encoded_as_a_whole(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    plim_chat *chat = chat_with(c, &t, "th{{ a }}re, Ro{{ b }}\n{{ a }}");
    plim_error err;
    char *text;
    size_t bytes, span_count, count, want_count;
    plim_span *spans;
    int32_t *ids, *want;
    static const char context[] = "{\"a\":\"e\",\"b\":\"meo\"}";
    ok(plim_chat_render(chat, BYTES(context), NULL, &text, &bytes, &spans, &span_count, &err),
       &err);
    assert_string_equal(text, "there, Romeo\ne");
    assert_int_equal(bytes, strlen(text));
    assert_int_equal(span_count, 3);
    static const plim_span expected[] = {{2, 3}, {9, 12}, {13, 14}};
    assert_memory_equal(spans, expected, sizeof expected);
    ok(plim_tokenizer_encode(tokenizer, text, bytes, 0, &want, &want_count, &err), &err);
    ok(plim_chat_encode(chat, tokenizer, BYTES(context), NULL, &ids, &count, &err), &err);
    assert_int_equal(count, want_count);
    assert_memory_equal(ids, want, count * sizeof *ids);
    plim_free(text);
    plim_free(spans);
    plim_free(ids);
    plim_free(want);
    plim_chat_close(&chat);
    chat = chat_with(c, &t, "");
    ok(plim_chat_encode(chat, tokenizer, BYTES("{}"), NULL, &ids, &count, &err), &err);
    assert_null(ids);
    assert_int_equal(count, 0);
    ok(plim_chat_render(chat, BYTES("{}"), NULL, &text, NULL, &spans, &span_count, &err), &err);
    assert_string_equal(text, "");
    assert_null(spans);
    assert_int_equal(span_count, 0);
    plim_free(text);
    plim_chat_close(&chat);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&c);
    temp_close(&t);
}

/* ---- where templates are found, what is refused ---- */

static void expect_text(plim_context *c, const char *file, const char *name,
                        const plim_model_options *model, const char *want)
{
    plim_chat *chat;
    plim_error err;
    char *text;
    ok(plim_chat_open_template(&chat, c, file, name, model, &err), &err);
    ok(plim_chat_render(chat, BYTES("{}"), NULL, &text, NULL, NULL, NULL, &err), &err);
    assert_string_equal(text, want);
    plim_free(text);
    plim_chat_close(&chat);
}

static void refuse_file(plim_context *c, const char *file, const char *name,
                        const plim_model_options *model, plim_status want, const char *bad)
{
    plim_chat *chat = (plim_chat *)1;
    plim_error err;
    assert_int_equal(plim_chat_open_template(&chat, c, file, name, model, &err), want);
    assert_null(chat);
    assert_non_null(strstr(err.message, bad));
}

/* A template from elsewhere names the special tokens of the model, or of what lies beside it. */
static void test_template_of_a_file(void **state)
{
    (void)state;
    temp_folder t = temp_open(), other = temp_open();
    plim_context *c = context_with(1);
    plim_model_options model;
    char file[256];
    static const char config[] = "{\"bos_token\":\"<beside>\",\"chat_template\":\"never\"}";
    snprintf(file, sizeof file, "%s",
             temp_write(&t, "a.jinja", BYTES("[{{ bos_token }}{{ eos_token }}]")));
    expect_text(c, file, NULL, NULL, "[]");
    temp_write(&t, "tokenizer_config.json", BYTES(config));
    expect_text(c, file, NULL, NULL, "[<beside>]");
    temp_write(&other, "special_tokens_map.json", BYTES("{\"eos_token\":\"<model>\"}"));
    expect_text(c, file, other.path, NULL, "[<model>]");
    plim_model_options_init(&model);
    model.subfolder = "none";
    expect_text(c, file, other.path, &model, "[]");
    model.subfolder = "..";
    refuse_file(c, file, other.path, &model, PLIM_E_UNSAFE, "..");
    refuse_file(c, file, "/nowhere/no", NULL, PLIM_E_IO, "/nowhere/no");
    refuse_file(c, temp_path(&t, "no.jinja"), other.path, NULL, PLIM_E_IO, "no.jinja");
    temp_write(&other, "tokenizer_config.json", BYTES("{"));
    refuse_file(c, file, other.path, NULL, PLIM_E_TRUNC, "tokenizer_config.json");
    plim_context_close(&c);
    temp_close(&t);
    temp_close(&other);
}

static void test_names(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_chat *chat = (plim_chat *)1;
    plim_error err;
    char *text;
    static const char config[] = "{\"chat_template\":[{\"name\":\"default\",\"template\":\"D\"},"
                                 "{\"name\":\"tool_use\",\"template\":\"T\"}]}";
    assert_int_equal(plim_chat_open(&chat, c, t.path, NULL, &err), PLIM_E_IO);
    assert_null(chat);
    assert_non_null(strstr(err.message, "chat_template"));
    assert_int_equal(plim_chat_open(&chat, c, temp_path(&t, "no.jinja"), NULL, &err), PLIM_E_IO);
    temp_write(&t, "tokenizer_config.json", BYTES(config));
    ok(plim_chat_open(&chat, c, t.path, NULL, &err), &err);
    bool seen[2] = {false, false};
    size_t n = 0;
    for (const char *name; (name = plim_chat_template_name(chat, n)); n++)
        seen[!strcmp(name, "tool_use")] = true;
    assert_int_equal(n, 2);
    assert_true(seen[0] && seen[1]);
    static const struct {
        const char *name, *context, *want;
    } cases[] = {{NULL, "{}", "D"},
                 {NULL, "{\"tools\":[{}]}", "T"},
                 {"default", "{\"tools\":[{}]}", "D"},
                 {"tool_use", "{}", "T"}};
    plim_chat_options o;
    plim_chat_options_init(&o);
    for (size_t i = 0; i < 4; i++) {
        o.template_name = cases[i].name;
        ok(plim_chat_render(chat, cases[i].context, strlen(cases[i].context), &o, &text, NULL, NULL,
                            NULL, &err),
           &err);
        assert_string_equal(text, cases[i].want);
        plim_free(text);
    }
    o.template_name = "rag";
    assert_int_not_equal(plim_chat_render(chat, BYTES("{}"), &o, &text, NULL, NULL, NULL, &err),
                         PLIM_OK);
    assert_non_null(strstr(err.message, "rag"));
    plim_chat_close(&chat);
    plim_chat_close(&chat);
    plim_chat_close(NULL);
    plim_context_close(&c);
    temp_close(&t);
}

static void test_refusals(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    static const struct {
        const char *template, *context;
        plim_status status;
        const char *says;
    } bad[] = {{"{{ raise_exception('not so') }}", "{}", PLIM_E_FORMAT, "not so"},
               {"x", "{", PLIM_E_TRUNC, NULL},
               {"x", "[]", PLIM_E_FORMAT, NULL},
               {"x", "", PLIM_E_TRUNC, NULL},
               {"{{ 1 // 0 }}", "{}", PLIM_E_FORMAT, NULL},
               {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                "{}", PLIM_E_LIMIT, NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        plim_error err;
        plim_chat *chat = chat_with(c, &t, bad[i].template);
        uint64_t before = held(c);
        char *text = (char *)1;
        plim_span *spans = (plim_span *)1;
        int32_t *ids = (int32_t *)1;
        size_t bytes = strlen(bad[i].context), n = 1;
        assert_int_equal(
            plim_chat_render(chat, bad[i].context, bytes, NULL, &text, NULL, &spans, &n, &err),
            bad[i].status);
        assert_int_equal(err.code, bad[i].status);
        assert_true(!bad[i].says || strstr(err.message, bad[i].says));
        assert_true(!text && !spans);
        assert_int_equal(
            plim_chat_encode(chat, tokenizer, bad[i].context, bytes, NULL, &ids, &n, NULL),
            bad[i].status);
        assert_true(!ids && n == 0);
        assert_int_equal(held(c), before);
        plim_chat_close(&chat);
    }
    plim_chat *chat = chat_with(c, &t, "x");
    plim_chat_options never = {.size = 0};
    plim_error err;
    char *text;
    assert_int_equal(plim_chat_render(chat, BYTES("{}"), &never, &text, NULL, NULL, NULL, &err),
                     PLIM_E_USAGE);
    plim_chat_close(&chat);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&c);
    temp_close(&t);
}

/* ---- encoding with options ---- */

static void test_literal(void **state)
{
    (void)state;
    plim_context *c = context_with(1);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    plim_encode_options o;
    plim_encoding e;
    plim_error err;
    static const char text[] = "<|endoftext|><|endoftext|>";
    static const plim_span second = {13, 26}, inside = {18, 19}, empty = {5, 5};
    static const struct {
        const plim_span *span;
        size_t special;
    } cases[] = {{NULL, 2}, {&second, 1}, {&inside, 1}, {&empty, 2}};
    plim_encode_options_init(&o);
    o.offsets = 1;
    for (size_t i = 0; i < 4; i++) {
        o.literal = cases[i].span;
        o.literal_count = cases[i].span != NULL;
        ok(plim_tokenizer_encode_with(tokenizer, BYTES(text), &o, &e, &err), &err);
        assert_int_equal(count_special(tokenizer, e.ids, e.count), cases[i].special);
        assert_int_equal(e.spans[0].begin, 0);
        assert_int_equal(e.spans[e.count - 1].end, 26);
        for (size_t k = 1; k < e.count; k++)
            assert_int_equal(e.spans[k].begin, e.spans[k - 1].end);
        plim_encoding_free(&e);
        assert_true(!e.ids && !e.spans && e.count == 0);
    }
    static const plim_span bad[][2] = {
        {{0, 27}, {0, 0}}, {{5, 4}, {0, 0}}, {{4, 8}, {6, 9}}, {{9, 10}, {1, 2}}};
    for (size_t i = 0; i < 4; i++) {
        o.literal = bad[i];
        o.literal_count = i < 2 ? 1 : 2;
        assert_int_equal(plim_tokenizer_encode_with(tokenizer, BYTES(text), &o, &e, &err),
                         PLIM_E_USAGE);
        assert_true(!e.ids && !e.spans && e.count == 0);
    }
    plim_encode_options never = {.size = 0};
    assert_int_equal(plim_tokenizer_encode_with(tokenizer, BYTES(text), &never, &e, &err),
                     PLIM_E_USAGE);
    ok(plim_tokenizer_encode_with(tokenizer, BYTES(text), NULL, &e, &err), &err);
    assert_int_equal(e.count, 2);
    assert_null(e.spans);
    plim_encoding_free(&e);
    plim_encoding_free(&e);
    plim_encoding_free(NULL);
    ok(plim_tokenizer_encode_with(tokenizer, "", 0, NULL, &e, &err), &err);
    assert_true(!e.ids && e.count == 0);
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&c);
}

/* ---- one tokenizer, many callers ---- */

#define LINES 40

typedef struct encoder {
    plim_tokenizer *tokenizer;
    size_t count[LINES];
    int32_t first[LINES];
    plim_status status;
} encoder;

static void *encode_lines(void *arg)
{
    encoder *e = arg;
    for (int i = 0; i < LINES && !e->status; i++) {
        char line[64];
        int32_t *ids = NULL;
        int n = snprintf(line, sizeof line, "Line %d, and %d others of it", i * 7919, i);
        e->status =
            plim_tokenizer_encode(e->tokenizer, line, (size_t)n, 1, &ids, &e->count[i], NULL);
        e->first[i] = e->count[i] > 2 ? ids[e->count[i] / 2] : -1;
        plim_free(ids);
    }
    return NULL;
}

static void test_many_callers(void **state)
{
    (void)state;
    plim_context *c = context_with(1);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    encoder alone = {.tokenizer = tokenizer}, all[4];
    pthread_t threads[4];
    encode_lines(&alone);
    assert_int_equal(alone.status, PLIM_OK);
    for (int i = 0; i < 4; i++) {
        all[i] = (encoder){.tokenizer = tokenizer};
        assert_int_equal(pthread_create(&threads[i], NULL, encode_lines, &all[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].status, PLIM_OK);
        assert_memory_equal(all[i].count, alone.count, sizeof alone.count);
        assert_memory_equal(all[i].first, alone.first, sizeof alone.first);
    }
    plim_tokenizer_close(&tokenizer);
    plim_context_close(&c);
}

/* The buffers of a long text are given back; after close everything is. */
static void test_memory_is_back(void **state)
{
    (void)state;
    temp_folder t = temp_open();
    plim_context *c = context_with(1);
    uint64_t bare = held(c);
    plim_tokenizer *tokenizer = tokenizer_with(c);
    plim_chat *chat = chat_with(c, &t, "{{ a }}");
    uint64_t opened = held(c);
    size_t bytes = 4 << 20, count;
    char *text = malloc(bytes);
    int32_t *ids;
    plim_error err;
    for (size_t i = 0; i < bytes; i++)
        text[i] = "to be or not "[i % 13];
    ok(plim_tokenizer_encode(tokenizer, text, bytes, 1, &ids, &count, &err), &err);
    plim_free(ids);
    assert_int_equal(held(c), opened);
    ok(plim_tokenizer_encode(tokenizer, text, 100, 1, &ids, &count, &err), &err);
    plim_free(ids);
    for (int i = 0; i < 100; i++) {
        ok(plim_tokenizer_encode(tokenizer, text, 100, 1, &ids, &count, &err), &err);
        plim_free(ids);
        ok(plim_chat_encode(chat, tokenizer, BYTES("{\"a\": \"to be\"}"), NULL, &ids, &count, &err),
           &err);
        plim_free(ids);
    }
    assert_true(held(c) - opened < 1 << 20); /* what was met is remembered, within a bound */
    free(text);
    /* the handles keep the context alive; any order will do */
    plim_context *again = c;
    plim_chat_close(&chat);
    plim_tokenizer_close(&tokenizer);
    assert_int_equal(held(c), bare);
    tokenizer = tokenizer_with(c);
    chat = chat_with(c, &t, "{{ a }}");
    plim_context_close(&again);
    ok(plim_chat_encode(chat, tokenizer, BYTES("{\"a\": \"to be\"}"), NULL, &ids, &count, &err),
       &err);
    plim_free(ids);
    plim_tokenizer_close(&tokenizer);
    plim_chat_close(&chat);
    temp_close(&t);
}

/* ---- a prompt in two parts ---- */

static void test_earlier_tokens(void **state)
{
    (void)state;
    plim_context *c = context_with(1);
    plim_model *m = model_with(c, TINY, 64, 1);
    static const int32_t prompt[] = {1, 5, 9, 5, 7, 11, 3};
    plim_generate_options o;
    plim_generation *whole, *parts;
    plim_session *s;
    plim_error err;
    plim_generate_options_init(&o);
    o.max_new_tokens = 20;
    o.ignore_eos = 1;
    o.repetition_penalty = 1.8;
    ok(plim_session_open(&s, m, &err), &err);
    ok(plim_session_generate(&whole, s, NULL, prompt, 7, &o, &err), &err);
    ok(plim_session_truncate(s, 4, &err), &err);
    o.earlier = prompt;
    o.earlier_count = 4;
    ok(plim_session_generate(&parts, s, NULL, prompt + 4, 3, &o, &err), &err);
    assert_int_equal(parts->token_count, whole->token_count);
    assert_memory_equal(parts->tokens, whole->tokens, whole->token_count * sizeof(int32_t));
    plim_generation_free(&parts);
    plim_generation_free(&whole);
    static const int32_t bad[] = {-1, INT32_MAX};
    for (int i = 0; i < 2; i++) {
        o.earlier = &bad[i];
        o.earlier_count = 1;
        assert_int_equal(plim_session_generate(&parts, s, NULL, prompt, 1, &o, &err), PLIM_E_USAGE);
        assert_null(parts);
    }
    plim_session_close(&s);
    plim_model_close(&m);
    plim_context_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_bad_clock),
        cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_encoded_as_a_whole),
        cmocka_unit_test(test_template_of_a_file),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_many_callers),
        cmocka_unit_test(test_memory_is_back),
        cmocka_unit_test(test_earlier_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
