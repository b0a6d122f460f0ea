"""The frame of the command line: exit codes, one-line errors, instant help."""

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import landslip
from landslip.cli.app import COMMANDS
from landslip.cli.console import session
from landslip.errors import InputError

CLI = Path(landslip.__file__).parent / "cli"


def test_error_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, session():
        message = "dem.tif: covers\nhalf"
        raise InputError(message)
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == "error: dem.tif: covers half\n"


def test_internal_error_is_70_and_names_debug(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, session():
        raise ZeroDivisionError
    assert caught.value.exit_code == 70
    assert "run again with --debug" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raised", [MemoryError("Unable to allocate 74.5 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_no_internal_error(capsys: pytest.CaptureFixture[str], raised: Exception) -> None:
    with pytest.raises(typer.Exit) as caught, session():
        raise raised
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == (
        f"error: not enough memory ({raised}); give less work at a time (smaller batch, tile or scene), "
        "or take a machine with more\n"
    )


def test_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, session():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert "--resume" in capsys.readouterr().err


def test_debug_lets_the_traceback_through() -> None:
    with pytest.raises(InputError), session(debug=True):
        raise InputError("x")


def test_json_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with session(as_json=True) as console:
        console.say("remark")
        console.result({"f1": 0.5}, "F1 0.5")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"f1": 0.5}
    assert captured.err == "remark\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with session(quiet=True) as console:
        console.say("remark")
        console.result({"f1": 0.5}, "F1 0.5")
    assert capsys.readouterr() == ("", "")


def test_help_lists_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "landslip", "--help"], capture_output=True, text=True, check=True, timeout=120
    )
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['landslip', '--help']\n"
        "from landslip.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'rasterio', 'geopandas', 'numba', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_offers_quiet_debug_json(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "landslip", name, "--help"], capture_output=True, text=True, check=True, timeout=120
    )
    for option in ("--quiet", "--debug", "--json"):
        assert option in done.stdout


def test_wrong_usage_is_2() -> None:
    done = subprocess.run([sys.executable, "-m", "landslip", "info"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2


def test_an_empty_argument_is_no_path() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "landslip", "info", ""], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "Error: an argument is empty; is a variable of the shell unset?\n"


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "landslip", "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == f"landslip {landslip.__version__}\n"


def test_only_the_command_line_prints() -> None:
    root = CLI.parent
    for path in root.rglob("*.py"):
        if path.is_relative_to(CLI):
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        printing = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert not printing, f"{path.relative_to(root)} prints in lines {printing}"


def test_a_callers_logging_is_left_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with session(quiet=True):
        pass
    logging.getLogger("landslip.somewhere").warning("still heard")
    assert "still heard" in caplog.text


def test_remarks_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with session():
        logging.getLogger("landslip.somewhere").warning("no near-infrared band")
    assert capsys.readouterr().err == "WARNING: no near-infrared band\n"
