"""What all plots share: style, fonts of names, and PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from lstm2d.io.lettering import Lettering, letterings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

INK, GRID = "#20232a", "#e3e5e8"
DPI = 110

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": "#b6bac0",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.09,
}


def drawn_letterings(texts: Sequence[str], fallbacks: Sequence[str], longest: int) -> list[Lettering]:
    """Return texts as matplotlib can show them.

    Parameters
    ----------
    texts : sequence of str
        Any texts, such as class names.
    fallbacks : sequence of str
        What to show instead of a text whose characters no font has.
    longest : int
        Characters after which a text is shortened.

    Returns
    -------
    list of Lettering
        One per text, for `use_fonts`.
    """
    from matplotlib import ft2font

    shapes = hasattr(ft2font, "__libraqm_version__")  # from matplotlib 3.11 on
    return letterings(
        texts,
        fallbacks,
        shapes=shapes,
        longest=longest,
        besides="lp",  # older ones measure the height of a line by these, and warn if they are missing
    )


def use_fonts(texts: Sequence[Text], names: Sequence[Lettering]) -> None:
    """Give each text the font of its name."""
    from matplotlib.font_manager import FontProperties

    for text, name in zip(texts, names, strict=True):
        if name.font is not None:
            text.set_fontproperties(FontProperties(fname=name.font, size=text.get_fontsize()))


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Make a figure of this size in inches, without a display or global state."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
