/* The transforms of Winograd's F(4, 4), points 0, 1, -1, 2, -2, 1/2 and -1/2. Included once for each REAL; NAME(f)
   adds its suffix.

   A `line` function applies a matrix to m vectors of lanes: in[k * s] to out[k * t]. For point a the results' matrix
   has the powers of a, the taps' as well but divided by M'(a), and the pixels' the coefficients of M(x) / (x - a),
   M = x (x^2 - 1) (x^2 - 4) (x^2 - 1/4). A pair of points a, -a has the even powers in common, and the odd ones but
   for their sign. */

/* 7 pixels to 7 points */
LSTM2D_INLINE void NAME(nested_line_pixels)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                            ptrdiff_t m)
{
    const REAL q = (REAL)0.25, h = (REAL)0.5, f = (REAL)4.25, g = (REAL)1.25, k = (REAL)5.25;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p], a5 = in[5 * s + p],
                   a6 = in[6 * s + p];
        const REAL even1 = a6 - f * a4 + a2, odd1 = a5 - f * a3 + a1;
        const REAL even2 = a6 - g * a4 + q * a2, odd2 = 2 * (a5 - g * a3 + q * a1);
        const REAL even3 = a6 - 5 * a4 + 4 * a2, odd3 = h * (a5 - 5 * a3 + 4 * a1);
        out[p] = in[p] - a6 + k * (a4 - a2);
        out[t + p] = even1 + odd1;
        out[2 * t + p] = even1 - odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = even3 + odd3;
        out[6 * t + p] = even3 - odd3;
    }
}

/* 7 points to 4 results */
LSTM2D_INLINE void NAME(nested_line_results)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                             ptrdiff_t m)
{
    const REAL e = (REAL)0.125, q = (REAL)0.25, h = (REAL)0.5;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p], a5 = in[5 * s + p],
                   a6 = in[6 * s + p];
        const REAL sum1 = a1 + a2, sum2 = a3 + a4, sum3 = a5 + a6;
        const REAL difference1 = a1 - a2, difference2 = a3 - a4, difference3 = a5 - a6;
        out[p] = in[p] + sum1 + sum2 + sum3;
        out[t + p] = difference1 + 2 * difference2 + h * difference3;
        out[2 * t + p] = sum1 + 4 * sum2 + q * sum3;
        out[3 * t + p] = difference1 + 8 * difference2 + e * difference3;
    }
}

/* the transpose of nested_line_results: gradients of 4 results to those of 7 points */
LSTM2D_INLINE void NAME(nested_line_grad_results)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out,
                                                  ptrdiff_t t, ptrdiff_t m)
{
    const REAL e = (REAL)0.125, q = (REAL)0.25, h = (REAL)0.5;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a0 = in[p], a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p];
        const REAL even1 = a0 + a2, odd1 = a1 + a3, even2 = a0 + 4 * a2, odd2 = 2 * a1 + 8 * a3;
        const REAL even3 = a0 + q * a2, odd3 = h * a1 + e * a3;
        out[p] = a0;
        out[t + p] = even1 + odd1;
        out[2 * t + p] = even1 - odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = even3 + odd3;
        out[6 * t + p] = even3 - odd3;
    }
}

/* 4 taps to 7 points */
LSTM2D_INLINE void NAME(nested_line_taps)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                          ptrdiff_t m)
{
    const REAL one = (REAL)-2 / 9, two = (REAL)1 / 90, half = (REAL)32 / 45;
    const REAL e = (REAL)0.125, q = (REAL)0.25, h = (REAL)0.5;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a0 = in[p], a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p];
        const REAL even1 = one * (a0 + a2), odd1 = one * (a1 + a3);
        const REAL even2 = two * (a0 + 4 * a2), odd2 = two * (2 * a1 + 8 * a3);
        const REAL even3 = half * (a0 + q * a2), odd3 = half * (h * a1 + e * a3);
        out[p] = a0;
        out[t + p] = even1 + odd1;
        out[2 * t + p] = even1 - odd1;
        out[3 * t + p] = even2 + odd2;
        out[4 * t + p] = even2 - odd2;
        out[5 * t + p] = even3 + odd3;
        out[6 * t + p] = even3 - odd3;
    }
}

/* the transpose of nested_line_taps: gradients of 7 points to those of 4 taps */
LSTM2D_INLINE void NAME(nested_line_grad_taps)(const REAL *restrict in, ptrdiff_t s, REAL *restrict out, ptrdiff_t t,
                                               ptrdiff_t m)
{
    const REAL one = (REAL)-2 / 9, two = (REAL)1 / 90, half = (REAL)32 / 45;
    const REAL e = (REAL)0.125, q = (REAL)0.25, h = (REAL)0.5;
#pragma omp simd
    for (ptrdiff_t p = 0; p < m; p++) {
        const REAL a1 = in[s + p], a2 = in[2 * s + p], a3 = in[3 * s + p], a4 = in[4 * s + p], a5 = in[5 * s + p],
                   a6 = in[6 * s + p];
        const REAL sum1 = one * (a1 + a2), sum2 = two * (a3 + a4), sum3 = half * (a5 + a6);
        const REAL difference1 = one * (a1 - a2), difference2 = two * (a3 - a4), difference3 = half * (a5 - a6);
        out[p] = in[p] + sum1 + sum2 + sum3;
        out[t + p] = difference1 + 2 * difference2 + h * difference3;
        out[2 * t + p] = sum1 + 4 * sum2 + q * sum3;
        out[3 * t + p] = difference1 + 8 * difference2 + e * difference3;
    }
}

/* LINES: m vectors at once. TILES: one after the other for the tiles of a row, each of `channels` lanes and at
   in + j * in_tile; with fewer channels than lanes the lanes beyond are copied too, then overwritten by the next
   tile: in and out must have NESTED_LANES values more at their ends. */
#define LINES(transform, line)                                                                                         \
    LSTM2D_PER_LEVEL(void, NAME(transform), (const REAL *in, ptrdiff_t s, REAL *out, ptrdiff_t t, ptrdiff_t m),        \
                     (in, s, out, t, m))                                                                               \
    {                                                                                                                  \
        NAME(line)(in, s, out, t, m);                                                                                  \
    }
#define TILES(transform, line, OUTER)                                                                                  \
    LSTM2D_PER_LEVEL(void, NAME(transform), (const REAL *in, ptrdiff_t in_tile, ptrdiff_t s, REAL *out,                \
                                             ptrdiff_t out_tile, ptrdiff_t t, ptrdiff_t tiles, ptrdiff_t channels),    \
                     (in, in_tile, s, out, out_tile, t, tiles, channels))                                              \
    {                                                                                                                  \
        for (ptrdiff_t j = 0; j < tiles; j++, in += in_tile, out += out_tile) {                                        \
            if (channels < NESTED_LANES) {                                                                             \
                REAL between[OUTER * NESTED_LANES];                                                                    \
                NAME(line)(in, s, between, NESTED_LANES, NESTED_LANES);                                                \
                for (ptrdiff_t k = 0; k < OUTER; k++)                                                                  \
                    memcpy(out + k * t, between + k * NESTED_LANES, NESTED_LANES * sizeof(REAL));                      \
            } else                                                                                                     \
                for (ptrdiff_t c = 0; c < channels; c += NESTED_LANES) {                                               \
                    const ptrdiff_t last = channels - NESTED_LANES, first = c < last ? c : last;                       \
                    NAME(line)(in + first, s, out + first, t, NESTED_LANES);                                           \
                }                                                                                                      \
        }                                                                                                              \
    }

LINES(nested_pixels, nested_line_pixels)
LINES(nested_results, nested_line_results)
LINES(nested_grad_results, nested_line_grad_results)
LINES(nested_taps, nested_line_taps)
LINES(nested_grad_taps, nested_line_grad_taps)
TILES(nested_pixels_tiles, nested_line_pixels, 7)
TILES(nested_results_tiles, nested_line_results, 4)
TILES(nested_grad_results_tiles, nested_line_grad_results, 7)
#undef LINES
#undef TILES

/* For each tile, `rows` pieces of n values side by side, from in + j * in_tile + r * in_row. */
LSTM2D_PER_LEVEL(void, NAME(nested_windows), (const REAL *in, ptrdiff_t in_row, ptrdiff_t in_tile, REAL *out,
                                              ptrdiff_t tiles, ptrdiff_t rows, ptrdiff_t n),
                 (in, in_row, in_tile, out, tiles, rows, n))
{
    for (ptrdiff_t j = 0; j < tiles; j++, in += in_tile)
        for (ptrdiff_t r = 0; r < rows; r++, out += n)
            for (ptrdiff_t p = 0; p < n; p += NESTED_LANES)
                memcpy(out + p, in + r * in_row + p, NESTED_LANES * sizeof(REAL));
}
