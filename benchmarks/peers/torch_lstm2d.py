"""The 2D-LSTM in optimized plain PyTorch (autograd, no compiler): the peer of the benchmarks.

All four directions advance together, one anti-diagonal per step. Optimizations:

- a diagonal is stored channels first, ``(4, gates * units, images, rows)``: a gate is a contiguous block
  whatever the number of units, and vectors run over pixels;
- only the rows that a diagonal crosses are computed, widened to multiples of 16: products of other widths
  take up to twice the time in MKL;
- input, a constant one for the bias and both hidden states are the operand of one product per step.

The grid is skewed by padding and reshaping, so autograd never scatters. Cells left of the grid see zeros only
and stay zero; cells right of it and below it are computed, feed no cell of the grid, and are dropped.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 16  # widths of the products are multiples of this
WINDOWS = {  # window side: (units, features) of the three layers; the last layer's features are the classes
    5: ((10, 20, 50), (12, 30)),
    3: ((4, 20, 50), (10, 30)),
    1: ((4, 20, 50), (10, 30)),
}


class TorchLSTM2D(nn.Module):
    """Map (N, H, W, C) to (N, H, W, 4 * units): down-right, down-left, up-right, up-left.

    Parameters
    ----------
    channels : int
        Channels of the input.
    units : int
        Hidden units of one direction.
    peepholes : bool
        Whether the gates see the cell states.
    dtype : torch.dtype
        Of all parameters.
    """

    def __init__(
        self, channels: int, units: int, *, peepholes: bool = True, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape, dtype=dtype).uniform_(-0.1, 0.1))

        self.units = units
        # columns: the gates i, f_x, f_y, g, o; recurrent rows: h of the horizontal, then vertical neighbour
        self.weight = uniform(4, channels, 5 * units)
        self.recurrent = uniform(4, 2 * units, 5 * units)
        self.bias = uniform(4, 1, 5 * units)
        # i from c_x, i from c_y, f_x, f_y, o
        self.peephole = uniform(5, 4, 1, 1, units) if peepholes else None

    def forward(self, x: Tensor) -> Tensor:
        """Scan the images from their four corners."""
        n, height, width, _ = x.shape
        bands = _bands(height, width)
        matrix = torch.cat([self.recurrent, self.weight, self.bias], 1).transpose(1, 2).contiguous()
        pieces = _skew(x, bands)
        first, last = bands[0]
        # unbound once: with indexing in the loop, autograd would fill a whole gradient each time
        p = None if self.peephole is None else self.peephole.view(5, 4, self.units, 1, 1).unbind(0)
        h = c = x.new_zeros(4, self.units, n, last - first)
        outputs = []
        for piece, (low, high) in zip(pieces, bands, strict=True):
            if (low, high) == (first, last):
                hx, cx = h, c
            else:
                hx, cx = (F.pad(v, (first - low, high - last)) for v in (h, c))
            hy, cy = (F.pad(v, (first - low + 1, high - last - 1)) for v in (h, c))
            z = torch.bmm(matrix, torch.cat([hx, hy, piece], 1).flatten(2))
            h, c = _cell(z.view(4, -1, n, high - low), cx, cy, p)
            outputs.append(h)
            first, last = low, high
        return _unskew(outputs, bands, height, width)


class TorchByeon(nn.Module):
    """The three-layer network on cut windows: (N, H, W, 3 * window**2) to (N, H, W, classes) scores.

    Parameters
    ----------
    window : int
        Side of a window in pixels: 1, 3 or 5.
    classes : int
        Number of classes.
    """

    def __init__(self, window: int, classes: int) -> None:
        super().__init__()
        units, features = WINDOWS[window]
        channels = 3 * window * window
        layers: list[nn.Module] = []
        for u, f in zip(units, (*features, classes), strict=True):
            layers += [TorchLSTM2D(channels, u), nn.Linear(4 * u, f)]
            channels = f
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of every window."""
        for k in range(0, 6, 2):
            x = self.layers[k + 1](self.layers[k](x))
            if k < 4:
                x = torch.tanh(x)
        return x


def _cell(z: Tensor, cx: Tensor, cy: Tensor, peephole: tuple[Tensor, ...] | None) -> tuple[Tensor, Tensor]:
    """Return hidden and cell state of one diagonal from the gates' inputs `z` and the old cells."""
    u = cx.shape[1]
    if peephole is None:
        fused, g, o = torch.split(z, [3 * u, u, u], 1)
        i, fx, fy = torch.split(torch.sigmoid(fused), u, 1)
    else:
        i, fx, fy, g, o = torch.split(z, u, 1)
        i = torch.sigmoid(torch.addcmul(torch.addcmul(i, peephole[0], cx), peephole[1], cy))
        fx = torch.sigmoid(torch.addcmul(fx, peephole[2], cx))
        fy = torch.sigmoid(torch.addcmul(fy, peephole[3], cy))
    c = torch.addcmul(torch.addcmul(fx * cx, fy, cy), i, torch.tanh(g))
    if peephole is not None:
        o = torch.addcmul(o, peephole[4], c)
    return torch.sigmoid(o) * torch.tanh(c), c


def _bands(height: int, width: int) -> list[tuple[int, int]]:
    """Return first and last row (exclusive) to compute of every anti-diagonal."""
    return [
        (max(0, t + 1 - width) // ROWS * ROWS, -(-min(height, t + 1) // ROWS) * ROWS)
        for t in range(height + width - 1)
    ]


def _gaps(bands: list[tuple[int, int]], rows: int) -> Iterator[int]:
    """Yield how many cells lie before each band and after the last, in diagonals of `rows` cells."""
    end = 0
    for t, (low, high) in enumerate(bands):
        yield t * rows + low - end
        end = t * rows + high
    yield len(bands) * rows - end


def _skew(x: Tensor, bands: list[tuple[int, int]]) -> tuple[Tensor, ...]:
    """Return one (4, C + 1, N, rows) view for every diagonal of the four flipped images."""
    n, height, width, channels = x.shape
    steps, rows = len(bands), -(-height // ROWS) * ROWS
    x = F.pad(x, (0, 1), value=1.0)  # the bias' input: zero outside the grid
    views = torch.stack([x, x.flip(2), x.flip(1), x.flip(1, 2)])
    # row y moves right by y: column t then holds the anti-diagonal t
    skewed = F.pad(views, (0, 0, 0, steps + 1 - width)).flatten(2, 3)[:, :, : height * steps]
    skewed = F.pad(skewed.view(4, n, height, steps, channels + 1), (0, 0, 0, 0, 0, rows - height))
    lines = skewed.permute(0, 4, 1, 3, 2).reshape(4, channels + 1, n, steps * rows)
    gaps = _gaps(bands, rows)
    sizes = [size for low, high in bands for size in (next(gaps), high - low)]
    return torch.split(lines, [*sizes, *gaps], 3)[1::2]


def _unskew(diagonals: list[Tensor], bands: list[tuple[int, int]], height: int, width: int) -> Tensor:
    """Undo `_skew` and concatenate the directions: (N, H, W, 4 * units)."""
    _, units, n, _ = diagonals[0].shape
    steps, rows = len(bands), -(-height // ROWS) * ROWS
    *before, after = (diagonals[0].new_zeros(4, units, n, gap) for gap in _gaps(bands, rows))
    lines = [part for pair in zip(before, diagonals, strict=True) for part in pair]
    y = torch.cat([*lines, after], 3).view(4, units, n, steps, rows)
    y = y.permute(0, 2, 4, 3, 1)[:, :, :height].reshape(4, n, height * steps, units)
    y = F.pad(y, (0, 0, 0, height)).view(4, n, height, steps + 1, units)[:, :, :, :width]
    return torch.cat([y[0], y[1].flip(2), y[2].flip(1), y[3].flip(1, 2)], 3)
