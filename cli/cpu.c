/* SPDX-License-Identifier: Apache-2.0
 *
 * plimsoll info --cpu: what the processor has, which kernels run and why, cores and threads. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "environment.h"

/* Whether a level does anything under this mask. */
static bool is_used(const char *level, unsigned mask)
{
    for (int kind = 0; kind < PLIM_KERNELS_COUNT; kind++)
        if (!strcmp(plim_cpu_kernels((plim_kernel_kind)kind, mask), level))
            return true;
    return false;
}

/* "float products, attention": what the level does under this mask. */
static const char *uses(char *text, size_t cap, const char *level, unsigned mask)
{
    size_t used = 0;
    int kinds = 0;
    text[0] = '\0';
    for (int kind = 0; kind < PLIM_KERNELS_COUNT; kind++) {
        if (strcmp(plim_cpu_kernels((plim_kernel_kind)kind, mask), level) != 0)
            continue;
        kinds++;
        int n = snprintf(text + used, cap - used, "%s%s", used ? ", " : "",
                         plim_kernel_kind_name((plim_kernel_kind)kind));
        used += n > 0 && (size_t)n < cap - used ? (size_t)n : 0;
    }
    return kinds == PLIM_KERNELS_COUNT ? "everything" : text;
}

static const char *threads_because(const plim_cpu_info *cpu)
{
    if (cpu->quota && cpu->quota < cpu->allowed_physical)
        return "the quota of the control group, rounded up";
    if (cpu->threads < cpu->allowed_physical)
        return "the most that a pool takes";
    if (cpu->allowed_physical < cpu->physical)
        return "the cores in the affinity mask";
    return cpu->allowed_physical < cpu->allowed_logical ? "one per core: hyperthreads add nothing"
                                                        : "one per core";
}

static void levels_text(cli_out *out, const plim_cpu_info *cpu, unsigned mask)
{
    plim_cpu_level level;
    char text[160];
    for (size_t i = 0; plim_cpu_level_read(&level, i) == PLIM_OK; i++) {
        const char *says = "does nothing: better ones do it all";
        if ((cpu->features & level.needs) != level.needs)
            says = "NOT here: the processor lacks it, or the system does not save its registers";
        else if ((mask & level.needs) != level.needs)
            says = "left out by PLIMSOLL_CPU";
        else if (is_used(level.name, mask))
            says = uses(text, sizeof text, level.name, mask);
        out_format(out, "  %-12s %-22s %s\n", level.name, level.instructions, says);
    }
}

static void write_text(cli_out *out, const plim_cpu_info *cpu, unsigned mask)
{
    char quota[64] = "no limit";
    out_format(out, "processor    %s\n", cpu->processor[0] ? cpu->processor : "not told");
    out_text(out, "kernels\n");
    levels_text(out, cpu, mask);
    if (cpu->quota)
        snprintf(quota, sizeof quota, "%u cores' worth of time", cpu->quota);
    out_format(out, "cores        %u, with %u hardware threads; in the affinity mask %u, with %u\n",
               cpu->physical, cpu->logical, cpu->allowed_physical, cpu->allowed_logical);
    out_format(out, "quota        %s\n", quota);
    out_format(out, "threads      %u: %s\n", cpu->threads, threads_because(cpu));
}

static void write_json(cli_out *out, const plim_cpu_info *cpu, unsigned mask)
{
    cli_json json;
    plim_cpu_level level;
    json_begin(&json, out);
    json_object(&json);
    json_put_text(&json, "processor", cpu->processor[0] ? cpu->processor : NULL);
    json_key(&json, "kernels");
    json_object(&json);
    for (int kind = 0; kind < PLIM_KERNELS_COUNT; kind++)
        json_put_text(&json, plim_kernel_kind_name((plim_kernel_kind)kind),
                      plim_cpu_kernels((plim_kernel_kind)kind, mask));
    json_object_end(&json);
    json_key(&json, "levels");
    json_array(&json);
    for (size_t i = 0; plim_cpu_level_read(&level, i) == PLIM_OK; i++) {
        json_object(&json);
        json_put_text(&json, "name", level.name);
        json_put_text(&json, "instructions", level.instructions);
        json_put_bool(&json, "available", (cpu->features & level.needs) == level.needs);
        json_put_bool(&json, "allowed", (mask & level.needs) == level.needs);
        json_put_bool(&json, "used", is_used(level.name, mask));
        json_object_end(&json);
    }
    json_array_end(&json);
    json_key(&json, "cores");
    json_object(&json);
    json_put_u64(&json, "physical", cpu->physical);
    json_put_u64(&json, "logical", cpu->logical);
    json_put_u64(&json, "allowed_physical", cpu->allowed_physical);
    json_put_u64(&json, "allowed_logical", cpu->allowed_logical);
    json_key(&json, "quota");
    if (cpu->quota)
        json_u64(&json, cpu->quota);
    else
        json_null(&json);
    json_object_end(&json);
    json_put_u64(&json, "threads", cpu->threads);
    json_put_text(&json, "threads_because", threads_because(cpu));
    json_object_end(&json);
    json_end(&json);
}

plim_status info_cpu(cli *c, plim_error *err)
{
    plim_cpu_info cpu;
    unsigned mask;
    plim_status status = environment_cpu(&mask, err);
    if (status != PLIM_OK)
        return status;
    plim_cpu_read(&cpu);
    if (c->options.json)
        write_json(&c->out, &cpu, mask);
    else
        write_text(&c->out, &cpu, mask);
    return PLIM_OK;
}
