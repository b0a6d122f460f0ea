"""Finished bands of a long prediction, kept on disk until the raster is assembled; what ``--resume`` finds.

A band counts as done when its part is there. What it leaves for the next band (the sums on the rows that both
touch) is written before it, so that nothing has to be computed twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslip.errors import FormatError, OutputError
from landslip.files import PARTIAL, atomic_path, read_json, write_json
from landslip.files.arrays import open_arrays
from landslip.mapping.probability.blending import Band

PLAN = "plan.json"
ASSEMBLED = "assembled"


@dataclass(frozen=True)
class Apart:
    """A band that was predicted apart from those above it.

    Parameters
    ----------
    part
        ``(bands, rows, cols)`` float32: the finished band, but for the first rows, where bands above have a share.
    head
        ``(fields, rows, cols)`` int64 sums of its own windows on these first rows.
    carry
        ``(fields, rows, cols)`` int64 sums of its own windows on the rows that belong to later bands.
    """

    part: NDArray[np.float32]
    head: NDArray[np.int64]
    carry: NDArray[np.int64]


def remove_parts(out: Path) -> None:
    """Remove all parts below an output folder; nothing is touched where there are none."""
    if (out / PARTIAL).exists():
        shutil.rmtree(out / PARTIAL)


class Parts:
    """The ``.partial`` folder of one output.

    Parameters
    ----------
    out
        The output folder.
    plan
        All that decides about the result, as JSON types. A folder begun with another plan is not continued.
    resume
        Whether to continue what is there; else it is removed.

    Raises
    ------
    OutputError
        The parts found were made with other settings; the message names the first that differs.
    """

    def __init__(self, out: Path, plan: dict[str, Any], *, resume: bool) -> None:
        self.folder = out / PARTIAL
        if not resume:
            self.remove()
        elif (self.folder / PLAN).is_file():
            self._compare(read_json(self.folder / PLAN, what="interrupted map"), plan)
        if not (self.folder / PLAN).is_file():
            self.remove()
            write_json(self.folder / PLAN, plan)
        self.token = plan_token(plan)

    def _compare(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        now = json.loads(json.dumps(now))
        for key in now:
            if before.get(key) != now[key]:
                message = (
                    f"{self.folder.parent}: was begun with another {key} ({_short(before.get(key))}, "
                    f"now {_short(now[key])}); use the same, or run without --resume to begin anew"
                )
                raise OutputError(message)

    def done(self, bands: tuple[Band, ...]) -> int:
        """Return how many bands, from the top, are finished."""
        for band in bands:
            if not self._part(band).is_file():
                return band.number
        return len(bands)

    def write(self, band: Band, part: NDArray[np.float32], carry: NDArray[np.int64]) -> None:
        """Keep a finished band ``(fields, rows, cols)`` and what it leaves to the next."""
        for path, array in ((self._carry(band.number), carry), (self._part(band), part)):
            with atomic_path(path) as temporary, temporary.open("wb") as handle:
                np.save(handle, array, allow_pickle=False)
        self._carry(band.number - 1).unlink(missing_ok=True)
        apart_path(self.folder, self.token, band.number).unlink(missing_ok=True)

    def read(self, band: Band) -> NDArray[np.float32]:
        """Return a finished band."""
        part: NDArray[np.float32] = _load(self._part(band))
        return part

    def has_apart(self, band: Band) -> bool:
        """Whether the band was predicted apart and waits for those above it."""
        return apart_path(self.folder, self.token, band.number).is_file()

    def read_apart(self, band: Band) -> Apart | None:
        """Return a band that was predicted apart; None when there is none."""
        path = apart_path(self.folder, self.token, band.number)
        return _load_apart(path) if path.is_file() else None

    def carry(self, band: Band, fields: int, cols: int) -> NDArray[np.int64]:
        """Return what the bands above left on the first rows of ``band``, ``(fields, rows, cols)``."""
        if band.number == 0:
            return np.zeros((fields, 0, cols), np.int64)
        carried: NDArray[np.int64] = _load(self._carry(band.number - 1))
        return carried

    @property
    def assembled(self) -> bool:
        """Whether the parts have been put together."""
        return (self.folder / ASSEMBLED).is_file()

    def mark_assembled(self) -> None:
        """Note that the parts have been put together, and remove them."""
        write_json(self.folder / ASSEMBLED, {})
        for path in (*self.folder.glob("*.npy"), *self.folder.glob("apart-*.npz")):
            path.unlink()

    def remove(self) -> None:
        """Remove all parts."""
        remove_parts(self.folder.parent)

    def _part(self, band: Band) -> Path:
        return self.folder / f"band-{band.number:05d}.npy"

    def _carry(self, number: int) -> Path:
        return self.folder / f"carry-{number:05d}.npy"


def plan_token(plan: dict[str, Any]) -> str:
    """Tell the parts of one plan from those of any other."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]


def apart_path(folder: Path, token: str, number: int) -> Path:
    """Where a band that was predicted apart is kept.

    The plan's token is in the name, so that a worker that was given up and ends late cannot slip a part of
    an earlier plan into a later one.
    """
    return folder / f"apart-{token}-{number:05d}.npz"


def write_apart(folder: Path, token: str, number: int, apart: Apart) -> None:
    """Keep a band that was predicted apart, on a worker, in the folder of parts that the client holds.

    Raises
    ------
    OutputError
        The map has been given up or finished meanwhile, or the folder is another one here; it cannot be written.
    """
    if not (folder / PLAN).is_file():
        message = f"{folder.parent}: no map begun there; it was given up meanwhile, or workers do not share the folder"
        raise OutputError(message)
    with atomic_path(apart_path(folder, token, number)) as temporary, temporary.open("wb") as handle:
        np.savez(handle, part=apart.part, head=apart.head, carry=apart.carry)


def _load_apart(path: Path) -> Apart:
    with open_arrays(path, "part of an interrupted map is damaged; run again without --resume") as arrays:
        return Apart(arrays["part"], arrays["head"], arrays["carry"])


def _load(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as handle:
            array: NDArray[Any] = np.load(handle, allow_pickle=False)
    except (ValueError, EOFError, FileNotFoundError) as error:
        message = f"{path}: part of an interrupted map is damaged or gone; run again without --resume"
        raise FormatError(message) from error
    return array


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
