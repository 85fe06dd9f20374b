/* Activations that vectorise.

   tanh in float32 is x P(x^2) / Q(x^2) with degrees 4 and 4 on |x| <= 8.6, where tanh is 1 to within one
   float32 step beyond; the coefficients are a minimax fit of the relative error (1.4e-8 before rounding).
   Relative error of the float32 function below 4e-7 everywhere; |tanh| <= 1; odd; NaN stays NaN: the
   comparisons are written so that a NaN is the value that is kept.
   float64 calls libm. */

#ifndef LSTM2D_SIMD_H
#define LSTM2D_SIMD_H

#include <math.h>
#include <stddef.h>

#include "levels.h"

LSTM2D_INLINE float tanh_f32(float x)
{
    const float limit = 8.6f;
    float y = x > limit ? limit : x;
    y = y < -limit ? -limit : y;
    const float u = y * y;
    float p = 1.408335074e-08f;
    p = p * u + 2.112304583e-05f;
    p = p * u + 3.526443158e-03f;
    p = p * u + 1.340691069e-01f;
    p = p * u + 9.999999868e-01f;
    float q = 8.071005697e-07f;
    q = q * u + 3.336337413e-04f;
    q = q * u + 2.599405931e-02f;
    q = q * u + 4.674023225e-01f;
    q = q * u + 1.0f;
    const float t = y * p / q;
    const float below = t > 1.0f ? 1.0f : t;
    return below < -1.0f ? -1.0f : below;
}

LSTM2D_INLINE float sigmoid_f32(float x)
{
    return 0.5f + 0.5f * tanh_f32(0.5f * x);
}

LSTM2D_INLINE float relu_f32(float x)
{
    return x <= 0 ? 0 : x;
}

LSTM2D_INLINE double relu_f64(double x)
{
    return x <= 0 ? 0 : x;
}

LSTM2D_INLINE double tanh_f64(double x)
{
    return tanh(x);
}

LSTM2D_INLINE double sigmoid_f64(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

#endif
