"""`lstm2d selftest gradients` checks all operations, and finds wrong ones."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstm2d import kernels, ops
from lstm2d.cli.program import program
from lstm2d.reliability import gradients
from lstm2d.reliability.gradients import check_gradients
from lstm2d.selftest import CASES, Case
from tests.runner import runner

FAST = kernels.chosen("elementwise")
CHEAP = [case for case in CASES if sum(map(np.prod, case.shapes)) < 300]


def cases(op: str, number: int = 2) -> list[Case]:
    return [
        case for case in CHEAP if case.op == op and "gradient" in case.users and all(map(all, case.shapes))
    ][:number]


def test_every_operation_is_checked() -> None:
    asked = {case.op for case in CASES if {"gradient", "backends"} & case.users}
    assert set(ops.__all__) <= asked


def test_right_gradients() -> None:
    chosen = [*cases("tanh"), *cases("linear"), *cases("lstm2d_layer"), *cases("add")]
    calls: list[tuple[int, int]] = []
    checks = check_gradients(chosen, progress=lambda done, total: calls.append((done, total)))
    assert [check for check in checks if check.problem] == []
    assert calls[-1] == (len(chosen), len(chosen))
    assert {check.backend for check in checks} == {FAST.strip("_"), "reference"}
    for case in chosen:
        kinds = [check.kind for check in checks if check.case == case.name]
        assert kinds.count("gradient") == len(case.backends())
        assert kinds.count("agreement") == (1 if case.family else 0)
    assert all(
        check.error is not None and 0 <= check.error < 1e-12 for check in checks if check.kind == "agreement"
    )


Change = Callable[..., Any]


def planted(patch: pytest.MonkeyPatch, backend: str, change: Change, name: str = "tanh_backward") -> None:
    """Change the results of a function in a backend."""
    with kernels.use(backend):
        module = kernels.pick("elementwise", like=np.zeros(1))
    right = getattr(module, name)
    patch.setattr(module, name, lambda *args: change(right(*args), *args))


def scaled(result: Any, *args: Any) -> Any:
    """Change a gradient by 0.01 %."""
    return result * result.dtype.type(1.0001)


@pytest.mark.parametrize("backend", [FAST, "_reference"])
def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    planted(monkeypatch, backend, scaled)
    (case,) = cases("tanh", 1)
    wrong = {(c.kind, c.backend) for c in check_gradients([case]) if c.problem}
    assert ("gradient", backend.strip("_")) in wrong
    assert ("agreement", FAST.strip("_")) in wrong
    assert ("gradient", "reference" if backend == FAST else FAST.strip("_")) not in wrong


def test_a_changed_input_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(result: Any, x: Any) -> Any:
        x.setflags(write=True)
        x[...] = 0
        return result

    planted(monkeypatch, FAST, spoil, "tanh_forward")
    (case,) = cases("tanh", 1)
    problems = {(c.kind, c.backend): c.problem for c in check_gradients([case]) if c.problem}
    assert problems.keys() == {("gradient", FAST.strip("_")), ("agreement", FAST.strip("_"))}
    assert all("an input was changed" in text for text in problems.values())


def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "CASES", cases("tanh"))
    ran = runner().invoke(program, ["selftest", "gradients", "--json"])
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert (found["cases"], found["failed"]) == (2, [])
    assert found["ops"]["tanh"]["gradients"] == 4
    assert "2 cases, 6 checks, 0 failed" in ran.stderr
    planted(monkeypatch, FAST, scaled)
    ran = runner().invoke(program, ["selftest", "gradients"])
    assert ran.exit_code == 1
    assert "checks of gradients failed" in ran.stderr
    assert "tanh" in ran.stdout
