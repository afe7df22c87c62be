/* SPDX-License-Identifier: Apache-2.0
 *
 * Every broken safetensors file gets its class of error, which names the file, the tensor and the
 * offset; nothing is left behind. */
#include "checkpoint_test.h"

typedef struct bad {
    const char *id;
    plim_status code;
    const char *header;
    size_t header_bytes; /* 0: strlen */
    size_t data_bytes;
    uint64_t length;    /* what the first 8 bytes say; 0: the truth */
    const char *tensor; /* NULL: none */
    const char *at;     /* the error stands at this text of the header (its first place) */
    int64_t offset;     /* where `at` is NULL */
    const char *says;   /* part of the message, or NULL */
} bad;

#define A4 "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
#define B4 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}"
#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

/* clang-format off */
static const bad table[] = {
    /* the length */
    {.id = "n-past-eof", .code = PLIM_E_TRUNC, .header = "{" A4 "}", .data_bytes = 4,
     .length = 1000},
    {.id = "n-past-eof-by-1", .code = PLIM_E_TRUNC, .header = "{}", .length = 3},
    {.id = "n-100000001", .code = PLIM_E_LIMIT, .header = "{}", .length = 100000001,
     .says = "100000001"},
    {.id = "n-100000000", .code = PLIM_E_TRUNC, .header = "{}", .length = 100000000},
    {.id = "n-u64max", .code = PLIM_E_LIMIT, .header = "{}", .length = UINT64_MAX,
     .says = "18446744073709551615"},
    {.id = "gguf", .code = PLIM_E_UNSUP, .header = "{}", .length = 0x346554747, .says = "GGUF"},
    {.id = "zip", .code = PLIM_E_UNSUP, .header = "{}", .length = 0x0000080804034b50,
     .says = "PyTorch"},
    {.id = "lfs", .code = PLIM_E_FORMAT, .header = "https://", .length = 0x206e6f6973726576,
     .says = "git lfs pull"},
    /* the data */
    {.id = "data-short-1", .code = PLIM_E_TRUNC, .header = "{" A4 "," B4 "}", .data_bytes = 7,
     .tensor = "b", .at = "\"b\""},
    {.id = "data-missing", .code = PLIM_E_TRUNC, .header = "{" A4 "," B4 "}", .tensor = "a",
     .at = "\"a\""},
    {.id = "trailing-bytes", .code = PLIM_E_FORMAT, .header = "{" A4 "}", .data_bytes = 5,
     .offset = 8 + sizeof("{" A4 "}") - 1 + 4, .says = "1 bytes follow"},
    {.id = "trailing-bytes-without-tensors", .code = PLIM_E_FORMAT, .header = "{}", .data_bytes = 1,
     .offset = 10},
    /* the text */
    {.id = "invalid-utf8", .code = PLIM_E_FORMAT, .header = "{\"a\xff\":1}", .offset = 8 + 3},
    {.id = "overlong-utf8", .code = PLIM_E_FORMAT, .header = "{\"\xc0\xaf\":1}", .offset = 8 + 2},
    {.id = "not-json", .code = PLIM_E_FORMAT, .header = "hello", .offset = 8},
    {.id = "json-cut", .code = PLIM_E_FORMAT, .header = "{\"a\":{\"dtype\":\"F3", .tensor = "a",
     .offset = 8 + 17},
    {.id = "only-spaces", .code = PLIM_E_FORMAT, .header = "    ", .offset = 8 + 4},
    {.id = "top-array", .code = PLIM_E_FORMAT, .header = "[{" A4 "}]", .data_bytes = 4, .offset = 8,
     .says = "the header must be an object, found an array"},
    {.id = "top-string", .code = PLIM_E_FORMAT, .header = "\"a\"", .offset = 8},
    {.id = "leading-junk", .code = PLIM_E_FORMAT, .header = "x{" A4 "}", .data_bytes = 4,
     .offset = 8},
    {.id = "bom", .code = PLIM_E_FORMAT, .header = "\xef\xbb\xbf{}", .offset = 8},
    {.id = "nul-in-header", .code = PLIM_E_FORMAT, .header = "{\0}", .header_bytes = 3,
     .offset = 8 + 1},
    {.id = "nul-padding", .code = PLIM_E_FORMAT, .header = "{}\0\0", .header_bytes = 4,
     .offset = 8 + 2},
    {.id = "trailing-junk-after-json", .code = PLIM_E_FORMAT, .header = "{}x", .offset = 8 + 2},
    {.id = "two-documents", .code = PLIM_E_FORMAT, .header = "{}{}", .offset = 8 + 2},
    {.id = "lone-surrogate", .code = PLIM_E_FORMAT, .header = "{\"\\ud800\":1}", .offset = 8 + 2},
    {.id = "trailing-comma", .code = PLIM_E_FORMAT, .header = "{" A4 ",}", .data_bytes = 4,
     .offset = 8 + sizeof("{" A4 ",") - 1},
    /* duplicates */
    {.id = "dup-tensor-identical", .code = PLIM_E_FORMAT, .header = "{" A4 ", " A4 "}",
     .data_bytes = 4, .offset = 8 + sizeof("{" A4 ", ") - 1, .says = "duplicate key \"a\""},
    {.id = "dup-tensor-differing", .code = PLIM_E_FORMAT,
     .header = "{" A4 ", \"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     .data_bytes = 8, .offset = 8 + sizeof("{" A4 ", ") - 1},
    {.id = "dup-tensor-escaped", .code = PLIM_E_FORMAT,
     .header = "{" A4 ", \"\\u0061\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     .data_bytes = 8, .offset = 8 + sizeof("{" A4 ", ") - 1},
    {.id = "dup-metadata", .code = PLIM_E_FORMAT,
     .header = "{\"__metadata__\":{}, \"__metadata__\":{}}", .offset = 8 + 20},
    {.id = "dup-metadata-key", .code = PLIM_E_FORMAT,
     .header = "{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}", .offset = 8 + 25},
    {.id = "dup-field", .code = PLIM_E_FORMAT,
     .header = "{\"a\":{\"dtype\":\"F32\", \"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     .data_bytes = 4, .tensor = "a", .offset = 8 + 21},
    /* metadata */
    {.id = "metadata-number", .code = PLIM_E_FORMAT, .header = "{\"__metadata__\":{\"k\":17}}",
     .at = "17"},
    {.id = "metadata-array", .code = PLIM_E_FORMAT, .header = "{\"__metadata__\":[]}", .at = "[]"},
    {.id = "metadata-nested", .code = PLIM_E_FORMAT, .header = "{\"__metadata__\":{\"k\":{}}}",
     .at = "{}"},
    {.id = "metadata-as-tensor", .code = PLIM_E_FORMAT,
     .header = "{\"__metadata__\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     .data_bytes = 4, .at = "[1]"},
    /* the layout */
    {.id = "offsets-overlap", .code = PLIM_E_FORMAT,
     .header = "{" A4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
     .data_bytes = 6, .tensor = "b", .at = "\"b\"", .says = "inside that of 'a'"},
    {.id = "offsets-same", .code = PLIM_E_FORMAT,
     .header = "{" A4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     .data_bytes = 4, .tensor = "b", .at = "\"b\""},
    {.id = "offsets-hole", .code = PLIM_E_FORMAT,
     .header = "{" A4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5,9]}}",
     .data_bytes = 9, .tensor = "b", .at = "\"b\"", .says = "1 bytes before it"},
    {.id = "offsets-hole-shuffled", .code = PLIM_E_FORMAT,
     .header = "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5,9]}," A4 "}",
     .data_bytes = 9, .tensor = "b", .at = "\"b\""},
    {.id = "first-offset-nonzero", .code = PLIM_E_FORMAT, .header = "{" B4 "}", .data_bytes = 8,
     .tensor = "b", .at = "\"b\""},
    {.id = "empty-inside-another", .code = PLIM_E_FORMAT,
     .header = "{" A4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[2,2]}}",
     .data_bytes = 4, .tensor = "b", .at = "\"b\""},
    {.id = "empty-past-the-end", .code = PLIM_E_FORMAT,
     .header = "{" A4 ",\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[5,5]}}",
     .data_bytes = 4, .tensor = "b", .at = "\"b\""},
    {.id = "end-before-begin", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1]", "[4,0]"),
     .data_bytes = 4, .tensor = "a", .at = "\"a\"", .says = "ends at 0, before it begins at 4"},
    {.id = "end-before-begin-unknown-dtype", .code = PLIM_E_FORMAT,
     .header = ENTRY("\"F3\"", "[1]", "[4,0]"), .data_bytes = 4, .tensor = "a", .at = "\"a\"",
     .says = "before it begins"},
    {.id = "offsets-u64max", .code = PLIM_E_FORMAT,
     .header = ENTRY("\"U8\"", "[1]", "[18446744073709551614,18446744073709551615]"), .tensor = "a",
     .at = "\"a\""},
    {.id = "size-u64max", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"U8\"", "[18446744073709551615]", "[0,18446744073709551615]"), .tensor = "a",
     .at = "\"a\""},
    {.id = "size-2^61-1", .code = PLIM_E_TRUNC,
     .header = ENTRY("\"U8\"", "[2305843009213693951]", "[0,2305843009213693951]"), .tensor = "a",
     .at = "\"a\""},
    {.id = "end-2^64", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"U8\"", "[1]", "[0,18446744073709551616]"), .tensor = "a",
     .at = "18446744073709551616"},
    /* the shape */
    {.id = "shape-size-mismatch", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[2]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "\"a\"", .says = "[2] of F32 takes 8 bytes"},
    {.id = "shape-size-mismatch-empty", .code = PLIM_E_FORMAT,
     .header = ENTRY("\"F32\"", "[0]", "[0,4]"), .data_bytes = 4, .tensor = "a", .at = "\"a\""},
    {.id = "shape-float", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1.0]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "1.0"},
    {.id = "shape-exponent", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1e0]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "1e0"},
    {.id = "shape-negative", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[-1]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "-1"},
    {.id = "shape-minus-zero", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[-0]", "[0,0]"),
     .tensor = "a", .at = "-0"},
    {.id = "shape-string", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[\"1\"]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "\"1\""},
    {.id = "shape-nested", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[[1]]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "[1]"},
    {.id = "shape-number", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "1", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "1,"},
    {.id = "f4-odd-bits", .code = PLIM_E_FORMAT, .header = ENTRY("\"F4\"", "[3]", "[0,1]"),
     .data_bytes = 1, .tensor = "a", .at = "\"a\"", .says = "whole bytes"},
    {.id = "f6-odd-bits", .code = PLIM_E_FORMAT, .header = ENTRY("\"F6_E2M3\"", "[3]", "[0,2]"),
     .data_bytes = 2, .tensor = "a", .at = "\"a\""},
    {.id = "product-overflow", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]"), .tensor = "a", .at = "\"a\""},
    {.id = "product-overflow-then-zero", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"F32\"", "[4294967296,4294967296,0]", "[0,0]"), .tensor = "a",
     .at = "\"a\""},
    {.id = "bits-overflow", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"F64\"", "[2305843009213693952]", "[0,0]"), .tensor = "a", .at = "\"a\""},
    {.id = "product-overflow-unknown-dtype", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"F3\"", "[4294967296,4294967296]", "[0,0]"), .tensor = "a", .at = "\"a\""},
    {.id = "dim-2^64", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"F32\"", "[18446744073709551616]", "[0,0]"), .tensor = "a",
     .at = "18446744073709551616"},
    {.id = "rank-9", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"U8\"", "[1,1,1,1,1,1,1,1,7]", "[0,7]"), .data_bytes = 7, .tensor = "a",
     .at = "7]"},
    /* the entry */
    {.id = "entry-number", .code = PLIM_E_FORMAT, .header = "{\"a\":5}", .tensor = "a", .at = "5"},
    {.id = "entry-array", .code = PLIM_E_FORMAT, .header = "{\"a\":[\"F32\",[1],[0,4]]}",
     .data_bytes = 4, .tensor = "a", .at = "[\"F32"},
    {.id = "entry-null", .code = PLIM_E_FORMAT, .header = "{\"a\":null}", .tensor = "a",
     .at = "null"},
    {.id = "no-dtype", .code = PLIM_E_FORMAT,
     .header = "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", .data_bytes = 4, .tensor = "a",
     .at = "\"a\"", .says = "no dtype"},
    {.id = "no-shape", .code = PLIM_E_FORMAT,
     .header = "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", .data_bytes = 4, .tensor = "a",
     .at = "\"a\"", .says = "no shape"},
    {.id = "no-offsets", .code = PLIM_E_FORMAT,
     .header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", .data_bytes = 4, .tensor = "a",
     .at = "\"a\"", .says = "no data_offsets"},
    {.id = "dtype-number", .code = PLIM_E_FORMAT, .header = ENTRY("32", "[1]", "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "32"},
    {.id = "offsets-one", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1]", "[4]"),
     .data_bytes = 4, .tensor = "a"},
    {.id = "offsets-three", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1]", "[0,4,9]"),
     .data_bytes = 4, .tensor = "a", .at = "9"},
    {.id = "offsets-float", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1]", "[0,4.0]"),
     .data_bytes = 4, .tensor = "a", .at = "4.0"},
    {.id = "offsets-object", .code = PLIM_E_FORMAT, .header = ENTRY("\"F32\"", "[1]", "{\"0\":4}"),
     .data_bytes = 4, .tensor = "a", .at = "{\"0\""},
    {.id = "name-with-nul", .code = PLIM_E_FORMAT,
     .header = "{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     .data_bytes = 4, .at = "\"a"},
    {.id = "dtype-name-65", .code = PLIM_E_LIMIT,
     .header = ENTRY("\"12345678901234567890123456789012345678901234567890123456789012345\"", "[1]",
        "[0,4]"),
     .data_bytes = 4, .tensor = "a", .at = "\"12345"},
};
/* clang-format on */

static const char *find(const char *text, size_t bytes, const char *part)
{
    const char *at = memmem(text, bytes, part, strlen(part));
    assert_non_null(at);
    return at;
}

static void expect_bad(const char *root, const bad *b)
{
    size_t bytes = b->header_bytes ? b->header_bytes : strlen(b->header);
    put_safetensors(root, "x.safetensors", b->header, bytes, b->length ? b->length : TRUE_LENGTH,
                    b->data_bytes);
    const char *path = in(root, "x.safetensors");
    int64_t offset = b->at ? 8 + (find(b->header, bytes, b->at) - b->header) : b->offset;
    if (!strcmp(b->id, "offsets-one"))
        offset = 8 + (find(b->header, bytes, "[4]") - b->header) + 2; /* at the end of the array */
    plim_error err;
    path_fails(path, b->code, &err);
    if (err.offset != offset || strcmp(err.tensor, b->tensor ? b->tensor : "") ||
        strncmp(err.message, path, strlen(path)) || (b->says && !strstr(err.message, b->says)))
        fail_msg("%s: want tensor '%s', byte %lld, got '%s', byte %lld: %s", b->id,
                 b->tensor ? b->tensor : "", (long long)offset, err.tensor, (long long)err.offset,
                 err.message);
    assert_string_equal(err.file, path);
}

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_bad(*state, &table[i]);
}

static void test_short_files(void **state)
{
    static const struct {
        size_t bytes;
        plim_status code;
    } cases[] = {{0, PLIM_E_TRUNC}, {1, PLIM_E_TRUNC}, {7, PLIM_E_TRUNC}, {8, PLIM_E_FORMAT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plim_error err;
        put_bytes(*state, "x.safetensors", "\0\0\0\0\0\0\0\0", cases[i].bytes);
        path_fails(in(*state, "x.safetensors"), cases[i].code, &err);
        assert_string_equal(err.file, in(*state, "x.safetensors"));
        assert_int_equal(err.offset, 0);
    }
}

/* Nesting is LIMIT wherever it stands, even where another type was wanted. */
static void test_depth_bombs(void **state)
{
    static const char *const starts[] = {"",
                                         "{\"a\":",
                                         "{\"a\":{\"dtype\":",
                                         "{\"a\":{\"shape\":",
                                         "{\"a\":{\"shape\":[1,",
                                         "{\"a\":{\"data_offsets\":",
                                         "{\"a\":{\"x\":",
                                         "{\"__metadata__\":",
                                         "{\"__metadata__\":{\"k\":"};
    enum { DEEP = 100000 };
    static const char *const bricks[] = {"[", "{\"a\":"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        for (size_t k = 0; k < 2; k++) {
            size_t used = strlen(starts[i]), brick = strlen(bricks[k]);
            char *header = malloc(used + DEEP * brick);
            assert_non_null(header);
            memcpy(header, starts[i], used);
            for (size_t n = 0; n < DEEP; n++, used += brick)
                memcpy(header + used, bricks[k], brick);
            put_safetensors(*state, "x.safetensors", header, used, TRUE_LENGTH, 0);
            free(header);
            plim_error err;
            /* {"a":{"a":{... is an entry with an unknown field */
            path_fails(in(*state, "x.safetensors"), PLIM_E_LIMIT, &err);
            assert_in_range(err.offset, 8 + 60, 8 + 66 * 5 + 30);
        }
    }
}

static void test_long_names(void **state)
{
    static const size_t lengths[] = {4096, 4097, 1 << 20, (16 << 20) + 1};
    char *header = malloc((16 << 20) + 200);
    assert_non_null(header);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t used = (size_t)sprintf(header, "{\"");
        memset(header + used, 'n', lengths[i]);
        used += lengths[i];
        used += (size_t)sprintf(header + used,
                                "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
        put_safetensors(*state, "x.safetensors", header, used, TRUE_LENGTH, 1);
        plim_error err;
        if (lengths[i] <= 4096) {
            plim_stored_set *set = open_works(in(*state, "x.safetensors"));
            assert_int_equal(strlen(set->tensors[0].name), lengths[i]);
            plim_stored_close(&set);
        } else {
            path_fails(in(*state, "x.safetensors"), PLIM_E_LIMIT, &err);
            assert_in_range(err.offset, 8 + 1, 8 + 2 + (16 << 20));
        }
    }
    free(header);
}

/* Control characters of a hostile name don't reach a terminal (open_fails looks at the message). */
static void test_hostile_name(void **state)
{
    plim_error err;
    put_tensors(*state, "x.safetensors",
                "{\"\\u001b[31m\\n\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
    path_fails(in(*state, "x.safetensors"), PLIM_E_FORMAT, &err);
    assert_string_equal(err.tensor, "\033[31m\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_short_files, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_depth_bombs, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_long_names, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_hostile_name, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("broken safetensors files", tests, NULL, NULL);
}
