/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the modules of a plan are, in words: the hf_device_map of Transformers. */
#include <string.h>

#include "api/handles.h"
#include "base/num.h"
#include "base/sort.h"

/* A module: the beginning of its tensors' names. */
typedef struct module {
    const char *name;
    size_t bytes;
    uint32_t order; /* of its first tensor in the forward pass */
    bool disk;
} module;

/* accelerate places whole layers and, outside of them, the modules that hold tensors:
 * "model.layers.0.mlp.up_proj.weight" is of "model.layers.0", "model.norm.weight" of "model.norm".
 */
static size_t module_bytes(const char *name)
{
    size_t last = strlen(name);
    for (size_t from = 0; name[from];) {
        size_t length = strcspn(name + from, ".");
        if (length && strspn(name + from, "0123456789") == length && name[from + length])
            return from + length; /* a layer, and something in it */
        if (!name[from + length])
            last = from ? from - 1 : length; /* without a dot: the name itself */
        from += length + (name[from + length] != '\0');
    }
    return last;
}

static int by_name(const void *a, const void *b)
{
    const module *m = a, *n = b;
    size_t common = m->bytes < n->bytes ? m->bytes : n->bytes;
    int order = memcmp(m->name, n->name, common);
    if (!order && m->bytes != n->bytes)
        order = m->bytes < n->bytes ? -1 : 1;
    return order ? order : (m->order > n->order) - (m->order < n->order);
}

static int by_order(const void *a, const void *b)
{
    const module *m = a, *n = b;
    return (m->order > n->order) - (m->order < n->order);
}

/* One module per tensor → each module once, in the order of the forward pass.  Returns how many. */
static size_t merge(module *modules, size_t count)
{
    size_t kept = 0;
    plim_sort(modules, count, sizeof *modules, by_name);
    for (size_t i = 0; i < count; i++) {
        module *last = kept ? &modules[kept - 1] : NULL;
        if (last && last->bytes == modules[i].bytes &&
            !memcmp(last->name, modules[i].name, last->bytes))
            last->disk |= modules[i].disk;
        else
            modules[kept++] = modules[i];
    }
    plim_sort(modules, kept, sizeof *modules, by_order);
    return kept;
}

/* Text that is counted while there is no room for it. */
typedef struct text {
    char *out; /* or NULL */
    size_t bytes;
} text;

static void put(text *t, const char *what, size_t bytes)
{
    if (t->out)
        memcpy(t->out + t->bytes, what, bytes);
    t->bytes += bytes;
}

static void put_name(text *t, const char *name, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char escape[8];
        if ((unsigned char)name[i] < 0x20)
            put(t, escape, plim_format(escape, sizeof escape, "\\u%04x", (unsigned)name[i]));
        else {
            if (name[i] == '"' || name[i] == '\\')
                put(t, "\\", 1);
            put(t, name + i, 1);
        }
    }
}

static void put_map(text *t, const module *modules, size_t count)
{
    put(t, "{", 1);
    for (size_t i = 0; i < count; i++) {
        put(t, i ? ", \"" : "\"", i ? 3 : 1);
        put_name(t, modules[i].name, modules[i].bytes);
        const char *place = modules[i].disk ? "\": \"disk\"" : "\": \"cpu\"";
        put(t, place, strlen(place));
    }
    put(t, "}", 1);
}

plim_status plim_device_map_write(char **out, const plim_plan *p, plim_error *err)
{
    const plim_alloc *alloc = plim_context_alloc(p->context);
    const plim_skeleton *k = p->skeleton;
    module everything = {.name = ""}, *modules = NULL;
    size_t count = 1;
    *out = NULL;
    if (p->plan->tile_count || p->plan->ring_row_bytes) {
        modules = plim_new(alloc, k->slot_count, sizeof *modules, err);
        if (!modules)
            return err->code;
        for (uint32_t i = 0; i < k->slot_count; i++) {
            const plim_placement *place = &p->plan->placements[p->plan->placement_of_slot[i]];
            modules[i] = (module){k->slots[i].name, module_bytes(k->slots[i].name), i,
                                  place->form == PLIM_FORM_STREAMED};
        }
        count = merge(modules, k->slot_count);
    }
    text t = {0};
    put_map(&t, modules ? modules : &everything, count);
    t.out = *out = plim_new(alloc, t.bytes + 1, 1, err);
    t.bytes = 0;
    if (*out)
        put_map(&t, modules ? modules : &everything, count);
    plim_delete(alloc, modules);
    return *out ? PLIM_OK : err->code;
}
