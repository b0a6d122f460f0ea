"""What commands over many scenes share: the cluster, and telling what became of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from landslip.cli.console import Console
from landslip.errors import InputError

if TYPE_CHECKING:
    from landslip.cluster import Batch, Cluster


@contextlib.contextmanager
def cluster_at(address: str | None) -> Iterator[Cluster | None]:
    """Connect to the cluster that was asked for, if any."""
    if address is None:
        yield None
        return
    from landslip.cluster import connect

    with connect(address) as cluster:
        yield cluster


def tell(console: Console, key: str, batch: Batch) -> None:
    """Print the results under ``key`` and the failures, each with its reason.

    Raises
    ------
    InputError
        Something failed.
    """
    content: dict[str, Any] = {key: list(batch.values.values())}
    failed = [{"name": name, "reason": reason} for name, reason in batch.reasons.items()]
    lines = [f"{value['folder']}: {value['summary']}" for value in batch.values.values()]
    console.result(content | {"failed": failed}, "\n".join(lines))
    for name, reason in batch.reasons.items():
        typer.echo(f"failed: {name}: {reason}", err=True)
    if failed:
        total = len(failed) + len(batch.values)
        told = f"{len(failed)} of {total} failed, as said above, the others are done"
        message = f"{told}; mend it, and run again with --resume"
        raise InputError(message)
