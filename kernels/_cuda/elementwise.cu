// Functions of single elements, and the sum of the four scan directions.

extern "C" __global__ void tanh_forward(const REAL *x, REAL *y, Long n) {
    EACH(i, n) y[i] = tanh_(x[i]);
}

extern "C" __global__ void tanh_backward(const REAL *y, const REAL *grad_y, REAL *grad_x, Long n) {
    EACH(i, n) grad_x[i] = grad_y[i] * (1 - y[i] * y[i]);
}

extern "C" __global__ void sigmoid_forward(const REAL *x, REAL *y, Long n) {
    EACH(i, n) y[i] = sigmoid_(x[i]);
}

extern "C" __global__ void sigmoid_backward(const REAL *y, const REAL *grad_y, REAL *grad_x, Long n) {
    EACH(i, n) grad_x[i] = grad_y[i] * (y[i] * (1 - y[i]));
}

extern "C" __global__ void relu_forward(const REAL *x, REAL *y, Long n) {
    EACH(i, n) y[i] = x[i] <= 0 ? (REAL)0 : x[i];  // NaN is kept
}

extern "C" __global__ void relu_backward(const REAL *y, const REAL *grad_y, REAL *grad_x, Long n) {
    EACH(i, n) grad_x[i] = y[i] <= 0 ? (REAL)0 : grad_y[i];
}

// x is (positions, 4, units), y (positions, units); n = positions * units
extern "C" __global__ void direction_sum_forward(const REAL *x, REAL *y, int units, Long n) {
    EACH(i, n) {
        const REAL *first = x + i / units * 4 * units + i % units;
        y[i] = first[0] + first[units] + first[2 * units] + first[3 * units];
    }
}

// n = 4 * positions * units: one thread per value of grad_x
extern "C" __global__ void direction_sum_backward(const REAL *grad_y, REAL *grad_x, int units, Long n) {
    EACH(i, n) grad_x[i] = grad_y[i / (4 * units) * units + i % units];
}
