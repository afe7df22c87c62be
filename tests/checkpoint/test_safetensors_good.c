/* SPDX-License-Identifier: Apache-2.0
 *
 * Odd but valid files: names, types, shapes and bytes are those that the safetensors library gives,
 * recorded by tools/checkpoint/record.py. */
#include "base/json.h"
#include "checkpoint_test.h"

#define DATA PLIM_SOURCE_DIR "/tests/checkpoint/data"

/* Cut the line at tabs; returns the number of fields. */
static size_t split(char *line, char *field[], size_t cap)
{
    size_t count = 0;
    line[strcspn(line, "\n")] = 0;
    while (line && count < cap)
        field[count++] = strsep(&line, "\t");
    return count;
}

static FILE *open_list(const char *name)
{
    FILE *list = fopen(in(DATA, name), "r");
    assert_non_null(list);
    return list;
}

static void check_name(const char *got, const char *want_json)
{
    plim_json *json;
    plim_json_event event;
    size_t bytes;
    assert_int_equal(plim_json_open_memory(&json, plim_alloc_system(), want_json, strlen(want_json),
                                           "expected.txt", NULL, NULL),
                     PLIM_OK);
    assert_int_equal(plim_json_next(json, &event, NULL), PLIM_OK);
    assert_int_equal(event, PLIM_JSON_STRING);
    assert_string_equal(got, plim_json_text(json, &bytes));
    plim_json_close(&json);
}

/* What lies at the tensor's offset, as hexadecimal digits. */
static void check_bytes(const plim_stored_set *set, const plim_stored *tensor, const char *want)
{
    assert_int_equal(tensor->bytes * 2, strlen(want));
    const plim_stored_file *file = &set->files[tensor->file];
    for (size_t i = 0; i < tensor->bytes; i++) {
        unsigned char byte;
        char hex[3];
        assert_int_equal(pread(file->file.fd, &byte, 1, (off_t)(tensor->offset + i)), 1);
        snprintf(hex, sizeof hex, "%02x", byte);
        assert_memory_equal(hex, want + 2 * i, 2);
    }
}

static plim_stored_set *open_recorded(const char *name)
{
    char file[300];
    snprintf(file, sizeof file, "%s.safetensors", name);
    return open_works(in(DATA, file));
}

static void test_recorded(void **state)
{
    (void)state;
    FILE *list = open_list("expected.txt");
    char *line = NULL, *field[5], file[300] = "", shape[300];
    size_t cap = 0, at = 0, files = 0, tensors = 0;
    plim_stored_set *set = NULL;
    while (getline(&line, &cap, list) > 0) {
        size_t fields = split(line, field, 5);
        if (strcmp(file, field[0])) {
            assert_true(!set || at == set->tensor_count);
            plim_stored_close(&set);
            snprintf(file, sizeof file, "%s", field[0]);
            set = open_recorded(file);
            at = 0;
            files++;
        }
        if (fields == 1)
            continue;
        assert_int_equal(fields, 5);
        assert_in_range(at, 0, set->tensor_count - 1);
        const plim_stored *tensor = &set->tensors[at++];
        check_name(tensor->name, field[1]);
        assert_string_equal(plim_dtype_name(tensor->dtype), field[2]);
        assert_null(tensor->dtype_name);
        assert_string_equal(plim_shape_text(&tensor->shape, shape, sizeof shape), field[3]);
        check_bytes(set, tensor, field[4]);
        assert_ptr_equal(plim_stored_find(set, tensor->name), tensor);
        tensors++;
    }
    assert_true(set && at == set->tensor_count);
    plim_stored_close(&set);
    free(line);
    fclose(list);
    assert_int_equal(files, 19);
    assert_int_equal(tensors, 59);
}

/* The type that torch_dtype="auto" falls back on. */
static void test_first_float(void **state)
{
    (void)state;
    FILE *list = open_list("auto.txt");
    char *line = NULL, *field[2];
    size_t cap = 0, files = 0;
    while (getline(&line, &cap, list) > 0) {
        assert_int_equal(split(line, field, 2), 2);
        plim_stored_set *set = open_recorded(field[0]);
        plim_dtype got = set->files[0].first_float;
        assert_string_equal(got ? plim_dtype_torch_name(got) : "none", field[1]);
        plim_stored_close(&set);
        files++;
    }
    free(line);
    fclose(list);
    assert_int_equal(files, 16);
}

/* A type from the future: listed under its name, in its place; the others can be read. */
static void test_unknown_dtype(void **state)
{
    put_tensors(*state, "x.safetensors",
                "{\"a\":{\"dtype\":\"F3_E1M1\",\"shape\":[5],\"data_offsets\":[0,3]},"
                "\"b\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[3,7]},"
                "\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[7,11]}}",
                11);
    plim_stored_set *set = open_works(in(*state, "x.safetensors"));
    assert_int_equal(set->tensor_count, 3);
    assert_int_equal(set->tensors[0].dtype, PLIM_AUTO);
    assert_string_equal(set->tensors[0].dtype_name, "F3_E1M1");
    assert_int_equal(set->tensors[0].bytes, 3);
    assert_string_equal(set->tensors[1].dtype_name, "f32");
    check_bytes(set, &set->tensors[2], "0708090a");
    plim_stored_close(&set);
    assert_null(set);
    plim_stored_close(&set);
    plim_stored_close(NULL);
}

static void test_find(void **state)
{
    put_tensors(*state, "x.safetensors",
                "{\"m\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                "\"m.a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
                "\"\xc3\xa9\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
                3);
    plim_stored_set *set = open_works(in(*state, "x.safetensors"));
    assert_non_null(plim_stored_find(set, "m"));
    assert_non_null(plim_stored_find(set, "m.a"));
    assert_non_null(plim_stored_find(set, "\xc3\xa9"));
    assert_null(plim_stored_find(set, ""));
    assert_null(plim_stored_find(set, "m."));
    assert_null(plim_stored_find(set, "m.b"));
    assert_null(plim_stored_find(set, "\xff"));
    plim_stored_close(&set);
}

/* A file that is written while the checkpoint is open. */
static void test_changed(void **state)
{
    plim_error err;
    const char *header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    put_tensors(*state, "x.safetensors", header, 1);
    plim_stored_set *set = open_works(in(*state, "x.safetensors"));
    assert_int_equal(truncate(in(*state, "x.safetensors"), 9), 0);
    assert_int_equal(plim_stored_check(set, &err), PLIM_E_CHANGED);
    assert_string_equal(err.file, in(*state, "x.safetensors"));
    plim_stored_close(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_first_float),
        cmocka_unit_test_setup_teardown(test_unknown_dtype, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_find, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_changed, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("valid safetensors files", tests, NULL, NULL);
}
