"""Connecting to a Dask cluster, or starting one on this machine, and checking that it can do our work."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import logging
import os
import pydoc
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslip._version import __version__
from landslip.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

CONNECT_S = 20.0
"""How long a scheduler may take to answer."""

WORKERS_S = 60.0
"""How long a cluster may be without a worker before we give up; batch queues are waited for beforehand."""

SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "GDAL_NUM_THREADS"), "1"
)
"""Environment of a worker that we start: what computes in threads (PyTorch, numpy, numba, GDAL) takes one each."""

_PACKAGES = ("torch", "numpy", "rasterio")
"""Packages whose version may change the last digits of a result."""

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d+$")


@dataclass(frozen=True)
class Cluster:
    """A cluster that was found fit for work.

    Parameters
    ----------
    client
        Dask's client, connected.
    address
        As it was given: ``tcp://host:8786`` or ``local:4``.
    """

    client: Client
    address: str

    def size(self) -> int:
        """Return the number of jobs that are worked on at the same time: one per worker."""
        return sum(self.ask(self.client.nthreads).values())

    def ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is asked for
        """Ask the scheduler something.

        Raises
        ------
        RemoteError
            It was lost.
        """
        if self.client.status != "running":
            raise self.lost()
        try:
            return question()
        except (CancelledError, OSError, TimeoutError) as error:
            raise self.lost() from error

    def on_all_workers(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run a function of an importable module on every worker; return worker -> result, in their order.

        Raises
        ------
        RemoteError
            The scheduler was lost.
        """
        found = self.ask(lambda: self.client.run(function, *arguments))
        return dict(sorted(found.items()))

    def keep_up(self) -> None:
        """Start workers of our own anew that Dask has given up, as it does with one that dies while it starts."""
        ours = self.client.cluster
        if ours is not None:
            ours.scale(len(ours.worker_spec))

    def lost(self) -> RemoteError:
        """Return the error that says that the scheduler was lost."""
        message = f"{self.address}: the scheduler was lost; what was finished is kept: start it, and run again with"
        return RemoteError(f"{message} --resume")


@contextlib.contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """Connect to a cluster and check it; what was started for it ends with the block.

    Parameters
    ----------
    address
        ``tcp://host:8786`` (or ``tls://``) for a scheduler that runs; ``local:N`` for N single-threaded worker
        processes on this machine, which share its memory evenly, and are started anew when they die.

    Raises
    ------
    ConfigError
        Not an address; Dask is not installed; workers have another version of landslip, or do several jobs in
        one process.
    RemoteError
        The scheduler cannot be reached, or has no workers.
    """
    count = _local(address)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        distributed = _import_distributed()
        # Dask keeps the last thousand messages of every kind, for its developers: a job of ours is several.
        stack.enter_context(importlib.import_module("dask").config.set({"distributed.admin.low-level-log-length": 20}))
        target = stack.enter_context(_local_cluster(count)) if count else address
        try:
            client = stack.enter_context(_client(distributed, target))
        except (OSError, ValueError, TimeoutError) as error:
            message = (
                f"{address}: no Dask scheduler answers there; start one with 'dask scheduler', or mend the address"
            )
            raise RemoteError(message) from error
        cluster = Cluster(client, address)
        _check(cluster)
        yield cluster


def _local(address: str) -> int:
    """Return N of ``local:N``, 0 for the address of a scheduler."""
    kind, _, number = address.partition(":")
    if kind == "local" and number.isdigit() and int(number) > 0:
        return int(number)
    if not _ADDRESS.match(address):
        message = f"{address!r} is no cluster; give local:N (N processes here) or a scheduler as tcp://host:8786"
        raise ConfigError(message)
    return 0


def _import_distributed() -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        message = "Dask is not installed, which work on a cluster needs; install it with: pip install landslip[cluster]"
        raise ConfigError(message) from error


@contextlib.contextmanager
def _client(distributed: Any, target: Any) -> Iterator[Client]:  # noqa: ANN401 - untyped on purpose: a lazy import
    client = distributed.Client(target, timeout=CONNECT_S, set_as_default=False)
    try:
        yield client
    finally:
        with contextlib.suppress(TimeoutError, OSError):  # a scheduler that is gone is not waited for
            client.close(timeout=5)


@contextlib.contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    """Start a scheduler in this process, and workers each in a process of its own under a nanny."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    host = "127.0.0.1"
    gpus = _gpus()
    options = {
        "host": host, "nthreads": 1, "memory_limit": MEMORY_LIMIT // count, "silence_logs": logging.CRITICAL,
        "dashboard": False, "preload": ["landslip.cluster.preload"],
    }  # fmt: skip
    workers = {number: {"cls": Nanny, "options": options | {"env": _one_gpu(gpus, number)}} for number in range(count)}
    scheduler = {"cls": Scheduler, "options": {
        "host": host, "port": 0, "dashboard": False, "dashboard_address": f"{host}:0", "allowed_failures": 0,
    }}  # fmt: skip
    settings = {
        # Workers keep nothing, so there is nothing to spill, and pausing would be for ever; one that takes more
        # than its share is ended, and its job counts as one whose worker died.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        # One that comes back slowly, on a busy machine, is not given up; see Cluster.keep_up for one that does not.
        "distributed.deploy.lost-worker-timeout": "60s",
        # Returning every freed block to the system at once makes a network's buffers slow.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with _environment(SINGLE_THREADED), dask.config.set(settings):
        cluster = SpecCluster(scheduler=scheduler, workers=workers, silence_logs=logging.CRITICAL)
        try:
            yield cluster
        except BaseException:
            _end_workers(cluster)  # not asked to finish what nobody waits for
            raise
        finally:
            try:
                cluster.close(timeout=30)
            except TimeoutError:
                _end_workers(cluster)


def _end_workers(cluster: Any) -> None:  # noqa: ANN401 - a SpecCluster
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        process = getattr(nanny.process, "process", None)
        if process is not None and process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, 9)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables that child processes inherit, and put back all that were changed meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _gpus() -> list[str]:
    """Name the GPUs that this process may use, without importing what would take hold of them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [word for word in chosen.split(",") if word and word != "-1"]
    there = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(there.iterdir())] if there.is_dir() else []


def _one_gpu(gpus: list[str], number: int) -> dict[str, str]:
    """Give every worker one GPU, in turn, where there are any."""
    return {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}


def _check(cluster: Cluster) -> None:
    client = cluster.client
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        message = (
            f"{cluster.address}: the scheduler has no workers after {WORKERS_S:.0f} s; start some with "
            f"'dask worker {cluster.address} --nthreads 1'"
        )
        raise RemoteError(message) from error
    # By name and through the standard library, so that a worker with another landslip, or none, can answer.
    found = client.run(pydoc.locate, "landslip._version.__version__", on_error="return")
    for worker, version in sorted(found.items()):
        if version != __version__:
            has = f"landslip {version}" if isinstance(version, str) else "no landslip"
            message = f"{worker}: the worker has {has}, this machine {__version__}; install the same everywhere"
            raise ConfigError(message)
    for worker, threads in sorted(client.nthreads().items()):
        if threads != 1:
            message = (
                f"{worker}: the worker does {threads} jobs at a time in one process; start workers with "
                f"'dask worker {cluster.address} --nworkers {threads} --nthreads 1'"
            )
            raise ConfigError(message)
    _warn_of_others(cluster)


def _warn_of_others(cluster: Cluster) -> None:
    """Warn where packages differ that may change the last digits of a result."""
    here = facts()
    for worker, there in cluster.on_all_workers(facts).items():
        differing = [f"{name} {there[name]} (here {here[name]})" for name in ("python", *_PACKAGES)
                     if there[name] != here[name]]  # fmt: skip
        if differing:
            log.warning("%s has %s: results may differ in their last digits", worker, ", ".join(differing))
            return


def facts() -> dict[str, Any]:
    """Return what a process computes with: versions of Python and of packages."""
    found: dict[str, Any] = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


_TALKATIVE = ("distributed", "distributed.client", "distributed.scheduler", "distributed.nanny", "tornado")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own remarks (workers that come and go) off the screen; what matters is said by us."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.level for logger in loggers]
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("distributed")  # it sets levels when it is imported
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
