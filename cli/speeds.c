/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of measured speeds: a JSON object, KEY → {"disk": BYTES_PER_SECOND, ...}. */
#include "speeds.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fail.h"
#include "files.h"
#include "json_in.h"
#include "json_out.h"
#include "values.h"

#define MAX_FILE_BYTES (1 << 20)
#define KEY_BYTES      512

/* The numbers of an entry, in the order of plim_speeds, which consists of nothing else. */
static const char *const members[] = {"disk",
                                      "buffered",
                                      "cached",
                                      "commit",
                                      "out_in_float32",
                                      "out_in_float16",
                                      "out_in_bfloat16",
                                      "in_out_float32",
                                      "in_out_float16",
                                      "in_out_bfloat16",
                                      "int8",
                                      "int4"};
#define MEMBERS (sizeof members / sizeof members[0])

static_assert(sizeof(plim_speeds) == MEMBERS * sizeof(double), "a name for every speed");

typedef struct entry {
    char key[KEY_BYTES];
    plim_speeds speeds;
} entry;

typedef struct entries {
    entry *all; /* [SPEEDS_MAX_ENTRIES] */
    size_t count;
} entries;

/* ---- the key ---- */

/* "model name" of /proc/cpuinfo, or "" where there is none. */
static void processor_name(char *out, size_t cap)
{
    char line[512];
    out[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !out[0] && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && !strncmp(line, "model name", 10)) {
            value += 1 + strspn(value + 1, " \t");
            snprintf(out, cap, "%.*s", (int)strcspn(value, "\n"), value);
        }
    }
    if (file)
        fclose(file);
}

void speeds_key(char *key, size_t cap, const char *path, unsigned threads)
{
    char host[128] = "", processor[160], weights[4200];
    struct stat st;
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    processor_name(processor, sizeof processor);
    /* The weights may be a link to another disk than their folder's. */
    snprintf(weights, sizeof weights, "%.4095s/model.safetensors", path);
    if (stat(weights, &st) != 0 && stat(path, &st) != 0)
        memset(&st, 0, sizeof st);
    snprintf(key, cap, "%s / %s / disk %u:%u / threads %u", host, processor, major(st.st_dev),
             minor(st.st_dev), threads);
    for (char *c = key; *c; c++) /* what names hold is not known to be UTF-8 */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
}

/* ---- reading ---- */

typedef struct scanner {
    char *text;
    size_t at, bytes;
} scanner;

static void skip_blanks(scanner *s)
{
    while (s->at < s->bytes && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at])
        s->at++;
}

/* The next character that is not blank, if it is `want`. */
static bool take(scanner *s, char want)
{
    skip_blanks(s);
    if (s->at == s->bytes || s->text[s->at] != want)
        return false;
    s->at++;
    return true;
}

/* A string and the colon after it, into out[cap]. */
static bool take_key(scanner *s, char *out, size_t cap)
{
    size_t start, length, position;
    skip_blanks(s);
    size_t first = s->at, end = first + 1;
    while (end < s->bytes && s->text[end] != '"')
        end += s->text[end] == '\\' ? 2 : 1;
    if (end >= s->bytes || s->text[first] != '"' ||
        json_in_string(s->text + first, end + 1 - first, &start, &length, &position) ||
        length >= cap)
        return false;
    memcpy(out, s->text + first + start, length);
    out[length] = '\0';
    s->at = end + 1;
    return take(s, ':');
}

static bool take_number(scanner *s, double *out)
{
    char number[64];
    skip_blanks(s);
    size_t length = 0;
    while (s->at + length < s->bytes && strchr("0123456789.eE+-", s->text[s->at + length]) &&
           s->text[s->at + length])
        length++;
    if (!length || length >= sizeof number)
        return false;
    memcpy(number, s->text + s->at, length);
    number[length] = '\0';
    s->at += length;
    return value_real(number, out) && *out >= 0;
}

/* {"disk": 1e9, ...}: members that we do not know are passed over. */
static bool take_speeds(scanner *s, plim_speeds *out)
{
    double values[MEMBERS] = {0};
    if (!take(s, '{'))
        return false;
    if (!take(s, '}')) {
        do {
            char name[64];
            double value;
            if (!take_key(s, name, sizeof name) || !take_number(s, &value))
                return false;
            for (size_t i = 0; i < MEMBERS; i++)
                if (!strcmp(name, members[i]))
                    values[i] = value;
        } while (take(s, ','));
        if (!take(s, '}'))
            return false;
    }
    memcpy(out, values, sizeof *out);
    return true;
}

static bool take_entries(scanner *s, entries *out)
{
    if (!take(s, '{'))
        return false;
    if (!take(s, '}')) {
        do {
            entry e;
            if (!take_key(s, e.key, sizeof e.key) || !take_speeds(s, &e.speeds))
                return false;
            if (out->count < SPEEDS_MAX_ENTRIES)
                out->all[out->count++] = e;
        } while (take(s, ','));
        if (!take(s, '}'))
            return false;
    }
    skip_blanks(s);
    return s->at == s->bytes;
}

/* All entries; none where there is no file.  out->all is allocated (free) on success. */
static plim_status read_all(const char *path, entries *out, plim_error *err)
{
    struct stat st;
    scanner s = {0};
    *out = (entries){0};
    out->all = malloc(SPEEDS_MAX_ENTRIES * sizeof *out->all);
    if (!out->all)
        return cli_fail(err, PLIM_E_NOMEM, "no memory for measured speeds");
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return PLIM_OK;
    plim_status status = PLIM_OK;
    if (stat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES))
        status = cli_fail_file(err, PLIM_E_FORMAT, path, -1, "is no file of measured speeds");
    if (status == PLIM_OK)
        status = file_read(path, &s.text, &s.bytes, err);
    if (status == PLIM_OK && !take_entries(&s, out))
        status = cli_fail_file(err, PLIM_E_FORMAT, path, (int64_t)s.at,
                               "is broken at byte %zu; plimsoll plan MODEL --probe writes it anew",
                               s.at);
    free(s.text);
    if (status != PLIM_OK) {
        free(out->all);
        *out = (entries){0};
    }
    return status;
}

plim_status speeds_read(const char *path, const char *key, plim_speeds *out, bool *found,
                        plim_error *err)
{
    entries all;
    *found = false;
    plim_status status = read_all(path, &all, err);
    for (size_t i = 0; i < all.count; i++)
        if (!strcmp(all.all[i].key, key)) {
            *out = all.all[i].speeds;
            *found = true;
        }
    free(all.all);
    return status;
}

/* ---- writing ---- */

static void write_entry(cli_json *json, const entry *e)
{
    double values[MEMBERS];
    memcpy(values, &e->speeds, sizeof values);
    json_key(json, e->key);
    json_object(json);
    for (size_t i = 0; i < MEMBERS; i++)
        json_put_real(json, members[i], values[i]);
    json_object_end(json);
}

plim_status speeds_write(const char *path, const char *key, const plim_speeds *speeds,
                         plim_error *err)
{
    entries all;
    result_file file;
    cli_json json;
    entry mine = {.speeds = *speeds};
    snprintf(mine.key, sizeof mine.key, "%s", key);
    plim_status status = read_all(path, &all, err); /* a broken one is replaced */
    if (status == PLIM_OK || status == PLIM_E_FORMAT)
        status = folders_make(path, err);
    if (status == PLIM_OK)
        status = result_open(&file, path, 0666, err);
    if (status == PLIM_OK) {
        json_begin(&json, &file.out);
        json_object(&json);
        write_entry(&json, &mine); /* first: the oldest ones are left out when there are many */
        for (size_t i = 0; i < all.count && i + 1 < SPEEDS_MAX_ENTRIES; i++)
            if (strcmp(all.all[i].key, mine.key) != 0)
                write_entry(&json, &all.all[i]);
        json_object_end(&json);
        json_end(&json);
        status = result_commit(&file, err);
    }
    free(all.all);
    return status;
}
