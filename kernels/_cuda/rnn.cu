// Sweeps over columns or rows; reference: kernels/_reference/rnn.py.
//
// A sweep is a sequence of hundreds of small dependent steps. With one launch each, launch latency would exceed
// the compute time, so one kernel runs a whole sweep, with its recurrent weights in shared memory. Lines are
// independent: a block processes four or eight lines of one direction, and only synchronises its own threads.
//
// blockIdx.x: group of lines; blockIdx.y: direction. Arrays: (pixels, 2 directions, gates, units); hidden
// states and `extra`: (pixels, 2 directions, units). Their values for a step are loaded before its product
// and used after it.

enum Unit { TANH, RELU, GRU, LSTM };

// Offsets of lines and steps in pixels.
struct Sweep {
    int unit, units, gates, lines, across, steps, direction;
    Long image, aside, along;  // pixels from image to image, from line to line, from step to step
};

// One hidden unit of one line.
struct Item {
    int lane, u;
    bool inside;
    Long first;  // pixel of the line
};

__device__ inline Item item_of(const Sweep &s, int i, int lanes) {
    Item item;
    item.lane = i / s.units;
    item.u = i % s.units;
    const int line = blockIdx.x * lanes + item.lane;
    item.inside = item.lane < lanes && line < s.lines;
    item.first = line / s.across * s.image + line % s.across * s.aside;
    return item;
}

// Index of a pixel and direction; steps are counted in the order of the sweep.
__device__ inline Long row_of(const Sweep &s, const Item &item, int step) {
    return (item.first + (s.direction ? s.steps - 1 - step : step) * s.along) * 2 + s.direction;
}

__device__ inline void read_gates(const Sweep &s, const REAL *z, Long row, int u, REAL (&gates)[4]) {
#pragma unroll
    for (int g = 0; g < 4; g++)
        if (g < s.gates) gates[g] = z[(row * s.gates + g) * s.units + u];
}

// ---- forward

// Convert sums of inputs z and of states r to gates, in place. `cell`: for lstm the cell; for gru the product
// that the reset gate scales is written there. Returns the new hidden state.
__device__ inline REAL advance(int unit, REAL (&z)[4], const REAL (&r)[4], REAL hidden, REAL &cell) {
    if (unit == GRU) {
        z[0] = sigmoid_(z[0] + r[0]);
        z[1] = sigmoid_(z[1] + r[1]);
        z[2] = tanh_(z[2] + z[0] * r[2]);
        cell = r[2];
        return (1 - z[1]) * hidden + z[1] * z[2];
    }
    if (unit == LSTM) {
        z[0] = sigmoid_(z[0] + r[0]);
        z[1] = sigmoid_(z[1] + r[1]);
        z[2] = tanh_(z[2] + r[2]);
        z[3] = sigmoid_(z[3] + r[3]);
        cell = z[1] * cell + z[0] * z[2];
        return z[3] * tanh_(cell);
    }
    const REAL sum = z[0] + r[0];
    return unit == TANH ? tanh_(sum) : sum < 0 ? 0 : sum;  // NaN is kept
}

template <int L>
__device__ inline void sweep_forward(const Sweep &s, Matrix &m, const REAL *bias, REAL *z, REAL *y,
                                     REAL *extra) {
    SHARED(states);
    const int n = L * s.units, width = s.gates * s.units;
    REAL *partial = states + s.units * PITCH<L>, *cells = partial + m.slices * L * 4 * m.quarter;
    REAL *biases = cells + n;
    clear(states, s.units * PITCH<L>);
    clear(cells, n);
    for (int i = threadIdx.x; i < width; i += blockDim.x) biases[i] = bias[s.direction * width + i];
    m.hold(biases + width);
    __syncthreads();
    const Item mine = item_of(s, threadIdx.x, L);
    for (int step = 0; step < s.steps; step++) {
        REAL gates[4], products[4];
        if (mine.inside) read_gates(s, z, row_of(s, mine, step), mine.u, gates);
        multiply<L>(m, states, partial, threadIdx.x, blockDim.x);
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const bool ahead = i == threadIdx.x;
            const Item item = ahead ? mine : item_of(s, i, L);
            if (!item.inside) break;  // nor are the items after it
            const Long row = row_of(s, item, step);
            if (!ahead) read_gates(s, z, row, item.u, gates);
#pragma unroll
            for (int g = 0; g < 4; g++) {
                if (g >= s.gates) continue;
                products[g] = product_of<L>(m, partial, item.lane, g * s.units + item.u);
                gates[g] += biases[g * s.units + item.u];
            }
            REAL &state = states[item.u * PITCH<L> + item.lane];
            const REAL hidden = advance(s.unit, gates, products, state, cells[i]);
            state = y[row * s.units + item.u] = hidden;
            if (!extra) continue;
            extra[row * s.units + item.u] = cells[i];
#pragma unroll
            for (int g = 0; g < 4; g++)
                if (g < s.gates) z[(row * s.gates + g) * s.units + item.u] = gates[g];
        }
        __syncthreads();
    }
}

// z: products of the inputs; with `extra`, they are overwritten by the gates. Shared memory: states, partial
// sums, cells, biases, matrix.
extern "C" __global__ void __launch_bounds__(384, 1) rnn_forward(
    REAL *z, const REAL *recurrent, const REAL *bias, REAL *y, REAL *extra, int unit, int units, int gates,
    int lines, int across, int steps, Long image, Long aside, Long along, int lanes, int n_held, int stride,
    int quarter, int slices) {
    const int d = blockIdx.y;
    const Sweep s = {unit, units, gates, lines, across, steps, d, image, aside, along};
    Matrix m = {recurrent + (Long)d * units * stride, units, n_held, stride, quarter, slices, nullptr};
    if (lanes == 4)
        sweep_forward<4>(s, m, bias, z, y, extra);
    else
        sweep_forward<32 / sizeof(REAL)>(s, m, bias, z, y, extra);
}

// ---- backward

struct Saved {
    REAL grad, gates[4], extra, before;
};

// `before`: for gru the previous hidden state, for lstm the previous cell, else the current hidden state.
__device__ inline Saved read_saved(const Sweep &s, const REAL *grad_y, const REAL *y, const REAL *gates,
                                   const REAL *extra, const Item &item, int step) {
    Saved v = {};
    const Long row = row_of(s, item, step), at = row * s.units + item.u;
    v.grad = grad_y[at];
    if (s.unit == TANH || s.unit == RELU) {
        v.before = y[at];
        return v;
    }
    read_gates(s, gates, row, item.u, v.gates);
    v.extra = extra[at];
    if (step) v.before = (s.unit == GRU ? y : extra)[row_of(s, item, step - 1) * s.units + item.u];
    return v;
}

// Gradients of the sums from that of the hidden state: `grad` for inputs and states; the last gate's gradient
// for states may differ and is returned. `carry`: for gru the direct gradient of the previous hidden state, for
// lstm the gradient of the cell.
__device__ inline REAL retreat(int unit, const Saved &v, REAL grad_hidden, REAL &carry, REAL (&grad)[4]) {
    const REAL *g = v.gates;
    if (unit == GRU) {
        grad_hidden += carry;
        grad[2] = grad_hidden * g[1] * (1 - g[2] * g[2]);
        grad[1] = grad_hidden * (g[2] - v.before) * g[1] * (1 - g[1]);
        grad[0] = grad[2] * v.extra * g[0] * (1 - g[0]);
        carry = grad_hidden * (1 - g[1]);
        return grad[2] * g[0];
    }
    if (unit == LSTM) {
        const REAL t = tanh_(v.extra), cell = carry + grad_hidden * g[3] * (1 - t * t);
        grad[0] = cell * g[2] * g[0] * (1 - g[0]);
        grad[1] = cell * v.before * g[1] * (1 - g[1]);
        grad[2] = cell * g[0] * (1 - g[2] * g[2]);
        carry = cell * g[1];
        return grad[3] = grad_hidden * t * g[3] * (1 - g[3]);
    }
    const REAL slope = unit == TANH ? 1 - v.before * v.before : v.before <= 0 ? 0 : 1;
    return grad[0] = grad_hidden * slope;
}

template <int L>
__device__ inline void sweep_backward(const Sweep &s, Matrix &m, const REAL *grad_y, const REAL *y,
                                      const REAL *gates, const REAL *extra, REAL *grad_z, REAL *grad_r) {
    SHARED(states);  // gradients of the sums
    const int n = L * s.units;
    REAL *partial = states + m.n_rows * PITCH<L>, *carries = partial + m.slices * L * 4 * m.quarter;
    clear(states, m.n_rows * PITCH<L>);
    clear(carries, n);
    m.hold(carries + n);
    __syncthreads();
    const Item mine = item_of(s, threadIdx.x, L);
    for (int step = s.steps - 1; step >= 0; step--) {
        Saved v;
        if (mine.inside) v = read_saved(s, grad_y, y, gates, extra, mine, step);
        multiply<L>(m, states, partial, threadIdx.x, blockDim.x);
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const bool ahead = i == threadIdx.x;
            const Item item = ahead ? mine : item_of(s, i, L);
            if (!item.inside) break;  // nor are the items after it
            if (!ahead) v = read_saved(s, grad_y, y, gates, extra, item, step);
            REAL grad[4];
            const REAL hidden = v.grad + product_of<L>(m, partial, item.lane, item.u);
            const REAL last = retreat(s.unit, v, hidden, carries[i], grad);
            const Long row = row_of(s, item, step);
#pragma unroll
            for (int g = 0; g < 4; g++) {
                if (g >= s.gates) continue;
                const REAL through = g == s.gates - 1 ? last : grad[g];
                const Long at = (row * s.gates + g) * s.units + item.u;
                grad_z[at] = grad[g];
                if (grad_r) grad_r[at] = through;
                states[(g * s.units + item.u) * PITCH<L> + item.lane] = through;
            }
        }
        __syncthreads();
    }
}

// grad_r: gradients of the products of the states, null if they equal those of the inputs. Shared memory:
// gradients of the sums, partial sums, carries, matrix.
extern "C" __global__ void __launch_bounds__(384, 1) rnn_backward(
    const REAL *grad_y, const REAL *recurrent, const REAL *y, const REAL *kept, const REAL *extra,
    REAL *grad_z, REAL *grad_r, int unit, int units, int gates, int lines, int across, int steps, Long image,
    Long aside, Long along, int lanes, int n_held, int stride, int quarter, int slices) {
    const int d = blockIdx.y;
    const Sweep s = {unit, units, gates, lines, across, steps, d, image, aside, along};
    Matrix m = {recurrent + (Long)d * gates * units * stride, gates * units, n_held, stride, quarter, slices};
    if (lanes == 4)
        sweep_backward<4>(s, m, grad_y, y, kept, extra, grad_z, grad_r);
    else
        sweep_backward<32 / sizeof(REAL)>(s, m, grad_y, y, kept, extra, grad_z, grad_r);
}
