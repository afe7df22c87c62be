/* SPDX-License-Identifier: Apache-2.0
 *
 * Unigram, WordPiece and WordLevel: ids and the bytes they stand for as Hugging Face tokenizers
 * gives them, what is literal, long runs, files without a type, older files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tokenizer/internal.h"
#include "tokenizer/made.h"

#define UNIGRAM(pieces, fields)                                                                    \
    "{\"type\":\"Unigram\",\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"b\",-2]" pieces "]" fields "}"
#define PIECES(max)                                                                                \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","        \
    "\"max_input_chars_per_word\":" #max ",\"vocab\":{\"[UNK]\":0,\"a\":1,\"##b\":2,\"ab\":3,"     \
    "\"##\xC3\xA9\":4,\"##\":5,\"##ab\":6,\"\xC3\xA9\":7}}"
#define WORDS(unk)                                                                                 \
    "{\"type\":\"WordLevel\",\"unk_token\":\"" unk "\",\"vocab\":{\"a\":0,\"[UNK]\":1,\"b c\":2}}"
#define UNK0 ",\"unk_id\":0"
#define BACK UNK0 ",\"byte_fallback\":true"

static const struct {
    const char *model, *text, *want;
} cases[] = {
    {UNIGRAM("", UNK0), "ab", "1[0,1] 2[1,2]"},
    {UNIGRAM(",[\"ab\",-2.5]", UNK0), "ab", "3[0,2]"},
    {UNIGRAM(",[\"ab\",-3]", UNK0), "ab", "3[0,2]"}, /* as good: the first way stays */
    {UNIGRAM(",[\"ab\",-3.5]", UNK0), "ab", "1[0,1] 2[1,2]"},
    {UNIGRAM("", UNK0), "azzb\xC3\xA9", "1[0,1] 0[1,3] 2[3,4] 0[4,6]"},
    {UNIGRAM("", UNK0), "<unk>", "0[0,5]"},
    {UNIGRAM("", UNK0), "a<unk>zb", "1[0,1] 0[1,7] 2[7,8]"},
    {UNIGRAM("", ""), "ab", "1[0,1] 2[1,2]"},
    {UNIGRAM("", ",\"unk_id\":null"), "az", "FORMAT"},
    {UNIGRAM(",[\"a\",-5],[\"a\",-7]", UNK0), "aab", "4[0,1] 4[1,2] 2[2,3]"},
    {UNIGRAM(",[\"\",-50]", UNK0), "ab", "1[0,1] 2[1,2]"},
    {UNIGRAM(",[\"<0xC3>\",-5],[\"<0xA9>\",-5],[\"x\",-1]", BACK),
     "a\xC3\xA9"
     "b\xC3\xA9\xC3\xA9",
     "1[0,1] 3[1,3] 4[1,3] 2[3,4] 3[4,8] 4[4,8] 3[4,8] 4[4,8]"},
    {UNIGRAM(",[\"<0xC3>\",-5],[\"<0xA9>\",-5]", BACK), "\xC3\xA9z", "0[0,3]"},
    {UNIGRAM(",[\"<0x7A>\",-5]", ",\"byte_fallback\":true"), "z", "FORMAT"},
    {PIECES(100), "abab", "3[0,2] 6[2,4]"},
    {PIECES(100), "ab\xC3\xA9", "3[0,2] 4[2,4]"},
    {PIECES(100), "abz", "0[0,3]"},
    {PIECES(100), "##", "5[0,2]"},
    {PIECES(3), "abab", "0[0,4]"},
    {PIECES(4), "abab", "3[0,2] 6[2,4]"},
    {PIECES(2), "\xC3\xA9\xC3\xA9", "7[0,2] 4[2,4]"},
    {WORDS("[UNK]"), "b c", "2[0,3]"},
    {WORDS("[UNK]"), "b", "1[0,1]"},
    {WORDS("none"), "a", "0[0,1]"},
    {WORDS("none"), "b", "FORMAT"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_tok *tok = made_open(cases[i].model, "");
        plim_tok_request request = {.offsets = true};
        const char *have = made_ids(tok, cases[i].text, strlen(cases[i].text), &request);
        if (strcmp(have, cases[i].want) != 0)
            fail_msg("%s: \"%s\" gives %s, want %s", cases[i].model, cases[i].text, have,
                     cases[i].want);
        plim_tok_close(&tok);
    }
}

/* A piece that is there twice decodes by all its ids, and added tokens come after all of them. */
static void test_twins(void **state)
{
    (void)state;
    plim_tok *tok = made_open(
        UNIGRAM(",[\"a\",-5],[\"a\",-7]", UNK0),
        ",\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,"
        "\"rstrip\":false,\"normalized\":false,\"special\":true}]");
    for (int32_t id = 1; id <= 4; id += id == 1 ? 2 : 1) {
        char text[4] = "";
        assert_int_equal(plim_tok_token(tok, id, text, sizeof text), 1);
        assert_string_equal(text, "a");
    }
    assert_int_equal(plim_tok_find(tok, "<s>", 3), 5);
    plim_tok_close(&tok);
}

/* What came from a user becomes no special token, in no model. */
static void test_literal(void **state)
{
    (void)state;
#define SPECIAL(content)                                                                           \
    ",\"added_tokens\":[{\"id\":9,\"content\":\"" content "\",\"single_word\":false,"              \
    "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}]"
    static const struct {
        const char *model, *added, *text, *plain, *literal;
    } rows[] = {
        {UNIGRAM(",[\"ab\",-1]", UNK0), SPECIAL("ab"), "aab", "1 3", "1 1 2"},
        {UNIGRAM(",[\"zz\",-1]", UNK0), SPECIAL("zz"), "zz", "3", "0"},
        {PIECES(100), SPECIAL("ab"), "ab", "3", "1 2"},
        {PIECES(100), SPECIAL("##ab"), "aab", "1 6", "0"},
        {WORDS("[UNK]"), SPECIAL("a"), "a", "0", "1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plim_tok *tok = made_open(rows[i].model, rows[i].added);
        size_t bytes = strlen(rows[i].text);
        plim_tok_span all = {0, bytes};
        plim_tok_request request = {.literal = &all, .literal_count = 1};
        assert_string_equal(made_ids(tok, rows[i].text, bytes, NULL), rows[i].plain);
        assert_string_equal(made_ids(tok, rows[i].text, bytes, &request), rows[i].literal);
        plim_tok_close(&tok);
    }
}

/* A model without a type is the first kind whose fields it has. */
static void test_no_type(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        plim_model_kind kind;
    } rows[] = {
        {"{\"vocab\":{\"a\":0},\"merges\":[]}", PLIM_MODEL_BPE},
        {"{\"merges\":[],\"vocab\":{\"a\":0}}", PLIM_MODEL_BPE},
        {"{\"vocab\":{\"a\":0},\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\","
         "\"max_input_chars_per_word\":9}",
         PLIM_MODEL_WORDPIECE},
        {"{\"vocab\":{\"a\":0},\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\"}",
         PLIM_MODEL_WORDLEVEL},
        {"{\"vocab\":[[\"a\",0]],\"unk_id\":0}", PLIM_MODEL_UNIGRAM},
        {"{\"vocab\":{\"a\":0},\"type\":\"WordLevel\",\"unk_token\":\"a\",\"merges\":[7]}",
         PLIM_MODEL_WORDLEVEL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plim_tok *tok = made_open(rows[i].model, "");
        assert_int_equal(tok->model, rows[i].kind);
        plim_tok_close(&tok);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Four times the text is about four times the time, not sixteen. */
static void test_linear(void **state)
{
    (void)state;
    static const struct {
        const char *model, *letter;
    } rows[] = {
        {UNIGRAM(",[\"aa\",-1.5],[\"aaaa\",-2],[\"aaaaaaaa\",-2.5]", UNK0), "a"},
        {UNIGRAM("", UNK0), "z"},
        {UNIGRAM("", UNK0), " "},
        {UNIGRAM("", UNK0), "\xE4\xB8\xAD"},
        {PIECES(4096), "a"},
        {PIECES(100), "\xE4\xB8\xAD"},
        {WORDS("[UNK]"), "a"},
    };
    enum { MOST = 4 << 20 };
    char *text = malloc(MOST);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t width = strlen(rows[i].letter);
        double took[2];
        for (size_t k = 0; k + width <= MOST; k += width)
            memcpy(text + k, rows[i].letter, width);
        for (int k = 0; k < 2; k++) {
            plim_tok *tok = made_open(rows[i].model, "");
            plim_tok_scratch *scratch;
            plim_tok_encoding encoding;
            plim_error err = {0};
            size_t bytes = (k ? MOST : MOST / 4) / width * width;
            assert_int_equal(plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), &err),
                             PLIM_OK);
            double begin = seconds();
            assert_int_equal(plim_tok_encode(scratch, text, bytes, NULL, &encoding, &err), PLIM_OK);
            took[k] = seconds() - begin;
            assert_true(encoding.count > 0);
            plim_tok_scratch_close(&scratch);
            plim_tok_close(&tok);
        }
        if (took[1] > 10 * took[0] + 0.05)
            fail_msg("%s: %.3f s, four times the text %.3f s", rows[i].letter, took[0], took[1]);
    }
    free(text);
}

/* ---- older files ---- */

static void write_text(const char *name, const char *text)
{
    made_write(name, text, strlen(text));
}

#define BERT "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\ne\n\xC3\xA9\n\xE4\xB8\xAD\nThe  \r\n"

/* What Transformers' AutoTokenizer gives for such folders. */
static void test_vocab_txt(void **state)
{
    (void)state;
    static const struct {
        const char *config, *text, *want;
    } rows[] = {
        {"{\"tokenizer_class\":\"BertTokenizer\"}", "The\xE4\xB8\xADthes \xC3\xA9 [MASK]q",
         "2 5 9 5 6 7 4 1 3"},
        {"{\"tokenizer_class\":\"DistilBertTokenizerFast\",\"do_lower_case\":false}",
         "The \xC3\xA9", "2 10 8 3"},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"strip_accents\":false}", "\xC3\xA9", "2 8 3"},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"tokenize_chinese_chars\":false}",
         "\xE4\xB8\xAD"
         "e",
         "2 1 3"},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"cls_token\":\"the\",\"add_bos_token\":true}",
         "e", "5 7 3"},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"cls_token\":null}", "e", "2 7 3"},
        {"{\"tokenizer_class\":\"BertTokenizer\",\"sep_token\":\"new\"}", "e", "2 7 11"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plim_tok *tok;
        plim_error err = {0};
        plim_tok_request request = {.add_special = true};
        made_clear();
        write_text("vocab.txt", BERT);
        write_text("tokenizer_config.json", rows[i].config);
        if (made_open_folder(&tok, plim_alloc_system(), &err))
            fail_msg("%s: %s", rows[i].config, err.message);
        const char *have = made_ids(tok, rows[i].text, strlen(rows[i].text), &request);
        if (strcmp(have, rows[i].want) != 0)
            fail_msg("%s: %s gives %s, want %s", rows[i].config, rows[i].text, have, rows[i].want);
        plim_tok_close(&tok);
    }
}

/* Which of the older forms a folder has, and those that are none. */
static void test_discovery(void **state)
{
    (void)state;
    static const struct {
        const char *files[3][2];
        plim_status code;
        const char *says;
    } rows[] = {
        {{{"vocab.txt", BERT}}, PLIM_E_UNSUP, "BertTokenizer"},
        {{{"vocab.txt", BERT}, {"config.json", "{\"model_type\":\"mpnet\"}"}},
         PLIM_E_UNSUP,
         "mpnet"},
        {{{"vocab.txt", BERT}, {"config.json", "{\"model_type\":\"bert\"}"}}, PLIM_OK, NULL},
        {{{"vocab.txt", "\xFF\n"}, {"config.json", "{\"model_type\":\"bert\"}"}},
         PLIM_E_FORMAT,
         "UTF-8"},
        {{{"tokenizer.model", "x"}}, PLIM_E_UNSUP, "tokenizer.json"},
        {{{"tekken.json", "{}"}}, PLIM_E_UNSUP, "tokenizer.json"},
        {{{"config.json", "{\"model_type\":\"bert\"}"}}, PLIM_E_IO, "vocab.txt"},
        {{{"vocab.json", "{\"a\":0}"}, {"merges.txt", ""}}, PLIM_OK, NULL},
        {{{"vocab.json", "{\"a\":0}"}, {"merges.txt", ""}, {"vocab.txt", BERT}}, PLIM_OK, NULL},
        {{{"vocab.json", "{\"a\":0}"}}, PLIM_E_IO, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        plim_tok *tok;
        plim_error err = {0};
        made_clear();
        for (size_t k = 0; k < 3 && rows[i].files[k][0]; k++)
            write_text(rows[i].files[k][0], rows[i].files[k][1]);
        plim_status status = made_open_folder(&tok, plim_alloc_system(), &err);
        if (status != rows[i].code || (rows[i].says && !strstr(err.message, rows[i].says)))
            fail_msg("%s: %s: %s", rows[i].files[0][0], plim_status_name(status), err.message);
        plim_tok_close(&tok);
    }
}

/* GPTNeoXTokenizer leaves the template of a tokenizer.json out; add_bos_token changes none. */
static void test_template_stays(void **state)
{
    (void)state;
    static const char *const configs[][2] = {
        {"{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"add_bos_token\":false}", "1 0"},
        {"{\"tokenizer_class\":\"LlamaTokenizer\",\"add_eos_token\":true,\"eos_token\":\"a\"}",
         "1 0"},
        {"{\"tokenizer_class\":\"GPTNeoXTokenizerFast\"}", "0"},
    };
    for (size_t i = 0; i < 3; i++) {
        plim_tok *tok;
        plim_error err = {0};
        plim_tok_request request = {.add_special = true};
        plim_tok *first =
            made_open(WORDS("[UNK]"), ",\"post_processor\":{\"type\":\"TemplateProcessing\","
                                      "\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},"
                                      "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
                                      "\"special_tokens\":{\"x\":{\"ids\":[1]}}}");
        plim_tok_close(&first);
        write_text("tokenizer_config.json", configs[i][0]);
        if (made_open_folder(&tok, plim_alloc_system(), &err))
            fail_msg("%s", err.message);
        assert_string_equal(made_ids(tok, "a", 1, &request), configs[i][1]);
        plim_tok_close(&tok);
    }
}

static void test_allocations_fail(void **state)
{
    (void)state;
    static const char *const models[] = {
        UNIGRAM(",[\"ab\",-2.5],[\"a\",-3],[\"<0x7A>\",-5],[\"a_long_piece_of_text\",-1.1]", BACK),
        PIECES(100), WORDS("[UNK]"), NULL};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        plim_status status = PLIM_E_BUDGET;
        if (models[i]) {
            plim_tok *first = made_open(models[i], "");
            plim_tok_close(&first);
        } else {
            made_clear();
            write_text("vocab.txt", BERT);
            write_text("config.json", "{\"model_type\":\"bert\"}");
        }
        for (size_t at = 1; status; at++) {
            counting counted;
            plim_error err = {0};
            plim_tok *tok;
            plim_tok_scratch *scratch = NULL;
            plim_tok_encoding encoding;
            counting_init(&counted);
            counted.fail_at = at;
            if (!(status = made_open_folder(&tok, &counted.alloc, &err)) &&
                !(status = plim_tok_scratch_open(&scratch, tok, &counted.alloc, &err)))
                status = plim_tok_encode(scratch, "abzzab", 6, NULL, &encoding, &err);
            if (status)
                assert_int_equal(status, PLIM_E_BUDGET);
            plim_tok_scratch_close(&scratch);
            plim_tok_close(&tok);
            assert_int_equal(counted.blocks, 0);
            assert_true(at < 10000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_no_type),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_vocab_txt),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_template_stays),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, made_set_up, made_tear_down);
}
