"""The study from settings to report: prepare tiles, do the runs, score them together, write it all down."""

from __future__ import annotations

import logging
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landslip.cluster import Cluster
from landslip.errors import LandslipError
from landslip.files import FORMAT, locked, write_json, write_text
from landslip.progress import SILENT, Progress
from landslip.study.checks import check_finished, check_runs, check_settings
from landslip.study.config import StudyConfig
from landslip.study.content import study_content
from landslip.study.folds import suffix
from landslip.study.growth import grow, keep_growth, settle
from landslip.study.pairs import few_draws
from landslip.study.parallel import Work, make_runs
from landslip.study.plan import CONFIG, PLAN, STUDY, Plan, make_plan, open_data
from landslip.study.runs import execute
from landslip.study.tables import as_csv, as_markdown, as_text, table_rows
from landslip.study.transfer import run_transfer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """A finished study.

    Parameters
    ----------
    folder
        Where everything lies.
    content
        ``study.json``.
    report
        The page, or None when it could not be written (the reason is logged).
    """

    folder: Path
    content: dict[str, Any]
    report: Path | None = None

    @property
    def table(self) -> list[dict[str, Any]]:
        """One record of plain figures per row."""
        return table_rows(self.content["rows"])

    def table_text(self) -> str:
        """Return the short table."""
        return as_text(self.table)

    def answer(self) -> list[str]:
        """Return what the numbers support: two sentences, and what became of the paper's claim."""
        from landslip.report.answer import answer
        from landslip.report.claim import paper_claim
        from landslip.report.read import read_study

        study = read_study(self.folder)
        told, claim = answer(study), paper_claim(study)
        return [told.first, told.second, *([claim.text] if claim else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return table and places as JSON types."""
        return {"out": str(self.folder), "report": str(self.report) if self.report else None, "table": self.table}


def run_study(
    config: StudyConfig | None,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    report: bool = True,
    cluster: Cluster | None = None,
) -> StudyResult:
    """Run a study, go on with an interrupted one, or add seeds and rows to one.

    Parameters
    ----------
    config
        Settings; None with ``resume``: those of the study in ``out``. Given with ``resume``, they may add seeds and
        rows whose layers lie in the study's tiles; finished runs, tiles and all other settings stay.
    out
        Study folder; see ``docs/study.md`` for what lies in it.
    resume
        Go on where an interrupted study left off; finished runs are not made again.
    progress
        Who is told how far it is.
    report
        Write figures and ``report.html`` at the end.
    cluster
        Where the runs are made, side by side; None: here, one after another. The tables are the same.

    Raises
    ------
    OutputError
        The folder holds a study and ``resume`` is off, or another process is at it, or the disk is full.
    ConfigError
        Settings that exclude each other, or change what was begun in ``out``.
    LayerError
        A row that is added has layers that the tiles lack.
    SplitError
        A part without landslides, or (``leakage = "refuse"``) parts too near to each other.
    InputError
        Runs failed on the cluster; the others are finished.
    """
    folder = Path(out)
    if config is not None:
        check_settings(config)
    with locked(folder, mark=STUDY):
        begun = (folder / CONFIG).is_file()
        config, before = settle(config, folder, resume=resume)
        if not begun:
            config.to_toml(folder / CONFIG)
        try:
            plan = make_plan(before or config, folder, progress=progress)
            if before is not None:
                plan = grow(plan, config, folder)
            check_finished(plan.runs(), plan.tiles_id, folder)
            check_runs(plan.runs(), plan.tiles, folder)
        except LandslipError:
            if not begun:
                _forget(folder)
            raise
        if before is not None:
            keep_growth(plan, folder)
        if told := few_draws(plan.rows, config.draws):
            log.warning("%s", told)
        started = time.time()
        records = _do_runs(plan, folder, progress, cluster)
        moved = _do_transfer(plan, folder, progress, cluster) if config.transfer else []
        content = study_content(plan, records, folder, progress) | ({"transfer": moved} if moved else {})
        for name, text in (("table.csv", as_csv), ("table.md", as_markdown)):
            write_text(folder / name, text(table_rows(content["rows"])))
        write_json(folder / "log.json", _log(started))
        write_json(folder / STUDY, content)
    page = _report(folder) if report else None
    return StudyResult(folder, content, page)


def _forget(folder: Path) -> None:
    """Take away what was prepared for a study that cannot be, so that it can be put right and begun again."""
    for pattern in (CONFIG, PLAN, "tiles*.npz", "split*.npz", "truth*.npz"):
        for path in folder.glob(pattern):
            path.unlink()


def _do_runs(plan: Plan, folder: Path, progress: Progress, cluster: Cluster | None) -> list[dict[str, Any]]:
    runs = plan.runs()
    works = [Work(run, f"tiles{suffix(run.fold, plan.folds)}.npz", plan.tiles_id[run.fold.name]) for run in runs]
    make_runs(cluster, works, folder, progress)  # what it finished is only read below
    records = []
    with progress.task("runs", len(runs)) as task:
        for run in runs:
            task.advance(0, note=f"{run.row.label}, seed {run.seed}")
            tiles, tiles_id = plan.tiles[run.fold.name], plan.tiles_id[run.fold.name]
            records.append(execute(run, tiles, folder, tiles_id, progress=progress))
            task.advance(1, note=f"F1 {records[-1]['scores']['test']['f1'] or 0:.3f}")
    return records


def _do_transfer(plan: Plan, folder: Path, progress: Progress, cluster: Cluster | None) -> list[dict[str, Any]]:
    config = plan.config
    return run_transfer(open_data(config, progress), plan.base, plan.rows, config, folder, progress, cluster)


def _log(started: float) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "seconds": round(time.time() - started, 1),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": platform.node(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def _report(folder: Path) -> Path | None:
    from landslip.report import write_report

    try:
        return Path(write_report(folder))
    except LandslipError as error:
        log.warning("the report was not written: %s", error)
        return None
