"""Remarks: what the user should know, said once in the log and kept for the record."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class Remarks:
    """A list that speaks: every remark is logged as a warning when it is added."""

    said: list[str] = field(default_factory=list)

    def add(self, remark: str) -> None:
        """Say and keep a sentence, unless it was said before."""
        if remark not in self.said:
            log.warning("%s", remark)
            self.said.append(remark)
