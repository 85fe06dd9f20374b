/* Included once for each REAL and instruction set; NAME(f) adds their suffix. */

#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#define VECTOR NAME(vector)

typedef REAL VECTOR __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

/* c = from + a panel for a tile of `rows` rows and `vectors` vectors: constants where this is inlined, so that
   the sums are registers. The rows of `from` lie from_row apart, 0 for one row that all begin with. Meanwhile what
   lies at `soon` is fetched, a cache line at a time. */
TARGET LSTM2D_INLINE void NAME(tile)(const int rows, const int vectors, ptrdiff_t inner, const REAL *a,
                                     const ptrdiff_t a_row, const ptrdiff_t a_inner, const REAL *restrict panel,
                                     ptrdiff_t panel_row, const REAL *from, ptrdiff_t from_row, REAL *c,
                                     ptrdiff_t c_row, const char *soon)
{
    VECTOR sum[TILE_ROWS][2];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sum[i][v] = *(const VECTOR *)(from + i * from_row + v * LANES);
    for (ptrdiff_t k = 0; k < inner; k++, panel += panel_row) {
        VECTOR b[2];
        __builtin_prefetch(soon + k * GEMM_LINE, 0, 2);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            b[v] = *(const VECTOR *)(panel + v * LANES);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const REAL factor = a[i * a_row + k * a_inner];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[i][v] += factor * b[v];
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            *(VECTOR *)(c + i * c_row + v * LANES) = sum[i][v];
}

/* Tiles below each other. Four versions, by vectors and by the axis of a that is contiguous. */
#define TILES(size)                                                                                             \
    for (; rows - i >= (size); i += (size))                                                                     \
        NAME(tile)(size, VECTORS, inner, a + i * A_ROW, A_ROW, A_INNER, panel, panel_row, from + i * from_row,   \
                   from_row, c + i * c_row, c_row, gemm_ahead(ahead, inner, a + (i + (size)) * A_ROW));
#define ALL_TILES(name)                                                                                         \
    TARGET static void NAME(name)(ptrdiff_t rows, ptrdiff_t inner, const REAL *a, ptrdiff_t lda,                \
                                  const REAL *panel, ptrdiff_t panel_row, const REAL *from, ptrdiff_t from_row, \
                                  REAL *c, ptrdiff_t c_row, Ahead *ahead)                                       \
    {                                                                                                           \
        ptrdiff_t i = 0;                                                                                        \
        TILES(TILE_ROWS)                                                                                        \
        if (TILE_ROWS > 8) {                                                                                    \
            TILES(8)                                                                                            \
        }                                                                                                       \
        TILES(4)                                                                                                \
        TILES(2)                                                                                                \
        TILES(1)                                                                                                \
    }
#define VECTORS 1
#define A_ROW lda
#define A_INNER 1
ALL_TILES(narrow)
#undef VECTORS
#define VECTORS 2
ALL_TILES(wide)
#undef A_ROW
#undef A_INNER
#define A_ROW 1
#define A_INNER lda
ALL_TILES(wide_transposed)
#undef VECTORS
#define VECTORS 1
ALL_TILES(narrow_transposed)
#undef VECTORS
#undef A_ROW
#undef A_INNER
#undef ALL_TILES
#undef TILES

/* The columns of a panel of c. Where they do not fill whole vectors, the tiles go by a buffer. */
TARGET static void NAME(panel_product)(int transposed, ptrdiff_t rows, ptrdiff_t n, ptrdiff_t inner, const REAL *a,
                                       ptrdiff_t lda, const REAL *panel, ptrdiff_t panel_row, int add,
                                       const REAL *bias, REAL *c, ptrdiff_t ldc, Ahead *ahead)
{
    REAL start[2 * VECTOR_BYTES / sizeof(REAL)] = {0}, buffer[TILE_ROWS * 2 * VECTOR_BYTES / sizeof(REAL)] = {0};
    const int wide = n > LANES;
    const ptrdiff_t width = wide ? 2 * LANES : LANES, stride = transposed ? 1 : lda;
    void (*const tiles)(ptrdiff_t, ptrdiff_t, const REAL *, ptrdiff_t, const REAL *, ptrdiff_t, const REAL *,
                        ptrdiff_t, REAL *, ptrdiff_t, Ahead *) =
        transposed ? wide ? NAME(wide_transposed) : NAME(narrow_transposed)
                   : wide ? NAME(wide) : NAME(narrow);
    if (bias)
        memcpy(start, bias, (size_t)(n < width ? n : width) * sizeof(REAL));
    if (n >= width) {
        tiles(rows, inner, a, lda, panel, panel_row, add ? c : start, add ? ldc : 0, c, ldc, ahead);
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i += TILE_ROWS, c += TILE_ROWS * ldc) {
        const ptrdiff_t m = rows - i < TILE_ROWS ? rows - i : TILE_ROWS;
        for (ptrdiff_t k = 0; add && k < m; k++)
            memcpy(buffer + k * width, c + k * ldc, (size_t)n * sizeof(REAL));
        tiles(m, inner, a + i * stride, lda, panel, panel_row, add ? buffer : start, add ? width : 0, buffer,
              width, ahead);
        for (ptrdiff_t k = 0; k < m; k++)
            memcpy(c + k * ldc, buffer + k * width, (size_t)n * sizeof(REAL));
    }
}

/* Copies the columns of a panel and pads them with zeros; returns the distance of its rows. */
TARGET static ptrdiff_t NAME(fill_panel)(ptrdiff_t n, ptrdiff_t inner, const REAL *b, ptrdiff_t ldb,
                                         REAL *restrict panel)
{
    const ptrdiff_t width = n > LANES ? 2 * LANES : LANES;
    if (n >= 2 * LANES)
        for (ptrdiff_t k = 0; k < inner; k++)
            memcpy(panel + k * 2 * LANES, b + k * ldb, 2 * VECTOR_BYTES);
    else
        for (ptrdiff_t k = 0; k < inner; k++) {
            memcpy(panel + k * width, b + k * ldb, (size_t)n * sizeof(REAL));
            memset(panel + k * width + n, 0, (size_t)(width - n) * sizeof(REAL));
        }
    return width;
}

TARGET static void NAME(product)(int transposed, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t inner, const REAL *a,
                                 ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, int add, const REAL *bias, REAL *c,
                                 ptrdiff_t ldc, Ahead *ahead)
{
    REAL copy[GEMM_INNER * 2 * VECTOR_BYTES / sizeof(REAL)] __attribute__((aligned(64)));
    const ptrdiff_t cuts = inner > 0 ? (inner + GEMM_INNER - 1) / GEMM_INNER : 1, most = (inner + cuts - 1) / cuts;
    for (ptrdiff_t cut = 0, k = 0; cut < cuts; cut++, k += most) {
        const ptrdiff_t depth = inner - k < most ? inner - k : most;
        for (ptrdiff_t j = 0; j < columns; j += 2 * LANES) {
            const REAL *panel = b + k * ldb + j;
            ptrdiff_t panel_row = ldb;
            if ((rows > 4 * TILE_ROWS && ldb > 4 * LANES) || columns - j < 2 * LANES) {
                panel_row = NAME(fill_panel)(columns - j, depth, panel, ldb, copy);
                panel = copy;
            }
            NAME(panel_product)(transposed, rows, columns - j, depth, a + k * (transposed ? lda : 1), lda, panel,
                                panel_row, add || cut, bias && !add && !cut ? bias + j : NULL, c + j, ldc,
                                ahead);
        }
    }
}

#undef LANES
#undef VECTOR
