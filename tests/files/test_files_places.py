"""Addresses and paths: what stands for what, and how one file names another."""

import sys
from pathlib import Path

import pytest

from helpers.storage_servers import server
from landslip.errors import RemoteError
from landslip.files import places, s3, web


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("s3://bucket/a/b.tif", "s3://bucket/a/b.tif"),
        (Path("s3://bucket/a") / "b.tif", "s3://bucket/a/b.tif"),
        (Path("https://host:80/a/b.tif"), "https://host:80/a/b.tif"),
        ("/vsis3/bucket/a.tif", "s3://bucket/a.tif"),
        ("/vsicurl/https://host/a.tif", "https://host/a.tif"),
        ("a/s3:/b.tif", None),
        ("/data/scene", None),
        ("https_scene", None),
    ],
)
def test_a_path_made_of_an_address_stands_for_it(place, address):
    assert places.address_of(place) == address


def test_gdal_opens_addresses_by_its_own_names():
    assert places.gdal_name(Path("s3://bucket/a.tif")) == "/vsis3/bucket/a.tif"
    assert places.gdal_name("https://host/a.tif") == "/vsicurl/https://host/a.tif"
    assert places.gdal_name(Path("a/b.tif")) == "a/b.tif"


def test_one_setting_says_where_s3_is(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    options = places.gdal_options("s3://bucket/a.tif")
    assert (options["AWS_S3_ENDPOINT"], options["AWS_HTTPS"]) == ("127.0.0.1:9000", "NO")
    assert "AWS_S3_ENDPOINT" not in places.gdal_options("https://host/a.tif")
    assert places.gdal_options("a.tif") == {}


def test_messages_show_addresses_as_they_are_written():
    assert places.shown("s3:/b/c: no such scene; /vsicurl/http://h/x") == "s3://b/c: no such scene; http://h/x"
    assert places.shown("see https://host/a and /data/s3/x") == "see https://host/a and /data/s3/x"


@pytest.mark.parametrize(
    ("target", "folder", "told"),
    [
        ("/d/maps/a/p.tif", "/d/mosaic", ("../maps/a/p.tif", True)),
        ("s3://b/maps/a/p.tif", "s3://b/mosaic", ("../maps/a/p.tif", True)),
        ("s3://b/maps/a/p.tif", "s3://c/mosaic", ("s3://b/maps/a/p.tif", False)),
        ("s3://b/p.tif", "/d/mosaic", ("s3://b/p.tif", False)),
        ("/d/p.tif", "s3://b/mosaic", ("/d/p.tif", False)),
    ],
)
def test_files_name_one_another_relatively_where_they_can(target, folder, told):
    assert places.refer(target, Path(folder)) == told


def test_names_in_files_are_relative_to_them():
    assert places.joined("s3://b/items/item.json", "../x/B04.tif") == "s3://b/x/B04.tif"
    assert places.joined("https://h/items/item.json", "./B04.tif") == "https://h/items/B04.tif"
    assert places.joined("s3://b/item.json", "https://h/B04.tif") == "https://h/B04.tif"
    assert places.joined("a/item.json", "B04.tif") == "a/B04.tif"


def test_without_the_packages_the_message_names_the_extra(monkeypatch):
    s3._file_system_of.cache_clear()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(RemoteError, match=r"s3fs is missing\); pip install landslip\[storage\]"):
        places.read_bytes("s3://bucket/run/model.json", what="run")
    s3._file_system_of.cache_clear()


def test_nobody_at_the_address(credentials, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(web, "TRIES", 2)
    with pytest.raises(RemoteError, match=r"after 2 attempts: .*; check the network and AWS_ENDPOINT_URL"):
        places.read_bytes("s3://bucket/run/model.json", what="run")


def test_a_file_comes_whole_in_pieces(tmp_path, monkeypatch, credentials):
    content = bytes(range(256)) * 40
    (tmp_path / "a.bin").write_bytes(content)
    monkeypatch.setattr(places, "PIECE", 1000)
    with server("files", str(tmp_path)) as files, server("drops", "3", files) as address:
        assert [len(piece) for piece in places.pieces(f"{address}/a.bin", what="test")] == [1000] * 10 + [240]
        assert places.read_bytes(f"{address}/a.bin", what="test") == content
        assert places.size_of(f"{address}/a.bin") == len(content)
        assert places.is_file(f"{address}/a.bin")
        assert not places.is_file(f"{address}/b.bin")
        with places.nearby(Path(f"{address}/a.bin"), what="test") as local:
            assert local.name == "a.bin"
            assert local.read_bytes() == content
        assert not local.exists()
