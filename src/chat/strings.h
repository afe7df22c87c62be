/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on marked strings that both methods and filters give. */
#ifndef PLIM_CHAT_STRINGS_H
#define PLIM_CHAT_STRINGS_H

#include "chat/run.h"

/* count < 0: all. */
plim_status plim_str_replace(plim_run *run, const plim_str *s, const plim_str *before,
                             const plim_str *after, int64_t count, plim_val *out);
/* sep NULL: at whitespace; limit < 0: none; from the right where `right`. */
plim_status plim_str_split(plim_run *run, plim_val s, const plim_str *sep, int64_t limit,
                           bool right, plim_list **out);
plim_status plim_str_lines(plim_run *run, plim_val s, bool keep_ends, plim_list **out);
plim_status plim_str_strip_val(plim_run *run, plim_val s, plim_val chars, unsigned sides,
                               plim_val *out);
/* left and right: how many fills on each side; fill is one character. */
plim_status plim_str_pad(plim_run *run, const plim_str *s, int64_t left, int64_t right,
                         const plim_str *fill, plim_val *out);
plim_status plim_str_center(plim_run *run, const plim_str *s, int64_t width, const plim_str *fill,
                            plim_val *out);
plim_status plim_str_mapped(plim_run *run, plim_val s, plim_case kind, plim_val *out);
plim_status plim_str_capitalize(plim_run *run, plim_val s, plim_val *out);
plim_status plim_str_join(plim_run *run, const plim_str *sep, plim_val items, bool convert,
                          plim_val *out);
/* The filter escape: Markup stays, all else becomes text and is escaped. */
plim_status plim_escape(plim_run *run, plim_val v, plim_val *out);
plim_status plim_str_all_lower(plim_run *run, const plim_str *s, plim_val *out);
plim_status plim_str_all_upper(plim_run *run, const plim_str *s, plim_val *out);

#endif
