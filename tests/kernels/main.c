/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel tests; with --bench, their speeds instead. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

/* Which levels this processor can run; true: all that were compiled. */
static bool tell_levels(void)
{
    unsigned have = plim_cpu_features();
    bool all = true;
    for (size_t i = 0; i < plim_kernel_level_count; i++) {
        const plim_kernel_level *level = &plim_kernel_levels[i];
        bool can = (have & level->needs) == level->needs;
        printf("%s: %s%s\n", can ? "tested here" : "NOT tested here", level->name,
               can ? "" : ", which this processor lacks");
        all &= can;
    }
    return all;
}

/* test_kernels [--bench | --levels]; --levels is the test that counts as skipped (77) where not all
 * levels can be tested. */
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return check_bench();
    bool all = tell_levels();
    if (argc > 1 && strcmp(argv[1], "--levels") == 0)
        return all ? 0 : 77;
    int failed = run_group("products", check_product_tests, check_product_count);
    failed += run_group("attention", check_attention_tests, check_attention_count);
    failed += run_group("elementwise", check_elementwise_tests, check_elementwise_count);
    return failed != 0;
}
