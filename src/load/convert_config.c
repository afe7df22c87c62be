/* SPDX-License-Identifier: Apache-2.0
 *
 * Converting: config.json, read once and written with the new type. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "load/convert_internal.h"

/* ---- reading ---- */

/* What a value is replaced in must be text, or null: two of a name would be no JSON. */
static plim_status check_texts(const plim_config *config, plim_error *err)
{
    static const char *const names[] = {"dtype", "torch_dtype", "transformers_weights"};
    const char *text;
    plim_status status = PLIM_OK;
    for (size_t i = 0; !status && i < sizeof names / sizeof names[0]; i++)
        status = plim_config_text(config, names[i], &text, err);
    return status;
}

static plim_status check_config(const plim_config *config, plim_error *err)
{
    const plim_config_value *v = plim_config_find(config, "quantization_config");
    return v ? plim_config_fail(config, v, err, PLIM_E_UNSUP,
                                "the checkpoint is quantised already (quantization_config); "
                                "convert the one that it was made from")
             : check_texts(config, err);
}

plim_status plim_convert_source_open(plim_convert_source *out, const plim_alloc *alloc,
                                     const char *path, plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = (plim_convert_source){.alloc = alloc, .path = path, .file.fd = -1};
    plim_status status = plim_file_open(&out->file, path, err);
    uint64_t size = out->file.identity.bytes;
    if (!status && size > PLIM_MAX_CONFIG_BYTES)
        status = plim_fail_at(err, PLIM_E_LIMIT, (plim_where){path, NULL, -1},
                              "%llu bytes, want at most %u", (unsigned long long)size,
                              PLIM_MAX_CONFIG_BYTES);
    if (!status && !(out->text = plim_new(alloc, (size_t)size + 1, 1, err)))
        status = err->code;
    out->bytes = (size_t)size;
    if (!status && !(status = plim_file_read(&out->file, path, out->text, out->bytes, 0, err)) &&
        !(status = plim_file_check(&out->file, path, err)))
        status = plim_config_parse(&out->config, alloc, path, out->text, out->bytes, err);
    if (!status)
        status = check_config(&out->config, err);
    if (status)
        plim_convert_source_close(out);
    return status;
}

plim_status plim_convert_source_check(const plim_convert_source *source, plim_error *err)
{
    return plim_file_check(&source->file, source->path, err);
}

void plim_convert_source_close(plim_convert_source *source)
{
    if (!source->alloc)
        return;
    plim_config_close(&source->config);
    plim_delete(source->alloc, source->text);
    plim_file_close(&source->file);
    *source = (plim_convert_source){.file.fd = -1};
}

/* ---- writing ---- */

static plim_status put_text(plim_file_writer *w, const char *text, plim_error *err)
{
    return plim_writer_write(w, text, strlen(text), err);
}

/* A value whose text is replaced; what lies between is copied as it is. */
typedef struct edit {
    size_t at, length;
    const char *text; /* NULL: quantization_config */
} edit;

#define MAX_EDITS 4

/* The value of `key` in the text of a config: true where it is a string or null. */
static bool find_value(const plim_config *config, const char *text, const char *key, edit *out)
{
    for (size_t i = 0; i < config->count; i++) {
        const plim_config_value *v = &config->values[i];
        if (strcmp(v->path, key) != 0 || v->offset < 0)
            continue;
        out->at = (size_t)v->offset;
        if (v->kind == PLIM_JSON_NULL) {
            out->length = 4;
            return true;
        }
        if (v->kind != PLIM_JSON_STRING)
            return false;
        const char *end = text + out->at + 1;
        while (*end != '"') /* checked JSON: it comes */
            end += *end == '\\' ? 2 : 1;
        out->length = (size_t)(end + 1 - (text + out->at));
        return true;
    }
    return false;
}

static plim_status put_group(plim_file_writer *w, const char *name, const char *target, int bits,
                             plim_error *err)
{
    char text[640];
    plim_format(text, sizeof text,
                "      \"%s\": {\n"
                "        \"targets\": [\"%s\"],\n"
                "        \"format\": \"pack-quantized\",\n"
                "        \"input_activations\": null,\n"
                "        \"output_activations\": null,\n"
                "        \"weights\": {\"num_bits\": %d, \"type\": \"int\", \"symmetric\": true, "
                "\"strategy\": \"group\", \"group_size\": %u,\n"
                "                    \"dynamic\": false, \"actorder\": null}\n"
                "      }",
                name, target, bits, PLIM_GROUP);
    return put_text(w, text, err);
}

/* Modules that Transformers makes Linear layers of and that are not quantised. */
static plim_status put_ignored(const plim_conversion *c, plim_file_writer *w, plim_error *err)
{
    const plim_skeleton *k = c->job->skeleton;
    plim_status status = c->head_alone ? PLIM_OK : put_text(w, "\"lm_head\"", err);
    bool any = !c->head_alone;
    for (uint32_t i = 0; !status && i < c->count; i++) {
        const plim_convert_entry *e = &c->entries[i];
        uint32_t slot = c->slot_of[e->stored];
        if (slot == PLIM_NO_SLOT || plim_dtypes[e->dtype].group ||
            k->slots[slot].role <= PLIM_ROLE_LAST_GLOBAL || k->slots[slot].shape.rank != 2)
            continue;
        char line[300];
        const char *name = k->slots[slot].name; /* of ours: no character to escape */
        plim_format(line, sizeof line, "%s\"%.*s\"", any ? ", " : "", (int)strlen(name) - 7, name);
        any = true;
        status = put_text(w, line, err);
    }
    return status;
}

static plim_status put_quantization(const plim_conversion *c, plim_file_writer *w, plim_error *err)
{
    plim_status status = put_text(w,
                                  "{\n"
                                  "    \"quant_method\": \"compressed-tensors\",\n"
                                  "    \"format\": \"pack-quantized\",\n"
                                  "    \"quantization_status\": \"compressed\",\n"
                                  "    \"global_compression_ratio\": null,\n"
                                  "    \"kv_cache_scheme\": null,\n"
                                  "    \"ignore\": [",
                                  err);
    if (!status)
        status = put_ignored(c, w, err);
    if (!status)
        status = put_text(w, "],\n    \"config_groups\": {\n", err);
    /* A module takes the scheme of the first group that it matches, and a target that matches none
     * is a warning: so the layers' own names beside a head of other bits. */
    bool two = c->job->dtype == PLIM_Q4 && c->head_alone;
    if (!status)
        status = put_group(w, "group_0", two ? "re:.*_proj$" : "Linear",
                           c->job->dtype == PLIM_Q4 ? 4 : 8, err);
    if (!status && two && !(status = put_text(w, ",\n", err)))
        status = put_group(w, "group_1", "lm_head", 8, err);
    return status ? status : put_text(w, "\n    }\n  }", err);
}

/* The edits, in the order of the text: values that are there, else at the first member. */
static size_t list_edits(const plim_conversion *c, const plim_config *config, const char *text,
                         const char *type, const char *weights, edit edits[MAX_EDITS])
{
    size_t n = 0;
    if (find_value(config, text, "dtype", &edits[n]))
        edits[n++].text = type;
    if (find_value(config, text, "torch_dtype", &edits[n]))
        edits[n++].text = type;
    if (find_value(config, text, "transformers_weights", &edits[n]))
        edits[n++].text = weights;
    if (c->slot_of && find_value(config, text, "quantization_config", &edits[n]))
        edits[n++].text = NULL;
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && edits[j].at < edits[j - 1].at; j--) {
            edit swap = edits[j];
            edits[j] = edits[j - 1];
            edits[j - 1] = swap;
        }
    return n;
}

/* Members that are not there yet, behind the opening brace. */
static plim_status put_new(const plim_conversion *c, const plim_config *config, const char *text,
                           const char *type, plim_file_writer *w, plim_error *err)
{
    edit found;
    plim_status status = PLIM_OK;
    bool typed = find_value(config, text, "dtype", &found) ||
                 find_value(config, text, "torch_dtype", &found);
    bool quantised = !c->slot_of || find_value(config, text, "quantization_config", &found);
    bool more = config->count > 1; /* than the object itself */
    if (!typed && !(status = put_text(w, "\n  \"torch_dtype\": ", err)) &&
        !(status = put_text(w, type, err)) && (more || !quantised))
        status = put_text(w, ",", err);
    if (!status && !quantised && !(status = put_text(w, "\n  \"quantization_config\": ", err)) &&
        !(status = put_quantization(c, w, err)) && more)
        status = put_text(w, ",", err);
    return status;
}

static plim_status write_config(const plim_conversion *c, const plim_config *config,
                                const char *text, size_t bytes, plim_file_writer *w,
                                plim_error *err)
{
    edit edits[MAX_EDITS];
    char type[40], weights[80];
    /* Scales are f16: Transformers holds them in the config's type, and computes in it.  In float32
     * nothing is rounded. */
    plim_format(type, sizeof type, "\"%s\"",
                plim_dtype_torch_name(c->slot_of ? PLIM_F32 : c->job->dtype));
    plim_format(weights, sizeof weights, "\"%s\"", plim_convert_weights_name(c));
    size_t n = list_edits(c, config, text, type, weights, edits);
    size_t at = strcspn(text, "{") + 1;
    plim_status status = plim_writer_write(w, text, at, err);
    if (!status)
        status = put_new(c, config, text, type, w, err);
    for (size_t i = 0; !status && i < n; i++) {
        if (!(status = plim_writer_write(w, text + at, edits[i].at - at, err)))
            status = edits[i].text ? put_text(w, edits[i].text, err) : put_quantization(c, w, err);
        at = edits[i].at + edits[i].length;
    }
    return status ? status : plim_writer_write(w, text + at, bytes - at, err);
}

plim_status plim_convert_config(const plim_conversion *c, const plim_folder_place *folder,
                                plim_error *err)
{
    plim_file_writer w;
    const plim_convert_source *source = c->job->config;
    if (!source)
        return PLIM_OK;
    plim_status status = plim_convert_begin(&w, folder, "config.json", err);
    if (status)
        return status;
    status = write_config(c, &source->config, source->text, source->bytes, &w, err);
    if (!status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return status;
}
