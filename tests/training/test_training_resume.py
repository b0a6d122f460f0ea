"""Whatever happens to a training, resuming it gives what an undisturbed one would have given."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landslip.errors import ConfigError, FormatError, MissingInputError, OutputError
from landslip.bundle import Bundle
from landslip.training import fit

RESULTS = ("model.safetensors", "model.json", "metrics.csv", "config.toml")


class Interrupted(Exception):
    pass


class StopAfter:
    """A progress listener that raises after so many advances of the training's bar."""

    def __init__(self, advances: int, error: type[BaseException] = Interrupted) -> None:
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
    with pytest.raises(Interrupted):
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
