/* Labels from scores of another size, one row at a time. Included once for each REAL; NAME(f) adds its suffix. */

/* The first of the highest of n values: (1 - share) a + share b. */
LSTM2D_INLINE ptrdiff_t NAME(highest_between)(const REAL *a, const REAL *b, REAL share, ptrdiff_t n)
{
    ptrdiff_t best = 0;
    REAL most = (1 - share) * a[0] + share * b[0];
    for (ptrdiff_t c = 1; c < n; c++) {
        const REAL value = (1 - share) * a[c] + share * b[c];
        best = value > most ? c : best;
        most = value > most ? value : most;
    }
    return best;
}

/* One row of `width` labels between two rows of `columns` positions with n scores each. `scores` and `best` have room
   for such a row and for its labels. Linear interpolation keeps the order of two scores that have it on both sides,
   so positions between equal labels need no scores. */
LSTM2D_PER_LEVEL(void, NAME(label_row), (unsigned char *y, const REAL *top, const REAL *bottom, REAL down,
                                         const ptrdiff_t *left, const ptrdiff_t *right, const REAL *along,
                                         ptrdiff_t width, ptrdiff_t columns, ptrdiff_t n, REAL *scores,
                                         unsigned char *best),
                 (y, top, bottom, down, left, right, along, width, columns, n, scores, best))
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < columns * n; k++)
        scores[k] = (1 - down) * top[k] + down * bottom[k];
    for (ptrdiff_t j = 0; j < columns; j++)
        best[j] = (unsigned char)NAME(highest_between)(scores + j * n, scores + j * n, 0, n);
    for (ptrdiff_t j = 0; j < width; j++) {
        const ptrdiff_t a = left[j], b = right[j];
        y[j] = best[a] == best[b] || along[j] == 0
                   ? best[a]
                   : (unsigned char)NAME(highest_between)(scores + a * n, scores + b * n, along[j], n);
    }
}
