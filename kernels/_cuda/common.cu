// Prepended to every source in this folder by launch.py, which defines REAL.
//
// Arrays are C-contiguous. Sums have a fixed order in every run: no floating-point atomics.
// tests/stand_in runs these sources on the CPU: use only what is defined here and there.

typedef long long Long;

#ifdef __CUDACC__
#define SHARED(name)                                                                                         \
    extern __shared__ double shared_memory[];                                                                \
    REAL *name = reinterpret_cast<REAL *>(shared_memory)
#define PAUSE() __nanosleep(20)
#endif

// Loop over i in [0, n), distributed over all threads; neighbouring threads get neighbouring items.
#define EACH(i, n)                                                                                           \
    for (Long i = (Long)blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += (Long)gridDim.x * blockDim.x)

__device__ inline float exp_(float x) { return expf(x); }
__device__ inline double exp_(double x) { return exp(x); }
__device__ inline float log_(float x) { return logf(x); }
__device__ inline double log_(double x) { return log(x); }
__device__ inline float tanh_(float x) { return tanhf(x); }
__device__ inline double tanh_(double x) { return tanh(x); }
__device__ inline float sqrt_(float x) { return sqrtf(x); }
__device__ inline double sqrt_(double x) { return sqrt(x); }
__device__ inline REAL infinity() { return (REAL)__longlong_as_double(0x7ff0000000000000LL); }

// Never overflows, and is as precise for large negative x as elsewhere.
__device__ inline REAL sigmoid_(REAL x) {
    const REAL e = exp_(x < 0 ? x : -x);
    return (x < 0 ? e : (REAL)1) / (1 + e);
}

// a / b for a >= 0; in 32 bits if possible, which takes a fraction of the time.
__device__ inline Long quotient(Long a, int b) {
    return a >> 32 ? a / b : (Long)((unsigned)a / (unsigned)b);
}

// 0 none, 1 ReLU, 2 tanh; NaN is kept
__device__ inline REAL activated(REAL x, int kind) {
    return kind == 2 ? tanh_(x) : kind == 1 && x <= 0 ? (REAL)0 : x;
}

// Sum one value per thread over a block, in a fixed order; only the first thread gets the sum.
// `part` is shared memory for one double per thread; the number of threads is a power of 2.
__device__ inline double block_sum(double value, double *part) {
    __syncthreads();  // previous contents have been read
    part[threadIdx.x] = value;
    for (int step = blockDim.x / 2; step; step /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];
    }
    return part[0];
}

// ---- The matrix product in each step of a recurrent layer.
//
// A block advances L sequences (its lanes) in parallel; value k of lane l is states[k * PITCH + l]. It
// multiplies them by a matrix of n_rows x 4 * quarter. A worker takes every slices-th row and four columns,
// a quarter of the matrix apart: 4 L sums in registers for 4 + L / 4 reads of shared memory per row. The sums
// of the slices are added in shared memory, in a fixed order. steps.py defines the layout: the row stride is
// `quarter` more than a multiple of the 32 banks, so that neighbours in a warp read neighbouring banks, also
// across two slices. Rows from `n_held` on, which do not fit in shared memory, are read through the caches.

template <int L> struct alignas(16) Lanes {
    REAL of[L];
};

// Distance of two values of a lane; with 8, neighbours in a warp would write to only four banks.
template <int L> constexpr int PITCH = L == 8 ? 12 : L;

struct Matrix {
    const REAL *rows;
    int n_rows, n_held, stride, quarter, slices;
    const REAL *held;  // in shared memory

    // Copy the first rows to shared memory with all threads of the block.
    __device__ inline void hold(REAL *place) {
        for (int i = threadIdx.x; i < n_held * stride; i += blockDim.x) place[i] = rows[i];
        held = place;
    }
};

template <int L>
__device__ inline void add_row(REAL (&sum)[4][L], const REAL *state, const REAL *row, int quarter) {
    const Lanes<L> lanes = *reinterpret_cast<const Lanes<L> *>(state);
#pragma unroll
    for (int m = 0; m < 4; m++) {
        const REAL weight = row[m * quarter];
#pragma unroll
        for (int l = 0; l < L; l++) sum[m][l] += weight * lanes.of[l];
    }
}

template <int L>
__device__ inline void multiply(const Matrix &m, const REAL *states, REAL *partial, int worker, int workers) {
    for (int w = worker; w < m.quarter * m.slices; w += workers) {
        const int slice = w / m.quarter, column = w % m.quarter;
        REAL sum[4][L] = {};
        int k = slice;
#pragma unroll 2
        for (; k < m.n_held; k += m.slices)
            add_row(sum, states + k * PITCH<L>, m.held + k * m.stride + column, m.quarter);
#pragma unroll 2
        for (; k < m.n_rows; k += m.slices)
            add_row(sum, states + k * PITCH<L>, m.rows + k * m.stride + column, m.quarter);
        for (int l = 0; l < L; l++)
            for (int part = 0; part < 4; part++)
                partial[((slice * L + l) * 4 + part) * m.quarter + column] = sum[part][l];
    }
}

// One value of the product.
template <int L>
__device__ inline REAL product_of(const Matrix &m, const REAL *partial, int lane, int column) {
    REAL sum = 0;
    for (int s = 0; s < m.slices; s++) sum += partial[(s * L + lane) * 4 * m.quarter + column];
    return sum;
}

// Set n values of shared memory to zero with all threads of the block.
__device__ inline void clear(REAL *values, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) values[i] = 0;
}
