"""Numbers as text, the same way everywhere: decimals, signs, intervals, areas, lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

from landslip.report.model import Estimate

MINUS = "−"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(value: float, decimals: int = 3) -> str:
    """Return a figure with a proper minus sign; an en dash stands for "not measured" (NaN)."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:  # no "−0.000"
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def signed(value: float, decimals: int = 3) -> str:
    """Return a difference with its sign; zero has none."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and float(text) != 0 else text


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as a percentage, with a no-break space before the sign."""
    return f"{number(100 * share, decimals)} %"


def interval(estimate: Estimate, decimals: int = 3) -> str:
    """Return ``0.61–0.70``, or nothing where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{number(estimate.low, decimals)}–{number(estimate.high, decimals)}"


def difference(estimate: Estimate, *, name_it: bool = True) -> str:
    """Return ``+0.063, 95 % interval +0.020 to +0.104`` (the words left out on later mentions)."""
    text = signed(estimate.value)
    if estimate.low is None or estimate.high is None:
        return text
    word = "95 % interval " if name_it else ""
    return f"{text}, {word}{signed(estimate.low)} to {signed(estimate.high)}"


def count(value: int) -> str:
    """Return a small count as a word, a larger one in digits with thin spaces between thousands."""
    return NUMBERS[value] if 0 <= value < len(NUMBERS) else thousands(value)


def thousands(value: float) -> str:
    """Return a whole number with narrow no-break spaces between groups of three."""
    return f"{round(value):,}".replace(",", "\u202f").replace("-", MINUS)


def area(value_m2: float) -> str:
    """Return an area in square metres below a tenth of a hectare, hectares below a square kilometre, else km²."""
    if value_m2 < 1e3:
        return f"{thousands(value_m2)} m²"
    if value_m2 < 1e6:
        return f"{value_m2 / 1e4:.3g} ha"
    return f"{value_m2 / 1e6:.3g} km²"


def listed(items: Sequence[str], *, last: str = "and") -> str:
    """Join with commas and a word before the last."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def within(label: str) -> str:
    """Return a label as it stands inside a sentence: ``Data-centric`` loses its capital, ``ResNet-34`` keeps it."""
    first = label.split(" ", 1)[0]
    plain_word = len(first) > 2 and first[1:].islower()
    return label[:1].lower() + label[1:] if plain_word else label


def capital(text: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """Return the text with a capital first and a full stop last."""
    text = text.strip()
    return capital(text) if text.endswith((".", "!", "?", "…")) else f"{capital(text)}."
