/* SPDX-License-Identifier: Apache-2.0
 *
 * expected.json as dotted paths, expected.safetensors through the public checkpoint calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "expected.h"

static void must(plim_status status, const plim_error *err, const char *what)
{
    if (status)
        fail_msg("%s: %s: %s", what, plim_status_name(status), err->message);
}

void expected_open(expected *e, const char *folder)
{
    plim_error err;
    char path[640];
    *e = (expected){0};
    snprintf(e->folder, sizeof e->folder, "%s%s",
             folder[0] == '/' ? "" : PLIM_SOURCE_DIR "/tests/golden/", folder);
    snprintf(path, sizeof path, "%s/expected.json", e->folder);
    must(plim_config_open(&e->json, plim_alloc_system(), path, &err), &err, path);
    snprintf(path, sizeof path, "%s/expected.safetensors", e->folder);
    if (access(path, R_OK) != 0)
        return;
    plim_context_options options;
    plim_context_options_init(&options);
    options.threads = 1;
    must(plim_context_open(&e->context, &options, &err), &err, "context");
    must(plim_checkpoint_open(&e->tensors, e->context, path, NULL, &err), &err, path);
}

void expected_close(expected *e)
{
    plim_checkpoint_close(&e->tensors);
    plim_context_close(&e->context);
    plim_config_close(&e->json);
}

static const plim_config_value *find(const expected *e, const char *path, va_list args)
{
    char full[256];
    vsnprintf(full, sizeof full, path, args);
    return plim_config_find(&e->json, full);
}

const char *expected_text(const expected *e, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    const plim_config_value *value = find(e, path, args);
    va_end(args);
    if (value && value->kind != PLIM_JSON_STRING)
        fail_msg("%s: %s is no string", e->folder, path);
    return value ? value->text : NULL;
}

bool expected_has(const expected *e, const char *path)
{
    return plim_config_find(&e->json, path) != NULL;
}

size_t expected_count(const expected *e, const char *path)
{
    const plim_config_value *value = plim_config_find(&e->json, path);
    if (value && value->kind != PLIM_JSON_ARRAY)
        fail_msg("%s: %s is no list", e->folder, path);
    return value ? value->count : 0;
}

double expected_number(const expected *e, const char *path, double missing)
{
    plim_error err;
    must(plim_config_f64(&e->json, path, -1e30, 1e30, &missing, &err), &err, path);
    return missing;
}

void expected_tokens(const expected *e, token_list *out, const char *path, ...)
{
    va_list args;
    char list[200], item[240];
    va_start(args, path);
    vsnprintf(list, sizeof list, path, args);
    va_end(args);
    out->count = expected_count(e, list);
    if (out->count == 0 || out->count > EXPECTED_MAX_TOKENS)
        fail_msg("%s: %s has %zu tokens", e->folder, list, out->count);
    for (size_t i = 0; i < out->count; i++) {
        snprintf(item, sizeof item, "%s[%zu]", list, i);
        out->ids[i] = (int32_t)expected_number(e, item, -1);
        assert_true(out->ids[i] >= 0);
    }
}

float *expected_tensor(const expected *e, const char *name, size_t *count)
{
    plim_error err;
    plim_tensor_info info;
    assert_non_null(e->tensors);
    must(plim_checkpoint_find(e->tensors, name, &info, &err), &err, name);
    assert_int_equal(info.dtype, PLIM_F32);
    float *values = malloc(info.bytes);
    assert_non_null(values);
    must(plim_checkpoint_read(e->tensors, name, NULL, NULL, PLIM_F32, values, info.bytes, &err),
         &err, name);
    *count = info.bytes / sizeof *values;
    return values;
}
