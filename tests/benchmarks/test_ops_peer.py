"""The cases of the table against PyTorch in float64, and optimizers; skipped without PyTorch."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lstm2d import Tensor, ops
from lstm2d.selftest import CASES, Case, evaluate, typed
from lstm2d.selftest.case import normal
from lstm2d.training.adadelta import Adadelta
from lstm2d.training.sgd import SGD

torch: Any = pytest.importorskip("torch", exc_type=ImportError)
# it has no other, or they are compared elsewhere
NOT_COMPARED = {"clip_normalise", "cubic_resize", "dropout", "lstm2d_layer", "repeat_cells"}
COMPARED = [
    case
    for case in CASES
    if "gradient" in case.users
    and case.op not in NOT_COMPARED
    and len(case.shapes[0]) > 1
    and all(map(all, case.shapes))
    and case.options.get("height") != 0
]


@pytest.fixture(scope="session")
def peer(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("torch_ops", checkout / "benchmarks/peers/torch_ops.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["torch_ops"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.name)
def test_same_as_in_torch(peer: ModuleType, case: Case) -> None:
    bring = typed(np.float64)
    inputs, arrays, rng = case.values()
    brought = {name: torch.from_numpy(bring(a, False)) for name, a in arrays.items()}
    twin = peer.twin(case, brought)
    if twin is None:
        pytest.skip("PyTorch has none")
    tensors = [
        torch.from_numpy(a.astype(np.float64).transpose(axes).copy()).requires_grad_()
        for a, axes in zip(inputs, twin.axes, strict=True)
    ]
    result = twin.run(*tensors)
    ours = evaluate(case, bring)
    grad = normal(rng, ours["result"].shape).astype(np.float64) if ours["result"].ndim else np.ones(())
    order = twin.result if grad.ndim == len(twin.result) else range(grad.ndim)
    result.backward(torch.from_numpy(grad.transpose(order).copy()))
    theirs = {"result": result.detach().numpy().transpose(np.argsort(order))}
    for k, (t, axes) in enumerate(zip(tensors, twin.axes, strict=True)):
        theirs[f"gradient {k}"] = t.grad.numpy().transpose(np.argsort(axes))
    theirs |= {name: brought[name].numpy() for name in case.changes}
    assert list(theirs) == list(ours)
    for name, a in ours.items():
        np.testing.assert_allclose(a, theirs[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_every_other_op_is_compared(peer: ModuleType) -> None:
    compared = {case.op for case in COMPARED if peer.twin(case, {}) is not None}
    assert compared | NOT_COMPARED == set(ops.__all__)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("name", ["sgd", "adadelta"])
def test_optimizers(name: str, weight_decay: float, rng: np.random.Generator) -> None:
    start = rng.standard_normal(5)
    ours, theirs = Tensor(start.copy(), requires_grad=True), torch.tensor(start, requires_grad=True)
    optimizer: SGD | Adadelta
    if name == "sgd":
        optimizer = SGD({"w": ours}, momentum=0.9, weight_decay=weight_decay)
        twin = torch.optim.SGD([theirs], lr=0.05, momentum=0.9, weight_decay=weight_decay)
    else:
        optimizer = Adadelta({"w": ours}, rho=0.95, eps=1e-6, weight_decay=weight_decay)
        twin = torch.optim.Adadelta([theirs], lr=0.05, rho=0.95, eps=1e-6, weight_decay=weight_decay)
    for time in range(40):
        grad = rng.standard_normal(5)
        ours.grad, theirs.grad = grad, torch.tensor(grad)
        optimizer.step(0.05, optimizer.gradient_norm(), time)
        twin.step()
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-10)
