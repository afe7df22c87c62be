/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel tests; with --bench, their speeds instead. */
#include <stdio.h>
#include <string.h>

#include "check.h"

static int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return check_bench();
    unsigned have = plim_cpu_features();
    for (size_t i = 0; i < plim_kernel_level_count; i++) {
        const plim_kernel_level *level = &plim_kernel_levels[i];
        bool can = (have & level->needs) == level->needs;
        printf("%s: %s%s\n", can ? "tested here" : "NOT tested here", level->name,
               can ? "" : ", which this processor lacks");
    }
    int failed = run_group("products", check_product_tests, check_product_count);
    failed += run_group("attention", check_attention_tests, check_attention_count);
    failed += run_group("elementwise", check_elementwise_tests, check_elementwise_count);
    return failed != 0;
}
