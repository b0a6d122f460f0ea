"""Runs side by side: the same tables, whatever happens to a worker."""

import os

import pytest
import torch

import landslip.study.parallel as parallel
import landslip.study.plan as module
from helpers.study_area import make_area
from landslip.errors import ConfigError, InputError
from landslip.study import RowConfig, run_study
from landslip.study.predictions import SCORES
from landslip.study.sources import Source

RUNS = ("runs/unet/seed0", "runs/unet/seed1", "runs/forest/seed0", "runs/forest/seed1")


@pytest.fixture
def study_settings(settings, monkeypatch):
    monkeypatch.setattr(module, "open_source", lambda *_args, **_more: Source((make_area(cols=384),)))
    return settings.model_copy(update={"only": ("unet", "forest"), "train": {**settings.train, "epochs": 1}})


def test_runs_on_workers_give_the_tables_of_one_after_another(study_settings, tmp_path, monkeypatch):
    """A worker dies, a run fails, the others are finished; resumed here, everything is as it would have been."""
    from helpers import study_jobs
    from landslip.cluster import connect

    whole = run_study(study_settings, tmp_path / "whole", report=False)
    folder = tmp_path / "spread"
    monkeypatch.setattr(parallel, "make_run", study_jobs.troubled)
    line = (
        r"1 of 4 runs failed, the others are finished: forest/seed1: no forest grows here; mend it and go on with --res"
    )
    with connect("local:2") as cluster, pytest.raises(InputError, match=line):
        run_study(study_settings, folder, report=False, cluster=cluster)
    assert (folder / "died").exists()
    assert [(folder / run / SCORES).is_file() for run in RUNS] == [True, True, True, False]
    assert not (folder / "study.json").exists()
    made = {run: (folder / run / SCORES).stat().st_mtime_ns for run in RUNS[:3]}
    resumed = run_study(None, folder, resume=True, report=False)
    assert {run: (folder / run / SCORES).stat().st_mtime_ns for run in RUNS[:3]} == made
    for name in ("table.csv", "table.md", *(f"{run}/predictions.npz" for run in RUNS)):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert resumed.content["rows"] == whole.content["rows"]


@pytest.mark.parametrize(
    ("numbers", "count", "line"),
    [
        ((0,), 0, "there is no GPU on this machine; for N processes on its processor give --dask local:N"),
        ((0, 2), 2, "devices 0,2: give different numbers of GPUs, from 0 to 1"),
        ((1, 1), 2, "devices 1,1: give different numbers of GPUs, from 0 to 1"),
    ],
)
def test_devices_that_are_not_there(monkeypatch, numbers, count, line):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(ConfigError, match=line), parallel.on_devices(numbers):
        pass


def test_each_worker_gets_one_of_the_gpus_in_sight(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    seen = []

    class Connection:
        def __init__(self, address):
            seen.append((address, os.environ["CUDA_VISIBLE_DEVICES"]))

        def __enter__(self):
            return "cluster"

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(parallel, "connect", Connection)
    with parallel.on_devices((2, 0)) as cluster:
        assert cluster == "cluster"
    assert seen == [("local:2", "7,4")]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,7"


def test_run_that_names_a_gpu_or_wants_several_is_refused(study_settings, tmp_path):
    one = study_settings.model_copy(update={"train": {**study_settings.train, "device": "cuda:1"}, "only": ("unet",)})
    with pytest.raises(ConfigError, match=r"row 'unet': device = 'cuda:1' is one GPU; workers bring their own: 'auto'"):
        run_study(one, tmp_path / "one", report=False, cluster=object())
    row = RowConfig(name="wide", train={"devices": 2})
    several = study_settings.model_copy(update={"rows": (row,), "only": ("wide",)})
    with pytest.raises(
        ConfigError, match=r"row 'wide': a run of a study has one device; leave devices and num_nodes out"
    ):
        run_study(several, tmp_path / "several", report=False)
