/* Included once for each REAL; NAME(f) adds its suffix. Windows at every pixel, without padding, whose winners are not
   kept: the maximum along rows, then along columns. Of equal values and of several NaN it has the same as pool_max. */

/* y = maximum of `size` values of x, `step` apart, at each of n places. Each pass joins windows of the last one, so
   that it takes log2(size) of them. `work` has room for two lines that x has values for. */
LSTM2D_INLINE void NAME(slide)(ptrdiff_t size, ptrdiff_t step, ptrdiff_t n, const REAL *x, REAL *work, REAL *y)
{
    ptrdiff_t beyond = (size - 1) * step;
    REAL *to = work, *other = work + n + beyond;
    for (ptrdiff_t joined = 1;;) {
        const ptrdiff_t more = pool_smaller(joined, size - joined);
        beyond -= more * step;
        if (!beyond) {
            NAME(down)(more ? 2 : 1, n, x, more * step, y, NULL, 0);
            return;
        }
        NAME(down)(2, n + beyond, x, more * step, to, NULL, 0);
        REAL *const found = to;
        x = found, to = other, other = found;
        joined += more;
    }
}

/* One part of an image's result; `scratch` has parts->scratch values. The rows of a band are as far apart as those of a
   window, so that each line of the image is read for one band. */
LSTM2D_PER_LEVEL(void, NAME(pool_slide_max), (const Pool *p, const Parts *parts, const REAL *x, ptrdiff_t part,
                                              REAL *y, REAL *scratch, int stream),
                 (p, parts, x, part, y, scratch, stream))
{
    const ptrdiff_t line = p->columns * p->channels, apart = p->dilation[0], step = p->dilation[1] * p->channels;
    const ptrdiff_t band = part / parts->strips, first = part % parts->strips * parts->strip;
    const ptrdiff_t top = band % apart + band / apart * parts->rows * apart;
    const ptrdiff_t rows = pool_smaller(parts->rows, (p->rows - top + apart - 1) / apart);
    const ptrdiff_t n = pool_smaller(parts->strip, line - first), pitch = apart * p->width * p->channels;
    if (rows <= 0)
        return;
    ptrdiff_t below = p->size[0] - 1, joined = 1, more;
    REAL *const lines = scratch, *const work = scratch + (rows + below) * n;
    x += top * p->width * p->channels + first;
    for (ptrdiff_t i = 0; i < rows + below; i++, x += pitch) {
        for (ptrdiff_t k = 0; i + 1 < rows + below && k < n; k += POOL_LINE / sizeof(REAL))
            __builtin_prefetch(x + pitch + k);
        NAME(slide)(p->size[1], step, n, x, work, lines + i * n);
    }
    for (;; joined += more) {
        more = pool_smaller(joined, p->size[0] - joined);
        below -= more;
        if (!below)
            break;
        for (ptrdiff_t i = 0; i < rows + below; i++)
            NAME(take_larger)(n, lines + (i + more) * n, 0, lines + i * n, NULL, 0);
    }
    y += top * line + first;
    for (ptrdiff_t i = 0; i < rows; i++, y += apart * line) {
        NAME(down)(more ? 2 : 1, n, lines + i * n, more * n, stream ? work : y, NULL, 0);
        if (stream)
            stream_copy(y, work, (size_t)n * sizeof(REAL));
    }
    if (stream)
        stream_end();
}
