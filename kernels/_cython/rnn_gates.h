/* The elementwise work of one step of a recurrent sweep; meaning: kernels/_reference/rnn.py. */

#ifndef RNN_GATES_H
#define RNN_GATES_H

#include "simd.h"

/* Values of one block of the inner loops: one AVX-512 register of float32. */
#define RNN_LANES 16

enum { RNN_GRU, RNN_LSTM, RNN_TANH, RNN_RELU };

/* Runs CELLS(first, n) for `units` values in whole blocks. The last block starts early enough to be whole, and
   computes some values twice: nothing is read that a block writes, and so they come out the same. */
#define RNN_BLOCKS(units, CELLS)                                           \
    if ((units) < RNN_LANES)                                               \
        CELLS(0, units);                                                   \
    else                                                                   \
        for (ptrdiff_t k = 0; k < (units); k += RNN_LANES) {               \
            const ptrdiff_t last = (units) - RNN_LANES;                    \
            const ptrdiff_t first = k < last ? k : last;                   \
            CELLS(first, RNN_LANES);                                       \
        }

#define REAL float
#define NAME(f) f##_f32
#include "rnn_gates_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(f) f##_f64
#include "rnn_gates_template.h"
#undef REAL
#undef NAME

#endif
