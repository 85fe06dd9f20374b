"""Matrix products of row-major arrays, without Python and without the GIL."""

from cython cimport floating
from scipy.linalg.cython_blas cimport dgemm, sgemm


cdef inline void matmul(
    bint transpose_a, bint transpose_b, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner,
    const floating* a, Py_ssize_t lda, const floating* b, Py_ssize_t ldb,
    floating beta, floating* c, Py_ssize_t ldc,
) noexcept nogil:
    """c (rows, columns) = op(a) op(b) + beta c; ld is the distance of two rows in memory.

    BLAS counts in columns: a row-major product is the column-major one with the factors exchanged.
    """
    cdef int m = <int>columns, n = <int>rows, k = <int>inner
    cdef int l_a = <int>lda, l_b = <int>ldb, l_c = <int>ldc
    cdef floating one = 1
    cdef char* t_a = b"T" if transpose_a else b"N"
    cdef char* t_b = b"T" if transpose_b else b"N"
    if m == 0 or n == 0:
        return
    if floating is float:
        sgemm(t_b, t_a, &m, &n, &k, &one, <float*>b, &l_b, <float*>a, &l_a, &beta, c, &l_c)
    else:
        dgemm(t_b, t_a, &m, &n, &k, &one, <double*>b, &l_b, <double*>a, &l_a, &beta, c, &l_c)
