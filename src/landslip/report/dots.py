"""Points with intervals, drawn in HTML so that they read well at any width; positions in per cent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from landslip.report.model import Estimate
from landslip.report.words import interval, number, signed


@dataclass(frozen=True)
class Entry:
    """What is shown on one line: a label, the figure, its colour's name, and the paper's figure if any."""

    label: str
    estimate: Estimate
    color: str
    paper: float | None = None


@dataclass(frozen=True)
class Placed:
    """One line with positions along the axis in per cent."""

    label: str
    color: str
    at: float
    low: float | None
    span: float | None
    paper: float | None
    text: str


@dataclass(frozen=True)
class Tick:
    """A mark of the axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Dots:
    """A whole chart."""

    caption: str
    axis: str
    entries: tuple[Placed, ...]
    ticks: tuple[Tick, ...]
    zero: float | None = None
    legend: str = ""

    @property
    def value_width(self) -> int:
        """Characters of the longest figure, so that all axes are equally long."""
        return max(len(entry.text) for entry in self.entries)


def dots(entries: Sequence[Entry], *, caption: str, axis: str, legend: str = "", differences: bool = False) -> Dots:
    """Place entries on a common axis with round ticks.

    Parameters
    ----------
    entries
        At least one.
    caption, axis, legend
        Words around it.
    differences
        Values are differences: signs are shown and zero is on the axis.
    """
    values = [v for e in entries for v in (e.estimate.value, e.estimate.low, e.estimate.high, e.paper) if v is not None]
    if differences:
        values.append(0.0)
    start, stop, step = nice_axis(min(values), max(values))
    if not differences:  # scores live between 0 and 1
        start, stop = max(0.0, start), min(1.0, stop)

    def at(value: float) -> float:
        return round(100 * (value - start) / (stop - start), 3)

    placed = []
    for e in entries:
        low, high = e.estimate.low, e.estimate.high
        ends = (at(low), at(high)) if low is not None and high is not None else None
        placed.append(
            Placed(
                e.label,
                e.color,
                at(e.estimate.value),
                ends[0] if ends else None,
                round(ends[1] - ends[0], 3) if ends else None,
                at(e.paper) if e.paper is not None else None,
                _text(e.estimate, differences=differences),
            )
        )
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    show = signed if differences else number
    count = round((stop - start) / step)
    ticks = tuple(Tick(at(start + i * step), show(start + i * step, decimals)) for i in range(count + 1))
    return Dots(caption, axis, tuple(placed), ticks, at(0.0) if differences else None, legend)


def _text(estimate: Estimate, *, differences: bool) -> str:
    if not differences:
        span = interval(estimate)
        return f"{number(estimate.value)} ({span})" if span else number(estimate.value)
    if estimate.low is None or estimate.high is None:
        return signed(estimate.value)
    return f"{signed(estimate.value)} ({signed(estimate.low)} to {signed(estimate.high)})"


def nice_axis(low: float, high: float) -> tuple[float, float, float]:
    """Return start, stop and step of an axis with three to seven round ticks around ``low`` to ``high``."""
    width = max(high - low, 0.02)
    raw = width / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    start = math.floor((low - 0.02 * width) / step) * step
    stop = math.ceil((high + 0.02 * width) / step) * step
    return start, stop, step
