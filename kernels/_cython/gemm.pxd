"""Products of row-major matrices of medium size, faster there than BLAS, without Python and without the GIL."""

from cython cimport floating

from lstm2d.kernels._cython.blas cimport matmul, matmul_thin

cdef extern from "gemm.h" nogil:
    int gemm_f32(bint, Py_ssize_t, Py_ssize_t, Py_ssize_t, const float*, Py_ssize_t, const float*, Py_ssize_t, bint,
                 const float*, float*, Py_ssize_t, const void*, Py_ssize_t)
    int gemm_f64(bint, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, const double*, Py_ssize_t, bint,
                 const double*, double*, Py_ssize_t, const void*, Py_ssize_t)
    bint gemm_long_vectors()


cdef inline void product(
    bint transpose_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner, const floating* a, Py_ssize_t lda,
    const floating* b, Py_ssize_t ldb, bint add, const floating* bias, floating* c, Py_ssize_t ldc,
    const floating* soon=NULL, Py_ssize_t values=0,
) noexcept nogil:
    """c (rows, columns) = op(a) b + (c if `add` else bias); ld is the distance of two rows in memory.

    `bias`, a value for each column, may be NULL: zeros. BLAS multiplies for few columns, and at the plain level.
    `soon` points to the next `values` values that the caller reads or writes: they are fetched meanwhile.
    """
    cdef Py_ssize_t i, j
    cdef int done
    if floating is float:
        done = gemm_f32(transpose_a, rows, columns, inner, a, lda, b, ldb, add, bias, c, ldc, soon,
                        values * sizeof(floating))
    else:
        done = gemm_f64(transpose_a, rows, columns, inner, a, lda, b, ldb, add, bias, c, ldc, soon,
                        values * sizeof(floating))
    if done:
        return
    if not add and (bias or inner == 0):
        for i in range(rows):
            for j in range(columns):
                c[i * ldc + j] = bias[j] if bias else 0
    if inner:
        matmul(transpose_a, False, rows, columns, inner, a, lda, b, ldb, <floating> (1 if add or bias else 0), c, ldc)


cdef inline bint blas_reads_in_place() noexcept nogil:
    """Return whether BLAS multiplies small factors without packing them: OpenBLAS does so only with AVX-512."""
    return gemm_long_vectors()


cdef inline void product_thin(
    bint transpose_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner, const floating* a, Py_ssize_t lda,
    const floating* b, Py_ssize_t ldb, floating* c, Py_ssize_t ldc,
) noexcept nogil:
    """c (rows, columns) = op(a) b for few columns."""
    if blas_reads_in_place():
        matmul_thin(transpose_a, rows, columns, inner, a, lda, b, ldb, c, ldc)
    else:
        product[floating](transpose_a, rows, columns, inner, a, lda, b, ldb, False, NULL, c, ldc)


cdef inline int panel_bytes() noexcept nogil:
    """Return the width of the panels that `product_panels` reads: two registers of the level."""
    return 128 if gemm_long_vectors() else 64


cdef inline void product_panels(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t inner, const floating* a, Py_ssize_t lda,
    const floating* panels, bint add, const floating* bias, floating* c, Py_ssize_t ldc,
    const floating* soon=NULL, Py_ssize_t values=0,
) noexcept nogil:
    """As `product`, with b as lstm2d.kernels._cython.panels cuts it for `panel_bytes`: nothing is copied."""
    cdef Py_ssize_t width = panel_bytes() // sizeof(floating), least = 32 // sizeof(floating), j = 0, n
    while j < columns:
        n = width if columns - j >= width + least else columns - j
        product[floating](False, rows, n, inner, a, lda, panels + j * inner, n, add, bias + j if bias else NULL, c + j,
                          ldc, soon + values * j // columns if soon else NULL, values * n // columns)
        j += n
