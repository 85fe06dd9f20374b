// Winograd's F(4, 3) on both axes, with the points 0, infinity, 1, -1, 2, -2: the matrices of kernels/winograd.py.
//
// A tile is 4 x 4 results, `dilation` pixels apart, as are its 6 x 6 pixels. Tiles are numbered by image, row,
// column. Points are the first axis, (36, tiles, channels), so that each is one product.

struct Pixels {  // 6 pixels to 6 points
    enum { FROM = 6, TO = 6 };
    static __device__ inline void map(const REAL *d, int from, REAL *t, int to) {
        const REAL d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from], d5 = d[5 * from];
        const REAL near_even = d4 - 4 * d2, near_odd = d3 - 4 * d1, far_even = d4 - d2, far_odd = 2 * (d3 - d1);
        t[0] = 4 * d0 - 5 * d2 + d4;
        t[to] = 4 * d1 - 5 * d3 + d5;
        t[2 * to] = near_even + near_odd;
        t[3 * to] = near_even - near_odd;
        t[4 * to] = far_even + far_odd;
        t[5 * to] = far_even - far_odd;
    }
};

struct Results {  // 6 points to 4 results
    enum { FROM = 6, TO = 4 };
    static __device__ inline void map(const REAL *m, int from, REAL *y, int to) {
        const REAL near_even = m[2 * from] + m[3 * from], near_odd = m[2 * from] - m[3 * from];
        const REAL far_even = m[4 * from] + m[5 * from], far_odd = m[4 * from] - m[5 * from];
        y[0] = m[0] + near_even + far_even;
        y[to] = near_odd + 2 * far_odd;
        y[2 * to] = near_even + 4 * far_even;
        y[3 * to] = m[from] + near_odd + 8 * far_odd;
    }
};

struct GradResults {  // its transpose
    enum { FROM = 4, TO = 6 };
    static __device__ inline void map(const REAL *g, int from, REAL *t, int to) {
        const REAL g0 = g[0], g1 = g[from], g2 = g[2 * from], g3 = g[3 * from];
        const REAL near_even = g0 + g2, near_odd = g1 + g3, far_even = g0 + 4 * g2, far_odd = 2 * g1 + 8 * g3;
        t[0] = g0;
        t[to] = g3;
        t[2 * to] = near_even + near_odd;
        t[3 * to] = near_even - near_odd;
        t[4 * to] = far_even + far_odd;
        t[5 * to] = far_even - far_odd;
    }
};

struct Taps {  // 3 taps to 6 points
    enum { FROM = 3, TO = 6 };
    static __device__ inline void map(const REAL *w, int from, REAL *t, int to) {
        const REAL w0 = w[0], w1 = w[from], w2 = w[2 * from];
        const REAL near_even = -(w0 + w2) / 6, near_odd = w1 / 6, far_even = w0 / 24 + w2 / 6, far_odd = w1 / 12;
        t[0] = w0 / 4;
        t[to] = w2;
        t[2 * to] = near_even - near_odd;
        t[3 * to] = near_even + near_odd;
        t[4 * to] = far_even + far_odd;
        t[5 * to] = far_even - far_odd;
    }
};

struct GradTaps {  // its transpose
    enum { FROM = 6, TO = 3 };
    static __device__ inline void map(const REAL *m, int from, REAL *w, int to) {
        const REAL near_even = (m[2 * from] + m[3 * from]) / 6, near_odd = (m[3 * from] - m[2 * from]) / 6;
        const REAL far_even = m[4 * from] + m[5 * from], far_odd = (m[4 * from] - m[5 * from]) / 12;
        w[0] = m[0] / 4 - near_even + far_even / 24;
        w[to] = near_odd + far_odd;
        w[2 * to] = m[from] - near_even + far_even / 6;
    }
};

// Apply a transform to both axes: from (FROM, FROM) to (TO, TO)
template <class Map> __device__ inline void both_axes(const REAL *from, REAL *to) {
    REAL half[Map::TO * Map::FROM];
#pragma unroll
    for (int j = 0; j < Map::FROM; ++j) Map::map(from + j, Map::FROM, half + j, Map::FROM);
#pragma unroll
    for (int i = 0; i < Map::TO; ++i) Map::map(half + i * Map::FROM, 1, to + i * Map::TO, 1);
}

struct Tile {
    Long image;
    int row, column;  // of its first result
};

__device__ inline Tile tile_at(Long tile, int tile_rows, int tile_columns, int dilation_down, int dilation_right) {
    const Long line = quotient(tile, tile_columns), image = quotient(line, tile_rows);
    const int row = (int)(line - image * tile_rows), column = (int)(tile - line * tile_columns);
    const int down = row / dilation_down, right = column / dilation_right;  // tiles of one remainder are neighbours
    return {image, 4 * down * dilation_down + row - down * dilation_down,
            4 * right * dilation_right + column - right * dilation_right};
}

// n = tiles * channels; tiles from `total` on are zeros
extern "C" __global__ void pixel_points(const REAL *x, REAL *points, int height, int width, int channels,
                                        int tile_rows, int tile_columns, int padding_down, int padding_right,
                                        int dilation_down, int dilation_right, Long first, Long total, Long n) {
    EACH(i, n) {
        const Long tile = quotient(i, channels);
        const Tile t = tile_at(first + tile, tile_rows, tile_columns, dilation_down, dilation_right);
        const int top = t.row - padding_down, left = t.column - padding_right;
        const REAL *image = x + t.image * height * width * channels + (i - tile * channels);
        REAL pixels[36], result[36];
#pragma unroll
        for (int r = 0; r < 6; ++r) {
            const int row = top + r * dilation_down;
            const bool inside = first + tile < total && row >= 0 && row < height;
#pragma unroll
            for (int s = 0; s < 6; ++s) {
                const int column = left + s * dilation_right;
                pixels[r * 6 + s] = inside && column >= 0 && column < width
                                        ? image[((Long)row * width + column) * channels]
                                        : (REAL)0;
            }
        }
        both_axes<Pixels>(pixels, result);
#pragma unroll
        for (int p = 0; p < 36; ++p) points[p * n + i] = result[p];
    }
}

// n = tiles * channels; adds the bias, applies the activation and writes the results inside y
extern "C" __global__ void results(const REAL *points, REAL *y, const REAL *bias, int kind, int rows, int columns,
                                   int channels, int tile_rows, int tile_columns, int dilation_down,
                                   int dilation_right, Long first, Long n) {
    EACH(i, n) {
        const Long tile = quotient(i, channels);
        const int c = (int)(i - tile * channels);
        const Tile t = tile_at(first + tile, tile_rows, tile_columns, dilation_down, dilation_right);
        REAL values[36], result[16];
#pragma unroll
        for (int p = 0; p < 36; ++p) values[p] = points[p * n + i];
        both_axes<Results>(values, result);
        const REAL added = bias ? bias[c] : (REAL)0;
        REAL *image = y + t.image * rows * columns * channels + c;
#pragma unroll
        for (int r = 0; r < 4; ++r) {
            const int row = t.row + r * dilation_down;
#pragma unroll
            for (int s = 0; s < 4; ++s) {
                const int column = t.column + s * dilation_right;
                if (row < rows && column < columns)
                    image[((Long)row * columns + column) * channels] = activated(result[r * 4 + s] + added, kind);
            }
        }
    }
}

// points is (36, from, to), n = from * to; weight is (3, 3, from, to); if turned, (3, 3, to, from) and rotated
extern "C" __global__ void filter_points(const REAL *weight, REAL *points, int from, int to, int turned, Long n) {
    EACH(i, n) {
        const Long a = quotient(i, to), b = i - a * to, place = turned ? b * from + a : i;
        REAL taps[9], result[36];
#pragma unroll
        for (int k = 0; k < 9; ++k) taps[k] = weight[(turned ? 8 - k : k) * n + place];
        both_axes<Taps>(taps, result);
#pragma unroll
        for (int p = 0; p < 36; ++p) points[p * n + i] = result[p];
    }
}

// Points of the gradient of the results, (36, segments, channels, length): transposed within a segment of tiles,
// as the product sums over tiles. A block has TILES tiles of CHANNELS channels; `length` is a multiple of
// TILES. Reads are coalesced over channels, writes over tiles.
#define TILES 8
#define CHANNELS 32
#define GAP 9  // TILES + 1, to avoid bank conflicts in shared memory

extern "C" __global__ void grad_points(const REAL *grad_y, REAL *points, int rows, int columns, int channels,
                                       int tile_rows, int tile_columns, int dilation_down, int dilation_right,
                                       int segments, int length, Long first, Long total) {
    SHARED(room);  // (6, CHANNELS, GAP)
    const int c = blockIdx.y * CHANNELS + threadIdx.x % CHANNELS, own = threadIdx.x / CHANNELS;
    const Long tile = (Long)blockIdx.x * TILES + own;
    const Tile t = tile_at(first + tile, tile_rows, tile_columns, dilation_down, dilation_right);
    const bool any = first + tile < total && c < channels;
    REAL values[16], result[36];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
        const int row = t.row + r * dilation_down;
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            const int column = t.column + s * dilation_right;
            values[r * 4 + s] = any && row < rows && column < columns
                                    ? grad_y[((t.image * rows + row) * columns + column) * channels + c]
                                    : (REAL)0;
        }
    }
    both_axes<GradResults>(values, result);
    const int target = blockIdx.y * CHANNELS + threadIdx.x / TILES;
    const Long place = (Long)blockIdx.x * TILES + threadIdx.x % TILES, segment = place / length;
#pragma unroll
    for (int i = 0; i < 6; ++i) {
        __syncthreads();
#pragma unroll
        for (int j = 0; j < 6; ++j)
            room[(j * CHANNELS + threadIdx.x % CHANNELS) * GAP + own] = result[i * 6 + j];
        __syncthreads();
        for (int j = 0; j < 6 && target < channels; ++j)
            points[(((i * 6 + j) * segments + segment) * channels + target) * length + place - segment * length] =
                room[(j * CHANNELS + threadIdx.x / TILES) * GAP + threadIdx.x % TILES];
    }
}

// sums is (36, segments, to, from), n = to * from; if `more`, the result is added to grad, (3, 3, from, to)
extern "C" __global__ void filter_gradient(const REAL *sums, REAL *grad, int segments, int from, int to, int more,
                                           Long n) {
    EACH(i, n) {
        const Long b = quotient(i, from), a = i - b * from, place = a * to + b;
        REAL points[36], taps[9];
#pragma unroll
        for (int p = 0; p < 36; ++p) points[p] = 0;
        for (int s = 0; s < segments; ++s) {
#pragma unroll
            for (int p = 0; p < 36; ++p) points[p] += sums[((Long)p * segments + s) * n + i];
        }
        both_axes<GradTaps>(points, taps);
#pragma unroll
        for (int k = 0; k < 9; ++k) grad[k * n + place] = more ? grad[k * n + place] + taps[k] : taps[k];
    }
}
