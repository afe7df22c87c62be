/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands that generate share: their options for the library, and how long it took. */
#ifndef CLI_GENERATION_H
#define CLI_GENERATION_H

#include "cli.h"

/* The generation options of the command line; no callback. */
void generation_options(const cli_options *options, plim_generate_options *out);

/* count / seconds, 0 where no time passed. */
double per_second(size_t count, double seconds);

/* Members of "timing": prefill, decode, first_token and the two speeds. */
void generation_timing_json(cli_json *json, const plim_generation *g);

#endif
