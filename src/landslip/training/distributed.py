"""One training in several processes: how they begin, agree, report and end together.

The processes of a machine are started here and meet through :mod:`torch.distributed`; what they compute, and that
their gradients are averaged, is Lightning's business. Nothing here writes into a run folder.
"""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed as dist

from landslip.data.tileset import TileSet
from landslip.errors import ConfigError, LandslipError, RemoteError, ResourceError
from landslip.files import writing
from landslip.progress import SILENT, Progress, Task
from landslip.training.config import TrainConfig
from landslip.training.device import resolve_device
from landslip.training.record import Record
from landslip.training.world import World

_PATIENCE = datetime.timedelta(minutes=30)
"""How long processes wait for one another, to begin and at each step."""

_END = datetime.timedelta(days=1)
"""How long the others wait while the first scores the finished network."""

_MEETING = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Order:
    """What the processes of a training are asked to do.

    Parameters
    ----------
    config, out
        As given to :func:`landslip.training.fit`.
    record
        Epochs that are done.
    started, resumed
        For the log: seconds since 1970, and whether it goes on with an interrupted training.
    """

    config: TrainConfig
    out: Path
    record: Record
    started: float
    resumed: bool


Work = Callable[[TileSet, Order, World, Progress], Any]
"""What each process does: a function that a new interpreter finds by its name."""


def node_rank(config: TrainConfig) -> int:
    """Check that the devices are there and return the number of this machine among those of the training.

    Raises
    ------
    ConfigError
        More devices than there are, several on the CPU without saying so, one GPU by number, or no word of where the
        machines meet.
    """
    if config.processes == 1:
        return 0
    device = resolve_device(config.device)
    if device.index is not None:
        message = f"device = {config.device!r} is one GPU, devices = {config.devices} are several; set device = 'cuda'"
        raise ConfigError(message)
    if device.type != "cuda" and config.device == "auto":
        message = (
            f"devices = {config.devices}: there is no GPU on this machine; set devices = 1, "
            "or device = 'cpu' for processes that share its cores"
        )
        raise ConfigError(message)
    there = torch.cuda.device_count()
    if device.type == "cuda" and config.devices > there:
        message = f"devices = {config.devices}: this machine has {there} GPU{'s' * (there > 1)}; lower devices"
        raise ConfigError(message)
    if config.num_nodes == 1:
        return 0
    missing = [name for name in _MEETING if not os.environ.get(name)]
    rank = os.environ.get("NODE_RANK", "")
    if missing or not (rank.isdecimal() and int(rank) < config.num_nodes):
        message = (
            f"num_nodes = {config.num_nodes}: set {', '.join(missing) or 'NODE_RANK'} on every machine (NODE_RANK from "
            f"0 to {config.num_nodes - 1}, MASTER_ADDR and MASTER_PORT of machine 0), or num_nodes = 1"
        )
        raise ConfigError(message)
    return int(rank)


def launch(work: Work, tiles: TileSet, order: Order, progress: Progress) -> None:
    """Do the work in as many processes of this machine as there are devices, and wait for all of them.

    Parameters
    ----------
    work
        What each does.
    tiles
        Reach the processes through one temporary file per array, which they share.
    order
        The same for all.
    progress
        Told what the first process tells.

    Raises
    ------
    LandslipError
        What a process raised.
    ResourceError
        A process died.
    """
    spawn = multiprocessing.get_context("spawn")
    node, count = node_rank(order.config), order.config.devices
    with tempfile.TemporaryDirectory(prefix="landslip-") as folder:
        with writing(folder):
            _put(tiles, Path(folder))
        meeting = f"file://{folder}/meeting"
        if order.config.num_nodes > 1:
            meeting = f"tcp://{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        outline = replace(tiles, **{name: array[:0] for name, array in _arrays(tiles).items()})
        processes, receivers = [], []
        for local in range(count):
            world = World(node * count + local, order.config.processes, local)
            receiver, sender = spawn.Pipe(duplex=False)
            arguments = (work, Path(folder), outline, order, world, meeting, sender)
            processes.append(spawn.Process(target=_child, args=arguments, daemon=True))
            receivers.append(receiver)
            processes[-1].start()
            sender.close()
        try:
            _attend(processes, receivers, progress)
        finally:
            for process in processes:
                process.kill()  # those that are done already do not mind
                process.join()


def _attend(processes: list[Any], receivers: list[Connection], progress: Progress) -> None:
    """Pass on what the first process tells until all are done; raise what went wrong."""
    open_bars: list[tuple[contextlib.ExitStack, Task]] = []
    failures: list[BaseException] = []
    with contextlib.ExitStack() as bars:
        listening = list(receivers)
        while listening and not failures:
            for receiver in wait(listening):
                assert isinstance(receiver, Connection)
                try:
                    word, *content = receiver.recv()
                except (EOFError, ConnectionResetError):
                    listening.remove(receiver)
                    _note_end(processes, receivers.index(receiver), failures)
                    continue
                if word == "failed":
                    failures.append(content[0])
                elif word == "task":
                    stack = bars.enter_context(contextlib.ExitStack())
                    open_bars.append((stack, stack.enter_context(progress.task(*content))))
                elif word == "advance":
                    open_bars[-1][1].advance(content[0], note=content[1])
                else:
                    open_bars.pop()[0].close()
    if failures:
        raise _cause(failures, processes, receivers)


def _note_end(processes: list[Any], number: int, failures: list[BaseException]) -> None:
    process: BaseProcess = processes[number]
    process.join()
    if process.exitcode:
        how = f"by signal {-process.exitcode}" if process.exitcode < 0 else f"with code {process.exitcode}"
        message = (
            f"process {number + 1} of {len(processes)} ended {how}, for want of memory perhaps; nothing of the epochs "
            "done is lost: go on with --resume, with a smaller batch or fewer devices"
        )
        failures.append(ResourceError(message))


def _cause(failures: list[BaseException], processes: list[Any], receivers: list[Connection]) -> BaseException:
    """Find what began it: when one process fails, the others soon fail too, for want of it."""
    deadline = time.monotonic() + 2
    for number, receiver in enumerate(receivers):
        with contextlib.suppress(EOFError, OSError):
            while receiver.poll(max(0.0, deadline - time.monotonic())):
                word, *content = receiver.recv()
                failures.extend(content if word == "failed" else ())
        if not processes[number].is_alive():
            _note_end(processes, number, failures)
    return min(failures, key=lambda one: 2 if isinstance(one, RemoteError) else not isinstance(one, LandslipError))


class _Told:
    """A bar in another process."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender

    def advance(self, amount: float = 1.0, *, note: str = "") -> None:
        """Say that more is done."""
        self._sender.send(("advance", amount, note))


class _Relay:
    """The progress of a process, told to the one that started it."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Task]:
        """Open a bar there."""
        self._sender.send(("task", label, total))
        yield _Told(self._sender)
        self._sender.send(("end",))


def _child(
    work: Work, folder: Path, outline: TileSet, order: Order, world: World, meeting: str, sender: Connection
) -> None:
    """Live as one process of a training."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it ends it
    threading.Thread(target=_go_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")  # other libraries' warnings, once for every process
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # they chat there; results are the first process's to print
    # Lightning asks the environment who it is
    os.environ.update(LOCAL_RANK=str(world.local), NODE_RANK=str(world.rank // order.config.devices))
    try:
        end = _meet(order, world, meeting)
        _agree_on(order, world, end)
        work(_take(folder, outline), order, world, SILENT if world.rank else _Relay(sender))
        dist.barrier(group=end)
    except LandslipError as error:
        sender.send(("failed", error))
    except dist.DistError as error:
        text = f"process {world.rank + 1} of {world.size} lost the others ({_first_line(error)}); go on with --resume"
        sender.send(("failed", RemoteError(text)))
    except BaseException as error:
        text = f"process {world.rank + 1} of {world.size}: {type(error).__name__}: {error}"
        told = RuntimeError(text)
        told.add_note("".join(traceback.format_exception(error)))
        sender.send(("failed", told))
    finally:
        sender.close()
    os._exit(0)  # the others may be gone already: no farewell that waits for them


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).strip()


def _go_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _meet(order: Order, world: World, meeting: str) -> Any:  # noqa: ANN401 - a process group
    device = world.device(order.config.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // order.config.devices))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=meeting, rank=world.rank, world_size=world.size, timeout=_PATIENCE)
    return dist.new_group(backend="gloo", timeout=_END)


def _agree_on(order: Order, world: World, group: Any) -> None:  # noqa: ANN401 - a process group
    """Take over the epochs that the first process knows; machines come with settings and data of their own."""
    told: list[Any] = [None] * world.size
    dist.all_gather_object(told, order.record.to_dict(), group=group)
    order.record.require_same(told[0], order.out)
    order.record.rows[:] = told[0]["rows"]


def _arrays(tiles: TileSet) -> dict[str, Any]:
    content: dict[str, Any] = {one.name: getattr(tiles, one.name) for one in fields(tiles)}
    return {name: value for name, value in content.items() if isinstance(value, np.ndarray)}


def _put(tiles: TileSet, folder: Path) -> None:
    for name, array in _arrays(tiles).items():
        np.save(folder / f"{name}.npy", array)


def _take(folder: Path, outline: TileSet) -> TileSet:
    # copied where written to, which nobody does: so torch takes the pages as they are
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _arrays(outline)}
    return replace(outline, **arrays)
