"""A map that is killed again and again comes out as if nothing had happened; two at once are refused."""

import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest

from helpers.maps import scene_layers, unet_bundle, write_scene
from landslip.errors import OutputError
from landslip.mapping.config import MapConfig
from landslip.mapping.run import map_scene
from landslip.scene.store import Scene

CONFIG = MapConfig.from_dict(
    {
        "predict": {"tile": 32, "overlap": 8, "batch": 8, "device": "cpu", "precision": "float32"},
        "polygons": {"threshold": 0.5, "min_area_m2": 300, "split": True},
        "output": {"formats": ("gpkg", "parquet", "geojson", "fgb"), "density_cell_m": 300},
    }
)
KILLS = 10


def work(scene, out, ready):
    """In a process of its own."""
    import torch

    torch.set_num_threads(1)
    ready.set()
    map_scene(unet_bundle(), Scene.open(scene), out, CONFIG, resume=True)


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with everything imported, so that killing one soon is worth while."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["landslip.mapping.run", "mapping_helpers", "landslip.models", "torch"])
    return context


def start(context, scene, out):
    ready = context.Event()
    process = context.Process(target=work, args=(scene, out, ready))
    process.start()
    assert ready.wait(120)
    return process


def files_of(folder):
    names = sorted(path.name for path in folder.iterdir() if path.name not in (".lock", "log.json"))
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.timeout(1500)  # a dozen starts, each of them slow where the machine is busy
def test_killed_ten_times_and_resumed_gives_the_same_bytes(tmp_path, processes):
    layers = scene_layers((1300, 48))
    layers["red"][500:520, 20:30] = np.nan
    scene = write_scene(tmp_path / "scene", layers)
    begin = time.monotonic()
    undisturbed = start(processes, scene.path, tmp_path / "whole")
    undisturbed.join()
    assert undisturbed.exitcode == 0
    seconds = time.monotonic() - begin
    moments, killed, began = random.Random(5), 0, 0
    while killed < KILLS:
        began += 1
        assert began < 5 * KILLS, "too quick to be killed"
        process = start(processes, scene.path, tmp_path / "cut")
        process.join(moments.uniform(0.02, 0.6) * seconds)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        else:  # it was done before its moment: begin anew, and be quicker
            shutil.rmtree(tmp_path / "cut")
            seconds /= 2
        process.join()
    last = start(processes, scene.path, tmp_path / "cut")
    last.join()
    assert last.exitcode == 0
    wanted, found = files_of(tmp_path / "whole"), files_of(tmp_path / "cut")
    assert set(found) - set(wanted) == set(), "something was left behind"
    assert {name for name in wanted if wanted[name] != found[name]} == set()


def test_a_second_process_is_refused_while_the_first_works(tmp_path, processes):
    scene = write_scene(tmp_path / "scene", scene_layers((600, 48)))
    first = start(processes, scene.path, tmp_path / "out")
    while first.is_alive() and not (tmp_path / "out" / ".partial" / "plan.json").exists():
        time.sleep(0.01)
    with pytest.raises(OutputError, match="another landslip process is working on it"):
        map_scene(unet_bundle(), scene, tmp_path / "out", CONFIG, resume=True)
    first.join()
    assert first.exitcode == 0
    assert (tmp_path / "out" / "map.json").exists()
