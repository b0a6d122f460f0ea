import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from landslip.errors import FormatError, InputError, MissingInputError, OutputError
from landslip.files import (
    atomic_path,
    check_format,
    check_place,
    locked,
    read_complete,
    read_json,
    require_file,
    sha256,
    write_json,
    writing,
)


def test_atomic_path_replaces_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("first")
        assert not target.exists()
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "first"
    assert [p.name for p in target.parent.iterdir()] == ["out.txt"]


def test_atomic_path_replaces_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [p.name for p in target.iterdir()] == ["two"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ENOTDIR, "not a folder"),
    ],
)
def test_refusals_of_the_system_become_one_line(number: int, words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught, writing("map.tif"):
        raise OSError(number, os.strerror(number))
    assert "map.tif" in str(caught.value)


def test_other_system_errors_pass_unchanged() -> None:
    with pytest.raises(IsADirectoryError), writing("map.tif"):
        raise IsADirectoryError(errno.EISDIR, "odd")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="disk is full"), atomic_path(tmp_path / "a.tif") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []


def test_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="not a folder"), atomic_path(tmp_path / "file" / "out.txt"):
        pass


def _hold(folder: str, ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with locked(folder):
        ready.set()
        done.wait(30)


def test_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), ready, done))
    process.start()
    assert ready.wait(60)
    with pytest.raises(OutputError, match="another landslip process"), locked(tmp_path):
        pass
    process.kill()
    process.join()
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_locked_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file, not a folder"), locked(tmp_path / "out"):
        pass


def test_a_folder_that_got_nothing_in_it_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bad"), locked(tmp_path / "new" / "out"):
        raise InputError("bad")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="bad"), locked(tmp_path / "new") as folder:
        (folder / "part").write_text("x")
        raise InputError("bad")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["part"]


@pytest.mark.parametrize(
    ("name", "word"), [("scene.json", "scene"), ("model.json", "run"), ("map.json", "map"), ("event.json", "event")]
)
def test_one_thing_is_not_written_into_another(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / name).write_text("{}")
    refused = pytest.raises(OutputError, match=f"holds a finished .*{word}, which this would spoil")
    with refused, locked(tmp_path, mark="study.json"):
        pass
    with locked(tmp_path, mark=name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(OutputError, match="the path leads nowhere; choose another --out"), locked(tmp_path / "link"):
        pass
    with pytest.raises(OutputError, match="name is too long"), locked(tmp_path / ("x" * 300)):
        pass


def test_json_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"a\.json: no permission to read it"):
        read_json(tmp_path / "a.json")


def test_json_round_trip_and_nan_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Atsuma 厚真", "value": 1.5})
    assert read_json(tmp_path / "a.json") == {"name": "Atsuma 厚真", "value": 1.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"value": float("nan")})
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_damaged_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match="damaged, make it again"):
        read_json(tmp_path / "a.json", what="scene")


def test_unfinished_folder_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such scene"):
        read_complete(tmp_path / "x", "scene.json", what="scene")
    with pytest.raises(MissingInputError, match="not a finished scene"):
        read_complete(tmp_path, "scene.json", what="scene")


def test_newer_format_is_refused() -> None:
    with pytest.raises(FormatError, match="upgrade landslip"):
        check_format({"format": 2}, "scene.json")
    for bad in ({}, {"format": "1"}, {"format": True}, {"format": 0}):
        with pytest.raises(FormatError, match="no valid 'format'"):
            check_format(bad, "scene.json")


def test_checksum_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = sha256(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = sha256(tmp_path / "a")
    (tmp_path / "a" / "y").write_text("2")
    assert len({first, renamed, sha256(tmp_path / "a")}) == 3


def test_require_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no such file \(DEM\)"):
        require_file(tmp_path / "dem.tif", what="DEM")
    (tmp_path / "dem.tif").touch()
    with pytest.raises(InputError, match="file is empty"):
        require_file(tmp_path / "dem.tif", what="DEM")


def test_what_a_killed_process_left_is_swept_but_not_another_ones(tmp_path: Path) -> None:
    def left(folder: Path) -> Path:
        with pytest.raises(KeyboardInterrupt), atomic_path(folder / "map.tif") as temporary:
            found = temporary.parent
            temporary.write_text("half")
            raise KeyboardInterrupt
        found.mkdir()  # as if the process had been killed before it could tidy up
        (found / "map.tif").write_text("half")
        return found

    mine, figures, others = left(tmp_path), left(tmp_path / "figures"), left(tmp_path / "other")
    (tmp_path / "other" / ".lock").touch()
    with locked(tmp_path):
        assert not mine.exists()
        assert not figures.exists()
        assert others.exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc, a file system in which nothing can be made")
def test_a_file_where_none_can_be_is_one_line() -> None:
    with pytest.raises(OutputError, match="cannot write /proc/x: the path leads nowhere"), atomic_path("/proc/x"):
        pass


def test_a_place_is_tried_before_what_takes_long_and_left_as_it_was(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "deep" / "out.npz")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    for place, words in (
        (tmp_path / "file" / "out.npz", "file: is a file, not a folder; choose another --out"),
        (tmp_path / "folder.npz", "folder.npz: is a folder; choose another --out"),
        (Path("/proc/nowhere/out.npz"), "the path leads nowhere; choose another --out"),
    ):
        with pytest.raises(OutputError, match=words):
            check_place(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.npz"]
