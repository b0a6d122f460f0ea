"""Curves in trackers: TensorBoard's event files read back, and MLflow's calls, with a package of its name."""

import contextlib
import json
import logging
import sys

import pytest

from landslip.bundle import Bundle
from landslip.errors import ConfigError
from landslip.training import TrainConfig, fit
from landslip.training.tracker import require_tracker

RESULTS = ("model.safetensors", "model.json", "metrics.csv")

MLFLOW = """
import json, os, types
from pathlib import Path

LOG = Path(os.environ["FAKE_MLFLOW"])
BROKEN = os.environ.get("FAKE_MLFLOW_BROKEN", "")


def tell(call, **content):
    if call == BROKEN:
        raise ConnectionError("no answer\\nfrom the server")
    with LOG.open("a") as file:
        file.write(json.dumps({"call": call, **content}) + "\\n")


def get_tracking_uri():
    return "sqlite:///mlflow.db"


def set_tracking_uri(uri):
    tell("uri", uri=uri)


class MlflowClient:
    def __init__(self, uri):
        pass

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name, artifact_location=None):
        tell("experiment", name=name)
        return "7"

    def create_run(self, experiment_id, tags):
        tell("run", tags=tags)
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))

    def get_run(self, run_id):
        return types.SimpleNamespace(info=types.SimpleNamespace(experiment_id="7"))

    def log_batch(self, run_id, metrics=(), params=()):
        tell("batch", run=run_id, params={one.key: one.value for one in params},
             metrics={one.key: [one.step, one.value] for one in metrics})

    def set_terminated(self, run_id, status):
        tell("end", run=run_id, status=status)
"""


class InterruptedTrainingError(Exception):
    pass


class StopAfter:
    """A progress listener that raises after so many advances."""

    def __init__(self, advances, error=InterruptedTrainingError):
        self.left, self.error = advances, error

    @contextlib.contextmanager
    def task(self, label, total=None):
        yield self

    def advance(self, amount=1.0, *, note=""):
        self.left -= bool(amount)
        if self.left == 0:
            raise self.error


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """A package that writes down what it is told; returns the calls so far."""
    files = {
        "__init__.py": MLFLOW,
        "entities.py": "from types import SimpleNamespace as Metric\nParam = Metric\n",
        "tracking/__init__.py": "from mlflow import MlflowClient\n",
        "tracking/context/__init__.py": "",
        "tracking/context/registry.py": "def resolve_tags(tags):\n    return tags\n",
        "utils/__init__.py": "",
        "utils/mlflow_tags.py": 'MLFLOW_RUN_NAME = "name"\n',
    }
    package = tmp_path / "site" / "mlflow"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "mlflow"}
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr("lightning.pytorch.loggers.mlflow._MLFLOW_AVAILABLE", True)
    monkeypatch.setenv("FAKE_MLFLOW", str(tmp_path / "calls"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    for name in [one for one in sys.modules if one.partition(".")[0] == "mlflow"]:
        del sys.modules[name]
    sys.modules.update(before)


SHORT = {"epochs": 2, "prior_bias": False}
"""From the share of landslide, two epochs do not lead to a single landslide, whose precision could be drawn."""


def with_tracker(config: TrainConfig, tracker: str, **more) -> TrainConfig:
    return config.model_copy(update={"tracker": tracker, **SHORT, **more})


def results(folder):
    return {name: (folder / name).read_bytes() for name in RESULTS}


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}, found


@pytest.fixture(scope="module")
def untracked(tiles, tmp_path_factory):
    config = TrainConfig(model_options={"width": 4}, **SHORT, batch=3, precision="float32", device="cpu")
    folder = tmp_path_factory.mktemp("untracked") / "run"
    bundle = fit(tiles, config, folder)
    return results(folder), bundle


def rows(folder):
    lines = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@pytest.mark.parametrize("advances", [None, 4])
def test_tensorboard_has_the_curves_of_metrics_csv_in_one_piece(tiles, config, run_folder, untracked, advances):
    config = with_tracker(config, "tensorboard")
    if advances:
        with pytest.raises(InterruptedTrainingError):
            fit(tiles, config, run_folder, progress=StopAfter(advances))
        assert len(rows(run_folder)) == 1
    bundle = fit(tiles, config, run_folder, resume=bool(advances))
    assert results(run_folder) == untracked[0]
    scalars, found = events(run_folder)
    for name in ("learning_rate", "train_loss", "train_f1", "validation_precision", "validation_recall"):
        drawn = scalars[name if name == "learning_rate" else name.replace("_", "/", 1)]
        told = [(int(row["epoch"]), pytest.approx(float(row[name]), rel=1e-6)) for row in rows(run_folder) if row[name]]
        assert drawn == told
    assert scalars["final/threshold"][0][1] == pytest.approx(bundle.threshold)
    assert scalars["final/test_f1"][0][1] == pytest.approx(bundle.scores["test"]["at_threshold"]["f1"])
    plugin = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"learning_rate" in plugin
    assert b"tracker" not in plugin


def test_mlflow_gets_settings_epochs_and_scores(tiles, config, tmp_path, untracked, mlflow):
    folder = tmp_path / "study" / "runs" / "unet" / "seed0"
    bundle = fit(tiles, with_tracker(config, "mlflow:http://server:5000"), folder)
    assert results(folder) == untracked[0]
    calls = mlflow()
    assert [call["call"] for call in calls] == ["uri", "experiment", "run", "batch", "batch", "batch", "batch", "end"]
    assert calls[0]["uri"] == "http://server:5000"
    assert calls[1]["name"] == "landslip"
    assert calls[2]["tags"] == {"name": "unet/seed0"}
    params, first, second, final = (call for call in calls if call["call"] == "batch")
    assert (params["params"]["loss"], params["params"]["model_options/width"]) == ("bce", "4")
    for call, row in zip((first, second), rows(folder), strict=True):
        assert call["metrics"]["train/loss"] == [int(row["epoch"]), float(row["train_loss"])]
        assert call["metrics"]["learning_rate"] == [int(row["epoch"]), float(row["learning_rate"])]
    assert final["metrics"]["final/threshold"] == [0, bundle.threshold]
    assert calls[-1] == {"call": "end", "run": "abc", "status": "FINISHED"}


def test_mlflow_goes_on_in_the_same_run_and_gets_what_it_missed(tiles, config, run_folder, untracked, mlflow):
    config = with_tracker(config, "mlflow")
    with pytest.raises(KeyboardInterrupt):
        fit(tiles, config, run_folder, progress=StopAfter(4, KeyboardInterrupt))
    assert mlflow()[-1] == {"call": "end", "run": "abc", "status": "KILLED"}
    state = json.loads((run_folder / "tracker.json").read_text())
    assert (state["run"], state["epochs"]) == ("abc", 1)
    (run_folder / "tracker.json").write_text(json.dumps(state | {"epochs": 0}))  # as if killed before the server heard
    before = len(mlflow())
    fit(tiles, config, run_folder, resume=True)
    assert results(run_folder) == untracked[0]
    calls = mlflow()[before:]
    assert [call["call"] for call in calls] == ["uri", "batch", "batch", "batch", "end"]
    assert calls[0]["uri"] == "sqlite:///mlflow.db"
    assert [call["metrics"].get("train/loss", [None])[0] for call in calls[1:3]] == [1, 2]
    assert {call["run"] for call in calls[1:]} == {"abc"}


@pytest.mark.parametrize("broken", ["uri", "batch", "end"])
def test_a_tracker_that_fails_is_told_once_and_the_training_goes_on(
    tiles, config, run_folder, untracked, mlflow, monkeypatch, caplog, broken
):
    monkeypatch.setenv("FAKE_MLFLOW_BROKEN", broken)
    with caplog.at_level(logging.WARNING, logger="landslip"):
        fit(tiles, with_tracker(config, "mlflow"), run_folder)
    assert results(run_folder) == untracked[0]
    message = "tracker 'mlflow' does not work (ConnectionError: no answer); the training goes on without it"
    assert [record.getMessage() for record in caplog.records if "tracker" in record.getMessage()] == [message]


def test_a_training_can_go_on_with_another_tracker(tiles, config, run_folder, untracked):
    with pytest.raises(InterruptedTrainingError):
        fit(tiles, with_tracker(config, ""), run_folder, progress=StopAfter(4))
    fit(tiles, with_tracker(config, "tensorboard"), run_folder, resume=True)
    assert results(run_folder) == untracked[0]
    assert [step for step, _ in events(run_folder)[0]["validation/loss"]] == [1, 2]
    assert Bundle.load(run_folder).training["settings"] == untracked[1].training["settings"]


def test_a_package_that_is_not_there_is_named(tiles, config, run_folder, monkeypatch, tmp_path):
    for name in ("mlflow", "tensorboard"):
        (tmp_path / name).mkdir()  # a folder of that name is no package
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    for tracker in ("mlflow:sqlite:///runs.db", "tensorboard"):
        message = (
            f"tracker = '{tracker}' needs the package {tracker.partition(':')[0]}; pip install 'landslip.tracker.'"
        )
        with pytest.raises(ConfigError, match=message):
            fit(tiles, with_tracker(config, tracker), run_folder)
    assert not run_folder.exists()
    require_tracker("")


@pytest.mark.parametrize("tracker", ["wandb", "mlflow:", "Tensorboard", "tensorboard:x"])
def test_unknown_trackers_are_refused(tracker):
    message = f"'tracker': '{tracker}' is no tracker; use 'tensorboard', 'mlflow', 'mlflow:URI', or leave it out"
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict({"tracker": tracker})
