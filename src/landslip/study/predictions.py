"""A run's probabilities on the test tiles, in a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslip.files import atomic_path
from landslip.files.arrays import open_arrays

SCORES = "scores.json"
PREDICTIONS = "predictions.npz"


def load_predictions(path: Path) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Read a run's test predictions: index of each tile, probability ``(n, size, size)``.

    Raises
    ------
    FormatError
        Absent or damaged.
    """
    damaged = f"predictions absent or damaged; remove {path.parent / SCORES} and run again with --resume"
    with open_arrays(path, damaged) as content:
        return content["index"], content["probability"]


def save_predictions(path: Path, index: NDArray[np.int32], probability: NDArray[np.float16]) -> None:
    """Write what :func:`load_predictions` reads, the same bytes for the same content."""
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped,
    ):
        for name, array in (("index", index), ("probability", probability)):
            # fixed times keep bytes equal for equal content
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with zipped.open(info, "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, np.ascontiguousarray(array), allow_pickle=False)
