// Class probabilities and losses. A row holds the k classes of a position; each thread takes a row.

// Write exp(x - maximum) to y unless it is null; return the sum, which is NaN if any value is NaN.
__device__ inline double exponentials(const REAL *x, REAL *y, int k, REAL &most) {
    most = -infinity();
    for (int c = 0; c < k; c++) most = x[c] > most ? x[c] : most;
    double total = 0;
    for (int c = 0; c < k; c++) {
        const REAL e = exp_(x[c] - most);
        if (y) y[c] = e;
        total += e;
    }
    return total;
}

__device__ inline void divide(REAL *y, REAL total, int k) {
    for (int c = 0; c < k; c++) y[c] /= total;
}

extern "C" __global__ void softmax_forward(const REAL *x, REAL *y, int k, Long rows) {
    EACH(p, rows) {
        REAL most;
        const REAL total = (REAL)exponentials(x + p * k, y + p * k, k, most);
        divide(y + p * k, total, k);
    }
}

extern "C" __global__ void softmax_backward(const REAL *y, const REAL *grad_y, REAL *grad_x, int k, Long rows) {
    EACH(p, rows) {
        double mean = 0;
        for (Long i = p * k; i < p * k + k; i++) mean += (double)grad_y[i] * y[i];
        for (Long i = p * k; i < p * k + k; i++) grad_x[i] = y[i] * (grad_y[i] - (REAL)mean);
    }
}

// sums: one value per block
extern "C" __global__ void soft_cross_entropy_forward(const REAL *scores, const REAL *targets, const REAL *weight,
                                                      REAL *probability, double *sums, int k, Long rows) {
    SHARED(memory);
    double loss = 0;
    EACH(p, rows) {
        REAL most;
        const double total = exponentials(scores + p * k, probability + p * k, k, most);
        divide(probability + p * k, (REAL)total, k);
        const double log_sum = log_(total);
        double value = 0 * log_sum;  // NaN if a score is NaN, even if its target is 0
        for (Long i = p * k; i < p * k + k; i++)
            if (targets[i] != 0) value += targets[i] * (log_sum - ((double)scores[i] - most));
        loss += weight[p] * value;
    }
    loss = block_sum(loss, reinterpret_cast<double *>(memory));
    if (threadIdx.x == 0) sums[blockIdx.x] = loss;
}

extern "C" __global__ void soft_cross_entropy_backward(const REAL *probability, const REAL *targets,
                                                       const REAL *weight, REAL *grad, REAL factor, int k,
                                                       Long rows) {
    EACH(p, rows) {
        REAL mass = 0;
        for (Long i = p * k; i < p * k + k; i++) mass += targets[i];
        const REAL f = factor * weight[p];
        for (Long i = p * k; i < p * k + k; i++) grad[i] = f * (mass * probability[i] - targets[i]);
    }
}

// sums: loss, weight and number of invalid labels per block; probability may be null
extern "C" __global__ void cross_entropy_forward(const REAL *scores, const Long *labels, const REAL *weights,
                                                 REAL *probability, double *sums, int ignore_index, int k,
                                                 Long rows) {
    SHARED(memory);
    double loss = 0, mass = 0, bad = 0;
    EACH(p, rows) {
        REAL most, *y = probability ? probability + p * k : nullptr;
        const double total = exponentials(scores + p * k, y, k, most);
        if (y) divide(y, (REAL)total, k);
        const double log_sum = log_(total);
        const Long label = labels[p];
        const bool ignored = label == ignore_index, wrong = !ignored && (label < 0 || label >= k);
        const REAL w = ignored || wrong ? (REAL)0 : weights[label];
        // NaN if a score is NaN, even if the weight is 0
        loss += w == 0 ? 0 * log_sum : w * (log_sum - ((double)scores[p * k + label] - most));
        mass += w;
        bad += wrong;
    }
    double *part = reinterpret_cast<double *>(memory);
    loss = block_sum(loss, part);
    mass = block_sum(mass, part);
    bad = block_sum(bad, part);
    if (threadIdx.x == 0) {
        sums[3 * blockIdx.x] = loss;
        sums[3 * blockIdx.x + 1] = mass;
        sums[3 * blockIdx.x + 2] = bad;
    }
}

// one thread per value, n values
extern "C" __global__ void cross_entropy_backward(const REAL *probability, const Long *labels,
                                                  const REAL *weights, REAL *grad, int ignore_index, REAL factor,
                                                  int k, Long n) {
    EACH(i, n) {
        const Long p = quotient(i, k), label = labels[p];
        const REAL f = label == ignore_index ? (REAL)0 : factor * weights[label];
        grad[i] = f * (probability[i] - (label == i - p * k ? (REAL)1 : (REAL)0));
    }
}

extern "C" __global__ void clip_normalise(const REAL *x, REAL *y, int k, Long rows) {
    EACH(p, rows) {
        REAL total = 0;
        for (Long i = p * k; i < p * k + k; i++) total += x[i] < 0 ? (REAL)0 : x[i];  // NaN is kept
        for (Long i = p * k; i < p * k + k; i++) {
            const REAL positive = x[i] < 0 ? (REAL)0 : x[i];
            y[i] = total == 0 ? (REAL)1 / k : positive / total;
        }
    }
}
