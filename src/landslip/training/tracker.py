"""The curves of a training for a tracker that people use, TensorBoard or MLflow, through Lightning's loggers.

What goes wrong there is told once; it never changes a training, nor ends one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from landslip.bundle import run_name
from landslip.errors import ConfigError
from landslip.files import FORMAT, read_json, write_json
from landslip.training.calm import calm
from landslip.training.record import Record, Row

log = logging.getLogger(__name__)

STATE = "tracker.json"
"""File in a run folder: which tracker has how many epochs, and under which number MLflow knows the run."""

_FOLDER = "tensorboard"
_EXPERIMENT = "landslip"
_SCORES = ("precision", "recall", "f1", "iou")

# a server that does not answer holds a training up for a minute, not for a quarter of an hour as by default
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def require_tracker(tracker: str) -> None:
    """Refuse a tracker whose package is not there.

    Raises
    ------
    ConfigError
        Names the package and how to install it.
    """
    package = tracker.partition(":")[0]
    found = importlib.util.find_spec(package) if package else None
    if package and (found is None or found.origin is None):  # a mere folder of that name has no origin
        message = (
            f"tracker = {tracker!r} needs the package {package}; pip install 'landslip[tracker]', or leave tracker out"
        )
        raise ConfigError(message)


@contextlib.contextmanager
def tracking(tracker: str, folder: Path, record: Record) -> Iterator[Tracker]:
    """Track one training, in its first process.

    Parameters
    ----------
    tracker
        As in :class:`landslip.training.TrainConfig`; empty for none.
    folder
        The run folder.
    record
        Its settings, and the epochs that are done: those that the tracker has not got yet it gets now.
    """
    if not tracker:
        yield UNTRACKED
        return
    one = Tracker(tracker, folder)
    one.begin(record)
    try:
        yield one
    except BaseException as error:
        one.close("KILLED" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    one.close("success")


class Tracker:
    """Takes epochs and results to a tracker until something goes wrong there.

    Parameters
    ----------
    name
        ``tensorboard``, ``mlflow``, ``mlflow:URI``; empty for a tracker that does nothing.
    folder
        The run folder.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._settings: dict[str, Any] = {}
        self._logger: Any = None
        self._lost = not name

    def begin(self, record: Record) -> None:
        """Open the run there, or go on with it, and hand over the epochs that are missing there."""
        self._settings = record.settings

        def work() -> None:
            done, run = self._known() if record.rows else (0, None)
            self._logger = _logger(self._name, self._folder, run)
            if run is None:
                self._logger.log_hyperparams(self._settings)
            for row in record.rows[done:]:
                self._log(row)

        self._try(work)

    def epoch(self, row: Row) -> None:
        """Hand over an epoch."""
        self._try(lambda: self._log(row))

    def results(self, threshold: float, scores: Mapping[str, Any]) -> None:
        """Hand over the threshold, and precision, recall, F1 and IoU of each part at it."""
        final = {"final/threshold": threshold}
        for part, entry in scores.items():
            final |= {f"final/{part}_{name}": entry["at_threshold"][name] for name in _SCORES}
        final = {name: value for name, value in final.items() if value is not None}

        def work() -> None:
            if self._name == "tensorboard":  # its table of runs needs settings and scores together
                self._logger.log_hyperparams(self._settings, final)
            else:
                self._logger.log_metrics(final)

        self._try(work)

    def close(self, status: str) -> None:
        """End the run there as ``success``, ``failed`` or ``KILLED``."""
        self._try(lambda: self._logger.finalize(status))

    def _log(self, row: Row) -> None:
        self._logger.log_metrics(curves(row), step=int(row["epoch"]))
        if self._name == "tensorboard":
            self._logger.experiment.flush()
        run = None if self._name == "tensorboard" else self._logger.version
        content = {"format": FORMAT, "tracker": self._name, "run": run, "epochs": int(row["epoch"])}
        write_json(self._folder / STATE, content)

    def _known(self) -> tuple[int, str | None]:
        """Return how many epochs the tracker has, and its name for the run."""
        if not (self._folder / STATE).is_file():
            return 0, None
        content = read_json(self._folder / STATE, what="state of the tracker")
        if content["tracker"] != self._name:
            return 0, None
        return int(content["epochs"]), content["run"]

    def _try(self, work: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            with calm(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other libraries, for their developers
                work()
        except Exception as error:  # whatever happens there is not worth a training
            self._lost = True
            reason = next(iter(str(error).splitlines()), "")
            text = "tracker %r does not work (%s: %s); the training goes on without it"
            log.warning(text, self._name, type(error).__name__, reason)


UNTRACKED = Tracker("", Path())
"""Does nothing."""


def curves(row: Row) -> dict[str, float]:
    """Name what is drawn of an epoch: ``learning_rate``, ``train/loss`` … ``validation/f1``, as defined."""
    found = {}
    for name, value in row.items():
        if name not in ("epoch", "updates") and value is not None:
            part, _, score = name.partition("_")
            found[f"{part}/{score}" if part in ("train", "validation") else name] = float(value)
    return found


def _logger(name: str, folder: Path, run: str | None) -> Any:  # noqa: ANN401 - one of Lightning's, without a common type
    from lightning.pytorch import loggers

    if name == "tensorboard":
        return loggers.TensorBoardLogger(folder, name=_FOLDER, version="", default_hp_metric=False)
    import mlflow

    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    return loggers.MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT,
        run_name=run_name(folder.resolve()),
        tracking_uri=name.partition(":")[2] or mlflow.get_tracking_uri(),  # Lightning's own default is refused by now
        run_id=run,
    )
