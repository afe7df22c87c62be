/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that change while they are read: before the k-th system call on a file, for each k, the
 * weights are cut, written over, replaced or removed by somebody else.  Either the load notices (an
 * error that names the file), or its result is that of the old file or of the new one: never a
 * mixture, never half of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/inject.h"
#include "fault/scenarios.h"

enum { MAX_FILE_BYTES = 8 << 20 };

/* The weights as they are and as somebody else would have them: same header, other values. */
typedef struct file_pair {
    char path[400], other_path[400];
    unsigned char *before, *after;
    size_t bytes;
} file_pair;

typedef enum deed_kind { CUT, WRITE_OVER, REPLACE, REMOVE, DEEDS } deed_kind;

static const char *const deed_names[DEEDS] = {"cut", "written over", "replaced", "removed"};

typedef struct plot {
    const file_pair *files;
    deed_kind deed;
    size_t at;
    bool done;
} plot;

static int failures;

static bool write_file(const char *path, const void *bytes, size_t count)
{
    /* Written long ago, as far as its time tells. */
    static const struct timespec then[2] = {{1000000000, 0}, {1000000000, 0}};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, bytes, count) == (ssize_t)count && futimens(fd, then) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void commit_deed(void *user, size_t k)
{
    plot *p = user;
    const file_pair *f = p->files;
    if (k != p->at || p->done)
        return;
    p->done = true;
    if (p->deed == REPLACE) {
        p->done = rename(f->other_path, f->path) == 0;
    } else if (p->deed == REMOVE) {
        p->done = unlink(f->path) == 0;
    } else {
        int fd = open(f->path, O_WRONLY | O_CLOEXEC);
        if (p->deed == CUT)
            p->done = fd >= 0 && ftruncate(fd, (off_t)(f->bytes * 2 / 3)) == 0;
        else
            p->done = fd >= 0 && pwrite(fd, f->after, f->bytes, 0) == (ssize_t)f->bytes;
        if (fd >= 0)
            close(fd);
    }
    if (!p->done)
        abort(); /* the test's own fault */
}

static bool names_file(const plim_error *err, const char *path)
{
    return strcmp(err->file, path) == 0;
}

static void judge(const plot *p, plim_status status, const plim_error *err, uint64_t digest,
                  uint64_t old_digest, uint64_t new_digest)
{
    const char *what = NULL;
    bool old_result = status == PLIM_OK && digest == old_digest;
    bool new_result = status == PLIM_OK && digest == new_digest;
    if (status == PLIM_OK && !old_result && !new_result)
        what = "a result that is neither the old file's nor the new one's";
    else if (new_result && (p->deed == CUT || p->deed == REMOVE))
        what = "a result out of nothing";
    else if (status != PLIM_OK && status != PLIM_E_CHANGED && status != PLIM_E_TRUNC &&
             status != PLIM_E_IO)
        what = "an error of another class";
    else if (status != PLIM_OK && p->deed != REMOVE && !names_file(err, p->files->path))
        what = "an error that does not name the file";
    if (!what)
        return;
    failures++;
    printf("FAILED %s before call %zu: %s; status %s: %s\n", deed_names[p->deed], p->at, what,
           plim_status_name(status), err->message);
}

static plim_status load_once(stage *s, plim_reader reader, plim_error *err)
{
    *err = (plim_error){0};
    s->digest = DIGEST_START;
    return stage_load(s, reader, reader == PLIM_READER_MAP ? PLIM_AUTO : PLIM_F32, 1, err);
}

/* One deed before each call in turn, until a load ends before it. */
static void all_moments(stage *s, const file_pair *files, plim_reader reader, deed_kind deed,
                        uint64_t old_digest, uint64_t new_digest)
{
    size_t results[2] = {0}, errors[-PLIM_E_CANCELLED + 1] = {0};
    for (size_t k = 0;; k++) {
        plot p = {files, deed, k, false};
        plim_error err;
        if (!write_file(files->path, files->before, files->bytes) ||
            !write_file(files->other_path, files->after, files->bytes))
            abort();
        fault_hook(commit_deed, &p);
        fault_arm(FAULT_FILE, SIZE_MAX, false);
        plim_status status = load_once(s, reader, &err);
        fault_disarm();
        fault_hook(NULL, NULL);
        judge(&p, status, &err, s->digest, old_digest, new_digest);
        errors[-status]++;
        results[s->digest == new_digest] += status == PLIM_OK;
        if (!p.done)
            break;
    }
    printf("%-9s %-13s %4zu CHANGED %4zu TRUNC %4zu IO %4zu the old result %4zu the new one\n",
           reader == PLIM_READER_MAP ? "map" : "buffered", deed_names[deed],
           errors[-PLIM_E_CHANGED], errors[-PLIM_E_TRUNC], errors[-PLIM_E_IO], results[0],
           results[1]);
}

/* Copies config.json and the weights into the stage's folder; other values: every byte of the data
 * changed in its lowest bit. */
static bool copy_model(stage *s, file_pair *files)
{
    char from[600], to[600];
    uint64_t header = 0;
    const char *const names[] = {"config.json", "model.safetensors"};
    unsigned char *bytes[2] = {NULL, NULL};
    size_t counts[2] = {0};
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/%s", s->model, names[i]);
        snprintf(to, sizeof to, "%s/%s", s->folder, names[i]);
        FILE *f = fopen(from, "rb");
        bytes[i] = malloc(MAX_FILE_BYTES);
        if (!f || !bytes[i])
            return false;
        counts[i] = fread(bytes[i], 1, MAX_FILE_BYTES, f);
        fclose(f);
        if (!write_file(to, bytes[i], counts[i]))
            return false;
    }
    free(bytes[0]);
    memcpy(&header, bytes[1], sizeof header);
    files->before = bytes[1];
    files->bytes = counts[1];
    files->after = malloc(files->bytes);
    if (!files->after || header > files->bytes)
        return false;
    for (size_t i = 0; i < files->bytes; i++)
        files->after[i] = files->before[i] ^ (i >= 8 + header);
    snprintf(files->path, sizeof files->path, "%s/model.safetensors", s->folder);
    snprintf(files->other_path, sizeof files->other_path, "%s/other.safetensors", s->folder);
    return true;
}

static bool results_of_both(stage *s, const file_pair *files, plim_reader reader,
                            uint64_t *old_digest, uint64_t *new_digest)
{
    plim_error err;
    bool ok = write_file(files->path, files->after, files->bytes) &&
              load_once(s, reader, &err) == PLIM_OK;
    *new_digest = s->digest;
    ok = ok && write_file(files->path, files->before, files->bytes) &&
         load_once(s, reader, &err) == PLIM_OK;
    *old_digest = s->digest;
    if (!ok || *old_digest == *new_digest) {
        printf("FAILED: the model does not load, or its weights make no difference: %s\n",
               err.message);
        return false;
    }
    return true;
}

int main(void)
{
    stage s = {.model = PLIM_SOURCE_DIR "/tests/golden/llama-base", .threads = 1};
    file_pair files = {.bytes = 0};
    plim_error err = {0};
    uint64_t old_digest, new_digest;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (stage_open(&s) != 0 || !copy_model(&s, &files) || stage_open_context(&s, &err) != PLIM_OK) {
        printf("FAILED: no stage: %s\n", err.message);
        return 1;
    }
    s.model = s.folder;
    if (results_of_both(&s, &files, PLIM_READER_BUFFERED, &old_digest, &new_digest)) {
        for (int deed = 0; deed < DEEDS; deed++)
            all_moments(&s, &files, PLIM_READER_BUFFERED, (deed_kind)deed, old_digest, new_digest);
    } else {
        failures++;
    }
    /* A mapped file is the file: only its name may be given away without being noticed later. */
    if (results_of_both(&s, &files, PLIM_READER_MAP, &old_digest, &new_digest)) {
        all_moments(&s, &files, PLIM_READER_MAP, REPLACE, old_digest, new_digest);
        all_moments(&s, &files, PLIM_READER_MAP, REMOVE, old_digest, new_digest);
    } else {
        failures++;
    }
    stage_clear(&s);
    stage_close(&s);
    free(files.before);
    free(files.after);
    printf("%d failures\n", failures);
    return failures != 0;
}
