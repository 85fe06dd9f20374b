"""Functions of single elements, vectorised; meaning: kernels/_reference/elementwise.py.

tanh in float32 is the rational function of simd.h, exp in float32 the polynomial of exponential.h. An image
is cut into runs of a fixed length, so that which elements share a vector, and with it every bit, depends on
one image alone.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels import arena
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from *:
    """
    #include "exponential.h"
    #define LSTM2D_MAP(NAME, REAL, EXPRESSION)                                                                \
        LSTM2D_PER_LEVEL(void, NAME, (const REAL *x, REAL *y, ptrdiff_t n), (x, y, n))                        \
        {                                                                                                     \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < n; k++) y[k] = EXPRESSION;                          \
        }
    #define LSTM2D_MAP_GRAD(NAME, REAL, EXPRESSION)                                                           \
        LSTM2D_PER_LEVEL(void, NAME, (const REAL *y, const REAL *g, REAL *out, ptrdiff_t n), (y, g, out, n))  \
        {                                                                                                     \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < n; k++) out[k] = EXPRESSION;                        \
        }
    #define LSTM2D_ELEMENTWISE(REAL, SUFFIX)                                                                  \
        LSTM2D_INLINE REAL logistic_##SUFFIX(REAL x)                                                          \
        {                                                                                                     \
            const REAL e = exp_negative_##SUFFIX(x < 0 ? x : -x);                                             \
            return (x < 0 ? e : 1) / (1 + e);                                                                 \
        }                                                                                                     \
        LSTM2D_MAP(sigmoid_run_##SUFFIX, REAL, logistic_##SUFFIX(x[k]))                                       \
        LSTM2D_MAP(relu_run_##SUFFIX, REAL, relu_##SUFFIX(x[k]))                                              \
        LSTM2D_MAP_GRAD(tanh_grad_run_##SUFFIX, REAL, g[k] * (1 - y[k] * y[k]))                               \
        LSTM2D_MAP_GRAD(sigmoid_grad_run_##SUFFIX, REAL, g[k] * (y[k] * (1 - y[k])))                          \
        LSTM2D_MAP_GRAD(relu_grad_run_##SUFFIX, REAL, y[k] <= 0 ? 0 : g[k])                                   \
        LSTM2D_PER_LEVEL(void, sum_run_##SUFFIX, (const REAL *x, REAL *y, ptrdiff_t n, ptrdiff_t units),      \
                         (x, y, n, units))                                                                    \
        {                                                                                                     \
            for (ptrdiff_t k = 0; k < n; k++, x += 4 * units, y += units)                                     \
                _Pragma("omp simd") for (ptrdiff_t u = 0; u < units; u++)                                     \
                    y[u] = x[u] + x[units + u] + x[2 * units + u] + x[3 * units + u];                         \
        }
    LSTM2D_ELEMENTWISE(float, f32)
    LSTM2D_ELEMENTWISE(double, f64)
    LSTM2D_MAP(tanh_run_f32, float, tanh_f32(x[k]))
    static void tanh_run_f64(const double *x, double *y, ptrdiff_t n)
    {
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = tanh_f64(x[k]);
    }
    """
    void tanh_run_f32(const float*, float*, Py_ssize_t) noexcept nogil
    void tanh_run_f64(const double*, double*, Py_ssize_t) noexcept nogil
    void sigmoid_run_f32(const float*, float*, Py_ssize_t) noexcept nogil
    void sigmoid_run_f64(const double*, double*, Py_ssize_t) noexcept nogil
    void relu_run_f32(const float*, float*, Py_ssize_t) noexcept nogil
    void relu_run_f64(const double*, double*, Py_ssize_t) noexcept nogil
    void tanh_grad_run_f32(const float*, const float*, float*, Py_ssize_t) noexcept nogil
    void tanh_grad_run_f64(const double*, const double*, double*, Py_ssize_t) noexcept nogil
    void sigmoid_grad_run_f32(const float*, const float*, float*, Py_ssize_t) noexcept nogil
    void sigmoid_grad_run_f64(const double*, const double*, double*, Py_ssize_t) noexcept nogil
    void relu_grad_run_f32(const float*, const float*, float*, Py_ssize_t) noexcept nogil
    void relu_grad_run_f64(const double*, const double*, double*, Py_ssize_t) noexcept nogil
    void sum_run_f32(const float*, float*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void sum_run_f64(const double*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil

ctypedef void (*map_f32)(const float*, float*, Py_ssize_t) noexcept nogil
ctypedef void (*map_f64)(const double*, double*, Py_ssize_t) noexcept nogil
ctypedef void (*grad_f32)(const float*, const float*, float*, Py_ssize_t) noexcept nogil
ctypedef void (*grad_f64)(const double*, const double*, double*, Py_ssize_t) noexcept nogil

cdef enum:
    RUN = 16384  # elements per task of a thread
    POSITIONS = 256  # positions per task of a thread


def tanh_forward(x):
    """See kernels/_reference/elementwise.py."""
    return _map(x, tanh_run_f32, tanh_run_f64)


def tanh_backward(y, grad_y):
    """See kernels/_reference/elementwise.py."""
    return _map_grad(y, grad_y, tanh_grad_run_f32, tanh_grad_run_f64)


def sigmoid_forward(x):
    """See kernels/_reference/elementwise.py."""
    return _map(x, sigmoid_run_f32, sigmoid_run_f64)


def sigmoid_backward(y, grad_y):
    """See kernels/_reference/elementwise.py."""
    return _map_grad(y, grad_y, sigmoid_grad_run_f32, sigmoid_grad_run_f64)


def relu_forward(x):
    """See kernels/_reference/elementwise.py."""
    return _map(x, relu_run_f32, relu_run_f64)


def relu_backward(y, grad_y):
    """See kernels/_reference/elementwise.py."""
    return _map_grad(y, grad_y, relu_grad_run_f32, relu_grad_run_f64)


def direction_sum_forward(x):
    """See kernels/_reference/elementwise.py."""
    x, = contiguous_floats(x)
    *positions, channels = x.shape  # no index -1 here: the build turns wraparound off
    units = channels // 4
    y = arena.empty((*positions, units), x.dtype)
    if y.size:
        if x.dtype == np.float32:
            _sum[float](x.reshape(-1), y.reshape(-1), units, threads_for(x.size))
        else:
            _sum[double](x.reshape(-1), y.reshape(-1), units, threads_for(x.size))
    return y


def direction_sum_backward(grad_y):
    """See kernels/_reference/elementwise.py."""
    grad_y, = contiguous_floats(grad_y)
    *positions, units = grad_y.shape
    grad_x = arena.empty((*positions, 4 * units), grad_y.dtype)
    grad_x.reshape(*positions, 4, units)[...] = grad_y[..., None, :]
    return grad_x


def _images(array):
    return array.reshape(array.shape[0] if array.ndim > 1 else 1, -1)


cdef _map(x, map_f32 narrow, map_f64 wide):
    shape = x.shape
    x, = contiguous_floats(x)
    y = arena.empty(shape, x.dtype)
    if x.size:
        if x.dtype == np.float32:
            _map_images[float](_images(x), _images(y), narrow, wide, threads_for(x.size))
        else:
            _map_images[double](_images(x), _images(y), narrow, wide, threads_for(x.size))
    return y


cdef _map_grad(y, grad_y, grad_f32 narrow, grad_f64 wide):
    shape = y.shape
    y, grad_y = contiguous_floats(y, grad_y)
    grad_x = arena.empty(shape, y.dtype)
    if y.size:
        if y.dtype == np.float32:
            _map_images_grad[float](_images(y), _images(grad_y), _images(grad_x), narrow, wide, threads_for(y.size))
        else:
            _map_images_grad[double](_images(y), _images(grad_y), _images(grad_x), narrow, wide, threads_for(y.size))
    return grad_x


cdef void _map_images(const floating[:, ::1] x, floating[:, ::1] y, map_f32 narrow, map_f64 wide,
                      int threads) noexcept:
    cdef Py_ssize_t runs = (x.shape[1] + RUN - 1) // RUN, p, first
    for p in prange(x.shape[0] * runs, nogil=True, schedule="static", num_threads=threads):
        first = p % runs * RUN
        if floating is float:
            narrow(&x[p // runs, first], &y[p // runs, first], min(<Py_ssize_t> RUN, x.shape[1] - first))
        else:
            wide(&x[p // runs, first], &y[p // runs, first], min(<Py_ssize_t> RUN, x.shape[1] - first))


cdef void _map_images_grad(const floating[:, ::1] y, const floating[:, ::1] g, floating[:, ::1] out, grad_f32 narrow,
                           grad_f64 wide, int threads) noexcept:
    cdef Py_ssize_t runs = (y.shape[1] + RUN - 1) // RUN, p, first, n
    for p in prange(y.shape[0] * runs, nogil=True, schedule="static", num_threads=threads):
        first = p % runs * RUN
        n = min(<Py_ssize_t> RUN, y.shape[1] - first)
        if floating is float:
            narrow(&y[p // runs, first], &g[p // runs, first], &out[p // runs, first], n)
        else:
            wide(&y[p // runs, first], &g[p // runs, first], &out[p // runs, first], n)


cdef void _sum(const floating[::1] x, floating[::1] y, Py_ssize_t units, int threads) noexcept:
    # every output is one sum of four: no order to keep, whatever is cut where
    cdef Py_ssize_t positions = y.shape[0] // units, p, first, n
    for p in prange((positions + POSITIONS - 1) // POSITIONS, nogil=True, schedule="static", num_threads=threads):
        first = p * POSITIONS
        n = min(<Py_ssize_t> POSITIONS, positions - first)
        if floating is float:
            sum_run_f32(&x[first * 4 * units], &y[first * units], n, units)
        else:
            sum_run_f64(&x[first * 4 * units], &y[first * units], n, units)
