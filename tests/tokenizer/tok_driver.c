/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer for tools and benchmarks, which ask Hugging Face tokenizers the same:
 *   tok_driver FOLDER          each line of stdin is a JSON string, an array of ids, or x and the
 *                              bytes of a text in hexadecimal; each line of stdout is what the
 * tokenizer makes of it: {"ids", "plain", "offsets", "id_offsets", "decoded", "decoded_skip"}
 * (--no-offsets: without) tok_driver FOLDER --bench  commands on stdin: "text FILE LENGTHS"
 * (documents, one after the other, and their lengths in bytes, a line each), "encode", "decode",
 * "ids FILE", "decoded FILE" tok_driver FOLDER --open   opens it, once: seconds and memory */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "tokenizer/cases.h"

/* ---- lines ---- */

static void print_ids(const char *name, const int32_t *ids, size_t count)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%d", i ? ", " : "", (int)ids[i]);
    printf("]");
}

static void print_spans(const char *name, const plim_tok_span *spans, size_t count)
{
    printf(", \"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%zu, %zu", i ? ", " : "", spans[i].begin, spans[i].end);
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
            print_text(skip ? "streamed_skip" : "streamed", streamed.at, streamed.bytes);
        plim_delete(plim_alloc_system(), text);
        plim_delete(plim_alloc_system(), streamed.at);
        if (status)
            return status;
    }
    return PLIM_OK;
}

/* With spans asked for, the ids must be those without. */
static plim_status encode_line(plim_tok_scratch *scratch, const tok_text *text, bool special,
                               bool offsets, tok_ids *out, plim_error *err)
{
    plim_tok_request request = {.add_special = special};
    plim_tok_encoding got;
    plim_status status = plim_tok_encode(scratch, text->at, text->bytes, &request, &got, err);
    if (status)
        return status;
    printf(special ? "" : ", ");
    print_ids(special ? "ids" : "plain", got.ids, got.count);
    if ((status = plim_grow(plim_alloc_system(), &out->at, &out->cap, got.count + 1,
                            sizeof *out->at, err)))
        return status;
    out->count = got.count;
    if (got.count)
        memcpy(out->at, got.ids, got.count * sizeof *got.ids);
    if (!offsets)
        return PLIM_OK;
    request.offsets = true;
    if ((status = plim_tok_encode(scratch, text->at, text->bytes, &request, &got, err)))
        return status;
    print_spans(special ? "id_offsets" : "offsets", got.spans, got.count);
    if (got.count != out->count ||
        (got.count && memcmp(got.ids, out->at, got.count * sizeof *got.ids) != 0)) {
        printf(", ");
        print_ids(special ? "ids_with_offsets" : "plain_with_offsets", got.ids, got.count);
    }
    return PLIM_OK;
}

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static plim_status take_line(const char *line, size_t bytes, tok_text *text, tok_ids *given,
                             bool *is_text, plim_error *err)
{
    if (*line != 'x')
        return tok_value(line, bytes, text, given, is_text, err);
    *is_text = true;
    plim_status status = plim_grow(plim_alloc_system(), &text->at, &text->cap, bytes, 1, err);
    for (size_t i = 1; !status && i + 1 < bytes; i += 2)
        text->at[text->bytes++] = (char)(digit(line[i]) << 4 | digit(line[i + 1]));
    return status;
}

static void one_line(const plim_tok *tok, plim_tok_scratch *scratch, const char *line, size_t bytes,
                     bool offsets)
{
    tok_text text = {0};
    tok_ids given = {0};
    bool is_text = false;
    plim_error err = {0};
    plim_status status = take_line(line, bytes, &text, &given, &is_text, &err);
    printf("{");
    if (!status && !is_text)
        print_ids("ids", given.at, given.count);
    for (int special = 0; !status && is_text && special < 2; special++) {
        if (special == 0)
            printf("\"text\": 0");
        else
            printf(", ");
        status = encode_line(scratch, &text, special, offsets, &given, &err);
    }
    if (!status)
        status = decode_both(tok, given.at, given.count, &err);
    if (status)
        print_text("error", err.message, strlen(err.message));
    printf("}\n");
    plim_delete(plim_alloc_system(), text.at);
    plim_delete(plim_alloc_system(), given.at);
}

static int serve_lines(const plim_tok *tok, bool offsets)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    plim_error err = {0};
    plim_tok_scratch *scratch;
    if (plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    while ((got = getline(&line, &cap, stdin)) > 0)
        one_line(tok, scratch, line, (size_t)got, offsets);
    free(line);
    plim_tok_scratch_close(&scratch);
    return 0;
}

/* ---- bench ---- */

/* The thread's processor time (the machine may be busy), and what the clock says. */
typedef struct stamp {
    double cpu, wall;
} stamp;

static stamp now(void)
{
    struct timespec c, w;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &c);
    clock_gettime(CLOCK_MONOTONIC, &w);
    return (stamp){(double)c.tv_sec + 1e-9 * (double)c.tv_nsec,
                   (double)w.tv_sec + 1e-9 * (double)w.tv_nsec};
}

typedef struct documents {
    char *text;
    size_t bytes, count, cap;
    size_t *ends;
    tok_ids *ids;
} documents;

static void free_documents(documents *d)
{
    for (size_t i = 0; i < d->count; i++)
        plim_delete(plim_alloc_system(), d->ids[i].at);
    plim_delete(plim_alloc_system(), d->ids);
    plim_delete(plim_alloc_system(), d->ends);
    plim_delete(plim_alloc_system(), d->text);
    memset(d, 0, sizeof *d);
}

static plim_status read_documents(documents *d, const char *text, const char *lengths,
                                  plim_error *err)
{
    const plim_alloc *alloc = plim_alloc_system();
    char *list = NULL;
    size_t list_bytes, at = 0;
    plim_status status = plim_file_slurp(&d->text, &d->bytes, alloc, text, (size_t)1 << 30, err);
    if (!status)
        status = plim_file_slurp(&list, &list_bytes, alloc, lengths, (size_t)1 << 26, err);
    for (char *p = list, *next; !status; p = next) {
        size_t length = strtoull(p, &next, 10);
        if (next == p)
            break;
        if (length > d->bytes - at)
            status = plim_fail(err, PLIM_E_USAGE, "the documents are longer than the text");
        else if (!(status =
                       plim_grow(alloc, &d->ends, &d->cap, d->count + 1, sizeof *d->ends, err)))
            d->ends[d->count++] = at += length;
    }
    plim_delete(alloc, list);
    size_t cap = 0;
    if (!status && !(status = plim_grow(alloc, &d->ids, &cap, d->count + 1, sizeof *d->ids, err)))
        memset(d->ids, 0, (d->count + 1) * sizeof *d->ids);
    else
        d->count = 0;
    return status;
}

/* All documents; `keep`: their ids. */
static plim_status encode_all(const plim_tok *tok, documents *d, bool keep, size_t *ids,
                              plim_error *err)
{
    plim_tok_scratch *scratch;
    plim_status status = plim_tok_scratch_open(&scratch, tok, plim_alloc_system(), err);
    *ids = 0;
    for (size_t i = 0, at = 0; !status && i < d->count; at = d->ends[i++]) {
        plim_tok_encoding got;
        status = plim_tok_encode(scratch, d->text + at, d->ends[i] - at, NULL, &got, err);
        if (status)
            break;
        *ids += got.count;
        if (!keep)
            continue;
        tok_ids *to = &d->ids[i];
        status =
            plim_grow(plim_alloc_system(), &to->at, &to->cap, got.count + 1, sizeof *to->at, err);
        if (!status && got.count)
            memcpy(to->at, got.ids, got.count * sizeof *to->at);
        to->count = got.count;
    }
    plim_tok_scratch_close(&scratch);
    return status;
}

static plim_status decode_all(const plim_tok *tok, documents *d, FILE *out, size_t *total,
                              plim_error *err)
{
    plim_status status = PLIM_OK;
    *total = 0;
    for (size_t i = 0; !status && i < d->count; i++) {
        char *text;
        size_t bytes;
        status = plim_tok_decode(tok, plim_alloc_system(), d->ids[i].at, d->ids[i].count, false,
                                 &text, &bytes, err);
        if (status)
            break;
        *total += bytes;
        if (out)
            fwrite(text, 1, bytes, out);
        plim_delete(plim_alloc_system(), text);
    }
    return status;
}

static plim_status write_out(const plim_tok *tok, documents *d, bool ids, const char *path,
                             plim_error *err)
{
    size_t total;
    plim_status status = PLIM_OK;
    FILE *out = fopen(path, "wb");
    if (!out)
        return plim_fail(err, PLIM_E_IO, "%s can't be written", path);
    for (size_t i = 0; ids && i < d->count; i++)
        fwrite(d->ids[i].at, sizeof *d->ids[i].at, d->ids[i].count, out);
    if (!ids)
        status = decode_all(tok, d, out, &total, err);
    fclose(out);
    return status;
}

static plim_status command(const plim_tok *tok, documents *d, const char *line, plim_error *err)
{
    char first[2048], second[2048];
    size_t total = 0;
    stamp start = now();
    plim_status status;
    if (sscanf(line, "text %2047s %2047s", first, second) == 2) {
        free_documents(d);
        status = read_documents(d, first, second, err);
        if (!status)
            status = encode_all(tok, d, true, &total, err);
    } else if (!strcmp(line, "encode\n")) {
        status = encode_all(tok, d, false, &total, err);
    } else if (!strcmp(line, "decode\n")) {
        status = decode_all(tok, d, NULL, &total, err);
    } else if (sscanf(line, "ids %2047s", first) == 1) {
        status = write_out(tok, d, true, first, err);
    } else if (sscanf(line, "decoded %2047s", first) == 1) {
        status = write_out(tok, d, false, first, err);
    } else {
        status = plim_fail(err, PLIM_E_USAGE, "no such command");
    }
    stamp end = now();
    if (!status)
        printf("%.9f %.9f %zu\n", end.cpu - start.cpu, end.wall - start.wall, total);
    return status;
}

static int bench(const plim_tok *tok)
{
    char line[8192];
    documents d = {0};
    plim_error err = {0};
    plim_status status = PLIM_OK;
    while (!status && fgets(line, sizeof line, stdin)) {
        status = command(tok, &d, line, &err);
        if (status)
            printf("error %s\n", err.message);
        fflush(stdout);
    }
    free_documents(&d);
    return status ? 1 : 0;
}

/* ---- open ---- */

/* A field of /proc/self/status in bytes; 0 where it is not told. */
static size_t status_field(const char *name)
{
    char line[256];
    size_t value = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, name, strlen(name)))
            value = 1024 * strtoull(line + strlen(name), NULL, 10);
    }
    if (f)
        fclose(f);
    return value;
}

static int measure_open(const char *folder)
{
    plim_tok *tok;
    plim_error err = {0};
    counting counted;
    size_t before = status_field("VmRSS:"), anon = status_field("RssAnon:");
    stamp start = now();
    if (plim_tok_open(&tok, plim_alloc_system(), folder, NULL, &err)) {
        fprintf(stderr, "%s %s\n", plim_status_name(err.code), err.message);
        return 1;
    }
    stamp end = now();
    printf(
        "{\"cpu\": %.9f, \"wall\": %.9f, \"rss_before\": %zu, \"anon_before\": %zu, \"rss\": %zu, "
        "\"anon\": %zu, \"peak\": %zu, \"size\": %u",
        end.cpu - start.cpu, end.wall - start.wall, before, anon, status_field("VmRSS:"),
        status_field("RssAnon:"), status_field("VmHWM:"), (unsigned)plim_tok_size(tok));
    plim_tok_close(&tok);
    counting_init(&counted); /* once more: what was asked of the allocator */
    if (plim_tok_open(&tok, &counted.alloc, folder, NULL, &err))
        return 1;
    printf(", \"held\": %zu, \"held_peak\": %zu}\n", counted.held, counted.peak);
    plim_tok_close(&tok);
    return 0;
}

int main(int argc, char **argv)
{
    plim_tok *tok;
    plim_error err = {0};
    const char *mode = argc == 3 ? argv[2] : "";
    if (argc < 2 || argc > 3 ||
        (*mode && strcmp(mode, "--no-offsets") != 0 && strcmp(mode, "--bench") != 0 &&
         strcmp(mode, "--open") != 0)) {
        fprintf(stderr, "usage: tok_driver FOLDER [--no-offsets | --bench | --open]\n");
        return 2;
    }
    if (!strcmp(mode, "--open"))
        return measure_open(argv[1]);
    if (plim_tok_open(&tok, plim_alloc_system(), argv[1], NULL, &err)) {
        fprintf(stderr, "%s %s\n", plim_status_name(err.code), err.message);
        return 1;
    }
    int code = !strcmp(mode, "--bench") ? bench(tok) : serve_lines(tok, !*mode);
    plim_tok_close(&tok);
    return code;
}
