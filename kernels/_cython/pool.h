/* Pooling of one row of the result, or of one row of the gradient; meaning: kernels/_reference/pool.py.

   Lanes run over channels. */

#ifndef POOL_H
#define POOL_H

#include "simd.h"
#include "stream.h"

/* Channels of one block of the inner loops: one AVX-512 register of float32. */
#define POOL_LANES 16
/* Values of a line that are compared at once: what is known of them stays in the L1 cache. */
#define POOL_VALUES 1024
/* Rows of a band for each row of a window: then the rows below a band, read for the next one too, are few. */
#define POOL_BAND 4
/* Values of a strip's lines: half of an L2 cache. */
#define POOL_TILE (1 << 16)
/* Bytes of a cache line. */
#define POOL_LINE 64
/* Pixels of a window from which a zero for each costs more than finding the winner's place. */
#define POOL_SPARSE 16

/* Sizes in pixels; a window of row r begins at row r * stride - padding of the image. */
typedef struct {
    ptrdiff_t height, width, channels;     /* of the image */
    ptrdiff_t rows, columns;               /* of the result */
    ptrdiff_t size[2], stride[2], padding[2], dilation[2];
    ptrdiff_t hop[2];                      /* from a window that has a pixel to the next one that has it */
} Pool;

/* Parts of an image's result. */
typedef struct {
    ptrdiff_t bands, rows;                 /* and the rows of each */
    ptrdiff_t strips, strip;               /* of each band, and values of their lines */
    ptrdiff_t scratch;                     /* values */
} Parts;

/* Runs CELLS(first, n) for the channels in whole blocks. The last block starts early enough to be whole, and
   computes some channels twice: nothing is read that a block writes, and so they come out the same. */
#define POOL_BLOCKS(channels, CELLS)                                         \
    if ((channels) < POOL_LANES)                                             \
        CELLS(0, channels);                                                  \
    else                                                                     \
        for (ptrdiff_t c = 0; c < (channels); c += POOL_LANES) {             \
            const ptrdiff_t last = (channels) - POOL_LANES;                  \
            const ptrdiff_t first = c < last ? c : last;                     \
            CELLS(first, POOL_LANES);                                        \
        }

LSTM2D_INLINE ptrdiff_t pool_smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

LSTM2D_INLINE int pool_dilated(const Pool *p)
{
    return p->dilation[0] != 1 || p->dilation[1] != 1;
}

/* The same without dilation, as constants: compiled separately, it takes no divisions. */
LSTM2D_INLINE Pool pool_whole(const Pool *p)
{
    Pool whole = *p;
    whole.dilation[0] = whole.dilation[1] = whole.hop[0] = whole.hop[1] = 1;
    return whole;
}

/* Places [low, high) of a window on an axis that lie inside the image; none where high <= low. */
LSTM2D_INLINE void pool_inside(const Pool *p, int axis, ptrdiff_t start, ptrdiff_t image, ptrdiff_t *low,
                               ptrdiff_t *high)
{
    const ptrdiff_t apart = p->dilation[axis], size = p->size[axis];
    *low = start < 0 ? (apart - 1 - start) / apart : 0;
    *high = start + (size - 1) * apart < image ? size : start < image ? (image - 1 - start) / apart + 1 : 0;
}

/* Windows low, low + hop ... below high that have a pixel, `from` pixels from the edge of the padding. */
LSTM2D_INLINE void pool_covering(const Pool *p, int axis, ptrdiff_t from, ptrdiff_t windows, ptrdiff_t *low,
                                 ptrdiff_t *high)
{
    const ptrdiff_t apart = p->dilation[axis], stride = p->stride[axis], span = (p->size[axis] - 1) * apart + 1;
    *low = from < span ? 0 : (from - span) / stride + 1;
    *high = pool_smaller(from / stride + 1, windows);
    if (apart == 1)
        return;
    const ptrdiff_t end = pool_smaller(*low + p->hop[axis], *high);
    while (*low < end && (from - *low * stride) % apart)
        ++*low;
    if (*low == end)
        *high = end; /* its distance to none of them is a multiple of the dilation */
}

/* Parts for windows at every pixel. A strip is at least as long as what is read beyond its end. */
static inline Parts pool_parts(const Pool *p)
{
    const ptrdiff_t line = p->columns * p->channels, beyond = (p->size[1] - 1) * p->dilation[1] * p->channels;
    const ptrdiff_t all = (p->rows - 1) / p->dilation[0] + 1, most = POOL_BAND * p->size[0];
    Parts parts;
    parts.rows = pool_smaller(all, most);
    parts.bands = p->dilation[0] * ((all - 1) / parts.rows + 1);
    const ptrdiff_t lines = parts.rows + p->size[0] - 1;
    const ptrdiff_t least = POOL_TILE / lines > beyond ? POOL_TILE / lines : beyond;
    parts.strips = least < line ? (line - 1) / least + 1 : 1;
    parts.strip = (line - 1) / parts.strips + 1;
    parts.scratch = lines * parts.strip + 2 * (parts.strip + beyond);
    return parts;
}

#define REAL float
#define NAME(f) f##_f32
#define PLACE int32_t
#include "pool_template.h"
#include "pool_blocks_template.h"
#include "pool_slide_template.h"
#undef PLACE
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#define PLACE int64_t
#include "pool_template.h"
#include "pool_blocks_template.h"
#include "pool_slide_template.h"
#undef PLACE
#undef REAL
#undef NAME

#endif
