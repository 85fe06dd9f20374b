// Gradients of biases and peepholes of the 2D-LSTM from those of the sums of the gates.
//
// Arrays: (pixels, 4 directions, 5 gates, units); cells: (pixels, 4 directions, units).

// Sums over runs of `run` pixels, (runs, 4 directions, 10, units): gradients of the biases and, with `kept`,
// of the peepholes.
extern "C" __global__ void lstm2d_sums(const REAL *grad_z, const REAL *kept, REAL *sums, Long pixels, int run,
                                       int runs, int units, int height, int width) {
    EACH(i, (Long)runs * 4 * units) {
        const int u = i % units, d = i / units % 4;
        const Long start = i / units / 4 * run, end = min(start + run, pixels);
        const bool up = d >= 2, left = d & 1;
        REAL sum[10] = {};
        for (Long pixel = start; pixel < end; pixel++) {
            const REAL *g = grad_z + (pixel * 4 + d) * 5 * units + u;
            for (int k = 0; k < 5; k++) sum[k] += g[k * units];
            if (!kept) continue;
            const Long line = quotient(pixel, width), row = line - quotient(line, height) * height;
            const Long column = pixel - line * width;
            const REAL *cell = kept + (pixel * 4 + d) * units + u;
            const Long along = (Long)4 * units * width;
            const REAL x = column == (left ? width - 1 : 0) ? (REAL)0 : cell[left ? 4 * units : -4 * units];
            const REAL y = row == (up ? height - 1 : 0) ? (REAL)0 : cell[up ? along : -along];
            const REAL terms[5] = {g[0] * x, g[0] * y, g[units] * x, g[2 * units] * y, g[4 * units] * *cell};
            for (int k = 0; k < 5; k++) sum[5 + k] += terms[k];
        }
        REAL *to = sums + i / units * 10 * units + u;
        for (int k = 0; k < 10; k++) to[k * units] = sum[k];
    }
}
