/* The transforms of Winograd's F(4 x 4, 3 x 3), points 0, 1, -1, 2, -2 and infinity. Included once for each REAL;
   NAME(f) adds its suffix.

   A `line` function applies a matrix to m vectors of lanes: in[k * s] to out[k * t]. A transform applies it to the
   columns of a tile and then to its rows. Lanes are channels: they lie side by side in every operand. */

/* 6 pixels to 6 points */
LSTM2D_INLINE void NAME(line_pixels)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t, ptrdiff_t m)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a0 = in[p], a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p],
                   a5 = in[5 * s + p];
        const REAL even1 = a4 - 4 * a2, odd1 = a3 - 4 * a1, even2 = a4 - a2, odd2 = 2 * (a3 - a1);
        out[p] = 4 * a0 - 5 * a2 + a4;
        out[t + p] = even1 + odd1;
        out[2 * t + p] = even1 - odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = 4 * a1 - 5 * a3 + a5;
    }
}

/* 6 points to 4 results */
LSTM2D_INLINE void NAME(line_results)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t, ptrdiff_t m)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p];
        const REAL sum1 = a1 + a2, difference1 = a1 - a2, sum2 = a3 + a4, difference2 = a3 - a4;
        out[p] = in[p] + sum1 + sum2;
        out[t + p] = difference1 + 2 * difference2;
        out[2 * t + p] = sum1 + 4 * sum2;
        out[3 * t + p] = difference1 + 8 * difference2 + in[5 * s + p];
    }
}

/* 3 taps to 6 points */
LSTM2D_INLINE void NAME(line_taps)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t, ptrdiff_t m)
{
    const REAL sixth = (REAL)1 / 6, twelfth = (REAL)1 / 12;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a0 = in[p], a1 = in[s + p], a2 = in[2 * s + p];
        const REAL even1 = -sixth * (a0 + a2), odd1 = sixth * a1, even2 = twelfth * ((REAL)0.5 * a0 + 2 * a2),
                   odd2 = twelfth * a1;
        out[p] = (REAL)0.25 * a0;
        out[t + p] = even1 - odd1;
        out[2 * t + p] = even1 + odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = a2;
    }
}

/* the transpose of line_results: gradients of 4 results to those of 6 points */
LSTM2D_INLINE void NAME(line_grad_results)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                           ptrdiff_t m)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a0 = in[p], a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p];
        const REAL even1 = a0 + a2, odd1 = a1 + a3, even2 = a0 + 4 * a2, odd2 = 2 * a1 + 8 * a3;
        out[p] = a0;
        out[t + p] = even1 + odd1;
        out[2 * t + p] = even1 - odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = a3;
    }
}

/* the transpose of line_taps: gradients of 6 points to those of 3 taps */
LSTM2D_INLINE void NAME(line_grad_taps)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                        ptrdiff_t m)
{
    const REAL sixth = (REAL)1 / 6, twelfth = (REAL)1 / 12;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p];
        const REAL sum1 = sixth * (a1 + a2), difference1 = sixth * (a2 - a1), sum2 = twelfth * (a3 + a4),
                   difference2 = twelfth * (a3 - a4);
        out[p] = (REAL)0.25 * in[p] - sum1 + (REAL)0.5 * sum2;
        out[t + p] = difference1 + difference2;
        out[2 * t + p] = 2 * sum2 - sum1 + in[5 * s + p];
    }
}

/* in (INNER x INNER tiles of n channels) to out (OUTER x OUTER); `add`, of n channels or NULL, is added to every
   value of out. */
#define TRANSFORM(transform, line, INNER, OUTER)                                                                  \
    LSTM2D_INLINE void NAME(transform##_lanes)(const REAL *in, ptrdiff_t in_row, ptrdiff_t in_column, REAL *out,       \
                                               ptrdiff_t out_row, ptrdiff_t out_column, const REAL *add, ptrdiff_t m)  \
    {                                                                                                                  \
        REAL between[OUTER * INNER * WINOGRAD_LANES];                                                                  \
        for (ptrdiff_t j = 0; j < INNER; j++)                                                                          \
            NAME(line)(in + j * in_column, in_row, between + j * WINOGRAD_LANES, INNER * WINOGRAD_LANES, m);           \
        for (ptrdiff_t i = 0; i < OUTER; i++) {                                                                        \
            REAL *to = out + i * out_row;                                                                              \
            NAME(line)(between + i * INNER * WINOGRAD_LANES, WINOGRAD_LANES, to, out_column, m);                       \
            for (ptrdiff_t k = 0; add && k < OUTER; k++)                                                               \
                for (ptrdiff_t p = 0; p < m; p++)                                                                      \
                    to[k * out_column + p] += add[p];                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    LSTM2D_CLONES static void NAME(transform)(const REAL *in, ptrdiff_t in_row, ptrdiff_t in_column, REAL *out,        \
                                              ptrdiff_t out_row, ptrdiff_t out_column, const REAL *add, ptrdiff_t n)   \
    {                                                                                                                  \
        ptrdiff_t c = 0;                                                                                               \
        for (; c + WINOGRAD_LANES <= n; c += WINOGRAD_LANES)                                                           \
            NAME(transform##_lanes)                                                                                    \
            (in + c, in_row, in_column, out + c, out_row, out_column, add ? add + c : NULL, WINOGRAD_LANES);           \
        if (c < n)                                                                                                     \
            NAME(transform##_lanes)                                                                                    \
            (in + c, in_row, in_column, out + c, out_row, out_column, add ? add + c : NULL, n - c);                    \
    }

TRANSFORM(winograd_pixels, line_pixels, 6, 6)
TRANSFORM(winograd_results, line_results, 6, 4)
TRANSFORM(winograd_taps, line_taps, 3, 6)
TRANSFORM(winograd_grad_results, line_grad_results, 4, 6)
TRANSFORM(winograd_grad_taps, line_grad_taps, 6, 3)
#undef TRANSFORM
