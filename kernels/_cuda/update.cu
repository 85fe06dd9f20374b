// One step of an optimizer, in place; one value per weight.

// Each block sums squares; the host adds the sums.
extern "C" __global__ void square_sums(const REAL *x, double *sums, Long n) {
    SHARED(memory);
    double sum = 0;
    EACH(i, n) sum += (double)x[i] * x[i];
    sum = block_sum(sum, reinterpret_cast<double *>(memory));
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Each block counts non-finite values.
extern "C" __global__ void count_not_finite(const REAL *x, double *counts, Long n) {
    SHARED(memory);
    double count = 0;
    EACH(i, n) count += !(x[i] - x[i] == 0);
    count = block_sum(count, reinterpret_cast<double *>(memory));
    if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

// The gradient with clipping and weight decay; 0 for weights with rate 0.
__device__ inline REAL descent(REAL w, REAL g, REAL rate, REAL clip, REAL weight_decay) {
    if (rate == 0) return 0;
    g *= clip;
    return weight_decay != 0 ? g + weight_decay * w : g;
}

extern "C" __global__ void sgd_step(REAL *weights, const REAL *gradient, REAL *velocity, REAL *mean,
                                    const REAL *rates, REAL learning_rate, REAL clip, REAL weight_decay,
                                    REAL momentum, REAL share, Long n) {
    EACH(i, n) {
        const REAL rate = rates ? rates[i] : (REAL)1;
        REAL w = weights[i];
        const REAL change = descent(w, gradient[i], rate, clip, weight_decay) * learning_rate * rate;
        const REAL v = velocity[i] * momentum - change;
        velocity[i] = v;
        w += v;
        weights[i] = w;
        if (mean) mean[i] += share * (w - mean[i]);
    }
}

extern "C" __global__ void adadelta_step(REAL *weights, const REAL *gradient, REAL *square, REAL *change,
                                         REAL *mean, const REAL *rates, REAL learning_rate, REAL clip,
                                         REAL weight_decay, REAL rho, REAL new_share, REAL eps, REAL share,
                                         Long n) {
    EACH(i, n) {
        const REAL rate = rates ? rates[i] : (REAL)1;
        REAL w = weights[i];
        REAL step = descent(w, gradient[i], rate, clip, weight_decay);
        const REAL s = square[i] * rho + step * step * new_share;
        square[i] = s;
        step = step / sqrt_(s + eps) * sqrt_(change[i] + eps);
        change[i] = change[i] * rho + step * step * new_share;
        w -= step * learning_rate * rate;
        weights[i] = w;
        if (mean) mean[i] += share * (w - mean[i]);
    }
}
