"""``landslip mosaic`` as a user meets it."""

import json

import shapely
import typer
from typer.testing import CliRunner

from helpers.mosaics import grid_at, write_map
from landslip.cli.mosaic import command
from landslip.files import locked

app = typer.Typer()
app.command()(command)


def mosaic(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_joins_maps_and_says_what_it_joined(tmp_path):
    box = shapely.box(500_100, 4_699_800, 500_200, 4_699_900)
    for name in ("a", "b"):
        write_map(tmp_path / "maps" / name, grid_at(32654, 500_000, 4_700_000), [box])
    done = mosaic(tmp_path / "maps", "--out", tmp_path / "m", "--quiet", "--json", "--format", "parquet")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content == json.loads((tmp_path / "m" / "mosaic.json").read_text())
    assert content["counts"] == {"landslides": 1, "area_m2": 10_000.0, "joined": 1, "joined_parts": 2}
    assert set(content["files"]) == {"landslides.gpkg", "landslides.parquet", "probability.vrt", "items.json"}
    again = mosaic(tmp_path / "maps/a", tmp_path / "maps/b", "--out", tmp_path / "m")
    assert "1 landslide, 0.010 km², from 2 maps; 1 was joined from 2 polygons of several maps" in again.stdout


def test_mistakes_get_one_line(tmp_path):
    write_map(tmp_path / "a", grid_at(32654, 500_000, 4_700_000))
    for arguments, words in (
        ([tmp_path / "b"], "b: no such map; check the path"),
        ([tmp_path / "a", "--min-overlap", "0"], "'min_overlap': input should be greater than 0"),
        ([tmp_path / "a", "--crs", "EPSG:4326"], "not projected in metres; give such a one, or auto"),
    ):
        done = mosaic(*arguments, "--out", tmp_path / "m", "--quiet")
        assert done.exit_code == 1
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    with locked(tmp_path / "m"):
        done = mosaic(tmp_path / "a", "--out", tmp_path / "m", "--quiet")
    assert "another landslip process is working on it" in done.stderr
