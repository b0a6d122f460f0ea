"""An S3 server on loopback, and a bucket of it for each test."""

from __future__ import annotations

import itertools

import pytest

from helpers.storage_servers import server
from landslip.files import s3, web

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server():
    with server("s3") as address:
        yield address


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """Only the credentials of this test; none of the machine's, and none from a cloud's metadata server."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CPL_AWS_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CPL_AWS_AUTODETECT_EC2", "NO")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("LANDSLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(web, "WAIT_S", 0.01)
    monkeypatch.setattr(web, "TIMEOUT_S", 20.0)


@pytest.fixture
def bucket(s3_server, credentials, monkeypatch):
    """A new bucket: ``s3://…``."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    name = f"bucket-{next(_NUMBERS)}"
    s3.perform(f"s3://{name}", lambda fs: fs.mkdir(name), writing=True)
    return f"s3://{name}"
