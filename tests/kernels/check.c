/* SPDX-License-Identifier: Apache-2.0
 *
 * Helpers of the kernel tests. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

size_t check_tables(plim_kernels tables[CHECK_MAX_TABLES])
{
    unsigned have = plim_cpu_features();
    size_t count = 0;
    assert_true(plim_kernel_level_count <= CHECK_MAX_TABLES);
    for (size_t i = 0; i < plim_kernel_level_count; i++)
        if ((have & plim_kernel_levels[i].needs) == plim_kernel_levels[i].needs)
            plim_kernels_init(&tables[count++], plim_kernel_levels[i].needs);
    return count;
}

uint64_t check_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t check_below(uint64_t *state, size_t end)
{
    return (size_t)(check_random(state) % end);
}

float check_uniform(uint64_t *state)
{
    return (float)((int64_t)(check_random(state) >> 40) - (1 << 23)) * 0x1p-23f;
}

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

void *check_guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = whole_pages(bytes);
    char *memory =
        mmap(NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory + pages, page, PROT_NONE), 0);
    return memory + pages - bytes;
}

void check_guarded_free(void *memory, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = whole_pages(bytes);
    munmap((char *)memory + bytes - pages, pages + page);
}

static double power_of_two(int n)
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* Independent of the kernels' conversions: by value, in double precision. */
static uint16_t narrow(double value, int exponent_bits, int mantissa_bits)
{
    uint64_t bits;
    double a = fabs(value);
    int lowest = 2 - (1 << (exponent_bits - 1));
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    if (isnan(value))
        return (uint16_t)(sign | infinity | 1u << (mantissa_bits - 1));
    if (a >= power_of_two(1 << (exponent_bits - 1)))
        return (uint16_t)(sign | infinity);
    memcpy(&bits, &a, 8);
    int exponent = (int)(bits >> 52) - 1023;
    if (exponent < lowest)
        exponent = lowest;
    /* In units of the last place, to the nearest even one: adding 2^52 leaves no room for a
     * fraction. */
    double units = a * power_of_two(mantissa_bits - exponent) + 0x1p52;
    /* 2^mantissa_bits units are the leading one of a normal number, and carry into the exponent. */
    uint32_t code = (uint32_t)(units - 0x1p52) + ((uint32_t)(exponent - lowest) << mantissa_bits);
    return (uint16_t)(sign | code);
}

uint16_t check_narrow(double value, plim_dtype dtype)
{
    return dtype == PLIM_F16 ? narrow(value, 5, 10) : narrow(value, 8, 7);
}

void check_put(void *array, size_t i, plim_dtype dtype, float value)
{
    uint16_t u16 = check_narrow((double)value, dtype);
    if (dtype == PLIM_F32)
        memcpy((char *)array + 4 * i, &value, 4);
    else
        memcpy((char *)array + 2 * i, &u16, 2);
}

static double widen(uint16_t h, int exponent_bits, int mantissa_bits)
{
    int top = (1 << exponent_bits) - 1, bias = top >> 1;
    int exponent = h >> mantissa_bits & top, mantissa = h & ((1 << mantissa_bits) - 1);
    double a;
    if (exponent == top)
        a = mantissa ? NAN : INFINITY;
    else if (exponent == 0)
        a = ldexp(mantissa, 1 - bias - mantissa_bits);
    else
        a = ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    return h & 0x8000 ? -a : a;
}

double check_get(const void *array, size_t i, plim_dtype dtype)
{
    float f32;
    uint16_t u16;
    if (dtype == PLIM_F32) {
        memcpy(&f32, (const char *)array + 4 * i, 4);
        return f32;
    }
    memcpy(&u16, (const char *)array + 2 * i, 2);
    return dtype == PLIM_F16 ? widen(u16, 5, 10) : widen(u16, 8, 7);
}

void check_same(const char *table, float a, float b)
{
    uint32_t x, y;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    if (x != y && !(isnan(a) && isnan(b)))
        fail_msg("%s: %.9g (%08x) and %.9g (%08x) should have the same bits", table, (double)a, x,
                 (double)b, y);
}
