"""What a report knows about a study: plain values, read from its folder, with nothing recomputed.

Optional parts are empty where the study has none; the report then has no such section.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAPPED = "mapped landslides (inventory)"
"""Name of the curve of the inventory's landslides, which are taken as the truth."""

LAW = "inverse-gamma law (Malamud et al. 2004)"
"""Name of the curve that landslide areas follow on average, drawn for orientation."""

Role = Literal["baseline", "model", "attention", "data", "control", "attention-control", "forest", "other"]
"""What a row stands for in the paper's question."""

SUPPORTED_AT = 0.05
"""Level of the tests after Holm's correction."""

FEWEST_BLOCKS = 20
"""With fewer spatial blocks in the test part, an interval is not trusted and nothing is claimed."""


@dataclass(frozen=True)
class Estimate:
    """A figure and, where it was measured, its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.low is not None and self.high is not None

    def bare(self) -> Estimate:
        """Return the figure alone."""
        return Estimate(self.value)


def _supported(estimate: Estimate, p_holm: float | None) -> bool:
    if estimate.low is None or estimate.high is None:
        return False
    excludes_zero = estimate.low > 0 or estimate.high < 0
    return excludes_zero and (p_holm is None or p_holm < SUPPORTED_AT)


@dataclass(frozen=True)
class Row:
    """One row of the comparison: a network trained on one kind of data, by one or more seeds.

    Parameters
    ----------
    name
        Folder name under ``runs/``.
    label
        How the row is called in tables.
    role
        What it stands for in the paper's question.
    paper
        Key of its figures in :data:`landslip.report.paper.TABLE_1`, or None.
    scores
        Part (``train``, ``validation``, ``test``) to metric (``f1``, ``loss`` …) to estimate, at threshold 0.5.
    chosen
        The same on the test part at the threshold chosen on validation.
    threshold
        Mean of the thresholds that the runs chose on validation.
    runs
        One record per seed and fold, as in ``study.json``.
    facts
        Settings of this row as in ``study.json``: ``model``, ``layers``, ``augment``, ``levers``, ``parameters`` …
    """

    name: str
    label: str
    role: Role = "other"
    paper: str | None = None
    seeds: tuple[int, ...] = ()
    scores: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    chosen: dict[str, Estimate] = field(default_factory=dict)
    threshold: float | None = None
    runs: tuple[dict[str, Any], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def score(self, metric: str, part: str = "test") -> Estimate | None:
        """Return one score at threshold 0.5, or None where it was not measured."""
        return self.scores.get(part, {}).get(metric)


@dataclass(frozen=True)
class Comparison:
    """F1 of row ``a`` less F1 of row ``b`` on the same draws of blocks and seeds."""

    a: str
    b: str
    difference: Estimate
    p: float | None = None
    p_holm: float | None = None

    @property
    def supported(self) -> bool:
        """Whether the interval leaves zero out and the corrected test agrees."""
        return _supported(self.difference, self.p_holm)

    def reversed(self) -> Comparison:
        """Return the same comparison seen from the other row."""
        d = self.difference
        turned = Estimate(-d.value, None if d.high is None else -d.high, None if d.low is None else -d.low)
        return Comparison(self.b, self.a, turned, self.p, self.p_holm)


@dataclass(frozen=True)
class Curve:
    """A line for a figure, of one row or of the reference (``row`` None)."""

    row: str | None
    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    size: NDArray[np.float64] | None = None
    """Weight of each point: pixels in a bin."""
    area: Estimate | None = None
    """The figure that sums the curve up: area under it, or calibration error."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Further figures behind it, such as the median and the number of landslides."""


@dataclass(frozen=True)
class History:
    """Training curves of one row over its seeds: metric to ``(seeds, epochs)``, NaN where a run was shorter."""

    row: str
    epochs: NDArray[np.float64]
    values: dict[str, NDArray[np.float64]]
    best_epoch: tuple[int, ...] = ()


@dataclass(frozen=True)
class SizeClass:
    """Scores over the landslides of one class of area."""

    low_m2: float
    high_m2: float
    mapped: int
    scores: dict[str, dict[str, Estimate]]
    """Row to metric (``recall``, ``precision``, ``f1``) to estimate."""


@dataclass(frozen=True)
class Effect:
    """Mean change of F1 when one factor of the design changes."""

    factor: str
    label: str
    effect: Estimate
    p_holm: float | None = None

    @property
    def supported(self) -> bool:
        """Whether the interval leaves zero out and the corrected test agrees."""
        return _supported(self.effect, self.p_holm)


@dataclass(frozen=True)
class Transfer:
    """F1 for every pair: trained on one place, tested on another."""

    row: str
    places: tuple[str, ...]
    f1: tuple[tuple[Estimate | None, ...], ...]
    """``f1[i][j]``: trained on place i, tested on place j."""
    title: str = ""
    seeds: int = 1
    blocks: tuple[int, ...] = ()
    """Spatial blocks in the test part of each place, where they are known."""
    warning: dict[str, Any] = field(default_factory=dict)
    """The model's warning against the drop of F1, as in ``study.json``; empty where it was not measured."""

    def trusted(self, place: int) -> bool:
        """Whether an interval of this place may be shown: enough blocks, and more than one seed."""
        return not self.blocks or (self.blocks[place] >= FEWEST_BLOCKS and self.seeds > 1)


@dataclass(frozen=True)
class Fold:
    """One way of parting the data: its tiles, the parts of every pixel where there is a scene, and words."""

    name: str
    tiles: str
    split: str | None = None
    test: str = ""


@dataclass(frozen=True)
class Study:
    """A finished study, ready to be told.

    Parameters
    ----------
    title, design, kind, version
        As in ``study.json``; ``kind`` is ``scene``, ``patches`` or ``tiles``.
    rows
        Baseline first.
    blocks
        Spatial blocks in the test part: the units of resampling.
    info
        The whole of ``study.json``, for what is shown as it stands (split, guard, data, settings).
    config
        The text of ``config.toml``, or nothing.
    """

    title: str
    design: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    kind: str = "scene"
    blocks: int | None = None
    draws: int | None = None
    claims_reason: str = ""
    simulated: bool = False
    pretrained: bool = False
    version: str = ""
    folds: tuple[Fold, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    reliability: tuple[Curve, ...] = ()
    size_classes: tuple[SizeClass, ...] = ()
    all_sizes: SizeClass | None = None
    area_frequency: tuple[Curve, ...] = ()
    effects: tuple[Effect, ...] = ()
    transfer: tuple[Transfer, ...] = ()
    histories: tuple[History, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
    config: str = ""

    @property
    def patches(self) -> bool:
        """Whether places are positions in a patch grid."""
        return self.kind == "patches"

    @property
    def prevalence(self) -> float | None:
        """Share of landslide in the test part, over all folds; None where it is not told, or there is none."""
        parts = (self.info.get("split") or {}).get("parts") or ()
        counts = [(p.get("landslide_pixels"), p.get("pixels")) for p in parts if p.get("part") == "test"]
        if not counts or not all(isinstance(n, int) for one in counts for n in one):
            return None
        hits, pixels = (sum(one) for one in zip(*counts, strict=True))
        return hits / pixels if hits and pixels else None

    def row(self, name: str) -> Row:
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)

    def by_role(self, role: Role) -> Row | None:
        """Return the first row of a role, or None."""
        return next((row for row in self.rows if row.role == role), None)

    def without_intervals(self) -> Study:
        """Return the study as it is shown where nothing may be claimed: figures alone, and no comparisons."""
        bare = [
            replace(
                row,
                scores={part: {m: e.bare() for m, e in scores.items()} for part, scores in row.scores.items()},
                chosen={m: e.bare() for m, e in row.chosen.items()},
            )
            for row in self.rows
        ]
        return replace(
            self,
            rows=tuple(bare),
            comparisons=(),
            effects=tuple(replace(e, effect=e.effect.bare(), p_holm=None) for e in self.effects),
            precision_recall=tuple(replace(c, area=c.area.bare() if c.area else None) for c in self.precision_recall),
        )

    def compare(self, a: str, b: str) -> Comparison | None:
        """Return the comparison of ``a`` with ``b``, in whichever order it was stored."""
        for found in self.comparisons:
            if (found.a, found.b) == (a, b):
                return found
            if (found.a, found.b) == (b, a):
                return found.reversed()
        return None
