/* Weighted sums of rows, the inner loops of resampling. Included once for each REAL; NAME(f) adds its suffix. */

/* y[k] = sum over taps of weight[t] * x[index[t] * stride + k]; four taps a pass, so y is written once for cubic. */
LSTM2D_INLINE void NAME(combine)(REAL *restrict y, const REAL *restrict x, ptrdiff_t stride, const ptrdiff_t *index,
                                 const double *weight, ptrdiff_t taps, ptrdiff_t n)
{
    ptrdiff_t t = taps % 4;
    const REAL w0 = t > 0 ? (REAL)weight[0] : 0, w1 = t > 1 ? (REAL)weight[1] : 0, w2 = t > 2 ? (REAL)weight[2] : 0;
    const REAL *r0 = x + (t > 0 ? index[0] * stride : 0), *r1 = x + (t > 1 ? index[1] * stride : 0),
               *r2 = x + (t > 2 ? index[2] * stride : 0);
    if (taps == 0) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = 0;
    } else if (t == 1) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = w0 * r0[k];
    } else if (t == 2) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = w0 * r0[k] + w1 * r1[k];
    } else if (t == 3) {
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = w0 * r0[k] + w1 * r1[k] + w2 * r2[k];
    }
    for (; t < taps; t += 4) {
        const REAL a = (REAL)weight[t], b = (REAL)weight[t + 1], c = (REAL)weight[t + 2], d = (REAL)weight[t + 3];
        const REAL *ra = x + index[t] * stride, *rb = x + index[t + 1] * stride, *rc = x + index[t + 2] * stride,
                   *rd = x + index[t + 3] * stride;
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = (t ? y[k] : 0) + (a * ra[k] + b * rb[k] + c * rc[k] + d * rd[k]);
    }
}

/* One output row from several input rows. */
LSTM2D_PER_LEVEL(void, NAME(across_rows), (REAL *y, const REAL *x, ptrdiff_t stride, const ptrdiff_t *index,
                                           const double *weight, ptrdiff_t taps, ptrdiff_t n),
                 (y, x, stride, index, weight, taps, n))
{
    NAME(combine)(y, x, stride, index, weight, taps, n);
}

/* One row, resampled along itself: `columns` output positions of n channels. */
LSTM2D_PER_LEVEL(void, NAME(along_row), (REAL *y, const REAL *x, const ptrdiff_t *start, const ptrdiff_t *index,
                                         const double *weight, ptrdiff_t columns, ptrdiff_t n),
                 (y, x, start, index, weight, columns, n))
{
    for (ptrdiff_t j = 0; j < columns; j++)
        NAME(combine)(y + j * n, x, n, index + start[j], weight + start[j], start[j + 1] - start[j], n);
}
