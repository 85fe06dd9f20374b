"""3 x 3 convolutions with stride 1 as Winograd's F(4 x 4, 3 x 3).

A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. A tile of 4 x 4 results sees
6 x 6 pixels. Pixels and filters are transformed to 36 points each; at every point the channels are multiplied,
one product for a block of tiles; the products are transformed to results. 36 multiplications take the place of
144. A block's transforms and products stay in the cache.

The transforms are linear, so a weight gradient is computed by their transposes: results and filters change roles.
It is summed in groups of blocks, and over these in order, so that it does not depend on the number of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena
from lstm2d.kernels._cython.blas cimport matmul, matmul_thin
from lstm2d.kernels.grain import threads_for
from lstm2d.kernels.threads import single_blas

cdef extern from "winograd.h" nogil:
    void winograd_pixels_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, const float*,
                             Py_ssize_t)
    void winograd_pixels_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, const double*,
                             Py_ssize_t)
    void winograd_results_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, const float*,
                              Py_ssize_t)
    void winograd_results_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, const double*,
                              Py_ssize_t)
    void winograd_taps_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, const float*,
                           Py_ssize_t)
    void winograd_taps_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, const double*,
                           Py_ssize_t)
    void winograd_grad_results_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, const float*,
                                   Py_ssize_t)
    void winograd_grad_results_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t,
                                   const double*, Py_ssize_t)
    void winograd_grad_taps_f32(const float*, Py_ssize_t, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, const float*,
                                Py_ssize_t)
    void winograd_grad_taps_f64(const double*, Py_ssize_t, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, const double*,
                                Py_ssize_t)

cdef enum:
    POINTS = 36
    RESULTS = 4  # side of a tile
    PIXELS = 6  # side of what it sees
    GROUPS = 4
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass
    THIN = 1 << 16  # filters up to which products of a few tiles are the fastest
    LINE = 16  # values of a cache line: the points of a tile must not fall into the same cache sets

cdef struct Plane:
    Py_ssize_t height, width, channels
    Py_ssize_t top, left  # pixel of the first tile's corner


def products(x, weight, bias, y, padding):
    """Fill y, contiguous, with the convolution of x and weight (3, 3, in, out), plus bias."""
    n, rows, columns, outputs = y.shape
    channels = x.shape[3]
    taps = np.ascontiguousarray(weight).reshape(9, channels * outputs)
    points = arena.empty((POINTS, channels * outputs), x.dtype)
    tiles = -(-rows // RESULTS) * -(-columns // RESULTS)
    block = min(tiles, _block(channels, outputs))
    threads = threads_for(n * tiles * POINTS * channels * outputs // PRODUCTS)
    edge = POINTS * max(channels, outputs)
    scratch = arena.empty((threads, POINTS * (_line(block, channels) + _line(block, outputs)) + edge), x.dtype)
    with single_blas():
        if x.dtype == np.float32:
            _taps[float](taps, points)
        else:
            _taps[double](taps, points)
        _products(x, points, bias, y, scratch, padding[0], padding[1], block, threads)


def grad_weight(x, grad_y, padding):
    """Return the gradient of weight (3, 3, in, out)."""
    n, rows, columns, outputs = grad_y.shape
    channels = x.shape[3]
    tiles = -(-rows // RESULTS) * -(-columns // RESULTS)
    block = min(tiles, _block(channels, outputs))
    groups = min(<Py_ssize_t> GROUPS, n * (-(-tiles // block)))
    threads = min(groups, threads_for(n * tiles * POINTS * channels * outputs // PRODUCTS))
    sums = arena.empty((groups, POINTS, channels * outputs), x.dtype)
    edge = POINTS * max(channels, outputs)
    scratch = arena.empty((threads, POINTS * (_line(block, channels) + _line(block, outputs)) + edge), x.dtype)
    grad = np.empty((9, channels * outputs), x.dtype)
    with single_blas():
        _grad_weight(x, grad_y, sums, scratch, padding[0], padding[1], block, threads)
    for k in range(1, groups):
        sums[0] += sums[k]
    if x.dtype == np.float32:
        _grad_taps[float](sums[0], grad)
    else:
        _grad_taps[double](sums[0], grad)
    return grad.reshape(3, 3, channels, outputs)


def _block(channels, outputs):
    """Return the tiles of a block: few, where the filters' points stay in the cache from one to the next."""
    return 32 if channels * outputs <= THIN else 256


cpdef Py_ssize_t _line(Py_ssize_t tiles, Py_ssize_t channels) noexcept nogil:
    return tiles * channels // LINE * LINE + 3 * LINE


cdef void _taps(const floating[:, ::1] taps, floating[:, ::1] points) noexcept:
    cdef Py_ssize_t n = taps.shape[1]
    if floating is float:
        winograd_taps_f32(&taps[0, 0], 3 * n, n, &points[0, 0], PIXELS * n, n, NULL, n)
    else:
        winograd_taps_f64(&taps[0, 0], 3 * n, n, &points[0, 0], PIXELS * n, n, NULL, n)


cdef void _grad_taps(const floating[:, ::1] points, floating[:, ::1] taps) noexcept:
    cdef Py_ssize_t n = taps.shape[1]
    if floating is float:
        winograd_grad_taps_f32(&points[0, 0], PIXELS * n, n, &taps[0, 0], 3 * n, n, NULL, n)
    else:
        winograd_grad_taps_f64(&points[0, 0], PIXELS * n, n, &taps[0, 0], 3 * n, n, NULL, n)


def _products(const floating[:, :, :, ::1] x, const floating[:, ::1] points, const floating[::1] bias,
              floating[:, :, :, ::1] y, floating[:, ::1] scratch, Py_ssize_t top, Py_ssize_t left, Py_ssize_t block,
              int threads):
    cdef Plane source = Plane(x.shape[1], x.shape[2], x.shape[3], -top, -left)
    cdef Plane target = Plane(y.shape[1], y.shape[2], y.shape[3], 0, 0)
    cdef Py_ssize_t columns = (target.width + RESULTS - 1) // RESULTS
    cdef Py_ssize_t tiles = (target.height + RESULTS - 1) // RESULTS * columns
    cdef Py_ssize_t blocks = (tiles + block - 1) // block, p
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    for p in prange(x.shape[0] * blocks, nogil=True, schedule="dynamic", num_threads=threads):
        _block_products(&x[p // blocks, 0, 0, 0], &source, &points[0, 0], biases, &y[p // blocks, 0, 0, 0], &target,
                        columns, p % blocks * block, min(block, tiles - p % blocks * block), &scratch[threadid(), 0])


cdef void _block_products(const floating* x, const Plane* source, const floating* points, const floating* bias,
                          floating* y, const Plane* target, Py_ssize_t columns, Py_ssize_t first, Py_ssize_t n,
                          floating* scratch) noexcept nogil:
    cdef Py_ssize_t channels = source.channels, outputs = target.channels, k
    cdef Py_ssize_t line_x = _line(n, channels), line_y = _line(n, outputs)
    cdef floating* products = scratch + POINTS * line_x
    cdef floating* edge = products + POINTS * line_y
    for k in range(n):
        _pixels(x, source, (first + k) // columns, (first + k) % columns, scratch + k * channels, line_x, edge)
    for k in range(POINTS):
        if channels * outputs <= THIN:
            matmul_thin[floating](False, n, outputs, channels, scratch + k * line_x, channels,
                                  points + k * channels * outputs, outputs, products + k * line_y, outputs)
        else:
            matmul[floating](False, False, n, outputs, channels, scratch + k * line_x, channels,
                             points + k * channels * outputs, outputs, <floating> 0, products + k * line_y, outputs)
    for k in range(n):
        _results(products + k * outputs, line_y, bias, y, target, (first + k) // columns, (first + k) % columns, edge)


def _grad_weight(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, floating[:, :, ::1] sums,
                 floating[:, ::1] scratch, Py_ssize_t top, Py_ssize_t left, Py_ssize_t block, int threads):
    cdef Plane source = Plane(x.shape[1], x.shape[2], x.shape[3], -top, -left)
    cdef Plane target = Plane(grad_y.shape[1], grad_y.shape[2], grad_y.shape[3], 0, 0)
    cdef Py_ssize_t groups = sums.shape[0], g
    for g in prange(groups, nogil=True, schedule="dynamic", num_threads=threads):
        _group_sum(x, &source, grad_y, &target, g, groups, block, &sums[g, 0, 0], &scratch[threadid(), 0])


cdef void _group_sum(const floating[:, :, :, ::1] x, const Plane* source, const floating[:, :, :, ::1] grad_y,
                     const Plane* target, Py_ssize_t group, Py_ssize_t groups, Py_ssize_t block, floating* total,
                     floating* scratch) noexcept nogil:
    cdef Py_ssize_t columns = (target.width + RESULTS - 1) // RESULTS
    cdef Py_ssize_t tiles = (target.height + RESULTS - 1) // RESULTS * columns
    cdef Py_ssize_t blocks = (tiles + block - 1) // block, channels = source.channels, outputs = target.channels
    cdef Py_ssize_t b = group, k, first, n, line_x, line_y
    cdef floating* grads
    cdef floating* edge
    while b < x.shape[0] * blocks:
        first = b % blocks * block
        n = min(block, tiles - first)
        line_x, line_y = _line(n, channels), _line(n, outputs)
        grads = scratch + POINTS * line_x
        edge = grads + POINTS * line_y
        for k in range(n):
            _pixels(&x[b // blocks, 0, 0, 0], source, (first + k) // columns, (first + k) % columns,
                    scratch + k * channels, line_x, edge)
            _grad_results(&grad_y[b // blocks, 0, 0, 0], target, (first + k) // columns, (first + k) % columns,
                          grads + k * outputs, line_y, edge)
        for k in range(POINTS):
            matmul[floating](True, False, channels, outputs, n, scratch + k * line_x, channels, grads + k * line_y,
                             outputs, 0 if b == group else 1, total + k * channels * outputs, outputs)
        b += groups


# ---- tiles


cdef inline bint _inside(const Plane* plane, Py_ssize_t row, Py_ssize_t column, Py_ssize_t side) noexcept nogil:
    return 0 <= row and row + side <= plane.height and 0 <= column and column + side <= plane.width


cdef void _cut(const floating* image, const Plane* plane, Py_ssize_t row, Py_ssize_t column, Py_ssize_t side,
               floating* tile) noexcept nogil:
    """Copy a tile that lies in part outside the image: zeros there."""
    cdef Py_ssize_t i, c = plane.channels, low = max(0, -column), high = min(side, plane.width - column)
    memset(tile, 0, side * side * c * sizeof(floating))
    if high <= low:
        return
    for i in range(max(0, -row), min(side, plane.height - row)):
        memcpy(tile + (i * side + low) * c, image + ((row + i) * plane.width + column + low) * c,
               (high - low) * c * sizeof(floating))


cdef inline void _pixels(const floating* image, const Plane* plane, Py_ssize_t i, Py_ssize_t j, floating* points,
                         Py_ssize_t line, floating* edge) noexcept nogil:
    """Transform what tile (i, j) sees."""
    cdef Py_ssize_t row = RESULTS * i + plane.top, column = RESULTS * j + plane.left, c = plane.channels
    cdef Py_ssize_t width = plane.width
    cdef const floating* tile = image + (row * width + column) * c
    if not _inside(plane, row, column, PIXELS):
        _cut(image, plane, row, column, PIXELS, edge)
        tile, width = edge, PIXELS
    if floating is float:
        winograd_pixels_f32(tile, width * c, c, points, PIXELS * line, line, NULL, c)
    else:
        winograd_pixels_f64(tile, width * c, c, points, PIXELS * line, line, NULL, c)


cdef inline void _grad_results(const floating* image, const Plane* plane, Py_ssize_t i, Py_ssize_t j,
                               floating* points, Py_ssize_t line, floating* edge) noexcept nogil:
    """Transform the gradients of tile (i, j)'s results."""
    cdef Py_ssize_t row = RESULTS * i, column = RESULTS * j, c = plane.channels, width = plane.width
    cdef const floating* tile = image + (row * width + column) * c
    if not _inside(plane, row, column, RESULTS):
        _cut(image, plane, row, column, RESULTS, edge)
        tile, width = edge, RESULTS
    if floating is float:
        winograd_grad_results_f32(tile, width * c, c, points, PIXELS * line, line, NULL, c)
    else:
        winograd_grad_results_f64(tile, width * c, c, points, PIXELS * line, line, NULL, c)


cdef inline void _results(const floating* points, Py_ssize_t line, const floating* bias, floating* image,
                          const Plane* plane, Py_ssize_t i, Py_ssize_t j, floating* edge) noexcept nogil:
    """Write the results of tile (i, j), without those outside the image."""
    cdef Py_ssize_t row = RESULTS * i, column = RESULTS * j, c = plane.channels, width = plane.width, k
    cdef floating* tile = image + (row * width + column) * c
    cdef bint inside = _inside(plane, row, column, RESULTS)
    if not inside:
        tile, width = edge, RESULTS
    if floating is float:
        winograd_results_f32(points, PIXELS * line, line, tile, width * c, c, bias, c)
    else:
        winograd_results_f64(points, PIXELS * line, line, tile, width * c, c, bias, c)
    if not inside:
        for k in range(min(RESULTS, plane.height - row)):
            memcpy(image + ((row + k) * plane.width + column) * c, edge + k * RESULTS * c,
                   min(RESULTS, plane.width - column) * c * sizeof(floating))
