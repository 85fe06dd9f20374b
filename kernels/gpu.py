"""Choose and describe a GPU."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lstm2d.errors import ConfigError, Lstm2dError

FREE = 256 << 20  # bytes that must be free: the driver's libraries alone take about as much
INSTALL = 'pip install "lstm2d[gpu]", or "lstm2d[gpu-cuda13]" for CUDA 13; `device="cpu"` needs neither'


def resolve_device(asked: str) -> str:
    """Return the device to compute on.

    Parameters
    ----------
    asked : str
        "auto", "cpu", "cuda" for the first GPU, or "cuda:N". "auto" is the first GPU if it can be used, else
        the CPU.

    Returns
    -------
    str
        "cpu" or "cuda:N".

    Raises
    ------
    ConfigError
        If the requested GPU cannot be used: CuPy, its driver or a library of CUDA is missing, there is no
        such GPU, or its memory is full.
    """
    if asked == "cpu":
        return asked
    if asked == "auto":
        return "cuda:0" if find_spec("cupy") is not None and _problem(0) is None else "cpu"
    match = re.fullmatch(r"cuda(?::([0-9]{1,4}))?", asked)
    if match is None:
        raise ConfigError("unknown device", where=f"`device={asked!r}`", expected="auto, cpu, cuda or cuda:N")
    try:
        _check(number := int(match[1] or 0))
    except ConfigError as error:
        where = f"`device={asked!r}`"
        raise ConfigError(error.what, where=where, expected=error.expected, hint=error.hint) from error
    return f"cuda:{number}"


def why_no_gpu() -> str | None:
    """Return why the first GPU cannot be used, in one line; None if it can."""
    problem = _problem(0)
    return None if problem is None else problem.what


def usable() -> list[str]:
    """Return the names of the GPUs that can be used: "cuda:0", "cuda:1" and so on."""
    try:
        numbers = range(_count())
    except ConfigError:
        return []
    return [f"cuda:{number}" for number in numbers if _problem(number) is None]


def _problem(number: int) -> ConfigError | None:
    """Return why a GPU cannot be used; None if it can."""
    try:
        _check(number)
    except ConfigError as error:
        return error
    return None


def _check(number: int) -> None:
    """Raise ConfigError if a GPU cannot be used."""
    count = _count()
    if number >= count:
        known = "a GPU" if not count else "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ConfigError("there is no such GPU", expected=known)
    _check_libraries()
    try:
        free, total = import_module("cupy").cuda.Device(number).mem_info
    except RuntimeError as error:
        raise _unusable(error) from error
    if free < FREE:
        raise ConfigError(
            f"the GPU has too little free memory ({free >> 20} of {total >> 20} MiB)",
            expected=f"{FREE >> 20} MiB or more",
            hint="close other programs on it, or use `device='cpu'`",
        )


def _count() -> int:
    """Return the number of GPUs; raise ConfigError if CuPy or the driver is missing."""
    if find_spec("cupy") is None:
        raise ConfigError("CuPy is not installed", hint=INSTALL)
    try:
        runtime = import_module("cupy").cuda.runtime
    except Exception as error:  # it raises anything if a library is missing
        raise ConfigError(f"CuPy cannot be imported ({_line(error)})", hint=INSTALL) from error
    try:
        return int(runtime.getDeviceCount())
    except (RuntimeError, ImportError, OSError) as error:  # CUDA's own errors are RuntimeErrors
        raise _unusable(error) from error


def _check_libraries() -> None:
    """Raise ConfigError if CUDA's compiler or cuBLAS is missing: CuPy's package contains neither."""
    cuda = import_module("cupy").cuda
    try:
        for name in ("cublas", "nvrtc"):
            getattr(cuda, name)
        cuda.nvrtc.getVersion()  # CuPy 13 loads this library no earlier
    except (RuntimeError, ImportError, OSError) as error:
        raise ConfigError(f"a library of CUDA is missing ({_line(error)})", hint=INSTALL) from error


def _unusable(error: Exception) -> ConfigError:
    hint = "see whether nvidia-smi shows one: its driver may be missing or too old"
    return ConfigError(f"no GPU can be used ({_line(error)})", hint=hint)


def _line(error: Exception) -> str:
    """Return the first line of a message."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()


def limit_memory(device: str, gib: float) -> None:
    """Limit the memory of all arrays on a GPU, "cuda:N", to a number of gibibytes."""
    with current(device):
        import_module("cupy").get_default_memory_pool().set_limit(size=int(gib * 2**30))


def current(device: str) -> AbstractContextManager[Any]:
    """Return a context in which kernels are launched on a device.

    Parameters
    ----------
    device : str
        "cpu" or "cuda:N".

    Returns
    -------
    context manager
        Does nothing for the CPU.
    """
    return nullcontext() if device == "cpu" else import_module("cupy").cuda.Device(_number(device))


def synchronize(device: str) -> None:
    """Wait until a device has finished; nothing to do on the CPU."""
    if device != "cpu":
        import_module("cupy").cuda.Device(_number(device)).synchronize()


def describe(device: str) -> dict[str, Any]:
    """Return the properties of a GPU, for logs and reports.

    Parameters
    ----------
    device : str
        "cuda:N", from `resolve_device`.

    Returns
    -------
    dict
        "device", "name", "compute_capability", "memory_bytes", "free_bytes", and the versions "cupy", "cuda"
        (of the libraries) and "driver_cuda" (the newest that the driver supports).
    """
    cupy = import_module("cupy")
    runtime = cupy.cuda.runtime
    gpu = cupy.cuda.Device(_number(device))
    free, total = gpu.mem_info
    name = runtime.getDeviceProperties(_number(device))["name"]
    capability = str(gpu.compute_capability)
    return {
        "device": device,
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "compute_capability": f"{capability[:-1]}.{capability[-1]}",
        "memory_bytes": int(total),
        "free_bytes": int(free),
        "cupy": str(cupy.__version__),
        "cuda": _version(runtime.runtimeGetVersion()),
        "driver_cuda": _version(runtime.driverGetVersion()),
    }


def _number(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _version(number: int) -> str:
    """Return a version from CUDA's number: 12040 is 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def out_of_memory(error: MemoryError, *, where: object, hint: str) -> Lstm2dError:
    """Return the error to raise after memory ran out.

    Parameters
    ----------
    error : MemoryError
        Raised by NumPy or CuPy.
    where : object
        What was being computed.
    hint : str
        Advice for the user.

    Returns
    -------
    Lstm2dError
        Raise it where no variable holds an array of the failed computation: a traceback would keep its
        memory.
    """
    memory = "GPU memory" if type(error).__module__.partition(".")[0] == "cupy" else "memory"
    detail = f" ({_line(error)})" if str(error) else ""
    return Lstm2dError(f"out of {memory}{detail}", where=where, hint=hint)
