// Runs a CUDA kernel on the CPU: every thread is a coroutine, and they take turns in an order that can be chosen.
//
// In front of a kernel's source it stands for what the CUDA compiler knows by itself. Found here and reported:
// a thread that leaves, or waits elsewhere, while others of its block wait at __syncthreads(); blocks that wait
// for each other for ever. Shared memory starts as NaN.

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define SHARED(name) REAL *name = reinterpret_cast<REAL *>(simulator::now->block->shared.data())
#define PAUSE() simulator::leave(simulator::PAUSED)

using std::isfinite;
using std::isinf;
using std::isnan;

struct Index {
    unsigned x, y, z;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(8) float2 {
    float x, y;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static Index threadIdx, blockIdx, blockDim, gridDim;

template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcg(T *p, T value) { *p = value; }
template <class T> static inline T atomicAdd(T *p, T value) {
    static_assert(!std::is_floating_point<T>::value, "sums by atomics come out otherwise each time");
    const T old = *p;
    *p += value;
    return old;
}
template <class T> static inline T atomicExch(T *p, T value) {
    const T old = *p;
    *p = value;
    return old;
}
template <class T> static inline T atomicMax(T *p, T value) {
    const T old = *p;
    if (old < value) *p = value;
    return old;
}
template <class T> static inline T atomicMin(T *p, T value) {
    const T old = *p;
    if (value < old) *p = value;
    return old;
}
template <class T> static inline T atomicCAS(T *p, T expected, T value) {
    const T old = *p;
    if (old == expected) *p = value;
    return old;
}
static inline void __threadfence() {}
static inline double __longlong_as_double(long long bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }

namespace simulator {

enum State { READY, WAITING, PAUSED, DONE };
constexpr size_t STACK = 128 << 10;   // bytes
constexpr int PATIENCE = 10000;       // rounds in which nobody but waiting blocks runs

struct Block;
struct Thread {
    Index thread;
    Block *block;
    State state = READY;
    bool started = false;
    std::unique_ptr<char[]> stack;
    jmp_buf place;
    ucontext_t context;
};
struct Block {
    Index index;
    std::vector<double> shared;
    std::vector<Thread> threads;
};

static Thread *now;
static jmp_buf scheduler;
static ucontext_t scheduler_context;
static const std::function<void()> *kernel;
static std::vector<std::unique_ptr<char[]>> stacks;  // of threads that are done, for the next ones

static void leave(State state) {
    now->state = state;
    if (_setjmp(now->place) == 0) _longjmp(scheduler, 1);
}

static void run_thread() {
    (*kernel)();
    now->state = DONE;
    _longjmp(scheduler, 1);
}

static void resume(Thread &t) {
    now = &t;
    threadIdx = t.thread;
    blockIdx = t.block->index;
    if (_setjmp(scheduler) == 0) {
        if (t.started) _longjmp(t.place, 1);
        t.started = true;
        if (stacks.empty()) {
            t.stack.reset(new char[STACK]);
        } else {
            t.stack = std::move(stacks.back());
            stacks.pop_back();
        }
        getcontext(&t.context);
        t.context.uc_stack.ss_sp = t.stack.get();
        t.context.uc_stack.ss_size = STACK;
        t.context.uc_link = nullptr;
        makecontext(&t.context, run_thread, 0);
        swapcontext(&scheduler_context, &t.context);
    }
    if (t.state == DONE) stacks.push_back(std::move(t.stack));
}

// 0: first to last; 1: last to first; else shuffled, another way in each round
static std::vector<int> turns(int n, unsigned order) {
    std::vector<int> turn(n);
    for (int i = 0; i < n; i++) turn[i] = order == 1 ? n - 1 - i : i;
    static unsigned long long state = order;
    for (int i = n - 1; order > 1 && i > 0; i--) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        std::swap(turn[i], turn[(state >> 33) % (i + 1)]);
    }
    return turn;
}

// Runs each thread of a block once as far as it gets; tells whether the block is done.
static bool run_block(Block &block, unsigned order, bool &moved, const char *&problem) {
    const int n = (int)block.threads.size();
    int done = 0, waiting = 0;
    for (int i : turns(n, order)) {
        Thread &t = block.threads[i];
        if (t.state == READY || t.state == PAUSED) {
            const bool was_paused = t.state == PAUSED;
            t.state = READY;
            resume(t);
            moved = moved || !was_paused || t.state != PAUSED;
        }
    }
    for (Thread &t : block.threads) {
        done += t.state == DONE;
        waiting += t.state == WAITING;
    }
    if (waiting && done) problem = "a thread left its block while others wait at __syncthreads()";
    if (waiting == n) {
        for (Thread &t : block.threads) t.state = READY;
        moved = true;
    }
    return done == n;
}

static const char *run(const unsigned *grid, unsigned threads, size_t shared, unsigned order,
                       const std::function<void()> &body) {
    kernel = &body;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    const char *problem = nullptr;
    std::vector<std::unique_ptr<Block>> living;
    int idle = 0;
    const int n = (int)(grid[0] * grid[1] * grid[2]);
    for (int k : turns(n, order)) {
        auto block = std::make_unique<Block>();
        block->index = {k % grid[0], k / grid[0] % grid[1], k / grid[0] / grid[1]};
        block->shared.assign((shared + 7) / 8 + 1, NAN);
        block->threads.resize(threads);
        for (unsigned t = 0; t < threads; t++) {
            block->threads[t].thread = {t, 0, 0};
            block->threads[t].block = block.get();
        }
        living.push_back(std::move(block));
        bool moved = true;  // as far as it gets alone; one that waits for others stays alive
        while (moved && !living.empty() && !problem) {
            moved = false;
            if (run_block(*living.back(), order, moved, problem)) {
                living.pop_back();
                break;
            }
        }
        if (problem) return problem;
    }
    while (!living.empty()) {
        bool moved = false;
        for (int k : turns((int)living.size(), order)) {
            if (living[k] && run_block(*living[k], order, moved, problem)) living[k].reset();
            if (problem) return problem;
        }
        std::vector<std::unique_ptr<Block>> rest;
        for (auto &block : living)
            if (block) rest.push_back(std::move(block));
        living.swap(rest);
        idle = moved ? 0 : idle + 1;
        if (idle > PATIENCE) return "blocks or threads wait for each other for ever";
    }
    return nullptr;
}

}  // namespace simulator

static inline void __syncthreads() { simulator::leave(simulator::WAITING); }
