"""``landslip fetch``: options reach the settings; what cannot be is refused before anything is asked for."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from landslip.cli import fetch as module

app = typer.Typer()
app.command()(module.command)


def run(*words: str):
    return CliRunner().invoke(app, ["--event", "2018-09-06", *words])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "either as bbox or as aoi"),
        (("--bbox", "1,2,3"), "expected four numbers west,south,east,north in degrees, got '1,2,3'"),
        (("--bbox", "a,b,c,d"), "expected four numbers"),
        (("--bbox", "142,43,141,42"), "west 142 must be less than east 141"),
        (("--bbox", "141.9,42.6,142.1,42.8", "--stac", "ftp://host"), "is no address"),
        (("--bbox", "141.9,42.6,142.1,42.8", "--event", "6 September"), "'event'"),
        (("--aoi", "none.gpkg"), "none.gpkg: no such file"),
    ],
)
def test_one_line_and_exit_code_one(tmp_path, words, says):
    done = run("--out", str(tmp_path / "scene"), *words)
    assert done.exit_code == 1
    assert says in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_wrong_option_is_wrong_usage(tmp_path):
    assert run("--out", str(tmp_path / "scene"), "--days", "0").exit_code == 2


def test_options_reach_the_settings(tmp_path, monkeypatch):
    from landslip.errors import CoverageError
    from landslip.scene import fetch as room

    seen = []

    def record(config, out, *, progress):
        seen.append((config, out))
        message = "nothing there; look elsewhere"
        raise CoverageError(message)

    monkeypatch.setattr(room, "fetch_scene", record)
    words = ["--bbox", "141.9 42.6 142.1 42.8", "--no-pre", "--days", "30", "--max-cloud", "20", "--dem", "a.tif"]
    done = run("--out", str(tmp_path / "scene"), *words, "--dem", "b.tif", "--allow-partial-dem", "--quiet")
    assert done.exit_code == 1
    assert done.stderr == "error: nothing there; look elsewhere\n"
    config, out = seen[0]
    assert config.bbox == (141.9, 42.6, 142.1, 42.8)
    assert (config.pre, config.days, config.max_cloud, config.dem) == (False, 30, 20.0, ("a.tif", "b.tif"))
    assert config.allow_partial_dem
    assert config.stac.startswith("https://earth-search")
    assert config.period("post") == ("2018-09-07", "2018-10-06")
    assert config.period("pre") == ("2018-08-07", "2018-09-05")
    assert out == tmp_path / "scene"
