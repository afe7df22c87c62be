/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fault loop is run over: short programs that use the public header only, each giving a
 * digest of all that it saw. */
#ifndef PLIM_TESTS_SCENARIOS_H
#define PLIM_TESTS_SCENARIOS_H

#include "plimsoll.h"

#define DIGEST_START 0xcbf29ce484222325u /* FNV-1a */

/* Where scenarios play. */
typedef struct stage {
    const char *model; /* a folder with checkpoint and tokenizer */
    char folder[256];  /* a temporary one */
    unsigned threads;
    uint64_t limit; /* of the context; 0: none */
    plim_context *context;
    plim_memory memory; /* after the first run */
    uint64_t digest;
    plim_model *open_model; /* of those that only generate */
    plim_tokenizer *open_tokenizer;
    uint64_t whole_file; /* digest of what synth writes */
} stage;

typedef struct scenario {
    const char *name;
    plim_status (*run)(stage *s, plim_error *err);
    plim_status (*prepare)(stage *s, plim_error *err); /* without faults; may be NULL */
    int (*after)(stage *s, plim_status status);        /* 0: all is well; may be NULL */
    int own_context;                                   /* it opens its own */
    int lines;                                         /* try it below lines too */
    const char *model;                                 /* in the source tree; NULL: the stage's */
} scenario;

extern const scenario scenarios[]; /* ends with one that has no name */

int stage_open(stage *s);
plim_status stage_open_context(stage *s, plim_error *err);
void stage_clear(stage *s); /* what prepare made, and the context */
void stage_close(stage *s);

/* Load the stage's model, evaluate a few tokens and see their logits. */
plim_status stage_load(stage *s, plim_reader reader, plim_dtype dtype, int low_cpu_mem_usage,
                       plim_error *err);

#endif
