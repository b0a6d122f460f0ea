"""What a training leaves behind while it runs: metrics by epoch, the best weights, the state to resume from."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landslip.bundle import MODEL
from landslip.errors import ConfigError, FormatError, OutputError
from landslip.files import atomic_path, write_text

LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
METRICS = "metrics.csv"
_BATCH = ("batch", "devices", "num_nodes")

"""Settings of which only the product matters for what comes out."""

_BEFORE = {"prior_bias": False}
"""What settings came to in runs that were begun before these existed."""


Row = dict[str, Any]
"""One epoch: its number, updates so far, learning rate, then losses and scores; None where undefined."""

COLUMNS = (
    "epoch",
    "updates",
    "learning_rate",
    *(f"{part}_{score}" for part in ("train", "validation") for score in ("loss", "precision", "recall", "f1")),
)


@dataclass
class Record:
    """Rows of the epochs done, for which settings and data.

    Parameters
    ----------
    settings
        The training's settings as JSON types.
    data
        Fingerprint of the tiles.
    rows
        One per epoch.
    """

    settings: dict[str, Any]
    data: str
    rows: list[Row] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return len(self.rows)

    @property
    def best_epoch(self) -> int:
        """Epoch of the smallest validation loss, from 1, the first among equals; 0 before the first."""
        best = min(self.rows, key=lambda entry: float(entry["validation_loss"]), default={"epoch": 0})
        return int(best["epoch"])

    def add(self, entry: Row) -> bool:
        """Append an epoch; return whether it is the best so far."""
        self.rows.append(entry)
        return self.best_epoch == int(entry["epoch"])

    def exhausted(self, patience: int | None) -> bool:
        """Whether ``patience`` epochs have gone by without a better one."""
        return patience is not None and self.epochs - self.best_epoch >= patience

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {"settings": self.settings, "data": self.data, "rows": self.rows}

    def write_metrics(self, folder: Path) -> None:
        """Write ``metrics.csv``."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(folder / METRICS, text.getvalue())

    def save_best(self, folder: Path, network: nn.Module) -> None:
        """Write the weights as those of the best epoch so far."""
        state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
        with atomic_path(folder / BEST) as temporary:
            torch.save({"epoch": self.best_epoch, "state_dict": state}, temporary)

    def load_best(self, folder: Path, network: nn.Module) -> None:
        """Put the weights of the best epoch into the network."""
        found = torch.load(folder / BEST, map_location="cpu", weights_only=True)
        network.load_state_dict(found["state_dict"])

    def resume(self, folder: Path) -> None:
        """Take over the epochs of an interrupted training with the same settings on the same tiles.

        Raises
        ------
        FormatError
            The checkpoint is damaged.
        ConfigError
            It was made with other settings or other data.
        """
        path = folder / LAST
        if not path.is_file() or not (folder / BEST).is_file():
            return
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["landslip"]
        except Exception as error:  # a damaged file fails in many ways
            message = f"{path}: damaged; delete the run folder and train again without --resume"
            raise FormatError(message) from error
        self.require_same(found, folder)
        self.rows = list(found["rows"])

    def require_same(self, other: Mapping[str, Any], folder: Path) -> None:
        """Refuse to go on with what was made with other settings or from other tiles.

        The number of processes may change as long as they see as many tiles per update together.

        Raises
        ------
        ConfigError
            Names the first setting that differs, or the data.
        """
        settings = other["settings"]
        if _tiles_per_update(self.settings) != _tiles_per_update(settings):
            _refuse_batch(settings, self.settings, folder)
        for name in sorted((self.settings.keys() | settings.keys()) - set(_BATCH)):
            old, new = (one.get(name, _BEFORE.get(name)) for one in (settings, self.settings))
            if old != new:
                message = f"{folder}: begun with {name} = {old!r}, now {new!r}; go back to it, or choose another --out"
                raise ConfigError(message)
        if other["data"] != self.data:
            message = f"{folder}: begun with other training data; use the same data, or choose another --out"
            raise ConfigError(message)


def require_no_run(folder: Path) -> None:
    """Refuse a folder that holds a run, finished or not.

    Raises
    ------
    OutputError
        It does.
    """
    if (folder / MODEL).exists() or (folder / "checkpoints").exists():
        message = f"{folder}: holds a run already; choose another --out, or go on with --resume"
        raise OutputError(message)


def _tiles_per_update(settings: Mapping[str, Any]) -> int:
    return math.prod(int(settings.get(name, 1)) for name in _BATCH)


def _refuse_batch(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    if all(old.get(name, 1) == new.get(name, 1) for name in _BATCH[1:]):
        message = f"{folder}: begun with batch = {old['batch']}, now {new['batch']}; go back to it, "
    else:
        message = (
            f"{folder}: begun with {_tiles_per_update(old)} tiles per update (batch x devices x num_nodes), now "
            f"{_tiles_per_update(new)}; set batch so that they are as many, "
        )
    raise ConfigError(message + "or choose another --out")


def row(
    epoch: int, updates: int, rate: float, train: tuple[float, int, int, int], validation: tuple[float, int, int, int]
) -> Row:
    """Make the row of an epoch from loss, TP, FP and FN of both parts."""
    entry: Row = {"epoch": epoch, "updates": updates, "learning_rate": rate}
    for part, (loss, tp, fp, fn) in (("train", train), ("validation", validation)):
        entry[f"{part}_loss"] = loss
        entry[f"{part}_precision"] = tp / (tp + fp) if tp + fp else None
        entry[f"{part}_recall"] = tp / (tp + fn) if tp + fn else None
        entry[f"{part}_f1"] = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    return entry
