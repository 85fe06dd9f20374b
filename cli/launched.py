"""Commands under a launcher of MPI programs, such as mpiexec, which starts them several times."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from lstm2d.cli.failures import show_failure
from lstm2d.cli.program import COMMANDS, program
from lstm2d.errors import ConfigError
from lstm2d.training.signals import ENDING

if TYPE_CHECKING:
    from lstm2d.training.mpi import Together

# variables with the number of processes and the rank of this one: MPICH, Intel MPI and SLURM with PMI; Open
# MPI; SLURM with PMIx
OPEN_MPI = "OMPI_COMM_WORLD_SIZE"
VARIABLES = (
    ("PMI_SIZE", "PMI_RANK"),
    (OPEN_MPI, "OMPI_COMM_WORLD_RANK"),
    ("SLURM_STEP_NUM_TASKS", "PMIX_RANK"),
)
INSTALL = "pip install 'lstm2d[mpi]'"


def place(variables: Mapping[str, str]) -> tuple[int, int]:
    """Return the rank of this process and the number of processes that were started together.

    Parameters
    ----------
    variables : mapping of str to str
        Those of the environment.

    Returns
    -------
    rank, size : int
        0 and 1 without a launcher.
    """
    for size, rank in VARIABLES:
        texts = variables.get(size, ""), variables.get(rank, "")
        if all(text.isdecimal() for text in texts):
            return int(texts[1]), int(texts[0])
    return 0, 1


def run_launched(args: Sequence[str] | None) -> None:
    """Run a command line if several processes have it; exit with its code, else return.

    ``train`` is run by rank 0, which the others follow. Parts of a prediction (``--shard``) are independent.
    Everything else is for one process: rank 0 alone shows help and errors.

    Parameters
    ----------
    args : sequence of str or None
        The command line without the program's name; None for that of this process.
    """
    rank, size = place(os.environ)
    words = list(sys.argv[1:] if args is None else args)
    if size < 2 or any(word.partition("=")[0] == "--shard" for word in words):
        return
    if rank:  # a signal for mpiexec reaches all processes: rank 0 decides what follows
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
    if words[:1] == ["train"] and not {"-h", "--help"} & set(words):
        train(words, rank, size)
    if rank:
        sys.exit(0)
    if words and words[0] in COMMANDS and not {"-h", "--help"} & set(words):
        hint = "start it without mpiexec"
        hint += "; --shard I/N divides the images among processes" if words[0] == "predict" else ""
        fail(
            ConfigError(f"`lstm2d {words[0]}` in {size} processes", expected="one process", hint=hint), words
        )


def train(words: Sequence[str], rank: int, size: int) -> NoReturn:
    """Train in all processes; exit with the code of rank 0, and with 0 on the others.

    Parameters
    ----------
    words : sequence of str
        The command line.
    rank, size : int
        From `place`.
    """
    try:
        ranks = join(size)
    except ConfigError as error:
        if rank:
            sys.exit(0)  # the same happened on rank 0
        fail(error, words)
    if rank:
        follow(ranks)
    try:
        program.main(list(words), prog_name="lstm2d", obj=ranks)
    except SystemExit as end:
        ranks.dismiss(end.code if isinstance(end.code, int) else 1)
        raise


def fail(error: Exception, words: Sequence[str]) -> NoReturn:
    """Show an error, and exit with its code."""
    sys.exit(show_failure(error, as_json="--json" in words, traceback="--traceback" in words))


def join(size: int) -> Together:
    """Connect this process with the others, and share the CPUs of the machine with them.

    Parameters
    ----------
    size : int
        Number of processes that the launcher has started.

    Returns
    -------
    Together
        All processes.

    Raises
    ------
    ConfigError
        If mpi4py cannot be used, or belongs to another MPI than the launcher.
    """
    try:
        import mpi4py

        mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"training in {size} processes needs mpi4py and an MPI library ({error})", hint=INSTALL
        ) from error
    version = MPI.Get_library_version().partition("\n")[0].strip("\0 ")
    if OPEN_MPI in os.environ and "Open MPI" not in version:  # it would end the process
        raise other_mpi(version)
    MPI.Init()
    comm = MPI.COMM_WORLD
    if comm.Get_size() != size:
        raise other_mpi(version)
    import numpy as np

    from lstm2d.kernels.threads import VARIABLE, cpus, set_num_threads
    from lstm2d.training.mpi import Together

    neighbours = comm.Split_type(MPI.COMM_TYPE_SHARED)
    own = np.array([hash(allowed_cpus())])
    all_of_them = np.zeros(neighbours.Get_size(), own.dtype)
    neighbours.Allgather(own, all_of_them)
    if not os.environ.get(VARIABLE, "").strip():  # those with the same CPUs share them
        set_num_threads(max(1, cpus() // int(np.count_nonzero(all_of_them == own))))
    return Together(comm, neighbours.Get_size())


def other_mpi(version: str) -> ConfigError:
    """Return the error for an mpi4py that belongs to another MPI than the launcher."""
    return ConfigError(
        f"mpi4py uses another MPI than the launcher of these processes: {version}",
        expected="mpiexec and mpi4py of the same MPI",
        hint="call the mpiexec of that MPI, or install mpi4py for this one",
    )


def allowed_cpus() -> tuple[int, ...]:
    """Return the CPUs that the process may use; none if the system does not say it."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def follow(ranks: Together) -> NoReturn:
    """Follow rank 0 to the end; an error between two steps ends all processes at once."""
    try:
        from lstm2d.training.follow import follow as follow_orders

        follow_orders(ranks)
    except Exception as error:
        ranks.comm.Abort(show_failure(error, as_json=False, traceback=True))
    sys.exit(0)
