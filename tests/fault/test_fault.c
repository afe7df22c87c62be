/* SPDX-License-Identifier: Apache-2.0
 *
 * The fault loop: each allocation, map, open, read, write and thread of a scenario is made to fail
 * in turn, once and from then on, until a run has no failure.  Every time: an error of the right
 * class that names what it is about, or the very same result as without the fault; the ledger, the
 * blocks, the maps, the descriptors and the threads as they were before; and the next try gives
 * identical bytes.
 *
 * test_fault [SCENARIO ...] [--model FOLDER] [--all]: those scenarios only, on that model; with
 * --all also what takes long. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/inject.h"
#include "fault/scenarios.h"

static int failures;

/* ---- one run, looked at ---- */

typedef struct outcome {
    plim_status status;
    plim_error err;
    uint64_t digest;
    size_t faults;
    const char *first; /* what failed */
} outcome;

typedef struct idle {
    fault_held held;
    uint64_t ledger;
    int descriptors;
} idle;

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static uint64_t ledger_now(const stage *s)
{
    plim_memory m = {0};
    if (s->context)
        plim_context_memory(s->context, &m);
    return m.total.now;
}

static idle look(const stage *s)
{
    return (idle){fault_now(), ledger_now(s), open_descriptors()};
}

static void complain(const char *name, const char *situation, const outcome *o, const char *what)
{
    failures++;
    printf("FAILED %s, %s (%s): %s; status %s: %s\n", name, situation, o->first, what,
           plim_status_name(o->status), o->err.message);
}

/* Nothing may be left behind, whatever happened. */
static void check_idle(const scenario *sc, const stage *s, const char *situation, const outcome *o,
                       const idle *before)
{
    char what[200];
    idle now = look(s);
    if (now.ledger == before->ledger && now.held.blocks == before->held.blocks &&
        now.held.mapped == before->held.mapped && now.held.files == before->held.files &&
        now.held.threads == before->held.threads && now.held.rings == before->held.rings &&
        now.descriptors == before->descriptors)
        return;
    snprintf(what, sizeof what,
             "left behind: %lld bytes in the ledger, %lld blocks, %lld mapped bytes, %lld files "
             "(%d open), "
             "%lld threads, %lld rings",
             (long long)(now.ledger - before->ledger),
             (long long)(now.held.blocks - before->held.blocks),
             (long long)(now.held.mapped - before->held.mapped),
             (long long)(now.held.files - before->held.files),
             now.descriptors - before->descriptors,
             (long long)(now.held.threads - before->held.threads),
             (long long)(now.held.rings - before->held.rings));
    complain(sc->name, situation, o, what);
}

static outcome run_once(const scenario *sc, stage *s)
{
    outcome o = {.first = ""};
    memset(&o.err, 0x7F, sizeof o.err); /* it must be filled, not merely left alone */
    stage_begin(s);
    o.status = sc->run(s, &o.err);
    o.digest = s->digest;
    return o;
}

static bool same_result(const outcome *a, const outcome *b)
{
    return a->status == PLIM_OK && b->status == PLIM_OK && a->digest == b->digest;
}

/* ---- the loop ---- */

static bool of_memory(fault_kind kind)
{
    return kind == FAULT_MEMORY || kind == FAULT_THREAD || kind == FAULT_FILE_NOMEM;
}

static bool right_class(fault_kind kind, plim_status status)
{
    return status == (of_memory(kind) ? PLIM_E_NOMEM : PLIM_E_IO);
}

static bool filled(fault_kind kind, const outcome *o)
{
    const plim_error *e = &o->err;
    return e->code == o->status && e->message[0] && memchr(e->message, 0, sizeof e->message) &&
           memchr(e->file, 0, sizeof e->file) && memchr(e->tensor, 0, sizeof e->tensor) &&
           (e->file[0] || of_memory(kind));
}

static void check_faulty(const scenario *sc, const char *situation, fault_kind kind,
                         const outcome *o, const outcome *good)
{
    if (o->status == PLIM_OK) {
        if (o->digest != good->digest)
            complain(sc->name, situation, o, "went well with another result");
    } else if (!right_class(kind, o->status)) {
        complain(sc->name, situation, o, "an error of another class");
    } else if (!filled(kind, o)) {
        complain(sc->name, situation, o, "the error is not filled");
    }
}

/* What passes by itself must not end anything when it happens once.  A model that stays open has
 * met EINVAL before, and does without what can be done without. */
static bool passes(const scenario *sc, fault_kind kind, bool forever)
{
    if (kind == FAULT_ENTRY_EINVAL && sc->ahead)
        return false;
    return kind == FAULT_ENTRY_SHORT || kind == FAULT_RING ||
           (kind >= FAULT_ENTRY_SHORT && !forever);
}

/* After the fault: as if it had never been.  What was read ahead meanwhile may be bad. */
static void check_next(const scenario *sc, stage *s, const char *situation, fault_kind kind,
                       const outcome *good)
{
    outcome next = run_once(sc, s);
    if (sc->ahead && right_class(kind, next.status))
        next = run_once(sc, s);
    if (!same_result(&next, good))
        complain(sc->name, situation, &next, "the next try goes another way");
}

/* The calls that are tried are 0, 1, 2, ...; of a slow scenario about 20 in all. */
static size_t after(const scenario *sc, size_t k, size_t stride)
{
    return sc->slow ? k + 1 + k / 2 : k + stride;
}

/* All calls of one kind, each in its turn. */
static void fault_loop(const scenario *sc, stage *s, fault_kind kind, bool forever, size_t stride,
                       const outcome *good)
{
    static const char *const names[FAULT_KINDS] = {"memory",     "file",  "write", "thread",
                                                   "file-nomem", "short", "eintr", "eagain",
                                                   "einval",     "ring"};
    char situation[100];
    size_t errors = 0, survived = 0;
    for (size_t k = 0;; k = after(sc, k, stride)) {
        snprintf(situation, sizeof situation, "%s fault %zu %s", names[kind], k,
                 forever ? "and all after it" : "once");
        idle before = look(s);
        fault_arm(kind, k, forever);
        outcome o = run_once(sc, s);
        o.faults = fault_disarm();
        o.first = fault_first();
        check_idle(sc, s, situation, &o, &before);
        if (sc->after && sc->after(s, o.status) != 0)
            complain(sc->name, situation, &o, "something is left on the disk");
        if (o.faults == 0) {
            if (!same_result(&o, good))
                complain(sc->name, situation, &o, "without any fault it goes another way");
            break;
        }
        check_faulty(sc, situation, kind, &o, good);
        if (o.status != PLIM_OK && passes(sc, kind, forever))
            complain(sc->name, situation, &o, "an error of what passes");
        errors += o.status != PLIM_OK;
        survived += o.status == PLIM_OK;
        check_next(sc, s, situation, kind, good);
    }
    if (errors + survived)
        printf("%-16s %-10s %-8s %5zu errors, %4zu without effect\n", sc->name, names[kind],
               forever ? "forever" : "once", errors, survived);
}

/* A system that lacks something gives the same result another way. */
static void lacking(const scenario *sc, stage *s, const outcome *good)
{
    static const char *const names[FAULT_NO_COUNT + 1] = {"no io_uring",
                                                          "no registered memory",
                                                          "no O_DIRECT at open",
                                                          "EINVAL for direct reads",
                                                          "EOPNOTSUPP for direct reads",
                                                          "no RWF_DONTCACHE",
                                                          "no huge pages",
                                                          "no populating",
                                                          "no cachestat",
                                                          "no STATX_DIOALIGN",
                                                          "no threads",
                                                          "no locking",
                                                          "none of these"};
    size_t refusals = 0;
    for (int i = 0; i <= FAULT_NO_COUNT; i++) {
        idle before = look(s);
        fault_refuse(i < FAULT_NO_COUNT ? 1u << i : (1u << FAULT_NO_COUNT) - 1);
        outcome o = run_once(sc, s);
        refusals += fault_refusals();
        fault_refuse(0);
        o.first = names[i];
        check_idle(sc, s, names[i], &o, &before);
        bool no_pool = o.status == PLIM_E_NOMEM && sc->own_context; /* of the threads asked for */
        if (!same_result(&o, good) && !no_pool)
            complain(sc->name, names[i], &o, "another result");
        outcome next = run_once(sc, s);
        if (!same_result(&next, good))
            complain(sc->name, names[i], &next, "the next try goes another way");
    }
    if (refusals)
        printf("%-16s %zu refusals without effect\n", sc->name, refusals);
}

static void short_reads(const scenario *sc, stage *s, const outcome *good)
{
    static const char *const names[] = {"whole reads", "reads of one byte",
                                        "reads of random lengths", "reads interrupted by signals"};
    for (int mode = READ_ONE_BYTE; mode <= READ_INTERRUPTED; mode++) {
        idle before = look(s);
        fault_reads((read_mode)mode);
        outcome o = run_once(sc, s);
        fault_reads(READ_WHOLE);
        o.first = names[mode];
        check_idle(sc, s, names[mode], &o, &before);
        if (!same_result(&o, good))
            complain(sc->name, names[mode], &o, "another result");
    }
}

/* The line instead of the system: from too low to high enough, refused all the way. */
static void tight_lines(const scenario *sc, stage *s, const outcome *good)
{
    size_t refused = 0;
    const uint64_t most = s->memory.total.peak;
    for (uint64_t step = 0; step <= 64; step++) {
        stage tight = *s;
        outcome o = {.first = "line"};
        tight.context = NULL;
        tight.limit = 4096 + 4 * most * step / 64; /* what threads would take is counted too */
        idle before = look(&tight);
        if (stage_open_context(&tight, &o.err) != PLIM_OK) {
            refused++;
            continue;
        }
        o = run_once(sc, &tight);
        o.first = "line";
        plim_memory m;
        plim_context_memory(tight.context, &m);
        if (m.total.peak + m.baseline > m.limit)
            complain(sc->name, "a tight line", &o, "the line was crossed");
        plim_context_close(&tight.context);
        check_idle(sc, &tight, "a tight line", &o, &before);
        refused += o.status == PLIM_E_BUDGET;
        if (o.status != PLIM_OK && (o.status != PLIM_E_BUDGET || o.err.code != o.status))
            complain(sc->name, "a tight line", &o, "an error of another class");
        if (o.status == PLIM_OK && o.digest != good->digest)
            complain(sc->name, "a tight line", &o, "went well with another result");
        if (step == 64 && o.status != PLIM_OK)
            complain(sc->name, "a wide line", &o, "refused");
    }
    printf("%-16s lines           %5zu of 65 refused\n", sc->name, refused);
}

static size_t stride_of(const scenario *sc, fault_kind kind, bool forever, bool all)
{
    size_t every = sc->sparse ? (size_t)sc->sparse : 1;
    if (all || kind == FAULT_MEMORY || kind == FAULT_THREAD || kind == FAULT_WRITE)
        return 1;
    return kind == FAULT_FILE && !forever ? every : 3 * every - 1;
}

/* A context and what the scenario needs, anew. */
static bool set_up(const scenario *sc, stage *s)
{
    plim_error err = {0};
    stage_clear(s);
    if (!sc->own_context && stage_open_context(s, &err) != PLIM_OK) {
        failures++;
        printf("FAILED %s: no context: %s\n", sc->name, err.message);
        return false;
    }
    if (sc->prepare && sc->prepare(s, &err) != PLIM_OK) {
        failures++;
        printf("FAILED %s: not prepared: %s\n", sc->name, err.message);
        return false;
    }
    if (sc->ahead) /* descriptors are opened when they are needed first, and stay */
        run_once(sc, s);
    return true;
}

static void run_scenario(const scenario *sc, stage *s, bool all)
{
    const char *usual = s->model;
    s->model = sc->model ? sc->model : usual;
    bool ready = set_up(sc, s);
    outcome good = {.status = PLIM_E_USAGE};
    if (ready) {
        good = run_once(sc, s);
        if (good.status != PLIM_OK)
            complain(sc->name, "no fault", &good, "does not even go well");
        if (s->context)
            plim_context_memory(s->context, &s->memory);
    }
    for (int kind = 0; kind < FAULT_KINDS && good.status == PLIM_OK && ready; kind++) {
        /* a ring that failed is not used again: every kind meets a new one */
        for (int forever = 0; forever < 2 && (ready = !sc->ahead || set_up(sc, s)); forever++)
            fault_loop(sc, s, (fault_kind)kind, forever,
                       stride_of(sc, (fault_kind)kind, forever, all), &good);
    }
    if (good.status == PLIM_OK && ready && (!sc->ahead || set_up(sc, s))) {
        lacking(sc, s, &good);
        short_reads(sc, s, &good);
        if (sc->lines)
            tight_lines(sc, s, &good);
    }
    stage_clear(s);
    s->model = usual;
}

int main(int argc, char **argv)
{
    stage s = {.model = DEFAULT_MODEL, .threads = 1};
    bool some = false, all = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--model") == 0 && i + 1 < argc)
            s.model = argv[++i];
        else if (strcmp(argv[i], "--all") == 0)
            all = true;
        else
            some = true;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (stage_open(&s) != 0)
        return 1;
    if (!fault_can_end_entries())
        printf("THIS KERNEL CAN'T BE TOLD HOW READS OF IO_URING END: none is made to fail\n");
    for (const scenario *sc = scenarios; sc->name; sc++) {
        bool wanted = !some && (all || (!sc->slow && !sc->apart));
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], sc->name) == 0;
        if (wanted)
            run_scenario(sc, &s, all);
    }
    stage_close(&s);
    printf("%d failures\n", failures);
    return failures != 0;
}
