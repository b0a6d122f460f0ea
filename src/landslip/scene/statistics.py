"""Statistics of a scene gathered while it is written: percentiles of reflectance, valid shares, sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
"""For percentiles every fourth row and column is looked at: a sixteenth of the pixels tells the same."""

LOW, HIGH, BINS = -0.5, 2.0, 5000
TOO_DARK, TOO_BRIGHT = -0.02, 0.1
"""Bounds for the 1st percentile of a visible band; beyond them the offset is probably wrong."""


class LayerTally:
    """Counts, sums and a histogram of each layer, window by window.

    Parameters
    ----------
    layers
        Names, in the order of the windows' first axis.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        self.layers = tuple(layers)
        self.pixels = 0
        self.valid = np.zeros(len(layers), np.int64)
        self._histogram = np.zeros((len(layers), BINS + 2), np.int64)

    def add(self, pixels: NDArray[np.float32]) -> None:
        """Take in a window ``(layers, rows, cols)``."""
        self.pixels += pixels[0].size
        for index, layer in enumerate(pixels):
            self.valid[index] += np.count_nonzero(np.isfinite(layer))
            sample = layer[::STRIDE, ::STRIDE]
            values = sample[np.isfinite(sample)]
            position = ((values - LOW) * (BINS / (HIGH - LOW))).astype(np.int64) + 1
            self._histogram[index] += np.bincount(np.clip(position, 0, BINS + 1), minlength=BINS + 2)

    def percentile(self, layer: str, percent: float) -> float | None:
        """Return a percentile between -0.5 and 2 (reflectance) of a layer; None without valid pixels."""
        counts = self._histogram[self.layers.index(layer)]
        total = int(counts.sum())
        if total == 0:
            return None
        position = int(np.searchsorted(np.cumsum(counts), percent / 100 * total, side="left"))
        return float(LOW + (np.clip(position, 1, BINS) - 0.5) * (HIGH - LOW) / BINS)

    def valid_share(self) -> dict[str, float]:
        """Return the valid part of each layer, 0 to 1."""
        return {
            name: round(float(count / max(1, self.pixels)), 4)
            for name, count in zip(self.layers, self.valid, strict=True)
        }


def implausible(tally: LayerTally, names: Sequence[str]) -> list[str]:
    """Say which visible bands look as if their offset or quantification were wrong.

    Parameters
    ----------
    tally
        Of the finished scene.
    names
        Visible bands to look at (``blue``, ``pre_red`` …).

    Returns
    -------
    list of str
        One sentence per image at most.
    """
    remarks = []
    for prefix, what, option in (("", "image", "--offset"), ("pre_", "pre-event image", "--pre-offset")):
        mine = [name for name in names if name.startswith("pre_") == bool(prefix)]
        low = {name: value for name in mine if (value := tally.percentile(name, 1)) is not None}
        dark = {name: value for name, value in low.items() if value < TOO_DARK}
        bright = {name: value for name, value in low.items() if value > TOO_BRIGHT}
        for found, bound, guess in ((dark, TOO_DARK, "was subtracted twice"), (bright, TOO_BRIGHT, "was left out")):
            if found:
                values = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
                side = "below" if found is dark else "above"
                haze = "" if found is dark else ", or haze, cloud or snow covers it"
                remarks.append(
                    f"{what}: 1st percentile of {values} is {side} {bound:g}: perhaps an offset {guess}{haze}; "
                    f"check {option}"
                )
    return remarks


def shares(counts: dict[str, int], total: int) -> dict[str, Any]:
    """Divide counts by a total, rounded for the record."""
    return {name: round(count / max(1, total), 4) for name, count in counts.items()}
