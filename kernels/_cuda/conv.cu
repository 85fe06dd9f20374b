// Patches of an image as rows of a matrix, and back.

#define AHEAD 4  // values that a thread reads before it writes them, to overlap memory latencies

// One column of the matrix per thread, `places` outputs per block: row `place` holds the patch of output
// first + place, tap by tap, with zeros outside the image. Memory accesses are coalesced.
extern "C" __global__ void patches(const REAL *x, REAL *values, int height, int width, int channels, int rows,
                                   int columns, int taps_right, int stride_down, int stride_right,
                                   int padding_down, int padding_right, int dilation_down, int dilation_right,
                                   int length, int places, Long first, Long count) {
    const int k = blockIdx.y * blockDim.x + threadIdx.x;
    if (k >= length) return;
    const int tap = k / channels;
    const int down = tap / taps_right * dilation_down - padding_down;
    const int right = tap % taps_right * dilation_right - padding_right;
    const REAL *source = x + (k - tap * channels);
    Long place = (Long)blockIdx.x * places;
    const Long end = place + places < count ? place + places : count, line = (first + place) / columns;
    Long image = line / rows;
    int column = (int)(first + place - line * columns), row = (int)(line - image * rows);
    for (; place < end; place += AHEAD) {
        REAL ahead[AHEAD];
        for (int u = 0; u < AHEAD; ++u) {
            const int i = row * stride_down + down, j = column * stride_right + right;
            const bool seen = place + u < end && i >= 0 && i < height && j >= 0 && j < width;
            ahead[u] = seen ? source[((image * height + i) * width + j) * channels] : (REAL)0;
            if (++column == columns) {
                column = 0;
                if (++row == rows) row = 0, ++image;
            }
        }
        for (int u = 0; u < AHEAD; ++u)
            if (place + u < end) values[(place + u) * length + k] = ahead[u];
    }
}

// The taps of one axis that read a pixel: tap, tap + tap_step, ..., of outputs place, place - place_step, ...
struct Reach {
    int tap, tap_step, place, place_step;
};

// inverse: of dilation / common modulo stride / common; common: greatest common divisor of both
__device__ inline Reach reach(int pixel, int taps, int stride, int padding, int dilation, int common, int inverse) {
    const int shifted = pixel + padding, step = stride / common;
    const int tap = shifted % common ? taps : shifted / common % step * inverse % step;
    return {tap, step, (shifted - tap * dilation) / stride, dilation / common};
}

// One thread per value of grad_x, n values from line first_line on. It sums the contributions of outputs first
// to last - 1 in the order of taps, and adds them to the old value if `more`.
extern "C" __global__ void collect(const REAL *values, REAL *grad_x, const REAL *bias, int kind, int more,
                                   int height, int width, int channels, int rows, int columns, int taps_down,
                                   int taps_right, int stride_down, int stride_right, int padding_down,
                                   int padding_right, int dilation_down, int dilation_right, int common_down,
                                   int common_right, int inverse_down, int inverse_right, Long first, Long last,
                                   Long first_line, Long n) {
    EACH(i, n) {
        const Long pixel = quotient(i, channels), part = quotient(pixel, width), line = first_line + part;
        const Long image = quotient(line, height);
        const int c = (int)(i - pixel * channels);
        const Reach down = reach((int)(line - image * height), taps_down, stride_down, padding_down,
                                 dilation_down, common_down, inverse_down);
        const Reach right = reach((int)(pixel - part * width), taps_right, stride_right, padding_right,
                                  dilation_right, common_right, inverse_right);
        REAL *target = grad_x + first_line * width * channels + i;
        REAL sum = more ? *target : (REAL)0;
        int row = down.place;
        for (int r = down.tap; r < taps_down && row >= 0; r += down.tap_step, row -= down.place_step) {
            int column = right.place;
            for (int s = right.tap; s < taps_right && column >= 0;
                 s += right.tap_step, column -= right.place_step) {
                const Long output = (image * rows + row) * columns + column;
                if (row < rows && column < columns && output >= first && output < last)
                    sum += values[((output - first) * taps_down * taps_right + r * taps_right + s) * channels + c];
            }
        }
        *target = activated(bias ? sum + bias[c] : sum, kind);
    }
}
