/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizer files that are wrong, hostile or beyond what is supported: each gets its class, its
 * file and its offset (the place marked by @ in the text below), and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tokenizer/cases.h"

static char folder[256];

static void write_file(const char *name, const char *text, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static void remove_files(void)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json", "merges.txt",
                                        "tokenizer_config.json", "config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

static int set_up(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/plim-tokenizer-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    remove_files();
    return rmdir(folder);
}

static plim_status open_counted(plim_tok **tok, counting *counted, plim_error *err)
{
    counting_init(counted);
    plim_status status = plim_tok_open(tok, &counted->alloc, folder, NULL, err);
    if (status) {
        assert_null(*tok);
        assert_int_equal(counted->blocks, 0);
        assert_int_equal(err->code, status);
    }
    return status;
}

/* Opening the folder must fail so. */
static void expect_failure(const char *name, const char *file, plim_status code, int64_t offset,
                           const char *says)
{
    plim_tok *tok;
    plim_error err = {0};
    counting counted;
    plim_status status = open_counted(&tok, &counted, &err);
    if (status == PLIM_OK)
        plim_tok_close(&tok);
    if (status != code || (offset >= 0 && err.offset != offset) ||
        (says && !strstr(err.message, says)) || !strstr(err.file, file))
        fail_msg("%s: want %s at %lld (%s), have %s at %lld in %s: %s", name,
                 plim_status_name(code), (long long)offset, says ? says : "",
                 plim_status_name(status), (long long)err.offset, err.file, err.message);
}

/* text without its @, and where that was (-1: nowhere). */
static int64_t unmark(const char *text, char *out, size_t cap)
{
    const char *mark = strchr(text, '@');
    size_t before = mark ? (size_t)(mark - text) : strlen(text);
    assert_true(strlen(text) < cap);
    memcpy(out, text, before);
    strcpy(out + before, mark ? mark + 1 : "");
    return mark ? (int64_t)before : -1;
}

#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
#define BYTES "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define HEAD  "{\"version\":\"1.0\","
#define ADDED(id, text)                                                                            \
    "{\"id\":" id ",\"content\":" text                                                             \
    ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,"                \
    "\"special\":false}"
#define VOCAB(vocab) HEAD BYTES ",\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[]}}"
#define MERGES(merges)                                                                             \
    HEAD BYTES ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3},"        \
               "\"merges\":[" merges "]}}"
#define BPE(fields)                                                                                \
    HEAD BYTES ",\"model\":{" fields ",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a "      \
               "b\"]}}"
#define UNIGRAM(fields, pieces)                                                                    \
    HEAD "\"model\":@{\"type\":\"Unigram\"," fields ",\"vocab\":[" pieces "]}}"
#define UNIGRAM_AT(fields) HEAD "\"model\":{\"type\":\"Unigram\"," fields "}}"
#define PART(part)         HEAD part "," MODEL "}"
#define WITH_BYTES(part)   HEAD part "," BYTES "," MODEL "}"

#define PRE(list) PART("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}")

#define BYTE_STEP "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define SPLIT(pattern)                                                                             \
    PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":" pattern                                      \
        "},\"behavior\":\"Isolated\",\"invert\":false}," BYTE_STEP)
#define TEMPLATE(single, specials)                                                                 \
    WITH_BYTES("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single           \
               "],\"pair\":[],"                                                                    \
               "\"special_tokens\":{" specials "}}")
#define SEQUENCE_A "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"

typedef struct bad_json {
    const char *name, *text;
    plim_status code;
    const char *says;
} bad_json;

static const bad_json bad_files[] = {
    {"empty", "", PLIM_E_TRUNC, NULL},
    {"cut", HEAD BYTES ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0", PLIM_E_TRUNC, NULL},
    {"top-array", "@[]", PLIM_E_FORMAT, "object"},
    {"trailing-junk", HEAD BYTES "," MODEL "}@x", PLIM_E_FORMAT, NULL},
    {"version", "{\"version\":@\"2.0\"," BYTES "," MODEL "}", PLIM_E_UNSUP, "version"},
    {"no-model", HEAD BYTES "}", PLIM_E_FORMAT, "no model"},
    {"two-models", HEAD BYTES "," MODEL ",\"model\":@{}}", PLIM_E_FORMAT, "twice"},
    {"model-null", HEAD BYTES ",\"model\":@null}", PLIM_E_FORMAT, "object"},
    {"no-merges", HEAD BYTES ",\"model\":@{\"type\":\"BPE\",\"vocab\":{}}}", PLIM_E_FORMAT,
     "no merges"},
    {"no-vocab", HEAD BYTES ",\"model\":@{\"type\":\"BPE\",\"merges\":[]}}", PLIM_E_FORMAT,
     "no vocab"},
    /* vocabulary */
    {"vocab-id-negative", VOCAB("\"a\":@-1"), PLIM_E_FORMAT, NULL},
    {"byte-token-minus1", VOCAB("\"<0x00>\":@-1"), PLIM_E_FORMAT, NULL},
    {"vocab-id-33-bits", VOCAB("\"a\":@4294967296"), PLIM_E_LIMIT, NULL},
    {"vocab-id-huge", VOCAB("\"a\":@4294967295"), PLIM_E_LIMIT, "4294967295"},
    {"vocab-id-float", VOCAB("\"a\":@1.5"), PLIM_E_FORMAT, NULL},
    {"vocab-id-string", VOCAB("\"a\":@\"1\""), PLIM_E_FORMAT, "number"},
    {"lone-surrogate", VOCAB("\"\\ud800\":1"), PLIM_E_FORMAT, NULL},
    {"vocab-twice", HEAD BYTES ",\"model\":{\"vocab\":{},\"vocab\":@{},\"merges\":[]}}",
     PLIM_E_FORMAT, "vocab"},
    /* merges */
    {"merge-unknown-token", MERGES("\"a b\",@\"a x\""), PLIM_E_FORMAT, "\"x\""},
    {"merge-unknown-result", MERGES("@\"b a\""), PLIM_E_FORMAT, "\"ba\""},
    {"merge-three-parts", MERGES("@\"a b c\""), PLIM_E_FORMAT, "two parts"},
    {"merge-one-part", MERGES("@\"ab\""), PLIM_E_FORMAT, "two parts"},
    {"merge-pair-of-three", MERGES("[\"a\",\"b\",@\"c\"]"), PLIM_E_FORMAT, "two parts"},
    {"merge-pair-of-one", MERGES("[\"a\"@]"), PLIM_E_FORMAT, NULL},
    {"merge-number", MERGES("@1"), PLIM_E_FORMAT, "merge"},
    {"merge-mixed", MERGES("\"a b\",@[\"a\",\"b\"]"), PLIM_E_FORMAT, "not both"},
    /* model */
    {"unknown-model-type", BPE("\"type\":@\"Foo\""), PLIM_E_UNSUP, "\"Foo\""},
    {"model-unigram", HEAD "\"model\":{\"type\":\"Unigram\",\"vocab\":@{\"a\":0}}}", PLIM_E_FORMAT,
     "scores"},
    {"model-scores", HEAD "\"model\":{\"type\":\"BPE\",\"vocab\":@[[\"a\",-1.0]]}}", PLIM_E_FORMAT,
     "object"},
    {"model-scores-late", HEAD "\"model\":@{\"vocab\":[[\"a\",-1.0]],\"type\":\"BPE\"}}",
     PLIM_E_FORMAT, "BPE"},
    {"model-no-kind", HEAD "\"model\":@{\"vocab\":{\"a\":0}}}", PLIM_E_FORMAT, "no type"},
    {"model-nothing", HEAD "\"model\":@{}}", PLIM_E_FORMAT, "no vocab"},
    {"model-vocab-twice",
     HEAD "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0},"
          "\"vocab\":@{}}}",
     PLIM_E_FORMAT, "twice"},
    {"unigram-empty", UNIGRAM("\"unk_id\":0", ""), PLIM_E_FORMAT, "0 pieces"},
    {"unigram-unk", UNIGRAM("\"unk_id\":2", "[\"a\",-1],[\"b\",-1]"), PLIM_E_FORMAT, "2 pieces"},
    {"unigram-unk-negative", UNIGRAM_AT("\"unk_id\":@-1"), PLIM_E_FORMAT, "unk_id"},
    {"unigram-unk-text", UNIGRAM_AT("\"unk_id\":@\"a\""), PLIM_E_FORMAT, "unk_id"},
    {"unigram-three", UNIGRAM_AT("\"vocab\":[[\"a\",-1,@2]]"), PLIM_E_FORMAT, "end of a piece"},
    {"unigram-no-score", UNIGRAM_AT("\"vocab\":[[\"a\"@]]"), PLIM_E_FORMAT, "score"},
    {"unigram-huge-score", UNIGRAM_AT("\"vocab\":[[\"a\",@1e999]]"), PLIM_E_FORMAT, "score"},
    {"unigram-piece", UNIGRAM_AT("\"vocab\":[[@7,1]]"), PLIM_E_FORMAT, "a piece"},
    {"unigram-no-pair", UNIGRAM_AT("\"vocab\":[@\"a\"]"), PLIM_E_FORMAT, "a piece"},
    {"unigram-no-vocab", HEAD "\"model\":@{\"type\":\"Unigram\"}}", PLIM_E_FORMAT, "no vocab"},
    {"wordpiece-no-max",
     HEAD "\"model\":@{\"type\":\"WordPiece\",\"unk_token\":\"a\","
          "\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":0}}}",
     PLIM_E_FORMAT, "max_input_chars_per_word"},
    {"wordpiece-no-prefix",
     HEAD "\"model\":@{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}}}",
     PLIM_E_FORMAT, "continuing_subword_prefix"},
    {"wordpiece-max", HEAD "\"model\":{\"max_input_chars_per_word\":@-3}}", PLIM_E_FORMAT,
     "max_input_chars_per_word"},
    {"wordlevel-no-unk", HEAD "\"model\":@{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}",
     PLIM_E_FORMAT, "unk_token"},
    {"model-prefix", BPE("\"continuing_subword_prefix\":@7"), PLIM_E_FORMAT,
     "continuing_subword_prefix"},
    {"model-suffix", BPE("\"end_of_word_suffix\":@true"), PLIM_E_FORMAT, "end_of_word_suffix"},
    {"model-dropout-2", BPE("\"dropout\":@2"), PLIM_E_FORMAT, "dropout"},
    {"model-type-number", BPE("\"type\":@7"), PLIM_E_FORMAT, "type"},
    {"model-dropout", BPE("\"dropout\":@0.1"), PLIM_E_UNSUP, "dropout"},
    {"model-flag", BPE("\"ignore_merges\":@1"), PLIM_E_FORMAT, "ignore_merges"},
    /* added tokens */
    {"added-id-huge", WITH_BYTES("\"added_tokens\":[" ADDED("@4294967296", "\"x\"") "]"),
     PLIM_E_FORMAT, "id"},
    {"added-id-negative", WITH_BYTES("\"added_tokens\":[" ADDED("@-1", "\"x\"") "]"), PLIM_E_FORMAT,
     "id"},
    {"added-content", WITH_BYTES("\"added_tokens\":[" ADDED("1", "@7") "]"), PLIM_E_FORMAT,
     "content"},
    {"added-lacks", WITH_BYTES("\"added_tokens\":[{\"id\":1,\"content\":\"x\"@}]"), PLIM_E_FORMAT,
     "lacks"},
    {"added-object", WITH_BYTES("\"added_tokens\":@{}"), PLIM_E_FORMAT, "array"},
    /* normalizer */
    {"normalizer-unknown", WITH_BYTES("\"normalizer\":{\"type\":@\"Uppercase\"}"), PLIM_E_UNSUP,
     "Uppercase"},
    {"normalizer-unknown-in-list",
     WITH_BYTES("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{"
                "\"type\":@\"Uppercase\"}]}"),
     PLIM_E_UNSUP, "Uppercase"},
    {"normalizer-number", WITH_BYTES("\"normalizer\":@1"), PLIM_E_FORMAT, "normalizer"},
    {"normalizer-no-type", WITH_BYTES("\"normalizer\":@{}"), PLIM_E_FORMAT, "type"},
    /* pre-tokenizer */
    {"pre-words", PRE("{\"type\":@\"Words\"}"), PLIM_E_UNSUP, "pre_tokenizer type \"Words\""},
    {"pre-last", PRE(BYTE_STEP ",{\"type\":@\"Delimiter\"}"), PLIM_E_UNSUP, "Delimiter"},
    {"pre-no-list", PART("\"pre_tokenizer\":@{\"type\":\"Sequence\"}"), PLIM_E_FORMAT,
     "pretokenizers"},
    {"pre-no-prefix", PART("\"pre_tokenizer\":@{\"type\":\"ByteLevel\"}"), PLIM_E_FORMAT,
     "add_prefix_space"},
    {"pre-no-digits", PRE("@{\"type\":\"Digits\"}"), PLIM_E_FORMAT, "individual_digits"},
    {"split-no-behavior",
     PRE("@{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"invert\":false}"), PLIM_E_FORMAT,
     "behavior"},
    {"split-behavior", PRE("{\"type\":\"Split\",\"behavior\":@\"Foo\"}"), PLIM_E_FORMAT,
     "behavior"},
    {"split-no-pattern", PRE("@{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false}"),
     PLIM_E_FORMAT, "pattern"},
    {"split-pattern-kind",
     PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false,\"pattern\":@{\"Glob\":"
         "\"a\"}}"),
     PLIM_E_FORMAT, "pattern"},
    {"split-flag", PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":@\"no\"}"),
     PLIM_E_FORMAT, "invert"},
    /* decoder */
    {"decoder-metaspace", WITH_BYTES("\"decoder\":@{\"type\":\"Metaspace\"}"), PLIM_E_FORMAT,
     "replacement"},
    {"decoder-empty-pattern",
     WITH_BYTES(
         "\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"String\":@\"\"},\"content\":\"x\"}"),
     PLIM_E_FORMAT, "empty pattern"},
    {"decoder-type", WITH_BYTES("\"decoder\":{\"type\":@\"Foo\"}"), PLIM_E_UNSUP, "\"Foo\""},
    /* post-processor */
    {"post-type", WITH_BYTES("\"post_processor\":{\"type\":@\"Foo\"}"), PLIM_E_UNSUP,
     "post_processor type \"Foo\""},
    {"special-id-past-vocab",
     TEMPLATE("{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}," SEQUENCE_A,
              "\"x\":{\"id\":\"x\",\"ids\":[@99999],\"tokens\":[\"x\"]}"),
     PLIM_E_FORMAT, "99999"},
    {"special-id-negative",
     TEMPLATE("{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}",
              "\"x\":{\"id\":\"x\",\"ids\":[@-1]}"),
     PLIM_E_FORMAT, NULL},
    {"template-unknown", TEMPLATE("@{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}", ""),
     PLIM_E_FORMAT, "\"x\""},
    {"template-b", TEMPLATE("@{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}", ""), PLIM_E_FORMAT,
     "sequence A"},
    {"template-piece", TEMPLATE("@{\"Foo\":{\"id\":\"A\"}}", ""), PLIM_E_FORMAT, "Sequence"},
    {"template-behind-three",
     WITH_BYTES("\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":"
                "\"TemplateProcessing\",\"single\":[" SEQUENCE_A "," SEQUENCE_A "," SEQUENCE_A
                "]},@{\"type\":\"TemplateProcessing\",\"single\":[]}]}"),
     PLIM_E_UNSUP, "3 parts"},
    {"post-lacks",
     WITH_BYTES("\"post_processor\":@{\"type\":\"BertProcessing\",\"cls\":[\"a\",0]}"),
     PLIM_E_FORMAT, "no sep"},
    {"post-token", WITH_BYTES("\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":@[\"a\"]}"),
     PLIM_E_FORMAT, "cls"},
    /* patterns: what PCRE2 would read otherwise is refused, by name and place */
    {"pattern-boundary", SPLIT("@\"\\\\Gx\""), PLIM_E_UNSUP, "escape"},
    {"pattern-absent", SPLIT("@\"(?~a)\""), PLIM_E_UNSUP, "group"},
    {"pattern-group-name", SPLIT("@\"(?<n a)\""), PLIM_E_FORMAT, "name"},
    {"pattern-extended", SPLIT("@\"(?x)a b\""), PLIM_E_UNSUP, "group"},
    {"pattern-backreference", SPLIT("@\"(a)\\\\2\""), PLIM_E_UNSUP, "compile"},
    {"pattern-backreference-10", SPLIT("@\"(a)\\\\10\""), PLIM_E_UNSUP, "escape"},
    {"pattern-name-and-number", SPLIT("@\"(?<n>a)(b)\\\\1\""), PLIM_E_UNSUP, "named"},
    {"pattern-repeats", SPLIT("@\"a{1,2}++\""), PLIM_E_UNSUP, "repeat"},
    {"pattern-empty-side", SPLIT("@\"[a-z&&]\""), PLIM_E_UNSUP, "empty side"},
    {"pattern-posix", SPLIT("@\"[[:vowel:]]\""), PLIM_E_UNSUP, "name"},
    {"pattern-posix-end", SPLIT("@\"[[:alpha]]\""), PLIM_E_FORMAT, ":]"},
    {"pattern-script", SPLIT("@\"\\\\p{Klingon}\""), PLIM_E_UNSUP, "NAME"},
    {"pattern-script-in-set", SPLIT("@\"[a\\\\p{Klingon}]\""), PLIM_E_UNSUP, "NAME"},
    {"pattern-script-fold", SPLIT("@\"(?i:\\\\p{Han})\""), PLIM_E_UNSUP, "(?i)"},
    {"pattern-set-fold", SPLIT("@\"(?i:[\\\\P{L}a])\""), PLIM_E_UNSUP, "(?i)"},
    {"pattern-word", SPLIT("@\"\\\\p{Word}\""), PLIM_E_UNSUP, "Word"},
    {"pattern-deep-sets", SPLIT("@\"[^[^[^[^[^[^[^[^[^a]]]]]]]]]\""), PLIM_E_UNSUP, "deep"},
    {"pattern-hard-range", SPLIT("@\"[^[^a]z-a]\""), PLIM_E_FORMAT, "range"},
    {"pattern-hard-end", SPLIT("@\"[^[^a]\""), PLIM_E_FORMAT, "end"},
    {"pattern-hard-class-end", SPLIT("@\"[\\\\Wa-\\\\w]\""), PLIM_E_UNSUP, "end of a range"},
    {"pattern-fold", SPLIT("@\"(?i:ss)\""), PLIM_E_UNSUP, "fold"},
    {"pattern-fold-set", SPLIT("@\"(?i:[\u00DF])\""), PLIM_E_UNSUP, "several"},
    {"pattern-fold-set-range", SPLIT("@\"(?i:[\u00C0-\u00FF])\""), PLIM_E_UNSUP, "several"},
    {"pattern-fold-case", SPLIT("@\"(?i:\\\\p{Lu})\""), PLIM_E_UNSUP, "case"},
    {"pattern-flags-inside", SPLIT("@\"a(?i)b\""), PLIM_E_UNSUP, "middle"},
    {"pattern-lookbehind", SPLIT("@\"(?<=a+)b\""), PLIM_E_UNSUP, "compile"},
    {"pattern-open-group", SPLIT("@\"(a\""), PLIM_E_FORMAT, "group"},
    {"pattern-close-group", SPLIT("@\"a)\""), PLIM_E_FORMAT, ")"},
    {"pattern-open-set", SPLIT("@\"[a\""), PLIM_E_FORMAT, "set"},
    {"pattern-range", SPLIT("@\"[z-a]\""), PLIM_E_FORMAT, "range"},
    {"pattern-backslash", SPLIT("@\"a\\\\\""), PLIM_E_FORMAT, "backslash"},
    {"pattern-count", SPLIT("@\"a{999999}\""), PLIM_E_LIMIT, NULL},
    {"pattern-too-large", SPLIT("@\"(?:(?:(?:abcdefgh){999}){999}){999}\""), PLIM_E_LIMIT,
     "compile"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        const bad_json *bad = &bad_files[i];
        char text[4096];
        int64_t offset = unmark(bad->text, text, sizeof text);
        write_file("tokenizer.json", text, strlen(text));
        expect_failure(bad->name, "tokenizer.json", bad->code, offset, bad->says);
    }
    remove_files();
}

/* {"version":"1.0", before (repeated thing) after} */
static void expect_repeated(const char *name, const char *before, const char *thing, size_t times,
                            const char *after, plim_status code, const char *says)
{
    size_t a = strlen(before), b = strlen(thing), c = strlen(after), bytes = a + b * times + c;
    char *text = malloc(bytes);
    assert_non_null(text);
    memcpy(text, before, a);
    for (size_t i = 0; i < times; i++)
        memcpy(text + a + i * b, thing, b);
    memcpy(text + a + b * times, after, c);
    write_file("tokenizer.json", text, bytes);
    free(text);
    expect_failure(name, "tokenizer.json", code, -1, says);
    remove_files();
}

static void test_limits(void **state)
{
    (void)state;
    expect_repeated("token-5MB", HEAD BYTES ",\"model\":{\"vocab\":{\"", "a", 5u << 20,
                    "\":0},\"merges\":[]}}", PLIM_E_LIMIT, NULL);
    expect_repeated("nested-normalizers-9",
                    HEAD "\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":[", 9,
                    "]}]}]}]}]}]}]}]}]}," MODEL "}", PLIM_E_LIMIT, "nested");
    expect_repeated("nested-normalizers-1000", HEAD "\"x\":", "[", 1000, "", PLIM_E_LIMIT, NULL);
    expect_repeated("nested-processors",
                    HEAD "\"post_processor\":", "{\"type\":\"Sequence\",\"processors\":[", 9,
                    "]}]}]}]}]}]}]}]}]}," MODEL "}", PLIM_E_LIMIT, "nested");
    expect_repeated("17-steps", HEAD "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
                    "{\"type\":\"Digits\",\"individual_digits\":true},", 17,
                    BYTE_STEP "]}," MODEL "}", PLIM_E_LIMIT, "steps");
    expect_repeated("added-5000", HEAD "\"added_tokens\":[{\"content\":\"", "a", 5000, "\"}]}",
                    PLIM_E_LIMIT, "5000");
    expect_repeated("template",
                    HEAD "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[",
                    SEQUENCE_A ",", 5000, SEQUENCE_A "]}," MODEL "}", PLIM_E_LIMIT, "template");
    expect_repeated(
        "pattern",
        HEAD "\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false,"
             "\"pattern\":{\"Regex\":\"",
        "a", 70000, "\"}}," MODEL "}", PLIM_E_LIMIT, "70000");
    expect_repeated(
        "groups",
        HEAD "\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false,"
             "\"pattern\":{\"Regex\":\"",
        "(", 500, "\"}}," MODEL "}", PLIM_E_UNSUP, "nested");
}

static void encode_and_check(const char *text, const int32_t *want, size_t want_count)
{
    plim_tok *tok;
    plim_error err = {0};
    counting counted;
    int32_t *ids;
    size_t count;
    if (open_counted(&tok, &counted, &err))
        fail_msg("%s", err.message);
    assert_int_equal(tok_encode(tok, &counted.alloc, text, strlen(text), true, &ids, &count, &err),
                     PLIM_OK);
    assert_int_equal(count, want_count);
    assert_memory_equal(ids, want, count * sizeof *ids);
    plim_delete(&counted.alloc, ids);
    plim_tok_close(&tok);
    assert_int_equal(counted.blocks, 0);
}

/* What Hugging Face accepts, with its ids. */
static void test_accepted(void **state)
{
    (void)state;
    static const char holes[] = VOCAB("\"a\":7,\"b\":500,\"c\":500");
    write_file("tokenizer.json", holes, strlen(holes));
    encode_and_check("abcz", (int32_t[]){7, 500, 500}, 3);
    static const char last_wins[] = VOCAB("\"a\":7,\"b\":1,\"a\":3");
    write_file("tokenizer.json", last_wins, strlen(last_wins));
    encode_and_check("ab", (int32_t[]){3, 1}, 2);
    static const char order[] =
        HEAD "\"model\":{\"unknown\":[{}],\"merges\":[[\"a\",\"b\"]],\"vocab\":{\"a\":0,\"b\":1,"
             "\"ab\":2},\"type\":\"BPE\",\"dropout\":0.0}," BYTES "}";
    write_file("tokenizer.json", order, strlen(order));
    encode_and_check("abba", (int32_t[]){2, 1, 0}, 3);
    static const char ignored[] = WITH_BYTES("\"added_tokens\":[" ADDED(
        "4294967295", "\"<x>\"") "," ADDED("0", "\"b\"") "," ADDED("9", "\"\"") "]");
    write_file("tokenizer.json", ignored, strlen(ignored));
    encode_and_check("a<x>ab", (int32_t[]){0, 3, 0, 1}, 4);
    remove_files();
}

static void test_backtracking(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        SPLIT("\"^(?:a+)+$\""), SPLIT("\"(?:a|aa)+(?!a)(?=!)b\""), SPLIT("\"(?:a?){40}a{40}!c\"")};
    char text[200];
    memset(text, 'a', sizeof text);
    text[60] = '!';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        plim_tok *tok;
        plim_error err = {0};
        counting counted;
        int32_t *ids;
        size_t count;
        write_file("tokenizer.json", patterns[i], strlen(patterns[i]));
        if (open_counted(&tok, &counted, &err))
            fail_msg("%s", err.message);
        plim_status status = tok_encode(tok, &counted.alloc, text, 61, false, &ids, &count, &err);
        if (i == 0) {
            assert_int_equal(status, PLIM_E_LIMIT);
            assert_non_null(strstr(err.message, "backtracks"));
        }
        assert_true(status == PLIM_E_LIMIT || status == PLIM_OK);
        plim_delete(&counted.alloc, ids);
        plim_tok_close(&tok);
        assert_int_equal(counted.blocks, 0);
    }
    remove_files();
}

static void test_pair(void **state)
{
    (void)state;
    static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3,\"x\":null}";
    expect_failure("nothing", folder, PLIM_E_IO, -1, "tokenizer.json");
    write_file("vocab.json", vocab, strlen(vocab));
    expect_failure("no merges", "merges.txt", PLIM_E_IO, -1, NULL);
    static const struct {
        const char *merges;
        plim_status code;
    } bad[] = {{"#version: 0.2\n@a b c\n", PLIM_E_FORMAT},
               {"a b\n@\na b\n", PLIM_E_FORMAT},
               {"#version: 0.2\na b\n@a q", PLIM_E_FORMAT},
               {"a b\na @\xFF\n", PLIM_E_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        int64_t offset = unmark(bad[i].merges, text, sizeof text);
        write_file("merges.txt", text, strlen(text));
        expect_failure(bad[i].merges, "merges.txt", bad[i].code, offset, NULL);
    }
    char *line = malloc(70000);
    memset(line, 'a', 70000);
    write_file("merges.txt", line, 70000);
    free(line);
    expect_failure("long line", "merges.txt", PLIM_E_LIMIT, 0, "65536");
    write_file("merges.txt", "#version: 0.2\r\na b", 18);
    encode_and_check("abb<|endoftext|>", (int32_t[]){2, 1, 3}, 3);
    static const char class[] = "{\"tokenizer_class\":\"CLIPTokenizer\"}";
    write_file("tokenizer_config.json", class, strlen(class));
    expect_failure("class", "vocab.json", PLIM_E_UNSUP, -1, "CLIPTokenizer");
    unlink("tokenizer_config.json");
    static const char broken[] = "{\"bos_token\":{\"lstrip\":true}}";
    write_file("tokenizer_config.json", broken, strlen(broken));
    expect_failure("token without content", "tokenizer_config.json", PLIM_E_FORMAT, 27, "content");
    static const char ids[] = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}";
    write_file("tokenizer_config.json", ids, strlen(ids));
    expect_failure("id", "tokenizer_config.json", PLIM_E_FORMAT, 29, "ids");
    remove_files();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_backtracking),
        cmocka_unit_test(test_pair)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
