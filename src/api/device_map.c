/* SPDX-License-Identifier: Apache-2.0
 *
 * device_map and max_memory.  See device_map.h. */
#include "api/device_map.h"

#include <string.h>

#include "base/json.h"
#include "base/num.h"

bool plim_parse_size(const char *text, size_t bytes, uint64_t *out)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"KiB", 1ull << 10},   {"MiB", 1ull << 20},      {"GiB", 1ull << 30},
                 {"TiB", 1ull << 40},   {"KB", 1000ull},          {"MB", 1000000ull},
                 {"GB", 1000000000ull}, {"TB", 1000000000000ull}, {"", 1}};
    size_t digits = strspn(text, "0123456789");
    uint64_t number;
    if (digits > bytes || !plim_parse_u64(text, digits, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes - digits == strlen(units[i].suffix) &&
            !memcmp(text + digits, units[i].suffix, bytes - digits))
            return plim_mul_u64(number, units[i].factor, out);
    return false;
}

/* Every key and value of a flat JSON object, through `fn`. */
typedef plim_status (*pair_fn)(void *user, plim_json *json, const char *key, plim_json_event kind,
                               plim_error *err);

static plim_status each_pair(const char *text, const char *what, const plim_alloc *alloc,
                             pair_fn fn, void *user, plim_error *err)
{
    plim_json *json;
    plim_json_event event;
    char key[256];
    plim_status status = plim_json_open_memory(&json, alloc, text, strlen(text), what, NULL, err);
    if (status)
        return status;
    status = plim_json_expect(json, PLIM_JSON_OBJECT, what, err);
    while (!status && !(status = plim_json_next(json, &event, err)) && event == PLIM_JSON_KEY) {
        size_t bytes;
        const char *name = plim_json_text(json, &bytes);
        if (bytes >= sizeof key) {
            status = plim_json_fail(json, err, PLIM_E_USAGE, "a key is longer than %zu bytes",
                                    sizeof key - 1);
            break;
        }
        memcpy(key, name, bytes + 1);
        if (!(status = plim_json_next(json, &event, err)))
            status = fn(user, json, key, event, err);
    }
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

static plim_status cpu_only(void *user, plim_json *json, const char *key, plim_json_event kind,
                            plim_error *err)
{
    (void)user;
    if (kind == PLIM_JSON_STRING && plim_json_text_is(json, "cpu"))
        return PLIM_OK;
    return plim_json_fail(json, err, PLIM_E_UNSUP,
                          "module '%s': for now everything lives on \"cpu\"", key);
}

plim_status plim_device_map_check(const char *map, const plim_alloc *alloc, plim_error *err)
{
    if (!map || !strcmp(map, "auto") || !strcmp(map, "cpu"))
        return PLIM_OK;
    if (map[strspn(map, " \t\r\n")] == '{')
        return each_pair(map, "device_map", alloc, cpu_only, NULL, err);
    if (!strcmp(map, "disk"))
        return plim_fail(err, PLIM_E_UNSUP,
                         "device_map \"disk\": streaming from disk is not there yet");
    if (!strncmp(map, "cuda", 4))
        return plim_fail(err, PLIM_E_UNSUP, "device_map \"%s\": GPUs are not supported yet", map);
    return plim_fail(err, PLIM_E_USAGE,
                     "device_map \"%s\" is unknown; known are auto, cpu and a JSON object", map);
}

static plim_status one_device(void *user, plim_json *json, const char *key, plim_json_event kind,
                              plim_error *err)
{
    uint64_t *out = user;
    size_t bytes;
    const char *text = plim_json_text(json, &bytes);
    if (strcmp(key, "cpu") != 0 && strcmp(key, "disk") != 0)
        return plim_json_fail(json, err, PLIM_E_UNSUP, "device '%s': GPUs are not supported yet",
                              key);
    uint64_t size;
    if ((kind != PLIM_JSON_NUMBER && kind != PLIM_JSON_STRING) ||
        !plim_parse_size(text, bytes, &size) || !size)
        return plim_json_fail(json, err, PLIM_E_USAGE,
                              "the size of '%s' must be bytes or a text such as \"10GiB\"", key);
    if (!strcmp(key, "cpu"))
        *out = size;
    return PLIM_OK;
}

plim_status plim_max_memory_read(uint64_t *out, const char *json, const plim_alloc *alloc,
                                 plim_error *err)
{
    *out = 0;
    return json ? each_pair(json, "max_memory", alloc, one_device, out, err) : PLIM_OK;
}
