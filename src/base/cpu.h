/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor and the operating system offer together. */
#ifndef PLIM_BASE_CPU_H
#define PLIM_BASE_CPU_H

/* PLIM_CPU_* of plimsoll.h; a bit is set when the instructions exist and the system saves their
 * registers. */
unsigned plim_cpu_features(void);

#endif
