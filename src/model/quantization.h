/* SPDX-License-Identifier: Apache-2.0
 *
 * How a checkpoint says that it is quantised: quantization_config of its config.json. */
#ifndef PLIM_MODEL_QUANTIZATION_H
#define PLIM_MODEL_QUANTIZATION_H

#include "model/config.h"

typedef struct plim_quantization {
    bool there;
    bool four, eight;  /* num_bits of some group of modules; neither: nothing is said of it */
    char refusal[160]; /* what of it we can't run ("quant_method 'gptq'"); "" where we can */
} plim_quantization;

/* What we run: compressed-tensors, pack-quantized, weights alone, symmetric integers of 4 or 8 bits
 * in groups of 32.  Nothing that stands there is an error yet: who needs the weights refuses. */
void plim_quantization_read(plim_quantization *out, const plim_config *config);

#endif
