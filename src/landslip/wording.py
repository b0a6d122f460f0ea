"""Counts in sentences: one landslide, two landslides."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "", *, spec: str = "", shown: str = "") -> str:
    """Write a count with its noun, or its verb, in the right number.

    Parameters
    ----------
    number
        How many.
    one
        The word for one: ``landslide``, ``was touched``.
    several
        For any other number; default ``one`` with an s.
    spec
        Format of the number, for example ``,`` for separators of thousands.
    shown
        What stands in place of the number, for example a word.

    Returns
    -------
    str
        ``1 landslide``, ``12 landslides``.
    """
    return f"{shown or format(number, spec)} {one if number == 1 else several or f'{one}s'}"
