/* The transforms of Winograd's F(4 x 4, 4 x 4) in float32 and float64, one axis at a time. */

#ifndef LSTM2D_NESTED_H
#define LSTM2D_NESTED_H

#include <string.h>

#include "simd.h"

#define NESTED_LANES 16

#define REAL float
#define NAME(f) f##_f32
#include "nested_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#include "nested_template.h"
#undef REAL
#undef NAME

#endif
