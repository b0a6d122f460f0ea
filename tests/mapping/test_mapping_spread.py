"""Bands predicted apart and joined, and many scenes over workers: the same bytes as in one process."""

import functools
import json
import os
import random
import threading

import numpy as np
import pytest
import torch
from distributed.core import Status
from torch import nn

from helpers import cluster_jobs
from helpers.maps import member, scene_layers, unet_bundle, write_scene
from landslip.cluster import connect
from landslip.errors import ConfigError, InputError, OutputError, RemoteError
from landslip.files import locked
from landslip.mapping.config import MapConfig, PredictConfig
from landslip.mapping.many import map_scenes
from landslip.mapping.prepare import prepare
from landslip.mapping.probability import predict
from landslip.mapping.probability.blending import WindowPlan
from landslip.mapping.probability.parts import Apart, Parts, plan_token, write_apart
from landslip.mapping.run import map_scene
from landslip.mapping.spread import RETRIES, Workers, _ready, members_of, run_folders

FAST = {"tile": 32, "overlap": 8, "batch": 8, "device": "cpu", "precision": "float32"}
CONFIG = MapConfig.from_dict({"predict": FAST, "polygons": {"threshold": 0.5}, "output": {"page": False}})


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the workers compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cluster():
    with connect("local:2") as connected:
        yield connected


@pytest.fixture
def runs(tmp_path):
    unet_bundle().save(tmp_path / "run")
    return run_folders([tmp_path / "run"])


def scene_of(tmp_path, name, shape=(40, 70), seed=0):
    layers = scene_layers(shape, seed)
    layers["red"][5:20, 20:30] = np.nan
    return write_scene(tmp_path / name, layers)


def files_of(folder):
    """Contents of all files below a folder but logs."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.json"
    }


def occupied(dask_worker):
    """How many tasks hold a thread of a worker, those that nobody waits for any more among them."""
    return len(dask_worker.state.executing)


def wait_for_strays(cluster):
    """Until no worker works: Dask begins a job again whose worker died with an answer that had just been read."""
    while any(cluster.client.processing().values()) or any(cluster.client.run(occupied, on_error="ignore").values()):
        threading.Event().wait(0.05)


@pytest.mark.parametrize(
    ("tile", "overlap", "band_rows", "kind"),
    [(32, 8, 48, "none"), (32, 0, 32, "none"), (64, 48, 16, "disagreement"), (32, 31, 5, "entropy")],
)
def test_bands_apart_in_any_order_are_those_of_one_sweep(tmp_path, monkeypatch, tile, overlap, band_rows, kind):
    monkeypatch.setattr(predict, "WindowPlan", functools.partial(WindowPlan, band_rows=band_rows))
    scene = scene_of(tmp_path, "scene", (150, 50))
    variants = "none" if kind == "none" else "flips"
    config = PredictConfig(**FAST | {"tile": tile, "overlap": overlap, "variants": variants, "uncertainty": kind})
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 1, 1))
    prediction = prepare([member(network)], scene, config).prediction
    bands = prediction.plan.bands
    assert len(bands) > 2
    whole, joined = (Parts(tmp_path / name, {"plan": 1}, resume=False) for name in ("whole", "joined"))
    predict.predict_bands(prediction, whole)
    done, order = 0, list(bands)
    random.Random(0).shuffle(order)
    for band in order:
        write_apart(joined.folder, joined.token, band.number, predict.predict_apart(prediction, band))
        done = predict.join(prediction, joined, done)
    assert done == len(bands) == joined.done(bands)
    for band in bands:
        np.testing.assert_array_equal(whole.read(band), joined.read(band))
    assert not list(joined.folder.glob("apart-*"))


def test_a_huge_scene_by_bands(tmp_path, cluster, runs):
    scene = scene_of(tmp_path, "scene", (1100, 40))
    given = FAST | {"tile": 64, "overlap": 16, "variants": "flips", "uncertainty": "disagreement"}
    config = MapConfig.from_dict({"predict": given, "output": {"page": False}})
    here = map_scene(members_of(runs), scene, tmp_path / "here", config)
    there = map_scene(members_of(runs), scene, tmp_path / "there", config, workers=Workers(cluster, runs))
    assert files_of(there.folder) == files_of(here.folder)
    assert json.loads((there.folder / "log.json").read_text())["workers"] == 2


def test_many_scenes_and_one_that_fails(tmp_path, cluster, runs):
    scenes = {name: scene_of(tmp_path, name, seed=seed).path for seed, name in enumerate("abcd")}
    here = map_scenes(runs, scenes, tmp_path / "here", CONFIG)
    assert (list(here.values), here.reasons) == (list("abcd"), {})
    kept = (scenes["b"] / "scene.json").read_text()
    (scenes["b"] / "scene.json").unlink()
    there = map_scenes(runs, scenes, tmp_path / "there", CONFIG, cluster=cluster)
    assert list(there.values) == ["a", "c", "d"]
    assert "b: not a finished scene (no scene.json in it)" in there.reasons["b"]
    (scenes["b"] / "scene.json").write_text(kept)
    before = (tmp_path / "there" / "a" / "map.json").stat().st_mtime_ns
    with pytest.raises(OutputError, match="holds a finished map already; continue with --resume"):
        map_scenes(runs, scenes, tmp_path / "there", CONFIG, cluster=cluster)
    again = map_scenes(runs, scenes, tmp_path / "there", CONFIG, resume=True, cluster=cluster)
    assert {name: value["counts"] for name, value in again.values.items()} == {
        name: value["counts"] for name, value in here.values.items()
    }
    assert (tmp_path / "there" / "a" / "map.json").stat().st_mtime_ns == before
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


def test_two_runs_on_one_output(tmp_path, runs):
    scenes = {name: scene_of(tmp_path, name).path for name in "ab"}
    with locked(tmp_path / "out"), pytest.raises(OutputError, match="another landslip process is working on it"):
        map_scenes(runs, scenes, tmp_path / "out", CONFIG)
    with locked(tmp_path / "out" / "a"):
        found = map_scenes(runs, scenes, tmp_path / "out", CONFIG, resume=True)
    assert "a: another landslip process is working on it" in found.reasons["a"]
    assert list(found.values) == ["b"]


def test_workers_killed_at_ten_random_moments(tmp_path, cluster, runs):
    scenes = {name: scene_of(tmp_path, name, seed=seed).path for seed, name in enumerate("abcdef")}
    wanted = tmp_path / "wanted"
    map_scenes(runs, scenes, wanted, CONFIG)
    moments, killed, attempt = random.Random(10), 0, 0
    nannies = list(cluster.client.cluster.workers.values())

    def kill_when_all_are_there(ended):
        """Kill one at a random moment of its work; not so often that one scene's tries could be used up."""
        nonlocal killed
        until = min(10, killed + RETRIES)
        while killed < until and not ended.is_set():
            if cluster.size() < len(nannies) or any(nanny.process.status != Status.running for nanny in nannies):
                ended.wait(0.05)
            elif not ended.wait(moments.uniform(0, 1.5)):
                nanny = moments.choice(nannies)
                pid = nanny.pid
                os.kill(pid, 9)
                killed += 1
                while nanny.pid == pid and not ended.wait(0.05):  # until that is known
                    pass

    while killed < 10:
        out, ended = tmp_path / f"out{attempt}", threading.Event()
        thread = threading.Thread(target=kill_when_all_are_there, args=(ended,))
        thread.start()
        found = map_scenes(runs, scenes, out, CONFIG, cluster=cluster)
        ended.set()
        thread.join()
        assert found.reasons == {}
        wait_for_strays(cluster)
        assert files_of(out) == files_of(wanted)
        attempt += 1


def test_the_scheduler_is_lost_and_the_map_resumed(tmp_path, runs):
    scenes = {name: scene_of(tmp_path, name, seed=seed).path for seed, name in enumerate("abc")}
    out = tmp_path / "out"
    with cluster_jobs.scheduler() as (address, process), cluster_jobs.worker(address), connect(address) as cluster:

        def kill_after_the_first():
            while not (out / "a" / "map.json").is_file():
                threading.Event().wait(0.02)
            process.kill()

        thread = threading.Thread(target=kill_after_the_first)
        thread.start()
        with pytest.raises(RemoteError, match=r"the scheduler was lost; what was finished is kept.*--resume"):
            map_scenes(runs, scenes, out, CONFIG, cluster=cluster)
        thread.join()
    assert map_scenes(runs, scenes, out, CONFIG, resume=True).reasons == {}
    map_scenes(runs, scenes, tmp_path / "wanted", CONFIG)
    assert files_of(out) == files_of(tmp_path / "wanted")


def test_workers_that_see_other_files_say_so(tmp_path, runs):
    with pytest.raises(InputError, match="finds another run there; share one file system"):
        members_of(tuple((folder, "0" * 64) for folder, _ in runs))
    scene = scene_of(tmp_path, "scene")
    identity = prepare(members_of(runs), scene, CONFIG.predict).identity() | {"scene": {"checksum": "x", "bytes": 1}}
    with pytest.raises(InputError, match="sees another scene than the command; workers must find the same files"):
        _ready(runs, str(scene.path), json.dumps(CONFIG.predict.to_dict()), json.dumps(identity), str(tmp_path))


def test_a_device_that_workers_lack(cluster, runs):
    with pytest.raises(ConfigError, match="device 'cuda:9' is not on this machine"):
        Workers(cluster, runs).computing(PredictConfig(device="cuda:9"))
    assert Workers(cluster, runs).computing(PredictConfig(device="cpu", precision="bf16")) == ("cpu", "bf16")


def test_parts_of_a_map_that_was_given_up_are_not_taken(tmp_path):
    apart = Apart(np.zeros((1, 2, 3), np.float32), np.zeros((1, 1, 3), np.int64), np.zeros((1, 0, 3), np.int64))
    with pytest.raises(OutputError, match="no map begun there; it was given up"):
        write_apart(tmp_path / ".partial", "token", 0, apart)
    assert not (tmp_path / ".partial").exists()
    assert plan_token({"batch": 8}) != plan_token({"batch": 16})
