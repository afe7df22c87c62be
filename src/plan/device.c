/* SPDX-License-Identifier: Apache-2.0
 *
 * Device maps: which rule a tensor falls under. */
#include "plan/plan.h"

#include <string.h>

bool plim_device_rule_covers(const plim_device_rule *rule, const char *name)
{
    size_t length = strlen(rule->module);
    if (!length)
        return true;
    return !strncmp(rule->module, name, length) && (!name[length] || name[length] == '.');
}

plim_device plim_device_of(const plim_device_map *map, const char *name, bool *covered)
{
    const plim_device_rule *best = NULL;
    size_t best_length = 0;
    for (size_t i = 0; i < map->rule_count; i++) {
        const plim_device_rule *rule = &map->rules[i];
        size_t length = strlen(rule->module);
        if ((!best || length > best_length) && plim_device_rule_covers(rule, name)) {
            best = rule;
            best_length = length;
        }
    }
    if (covered)
        *covered = best || !map->rule_count;
    if (best)
        return best->device;
    return map->rule_count ? PLIM_DEVICE_AUTO : map->all;
}
