"""What the bands are called: Sentinel-2's numbers, common names, and our layer names. Pure text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

CORE = ("blue", "green", "red", "nir")
"""The 10 m bands, in the order of a scene's layers."""

REQUIRED = ("blue", "green", "red")
"""Without these there is no scene; ``nir`` may be absent."""

EXTRA = ("re1", "re2", "re3", "nira", "swir1", "swir2")
"""The 20 m bands, stored when asked for."""

CLASSES = "scl"
"""The scene classification of Level-2A."""

NUMBERS = {
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "nir": "B08",
    "re1": "B05",
    "re2": "B06",
    "re3": "B07",
    "nira": "B8A",
    "swir1": "B11",
    "swir2": "B12",
}
"""Sentinel-2's number of each band."""

_WORDS = {
    "blue": "blue",
    "green": "green",
    "red": "red",
    "nir": "nir",
    "nearinfrared": "nir",
    "re1": "re1",
    "rededge1": "re1",
    "re2": "re2",
    "rededge2": "re2",
    "re3": "re3",
    "rededge3": "re3",
    "nira": "nira",
    "nir08": "nira",
    "nirnarrow": "nira",
    "swir1": "swir1",
    "swir16": "swir1",
    "swir2": "swir2",
    "swir22": "swir2",
    "scl": CLASSES,
}
_NUMBER = re.compile(r"^b0?(1[0-2]|[1-9]|8a)$")
_BY_NUMBER = {number.lower().lstrip("b").lstrip("0"): name for name, number in NUMBERS.items()}
_OTHER_NUMBERS = {"1": "coastal", "9": "water vapour", "10": "cirrus"}
_ONLY_PRODUCTS = {"tci": "true colour image", "aot": "aerosol", "wvp": "water vapour"}


def band_named(text: str) -> str | None:
    """Return the layer name for one word such as ``B04``, ``b4``, ``Red`` or ``near-infrared``; else None.

    Bands that landslip has no use for (coastal, water vapour, cirrus, true colour …) give ``"unused"``.
    """
    word = re.sub(r"[^a-z0-9]", "", text.lower())
    if match := _NUMBER.match(word):
        number = match.group(1)
        return _BY_NUMBER.get(number) or ("unused" if number in _OTHER_NUMBERS else None)
    if word in _ONLY_PRODUCTS:
        return "unused"
    return _WORDS.get(word)


def bands_in(text: str) -> tuple[str, ...]:
    """List the distinct bands that a file name or description mentions.

    Numbers go before words (``red_edge_B05`` is ``re1``), and a text that is one name as a whole goes
    before its parts (``near infrared``).
    """
    whole = band_named(text)
    if whole is not None:
        return (whole,)
    words = [word for word in re.split(r"[^A-Za-z0-9]+", text) if word]
    numbered = dict.fromkeys(b for w in words if _NUMBER.match(w.lower()) and (b := band_named(w)) is not None)
    if numbered:
        return tuple(numbered)
    pairs = [a + b for a, b in itertools.pairwise(words)]
    paired = dict.fromkeys(b for pair in pairs if (b := band_named(pair)) is not None)
    if paired:
        return tuple(paired)
    return tuple(dict.fromkeys(b for w in words if (b := band_named(w)) is not None))


def ordered(bands: Iterable[str]) -> tuple[str, ...]:
    """Put band names into the order of a scene's layers."""
    wanted = set(bands)
    return tuple(name for name in (*CORE, *EXTRA) if name in wanted)
