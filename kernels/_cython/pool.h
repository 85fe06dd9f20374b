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
/* Pixels of a window from which a zero for each costs more than finding the winner's place. */
#define POOL_SPARSE 16

/* Sizes in pixels; a window of row r begins at row r * stride - padding of the image. */
typedef struct {
    ptrdiff_t height, width, channels;     /* of the image */
    ptrdiff_t rows, columns;               /* of the result */
    ptrdiff_t size[2], stride[2], padding[2];
} Pool;

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

/* Part [low, high) of a window of the axis that lies inside the image. */
LSTM2D_INLINE void pool_inside(ptrdiff_t start, ptrdiff_t size, ptrdiff_t image, ptrdiff_t *low, ptrdiff_t *high)
{
    *low = start < 0 ? -start : 0;
    *high = start + size > image ? image - start : size;
}

/* Windows [low, high) that cover `place`, counted from the edge of the padding. */
LSTM2D_INLINE void pool_covering(ptrdiff_t place, ptrdiff_t size, ptrdiff_t stride, ptrdiff_t windows,
                                 ptrdiff_t *low, ptrdiff_t *high)
{
    *low = place < size ? 0 : (place - size) / stride + 1;
    *high = place / stride + 1 < windows ? place / stride + 1 : windows;
}

#define REAL float
#define NAME(f) f##_f32
#define PLACE int32_t
#include "pool_template.h"
#include "pool_blocks_template.h"
#undef PLACE
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#define PLACE int64_t
#include "pool_template.h"
#include "pool_blocks_template.h"
#undef PLACE
#undef REAL
#undef NAME

#endif
