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

/* One part of an image's result; `scratch` has parts->scratch values. */
LSTM2D_PER_LEVEL(void, NAME(pool_slide_max), (const Pool *p, const Parts *parts, const REAL *x, ptrdiff_t part,
                                              REAL *y, REAL *scratch, int stream),
                 (p, parts, x, part, y, scratch, stream))
{
    const ptrdiff_t line = p->columns * p->channels, step = p->dilation[1] * p->channels;
    const ptrdiff_t top = part / parts->strips * POOL_BAND, first = part % parts->strips * parts->strip;
    const ptrdiff_t rows = pool_smaller(POOL_BAND, p->rows - top), n = pool_smaller(parts->strip, line - first);
    ptrdiff_t below = (p->size[0] - 1) * p->dilation[0], joined = 1, more, shift;
    REAL *const lines = scratch, *const work = scratch + (rows + below) * n;
    for (ptrdiff_t i = 0; i < rows + below; i++)
        NAME(slide)(p->size[1], step, n, x + (top + i) * p->width * p->channels + first, work, lines + i * n);
    for (;; joined += more) {
        more = pool_smaller(joined, p->size[0] - joined);
        shift = more * p->dilation[0];
        below -= shift;
        if (!below)
            break;
        for (ptrdiff_t i = 0; i < rows + below; i++)
            NAME(take_larger)(n, lines + (i + shift) * n, 0, lines + i * n, NULL, 0);
    }
    y += top * line + first;
    for (ptrdiff_t i = 0; i < rows; i++, y += line) {
        NAME(down)(more ? 2 : 1, n, lines + i * n, shift * n, stream ? work : y, NULL, 0);
        if (stream)
            stream_copy(y, work, (size_t)n * sizeof(REAL));
    }
    if (stream)
        stream_end();
}
