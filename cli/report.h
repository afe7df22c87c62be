/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory report of a command that loaded, and the bars that show it: where the waterline was
 * foretold and where it stood. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli.h"

typedef struct memory_report {
    plim_memory ledger;
    plim_process_memory process; /* now; its peak is VmHWM */
    uint64_t limit;              /* 0: none */
    uint64_t predicted_peak;
    uint64_t rss_before, rss_after_load;
} memory_report;

plim_status report_gather(memory_report *report, const plim_context *context,
                          const plim_model *model, plim_error *err);

/* More than max(2 %, 8 MiB) between prediction and measurement. */
bool report_missed(const memory_report *report);

/* To standard error, unless --quiet. */
void report_print(const cli *c, const memory_report *report);

/* The members "load", "stream" and "memory" of the object that is open. */
void report_json(cli_json *json, const plim_model *model, const memory_report *report);

/* "memory" of a plan: predicted. */
void report_plan_json(cli_json *json, const plim_plan_info *info, const plim_memory *now);

/* What a bar shows, in bytes. */
typedef struct waterline {
    uint64_t anonymous; /* held, baseline included: '#' */
    uint64_t mapped;    /* held as pages of files: '=' */
    uint64_t peak;      /* up to here: '.' */
    uint64_t predicted; /* '|'; 0: not shown */
    uint64_t limit;     /* the right end, ']' where more was held; 0: none */
} waterline;

#define WATERLINE_CELLS 56

/* "[####====..|      ]" into out (at least WATERLINE_CELLS + 3 bytes).  Returns out. */
char *waterline_draw(char *out, const waterline *w);

#endif
