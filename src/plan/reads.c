/* SPDX-License-Identifier: Apache-2.0
 *
 * The reads that fill a plan's memory, in file order. */
#include "base/sort.h"
#include "plan/plan.h"

static uint64_t pieces(uint64_t bytes, uint64_t piece)
{
    return bytes / piece + (bytes % piece != 0);
}

static int in_file_order(const void *a, const void *b)
{
    const plim_read *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->placement < y->placement ? -1 : x->placement > y->placement;
}

static size_t cut(plim_read *out, plim_read whole, uint64_t piece)
{
    size_t n = 0;
    for (uint64_t done = 0; done < whole.bytes; done += piece) {
        out[n] = whole;
        out[n].offset += done;
        out[n].bytes = whole.bytes - done < piece ? whole.bytes - done : piece;
        n++;
    }
    return n;
}

plim_status plim_plan_reads(plim_load_plan *plan, const plim_stored_set *set, plim_error *err)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < plan->run_count; i++)
        if (plan->runs[i].form == PLIM_FORM_MAPPED)
            count += pieces(plan->runs[i].bytes, PLIM_MAP_PIECE_BYTES);
    for (uint32_t i = 0; i < plan->placement_count; i++)
        if (plan->placements[i].form == PLIM_FORM_OWNED)
            count += pieces(set->tensors[plan->placements[i].stored].bytes, PLIM_PIECE_BYTES);
    plan->reads = plim_arena_new(&plan->arena, count, sizeof *plan->reads, err);
    if (!plan->reads)
        return err->code;
    for (uint32_t i = 0; i < plan->run_count; i++) {
        const plim_run *r = &plan->runs[i];
        plim_read whole = {r->file, i, PLIM_NO_SLOT, r->file_offset, r->bytes};
        if (r->form == PLIM_FORM_MAPPED)
            plan->read_count += cut(plan->reads + plan->read_count, whole, PLIM_MAP_PIECE_BYTES);
    }
    for (uint32_t i = 0; i < plan->placement_count; i++) {
        const plim_placement *p = &plan->placements[i];
        const plim_stored *t = &set->tensors[p->stored];
        plim_read whole = {t->file, p->run, i, t->offset, t->bytes};
        if (p->form == PLIM_FORM_OWNED)
            plan->read_count += cut(plan->reads + plan->read_count, whole, PLIM_PIECE_BYTES);
    }
    plim_sort(plan->reads, plan->read_count, sizeof *plan->reads, in_file_order);
    return PLIM_OK;
}
