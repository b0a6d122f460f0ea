"""The comparison of several runs: design, training of every row and seed, statistics, tables.

Nothing here looks at a test pixel before the runs are scored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from landslip.study.config import DataConfig, RowConfig, StudyConfig

if TYPE_CHECKING:
    from landslip.study.study import StudyResult, run_study

__all__ = ["DataConfig", "RowConfig", "StudyConfig", "StudyResult", "run_study"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a function or a class
    """Import what trains, and with it PyTorch, when it is asked for: settings alone come at once."""
    if name in ("StudyResult", "run_study"):
        import importlib

        return getattr(importlib.import_module("landslip.study.study"), name)
    message = f"module 'landslip.study' has no attribute {name!r}"
    raise AttributeError(message)
