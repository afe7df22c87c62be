/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_step MODEL DTYPE STEPS: a prompt of four tokens and STEPS new ones, on one thread at the
 * AVX2 level, for bench/instructions.py: a difference of two runs counts the steps alone. */
#include <stdio.h>
#include <stdlib.h>

#include "plimsoll.h"

static int fail(const plim_error *err)
{
    fprintf(stderr, "decode_step: %s: %s\n", plim_status_name(err->code), err->message);
    return 1;
}

static plim_status open_model(plim_context **context, plim_model **model, const char *name,
                              const char *dtype, plim_error *err)
{
    plim_context_options c;
    plim_model_options m;
    plim_context_options_init(&c);
    plim_model_options_init(&m);
    c.threads = 1;
    c.cpu_mask = PLIM_CPU_AVX2;
    m.context = 64;
    m.reader = PLIM_READER_BUFFERED; /* valgrind knows no io_uring */
    plim_status status = plim_dtype_parse(&m.torch_dtype, dtype, err);
    if (status == PLIM_OK)
        status = plim_context_open(context, &c, err);
    if (status == PLIM_OK)
        status = plim_model_open(model, *context, name, &m, err);
    return status;
}

int main(int argc, char **argv)
{
    static const int32_t prompt[4] = {1, 2, 3, 4};
    plim_context *context = NULL;
    plim_model *model = NULL;
    plim_session *session = NULL;
    plim_error err = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: decode_step MODEL DTYPE STEPS\n");
        return 2;
    }
    plim_status status = open_model(&context, &model, argv[1], argv[2], &err);
    if (status == PLIM_OK)
        status = plim_session_open(&session, model, &err);
    if (status == PLIM_OK)
        status = plim_session_eval(session, prompt, 4, NULL, NULL, &err);
    for (int32_t i = 0; status == PLIM_OK && i < atoi(argv[3]); i++) {
        int32_t token = 5 + i;
        status = plim_session_eval(session, &token, 1, NULL, NULL, &err);
    }
    if (status == PLIM_OK)
        printf("%s %s\n", plim_context_kernels(context), plim_dtype_name(plim_model_dtype(model)));
    plim_session_close(&session);
    plim_model_close(&model);
    plim_context_close(&context);
    return status == PLIM_OK ? 0 : fail(&err);
}
