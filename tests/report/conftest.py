"""Reports of made-up studies, written once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.browser import CHROMIUM, Browser
from helpers.made_up_study import Shape, make_study
from landslip.report import write_report

SMALL = Shape(epochs=6)


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study") / "scene", SMALL)


@pytest.fixture(scope="session")
def report(study_folder: Path) -> Path:
    return write_report(study_folder)


@pytest.fixture(scope="session")
def patch_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_study(tmp_path_factory.mktemp("study") / "patches", Shape("patches", seeds=1, epochs=1)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: chromium)")
    with Browser() as opened:
        yield opened
