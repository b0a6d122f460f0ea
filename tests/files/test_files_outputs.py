"""Outputs on S3: nothing half-written, resumed, held by one process; and one line for each way to be refused."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.storage_servers import download
from landslip.cli.mosaic import command
from landslip.errors import FormatError, InputError, LandslipError, MissingInputError, OutputError, RemoteError
from landslip.files import PARTIAL, make_folder, outputs, places, s3, web, write_json
from landslip.files.outputs import output_folder, working_folder
from landslip.rasters import open_raster
from landslip.scene.images.sources import ReadOptions, read_images
from landslip.scene.remarks import Remarks


def write(folder, text="one"):
    (folder / "a.txt").write_text(text)
    (folder / "map.json").write_text(json.dumps({"format": 1, "text": text}))


def test_the_mark_comes_last_and_an_old_one_goes_first(bucket, monkeypatch):
    seen = []
    for name in ("put", "remove"):
        work = getattr(s3, name)
        monkeypatch.setattr(outputs, name, lambda *given, n=name, w=work: (seen.append((n, given[-1])), w(*given))[1])
    with output_folder(f"{bucket}/map", "map.json") as folder:
        (folder / PARTIAL).mkdir()
        (folder / PARTIAL / "part.npy").write_text("part")
        write(folder)
    names = [(kind, address.rpartition("/")[2]) for kind, address in seen]
    assert names == [("remove", "map.json"), ("put", "a.txt"), ("put", "map.json"), ("remove", ".lock")]
    assert download(f"{bucket}/map").keys() == {"a.txt", "map.json"}
    assert not working_folder(f"{bucket}/map").exists()


def test_what_fails_leaves_nothing_there_and_can_be_resumed_here(bucket):
    address = f"{bucket}/map"
    with pytest.raises(InputError, match=f"^{address}/a.txt: is wrong$"), output_folder(address, "map.json") as folder:
        (folder / "a.txt").write_text("half")
        message = f"{folder}/a.txt: is wrong"
        raise InputError(message)
    assert download(address) == {}
    with output_folder(address, "map.json", resume=True) as folder:
        assert (folder / "a.txt").read_text() == "half"
        write(folder)
    with output_folder(address, "map.json") as folder:
        assert (folder / "map.json").exists()  # the finished one, for whoever must not overwrite it
        assert not (folder / "a.txt").exists()


def hold(address, ready):
    with output_folder(address, "map.json") as folder:
        (folder / "a.txt").write_text("half")
        ready.set()
        signal.pause()


def test_two_at_once_are_refused_and_a_killed_one_is_followed(bucket):
    address = f"{bucket}/map"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(address, ready))
    process.start()
    assert ready.wait(60)
    with (
        pytest.raises(OutputError, match="another landslip process is working on it"),
        output_folder(address, "map.json"),
    ):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert download(address).keys() == {".lock"}
    with output_folder(address, "map.json", resume=True) as folder:
        assert (folder / "a.txt").read_text() == "half"
        write(folder)
    assert download(address).keys() == {"a.txt", "map.json"}


def test_a_process_on_another_machine_is_named(bucket):
    s3.create(f"{bucket}/map/.lock", json.dumps({"host": "elsewhere", "work": "/x", "since": "noon"}).encode())
    with (
        pytest.raises(OutputError, match=r"on elsewhere since noon\); .* or remove s3://.*/map/.lock if it is dead"),
        output_folder(f"{bucket}/map", "map.json"),
    ):
        pass
    assert places.is_file(f"{bucket}/map/.lock")


def test_an_object_in_the_lock_s_place_is_left_alone(bucket):
    s3.create(f"{bucket}/map/.lock", b"mine")
    said = message_of(FormatError, lambda: enter(f"{bucket}/map"))
    assert said == f"{bucket}/map/.lock: not a lock of landslip's; remove it, or choose another --out"
    assert places.read_bytes(f"{bucket}/map/.lock", what="lock") == b"mine"


def message_of(kind, work):
    with pytest.raises(kind) as caught:
        work()
    assert isinstance(caught.value, LandslipError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def enter(address, mark="map.json"):
    with output_folder(address, mark):
        pass


def test_what_is_not_there_is_said_in_one_line(bucket):
    assert message_of(MissingInputError, lambda: places.read_bytes(f"{bucket}/run", what="run")) == (
        f"{bucket}/run: no such object (run); check the address"
    )
    absent = "s3://no-such-bucket/run"
    missing = f"{absent}: no bucket 'no-such-bucket'; check the address, and AWS_ENDPOINT_URL"
    assert message_of(MissingInputError, lambda: places.read_bytes(absent, what="run")) == missing
    assert message_of(MissingInputError, lambda: places.is_file(absent)) == missing
    assert "no bucket" in message_of(OutputError, lambda: enter(absent))
    assert message_of(MissingInputError, lambda: open_raster(f"{bucket}/a.tif").__enter__()) == (
        f"{bucket}/a.tif: no such file (raster); check the address"
    )


def test_without_credentials(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3._file_system_of.cache_clear()
    words = "no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    assert words in message_of(RemoteError, lambda: places.read_bytes(f"{bucket}/a.json", what="run"))
    assert words in message_of(RemoteError, lambda: open_raster(f"{bucket}/a.tif").__enter__())
    assert words in message_of(RemoteError, lambda: enter(f"{bucket}/map"))
    s3._file_system_of.cache_clear()


def test_without_permission(bucket, monkeypatch):
    def refuse(fs):
        raise PermissionError(13, "Access Denied")

    perform = s3.perform
    monkeypatch.setattr(s3, "perform", lambda address, work, **options: perform(address, refuse, **options))
    said = message_of(OutputError, lambda: enter(f"{bucket}/map"))
    assert said.startswith(f"cannot write {bucket}/map/.lock: no permission")
    assert said.endswith("ask the bucket's owner, or choose another --out")
    said = message_of(RemoteError, lambda: places.read_bytes(f"{bucket}/a.json", what="run"))
    assert "no permission to read it (run;" in said


def test_one_thing_is_not_written_into_another(bucket):
    with output_folder(f"{bucket}/map", "map.json") as folder:
        write(folder)
    said = message_of(OutputError, lambda: enter(f"{bucket}/map", "scene.json"))
    assert said == f"{bucket}/map: holds a finished map, which this would spoil; choose another --out"


def test_only_s3_takes_outputs():
    said = message_of(OutputError, lambda: enter("https://host/map"))
    assert said == "cannot write https://host/map: outputs go to folders and s3:// addresses; choose another --out"
    said = message_of(RemoteError, lambda: places.names_in("https://host/maps"))
    assert "a web server does not list folders" in said


def test_the_command_line_shows_addresses_as_they_are(bucket, monkeypatch):
    import typer

    monkeypatch.setattr(web, "TRIES", 1)
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [f"{bucket}/map", "--out", f"{bucket}/mosaic", "--quiet"])
    assert done.exit_code == 1
    assert done.stderr == (
        f"error: {bucket}/map: neither a finished map (no map.json in it) nor a folder of such; check the path\n"
    )


def test_what_writes_to_disk_alone_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "this is written to disk alone; choose another --out, and copy it"
    for work in (lambda: make_folder(Path("s3://bucket/study")), lambda: write_json("s3://bucket/a.json", {})):
        assert message_of(OutputError, work).endswith(words)
    assert not list(tmp_path.iterdir())


def test_images_that_cannot_be_had_by_address(bucket):
    for image, kind, words in (
        ("product.zip", InputError, "archives are read from disk alone; copy it, or give the address of the unpacked"),
        ("nothing", MissingInputError, "nothing is there; check the address"),
        ("item.json", MissingInputError, "no such file (STAC item); check the address"),
        ("B04.tif", MissingInputError, "no such file (image); check the address"),
    ):
        said = message_of(kind, lambda name=image: read_images([f"{bucket}/{name}"], ReadOptions(), Remarks()))
        assert places.shown(said).startswith(f"{bucket}/{image}: {words}")


def test_a_file_that_changes_while_it_is_read(bucket, monkeypatch):
    s3.create(f"{bucket}/a.json", b"0123456789")
    monkeypatch.setattr(places, "PIECE", 6)
    pieces = places.pieces(f"{bucket}/a.json", what="run")
    assert next(pieces) == b"012345"
    s3.perform(bucket, lambda fs: fs.pipe_file(f"{bucket}/a.json", b"0123456"))
    said = message_of(RemoteError, lambda: next(pieces))
    assert said == f"{bucket}/a.json: changed while it was read (run); run the same command again"
