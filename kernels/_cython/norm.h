/* Sums over positions and over neighbouring channels, written so that they vectorise over the channels. */

#ifndef LSTM2D_NORM_H
#define LSTM2D_NORM_H

#include "simd.h"

#define LSTM2D_NORM(REAL, SUFFIX, SQRT, POW)                                                                  \
    LSTM2D_PER_LEVEL(void, sum_rows_##SUFFIX, (const REAL *x, double *sum, ptrdiff_t rows, ptrdiff_t c),      \
                     (x, sum, rows, c))                                                                       \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c)                                                          \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) sum[k] += x[k];                             \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, square_rows_##SUFFIX, (const REAL *x, const double *mean, double *sum,             \
                                                  ptrdiff_t rows, ptrdiff_t c), (x, mean, sum, rows, c))      \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c)                                                          \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++)                                             \
            {                                                                                                 \
                const double d = x[k] - mean[k];                                                              \
                sum[k] += d * d;                                                                              \
            }                                                                                                 \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, product_rows_##SUFFIX, (const REAL *x, const REAL *y, const REAL *mean,            \
                                                   double *sum, double *product, ptrdiff_t rows,              \
                                                   ptrdiff_t c), (x, y, mean, sum, product, rows, c))         \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c, y += c)                                                  \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++)                                             \
            {                                                                                                 \
                sum[k] += y[k];                                                                               \
                product[k] += (double)(x[k] - mean[k]) * y[k];                                                \
            }                                                                                                 \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, affine_rows_##SUFFIX, (const REAL *x, const REAL *mean, const REAL *factor,        \
                                                  const REAL *shift, REAL *out, ptrdiff_t rows, ptrdiff_t c), \
                     (x, mean, factor, shift, out, rows, c))                                                  \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c, out += c)                                                \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] =                                    \
                factor[k] * (x[k] - mean[k]) + shift[k];                                                      \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, combine_rows_##SUFFIX, (const REAL *x, const REAL *y, const REAL *mean,            \
                                                   const REAL *by_x, const REAL *by_y, const REAL *shift,     \
                                                   REAL *out, ptrdiff_t rows, ptrdiff_t c),                   \
                     (x, y, mean, by_x, by_y, shift, out, rows, c))                                           \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c, y += c, out += c)                                        \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] =                                    \
                by_x[k] * (x[k] - mean[k]) + by_y[k] * y[k] + shift[k];                                       \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(double, product_run_##SUFFIX, (const REAL *x, const REAL *y, ptrdiff_t n), (x, y, n))    \
    {                                                                                                         \
        double sum = 0;                                                                                       \
        _Pragma("omp simd reduction(+ : sum)") for (ptrdiff_t k = 0; k < n; k++) sum += (double)x[k] * y[k];  \
        return sum;                                                                                           \
    }                                                                                                         \
    LSTM2D_INLINE void power_##SUFFIX(const REAL *base, REAL *out, REAL beta, ptrdiff_t c)                    \
    {                                                                                                         \
        if (beta == (REAL)0.75)                                                                               \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++)                                             \
            {                                                                                                 \
                const REAL root = SQRT(base[k]);                                                              \
                out[k] = 1 / (root * SQRT(root));                                                             \
            }                                                                                                 \
        else if (beta == (REAL)0.5)                                                                           \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] = 1 / SQRT(base[k]);                 \
        else if (beta == 1)                                                                                   \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] = 1 / base[k];                       \
        else                                                                                                  \
            for (ptrdiff_t k = 0; k < c; k++)                                                                 \
                out[k] = POW(base[k], -beta);                                                                 \
    }                                                                                                         \
    /* padded: c + size - 1 values, zero except the c in the middle; out: sums of `size` neighbours */        \
    LSTM2D_INLINE void window_sum_##SUFFIX(const REAL *padded, REAL *out, ptrdiff_t size, ptrdiff_t c)        \
    {                                                                                                         \
        _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] = padded[k];                             \
        for (ptrdiff_t d = 1; d < size; d++)                                                                  \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] += padded[k + d];                    \
    }                                                                                                         \
    LSTM2D_INLINE void base_##SUFFIX(const REAL *x, REAL *padded, REAL *base, ptrdiff_t size, REAL factor,    \
                                     REAL offset, ptrdiff_t c)                                                \
    {                                                                                                         \
        REAL *square = padded + size / 2;                                                                     \
        _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) square[k] = x[k] * x[k];                        \
        window_sum_##SUFFIX(padded, base, size, c);                                                           \
        _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) base[k] = offset + factor * base[k];            \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, response_rows_##SUFFIX, (const REAL *x, REAL *y, REAL *padded, REAL *base,         \
                                                    ptrdiff_t size, REAL factor, REAL beta, REAL offset,      \
                                                    ptrdiff_t rows, ptrdiff_t c),                             \
                     (x, y, padded, base, size, factor, beta, offset, rows, c))                               \
    {                                                                                                         \
        for (ptrdiff_t p = 0; p < rows; p++, x += c, y += c) {                                                \
            base_##SUFFIX(x, padded, base, size, factor, offset, c);                                          \
            power_##SUFFIX(base, base, beta, c);                                                              \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) y[k] = x[k] * base[k];                      \
        }                                                                                                     \
    }                                                                                                         \
    LSTM2D_PER_LEVEL(void, response_grad_rows_##SUFFIX, (const REAL *x, const REAL *g, REAL *out,             \
                                                         REAL *padded, REAL *inner, REAL *base, REAL *power,  \
                                                         ptrdiff_t size, REAL factor, REAL beta, REAL offset, \
                                                         ptrdiff_t rows, ptrdiff_t c),                        \
                     (x, g, out, padded, inner, base, power, size, factor, beta, offset, rows, c))            \
    {                                                                                                         \
        REAL *middle = inner + (size - 1) / 2;                                                                \
        for (ptrdiff_t p = 0; p < rows; p++, x += c, g += c, out += c) {                                      \
            base_##SUFFIX(x, padded, base, size, factor, offset, c);                                          \
            power_##SUFFIX(base, power, beta, c);                                                             \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) middle[k] = g[k] * x[k] * power[k] / base[k]; \
            window_sum_##SUFFIX(inner, base, size, c);                                                        \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < c; k++) out[k] =                                    \
                g[k] * power[k] - 2 * beta * factor * x[k] * base[k];                                         \
        }                                                                                                     \
    }

LSTM2D_NORM(float, f32, sqrtf, powf)
LSTM2D_NORM(double, f64, sqrt, pow)

#endif
