/* SPDX-License-Identifier: Apache-2.0
 *
 * Skeleton meets checkpoint: which stored tensor fills which slot, and the report of what is
 * missing, unexpected or of another shape, with indices collapsed as Transformers' own report does
 * ("layers.{0, 1}.mlp"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "model/skeleton.h"

/* Stored under its full name, or without / with the base-model prefix. */
static const plim_stored *find_stored(const plim_stored_set *set, const plim_family *family,
                                      const char *name)
{
    const plim_stored *found = plim_stored_find(set, name);
    size_t prefix = strlen(family->base_prefix);
    if (found)
        return found;
    if (!strncmp(name, family->base_prefix, prefix))
        return plim_stored_find(set, name + prefix);
    char longer[256];
    if ((size_t)snprintf(longer, sizeof longer, "%s%s", family->base_prefix, name) >= sizeof longer)
        return NULL;
    return plim_stored_find(set, longer);
}

/* ---- collapsing: names that are alike but for numbers between dots become one line ---- */

#define MANY_INDICES 10
#define MOST_STARS   8      /* what follows the eighth index of a name stays as it is */
#define STAR         '\xff' /* in a pattern, for an index: no byte of UTF-8 */
#define INDEX_BYTES  22     /* of one index with what surrounds it */

/* The next integer between dots (or at the end), from p on; NULL when there is none. */
static const char *next_index(const char *name, const char *p, size_t *digits)
{
    for (; *p; p++) {
        *digits = strspn(p, "0123456789");
        if (*digits && p != name && p[-1] == '.' && (p[*digits] == '.' || !p[*digits]))
            return p;
        p += *digits ? *digits - 1 : 0;
    }
    return NULL;
}

typedef struct collapsing {
    const char *name;
    const char *pattern; /* the name with STAR for each index */
} collapsing;

static char *pattern_of(plim_arena *arena, const char *name, plim_error *err)
{
    char *pattern = plim_arena_text(arena, name, strlen(name), err);
    size_t digits, used = 0, stars = 0;
    const char *from = name, *at = name;
    if (!pattern)
        return NULL;
    while (stars++ < MOST_STARS && (at = next_index(name, at, &digits))) {
        memcpy(pattern + used, from, (size_t)(at - from));
        used += (size_t)(at - from);
        pattern[used++] = STAR;
        from = at += digits;
    }
    strcpy(pattern + used, from); /* never longer than the name */
    return pattern;
}

static int by_pattern(const void *a, const void *b)
{
    const collapsing *x = a, *y = b;
    int order = strcmp(x->pattern, y->pattern);
    return order ? order : strcmp(x->name, y->name);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The different values of index number `star` of names[n], sorted; returns how many. */
static size_t index_values(const collapsing *names, size_t n, size_t star, uint64_t *values)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t digits = 0;
        const char *at = names[i].name;
        for (size_t s = 0; at && s <= star; s++)
            if ((at = next_index(names[i].name, at + digits, &digits)) && s == star)
                values[i] = strtoull(at, NULL, 10);
    }
    plim_sort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < n; i++)
        if (!i || values[i] != values[i - 1])
            values[count++] = values[i];
    return count;
}

/* "3", "{0, 2}" or, beyond ten of them, "{0...31}"; returns the length. */
static size_t write_indices(char *out, size_t cap, const uint64_t *values, size_t count)
{
    size_t used =
        (size_t)snprintf(out, cap, "%s%llu", count > 1 ? "{" : "", (unsigned long long)values[0]);
    if (count > MANY_INDICES)
        used += (size_t)snprintf(out + used, cap - used, "...%llu",
                                 (unsigned long long)values[count - 1]);
    for (size_t i = 1; i < count && count <= MANY_INDICES; i++)
        used += (size_t)snprintf(out + used, cap - used, ", %llu", (unsigned long long)values[i]);
    if (count > 1)
        used += (size_t)snprintf(out + used, cap - used, "}");
    return used;
}

/* One line for names[n] of one pattern, in the arena; NULL without memory. */
static const char *collapse_group(plim_arena *arena, const collapsing *names, size_t n,
                                  uint64_t *values, plim_error *err)
{
    const size_t cap = MANY_INDICES * INDEX_BYTES + 3;
    const char *pattern = names[0].pattern;
    if (n == 1)
        return names[0].name;
    char *line = plim_new(arena->alloc, strlen(pattern) + MOST_STARS * cap, 1, err);
    if (!line)
        return NULL;
    size_t used = 0, star = 0;
    for (const char *p = pattern; *p; p++)
        if (*p == STAR) {
            size_t count = index_values(names, n, star++, values);
            used += write_indices(line + used, cap, values, count);
        } else
            line[used++] = *p;
    const char *kept = plim_arena_text(arena, line, used, err);
    plim_delete(arena->alloc, line);
    return kept;
}

/* names[count] → lines[*line_count], in the arena. */
static plim_status collapse(plim_arena *arena, const char *const *names, size_t count,
                            const char ***lines, size_t *line_count, plim_error *err)
{
    collapsing *keys = plim_new(arena->alloc, count, sizeof *keys, err);
    uint64_t *values = plim_new(arena->alloc, count, sizeof *values, err);
    *lines = plim_arena_new(arena, count, sizeof **lines, err);
    *line_count = 0;
    bool ok = keys && values && *lines;
    for (size_t i = 0; ok && i < count; i++) {
        keys[i] = (collapsing){names[i], pattern_of(arena, names[i], err)};
        ok = keys[i].pattern != NULL;
    }
    if (ok)
        plim_sort(keys, count, sizeof *keys, by_pattern);
    for (size_t i = 0, n; ok && i < count; i += n) {
        for (n = 1; i + n < count && !strcmp(keys[i].pattern, keys[i + n].pattern); n++)
            ;
        (*lines)[*line_count] = collapse_group(arena, keys + i, n, values, err);
        ok = (*lines)[(*line_count)++] != NULL;
    }
    plim_delete(arena->alloc, keys);
    plim_delete(arena->alloc, values);
    return ok ? PLIM_OK : PLIM_E_NOMEM;
}

/* ---- matching ---- */

/* A slot for each stored tensor: what info, plan and load of an unknown model_type work on. */
static plim_status take_all(plim_skeleton *k, const plim_stored_set *set, plim_error *err)
{
    k->slots = plim_arena_new(&k->arena, set->tensor_count, sizeof *k->slots, err);
    if (!k->slots)
        return err->code;
    k->slot_count = (uint32_t)set->tensor_count;
    for (uint32_t i = 0; i < k->slot_count; i++)
        k->slots[i] = (plim_slot){.name = set->tensors[i].name,
                                  .role = PLIM_ROLE_COUNT,
                                  .shape = set->tensors[i].shape,
                                  .tied_to = PLIM_NO_SLOT,
                                  .stored = i,
                                  .scales = PLIM_NO_STORED};
    return PLIM_OK;
}

static plim_status check_shape(const plim_slot *slot, const plim_stored *found,
                               const plim_stored_set *set, plim_error *err)
{
    char want[120], have[120];
    if (plim_shape_equal(&slot->shape, &found->shape))
        return PLIM_OK;
    return plim_fail_at(
        err, PLIM_E_MISMATCH,
        (plim_where){set->files[found->file].path, found->name, (int64_t)found->offset},
        "shape is %s, but config.json asks for %s",
        plim_shape_text(&found->shape, have, sizeof have),
        plim_shape_text(&slot->shape, want, sizeof want));
}

/* ---- matrices stored as groups ---- */

/* What stands beside a name: NAME_packed and the like. */
static const plim_stored *find_part(const plim_stored_set *set, const plim_family *family,
                                    const char *name, const char *part)
{
    char whole[200];
    int bytes = snprintf(whole, sizeof whole, "%s%s", name, part);
    return (size_t)bytes < sizeof whole ? find_stored(set, family, whole) : NULL;
}

static plim_status refuse_packed(const plim_stored_set *set, const plim_stored *t, plim_error *err,
                                 const char *why)
{
    return plim_fail_at(
        err, PLIM_E_UNSUP, (plim_where){set->files[t->file].path, t->name, (int64_t)t->offset},
        "%s; of quantised weights compressed-tensors' pack-quantized are supported: "
        "symmetric, 4 or 8 bits, groups of 32",
        why);
}

/* Whether quantization_config knows of quants of so many bits.  Which modules of several groups
 * have which is not asked: its patterns are for that, the shape is enough. */
static plim_status check_bits(const plim_skeleton *k, const plim_slot *slot,
                              const plim_stored_set *set, const plim_stored *quants,
                              plim_error *err)
{
    const plim_quantization *q = &k->quantization;
    bool is_four = slot->packed == PLIM_Q4;
    if (!(q->four || q->eight) || (is_four ? q->four : q->eight))
        return PLIM_OK;
    return plim_fail_at(
        err, PLIM_E_MISMATCH,
        (plim_where){set->files[quants->file].path, quants->name, (int64_t)quants->offset},
        "the quants have %d bits by their shape, but quantization_config says num_bits %d",
        is_four ? 4 : 8, is_four ? 8 : 4);
}

/* Whether quants and scales are of groups of 32 that make up the slot's matrix; `packed` of the
 * slot is set. */
static plim_status check_packed(const plim_skeleton *k, plim_slot *slot, const plim_stored_set *set,
                                const plim_stored *quants, const plim_stored *scales,
                                plim_error *err)
{
    uint64_t rows = slot->shape.dim[0], cols = slot->shape.dim[1];
    const uint64_t *q = quants->shape.dim, *s = scales->shape.dim;
    char have[120], want[120];
    bool table = slot->role == PLIM_ROLE_EMBED || slot->role == PLIM_ROLE_POSITION ||
                 slot->role == PLIM_ROLE_HEAD;
    if (slot->shape.rank != 2 || (!table && k->spec.layout == PLIM_IN_OUT))
        return refuse_packed(set, quants, err,
                             "this family's weights of [in, out] can't be packed");
    if (quants->shape.rank != 2 || scales->shape.rank != 2 || q[0] != rows || s[0] != rows)
        return plim_fail_at(
            err, PLIM_E_MISMATCH,
            (plim_where){set->files[quants->file].path, quants->name, (int64_t)quants->offset},
            "shape is %s, but config.json asks for the quants of %s",
            plim_shape_text(&quants->shape, have, sizeof have),
            plim_shape_text(&slot->shape, want, sizeof want));
    if (quants->dtype != PLIM_I32)
        return refuse_packed(set, quants, err, "the packed type is not I32");
    if (cols % PLIM_GROUP || s[1] != cols / PLIM_GROUP)
        return refuse_packed(set, scales, err, "the scales are not of groups of 32");
    if (scales->dtype != PLIM_F16 && scales->dtype != PLIM_BF16 && scales->dtype != PLIM_F32)
        return refuse_packed(set, scales, err, "the type of the scales is none of F16, BF16, F32");
    slot->packed = q[1] == cols / 8 ? PLIM_Q4 : q[1] == cols / 4 ? PLIM_Q8 : PLIM_AUTO;
    if (slot->packed == PLIM_AUTO)
        return refuse_packed(set, quants, err, "the quants have neither 4 nor 8 bits");
    return check_bits(k, slot, set, quants, err);
}

/* A slot whose weight is stored as compressed-tensors packs it.  The two numbers in NAME_shape are
 * not looked at: config.json and the shapes of both parts agree already. */
static plim_status take_packed(const plim_skeleton *k, plim_slot *slot, const plim_stored_set *set,
                               uint8_t *used, plim_error *err)
{
    static const char *const refused[][2] = {
        {"_zero_point", "weights with zero points are not symmetric"},
        {"_g_idx", "groups in an order of their own (g_idx) are not supported"}};
    const plim_stored *quants = find_part(set, k->family, slot->name, "_packed"),
                      *scales = find_part(set, k->family, slot->name, "_scale"),
                      *shape = find_part(set, k->family, slot->name, "_shape");
    if (!quants || !scales) /* is missing, or is reported as unexpected */
        return PLIM_OK;
    for (size_t i = 0; i < 2; i++)
        if (find_part(set, k->family, slot->name, refused[i][0]))
            return refuse_packed(set, quants, err, refused[i][1]);
    plim_status status = check_packed(k, slot, set, quants, scales, err);
    if (status)
        return status;
    slot->stored = (uint32_t)(quants - set->tensors);
    slot->scales = (uint32_t)(scales - set->tensors);
    used[slot->stored] = used[slot->scales] = 1;
    if (shape)
        used[shape - set->tensors] = 1;
    return PLIM_OK;
}

static plim_status check_quantization(const plim_skeleton *k, const plim_stored_set *set,
                                      plim_error *err)
{
    if (!k->quantization.refusal[0])
        return PLIM_OK;
    return plim_fail_at(err, PLIM_E_UNSUP, (plim_where){set->directory, NULL, -1},
                        "the weights are quantised in a way that is not supported: %s; of "
                        "quantised weights compressed-tensors' pack-quantized are: symmetric, 4 or "
                        "8 bits, groups of 32",
                        k->quantization.refusal);
}

/* A tied pair: whichever is stored is the source; both stored stay two. */
static void settle_ties(plim_skeleton *k)
{
    if (!k->family)
        return;
    uint32_t head = plim_skeleton_slot(k, 0, PLIM_ROLE_HEAD),
             embed = plim_skeleton_slot(k, 0, PLIM_ROLE_EMBED);
    plim_slot *h = &k->slots[head], *e = &k->slots[embed];
    if (h->tied_to == PLIM_NO_SLOT)
        return;
    if (h->stored != PLIM_NO_STORED)
        h->tied_to = PLIM_NO_SLOT;
    if (e->stored == PLIM_NO_STORED && h->stored != PLIM_NO_STORED)
        e->tied_to = head;
}

/* What a slot lacks: its weight or, where that is packed, the part that is not there.  NULL without
 * memory. */
static const char *missing_name(plim_skeleton *k, const plim_slot *slot, const plim_stored_set *set,
                                plim_error *err)
{
    const char *part = find_part(set, k->family, slot->name, "_packed")  ? "_scale"
                       : find_part(set, k->family, slot->name, "_scale") ? "_packed"
                                                                         : NULL;
    char name[200];
    if (!part)
        return slot->name;
    snprintf(name, sizeof name, "%s%s", slot->name, part);
    return plim_arena_text(&k->arena, name, strlen(name), err);
}

static plim_status report_missing(plim_skeleton *k, const plim_stored_set *set, plim_error *err)
{
    const char **names = plim_arena_new(&k->arena, k->slot_count, sizeof *names, err), **lines;
    size_t count = 0, line_count;
    if (!names)
        return err->code;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (k->slots[i].stored == PLIM_NO_STORED && k->slots[i].tied_to == PLIM_NO_SLOT)
            if (!(names[count++] = missing_name(k, &k->slots[i], set, err)))
                return err->code;
    if (!count)
        return PLIM_OK;
    if (collapse(&k->arena, names, count, &lines, &line_count, err))
        return err->code;
    char list[700];
    size_t used = 0;
    for (size_t i = 0; i < line_count && used + 1 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", lines[i]);
    return plim_fail_at(err, PLIM_E_MISMATCH, (plim_where){set->directory, lines[0], -1},
                        "%zu tensors are missing that config.json asks for: %s%s", count, list,
                        used >= sizeof list ? "..." : "");
}

static bool is_ignored(const plim_family *family, const char *name)
{
    for (size_t i = 0; i < 4 && family->ignored[i]; i++)
        if (strstr(name, family->ignored[i]))
            return true;
    return false;
}

static plim_status report_unexpected(plim_skeleton *k, const plim_stored_set *set,
                                     const uint8_t *used, const plim_log *log, plim_error *err)
{
    const char **names = plim_new(k->alloc, set->tensor_count, sizeof *names, err);
    size_t count = 0;
    if (!names)
        return err->code;
    for (size_t i = 0; i < set->tensor_count; i++)
        if (!used[i] && !is_ignored(k->family, set->tensors[i].name))
            names[count++] = set->tensors[i].name;
    plim_status status = PLIM_OK;
    if (count && collapse(&k->arena, names, count, &k->unexpected, &k->unexpected_count, err))
        status = err->code;
    for (size_t i = 0; !status && i < k->unexpected_count; i++)
        plim_log_line(log, PLIM_LOG_WARN, "%s: unexpected tensor, not used: %s", set->directory,
                      k->unexpected[i]);
    plim_delete(k->alloc, names);
    return status;
}

plim_status plim_skeleton_match(plim_skeleton *k, const plim_stored_set *set, const plim_log *log,
                                plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    if (!k->family)
        return take_all(k, set, err);
    plim_status status = check_quantization(k, set, err);
    uint8_t *used = status ? NULL : plim_new(k->alloc, set->tensor_count, 1, err);
    if (!used)
        return err->code;
    for (uint32_t i = 0; !status && i < k->slot_count; i++) {
        plim_slot *slot = &k->slots[i];
        const plim_stored *found = find_stored(set, k->family, slot->name);
        if (!found) {
            status = take_packed(k, slot, set, used, err);
            continue;
        }
        status = check_shape(slot, found, set, err);
        slot->stored = (uint32_t)(found - set->tensors);
        used[slot->stored] = 1;
    }
    if (!status) {
        settle_ties(k);
        status = report_missing(k, set, err);
    }
    if (!status)
        status = report_unexpected(k, set, used, log, err);
    plim_delete(k->alloc, used);
    return status;
}
