"""Base of everything that has parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from lstm2d import kernels
from lstm2d.errors import DataError
from lstm2d.tensor import FloatArray, Tensor


class NotLoaded(NamedTuple):
    """Names that `Module.load_state_dict` passed over: of the module only, and of the state only."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


class Module:
    """A part of a network.

    Every attribute that is a Tensor is a parameter; every one that is an array is a buffer, whose values
    change in training, but by no gradient; every one that is a Module, or a list or tuple of Modules, is a
    part. Parameters and buffers are named by the way to them, ``"lstm.0.weight"``, and come in the order in
    which the attributes were set.
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
            if kernels.is_array(value):
                yield name, value  # type: ignore[misc]

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
        part: Any = self
        for attribute in name.split("."):
            part = part[int(attribute)] if isinstance(part, list | tuple) else getattr(part, attribute)
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
        if not owner:
            setattr(self, name, part)
            return
        holder, _, index = owner.rpartition(".")
        module = self.get_submodule(holder) if holder else self
        inside = getattr(module, index)
        if isinstance(inside, list):
            inside[int(attribute)] = part
        else:
            setattr(inside, attribute, part)

    def freeze(self) -> None:
        """Exempt all parameters from training: they get no gradient."""
        for parameter in self.parameters():
            parameter.requires_grad = False

    @property
    def device(self) -> str:
        """Where the first parameter lies, "cpu" or "cuda:N"; "cpu" for a module without parameters."""
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
            The module itself. Gradients are forgotten.
        """
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                value.data, value.grad = kernels.to_device(value.data, device), None
            elif kernels.is_array(value):
                setattr(self, name, kernels.to_device(value, device))
            for part in value if isinstance(value, list | tuple) else (value,):
                if isinstance(part, Module):
                    part.to(device)
        return self

    def state_dict(self) -> dict[str, FloatArray]:
        """Return a copy, on the host, of the values of all parameters and buffers; parameters come first."""
        return {name: kernels.to_host(values.copy()) for name, values in self._arrays().items()}

    def load_state_dict(self, state: Mapping[str, FloatArray], *, strict: bool = True) -> NotLoaded:
        """Set the values of the parameters and buffers.

        Parameters
        ----------
        state : mapping from str to ndarray
            Values by name, as `state_dict` gives them. Converted to the data type of what they are for, and
            copied to the device where that lies.
        strict : bool, default True
            Whether both must have the same names. If False, names that only one has are passed over.

        Returns
        -------
        NotLoaded
            The names passed over.

        Raises
        ------
        DataError
            If a name is missing or unexpected (`strict`), or a shape differs. The message has all of them,
            and nothing is changed.
        """
        own = self._arrays()
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

    def _arrays(self) -> dict[str, FloatArray]:
        """Return all values themselves, by name."""
        return {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())

    def _named(self) -> Iterator[tuple[str, object]]:
        """Yield every attribute of this module and of its parts, by name."""
        for name, value in vars(self).items():
            parts = enumerate(value) if isinstance(value, list | tuple) else [("", value)]
            for index, part in parts:
                if isinstance(part, Module):
                    prefix = f"{name}.{index}" if index != "" else name
                    yield from ((f"{prefix}.{inner}", v) for inner, v in part._named())
            yield name, value
