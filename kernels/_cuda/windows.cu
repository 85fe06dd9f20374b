// Windows of pixels, and soft targets from their labels.

// Index in images of height x width of value i of windows (images, rows, columns, window * window * channels)
__device__ inline Long in_image(Long i, int height, int width, int channels, int rows, int columns, int window) {
    const Long pixel = quotient(i, channels), line = quotient(pixel, window), place = quotient(line, window);
    const Long grid_line = quotient(place, columns), image = quotient(grid_line, rows);
    const Long row = (grid_line - image * rows) * window + (line - place * window);
    const Long column = (place - grid_line * columns) * window + (pixel - line * window);
    return ((image * height + row) * width + column) * channels + (i - pixel * channels);
}

extern "C" __global__ void gather(const REAL *x, REAL *y, int height, int width, int channels, int rows,
                                  int columns, int window, Long n) {
    EACH(i, n) y[i] = x[in_image(i, height, width, channels, rows, columns, window)];
}

extern "C" __global__ void scatter(const REAL *grad_y, REAL *grad_x, int height, int width, int channels,
                                   int rows, int columns, int window, Long n) {
    EACH(i, n) grad_x[in_image(i, height, width, channels, rows, columns, window)] = grad_y[i];
}

// One thread per class and window; all threads of a window read the same labels at the same time.
// n = windows * (classes or 1). An invalid label sets the flag.
extern "C" __global__ void targets(const REAL *class_weights, const Long *labels, REAL *shares, REAL *weight,
                                   int *flag, int height, int width, int rows, int columns, int window,
                                   int classes, Long ignore, Long n) {
    EACH(i, n) {
        const int threads = classes > 0 ? classes : 1;
        const Long place = quotient(i, threads), line = quotient(place, columns), image = quotient(line, rows);
        const int own = (int)(i - place * threads);
        int known = 0, mine = 0;
        for (int r = 0; r < window; ++r) {
            const Long row = (image * height + (line - image * rows) * window + r) * width;
            for (int s = 0; s < window; ++s) {
                const Long label = labels[row + (place - line * columns) * window + s];
                if (label == ignore) continue;
                ++known;
                mine += label == own;
                if (label < 0 || label >= classes) *flag = 1;
            }
        }
        if (own == 0) weight[place] = (REAL)known / (REAL)(window * window);
        if (classes == 0) continue;
        const REAL share = known ? (REAL)mine / (REAL)known : (REAL)0;
        shares[i] = class_weights ? share * class_weights[own] : share;
    }
}
