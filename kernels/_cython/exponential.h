/* exp of numbers that are not positive, in a form that vectorises.

   x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) is Cephes' polynomial of degree 7, 2^n goes into the exponent bits.
   Relative error below 2e-7 from -87 to 0; 0 below -87.3, where the result would be subnormal. NaN stays NaN: the
   comparisons are written so that a NaN is the value that is kept. float64 calls libm. */

#ifndef LSTM2D_EXPONENTIAL_H
#define LSTM2D_EXPONENTIAL_H

#include "simd.h"
#include <stdint.h>

LSTM2D_INLINE float exp_negative_f32(float x)
{
    const float least = -87.33654f;           /* ln 2^-126 */
    const float shift = 12582912.0f + 127.0f; /* rounds to an integer n; its lowest bits hold n + 127 */
    const float y = x < least ? least : x;
    union {
        float f;
        uint32_t u;
    } z, scale;
    z.f = y * 1.44269504088896341f + shift;
    const float n = z.f - shift;
    const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    scale.u = z.u << 23;
    return x < least ? 0.0f : p * scale.f;
}

LSTM2D_INLINE double exp_negative_f64(double x)
{
    return exp(x);
}

#endif
