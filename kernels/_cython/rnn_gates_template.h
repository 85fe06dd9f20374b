/* Included once for each REAL; NAME(f) adds its suffix.

   A row is one pixel of the step. Order of the values of a row, `units` of each:
   sums z of bias and products of the input: GRU candidate, reset, update; LSTM input, forget, candidate, output;
   else one. Those of the hidden state are in z too, but for the GRU in r: reset, update, candidate.
   state: h, then c for the LSTM.
   kept: GRU candidate, reset, update, the candidate's r; LSTM its gates as z, new cell; else nothing.
   grad: GRU candidate, reset, update, the candidate's r, so that the gradients of z and of r lie together each;
   else as z. */

/* ---- forward: h to `y` and with the cell to `after`; `kept` may be NULL */

LSTM2D_INLINE void NAME(gru_cells)(ptrdiff_t n, ptrdiff_t units, const REAL *restrict z, const REAL *restrict r,
                                   const REAL *restrict before, REAL *restrict after, REAL *restrict y,
                                   REAL *restrict kept, const int keep)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL reset = NAME(sigmoid)(z[k + units] + r[k]);
        const REAL update = NAME(sigmoid)(z[k + 2 * units] + r[k + units]);
        const REAL product = r[k + 2 * units];
        const REAL candidate = NAME(tanh)(z[k] + reset * product);
        const REAL h = (1 - update) * before[k] + update * candidate;
        after[k] = h;
        y[k] = h;
        if (keep) {
            kept[k] = candidate;
            kept[k + units] = reset;
            kept[k + 2 * units] = update;
            kept[k + 3 * units] = product;
        }
    }
}

LSTM2D_INLINE void NAME(lstm_cells)(ptrdiff_t n, ptrdiff_t units, const REAL *restrict z, const REAL *restrict before,
                                    REAL *restrict after, REAL *restrict y, REAL *restrict kept, const int keep)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL i = NAME(sigmoid)(z[k]);
        const REAL f = NAME(sigmoid)(z[k + units]);
        const REAL g = NAME(tanh)(z[k + 2 * units]);
        const REAL o = NAME(sigmoid)(z[k + 3 * units]);
        const REAL c = f * before[k + units] + i * g;
        const REAL h = o * NAME(tanh)(c);
        after[k] = h;
        after[k + units] = c;
        y[k] = h;
        if (keep) {
            kept[k] = i;
            kept[k + units] = f;
            kept[k + 2 * units] = g;
            kept[k + 3 * units] = o;
            kept[k + 4 * units] = c;
        }
    }
}

LSTM2D_INLINE void NAME(plain_cells)(ptrdiff_t n, const int relu, const REAL *restrict z, REAL *restrict after,
                                     REAL *restrict y)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL sum = z[k];
        const REAL h = relu ? (sum < 0 ? 0 : sum) : NAME(tanh)(sum); /* NaN is not below 0, and stays */
        after[k] = h;
        y[k] = h;
    }
}

LSTM2D_PER_LEVEL(void, NAME(rnn_step_forward), (int unit, ptrdiff_t units, ptrdiff_t rows, const REAL *z,
                                                const REAL *r, const REAL *before, REAL *after, REAL *y,
                                                ptrdiff_t y_ld, REAL *kept),
                 (unit, units, rows, z, r, before, after, y, y_ld, kept))
{
    for (ptrdiff_t row = 0; row < rows; row++, y += y_ld) {
#define GRU_KEPT(i, n)                                                                                         \
    NAME(gru_cells)(n, units, z + (i), r + (i), before + (i), after + (i), y + (i), kept + (i), 1)
#define GRU_LOST(i, n)                                                                                         \
    NAME(gru_cells)(n, units, z + (i), r + (i), before + (i), after + (i), y + (i), NULL, 0)
#define LSTM_KEPT(i, n)                                                                                        \
    NAME(lstm_cells)(n, units, z + (i), before + (i), after + (i), y + (i), kept + (i), 1)
#define LSTM_LOST(i, n)                                                                                        \
    NAME(lstm_cells)(n, units, z + (i), before + (i), after + (i), y + (i), NULL, 0)
#define TANH(i, n) NAME(plain_cells)(n, 0, z + (i), after + (i), y + (i))
#define RELU(i, n) NAME(plain_cells)(n, 1, z + (i), after + (i), y + (i))
        if (unit == RNN_GRU) {
            if (kept) {
                RNN_BLOCKS(units, GRU_KEPT)
                kept += 4 * units;
            } else {
                RNN_BLOCKS(units, GRU_LOST)
            }
            z += 3 * units, r += 3 * units, before += units, after += units;
        } else if (unit == RNN_LSTM) {
            if (kept) {
                RNN_BLOCKS(units, LSTM_KEPT)
                kept += 5 * units;
            } else {
                RNN_BLOCKS(units, LSTM_LOST)
            }
            z += 4 * units, before += 2 * units, after += 2 * units;
        } else {
            if (unit == RNN_TANH) {
                RNN_BLOCKS(units, TANH)
            } else {
                RNN_BLOCKS(units, RELU)
            }
            z += units, after += units;
        }
#undef GRU_KEPT
#undef GRU_LOST
#undef LSTM_KEPT
#undef LSTM_LOST
#undef TANH
#undef RELU
    }
}

/* ---- backward: `from_r` is the gradient of h through the products of the step after, `carry` what passes by
   them (GRU: of h; LSTM: of c) */

LSTM2D_INLINE void NAME(gru_cells_backward)(ptrdiff_t n, ptrdiff_t units, const REAL *restrict kept,
                                            const REAL *restrict h_before, const REAL *restrict grad_y,
                                            const REAL *restrict from_r, const REAL *restrict carry,
                                            REAL *restrict carry_out, REAL *restrict grad)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL candidate = kept[k], reset = kept[k + units], update = kept[k + 2 * units];
        const REAL dh = grad_y[k] + from_r[k] + carry[k];
        const REAL dn = dh * update * (1 - candidate * candidate);
        grad[k] = dn;
        grad[k + units] = dn * kept[k + 3 * units] * reset * (1 - reset);
        grad[k + 2 * units] = dh * (candidate - h_before[k]) * update * (1 - update);
        grad[k + 3 * units] = dn * reset;
        carry_out[k] = dh * (1 - update);
    }
}

LSTM2D_INLINE void NAME(lstm_cells_backward)(ptrdiff_t n, ptrdiff_t units, const REAL *restrict kept,
                                             const REAL *restrict c_before, const REAL *restrict grad_y,
                                             const REAL *restrict from_r, const REAL *restrict carry,
                                             REAL *restrict carry_out, REAL *restrict grad)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL i = kept[k], f = kept[k + units], g = kept[k + 2 * units], o = kept[k + 3 * units];
        const REAL t = NAME(tanh)(kept[k + 4 * units]);
        const REAL dh = grad_y[k] + from_r[k];
        const REAL dc = dh * o * (1 - t * t) + carry[k];
        grad[k] = dc * g * i * (1 - i);
        grad[k + units] = dc * c_before[k] * f * (1 - f);
        grad[k + 2 * units] = dc * i * (1 - g * g);
        grad[k + 3 * units] = dh * t * o * (1 - o);
        carry_out[k] = dc * f;
    }
}

LSTM2D_INLINE void NAME(plain_cells_backward)(ptrdiff_t n, const int relu, const REAL *restrict h,
                                              const REAL *restrict grad_y, const REAL *restrict from_r,
                                              REAL *restrict grad)
{
#pragma omp simd
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL dh = grad_y[k] + from_r[k];
        grad[k] = relu ? (h[k] <= 0 ? 0 : dh) : dh * (1 - h[k] * h[k]);
    }
}

/* `before` is h (GRU) or c (LSTM) of the step before, `before_ld` the distance of its rows; y and grad_y lie
   `y_ld` apart. */
LSTM2D_PER_LEVEL(void, NAME(rnn_step_backward), (int unit, ptrdiff_t units, ptrdiff_t rows, const REAL *kept,
                                                 const REAL *before, ptrdiff_t before_ld, const REAL *y,
                                                 const REAL *grad_y, ptrdiff_t y_ld, const REAL *from_r,
                                                 const REAL *carry, REAL *carry_out, REAL *grad),
                 (unit, units, rows, kept, before, before_ld, y, grad_y, y_ld, from_r, carry, carry_out, grad))
{
    for (ptrdiff_t row = 0; row < rows; row++) {
#define GRU(i, n)                                                                                              \
    NAME(gru_cells_backward)(n, units, kept + (i), before + (i), grad_y + (i), from_r + (i),                   \
        carry + (i), carry_out + (i), grad + (i))
#define LSTM(i, n)                                                                                             \
    NAME(lstm_cells_backward)(n, units, kept + (i), before + (i), grad_y + (i), from_r + (i),                  \
        carry + (i), carry_out + (i), grad + (i))
#define TANH(i, n) NAME(plain_cells_backward)(n, 0, y + (i), grad_y + (i), from_r + (i), grad + (i))
#define RELU(i, n) NAME(plain_cells_backward)(n, 1, y + (i), grad_y + (i), from_r + (i), grad + (i))
        if (unit == RNN_GRU) {
            RNN_BLOCKS(units, GRU)
            kept += 4 * units, grad += 4 * units;
        } else if (unit == RNN_LSTM) {
            RNN_BLOCKS(units, LSTM)
            kept += 5 * units, grad += 4 * units;
        } else {
            if (unit == RNN_TANH) {
                RNN_BLOCKS(units, TANH)
            } else {
                RNN_BLOCKS(units, RELU)
            }
            grad += units;
        }
#undef GRU
#undef LSTM
#undef TANH
#undef RELU
        before += before_ld, y += y_ld, grad_y += y_ld;
        from_r += units, carry += units, carry_out += units;
    }
}
