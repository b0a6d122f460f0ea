"""How rows are told apart in every chart: colours, line styles, keys."""

from __future__ import annotations

from collections.abc import Sequence

from landslip.report.model import LAW, MAPPED, Curve, Row, Study
from landslip.report.style import DASHES, ROLE_COLOR, SPARE, Key

MOST_LINES = 8
"""Rows that one panel can tell apart; a longer study shows its first and says so."""

SMALL, WIDE = (288, 264), (372, 300)


def row_colors(rows: Sequence[Row]) -> dict[str, str]:
    """Give every row a colour name: by its role, then spare colours in order."""
    colors: dict[str, str] = {}
    spare = 0
    for row in rows:
        wanted = ROLE_COLOR.get(row.role)
        if wanted is None or wanted in colors.values():
            wanted = SPARE[spare % len(SPARE)]
            spare += 1
        colors[row.name] = wanted
    return colors


def keys(study: Study, curves: Sequence[Curve]) -> tuple[Key, ...]:
    """Name the lines of a chart: rows by their colours, the inventory in ink, laws muted."""
    colors = row_colors(study.rows)
    return tuple(
        Key(c.label, colors[c.row], dashed=study.row(c.row).role in DASHES)
        if c.row
        else Key(c.label, "muted" if c.label == LAW else "ink", dashed=c.label != MAPPED)
        for c in curves
    )
