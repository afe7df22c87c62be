/* SPDX-License-Identifier: Apache-2.0
 *
 * generation_config.json and old config.json files: what Transformers generates with (recorded by
 * tools/sampling/record.py), what is refused, warned of and wrong, with positions. */
#include "base/base_test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "generate/sampler.h"

#define DATA PLIM_SOURCE_DIR "/tests/generate/data/"

/* ---- as Transformers ---- */

static double number_of(char **line)
{
    char *end;
    double value = strtod(*line, &end);
    assert_ptr_not_equal(end, *line);
    *line = end;
    return value;
}

/* A line of defaults.txt after the name. */
static void check_line(const char *name, char *line)
{
    char folder[4096];
    plim_generation_defaults got;
    plim_error err;
    snprintf(folder, sizeof folder, DATA "defaults/%s", name);
    if (plim_generation_defaults_read(&got, plim_alloc_system(), folder, NULL, &err) != PLIM_OK)
        fail_msg("%s", err.message);
    print_message("    %s\n", name);
    assert_int_equal(got.sampling.do_sample, number_of(&line));
    assert_true(got.sampling.repetition_penalty == number_of(&line));
    assert_true(got.sampling.temperature == number_of(&line));
    assert_true((double)got.sampling.top_k == number_of(&line));
    assert_true(got.sampling.top_p == number_of(&line));
    assert_true(got.sampling.min_p == number_of(&line));
    assert_true((double)got.max_length == number_of(&line));
    assert_true((double)got.max_new_tokens == number_of(&line));
    assert_true(got.bos == number_of(&line));
    assert_true((double)got.eos_count == number_of(&line));
    for (size_t i = 0; i < got.eos_count; i++)
        assert_true(got.eos[i] == number_of(&line));
    assert_int_equal(got.sampling.seed, 0);
    assert_null(got.sampling.lacks);
}

static void as_transformers_generates(void **state)
{
    char line[512];
    int lines = 0;
    FILE *file = fopen(DATA "defaults.txt", "r");
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        char *space = strchr(line, ' ');
        assert_non_null(space);
        *space = 0;
        check_line(line, space + 1);
        lines++;
    }
    fclose(file);
    assert_in_range(lines, 10, 100);
}

/* ---- documents of our own ---- */

typedef struct noted {
    int lines;
    char last[1024];
} noted;

static void note(void *user, plim_log_level level, const char *line)
{
    noted *n = user;
    assert_int_equal(level, PLIM_LOG_WARN);
    n->lines++;
    snprintf(n->last, sizeof n->last, "%s", line);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* Read a generation_config.json (or a config.json alone) with that text. */
static plim_status read_text(const char *name, const char *text, plim_generation_defaults *out,
                             noted *notes, plim_error *err)
{
    char folder[64];
    plim_log log = {.fn = note, .user = notes};
    folder_make(folder);
    write_file(folder, name, text);
    memset(notes, 0, sizeof *notes);
    plim_status status = plim_generation_defaults_read(out, plim_alloc_system(), folder, &log, err);
    folder_remove(folder);
    return status;
}

/* It fails with that code at the last place where `mark` is. */
static void check_refused(const char *text, plim_status code, const char *mark, const char *word)
{
    static const char *const names[] = {"generation_config.json", "config.json"};
    for (int i = 0; i < 2; i++) {
        plim_generation_defaults untouched, out;
        plim_error err;
        noted notes;
        memset(&out, 0x5a, sizeof out);
        memcpy(&untouched, &out, sizeof out);
        plim_status status = read_text(names[i], text, &out, &notes, &err);
        if (status != code)
            fail_msg("%s gives %s", text, plim_status_name(status));
        assert_int_equal(err.code, code);
        const char *at = strstr(text, mark);
        assert_non_null(at);
        if (err.offset != at - text || !strstr(err.message, word) || !strstr(err.file, names[i]))
            fail_msg("%s: '%s' at %lld in '%s'", text, err.message, (long long)err.offset,
                     err.file);
        assert_memory_equal(&out, &untouched, sizeof out);
    }
}

static void wrong_types_are_format(void **state)
{
    (void)state;
    check_refused("{\"do_sample\": \"yes\"}", PLIM_E_FORMAT, "\"yes\"", "do_sample");
    check_refused("{\"do_sample\": 1}", PLIM_E_FORMAT, "1", "do_sample");
    check_refused("{\"temperature\": \"0.7\"}", PLIM_E_FORMAT, "\"0.7\"", "temperature");
    check_refused("{\"temperature\": [1]}", PLIM_E_FORMAT, "[", "temperature");
    check_refused("{\"top_p\": true}", PLIM_E_FORMAT, "true", "top_p");
    check_refused("{\"min_p\": {}}", PLIM_E_FORMAT, "{}", "min_p");
    check_refused("{\"repetition_penalty\": 1e999}", PLIM_E_FORMAT, "1e999", "repetition_penalty");
    check_refused("{\"top_k\": 50.0}", PLIM_E_FORMAT, "50.0", "top_k");
    check_refused("{\"max_length\": 1e3}", PLIM_E_FORMAT, "1e3", "max_length");
    check_refused("{\"max_length\": -1}", PLIM_E_FORMAT, "-1", "max_length");
    check_refused("{\"max_new_tokens\": 0}", PLIM_E_FORMAT, "0", "max_new_tokens");
    check_refused("{\"eos_token_id\": \"</s>\"}", PLIM_E_FORMAT, "\"</s>\"", "eos_token_id");
    check_refused("{\"eos_token_id\": [1, [2]]}", PLIM_E_FORMAT, "[2]", "eos_token_id");
    check_refused("{\"eos_token_id\": [1, null]}", PLIM_E_FORMAT, "null", "eos_token_id");
    check_refused("{\"eos_token_id\": 2.5}", PLIM_E_FORMAT, "2.5", "eos_token_id");
    check_refused("{\"bos_token_id\": [1]}", PLIM_E_FORMAT, "[", "bos_token_id");
    check_refused("{\"num_beams\": \"4\"}", PLIM_E_FORMAT, "\"4\"", "num_beams");
    check_refused("[]", PLIM_E_FORMAT, "[", "object");
    check_refused("{\"top_k\": 1, \"top_k\": 2}", PLIM_E_FORMAT, "\"top_k\": 2", "top_k");
    check_refused("{\"top_k\": 1,}", PLIM_E_FORMAT, "}", "");
    check_refused("{\"top_k\": NaN}", PLIM_E_FORMAT, "NaN", "");
}

static void broken_files_are_errors(void **state)
{
    plim_generation_defaults out;
    plim_error err;
    noted notes;
    (void)state;
    assert_int_equal(read_text("generation_config.json", "", &out, &notes, &err), PLIM_E_TRUNC);
    assert_int_equal(read_text("generation_config.json", "{\"top_k\": 5", &out, &notes, &err),
                     PLIM_E_TRUNC);
    assert_int_equal(
        read_text("generation_config.json", "{\"eos_token_id\": [5,", &out, &notes, &err),
        PLIM_E_TRUNC);
    assert_int_equal(
        read_text("generation_config.json", "{\"constraints\": [[5,", &out, &notes, &err),
        PLIM_E_TRUNC);
}

static void large_numbers_are_limits(void **state)
{
    char text[2048] = "{\"eos_token_id\": [100";
    (void)state;
    check_refused("{\"eos_token_id\": 2147483648}", PLIM_E_LIMIT, "2147483648", "eos_token_id");
    check_refused("{\"bos_token_id\": 99999999999999999999}", PLIM_E_LIMIT, "999", "bos_token_id");
    check_refused("{\"top_k\": 9223372036854775808}", PLIM_E_LIMIT, "922", "top_k");
    check_refused("{\"max_length\": 9223372036854775808}", PLIM_E_LIMIT, "922", "max_length");
    for (int i = 1; i < PLIM_MAX_EOS; i++)
        sprintf(text + strlen(text), ",%d", 100 + i);
    plim_generation_defaults out;
    plim_error err;
    noted notes;
    size_t full = strlen(text);
    strcpy(text + full, "]}");
    assert_int_equal(read_text("generation_config.json", text, &out, &notes, &err), PLIM_OK);
    assert_int_equal(out.eos_count, PLIM_MAX_EOS);
    assert_int_equal(out.eos[PLIM_MAX_EOS - 1], 100 + PLIM_MAX_EOS - 1);
    strcpy(text + full, ",999]}");
    check_refused(text, PLIM_E_LIMIT, "999", "64");
}

static void what_changes_the_text_is_unsupported(void **state)
{
    static const char *const asked[] = {
        "\"num_beams\": 4",
        "\"guidance_scale\": 1.5",
        "\"sequence_bias\": [[[1], 2.0]]",
        "\"encoder_repetition_penalty\": 1.1",
        "\"no_repeat_ngram_size\": 3",
        "\"encoder_no_repeat_ngram_size\": 3",
        "\"bad_words_ids\": [[1, 2]]",
        "\"forced_bos_token_id\": 0",
        "\"forced_eos_token_id\": 2",
        "\"exponential_decay_length_penalty\": [10, 1.1]",
        "\"suppress_tokens\": [1]",
        "\"begin_suppress_tokens\": [220, 50256]",
        "\"watermarking_config\": {\"bias\": 2.5}",
        "\"token_healing\": true",
        "\"stop_strings\": [\"x\"]",
        "\"dola_layers\": \"high\"",
        "\"constraints\": [{}]",
        "\"force_words_ids\": [[3]]",
        "\"min_length\": 5, \"eos_token_id\": 1",
        "\"min_new_tokens\": 5, \"eos_token_id\": 1",
        "\"penalty_alpha\": 0.6, \"top_k\": 4",
        "\"penalty_alpha\": 0.6",
    };
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char text[256], key[64];
        snprintf(text, sizeof text, "{\"x\": null, %s}", asked[i]);
        size_t length = strcspn(asked[i] + 1, "\"");
        snprintf(key, sizeof key, "%.*s", (int)length, asked[i] + 1);
        const char *value = asked[i] + length + 4;
        check_refused(text, PLIM_E_UNSUP, value, key);
    }
}

static void what_changes_nothing_is_read_over(void **state)
{
    static const char *const silent[] = {
        "\"num_beams\": 1",
        "\"guidance_scale\": 1.0",
        "\"encoder_repetition_penalty\": 1",
        "\"no_repeat_ngram_size\": 0",
        "\"suppress_tokens\": []",
        "\"watermarking_config\": {}",
        "\"token_healing\": false",
        "\"min_length\": 5", /* no end token that it would hold back */
        "\"min_length\": 0, \"eos_token_id\": 1",
        "\"penalty_alpha\": 0.6, \"top_k\": 1",
        "\"penalty_alpha\": 0.6, \"do_sample\": true",
        "\"typical_p\": 1.0",
        "\"epsilon_cutoff\": 0.0",
        "\"eta_cutoff\": 1.0",
        "\"num_return_sequences\": 1",
        "\"remove_invalid_values\": false",
        "\"num_beam_groups\": 2",
        "\"use_cache\": false",
        "\"bos_token_id\": -1",
        "\"nobody\": {\"num_beams\": 4, \"list\": [[{}]]}",
        "\"temperature\": 0.0, \"top_p\": 7", /* plim_sampling_check's affair */
    };
    static const char *const sampled[] = {"\"typical_p\": 0.9", "\"epsilon_cutoff\": 0.01",
                                          "\"eta_cutoff\": 0.01", "\"top_h\": 0.4"};
    static const char *const warned[] = {
        "\"remove_invalid_values\": true",
        "\"num_return_sequences\": 3",
        "\"max_time\": 5",
        "\"prompt_lookup_num_tokens\": 3",
        "\"assistant_early_exit\": 4",
        "\"use_mtp\": true",
        "\"top_k\": -1",
        "\"eos_token_id\": -1",
    };
    plim_generation_defaults out;
    plim_error err;
    noted notes;
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        snprintf(text, sizeof text, "{%s}", silent[i]);
        if (read_text("generation_config.json", text, &out, &notes, &err) != PLIM_OK)
            fail_msg("%s", err.message);
        assert_int_equal(notes.lines, 0);
        assert_null(out.sampling.lacks);
        assert_int_equal(out.bos, -1);
    }
    for (size_t i = 0; i < sizeof sampled / sizeof *sampled; i++) {
        snprintf(text, sizeof text, "{%s}", sampled[i]);
        assert_int_equal(read_text("generation_config.json", text, &out, &notes, &err), PLIM_OK);
        assert_non_null(strstr(sampled[i], out.sampling.lacks));
        assert_int_equal(plim_sampling_check(&out.sampling, &err), PLIM_OK);
        out.sampling.do_sample = true;
        assert_int_equal(plim_sampling_check(&out.sampling, &err), PLIM_E_UNSUP);
    }
    for (size_t i = 0; i < sizeof warned / sizeof *warned; i++) {
        snprintf(text, sizeof text, "{%s}", warned[i]);
        assert_int_equal(read_text("generation_config.json", text, &out, &notes, &err), PLIM_OK);
        assert_int_equal(notes.lines, 1);
        snprintf(text, sizeof text, "%.*s", (int)strcspn(warned[i] + 1, "\""), warned[i] + 1);
        assert_non_null(strstr(notes.last, text));
        assert_int_equal(out.eos_count, 0);
    }
    assert_int_equal(read_text("generation_config.json", "{\"top_k\": -1}", &out, &notes, &err),
                     PLIM_OK);
    assert_int_equal(out.sampling.top_k, 0);
}

/* A nested config's key that the outer one overrides asks for nothing. */
static void the_outer_config_wins(void **state)
{
    plim_generation_defaults out;
    plim_error err;
    noted notes;
    (void)state;
    const char *text =
        "{\"text_config\": {\"num_beams\": 4, \"eos_token_id\": 9}, \"num_beams\": 1}";
    assert_int_equal(read_text("config.json", text, &out, &notes, &err), PLIM_OK);
    assert_int_equal(out.eos[0], 9);
    text = "{\"text_config\": {\"num_beams\": 4}}";
    assert_int_equal(read_text("config.json", text, &out, &notes, &err), PLIM_E_UNSUP);
    assert_int_equal(err.offset, strchr(text, '4') - text);
    assert_int_equal(read_text("generation_config.json", text, &out, &notes, &err), PLIM_OK);
}

static void files_that_are_none(void **state)
{
    char folder[64], path[128], long_name[5000];
    plim_generation_defaults out;
    plim_error err;
    (void)state;
    folder_make(folder);
    assert_int_equal(plim_generation_defaults_read(&out, plim_alloc_system(), folder, NULL, &err),
                     PLIM_OK);
    assert_int_equal(out.sampling.top_k, 50);
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(plim_generation_defaults_read(&out, plim_alloc_system(), folder, NULL, &err),
                     PLIM_E_UNSAFE);
    assert_string_equal(err.file, path);
    remove(path);
    assert_int_equal(symlink("nowhere", path), 0); /* as if it were not there */
    assert_int_equal(plim_generation_defaults_read(&out, plim_alloc_system(), folder, NULL, &err),
                     PLIM_OK);
    remove(path);
    assert_int_equal(symlink("generation_config.json", path),
                     0); /* leads to itself: nobody can say */
    assert_int_equal(plim_generation_defaults_read(&out, plim_alloc_system(), folder, NULL, &err),
                     PLIM_E_IO);
    remove(path);
    write_file(folder, "generation_config.json", "{}");
    assert_int_equal(chmod(path, 0), 0);
    if (access(path, R_OK) != 0) /* root may read it all the same */
        assert_int_equal(
            plim_generation_defaults_read(&out, plim_alloc_system(), folder, NULL, &err),
            PLIM_E_IO);
    folder_remove(folder);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(
        plim_generation_defaults_read(&out, plim_alloc_system(), long_name, NULL, &err),
        PLIM_E_LIMIT);
}

static void every_allocation_may_fail(void **state)
{
    counting_alloc counting;
    plim_generation_defaults out;
    plim_error err;
    (void)state;
    counting_open(&counting);
    for (size_t n = 1;; n++) {
        counting.calls = 0;
        counting.fail_at = n;
        plim_status status = plim_generation_defaults_read(&out, &counting.alloc,
                                                           DATA "defaults/llama3", NULL, &err);
        assert_int_equal(counting.live_blocks, 0);
        if (status == PLIM_OK) {
            assert_true(n > 1);
            break;
        }
        assert_int_equal(status, PLIM_E_NOMEM);
    }
    assert_int_equal(out.eos_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_transformers_generates),
        cmocka_unit_test(wrong_types_are_format),
        cmocka_unit_test(broken_files_are_errors),
        cmocka_unit_test(large_numbers_are_limits),
        cmocka_unit_test(what_changes_the_text_is_unsupported),
        cmocka_unit_test(what_changes_nothing_is_read_over),
        cmocka_unit_test(the_outer_config_wins),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
