# Columns of the state of a 2D-LSTM's scan: pixels, whose channels lie one after the other, turned; a row each.
from cython cimport floating

cdef extern from "lstm2d_gates.h" nogil:
    void shift_rows_f32(Py_ssize_t, Py_ssize_t, Py_ssize_t, float*)
    void shift_rows_f64(Py_ssize_t, Py_ssize_t, Py_ssize_t, double*)


cdef inline void shift_rows(Py_ssize_t units, Py_ssize_t n, Py_ssize_t ld, floating* rows) noexcept nogil:
    if floating is float:
        shift_rows_f32(units, n, ld, rows)
    else:
        shift_rows_f64(units, n, ld, rows)


cdef inline void clear_column(floating* column, Py_ssize_t rows, Py_ssize_t ld) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(rows):
        column[k * ld] = 0


cdef inline void pixels_to_columns(
    const floating* pixels, Py_ssize_t first, Py_ssize_t step, Py_ssize_t n, Py_ssize_t values,
    floating* columns, Py_ssize_t ld,
) noexcept nogil:
    cdef Py_ssize_t p, k
    cdef const floating* pixel
    for p in range(n):
        pixel = pixels + first + p * step
        for k in range(values):
            columns[k * ld + p] = pixel[k]


cdef inline void columns_to_pixels(
    const floating* columns, Py_ssize_t ld, Py_ssize_t n, Py_ssize_t values,
    floating* pixels, Py_ssize_t first, Py_ssize_t step,
) noexcept nogil:
    cdef Py_ssize_t p, k
    cdef floating* pixel
    for p in range(n):
        pixel = pixels + first + p * step
        for k in range(values):
            pixel[k] = columns[k * ld + p]
