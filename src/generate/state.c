/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a sequence and of a pass. */
#include "generate/forward.h"

static plim_status too_large(plim_error *err)
{
    return plim_fail(err, PLIM_E_LIMIT,
                     "the session is larger than any memory; choose a smaller context");
}

plim_status plim_state_open(plim_state *out, plim_ledger *ledger, const plim_spec *spec,
                            const plim_session_size *size, const atomic_bool *cancel,
                            plim_error *err)
{
    uint64_t bytes;
    *out = (plim_state){.size = *size};
    if (!plim_kv_bytes(spec, size, &bytes) || bytes > INT64_MAX)
        return too_large(err);
    plim_status status = plim_region_open(&out->kv, ledger, PLIM_MEM_KV, bytes, false, err);
    if (!status && (status = plim_region_commit(&out->kv, cancel, err)))
        plim_region_close(&out->kv, ledger);
    return status;
}

void plim_state_close(plim_state *state, plim_ledger *ledger)
{
    plim_region_close(&state->kv, ledger);
    *state = (plim_state){0};
}

plim_status plim_scratch_open(plim_scratch *out, plim_ledger *ledger, const plim_spec *spec,
                              const plim_session_size *size, plim_error *err)
{
    *out = (plim_scratch){0};
    if (!plim_scratch_plan(spec, size, &out->layout) ||
        out->layout.total > INT64_MAX / sizeof(float))
        return too_large(err);
    return plim_region_open(&out->region, ledger, PLIM_MEM_ACTIVATIONS,
                            out->layout.total * sizeof(float), true, err);
}

void plim_scratch_close(plim_scratch *scratch, plim_ledger *ledger)
{
    plim_region_close(&scratch->region, ledger);
    *scratch = (plim_scratch){0};
}
