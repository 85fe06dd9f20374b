// Maximum and average over windows of pixels; neighbouring threads take neighbouring channels.

struct Window {
    Long image;
    int row, column, channel;
};

// Position of value i in an array (images, rows, columns, channels)
__device__ inline Window place(Long i, int rows, int columns, int channels) {
    const Long pixel = quotient(i, channels), line = quotient(pixel, columns), image = quotient(line, rows);
    return {image, (int)(line - image * rows), (int)(pixel - line * columns), (int)(i - pixel * channels)};
}

// One thread per window, n windows; small or large gets the winners, and the other or both are null
extern "C" __global__ void max_forward(const REAL *x, REAL *y, unsigned char *small, int *large, int height,
                                       int width, int channels, int rows, int columns, int size_down,
                                       int size_right, int stride_down, int stride_right, int padding_down,
                                       int padding_right, int dilation_down, int dilation_right, Long n) {
    EACH(i, n) {
        const Window w = place(i, rows, columns, channels);
        const int top = w.row * stride_down - padding_down, left = w.column * stride_right - padding_right;
        REAL best = -infinity();
        int winner = -1;
        for (int r = 0, row = top; r < size_down && row < height; ++r, row += dilation_down) {
            if (row < 0) continue;
            const REAL *line = x + (w.image * height + row) * width * channels + w.channel;
            for (int s = 0, column = left; s < size_right && column < width; ++s, column += dilation_right) {
                if (column < 0) continue;
                const REAL value = line[(Long)column * channels];
                if (value > best || value != value || winner < 0) {  // the last NaN wins
                    best = value;
                    winner = r * size_right + s;
                }
            }
        }
        y[i] = best;
        if (small) small[i] = (unsigned char)winner;
        if (large) large[i] = winner;
    }
}

extern "C" __global__ void mean_forward(const REAL *x, REAL *y, REAL area, int height, int width,
                                        int channels, int rows, int columns, int size_down, int size_right,
                                        int stride_down, int stride_right, int padding_down,
                                        int padding_right, Long n) {
    EACH(i, n) {
        const Window w = place(i, rows, columns, channels);
        const int top = w.row * stride_down - padding_down, left = w.column * stride_right - padding_right;
        REAL sum = 0;
        for (int r = top < 0 ? -top : 0; r < size_down && top + r < height; ++r) {
            const REAL *line = x + (w.image * height + top + r) * width * channels + w.channel;
            for (int s = left < 0 ? -left : 0; s < size_right && left + s < width; ++s)
                sum += line[(Long)(left + s) * channels];
        }
        y[i] = sum / area;
    }
}

// One thread per pixel, n pixels: adds the gradients of the windows that contain it, in the order of places;
// with winners (small or large), only those in which it is the maximum.
extern "C" __global__ void backward(const REAL *grad_y, const unsigned char *small, const int *large,
                                    REAL *grad_x, REAL area, int height, int width, int channels, int rows,
                                    int columns, int size_down, int size_right, int stride_down,
                                    int stride_right, int padding_down, int padding_right, int dilation_down,
                                    int dilation_right, Long n) {
    EACH(i, n) {
        const Window pixel = place(i, height, width, channels);
        const int down = pixel.row + padding_down, right = pixel.column + padding_right;
        REAL sum = 0;
        for (int r = 0, top = down; r < size_down && top >= 0; ++r, top -= dilation_down) {
            const int row = top / stride_down;  // of the window that has the pixel at place r, if one begins here
            if (top % stride_down || row >= rows) continue;
            for (int s = 0, left = right; s < size_right && left >= 0; ++s, left -= dilation_right) {
                const int column = left / stride_right;
                if (left % stride_right || column >= columns) continue;
                const Long window = ((pixel.image * rows + row) * columns + column) * channels + pixel.channel;
                const int winner = small ? small[window] : large ? large[window] : r * size_right + s;
                if (winner == r * size_right + s) sum += grad_y[window];
            }
        }
        grad_x[i] = sum / area;
    }
}
