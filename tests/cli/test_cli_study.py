import tomllib

import pytest
import typer
from typer.testing import CliRunner

from landslip.cli.study import command
from landslip.study.config import StudyConfig


def landslip(*words):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("kind", ["scene", "patches"])
def test_init_writes_settings_that_are_valid(kind):
    done = landslip("--init", kind)
    assert done.exit_code == 0
    config = StudyConfig.from_dict(tomllib.loads(done.stdout))
    assert config.data.kind == kind
    assert config.seeds == (0, 1, 2, 3, 4)


def test_out_is_needed():
    done = landslip()
    assert done.exit_code == 2
    assert "give --out DIR" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('desgin = "paper"\n[data]\nscene = "x"\n', "unknown key 'desgin'; did you mean 'design'?"),
        ('[data]\nscene = "nowhere"\n', "nowhere: no such scene; check the path"),
        ('[data]\npatches = "nowhere"\n', "nowhere: no such patch set; check the path"),
        ('[data]\nscene = "x"\n[split]\ntile = 100\n', "tile size 100 is not a multiple of 32"),
        ("[data\n", "not valid TOML"),
    ],
)
def test_one_line_for_settings_that_cannot_be(text, message, tmp_path, monkeypatch):
    (tmp_path / "study.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    done = landslip("study.toml", "--out", "out", "--quiet")
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--devices", "0,1", "--dask", "local:2"), 2, "give --devices or --dask, not both"),
        (("--devices", "first"), 2, "--devices first: give numbers of GPUs, such as 0,1"),
        (("--dask", "somewhere"), 1, "'somewhere' is no cluster; give local:N"),
    ],
)
def test_workers_that_cannot_be(words, code, message, tmp_path):
    (tmp_path / "study.toml").write_text('[data]\nscene = "x"\n')
    done = landslip(str(tmp_path / "study.toml"), "--out", str(tmp_path / "out"), "--quiet", *words)
    assert done.exit_code == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
