/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors in words and in JSON, for info and plan. */
#ifndef CLI_TENSORS_H
#define CLI_TENSORS_H

#include "json_out.h"

#define TENSOR_SHAPE_TEXT (PLIM_MAX_DIMS * 22 + 3)

/* "[2, 3]"; returns out. */
char *tensor_shape(char out[TENSOR_SHAPE_TEXT], const plim_tensor_info *tensor);

/* The width of a column that holds names as long as `longest` and this one; at most 100. */
int tensor_column(int longest, const char *name);

/* The members name, dtype and shape of the object that is open. */
void tensor_json(cli_json *json, const plim_tensor_info *tensor);

#endif
