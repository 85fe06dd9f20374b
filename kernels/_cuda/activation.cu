// Bias and activation of a product, in one pass.

// y is (positions, channels), n of them; bias may be null
extern "C" __global__ void finish(REAL *y, const REAL *bias, int channels, int kind, Long n) {
    EACH(i, n) {
        REAL value = y[i];
        if (bias) value += bias[i - quotient(i, channels) * channels];
        y[i] = activated(value, kind);
    }
}
