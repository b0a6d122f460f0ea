"""What a dry run tells: the runs of a study, how many are finished, and time and memory of those that are left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from landslip.wording import counted


@dataclass(frozen=True)
class RowEstimate:
    """What one row will take.

    Parameters
    ----------
    name, label, model
        The row.
    layers, tiles, updates, parameters
        Of one run (first seed, first fold).
    runs
        Seeds times folds.
    seconds
        Of all its runs that are left together; None for the random forest, which is not probed.
    finished
        How many of its runs are.
    """

    name: str
    label: str
    model: str
    layers: int
    tiles: int
    updates: int
    parameters: int
    runs: int
    seconds: float | None
    finished: int = 0


@dataclass(frozen=True)
class Estimate:
    """Outcome of a dry run.

    Parameters
    ----------
    rows
        One estimate per row.
    memory_mib
        Largest resident memory while probing.
    tiles_mib
        Of that, the tiles of one fold.
    gpu_mib
        Largest GPU memory while probing; None without a GPU.
    """

    rows: tuple[RowEstimate, ...]
    memory_mib: float
    tiles_mib: float
    gpu_mib: float | None = None
    remarks: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """All runs that are left, one after another."""
        return sum(row.seconds or 0.0 for row in self.rows)

    @property
    def runs(self) -> int:
        """Count the runs, finished or not."""
        return sum(row.runs for row in self.rows)

    @property
    def finished(self) -> int:
        """Count the runs that are finished."""
        return sum(row.finished for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON types."""
        return {
            "seconds": self.seconds,
            "runs": self.runs,
            "finished": self.finished,
            "memory_mib": self.memory_mib,
            "gpu_mib": self.gpu_mib,
            "rows": [vars(row) for row in self.rows],
            "remarks": list(self.remarks),
        }

    def text(self) -> str:
        """Return the estimate as a table."""
        width = max(len(row.label) for row in self.rows)
        begun = self.finished > 0
        lines = [f"{'':{width}}  layers  tiles  updates  parameters  runs  {'finished  ' if begun else ''}time"]
        for row in self.rows:
            finished = f"{row.finished:>8}  " if begun else ""
            lines.append(
                f"{row.label:{width}}  {row.layers:>6}  {row.tiles:>5}  {row.updates:>7}  {row.parameters:>10,}  "
                f"{row.runs:>4}  {finished}{_time(row)}"
            )
        memory = f"memory about {self.memory_mib:,.0f} MiB (tiles {self.tiles_mib:,.0f} MiB)"
        if self.gpu_mib is not None:
            memory += f", GPU {self.gpu_mib:,.0f} MiB"
        told = f"about {in_words(self.seconds)} one after another"
        if begun:
            left = self.runs - self.finished
            ahead = f"{left} left: {told}" if left else "none is left"
            told = f"{self.finished} of {counted(self.runs, 'run')} finished, {ahead}"
        lines += ["", f"{told}; {memory}", *self.remarks]
        return "\n".join(lines)


def _time(row: RowEstimate) -> str:
    if row.runs == row.finished:
        return "none left"
    return "not probed" if row.seconds is None else in_words(row.seconds)


def in_words(seconds: float) -> str:
    """Write a duration with two figures that matter."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
