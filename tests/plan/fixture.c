/* SPDX-License-Identifier: Apache-2.0
 *
 * Models made by hand for tests of the plan.  See fixture.h. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "temp.h"

#define LLAMA(vocab, hidden, layers, heads, kv, inner, tied)                                       \
    "{\"model_type\": \"llama\", \"vocab_size\": " #vocab ", \"hidden_size\": " #hidden            \
    ", \"num_hidden_layers\": " #layers ", \"num_attention_heads\": " #heads                       \
    ", \"num_key_value_heads\": " #kv ", \"intermediate_size\": " #inner                           \
    ", \"max_position_embeddings\": 131072, \"torch_dtype\": \"bfloat16\", "                       \
    "\"tie_word_embeddings\": " #tied "}"

const char *const config_gpt2_medium = PLIM_SOURCE_DIR "/examples/configs/gpt2-medium.json";
const char *const config_llama_1b = LLAMA(128256, 2048, 16, 32, 8, 8192, true);
const char *const config_llama_8b = LLAMA(128256, 4096, 32, 32, 8, 14336, false);
const char *const config_llama_8b_tied = LLAMA(128256, 4096, 32, 32, 8, 14336, true);
const char *const config_llama_70b = LLAMA(128256, 8192, 80, 64, 8, 28672, false);

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void *zeroed(size_t count, size_t size)
{
    void *out = calloc(count ? count : 1, size);
    must(out != NULL, "no memory");
    return out;
}

static void add_facts(made *m)
{
    m->file_facts = zeroed(m->set.file_count, sizeof *m->file_facts);
    for (size_t i = 0; i < m->set.file_count; i++)
        m->file_facts[i].direct = true;
    m->facts = (plim_facts){.page_bytes = 4096,
                            .threads = 2,
                            .baseline = 6 * MIB,
                            .rss = 7 * MIB,
                            .peak = 8 * MIB,
                            .files = m->file_facts,
                            .file_count = m->set.file_count};
    m->held = (plim_held){.anonymous = 50000};
    m->held.category[PLIM_MEM_METADATA] = 50000;
    m->options = (plim_plan_options){.low_cpu_mem_usage = true, .sessions = 1};
}

static void open_skeleton(made *m, const char *config)
{
    plim_error err;
    temp_folder folder = temp_open();
    if (config && config[0] == '{')
        config = temp_text(&folder, "config.json", config);
    plim_status status = plim_skeleton_open(&m->skeleton, plim_alloc_system(), config, &err);
    must(!status, status ? err.message : "");
    temp_close(&folder);
}

/* The scales of a packed matrix, at *at of a file. */
static void add_scales(made *m, const plim_slot *slot, const lying *how, uint32_t file,
                       uint64_t *at)
{
    plim_stored t = {.name = slot->name,
                     .dtype = how->scales,
                     .shape = slot->shape,
                     .file = file,
                     .offset = *at};
    t.shape.dim[1] /= PLIM_GROUP;
    must(plim_shape_bytes(&t.shape, t.dtype, &t.bytes), "too large");
    *at += t.bytes + how->gap;
    m->set.tensors[m->set.tensor_count++] = t;
}

made *make_model(const char *config, const lying *how)
{
    made *m = zeroed(1, sizeof *m);
    open_skeleton(m, config);
    plim_skeleton *k = m->skeleton;
    m->set.tensors = zeroed(2 * (size_t)k->slot_count, sizeof *m->set.tensors);
    m->set.files = zeroed(k->slot_count, sizeof *m->set.files);
    uint64_t at = 64 + how->shift;
    uint32_t file = 0;
    for (uint32_t n = 0; n < k->slot_count; n++) {
        uint32_t i = how->backwards ? k->slot_count - 1 - n : n;
        plim_slot *slot = &k->slots[i];
        if (slot->tied_to != PLIM_NO_SLOT)
            continue;
        plim_dtype dtype = how->dtypes ? how->dtypes[n % how->dtype_count] : how->dtype;
        plim_stored t = {.name = slot->name, .dtype = dtype, .shape = slot->shape, .file = file};
        if (how->packed && slot->role > PLIM_ROLE_LAST_GLOBAL && slot->shape.rank == 2) {
            t.dtype = PLIM_I32;
            t.shape.dim[1] /= how->packed == PLIM_Q4 ? 8 : 4;
            slot->packed = how->packed;
            slot->scales = (uint32_t)m->set.tensor_count;
            add_scales(m, slot, how, file, &at);
        }
        must(plim_shape_bytes(&t.shape, t.dtype, &t.bytes), "too large");
        t.offset = at;
        at += t.bytes + how->gap;
        slot->stored = (uint32_t)m->set.tensor_count;
        m->set.tensors[m->set.tensor_count++] = t;
        if (how->shard_bytes && at >= how->shard_bytes) {
            file++;
            at = 64 + how->shift;
        }
    }
    m->set.file_count = file + 1;
    for (uint32_t i = 0; i <= file; i++)
        m->set.files[i] = (plim_stored_file){.path = "x.safetensors", .first_float = how->dtype};
    add_facts(m);
    return m;
}

made *make_weights(const uint64_t *bytes, const uint64_t *offsets, size_t count, plim_dtype dtype)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    made *m = zeroed(1, sizeof *m);
    plim_error err;
    open_skeleton(m, NULL);
    m->set.tensors = zeroed(count, sizeof *m->set.tensors);
    m->set.files = zeroed(1, sizeof *m->set.files);
    m->set.files[0] = (plim_stored_file){.path = "x.safetensors"};
    m->set.file_count = 1;
    m->set.tensor_count = count;
    must(count <= sizeof names / sizeof *names, "too many");
    for (size_t i = 0; i < count; i++)
        m->set.tensors[i] = (plim_stored){
            .name = names[i],
            .dtype = dtype,
            .shape = {1, {bytes[i] * 8 / plim_dtypes[dtype].bits}},
            .offset = offsets[i],
            .bytes = bytes[i],
        };
    must(!plim_skeleton_match(m->skeleton, &m->set, NULL, &err), "no match");
    add_facts(m);
    return m;
}

void free_model(made *m)
{
    plim_skeleton_close(&m->skeleton);
    free(m->set.tensors);
    free(m->set.files);
    free(m->file_facts);
    free(m);
}

plim_load_plan *plan_of(made *m)
{
    plim_load_plan *plan;
    plim_error err;
    plim_status status = plim_load_plan_open(&plan, plim_alloc_system(), m->skeleton, &m->set,
                                             &m->options, &m->facts, &m->held, &err);
    must(!status, status ? err.message : "");
    return plan;
}

plim_load_plan *plan_under(made *m, uint64_t limit)
{
    m->facts.memory_limit = limit;
    return plan_of(m);
}

static bool fits_under(made *m, uint64_t limit)
{
    plim_load_plan *plan;
    plim_error err;
    plim_facts facts = m->facts;
    facts.memory_limit = limit;
    must(!plim_plan_make(&plan, plim_alloc_system(), m->skeleton, &m->set, &m->options, &facts,
                         &m->held, true, &err),
         "no plan");
    bool fits = plan->fits;
    plim_load_plan_close(&plan);
    return fits;
}

uint64_t least_line(made *m, uint64_t low, uint64_t high)
{
    must(fits_under(m, high), "does not fit at all");
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fits_under(m, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}
