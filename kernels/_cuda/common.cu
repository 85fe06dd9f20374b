// In front of every source of this folder; launch.py puts them together and says what REAL is.
//
// Arrays are C-contiguous. Sums run in one order, the same in every run: no floating-point atomics.
// tests/stand_in runs these sources on the CPU, so they use only what is defined here and there.

typedef long long Long;

#ifdef __CUDACC__
#define SHARED(name)                                                                                         \
    extern __shared__ double shared_memory[];                                                                \
    REAL *name = reinterpret_cast<REAL *>(shared_memory)
#define PAUSE() __nanosleep(20)
#endif

// Each i of [0, n), spread over all threads: neighbours go to neighbours.
#define EACH(i, n)                                                                                           \
    for (Long i = (Long)blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += (Long)gridDim.x * blockDim.x)

// Let the blocks that share a counter, all of them resident, wait until `target` of them have come here.
// What they wrote before is seen after it by reads that pass the first-level cache (__ldcg).
__device__ inline void wait_for_group(unsigned *counter, unsigned target) {
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd(counter, 1u);
        while (*(volatile unsigned *)counter < target) PAUSE();
        __threadfence();
    }
    __syncthreads();
}

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

// a / b for a >= 0: in 32 bits where that does, which takes a fraction of the time.
__device__ inline Long quotient(Long a, int b) {
    return a >> 32 ? a / b : (Long)((unsigned)a / (unsigned)b);
}

// 0 nothing, 1 ReLU, 2 tanh; NaN stays
__device__ inline REAL activated(REAL x, int kind) {
    return kind == 2 ? tanh_(x) : kind == 1 && x <= 0 ? (REAL)0 : x;
}
