"""Class probabilities and the loss on them, one position at a time; meaning: kernels/_reference/softmax.py.

Scores go by blocks of one image's positions, whose exponentials are taken in one vectorised pass however few classes
there are. Sums over positions are taken in order afterwards: threads change no bit.
"""

import numpy as np

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.math cimport log

from lstm2d.kernels import arena
from lstm2d.kernels.arrays import contiguous
from lstm2d.kernels._cython.levels cimport use_level
from lstm2d.kernels.checks import contiguous_floats
from lstm2d.kernels._cython.grain import threads_for

use_level()

cdef extern from *:
    """
    #include "exponential.h"
    #define LSTM2D_SOFTMAX(REAL, SUFFIX)                                                                      \
        /* y = exp(x - top) of each row of k scores; a NaN is never the larger one, but its own exp is NaN */ \
        LSTM2D_PER_LEVEL(void, exp_rows_##SUFFIX, (const REAL *x, REAL *y, REAL *top, ptrdiff_t rows,         \
                                                   ptrdiff_t k), (x, y, top, rows, k))                        \
        {                                                                                                     \
            for (ptrdiff_t p = 0; p < rows; p++) {                                                            \
                REAL most = -(REAL)INFINITY;                                                                  \
                for (ptrdiff_t c = 0; c < k; c++)                                                             \
                    most = x[p * k + c] > most ? x[p * k + c] : most;                                         \
                for (ptrdiff_t c = 0; c < k; c++)                                                             \
                    y[p * k + c] = x[p * k + c] - most;                                                       \
                top[p] = most;                                                                                \
            }                                                                                                 \
            _Pragma("omp simd") for (ptrdiff_t c = 0; c < rows * k; c++) y[c] = exp_negative_##SUFFIX(y[c]);  \
        }
    LSTM2D_SOFTMAX(float, f32)
    LSTM2D_SOFTMAX(double, f64)
    """
    void exp_rows_f32(const float*, float*, float*, Py_ssize_t, Py_ssize_t) noexcept nogil
    void exp_rows_f64(const double*, double*, double*, Py_ssize_t, Py_ssize_t) noexcept nogil

cdef enum:
    BLOCK = 64  # positions whose exponentials are taken together


def softmax_forward(x):
    """See kernels/_reference/softmax.py."""
    x, = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        if x.dtype == np.float32:
            _softmax[float](x, y, threads_for(x.size))
        else:
            _softmax[double](x, y, threads_for(x.size))
    return y


def softmax_backward(y, grad_y):
    """See kernels/_reference/softmax.py."""
    y, grad_y = contiguous_floats(y, grad_y)
    grad_x = arena.empty(y.shape, y.dtype)
    if y.size:
        if y.dtype == np.float32:
            _softmax_grad[float](_rows(y), _rows(grad_y), _rows(grad_x), threads_for(y.size))
        else:
            _softmax_grad[double](_rows(y), _rows(grad_y), _rows(grad_x), threads_for(y.size))
    return grad_x


def soft_cross_entropy_forward(scores, targets, weight):
    """See kernels/_reference/softmax.py."""
    scores, targets, weight = contiguous_floats(scores, targets, weight)
    probability = arena.empty(scores.shape, scores.dtype)
    loss = np.zeros(weight.shape, np.float64)
    if scores.size:
        if scores.dtype == np.float32:
            _loss[float](scores, targets, weight, probability, loss, threads_for(scores.size))
        else:
            _loss[double](scores, targets, weight, probability, loss, threads_for(scores.size))
    return _sum_in_order(loss), probability


def soft_cross_entropy_backward(probability, targets, weight, double factor):
    """See kernels/_reference/softmax.py."""
    probability, targets, weight = contiguous_floats(probability, targets, weight)
    grad = arena.empty(probability.shape, probability.dtype)
    if grad.size:
        if grad.dtype == np.float32:
            _loss_grad[float](_rows(probability), _rows(targets), weight.reshape(-1), factor, _rows(grad),
                              threads_for(grad.size))
        else:
            _loss_grad[double](_rows(probability), _rows(targets), weight.reshape(-1), factor, _rows(grad),
                               threads_for(grad.size))
    return grad


def cross_entropy_forward(scores, labels, class_weights, Py_ssize_t ignore_index, bint keep):
    """See kernels/_reference/softmax.py. Keeps the probabilities, K values a position, where they are asked for."""
    scores, class_weights = contiguous_floats(scores, class_weights)
    labels = contiguous(labels, np.intp)
    n, positions, k = scores.shape
    mass = _sum_of_weights(labels, class_weights.astype(np.float64), ignore_index)
    threads = threads_for(scores.size)
    probability = arena.empty(scores.shape if keep else (1, threads * BLOCK, k), scores.dtype)
    loss = np.zeros((n, positions), np.float64)
    if scores.size:
        if scores.dtype == np.float32:
            _cross_entropy[float](scores, labels, class_weights, ignore_index, probability, keep, loss, threads)
        else:
            _cross_entropy[double](scores, labels, class_weights, ignore_index, probability, keep, loss, threads)
    return _sum_in_order(loss), mass, probability if keep else None


def cross_entropy_backward(probability, labels, class_weights, Py_ssize_t ignore_index, double factor):
    """See kernels/_reference/softmax.py."""
    probability, class_weights = contiguous_floats(probability, class_weights)
    labels = contiguous(labels, np.intp)
    _sum_of_weights(labels, class_weights.astype(np.float64), ignore_index)  # the caller may have changed a label
    labels = labels.reshape(-1)
    grad = arena.empty(probability.shape, probability.dtype)
    if grad.size:
        if grad.dtype == np.float32:
            _cross_entropy_grad[float](_rows(probability), labels, class_weights, ignore_index, factor, _rows(grad),
                                       threads_for(grad.size))
        else:
            _cross_entropy_grad[double](_rows(probability), labels, class_weights, ignore_index, factor, _rows(grad),
                                        threads_for(grad.size))
    return grad


def clip_normalise(x):
    """See kernels/_reference/softmax.py."""
    x, = contiguous_floats(x)
    y = arena.empty(x.shape, x.dtype)
    if x.size:
        if x.dtype == np.float32:
            _clip_normalise[float](_rows(x), _rows(y), threads_for(x.size))
        else:
            _clip_normalise[double](_rows(x), _rows(y), threads_for(x.size))
    return y


def _rows(array):
    return array.reshape(-1, array.shape[array.ndim - 1])  # no index -1 here: the build turns wraparound off


cdef double _sum_in_order(const double[:, ::1] loss) noexcept:
    cdef Py_ssize_t b, p
    cdef double total = 0, image
    for b in range(loss.shape[0]):
        image = 0
        for p in range(loss.shape[1]):
            image += loss[b, p]
        total += image
    return total


cdef inline void _exponentials(const floating* x, floating* y, floating* top, Py_ssize_t rows,
                               Py_ssize_t k) noexcept nogil:
    if floating is float:
        exp_rows_f32(x, y, top, rows, k)
    else:
        exp_rows_f64(x, y, top, rows, k)


cdef inline double _sum(const floating* y, Py_ssize_t k) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t c
    for c in range(k):
        total += y[c]
    return total


cdef inline void _divide(floating* y, floating total, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(k):
        y[c] = y[c] / total


cdef void _softmax(const floating[:, :, ::1] x, floating[:, :, ::1] y, int threads) noexcept:
    cdef Py_ssize_t blocks = (x.shape[1] + BLOCK - 1) // BLOCK, q, first
    for q in prange(x.shape[0] * blocks, nogil=True, schedule="static", num_threads=threads):
        first = q % blocks * BLOCK
        _softmax_block(&x[q // blocks, first, 0], &y[q // blocks, first, 0],
                       min(<Py_ssize_t> BLOCK, x.shape[1] - first), x.shape[2])


cdef inline void _softmax_block(const floating* x, floating* y, Py_ssize_t rows, Py_ssize_t k) noexcept nogil:
    cdef floating top[BLOCK]
    cdef Py_ssize_t p
    _exponentials(x, y, top, rows, k)
    for p in range(rows):
        _divide(&y[p * k], <floating> _sum(&y[p * k], k), k)


cdef void _softmax_grad(const floating[:, ::1] y, const floating[:, ::1] grad_y, floating[:, ::1] grad_x,
                        int threads) noexcept:
    cdef Py_ssize_t p
    for p in prange(y.shape[0], nogil=True, schedule="static", num_threads=threads):
        _softmax_grad_row(&y[p, 0], &grad_y[p, 0], &grad_x[p, 0], y.shape[1])


cdef inline void _softmax_grad_row(const floating* y, const floating* grad_y, floating* grad_x,
                                   Py_ssize_t k) noexcept nogil:
    cdef double mean = 0
    cdef Py_ssize_t c
    for c in range(k):
        mean += <double> grad_y[c] * y[c]
    for c in range(k):
        grad_x[c] = <floating> (y[c] * (grad_y[c] - mean))


cdef void _loss(const floating[:, :, ::1] scores, const floating[:, :, ::1] targets, const floating[:, ::1] weight,
                floating[:, :, ::1] probability, double[:, ::1] loss, int threads) noexcept:
    cdef Py_ssize_t blocks = (scores.shape[1] + BLOCK - 1) // BLOCK, q, b, first
    for q in prange(scores.shape[0] * blocks, nogil=True, schedule="static", num_threads=threads):
        b = q // blocks
        first = q % blocks * BLOCK
        _loss_block(&scores[b, first, 0], &targets[b, first, 0], &weight[b, first], &probability[b, first, 0],
                    &loss[b, first], min(<Py_ssize_t> BLOCK, scores.shape[1] - first), scores.shape[2])


cdef inline void _loss_block(const floating* scores, const floating* targets, const floating* weight,
                             floating* probability, double* loss, Py_ssize_t rows, Py_ssize_t k) noexcept nogil:
    cdef floating top[BLOCK]
    cdef double total, log_sum, value
    cdef Py_ssize_t p, c
    _exponentials(scores, probability, top, rows, k)
    for p in range(rows):
        total = _sum(&probability[p * k], k)
        _divide(&probability[p * k], <floating> total, k)
        log_sum = log(total)
        value = 0 * log_sum  # NaN where a score is: also if no target looks at it
        for c in range(p * k, p * k + k):
            if targets[c] != 0:  # a probability of 0 without a target costs nothing
                value += targets[c] * (log_sum - (<double> scores[c] - top[p]))
        loss[p] = weight[p] * value


cdef void _loss_grad(const floating[:, ::1] probability, const floating[:, ::1] targets, const floating[::1] weight,
                     double factor, floating[:, ::1] grad, int threads) noexcept:
    cdef Py_ssize_t p
    for p in prange(grad.shape[0], nogil=True, schedule="static", num_threads=threads):
        _loss_grad_row(&probability[p, 0], &targets[p, 0], factor * weight[p], &grad[p, 0], grad.shape[1])


cdef inline void _loss_grad_row(const floating* probability, const floating* targets, double factor, floating* grad,
                                Py_ssize_t k) noexcept nogil:
    cdef double mass = 0
    cdef Py_ssize_t c
    for c in range(k):
        mass += targets[c]
    for c in range(k):
        grad[c] = <floating> (factor * (mass * probability[c] - targets[c]))


cdef double _sum_of_weights(const Py_ssize_t[:, ::1] labels, const double[::1] weights,
                            Py_ssize_t ignore_index) except? -1:
    cdef Py_ssize_t b, p, label
    cdef double total = 0
    for b in range(labels.shape[0]):
        for p in range(labels.shape[1]):
            label = labels[b, p]
            if label == ignore_index:
                continue
            if label < 0 or label >= weights.shape[0]:
                raise ValueError(f"labels hold a value outside [0, {weights.shape[0]})")
            total += weights[label]
    return total


cdef void _cross_entropy(const floating[:, :, ::1] scores, const Py_ssize_t[:, ::1] labels,
                         const floating[::1] weights, Py_ssize_t ignore_index, floating[:, :, ::1] probability,
                         bint keep, double[:, ::1] loss, int threads) noexcept:
    cdef Py_ssize_t blocks = (scores.shape[1] + BLOCK - 1) // BLOCK, q, b, first
    cdef floating* out
    for q in prange(scores.shape[0] * blocks, nogil=True, schedule="static", num_threads=threads):
        b = q // blocks
        first = q % blocks * BLOCK
        out = &probability[b, first, 0] if keep else &probability[0, threadid() * BLOCK, 0]
        _cross_entropy_block(&scores[b, first, 0], &labels[b, first], &weights[0], ignore_index, out, &loss[b, first],
                             min(<Py_ssize_t> BLOCK, scores.shape[1] - first), scores.shape[2], keep)


cdef inline void _cross_entropy_block(const floating* scores, const Py_ssize_t* labels, const floating* weights,
                                      Py_ssize_t ignore_index, floating* probability, double* loss, Py_ssize_t rows,
                                      Py_ssize_t k, bint keep) noexcept nogil:
    cdef floating top[BLOCK]
    cdef double total, log_sum, w
    cdef Py_ssize_t p, label
    _exponentials(scores, probability, top, rows, k)
    for p in range(rows):
        total = _sum(&probability[p * k], k)
        if keep:
            _divide(&probability[p * k], <floating> total, k)
        log_sum = log(total)
        label = labels[p]
        w = 0 if label == ignore_index else weights[label]
        # NaN where a score is: also if nothing counts
        loss[p] = 0 * log_sum if w == 0 else w * (log_sum - (<double> scores[p * k + label] - top[p]))


cdef void _cross_entropy_grad(const floating[:, ::1] probability, const Py_ssize_t[::1] labels,
                              const floating[::1] weights, Py_ssize_t ignore_index, double factor,
                              floating[:, ::1] grad, int threads) noexcept:
    cdef Py_ssize_t p
    for p in prange(grad.shape[0], nogil=True, schedule="static", num_threads=threads):
        _cross_entropy_grad_row(&probability[p, 0], labels[p], 0 if labels[p] == ignore_index else
                                factor * weights[labels[p]], &grad[p, 0], grad.shape[1])


cdef inline void _cross_entropy_grad_row(const floating* probability, Py_ssize_t label, double factor, floating* grad,
                                         Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t c
    cdef floating f = <floating> factor
    for c in range(k):
        grad[c] = f * probability[c]
    if f != 0:
        grad[label] = f * (probability[label] - 1)


cdef void _clip_normalise(const floating[:, ::1] x, floating[:, ::1] y, int threads) noexcept:
    cdef Py_ssize_t p
    for p in prange(x.shape[0], nogil=True, schedule="static", num_threads=threads):
        _clip_normalise_row(&x[p, 0], &y[p, 0], x.shape[1])


cdef inline void _clip_normalise_row(const floating* x, floating* y, Py_ssize_t k) noexcept nogil:
    cdef floating total = 0
    cdef Py_ssize_t c
    for c in range(k):
        y[c] = 0 if x[c] < 0 else x[c]  # a NaN is not below 0: it stays
        total += y[c]
    for c in range(k):
        y[c] = <floating> 1 / k if total == 0 else y[c] / total
