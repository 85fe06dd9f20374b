"""Run command lines in a process without what Windows lacks: a program of test_portable.py.

stdin is a JSON object with "names" (module: its names to hide), "modules" to hide, and "lines": command
lines, or "label" and images that a second process labels. Of each, a JSON object is written to stdout.
"""

import errno
import importlib
import json
import multiprocessing
import multiprocessing.context
import sys
from concurrent.futures import ProcessPoolExecutor

# they choose by the name of the system, which stays
FIRST = (
    "asyncio", "concurrent.futures.process", "logging.handlers", "matplotlib.figure", "multiprocessing.spawn",
    "multiprocessing.popen_spawn_posix", "multiprocessing.resource_tracker", "numba", "numpy", "PIL.Image",
    "platform", "pydantic", "rich.console", "scipy.ndimage", "shutil", "skimage.segmentation", "subprocess",
    "tempfile", "threadpoolctl", "uuid",
)  # fmt: skip
LIBRARIES = "/proc/self/maps"  # threadpoolctl reads it if /proc was there when it was imported


def no_such_file(event: str, args: tuple[object, ...]) -> None:
    """Let the files of Linux's kernel be missing; a hook of the interpreter."""
    if event not in ("open", "os.listdir", "os.scandir") or args[0] == LIBRARIES:
        return
    if str(args[0]).startswith(("/proc", "/sys/")):
        raise FileNotFoundError(errno.ENOENT, "hidden", args[0])


def hide(names: dict[str, list[str]], modules: list[str]) -> None:
    """Remove names of modules, modules, files of the kernel, and copies of this process."""
    for name in FIRST:
        importlib.import_module(name)
    vars(sys.modules["tempfile"])["_O_TMPFILE_WORKS"] = False  # decided when it is imported
    for module, hidden in names.items():
        for name in hidden:
            vars(sys.modules[module]).pop(name, None)
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    contexts = multiprocessing.context._concrete_contexts  # type: ignore[attr-defined]
    for name in ("fork", "forkserver"):
        del contexts[name]
    multiprocessing.set_start_method("spawn", force=True)
    sys.addaudithook(no_such_file)


def label(image: str) -> str:
    """Label an image in another process; return the digest of the labels."""
    import hashlib

    import numpy as np
    from PIL import Image

    import lstm2d

    with Image.open(image) as photo:
        labels = lstm2d.load("outdoor").predict(np.asarray(photo))
    return hashlib.sha256(labels.tobytes()).hexdigest()


def run_lines(lines: list[list[str]], pool: ProcessPoolExecutor | None) -> None:
    """Run the command lines, and write what came of them."""
    from lstm2d.cli.selftest.inputs import run

    for words in lines:
        if pool is not None and words[0] == "label":
            ended = {"code": 0, "digests": list(pool.map(label, words[1:]))}
        else:
            ran = run(words)
            ended = {"code": ran.code, "out": ran.out, "err": ran.err}
        print(json.dumps(ended), flush=True)


def main() -> None:
    """Run."""
    given = json.load(sys.stdin)
    if not given["names"]:
        run_lines(given["lines"], None)
        return
    hidden = (given["names"], given["modules"])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), hide, hidden) as pool:
        pool.submit(abs, 1).result()  # the process begins here: starting it takes what is hidden
        hide(*hidden)
        run_lines(given["lines"], pool)


if __name__ == "__main__":
    main()
