/* Winograd's F(m, 3) in two dimensions, for 1 to 6 results on each axis, in float32 and float64. */

#ifndef LSTM2D_WINOGRAD_H
#define LSTM2D_WINOGRAD_H

#include "activation.h"

#define WINOGRAD_LANES 16
#define WINOGRAD_POINTS 8 /* at most, of an axis */

/* One tile: steps between its pixels in the plane (in values), how many results it has, and where its points lie
   from the first one of the block: point (i, j) at points[i * WINOGRAD_POINTS + j]. */
typedef struct {
    ptrdiff_t row, column, rows, columns;
    const ptrdiff_t *points;
} WinogradTile;

/* Vector k of an operand: its vectors are `step` apart, plus an entry (every `next`th) of a list of places. */
#define WINOGRAD_AT(side, k) (side).base[(side).places[(k) * (side).next] + (k) * (side).step + p]

/* Sums of INS products, for 3 to 8: with row r of w. */
#define WINOGRAD_LOAD_1 const REAL a0 = WINOGRAD_AT(in, 0);
#define WINOGRAD_LOAD_2 WINOGRAD_LOAD_1 const REAL a1 = WINOGRAD_AT(in, 1);
#define WINOGRAD_LOAD_3 WINOGRAD_LOAD_2 const REAL a2 = WINOGRAD_AT(in, 2);
#define WINOGRAD_LOAD_4 WINOGRAD_LOAD_3 const REAL a3 = WINOGRAD_AT(in, 3);
#define WINOGRAD_LOAD_5 WINOGRAD_LOAD_4 const REAL a4 = WINOGRAD_AT(in, 4);
#define WINOGRAD_LOAD_6 WINOGRAD_LOAD_5 const REAL a5 = WINOGRAD_AT(in, 5);
#define WINOGRAD_LOAD_7 WINOGRAD_LOAD_6 const REAL a6 = WINOGRAD_AT(in, 6);
#define WINOGRAD_LOAD_8 WINOGRAD_LOAD_7 const REAL a7 = WINOGRAD_AT(in, 7);
#define WINOGRAD_W(r, k) w[(r) * WINOGRAD_POINTS + (k)]
#define WINOGRAD_SUM_1(r) WINOGRAD_W(r, 0) * a0
#define WINOGRAD_SUM_2(r) WINOGRAD_SUM_1(r) + WINOGRAD_W(r, 1) * a1
#define WINOGRAD_SUM_3(r) WINOGRAD_SUM_2(r) + WINOGRAD_W(r, 2) * a2
#define WINOGRAD_SUM_4(r) WINOGRAD_SUM_3(r) + WINOGRAD_W(r, 3) * a3
#define WINOGRAD_SUM_5(r) WINOGRAD_SUM_4(r) + WINOGRAD_W(r, 4) * a4
#define WINOGRAD_SUM_6(r) WINOGRAD_SUM_5(r) + WINOGRAD_W(r, 5) * a5
#define WINOGRAD_SUM_7(r) WINOGRAD_SUM_6(r) + WINOGRAD_W(r, 6) * a6
#define WINOGRAD_SUM_8(r) WINOGRAD_SUM_7(r) + WINOGRAD_W(r, 7) * a7
#define WINOGRAD_OUT(SUM, r) WINOGRAD_AT(out, r) = SUM(r);
#define WINOGRAD_OUT_1(SUM) WINOGRAD_OUT(SUM, 0)
#define WINOGRAD_OUT_2(SUM) WINOGRAD_OUT_1(SUM) WINOGRAD_OUT(SUM, 1)
#define WINOGRAD_OUT_3(SUM) WINOGRAD_OUT_2(SUM) WINOGRAD_OUT(SUM, 2)
#define WINOGRAD_OUT_4(SUM) WINOGRAD_OUT_3(SUM) WINOGRAD_OUT(SUM, 3)
#define WINOGRAD_OUT_5(SUM) WINOGRAD_OUT_4(SUM) WINOGRAD_OUT(SUM, 4)
#define WINOGRAD_OUT_6(SUM) WINOGRAD_OUT_5(SUM) WINOGRAD_OUT(SUM, 5)
#define WINOGRAD_OUT_7(SUM) WINOGRAD_OUT_6(SUM) WINOGRAD_OUT(SUM, 6)
#define WINOGRAD_OUT_8(SUM) WINOGRAD_OUT_7(SUM) WINOGRAD_OUT(SUM, 7)

#define REAL float
#define NAME(f) f##_f32
#include "winograd_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#include "winograd_template.h"
#undef REAL
#undef NAME

#endif
