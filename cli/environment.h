/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment: every variable that the program reads is in one table here, and nobody else
 * calls getenv.  They are those of Hugging Face, with its rules for where the cache lies; two of
 * them also say where measured speeds are kept. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include "out.h"

/* The folder of the Hugging Face cache (".../hub") into path[cap], as huggingface_hub finds it:
 * HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub,
 * else
 * ~/.cache/huggingface/hub; "~" and "$NAME" are expanded.  PLIM_E_LIMIT when it does not fit. */
plim_status environment_cache(char *path, size_t cap, plim_error *err);

/* The file of measured speeds into path[cap]: XDG_CACHE_HOME/plimsoll/speeds.json where that is an
 * absolute path, else ~/.cache/plimsoll/speeds.json.  PLIM_E_LIMIT when it does not fit, PLIM_E_IO
 * without a home folder. */
plim_status environment_speeds(char *path, size_t cap, plim_error *err);

/* The file of the lines typed in chat into path[cap]: XDG_STATE_HOME/plimsoll/history where that is
 * an absolute path, else ~/.local/state/plimsoll/history.  Errors as environment_speeds. */
plim_status environment_history(char *path, size_t cap, plim_error *err);

/* A terminal may be written to in colour: NO_COLOR is not set, TERM names one. */
bool environment_colour(void);

/* The instruction sets that PLIMSOLL_CPU allows, *mask = PLIM_CPU_ALL where it is not set.
 * PLIM_E_USAGE for a level that does not exist or that this processor lacks. */
plim_status environment_cpu(unsigned *mask, plim_error *err);

/* The table with the values of now, and the folder they lead to. */
void environment_help(cli_out *out);

#endif
