/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser of chat templates: any bytes give a tree or an error that names file and line, the
 * same one twice, and nothing stays allocated.  Input: a template. */
#include "chat/templates.h"
#include "fuzz.h"

static plim_status parse(const plim_alloc *alloc, const uint8_t *data, size_t size, size_t *names,
                         plim_error *err)
{
    plim_templates *t = plim_new(alloc, 1, sizeof *t, err);
    must(t);
    t->alloc = alloc;
    plim_arena_init(&t->arena, alloc);
    must(!plim_names_init(&t->names, &t->arena, err));
    plim_status status = plim_templates_add(t, "default", "fuzz", (const char *)data, size, err);
    *names = t->names.count;
    must((status == PLIM_OK) == (plim_templates_name(t, 0) != NULL));
    plim_templates_close(&t);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_alloc a;
    plim_error once = {0}, twice = {0};
    size_t names, again;
    fuzz_alloc_init(&a);
    plim_status status = parse(&a.alloc, data, size, &names, &once);
    must(parse(&a.alloc, data, size, &again, &twice) == status && names == again);
    if (status) {
        must_be_error(status, &once);
        must(!strcmp(once.message, twice.message));
        must(status == PLIM_E_FORMAT || status == PLIM_E_LIMIT || status == PLIM_E_UNSUP);
        must(strstr(once.message, "fuzz"));
    }
    must(a.live == 0);
    return 0;
}
