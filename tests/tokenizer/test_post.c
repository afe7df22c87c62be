/* SPDX-License-Identifier: Apache-2.0
 *
 * Post-processors: ids and spans with special tokens and without, as Hugging Face tokenizers gives
 * them, for each kind, for sequences of them and for what is odd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tokenizer/made.h"

#define G "\xC4\xA0"
#define MODEL                                                                                      \
    "{\"type\":\"WordLevel\",\"unk_token\":\"[UNK]\",\"vocab\":{\"a\":0,\"b\":1,\"[UNK]\":2,"      \
    "\"ab\":3,\"[CLS]\":4,\"[SEP]\":5,\"<s>\":6,\"</s>\":7,\"x\":8,\"" G "a\":9,\"a" G             \
    "\":10,\"" G "\":11,\"" G G "\":12}}"
#define A          "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define B          "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}"
#define S(name)    "{\"SpecialToken\":{\"id\":\"" name "\",\"type_id\":0}}"
#define CLS        S("[CLS]")
#define SEP        S("[SEP]")
#define LIST(list) "{\"type\":\"Sequence\",\"processors\":[" list "]}"
#define TEMPLATE(single, pair)                                                                     \
    "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[" pair                     \
    "],\"special_tokens\":{\"[CLS]\":{\"ids\":[4]},\"[SEP]\":{\"ids\":[5]},\"two\":{\"ids\":[4,"   \
    "5]},\"none\":{\"ids\":[]}}}"
#define BERT "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",5],\"cls\":[\"[CLS]\",4]}"
#define ROBERTA(trim, prefix)                                                                      \
    "{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",7],\"cls\":[\"<s>\",6],"                    \
    "\"trim_offsets\":" #trim ",\"add_prefix_space\":" #prefix "}"
#define BYTES(trim, prefix)                                                                        \
    "{\"type\":\"ByteLevel\",\"trim_offsets\":" #trim ",\"add_prefix_space\":" #prefix             \
    ",\"use_regex\":true}"
#define SPACED G "a|a" G "|" G "|" G G "|a"

static const struct {
    const char *post, *text, *special, *plain;
} cases[] = {
    {TEMPLATE(CLS "," A "," SEP, ""), "a|b", "4[0,0] 0[0,1] 1[2,3] 5[0,0]", "0[0,1] 1[2,3]"},
    {TEMPLATE(S("two") "," A, ""), "a", "4[0,0] 5[0,0] 0[0,1]", "0[0,1]"},
    {TEMPLATE(S("none") "," A, ""), "a", "0[0,1]", "0[0,1]"},
    {TEMPLATE(A "," SEP "," A, ""), "a|b", "0[0,1] 1[2,3] 5[0,0] 0[0,1] 1[2,3]",
     "0[0,1] 1[2,3] 0[0,1] 1[2,3]"},
    {TEMPLATE(SEP, ""), "a", "5[0,0]", ""},
    {TEMPLATE("", ""), "a", "", ""},
    {TEMPLATE(CLS "," A, ""), "", "4[0,0]", ""},
    /* a template behind one that makes two parts takes its pair */
    {LIST(TEMPLATE(CLS "," A, "") "," TEMPLATE(CLS "," A, A "," B "," SEP "," A)), "a|b",
     "4[0,0] 0[0,1] 1[2,3] 5[0,0] 4[0,0]", "0[0,1] 1[2,3]"},
    {LIST(TEMPLATE(CLS "," A "," SEP, "") "," BERT), "a",
     "4[0,0] 4[0,0] 5[0,0] 0[0,1] 5[0,0] 5[0,0] 5[0,0]", "0[0,1]"},
    {LIST(TEMPLATE(CLS "," A, "") "," ROBERTA(true, true)), "a",
     "6[0,0] 4[0,0] 7[0,0] 7[0,0] 0[0,1] 7[0,0]", "0[0,1]"},
    {LIST(BERT "," TEMPLATE(CLS "," A "," SEP, "")), "a", "4[0,0] 4[0,0] 0[0,1] 5[0,0] 5[0,0]",
     "0[0,1]"},
    {LIST(BERT "," BERT), "a", "4[0,0] 4[0,0] 0[0,1] 5[0,0] 5[0,0]", "0[0,1]"},
    {LIST(""), "a", "0[0,1]", "0[0,1]"},
    /* spans (of bytes: G has two) without the spaces at the ends of tokens */
    {BYTES(true, true), SPACED, "9[0,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17]",
     "9[0,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17]"},
    {BYTES(true, false), SPACED, "9[2,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17]",
     "9[2,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17]"},
    {BYTES(false, false), SPACED, "9[0,3] 10[4,7] 11[8,10] 12[11,15] 0[16,17]",
     "9[0,3] 10[4,7] 11[8,10] 12[11,15] 0[16,17]"},
    {LIST(BYTES(true, false) "," BYTES(true, false)), SPACED,
     "9[3,3] 10[4,4] 11[10,10] 12[15,15] 0[16,17]", "9[3,3] 10[4,4] 11[10,10] 12[15,15] 0[16,17]"},
    {ROBERTA(true, true), SPACED, "6[0,0] 9[0,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17] 7[0,0]",
     "9[0,3] 10[4,5] 11[10,10] 12[15,15] 0[16,17]"},
    {ROBERTA(false, true), "a", "6[0,0] 0[0,1] 7[0,0]", "0[0,1]"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char parts[4096];
        snprintf(parts, sizeof parts,
                 ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"|\"},"
                 "\"behavior\":\"Removed\",\"invert\":false},\"post_processor\":%s",
                 cases[i].post);
        plim_tok *tok = made_open(MODEL, parts);
        for (int special = 0; special < 2; special++) {
            plim_tok_request request = {.add_special = special, .offsets = true};
            const char *want = special ? cases[i].special : cases[i].plain;
            const char *have = made_ids(tok, cases[i].text, strlen(cases[i].text), &request);
            if (strcmp(have, want) != 0)
                fail_msg("%s: \"%s\" gives %s, want %s", cases[i].post, cases[i].text, have, want);
        }
        plim_tok_close(&tok);
    }
}

/* Memory that ends anywhere: while loading, and while the text is laid out twice. */
static void test_allocations_fail(void **state)
{
    (void)state;
    plim_tok *tok =
        made_open(MODEL, ",\"post_processor\":" LIST(BERT "," TEMPLATE(A "," SEP "," A, "")));
    plim_tok_close(&tok);
    plim_status status = PLIM_E_BUDGET;
    for (size_t at = 1; status; at++) {
        counting counted;
        plim_error err = {0};
        plim_tok_scratch *scratch = NULL;
        plim_tok_encoding encoding;
        plim_tok_request request = {.add_special = true, .offsets = true};
        counting_init(&counted);
        counted.fail_at = at;
        if (!(status = made_open_folder(&tok, &counted.alloc, &err)) &&
            !(status = plim_tok_scratch_open(&scratch, tok, &counted.alloc, &err)))
            status = plim_tok_encode(scratch, "ab", 2, &request, &encoding, &err);
        if (status)
            assert_int_equal(status, PLIM_E_BUDGET);
        else
            assert_int_equal(encoding.count, 7);
        plim_tok_scratch_close(&scratch);
        plim_tok_close(&tok);
        assert_int_equal(counted.blocks, 0);
        assert_true(at < 10000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, made_set_up, made_tear_down);
}
