// Sums over positions and over neighbouring channels. x is (rows, channels); a row is a position.

__device__ inline float pow_(float x, float y) { return powf(x, y); }
__device__ inline double pow_(double x, double y) { return pow(x, y); }

// A block takes `chunk` rows, a thread one channel, so that reads are coalesced.
#define CHANNEL(c, channels)                                                                                 \
    const Long first = (Long)blockIdx.x * chunk, last = min(first + chunk, rows);                            \
    const int c = blockIdx.y * blockDim.x + threadIdx.x;                                                     \
    if (c >= (channels)) return

// sums: (chunks, channels)
extern "C" __global__ void channel_sums(const REAL *x, double *sums, Long chunk, Long rows, int channels) {
    CHANNEL(c, channels);
    double sum = 0;
    for (Long p = first; p < last; p++) sum += x[p * channels + c];
    sums[(Long)blockIdx.x * channels + c] = sum;
}

extern "C" __global__ void channel_squares(const REAL *x, const double *mean, double *sums, Long chunk, Long rows,
                                           int channels) {
    CHANNEL(c, channels);
    double sum = 0;
    for (Long p = first; p < last; p++) {
        const double d = x[p * channels + c] - mean[c];
        sum += d * d;
    }
    sums[(Long)blockIdx.x * channels + c] = sum;
}

// sums: (2, chunks, channels): of y, and of y (x - mean)
extern "C" __global__ void channel_products(const REAL *x, const REAL *y, const REAL *mean, double *sums,
                                            Long chunk, Long rows, int channels) {
    CHANNEL(c, channels);
    double total = 0, product = 0;
    for (Long p = first; p < last; p++) {
        const REAL value = y[p * channels + c];
        total += value;
        product += (double)(x[p * channels + c] - mean[c]) * value;
    }
    double *out = sums + (Long)blockIdx.x * channels + c;
    out[0] = total;
    out[(Long)gridDim.x * channels] = product;
}

extern "C" __global__ void channel_affine(const REAL *x, const REAL *mean, const REAL *factor, const REAL *shift,
                                          REAL *out, int channels, Long n) {
    EACH(i, n) {
        const int c = (int)(i - quotient(i, channels) * channels);
        out[i] = factor[c] * (x[i] - mean[c]) + shift[c];
    }
}

extern "C" __global__ void channel_combine(const REAL *x, const REAL *y, const REAL *mean, const REAL *by_x,
                                           const REAL *by_y, const REAL *shift, REAL *out, int channels, Long n) {
    EACH(i, n) {
        const int c = (int)(i - quotient(i, channels) * channels);
        out[i] = by_x[c] * (x[i] - mean[c]) + by_y[c] * y[i] + shift[c];
    }
}

// sums: (images, runs), one per block; an image has n values, a run `run` of them
extern "C" __global__ void image_products(const REAL *x, const REAL *y, double *sums, Long run, Long n) {
    SHARED(memory);
    const Long image = (Long)blockIdx.y * n, first = (Long)blockIdx.x * run, last = min(first + run, n);
    double sum = 0;
    for (Long i = first + threadIdx.x; i < last; i += blockDim.x) sum += (double)x[image + i] * y[image + i];
    sum = block_sum(sum, reinterpret_cast<double *>(memory));
    if (threadIdx.x == 0) sums[(Long)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// The sum of the channels c - before to c + after of a row, and the base of the power that divides c.
__device__ inline REAL window_sum(const REAL *row, int c, int before, int after, int channels) {
    REAL sum = 0;
    const int last = min(c + after, channels - 1);
    for (int k = max(c - before, 0); k <= last; k++) sum += row[k];
    return sum;
}

__device__ inline REAL response_base(const REAL *row, int c, int size, REAL factor, REAL offset, int channels) {
    REAL sum = 0;
    const int last = min(c + (size - 1) / 2, channels - 1);
    for (int k = max(c - size / 2, 0); k <= last; k++) sum += row[k] * row[k];
    return offset + factor * sum;
}

extern "C" __global__ void response_norm_forward(const REAL *x, REAL *y, int size, REAL factor, REAL beta,
                                                 REAL offset, int channels, Long n) {
    EACH(i, n) {
        const int c = (int)(i - quotient(i, channels) * channels);
        y[i] = x[i] * pow_(response_base(x + (i - c), c, size, factor, offset, channels), -beta);
    }
}

// inner: grad_y x base^(-beta - 1); outer: grad_y base^-beta
extern "C" __global__ void response_norm_parts(const REAL *x, const REAL *grad_y, REAL *inner, REAL *outer,
                                               int size, REAL factor, REAL beta, REAL offset, int channels,
                                               Long n) {
    EACH(i, n) {
        const int c = (int)(i - quotient(i, channels) * channels);
        const REAL base = response_base(x + (i - c), c, size, factor, offset, channels);
        const REAL power = pow_(base, -beta);
        outer[i] = grad_y[i] * power;
        inner[i] = grad_y[i] * x[i] * (power / base);
    }
}

// channel c is in the windows of channels c - (size - 1) / 2 to c + size / 2
extern "C" __global__ void response_norm_backward(const REAL *x, const REAL *inner, const REAL *outer,
                                                  REAL *grad_x, int size, REAL factor, REAL beta, int channels,
                                                  Long n) {
    EACH(i, n) {
        const int c = (int)(i - quotient(i, channels) * channels);
        const REAL around = window_sum(inner + (i - c), c, (size - 1) / 2, size / 2, channels);
        grad_x[i] = outer[i] - 2 * factor * beta * x[i] * around;
    }
}
