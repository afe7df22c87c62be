/* SPDX-License-Identifier: Apache-2.0
 *
 * generation_config.json, or the generation keys of an old config.json: what generate() would do
 * without being told.  A table says what each key means to us; keys that are not in it change no
 * text (lengths of beams, caches, outputs, padding).  Checking the values that end up in use is
 * plim_sampling_check's. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "generate/sampler.h"

#define PATH_BYTES     4096
#define LONGEST_STRING (1u << 20)

typedef enum kind {
    BOOL,
    NUMBER,
    INTEGER, /* of at least `least` */
    TOKEN,
    TOKENS, /* one or a list */
    ANY     /* whether it is there: not null, false or empty */
} kind;

typedef enum effect {
    USED,
    CHANGES_TEXT,    /* refused */
    CHANGES_EOS,     /* refused where there is an end token that it would hold back */
    CHANGES_GREEDY,  /* contrastive search: refused where its conditions hold */
    CHANGES_SAMPLED, /* refused when sampling is asked for (plim_sampling.lacks) */
    IGNORED          /* warned of */
} effect;

typedef struct row {
    const char *key;
    kind kind;
    effect effect;
    double low,
        high; /* asks for its effect when low < value < high; when low = high, unless it is that */
    int64_t least;
} row;

enum {
    DO_SAMPLE,
    REPETITION_PENALTY,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    MIN_P,
    MAX_LENGTH,
    MAX_NEW_TOKENS,
    BOS,
    EOS,
    FIRST_UNUSED
};

static const row rows[] = {
    [DO_SAMPLE] = {"do_sample", BOOL, USED, 0, 0, 0},
    [REPETITION_PENALTY] = {"repetition_penalty", NUMBER, USED, 0, 0, 0},
    [TEMPERATURE] = {"temperature", NUMBER, USED, 0, 0, 0},
    [TOP_K] = {"top_k", INTEGER, USED, 0, 0, INT64_MIN},
    [TOP_P] = {"top_p", NUMBER, USED, 0, 0, 0},
    [MIN_P] = {"min_p", NUMBER, USED, 0, 0, 0},
    [MAX_LENGTH] = {"max_length", INTEGER, USED, 0, 0, 0},
    [MAX_NEW_TOKENS] = {"max_new_tokens", INTEGER, USED, 0, 0, 1},
    [BOS] = {"bos_token_id", TOKEN, USED, 0, 0, 0},
    [EOS] = {"eos_token_id", TOKENS, USED, 0, 0, 0},
    [FIRST_UNUSED] = {"num_beams", NUMBER, CHANGES_TEXT, 1, INFINITY, 0},
    {"guidance_scale", NUMBER, CHANGES_TEXT, 1, 1, 0},
    {"sequence_bias", ANY, CHANGES_TEXT, 0, 2, 0},
    {"encoder_repetition_penalty", NUMBER, CHANGES_TEXT, 1, 1, 0},
    {"no_repeat_ngram_size", NUMBER, CHANGES_TEXT, 0, INFINITY, 0},
    {"encoder_no_repeat_ngram_size", NUMBER, CHANGES_TEXT, 0, INFINITY, 0},
    {"bad_words_ids", ANY, CHANGES_TEXT, 0, 2, 0},
    {"forced_bos_token_id", ANY, CHANGES_TEXT, 0, 2, 0},
    {"forced_eos_token_id", ANY, CHANGES_TEXT, 0, 2, 0},
    {"exponential_decay_length_penalty", ANY, CHANGES_TEXT, 0, 2, 0},
    {"suppress_tokens", ANY, CHANGES_TEXT, 0, 2, 0},
    {"begin_suppress_tokens", ANY, CHANGES_TEXT, 0, 2, 0},
    {"watermarking_config", ANY, CHANGES_TEXT, 0, 2, 0},
    {"token_healing", BOOL, CHANGES_TEXT, 0, 2, 0},
    {"stop_strings", ANY, CHANGES_TEXT, 0, 2, 0},
    {"dola_layers", ANY, CHANGES_TEXT, 0, 2, 0},
    {"constraints", ANY, CHANGES_TEXT, 0, 2, 0},
    {"force_words_ids", ANY, CHANGES_TEXT, 0, 2, 0},
    {"min_length", NUMBER, CHANGES_EOS, 0, INFINITY, 0},
    {"min_new_tokens", NUMBER, CHANGES_EOS, 0, INFINITY, 0},
    {"penalty_alpha", NUMBER, CHANGES_GREEDY, 0, INFINITY, 0},
    {"top_h", ANY, CHANGES_SAMPLED, 0, 2, 0},
    {"typical_p", NUMBER, CHANGES_SAMPLED, -INFINITY, 1, 0},
    {"epsilon_cutoff", NUMBER, CHANGES_SAMPLED, 0, 1, 0},
    {"eta_cutoff", NUMBER, CHANGES_SAMPLED, 0, 1, 0},
    {"remove_invalid_values", BOOL, IGNORED, 0, 2, 0},
    {"num_return_sequences", NUMBER, IGNORED, 1, INFINITY, 0},
    {"max_time", ANY, IGNORED, 0, 2, 0},
    {"prompt_lookup_num_tokens", ANY, IGNORED, 0, 2, 0},
    {"assistant_early_exit", ANY, IGNORED, 0, 2, 0},
    {"use_mtp", BOOL, IGNORED, 0, 2, 0},
};

#define ROWS (sizeof rows / sizeof *rows)

/* What one object said: entry i is row i's. */
typedef struct values {
    bool present; /* the object is there, with something in it */
    bool given[ROWS];
    double number[ROWS];
    int64_t integer[ROWS], offset[ROWS];
    int32_t eos[PLIM_MAX_EOS];
    size_t eos_count;
} values;

/* ---- reading ---- */

typedef struct file_source {
    plim_file file;
    const char *path;
    uint64_t at;
} file_source;

static plim_status read_source(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    file_source *source = user;
    plim_status status =
        plim_file_read_some(&source->file, source->path, dst, cap, source->at, got, err);
    if (status == PLIM_OK)
        source->at += *got;
    return status;
}

/* The last event is the beginning of an end token's value. */
static plim_status read_eos(plim_json *json, plim_json_event event, values *out, plim_error *err)
{
    bool list = event == PLIM_JSON_ARRAY;
    out->eos_count = 0;
    for (;;) {
        int64_t token;
        if (list) {
            plim_status status = plim_json_next(json, &event, err);
            if (status != PLIM_OK || event == PLIM_JSON_ARRAY_END)
                return status;
        }
        plim_status status = plim_json_i64(json, "eos_token_id", INT32_MIN, INT32_MAX, &token, err);
        if (status != PLIM_OK)
            return status;
        if (out->eos_count == PLIM_MAX_EOS)
            return plim_json_fail(json, err, PLIM_E_LIMIT, "eos_token_id has more than %d tokens",
                                  PLIM_MAX_EOS);
        out->eos[out->eos_count++] = (int32_t)token;
        if (!list)
            return PLIM_OK;
    }
}

/* Pass over the value that begins with the last event; *there says whether it asks for anything. */
static plim_status read_presence(plim_json *json, plim_json_event event, bool *there,
                                 plim_error *err)
{
    *there = event != PLIM_JSON_FALSE;
    if (event != PLIM_JSON_OBJECT && event != PLIM_JSON_ARRAY)
        return PLIM_OK;
    size_t depth = plim_json_depth(json), events = 0;
    plim_status status = PLIM_OK;
    while (status == PLIM_OK && plim_json_depth(json) >= depth) {
        status = plim_json_next(json, &event, err);
        events++;
    }
    *there = events > 1;
    return status;
}

/* The value of row i, which begins with the last event and is not null. */
static plim_status read_value(plim_json *json, size_t i, plim_json_event event, values *out,
                              plim_error *err)
{
    const row *r = &rows[i];
    out->given[i] = true;
    out->offset[i] = plim_json_offset(json);
    switch (r->kind) {
    case BOOL:
        if (event != PLIM_JSON_TRUE && event != PLIM_JSON_FALSE)
            return plim_json_fail(json, err, PLIM_E_FORMAT, "%s must be true or false, found %s",
                                  r->key, plim_json_event_name(event));
        out->number[i] = event == PLIM_JSON_TRUE;
        return PLIM_OK;
    case NUMBER:
        return plim_json_f64(json, r->key, &out->number[i], err);
    case INTEGER:
        return plim_json_i64(json, r->key, r->least, INT64_MAX, &out->integer[i], err);
    case TOKEN:
        return plim_json_i64(json, r->key, INT32_MIN, INT32_MAX, &out->integer[i], err);
    case TOKENS:
        return read_eos(json, event, out, err);
    case ANY:
        break;
    }
    bool there;
    plim_status status = read_presence(json, event, &there, err);
    out->number[i] = status == PLIM_OK && there;
    return status;
}

/* Where a model's config keeps that of its text part; the first that is there counts. */
static const char *const nested_names[] = {"decoder", "generator", "text_config"};
#define NESTED (sizeof nested_names / sizeof *nested_names)

/* A member: the last event is its key.  *current moves into a nested object that is one of ours. */
static plim_status read_member(plim_json *json, values *top, values *nested, values **current,
                               plim_error *err)
{
    size_t i = 0, n = 0;
    plim_json_event event;
    while (i < ROWS && !plim_json_text_is(json, rows[i].key))
        i++;
    while (n < NESTED && !(nested && *current == top && plim_json_text_is(json, nested_names[n])))
        n++;
    if (i == ROWS && n == NESTED)
        return plim_json_skip(json, err);
    plim_status status = plim_json_next(json, &event, err);
    if (status != PLIM_OK || event == PLIM_JSON_NULL)
        return status;
    if (i < ROWS)
        return read_value(json, i, event, *current, err);
    if (event != PLIM_JSON_OBJECT)
        return plim_json_skip(json, err);
    *current = &nested[n];
    return PLIM_OK;
}

/* The whole document.  nested: values [NESTED], or NULL when nested objects do not count. */
static plim_status read_document(plim_json *json, values *top, values *nested, plim_error *err)
{
    values *current = top;
    plim_json_event event;
    plim_status status = plim_json_expect(json, PLIM_JSON_OBJECT, "the document", err);
    while (status == PLIM_OK) {
        status = plim_json_next(json, &event, err);
        if (status != PLIM_OK || event == PLIM_JSON_END)
            break;
        current->present |= event == PLIM_JSON_KEY;
        if (event == PLIM_JSON_KEY)
            status = read_member(json, top, nested, &current, err);
        else
            current = top; /* the end of a nested object, or of the document */
    }
    return status;
}

static plim_status read_file(values *top, values *nested, const plim_alloc *alloc,
                             file_source *source, plim_error *err)
{
    plim_json *json = NULL;
    plim_json_source from = {.read = read_source, .user = source, .file = source->path};
    plim_json_limits limits = {.depth = 64, .string_bytes = LONGEST_STRING};
    plim_status status = plim_json_open(&json, alloc, &from, &limits, err);
    if (status == PLIM_OK)
        status = read_document(json, top, nested, err);
    plim_json_close(&json);
    return status;
}

/* What the outer config leaves open, the first nested one that is there may say. */
static void merge(values *top, const values *nested)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (top->given[i] || !nested->given[i])
            continue;
        top->given[i] = true;
        top->number[i] = nested->number[i];
        top->integer[i] = nested->integer[i];
        top->offset[i] = nested->offset[i];
        if (i == EOS) {
            memcpy(top->eos, nested->eos, sizeof top->eos);
            top->eos_count = nested->eos_count;
        }
    }
}

/* ---- meaning ---- */

static void set_eos(plim_generation_defaults *out, const values *v, const char *path,
                    const plim_log *log)
{
    for (size_t i = 0; i < v->eos_count; i++) {
        if (v->eos[i] >= 0)
            out->eos[out->eos_count++] = v->eos[i];
        else
            plim_log_line(log, PLIM_LOG_WARN,
                          "%s: eos_token_id %d is no token and never ends a text", path,
                          (int)v->eos[i]);
    }
}

static void set_used(plim_generation_defaults *out, const values *v, const char *path,
                     const plim_log *log)
{
    plim_sampling *s = &out->sampling;
    s->do_sample = v->given[DO_SAMPLE] && v->number[DO_SAMPLE] != 0;
    if (v->given[REPETITION_PENALTY])
        s->repetition_penalty = v->number[REPETITION_PENALTY];
    if (v->given[TEMPERATURE])
        s->temperature = v->number[TEMPERATURE];
    if (v->given[TOP_P])
        s->top_p = v->number[TOP_P];
    if (v->given[MIN_P])
        s->min_p = v->number[MIN_P];
    if (v->given[TOP_K]) {
        s->top_k = v->integer[TOP_K] > 0 ? (uint64_t)v->integer[TOP_K] : 0;
        if (v->integer[TOP_K] < 0)
            plim_log_line(
                log, PLIM_LOG_WARN,
                "%s: top_k is %lld, which Transformers refuses when it samples; taken as off", path,
                (long long)v->integer[TOP_K]);
    }
    if (v->given[MAX_LENGTH])
        out->max_length = v->integer[MAX_LENGTH];
    if (v->given[MAX_NEW_TOKENS])
        out->max_new_tokens = v->integer[MAX_NEW_TOKENS];
    if (v->given[BOS] && v->integer[BOS] >= 0)
        out->bos = (int32_t)v->integer[BOS];
    set_eos(out, v, path, log);
}

static bool asks(const values *v, size_t i)
{
    const row *r = &rows[i];
    if (!v->given[i])
        return false;
    if (r->low == r->high)
        return v->number[i] != r->low;
    return v->number[i] > r->low && v->number[i] < r->high;
}

/* Refuse, note or warn of what we do not do. */
static plim_status apply_unused(plim_generation_defaults *out, const values *v, const char *path,
                                const plim_log *log, plim_error *err)
{
    for (size_t i = FIRST_UNUSED; i < ROWS; i++) {
        const row *r = &rows[i];
        bool refuse = r->effect == CHANGES_TEXT;
        if (!asks(v, i))
            continue;
        if (r->effect == CHANGES_EOS)
            refuse = out->eos_count > 0;
        if (r->effect == CHANGES_GREEDY)
            refuse = !out->sampling.do_sample && out->sampling.top_k > 1;
        if (r->effect == CHANGES_SAMPLED && !out->sampling.lacks)
            out->sampling.lacks = r->key;
        if (refuse) {
            plim_where where = {.file = path, .offset = v->offset[i]};
            return plim_fail_at(
                err, PLIM_E_UNSUP, where,
                "%s changes the text and is not supported yet; take it out to go without", r->key);
        }
        if (r->effect == IGNORED)
            plim_log_line(log, PLIM_LOG_WARN, "%s: %s is ignored", path, r->key);
    }
    return PLIM_OK;
}

/* Open directory/name; *there is false where there is no such file (and the source is closed). */
static plim_status open_source(file_source *source, char *path, const char *directory,
                               const char *name, bool *there, plim_error *err)
{
    *there = true;
    source->file.fd = -1;
    plim_status status = plim_path_join(path, PATH_BYTES, directory, name, err);
    if (status != PLIM_OK)
        return status;
    source->path = path;
    source->at = 0;
    status = plim_file_open(&source->file, path, err);
    if (status == PLIM_E_IO) {
        plim_status looked = plim_path_find_file(there, path, err);
        if (looked == PLIM_OK && !*there) {
            plim_error_clear(err);
            return PLIM_OK;
        }
        status = looked ? looked : status; /* could not be looked at, for whatever reason */
    }
    *there = true;
    return status;
}

plim_status plim_generation_defaults_read(plim_generation_defaults *out, const plim_alloc *alloc,
                                          const char *directory, const plim_log *log,
                                          plim_error *err)
{
    char path[PATH_BYTES];
    file_source source;
    values top = {0}, nested[NESTED] = {0};
    bool there;
    plim_generation_defaults found = {
        .sampling = {.repetition_penalty = 1, .temperature = 1, .top_k = 50, .top_p = 1},
        .max_length = -1,
        .max_new_tokens = -1,
        .bos = -1};
    plim_status status =
        open_source(&source, path, directory, "generation_config.json", &there, err);
    bool own = there;
    if (status == PLIM_OK && !there)
        status = open_source(&source, path, directory, "config.json", &there, err);
    if (status == PLIM_OK && there)
        status = read_file(&top, own ? NULL : nested, alloc, &source, err);
    plim_file_close(&source.file);
    if (status != PLIM_OK)
        return status;
    size_t first = 0;
    while (first < NESTED && !nested[first].present)
        first++;
    if (first < NESTED)
        merge(&top, &nested[first]);
    set_used(&found, &top, path, log);
    status = apply_unused(&found, &top, path, log, err);
    if (status == PLIM_OK)
        *out = found;
    return status;
}
