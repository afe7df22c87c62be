/* SPDX-License-Identifier: Apache-2.0
 *
 * A temporary folder for a test, and small files in it. */
#ifndef PLIM_TESTS_TEMP_H
#define PLIM_TESTS_TEMP_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct temp_folder {
    char path[64];
} temp_folder;

static inline temp_folder temp_open(void)
{
    temp_folder t = {"/tmp/plimsoll-test-XXXXXX"};
    if (!mkdtemp(t.path))
        abort();
    return t;
}

static inline void temp_close(const temp_folder *t)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", t->path);
    if (system(command) != 0)
        abort();
}

/* How many files and folders are in a folder, or descriptors in /proc/self/fd (its own included).
 */
static inline size_t temp_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        abort();
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

/* The path of a file in the folder; valid until the next but three calls. */
static inline const char *temp_path(const temp_folder *t, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", t->path, name);
    return path;
}

static inline const char *temp_write(const temp_folder *t, const char *name, const void *bytes,
                                     size_t count)
{
    const char *path = temp_path(t, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, count, f) != count || fclose(f) != 0)
        abort();
    return path;
}

static inline const char *temp_text(const temp_folder *t, const char *name, const char *text)
{
    return temp_write(t, name, text, strlen(text));
}

/* A safetensors file: the header's text as given, then `data_bytes` bytes that count up. */
static inline const char *temp_safetensors(const temp_folder *t, const char *name,
                                           const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    unsigned char *all = malloc(8 + n + data_bytes);
    for (int i = 0; i < 8; i++)
        all[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(all + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++)
        all[8 + n + i] = (unsigned char)(i * 7 + 1);
    const char *path = temp_write(t, name, all, 8 + n + data_bytes);
    free(all);
    return path;
}

#endif
