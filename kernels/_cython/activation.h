/* Activations that a layer applies to its output while it is in the cache; the functions of the ops tanh and relu. */

#ifndef LSTM2D_ACTIVATION_H
#define LSTM2D_ACTIVATION_H

#include "simd.h"

#define LSTM2D_RELU 1
#define LSTM2D_TANH 2

/* In place. kind 0: none. */
#define LSTM2D_ACTIVATION(REAL, SUFFIX)                                                  \
    LSTM2D_PER_LEVEL(void, activate_##SUFFIX, (REAL *values, ptrdiff_t n, int kind),     \
                     (values, n, kind))                                                  \
    {                                                                                    \
        if (kind == LSTM2D_RELU)                                                         \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < n; k++)                        \
                values[k] = relu_##SUFFIX(values[k]);                                    \
        else if (kind == LSTM2D_TANH)                                                    \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < n; k++)                        \
                values[k] = tanh_##SUFFIX(values[k]);                                    \
    }
LSTM2D_ACTIVATION(float, f32)
LSTM2D_ACTIVATION(double, f64)
#undef LSTM2D_ACTIVATION

#endif
