"""Quiet around other libraries: Lightning talks of the hardware it found, of tips, and warns of what is meant."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def calm() -> Iterator[None]:
    """Let Lightning speak of errors alone."""
    from lightning.fabric.utilities.warnings import PossibleUserWarning  # Lightning takes seconds to import

    talkers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)  # in Lightning
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
