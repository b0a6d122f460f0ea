"""Running many jobs, on a cluster or in this process: few at a time, failures collected, nobody waiting."""

from __future__ import annotations

import contextlib
import logging
import pickle
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from landslip._version import __version__
from landslip.cluster.connect import Cluster
from landslip.errors import ConfigError, LandslipError
from landslip.progress import SILENT, Progress

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)

LARGEST_ARGUMENTS = 1 << 20
"""Bytes that the arguments of a job may have when pickled: jobs name their inputs, they do not carry them."""

SHORT_S = 1.0
"""Jobs that take less are sent two to a worker: one more then waits there, and the worker need not."""

_RESIZE_S = 2.0
"""How often the cluster is asked for its number of workers."""

_KEEP_UP_S = 5.0
"""How often workers that are gone are started anew."""


@dataclass(frozen=True)
class Job:
    """A call of the function.

    Parameters
    ----------
    name
        For messages: the scene, the run.
    arguments
        Its arguments, small.
    """

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Parameters
    ----------
    job
        The job.
    value
        What the function returned; None where it failed.
    reason
        Why it failed, in one line; empty where it did not.
    """

    job: Job
    value: Any = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the job failed."""
        return bool(self.reason)


@dataclass(frozen=True)
class Batch:
    """What became of many jobs.

    Parameters
    ----------
    values
        Name of a job -> what the function returned, in the order of the jobs.
    reasons
        Name of a job that failed -> why, in one line, in the order of the jobs.
    """

    values: dict[str, Any]
    reasons: dict[str, str]


def collect(jobs: Sequence[Job], outcomes: Iterable[Outcome]) -> Batch:
    """Take up all outcomes, which come as jobs end, and put them into the order of the jobs."""
    found = {outcome.job.name: outcome for outcome in outcomes}
    done = [found[job.name] for job in jobs if job.name in found]
    return Batch(
        {outcome.job.name: outcome.value for outcome in done if not outcome.failed},
        {outcome.job.name: outcome.reason for outcome in done if outcome.failed},
    )


def run_all(
    cluster: Cluster | None,
    function: Callable[..., Any],
    jobs: Iterable[Job],
    *,
    retries: int = 1,
    label: str = "jobs",
    total: int | None = None,
    remarks: bool = True,
    progress: Progress = SILENT,
) -> Iterator[Outcome]:
    """Run a function over jobs and yield what became of each, as they end.

    There are never more jobs with the scheduler than there are workers (twice as many where jobs take less than
    :data:`SHORT_S`), so memory here does not grow with their number, however many there are.

    Parameters
    ----------
    cluster
        Where; None: in this process, one after another.
    function
        Function of an importable module. It depends on nothing but its arguments and the files they name, and
        can be run again after its worker died in the middle. What it returns is small.
    jobs
        The calls; taken from the iterable when there is room for them.
    retries
        How often a job is run again whose worker died. (A scheduler that we did not start also reruns such jobs
        on its own account, by default three times.) A job that raises an error is not run again.
    label, total, progress
        Shows the jobs that ended.
    remarks
        Whether warnings that workers log are repeated here.

    Raises
    ------
    RemoteError
        The scheduler was lost.
    """
    with progress.task(label, total) as task:
        outcomes = _here(function, jobs) if cluster is None else _Run(cluster, function, retries, remarks).over(jobs)
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                task.advance(note=outcome.job.name)
                yield outcome


def _here(function: Callable[..., Any], jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
    for job in jobs:
        try:
            value = function(*job.arguments)
        except Exception as error:  # whatever it is, it is reported, and the other jobs go on
            log.debug("%s failed", job.name, exc_info=True)
            yield Outcome(job, reason=_reason(error))
        else:
            yield Outcome(job, value)


@dataclass
class _Run:
    """One call of :func:`run_all` on a cluster."""

    cluster: Cluster
    function: Callable[..., Any]
    retries: int
    remarks: bool
    _waiting: dict[str, tuple[Job, int, Future[Any]]] = field(default_factory=dict)
    _asked: float = float("-inf")
    _size: int = 1
    _seconds: float = float("inf")
    _kept_up: float = field(default_factory=time.monotonic)

    @property
    def _client(self) -> Client:
        return self.cluster.client

    def over(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        from distributed import as_completed

        left = iter(jobs)
        ended = as_completed(loop=self._client.loop)
        try:
            self._fill(ended, left)
            while self._waiting:
                future = self._next(ended)
                job, deaths, _ = self._waiting.pop(future.key)
                if future.status == "lost" and self._client.status == "running":
                    # its worker went with the answer, before we had it: the scheduler has the job done again
                    self._waiting[future.key] = job, deaths, future
                    ended.add(future)
                    continue
                self._fill(ended, left)  # first, so that the worker is not idle while we look at what it did
                outcome = self._outcome(job, future, deaths)
                if outcome is None:
                    ended.add(self._submit(job, deaths + 1))
                else:
                    yield outcome
        finally:
            self._cancel()

    def _next(self, ended: Any) -> Future[Any]:  # noqa: ANN401 - untyped in Dask
        """Wait for a job to end, and see to it meanwhile that there are workers."""
        while not ended.has_ready():
            if time.monotonic() - self._kept_up > _KEEP_UP_S:
                self.cluster.keep_up()
                self._kept_up = time.monotonic()
            with ended.thread_condition:
                ended.thread_condition.wait(0.1)  # it may have been notified in between
        future: Future[Any] = next(ended)
        return future

    def _fill(self, ended: Any, left: Iterator[Job]) -> None:  # noqa: ANN401 - untyped in Dask
        while len(self._waiting) < self._room() and (job := next(left, None)) is not None:
            ended.add(self._submit(job, 0))

    def _room(self) -> int:
        """One job per worker: a second would wait there, and would suffer should the worker die; little if short."""
        if time.monotonic() - self._asked > _RESIZE_S:
            self._size = max(1, self.cluster.size())
            self._asked = time.monotonic()
        return self._size if self._seconds >= SHORT_S else 2 * self._size

    def _submit(self, job: Job, deaths: int) -> Future[Any]:
        if len(pickle.dumps(job.arguments)) > LARGEST_ARGUMENTS:
            message = f"the arguments of job {job.name} are too large to pass through a scheduler; name files instead"
            raise ValueError(message)
        key = f"landslip-{uuid.uuid4().hex}"
        future: Future[Any] = self.cluster.ask(
            lambda: self._client.submit(_call, __version__, self.function, job.arguments, key=key, pure=False)
        )
        self._waiting[key] = job, deaths, future
        return future

    def _outcome(self, job: Job, future: Future[Any], deaths: int) -> Outcome | None:
        """Return what became of a job; None when it is to be run again."""
        from distributed.scheduler import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise self.cluster.lost()
        error = None if future.status == "finished" else self.cluster.ask(future.exception)
        if error is None:
            try:
                return self._answered(job, self.cluster.ask(future.result))
            except KilledWorker as died:  # with the answer, before we had it
                error = died
        if not isinstance(error, KilledWorker):
            return Outcome(job, reason=_reason(error))
        if deaths < self.retries:
            log.warning("%s: its worker died; the job is run again", job.name)
            return None
        times = "" if deaths == 0 else f" {deaths + 1} times"
        return Outcome(job, reason=f"its worker died{times}, most often for want of memory; use fewer workers")

    def _answered(self, job: Job, answer: _Answer) -> Outcome:
        # of late: a tenth of the news, nine tenths of what was known
        known = answer.seconds if self._seconds == float("inf") else self._seconds
        self._seconds = 0.9 * known + 0.1 * answer.seconds
        for remark in answer.remarks if self.remarks else ():
            log.warning("%s: %s", job.name, remark)
        if answer.trace:
            log.debug("%s failed on a worker: %s", job.name, answer.trace)
        return Outcome(job, answer.value, answer.reason)

    def _cancel(self) -> None:
        """Take back what was not done, when nobody waits for it any more."""
        futures = [future for _, _, future in self._waiting.values()]
        self._waiting.clear()
        if futures and self._client.status == "running":
            with contextlib.suppress(Exception):  # the error that brought us here is the one to be told
                self._client.cancel(futures, force=True)


@dataclass(frozen=True)
class _Answer:
    """What a worker sends back."""

    value: Any = None
    reason: str = ""
    trace: str = ""
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0


def _call(version: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Answer:
    """Run a job on a worker; errors travel as text, since not every one can be pickled."""
    if version != __version__:  # workers that came after the check
        message = f"the worker has landslip {__version__}, the command {version}; install the same everywhere"
        return _Answer(reason=_reason(ConfigError(message)))
    start = time.perf_counter()
    with _collected() as remarks:
        try:
            answer = _Answer(function(*arguments))
        except Exception as error:  # whatever it is, it is reported, and the worker goes on
            answer = _Answer(reason=_reason(error), trace=traceback.format_exc())
    return replace(answer, remarks=tuple(remarks), seconds=time.perf_counter() - start)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def _collected() -> Iterator[list[str]]:
    """Collect what our code warns of."""
    ours, collector = logging.getLogger("landslip"), _Collector()
    propagate = ours.propagate
    ours.addHandler(collector)
    ours.propagate = False
    try:
        yield collector.texts
    finally:
        ours.removeHandler(collector)
        ours.propagate = propagate


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, LandslipError) else f"internal error: {type(error).__name__}: {text}"
