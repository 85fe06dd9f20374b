"""Label images on a Dask cluster.

Batches of images are tasks. This process alone writes, in the order of the images, so that the lock of the
output folder, its record and whole files are what they are without a cluster. A few batches per worker are
under way at a time, and their results stay with the workers until they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lstm2d.errors import ConfigError, DataError, Lstm2dError
from lstm2d.io.machine_memory import available
from lstm2d.predict.dask_packages import dask_package
from lstm2d.predict.inputs import Task
from lstm2d.predict.jobs import Job
from lstm2d.predict.local_cluster import local_cluster
from lstm2d.predict.outcome import Options
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.remote import (
    Answer,
    Batch,
    Reply,
    SentModel,
    absolute,
    difference,
    environment,
    job_of,
    label_batch,
)

LARGEST_BATCH = 8  # images
LARGEST_FILES = 4 << 20  # bytes of the images of a batch
AHEAD = 3  # batches per thread of the cluster that are under way
SHARES = 4  # batches per thread, if there are enough images
POLL = 1.0  # seconds between looks at the cluster while a batch is waited for
REFRESH = 5.0  # seconds after which the number of threads is asked for again
WITHOUT_WORKERS = 60.0  # seconds
ADDRESS = re.compile(r"(?:tcp|tls)://(?:\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+):(\d{1,5})", re.ASCII)
LOCAL = re.compile(r"local:([1-9]\d{0,3})", re.ASCII)
NOISY = ("distributed", "tornado", "asyncio")  # loggers
AGAIN = "run again with `skip_done=True`: the images that are done are kept"
FORMS = "local:N with N from 1 to 9999, tcp://HOST:PORT or tls://HOST:PORT"


@dataclass(frozen=True, slots=True)
class OnDask:
    """Compute images on a Dask cluster; a `lstm2d.predict.jobs.Way`.

    Parameters
    ----------
    address : str
        "tcp://HOST:PORT" or "tls://HOST:PORT" of a scheduler, or "local:N" for N processes on this machine
        that end with the last image.
    threads : int, default 1
        Threads of the kernels for an image.
    max_memory : int, optional
        Largest memory of a worker process in bytes. None: half of what there is, shared by what it labels at
        a time.
    remark : callable, optional
        Called with a line of text if workers compute with something else than this process.

    Raises
    ------
    ConfigError
        If the address is none of these.
    """

    address: str
    threads: int = 1
    max_memory: int | None = None
    remark: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        port = ADDRESS.fullmatch(self.address)
        if not LOCAL.fullmatch(self.address) and not (port and 1 <= int(port[1]) <= 65535):
            raise ConfigError("`dask` is no cluster", where=self.address, expected=FORMS)

    @contextmanager
    def __call__(
        self, predictor: Predictor, tasks: Sequence[Task], options: Options
    ) -> Iterator[Iterator[Job]]:
        """Yield the jobs of images, in their order.

        Parameters
        ----------
        predictor : Predictor
            The model.
        tasks : sequence of Task
            The images. Workers read them under the same paths.
        options : Options
            What to write.

        Yields
        ------
        iterator of Job
            One per image. Raises `Lstm2dError` if the cluster is lost, and `ConfigError` if it cannot run
            this program.

        Raises
        ------
        ConfigError
            If there is no such cluster.
        """
        if not tasks:
            yield iter(())
            return
        local = LOCAL.fullmatch(self.address)
        memory = self.max_memory
        if local and memory is None:
            memory = available() // 2 // int(local[1])
        with _connected(self.address) as client:
            yield _Batches(self, client, SentModel.of(predictor, memory), options).jobs(tasks)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield a client of the cluster; its messages do not reach the terminal."""
    distributed, local = dask_package("distributed"), LOCAL.fullmatch(address)
    with ExitStack() as stack:
        stack.enter_context(_silent())
        start = stack.enter_context(local_cluster(int(local[1]))) if local else address
        try:
            if not local:
                _refuse_silence(address)
            with warnings.catch_warnings():  # versions are compared by `_Batches`
                warnings.simplefilter("ignore")
                client = distributed.Client(start, set_as_default=False, direct_to_workers=bool(local))
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            what = f"no Dask scheduler can be reached ({_line(error)})"
            hint = "check that it runs and that the address is the one that it shows"
            raise ConfigError(what, where=address, hint=hint) from error
        stack.callback(client.close)
        yield client


def _refuse_silence(address: str) -> None:
    """Raise OSError unless a Dask server answers; a client waits for the answer for any time."""
    distributed, dask = dask_package("distributed"), dask_package("dask")
    seconds = dask.utils.parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    arguments = distributed.Security().get_connection_args("client")

    async def connect() -> None:
        found = distributed.core.connect(address, timeout=seconds, **arguments)
        (await asyncio.wait_for(found, seconds)).abort()

    answered: Future[None] = Future()

    def run() -> None:  # in a thread: the caller's may have an event loop
        try:
            answered.set_result(asyncio.run(connect()))
        except BaseException as error:
            answered.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # Ctrl-C does not wait for it
    answered.result()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep messages of distributed from the terminal: what matters is reported as an error."""
    existing = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in NOISY]
    loggers = [logging.getLogger(name) for name in {*NOISY, *existing}]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:  # not `disabled`: loggers that are made later use the handlers of these
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


def run_batch(model: SentModel, batch: Batch) -> Reply:
    """Label a batch of images in a worker.

    Parameters
    ----------
    model : SentModel
        The model.
    batch : Batch
        The images.

    Returns
    -------
    Reply
        As from `label_batch`.
    """
    worker = dask_package("distributed").get_worker()
    limit = worker.memory_manager.memory_limit or None
    return label_batch(model, batch, max(1, worker.state.nthreads), limit)


class _Batches:
    """Batches under way in a cluster."""

    def __init__(self, way: OnDask, client: Any, model: SentModel, options: Options) -> None:
        self._way, self._client, self._options = way, client, options
        self._distributed = dask_package("distributed")
        self._name, self._number = f"lstm2d-{uuid.uuid4().hex}", 0
        with warnings.catch_warnings():  # about a large model
            warnings.simplefilter("ignore")
            # a task, not data that are sent once: workers that are lost would take it with them
            self._model = client.submit(SentModel, *model.__reduce__()[1], key=f"{self._name}-model")
        self._under_way: deque[tuple[Sequence[Task], Any]] = deque()
        self._threads, self._asked_at, self._had_workers = 0, float("-inf"), False
        self._environment, self._reported = environment(), {""}

    def jobs(self, tasks: Sequence[Task]) -> Iterator[Job]:
        """Yield the job of each image, in their order."""
        batches = self._batches(tasks)
        while True:
            while len(self._under_way) < AHEAD * max(1, self._threads_now()):
                batch = next(batches, None)
                if batch is None:
                    break
                self._under_way.append((batch, self._submit(batch)))
            if not self._under_way:
                return
            batch, future = self._under_way.popleft()
            for task, answer in zip(batch, self._answers(batch, future), strict=True):
                yield job_of(task, answer)

    def _batches(self, tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
        """Cut images into batches: few, if they are large or their results are."""
        most = min(LARGEST_BATCH, len(tasks) // (SHARES * max(1, self._threads_now())))
        most = 1 if self._options.probabilities else max(1, most)
        batch: list[Task] = []
        size = 0
        for task in tasks:
            with suppress(OSError, ValueError):
                size += os.stat(task.source).st_size
            batch.append(task)
            if len(batch) >= most or size >= LARGEST_FILES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _threads_now(self) -> int:
        """Return the number of threads of the cluster, which may grow and shrink."""
        if time.monotonic() > self._asked_at + REFRESH:
            self._ask()
        return self._threads

    def _ask(self) -> None:
        try:
            self._threads = sum(self._client.nthreads().values())
        except (OSError, RuntimeError, ValueError) as error:
            raise self._lost() from error
        self._asked_at = time.monotonic()
        self._had_workers |= self._threads > 0

    def _submit(self, tasks: Sequence[Task]) -> Any:
        batch = Batch(tuple(map(absolute, tasks)), self._options, self._way.threads, self._environment)
        self._number += 1
        try:
            return self._client.submit(run_batch, self._model, batch, key=(self._name, self._number))
        except (OSError, RuntimeError) as error:
            raise self._lost() from error

    def _answers(self, batch: Sequence[Task], future: Any) -> list[Answer]:
        """Return the results of a batch; of each image alone, if workers died again and again."""
        reply = self._reply(future)
        if reply is not None:
            return reply.answers
        # other images must not be where a worker is lost again: they could be blamed
        for _, other in self._under_way:
            self._wait(other)
        return [self._answer_alone(task) for task in batch]

    def _answer_alone(self, task: Task) -> Answer:
        reply = self._reply(self._submit([task]))
        if reply is not None:
            return reply.answers[0]
        what = "the Dask workers that labelled it were lost, each time"
        hint = "look at their logs: they may have had too little memory"
        return Answer(outcome=DataError(what, where=task.source, hint=hint))

    def _reply(self, future: Any) -> Reply | None:
        """Return the result of a task, None if workers died again and again."""
        self._wait(future)
        try:
            reply = future.result()
        except self._distributed.KilledWorker:
            return None
        except (self._distributed.CancelledError, OSError) as error:
            raise self._lost() from error
        except self._distributed.scheduler.NoValidWorkerError as error:  # the scheduler has its own limit
            raise self._without_workers("for too long") from error
        except Lstm2dError:
            raise
        except Exception as error:
            raise _not_run(error, self._way.address) from error
        assert isinstance(reply, Reply)
        found = difference(self._environment, reply.computed_by)
        if found not in self._reported:
            self._reported.add(found)
            self._way.remark(
                f"a worker has {found}: results may differ in single bits from those of one machine"
            )
        return reply

    def _wait(self, future: Any) -> None:
        """Wait until a task is over, as long as there is a cluster with workers."""
        alone_since: float | None = None
        while True:
            try:
                with self._client.as_current():  # not for the user's other work
                    self._distributed.wait([future], timeout=POLL)
                return
            except self._distributed.TimeoutError:
                pass
            except self._distributed.CancelledError as error:
                raise self._lost() from error
            if self._client.status != "running":
                raise self._lost()
            self._ask()
            now = time.monotonic()
            alone_since = None if self._threads else alone_since or now
            if alone_since is not None and now - alone_since > WITHOUT_WORKERS:
                raise self._without_workers(f"for {WITHOUT_WORKERS:.0f} s")

    def _without_workers(self, time: str) -> Lstm2dError:
        kind = Lstm2dError if self._had_workers else ConfigError
        what = f"the Dask cluster has had no worker {time}"
        return kind(what, where=self._way.address, hint=f"start workers, and {AGAIN}")

    def _lost(self) -> Lstm2dError:
        return Lstm2dError("the Dask scheduler was lost", where=self._way.address, hint=AGAIN)


def _not_run(error: Exception, address: str) -> Lstm2dError:
    """Return the error for a task that a worker could not even begin."""
    return ConfigError(
        f"the Dask cluster cannot run lstm2d ({_line(error)})",
        where=address,
        hint="install the same version of lstm2d where the scheduler and the workers run",
    )


def _line(error: Exception) -> str:
    """Return type and message of an error in one line."""
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split())[:300])))
