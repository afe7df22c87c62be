/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that change while they are read: at every 5 % of a load (with --all: before each system
 * call on a file), and of the passes of a model that streams, one shard is cut, written over,
 * appended to, replaced, removed or renamed by somebody else.  Either that is noticed, or the
 * result is that of the old files or of the new ones: never a mixture, never half of it; and what
 * was looked at after the deed must have been noticed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/inject.h"
#include "fault/scenarios.h"

enum { MAX_FILE_BYTES = 1 << 20, SHARDS = 4, MOMENTS = 20 };

/* A shard as it is and as somebody else would have it: same header, other values. */
typedef struct shard {
    char path[400], other_path[400], away[400];
    unsigned char *before, *after;
    size_t bytes;
} shard;

typedef enum deed_kind { CUT, WRITE_OVER, APPEND, REPLACE, REMOVE, RENAME_AWAY, DEEDS } deed_kind;

static const char *const deed_names[DEEDS] = {"cut",      "written over", "appended to",
                                              "replaced", "removed",      "renamed away"};

typedef struct plot {
    const shard *file;
    deed_kind deed;
    size_t at; /* before this call */
    bool done;
} plot;

/* A way of loading; one that streams is watched in its passes, the others while they load. */
typedef struct way {
    const char *name;
    loading how;
} way;

static const way ways[] = {
    {"map", {.reader = PLIM_READER_MAP}},
    {"buffered", {.reader = PLIM_READER_BUFFERED}},
    {"direct", {.reader = PLIM_READER_DIRECT}},
    {"buffered, cast", {.reader = PLIM_READER_BUFFERED, .dtype = PLIM_BF16}},
    {"direct, cast", {.reader = PLIM_READER_DIRECT, .dtype = PLIM_BF16}},
    {"the old way", {.reader = PLIM_READER_BUFFERED, .old_way = 1}},
    {"stream", {.reader = PLIM_READER_DIRECT, .device_map = "disk"}},
    {"stream, cast", {.reader = PLIM_READER_BUFFERED, .dtype = PLIM_BF16, .device_map = "disk"}},
};

/* What came of a run. */
typedef struct result {
    plim_status status;
    plim_error err;
    uint64_t digest;
    bool used; /* the model was; digest and rows say something */
    size_t rows, looks;
    uint64_t row[MAX_ROWS];
} result;

static int failures;

/* ---- deeds ---- */

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

static bool restore(const shard *f)
{
    unlink(f->away);
    return write_file(f->path, f->before, f->bytes) &&
           write_file(f->other_path, f->after, f->bytes);
}

static bool in_place(deed_kind deed)
{
    return deed <= APPEND;
}

static bool do_deed(const shard *f, deed_kind deed)
{
    if (deed == REPLACE)
        return rename(f->other_path, f->path) == 0;
    if (deed == REMOVE)
        return unlink(f->path) == 0;
    if (deed == RENAME_AWAY)
        return rename(f->path, f->away) == 0;
    int fd = open(f->path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0;
    if (deed == CUT)
        ok = ok && ftruncate(fd, (off_t)(f->bytes * 2 / 3)) == 0;
    else if (deed == APPEND)
        ok = ok && pwrite(fd, f->after, 100, (off_t)f->bytes) == 100;
    else
        ok = ok && pwrite(fd, f->after, f->bytes, 0) == (ssize_t)f->bytes;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void commit_deed(void *user, size_t k)
{
    plot *p = user;
    struct stat st;
    if (k != p->at || p->done)
        return;
    p->done = stat(p->file->path, &st) == 0 && do_deed(p->file, p->deed);
    if (!p->done)
        abort(); /* the test's own fault */
    fault_watch(st.st_ino);
}

/* ---- runs ---- */

static void arm(plot *p)
{
    if (p)
        fault_hook(commit_deed, p);
    fault_watch(0);
    fault_arm(FAULT_FILE, SIZE_MAX, false);
}

/* Of a mapped file the pages are the file: once it is loaded, nobody looks at it again. */
static bool may_use(const way *w, const plot *p)
{
    if (w->how.reader != PLIM_READER_MAP || !p || !p->done || !in_place(p->deed))
        return true;
    return fault_looks() > 0 && p->deed != CUT;
}

/* From beginning to end, while the plot (NULL: none) is on; *calls as far as it can strike. */
static void run(stage *s, const way *w, plot *p, result *out, size_t *calls)
{
    plim_model *model = NULL;
    const bool streams = w->how.device_map != NULL;
    *out = (result){.status = PLIM_OK};
    stage_begin(s);
    if (!streams)
        arm(p);
    out->status = stage_open_model(s, &w->how, &model, &out->err);
    if (streams)
        arm(p);
    if (out->status == PLIM_OK && may_use(w, p)) {
        out->status =
            streams ? stage_talk(s, model, &out->err) : stage_evaluate(s, model, &out->err);
        out->used = true;
    }
    out->looks = fault_looks();
    *calls = fault_calls();
    plim_model_close(&model); /* ends what is read ahead */
    fault_disarm();
    fault_hook(NULL, NULL);
    out->digest = s->digest;
    out->rows = s->rows;
    memcpy(out->row, s->row, sizeof out->row);
}

/* ---- judgement ---- */

static bool begins_like(const result *part, const result *whole)
{
    return part->rows <= whole->rows &&
           !memcmp(part->row, whole->row, part->rows * sizeof *part->row);
}

static bool same(const result *a, const result *b)
{
    return a->status == PLIM_OK && b->status == PLIM_OK && a->digest == b->digest;
}

/* NULL: all is well. */
static const char *judge(const plot *p, const result *got, const result *old, const result *new)
{
    if (got->status != PLIM_OK) {
        if (got->err.code != got->status)
            return "the error is not filled";
        if (got->status != PLIM_E_CHANGED && got->status != PLIM_E_TRUNC &&
            got->status != PLIM_E_IO && got->status != new->status)
            return "an error of another class";
        if (got->status == PLIM_E_CHANGED && strcmp(got->err.file, p->file->path) != 0)
            return "an error that does not name the file";
        if (!begins_like(got, old) && !begins_like(got, new))
            return "wrong logits before the error";
        return NULL;
    }
    if (!got->used)
        return got->looks ? "not noticed" : NULL;
    if (same(got, new))
        return NULL;
    if (!same(got, old))
        return "a result that is neither the old file's nor the new one's";
    return got->looks && p->done ? "looked at, and not noticed" : NULL;
}

typedef struct tally {
    size_t changed, other, old, new, struck;
} tally;

static void attempt(stage *s, const way *w, plot *p, const result *old, const result *new, tally *t)
{
    static result got;
    size_t calls;
    if (!restore(p->file))
        abort();
    run(s, w, p, &got, &calls);
    const char *what = judge(p, &got, old, new);
    t->struck += p->done;
    t->changed += got.status == PLIM_E_CHANGED;
    t->other += got.status != PLIM_OK && got.status != PLIM_E_CHANGED;
    t->new += got.used &&same(&got, new) && !same(&got, old);
    t->old += got.status == PLIM_OK && (!got.used || same(&got, old));
    if (!what)
        return;
    failures++;
    printf("FAILED %s, %s %s before call %zu: %s; status %s: %s\n", w->name, p->file->path,
           deed_names[p->deed], p->at, what, plim_status_name(got.status), got.err.message);
}

/* What an undisturbed run gives after the deed. */
static void after_deed(stage *s, const way *w, const shard *f, deed_kind deed, result *out)
{
    size_t calls;
    if (!restore(f) || !do_deed(f, deed))
        abort();
    run(s, w, NULL, out, &calls);
}

static void all_moments(stage *s, const way *w, const shard *files, bool all)
{
    static result old, new;
    size_t calls = 0, ignored;
    run(s, w, NULL, &old, &calls);
    run(s, w, NULL, &old, &calls); /* the second time what is cached is */
    if (old.status != PLIM_OK || calls < MOMENTS) {
        failures++;
        printf("FAILED %s: %zu calls: %s\n", w->name, calls, old.err.message);
        return;
    }
    for (int deed = 0; deed < DEEDS; deed++) {
        tally t = {0};
        for (int i = 0; i < SHARDS; i++) {
            after_deed(s, w, &files[i], (deed_kind)deed, &new);
            const size_t moments = all ? calls : MOMENTS;
            for (size_t m = 0; m < moments; m++) {
                plot p = {&files[i], (deed_kind)deed, m * calls / moments, false};
                attempt(s, w, &p, &old, &new, &t);
            }
            if (!restore(&files[i]))
                abort();
        }
        result again;
        run(s, w, NULL, &again, &ignored);
        if (!same(&again, &old)) {
            failures++;
            printf("FAILED %s: restored, and another result: %s\n", w->name, again.err.message);
        }
        printf("%-15s %-13s %4zu times, %4zu CHANGED %4zu other errors %4zu the old result %4zu "
               "the new one\n",
               w->name, deed_names[deed], t.struck, t.changed, t.other, t.old, t.new);
    }
}

/* ---- the model ---- */

static size_t read_file(const stage *s, const char *name, unsigned char **out)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", s->model, name);
    FILE *f = fopen(path, "rb");
    *out = malloc(MAX_FILE_BYTES);
    size_t n = f && *out ? fread(*out, 1, MAX_FILE_BYTES, f) : 0;
    if (f)
        fclose(f);
    return n;
}

/* Copies the model into the stage's folder; other values: every byte of the data changed in its
 * lowest bit. */
static bool copy_model(stage *s, shard *files)
{
    static const char *const names[] = {"config.json", "model.safetensors.index.json"};
    char path[600];
    bool ok = true;
    for (int i = 0; i < 2 && ok; i++) {
        unsigned char *bytes;
        size_t n = read_file(s, names[i], &bytes);
        snprintf(path, sizeof path, "%s/%s", s->folder, names[i]);
        ok = n > 0 && write_file(path, bytes, n);
        free(bytes);
    }
    for (int i = 0; i < SHARDS && ok; i++) {
        shard *f = &files[i];
        uint64_t header = 0;
        char name[60];
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i + 1, SHARDS);
        f->bytes = read_file(s, name, &f->before);
        f->after = malloc(MAX_FILE_BYTES);
        if (f->bytes < 8 || !f->after)
            return false;
        memcpy(&header, f->before, sizeof header);
        for (size_t b = 0; b < f->bytes; b++)
            f->after[b] = f->before[b] ^ (b >= 8 + header);
        snprintf(f->path, sizeof f->path, "%s/%s", s->folder, name);
        snprintf(f->other_path, sizeof f->other_path, "%s/other-%d", s->folder, i);
        snprintf(f->away, sizeof f->away, "%s/away-%d", s->folder, i);
        ok = restore(f);
    }
    return ok;
}

int main(int argc, char **argv)
{
    static stage s = {.model = PLIM_SOURCE_DIR "/tests/golden/gpt2-sharded", .threads = 2};
    static shard files[SHARDS];
    plim_error err = {0};
    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (stage_open(&s) != 0 || !copy_model(&s, files) || stage_open_context(&s, &err) != PLIM_OK) {
        printf("FAILED: no stage: %s\n", err.message);
        return 1;
    }
    s.model = s.folder;
    const fault_held before = fault_now();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        all_moments(&s, &ways[i], files, all);
    const fault_held now = fault_now();
    if (now.blocks != before.blocks || now.mapped != before.mapped || now.files != before.files ||
        now.threads != before.threads || now.rings != before.rings) {
        failures++;
        printf("FAILED: something is left behind\n");
    }
    stage_clear(&s);
    stage_close(&s);
    for (int i = 0; i < SHARDS; i++) {
        free(files[i].before);
        free(files[i].after);
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
