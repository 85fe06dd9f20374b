"""A test case of an operation: call, inputs, users and required precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from math import prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lstm2d import kernels, ops
from lstm2d.tape import backward
from lstm2d.tensor import Tensor

Array = NDArray[Any]
Shape = tuple[int, ...]
Product = tuple[int, int, int]  # (m, k) times (k, n)
Bring = Callable[[Array, bool], Any]  # (host array, whether it is changed in place) -> argument of the call

# users of a case: finite differences, comparison of backends, thread counts, a GPU or its stand-in,
# `lstm2d doctor`, benchmarks/bench_ops.py
GRADIENT, BACKENDS, BITS, CUDA, DOCTOR, BENCH = "gradient", "backends", "bits", "cuda", "doctor", "bench"
SMALL = frozenset({GRADIENT, BACKENDS, CUDA})
RESULT = SMALL - {GRADIENT}  # no gradient, or one that finite differences cannot check
LARGE = frozenset({BACKENDS, BITS})
SELFTEST = SMALL | {DOCTOR}
MEASURED = frozenset({BENCH})


def normal(rng: Generator, shape: Shape) -> Array:
    """Return standard normal values."""
    return np.asarray(rng.standard_normal(shape, np.float32))


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the table of cases.

    Parameters
    ----------
    op : str
        Name of a function in `lstm2d.ops` or of the kernels.
    shapes : sequence of tuple of int
        Shapes of the tensors: the input, then the parameters.
    options : mapping of str to object
        Keyword arguments of the call.
    arrays : mapping of str to callable
        Keyword arguments that are arrays without a gradient. Each callable takes a generator and returns one.
    changes : sequence of str
        Names of the arrays that are changed in place.
    call : callable, optional
        Takes tensors, arrays and options, and returns a Tensor or, from a function without a gradient, one
        or several values. The op of that name if left out.
    draw : callable
        Takes a generator and a shape, and returns the first tensor's values.
    family : str
        Kernel family; "" if the op is computed by NumPy alone.
    users : frozenset of str
        Users of the case.
    error : tuple of float
        Largest differences of float32 and of float64 from the reference in float64, relative to the largest
        value of an array.
    slope : mapping of str to float
        Arguments of `gradcheck`.
    per_image : bool
        Whether the results of an image are independent of the others in the batch.
    products : sequence of tuple of int
        Matrix products (m, k) x (k, n) of the operation.
    flop : float
        Other operations per value of the result; functions such as exp count as one.
    label : str
        Name in outputs; by default made from op, shapes and options.
    """

    op: str
    shapes: tuple[Shape, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Callable[[Generator], Array]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    call: Callable[..., Any] | None = None
    draw: Callable[[Generator, Shape], Array] = normal
    family: str = ""
    users: frozenset[str] = SMALL
    error: tuple[float, float] = (2e-6, 1e-13)
    slope: Mapping[str, float] = field(default_factory=dict)
    per_image: bool = True
    products: tuple[Product, ...] = ()
    flop: float = 0.0
    label: str = ""

    @cached_property
    def name(self) -> str:
        """The label, or the op with its shapes, arrays and options."""
        if self.label:
            return self.label
        shapes = ["x".join(map(str, shape)) or "number" for shape in self.shapes]
        options = [f"{key}={value}" for key, value in self.options.items()]
        draw = [] if self.draw is normal else [self.draw.__name__]
        return " ".join([self.op, *shapes, *draw, *self.arrays, *options])

    @property
    def run(self) -> Callable[..., Any]:
        """The function to call."""
        run: Callable[..., Any] = self.call or getattr(ops, self.op)
        return run

    def backends(self) -> list[str]:
        """Return the CPU backends of the case; only one of them without a kernel family."""
        return kernels.available(self.family) if self.family else kernels.available("elementwise")[-1:]

    def values(self) -> Values:
        """Draw the inputs of the case; they are the same every time.

        Returns
        -------
        Values
            Float arrays are float32; convert them for float64.
        """
        rng = np.random.default_rng([*self.op.encode(), *chain(*self.shapes)])
        first = [self.draw(rng, shape) for shape in self.shapes[:1]]
        rest = [normal(rng, shape) * np.float32(_scale(shape)) for shape in self.shapes[1:]]
        return Values([*first, *rest], {name: draw(rng) for name, draw in self.arrays.items()}, rng)

    def work(self, result: Shape, *, train: bool = False, first: bool = False) -> Work:
        """Return the operations and memory traffic of the op in float32.

        Parameters
        ----------
        result : tuple of int
            Shape of the result.
        train : bool, default False
            Forward and backward; the forward alone if False.
        first : bool, default False
            Whether the input needs no gradient.

        Returns
        -------
        Work
            Every array counts once per pass.
        """
        products = list(self.products)
        if train:
            products += [p for m, k, n in products for p in [(k, m, n), *([] if first else [(m, n, k)])]]
        passes, inputs = (2 if train else 1), 4 * sum(map(prod, self.shapes))
        flop = 2 * sum(m * k * n for m, k, n in products) + passes * self.flop * prod(result)
        unread = 4 * prod(self.shapes[0]) if train and first and self.shapes else 0
        return Work(products, flop, (3 if train else 1) * inputs - unread + passes * 4 * prod(result))


class Work(NamedTuple):
    """Matrix products, floating-point operations and bytes."""

    products: list[Product]
    flop: float
    bytes: int


class Values(NamedTuple):
    """Inputs of a case, and the generator for the gradient of its result."""

    inputs: list[Array]
    arrays: dict[str, Array]
    rng: Generator


def _scale(shape: Shape) -> float:
    """Return the factor of parameters that keeps results near 1."""
    return 1 / sqrt(max(1, prod(shape[:-1]))) if len(shape) > 1 else 0.5


def typed(dtype: type) -> Bring:
    """Return a `Bring` that copies arrays and converts floating-point ones to a dtype."""

    def bring(values: Array, changed: bool) -> Array:
        return values.astype(dtype if values.dtype.kind == "f" else values.dtype)

    return bring


def evaluate(case: Case, bring: Bring, image: int | None = None) -> dict[str, Any]:
    """Compute a case.

    Parameters
    ----------
    case : Case
        What to compute.
    bring : callable
        Takes each array and whether it is changed in place, and returns the argument of the call.
    image : int, optional
        Compute only this image of the batch; by default all.

    Returns
    -------
    dict of str to ndarray
        Results, gradients of all tensors (none inside `no_grad`) and changed arrays, on their device.
    """
    values = case.values()
    if image is not None:
        values.inputs[0] = values.inputs[0][image : image + 1]
    leaves = [Tensor(bring(a, False), requires_grad=True) for a in values.inputs]
    arrays = {name: bring(a, name in case.changes) for name, a in values.arrays.items()}
    result = case.run(*leaves, **arrays, **case.options)
    if isinstance(result, Tensor):
        found = {"result": result.data}
        if result.requires_grad:
            grad = None
            if result.data.ndim:
                images = case.shapes[0][:1] if image is not None else result.shape[:1]
                drawn = normal(values.rng, (*images, *result.shape[1:]))
                grad = bring(drawn if image is None else drawn[image : image + 1], False)
            backward(result, grad)
            found |= {f"gradient {k}": leaf.grad for k, leaf in enumerate(leaves) if leaf.grad is not None}
    else:
        several = result if isinstance(result, tuple) else (result,)
        found = {f"result {k}": value for k, value in enumerate(several) if value is not None}
    return found | {name: arrays[name] for name in case.changes}
