/* SPDX-License-Identifier: Apache-2.0
 *
 * Casts between F32, F16 and BF16 for AVX2 and F16C; bit for bit what casts_ref.c gives. */
#include "kernels/avx2.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/ref.h"
#include "kernels/simd_avx2.h"

/* Nearest even; NaN keeps its top bits and becomes quiet. */
SIMD_INLINE __m128i narrow_bf16(vf x)
{
    __m256i bits = _mm256_castps_si256(x), top = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    __m256i both = _mm256_blendv_epi8(rounded, quiet, is_nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}

SIMD_INLINE __m128i narrow_f16(vf x)
{
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* Element by element where it is one of F32, F16, BF16 on either side; addresses need no alignment.
 */
SIMD_INLINE void cast(void *dst, const void *src, size_t n, plim_dtype to, plim_dtype from)
{
    char *out = dst;
    const char *in = src;
    const size_t to_bytes = to == PLIM_F32 ? 4 : 2, from_bytes = from == PLIM_F32 ? 4 : 2;
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        char part_in[VL * 4] = {0}, part_out[VL * 4];
        const char *at = in + i * from_bytes;
        char *put = out + i * to_bytes;
        if (m < VL) {
            memcpy(part_in, at, m * from_bytes);
            at = part_in;
            put = part_out;
        }
        vf x = vf_widen(at, 0, from);
        if (to == PLIM_F32)
            vf_store((float *)(void *)put, x);
        else
            _mm_storeu_si128((__m128i *)(void *)put,
                             to == PLIM_F16 ? narrow_f16(x) : narrow_bf16(x));
        if (m < VL)
            memcpy(out + i * to_bytes, part_out, m * to_bytes);
    }
}

static void f32_from_f16(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_F32, PLIM_F16);
}

static void f32_from_bf16(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_F32, PLIM_BF16);
}

static void f16_from_f32(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_F16, PLIM_F32);
}

static void f16_from_bf16(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_F16, PLIM_BF16);
}

static void bf16_from_f32(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_BF16, PLIM_F32);
}

static void bf16_from_f16(void *dst, const void *src, size_t n)
{
    cast(dst, src, n, PLIM_BF16, PLIM_F16);
}

void plim_casts_avx2(plim_kernels *out)
{
    out->cast[PLIM_F32][PLIM_F16] = f32_from_f16;
    out->cast[PLIM_F32][PLIM_BF16] = f32_from_bf16;
    out->cast[PLIM_F16][PLIM_F32] = f16_from_f32;
    out->cast[PLIM_F16][PLIM_BF16] = f16_from_bf16;
    out->cast[PLIM_BF16][PLIM_F32] = bf16_from_f32;
    out->cast[PLIM_BF16][PLIM_F16] = bf16_from_f16;
}

#endif /* elsewhere plim_kernels_avx2 does nothing, and needs nothing from here */
