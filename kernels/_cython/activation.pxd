"""Activations that a layer applies to its output while it is in the cache."""

from cython cimport floating

cdef extern from "activation.h" nogil:
    void activate_f32(float*, Py_ssize_t, int)
    void activate_f64(double*, Py_ssize_t, int)


cdef inline int activation_kind(activation) except -1:
    """Return the number of `activation`: None, "relu" or "tanh"."""
    return {None: 0, "relu": 1, "tanh": 2}[activation]


cdef inline void activate(floating* values, Py_ssize_t n, int kind) noexcept nogil:
    """Apply it to n values, in place."""
    if floating is float:
        activate_f32(values, n, kind)
    else:
        activate_f64(values, n, kind)
