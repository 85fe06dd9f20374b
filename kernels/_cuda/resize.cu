// Resampling along one axis, and labels at another size than the scores.

// x is (outer, size, inner), y (outer, length, inner), n values: y[k] is the sum of weight[t] * x[index[t]] for
// start[k] <= t < start[k + 1], in that order
extern "C" __global__ void resample(const REAL *x, const int *start, const int *index, const REAL *weight,
                                    REAL *y, int size, int length, int inner, Long n) {
    EACH(i, n) {
        const Long line = quotient(i, inner), outer = quotient(line, length);
        const int k = (int)(line - outer * length);
        const REAL *values = x + outer * size * inner + (i - line * inner);
        REAL sum = 0;
        for (int t = start[k]; t < start[k + 1]; ++t) sum += weight[t] * values[(Long)index[t] * inner];
        y[i] = sum;
    }
}

// x is (H, size, channels), y (height, width), n values: argmax of the interpolation of four pixels
extern "C" __global__ void bilinear_argmax(const REAL *x, const int *top, const int *bottom, const REAL *down,
                                           const int *left, const int *right, const REAL *along,
                                           unsigned char *y, int size, int channels, int width, Long n) {
    EACH(i, n) {
        const Long row = quotient(i, width);
        const int column = (int)(i - row * width);
        const REAL v = down[row], u = along[column];
        const Long above = (Long)top[row] * size, below = (Long)bottom[row] * size;
        const REAL *a = x + (above + left[column]) * channels, *b = x + (above + right[column]) * channels;
        const REAL *c = x + (below + left[column]) * channels, *d = x + (below + right[column]) * channels;
        int best = 0;
        REAL highest = 0;
        for (int k = 0; k < channels; ++k) {
            const REAL value = (1 - u) * ((1 - v) * a[k] + v * c[k]) + u * ((1 - v) * b[k] + v * d[k]);
            if (k == 0 || value > highest) {
                highest = value;
                best = k;
            }
        }
        y[i] = (unsigned char)best;
    }
}
