"""Matrix products of row-major arrays in loops that Numba compiles.

They call the BLAS of SciPy, like the compiled kernels. An address cannot be part of code that is kept on
disk: loops get that of `gemm` as an argument.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic
from numpy.typing import DTypeLike

from lstm2d.kernels._numba.jit import part

_NAMES = {np.dtype(np.float32): "sgemm", np.dtype(np.float64): "dgemm"}
_N, _T = np.int8(ord("N")), np.int8(ord("T"))
NN, TN, NT, TT = (False, False), (True, False), (False, True), (True, True)  # T: this factor is transposed


@cache
def gemm(dtype: DTypeLike) -> int:
    """Return the address of BLAS's general product for a data type.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.

    Returns
    -------
    int
        The argument `gemm` of loops that call `matmul`.
    """
    address: int = get_cython_function_address("scipy.linalg.cython_blas", _NAMES[np.dtype(dtype)])
    return address


def _emit(typing, gemm, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """Call a Fortran function: every argument is passed by its address. a, b and c are addresses already."""

    def generate(context, builder, signature, arguments):
        address, *values = arguments
        pointers = [
            builder.inttoptr(value, ir.IntType(8).as_pointer())
            if place in (6, 8, 11)
            else builder.bitcast(cgutils.alloca_once_value(builder, value), ir.IntType(8).as_pointer())
            for place, value in enumerate(values)
        ]
        function = ir.FunctionType(ir.VoidType(), [p.type for p in pointers])
        builder.call(builder.inttoptr(address, function.as_pointer()), pointers)
        return context.get_dummy_value()

    size, real = types.int32, alpha
    signature = types.void(
        types.intp,
        types.int8,
        types.int8,
        size,
        size,
        size,
        real,
        types.uintp,
        size,
        types.uintp,
        size,
        real,
        types.uintp,
        size,
    )
    return signature, generate


_call: Any = intrinsic(_emit)


@part
def matmul(gemm, transposed, shape, a, b, beta, c):
    """Compute c (rows, columns) = op(a) op(b) + beta * c.

    `transposed` is one of `NN`, `TN`, `NT`, `TT`, `shape` is (rows, columns, inner). Each factor is a
    flat array, the place of its first value, and the distance of two of its rows. BLAS counts in columns: a
    row-major product is the column-major one with the factors exchanged.
    """
    rows, columns, inner = shape
    if rows > 0 and columns > 0:
        real, size = c[0].dtype.type, c[0].itemsize
        trans_a, trans_b = _T if transposed[0] else _N, _T if transposed[1] else _N
        at_a, at_b, at_c = (
            a[0].ctypes.data + a[1] * size,
            b[0].ctypes.data + b[1] * size,
            c[0].ctypes.data + c[1] * size,
        )
        _call(
            gemm,
            trans_b,
            trans_a,
            columns,
            rows,
            inner,
            real(1),
            at_b,
            b[2],
            at_a,
            a[2],
            real(beta),
            at_c,
            c[2],
        )
