"""Which GPU computes, and what there is of it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lstm2d.errors import ConfigError, Lstm2dError

LEAST = 256 << 20  # bytes that must be free: the libraries of a GPU's driver alone take about as many
INSTALL = 'pip install "lstm2d[gpu]", or "lstm2d[gpu-cuda13]" for CUDA 13; `device="cpu"` needs neither'


def resolve_device(asked: str) -> str:
    """Return the device that computes.

    Parameters
    ----------
    asked : str
        "auto", "cpu", "cuda" for the first GPU, or "cuda:N". With "auto" a GPU is taken where one can be
        used; CuPy is not looked into where it is not installed.

    Returns
    -------
    str
        "cpu" or "cuda:N".

    Raises
    ------
    ConfigError
        If the GPU that is asked for cannot be used: no CuPy, no driver, no such device, a library of CUDA
        missing, too little memory.
    """
    if asked == "cpu":
        return asked
    if asked == "auto":
        return "cuda:0" if find_spec("cupy") is not None and _problem(0) is None else "cpu"
    match = re.fullmatch(r"cuda(?::([0-9]{1,4}))?", asked)
    if match is None:
        raise ConfigError("unknown device", where=f"`device={asked!r}`", expected="auto, cpu, cuda or cuda:N")
    problem = _problem(number := int(match[1] or 0))
    if problem is not None:
        what, where = problem.what, f"`device={asked!r}`"
        raise ConfigError(what, where=where, expected=problem.expected, hint=problem.hint)
    return f"cuda:{number}"


def why_no_gpu() -> str | None:
    """Return why the first GPU cannot be used, in one line; None if it can."""
    problem = _problem(0)
    return None if problem is None else problem.what


def usable() -> list[str]:
    """Return the GPUs that can be used: "cuda:0", "cuda:1" and so on."""
    try:
        numbers = range(_count())
    except ConfigError:
        return []
    return [f"cuda:{number}" for number in numbers if _problem(number) is None]


def _problem(number: int) -> ConfigError | None:
    """Return why a GPU cannot be used; None if it can."""
    try:
        count = _count()
        if number >= count:
            known = "a GPU" if not count else "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            return ConfigError("there is no such GPU", expected=known)
        _check_libraries()
        free, total = import_module("cupy").cuda.Device(number).mem_info
    except ConfigError as error:
        return error
    except RuntimeError as error:
        return _unusable(error)
    if free < LEAST:
        return ConfigError(
            f"the GPU has too little free memory ({free >> 20} of {total >> 20} MiB)",
            expected=f"{LEAST >> 20} MiB or more",
            hint="close other programs on it, or use `device='cpu'`",
        )
    return None


def _count() -> int:
    """Return the number of GPUs; raise ConfigError if CuPy or the driver is missing."""
    if find_spec("cupy") is None:
        raise ConfigError("CuPy is not installed", hint=INSTALL)
    try:
        runtime = import_module("cupy").cuda.runtime
    except Exception as error:  # a library that it needs is missing: whatever it raises then
        raise ConfigError(f"CuPy cannot be imported ({_line(error)})", hint=INSTALL) from None
    try:
        return int(runtime.getDeviceCount())
    except (RuntimeError, ImportError, OSError) as error:  # CUDA's own errors are among the first
        raise _unusable(error) from None


def _check_libraries() -> None:
    """Raise ConfigError if CUDA's compiler or its matrix products are missing: CuPy's package has neither."""
    cuda = import_module("cupy").cuda
    try:
        for name in ("cublas", "nvrtc"):
            getattr(cuda, name)
        cuda.nvrtc.getVersion()  # CuPy 13 looks for this one no sooner
    except (RuntimeError, ImportError, OSError) as error:
        raise ConfigError(f"a library of CUDA is missing ({_line(error)})", hint=INSTALL) from None


def _unusable(error: Exception) -> ConfigError:
    hint = "see whether nvidia-smi shows one: its driver may be missing or too old"
    return ConfigError(f"no GPU can be used ({_line(error)})", hint=hint)


def _line(error: Exception) -> str:
    """Return the first line of a message."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()


def limit_memory(device: str, gib: float) -> None:
    """Let the arrays on a GPU, "cuda:N", take so many gibibytes together and no more."""
    with current(device):
        import_module("cupy").get_default_memory_pool().set_limit(size=int(gib * 2**30))


def current(device: str) -> AbstractContextManager[Any]:
    """Return a context in which kernels run on a device: their launches do not ask where the arrays lie.

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
    """Wait until a device has computed what it was given; the CPU has."""
    if device != "cpu":
        import_module("cupy").cuda.Device(_number(device)).synchronize()


def describe(device: str) -> dict[str, Any]:
    """Return what a GPU is, for records and for people.

    Parameters
    ----------
    device : str
        "cuda:N", from `resolve_device`.

    Returns
    -------
    dict
        Device, name, compute capability, bytes of memory in all and free, versions of CuPy, of the CUDA
        libraries and of the CUDA that the driver knows.
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
    """Return CUDA's way of counting, 12040, as people write it."""
    return f"{number // 1000}.{number % 1000 // 10}"


def out_of_memory(error: MemoryError, *, where: object, hint: str) -> Lstm2dError:
    """Return what users are told when memory ran out.

    Parameters
    ----------
    error : MemoryError
        NumPy's or CuPy's.
    where : object
        What was computed.
    hint : str
        What to do.

    Returns
    -------
    Lstm2dError
        To be raised where no array of the failed computation is in a variable any more: what keeps the error
        would keep that memory.
    """
    memory = "GPU memory" if type(error).__module__.partition(".")[0] == "cupy" else "memory"
    detail = f" ({_line(error)})" if str(error) else ""
    return Lstm2dError(f"out of {memory}{detail}", where=where, hint=hint)
