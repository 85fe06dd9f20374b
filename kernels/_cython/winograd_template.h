/* The transforms of Winograd's method. Included once for each REAL; NAME(f) adds its suffix.

   A `line` function applies a matrix (kernels/winograd.py) to vectors of lanes: `in` to `out`. A transform applies
   it to the columns of a tile and then to its rows. Lanes are channels: they lie side by side in every operand.
   The tile of 4 x 4 results among tiles that are not larger has shorter sums of its own: matrix NULL. */

typedef struct {
    REAL *base;
    const ptrdiff_t *places;
    ptrdiff_t next, step;
} NAME(Side);

#define WINOGRAD_LINE(OUTS, INS)                                                                               \
    LSTM2D_INLINE void NAME(line_##OUTS##_##INS)(const REAL *restrict w, NAME(Side) in, NAME(Side) out)        \
    {                                                                                                          \
        _Pragma("omp simd") for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++)                                     \
        {                                                                                                      \
            WINOGRAD_LOAD_##INS WINOGRAD_OUT_##OUTS(WINOGRAD_SUM_##INS)                                        \
        }                                                                                                      \
    }
WINOGRAD_LINE(3, 3) WINOGRAD_LINE(4, 4) WINOGRAD_LINE(5, 5) WINOGRAD_LINE(6, 6) WINOGRAD_LINE(7, 7) WINOGRAD_LINE(8, 8)
WINOGRAD_LINE(1, 3) WINOGRAD_LINE(2, 4) WINOGRAD_LINE(3, 5) WINOGRAD_LINE(4, 6) WINOGRAD_LINE(5, 7) WINOGRAD_LINE(6, 8)
WINOGRAD_LINE(3, 1) WINOGRAD_LINE(4, 2) WINOGRAD_LINE(6, 4) WINOGRAD_LINE(7, 5) WINOGRAD_LINE(8, 6)
WINOGRAD_LINE(4, 3) WINOGRAD_LINE(5, 3) WINOGRAD_LINE(6, 3) WINOGRAD_LINE(7, 3) WINOGRAD_LINE(8, 3)
WINOGRAD_LINE(3, 4) WINOGRAD_LINE(3, 6) WINOGRAD_LINE(3, 7) WINOGRAD_LINE(3, 8)
#undef WINOGRAD_LINE

/* 6 pixels to points 0, infinity, 1, -1, 2, -2 */
LSTM2D_INLINE void NAME(line_pixels)(NAME(Side) in, NAME(Side) out)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++) {
        WINOGRAD_LOAD_6
        const REAL even1 = a4 - 4 * a2, odd1 = a3 - 4 * a1, even2 = a4 - a2, odd2 = 2 * (a3 - a1);
        WINOGRAD_AT(out, 0) = 4 * a0 - 5 * a2 + a4;
        WINOGRAD_AT(out, 1) = 4 * a1 - 5 * a3 + a5;
        WINOGRAD_AT(out, 2) = even1 + odd1;
        WINOGRAD_AT(out, 3) = even1 - odd1;
        WINOGRAD_AT(out, 4) = even2 + odd2;
        WINOGRAD_AT(out, 5) = even2 - odd2;
    }
}

/* 6 points to 4 results */
LSTM2D_INLINE void NAME(line_results)(NAME(Side) in, NAME(Side) out)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++) {
        WINOGRAD_LOAD_6
        const REAL sum1 = a2 + a3, difference1 = a2 - a3, sum2 = a4 + a5, difference2 = a4 - a5;
        WINOGRAD_AT(out, 0) = a0 + sum1 + sum2;
        WINOGRAD_AT(out, 1) = difference1 + 2 * difference2;
        WINOGRAD_AT(out, 2) = sum1 + 4 * sum2;
        WINOGRAD_AT(out, 3) = difference1 + 8 * difference2 + a1;
    }
}

/* the transpose of line_results: gradients of 4 results to those of 6 points */
LSTM2D_INLINE void NAME(line_grad_results)(NAME(Side) in, NAME(Side) out)
{
#pragma omp simd
    for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++) {
        WINOGRAD_LOAD_4
        const REAL even1 = a0 + a2, odd1 = a1 + a3, even2 = a0 + 4 * a2, odd2 = 2 * a1 + 8 * a3;
        WINOGRAD_AT(out, 0) = a0;
        WINOGRAD_AT(out, 1) = a3;
        WINOGRAD_AT(out, 2) = even1 + odd1;
        WINOGRAD_AT(out, 3) = even1 - odd1;
        WINOGRAD_AT(out, 4) = even2 + odd2;
        WINOGRAD_AT(out, 5) = even2 - odd2;
    }
}

/* any of them: m results of the tile */
#define WINOGRAD_ANY(transform, own, F1, F2, F3, F4, F5, F6)                                                   \
    LSTM2D_INLINE void NAME(transform)(const REAL *w, ptrdiff_t m, NAME(Side) in, NAME(Side) out)              \
    {                                                                                                          \
        if (!w)                                                                                                \
            own(in, out);                                                                                      \
        else                                                                                                   \
            switch (m) {                                                                                       \
            case 1: NAME(F1)(w, in, out); break;                                                               \
            case 2: NAME(F2)(w, in, out); break;                                                               \
            case 3: NAME(F3)(w, in, out); break;                                                               \
            case 4: NAME(F4)(w, in, out); break;                                                               \
            case 5: NAME(F5)(w, in, out); break;                                                               \
            case 6: NAME(F6)(w, in, out); break;                                                               \
            }                                                                                                  \
    }
#define WINOGRAD_NONE(in, out) (void)0 /* the filters' matrix is never NULL */
WINOGRAD_ANY(any_pixels, NAME(line_pixels), line_3_3, line_4_4, line_5_5, line_6_6, line_7_7, line_8_8)
WINOGRAD_ANY(any_results, NAME(line_results), line_1_3, line_2_4, line_3_5, line_4_6, line_5_7, line_6_8)
WINOGRAD_ANY(any_grad_results, NAME(line_grad_results), line_3_1, line_4_2, line_5_3, line_6_4, line_7_5, line_8_6)
WINOGRAD_ANY(any_taps, WINOGRAD_NONE, line_3_3, line_4_3, line_5_3, line_6_3, line_7_3, line_8_3)
WINOGRAD_ANY(any_grad_taps, WINOGRAD_NONE, line_3_3, line_3_4, line_3_5, line_3_6, line_3_7, line_3_8)
#undef WINOGRAD_NONE
#undef WINOGRAD_ANY

#define WINOGRAD_FOR_LANES                                                                                     \
    for (ptrdiff_t c, next = 0; next < n; next = c + WINOGRAD_LANES) /* the last ones may overlap */       \
        if ((c = next + WINOGRAD_LANES <= n ? next : n - WINOGRAD_LANES), 1)

/* Apply `line` to the INS columns of a tile and to the OUTS rows of what comes out. */
#define WINOGRAD_PLANE_COLUMN(k) {(REAL *)plane + c + (k) * t->column, &none, 0, t->row}
#define WINOGRAD_PLANE_ROW(k) {plane + c + (k) * t->row, &none, 0, t->column}
#define WINOGRAD_POINTS_COLUMN(k) {(REAL *)points + c, t->points + (k), WINOGRAD_POINTS, 0}
#define WINOGRAD_POINTS_ROW(k) {points + c, t->points + (k) * WINOGRAD_POINTS, 1, 0}
#define WINOGRAD_TRANSFORM(line, INS, FROM, OUTS, TO)                                                          \
    const ptrdiff_t none = 0;                                                                                  \
    REAL between[WINOGRAD_POINTS * WINOGRAD_POINTS * WINOGRAD_LANES];                                          \
    for (ptrdiff_t k = 0; k < (INS); k++) {                                                                    \
        const NAME(Side) from = FROM(k);                                                                       \
        const NAME(Side) to = {between + k * WINOGRAD_LANES, &none, 0, WINOGRAD_POINTS * WINOGRAD_LANES};      \
        NAME(line)(row_matrix, t->rows, from, to);                                                             \
    }                                                                                                          \
    for (ptrdiff_t k = 0; k < (OUTS); k++) {                                                                   \
        const NAME(Side) from = {between + k * WINOGRAD_POINTS * WINOGRAD_LANES, &none, 0, WINOGRAD_LANES};    \
        const NAME(Side) to = TO(k);                                                                           \
        NAME(line)(column_matrix, t->columns, from, to);                                                       \
    }
#define WINOGRAD_FUNCTION(transform, any, FROM, INS, FROM_SIDE, TO, OUTS, TO_SIDE)                 \
    LSTM2D_PER_LEVEL(void, NAME(transform), (const WinogradTile *t, const REAL *FROM, REAL *TO,                \
                                             const REAL *row_matrix, const REAL *column_matrix, ptrdiff_t n),  \
                     (t, FROM, TO, row_matrix, column_matrix, n))                                              \
    {                                                                                                          \
        WINOGRAD_FOR_LANES { WINOGRAD_TRANSFORM(any, INS, FROM_SIDE, OUTS, TO_SIDE) }                          \
    }

WINOGRAD_FUNCTION(winograd_pixels, any_pixels, plane, t->columns + 2, WINOGRAD_PLANE_COLUMN, points, t->rows + 2,
                  WINOGRAD_POINTS_ROW)
WINOGRAD_FUNCTION(winograd_grad_results, any_grad_results, plane, t->columns, WINOGRAD_PLANE_COLUMN, points,
                  t->rows + 2, WINOGRAD_POINTS_ROW)
WINOGRAD_FUNCTION(winograd_taps, any_taps, plane, 3, WINOGRAD_PLANE_COLUMN, points, t->rows + 2, WINOGRAD_POINTS_ROW)
WINOGRAD_FUNCTION(winograd_grad_taps, any_grad_taps, points, t->columns + 2, WINOGRAD_POINTS_COLUMN, plane, 3,
                  WINOGRAD_PLANE_ROW)

LSTM2D_INLINE void NAME(finish)(REAL *values, const REAL *add, int activation)
{
    if (add)
        for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++)
            values[p] += add[p];
    if (activation == LSTM2D_RELU)
        for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++)
            values[p] = NAME(relu)(values[p]);
    else if (activation == LSTM2D_TANH)
        for (ptrdiff_t p = 0; p < WINOGRAD_LANES; p++)
            values[p] = NAME(tanh)(values[p]);
}

/* add: n values or NULL */
LSTM2D_PER_LEVEL(void, NAME(winograd_results), (const WinogradTile *t, const REAL *points, REAL *plane,
                                                const REAL *row_matrix, const REAL *column_matrix, const REAL *add,
                                                int activation, ptrdiff_t n),
                 (t, points, plane, row_matrix, column_matrix, add, activation, n))
{
    WINOGRAD_FOR_LANES {
        WINOGRAD_TRANSFORM(any_results, t->columns + 2, WINOGRAD_POINTS_COLUMN, t->rows, WINOGRAD_PLANE_ROW)
        for (ptrdiff_t i = 0; i < t->rows; i++)
            for (ptrdiff_t j = 0; j < t->columns; j++)
                NAME(finish)(plane + i * t->row + j * t->column + c, add ? add + c : NULL, activation);
    }
}

#undef WINOGRAD_FOR_LANES
#undef WINOGRAD_PLANE_COLUMN
#undef WINOGRAD_PLANE_ROW
#undef WINOGRAD_POINTS_COLUMN
#undef WINOGRAD_POINTS_ROW
#undef WINOGRAD_TRANSFORM
#undef WINOGRAD_FUNCTION
