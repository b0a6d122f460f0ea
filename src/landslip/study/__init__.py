"""The comparison of several runs: design, training of every row and seed, statistics, tables.

Nothing here looks at a test pixel before the runs are scored.
"""

from landslip.study.config import DataConfig, RowConfig, StudyConfig
from landslip.study.study import StudyResult, run_study

__all__ = ["DataConfig", "RowConfig", "StudyConfig", "StudyResult", "run_study"]
