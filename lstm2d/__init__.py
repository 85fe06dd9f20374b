"""Scene labeling with recurrent networks, on the CPU first."""

from importlib import import_module

TYPE_CHECKING = False  # typing itself takes milliseconds to import
if TYPE_CHECKING:
    from lstm2d import nn, ops
    from lstm2d.export import export_onnx
    from lstm2d.kernels.threads import get_num_threads, set_num_threads
    from lstm2d.predict import load
    from lstm2d.tape import backward, no_grad
    from lstm2d.tensor import Tensor
    from lstm2d.training.fit import fit
    from lstm2d.training.scene_labeler import SceneLabeler

    __version__: str

__all__ = [
    "SceneLabeler",
    "Tensor",
    "backward",
    "export_onnx",
    "fit",
    "get_num_threads",
    "load",
    "nn",
    "no_grad",
    "ops",
    "set_num_threads",
]

# where each name lives: imported on first use, so that `lstm2d --help` does not wait for NumPy
_HOMES = {
    "SceneLabeler": "lstm2d.training.scene_labeler",
    "Tensor": "lstm2d.tensor",
    "backward": "lstm2d.tape",
    "export_onnx": "lstm2d.export",
    "fit": "lstm2d.training.fit",
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
    value: object
    if name == "__version__":
        value = import_module("importlib.metadata").version("lstm2d")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'lstm2d' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
