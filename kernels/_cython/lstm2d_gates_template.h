/* Included once for each REAL; NAME(f) adds its suffix.

   Rows of `gates`, `grad_z` and `bias`: input gate, forget gate x, forget gate y, candidate, output gate,
   `units` rows each. Rows of `cells`: the old cell of the horizontal predecessor, then of the vertical one.
   Columns are pixels of the diagonal, `ld` is the distance of two rows. All pointers point at a first column.
   Rows of `peepholes`: input gate from c_x, from c_y, forget gate x, forget gate y, output gate; or NULL.

   The number of columns is rounded up to whole blocks. Lanes beyond the diagonal compute on what lies there;
   the sweep stores every diagonal so that these lanes only meet columns that are written later or never read. */

/* NaN stays NaN. */
LSTM2D_INLINE REAL NAME(clipped)(REAL value, REAL limit)
{
    value = value > limit ? limit : value;
    return value < -limit ? -limit : value;
}

/* gates: products in, gate values out. h goes to `hidden`, the new cell to `cell`, its tanh to `tanh_cell`. */
LSTM2D_INLINE void NAME(forward_rows)(ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, REAL scale, const int leaky,
                                      const REAL *bias, const int peep, const REAL *peepholes, REAL *gates,
                                      const REAL *cells, REAL *hidden, REAL *cell, REAL *tanh_cell)
{
    for (ptrdiff_t u = 0; u < units; u++) {
        const REAL *b = bias + u, *w = peep ? peepholes + u : b;
        const REAL b_i = b[0], b_fx = b[units], b_fy = b[2 * units], b_g = b[3 * units], b_o = b[4 * units];
        const REAL w_ix = w[0], w_iy = w[units], w_fx = w[2 * units], w_fy = w[3 * units], w_o = w[4 * units];
        REAL *restrict z_i = gates + u * ld, *restrict z_fx = gates + (u + units) * ld,
             *restrict z_fy = gates + (u + 2 * units) * ld, *restrict z_g = gates + (u + 3 * units) * ld,
             *restrict z_o = gates + (u + 4 * units) * ld;
        const REAL *restrict c_x = cells + u * ld, *restrict c_y = cells + (u + units) * ld;
        REAL *restrict h_out = hidden + u * ld, *restrict c_out = cell + u * ld, *restrict t_out = tanh_cell + u * ld;
        for (ptrdiff_t k = 0; k < n; k += LSTM2D_LANES) {
#pragma omp simd
            for (ptrdiff_t p = k; p < k + LSTM2D_LANES; p++) {
                REAL i = z_i[p] + b_i, fx = z_fx[p] + b_fx, fy = z_fy[p] + b_fy, o = z_o[p] + b_o;
                const REAL cx = c_x[p], cy = c_y[p];
                if (peep) {
                    i += w_ix * cx + w_iy * cy;
                    fx += w_fx * cx;
                    fy += w_fy * cy;
                }
                i = NAME(sigmoid)(i);
                fx = NAME(sigmoid)(fx);
                fy = NAME(sigmoid)(fy);
                const REAL g = NAME(tanh)(z_g[p] + b_g);
                const REAL old = leaky ? fx * (fy * cy + (1 - fy) * cx) : fx * cx + fy * cy;
                REAL c = scale * old + i * g;
                if (!leaky)
                    c = NAME(clipped)(c, LSTM2D_LARGEST);
                if (peep)
                    o += w_o * c;
                o = NAME(sigmoid)(o);
                const REAL t = NAME(tanh)(c);
                z_i[p] = i;
                z_fx[p] = fx;
                z_fy[p] = fy;
                z_g[p] = g;
                z_o[p] = o;
                c_out[p] = c;
                t_out[p] = t;
                h_out[p] = o * t;
            }
        }
    }
}

LSTM2D_PER_LEVEL(void, NAME(gates_forward), (ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, REAL scale, int leaky,
                                             const REAL *bias, const REAL *peepholes, REAL *gates, const REAL *cells,
                                             REAL *hidden, REAL *cell, REAL *tanh_cell),
                 (units, n, ld, scale, leaky, bias, peepholes, gates, cells, hidden, cell, tanh_cell))
{
#define FORWARD(peep, leaky) \
    NAME(forward_rows)(units, n, ld, scale, leaky, bias, peep, peepholes, gates, cells, hidden, cell, tanh_cell)
    if (leaky) {
        if (peepholes)
            FORWARD(1, 1);
        else
            FORWARD(0, 1);
    } else if (peepholes)
        FORWARD(1, 0);
    else
        FORWARD(0, 0);
#undef FORWARD
}

/* gates, cells, tanh_cell as the forward pass left them; grad_z: gradient of the gates before activation, with
   `clip` each bounded by `limit` before anything reads it.
   Gradients that cross diagonals lie by image row, `gd` apart: in_hidden has `units` rows each from the output,
   the right and the lower neighbour, in_cells from the right and the lower one, out_cells to the left and the
   upper one. The lower neighbour of column p lies at p + 1. */
LSTM2D_INLINE void NAME(backward_rows)(ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, ptrdiff_t gd, REAL scale,
                                       const int leaky, const int clip, REAL limit, const int peep,
                                       const REAL *peepholes, const REAL *gates, const REAL *cells,
                                       const REAL *tanh_cell, const REAL *in_hidden, const REAL *in_cells,
                                       REAL *out_cells, REAL *grad_z)
{
    for (ptrdiff_t u = 0; u < units; u++) {
        const REAL *w = peep ? peepholes + u : NULL;
        const REAL w_ix = peep ? w[0] : 0, w_iy = peep ? w[units] : 0, w_fx = peep ? w[2 * units] : 0,
                   w_fy = peep ? w[3 * units] : 0, w_o = peep ? w[4 * units] : 0;
        const REAL *restrict s_i = gates + u * ld, *restrict s_fx = gates + (u + units) * ld,
                   *restrict s_fy = gates + (u + 2 * units) * ld, *restrict s_g = gates + (u + 3 * units) * ld,
                   *restrict s_o = gates + (u + 4 * units) * ld;
        const REAL *restrict c_x = cells + u * ld, *restrict c_y = cells + (u + units) * ld,
                   *restrict tanh_c = tanh_cell + u * ld;
        REAL *restrict z_i = grad_z + u * ld, *restrict z_fx = grad_z + (u + units) * ld,
             *restrict z_fy = grad_z + (u + 2 * units) * ld, *restrict z_g = grad_z + (u + 3 * units) * ld,
             *restrict z_o = grad_z + (u + 4 * units) * ld;
        const REAL *restrict g_y = in_hidden + u * gd, *restrict g_hr = in_hidden + (u + units) * gd,
                   *restrict g_hb = in_hidden + (u + 2 * units) * gd + 1, *restrict g_cr = in_cells + u * gd,
                   *restrict g_cb = in_cells + (u + units) * gd + 1;
        REAL *restrict g_cl = out_cells + u * gd, *restrict g_ca = out_cells + (u + units) * gd;
        for (ptrdiff_t k = 0; k < n; k += LSTM2D_LANES) {
            /* rows are short and far apart: no hardware prefetcher sees that the next diagonal's lie just before */
            const REAL *const read[] = {s_i, s_fx, s_fy, s_g, s_o, c_x, c_y, tanh_c};
            for (int r = 0; r < 8; r++)
                __builtin_prefetch(read[r] + k - n, 0, 2);
            const REAL *const written[] = {z_i, z_fx, z_fy, z_g, z_o};
            for (int r = 0; r < 5; r++)
                __builtin_prefetch(written[r] + k - n, 1, 2);
#pragma omp simd
            for (ptrdiff_t p = k; p < k + LSTM2D_LANES; p++) {
                const REAL i = s_i[p], fx = s_fx[p], fy = s_fy[p], g = s_g[p], o = s_o[p];
                const REAL cx = c_x[p], cy = c_y[p], t = tanh_c[p];
                const REAL dh = g_y[p] + g_hr[p] + g_hb[p];
                REAL dzo = dh * t * o * (1 - o);
                if (clip)
                    dzo = NAME(clipped)(dzo, limit);
                REAL dc = dh * o * (1 - t * t) + g_cr[p] + g_cb[p];
                if (peep)
                    dc += dzo * w_o;
                if (clip)
                    dc = NAME(clipped)(dc, LSTM2D_LARGEST);
                const REAL dco = dc * scale;
                REAL dzi = dc * g * i * (1 - i), dzg = dc * i * (1 - g * g);
                const REAL dfx = leaky ? fy * cy + (1 - fy) * cx : cx, dfy = leaky ? fx * (cy - cx) : cy;
                REAL dzfx = dco * dfx * fx * (1 - fx), dzfy = dco * dfy * fy * (1 - fy);
                if (clip) {
                    /* a gate that is saturated by a huge cell: no product of both huge values comes before its 0 */
                    dzfx = dfx * fx * (1 - fx) * dco;
                    dzfy = dfy * fy * (1 - fy) * dco;
                    dzi = NAME(clipped)(dzi, limit);
                    dzfx = NAME(clipped)(dzfx, limit);
                    dzfy = NAME(clipped)(dzfy, limit);
                    dzg = NAME(clipped)(dzg, limit);
                }
                REAL dcx = dco * (leaky ? fx * (1 - fy) : fx), dcy = dco * (leaky ? fx * fy : fy);
                if (peep) {
                    dcx += dzi * w_ix + dzfx * w_fx;
                    dcy += dzi * w_iy + dzfy * w_fy;
                }
                z_i[p] = dzi;
                z_fx[p] = dzfx;
                z_fy[p] = dzfy;
                z_g[p] = dzg;
                z_o[p] = dzo;
                g_cl[p] = dcx;
                g_ca[p] = dcy;
            }
        }
    }
}

LSTM2D_PER_LEVEL(void, NAME(gates_backward), (ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, ptrdiff_t gd, REAL scale,
                                              int leaky, REAL limit, const REAL *peepholes, const REAL *gates,
                                              const REAL *cells, const REAL *tanh_cell, const REAL *in_hidden,
                                              const REAL *in_cells, REAL *out_cells, REAL *grad_z),
                 (units, n, ld, gd, scale, leaky, limit, peepholes, gates, cells, tanh_cell, in_hidden, in_cells,
                  out_cells, grad_z))
{
#define BACKWARD(leaky, clip, peep)                                                                                  \
    NAME(backward_rows)(units, n, ld, gd, scale, leaky, clip, limit, peep, peepholes, gates, cells, tanh_cell,       \
                        in_hidden, in_cells, out_cells, grad_z)
    /* one loop for each choice, so that none is made for every pixel */
    switch (4 * (leaky != 0) + 2 * (limit > 0) + (peepholes != NULL)) {
    case 0: BACKWARD(0, 0, 0); break;
    case 1: BACKWARD(0, 0, 1); break;
    case 2: BACKWARD(0, 1, 0); break;
    case 3: BACKWARD(0, 1, 1); break;
    case 4: BACKWARD(1, 0, 0); break;
    case 5: BACKWARD(1, 0, 1); break;
    case 6: BACKWARD(1, 1, 0); break;
    default: BACKWARD(1, 1, 1);
    }
#undef BACKWARD
}

/* Sum over n columns: grad_bias (5 * units) and, grad_peepholes (5 * units; or NULL). */
LSTM2D_PER_LEVEL(void, NAME(gates_reduce), (ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, REAL scale, int leaky,
                                            const REAL *gates, const REAL *cells, const REAL *grad_z,
                                            REAL *grad_bias, REAL *grad_peepholes),
                 (units, n, ld, scale, leaky, gates, cells, grad_z, grad_bias, grad_peepholes))
{
    for (ptrdiff_t row = 0; row < 5 * units; row++) {
        const REAL *restrict z = grad_z + row * ld;
        REAL sum = 0;
#pragma omp simd reduction(+ : sum)
        for (ptrdiff_t p = 0; p < n; p++)
            sum += z[p];
        grad_bias[row] = sum;
    }
    if (grad_peepholes == NULL)
        return;
    for (ptrdiff_t u = 0; u < units; u++) {
        const REAL *restrict z_i = grad_z + u * ld, *restrict z_fx = grad_z + (u + units) * ld,
                   *restrict z_fy = grad_z + (u + 2 * units) * ld, *restrict z_o = grad_z + (u + 4 * units) * ld;
        const REAL *restrict s_i = gates + u * ld, *restrict s_fx = gates + (u + units) * ld,
                   *restrict s_fy = gates + (u + 2 * units) * ld, *restrict s_g = gates + (u + 3 * units) * ld;
        const REAL *restrict c_x = cells + u * ld, *restrict c_y = cells + (u + units) * ld;
        REAL ix = 0, iy = 0, fx = 0, fy = 0, o = 0;
#pragma omp simd reduction(+ : ix, iy, fx, fy, o)
        for (ptrdiff_t p = 0; p < n; p++) {
            const REAL cx = c_x[p], cy = c_y[p];
            const REAL old = leaky ? s_fx[p] * (s_fy[p] * cy + (1 - s_fy[p]) * cx) : s_fx[p] * cx + s_fy[p] * cy;
            ix += z_i[p] * cx;
            iy += z_i[p] * cy;
            fx += z_fx[p] * cx;
            fy += z_fy[p] * cy;
            o += z_o[p] * (scale * old + s_i[p] * s_g[p]);
        }
        grad_peepholes[u] = ix;
        grad_peepholes[u + units] = iy;
        grad_peepholes[u + 2 * units] = fx;
        grad_peepholes[u + 3 * units] = fy;
        grad_peepholes[u + 4 * units] = o;
    }
}

/* The horizontal predecessors' rows are the vertical ones', a column earlier: copy `units` rows. */
LSTM2D_PER_LEVEL(void, NAME(shift_rows), (ptrdiff_t units, ptrdiff_t n, ptrdiff_t ld, REAL *rows),
                 (units, n, ld, rows))
{
    for (ptrdiff_t u = 0; u < units; u++) {
        REAL *restrict to = rows + u * ld;
        const REAL *restrict from = rows + (u + units) * ld + 1;
        for (ptrdiff_t k = 0; k < n; k += LSTM2D_LANES) {
#pragma omp simd
            for (ptrdiff_t p = k; p < k + LSTM2D_LANES; p++)
                to[p] = from[p];
        }
    }
}
