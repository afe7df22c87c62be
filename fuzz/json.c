/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader: the same text whole in memory and in pieces from a source must give the same
 * events, offsets, texts and error; what is accepted is well nested; skipping sees the same text as
 * reading. Input: one byte (size of the pieces), one byte (depth limit), then the text. */
#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"

typedef struct pieces {
    const uint8_t *text;
    size_t left, piece;
} pieces;

static plim_status read_piece(void *user, void *dst, size_t cap, size_t *got, plim_error *err)
{
    pieces *p = user;
    (void)err;
    size_t n = p->left < p->piece ? p->left : p->piece;
    n = n < cap ? n : cap;
    if (n)
        memcpy(dst, p->text, n);
    p->text += n;
    p->left -= n;
    *got = n;
    return PLIM_OK;
}

static void same_errors(plim_status a, const plim_error *ea, plim_status b, const plim_error *eb)
{
    must(a == b);
    if (!a)
        return;
    must_be_error(a, ea);
    must(ea->offset == eb->offset && !strcmp(ea->message, eb->message));
}

/* Texts of keys and strings are UTF-8; numbers say the same in every form. */
static void check_text(const plim_json *json, plim_json_event event)
{
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    if (event == PLIM_JSON_KEY || event == PLIM_JSON_STRING) {
        must(text[bytes] == 0 && plim_utf8_valid(text, bytes));
    } else if (event == PLIM_JSON_NUMBER) {
        uint64_t u = 0;
        int64_t i = 0;
        double d = 0;
        must(bytes > 0 && strlen(text) == bytes);
        plim_status su = plim_json_u64(json, "n", UINT64_MAX, &u, NULL);
        plim_status si = plim_json_i64(json, "n", INT64_MIN, INT64_MAX, &i, NULL);
        plim_status sd = plim_json_f64(json, "n", &d, NULL);
        must(sd == PLIM_OK || (su != PLIM_OK && si != PLIM_OK) || bytes > 300);
        if (!su && !si)
            must((uint64_t)i == u);
        if (!su && !sd)
            must(d == (double)u);
        if (!si && !sd)
            must(d == (double)i);
    }
}

static void compare_events(plim_json *a, plim_json *b, size_t size, bool *whole)
{
    long depth = 0;
    int64_t offset = 0;
    for (;;) {
        plim_json_event ea, eb;
        plim_error err_a, err_b;
        size_t bytes_a, bytes_b;
        plim_status sa = plim_json_next(a, &ea, &err_a), sb = plim_json_next(b, &eb, &err_b);
        same_errors(sa, &err_a, sb, &err_b);
        if (sa) {
            must(err_a.offset <= (int64_t)size);
            must(plim_json_next(a, &ea, NULL) == sa); /* once failed, failed for good */
            *whole = false;
            return;
        }
        must(ea == eb && plim_json_offset(a) == plim_json_offset(b));
        must(plim_json_offset(a) >= offset && plim_json_offset(a) <= (int64_t)size);
        offset = plim_json_offset(a);
        if (ea == PLIM_JSON_KEY || ea == PLIM_JSON_STRING || ea == PLIM_JSON_NUMBER) {
            const char *ta = plim_json_text(a, &bytes_a), *tb = plim_json_text(b, &bytes_b);
            must(bytes_a == bytes_b && !memcmp(ta, tb, bytes_a));
            check_text(a, ea);
        }
        depth += (ea == PLIM_JSON_OBJECT || ea == PLIM_JSON_ARRAY) -
                 (ea == PLIM_JSON_OBJECT_END || ea == PLIM_JSON_ARRAY_END);
        must(depth >= 0 && plim_json_depth(a) == (size_t)depth);
        if (ea == PLIM_JSON_END) {
            must(depth == 0);
            *whole = true;
            return;
        }
    }
}

/* Skipping the document succeeds exactly when reading it does. */
static void compare_skip(const plim_alloc *alloc, const uint8_t *text, size_t size,
                         const plim_json_limits *limits, bool whole)
{
    plim_json *json;
    plim_json_event event;
    plim_error err;
    must(!plim_json_open_memory(&json, alloc, text, size, "skip", limits, &err));
    plim_status status = plim_json_next(json, &event, &err);
    if (!status)
        status = plim_json_skip(json, &err);
    if (!status)
        status = plim_json_next(json, &event, &err);
    if (!status)
        must(event == PLIM_JSON_END);
    else
        must_be_error(status, &err);
    must((status == PLIM_OK) == whole);
    plim_json_close(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    fuzz_alloc a;
    fuzz_alloc_init(&a);
    pieces p = {data + 2, size - 2, (size_t)data[0] + 1};
    plim_json_source source = {read_piece, &p, "json", 0};
    plim_json_limits limits = {.depth = data[1] % 80, .string_bytes = 4096};
    plim_json *memory, *piecewise;
    bool whole = false;
    must(!plim_json_open_memory(&memory, &a.alloc, data + 2, size - 2, "json", &limits, NULL));
    must(!plim_json_open(&piecewise, &a.alloc, &source, &limits, NULL));
    compare_events(memory, piecewise, size - 2, &whole);
    plim_json_close(&memory);
    plim_json_close(&piecewise);
    compare_skip(&a.alloc, data + 2, size - 2, &limits, whole);
    must(a.live == 0);
    return 0;
}
