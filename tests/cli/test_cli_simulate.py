from __future__ import annotations

import json
import subprocess
import sys

import pytest


def run(*arguments):
    command = [sys.executable, "-c", "from landslip.cli import main; main()", "simulate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_result_as_json_with_progress_on_standard_error(tmp_path):
    done = run("--out", tmp_path / "event", "--size", 128, "--seed", 2, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    about = json.loads((tmp_path / "event/event.json").read_text())
    assert result["landslides"] == about["landslides"]
    assert about["config"]["seed"] == 2
    assert about["grid"]["shape"] == [128, 128]
    assert "simulating" in done.stderr


def test_quiet_says_nothing_and_config_file_is_read(tmp_path):
    (tmp_path / "event.toml").write_text("prevalence = 0.03\nsize_px = 512\n")
    done = run("--out", tmp_path / "event", "--size", 128, "--config", tmp_path / "event.toml", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    config = json.loads((tmp_path / "event/event.json").read_text())["config"]
    assert (config["prevalence"], config["size_px"]) == (0.03, 128)


def test_size_and_seed_of_the_config_file_hold_where_the_options_are_not_given(tmp_path):
    (tmp_path / "event.toml").write_text("size_px = 128\nseed = 3\n")
    done = run("--out", tmp_path / "event", "--config", tmp_path / "event.toml", "--json")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "event/event.json").read_text())["config"]
    assert (config["size_px"], config["seed"]) == (128, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", 8), "error: simulate: 'size_px': input should be greater than or equal to 128"),
        (("--config", "nowhere.toml"), "error: nowhere.toml: no such config file; check the path"),
    ],
)
def test_wrong_input_is_one_line(tmp_path, arguments, message):
    done = run("--out", tmp_path / "event", *arguments)
    assert done.returncode == 1
    assert done.stderr.strip() == message
    assert not (tmp_path / "event").exists()


def test_out_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "event").write_text("")
    done = run("--out", tmp_path / "event", "--size", 128)
    assert done.returncode == 1
    assert done.stderr.strip() == f"error: {tmp_path / 'event'}: is a file, not a folder; choose another --out"


def test_wrong_usage_is_2(tmp_path):
    assert run("--size", 128).returncode == 2
    assert run("--out", tmp_path, "--seed", -1).returncode == 2
