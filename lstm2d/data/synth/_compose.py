"""Composition of seven kinds of outdoor scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lstm2d.data.synth import _figures as figures
from lstm2d.data.synth import _stage as sets
from lstm2d.data.synth._backdrop import draw_hill
from lstm2d.data.synth._canvas import Canvas
from lstm2d.data.synth._ground import (
    Path,
    cloud_shadows,
    draw_grass,
    draw_plaza,
    draw_road,
    draw_shores,
    draw_water,
    look_down,
)
from lstm2d.data.synth._stage import Stage
from lstm2d.data.synth._trees import KINDS


def compose(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one scene of a random kind."""
    stage = Stage(canvas, rng)
    kinds = list(_SCENES)
    kind = kinds[rng.choice(len(kinds), p=[_SCENES[k][1] for k in kinds])]
    count = int(rng.integers(1, 3))
    stage.trees = tuple(KINDS[k] for k in rng.choice(3, size=count, replace=False, p=(0.55, 0.3, 0.15)))
    _SCENES[kind][0](stage)


def _lake(stage: Stage) -> None:
    """Draw a lake in front of mountains, with woods on the far shore."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.26, 0.52), (1.8, 6.0))
    sets.backdrop(stage, 0.94, (0.28, 0.56))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    far = stage.between(80.0, 320.0)
    sets.woods(stage, int(rng.integers(0, 4)), (far * 1.05, far * 1.6))
    if stage.chance(0.3):
        sets.house(stage, stage.x_at(stage.between(0.1, 0.9), far * 1.05), far * 1.05)
        stage.flush()
    near = sets.shore(stage, 0.5, 1.3)
    draw_water(canvas, view, rng, draw_shores(canvas, rng, far, near, 0.8))
    sets.boats(stage, 2, (max(1.3 * near, 12.0), 0.7 * far))
    sets.bank(stage, near, 4, 3)
    stage.flush()


def _sea(stage: Stage) -> None:
    """Draw the sea up to the horizon, seen from a meadow or a promenade."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.22, 0.54), (2.0, 7.0))
    sets.backdrop(stage, 0.4, (0.08, 0.30))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    near = sets.shore(stage, 0.5, 1.2)
    draw_water(canvas, view, rng, draw_shores(canvas, rng, 4000.0, near, 0.6))
    if stage.chance(0.4):
        draw_plaza(canvas, view, rng, near * stage.between(0.6, 0.97))
    sets.boats(stage, 4, (max(1.8 * near, 15.0), 100.0))
    sets.bank(stage, near, 3, 4)
    if stage.chance(0.3) and near > 1.3 * stage.edge():
        sets.fence(stage, 0.85 * near)
    stage.flush()


def _country_road(stage: Stage) -> None:
    """Draw a road through fields, with trees beside it."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.30, 0.60), (1.5, 4.0))
    sets.backdrop(stage, 0.85, (0.26, 0.56))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    cloud_shadows(canvas, view, stage.between(0.0, 0.6))
    sets.woods(stage, int(rng.integers(0, 3)), (90.0, 260.0))
    stage.path = Path(
        x=stage.between(-3.0, 3.0),
        slope=stage.between(-0.12, 0.12),
        bend=stage.between(-0.5, 0.5),
        width=stage.between(5.0, 10.0),
        dashed=stage.chance(0.6),
    )
    draw_road(canvas, view, stage.path, walks=0.0)
    sets.scatter_trees(stage, (2, 11), (9.0, 110.0), (4.0, 12.0))
    if stage.chance(0.45):
        away = stage.between(28.0, 70.0)
        x = stage.x_at(stage.between(0.05, 0.95), away)
        if not stage.path.covers(x, away, 10.0):
            sets.house(stage, x, away)
    for _ in range(int(rng.integers(0, 3))):
        away = stage.between(9.0, 45.0)
        x = float(stage.path.middle(away)) + 0.22 * stage.path.width * float(rng.choice((-1.0, 1.0)))
        sets.figure(stage, figures.draw_car, x, away, 1.8)
    if stage.chance(0.3):
        sets.animals(stage, (1, 4))
    sets.frame(stage, 0.25)
    stage.flush()


def _street(stage: Stage) -> None:
    """Draw a street between buildings, with traffic."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.42, 0.68), (1.6, 3.2))
    sets.backdrop(stage, 0.35, (0.10, 0.30))
    view = look_down(canvas, rng)
    draw_plaza(canvas, view, rng, 1e6)
    width = stage.between(7.0, 15.0)
    walks = stage.between(2.5, 5.0)
    path = Path(stage.between(-2.0, 2.0), 0.0, 0.0, width, dashed=stage.chance(0.7))
    draw_road(canvas, view, path, walks=walks)
    stage.path = path
    low = stage.between(6.0, 14.0)
    for side in (-1.0, 1.0):
        if stage.chance(0.15):
            sets.avenue_trees(stage, side, path.x + side * (0.5 * width + 0.7 * walks))
            continue
        sets.row_of_houses(stage, side, path.x + side * (0.5 * width + walks), low)
        if stage.chance(0.45):
            sets.avenue_trees(stage, side, path.x + side * (0.5 * width + 0.35 * walks))
    if stage.chance(0.5):
        sets.skyline(stage, (130.0, 220.0), (low, 3.0 * low), (-0.1, 1.1))
    for _ in range(int(rng.integers(1, 5))):
        away = stage.between(8.0, 50.0)
        lane = path.x + path.width * float(rng.choice((-0.36, -0.2, 0.2, 0.36)))
        sets.figure(stage, figures.draw_car, lane, away, 1.8)
    for _ in range(int(rng.integers(1, 6))):
        away, side = stage.between(5.0, 26.0), float(rng.choice((-1.0, 1.0)))
        sets.figure(
            stage,
            figures.draw_person,
            path.x + side * (0.5 * width + walks * stage.between(0.1, 0.9)),
            away,
            0.5,
        )
    for away in np.arange(stage.between(8.0, 16.0), 60.0, 22.0):
        sets.figure(stage, figures.draw_post, path.x + 0.5 * width + 0.4, float(away), 0.2)
    stage.flush()


def _quay(stage: Stage) -> None:
    """Draw a city across the water."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.32, 0.58), (2.0, 5.5))
    sets.backdrop(stage, 0.7, (0.20, 0.46))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    far = stage.between(90.0, 200.0)
    if stage.chance(0.5):
        sets.woods(stage, int(rng.integers(1, 3)), (far * 1.05, far * 1.3))
    left = stage.between(-0.1, 0.35)
    sets.skyline(stage, (far * 1.05, far * 1.5), (14.0, 48.0), (left, left + stage.between(0.5, 1.1)))
    stage.flush()
    near = sets.shore(stage, 0.5, 1.05)
    draw_water(canvas, view, rng, draw_shores(canvas, rng, far, near, 0.3))
    if stage.chance(0.75):
        draw_plaza(canvas, view, rng, near * stage.between(0.75, 0.99))
    sets.boats(stage, 3, (max(1.4 * near, 12.0), 60.0))
    sets.bank(stage, near, 3, 5)
    if stage.chance(0.5) and near > 1.3 * stage.edge():
        sets.figure(
            stage, figures.draw_post, stage.x_at(stage.between(0.1, 0.9), near * 0.85), near * 0.85, 0.2
        )
    stage.flush()


def _meadow(stage: Stage) -> None:
    """Draw a pasture with animals in front of hills."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.28, 0.60), (1.6, 4.5))
    sets.backdrop(stage, 0.85, (0.28, 0.58))
    if stage.chance(0.5):
        draw_hill(canvas, rng, stage.between(0.04, 0.14), stage.between(150.0, 500.0))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    cloud_shadows(canvas, view, stage.between(0.0, 0.7))
    sets.woods(stage, int(rng.integers(1, 4)), (60.0, 220.0))
    if stage.chance(0.55):
        away = stage.between(25.0, 60.0)
        sets.house(stage, stage.x_at(stage.between(0.1, 0.9), away), away)
    sets.scatter_trees(stage, (1, 7), (12.0, 90.0), (4.0, 12.0))
    sets.animals(stage, (1, 7))
    if stage.chance(0.35):
        sets.fence(stage, stage.between(6.0, 14.0))
    sets.frame(stage, 0.3)
    stage.flush()


def _park(stage: Stage) -> None:
    """Draw a park with a path, trees and people, and a town in the background."""
    canvas, rng = stage.canvas, stage.rng
    sets.aim(stage, (0.30, 0.58), (1.6, 4.0))
    sets.backdrop(stage, 0.35, (0.10, 0.34))
    view = look_down(canvas, rng)
    draw_grass(canvas, view)
    left = stage.between(-0.1, 0.4)
    sets.skyline(stage, (50.0, 110.0), (9.0, 30.0), (left, left + stage.between(0.4, 1.0)))
    stage.flush()
    sets.woods(stage, int(rng.integers(0, 3)), (45.0, 80.0))
    if stage.chance(0.35):
        pond_far, pond_near = stage.between(22.0, 40.0), stage.between(9.0, 15.0)
        draw_water(canvas, view, rng, draw_shores(canvas, rng, pond_far, pond_near, 0.9))
    stage.path = Path(
        x=stage.between(-2.0, 2.0),
        slope=stage.between(-0.4, 0.4),
        bend=stage.between(-0.6, 0.6),
        width=stage.between(2.2, 4.5),
        dashed=False,
        reach=25.0,
    )
    draw_road(canvas, view, stage.path, walks=0.0)
    sets.scatter_trees(stage, (3, 9), (9.0, 45.0), (4.0, 10.0))
    sets.people(stage, (1, 5), (6.0, 22.0))
    sets.frame(stage, 0.35)
    stage.flush()


_SCENES: dict[str, tuple[Callable[[Stage], None], float]] = {
    "lake": (_lake, 0.20),
    "sea": (_sea, 0.13),
    "country road": (_country_road, 0.12),
    "street": (_street, 0.26),
    "quay": (_quay, 0.14),
    "meadow": (_meadow, 0.08),
    "park": (_park, 0.07),
}
