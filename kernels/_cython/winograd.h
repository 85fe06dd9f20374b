/* Winograd's F(4 x 4, 3 x 3) in float32 and float64. */

#ifndef LSTM2D_WINOGRAD_H
#define LSTM2D_WINOGRAD_H

#include "simd.h"

#define WINOGRAD_LANES 16

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
