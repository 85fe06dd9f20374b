"""What no op of the tape calls: steps of optimizers, and the filters of the CRF."""

from __future__ import annotations

from typing import Any

from lstm2d import kernels
from lstm2d.kernels.lattice import Lattice
from lstm2d.selftest.case import DOCTOR, LARGE, RESULT, Case, normal
from lstm2d.selftest.cases.draws import fractions, normals

STEPS = {"sgd_step": (0.9,), "adadelta_step": (0.95, 1e-6)}  # with what follows the weight decay
MEMORY = {"sgd_step": ("velocity",), "adadelta_step": ("square", "change")}
# whether there is a running mean, whether there are rates, weight decay
STEP_OPTIONS = [(False, False, 0.1), (True, False, 0.0), (False, True, 0.1), (True, True, 0.1)]


def _step(
    name: str, n: int, mean: bool, rates: bool, weight_decay: float, users: frozenset[str] = RESULT
) -> Case:
    memory = MEMORY[name]
    arrays = {"weights": normals(n), "gradient": normals(n)} | dict.fromkeys(memory, fractions(n))
    arrays |= {"mean": normals(n)} if mean else {}
    arrays |= {"rates": lambda rng: rng.integers(0, 3, n).astype("float32")} if rates else {}

    def call(weights: Any, gradient: Any, **others: Any) -> None:
        vectors = [*(others[key] for key in memory), others.get("mean"), others.get("rates")]
        scalars = (0.3, 0.7, weight_decay, *STEPS[name], 0.25)
        getattr(kernels.pick("update", like=weights), name)(weights, gradient, *vectors, *scalars)

    return Case(
        name,
        arrays=arrays,
        changes=("weights", *memory, *["mean"] * mean),
        call=call,
        family="update",
        users=users,
        error=(1e-5, 1e-12),
        label=f"{name} {n} mean={mean} rates={rates} weight_decay={weight_decay}",
    )


def _steps(
    weights: Any, gradient: Any, velocity: Any, square: Any, change: Any, mean: Any, rates: Any
) -> Any:
    """Return the norm of the gradient, and whether the weights are finite, after a step of each optimizer."""
    k = kernels.pick("update", like=weights)
    norm = k.gradient_norm(gradient)
    k.sgd_step(weights, gradient, velocity, mean, rates, 0.1, 0.5, 0.01, 0.9, 0.9)
    k.adadelta_step(weights, gradient, square, change, None, rates, 1.0, 0.5, 0.01, 0.95, 1e-6, 0.9)
    return norm, k.is_finite(weights)


def _filtered(features: Any, values: Any, before: Any, after: Any) -> Any:
    k = kernels.pick("crf", like=features)
    lattice: Lattice = k.build_lattice(features)
    exact = k.gaussian_sum(features, values, before, after)
    return (*lattice, k.lattice_filter(lattice, values, before, after), exact)


def filtering(n: int, d: int, classes: int, spread: float = 1.0, **fields: Any) -> Case:
    """Return both filters of n values of each class at features in d dimensions; `fields` as in `Case`."""
    arrays = {"features": lambda rng: spread * normal(rng, (n, d)), "values": fractions(n, classes)}
    return Case(
        "crf",
        arrays=arrays | {"before": fractions(n), "after": fractions(n)},
        call=_filtered,
        family="crf",
        error=(1e-5, 1e-12),
        **{"users": RESULT, "label": f"crf {n} {d} {classes} {spread}"} | fields,
    )


VECTORS = ("weights", "gradient", "velocity", "square", "change", "mean", "rates")
CASES: list[Case] = [
    *(_step(name, n, *row) for name in STEPS for n in (0, 1, 7, 129, 4099) for row in STEP_OPTIONS),
    *(
        _step(name, n, *row, users=LARGE)
        for name in STEPS
        for n in (40_000, (1 << 20) + 12_345)
        for row in STEP_OPTIONS[1:]
    ),
    Case(
        "steps",
        arrays=dict.fromkeys(VECTORS, fractions(50)),
        changes=("weights", "velocity", "square", "change", "mean"),
        call=_steps,
        family="update",
        users=RESULT | {DOCTOR},
        error=(1e-5, 1e-12),
        label="optimizer steps",
    ),
    *(
        filtering(n, d, classes)
        for classes in (0, 1, 3, 21, 130)
        for n, d in [(0, 2), (1, 5), (150, 2), (60, 5)]
    ),
    filtering(60, 5, 3, users=RESULT | {DOCTOR}, label="CRF lattice"),
]
