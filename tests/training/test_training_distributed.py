"""Two processes are one with twice the batch: same loss curve, same counts, checkpoints that change hands."""

import csv

import numpy as np
import pytest
import torch
from test_training_resume import InterruptedTrainingError, StopAfter

from helpers.training_jobs import die_in_second, fail_in_second, frozen, module, work_with_frozen_norm
from helpers.training_tiles import make_tiles
from landslip.bundle import Bundle
from landslip.data.tileset import Part
from landslip.errors import ConfigError, ModelError, ResourceError
from landslip.training import TrainConfig, fit
from landslip.training.batches import EpochBatches, Plan, SequentialBatches, TileStore
from landslip.training.world import World


@pytest.fixture
def frozen_norm(monkeypatch):
    monkeypatch.setattr(module, "build_model", frozen)
    monkeypatch.setattr(module, "work", work_with_frozen_norm)


@pytest.fixture(scope="module")
def odd():
    """Seven tiles for training and three for validation: no half of a batch is a whole number."""
    tiles = make_tiles()
    keep = np.ones(len(tiles), bool)
    keep[np.flatnonzero(tiles.part == Part.TRAIN)[7:]] = False
    keep[np.flatnonzero(tiles.part == Part.VALIDATION)[0]] = False
    tiles = tiles.subset(keep)
    assert [(tiles.part == part).sum() for part in (Part.TRAIN, Part.VALIDATION)] == [7, 3]
    return tiles


def settings(**changes) -> TrainConfig:
    content = {"model_options": {"width": 4}, "epochs": 3, "precision": "float32", "device": "cpu", **changes}
    return TrainConfig.from_dict(content)


def curve(folder) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open() as handle:
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(handle)]


def assert_same_curve(one, other):
    assert len(one) == len(other)
    for here, there in zip(one, other, strict=True):
        assert here == pytest.approx(there, rel=2e-4, nan_ok=True)


@pytest.fixture(scope="module")
def alone(odd, tmp_path_factory):
    """The reference: one process, four tiles per update."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "build_model", frozen)
        fit(odd, settings(batch=4, loss="dice"), folder)
    return folder


def test_two_processes_are_one_with_twice_the_batch(odd, alone, frozen_norm, run_folder):
    """Dice sees the batch as a whole: it is the same only if the loss is that of all processes' pixels together."""
    bars = []

    class Listener(StopAfter):
        def advance(self, amount=1.0, *, note=""):
            bars.append(amount)

    bundle = fit(odd, settings(batch=2, devices=2, loss="dice"), run_folder, progress=Listener(-1))
    assert_same_curve(curve(run_folder), curve(alone))
    assert sum(bars) == 6 + len(odd)  # updates and tiles scored, told to the process that asked
    other = Bundle.load(alone)
    for name, tensor in other.state.items():
        torch.testing.assert_close(bundle.state[name], tensor, rtol=1e-3, atol=1e-5)
    assert bundle.scores["validation"]["tiles"] == 3
    for part in ("train", "validation"):
        assert bundle.scores[part]["loss"] == pytest.approx(other.scores[part]["loss"], rel=1e-3)
    assert (run_folder / "model.json").is_file()
    assert not (run_folder / "checkpoints" / "last.ckpt").exists()
    assert not list(run_folder.glob("**/.writing-*"))


@pytest.mark.parametrize(("before", "after"), [((2, 2), (4, 1)), ((4, 1), (2, 2))], ids=["2 to 1", "1 to 2"])
def test_a_checkpoint_changes_hands(odd, alone, frozen_norm, run_folder, before, after):
    first, second = (settings(batch=batch, devices=devices, loss="dice") for batch, devices in (before, after))
    with pytest.raises(InterruptedTrainingError):
        fit(odd, first, run_folder, progress=StopAfter(4))
    assert len(curve(run_folder)) == 1
    assert not (run_folder / "model.json").exists()
    fit(odd, second, run_folder, resume=True)
    assert_same_curve(curve(run_folder), curve(alone))


def test_other_tiles_per_update_are_refused(odd, alone, run_folder, frozen_norm):
    with pytest.raises(InterruptedTrainingError):
        fit(odd, settings(batch=4), run_folder, progress=StopAfter(4))
    with pytest.raises(ConfigError, match=r"begun with 4 tiles per update \(batch x devices x num_nodes\), now 8; set"):
        fit(odd, settings(batch=4, devices=2), run_folder, resume=True)


@pytest.mark.parametrize(
    ("work", "error", "line"),
    [
        (fail_in_second, ModelError, "the second process has had enough"),
        (die_in_second, ResourceError, r"process 2 of 2 ended by signal 9, for want of memory perhaps; .* --resume"),
    ],
)
def test_what_happens_to_one_ends_all_with_one_line(odd, run_folder, monkeypatch, work, error, line):
    monkeypatch.setattr(module, "work", work)
    with pytest.raises(error, match=line):
        fit(odd, settings(batch=2, devices=2), run_folder)
    assert not (run_folder / "model.json").exists()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_tile_is_in_one_share_and_draws_stay_with_it(odd, size):
    """Together the shares are the batch, in order; what fills them up does not count."""
    from landslip.data.standardise import with_recipe

    tiles = with_recipe(odd)
    store = TileStore(tiles, tiles.recipe, torch.device("cpu"))
    plan = Plan(tiles.key, "d4", 2 * size, seed=3, epochs=1)
    worlds = [World(rank, size) for rank in range(size)]
    for make in (
        lambda world: EpochBatches(store, plan, lambda: 0, world),
        lambda world: SequentialBatches(store, 6, world),
    ):
        whole = list(make(World()))
        shares = list(zip(*(make(world) for world in worlds), strict=True))
        assert len(shares) == len(whole)
        for (image, target), parts in zip(whole, shares, strict=True):
            assert len({len(part[1]) for part in parts}) == 1
            known = [part[1][part[1].flatten(1).min(dim=1).values < 255] for part in parts]
            counted = target[target.flatten(1).min(dim=1).values < 255]
            torch.testing.assert_close(torch.cat(known), counted, rtol=0, atol=0)
            if min(len(index) for index in np.array_split(np.arange(len(image)), size)):
                torch.testing.assert_close(torch.cat([part[0] for part in parts]), image, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"devices": 2, "device": "auto"}, r"devices = 2: there is no GPU on this machine; set devices = 1, or device"),
        ({"devices": 2, "device": "cuda"}, r"device 'cuda' is not on this machine"),
        ({"devices": 8}, r"8 processes, but updates of 7 tiles: some would have none; raise batch, or lower devices"),
        ({"num_nodes": 2}, r"num_nodes = 2: set NODE_RANK, MASTER_ADDR, MASTER_PORT on every machine \(NODE_RANK from"),
        ({"devices": 0}, r"'devices': input should be greater than or equal to 1"),
    ],
)
def test_devices_that_cannot_be(odd, run_folder, monkeypatch, changes, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match=line):
        fit(odd, settings(**changes), run_folder)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"devices": 4, "device": "cuda"}, "devices = 4: this machine has 2 GPUs; lower devices"),
        (
            {"devices": 2, "device": "cuda:1"},
            "device = 'cuda:1' is one GPU, devices = 2 are several; set device = 'cuda'",
        ),
    ],
)
def test_gpus_that_are_not_there(odd, run_folder, monkeypatch, changes, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=line):
        fit(odd, settings(**changes), run_folder)


def test_machine_without_a_place_among_the_others(odd, run_folder, monkeypatch):
    for name, value in {"NODE_RANK": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"num_nodes = 2: set NODE_RANK on every machine \(NODE_RANK from 0 to 1"):
        fit(odd, settings(num_nodes=2), run_folder)
