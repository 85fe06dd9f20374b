/* Included once for each REAL; NAME(f) adds its suffix. */

/* ---- maximum. The winner's place in its window goes to `small` or, where a byte does not hold it, to `large`;
   both NULL: to nowhere */

LSTM2D_INLINE void NAME(max_cells)(const Pool *p, ptrdiff_t n, const REAL *x, ptrdiff_t start, const ptrdiff_t *rows,
                                   const ptrdiff_t *columns, REAL *restrict y, unsigned char *restrict small,
                                   int *restrict large, const int keep)
{
    REAL best[POOL_LANES];
    int place[POOL_LANES];
    const ptrdiff_t down = p->dilation[0] * p->width * p->channels, right = p->dilation[1] * p->channels;
    const REAL *restrict corner = x + start + rows[0] * down + columns[0] * right;
#pragma omp simd
    for (ptrdiff_t c = 0; c < n; c++) {
        best[c] = corner[c];
        place[c] = (int)(rows[0] * p->size[1] + columns[0]);
    }
    for (ptrdiff_t i = rows[0]; i < rows[1]; i++)
        for (ptrdiff_t j = columns[0]; j < columns[1]; j++) {
            const REAL *restrict value = x + start + i * down + j * right;
            const int here = (int)(i * p->size[1] + j);
#pragma omp simd
            for (ptrdiff_t c = 0; c < n; c++) {
                const int wins = (value[c] > best[c]) | (value[c] != value[c]); /* a NaN wins, and stays */
                best[c] = wins ? value[c] : best[c];
                if (keep)
                    place[c] = wins ? here : place[c];
            }
        }
#pragma omp simd
    for (ptrdiff_t c = 0; c < n; c++)
        y[c] = best[c];
    if (keep && small) {
#pragma omp simd
        for (ptrdiff_t c = 0; c < n; c++)
            small[c] = (unsigned char)place[c];
    } else if (keep) {
#pragma omp simd
        for (ptrdiff_t c = 0; c < n; c++)
            large[c] = place[c];
    }
}

/* A window without pixels */
LSTM2D_INLINE void NAME(max_none)(ptrdiff_t n, REAL *restrict y, unsigned char *restrict small, int *restrict large)
{
    for (ptrdiff_t c = 0; c < n; c++)
        y[c] = -INFINITY;
    for (ptrdiff_t c = 0; small && c < n; c++)
        small[c] = 0;
    for (ptrdiff_t c = 0; large && c < n; c++)
        large[c] = 0;
}

LSTM2D_INLINE void NAME(max_row)(const Pool *p, const REAL *x, ptrdiff_t row, REAL *y, unsigned char *small,
                                 int *large)
{
    const ptrdiff_t top = row * p->stride[0] - p->padding[0];
    ptrdiff_t rows[2], columns[2];
    pool_inside(p, 0, top, p->height, &rows[0], &rows[1]);
    for (ptrdiff_t j = 0; j < p->columns; j++, y += p->channels) {
        const ptrdiff_t left = j * p->stride[1] - p->padding[1], start = (top * p->width + left) * p->channels;
        pool_inside(p, 1, left, p->width, &columns[0], &columns[1]);
#define SMALL(f, n) NAME(max_cells)(p, n, x, start + (f), rows, columns, y + (f), small + (f), NULL, 1)
#define LARGE(f, n) NAME(max_cells)(p, n, x, start + (f), rows, columns, y + (f), NULL, large + (f), 1)
#define ALONE(f, n) NAME(max_cells)(p, n, x, start + (f), rows, columns, y + (f), NULL, NULL, 0)
        if (rows[0] >= rows[1] || columns[0] >= columns[1]) {
            NAME(max_none)(p->channels, y, small, large);
        } else if (small) {
            POOL_BLOCKS(p->channels, SMALL)
        } else if (large) {
            POOL_BLOCKS(p->channels, LARGE)
        } else {
            POOL_BLOCKS(p->channels, ALONE)
        }
        small += small ? p->channels : 0;
        large += large ? p->channels : 0;
#undef SMALL
#undef LARGE
#undef ALONE
    }
}

LSTM2D_PER_LEVEL(void, NAME(pool_max), (const Pool *p, const REAL *x, ptrdiff_t row, REAL *y, unsigned char *small,
                                        int *large), (p, x, row, y, small, large))
{
    if (pool_dilated(p)) {
        NAME(max_row)(p, x, row, y, small, large);
    } else {
        const Pool whole = pool_whole(p);
        NAME(max_row)(&whole, x, row, y, small, large);
    }
}

/* ---- average: the padding counts as zeros */

LSTM2D_INLINE void NAME(mean_cells)(const Pool *p, ptrdiff_t n, const REAL *x, ptrdiff_t start,
                                    const ptrdiff_t *rows, const ptrdiff_t *columns, REAL *restrict y)
{
    const REAL size = (REAL)(p->size[0] * p->size[1]);
    REAL sum[POOL_LANES] = {0};
    for (ptrdiff_t i = rows[0]; i < rows[1]; i++)
        for (ptrdiff_t j = columns[0]; j < columns[1]; j++) {
            const REAL *restrict value = x + start + (i * p->width + j) * p->channels;
#pragma omp simd
            for (ptrdiff_t c = 0; c < n; c++)
                sum[c] += value[c];
        }
#pragma omp simd
    for (ptrdiff_t c = 0; c < n; c++)
        y[c] = sum[c] / size;
}

/* Windows at every column: lanes run over whole lines. */
LSTM2D_INLINE void NAME(mean_line)(const Pool *p, const REAL *x, const ptrdiff_t *rows, REAL *y)
{
    const REAL size = (REAL)(p->size[0] * p->size[1]);
    const ptrdiff_t line = p->columns * p->channels;
    REAL sum[POOL_VALUES];
    for (ptrdiff_t first = 0; first < line; first += POOL_VALUES) {
        const ptrdiff_t n = pool_smaller(POOL_VALUES, line - first);
        memset(sum, 0, (size_t)n * sizeof(REAL));
        for (ptrdiff_t i = rows[0]; i < rows[1]; i++)
            for (ptrdiff_t j = 0; j < p->size[1]; j++) {
                const REAL *restrict value = x + (i * p->width + j) * p->channels + first;
#pragma omp simd
                for (ptrdiff_t k = 0; k < n; k++)
                    sum[k] += value[k];
            }
        REAL *restrict to = y + first;
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            to[k] = sum[k] / size;
    }
}

LSTM2D_PER_LEVEL(void, NAME(pool_mean), (const Pool *p, const REAL *x, ptrdiff_t row, REAL *y), (p, x, row, y))
{
    const ptrdiff_t top = row * p->stride[0] - p->padding[0];
    ptrdiff_t rows[2], columns[2];
    pool_inside(p, 0, top, p->height, &rows[0], &rows[1]);
    if (p->stride[1] == 1 && p->padding[1] == 0) {
        NAME(mean_line)(p, x + top * p->width * p->channels, rows, y);
        return;
    }
    for (ptrdiff_t j = 0; j < p->columns; j++, y += p->channels) {
        const ptrdiff_t left = j * p->stride[1] - p->padding[1], start = (top * p->width + left) * p->channels;
        pool_inside(p, 1, left, p->width, &columns[0], &columns[1]);
#define CELLS(f, n) NAME(mean_cells)(p, n, x, start + (f), rows, columns, y + (f))
        POOL_BLOCKS(p->channels, CELLS)
#undef CELLS
    }
}

/* ---- gradients. Each value of grad_x collects from the windows that cover it, in their order, and is written
   once. With neither `small` nor `large` every value of a window has its share: the average. */

LSTM2D_INLINE void NAME(grad_cells)(const Pool *p, ptrdiff_t n, ptrdiff_t channel, ptrdiff_t down, ptrdiff_t right,
                                    const ptrdiff_t *rows, const ptrdiff_t *columns, const REAL *grad_y,
                                    const unsigned char *small, const int *large, REAL *restrict grad_x,
                                    const int bytes, const int max)
{
    const REAL share = (REAL)(p->size[0] * p->size[1]);
    REAL sum[POOL_LANES] = {0};
    for (ptrdiff_t i = rows[0]; i < rows[1]; i += p->hop[0])
        for (ptrdiff_t j = columns[0]; j < columns[1]; j += p->hop[1]) {
            const ptrdiff_t window = (i * p->columns + j) * p->channels + channel;
            const ptrdiff_t line = (down - i * p->stride[0]) / p->dilation[0];
            const int here = (int)(line * p->size[1] + (right - j * p->stride[1]) / p->dilation[1]);
            const REAL *restrict grad = grad_y + window;
            const unsigned char *restrict b = bytes ? small + window : NULL;
            const int *restrict w = max && !bytes ? large + window : NULL;
            if (rows[1] - rows[0] <= p->hop[0] && columns[1] - columns[0] <= p->hop[1]) { /* the only window: no sum */
#pragma omp simd
                for (ptrdiff_t c = 0; c < n; c++) {
                    const int place = bytes ? b[c] : max ? w[c] : here;
                    const REAL won = place == here ? grad[c] : 0;
                    grad_x[c] = max ? won : won / share;
                }
                return;
            }
#pragma omp simd
            for (ptrdiff_t c = 0; c < n; c++) {
                const int place = bytes ? b[c] : max ? w[c] : here;
                sum[c] += place == here ? grad[c] : 0;
            }
        }
#pragma omp simd
    for (ptrdiff_t c = 0; c < n; c++)
        grad_x[c] = max ? sum[c] : sum[c] / share;
}

LSTM2D_INLINE void NAME(grad_row)(const Pool *p, ptrdiff_t row, const REAL *grad_y, const unsigned char *small,
                                  const int *large, REAL *grad_x)
{
    ptrdiff_t rows[2], columns[2];
    const ptrdiff_t down = row + p->padding[0];
    pool_covering(p, 0, down, p->rows, &rows[0], &rows[1]);
    for (ptrdiff_t j = 0; j < p->width; j++, grad_x += p->channels) {
        const ptrdiff_t right = j + p->padding[1];
        pool_covering(p, 1, right, p->columns, &columns[0], &columns[1]);
#define SMALL(f, n) NAME(grad_cells)(p, n, f, down, right, rows, columns, grad_y, small, NULL, grad_x + (f), 1, 1)
#define LARGE(f, n) NAME(grad_cells)(p, n, f, down, right, rows, columns, grad_y, NULL, large, grad_x + (f), 0, 1)
#define MEAN(f, n) NAME(grad_cells)(p, n, f, down, right, rows, columns, grad_y, NULL, NULL, grad_x + (f), 0, 0)
        if (small) {
            POOL_BLOCKS(p->channels, SMALL)
        } else if (large) {
            POOL_BLOCKS(p->channels, LARGE)
        } else {
            POOL_BLOCKS(p->channels, MEAN)
        }
#undef SMALL
#undef LARGE
#undef MEAN
    }
}

LSTM2D_PER_LEVEL(void, NAME(pool_grad), (const Pool *p, ptrdiff_t row, const REAL *grad_y,
                                         const unsigned char *small, const int *large, REAL *grad_x),
                 (p, row, grad_y, small, large, grad_x))
{
    if (pool_dilated(p)) {
        NAME(grad_row)(p, row, grad_y, small, large, grad_x);
    } else {
        const Pool whole = pool_whole(p);
        NAME(grad_row)(&whole, row, grad_y, small, large, grad_x);
    }
}
