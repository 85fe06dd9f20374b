// Gaussian filtering on the permutohedral lattice; reference: kernels/_reference/crf.py.
//
// Each feature has one entry per corner of its simplex: entry = feature * coordinates + remainder. A lattice
// point is one 64-bit code: its remainder, and the quotients of all coordinates but the last as digits in mixed
// radix; a step to the next corner, or to a neighbour, is one addition. All threads insert codes into a hash
// table concurrently, in any order; points are numbered by their first entries, so the numbers depend only on
// the features.

constexpr int MOST = 17;  // maximum number of coordinates
constexpr Long FREE = -1;  // empty slot
constexpr int CLASSES = 8;  // per thread in the sum over all pairs, as in crf.py

// ---- build

// A product without FMA: contraction would round differently from the reference, and a feature on the border
// of two simplices could fall into the other one.
__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }

// Map a feature to d + 1 coordinates with sum zero.
__device__ inline void elevate(const REAL *feature, int d, double *x) {
    double total = 0;
    for (int j = d; j > 0; j--) {
        const double scale = times(d + 1, sqrt(2.0 / 3.0)) / sqrt(times(j, j + 1));
        const double c = times((double)feature[j - 1], scale);
        x[j] = total - times(j, c);
        total += c;
    }
    x[0] = total;
}

// Compute quotient, rank and remainder of each coordinate.
__device__ inline void round_off(double *x, int *quotient, int *rank, int d) {
    int excess = 0;
    for (int i = 0; i <= d; i++) {
        quotient[i] = (int)floor(times(x[i], 1.0 / (d + 1)) + 0.5);
        excess += quotient[i];
        x[i] -= times(d + 1, quotient[i]);
        rank[i] = 0;
    }
    for (int i = 0; i < d; i++)
        for (int j = i + 1; j <= d; j++) rank[x[i] < x[j] ? i : j]++;
    for (int i = 0; i <= d; i++) {  // back into the plane
        rank[i] += excess;
        const int turn = rank[i] < 0 ? 1 : rank[i] > d ? -1 : 0;
        rank[i] += turn * (d + 1);
        quotient[i] += turn;
        x[i] -= turn * (d + 1);
    }
}

// For n features: quotients and ranks of their coordinates, and the weights of the corners.
extern "C" __global__ void simplices(const REAL *features, int *quotients, unsigned char *ranks,
                                     REAL *weights, int d, Long n) {
    EACH(p, n) {
        double x[MOST], corner[MOST + 1] = {};
        int quotient[MOST], rank[MOST];
        elevate(features + p * d, d, x);
        round_off(x, quotient, rank, d);
        for (int i = 0; i <= d; i++) {
            const double share = times(x[i], 1.0 / (d + 1));
            corner[d - rank[i]] += share;
            corner[d + 1 - rank[i]] -= share;
        }
        corner[0] += 1.0 + corner[d + 1];
        for (int i = 0; i <= d; i++) {
            quotients[p * (d + 1) + i] = quotient[i];
            ranks[p * (d + 1) + i] = (unsigned char)rank[i];
            weights[p * (d + 1) + i] = (REAL)corner[i];
        }
    }
}

// Slot of a code in a table of 2^bits: Fibonacci hashing (Knuth) spreads neighbouring codes.
__device__ inline unsigned place_of(Long code, int bits) {
    return (unsigned)((unsigned long long)code * 0x9E3779B97F4A7C15ULL >> (64 - bits));
}

// Insert a code into the table if it is new; return its slot.
__device__ inline unsigned put(Long *table, int bits, Long code) {
    const unsigned last = (unsigned)((1LL << bits) - 1);
    for (unsigned at = place_of(code, bits);; at = (at + 1) & last) {
        Long found = table[at];  // may be FREE although another thread has just inserted a code
        if (found == FREE)
            found = (Long)atomicCAS(reinterpret_cast<unsigned long long *>(table) + at,
                                    (unsigned long long)FREE, (unsigned long long)code);
        if (found == FREE || found == code) return at;
    }
}

// Insert all corners of n features into the table: slot of each entry, and first entry of each slot.
extern "C" __global__ void put_all(const int *quotients, const unsigned char *ranks, const Long *radix,
                                   Long *table, int *first, unsigned *places, int bits, int coordinates, Long n) {
    const Long *low = radix, *step = radix + coordinates;
    EACH(p, n) {
        int coordinate_of[MOST];  // rank -> coordinate
        Long code = 0;
        for (int i = 0; i < coordinates; i++) {
            coordinate_of[ranks[p * coordinates + i]] = i;
            code += (quotients[p * coordinates + i] - low[i]) * step[i];
        }
        for (int r = 0; r < coordinates; r++) {
            // from remainder r - 1 to r: decrement the coordinate of the highest remaining rank
            if (r) code += 1 - step[coordinate_of[coordinates - r]];
            const unsigned at = put(table, bits, code);
            const int entry = (int)(p * coordinates + r);
            atomicMin(first + at, entry);
            places[entry] = at;
        }
    }
}

extern "C" __global__ void mark_first(const int *first, const unsigned *places, int *marks, Long n) {
    EACH(e, n) marks[e] = first[places[e]] == e;
}

// `count`: number of points up to each entry.
extern "C" __global__ void number(const Long *table, const int *first, const unsigned *places,
                                  const int *count, int *points, Long *codes, Long n) {
    EACH(e, n) {
        const unsigned at = places[e];
        points[e] = count[first[at]] - 1;
        if (first[at] == e) codes[points[e]] = table[at];
    }
}

// Index of the point with a code; m if there is none.
__device__ inline int find(const Long *table, const int *first, const int *count, int bits, Long code, int m) {
    const unsigned last = (unsigned)((1LL << bits) - 1);
    for (unsigned at = place_of(code, bits); table[at] != FREE; at = (at + 1) & last)
        if (table[at] == code) return count[first[at]] - 1;
    return m;
}

extern "C" __global__ void find_neighbours(const Long *codes, const Long *table, const int *first,
                                           const int *count, const Long *radix, int *neighbours, int bits,
                                           int coordinates, int m, Long n) {
    const Long *step = radix + coordinates;
    Long around = -coordinates;  // all quotients change from remainder d to 0 and back
    for (int i = 0; i < coordinates; i++) around += step[i];
    EACH(i, n) {
        const int j = (int)quotient(i, m);
        const Long code = codes[i - (Long)j * m];
        const int remainder = (int)(code % coordinates);
        const Long up = code + 1 - step[j] + (remainder == coordinates - 1 ? around : 0);
        const Long down = code - 1 + step[j] - (remainder == 0 ? around : 0);
        neighbours[2 * i] = find(table, first, count, bits, up, m);
        neighbours[2 * i + 1] = find(table, first, count, bits, down, m);
    }
}

// Start of each point in the entries sorted by point.
extern "C" __global__ void find_starts(const int *points, const int *entries, int *starts, int m, Long n) {
    EACH(e, n) {
        const int point = points[entries[e]];
        if (e == 0 || points[entries[e - 1]] != point) starts[point] = (int)e;
        if (e == n - 1) starts[m] = (int)n;
    }
}

// ---- filter

// One block per lattice point. As some points have thousands of features, several threads per class each sum
// a slice of them; the sums of the slices are added in shared memory.
extern "C" __global__ void splat(const REAL *values, const REAL *before, const REAL *weights,
                                 const int *entries, const int *starts, REAL *x, int classes, int coordinates,
                                 int width) {
    SHARED(part);
    const int slices = blockDim.x / width, slice = threadIdx.x / width, lane = threadIdx.x % width;
    const int begin = starts[blockIdx.x], end = starts[blockIdx.x + 1], busy = min(slices, end - begin);
    for (int k = lane; k - lane < classes; k += width) {
        REAL sum = 0;
        for (int e = begin + slice; slice < busy && k < classes && e < end; e += slices) {
            const int entry = entries[e], p = entry / coordinates;
            sum += weights[entry] * (before[p] * values[(Long)p * classes + k]);
        }
        __syncthreads();  // what was here before has been read
        part[threadIdx.x] = sum;
        __syncthreads();
        if (slice || k >= classes) continue;
        for (int s = 1; s < busy; s++) sum += part[s * width + lane];
        x[(Long)blockIdx.x * classes + k] = sum;
    }
}

// Blur along one axis.
extern "C" __global__ void blur(const REAL *x, const int *neighbours, REAL *y, int classes, int m, Long n) {
    EACH(i, n) {
        const Long point = quotient(i, classes), k = i - point * classes;
        const int up = neighbours[2 * point], down = neighbours[2 * point + 1];
        const REAL beside = (up < m ? x[(Long)up * classes + k] : 0) + (down < m ? x[(Long)down * classes + k] : 0);
        y[i] = (REAL)0.5 * x[i] + (REAL)0.25 * beside;
    }
}

extern "C" __global__ void slice(const REAL *x, const int *points, const REAL *weights, const REAL *after,
                                 REAL *result, REAL scale, int classes, int coordinates, Long n) {
    EACH(i, n) {
        const Long p = quotient(i, classes), k = i - p * classes;
        REAL total = 0;
        for (Long e = p * coordinates; e < (p + 1) * coordinates; e++)
            total += weights[e] * x[(Long)points[e] * classes + k];
        result[i] = after[p] * scale * total;
    }
}

// ---- the exact sum

// One thread per feature and up to CLASSES classes, which share the exponential.
extern "C" __global__ void sum_pairs(const REAL *features, const REAL *values, const REAL *before,
                                     const REAL *after, REAL *result, int features_n, int d, int classes,
                                     Long n) {
    EACH(i, n) {
        const int own = (int)(i % features_n), first = (int)(i / features_n) * CLASSES;
        REAL sum[CLASSES] = {};
        for (int j = 0; j < features_n; j++) {
            REAL distance = 0;
            for (int c = 0; c < d; c++) {
                const REAL away = features[(Long)own * d + c] - features[(Long)j * d + c];
                distance += away * away;
            }
            const REAL g = exp_((REAL)-0.5 * distance) * before[j];
#pragma unroll
            for (int k = 0; k < CLASSES; k++)
                if (first + k < classes) sum[k] += g * values[(Long)j * classes + first + k];
        }
#pragma unroll
        for (int k = 0; k < CLASSES; k++)
            if (first + k < classes) result[(Long)own * classes + first + k] = after[own] * sum[k];
    }
}
