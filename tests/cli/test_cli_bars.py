"""Progress where nobody watches: lines in a log file."""

from __future__ import annotations

import pytest

from landslip.cli.bars import EVERY_S, Lines


def test_a_line_when_a_task_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines(clock=lambda: 0.0).task("training unet", 2) as task:
        task.advance(note="loss 0.9")
        task.advance(note="loss 0.641, validation 0.780, F1 0.04")
    assert capsys.readouterr().err == "training unet: 2 of 2, 0:00:00, loss 0.641, validation 0.780, F1 0.04\n"


def test_a_line_a_minute_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Lines(clock=lambda: now[0]).task("predict", 4000) as task:
        for _ in range(4):
            now[0] += 0.75 * EVERY_S
            task.advance(1000)
    assert capsys.readouterr().err.splitlines() == [
        "predict: 2,000 of 4,000, 0:01:30",
        "predict: 4,000 of 4,000, 0:03:00",
    ]


def test_work_without_a_total_tells_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(clock=iter([0.0, 3725.0]).__next__)
    with lines.task("describing objects"):
        pass
    assert capsys.readouterr().err == "describing objects: 1:02:05\n"


def test_a_task_that_fails_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), Lines().task("reading", 1):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""
