"""Tiles of a Winograd convolution, the blocks they are computed in, and where their points lie.

Points are stored point by point: all tiles of a block that have it, each with its channels. Tiles at the end of an
axis have fewer results and fewer points.
"""

cdef extern from "winograd.h" nogil:
    ctypedef struct WinogradTile:
        Py_ssize_t row, column, rows, columns
        const Py_ssize_t* points

cdef enum:
    SIDE = 8  # points of a tile on an axis, at most
    OWN = 4  # results of the tile whose transforms need no matrix
    SMALL_BLOCK = 32  # tiles
    MANY = 1 << 15  # filters whose points are read from the L3 cache for each block: it has twice the tiles
    LARGE_BLOCK = 1 << 24  # values of a block's points
    PAD = 48  # values between two points of a tile: they must not fall into the same cache sets

cdef struct Plane:
    Py_ssize_t height, width, channels
    Py_ssize_t top, left  # pixel of the corner of a tile whose first result is (0, 0)
    Py_ssize_t row_step, column_step  # dilation

cdef struct Axis:  # tiles: first result, results
    const Py_ssize_t* first
    const Py_ssize_t* results
    Py_ssize_t tiles, block, points  # how many, in a block, points of the longest one

cdef struct Geometry:
    Plane source, target
    Axis rows, columns
    Py_ssize_t blocks, row_blocks  # of one image; of one column of blocks
    Py_ssize_t largest  # results of a tile on an axis
    bint few

cdef struct Block:
    Py_ssize_t row, column, rows, columns  # first tile, tiles
    Py_ssize_t row_tiles[SIDE]  # how many of them have a point: the first ones
    Py_ssize_t column_tiles[SIDE]
    Py_ssize_t tiles[SIDE * SIDE]  # before this point
    Py_ssize_t total


cdef inline Geometry geometry(x_shape, y_shape, padding, dilation, rows, columns, Py_ssize_t size):
    """Lay out tiles and blocks; `rows` and `columns` must live as long as the result."""
    cdef Geometry g
    g.source = Plane(x_shape[1], x_shape[2], x_shape[3], -padding[0], -padding[1], dilation[0], dilation[1])
    g.target = Plane(y_shape[1], y_shape[2], y_shape[3], 0, 0, dilation[0], dilation[1])
    g.rows, g.columns = _axis(rows), _axis(columns)
    g.largest, g.few = size, size == OWN
    cdef Py_ssize_t point_values = g.rows.points * g.columns.points * (g.source.channels + g.target.channels)
    cdef Py_ssize_t tiles = max(1, LARGE_BLOCK // point_values)
    if g.few:
        tiles = 2 * SMALL_BLOCK if g.source.channels * g.target.channels > MANY else SMALL_BLOCK
    g.columns.block = _part(g.columns.tiles, tiles)
    g.rows.block = _part(g.rows.tiles, max(1, tiles // g.columns.block))
    g.row_blocks = (g.rows.tiles + g.rows.block - 1) // g.rows.block
    g.blocks = g.row_blocks * ((g.columns.tiles + g.columns.block - 1) // g.columns.block)
    return g


cdef inline Axis _axis(tiles):
    cdef const Py_ssize_t[::1] first = tiles.first, results = tiles.results
    return Axis(&first[0], &results[0], first.shape[0], 0, results[0] + 2)


cdef inline Py_ssize_t _part(Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    """Return the length of about equal parts of n, at most `most`."""
    cdef Py_ssize_t parts = (n + most - 1) // most
    return (n + parts - 1) // parts


cdef inline Py_ssize_t scratch_length(const Geometry* g) noexcept nogil:
    """Return the number of values of the points of a block, of both sides."""
    cdef Py_ssize_t tiles = g.rows.block * g.rows.points * g.columns.block * g.columns.points
    return tiles * (g.source.channels + g.target.channels) + 2 * SIDE * SIDE * PAD


cdef inline void find_block(const Geometry* g, Py_ssize_t index, Block* b) noexcept nogil:
    """Fill in the block of this number."""
    cdef Py_ssize_t p, q
    b.row, b.column = index % g.row_blocks * g.rows.block, index // g.row_blocks * g.columns.block
    b.rows, b.columns = min(g.rows.block, g.rows.tiles - b.row), min(g.columns.block, g.columns.tiles - b.column)
    _count(&g.rows, b.row, b.rows, b.row_tiles)
    _count(&g.columns, b.column, b.columns, b.column_tiles)
    b.total = 0
    for p in range(SIDE):
        for q in range(SIDE):
            b.tiles[p * SIDE + q] = b.total
            b.total += b.row_tiles[p] * b.column_tiles[q]


cdef inline void _count(const Axis* axis, Py_ssize_t first, Py_ssize_t n, Py_ssize_t* tiles) noexcept nogil:
    """Count the tiles that have each point: the longest ones come first."""
    cdef Py_ssize_t p
    for p in range(SIDE):
        tiles[p] = n
        while tiles[p] and axis.results[first + tiles[p] - 1] + 2 <= p:
            tiles[p] -= 1


cdef inline Py_ssize_t first_point(const Block* b, Py_ssize_t point, Py_ssize_t channels) noexcept nogil:
    """Return where the first tile's values of a point lie."""
    return b.tiles[point] * channels + point * PAD


cdef inline WinogradTile image_tile(const Geometry* g, const Plane* plane, const Block* b, Py_ssize_t tile,
                                    Py_ssize_t* places) noexcept nogil:
    """Describe a tile of the block, with the steps of a plane; fill in where its points lie."""
    cdef Py_ssize_t i = tile // b.columns, j = tile % b.columns, c = plane.channels, p, q
    cdef WinogradTile t
    t.rows, t.columns = g.rows.results[b.row + i], g.columns.results[b.column + j]
    t.row, t.column, t.points = plane.row_step * plane.width * c, plane.column_step * c, places
    for p in range(t.rows + 2):
        for q in range(t.columns + 2):
            places[p * SIDE + q] = first_point(b, p * SIDE + q, c) + (i * b.column_tiles[q] + j) * c
    return t


cdef inline Py_ssize_t corner(const Geometry* g, const Plane* plane, const Block* b, Py_ssize_t tile) noexcept nogil:
    """Return where the tile's first result lies in the target."""
    return (g.rows.first[b.row + tile // b.columns] * plane.width
            + g.columns.first[b.column + tile % b.columns]) * plane.channels


cdef inline WinogradTile filter_tile(const Geometry* g, Py_ssize_t n, bint turned, Py_ssize_t* places) noexcept nogil:
    """Describe a run of n filters as a tile: its pixels are the taps; fill in where its points lie."""
    cdef Py_ssize_t p, q
    cdef WinogradTile t
    t.rows, t.columns, t.points = g.rows.points - 2, g.columns.points - 2, places
    t.row, t.column = -3 * n if turned else 3 * n, -n if turned else n
    for p in range(g.rows.points):
        for q in range(g.columns.points):
            places[p * SIDE + q] = (p * g.columns.points + q) * (n + PAD)
    return t
