/* SPDX-License-Identifier: Apache-2.0
 *
 * Linked with --wrap=pcre2_jit_compile_8: a system that refuses executable memory. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

int __wrap_pcre2_jit_compile_8(pcre2_code *code, uint32_t options);

int __wrap_pcre2_jit_compile_8(pcre2_code *code, uint32_t options)
{
    (void)code, (void)options;
    return PCRE2_ERROR_NOMEMORY;
}
