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


cdef enum:
    # With AVX-512 OpenBLAS multiplies small factors where they lie and packs large ones first; for a thin product
    # the packing costs a third of the time (75 against 110 GFLOP/s for 250 x 130 times 130 x 48)
    UNPACKED = 1000000


cdef inline void matmul_thin(
    bint transpose_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner,
    const floating* a, Py_ssize_t lda, const floating* b, Py_ssize_t ldb, floating* c, Py_ssize_t ldc,
) noexcept nogil:
    """c (rows, columns) = op(a) b for few columns, in groups of rows that are small enough not to be packed."""
    cdef Py_ssize_t groups = (rows * columns * inner + UNPACKED - 1) // UNPACKED
    cdef Py_ssize_t size = (rows + groups - 1) // groups if groups else 0
    cdef Py_ssize_t row = 0
    while row < rows:
        matmul(transpose_a, False, min(size, rows - row), columns, inner,
               a + row if transpose_a else a + row * lda, lda, b, ldb, <floating>0, c + row * ldc, ldc)
        row += size
