/* Included once for each REAL; NAME(f) adds its suffix.

   Rows of `gates`, `grad_z` and `bias`: input gate, forget gate x, forget gate y, candidate, output gate,
   `units` rows each. Rows of `cells`: the old cell of the horizontal predecessor, then of the vertical one.
   Columns are pixels of the diagonal. All pointers point at its first column. */

typedef struct {
    ptrdiff_t units, stride; /* distance of two rows, the same in all arrays of a sweep */
    REAL cell_scale;
    int leaky;
    const REAL *bias;      /* 5 * units */
    const REAL *peepholes; /* 5 * units: input gate from c_x, from c_y, forget x, forget y, output; or NULL */
} NAME(gate_layer);

/* gates: products in, gate values out. The new h and c go to hidden and cell, their tanh to tanh_cell. */
LSTM2D_INLINE void NAME(forward_rows)(const NAME(gate_layer) * layer, ptrdiff_t n, const int peep, const int leaky,
                                      REAL *restrict gates, const REAL *restrict cells, REAL *restrict hidden,
                                      REAL *restrict cell, REAL *restrict tanh_cell)
{
    const ptrdiff_t units = layer->units, ld = layer->stride;
    const REAL scale = layer->cell_scale;
    for (ptrdiff_t u = 0; u < units; u++) {
        const REAL *b = layer->bias + u, *w = peep ? layer->peepholes + u : b;
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
                const REAL c = scale * old + i * g;
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

LSTM2D_CLONES static void NAME(gates_forward)(const NAME(gate_layer) * layer, ptrdiff_t n, REAL *gates,
                                              const REAL *cells, REAL *hidden, REAL *cell, REAL *tanh_cell)
{
    const int peep = layer->peepholes != NULL;
    if (layer->leaky) {
        if (peep)
            NAME(forward_rows)(layer, n, 1, 1, gates, cells, hidden, cell, tanh_cell);
        else
            NAME(forward_rows)(layer, n, 0, 1, gates, cells, hidden, cell, tanh_cell);
    } else if (peep)
        NAME(forward_rows)(layer, n, 1, 0, gates, cells, hidden, cell, tanh_cell);
    else
        NAME(forward_rows)(layer, n, 0, 0, gates, cells, hidden, cell, tanh_cell);
}

/* Gradients that reach a diagonal from outside (y), from its right and from its lower neighbours, and those
   that it sends to its own predecessors' cells. Rows are units, `stride` apart. */
typedef struct {
    ptrdiff_t stride;
    const REAL *y, *hidden_right, *hidden_below, *cell_right, *cell_below;
    REAL *cell_left, *cell_above;
} NAME(gate_gradients);

/* gates, cells, tanh_cell as the forward pass left them; grad_z: gradient of the gates before activation. */
LSTM2D_INLINE void NAME(backward_rows)(const NAME(gate_layer) * layer, ptrdiff_t n, const int peep, const int leaky,
                                       const REAL *restrict gates, const REAL *restrict cells,
                                       const REAL *restrict tanh_cell, const NAME(gate_gradients) * grads,
                                       REAL *restrict grad_z)
{
    const ptrdiff_t units = layer->units, ld = layer->stride, gd = grads->stride;
    const REAL scale = layer->cell_scale;
    for (ptrdiff_t u = 0; u < units; u++) {
        const REAL *w = peep ? layer->peepholes + u : layer->bias + u;
        const REAL w_ix = w[0], w_iy = w[units], w_fx = w[2 * units], w_fy = w[3 * units], w_o = w[4 * units];
        const REAL *restrict s_i = gates + u * ld, *restrict s_fx = gates + (u + units) * ld,
                   *restrict s_fy = gates + (u + 2 * units) * ld, *restrict s_g = gates + (u + 3 * units) * ld,
                   *restrict s_o = gates + (u + 4 * units) * ld;
        const REAL *restrict c_x = cells + u * ld, *restrict c_y = cells + (u + units) * ld,
                   *restrict tanh_c = tanh_cell + u * ld;
        REAL *restrict z_i = grad_z + u * ld, *restrict z_fx = grad_z + (u + units) * ld,
             *restrict z_fy = grad_z + (u + 2 * units) * ld, *restrict z_g = grad_z + (u + 3 * units) * ld,
             *restrict z_o = grad_z + (u + 4 * units) * ld;
        const REAL *restrict g_y = grads->y + u * gd, *restrict g_hr = grads->hidden_right + u * gd,
                   *restrict g_hb = grads->hidden_below + u * gd, *restrict g_cr = grads->cell_right + u * gd,
                   *restrict g_cb = grads->cell_below + u * gd;
        REAL *restrict g_cl = grads->cell_left + u * gd, *restrict g_ca = grads->cell_above + u * gd;
        for (ptrdiff_t k = 0; k < n; k += LSTM2D_LANES) {
#pragma omp simd
            for (ptrdiff_t p = k; p < k + LSTM2D_LANES; p++) {
                const REAL i = s_i[p], fx = s_fx[p], fy = s_fy[p], g = s_g[p], o = s_o[p];
                const REAL cx = c_x[p], cy = c_y[p], t = tanh_c[p];
                const REAL dh = g_y[p] + g_hr[p] + g_hb[p];
                const REAL dzo = dh * t * o * (1 - o);
                REAL dc = dh * o * (1 - t * t) + g_cr[p] + g_cb[p];
                if (peep)
                    dc += dzo * w_o;
                const REAL dzi = dc * g * i * (1 - i), dzg = dc * i * (1 - g * g), dco = dc * scale;
                const REAL dfx = leaky ? fy * cy + (1 - fy) * cx : cx, dfy = leaky ? fx * (cy - cx) : cy;
                const REAL dzfx = dco * dfx * fx * (1 - fx), dzfy = dco * dfy * fy * (1 - fy);
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

LSTM2D_CLONES static void NAME(gates_backward)(const NAME(gate_layer) * layer, ptrdiff_t n, const REAL *gates,
                                               const REAL *cells, const REAL *tanh_cell,
                                               const NAME(gate_gradients) * grads, REAL *grad_z)
{
    const int peep = layer->peepholes != NULL;
    if (layer->leaky) {
        if (peep)
            NAME(backward_rows)(layer, n, 1, 1, gates, cells, tanh_cell, grads, grad_z);
        else
            NAME(backward_rows)(layer, n, 0, 1, gates, cells, tanh_cell, grads, grad_z);
    } else if (peep)
        NAME(backward_rows)(layer, n, 1, 0, gates, cells, tanh_cell, grads, grad_z);
    else
        NAME(backward_rows)(layer, n, 0, 0, gates, cells, tanh_cell, grads, grad_z);
}

/* Sum over n columns: grad_bias (5 * units) and, where the layer has them, grad_peepholes (5 * units). */
LSTM2D_CLONES static void NAME(gates_reduce)(const NAME(gate_layer) * layer, ptrdiff_t n, const REAL *gates,
                                             const REAL *cells, const REAL *grad_z, REAL *grad_bias,
                                             REAL *grad_peepholes)
{
    const ptrdiff_t units = layer->units, ld = layer->stride;
    const REAL scale = layer->cell_scale;
    const int leaky = layer->leaky;
    for (ptrdiff_t row = 0; row < 5 * units; row++) {
        const REAL *restrict z = grad_z + row * ld;
        REAL sum = 0;
#pragma omp simd reduction(+ : sum)
        for (ptrdiff_t p = 0; p < n; p++)
            sum += z[p];
        grad_bias[row] = sum;
    }
    if (layer->peepholes == NULL)
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
