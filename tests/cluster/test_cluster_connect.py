"""Clusters that cannot be used, and a scheduler that goes away."""

import os
import sys

import pytest

from helpers import cluster_jobs
from landslip._version import __version__
from landslip.cluster import Job, connect, run_all
from landslip.cluster import connect as room
from landslip.errors import ConfigError, RemoteError

connecting = sys.modules["landslip.cluster.connect"]


def message(address):
    with pytest.raises((ConfigError, RemoteError)) as caught, room(address):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("address", ["", "local", "local:0", "local:two", "somewhere", "tcp://host", "http://a:1"])
def test_what_is_no_address(address):
    assert "is no cluster; give local:N (N processes here) or a scheduler as tcp://host:8786" in message(address)


def test_unreachable(monkeypatch):
    monkeypatch.setattr(connecting, "CONNECT_S", 1.0)
    address = f"tcp://127.0.0.1:{cluster_jobs.free_port()}"
    assert f"{address}: no Dask scheduler answers there; start one with 'dask scheduler'" in message(address)


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "install it with: pip install landslip[cluster]" in message("local:1")


def test_what_is_started_and_changed_ends_with_the_block():
    before = dict(os.environ)
    with connect("local:1") as cluster:
        [outcome] = run_all(cluster, os.getpid, [Job("who")])
        assert outcome.value != os.getpid()
    assert dict(os.environ) == before
    with pytest.raises(ProcessLookupError):
        os.kill(outcome.value, 0)


def test_workers_that_cannot_do_the_work_are_refused(tmp_path, monkeypatch):
    (tmp_path / "landslip").mkdir()
    (tmp_path / "landslip" / "__init__.py").write_text("")
    (tmp_path / "landslip" / "_version.py").write_text('__version__ = "0.0.9"\n')
    with cluster_jobs.scheduler() as (address, _):
        with monkeypatch.context() as patience:
            patience.setattr(connecting, "WORKERS_S", 1.0)
            assert "the scheduler has no workers after 1 s; start some with 'dask worker" in message(address)
        with cluster_jobs.worker(address, path=[tmp_path]):
            said = message(address)
        assert f"the worker has landslip 0.0.9, this machine {__version__}; install the same everywhere" in said
        with cluster_jobs.worker(address, "--nworkers", 1, "--nthreads", 2):
            said = message(address)
        assert f"start workers with 'dask worker {address} --nworkers 2 --nthreads 1'" in said


def test_the_scheduler_is_lost_in_the_middle():
    with cluster_jobs.scheduler() as (address, process), cluster_jobs.worker(address), connect(address) as cluster:
        outcomes = run_all(cluster, cluster_jobs.sleep, [Job("short", (0.0,)), Job("long", (60.0,))])
        assert next(outcomes).job.name == "short"
        process.kill()
        with pytest.raises(RemoteError, match=r"the scheduler was lost; what was finished is kept.*--resume"):
            next(outcomes)
