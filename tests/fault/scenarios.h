/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fault loop is run over: short programs that use the public header only, each giving a
 * digest of all that it saw. */
#ifndef PLIM_TESTS_SCENARIOS_H
#define PLIM_TESTS_SCENARIOS_H

#include "plimsoll.h"

#define DIGEST_START 0xcbf29ce484222325u /* FNV-1a */

#define MAX_ROWS 64

/* Where scenarios play. */
typedef struct stage {
    const char *model; /* a folder with checkpoint and tokenizer */
    char folder[256];  /* a temporary one */
    unsigned threads;
    uint64_t limit; /* of the context; 0: none */
    uint64_t tight; /* a line below which the usual model streams; 0: not known yet */
    plim_context *context;
    plim_memory memory; /* after the first run */
    uint64_t digest;
    plim_model *open_model; /* of those that only generate */
    plim_tokenizer *open_tokenizer;
    uint64_t whole_file;    /* digest of what synth writes */
    size_t rows;            /* logits seen */
    uint64_t row[MAX_ROWS]; /* the digest after each */
} stage;

typedef struct scenario {
    const char *name;
    plim_status (*run)(stage *s, plim_error *err);
    plim_status (*prepare)(stage *s, plim_error *err); /* without faults; may be NULL */
    int (*after)(stage *s, plim_status status);        /* 0: all is well; may be NULL */
    int own_context;                                   /* it opens its own */
    int lines;                                         /* try it below lines too */
    const char *model;                                 /* in the source tree; NULL: the stage's */
    int ahead;  /* what it reads ahead can fail the next run, once */
    int sparse; /* a long one: every so many calls only, unless all is asked for */
    int apart;  /* not in the run without names: another test's */
    int slow;   /* a run takes seconds: few faults, and only when all is asked for */
} scenario;

extern const scenario scenarios[]; /* ends with one that has no name */

int stage_open(stage *s);
plim_status stage_open_context(stage *s, plim_error *err);
void stage_clear(stage *s); /* what prepare made, and the context */
void stage_close(stage *s);

/* Set the digest and the rows back. */
void stage_begin(stage *s);

/* How a model is loaded. */
typedef struct loading {
    plim_reader reader;
    plim_dtype dtype;
    const char *device_map;
    int old_way, lock;
} loading;
plim_status stage_open_model(stage *s, const loading *how, plim_model **out, plim_error *err);

/* A few tokens and their logits. */
plim_status stage_evaluate(stage *s, plim_model *model, plim_error *err);

/* Load the stage's model, evaluate a few tokens and see their logits. */
plim_status stage_load(stage *s, const loading *how, plim_error *err);

/* Two sessions in turns, several passes each, and what they generate. */
plim_status stage_talk(stage *s, plim_model *model, plim_error *err);

#endif
