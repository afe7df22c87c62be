/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll convert: a checkpoint in another type, as a Hugging Face folder. */
#include <stdio.h>

#include "cli.h"
#include "fail.h"
#include "values.h"

typedef struct written {
    uint64_t bytes;
    size_t files, tensors;
} written;

/* What was written, from the headers of the new checkpoint. */
static plim_status measure(cli *c, written *w, plim_error *err)
{
    plim_checkpoint *checkpoint = NULL;
    plim_status status =
        plim_checkpoint_open(&checkpoint, c->context, c->options.names[1], NULL, err);
    if (status != PLIM_OK)
        return status;
    w->files = plim_checkpoint_file_count(checkpoint);
    w->tensors = plim_checkpoint_count(checkpoint);
    w->bytes = 0;
    for (size_t i = 0; i < w->files; i++) {
        uint64_t size = 0;
        plim_checkpoint_file(checkpoint, i, &size);
        w->bytes += size;
    }
    plim_checkpoint_close(&checkpoint);
    return PLIM_OK;
}

static const char *type_name(plim_dtype dtype)
{
    return dtype == PLIM_I8 ? "int8" : plim_dtype_torch_name(dtype);
}

static void write_json(cli *c, const written *w, double seconds)
{
    cli_json json;
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "model", c->options.names[0]);
    json_put_text(&json, "directory", c->options.names[1]);
    json_put_text(&json, "dtype", type_name(c->options.dtype));
    json_put_u64(&json, "bytes", w->bytes);
    json_put_u64(&json, "files", w->files);
    json_put_u64(&json, "tensors", w->tensors);
    json_put_real(&json, "seconds", seconds);
    json_object_end(&json);
    json_end(&json);
}

plim_status convert_command(cli *c, plim_error *err)
{
    if (c->options.dtype == PLIM_AUTO)
        return cli_fail(err, PLIM_E_USAGE,
                        "--dtype is wanted: float32, bfloat16, float16, int8 or int4");
    plim_status status = cli_check_name(c->options.names[0], err);
    if (status == PLIM_OK)
        status = cli_start(c, "converting", err);
    if (status != PLIM_OK)
        return status;
    plim_convert_options options;
    plim_convert_options_init(&options);
    options.torch_dtype = c->options.dtype;
    options.max_shard_size = c->options.max_shard_size;
    options.revision = c->model.revision;
    options.subfolder = c->model.subfolder;
    options.variant = c->model.variant;
    options.cache_dir = c->model.cache_dir;
    options.progress = progress_show;
    options.progress_user = &c->progress;
    double start = cli_now();
    status = plim_convert(c->context, c->options.names[0], c->options.names[1], &options, err);
    double seconds = cli_now() - start;
    progress_clear(&c->progress);
    written w = {0};
    if (status == PLIM_OK)
        status = measure(c, &w, err);
    if (status != PLIM_OK)
        return status;
    char size[24], speed[24];
    if (c->options.json)
        write_json(c, &w, seconds);
    else
        out_format(&c->out, "%s: %s, %s in %zu %s, %.2f s (%s/s)\n", c->options.names[1],
                   type_name(c->options.dtype), text_of_bytes(size, sizeof size, w.bytes), w.files,
                   w.files == 1 ? "file" : "files", seconds,
                   text_of_bytes(speed, sizeof speed,
                                 seconds > 0 ? (uint64_t)((double)w.bytes / seconds) : 0));
    return PLIM_OK;
}
