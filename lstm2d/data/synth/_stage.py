"""The stage of a scene, and groups of objects shared by several kinds of scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from lstm2d.data.synth import _figures as figures
from lstm2d.data.synth._backdrop import draw_mountains, draw_sky
from lstm2d.data.synth._buildings import Style, draw_building, draw_style
from lstm2d.data.synth._canvas import Canvas
from lstm2d.data.synth._ground import Path, cast_shadow
from lstm2d.data.synth._trees import draw_tree, draw_wood

Draw = Callable[[], None]
Figure = Callable[[Canvas, np.random.Generator, float, float], None]


@dataclass
class Stage:
    """State of a scene: canvas, random numbers and pending objects."""

    canvas: Canvas
    rng: np.random.Generator
    things: list[tuple[float, Draw]] = field(default_factory=list)
    path: Path | None = None
    trees: tuple[str, ...] = ("round",)

    def chance(self, share: float) -> bool:
        """Return True with probability ``share``."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """Return a uniform random number between ``low`` and ``high``."""
        return float(self.rng.uniform(low, high))

    def distance(self, z: tuple[float, float]) -> float:
        """Return a log-uniform random distance between two."""
        low, high = sorted(z)  # in an image of a few rows the far shore may be nearer than the near one
        return float(np.exp(self.between(np.log(low), np.log(high))))

    def x_at(self, across: float, z: float) -> float:
        """Return x in metres at a share of the image width."""
        return (across * self.canvas.width - self.canvas.centre) * z / self.canvas.focal

    def edge(self) -> float:
        """Return the distance in metres of the ground at the lower edge of the image."""
        return self.canvas.depth(float(self.canvas.height))

    def add(self, z: float, draw: Draw) -> None:
        """Queue an object at distance ``z`` for `flush`."""
        self.things.append((z, draw))

    def flush(self) -> None:
        """Draw the queued objects, farthest first."""
        for _, draw in sorted(self.things, key=lambda thing: -thing[0]):
            draw()
        self.things.clear()


def aim(stage: Stage, horizon: tuple[float, float], eye: tuple[float, float]) -> None:
    """Set the camera at random; ``horizon`` in shares of the height, ``eye`` in metres."""
    canvas = stage.canvas
    lens = stage.between(0.85, 1.25)
    canvas.aim(
        canvas.height * stage.between(*horizon),
        canvas.width * stage.between(0.36, 0.64),
        stage.between(*eye),
        canvas.width * lens,
    )


def backdrop(stage: Stage, mountains: float, rise: tuple[float, float]) -> None:
    """Draw sky, and mountains with probability ``mountains``."""
    draw_sky(stage.canvas, stage.rng)
    if stage.chance(mountains):
        layers = int(stage.rng.integers(1, 4))
        room = stage.canvas.horizon / stage.canvas.height
        draw_mountains(stage.canvas, stage.rng, layers=layers, rise=stage.between(*rise) * room / 0.45)


def tree(
    stage: Stage, x: float, z: float, height: float, kind: str | None = None, *, shadow: bool = True
) -> None:
    """Add a tree and its shadow."""
    kind = kind or stage.trees[stage.rng.integers(len(stage.trees))]
    if shadow:
        cast_shadow(stage.canvas, x, z, 0.5 * height, height)
    stage.add(z, lambda: draw_tree(stage.canvas, stage.rng, x, z, height, kind))


def figure(stage: Stage, draw: Figure, x: float, z: float, width: float) -> None:
    """Add a foreground object and its shadow, far enough away that its foot is in the image."""
    z = max(z, 1.06 * stage.edge())
    cast_shadow(stage.canvas, x, z, width, 1.5)
    stage.add(z, lambda: draw(stage.canvas, stage.rng, x, z))


def frame(stage: Stage, chance: float, *, ashore: bool = True) -> None:
    """Add a big tree at one side, partly outside the image; below its lower edge if not ``ashore``."""
    if not stage.chance(chance):
        return
    across = stage.between(-0.06, 0.16)
    if stage.chance(0.5):
        across = 1.0 - across
    kind = "round" if stage.chance(0.8) else None
    z, height = stage.between(9.0, 16.0), stage.between(6.0, 10.0)
    if not ashore:
        z = 0.8 * stage.edge()
        height *= 0.11 * stage.canvas.height * z / stage.canvas.focal
    tree(stage, stage.x_at(across, z), z, height, kind, shadow=ashore)


def scatter_trees(
    stage: Stage, count: tuple[int, int], z: tuple[float, float], height: tuple[float, float]
) -> None:
    """Add trees anywhere but on the road."""
    for _ in range(int(stage.rng.integers(*count))):
        away = stage.distance(z)
        x = stage.x_at(stage.between(-0.05, 1.05), away)
        tall = stage.between(*height)
        kind = "bush" if stage.chance(0.2) else None
        if stage.path is None or not stage.path.covers(x, away, 0.25 * tall + 0.5):
            tree(stage, x, away, tall * (0.3 if kind else 1.0), kind)


def woods(stage: Stage, count: int, z: tuple[float, float]) -> None:
    """Draw edges of woods in the background."""
    for _ in range(count):
        away = stage.between(*z)
        left, span = stage.between(-0.3, 0.7), stage.between(0.25, 0.9)
        edges = (left * stage.canvas.width, (left + span) * stage.canvas.width)
        height = stage.between(9.0, 18.0)
        draw_wood(stage.canvas, stage.rng, away, height, *edges)


def people(stage: Stage, count: tuple[int, int], z: tuple[float, float]) -> None:
    """Add people, alone or in pairs."""
    for _ in range(int(stage.rng.integers(*count))):
        away = stage.between(*z)
        x = stage.x_at(stage.between(0.05, 0.95), away)
        figure(stage, figures.draw_person, x, away, 0.5)
        if stage.chance(0.4):
            figure(stage, figures.draw_person, x + 0.75, away + stage.between(-0.4, 0.4), 0.5)


def house(stage: Stage, x: float, z: float) -> None:
    """Add a house with a pitched roof."""
    style = draw_style(stage.canvas, stage.rng, pitched=True)
    wide, deep, tall = stage.between(7.0, 15.0), stage.between(6.0, 10.0), stage.between(3.2, 6.5)
    cast_shadow(stage.canvas, x, z + 2.0, wide, 8.0)
    stage.add(
        z, lambda: draw_building(stage.canvas, style, (x - wide / 2, x + wide / 2), (z, z + deep), tall)
    )


def skyline(
    stage: Stage, z: tuple[float, float], height: tuple[float, float], across: tuple[float, float]
) -> None:
    """Add a row of buildings across the image, with gaps."""
    at = across[0]
    while at < across[1]:
        away = stage.between(*z)
        wide = stage.between(0.05, 0.16)
        style = draw_style(stage.canvas, stage.rng, pitched=False)
        tall = stage.between(*height) * (1.7 if stage.chance(0.15) else 1.0)
        left, right = stage.x_at(at, away), stage.x_at(at + wide, away)
        add_block(stage, style, (left, right), (away, away + stage.between(10.0, 25.0)), tall)
        at += wide * stage.between(0.8, 1.35)


def add_block(
    stage: Stage, style: Style, x: tuple[float, float], z: tuple[float, float], height: float
) -> None:
    """Add a building with a flat roof."""
    stage.add(z[0], lambda: draw_building(stage.canvas, style, x, z, height))


def shore(stage: Stage, low: float, high: float) -> float:
    """Return the distance of the near shore, between two shares of the ground's rows; above 1: outside."""
    canvas = stage.canvas
    return canvas.depth(canvas.horizon + (canvas.height - canvas.horizon) * stage.between(low, high))


def bank(stage: Stage, near: float, max_trees: int, max_people: int) -> None:
    """Add trees and people on the near shore, if it is visible."""
    low = 1.1 * stage.edge()
    ashore = 0.88 * near > low
    frame(stage, 0.4, ashore=ashore)
    if ashore:
        scatter_trees(stage, (0, max_trees), (low, 0.88 * near), (3.0, 7.0))
        people(stage, (0, max_people), (low, 0.9 * near))


def boats(stage: Stage, limit: int, z: tuple[float, float]) -> None:
    """Add fewer than ``limit`` boats on the water."""
    for _ in range(int(stage.rng.integers(0, limit))):
        away = stage.distance(z)
        x = stage.x_at(stage.between(0.08, 0.92), away)
        stage.add(away, partial(figures.draw_boat, stage.canvas, stage.rng, x, away))


def fence(stage: Stage, away: float) -> None:
    """Add a fence across the image."""
    ends = (stage.x_at(-0.1, away), stage.x_at(1.1, away))
    stage.add(away, lambda: figures.draw_fence(stage.canvas, ends, away))


def animals(stage: Stage, count: tuple[int, int]) -> None:
    """Add animals off the road."""
    for _ in range(int(stage.rng.integers(*count))):
        away = stage.between(6.0, 28.0)
        x = stage.x_at(stage.between(0.05, 0.95), away)
        if stage.path is None or not stage.path.covers(x, away, 1.5):
            figure(stage, figures.draw_animal, x, away, 1.6)


def row_of_houses(stage: Stage, side: float, x: float, low: float) -> None:
    """Add buildings along one side of the street."""
    away = stage.between(4.0, 16.0)
    while away < 150.0:
        long = stage.between(9.0, 22.0)
        style = draw_style(stage.canvas, stage.rng, pitched=False)
        tall, deep = low * stage.between(0.8, 2.0), stage.between(10.0, 16.0)
        back = side * stage.between(0.0, 1.2)
        span = tuple(sorted((x + back, x + back + side * deep)))
        add_block(stage, style, (span[0], span[1]), (away, away + long), tall)
        away += long * (1.0 if stage.chance(0.75) else 1.5)


def avenue_trees(stage: Stage, side: float, x: float) -> None:
    """Add a row of trees along the street."""
    gap, tall = stage.between(8.0, 14.0), stage.between(4.5, 9.0)
    for away in np.arange(stage.between(7.0, 14.0), 90.0, gap):
        tree(stage, x + 0.2 * side, float(away), tall * stage.between(0.85, 1.15), "round")
