/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing synthetic checkpoints.  See synth.h. */
#include "load/synth.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define BLOCK_ELEMENTS   ((size_t)128 << 10)
#define LANES            16
#define PROGRESS_SECONDS 0.1

/* ---- random numbers: 16 xorshift32 generators side by side, which compilers turn into vectors
 * ---- */

typedef struct generator {
    uint32_t lane[LANES];
} generator;

static uint64_t mix(uint64_t *state) /* splitmix64 (Steele et al. 2014) */
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static generator seed_generator(uint64_t seed, const char *name)
{
    generator g;
    uint64_t state = seed ^ 0xcbf29ce484222325u;
    for (; *name; name++)
        state = (state ^ (unsigned char)*name) * 0x100000001b3u; /* FNV-1a */
    for (int i = 0; i < LANES; i++)
        g.lane[i] = (uint32_t)mix(&state) | 1; /* never zero */
    return g;
}

static void fill_uniform(generator *g, float *out, size_t n, float half_width)
{
    const float scale = half_width / 2147483648.0f;
    for (size_t i = 0; i < n; i += LANES) {
        float block[LANES];
        for (int l = 0; l < LANES; l++) {
            uint32_t x = g->lane[l];
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            g->lane[l] = x;
            block[l] = (float)(int32_t)x * scale;
        }
        memcpy(out + i, block, (n - i < LANES ? n - i : LANES) * sizeof *out);
    }
}

/* ---- what goes where ---- */

typedef struct synth {
    const plim_synth_job *job;
    plim_dtype dtype;
    uint32_t *shard_of; /* per slot; UINT32_MAX for tied ones */
    uint32_t shards;
    uint64_t total_bytes, done_bytes;
    double start, last_report;
    float *values; /* [BLOCK_ELEMENTS] */
    char *cast;    /* the same in the type written */
} synth;

static uint64_t slot_bytes(const synth *s, const plim_slot *slot)
{
    uint64_t bytes = 0; /* skeletons of a spec are within its caps */
    plim_shape_bytes(&slot->shape, s->dtype, &bytes);
    return bytes;
}

static void assign_shards(synth *s)
{
    const plim_skeleton *k = s->job->skeleton;
    uint64_t used = 0;
    s->shards = 1;
    for (uint32_t i = 0; i < k->slot_count; i++) {
        uint64_t bytes = slot_bytes(s, &k->slots[i]);
        s->shard_of[i] = UINT32_MAX;
        if (k->slots[i].tied_to != PLIM_NO_SLOT)
            continue;
        if (s->job->max_shard_size && used && used + bytes > s->job->max_shard_size) {
            s->shards++;
            used = 0;
        }
        used += bytes;
        s->total_bytes += bytes;
        s->shard_of[i] = s->shards - 1;
    }
}

static void shard_name(const synth *s, uint32_t shard, char *out, size_t cap)
{
    if (s->shards == 1)
        snprintf(out, cap, "model.safetensors");
    else
        snprintf(out, cap, "model-%05u-of-%05u.safetensors", shard + 1, s->shards);
}

/* ---- writing ---- */

static plim_status report(synth *s, bool last, plim_error *err)
{
    double now = plim_now();
    if (!s->job->progress || (!last && now - s->last_report < PROGRESS_SECONDS))
        return PLIM_OK;
    s->last_report = now;
    plim_progress p = {s->done_bytes, s->total_bytes, now - s->start, -1};
    if (s->done_bytes)
        p.eta_seconds =
            p.seconds * (double)(s->total_bytes - s->done_bytes) / (double)s->done_bytes;
    return s->job->progress(s->job->progress_user, &p)
               ? plim_fail(err, PLIM_E_CANCELLED, "cancelled")
               : PLIM_OK;
}

static plim_status write_slot(synth *s, plim_file_writer *w, const plim_slot *slot, plim_error *err)
{
    generator g = seed_generator(s->job->seed, slot->name);
    bool norm = strstr(slot->name, "norm") || strstr(slot->name, "ln_");
    bool bias = strstr(slot->name, ".bias") != NULL;
    uint64_t count = 0;
    size_t elem = plim_dtypes[s->dtype].bits / 8;
    plim_shape_count(&slot->shape, &count);
    for (size_t i = 0; norm && i < BLOCK_ELEMENTS; i++)
        s->values[i] = bias ? 0.0f : 1.0f;
    for (uint64_t done = 0, n; done < count; done += n) {
        n = count - done < BLOCK_ELEMENTS ? count - done : BLOCK_ELEMENTS;
        if (!norm)
            fill_uniform(&g, s->values, n, 0.02f * 1.7320508f);
        if (s->cast)
            s->job->kernels->cast[s->dtype][PLIM_F32](s->cast, s->values, n);
        plim_status status =
            plim_writer_write(w, s->cast ? s->cast : (char *)s->values, n * elem, err);
        s->done_bytes += n * elem;
        if (status || (status = report(s, false, err)))
            return status;
    }
    return PLIM_OK;
}

/* The JSON header of a shard, padded to 8 with spaces, written in pieces with its length before it.
 */
static plim_status write_header(synth *s, plim_file_writer *w, uint32_t shard, plim_error *err)
{
    const plim_skeleton *k = s->job->skeleton;
    plim_arena arena;
    plim_arena_init(&arena, s->job->alloc);
    size_t cap = 64, used = 0;
    for (uint32_t i = 0; i < k->slot_count; i++)
        if (s->shard_of[i] == shard)
            cap += strlen(k->slots[i].name) + 160;
    char *text = plim_arena_new(&arena, cap, 1, err);
    if (!text)
        return err->code;
    uint64_t offset = 0;
    used += (size_t)snprintf(text, cap, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (uint32_t i = 0; i < k->slot_count; i++) {
        const plim_slot *slot = &k->slots[i];
        if (s->shard_of[i] != shard)
            continue;
        uint64_t bytes = slot_bytes(s, slot);
        used += (size_t)snprintf(text + used, cap - used,
                                 ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRIu64, slot->name,
                                 plim_dtype_name(s->dtype), slot->shape.dim[0]);
        for (unsigned d = 1; d < slot->shape.rank; d++)
            used += (size_t)snprintf(text + used, cap - used, ",%" PRIu64, slot->shape.dim[d]);
        used += (size_t)snprintf(text + used, cap - used,
                                 "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset,
                                 offset + bytes);
        offset += bytes;
    }
    text[used++] = '}';
    while (used % 8)
        text[used++] = ' ';
    uint64_t length = used;
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(length >> (8 * i));
    plim_status status = plim_writer_write(w, prefix, sizeof prefix, err);
    if (!status)
        status = plim_writer_write(w, text, used, err);
    plim_arena_free(&arena);
    return status;
}

static plim_status open_in(plim_file_writer *w, const char *directory, const char *name,
                           plim_error *err)
{
    char path[4096];
    plim_status status = plim_path_join(path, sizeof path, directory, name, err);
    return status ? status : plim_writer_open(w, path, err);
}

static plim_status write_shard(synth *s, uint32_t shard, plim_error *err)
{
    plim_file_writer w;
    char name[64];
    shard_name(s, shard, name, sizeof name);
    plim_status status = open_in(&w, s->job->directory, name, err);
    if (status)
        return status;
    status = write_header(s, &w, shard, err);
    for (uint32_t i = 0; !status && i < s->job->skeleton->slot_count; i++)
        if (s->shard_of[i] == shard)
            status = write_slot(s, &w, &s->job->skeleton->slots[i], err);
    if (!status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return status;
}

static plim_status write_text(plim_file_writer *w, const char *text, plim_error *err)
{
    return plim_writer_write(w, text, strlen(text), err);
}

static plim_status write_index(synth *s, plim_error *err)
{
    plim_file_writer w;
    char line[512], name[64];
    plim_status status = open_in(&w, s->job->directory, "model.safetensors.index.json", err);
    if (status)
        return status;
    snprintf(line, sizeof line,
             "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {",
             s->total_bytes);
    status = write_text(&w, line, err);
    bool first = true;
    for (uint32_t i = 0; !status && i < s->job->skeleton->slot_count; i++) {
        if (s->shard_of[i] == UINT32_MAX)
            continue;
        shard_name(s, s->shard_of[i], name, sizeof name);
        snprintf(line, sizeof line, "%s\n    \"%s\": \"%s\"", first ? "" : ",",
                 s->job->skeleton->slots[i].name, name);
        first = false;
        status = write_text(&w, line, err);
    }
    if (!status)
        status = write_text(&w, "\n  }\n}\n", err);
    if (!status)
        return plim_writer_commit(&w, err);
    plim_writer_discard(&w);
    return status;
}

/* ---- config.json, with the type that was written ---- */

/* The value of `key` in the text of the config: its first byte and its length as written. */
static bool find_value(const plim_config *config, const char *text, const char *key, size_t *at,
                       size_t *length)
{
    for (size_t i = 0; i < config->count; i++) {
        const plim_config_value *v = &config->values[i];
        if (strcmp(v->path, key) != 0 || v->offset < 0)
            continue;
        *at = (size_t)v->offset;
        *length = v->kind == PLIM_JSON_STRING ? strcspn(text + *at + 1, "\"") + 2 : 4; /* or null */
        return v->kind == PLIM_JSON_STRING || v->kind == PLIM_JSON_NULL;
    }
    return false;
}

static plim_status write_config(synth *s, plim_error *err)
{
    plim_config config;
    plim_file_writer w;
    char *text = NULL, insert[64];
    size_t bytes = 0, at = 0, length = 0;
    plim_status status = plim_config_open(&config, s->job->alloc, s->job->config_path, err);
    if (status)
        return status;
    status = plim_file_slurp(&text, &bytes, s->job->alloc, s->job->config_path,
                             PLIM_MAX_CONFIG_BYTES, err);
    if (!status)
        status = open_in(&w, s->job->directory, "config.json", err);
    if (!status) {
        const char *name = plim_dtype_torch_name(s->dtype);
        if (find_value(&config, text, "dtype", &at, &length) ||
            find_value(&config, text, "torch_dtype", &at, &length))
            snprintf(insert, sizeof insert, "\"%s\"", name);
        else {
            at = strcspn(text, "{") + 1;
            snprintf(insert, sizeof insert, "\n  \"torch_dtype\": \"%s\"%s", name,
                     config.values[0].count ? "," : "");
        }
        if ((status = plim_writer_write(&w, text, at, err)) ||
            (status = write_text(&w, insert, err)) ||
            (status = plim_writer_write(&w, text + at + length, bytes - at - length, err)))
            plim_writer_discard(&w);
        else
            status = plim_writer_commit(&w, err);
    }
    plim_delete(s->job->alloc, text);
    plim_config_close(&config);
    return status;
}

static plim_status write_all(synth *s, plim_error *err)
{
    plim_status status = PLIM_OK;
    for (uint32_t i = 0; !status && i < s->shards; i++)
        status = write_shard(s, i, err);
    if (!status && s->shards > 1)
        status = write_index(s, err);
    if (!status)
        status = write_config(s, err);
    return status ? status : report(s, true, err);
}

plim_status plim_synth_write(const plim_synth_job *job, plim_error *err)
{
    plim_error local;
    synth s = {.job = job, .dtype = job->dtype, .start = plim_now()};
    if (!err)
        err = &local;
    if (s.dtype == PLIM_AUTO)
        s.dtype = job->skeleton->spec.config_dtype;
    if (s.dtype == PLIM_AUTO)
        s.dtype = PLIM_F32;
    if (s.dtype != PLIM_F32 && !job->kernels->cast[s.dtype][PLIM_F32])
        return plim_fail(err, PLIM_E_UNSUP, "cannot write %s; choose float32, bfloat16 or float16",
                         plim_dtype_torch_name(s.dtype));
    if (mkdir(job->directory, 0777) && errno != EEXIST)
        return plim_fail_errno(err, errno, (plim_where){job->directory, NULL, -1},
                               "cannot make the folder");
    s.shard_of = plim_new(job->alloc, job->skeleton->slot_count, sizeof *s.shard_of, err);
    s.values = plim_new(job->alloc, BLOCK_ELEMENTS, sizeof *s.values, err);
    if (s.dtype != PLIM_F32)
        s.cast = plim_new(job->alloc, BLOCK_ELEMENTS, 8, err);
    plim_status status =
        s.shard_of && s.values && (s.cast || s.dtype == PLIM_F32) ? PLIM_OK : err->code;
    if (!status) {
        assign_shards(&s);
        status = write_all(&s, err);
    }
    plim_delete(job->alloc, s.shard_of);
    plim_delete(job->alloc, s.values);
    plim_delete(job->alloc, s.cast);
    return status;
}
