/* SPDX-License-Identifier: Apache-2.0
 *
 * Instruction sets: what cpuid offers and xgetbv says the system saves; NEON on aarch64, nothing
 * elsewhere.  And the cores: which of them the process may use, and how many threads that makes. */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/pool.h"
#include "plimsoll.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <stdint.h>

/* Intel SDM vol. 1, 14.3 and 15.2: test OSXSAVE before XGETBV, and XCR0 before AVX. */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
    return (uint64_t)high << 32 | low;
}

unsigned plim_cpu_features(void)
{
    const uint64_t state_avx = 0x6, state_avx512 = 0xe6; /* xmm, ymm; opmask, zmm 0-15, zmm 16-31 */
    unsigned a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX))
        return 0;
    unsigned leaf1 = c;
    uint64_t saved = saved_registers();
    if ((saved & state_avx) != state_avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((b & bit_AVX2) && (leaf1 & bit_FMA) && (leaf1 & bit_F16C))
        features |= PLIM_CPU_AVX2;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((features & PLIM_CPU_AVX2) && (saved & state_avx512) == state_avx512 &&
        (b & avx512) == avx512)
        features |= PLIM_CPU_AVX512;
    if ((features & PLIM_CPU_AVX512) && (c & bit_AVX512VNNI))
        features |= PLIM_CPU_AVX512_VNNI;
    if ((features & PLIM_CPU_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVXVNNI))
        features |= PLIM_CPU_AVX_VNNI;
    return features;
}
#elif defined(__aarch64__)
unsigned plim_cpu_features(void)
{
    return PLIM_CPU_NEON; /* part of the architecture */
}
#else
unsigned plim_cpu_features(void)
{
    return 0;
}
#endif

/* The value of a line "name : value"; NULL without one. */
static const char *value_of(const char *text, const char *name, size_t *bytes)
{
    size_t n = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL) {
        const char *p = line + n;
        if (strncmp(line, name, n) != 0)
            continue;
        p += strspn(p, " \t");
        if (*p++ != ':')
            continue;
        p += strspn(p, " \t");
        *bytes = strcspn(p, "\n");
        return p;
    }
    return NULL;
}

void plim_cpu_name(char *out, size_t cap, const char *proc_root)
{
    char path[256], text[4096];
    size_t bytes, more;
    out[0] = '\0';
    plim_format(path, sizeof path, "%s/cpuinfo", proc_root);
    if (plim_file_peek(path, text, sizeof text) <= 0)
        return;
    const char *name = value_of(text, "model name", &bytes);
    const char *maker = value_of(text, "CPU implementer", &more);
    if (name) {
        plim_format(out, cap, "%.*s", (int)bytes, name);
    } else if (maker && (name = value_of(text, "CPU part", &bytes)) != NULL) { /* ARM */
        plim_format(out, cap, "implementer %.*s, part %.*s", (int)more, maker, (int)bytes, name);
    }
}

/* ---- cores ---- */

enum { MOST_CPUS = 8192, WORD_BITS = 8 * sizeof(unsigned long), WORDS = MOST_CPUS / WORD_BITS };

typedef struct cpu_set {
    unsigned long words[WORDS]; /* 8192 processors: more than Linux is built for */
} cpu_set;

static bool has(const cpu_set *set, size_t i)
{
    return set->words[i / WORD_BITS] >> i % WORD_BITS & 1;
}

static void include(cpu_set *set, size_t i)
{
    set->words[i / WORD_BITS] |= 1ul << i % WORD_BITS;
}

static unsigned count(const cpu_set *set)
{
    unsigned n = 0;
    for (size_t i = 0; i < WORDS; i++)
        n += (unsigned)__builtin_popcountl(set->words[i]);
    return n;
}

/* The kernel's lists, "0-3,8,10-11"; false where it is something else. */
static bool read_list(cpu_set *out, const char *path)
{
    char text[4096];
    memset(out, 0, sizeof *out);
    if (plim_file_peek(path, text, sizeof text) <= 0)
        return false;
    for (const char *p = text; *p && *p != '\n';) {
        uint64_t first, last;
        size_t n = strspn(p, "0123456789");
        if (!plim_parse_u64(p, n, &first))
            return false;
        last = first;
        p += n;
        if (*p == '-') {
            n = strspn(++p, "0123456789");
            if (!plim_parse_u64(p, n, &last))
                return false;
            p += n;
        }
        if (last >= MOST_CPUS || first > last || (*p && !strchr(",\n", *p)))
            return false;
        for (uint64_t i = first; i <= last; i++)
            include(out, i);
        p += *p == ',';
    }
    return true;
}

/* The cores that these processors belong to: of each the siblings are counted once. */
static unsigned count_cores(const cpu_set *cpus, const char *prefix)
{
    cpu_set counted, siblings;
    unsigned cores = 0;
    char path[512];
    memset(&counted, 0, sizeof counted);
    for (size_t i = 0; i < MOST_CPUS; i++) {
        if (!has(cpus, i) || has(&counted, i))
            continue;
        cores++;
        include(&counted, i);
        plim_format(path, sizeof path, "%s/sys/devices/system/cpu/cpu%zu/topology/%s", prefix, i,
                    "thread_siblings_list");
        if (read_list(&siblings, path) && has(&siblings, i))
            for (size_t w = 0; w < WORDS; w++)
                counted.words[w] |= siblings.words[w];
    }
    return cores;
}

void plim_cores_read(plim_cores *out, const char *prefix, const unsigned long *mask, size_t words)
{
    cpu_set online, allowed;
    char path[512];
    memset(&allowed, 0, sizeof allowed);
    memcpy(allowed.words, mask, (words < WORDS ? words : WORDS) * sizeof *mask);
    if (count(&allowed) == 0)
        include(&allowed, 0);
    plim_format(path, sizeof path, "%s/sys/devices/system/cpu/online", prefix);
    if (!read_list(&online, path) || count(&online) == 0)
        online = allowed;
    out->allowed_logical = count(&allowed);
    out->allowed_physical = count_cores(&allowed, prefix);
    out->logical = count(&online);
    out->physical = memcmp(&online, &allowed, sizeof online) == 0 ? out->allowed_physical
                                                                  : count_cores(&online, prefix);
    plim_format(path, sizeof path, "%s/proc", prefix);
    out->quota = plim_cgroup_cpus(path, prefix);
    out->threads =
        out->quota && out->quota < out->allowed_physical ? out->quota : out->allowed_physical;
    if (out->threads > PLIM_POOL_MAX_THREADS)
        out->threads = PLIM_POOL_MAX_THREADS;
}

void plim_cores_here(plim_cores *out)
{
    cpu_set mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)&mask) != 0)
        include(&mask, 0);
    plim_cores_read(out, "", mask.words, WORDS);
}
