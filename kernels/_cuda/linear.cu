// Sums over positions.

// x is (rows, channels); sums is (groups, channels), n of them: of `size` rows each, in order
extern "C" __global__ void sum_rows(const REAL *x, double *sums, Long rows, int channels, int size, Long n) {
    EACH(i, n) {
        const Long group = quotient(i, channels), c = i - group * channels;
        const Long end = (group + 1) * size < rows ? (group + 1) * size : rows;
        double sum = 0;
        for (Long row = group * size; row < end; ++row) sum += x[row * channels + c];
        sums[i] = sum;
    }
}
