"""Which pairs of rows a study compares."""

from __future__ import annotations

from collections.abc import Sequence

from landslip.study.config import RowConfig
from landslip.study.statistics import LEVEL

_ALL_PAIRS_UP_TO = 10
_ASKED = (
    ("data", "attention"),
    ("data", "model"),
    ("data", "baseline"),
    ("data", "control"),
    ("data", "attention-control"),
    ("attention", "baseline"),
    ("model", "baseline"),
    ("control", "baseline"),
)  # roles of the rows that the report's sentences compare


def compared_pairs(rows: Sequence[RowConfig]) -> list[tuple[str, str]]:
    """Name the pairs of rows that are compared, later row first: all of a few rows.

    Of more than ten, each with the first, and the pairs of roles that the report's question needs (the first row of
    each role, as the report takes it).
    """
    places = range(len(rows))
    if len(rows) <= _ALL_PAIRS_UP_TO:
        pairs = [(i, j) for i in places for j in places[i + 1 :]]
    else:
        first = {row.role: i for i, row in reversed(list(enumerate(rows)))}
        asked = [sorted((first[a], first[b])) for a, b in _ASKED if a in first and b in first]
        pairs = list(dict.fromkeys([*((0, j) for j in places[1:]), *((i, j) for i, j in asked)]))
    return [(rows[j].name, rows[i].name) for i, j in pairs]


def few_draws(rows: Sequence[RowConfig], draws: int) -> str:
    """Say so where no difference could be supported, whatever the scores: Holm's correction asks for more draws.

    The least p-value of a bootstrap is 2 / (draws + 1), and the first of n is multiplied by n.
    """
    pairs = len(compared_pairs(rows))
    if 2 * pairs / (draws + 1) < LEVEL:
        return ""
    return (
        f"{pairs} comparisons of rows on {draws} draws: after Holm's correction no p-value can be below {LEVEL}, so no "
        f"difference can be supported; give draws = {round(2 * pairs / LEVEL)} or more, or fewer rows"
    )
