/* SPDX-License-Identifier: Apache-2.0
 *
 * exp, tanh and erf for any vector length, after a simd_*.h.  Polynomials by tools/kernels/fit.py.
 */
#ifndef PLIM_KERNELS_MATH_SIMD_H
#define PLIM_KERNELS_MATH_SIMD_H

/* c[0] + c[1] x + ... */
SIMD_INLINE vf vf_polynomial(vf x, const float *c, const int degree)
{
    vf y = vf_set1(c[degree]);
#pragma GCC unroll 16
    for (int i = degree - 1; i >= 0; i--)
        y = vf_fma(y, x, vf_set1(c[i]));
    return y;
}

/* e^x within 1 ulp, denormal results included; 0 and infinity beyond; NaN stays.
 * x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts, the first short enough for n times it to be
 * exact. */
SIMD_INLINE vf vf_exp(vf x)
{
    static const float c[5] = {0.5f, 0.166665778f, 0.0416665561f, 0.00836317334f, 0.00139261759f};
    x = vf_max(vf_set1(-104.0f), vf_min(vf_set1(89.0f), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fma(n, vf_set1(-0.693359375f), x);
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    vf p = vf_fma(vf_mul(r, r), vf_polynomial(r, c, 4), r);
    return vf_scale(vf_add(p, vf_set1(1.0f)), n);
}

/* tanh(|x|) where |x| >= 0.55. */
SIMD_INLINE vf vf_tanh_large(vf a)
{
    vf one = vf_set1(1.0f), two = vf_set1(2.0f);
    return vf_sub(one, vf_div(two, vf_add(vf_exp(vf_add(a, a)), one)));
}

/* x s P(s) with s = x^2: tanh(x) - x where |x| < 0.55. */
SIMD_INLINE vf vf_tanh_small_rest(vf x)
{
    static const float c[5] = {-0.333333313f, 0.133331135f, -0.0539094284f, 0.0213093888f,
                               -0.00661022775f};
    vf s = vf_mul(x, x);
    return vf_mul(vf_mul(x, s), vf_polynomial(s, c, 4));
}

/* Within 2 ulp. */
SIMD_INLINE vf vf_tanh(vf x)
{
    vf a = vf_abs(x), small = vf_add(a, vf_tanh_small_rest(a));
    return vf_copysign(vf_if_less(a, vf_set1(0.55f), small, vf_tanh_large(a)), x);
}

/* 1 + tanh(x) = 2 / (1 + e^-2x): nothing cancels for negative x. */
SIMD_INLINE vf vf_one_plus_tanh(vf x)
{
    return vf_div(vf_set1(2.0f), vf_add(vf_set1(1.0f), vf_exp(vf_mul(vf_set1(-2.0f), x))));
}

/* 1 + erf(x): by a series in x below 1; else from erfc(|x|) = exp(-x^2 - P(|x|)), so that nothing
 * cancels for negative x. */
SIMD_INLINE vf vf_one_plus_erf(vf x)
{
    static const float c[7] = {0.128379166f,   -0.37612626f,    0.112835944f,   -0.0268542115f,
                               0.00518908724f, -0.00080168643f, 7.87587487e-05f};
    static const float d[10] = {-0.000270345947f, 1.13012576f,    -0.368186682f,    0.110325225f,
                                -0.0267348439f,   0.00495664962f, -0.000668030174f, 6.11273936e-05f,
                                -3.37488677e-06f, 8.44806394e-08f};
    vf a = vf_abs(x), s = vf_mul(x, x), one = vf_set1(1.0f);
    vf small = vf_add(one, vf_fma(x, vf_polynomial(s, c, 6), x));
    vf rest = vf_polynomial(vf_min(vf_set1(6.0f), a), d, 9);
    vf erfc = vf_exp(vf_sub(vf_zero(), vf_add(s, rest)));
    vf large = vf_if_less(x, vf_zero(), erfc, vf_sub(vf_set1(2.0f), erfc));
    return vf_if_less(a, one, small, large);
}

#endif
