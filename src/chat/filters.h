/* SPDX-License-Identifier: Apache-2.0
 *
 * What filters on sequences share: attributes by path, case. */
#ifndef PLIM_CHAT_FILTERS_H
#define PLIM_CHAT_FILTERS_H

#include "chat/run.h"

/* v.a.b[0] for the path "a.b.0", or v[attribute] for a number; v itself for none.  What is
 * undefined on the way becomes `missing`, where there is one. */
plim_status plim_attribute_path(plim_run *run, plim_val v, plim_val attribute, plim_val missing,
                                plim_val *out);
/* An iterator over the attributes of the items. */
plim_status plim_map_attribute(plim_run *run, plim_val items, plim_val attribute, plim_val *out);
/* Strings in lower case, unless case counts. */
plim_status plim_fold_case(plim_run *run, plim_val v, bool case_counts, plim_val *out);

#endif
