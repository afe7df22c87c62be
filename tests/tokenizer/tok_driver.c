/* SPDX-License-Identifier: Apache-2.0
 *
 * tok_driver FOLDER: each line of stdin is a JSON string (or an array of ids), each line of stdout
 * what the tokenizer makes of it: {"ids": [...], "plain": [...], "decoded": "...", "decoded_skip":
 * "..."}. For tools/tokenizer/compare.py, which asks Hugging Face tokenizers the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "tokenizer/cases.h"

static void print_ids(const char *name, const int32_t *ids, size_t count)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%d", i ? ", " : "", (int)ids[i]);
    printf("]");
}

static void print_text(const char *name, const char *text, size_t bytes)
{
    printf(", \"%s\": \"", name);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    printf("\"");
}

static plim_status decode_both(const plim_tok *tok, const int32_t *ids, size_t count,
                               plim_error *err)
{
    for (int skip = 0; skip < 2; skip++) {
        char *text;
        size_t bytes;
        tok_text streamed = {0};
        plim_status status =
            plim_tok_decode(tok, plim_alloc_system(), ids, count, skip, &text, &bytes, err);
        if (status)
            return status;
        print_text(skip ? "decoded_skip" : "decoded", text, bytes);
        status = tok_stream(tok, ids, count, skip, &streamed, err);
        if (!status && (streamed.bytes != bytes || memcmp(streamed.at, text, bytes) != 0))
            status = plim_fail(err, PLIM_E_MISMATCH, "the stream differs from the whole");
        plim_delete(plim_alloc_system(), text);
        plim_delete(plim_alloc_system(), streamed.at);
        if (status)
            return status;
    }
    return PLIM_OK;
}

static plim_status one_line(const plim_tok *tok, const char *line, size_t bytes, plim_error *err)
{
    tok_text text = {0};
    tok_ids given = {0};
    bool is_text = false;
    plim_status status = tok_value(line, bytes, &text, &given, &is_text, err);
    printf("{");
    for (int special = 1; !status && is_text && special >= 0; special--) {
        int32_t *ids = NULL;
        size_t count = 0;
        status = plim_tok_encode(tok, plim_alloc_system(), text.at, text.bytes, special, &ids,
                                 &count, err);
        if (!status) {
            printf(special ? "" : ", ");
            print_ids(special ? "ids" : "plain", ids, count);
        }
        if (!status && special)
            status = decode_both(tok, ids, count, err);
        plim_delete(plim_alloc_system(), ids);
    }
    if (!status && !is_text) {
        print_ids("ids", given.at, given.count);
        status = decode_both(tok, given.at, given.count, err);
    }
    if (status) {
        printf("%s", is_text || given.count ? "" : "\"none\": 0");
        print_text("error", err->message, strlen(err->message));
    }
    printf("}\n");
    plim_delete(plim_alloc_system(), text.at);
    plim_delete(plim_alloc_system(), given.at);
    return PLIM_OK;
}

/* Seconds of processor time: the machine may be busy. */
static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Megabytes a second over a file of text, as one call each. */
static int measure(const plim_tok *tok, const char *path)
{
    char *text;
    size_t bytes, count = 0;
    plim_error err = {0};
    if (plim_file_slurp(&text, &bytes, plim_alloc_system(), path, (size_t)1 << 30, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        int32_t *ids;
        char *back;
        size_t back_bytes;
        counting counted;
        counting_init(&counted);
        double start = cpu_now();
        if (plim_tok_encode(tok, &counted.alloc, text, bytes, false, &ids, &count, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        double encoded = cpu_now();
        if (plim_tok_decode(tok, &counted.alloc, ids, count, false, &back, &back_bytes, &err))
            return 1;
        double decoded = cpu_now();
        printf("%zu bytes, %zu ids: encode %.1f MB/s (%.3f s), decode %.1f MB/s, scratch peak %.1f "
               "MiB, %s\n",
               bytes, count, (double)bytes / 1e6 / (encoded - start), encoded - start,
               (double)bytes / 1e6 / (decoded - encoded), (double)counted.peak / 1048576,
               back_bytes == bytes && !memcmp(back, text, bytes) ? "round trip" : "NOT THE SAME");
        plim_delete(&counted.alloc, ids);
        plim_delete(&counted.alloc, back);
    }
    plim_delete(plim_alloc_system(), text);
    return 0;
}

int main(int argc, char **argv)
{
    plim_tok *tok;
    plim_error err = {0};
    if (argc < 2 || (argc > 2 && (argc != 4 || strcmp(argv[2], "--speed") != 0))) {
        fprintf(stderr, "usage: tok_driver FOLDER < lines, or tok_driver FOLDER --speed FILE\n");
        return 2;
    }
    double start = cpu_now();
    if (plim_tok_open(&tok, plim_alloc_system(), argv[1], NULL, &err)) {
        fprintf(stderr, "%s %s\n", plim_status_name(err.code), err.message);
        return 1;
    }
    int code = 0;
    if (argc == 4) {
        printf("opened in %.1f ms\n", 1e3 * (cpu_now() - start));
        code = measure(tok, argv[3]);
    } else {
        char *line = NULL;
        size_t cap = 0;
        ssize_t got;
        while ((got = getline(&line, &cap, stdin)) > 0)
            one_line(tok, line, (size_t)got, &err);
        free(line);
    }
    plim_tok_close(&tok);
    return code;
}
