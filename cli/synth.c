/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll synth: a checkpoint of the exact shape of a config.json, with random weights. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli.h"
#include "fail.h"
#include "values.h"

/* What was written, from the headers of the new checkpoint. */
static plim_status measure(cli *c, uint64_t *bytes, size_t *files, plim_error *err)
{
    plim_checkpoint *checkpoint = NULL;
    plim_status status =
        plim_checkpoint_open(&checkpoint, c->context, c->options.names[1], &c->model, err);
    if (status != PLIM_OK)
        return status;
    *files = plim_checkpoint_file_count(checkpoint);
    *bytes = 0;
    for (size_t i = 0; i < *files; i++) {
        uint64_t size = 0;
        plim_checkpoint_file(checkpoint, i, &size);
        *bytes += size;
    }
    plim_checkpoint_close(&checkpoint);
    return PLIM_OK;
}

static void write_json(cli *c, uint64_t bytes, size_t files, double seconds)
{
    cli_json json;
    json_begin(&json, &c->out);
    json_object(&json);
    json_put_text(&json, "config", c->options.names[0]);
    json_put_text(&json, "directory", c->options.names[1]);
    json_put_u64(&json, "bytes", bytes);
    json_put_u64(&json, "files", files);
    json_put_u64(&json, "seed", c->options.seed);
    json_put_real(&json, "seconds", seconds);
    json_object_end(&json);
    json_end(&json);
}

plim_status synth_command(cli *c, plim_error *err)
{
    struct stat st;
    const char *config = c->options.names[0], *directory = c->options.names[1];
    if (stat(config, &st) == 0 && S_ISDIR(st.st_mode))
        return cli_fail_errno(err, EISDIR, config, "cannot be read");
    plim_status status = cli_start(c, "writing", err);
    if (status != PLIM_OK)
        return status;
    plim_synth_options options;
    plim_synth_options_init(&options);
    options.torch_dtype = c->options.dtype;
    options.seed = c->options.seed;
    options.max_shard_size = c->options.max_shard_size;
    options.progress = progress_show;
    options.progress_user = &c->progress;
    double start = cli_now();
    status = plim_synth(c->context, config, directory, &options, err);
    double seconds = cli_now() - start;
    progress_clear(&c->progress);
    uint64_t bytes = 0;
    size_t files = 0;
    if (status == PLIM_OK)
        status = measure(c, &bytes, &files, err);
    if (status != PLIM_OK)
        return status;
    char size[24], speed[24];
    if (c->options.json)
        write_json(c, bytes, files, seconds);
    else
        out_format(&c->out, "%s: %s in %zu %s, %.2f s (%s/s)\n", directory,
                   text_of_bytes(size, sizeof size, bytes), files, files == 1 ? "file" : "files",
                   seconds,
                   text_of_bytes(speed, sizeof speed,
                                 seconds > 0 ? (uint64_t)((double)bytes / seconds) : 0));
    return PLIM_OK;
}
