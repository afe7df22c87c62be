/* SPDX-License-Identifier: Apache-2.0
 *
 * device_map and max_memory.  See device_map.h. */
#include "api/device_map.h"

#include <string.h>

#include "base/json.h"
#include "base/num.h"

#define MAX_NAME_BYTES 4096u /* of a module; as of a tensor */

/* ---- sizes ---- */

/* The bytes of one of `unit`; *bits where the unit's last letter is a small b. */
static bool unit_bytes(const char *unit, size_t length, uint64_t *factor, bool *bits)
{
    static const char letters[] = "KMGT";
    *factor = 1;
    *bits = false;
    if (!length || (length == 1 && unit[0] == 'B'))
        return true;
    const char *letter = unit[0] ? strchr(letters, unit[0] & ~0x20) : NULL;
    bool binary = length == 3 && (unit[1] & ~0x20) == 'I';
    if (!letter || !*letter || length > 3 || (length == 3 && !binary) ||
        (length > 1 && (unit[length - 1] & ~0x20) != 'B'))
        return false;
    for (long i = 0; i <= letter - letters; i++)
        *factor *= binary ? 1024 : 1000;
    *bits = length == 2 && unit[1] == 'b';
    return true;
}

bool plim_parse_size(const char *text, size_t bytes, uint64_t *out)
{
    size_t at = 0, digits;
    uint64_t whole, fraction = 0, scale = 1, factor;
    bool bits;
    while (at < bytes && text[at] >= '0' && text[at] <= '9')
        at++;
    if (!plim_parse_u64(text, at, &whole))
        return false;
    if (at < bytes && text[at] == '.') {
        const char *first = text + ++at;
        while (at < bytes && text[at] >= '0' && text[at] <= '9') {
            at++;
            scale *= scale < 1000000 ? 10 : 1;
        }
        digits = (size_t)(text + at - first);
        if (digits > 6 || !plim_parse_u64(first, digits, &fraction))
            return false;
    }
    if (!unit_bytes(text + at, bytes - at, &factor, &bits) || (scale > 1 && factor == 1) ||
        !plim_mul_u64(whole, factor, &whole))
        return false;
    /* fraction < 10^6 and factor <= 2^40: the product fits */
    if (!plim_add_u64(whole, fraction * factor / scale, &whole))
        return false;
    *out = bits ? whole / 8 : whole;
    return true;
}

/* ---- flat JSON objects ---- */

/* Every key and value, through `fn`; the key is a name without NUL bytes. */
typedef plim_status (*pair_fn)(void *user, plim_json *json, const char *key, plim_json_event kind,
                               plim_error *err);

static plim_status read_key(plim_json *json, char key[MAX_NAME_BYTES + 1], plim_error *err)
{
    size_t bytes;
    const char *name = plim_json_text(json, &bytes);
    if (bytes > MAX_NAME_BYTES)
        return plim_json_fail(json, err, PLIM_E_USAGE, "a key is longer than %u bytes",
                              MAX_NAME_BYTES);
    if (strlen(name) != bytes)
        return plim_json_fail(json, err, PLIM_E_USAGE, "a key holds a NUL byte");
    memcpy(key, name, bytes + 1);
    return PLIM_OK;
}

static plim_status each_pair(const char *text, const char *what, const plim_alloc *alloc,
                             pair_fn fn, void *user, plim_error *err)
{
    plim_json *json;
    plim_json_event event;
    char key[MAX_NAME_BYTES + 1];
    plim_status status = plim_json_open_memory(&json, alloc, text, strlen(text), what, NULL, err);
    if (status)
        return status;
    status = plim_json_expect(json, PLIM_JSON_OBJECT, what, err);
    while (!status && !(status = plim_json_next(json, &event, err)) && event == PLIM_JSON_KEY)
        if (!(status = read_key(json, key, err)) && !(status = plim_json_next(json, &event, err)))
            status = fn(user, json, key, event, err);
    if (!status)
        status = plim_json_expect(json, PLIM_JSON_END, what, err);
    plim_json_close(&json);
    if (status == PLIM_E_FORMAT || status == PLIM_E_TRUNC || status == PLIM_E_LIMIT) {
        if (err)
            err->code = PLIM_E_USAGE; /* an option is the caller's, not a file's */
        status = PLIM_E_USAGE;
    }
    return status;
}

/* ---- device_map ---- */

typedef enum device_word { WORD_CPU, WORD_DISK, WORD_GPU, WORD_META, WORD_UNKNOWN } device_word;

static bool all_digits(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* "cuda", "cuda:0", ...: a kind of device that PyTorch knows, with or without a number. */
static bool is_accelerator(const char *text)
{
    static const char *const kinds[] = {"cuda", "mps", "xpu",  "npu",  "mlu", "hpu",
                                        "xla",  "tpu", "musa", "sdaa", "hip"};
    size_t length = strcspn(text, ":");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]) == length && !strncmp(text, kinds[i], length))
            return !text[length] || all_digits(text + length + 1);
    return false;
}

static device_word word_of(const char *text)
{
    if (!strcmp(text, "cpu"))
        return WORD_CPU;
    if (!strcmp(text, "disk"))
        return WORD_DISK;
    if (!strcmp(text, "meta"))
        return WORD_META;
    return all_digits(text) || is_accelerator(text) ? WORD_GPU : WORD_UNKNOWN;
}

/* A list that grows in an arena: old blocks stay there, twice the size at most. */
typedef struct rule_list {
    plim_arena *arena;
    plim_device_rule *rules;
    size_t count, cap;
} rule_list;

static plim_status add_rule(rule_list *list, const char *module, plim_device device,
                            plim_error *err)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        plim_device_rule *rules = plim_arena_new(list->arena, cap, sizeof *rules, err);
        if (!rules)
            return err->code;
        if (list->count)
            memcpy(rules, list->rules, list->count * sizeof *rules);
        list->rules = rules;
        list->cap = cap;
    }
    const char *kept = plim_arena_text(list->arena, module, strlen(module), err);
    if (!kept)
        return err->code;
    list->rules[list->count++] = (plim_device_rule){kept, device};
    return PLIM_OK;
}

static plim_status one_module(void *user, plim_json *json, const char *key, plim_json_event kind,
                              plim_error *err)
{
    const char *text = "";
    size_t bytes = 0;
    if (kind == PLIM_JSON_NUMBER || kind == PLIM_JSON_STRING)
        text = plim_json_text(json, &bytes);
    else
        return plim_json_fail(json, err, PLIM_E_USAGE,
                              "module '%s': want \"cpu\" or \"disk\", found %s", key,
                              plim_json_event_name(kind));
    device_word word = strlen(text) == bytes ? word_of(text) : WORD_UNKNOWN;
    if (word == WORD_CPU || word == WORD_DISK)
        return add_rule(user, key, word == WORD_CPU ? PLIM_DEVICE_CPU : PLIM_DEVICE_DISK, err);
    if (word == WORD_GPU)
        return plim_json_fail(json, err, PLIM_E_UNSUP,
                              "module '%s' is to live on device %s: GPUs are not supported yet; "
                              "choose \"cpu\" or \"disk\"",
                              key, text);
    if (word == WORD_META)
        return plim_json_fail(json, err, PLIM_E_UNSUP,
                              "module '%s': on \"meta\" it would have no weights and could not "
                              "run; choose \"cpu\" or \"disk\"",
                              key);
    return plim_json_fail(json, err, PLIM_E_USAGE,
                          "module '%s': device '%s' is unknown; known are \"cpu\" and \"disk\"",
                          key, text);
}

plim_status plim_device_map_read(plim_device_map *out, plim_arena *arena, const char *map,
                                 plim_error *err)
{
    plim_error local;
    if (!err)
        err = &local;
    *out = (plim_device_map){.all = PLIM_DEVICE_AUTO};
    if (!map || !strcmp(map, "auto"))
        return PLIM_OK;
    if (map[strspn(map, " \t\r\n")] == '{') {
        rule_list list = {.arena = arena};
        plim_status status = each_pair(map, "device_map", arena->alloc, one_module, &list, err);
        if (!status && !list.count)
            return plim_fail(err, PLIM_E_USAGE,
                             "device_map {} places nothing; {\"\": \"cpu\"} places everything");
        out->rules = list.rules;
        out->rule_count = list.count;
        return status;
    }
    switch (word_of(map)) {
    case WORD_CPU:
        out->all = PLIM_DEVICE_CPU;
        return PLIM_OK;
    case WORD_DISK:
        out->all = PLIM_DEVICE_DISK;
        return PLIM_OK;
    case WORD_GPU:
        return plim_fail(err, PLIM_E_UNSUP,
                         "device_map \"%s\": GPUs are not supported yet; choose auto, cpu or disk",
                         map);
    case WORD_META:
        return plim_fail(err, PLIM_E_UNSUP,
                         "device_map \"meta\" would load nothing; a plan shows what a model needs "
                         "without loading it");
    default:
        return plim_fail(
            err, PLIM_E_USAGE,
            "device_map \"%s\" is unknown; known are auto, cpu, disk and a JSON object", map);
    }
}

/* ---- max_memory ---- */

static plim_status one_device(void *user, plim_json *json, const char *key, plim_json_event kind,
                              plim_error *err)
{
    uint64_t *out = user, size;
    device_word word = word_of(key);
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    if (word == WORD_UNKNOWN || word == WORD_META)
        return plim_json_fail(json, err, PLIM_E_USAGE,
                              "device '%s' is unknown; known are \"cpu\", \"disk\" and the numbers "
                              "of GPUs",
                              key);
    if ((kind != PLIM_JSON_NUMBER && kind != PLIM_JSON_STRING) ||
        !plim_parse_size(text, bytes, &size))
        return plim_json_fail(json, err, PLIM_E_USAGE,
                              "the size of '%s' must be bytes or a text such as \"10GiB\"", key);
    if (word == WORD_GPU && size)
        return plim_json_fail(json, err, PLIM_E_UNSUP,
                              "device '%s': GPUs are not supported yet; leave it out or give it 0",
                              key);
    if (word == WORD_CPU && !size)
        return plim_json_fail(json, err, PLIM_E_USAGE,
                              "'cpu' with 0 bytes leaves no room for the vectors that stay; "
                              "device_map \"disk\" streams all that can");
    if (word == WORD_CPU)
        *out = size;
    return PLIM_OK;
}

plim_status plim_max_memory_read(uint64_t *out, const char *json, const plim_alloc *alloc,
                                 plim_error *err)
{
    *out = 0;
    return json ? each_pair(json, "max_memory", alloc, one_device, out, err) : PLIM_OK;
}
