"""Whatever happens to a training, resuming it gives what an undisturbed one would have given."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landslip.bundle import Bundle
from landslip.errors import ConfigError, FormatError, MissingInputError, OutputError
from landslip.training import fit
from landslip.training.record import Record

RESULTS = ("model.safetensors", "model.json", "metrics.csv", "config.toml")


class InterruptedTrainingError(Exception):
    pass


class StopAfter:
    """A progress listener that raises after so many advances of the training's bar."""

    def __init__(self, advances: int, error: type[BaseException] = InterruptedTrainingError) -> None:
        self.left, self.error = advances, error

    @contextlib.contextmanager
    def task(self, label, total=None):
        yield self

    def advance(self, amount=1.0, *, note=""):
        if amount:
            self.left -= 1
        if self.left == 0:
            raise self.error


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


@pytest.fixture(scope="module")
def undisturbed(tiles, tmp_path_factory):
    from landslip.training import TrainConfig

    config = TrainConfig(model_options={"width": 4}, epochs=3, batch=3, precision="float32", device="cpu")
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    fit(tiles, config, folder)
    return results(folder)


@pytest.mark.parametrize("advances", [1, 4, 7, 9])
def test_resumed_training_is_the_undisturbed_one(tiles, config, run_folder, undisturbed, advances):
    with pytest.raises(InterruptedTrainingError):
        fit(tiles, config, run_folder, progress=StopAfter(advances))
    assert not (run_folder / "model.json").exists()
    fit(tiles, config, run_folder, resume=True)
    assert results(run_folder) == undisturbed


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tiles, config, run_folder, undisturbed, tmp_path):
    fit(tiles, config, run_folder)
    assert results(run_folder) == undisturbed
    fit(tiles, config.model_copy(update={"seed": 1}), tmp_path / "other")
    assert results(tmp_path / "other")["model.safetensors"] != undisturbed["model.safetensors"]


def test_interrupt_key_ends_as_an_interruption_and_can_be_resumed(tiles, config, run_folder, undisturbed):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(tiles, config, run_folder, progress=StopAfter(5, KeyboardInterrupt))
    assert signal.getsignal(signal.SIGINT) is handler
    fit(tiles, config, run_folder, resume=True)
    assert results(run_folder) == undisturbed


def test_a_killed_process_can_be_resumed(tiles, config, run_folder, undisturbed, tmp_path):
    tiles.save(tmp_path / "tiles.npz")
    code = f"""
import torch
torch.set_num_threads(1)
from landslip.data.tileset import TileSet
from landslip.training import TrainConfig, fit
from landslip.training import loop
first = loop.Recorder.on_train_epoch_end
def slow(self, *arguments):
    first(self, *arguments)
    import time
    time.sleep(60)
loop.Recorder.on_train_epoch_end = slow
fit(TileSet.load({str(tmp_path / "tiles.npz")!r}), TrainConfig.from_dict({config.to_dict()!r}), {str(run_folder)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not (run_folder / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (run_folder / "metrics.csv").read_text().count("\n") == 2
    fit(tiles, config, run_folder, resume=True)
    assert results(run_folder) == undisturbed


def interrupted(tiles, config, folder):
    with pytest.raises(InterruptedTrainingError):
        fit(tiles, config, folder, progress=StopAfter(5))


def test_a_setting_that_did_not_exist_yet_counts_as_what_was_done_without_it(config, tmp_path):
    begun = Record({k: v for k, v in config.decisive().items() if k != "prior_bias"}, "data")
    old = {"settings": begun.settings, "data": "data"}
    Record(config.model_copy(update={"prior_bias": False}).decisive(), "data").require_same(old, tmp_path)
    with pytest.raises(ConfigError, match="begun with prior_bias = False, now True; go back to it"):
        Record(config.decisive(), "data").require_same(old, tmp_path)


def test_resuming_with_other_settings_or_data_is_refused(tiles, config, run_folder):
    interrupted(tiles, config, run_folder)
    with pytest.raises(ConfigError, match="begun with batch = 3, now 2; go back to it, or choose another --out"):
        fit(tiles, config.model_copy(update={"batch": 2}), run_folder, resume=True)
    with pytest.raises(ConfigError, match="begun with other training data; use the same data"):
        fit(tiles.subset(tiles.key != tiles.key[0]), config, run_folder, resume=True)
    with pytest.raises(OutputError, match="holds a run already"):
        fit(tiles, config, run_folder)


def test_damaged_checkpoint_is_refused(tiles, config, run_folder):
    interrupted(tiles, config, run_folder)
    path = run_folder / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FormatError, match=r"last\.ckpt: damaged; delete the run folder and train again"):
        fit(tiles, config, run_folder, resume=True)


def test_unfinished_run_is_no_run_yet(tiles, config, run_folder):
    interrupted(tiles, config, run_folder)
    with pytest.raises(MissingInputError, match=r"not a finished run \(no model\.json in it\)"):
        Bundle.load(run_folder)


def test_checkpoint_holds_tensors_and_plain_types_only(tiles, config, run_folder):
    import torch

    interrupted(tiles, config, run_folder)
    content = torch.load(run_folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(content["landslip"]["rows"]) == 1
