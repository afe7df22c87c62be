/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process holds before the library does anything. */
#ifndef CLI_BASELINE_H
#define CLI_BASELINE_H

#include "plimsoll.h"

/* Bring in the code of the program and its libraries, which would otherwise become resident bit by
 * bit and lift the process over a line drawn without it; then VmHWM into *bytes.  PLIM_E_IO. */
plim_status baseline_measure(uint64_t *bytes, plim_error *err);

#endif
