// The 2D-LSTM; reference: kernels/_reference/lstm2d.py.
//
// A scan is a sequence of hundreds of anti-diagonals. With one launch each, launch latency would exceed the
// compute time, so one kernel runs the whole layer, for all directions and images, with the recurrent weights
// in shared memory. A block advances a band of four or eight rows (its lanes): in step s, lane l is at column
// s - l. It computed the inputs from its own rows in the previous step; only the row above the band is from
// another block. Two extra warps, the sender and the receiver, transfer it while the others multiply. There
// is no barrier between blocks: each waits for the block above it and runs a few steps later.
//
// All blocks must be resident. Each takes every gridDim.x-th band over all images (blockIdx.y: direction).
// A block waits only for an earlier band, so the first unfinished band always advances.
//
// Arrays: (pixels, 4 directions, 5 gates, units); hidden states and cells: (pixels, 4 directions, units).
// Their values for a step are loaded before its product and used after it.

constexpr int WARP = 32;

struct Scan {
    int units, height, width, bands, tasks, direction, leaky;
    REAL cell_scale;
};

// One hidden unit in one row of the scan. The backward pass traverses the scan from its end.
struct Item {
    int lane, u;
    bool inside, last;  // last: of all rows
    Long first;         // pixel of the row's first column
    int aside, along;   // pixels from column to column, from row to row
};

template <int L> __device__ inline Item item_of(const Scan &s, int task, int i, bool backward) {
    const int way = backward ? 3 - s.direction : s.direction, row = task % s.bands * L + i / s.units;
    const bool up = way >= 2, left = way & 1;
    Item item;
    item.lane = i / s.units;
    item.u = i % s.units;
    item.inside = item.lane < L && row < s.height;
    item.last = row == s.height - 1;
    item.aside = left ? -1 : 1;
    item.along = up ? -s.width : s.width;
    item.first = ((Long)(task / s.bands) * s.height + (up ? s.height - 1 - row : row)) * s.width;
    if (left) item.first += s.width - 1;
    return item;
}

// ---- transfer between bands

// Values of the last row of a band for the next band: (columns, 2 U). Each thread of the sender counts every
// column.
struct Link {
    REAL *values;
    unsigned *sent;
};

__device__ inline Link link_of(const Scan &s, REAL *edges, unsigned *sent, int task) {
    const Long band = (Long)s.direction * s.tasks + task;
    return {edges + band * s.width * 2 * s.units, sent + band};
}

struct Role {
    int workers, t;  // t: index in the couriers' warp
    bool works, sends, receives;
    Link above, below;
};

__device__ inline Role role_of(const Scan &s, REAL *edges, unsigned *sent, int task) {
    const int workers = blockDim.x - 2 * WARP, beyond = (int)threadIdx.x - workers, band = task % s.bands;
    const bool sends = beyond >= 0 && beyond < WARP && band + 1 < s.bands, receives = beyond >= WARP && band;
    const Link below = link_of(s, edges, sent, task);
    const Link above = band ? link_of(s, edges, sent, task - 1) : below;
    return {workers, beyond % WARP, beyond < 0, sends, receives, above, below};
}

// Fetch a column that is known to be ready, then wait for the next one.
__device__ inline void receive(const Scan &s, const Link &above, int column, REAL *stage, int t) {
    const volatile unsigned *sent = above.sent;
    const unsigned target = WARP * min(column + 2, s.width);
    unsigned seen = *sent;
    const int n = column < 0 || column >= s.width ? 0 : 2 * s.units;
    const volatile REAL *values = above.values + (Long)max(column, 0) * 2 * s.units;
    for (int i = t; i < n; i += 4 * WARP) {
        REAL value[4];
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (i + k * WARP < n) value[k] = values[i + k * WARP];
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (i + k * WARP < n) stage[i + k * WARP] = value[k];
    }
    while (seen < target) {
        PAUSE();
        seen = *sent;
    }
    __threadfence();
}

// Signal that a column is ready.
__device__ inline void announce(const Link &below) {
    __threadfence();
    atomicAdd(below.sent, 1u);
}

// ---- a band, forward or backward

// Two barriers per step: after all sums, and after all items.
template <int L, class Pass>
__device__ inline void scan(const Pass &p, int task, REAL *edges, unsigned *sent) {
    const Role r = role_of(p.s, edges, sent, task);
    const Item mine = item_of<L>(p.s, task, threadIdx.x, Pass::BACKWARD);
    p.start(r);
    for (int step = 0; step < p.s.width + L + Pass::BACKWARD; step++) {
        typename Pass::Read ahead;
        if (r.works) {
            p.read(mine, step, ahead);
            multiply<L>(p.m, p.states, p.partial, threadIdx.x, r.workers);
        }
        p.while_multiplied(r, step);
        __syncthreads();
        if (r.works) p.finish(mine, step, ahead);
        for (int i = threadIdx.x + r.workers; r.works && i < L * p.s.units; i += r.workers) {
            const Item item = item_of<L>(p.s, task, i, Pass::BACKWARD);
            p.read(item, step, ahead);
            p.finish(item, step, ahead);
        }
        p.while_finished(r, step);
        __syncthreads();
    }
}

constexpr REAL LARGEST = (REAL)0x1p100;  // bound of cells and of their gradients, see kernels/_reference/lstm2d.py

// NaN stays NaN.
__device__ inline REAL clipped(REAL value, REAL limit) {
    value = value > limit ? limit : value;
    return value < -limit ? -limit : value;
}

// ---- forward

struct Cells {
    REAL x, y;
};

// Convert sums to gates in place. `p`: peepholes of the unit. Returns the new hidden state.
__device__ inline REAL advance(const Scan &s, REAL (&gates)[5], const REAL *p, Cells old, REAL &cell) {
    gates[0] = sigmoid_(gates[0] + p[0] * old.x + p[s.units] * old.y);
    gates[1] = sigmoid_(gates[1] + p[2 * s.units] * old.x);
    gates[2] = sigmoid_(gates[2] + p[3 * s.units] * old.y);
    gates[3] = tanh_(gates[3]);
    const REAL kept = s.leaky ? gates[1] * (gates[2] * old.y + (1 - gates[2]) * old.x)
                              : gates[1] * old.x + gates[2] * old.y;
    cell = s.cell_scale * kept + gates[0] * gates[3];
    if (!s.leaky) cell = clipped(cell, LARGEST);
    gates[4] = sigmoid_(gates[4] + p[4 * s.units] * cell);
    return gates[4] * tanh_(cell);
}

struct Sums {
    REAL of[5];
};

template <int L> struct Forward {
    static constexpr bool BACKWARD = false;
    typedef Sums Read;
    Scan s;
    Matrix m;
    REAL *z, *y, *kept;
    REAL *states;   // hidden states to the left of each lane (U), above it (U)
    REAL *partial;  // sums
    REAL *cells;    // of two alternating steps, above the band and per lane: (2, L + 1, U)
    REAL *stage;    // hidden state and cell above the next column (2 U)
    REAL *biases;   // and peepholes (10 U)

    __device__ inline REAL *cells_of(int step, int row) const {
        return cells + ((step & 1) * (L + 1) + row) * s.units;
    }

    __device__ inline void read(const Item &item, int step, Sums &sums) const {
        const int column = step - item.lane;
        if (!item.inside || column < 0 || column >= s.width) return;
        const REAL *from = z + ((item.first + column * item.aside) * 4 + s.direction) * 5 * s.units + item.u;
#pragma unroll
        for (int g = 0; g < 5; g++) sums.of[g] = from[g * s.units];
    }

    __device__ inline void finish(const Item &item, int step, Sums &sums) const {
        const int column = step - item.lane, u = item.u, lane = item.lane;
        REAL(&gates)[5] = sums.of;
        if (!item.inside || column < 0 || column >= s.width) return;
        const Long row = (item.first + column * item.aside) * 4 + s.direction;
#pragma unroll
        for (int g = 0; g < 5; g++)
            gates[g] += biases[g * s.units + u] + product_of<L>(m, partial, lane, g * s.units + u);
        const Cells old = {cells_of(step - 1, lane + 1)[u], cells_of(step - 1, lane)[u]};
        REAL &cell = cells_of(step, lane + 1)[u];
        const REAL hidden = advance(s, gates, biases + 5 * s.units + u, old, cell);
        states[u * PITCH<L> + lane] = hidden;
        if (lane + 1 < L) states[(s.units + u) * PITCH<L> + lane + 1] = hidden;
        y[row * s.units + u] = hidden;
        if (!kept) return;
        kept[row * s.units + u] = cell;
#pragma unroll
        for (int g = 0; g < 5; g++) z[(row * 5 + g) * s.units + u] = gates[g];
    }

    // The column that the last lane finished in the previous step.
    __device__ inline void send(const Link &below, int step, int t) const {
        const int column = step - L;
        if (column < 0) return;
        REAL *to = below.values + (Long)column * 2 * s.units;
        for (int u = t; u < s.units; u += WARP) {
            to[u] = states[u * PITCH<L> + L - 1];
            to[s.units + u] = cells_of(step - 1, L)[u];
        }
    }

    // Store the received values for the next step.
    __device__ inline void deliver(int step, int t) const {
        for (int u = t; u < s.units; u += WARP) {
            states[(s.units + u) * PITCH<L>] = stage[u];
            cells_of(step, 0)[u] = stage[s.units + u];
        }
    }

    __device__ inline void start(const Role &r) const {
        if (r.receives) {
            receive(s, r.above, -1, stage, r.t);
            receive(s, r.above, 0, stage, r.t);
        }
        __syncthreads();
        if (r.receives) deliver(-1, r.t);
        __syncthreads();
    }

    __device__ inline void while_multiplied(const Role &r, int step) const {
        if (r.sends) send(r.below, step, r.t);
        if (r.receives) receive(s, r.above, step + 1, stage, r.t);
    }

    __device__ inline void while_finished(const Role &r, int step) const {
        if (r.sends && step >= L) announce(r.below);
        if (r.receives && step + 1 < s.width) deliver(step, r.t);
    }

    __device__ inline void run(const REAL *bias, const REAL *peepholes, REAL *edges, unsigned *sent) {
        const int units = s.units;
        partial = states + 2 * units * PITCH<L>;
        cells = partial + m.slices * L * 4 * m.quarter;
        stage = cells + 2 * (L + 1) * units;
        biases = stage + 2 * units;
        for (int i = threadIdx.x; i < 5 * units; i += blockDim.x) {
            biases[i] = bias[s.direction * 5 * units + i];
            biases[5 * units + i] = peepholes ? peepholes[s.direction * 5 * units + i] : (REAL)0;
        }
        m.hold(biases + 10 * units);
        for (int task = blockIdx.x; task < s.tasks; task += gridDim.x) {
            clear(states, 2 * units * PITCH<L>);
            clear(cells, 2 * (L + 1) * units);
            __syncthreads();
            scan<L>(*this, task, edges, sent);
        }
    }
};

// z: products of the inputs; with `kept` (the cells), they are overwritten by the gates. Directions from
// `first` on.
extern "C" __global__ void __launch_bounds__(384, 1) lstm2d_forward(
    REAL *z, const REAL *recurrent, const REAL *bias, const REAL *peepholes, REAL *y, REAL *kept, REAL *edges,
    unsigned *sent, REAL cell_scale, int leaky, int units, int height, int width, int bands, int tasks,
    int first, int lanes, int n_held, int stride, int quarter, int slices) {
    SHARED(shared);
    const int d = first + blockIdx.y;
    const Scan s = {units, height, width, bands, tasks, d, leaky, cell_scale};
    const Matrix m = {recurrent + (Long)d * 2 * units * stride, 2 * units, n_held, stride, quarter, slices};
    if (lanes == 4)
        Forward<4>{s, m, z, y, kept, shared}.run(bias, peepholes, edges, sent);
    else
        Forward<32 / sizeof(REAL)>{s, m, z, y, kept, shared}.run(bias, peepholes, edges, sent);
}

// ---- backward

struct Saved {
    REAL grad, gates[5];
    Cells old;
};

// Gradients of the sums, each at most `limit`, from those of hidden state and cell; returns those of the old cells.
__device__ inline Cells retreat(const Scan &s, const Saved &v, const REAL *p, REAL limit, REAL hidden, REAL cell,
                                REAL (&grad)[5]) {
    const REAL *g = v.gates;
    const REAL x = v.old.x, y = v.old.y;
    const REAL kept = s.leaky ? g[1] * (g[2] * y + (1 - g[2]) * x) : g[1] * x + g[2] * y;
    const REAL t = tanh_(s.cell_scale * kept + g[0] * g[3]);
    grad[4] = clipped(hidden * t * g[4] * (1 - g[4]), limit);
    cell += hidden * g[4] * (1 - t * t) + grad[4] * p[4 * s.units];
    cell = clipped(cell, limit < LARGEST ? LARGEST : limit);
    grad[0] = clipped(cell * g[3] * g[0] * (1 - g[0]), limit);
    grad[3] = clipped(cell * g[0] * (1 - g[3] * g[3]), limit);
    cell *= s.cell_scale;
    // of a gate that is saturated by a huge cell: no product of both huge values comes before its 0
    grad[1] = clipped((s.leaky ? g[2] * y + (1 - g[2]) * x : x) * g[1] * (1 - g[1]) * cell, limit);
    grad[2] = clipped((s.leaky ? g[1] * (y - x) : y) * g[2] * (1 - g[2]) * cell, limit);
    return {cell * g[1] * (s.leaky ? 1 - g[2] : (REAL)1) + grad[0] * p[0] + grad[1] * p[2 * s.units],
            cell * g[2] * (s.leaky ? g[1] : (REAL)1) + grad[0] * p[s.units] + grad[2] * p[3 * s.units]};
}

// Rows and columns are counted from the end of the scan: gradients come from `above`.
template <int L> struct Backward {
    static constexpr bool BACKWARD = true;
    typedef Saved Read;
    Scan s;
    Matrix m;
    REAL limit;  // of the gradient of a sum
    const REAL *grad_y, *gates, *kept;
    REAL *grad_z;
    REAL *states;     // gradients of the sums (5 U)
    REAL *partial;    // sums of their products: for the hidden state to the left (U), above (U)
    REAL *carries_x;  // gradients of the cells to the left: (L, U)
    REAL *carries_y;  // of those above, of two alternating steps: (2, L, U)
    REAL *stage;      // gradients of hidden state and cell from above this column (2 U)
    REAL *peepholes;  // (5 U)

    __device__ inline void read(const Item &item, int step, Saved &v) const {
        const int column = step - item.lane;
        if (!item.inside || column < 0 || column >= s.width) return;
        const Long pixel = item.first + column * item.aside, row = pixel * 4 + s.direction;
        v.grad = grad_y[row * s.units + item.u];
#pragma unroll
        for (int g = 0; g < 5; g++) v.gates[g] = gates[(row * 5 + g) * s.units + item.u];
        const REAL *cell = kept + row * s.units + item.u;
        v.old.x = column + 1 < s.width ? cell[item.aside * 4 * s.units] : (REAL)0;
        v.old.y = item.last ? (REAL)0 : cell[(Long)item.along * 4 * s.units];
    }

    __device__ inline void finish(const Item &item, int step, const Saved &v) const {
        const int column = step - item.lane, u = item.u, lane = item.lane, units = s.units;
        if (!item.inside || column < 0 || column >= s.width) return;
        const Long row = (item.first + column * item.aside) * 4 + s.direction;
        REAL hidden = v.grad + product_of<L>(m, partial, lane, u), cell = carries_x[lane * units + u];
        hidden += lane ? product_of<L>(m, partial, lane - 1, units + u) : stage[u];
        cell += lane ? carries_y[(((step - 1) & 1) * L + lane - 1) * units + u] : stage[units + u];
        REAL grad[5];
        const Cells to = retreat(s, v, peepholes + u, limit, hidden, cell, grad);
        carries_x[lane * units + u] = to.x;
        carries_y[((step & 1) * L + lane) * units + u] = to.y;
#pragma unroll
        for (int g = 0; g < 5; g++) {
            grad_z[(row * 5 + g) * units + u] = grad[g];
            states[(g * units + u) * PITCH<L> + lane] = grad[g];
        }
    }

    // Contribution of the last lane's previous column to the row below.
    __device__ inline void send(const Link &below, int step, int t) const {
        const int column = step - L, units = s.units;
        if (column < 0 || column >= s.width) return;
        REAL *to = below.values + (Long)column * 2 * units;
        for (int u = t; u < units; u += WARP) {
            to[u] = product_of<L>(m, partial, L - 1, units + u);
            to[units + u] = carries_y[(((step - 1) & 1) * L + L - 1) * units + u];
        }
    }

    __device__ inline void start(const Role &r) const {
        if (r.receives) receive(s, r.above, -1, stage, r.t);
    }

    __device__ inline void while_multiplied(const Role &r, int step) const {
        if (r.sends && step > L) announce(r.below);
        if (r.receives) receive(s, r.above, step, stage, r.t);
    }

    __device__ inline void while_finished(const Role &r, int step) const {
        if (r.sends) send(r.below, step, r.t);
    }

    __device__ inline void run(const REAL *given, REAL *edges, unsigned *sent) {
        const int units = s.units;
        partial = states + 5 * units * PITCH<L>;
        carries_x = partial + m.slices * L * 4 * m.quarter;
        carries_y = carries_x + L * units;
        stage = carries_y + 2 * L * units;
        peepholes = stage + 2 * units;
        for (int i = threadIdx.x; i < 5 * units; i += blockDim.x)
            peepholes[i] = given ? given[s.direction * 5 * units + i] : (REAL)0;
        m.hold(peepholes + 5 * units);
        for (int task = blockIdx.x; task < s.tasks; task += gridDim.x) {
            clear(states, 5 * units * PITCH<L>);
            clear(carries_x, 3 * L * units + 2 * units);  // includes carries_y and the stage
            __syncthreads();
            scan<L>(*this, task, edges, sent);
        }
    }
};

extern "C" __global__ void __launch_bounds__(384, 1) lstm2d_backward(
    const REAL *grad_y, const REAL *recurrent, const REAL *peepholes, const REAL *gates, const REAL *kept,
    REAL *grad_z, REAL limit, REAL *edges, unsigned *sent, REAL cell_scale, int leaky, int units, int height,
    int width, int bands, int tasks, int first, int lanes, int n_held, int stride, int quarter, int slices) {
    SHARED(shared);
    const int d = first + blockIdx.y;
    const Scan s = {units, height, width, bands, tasks, d, leaky, cell_scale};
    const Matrix m = {recurrent + (Long)d * 5 * units * stride, 5 * units, n_held, stride, quarter, slices};
    if (lanes == 4)
        Backward<4>{s, m, limit, grad_y, gates, kept, grad_z, shared}.run(peepholes, edges, sent);
    else
        Backward<32 / sizeof(REAL)>{s, m, limit, grad_y, gates, kept, grad_z, shared}.run(peepholes, edges, sent);
}
