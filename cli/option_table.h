/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the option table: what exists, for which command, of which type and range. */
#ifndef CLI_OPTION_TABLE_H
#define CLI_OPTION_TABLE_H

#include "options.h"

typedef enum option_kind {
    KIND_FLAG,      /* bool: no value, or =true / =false */
    KIND_SWITCH,    /* int64_t: as a flag; -1 stays "unset" */
    KIND_BOOL,      /* bool: true | false */
    KIND_TEXT,      /* const char * */
    KIND_FILE_TEXT, /* const char *: the text, or @FILE (read later) */
    KIND_TEXTS,     /* cli_texts: may be given again */
    KIND_U64,
    KIND_I64,
    KIND_REAL,
    KIND_SIZE, /* uint64_t */
    KIND_LINE, /* cli_line */
    KIND_DTYPE,
    KIND_KV_DTYPE,
    KIND_READER,
    KIND_COUNTS, /* cli_counts: whole numbers between commas */
    KIND_IDS     /* cli_ids */
} option_kind;

typedef struct option_row {
    const char *name, *alias; /* without dashes; alias may be NULL */
    char letter;              /* or 0 */
    option_kind kind;
    unsigned commands; /* bit per cli_command */
    size_t field;      /* offset in cli_options */
    double low, high;  /* of a number; low > high: no bounds */
    bool above_low;    /* low itself is out */
    const char *value, *help;
} option_row;

extern const option_row cli_option_table[];
extern const size_t cli_option_count;

#endif
