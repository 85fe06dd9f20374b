"""3 x 3 convolutions with stride 1 as Winograd's F(m x m, 3 x 3), m up to 6 (kernels/winograd.py).

A tile of m x m results sees (m + 2) x (m + 2) pixels, `dilation` pixels apart. Pixels and filters are transformed to
as many points; at every point the channels are multiplied, one product for a block of tiles; the products are
transformed to results. With m = 4, 36 multiplications take the place of 144, with m = 6, 64 that of 324.

Few filters: every thread works on blocks of its own, whose points stay in its cache. Many filters: the points of
the filters are larger than any cache, so a block has as many tiles as memory allows, and the threads share its tiles
and then its points.

The transforms are linear, so a weight gradient is computed by their transposes: results and filters change roles.
With few filters it is summed in groups of blocks, and over these in order, so that it does not depend on the number
of threads.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from lstm2d.kernels import arena, winograd
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels._cython.blas cimport matmul, matmul_thin
from lstm2d.kernels._cython.gemm cimport blas_reads_in_place, panel_bytes, product, product_panels
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels._cython.winograd_tiles cimport (
    OWN, PAD, SIDE, Block, Geometry, Plane, WinogradTile, corner, filter_tile, find_block, first_point, geometry,
    image_tile, scratch_length,
)
from lstm2d.kernels.blas import single_blas
from lstm2d.kernels._cython.grain import threads_for
from lstm2d.kernels._cython.panels import panels

use_level()

cdef extern from "winograd.h" nogil:
    void winograd_pixels_f32(const WinogradTile*, const float*, float*, const float*, const float*, Py_ssize_t)
    void winograd_pixels_f64(const WinogradTile*, const double*, double*, const double*, const double*, Py_ssize_t)
    void winograd_grad_results_f32(const WinogradTile*, const float*, float*, const float*, const float*, Py_ssize_t)
    void winograd_grad_results_f64(const WinogradTile*, const double*, double*, const double*, const double*,
                                   Py_ssize_t)
    void winograd_taps_f32(const WinogradTile*, const float*, float*, const float*, const float*, Py_ssize_t)
    void winograd_taps_f64(const WinogradTile*, const double*, double*, const double*, const double*, Py_ssize_t)
    void winograd_grad_taps_f32(const WinogradTile*, const float*, float*, const float*, const float*, Py_ssize_t)
    void winograd_grad_taps_f64(const WinogradTile*, const double*, double*, const double*, const double*, Py_ssize_t)
    void winograd_results_f32(const WinogradTile*, const float*, float*, const float*, const float*, const float*,
                              int, Py_ssize_t)
    void winograd_results_f64(const WinogradTile*, const double*, double*, const double*, const double*,
                              const double*, int, Py_ssize_t)

cdef enum:
    GROUPS = 4
    PRODUCTS = 16  # multiplications that take as long as one value of a plain pass
    FEW = 1 << 16  # filters whose points stay in the L3 cache from one block to the next
    RUN = 4096  # filters per task of a thread


def largest(channels, outputs):
    """Return how many results a tile has on an axis, at most."""
    return OWN if channels * outputs <= FEW else SIDE - 2


def products(x, weight, bias, y, padding, dilation, int activation, bint turned):
    """Fill y, contiguous, with the convolution of x and weight (3, 3, in, out), plus bias.

    With `turned` weight is (3, 3, out, in) and its taps are flipped.
    """
    n, inner, outputs = x.shape[0], x.shape[3], y.shape[3]
    size = largest(inner, outputs)
    rows, columns = (winograd.cut(y.shape[k + 1], dilation[k], size) for k in (0, 1))
    cdef Geometry g = geometry(x.shape, y.shape, padding, dilation, rows, columns, size)
    matrices = winograd.transforms(size, x.dtype)
    threads = _threads(&g, n)
    cdef bint across = turned and not g.few  # products with the filters' transpose; thin ones want them in order
    taps = weight.transpose(0, 1, 3, 2) if turned and g.few else weight
    if g.few and not blas_reads_in_place():
        taps = panels(taps, panel_bytes())  # their points lie in the same order
    taps = contiguous(taps).reshape(9, -1)
    points = arena.empty((g.rows.points * g.columns.points, inner * outputs + PAD), x.dtype)
    scratch = arena.empty((threads if g.few else 1, scratch_length(&g)), x.dtype)
    edges = arena.empty((threads, SIDE * SIDE * inner), x.dtype)
    with single_blas():
        if x.dtype == np.float32:
            _filters[float](taps, points, matrices.taps, &g, turned, threads)
            _products[float](x, points, bias, y, scratch, edges, matrices.pixels, matrices.results, &g, activation,
                             across, threads)
        else:
            _filters[double](taps, points, matrices.taps, &g, turned, threads)
            _products[double](x, points, bias, y, scratch, edges, matrices.pixels, matrices.results, &g, activation,
                              across, threads)


def grad_weight(x, grad_y, padding, dilation):
    """Return the gradient of weight (3, 3, in, out)."""
    n, inner, outputs = x.shape[0], x.shape[3], grad_y.shape[3]
    size = largest(inner, outputs)
    rows, columns = (winograd.cut(grad_y.shape[k + 1], dilation[k], size) for k in (0, 1))
    cdef Geometry g = geometry(x.shape, grad_y.shape, padding, dilation, rows, columns, size)
    matrices = winograd.transforms(size, x.dtype)
    threads = _threads(&g, n)
    groups = min(<Py_ssize_t> GROUPS, n * g.blocks) if g.few else 1
    sums = arena.empty((groups, g.rows.points * g.columns.points, inner * outputs + PAD), x.dtype)
    scratch = arena.empty((threads if g.few else 1, scratch_length(&g)), x.dtype)
    edges = arena.empty((threads, SIDE * SIDE * inner), x.dtype)
    grad = arena.empty((9, inner * outputs), x.dtype)
    with single_blas():
        if x.dtype == np.float32:
            _sums[float](x, grad_y, sums, scratch, edges, matrices.pixels, matrices.grad_results, &g, threads)
            _grad_filters[float](sums, grad, matrices.grad_taps, &g, threads)
        else:
            _sums[double](x, grad_y, sums, scratch, edges, matrices.pixels, matrices.grad_results, &g, threads)
            _grad_filters[double](sums, grad, matrices.grad_taps, &g, threads)
    return grad.reshape(3, 3, inner, outputs)


cdef int _threads(const Geometry* g, Py_ssize_t images):
    cdef Py_ssize_t points = g.rows.tiles * g.rows.points * g.columns.tiles * g.columns.points
    return threads_for(images * points * g.source.channels * g.target.channels // PRODUCTS)


cdef inline const floating* _matrix(const Geometry* g, const floating* stack, Py_ssize_t m) noexcept nogil:
    if m == OWN == g.largest:
        return NULL
    return stack + m * SIDE * SIDE


# ---- filters


cdef void _filters(const floating[:, ::1] taps, floating[:, ::1] points, const floating[:, ::1] matrix,
                   const Geometry* g, bint turned, int threads) noexcept:
    cdef Py_ssize_t n = taps.shape[1], runs = max(1, taps.shape[1] // RUN), r, length
    cdef Py_ssize_t places[SIDE * SIDE]
    cdef WinogradTile t = filter_tile(g, n, turned, places)
    cdef const floating* first = &taps[8 if turned else 0, 0]
    for r in prange(runs, nogil=True, schedule="static", num_threads=threads):
        length = RUN if r < runs - 1 else n - r * RUN
        if floating is float:
            winograd_taps_f32(&t, first + r * RUN, &points[0, r * RUN], &matrix[0, 0], &matrix[0, 0], length)
        else:
            winograd_taps_f64(&t, first + r * RUN, &points[0, r * RUN], &matrix[0, 0], &matrix[0, 0], length)


cdef void _grad_filters(floating[:, :, ::1] sums, floating[:, ::1] taps, const floating[:, ::1] matrix,
                        const Geometry* g, int threads) noexcept:
    """Add up the groups, and transform to the gradients of taps."""
    cdef Py_ssize_t n = taps.shape[1], runs = max(1, taps.shape[1] // RUN), r, length, k, p, c
    cdef Py_ssize_t places[SIDE * SIDE]
    cdef WinogradTile t = filter_tile(g, n, False, places)
    for r in prange(runs, nogil=True, schedule="static", num_threads=threads):
        length = RUN if r < runs - 1 else n - r * RUN
        for k in range(1, sums.shape[0]):
            for p in range(sums.shape[1]):
                for c in range(r * RUN, r * RUN + length):
                    sums[0, p, c] += sums[k, p, c]
        if floating is float:
            winograd_grad_taps_f32(&t, &sums[0, 0, r * RUN], &taps[0, r * RUN], &matrix[0, 0], &matrix[0, 0], length)
        else:
            winograd_grad_taps_f64(&t, &sums[0, 0, r * RUN], &taps[0, r * RUN], &matrix[0, 0], &matrix[0, 0], length)


# ---- results


cdef void _products(const floating[:, :, :, ::1] x, const floating[:, ::1] filters, const floating[::1] bias,
                    floating[:, :, :, ::1] y, floating[:, ::1] scratch, floating[:, ::1] edges,
                    const floating[:, :, ::1] pixels, const floating[:, :, ::1] results, const Geometry* g,
                    int activation, bint across, int threads) noexcept:
    cdef Py_ssize_t images = x.shape[0], n, k
    cdef Block b
    cdef const floating* biases = NULL
    if bias is not None:
        biases = &bias[0]
    if g.few:
        for n in prange(images * g.blocks, nogil=True, schedule="dynamic", num_threads=threads):
            _own_block(&x[n // g.blocks, 0, 0, 0], &filters[0, 0], biases, &y[n // g.blocks, 0, 0, 0],
                       &scratch[threadid(), 0], &edges[threadid(), 0], &pixels[0, 0, 0], &results[0, 0, 0], g,
                       n % g.blocks, activation)
        return
    for n in range(images * g.blocks):
        find_block(g, n % g.blocks, &b)
        for k in prange(b.rows * b.columns, nogil=True, schedule="dynamic", num_threads=threads):
            _pixels(&x[n // g.blocks, 0, 0, 0], g, &b, k, &pixels[0, 0, 0], &scratch[0, 0], &edges[threadid(), 0])
        for k in prange(SIDE * SIDE, nogil=True, schedule="dynamic", num_threads=threads):
            _product(g, &b, k, &scratch[0, 0], &filters[0, 0], across)
        for k in prange(b.rows * b.columns, nogil=True, schedule="dynamic", num_threads=threads):
            _results(&scratch[0, 0], g, &b, k, &results[0, 0, 0], biases, activation, &y[n // g.blocks, 0, 0, 0])


cdef void _own_block(const floating* x, const floating* filters, const floating* bias, floating* y,
                     floating* scratch, floating* edge, const floating* pixels, const floating* results,
                     const Geometry* g, Py_ssize_t index, int activation) noexcept nogil:
    cdef Block b
    cdef Py_ssize_t k
    find_block(g, index, &b)
    for k in range(b.rows * b.columns):
        _pixels(x, g, &b, k, pixels, scratch, edge)
    for k in range(SIDE * SIDE):
        _product(g, &b, k, scratch, filters, False)
    for k in range(b.rows * b.columns):
        _results(scratch, g, &b, k, results, bias, activation, y)


cdef inline floating* _second(const Geometry* g, const Block* b, floating* scratch) noexcept nogil:
    """Return the points of the target's side of a block, which follow those of the source's."""
    return scratch + b.total * g.source.channels + SIDE * SIDE * PAD


cdef void _product(const Geometry* g, const Block* b, Py_ssize_t point, floating* scratch, const floating* filters,
                   bint across) noexcept nogil:
    cdef Py_ssize_t inner = g.source.channels, outputs = g.target.channels
    cdef Py_ssize_t row = point // SIDE, column = point % SIDE, n = b.row_tiles[row] * b.column_tiles[column]
    cdef floating* a = scratch + first_point(b, point, inner)
    cdef floating* c = _second(g, b, scratch) + first_point(b, point, outputs)
    cdef const floating* w = filters + (row * g.columns.points + column) * (inner * outputs + PAD)
    if n and g.few and blas_reads_in_place():
        matmul_thin[floating](False, n, outputs, inner, a, inner, w, outputs, c, outputs)
    elif n and g.few:
        product_panels[floating](n, outputs, inner, a, inner, w, False, NULL, c, outputs)
    elif n:
        matmul[floating](False, across, n, outputs, inner, a, inner, w, inner if across else outputs, 0, c, outputs)


cdef void _pixels(const floating* image, const Geometry* g, const Block* b, Py_ssize_t tile, const floating* stack,
                  floating* points, floating* edge) noexcept nogil:
    """Transform the inputs of a tile."""
    cdef Py_ssize_t places[SIDE * SIDE]
    cdef WinogradTile t = image_tile(g, &g.source, b, tile, places)
    cdef const Plane* plane = &g.source
    cdef Py_ssize_t row = g.rows.first[b.row + tile // b.columns] + plane.top
    cdef Py_ssize_t column = g.columns.first[b.column + tile % b.columns] + plane.left, c = plane.channels
    cdef const floating* seen = image + (row * plane.width + column) * c
    if (row < 0 or row + (t.rows + 1) * plane.row_step >= plane.height
            or column < 0 or column + (t.columns + 1) * plane.column_step >= plane.width):
        _cut(image, plane, row, column, t.rows + 2, t.columns + 2, edge)
        t.row, t.column = (t.columns + 2) * c, c
        seen = edge
    if floating is float:
        winograd_pixels_f32(&t, seen, points, _matrix(g, stack, t.rows), _matrix(g, stack, t.columns), c)
    else:
        winograd_pixels_f64(&t, seen, points, _matrix(g, stack, t.rows), _matrix(g, stack, t.columns), c)


cdef void _cut(const floating* image, const Plane* plane, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
               Py_ssize_t columns, floating* tile) noexcept nogil:
    """Copy a tile that lies in part outside the image: zeros there."""
    cdef Py_ssize_t i, j, r, s, c = plane.channels
    for i in range(rows):
        r = row + i * plane.row_step
        for j in range(columns):
            s = column + j * plane.column_step
            if 0 <= r < plane.height and 0 <= s < plane.width:
                memcpy(tile, image + (r * plane.width + s) * c, c * sizeof(floating))
            else:
                memset(tile, 0, c * sizeof(floating))
            tile += c


cdef void _results(const floating* scratch, const Geometry* g, const Block* b, Py_ssize_t tile,
                   const floating* stack, const floating* bias, int activation, floating* image) noexcept nogil:
    """Write the results of a tile."""
    cdef Py_ssize_t places[SIDE * SIDE]
    cdef WinogradTile t = image_tile(g, &g.target, b, tile, places)
    cdef const floating* points = _second(g, b, <floating*> scratch)
    cdef const floating* rows = _matrix(g, stack, t.rows)
    cdef const floating* columns = _matrix(g, stack, t.columns)
    cdef Py_ssize_t first = corner(g, &g.target, b, tile), c = g.target.channels
    if floating is float:
        winograd_results_f32(&t, points, image + first, rows, columns, bias, activation, c)
    else:
        winograd_results_f64(&t, points, image + first, rows, columns, bias, activation, c)


# ---- weight gradient


cdef void _sums(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, floating[:, :, ::1] sums,
                floating[:, ::1] scratch, floating[:, ::1] edges, const floating[:, :, ::1] pixels,
                const floating[:, :, ::1] grad_results, const Geometry* g, int threads) noexcept:
    cdef Py_ssize_t groups = sums.shape[0], n, k, image
    cdef Block b
    if g.few:
        for n in prange(groups, nogil=True, schedule="dynamic", num_threads=threads):
            _group_sum(x, grad_y, n, groups, &sums[n, 0, 0], &scratch[threadid(), 0], &edges[threadid(), 0],
                       &pixels[0, 0, 0], &grad_results[0, 0, 0], g)
        return
    for n in range(x.shape[0] * g.blocks):
        image = n // g.blocks
        find_block(g, n % g.blocks, &b)
        for k in prange(b.rows * b.columns, nogil=True, schedule="dynamic", num_threads=threads):
            _pixels(&x[image, 0, 0, 0], g, &b, k, &pixels[0, 0, 0], &scratch[0, 0], &edges[threadid(), 0])
            _grad_results(&grad_y[image, 0, 0, 0], g, &b, k, &grad_results[0, 0, 0], &scratch[0, 0])
        for k in prange(SIDE * SIDE, nogil=True, schedule="dynamic", num_threads=threads):
            _add_product(g, &b, k, &scratch[0, 0], &sums[0, 0, 0], n == 0)


cdef void _group_sum(const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] grad_y, Py_ssize_t group,
                     Py_ssize_t groups, floating* total, floating* scratch, floating* edge, const floating* pixels,
                     const floating* grad_results, const Geometry* g) noexcept nogil:
    cdef Py_ssize_t n = group, k, image
    cdef Block b
    while n < x.shape[0] * g.blocks:
        image = n // g.blocks
        find_block(g, n % g.blocks, &b)
        for k in range(b.rows * b.columns):
            _pixels(&x[image, 0, 0, 0], g, &b, k, pixels, scratch, edge)
            _grad_results(&grad_y[image, 0, 0, 0], g, &b, k, grad_results, scratch)
        for k in range(SIDE * SIDE):
            _add_product(g, &b, k, scratch, total, n == group)
        n += groups


cdef void _add_product(const Geometry* g, const Block* b, Py_ssize_t point, floating* scratch, floating* sums,
                       bint first) noexcept nogil:
    cdef Py_ssize_t inner = g.source.channels, outputs = g.target.channels
    cdef Py_ssize_t row = point // SIDE, column = point % SIDE, n = b.row_tiles[row] * b.column_tiles[column]
    cdef floating* total = sums + (row * g.columns.points + column) * (inner * outputs + PAD)
    if row >= g.rows.points or column >= g.columns.points:
        return
    if n and g.few and not blas_reads_in_place():
        product[floating](True, inner, outputs, n, scratch + first_point(b, point, inner), inner,
                          _second(g, b, scratch) + first_point(b, point, outputs), outputs, not first, NULL, total,
                          outputs)
    elif n:
        matmul[floating](True, False, inner, outputs, n, scratch + first_point(b, point, inner), inner,
                         _second(g, b, scratch) + first_point(b, point, outputs), outputs, 0 if first else 1, total,
                         outputs)
    elif first:  # no tile of this block has the point: one of a later image may
        memset(total, 0, inner * outputs * sizeof(floating))


cdef void _grad_results(const floating* image, const Geometry* g, const Block* b, Py_ssize_t tile,
                        const floating* stack, floating* scratch) noexcept nogil:
    """Transform the gradients of a tile's results."""
    cdef Py_ssize_t places[SIDE * SIDE]
    cdef WinogradTile t = image_tile(g, &g.target, b, tile, places)
    cdef floating* points = _second(g, b, scratch)
    cdef const floating* rows = _matrix(g, stack, t.rows)
    cdef const floating* columns = _matrix(g, stack, t.columns)
    cdef Py_ssize_t first = corner(g, &g.target, b, tile), c = g.target.channels
    if floating is float:
        winograd_grad_results_f32(&t, image + first, points, rows, columns, c)
    else:
        winograd_grad_results_f64(&t, image + first, points, rows, columns, c)
