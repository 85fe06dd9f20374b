/* Included once for each REAL; NAME(f) adds its suffix, PLACE is an integer of REAL's size. Windows that touch, without
   padding: each value of x has one. Values of a line are compared with those below them first, whatever their
   channel, so that all lanes are full for any number of channels. */

/* The larger one, the first of equal ones. A NaN wins, and stays. */
LSTM2D_INLINE REAL NAME(larger)(REAL best, REAL v)
{
    const REAL number = v > best ? v : best;
    return v != v ? v : number;
}

/* best = the larger of best and v */
LSTM2D_INLINE void NAME(take_larger)(ptrdiff_t n, const REAL *restrict v, PLACE here, REAL *restrict best,
                                     PLACE *restrict place, const int keep)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const PLACE wins = (v[k] > best[k]) | (v[k] != v[k]);
        best[k] = NAME(larger)(best[k], v[k]);
        if (keep)
            place[k] = wins ? here : place[k];
    }
}

/* Largest of `rows` lines at every value, and which line has it. */
LSTM2D_INLINE void NAME(down)(ptrdiff_t rows, ptrdiff_t n, const REAL *restrict x, ptrdiff_t line,
                              REAL *restrict best, PLACE *restrict place, const int keep)
{
    const PLACE one = rows > 1;
    const REAL *restrict second = x + one * line;
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const PLACE wins = (second[k] > x[k]) | (second[k] != second[k]);
        best[k] = NAME(larger)(x[k], second[k]);
        if (keep)
            place[k] = wins ? one : 0;
    }
    for (ptrdiff_t row = 2; row < rows; row++)
        NAME(take_larger)(n, x + row * line, (PLACE)row, best, place, keep);
}

/* Largest of `columns` pixels of c channels, and its place in the window: the first of equal ones, the last NaN. */
LSTM2D_INLINE void NAME(across)(ptrdiff_t columns, ptrdiff_t c, const REAL *restrict best,
                                const PLACE *restrict place, REAL *restrict y, PLACE *restrict at, const int keep)
{
    const PLACE width = (PLACE)columns;
#pragma omp simd
    for (ptrdiff_t k = 0; k < c; k++) {
        y[k] = best[k];
        if (keep)
            at[k] = place[k] * width;
    }
    for (ptrdiff_t column = 1; column < columns; column++) {
        best += c, place += c;
        if (!keep) {
            NAME(take_larger)(c, best, 0, y, NULL, 0);
            continue;
        }
        const PLACE right = (PLACE)column;
#pragma omp simd
        for (ptrdiff_t k = 0; k < c; k++) {
            const REAL v = best[k], old = y[k];
            const PLACE here = place[k] * width + right, before = at[k];
            const PLACE wins = (v > old) | ((v == old) & (here < before)) |
                               ((v != v) & ((old == old) | (here > before)));
            y[k] = wins ? v : old;
            at[k] = wins ? here : before;
        }
    }
}

LSTM2D_INLINE void NAME(block_row)(const Pool *p, const REAL *x, REAL *y, unsigned char *small, int *large,
                                   int stream, const int keep)
{
    REAL best[POOL_VALUES], out[POOL_VALUES];
    PLACE place[POOL_VALUES], at[POOL_VALUES];
    const ptrdiff_t c = p->channels, line = p->width * c, piece = p->size[1] * c, most = POOL_VALUES / piece;
    for (ptrdiff_t j = 0; j < p->columns; j += most) {
        const ptrdiff_t n = p->columns - j < most ? p->columns - j : most;
        REAL *to = stream ? out : y + j * c;
        NAME(down)(p->size[0], n * piece, x + j * piece, line, best, place, keep);
        for (ptrdiff_t k = 0; k < n; k++)
            NAME(across)(p->size[1], c, best + k * piece, place + k * piece, to + k * c, at + k * c, keep);
        if (stream)
            stream_copy(y + j * c, out, (size_t)(n * c) * sizeof(REAL));
        for (ptrdiff_t k = 0; keep && small && k < n * c; k++)
            small[j * c + k] = (unsigned char)at[k];
        for (ptrdiff_t k = 0; keep && large && k < n * c; k++)
            large[j * c + k] = (int)at[k];
    }
    if (stream)
        stream_end();
}

/* One row of the result. `small` and `large` as in pool_max. */
LSTM2D_PER_LEVEL(void, NAME(pool_block_max), (const Pool *p, const REAL *x, ptrdiff_t row, REAL *y,
                                              unsigned char *small, int *large, int stream),
                 (p, x, row, y, small, large, stream))
{
    x += row * p->size[0] * p->width * p->channels;
    if (small || large)
        NAME(block_row)(p, x, y, small, large, stream, 1);
    else
        NAME(block_row)(p, x, y, NULL, NULL, stream, 0);
}

/* ---- gradient of the lines of x that one row of windows covers */

/* Large windows: zeros, and each gradient at its winner's place. */
LSTM2D_INLINE void NAME(scatter)(const Pool *p, const REAL *grad_y, const unsigned char *small, const int *large,
                                 REAL *grad_x)
{
    const ptrdiff_t c = p->channels, line = p->width * c, size = p->size[1];
    memset(grad_x, 0, (size_t)(p->size[0] * line) * sizeof(REAL));
    for (ptrdiff_t j = 0; j < p->columns; j++)
        for (ptrdiff_t k = 0; k < c; k++) {
            const int place = small ? small[j * c + k] : large[j * c + k];
            grad_x[place / size * line + (j * size + place % size) * c + k] = grad_y[j * c + k];
        }
}

/* Small windows: every value is written once, its gradient or zero. */
LSTM2D_INLINE void NAME(select)(const Pool *p, const REAL *grad_y, const unsigned char *small, REAL *grad_x,
                                int stream)
{
    REAL out[POOL_VALUES];
    const ptrdiff_t c = p->channels, piece = p->size[1] * c, most = POOL_VALUES / piece;
    for (ptrdiff_t row = 0; row < p->size[0]; row++, grad_x += p->width * c) {
        for (ptrdiff_t j = 0; j < p->columns; j += most) {
            const ptrdiff_t n = p->columns - j < most ? p->columns - j : most;
            REAL *to = stream ? out : grad_x + j * piece;
            for (ptrdiff_t k = 0; k < n * p->size[1]; k++) {
                const REAL *restrict grad = grad_y + (j + k / p->size[1]) * c;
                const unsigned char *restrict place = small + (j + k / p->size[1]) * c;
                const PLACE here = (PLACE)(row * p->size[1] + k % p->size[1]);
                REAL *restrict value = to + k * c;
#pragma omp simd
                for (ptrdiff_t q = 0; q < c; q++)
                    value[q] = (PLACE)place[q] == here ? grad[q] : 0;
            }
            if (stream)
                stream_copy(grad_x + j * piece, out, (size_t)(n * piece) * sizeof(REAL));
        }
        memset(grad_x + p->columns * piece, 0, (size_t)(p->width * c - p->columns * piece) * sizeof(REAL));
    }
    if (stream)
        stream_end();
}

LSTM2D_PER_LEVEL(void, NAME(pool_block_grad), (const Pool *p, const REAL *grad_y, const unsigned char *small,
                                               const int *large, REAL *grad_x, int stream),
                 (p, grad_y, small, large, grad_x, stream))
{
    if (large || p->size[0] * p->size[1] >= POOL_SPARSE)
        NAME(scatter)(p, grad_y, small, large, grad_x);
    else
        NAME(select)(p, grad_y, small, grad_x, stream);
}
