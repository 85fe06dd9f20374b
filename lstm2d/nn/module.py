"""Base class of everything that has parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple, Self

import numpy as np

from lstm2d import kernels
from lstm2d.errors import DataError, ModuleError
from lstm2d.tensor import FloatArray, Tensor


class NotLoaded(NamedTuple):
    """Names that `Module.load_state_dict` skipped: those of the module only, and those of the state only."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


class Module:
    """A part of a network.

    Attributes that are Tensors are parameters, and attributes that are Modules are parts; both may stand in a
    list or a tuple. Attributes that are arrays are buffers, whose values change in training, but not by
    gradients. Parameters and buffers are named by their path, ``"lstm.0.weight"``, in the order in which the
    attributes were set.

    A Tensor or Module in any other container, such as a dict or a nested list, would not be trained, saved or
    moved. So all methods of this class raise a `ModuleError` for it.
    """

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter with its name.

        Yields
        ------
        name : str
            Attributes from the module to the parameter, joined by dots.
        parameter : Tensor
            The parameter itself.
        """
        for name, value in self._named():
            if isinstance(value, Tensor):
                yield name, value

    def named_buffers(self) -> Iterator[tuple[str, FloatArray]]:
        """Yield each buffer with its name.

        Yields
        ------
        name : str
            Attributes from the module to the buffer, joined by dots.
        buffer : ndarray
            The buffer itself.
        """
        for name, value in self._named():
            if not isinstance(value, Tensor):
                yield name, value

    def parameters(self) -> list[Tensor]:
        """Return all parameters, in the order of their names in `named_parameters`."""
        return [p for _, p in self.named_parameters()]

    def get_submodule(self, name: str) -> Module:
        """Return a part of this module.

        Parameters
        ----------
        name : str
            Attributes from this module to the part, joined by dots: ``"feedforward.2"``.

        Returns
        -------
        Module
            The part itself.
        """
        part = self._at(name)
        assert isinstance(part, Module)
        return part

    def set_submodule(self, name: str, part: Module) -> None:
        """Replace a part of this module.

        Parameters
        ----------
        name : str
            Name of the part, as `get_submodule` takes it; a part of a tuple cannot be replaced.
        part : Module
            The new part. Its parameters get the names of the old ones.
        """
        owner, _, attribute = name.rpartition(".")
        holder = self._at(owner)
        if isinstance(holder, list):
            holder[int(attribute)] = part
        else:
            setattr(holder, attribute, part)

    def freeze(self) -> None:
        """Exclude all parameters from training: they get no gradient."""
        for parameter in self.parameters():
            parameter.requires_grad = False

    @property
    def device(self) -> str:
        """Device of the first parameter, "cpu" or "cuda:N"; "cpu" for a module without parameters."""
        return next((kernels.device_of(p.data) for _, p in self.named_parameters()), "cpu")

    def to(self, device: str) -> Self:
        """Move all parameters and buffers, before an optimizer holds them.

        Parameters
        ----------
        device : str
            "cpu" or "cuda:N", from `lstm2d.kernels.gpu.resolve_device`.

        Returns
        -------
        Module
            The module itself. Gradients are dropped.
        """
        for name, value in list(self._attributes()):
            if isinstance(value, Module):
                value.to(device)
            elif isinstance(value, Tensor):
                value.data, value.grad = kernels.to_device(value.data, device), None
            else:
                setattr(self, name, kernels.to_device(value, device))
        return self

    def state_dict(self) -> dict[str, FloatArray]:
        """Return a copy, on the host, of the values of all parameters and buffers; parameters come first."""
        return {name: kernels.to_host(values.copy()) for name, values in self.arrays().items()}

    def load_state_dict(self, state: Mapping[str, FloatArray], *, strict: bool = True) -> NotLoaded:
        """Set the values of the parameters and buffers.

        Parameters
        ----------
        state : mapping from str to ndarray
            Values by name, as `state_dict` returns them. They are converted to the data type of the
            parameters and copied to their device.
        strict : bool, default True
            Whether both must have the same names. If False, names that only one has are skipped.

        Returns
        -------
        NotLoaded
            The names that were skipped.

        Raises
        ------
        DataError
            If a name is missing or unexpected (`strict`), or a shape differs. The message has all of them,
            and nothing is changed.
        """
        own = self.arrays()
        skipped = NotLoaded(
            tuple(name for name in own if name not in state), tuple(name for name in state if name not in own)
        )
        wrong = [
            f"{name} has shape {np.shape(state[name])}, not {values.shape}"
            for name, values in own.items()
            if name in state and np.shape(state[name]) != values.shape
        ]
        if strict:
            wrong += [f"{name} is missing" for name in skipped.missing]
            wrong += [f"{name} is unknown" for name in skipped.unexpected]
        if wrong:
            raise DataError(
                f"the weights do not fit this {type(self).__name__}: {'; '.join(wrong)}",
                hint="build the model with the configuration the weights were saved with",
            )
        for name, values in own.items():
            if name in state:
                kernels.copy_into(values, state[name])  # in place: an optimizer may hold the array
        return skipped

    def arrays(self) -> dict[str, FloatArray]:
        """Return the values of all parameters and buffers themselves, by name; parameters come first."""
        return {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())

    def _at(self, path: str) -> Any:
        """Return the attribute at a path; this module for the empty path."""
        found: Any = self
        for attribute in path.split(".") if path else ():
            found = found[int(attribute)] if isinstance(found, list | tuple) else getattr(found, attribute)
        return found

    def _named(self) -> Iterator[tuple[str, Tensor | FloatArray]]:
        """Yield every parameter and buffer of this module and of its parts, by name."""
        for name, value in self._attributes():
            if isinstance(value, Module):
                yield from ((f"{name}.{inner}", v) for inner, v in value._named())
            else:
                yield name, value

    def _attributes(self) -> Iterator[tuple[str, Module | Tensor | FloatArray]]:
        """Yield the parts, parameters and buffers that this module holds itself, by name."""
        for name, value in vars(self).items():
            listed = isinstance(value, list | tuple)
            parts = [(f"{name}.{k}", part) for k, part in enumerate(value)] if listed else [(name, value)]
            for path, part in parts:
                if isinstance(part, Module | Tensor) or (kernels.is_array(part) and not listed):
                    yield path, part
                elif _holds_parameters(part):
                    raise ModuleError(
                        f"parameters in a {type(part).__name__} are not found",
                        where=f"{path} of {type(self).__name__}",
                        expected="a Tensor, a Module, or a list or tuple of them as an attribute",
                        hint="keep layers in a list, and their names in another one",
                    )


def _holds_parameters(value: object) -> bool:
    """Tell whether a container holds a Tensor or a Module at any depth."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, list | tuple | Set | deque):
        return False
    return any(isinstance(item, Tensor | Module) or _holds_parameters(item) for item in value)
