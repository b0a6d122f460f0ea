"""The answer in two sentences, written from the numbers.

A difference is claimed only where its interval leaves zero out and the corrected test agrees; with one
seed, or fewer than twenty spatial blocks, nothing is claimed and the sentences say why. Which rows are
compared is fixed by their role before any score is seen, never picked by who came out best.

That better training data (or a bigger network) did more takes two supported differences: against its rival,
and against the plain baseline, without which nothing may have been gained at all. Where the study has the attention
network trained for as many updates as the data-centric row, that row must be ahead of this one as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from landslip.errors import InputError
from landslip.report.model import FEWEST_BLOCKS, Comparison, Effect, Row, Study
from landslip.report.words import capital, count, difference, listed, number, within
from landslip.wording import counted

Verdict = Literal[
    "nothing claimed", "data ahead", "network ahead", "ahead without gain", "no difference supported", "listed"
]

MOST_NAMED = 3
"""How many rows or effects one sentence names; the tables hold the rest."""


@dataclass(frozen=True)
class Answer:
    """Two sentences and what they amount to."""

    verdict: Verdict
    first: str
    second: str

    @property
    def claims(self) -> bool:
        """Whether the study may speak of differences at all."""
        return self.verdict != "nothing claimed"


def answer(study: Study) -> Answer:
    """Write the answer of a study.

    Raises
    ------
    InputError
        No row has an F1 on the test part.
    """
    scored = [row for row in study.rows if row.score("f1") is not None]
    if not scored:
        message = f"{study.title}: no row has a score on the test part; finish the study with --resume"
        raise InputError(message)
    if reason := why_nothing_is_claimed(study):
        return Answer("nothing claimed", capital(reason) + ".", _range_of_scores(scored))
    data, rival, baseline = study.by_role("data"), _rival(study), study.by_role("baseline")
    if study.design == "factorial" and study.effects:
        return _of_effects(study.effects)
    if data and rival and (main := study.compare(data.name, rival.name)):
        verdict, first = _data_or_network(study, data, rival, baseline, main)
        return Answer(verdict, first, _against_baseline(study, data, rival, baseline))
    return _of_rows(study, baseline or study.rows[0])


def why_nothing_is_claimed(study: Study) -> str:
    """Return why the study may not speak of differences, or nothing where it may."""
    return next(iter(reasons_against_claims(study)), "")


def reasons_against_claims(study: Study) -> list[str]:
    """Return everything that keeps the study from speaking of differences, as clauses."""
    found = []
    # A forest of trees repeats itself from seed to seed, and may have been grown once.
    fewest = min((len(row.seeds) for row in study.rows if row.role != "forest"), default=0)
    if fewest < 2:
        found.append(
            "each row was trained from one seed only, so this study claims no ranking: how much F1 changes from one "
            "training to the next was not measured"
        )
    if study.blocks is not None and study.blocks < FEWEST_BLOCKS:
        found.append(
            f"the test part has {counted(study.blocks, 'spatial block', shown=count(study.blocks))}, fewer than the "
            f"{FEWEST_BLOCKS} that a trustworthy interval needs, so this study claims no difference between its rows"
        )
    if not any(found.difference.has_interval for found in study.comparisons):
        found.append("no intervals were computed for the differences between rows, so this study claims none")
    if not found and study.claims_reason:
        found.append(study.claims_reason.rstrip("."))
    return found


def _range_of_scores(scored: list[Row]) -> str:
    ranked = sorted(scored, key=_f1)
    low, high = ranked[0], ranked[-1]
    if len(ranked) == 1:
        return f"The one row, {low.label}, has an F1 of {number(_f1(low))} on the test part."
    return (
        f"For the record, F1 on the test part runs from {number(_f1(low))} ({low.label}) to {number(_f1(high))} "
        f"({high.label}); the order may be chance."
    )


def _f1(row: Row) -> float:
    found = row.score("f1")
    return float("nan") if found is None else found.value


def _rival(study: Study) -> Row | None:
    # The paper sets its data-centric row against the most elaborate network, so that one comes first.
    return study.by_role("attention") or study.by_role("model")


def _data_or_network(
    study: Study, data: Row, rival: Row, baseline: Row | None, main: Comparison
) -> tuple[Verdict, str]:
    scores = (
        f"the {within(data.label)} has an F1 of {number(_f1(data))} on the test part, "
        f"the {within(rival.label)} {number(_f1(rival))}"
    )
    if not main.supported:
        text = (
            f"The study supports no difference between better training data and a bigger network: {scores}, and "
            f"{why_open(study, main)}."
        )
        return "no difference supported", text
    ahead = main.difference.value > 0
    winner, loser = (data, rival) if ahead else (rival, data)
    if reason := _why_no_gain(study, winner, baseline):
        text = (
            f"The {within(winner.label)} is ahead of the {within(loser.label)}, but that is no gain from "
            f"{'better training data' if ahead else 'a bigger network'}: {scores} ({difference(main.difference)}), and "
            f"{reason}."
        )
        return "ahead without gain", text
    if ahead and (told := _rival_trained_as_long(study, data, rival, baseline, scores)):
        return told
    if ahead:
        longer = ", or the longer training that comes with it," if _as_long(study, data) else ""
        return (
            "data ahead",
            f"Better training data{longer} did more than a bigger network: {scores} ({difference(main.difference)}).",
        )
    return "network ahead", (
        f"A bigger network did more than better training data: {scores} ({difference(main.difference)})."
    )


def _as_long(study: Study, data: Row) -> bool:
    """Whether the same network, trained as long on the plain data, may be as good as the data-centric row."""
    control = study.by_role("control")
    found = study.compare(data.name, control.name) if control else None
    return found is not None and not (found.supported and found.difference.value > 0)


def _why_no_gain(study: Study, row: Row, baseline: Row | None) -> str:
    """Return what keeps a row that beats its rival from having gained anything over the plain one, or nothing."""
    found = study.compare(row.name, baseline.name) if baseline is not None else None
    if baseline is None or found is None:
        return "neither was compared with a plain network"
    if not found.supported:
        return f"against the {within(baseline.label)} no difference is supported ({difference(found.difference)})"
    if found.difference.value < 0:
        return f"the {within(baseline.label)} is better still (against it {difference(found.difference)})"
    control = study.by_role("control") if row.role == "data" else None
    found = study.compare(row.name, control.name) if control else None
    if found is not None and found.supported and found.difference.value < 0:
        return "the same network trained as long on the plain data is better still"
    return ""


def _rival_trained_as_long(
    study: Study, data: Row, rival: Row, baseline: Row | None, scores: str
) -> tuple[Verdict, str] | None:
    """Tell of an attention network that took as many updates as the data-centric row, where that is not ahead of it."""
    longer = study.by_role("attention-control")
    found = study.compare(data.name, longer.name) if longer else None
    if longer is None or found is None or (found.supported and found.difference.value > 0):
        return None
    led = f"{scores}, but trained for as many updates as the data-centric row, it has {number(_f1(longer))}"
    values = difference(found.difference)
    if not found.supported:
        return "no difference supported", (
            "The study supports no difference between better training data and a bigger network that is trained as "
            f"long: {led}, and {why_open(study, found)}."
        )
    if _why_no_gain(study, longer, baseline):
        return "ahead without gain", (
            f"The {within(data.label)} is ahead of the {within(rival.label)} only because that was trained less: {led} "
            f"(the data {values})."
        )
    return "network ahead", f"A bigger network, trained as long, did more than better data: {led} (the data {values})."


def why_open(study: Study, found: Comparison) -> str:
    """Return why a difference is not supported, as a clause with its interval."""
    d = found.difference
    if d.low is not None and d.high is not None and d.low <= 0 <= d.high:
        return f"the interval of the difference includes zero ({difference(d)})"
    n = len(study.comparisons)
    return (
        f"the difference ({difference(d)}) does not outlast the correction for "
        f"{counted(n, 'comparison', shown=count(n))} (p = {number(found.p_holm or 0, 2)})"
    )


def _against_baseline(study: Study, data: Row, rival: Row, baseline: Row | None) -> str:
    found = []
    if baseline is not None:
        found = [(row, c) for row in (data, rival) if (c := study.compare(row.name, baseline.name))]
    if baseline is None or not found:
        return _basis(study)
    ahead = [(row, c) for row, c in found if c.supported and c.difference.value > 0]
    behind = [(row, c) for row, c in found if c.supported and c.difference.value < 0]
    open_ = [row for row, c in found if not c.supported]
    start = f"Against the {within(baseline.label)} (F1 {number(_f1(baseline))})"
    clauses = []
    if ahead:
        clauses.append(f"{_named(ahead)} {'do' if len(ahead) > 1 else 'does'} better")
    if behind:
        clauses.append(f"{_named(behind)} {'do' if len(behind) > 1 else 'does'} worse")
    if open_ and clauses:
        clauses.append(f"for the {within(open_[0].label)} no difference is supported")
    if not clauses:
        names = " nor for the ".join(within(row.label) for row in open_)
        clauses.append(f"no difference is supported for the {names}")
    gained = any(row is data for row, _ in ahead)
    control = _control_clause(study, data) if gained else _longer_clause(study, data, baseline)
    return f"{start}, {listed(clauses)}{control}."


def _named(pairs: list[tuple[Row, Comparison]]) -> str:
    return listed([f"the {within(row.label)} ({difference(c.difference, name_it=False)})" for row, c in pairs])


def _control_clause(study: Study, data: Row) -> str:
    control = study.by_role("control")
    found = study.compare(data.name, control.name) if control else None
    if control is None or found is None:
        return ""
    values = difference(found.difference, name_it=False)
    other = "the same network trained for as many updates on the plain data"
    if found.supported and found.difference.value > 0:
        return f"; longer training alone does not explain what the data gain, which stay ahead of {other} ({values})"
    if found.supported:
        return f"; yet {other} does better still (the data {values}), so what helped is longer training"
    return (
        f"; but longer training alone may explain what the data gain, for against {other} no difference is supported "
        f"({values})"
    )


def _longer_clause(study: Study, data: Row, baseline: Row) -> str:
    """Say that longer training alone does what better data did not, where that is supported."""
    control = study.by_role("control")
    gain = study.compare(control.name, baseline.name) if control else None
    if control is None or gain is None or not gain.supported or gain.difference.value < 0:
        return ""
    text = (
        f"; what helps is longer training, for the {within(baseline.label)} itself has {number(_f1(control))} after as "
        f"many updates as the data-centric row ({difference(gain.difference, name_it=False)})"
    )
    lead = study.compare(control.name, data.name)
    if lead is None or not lead.supported or lead.difference.value < 0:
        return text
    return f"{text}, and is ahead of that row too ({difference(lead.difference, name_it=False)})"


def _basis(study: Study) -> str:
    blocks = f"{study.blocks} spatial blocks of the test part" if study.blocks else "spatial blocks of the test part"
    return f"The intervals come from resampling {blocks} and {count(len(study.seeds))} seeds together."


def _of_rows(study: Study, baseline: Row) -> Answer:
    pairs = [
        (row, found)
        for row in study.rows
        if row is not baseline and (found := study.compare(row.name, baseline.name)) is not None
    ]
    if not pairs:
        text = f"No row was compared with the {baseline.label} (F1 {number(_f1(baseline))})."
        return Answer("no difference supported", text, _basis(study))
    ahead = _most(pairs, sign=1)
    behind = _most(pairs, sign=-1)
    left = len(pairs) - sum(found.supported for _, found in pairs)
    start = f"{_of(len(pairs))} compared with the {baseline.label} (F1 {number(_f1(baseline))})"
    clauses = []
    if ahead:
        clauses.append(f"{_number_of(pairs, 1)} better: {ahead}")
    if behind:
        clauses.append(f"{_number_of(pairs, -1)} worse: {behind}")
    if not clauses:
        first = f"{start}, none differs by more than chance may explain."
        if len(pairs) == 1:
            other, plain = pairs[0][0].label, baseline.label
            first = f"{other} and {plain} (F1 {number(_f1(baseline))}) differ by no more than chance may explain."
        return Answer("no difference supported", first, _basis(study))
    second = _basis(study) if not left else f"For the other {count(left)} no difference is supported."
    if left == 1:
        second = "For the remaining one no difference is supported."
    return Answer("listed", f"{start}, {'; '.join(clauses)}.", second)


def _of(total: int) -> str:
    return "Of the one row" if total == 1 else f"Of the {count(total)} rows"


def _number_of(pairs: list[tuple[Row, Comparison]], sign: int) -> str:
    total = sum(found.supported and found.difference.value * sign > 0 for _, found in pairs)
    return f"{count(total)} {'does' if total == 1 else 'do'}"


def _most(pairs: list[tuple[Row, Comparison]], sign: int) -> str:
    chosen = [(row, found) for row, found in pairs if found.supported and found.difference.value * sign > 0]
    chosen.sort(key=lambda pair: -abs(pair[1].difference.value))
    names = [f"{row.label} ({difference(found.difference, name_it=False)})" for row, found in chosen[:MOST_NAMED]]
    if len(chosen) > MOST_NAMED:
        names.append(f"{count(len(chosen) - MOST_NAMED)} more")
    return listed(names)


def _of_effects(effects: tuple[Effect, ...]) -> Answer:
    known = [effect for effect in effects if effect.effect.has_interval]
    chosen = sorted((e for e in known if e.supported), key=lambda e: -abs(e.effect.value))
    if not chosen:
        tried = f"none of the {count(len(effects))} changes"
        first = f"Averaged over the whole grid, {tried} moves F1 by more than chance may explain."
        return Answer("no difference supported", first, "The table of effects gives each with its interval.")
    names = [f"{e.label} ({difference(e.effect, name_it=i == 0)})" for i, e in enumerate(chosen[:MOST_NAMED])]
    if len(chosen) > MOST_NAMED:
        names.append(f"{count(len(chosen) - MOST_NAMED)} more")
    first = f"Averaged over the whole grid, F1 is moved by {listed(names)}."
    left = len(effects) - len(chosen)
    second = f"For {counted(left, 'other change', shown=count(left))} no effect is supported." if left else ""
    return Answer("listed", first, second or "No other change was tried.")
