"""Convolutions with large filters and stride 1 as nested Winograd F(4 x 4, 4 x 4).

The taps are cut into blocks of 4 x 4, zeros where the filter's size is no multiple of 4. A tile of 4 x 4 results
sees 7 x 7 pixels through a block, and as tiles and blocks are the same number of pixels apart, what tile (i, j) sees
through block (a, b) is what tile (i + a, j + b) sees through the first one. So every tile's pixels are transformed
once, to 7 x 7 points; at every point the channels are multiplied and summed over the blocks; the sums are
transformed to results. 49 multiplications take the place of 256. At one point the tiles of a row lie side by side,
so that the inputs of a tile from a row of blocks are a window in place, and the windows of a block of tile rows are one
matrix.

Tiles are taken in blocks, and a block one row of points at a time: its factors and products stay in the cache. The
transforms are linear, so a weight gradient is computed by their transposes: results and filters change roles. It is
summed in groups of blocks, and over these in order, so that it does not depend on the number of threads.

Winograd's method: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
"""

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena
from lstm2d.kernels._cython import nested_filters
from lstm2d.kernels._cython.blas cimport UNPACKED, matmul
from lstm2d.kernels._cython.gemm cimport blas_reads_in_place, product
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from "nested.h" nogil:
    # one axis of a transform, for many lanes: in, distance of two values in it, out, distance, lanes
    void nested_pixels_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t)
    void nested_pixels_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t)
    void nested_results_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t)
    void nested_results_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t)
    void nested_grad_results_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t)
    void nested_grad_results_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t)
    # for a row of tiles: in, distance of two tiles and two values in it, out, distances, tiles, channels
    void nested_pixels_tiles_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                 Py_ssize_t)
    void nested_pixels_tiles_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                 Py_ssize_t)
    void nested_results_tiles_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                  Py_ssize_t)
    void nested_results_tiles_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                  Py_ssize_t)
    void nested_grad_results_tiles_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t,
                                       Py_ssize_t, Py_ssize_t)
    void nested_grad_results_tiles_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t,
                                       Py_ssize_t, Py_ssize_t)

    # inputs of the tiles of a row: points, distance of two rows and two tiles in them, out, tiles, rows, values
    void nested_windows_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void nested_windows_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t)

cdef enum:
    SIDE = 4  # of a tile's results and of a block of taps
    POINTS = 7  # pixels that a tile sees along an axis, and its points
    TILES = 160  # of a block at most, about
    LEAST = 96  # with fewer, too little is done with the filters from one block to the next
    WIDE = 128  # of a row of a block
    GROUPS = 4
    LARGE = 1 << 14  # products of channels beyond which memory for the sums of two groups is enough
    LANES = 16  # values that a transform may touch beyond the end
    LINE = 16  # values of a cache line: the points must not fall into the same cache sets
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass

cdef struct Plan:
    Py_ssize_t height, width, channels  # input
    Py_ssize_t rows, columns, outputs  # output
    Py_ssize_t top, left  # padding
    Py_ssize_t down, across  # blocks of taps
    Py_ssize_t tile_rows, tile_columns, bands, strips  # of the output, and the blocks of tiles they are cut into
    Py_ssize_t tall, wide  # tiles of the largest block
    Py_ssize_t line_x, plane_x  # scratch: pixels of a row of tiles; one point of all tiles that are read
    Py_ssize_t line_y, plane_y  # and of the results
    Py_ssize_t y_lines, x_points, y_points, windows, edge, scratch  # where they lie, and the size

cdef struct Block:
    Py_ssize_t top, left, rows, columns  # tiles
    Py_ssize_t seen_rows, seen  # with those that are seen through the other blocks of taps


def products(x, weight, bias, y, padding):
    """Fill y, contiguous, with the convolution of x and weight (kh, kw, in, out), plus bias."""
    cdef Plan plan = _plan(x.shape, y.shape, weight.shape[:2], padding)
    threads = _threads(plan, x.shape[0])
    points = nested_filters.points(weight, threads)
    scratch = arena.empty((threads, plan.scratch), x.dtype)
    with single_blas():
        _products(x, points, bias, y, plan, scratch, threads)


def grad_weight(x, grad_y, kernel, padding):
    """Return the gradient of weight (kh, kw, in, out)."""
    cdef Plan plan = _plan(x.shape, grad_y.shape, kernel, padding)
    n = plan.channels * plan.outputs
    groups = min(<Py_ssize_t> GROUPS if n <= LARGE else <Py_ssize_t> 2, x.shape[0] * plan.bands * plan.strips)
    threads = min(groups, _threads(plan, x.shape[0]))
    scratch = arena.empty((threads, plan.scratch), x.dtype)
    sums = arena.empty((groups, POINTS * POINTS, plan.down, plan.across, n), x.dtype)
    with single_blas():
        _grad_weight(x, grad_y, sums, plan, scratch, threads)
    return nested_filters.grad_taps(sums, (*kernel, plan.channels, plan.outputs), threads)


cdef Plan _plan(x_shape, y_shape, kernel, padding):
    """Return how the tiles are cut into blocks, an even number of them for two threads, and the scratch memory."""
    cdef Plan p
    cdef Py_ssize_t tiles
    p.height, p.width, p.channels = x_shape[1:]
    p.rows, p.columns, p.outputs = y_shape[1:]
    p.top, p.left = padding
    p.down, p.across = -(-kernel[0] // SIDE), -(-kernel[1] // SIDE)
    p.tile_rows, p.tile_columns = (p.rows + SIDE - 1) // SIDE, (p.columns + SIDE - 1) // SIDE
    p.strips = (p.tile_columns + WIDE - 1) // WIDE
    p.wide = (p.tile_columns + p.strips - 1) // p.strips
    tiles = UNPACKED // (p.down * p.across * p.channels * p.outputs)
    p.tall = max(1, max(<Py_ssize_t> LEAST, min(<Py_ssize_t> TILES, tiles)) // p.wide)
    p.bands = (p.tile_rows + p.tall - 1) // p.tall
    p.bands = min(p.bands + p.bands % 2, p.tile_rows)
    p.tall = (p.tile_rows + p.bands - 1) // p.bands
    seen_rows, seen = p.tall + p.down - 1, p.wide + p.across - 1
    p.line_x = (seen * SIDE + POINTS - SIDE) * p.channels
    p.line_y = p.wide * SIDE * p.outputs
    p.plane_x = _padded(seen_rows * seen * p.channels)
    p.plane_y = _padded(p.tall * p.wide * p.outputs)
    p.y_lines = POINTS * seen_rows * p.line_x + LANES
    p.x_points = p.y_lines + POINTS * p.tall * p.line_y + LANES
    p.y_points = p.x_points + POINTS * p.plane_x
    p.windows = p.y_points + POINTS * p.plane_y
    p.edge = p.windows + p.tall * p.wide * p.down * p.across * p.channels + LANES
    p.scratch = p.edge + POINTS * max(p.line_x, p.line_y)
    return p


cdef Py_ssize_t _padded(Py_ssize_t values):
    return values // LINE * LINE + 3 * LINE


cdef int _threads(Plan plan, Py_ssize_t images):
    tiles = plan.tile_rows * plan.tile_columns * plan.down * plan.across
    return threads_for(images * tiles * POINTS * POINTS * plan.channels * plan.outputs // PRODUCTS)


cdef inline Block _block(const Plan* plan, Py_ssize_t k) noexcept nogil:
    """Return block k of an image."""
    cdef Py_ssize_t band = k // plan.strips, strip = k % plan.strips
    cdef Py_ssize_t top = band * plan.tile_rows // plan.bands, left = strip * plan.tile_columns // plan.strips
    cdef Block block
    block.top, block.left = top, left
    block.rows = (band + 1) * plan.tile_rows // plan.bands - top
    block.columns = (strip + 1) * plan.tile_columns // plan.strips - left
    block.seen_rows, block.seen = block.rows + plan.down - 1, block.columns + plan.across - 1
    return block


# ---- blocks of tiles


def _products(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] points, const floating[::1] bias,
              floating[:, :, :, ::1] y, Plan plan, floating[:, ::1] scratch, int threads):
    cdef Py_ssize_t blocks = plan.bands * plan.strips, k
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    for k in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _block_products(&x[k // blocks, 0, 0, 0], &points[0, 0, 0, 0], biases, &y[k // blocks, 0, 0, 0], &plan,
                        _block(&plan, k % blocks), &scratch[threadid(), 0])


cdef void _block_products(const floating* x, const floating* points, const floating* bias, floating* y,
                          const Plan* plan, Block block, floating* scratch) noexcept nogil:
    cdef Py_ssize_t outputs = plan.outputs, inner = plan.down * plan.across * plan.channels
    cdef Py_ssize_t n = block.rows * block.columns, p, q, k
    cdef const floating* windows
    cdef floating* sums
    cdef floating beta
    _pixel_lines(x, plan, &block, scratch)
    for p in range(POINTS):
        _pixel_points(plan, &block, p, scratch)
        for q in range(POINTS):
            windows, sums = _windows(plan, &block, q, scratch), scratch + plan.y_points + q * plan.plane_y
            beta = 0
            if bias and p == q == 1:  # of point (1, 1) all results of a tile get the same
                beta = 1
                for k in range(n):
                    memcpy(sums + k * outputs, bias, outputs * sizeof(floating))
            _product[floating](False, n, outputs, inner, windows, inner, points, outputs, beta, sums, outputs)
            points += inner * outputs
        _result_lines(plan, &block, p, scratch)
    _results(plan, &block, scratch, y)


def _grad_weight(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, floating[:, :, :, :, ::1] sums,
                 Plan plan, floating[:, ::1] scratch, int threads):
    cdef Py_ssize_t groups = sums.shape[0], g
    for g in prange(groups, nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, grad_y, &plan, g, groups, &sums[g, 0, 0, 0, 0], &scratch[threadid(), 0])


cdef void _group_sum(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, const Plan* plan,
                     Py_ssize_t group, Py_ssize_t groups, floating* total, floating* scratch) noexcept nogil:
    cdef Py_ssize_t blocks = plan.bands * plan.strips, k
    cdef Py_ssize_t first = x.shape[0] * blocks * group // groups, last = x.shape[0] * blocks * (group + 1) // groups
    for k in range(first, last):
        _block_sum(&x[k // blocks, 0, 0, 0], &grad_y[k // blocks, 0, 0, 0], plan, _block(plan, k % blocks),
                   0 if k == first else 1, total, scratch)


cdef void _block_sum(const floating* x, const floating* grad_y, const Plan* plan, Block block, floating beta,
                     floating* total, floating* scratch) noexcept nogil:
    cdef Py_ssize_t outputs = plan.outputs, inner = plan.down * plan.across * plan.channels
    cdef Py_ssize_t n = block.rows * block.columns, p, q
    _pixel_lines(x, plan, &block, scratch)
    _grad_lines(grad_y, plan, &block, scratch)
    for p in range(POINTS):
        _pixel_points(plan, &block, p, scratch)
        _grad_points(plan, &block, p, scratch)
        for q in range(POINTS):
            _product[floating](True, inner, outputs, n, _windows(plan, &block, q, scratch), inner,
                               scratch + plan.y_points + q * plan.plane_y, outputs, beta, total, outputs)
            total += inner * outputs


cdef void _product(
    bint transpose_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner,
    const floating* a, Py_ssize_t lda, const floating* b, Py_ssize_t ldb, floating beta, floating* c, Py_ssize_t ldc,
) noexcept nogil:
    """c (rows, columns) = op(a) b + beta c, cut along the longer of rows and inner, so that nothing is packed."""
    cdef Py_ssize_t pieces = (rows * columns * inner + UNPACKED - 1) // UNPACKED, k = 0, size, n
    if not blas_reads_in_place():
        product[floating](transpose_a, rows, columns, inner, a, lda, b, ldb, beta != 0, NULL, c, ldc)
        return
    if pieces == 0:
        return
    size = (max(rows, inner) + pieces - 1) // pieces
    while k < max(rows, inner):
        n = min(size, max(rows, inner) - k)
        if rows >= inner:
            matmul(transpose_a, False, n, columns, inner, a + k if transpose_a else a + k * lda, lda, b, ldb, beta,
                   c + k * ldc, ldc)
        else:
            matmul(transpose_a, False, rows, columns, n, a + k * lda if transpose_a else a + k, lda, b + k * ldb, ldb,
                   beta if k == 0 else 1, c, ldc)
        k += size


# ---- transforms of a block: along the rows first, for all points of the columns; then one of these at a time


cdef void _pixel_lines(const floating* image, const Plan* plan, const Block* block,
                       floating* scratch) noexcept nogil:
    """Transform the inputs of the tiles along the columns; zeros outside the image."""
    cdef Py_ssize_t c = plan.channels, step = plan.line_x, s = plan.width * c, i, k, row
    cdef Py_ssize_t first = block.left * SIDE - plan.left, wide = block.seen * SIDE + POINTS - SIDE
    cdef Py_ssize_t low = min(max(0, -first), wide), high = max(low, min(wide, plan.width - first))
    cdef Py_ssize_t lanes = (high - low) * c, t = (plan.tall + plan.down - 1) * step
    cdef const floating* source
    cdef floating* to
    for i in range(block.seen_rows):
        row = (block.top + i) * SIDE - plan.top
        source, s = image + (row * plan.width + first + low) * c, plan.width * c
        if row < 0 or row + POINTS > plan.height:
            _cut(image, plan.height, s, row, POINTS, (first + low) * c, lanes, scratch + plan.edge)
            source, s = scratch + plan.edge, lanes
        to = scratch + i * step
        for k in range(POINTS):
            memset(to + k * t, 0, low * c * sizeof(floating))
            memset(to + k * t + high * c, 0, (wide - high) * c * sizeof(floating))
        if floating is float:
            nested_pixels_f32(source, s, to + low * c, t, lanes)
        else:
            nested_pixels_f64(source, s, to + low * c, t, lanes)


cdef void _pixel_points(const Plan* plan, const Block* block, Py_ssize_t p, floating* scratch) noexcept nogil:
    """Transform row p of points along the rows."""
    cdef Py_ssize_t c = plan.channels, i
    cdef const floating* lines = scratch + p * (plan.tall + plan.down - 1) * plan.line_x
    cdef floating* to = scratch + plan.x_points
    for i in range(block.seen_rows):
        if floating is float:
            nested_pixels_tiles_f32(lines + i * plan.line_x, SIDE * c, c, to + i * block.seen * c, c, plan.plane_x,
                                    block.seen, c)
        else:
            nested_pixels_tiles_f64(lines + i * plan.line_x, SIDE * c, c, to + i * block.seen * c, c, plan.plane_x,
                                    block.seen, c)


cdef const floating* _windows(const Plan* plan, const Block* block, Py_ssize_t q, floating* scratch) noexcept nogil:
    """Return, at point q of a row, the inputs of each tile from all blocks of taps."""
    cdef Py_ssize_t c = plan.channels, line = block.seen * c, i
    cdef const floating* pixels = scratch + plan.x_points + q * plan.plane_x
    cdef floating* to = scratch + plan.windows
    if plan.down == plan.across == 1:
        return pixels
    for i in range(block.rows):
        if floating is float:
            nested_windows_f32(pixels + i * line, line, c, to, block.columns, plan.down, plan.across * c)
        else:
            nested_windows_f64(pixels + i * line, line, c, to, block.columns, plan.down, plan.across * c)
        to += block.columns * plan.down * plan.across * c
    return scratch + plan.windows


cdef void _result_lines(const Plan* plan, const Block* block, Py_ssize_t p, floating* scratch) noexcept nogil:
    """Transform row p of the products along the rows."""
    cdef Py_ssize_t c = plan.outputs, i
    cdef const floating* products = scratch + plan.y_points
    cdef floating* to = scratch + plan.y_lines + p * plan.tall * plan.line_y
    for i in range(block.rows):
        if floating is float:
            nested_results_tiles_f32(products + i * block.columns * c, c, plan.plane_y, to + i * plan.line_y, SIDE * c,
                                     c, block.columns, c)
        else:
            nested_results_tiles_f64(products + i * block.columns * c, c, plan.plane_y, to + i * plan.line_y, SIDE * c,
                                     c, block.columns, c)


cdef void _results(const Plan* plan, const Block* block, floating* scratch, floating* y) noexcept nogil:
    """Transform along the columns, and write the results without those outside the image."""
    cdef Py_ssize_t c = plan.outputs, t, i, k, row, s = plan.tall * plan.line_y
    cdef Py_ssize_t lanes = min(block.columns * SIDE, plan.columns - block.left * SIDE) * c
    cdef const floating* lines
    cdef floating* image
    cdef floating* to
    for i in range(block.rows):
        row = (block.top + i) * SIDE
        lines = scratch + plan.y_lines + i * plan.line_y
        image = y + (row * plan.columns + block.left * SIDE) * c
        to, t = image, plan.columns * c
        if row + SIDE > plan.rows:
            to, t = scratch + plan.edge, lanes
        if floating is float:
            nested_results_f32(lines, s, to, t, lanes)
        else:
            nested_results_f64(lines, s, to, t, lanes)
        if row + SIDE > plan.rows:
            for k in range(plan.rows - row):
                memcpy(image + k * plan.columns * c, to + k * lanes, lanes * sizeof(floating))


cdef void _grad_lines(const floating* grad_y, const Plan* plan, const Block* block,
                      floating* scratch) noexcept nogil:
    """Transform the gradients of the results along the columns; zeros outside the image."""
    cdef Py_ssize_t c = plan.outputs, s, i, k, row, t = plan.tall * plan.line_y
    cdef Py_ssize_t lanes = min(block.columns * SIDE, plan.columns - block.left * SIDE) * c
    cdef const floating* source
    cdef floating* to
    for i in range(block.rows):
        row = (block.top + i) * SIDE
        source, s = grad_y + (row * plan.columns + block.left * SIDE) * c, plan.columns * c
        if row + SIDE > plan.rows:
            _cut(grad_y, plan.rows, s, row, SIDE, block.left * SIDE * c, lanes, scratch + plan.edge)
            source, s = scratch + plan.edge, lanes
        to = scratch + plan.y_lines + i * plan.line_y
        for k in range(POINTS):
            memset(to + k * t + lanes, 0, (plan.line_y - lanes) * sizeof(floating))
        if floating is float:
            nested_grad_results_f32(source, s, to, t, lanes)
        else:
            nested_grad_results_f64(source, s, to, t, lanes)


cdef void _grad_points(const Plan* plan, const Block* block, Py_ssize_t p, floating* scratch) noexcept nogil:
    """Transform row p of the gradients' points along the rows."""
    cdef Py_ssize_t c = plan.outputs, i
    cdef const floating* lines = scratch + plan.y_lines + p * plan.tall * plan.line_y
    cdef floating* to = scratch + plan.y_points
    for i in range(block.rows):
        if floating is float:
            nested_grad_results_tiles_f32(lines + i * plan.line_y, SIDE * c, c, to + i * block.columns * c, c,
                                          plan.plane_y, block.columns, c)
        else:
            nested_grad_results_tiles_f64(lines + i * plan.line_y, SIDE * c, c, to + i * block.columns * c, c,
                                          plan.plane_y, block.columns, c)


cdef void _cut(const floating* image, Py_ssize_t height, Py_ssize_t line, Py_ssize_t row, Py_ssize_t n,
               Py_ssize_t first, Py_ssize_t lanes, floating* to) noexcept nogil:
    """Copy a part of n rows of which some lie outside the image: zeros there."""
    cdef Py_ssize_t i
    for i in range(row, row + n):
        if 0 <= i < height:
            memcpy(to, image + i * line + first, lanes * sizeof(floating))
        else:
            memset(to, 0, lanes * sizeof(floating))
        to += lanes
