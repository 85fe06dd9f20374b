/* Matrix products for the shapes of this library: a few hundred rows, 8 to 500 columns, small enough to be called
   often. A library that packs both factors before it multiplies loses a fifth of its time at that size; here only
   the second factor is copied, one panel of columns at a time, and the first one is read where it lies.

   A tile of the result stays in registers while all products of one row of the second factor with TILE_ROWS
   values of the first are added to it. Every value is summed in the order of `inner` by fused multiply-adds, cut
   after GEMM_INNER: its bits do not depend on how many rows are computed together. */

#ifndef GEMM_H
#define GEMM_H

#include <stddef.h>
#include <string.h>

#include "levels.h"

/* Most rows of a panel: a panel stays in the L1 or L2 cache while it is used. */
#define GEMM_INNER 384
/* Fewest bytes of a row of the result: with fewer, most of a vector is empty, and BLAS is faster. */
#define GEMM_LEAST 32
/* Bytes of a row of a panel of two AVX-512 registers. */
#define GEMM_WHOLE 128
/* Bytes of a cache line. */
#define GEMM_LINE 64

#ifdef LSTM2D_VARIANTS

/* Memory that the caller needs next: it is fetched into the L2 cache during the product. */
typedef struct {
    const char *at, *end;
} Ahead;

/* Where the next `lines` cache lines begin; after the end, `next`, which the product itself needs. */
LSTM2D_INLINE const char *gemm_ahead(Ahead *ahead, ptrdiff_t lines, const void *next)
{
    const char *at = ahead->at;
    if (at >= ahead->end)
        return (const char *)next;
    ahead->at += lines * GEMM_LINE;
    return at;
}

#define REAL float
#define VECTOR_BYTES 64
#define TILE_ROWS 12
#define TARGET LSTM2D_TARGET_AVX512
#define NAME(f) f##_f32_512
#include "gemm_template.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_f64_512
#include "gemm_template.h"
#undef REAL
#undef NAME
#undef VECTOR_BYTES
#undef TILE_ROWS
#undef TARGET

#define REAL float
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#define TARGET LSTM2D_TARGET_AVX2
#define NAME(f) f##_f32_256
#include "gemm_template.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_f64_256
#include "gemm_template.h"
#undef REAL
#undef NAME
#undef VECTOR_BYTES
#undef TILE_ROWS
#undef TARGET

#endif

/* c (rows, columns) = op(a) b + (add ? c : bias ? the column's bias : 0); op(a) has `inner` columns, and a, b and c
   have their rows lda, ldb and ldc apart. Returns 0, and does nothing, for few columns and at the plain level. Long
   vectors take whole panels, short ones the columns after them. `soon`, `bytes` long, is what the caller reads or
   writes next. */
#ifdef LSTM2D_VARIANTS
#define GEMM_CHOOSE(suffix)                                                                                     \
    Ahead ahead = {(const char *)soon, (const char *)soon + bytes};                                             \
    ptrdiff_t done = 0;                                                                                         \
    if (lstm2d_level == LSTM2D_UNSET)                                                                           \
        __builtin_trap();                                                                                       \
    if (lstm2d_level == LSTM2D_PLAIN ||                                                                         \
        columns < (ptrdiff_t)((transposed ? 2 : 1) * GEMM_LEAST / sizeof(*c)))                                  \
        return 0;                                                                                               \
    if (lstm2d_level == LSTM2D_AVX512) {                                                                        \
        done = columns - columns % (ptrdiff_t)(GEMM_WHOLE / sizeof(*c));                                        \
        product_##suffix##_512(transposed, rows, done, inner, a, lda, b, ldb, add, bias, c, ldc, &ahead);       \
    }                                                                                                           \
    product_##suffix##_256(transposed, rows, columns - done, inner, a, lda, b + done, ldb, add,                 \
                           bias ? bias + done : NULL, c + done, ldc, &ahead);                                   \
    return 1;
#else
#define GEMM_CHOOSE(suffix) return 0;
#endif
#define GEMM(suffix, real)                                                                                      \
    static inline int gemm_##suffix(int transposed, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t inner,         \
                                    const real *a, ptrdiff_t lda, const real *b, ptrdiff_t ldb, int add,        \
                                    const real *bias, real *c, ptrdiff_t ldc, const void *soon, ptrdiff_t bytes) \
    {                                                                                                           \
        GEMM_CHOOSE(suffix)                                                                                     \
    }

/* Whether panels are two AVX-512 registers wide. At the plain level BLAS multiplies them: any width is correct. */
static inline int gemm_long_vectors(void)
{
    return lstm2d_level != LSTM2D_AVX2;
}

GEMM(f32, float)
GEMM(f64, double)
#undef GEMM
#undef GEMM_CHOOSE

#endif
