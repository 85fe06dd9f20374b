"""Steps of an optimizer in one pass over the memory; meaning and bits: kernels/_reference/update.py.

Threads take runs of a fixed length. The squares of a gradient are added as NumPy adds them, pair by pair of halves.
"""

import math

import numpy as np

from cython cimport floating
from cython.parallel cimport prange

from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from *:
    """
    #include "simd.h"
    enum { UPDATE_BLOCK = 1024 };

    #define LSTM2D_PASS(EXPRESSION) _Pragma("omp simd") for (ptrdiff_t k = 0; k < m; k++) EXPRESSION;

    #define LSTM2D_UPDATE(REAL, SUFFIX, SQRT)                                                                     \
        /* the changes before the learning rate; rates and mean may be NULL, as everywhere below */               \
        LSTM2D_INLINE void descent_##SUFFIX(const REAL *w, const REAL *g, const REAL *rates, REAL *change,        \
                                            REAL clip, REAL weight_decay, ptrdiff_t m)                            \
        {                                                                                                         \
            LSTM2D_PASS(change[k] = g[k] * clip)                                                                  \
            if (weight_decay != 0)                                                                                \
                LSTM2D_PASS(change[k] += weight_decay * w[k])                                                     \
            if (rates)                                                                                            \
                LSTM2D_PASS(change[k] = rates[k] == 0 ? 0 : change[k])                                            \
        }                                                                                                         \
        LSTM2D_INLINE void scale_##SUFFIX(REAL *change, const REAL *rates, REAL learning_rate, ptrdiff_t m)       \
        {                                                                                                         \
            LSTM2D_PASS(change[k] *= learning_rate)                                                               \
            if (rates)                                                                                            \
                LSTM2D_PASS(change[k] *= rates[k])                                                                \
        }                                                                                                         \
        LSTM2D_INLINE void follow_##SUFFIX(REAL *mean, const REAL *w, REAL share, ptrdiff_t m)                    \
        {                                                                                                         \
            if (mean)                                                                                             \
                LSTM2D_PASS(mean[k] += share * (w[k] - mean[k]))                                                  \
        }                                                                                                         \
        LSTM2D_PER_LEVEL(void, sgd_run_##SUFFIX, (REAL *w, const REAL *g, REAL *velocity, REAL *mean,             \
                                                  const REAL *rates, REAL learning_rate, REAL clip,               \
                                                  REAL weight_decay, REAL momentum, REAL share, ptrdiff_t n),     \
                         (w, g, velocity, mean, rates, learning_rate, clip, weight_decay, momentum, share, n))    \
        {                                                                                                         \
            REAL change[UPDATE_BLOCK];                                                                            \
            for (ptrdiff_t m; n > 0; n -= m, w += m, g += m, velocity += m) {                                     \
                m = n < UPDATE_BLOCK ? n : UPDATE_BLOCK;                                                          \
                descent_##SUFFIX(w, g, rates, change, clip, weight_decay, m);                                     \
                scale_##SUFFIX(change, rates, learning_rate, m);                                                  \
                LSTM2D_PASS(velocity[k] = velocity[k] * momentum - change[k])                                     \
                LSTM2D_PASS(w[k] += velocity[k])                                                                  \
                follow_##SUFFIX(mean, w, share, m);                                                               \
                mean = mean ? mean + m : mean;                                                                    \
                rates = rates ? rates + m : rates;                                                                \
            }                                                                                                     \
        }                                                                                                         \
        LSTM2D_PER_LEVEL(void, adadelta_run_##SUFFIX, (REAL *w, const REAL *g, REAL *square, REAL *change,        \
                                                       REAL *mean, const REAL *rates, REAL learning_rate,         \
                                                       REAL clip, REAL weight_decay, REAL rho, REAL new_share,    \
                                                       REAL eps, REAL share, ptrdiff_t n),                        \
                         (w, g, square, change, mean, rates, learning_rate, clip, weight_decay, rho, new_share,   \
                          eps, share, n))                                                                         \
        {                                                                                                         \
            REAL step[UPDATE_BLOCK];                                                                              \
            for (ptrdiff_t m; n > 0; n -= m, w += m, g += m, square += m, change += m) {                          \
                m = n < UPDATE_BLOCK ? n : UPDATE_BLOCK;                                                          \
                descent_##SUFFIX(w, g, rates, step, clip, weight_decay, m);                                       \
                LSTM2D_PASS(square[k] = square[k] * rho + step[k] * step[k] * new_share)                          \
                LSTM2D_PASS(step[k] = step[k] / SQRT(square[k] + eps) * SQRT(change[k] + eps))                    \
                LSTM2D_PASS(change[k] = change[k] * rho + step[k] * step[k] * new_share)                          \
                scale_##SUFFIX(step, rates, learning_rate, m);                                                    \
                LSTM2D_PASS(w[k] -= step[k])                                                                      \
                follow_##SUFFIX(mean, w, share, m);                                                               \
                mean = mean ? mean + m : mean;                                                                    \
                rates = rates ? rates + m : rates;                                                                \
            }                                                                                                     \
        }                                                                                                         \
        /* a sum of squares in the order in which NumPy adds the values of a long array */                        \
        LSTM2D_PER_LEVEL(double, squares_leaf_##SUFFIX, (const REAL *x, ptrdiff_t n), (x, n))                     \
        {                                                                                                         \
            double r[8] = {0, 0, 0, 0, 0, 0, 0, 0}, sum = 0;                                                      \
            ptrdiff_t k = 0;                                                                                      \
            for (; k + 8 <= n; k += 8)                                                                            \
                for (int j = 0; j < 8; j++)                                                                       \
                    r[j] += (double)x[k + j] * x[k + j];                                                          \
            sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));                              \
            for (; k < n; k++)                                                                                    \
                sum += (double)x[k] * x[k];                                                                       \
            return sum;                                                                                           \
        }                                                                                                         \
        static double squares_##SUFFIX(const REAL *x, ptrdiff_t n)                                                \
        {                                                                                                         \
            if (n <= 128)                                                                                         \
                return squares_leaf_##SUFFIX(x, n);                                                               \
            const ptrdiff_t half = n / 2 - n / 2 % 8;                                                             \
            return squares_##SUFFIX(x, half) + squares_##SUFFIX(x + half, n - half);                              \
        }                                                                                                         \
        LSTM2D_PER_LEVEL(int, finite_run_##SUFFIX, (const REAL *x, ptrdiff_t n), (x, n))                          \
        {                                                                                                         \
            REAL rest = 0; /* 0 x is NaN where x is not finite */                                                 \
            _Pragma("omp simd reduction(+ : rest)") for (ptrdiff_t k = 0; k < n; k++) rest += 0 * x[k];           \
            return rest == 0;                                                                                     \
        }

    LSTM2D_UPDATE(float, f32, sqrtf)
    LSTM2D_UPDATE(double, f64, sqrt)
    """
    void sgd_run_f32(float*, const float*, float*, float*, const float*, float, float, float, float, float,
                     Py_ssize_t) noexcept nogil
    void sgd_run_f64(double*, const double*, double*, double*, const double*, double, double, double, double, double,
                     Py_ssize_t) noexcept nogil
    void adadelta_run_f32(float*, const float*, float*, float*, float*, const float*, float, float, float, float,
                          float, float, float, Py_ssize_t) noexcept nogil
    void adadelta_run_f64(double*, const double*, double*, double*, double*, const double*, double, double, double,
                          double, double, double, double, Py_ssize_t) noexcept nogil
    double squares_f32(const float*, Py_ssize_t) noexcept nogil
    double squares_f64(const double*, Py_ssize_t) noexcept nogil
    int finite_run_f32(const float*, Py_ssize_t) noexcept nogil
    int finite_run_f64(const double*, Py_ssize_t) noexcept nogil

cdef enum:
    RUN = 16384  # weights per task of a thread
    PARTS = 64  # of a long gradient, each with its own sum


def gradient_norm(gradient):
    """See kernels/_reference/update.py."""
    gradient, = contiguous_floats(gradient)
    if gradient.dtype == np.float32:
        return math.sqrt(_squares[float](gradient, threads_for(gradient.size)))
    return math.sqrt(_squares[double](gradient, threads_for(gradient.size)))


def is_finite(values):
    """See kernels/_reference/update.py."""
    values, = contiguous_floats(values)
    values = values.reshape(-1)
    if values.dtype == np.float32:
        return _finite[float](values, threads_for(values.size)) == 0
    return _finite[double](values, threads_for(values.size)) == 0


def sgd_step(weights, gradient, velocity, mean, rates, double learning_rate, double clip, double weight_decay,
             double momentum, double decay):
    """See kernels/_reference/update.py."""
    arrays = _checked(weights, gradient, velocity, mean, rates)
    scalars = np.array([learning_rate, clip, weight_decay, momentum, 1.0 - decay])
    if weights.dtype == np.float32:
        _sgd[float](*arrays, scalars.astype(np.float32), threads_for(weights.size))
    else:
        _sgd[double](*arrays, scalars, threads_for(weights.size))


def adadelta_step(weights, gradient, square, change, mean, rates, double learning_rate, double clip,
                  double weight_decay, double rho, double eps, double decay):
    """See kernels/_reference/update.py."""
    arrays = _checked(weights, gradient, square, change, mean, rates)
    scalars = np.array([learning_rate, clip, weight_decay, rho, 1.0 - rho, eps, 1.0 - decay])
    if weights.dtype == np.float32:
        _adadelta[float](*arrays, scalars.astype(np.float32), threads_for(weights.size))
    else:
        _adadelta[double](*arrays, scalars, threads_for(weights.size))


def _checked(weights, *others):
    """Return the arrays, an empty one for None; all must lie in order in memory, for they are changed in place."""
    given = [weights, *(a for a in others if a is not None)]
    if any(a.size != weights.size for a in given):
        raise ValueError(f"{', '.join(str(a.shape) for a in given)}: not one value a weight")
    if not all(a.flags.aligned for a in given):
        raise ValueError("an array is not aligned to its data type")
    return [weights, *(np.empty(0, weights.dtype) if a is None else a for a in others)]


cdef double _squares(const floating[::1] x, int threads) noexcept:
    cdef Py_ssize_t starts[PARTS + 1]
    cdef double sums[PARTS]
    cdef Py_ssize_t n = x.shape[0], parts = PARTS if n >= PARTS * RUN else 1, k
    if n == 0:
        return 0
    starts[0] = 0
    _cut(n, starts, parts)
    for k in prange(parts, nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            sums[k] = squares_f32(&x[starts[k]], starts[k + 1] - starts[k])
        else:
            sums[k] = squares_f64(&x[starts[k]], starts[k + 1] - starts[k])
    while parts > 1:  # the sums of two halves, from the smallest up
        parts = parts // 2
        for k in range(parts):
            sums[k] = sums[2 * k] + sums[2 * k + 1]
    return sums[0]


cdef void _cut(Py_ssize_t n, Py_ssize_t* starts, Py_ssize_t parts) noexcept:
    """Write the end of each part, from the start of the first: halves of halves."""
    if parts == 1:
        starts[1] = starts[0] + n
        return
    _cut(n // 2 - n // 2 % 8, starts, parts // 2)
    _cut(n - (n // 2 - n // 2 % 8), starts + parts // 2, parts // 2)


cdef int _finite(const floating[::1] x, int threads) noexcept:
    """Return the number of runs with a value that is not finite."""
    cdef Py_ssize_t n = x.shape[0], k
    cdef int bad = 0
    for k in prange((n + RUN - 1) // RUN, nogil=True, schedule="static", num_threads=threads):
        if floating is float:
            bad += 1 - finite_run_f32(&x[k * RUN], min(<Py_ssize_t> RUN, n - k * RUN))
        else:
            bad += 1 - finite_run_f64(&x[k * RUN], min(<Py_ssize_t> RUN, n - k * RUN))
    return bad


cdef void _sgd(floating[::1] w, const floating[::1] g, floating[::1] velocity, floating[::1] mean,
               const floating[::1] rates, const floating[::1] s, int threads) noexcept:
    cdef Py_ssize_t n = w.shape[0], k, m
    cdef floating* kept
    cdef const floating* factors
    for k in prange((n + RUN - 1) // RUN, nogil=True, schedule="static", num_threads=threads):
        m = min(<Py_ssize_t> RUN, n - k * RUN)
        kept = &mean[k * RUN] if mean.shape[0] else NULL
        factors = &rates[k * RUN] if rates.shape[0] else NULL
        if floating is float:
            sgd_run_f32(&w[k * RUN], &g[k * RUN], &velocity[k * RUN], kept, factors, s[0], s[1], s[2], s[3], s[4], m)
        else:
            sgd_run_f64(&w[k * RUN], &g[k * RUN], &velocity[k * RUN], kept, factors, s[0], s[1], s[2], s[3], s[4], m)


cdef void _adadelta(floating[::1] w, const floating[::1] g, floating[::1] square, floating[::1] change,
                    floating[::1] mean, const floating[::1] rates, const floating[::1] s, int threads) noexcept:
    cdef Py_ssize_t n = w.shape[0], k, m
    cdef floating* kept
    cdef const floating* factors
    for k in prange((n + RUN - 1) // RUN, nogil=True, schedule="static", num_threads=threads):
        m = min(<Py_ssize_t> RUN, n - k * RUN)
        kept = &mean[k * RUN] if mean.shape[0] else NULL
        factors = &rates[k * RUN] if rates.shape[0] else NULL
        if floating is float:
            adadelta_run_f32(&w[k * RUN], &g[k * RUN], &square[k * RUN], &change[k * RUN], kept, factors,
                             s[0], s[1], s[2], s[3], s[4], s[5], s[6], m)
        else:
            adadelta_run_f64(&w[k * RUN], &g[k * RUN], &square[k * RUN], &change[k * RUN], kept, factors,
                             s[0], s[1], s[2], s[3], s[4], s[5], s[6], m)
