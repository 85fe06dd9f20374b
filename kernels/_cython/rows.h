/* Sums of the columns of a matrix. */

#ifndef ROWS_H
#define ROWS_H

#include "simd.h"

/* Adds columns [from, width) of `values`; all `width` are summed. */
#define ADD_ROWS(suffix, REAL)                                                                                 \
    LSTM2D_INLINE void add_columns_##suffix(const ptrdiff_t width, ptrdiff_t from, ptrdiff_t rows,             \
                                            const REAL *values, ptrdiff_t ld, double *restrict total)          \
    {                                                                                                          \
        REAL sum[64] = {0};                                                                                    \
        for (ptrdiff_t row = 0; row < rows; row++) {                                                           \
            const REAL *restrict value = values + row * ld;                                                    \
            _Pragma("omp simd") for (ptrdiff_t k = 0; k < width; k++) sum[k] += value[k];                      \
        }                                                                                                      \
        for (ptrdiff_t k = from; k < width; k++)                                                               \
            total[k] += sum[k];                                                                                \
    }                                                                                                          \
    LSTM2D_PER_LEVEL(void, add_rows_##suffix, (ptrdiff_t rows, ptrdiff_t columns, const REAL *values,          \
                                               ptrdiff_t ld, double *restrict total),                          \
                     (rows, columns, values, ld, total))                                                       \
    {                                                                                                          \
        ptrdiff_t k = 0;                                                                                       \
        for (; columns - k >= 64; k += 64)                                                                     \
            add_columns_##suffix(64, 0, rows, values + k, ld, total + k);                                      \
        for (; columns - k >= 16; k += 16)                                                                     \
            add_columns_##suffix(16, 0, rows, values + k, ld, total + k);                                      \
        if (columns >= 16 && k < columns)                                                                      \
            add_columns_##suffix(16, 16 - (columns - k), rows, values + columns - 16, ld, total + columns - 16); \
        else if (k < columns)                                                                                  \
            add_columns_##suffix(columns, 0, rows, values, ld, total);                                         \
    }

/* total[k] += sum of column k; rows lie `ld` apart. The sum of a call is its own: long sums stay exact. */
ADD_ROWS(f32, float)
ADD_ROWS(f64, double)
#undef ADD_ROWS

#endif
