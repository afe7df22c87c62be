/* SPDX-License-Identifier: Apache-2.0
 *
 * Converting: the files that are copied beside the weights. */
#include <string.h>

#include "base/text.h"
#include "load/convert_internal.h"

/* What is larger only has the name of a tokenizer or a licence. */
#define COMPANION_BYTES (UINT64_C(256) << 20)

/* What belongs to a model beside its weights and its config. */
static bool is_companion(const char *name)
{
    static const char *const names[] = {"generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "vocab.txt",
                                        "merges.txt",
                                        "chat_template.json",
                                        "chat_template.jinja",
                                        "processor_config.json",
                                        "preprocessor_config.json"};
    static const char *const texts[] = {"LICENSE", "LICENCE", "README", "NOTICE", "USE_POLICY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(name, names[i]))
            return true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (plim_begins_with(name, texts[i]))
            return true;
    return plim_ends_with(name, ".jinja") || plim_ends_with(name, ".model") ||
           plim_ends_with(name, ".tiktoken");
}

typedef struct copier {
    plim_conversion *c;
    const char *from;
    const plim_folder_writer *folder;
    bool templates;          /* of additional_chat_templates */
    plim_folder_place below; /* theirs, made when the first is found */
} copier;

static plim_status copy_bytes(plim_conversion *c, const char *path, const plim_file *file,
                              plim_file_writer *w, plim_error *err)
{
    plim_status status = PLIM_OK;
    size_t got = 1;
    for (uint64_t at = 0; !status && got; at += got) {
        status = plim_file_read_some(file, path, c->source, PLIM_CONVERT_PIECE, at, &got, err);
        if (!status && got)
            status = plim_writer_write(w, c->source, got, err);
        if (!status)
            status = plim_convert_report(c, false, err);
    }
    return status ? status : plim_file_check(file, path, err);
}

static plim_status copy_open(const copier *k, const plim_folder_place *to, const char *name,
                             const char *path, const plim_file *file, plim_error *err)
{
    plim_file_writer w;
    plim_status status = plim_convert_begin(&w, to, name, err);
    if (status)
        return status;
    status = copy_bytes(k->c, path, file, &w, err);
    if (!status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return status;
}

static plim_status copy_file(void *user, const char *name, plim_error *err)
{
    copier *k = user;
    char path[4096];
    plim_file file;
    if (k->templates ? !plim_ends_with(name, ".jinja") : !is_companion(name))
        return PLIM_OK;
    plim_status status = plim_path_join(path, sizeof path, k->from, name, err);
    if (!status)
        status = plim_file_open(&file, path, err);
    if (status)
        return status;
    if (file.identity.bytes <= COMPANION_BYTES) {
        if (k->templates && k->below.fd < 0)
            status = plim_folder_writer_add(k->folder, "additional_chat_templates", &k->below, err);
        if (!status)
            status =
                copy_open(k, k->templates ? &k->below : &k->folder->place, name, path, &file, err);
    }
    plim_file_close(&file);
    return status;
}

plim_status plim_convert_copies(plim_conversion *c, const plim_folder_writer *folder,
                                plim_error *err)
{
    char templates[4096];
    copier k = {.c = c, .from = c->job->stored->directory, .folder = folder, .below.fd = -1};
    plim_status status = plim_folder_each(k.from, copy_file, &k, err);
    if (!status)
        status =
            plim_path_join(templates, sizeof templates, k.from, "additional_chat_templates", err);
    if (status)
        return status;
    k.from = templates;
    k.templates = true;
    status = plim_folder_each(templates, copy_file, &k, err);
    plim_folder_place_close(&k.below);
    return status;
}
