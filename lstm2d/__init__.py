"""Scene labeling with recurrent networks, on the CPU first."""

from importlib import import_module

TYPE_CHECKING = False  # typing itself takes milliseconds to import
if TYPE_CHECKING:
    from lstm2d.kernels.threads import get_num_threads, set_num_threads
    from lstm2d.predict import load
    from lstm2d.tape import backward, no_grad
    from lstm2d.tensor import Tensor

__all__ = ["Tensor", "backward", "get_num_threads", "load", "no_grad", "set_num_threads"]

# where each name lives: imported on first use, so that `lstm2d --help` does not wait for NumPy
_HOMES = {
    "Tensor": "lstm2d.tensor",
    "backward": "lstm2d.tape",
    "get_num_threads": "lstm2d.kernels.threads",
    "load": "lstm2d.predict",
    "no_grad": "lstm2d.tape",
    "set_num_threads": "lstm2d.kernels.threads",
}
_SUBPACKAGES = {"nn", "ops"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name in _SUBPACKAGES:
        return import_module(f"lstm2d.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lstm2d' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__ + list(_SUBPACKAGES))
