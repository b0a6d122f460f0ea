"""Objects on S3 through fsspec, with patience, and one clear line for whatever goes wrong.

The packages are imported when the first address is used: ``pip install landslip[storage]`` brings them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from landslip.errors import LandslipError, MissingInputError, OutputError, RemoteError
from landslip.files import web

T = TypeVar("T")


def is_object(address: str) -> bool:
    """Whether there is an object under an address.

    Raises
    ------
    MissingInputError
        There is no such bucket.
    """

    def look(fs: Any) -> bool:  # noqa: ANN401 - fsspec is untyped
        try:
            return bool(fs.info(address)["type"] == "file")
        except FileNotFoundError:
            if _bucket_there(address.removeprefix("s3://").partition("/")[0]):
                return False
            raise

    return perform(address, look)


def size_of(address: str, *, what: str = "file") -> int:
    """Return the bytes of an object."""
    return int(perform(address, lambda fs: fs.info(address), what=what)["size"])


def names_below(address: str) -> list[str]:
    """List all objects below an address by their names relative to it, sorted."""
    start = address.removeprefix("s3://").rstrip("/") + "/"
    return sorted(str(name).removeprefix(start) for name in perform(address, lambda fs: fs.find(address)))


def part_of(address: str, start: int, stop: int, *, what: str) -> bytes:
    """Return bytes ``start`` up to ``stop`` of an object."""
    return bytes(perform(address, lambda fs: fs.cat_file(address, start=start, end=stop), what=what))


def put(local: Path, address: str) -> None:
    """Copy a file to S3; it appears there when it is whole.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    perform(address, lambda fs: fs.put_file(str(local), address), writing=True)
    if size_of(address) != local.stat().st_size:
        message = f"cannot write {address}: another length arrived than was sent; run again with --resume"
        raise OutputError(message)


def create(address: str, content: bytes) -> bool:
    """Write a small new object, and return whether it is new: False where there is one already."""

    def write(fs: Any) -> bool:  # noqa: ANN401 - fsspec is untyped
        try:
            fs.pipe_file(address, content, mode="create")
        except FileExistsError:
            return False
        return True

    return bool(perform(address, write, writing=True))


def remove(address: str) -> None:
    """Remove an object; none is no problem."""
    with contextlib.suppress(MissingInputError):
        perform(address, lambda fs: fs.rm_file(address), writing=True)


def perform(address: str, work: Callable[[Any], T], *, what: str = "file", writing: bool = False) -> T:
    """Do something with S3, with patience, and say in one line what is wrong."""
    for attempt in range(1, web.TRIES + 1):
        try:
            return work(_file_system())
        except FileNotFoundError as error:
            raise _absent(address, what, writing) from error
        except PermissionError as error:
            raise _forbidden(address, what, writing, error) from error
        except LandslipError:
            raise
        except Exception as error:
            if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"):
                raise RemoteError(no_credentials(address)) from error
            known = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("botocore", "aiohttp")
            if not known:
                raise
            if attempt == web.TRIES or _answered(error):
                reason = (str(error) or type(error).__name__).splitlines()[0]
                done = f"cannot be {'written' if writing else 'read'}"
                message = (
                    f"{address}: {done} ({what}) after {attempt} attempts: {reason}; "
                    "check the network and AWS_ENDPOINT_URL"
                )
                raise (OutputError if writing else RemoteError)(message) from error
        time.sleep(web.WAIT_S * 2 ** (attempt - 1))
    raise AssertionError  # the loop returns or raises


def _answered(error: Exception) -> bool:
    """Whether the server said what is wrong, and would say it again."""
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return bool(status < 500 and status != 429)


def no_credentials(address: str) -> str:
    """Say that S3 wants to know who asks."""
    return (
        f"{address}: no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or "
        "AWS_NO_SIGN_REQUEST=YES for a public bucket"
    )


def _absent(address: str, what: str, writing: bool) -> LandslipError:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if key and _bucket_there(bucket):
        return MissingInputError(f"{address}: no such object ({what}); check the address")
    message = f"{address}: no bucket {bucket!r}; check the address, and AWS_ENDPOINT_URL"
    return OutputError(f"cannot write {message}") if writing else MissingInputError(message)


def _bucket_there(bucket: str) -> bool:
    for attempt in range(1, web.TRIES + 1):
        try:
            _file_system().call_s3("head_bucket", Bucket=bucket)
        except FileNotFoundError:
            return False
        except PermissionError:  # whoever may not look at the bucket may still read its objects
            return True
        except OSError:
            if attempt == web.TRIES:
                raise
            time.sleep(web.WAIT_S * 2 ** (attempt - 1))
        else:
            return True
    raise AssertionError  # the loop returns or raises


def _forbidden(address: str, what: str, writing: bool, error: Exception) -> LandslipError:
    reason = (str(error) or "forbidden").splitlines()[0]
    if writing:
        return OutputError(
            f"cannot write {address}: no permission ({reason}); ask the bucket's owner, or choose another --out"
        )
    return RemoteError(f"{address}: no permission to read it ({what}; {reason}); check the credentials")


@cache
def _file_system_of(process: int, server: str | None, anonymous: bool) -> Any:  # noqa: ANN401 - fsspec is untyped
    del process  # a fork needs its own
    try:
        fsspec = importlib.import_module("fsspec")
        importlib.import_module("s3fs")
    except ImportError as error:
        message = f"s3:// addresses need fsspec and s3fs ({error.name} is missing); pip install landslip[storage]"
        raise RemoteError(message) from error
    client = {"endpoint_url": server} if server else {}
    # s3fs asks a few times by itself, and so do we: botocore's own attempts on top would multiply with both
    config = {"connect_timeout": web.TIMEOUT_S, "read_timeout": web.TIMEOUT_S, "retries": {"max_attempts": 0}}
    return fsspec.filesystem(
        "s3", anon=anonymous, client_kwargs=client, config_kwargs=config, use_listings_cache=False,
        skip_instance_cache=True,
    )  # fmt: skip


def _file_system() -> Any:  # noqa: ANN401 - fsspec is untyped
    anonymous = os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "1")
    return _file_system_of(os.getpid(), endpoint(), anonymous)


def endpoint() -> str | None:
    """Return the address of an S3 server that is not Amazon's; None for Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
