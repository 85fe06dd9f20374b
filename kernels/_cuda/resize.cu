// Resampling of one axis.

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
