/* The elementwise work of one anti-diagonal of a 2D-LSTM; meaning: kernels/_reference/lstm2d.py. */

#ifndef LSTM2D_GATES_H
#define LSTM2D_GATES_H

#include "simd.h"

/* Pixels of one block. A diagonal is rounded up to whole blocks so that no lane runs empty and no scalar
   remainder is left; the caller keeps the lanes beyond its end from reaching a result. */
#define LSTM2D_LANES 16

/* Bound of cells and of their gradients, see kernels/_reference/lstm2d.py. */
#define LSTM2D_LARGEST 0x1p100f

#define REAL float
#define NAME(f) f##_f32
#include "lstm2d_gates_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#include "lstm2d_gates_template.h"
#undef REAL
#undef NAME

#endif
