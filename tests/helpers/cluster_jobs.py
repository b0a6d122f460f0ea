"""Jobs for the tests, importable by workers; and a Dask cluster as one starts it by hand."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from landslip.errors import InputError

SRC = Path(__file__).parents[2] / "src"


def double(number):
    return 2 * number


def environment(name):
    return os.environ.get(name)


def threads():
    import torch

    return torch.get_num_threads()


def refuse(name):
    raise InputError(f"{name}: cannot\nbe used")


def divide(number):
    return 1 / number


def warn(text):
    logging.getLogger("landslip.somewhere").warning("mind the %s", text)


def die_until(marks, times):
    """Kill the own process until ``times`` marks have been left."""
    count = len(list(Path(marks).iterdir()))
    if count < times:
        (Path(marks) / str(count)).touch()
        os.kill(os.getpid(), 9)
    return count


def mixed(number):
    if number == 3:
        raise InputError("three: not wanted")
    return number


def sleep(seconds):
    time.sleep(seconds)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def dask(kind, *arguments, path=()):
    """A scheduler or worker in a process of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, SRC, Path(__file__).parents[1])))}
    environment |= {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", kind, *map(str, arguments)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # a worker and its nanny together
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            while True:  # until the worker is gone too, and its locks with it
                os.killpg(process.pid, 0)
                time.sleep(0.02)


@contextlib.contextmanager
def scheduler(port=0):
    """The address of a running scheduler, and its process."""
    port = port or free_port()
    with dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard") as process:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}", process


def worker(address, *arguments, path=()):
    options = arguments or ("--nworkers", 1, "--nthreads", 1)
    return dask("worker", address, "--host", "127.0.0.1", "--no-dashboard", *options, path=path)
